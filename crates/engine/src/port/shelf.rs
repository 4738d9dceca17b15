//! Versions of agents' policies, shared by all gateways of an app.

use std::{collections::BTreeMap, fmt};

use async_trait::async_trait;
use countersign_core::{
    identity::AgentId,
    shelf::{Shelf, ShelfChange, Version},
};

use super::ledger::LedgerError;

/// The most versions that one call returns.
pub const VERSIONS_MAX: u32 = 50;

/// One append-only list of versions per agent. What a change makes of it is worked out by whoever changes it; a store
/// keeps it whole, or not at all where somebody else was faster.
#[async_trait]
pub trait PolicyShelf: fmt::Debug + Send + Sync {
    /// The revision of every shelf.
    async fn revisions(&self) -> Result<BTreeMap<AgentId, u64>, LedgerError>;

    /// An agent's shelf; `None` before its first version.
    async fn shelf(&self, agent: &AgentId) -> Result<Option<Shelf>, LedgerError>;

    /// One version.
    async fn version(&self, agent: &AgentId, number: u64) -> Result<Option<Version>, LedgerError>;

    /// The text of one version.
    async fn text(&self, agent: &AgentId, number: u64) -> Result<Option<String>, LedgerError>;

    /// Versions below this number (all, without one), newest first; at most `limit` and [`VERSIONS_MAX`].
    async fn versions(
        &self,
        agent: &AgentId,
        below: Option<u64>,
        limit: u32,
    ) -> Result<Vec<Version>, LedgerError>;

    /// Puts the next revision of a shelf, if the one before it is in the store (none, before the first). Putting the
    /// same change twice is putting it once. It is a line of the books' log.
    async fn put(&self, change: &ShelfChange) -> Result<PutAnswer, LedgerError>;
}

/// What [`PolicyShelf::put`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PutAnswer {
    /// It is the revision in the store.
    Done,
    /// Nothing was written: the shelf has moved on.
    Moved,
}

/// The subject of a change in the books' log.
#[must_use]
pub fn subject(change: &ShelfChange) -> String {
    format!("{}:{}", change.shelf.agent, change.shelf.revision)
}
