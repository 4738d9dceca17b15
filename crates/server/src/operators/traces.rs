//! Traces: the record of every decision, and what clients say about their own.

use alloy_primitives::B256;
use axum::{Json, extract::State, http::StatusCode};
use countersign_core::{
    identity::{AgentId, OperationId, TraceHash},
    time::Timestamp,
    trace::{DecisionRecord, TraceRecord, TraceStatus, TraceUpdate},
};
use countersign_engine::port::journal::{NewTrace, TraceQuery};
use serde::Deserialize;
use serde_json::Value;

use super::{
    Desk, Door, Problem,
    access::{Asked, Named, Viewer},
    body::{Given, Listed, limit, listed},
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
    let limit = limit(most)?;
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

fn ours(desk: &Desk, app: &str) -> Result<(), Problem> {
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

impl Said {
    fn is_shallow(&self) -> Result<(), Problem> {
        let values = [&self.proposed_action, &self.validation_result];
        let mut all = values.into_iter().chain(&self.policy_verdicts).chain(&self.signatures);
        if all.any(|value| is_deeper(value, DEPTH_MAX)) {
            return Err(Problem::Malformed(format!(
                "nothing may be nested deeper than {DEPTH_MAX}"
            )));
        }
        Ok(())
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

/// `POST /apps/{appId}/traces`: recorded as an attestation; it proves only that the client said so.
pub(crate) async fn attest(
    _: Viewer,
    State(desk): Door,
    Named(app): Named<String>,
    Given(said): Given<Said>,
) -> Result<(StatusCode, Json<TraceRecord>), Problem> {
    ours(&desk, &app)?;
    said.is_shallow()?;
    let now = desk.ports().ledger.now().await?;
    let (entry, updates) = attestation(said, now);
    let journal = &desk.ports().journal;
    journal.record(&entry).await?;
    for update in &updates {
        journal.update(entry.trace_hash, update).await?;
    }
    Ok((StatusCode::CREATED, Json(find(&desk, entry.trace_hash).await?)))
}

fn attestation(said: Said, now: Timestamp) -> (NewTrace, Vec<TraceUpdate>) {
    let claimed = said.trace_hash.clone();
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
        risk_score: said.risk_score.min(100),
        blocked_by: said.blocked_by,
        policy: None,
        guards: Vec::new(),
        facts: None,
        intent: None,
        charges: Vec::new(),
        gates: Vec::new(),
        overruns: Vec::new(),
    };
    let trace_hash = decision.hash();
    let mut updates: Vec<TraceUpdate> = Vec::new();
    if said.tx_hash.is_some() || said.duration_ms.is_some() {
        updates.push(TraceUpdate {
            tx_hash: said.tx_hash,
            duration_ms: said.duration_ms,
            ..TraceUpdate::default()
        });
    }
    let claimed = claimed.map(|hash| serde_json::json!({"claimed_trace_hash": hash}));
    updates.extend(
        said.signatures
            .into_iter()
            .chain(claimed)
            .map(|signature| TraceUpdate { signature: Some(signature), ..TraceUpdate::default() }),
    );
    (NewTrace { trace_hash, decision, status: said.status, attestation: true }, updates)
}
