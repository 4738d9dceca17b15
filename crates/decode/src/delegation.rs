//! Authorisations (EIP-7702): whose account a transaction gives to which code.

use alloy_primitives::{Address, U256};
use countersign_core::{
    action::{Action, Effect, Via},
    transaction::Authorization,
};

/// What each of these would do: one `Delegate`, to the code that is to act as its authority. One that nobody has signed
/// delegates the zero address; whoever reads requests refuses it before.
#[must_use]
pub fn delegations(authorizations: &[Authorization]) -> Vec<Action> {
    authorizations.iter().map(delegation).collect()
}

fn delegation(one: &Authorization) -> Action {
    let effect = Effect::Delegate {
        account: one.authority().unwrap_or(Address::ZERO),
        delegate: one.address,
        chain: one.chain(),
    };
    Action {
        label: effect.kind().to_owned(),
        effect,
        target: Some(one.address),
        selector: None,
        functions: Vec::new(),
        value_wei: U256::ZERO,
        via: Via::Signature,
        depth: 0,
        privileged: false,
        unlisted: false,
        foreign: false,
        spends: None,
    }
}
