//! The ledger's face: each call of the port becomes one step of the thread.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
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

use super::{
    row::lane,
    worker::{Step, Worker},
};

/// The ledger of an [`EmbeddedStore`](super::EmbeddedStore).
#[derive(Debug)]
pub struct EmbeddedLedger {
    worker: Arc<Worker>,
}

impl EmbeddedLedger {
    pub(super) const fn new(worker: Arc<Worker>) -> Self {
        Self { worker }
    }

    async fn read<T: Send + 'static>(
        &self,
        step: impl FnOnce(&Step<'_>) -> Result<T, super::fault::Fault> + Send + 'static,
    ) -> Result<T, LedgerError> {
        Ok(self.worker.read(step).await?)
    }

    async fn write<T: Send + 'static>(
        &self,
        step: impl FnOnce(&Step<'_>) -> Result<T, super::fault::Fault> + Send + 'static,
    ) -> Result<T, LedgerError> {
        Ok(self.worker.write(step).await?)
    }
}

#[expect(
    clippy::redundant_closure_for_method_calls,
    reason = "a method's path is not general over the step's lifetime"
)]
#[async_trait]
impl Ledger for EmbeddedLedger {
    async fn now(&self) -> Result<Timestamp, LedgerError> {
        self.read(|step| step.timely().map(|()| step.now)).await
    }

    async fn present(&self, gateway: &str, ttl: Millis) -> Result<(), LedgerError> {
        let gateway = gateway.to_owned();
        self.read(move |step| {
            step.present(&gateway, ttl);
            Ok(())
        })
        .await
    }

    async fn find(&self, repeat: &Repeat) -> Result<Found, LedgerError> {
        let repeat = repeat.clone();
        self.read(move |step| step.find(&repeat)).await
    }

    async fn survey(&self, survey: &Survey) -> Result<Surveyed, LedgerError> {
        let Survey { repeat, chain, wallet, addresses, pact } = survey.clone();
        let lane = lane(chain, &wallet);
        self.read(move |step| {
            step.timely()?;
            Ok(Surveyed {
                found: step.find(&repeat)?,
                now: step.now,
                seen: step.seen(&lane, &addresses)?,
                freezes: step.freezes()?,
                pact: step.pact(&pact)?,
            })
        })
        .await
    }

    async fn deny(&self, denied: &NewOperation) -> Result<DenyAnswer, LedgerError> {
        let denied = denied.clone();
        self.write(move |step| step.deny(&denied)).await
    }

    async fn reserve(&self, reserve: &Reserve) -> Result<ReserveAnswer, LedgerError> {
        let reserve = reserve.clone();
        self.write(move |step| step.reserve(&reserve)).await
    }

    async fn redeem(&self, redeem: &Redeem) -> Result<RedeemAnswer, LedgerError> {
        let redeem = redeem.clone();
        self.write(move |step| step.redeem(&redeem)).await
    }

    async fn split(&self, split: &Split) -> Result<SplitAnswer, LedgerError> {
        let split = split.clone();
        self.write(move |step| step.split(&split)).await
    }

    async fn approve(&self, approve: &Approve) -> Result<ApproveAnswer, LedgerError> {
        let approve = approve.clone();
        self.write(move |step| step.approve(&approve)).await
    }

    async fn reject(&self, reject: &Reject) -> Result<RejectAnswer, LedgerError> {
        let reject = reject.clone();
        self.write(move |step| step.reject(&reject)).await
    }

    async fn expire(&self, max: u32) -> Result<Vec<OperationRecord>, LedgerError> {
        self.write(move |step| step.expire(max)).await
    }

    async fn commit(&self, commit: &Commit) -> Result<CommitAnswer, LedgerError> {
        let commit = commit.clone();
        self.write(move |step| step.commit(&commit)).await
    }

    async fn bump(&self, bump: &Bump) -> Result<BumpAnswer, LedgerError> {
        let bump = bump.clone();
        self.write(move |step| step.bump(&bump)).await
    }

    async fn signed(
        &self,
        operation: OperationId,
        attempt: u32,
        bytes: &SignedBytes,
        said: Option<&SentOutcome>,
    ) -> Result<OperationRecord, LedgerError> {
        let (bytes, said) = (bytes.clone(), said.cloned());
        self.write(move |step| step.signed(operation, attempt, (&bytes, said.as_ref()))).await
    }

    async fn signed_message(
        &self,
        operation: OperationId,
        signature: &Bytes,
    ) -> Result<OperationRecord, LedgerError> {
        let signature = signature.clone();
        self.write(move |step| step.signed_message(operation, &signature)).await
    }

    async fn end_message(
        &self,
        operation: OperationId,
        end: MessageEnd,
    ) -> Result<OperationRecord, LedgerError> {
        self.write(move |step| step.end_message(operation, end)).await
    }

    async fn sent(
        &self,
        operation: OperationId,
        attempt: u32,
        outcome: &SentOutcome,
    ) -> Result<OperationRecord, LedgerError> {
        let outcome = outcome.clone();
        self.write(move |step| step.sent(operation, attempt, &outcome)).await
    }

    async fn mined(
        &self,
        operation: OperationId,
        actual: Option<&Actual>,
    ) -> Result<OperationRecord, LedgerError> {
        let actual = actual.cloned();
        self.write(move |step| step.mined(operation, actual.as_ref())).await
    }

    async fn settle(&self, settle: &Settle) -> Result<OperationRecord, LedgerError> {
        let settle = settle.clone();
        self.write(move |step| step.settle(&settle)).await
    }

    async fn unsettle(&self, operation: OperationId) -> Result<OperationRecord, LedgerError> {
        self.write(move |step| step.unsettle(operation)).await
    }

    async fn release_committed(
        &self,
        operation: OperationId,
        proof: &ReleaseProof,
    ) -> Result<OperationRecord, LedgerError> {
        let proof = *proof;
        self.write(move |step| step.release_committed(operation, proof)).await
    }

    async fn deliver(
        &self,
        operation: OperationId,
        from: Delivery,
        to: Delivery,
    ) -> Result<bool, LedgerError> {
        self.write(move |step| step.deliver(operation, from, to)).await
    }

    async fn operation(&self, id: OperationId) -> Result<Option<OperationRecord>, LedgerError> {
        self.read(move |step| step.operation(id)).await
    }

    async fn operations(
        &self,
        query: &OperationQuery,
    ) -> Result<Page<OperationRecord>, LedgerError> {
        let query = query.clone();
        self.read(move |step| step.operations(&query)).await
    }

    async fn open(
        &self,
        states: &[OperationState],
        idle_since: Timestamp,
        max: u32,
    ) -> Result<Vec<OperationRecord>, LedgerError> {
        let states = states.to_vec();
        self.read(move |step| step.open(&states, idle_since, max)).await
    }

    async fn census(
        &self,
        states: &[OperationState],
    ) -> Result<BTreeMap<OperationState, Census>, LedgerError> {
        let states = states.to_vec();
        self.read(move |step| step.census(&states)).await
    }

    async fn settled_in(
        &self,
        chain: ChainId,
        block: u64,
    ) -> Result<Vec<OperationRecord>, LedgerError> {
        self.read(move |step| step.settled_in(chain, block)).await
    }

    async fn parked(&self, agent: &AgentId, most: u32) -> Result<u32, LedgerError> {
        let agent = agent.clone();
        self.read(move |step| step.parked(&agent, most)).await
    }

    async fn holder(
        &self,
        chain: ChainId,
        wallet: &WalletId,
        nonce: u64,
    ) -> Result<Option<OperationId>, LedgerError> {
        let lane = lane(chain, wallet);
        self.read(move |step| step.holder(&lane, nonce)).await
    }

    async fn next_nonce(
        &self,
        chain: ChainId,
        wallet: &WalletId,
    ) -> Result<Option<u64>, LedgerError> {
        let lane = lane(chain, wallet);
        self.read(move |step| step.next_nonce(&lane)).await
    }

    async fn status(
        &self,
        charges: &[Charge],
        without: Option<OperationId>,
    ) -> Result<Vec<Reading>, LedgerError> {
        let charges = charges.to_vec();
        self.read(move |step| step.status(&charges, without)).await
    }

    async fn adopted(&self) -> Result<BTreeSet<CounterId>, LedgerError> {
        self.read(|step| step.adopted()).await
    }

    async fn note_adopted(&self, limits: &BTreeSet<CounterId>) -> Result<(), LedgerError> {
        let limits = limits.clone();
        self.write(move |step| step.note_adopted(&limits)).await
    }

    async fn adopt(&self, adopt: &Adopt) -> Result<AdoptAnswer, LedgerError> {
        let adopt = adopt.clone();
        self.write(move |step| step.adopt(&adopt)).await
    }

    async fn seen(
        &self,
        chain: ChainId,
        wallet: &WalletId,
        addresses: &[Address],
    ) -> Result<BTreeSet<Address>, LedgerError> {
        let (lane, addresses) = (lane(chain, wallet), addresses.to_vec());
        self.read(move |step| step.seen(&lane, &addresses)).await
    }

    async fn freeze(&self, order: &FreezeOrder) -> Result<(), LedgerError> {
        let order = order.clone();
        Ok(self.worker.write_regardless(move |step| step.freeze(&order)).await?)
    }

    async fn unfreeze(&self, freeze: &Freeze) -> Result<bool, LedgerError> {
        let freeze = freeze.clone();
        self.write(move |step| step.unfreeze(&freeze)).await
    }

    async fn freezes(&self) -> Result<Vec<Freeze>, LedgerError> {
        self.read(|step| step.freezes()).await
    }

    async fn standing_freezes(&self) -> Result<Vec<StandingFreeze>, LedgerError> {
        self.read(|step| step.standing_freezes()).await
    }

    async fn say(&self, word: &PactWord) -> Result<PactAnswer, LedgerError> {
        let word = word.clone();
        self.write(move |step| step.say(&word)).await
    }

    async fn pact(&self, pact: &Pact) -> Result<Option<PactStanding>, LedgerError> {
        let pact = pact.clone();
        self.read(move |step| step.pact(&pact)).await
    }

    async fn seal(&self, reason: &str) -> Result<(), LedgerError> {
        let reason = reason.to_owned();
        Ok(self.worker.write_regardless(move |step| step.seal(&reason)).await?)
    }

    async fn unseal(&self) -> Result<(), LedgerError> {
        self.write(|step| step.unseal()).await
    }

    async fn init(&self) -> Result<InitAnswer, LedgerError> {
        Ok(self.worker.alone(|books| books.init()).await?)
    }

    async fn audit(&self) -> Result<Option<String>, LedgerError> {
        match self.write(|step| step.audit()).await {
            // the thread has sealed the books
            Err(LedgerError::Damaged(why)) => Ok(Some(why)),
            answer => answer.map(|()| None),
        }
    }

    async fn describe(&self) -> Result<LedgerStatus, LedgerError> {
        Ok(self.worker.alone(|books| books.describe()).await?)
    }
}
