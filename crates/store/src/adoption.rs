//! What an operation gets of the limits that are younger than it: the part that is the same in every store.

use countersign_core::{
    charge::Charge,
    operation::{Money, OperationRecord},
};
use countersign_engine::port::ledger::Adopt;

/// The charges that an operation lacks, each with what it came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lacking {
    pub(crate) charges: Vec<Charge>,
    /// One for each charge where the operation is settled, else empty.
    pub(crate) kept: Vec<u64>,
}

/// What an adoption adds to this operation; `None` where its money is elsewhere or its fee another than its caller saw.
/// An error says what cannot be added.
pub(crate) fn lacking(record: &OperationRecord, adopt: &Adopt) -> Result<Option<Lacking>, String> {
    let Adopt { operation: _, money, attempts, fence, charges, kept } = adopt;
    let one_each = if *money == Money::Settled { charges.len() } else { 0 };
    if kept.len() != one_each {
        return Err("there is not one kept amount for each charge".into());
    }
    let is_as_seen = record.attempts.len() == *attempts && record.fence == *fence;
    if record.state.money() != *money || *money == Money::None || !is_as_seen {
        return Ok(None);
    }
    let mut lacking = Lacking { charges: Vec::new(), kept: Vec::new() };
    for (place, charge) in charges.iter().enumerate() {
        if record.charges.iter().any(|held| is_one(held, charge)) {
            continue;
        }
        if charge.amount().is_none() {
            return Err("a charge is more than a counter holds".into());
        }
        lacking.charges.push(charge.clone());
        lacking.kept.extend(kept.get(place));
    }
    Ok(Some(lacking))
}

fn is_one(a: &Charge, b: &Charge) -> bool {
    a.counter == b.counter && a.window.period_key() == b.window.period_key()
}
