//! Redis goes away and comes back; nobody but the next call has to notice.

use std::time::Duration;

use countersign_core::time::Millis;
use countersign_engine::port::{
    journal::{JournalError, TraceQuery},
    ledger::{LedgerError, ReserveAnswer},
};
use countersign_testkit::{
    fixture::{operation_id, reserve, rolling},
    suite::{Desk, LedgerBench, journal::decided},
};
use tokio::{net::TcpListener, task::JoinSet};

use super::{
    bench::{RedisBench, open, options},
    proxy::{Fault, proxy},
};
use crate::redis::{OpenError, RedisStore};

#[tokio::test]
async fn the_store_is_unavailable_while_redis_is_down_and_works_when_it_is_back() {
    let mut bench = RedisBench::make().await;
    let (ledger, journal) = (bench.ledger(), bench.store.journal());
    let desk = Desk::at(&bench).await;
    desk.settled(1, vec![rolling("day", 100, 1000)]).await;
    desk.reserved(2, vec![rolling("day", 50, 1000)]).await;
    let before = [desk.record(1).await, desk.record(2).await];
    let log = desk.sequence().await;

    bench.server.down().await;
    let down = ledger.reserve(&reserve(3, vec![])).await;
    // where the end of the connection was noticed, it is certain that nothing was sent
    assert!(
        matches!(down, Err(LedgerError::Unavailable(_) | LedgerError::Ambiguous(_))),
        "{down:?}"
    );
    let still = ledger.reserve(&reserve(3, vec![])).await;
    assert!(matches!(still, Err(LedgerError::Unavailable(_))), "{still:?}");
    let traces = journal.traces(&TraceQuery::default()).await;
    assert!(matches!(traces, Err(JournalError::Unavailable(_))), "{traces:?}");

    bench.server.up().await;
    assert_eq!(desk.counts(&rolling("day", 0, 1000)).await, [50, 0, 100]);
    assert_eq!([desk.record(1).await, desk.record(2).await], before);
    assert_eq!(desk.sequence().await, log);
    assert_eq!(ledger.operation(operation_id(3)).await.unwrap(), None);
    desk.reserved(3, vec![rolling("day", 850, 1000)]).await;
}

#[tokio::test]
async fn scripts_that_redis_forgot_are_sent_again() {
    let bench = RedisBench::make().await;
    let desk = Desk::at(&bench).await;
    desk.reserved(1, vec![rolling("day", 10, 100)]).await;
    let mut flush = redis::cmd("SCRIPT");
    flush.arg("FLUSH").query_async::<()>(&mut bench.raw().await).await.unwrap();
    desk.settled(2, vec![rolling("day", 10, 100)]).await;
    assert_eq!(desk.counts(&rolling("day", 0, 100)).await, [10, 0, 10]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_is_lost_is_ambiguous_and_asking_again_charges_once() {
    let bench = RedisBench::make().await;
    let desk = Desk::at(&bench).await;
    // so that Redis knows the scripts: the proxy must swallow an answer, not "no such script"
    desk.reserved(2, vec![]).await;
    desk.record(2).await;
    let url = proxy(bench.server.address(), Fault::Swallow, "=plan_digest").await;
    let mut lossy = options(&url);
    lossy.deadline = Millis(300);
    let lossy = RedisStore::open(lossy, Some(bench.time.source())).await.unwrap();
    let ask = reserve(1, vec![rolling("day", 70, 100)]);
    let lost = lossy.ledger().reserve(&ask).await;
    assert!(matches!(lost, Err(LedgerError::Ambiguous(_))), "{lost:?}");
    // reads go on over a new connection
    assert!(lossy.ledger().operation(operation_id(1)).await.unwrap().is_some());

    let again = bench.ledger().reserve(&ask).await.unwrap();
    assert!(matches!(again, ReserveAnswer::Reserved(_)), "{again:?}");
    assert_eq!(desk.counts(&rolling("day", 0, 100)).await, [70, 0, 0]);
}

#[tokio::test]
async fn a_server_that_never_answers_is_unavailable_within_the_deadline() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut silent = options(&format!("redis://{}", listener.local_addr().unwrap()));
    silent.deadline = Millis(200);
    let opened = tokio::time::timeout(Duration::from_secs(5), RedisStore::connect(silent)).await;
    let refused = opened.expect("the deadline holds").unwrap_err();
    assert!(matches!(refused, OpenError::Ledger(LedgerError::Unavailable(_))), "{refused:?}");
}

/// One after another they would take as many deadlines as they are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_of_entries_behind_a_silent_server_does_not_wait_for_each_others_deadlines() {
    let bench = RedisBench::make().await;
    let mut hasty = options(&bench.server.url());
    hasty.deadline = Millis(500);
    let hasty = RedisStore::open(hasty, Some(bench.time.source())).await.unwrap();
    hasty.journal().record(&decided(0)).await.unwrap();
    let mut pause = redis::cmd("CLIENT");
    pause.arg("PAUSE").arg(3_600_000).query_async::<()>(&mut bench.raw().await).await.unwrap();
    let mut crowd = JoinSet::new();
    for n in 1..=40 {
        let journal = hasty.journal();
        crowd.spawn(async move { journal.record(&decided(n)).await });
    }
    let all = tokio::time::timeout(Duration::from_secs(10), crowd.join_all()).await;
    for answer in all.expect("half of their deadlines") {
        assert!(matches!(answer, Err(JournalError::Unavailable(_))), "{answer:?}");
    }
}

#[tokio::test]
async fn memory_that_is_full_refuses_writes_and_goes_on_reading() {
    let bench = RedisBench::make().await;
    let desk = Desk::at(&bench).await;
    desk.reserved(1, vec![rolling("day", 10, 100)]).await;
    set(&bench, "maxmemory", "1").await;
    let full = bench.ledger().reserve(&reserve(2, vec![])).await;
    assert!(matches!(full, Err(LedgerError::Unavailable(_))), "{full:?}");
    assert_eq!(desk.counts(&rolling("day", 0, 100)).await, [10, 0, 0]);
    assert_eq!(bench.ledger().operation(operation_id(2)).await.unwrap(), None);
    set(&bench, "maxmemory", "0").await;
    desk.reserved(2, vec![]).await;
}

#[tokio::test]
async fn a_server_that_became_a_replica_takes_no_write_and_is_left() {
    let bench = RedisBench::make().await;
    let desk = Desk::at(&bench).await;
    desk.reserved(1, vec![]).await;
    let mut demote = redis::cmd("REPLICAOF");
    demote.arg("127.0.0.1").arg("1").query_async::<()>(&mut bench.raw().await).await.unwrap();
    let refused = bench.ledger().reserve(&reserve(2, vec![])).await;
    assert!(matches!(refused, Err(LedgerError::Unavailable(_))), "{refused:?}");
    let read = bench.ledger().operation(operation_id(1)).await;
    assert!(
        matches!(read, Err(LedgerError::Unavailable(_))),
        "money read from a replica: {read:?}"
    );
    let mut promote = redis::cmd("REPLICAOF");
    promote.arg("NO").arg("ONE").query_async::<()>(&mut bench.raw().await).await.unwrap();
    desk.reserved(2, vec![]).await;
}

#[tokio::test]
async fn the_clock_never_steps_back_for_any_gateway() {
    let bench = RedisBench::make().await;
    let desk = Desk::at(&bench).await;
    let late = desk.now().await;
    bench.time.set(late.before(Millis(3_600_000)));
    assert_eq!(desk.now().await, late);
    let other = open(&bench.server.url(), &bench.time).await.unwrap();
    assert_eq!(other.ledger().now().await.unwrap(), late);
    assert_eq!(desk.reserved(1, vec![]).await.created_at, late);
}

async fn set(bench: &RedisBench, name: &str, value: &str) {
    let mut config = redis::cmd("CONFIG");
    config.arg("SET").arg(name).arg(value);
    config.query_async::<()>(&mut bench.raw().await).await.unwrap();
}
