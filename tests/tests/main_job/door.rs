//! The agents' door: what is answered, forwarded and refused, over every transport.

use bytes::Bytes;
use countersign_tests::{
    Setup, StoreKind, World, anvil,
    config::PAYEE,
    http::{self, Version},
    rpc, tls,
};
use serde_json::json;
use tokio::net::TcpStream;

#[tokio::test(flavor = "multi_thread")]
async fn what_the_gateway_knows_it_answers_and_reads_go_through() {
    let world = World::start(Setup::new(StoreKind::Embedded)).await;
    let bot = world.bot();
    let answered = [
        ("eth_chainId", json!([]), json!("0x7a69")),
        ("net_version", json!([]), json!("31337")),
        ("health_status", json!([]), json!("OK")),
        ("eth_accounts", json!([]), json!([bot.wallet.to_lowercase()])),
        ("eth_getTransactionCount", json!([bot.wallet, "pending"]), json!("0x0")),
        ("eth_getBalance", json!([PAYEE, "latest"]), json!("0x0")),
        ("eth_getCode", json!([PAYEE, "latest"]), json!("0x")),
    ];
    for (method, params, expected) in answered {
        assert_eq!(bot.call(method, params).await, Ok(expected), "{method}");
    }
    let own = anvil::quantity(&bot.call("eth_blockNumber", json!([])).await.expect("forwarded"));
    assert_eq!(own, world.anvil.quantity("eth_blockNumber", json!([])).await);
    for method in ["eth_gasPrice", "eth_maxPriorityFeePerGas", "web3_clientVersion"] {
        bot.call(method, json!([])).await.expect(method);
    }
    let capabilities = bot.call("wallet_getCapabilities", json!([bot.wallet])).await;
    assert!(capabilities.expect("an answer").is_object());
    let verdict = json!([bot.transfer(PAYEE, "0x1")]);
    let verdict = bot.call("countersign_simulate", verdict).await.expect("a verdict");
    assert_eq!(verdict["outcome"], "allow");
    assert!(world.tap.writes().is_empty(), "a verdict is not an act");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_door_speaks_http_2_without_tls() {
    let world = World::start(Setup::new(StoreKind::Embedded)).await;
    let (rpc, basic) = (world.gateway.addresses.rpc, world.bot().basic());
    let stream = TcpStream::connect(rpc).await.expect("a connection");
    let headers = [("content-type", "application/json"), ("authorization", &basic)];
    let head = http::request("POST", rpc, "/", &headers);
    let body = Bytes::from(rpc::envelope("eth_chainId", &json!([])).to_string());
    let reply = http::exchange(stream, Version::Two, &head, body).await.expect("HTTP/2");
    assert_eq!(reply.json()["result"], "0x7a69");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_client_authority_only_its_certificates_get_in() {
    let mut setup = Setup::new(StoreKind::Embedded);
    setup.tls = true;
    let world = World::start(setup).await;
    let (addresses, ours) = (&world.gateway.addresses, world.gateway.authority());
    let foreign = tls::Authority::new();
    let (good, bad) = (ours.sign("bot"), foreign.sign("bot"));
    let basic = world.bot().basic();
    let headers = [("content-type", "application/json"), ("authorization", basic.as_str())];
    let call = Bytes::from(rpc::envelope("eth_chainId", &json!([])).to_string());
    let rpc = http::request("POST", addresses.rpc, "/", &headers);
    let admin = http::request("GET", addresses.admin, "/healthz", &[]);
    for version in [Version::One, Version::Two] {
        for (to, head) in [(addresses.rpc, &rpc), (addresses.admin, &admin)] {
            for (identity, accepted) in [(Some(&good), true), (Some(&bad), false), (None, false)] {
                let client = ours.client(identity, version);
                let reply = tls::send(client, version, to, head, call.clone()).await;
                let status = reply.as_ref().map(|reply| reply.status);
                assert_eq!(status.is_ok(), accepted, "{version:?} {to} {status:?}");
                assert!(!accepted || status == Ok(200), "{version:?} {to} {status:?}");
            }
        }
    }
    let plain = http::try_send(addresses.rpc, &rpc, call).await;
    assert!(plain.is_err() || plain.is_ok_and(|reply| reply.status == 400), "TLS only");
}
