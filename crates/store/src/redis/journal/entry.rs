//! Entries of the chain, and records read back.

use std::fmt;

use alloy_primitives::B256;
use countersign_core::{
    identity::TraceHash,
    incident::{Incident, StepKind},
    trace::{TraceRecord, TraceStatus, TraceUpdate},
};
use countersign_engine::port::{
    journal::{JournalError, NewTrace},
    ledger::LedgerError,
};
use sha2::{Digest, Sha256};

use crate::redis::{
    link::Call,
    record::json as document,
    reply::{Fields, Reply, damaged},
};

/// Where a chain ends: how many entries it has, and the hash of the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    number: u64,
    hash: Option<B256>,
}

impl Head {
    pub(super) fn parse(text: &str) -> Result<Self, LedgerError> {
        if text.is_empty() {
            return Ok(Self { number: 0, hash: None });
        }
        let read = || -> Option<Self> {
            let (number, hash) = text.split_once(' ')?;
            Some(Self { number: number.parse().ok()?, hash: Some(hash.parse().ok()?) })
        };
        read().ok_or_else(|| damaged("the head of a journal cannot be read"))
    }

    /// The head behind one more entry: SHA-256 over this head's hash (nothing at the beginning) and the entry.
    pub(super) fn next(&self, content: &str) -> Self {
        let mut hasher = Sha256::new();
        if let Some(previous) = self.hash {
            hasher.update(previous);
        }
        hasher.update(content);
        let hash = B256::from(<[u8; 32]>::from(hasher.finalize()));
        Self { number: self.number.saturating_add(1), hash: Some(hash) }
    }
}

/// As it is stored: empty, or number and hash.
impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.hash.map_or(Ok(()), |hash| write!(f, "{} {hash}", self.number))
    }
}

pub(super) fn record_call(entry: &NewTrace, head: &Head) -> Result<(Call, String), LedgerError> {
    let NewTrace { trace_hash, decision, status, attestation } = entry;
    let document = document(decision)?;
    let session = decision.session.as_deref().map(session_key);
    let call = Call::new()
        .arg("trace", trace_hash)
        .arg("created_at", decision.created_at.millis())
        .arg("status", status.name())
        .maybe("agent", decision.agent_id.as_ref())
        .maybe("session", session.as_ref())
        .maybe("operation", decision.operation_id)
        .field("hash", trace_hash)
        .field("decision", &document)
        .field("status", status.name())
        .field("created_at", decision.created_at.millis())
        .field("attestation", attestation)
        .maybe_field("previous_hash", head.hash)
        .maybe_field("agent", decision.agent_id.as_ref())
        .maybe_field("session", session)
        .maybe_field("operation", decision.operation_id);
    // the decision's text as it is stored, so that the chain can be checked from what is stored
    let status = status.name();
    let content = format!("record {trace_hash} {status} {attestation} {document}");
    Ok((call, content))
}

pub(super) fn update_call(
    trace: TraceHash,
    update: &TraceUpdate,
) -> Result<(Call, String), LedgerError> {
    let TraceUpdate { status, tx_hash, signature, approval, duration_ms, blocked_by } = update;
    let call = Call::new()
        .arg("trace", trace)
        .maybe("status", status.map(TraceStatus::name))
        .maybe("signatures", signature.as_ref())
        .maybe("approvals", approval.as_ref())
        .maybe_field("tx_hash", *tx_hash)
        .maybe_field("duration_ms", *duration_ms)
        .maybe_field("blocked_by", blocked_by.as_ref());
    Ok((call, format!("update {trace} {}", document(update)?)))
}

/// An incident that takes the place of an earlier version, or of another incident as its group's.
pub(super) struct Put<'a> {
    pub(super) incident: &'a Incident,
    pub(super) before: Option<&'a Incident>,
    pub(super) replaces: Option<&'a Incident>,
    /// What the log says of it.
    pub(super) step: Option<StepKind>,
}

pub(super) fn put_call(put: &Put<'_>) -> Result<(Call, String), LedgerError> {
    let Put { incident, before, replaces, step } = put;
    let document = document(incident)?;
    let replaces = replaces.map_or_else(String::new, |other| incident_key(&other.id));
    let call = Call::new()
        .arg("incident", incident_key(&incident.id))
        .arg("id", &incident.id)
        .arg("group", incident_key(&incident.group()))
        .arg("version", before.map_or(0, |before| before.version))
        .arg("replaces", replaces)
        .maybe("event", step.map(StepKind::event))
        .arg("created_at", incident.created_at.millis())
        .arg("status", incident.status.name())
        .field("incident", &document)
        .field("version", incident.version)
        .field("status", incident.status.name())
        .field("severity", incident.severity.name())
        .maybe_field("agent", incident.agent.as_ref());
    Ok((call, format!("incident {document}")))
}

/// A cursor is the creation and the count of a page's last item.
pub(super) fn cursor_call(call: Call, cursor: Option<&str>) -> Result<Call, JournalError> {
    let Some(text) = cursor else { return Ok(call) };
    let wrong = || JournalError::Cursor(text.into());
    let digits = |part: &str| part.len() <= 16 && part.bytes().all(|b| b.is_ascii_digit());
    let (at, count) = text.split_once('-').ok_or_else(wrong)?;
    if at.is_empty() || !digits(at) || count.len() != 16 || !digits(count) {
        return Err(wrong());
    }
    Ok(call.arg("cursor_at", at).arg("cursor_count", count))
}

pub(super) fn read_trace(reply: Reply) -> Result<TraceRecord, LedgerError> {
    let mut fields = reply.fields()?;
    let f = &mut fields;
    let mut decision: countersign_core::trace::DecisionRecord = f.json("decision")?;
    if let Some(blocked_by) = f.maybe("blocked_by")? {
        decision.blocked_by = Some(blocked_by);
    }
    Ok(TraceRecord {
        trace_hash: f.parsed("hash")?,
        decision,
        tx_hash: f.maybe("tx_hash")?,
        status: trace_status(f)?,
        signatures: f.json_list("signatures")?,
        approvals: f.json_list("approvals")?,
        duration_ms: f.maybe("duration_ms")?,
        previous_hash: f.maybe("previous_hash")?,
        attestation: f.parsed("attestation")?,
    })
}

fn trace_status(fields: &mut Fields) -> Result<TraceStatus, LedgerError> {
    use TraceStatus::{Allowed, Blocked, Executed, Failed, PendingApproval};
    let name = fields.text("status")?;
    let all = [Executed, Blocked, PendingApproval, Allowed, Failed];
    let found = all.into_iter().find(|status| status.name() == name);
    found.ok_or_else(|| damaged("a trace has an unknown status"))
}

pub(super) fn read_incident(reply: Reply) -> Result<Incident, LedgerError> {
    reply.fields()?.json("incident")
}

pub(super) fn maybe_incident(reply: Reply) -> Result<Option<Incident>, LedgerError> {
    if reply.is_empty() { Ok(None) } else { read_incident(reply).map(Some) }
}

/// Sessions are named by agents, so their names are hashed before they become part of a key.
pub(super) fn session_key(session: &str) -> String {
    hex::encode(Sha256::digest(session))
}

pub(super) fn incident_key(id: &str) -> String {
    hex::encode(Sha256::digest(id))
}
