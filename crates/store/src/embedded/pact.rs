//! What people said to pacts.

use countersign_core::pact::{Pact, PactStanding, Word};
use countersign_engine::port::ledger::{PactAnswer, PactWord};
use rusqlite::{OptionalExtension, params};

use super::{fault::Fault, worker::Step};

impl Step<'_> {
    pub(super) fn say(&self, word: &PactWord) -> Result<PactAnswer, Fault> {
        let PactWord { pact, verb, by, note } = word;
        let before = self.pact(pact)?;
        let spoken = Word { by: by.clone(), at: self.now, note: note.clone() };
        let Some(after) = verb.applied(before.as_ref(), spoken) else {
            return before.map_or_else(
                || Err(Fault::Refused(format!("`{}` cannot be said", verb.name()))),
                |before| Ok(PactAnswer::of(*verb, before)),
            );
        };
        let json = serde_json::to_string(&after)?;
        self.connection()
            .prepare_cached("INSERT OR REPLACE INTO pacts VALUES (?1, ?2, ?3)")?
            .execute(params![pact.agent.as_str(), pact.grant.to_string(), json])?;
        self.log("pact", &format!("{}:{}", pact.agent, pact.grant), &json)?;
        Ok(PactAnswer::Said(after))
    }

    pub(super) fn pact(&self, pact: &Pact) -> Result<Option<PactStanding>, Fault> {
        let json: Option<String> = self
            .connection()
            .prepare_cached("SELECT standing FROM pacts WHERE agent = ?1 AND version = ?2")?
            .query_row(params![pact.agent.as_str(), pact.grant.to_string()], |row| row.get(0))
            .optional()?;
        Ok(json.map(|json| serde_json::from_str(&json)).transpose()?)
    }
}
