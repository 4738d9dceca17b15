//! Traces: the record of every decision, and what clients say about their own.

use alloy_primitives::B256;
use axum::{Json, extract::State, http::StatusCode};
use countersign_core::{
    identity::{AgentId, OperationId, OperatorId, TraceHash},
    time::{Millis, Timestamp},
    trace::{DecisionRecord, Posted, TraceRecord, TraceStatus},
};
use countersign_engine::port::journal::{JournalError, NewTrace, TraceQuery};
use serde::Deserialize;
use serde_json::Value;

use super::{
    Desk, Door, Problem,
    access::{Approver, Asked, Named, Viewer},
    body::{Given, Listed, limit, listed, span},
    evidence::session_named,
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    status: Option<TraceStatus>,
    agent: Option<AgentId>,
    session: Option<String>,
    operation: Option<OperationId>,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    limit: Option<u32>,
    cursor: Option<String>,
}

/// `GET /apps/{appId}/traces`
pub(crate) async fn list(
    _: Viewer,
    State(desk): Door,
    Named(app): Named<String>,
    Asked(which): Asked<Which>,
) -> Listed<TraceRecord> {
    ours(&desk, &app)?;
    let Which { status, agent, session, operation, from, to, limit: most, cursor } = which;
    let (limit, (from, to)) = (limit(most)?, span(from, to)?);
    let session = session_named(session)?;
    let query = TraceQuery { status, agent, session, operation, from, to, limit, cursor };
    Ok(listed(desk.ports().journal.traces(&query).await?))
}

/// `GET /apps/{appId}/traces/{traceHash}`
pub(crate) async fn show(
    _: Viewer,
    State(desk): Door,
    Named((app, hash)): Named<(String, TraceHash)>,
) -> Result<Json<TraceRecord>, Problem> {
    ours(&desk, &app)?;
    find(&desk, hash).await.map(Json)
}

async fn find(desk: &Desk, hash: TraceHash) -> Result<TraceRecord, Problem> {
    desk.ports().journal.trace(hash).await?.ok_or(Problem::NotFound)
}

pub(super) fn ours(desk: &Desk, app: &str) -> Result<(), Problem> {
    if desk.setup().app.as_str() == app { Ok(()) } else { Err(Problem::NotFound) }
}

/// A trace as a client writes it (seed 001). The hash that it names is part of what it says: the row gets
/// one of its own.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Said {
    #[serde(default)]
    trace_hash: Option<String>,
    #[serde(default)]
    reasoning: Option<String>,
    proposed_action: Value,
    #[serde(default)]
    validation_result: Value,
    #[serde(default)]
    policy_verdicts: Vec<Value>,
    #[serde(default)]
    signatures: Vec<Value>,
    #[serde(default)]
    tx_hash: Option<B256>,
    status: TraceStatus,
    #[serde(default)]
    risk_score: u8,
    #[serde(default)]
    blocked_by: Option<String>,
    #[serde(default)]
    duration_ms: Option<u64>,
    #[serde(default)]
    agent_id: Option<AgentId>,
    #[serde(default)]
    session_key_hash: Option<B256>,
}

/// The deepest nesting of what a client says: its record has to be read again wherever it goes.
const DEPTH_MAX: u8 = 32;

/// The most bytes that a client may say: lists hold a thousand records.
const BYTES_MAX: usize = 64 << 10;

/// The most signatures.
const SIGNATURES_MAX: usize = 64;

/// From here on a number with a point stands for several integers.
const FLOAT_MAX: f64 = 9_007_199_254_740_992.0;

impl Said {
    /// What is recorded has to be what was said, wherever it is read again.
    fn is_kept_as_said(&self) -> Result<(), Problem> {
        let wrong = |reason: String| Err(Problem::Malformed(reason));
        let values = || {
            let values = [&self.proposed_action, &self.validation_result];
            values.into_iter().chain(&self.policy_verdicts).chain(&self.signatures)
        };
        if values().any(|value| is_deeper(value, DEPTH_MAX)) {
            return wrong(format!("nothing may be nested deeper than {DEPTH_MAX}"));
        }
        if !values().all(|value| holds(value, &|number| number.abs() < FLOAT_MAX)) {
            return wrong("a number beyond 64 bits is not kept exactly: write it as text".into());
        }
        if self.signatures.len() > SIGNATURES_MAX {
            return wrong(format!("`signatures`: are more than {SIGNATURES_MAX}"));
        }
        let is_signature = |value: &Value| !value.is_null() && holds(value, &|_| false);
        if !self.signatures.iter().all(is_signature) {
            return wrong("`signatures`: null and numbers with a point are none".into());
        }
        if self.risk_score > RISK_MAX {
            return wrong(format!("`riskScore`: is above {RISK_MAX}"));
        }
        let texts = [&self.reasoning, &self.blocked_by, &self.trace_hash];
        let said: usize = texts.into_iter().flatten().map(String::len).sum();
        let shown: usize = values().map(|value| value.to_string().len()).sum();
        if said.saturating_add(shown) > BYTES_MAX {
            return wrong(format!("it says more than {BYTES_MAX} bytes"));
        }
        Ok(())
    }
}

/// Whether each number with a point, or beyond 64 bits, is `exact`.
fn holds(value: &Value, exact: &dyn Fn(f64) -> bool) -> bool {
    match value {
        Value::Number(number) => {
            number.is_i64() || number.is_u64() || number.as_f64().is_some_and(exact)
        }
        Value::Array(items) => items.iter().all(|item| holds(item, exact)),
        Value::Object(members) => members.values().all(|member| holds(member, exact)),
        Value::Null | Value::Bool(_) | Value::String(_) => true,
    }
}

fn is_deeper(value: &Value, than: u8) -> bool {
    let deeper = |inner: &Value| than.checked_sub(1).is_none_or(|left| is_deeper(inner, left));
    match value {
        Value::Array(items) => items.iter().any(deeper),
        Value::Object(members) => members.values().any(deeper),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// The highest risk (CONTRACT §4).
const RISK_MAX: u8 = 100;

/// How often a record is made anew because another one that says the same at the same instant was faster.
const ROUNDS_MAX: u16 = 1000;

/// `POST /apps/{appId}/traces`: recorded as an attestation, whole or not at all; it proves only that the client said so.
/// Each is a record of its own, also one that says the same at the same instant at another gateway.
pub(crate) async fn attest(
    Approver(operator): Approver,
    State(desk): Door,
    Named(app): Named<String>,
    Given(said): Given<Said>,
) -> Result<(StatusCode, Json<TraceRecord>), Problem> {
    // who may only look adds nothing to the record
    ours(&desk, &app)?;
    said.is_kept_as_said()?;
    let mut now = desk.ports().ledger.now().await?;
    let mut entry = attestation(said, now, operator.id.clone());
    for _ in 0..ROUNDS_MAX {
        if desk.ports().journal.record(&entry).await? {
            return Ok((StatusCode::CREATED, Json(find(&desk, entry.trace_hash).await?)));
        }
        now = now.after(Millis(1));
        entry.decision.created_at = now;
        entry.trace_hash = entry.decision.hash();
    }
    let why = "too many records say the same at the same instant";
    Err(JournalError::Unavailable(why.into()).into())
}

fn attestation(said: Said, now: Timestamp, by: OperatorId) -> NewTrace {
    let decision = DecisionRecord {
        operation_id: None,
        created_at: now,
        agent_id: said.agent_id,
        session_key_hash: said.session_key_hash,
        session: None,
        reasoning: said.reasoning,
        proposed_action: said.proposed_action,
        validation_result: said.validation_result,
        policy_verdicts: said.policy_verdicts,
        risk_score: said.risk_score,
        blocked_by: said.blocked_by,
        policy: None,
        guards: Vec::new(),
        facts: None,
        intent: None,
        charges: Vec::new(),
        gates: Vec::new(),
        overruns: Vec::new(),
        crowded: None,
    };
    let claimed = said.trace_hash.map(|hash| serde_json::json!({"claimed_trace_hash": hash}));
    let signatures = said.signatures.into_iter().chain(claimed).collect();
    let posted = Posted { by, tx_hash: said.tx_hash, signatures, duration_ms: said.duration_ms };
    let trace_hash = decision.hash();
    let (status, posted, canonical) = (said.status, Some(posted), None);
    NewTrace { trace_hash, decision, status, posted, canonical }
}
