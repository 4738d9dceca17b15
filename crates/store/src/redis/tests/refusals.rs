//! What a server refuses, for each reason that can be provoked: nothing was done, and it works again afterwards.

use std::{
    fs,
    sync::{Arc, Mutex},
};

use countersign_core::time::Millis;
use countersign_engine::port::{Ledger, alarm::Bell, ledger::LedgerError};
use countersign_testkit::{
    fixture::{operation_id, reserve, rolling},
    redis_server::{RedisServer, eventually},
    suite::{Desk, LedgerBench},
};
use secrecy::SecretString;

use super::bench::{RedisBench, open, options};
use crate::redis::{OpenError, RedisAddress, RedisStore, WeakStore};

/// A write that is refused with these words; it can be made once they hold no more.
async fn refused(ledger: &dyn Ledger, n: u64, words: &str) {
    let answer = ledger.reserve(&reserve(n, vec![rolling("day", 10, 100)])).await;
    assert!(
        matches!(&answer, Err(LedgerError::Unavailable(why)) if why.contains(words)),
        "{words}: {answer:?}"
    );
}

/// A bell, and the codes of what it told.
fn listener() -> (Bell, Arc<Mutex<Vec<&'static str>>>) {
    let told = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&told);
    (Arc::new(move |alarm| heard.lock().unwrap().push(alarm.code())), told)
}

async fn ok(server: &RedisServer, words: &[&str]) {
    let answer = server.tell(words).await;
    assert_eq!(answer, "+OK\r\n", "{words:?}");
}

#[tokio::test]
async fn a_disk_that_takes_no_snapshot_refuses_writes_and_goes_on_reading() {
    let bench = RedisBench::make().await;
    let desk = Desk::at(&bench).await;
    desk.reserved(1, vec![rolling("day", 10, 100)]).await;
    // where the snapshot should go there is a folder
    fs::create_dir(bench.server.folder().join("dump.rdb")).unwrap();
    ok(&bench.server, &["CONFIG", "SET", "save", "3600 1"]).await;
    bench.server.tell(&["BGSAVE"]).await;
    eventually("the snapshot to fail", async || {
        bench.server.tell(&["INFO", "persistence"]).await.contains("rdb_last_bgsave_status:err")
    })
    .await;
    refused(&*bench.ledger(), 2, "MISCONF").await;
    assert_eq!(desk.counts(&rolling("day", 0, 100)).await, [10, 0, 0]);
    assert_eq!(bench.ledger().operation(operation_id(2)).await.unwrap(), None);
    ok(&bench.server, &["CONFIG", "SET", "save", ""]).await;
    desk.reserved(2, vec![rolling("day", 10, 100)]).await;
}

#[tokio::test]
async fn a_master_without_its_replicas_refuses_writes() {
    let bench = RedisBench::make().await;
    let desk = Desk::at(&bench).await;
    ok(&bench.server, &["CONFIG", "SET", "min-replicas-to-write", "1"]).await;
    refused(&*bench.ledger(), 1, "NOREPLICAS").await;
    assert_eq!(bench.ledger().operation(operation_id(1)).await.unwrap(), None);
    ok(&bench.server, &["CONFIG", "SET", "min-replicas-to-write", "0"]).await;
    desk.reserved(1, vec![]).await;
}

#[tokio::test]
async fn a_server_that_is_busy_with_anothers_script_refuses_everything() {
    let bench = RedisBench::make().await;
    let desk = Desk::at(&bench).await;
    ok(&bench.server, &["CONFIG", "SET", "busy-reply-threshold", "50"]).await;
    let slow = redis::cmd("EVAL").arg("while true do end").arg(0).to_owned();
    let mut stranger = bench.raw().await;
    let slow = tokio::spawn(async move { slow.query_async::<()>(&mut stranger).await });
    eventually("the server to be busy", async || {
        bench.server.tell(&["PING"]).await.starts_with("-BUSY")
    })
    .await;
    refused(&*bench.ledger(), 1, "BUSY").await;
    let read = bench.ledger().operation(operation_id(1)).await;
    assert!(matches!(read, Err(LedgerError::Unavailable(_))), "{read:?}");
    ok(&bench.server, &["SCRIPT", "KILL"]).await;
    assert!(slow.await.unwrap().is_err());
    desk.reserved(1, vec![]).await;
}

#[tokio::test]
async fn a_server_that_is_loading_is_waited_for_by_nobody_and_used_when_it_has_loaded() {
    let slow = ["--appendonly", "yes", "--appendfsync", "always", "--key-load-delay", "30"];
    let mut server = RedisServer::start_with(&slow).await;
    let time = countersign_testkit::ManualTime::default();
    let desk = Desk { ledger: open(&server.url(), &time).await.unwrap().ledger(), time };
    desk.reserved(1, vec![rolling("day", 10, 100)]).await;
    let many = "for i = 1, 20000 do redis.call('SET', 'other:' .. i, i) end return redis.status_reply('OK')";
    ok(&server, &["EVAL", many, "0"]).await;
    server.down().await;
    server.launch();
    let told = Mutex::new(String::new());
    eventually("the server to have loaded", async || {
        match desk.ledger.operation(operation_id(1)).await {
            Ok(found) => found.is_some(),
            Err(LedgerError::Unavailable(why)) => {
                told.lock().unwrap().push_str(&why);
                false
            }
            Err(other) => panic!("{other:?}"),
        }
    })
    .await;
    assert!(told.lock().unwrap().contains("LOADING"), "{told:?}");
    desk.reserved(2, vec![rolling("day", 10, 100)]).await;
}

#[tokio::test]
async fn rights_and_users_that_are_taken_away_stop_everything_until_they_are_back() {
    let bench = RedisBench::make().await;
    let user =
        ["ACL", "SETUSER", "gateway", "reset", "on", ">pass-word", "~countersign:*", "+@all"];
    ok(&bench.server, &user).await;
    let url = format!("redis://gateway:pass-word@{}", bench.server.address());
    let (bell, told) = listener();
    let mut watched = options(&url);
    watched.witness = watched.witness.telling(bell);
    let store = RedisStore::open(watched, Some(bench.time.source())).await.unwrap();
    let desk = Desk { ledger: store.ledger(), time: bench.time.clone() };
    desk.reserved(1, vec![rolling("day", 10, 100)]).await;

    for (rights, words) in [(&["-evalsha", "-eval"][..], "NOPERM"), (&["resetkeys"], "NOPERM")] {
        ok(&bench.server, &[&["ACL", "SETUSER", "gateway"], rights].concat()).await;
        refused(&*desk.ledger, 2, words).await;
        let read = desk.ledger.operation(operation_id(1)).await;
        assert!(matches!(read, Err(LedgerError::Unavailable(_))), "{read:?}");
        ok(&bench.server, &user).await;
        assert_eq!(desk.counts(&rolling("day", 0, 100)).await, [10, 0, 0]);
    }

    // this ends the connection too
    assert_eq!(bench.server.tell(&["ACL", "DELUSER", "gateway"]).await, ":1\r\n");
    eventually("the connection to end", async || {
        desk.ledger.operation(operation_id(1)).await.is_err()
    })
    .await;
    refused(&*desk.ledger, 2, "WRONGPASS").await;
    ok(&bench.server, &user).await;
    desk.reserved(2, vec![rolling("day", 10, 100)]).await;
    // once for each time that something was taken away
    assert_eq!(told.lock().unwrap().as_slice(), ["store_refuses"; 3]);
    let shown = format!("{:?}", desk.ledger);
    assert!(!shown.contains("pass-word"), "{shown}");
}

#[tokio::test]
async fn a_user_who_may_not_do_what_scripts_do_is_refused_before_anything_is_written() {
    let bench = RedisBench::make().await;
    for command in ["hset", "zadd", "rpush", "sadd", "hincrby", "exists", "time", "zrem"] {
        let minus = format!("-{command}");
        let user =
            ["ACL", "SETUSER", command, "on", ">pass-word", "~countersign:*", "+@all", &minus];
        ok(&bench.server, &user).await;
        let mut narrow = options("redis://unused");
        let url = format!("redis://{command}:pass-word@{}", bench.server.address());
        narrow.address = RedisAddress::one(SecretString::from(url));
        narrow.app = countersign_core::identity::AppId::parse("narrow").unwrap();
        let refused = RedisStore::connect(narrow).await.unwrap_err();
        let OpenError::Rights(missing) = &refused else { panic!("{command}: {refused:?}") };
        assert_eq!(missing, &command.to_uppercase(), "{refused}");
    }
    let keys = bench.server.tell(&["KEYS", "countersign:{narrow}:*"]).await;
    assert_eq!(keys, "*0\r\n", "something was written");
}

#[tokio::test]
async fn a_store_that_falls_to_a_weaker_class_signs_nothing_new_until_it_is_strong_again() {
    let mut server = RedisServer::start().await;
    let mut strict = options(&server.url());
    let (bell, told) = listener();
    (strict.weak, strict.witness) = (WeakStore::Refused, strict.witness.telling(bell));
    let store = RedisStore::connect(strict).await.unwrap();
    let ledger = store.ledger();
    ledger.reserve(&reserve(1, vec![])).await.unwrap();

    // as after a failover to a server with other settings
    server.down().await;
    server.up_with(&["--appendfsync", "everysec"]).await;
    eventually("the new server to be found", async || {
        ledger.operation(operation_id(1)).await.is_ok()
    })
    .await;
    refused(&*ledger, 2, "class D (appendfsync is `everysec`").await;
    let committed = ledger.commit(&countersign_testkit::fixture::commit(1)).await;
    assert!(matches!(committed, Err(LedgerError::Unavailable(_))), "{committed:?}");
    // what was promised is still tended to
    ledger.present("gateway-1", Millis(1000)).await.unwrap();
    assert_eq!(ledger.describe().await.unwrap().durability, 'D');
    assert_eq!(told.lock().unwrap().as_slice(), ["store_weakened"]);
    // as when a configuration without a mainnet is taken up, and one with a mainnet again
    store.demand(WeakStore::Accepted);
    ledger.reserve(&reserve(3, vec![])).await.unwrap();
    store.demand(WeakStore::Refused);
    refused(&*ledger, 2, "class D").await;

    ok(&server, &["CONFIG", "SET", "appendfsync", "always"]).await;
    assert_eq!(ledger.describe().await.unwrap().durability, 'B');
    ledger.reserve(&reserve(2, vec![])).await.unwrap();

    server.down().await;
    server.up_with(&["--appendfsync", "always", "--maxmemory-policy", "allkeys-lru"]).await;
    eventually("the new server to be found", async || {
        let read = ledger.operation(operation_id(1)).await;
        matches!(read, Err(LedgerError::Unavailable(why)) if why.contains("`allkeys-lru`"))
    })
    .await;
}
