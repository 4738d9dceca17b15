//! Shelves of policies, as tests: what every store answers to what.
#![expect(missing_docs, reason = "the tests' names are sentences")]

use std::{collections::BTreeMap, sync::Arc};

use alloy_primitives::B256;
use async_trait::async_trait;
use countersign_core::{
    identity::{OperatorId, PolicyId},
    shelf::{
        BackTest, Change, ChangeGate, ChangeVote, DiffClass, Evaluators, Example, Flips, MayFall,
        Measure, NewVersion, Origin, PolicyKey, PolicySignature, Proposer, Shelf, ShelfChange,
        TestRun, Version, VersionState,
    },
    time::Millis,
};
use countersign_engine::port::{
    PolicyShelf,
    shelf::{PutAnswer, VERSIONS_MAX},
};
use futures_util::future::join_all;

use crate::fixture::{agent, at, trace_hash};

/// A store of shelves on the bench.
#[async_trait]
pub trait ShelfBench: Send + Sync {
    /// The shelves, as one more gateway has them.
    async fn shelf(&self) -> Arc<dyn PolicyShelf>;
}

/// Runs the whole suite against one store. Takes an async function that makes a fresh bench.
#[macro_export]
macro_rules! shelf_suite {
    ($make:path) => {
        $crate::shelf_suite!(@ $make:
            a_shelf_is_read_back_as_it_was_put
            versions_are_listed_newest_first_below_a_number
            agents_have_shelves_of_their_own
            a_change_of_what_is_not_there_any_more_is_not_made
            a_change_that_is_put_twice_is_made_once
            forty_at_once_and_none_is_lost
            of_two_that_begin_a_shelf_one_does
        );
    };
    (@ $make:path: $($test:ident)+) => {
        mod shelf {
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    let bench = $make().await;
                    $crate::suite::shelf::$test(&bench).await;
                }
            )+
        }
    };
}

fn policy(n: u64) -> PolicyId {
    PolicyId(B256::left_padding_from(&n.to_be_bytes()))
}

/// A version with something in every field, and a text that a store must not touch.
fn new(who: &str, n: u64, base: u64) -> NewVersion {
    NewVersion {
        agent: agent(who),
        policy: policy(n),
        name: "a-policy".into(),
        format: Some("fields".into()),
        origin: Origin::Rollback { of: 1 },
        proposed_by: Some(Proposer {
            operator: OperatorId::parse("ann").unwrap(),
            person: "Ann \u{1f511} \" \\".into(),
        }),
        proposed_at: at("2026-06-15T12:00:00Z"),
        note: Some("because\r\n=\u{7}".into()),
        shadow: true,
        base: policy(base),
        class: DiffClass::Loosening,
        changes: vec![Change {
            class: DiffClass::Loosening,
            what: "limit day".into(),
            text: "1 -> 2".into(),
        }],
        tests: vec![TestRun { name: "t".into(), line: 7, passed: true }],
        back_test: Some(BackTest {
            from: at("2026-06-08T12:00:00Z"),
            to: at("2026-06-15T12:00:00Z"),
            decisions: 3,
            skipped: 1,
            truncated: true,
            newly: Flips { deny: 1, allow: 2, park: 0 },
            newly_allowed_at_risk: 1,
            evaluators: Evaluators {
                safety: Measure { of: u64::MAX, in_force: 2, version: 1 },
                ..Evaluators::default()
            },
            examples: vec![Example {
                trace: trace_hash(n),
                before: "allow".into(),
                after: "deny no_rule_allows".into(),
            }],
        }),
        signed: Some(signature(n)),
        text: format!("# {n} {{}} \u{0} =x\r\n\u{1f511}"),
    }
}

fn signature(sequence: u64) -> PolicySignature {
    PolicySignature {
        app: "desk \"".into(),
        uses: vec!["agent bot".into()],
        sequence,
        key: PolicyKey([7; 32]),
        signature: "00ff".into(),
    }
}

fn begun(who: &str, mark: &str) -> ShelfChange {
    Shelf::begun(new(who, 1, 1), mark.into())
}

fn gate() -> ChangeGate {
    ChangeGate {
        approvals: 2,
        groups: vec!["risk".into()],
        delay: Millis(7),
        newly_allowed_bp: Some(10_000),
        newly_allowed_at_risk: Some(u64::MAX),
        may_fall: MayFall { economics: Some(10_000), ..MayFall::default() },
    }
}

/// The next version on a shelf, which stays a draft.
fn proposed(shelf: &Shelf, n: u64) -> ShelfChange {
    let base = shelf.active.policy;
    let signed = Some(signature(shelf.sequence + 1));
    let new = NewVersion { base, signed, ..new(shelf.agent.as_str(), n, 1) };
    shelf.proposing(new, &gate(), format!("proposed {n}")).unwrap()
}

async fn put(shelves: &dyn PolicyShelf, change: &ShelfChange) -> Shelf {
    assert_eq!(shelves.put(change).await.unwrap(), PutAnswer::Done);
    change.shelf.clone()
}

pub async fn a_shelf_is_read_back_as_it_was_put(bench: &dyn ShelfBench) {
    let shelves = bench.shelf().await;
    let who = agent("bot");
    assert_eq!(shelves.shelf(&who).await.unwrap(), None);
    assert_eq!(shelves.version(&who, 1).await.unwrap(), None);
    assert_eq!(shelves.text(&who, 1).await.unwrap(), None);
    assert_eq!(shelves.revisions().await.unwrap(), BTreeMap::new());
    let first = begun("bot", "m");
    put(shelves.as_ref(), &first).await;
    let second = proposed(&first.shelf, 2);
    put(shelves.as_ref(), &second).await;
    let other = bench.shelf().await;
    assert_eq!(other.shelf(&who).await.unwrap(), Some(second.shelf.clone()));
    assert_eq!(other.version(&who, 1).await.unwrap(), Some(first.versions[0].clone()));
    assert_eq!(other.version(&who, 2).await.unwrap(), Some(second.versions[0].clone()));
    assert_eq!(other.text(&who, 2).await.unwrap(), second.text);
    assert_eq!(other.version(&who, 3).await.unwrap(), None);
    assert_eq!(other.revisions().await.unwrap(), BTreeMap::from([(who.clone(), 2)]));
    // what changes is the version and not its text
    let mut waits = Version { number: 2, ..second.versions[0].clone() };
    waits.state = VersionState::Rejected;
    let shelf = Shelf { revision: 3, mark: "n".into(), ..second.shelf };
    let change = ShelfChange { shelf, versions: vec![waits.clone()], text: None };
    put(other.as_ref(), &change).await;
    assert_eq!(shelves.version(&who, 2).await.unwrap(), Some(waits));
    assert_eq!(shelves.text(&who, 2).await.unwrap(), second.text);
}

pub async fn versions_are_listed_newest_first_below_a_number(bench: &dyn ShelfBench) {
    let shelves = bench.shelf().await;
    let who = agent("bot");
    assert_eq!(shelves.versions(&who, None, 10).await.unwrap(), []);
    let mut shelf = put(shelves.as_ref(), &begun("bot", "m")).await;
    for n in 2..=u64::from(VERSIONS_MAX) + 9 {
        shelf = put(shelves.as_ref(), &proposed(&shelf, n)).await;
        shelf.open.clear();
    }
    let numbers = async |below, limit| -> Vec<u64> {
        let found = shelves.versions(&who, below, limit).await.unwrap();
        found.into_iter().map(|version| version.number).collect()
    };
    assert_eq!(numbers(None, 3).await, [59, 58, 57]);
    assert_eq!(numbers(Some(3), 10).await, [2, 1]);
    assert_eq!(numbers(Some(1), 10).await, Vec::<u64>::new());
    assert_eq!(numbers(Some(0), 10).await, Vec::<u64>::new());
    assert_eq!(numbers(Some(u64::MAX), 2).await, [59, 58]);
    assert_eq!(numbers(None, u32::MAX).await.len(), usize::try_from(VERSIONS_MAX).unwrap());
    assert_eq!(numbers(None, 0).await, Vec::<u64>::new());
}

pub async fn agents_have_shelves_of_their_own(bench: &dyn ShelfBench) {
    let shelves = bench.shelf().await;
    put(shelves.as_ref(), &begun("bot", "m")).await;
    let other = put(shelves.as_ref(), &begun("bot-2", "n")).await;
    put(shelves.as_ref(), &proposed(&other, 2)).await;
    let revisions = BTreeMap::from([(agent("bot"), 1), (agent("bot-2"), 2)]);
    assert_eq!(shelves.revisions().await.unwrap(), revisions);
    assert_eq!(shelves.versions(&agent("bot"), None, 9).await.unwrap().len(), 1);
    assert_eq!(shelves.versions(&agent("bot-2"), None, 9).await.unwrap().len(), 2);
}

pub async fn a_change_of_what_is_not_there_any_more_is_not_made(bench: &dyn ShelfBench) {
    let shelves = bench.shelf().await;
    let first = begun("bot", "m");
    let early = proposed(&first.shelf, 9);
    assert_eq!(shelves.put(&early).await.unwrap(), PutAnswer::Moved, "nothing is there yet");
    let shelf = put(shelves.as_ref(), &first).await;
    put(shelves.as_ref(), &proposed(&shelf, 2)).await;
    let late = proposed(&shelf, 3);
    assert_eq!(shelves.put(&late).await.unwrap(), PutAnswer::Moved);
    let kept = shelves.version(&agent("bot"), 2).await.unwrap().unwrap();
    assert_eq!(kept.policy, policy(2));
    assert!(shelves.text(&agent("bot"), 2).await.unwrap().unwrap().starts_with("# 2"));
}

pub async fn a_change_that_is_put_twice_is_made_once(bench: &dyn ShelfBench) {
    let shelves = bench.shelf().await;
    let first = begun("bot", "m");
    put(shelves.as_ref(), &first).await;
    put(shelves.as_ref(), &first).await;
    let second = proposed(&first.shelf, 2);
    put(shelves.as_ref(), &second).await;
    put(shelves.as_ref(), &second).await;
    assert_eq!(shelves.put(&first).await.unwrap(), PutAnswer::Moved, "it is long over");
    let now = shelves.shelf(&agent("bot")).await.unwrap().unwrap();
    assert_eq!((now.revision, now.newest), (2, 2));
}

/// Forty people at eight gateways vote at once, each until they were heard: every vote is there, and each changed the
/// shelf once.
pub async fn forty_at_once_and_none_is_lost(bench: &dyn ShelfBench) {
    let shelves = bench.shelf().await;
    let shelf = put(shelves.as_ref(), &begun("bot", "m")).await;
    let gate = ChangeGate { approvals: 100, delay: Millis::ZERO, ..ChangeGate::default() };
    let new = NewVersion { shadow: false, ..new("bot", 2, 1) };
    let shelf = put(shelves.as_ref(), &shelf.proposing(new, &gate, "p".into()).unwrap()).await;
    let gateways = join_all((0..8).map(|_| bench.shelf())).await;
    let voters = (0..40).map(|n| {
        let shelves = Arc::clone(&gateways[n % 8]);
        tokio::spawn(async move { votes(shelves.as_ref(), n).await })
    });
    join_all(voters).await.into_iter().for_each(Result::unwrap);
    let version = shelves.version(&agent("bot"), 2).await.unwrap().unwrap();
    let VersionState::Waiting(waits) = version.state else { panic!("{version:?}") };
    let mut people: Vec<String> = waits.votes.into_iter().map(|vote| vote.person).collect();
    people.sort();
    people.dedup();
    assert_eq!(people.len(), 40);
    let now = shelves.shelf(&agent("bot")).await.unwrap().unwrap();
    assert_eq!(now.revision, shelf.revision + 40);
}

async fn votes(shelves: &dyn PolicyShelf, n: usize) {
    let who = agent("bot");
    loop {
        let shelf = shelves.shelf(&who).await.unwrap().unwrap();
        let mut version = shelves.version(&who, 2).await.unwrap().unwrap();
        let VersionState::Waiting(waits) = &mut version.state else { panic!("{version:?}") };
        waits.votes.push(ChangeVote {
            operator: OperatorId::parse(&format!("o-{n}")).unwrap(),
            person: format!("p-{n}"),
            groups: Vec::new(),
            at: at("2026-06-15T12:00:00Z"),
            note: None,
        });
        let mark = format!("{n} on {}", shelf.revision);
        let shelf = Shelf { revision: shelf.revision + 1, mark, ..shelf };
        let change = ShelfChange { shelf, versions: vec![version], text: None };
        if shelves.put(&change).await.unwrap() == PutAnswer::Done {
            return;
        }
    }
}

pub async fn of_two_that_begin_a_shelf_one_does(bench: &dyn ShelfBench) {
    let (one, two) = (bench.shelf().await, bench.shelf().await);
    let changes = [begun("bot", "one"), begun("bot", "two")];
    let (first, second) = tokio::join!(one.put(&changes[0]), two.put(&changes[1]));
    let mut answers = [first.unwrap(), second.unwrap()];
    answers.sort_by_key(|answer| *answer == PutAnswer::Moved);
    assert_eq!(answers, [PutAnswer::Done, PutAnswer::Moved]);
}
