//! What the log says, whose turn it is to tell it, and what is counted of agents.

use std::sync::Arc;

use async_trait::async_trait;
use countersign_core::{
    fact::Freeze,
    identity::PolicyId,
    time::{Millis, Timestamp},
};
use countersign_engine::port::{
    Chronicle,
    chronicle::{LINES_MAX, Line, Strike, Struck, Turn, event},
    ledger::{LedgerError, PasskeyCount},
};
use rusqlite::{OptionalExtension, Row, params};

use super::{
    fault::Fault,
    row::{int, read, uint},
    worker::{Step, Worker},
};

/// The log of an [`EmbeddedStore`](super::EmbeddedStore).
#[derive(Debug)]
pub struct EmbeddedChronicle {
    worker: Arc<Worker>,
}

impl EmbeddedChronicle {
    pub(super) const fn new(worker: Arc<Worker>) -> Self {
        Self { worker }
    }
}

#[async_trait]
impl Chronicle for EmbeddedChronicle {
    async fn lines(&self, after: u64, max: u32) -> Result<Vec<Line>, LedgerError> {
        Ok(self.worker.read(move |step| step.lines(after, max)).await?)
    }

    async fn turn(&self, turn: &Turn) -> Result<Option<u64>, LedgerError> {
        let turn = turn.clone();
        Ok(self.worker.write(move |step| step.turn(&turn)).await?)
    }

    async fn note_policy(&self, whose: &str, version: PolicyId) -> Result<bool, LedgerError> {
        let whose = whose.to_owned();
        Ok(self.worker.write(move |step| step.note_policy(&whose, version)).await?)
    }

    async fn note_passkey(&self, passkey: &PasskeyCount) -> Result<bool, LedgerError> {
        let passkey = passkey.clone();
        Ok(self.worker.write(move |step| step.note_passkey(&passkey)).await?)
    }

    async fn strike(&self, strike: &Strike) -> Result<Struck, LedgerError> {
        let strike = strike.clone();
        Ok(self.worker.write(move |step| step.strike(&strike)).await?)
    }
}

impl Step<'_> {
    fn lines(&self, after: u64, max: u32) -> Result<Vec<Line>, Fault> {
        let mut statement = self.connection().prepare_cached(
            "SELECT sequence, at, event, subject FROM log
              WHERE sequence > ?1 ORDER BY sequence LIMIT ?2",
        )?;
        let rows = statement.query_map(params![int(after), i64::from(max.min(LINES_MAX))], line)?;
        rows.map(|row| {
            let (sequence, at, event, subject) = row?;
            let at = Timestamp::from_millis(uint(at)?);
            Ok(Line { sequence: uint(sequence)?, at, event, subject })
        })
        .collect()
    }

    fn turn(&self, turn: &Turn) -> Result<Option<u64>, Fault> {
        let Turn { receiver, gateway, lease, told } = turn;
        let found: Option<(i64, i64, String)> = self
            .connection()
            .prepare_cached("SELECT told, until, holder FROM turns WHERE receiver = ?1")?
            .query_row([receiver], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .optional()?;
        let end = self.head()?.0;
        let (place, is_ours) = match found {
            None => (end, true),
            Some((_, until, holder)) if holder != *gateway && until > int(self.now.millis()) => {
                return Ok(None);
            }
            Some((place, _, holder)) => (uint(place)?, holder == *gateway),
        };
        let place = place.max(told.filter(|_| is_ours).unwrap_or(0)).min(end);
        self.connection()
            .prepare_cached("INSERT OR REPLACE INTO turns VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![receiver, int(place), int(self.now.after(*lease).millis()), gateway])?;
        Ok(Some(place))
    }

    fn note_policy(&self, whose: &str, version: PolicyId) -> Result<bool, Fault> {
        let version = version.to_string();
        let known: Option<String> = self
            .connection()
            .prepare_cached("SELECT version FROM policies WHERE whose = ?1")?
            .query_row([whose], read)
            .optional()?;
        if known.as_ref() == Some(&version) {
            return Ok(false);
        }
        self.connection()
            .prepare_cached("INSERT OR REPLACE INTO policies VALUES (?1, ?2)")?
            .execute([whose, &version])?;
        self.log(event::POLICY, &format!("{whose}={version}"), "").map(|()| true)
    }

    fn note_passkey(&self, passkey: &PasskeyCount) -> Result<bool, Fault> {
        if !self.counts(Some(passkey))? {
            return Ok(false);
        }
        // one that does not count has left nothing behind
        if passkey.count > 0 {
            let subject = format!("passkey:{}", passkey.credential);
            self.log(event::PASSKEY, &subject, &passkey.count.to_string())?;
        }
        Ok(true)
    }

    fn strike(&self, strike: &Strike) -> Result<Struck, Fault> {
        let Strike { agent, trace, denials, within } = strike;
        let order = strike.order();
        if self.placed(&order.freeze)?.is_some() {
            return Ok(Struck::Frozen);
        }
        let Millis(within) = *within;
        let since = int(self.now.millis().saturating_sub(within));
        self.connection()
            .prepare_cached("DELETE FROM strikes WHERE agent = ?1 AND at <= ?2")?
            .execute(params![agent.as_str(), since])?;
        self.connection()
            .prepare_cached("INSERT OR IGNORE INTO strikes VALUES (?1, ?2, ?3)")?
            .execute(params![agent.as_str(), trace.to_string(), int(self.now.millis())])?;
        let count: i64 = self
            .connection()
            .prepare_cached("SELECT count(*) FROM strikes WHERE agent = ?1")?
            .query_row([agent.as_str()], |row| row.get(0))?;
        if count < i64::from(*denials) {
            return Ok(Struck::Counted(u32::try_from(count).unwrap_or(u32::MAX)));
        }
        self.put_freeze(&order, event::TRIP).map(|()| Struck::Tripped)
    }

    /// What was counted of an agent that is frozen or free again counts no more.
    pub(super) fn forget_strikes(&self, freeze: &Freeze) -> Result<(), Fault> {
        if let Freeze::Agent(agent) = freeze {
            self.connection()
                .prepare_cached("DELETE FROM strikes WHERE agent = ?1")?
                .execute([agent.as_str()])?;
        }
        Ok(())
    }
}

fn line(row: &Row<'_>) -> rusqlite::Result<(i64, i64, String, String)> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
}
