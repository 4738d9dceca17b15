//! Which window limits apply to an identity, as charges of nothing, to be read through the ledger.

use countersign_core::{charge::{Charge, Unit}, time::Timestamp};

use crate::policy::{Identity, Policies};

/// One window limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BudgetLine {
    /// The limit's id.
    pub limit: String,
    /// The policy that has it.
    pub policy: String,
    /// The window as the file writes it: `24h`, `day`.
    pub per: String,
    /// The maximum, in USD or as a count.
    pub max: String,
    /// What is counted.
    pub unit: Unit,
    /// A charge of nothing on the counter.
    pub charge: Charge,
}

/// The window limits that are not split by what a request says; guards first.
#[must_use]
pub fn budget(policies: &Policies, identity: Identity<'_>, now: Timestamp) -> Vec<BudgetLine> {
    let _given = (policies, identity, now);
    Vec::new()
}
