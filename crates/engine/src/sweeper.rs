//! What nobody asks for: presence, expiry, tracking, and taking up what a dead gateway left.

use std::{pin::pin, sync::Arc};

use countersign_core::{
    fact::Freeze,
    operation::{OperationRecord, OperationState, Purpose},
    time::Millis,
    trace::{TraceStatus, TraceUpdate},
};
use futures_util::future::{Either, join, join5, select};
use serde_json::json;
use tracing::Instrument as _;

use crate::{
    engine::Engine,
    lane::Task,
    port::ledger::{LedgerError, OperationQuery},
    redeem::{TAKEOVER_AFTER, is_undecided},
    stage::Reservation,
};

/// How often the chain is looked at while something is on its way.
const TRACK_EVERY: Millis = Millis(250);

/// How often the books are swept.
const SWEEP_EVERY: Millis = Millis(1000);

/// How often the chains are looked at for blocks that are gone.
const WATCH_EVERY: Millis = Millis(2000);

/// How often samples of the books are looked at.
const AUDIT_EVERY: Millis = Millis(60_000);

/// How often the chain is asked about signed messages that may still move value.
const MESSAGES_EVERY: Millis = Millis(15_000);

/// How long this gateway counts as alive after it last said so.
pub(crate) const PRESENT_FOR: Millis = Millis(5000);

/// How much one sweep takes up.
const SWEEP_MAX: u32 = 512;

/// Open states before a signature: these come first in a sweep.
const UNSIGNED: [OperationState; 3] =
    [OperationState::Approved, OperationState::Allowed, OperationState::Prepared];

/// Open states after a signature.
const SIGNED: [OperationState; 5] = [
    OperationState::Signed,
    OperationState::Broadcast,
    OperationState::Unknown,
    OperationState::Mined,
    OperationState::Cancelling,
];

impl Engine {
    /// Tracks and sweeps until `stop` completes; then ends the lanes.
    pub(crate) async fn work(self: &Arc<Self>, stop: impl Future<Output = ()> + Send) {
        // boxed: each holds the longest of all chores
        let every = |pause, chore| Box::pin(self.clone().every(pause, chore));
        let announcing = every(SWEEP_EVERY, Chore::Announce);
        let tracking = every(TRACK_EVERY, Chore::Track);
        let sweeping = every(SWEEP_EVERY, Chore::Sweep);
        let watching = every(WATCH_EVERY, Chore::Watch);
        let auditing = every(AUDIT_EVERY, Chore::Audit);
        let reading = every(MESSAGES_EVERY, Chore::Messages);
        let stop = pin!(stop);
        let of_books = join5(announcing, tracking, sweeping, watching, auditing);
        let chores = pin!(join(of_books, reading));
        match select(stop, chores).await {
            Either::Left(_) | Either::Right(_) => self.lanes().clear(),
        }
        self.tell_rest().await;
    }

    async fn every(self: Arc<Self>, pause: Millis, chore: Chore) {
        loop {
            match chore {
                Chore::Announce => self.announce_again().await,
                Chore::Track => self.track(),
                Chore::Sweep => self.sweep().await,
                Chore::Watch => Box::pin(self.watch_chains()).await,
                Chore::Audit => {
                    self.audit().await;
                    Box::pin(self.look_for_delegations()).await;
                }
                Chore::Messages => self.look_at_messages().await,
            }
            self.ports().clock.sleep(pause).await;
        }
    }

    /// Not while the books lack what this gateway answered: until it is noted, what waits here has to read as owed,
    /// whichever gateway the agent asks next.
    async fn announce_again(&self) {
        if self.has_unnoted() {
            return;
        }
        if let Err(error) = self.announce().await {
            tracing::warn!(%error, "the store does not hear that this gateway lives");
        }
    }

    /// What is found seals the ledger, and the store itself tells people.
    async fn audit(&self) {
        match self.ports().ledger.audit().await {
            Ok(None) => {}
            Ok(Some(finding)) => tracing::error!(finding, "the books were changed by another hand"),
            Err(error) => tracing::warn!(%error, "the books cannot be audited"),
        }
    }

    async fn sweep(self: &Arc<Self>) {
        self.hub().sweep();
        self.tell_joined().await;
        let setup = self.setup();
        if !self.has_adopted(&setup) {
            drop(self.begin_adoption(&setup));
        }
        if let Err(error) = self.sweep_books().await {
            tracing::warn!(%error, "the books cannot be swept; nothing is signed meanwhile");
        }
    }

    async fn sweep_books(self: &Arc<Self>) -> Result<(), LedgerError> {
        let ledger = &self.ports().ledger;
        for expired in ledger.expire(SWEEP_MAX).await? {
            self.expired(&expired).await;
        }
        if self.begins() {
            return self.resume_all().await;
        }
        let idle_since = ledger.now().await?.before(TAKEOVER_AFTER);
        for states in [&UNSIGNED[..], &SIGNED[..]] {
            for record in ledger.open(states, idle_since, SWEEP_MAX).await? {
                self.take_up(record);
            }
        }
        Ok(())
    }

    /// At start: everything that is open, page by page, however much it is.
    async fn resume_all(self: &Arc<Self>) -> Result<(), LedgerError> {
        let states = [&[OperationState::Parked], &UNSIGNED[..], &SIGNED[..]].concat();
        let mut query = OperationQuery { states, limit: 1000, ..OperationQuery::default() };
        loop {
            let page = self.ports().ledger.operations(&query).await?;
            for record in page.items {
                self.take_up(record);
            }
            match page.next_cursor {
                Some(cursor) => query.cursor = Some(cursor),
                None => break,
            }
        }
        self.begun();
        Ok(())
    }

    async fn expired(&self, record: &OperationRecord) {
        let update = TraceUpdate {
            status: Some(TraceStatus::Blocked),
            blocked_by: Some("approval_expired".into()),
            approval: Some(json!({ "decision": "expired", "at": record.updated_at })),
            ..TraceUpdate::default()
        };
        self.note(record, &update).await;
        self.hub().wake(record.id);
        tracing::info!(operation = %record.id, "expired");
    }

    /// Goes on with an operation from wherever it stands, unless it is in somebody's hands.
    fn take_up(self: &Arc<Self>, record: OperationRecord) {
        let engine = Arc::clone(self);
        let work = async move {
            if record.state == OperationState::Parked {
                engine.reap(&record).await;
            } else if is_undecided(record.state) {
                engine.redeem(record).await;
            } else if waits_for_a_signature(&record) {
                engine.sign_again(record).await;
            } else {
                engine.follow_newer(&record);
            }
        };
        self.ports().clock.spawn(Box::pin(work));
    }

    /// A bound attempt without a signature: the stored payload is signed, never another.
    async fn sign_again(self: &Arc<Self>, record: OperationRecord) {
        let Some(claim) = self.claims().take(record.id) else { return };
        self.follow_newer(&record);
        let whole = self.later("sign again", &record);
        let Ok(committed) = Reservation::committed(Box::new(record)) else { return };
        let work = self.carry_on_alone(self.setup(), vec![Task::Sign(committed)], claim);
        work.instrument(whole).await;
    }

    /// Whether a seal or a freeze stands against a signature now, or nobody can say. A cancel is the way out: as when it
    /// is bound, only a freeze of all stops it.
    pub(crate) async fn is_stopped(&self, record: &OperationRecord) -> bool {
        let ledger = &self.ports().ledger;
        let (Ok(status), Ok(freezes)) = (ledger.describe().await, ledger.freezes().await) else {
            return true;
        };
        let newest = record.attempts.last().map(|attempt| attempt.purpose);
        let stops = |freeze: &Freeze| {
            freeze.covers(record.agent(), record.wallet(), record.chain())
                && (newest != Some(Purpose::Cancel) || *freeze == Freeze::All)
        };
        status.sealed.is_some() || freezes.iter().any(stops)
    }
}

/// Whether the newest attempt was bound and not signed.
fn waits_for_a_signature(record: &OperationRecord) -> bool {
    let unsigned = match record.message() {
        Some(_) => record.state == OperationState::Prepared,
        None => record.attempts.last().is_some_and(|attempt| attempt.hash.is_none()),
    };
    unsigned && record.state != OperationState::Mined
}

#[derive(Debug, Clone, Copy)]
enum Chore {
    Announce,
    Track,
    Sweep,
    Watch,
    Audit,
    Messages,
}
