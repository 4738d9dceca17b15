//! One operation that becomes several: a bundle of calls, once all of it is allowed.

use std::collections::BTreeSet;

use alloy_primitives::keccak256;
use countersign_core::{
    charge::Charge,
    identity::{Fingerprint, OperationId},
    intent::Intent,
    operation::{Delivery, OperationRecord},
    time::Timestamp,
};

use super::LedgerError;

/// One `ALLOWED` operation becomes several, each with its own part of the charges.
///
/// The parts' charges, one part after the other, are those that the operation has, in their order; anything else is
/// `Refused`. The operation itself becomes the first part, and its fence goes up. Each further part is a new `ALLOWED`
/// operation with the first's trace, gates, votes, gateway and `expires_at`; without a key, of no batch, with a
/// fingerprint that no request has, and with nothing left to deliver.
#[derive(Debug, Clone, PartialEq)]
pub struct Split {
    /// Which operation.
    pub operation: OperationId,
    /// Its `fence` when it was judged; another one now answers `Elsewhere`.
    pub fence: u32,
    /// What becomes of it; the first part is the operation itself.
    pub parts: Vec<Part>,
}

/// One operation of several.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// Its id; the first one's is that of the operation that is split.
    pub id: OperationId,
    /// What may be signed for it.
    pub intent: Intent,
    /// What it takes out.
    pub charges: Vec<Charge>,
}

impl Split {
    /// The parts, if they are those of this operation: its ids begin with its own, are all different, and its charges
    /// are shared out among them without rest.
    pub fn parts_of(&self, record: &OperationRecord) -> Result<(&Part, &[Part]), LedgerError> {
        let wrong = |why: &str| LedgerError::Refused(format!("{} {why}", self.operation));
        let Some((first, further)) = self.parts.split_first() else {
            return Err(wrong("cannot become nothing"));
        };
        let ids: BTreeSet<OperationId> = self.parts.iter().map(|part| part.id).collect();
        if first.id != record.id || ids.len() != self.parts.len() {
            return Err(wrong("cannot become others than itself and new ones"));
        }
        let shared = self.parts.iter().flat_map(|part| &part.charges);
        if !shared.eq(&record.charges) {
            return Err(wrong("has other charges than its parts"));
        }
        Ok((first, further))
    }
}

impl Part {
    /// What no request has: a part is found by its bundle alone.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint(keccak256(self.id.to_string()))
    }

    /// The operation that a further part becomes.
    #[must_use]
    pub fn of(&self, whole: &OperationRecord, now: Timestamp) -> OperationRecord {
        OperationRecord {
            id: self.id,
            intent: self.intent.clone(),
            charges: self.charges.clone(),
            fingerprint: self.fingerprint(),
            key: None,
            batch: None,
            delivery: Delivery::Collected,
            fence: 0,
            created_at: now,
            updated_at: now,
            ..whole.clone()
        }
    }
}

/// What [`super::Ledger::split`] did.
#[derive(Debug, Clone, PartialEq)]
pub enum SplitAnswer {
    /// The parts as they stand, in order. The same call again answers this too.
    Split(Vec<OperationRecord>),
    /// It is in another state, judged anew, or past its `expires_at`; nothing was written.
    Elsewhere(Box<OperationRecord>),
}
