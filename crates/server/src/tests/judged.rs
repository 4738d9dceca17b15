//! Calls that end in a signature, or in the reason why not, through the door.

use countersign_engine::port::Signer as _;
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt, net::TcpStream};

use super::house::{AGENT, BASIC, House, Reply, call, send};

const PAYEE: &str = "0x70997970c51812dc3a010c7d01b50e0d17dc79c8";
/// At 1000 USD for one ETH, with the fee: within 100, above 100, above 500.
const SMALL: &str = "0x38d7ea4c68000";
const LARGE: &str = "0x2c68af0bb140000";
const HUGE: &str = "0x853a0d2313c0000";

fn transfer(house: &House, value: &str) -> String {
    let from = house.signer.address();
    format!(r#"{{"from":"{from}","to":"{PAYEE}","value":"{value}"}}"#)
}

fn code(answer: &Value) -> (Option<i64>, Option<&str>) {
    let error = &answer["error"];
    (error["code"].as_i64(), error["data"]["code"].as_str())
}

async fn approve(house: &House, parked: &Value) {
    let id = parked["error"]["data"]["pending_operation_id"].as_str().unwrap();
    let shown = house.desk("GET", &format!("/pending-operations/{id}"), "").await.json();
    assert_eq!((&shown["amount"], &shown["token"]), (&json!("0.2"), &json!("eth@31337")));
    let digest = shown["digest"].as_str().unwrap();
    let body = format!(r#"{{"digest":"{digest}"}}"#);
    let yes = house.desk("POST", &format!("/pending-operations/{id}/approve"), &body).await;
    assert_eq!(yes.status, 200, "{}", yes.body);
}

#[tokio::test]
async fn an_allowed_send_returns_the_hash_and_a_repetition_the_same() {
    let house = House::open().await;
    let params = format!("[{}]", transfer(&house, SMALL));
    let first = house.call("eth_sendTransaction", &params).await;
    assert!(first["result"].as_str().is_some_and(|hash| hash.len() == 66), "{first}");
    assert_eq!(house.call("eth_sendTransaction", &params).await, first);
    assert_eq!(house.signer.signatures(), 1);
    house.close().await;
}

#[tokio::test]
async fn a_denial_names_its_trace_and_the_operators_find_it() {
    let house = House::open().await;
    let params = format!("[{},{{\"reason\":\"because\"}}]", transfer(&house, HUGE));
    let denied = house.call("eth_sendTransaction", &params).await;
    assert_eq!(code(&denied), (Some(4001), Some("per_tx_limit_exceeded")), "{denied}");
    let hash = denied["error"]["data"]["trace_hash"].as_str().unwrap();
    let trace = house.desk("GET", &format!("/apps/default/traces/{hash}"), "").await.json();
    assert_eq!((&trace["status"], &trace["reasoning"]), (&json!("blocked"), &json!("because")));
    assert_eq!(trace["agentId"], "trader");
    assert_eq!(house.signer.signatures(), 0);
    house.close().await;
}

#[tokio::test]
async fn a_parked_send_is_approved_and_collected_by_the_same_request() {
    let house = House::open().await;
    let params = format!("[{}]", transfer(&house, LARGE));
    let parked = house.call("eth_sendTransaction", &params).await;
    assert_eq!(code(&parked), (Some(-32002), Some("amount_above_threshold")), "{parked}");
    assert_eq!(house.call("eth_sendTransaction", &params).await, parked);
    approve(&house, &parked).await;
    // the same request, held open until the result is there
    let headers = [("authorization", BASIC), ("prefer", "wait=30")];
    let body = call("eth_sendTransaction", &params);
    let collected = send(house.agents, "POST", "/", &headers, &body).await.json();
    assert!(collected["result"].is_string(), "{collected}");
    assert_eq!(house.signer.signatures(), 1);
    house.close().await;
}

#[tokio::test]
async fn a_held_call_is_answered_when_people_have_spoken() {
    let house = House::open().await;
    let params = format!("[{}]", transfer(&house, LARGE));
    let body = call("eth_sendTransaction", &params);
    let headers = [("authorization", BASIC), ("prefer", "wait=60")];
    let waiting = send(house.agents, "POST", "/", &headers, &body);
    let deciding = async {
        let inbox = loop {
            let inbox = house.desk("GET", "/pending-operations", "").await.json();
            if inbox["items"] != json!([]) {
                break inbox;
            }
            tokio::task::yield_now().await;
        };
        let id = inbox["items"][0]["id"].as_str().unwrap().to_owned();
        let reject = format!("/pending-operations/{id}/reject");
        assert_eq!(house.desk("POST", &reject, r#"{"reason":"not today"}"#).await.status, 200);
    };
    let (answer, ()) = tokio::join!(waiting, deciding);
    let answer = answer.json();
    assert_eq!(code(&answer), (Some(4001), Some("approval_rejected")), "{answer}");
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(message.starts_with("User denied by operator [approval_rejected]: "), "{message}");
    house.close().await;
}

#[tokio::test]
async fn a_key_is_one_operation_and_in_a_batch_one_for_each_entry() {
    let house = House::open().await;
    let keyed = |value: &str, key: &str| {
        let params = format!("[{},{{\"idempotencyKey\":\"{key}\"}}]", transfer(&house, value));
        call("eth_sendTransaction", &params)
    };
    let first = house.rpc(&keyed(SMALL, "k")).await;
    assert_eq!(house.rpc(&keyed(SMALL, "k")).await, first);
    assert_eq!(code(&house.rpc(&keyed(HUGE, "k")).await).0, Some(-32602));
    let twice = house.rpc(&format!("[{},{}]", keyed(SMALL, "m"), keyed(SMALL, "m"))).await;
    assert_eq!(twice[0]["result"], twice[1]["result"]);
    let plain = call("eth_sendTransaction", &format!("[{}]", transfer(&house, SMALL)));
    let headers = [("authorization", BASIC), ("idempotency-key", "n")];
    let batch = format!("[{plain},{plain}]");
    let shared = send(house.agents, "POST", "/", &headers, &batch).await.json();
    assert!(shared[0]["result"].is_string() && shared[1]["result"].is_string(), "{shared}");
    assert_ne!(shared[0]["result"], shared[1]["result"]);
    assert_eq!(house.signer.signatures(), 4);
    house.close().await;
}

#[tokio::test]
async fn signing_returns_raw_bytes_and_to_web3_py_its_own_shape() {
    let house = House::open().await;
    let params = format!("[{}]", transfer(&house, SMALL));
    let body = call("eth_signTransaction", &params);
    let raw = house.rpc(&body).await["result"].clone();
    assert!(raw.as_str().is_some_and(|raw| raw.starts_with("0x02")), "{raw}");
    let python = [("authorization", BASIC), ("user-agent", "web3.py/7.16.0/x")];
    let shaped = send(house.agents, "POST", "/", &python, &body).await.json()["result"].clone();
    assert_eq!(shaped["raw"], raw);
    let own = format!("{:#x}", house.signer.address());
    for (field, value) in [
        ("from", json!(own)),
        ("to", json!(PAYEE)),
        ("value", json!(SMALL)),
        ("type", json!("0x2")),
        ("chainId", json!("0x7a69")),
        ("nonce", json!("0x0")),
        ("input", json!("0x")),
    ] {
        assert_eq!(shaped["tx"][field], value, "{field}");
    }
    for field in ["hash", "gas", "maxFeePerGas", "maxPriorityFeePerGas", "v", "r", "s", "yParity"] {
        assert!(shaped["tx"][field].is_string(), "{field}: {shaped}");
    }
    house.close().await;
}

#[tokio::test]
async fn a_verdict_is_not_an_act() {
    let house = House::open().await;
    for (value, outcome) in [(SMALL, "allow"), (LARGE, "park"), (HUGE, "deny")] {
        let params = format!("[{}]", transfer(&house, value));
        let verdict = house.call("countersign_simulate", &params).await;
        assert_eq!(verdict["result"]["outcome"], outcome, "{verdict}");
    }
    assert!(house.ledger.all().is_empty());
    assert_eq!(house.signer.signatures(), 0);
    house.close().await;
}

#[tokio::test]
async fn accounts_of_others_and_of_nobody_are_refused_alike() {
    let house = House::open().await;
    let cold = countersign_testkit::FakeSigner::new(9).address();
    let nobody = format!("[{{\"from\":\"{PAYEE}\",\"to\":\"{PAYEE}\"}}]");
    let foreign = format!("[{{\"from\":\"{cold}\",\"to\":\"{PAYEE}\"}}]");
    let nobody = house.call("eth_sendTransaction", &nobody).await["error"].clone();
    let foreign = house.call("eth_sendTransaction", &foreign).await["error"].clone();
    assert_eq!(nobody["code"], 4100);
    let told = |error: &Value| error.to_string().to_lowercase();
    let masked = told(&foreign).replace(&told(&json!(cold)).replace('"', ""), PAYEE);
    assert_eq!(masked, told(&nobody));
    house.close().await;
}

#[tokio::test]
async fn a_caller_who_hangs_up_finds_the_result_by_asking_again() {
    let house = House::open().await;
    let params = format!("[{}]", transfer(&house, SMALL));
    let body = call("eth_sendTransaction", &params);
    let request = format!(
        "POST /k/{AGENT} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(house.agents).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    drop(stream);
    let Reply { status, .. } = house.post("/", &body).await;
    assert_eq!(status, 200);
    let answer = house.rpc(&body).await;
    assert!(answer["result"].is_string(), "{answer}");
    assert_eq!(house.signer.signatures(), 1);
    house.close().await;
}

#[tokio::test]
async fn without_the_store_nothing_is_signed_and_it_is_safe_to_repeat() {
    use countersign_engine::port::ledger::LedgerError;

    let house = House::open().await;
    let params = format!("[{}]", transfer(&house, SMALL));
    house.ledger.break_with(Some(LedgerError::Unavailable("gone".into())));
    let answer = house.call("eth_sendTransaction", &params).await;
    assert_eq!(code(&answer).0, Some(-32010), "{answer}");
    assert_eq!(house.desk("GET", "/operations", "").await.status, 503);
    let ready = send(house.operators, "GET", "/readyz", &[], "").await;
    assert_eq!((ready.status, &ready.json()["store"]), (503, &json!("unavailable")));
    house.ledger.break_with(None);
    assert!(house.call("eth_sendTransaction", &params).await["result"].is_string());
    assert_eq!(house.signer.signatures(), 1);
    house.close().await;
}

/// Twenty are named; how many they are and what they come to is said of all.
#[tokio::test]
async fn no_number_of_requests_hides_what_a_recipient_was_paid() {
    const STRANGER: &str = "0x3c44cdddb6a900fa2b585dd299e03d12fa4293bc";
    let house = House::open().await;
    let (ether, from) = (10_u64.pow(18), house.signer.address());
    let pay = async |to: &str, wei: u64| {
        let params = format!(r#"[{{"from":"{from}","to":"{to}","value":"{wei:#x}"}}]"#);
        house.call("eth_sendTransaction", &params).await
    };
    assert!(pay(PAYEE, ether / 1000 * 90).await["result"].is_string());
    for n in 1..=9 {
        assert!(pay(PAYEE, ether / 1000 + n).await["result"].is_string(), "{n}");
    }
    assert!(pay(STRANGER, ether / 1000).await["result"].is_string());
    for n in 1..=20 {
        let denied = pay(PAYEE, ether * 6 / 10 + n).await;
        assert_eq!(code(&denied), (Some(4001), Some("per_tx_limit_exceeded")), "{denied}");
    }
    let parked = pay(PAYEE, ether / 5).await;
    let id = parked["error"]["data"]["pending_operation_id"].as_str().unwrap();
    let history = house.desk("GET", &format!("/pending-operations/{id}/history"), "").await.json();
    let said = |name: &str| history[name].clone();
    assert_eq!(
        (said("decisions"), said("paid"), said("unpriced")),
        (json!(30), json!(10), json!(0))
    );
    // each wei more is a millionth, rounded up
    assert_eq!((said("paid_usd"), said("largest_usd")), (json!("99.000009"), json!("90")));
    assert_eq!((said("looked_through"), said("complete")), (json!(32), json!(true)));
    assert_eq!(history["items"].as_array().map(Vec::len), Some(20));
    assert_eq!(
        history["items"][0]["status"], "blocked",
        "the newest first, and no payment among them"
    );
    assert_eq!(history["last_at"], history["items"][0]["created_at"]);
    assert!(history["first_at"].as_str() <= history["last_at"].as_str(), "{history}");
    house.close().await;
}
