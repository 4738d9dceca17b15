//! Entries of the chain, and records read back.

use countersign_core::{
    identity::{OperatorId, PolicyId, TraceHash},
    incident::{Incident, StepKind},
    journal::{ChainHead, Entry, Line},
    trace::{DecisionRecord, Posted, TraceRecord, TraceStatus, TraceUpdate},
};
use countersign_engine::port::{
    journal::{Chained, JournalError, NewTrace},
    ledger::LedgerError,
};
use sha2::{Digest, Sha256};

use crate::redis::{
    link::Call,
    record::json as document,
    reply::{Fields, Reply, damaged},
};

/// A head as it is stored: empty at the beginning, else number and hash.
pub(super) fn stored(head: ChainHead) -> String {
    let ChainHead { sequence, hash } = head;
    if head == ChainHead::START { String::new() } else { format!("{sequence} {hash}") }
}

pub(super) fn parse_head(text: &str) -> Result<ChainHead, LedgerError> {
    if text.is_empty() {
        return Ok(ChainHead::START);
    }
    let read = || -> Option<ChainHead> {
        let (sequence, hash) = text.split_once(' ')?;
        Some(ChainHead { sequence: sequence.parse().ok()?, hash: hash.parse().ok()? })
    };
    read().ok_or_else(|| damaged("the head of a journal cannot be read"))
}

/// A line of a chain: the head behind an entry, and the entry.
pub(super) fn parse_chained(line: &str) -> Result<Chained, LedgerError> {
    let unreadable = || damaged("an entry of a journal cannot be read");
    // INVARIANT: a head has one space in it, and the entry follows the second
    let (end, _) = line.match_indices(' ').nth(1).ok_or_else(unreadable)?;
    let (head, text) = line.split_at_checked(end).ok_or_else(unreadable)?;
    let text = text.strip_prefix(' ').ok_or_else(unreadable)?;
    Ok(Chained { head: parse_head(head)?, text: text.to_owned() })
}

pub(super) fn pin_line(policy: PolicyId, canonical: &str) -> Line {
    Entry::Policy { policy, canonical: canonical.to_owned() }.line()
}

/// The policies of a decision, with spaces between them.
fn names(decision: &DecisionRecord) -> String {
    let names: Vec<String> = decision.policies().map(|policy| policy.to_string()).collect();
    names.join(" ")
}

/// A decision with its text.
pub(super) fn record_call(entry: &NewTrace, text: &str) -> Call {
    let NewTrace { trace_hash, decision, status, posted, canonical: _ } = entry;
    let session = decision.session_key_hash.map(hex::encode);
    Call::new()
        .arg("trace", trace_hash)
        .arg("created_at", decision.created_at.millis())
        .arg("policies", names(decision))
        .arg("status", status.name())
        .maybe("agent", decision.agent_id.as_ref())
        .maybe("session", session.as_ref())
        .maybe("operation", decision.operation_id)
        .field("hash", trace_hash)
        .field("decision", text)
        .field("status", status.name())
        .field("created_at", decision.created_at.millis())
        .field("attestation", posted.is_some())
        .maybe_field("attested_by", posted.as_ref().map(|posted| &posted.by))
        .maybe_field("tx_hash", posted.as_ref().and_then(|posted| posted.tx_hash))
        .maybe_field("duration_ms", posted.as_ref().and_then(|posted| posted.duration_ms))
        .maybe_field("signatures", posted.as_ref().and_then(signatures))
        .maybe_field("agent", decision.agent_id.as_ref())
        .maybe_field("session", session)
        .maybe_field("operation", decision.operation_id)
}

/// As later ones are added to: with commas between them.
fn signatures(posted: &Posted) -> Option<String> {
    let texts: Vec<String> = posted.signatures.iter().map(ToString::to_string).collect();
    (!texts.is_empty()).then(|| texts.join(","))
}

pub(super) fn update_line(trace: TraceHash, update: &TraceUpdate) -> Line {
    Entry::Update { trace_hash: trace, update: update.clone() }.line()
}

pub(super) fn update_call(trace: TraceHash, update: &TraceUpdate) -> Call {
    let TraceUpdate { status, tx_hash, signature, approval, duration_ms, blocked_by, again } =
        update;
    Call::new()
        .arg("trace", trace)
        .maybe("status", status.map(TraceStatus::name))
        .maybe("policies", again.as_ref().map(|again| names(&again.decision)))
        .maybe("signatures", signature.as_ref())
        .maybe("approvals", approval.as_ref())
        .maybe_field("tx_hash", *tx_hash)
        .maybe_field("duration_ms", *duration_ms)
        .maybe_field("blocked_by", blocked_by.as_ref())
}

/// An incident that takes the place of an earlier version, or of another incident as its group's.
pub(super) struct Put<'a> {
    pub(super) incident: &'a Incident,
    pub(super) before: Option<&'a Incident>,
    pub(super) replaces: Option<&'a Incident>,
    /// What the log says of it.
    pub(super) step: Option<StepKind>,
}

pub(super) fn put_line(put: &Put<'_>) -> Line {
    Entry::Incident(Box::new(put.incident.clone())).line()
}

pub(super) fn put_call(put: &Put<'_>) -> Result<Call, LedgerError> {
    let Put { incident, before, replaces, step } = put;
    let document = document(incident)?;
    let replaces = replaces.map_or_else(String::new, |other| incident_key(&other.id));
    Ok(Call::new()
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
        .maybe_field("agent", incident.agent.as_ref()))
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

pub(super) fn read_trace(reply: &Reply) -> Result<TraceRecord, LedgerError> {
    let mut fields = reply.fields()?;
    let f = &mut fields;
    let mut decision: countersign_core::trace::DecisionRecord = f.json("decision")?;
    if let Some(blocked_by) = f.maybe("blocked_by")? {
        decision.blocked_by = Some(blocked_by);
    }
    let posted_by: Option<String> = f.maybe("attested_by")?;
    let unreadable = |_| damaged("a trace says of nobody that they posted it");
    let attested_by = posted_by.map(|id| OperatorId::parse(&id)).transpose().map_err(unreadable)?;
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
        attested_by,
    })
}

fn trace_status(fields: &mut Fields<'_>) -> Result<TraceStatus, LedgerError> {
    use TraceStatus::{Allowed, Blocked, Executed, Failed, PendingApproval};
    let name = fields.text("status")?;
    let all = [Executed, Blocked, PendingApproval, Allowed, Failed];
    let found = all.into_iter().find(|status| status.name() == name);
    found.ok_or_else(|| damaged("a trace has an unknown status"))
}

pub(super) fn read_incident(reply: &Reply) -> Result<Incident, LedgerError> {
    reply.fields()?.json("incident")
}

pub(super) fn maybe_incident(reply: &Reply) -> Result<Option<Incident>, LedgerError> {
    if reply.is_empty() { Ok(None) } else { read_incident(reply).map(Some) }
}

/// Sessions are named by agents, so their names are hashed before they become part of a key.
pub(super) fn session_key(session: &str) -> String {
    hex::encode(Sha256::digest(session))
}

pub(super) fn incident_key(id: &str) -> String {
    hex::encode(Sha256::digest(id))
}
