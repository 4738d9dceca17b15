//! Charges of limits that are younger than the operations that they count.

use std::collections::BTreeSet;

use countersign_core::{charge::CounterId, operation::Money};
use countersign_engine::port::ledger::{Adopt, AdoptAnswer};

use super::{
    counters::Move,
    fault::Fault,
    schema::{meta, set_meta},
    worker::Step,
};
use crate::adoption::lacking;

/// Where the file keeps which limits count everything.
const ADOPTED: &str = "adopted";

impl Step<'_> {
    pub(super) fn adopted(&self) -> Result<BTreeSet<CounterId>, Fault> {
        let known: Option<String> = meta(self.connection(), ADOPTED)?;
        let unknown = |hex: &str| Fault::Damaged(format!("`{hex}` names no limit"));
        let limit = |hex: &str| hex.parse().map(CounterId).map_err(|_| unknown(hex));
        known.iter().flat_map(|text| text.split_whitespace()).map(limit).collect()
    }

    pub(super) fn note_adopted(&self, limits: &BTreeSet<CounterId>) -> Result<(), Fault> {
        if self.adopted()? == *limits {
            return Ok(());
        }
        let text = limits.iter().map(CounterId::hex).collect::<Vec<_>>().join(" ");
        set_meta(self.connection(), ADOPTED, text.as_str())?;
        self.log("note_adopted", "limits", &text)
    }

    pub(super) fn adopt(&self, adopt: &Adopt) -> Result<AdoptAnswer, Fault> {
        let mut record = self.known(adopt.operation)?;
        let Some(lacking) = lacking(&record, adopt).map_err(Fault::Refused)? else {
            return Ok(AdoptAnswer::Elsewhere(Box::new(record)));
        };
        if lacking.charges.is_empty() {
            return Ok(AdoptAnswer::Adopted(Box::new(record)));
        }
        // each charge has a counter from here on, and the amount stands in reserved
        self.charge(&lacking.charges)?;
        match (record.state.money(), record.settled_at) {
            (Money::Reserved | Money::None, _) => {}
            (Money::Committed, _) => self.shift(&lacking.charges, Move::Commit)?,
            (Money::Settled, settled_at) => {
                self.shift(&lacking.charges, Move::Commit)?;
                for (charge, kept) in lacking.charges.iter().zip(&lacking.kept) {
                    self.settle_charge_at(charge, *kept, settled_at.unwrap_or(self.now))?;
                }
            }
        }
        record.charges.extend(lacking.charges);
        record.kept.extend(lacking.kept);
        let record = self.update(record, "adopt")?;
        Ok(AdoptAnswer::Adopted(Box::new(record)))
    }
}
