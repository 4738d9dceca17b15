//! The model under the suite that it is the measure of.

use std::{
    future::{Ready, ready},
    sync::Arc,
};

use async_trait::async_trait;
use countersign_engine::port::{Chronicle, Journal, Ledger, PolicyShelf};
use countersign_testkit::{
    ManualTime, ModelJournals, ModelLedger, ModelShelf,
    suite::{JournalBench, LedgerBench, ShelfBench},
};

struct Bench {
    ledger: Arc<ModelLedger>,
    time: ManualTime,
}

#[async_trait]
impl LedgerBench for Bench {
    fn ledger(&self) -> Arc<dyn Ledger> {
        self.ledger.clone()
    }

    fn chronicle(&self) -> Arc<dyn Chronicle> {
        self.ledger.clone()
    }

    fn time(&self) -> ManualTime {
        self.time.clone()
    }

    async fn reopen(&mut self) {
        self.ledger.restart();
    }
}

fn bench() -> Ready<Bench> {
    let time = ManualTime::default();
    ready(Bench { ledger: Arc::new(ModelLedger::new(time.clone())), time })
}

countersign_testkit::ledger_suite!(bench);

#[test]
fn the_phrases_reach_every_answer() {
    countersign_testkit::suite::ledger::random::the_phrases_reach_every_answer();
}

struct Journals(ModelJournals);

#[async_trait]
impl JournalBench for Journals {
    async fn journal(&self, gateway: &str) -> Arc<dyn Journal> {
        Arc::new(self.0.journal(gateway))
    }
}

fn journals() -> Ready<Journals> {
    ready(Journals(ModelJournals::default()))
}

countersign_testkit::journal_suite!(journals);

struct Shelves(ModelShelf);

#[async_trait]
impl ShelfBench for Shelves {
    async fn shelf(&self) -> Arc<dyn PolicyShelf> {
        Arc::new(self.0.clone())
    }
}

fn shelves() -> Ready<Shelves> {
    ready(Shelves(ModelShelf::default()))
}

countersign_testkit::shelf_suite!(shelves);
