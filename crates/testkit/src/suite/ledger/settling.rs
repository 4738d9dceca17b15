//! Settlement, windows, release with proof, reorgs.

use countersign_core::{
    amount::AMOUNT_MAX,
    charge::{Charge, Window},
    identity::ChainId,
    operation::{OperationRecord, OperationState as S},
    time::{Millis, Timestamp},
};
use countersign_engine::port::ledger::{
    LedgerError, ReleaseProof, ReserveAnswer, SETTLED_KEPT, SentOutcome, Settle,
};

use crate::{
    fixture::{
        CHAIN, DAY, HOUR, charge, commit, daily, operation_id, receipt, reserve, rolling, settle,
        signed_first,
    },
    suite::{Desk, LedgerBench},
};

fn refused<T: std::fmt::Debug>(answer: &Result<T, LedgerError>) {
    assert!(matches!(answer, Err(LedgerError::Refused(_))), "{answer:?}");
}

pub async fn settlement_keeps_what_the_chain_kept(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let charges = vec![
        rolling("day", 100, 1000),
        charge("ever", Window::Grant, 100, 1000),
        daily("civil", desk.now().await, 100, 1000),
        rolling("nothing", 100, 1000),
    ];
    let record = desk.broadcast(1, charges.clone()).await;
    desk.time.advance(HOUR);
    let settled = desk.ledger.settle(&settle(&record, vec![60, 61, 130, 0])).await.unwrap();
    let now = desk.now().await;
    assert_eq!((settled.state, settled.settled_at), (S::Executed, Some(now)));
    assert_eq!(settled.kept, [60, 61, 130, 0]);
    assert_eq!(settled.finished_at, record.finished_at, "the agent had its hash long ago");
    assert_eq!(settled.actual, Some(receipt(record.hash().unwrap(), true)));
    for (charge, kept) in charges.iter().zip([60, 61, 130, 0]) {
        assert_eq!(desk.counts(charge).await, [0, 0, kept]);
    }
    let again = desk.ledger.settle(&settle(&record, vec![60, 61, 130, 0])).await.unwrap();
    assert_eq!(again, settled);
    assert_eq!(desk.counts(&charges[0]).await, [0, 0, 60]);
}

pub async fn a_reverted_transaction_is_settled_as_reverted(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let record = desk.broadcast(1, vec![rolling("day", 100, 1000)]).await;
    let reverted =
        Settle { actual: receipt(record.hash().unwrap(), false), ..settle(&record, vec![3]) };
    let settled = desk.ledger.settle(&reverted).await.unwrap();
    assert_eq!(settled.state, S::Reverted);
    assert_eq!(desk.counts(&rolling("day", 0, 0)).await, [0, 0, 3]);
}

pub async fn only_what_is_signed_is_settled(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let committed = desk.committed(1, vec![rolling("day", 10, 100)]).await;
    let bytes = signed_first(&committed);
    let early = Settle {
        operation: operation_id(1),
        actual: receipt(bytes.hash, true),
        attempts: 1,
        charges: committed.charges,
        kept: vec![10],
    };
    refused(&desk.ledger.settle(&early).await);
    desk.ledger.signed(operation_id(1), 0, &bytes, None).await.unwrap();
    for kept in [vec![], vec![10, 10]] {
        refused(&desk.ledger.settle(&Settle { kept, ..early.clone() }).await);
    }
    // what it was reckoned from is not what the books have
    for (attempts, limit) in [(2, 100), (1, 99)] {
        let charges = vec![rolling("day", 10, limit)];
        refused(&desk.ledger.settle(&Settle { attempts, charges, ..early.clone() }).await);
    }
    assert_eq!(desk.counts(&rolling("day", 0, 0)).await, [0, 10, 0]);
    assert_eq!(desk.ledger.settle(&early).await.unwrap().state, S::Executed);
    refused(&desk.ledger.settle(&Settle { operation: operation_id(9), ..early }).await);
}

/// A window of 24 hours has buckets of one minute. The store's clock starts at a full minute.
pub async fn a_bucket_counts_until_its_end_has_left_the_window(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let start = desk.now().await;
    let at = |ms: u64| start.after(Millis(ms));
    desk.time.set(at(30_000));
    desk.settled(1, vec![rolling("day", 70, 100)]).await;
    desk.time.set(at(60_000));
    desk.settled(2, vec![rolling("day", 20, 100)]).await;
    let asks = |amount| rolling("day", amount, 100);
    let leaves = [at(60_000 + DAY.0), at(120_000 + DAY.0)];
    assert_eq!(desk.frees_at(&asks(10)).await, None, "it fits");
    assert_eq!(desk.frees_at(&asks(11)).await, Some(leaves[0]));
    assert_eq!(desk.frees_at(&asks(80)).await, Some(leaves[0]));
    assert_eq!(desk.frees_at(&asks(81)).await, Some(leaves[1]));
    assert_eq!(desk.frees_at(&asks(100)).await, Some(leaves[1]));
    assert_eq!(desk.frees_at(&asks(101)).await, None, "never");
    let just_before = |t: Timestamp| t.before(Millis(1));
    desk.time.set(just_before(leaves[0]));
    assert_eq!(desk.counts(&asks(0)).await, [0, 0, 90]);
    let over = desk.ledger.reserve(&reserve(3, vec![asks(11)])).await.unwrap();
    assert!(matches!(over, ReserveAnswer::Over(_)));
    desk.time.set(leaves[0]);
    assert_eq!(desk.counts(&asks(0)).await, [0, 0, 20]);
    desk.reserved(3, vec![asks(80)]).await;
    desk.time.set(leaves[1]);
    assert_eq!(desk.counts(&asks(0)).await, [80, 0, 0]);
}

pub async fn frees_at_is_never_where_reserved_and_committed_stand_in_the_way(
    bench: &mut dyn LedgerBench,
) {
    let desk = Desk::at(bench).await;
    desk.settled(1, vec![rolling("day", 50, 100)]).await;
    desk.committed(2, vec![rolling("day", 20, 100)]).await;
    desk.reserved(3, vec![rolling("day", 20, 100)]).await;
    let leaves = desk.now().await.after(Millis(60_000 + DAY.0));
    assert_eq!(desk.frees_at(&rolling("day", 60, 100)).await, Some(leaves));
    assert_eq!(desk.frees_at(&rolling("day", 61, 100)).await, None);
    let over = desk.ledger.reserve(&reserve(4, vec![rolling("day", 30, 100); 3])).await.unwrap();
    let ReserveAnswer::Over(over) = over else { panic!("{over:?}") };
    let frees: Vec<_> = over.iter().map(|o| o.reading.frees_at).collect();
    assert_eq!(frees, [Some(leaves), Some(leaves), None], "asked together");
}

pub async fn a_calendar_window_frees_at_its_end_and_a_grant_never(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let today = |amount, now| daily("civil", now, amount, 100);
    let now = desk.now().await;
    let Window::Calendar(period) = today(0, now).window else { panic!("not a day") };
    desk.settled(1, vec![today(90, now), charge("ever", Window::Grant, 90, 100)]).await;
    for (amount, frees) in [(10, None), (11, Some(period.end)), (101, None)] {
        assert_eq!(desk.frees_at(&today(amount, now)).await, frees, "{amount}");
        assert_eq!(desk.frees_at(&charge("ever", Window::Grant, amount, 100)).await, None);
    }
    desk.time.set(period.end);
    let tomorrow = today(100, period.end);
    assert_eq!(desk.counts(&tomorrow).await, [0, 0, 0]);
    assert_eq!(desk.counts(&charge("ever", Window::Grant, 0, 0)).await, [0, 0, 90]);
}

pub async fn what_settles_after_midnight_counts_where_it_was_charged(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let now = desk.now().await;
    let monday = daily("civil", now, 60, 100);
    let record = desk.broadcast(1, vec![monday.clone()]).await;
    desk.reserved(2, vec![daily("civil", now, 40, 100)]).await;
    desk.time.advance(DAY);
    let tuesday = daily("civil", desk.now().await, 100, 100);
    desk.ledger.settle(&settle(&record, vec![60])).await.unwrap();
    desk.ledger.reject(&crate::fixture::reject(2)).await.unwrap();
    assert_eq!(desk.counts(&monday).await, [0, 0, 60]);
    assert_eq!(desk.counts(&tuesday).await, [0, 0, 0]);
    desk.reserved(3, vec![tuesday.clone()]).await;
    assert_eq!(desk.counts(&tuesday).await, [100, 0, 0]);
}

pub async fn a_reorg_takes_a_settlement_back(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let charges = vec![
        rolling("day", 100, 1000),
        charge("ever", Window::Grant, 100, 1000),
        daily("civil", desk.now().await, 100, 1000),
    ];
    let before = desk.broadcast(1, charges.clone()).await;
    let settled = desk.ledger.settle(&settle(&before, vec![60, 60, 60])).await.unwrap();
    let back = desk.ledger.unsettle(operation_id(1)).await.unwrap();
    assert_eq!(back, before);
    assert_eq!(desk.ledger.unsettle(operation_id(1)).await.unwrap(), back);
    for charge in &charges {
        assert_eq!(desk.counts(charge).await, [0, 100, 0]);
    }
    desk.time.advance(HOUR);
    let again = desk.ledger.settle(&settle(&before, vec![70, 70, 70])).await.unwrap();
    assert_eq!((again.state, again.kept), (S::Executed, vec![70, 70, 70]));
    assert_ne!(again.settled_at, settled.settled_at);
    for charge in &charges {
        assert_eq!(desk.counts(charge).await, [0, 0, 70]);
    }
}

pub async fn a_reorg_after_the_window_takes_nothing_back_twice(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    desk.settled(1, vec![rolling("day", 60, 100)]).await;
    desk.time.advance(Millis(2 * DAY.0));
    desk.settled(2, vec![rolling("day", 30, 100)]).await;
    desk.ledger.unsettle(operation_id(1)).await.unwrap();
    assert_eq!(desk.counts(&rolling("day", 0, 0)).await, [0, 60, 30]);
    desk.ledger.settle(&settle(&desk.record(1).await, vec![55])).await.unwrap();
    assert_eq!(desk.counts(&rolling("day", 0, 0)).await, [0, 0, 85]);
    desk.ledger.unsettle(operation_id(2)).await.unwrap();
    assert_eq!(desk.counts(&rolling("day", 0, 0)).await, [0, 30, 55]);
}

pub async fn a_foreign_transaction_at_the_nonce_releases_as_a_conflict(
    bench: &mut dyn LedgerBench,
) {
    let desk = Desk::at(bench).await;
    let record = desk.broadcast(1, vec![rolling("day", 60, 100)]).await;
    let proof = |final_nonce| ReleaseProof::NonceUsedElsewhere { final_nonce };
    assert_eq!(record.nonce(), Some(0));
    refused(&desk.ledger.release_committed(operation_id(1), &proof(0)).await);
    assert_eq!(desk.record(1).await, record);
    let released = desk.ledger.release_committed(operation_id(1), &proof(1)).await.unwrap();
    assert_eq!(released.state, S::Conflict);
    assert_eq!(desk.counts(&rolling("day", 0, 0)).await, [0, 0, 0]);
    let again = desk.ledger.release_committed(operation_id(1), &proof(1)).await.unwrap();
    assert_eq!(again, released);
    assert_eq!(desk.counts(&rolling("day", 0, 0)).await, [0, 0, 0]);
    refused(&desk.ledger.settle(&settle(&record, vec![60])).await);
    assert_eq!(
        desk.ledger.sent(operation_id(1), 0, &SentOutcome::Accepted).await.unwrap(),
        released
    );
}

pub async fn nothing_else_is_released_by_a_proof(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let charges: Vec<Charge> = vec![rolling("day", 10, 100)];
    desk.reserved(1, charges.clone()).await;
    desk.parked(2, charges.clone()).await;
    desk.settled(3, charges.clone()).await;
    desk.ledger.deny(&crate::fixture::operation(4)).await.unwrap();
    for n in [1, 2, 3, 4, 9] {
        let proof = ReleaseProof::NonceUsedElsewhere { final_nonce: 99 };
        refused(&desk.ledger.release_committed(operation_id(n), &proof).await);
    }
    assert_eq!(desk.counts(&charges[0]).await, [20, 0, 10]);
    desk.ledger.commit(&commit(1)).await.unwrap();
    assert_eq!(desk.counts(&charges[0]).await, [10, 10, 10]);
}

pub async fn when_all_is_settled_nothing_is_held(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    for n in 0..16 {
        desk.settled(n, vec![rolling("day", n, 1000), charge("ever", Window::Grant, 1, 16)]).await;
    }
    assert_eq!(desk.counts(&rolling("day", 0, 0)).await, [0, 0, 120]);
    assert_eq!(desk.counts(&charge("ever", Window::Grant, 0, 0)).await, [0, 0, 16]);
    let over = desk.ledger.reserve(&reserve(99, vec![charge("ever", Window::Grant, 1, 16)])).await;
    assert!(matches!(over.unwrap(), ReserveAnswer::Over(_)));
}

/// The n-th operation settled in a block of its own.
async fn settled_at(desk: &Desk, n: u64, block: u64) -> OperationRecord {
    let record = desk.broadcast(n, vec![rolling("day", 1, 1000)]).await;
    let mut settle = settle(&record, vec![1]);
    settle.actual.block_number = block;
    desk.ledger.settle(&settle).await.unwrap()
}

pub async fn what_was_settled_in_a_block_is_found_until_a_reorg(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let here = async |block| desk.ledger.settled_in(CHAIN, block).await.unwrap();
    let three = vec![settled_at(&desk, 3, 70).await];
    let one = settled_at(&desk, 1, 70).await;
    let two = settled_at(&desk, 2, 71).await;
    assert_eq!(here(70).await, [one.clone(), three[0].clone()], "in the order of ids");
    assert_eq!(here(71).await, [two]);
    assert_eq!(here(69).await, []);
    assert_eq!(desk.ledger.settled_in(ChainId(1), 70).await.unwrap(), []);
    desk.ledger.unsettle(one.id).await.unwrap();
    assert_eq!(here(70).await, three);
    let again = desk.record(1).await;
    let mut settle = settle(&again, vec![1]);
    settle.actual.block_number = 72;
    let again = desk.ledger.settle(&settle).await.unwrap();
    assert_eq!((here(70).await, here(72).await), (three.clone(), vec![again.clone()]));
    let unfinished = desk.broadcast(4, vec![]).await;
    let mut seen = receipt(unfinished.hash().unwrap(), true);
    seen.block_number = 70;
    desk.ledger.mined(unfinished.id, Some(&seen)).await.unwrap();
    assert_eq!(here(70).await, three, "what is not final is no news");
    bench.reopen().await;
    let found = bench.ledger().settled_in(CHAIN, 72).await.unwrap();
    assert_eq!(found.iter().map(|o| o.id).collect::<Vec<_>>(), [again.id]);
}

pub async fn what_was_settled_long_ago_is_forgotten(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let ids = async |block| {
        let found = desk.ledger.settled_in(CHAIN, block).await.unwrap();
        found.iter().map(|o| o.id).collect::<Vec<_>>()
    };
    for (n, block) in [(1, 1000), (2, 1001), (3, 1000 + SETTLED_KEPT)] {
        settled_at(&desk, n, block).await;
    }
    assert_eq!(ids(1000).await, [operation_id(1)], "just near enough");
    settled_at(&desk, 4, 1001 + SETTLED_KEPT).await;
    assert_eq!((ids(1000).await, ids(1001).await), (vec![], vec![operation_id(2)]));
    settled_at(&desk, 5, 1000).await;
    assert_eq!(ids(1000).await, [], "too late to be looked at");
    desk.ledger.unsettle(operation_id(4)).await.unwrap();
    assert_eq!(ids(1000).await, [], "what is forgotten stays so");
    let cold = desk.ledger.unsettle(operation_id(1)).await.unwrap();
    assert_eq!(cold.state, S::Broadcast, "it can be taken back all the same");
}

pub async fn no_more_is_settled_than_a_counter_holds(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let record = desk.broadcast(1, vec![rolling("day", 10, 100)]).await;
    for kept in [AMOUNT_MAX + 1, u64::MAX] {
        refused(&desk.ledger.settle(&settle(&record, vec![kept])).await);
    }
    assert_eq!(desk.record(1).await, record);
    desk.ledger.settle(&settle(&record, vec![AMOUNT_MAX])).await.unwrap();
    assert_eq!(desk.counts(&rolling("day", 0, 0)).await, [0, 0, AMOUNT_MAX]);
}
