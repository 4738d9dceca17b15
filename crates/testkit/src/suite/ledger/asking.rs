//! Asking again: what makes a request a repetition (CONTRACT §3).

use std::collections::BTreeSet;

use countersign_core::{
    fact::Freeze,
    identity::OperatorId,
    operation::{Delivery, OperationState},
    pact::{Pact, PactVerb},
    time::Millis,
};
use countersign_engine::port::ledger::{
    COLLECT_WITHIN, Commit, CommitAnswer, DenyAnswer, Found, NewOperation, PactWord, Reject,
    RejectAnswer, Repeat, Reserve, ReserveAnswer, Survey, Surveyed,
};

use crate::{
    fixture::{
        self, CHAIN, DAY, address, agent, intent, key, operation_id, operation_of, order, reject,
        rolling, wallet,
    },
    suite::{Desk, LedgerBench},
};

/// A duplicate window.
const WINDOW: Millis = Millis(15_000);

/// The n-th operation over the payload `p`.
fn asked(n: u64, p: u64, edit: impl FnOnce(&mut Repeat)) -> Reserve {
    let mut operation = operation_of(n, intent(p));
    edit(&mut operation.repeat);
    Reserve { operation, ..fixture::reserve(n, vec![rolling("day", 1, 1_000_000)]) }
}

async fn reserved(desk: &Desk, reserve: &Reserve) {
    let answer = desk.ledger.reserve(reserve).await.unwrap();
    assert!(matches!(answer, ReserveAnswer::Reserved(_)), "{answer:?}");
}

/// Which operation a request repeats, as `find`, `reserve` and `deny` must all say.
async fn repeats(desk: &Desk, repeat: &Repeat) -> Option<u64> {
    let found = desk.ledger.find(repeat).await.unwrap();
    assert_eq!(surveyed(desk, repeat).await.found, found, "a survey finds the same");
    let operation = NewOperation { repeat: repeat.clone(), ..fixture::operation(9_999) };
    match found {
        Found::Nothing => None,
        Found::Same(same) => {
            let denied = desk.ledger.deny(&operation).await.unwrap();
            assert_eq!(denied, DenyAnswer::Same(same.clone()));
            let reserve = Reserve { operation, ..fixture::reserve(9_999, vec![]) };
            let reserved = desk.ledger.reserve(&reserve).await.unwrap();
            assert_eq!(reserved, ReserveAnswer::Same(same.clone()));
            (0..1000).find(|n| operation_id(*n) == same.id)
        }
        Found::KeyConflict(other) => panic!("conflict with {}", other.id),
    }
}

async fn deliver(desk: &Desk, n: u64, from: Delivery, to: Delivery) -> bool {
    desk.ledger.deliver(operation_id(n), from, to).await.unwrap()
}

pub async fn a_key_finds_its_operation_for_ever(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let first = asked(1, 7, |r| r.key = Some(key(1)));
    reserved(&desk, &first).await;
    assert_eq!(repeats(&desk, &first.operation.repeat).await, Some(1));
    desk.ledger.reject(&reject(1)).await.unwrap();
    assert!(deliver(&desk, 1, Delivery::Waiting, Delivery::Collected).await);
    desk.time.advance(Millis(1000 * DAY.0));
    assert_eq!(repeats(&desk, &first.operation.repeat).await, Some(1));
    let other_key = Repeat { key: Some(key(2)), ..first.operation.repeat };
    assert_eq!(repeats(&desk, &other_key).await, None);
}

pub async fn a_key_with_another_payload_is_a_conflict(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    reserved(&desk, &asked(1, 7, |r| r.key = Some(key(1)))).await;
    let other = asked(2, 8, |r| r.key = Some(key(1)));
    let length = desk.sequence().await;
    let first = Box::new(desk.record(1).await);
    let found = desk.ledger.find(&other.operation.repeat).await.unwrap();
    assert_eq!(found, Found::KeyConflict(first.clone()));
    let answer = desk.ledger.reserve(&other).await.unwrap();
    assert_eq!(answer, ReserveAnswer::KeyConflict(first.clone()));
    let answer = desk.ledger.deny(&other.operation).await.unwrap();
    assert_eq!(answer, DenyAnswer::KeyConflict(first));
    assert_eq!(desk.sequence().await, length);
}

pub async fn without_a_key_the_owed_result_is_found_until_collected(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let repeat = asked(1, 7, |_| {}).operation.repeat;
    reserved(&desk, &asked(1, 7, |_| {})).await;
    assert_eq!(repeats(&desk, &repeat).await, None, "its caller still waits");
    desk.time.advance(Millis(1));
    reserved(&desk, &asked(2, 7, |_| {})).await;
    for n in [2, 1] {
        assert!(deliver(&desk, n, Delivery::Waiting, Delivery::Owed).await);
        assert!(!deliver(&desk, n, Delivery::Waiting, Delivery::Owed).await);
    }
    assert_eq!(repeats(&desk, &repeat).await, Some(1), "the oldest first");
    desk.ledger.reject(&reject(1)).await.unwrap();
    assert_eq!(repeats(&desk, &repeat).await, Some(1), "a rejection is a result too");
    assert!(deliver(&desk, 1, Delivery::Owed, Delivery::Collected).await);
    assert_eq!(repeats(&desk, &repeat).await, Some(2));
    assert!(deliver(&desk, 2, Delivery::Owed, Delivery::Collected).await);
    assert_eq!(repeats(&desk, &repeat).await, None);
}

pub async fn what_is_answered_at_once_is_owed_from_its_beginning(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let repeat = asked(1, 7, |_| {}).operation.repeat;
    reserved(&desk, &Reserve { delivery: Delivery::Owed, ..asked(1, 7, |_| {}) }).await;
    assert_eq!(desk.record(1).await.delivery, Delivery::Owed);
    desk.ledger.reject(&reject(1)).await.unwrap();
    assert_eq!(repeats(&desk, &repeat).await, Some(1), "its no is a result too");
    assert!(!deliver(&desk, 1, Delivery::Waiting, Delivery::Owed).await);
    assert!(deliver(&desk, 1, Delivery::Owed, Delivery::Collected).await);
    assert_eq!(repeats(&desk, &repeat).await, None);
}

pub async fn an_owed_result_is_kept_for_24_hours_after_it_is_finished(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let first = asked(1, 7, |_| {});
    reserved(&desk, &first).await;
    assert!(deliver(&desk, 1, Delivery::Waiting, Delivery::Owed).await);
    desk.time.advance(Millis(5 * DAY.0));
    assert_eq!(repeats(&desk, &first.operation.repeat).await, Some(1), "it is not finished");
    desk.ledger.reject(&reject(1)).await.unwrap();
    desk.time.advance(COLLECT_WITHIN);
    assert_eq!(repeats(&desk, &first.operation.repeat).await, Some(1));
    desk.time.advance(Millis(1));
    assert_eq!(repeats(&desk, &first.operation.repeat).await, None);
}

pub async fn a_recent_answer_repeats_within_the_window_only(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let repeat = Repeat { window: WINDOW, ..asked(1, 7, |_| {}).operation.repeat };
    let zero = Repeat { window: Millis::ZERO, ..repeat.clone() };
    desk.signed(7, vec![]).await;
    assert_eq!(repeats(&desk, &repeat).await, Some(7), "its caller waits");
    assert!(deliver(&desk, 7, Delivery::Waiting, Delivery::Collected).await);
    desk.time.advance(WINDOW);
    assert_eq!(repeats(&desk, &repeat).await, Some(7));
    assert_eq!(repeats(&desk, &zero).await, None);
    desk.time.advance(Millis(1));
    assert_eq!(repeats(&desk, &repeat).await, None);
    reserved(&desk, &asked(8, 7, |_| {})).await;
    desk.time.advance(Millis(1));
    reserved(&desk, &asked(9, 7, |_| {})).await;
    assert_eq!(repeats(&desk, &repeat).await, Some(9), "the newest");
    desk.ledger.reject(&reject(9)).await.unwrap();
    assert_eq!(repeats(&desk, &repeat).await, Some(8), "a no is no reason to say no again");
    assert_eq!(desk.state(9).await, OperationState::Rejected);
}

pub async fn a_finished_answer_that_still_waits_is_recent_or_nothing(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let repeat = Repeat { window: WINDOW, ..asked(1, 7, |_| {}).operation.repeat };
    let zero = Repeat { window: Millis::ZERO, ..repeat.clone() };
    reserved(&desk, &asked(1, 7, |_| {})).await;
    desk.time.advance(Millis(100 * DAY.0));
    assert_eq!(repeats(&desk, &repeat).await, Some(1), "it is not finished");
    assert_eq!(repeats(&desk, &zero).await, None);
    let CommitAnswer::Bound(record) = desk.ledger.commit(&fixture::commit(1)).await.unwrap() else {
        panic!("not committed")
    };
    desk.time.advance(Millis(100 * DAY.0));
    assert_eq!(repeats(&desk, &repeat).await, Some(1), "nor is it before it is signed");
    let bytes = fixture::signed_first(&record);
    desk.ledger.signed(operation_id(1), 0, &bytes, None).await.unwrap();
    desk.time.advance(WINDOW);
    assert_eq!(repeats(&desk, &repeat).await, Some(1));
    assert_eq!(repeats(&desk, &zero).await, None);
    desk.time.advance(Millis(1));
    assert_eq!(repeats(&desk, &repeat).await, None, "though nobody said that it was collected");
    assert_eq!(desk.record(1).await.delivery, Delivery::Waiting);
    assert!(deliver(&desk, 1, Delivery::Waiting, Delivery::Owed).await);
    assert_eq!(repeats(&desk, &zero).await, Some(1), "what is owed is owed for longer");
}

fn pact() -> Pact {
    Pact { agent: agent("trader"), grant: fixture::grant(0) }
}

async fn surveyed(desk: &Desk, repeat: &Repeat) -> Surveyed {
    let (addresses, repeat) = (vec![address(2), address(3)], repeat.clone());
    let survey = Survey { repeat, chain: CHAIN, wallet: wallet("hot"), addresses, pact: pact() };
    desk.ledger.survey(&survey).await.unwrap()
}

pub async fn a_survey_says_what_each_question_says(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let repeat = asked(1, 7, |_| {}).operation.repeat;
    let before = surveyed(&desk, &repeat).await;
    let now = desk.now().await;
    let nothing = Surveyed {
        found: Found::Nothing,
        now,
        seen: BTreeSet::new(),
        freezes: Vec::new(),
        pact: None,
    };
    assert_eq!(before, nothing);
    reserved(&desk, &asked(1, 7, |_| {})).await;
    let commit = Commit { counterparties: vec![address(3)], ..fixture::commit(1) };
    desk.ledger.commit(&commit).await.unwrap();
    assert!(deliver(&desk, 1, Delivery::Waiting, Delivery::Owed).await);
    for freeze in [Freeze::Agent(agent("bot")), Freeze::Global] {
        desk.ledger.freeze(&order(&freeze)).await.unwrap();
    }
    let pact = pact();
    let by = OperatorId::parse("ann").unwrap();
    let word = |verb| PactWord { pact: pact.clone(), verb, by: by.clone(), note: None };
    desk.ledger.say(&word(PactVerb::Approve)).await.unwrap();
    desk.time.advance(Millis(1500));
    let expected = Surveyed {
        found: Found::Same(Box::new(desk.record(1).await)),
        now: desk.now().await,
        seen: BTreeSet::from([address(3)]),
        freezes: desk.ledger.freezes().await.unwrap(),
        pact: desk.ledger.pact(&pact).await.unwrap(),
    };
    assert_eq!((expected.freezes.len(), expected.pact.is_some()), (2, true));
    let length = desk.sequence().await;
    assert_eq!(surveyed(&desk, &repeat).await, expected);
    assert_eq!(desk.sequence().await, length, "a survey writes nothing");
}

/// A no to the n-th operation that says nothing about the request.
fn void(n: u64) -> Reject {
    Reject { void: true, ..reject(n) }
}

pub async fn a_void_operation_frees_its_key_for_another(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let keyed = |n, p| asked(n, p, |r| r.key = Some(key(1)));
    reserved(&desk, &keyed(1, 7)).await;
    let answer = desk.ledger.reject(&void(1)).await.unwrap();
    let RejectAnswer::Rejected(record) = answer else { panic!("{answer:?}") };
    assert_eq!((record.state, record.delivery), (OperationState::Rejected, Delivery::Collected));
    assert_eq!((record.key, record.finished_at), (Some(key(1)), Some(desk.now().await)));
    assert_eq!(desk.counts(&rolling("day", 0, 0)).await, [0, 0, 0]);
    let length = desk.sequence().await;
    let again = desk.ledger.reject(&void(1)).await.unwrap();
    assert_eq!(again, RejectAnswer::Rejected(record.clone()));
    assert_eq!(desk.sequence().await, length);
    assert_eq!(repeats(&desk, &keyed(2, 7).operation.repeat).await, None);
    reserved(&desk, &keyed(2, 8)).await;
    assert_eq!(repeats(&desk, &keyed(3, 8).operation.repeat).await, Some(2));
    let found = desk.ledger.find(&keyed(3, 7).operation.repeat).await.unwrap();
    assert_eq!(found, Found::KeyConflict(Box::new(desk.record(2).await)));
    assert_eq!(desk.record(1).await, *record, "its record stays");
    desk.ledger.reject(&void(1)).await.unwrap();
    desk.ledger.reject(&reject(2)).await.unwrap();
    bench.reopen().await;
    let desk = Desk::at(bench).await;
    assert_eq!(repeats(&desk, &keyed(3, 8).operation.repeat).await, Some(2), "a no keeps its key");
}

pub async fn a_void_operation_is_never_repeated(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let keyed = asked(1, 7, |r| r.key = Some(key(1)));
    reserved(&desk, &keyed).await;
    for n in [2, 3] {
        reserved(&desk, &asked(n, 7, |_| {})).await;
    }
    assert!(deliver(&desk, 2, Delivery::Waiting, Delivery::Owed).await);
    for n in 1..=3 {
        desk.ledger.reject(&void(n)).await.unwrap();
    }
    let bare = Repeat { key: None, window: WINDOW, ..keyed.operation.repeat.clone() };
    assert_eq!(repeats(&desk, &bare).await, None);
    assert_eq!(repeats(&desk, &keyed.operation.repeat).await, None);
    bench.reopen().await;
    let desk = Desk::at(bench).await;
    assert_eq!(repeats(&desk, &bare).await, None, "nor after a crash");
    assert_eq!(repeats(&desk, &keyed.operation.repeat).await, None);
    assert!(deliver(&desk, 1, Delivery::Collected, Delivery::Owed).await);
    assert_eq!(repeats(&desk, &bare).await, None, "it had a key");
}

pub async fn entries_of_one_batch_are_never_each_others_duplicates(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let entry = |n, batch| {
        asked(n, 7, |r| {
            r.window = WINDOW;
            r.batch = batch;
        })
    };
    for n in 1..=20 {
        reserved(&desk, &entry(n, Some(1))).await;
    }
    assert_eq!(desk.counts(&rolling("day", 0, 0)).await, [20, 0, 0]);
    assert_eq!(repeats(&desk, &entry(0, Some(2)).operation.repeat).await, Some(20));
    assert_eq!(repeats(&desk, &entry(0, None).operation.repeat).await, Some(20));
    assert!(deliver(&desk, 3, Delivery::Waiting, Delivery::Owed).await);
    assert_eq!(repeats(&desk, &entry(0, Some(1)).operation.repeat).await, None);
    assert_eq!(repeats(&desk, &entry(0, Some(2)).operation.repeat).await, Some(3));
}

pub async fn a_keyed_operation_is_never_found_without_its_key(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let keyed = asked(1, 7, |r| r.key = Some(key(1)));
    reserved(&desk, &keyed).await;
    assert!(deliver(&desk, 1, Delivery::Waiting, Delivery::Owed).await);
    let bare = Repeat { key: None, window: WINDOW, ..keyed.operation.repeat };
    assert_eq!(repeats(&desk, &bare).await, None);
    reserved(&desk, &asked(2, 7, |_| {})).await;
    assert_eq!(repeats(&desk, &Repeat { key: Some(key(2)), ..bare }).await, None);
}

pub async fn what_waits_at_a_dead_gateway_is_owed(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let mut reserve = asked(1, 7, |_| {});
    reserve.operation.gateway = "gateway-2".into();
    desk.ledger.present("gateway-2", Millis(10_000)).await.unwrap();
    reserved(&desk, &reserve).await;
    let repeat = reserve.operation.repeat;
    desk.time.advance(Millis(9_999));
    assert_eq!(repeats(&desk, &repeat).await, None);
    assert!(!deliver(&desk, 1, Delivery::Owed, Delivery::Collected).await);
    desk.time.advance(Millis(1));
    assert_eq!(repeats(&desk, &repeat).await, Some(1));
    assert!(!deliver(&desk, 1, Delivery::Waiting, Delivery::Collected).await);
    desk.ledger.present("gateway-2", Millis(10_000)).await.unwrap();
    assert_eq!(repeats(&desk, &repeat).await, None, "it was only slow");
    desk.time.advance(Millis(10_000));
    assert!(deliver(&desk, 1, Delivery::Waiting, Delivery::Owed).await);
    desk.ledger.present("gateway-2", Millis(10_000)).await.unwrap();
    assert_eq!(repeats(&desk, &repeat).await, Some(1), "noted while it was only slow");
    assert!(deliver(&desk, 1, Delivery::Owed, Delivery::Collected).await);
    assert!(!deliver(&desk, 1, Delivery::Waiting, Delivery::Owed).await);
    assert_eq!(repeats(&desk, &repeat).await, None);
}
