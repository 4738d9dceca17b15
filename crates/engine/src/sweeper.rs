//! What nobody asks for: presence, expiry, tracking, and taking up what a dead gateway left.

use std::{pin::pin, sync::Arc};

use countersign_core::{
    operation::{OperationRecord, OperationState},
    time::Millis,
    trace::{Incident, IncidentStatus, Severity, TraceStatus, TraceUpdate},
};
use futures_util::future::{Either, join, select};
use serde_json::json;

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

/// How long this gateway counts as alive after it last said so.
pub(crate) const PRESENT_FOR: Millis = Millis(5000);

/// How much one sweep takes up.
const SWEEP_MAX: u32 = 512;

/// States whose operations a gateway looks at when it starts.
const OPEN: [OperationState; 9] = [
    OperationState::Parked,
    OperationState::Approved,
    OperationState::Allowed,
    OperationState::Prepared,
    OperationState::Signed,
    OperationState::Broadcast,
    OperationState::Unknown,
    OperationState::Mined,
    OperationState::Cancelling,
];

impl Engine {
    /// Tracks and sweeps until `stop` completes; then ends the lanes.
    pub(crate) async fn work(self: &Arc<Self>, stop: impl Future<Output = ()> + Send) {
        let tracking = self.clone().every(TRACK_EVERY, Chore::Track);
        let sweeping = self.clone().every(SWEEP_EVERY, Chore::Sweep);
        let stop = pin!(stop);
        let chores = pin!(join(tracking, sweeping));
        match select(stop, chores).await {
            Either::Left(_) | Either::Right(_) => self.lanes().clear(),
        }
    }

    async fn every(self: Arc<Self>, pause: Millis, chore: Chore) {
        loop {
            match chore {
                Chore::Track => self.track().await,
                Chore::Sweep => self.sweep().await,
            }
            self.ports().clock.sleep(pause).await;
        }
    }

    async fn sweep(self: &Arc<Self>) {
        self.hub().sweep();
        if let Err(error) = self.sweep_books().await {
            tracing::warn!(%error, "the books cannot be swept; nothing is signed meanwhile");
        }
    }

    async fn sweep_books(self: &Arc<Self>) -> Result<(), LedgerError> {
        let ledger = &self.ports().ledger;
        self.announce().await?;
        for expired in ledger.expire(SWEEP_MAX).await? {
            self.expired(&expired).await;
        }
        if self.begins() {
            return self.resume_all().await;
        }
        let idle_since = ledger.now().await?.before(TAKEOVER_AFTER);
        for record in ledger.open(idle_since, SWEEP_MAX).await? {
            self.take_up(record);
        }
        Ok(())
    }

    /// At start: everything that is open, page by page, however much it is.
    async fn resume_all(self: &Arc<Self>) -> Result<(), LedgerError> {
        let mut query =
            OperationQuery { states: OPEN.to_vec(), limit: 1000, ..OperationQuery::default() };
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

    /// Goes on with an operation from wherever it stands.
    fn take_up(self: &Arc<Self>, record: OperationRecord) {
        if record.state == OperationState::Parked {
            let engine = Arc::clone(self);
            let work = async move {
                engine.reap(&record).await;
            };
            self.ports().clock.spawn(Box::pin(work));
        } else if is_undecided(record.state) {
            let engine = Arc::clone(self);
            let work = async move { engine.redeem(record).await };
            self.ports().clock.spawn(Box::pin(work));
        } else if record.state == OperationState::Prepared {
            self.sign_again(record);
        } else if !self.is_followed(&record) {
            self.follow(&record);
        }
    }

    /// A commit without a signature: the stored payload is signed, never another.
    fn sign_again(self: &Arc<Self>, record: OperationRecord) {
        let shown = record.clone();
        let Some(committed) = Reservation::committed(Box::new(record)) else { return };
        let engine = Arc::clone(self);
        let work = async move {
            engine.follow(&shown);
            let setup = engine.setup();
            engine.carry_on_alone(setup, Task::Sign(committed), &shown).await;
        };
        self.ports().clock.spawn(Box::pin(work));
    }

    /// Tells people. An incident that cannot be stored is at least in the log.
    pub async fn raise(
        &self,
        severity: Severity,
        code: &str,
        title: &str,
        about: Option<&OperationRecord>,
    ) {
        let now = self.ports().clock.wall();
        let incident = Incident {
            id: format!("inc_{}", hex::encode(self.ports().clock.random())),
            code: code.into(),
            severity,
            status: IncidentStatus::Open,
            title: title.into(),
            description: about.map_or_else(String::new, |r| format!("operation {}", r.id)),
            agent: about.map(|record| record.agent().clone()),
            session: about.and_then(|record| record.intent.declared.session.clone()),
            trace_hash: about.map(|record| record.trace),
            created_at: now,
            updated_at: now,
        };
        tracing::error!(code, title, incident = incident.id, "incident");
        if let Err(error) = self.ports().journal.raise(&incident).await {
            tracing::error!(%error, code, "an incident could not be stored");
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Chore {
    Track,
    Sweep,
}
