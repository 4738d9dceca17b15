//! Charges of limits that are younger than the operations that they count.

use std::collections::BTreeSet;

use countersign_core::{charge::CounterId, operation::Money};
use countersign_engine::port::ledger::{Adopt, AdoptAnswer, LedgerError};

use super::{
    books::{Books, refused},
    chronicle::Subject,
    counters::same_counter,
};

impl Books {
    pub(super) fn note_adopted(&mut self, limits: &BTreeSet<CounterId>) {
        if self.adopted != *limits {
            self.adopted.clone_from(limits);
            self.log("note_adopted", Subject::Other("limits".into()));
        }
    }

    pub(super) fn adopt(&mut self, adopt: &Adopt) -> Result<AdoptAnswer, LedgerError> {
        let mut record = self.known(adopt.operation)?;
        let one_each = if adopt.money == Money::Settled { adopt.charges.len() } else { 0 };
        if adopt.kept.len() != one_each {
            return Err(refused("there is not one kept amount for each charge"));
        }
        let is_as_seen = record.attempts.len() == adopt.attempts && record.fence == adopt.fence;
        if record.state.money() != adopt.money || adopt.money == Money::None || !is_as_seen {
            return Ok(AdoptAnswer::Elsewhere(Box::new(record)));
        }
        let before = record.charges.clone();
        for (place, charge) in adopt.charges.iter().enumerate() {
            if !before.iter().any(|held| same_counter(held, charge)) {
                record.charges.push(charge.clone());
                record.kept.extend(adopt.kept.get(place));
            }
        }
        let changes = record.charges.len() > before.len();
        Ok(AdoptAnswer::Adopted(Box::new(if changes { self.replace(record) } else { record })))
    }
}
