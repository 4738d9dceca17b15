//! Receipts, settlement, and what takes it back.

use countersign_core::{
    amount::AMOUNT_MAX,
    charge::Charge,
    identity::{ChainId, OperationId},
    operation::{Actual, Delivery, Money, OperationRecord, OperationState as S, Purpose},
};
use countersign_engine::port::ledger::{MessageEnd, ReleaseProof, SETTLED_KEPT, Settle};
use rusqlite::{OptionalExtension, params};

use super::{
    counters::Move,
    fault::Fault,
    row::{Stored, int, is_in_flight, stored},
    worker::Step,
};

/// Signed, and not known to be final.
const fn is_sending(state: S) -> bool {
    is_in_flight(state) && !matches!(state, S::Prepared)
}

impl Step<'_> {
    pub(super) fn mined(
        &self,
        id: OperationId,
        actual: Option<&Actual>,
    ) -> Result<OperationRecord, Fault> {
        let mut record = self.known(id)?;
        if record.message().is_some() {
            return Err(undefined("mined", &record));
        }
        match actual {
            Some(_) if record.state.money() == Money::Settled => return Ok(record),
            _ if !is_sending(record.state) => return Err(undefined("mined", &record)),
            None if record.state != S::Mined => return Ok(record),
            None => record.state = record.sent_state(),
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
        let Settle { operation, actual, attempts, charges, kept } = settle;
        let mut record = self.known(*operation)?;
        if record.message().is_some() {
            return Err(undefined("settle", &record));
        }
        if record.state.money() == Money::Settled {
            return Ok(record);
        }
        if !is_sending(record.state) {
            return Err(undefined("settle", &record));
        }
        ours(&record, actual)?;
        if *attempts != record.attempts.len() || *charges != record.charges {
            return Err(Fault::Refused("it has other attempts or charges by now".into()));
        }
        if kept.len() != record.charges.len() {
            let wrong = "there is not one kept amount for each charge";
            return Err(Fault::Refused(wrong.into()));
        }
        if kept.iter().any(|kept| *kept > AMOUNT_MAX) {
            return Err(Fault::Refused("more than a counter holds".into()));
        }
        record.kept.clone_from(kept);
        for (charge, kept) in record.charges.iter().zip(&record.kept) {
            self.settle_charge(charge, *kept)?;
        }
        record.state = match record.purpose_of(actual.hash) {
            Some(Purpose::Cancel) => S::Cancelled,
            Some(Purpose::Payload) | None if actual.succeeded => S::Executed,
            Some(Purpose::Payload) | None => S::Reverted,
        };
        self.note_settled(&record, actual.block_number)?;
        record.actual = Some(actual.clone());
        record.settled_at = Some(self.now);
        self.update(record, "settle")
    }

    pub(super) fn unsettle(&self, id: OperationId) -> Result<OperationRecord, Fault> {
        let mut record = self.known(id)?;
        if record.message().is_some() {
            return Err(undefined("unsettle", &record));
        }
        match (record.state, record.settled_at) {
            (S::Broadcast | S::Cancelling, _) => return Ok(record),
            (S::Executed | S::Reverted | S::Cancelled, Some(settled_at)) => {
                for (charge, kept) in record.charges.iter().zip(&record.kept) {
                    self.unsettle_charge(charge, *kept, settled_at)?;
                }
            }
            _ => return Err(undefined("unsettle", &record)),
        }
        self.forget_settled(&record)?;
        record.state = record.sent_state();
        record.actual = None;
        record.kept.clear();
        record.settled_at = None;
        self.update(record, "unsettle")
    }

    pub(super) fn release_committed(
        &self,
        id: OperationId,
        proof: ReleaseProof,
    ) -> Result<OperationRecord, Fault> {
        let mut record = self.known(id)?;
        let ReleaseProof::NonceUsedElsewhere { final_nonce } = proof;
        if record.state == S::Conflict {
            return Ok(record);
        }
        if record.message().is_some() || !is_in_flight(record.state) {
            return Err(undefined("release_committed", &record));
        }
        if Some(final_nonce) <= record.nonce() {
            return Err(Fault::Refused(format!("the nonce of {id} is not used up")));
        }
        self.shift(&record.charges, Move::ReleaseCommitted)?;
        record.state = S::Conflict;
        record.actual = None;
        self.update(record, "release_committed")
    }

    pub(super) fn end_message(
        &self,
        id: OperationId,
        end: MessageEnd,
    ) -> Result<OperationRecord, Fault> {
        let mut record = self.known(id)?;
        let state = match end {
            MessageEnd::Spent => S::Executed,
            MessageEnd::Void => S::Cancelled,
        };
        if record.message().is_some() && record.state == state {
            return Ok(record);
        }
        if record.message().is_none() || record.state != S::Signed {
            return Err(undefined("end_message", &record));
        }
        let in_full = |charge: &Charge| match end {
            MessageEnd::Spent => charge.amount().unwrap_or(AMOUNT_MAX),
            MessageEnd::Void => 0,
        };
        record.kept = record.charges.iter().map(in_full).collect();
        for (charge, kept) in record.charges.iter().zip(&record.kept) {
            self.settle_charge(charge, *kept)?;
        }
        record.state = state;
        record.settled_at = Some(self.now);
        self.update(record, "end_message")
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
        // a debt is noted although the gateway looks dead: it may come back, and then nothing else would say so
        let debt =
            (record.delivery, from, to) == (Delivery::Waiting, Delivery::Waiting, Delivery::Owed);
        if stands != from && !debt {
            return Ok(false);
        }
        record.delivery = to;
        self.update(record, "deliver").map(|_| true)
    }

    /// Notes in which block an operation is settled, unless that is too long ago, and forgets what is.
    fn note_settled(&self, record: &OperationRecord, block: u64) -> Result<(), Fault> {
        let chain = record.chain().to_string();
        let before: Option<i64> = self
            .connection()
            .prepare_cached("SELECT highest FROM heights WHERE chain = ?1")?
            .query_row([&chain], |row| row.get(0))
            .optional()?;
        let block = int(block);
        let highest = before.unwrap_or(0).max(block);
        let first = highest.saturating_sub(int(SETTLED_KEPT));
        if before != Some(highest) {
            self.connection()
                .prepare_cached("INSERT OR REPLACE INTO heights VALUES (?1, ?2)")?
                .execute(params![chain, highest])?;
            self.connection()
                .prepare_cached("DELETE FROM settled WHERE chain = ?1 AND block < ?2")?
                .execute(params![chain, first])?;
        }
        if block >= first {
            self.connection()
                .prepare_cached("INSERT INTO settled VALUES (?1, ?2, ?3)")?
                .execute(params![chain, block, record.id.to_string()])?;
        }
        Ok(())
    }

    fn forget_settled(&self, record: &OperationRecord) -> Result<(), Fault> {
        let Some(actual) = &record.actual else { return Ok(()) };
        let (chain, id) = (record.chain().to_string(), record.id.to_string());
        self.connection()
            .prepare_cached(
                "DELETE FROM settled WHERE chain = ?1 AND block = ?2 AND operation = ?3",
            )?
            .execute(params![chain, int(actual.block_number), id])?;
        Ok(())
    }

    pub(super) fn settled_in(
        &self,
        chain: ChainId,
        block: u64,
    ) -> Result<Vec<OperationRecord>, Fault> {
        let rows: Vec<Stored> = self
            .connection()
            .prepare_cached(
                "SELECT record, digest FROM settled JOIN operations ON id = operation
                  WHERE chain = ?1 AND block = ?2 ORDER BY operation",
            )?
            .query_map(params![chain.to_string(), int(block)], stored)?
            .collect::<Result<_, _>>()?;
        self.sound(&rows)
    }
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
