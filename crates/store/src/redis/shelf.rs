//! Shelves of policies: one hash per agent, whose parts are documents.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use countersign_core::{
    identity::AgentId,
    shelf::{Shelf, ShelfChange, Version},
};
use countersign_engine::port::{
    PolicyShelf,
    ledger::LedgerError,
    shelf::{PutAnswer, VERSIONS_MAX, subject},
};
use serde::de::DeserializeOwned;

use super::{
    link::{Call, Link},
    record::json,
    reply::damaged,
    scripts::Script,
};

/// How the shelf itself is called among its parts.
const SHELF: &str = "shelf";

/// The shelves of one app in Redis.
#[derive(Debug)]
pub(super) struct RedisShelf {
    link: Arc<Link>,
}

impl RedisShelf {
    pub(super) const fn new(link: Arc<Link>) -> Self {
        Self { link }
    }

    /// Parts of a shelf, by their names; empty where there is none.
    async fn parts(&self, agent: &AgentId, names: &str) -> Result<Vec<String>, LedgerError> {
        let call = Call::new().arg("agent", agent).arg("names", names);
        self.link.run(Script::Shelf, call).await?.texts().collect()
    }

    async fn part(&self, agent: &AgentId, name: &str) -> Result<Option<String>, LedgerError> {
        let part = self.parts(agent, name).await?.pop();
        Ok(part.filter(|text| !text.is_empty()))
    }
}

#[async_trait]
impl PolicyShelf for RedisShelf {
    async fn revisions(&self) -> Result<BTreeMap<AgentId, u64>, LedgerError> {
        let answer = self.link.run(Script::Shelves, Call::new()).await?;
        let texts: Vec<String> = answer.texts().collect::<Result<_, _>>()?;
        let revision = |pair: &[String]| match pair {
            [agent, text] => {
                let revision = text.split(' ').next()?.parse().ok()?;
                Some((AgentId::parse(agent).ok()?, revision))
            }
            _ => None,
        };
        let wrong = || damaged("the revision of a shelf cannot be read");
        texts.chunks(2).map(|pair| revision(pair).ok_or_else(wrong)).collect()
    }

    async fn shelf(&self, agent: &AgentId) -> Result<Option<Shelf>, LedgerError> {
        self.part(agent, SHELF).await?.map(|text| parse(&text)).transpose()
    }

    async fn version(&self, agent: &AgentId, number: u64) -> Result<Option<Version>, LedgerError> {
        self.part(agent, &version_name(number)).await?.map(|text| parse(&text)).transpose()
    }

    /// A version's text is never empty: it was read as a policy.
    async fn text(&self, agent: &AgentId, number: u64) -> Result<Option<String>, LedgerError> {
        self.part(agent, &text_name(number)).await
    }

    async fn versions(
        &self,
        agent: &AgentId,
        below: Option<u64>,
        limit: u32,
    ) -> Result<Vec<Version>, LedgerError> {
        let Some(kept) = self.shelf(agent).await? else { return Ok(Vec::new()) };
        let end = kept.newest.saturating_add(1);
        let below = below.unwrap_or(end).min(end);
        let limit = u64::from(limit.min(VERSIONS_MAX));
        let first = below.saturating_sub(limit).max(1);
        let names: Vec<String> = (first..below).rev().map(version_name).collect();
        let parts = self.parts(agent, &names.join(" ")).await?;
        parts.iter().map(|text| parse(text)).collect()
    }

    async fn put(&self, change: &ShelfChange) -> Result<PutAnswer, LedgerError> {
        let ShelfChange { shelf, versions, text } = change;
        let mut call = Call::new()
            .arg("agent", &shelf.agent)
            .arg("revision", shelf.revision)
            .arg("mark", &shelf.mark)
            .arg("subject", subject(change))
            .field(SHELF, json(shelf)?);
        for version in versions {
            call = call.field(&version_name(version.number), json(version)?);
        }
        let call = call.maybe_field(&text_name(shelf.newest), text.as_ref());
        match self.link.run(Script::PutShelf, call).await?.tag()?.as_str() {
            "done" => Ok(PutAnswer::Done),
            "moved" => Ok(PutAnswer::Moved),
            other => Err(damaged(&format!("a script answered `{other}`"))),
        }
    }
}

fn version_name(number: u64) -> String {
    format!("version-{number}")
}

fn text_name(number: u64) -> String {
    format!("text-{number}")
}

fn parse<T: DeserializeOwned>(text: &str) -> Result<T, LedgerError> {
    serde_json::from_str(text).map_err(|error| damaged(&format!("a shelf: {error}")))
}
