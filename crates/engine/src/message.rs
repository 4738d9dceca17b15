//! The way of a message from its reservation on: bound, signed, and held to account until the chain or the clock says
//! that it can move nothing any more. Messages have no nonce, so they wait for no lane.

use std::sync::Arc;

use countersign_core::{
    message::{Lasting, Message},
    operation::{OperationRecord, OperationState},
    trace::{Severity, TraceUpdate},
};
use serde_json::json;
use tracing::Instrument as _;

use crate::{
    engine::Engine,
    lane::{Errand, Outcome, Task},
    port::{
        chain::AtFinality,
        ledger::{Commit, LedgerError, MessageEnd, OperationQuery},
    },
    proposal::digest,
    setup::Setup,
    stage::{Commitment, Committed, Made, Reservation, Reserved},
};

/// How many messages one page of a look holds.
const PAGE: u32 = 1000;

impl Engine {
    /// Carries out one message. One that was bound a while ago, by whichever process, is looked at again: what stops a
    /// signature may have come in between, and the key never signs a stored digest alone.
    pub(crate) async fn attest(self: &Arc<Self>, setup: &Setup, task: Task) -> Outcome {
        let committed = match task {
            Task::Sign(committed) => {
                if self.is_stopped(committed.record()).await {
                    return Outcome::Open;
                }
                if !is_what_it_says(committed.record()) {
                    let about = Some(committed.record());
                    self.raise(Severity::Critical, "message_differs", DIFFERS, about).await;
                    return Outcome::Open;
                }
                committed
            }
            Task::Commit { reservation, errand } => {
                match self.bind_message(reservation, &errand).await {
                    Ok(committed) => committed,
                    Err(outcome) => return outcome,
                }
            }
        };
        self.sign_message(setup, committed).await
    }

    async fn bind_message(
        &self,
        reservation: Reservation<Reserved>,
        errand: &Errand,
    ) -> Result<Reservation<Committed>, Outcome> {
        let record = reservation.record().clone();
        let commit = Commit {
            operation: record.id,
            fence: record.fence,
            floor: 0,
            in_flight_max: 0,
            grant: reservation.grant(),
            shrinks_only: errand.shrinks_only,
            shared_lane: false,
            counterparties: errand.counterparties.clone(),
        };
        let committing = self.commit(reservation, &commit);
        match committing.instrument(tracing::debug_span!("commit")).await {
            Ok(Commitment::Made(committed)) => Ok(committed),
            Ok(Commitment::Refused(_, refusal)) => Err(self.refused(&record, refusal).await),
            Ok(Commitment::Elsewhere(record)) => Err(crate::execute::elsewhere(record)),
            Err(error) => {
                tracing::error!(operation = %record.id, %error, "a commit has no answer; it will be looked up");
                Err(Outcome::Open)
            }
        }
    }

    async fn sign_message(
        self: &Arc<Self>,
        setup: &Setup,
        committed: Reservation<Committed>,
    ) -> Outcome {
        let id = committed.record().id;
        let Some((signed, _)) = self.signature(setup, committed).await else {
            return Outcome::Open;
        };
        let Made::Signature(signature) = signed.made() else { return Outcome::Open };
        let ledger = &self.ports().ledger;
        let stored = match ledger.signed_message(id, signature).await {
            Err(LedgerError::Ambiguous(_)) => ledger.signed_message(id, signature).await,
            stored => stored,
        };
        match stored {
            Ok(record) => {
                self.hub().wake(record.id);
                self.end_soon(&record);
                Outcome::Finished(Box::new(record))
            }
            Err(error) => {
                tracing::error!(operation = %id, %error, "a signature is not stored, nothing is handed over");
                Outcome::Open
            }
        }
    }

    /// What holds no money back is settled beside the answer.
    fn end_soon(self: &Arc<Self>, record: &OperationRecord) {
        if record.message().is_some_and(ends_when_signed) {
            let (engine, record) = (Arc::clone(self), record.clone());
            let work = async move { engine.end_message(&record, MessageEnd::Spent).await };
            self.ports().clock.spawn(Box::pin(work.in_current_span()));
        }
    }

    /// One look at every signed message that may still move value.
    pub(crate) async fn look_at_messages(self: &Arc<Self>) {
        let states = vec![OperationState::Signed];
        let mut query = OperationQuery { states, limit: PAGE, ..OperationQuery::default() };
        let setup = self.setup();
        loop {
            let page = match self.ports().ledger.operations(&query).await {
                Ok(page) => page,
                Err(error) => {
                    tracing::warn!(%error, "the signed messages cannot be looked at");
                    return;
                }
            };
            for record in page.items {
                self.look_at_message(&setup, &record).await;
            }
            match page.next_cursor {
                Some(cursor) => query.cursor = Some(cursor),
                None => return,
            }
        }
    }

    async fn look_at_message(&self, setup: &Setup, record: &OperationRecord) {
        let Some(message) = record.message() else { return };
        let Some(lasting) = message.lasting.as_ref().filter(|_| !ends_when_signed(message)) else {
            self.end_message(record, MessageEnd::Spent).await;
            return;
        };
        let Some(chain) = setup.chains.get(&message.chain) else { return };
        let Ok(seen) = chain.port.at_finality(&lasting.used_up).await else { return };
        if let Some(end) = end_of(lasting, &seen) {
            self.end_message(record, end).await;
        }
    }

    async fn end_message(&self, record: &OperationRecord, end: MessageEnd) {
        match self.ports().ledger.end_message(record.id, end).await {
            Ok(ended) => {
                let moves = ended.message().is_some_and(|message| message.lasting.is_some());
                let word = match end {
                    MessageEnd::Spent => "spent",
                    MessageEnd::Void => "void",
                };
                if moves {
                    let signature = Some(json!({ "state": ended.state.name(), "authority": word }));
                    let update = TraceUpdate { signature, ..TraceUpdate::default() };
                    self.note(&ended, &update).await;
                }
                self.hub().wake(ended.id);
            }
            Err(error) => {
                tracing::warn!(operation = %record.id, %error, "a message is not settled yet");
            }
        }
    }
}

const DIFFERS: &str = "a stored message is not what its digest says; it is not signed";

/// Whether the stored digest is that of the stored words.
fn is_what_it_says(record: &OperationRecord) -> bool {
    record.message().is_some_and(|message| digest(&message.content) == Some(message.digest))
}

/// It moves nothing, or nobody will ever be able to say whether it did and it never ends: what it can move is spent
/// when it is signed.
const fn ends_when_signed(message: &Message) -> bool {
    match &message.lasting {
        None => true,
        Some(Lasting { until, used_up }) => until.is_none() && used_up.is_empty(),
    }
}

/// What a final block proves about a signature; `None` while it may still be used.
fn end_of(lasting: &Lasting, seen: &AtFinality) -> Option<MessageEnd> {
    let all = |wanted: bool| {
        let answers = &seen.used_up;
        answers.len() == lasting.used_up.len()
            && !answers.is_empty()
            && answers.iter().all(|answer| *answer == Some(wanted))
    };
    let is_over = lasting.until.is_some_and(|until| seen.time > until);
    if is_over && all(false) {
        return Some(MessageEnd::Void);
    }
    // over, and not certainly unused: part of it was used, or nobody can say
    (is_over || all(true)).then_some(MessageEnd::Spent)
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{Address, Bytes, U256};
    use countersign_core::message::{Probe, Says};

    use super::*;

    #[test]
    fn only_what_was_certainly_not_used_is_given_back() {
        let says = Says::Above(U256::ZERO);
        let probe = Probe { contract: Address::ZERO, call: Bytes::new(), word: 0, says };
        let lasting = |until, probes| Lasting { until, used_up: vec![probe.clone(); probes] };
        let seen = |time, used_up: &[Option<bool>]| AtFinality { time, used_up: used_up.into() };
        let (spent, void) = (Some(MessageEnd::Spent), Some(MessageEnd::Void));
        for (lasting, seen, expect) in [
            (lasting(Some(10), 1), seen(10, &[Some(false)]), None),
            (lasting(Some(10), 1), seen(11, &[Some(false)]), void),
            (lasting(Some(10), 1), seen(11, &[None]), spent),
            (lasting(Some(10), 1), seen(5, &[None]), None),
            (lasting(Some(10), 1), seen(5, &[Some(true)]), spent),
            (lasting(Some(10), 2), seen(5, &[Some(true), Some(false)]), None),
            (lasting(Some(10), 2), seen(11, &[Some(true), Some(false)]), spent),
            (lasting(Some(10), 2), seen(11, &[Some(false)]), spent),
            (lasting(Some(10), 0), seen(11, &[]), spent),
            (lasting(None, 1), seen(u64::MAX, &[Some(false)]), None),
            (lasting(None, 1), seen(0, &[Some(true)]), spent),
        ] {
            assert_eq!(end_of(&lasting, &seen), expect, "{lasting:?} {seen:?}");
        }
    }
}
