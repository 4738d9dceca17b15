//! Bundles of calls: taken in and judged as one operation, which holds the money of all; then split into one operation for
//! each call, and these are carried out in the order of the calls.
//!
//! A call is committed only after the one before it was signed. Where one comes to nothing, those behind it that are not
//! committed yet are given back. What a gateway leaves behind is taken up like any other operation, under the same rule.

use std::sync::Arc;

use alloy_primitives::Address;
use countersign_core::{
    bundle::Bundle,
    fact::Facts,
    operation::{OperationRecord, OperationState, Purpose},
};
use countersign_policy::decision::Permit;
use tokio::sync::oneshot;

use crate::{
    claim::Claim,
    engine::Engine,
    lane::{Errand, Outcome, Task},
    port::ledger::{LedgerError, Part, Split, SplitAnswer},
    setup::Setup,
    stage::{Reservation, Reserved},
};

/// The code of a call that was given back because one before it came to nothing.
const EARLIER_FAILED: &str = "earlier_call_failed";

/// Why.
const EARLIER_REASON: &str = "an earlier call of its bundle was not sent";

/// How often a split is asked for again whose answer was lost.
const ASK_MAX: u8 = 3;

/// Whether it is a call's turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallTurn {
    /// Every call before it is signed, or it came alone.
    Now,
    /// One before it is still to be signed, a person is cancelling it, or nobody can say.
    Later,
    /// One before it came to nothing.
    Never,
}

impl CallTurn {
    /// The turn of a call behind this one. Before that is signed its agent can still be told that nothing was sent: then
    /// nothing may be. And while a cancel is on its way, or was included and may be taken back by a reorg, nobody knows.
    fn behind(earlier: &OperationRecord) -> Self {
        match earlier.state {
            OperationState::Denied
            | OperationState::Rejected
            | OperationState::Expired
            | OperationState::Cancelled
            | OperationState::Conflict => Self::Never,
            OperationState::Parked
            | OperationState::Approved
            | OperationState::Allowed
            | OperationState::Prepared
            | OperationState::Cancelling => Self::Later,
            OperationState::Mined if is_cancelled(earlier) => Self::Later,
            OperationState::Signed
            | OperationState::Broadcast
            | OperationState::Unknown
            | OperationState::Mined
            | OperationState::Executed
            | OperationState::Reverted => Self::Now,
        }
    }
}

/// Whether what was included is its cancel.
fn is_cancelled(record: &OperationRecord) -> bool {
    let included = record.actual.as_ref().and_then(|actual| record.purpose_of(actual.hash));
    included == Some(Purpose::Cancel)
}

impl Engine {
    /// What is to be carried out for a reservation, in order: one task, or one for each call of a bundle. Nothing where the
    /// bundle could not be split; a sweep tries again.
    pub(crate) async fn tasks(
        &self,
        permit: Permit,
        record: Box<OperationRecord>,
        facts: &Facts,
    ) -> Vec<Task> {
        let address = record.intent.address;
        if permit.intent().rest().is_empty() {
            return vec![task(permit, record, (facts, address))];
        }
        let permits = permit.split();
        let Some(records) = self.split(&record, &permits).await else { return Vec::new() };
        let each = permits.into_iter().zip(records).zip(facts.of_calls());
        each.map(|((permit, record), facts)| task(permit, Box::new(record), (&facts, address)))
            .collect()
    }

    async fn split(
        &self,
        record: &OperationRecord,
        permits: &[Permit],
    ) -> Option<Vec<OperationRecord>> {
        let bundle = record.intent.bundle.as_deref()?;
        let part = |(index, permit): (u32, &Permit)| Part {
            id: bundle.handle.operation(index),
            intent: permit.intent().clone(),
            charges: permit.charges().to_vec(),
        };
        let parts = (0..).zip(permits).map(part).collect();
        let split = Split { operation: record.id, fence: record.fence, parts };
        let mut asked: u8 = 1;
        loop {
            match self.ports().ledger.split(&split).await {
                Ok(SplitAnswer::Split(records)) => return Some(records),
                Ok(SplitAnswer::Elsewhere(_)) => return None,
                Err(LedgerError::Ambiguous(_)) if asked < ASK_MAX => {
                    asked = asked.saturating_add(1);
                }
                Err(error) => {
                    tracing::warn!(operation = %record.id, %error, "a bundle is not split yet");
                    return None;
                }
            }
        }
    }

    /// Carries tasks out in order, beside the caller; answers what became of the first.
    pub(crate) async fn carry_in_order(
        self: &Arc<Self>,
        setup: Arc<Setup>,
        tasks: Vec<Task>,
        claim: Option<Claim>,
    ) -> Outcome {
        let (done, outcome) = oneshot::channel();
        let engine = Arc::clone(self);
        self.ports().clock.spawn(Box::pin(async move {
            engine.carry_each(setup, tasks, (claim, done)).await;
        }));
        outcome.await.unwrap_or(Outcome::Open)
    }

    async fn carry_each(
        self: &Arc<Self>,
        setup: Arc<Setup>,
        tasks: Vec<Task>,
        (first_claim, done): (Option<Claim>, oneshot::Sender<Outcome>),
    ) {
        // all at once: while one is waited for, no sweep takes up those behind it
        let further = tasks.iter().skip(1).map(|task| self.claims().take(task.record().id));
        let claims: Vec<Option<Claim>> = std::iter::once(first_claim).chain(further).collect();
        let mut done = Some(done);
        let mut queue = tasks.into_iter().zip(claims);
        while let Some((task, claim)) = queue.next() {
            let outcome = self.enqueue(Arc::clone(&setup), task, claim).await;
            let turn = match &outcome {
                Outcome::Finished(record) => CallTurn::behind(record),
                Outcome::Open => CallTurn::Later,
            };
            match (done.take(), &outcome) {
                (Some(done), _) => drop(done.send(outcome)),
                (None, Outcome::Finished(record)) if record.state.is_signed() => {
                    self.note_signed(record, None);
                }
                (None, Outcome::Finished(_) | Outcome::Open) => {}
            }
            match turn {
                CallTurn::Now => {}
                CallTurn::Later => return,
                CallTurn::Never => {
                    return self.give_back_rest(queue.map(|(task, _)| task)).await;
                }
            }
        }
    }

    async fn give_back_rest(&self, rest: impl Iterator<Item = Task> + Send) {
        for task in rest {
            self.give_back(task.record(), EARLIER_FAILED, EARLIER_REASON).await;
        }
    }

    /// Whether an operation may be committed as far as the calls before it go. One whose turn never comes is given back.
    pub(crate) async fn call_turn(&self, record: &OperationRecord) -> CallTurn {
        let turn = match record.intent.bundle.as_deref() {
            Some(bundle) if !bundle.is_whole() => self.turn_in(bundle).await,
            Some(_) | None => CallTurn::Now,
        };
        if turn == CallTurn::Never {
            self.give_back(record, EARLIER_FAILED, EARLIER_REASON).await;
        }
        turn
    }

    async fn turn_in(&self, bundle: &Bundle) -> CallTurn {
        let Some(earlier) = bundle.index.checked_sub(1) else { return CallTurn::Now };
        let earlier = self.ports().ledger.operation(bundle.handle.operation(earlier)).await;
        match earlier {
            Ok(Some(earlier)) => CallTurn::behind(&earlier),
            Ok(None) | Err(_) => CallTurn::Later,
        }
    }
}

fn task(permit: Permit, record: Box<OperationRecord>, (facts, wallet): (&Facts, Address)) -> Task {
    let errand = Errand::of(&facts.actions, wallet);
    Task::Commit { reservation: Reservation::<Reserved>::new(permit, record), errand }
}
