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
    incident::{Incident, IncidentMove, IncidentStatus, MoveRefusal, Occurrence, Severity, Taken},
    journal::{About, ChainHead, Entry, Written, sha256},
    time::{Millis, Timestamp},
    trace::{Again, DecisionRecord, Occasion, Posted, TraceRecord, TraceStatus, TraceUpdate},
};
use countersign_engine::{
    evidence::{Document, Walk},
    port::{
        Journal,
        journal::{
            Chained, ENTRIES_MAX, IncidentAnswer, IncidentQuery, JournalError, NewTrace,
            TRACES_BYTES_MAX, TraceQuery,
        },
    },
};

use futures_util::future::join_all;
use tokio::sync::Barrier;

use crate::fixture::{agent, at, intent, operation_id, posted, trace_hash};

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
            two_gateways_record_the_same_at_once_and_one_is_first
            each_gateway_has_a_chain_of_its_own
            updates_add_up
            a_word_that_is_recorded_is_not_recorded_again
            a_change_to_an_unknown_trace_is_an_error
            traces_are_listed_newest_first_in_pages
            traces_are_found_by_what_they_are_about
            a_page_of_much_ends_early
            occurrences_of_one_cause_are_one_incident
            what_was_resolved_is_open_again_when_it_happens_again
            incidents_are_moved_under_the_version_that_was_seen
            forty_at_once_and_each_counts
            ten_operators_at_once_and_one_is_first
            incidents_are_found_by_what_they_are_about
            every_version_of_an_incident_is_an_entry
            entries_follow_each_other_in_pages
            of_many_at_once_each_has_its_own_answer_and_all_are_one_chain
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

fn session_of(n: u64) -> Option<String> {
    let of = if n == 5 { 3 } else { n };
    of.is_multiple_of(3).then(|| format!("session-{of}"))
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
            session_key_hash: session_of(n).as_deref().map(sha256),
            // what a client posts has the hash alone
            session: session_of(n).filter(|_| n != 5),
            reasoning: Some("because \u{1f511} \"\\ \u{7}".into()),
            proposed_action: serde_json::json!({"to": "0x00", "n": n}),
            validation_result: serde_json::json!({"allowed": true}),
            policy_verdicts: vec![serde_json::json!({
                "policy": "bot", "rule": "shop", "says": "allow", "code": "", "detail": "", "passed": true
            })],
            risk_score: 7,
            blocked_by: None,
            policy: None,
            guards: Vec::new(),
            facts: None,
            intent: Some(intent),
            charges: Vec::new(),
            gates: Vec::new(),
            overruns: Vec::new(),
            crowded: None,
        },
        status: TraceStatus::Allowed,
        posted: (n == 5).then(said_by_ann),
        canonical: None,
    }
}

/// What a client posts beside its record.
fn said_by_ann() -> Posted {
    Posted {
        tx_hash: Some(B256::repeat_byte(8)),
        signatures: vec![serde_json::json!("0x00, \",\""), serde_json::json!({"by": ["ann"]})],
        duration_ms: Some(3),
        ..posted("ann")
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
    raised(journal, &occurrence(1, "a")).await;
    moved(journal, "inc_1", &by_ann(IncidentStatus::Resolved)).await;
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
        let expected =
            ["policy", "decision", "decision", "attestation", "update", "incident", "incident"];
        assert_eq!(kinds, expected, "by {limit}");
    }
    assert_eq!(two.entries("nobody", 0, 9).await.unwrap(), []);
    assert_eq!(verified(one).await.map(|summary| summary.chains.len()), Ok(2));
}

/// What one gateway writes at once: decisions that are new, that are recorded, that lack a policy, changes, changes of what
/// does not exist, and incidents.
pub async fn of_many_at_once_each_has_its_own_answer_and_all_are_one_chain(
    bench: &dyn JournalBench,
) {
    const MANY: u64 = 120;
    let journal = bench.journal("one").await;
    for n in (0..MANY).filter(|n| n % 3 == 0) {
        journal.record(&named(n)).await.unwrap();
    }
    let ready = Arc::new(Barrier::new(120));
    let one = |n: u64| {
        let (journal, ready) = (Arc::clone(&journal), Arc::clone(&ready));
        tokio::spawn(async move {
            ready.wait().await;
            let word = TraceUpdate { signature: Some(n.into()), ..TraceUpdate::default() };
            match n % 6 {
                0 => journal.update(named(n).trace_hash, &word).await.unwrap(),
                3 => assert!(!journal.record(&named(n)).await.unwrap(), "it is recorded"),
                1 => assert!(journal.record(&named(n)).await.unwrap(), "it is new"),
                4 => journal.raise(&occurrence(n, "a")).await.map(drop).unwrap(),
                2 => {
                    let unknown = journal.update(trace_hash(10_000 + n), &word).await;
                    assert!(matches!(unknown, Err(JournalError::Unavailable(_))), "{unknown:?}");
                }
                _ => {
                    let mut lacking = named(n);
                    lacking.decision.guards = vec![PolicyId(sha256("{}"))];
                    lacking.trace_hash = lacking.decision.hash();
                    assert_eq!(journal.record(&lacking).await, Err(JournalError::Unpinned));
                    assert_eq!(journal.trace(lacking.trace_hash).await, Ok(None));
                }
            }
        })
    };
    join_all((0..MANY).map(one)).await.into_iter().for_each(Result::unwrap);
    for n in (0..MANY).filter(|n| n % 6 == 0) {
        let trace = journal.trace(named(n).trace_hash).await.unwrap().unwrap();
        assert_eq!(trace.signatures, [serde_json::json!(n)]);
    }
    let all = IncidentQuery { limit: 9, ..IncidentQuery::default() };
    let [incident] = journal.incidents(&all).await.unwrap().items.try_into().unwrap();
    assert_eq!(incident.count, MANY / 6);
    // 40 and 20 decisions, 20 changes, 20 versions of the incident
    assert_eq!(journal.chains().await.unwrap()[0].head.sequence, 100);
    assert_eq!(verified(journal).await.map(|summary| summary.chains.len()), Ok(1));
}

/// What two gateways and an operator do to one incident at once: each version is one entry, whoever wrote it, and the last
/// one is what is shown.
pub async fn every_version_of_an_incident_is_an_entry(bench: &dyn JournalBench) {
    let journals = [bench.journal("one").await, bench.journal("two").await];
    let raising = (1..=20_u64).map(|n| {
        let journal = Arc::clone(&journals[usize::try_from(n % 2).unwrap()]);
        let occurrence = Occurrence { agent: None, ..occurrence(n, "a") };
        tokio::spawn(async move { journal.raise(&occurrence).await.map(drop).unwrap() })
    });
    join_all(raising).await.into_iter().for_each(Result::unwrap);
    let all = IncidentQuery { limit: 9, ..IncidentQuery::default() };
    let [shown] = journals[0].incidents(&all).await.unwrap().items.try_into().unwrap();
    let shown = moved(journals[1].as_ref(), &shown.id, &by_ann(IncidentStatus::Resolved)).await;
    let refused = IncidentMove { seen: Some(vec![1]), ..by_ann(IncidentStatus::Open) };
    journals[0].change_incident(&shown.id, &refused).await.unwrap();
    assert_eq!(journals[0].raise(&occurrence_seen(&shown)).await.unwrap(), Taken::Before);
    let mut versions = Vec::new();
    for gateway in ["one", "two"] {
        for Chained { text, .. } in journals[0].entries(gateway, 0, ENTRIES_MAX).await.unwrap() {
            let said = serde_json::from_str(Written::parse(&text).unwrap().said()).unwrap();
            let Entry::Incident(version) = said else { panic!("{text}") };
            versions.push(*version);
        }
    }
    versions.sort_by_key(|incident| incident.version);
    let numbers: Vec<u64> = versions.iter().map(|incident| incident.version).collect();
    assert_eq!(numbers, (1..=21).collect::<Vec<u64>>());
    assert_eq!(versions.last(), Some(&shown));
    assert_eq!(verified(Arc::clone(&journals[0])).await.map(|summary| summary.chains.len()), Ok(2));
}

/// The occurrence that an incident took in last.
fn occurrence_seen(incident: &Incident) -> Occurrence {
    let id = incident.occurrences.last().unwrap().clone();
    Occurrence { id, agent: None, ..occurrence(1, "a") }
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
    assert!(journal.record(&new).await.unwrap());
    let said = said_by_ann();
    let expected = TraceRecord {
        trace_hash: new.trace_hash,
        decision: new.decision.clone(),
        tx_hash: said.tx_hash,
        status: TraceStatus::Allowed,
        signatures: said.signatures,
        approvals: Vec::new(),
        duration_ms: said.duration_ms,
        previous_hash: None,
        attestation: true,
        attested_by: Some(said.by),
    };
    assert_eq!(trace(journal.as_ref(), 5).await, expected);
    let other = NewTrace { status: TraceStatus::Blocked, ..new };
    assert!(!journal.record(&other).await.unwrap());
    assert_eq!(trace(journal.as_ref(), 5).await, expected, "the same hash changes nothing");
    let more = serde_json::json!("0x01");
    let update = TraceUpdate { signature: Some(more.clone()), ..TraceUpdate::default() };
    journal.update(new.trace_hash, &update).await.unwrap();
    let signatures = expected.signatures.iter().cloned().chain([more]).collect();
    assert_eq!(trace(journal.as_ref(), 5).await, TraceRecord { signatures, ..expected });
    assert_eq!(journal.trace(trace_hash(6)).await.unwrap(), None);
}

pub async fn two_gateways_record_the_same_at_once_and_one_is_first(bench: &dyn JournalBench) {
    let journals = [bench.journal("one").await, bench.journal("two").await];
    let record = |n: usize| {
        let journal = Arc::clone(&journals[n % 2]);
        tokio::spawn(async move { journal.record(&named(5)).await.unwrap() })
    };
    let new = join_all((0..16).map(record)).await;
    assert_eq!(new.into_iter().filter(|new| *new.as_ref().unwrap()).count(), 1);
    let mut entries = 0;
    for gateway in ["one", "two"] {
        entries += journals[0].entries(gateway, 0, ENTRIES_MAX).await.unwrap().len();
    }
    assert_eq!(entries, 1);
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
        attested_by: None,
    };
    assert_eq!(trace(one.as_ref(), 1).await, expected);
}

pub async fn a_word_that_is_recorded_is_not_recorded_again(bench: &dyn JournalBench) {
    let journals = [bench.journal("one").await, bench.journal("two").await];
    journals[0].record(&decided(1)).await.unwrap();
    let said = |at: u64| TraceUpdate {
        approval: Some(serde_json::json!({"by": "ann", "note": "a,{\"by\":\"ann\"},", "at": at})),
        signature: Some(serde_json::json!(at)),
        ..TraceUpdate::default()
    };
    let say = |n: u64| {
        let (journal, update) =
            (Arc::clone(&journals[usize::from(n.is_multiple_of(2))]), said(n / 8));
        tokio::spawn(async move { journal.update(trace_hash(1), &update).await.unwrap() })
    };
    for told in join_all((0..16).map(say)).await {
        told.unwrap();
    }
    let shown = trace(journals[0].as_ref(), 1).await;
    assert_eq!((shown.approvals.len(), shown.signatures.len()), (2, 2), "{shown:?}");
    // a part of what was said is another word
    let part =
        TraceUpdate { approval: Some(serde_json::json!({"by": "ann"})), ..TraceUpdate::default() };
    journals[1].update(trace_hash(1), &part).await.unwrap();
    assert_eq!(trace(journals[0].as_ref(), 1).await.approvals.len(), 3);
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
        (TraceQuery { session: Some("session-3".into()), ..any.clone() }, vec![5, 3]),
        (TraceQuery { operation: Some(operation_id(4)), ..any.clone() }, vec![4]),
        (TraceQuery { from: minute(3), to: minute(5), ..any.clone() }, vec![4, 3]),
        (TraceQuery { agent: Some(agent("odd")), to: minute(4), ..any.clone() }, vec![3, 1]),
        (TraceQuery { agent: Some(agent("nobody")), ..any }, vec![]),
    ];
    for (query, expected) in cases {
        assert_eq!(found(journal.as_ref(), &query).await, [expected], "{query:?}");
    }
}

pub async fn a_page_of_much_ends_early(bench: &dyn JournalBench) {
    let journal = bench.journal("one").await;
    for n in 0..9 {
        let mut new = decided(n);
        // the last alone is more than a page holds
        let bytes = if n == 8 { TRACES_BYTES_MAX } else { TRACES_BYTES_MAX / 3 };
        new.decision.reasoning = Some("x".repeat(bytes));
        journal.record(&new).await.unwrap();
    }
    let mut query = TraceQuery { limit: 1000, ..TraceQuery::default() };
    let (mut seen, mut pages) = (Vec::new(), Vec::new());
    loop {
        let page = journal.traces(&query).await.unwrap();
        pages.push(page.items.len());
        seen.extend(page.items.into_iter().map(|trace| trace.trace_hash));
        query.cursor = page.next_cursor;
        if query.cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen, (0..9).rev().map(trace_hash).collect::<Vec<_>>());
    assert_eq!(pages, [1, 2, 2, 2, 2]);
    // a page that is full ends there all the same
    let page = journal.traces(&TraceQuery { limit: 1, cursor: None, ..query }).await.unwrap();
    assert_eq!((page.items.len(), page.next_cursor.is_some()), (1, true));
}

fn occurrence(n: u64, cause: &str) -> Occurrence {
    Occurrence {
        id: format!("inc_{n}"),
        code: "conflict".into(),
        cause: cause.into(),
        severity: Severity::Medium,
        title: "a foreign transaction \u{202e}".into(),
        description: String::new(),
        agent: n.is_multiple_of(2).then(|| agent("even")),
        session: None,
        traces: vec![trace_hash(n)],
        count: 1,
        at: start().after(Millis(n)),
    }
}

async fn raised(journal: &dyn Journal, occurrence: &Occurrence) -> Incident {
    match journal.raise(occurrence).await.unwrap() {
        Taken::New(incident) | Taken::More(incident, _) => *incident,
        Taken::Before => panic!("it was told before"),
    }
}

fn by_ann(to: IncidentStatus) -> IncidentMove {
    let at = start().after(Millis(500));
    IncidentMove { to: Some(to), by: "ann".into(), note: Some("seen".into()), at, seen: None }
}

async fn moved(journal: &dyn Journal, id: &str, step: &IncidentMove) -> Incident {
    match journal.change_incident(id, step).await.unwrap() {
        IncidentAnswer::Changed(incident) => *incident,
        other => panic!("{other:?}"),
    }
}

async fn incident_ids(journal: &dyn Journal, query: &IncidentQuery) -> Vec<Vec<String>> {
    let (mut query, mut pages) = (query.clone(), Vec::new());
    loop {
        let page = journal.incidents(&query).await.unwrap();
        pages.push(page.items.into_iter().map(|incident| incident.id).collect());
        query.cursor = page.next_cursor;
        if query.cursor.is_none() {
            return pages;
        }
    }
}

pub async fn occurrences_of_one_cause_are_one_incident(bench: &dyn JournalBench) {
    let (one, two) = (bench.journal("one").await, bench.journal("two").await);
    let first = raised(one.as_ref(), &occurrence(1, "a")).await;
    assert_eq!((first.id.as_str(), first.count, first.version), ("inc_1", 1, 1));
    let again = one.raise(&occurrence(1, "a")).await.unwrap();
    assert_eq!(again, Taken::Before, "the same occurrence changes nothing");
    let second = raised(two.as_ref(), &occurrence(3, "a")).await;
    assert_eq!((second.id.as_str(), second.count, second.version), ("inc_1", 2, 2));
    assert_eq!(second.traces, [trace_hash(1), trace_hash(3)]);
    let other_agent = raised(one.as_ref(), &occurrence(2, "a")).await;
    let other_cause = raised(one.as_ref(), &occurrence(5, "b")).await;
    assert_eq!((other_agent.id.as_str(), other_cause.id.as_str()), ("inc_2", "inc_5"));
    assert_eq!(one.incident("inc_1").await.unwrap(), Some(second));
    assert_eq!(one.incident("inc_9").await.unwrap(), None);
    let day = Millis(25 * 3_600_000);
    let late = Occurrence { at: start().after(day), ..occurrence(7, "a") };
    assert_eq!(raised(one.as_ref(), &late).await.id, "inc_7", "the day after it is another");
    let more = Occurrence { at: start().after(day), ..occurrence(9, "a") };
    assert_eq!(raised(two.as_ref(), &more).await.id, "inc_7");
}

pub async fn what_was_resolved_is_open_again_when_it_happens_again(bench: &dyn JournalBench) {
    let journal = bench.journal("one").await;
    raised(journal.as_ref(), &occurrence(1, "a")).await;
    let resolved = moved(journal.as_ref(), "inc_1", &by_ann(IncidentStatus::Resolved)).await;
    let step = resolved.last_step().unwrap();
    assert_eq!((step.by.as_deref(), step.note.as_deref()), (Some("ann"), Some("seen")));
    let again = raised(journal.as_ref(), &occurrence(3, "a")).await;
    assert_eq!((again.id.as_str(), again.status), ("inc_1", IncidentStatus::Open));
    let of = |status| IncidentQuery { status: Some(status), limit: 9, ..IncidentQuery::default() };
    let open = incident_ids(journal.as_ref(), &of(IncidentStatus::Open)).await;
    assert_eq!(open, [["inc_1"]]);
    let none = incident_ids(journal.as_ref(), &of(IncidentStatus::Resolved)).await;
    assert_eq!(none, [Vec::<String>::new()]);
}

pub async fn incidents_are_moved_under_the_version_that_was_seen(bench: &dyn JournalBench) {
    let (one, two) = (bench.journal("one").await, bench.journal("two").await);
    raised(one.as_ref(), &occurrence(1, "a")).await;
    let seen =
        |seen| IncidentMove { seen: Some(vec![seen]), ..by_ann(IncidentStatus::Investigating) };
    let other = two.change_incident("inc_1", &seen(7)).await.unwrap();
    assert_eq!(other, IncidentAnswer::Refused(MoveRefusal::Version(1)));
    assert_eq!(moved(two.as_ref(), "inc_1", &seen(1)).await.version, 2);
    moved(one.as_ref(), "inc_1", &by_ann(IncidentStatus::Dismissed)).await;
    let illegal = one.change_incident("inc_1", &by_ann(IncidentStatus::Resolved)).await.unwrap();
    let (from, to) = (IncidentStatus::Dismissed, IncidentStatus::Resolved);
    assert_eq!(illegal, IncidentAnswer::Refused(MoveRefusal::Illegal { from, to }));
    let missing = one.change_incident("inc_9", &seen(1)).await.unwrap();
    assert_eq!(missing, IncidentAnswer::Missing);
    assert_eq!(one.incident("inc_1").await.unwrap().unwrap().version, 3);
}

pub async fn forty_at_once_and_each_counts(bench: &dyn JournalBench) {
    let journals = [bench.journal("one").await, bench.journal("two").await];
    let raising = (1..=40_u64).map(|n| {
        let journal = Arc::clone(&journals[usize::try_from(n % 2).unwrap()]);
        let occurrence = Occurrence { agent: None, ..occurrence(n, "a") };
        tokio::spawn(async move { journal.raise(&occurrence).await.unwrap() })
    });
    let taken: Vec<Taken> = join_all(raising).await.into_iter().map(Result::unwrap).collect();
    let opened = taken.iter().filter(|taken| matches!(taken, Taken::New(_))).count();
    assert_eq!(opened, 1);
    let all = IncidentQuery { limit: 99, ..IncidentQuery::default() };
    let incidents = journals[0].incidents(&all).await.unwrap().items;
    let shown: Vec<(u64, u64)> = incidents.iter().map(|i| (i.count, i.version)).collect();
    assert_eq!(shown, [(40, 40)]);
}

pub async fn ten_operators_at_once_and_one_is_first(bench: &dyn JournalBench) {
    let journal = bench.journal("one").await;
    raised(journal.as_ref(), &occurrence(1, "a")).await;
    let moving = (0..10).map(|n| {
        let journal = Arc::clone(&journal);
        let by = format!("op-{n}");
        let step =
            IncidentMove { by, seen: Some(vec![1]), ..by_ann(IncidentStatus::Investigating) };
        tokio::spawn(async move { journal.change_incident("inc_1", &step).await.unwrap() })
    });
    let answers = join_all(moving).await;
    let changed =
        |answer: &Result<IncidentAnswer, _>| matches!(answer, Ok(IncidentAnswer::Changed(_)));
    assert_eq!(answers.iter().filter(|answer| changed(answer)).count(), 1);
    assert_eq!(journal.incident("inc_1").await.unwrap().unwrap().version, 2);
}

pub async fn incidents_are_found_by_what_they_are_about(bench: &dyn JournalBench) {
    let journal = bench.journal("one").await;
    for n in 1..=5 {
        let severity = if n == 4 { Severity::Critical } else { Severity::Medium };
        let occurrence = Occurrence { severity, ..occurrence(n, &n.to_string()) };
        raised(journal.as_ref(), &occurrence).await;
    }
    moved(journal.as_ref(), "inc_2", &by_ann(IncidentStatus::Resolved)).await;
    let any = IncidentQuery { limit: 99, ..IncidentQuery::default() };
    let at = |n| Some(start().after(Millis(n)));
    let cases = [
        (any.clone(), vec![5, 4, 3, 2, 1]),
        (IncidentQuery { status: Some(IncidentStatus::Resolved), ..any.clone() }, vec![2]),
        (IncidentQuery { status: Some(IncidentStatus::Open), ..any.clone() }, vec![5, 4, 3, 1]),
        (IncidentQuery { severity: Some(Severity::Critical), ..any.clone() }, vec![4]),
        (IncidentQuery { agent: Some(agent("even")), ..any.clone() }, vec![4, 2]),
        (IncidentQuery { from: at(2), to: at(4), ..any.clone() }, vec![3, 2]),
        (
            IncidentQuery {
                agent: Some(agent("even")),
                status: Some(IncidentStatus::Open),
                ..any.clone()
            },
            vec![4],
        ),
    ];
    for (query, expected) in cases {
        let expected: Vec<String> = expected.iter().map(|n| format!("inc_{n}")).collect();
        assert_eq!(incident_ids(journal.as_ref(), &query).await, [expected], "{query:?}");
    }
    let pages = incident_ids(journal.as_ref(), &IncidentQuery { limit: 2, ..any.clone() }).await;
    assert_eq!(pages, [vec!["inc_5", "inc_4"], vec!["inc_3", "inc_2"], vec!["inc_1"]]);
    let wrong = IncidentQuery { cursor: Some("nonsense".into()), ..any };
    let answer = journal.incidents(&wrong).await;
    assert_eq!(answer, Err(JournalError::Cursor("nonsense".into())));
}
