//! Limits that are younger than the operations that they count.

use std::collections::BTreeSet;

use countersign_core::{
    charge::{Charge, CounterId, Window},
    operation::{Money, OperationState as S},
    time::Millis,
};
use countersign_engine::port::ledger::{Adopt, AdoptAnswer, LedgerError};

use super::bumping::bound;
use crate::{
    fixture::{
        DAY, HOUR, bump, charge, daily, operation_id, reject, rolling, settle, signed_first,
    },
    suite::{Desk, LedgerBench},
};

/// As seen before any further attempt.
fn adopt(n: u64, money: Money, charges: Vec<Charge>, kept: Vec<u64>) -> Adopt {
    let attempts = usize::from(money != Money::Reserved);
    Adopt { operation: operation_id(n), money, attempts, fence: 0, charges, kept }
}

async fn adopted(desk: &Desk, adopt: &Adopt) -> countersign_core::operation::OperationRecord {
    match desk.ledger.adopt(adopt).await.unwrap() {
        AdoptAnswer::Adopted(record) => *record,
        other @ AdoptAnswer::Elsewhere(_) => panic!("{other:?}"),
    }
}

pub async fn a_young_limit_counts_what_is_reserved_committed_and_settled(
    bench: &mut dyn LedgerBench,
) {
    let desk = Desk::at(bench).await;
    let old = vec![rolling("old", 5, 100)];
    desk.reserved(1, old.clone()).await;
    desk.committed(2, old.clone()).await;
    desk.settled(3, old.clone()).await;
    let new = [
        rolling("new", 60, 100),
        charge("ever", Window::Grant, 7, 10),
        daily("civil", desk.now().await, 8, 10),
    ];
    for (n, money) in [(1, Money::Reserved), (2, Money::Committed)] {
        let record = adopted(&desk, &adopt(n, money, new.to_vec(), vec![])).await;
        assert_eq!(record.charges, [old.as_slice(), &new].concat());
        assert_eq!(desk.record(n).await, record);
    }
    let record = adopted(&desk, &adopt(3, Money::Settled, new.to_vec(), vec![50, 6, 0])).await;
    assert_eq!((record.charges.len(), record.kept.as_slice()), (4, &[5, 50, 6, 0][..]));
    assert_eq!(desk.counts(&new[0]).await, [60, 60, 50], "beyond its limit: it was not asked");
    assert_eq!(desk.counts(&new[1]).await, [7, 7, 6]);
    assert_eq!(desk.counts(&new[2]).await, [8, 8, 0]);
    assert_eq!(desk.counts(&old[0]).await, [5, 5, 5]);
}

pub async fn what_was_adopted_goes_the_way_of_its_operation(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let new = rolling("new", 60, 100);
    desk.reserved(1, vec![]).await;
    desk.committed(2, vec![]).await;
    desk.settled(3, vec![]).await;
    adopted(&desk, &adopt(1, Money::Reserved, vec![new.clone()], vec![])).await;
    adopted(&desk, &adopt(2, Money::Committed, vec![new.clone()], vec![])).await;
    adopted(&desk, &adopt(3, Money::Settled, vec![new.clone()], vec![40])).await;
    desk.ledger.reject(&reject(1)).await.unwrap();
    assert_eq!(desk.counts(&new).await, [0, 60, 40]);
    desk.ledger.unsettle(operation_id(3)).await.unwrap();
    assert_eq!(desk.counts(&new).await, [0, 120, 0]);
    desk.ledger.settle(&settle(&desk.record(3).await, vec![30])).await.unwrap();
    assert_eq!(desk.counts(&new).await, [0, 60, 30]);
}

pub async fn what_was_settled_long_ago_leaves_with_its_own_bucket(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let new = rolling("new", 60, 100);
    desk.settled(1, vec![]).await;
    desk.time.advance(Millis(DAY.0 - HOUR.0));
    desk.settled(2, vec![]).await;
    for n in [1, 2] {
        adopted(&desk, &adopt(n, Money::Settled, vec![new.clone()], vec![10 * n])).await;
    }
    assert_eq!(desk.counts(&new).await, [0, 0, 30]);
    desk.time.advance(Millis(2 * HOUR.0));
    assert_eq!(desk.counts(&new).await, [0, 0, 20]);
    desk.settled(3, vec![rolling("new", 5, 100)]).await;
    assert_eq!(desk.counts(&new).await, [0, 0, 25]);
}

pub async fn the_same_adoption_again_adds_nothing(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    desk.settled(1, vec![rolling("old", 5, 100)]).await;
    let one = adopt(
        1,
        Money::Settled,
        vec![rolling("new", 60, 100), rolling("old", 9, 100)],
        vec![50, 9],
    );
    let record = adopted(&desk, &one).await;
    let length = desk.sequence().await;
    assert_eq!(adopted(&desk, &one).await, record);
    assert_eq!(desk.sequence().await, length);
    assert_eq!(desk.counts(&rolling("new", 0, 0)).await, [0, 0, 50]);
    assert_eq!(desk.counts(&rolling("old", 0, 0)).await, [0, 0, 5]);
}

/// A limit counts every call of a bundle that is still whole, and what is one call's own and what only the sum comes to.
pub async fn a_young_limit_counts_every_charge_of_a_bundle(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    desk.reserved(1, vec![rolling("old", 3, 100), rolling("old", 4, 100)]).await;
    desk.settled(2, vec![]).await;
    let each = vec![rolling("old", 3, 100), rolling("new", 30, 100), rolling("new", 40, 100)];
    for _ in 0..2 {
        let record = adopted(&desk, &adopt(1, Money::Reserved, each.clone(), vec![])).await;
        assert_eq!(record.charges.len(), 4);
        assert_eq!(desk.counts(&rolling("new", 0, 0)).await, [70, 0, 0]);
        assert_eq!(desk.counts(&rolling("old", 0, 0)).await, [7, 0, 0]);
    }
    let record = adopted(&desk, &adopt(2, Money::Settled, each[1..].to_vec(), vec![20, 1])).await;
    assert_eq!(record.kept, [20, 1]);
    assert_eq!(desk.counts(&rolling("new", 0, 0)).await, [70, 0, 21]);
    desk.ledger.reject(&reject(1)).await.unwrap();
    assert_eq!(desk.counts(&rolling("new", 0, 0)).await, [0, 0, 21]);
}

pub async fn what_has_moved_or_holds_nothing_is_not_charged(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let new = vec![rolling("new", 60, 100)];
    let committed = desk.committed(1, vec![]).await;
    let elsewhere = desk.ledger.adopt(&adopt(1, Money::Reserved, new.clone(), vec![])).await;
    assert_eq!(elsewhere, Ok(AdoptAnswer::Elsewhere(Box::new(committed))));
    desk.reserved(2, vec![]).await;
    desk.ledger.reject(&reject(2)).await.unwrap();
    let over = desk.ledger.adopt(&adopt(2, Money::Reserved, new.clone(), vec![])).await.unwrap();
    assert!(matches!(over, AdoptAnswer::Elsewhere(record) if record.state == S::Rejected));
    for wrong in [
        adopt(9, Money::Reserved, new.clone(), vec![]),
        adopt(1, Money::Committed, new.clone(), vec![1]),
    ] {
        let refused = desk.ledger.adopt(&wrong).await;
        assert!(matches!(refused, Err(LedgerError::Refused(_))), "{refused:?}");
    }
    assert_eq!(desk.counts(&new[0]).await, [0, 0, 0]);
}

pub async fn what_has_another_fee_by_now_is_not_charged(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let new = vec![rolling("new", 60, 100)];
    let record = desk.committed(1, vec![]).await;
    let record = desk.ledger.signed(record.id, 0, &signed_first(&record), None).await.unwrap();
    let seen = adopt(1, Money::Committed, new.clone(), vec![]);
    let dearer = bound(&desk, &bump(&record, 1, vec![])).await;
    let judged_anew = Adopt { attempts: 2, fence: 1, ..seen.clone() };
    for other in [&seen, &judged_anew] {
        let answer = desk.ledger.adopt(other).await;
        assert_eq!(answer, Ok(AdoptAnswer::Elsewhere(Box::new(dearer.clone()))));
        assert_eq!(desk.counts(&new[0]).await, [0, 0, 0]);
    }
    adopted(&desk, &Adopt { attempts: 2, ..seen }).await;
    assert_eq!(desk.counts(&new[0]).await, [0, 60, 0]);
}

pub async fn the_limits_that_count_everything_are_those_noted_last(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let limits = |names: &[&str]| -> BTreeSet<CounterId> {
        names.iter().map(|name| CounterId::from_parts(&[name])).collect()
    };
    assert_eq!(desk.ledger.adopted().await.unwrap(), limits(&[]));
    for names in [&["a", "b"][..], &["b", "c"], &[]] {
        desk.ledger.note_adopted(&limits(names)).await.unwrap();
        let length = desk.sequence().await;
        desk.ledger.note_adopted(&limits(names)).await.unwrap();
        assert_eq!(desk.sequence().await, length, "nothing changed");
        assert_eq!(desk.ledger.adopted().await.unwrap(), limits(names));
    }
}
