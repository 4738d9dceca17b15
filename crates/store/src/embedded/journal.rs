//! Decision records on disk: entries that are never changed, and the view that follows from them.

use std::sync::Arc;

use alloy_primitives::B256;
use async_trait::async_trait;
use countersign_core::{
    identity::{AgentId, OperatorId, PolicyId, TraceHash},
    incident::{Incident, IncidentMove, Occurrence, Taken},
    journal::{ChainHead, Entry, Line, sha256},
    time::Timestamp,
    trace::{DecisionRecord, TraceRecord, TraceStatus, TraceUpdate},
};
use countersign_engine::port::{
    Journal,
    journal::{
        Chain, Chained, ENTRIES_MAX, IncidentAnswer, IncidentQuery, JournalError, NewTrace,
        PAGE_BYTES_MAX, Page, TRACES_BYTES_MAX, TraceQuery,
    },
};
use rusqlite::{OptionalExtension, Row, params, params_from_iter, types::Value};
use serde::{Deserialize, Serialize};

use super::{
    fault::Fault,
    questions::PAGE_MAX,
    row::{hash_of, int, read, uint},
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
    async fn pin(&self, policy: PolicyId, canonical: &str) -> Result<(), JournalError> {
        let (gateway, canonical) = (Arc::clone(&self.gateway), canonical.to_owned());
        Ok(self.worker.write(move |step| step.pin(&gateway, policy, &canonical)).await?)
    }

    async fn record(&self, entry: &NewTrace) -> Result<bool, JournalError> {
        let (gateway, entry) = (Arc::clone(&self.gateway), entry.clone());
        // here, and not where all steps wait for each other
        let written = entry.line();
        Ok(self.worker.write(move |step| step.record_trace(&gateway, &entry, &written)).await?)
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

    async fn chains(&self) -> Result<Vec<Chain>, JournalError> {
        let chains = |step: &Step<'_>| step.chains();
        Ok(self.worker.read(chains).await?)
    }

    async fn entries(
        &self,
        gateway: &str,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Chained>, JournalError> {
        let gateway = gateway.to_owned();
        Ok(self.worker.read(move |step| step.entries(&gateway, after, limit)).await?)
    }
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
    attested_by: Option<OperatorId>,
}

impl Outcome {
    fn apply(&mut self, update: &TraceUpdate) {
        let TraceUpdate { status, tx_hash, signature, approval, duration_ms, blocked_by, again: _ } =
            update;
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
    /// Appends to a gateway's chain. Returns the head before.
    pub(super) fn append(&self, gateway: &str, line: &Line) -> Result<ChainHead, Fault> {
        let head = self.chain_head(gateway)?;
        let next = head.then(line.digest());
        self.connection()
            .prepare_cached("INSERT INTO journal VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![gateway, int(next.sequence), line.text(), next.hash.as_slice()])?;
        Ok(head)
    }

    fn chain_head(&self, gateway: &str) -> Result<ChainHead, Fault> {
        self.journal_head(gateway)?.map_or(Ok(ChainHead::START), head)
    }

    fn pin(&self, gateway: &str, policy: PolicyId, canonical: &str) -> Result<(), Fault> {
        let pinned = self
            .connection()
            .prepare_cached("INSERT OR IGNORE INTO pinned VALUES (?1, ?2)")?
            .execute(params![gateway, policy.to_string()])?;
        if pinned > 0 {
            let entry = Entry::Policy { policy, canonical: canonical.to_owned() };
            self.append(gateway, &entry.line())?;
        }
        Ok(())
    }

    fn has_pinned(&self, gateway: &str, decision: &DecisionRecord) -> Result<(), Fault> {
        for policy in decision.policies() {
            self.connection()
                .prepare_cached("SELECT 1 FROM pinned WHERE gateway = ?1 AND policy = ?2")?
                .query_row(params![gateway, policy.to_string()], |_| Ok(()))
                .optional()?
                .ok_or(Fault::Unpinned)?;
        }
        Ok(())
    }

    fn chains(&self) -> Result<Vec<Chain>, Fault> {
        let chain = |gateway: String| {
            let anchored = self.anchored(&gateway)?.map(head).transpose()?;
            Ok(Chain { head: self.chain_head(&gateway)?, gateway, anchored })
        };
        self.journals()?.into_iter().map(chain).collect()
    }

    fn entries(&self, gateway: &str, after: u64, limit: u32) -> Result<Vec<Chained>, Fault> {
        let mut statement = self.connection().prepare_cached(
            "SELECT sequence, head, entry FROM journal
              WHERE gateway = ?1 AND sequence > ?2 ORDER BY sequence LIMIT ?3",
        )?;
        let limit = i64::from(limit.min(ENTRIES_MAX));
        let rows = statement.query_map(params![gateway, int(after), limit], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?;
        let (mut entries, mut bytes) = (Vec::new(), 0_usize);
        for row in rows {
            let (sequence, hash, text): (i64, Vec<u8>, String) = row?;
            bytes = bytes.saturating_add(text.len());
            if bytes > PAGE_BYTES_MAX && !entries.is_empty() {
                break;
            }
            entries.push(Chained { head: head((uint(sequence)?, hash))?, text });
        }
        Ok(entries)
    }

    fn record_trace(
        &self,
        gateway: &str,
        new: &NewTrace,
        (line, text): &(Line, String),
    ) -> Result<bool, Fault> {
        let NewTrace { trace_hash, decision, status, posted, canonical: _ } = new;
        if self.trace(*trace_hash)?.is_some() {
            return Ok(false);
        }
        self.has_pinned(gateway, decision)?;
        let (trace, status) = (*trace_hash, *status);
        let before = self.append(gateway, line)?;
        let outcome = Outcome {
            tx_hash: posted.as_ref().and_then(|posted| posted.tx_hash),
            status,
            signatures: posted.iter().flat_map(|posted| posted.signatures.clone()).collect(),
            approvals: Vec::new(),
            duration_ms: posted.as_ref().and_then(|posted| posted.duration_ms),
            blocked_by: decision.blocked_by.clone(),
            previous_hash: Some(before.hash).filter(|_| before != ChainHead::START),
            attestation: posted.is_some(),
            attested_by: posted.as_ref().map(|posted| posted.by.clone()),
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
                decision.session_key_hash.map(|hash| hash.to_string()),
                status.name(),
                decision.operation_id.map(|id| id.to_string()),
                text,
                serde_json::to_string(&outcome)?,
            ])?;
        Ok(true)
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
        if update.approval.as_ref().is_some_and(|said| outcome.approvals.contains(said)) {
            return Ok(());
        }
        outcome.apply(update);
        if let Some(again) = &update.again {
            self.has_pinned(gateway, &again.decision)?;
        }
        let entry = Entry::Update { trace_hash: trace, update: update.clone() };
        self.append(gateway, &entry.line())?;
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
        let mut statement = self.connection().prepare_cached(&sql)?;
        let rows = statement.query_map(params_from_iter(values), columns)?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let (mut items, mut bytes, mut more) = (Vec::new(), 0_usize, false);
        for row in rows {
            let row = row?;
            let (_, decision, outcome) = &row;
            bytes = bytes.saturating_add(decision.len()).saturating_add(outcome.len());
            more = items.len() == limit || (bytes > TRACES_BYTES_MAX && !items.is_empty());
            if more {
                break;
            }
            items.push(view(&row)?);
        }
        let last = items.last().map(|last: &TraceRecord| last.trace_hash.to_string());
        Ok(Page { items, next_cursor: last.filter(|_| more) })
    }

    fn trace_position(&self, cursor: &str) -> Result<(i64, String), Fault> {
        self.connection()
            .prepare_cached("SELECT created, trace FROM traces WHERE trace = ?1")?
            .query_row([cursor], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?
            .ok_or_else(|| Fault::Cursor(cursor.into()))
    }
}

fn head((sequence, hash): (u64, Vec<u8>)) -> Result<ChainHead, Fault> {
    Ok(ChainHead { sequence, hash: hash_of(hash)? })
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
        attested_by: outcome.attested_by,
    })
}

/// The conditions of a query, each followed by AND, and their values.
fn trace_filter(query: &TraceQuery) -> (String, Vec<Value>) {
    let text = |text: &str| Value::from(text.to_owned());
    let time = |at: Timestamp| Value::from(int(at.millis()));
    let conditions = [
        ("status = ?", query.status.map(|status| text(status.name()))),
        ("agent = ?", query.agent.as_ref().map(|agent| text(agent.as_str()))),
        ("session = ?", query.session.as_deref().map(|name| text(&sha256(name).to_string()))),
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
