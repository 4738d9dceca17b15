//! Commit: a nonce and a payload are bound.

use countersign_core::{
    fact::Freeze,
    operation::{OperationRecord, OperationState as S, Purpose},
    pact::{Pact, PactStanding},
    time::Timestamp,
};
use countersign_engine::port::ledger::{Commit, CommitAnswer, NONCE_HELD_FOR};
use rusqlite::{OptionalExtension, params};

use super::{
    counters::Move,
    fault::Fault,
    row::{int, kept_nonce, lane, uint},
    worker::Step,
};

impl Step<'_> {
    pub(super) fn commit(&self, commit: &Commit) -> Result<CommitAnswer, Fault> {
        let record = self.known(commit.operation)?;
        if record.fence != commit.fence {
            return Ok(CommitAnswer::Elsewhere(Box::new(record)));
        }
        if record.is_bound() {
            return Ok(CommitAnswer::Bound(Box::new(record)));
        }
        if record.state != S::Allowed {
            return Ok(CommitAnswer::Elsewhere(Box::new(record)));
        }
        if self.is_over(&record) {
            return Ok(CommitAnswer::Lapsed);
        }
        if let Some(reason) = self.sealed()? {
            return Ok(CommitAnswer::Sealed(reason));
        }
        if let Some(freeze) = self.stopping(&record, commit.shrinks_only)? {
            return Ok(CommitAnswer::Frozen(freeze));
        }
        let pact = Pact { agent: record.agent().clone(), grant: commit.grant };
        if let Some(standing) = self.pact(&pact)?.filter(PactStanding::is_over) {
            return Ok(CommitAnswer::Ended(standing));
        }
        let lane = lane(record.chain(), record.wallet());
        if record.message().is_some() {
            self.remember(&lane, commit)?;
            return Ok(CommitAnswer::Bound(Box::new(self.prepare(record, None)?)));
        }
        let in_flight = self.in_flight(&lane)?;
        let highest = self.next_nonce(&lane)?.unwrap_or(0);
        let from_chain = in_flight == 0 || commit.shared_lane;
        let next = if from_chain { highest.max(commit.floor) } else { highest };
        let nonce = record.intent.nonce.unwrap_or(next);
        if nonce > next {
            return Ok(CommitAnswer::Gap { next });
        }
        if nonce < next {
            return Ok(CommitAnswer::NonceTaken { next });
        }
        if let Some(until) = self.kept_until(&kept_nonce(&lane, nonce))? {
            let is_fixed = record.intent.nonce.is_some();
            let held = CommitAnswer::Held { until };
            return Ok(if is_fixed { CommitAnswer::NonceTaken { next } } else { held });
        }
        if in_flight >= u64::from(commit.in_flight_max) {
            return Ok(CommitAnswer::LaneFull);
        }
        self.bind(&lane, nonce, &record)?;
        self.remember(&lane, commit)?;
        Ok(CommitAnswer::Bound(Box::new(self.prepare(record, Some(nonce))?)))
    }

    /// Until when a nonce is kept for operations that wait for people.
    fn kept_until(&self, nonce: &str) -> Result<Option<Timestamp>, Fault> {
        let newest: Option<i64> = self
            .connection()
            .prepare_cached("SELECT MAX(created) FROM operations WHERE keeps = ?1")?
            .query_row([nonce], |row| row.get(0))?;
        let until = newest.map(uint).transpose()?.map(Timestamp::from_millis);
        Ok(until.map(|created| created.after(NONCE_HELD_FOR)).filter(|until| *until > self.now))
    }

    /// The freeze that stops a signature, if one does.
    pub(super) fn stopping(
        &self,
        record: &OperationRecord,
        shrinks_only: bool,
    ) -> Result<Option<Freeze>, Fault> {
        let covers = |f: &Freeze| f.covers(record.agent(), record.wallet(), record.chain());
        let stops = |f: &Freeze| covers(f) && (!shrinks_only || *f == Freeze::All);
        Ok(self.freezes()?.into_iter().find(stops))
    }

    fn in_flight(&self, lane: &str) -> Result<u64, Fault> {
        let count: i64 = self
            .connection()
            .prepare_cached("SELECT COUNT(*) FROM operations WHERE lane = ?1")?
            .query_row([lane], |row| row.get(0))?;
        uint(count)
    }

    /// One more than the highest nonce that was ever bound in a lane.
    pub(super) fn next_nonce(&self, lane: &str) -> Result<Option<u64>, Fault> {
        let next: Option<i64> = self
            .connection()
            .prepare_cached("SELECT next FROM lanes WHERE lane = ?1")?
            .query_row([lane], |row| row.get(0))
            .optional()?;
        next.map(uint).transpose()
    }

    fn bind(&self, lane: &str, nonce: u64, record: &OperationRecord) -> Result<(), Fault> {
        let next = i64::try_from(nonce).ok().and_then(|nonce| nonce.checked_add(1));
        let next = next.ok_or_else(|| Fault::Refused(format!("nonce {nonce} is too large")))?;
        self.connection()
            .prepare_cached("INSERT INTO nonces VALUES (?1, ?2, ?3)")?
            .execute(params![lane, int(nonce), record.id.to_string()])?;
        self.connection()
            .prepare_cached("INSERT OR REPLACE INTO lanes VALUES (?1, ?2)")?
            .execute(params![lane, next])?;
        Ok(())
    }

    fn remember(&self, lane: &str, commit: &Commit) -> Result<(), Fault> {
        let mut statement =
            self.connection().prepare_cached("INSERT OR IGNORE INTO seen VALUES (?1, ?2)")?;
        for address in &commit.counterparties {
            statement.execute(params![lane, address.as_slice()])?;
        }
        Ok(())
    }

    fn prepare(
        &self,
        mut record: OperationRecord,
        nonce: Option<u64>,
    ) -> Result<OperationRecord, Fault> {
        self.shift(&record.charges, Move::Commit)?;
        record.state = S::Prepared;
        let transaction = record.plan().cloned().zip(nonce).map(|(plan, n)| plan.with_nonce(n));
        let attempt = transaction.map(|bound| self.attempt(0, Purpose::Payload, bound));
        record.attempts = attempt.into_iter().collect();
        self.update(record, "commit")
    }
}
