//! Messages: what a signature over them would allow.

mod text;
mod typed_data;

use alloy_primitives::{Address, U256};
use countersign_core::{
    action::{Action, Effect, Via},
    identity::ChainId,
};

pub use self::{
    text::{TEXT_BYTES_MAX, text_actions, text_digest},
    typed_data::{TYPED_DATA_LIMITS, TypedData},
};
use crate::registry::Registry;

/// What a signature over typed data would really do. At least one action.
#[must_use]
pub fn typed_data_actions(
    _wallet: Address,
    chain: ChainId,
    data: &TypedData,
    _registry: &Registry,
) -> Vec<Action> {
    let effect = if data.chain() == Some(chain) && data.verifying_contract().is_some() {
        unknown(data)
    } else {
        Effect::Opaque { reason: "the domain does not name this chain and a contract".to_owned() }
    };
    vec![signed(effect)]
}

fn unknown(data: &TypedData) -> Effect {
    Effect::TypedData {
        primary_type: data.primary_type().to_owned(),
        domain: data.domain().to_value(),
        message: data.message().clone(),
    }
}

/// An action that comes into being with a signature.
fn signed(effect: Effect) -> Action {
    Action {
        label: effect.kind().to_owned(),
        effect,
        target: None,
        selector: None,
        functions: Vec::new(),
        value_wei: U256::ZERO,
        via: Via::Signature,
        depth: 0,
        privileged: false,
        spends: None,
    }
}
