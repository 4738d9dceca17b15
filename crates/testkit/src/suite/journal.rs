//! The journal, as tests: what every journal answers to what.
//!
//! The cursor of a list names the page's last item.
#![expect(missing_docs, reason = "the tests' names are sentences")]

use std::sync::Arc;

use alloy_primitives::B256;
use async_trait::async_trait;
use countersign_core::{
    evidence::{FORMAT, Filter, Header, Summary, verify},
    identity::{AppId, PolicyId},
    journal::{About, ChainHead, Written, sha256},
    time::{Millis, Timestamp},
    trace::{
        Again, DecisionRecord, Incident, IncidentStatus, Occasion, Severity, TraceRecord,
        TraceStatus, TraceUpdate,
    },
};
use countersign_engine::{
    evidence::{Document, Walk},
    port::{
        Journal,
        journal::{Chained, ENTRIES_MAX, IncidentQuery, JournalError, NewTrace, TraceQuery},
    },
};

use crate::fixture::{agent, at, intent, operation_id, trace_hash};

/// A store of journals on the bench.
#[async_trait]
pub trait JournalBench: Send + Sync {
    /// The journal of one gateway.
    async fn journal(&self, gateway: &str) -> Arc<dyn Journal>;
}

/// Runs the whole suite against one store. Takes an async function that makes a fresh bench.
#[macro_export]
macro_rules! journal_suite {
    ($make:path) => {
        $crate::journal_suite!(@ $make:
            a_decision_is_kept_as_it_was_recorded
            each_gateway_has_a_chain_of_its_own
            updates_add_up
            a_change_to_an_unknown_trace_is_an_error
            traces_are_listed_newest_first_in_pages
            traces_are_found_by_what_they_are_about
            incidents_are_raised_once_and_change
            entries_follow_each_other_in_pages
            no_decision_is_recorded_without_its_policies
        );
    };
    (@ $make:path: $($test:ident)+) => {
        mod journal {
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    let bench = $make().await;
                    $crate::suite::journal::$test(&bench).await;
                }
            )+
        }
    };
}

fn start() -> Timestamp {
    at("2026-06-15T12:00:00Z")
}

/// The n-th decision, made n minutes after the start.
#[must_use]
pub fn decided(n: u64) -> NewTrace {
    let mut intent = intent(n);
    // More than 64 bits: what a hostile client may ask for must be readable again.
    crate::fixture::plan_mut(&mut intent).fee =
        countersign_core::transaction::FeeBid::Price(u128::MAX);
    NewTrace {
        trace_hash: trace_hash(n),
        decision: DecisionRecord {
            operation_id: Some(operation_id(n)),
            created_at: start().after(Millis(n * 60_000)),
            agent_id: Some(agent(if n.is_multiple_of(2) { "even" } else { "odd" })),
            session_key_hash: Some(B256::repeat_byte(4)),
            session: n.is_multiple_of(3).then(|| format!("session-{n}")),
            reasoning: Some("because \u{1f511} \"\\ \u{7}".into()),
            proposed_action: serde_json::json!({"to": "0x00", "n": n}),
            validation_result: serde_json::json!({"allowed": true}),
            policy_verdicts: vec![serde_json::json!({"rule": "shop"})],
            risk_score: 7,
            blocked_by: None,
            policy: None,
            guards: Vec::new(),
            facts: None,
            intent: Some(intent),
            charges: Vec::new(),
            gates: Vec::new(),
            overruns: Vec::new(),
        },
        status: TraceStatus::Allowed,
        attestation: n == 5,
    }
}

/// The n-th decision under the name that it has in evidence.
#[must_use]
pub fn named(n: u64) -> NewTrace {
    let new = decided(n);
    NewTrace { trace_hash: new.decision.hash(), ..new }
}

/// One entry of each kind, and a policy.
pub async fn told(journal: &dyn Journal) {
    journal.pin(PolicyId(sha256("{}")), "{}").await.unwrap();
    for n in 3..=5 {
        journal.record(&named(n)).await.unwrap();
    }
    let executed = TraceUpdate { status: Some(TraceStatus::Executed), ..TraceUpdate::default() };
    journal.update(named(3).trace_hash, &executed).await.unwrap();
    journal.raise(&incident(1)).await.unwrap();
    journal.change_incident("inc_1", IncidentStatus::Resolved, start()).await.unwrap();
}

/// What everything that this store's journals say proves.
pub async fn verified(journal: Arc<dyn Journal>) -> Result<Summary, String> {
    let header = Header {
        format: FORMAT.into(),
        app: AppId::parse("shop").unwrap(),
        exported_at: start(),
        durability: "A".into(),
        filter: Filter::default(),
    };
    let walk = Walk::begin(journal, header).await.map_err(|error| error.to_string())?;
    let (mut document, mut text) = (Document::new(walk), String::new());
    while let Some(piece) = document.next().await.map_err(|error| error.to_string())? {
        text.push_str(&piece);
    }
    verify(text.as_bytes(), &[], &mut |_| Ok(())).map_err(|error| error.to_string())
}

pub async fn entries_follow_each_other_in_pages(bench: &dyn JournalBench) {
    let (one, two) = (bench.journal("one").await, bench.journal("two").await);
    told(one.as_ref()).await;
    two.record(&named(6)).await.unwrap();
    let chains = two.chains().await.unwrap();
    let names: Vec<&str> = chains.iter().map(|chain| chain.gateway.as_str()).collect();
    assert_eq!(names, ["one", "two"]);
    for limit in [1, 2, 7, ENTRIES_MAX, u32::MAX] {
        let (mut head, mut kinds) = (ChainHead::START, Vec::new());
        loop {
            let page = two.entries("one", head.sequence, limit).await.unwrap();
            assert!(page.len() <= usize::try_from(limit).unwrap());
            if page.is_empty() {
                break;
            }
            for Chained { head: stored, text } in page {
                head = head.behind(&text).unwrap();
                assert_eq!(head, stored);
                let about = Written::parse(&text).unwrap().about().to_owned();
                kinds.push(serde_json::from_str::<About>(&about).unwrap().kind.name());
            }
        }
        assert_eq!(head, chains[0].head);
        let expected = [
            "policy",
            "decision",
            "decision",
            "attestation",
            "update",
            "incident",
            "incident_change",
        ];
        assert_eq!(kinds, expected, "by {limit}");
    }
    assert_eq!(two.entries("nobody", 0, 9).await.unwrap(), []);
    assert_eq!(verified(one).await.map(|summary| summary.chains.len()), Ok(2));
}

pub async fn no_decision_is_recorded_without_its_policies(bench: &dyn JournalBench) {
    let (one, two) = (bench.journal("one").await, bench.journal("two").await);
    let policy = PolicyId(sha256("{}"));
    let mut new = decided(1);
    new.decision.guards = vec![policy];
    new.trace_hash = new.decision.hash();
    let again = |decision: &DecisionRecord| TraceUpdate {
        again: Some(Box::new(Again {
            occasion: Occasion::Redemption,
            decision_hash: decision.hash(),
            decision: decision.clone(),
        })),
        ..TraceUpdate::default()
    };
    assert_eq!(one.record(&new).await, Err(JournalError::Unpinned));
    assert_eq!(one.trace(new.trace_hash).await, Ok(None));
    for _ in 0..2 {
        one.pin(policy, "{}").await.unwrap();
    }
    one.record(&new).await.unwrap();
    assert_eq!(one.chains().await.unwrap()[0].head.sequence, 2, "pinned once");
    let update = again(&new.decision);
    let elsewhere = two.update(new.trace_hash, &update).await;
    assert_eq!(elsewhere, Err(JournalError::Unpinned), "another chain");
    one.update(new.trace_hash, &update).await.unwrap();
    assert_eq!(one.trace(new.trace_hash).await.unwrap().unwrap().decision, new.decision);
    assert_eq!(verified(two).await.map(|summary| summary.chains.len()), Ok(1));
}

async fn recorded(journal: &dyn Journal, count: u64) {
    for n in 1..=count {
        journal.record(&decided(n)).await.unwrap();
    }
}

async fn trace(journal: &dyn Journal, n: u64) -> TraceRecord {
    journal.trace(trace_hash(n)).await.unwrap().unwrap()
}

pub async fn a_decision_is_kept_as_it_was_recorded(bench: &dyn JournalBench) {
    let journal = bench.journal("one").await;
    let new = decided(5);
    journal.record(&new).await.unwrap();
    let expected = TraceRecord {
        trace_hash: new.trace_hash,
        decision: new.decision.clone(),
        tx_hash: None,
        status: TraceStatus::Allowed,
        signatures: Vec::new(),
        approvals: Vec::new(),
        duration_ms: None,
        previous_hash: None,
        attestation: true,
    };
    assert_eq!(trace(journal.as_ref(), 5).await, expected);
    let other = NewTrace { status: TraceStatus::Blocked, ..new };
    journal.record(&other).await.unwrap();
    assert_eq!(trace(journal.as_ref(), 5).await, expected, "the same hash changes nothing");
    assert_eq!(journal.trace(trace_hash(6)).await.unwrap(), None);
}

pub async fn each_gateway_has_a_chain_of_its_own(bench: &dyn JournalBench) {
    let (one, two) = (bench.journal("one").await, bench.journal("two").await);
    one.record(&decided(1)).await.unwrap();
    two.record(&decided(2)).await.unwrap();
    one.record(&decided(3)).await.unwrap();
    one.update(trace_hash(1), &TraceUpdate::default()).await.unwrap();
    one.record(&decided(4)).await.unwrap();
    let mut heads = Vec::new();
    for n in 1..=4 {
        heads.push(trace(two.as_ref(), n).await.previous_hash);
    }
    assert_eq!((heads[0], heads[1]), (None, None), "each begins its own");
    assert!(heads[2].is_some() && heads[3].is_some());
    assert_ne!(heads[2], heads[3]);
}

pub async fn updates_add_up(bench: &dyn JournalBench) {
    let (one, two) = (bench.journal("one").await, bench.journal("two").await);
    one.record(&decided(1)).await.unwrap();
    let json = |text: &str| Some(serde_json::json!({ "by": text }));
    let updates = [
        TraceUpdate { approval: json("ann"), ..TraceUpdate::default() },
        TraceUpdate { approval: json("bob"), signature: json("bob"), ..TraceUpdate::default() },
        TraceUpdate {
            status: Some(TraceStatus::Executed),
            tx_hash: Some(B256::repeat_byte(9)),
            duration_ms: Some(12),
            ..TraceUpdate::default()
        },
        TraceUpdate { blocked_by: Some("ann".into()), ..TraceUpdate::default() },
    ];
    for update in &updates {
        two.update(trace_hash(1), update).await.unwrap();
    }
    let new = decided(1);
    let expected = TraceRecord {
        trace_hash: new.trace_hash,
        decision: DecisionRecord { blocked_by: Some("ann".into()), ..new.decision },
        tx_hash: Some(B256::repeat_byte(9)),
        status: TraceStatus::Executed,
        signatures: json("bob").into_iter().collect(),
        approvals: [json("ann"), json("bob")].into_iter().flatten().collect(),
        duration_ms: Some(12),
        previous_hash: None,
        attestation: false,
    };
    assert_eq!(trace(one.as_ref(), 1).await, expected);
}

pub async fn a_change_to_an_unknown_trace_is_an_error(bench: &dyn JournalBench) {
    let journal = bench.journal("one").await;
    let answer = journal.update(trace_hash(1), &TraceUpdate::default()).await;
    assert!(matches!(answer, Err(JournalError::Unavailable(_))), "{answer:?}");
}

async fn found(journal: &dyn Journal, query: &TraceQuery) -> Vec<Vec<u64>> {
    let (mut query, mut pages) = (query.clone(), Vec::new());
    let number = |t: &TraceRecord| (0..99).find(|n| trace_hash(*n) == t.trace_hash).unwrap();
    loop {
        let page = journal.traces(&query).await.unwrap();
        pages.push(page.items.iter().map(number).collect());
        query.cursor = page.next_cursor;
        if query.cursor.is_none() {
            return pages;
        }
    }
}

pub async fn traces_are_listed_newest_first_in_pages(bench: &dyn JournalBench) {
    let journal = bench.journal("one").await;
    recorded(journal.as_ref(), 5).await;
    let by = |limit| TraceQuery { limit, ..TraceQuery::default() };
    let pages = found(journal.as_ref(), &by(2)).await;
    assert_eq!(pages, [vec![5, 4], vec![3, 2], vec![1]]);
    assert_eq!(found(journal.as_ref(), &by(5)).await, [[5, 4, 3, 2, 1]]);
    let wrong = TraceQuery { cursor: Some("nonsense".into()), ..by(2) };
    let answer = journal.traces(&wrong).await;
    assert_eq!(answer, Err(JournalError::Cursor("nonsense".into())));
}

pub async fn traces_are_found_by_what_they_are_about(bench: &dyn JournalBench) {
    let journal = bench.journal("one").await;
    recorded(journal.as_ref(), 6).await;
    let blocked = TraceUpdate { status: Some(TraceStatus::Blocked), ..TraceUpdate::default() };
    journal.update(trace_hash(2), &blocked).await.unwrap();
    let minute = |n: u64| Some(start().after(Millis(n * 60_000)));
    let any = TraceQuery { limit: 99, ..TraceQuery::default() };
    let cases = [
        (TraceQuery { status: Some(TraceStatus::Blocked), ..any.clone() }, vec![2]),
        (TraceQuery { agent: Some(agent("even")), ..any.clone() }, vec![6, 4, 2]),
        (TraceQuery { session: Some("session-3".into()), ..any.clone() }, vec![3]),
        (TraceQuery { operation: Some(operation_id(4)), ..any.clone() }, vec![4]),
        (TraceQuery { from: minute(3), to: minute(5), ..any.clone() }, vec![4, 3]),
        (TraceQuery { agent: Some(agent("odd")), to: minute(4), ..any.clone() }, vec![3, 1]),
        (TraceQuery { agent: Some(agent("nobody")), ..any }, vec![]),
    ];
    for (query, expected) in cases {
        assert_eq!(found(journal.as_ref(), &query).await, [expected], "{query:?}");
    }
}

fn incident(n: u64) -> Incident {
    Incident {
        id: format!("inc_{n}"),
        code: "conflict".into(),
        severity: Severity::High,
        status: IncidentStatus::Open,
        title: "a foreign transaction".into(),
        description: String::new(),
        agent: None,
        session: None,
        trace_hash: None,
        created_at: start().after(Millis(n)),
        updated_at: start().after(Millis(n)),
    }
}

pub async fn incidents_are_raised_once_and_change(bench: &dyn JournalBench) {
    let journal = bench.journal("one").await;
    for n in [1, 2, 3] {
        journal.raise(&incident(n)).await.unwrap();
    }
    journal.raise(&Incident { title: "again".into(), ..incident(2) }).await.unwrap();
    let later = start().after(Millis(500));
    let resolved = journal.change_incident("inc_2", IncidentStatus::Resolved, later).await.unwrap();
    let expected = Incident { status: IncidentStatus::Resolved, updated_at: later, ..incident(2) };
    assert_eq!(resolved, Some(expected.clone()));
    let missing = journal.change_incident("inc_9", IncidentStatus::Open, later).await.unwrap();
    assert_eq!(missing, None);
    let list = async |status, cursor: Option<String>| {
        let query = IncidentQuery { status, limit: 2, cursor };
        journal.incidents(&query).await.unwrap()
    };
    let page = list(None, None).await;
    assert_eq!(page.items, [incident(3), expected.clone()]);
    let rest = list(None, page.next_cursor).await;
    assert_eq!((rest.items, rest.next_cursor), (vec![incident(1)], None));
    assert_eq!(list(Some(IncidentStatus::Resolved), None).await.items, [expected]);
    assert_eq!(list(Some(IncidentStatus::Open), None).await.items, [incident(3), incident(1)]);
}
