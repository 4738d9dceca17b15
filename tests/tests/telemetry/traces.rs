use std::{collections::BTreeMap, time::Duration};

use countersign_tests::{
    Setup, StoreKind, World, anvil,
    config::{PAYEE, STRANGER},
    http, wait,
};
use opentelemetry_proto::tonic::trace::v1::{Span, span::SpanKind};
use serde_json::{Value, json};
use tokio::{net::TcpListener, time::Instant};

use crate::collector::{Collector, value};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";
/// 50 and 200 USD.
const ALLOWED: &str = "0xb1a2bc2ec50000";
const PARKED: &str = "0x2c68af0bb140000";

fn traceparent() -> String {
    format!("00-{TRACE}-{CALLER}-01")
}

async fn world(store: StoreKind, collector: &Collector, more: &str) -> World {
    let mut setup = Setup::new(store);
    setup.changes.push(collector.configured(more));
    World::start(setup).await
}

/// The spans of one trace, by their ids.
#[derive(Debug)]
struct Tree(BTreeMap<String, Span>);

impl Tree {
    fn of(spans: &[Span], trace: &str) -> Self {
        let own = spans.iter().filter(|span| hex::encode(&span.trace_id) == trace);
        Self(own.map(|span| (hex::encode(&span.span_id), span.clone())).collect())
    }

    fn all(&self, name: &str) -> Vec<&Span> {
        self.0.values().filter(|span| span.name == name).collect()
    }

    fn one(&self, name: &str) -> &Span {
        let all = self.all(name);
        let [only] = all.as_slice() else { panic!("{} spans `{name}` in {self:?}", all.len()) };
        only
    }

    /// Names from the root down to a span.
    fn way(&self, span: &Span) -> Vec<String> {
        let mut way = vec![span.name.clone()];
        let mut parent = hex::encode(&span.parent_span_id);
        while let Some(span) = self.0.get(&parent) {
            way.push(span.name.clone());
            parent = hex::encode(&span.parent_span_id);
        }
        way.reverse();
        way
    }
}

/// A send's trace is complete when its root has come: the root ends last, and what goes on beside it is its own.
async fn sent(collector: &Collector, trace: &str) -> Tree {
    let whole = |spans: &[Span]| {
        let tree = Tree::of(spans, trace);
        let done = ["POST", "broadcast", "Journal.update"].iter().all(|n| !tree.all(n).is_empty());
        done.then_some(tree)
    };
    collector.until("the trace of a send", whole).await
}

async fn one_send_is_one_trace(store: StoreKind, system: &str) {
    let collector = Collector::start().await;
    let world = world(store, &collector, "").await;
    let bot = world.bot();
    let parent = traceparent();
    let headers = [
        ("traceparent", parent.as_str()),
        ("tracestate", "vendor=7"),
        ("countersign-reason", "free-text-of-the-agent"),
        ("countersign-session", "session-of-the-agent"),
        ("idempotency-key", "key-of-the-agent"),
    ];
    bot.send_with(&headers, PAYEE, ALLOWED).await.expect("an allowed send");
    let tree = sent(&collector, TRACE).await;

    let root = tree.one("POST");
    assert_eq!(hex::encode(&root.parent_span_id), CALLER, "a part of its caller's trace");
    assert_eq!((root.kind(), root.trace_state.as_str()), (SpanKind::Server, "vendor=7"));
    assert_eq!(value(&root.attributes, "countersign.agent"), "bot");
    let call = tree.one("eth_sendTransaction");
    assert_eq!(value(&call.attributes, "rpc.method"), "eth_sendTransaction");
    assert_eq!(value(&call.attributes, "countersign.outcome"), "ok");
    assert_eq!(value(&tree.one("decide").attributes, "countersign.outcome"), "allow");
    for way in [
        "POST/parse",
        "POST/eth_sendTransaction/find/Ledger.survey",
        "POST/eth_sendTransaction/decode",
        "POST/eth_sendTransaction/facts/eth_estimateGas",
        "POST/eth_sendTransaction/decide",
        "POST/eth_sendTransaction/reserve/Ledger.reserve",
        "POST/eth_sendTransaction/Journal.record",
        "POST/eth_sendTransaction/commit/Ledger.commit",
        "POST/eth_sendTransaction/sign",
        "POST/eth_sendTransaction/Ledger.signed",
        "POST/eth_sendTransaction/broadcast/eth_sendRawTransaction",
    ] {
        let name = way.rsplit('/').next().expect("a name");
        let found = tree.all(name).into_iter().any(|span| tree.way(span).join("/") == way);
        assert!(found, "no {way} in {tree:#?}");
    }
    for span in tree.0.values() {
        let known = tree.0.contains_key(&hex::encode(&span.parent_span_id)) || span.name == "POST";
        assert!(known, "`{}` has no parent", span.name);
        let (from, to) = (span.start_time_unix_nano, span.end_time_unix_nano);
        assert!(from > 0 && from <= to, "`{}` ends before it begins", span.name);
    }
    let reserve = tree.one("Ledger.reserve");
    assert_eq!(value(&reserve.attributes, "db.system.name"), system);
    assert_eq!(reserve.kind(), SpanKind::Client);

    // the node is told the step that asks it
    let asked = tree.one("eth_sendRawTransaction");
    let told = (format!("00-{TRACE}-{}-01", hex::encode(&asked.span_id)), "vendor=7".to_owned());
    assert!(world.tap.trails().contains(&told), "{told:?} in {:?}", world.tap.trails());

    let services = collector.resources("service.name");
    assert!(services.iter().all(|name| name == "countersign"), "{services:?}");
    assert!(collector.resources("service.instance.id").iter().all(|id| !id.is_empty()));
    assert!(collector.ways().iter().all(|way| way == "/v1/traces"));
    nothing_private_is_in(&collector.text(), &world);
}

/// What neither traces nor logs may hold.
pub(crate) fn nothing_private_is_in(text: &str, world: &World) {
    let (key, _) = anvil::ACCOUNTS.first().expect("one of anvil's accounts");
    let bot = world.bot();
    for private in [
        bot.token.as_str(),
        world.alice().token.as_str(),
        key.trim_start_matches("0x"),
        "correct horse battery staple",
        bot.basic().trim_start_matches("Basic "),
        "free-text-of-the-agent",
        "session-of-the-agent",
        "key-of-the-agent",
        "text-that-is-signed",
    ] {
        assert!(!text.to_lowercase().contains(&private.to_lowercase()), "`{private}` is told");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_send_is_one_trace_embedded() {
    one_send_is_one_trace(StoreKind::Embedded, "sqlite").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_send_is_one_trace_redis() {
    one_send_is_one_trace(StoreKind::Redis, "redis").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_on_after_an_approval_names_the_trace_that_asked() {
    let collector = Collector::start().await;
    let world = world(StoreKind::Embedded, &collector, "").await;
    let parent = traceparent();
    let headers = [("traceparent", parent.as_str())];
    let parked = world.bot().send_with(&headers, PAYEE, PARKED).await.expect_err("it parks");
    let id = parked.operation();
    assert_eq!(world.alice().approve(&id).await.status, 200);
    let approved = collector
        .until("the span of the approval", |spans| {
            spans.iter().find(|s| s.name == "POST /pending-operations/{id}/approve").cloned()
        })
        .await;
    assert_eq!(approved.kind(), SpanKind::Server);
    assert_eq!(value(&approved.attributes, "countersign.operator"), "alice");
    let later = |spans: &[Span], name: &str| {
        let own = |span: &&Span| {
            span.name == name && value(&span.attributes, "countersign.operation") == id
        };
        let with_link = spans.iter().filter(own).find(|span| !span.links.is_empty()).cloned();
        with_link.or_else(|| {
            assert!(!spans.iter().any(|span| own(&span)), "`{name}` names no trace");
            None
        })
    };
    for name in ["redeem", "settle"] {
        let span = collector.until(name, |spans| later(spans, name)).await;
        assert_ne!(hex::encode(&span.trace_id), TRACE, "a trace of its own");
        assert!(span.parent_span_id.is_empty());
        let links: Vec<String> =
            span.links.iter().map(|link| hex::encode(&link.trace_id)).collect();
        assert_eq!(links, [TRACE]);
        if name == "redeem" {
            let tree = Tree::of(&collector.spans(), &hex::encode(&span.trace_id));
            for step in ["facts", "decide", "Ledger.redeem", "commit", "sign", "broadcast"] {
                assert!(!tree.all(step).is_empty(), "no `{step}` in {tree:#?}");
            }
        }
    }
    // the log names the request's trace, whenever a line was written
    let log = world.gateway.log();
    let settled: Vec<&str> = log.lines().filter(|line| line.contains("\"settled\"")).collect();
    assert!(settled.iter().all(|line| line.contains(TRACE)) && !settled.is_empty(), "{settled:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_may_speak_grpc() {
    let collector = Collector::start().await;
    let world = world(StoreKind::Embedded, &collector, ", protocol: grpc").await;
    let parent = traceparent();
    let headers = [("traceparent", parent.as_str())];
    world.bot().send_with(&headers, PAYEE, ALLOWED).await.expect("an allowed send");
    sent(&collector, TRACE).await;
    let ways = collector.ways();
    assert!(ways.iter().all(|way| way.ends_with("TraceService/Export")), "{ways:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_does_not_record_is_not_recorded_and_a_share_of_the_others_is() {
    let collector = Collector::start().await;
    let world = world(StoreKind::Embedded, &collector, ", sample: 1%").await;
    let bot = world.bot();
    let unsampled = format!("00-{TRACE}-{CALLER}-00");
    bot.send_with(&[("traceparent", unsampled.as_str())], PAYEE, ALLOWED).await.expect("allowed");
    for _ in 0..50 {
        bot.call("eth_chainId", json!([])).await.expect("a chain id");
    }
    // the last one is recorded: what came before it would have come before
    let other = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    bot.call_with(&[("traceparent", other)], "eth_chainId", json!([])).await.expect("a chain id");
    let all = collector
        .until("the recorded call", |spans| {
            let tree = Tree::of(spans, "0af7651916cd43dd8448eb211c80319c");
            (!tree.all("POST").is_empty()).then(|| spans.to_vec())
        })
        .await;
    assert!(Tree::of(&all, TRACE).0.is_empty(), "its caller does not record it");
    let roots = all.iter().filter(|span| span.name == "POST").count();
    assert!(roots < 20, "{roots} of 50 are no hundredth");
    let told = world.tap.trails();
    assert!(told.iter().any(|(parent, _)| parent.contains(TRACE) && parent.ends_with("-00")));
}

/// One that takes connections and says nothing, and one that is not there at all.
#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_hangs_or_is_dead_costs_nothing_but_spans() {
    let hanging = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let dead = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let [hangs, is_dead] = [&hanging, &dead].map(|l| l.local_addr().expect("its address"));
    drop(dead);
    let held = tokio::spawn(async move {
        let mut connections = Vec::new();
        while let Ok((stream, _)) = hanging.accept().await {
            connections.push(stream);
        }
    });
    for address in [hangs, is_dead] {
        let mut setup = Setup::new(StoreKind::Embedded);
        let line = format!("telemetry: {{ otlp: \"http://{address}\" }}\nprices: {{");
        setup.changes.push(("prices: {".into(), line));
        let mut world = World::start(setup).await;
        let bot = world.bot();
        let began = Instant::now();
        bot.send(PAYEE, ALLOWED).await.expect("an allowed send");
        bot.send(STRANGER, "0x1").await.expect_err("a stranger");
        assert!(began.elapsed() < Duration::from_secs(4), "a send waited for the collector");
        let reads = vec![("eth_blockNumber", json!([])); 50];
        for _ in 0..60 {
            assert!(bot.batch(&[], &reads).await.iter().all(Result::is_ok));
        }
        let admin = world.gateway.addresses.admin;
        wait::until("lost spans to be counted", async || {
            let text = http::get(admin, "/metrics", &[]).await.text();
            let count =
                text.lines().find_map(|l| l.strip_prefix("countersign_spans_dropped_total "));
            (count? != "0").then_some(())
        })
        .await;
        let told = "spans did not reach the collector";
        wait::until("the loss to be told", async || {
            world.gateway.log().contains(told).then_some(())
        })
        .await;
        assert_eq!(world.gateway.log().matches(told).count(), 1, "once in a while");
        let began = Instant::now();
        world.gateway.terminate();
        assert_eq!(world.gateway.ended().await, Some(0));
        assert!(began.elapsed() < Duration::from_secs(10), "the end waited for the collector");
    }
    held.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_collector_a_trail_is_passed_on_as_it_came() {
    let world = World::start(Setup::new(StoreKind::Embedded)).await;
    let bot = world.bot();
    let parent = traceparent();
    let headers = [("traceparent", parent.as_str()), ("tracestate", "vendor=7")];
    let told = (parent.clone(), "vendor=7".to_owned());
    assert!(world.tap.trails().iter().all(|(parent, _)| parent.is_empty()));
    bot.send_with(&headers, PAYEE, ALLOWED).await.expect("an allowed send");
    assert!(world.tap.trails().contains(&told), "{:?}", world.tap.trails());
    let before = world.tap.trails().len();
    for bad in ["00-x", "", "00-00000000000000000000000000000000-00f067aa0ba902b7-01"] {
        let answer = bot.call_with(&[("traceparent", bad)], "eth_gasPrice", json!([])).await;
        assert!(answer.is_ok_and(|price: Value| price.is_string()), "{bad}");
    }
    let after = world.tap.trails().split_off(before);
    assert!(
        after.iter().all(|(parent, _)| !parent.contains('x') && !parent.contains("-0000000000"))
    );
}
