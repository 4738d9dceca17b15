//! Nonces that clients fixed, kept for operations that wait for people.

use countersign_core::{identity::ChainId, time::Millis};
use countersign_engine::port::ledger::{Commit, NONCE_HELD_FOR, Reserve};

use super::committing::{fixed, says};
use crate::{
    fixture::{self, commit, intent, operation_of, reject, wallet},
    suite::{Desk, LedgerBench},
};

/// Parks the n-th operation for two minutes with a nonce that the client fixed.
async fn keeps(desk: &Desk, n: u64, nonce: u64) {
    let mut intent = intent(n);
    intent.nonce = Some(nonce);
    let until = desk.now().await.after(Millis(2 * NONCE_HELD_FOR.0));
    let park = Reserve { operation: operation_of(n, intent), ..fixture::park(n, vec![], until) };
    desk.ledger.reserve(&park).await.unwrap();
}

pub async fn a_fixed_nonce_is_kept_for_a_minute_while_people_are_asked(
    bench: &mut dyn LedgerBench,
) {
    let desk = Desk::at(bench).await;
    let start = desk.now().await;
    keeps(&desk, 1, 5).await;
    desk.reserved(2, vec![]).await;
    let until = start.after(NONCE_HELD_FOR);
    let held = format!("held until {until}");
    let at_5 = |n| Commit { floor: 5, ..commit(n) };
    let length = desk.sequence().await;
    assert_eq!(says(&desk, &at_5(2)).await, held);
    assert_eq!(
        says(&desk, &Commit { in_flight_max: 0, ..at_5(2) }).await,
        held,
        "it is asked first"
    );
    assert_eq!(desk.sequence().await, length);
    assert_eq!(says(&desk, &commit(2)).await, "nonce 0", "it keeps no other nonce");
    assert_eq!(fixed(&desk, 3, 5, 0).await, "gap, next 1");
    for n in 4..=7 {
        desk.reserved(n, vec![]).await;
        assert_eq!(says(&desk, &commit(n)).await, format!("nonce {}", n - 3));
    }
    assert_eq!(says(&desk, &commit(3)).await, "taken, next 5");
    desk.time.advance(Millis(30_000));
    desk.ledger.approve(&fixture::approve(1, "ann", start)).await.unwrap();
    desk.reserved(8, vec![]).await;
    assert_eq!(says(&desk, &commit(8)).await, held, "from its creation, approved or not");
    desk.time.set(until.before(Millis(1)));
    assert_eq!(says(&desk, &commit(8)).await, held);
    desk.time.set(until);
    assert_eq!(says(&desk, &commit(8)).await, "nonce 5");
    let mut redeem = fixture::redeem(1, vec![]);
    redeem.intent = desk.record(1).await.intent;
    desk.ledger.redeem(&redeem).await.unwrap();
    assert_eq!(says(&desk, &Commit { fence: 1, ..commit(1) }).await, "taken, next 6");
}

pub async fn a_kept_nonce_is_for_the_one_that_keeps_it(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    keeps(&desk, 1, 0).await;
    desk.reserved(2, vec![]).await;
    let now = desk.now().await;
    desk.ledger.approve(&fixture::approve(1, "ann", now)).await.unwrap();
    let mut redeem = fixture::redeem(1, vec![]);
    redeem.intent = desk.record(1).await.intent;
    desk.ledger.redeem(&redeem).await.unwrap();
    assert_eq!(says(&desk, &Commit { fence: 1, ..commit(1) }).await, "nonce 0");
    assert_eq!(says(&desk, &commit(2)).await, "nonce 1");
}

pub async fn a_kept_nonce_is_freed_by_rejection_and_expiry(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let start = desk.now().await;
    keeps(&desk, 1, 0).await;
    desk.time.advance(Millis(1000));
    keeps(&desk, 2, 0).await;
    desk.reserved(3, vec![]).await;
    let last = start.after(Millis(NONCE_HELD_FOR.0 + 1000));
    assert_eq!(says(&desk, &commit(3)).await, format!("held until {last}"), "the last of the two");
    desk.ledger.reject(&reject(2)).await.unwrap();
    let first = start.after(NONCE_HELD_FOR);
    assert_eq!(says(&desk, &commit(3)).await, format!("held until {first}"));
    desk.ledger.reject(&reject(1)).await.unwrap();
    assert_eq!(says(&desk, &commit(3)).await, "nonce 0");
    let soon = desk.now().await.after(Millis(10));
    let mut intent = intent(4);
    intent.nonce = Some(1);
    let park = Reserve { operation: operation_of(4, intent), ..fixture::park(4, vec![], soon) };
    desk.ledger.reserve(&park).await.unwrap();
    desk.reserved(5, vec![]).await;
    desk.time.set(soon);
    assert!(says(&desk, &commit(5)).await.starts_with("held until"));
    desk.ledger.expire(9).await.unwrap();
    assert_eq!(says(&desk, &commit(5)).await, "nonce 1");
}

pub async fn a_nonce_is_kept_in_its_own_lane_and_across_a_crash(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let until = desk.now().await.after(NONCE_HELD_FOR);
    keeps(&desk, 1, 0).await;
    let mut other = intent(2);
    other.wallet = wallet("cold");
    let reserve = Reserve { operation: operation_of(2, other), ..fixture::reserve(2, vec![]) };
    desk.ledger.reserve(&reserve).await.unwrap();
    assert_eq!(says(&desk, &commit(2)).await, "nonce 0");
    let mut other = intent(3);
    crate::fixture::plan_mut(&mut other).chain = ChainId(1);
    let reserve = Reserve { operation: operation_of(3, other), ..fixture::reserve(3, vec![]) };
    desk.ledger.reserve(&reserve).await.unwrap();
    assert_eq!(says(&desk, &commit(3)).await, "nonce 0");
    desk.reserved(4, vec![]).await;
    bench.reopen().await;
    let desk = Desk::at(bench).await;
    assert_eq!(says(&desk, &commit(4)).await, format!("held until {until}"));
}
