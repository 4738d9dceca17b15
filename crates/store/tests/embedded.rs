//! The embedded store under the suite of the port.
#![expect(clippy::unwrap_used, reason = "a panic is a failed test")]

use std::{
    future::{Ready, ready},
    sync::Arc,
};

use async_trait::async_trait;
use countersign_core::identity::AppId;
use countersign_engine::port::{Chronicle, Journal, Ledger, PolicyShelf};
use countersign_store::embedded::EmbeddedStore;
use countersign_testkit::{
    ManualTime,
    suite::{JournalBench, LedgerBench, ShelfBench},
};
use tempfile::TempDir;

struct Bench {
    store: Option<EmbeddedStore>,
    time: ManualTime,
    dir: TempDir,
}

impl Bench {
    fn open(&mut self) {
        let app = AppId::parse("test").unwrap();
        self.store = Some(EmbeddedStore::open(self.dir.path(), &app, self.time.source()).unwrap());
    }
}

#[async_trait]
impl LedgerBench for Bench {
    fn ledger(&self) -> Arc<dyn Ledger> {
        self.store.as_ref().unwrap().ledger()
    }

    fn chronicle(&self) -> Arc<dyn Chronicle> {
        self.store.as_ref().unwrap().chronicle()
    }

    fn time(&self) -> ManualTime {
        self.time.clone()
    }

    async fn reopen(&mut self) {
        self.store.take().unwrap().close();
        self.open();
    }
}

#[async_trait]
impl JournalBench for Bench {
    async fn journal(&self, gateway: &str) -> Arc<dyn Journal> {
        self.store.as_ref().unwrap().journal(gateway)
    }
}

#[async_trait]
impl ShelfBench for Bench {
    async fn shelf(&self) -> Arc<dyn PolicyShelf> {
        self.store.as_ref().unwrap().shelf()
    }
}

fn bench() -> Ready<Bench> {
    let dir = TempDir::new().unwrap();
    let mut bench = Bench { store: None, time: ManualTime::default(), dir };
    bench.open();
    ready(bench)
}

countersign_testkit::ledger_suite!(bench);
countersign_testkit::journal_suite!(bench);
countersign_testkit::shelf_suite!(bench);
