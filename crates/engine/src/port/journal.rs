//! Append-only decision records, hash-chained per gateway.

use std::fmt;

use async_trait::async_trait;
use countersign_core::{
    identity::{AgentId, OperationId, TraceHash},
    time::Timestamp,
    trace::{DecisionRecord, Incident, IncidentStatus, TraceRecord, TraceStatus, TraceUpdate},
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

    /// Appends an incident. Raising the same id twice changes nothing.
    async fn raise(&self, incident: &Incident) -> Result<(), JournalError>;

    /// Incidents, newest first.
    async fn incidents(&self, query: &IncidentQuery) -> Result<Page<Incident>, JournalError>;

    /// Moves an incident to a status; `None` if there is no such incident.
    async fn change_incident(
        &self,
        id: &str,
        status: IncidentStatus,
        at: Timestamp,
    ) -> Result<Option<Incident>, JournalError>;
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

/// Which incidents.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IncidentQuery {
    /// Only these.
    pub status: Option<IncidentStatus>,
    /// At most so many; stores never return more than 1 000.
    pub limit: u32,
    /// Where the last page ended.
    pub cursor: Option<String>,
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
