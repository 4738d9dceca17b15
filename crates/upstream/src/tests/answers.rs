//! What becomes of an answer, and who is asked next.

use alloy_primitives::{B256, Bytes};
use countersign_core::trail::Trail;
use countersign_engine::port::{
    Chain, Telemetry,
    chain::{Broadcast, ChainError, ReadAnswer, ReadCall},
    telemetry::{Measured, Origin},
};
use serde_json::json;

use super::stub::{Act, Stub, block, chain_of, nobody, options};
use crate::{NodeChain, UpstreamError};

const HASH: B256 = B256::repeat_byte(0xab);
static RAW: Bytes = Bytes::from_static(&[1, 2, 3]);

fn call(params: &str) -> ReadCall {
    ReadCall { method: "eth_call", params: params.into() }
}

fn answer(text: &str) -> ReadAnswer {
    ReadAnswer::Result(Bytes::copy_from_slice(text.as_bytes()))
}

fn raw(text: &str) -> Act {
    Act::Raw(200, text.into())
}

/// What a node may do instead of answering.
fn misdeeds() -> Vec<Act> {
    vec![
        Act::Drop,
        Act::Stall,
        Act::Raw(500, "{}".into()),
        Act::Raw(503, String::new()),
        Act::Raw(429, r#"{"jsonrpc":"2.0","id":2,"result":"0x"}"#.into()),
        Act::Raw(301, String::new()),
        Act::Raw(307, String::new()),
        Act::Raw(403, "forbidden".into()),
        raw(""),
        raw("<html>"),
        raw("[]"),
        raw("null"),
        raw(r#"{"jsonrpc":"2.0","id":2}"#),
        raw(r#"{"jsonrpc":"2.0","id":null,"result":"0x"}"#),
        raw(r#"{"jsonrpc":"2.0","id":"2","result":"0x"}"#),
        raw(r#"{"jsonrpc":"2.0","id":999,"result":"0x"}"#),
        raw(r#"{"jsonrpc":"1.0","id":2,"result":"0x"}"#),
        raw(r#"{"id":2,"result":"0x"}"#),
        raw(r#"{"jsonrpc":"2.0","id":2,"result":"0x","result":"0x01"}"#),
        raw(r#"{"jsonrpc":"2.0","id":2,"result":"0x"}}"#),
        raw(r#"{"jsonrpc":"2.0","id":2,"result":"0"#),
        Act::Raw(200, format!(r#"{{"jsonrpc":"2.0","id":2,"result":"{}"}}"#, "0".repeat(5000))),
    ]
}

fn small(urls: &[String]) -> NodeChain {
    let mut options = options(urls);
    options.answer_bytes_max = 4096;
    NodeChain::new(options).unwrap()
}

#[tokio::test]
async fn a_read_goes_to_the_next_node_whatever_the_first_one_does() {
    for act in misdeeds() {
        let told = format!("{act:?}");
        let bad = Stub::new(move |_| act.clone()).await;
        let good = Stub::new(|_| Act::Result(json!("0x1234"))).await;
        let chain = small(&[bad.url(), good.url()]);
        assert_eq!(chain.read(call("[]")).await, Ok(answer("\"0x1234\"")), "{told}");
        assert!(bad.count("eth_call") >= 1, "{told}");
    }
}

#[tokio::test]
async fn a_single_node_that_misbehaves_is_unavailable() {
    for act in misdeeds() {
        let told = format!("{act:?}");
        let bad = Stub::new(move |_| act.clone()).await;
        let chain = small(&[bad.url()]);
        let asked = chain.read(call("[]")).await;
        assert!(matches!(asked, Err(ChainError::Unavailable { .. })), "{told}: {asked:?}");
    }
}

/// Attack NO-1: whatever may have arrived is unknown, and no other node gets it.
#[tokio::test]
async fn signed_bytes_that_may_have_arrived_are_unknown_and_not_sent_elsewhere() {
    for act in misdeeds() {
        let told = format!("{act:?}");
        let bad = Stub::new(move |_| act.clone()).await;
        let good = Stub::new(|_| Act::Result(json!(HASH))).await;
        let chain = small(&[bad.url(), good.url()]);
        let sent = chain.broadcast(&RAW, HASH).await;
        assert!(matches!(sent, Broadcast::Unknown(_)), "{told}: {sent:?}");
        assert_eq!(bad.count("eth_sendRawTransaction"), 1, "{told}");
        assert_eq!(good.count("eth_sendRawTransaction"), 0, "{told}");
    }
}

#[tokio::test]
async fn signed_bytes_that_provably_did_not_leave_go_to_the_next_node() {
    let good = Stub::new(|_| Act::Result(json!(HASH))).await;
    let chain = NodeChain::new(options(&[nobody().await, good.url()])).unwrap();
    assert_eq!(chain.broadcast(&RAW, HASH).await, Broadcast::Accepted);
    assert_eq!(good.seen()[0].params, json!(["0x010203"]));
    let alone = NodeChain::new(options(&[nobody().await])).unwrap();
    assert!(matches!(alone.broadcast(&RAW, HASH).await, Broadcast::Unknown(_)));
}

#[tokio::test]
async fn a_node_without_tls_behind_an_https_url_gets_nothing() {
    let plain = Stub::new(|_| Act::Result(json!("0x"))).await;
    let good = Stub::new(|_| Act::Result(json!(HASH))).await;
    let tls = plain.url().replace("http://", "https://");
    let chain = NodeChain::new(options(&[tls, good.url()])).unwrap();
    assert_eq!(chain.broadcast(&RAW, HASH).await, Broadcast::Accepted);
    assert!(plain.seen().is_empty());
}

#[tokio::test]
async fn the_hash_that_a_node_names_has_to_be_ours() {
    let theirs = B256::repeat_byte(1);
    for (result, expected) in [
        (json!(HASH), Some(Broadcast::Accepted)),
        (json!(theirs), Some(Broadcast::OtherHash { theirs })),
        (json!(null), None),
        (json!("0x"), None),
        (json!(true), None),
        (json!(format!("{HASH}00")), None),
        (json!([HASH]), None),
    ] {
        let told = result.to_string();
        let node = Stub::new(move |_| Act::Result(result.clone())).await;
        let sent = chain_of(&[&node]).broadcast(&RAW, HASH).await;
        match expected {
            Some(expected) => assert_eq!(sent, expected, "{told}"),
            None => assert!(matches!(sent, Broadcast::Unknown(_)), "{told}: {sent:?}"),
        }
    }
}

#[tokio::test]
async fn a_refusal_is_told_in_the_nodes_words() {
    let node = Stub::new(|_| Act::Error(json!({"code": -32000, "message": "nonce too low"}))).await;
    let sent = chain_of(&[&node]).broadcast(&RAW, HASH).await;
    assert_eq!(sent, Broadcast::NonceTooLow("error -32000: nonce too low".into()));
}

/// Attacks NO-14 and NO-18.
#[tokio::test]
async fn a_node_of_another_chain_is_never_used() {
    let wrong = Stub::bare(|seen| match seen.method.as_str() {
        "eth_chainId" => Act::Result(json!("0x1")),
        _ => Act::Result(json!("0xbad")),
    })
    .await;
    let good = Stub::new(|seen| match seen.method.as_str() {
        "eth_call" => Act::Result(json!("0x")),
        _ => Act::Result(json!(HASH)),
    })
    .await;
    let chain = chain_of(&[&wrong, &good]);
    assert_eq!(chain.read(call("[]")).await, Ok(answer("\"0x\"")));
    assert_eq!(chain.broadcast(&RAW, HASH).await, Broadcast::Accepted);
    let alone = chain_of(&[&wrong]);
    let error = alone.read(call("[]")).await.unwrap_err().to_string();
    assert!(error.contains("it serves chain 1, not 31337"), "{error}");
    assert!(matches!(alone.broadcast(&RAW, HASH).await, Broadcast::Unknown(_)));
    assert!(wrong.seen().is_empty(), "{:?}", wrong.seen());
}

#[tokio::test]
async fn a_node_that_failed_is_asked_last_until_it_has_rested() {
    let bad = Stub::new(|_| Act::Raw(500, String::new())).await;
    let good = Stub::new(|_| Act::Result(json!("0x"))).await;
    let chain = chain_of(&[&bad, &good]);
    for _ in 0..20 {
        chain.read(call("[]")).await.unwrap();
    }
    // its rests double, so that even a very slow machine does not ask it often
    assert_eq!(good.count("eth_call"), 20);
    assert!((1..=5).contains(&bad.count("eth_call")), "{}", bad.count("eth_call"));
}

#[tokio::test]
async fn a_question_ends_at_its_deadline_however_many_nodes_there_are() {
    let stalls = Stub::bare(|_| Act::Stall).await;
    let urls = vec![stalls.url(); 50];
    let mut options = options(&urls);
    (options.attempt, options.deadline) = ("1h".parse().unwrap(), "200ms".parse().unwrap());
    let chain = NodeChain::new(options).unwrap();
    let asked = tokio::time::timeout(std::time::Duration::from_mins(1), chain.read(call("[]")));
    assert!(matches!(asked.await, Ok(Err(ChainError::Unavailable { .. }))));
    let sent = tokio::time::timeout(std::time::Duration::from_mins(1), chain.broadcast(&RAW, HASH));
    assert!(matches!(sent.await, Ok(Broadcast::Unknown(_))));
}

#[tokio::test]
async fn the_last_node_has_all_the_time_that_is_left() {
    let length = std::time::Duration::from_millis(600);
    let slow = Stub::new(move |_| Act::Slow(length, json!("0x"))).await;
    let mut options = options(&[slow.url()]);
    options.attempt = "200ms".parse().unwrap();
    let chain = NodeChain::new(options).unwrap();
    assert_eq!(chain.read(call("[]")).await, Ok(answer("\"0x\"")));
    assert!(matches!(chain.broadcast(&RAW, HASH).await, Broadcast::Unknown(_)));
}

#[tokio::test]
async fn a_node_that_was_sent_signed_bytes_never_has_more_time_than_one_attempt() {
    let stalls = Stub::new(|_| Act::Stall).await;
    let mut options = options(&[stalls.url()]);
    (options.attempt, options.deadline) = ("200ms".parse().unwrap(), "1h".parse().unwrap());
    let chain = NodeChain::new(options).unwrap();
    let sent = tokio::time::timeout(std::time::Duration::from_mins(1), chain.broadcast(&RAW, HASH));
    assert!(matches!(sent.await, Ok(Broadcast::Unknown(_))));
}

#[tokio::test]
async fn a_connection_that_broke_is_tried_once_more_for_a_read() {
    let first = std::sync::atomic::AtomicBool::new(true);
    let node = Stub::new(move |_| {
        if first.swap(false, std::sync::atomic::Ordering::SeqCst) {
            return Act::Drop;
        }
        Act::Result(json!("0x"))
    })
    .await;
    assert_eq!(chain_of(&[&node]).read(call("[]")).await, Ok(answer("\"0x\"")));
}

#[tokio::test]
async fn a_read_is_passed_on_as_it_came() {
    let node = Stub::new(|seen| match seen.params[0].as_str() {
        Some("null") => Act::Result(json!(null)),
        Some("error") => Act::Error(json!({"code": 3, "message": "no", "data": {"a": [1]}})),
        _ => Act::Result(json!({"z": 1, "a": [1, {"b": null}]})),
    })
    .await;
    let chain = chain_of(&[&node]);
    assert_eq!(
        chain.read(call(r#"[ "x", {"to": 1}]"#)).await,
        Ok(answer(r#"{"a":[1,{"b":null}],"z":1}"#))
    );
    assert_eq!(chain.read(call(r#"["null"]"#)).await, Ok(answer("null")));
    let error = ReadAnswer::Error {
        code: 3,
        message: "no".into(),
        data: Some(Bytes::from_static(br#"{"a":[1]}"#)),
    };
    assert_eq!(chain.read(call(r#"["error"]"#)).await, Ok(error));
    let seen = node.seen();
    assert_eq!(seen[0].params, json!(["x", {"to": 1}]));
    assert!(!seen[0].headers.contains_key("traceparent"), "nobody named a trail");
    assert!(chain.read(call("[not json")).await.is_err());
    assert_eq!(node.count("eth_call"), 3, "what is no JSON is not sent");
}

/// Names one trail, and notes what is measured.
#[derive(Debug, Default)]
struct Watcher(std::sync::Mutex<Vec<Measured>>);

impl Telemetry for Watcher {
    fn micros(&self) -> u64 {
        0
    }

    fn took(&self, what: Measured, _: u64) {
        self.0.lock().unwrap().push(what);
    }

    fn begin(&self, _: &tracing::Span, _: Origin<'_>) {}

    fn trail(&self) -> Option<Trail> {
        None
    }

    fn passed_on(&self) -> Option<Trail> {
        Trail::of_headers(TRAIL, Some("vendor=1"))
    }
}

const TRAIL: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[tokio::test]
async fn a_node_is_told_the_trail_and_every_exchange_is_measured() {
    let node = Stub::new(|_| Act::Result(json!("0x1"))).await;
    let telemetry = std::sync::Arc::new(Watcher::default());
    let mut options = options(&[node.url()]);
    options.telemetry = telemetry.clone();
    let chain = NodeChain::new(options).unwrap();
    assert!(chain.read(call("[]")).await.is_ok());
    let seen = node.seen();
    let heads: Vec<_> = seen.iter().map(|seen| &seen.headers).collect();
    assert!(
        heads.iter().all(|head| head["traceparent"] == TRAIL && head["tracestate"] == "vendor=1")
    );
    let measured = telemetry.0.lock().unwrap().clone();
    assert_eq!(measured, [Measured::Upstream("eth_chainId"), Measured::Upstream("eth_call")]);
}

/// Attack HT-14.
#[tokio::test]
async fn no_error_shows_a_secret_of_the_url() {
    let echo = |seen: &super::stub::Seen| {
        let words = format!("no key at {}\r\nX: y", seen.path);
        Act::Error(json!({"code": -32000, "message": words, "data": seen.path}))
    };
    let (node, broken) = (Stub::new(echo).await, Stub::new(|_| Act::Drop).await);
    for stub in [&node, &broken] {
        let url = format!(
            "http://alice:hunter2hunter2@127.0.0.1:{}/v2/SECRETSECRET?key=TOPSECRETKEY",
            stub.port
        );
        let chain = NodeChain::new(options(&[url])).unwrap();
        let told = format!(
            "{:?} {:?} {:?} {chain:?} {:?}",
            chain.read(call("[]")).await,
            chain.broadcast(&RAW, HASH).await,
            chain.head().await,
            chain.probe().await,
        );
        for secret in ["alice", "hunter2", "SECRETSECRET", "TOPSECRETKEY", "\\r", "\\n"] {
            assert!(!told.contains(secret), "{secret} in {told}");
        }
        assert_eq!(stub.seen()[0].path, "/v2/SECRETSECRET?key=TOPSECRETKEY");
        assert_eq!(stub.seen()[0].headers["authorization"], "Basic YWxpY2U6aHVudGVyMmh1bnRlcjI=");
    }
}

#[test]
fn every_url_that_cannot_be_used_is_named_at_once() {
    let urls = ["http://ok", "ws://alice:hunter2@host/key", "nonsense with hunter2"];
    let urls: Vec<_> = urls.iter().map(ToString::to_string).collect();
    let error = NodeChain::new(options(&urls)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "chain 31337: upstream 2 is a WebSocket: use the node's http:// or https:// URL; \
         upstream 3 is not a URL: write it as http://host:port or https://host/path"
    );
    let told = format!("{error:?} {:?}", options(&urls));
    assert!(!told.contains("hunter2"), "{told}");
    assert!(matches!(NodeChain::new(options(&[])), Err(UpstreamError::NoUrls(_))));
}

#[tokio::test]
async fn a_report_names_each_node_and_its_trouble() {
    let good = Stub::new(|_| Act::Result(json!("anvil/v1.7"))).await;
    let other = Stub::bare(|_| Act::Result(json!("0x1"))).await;
    let chain = NodeChain::new(options(&[good.url(), other.url(), nobody().await])).unwrap();
    let reports = chain.probe().await;
    assert_eq!(reports[0].url, good.url());
    assert_eq!(reports[0].chain_id, Ok(super::stub::CHAIN));
    assert_eq!(reports[0].client_version.as_deref(), Some("anvil/v1.7"));
    assert_eq!(reports[1].chain_id, Ok(countersign_core::identity::ChainId(1)));
    let error = reports[2].chain_id.as_ref().unwrap_err();
    assert!(error.starts_with("cannot connect: "), "{error}");
}

#[tokio::test]
async fn a_head_far_behind_is_another_nodes_turn() {
    let fresh = std::sync::atomic::AtomicU64::new(1000);
    let first = Stub::new(move |seen| match seen.method.as_str() {
        // each question lets it fall back by 300 blocks
        "eth_getBlockByNumber" => {
            Act::Result(block(fresh.fetch_sub(300, std::sync::atomic::Ordering::SeqCst), 1))
        }
        _ => Act::Result(json!("0x1")),
    })
    .await;
    let second = Stub::new(|seen| match seen.method.as_str() {
        "eth_getBlockByNumber" => Act::Result(block(999, 2)),
        _ => Act::Result(json!("0x1")),
    })
    .await;
    let mut options = options(&[first.url(), second.url()]);
    options.head_ttl = countersign_core::time::Millis::ZERO;
    let chain = NodeChain::new(options).unwrap();
    assert_eq!(chain.head().await.unwrap().number, 1000);
    assert_eq!(chain.head().await.unwrap().number, 999);
}
