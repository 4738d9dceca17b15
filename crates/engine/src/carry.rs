//! From a reservation to the agent's answer: hands the work to the wallet's lane and waits for it.

use std::{pin::pin, sync::Arc};

use countersign_core::{
    action::{Action, Effect},
    identity::TraceHash,
    operation::OperationRecord,
    time::Millis,
    trace::{TraceStatus, TraceUpdate},
};
use futures_util::future::{Either, select};
use serde_json::json;
use tokio::sync::oneshot;
use tracing::Instrument as _;

use crate::{
    admission::Admitted,
    claim::Claim,
    engine::Engine,
    gather::counterparties,
    intake::failed_update,
    lane::{Errand, Job, LaneId, Outcome, Task, start},
    port::ledger::{Reject, RejectAnswer},
    reply::{SIGN_WAIT, is_ours},
    setup::Setup,
    submission::Reply,
};

impl Errand {
    /// What commit must know of these actions.
    pub(crate) fn of(actions: &[Action], wallet: alloy_primitives::Address) -> Self {
        let shrinks = |action: &Action| {
            matches!(action.effect, Effect::Revoke { .. }) && action.value_wei.is_zero()
        };
        let shrinks_only = !actions.is_empty() && actions.iter().all(shrinks);
        Self { shrinks_only, counterparties: counterparties(actions, wallet) }
    }
}

impl Engine {
    /// Has a fresh reservation carried out, and answers its caller: with the result, or after a while that it is
    /// still at work.
    pub(crate) async fn carry_out(
        self: &Arc<Self>,
        admitted: &Admitted,
        (record, tasks): (OperationRecord, Vec<Task>),
        claim: Option<Claim>,
    ) -> Reply {
        admitted.turn.give_back();
        let setup = Arc::clone(admitted.setup());
        let gap_wait = setup.chains.get(&record.chain()).map_or(Millis::ZERO, |c| c.gap_wait);
        let patience = self.ports().clock.sleep(Millis(gap_wait.0.saturating_add(SIGN_WAIT.0)));
        let mut caller = admitted.caller.clone();
        let gone = pin!(caller.gone());
        let impatient = select(patience, gone);
        let work = pin!(self.carry_tasks(setup, tasks, claim));
        let record = match select(work, impatient).await {
            Either::Left((Outcome::Finished(record), _)) => *record,
            Either::Left((Outcome::Open, _)) | Either::Right(_) => self.current(record).await,
        };
        if record.state.is_signed() {
            self.note_signed(&record, Some(self.duration(admitted)));
        }
        self.answer_waiting(&record).await
    }

    /// From the request's first byte until now, in milliseconds.
    pub(crate) fn duration(&self, admitted: &Admitted) -> u64 {
        self.ports().clock.monotonic().0.saturating_sub(admitted.submission.received.0)
    }

    /// Tasks in their order; what becomes of the first.
    pub(crate) async fn carry_tasks(
        self: &Arc<Self>,
        setup: Arc<Setup>,
        mut tasks: Vec<Task>,
        claim: Option<Claim>,
    ) -> Outcome {
        match (tasks.pop(), tasks.is_empty()) {
            (None, _) => Outcome::Open,
            (Some(only), true) => self.enqueue(setup, only, claim).await,
            (Some(last), false) => {
                tasks.push(last);
                self.carry_in_order(setup, tasks, claim).await
            }
        }
    }

    /// Carries out what nobody waits for, and notes the signature.
    pub(crate) async fn carry_on_alone(
        self: &Arc<Self>,
        setup: Arc<Setup>,
        tasks: Vec<Task>,
        claim: Claim,
    ) -> Outcome {
        let outcome = self.carry_tasks(setup, tasks, Some(claim)).await;
        if let Outcome::Finished(record) = &outcome
            && record.state.is_signed()
        {
            self.note_signed(record, None);
        }
        outcome
    }

    /// Puts a task into its lane and waits until its first send is over.
    pub(crate) async fn enqueue(
        self: &Arc<Self>,
        setup: Arc<Setup>,
        task: Task,
        claim: Option<Claim>,
    ) -> Outcome {
        if task.record().message().is_some() {
            return self.attest_with(setup, task, claim).await;
        }
        let (done, outcome) = oneshot::channel();
        let record = task.record();
        let lane = self.lane((record.chain(), record.wallet().clone()));
        let step = tracing::Span::current();
        if lane.send(Job { task, setup, done, claim, step }).await.is_err() {
            return Outcome::Open;
        }
        outcome.await.unwrap_or(Outcome::Open)
    }

    /// Beside its caller, who may go away: what is begun goes on.
    async fn attest_with(
        self: &Arc<Self>,
        setup: Arc<Setup>,
        task: Task,
        claim: Option<Claim>,
    ) -> Outcome {
        let (done, outcome) = oneshot::channel();
        let engine = Arc::clone(self);
        let work = async move {
            drop(done.send(engine.attest(&setup, task).await));
            drop(claim);
        };
        self.ports().clock.spawn(Box::pin(work.in_current_span()));
        outcome.await.unwrap_or(Outcome::Open)
    }

    fn lane(self: &Arc<Self>, id: LaneId) -> crate::lane::Lane {
        let mut lanes = self.lanes();
        let lane = lanes.entry(id).or_insert_with(|| start(self));
        if lane.is_closed() {
            *lane = start(self);
        }
        lane.clone()
    }

    /// The record as it stands, or as it was where the ledger does not say.
    pub(crate) async fn current(&self, record: OperationRecord) -> OperationRecord {
        self.ports().ledger.operation(record.id).await.ok().flatten().unwrap_or(record)
    }

    /// Releases a reservation that nothing was bound for, from the state that the caller saw. `None` if it was not
    /// released: another hand moved it, or the ledger cannot say.
    pub(crate) async fn give_back(
        &self,
        record: &OperationRecord,
        code: &str,
        reason: &str,
    ) -> Option<Box<OperationRecord>> {
        let reject = Reject {
            operation: record.id,
            from: vec![record.state],
            code: code.into(),
            reason: reason.into(),
            vote: None,
            void: is_ours(code),
        };
        let released = match self.ports().ledger.reject(&reject).await {
            Ok(RejectAnswer::Rejected(record)) => record,
            Ok(RejectAnswer::Elsewhere(_) | RejectAnswer::Missing) => return None,
            Err(error) => {
                tracing::warn!(operation = %record.id, %error, "a reservation could not be given back; it will be looked up");
                return None;
            }
        };
        self.note(&released, &failed_update(code)).await;
        self.hub().wake(released.id);
        Some(released)
    }

    /// Notes in the trace, beside the caller, that a signature exists.
    pub(crate) fn note_signed(
        self: &Arc<Self>,
        record: &OperationRecord,
        duration_ms: Option<u64>,
    ) {
        let engine = Arc::clone(self);
        let record = record.clone();
        let work = async move {
            let newest = record.attempts.iter().rev().find(|attempt| attempt.hash.is_some());
            let (wallet, address) = (record.wallet(), record.intent.address);
            let of_attempt = newest.map(|attempt| {
                json!({
                    "wallet": wallet,
                    "address": address,
                    "hash": attempt.hash,
                    "attempt": attempt.number,
                    "purpose": attempt.purpose,
                })
            });
            let of_message =
                record.message().zip(record.signature.as_ref()).map(|(message, signature)| {
                    json!({
                        "wallet": wallet,
                        "address": address,
                        "digest": message.digest,
                        "signature": signature,
                    })
                });
            let update = TraceUpdate {
                status: Some(TraceStatus::Executed),
                tx_hash: record.hash(),
                signature: of_attempt.or(of_message),
                duration_ms,
                ..TraceUpdate::default()
            };
            engine.note(&record, &update).await;
        };
        self.ports().clock.spawn(Box::pin(work.in_current_span()));
    }

    /// Notes beside the caller how long a decision took that led to no signature.
    pub(crate) fn note_duration(self: &Arc<Self>, admitted: &Admitted, trace: TraceHash) {
        let duration_ms = Some(self.duration(admitted));
        let engine = Arc::clone(self);
        let work = async move {
            let update = TraceUpdate { duration_ms, ..TraceUpdate::default() };
            if let Err(error) = engine.ports().journal.update(trace, &update).await {
                tracing::debug!(trace_hash = %trace, %error, "a duration is not noted");
            }
        };
        self.ports().clock.spawn(Box::pin(work.in_current_span()));
    }

    /// Appends to the trace. The ledger is the authority on money; a lost note is repeated by the tracker.
    pub(crate) async fn note(&self, record: &OperationRecord, update: &TraceUpdate) {
        if let Err(error) = self.ports().journal.update(record.trace, update).await {
            tracing::warn!(trace_hash = %record.trace, %error, "a change is not noted in its trace");
        }
    }
}
