//! One lane per (chain, wallet): commit, sign and send in order. Lanes never wait for each other.

use std::sync::Arc;

use alloy_primitives::{Address, U256};
use countersign_core::{
    identity::{ChainId, OperationId, WalletId},
    intent::Method,
    operation::OperationRecord,
    time::Millis,
    trace::Severity,
};
use futures_util::future::{Either, select};
use tokio::sync::{mpsc, oneshot};

use crate::{
    claim::Claim,
    engine::Engine,
    plan::outflow_max,
    port::chain::Broadcast,
    port::ledger::{Commit, CommitAnswer, LedgerError, NONCE_HELD_FOR, SentOutcome, SignedBytes},
    reply::{NODE_REFUSED, SEALED, is_ours},
    setup::Setup,
    stage::{Commitment, Committed, Reservation, Reserved, SignError, sign},
};

/// Jobs that a lane holds before its callers wait.
const QUEUE_MAX: usize = 16_384;

/// How often a lane looks whether the nonces that it waits for have come.
const GAP_LOOK: Millis = Millis(200);

/// The most jobs of a lane that wait for earlier nonces.
const GAPS_MAX: usize = 256;

/// How often a step is repeated that may have reached the store.
const ASK_MAX: u8 = 3;

/// Stands for the want of a signature among what people are told about an operation's attempts.
const NO_SIGNATURE: usize = 1_000_000;

/// Why a lane does not go on.
const NONCE_KEPT: &str = "the next nonce is kept for an operation that waits for people";

/// Which lane.
pub(crate) type LaneId = (ChainId, WalletId);

/// Work for a lane.
#[derive(Debug)]
pub(crate) struct Job {
    /// What to carry out.
    pub(crate) task: Task,
    /// The snapshot that it was judged with.
    pub(crate) setup: Arc<Setup>,
    /// Told when the first send is over, or there will be none.
    pub(crate) done: oneshot::Sender<Outcome>,
    /// Keeps sweeps away until the work is over.
    pub(crate) claim: Option<Claim>,
}

impl Task {
    /// The operation that it is about.
    pub(crate) const fn record(&self) -> &OperationRecord {
        match self {
            Self::Commit { reservation, .. } => reservation.record(),
            Self::Sign(committed) => committed.record(),
        }
    }
}

/// Where the work begins.
#[derive(Debug)]
pub(crate) enum Task {
    /// From the reservation on.
    Commit { reservation: Reservation<Reserved>, errand: Errand },
    /// The ledger shows a commit without a signature.
    Sign(Reservation<Committed>),
}

/// What commit must know besides the reservation.
#[derive(Debug, Clone)]
pub(crate) struct Errand {
    /// Only authority shrinks.
    pub(crate) shrinks_only: bool,
    /// Who gets value or authority.
    pub(crate) counterparties: Vec<Address>,
}

/// What became of a job.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The record as it stands: signed, or released with a code.
    Finished(Box<OperationRecord>),
    /// It goes on by itself; nobody can say yet how it ends.
    Open,
}

/// The way in.
pub(crate) type Lane = mpsc::Sender<Job>;

/// Starts a lane; it ends when its way in is dropped and its queue is empty.
pub(crate) fn start(engine: &Arc<Engine>) -> Lane {
    let (sender, receiver) = mpsc::channel(QUEUE_MAX);
    let engine = Arc::clone(engine);
    let clock = Arc::clone(&engine.ports().clock);
    clock
        .spawn(Box::pin(async move { Worker { engine, waiting: Vec::new() }.run(receiver).await }));
    sender
}

/// A job whose fixed nonce lies above the lane's next one.
#[derive(Debug)]
struct Gap {
    job: Box<GapJob>,
    until: Millis,
}

#[derive(Debug)]
struct GapJob {
    reservation: Reservation<Reserved>,
    errand: Errand,
    rest: Rest,
}

/// What a job carries besides its work.
#[derive(Debug)]
struct Rest {
    setup: Arc<Setup>,
    done: oneshot::Sender<Outcome>,
    claim: Option<Claim>,
}

struct Worker {
    engine: Arc<Engine>,
    waiting: Vec<Gap>,
}

/// What one attempt to commit came to.
enum Step {
    Over(Rest, Outcome),
    /// For at most so long.
    Waits(GapJob, Millis),
}

impl Worker {
    async fn run(mut self, mut receiver: mpsc::Receiver<Job>) {
        loop {
            if self.waiting.is_empty() {
                let Some(job) = receiver.recv().await else { return };
                self.take(job).await;
                continue;
            }
            let timer = self.engine.ports().clock.sleep(GAP_LOOK);
            match select(Box::pin(receiver.recv()), timer).await {
                Either::Left((Some(job), _)) => self.take(job).await,
                Either::Left((None, timer)) => timer.await,
                Either::Right(_) => {}
            }
            self.fill_gaps().await;
        }
    }

    async fn take(&mut self, job: Job) {
        let Job { task, setup, done, claim } = job;
        let rest = Rest { setup, done, claim };
        match task {
            Task::Sign(committed) => {
                let outcome = self.engine.sign_and_send(&rest.setup, committed).await;
                tell(rest, outcome);
            }
            Task::Commit { reservation, errand } => {
                self.try_commit(GapJob { reservation, errand, rest }, None).await;
            }
        }
    }

    async fn try_commit(&mut self, job: GapJob, until: Option<Millis>) {
        match self.engine.commit_step(job).await {
            Step::Over(rest, outcome) => tell(rest, outcome),
            Step::Waits(job, _) if self.waiting.len() >= GAPS_MAX => self.give_up(job).await,
            Step::Waits(job, patience) => {
                let now = self.engine.ports().clock.monotonic();
                let until = until.unwrap_or(Millis(now.0.saturating_add(patience.0)));
                self.waiting.push(Gap { job: Box::new(job), until });
            }
        }
    }

    /// Tries the waiting jobs whose turn it is, lowest nonce first; gives back those whose time is over.
    async fn fill_gaps(&mut self) {
        loop {
            let Some(first) = self.waiting.first() else { return };
            let next = self.engine.lane_next(&first.job).await;
            let is_due = |gap: &Gap| gap.nonce().is_none_or(|n| Some(n) <= next);
            let Some(due) = self.waiting.iter().position(is_due) else { break };
            let Gap { job, until } = self.waiting.remove(due);
            let waiting = self.waiting.len();
            self.try_commit(*job, Some(until)).await;
            if self.waiting.len() > waiting {
                break;
            }
        }
        let now = self.engine.ports().clock.monotonic();
        let (over, waiting) =
            std::mem::take(&mut self.waiting).into_iter().partition(|gap| gap.until <= now);
        self.waiting = waiting;
        let over: Vec<Gap> = over;
        for Gap { job, .. } in over {
            self.give_up(*job).await;
        }
    }

    async fn give_up(&self, job: GapJob) {
        let record = job.reservation.record();
        let outcome = if record.intent.nonce.is_none() {
            self.engine.refuse(record, "lane_unavailable", NONCE_KEPT).await
        } else {
            let reason = self.engine.gap_reason(record).await;
            self.engine.refuse(record, NODE_REFUSED, &reason).await
        };
        tell(job.rest, outcome);
    }
}

impl Gap {
    fn nonce(&self) -> Option<u64> {
        self.job.reservation.record().intent.nonce
    }
}

fn gap_wait(setup: &Setup, record: &OperationRecord) -> Millis {
    setup.chains.get(&record.chain()).map_or(Millis::ZERO, |chain| chain.gap_wait)
}

/// A caller that has gone finds the operation by repeating its request.
fn tell(rest: Rest, outcome: Outcome) {
    let Rest { setup: _, done, claim } = rest;
    drop(claim);
    drop(done.send(outcome));
}

impl Engine {
    async fn commit_step(self: &Arc<Self>, job: GapJob) -> Step {
        let GapJob { reservation, errand, rest } = job;
        let record = reservation.record().clone();
        let commit = match self.commitment(&rest.setup, &reservation, &errand).await {
            Ok(commit) => commit,
            Err((code, reason)) => {
                let outcome = self.refuse(&record, code, &reason).await;
                return Step::Over(rest, outcome);
            }
        };
        match self.commit(reservation, &commit).await {
            Ok(Commitment::Made(committed)) => {
                self.follow(committed.record());
                let outcome = self.sign_and_send(&rest.setup, committed).await;
                Step::Over(rest, outcome)
            }
            Ok(Commitment::Refused(reservation, CommitAnswer::Gap { .. })) => {
                let patience = gap_wait(&rest.setup, &record);
                Step::Waits(GapJob { reservation, errand, rest }, patience)
            }
            Ok(Commitment::Refused(reservation, CommitAnswer::Held { .. })) => {
                Step::Waits(GapJob { reservation, errand, rest }, NONCE_HELD_FOR)
            }
            Ok(Commitment::Refused(_, refusal)) => {
                let outcome = self.refused(&record, refusal).await;
                Step::Over(rest, outcome)
            }
            Ok(Commitment::Elsewhere(record)) => Step::Over(rest, elsewhere(record)),
            Err(error) => {
                tracing::error!(operation = %record.id, %error, "a commit has no answer; it will be looked up");
                Step::Over(rest, Outcome::Open)
            }
        }
    }

    async fn commit(
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
        let account = chain.port.account(wallet.address).await;
        let account = account.map_err(|error| ("upstream_unavailable", error.to_string()))?;
        let lane = (chain.id, wallet.id.clone());
        let needed =
            outflow_max(record.plan()).saturating_add(self.in_flight(&lane, account.nonce));
        if needed > account.balance {
            return Err((NODE_REFUSED, shortfall(needed, account.balance)));
        }
        Ok(Commit {
            operation: record.id,
            fence: record.fence,
            floor: account.nonce,
            in_flight_max: wallet.in_flight_max,
            shrinks_only: errand.shrinks_only,
            counterparties: errand.counterparties.clone(),
        })
    }

    async fn refused(&self, record: &OperationRecord, refusal: CommitAnswer) -> Outcome {
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
            CommitAnswer::LaneFull => {
                let reason = "too many transactions of this wallet are on their way";
                self.refuse(record, "lane_unavailable", reason).await
            }
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
            CommitAnswer::Sealed(reason) => {
                let reason = format!("the ledger is sealed: {reason}");
                self.refuse(record, SEALED, &reason).await
            }
            CommitAnswer::Bound(record) | CommitAnswer::Elsewhere(record) => elsewhere(record),
        }
    }

    /// The nonce that the lane gives out next, as far as ledger and chain can say.
    async fn lane_next(&self, job: &GapJob) -> Option<u64> {
        let record = job.reservation.record();
        let bound = self.ports().ledger.next_nonce(record.chain(), record.wallet()).await.ok()?;
        let chain = job.rest.setup.chains.get(&record.chain())?;
        let mined = chain.port.account(record.intent.address).await.ok()?.nonce;
        Some(bound.unwrap_or(0).max(mined))
    }

    async fn gap_reason(&self, record: &OperationRecord) -> String {
        let next = self.ports().ledger.next_nonce(record.chain(), record.wallet()).await;
        let next = next.ok().flatten().unwrap_or(0);
        let nonce = record.intent.nonce.unwrap_or(next);
        format!("nonce {nonce} waited for earlier ones that did not come; the next is {next}")
    }

    /// Releases what is reserved, with a code. Never called after commit. What people approved is not given back for
    /// reasons of ours: a sweep tries it again.
    async fn refuse(&self, record: &OperationRecord, code: &str, reason: &str) -> Outcome {
        if is_ours(code) && !record.votes.is_empty() {
            return Outcome::Open;
        }
        match self.give_back(record, code, reason).await {
            Some(record) => Outcome::Finished(record),
            None => Outcome::Open,
        }
    }

    /// One signature, stored before the first byte is sent.
    pub(crate) async fn sign_and_send(
        self: &Arc<Self>,
        setup: &Setup,
        committed: Reservation<Committed>,
    ) -> Outcome {
        let record = committed.record().clone();
        let Some(wallet) = setup.wallets.get(record.wallet()) else { return Outcome::Open };
        let signed = match sign(committed.authorize(), &*wallet.signer, wallet.address).await {
            Ok(signed) => signed,
            Err(error) => {
                tracing::error!(operation = %record.id, %error, "no signature");
                self.no_signature(&record, &error).await;
                return Outcome::Open;
            }
        };
        let stored = self.store_signed(signed.operation(), signed.attempt(), signed.bytes()).await;
        let record = match stored {
            Ok(record) => record,
            Err(error) => {
                tracing::error!(operation = %record.id, %error, "a signature is not stored, nothing is sent");
                return Outcome::Open;
            }
        };
        let record = self.send(setup, record, signed.attempt(), signed.bytes()).await;
        self.follow(&record);
        self.hub().wake(record.id);
        Outcome::Finished(Box::new(record))
    }

    /// Tells people once for each operation; a sweep goes on asking the signer.
    async fn no_signature(&self, record: &OperationRecord, error: &SignError) {
        let (severity, code) = match error {
            SignError::Signer(_) => (Severity::High, "signer_unavailable"),
            SignError::NotOurs { .. } => (Severity::Critical, "foreign_signature"),
        };
        if self.tell_once(record.id, NO_SIGNATURE) {
            self.raise(severity, code, &error.to_string(), Some(record)).await;
        }
    }

    async fn store_signed(
        &self,
        id: OperationId,
        attempt: u32,
        bytes: &SignedBytes,
    ) -> Result<OperationRecord, LedgerError> {
        let ledger = &self.ports().ledger;
        let mut asked: u8 = 1;
        loop {
            match ledger.signed(id, attempt, bytes).await {
                Err(LedgerError::Ambiguous(_)) if asked < ASK_MAX => {
                    asked = asked.saturating_add(1);
                }
                answer => return answer,
            }
        }
    }

    /// Sends what was asked to be sent. Whatever the node says, the operation stays committed.
    async fn send(
        &self,
        setup: &Setup,
        record: OperationRecord,
        attempt: u32,
        bytes: &SignedBytes,
    ) -> OperationRecord {
        let Some(chain) = setup.chains.get(&record.chain()) else { return record };
        if record.intent.method == Method::SignTransaction {
            return record;
        }
        let outcome = outcome_of(chain.port.broadcast(&bytes.raw, bytes.hash).await);
        if let SentOutcome::Unknown(words) = &outcome {
            tracing::warn!(operation = %record.id, hash = %bytes.hash, %words, "the node did not take a transaction; the same bytes will be sent again");
        }
        match self.ports().ledger.sent(record.id, attempt, &outcome).await {
            Ok(record) => record,
            Err(error) => {
                tracing::warn!(operation = %record.id, %error, "a send is not noted; it will be repeated");
                record
            }
        }
    }
}

/// Another hand moved the operation: it goes on from where it stands, by a sweep if by nobody else.
fn elsewhere(record: Box<OperationRecord>) -> Outcome {
    if record.state.is_finished_for_agent() { Outcome::Finished(record) } else { Outcome::Open }
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

fn shortfall(needed: U256, balance: U256) -> String {
    format!(
        "the wallet's balance of {balance} wei does not cover value, fee and what is in flight: {needed} wei"
    )
}
