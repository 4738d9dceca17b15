//! Sentinel: a master that dies, and one that comes back.

use std::sync::Arc;

use countersign_engine::port::{
    Ledger,
    ledger::{LedgerError, ReserveAnswer},
};
use countersign_testkit::{
    fixture::{operation_id, reserve, rolling},
    redis_sentinel::{MASTER, Sentinels},
    redis_server::{RedisServer, eventually},
};
use secrecy::SecretString;

use super::bench::options;
use crate::redis::{OpenError, RedisAddress, RedisOptions, RedisStore, SentinelLogin, Topology};

fn through(sentinels: &Sentinels, acknowledge_replicas: u32) -> RedisOptions {
    let mut options = options("redis://unused");
    options.address.urls = sentinels.urls().into_iter().map(SecretString::from).collect();
    options.address.topology = Topology::Sentinel { master: MASTER.into(), login: None };
    options.acknowledge_replicas = acknowledge_replicas;
    options
}

async fn ledger(options: RedisOptions) -> Arc<dyn Ledger> {
    RedisStore::connect(options).await.unwrap().ledger()
}

async fn reserved(ledger: &dyn Ledger, n: u64) -> Result<(), LedgerError> {
    let answer = ledger.reserve(&reserve(n, vec![rolling("day", 1, 1_000_000)])).await?;
    assert!(matches!(answer, ReserveAnswer::Reserved(_) | ReserveAnswer::Same(_)), "{answer:?}");
    Ok(())
}

/// What a question comes to once there is a master again.
async fn once_there<T>(ask: impl AsyncFn() -> Result<T, LedgerError>) -> T {
    let answer = std::sync::OnceLock::new();
    eventually("a master to answer", async || match ask().await {
        Ok(found) => answer.set(found).is_ok(),
        Err(LedgerError::Unavailable(_)) => false,
        Err(other) => panic!("{other:?}"),
    })
    .await;
    answer.into_inner().unwrap()
}

async fn holds(server: &RedisServer, n: u64) -> bool {
    let key = format!("countersign:{{main}}:operation:{}", operation_id(n));
    server.tell(&["EXISTS", &key]).await == ":1\r\n"
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_master_dies_its_replica_is_found_and_nothing_acknowledged_is_lost() {
    let mut master = RedisServer::start().await;
    let replica = master.replica().await;
    let sentinels = Sentinels::of(&master).await;
    let ledger = ledger(through(&sentinels, 1)).await;

    let writer = tokio::spawn({
        let ledger = Arc::clone(&ledger);
        async move {
            let mut acknowledged = Vec::new();
            for n in 1.. {
                if reserved(&*ledger, n).await.is_err() {
                    break;
                }
                acknowledged.push(n);
            }
            acknowledged
        }
    });
    eventually("some writes", async || holds(&replica, 20).await).await;
    master.down().await;
    let acknowledged = writer.await.unwrap();
    assert!(acknowledged.len() >= 19, "{acknowledged:?}");

    // how long it takes is the sentinels' business, and so is changing their minds once more: until they rest, the
    // ledger says that it is unavailable
    for n in &acknowledged {
        let found = once_there(async || ledger.operation(operation_id(*n)).await).await;
        assert!(found.is_some(), "operation {n} was acknowledged and is lost");
    }
    let status = once_there(async || ledger.describe().await).await;
    assert_eq!((status.missing, status.sealed), (None, None));

    // nobody can acknowledge until one follows the other
    master.up().await;
    eventually("a write to be acknowledged by two", async || {
        match reserved(&*ledger, 2000).await {
            Ok(()) => true,
            Err(LedgerError::Unavailable(_) | LedgerError::Ambiguous(_)) => false,
            Err(other) => panic!("{other:?}"),
        }
    })
    .await;
    let both = async || holds(&master, 2000).await && holds(&replica, 2000).await;
    eventually("both to hold it", both).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_that_comes_back_from_the_dead_takes_no_write() {
    let master = RedisServer::start().await;
    let replica = master.replica().await;
    let mut sentinels = Sentinels::of(&master).await;
    let (fenced, acknowledged) =
        (ledger(through(&sentinels, 0)).await, ledger(through(&sentinels, 1)).await);
    reserved(&*fenced, 1).await.unwrap();
    reserved(&*acknowledged, 1).await.unwrap();
    eventually("the write to arrive", async || holds(&replica, 1).await).await;

    master.freeze().await;
    sentinels.agree_on(&replica).await;
    // nobody tells the old master that it is one no more
    for sentinel in sentinels.each() {
        sentinel.freeze().await;
    }
    master.thaw().await;
    eventually("the replica to have left", async || master.online().await == 0).await;
    assert!(master.tell(&["ROLE"]).await.contains("master"), "it still believes so");

    // over the connections of before
    let open = reserved(&*acknowledged, 2).await;
    assert!(matches!(open, Err(LedgerError::Ambiguous(_))), "{open:?}");
    master.tell(&["CONFIG", "SET", "min-replicas-to-write", "1"]).await;
    let refused = reserved(&*fenced, 3).await;
    assert!(
        matches!(&refused, Err(LedgerError::Unavailable(why)) if why.contains("NOREPLICAS")),
        "{refused:?}"
    );
    assert!(!holds(&master, 3).await);

    for sentinel in sentinels.each() {
        sentinel.thaw().await;
    }
    reserved(&*fenced, 3).await.unwrap();
    assert!(holds(&replica, 3).await, "it went to the new master");
    assert!(!holds(&replica, 2).await, "what was never acknowledged is lost with the old one");
}

#[tokio::test]
async fn a_sentinel_that_is_silent_or_lies_does_not_stop_the_others() {
    let master = RedisServer::start().await;
    let mut sentinels = Sentinels::of(&master).await;
    let stranger = RedisServer::start().await;
    sentinels.each()[0].freeze().await;
    let mut options = through(&sentinels, 0);
    options.address.urls.insert(1, SecretString::from(stranger.url()));
    let ledger = ledger(options).await;
    reserved(&*ledger, 1).await.unwrap();
    assert!(holds(&master, 1).await);
    sentinels.each()[0].thaw().await;

    let mut unknown = through(&sentinels, 0);
    unknown.address.topology = Topology::Sentinel { master: "other".into(), login: None };
    let refused = RedisStore::connect(unknown).await.unwrap_err();
    assert!(refused.to_string().contains("knows no master `other`"), "{refused}");

    let lone = options_of(&sentinels.urls()[0]);
    let refused = RedisStore::connect(lone).await.unwrap_err();
    assert!(matches!(refused, OpenError::Ledger(LedgerError::Unavailable(_))), "{refused:?}");
}

fn options_of(url: &str) -> RedisOptions {
    let mut options = options("redis://unused");
    options.address = RedisAddress::one(SecretString::from(url));
    options
}

#[tokio::test]
async fn sentinels_with_a_password_of_their_own_or_with_none_are_asked_all_the_same() {
    let master = RedisServer::start().await;
    let mut sentinels = Sentinels::of(&master).await;
    assert_eq!(
        master.tell(&["ACL", "SETUSER", "gateway", "on", ">right", "~*", "+@all"]).await,
        "+OK\r\n"
    );
    let with = |login: Option<SentinelLogin>| {
        let mut options = through(&sentinels, 0);
        let named =
            |url: String| SecretString::from(url.replace("redis://", "redis://gateway:right@"));
        options.address.urls = sentinels.urls().into_iter().map(named).collect();
        options.address.topology = Topology::Sentinel { master: MASTER.into(), login };
        options
    };
    // these sentinels know neither the user nor a password
    reserved(&*ledger(with(None)).await, 1).await.unwrap();

    let own = |password: &str| {
        Some(SentinelLogin { user: Some("watcher".into()), password: SecretString::from(password) })
    };
    let (right, wrong) = (with(own("watched")), with(own("wrong")));
    for sentinel in sentinels.each() {
        let user = ["ACL", "SETUSER", "watcher", "on", ">watched", "+@all"];
        assert_eq!(sentinel.tell(&user).await, "+OK\r\n");
    }
    reserved(&*ledger(right).await, 2).await.unwrap();
    let refused = RedisStore::connect(wrong).await.unwrap_err();
    assert!(!refused.to_string().contains("wrong"), "{refused}");
    assert!(matches!(refused, OpenError::Ledger(LedgerError::Unavailable(_))), "{refused:?}");
}
