//! Splitting: one operation becomes several, and no counter changes.

use alloy_primitives::{B256, U256};
use countersign_core::{
    bundle::{Bundle, BundleHandle, Call},
    charge::Charge,
    intent::Intent,
    operation::{Delivery, OperationState as S},
};
use countersign_engine::port::ledger::{
    Commit, CommitAnswer, Found, LedgerError, Part, Redeem, RedeemAnswer, Reject, Reserve, Split,
    SplitAnswer,
};

use super::people::approved;
use crate::{
    fixture::{
        FAR, HOUR, commit, intent, operation_id, operation_of, plan, redeem, reject, reserve,
        rolling,
    },
    suite::{Desk, LedgerBench},
};

fn part(n: u64, amount: u64) -> Part {
    let charges = vec![rolling("day", amount, 100)];
    Part { id: operation_id(n), intent: intent(n), charges }
}

/// The first operation, which charges 60, into one of 10, one of 20 and one of 30.
fn split(fence: u32) -> Split {
    let parts = vec![part(1, 10), part(2, 20), part(3, 30)];
    Split { operation: operation_id(1), fence, parts }
}

fn charges() -> Vec<Charge> {
    [10, 20, 30].map(|amount| rolling("day", amount, 100)).to_vec()
}

fn bundle(index: u32, further: &[u64]) -> Bundle {
    let call = |n: &u64| Call { plan: plan(&intent(*n)).clone(), data_fee_max: U256::ZERO };
    let (handle, rest) = (BundleHandle(B256::repeat_byte(7)), further.iter().map(call).collect());
    Bundle { handle, id: None, index, count: 3, rest }
}

/// The first call, standing for all three.
fn whole() -> Intent {
    Intent { bundle: Some(Box::new(bundle(0, &[2, 3]))), ..intent(1) }
}

pub async fn a_split_shares_the_charges_out_and_moves_no_counter(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let whole = desk.reserved(1, charges()).await;
    let answer = desk.ledger.split(&split(0)).await.unwrap();
    let SplitAnswer::Split(parts) = answer else { panic!("{answer:?}") };
    assert_eq!(desk.counts(&rolling("day", 0, 0)).await, [60, 0, 0]);
    for (index, (n, amount)) in [(1, 10), (2, 20), (3, 30)].into_iter().enumerate() {
        let record = desk.record(n).await;
        assert_eq!(parts[index], record);
        assert_eq!((record.state, record.intent.clone()), (S::Allowed, intent(n)));
        assert_eq!(record.charges, part(n, amount).charges);
        assert_eq!((record.trace, record.expires_at), (whole.trace, whole.expires_at));
        assert_eq!(record.gateway, whole.gateway);
    }
    assert_eq!([parts[0].fence, parts[1].fence], [1, 0]);
    assert_eq!([parts[0].delivery, parts[1].delivery], [Delivery::Waiting, Delivery::Collected]);
    desk.ledger.reject(&reject(2)).await.unwrap();
    assert_eq!(desk.counts(&rolling("day", 0, 0)).await, [40, 0, 0], "each is its own now");
    let late = desk.ledger.commit(&commit(1)).await.unwrap();
    assert!(matches!(late, CommitAnswer::Elsewhere(_)), "the judgement of the whole is over");
    for commit in [Commit { fence: 1, ..commit(1) }, commit(3)] {
        let bound = desk.ledger.commit(&commit).await.unwrap();
        assert!(matches!(bound, CommitAnswer::Bound(_)), "{bound:?}");
    }
    assert_eq!(desk.counts(&rolling("day", 0, 0)).await, [0, 40, 0]);
    assert_eq!(desk.ledger.audit().await, Ok(None));
}

pub async fn the_same_split_again_is_the_same_whatever_happened(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    desk.reserved(1, charges()).await;
    desk.ledger.split(&split(0)).await.unwrap();
    desk.ledger.commit(&Commit { fence: 1, ..commit(1) }).await.unwrap();
    let again = desk.ledger.split(&split(0)).await.unwrap();
    let SplitAnswer::Split(parts) = again else { panic!("{again:?}") };
    let states: Vec<S> = parts.iter().map(|part| part.state).collect();
    assert_eq!(states, [S::Prepared, S::Allowed, S::Allowed]);
    assert_eq!(desk.counts(&rolling("day", 0, 0)).await, [50, 10, 0]);
}

pub async fn only_what_is_allowed_and_judged_last_is_split(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let missing = desk.ledger.split(&split(0)).await;
    assert!(matches!(missing, Err(LedgerError::Refused(_))), "{missing:?}");
    let parked = approved(&desk, 1, 60).await;
    let answer = desk.ledger.split(&split(0)).await;
    let refused = !matches!(answer, Ok(SplitAnswer::Split(_)));
    assert!(refused, "{:?} is not allowed yet: {answer:?}", parked.state);
    desk.ledger.redeem(&redeem(1, charges())).await.unwrap();
    let older = desk.ledger.split(&split(0)).await;
    assert!(!matches!(older, Ok(SplitAnswer::Split(_))), "judged anew: {older:?}");
    let answer = desk.ledger.split(&split(1)).await.unwrap();
    let SplitAnswer::Split(parts) = answer else { panic!("{answer:?}") };
    assert!(parts.iter().all(|part| part.votes == parked.votes && part.gates == parked.gates));
    assert_eq!(parts[2].digest, parked.digest);
    desk.reserved(4, vec![rolling("day", 5, 100)]).await;
    desk.time.set(FAR);
    let late = Split { operation: operation_id(4), fence: 0, parts: vec![part(4, 5)] };
    let late = desk.ledger.split(&late).await.unwrap();
    assert!(matches!(late, SplitAnswer::Elsewhere(_)), "its time is over: {late:?}");
}

pub async fn what_does_not_share_all_the_charges_out_is_no_split(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    desk.reserved(1, charges()).await;
    desk.reserved(9, vec![]).await;
    let (one, two, three) = (part(1, 10), part(2, 20), part(3, 30));
    let there = Part { id: operation_id(9), ..three.clone() };
    let twice = Part { id: operation_id(2), ..three.clone() };
    for parts in [
        vec![],
        vec![one.clone(), two.clone()],
        vec![one.clone(), two.clone(), part(3, 29)],
        vec![one.clone(), two.clone(), part(3, 31)],
        vec![two.clone(), one.clone(), three],
        vec![one.clone(), two.clone(), twice],
        vec![one, two, there],
    ] {
        let split = Split { parts, ..split(0) };
        let answer = desk.ledger.split(&split).await;
        assert!(matches!(answer, Err(LedgerError::Refused(_))), "{split:?}: {answer:?}");
    }
    assert_eq!(desk.counts(&rolling("day", 0, 0)).await, [60, 0, 0]);
    assert_eq!(desk.ledger.operation(operation_id(2)).await, Ok(None));
}

/// Two gateways judge a bundle at the same time, and one is as good as dead: what the other has split stays split.
pub async fn a_judgement_of_the_whole_does_not_take_the_place_of_its_parts(
    bench: &mut dyn LedgerBench,
) {
    let desk = Desk::at(bench).await;
    let whole = whole();
    let operation = operation_of(1, whole.clone());
    desk.ledger.reserve(&Reserve { operation, ..reserve(1, charges()) }).await.unwrap();
    let judged = Redeem { intent: whole, ..redeem(1, charges()) };
    let again = desk.ledger.redeem(&judged).await.unwrap();
    assert!(matches!(again, RedeemAnswer::Redeemed(_)), "it is whole still: {again:?}");
    let parts =
        [part(1, 10), part(2, 20), part(3, 30)].into_iter().zip(0..).map(|(part, index)| {
            let intent = Intent { bundle: Some(Box::new(bundle(index, &[]))), ..part.intent };
            Part { intent, ..part }
        });
    let split = Split { parts: parts.collect(), ..split(1) };
    let answer = desk.ledger.split(&split).await.unwrap();
    assert!(matches!(answer, SplitAnswer::Split(_)), "{answer:?}");
    let late = desk.ledger.redeem(&judged).await.unwrap();
    assert!(matches!(late, RedeemAnswer::Elsewhere(_)), "{late:?}");
    assert_eq!(desk.record(1).await.charges, part(1, 10).charges);
    assert_eq!(desk.counts(&rolling("day", 0, 0)).await, [60, 0, 0], "held once");
    let intent = split.parts[0].intent.clone();
    let own = Redeem { intent, ..redeem(1, vec![rolling("day", 15, 100)]) };
    let own = desk.ledger.redeem(&own).await.unwrap();
    assert!(matches!(own, RedeemAnswer::Redeemed(_)), "a call by itself is judged anew: {own:?}");
    assert_eq!(desk.counts(&rolling("day", 0, 0)).await, [65, 0, 0]);
}

/// Books that were put together by hand may hold calls of a bundle that stands for them still.
pub async fn what_stands_for_all_its_calls_is_not_split_although_they_are_there(
    bench: &mut dyn LedgerBench,
) {
    let desk = Desk::at(bench).await;
    let operation = operation_of(1, whole());
    desk.ledger.reserve(&Reserve { operation, ..reserve(1, charges()) }).await.unwrap();
    desk.reserved(2, vec![]).await;
    desk.reserved(3, vec![]).await;
    let judged = Redeem { intent: whole(), ..redeem(1, charges()) };
    desk.ledger.redeem(&judged).await.unwrap();
    let answer = desk.ledger.split(&split(0)).await;
    assert!(matches!(answer, Ok(SplitAnswer::Elsewhere(_))), "judged anew meanwhile: {answer:?}");
    assert_eq!(desk.record(1).await.intent, whole());
}

pub async fn a_part_is_found_by_no_request_and_survives(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    desk.reserved(1, charges()).await;
    desk.ledger.split(&split(0)).await.unwrap();
    let mut asked = reserve(2, vec![]).operation.repeat;
    asked.window = HOUR;
    let found = desk.ledger.find(&asked).await.unwrap();
    assert_eq!(found, Found::Nothing);
    bench.reopen().await;
    let desk = Desk::at(bench).await;
    let record = desk.record(3).await;
    assert_eq!((record.state, record.charges), (S::Allowed, part(3, 30).charges));
    let released = Reject { void: true, ..reject(3) };
    desk.ledger.reject(&released).await.unwrap();
    assert_eq!(desk.counts(&rolling("day", 0, 0)).await, [30, 0, 0]);
}
