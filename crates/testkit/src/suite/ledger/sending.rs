//! Signed bytes, what nodes say, receipts.

use alloy_primitives::{B256, Bytes};
use countersign_core::operation::OperationState as S;
use countersign_engine::port::ledger::{LedgerError, SentOutcome, SignedBytes};

use crate::{
    fixture::{HOUR, operation_id, receipt, rolling, settle, signed_bytes, signed_first},
    suite::{Desk, LedgerBench},
};

fn refused<T: std::fmt::Debug>(answer: &Result<T, LedgerError>) {
    assert!(matches!(answer, Err(LedgerError::Refused(_))), "{answer:?}");
}

pub async fn signed_bytes_are_stored_once_and_finish_the_question(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let committed = desk.committed(1, vec![]).await;
    let bytes = signed_first(&committed);
    desk.time.advance(HOUR);
    let record = desk.ledger.signed(operation_id(1), 0, &bytes, None).await.unwrap();
    assert_eq!((record.state, record.finished_at), (S::Signed, Some(desk.now().await)));
    assert_eq!(record.attempts[0].raw.as_ref(), Some(&bytes.raw));
    assert_eq!(record.hash(), Some(bytes.hash));
    desk.time.advance(HOUR);
    let again = desk.ledger.signed(operation_id(1), 0, &bytes, None).await.unwrap();
    assert_eq!(again, record);
    assert_eq!(desk.record(1).await, record);
}

pub async fn bytes_are_stored_with_what_the_node_said_in_one_step(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let unknown = SentOutcome::Unknown("timed out".into());
    for (n, outcome, state, words) in [
        (1, &SentOutcome::Accepted, S::Broadcast, "accepted"),
        (2, &unknown, S::Unknown, "timed out"),
    ] {
        let committed = desk.committed(n, vec![]).await;
        let bytes = signed_first(&committed);
        let ledger = &desk.ledger;
        let record = ledger.signed(operation_id(n), 0, &bytes, Some(outcome)).await.unwrap();
        let first = &record.attempts[0];
        assert_eq!((record.state, first.outcome.as_deref()), (state, Some(words)));
        assert_eq!((record.hash(), first.raw.as_ref()), (Some(bytes.hash), Some(&bytes.raw)));
        let again = ledger.signed(operation_id(n), 0, &bytes, Some(outcome)).await.unwrap();
        assert_eq!(again, record);
        assert_eq!(ledger.signed(operation_id(n), 0, &bytes, None).await.unwrap(), record);
    }
    // another hand has stored them meanwhile, and the chain has mined them: the word is late
    let record = desk.signed(3, vec![]).await;
    let actual = receipt(record.hash().unwrap(), true);
    let mined = desk.ledger.mined(operation_id(3), Some(&actual)).await.unwrap();
    let late = desk.ledger.signed(operation_id(3), 0, &signed_first(&record), Some(&unknown)).await;
    assert_eq!(late.unwrap(), mined);
}

pub async fn never_other_bytes_and_never_another_payload(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let committed = desk.committed(1, vec![]).await;
    let bytes = signed_first(&committed);
    let mut other = committed.attempts[0].transaction.clone();
    other.nonce += 1;
    refused(&desk.ledger.signed(operation_id(1), 0, &signed_bytes(&other), None).await);
    let mut other = committed.attempts[0].transaction.clone();
    other.plan.data = Bytes::from_static(&[1]);
    refused(&desk.ledger.signed(operation_id(1), 0, &signed_bytes(&other), None).await);
    refused(&desk.ledger.signed(operation_id(1), 1, &bytes, None).await);
    refused(&desk.ledger.signed(operation_id(9), 0, &bytes, None).await);
    assert_eq!(desk.record(1).await, committed);
    let signed = desk.ledger.signed(operation_id(1), 0, &bytes, None).await.unwrap();
    let malleated = SignedBytes { hash: B256::repeat_byte(1), ..bytes };
    refused(&desk.ledger.signed(operation_id(1), 0, &malleated, None).await);
    assert_eq!(desk.record(1).await, signed);
    desk.reserved(2, vec![]).await;
    refused(&desk.ledger.signed(operation_id(2), 0, &signed_first(&signed), None).await);
}

pub async fn what_the_node_says_moves_between_broadcast_and_unknown(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    desk.signed(1, vec![rolling("day", 5, 10)]).await;
    let unknown = SentOutcome::Unknown("timed out".into());
    let steps = [
        (&unknown, S::Unknown, "timed out"),
        (&SentOutcome::Accepted, S::Broadcast, "accepted"),
        (&unknown, S::Unknown, "timed out"),
        (&unknown, S::Unknown, "timed out"),
    ];
    for (outcome, state, words) in steps {
        desk.time.advance(HOUR);
        let record = desk.ledger.sent(operation_id(1), 0, outcome).await.unwrap();
        assert_eq!((record.state, record.updated_at), (state, desk.now().await));
        assert_eq!(record.attempts[0].outcome.as_deref(), Some(words));
    }
    assert_eq!(desk.counts(&rolling("day", 0, 0)).await, [0, 5, 0]);
}

pub async fn nothing_is_sent_that_is_not_signed(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let accepted = SentOutcome::Accepted;
    let committed = desk.committed(1, vec![]).await;
    refused(&desk.ledger.sent(operation_id(1), 0, &accepted).await);
    refused(&desk.ledger.sent(operation_id(1), 1, &accepted).await);
    refused(&desk.ledger.sent(operation_id(9), 0, &accepted).await);
    refused(&desk.ledger.mined(operation_id(1), None).await);
    refused(&desk.ledger.unsettle(operation_id(1)).await);
    assert_eq!(desk.record(1).await, committed);
}

pub async fn a_late_word_of_the_node_changes_nothing(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let record = desk.broadcast(1, vec![]).await;
    let actual = receipt(record.hash().unwrap(), true);
    let mined = desk.ledger.mined(operation_id(1), Some(&actual)).await.unwrap();
    let late = SentOutcome::Unknown("late".into());
    assert_eq!(desk.ledger.sent(operation_id(1), 0, &late).await.unwrap(), mined);
    let settled = desk.ledger.settle(&settle(&mined, vec![])).await.unwrap();
    assert_eq!(desk.ledger.sent(operation_id(1), 0, &late).await.unwrap(), settled);
    assert_eq!(desk.ledger.mined(operation_id(1), Some(&actual)).await.unwrap(), settled);
}

pub async fn a_receipt_comes_and_goes(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let record = desk.signed(1, vec![rolling("day", 5, 10)]).await;
    let actual = receipt(record.hash().unwrap(), true);
    let mined = desk.ledger.mined(operation_id(1), Some(&actual)).await.unwrap();
    assert_eq!((mined.state, mined.actual.as_ref()), (S::Mined, Some(&actual)));
    let again = desk.ledger.mined(operation_id(1), Some(&actual)).await.unwrap();
    assert_eq!(again, mined);
    let gone = desk.ledger.mined(operation_id(1), None).await.unwrap();
    assert_eq!((gone.state, gone.actual.as_ref()), (S::Broadcast, None));
    assert_eq!(desk.ledger.mined(operation_id(1), None).await.unwrap(), gone);
    assert_eq!(desk.counts(&rolling("day", 0, 0)).await, [0, 5, 0]);
}

pub async fn a_receipt_of_bytes_that_are_not_ours_is_refused(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let record = desk.broadcast(1, vec![rolling("day", 5, 10)]).await;
    let foreign = receipt(B256::repeat_byte(9), true);
    refused(&desk.ledger.mined(operation_id(1), Some(&foreign)).await);
    let mut wrong = settle(&record, vec![5]);
    wrong.actual = foreign;
    refused(&desk.ledger.settle(&wrong).await);
    assert_eq!(desk.record(1).await, record);
    assert_eq!(desk.counts(&rolling("day", 0, 0)).await, [0, 5, 0]);
}
