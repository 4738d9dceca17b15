//! Agents do not see each other, and no credential opens the wrong door.

use countersign_tests::{
    Setup, StoreKind, World, config::PAYEE, http, money::usd, on_both_stores, rpc,
};
use serde_json::json;

on_both_stores! {
    an_agent_sees_nothing_of_another,
    a_credential_opens_its_own_door_only,
}

async fn an_agent_sees_nothing_of_another(store: StoreKind) {
    let world = World::start(Setup::new(store).with_another_agent()).await;
    let (bot, other) = (world.bot(), world.agent("other"));
    let own = Ok(json!([other.wallet.to_lowercase()]));
    assert_eq!(
        other.call("eth_accounts", json!([])).await,
        own,
        "in lower case, as anvil writes them"
    );
    assert_eq!(other.call("eth_requestAccounts", json!([])).await, own);
    let id = bot.send(PAYEE, &usd(200)).await.expect_err("parked").operation();
    assert!(bot.operation(&id).await.is_ok());
    let guess = "op_0123456789abcdef0123456789abcdef";
    let (theirs, nobodys) = (other.operation(&id).await, other.operation(guess).await);
    let (theirs, nobodys) = (theirs.expect_err("not hers"), nobodys.expect_err("nobody's"));
    assert_eq!(theirs.code, nobodys.code);
    assert_eq!(theirs.message.replace(&id, guess), nobodys.message, "told apart by nothing");
    let foreign = json!([bot.transfer(PAYEE, &usd(1))]);
    let foreign = other.call("eth_sendTransaction", foreign).await.expect_err("not her wallet");
    let nobody = json!([{"from": PAYEE, "to": PAYEE, "value": "0x1"}]);
    let nobody = other.call("eth_sendTransaction", nobody).await.expect_err("nobody's wallet");
    assert_eq!((foreign.code, nobody.code), (4100, 4100));
    let foreign = foreign.message.to_lowercase().replace(&bot.wallet.to_lowercase(), PAYEE);
    assert_eq!(foreign, nobody.message.to_lowercase(), "told apart by nothing");
    let theirs = other.send(PAYEE, &usd(200)).await.expect_err("parked too").operation();
    assert_ne!(theirs, id, "the same payload of another agent is another operation");
}

async fn a_credential_opens_its_own_door_only(store: StoreKind) {
    let world = World::start(Setup::new(store)).await;
    let (rpc, admin) = (world.gateway.addresses.rpc, world.gateway.addresses.admin);
    let body = rpc::envelope("eth_chainId", &json!([])).to_string();
    let ask = async |path: &str, headers: http::Headers<'_>| {
        http::post(rpc, path, headers, body.clone()).await
    };
    let (bot, alice) = (world.bot(), world.alice());
    let (bearer, operators) = (format!("Bearer {}", bot.token), format!("Bearer {}", alice.token));
    let basic = bot.basic();
    for headers in [[("authorization", basic.as_str())], [("authorization", bearer.as_str())]] {
        for path in ["/", "/anvil", "/31337"] {
            assert_eq!(ask(path, &headers).await.json()["result"], "0x7a69", "{headers:?} {path}");
        }
    }
    for path in [format!("/k/{}", bot.token), format!("/k/{}/anvil", bot.token)] {
        assert_eq!(ask(&path, &[]).await.json()["result"], "0x7a69");
    }
    let no = [("authorization", operators.as_str())];
    for reply in [ask("/", &[]).await, ask("/", &no).await, ask("/k/wrong", &[]).await] {
        assert_eq!(reply.status, 401, "{}", reply.text());
        assert!(reply.json()["error"]["code"].is_i64(), "a JSON-RPC error: {}", reply.text());
    }
    let batch = http::post(rpc, "/", &[], format!("[{body},{body}]")).await;
    assert_eq!((batch.status, batch.json().as_array().map(Vec::len)), (401, Some(2)));
    let agents = http::get(admin, "/operations", &[("authorization", &bearer)]).await;
    assert_eq!((agents.status, http::get(admin, "/operations", &[]).await.status), (401, 401));
    let log = world.gateway.log();
    assert!(!log.contains(&bot.token) && !log.contains(&alice.token), "a token in the log");
}
