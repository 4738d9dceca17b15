//! The model under the suite that it is the measure of.

use std::{
    future::{Ready, ready},
    sync::Arc,
};

use async_trait::async_trait;
use countersign_engine::port::Ledger;
use countersign_testkit::{ManualTime, ModelLedger, suite::LedgerBench};

struct Bench {
    ledger: Arc<ModelLedger>,
    time: ManualTime,
}

#[async_trait]
impl LedgerBench for Bench {
    fn ledger(&self) -> Arc<dyn Ledger> {
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
