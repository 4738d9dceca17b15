//! Finding the operation that a request repeats.

use countersign_core::{
    identity::{Fingerprint, KeyHash, OperationId},
    operation::{Delivery, OperationState},
    time::Millis,
};
use countersign_engine::port::ledger::{COLLECT_WITHIN, Found, Repeat};
use rusqlite::{OptionalExtension, params};

use super::{
    fault::Fault,
    row::{NEVER, batch_number, int, parse, stored},
    worker::Step,
};

/// What there is to know about a candidate before its record is read.
struct Candidate {
    id: String,
    created: i64,
    finished: i64,
    state: String,
    delivery: i64,
    gateway: String,
    batch: Option<i64>,
}

impl Step<'_> {
    /// See [`Repeat`].
    pub(super) fn find(&self, repeat: &Repeat) -> Result<Found, Fault> {
        match repeat.key {
            Some(key) => self.find_keyed(key, repeat.fingerprint),
            None => self.find_unkeyed(repeat),
        }
    }

    fn find_keyed(&self, key: KeyHash, fingerprint: Fingerprint) -> Result<Found, Fault> {
        let same = self
            .connection()
            .prepare_cached("SELECT record, digest FROM operations WHERE key = ?1")?
            .query_row([key.0.as_slice()], stored)
            .optional()?;
        let Some(same) = same else { return Ok(Found::Nothing) };
        let record = Box::new(parse(&same)?);
        if record.fingerprint == fingerprint {
            Ok(Found::Same(record))
        } else {
            Ok(Found::KeyConflict(record))
        }
    }

    fn find_unkeyed(&self, repeat: &Repeat) -> Result<Found, Fault> {
        let (mut owed, mut recent) = (None::<Candidate>, None::<Candidate>);
        for candidate in self.candidates(repeat)? {
            let age = (candidate.created, candidate.id.clone());
            match self.delivery(candidate.delivery, &candidate.gateway) {
                Delivery::Owed if candidate.finished >= self.ago(COLLECT_WITHIN) => {
                    if owed.as_ref().is_none_or(|old| age < (old.created, old.id.clone())) {
                        owed = Some(candidate);
                    }
                }
                Delivery::Waiting | Delivery::Collected if self.is_recent(&candidate, repeat) => {
                    if recent.as_ref().is_none_or(|old| age > (old.created, old.id.clone())) {
                        recent = Some(candidate);
                    }
                }
                Delivery::Waiting | Delivery::Owed | Delivery::Collected => {}
            }
        }
        let Some(found) = owed.or(recent) else { return Ok(Found::Nothing) };
        let id: OperationId =
            found.id.parse().map_err(|_| Fault::Damaged(format!("`{}` is no id", found.id)))?;
        Ok(Found::Same(Box::new(self.known(id)?)))
    }

    /// Operations of this fingerprint without a key, of no batch or another: waiting or owed and not
    /// finished for too long, or collected within the duplicate window. What waits may turn out to be owed.
    ///
    /// The index is named because SQLite would take the unique one of the keys, in which all operations without a key
    /// stand at one place: each question would go through the whole history.
    fn candidates(&self, repeat: &Repeat) -> Result<Vec<Candidate>, Fault> {
        let mut statement = self.connection().prepare_cached(
            "SELECT id, created, finished, state, delivery, gateway, batch FROM operations INDEXED BY operations_repeat
              WHERE fingerprint = ?1 AND key IS NULL AND delivery = 0
                AND finished >= min(?2, ?3)
             UNION ALL
             SELECT id, created, finished, state, delivery, gateway, batch FROM operations INDEXED BY operations_repeat
              WHERE fingerprint = ?1 AND key IS NULL AND delivery = 1 AND finished >= ?2
             UNION ALL
             SELECT id, created, finished, state, delivery, gateway, batch FROM operations INDEXED BY operations_repeat
              WHERE fingerprint = ?1 AND key IS NULL AND delivery = 2 AND finished >= ?3
                AND finished < ?4",
        )?;
        let (collect, recent) = (self.ago(COLLECT_WITHIN), self.recent(repeat));
        let bounds = params![repeat.fingerprint.0.as_slice(), collect, recent, NEVER];
        let rows = statement.query_map(bounds, |row| {
            Ok(Candidate {
                id: row.get(0)?,
                created: row.get(1)?,
                finished: row.get(2)?,
                state: row.get(3)?,
                delivery: row.get(4)?,
                gateway: row.get(5)?,
                batch: row.get(6)?,
            })
        })?;
        let batch = repeat.batch.map(batch_number);
        let other = |c: &Candidate| c.batch.is_none() || c.batch != batch;
        Ok(rows.collect::<Result<Vec<_>, _>>()?.into_iter().filter(other).collect())
    }

    /// `Waiting` of a dead gateway counts as `Owed`.
    pub(super) fn delivery(&self, stored: i64, gateway: &str) -> Delivery {
        match stored {
            0 if self.lives(gateway) => Delivery::Waiting,
            0 | 1 => Delivery::Owed,
            _ => Delivery::Collected,
        }
    }

    /// Whether the newest of them would be this request's answer: none is where the window is zero.
    fn is_recent(&self, candidate: &Candidate, repeat: &Repeat) -> bool {
        use OperationState::{Denied, Expired, Rejected};
        let no = [Denied, Rejected, Expired].iter().any(|state| state.name() == candidate.state);
        repeat.window != Millis::ZERO && !no && candidate.finished >= self.recent(repeat)
    }

    /// What finished before this is no recent answer.
    fn recent(&self, repeat: &Repeat) -> i64 {
        if repeat.window == Millis::ZERO { NEVER } else { self.ago(repeat.window) }
    }

    fn ago(&self, duration: Millis) -> i64 {
        int(self.now.before(duration).millis())
    }
}
