//! One lane per (chain, wallet): commit, sign and send in order. Lanes never wait for each other.

use std::{mem, sync::Arc};

use alloy_primitives::Address;
use countersign_core::{
    identity::{ChainId, WalletId},
    operation::OperationRecord,
    time::Millis,
};
use futures_util::future::{Either, select};
use tokio::sync::{mpsc, oneshot};
use tracing::{Instrument as _, Span};

use crate::{
    claim::Claim,
    departure::Departures,
    engine::Engine,
    execute::{GapJob, LANE_FULL, NONCE_KEPT, Rest, Tried},
    intake::ALLOW_FOR,
    port::ledger::NONCE_HELD_FOR,
    reply::NODE_REFUSED,
    setup::Setup,
    stage::{Committed, Reservation, Reserved},
};

/// Jobs that a lane holds before its callers wait.
const QUEUE_MAX: usize = 16_384;

/// How often a lane looks whether the nonces that it waits for have come.
const GAP_LOOK: Millis = Millis(200);

/// The most jobs of a lane that wait.
const GAPS_MAX: usize = 256;

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
    /// The step of its caller that it is a part of.
    pub(crate) step: Span,
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
    clock.spawn(Box::pin(async move { Worker::new(engine).run(receiver).await }));
    sender
}

/// A job that cannot be committed yet.
#[derive(Debug)]
struct Gap {
    job: Box<GapJob>,
    why: Wait,
    until: Millis,
}

/// What a job waits for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Wait {
    /// Its client fixed a nonce above the lane's next one.
    Earlier,
    /// The lane's next nonce is kept for an operation that waits for people.
    Kept,
    /// As many as may be are on their way.
    Room,
}

impl Wait {
    fn patience(self, setup: &Setup, record: &OperationRecord) -> Millis {
        match self {
            Self::Earlier => {
                setup.chains.get(&record.chain()).map_or(Millis::ZERO, |chain| chain.gap_wait)
            }
            Self::Kept => NONCE_HELD_FOR,
            Self::Room => ALLOW_FOR,
        }
    }
}

struct Worker {
    engine: Arc<Engine>,
    waiting: Vec<Gap>,
    departures: Departures,
    // a commit had no answer, and those behind it were not told yet
    is_unanswered: bool,
}

impl Worker {
    fn new(engine: Arc<Engine>) -> Self {
        Self { engine, waiting: Vec::new(), departures: Departures::new(), is_unanswered: false }
    }

    async fn run(mut self, mut receiver: mpsc::Receiver<Job>) {
        loop {
            if self.waiting.is_empty() {
                let Some(job) = receiver.recv().await else { return };
                let step = job.step.clone();
                self.take(job).instrument(step).await;
                self.let_go(&mut receiver);
                continue;
            }
            let timer = self.engine.ports().clock.sleep(GAP_LOOK);
            match select(Box::pin(receiver.recv()), timer).await {
                Either::Left((Some(job), _)) => {
                    let step = job.step.clone();
                    self.take(job).instrument(step).await;
                }
                Either::Left((None, timer)) => timer.await,
                Either::Right(_) => {}
            }
            self.fill_gaps().await;
            self.let_go(&mut receiver);
        }
    }

    /// Behind books that do not answer each of a crowd would wait for all before it to run out of time: those that stand
    /// behind one that had no answer are told that they go on by themselves. A sweep takes them up.
    fn let_go(&mut self, receiver: &mut mpsc::Receiver<Job>) {
        if !mem::take(&mut self.is_unanswered) {
            return;
        }
        while let Ok(Job { task, setup, done, claim, step }) = receiver.try_recv() {
            tracing::warn!(operation = %task.record().id, "the books do not answer; it will be looked up");
            Rest { setup, done, claim, step }.tell(Outcome::Open);
        }
    }

    async fn take(&mut self, job: Job) {
        let Job { task, setup, done, claim, step } = job;
        let rest = Rest { setup, done, claim, step };
        match task {
            Task::Sign(committed) => {
                let room = self.departures.room().await;
                // it was bound a while ago: what stops a signature may have come in between
                if self.engine.is_stopped(committed.record()).await {
                    return rest.tell(Outcome::Open);
                }
                let order = (&mut self.departures, room);
                self.engine.sign_and_send((committed, rest), order).await;
            }
            Task::Commit { reservation, errand } => {
                self.try_commit(GapJob { reservation, errand, rest }).await;
            }
        }
    }

    /// Tries a fresh job; one that has to wait goes to the end of those that do.
    async fn try_commit(&mut self, job: GapJob) {
        let (job, why) = match self.engine.commit_step(job, &mut self.departures).await {
            Tried::Over => return,
            Tried::Unanswered => {
                self.is_unanswered = true;
                return;
            }
            Tried::Waits(job, why) => (job, why),
        };
        if self.waiting.len() >= GAPS_MAX {
            return self.give_up(*job, why).await;
        }
        let now = self.engine.ports().clock.monotonic();
        let patience = why.patience(&job.rest.setup, job.reservation.record());
        let until = Millis(now.0.saturating_add(patience.0));
        self.waiting.push(Gap { job, why, until });
    }

    /// Tries the waiting jobs whose turn it is, in their order; gives back those whose time is over.
    async fn fill_gaps(&mut self) {
        let mut next = self.next().await;
        let mut place = 0;
        // where one finds the lane closed, all that could take any nonce would
        let mut closed = false;
        while let Some(gap) = self.waiting.get(place) {
            let is_due = gap.nonce().map_or(!closed, |nonce| Some(nonce) <= next);
            if !is_due {
                place = place.saturating_add(1);
                continue;
            }
            let Gap { job, until, .. } = self.waiting.remove(place);
            let step = job.rest.step.clone();
            let attempt = self.engine.commit_step(*job, &mut self.departures);
            match attempt.instrument(step).await {
                Tried::Waits(job, why) => {
                    closed |= job.reservation.record().intent.nonce.is_none();
                    self.waiting.insert(place, Gap { job, why, until });
                    place = place.saturating_add(1);
                }
                Tried::Over => {
                    next = self.next().await;
                    place = 0;
                }
                // the others wait for as long as they may anyway
                Tried::Unanswered => {
                    self.is_unanswered = true;
                    break;
                }
            }
        }
        self.drop_late().await;
    }

    async fn next(&self) -> Option<u64> {
        self.engine.lane_next(&self.waiting.first()?.job).await
    }

    async fn drop_late(&mut self) {
        let now = self.engine.ports().clock.monotonic();
        let (late, waiting) =
            mem::take(&mut self.waiting).into_iter().partition(|gap| gap.until <= now);
        self.waiting = waiting;
        let late: Vec<Gap> = late;
        for Gap { job, why, .. } in late {
            self.give_up(*job, why).await;
        }
    }

    async fn give_up(&self, job: GapJob, why: Wait) {
        let record = job.reservation.record();
        let outcome = match why {
            Wait::Earlier => {
                let reason = self.engine.gap_reason(record).await;
                self.engine.refuse(record, NODE_REFUSED, &reason).await
            }
            Wait::Kept => self.engine.refuse(record, "lane_unavailable", NONCE_KEPT).await,
            Wait::Room => self.engine.refuse(record, "lane_unavailable", LANE_FULL).await,
        };
        job.rest.tell(outcome);
    }
}

impl Gap {
    fn nonce(&self) -> Option<u64> {
        self.job.reservation.record().intent.nonce
    }
}
