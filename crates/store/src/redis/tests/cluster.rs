//! A cluster: the server of an app's slot, wherever it is.

use std::time::Duration;

use async_trait::async_trait;
use countersign_core::identity::AppId;
use countersign_engine::port::ledger::LedgerError;
use countersign_testkit::{
    ManualTime,
    fixture::{operation_id, reserve, rolling},
    ledger_suite,
    redis_cluster::RedisCluster,
    suite::Desk,
};
use secrecy::SecretString;
use tokio::time::Instant;

use super::{
    bench::options,
    shared::{Ground, OnGround, gateways},
};
use crate::redis::{RedisAddress, RedisOptions, RedisStore, Topology, keys::Keys};

/// How long a cluster with a node timeout of one second may take to replace a node.
const REPLACED_WITHIN: Duration = Duration::from_secs(20);

fn address(urls: Vec<String>) -> RedisAddress {
    let urls = urls.into_iter().map(SecretString::from).collect();
    let mut address = RedisAddress::one(SecretString::from(String::new()));
    (address.urls, address.topology) = (urls, Topology::Cluster);
    address
}

#[async_trait]
impl Ground for RedisCluster {
    fn address(&self) -> RedisAddress {
        address(self.urls())
    }

    async fn restart(&mut self, app: &AppId) {
        RedisCluster::restart(self).await;
        let slot = Keys::new(app).slot();
        self.node(RedisCluster::owner(slot)).tell(&["DEL", &gateways(app)]).await;
    }
}

async fn ground() -> OnGround<RedisCluster> {
    OnGround::new(RedisCluster::start().await)
}

ledger_suite!(shared ground);

fn main_options(urls: Vec<String>) -> RedisOptions {
    let mut options = options("redis://unused");
    options.address = address(urls);
    options
}

fn main_slot() -> u16 {
    Keys::new(&AppId::parse("main").unwrap()).slot()
}

async fn desk(urls: Vec<String>) -> Desk {
    let time = ManualTime::default();
    let store = RedisStore::open(main_options(urls), Some(time.source())).await.unwrap();
    Desk { ledger: store.ledger(), time }
}

/// Asks until there is an answer; until then there must be proof that nothing was done.
async fn replaced<T>(ask: impl AsyncFn() -> Result<T, LedgerError>) -> T {
    let begun = Instant::now();
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(LedgerError::Unavailable(why)) => {
                assert!(begun.elapsed() < REPLACED_WITHIN, "{why}");
            }
            Err(other) => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn any_node_leads_to_the_one_that_holds_the_app() {
    let cluster = RedisCluster::start().await;
    for (n, url) in (1..).zip(cluster.urls()) {
        desk(vec![url]).await.reserved(n, vec![rolling("day", 10, 1000)]).await;
    }
    let desk = desk(cluster.urls()).await;
    assert_eq!(desk.counts(&rolling("day", 0, 1000)).await, [30, 0, 0]);
}

#[tokio::test]
async fn a_ledger_that_moves_to_a_replica_is_followed_within_the_call() {
    let mut cluster = RedisCluster::start().await;
    let owner = RedisCluster::owner(main_slot());
    let replica = cluster.add_replica(owner).await;
    let desk = desk(vec![cluster.urls().remove(owner)]).await;
    desk.reserved(1, vec![rolling("day", 10, 1000)]).await;
    assert_eq!(cluster.node(replica).tell(&["CLUSTER", "FAILOVER"]).await, "+OK\r\n");
    let node = cluster.node(owner);
    while node.tell(&["ROLE"]).await.contains("master") {
        tokio::task::yield_now().await;
    }
    desk.reserved(2, vec![rolling("day", 10, 1000)]).await;
    assert_eq!(desk.counts(&rolling("day", 0, 1000)).await, [20, 0, 0]);
    let status = desk.ledger.describe().await.unwrap();
    assert_eq!((status.missing, status.sealed), (None, None));
}

#[tokio::test]
async fn a_node_that_dies_is_replaced_although_it_was_the_only_seed() {
    let mut cluster = RedisCluster::start().await;
    let owner = RedisCluster::owner(main_slot());
    cluster.add_replica(owner).await;
    let desk = desk(vec![cluster.urls().remove(owner)]).await;
    let mut acknowledged = main_options(cluster.urls());
    acknowledged.acknowledge_replicas = 1;
    let writer = RedisStore::open(acknowledged, Some(desk.time.source())).await.unwrap();
    writer.ledger().reserve(&reserve(1, vec![rolling("day", 10, 1000)])).await.unwrap();
    assert!(desk.ledger.operation(operation_id(1)).await.unwrap().is_some());

    cluster.node(owner).down().await;
    let found = replaced(async || desk.ledger.operation(operation_id(1)).await).await;
    assert!(found.is_some());
    desk.reserved(2, vec![rolling("day", 10, 1000)]).await;
    assert_eq!(desk.counts(&rolling("day", 0, 1000)).await, [20, 0, 0]);
}

#[tokio::test]
async fn a_slot_on_its_way_to_another_node_is_out_of_reach_and_nothing_breaks_off() {
    let cluster = RedisCluster::start().await;
    let (slot, from) = (main_slot(), RedisCluster::owner(main_slot()));
    let to = (from + 1) % 3;
    let desk = desk(cluster.urls()).await;
    for n in 1..=5 {
        desk.reserved(n, vec![rolling("day", 10, 1000)]).await;
    }
    let log = desk.sequence().await;
    let is_out_of_reach = async |n: u64| {
        let ask = reserve(n, vec![rolling("day", 10, 1000)]);
        let written = desk.ledger.reserve(&ask).await;
        assert!(matches!(written, Err(LedgerError::Unavailable(_))), "{written:?}");
        let read = desk.ledger.status(&[rolling("day", 0, 1000)], None).await;
        assert!(matches!(read, Err(LedgerError::Unavailable(_))), "{read:?}");
    };

    cluster.begin_move(slot, from, to).await;
    is_out_of_reach(6).await;
    let meta = "countersign:{main}:meta".to_owned();
    let keys = cluster.keys_of(slot, from).await;
    let (first, last): (Vec<String>, Vec<String>) = keys.into_iter().partition(|key| *key != meta);
    assert!(first.len() > 5, "{first:?}");
    cluster.move_keys(&first, from, to).await;
    is_out_of_reach(6).await;
    cluster.move_keys(&last, from, to).await;
    is_out_of_reach(6).await;
    cluster.end_move(slot, to).await;

    assert_eq!(desk.sequence().await, log);
    assert_eq!(desk.counts(&rolling("day", 0, 1000)).await, [50, 0, 0]);
    desk.reserved(6, vec![rolling("day", 10, 1000)]).await;
}
