//! The harness itself: what it starts is real, and its instruments measure.
#![expect(clippy::expect_used, reason = "a failed test panics")]

use bytes::Bytes;
use countersign_tests::{anvil, anvil::Anvil, http, redis::RedisServer, rpc, tap::Tap};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

#[tokio::test]
async fn anvil_answers_and_its_accounts_are_the_ones_we_name() {
    let node = Anvil::start().await;
    assert_eq!(node.quantity("eth_chainId", json!([])).await, u128::from(anvil::CHAIN));
    for (_, address) in anvil::ACCOUNTS {
        assert_eq!(node.balance(address).await, 10_000 * 1_000 * countersign_tests::money::USD);
        assert_eq!(node.nonce(address).await, 0);
    }
}

#[tokio::test]
async fn the_tap_hands_on_remembers_and_plays_dead() {
    let node = Anvil::start().await;
    let tap = Tap::start(node.address()).await;
    let ask = async |method: &str| {
        let head =
            http::request("POST", tap.address(), "/", &[("content-type", "application/json")]);
        let body = Bytes::from(rpc::envelope(method, &json!([])).to_string());
        http::try_send(tap.address(), &head, body).await
    };
    let reply = ask("eth_chainId").await.expect("an answer through the tap");
    assert_eq!(rpc::answer(&reply.json()), Ok(json!("0x7a69")));
    tap.die();
    assert!(ask("eth_blockNumber").await.is_err(), "a dead node answers nothing");
    tap.revive();
    ask("anvil_nodeInfo").await.expect("an answer again");
    let methods: Vec<_> = tap.calls().iter().map(|call| call["method"].clone()).collect();
    assert_eq!(methods, [json!("eth_chainId"), json!("anvil_nodeInfo")]);
    assert_eq!(tap.writes(), ["anvil_nodeInfo"]);
}

#[tokio::test]
async fn redis_keeps_what_it_acknowledged_when_it_is_killed() {
    let mut redis = RedisServer::start().await;
    assert_eq!(say(&redis, "SET k v\r\n").await, "+OK\r\n");
    redis.down();
    redis.up().await;
    assert_eq!(say(&redis, "GET k\r\n").await, "$1\r\nv\r\n");
}

/// One inline command.
async fn say(redis: &RedisServer, command: &str) -> String {
    let url = redis.url();
    let address = url.strip_prefix("redis://").expect("a Redis URL");
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.write_all(command.as_bytes()).await.expect("a written command");
    let mut reply = [0_u8; 64];
    let read = stream.read(&mut reply).await.expect("a reply");
    String::from_utf8_lossy(reply.get(..read).unwrap_or_default()).into_owned()
}
