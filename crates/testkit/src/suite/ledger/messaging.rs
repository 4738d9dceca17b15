//! Messages: bound without a nonce, signed once, and held to account until they end.

use alloy_primitives::Bytes;
use countersign_core::{charge::Charge, operation::OperationState as S};
use countersign_engine::port::ledger::{
    CommitAnswer, LedgerError, MessageEnd, NewOperation, ReleaseProof, Reserve, ReserveAnswer,
    Settle,
};

use crate::{
    fixture::{self, CHAIN, HOUR, commit, message, operation_id, operation_of, receipt, rolling},
    suite::{Desk, LedgerBench},
};

const SIGNATURE: Bytes = Bytes::from_static(&[7; 65]);

fn refused<T: std::fmt::Debug>(answer: &Result<T, LedgerError>) {
    assert!(matches!(answer, Err(LedgerError::Refused(_))), "{answer:?}");
}

/// The n-th message, bound.
async fn bound(desk: &Desk, n: u64, charges: Vec<Charge>) {
    let operation: NewOperation = operation_of(n, message(n, Some(9)));
    let reserve = Reserve { operation, ..fixture::reserve(n, charges) };
    let answer = desk.ledger.reserve(&reserve).await.unwrap();
    assert!(matches!(answer, ReserveAnswer::Reserved(_)), "{answer:?}");
    let answer = desk.ledger.commit(&commit(n)).await.unwrap();
    let CommitAnswer::Bound(record) = answer else { panic!("{answer:?}") };
    assert_eq!((record.state, record.nonce(), record.attempts.len()), (S::Prepared, None, 0));
}

pub async fn a_message_takes_no_nonce_and_no_place_in_a_lane(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    bound(&desk, 1, vec![rolling("day", 10, 100)]).await;
    assert_eq!(desk.counts(&rolling("day", 0, 0)).await, [0, 10, 0]);
    assert_eq!(desk.ledger.next_nonce(CHAIN, desk.record(1).await.wallet()).await.unwrap(), None);
    let again = desk.ledger.commit(&commit(1)).await.unwrap();
    assert_eq!(again, CommitAnswer::Bound(Box::new(desk.record(1).await)));
    desk.reserved(2, vec![]).await;
    let narrow =
        countersign_engine::port::ledger::Commit { in_flight_max: 1, floor: 5, ..commit(2) };
    let CommitAnswer::Bound(record) = desk.ledger.commit(&narrow).await.unwrap() else { panic!() };
    assert_eq!(record.nonce(), Some(5), "no entry of the lane is open");
}

pub async fn a_message_is_signed_once_and_answers_its_agent(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    bound(&desk, 1, vec![rolling("day", 10, 100)]).await;
    let signed = desk.ledger.signed_message(operation_id(1), &SIGNATURE).await.unwrap();
    assert_eq!((signed.state, &signed.signature), (S::Signed, &Some(SIGNATURE)));
    assert_eq!(signed.finished_at, Some(desk.now().await));
    let again = desk.ledger.signed_message(operation_id(1), &SIGNATURE).await.unwrap();
    assert_eq!(again, signed);
    let other = Bytes::from_static(&[8; 65]);
    refused(&desk.ledger.signed_message(operation_id(1), &other).await);
    refused(&desk.ledger.signed_message(operation_id(9), &other).await);
    desk.committed(2, vec![]).await;
    refused(&desk.ledger.signed_message(operation_id(2), &other).await);
    assert_eq!(desk.record(1).await, signed);
}

pub async fn a_spent_message_is_settled_in_full_and_a_void_one_released(
    bench: &mut dyn LedgerBench,
) {
    let desk = Desk::at(bench).await;
    let ends = [(1, MessageEnd::Spent, S::Executed, 10), (2, MessageEnd::Void, S::Cancelled, 0)];
    let mut settled = 0;
    for (n, end, state, kept) in ends {
        bound(&desk, n, vec![rolling("day", 10, 100)]).await;
        refused(&desk.ledger.end_message(operation_id(n), end).await);
        desk.ledger.signed_message(operation_id(n), &SIGNATURE).await.unwrap();
        assert_eq!(desk.counts(&rolling("day", 0, 0)).await, [0, 10, settled]);
        desk.time.advance(HOUR);
        let ended = desk.ledger.end_message(operation_id(n), end).await.unwrap();
        assert_eq!((ended.state, &ended.kept[..]), (state, &[kept][..]));
        assert_eq!(ended.settled_at, Some(desk.now().await));
        settled += kept;
        assert_eq!(desk.counts(&rolling("day", 0, 0)).await, [0, 0, settled]);
        let again = desk.ledger.end_message(operation_id(n), end).await.unwrap();
        assert_eq!(again, ended);
        let signed = desk.ledger.signed_message(operation_id(n), &SIGNATURE).await.unwrap();
        assert_eq!(signed, ended, "a late word");
    }
    refused(&desk.ledger.end_message(operation_id(1), MessageEnd::Void).await);
    refused(&desk.ledger.end_message(operation_id(2), MessageEnd::Spent).await);
    desk.broadcast(3, vec![]).await;
    refused(&desk.ledger.end_message(operation_id(3), MessageEnd::Spent).await);
}

pub async fn what_the_chain_says_of_transactions_is_never_said_of_a_message(
    bench: &mut dyn LedgerBench,
) {
    let desk = Desk::at(bench).await;
    bound(&desk, 1, vec![rolling("day", 10, 100)]).await;
    let ledger = &desk.ledger;
    let digest = message(1, None).message().unwrap().digest;
    let settle = Settle {
        operation: operation_id(1),
        actual: receipt(digest, true),
        attempts: 0,
        charges: desk.record(1).await.charges,
        kept: vec![1],
    };
    for end in [None, Some(MessageEnd::Spent)] {
        if let Some(end) = end {
            ledger.end_message(operation_id(1), end).await.unwrap();
        }
        let before = desk.record(1).await;
        refused(&ledger.mined(operation_id(1), Some(&settle.actual)).await);
        refused(&ledger.mined(operation_id(1), None).await);
        refused(&ledger.settle(&settle).await);
        refused(&ledger.unsettle(operation_id(1)).await);
        let proof = ReleaseProof::NonceUsedElsewhere { final_nonce: u64::from(u32::MAX) };
        refused(&ledger.release_committed(operation_id(1), &proof).await);
        assert_eq!(desk.record(1).await, before);
        if end.is_none() {
            ledger.signed_message(operation_id(1), &SIGNATURE).await.unwrap();
        }
    }
}

pub async fn a_signed_message_is_no_open_work(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    bound(&desk, 1, vec![]).await;
    let states = [S::Prepared, S::Signed];
    let open = || async {
        let now = desk.now().await;
        let all = desk.ledger.open(&states, now, 10).await.unwrap();
        all.iter().map(|record| record.id).collect::<Vec<_>>()
    };
    assert_eq!(open().await, [operation_id(1)]);
    desk.ledger.signed_message(operation_id(1), &SIGNATURE).await.unwrap();
    assert_eq!(open().await, []);
    desk.ledger.end_message(operation_id(1), MessageEnd::Spent).await.unwrap();
    assert_eq!(open().await, []);
}
