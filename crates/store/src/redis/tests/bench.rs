//! A Redis on the bench.

use std::{sync::Arc, time::SystemTime};

use async_trait::async_trait;
use countersign_core::{
    identity::AppId,
    time::{Millis, Timestamp},
};
use countersign_engine::port::{Chronicle, Ledger, PolicyShelf};
use countersign_testkit::{
    ManualTime,
    redis_server::RedisServer,
    suite::{LedgerBench, ShelfBench},
};
use secrecy::SecretString;

use crate::{
    lineage::Witness,
    redis::{OpenError, RedisAddress, RedisOptions, RedisStore, WeakStore},
};

pub(super) struct RedisBench {
    pub(super) server: RedisServer,
    pub(super) store: RedisStore,
    pub(super) time: ManualTime,
}

impl RedisBench {
    pub(super) async fn make() -> Self {
        let (server, time) = (RedisServer::start().await, ManualTime::default());
        let store = open(&server.url(), &time).await.unwrap();
        Self { server, store, time }
    }

    pub(super) async fn raw(&self) -> redis::aio::MultiplexedConnection {
        connection(&self.server.url()).await
    }
}

#[async_trait]
impl LedgerBench for RedisBench {
    fn ledger(&self) -> Arc<dyn Ledger> {
        self.store.ledger()
    }

    fn chronicle(&self) -> Arc<dyn Chronicle> {
        self.store.chronicle()
    }

    async fn second(&self) -> Arc<dyn Ledger> {
        open(&self.server.url(), &self.time).await.unwrap().ledger()
    }

    fn time(&self) -> ManualTime {
        self.time.clone()
    }

    async fn reopen(&mut self) {
        self.server.down().await;
        self.server.up().await;
        // a dead gateway's presence lapses with its time; the test's clock stands still
        let lapse = redis::cmd("DEL").arg("countersign:{main}:gateways").to_owned();
        lapse.query_async::<()>(&mut self.raw().await).await.unwrap();
        self.store = open(&self.server.url(), &self.time).await.unwrap();
    }
}

#[async_trait]
impl ShelfBench for RedisBench {
    async fn shelf(&self) -> Arc<dyn PolicyShelf> {
        open(&self.server.url(), &self.time).await.unwrap().shelf()
    }
}

pub(super) async fn connection(url: &str) -> redis::aio::MultiplexedConnection {
    redis::Client::open(url).unwrap().get_multiplexed_async_connection().await.unwrap()
}

pub(super) fn options(url: &str) -> RedisOptions {
    RedisOptions {
        address: RedisAddress::one(SecretString::from(url)),
        app: AppId::parse("main").unwrap(),
        gateway: "gateway-1".into(),
        acknowledge_replicas: 0,
        weak: WeakStore::Accepted,
        deadline: Millis(2000),
        witness: Witness::new(Arc::new(wall)),
    }
}

/// This machine's clock, which the server reads too.
#[expect(clippy::disallowed_methods, reason = "a server's clock is the machine's")]
pub(super) fn wall() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap())
}

pub(super) async fn open(url: &str, time: &ManualTime) -> Result<RedisStore, OpenError> {
    RedisStore::open(options(url), Some(time.source())).await
}
