//! Shelves of policies in memory.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use countersign_core::{
    identity::AgentId,
    shelf::{Shelf, ShelfChange, Version},
};
use countersign_engine::port::{
    PolicyShelf,
    ledger::LedgerError,
    shelf::{PutAnswer, VERSIONS_MAX},
};

/// The shelves of all agents: every version in one list. It can be told to be out of reach.
#[derive(Debug, Clone, Default)]
pub struct ModelShelf(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    shelves: BTreeMap<AgentId, Shelf>,
    versions: Vec<Version>,
    texts: BTreeMap<(AgentId, u64), String>,
    outage: Option<LedgerError>,
}

impl ModelShelf {
    /// From now on every call fails with this error and does nothing; `None` ends that.
    pub fn break_with(&self, outage: Option<LedgerError>) {
        self.state().outage = outage;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(&self, step: impl FnOnce(&mut State) -> T) -> Result<T, LedgerError> {
        let mut state = self.state();
        match state.outage.clone() {
            Some(outage) => Err(outage),
            None => Ok(step(&mut state)),
        }
    }
}

#[async_trait]
impl PolicyShelf for ModelShelf {
    async fn revisions(&self) -> Result<BTreeMap<AgentId, u64>, LedgerError> {
        let revision = |(agent, shelf): (&AgentId, &Shelf)| (agent.clone(), shelf.revision);
        self.with(|state| state.shelves.iter().map(revision).collect())
    }

    async fn shelf(&self, agent: &AgentId) -> Result<Option<Shelf>, LedgerError> {
        self.with(|state| state.shelves.get(agent).cloned())
    }

    async fn version(&self, agent: &AgentId, number: u64) -> Result<Option<Version>, LedgerError> {
        let is_it = |version: &&Version| version.agent == *agent && version.number == number;
        self.with(|state| state.versions.iter().find(is_it).cloned())
    }

    async fn text(&self, agent: &AgentId, number: u64) -> Result<Option<String>, LedgerError> {
        self.with(|state| state.texts.get(&(agent.clone(), number)).cloned())
    }

    async fn versions(
        &self,
        agent: &AgentId,
        below: Option<u64>,
        limit: u32,
    ) -> Result<Vec<Version>, LedgerError> {
        let limit = usize::try_from(limit.min(VERSIONS_MAX)).unwrap();
        let asked = |version: &&Version| {
            version.agent == *agent && below.is_none_or(|below| version.number < below)
        };
        self.with(|state| {
            let mut found: Vec<Version> = state.versions.iter().filter(asked).cloned().collect();
            found.sort_by_key(|version| std::cmp::Reverse(version.number));
            found.truncate(limit);
            found
        })
    }

    async fn put(&self, change: &ShelfChange) -> Result<PutAnswer, LedgerError> {
        let ShelfChange { shelf, versions, text } = change.clone();
        self.with(|state| {
            let known = state.shelves.get(&shelf.agent);
            if known.is_some_and(|known| known.mark == shelf.mark) {
                return PutAnswer::Done;
            }
            if known.map_or(0, |known| known.revision) + 1 != shelf.revision {
                return PutAnswer::Moved;
            }
            for version in versions {
                let is_it = |known: &Version| {
                    known.agent == version.agent && known.number == version.number
                };
                state.versions.retain(|known| !is_it(known));
                state.versions.push(version);
            }
            if let Some(text) = text {
                state.texts.insert((shelf.agent.clone(), shelf.newest), text);
            }
            state.shelves.insert(shelf.agent.clone(), shelf);
            PutAnswer::Done
        })
    }
}
