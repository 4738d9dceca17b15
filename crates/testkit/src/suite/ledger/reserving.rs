//! Reserving: limits, all or nothing, races.

use countersign_core::{
    amount::AMOUNT_MAX,
    charge::{Charge, Over, Window},
    operation::{Delivery, OperationState},
    time::Millis,
};
use countersign_engine::port::ledger::{DenyAnswer, Found, Reserve, ReserveAnswer};

use crate::{
    fixture::{self, DAY, asking, charge, daily, operation, operation_id, park, reserve, rolling},
    suite::{Desk, LedgerBench},
};

/// The places of the charges that did not fit.
fn over(answer: &ReserveAnswer) -> Vec<usize> {
    match answer {
        ReserveAnswer::Over(over) => over.iter().map(|o| o.index).collect(),
        other => panic!("not over: {other:?}"),
    }
}

pub async fn a_reservation_is_charged_and_recorded(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let charges = vec![rolling("day", 40, 100), charge("ever", Window::Grant, 1, 10)];
    let record = desk.reserved(1, charges.clone()).await;
    let asked = operation(1);
    assert_eq!(record.state, OperationState::Allowed);
    assert_eq!(record.delivery, Delivery::Waiting);
    assert_eq!((record.created_at, record.updated_at), (desk.now().await, desk.now().await));
    assert_eq!((&record.intent, &record.charges), (&asked.intent, &charges));
    assert_eq!((record.trace, &record.reason), (asked.trace, &asked.reason));
    assert_eq!(record.fingerprint, asked.repeat.fingerprint);
    assert_eq!(record.finished_at, None);
    assert!(record.attempts.is_empty() && record.votes.is_empty() && record.digest.is_none());
    assert_eq!(desk.record(1).await, record);
    assert_eq!(desk.counts(&charges[0]).await, [40, 0, 0]);
    assert_eq!(desk.counts(&charges[1]).await, [1, 0, 0]);
}

pub async fn the_same_operation_reserved_again_is_the_same_and_charges_once(
    bench: &mut dyn LedgerBench,
) {
    let desk = Desk::at(bench).await;
    let first = desk.reserved(1, vec![rolling("day", 60, 100)]).await;
    let length = desk.sequence().await;
    desk.time.advance(Millis(5));
    assert_eq!(desk.reserved(1, vec![rolling("day", 60, 100)]).await, first);
    assert_eq!(desk.counts(&rolling("day", 0, 100)).await, [60, 0, 0]);
    assert_eq!(desk.sequence().await, length);
}

pub async fn the_last_unit_of_a_limit_fits_and_the_next_does_not(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    for (n, window) in [Window::Rolling(DAY), Window::Grant].into_iter().enumerate() {
        let (name, n) = (format!("limit-{n}"), 10 * u64::try_from(n).unwrap());
        desk.reserved(n, vec![charge(&name, window, 99, 100)]).await;
        desk.reserved(n + 1, vec![charge(&name, window, 1, 100)]).await;
        let answer =
            desk.ledger.reserve(&reserve(n + 2, vec![charge(&name, window, 1, 100)])).await;
        let ReserveAnswer::Over(found) = answer.unwrap() else { panic!("it fitted") };
        assert_eq!((found.len(), found[0].index, found[0].reading.reserved), (1, 0, 100));
        assert_eq!(found[0].reading.frees_at, None);
        desk.reserved(n + 3, vec![charge(&name, window, 0, 100)]).await;
    }
}

pub async fn all_charges_fit_or_none_is_made(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    desk.reserved(1, vec![rolling("b", 95, 100)]).await;
    let length = desk.sequence().await;
    let charges = vec![rolling("a", 10, 100), rolling("b", 10, 100), rolling("c", 10, 5)];
    let answer = desk.ledger.reserve(&reserve(2, charges.clone())).await.unwrap();
    assert_eq!(over(&answer), [1, 2]);
    assert_eq!(desk.counts(&charges[0]).await, [0, 0, 0]);
    assert_eq!(desk.counts(&charges[1]).await, [95, 0, 0]);
    assert_eq!(desk.ledger.operation(operation_id(2)).await.unwrap(), None);
    assert_eq!(desk.sequence().await, length);
    desk.reserved(2, vec![rolling("a", 10, 100)]).await;
}

pub async fn charges_on_one_counter_add_up_within_a_reservation(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let thrice = |limit| vec![rolling("day", 40, limit); 3];
    let answer = desk.ledger.reserve(&reserve(1, thrice(100))).await.unwrap();
    assert_eq!(over(&answer), [2]);
    let record = desk.reserved(1, thrice(120)).await;
    assert_eq!(desk.counts(&record.charges[0]).await, [120, 0, 0]);
}

pub async fn a_sum_above_2_to_the_53_never_fits(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let waived = |amount| asking(rolling("day", amount, u64::MAX), true);
    desk.reserved(1, vec![waived(AMOUNT_MAX)]).await;
    let answer = desk.ledger.reserve(&reserve(2, vec![waived(1)])).await.unwrap();
    assert_eq!(over(&answer), [0]);
    for (value, fee) in [(u64::MAX, 0), (u64::MAX, u64::MAX), (AMOUNT_MAX, 1)] {
        let huge = Charge { value, fee, ..charge("other", Window::Grant, 0, u64::MAX) };
        let answer = desk.ledger.reserve(&reserve(2, vec![huge])).await.unwrap();
        assert_eq!(over(&answer), [0], "{value} + {fee}");
    }
    assert_eq!(desk.counts(&waived(0)).await, [AMOUNT_MAX, 0, 0]);
}

pub async fn an_overrun_that_asks_people_is_refused_unless_waived_or_parked(
    bench: &mut dyn LedgerBench,
) {
    let desk = Desk::at(bench).await;
    let asks = |waived| vec![asking(rolling("day", 60, 50), waived)];
    let answer = desk.ledger.reserve(&reserve(1, asks(false))).await.unwrap();
    assert_eq!(over(&answer), [0]);
    desk.reserved(1, asks(true)).await;
    let parked = desk.parked(2, asks(false)).await;
    assert_eq!(parked.state, OperationState::Parked);
    assert_eq!(parked.digest, Some(fixture::digest(2)));
    assert_eq!(parked.gates, [fixture::gate("large")]);
    assert_eq!(parked.expires_at, Some(desk.now().await.after(fixture::HOUR)));
    assert_eq!(desk.counts(&asks(false)[0]).await, [120, 0, 0]);
    let until = desk.now().await.after(fixture::HOUR);
    let denies = vec![Charge { over: Over::Deny, ..asks(false)[0].clone() }];
    let answer = desk.ledger.reserve(&park(3, denies, until)).await.unwrap();
    assert_eq!(over(&answer), [0], "a limit that denies is not opened by parking");
}

pub async fn no_more_of_an_agents_operations_wait_than_may(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let until = desk.now().await.after(fixture::HOUR);
    let day = || vec![rolling("day", 10, 100)];
    let park = |n| Reserve { parked_max: 2, ..park(n, day(), until) };
    desk.parked(1, day()).await;
    desk.parked(2, day()).await;
    let length = desk.sequence().await;
    assert_eq!(desk.ledger.reserve(&park(3)).await.unwrap(), ReserveAnswer::Crowded);
    assert_eq!(desk.ledger.operation(operation_id(3)).await.unwrap(), None);
    let (whose, nobody) = (park(3).operation.intent.agent, fixture::agent("nobody"));
    for (agent, most, parked) in [(&whose, 9, 2), (&whose, 2, 2), (&whose, 1, 1), (&nobody, 9, 0)] {
        assert_eq!(desk.ledger.parked(agent, most).await.unwrap(), parked, "{agent} {most}");
    }
    assert_eq!(desk.counts(&day()[0]).await, [20, 0, 0]);
    assert_eq!(desk.sequence().await, length);
    // the same again is still the same, what asks nobody is not counted, and others have a crowd of their own
    assert!(matches!(desk.ledger.reserve(&park(2)).await, Ok(ReserveAnswer::Reserved(_))));
    let allowed = Reserve { parked_max: 2, ..reserve(4, day()) };
    assert!(matches!(desk.ledger.reserve(&allowed).await, Ok(ReserveAnswer::Reserved(_))));
    let mut other = park(5);
    other.operation.intent.agent = fixture::agent("another");
    assert!(matches!(desk.ledger.reserve(&other).await, Ok(ReserveAnswer::Reserved(_))));
    // what does not fit is told first
    let mut much = park(6);
    much.charges = vec![rolling("week", 10, 1)];
    assert_eq!(over(&desk.ledger.reserve(&much).await.unwrap()), [0]);
    // who leaves makes room, and who was approved waits no more
    desk.ledger.reject(&fixture::reject(1)).await.unwrap();
    assert!(matches!(desk.ledger.reserve(&park(3)).await, Ok(ReserveAnswer::Reserved(_))));
    desk.ledger.approve(&fixture::approve(2, "ann", desk.now().await)).await.unwrap();
    assert!(matches!(desk.ledger.reserve(&park(7)).await, Ok(ReserveAnswer::Reserved(_))));
    assert_eq!(desk.ledger.reserve(&park(8)).await.unwrap(), ReserveAnswer::Crowded);
}

pub async fn two_gateways_park_at_once_and_no_more_wait_than_may(bench: &mut dyn LedgerBench) {
    const MOST: u32 = 5;
    let desk = Desk::at(bench).await;
    let until = desk.now().await.after(fixture::HOUR);
    let gateways = [bench.ledger(), bench.second().await];
    let mut racing = tokio::task::JoinSet::new();
    for n in 0..40_u64 {
        let ledger = std::sync::Arc::clone(&gateways[usize::try_from(n % 2).unwrap()]);
        let park = Reserve { parked_max: MOST, ..park(n, Vec::new(), until) };
        racing.spawn(async move { ledger.reserve(&park).await.unwrap() });
    }
    let answers = racing.join_all().await;
    let parked = answers.iter().filter(|a| matches!(a, ReserveAnswer::Reserved(_))).count();
    let crowded = answers.iter().filter(|a| **a == ReserveAnswer::Crowded).count();
    assert_eq!((parked, crowded), (5, 35));
    let census = desk.ledger.census(&[OperationState::Parked]).await.unwrap();
    assert_eq!(census[&OperationState::Parked].count, u64::from(MOST));
}

pub async fn a_calendar_window_must_contain_now(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let today = daily("day", desk.now().await, 10, 100);
    desk.reserved(1, vec![today.clone()]).await;
    desk.time.advance(DAY);
    let moved = desk.ledger.reserve(&reserve(2, vec![today.clone()])).await.unwrap();
    assert_eq!(moved, ReserveAnswer::PeriodMoved);
    let tomorrow = daily("day", desk.now().await, 100, 100);
    desk.reserved(2, vec![tomorrow.clone()]).await;
    assert_eq!(desk.counts(&today).await, [10, 0, 0], "yesterday keeps what it holds");
    assert_eq!(desk.counts(&tomorrow).await, [100, 0, 0]);
    assert_eq!(desk.reserved(1, vec![today]).await.state, OperationState::Allowed);
}

pub async fn a_denied_operation_is_recorded_and_charges_nothing(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let denied = fixture::operation(1);
    let DenyAnswer::Denied(record) = desk.ledger.deny(&denied).await.unwrap() else {
        panic!("not denied")
    };
    assert_eq!((record.state, record.delivery), (OperationState::Denied, Delivery::Waiting));
    assert_eq!(record.finished_at, Some(desk.now().await));
    assert!(record.charges.is_empty());
    assert_eq!(desk.record(1).await, *record);
    let again = desk.ledger.deny(&denied).await.unwrap();
    assert_eq!(again, DenyAnswer::Denied(record));
    assert!(desk.ledger.reserve(&reserve(1, vec![])).await.is_err(), "a denial is final");
    assert_eq!(desk.ledger.find(&denied.repeat).await.unwrap(), Found::Nothing);
}

pub async fn two_hundred_at_once_and_exactly_seven_fit(bench: &mut dyn LedgerBench) {
    let desks = Desk::pair(bench).await;
    let tasks: Vec<_> = (1..=200)
        .zip(desks.iter().cycle())
        .map(|(n, desk)| {
            let desk = desk.clone();
            let charges = vec![rolling("day", 100, 700), rolling("other", 1, 1000)];
            tokio::spawn(async move { desk.ledger.reserve(&reserve(n, charges)).await.unwrap() })
        })
        .collect();
    let mut fitted = 0;
    for task in tasks {
        match task.await.unwrap() {
            ReserveAnswer::Reserved(_) => fitted += 1,
            ReserveAnswer::Over(over) => assert_eq!(over[0].reading.reserved, 700),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(fitted, 7);
    let [desk, _] = desks;
    assert_eq!(desk.counts(&rolling("day", 0, 700)).await, [700, 0, 0]);
    assert_eq!(desk.counts(&rolling("other", 0, 1000)).await, [7, 0, 0]);
}
