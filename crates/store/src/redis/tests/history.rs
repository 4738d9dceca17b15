//! A store that does not go on from where this gateway saw it last, and one whose clock is wrong.

use std::{
    fs,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
};

use countersign_core::time::{Millis, Timestamp};
use countersign_engine::port::{
    Ledger,
    alarm::{Alarm, Bell},
    ledger::{CommitAnswer, InitAnswer, LedgerError, ReserveAnswer, SentOutcome},
};
use countersign_testkit::{
    ManualTime,
    fixture::{commit, operation_id, reserve, rolling, settle},
    redis_server::RedisServer,
    suite::Desk,
};
use tempfile::TempDir;

use super::bench::{connection, options, wall};
use crate::{
    lineage::{Anchor, Witness},
    redis::{OpenError, RedisStore},
};

/// A gateway on a Redis, and what its store told it.
struct Gateway {
    store: RedisStore,
    told: Arc<Mutex<Vec<Alarm>>>,
    time: ManualTime,
}

impl Gateway {
    async fn open(url: &str, known: Option<Anchor>) -> Self {
        Self::at(url, known, ManualTime::default()).await.unwrap()
    }

    async fn at(url: &str, known: Option<Anchor>, time: ManualTime) -> Result<Self, OpenError> {
        let (bell, told) = bell();
        let mut options = options(url);
        options.witness = options.witness.knowing(known).telling(bell);
        let store = RedisStore::open(options, Some(time.source())).await?;
        Ok(Self { store, told, time })
    }

    fn ledger(&self) -> Arc<dyn Ledger> {
        self.store.ledger()
    }

    fn desk(&self) -> Desk {
        Desk { ledger: self.ledger(), time: self.time.clone() }
    }

    /// What was told since the last time.
    fn told(&self) -> Vec<&'static str> {
        self.told.lock().unwrap().drain(..).map(|alarm| alarm.code()).collect()
    }

    async fn sealed(&self) -> bool {
        self.ledger().describe().await.unwrap().sealed.is_some()
    }
}

fn bell() -> (Bell, Arc<Mutex<Vec<Alarm>>>) {
    let told = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&told);
    (Arc::new(move |alarm| heard.lock().unwrap().push(alarm)), told)
}

async fn raw<T: redis::FromRedisValue>(url: &str, command: &[&str]) -> T {
    let mut connection = connection(url).await;
    let mut built = redis::cmd(command[0]);
    built.arg(&command[1..]).query_async(&mut connection).await.unwrap()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn put_back(from: &Path, to: &Path) {
    for entry in fs::read_dir(to).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            fs::remove_dir_all(path).unwrap();
        } else {
            fs::remove_file(path).unwrap();
        }
    }
    copy(from, to);
}

/// History is missing: no commit, one alarm, and what is signed goes on.
async fn holds_still(gateway: &Gateway, signed: u64, free: u64) {
    let desk = gateway.desk();
    desk.reserved(free, vec![]).await;
    let answer = gateway.ledger().commit(&commit(free)).await.unwrap();
    assert!(
        matches!(&answer, CommitAnswer::Sealed(why) if why.contains("history is lost")),
        "{answer:?}"
    );
    assert_eq!(gateway.told(), ["history_lost"], "once");
    let id = operation_id(signed);
    let sent = gateway.ledger().sent(id, 0, &SentOutcome::Accepted).await.unwrap();
    gateway.ledger().settle(&settle(&sent, vec![])).await.unwrap();
    let status = gateway.ledger().describe().await.unwrap();
    assert!(
        status.sealed.is_some() && status.missing.is_some() && status.lost.is_none(),
        "{status:?}"
    );
    assert_eq!(gateway.told(), [""; 0]);
}

#[tokio::test]
async fn a_gateway_goes_on_where_it_left_off_and_says_nothing() {
    let server = RedisServer::start().await;
    let first = Gateway::open(&server.url(), None).await;
    first.desk().settled(1, vec![rolling("day", 10, 100)]).await;
    let seen = first.store.anchor().unwrap();
    assert_eq!(seen.sequence, first.desk().sequence().await);
    let other = Gateway::open(&server.url(), None).await;
    other.desk().settled(2, vec![rolling("day", 10, 100)]).await;
    let again = Gateway::open(&server.url(), Some(seen.clone())).await;
    again.desk().settled(3, vec![]).await;
    first.desk().settled(4, vec![]).await;
    for gateway in [&first, &other, &again] {
        assert_eq!(gateway.told(), [""; 0]);
        assert!(!gateway.sealed().await);
        assert!(gateway.store.anchor().unwrap().sequence > seen.sequence);
    }
    let name_only = Gateway::open(&server.url(), Some(Anchor::of(seen.ledger_id))).await;
    assert_eq!(name_only.told(), [""; 0], "of an older version of the state file");
    assert!(!name_only.sealed().await);
}

#[tokio::test]
async fn a_flushed_store_is_neither_written_nor_believed() {
    let server = RedisServer::start().await;
    let gateway = Gateway::open(&server.url(), None).await;
    gateway.desk().settled(1, vec![rolling("day", 100, 100)]).await;
    let seen = gateway.store.anchor();
    raw::<()>(&server.url(), &["FLUSHALL"]).await;
    let ledger = gateway.ledger();
    let asked = ledger.reserve(&reserve(2, vec![rolling("day", 100, 100)])).await;
    assert!(
        matches!(&asked, Err(LedgerError::Lost(why)) if why.contains("the store is empty")),
        "{asked:?}"
    );
    assert_eq!(gateway.told(), ["history_lost"], "on that call");
    for answer in [ledger.present("gateway", Millis(1000)).await, ledger.seal("test").await] {
        assert!(matches!(answer, Err(LedgerError::Lost(_))), "{answer:?}");
    }
    assert!(ledger.status(&[rolling("day", 0, 100)], None).await.is_err());
    assert!(ledger.audit().await.is_err());
    let status = ledger.describe().await.unwrap();
    assert!(status.lost.is_some() && status.sealed.is_some(), "{status:?}");
    assert_eq!(status.sequence, seen.as_ref().unwrap().sequence, "what was known");
    let restarted = Gateway::open(&server.url(), seen.clone()).await;
    assert_eq!(restarted.told(), ["history_lost"]);
    assert_eq!(restarted.store.anchor(), seen);
    assert!(matches!(ledger.now().await, Err(LedgerError::Lost(_))));
    assert_eq!(gateway.told(), [""; 0], "once");
    assert_eq!(raw::<u64>(&server.url(), &["DBSIZE"]).await, 0, "the empty store was written");
}

#[tokio::test]
async fn another_database_or_another_ledger_is_not_the_one_that_was_seen() {
    let server = RedisServer::start().await;
    let seen = Gateway::open(&server.url(), None).await.store.anchor();
    let elsewhere = format!("{}/1", server.url());
    let gateway = Gateway::open(&elsewhere, seen.clone()).await;
    assert_eq!(gateway.told(), ["history_lost"]);
    assert_eq!(raw::<u64>(&elsewhere, &["DBSIZE"]).await, 0);
    // somebody who knew of nothing begins there
    Gateway::open(&elsewhere, None).await;
    let answer = gateway.ledger().now().await;
    assert!(
        matches!(&answer, Err(LedgerError::Lost(why)) if why.contains("holds the ledger")),
        "{answer:?}"
    );
    assert_eq!(gateway.ledger().init().await, Ok(InitAnswer::NotEmpty));
}

#[tokio::test]
async fn a_new_ledger_in_an_empty_store_is_sealed_and_every_gateway_takes_it() {
    let server = RedisServer::start().await;
    let one = Gateway::open(&server.url(), None).await;
    let other = Gateway::open(&server.url(), None).await;
    one.desk().settled(1, vec![]).await;
    other.ledger().now().await.unwrap();
    assert_eq!(one.ledger().init().await, Ok(InitAnswer::NotEmpty), "there is a ledger");
    let before = one.store.anchor().unwrap().ledger_id;
    raw::<()>(&server.url(), &["FLUSHALL"]).await;
    assert!(other.ledger().now().await.is_err());
    assert_eq!(one.ledger().init().await, Ok(InitAnswer::Made));
    assert_eq!(one.ledger().init().await, Ok(InitAnswer::NotEmpty));
    let status = one.ledger().describe().await.unwrap();
    assert_ne!(status.ledger_id, before);
    assert!(status.lost.is_none());
    assert!(status.sealed.unwrap().contains(&before), "sealed from birth, and says why");
    one.desk().reserved(2, vec![]).await;
    let answer = one.ledger().commit(&commit(2)).await.unwrap();
    assert!(matches!(answer, CommitAnswer::Sealed(_)), "{answer:?}");
    other.desk().reserved(3, vec![]).await;
    assert_eq!(other.store.anchor().unwrap().ledger_id, status.ledger_id);
    one.ledger().unseal().await.unwrap();
    other.desk().committed(4, vec![]).await;
    assert_eq!(other.told(), ["history_lost"], "while it was empty");
}

#[tokio::test]
async fn an_empty_store_that_holds_parts_of_a_ledger_is_not_begun_anew() {
    let server = RedisServer::start().await;
    Gateway::open(&server.url(), None).await.desk().settled(1, vec![]).await;
    raw::<()>(&server.url(), &["DEL", "countersign:{main}:meta"]).await;
    let refused = Gateway::at(&server.url(), None, ManualTime::default()).await.err().unwrap();
    assert!(matches!(refused, OpenError::Ledger(LedgerError::Lost(_))), "{refused:?}");
}

#[tokio::test]
async fn yesterdays_dump_is_sealed_and_a_person_may_accept_it() {
    let mut server = RedisServer::start().await;
    let yesterday = TempDir::new().unwrap();
    let gateway = Gateway::open(&server.url(), None).await;
    let behind = Gateway::open(&server.url(), None).await;
    gateway.desk().signed(1, vec![]).await;
    behind.ledger().now().await.unwrap();
    server.down().await;
    copy(server.folder(), yesterday.path());
    server.up().await;
    gateway.desk().settled(2, vec![rolling("day", 100, 100)]).await;
    let seen = gateway.store.anchor().unwrap();
    server.down().await;
    put_back(yesterday.path(), server.folder());
    server.up().await;

    holds_still(&gateway, 1, 3).await;
    assert_eq!(gateway.store.anchor(), Some(seen.clone()), "what was seen stays seen");
    let restarted = Gateway::open(&server.url(), Some(seen)).await;
    assert_eq!(restarted.told(), ["history_lost"]);
    // who had not seen more finds the seal and nothing else wrong
    let answer = behind.ledger().commit(&commit(3)).await.unwrap();
    assert!(matches!(answer, CommitAnswer::Sealed(_)), "{answer:?}");
    assert_eq!(behind.told(), [""; 0]);
    assert!(behind.ledger().describe().await.unwrap().missing.is_some());

    behind.ledger().unseal().await.unwrap();
    for gateway in [&behind, &gateway, &restarted] {
        let status = gateway.ledger().describe().await.unwrap();
        assert_eq!((status.sealed, status.missing, status.epoch), (None, None, 1));
        assert_eq!(gateway.store.anchor().unwrap().epoch, 1);
        assert_eq!(gateway.told(), [""; 0]);
    }
    gateway.desk().committed(4, vec![]).await;

    // the same dump again: what was accepted is in none of it
    server.down().await;
    put_back(yesterday.path(), server.folder());
    server.up().await;
    holds_still(&restarted, 1, 5).await;
    restarted.ledger().unseal().await.unwrap();
    assert_eq!(restarted.ledger().describe().await.unwrap().epoch, 2, "above any that was seen");
    assert!(!gateway.sealed().await);
    assert_eq!(gateway.told(), ["history_lost"; 0], "accepted before it looked");
}

#[tokio::test]
async fn a_truncated_log_file_is_noticed_by_the_first_look() {
    let mut server = RedisServer::start().await;
    let gateway = Gateway::open(&server.url(), None).await;
    gateway.desk().settled(1, vec![]).await;
    server.down().await;
    let folder = server.folder().join("appendonlydir");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let log = files.into_iter().find(|path| path.to_string_lossy().ends_with(".incr.aof")).unwrap();
    let length = fs::metadata(&log).unwrap().len();
    fs::OpenOptions::new().write(true).open(&log).unwrap().set_len(length - 400).unwrap();
    server.up().await;
    // what only looks cannot seal by itself
    assert!(gateway.ledger().operation(operation_id(9)).await.unwrap().is_none());
    assert_eq!(gateway.told(), ["history_lost"]);
    let sealed: Option<String> =
        raw(&server.url(), &["HGET", "countersign:{main}:meta", "sealed"]).await;
    assert!(sealed.unwrap().contains("history is lost"));
}

#[tokio::test]
async fn a_replica_that_stood_still_and_was_promoted_is_sealed() {
    let primary = RedisServer::start().await;
    let port = primary.address().port().to_string();
    raw::<()>(&primary.url(), &["CONFIG", "SET", "repl-diskless-sync-delay", "0"]).await;
    let replica = RedisServer::start_with(&["--replicaof", "127.0.0.1", &port]).await;
    let gateway = Gateway::open(&primary.url(), None).await;
    gateway.desk().signed(1, vec![]).await;
    let key = format!("countersign:{{main}}:operation:{}", operation_id(1));
    while raw::<Option<String>>(&replica.url(), &["HGET", &key, "state"]).await.as_deref()
        != Some("SIGNED")
    {
        tokio::task::yield_now().await;
    }
    // cut off; nothing of what follows reaches it
    raw::<()>(&replica.url(), &["REPLICAOF", "127.0.0.1", "1"]).await;
    gateway.desk().settled(2, vec![]).await;
    raw::<()>(&replica.url(), &["REPLICAOF", "NO", "ONE"]).await;
    let switched = Gateway::open(&replica.url(), gateway.store.anchor()).await;
    assert!(switched.sealed().await);
    let told = switched.told.lock().unwrap().clone();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].code(), "history_lost");
    switched.told();
    switched.desk().reserved(3, vec![]).await;
    let answer = switched.ledger().commit(&commit(3)).await.unwrap();
    assert!(matches!(answer, CommitAnswer::Sealed(_)), "{answer:?}");
    let sent = switched.ledger().sent(operation_id(1), 0, &SentOutcome::Accepted).await.unwrap();
    switched.ledger().settle(&settle(&sent, vec![])).await.unwrap();
}

/// A gateway whose own clock is so far from the machine's, which is the server's.
async fn shifted(url: &str, by: &Arc<AtomicI64>) -> (RedisStore, Arc<Mutex<Vec<Alarm>>>) {
    let (bell, told) = bell();
    let by = Arc::clone(by);
    let clock = move || {
        let shifted = wall().millis().checked_add_signed(by.load(Ordering::SeqCst));
        Timestamp::from_millis(shifted.unwrap())
    };
    let mut options = options(url);
    options.witness = Witness::new(Arc::new(clock)).telling(bell);
    (RedisStore::connect(options).await.unwrap(), told)
}

#[tokio::test]
async fn clocks_that_disagree_stop_every_write_but_a_stop_and_free_no_window() {
    let server = RedisServer::start().await;
    let by = Arc::new(AtomicI64::new(0));
    let (store, told) = shifted(&server.url(), &by).await;
    let ledger = store.ledger();
    let codes = || -> Vec<_> { told.lock().unwrap().drain(..).map(|alarm| alarm.code()).collect() };
    ledger.reserve(&reserve(1, vec![rolling("day", 60, 100)])).await.unwrap();
    let key = "countersign:{main}:clock";
    for off in [-3_600_000, 3_600_000, 10_000, -6_000] {
        let (time, log): (String, u64) =
            (raw(&server.url(), &["GET", key]).await, ledger.describe().await.unwrap().sequence);
        by.store(off, Ordering::SeqCst);
        for n in 2..4 {
            let answer = ledger.reserve(&reserve(n, vec![])).await;
            assert!(matches!(answer, Err(LedgerError::Clock(_))), "{off}: {answer:?}");
        }
        assert!(matches!(ledger.commit(&commit(1)).await, Err(LedgerError::Clock(_))), "{off}");
        assert!(matches!(ledger.now().await, Err(LedgerError::Clock(_))), "{off}");
        assert_eq!(codes(), ["clocks_disagree"], "{off}: once");
        let status = ledger.describe().await.unwrap();
        assert!(!status.clocks.unwrap().agree(), "{off}");
        assert_eq!(
            (raw::<String>(&server.url(), &["GET", key]).await, status.sequence),
            (time, log)
        );
        // reading goes on at the time that stands
        let reading = ledger.status(&[rolling("day", 0, 100)], None).await.unwrap();
        assert_eq!(reading[0].reserved, 60);
        ledger.seal(&format!("off by {off}")).await.unwrap();
        assert_eq!(raw::<String>(&server.url(), &["GET", key]).await, {
            by.store(0, Ordering::SeqCst);
            raw::<String>(&server.url(), &["GET", key]).await
        });
        ledger.unseal().await.unwrap();
        assert!(ledger.describe().await.unwrap().clocks.unwrap().agree());
        assert_eq!(codes(), [""; 0], "it heals by itself");
    }
    by.store(4_000, Ordering::SeqCst);
    let near = ledger.reserve(&reserve(9, vec![])).await;
    assert!(matches!(near, Ok(ReserveAnswer::Reserved(_))), "{near:?}");
}

#[tokio::test]
async fn what_replicas_have_not_acknowledged_is_no_history_yet() {
    let server = RedisServer::start().await;
    let mut wanting = options(&server.url());
    wanting.acknowledge_replicas = 1;
    wanting.witness =
        wanting.witness.knowing(Gateway::open(&server.url(), None).await.store.anchor());
    let known = wanting.witness.known.clone();
    let port = server.address().port().to_string();
    raw::<()>(&server.url(), &["CONFIG", "SET", "repl-diskless-sync-delay", "0"]).await;
    let replica = RedisServer::start_with(&["--replicaof", "127.0.0.1", &port]).await;
    while !raw::<String>(&server.url(), &["INFO", "replication"]).await.contains("state=online") {
        tokio::task::yield_now().await;
    }
    let time = ManualTime::default();
    let store = RedisStore::open(wanting, Some(time.source())).await.unwrap();
    let desk = Desk { ledger: store.ledger(), time };
    desk.reserved(1, vec![]).await;
    let acknowledged = store.anchor();
    assert_ne!(acknowledged, known);
    raw::<()>(&replica.url(), &["REPLICAOF", "NO", "ONE"]).await;
    let answer = store.ledger().commit(&commit(1)).await;
    assert!(matches!(answer, Err(LedgerError::Ambiguous(_))), "{answer:?}");
    store.ledger().operation(operation_id(1)).await.unwrap();
    assert_eq!(store.anchor(), acknowledged);
}
