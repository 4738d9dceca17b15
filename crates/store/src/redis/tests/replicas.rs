//! A write counts when every replica that the options name has it.

use countersign_core::time::Millis;
use countersign_engine::port::ledger::{LedgerError, ReserveAnswer};
use countersign_testkit::{
    fixture::{operation_id, reserve, rolling},
    redis_server::RedisServer,
    suite::Desk,
};

use super::{
    bench::{RedisBench, connection, options},
    proxy::{Fault, proxy},
};
use crate::redis::{OpenError, RedisStore};

/// A replica that has caught up.
async fn replica(bench: &RedisBench) -> RedisServer {
    let mut primary = bench.raw().await;
    let at_once = redis::cmd("CONFIG").arg(&["SET", "repl-diskless-sync-delay", "0"]).to_owned();
    at_once.query_async::<()>(&mut primary).await.unwrap();
    let port = bench.server.address().port().to_string();
    let replica = RedisServer::start_with(&["--replicaof", "127.0.0.1", &port]).await;
    let info = redis::cmd("INFO").arg("replication").to_owned();
    while !info.query_async::<String>(&mut primary).await.unwrap().contains("state=online") {
        tokio::task::yield_now().await;
    }
    replica
}

/// A gateway's store that wants one replica's acknowledgement.
async fn acknowledged(bench: &RedisBench, url: &str) -> RedisStore {
    let mut options = options(url);
    options.acknowledge_replicas = 1;
    RedisStore::open(options, Some(bench.time.source())).await.unwrap()
}

#[tokio::test]
async fn a_write_that_was_answered_is_on_the_replica() {
    let bench = RedisBench::make().await;
    let replica = replica(&bench).await;
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
    let _replica = replica(&bench).await;
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
