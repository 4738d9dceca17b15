//! Messages: what a signature over them would allow.

mod meaning;
mod probe;
mod text;
mod typed_data;

use alloy_primitives::{Address, U256};
use countersign_core::{
    action::{Action, Effect, Via},
    identity::ChainId,
    message::Lasting,
};

use self::meaning::{Scene, Unfit, meaning};
pub use self::{
    text::{TEXT_BYTES_MAX, text_actions, text_digest},
    typed_data::TypedData,
};
use crate::registry::Registry;

/// What a signature allows, and how long it can.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    /// What may happen, once or at most, without asking again: at least one action, at most
    /// [`LEAVES_MAX`](crate::LEAVES_MAX).
    pub actions: Vec<Action>,
    /// How long; `None` where it moves nothing, or nobody knows what it does.
    pub lasting: Option<Lasting>,
}

/// What a signature over typed data would really do.
///
/// Total and deterministic. A type is known only if all of it is: the fields, their order, the domain. What
/// moves value is an action like a call's, at its maximum, via signature. Anything else is `TypedData`, and so
/// is everything whose domain names no contract; what names no chain, another chain, or another account as the
/// giver is `Opaque`. Whether the owner has what it gives away, and whether the nonce is still good, is not
/// asked.
#[must_use]
pub fn typed_data_authority(
    wallet: Address,
    chain: ChainId,
    data: &TypedData,
    registry: &Registry,
) -> Authority {
    match data.chain() {
        Some(named) if named == chain => {}
        Some(_) => return opaque("typed data for another chain"),
        None => return opaque("typed data for any chain: its domain names none"),
    }
    let contract = data.verifying_contract().filter(|contract| !contract.is_zero());
    let known = contract
        .ok_or(Unfit::Unknown)
        .and_then(|contract| meaning(Scene { wallet, chain, contract, data, registry }));
    match known {
        Ok(authority) => authority.sparing(),
        Err(Unfit::Never(reason)) => opaque(reason),
        Err(Unfit::Unknown) => {
            let action = Action { target: contract, ..signed(unknown(data)) };
            Authority { actions: vec![action], lasting: None }
        }
    }
}

impl Authority {
    /// What moves nothing need not be watched.
    fn sparing(self) -> Self {
        let moves = self.actions.iter().any(|action| match &action.effect {
            Effect::Transfer { .. }
            | Effect::Approve { .. }
            | Effect::Call
            | Effect::Deploy { .. }
            | Effect::Undecodable { .. } => true,
            Effect::Revoke { .. }
            | Effect::Delegate { .. }
            | Effect::TypedData { .. }
            | Effect::Text { .. }
            | Effect::Opaque { .. } => false,
        });
        Self { lasting: self.lasting.filter(|_| moves), ..self }
    }
}

fn opaque(reason: &str) -> Authority {
    let effect = Effect::Opaque { reason: reason.to_owned() };
    Authority { actions: vec![signed(effect)], lasting: None }
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
        unlisted: false,
        foreign: false,
        spends: None,
    }
}

#[cfg(test)]
mod tests;
