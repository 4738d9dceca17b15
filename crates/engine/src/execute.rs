//! What a lane does with one job: commit, sign, store the bytes, send them.

use std::sync::Arc;

use alloy_primitives::{Address, U256};
use countersign_core::{identity::OperationId, operation::OperationRecord, trace::Severity};
use countersign_policy::spoken_against;
use tokio::sync::oneshot;
use tracing::Instrument as _;

use crate::{
    claim::Claim,
    departure::{Departures, Parcel, Room},
    engine::Engine,
    lane::{Errand, LaneId, Outcome, Wait},
    port::chain::{Account, Broadcast, ChainError},
    port::ledger::{Commit, CommitAnswer, LedgerError, SentOutcome, SignedBytes},
    port::telemetry::{Measured, Stopwatch},
    reply::{NODE_REFUSED, SEALED, is_ours},
    setup::{ChainSetup, Setup},
    stage::{Commitment, Committed, Reservation, Reserved, SignError, Signed, sign},
    tracker::{is_unseen, outflow},
};

/// How often a step is repeated that may have reached the store.
const ASK_MAX: u8 = 3;

/// Stands for the want of a signature among what people are told about an operation's attempts.
const NO_SIGNATURE: usize = 1_000_000;

/// Why a lane does not go on.
pub(crate) const NONCE_KEPT: &str = "the next nonce is kept for an operation that waits for people";

/// The same, where the wallet's limit is reached.
pub(crate) const LANE_FULL: &str = "too many transactions of this wallet are on their way";

/// A job that is to be committed.
#[derive(Debug)]
pub(crate) struct GapJob {
    pub(crate) reservation: Reservation<Reserved>,
    pub(crate) errand: Errand,
    pub(crate) rest: Rest,
}

/// What a job carries besides its work.
#[derive(Debug)]
pub(crate) struct Rest {
    pub(crate) setup: Arc<Setup>,
    pub(crate) done: oneshot::Sender<Outcome>,
    pub(crate) claim: Option<Claim>,
    pub(crate) step: tracing::Span,
}

impl Rest {
    /// A caller that has gone finds the operation by repeating its request.
    pub(crate) fn tell(self, outcome: Outcome) {
        let Self { setup: _, done, claim, step: _ } = self;
        drop(claim);
        drop(done.send(outcome));
    }
}

/// What an attempt to commit came to.
pub(crate) enum Tried {
    /// Whoever waits for it is told.
    Over,
    /// It has to wait.
    Waits(Box<GapJob>, Wait),
    /// The books did not answer; whoever waits for it is told that it goes on by itself.
    Unanswered,
}

impl Engine {
    /// One attempt to commit a job, which is given back where it has to wait; else whoever waits for it is told. What is
    /// committed is signed at once, and goes out in its order.
    pub(crate) async fn commit_step(
        self: &Arc<Self>,
        job: GapJob,
        departures: &mut Departures,
    ) -> Tried {
        let room = departures.room().await;
        let GapJob { reservation, errand, rest } = job;
        let record = reservation.record().clone();
        let checks = self.commitment(&rest.setup, &reservation, &errand);
        let commit = match checks.instrument(tracing::debug_span!("funds")).await {
            Ok(commit) => commit,
            Err((code, reason)) => {
                rest.tell(self.refuse(&record, code, &reason).await);
                return Tried::Over;
            }
        };
        let committing = self.commit(reservation, &commit);
        match committing.instrument(tracing::debug_span!("commit")).await {
            Ok(Commitment::Made(committed)) => {
                self.follow(committed.record());
                self.sign_and_send((committed, rest), (departures, room)).await;
            }
            Ok(Commitment::Refused(reservation, refusal)) => {
                if let Some(why) = wait(&refusal) {
                    return Tried::Waits(Box::new(GapJob { reservation, errand, rest }), why);
                }
                rest.tell(self.refused(&record, refusal).await);
            }
            Ok(Commitment::Elsewhere(record)) => rest.tell(elsewhere(record)),
            Err(error) => {
                tracing::error!(operation = %record.id, %error, "a commit has no answer; it will be looked up");
                rest.tell(Outcome::Open);
                return Tried::Unanswered;
            }
        }
        Tried::Over
    }

    pub(crate) async fn commit(
        &self,
        mut reservation: Reservation<Reserved>,
        commit: &Commit,
    ) -> Result<Commitment, LedgerError> {
        let mut asked: u8 = 1;
        loop {
            match reservation.commit(&*self.ports().ledger, commit).await {
                Err((back, LedgerError::Ambiguous(_))) if asked < ASK_MAX => {
                    reservation = back;
                    asked = asked.saturating_add(1);
                }
                Err((_, error)) => return Err(error),
                Ok(commitment) => return Ok(commitment),
            }
        }
    }

    /// The commit's arguments, or why the wallet cannot pay.
    async fn commitment(
        &self,
        setup: &Setup,
        reservation: &Reservation<Reserved>,
        errand: &Errand,
    ) -> Result<Commit, (&'static str, String)> {
        let record = reservation.record();
        let (Some(wallet), Some(chain)) =
            (setup.wallets.get(record.wallet()), setup.chains.get(&record.chain()))
        else {
            let reason = "the wallet or chain is not configured any more";
            return Err(("configuration_changed", reason.into()));
        };
        let lane = (chain.id, wallet.id.clone());
        let funds = self.funds(chain, (&lane, wallet.address)).await;
        let (account, in_flight) =
            funds.map_err(|error| ("upstream_unavailable", error.to_string()))?;
        let needed = outflow(record).saturating_add(in_flight);
        if needed > account.balance {
            return Err((NODE_REFUSED, shortfall(needed, account.balance)));
        }
        Ok(Commit {
            operation: record.id,
            fence: record.fence,
            floor: account.nonce,
            in_flight_max: wallet.in_flight_max,
            grant: reservation.grant(),
            shrinks_only: errand.shrinks_only,
            shared_lane: wallet.signer.is_external(),
            counterparties: errand.counterparties.clone(),
        })
    }

    /// What a wallet has, and what of it is in flight. What is settled is not in flight any more, and so has to be in the
    /// balance.
    async fn funds(
        &self,
        chain: &ChainSetup,
        (lane, wallet): (&LaneId, Address),
    ) -> Result<(Account, U256), ChainError> {
        let account = chain.port.account_with(wallet, self.settled_to(lane)).await?;
        let in_flight = self.in_flight(lane, account.nonce);
        if self.settled_to(lane) <= account.nonce {
            return Ok((account, in_flight));
        }
        // something was settled meanwhile that the balance does not show
        let account = chain.port.account(wallet).await?;
        Ok((account, self.in_flight(lane, account.nonce)))
    }

    pub(crate) async fn refused(&self, record: &OperationRecord, refusal: CommitAnswer) -> Outcome {
        match refusal {
            CommitAnswer::NonceTaken { next } => {
                let nonce = record.intent.nonce.unwrap_or(next);
                let reason = format!("nonce {nonce} is taken; the next is {next}");
                self.refuse(record, NODE_REFUSED, &reason).await
            }
            CommitAnswer::Gap { next } => {
                self.refuse(record, NODE_REFUSED, &format!("the next nonce is {next}")).await
            }
            CommitAnswer::Held { .. } => self.refuse(record, "lane_unavailable", NONCE_KEPT).await,
            CommitAnswer::LaneFull => self.refuse(record, "lane_unavailable", LANE_FULL).await,
            CommitAnswer::Lapsed if record.votes.is_empty() => {
                let reason = "the decision is too old to be carried out";
                self.refuse(record, "lane_unavailable", reason).await
            }
            CommitAnswer::Lapsed => {
                self.refuse(record, "approval_expired", "it was not carried out in time").await
            }
            CommitAnswer::Frozen(_) => {
                self.refuse(record, "frozen", "an operator has frozen signing").await
            }
            CommitAnswer::Ended(standing) => {
                let (code, why) = spoken_against(&standing);
                self.refuse(record, code, &format!("the grant {why}")).await
            }
            CommitAnswer::Sealed(reason) => {
                let reason = format!("the ledger is sealed: {reason}");
                self.refuse(record, SEALED, &reason).await
            }
            CommitAnswer::Bound(record) | CommitAnswer::Elsewhere(record) => elsewhere(record),
        }
    }

    /// The nonce that the lane gives out next, as far as ledger and chain can say.
    pub(crate) async fn lane_next(&self, job: &GapJob) -> Option<u64> {
        let record = job.reservation.record();
        let bound = self.ports().ledger.next_nonce(record.chain(), record.wallet()).await.ok()?;
        let chain = job.rest.setup.chains.get(&record.chain())?;
        let mined = chain.port.account(record.intent.address).await.ok()?.nonce;
        Some(bound.unwrap_or(0).max(mined))
    }

    /// What a client is told whose nonce waited in vain.
    pub(crate) async fn gap_reason(&self, record: &OperationRecord) -> String {
        let next = self.ports().ledger.next_nonce(record.chain(), record.wallet()).await;
        let next = next.ok().flatten().unwrap_or(0);
        let nonce = record.intent.nonce.unwrap_or(next);
        format!("nonce {nonce} waited for earlier ones that did not come; the next is {next}")
    }

    /// Releases what is reserved, with a code. Never called after commit. What people approved is not given back for
    /// reasons of ours: a sweep tries it again.
    pub(crate) async fn refuse(
        &self,
        record: &OperationRecord,
        code: &str,
        reason: &str,
    ) -> Outcome {
        if is_ours(code) && !record.votes.is_empty() {
            return Outcome::Open;
        }
        match self.give_back(record, code, reason).await {
            Some(record) => Outcome::Finished(record),
            None => Outcome::Open,
        }
    }

    /// One signature, in the order of the lane; what it makes is stored and sent beside the lane's work.
    pub(crate) async fn sign_and_send(
        self: &Arc<Self>,
        (committed, rest): (Reservation<Committed>, Rest),
        (departures, room): (&mut Departures, Room),
    ) {
        match self.signature(&rest.setup, committed).await {
            Some((signed, bound)) => {
                self.depart(Parcel { signed, bound, rest }, departures, room);
            }
            None => rest.tell(Outcome::Open),
        }
    }

    /// The one signature that a commit gives the right to, with the operation as it was bound; people are told where
    /// there is none.
    pub(crate) async fn signature(
        &self,
        setup: &Setup,
        committed: Reservation<Committed>,
    ) -> Option<(Signed, Box<OperationRecord>)> {
        let (authorized, record) = committed.authorize();
        let wallet = setup.wallets.get(record.wallet())?;
        let watch = Stopwatch::start(&*self.ports().telemetry);
        let signing = sign(authorized, &wallet.signer, wallet.address);
        match signing.instrument(tracing::debug_span!("sign")).await {
            Ok(signed) => {
                watch.stop(Measured::Sign);
                Some((signed, record))
            }
            Err(error) => {
                tracing::error!(operation = %record.id, %error, "no signature");
                self.no_signature(&record, &error).await;
                None
            }
        }
    }

    /// Tells people once for each operation; a sweep goes on asking the signer.
    async fn no_signature(&self, record: &OperationRecord, error: &SignError) {
        let (severity, code) = match error {
            SignError::Signer(_) | SignError::Changed(_) => (Severity::High, "signer_unavailable"),
            SignError::NotOurs { .. } => (Severity::Critical, "foreign_signature"),
        };
        if self.tell_once(record.id, NO_SIGNATURE) {
            self.raise(severity, code, &error.to_string(), Some(record)).await;
        }
    }

    pub(crate) async fn store_signed(
        &self,
        id: OperationId,
        attempt: u32,
        bytes: &SignedBytes,
        said: Option<&SentOutcome>,
    ) -> Result<OperationRecord, LedgerError> {
        let ledger = &self.ports().ledger;
        let mut asked: u8 = 1;
        loop {
            match ledger.signed(id, attempt, bytes, said).await {
                Err(LedgerError::Ambiguous(_)) if asked < ASK_MAX => {
                    asked = asked.saturating_add(1);
                }
                answer => return answer,
            }
        }
    }

    /// Sends what was asked to be sent. `None` where that is the agent's own matter.
    pub(crate) async fn send(
        &self,
        setup: &Setup,
        record: &OperationRecord,
        bytes: &SignedBytes,
    ) -> Option<SentOutcome> {
        let chain = setup.chains.get(&record.chain())?;
        if is_unseen(record) {
            return None;
        }
        let broadcast = chain.port.broadcast(&bytes.raw, bytes.hash);
        let span = tracing::debug_span!("broadcast", countersign.transaction = %bytes.hash);
        let outcome = outcome_of(broadcast.instrument(span).await);
        if let SentOutcome::Unknown(words) = &outcome {
            tracing::warn!(operation = %record.id, hash = %bytes.hash, %words, "the node did not take a transaction; the same bytes will be sent again");
        }
        Some(outcome)
    }

    /// Notes what the node said. Whatever that is, the operation stays committed.
    pub(crate) async fn note_sent(
        &self,
        record: OperationRecord,
        attempt: u32,
        outcome: &SentOutcome,
    ) -> OperationRecord {
        match self.ports().ledger.sent(record.id, attempt, outcome).await {
            Ok(record) => record,
            Err(error) => {
                tracing::warn!(operation = %record.id, %error, "a send is not noted; it will be repeated");
                record
            }
        }
    }
}

/// What a refused commit has to wait for, where waiting helps.
const fn wait(refusal: &CommitAnswer) -> Option<Wait> {
    match refusal {
        CommitAnswer::Gap { .. } => Some(Wait::Earlier),
        CommitAnswer::Held { .. } => Some(Wait::Kept),
        CommitAnswer::LaneFull => Some(Wait::Room),
        CommitAnswer::Bound(_)
        | CommitAnswer::NonceTaken { .. }
        | CommitAnswer::Lapsed
        | CommitAnswer::Frozen(_)
        | CommitAnswer::Ended(_)
        | CommitAnswer::Sealed(_)
        | CommitAnswer::Elsewhere(_) => None,
    }
}

/// Another hand moved the operation: it goes on from where it stands, by a sweep if by nobody else.
pub(crate) fn elsewhere(record: Box<OperationRecord>) -> Outcome {
    if record.is_finished_for_agent() { Outcome::Finished(record) } else { Outcome::Open }
}

/// Only an acceptance is certain; every refusal leaves bytes that may still be mined (LEDGER §1).
pub(crate) fn outcome_of(broadcast: Broadcast) -> SentOutcome {
    match broadcast {
        Broadcast::Accepted => SentOutcome::Accepted,
        Broadcast::OtherHash { theirs } => {
            SentOutcome::Unknown(format!("the node named another hash: {theirs}"))
        }
        Broadcast::NonceTooLow(words)
        | Broadcast::Underpriced(words)
        | Broadcast::Refused(words)
        | Broadcast::Unknown(words) => SentOutcome::Unknown(words),
    }
}

pub(crate) fn shortfall(needed: U256, balance: U256) -> String {
    format!(
        "the wallet's balance of {balance} wei does not cover value, fee and what is in flight: {needed} wei"
    )
}
