//! What a further attempt may be, whichever store keeps it.

use alloy_primitives::{Address, U256};
use countersign_core::{
    charge::Charge,
    operation::{OperationRecord, Purpose},
    transaction::UnsignedTransaction,
};
use countersign_engine::port::ledger::Bump;

/// The operation's charges with this attempt; `None` where it has no attempt yet. An error says why it can be no
/// attempt of this operation: what is bound first never changes, so that stays true.
pub(crate) fn raised(record: &OperationRecord, bump: &Bump) -> Result<Option<Vec<Charge>>, String> {
    let Some(first) = record.attempts.first() else { return Ok(None) };
    if !fits(&first.transaction, record.intent.address, bump) {
        return Err(format!("this is no attempt of {}", record.id));
    }
    dearer(&record.charges, &bump.fees).map(Some)
}

/// The payload at another fee, or a transfer of nothing to itself; at the same nonce.
fn fits(first: &UnsignedTransaction, own: Address, bump: &Bump) -> bool {
    let UnsignedTransaction { plan, nonce } = &bump.transaction;
    let fits = match bump.purpose {
        Purpose::Payload => {
            let mut same = first.plan.clone();
            same.fee = plan.fee;
            same == *plan
        }
        Purpose::Cancel => {
            plan.to == Some(own)
                && plan.value == U256::ZERO
                && plan.data.is_empty()
                && plan.chain == first.plan.chain
        }
    };
    fits && *nonce == first.nonce
}

/// The charges with these fees where they are higher.
fn dearer(charges: &[Charge], fees: &[u64]) -> Result<Vec<Charge>, String> {
    if charges.len() != fees.len() {
        return Err("there is not one fee for each charge".into());
    }
    let with_fee = |(charge, fee): (&Charge, &u64)| {
        let dearer = Charge { fee: charge.fee.max(*fee), ..charge.clone() };
        let too_much = || "more than a counter holds".to_owned();
        dearer.amount().map(|_| dearer).ok_or_else(too_much)
    };
    charges.iter().zip(fees).map(with_fee).collect()
}
