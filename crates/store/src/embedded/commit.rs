//! From commit on: nonces, signed bytes, receipts, settlement.

use countersign_core::{
    amount::AMOUNT_MAX,
    fact::Freeze,
    identity::OperationId,
    operation::{Actual, Attempt, Delivery, OperationRecord, OperationState as S, Purpose},
};
use countersign_engine::port::ledger::{
    Commit, CommitAnswer, ReleaseProof, SentOutcome, Settle, SignedBytes,
};
use rusqlite::{OptionalExtension, params};

use super::{
    counters::Move,
    fault::Fault,
    row::{int, is_in_flight, lane, uint},
    worker::Step,
};

/// Signed, and not known to be final.
const fn is_sending(state: S) -> bool {
    is_in_flight(state) && !matches!(state, S::Prepared)
}

impl Step<'_> {
    pub(super) fn commit(&self, commit: &Commit) -> Result<CommitAnswer, Fault> {
        let record = self.known(commit.operation)?;
        if !record.attempts.is_empty() {
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
        let lane = lane(record.chain(), record.wallet());
        let in_flight = self.in_flight(&lane)?;
        let highest = self.next_nonce(&lane)?.unwrap_or(0);
        let next = if in_flight == 0 { highest.max(commit.floor) } else { highest };
        match record.intent.nonce.unwrap_or(next) {
            nonce if nonce > next => Ok(CommitAnswer::Gap { next }),
            nonce if nonce < next => Ok(CommitAnswer::NonceTaken { next }),
            _ if in_flight >= u64::from(commit.in_flight_max) => Ok(CommitAnswer::LaneFull),
            nonce => {
                self.bind(&lane, nonce, &record)?;
                self.remember(&lane, commit)?;
                let bound = self.prepare(record, nonce)?;
                Ok(CommitAnswer::Bound(Box::new(bound)))
            }
        }
    }

    fn stopping(
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

    fn prepare(&self, mut record: OperationRecord, nonce: u64) -> Result<OperationRecord, Fault> {
        self.shift(&record.charges, Move::Commit)?;
        record.state = S::Prepared;
        record.attempts = vec![Attempt {
            number: 0,
            purpose: Purpose::Payload,
            made_at: self.now,
            transaction: record.intent.plan.clone().with_nonce(nonce),
            raw: None,
            hash: None,
            outcome: None,
        }];
        self.update(record, "commit")
    }

    pub(super) fn signed(
        &self,
        id: OperationId,
        number: u32,
        bytes: &SignedBytes,
    ) -> Result<OperationRecord, Fault> {
        let mut record = self.known(id)?;
        let attempt = attempt(&mut record, number)?;
        if attempt.transaction != bytes.transaction {
            return Err(Fault::Refused(format!("attempt {number} of {id} has another payload")));
        }
        match attempt.hash {
            Some(hash) if hash == bytes.hash && attempt.raw.as_ref() == Some(&bytes.raw) => {
                return Ok(record);
            }
            Some(_) => {
                return Err(Fault::Refused(format!("attempt {number} of {id} has other bytes")));
            }
            None => {}
        }
        attempt.raw = Some(bytes.raw.clone());
        attempt.hash = Some(bytes.hash);
        if record.state == S::Prepared {
            record.state = S::Signed;
        }
        self.update(record, "signed")
    }

    pub(super) fn sent(
        &self,
        id: OperationId,
        number: u32,
        outcome: &SentOutcome,
    ) -> Result<OperationRecord, Fault> {
        let mut record = self.known(id)?;
        let stays = !matches!(record.state, S::Signed | S::Broadcast | S::Unknown);
        let attempt = attempt(&mut record, number)?;
        if attempt.hash.is_none() {
            return Err(Fault::Refused(format!("attempt {number} of {id} is not signed")));
        }
        if stays {
            return Ok(record);
        }
        let (state, words) = match outcome {
            SentOutcome::Accepted => (S::Broadcast, "accepted"),
            SentOutcome::Unknown(words) => (S::Unknown, words.as_str()),
        };
        attempt.outcome = Some(words.into());
        record.state = state;
        self.update(record, "sent")
    }

    pub(super) fn mined(
        &self,
        id: OperationId,
        actual: Option<&Actual>,
    ) -> Result<OperationRecord, Fault> {
        let mut record = self.known(id)?;
        match actual {
            Some(_) if matches!(record.state, S::Executed | S::Reverted) => return Ok(record),
            _ if !is_sending(record.state) => return Err(undefined("mined", &record)),
            None if record.state != S::Mined => return Ok(record),
            None => record.state = S::Broadcast,
            Some(_) if record.state == S::Mined && record.actual.as_ref() == actual => {
                return Ok(record);
            }
            Some(actual) => {
                ours(&record, actual)?;
                record.state = S::Mined;
            }
        }
        record.actual = actual.cloned();
        self.update(record, "mined")
    }

    pub(super) fn settle(&self, settle: &Settle) -> Result<OperationRecord, Fault> {
        let Settle { operation, actual, kept } = settle;
        let mut record = self.known(*operation)?;
        if matches!(record.state, S::Executed | S::Reverted) {
            return Ok(record);
        }
        if !is_sending(record.state) {
            return Err(undefined("settle", &record));
        }
        ours(&record, actual)?;
        if kept.len() != record.charges.len() {
            let wrong = "there is not one kept amount for each charge";
            return Err(Fault::Refused(wrong.into()));
        }
        record.kept = kept.iter().map(|kept| (*kept).min(AMOUNT_MAX)).collect();
        for (charge, kept) in record.charges.iter().zip(&record.kept) {
            self.settle_charge(charge, *kept)?;
        }
        record.state = if actual.succeeded { S::Executed } else { S::Reverted };
        record.actual = Some(actual.clone());
        record.settled_at = Some(self.now);
        self.update(record, "settle")
    }

    pub(super) fn unsettle(&self, id: OperationId) -> Result<OperationRecord, Fault> {
        let mut record = self.known(id)?;
        match (record.state, record.settled_at) {
            (S::Broadcast, _) => return Ok(record),
            (S::Executed | S::Reverted, Some(settled_at)) => {
                for (charge, kept) in record.charges.iter().zip(&record.kept) {
                    self.unsettle_charge(charge, *kept, settled_at)?;
                }
            }
            _ => return Err(undefined("unsettle", &record)),
        }
        record.state = S::Broadcast;
        record.actual = None;
        record.kept.clear();
        record.settled_at = None;
        self.update(record, "unsettle")
    }

    pub(super) fn release_committed(
        &self,
        id: OperationId,
        proof: &ReleaseProof,
    ) -> Result<OperationRecord, Fault> {
        let mut record = self.known(id)?;
        let ReleaseProof::NonceUsedElsewhere { final_nonce } = proof;
        if record.state == S::Conflict {
            return Ok(record);
        }
        if !is_in_flight(record.state) {
            return Err(undefined("release_committed", &record));
        }
        if Some(*final_nonce) <= record.nonce() {
            return Err(Fault::Refused(format!("the nonce of {id} is not used up")));
        }
        self.shift(&record.charges, Move::ReleaseCommitted)?;
        record.state = S::Conflict;
        record.actual = None;
        self.update(record, "release_committed")
    }

    pub(super) fn deliver(
        &self,
        id: OperationId,
        from: Delivery,
        to: Delivery,
    ) -> Result<bool, Fault> {
        let mut record = self.known(id)?;
        let forsaken = record.delivery == Delivery::Waiting && !self.is_attended(id)?;
        let stands = if forsaken { Delivery::Owed } else { record.delivery };
        if stands != from {
            return Ok(false);
        }
        record.delivery = to;
        self.update(record, "deliver").map(|_| true)
    }
}

fn attempt(record: &mut OperationRecord, number: u32) -> Result<&mut Attempt, Fault> {
    let missing = Fault::Refused(format!("operation {} has no attempt {number}", record.id));
    record.attempts.iter_mut().find(|attempt| attempt.number == number).ok_or(missing)
}

/// A receipt counts only if it is of bytes that were stored.
fn ours(record: &OperationRecord, actual: &Actual) -> Result<(), Fault> {
    let known = record.attempts.iter().any(|attempt| attempt.hash == Some(actual.hash));
    let foreign = || Fault::Refused(format!("{} is no hash of {}", actual.hash, record.id));
    if known { Ok(()) } else { Err(foreign()) }
}

fn undefined(step: &str, record: &OperationRecord) -> Fault {
    let state = record.state.name();
    Fault::Refused(format!("`{step}` is not defined in {state}, where {} is", record.id))
}
