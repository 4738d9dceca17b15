//! Nodes that lie, lag, stand still, change, or contradict each other: attacks NO-2, NO-14, NO-18.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use alloy_primitives::{Address, B256, Bytes, U256};
use countersign_core::{
    message::{Probe, Says},
    operation::Actual,
    time::{Millis, Timestamp},
};
use countersign_engine::port::{
    Chain,
    chain::{AtFinality, Broadcast, ChainError, Expected, Finality, ReadCall},
};
use serde_json::{Value, json};

use super::stub::{Act, Stub, block, chain_of, nobody, options};
use crate::{FinalityRule, NodeChain};

const HASH: B256 = B256::repeat_byte(0xab);
const WALLET: Address = Address::repeat_byte(0x11);
static RAW: Bytes = Bytes::from_static(&[1, 2, 3]);

/// One second after the blocks of [`block`] were mined.
fn wall() -> Timestamp {
    Timestamp::from_millis(1_000_000_001_000)
}

fn told<T: std::fmt::Debug>(result: Result<T, ChainError>) -> String {
    result.unwrap_err().to_string()
}

fn refuses(code: i64, message: &str) -> Act {
    Act::Error(json!({"code": code, "message": message}))
}

/// Attack NO-2.
#[tokio::test]
async fn the_next_node_gets_the_same_bytes_and_its_words_are_told() {
    let first = Stub::new(|_| Act::Result(json!(HASH))).await;
    let second = Stub::new(|_| refuses(-32000, "nonce too low: next nonce 5, tx nonce 4")).await;
    let chain = chain_of(&[&first, &second]);
    assert_eq!(chain.broadcast(&RAW, HASH).await, Broadcast::Accepted);
    let sent_first = first.seen()[0].params.clone();
    drop(first);
    // a pooled connection may break before the next one is refused
    let mut said = chain.broadcast(&RAW, HASH).await;
    if matches!(said, Broadcast::Unknown(_)) {
        said = chain.broadcast(&RAW, HASH).await;
    }
    assert!(matches!(said, Broadcast::NonceTooLow(_)), "{said:?}");
    assert_eq!(second.seen()[0].params, sent_first);
}

#[tokio::test]
async fn a_node_that_takes_no_transactions_leaves_them_to_the_next() {
    for (code, message) in [
        (-32601, "the method eth_sendRawTransaction does not exist/is not available"),
        (-32005, "daily request count exceeded, request rate limited"),
        (-32002, "Transaction pool not enabled. (Either txpool explicitly disabled, ..)"),
        (-32000, "sequencer temporarily not available"),
    ] {
        let closed = Stub::new(move |_| refuses(code, message)).await;
        let open = Stub::new(|_| Act::Result(json!(HASH))).await;
        let sent = chain_of(&[&closed, &open]).broadcast(&RAW, HASH).await;
        assert_eq!(sent, Broadcast::Accepted, "{message}");
        assert_eq!(closed.seen()[0].params, open.seen()[0].params);
        let alone = chain_of(&[&closed]).broadcast(&RAW, HASH).await;
        assert!(
            matches!(&alone, Broadcast::Unknown(words) if words.contains(message)),
            "{alone:?}"
        );
    }
}

#[tokio::test]
async fn an_answer_that_leaves_open_what_was_taken_ends_the_sending() {
    for (code, message) in [
        (-32603, "internal error"),
        (-32000, "context deadline exceeded"),
        (-32000, "insufficient funds for gas * price + value"),
        (-32005, "Transaction gas limit exceeds block gas limit"),
    ] {
        let first = Stub::new(move |_| refuses(code, message)).await;
        let second = Stub::new(|_| Act::Result(json!(HASH))).await;
        let sent = chain_of(&[&first, &second]).broadcast(&RAW, HASH).await;
        assert_ne!(sent, Broadcast::Accepted, "{message}");
        assert_eq!(second.count("eth_sendRawTransaction"), 0, "{message}");
    }
}

/// A node whose chain id a test sets, and which then breaks the next connection once.
async fn changing() -> (Stub, Arc<Mutex<Value>>, Arc<AtomicBool>) {
    let (id, breaks) = (Arc::new(Mutex::new(json!("0x7a69"))), Arc::new(AtomicBool::new(false)));
    let (shown, breaking) = (Arc::clone(&id), Arc::clone(&breaks));
    let node = Stub::bare(move |seen| match seen.method.as_str() {
        "eth_chainId" => Act::Result(shown.lock().unwrap().clone()),
        _ if breaking.swap(false, Ordering::SeqCst) => Act::Drop,
        _ => Act::Result(json!("0x")),
    })
    .await;
    (node, id, breaks)
}

fn call() -> ReadCall {
    ReadCall { method: "eth_call", params: "[]".into() }
}

#[tokio::test]
async fn a_broken_connection_may_lead_to_another_chain() {
    let (node, id, breaks) = changing().await;
    let chain = chain_of(&[&node]);
    chain.read(call()).await.unwrap();
    breaks.store(true, Ordering::SeqCst);
    chain.read(call()).await.unwrap();
    assert_eq!(node.count("eth_chainId"), 2, "one for each connection");
    *id.lock().unwrap() = json!("0x1");
    breaks.store(true, Ordering::SeqCst);
    let asked = node.count("eth_call");
    let error = told(chain.read(call()).await);
    assert!(error.contains("it serves chain 1, not 31337"), "{error}");
    assert_eq!(node.count("eth_call"), asked + 1, "the wrong chain is not asked");
}

#[tokio::test]
async fn the_chain_id_is_looked_at_again_and_again() {
    let (node, id, _) = changing().await;
    let mut options = options(&[node.url()]);
    options.chain_id_ttl = Millis::ZERO;
    let chain = NodeChain::new(options).unwrap();
    for _ in 0..3 {
        chain.read(call()).await.unwrap();
    }
    *id.lock().unwrap() = json!("0x1");
    assert!(told(chain.read(call()).await).contains("it serves chain 1"));
    assert!(matches!(chain.broadcast(&RAW, HASH).await, Broadcast::Unknown(_)));
    assert_eq!((node.count("eth_call"), node.count("eth_sendRawTransaction")), (3, 0));
    *id.lock().unwrap() = json!("0x7a69");
    chain.read(call()).await.unwrap();
}

/// A node at block 100, mined so many seconds after the year-2001 instant of [`block`].
async fn mined_at(seconds: i64) -> Stub {
    let mined = format!("{:#x}", 1_000_000_000_i64.saturating_add(seconds));
    Stub::new(move |seen| match (seen.method.as_str(), seen.params[0].as_str()) {
        ("eth_getBlockByNumber", Some("latest")) => {
            let mut newest = block(100, 1);
            newest["timestamp"] = json!(mined);
            Act::Result(newest)
        }
        ("eth_getBlockByNumber", _) => Act::Result(block(100, 1)),
        ("eth_call" | "eth_getCode", _) => Act::Result(json!("0x")),
        ("eth_sendRawTransaction", _) => Act::Result(json!(HASH)),
        _ => Act::Result(json!("0x1")),
    })
    .await
}

fn watchful(urls: &[String], stale_after: &str) -> NodeChain {
    let mut options = options(urls);
    (options.stale_after, options.head_ttl) = (Some(stale_after.parse().unwrap()), Millis::ZERO);
    options.wall = Some(wall);
    NodeChain::new(options).unwrap()
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
async fn an_old_head_is_no_ground_to_decide_or_settle_on() {
    for (seconds, believed, why) in [
        (0, true, ""),
        (-598, true, ""),
        (-600, false, "is 601 s old"),
        (-10_800, false, "is 10801 s old"),
        (601, true, ""),
        (602, false, "is 601 s ahead of this machine's clock"),
    ] {
        let node = mined_at(seconds).await;
        let chain = watchful(&[node.url()], "10m");
        let facts = [
            chain.head().await.map(drop),
            chain.account(WALLET).await.map(drop),
            chain.has_code(WALLET).await.map(drop),
            chain.finality(&actual()).await.map(drop),
            chain.final_nonce(WALLET).await.map(drop),
        ];
        for fact in facts {
            assert_eq!(fact.is_ok(), believed, "{seconds}: {fact:?}");
            assert!(believed || told(fact.clone()).contains(why), "{seconds}: {fact:?}");
        }
        // what an agent reads is its own affair, and signed bytes are never kept back
        assert!(chain.read(call()).await.is_ok(), "{seconds}");
        assert_eq!(chain.broadcast(&RAW, HASH).await, Broadcast::Accepted);
    }
}

#[tokio::test]
async fn a_fresh_node_answers_for_one_that_stands_still() {
    let (old, fresh) = (mined_at(-10_800).await, mined_at(0).await);
    let chain = watchful(&[old.url(), fresh.url()], "10m");
    assert_eq!(chain.head().await.unwrap().number, 100);
    assert_eq!(chain.account(WALLET).await.unwrap().nonce, 1);
    assert_eq!(chain.finality(&actual()).await, Ok(Finality::Final));
    assert_eq!(old.count("eth_getBalance"), 0);
}

#[tokio::test]
async fn a_head_that_does_not_move_grows_old() {
    let height = Arc::new(AtomicU64::new(100));
    let shown = Arc::clone(&height);
    let node = Stub::new(move |seen| match seen.method.as_str() {
        "eth_getBlockByNumber" => Act::Result(block(shown.load(Ordering::SeqCst), 1)),
        _ => Act::Result(json!("0x1")),
    })
    .await;
    let mut options = options(&[node.url()]);
    (options.stale_after, options.head_ttl) = (Some(Millis(50)), Millis::ZERO);
    let chain = NodeChain::new(options).unwrap();
    assert_eq!(chain.head().await.unwrap().number, 100);
    let refused = async {
        loop {
            if let Err(error) = chain.head().await {
                break error.to_string();
            }
        }
    };
    let error = tokio::time::timeout(Duration::from_mins(1), refused).await.unwrap();
    assert!(error.contains("its newest block 100 is 0 s old"), "{error}");
    height.store(101, Ordering::SeqCst);
    assert_eq!(chain.head().await.unwrap().number, 101);
}

#[tokio::test]
async fn a_chain_that_mines_only_transactions_never_grows_old() {
    let node = mined_at(-10_800).await;
    let chain = chain_of(&[&node]);
    assert_eq!(chain.head().await.unwrap().number, 100);
    assert_eq!(chain.finality(&actual()).await, Ok(Finality::Final));
}

#[tokio::test]
async fn a_chain_that_was_set_back_is_unavailable() {
    let height = Arc::new(AtomicU64::new(1000));
    let shown = Arc::clone(&height);
    let node = Stub::new(move |seen| match seen.method.as_str() {
        "eth_getBlockByNumber" => Act::Result(block(shown.load(Ordering::SeqCst), 1)),
        _ => Act::Result(json!("0x1")),
    })
    .await;
    let mut options = options(&[node.url()]);
    options.head_ttl = Millis::ZERO;
    let chain = NodeChain::new(options).unwrap();
    for (head, believed) in [(1000, true), (744, true), (743, false), (0, false), (1001, true)] {
        height.store(head, Ordering::SeqCst);
        let asked = chain.account(WALLET).await;
        assert_eq!(asked.is_ok(), believed, "{head}: {asked:?}");
    }
}

/// A node at block 200 that holds this at height 100.
async fn holding(canonical: Value) -> Stub {
    Stub::new(move |seen| match seen.params[0].as_str() {
        Some("latest") => Act::Result(block(200, 9)),
        _ => Act::Result(canonical.clone()),
    })
    .await
}

async fn finality_of(urls: &[String], rule: FinalityRule) -> Result<Finality, ChainError> {
    let mut options = options(urls);
    options.finality = rule;
    NodeChain::new(options).unwrap().finality(&actual()).await
}

#[tokio::test]
async fn nothing_is_final_that_another_node_contradicts() {
    let (ours, other, missing) = (block(100, 1), block(100, 2), Value::Null);
    let (last, deep) = (FinalityRule::Blocks(1), FinalityRule::Blocks(1000));
    for (first, second, rule, expected) in [
        (&ours, &ours, last, Some(Finality::Final)),
        (&ours, &missing, last, Some(Finality::Final)),
        (&ours, &other, last, None),
        (&ours, &other, deep, Some(Finality::Pending)),
        (&other, &ours, last, Some(Finality::Pending)),
        (&other, &other, last, Some(Finality::Gone)),
        (&other, &missing, last, Some(Finality::Gone)),
        (&missing, &ours, last, Some(Finality::Pending)),
        (&missing, &other, last, Some(Finality::Pending)),
    ] {
        let (a, b) = (holding(first.clone()).await, holding(second.clone()).await);
        let verdict = finality_of(&[a.url(), b.url()], rule).await;
        assert_eq!(verdict.clone().ok(), expected, "{first} and {second}: {verdict:?}");
        let is_told = |error: ChainError| error.to_string().contains("disagree about block 100");
        assert!(expected.is_some() || is_told(verdict.unwrap_err()));
    }
}

#[tokio::test]
async fn a_node_that_does_not_answer_contradicts_nobody() {
    let (good, bad) = (holding(block(100, 1)).await, holding(json!("nonsense")).await);
    for urls in [
        [good.url(), nobody().await],
        [nobody().await, good.url()],
        [good.url(), bad.url()],
        [bad.url(), good.url()],
    ] {
        assert_eq!(finality_of(&urls, FinalityRule::Blocks(1)).await, Ok(Finality::Final));
    }
    assert!(finality_of(&[bad.url()], FinalityRule::Blocks(1)).await.is_err());
}

#[tokio::test]
async fn a_block_has_to_hold_what_its_receipt_says() {
    let mut without = block(100, 1);
    without["transactions"] = json!([B256::repeat_byte(7)]);
    let node = holding(without).await;
    let error = told(finality_of(&[node.url()], FinalityRule::Blocks(1)).await);
    assert!(error.contains("a block without the transaction"), "{error}");
}

#[tokio::test]
async fn a_finalized_block_above_the_newest_is_not_believed() {
    for (finalized, believed) in [(200, true), (201, false)] {
        let node = Stub::new(move |seen| match seen.params[0].as_str() {
            Some("latest") => Act::Result(block(200, 9)),
            Some("finalized") => Act::Result(block(finalized, 8)),
            _ => Act::Result(block(100, 1)),
        })
        .await;
        let verdict = finality_of(&[node.url()], FinalityRule::Finalized).await;
        assert_eq!(verdict.is_ok(), believed, "{finalized}: {verdict:?}");
    }
}

async fn counting(nonce: u64) -> Stub {
    Stub::new(move |seen| match seen.method.as_str() {
        "eth_getTransactionCount" => Act::Result(json!(format!("{nonce:#x}"))),
        _ => Act::Result(block(200, 9)),
    })
    .await
}

#[tokio::test]
async fn one_node_alone_cannot_use_up_a_nonce() {
    let (low, high) = (counting(4).await, counting(400).await);
    let silent = nobody().await;
    for (urls, expected) in [
        (vec![high.url(), low.url()], Some(4)),
        (vec![low.url(), high.url()], Some(4)),
        (vec![high.url()], Some(400)),
        (vec![silent.clone(), high.url()], Some(400)),
        (vec![high.url(), silent.clone()], Some(400)),
        (vec![silent], None),
    ] {
        let chain = NodeChain::new(options(&urls)).unwrap();
        assert_eq!(chain.final_nonce(WALLET).await.ok(), expected, "{urls:?}");
    }
}

const EARLIER: u64 = 1_000_000_000;
const LATER: u64 = 1_000_000_009;

/// A node whose newest block was made at this second, and which answers every question alike.
async fn asked(time: u64, answer: Act) -> Stub {
    let mut newest = block(200, 9);
    newest["timestamp"] = json!(format!("{time:#x}"));
    Stub::new(move |seen| match seen.method.as_str() {
        "eth_call" => answer.clone(),
        _ => Act::Result(newest.clone()),
    })
    .await
}

#[tokio::test]
async fn one_node_alone_can_neither_use_up_nor_outlive_a_signature() {
    let word = |number: u64| Act::Result(json!(B256::from(U256::from(number))));
    let (unused, used, later) =
        (asked(EARLIER, word(4)).await, asked(EARLIER, word(5)).await, asked(LATER, word(4)).await);
    let refusing = asked(EARLIER, refuses(3, "execution reverted")).await;
    let troubled = asked(LATER, refuses(-32005, "request rate limited")).await;
    let silent = nobody().await;
    let probe =
        Probe { contract: WALLET, call: RAW.clone(), word: 0, says: Says::Above(U256::from(4)) };
    for (urls, expected) in [
        (vec![unused.url()], Some((EARLIER, Some(false)))),
        (vec![used.url()], Some((EARLIER, Some(true)))),
        (vec![refusing.url()], Some((EARLIER, None))),
        (vec![later.url()], Some((LATER, Some(false)))),
        (vec![later.url(), unused.url()], Some((EARLIER, Some(false)))),
        (vec![unused.url(), later.url()], Some((EARLIER, Some(false)))),
        (vec![used.url(), unused.url()], Some((EARLIER, None))),
        (vec![unused.url(), used.url()], Some((EARLIER, None))),
        (vec![refusing.url(), used.url()], Some((EARLIER, None))),
        (vec![used.url(), refusing.url()], Some((EARLIER, None))),
        (vec![troubled.url(), used.url()], Some((EARLIER, Some(true)))),
        (vec![used.url(), silent.clone()], Some((EARLIER, Some(true)))),
        (vec![troubled.url()], None),
        (vec![silent], None),
    ] {
        let chain = NodeChain::new(options(&urls)).unwrap();
        let said = chain.at_finality(std::slice::from_ref(&probe)).await;
        let expected = expected.map(|(time, used)| AtFinality { time, used_up: vec![used] });
        assert_eq!(said.clone().ok(), expected, "{urls:?}: {said:?}");
    }
}

fn receipt(changes: &[(&str, Value)]) -> Value {
    let mut receipt = json!({
        "transactionHash": HASH, "blockNumber": "0x64", "blockHash": B256::repeat_byte(1),
        "from": WALLET, "status": "0x1", "gasUsed": "0x5208", "effectiveGasPrice": "0x2",
    });
    for (name, value) in changes {
        receipt[*name] = value.clone();
    }
    receipt
}

#[tokio::test]
async fn a_receipt_has_to_fit_what_was_signed() {
    let expected = Expected { hash: HASH, from: WALLET, gas: 21_000, price_max: 2 };
    for (changes, fits) in [
        (vec![], true),
        (vec![("effectiveGasPrice", json!("0x1"))], true),
        (vec![("effectiveGasPrice", json!("0x3"))], false),
        (vec![("gasUsed", json!("0x5209"))], false),
        (vec![("from", json!(Address::ZERO))], false),
        (vec![("transactionHash", json!(B256::ZERO))], false),
        (vec![("status", json!("0x2"))], false),
        (vec![("blockHash", Value::Null)], false),
        (vec![("blockNumber", Value::Null)], false),
    ] {
        let answer = receipt(&changes);
        let node = Stub::new(move |_| Act::Result(answer.clone())).await;
        let found = chain_of(&[&node]).receipt_of(&expected).await;
        assert_eq!(found.is_ok_and(|found| found.is_some()), fits, "{changes:?}");
        let honest = Stub::new(|_| Act::Result(receipt(&[]))).await;
        let found = chain_of(&[&node, &honest]).receipt_of(&expected).await;
        assert!(found.unwrap().is_some(), "another node knows better: {changes:?}");
    }
}

#[tokio::test]
async fn all_that_the_chain_took_is_in_the_fee() {
    let (l1, scalar) = (("l1Fee", json!("0x10")), ("operatorFeeScalar", json!("0x3d090")));
    let (constant, jovian) =
        (("operatorFeeConstant", json!("0x7")), ("daFootprintGasScalar", json!("0x190")));
    for (changes, expected) in [
        (vec![], 42_000_u64),
        (vec![l1.clone()], 42_016),
        (vec![l1.clone(), constant.clone()], 42_023),
        // a quarter of the gas, rounded up
        (vec![l1.clone(), scalar.clone(), constant.clone()], 42_023 + 5_250),
        (vec![l1, scalar, constant, jovian], 42_023 + 21_000 * 250_000 * 100),
    ] {
        let answer = receipt(&changes);
        let node = Stub::new(move |_| Act::Result(answer.clone())).await;
        let found = chain_of(&[&node]).receipt(HASH).await.unwrap().unwrap();
        assert_eq!(found.fee_wei, U256::from(expected), "{changes:?}");
    }
}
