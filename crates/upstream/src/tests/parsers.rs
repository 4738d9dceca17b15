//! Every reader of a node's answers against what no honest node sends: no panic, and no belief.

use std::sync::{Arc, Mutex};

use alloy_primitives::{Address, B256, Bytes, U256};
use countersign_core::{operation::Actual, time::Millis, transaction::TransactionDraft};
use countersign_engine::port::{
    Chain,
    chain::{Broadcast, Estimate},
};
use serde_json::{Value, json};

use super::stub::{Act, Stub, block, options};
use crate::{
    NodeChain,
    endpoint::Endpoint,
    transport::Reply,
    wire::{Answer, Block, Data, Number, Receipt, Wei, Word},
};

const HASH: B256 = B256::repeat_byte(0xab);
const WALLET: Address = Address::repeat_byte(0x11);

/// What stands nowhere for a number, a hash, an address or a list.
fn nonsense() -> Vec<Value> {
    vec![
        json!(null),
        json!(true),
        json!(0),
        json!(1),
        json!(-1),
        json!(1.5),
        json!(u64::MAX),
        json!(""),
        json!("0x"),
        json!("0xg"),
        json!("0x-1"),
        json!("0x+1"),
        json!("0x 1"),
        json!("0x1 "),
        json!(" 0x1"),
        json!("0x1_0"),
        json!("0X1"),
        json!("1"),
        json!("one"),
        json!("0x1.0"),
        json!(format!("0x{}", "f".repeat(65))),
        json!(format!("0x{}", "f".repeat(100_001))),
        json!({}),
        json!([[]]),
        json!([1]),
    ]
}

fn receipt() -> Value {
    json!({
        "transactionHash": HASH, "blockNumber": "0x64", "blockHash": B256::repeat_byte(1),
        "from": WALLET, "status": "0x1", "gasUsed": "0x5208", "effectiveGasPrice": "0x2",
        "l1Fee": "0x1", "operatorFeeScalar": "0x0", "operatorFeeConstant": "0x0",
        "daFootprintGasScalar": "0x0",
    })
}

/// What a reader makes of a changed member: only an absent one that may be absent is forgiven.
fn each_member(valid: &Value, optional: &[&str], is_read: impl Fn(Value) -> bool) {
    assert!(is_read(valid.clone()));
    for (name, _) in valid.as_object().unwrap() {
        let mut without = valid.clone();
        without.as_object_mut().unwrap().remove(name);
        assert_eq!(is_read(without), optional.contains(&name.as_str()), "without {name}");
        for bad in nonsense() {
            let mut changed = valid.clone();
            changed[name] = bad.clone();
            let forgiven = optional.contains(&name.as_str()) && bad.is_null();
            assert_eq!(is_read(changed), forgiven, "{name}: {bad}");
        }
    }
}

#[test]
fn a_receipt_or_block_with_a_senseless_member_is_none() {
    let optional = [
        "blockNumber",
        "blockHash",
        "l1Fee",
        "operatorFeeScalar",
        "operatorFeeConstant",
        "daFootprintGasScalar",
    ];
    each_member(&receipt(), &optional, |v| serde_json::from_value::<Receipt>(v).is_ok());
    let optional = ["baseFeePerGas"];
    each_member(&block(100, 1), &optional, |v| serde_json::from_value::<Block>(v).is_ok());
}

#[test]
fn a_quantity_is_hex_with_a_prefix_that_fits() {
    fn reads<T: serde::de::DeserializeOwned>(text: &str) -> bool {
        serde_json::from_value::<T>(json!(text)).is_ok()
    }
    let ones = |digits: usize| format!("0x{}", "f".repeat(digits));
    for (text, widths) in [
        ("0x0".to_owned(), [true, true, true]),
        ("0x00ff".to_owned(), [true, true, true]),
        ("0xFf".to_owned(), [true, true, true]),
        (ones(16), [true, true, true]),
        (ones(17), [false, true, true]),
        (ones(32), [false, true, true]),
        (ones(33), [false, false, true]),
        (ones(64), [false, false, true]),
        (ones(65), [false, false, false]),
        (format!("0x{}1", "0".repeat(64)), [false, false, false]),
    ] {
        let got = [reads::<Number>(&text), reads::<Wei>(&text), reads::<Word>(&text)];
        assert_eq!(got, widths, "{text}");
    }
    for bad in nonsense() {
        assert!(serde_json::from_value::<Word>(bad.clone()).is_err(), "{bad}");
    }
    for (text, reads) in [
        ("0x", true),
        ("0xab", true),
        ("0xabc", false),
        ("ab", false),
        ("", false),
        ("0x0x", false),
    ] {
        assert_eq!(serde_json::from_value::<Data>(json!(text)).is_ok(), reads, "{text}");
    }
}

fn read(body: &[u8]) -> Result<Answer, crate::transport::Fault> {
    let endpoint = Endpoint::parse("http://node/key/SECRETSECRET").unwrap();
    let reply = Reply { status: 200, body: bytes::Bytes::copy_from_slice(body) };
    Answer::read(&reply, 7, &endpoint)
}

#[test]
fn a_truncated_answer_is_none() {
    for whole in [
        json!({"jsonrpc": "2.0", "id": 7, "result": receipt()}).to_string(),
        json!({"jsonrpc": "2.0", "id": 7, "error": {"code": -32000, "message": "é", "data": [1]}})
            .to_string(),
    ] {
        assert!(read(whole.as_bytes()).is_ok());
        for end in 0..whole.len() {
            assert!(read(&whole.as_bytes()[..end]).is_err(), "{end} bytes of {whole}");
        }
    }
}

#[test]
fn a_secret_that_a_node_wraps_up_is_found_all_the_same() {
    for error in [
        r#"{"code": 1, "message": "SECRETSECRET"}"#,
        r#"{"code": 1, "message": "SECRET\u0000SECRET \u0053ECRETSECRET"}"#,
        r#"{"code": 1, "message": "", "data": "\u0053ECRETSECRET"}"#,
        r#"{"code": 1, "message": "", "data": {"url": ["http:\/\/node\/key\/\u0053\u0045CRETSECRET"]}}"#,
        r#"{"code": 1, "message": "", "data": {"SECRETSECRE\u0054": 1}}"#,
    ] {
        let body = format!(r#"{{"jsonrpc": "2.0", "id": 7, "error": {error}}}"#);
        let Ok(Answer::Error(clean)) = read(body.as_bytes()) else { panic!("{body}") };
        let shown = format!("{} {}", clean.message, clean.data.unwrap_or_default());
        assert!(shown.contains("***") && !shown.contains("\\u"), "{shown}");
        assert!(!shown.contains("SECRETSECRET"), "{shown}");
    }
}

/// Xorshift: the same bytes on every run.
fn noise(state: &mut u64) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    usize::try_from(*state >> 33).unwrap()
}

#[test]
fn noise_in_an_answer_is_noticed_or_is_another_digit() {
    let whole = json!({"jsonrpc": "2.0", "id": 7, "result": receipt()}).to_string();
    let (mut state, mut read_count) = (0x5eed_u64, 0);
    for _ in 0..20_000 {
        let mut bytes = whole.clone().into_bytes();
        for _ in 0..=noise(&mut state) % 3 {
            let place = noise(&mut state) % bytes.len();
            bytes[place] ^= 1 << (noise(&mut state) % 8);
        }
        let Ok(answer) = read(&bytes) else { continue };
        if answer.typed::<Receipt>().is_ok() {
            read_count += 1;
            let other = std::str::from_utf8(&bytes).unwrap();
            let same = |(a, b): &(char, char)| a == b;
            let changed = whole.chars().zip(other.chars()).filter(|pair| !same(pair));
            for (from, to) in changed {
                // a digit, or a letter in the name of a member that may be absent
                assert!(from.is_ascii_alphanumeric(), "{from:?} became {to:?} in {other}");
            }
        }
    }
    assert!((1..10_000).contains(&read_count), "{read_count}");
}

#[test]
fn whatever_bytes_come_back_nothing_breaks() {
    let mut state = 0xfeed_u64;
    let deep = "[".repeat(100_000);
    let mut bodies: Vec<Vec<u8>> = vec![
        Vec::new(),
        vec![0xff; 64],
        deep.clone().into_bytes(),
        format!(r#"{{"jsonrpc":"2.0","id":7,"result":{deep}"#).into_bytes(),
        br#"{"jsonrpc":"2.0","id":7,"error":{}}"#.to_vec(),
        br#"{"jsonrpc":"2.0","id":7,"error":"no"}"#.to_vec(),
        br#"{"jsonrpc":"2.0","id":7,"error":[]}"#.to_vec(),
        br#"{"jsonrpc":"2.0","id":7,"error":{"code":"-32000"}}"#.to_vec(),
        br#"{"jsonrpc":"2.0","id":7,"error":{"code":1e99}}"#.to_vec(),
        br#"{"jsonrpc":"2.0","id":7.0,"result":1}"#.to_vec(),
        br#"{"jsonrpc":"2.0","id":18446744073709551616,"result":1}"#.to_vec(),
        br#"{"jsonrpc":"2.0","id":7,"id":7,"result":1}"#.to_vec(),
        br#"{"jsonrpc":2.0,"id":7,"result":1}"#.to_vec(),
    ];
    for body in &bodies {
        assert!(read(body).is_err(), "{}", String::from_utf8_lossy(body));
    }
    bodies.extend((0..2000).map(|_| {
        let len = noise(&mut state) % 64;
        (0..len).map(|_| u8::try_from(noise(&mut state) % 256).unwrap()).collect()
    }));
    for body in &bodies {
        assert!(read(body).is_err());
    }
}

fn draft() -> TransactionDraft {
    TransactionDraft {
        from: None,
        to: Some(WALLET),
        value: U256::ZERO,
        data: Bytes::new(),
        gas: None,
        gas_price: None,
        max_fee_per_gas: None,
        max_priority_fee_per_gas: None,
        nonce: None,
        kind: None,
        chain: None,
        access_list: Vec::new(),
        authorizations: Vec::new(),
    }
}

/// A node that answers one method senselessly and everything else well.
async fn senseless() -> (Stub, Arc<Mutex<(&'static str, Value)>>) {
    let bad = Arc::new(Mutex::new(("", Value::Null)));
    let said = Arc::clone(&bad);
    let node = Stub::new(move |seen| {
        let (method, answer) = said.lock().unwrap().clone();
        if seen.method == method {
            return Act::Result(answer);
        }
        Act::Result(match seen.method.as_str() {
            "eth_getBlockByNumber" => block(100, 1),
            "eth_getTransactionReceipt" => receipt(),
            "eth_getCode" => json!("0x60"),
            "eth_call" => json!(B256::with_last_byte(9)),
            _ => json!("0x1"),
        })
    })
    .await;
    (node, bad)
}

fn actual() -> Actual {
    Actual {
        hash: HASH,
        block_number: 100,
        block_hash: B256::repeat_byte(1),
        succeeded: true,
        fee_wei: U256::ZERO,
    }
}

#[tokio::test]
async fn no_question_is_answered_by_nonsense() {
    let (node, bad) = senseless().await;
    let mut options = options(&[node.url()]);
    options.head_ttl = Millis::ZERO;
    let chain = NodeChain::new(options).unwrap();
    let plan = super::data_fee::plan(100);
    for answer in nonsense() {
        let says = |method: &'static str| *bad.lock().unwrap() = (method, answer.clone());
        for method in ["eth_getBlockByNumber", "eth_gasPrice", "eth_maxPriorityFeePerGas"] {
            says(method);
            assert!(chain.head().await.is_err(), "{method}: {answer}");
        }
        for method in ["eth_getBlockByNumber", "eth_getBalance", "eth_getTransactionCount"] {
            says(method);
            assert!(chain.account(WALLET).await.is_err(), "{method}: {answer}");
        }
        says("eth_getCode");
        // `0x` is the one honest answer among these
        assert_eq!(chain.has_code(WALLET).await.is_ok(), answer == "0x", "{answer}");
        says("eth_estimateGas");
        assert!(chain.estimate_gas(WALLET, &draft()).await.is_err(), "{answer}");
        says("eth_getTransactionReceipt");
        assert_eq!(chain.receipt(HASH).await.is_ok(), answer.is_null(), "{answer}");
        says("eth_getBlockByNumber");
        assert!(chain.finality(&actual()).await.is_err(), "{answer}");
        assert_eq!(chain.block_hash(100).await.is_ok(), answer.is_null(), "{answer}");
        assert!(chain.final_nonce(WALLET).await.is_err(), "{answer}");
        says("eth_getTransactionCount");
        assert!(chain.final_nonce(WALLET).await.is_err(), "{answer}");
        says("eth_call");
        assert!(chain.data_fee_max(&plan).await.is_err(), "{answer}");
        says("eth_sendRawTransaction");
        let sent = chain.broadcast(&Bytes::from_static(&[1]), HASH).await;
        assert!(matches!(sent, Broadcast::Unknown(_)), "{answer}: {sent:?}");
    }
    *bad.lock().unwrap() = ("", Value::Null);
    assert_eq!(chain.estimate_gas(WALLET, &draft()).await, Ok(Estimate::Gas(1)));
    assert!(chain.head().await.is_ok() && chain.data_fee_max(&plan).await.is_ok());
}

#[tokio::test]
async fn a_node_without_a_sensible_chain_id_is_not_used() {
    for answer in nonsense() {
        let said = answer.clone();
        let node = Stub::bare(move |_| Act::Result(said.clone())).await;
        let chain = NodeChain::new(options(&[node.url()])).unwrap();
        let sent = chain.broadcast(&Bytes::from_static(&[1]), HASH).await;
        assert!(matches!(sent, Broadcast::Unknown(_)), "{answer}");
        assert!(node.seen().is_empty(), "{answer}");
    }
}
