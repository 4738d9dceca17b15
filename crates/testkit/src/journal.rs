//! The journal in memory.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use alloy_primitives::B256;
use async_trait::async_trait;
use countersign_core::{
    identity::TraceHash,
    incident::{Incident, IncidentMove, Occurrence, Taken},
    trace::{DecisionRecord, TraceRecord, TraceUpdate},
};
use countersign_engine::port::{
    Journal,
    journal::{IncidentAnswer, IncidentQuery, JournalError, NewTrace, Page, TraceQuery},
};
use sha2::{Digest, Sha256};

/// The journals of all gateways, in memory: a list of traces that every query goes through. It can be told
/// to be out of reach.
#[derive(Debug, Clone, Default)]
pub struct ModelJournals(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    heads: Vec<(String, B256)>,
    traces: Vec<TraceRecord>,
    incidents: Vec<Incident>,
    outage: Option<JournalError>,
}

/// The journal of one gateway among [`ModelJournals`].
#[derive(Debug, Clone)]
pub struct ModelJournal {
    all: ModelJournals,
    gateway: String,
}

impl ModelJournals {
    /// The journal of one gateway.
    #[must_use]
    pub fn journal(&self, gateway: &str) -> ModelJournal {
        ModelJournal { all: self.clone(), gateway: gateway.into() }
    }

    /// From now on every call fails with this error and does nothing; `None` ends that.
    pub fn break_with(&self, outage: Option<JournalError>) {
        self.state().outage = outage;
    }

    /// A copy of every trace, in the order of arrival.
    #[must_use]
    pub fn all(&self) -> Vec<TraceRecord> {
        self.state().traces.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ModelJournal {
    /// A journal of its own, for tests with one gateway.
    #[must_use]
    pub fn new() -> Self {
        ModelJournals::default().journal(crate::fixture::GATEWAY)
    }

    /// The journals that this one is among.
    #[must_use]
    pub const fn journals(&self) -> &ModelJournals {
        &self.all
    }

    fn with<T>(
        &self,
        step: impl FnOnce(&mut State) -> Result<T, JournalError>,
    ) -> Result<T, JournalError> {
        let mut state = self.all.state();
        match state.outage.clone() {
            Some(outage) => Err(outage),
            None => step(&mut state),
        }
    }
}

impl Default for ModelJournal {
    fn default() -> Self {
        Self::new()
    }
}

impl State {
    /// Puts a changed incident in the place of the old one.
    fn put(&mut self, incident: &Incident) {
        let place = self.incidents.iter_mut().find(|known| known.id == incident.id).unwrap();
        place.clone_from(incident);
    }

    /// Moves a gateway's head on and returns the one before.
    fn append(&mut self, gateway: &str, entry: &str) -> Option<B256> {
        let last = self.heads.iter_mut().find(|(of, _)| of == gateway);
        let before = last.as_ref().map(|(_, head)| *head);
        let hasher = Sha256::new().chain_update(before.unwrap_or_default()).chain_update(entry);
        let head = B256::from(<[u8; 32]>::from(hasher.finalize()));
        match last {
            Some((_, last)) => *last = head,
            None => self.heads.push((gateway.into(), head)),
        }
        before
    }
}

#[async_trait]
impl Journal for ModelJournal {
    async fn record(&self, entry: &NewTrace) -> Result<(), JournalError> {
        self.with(|state| {
            if state.traces.iter().any(|trace| trace.trace_hash == entry.trace_hash) {
                return Ok(());
            }
            let previous_hash = state.append(&self.gateway, &entry.trace_hash.to_string());
            state.traces.push(TraceRecord {
                trace_hash: entry.trace_hash,
                decision: entry.decision.clone(),
                tx_hash: None,
                status: entry.status,
                signatures: Vec::new(),
                approvals: Vec::new(),
                duration_ms: None,
                previous_hash,
                attestation: entry.attestation,
            });
            Ok(())
        })
    }

    async fn update(&self, trace: TraceHash, update: &TraceUpdate) -> Result<(), JournalError> {
        self.with(|state| {
            let known = state.traces.iter_mut().find(|t| t.trace_hash == trace);
            let Some(known) = known else {
                return Err(JournalError::Unavailable(format!("trace {trace} is not recorded")));
            };
            let update = update.clone();
            known.status = update.status.unwrap_or(known.status);
            known.tx_hash = update.tx_hash.or(known.tx_hash);
            known.signatures.extend(update.signature);
            known.approvals.extend(update.approval);
            known.duration_ms = update.duration_ms.or(known.duration_ms);
            let DecisionRecord { blocked_by, .. } = &mut known.decision;
            *blocked_by = update.blocked_by.or(blocked_by.take());
            state.append(&self.gateway, &format!("update {trace}"));
            Ok(())
        })
    }

    async fn trace(&self, trace: TraceHash) -> Result<Option<TraceRecord>, JournalError> {
        self.with(|state| Ok(state.traces.iter().find(|t| t.trace_hash == trace).cloned()))
    }

    async fn traces(&self, query: &TraceQuery) -> Result<Page<TraceRecord>, JournalError> {
        self.with(|state| {
            let mut found: Vec<TraceRecord> =
                state.traces.iter().filter(|trace| matches(trace, query)).cloned().collect();
            found.sort_by_key(|t| std::cmp::Reverse((t.decision.created_at, t.trace_hash)));
            page(found, query.limit, query.cursor.as_ref(), |t| t.trace_hash.to_string())
        })
    }

    async fn raise(&self, occurrence: &Occurrence) -> Result<Taken, JournalError> {
        self.with(|state| {
            let group = occurrence.group();
            let current = state.incidents.iter().rev().find(|known| known.group() == group);
            let taken = Taken::of(occurrence, current);
            match &taken {
                Taken::Before => {}
                Taken::New(incident) => state.incidents.push(Incident::clone(incident)),
                Taken::More(incident, _) => state.put(incident),
            }
            if taken != Taken::Before {
                state.append(&self.gateway, &occurrence.id);
            }
            Ok(taken)
        })
    }

    async fn incident(&self, id: &str) -> Result<Option<Incident>, JournalError> {
        self.with(|state| Ok(state.incidents.iter().find(|known| known.id == id).cloned()))
    }

    async fn incidents(&self, query: &IncidentQuery) -> Result<Page<Incident>, JournalError> {
        self.with(|state| {
            let wanted = |incident: &&Incident| query.asks_for(incident);
            let mut found: Vec<Incident> = state.incidents.iter().filter(wanted).cloned().collect();
            found.sort_by_key(|i| std::cmp::Reverse((i.created_at, i.id.clone())));
            page(found, query.limit, query.cursor.as_ref(), |i| i.id.clone())
        })
    }

    async fn change_incident(
        &self,
        id: &str,
        step: &IncidentMove,
    ) -> Result<IncidentAnswer, JournalError> {
        self.with(|state| {
            let Some(before) = state.incidents.iter().find(|known| known.id == id) else {
                return Ok(IncidentAnswer::Missing);
            };
            let after = match before.moved(step) {
                Ok(after) => after,
                Err(refusal) => return Ok(IncidentAnswer::Refused(refusal)),
            };
            if after != *before {
                state.put(&after);
                state.append(&self.gateway, id);
            }
            Ok(IncidentAnswer::Changed(Box::new(after)))
        })
    }
}

fn matches(trace: &TraceRecord, query: &TraceQuery) -> bool {
    let decision = &trace.decision;
    query.status.is_none_or(|status| status == trace.status)
        && (query.agent.is_none() || query.agent == decision.agent_id)
        && (query.session.is_none() || query.session == decision.session)
        && (query.operation.is_none() || query.operation == decision.operation_id)
        && query.from.is_none_or(|from| from <= decision.created_at)
        && query.to.is_none_or(|to| decision.created_at < to)
}

/// The part of a sorted list that comes after the cursor, which names the last item before it.
fn page<T>(
    mut items: Vec<T>,
    limit: u32,
    cursor: Option<&String>,
    name: impl Fn(&T) -> String,
) -> Result<Page<T>, JournalError> {
    if let Some(cursor) = cursor {
        let place = items.iter().position(|item| name(item) == *cursor);
        let last = place.ok_or_else(|| JournalError::Cursor(cursor.clone()))?;
        items.drain(..=last);
    }
    let limit = usize::try_from(limit.min(1000)).unwrap();
    let more = items.len() > limit;
    items.truncate(limit);
    let next_cursor = items.last().filter(|_| more).map(name);
    Ok(Page { items, next_cursor })
}
