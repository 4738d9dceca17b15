//! From a reservation to the agent's answer: hands the work to the wallet's lane and waits for it.

use std::sync::Arc;

use countersign_core::{
    action::{Action, Effect},
    identity::{OperationId, TraceHash},
    operation::{OperationRecord, OperationState},
    trace::{TraceStatus, TraceUpdate},
};
use serde_json::json;
use tokio::sync::oneshot;

use crate::{
    admission::Admitted,
    engine::Engine,
    gather::counterparties,
    intake::failed_update,
    lane::{Errand, Job, LaneId, Outcome, Task, start},
    port::ledger::{Reject, RejectAnswer},
    setup::Setup,
    stage::{Reservation, Reserved},
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
    /// Has a fresh reservation carried out, and answers its caller.
    pub(crate) async fn carry_out(
        self: &Arc<Self>,
        admitted: &Admitted,
        reservation: Reservation<Reserved>,
        errand: Errand,
    ) -> Reply {
        let record = reservation.record().clone();
        let setup = Arc::clone(admitted.setup());
        let task = Task::Commit { reservation, errand };
        let outcome = self.enqueue(setup, task, &record).await;
        let record = match outcome {
            Outcome::Finished(record) => *record,
            Outcome::Open => self.current(record).await,
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

    /// Carries out what nobody waits for, and notes the signature.
    pub(crate) async fn carry_on_alone(
        self: &Arc<Self>,
        setup: Arc<Setup>,
        task: Task,
        record: &OperationRecord,
    ) {
        if let Outcome::Finished(record) = self.enqueue(setup, task, record).await
            && record.state.is_signed()
        {
            self.note_signed(&record, None);
        }
    }

    /// Puts a task into its lane and waits until its first send is over.
    pub(crate) async fn enqueue(
        self: &Arc<Self>,
        setup: Arc<Setup>,
        task: Task,
        record: &OperationRecord,
    ) -> Outcome {
        let (done, outcome) = oneshot::channel();
        let lane = self.lane((record.chain(), record.wallet().clone()));
        if lane.send(Job { task, setup, done }).await.is_err() {
            return Outcome::Open;
        }
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

    async fn current(&self, record: OperationRecord) -> OperationRecord {
        self.ports().ledger.operation(record.id).await.ok().flatten().unwrap_or(record)
    }

    /// Releases a reservation that nothing was bound for. `None` if the ledger cannot say.
    pub(crate) async fn give_back(
        &self,
        operation: OperationId,
        code: &str,
        reason: &str,
    ) -> Option<Box<OperationRecord>> {
        let reject = Reject {
            operation,
            from: vec![OperationState::Allowed, OperationState::Approved, OperationState::Parked],
            code: code.into(),
            reason: reason.into(),
            vote: None,
        };
        let record = match self.ports().ledger.reject(&reject).await {
            Ok(RejectAnswer::Rejected(record) | RejectAnswer::Elsewhere(record)) => record,
            Ok(RejectAnswer::Missing) => return None,
            Err(error) => {
                tracing::warn!(%operation, %error, "a reservation could not be given back; it will be looked up");
                return None;
            }
        };
        self.note(&record, &failed_update(code)).await;
        self.hub().wake(operation);
        Some(record)
    }

    /// Notes in the trace, beside the caller, that a signature exists.
    pub(crate) fn note_signed(
        self: &Arc<Self>,
        record: &OperationRecord,
        duration_ms: Option<u64>,
    ) {
        let engine = Arc::clone(self);
        let record = record.clone();
        self.ports().clock.spawn(Box::pin(async move {
            let update = TraceUpdate {
                status: Some(TraceStatus::Executed),
                tx_hash: record.hash(),
                signature: Some(json!({
                    "wallet": record.wallet(),
                    "address": record.intent.address,
                    "hash": record.hash(),
                })),
                duration_ms,
                ..TraceUpdate::default()
            };
            engine.note(&record, &update).await;
        }));
    }

    /// Notes beside the caller how long a decision took that led to no signature.
    pub(crate) fn note_duration(self: &Arc<Self>, admitted: &Admitted, trace: TraceHash) {
        let duration_ms = Some(self.duration(admitted));
        let engine = Arc::clone(self);
        self.ports().clock.spawn(Box::pin(async move {
            let update = TraceUpdate { duration_ms, ..TraceUpdate::default() };
            if let Err(error) = engine.ports().journal.update(trace, &update).await {
                tracing::debug!(trace_id = %trace, %error, "a duration is not noted");
            }
        }));
    }

    /// Appends to the trace. The ledger is the authority on money; a lost note is repeated by the tracker.
    pub(crate) async fn note(&self, record: &OperationRecord, update: &TraceUpdate) {
        if let Err(error) = self.ports().journal.update(record.trace, update).await {
            tracing::warn!(trace_id = %record.trace, %error, "a change is not noted in its trace");
        }
    }
}
