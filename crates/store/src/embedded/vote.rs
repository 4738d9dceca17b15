//! What people and time say before commit: approve, reject, expire.

use countersign_core::operation::{Delivery, OperationRecord, OperationState as S};
use countersign_engine::port::{
    chronicle::event,
    ledger::{Approve, ApproveAnswer, PasskeyCount, Reject, RejectAnswer},
};
use rusqlite::{OptionalExtension as _, params};

use super::{
    counters::Move,
    fault::Fault,
    row::{Stored, int, stored},
    worker::Step,
};

impl Step<'_> {
    pub(super) fn approve(&self, approve: &Approve) -> Result<ApproveAnswer, Fault> {
        let Some(mut record) = self.operation(approve.operation)? else {
            return Ok(ApproveAnswer::Missing);
        };
        let same_digest = record.digest == Some(approve.digest);
        if same_digest && has_voted(&record, approve) {
            return Ok(ApproveAnswer::Voted(Box::new(record)));
        }
        if record.state != S::Parked {
            return Ok(ApproveAnswer::Elsewhere(Box::new(record)));
        }
        if !same_digest {
            return Ok(ApproveAnswer::OtherDigest);
        }
        if self.is_over(&record) {
            return Ok(ApproveAnswer::Expired);
        }
        if record.votes.len() != approve.votes_seen {
            return Ok(ApproveAnswer::Raced);
        }
        if !self.counts(approve.passkey.as_ref())? {
            return Ok(ApproveAnswer::PasskeyBehind);
        }
        record.votes.push(approve.vote.clone());
        if approve.completes {
            record.state = S::Approved;
        }
        let event = if approve.completes { event::APPROVE } else { event::VOTE };
        Ok(ApproveAnswer::Voted(Box::new(self.update(record, event)?)))
    }

    /// Takes down what a passkey says of its signatures; `false` if it said as much before.
    pub(super) fn counts(&self, passkey: Option<&PasskeyCount>) -> Result<bool, Fault> {
        let Some(PasskeyCount { credential, count }) = passkey else { return Ok(true) };
        let before: Option<u32> = self
            .connection()
            .prepare_cached("SELECT count FROM passkeys WHERE credential = ?1")?
            .query_row([credential], |row| row.get(0))
            .optional()?;
        if *count == 0 {
            return Ok(before.is_none());
        }
        if before.is_some_and(|before| *count <= before) {
            return Ok(false);
        }
        self.connection()
            .prepare_cached("INSERT OR REPLACE INTO passkeys VALUES (?1, ?2)")?
            .execute(params![credential, count])?;
        Ok(true)
    }

    pub(super) fn reject(&self, reject: &Reject) -> Result<RejectAnswer, Fault> {
        let Some(mut record) = self.operation(reject.operation)? else {
            return Ok(RejectAnswer::Missing);
        };
        let said = record.code == reject.code && record.reason == reject.reason;
        if record.state == S::Rejected && said {
            return Ok(RejectAnswer::Rejected(Box::new(record)));
        }
        let held = matches!(record.state, S::Parked | S::Approved | S::Allowed);
        if !held || !reject.from.contains(&record.state) {
            return Ok(RejectAnswer::Elsewhere(Box::new(record)));
        }
        self.shift(&record.charges, Move::Release)?;
        record.state = S::Rejected;
        record.code.clone_from(&reject.code);
        record.reason.clone_from(&reject.reason);
        record.votes.extend(reject.vote.clone());
        if reject.void {
            record.delivery = Delivery::Collected;
            self.disown_key(&record)?;
        }
        Ok(RejectAnswer::Rejected(Box::new(self.update(record, "reject")?)))
    }

    /// Frees the key of an operation for another. Its own id stands in the column instead, which is no
    /// key's hash: without any, the row would be found by requests that have no key.
    fn disown_key(&self, record: &OperationRecord) -> Result<(), Fault> {
        self.connection()
            .prepare_cached("UPDATE operations SET key = id WHERE id = ?1 AND key IS NOT NULL")?
            .execute([record.id.to_string()])?;
        Ok(())
    }

    pub(super) fn expire(&self, max: u32) -> Result<Vec<OperationRecord>, Fault> {
        let due: Vec<Stored> = self
            .connection()
            .prepare_cached(
                "SELECT record, digest FROM operations WHERE lapses <= ?1
                 ORDER BY lapses, id LIMIT ?2",
            )?
            .query_map([int(self.now.millis()), i64::from(max)], stored)?
            .collect::<Result<_, _>>()?;
        self.sound(&due)?
            .into_iter()
            .map(|mut record| {
                self.shift(&record.charges, Move::Release)?;
                record.state = S::Expired;
                self.update(record, "expire")
            })
            .collect()
    }
}

/// Whether this operator's yes is recorded already. Votes on what was released since are history.
fn has_voted(record: &OperationRecord, approve: &Approve) -> bool {
    let released = matches!(record.state, S::Denied | S::Rejected | S::Expired);
    !released && record.votes.iter().any(|vote| vote.operator == approve.vote.operator)
}
