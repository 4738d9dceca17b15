//! The money protocol in its most obvious form: a list of operations, and sums over all of it.

mod adoption;
mod books;
mod chronicle;
mod counters;
pub mod flawed;
pub mod history;
mod steps;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use alloy_primitives::{Address, Bytes};
use async_trait::async_trait;
use countersign_core::{
    charge::{Charge, CounterId, Reading},
    fact::Freeze,
    freeze::{FreezeOrder, StandingFreeze},
    identity::{AgentId, ChainId, OperationId, WalletId},
    operation::{Actual, Delivery, OperationRecord, OperationState},
    pact::{Pact, PactStanding},
    time::{Millis, Timestamp},
};
use countersign_engine::port::{
    Ledger,
    journal::Page,
    ledger::{
        Adopt, AdoptAnswer, Approve, ApproveAnswer, Bump, BumpAnswer, Census, Commit, CommitAnswer,
        DenyAnswer, Found, InitAnswer, LedgerError, LedgerStatus, MessageEnd, NewOperation,
        OperationQuery, PactAnswer, PactWord, Redeem, RedeemAnswer, Reject, RejectAnswer,
        ReleaseProof, Repeat, Reserve, ReserveAnswer, SentOutcome, Settle, SignedBytes, Split,
        SplitAnswer, Survey, Surveyed,
    },
};

use self::books::Books;
use crate::{fixture, time::ManualTime};

/// The ledger in memory. It keeps no counters: what is used is summed up over the operations whenever
/// somebody asks. It can be told to be out of reach.
#[derive(Debug)]
pub struct ModelLedger {
    time: ManualTime,
    books: Mutex<Books>,
    outage: Mutex<Option<LedgerError>>,
}

impl ModelLedger {
    /// An empty ledger that reads this clock.
    #[must_use]
    pub fn new(time: ManualTime) -> Self {
        Self { time, books: Mutex::default(), outage: Mutex::default() }
    }

    /// From now on every call fails with this error and does nothing; `None` ends that.
    pub fn break_with(&self, outage: Option<LedgerError>) {
        *lock(&self.outage) = outage;
    }

    /// What a crash of the one gateway leaves: every caller that waited is gone.
    pub fn restart(&self) {
        lock(&self.books).restart();
    }

    /// A copy of every operation, in the order of arrival.
    #[must_use]
    pub fn all(&self) -> Vec<OperationRecord> {
        lock(&self.books).operations.clone()
    }

    /// The operations that were made or changed since this was asked last, as they are now.
    #[must_use]
    pub fn take_changed(&self) -> Vec<OperationRecord> {
        let mut books = lock(&self.books);
        let changed = std::mem::take(&mut books.changed);
        changed.iter().filter_map(|id| books.operation(*id).cloned()).collect()
    }

    /// Seals the ledger, as an operator does at the store itself.
    pub fn seal_now(&self, reason: &str) {
        lock(&self.books).seal(Some(reason.into()));
    }

    /// Lifts the seal.
    pub fn unseal_now(&self) {
        let mut books = lock(&self.books);
        books.epoch += u64::from(books.seal.is_some());
        books.seal(None);
    }

    /// Puts a freeze in force.
    pub fn freeze_now(&self, freeze: &Freeze) {
        lock(&self.books).freeze(&fixture::order(freeze));
    }

    /// Lifts one.
    pub fn unfreeze_now(&self, freeze: &Freeze) {
        lock(&self.books).unfreeze(freeze);
    }

    /// What the counters of these charges show, by the store's clock at the last call.
    #[must_use]
    pub fn readings(&self, charges: &[Charge]) -> Vec<Reading> {
        lock(&self.books).status(charges, None)
    }

    /// The length of the log.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        lock(&self.books).sequence
    }

    /// Whether the ledger is sealed.
    #[must_use]
    pub fn is_sealed(&self) -> bool {
        lock(&self.books).seal.is_some()
    }

    /// Looks at every operation, in the order of arrival.
    pub fn look<T>(&self, look: impl FnOnce(&[OperationRecord]) -> T) -> T {
        look(&lock(&self.books).operations)
    }

    /// What stands against signing, when, and how long the log is.
    #[must_use]
    pub fn glance(&self) -> Glance {
        let books = lock(&self.books);
        let (now, sequence) = (books.now, books.sequence);
        let freezes = books.freezes.iter().cloned().collect();
        Glance { now, sequence, sealed: books.seal.clone(), freezes }
    }

    fn with<T>(
        &self,
        step: impl FnOnce(&mut Books) -> Result<T, LedgerError>,
    ) -> Result<T, LedgerError> {
        if let Some(outage) = lock(&self.outage).clone() {
            return Err(outage);
        }
        let mut books = lock(&self.books);
        books.tick(self.time.now());
        step(&mut books)
    }
}

/// See [`ModelLedger::glance`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glance {
    /// The store's clock at the last call.
    pub now: Timestamp,
    /// The length of the log.
    pub sequence: u64,
    /// Why the ledger is sealed, if it is.
    pub sealed: Option<String>,
    /// The freezes in force.
    pub freezes: Vec<Freeze>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl Ledger for ModelLedger {
    async fn now(&self) -> Result<Timestamp, LedgerError> {
        self.with(|books| Ok(books.now))
    }

    async fn present(&self, gateway: &str, ttl: Millis) -> Result<(), LedgerError> {
        self.with(|books| {
            books.present(gateway, ttl);
            Ok(())
        })
    }

    async fn find(&self, repeat: &Repeat) -> Result<Found, LedgerError> {
        self.with(|books| Ok(books.find(repeat)))
    }

    async fn survey(&self, survey: &Survey) -> Result<Surveyed, LedgerError> {
        let Survey { repeat, chain, wallet, addresses, pact } = survey;
        self.with(|books| {
            Ok(Surveyed {
                found: books.find(repeat),
                now: books.now,
                seen: books.seen(*chain, wallet, addresses),
                freezes: books.freezes.iter().cloned().collect(),
                pact: books.pacts.get(pact).cloned(),
            })
        })
    }

    async fn deny(&self, denied: &NewOperation) -> Result<DenyAnswer, LedgerError> {
        self.with(|books| books.deny(denied))
    }

    async fn reserve(&self, reserve: &Reserve) -> Result<ReserveAnswer, LedgerError> {
        self.with(|books| books.reserve(reserve))
    }

    async fn redeem(&self, redeem: &Redeem) -> Result<RedeemAnswer, LedgerError> {
        self.with(|books| books.redeem(redeem))
    }

    async fn split(&self, split: &Split) -> Result<SplitAnswer, LedgerError> {
        self.with(|books| books.split(split))
    }

    async fn approve(&self, approve: &Approve) -> Result<ApproveAnswer, LedgerError> {
        self.with(|books| Ok(books.approve(approve)))
    }

    async fn reject(&self, reject: &Reject) -> Result<RejectAnswer, LedgerError> {
        self.with(|books| Ok(books.reject(reject)))
    }

    async fn expire(&self, max: u32) -> Result<Vec<OperationRecord>, LedgerError> {
        self.with(|books| Ok(books.expire(max)))
    }

    async fn commit(&self, commit: &Commit) -> Result<CommitAnswer, LedgerError> {
        self.with(|books| books.commit(commit))
    }

    async fn bump(&self, bump: &Bump) -> Result<BumpAnswer, LedgerError> {
        self.with(|books| books.bump(bump))
    }

    async fn signed(
        &self,
        operation: OperationId,
        attempt: u32,
        bytes: &SignedBytes,
        said: Option<&SentOutcome>,
    ) -> Result<OperationRecord, LedgerError> {
        self.with(|books| books.signed(operation, attempt, (bytes, said)))
    }

    async fn signed_message(
        &self,
        operation: OperationId,
        signature: &Bytes,
    ) -> Result<OperationRecord, LedgerError> {
        self.with(|books| books.signed_message(operation, signature))
    }

    async fn end_message(
        &self,
        operation: OperationId,
        end: MessageEnd,
    ) -> Result<OperationRecord, LedgerError> {
        self.with(|books| books.end_message(operation, end))
    }

    async fn sent(
        &self,
        operation: OperationId,
        attempt: u32,
        outcome: &SentOutcome,
    ) -> Result<OperationRecord, LedgerError> {
        self.with(|books| books.sent(operation, attempt, outcome))
    }

    async fn mined(
        &self,
        operation: OperationId,
        actual: Option<&Actual>,
    ) -> Result<OperationRecord, LedgerError> {
        self.with(|books| books.mined(operation, actual))
    }

    async fn settle(&self, settle: &Settle) -> Result<OperationRecord, LedgerError> {
        self.with(|books| books.settle(settle))
    }

    async fn unsettle(&self, operation: OperationId) -> Result<OperationRecord, LedgerError> {
        self.with(|books| books.unsettle(operation))
    }

    async fn release_committed(
        &self,
        operation: OperationId,
        proof: &ReleaseProof,
    ) -> Result<OperationRecord, LedgerError> {
        self.with(|books| books.release_committed(operation, *proof))
    }

    async fn deliver(
        &self,
        operation: OperationId,
        from: Delivery,
        to: Delivery,
    ) -> Result<bool, LedgerError> {
        self.with(|books| books.deliver(operation, from, to))
    }

    async fn operation(&self, id: OperationId) -> Result<Option<OperationRecord>, LedgerError> {
        self.with(|books| Ok(books.operation(id).cloned()))
    }

    async fn operations(
        &self,
        query: &OperationQuery,
    ) -> Result<Page<OperationRecord>, LedgerError> {
        self.with(|books| books.list(query))
    }

    async fn open(
        &self,
        states: &[OperationState],
        idle_since: Timestamp,
        max: u32,
    ) -> Result<Vec<OperationRecord>, LedgerError> {
        self.with(|books| Ok(books.open(states, idle_since, max)))
    }

    async fn settled_in(
        &self,
        chain: ChainId,
        block: u64,
    ) -> Result<Vec<OperationRecord>, LedgerError> {
        self.with(|books| Ok(books.settled_in(chain, block)))
    }

    async fn parked(&self, agent: &AgentId, most: u32) -> Result<u32, LedgerError> {
        self.with(|books| Ok(books.parked(agent).min(most)))
    }

    async fn holder(
        &self,
        chain: ChainId,
        wallet: &WalletId,
        nonce: u64,
    ) -> Result<Option<OperationId>, LedgerError> {
        self.with(|books| Ok(books.holder(chain, wallet, nonce)))
    }

    async fn next_nonce(
        &self,
        chain: ChainId,
        wallet: &WalletId,
    ) -> Result<Option<u64>, LedgerError> {
        self.with(|books| Ok(books.next_nonce(chain, wallet)))
    }

    async fn status(
        &self,
        charges: &[Charge],
        without: Option<OperationId>,
    ) -> Result<Vec<Reading>, LedgerError> {
        self.with(|books| Ok(books.status(charges, without)))
    }

    async fn adopted(&self) -> Result<BTreeSet<CounterId>, LedgerError> {
        self.with(|books| Ok(books.adopted.clone()))
    }

    async fn note_adopted(&self, limits: &BTreeSet<CounterId>) -> Result<(), LedgerError> {
        self.with(|books| {
            books.note_adopted(limits);
            Ok(())
        })
    }

    async fn adopt(&self, adopt: &Adopt) -> Result<AdoptAnswer, LedgerError> {
        self.with(|books| books.adopt(adopt))
    }

    async fn seen(
        &self,
        chain: ChainId,
        wallet: &WalletId,
        addresses: &[Address],
    ) -> Result<BTreeSet<Address>, LedgerError> {
        self.with(|books| Ok(books.seen(chain, wallet, addresses)))
    }

    async fn freeze(&self, order: &FreezeOrder) -> Result<(), LedgerError> {
        self.with(|books| {
            books.freeze(order);
            Ok(())
        })
    }

    async fn unfreeze(&self, freeze: &Freeze) -> Result<bool, LedgerError> {
        self.with(|books| Ok(books.unfreeze(freeze)))
    }

    async fn census(
        &self,
        states: &[OperationState],
    ) -> Result<BTreeMap<OperationState, Census>, LedgerError> {
        self.with(|books| Ok(states.iter().map(|state| (*state, books.census(*state))).collect()))
    }

    async fn freezes(&self) -> Result<Vec<Freeze>, LedgerError> {
        self.with(|books| Ok(books.freezes.iter().cloned().collect()))
    }

    async fn standing_freezes(&self) -> Result<Vec<StandingFreeze>, LedgerError> {
        self.with(|books| Ok(books.freezers.values().cloned().collect()))
    }

    async fn say(&self, word: &PactWord) -> Result<PactAnswer, LedgerError> {
        self.with(|books| Ok(books.say(word)))
    }

    async fn pact(&self, pact: &Pact) -> Result<Option<PactStanding>, LedgerError> {
        self.with(|books| Ok(books.pacts.get(pact).cloned()))
    }

    async fn seal(&self, reason: &str) -> Result<(), LedgerError> {
        self.with(|books| {
            books.seal(Some(reason.into()));
            Ok(())
        })
    }

    async fn unseal(&self) -> Result<(), LedgerError> {
        self.with(|books| {
            if books.seal.is_some() {
                books.epoch = books.epoch.saturating_add(1);
            }
            books.seal(None);
            Ok(())
        })
    }

    async fn init(&self) -> Result<InitAnswer, LedgerError> {
        self.with(|_| Ok(InitAnswer::NotEmpty))
    }

    async fn audit(&self) -> Result<Option<String>, LedgerError> {
        self.with(|_| Ok(None))
    }

    async fn describe(&self) -> Result<LedgerStatus, LedgerError> {
        self.with(|books| {
            Ok(LedgerStatus {
                ledger_id: "model".into(),
                durability: 'D',
                durability_reason: "memory only".into(),
                sealed: books.seal.clone(),
                epoch: books.epoch,
                sequence: books.sequence,
                head: String::new(),
                missing: None,
                lost: None,
                clocks: None,
            })
        })
    }
}
