//! Decision records on disk: entries that are never changed, and the view that follows from them.

use std::sync::Arc;

use alloy_primitives::B256;
use async_trait::async_trait;
use countersign_core::{
    identity::{AgentId, TraceHash},
    incident::{Incident, IncidentMove, Occurrence, Taken},
    time::Timestamp,
    trace::{DecisionRecord, TraceRecord, TraceStatus, TraceUpdate},
};
use countersign_engine::port::{
    Journal,
    journal::{IncidentAnswer, IncidentQuery, JournalError, NewTrace, Page, TraceQuery},
};
use rusqlite::{OptionalExtension, Row, params, params_from_iter, types::Value};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{
    fault::Fault,
    questions::PAGE_MAX,
    row::{int, read},
    worker::{Step, Worker},
};

/// The journal of one gateway.
#[derive(Debug)]
pub struct EmbeddedJournal {
    worker: Arc<Worker>,
    gateway: Arc<str>,
}

impl EmbeddedJournal {
    pub(super) fn new(worker: Arc<Worker>, gateway: &str) -> Self {
        Self { worker, gateway: gateway.into() }
    }
}

#[async_trait]
impl Journal for EmbeddedJournal {
    async fn record(&self, entry: &NewTrace) -> Result<(), JournalError> {
        let (gateway, entry) = (Arc::clone(&self.gateway), entry.clone());
        Ok(self.worker.write(move |step| step.record_trace(&gateway, &entry)).await?)
    }

    async fn update(&self, trace: TraceHash, update: &TraceUpdate) -> Result<(), JournalError> {
        let (gateway, update) = (Arc::clone(&self.gateway), update.clone());
        Ok(self.worker.write(move |step| step.update_trace(&gateway, trace, &update)).await?)
    }

    async fn trace(&self, trace: TraceHash) -> Result<Option<TraceRecord>, JournalError> {
        Ok(self.worker.read(move |step| step.trace(trace)).await?)
    }

    async fn traces(&self, query: &TraceQuery) -> Result<Page<TraceRecord>, JournalError> {
        let query = query.clone();
        Ok(self.worker.read(move |step| step.traces(&query)).await?)
    }

    async fn raise(&self, occurrence: &Occurrence) -> Result<Taken, JournalError> {
        let (gateway, occurrence) = (Arc::clone(&self.gateway), occurrence.clone());
        Ok(self.worker.write(move |step| step.raise(&gateway, &occurrence)).await?)
    }

    async fn incident(&self, id: &str) -> Result<Option<Incident>, JournalError> {
        let id = id.to_owned();
        Ok(self.worker.read(move |step| step.incident(&id)).await?)
    }

    async fn incidents(&self, query: &IncidentQuery) -> Result<Page<Incident>, JournalError> {
        let query = query.clone();
        Ok(self.worker.read(move |step| step.incidents(&query)).await?)
    }

    async fn change_incident(
        &self,
        id: &str,
        step: &IncidentMove,
    ) -> Result<IncidentAnswer, JournalError> {
        let (gateway, id, made) = (Arc::clone(&self.gateway), id.to_owned(), step.clone());
        Ok(self.worker.write(move |step| step.change_incident(&gateway, &id, &made)).await?)
    }
}

/// One entry of a chain. The text that is stored is the text that was hashed.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum Entry<'a> {
    Decision {
        trace: TraceHash,
        decision: &'a DecisionRecord,
        status: TraceStatus,
        attestation: bool,
    },
    Update {
        trace: TraceHash,
        update: &'a TraceUpdate,
    },
    Incident {
        incident: &'a Incident,
    },
}

/// What came of a decision: a trace without the decision itself.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Outcome {
    tx_hash: Option<B256>,
    status: TraceStatus,
    signatures: Vec<serde_json::Value>,
    approvals: Vec<serde_json::Value>,
    duration_ms: Option<u64>,
    blocked_by: Option<String>,
    previous_hash: Option<B256>,
    attestation: bool,
}

impl Outcome {
    fn apply(&mut self, update: &TraceUpdate) {
        let TraceUpdate { status, tx_hash, signature, approval, duration_ms, blocked_by } = update;
        self.status = status.unwrap_or(self.status);
        self.tx_hash = tx_hash.or(self.tx_hash);
        self.signatures.extend(signature.clone());
        self.approvals.extend(approval.clone());
        self.duration_ms = duration_ms.or(self.duration_ms);
        if let Some(blocked_by) = blocked_by {
            self.blocked_by = Some(blocked_by.clone());
        }
    }
}

impl Step<'_> {
    /// Appends to a gateway's chain: head' = SHA-256(head ‖ entry). Returns the head before.
    pub(super) fn append(&self, gateway: &str, entry: &Entry<'_>) -> Result<Option<B256>, Fault> {
        let last: Option<(i64, Vec<u8>)> = self
            .connection()
            .prepare_cached(
                "SELECT sequence, head FROM journal WHERE gateway = ?1
                 ORDER BY sequence DESC LIMIT 1",
            )?
            .query_row([gateway], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let (sequence, head) = last.map_or((0, None), |(sequence, head)| (sequence, Some(head)));
        let text = serde_json::to_string(entry)?;
        let before = head.clone().unwrap_or_else(|| vec![0; 32]);
        let next = Sha256::new().chain_update(before).chain_update(&text).finalize();
        self.connection()
            .prepare_cached("INSERT INTO journal VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![gateway, sequence.saturating_add(1), text, next.as_slice()])?;
        let damaged = |_| Fault::Damaged("a head of the journal is not 32 bytes".into());
        head.map(|head| B256::try_from(head.as_slice()).map_err(damaged)).transpose()
    }

    fn record_trace(&self, gateway: &str, new: &NewTrace) -> Result<(), Fault> {
        let NewTrace { trace_hash, decision, status, attestation } = new;
        if self.trace(*trace_hash)?.is_some() {
            return Ok(());
        }
        let (trace, status, attestation) = (*trace_hash, *status, *attestation);
        let entry = Entry::Decision { trace, decision, status, attestation };
        let outcome = Outcome {
            tx_hash: None,
            status,
            signatures: Vec::new(),
            approvals: Vec::new(),
            duration_ms: None,
            blocked_by: decision.blocked_by.clone(),
            previous_hash: self.append(gateway, &entry)?,
            attestation,
        };
        self.connection()
            .prepare_cached(
                "INSERT INTO traces
                    (trace, created, agent, session, status, operation, decision, outcome)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?
            .execute(params![
                trace.to_string(),
                int(decision.created_at.millis()),
                decision.agent_id.as_ref().map(AgentId::as_str),
                decision.session,
                status.name(),
                decision.operation_id.map(|id| id.to_string()),
                serde_json::to_string(decision)?,
                serde_json::to_string(&outcome)?,
            ])?;
        Ok(())
    }

    fn update_trace(
        &self,
        gateway: &str,
        trace: TraceHash,
        update: &TraceUpdate,
    ) -> Result<(), Fault> {
        let json: Option<String> = self
            .connection()
            .prepare_cached("SELECT outcome FROM traces WHERE trace = ?1")?
            .query_row([trace.to_string()], read)
            .optional()?;
        let missing = || Fault::Refused(format!("trace {trace} is not recorded"));
        let mut outcome: Outcome = serde_json::from_str(&json.ok_or_else(missing)?)?;
        outcome.apply(update);
        self.append(gateway, &Entry::Update { trace, update })?;
        self.connection()
            .prepare_cached("UPDATE traces SET status = ?2, outcome = ?3 WHERE trace = ?1")?
            .execute(params![
                trace.to_string(),
                outcome.status.name(),
                serde_json::to_string(&outcome)?
            ])?;
        Ok(())
    }

    fn trace(&self, trace: TraceHash) -> Result<Option<TraceRecord>, Fault> {
        self.connection()
            .prepare_cached("SELECT trace, decision, outcome FROM traces WHERE trace = ?1")?
            .query_row([trace.to_string()], columns)
            .optional()?
            .map(|columns| view(&columns))
            .transpose()
    }

    fn traces(&self, query: &TraceQuery) -> Result<Page<TraceRecord>, Fault> {
        let (created, trace) = match &query.cursor {
            Some(cursor) => self.trace_position(cursor)?,
            None => (i64::MAX, String::new()),
        };
        let limit = query.limit.min(PAGE_MAX);
        let (filter, mut values) = trace_filter(query);
        let sql = format!(
            "SELECT trace, decision, outcome FROM traces WHERE {filter}(created, trace) < (?, ?)
             ORDER BY created DESC, trace DESC LIMIT ?"
        );
        let more = i64::from(limit).saturating_add(1);
        values.extend([Value::from(created), Value::from(trace), Value::from(more)]);
        let rows: Vec<Columns> = self
            .connection()
            .prepare_cached(&sql)?
            .query_map(params_from_iter(values), columns)?
            .collect::<Result<_, _>>()?;
        let items = rows.iter().map(view).collect::<Result<Vec<_>, _>>()?;
        Ok(page(items, limit, |last| last.trace_hash.to_string()))
    }

    fn trace_position(&self, cursor: &str) -> Result<(i64, String), Fault> {
        self.connection()
            .prepare_cached("SELECT created, trace FROM traces WHERE trace = ?1")?
            .query_row([cursor], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?
            .ok_or_else(|| Fault::Cursor(cursor.into()))
    }
}

/// Trace hash, decision and outcome of a row.
type Columns = (String, String, String);

fn columns(row: &Row<'_>) -> rusqlite::Result<Columns> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
}

fn view((trace, decision, outcome): &Columns) -> Result<TraceRecord, Fault> {
    let decision: DecisionRecord = serde_json::from_str(decision)?;
    let outcome: Outcome = serde_json::from_str(outcome)?;
    let damaged = |_| Fault::Damaged(format!("`{trace}` is no trace hash"));
    Ok(TraceRecord {
        trace_hash: trace.parse().map_err(damaged)?,
        decision: DecisionRecord { blocked_by: outcome.blocked_by, ..decision },
        tx_hash: outcome.tx_hash,
        status: outcome.status,
        signatures: outcome.signatures,
        approvals: outcome.approvals,
        duration_ms: outcome.duration_ms,
        previous_hash: outcome.previous_hash,
        attestation: outcome.attestation,
    })
}

/// The conditions of a query, each followed by AND, and their values.
fn trace_filter(query: &TraceQuery) -> (String, Vec<Value>) {
    let text = |text: &str| Value::from(text.to_owned());
    let time = |at: Timestamp| Value::from(int(at.millis()));
    let conditions = [
        ("status = ?", query.status.map(|status| text(status.name()))),
        ("agent = ?", query.agent.as_ref().map(|agent| text(agent.as_str()))),
        ("session = ?", query.session.as_deref().map(text)),
        ("operation = ?", query.operation.map(|id| text(&id.to_string()))),
        ("created >= ?", query.from.map(time)),
        ("created < ?", query.to.map(time)),
    ];
    let (mut filter, mut values) = (String::new(), Vec::new());
    for (condition, value) in conditions {
        if let Some(value) = value {
            filter.push_str(condition);
            filter.push_str(" AND ");
            values.push(value);
        }
    }
    (filter, values)
}

/// A page from what was read: one more than the limit if there is more.
pub(super) fn page<T>(mut items: Vec<T>, limit: u32, cursor: impl FnOnce(&T) -> String) -> Page<T> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = items.len() > limit;
    items.truncate(limit);
    let next_cursor = items.last().filter(|_| more).map(cursor);
    Page { items, next_cursor }
}
