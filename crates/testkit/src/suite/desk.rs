//! What a store must bring to be tested, and short words for what tests do with it.

use std::sync::Arc;

use async_trait::async_trait;
use countersign_core::{
    charge::Charge,
    operation::{OperationRecord, OperationState},
    time::{Millis, Timestamp},
};
use countersign_engine::port::{
    Chronicle, Ledger,
    ledger::{CommitAnswer, ReserveAnswer, SentOutcome},
};

use crate::{
    fixture::{self, GATEWAY, operation_id},
    time::ManualTime,
};

/// A store on the bench: fresh and empty when it is made.
#[async_trait]
pub trait LedgerBench: Send + Sync {
    /// The store.
    fn ledger(&self) -> Arc<dyn Ledger>;

    /// The log of the same books.
    fn chronicle(&self) -> Arc<dyn Chronicle>;

    /// Another gateway's way to the same books; the same where only one process may open them.
    async fn second(&self) -> Arc<dyn Ledger> {
        self.ledger()
    }

    /// The clock that the store reads. It stands still unless a test moves it.
    fn time(&self) -> ManualTime;

    /// Loses everything that is not durable, as when the process dies, and opens the same books again.
    /// Gateways that were present are not any more; ledgers handed out before may stop working.
    async fn reopen(&mut self);
}

/// A bench whose server is slow to start, so that tests follow each other on it.
#[async_trait]
pub trait SharedBench: LedgerBench {
    /// Puts a fresh and empty store on the bench.
    async fn fresh(&mut self);
}

/// A ledger with its clock, and the gateway of the fixtures present for a long time.
#[derive(Debug, Clone)]
pub struct Desk {
    /// The ledger under test.
    pub ledger: Arc<dyn Ledger>,
    /// Its clock.
    pub time: ManualTime,
}

impl Desk {
    /// A desk at this bench.
    pub async fn at(bench: &dyn LedgerBench) -> Self {
        let desk = Self { ledger: bench.ledger(), time: bench.time() };
        desk.ledger.present(GATEWAY, Millis(1_000_000_000_000)).await.unwrap();
        desk
    }

    /// Two desks over the same books, as two gateways have them.
    pub async fn pair(bench: &dyn LedgerBench) -> [Self; 2] {
        let one = Self::at(bench).await;
        let other = Self { ledger: bench.second().await, time: bench.time() };
        [one, other]
    }

    /// The store's now.
    pub async fn now(&self) -> Timestamp {
        self.ledger.now().await.unwrap()
    }

    /// Reserves the n-th operation, which must fit.
    pub async fn reserved(&self, n: u64, charges: Vec<Charge>) -> OperationRecord {
        match self.ledger.reserve(&fixture::reserve(n, charges)).await.unwrap() {
            ReserveAnswer::Reserved(record) => *record,
            other => panic!("operation {n} was not reserved: {other:?}"),
        }
    }

    /// Parks the n-th operation for an hour.
    pub async fn parked(&self, n: u64, charges: Vec<Charge>) -> OperationRecord {
        let until = self.now().await.after(fixture::HOUR);
        match self.ledger.reserve(&fixture::park(n, charges, until)).await.unwrap() {
            ReserveAnswer::Reserved(record) => *record,
            other => panic!("operation {n} was not parked: {other:?}"),
        }
    }

    /// Reserves and commits.
    pub async fn committed(&self, n: u64, charges: Vec<Charge>) -> OperationRecord {
        self.reserved(n, charges).await;
        match self.ledger.commit(&fixture::commit(n)).await.unwrap() {
            CommitAnswer::Bound(record) => *record,
            other => panic!("operation {n} was not committed: {other:?}"),
        }
    }

    /// Reserves, commits and signs.
    pub async fn signed(&self, n: u64, charges: Vec<Charge>) -> OperationRecord {
        let bytes = fixture::signed_first(&self.committed(n, charges).await);
        self.ledger.signed(operation_id(n), 0, &bytes, None).await.unwrap()
    }

    /// Reserves, commits, signs and sends.
    pub async fn broadcast(&self, n: u64, charges: Vec<Charge>) -> OperationRecord {
        self.signed(n, charges).await;
        self.ledger.sent(operation_id(n), 0, &SentOutcome::Accepted).await.unwrap()
    }

    /// All the way; every charge is kept in full.
    pub async fn settled(&self, n: u64, charges: Vec<Charge>) -> OperationRecord {
        let kept = charges.iter().map(|charge| charge.amount().unwrap()).collect();
        let record = self.broadcast(n, charges).await;
        self.ledger.settle(&fixture::settle(&record, kept)).await.unwrap()
    }

    /// Reserved, committed and settled of a charge's counter.
    pub async fn counts(&self, charge: &Charge) -> [u64; 3] {
        let readings = self.ledger.status(std::slice::from_ref(charge), None).await.unwrap();
        [readings[0].reserved, readings[0].committed, readings[0].settled]
    }

    /// When there is room for a charge again.
    pub async fn frees_at(&self, charge: &Charge) -> Option<Timestamp> {
        let readings = self.ledger.status(std::slice::from_ref(charge), None).await.unwrap();
        readings[0].frees_at
    }

    /// The n-th operation as it stands.
    pub async fn record(&self, n: u64) -> OperationRecord {
        self.ledger.operation(operation_id(n)).await.unwrap().unwrap()
    }

    /// Where the n-th operation stands.
    pub async fn state(&self, n: u64) -> OperationState {
        self.record(n).await.state
    }

    /// How long the store's log is.
    pub async fn sequence(&self) -> u64 {
        self.ledger.describe().await.unwrap().sequence
    }
}
