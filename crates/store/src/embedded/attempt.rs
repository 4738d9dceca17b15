//! Attempts: further transactions at an operation's nonce, their signed bytes, and what nodes say.

use alloy_primitives::Bytes;
use countersign_core::{
    charge::Charge,
    identity::OperationId,
    operation::{Attempt, OperationRecord, OperationState as S, Purpose},
    transaction::UnsignedTransaction,
};
use countersign_engine::port::ledger::{Bump, BumpAnswer, SentOutcome, SignedBytes};

use super::{fault::Fault, worker::Step};
use crate::attempt::raised;

impl Step<'_> {
    pub(super) fn bump(&self, bump: &Bump) -> Result<BumpAnswer, Fault> {
        let record = self.known(bump.operation)?;
        let Some(dearer) = raised(&record, bump).map_err(Fault::Refused)? else {
            return Ok(BumpAnswer::Elsewhere(Box::new(record)));
        };
        if let Some(taken) = record.attempts.iter().find(|a| a.number == bump.attempt) {
            let same = taken.transaction == bump.transaction && taken.purpose == bump.purpose;
            let record = Box::new(record);
            let other = BumpAnswer::Elsewhere;
            return Ok(if same { BumpAnswer::Bound(record) } else { other(record) });
        }
        if !is_next(&record, bump) {
            return Ok(BumpAnswer::Elsewhere(Box::new(record)));
        }
        if let Some(reason) = self.sealed()? {
            return Ok(BumpAnswer::Sealed(reason));
        }
        if let Some(freeze) = self.stopping(&record, bump.purpose == Purpose::Cancel)? {
            return Ok(BumpAnswer::Frozen(freeze));
        }
        if bump.purpose == Purpose::Payload {
            let over = self.overruns_of_rise(&dearer, &record.charges)?;
            if !over.is_empty() {
                return Ok(BumpAnswer::Over(over));
            }
        }
        Ok(BumpAnswer::Bound(Box::new(self.bind_attempt(record, bump, dearer)?)))
    }

    fn bind_attempt(
        &self,
        mut record: OperationRecord,
        bump: &Bump,
        dearer: Vec<Charge>,
    ) -> Result<OperationRecord, Fault> {
        self.charge_rise(&dearer, &record.charges)?;
        record.charges = dearer;
        let attempt = self.attempt(bump.attempt, bump.purpose, bump.transaction.clone());
        record.attempts.push(attempt);
        if bump.purpose == Purpose::Cancel {
            record.state = S::Cancelling;
        }
        self.update(record, "bump")
    }

    /// An attempt that is not signed yet.
    pub(super) fn attempt(
        &self,
        number: u32,
        purpose: Purpose,
        transaction: UnsignedTransaction,
    ) -> Attempt {
        let made_at = self.now;
        Attempt { number, purpose, made_at, transaction, raw: None, hash: None, outcome: None }
    }

    pub(super) fn signed(
        &self,
        id: OperationId,
        number: u32,
        (bytes, said): (&SignedBytes, Option<&SentOutcome>),
    ) -> Result<OperationRecord, Fault> {
        let mut record = self.known(id)?;
        let attempt = attempt(&mut record, number)?;
        if attempt.transaction != bytes.transaction {
            return Err(Fault::Refused(format!("attempt {number} of {id} has another payload")));
        }
        let is_known = match attempt.hash {
            Some(hash) if hash == bytes.hash && attempt.raw.as_ref() == Some(&bytes.raw) => true,
            Some(_) => {
                return Err(Fault::Refused(format!("attempt {number} of {id} has other bytes")));
            }
            None => false,
        };
        attempt.raw = Some(bytes.raw.clone());
        attempt.hash = Some(bytes.hash);
        if record.state == S::Prepared {
            record.state = S::Signed;
        }
        let is_told = match said {
            Some(outcome) => take_word(&mut record, number, outcome)?,
            None => false,
        };
        if is_known && !is_told { Ok(record) } else { self.update(record, "signed") }
    }

    pub(super) fn signed_message(
        &self,
        id: OperationId,
        signature: &Bytes,
    ) -> Result<OperationRecord, Fault> {
        let mut record = self.known(id)?;
        if record.message().is_none() || !record.is_bound() {
            let state = record.state.name();
            let wrong = format!("`signed_message` is not defined in {state}, where {id} is");
            return Err(Fault::Refused(wrong));
        }
        match &record.signature {
            Some(known) if known == signature => return Ok(record),
            Some(_) => return Err(Fault::Refused(format!("{id} has another signature"))),
            None => {}
        }
        record.signature = Some(signature.clone());
        record.state = S::Signed;
        self.update(record, "signed_message")
    }

    pub(super) fn sent(
        &self,
        id: OperationId,
        number: u32,
        outcome: &SentOutcome,
    ) -> Result<OperationRecord, Fault> {
        let mut record = self.known(id)?;
        if take_word(&mut record, number, outcome)? {
            self.update(record, "sent")
        } else {
            Ok(record)
        }
    }
}

/// Notes what a node said to an attempt; whether it is a word that comes in time.
fn take_word(
    record: &mut OperationRecord,
    number: u32,
    outcome: &SentOutcome,
) -> Result<bool, Fault> {
    let (id, before) = (record.id, record.state);
    let attempt = attempt(record, number)?;
    if attempt.hash.is_none() {
        return Err(Fault::Refused(format!("attempt {number} of {id} is not signed")));
    }
    let Some(state) = outcome.after(before) else { return Ok(false) };
    attempt.outcome = Some(outcome.words().into());
    record.state = state;
    Ok(true)
}

fn attempt(record: &mut OperationRecord, number: u32) -> Result<&mut Attempt, Fault> {
    let missing = Fault::Refused(format!("operation {} has no attempt {number}", record.id));
    record.attempts.iter_mut().find(|attempt| attempt.number == number).ok_or(missing)
}

/// Whether this attempt may come next.
fn is_next(record: &OperationRecord, bump: &Bump) -> bool {
    let Some(newest) = record.attempts.last() else { return false };
    let follows = newest.number.checked_add(1) == Some(bump.attempt);
    let waits = matches!(record.state, S::Signed | S::Broadcast | S::Unknown);
    let may = match bump.purpose {
        Purpose::Payload => waits && newest.hash.is_some(),
        Purpose::Cancel => waits || matches!(record.state, S::Prepared | S::Cancelling),
    };
    follows && may
}
