//! What does not move by itself: fees that the market has left behind, bytes that nobody sends, nonces that another
//! transaction holds.

use std::sync::Arc;

use countersign_core::{
    operation::{OperationRecord, OperationState, Purpose},
    time::Millis,
    trace::Severity,
};
use tracing::Instrument as _;

use crate::{
    bump::{Asker, BumpError},
    engine::Engine,
    port::chain::Broadcast,
    setup::ChainSetup,
    tracker::{Tracked, is_unseen, lane_of},
};

/// How long bytes that an agent had signed for itself may stay unseen while a later nonce waits (LEDGER §3).
const UNSEEN_FOR: Millis = Millis(10 * 60_000);

/// How soon something is tried again that did not help, where nothing else says so.
const TRY_AGAIN: Millis = Millis(60_000);

/// What is done about an operation that does not move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Remedy {
    /// A higher fee.
    Raise,
    /// A transfer of nothing in its place, or a dearer one.
    Cancel,
}

impl Engine {
    /// Does something about an operation that holds up its lane for too long; `true` if it did. The work goes on by
    /// itself.
    pub(crate) fn unstick(
        self: &Arc<Self>,
        chain: &ChainSetup,
        tracked: &Tracked,
        mined: u64,
    ) -> bool {
        let record = tracked.record();
        let now = self.ports().clock.monotonic();
        let Some(remedy) =
            self.remedy(chain, record, mined).filter(|_| tracked.unstick_at() <= now)
        else {
            return false;
        };
        let pause = if chain.bump_after == Millis::ZERO { TRY_AGAIN } else { chain.bump_after };
        self.not_stuck_before(record, Millis(now.0.saturating_add(pause.0)));
        let engine = Arc::clone(self);
        let record = record.clone();
        let whole = self.later("unstick", &record);
        let work = async move { engine.apply(&record, remedy).await };
        self.ports().clock.spawn(Box::pin(work.instrument(whole)));
        true
    }

    /// Only the next transaction of a lane is stuck; those behind it wait for it.
    fn remedy(&self, chain: &ChainSetup, record: &OperationRecord, mined: u64) -> Option<Remedy> {
        let newest = record.attempts.last()?;
        let age = self.ports().clock.wall().since(newest.made_at);
        if record.nonce() != Some(mined) || newest.hash.is_none() {
            return None;
        }
        if is_unseen(record) {
            return (age >= UNSEEN_FOR && self.is_waited_for(record)).then_some(Remedy::Cancel);
        }
        if chain.bump_after == Millis::ZERO || age < chain.bump_after {
            return None;
        }
        let cancels = record.state == OperationState::Cancelling;
        Some(if cancels { Remedy::Cancel } else { Remedy::Raise })
    }

    /// Whether a later nonce of the same lane is on its way.
    fn is_waited_for(&self, record: &OperationRecord) -> bool {
        let (nonce, tracked) = (record.nonce(), self.tracked());
        let lane = tracked.get(&lane_of(record));
        lane.into_iter().flat_map(|lane| lane.values()).any(|other| other.nonce() > nonce)
    }

    async fn apply(self: &Arc<Self>, record: &OperationRecord, remedy: Remedy) {
        let done = match remedy {
            Remedy::Raise => self.raise_fee(record.id, None, Asker::Timer).await,
            Remedy::Cancel => self.cancel(record.id, Asker::Timer).await,
        };
        match done {
            Ok(record) => {
                tracing::info!(operation = %record.id, ?remedy, attempts = record.attempts.len(), "unstuck");
            }
            Err(BumpError::Busy | BumpError::Elsewhere(_) | BumpError::Missing) => {}
            Err(BumpError::Unavailable(why)) => {
                tracing::warn!(operation = %record.id, why, "a stuck operation waits for another look");
            }
            Err(BumpError::Refused { code, reason }) => {
                tracing::warn!(operation = %record.id, code, reason, "a stuck operation needs a person");
                if self.tell_once(record.id, record.attempts.len()) {
                    let title =
                        format!("a transaction is stuck and its fee cannot be raised: {reason}");
                    self.raise(Severity::Medium, "operation_stuck", &title, Some(record)).await;
                }
            }
        }
    }

    /// What a node's words mean beyond "sent or not": that somebody else uses the key, or that the node lies.
    pub(crate) async fn look_at_words(
        self: &Arc<Self>,
        record: &OperationRecord,
        said: &Broadcast,
    ) {
        match said {
            Broadcast::OtherHash { theirs } => {
                let title = format!("a node answered our bytes with another hash, {theirs}");
                if self.tell_once(record.id, usize::MAX) {
                    self.raise(Severity::High, "hash_mismatch", &title, Some(record)).await;
                }
            }
            Broadcast::Underpriced(_) if holds_alone(record) => self.contested(record).await,
            Broadcast::Accepted
            | Broadcast::NonceTooLow(_)
            | Broadcast::Underpriced(_)
            | Broadcast::Refused(_)
            | Broadcast::Unknown(_) => {}
        }
    }

    /// Another transaction holds the nonce although nobody but us ought to have the key. Said twice, it is believed:
    /// nothing more is signed with it. What becomes of the operation is decided by what is mined.
    async fn contested(self: &Arc<Self>, record: &OperationRecord) {
        if !self.was_contested(record) {
            return;
        }
        let title = "a nonce of ours is held by a transaction that we did not make";
        if let Err(error) = self.distrust(record.wallet(), title).await {
            tracing::error!(wallet = %record.wallet(), %error, "a contested wallet could not be frozen");
            return;
        }
        if self.tell_once(record.id, 0) {
            self.raise(Severity::Critical, "nonce_contested", title, Some(record)).await;
        }
    }
}

/// Whether no other bytes can hold the operation's nonce: neither ours nor those of an owner who signs elsewhere.
fn holds_alone(record: &OperationRecord) -> bool {
    if record.intent.signature.is_some() {
        return false;
    }
    let signed = record.attempts.iter().filter(|attempt| attempt.hash.is_some()).count();
    let payload = record.attempts.iter().all(|attempt| attempt.purpose == Purpose::Payload);
    signed == 1 && payload
}
