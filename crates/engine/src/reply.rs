//! What an agent is told about an operation, and the duty to notice whether it was told.

use std::sync::Arc;

use countersign_core::{
    identity::OperationId,
    operation::{Delivery, OperationRecord, OperationState},
    time::Millis,
    trace::TraceRecord,
};
use countersign_policy::decision::{Register, Violation};
use futures_util::future::{Either, join, select};
use tokio::sync::watch;

use crate::{
    admission::Admitted,
    claim::Claim,
    engine::Engine,
    intake::pending,
    port::ledger::LedgerError,
    redeem::Standing,
    submission::{
        Answer, Denied, Handover, NodeRefused, Receipt, Reply, Signed, SignedMessage, Unavailable,
    },
};

/// The code of a rejection that stands for the node's refusal before anything was signed.
pub(crate) const NODE_REFUSED: &str = "upstream_refused";

/// The codes of rejections that say nothing about the request: it may be repeated.
const UNAVAILABLE: [&str; 6] = [
    SEALED,
    "store_unavailable",
    "upstream_unavailable",
    "lane_unavailable",
    "configuration_changed",
    EVIDENCE_MISSING,
];

/// The code of what is not signed because the ledger is sealed or lost.
pub(crate) const SEALED: &str = "sealed";

/// The code of a rejection for want of a recorded decision: the gateway died in between.
pub(crate) const EVIDENCE_MISSING: &str = "evidence_missing";

/// Whether a rejection stands for something of ours, so that the request may be repeated as it is.
pub(crate) fn is_ours(code: &str) -> bool {
    UNAVAILABLE.contains(&code)
}

/// How long a caller waits for what is on its way to a signature already.
pub(crate) const SIGN_WAIT: Millis = Millis(8000);

/// The pause after which a delivery is noted again; each is four times as long as the last.
const NOTE_AGAIN: Millis = Millis(50);

/// The longest of these pauses.
const NOTE_AGAIN_MAX: Millis = Millis(5000);

/// How long an operation that the books do not have may come back: after that its history is lost for good.
const MISSING_FOR: Millis = Millis(600_000);

/// How soon a caller looks again whether another has collected what both were to get.
const TURN_LOOK: Millis = Millis(50);

/// How often a waiting caller looks again by itself: another gateway may have acted.
const LOOK_AGAIN: Millis = Millis(1000);

/// How often a repetition looks whether what it repeats is recorded by now.
const UNRECORDED_LOOK: Millis = Millis(100);

/// Whether the caller still listens.
#[derive(Debug, Clone)]
pub(crate) struct Caller(watch::Receiver<()>);

impl Caller {
    /// A caller, and what it drops when it goes away.
    pub(crate) fn new() -> (watch::Sender<()>, Self) {
        let (sender, receiver) = watch::channel(());
        (sender, Self(receiver))
    }

    /// Completes when the caller has gone.
    pub(crate) async fn gone(&mut self) {
        while self.0.changed().await.is_ok() {}
    }

    fn has_gone(&self) -> bool {
        self.0.has_changed().is_err()
    }
}

impl Engine {
    /// Answers a request that repeats an operation; `None` if there is nothing left to collect, so that
    /// the request must be looked at anew.
    pub(crate) async fn repeated(
        self: &Arc<Self>,
        admitted: &Admitted,
        record: OperationRecord,
    ) -> Result<Option<Reply>, Answer> {
        admitted.turn.give_back();
        let Some(record) = self.once_recorded(record).await else { return Ok(None) };
        let record = self.watch(record, admitted.hold, &mut admitted.caller.clone()).await;
        if record.key.is_some() || !record.is_finished_for_agent() {
            return Ok(Some(Reply::of(self.answer(&record).await)));
        }
        if record.delivery != Delivery::Collected
            && let Some(reply) = self.collect(&record).await
        {
            return Ok(Some(reply));
        }
        let repeats = record.delivery != Delivery::Owed && record.state.is_signed();
        Ok(if repeats { Some(Reply::of(self.answer(&record).await)) } else { None })
    }

    /// Nobody hears of an operation whose decision is not recorded: it may have to be given back. `None` if it was.
    async fn once_recorded(&self, mut record: OperationRecord) -> Option<OperationRecord> {
        let begun = self.ports().clock.monotonic();
        loop {
            let waited = self.ports().clock.monotonic().0.saturating_sub(begun.0);
            match self.standing(&record).await {
                Standing::GivenBack => return None,
                Standing::Unrecorded if waited < SIGN_WAIT.0 => {}
                Standing::Unrecorded | Standing::Recorded => return Some(record),
            }
            self.ports().clock.sleep(UNRECORDED_LOOK).await;
            record = self.current(record).await;
        }
    }

    /// Hands an owed result to one request at a time, until one has it; also what a dead gateway's caller never got.
    /// It counts as collected once it was handed over and not before: whoever lost it would ask, and pay, again. Where
    /// the ledger does not say whether it is owed still, it is handed over all the same.
    async fn collect(self: &Arc<Self>, record: &OperationRecord) -> Option<Reply> {
        let turn = self.turn_to_collect(record.id).await?;
        let is_owed = self.ports().ledger.deliver(record.id, Delivery::Owed, Delivery::Owed).await;
        if is_owed == Ok(false) {
            return None;
        }
        let answer = self.answer(record).await;
        Some(self.reply_holding(answer, record.id, Delivery::Owed, Some(turn)))
    }

    /// Waits for others that are being handed the same result by this process.
    async fn turn_to_collect(&self, operation: OperationId) -> Option<Claim> {
        let begun = self.ports().clock.monotonic();
        loop {
            if let Some(turn) = self.collecting().take(operation) {
                return Some(turn);
            }
            if self.ports().clock.monotonic().0.saturating_sub(begun.0) >= SIGN_WAIT.0 {
                return None;
            }
            self.ports().clock.sleep(TURN_LOOK).await;
        }
    }

    /// Holds a parked call open, then says that it waits.
    pub(crate) async fn wait_for_people(
        self: &Arc<Self>,
        admitted: &Admitted,
        record: OperationRecord,
    ) -> Reply {
        admitted.turn.give_back();
        let record = self.watch(record, admitted.hold, &mut admitted.caller.clone()).await;
        self.answer_waiting(&record).await
    }

    /// Answers the caller that brought an operation in. What is not finished stays owed to it.
    pub(crate) async fn answer_waiting(self: &Arc<Self>, record: &OperationRecord) -> Reply {
        if record.is_finished_for_agent() {
            return self.reply(self.answer(record).await, record.id, record.delivery);
        }
        if record.delivery == Delivery::Owed {
            return Reply::of(self.answer(record).await);
        }
        let noted = self.note_once(record.id, Delivery::Waiting, Delivery::Owed);
        // at once: a store that does not answer is waited for only once
        let (answer, noted) = join(self.answer(record), noted).await;
        if noted.is_err() {
            self.owe(record.id);
        }
        Reply::of(answer)
    }

    /// Notes beside the caller that a result is owed to it.
    pub(crate) fn owe(self: &Arc<Self>, operation: OperationId) {
        let engine = Arc::clone(self);
        let later = async move {
            engine.note_delivery(operation, Delivery::Waiting, Delivery::Owed).await;
        };
        self.ports().clock.spawn(Box::pin(later));
    }

    /// Follows an operation until its agent can be answered, the caller goes away, or time is up: `hold`
    /// for one that waits for people, at least [`SIGN_WAIT`] for one that is being signed. While the store does not
    /// answer, the operation is taken for what it was: its caller has to learn its id, not that nothing was done.
    async fn watch(
        &self,
        mut record: OperationRecord,
        hold: Millis,
        caller: &mut Caller,
    ) -> OperationRecord {
        let begun = self.ports().clock.monotonic();
        loop {
            let parked = record.state == OperationState::Parked;
            let patience = if parked { hold } else { hold.max(SIGN_WAIT) };
            let waited = self.ports().clock.monotonic().0.saturating_sub(begun.0);
            let left = Millis(patience.0.saturating_sub(waited).min(LOOK_AGAIN.0));
            let nobody_waits = left == Millis::ZERO || caller.has_gone() || self.is_closing();
            if record.is_finished_for_agent() || nobody_waits {
                return record;
            }
            let change = self.hub().subscribe(record.id);
            record = self.current(record).await;
            if !record.is_finished_for_agent() {
                let timer = self.ports().clock.sleep(left);
                let ends = select(Box::pin(caller.gone()), Box::pin(self.waits_end()));
                drop(select(select(change, timer), ends).await);
            }
            record = self.current(record).await;
        }
    }

    /// An answer whose loss leaves the result owed. `from` is how the delivery stands now.
    pub(crate) fn reply(
        self: &Arc<Self>,
        answer: Answer,
        operation: OperationId,
        from: Delivery,
    ) -> Reply {
        self.reply_holding(answer, operation, from, None)
    }

    /// The same, with the turn at which it is collected.
    fn reply_holding(
        self: &Arc<Self>,
        answer: Answer,
        operation: OperationId,
        from: Delivery,
        turn: Option<Claim>,
    ) -> Reply {
        let engine = Arc::clone(self);
        let receipt = Receipt::new(move |handover| {
            let to = match handover {
                Handover::Given => Delivery::Collected,
                Handover::Lost => Delivery::Owed,
            };
            if from != to {
                let clock = Arc::clone(&engine.ports().clock);
                clock.spawn(Box::pin(async move {
                    engine.note_delivery(operation, from, to).await;
                    drop(turn);
                }));
            }
        });
        Reply { answer, receipt }
    }

    /// Asks until it is noted, or the gateway stops: what stays `Waiting` is owed once this process is gone, but until
    /// then a repetition after the duplicate window would not find it.
    async fn note_delivery(&self, operation: OperationId, from: Delivery, to: Delivery) {
        let (mut pause, mut unnoted, mut was_whole) = (NOTE_AGAIN, None, false);
        let begun = self.ports().clock.monotonic();
        while let Err(error) = self.note_once(operation, from, to).await {
            tracing::warn!(%operation, %error, "the delivery of a result is not noted yet");
            let waited = self.ports().clock.monotonic().0.saturating_sub(begun.0);
            if matches!(error, LedgerError::Refused(_)) && waited >= MISSING_FOR.0 {
                if was_whole {
                    return;
                }
                // books that lack history may have it again; what whole ones lack is asked for once more
                let books = self.ports().ledger.describe().await;
                was_whole = books.is_ok_and(|books| books.is_whole());
            }
            unnoted.get_or_insert_with(|| self.unnoted_delivery());
            let timer = self.ports().clock.sleep(pause);
            if let Either::Right(_) = select(timer, Box::pin(self.waits_end())).await {
                return;
            }
            pause = Millis(pause.0.saturating_mul(4).min(NOTE_AGAIN_MAX.0));
        }
    }

    /// While this gateway's presence has lapsed, `Waiting` reads as `Owed`, and as `Waiting` again once it is renewed:
    /// what it is to become is noted from either.
    async fn note_once(
        &self,
        operation: OperationId,
        from: Delivery,
        to: Delivery,
    ) -> Result<(), LedgerError> {
        let ledger = &self.ports().ledger;
        let noted = ledger.deliver(operation, from, to).await?;
        if !noted && from == Delivery::Waiting {
            ledger.deliver(operation, Delivery::Owed, to).await?;
        }
        Ok(())
    }

    /// What the agent is told about an operation as it stands.
    pub(crate) async fn answer(&self, record: &OperationRecord) -> Answer {
        if let Some(signed) = signed(record) {
            return Answer::Signed(signed);
        }
        if let Some(signature) = record.signature.clone() {
            return Answer::SignedMessage(SignedMessage { operation: record.id, signature });
        }
        let evidence = self.ports().journal.trace(record.trace).await.ok().flatten();
        if record.is_finished_for_agent() {
            return refused_answer(record, evidence.as_ref());
        }
        let policy = evidence.and_then(|trace| trace.decision.policy);
        Answer::Pending(pending(record, policy))
    }
}

/// The bytes, where they exist.
pub(crate) fn signed(record: &OperationRecord) -> Option<Signed> {
    let hash = record.hash().filter(|_| record.state.is_signed())?;
    let attempt = record.attempts.iter().find(|attempt| attempt.hash == Some(hash))?;
    let raw = attempt.raw.clone()?;
    let bundle = record.intent.bundle.as_ref().map(|bundle| bundle.name());
    let transaction = Box::new(attempt.transaction.clone());
    Some(Signed { operation: record.id, hash, raw, transaction, bundle })
}

fn refused_answer(record: &OperationRecord, evidence: Option<&TraceRecord>) -> Answer {
    if record.code == NODE_REFUSED {
        let message = record.reason.clone();
        return Answer::NodeRefused(NodeRefused { message, ..NodeRefused::default() });
    }
    if let Some(code) = UNAVAILABLE.iter().find(|code| **code == record.code) {
        return Answer::Unavailable(Unavailable { code, reason: record.reason.clone() });
    }
    let denied = record.state == OperationState::Denied;
    let violations = evidence.filter(|_| denied).map(violations).unwrap_or_default();
    let rejected = record.state == OperationState::Rejected;
    let register = if rejected { Register::Halt } else { Register::Constructive };
    let (code, reason) = match record.state {
        OperationState::Expired => ("approval_expired", "nobody approved it in time"),
        // of what was signed the agent has the hash
        OperationState::Cancelled => {
            ("cancelled", "it was cancelled and cannot take place any more")
        }
        OperationState::Denied
        | OperationState::Parked
        | OperationState::Approved
        | OperationState::Allowed
        | OperationState::Prepared
        | OperationState::Signed
        | OperationState::Broadcast
        | OperationState::Unknown
        | OperationState::Mined
        | OperationState::Cancelling
        | OperationState::Executed
        | OperationState::Reverted
        | OperationState::Rejected
        | OperationState::Conflict => (record.code.as_str(), record.reason.as_str()),
    };
    Answer::Denied(Denied {
        code: code.into(),
        reason: reason.into(),
        register,
        violations,
        trace: record.trace,
        policy: evidence.and_then(|trace| trace.decision.policy),
        operation: Some(record.id),
    })
}

fn violations(trace: &TraceRecord) -> Vec<Violation> {
    let text = trace.decision.validation_result.as_str().unwrap_or("null");
    let parsed = serde_json::from_str::<serde_json::Value>(text).ok();
    let listed = parsed.and_then(|validation| validation.get("violations").cloned());
    listed.and_then(|list| serde_json::from_value(list).ok()).unwrap_or_default()
}
