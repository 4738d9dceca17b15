//! A write counts when every replica that the options name has it.

use std::time::Duration;

use countersign_core::time::Millis;
use countersign_engine::port::ledger::{LedgerError, ReserveAnswer};
use countersign_testkit::{
    fixture::{operation_id, reserve, rolling},
    redis_server::RedisServer,
    suite::Desk,
};
use tokio::{task::JoinSet, time::Instant};

use super::{
    bench::{RedisBench, connection, options},
    proxy::{Fault, proxy},
};
use crate::redis::{OpenError, RedisStore};

/// A gateway's store that wants one replica's acknowledgement.
async fn acknowledged(bench: &RedisBench, url: &str) -> RedisStore {
    acknowledged_within(bench, url, options(url).deadline).await
}

async fn acknowledged_within(bench: &RedisBench, url: &str, deadline: Millis) -> RedisStore {
    let mut options = options(url);
    (options.acknowledge_replicas, options.deadline) = (1, deadline);
    RedisStore::open(options, Some(bench.time.source())).await.unwrap()
}

#[tokio::test]
async fn a_write_that_was_answered_is_on_the_replica() {
    let bench = RedisBench::make().await;
    let replica = bench.server.replica().await;
    let store = acknowledged(&bench, &bench.server.url()).await;
    let mut there = connection(&replica.url()).await;
    for n in 1..=8 {
        store.ledger().reserve(&reserve(n, vec![])).await.unwrap();
        let key = format!("countersign:{{main}}:operation:{}", operation_id(n));
        let found: u32 = redis::cmd("EXISTS").arg(key).query_async(&mut there).await.unwrap();
        assert_eq!(found, 1, "operation {n}");
    }
}

#[tokio::test]
async fn a_write_whose_connection_ends_before_the_acknowledgement_is_ambiguous() {
    let bench = RedisBench::make().await;
    let _replica = bench.server.replica().await;
    let desk = Desk::at(&bench).await;
    // so that Redis knows the script: the connection must end behind a write
    desk.reserved(2, vec![]).await;
    let url = proxy(bench.server.address(), Fault::End, "=plan_digest").await;
    let store = acknowledged(&bench, &url).await;
    let ask = reserve(1, vec![rolling("day", 70, 100)]);
    // another connection would tell at once that the replica has all that it never wrote
    let lost = store.ledger().reserve(&ask).await;
    assert!(matches!(lost, Err(LedgerError::Ambiguous(_))), "{lost:?}");
    assert!(desk.ledger.operation(operation_id(1)).await.unwrap().is_some(), "it was written");
    // the next call goes over a new connection
    store.ledger().now().await.unwrap();

    let direct = acknowledged(&bench, &bench.server.url()).await;
    let again = direct.ledger().reserve(&ask).await.unwrap();
    assert!(matches!(again, ReserveAnswer::Reserved(_)), "{again:?}");
    assert_eq!(desk.counts(&rolling("day", 0, 100)).await, [70, 0, 0]);
}

#[tokio::test]
async fn a_replica_that_does_not_acknowledge_makes_a_write_ambiguous() {
    let server = RedisServer::start().await;
    let mut wanting = options(&server.url());
    (wanting.acknowledge_replicas, wanting.deadline) = (1, Millis(300));
    let refused = RedisStore::connect(wanting).await.unwrap_err();
    assert!(matches!(refused, OpenError::Ledger(LedgerError::Ambiguous(_))), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_waits_for_its_replica_holds_up_neither_readers_nor_other_writers() {
    let bench = RedisBench::make().await;
    let replica = bench.server.replica().await;
    let deadline = Millis(4000);
    let store = acknowledged_within(&bench, &bench.server.url(), deadline).await;
    let ledger = store.ledger();
    ledger.reserve(&reserve(0, vec![])).await.unwrap();
    replica.freeze().await;

    let begun = Instant::now();
    let mut writing = JoinSet::new();
    for n in 1..=12 {
        let ledger = store.ledger();
        writing.spawn(async move { ledger.reserve(&reserve(n, vec![])).await });
    }
    // readers see each write at once, long before any is acknowledged
    for n in 1..=12 {
        while ledger.operation(operation_id(n)).await.unwrap().is_none() {}
    }
    let read = begun.elapsed();
    assert!(read < Duration::from_millis(deadline.0 / 2), "readers waited {read:?}");
    for answer in writing.join_all().await {
        assert!(matches!(answer, Err(LedgerError::Ambiguous(_))), "{answer:?}");
    }
    let all = begun.elapsed();
    assert!(all < Duration::from_millis(deadline.0 * 3 / 2), "writers waited for each other");

    replica.thaw().await;
    ledger.reserve(&reserve(13, vec![])).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_writers_than_connections_wait_in_turn_and_all_are_acknowledged() {
    let bench = RedisBench::make().await;
    let replica = bench.server.replica().await;
    let store = acknowledged_within(&bench, &bench.server.url(), Millis(30_000)).await;
    let begun = Instant::now();
    let mut writing = JoinSet::new();
    for n in 0..200 {
        let ledger = store.ledger();
        writing.spawn(async move {
            let answer = ledger.reserve(&reserve(n, vec![rolling("day", 1, 1000)])).await.unwrap();
            assert!(matches!(answer, ReserveAnswer::Reserved(_)), "{answer:?}");
        });
    }
    writing.join_all().await;
    println!("200 acknowledged writes in {:?}", begun.elapsed());
    let key = "countersign:{main}:operations";
    assert_eq!(replica.tell(&["ZCARD", key]).await, ":200\r\n");
    let clients = bench.server.tell(&["INFO", "clients"]).await;
    let connected = clients.lines().find_map(|line| line.strip_prefix("connected_clients:"));
    // the pool's, the shared ones of both stores, and the one that asks
    assert!(connected.unwrap().parse::<u32>().unwrap() <= 16 + 3, "{clients}");
}
