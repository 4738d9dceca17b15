//! Further attempts: the payload at a higher fee.

use alloy_primitives::{Bytes, U256};
use countersign_core::{
    charge::{Charge, Unit, Window},
    fact::Freeze,
    operation::{Attempt, OperationRecord, OperationState as S, Purpose},
    time::Millis,
};
use countersign_engine::port::ledger::{
    Bump, BumpAnswer, LedgerError, ReleaseProof, SentOutcome, Settle,
};

use crate::{
    fixture::{
        HOUR, address, asking, bump, charge, commit, intent, operation, operation_id, order,
        receipt, reserve, rolling, settle, signed_bytes, signed_first, signed_newest,
    },
    suite::{Desk, LedgerBench},
};

/// What an answer is.
pub(super) fn says(answer: &BumpAnswer) -> String {
    match answer {
        BumpAnswer::Bound(record) => format!("bound: {}", record.attempts.len()),
        BumpAnswer::Over(over) => {
            format!("over: {:?}", over.iter().map(|o| o.index).collect::<Vec<_>>())
        }
        BumpAnswer::Elsewhere(record) => format!("elsewhere: {}", record.state.name()),
        BumpAnswer::Frozen(freeze) => format!("frozen: {}", serde_json::json!(freeze)),
        BumpAnswer::Sealed(reason) => format!("sealed: {reason}"),
    }
}

/// Asks for an attempt and says what the answer is. What writes nothing leaves record and log as they were.
pub(super) async fn asks(desk: &Desk, bump: &Bump) -> String {
    let before = desk.ledger.operation(bump.operation).await.unwrap().unwrap();
    let length = desk.sequence().await;
    let answer = desk.ledger.bump(bump).await.unwrap();
    let after = desk.ledger.operation(bump.operation).await.unwrap().unwrap();
    if let BumpAnswer::Bound(record) | BumpAnswer::Elsewhere(record) = &answer {
        assert_eq!(**record, after);
    }
    if after == before {
        assert_eq!(desk.sequence().await, length, "{answer:?}");
    }
    says(&answer)
}

/// Binds an attempt.
pub(super) async fn bound(desk: &Desk, bump: &Bump) -> OperationRecord {
    match desk.ledger.bump(bump).await.unwrap() {
        BumpAnswer::Bound(record) => *record,
        other => panic!("not bound: {other:?}"),
    }
}

/// Signs the newest attempt.
pub(super) async fn sign(desk: &Desk, record: &OperationRecord) -> OperationRecord {
    let number = record.attempts.last().unwrap().number;
    desk.ledger.signed(record.id, number, &signed_newest(record), None).await.unwrap()
}

/// A charge on a rolling day whose fee is a tenth of its value.
pub(super) fn tenth(name: &str, value: u64, limit: u64) -> Charge {
    Charge { fee: value / 10, ..rolling(name, value, limit) }
}

fn refused<T: std::fmt::Debug>(answer: &Result<T, LedgerError>) {
    assert!(matches!(answer, Err(LedgerError::Refused(_))), "{answer:?}");
}

pub async fn a_bump_binds_a_further_attempt_and_charges_the_difference(
    bench: &mut dyn LedgerBench,
) {
    let desk = Desk::at(bench).await;
    let count = Charge { unit: Unit::Count, ..charge("count", Window::Grant, 1, 9) };
    let charges = vec![tenth("day", 100, 1000), count, tenth("other", 100, 1000)];
    let first = desk.broadcast(1, charges.clone()).await;
    desk.time.advance(HOUR);
    let dearer = bump(&first, 1, vec![25, 0, 4]);
    let record = bound(&desk, &dearer).await;
    let mut expected = OperationRecord { updated_at: desk.now().await, ..first.clone() };
    expected.charges[0].fee = 25;
    expected.attempts.push(Attempt {
        number: 1,
        purpose: Purpose::Payload,
        made_at: desk.now().await,
        transaction: dearer.transaction.clone(),
        raw: None,
        hash: None,
        outcome: None,
    });
    assert_eq!(record, expected, "a lower fee gives nothing back");
    assert_eq!(desk.record(1).await, expected);
    assert_eq!(desk.counts(&charges[0]).await, [0, 125, 0]);
    assert_eq!(desk.counts(&charges[1]).await, [0, 1, 0]);
    assert_eq!(desk.counts(&charges[2]).await, [0, 110, 0]);
    let record = sign(&desk, &record).await;
    assert_eq!(record.hash(), record.attempts[1].hash);
    let record = bound(&desk, &bump(&record, 2, vec![30, 0, 30])).await;
    assert_eq!((record.state, record.attempts.len(), record.nonce()), (S::Broadcast, 3, Some(0)));
    assert_eq!(desk.counts(&charges[0]).await, [0, 130, 0]);
    assert_eq!(desk.counts(&charges[2]).await, [0, 130, 0]);
    bench.reopen().await;
    let again = Desk::at(bench).await.record(1).await;
    assert_eq!((again.attempts, again.charges), (record.attempts, record.charges), "it is durable");
}

pub async fn the_same_bump_again_is_the_same(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let first = desk.broadcast(1, vec![tenth("day", 100, 1000)]).await;
    let dearer = bump(&first, 1, vec![25]);
    assert_eq!(asks(&desk, &dearer).await, "bound: 2");
    desk.time.advance(HOUR);
    desk.ledger.seal("test").await.unwrap();
    desk.ledger.freeze(&order(&Freeze::All)).await.unwrap();
    assert_eq!(asks(&desk, &dearer).await, "bound: 2");
    assert_eq!(asks(&desk, &Bump { fees: vec![900], ..dearer.clone() }).await, "bound: 2");
    assert_eq!(desk.counts(&tenth("day", 0, 0)).await, [0, 125, 0]);
    let other = Bump { attempt: 1, ..bump(&first, 2, vec![30]) };
    assert_eq!(asks(&desk, &other).await, "elsewhere: BROADCAST", "the number is taken");
    let first_again =
        Bump { attempt: 0, transaction: first.attempts[0].transaction.clone(), ..other };
    assert_eq!(asks(&desk, &first_again).await, "bound: 2");
    let signed = sign(&desk, &desk.record(1).await).await;
    desk.ledger.settle(&settle(&signed, vec![100])).await.unwrap();
    assert_eq!(asks(&desk, &dearer).await, "bound: 2", "whatever happened since");
    assert_eq!(desk.counts(&tenth("day", 0, 0)).await, [0, 0, 100]);
}

pub async fn a_bump_that_does_not_fit_leaves_everything(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let first = desk.broadcast(1, vec![tenth("a", 100, 1000), tenth("b", 100, 150)]).await;
    desk.reserved(2, vec![rolling("b", 20, 150)]).await;
    let answer = desk.ledger.bump(&bump(&first, 1, vec![50, 31])).await.unwrap();
    let BumpAnswer::Over(over) = answer else { panic!("{answer:?}") };
    assert_eq!((over.len(), over[0].index), (1, 1));
    let reading = over[0].reading;
    assert_eq!(
        [reading.reserved, reading.committed, reading.settled],
        [20, 0, 0],
        "without its own"
    );
    assert_eq!(asks(&desk, &bump(&first, 1, vec![50, 31])).await, "over: [1]");
    assert_eq!(desk.record(1).await, first);
    assert_eq!(desk.counts(&rolling("a", 0, 0)).await, [0, 110, 0]);
    assert_eq!(asks(&desk, &bump(&first, 1, vec![50, 30])).await, "bound: 2", "the last unit");
    assert_eq!(desk.counts(&rolling("b", 0, 0)).await, [20, 130, 0]);
}

pub async fn charges_on_one_counter_add_up_within_a_bump(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let thrice = vec![tenth("day", 10, 50); 3];
    let first = desk.broadcast(1, thrice).await;
    assert_eq!(asks(&desk, &bump(&first, 1, vec![19, 1, 1])).await, "over: [2]");
    assert_eq!(asks(&desk, &bump(&first, 1, vec![1, 1, 19])).await, "over: [2]");
    assert_eq!(asks(&desk, &bump(&first, 1, vec![18, 1, 1])).await, "bound: 2");
    assert_eq!(desk.counts(&tenth("day", 0, 0)).await, [0, 50, 0]);
}

/// What others were let through for, or a receipt cost more, is not this operation's doing.
pub async fn only_a_counter_that_it_raises_can_refuse_a_bump(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let count = Charge { unit: Unit::Count, ..charge("count", Window::Grant, 1, 1) };
    let first = desk.broadcast(1, vec![count.clone(), tenth("day", 100, 1000)]).await;
    desk.reserved(2, vec![asking(count, true)]).await;
    assert_eq!(asks(&desk, &bump(&first, 1, vec![0, 11])).await, "bound: 2");
    let waived = desk.broadcast(3, vec![asking(tenth("day", 1000, 1000), true)]).await;
    assert_eq!(asks(&desk, &bump(&waived, 1, vec![500])).await, "bound: 2", "a gate is open");
    let refused = sign(&desk, &desk.record(1).await).await;
    assert_eq!(asks(&desk, &bump(&refused, 2, vec![0, 12])).await, "over: [1]");
    assert_eq!(asks(&desk, &bump(&refused, 2, vec![0, 11])).await, "bound: 3");
}

pub async fn nothing_but_the_fee_may_differ(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let first = desk.broadcast(1, vec![tenth("day", 100, 1000)]).await;
    let edits: [fn(&mut Bump); 9] = [
        |b| b.transaction.nonce += 1,
        |b| b.transaction.plan.to = Some(address(3)),
        |b| b.transaction.plan.to = None,
        |b| b.transaction.plan.value += U256::from(1),
        |b| b.transaction.plan.data = Bytes::from_static(&[0]),
        |b| b.transaction.plan.gas += 1,
        |b| b.transaction.plan.chain.0 += 1,
        |b| b.fees.clear(),
        |b| b.fees = vec![u64::MAX],
    ];
    let length = desk.sequence().await;
    for (index, edit) in edits.into_iter().enumerate() {
        let mut wrong = bump(&first, 1, vec![20]);
        edit(&mut wrong);
        let answer = desk.ledger.bump(&wrong).await;
        assert!(matches!(answer, Err(LedgerError::Refused(_))), "{index}: {answer:?}");
    }
    refused(
        &desk.ledger.bump(&Bump { operation: operation_id(9), ..bump(&first, 1, vec![20]) }).await,
    );
    assert_eq!((desk.record(1).await, desk.sequence().await), (first, length));
    assert_eq!(desk.counts(&tenth("day", 0, 0)).await, [0, 110, 0]);
}

pub async fn no_bump_before_the_newest_attempt_is_signed(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let prepared = desk.committed(1, vec![tenth("day", 100, 1000)]).await;
    assert_eq!(asks(&desk, &bump(&prepared, 1, vec![20])).await, "elsewhere: PREPARED");
    let signed = sign(&desk, &prepared).await;
    assert_eq!(asks(&desk, &bump(&signed, 2, vec![20])).await, "elsewhere: SIGNED", "one by one");
    let bumped = bound(&desk, &bump(&signed, 1, vec![20])).await;
    assert_eq!(asks(&desk, &bump(&bumped, 2, vec![30])).await, "elsewhere: SIGNED");
    let signed = sign(&desk, &bumped).await;
    assert_eq!(signed.state, S::Signed);
    let unknown = SentOutcome::Unknown("reset".into());
    desk.ledger.sent(operation_id(1), 1, &unknown).await.unwrap();
    assert_eq!(asks(&desk, &bump(&signed, 2, vec![30])).await, "bound: 3", "nobody knows: again");
    assert_eq!(desk.state(1).await, S::Unknown);
}

pub async fn nothing_is_bumped_that_is_not_on_its_way(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let like = desk.broadcast(1, vec![]).await;
    let of = |n: u64| {
        let transaction = crate::fixture::plan(&intent(n)).clone().with_nonce(n - 1);
        Bump { operation: operation_id(n), transaction, ..bump(&like, 1, vec![]) }
    };
    desk.parked(2, vec![]).await;
    assert_eq!(asks(&desk, &of(2)).await, "elsewhere: PARKED");
    desk.ledger.deny(&operation(3)).await.unwrap();
    assert_eq!(asks(&desk, &of(3)).await, "elsewhere: DENIED");
    desk.reserved(4, vec![]).await;
    assert_eq!(asks(&desk, &of(4)).await, "elsewhere: ALLOWED");
    let actual = receipt(like.hash().unwrap(), true);
    let mined = desk.ledger.mined(operation_id(1), Some(&actual)).await.unwrap();
    assert_eq!(asks(&desk, &bump(&mined, 1, vec![])).await, "elsewhere: MINED");
    desk.ledger.settle(&settle(&mined, vec![])).await.unwrap();
    assert_eq!(asks(&desk, &bump(&mined, 1, vec![])).await, "elsewhere: EXECUTED");
    let lost = desk.broadcast(5, vec![]).await;
    let proof = ReleaseProof::NonceUsedElsewhere { final_nonce: 9 };
    desk.ledger.release_committed(operation_id(5), &proof).await.unwrap();
    assert_eq!(asks(&desk, &bump(&lost, 1, vec![])).await, "elsewhere: CONFLICT");
}

pub async fn no_bump_under_a_freeze_or_the_seal(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let first = desk.broadcast(1, vec![tenth("day", 100, 1000)]).await;
    let dearer = bump(&first, 1, vec![20]);
    let freezes = [
        Freeze::Global,
        Freeze::All,
        Freeze::Agent(first.agent().clone()),
        Freeze::Wallet(first.wallet().clone()),
        Freeze::Chain(first.chain()),
    ];
    for freeze in freezes {
        desk.ledger.freeze(&order(&freeze)).await.unwrap();
        let answer = desk.ledger.bump(&dearer).await.unwrap();
        assert_eq!(answer, BumpAnswer::Frozen(freeze.clone()));
        desk.ledger.seal("test").await.unwrap();
        assert_eq!(asks(&desk, &dearer).await, "sealed: test");
        assert_eq!(asks(&desk, &bump(&first, 2, vec![20])).await, "elsewhere: BROADCAST");
        desk.ledger.unseal().await.unwrap();
        desk.ledger.unfreeze(&freeze).await.unwrap();
    }
    assert_eq!(desk.record(1).await, first);
    assert_eq!(asks(&desk, &dearer).await, "bound: 2");
}

pub async fn each_attempt_has_bytes_of_its_own(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let first = desk.broadcast(1, vec![tenth("day", 100, 1000)]).await;
    let record = bound(&desk, &bump(&first, 1, vec![20])).await;
    let id = operation_id(1);
    refused(&desk.ledger.signed(id, 1, &signed_first(&record), None).await);
    refused(&desk.ledger.signed(id, 2, &signed_newest(&record), None).await);
    refused(&desk.ledger.sent(id, 1, &SentOutcome::Accepted).await);
    let mut other = record.attempts[1].transaction.clone();
    other.nonce += 1;
    refused(&desk.ledger.signed(id, 1, &signed_bytes(&other), None).await);
    assert_eq!(desk.record(1).await, record);
    let signed = sign(&desk, &record).await;
    assert_eq!(sign(&desk, &record).await, signed, "again");
    desk.time.advance(Millis(5));
    let words = SentOutcome::Unknown("underpriced".into());
    let sent = desk.ledger.sent(id, 1, &words).await.unwrap();
    assert_eq!(sent.attempts[0], first.attempts[0]);
    assert_eq!(
        (sent.state, sent.attempts[1].outcome.as_deref()),
        (S::Unknown, Some("underpriced"))
    );
    let sent = desk.ledger.sent(id, 0, &SentOutcome::Accepted).await.unwrap();
    assert_eq!(
        (sent.state, sent.attempts[1].outcome.as_deref()),
        (S::Broadcast, Some("underpriced"))
    );
    assert_eq!(desk.record(1).await, sent);
}

pub async fn the_receipt_of_any_attempt_counts(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    for (n, mined) in [(1, 0_usize), (2, 1), (3, 2)] {
        let mut record = desk.broadcast(n, vec![tenth("day", 100, 9000)]).await;
        for attempt in [1, 2] {
            let fees = vec![10 * u64::from(attempt)];
            record = sign(&desk, &bound(&desk, &bump(&record, attempt, fees)).await).await;
        }
        let hash = record.attempts[mined].hash.unwrap();
        let seen = desk.ledger.mined(record.id, Some(&receipt(hash, true))).await.unwrap();
        assert_eq!((seen.state, seen.hash()), (S::Mined, Some(hash)));
        let gone = desk.ledger.mined(record.id, None).await.unwrap();
        assert_eq!((gone.state, gone.hash()), (S::Broadcast, record.attempts[2].hash));
        let settle = Settle { actual: receipt(hash, true), ..settle(&record, vec![101]) };
        let settled = desk.ledger.settle(&settle).await.unwrap();
        assert_eq!((settled.state, settled.hash()), (S::Executed, Some(hash)));
    }
    assert_eq!(desk.counts(&tenth("day", 0, 0)).await, [0, 0, 303]);
    let back = desk.ledger.unsettle(operation_id(2)).await.unwrap();
    assert_eq!((back.state, back.attempts.len()), (S::Broadcast, 3));
    assert_eq!(desk.counts(&tenth("day", 0, 0)).await, [0, 120, 202], "with its highest fee");
}

pub async fn sixty_four_bumps_at_once_and_one_is_bound(bench: &mut dyn LedgerBench) {
    let [desk, other] = Desk::pair(bench).await;
    let first = desk.broadcast(1, vec![tenth("day", 100, 1000)]).await;
    let tasks: Vec<_> = (1..=64)
        .zip([&desk, &other].into_iter().cycle())
        .map(|(n, desk)| {
            let (desk, fee) = (desk.clone(), u64::from(n));
            let bump = Bump { attempt: 1, ..bump(&first, n, vec![10 + fee]) };
            tokio::spawn(async move {
                match desk.ledger.bump(&bump).await.unwrap() {
                    BumpAnswer::Bound(record) => {
                        assert_eq!(record.attempts[1].transaction, bump.transaction);
                        Some(fee)
                    }
                    BumpAnswer::Elsewhere(record) => {
                        assert_ne!(record.attempts[1].transaction, bump.transaction);
                        None
                    }
                    other => panic!("{other:?}"),
                }
            })
        })
        .collect();
    let mut bound = Vec::new();
    for task in tasks {
        bound.extend(task.await.unwrap());
    }
    assert_eq!(bound.len(), 1);
    let record = desk.record(1).await;
    assert_eq!((record.attempts.len(), record.charges[0].fee), (2, 10 + bound[0]));
    assert_eq!(desk.counts(&tenth("day", 0, 0)).await, [0, 110 + bound[0], 0]);
}

/// The order of the lane is kept: a bump takes no further nonce.
pub async fn a_bump_takes_no_nonce(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let first = desk.broadcast(1, vec![]).await;
    bound(&desk, &bump(&first, 1, vec![])).await;
    let next = desk.ledger.next_nonce(first.chain(), first.wallet()).await.unwrap();
    assert_eq!(next, Some(1));
    desk.ledger.reserve(&reserve(2, vec![])).await.unwrap();
    desk.ledger.commit(&commit(2)).await.unwrap();
    assert_eq!(desk.record(2).await.nonce(), Some(1));
    let holder = desk.ledger.holder(first.chain(), first.wallet(), 0).await.unwrap();
    assert_eq!(holder, Some(operation_id(1)));
}
