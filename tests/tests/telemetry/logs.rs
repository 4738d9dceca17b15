use std::collections::BTreeSet;

use countersign_tests::{
    Setup, StoreKind, World,
    config::{PAYEE, STRANGER},
    http,
};
use serde_json::{Value, json};

use crate::traces::nothing_private_is_in;

/// Everything that can be said is said, about everything that an agent and people do.
async fn all_of_it(store: StoreKind) {
    let setup = Setup { log: Some("trace"), ..Setup::new(store) };
    let world = World::start(setup).await;
    let bot = world.bot();
    let headers = [
        ("countersign-reason", "free-text-of-the-agent"),
        ("countersign-session", "session-of-the-agent"),
        ("idempotency-key", "key-of-the-agent"),
    ];
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let parent = format!("00-{trace}-00f067aa0ba902b7-01");
    let traced = [("traceparent", parent.as_str())];
    bot.send_with(&traced, PAYEE, "0xb1a2bc2ec50000").await.expect("an allowed send");
    bot.send_with(&headers, STRANGER, "0x1").await.expect_err("a stranger");
    let text = format!("0x{}", hex::encode("text-that-is-signed"));
    // whatever the policy says of it
    let _verdict = bot.call("personal_sign", json!([text, bot.wallet])).await;
    let parked = bot.send(PAYEE, "0x2c68af0bb140000").await.expect_err("above the threshold");
    assert_eq!(world.alice().approve(&parked.operation()).await.status, 200);
    let path = format!("/k/{}", bot.token);
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"eth_chainId"}"#;
    assert_eq!(http::post(bot.address, &path, &[], body).await.status, 200);
    let stranger = [("authorization", "Bearer wrong-token-of-somebody")];
    assert_eq!(http::post(bot.address, "/", &stranger, body).await.status, 401);

    let log = world.gateway.log();
    nothing_private_is_in(&log, &world);
    assert!(!log.contains("wrong-token-of-somebody"));
    let lines: Vec<Value> =
        log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let said = |words: &str| {
        let own = |line: &&Value| line.get("message").and_then(Value::as_str) == Some(words);
        lines.iter().filter(own).collect::<Vec<_>>()
    };
    let trails = |lines: &[&Value]| -> Vec<String> {
        let trail = |line: &&Value| {
            let id = line.get("trace_id").and_then(Value::as_str);
            id.unwrap_or_else(|| panic!("no trace_id: {line}")).to_owned()
        };
        lines.iter().map(trail).collect()
    };
    let (answered, decided) = (trails(&said("a call was answered")), trails(&said("decided")));
    assert!(answered.len() >= 5 && decided.len() >= 3, "{answered:?} {decided:?}");
    let different: BTreeSet<&String> = answered.iter().collect();
    assert_eq!(different.len(), answered.len(), "each request has its own");
    assert!(decided.iter().all(|trail| answered.contains(trail)), "a decision is its request's");
    for trails in [&answered, &decided] {
        assert_eq!(trails.first().map(String::as_str), Some(trace), "the caller named it");
    }
    // a line of an operator's request has its trace, too, and one of nobody's says so
    let approved = trails(&said("approved"));
    assert_eq!(approved.len(), 1, "{approved:?}");
    assert!(approved.iter().all(|trail| !answered.contains(trail)), "{approved:?}");
    let begun = said("new limits count what was spent before they came");
    assert!(begun.iter().all(|line| line.get("trace_id") == Some(&Value::Null)), "{begun:?}");
    for line in &lines {
        for name in ["timestamp", "level", "target", "message"] {
            assert!(line.get(name).is_some_and(Value::is_string), "no `{name}`: {line}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_line_holds_a_secret_and_each_of_a_request_names_its_trace_embedded() {
    all_of_it(StoreKind::Embedded).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_line_holds_a_secret_and_each_of_a_request_names_its_trace_redis() {
    all_of_it(StoreKind::Redis).await;
}
