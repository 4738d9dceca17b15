//! What a node tells of a transaction that was not sent.

use std::collections::BTreeSet;

use alloy_primitives::Address;

use super::{Told, effects::ENTRIES_MAX, traced, understood};

/// By the one method and by the other: each asset once, lost or gained but not both, and nothing of what failed.
pub fn simulation(bytes: &[u8]) {
    let wallet = Address::repeat_byte(0x11);
    is_net(understood(bytes, wallet), wallet);
    is_net(traced(bytes, wallet), wallet);
}

fn is_net(told: Told, wallet: Address) {
    let Ok(told) = told else { return };
    assert_eq!(told.wallet, wallet);
    let entries = told.changes.len().saturating_add(told.approvals.len());
    assert!(entries <= ENTRIES_MAX && (!told.reverted || entries == 0));
    let assets: BTreeSet<_> = told.changes.iter().map(|change| &change.asset).collect();
    assert_eq!(assets.len(), told.changes.len());
    assert!(told.changes.iter().all(|change| change.lost.is_zero() != change.gained.is_zero()));
    assert!(told.approvals.iter().all(|granted| !granted.amount.is_zero()));
}
