//! Shelves of policies: what each is now, and every version with its text.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use countersign_core::{
    identity::AgentId,
    shelf::{Shelf, ShelfChange, Version},
};
use countersign_engine::port::{
    PolicyShelf,
    chronicle::event,
    ledger::LedgerError,
    shelf::{PutAnswer, VERSIONS_MAX, subject},
};
use rusqlite::{OptionalExtension, params};

use super::{
    fault::Fault,
    row::{int, read, uint},
    worker::{Step, Worker},
};

/// The shelves of an [`EmbeddedStore`](super::EmbeddedStore).
#[derive(Debug)]
pub struct EmbeddedShelf {
    worker: Arc<Worker>,
}

impl EmbeddedShelf {
    pub(super) const fn new(worker: Arc<Worker>) -> Self {
        Self { worker }
    }
}

#[async_trait]
impl PolicyShelf for EmbeddedShelf {
    async fn revisions(&self) -> Result<BTreeMap<AgentId, u64>, LedgerError> {
        Ok(self.worker.read(revisions).await?)
    }

    async fn shelf(&self, agent: &AgentId) -> Result<Option<Shelf>, LedgerError> {
        let agent = agent.clone();
        Ok(self.worker.read(move |step| step.shelf(&agent)).await?)
    }

    async fn version(&self, agent: &AgentId, number: u64) -> Result<Option<Version>, LedgerError> {
        let agent = agent.clone();
        let found = self.worker.read(move |step| {
            let below = number.saturating_add(1);
            step.versions(&agent, below, 1)
        });
        Ok(found.await?.into_iter().find(|version| version.number == number))
    }

    async fn text(&self, agent: &AgentId, number: u64) -> Result<Option<String>, LedgerError> {
        let agent = agent.clone();
        Ok(self.worker.read(move |step| step.version_text(&agent, number)).await?)
    }

    async fn versions(
        &self,
        agent: &AgentId,
        below: Option<u64>,
        limit: u32,
    ) -> Result<Vec<Version>, LedgerError> {
        let agent = agent.clone();
        let below = below.unwrap_or(u64::MAX);
        Ok(self.worker.read(move |step| step.versions(&agent, below, limit)).await?)
    }

    async fn put(&self, change: &ShelfChange) -> Result<PutAnswer, LedgerError> {
        let change = change.clone();
        Ok(self.worker.write(move |step| step.put_shelf(&change)).await?)
    }
}

fn revisions(step: &Step<'_>) -> Result<BTreeMap<AgentId, u64>, Fault> {
    let mut statement = step.connection().prepare_cached("SELECT agent, revision FROM shelves")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.map(|row| {
        let (agent, revision): (String, i64) = row?;
        let damaged = |_| Fault::Damaged(format!("`{agent}` is no agent"));
        Ok((AgentId::parse(&agent).map_err(damaged)?, uint(revision)?))
    })
    .collect()
}

impl Step<'_> {
    fn shelf(&self, agent: &AgentId) -> Result<Option<Shelf>, Fault> {
        let json: Option<String> = self
            .connection()
            .prepare_cached("SELECT view FROM shelves WHERE agent = ?1")?
            .query_row([agent.as_str()], read)
            .optional()?;
        Ok(json.map(|json| serde_json::from_str(&json)).transpose()?)
    }

    fn versions(&self, agent: &AgentId, below: u64, limit: u32) -> Result<Vec<Version>, Fault> {
        let mut statement = self.connection().prepare_cached(
            "SELECT view FROM shelf_versions WHERE agent = ?1 AND number < ?2
              ORDER BY number DESC LIMIT ?3",
        )?;
        let limit = i64::from(limit.min(VERSIONS_MAX));
        let rows = statement.query_map(params![agent.as_str(), int(below), limit], read)?;
        rows.map(|json| Ok(serde_json::from_str(&json?)?)).collect()
    }

    fn version_text(&self, agent: &AgentId, number: u64) -> Result<Option<String>, Fault> {
        let text = self
            .connection()
            .prepare_cached("SELECT text FROM shelf_versions WHERE agent = ?1 AND number = ?2")?
            .query_row(params![agent.as_str(), int(number)], read)
            .optional()?;
        Ok(text)
    }

    fn put_shelf(&self, change: &ShelfChange) -> Result<PutAnswer, Fault> {
        let ShelfChange { shelf, versions, text } = change;
        let agent = shelf.agent.as_str();
        let known: Option<(i64, String)> = self
            .connection()
            .prepare_cached("SELECT revision, mark FROM shelves WHERE agent = ?1")?
            .query_row([agent], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let (revision, mark) = known.unwrap_or_default();
        if mark == shelf.mark {
            return Ok(PutAnswer::Done);
        }
        if uint(revision)?.checked_add(1) != Some(shelf.revision) {
            return Ok(PutAnswer::Moved);
        }
        let view = serde_json::to_string(shelf)?;
        self.connection()
            .prepare_cached("INSERT OR REPLACE INTO shelves VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![agent, int(shelf.revision), shelf.mark, view])?;
        let mut written = view;
        for version in versions {
            written.push('\n');
            written.push_str(&self.put_version(version)?);
        }
        if let Some(text) = text {
            self.connection()
                .prepare_cached(
                    "UPDATE shelf_versions SET text = ?3 WHERE agent = ?1 AND number = ?2",
                )?
                .execute(params![agent, int(shelf.newest), text])?;
            written.push('\n');
            written.push_str(text);
        }
        self.log(event::SHELF, &subject(change), &written)?;
        Ok(PutAnswer::Done)
    }

    /// Its text stays what it is.
    fn put_version(&self, version: &Version) -> Result<String, Fault> {
        let view = serde_json::to_string(version)?;
        self.connection()
            .prepare_cached(
                "INSERT INTO shelf_versions (agent, number, view) VALUES (?1, ?2, ?3)
                 ON CONFLICT (agent, number) DO UPDATE SET view = ?3",
            )?
            .execute(params![version.agent.as_str(), int(version.number), view])?;
        Ok(view)
    }
}
