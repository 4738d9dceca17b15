//! Many at once.

use std::sync::Arc;

use countersign_core::{charge::Charge, identity::OperationId};
use countersign_engine::port::{
    Ledger,
    ledger::{Commit, CommitAnswer, ReserveAnswer},
};
use countersign_testkit::{
    fixture::{commit, operation_id, reject, reserve, rolling, settle, signed_first},
    suite::{Desk, LedgerBench},
};
use tokio::task::JoinSet;

use super::bench::{RedisBench, open};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_gateways_with_two_hundred_reservations_make_exactly_seven_fit() {
    let bench = RedisBench::make().await;
    let other = open(&bench.server.url(), &bench.time).await.unwrap();
    let mut racing = JoinSet::new();
    for n in 0..200 {
        let ledger = if n % 2 == 0 { bench.ledger() } else { other.ledger() };
        racing.spawn(async move {
            let answer = ledger.reserve(&reserve(n, vec![rolling("day", 100, 799)])).await.unwrap();
            matches!(answer, ReserveAnswer::Reserved(_))
        });
    }
    let winners = racing.join_all().await.into_iter().filter(|won| *won).count();
    assert_eq!(winners, 7);
    let desk = Desk::at(&bench).await;
    assert_eq!(desk.counts(&rolling("day", 0, 799)).await, [700, 0, 0]);
}

fn amount_of(n: u64) -> u64 {
    n.saturating_add(1)
}

fn charges_of(n: u64) -> Vec<Charge> {
    let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
    names.iter().map(|name| rolling(name, amount_of(n), 1_000_000)).collect()
}

/// Reserves, and takes each fourth back, commits each fourth and settles each fourth.
async fn live(ledger: Arc<dyn Ledger>, n: u64) -> [u64; 3] {
    let amount = amount_of(n);
    let desk = Desk { ledger, time: countersign_testkit::ManualTime::default() };
    match n % 4 {
        0 => {
            desk.reserved(n, charges_of(n)).await;
            [amount, 0, 0]
        }
        1 => {
            desk.reserved(n, charges_of(n)).await;
            desk.ledger.reject(&reject(n)).await.unwrap();
            [0, 0, 0]
        }
        2 => {
            desk.reserved(n, charges_of(n)).await;
            let wide = Commit { in_flight_max: 64, ..commit(n) };
            let bound = desk.ledger.commit(&wide).await.unwrap();
            assert!(matches!(bound, CommitAnswer::Bound(_)), "{bound:?}");
            [0, amount, 0]
        }
        _ => {
            desk.reserved(n, charges_of(n)).await;
            let wide = Commit { in_flight_max: 64, ..commit(n) };
            let CommitAnswer::Bound(record) = desk.ledger.commit(&wide).await.unwrap() else {
                panic!("operation {n} was not committed")
            };
            let bytes = signed_first(&record);
            let record = desk.ledger.signed(record.id, 0, &bytes).await.unwrap();
            desk.ledger.settle(&settle(&record, vec![amount; 8])).await.unwrap();
            [0, 0, amount]
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_tasks_on_eight_counters_leave_them_exact() {
    let bench = RedisBench::make().await;
    let mut racing = JoinSet::new();
    for n in 0..64 {
        let ledger = bench.ledger();
        racing.spawn(async move { live(ledger, n).await });
    }
    let mut expected = [0_u64; 3];
    for sums in racing.join_all().await {
        for (total, sum) in expected.iter_mut().zip(sums) {
            *total += sum;
        }
    }
    let desk = Desk::at(&bench).await;
    for charge in charges_of(0) {
        assert_eq!(desk.counts(&charge).await, expected, "{}", charge.source.limit);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixteen_commits_at_once_get_sixteen_nonces_without_a_gap() {
    let bench = RedisBench::make().await;
    let desk = Desk::at(&bench).await;
    for n in 0..16 {
        desk.reserved(n, vec![]).await;
    }
    let mut racing = JoinSet::new();
    for n in 0..16 {
        let ledger = bench.ledger();
        racing.spawn(async move {
            let CommitAnswer::Bound(record) = ledger.commit(&commit(n)).await.unwrap() else {
                panic!("operation {n} was not committed")
            };
            (record.nonce().unwrap(), record.id)
        });
    }
    let mut bound: Vec<(u64, OperationId)> = racing.join_all().await;
    bound.sort_unstable();
    let nonces: Vec<u64> = bound.iter().map(|(nonce, _)| *nonce).collect();
    assert_eq!(nonces, (0..16).collect::<Vec<u64>>());
    let record = desk.record(3).await;
    assert_eq!(record.id, operation_id(3));
    let nonce = record.nonce().unwrap();
    let holder = desk.ledger.holder(record.chain(), record.wallet(), nonce).await.unwrap();
    assert_eq!(holder, Some(record.id));
}
