//! What a text would say to one request, asked at the operators' door: as `countersign_simulate` says it of the version in
//! force, and without any effect.

use countersign_core::time::Millis;
use countersign_engine::port::{Journal as _, Ledger as _, Signer as _, journal::TraceQuery};
use serde_json::{Value, json};

use super::house::{AGENT, DESK, GRANT, House, Reply, VIEWER};

const PATH: &str = "/api/agents/trader/policies/explain";
const TO: &str = "0x1111111111111111111111111111111111111111";

async fn explain(house: &House, text: &str, more: Value) -> Reply {
    let mut body = json!({"text": text});
    if let (Some(members), Value::Object(more)) = (body.as_object_mut(), more) {
        members.extend(more);
    }
    house.of(VIEWER, "POST", PATH, &body.to_string()).await
}

/// A payment of so many USD, at 1000 USD for one ETH.
fn payment(usd: u64) -> Value {
    json!({"to": TO, "value": format!("{:#x}", usd.saturating_mul(1_000_000_000_000_000))})
}

fn outcomes(found: &Value) -> [(String, String); 2] {
    ["version", "in_force"].map(|side| {
        let text = |name: &str| found[side][name].as_str().unwrap().to_owned();
        (text("outcome"), text("code"))
    })
}

fn ends(outcome: &str, code: &str) -> (String, String) {
    (outcome.into(), code.into())
}

#[tokio::test]
async fn a_request_is_judged_by_the_text_and_by_what_is_in_force() {
    let house = House::open().await;
    let tight = GRANT.replace("max: 500", "max: 80");
    for (usd, expected) in [
        (50, [ends("allow", ""), ends("allow", "")]),
        (90, [ends("deny", "per_tx_limit_exceeded"), ends("allow", "")]),
        (200, [ends("deny", "per_tx_limit_exceeded"), ends("park", "amount_above_threshold")]),
    ] {
        let reply = explain(&house, &tight, json!({"request": payment(usd).to_string()})).await;
        let found = reply.json();
        assert_eq!((reply.status, &found["valid"]), (200, &json!(true)), "{found}");
        assert_eq!(outcomes(&found), expected, "{usd}");
        assert_eq!(found["version"]["actions"][0]["effect"]["kind"], "transfer");
        assert_eq!(found["version"]["usd"], json!([usd.to_string()]));
        assert_eq!((&found["as_approved"], &found["recorded"]), (&json!(false), &Value::Null));
        // what is in force says what the agent would be told
        let mut asked = payment(usd);
        asked["from"] = json!(house.signer.address());
        let simulated = house.call("countersign_simulate", &json!([asked]).to_string()).await;
        for same in ["outcome", "code", "reason", "verdicts", "charges", "policy", "risk_score"] {
            assert_eq!(found["in_force"][same], simulated["result"][same], "{same}");
        }
    }
    house.close().await;
}

#[tokio::test]
async fn every_form_of_a_request_is_read() {
    let house = House::open().await;
    let from = house.signer.address();
    let typed = json!({
        "domain": {"name": "x", "chainId": 31337}, "primaryType": "Note", "message": {"text": "hi"},
        "types": {"EIP712Domain": [{"name": "name", "type": "string"}, {"name": "chainId", "type": "uint256"}],
            "Note": [{"name": "text", "type": "string"}]},
    });
    let rpc = |method: &str, params: Value| json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
    let mut payment_from = payment(50);
    payment_from["from"] = json!(from);
    for (request, kind) in [
        (payment(50), "transfer"),
        (rpc("eth_sendTransaction", json!([payment_from.clone()])), "transfer"),
        (rpc("eth_signTransaction", json!([payment_from.clone(), {"reason": "why"}])), "transfer"),
        (rpc("countersign_simulate", json!([payment_from.clone()])), "transfer"),
        (json!({"calls": [payment(1), payment(2)]}), "transfer"),
        (typed.clone(), "typed_data"),
        (json!({"typedData": typed.clone()}), "typed_data"),
        (rpc("eth_signTypedData_v4", json!([from, typed.to_string()])), "typed_data"),
        (rpc("personal_sign", json!(["0x6869", from])), "text"),
        (json!({"message": "hi"}), "text"),
    ] {
        let reply = explain(&house, GRANT, json!({"request": request.to_string()})).await;
        let found = reply.json();
        assert_eq!(reply.status, 200, "{request}: {found}");
        assert_eq!(found["version"]["actions"][0]["effect"]["kind"], kind, "{request}");
        assert_eq!(outcomes(&found)[0], outcomes(&found)[1], "the same text says the same");
    }
    house.close().await;
}

#[tokio::test]
async fn whatever_signs_nothing_is_said_to_be_no_request() {
    let house = House::open().await;
    for (request, word) in [
        ("{".to_owned(), "`request`: "),
        ("[]".to_owned(), "is an array"),
        (r#"{"to": "0x11"}"#.to_owned(), "`to`"),
        (r#"{"method": "eth_call", "params": []}"#.to_owned(), "signs nothing"),
        (r#"{"method": "eth_sendTransaction"}"#.to_owned(), "`params`"),
        (r#"{"method": 7, "params": []}"#.to_owned(), "`method`"),
        (format!(r#"{{"from": "{TO}", "to": "{TO}"}}"#), "no account"),
        (format!(r#"{{"to": "{TO}", "chainId": "0x1"}}"#), "`chainId`"),
    ] {
        let reply = explain(&house, GRANT, json!({"request": request})).await;
        let told = reply.json()["detail"].as_str().unwrap_or_default().to_owned();
        assert_eq!(reply.status, 400, "{request}: {}", reply.body);
        assert!(told.contains(word), "{request}: {told}");
    }
    for (more, word) in [
        (json!({}), "name one of"),
        (json!({"request": "{}", "trace": format!("0x{}", "1".repeat(64))}), "name one of"),
        (json!({"request": payment(1).to_string(), "chain": "mainnet"}), "`chain`"),
    ] {
        let reply = explain(&house, GRANT, more).await;
        assert_eq!(reply.status, 400);
        assert!(reply.body.contains(word), "{}", reply.body);
    }
    let request = json!({"request": payment(1).to_string(), "chain": "anvil"});
    assert_eq!(explain(&house, GRANT, request.clone()).await.status, 200);
    let wrong = explain(&house, "policy: x\nkind: grant\nrulez: []\n", request.clone()).await;
    let found = wrong.json();
    assert_eq!((wrong.status, &found["valid"]), (200, &json!(false)));
    assert_eq!(found["diagnostics"][0]["line"], 3);
    let other = PATH.replace("trader", "nobody");
    let body = json!({"text": GRANT, "request": payment(1).to_string()}).to_string();
    assert_eq!(house.desk("POST", &other, &body).await.status, 404);
    assert_eq!(house.of(AGENT, "POST", PATH, &body).await.status, 401);
    house.close().await;
}

#[tokio::test]
async fn a_recorded_decision_is_judged_on_its_facts() {
    let house = House::open().await;
    let mut asked = payment(90);
    asked["from"] = json!(house.signer.address());
    house.call("eth_sendTransaction", &json!([asked]).to_string()).await;
    house.time.advance(Millis(1000));
    let all = TraceQuery { limit: 10, ..TraceQuery::default() };
    let trace = house.journal.traces(&all).await.unwrap().items[0].trace_hash;
    let tight = GRANT.replace("max: 500", "max: 80");
    let found = explain(&house, &tight, json!({"trace": trace})).await.json();
    assert_eq!(outcomes(&found), [ends("deny", "per_tx_limit_exceeded"), ends("allow", "")]);
    assert_eq!(found["recorded"], json!({"outcome": "allow", "code": ""}));
    let unknown = explain(&house, &tight, json!({"trace": format!("0x{}", "1".repeat(64))})).await;
    assert_eq!(unknown.status, 404);
    // by a policy of another name nothing is said of it
    let renamed = GRANT.replace("policy: trader", "policy: other");
    let other = explain(&house, &renamed, json!({"trace": trace})).await;
    assert_eq!(other.status, 400, "{}", other.body);
    assert!(other.body.contains("cannot be decided again"), "{}", other.body);
    house.close().await;
}

#[tokio::test]
async fn a_pact_is_judged_as_if_somebody_had_said_yes_and_nobody_has() {
    let house = House::open().await;
    let pact = GRANT.replace("gates:", "starts: approved\ngates:");
    let found = explain(&house, &pact, json!({"request": payment(50).to_string()})).await.json();
    assert_eq!(found["valid"], true, "{found}");
    assert_eq!(
        (outcomes(&found), &found["as_approved"]),
        ([ends("allow", ""), ends("allow", "")], &json!(true))
    );
    house.close().await;
}

#[tokio::test]
async fn explaining_leaves_nothing_behind() {
    let house = House::open().await;
    let all = TraceQuery { limit: 10, ..TraceQuery::default() };
    for usd in [50, 200, 600] {
        explain(&house, GRANT, json!({"request": payment(usd).to_string()})).await;
    }
    assert_eq!(house.signer.signatures(), 0);
    assert!(house.journal.traces(&all).await.unwrap().items.is_empty(), "nothing is recorded");
    let listed = house.desk("GET", "/operations", "").await.json();
    assert_eq!(listed["items"], json!([]), "nothing is reserved");
    let trader = countersign_core::identity::AgentId::parse("trader").unwrap();
    assert_eq!(house.ledger.parked(&trader, 10).await.unwrap(), 0);
    let versions = house.of(DESK, "GET", "/api/agents/trader/policies", "").await.json();
    assert_eq!(versions["items"].as_array().unwrap().len(), 1, "no version is made: {versions}");
    house.close().await;
}
