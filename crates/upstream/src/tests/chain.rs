//! What the engine asks of a chain.

use alloy_primitives::{Address, B256, Bytes, U256};
use countersign_core::{
    identity::ChainId, operation::Actual, time::Millis, transaction::TransactionDraft,
};
use countersign_engine::port::{
    Chain,
    chain::{Account, Broadcast, Estimate, Finality},
};
use futures_util::future::join_all;
use serde_json::{Value, json};

use super::stub::{Act, Seen, Stub, block, chain_of, options};
use crate::{FinalityRule, NodeChain};

const HASH: B256 = B256::repeat_byte(0xab);
const WALLET: Address = Address::repeat_byte(0x11);

/// A node at block 100 with the usual answers.
fn usual(seen: &Seen) -> Act {
    Act::Result(match seen.method.as_str() {
        "eth_getBlockByNumber" => block(100, 1),
        "eth_gasPrice" => json!("0x77359400"),
        "eth_maxPriorityFeePerGas" => json!("0x5"),
        "eth_getBalance" => json!("0xde0b6b3a7640000"),
        "eth_getTransactionCount" => json!("0x9"),
        "eth_getCode" if seen.params[0] == json!(WALLET) => json!("0x"),
        "eth_getCode" => json!("0x6001"),
        "eth_sendRawTransaction" => json!(HASH),
        other => panic!("not expected: {other}"),
    })
}

#[tokio::test]
async fn a_head_is_one_question_for_all_who_ask_at_once() {
    let node = Stub::new(usual).await;
    let mut options = options(&[node.url()]);
    options.head_ttl = "1h".parse().unwrap();
    let chain = NodeChain::new(options).unwrap();
    let heads = join_all((0..50).map(|_| chain.head())).await;
    let head = heads[0].clone().unwrap();
    assert!(heads.into_iter().all(|other| other == Ok(head)));
    assert_eq!((head.number, head.hash), (100, B256::repeat_byte(1)));
    assert_eq!((head.gas_limit, head.base_fee), (30_000_000, Some(1_000_000_000)));
    assert_eq!((head.tip, head.gas_price), (5, 2_000_000_000));
    assert_eq!(node.seen().len(), 3, "{:?}", node.seen());
    assert_eq!(node.count("eth_chainId"), 1);
}

#[tokio::test]
async fn a_chain_without_tips_suggests_what_its_price_leaves() {
    let answers = |with_base: bool| {
        move |seen: &Seen| match seen.method.as_str() {
            "eth_maxPriorityFeePerGas" => {
                Act::Error(json!({"code": -32601, "message": "method not found"}))
            }
            "eth_getBlockByNumber" if !with_base => {
                let mut legacy = block(1, 1);
                legacy.as_object_mut().unwrap().remove("baseFeePerGas");
                Act::Result(legacy)
            }
            _ => usual(seen),
        }
    };
    for (with_base, base_fee, tip) in [(true, Some(1_000_000_000), 1_000_000_000), (false, None, 0)]
    {
        let node = Stub::new(answers(with_base)).await;
        let head = chain_of(&[&node]).head().await.unwrap();
        assert_eq!((head.base_fee, head.tip), (base_fee, tip));
    }
}

#[tokio::test]
async fn accounts_and_code_are_asked_once_a_block_and_anew_after_our_own_send() {
    let node = Stub::new(usual).await;
    let mut options = options(&[node.url()]);
    options.head_ttl = "1h".parse().unwrap();
    let chain = NodeChain::new(options).unwrap();
    let account = Account { balance: U256::from(1_000_000_000_000_000_000_u64), nonce: 9 };
    for result in join_all((0..20).map(|_| chain.account(WALLET))).await {
        assert_eq!(result, Ok(account));
    }
    assert_eq!(node.count("eth_getBalance"), 1);
    assert_eq!(chain.broadcast(&Bytes::from_static(&[1]), HASH).await, Broadcast::Accepted);
    assert_eq!(chain.account(WALLET).await, Ok(account));
    assert_eq!(node.count("eth_getBalance"), 2);
    for asked in [3, 3, 3] {
        assert_eq!(chain.account_with(WALLET, 9).await, Ok(account));
        assert_eq!(
            node.count("eth_getBalance"),
            asked,
            "a send makes nothing old that counts enough"
        );
        chain.broadcast(&Bytes::from_static(&[1]), HASH).await;
    }
    assert_eq!(chain.account_with(WALLET, 10).await, Ok(account));
    assert_eq!(node.count("eth_getBalance"), 4, "one transaction more is known to be mined");
    for _ in 0..3 {
        assert_eq!(chain.has_code(WALLET).await, Ok(false));
        assert_eq!(chain.has_code(Address::ZERO).await, Ok(true));
    }
    assert_eq!(node.count("eth_getCode"), 2);
}

fn draft() -> TransactionDraft {
    TransactionDraft {
        from: None,
        to: Some(Address::repeat_byte(0x22)),
        value: U256::from(16),
        data: Bytes::from_static(&[0xaa]),
        gas: None,
        gas_price: None,
        max_fee_per_gas: Some(255),
        max_priority_fee_per_gas: None,
        nonce: Some(7),
        kind: None,
        chain: Some(ChainId(31337)),
        access_list: Vec::new(),
        authorizations: Vec::new(),
    }
}

#[tokio::test]
async fn an_estimate_asks_for_exactly_the_drafts_fields() {
    let node = Stub::new(|_| Act::Result(json!("0x5208"))).await;
    let chain = chain_of(&[&node]);
    assert_eq!(chain.estimate_gas(WALLET, &draft()).await, Ok(Estimate::Gas(21_000)));
    let expected = json!([{
        "from": WALLET, "to": Address::repeat_byte(0x22), "value": "0x10", "data": "0xaa",
        "maxFeePerGas": "0xff",
    }]);
    assert_eq!(node.seen()[0].params, expected);
    let bare = TransactionDraft {
        to: None,
        data: Bytes::new(),
        max_fee_per_gas: None,
        gas: Some(16),
        ..draft()
    };
    chain.estimate_gas(WALLET, &bare).await.unwrap();
    let expected = json!([{ "from": WALLET, "value": "0x10", "gas": "0x10" }]);
    assert_eq!(node.seen()[1].params, expected);
}

#[tokio::test]
async fn an_estimate_that_fails_is_told_and_one_that_cannot_be_made_is_unavailable() {
    let error = |code: i64, message: &str| {
        let error = json!({"code": code, "message": message, "data": "0x08c379a0"});
        Stub::new(move |_| Act::Error(error.clone()))
    };
    let reverts = error(3, "execution reverted: no").await;
    let fails = Estimate::Fails {
        code: 3,
        message: "execution reverted: no".into(),
        data: Some(Bytes::from_static(b"\"0x08c379a0\"")),
    };
    assert_eq!(chain_of(&[&reverts]).estimate_gas(WALLET, &draft()).await, Ok(fails.clone()));
    let behind = error(-32000, "header not found").await;
    assert!(chain_of(&[&behind]).estimate_gas(WALLET, &draft()).await.is_err());
    let both = chain_of(&[&behind, &reverts]);
    assert_eq!(both.estimate_gas(WALLET, &draft()).await, Ok(fails));
}

fn receipt() -> Value {
    json!({
        "transactionHash": HASH, "blockNumber": "0x64", "blockHash": B256::repeat_byte(1), "from": WALLET,
        "status": "0x1", "gasUsed": "0x5208", "effectiveGasPrice": "0x2", "logs": [], "type": "0x2",
    })
}

fn with(name: &str, value: Value) -> Value {
    let mut receipt = receipt();
    receipt[name] = value;
    receipt
}

/// As some nodes show what is not mined yet.
fn pending() -> Value {
    let mut receipt = with("blockHash", Value::Null);
    receipt["blockNumber"] = Value::Null;
    receipt
}

fn actual() -> Actual {
    Actual {
        hash: HASH,
        block_number: 100,
        block_hash: B256::repeat_byte(1),
        succeeded: true,
        fee_wei: U256::from(42_000),
    }
}

#[tokio::test]
async fn a_receipt_is_read_with_all_that_the_chain_charged() {
    for (answer, expected) in [
        (receipt(), Some(actual())),
        (with("l1Fee", json!("0x10")), Some(Actual { fee_wei: U256::from(42_016), ..actual() })),
        (with("status", json!("0x0")), Some(Actual { succeeded: false, ..actual() })),
        (json!(null), None),
        (pending(), None),
    ] {
        let told = answer.to_string();
        let node = Stub::new(move |_| Act::Result(answer.clone())).await;
        assert_eq!(chain_of(&[&node]).receipt(HASH).await, Ok(expected), "{told}");
    }
}

/// Attack NO-14.
#[tokio::test]
async fn a_receipt_that_makes_no_sense_is_no_receipt() {
    for answer in [
        with("transactionHash", json!(B256::repeat_byte(9))),
        with("status", json!(null)),
        with("gasUsed", json!("many")),
        with("effectiveGasPrice", json!(format!("{:#x}", U256::MAX))),
        json!("0x"),
        json!([]),
    ] {
        let told = answer.to_string();
        let node = Stub::new(move |_| Act::Result(answer.clone())).await;
        assert!(chain_of(&[&node]).receipt(HASH).await.is_err(), "{told}");
    }
}

#[tokio::test]
async fn a_receipt_is_looked_for_at_every_node() {
    let without = Stub::new(|_| Act::Result(json!(null))).await;
    let has = Stub::new(|_| Act::Result(receipt())).await;
    assert_eq!(chain_of(&[&without, &has]).receipt(HASH).await, Ok(Some(actual())));
    assert_eq!(chain_of(&[&without, &without]).receipt(HASH).await, Ok(None));
}

/// A node whose newest block, finalized block and block 100 are as given.
async fn at(head: u64, finalized: Value, canonical: Value) -> Stub {
    Stub::new(move |seen| match (seen.method.as_str(), seen.params[0].as_str()) {
        ("eth_getBlockByNumber", Some("latest")) => Act::Result(block(head, 9)),
        ("eth_getBlockByNumber", Some("finalized")) => Act::Result(finalized.clone()),
        ("eth_getBlockByNumber", Some("0x64")) => Act::Result(canonical.clone()),
        ("eth_getTransactionCount", Some(_)) => Act::Result(json!("0x4")),
        _ => usual(seen),
    })
    .await
}

fn chain_with(node: &Stub, finality: FinalityRule) -> NodeChain {
    let mut options = options(&[node.url()]);
    (options.finality, options.head_ttl) = (finality, Millis::ZERO);
    NodeChain::new(options).unwrap()
}

#[tokio::test]
async fn a_receipt_is_final_when_the_rule_says_so_and_its_block_is_canonical() {
    let (ours, other, missing) = (block(100, 1), block(100, 2), Value::Null);
    for (rule, head, finalized, canonical, expected) in [
        (FinalityRule::Blocks(1), 100, &missing, &ours, Finality::Final),
        (FinalityRule::Blocks(0), 100, &missing, &ours, Finality::Final),
        (FinalityRule::Blocks(1), 99, &missing, &missing, Finality::Pending),
        (FinalityRule::Blocks(2), 100, &missing, &ours, Finality::Pending),
        (FinalityRule::Blocks(2), 101, &missing, &ours, Finality::Final),
        (FinalityRule::Blocks(200), 101, &missing, &ours, Finality::Pending),
        (FinalityRule::Blocks(u64::MAX), 101, &missing, &ours, Finality::Pending),
        (FinalityRule::Blocks(1), 200, &missing, &other, Finality::Gone),
        (FinalityRule::Blocks(200), 101, &missing, &other, Finality::Gone),
        (FinalityRule::Blocks(1), 200, &missing, &missing, Finality::Pending),
        (FinalityRule::Finalized, 200, &block(99, 8), &ours, Finality::Pending),
        (FinalityRule::Finalized, 200, &block(100, 1), &ours, Finality::Final),
        (FinalityRule::Finalized, 200, &missing, &ours, Finality::Pending),
        (FinalityRule::Finalized, 200, &block(150, 8), &other, Finality::Gone),
    ] {
        let node = at(head, finalized.clone(), canonical.clone()).await;
        let finality = chain_with(&node, rule).finality(&actual()).await;
        assert_eq!(finality, Ok(expected), "{rule:?} at {head}, {finalized}, {canonical}");
    }
}

#[tokio::test]
async fn a_thousand_receipts_of_one_block_are_few_questions() {
    let node = at(100, Value::Null, block(100, 1)).await;
    let mut options = options(&[node.url()]);
    options.head_ttl = "1h".parse().unwrap();
    let chain = NodeChain::new(options).unwrap();
    let actual = actual();
    let verdicts = join_all((0..1000).map(|_| chain.finality(&actual))).await;
    assert!(verdicts.into_iter().all(|verdict| verdict == Ok(Finality::Final)));
    assert_eq!(node.count("eth_getBlockByNumber"), 2);
}

#[tokio::test]
async fn the_hash_at_a_height_is_asked_anew_each_time() {
    let node = Stub::new(|seen| {
        Act::Result(match seen.params[0].as_str() {
            Some("0x64") => block(100, 7),
            Some("0x65") => Value::Null,
            _ => block(1, 7),
        })
    })
    .await;
    let chain = chain_of(&[&node]);
    for _ in 0..3 {
        assert_eq!(chain.block_hash(100).await, Ok(Some(B256::repeat_byte(7))));
        assert_eq!(chain.block_hash(101).await, Ok(None));
        assert!(chain.block_hash(102).await.is_err(), "another block was named");
    }
    assert_eq!(node.count("eth_getBlockByNumber"), 9);
}

#[tokio::test]
async fn the_final_nonce_is_read_at_the_newest_final_block() {
    for (rule, height) in [
        (FinalityRule::Blocks(1), "0x65"),
        (FinalityRule::Blocks(3), "0x63"),
        (FinalityRule::Blocks(500), "0x0"),
        (FinalityRule::Finalized, "0x5a"),
    ] {
        let node = at(101, block(90, 8), Value::Null).await;
        assert_eq!(chain_with(&node, rule).final_nonce(WALLET).await, Ok(4));
        let last = node.seen().pop().unwrap();
        assert_eq!(last.params, json!([WALLET, height]), "{rule:?}");
    }
}
