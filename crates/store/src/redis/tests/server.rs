//! What is asked of a server before it may keep a ledger, and what may lie in it.

use countersign_core::{identity::AppId, operation::Delivery, time::Millis};
use countersign_engine::port::ledger::{LedgerError, OperationQuery, ReserveAnswer};
use countersign_testkit::{
    ManualTime,
    fixture::{HOUR, key, operation, operation_id, reject, reserve, rolling},
    redis_server::{RedisServer, free_address},
    suite::{Desk, LedgerBench},
};

use super::bench::{RedisBench, connection, options};
use crate::redis::{OpenError, RedisStore, Topology};

#[tokio::test]
async fn a_server_that_may_evict_keys_is_refused() {
    for policy in ["allkeys-lru", "volatile-ttl", "allkeys-random"] {
        let server = RedisServer::start_with(&["--maxmemory-policy", policy]).await;
        let refused = RedisStore::connect(options(&server.url())).await.unwrap_err();
        assert_eq!(refused, OpenError::Evicts(policy.into()));
        assert!(refused.to_string().contains("noeviction"), "{refused}");
    }
}

#[tokio::test]
async fn the_class_is_read_from_the_server() {
    let always = ["--appendonly", "yes", "--appendfsync", "always"];
    let everysec = ["--appendonly", "yes", "--appendfsync", "everysec"];
    let cases: [(&[&str], char, &str); 3] = [
        (&always, 'B', "appendfsync always"),
        (&everysec, 'D', "`everysec`"),
        (&["--appendonly", "no"], 'D', "appendonly is off"),
    ];
    for (arguments, class, reason) in cases {
        let server = RedisServer::start_with(arguments).await;
        let store = RedisStore::connect(options(&server.url())).await.unwrap();
        let status = store.ledger().describe().await.unwrap();
        assert_eq!(status.durability, class, "{arguments:?}");
        assert!(status.durability_reason.contains(reason), "{}", status.durability_reason);
    }
}

#[tokio::test]
async fn a_server_that_does_not_tell_its_settings_is_class_d() {
    let server = RedisServer::start().await;
    let mut admin = connection(&server.url()).await;
    let rights = ["gateway", "on", ">pass-word", "~countersign:*", "+@all", "-config"];
    let mut acl = redis::cmd("ACL");
    acl.arg("SETUSER").arg(&rights).query_async::<()>(&mut admin).await.unwrap();
    let url = format!("redis://gateway:pass-word@{}", server.address());
    let store = RedisStore::connect(options(&url)).await.unwrap();
    let status = store.ledger().describe().await.unwrap();
    assert_eq!(status.durability, 'D');
    assert!(status.durability_reason.contains("CONFIG GET is not permitted"), "{status:?}");

    let refuse =
        redis::cmd("CONFIG").arg("SET").arg("maxmemory-policy").arg("allkeys-lru").to_owned();
    refuse.query_async::<()>(&mut admin).await.unwrap();
    let refused = RedisStore::connect(options(&url)).await.unwrap_err();
    assert_eq!(refused, OpenError::Evicts("allkeys-lru".into()), "INFO tells it too");
}

#[tokio::test]
async fn a_wrong_password_is_refused_without_being_shown() {
    let server = RedisServer::start_with(&["--requirepass", "right-password"]).await;
    let url = format!("redis://:wrong-secret@{}", server.address());
    let refused = RedisStore::connect(options(&url)).await.unwrap_err();
    assert!(matches!(refused, OpenError::Ledger(LedgerError::Unavailable(_))), "{refused:?}");
    let shown = format!("{refused} {refused:?} {:?}", options(&url));
    assert!(!shown.contains("wrong-secret"), "{shown}");
    let right = format!("redis://:right-password@{}", server.address());
    let store = RedisStore::connect(options(&right)).await.unwrap();
    assert!(!format!("{store:?}").contains("right-password"));
}

#[tokio::test]
async fn what_is_no_url_is_refused_without_being_shown() {
    for url in ["", "no url with pass-word", "http://u:pass-word@localhost", "redis://:pass-word@"]
    {
        let refused = RedisStore::connect(options(url)).await.unwrap_err();
        assert!(!refused.to_string().contains("pass-word"), "{refused}");
    }
}

#[tokio::test]
async fn every_key_carries_the_apps_hash_tag_and_nothing_of_an_agents_choice() {
    let bench = RedisBench::make().await;
    let desk = Desk::at(&bench).await;
    let mut named = operation(1);
    named.repeat.key = Some(key(1));
    bench.ledger().deny(&named).await.unwrap();
    desk.settled(2, vec![rolling("}:evil{", 10, 100)]).await;
    let keys: Vec<String> =
        redis::cmd("KEYS").arg("*").query_async(&mut bench.raw().await).await.unwrap();
    assert!(keys.len() > 10, "{keys:?}");
    for key in keys {
        let rest = key.strip_prefix("countersign:{main}:").unwrap_or_else(|| panic!("{key}"));
        let plain = |b: u8| b.is_ascii_alphanumeric() || b":-_".contains(&b);
        assert!(rest.bytes().all(plain), "{key}");
        let ttl: i64 =
            redis::cmd("TTL").arg(&key).query_async(&mut bench.raw().await).await.unwrap();
        assert_eq!(ttl, -1, "`{key}` expires");
    }
}

#[tokio::test]
async fn two_apps_in_one_redis_do_not_see_each_other() {
    let server = RedisServer::start().await;
    let mut other = options(&server.url());
    other.app = AppId::parse("other").unwrap();
    let [one, other] =
        [options(&server.url()), other].map(|options| async { RedisStore::connect(options).await });
    let (one, other) = (one.await.unwrap().ledger(), other.await.unwrap().ledger());
    one.seal("for a test").await.unwrap();
    let [one, other] = [one.describe().await.unwrap(), other.describe().await.unwrap()];
    assert_eq!(one.sealed.as_deref(), Some("for a test"));
    assert_eq!(other.sealed, None);
    assert_ne!(one.ledger_id, other.ledger_id);
}

#[tokio::test]
async fn what_was_answered_long_ago_and_never_collected_is_not_looked_at_for_ever() {
    let bench = RedisBench::make().await;
    let desk = Desk::at(&bench).await;
    let first = desk.settled(1, vec![]).await;
    let key = format!("countersign:{{main}}:repeat:uncollected:{}", first.fingerprint);
    for (days, n, listed) in [(29, 2, 2), (2, 3, 1)] {
        desk.time.advance(Millis(days * 24 * HOUR.0));
        let mut again = reserve(n, vec![]);
        again.operation.repeat.fingerprint = first.fingerprint;
        again.operation.gateway = "gateway-2".into();
        bench.ledger().present("gateway-2", HOUR).await.unwrap();
        let answer = bench.ledger().reserve(&again).await.unwrap();
        assert!(matches!(answer, ReserveAnswer::Reserved(_)), "{answer:?}");
        let count: u32 =
            redis::cmd("ZCARD").arg(&key).query_async(&mut bench.raw().await).await.unwrap();
        assert_eq!(count, listed, "operation {n}");
        let collected = Delivery::Collected;
        bench.ledger().deliver(again.operation.id, Delivery::Waiting, collected).await.unwrap();
    }
}

#[tokio::test]
async fn the_log_is_a_chain_without_a_gap() {
    let bench = RedisBench::make().await;
    let desk = Desk::at(&bench).await;
    desk.settled(1, vec![rolling("day", 10, 100)]).await;
    desk.ledger.seal("for a test").await.unwrap();
    let length = desk.sequence().await;
    let lines: Vec<String> = redis::cmd("LRANGE")
        .arg(&["countersign:{main}:log", "0", "-1"])
        .query_async(&mut bench.raw().await)
        .await
        .unwrap();
    assert_eq!(u64::try_from(lines.len()).unwrap(), length);
    let mut before = String::new();
    for (index, line) in lines.iter().enumerate() {
        let (head, entry) = line.split_once(' ').unwrap();
        assert_eq!(redis::Script::new(&format!("{before}{entry}")).get_hash(), head, "{line}");
        assert!(entry.starts_with(&format!("{} ", index + 1)), "{line}");
        before = head.into();
    }
}

#[tokio::test]
async fn a_record_that_was_tampered_with_is_damage_and_never_guessed() {
    let bench = RedisBench::make().await;
    let desk = Desk::at(&bench).await;
    let record = desk.reserved(1, vec![]).await;
    let name = format!("countersign:{{main}}:operation:{}", record.id);
    let tamper = redis::cmd("HSET").arg(&[&name, "intent", "{}"]).to_owned();
    tamper.query_async::<()>(&mut bench.raw().await).await.unwrap();
    let read = bench.ledger().operation(record.id).await;
    assert!(matches!(read, Err(LedgerError::Damaged(_))), "{read:?}");
}

#[tokio::test]
async fn a_store_of_another_layout_is_refused() {
    let bench = RedisBench::make().await;
    let change = redis::cmd("HSET").arg(&["countersign:{main}:meta", "format", "10"]).to_owned();
    change.query_async::<()>(&mut bench.raw().await).await.unwrap();
    let refused = RedisStore::connect(options(&bench.server.url())).await.unwrap_err();
    assert_eq!(refused, OpenError::Format("10".into()));
}

#[tokio::test]
async fn a_server_without_tls_is_refused_where_tls_is_asked_for() {
    let server = RedisServer::start().await;
    let refused = RedisStore::connect(options(&format!("rediss://{}", server.address()))).await;
    let refused = refused.unwrap_err();
    assert!(matches!(refused, OpenError::Ledger(LedgerError::Unavailable(_))), "{refused:?}");
}

#[tokio::test]
async fn every_script_stays_in_one_slot_of_a_cluster() {
    let bus = free_address().port().to_string();
    let clustered = ["--cluster-enabled", "yes", "--cluster-port", &bus];
    let server = RedisServer::start_with(&clustered).await;
    let mut admin = connection(&server.url()).await;
    let slots = redis::cmd("CLUSTER").arg(&["ADDSLOTSRANGE", "0", "16383"]).to_owned();
    slots.query_async::<()>(&mut admin).await.unwrap();
    let info = redis::cmd("CLUSTER").arg("INFO").to_owned();
    while !info.query_async::<String>(&mut admin).await.unwrap().contains("cluster_state:ok") {
        tokio::task::yield_now().await;
    }
    let time = ManualTime::default();
    let mut clustered = options(&server.url());
    let lone = RedisStore::connect(clustered.clone()).await.unwrap_err();
    assert!(lone.to_string().contains("set `cluster: true`"), "{lone}");
    clustered.address.topology = Topology::Cluster;
    let store = RedisStore::open(clustered, Some(time.source())).await.unwrap();
    let desk = Desk { ledger: store.ledger(), time };
    let charge = rolling("day", 10, 100);
    desk.settled(1, vec![charge.clone()]).await;
    desk.ledger.unsettle(operation_id(1)).await.unwrap();
    desk.parked(2, vec![charge.clone()]).await;
    desk.ledger.reject(&reject(2)).await.unwrap();
    desk.time.advance(HOUR);
    assert_eq!(desk.ledger.expire(10).await.unwrap(), []);
    let query = OperationQuery { limit: 10, ..OperationQuery::default() };
    assert_eq!(desk.ledger.operations(&query).await.unwrap().items.len(), 2);
    assert_eq!(desk.counts(&charge).await, [0, 10, 0]);
}
