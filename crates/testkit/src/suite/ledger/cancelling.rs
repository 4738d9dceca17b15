//! Cancels: a transfer of nothing in an operation's place. It is the way out, so little may stop it.

use alloy_primitives::{B256, Bytes, U256};
use countersign_core::{
    charge::Charge,
    fact::Freeze,
    operation::{OperationRecord, OperationState as S, Purpose},
    time::Millis,
};
use countersign_engine::port::ledger::{
    Bump, BumpAnswer, LedgerError, ReleaseProof, SentOutcome, Settle,
};

use super::bumping::{asks, bound, sign, tenth};
use crate::{
    fixture::{
        HOUR, address, bump, cancel, charge, commit, operation_id, order, receipt, rolling, settle,
        signed_first,
    },
    suite::{Desk, LedgerBench},
};

fn refused<T: std::fmt::Debug>(answer: &Result<T, LedgerError>) {
    assert!(matches!(answer, Err(LedgerError::Refused(_))), "{answer:?}");
}

/// An operation that is on its way with a signed cancel beside its payload.
async fn cancelling(desk: &Desk, n: u64, charges: Vec<Charge>) -> OperationRecord {
    let fees = charges.iter().map(|charge| charge.fee).collect();
    let record = desk.broadcast(n, charges).await;
    sign(desk, &bound(desk, &cancel(&record, 1, fees)).await).await
}

fn hash_of(record: &OperationRecord, attempt: usize) -> B256 {
    record.attempts[attempt].hash.unwrap()
}

/// What the chain kept of an attempt.
fn settle_attempt(record: &OperationRecord, attempt: usize, kept: Vec<u64>) -> Settle {
    Settle {
        operation: record.id,
        actual: receipt(hash_of(record, attempt), true),
        attempts: record.attempts.len(),
        charges: record.charges.clone(),
        kept,
    }
}

pub async fn a_cancel_moves_to_cancelling_and_is_charged_without_a_check(
    bench: &mut dyn LedgerBench,
) {
    let desk = Desk::at(bench).await;
    let record = desk.broadcast(1, vec![tenth("day", 100, 110)]).await;
    assert_eq!(asks(&desk, &bump(&record, 1, vec![11])).await, "over: [0]");
    desk.time.advance(HOUR);
    let cancelled = bound(&desk, &cancel(&record, 1, vec![35])).await;
    assert_eq!((cancelled.state, cancelled.updated_at), (S::Cancelling, desk.now().await));
    let attempt = &cancelled.attempts[1];
    assert_eq!((attempt.number, attempt.purpose), (1, Purpose::Cancel));
    assert_eq!((attempt.made_at, attempt.hash), (desk.now().await, None));
    assert_eq!(attempt.transaction, cancel(&record, 1, vec![]).transaction);
    assert_eq!(cancelled.hash(), record.hash(), "a cancel is no answer to what was asked");
    assert_eq!(desk.counts(&rolling("day", 0, 0)).await, [0, 135, 0]);
    assert_eq!(desk.record(1).await, cancelled);
    let open = desk.ledger.open(&[S::Cancelling], desk.now().await, 9).await.unwrap();
    assert_eq!(open, [cancelled]);
}

pub async fn a_cancel_is_bound_from_prepared_on(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let prepared = desk.committed(1, vec![tenth("day", 100, 110)]).await;
    assert_eq!(asks(&desk, &cancel(&prepared, 1, vec![5])).await, "bound: 2");
    let record = sign(&desk, &desk.record(1).await).await;
    assert_eq!((record.state, record.hash()), (S::Cancelling, None));
    assert_eq!(record.finished_at, None, "its bytes may be out although nobody has stored them");
    refused(&desk.ledger.sent(operation_id(1), 0, &SentOutcome::Accepted).await);
    let late = desk.ledger.signed(operation_id(1), 0, &signed_first(&record), None).await.unwrap();
    assert_eq!(late.state, S::Cancelling, "a signature that was on its way is kept");
    assert_eq!(late.finished_at, Some(desk.now().await));
    let prepared = desk.committed(4, vec![]).await;
    assert_eq!(asks(&desk, &cancel(&prepared, 1, vec![])).await, "bound: 2");
    let record = sign(&desk, &desk.record(4).await).await;
    let settled = desk.ledger.settle(&settle_attempt(&record, 1, vec![])).await.unwrap();
    assert_eq!((settled.state, settled.finished_at), (S::Cancelled, Some(desk.now().await)));
    for (n, outcome) in [(2, None), (3, Some(SentOutcome::Unknown("reset".into())))] {
        let mut record = desk.signed(n, vec![]).await;
        if let Some(outcome) = outcome {
            record = desk.ledger.sent(record.id, 0, &outcome).await.unwrap();
        }
        assert_eq!(asks(&desk, &cancel(&record, 1, vec![])).await, "bound: 2");
        assert_eq!(desk.state(n).await, S::Cancelling);
    }
}

pub async fn a_cancel_may_be_bumped_by_another_and_no_payload_comes_after_it(
    bench: &mut dyn LedgerBench,
) {
    let desk = Desk::at(bench).await;
    let record = desk.broadcast(1, vec![tenth("day", 100, 110)]).await;
    assert_eq!(asks(&desk, &cancel(&record, 1, vec![10])).await, "bound: 2");
    assert_eq!(asks(&desk, &cancel(&record, 2, vec![20])).await, "bound: 3", "unsigned before it");
    assert_eq!(asks(&desk, &bump(&record, 3, vec![10])).await, "elsewhere: CANCELLING");
    sign(&desk, &desk.record(1).await).await;
    assert_eq!(asks(&desk, &bump(&record, 3, vec![10])).await, "elsewhere: CANCELLING");
    assert_eq!(asks(&desk, &bump(&record, 1, vec![10])).await, "elsewhere: CANCELLING");
    assert_eq!(asks(&desk, &cancel(&record, 1, vec![10])).await, "bound: 3", "the same again");
    assert_eq!(asks(&desk, &cancel(&record, 4, vec![10])).await, "elsewhere: CANCELLING");
    assert_eq!(desk.counts(&rolling("day", 0, 0)).await, [0, 120, 0]);
}

pub async fn nothing_but_a_transfer_of_nothing_to_itself_is_a_cancel(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let record = desk.broadcast(1, vec![tenth("day", 100, 110)]).await;
    let edits: [fn(&mut Bump); 8] = [
        |b| b.transaction.nonce += 1,
        |b| b.transaction.plan.to = Some(address(2)),
        |b| b.transaction.plan.to = None,
        |b| b.transaction.plan.value = U256::from(1),
        |b| b.transaction.plan.data = Bytes::from_static(&[0]),
        |b| b.transaction.plan.chain.0 += 1,
        |b| b.fees.push(1),
        |b| b.fees = vec![u64::MAX],
    ];
    let length = desk.sequence().await;
    for (index, edit) in edits.into_iter().enumerate() {
        let mut wrong = cancel(&record, 1, vec![10]);
        edit(&mut wrong);
        let answer = desk.ledger.bump(&wrong).await;
        assert!(matches!(answer, Err(LedgerError::Refused(_))), "{index}: {answer:?}");
    }
    assert_eq!((desk.record(1).await, desk.sequence().await), (record.clone(), length));
    let payload_as_cancel = Bump { purpose: Purpose::Cancel, ..bump(&record, 1, vec![10]) };
    refused(&desk.ledger.bump(&payload_as_cancel).await);
    let cancel_as_payload = Bump { purpose: Purpose::Payload, ..cancel(&record, 1, vec![10]) };
    refused(&desk.ledger.bump(&cancel_as_payload).await);
}

pub async fn only_the_freeze_of_all_stops_a_cancel(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let record = desk.broadcast(1, vec![]).await;
    let freezes = [
        Freeze::Global,
        Freeze::Agent(record.agent().clone()),
        Freeze::Wallet(record.wallet().clone()),
        Freeze::Chain(record.chain()),
    ];
    for freeze in &freezes {
        desk.ledger.freeze(&order(freeze)).await.unwrap();
    }
    desk.ledger.freeze(&order(&Freeze::All)).await.unwrap();
    let answer = desk.ledger.bump(&cancel(&record, 1, vec![])).await.unwrap();
    assert_eq!(answer, BumpAnswer::Frozen(Freeze::All));
    assert_eq!(desk.record(1).await, record);
    desk.ledger.unfreeze(&Freeze::All).await.unwrap();
    assert_eq!(asks(&desk, &cancel(&record, 1, vec![])).await, "bound: 2");
}

pub async fn no_cancel_under_the_seal(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let record = desk.broadcast(1, vec![]).await;
    desk.ledger.seal("history is lost").await.unwrap();
    assert_eq!(asks(&desk, &cancel(&record, 1, vec![])).await, "sealed: history is lost");
    assert_eq!(desk.state(1).await, S::Broadcast);
    desk.ledger.unseal().await.unwrap();
    assert_eq!(asks(&desk, &cancel(&record, 1, vec![])).await, "bound: 2");
}

pub async fn what_the_node_says_to_a_cancel_is_kept_and_moves_nothing(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let record = cancelling(&desk, 1, vec![]).await;
    let unknown = SentOutcome::Unknown("timed out".into());
    for (attempt, outcome, words) in [
        (1, &unknown, "timed out"),
        (1, &SentOutcome::Accepted, "accepted"),
        (0, &unknown, "timed out"),
    ] {
        desk.time.advance(Millis(5));
        let sent = desk.ledger.sent(record.id, attempt, outcome).await.unwrap();
        assert_eq!((sent.state, sent.updated_at), (S::Cancelling, desk.now().await));
        let place = usize::try_from(attempt).unwrap();
        assert_eq!(sent.attempts[place].outcome.as_deref(), Some(words));
        assert_eq!(desk.record(1).await, sent);
    }
}

pub async fn a_final_cancel_settles_its_fee_and_releases_the_rest(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let charges = vec![
        tenth("day", 100, 1000),
        charge("ever", countersign_core::charge::Window::Grant, 7, 9),
    ];
    let record = cancelling(&desk, 1, charges.clone()).await;
    let actual = receipt(hash_of(&record, 1), true);
    let mined = desk.ledger.mined(record.id, Some(&actual)).await.unwrap();
    assert_eq!((mined.state, mined.actual.as_ref()), (S::Mined, Some(&actual)));
    let gone = desk.ledger.mined(record.id, None).await.unwrap();
    assert_eq!((gone.state, gone.actual), (S::Cancelling, None));
    let settled = desk.ledger.settle(&settle_attempt(&record, 1, vec![3, 0])).await.unwrap();
    let now = desk.now().await;
    assert_eq!((settled.state, settled.settled_at), (S::Cancelled, Some(now)));
    assert_eq!((settled.kept.as_slice(), settled.hash()), ([3, 0].as_slice(), record.hash()));
    assert_eq!(desk.counts(&charges[0]).await, [0, 0, 3]);
    assert_eq!(desk.counts(&charges[1]).await, [0, 0, 0]);
    let again = desk.ledger.settle(&settle_attempt(&record, 1, vec![3, 0])).await.unwrap();
    assert_eq!(again, settled);
    assert_eq!(desk.ledger.mined(record.id, Some(&actual)).await.unwrap(), settled);
    refused(&desk.ledger.mined(record.id, None).await);
    assert_eq!(asks(&desk, &cancel(&record, 2, vec![0, 0])).await, "elsewhere: CANCELLED");
    let proof = ReleaseProof::NonceUsedElsewhere { final_nonce: 9 };
    refused(&desk.ledger.release_committed(record.id, &proof).await);
    let late = SentOutcome::Unknown("late".into());
    assert_eq!(desk.ledger.sent(record.id, 1, &late).await.unwrap(), settled);
}

pub async fn a_payload_that_was_faster_than_its_cancel_is_executed(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let record = cancelling(&desk, 1, vec![tenth("day", 100, 1000)]).await;
    let settled = desk.ledger.settle(&settle_attempt(&record, 0, vec![104])).await.unwrap();
    assert_eq!((settled.state, settled.hash()), (S::Executed, Some(hash_of(&record, 0))));
    assert_eq!(desk.counts(&rolling("day", 0, 0)).await, [0, 0, 104]);
    let back = desk.ledger.unsettle(record.id).await.unwrap();
    assert_eq!(back.state, S::Cancelling, "the two compete again");
    let mut reverted = settle_attempt(&record, 0, vec![4]);
    reverted.actual.succeeded = false;
    assert_eq!(desk.ledger.settle(&reverted).await.unwrap().state, S::Reverted);
}

pub async fn a_reorg_takes_a_cancel_back(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let record = cancelling(&desk, 1, vec![tenth("day", 100, 1000)]).await;
    desk.ledger.settle(&settle_attempt(&record, 1, vec![3])).await.unwrap();
    let back = desk.ledger.unsettle(record.id).await.unwrap();
    assert_eq!(back, record);
    assert_eq!(desk.ledger.unsettle(record.id).await.unwrap(), back);
    assert_eq!(desk.counts(&rolling("day", 0, 0)).await, [0, 110, 0]);
    assert_eq!(asks(&desk, &cancel(&record, 2, vec![12])).await, "bound: 3");
    let record = desk.record(1).await;
    let again = settle_attempt(&record, 1, vec![2]);
    assert_eq!(desk.ledger.settle(&again).await.unwrap().state, S::Cancelled);
    assert_eq!(desk.counts(&rolling("day", 0, 0)).await, [0, 0, 2]);
}

/// While it is cancelled it holds its lane open; afterwards the nonce stays its own.
pub async fn a_cancel_holds_its_lane_until_it_is_final(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let record = cancelling(&desk, 1, vec![]).await;
    desk.reserved(2, vec![]).await;
    let full = countersign_engine::port::ledger::Commit { in_flight_max: 1, floor: 9, ..commit(2) };
    let answer = desk.ledger.commit(&full).await.unwrap();
    assert_eq!(answer, countersign_engine::port::ledger::CommitAnswer::LaneFull);
    desk.ledger.settle(&settle_attempt(&record, 1, vec![])).await.unwrap();
    desk.ledger.commit(&full).await.unwrap();
    assert_eq!(desk.record(2).await.nonce(), Some(9), "nothing is open: the chain's count holds");
    let holder = desk.ledger.holder(record.chain(), record.wallet(), 0).await.unwrap();
    assert_eq!(holder, Some(record.id));
}

pub async fn a_conflict_releases_what_is_cancelled(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let record = cancelling(&desk, 1, vec![tenth("day", 100, 1000)]).await;
    let proof = ReleaseProof::NonceUsedElsewhere { final_nonce: 1 };
    let released = desk.ledger.release_committed(record.id, &proof).await.unwrap();
    assert_eq!(released.state, S::Conflict);
    assert_eq!(desk.counts(&rolling("day", 0, 0)).await, [0, 0, 0]);
    refused(&desk.ledger.settle(&settle(&record, vec![1])).await);
    refused(&desk.ledger.unsettle(record.id).await);
}
