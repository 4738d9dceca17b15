//! Append-only decision records, hash-chained per gateway.

use std::fmt;

use async_trait::async_trait;
use countersign_core::{
    identity::{AgentId, OperationId, PolicyId, TraceHash},
    incident::{Incident, IncidentMove, IncidentStatus, MoveRefusal, Occurrence, Severity, Taken},
    journal::{ChainHead, Entry, Line},
    time::Timestamp,
    trace::{DecisionRecord, Posted, TraceRecord, TraceStatus, TraceUpdate},
};

/// Decision records and what came of them. `record` is durable when it returns; it comes before the
/// effect that it describes.
#[async_trait]
pub trait Journal: fmt::Debug + Send + Sync {
    /// Appends a policy's canonical text, so that what is decided under it can be decided again from the journal alone.
    /// Once in a chain: pinning it again changes nothing.
    async fn pin(&self, policy: PolicyId, canonical: &str) -> Result<(), JournalError>;

    /// Appends a decision, if every policy that it names is pinned. `previous_hash` of the stored row is the head of this gateway's chain.
    /// Recording the same hash twice changes nothing. Answers whether it is new.
    async fn record(&self, entry: &NewTrace) -> Result<bool, JournalError>;

    /// Appends a change to a recorded decision. One whose `approval` the trace has already, word for word, was recorded
    /// before and changes nothing.
    async fn update(&self, trace: TraceHash, update: &TraceUpdate) -> Result<(), JournalError>;

    /// One trace.
    async fn trace(&self, trace: TraceHash) -> Result<Option<TraceRecord>, JournalError>;

    /// Traces, newest first. A page ends early where its traces are more than [`TRACES_BYTES_MAX`].
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

    /// The chains of all gateways that ever wrote here, by name.
    async fn chains(&self) -> Result<Vec<Chain>, JournalError>;

    /// Entries of one gateway's chain behind this number, in order: at most `limit`, and no more than [`PAGE_BYTES_MAX`]
    /// in all, but at least one, if there is one.
    async fn entries(
        &self,
        gateway: &str,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Chained>, JournalError>;
}

/// One gateway's chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// Whose.
    pub gateway: String,
    /// Where it stands.
    pub head: ChainHead,
    /// The head that was written into the ledger's log last; none before the first audit.
    pub anchored: Option<ChainHead>,
}

/// An entry as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chained {
    /// The chain's head behind it.
    pub head: ChainHead,
    /// Its text: a [`countersign_core::journal::Entry`] as JSON.
    pub text: String,
}

/// The most entries that one call returns.
pub const ENTRIES_MAX: u32 = 1000;

/// The most bytes of entries that one call returns, where a single one is not longer.
pub const PAGE_BYTES_MAX: usize = 1 << 20;

/// The most bytes of traces that a list has on one page, as a store holds them, where a single one is not longer.
pub const TRACES_BYTES_MAX: usize = 4 << 20;

/// A decision to be recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct NewTrace {
    /// The SHA-256 of the decision's canonical JSON.
    pub trace_hash: TraceHash,
    /// The decision.
    pub decision: DecisionRecord,
    /// Where it stands at once.
    pub status: TraceStatus,
    /// Where a client posted it: by whom, and what else they said.
    pub posted: Option<Posted>,
    /// The decision's canonical JSON, where it is at hand.
    pub canonical: Option<String>,
}

impl NewTrace {
    /// It as it is written, and the decision's canonical JSON.
    #[must_use]
    pub fn line(&self) -> (Line, String) {
        let known = self.canonical.clone();
        let canonical = known.unwrap_or_else(|| self.decision.canonical_json());
        let line = if self.posted.is_some() {
            self.entry().line()
        } else {
            Line::of_decision((&self.decision, &canonical), self.trace_hash, self.status)
        };
        (line, canonical)
    }

    /// It as an entry of a chain.
    #[must_use]
    pub fn entry(&self) -> Entry {
        let (trace_hash, status) = (self.trace_hash, self.status);
        let decision = Box::new(self.decision.clone());
        match self.posted.clone().map(Box::new) {
            Some(posted) => {
                Entry::Attestation { trace_hash, decision, status, posted: Some(posted) }
            }
            None => Entry::Decision { trace_hash, decision, status },
        }
    }
}

/// Which traces.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TraceQuery {
    /// Only these.
    pub status: Option<TraceStatus>,
    /// Only of this agent.
    pub agent: Option<AgentId>,
    /// Only of this session, by its name: what has the name's SHA-256, as what a client posts may have without the name.
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
    /// A policy that the decision was made under is not in the chain. Nothing was written.
    #[error("a policy that the decision was made under is not in this gateway's chain")]
    Unpinned,
    /// A cursor that this store did not make.
    #[error("`{0}` is not a cursor of this list")]
    Cursor(String),
}
