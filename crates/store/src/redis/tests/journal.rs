//! The journal: chains, lists, and what came of a decision.

use std::sync::Arc;

use countersign_core::{
    identity::{AgentId, OperationId},
    journal::sha256,
    time::{Millis, Timestamp},
    trace::{DecisionRecord, TraceStatus, TraceUpdate},
};
use countersign_engine::port::{
    Journal,
    journal::{JournalError, NewTrace, TraceQuery},
};
use countersign_testkit::fixture::{agent, intent, operation_id, trace_hash};
use tokio::task::JoinSet;

use super::bench::{RedisBench, open, options};
use crate::redis::RedisStore;

const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn trace(n: u64) -> NewTrace {
    let who: AgentId = agent(if n.is_multiple_of(2) { "even" } else { "odd" });
    let operation: OperationId = operation_id(n);
    NewTrace {
        trace_hash: trace_hash(n),
        decision: DecisionRecord {
            operation_id: Some(operation),
            created_at: START.after(Millis(n / 2)),
            agent_id: Some(who),
            session_key_hash: n.is_multiple_of(3).then(|| sha256(SESSION)),
            session: n.is_multiple_of(3).then(|| SESSION.into()),
            reasoning: Some("because".into()),
            proposed_action: serde_json::json!({ "to": "0x00", "amount": u64::MAX }),
            validation_result: serde_json::json!({ "allowed": true }),
            policy_verdicts: vec![serde_json::json!({ "rule": "r" })],
            risk_score: 7,
            blocked_by: None,
            policy: None,
            guards: vec![],
            facts: None,
            intent: Some(intent(n)),
            charges: vec![],
            gates: vec![],
            overruns: vec![],
            crowded: None,
        },
        status: if n < 4 { TraceStatus::PendingApproval } else { TraceStatus::Allowed },
        posted: (n == 9).then(|| countersign_testkit::fixture::posted("ann")),
        canonical: None,
    }
}

/// A name that would be something else in a key.
const SESSION: &str = "}:a session\n{";

async fn journal_of_ten() -> (RedisBench, Arc<dyn Journal>) {
    let bench = RedisBench::make().await;
    let journal = bench.store.journal();
    for n in 0..10 {
        journal.record(&trace(n)).await.unwrap();
    }
    (bench, journal)
}

async fn numbers(journal: &dyn Journal, query: &TraceQuery) -> Vec<u64> {
    let page = journal.traces(query).await.unwrap();
    let number = |hash| (0..10).find(|n| trace_hash(*n) == hash).unwrap();
    page.items.into_iter().map(|trace| number(trace.trace_hash)).collect()
}

#[tokio::test]
async fn a_decision_is_read_back_as_it_was_recorded() {
    let (_bench, journal) = journal_of_ten().await;
    let stored = journal.trace(trace_hash(9)).await.unwrap().unwrap();
    assert_eq!(stored.decision, trace(9).decision);
    assert_eq!((stored.status, stored.attestation), (TraceStatus::Allowed, true));
    assert_eq!(journal.trace(trace_hash(10)).await.unwrap(), None);
}

#[tokio::test]
async fn each_query_lists_what_fits_newest_first() {
    let (_bench, journal) = journal_of_ten().await;
    let all = TraceQuery { limit: 100, ..TraceQuery::default() };
    let cases: [(TraceQuery, &[u64]); 8] = [
        (all.clone(), &[9, 8, 7, 6, 5, 4, 3, 2, 1, 0]),
        (TraceQuery { agent: Some(agent("odd")), ..all.clone() }, &[9, 7, 5, 3, 1]),
        (TraceQuery { status: Some(TraceStatus::PendingApproval), ..all.clone() }, &[3, 2, 1, 0]),
        (TraceQuery { session: Some(SESSION.into()), ..all.clone() }, &[9, 6, 3, 0]),
        (TraceQuery { operation: Some(operation_id(4)), ..all.clone() }, &[4]),
        (TraceQuery { from: Some(START.after(Millis(4))), ..all.clone() }, &[9, 8]),
        (TraceQuery { to: Some(START.after(Millis(1))), ..all.clone() }, &[1, 0]),
        (
            TraceQuery {
                agent: Some(agent("even")),
                status: Some(TraceStatus::Allowed),
                to: Some(START.after(Millis(4))),
                ..all
            },
            &[6, 4],
        ),
    ];
    for (query, expected) in cases {
        assert_eq!(numbers(&*journal, &query).await, expected, "{query:?}");
    }
}

#[tokio::test]
async fn pages_follow_each_other_without_gap_or_repetition() {
    let (_bench, journal) = journal_of_ten().await;
    for limit in [1, 3, 5, 10] {
        let mut query = TraceQuery { limit, ..TraceQuery::default() };
        let mut seen = Vec::new();
        loop {
            let page = journal.traces(&query).await.unwrap();
            seen.extend(page.items.into_iter().map(|trace| trace.trace_hash));
            query.cursor = page.next_cursor;
            if query.cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen, (0..10).rev().map(trace_hash).collect::<Vec<_>>(), "by {limit}");
    }
    for wrong in ["", "x", "1-1", "-0000000000000001", "1-000000000000000x", "9-9-9"] {
        let query = TraceQuery { cursor: Some(wrong.into()), limit: 1, ..TraceQuery::default() };
        let refused = journal.traces(&query).await.unwrap_err();
        assert_eq!(refused, JournalError::Cursor(wrong.into()));
    }
}

#[tokio::test]
async fn what_came_of_a_decision_is_added_to_it() {
    let (_bench, journal) = journal_of_ten().await;
    let voted = TraceUpdate {
        approval: Some(serde_json::json!({ "operator": "ann" })),
        status: Some(TraceStatus::Allowed),
        ..TraceUpdate::default()
    };
    let hash = trace_hash(77).0;
    let signed = TraceUpdate {
        status: Some(TraceStatus::Executed),
        tx_hash: Some(hash),
        signature: Some(serde_json::json!("0x01")),
        duration_ms: Some(12),
        ..TraceUpdate::default()
    };
    journal.update(trace_hash(0), &voted).await.unwrap();
    journal.update(trace_hash(0), &signed).await.unwrap();
    journal.update(trace_hash(0), &voted.clone()).await.unwrap();
    let stored = journal.trace(trace_hash(0)).await.unwrap().unwrap();
    assert_eq!(stored.approvals.len(), 1, "what is said once more is recorded once");
    assert_eq!(stored.signatures, [serde_json::json!("0x01")]);
    assert_eq!((stored.tx_hash, stored.duration_ms), (Some(hash), Some(12)));
    assert_eq!(stored.status, TraceStatus::Executed);
    let pending = TraceQuery {
        status: Some(TraceStatus::PendingApproval),
        limit: 9,
        ..TraceQuery::default()
    };
    assert_eq!(numbers(&*journal, &pending).await, [3, 2, 1]);
    let unknown = journal.update(trace_hash(99), &signed).await;
    assert!(matches!(unknown, Err(JournalError::Unavailable(_))), "{unknown:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateways_entries_are_one_chain_however_many_write_it() {
    let bench = RedisBench::make().await;
    // a second process under the same name, and a gateway of another
    let twin = open(&bench.server.url(), &bench.time).await.unwrap();
    let mut stranger = options(&bench.server.url());
    stranger.gateway = "gateway-2".into();
    let stranger = RedisStore::connect(stranger).await.unwrap();
    let mut racing = JoinSet::new();
    for n in 0..10 {
        let journal = [&bench.store, &twin, &stranger][usize::try_from(n % 3).unwrap()].journal();
        racing.spawn(async move { journal.record(&trace(n)).await.unwrap() });
    }
    racing.join_all().await;
    bench.store.journal().record(&trace(1)).await.unwrap();

    let mut previous = Vec::new();
    for n in 0..10 {
        let stored = bench.store.journal().trace(trace_hash(n)).await.unwrap().unwrap();
        previous.push(stored.previous_hash);
    }
    let firsts = previous.iter().filter(|hash| hash.is_none()).count();
    assert_eq!(firsts, 2, "one beginning for each gateway");
    previous.sort_unstable();
    previous.dedup();
    assert_eq!(previous.len(), 9, "no two entries follow the same one");
}

/// How many scripts the server has run.
async fn scripts(bench: &RedisBench) -> u64 {
    let info: String =
        redis::cmd("INFO").arg("commandstats").query_async(&mut bench.raw().await).await.unwrap();
    let (_, calls) = info.split_once("cmdstat_evalsha:calls=").unwrap();
    calls.split(',').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn an_entry_that_comes_alone_is_one_call() {
    let (bench, journal) = journal_of_ten().await;
    let before = scripts(&bench).await;
    for n in 10..15 {
        journal.record(&trace(n)).await.unwrap();
    }
    assert_eq!(scripts(&bench).await - before, 5);
}
