//! The journal in memory.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use alloy_primitives::B256;
use async_trait::async_trait;
use countersign_core::{
    identity::{PolicyId, TraceHash},
    incident::{Incident, IncidentMove, Occurrence, Taken},
    journal::{ChainHead, Entry, sha256},
    trace::{DecisionRecord, TraceRecord, TraceUpdate},
};
use countersign_engine::port::{
    Journal,
    journal::{
        Chain, Chained, ENTRIES_MAX, IncidentAnswer, IncidentQuery, JournalError, NewTrace,
        PAGE_BYTES_MAX, Page, TRACES_BYTES_MAX, TraceQuery,
    },
};

/// The journals of all gateways, in memory: a list of traces that every query goes through. It can be told
/// to be out of reach.
#[derive(Debug, Clone, Default)]
pub struct ModelJournals(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    chains: BTreeMap<String, Vec<Chained>>,
    pinned: BTreeSet<(String, PolicyId)>,
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

    /// A copy of every chain, by its gateway's name.
    #[must_use]
    pub fn chains(&self) -> Vec<(String, Vec<Chained>)> {
        self.state().chains.iter().map(|(name, chain)| (name.clone(), chain.clone())).collect()
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

    fn has_pinned(&self, gateway: &str, decision: &DecisionRecord) -> Result<(), JournalError> {
        let is_pinned = |policy| self.pinned.contains(&(gateway.to_owned(), policy));
        if decision.policies().all(is_pinned) { Ok(()) } else { Err(JournalError::Unpinned) }
    }

    /// Appends to a gateway's chain and returns the hash of the entry before.
    fn append(&mut self, gateway: &str, entry: &Entry) -> Option<B256> {
        let chain = self.chains.entry(gateway.to_owned()).or_default();
        let before = chain.last().map(|last| last.head);
        let text = entry.text();
        let head = before.unwrap_or(ChainHead::START).behind(&text)?;
        chain.push(Chained { head, text });
        before.map(|head| head.hash)
    }
}

#[async_trait]
impl Journal for ModelJournal {
    async fn pin(&self, policy: PolicyId, canonical: &str) -> Result<(), JournalError> {
        self.with(|state| {
            if state.pinned.insert((self.gateway.clone(), policy)) {
                let entry = Entry::Policy { policy, canonical: canonical.to_owned() };
                state.append(&self.gateway, &entry);
            }
            Ok(())
        })
    }

    async fn record(&self, entry: &NewTrace) -> Result<bool, JournalError> {
        self.with(|state| {
            if state.traces.iter().any(|trace| trace.trace_hash == entry.trace_hash) {
                return Ok(false);
            }
            state.has_pinned(&self.gateway, &entry.decision)?;
            let NewTrace { trace_hash, decision, status, posted, canonical: _ } = entry.clone();
            let previous_hash = state.append(&self.gateway, &entry.entry());
            let begun = TraceRecord::begun(trace_hash, decision, status, posted);
            state.traces.push(TraceRecord { previous_hash, ..begun });
            Ok(true)
        })
    }

    async fn update(&self, trace: TraceHash, update: &TraceUpdate) -> Result<(), JournalError> {
        self.with(|state| {
            if let Some(again) = &update.again {
                state.has_pinned(&self.gateway, &again.decision)?;
            }
            let known = state.traces.iter_mut().find(|t| t.trace_hash == trace);
            let Some(known) = known else {
                return Err(JournalError::Unavailable(format!("trace {trace} is not recorded")));
            };
            if update.approval.as_ref().is_some_and(|said| known.approvals.contains(said)) {
                return Ok(());
            }
            known.take(update.clone());
            let entry = Entry::Update { trace_hash: trace, update: update.clone() };
            state.append(&self.gateway, &entry);
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
            let page =
                page(found, query.limit, query.cursor.as_ref(), |t| t.trace_hash.to_string())?;
            Ok(within_bytes(page))
        })
    }

    async fn raise(&self, occurrence: &Occurrence) -> Result<Taken, JournalError> {
        self.with(|state| {
            let group = occurrence.group();
            let current = state.incidents.iter().rev().find(|known| known.group() == group);
            let taken = Taken::of(occurrence, current);
            match &taken {
                Taken::Before => {}
                Taken::New(incident) => {
                    state.incidents.push(Incident::clone(incident));
                    state.append(&self.gateway, &Entry::Incident(incident.clone()));
                }
                Taken::More(incident, _) => {
                    state.put(incident);
                    state.append(&self.gateway, &Entry::Incident(incident.clone()));
                }
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
                state.append(&self.gateway, &Entry::Incident(Box::new(after.clone())));
            }
            Ok(IncidentAnswer::Changed(Box::new(after)))
        })
    }

    async fn chains(&self) -> Result<Vec<Chain>, JournalError> {
        self.with(|state| {
            let chain = |(gateway, entries): (&String, &Vec<Chained>)| Chain {
                gateway: gateway.clone(),
                head: entries.last().map_or(ChainHead::START, |last| last.head),
                anchored: None,
            };
            Ok(state.chains.iter().map(chain).collect())
        })
    }

    async fn entries(
        &self,
        gateway: &str,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Chained>, JournalError> {
        let limit = usize::try_from(limit.min(ENTRIES_MAX)).unwrap_or(usize::MAX);
        self.with(|state| {
            let entries = state.chains.get(gateway).map(Vec::as_slice).unwrap_or_default();
            let behind = entries.iter().filter(|entry| entry.head.sequence > after);
            let mut bytes = 0_usize;
            let fits = |entry: &&Chained| {
                let is_first = bytes == 0;
                bytes += entry.text.len();
                is_first || bytes <= PAGE_BYTES_MAX
            };
            Ok(behind.take(limit).take_while(fits).cloned().collect())
        })
    }
}

fn matches(trace: &TraceRecord, query: &TraceQuery) -> bool {
    let decision = &trace.decision;
    query.status.is_none_or(|status| status == trace.status)
        && (query.agent.is_none() || query.agent == decision.agent_id)
        && query
            .session
            .as_deref()
            .is_none_or(|session| decision.session_key_hash == Some(sha256(session)))
        && (query.operation.is_none() || query.operation == decision.operation_id)
        && query.from.is_none_or(|from| from <= decision.created_at)
        && query.to.is_none_or(|to| decision.created_at < to)
}

/// No more of a page than may be on one.
fn within_bytes(page: Page<TraceRecord>) -> Page<TraceRecord> {
    let Page { mut items, next_cursor } = page;
    let mut bytes = 0_usize;
    let fits = |trace: &TraceRecord| {
        bytes += serde_json::to_string(trace).unwrap().len();
        bytes <= TRACES_BYTES_MAX
    };
    let fitting = items.iter().map(fits).take_while(|fits| *fits).count().max(1);
    if fitting >= items.len() {
        return Page { items, next_cursor };
    }
    items.truncate(fitting);
    let next_cursor = items.last().map(|last| last.trace_hash.to_string());
    Page { items, next_cursor }
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
