//! Append-only decision records, hash-chained per gateway.

use std::fmt;

use async_trait::async_trait;
use countersign_core::{
    identity::{AgentId, OperationId, TraceHash},
    incident::{Incident, IncidentMove, IncidentStatus, MoveRefusal, Occurrence, Severity, Taken},
    time::Timestamp,
    trace::{DecisionRecord, TraceRecord, TraceStatus, TraceUpdate},
};

/// Decision records and what came of them. `record` is durable when it returns; it comes before the
/// effect that it describes.
#[async_trait]
pub trait Journal: fmt::Debug + Send + Sync {
    /// Appends a decision. `previous_hash` of the stored row is the head of this gateway's chain.
    /// Recording the same hash twice changes nothing.
    async fn record(&self, entry: &NewTrace) -> Result<(), JournalError>;

    /// Appends a change to a recorded decision.
    async fn update(&self, trace: TraceHash, update: &TraceUpdate) -> Result<(), JournalError>;

    /// One trace.
    async fn trace(&self, trace: TraceHash) -> Result<Option<TraceRecord>, JournalError>;

    /// Traces, newest first.
    async fn traces(&self, query: &TraceQuery) -> Result<Page<TraceRecord>, JournalError>;

    /// Appends an occurrence: it begins an incident or is one more of its group's, in one step with whatever others
    /// raise at the same time. Raising the same occurrence twice changes nothing. Each incident that is new, open again
    /// or worse is a line of the books' log.
    async fn raise(&self, occurrence: &Occurrence) -> Result<Taken, JournalError>;

    /// One incident.
    async fn incident(&self, id: &str) -> Result<Option<Incident>, JournalError>;

    /// Incidents, newest first by when they were seen first.
    async fn incidents(&self, query: &IncidentQuery) -> Result<Page<Incident>, JournalError>;

    /// Moves an incident, in one step with whatever others do to it.
    async fn change_incident(
        &self,
        id: &str,
        step: &IncidentMove,
    ) -> Result<IncidentAnswer, JournalError>;
}

/// A decision to be recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct NewTrace {
    /// The SHA-256 of the decision's canonical JSON.
    pub trace_hash: TraceHash,
    /// The decision.
    pub decision: DecisionRecord,
    /// Where it stands at once.
    pub status: TraceStatus,
    /// `true` if a client posted it.
    pub attestation: bool,
}

/// Which traces.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TraceQuery {
    /// Only these.
    pub status: Option<TraceStatus>,
    /// Only of this agent.
    pub agent: Option<AgentId>,
    /// Only of this session, by its declared name.
    pub session: Option<String>,
    /// Only of this operation.
    pub operation: Option<OperationId>,
    /// Not before.
    pub from: Option<Timestamp>,
    /// Before.
    pub to: Option<Timestamp>,
    /// At most so many; stores never return more than 1 000.
    pub limit: u32,
    /// Where the last page ended.
    pub cursor: Option<String>,
}

/// What [`Journal::change_incident`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IncidentAnswer {
    /// It is this now.
    Changed(Box<Incident>),
    /// Nothing was written.
    Refused(MoveRefusal),
    /// There is no such incident.
    Missing,
}

/// How often a store makes an incident anew because another change came in between.
pub const ROUNDS_MAX: u32 = 64;

/// Which incidents.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IncidentQuery {
    /// Only these.
    pub status: Option<IncidentStatus>,
    /// Only of this severity.
    pub severity: Option<Severity>,
    /// Only of this agent.
    pub agent: Option<AgentId>,
    /// Not seen first before.
    pub from: Option<Timestamp>,
    /// Seen first before.
    pub to: Option<Timestamp>,
    /// At most so many; stores never return more than 1 000.
    pub limit: u32,
    /// Where the last page ended.
    pub cursor: Option<String>,
}

impl IncidentQuery {
    /// Whether it asks for this one, wherever a page ends.
    #[must_use]
    pub fn asks_for(&self, incident: &Incident) -> bool {
        self.status.is_none_or(|status| status == incident.status)
            && self.severity.is_none_or(|severity| severity == incident.severity)
            && (self.agent.is_none() || self.agent == incident.agent)
            && self.from.is_none_or(|from| from <= incident.created_at)
            && self.to.is_none_or(|to| incident.created_at < to)
    }
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Where the next page starts; `None` at the end.
    pub next_cursor: Option<String>,
}

/// The journal cannot be used. What was asked may or may not have happened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// The store did not answer.
    #[error("the journal is not available: {0}")]
    Unavailable(String),
    /// A cursor that this store did not make.
    #[error("`{0}` is not a cursor of this list")]
    Cursor(String),
}
