//! Flaws after commit: bytes, sends, receipts, settlement.

use countersign_core::{
    charge::{Charge, Window},
    identity::OperationId,
    operation::{Actual, Delivery, OperationRecord, OperationState as S, Purpose},
    time::{Period, Zone},
};
use countersign_engine::port::{
    Ledger,
    ledger::{LedgerError, SentOutcome, Settle, SignedBytes},
};

use super::{Flaw, FlawedLedger};

impl FlawedLedger {
    pub(super) async fn signed(
        &self,
        id: OperationId,
        number: u32,
        bytes: &SignedBytes,
        said: Option<&SentOutcome>,
    ) -> Result<OperationRecord, LedgerError> {
        if self.is(Flaw::BytesOverwritten)
            && let Some(mut record) = self.model.operation(id).await?
        {
            if let Some(attempt) = record.attempts.iter_mut().find(|a| a.number == number) {
                (attempt.raw, attempt.hash) = (None, None);
            }
            self.with(|books| books.put(&record))?;
        }
        let mut record = self.model.signed(id, number, bytes, said).await?;
        if self.is(Flaw::CollectedTooEarly) {
            record.delivery = Delivery::Collected;
            self.with(|books| books.put(&record))?;
        }
        said.map_or(Ok(record.clone()), |outcome| self.misunderstood(record, outcome))
    }

    pub(super) async fn sent(
        &self,
        id: OperationId,
        number: u32,
        outcome: &SentOutcome,
    ) -> Result<OperationRecord, LedgerError> {
        let record = self.model.sent(id, number, outcome).await?;
        self.misunderstood(record, outcome)
    }

    /// An operation behind the node's word.
    fn misunderstood(
        &self,
        record: OperationRecord,
        outcome: &SentOutcome,
    ) -> Result<OperationRecord, LedgerError> {
        let SentOutcome::Unknown(words) = outcome else { return Ok(record) };
        if record.state != S::Unknown {
            return Ok(record);
        }
        let changed = match self.flaw {
            Flaw::SignedAgain if !words.contains("too low") => OperationRecord {
                state: S::Allowed,
                attempts: Vec::new(),
                gateway: "nobody".into(),
                expires_at: None,
                ..record
            },
            Flaw::ConflictFromWords if words.contains("nonce too low") => {
                OperationRecord { state: S::Conflict, ..record }
            }
            Flaw::ReleasedOnRefusal if words.contains("insufficient funds") => {
                OperationRecord { state: S::Rejected, ..record }
            }
            _ => return Ok(record),
        };
        self.with(|books| books.replace(changed))
    }

    pub(super) async fn mined(
        &self,
        id: OperationId,
        actual: Option<&Actual>,
    ) -> Result<OperationRecord, LedgerError> {
        let before = self.model.operation(id).await?;
        let record = self.model.mined(id, actual).await?;
        let is_gone = actual.is_none() && before.is_some_and(|before| before.state == S::Mined);
        if is_gone && self.is(Flaw::ReleasedWithoutProof) {
            let released = OperationRecord { state: S::Conflict, ..record };
            return self.with(|books| books.replace(released));
        }
        Ok(record)
    }

    pub(super) async fn settle(&self, settle: &Settle) -> Result<OperationRecord, LedgerError> {
        let mut asked = settle.clone();
        let before = self.model.operation(settle.operation).await?;
        let purpose = before.as_ref().and_then(|b| b.purpose_of(settle.actual.hash));
        let is_free = match self.flaw {
            Flaw::RevertIsFree => !settle.actual.succeeded,
            Flaw::CancelIsFree => purpose == Some(Purpose::Cancel),
            _ => false,
        };
        if is_free {
            asked.kept.fill(0);
        }
        let mut record = self.model.settle(&asked).await?;
        if self.is(Flaw::TodaysWindow) {
            self.with(|books| {
                record.charges.iter_mut().for_each(|charge| move_to(charge, books.now));
                books.put(&record);
            })?;
        }
        Ok(record)
    }

    pub(super) async fn unsettle(&self, id: OperationId) -> Result<OperationRecord, LedgerError> {
        let mut record = self.model.unsettle(id).await?;
        if self.is(Flaw::UnsettledByName) && record.settled_at.is_none() {
            for charge in &mut record.charges {
                (charge.value, charge.fee) = (0, 0);
            }
            self.with(|books| books.put(&record))?;
        }
        Ok(record)
    }
}

fn move_to(charge: &mut Charge, now: countersign_core::time::Timestamp) {
    if let Window::Calendar(_) = charge.window {
        charge.window = Window::Calendar(Period::day(now, &Zone::UTC));
    }
}
