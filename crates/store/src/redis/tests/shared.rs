//! A server that many stores follow each other on, each with an app of its own.

use std::sync::Arc;

use async_trait::async_trait;
use countersign_core::{identity::AppId, time::Millis};
use countersign_engine::port::{Chronicle, Ledger};
use countersign_testkit::{
    ManualTime,
    suite::{LedgerBench, SharedBench},
};

use super::bench::options;
use crate::redis::{RedisAddress, RedisOptions, RedisStore};

/// What can be restarted under a store.
#[async_trait]
pub(super) trait Ground: Send + Sync {
    /// How a store gets there.
    fn address(&self) -> RedisAddress;

    /// Kills it, starts it again, and makes it forget who was present in this app.
    async fn restart(&mut self, app: &AppId);
}

/// A store on such a ground.
pub(super) struct OnGround<G> {
    pub(super) ground: G,
    time: ManualTime,
    store: Option<RedisStore>,
    apps: u32,
}

impl<G: Ground> OnGround<G> {
    pub(super) fn new(ground: G) -> Self {
        Self { ground, time: ManualTime::default(), store: None, apps: 0 }
    }

    fn app(&self) -> AppId {
        // different apps lie in different slots
        AppId::parse(&format!("app-{}", self.apps)).unwrap()
    }

    async fn open(&mut self) {
        self.store = Some(self.another().await);
    }

    async fn another(&self) -> RedisStore {
        let mut chosen: RedisOptions = options("redis://unused");
        // none of these tests is about time: a busy machine is no outage
        chosen.deadline = Millis(20_000);
        (chosen.address, chosen.app) = (self.ground.address(), self.app());
        RedisStore::open(chosen, Some(self.time.source())).await.unwrap()
    }
}

#[async_trait]
impl<G: Ground> LedgerBench for OnGround<G> {
    fn ledger(&self) -> Arc<dyn Ledger> {
        self.store.as_ref().unwrap().ledger()
    }

    fn chronicle(&self) -> Arc<dyn Chronicle> {
        self.store.as_ref().unwrap().chronicle()
    }

    async fn second(&self) -> Arc<dyn Ledger> {
        self.another().await.ledger()
    }

    fn time(&self) -> ManualTime {
        self.time.clone()
    }

    async fn reopen(&mut self) {
        let app = self.app();
        self.ground.restart(&app).await;
        self.open().await;
    }
}

#[async_trait]
impl<G: Ground> SharedBench for OnGround<G> {
    async fn fresh(&mut self) {
        self.apps += 1;
        self.time = ManualTime::default();
        self.open().await;
    }
}

/// The key under which an app's gateways are listed.
pub(super) fn gateways(app: &AppId) -> String {
    format!("countersign:{{{app}}}:gateways")
}
