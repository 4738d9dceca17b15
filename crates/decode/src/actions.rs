//! From a call to its leaf effects.

use alloy_primitives::{Address, U256, keccak256};
use countersign_core::{
    abi::{DecodedCall, Selector},
    action::{Action, Effect, Via},
    token::Asset,
};

use crate::{
    CALLDATA_BYTES_MAX, EXPANSION_BYTES_MAX, LEAVES_MAX,
    call::Call,
    layout::DecodeError,
    readable::Readable,
    registry::{Claims, Registry},
    standard::{Leaf, Scene, Standard},
};

/// What a call would really do: at least one action and at most [`LEAVES_MAX`].
///
/// Total and deterministic. The sum of `value_wei` over the actions is the call's value. The actions
/// are what the arguments say; a contract may do otherwise, which only a simulation can tell.
#[must_use]
pub fn actions(call: &Call<'_>, registry: &Registry) -> Vec<Action> {
    match call.to {
        None => vec![deployment(call)],
        Some(to) if call.data.is_empty() => vec![native(call, to, None)],
        Some(to) => Reading::of(call, to, registry).into_actions(call, to, registry),
    }
}

fn deployment(call: &Call<'_>) -> Action {
    let effect = if call.data.is_empty() {
        Effect::Undecodable { reason: "a deployment without init code".to_owned() }
    } else {
        Effect::Deploy { init_code_hash: keccak256(call.data) }
    };
    Action {
        effect,
        target: None,
        selector: None,
        functions: Vec::new(),
        value_wei: call.value,
        label: "deploy".to_owned(),
        via: Via::Call,
        depth: 0,
        privileged: false,
        spends: None,
    }
}

/// The call's value as a transfer, by itself or beside what its data does.
fn native(call: &Call<'_>, to: Address, selector: Option<Selector>) -> Action {
    let amount = call.value;
    Action {
        effect: Effect::Transfer { asset: Asset::Native, from: call.wallet, to, amount },
        target: Some(to),
        selector,
        functions: Vec::new(),
        value_wei: amount,
        label: "transfer".to_owned(),
        via: Via::Call,
        depth: 0,
        privileged: false,
        spends: None,
    }
}

/// What calldata turned out to be.
struct Reading {
    selector: Option<Selector>,
    functions: Vec<DecodedCall>,
    outcome: Outcome,
}

enum Outcome {
    /// The effects of a standard's call; never empty.
    Standard(Vec<Leaf>),
    Call,
    Undecodable(String),
}

impl Reading {
    fn of(call: &Call<'_>, to: Address, registry: &Registry) -> Self {
        let selector = call.data.first_chunk::<4>().map(|bytes| Selector::from(*bytes));
        match selector {
            Some(selector) if call.data.len() <= CALLDATA_BYTES_MAX => {
                Self::claimed(call, to, registry, selector)
            }
            Some(_) => Self::undecodable(selector, DecodeError::TooLong.to_string()),
            None => Self::undecodable(None, "calldata too short for a selector".to_owned()),
        }
    }

    const fn undecodable(selector: Option<Selector>, reason: String) -> Self {
        Self { selector, functions: Vec::new(), outcome: Outcome::Undecodable(reason) }
    }

    fn claimed(call: &Call<'_>, to: Address, registry: &Registry, selector: Selector) -> Self {
        let claims = registry.claims(to, selector);
        let outcome = match claims.standard {
            Some(standard) => {
                let token = registry.is_token(to);
                let scene = Scene { wallet: call.wallet, target: to, token };
                let others = if registry.governs(to) { &[][..] } else { &claims.own };
                standard_outcome(standard, scene, others, call.data)
            }
            None => call_outcome(&claims, call.data),
        };
        let functions = match outcome {
            Outcome::Undecodable(_) => Vec::new(),
            Outcome::Standard(_) | Outcome::Call => readings(&claims, call.data),
        };
        Self { selector: Some(selector), functions, outcome }
    }

    fn into_actions(self, call: &Call<'_>, to: Address, registry: &Registry) -> Vec<Action> {
        let Self { selector, functions, outcome } = self;
        let action = |leaf: Leaf, value_wei: U256| Action {
            label: label(registry, to, &leaf.effect),
            effect: leaf.effect,
            target: Some(to),
            selector,
            functions: functions.clone(),
            value_wei,
            via: leaf.via,
            depth: 0,
            privileged: false,
            spends: None,
        };
        let whole = |effect| vec![action(Leaf { effect, via: Via::Call }, call.value)];
        match outcome {
            Outcome::Call => whole(Effect::Call),
            Outcome::Undecodable(reason) => whole(Effect::Undecodable { reason }),
            Outcome::Standard(leaves) => {
                let beside = (!call.value.is_zero()).then(|| native(call, to, selector));
                leaves.into_iter().map(|leaf| action(leaf, U256::ZERO)).chain(beside).collect()
            }
        }
    }
}

/// What a call with a standard's selector is. `others` may read what the standard cannot.
fn standard_outcome(
    standard: &Standard,
    scene: Scene,
    others: &[&Readable],
    data: &[u8],
) -> Outcome {
    let refused = match standard.readable.read(data) {
        Ok(read) => match standard.leaves(scene, &read.args) {
            Ok(leaves) if leaves.is_empty() => return Outcome::Call,
            Ok(leaves) if bounded(leaves.len(), data.len()) => return Outcome::Standard(leaves),
            Ok(_) => "more items than one call may have",
            Err(reason) => reason,
        }
        .to_owned(),
        Err(_) if others.iter().any(|other| other.read(data).is_ok()) => return Outcome::Call,
        Err(error) => error.to_string(),
    };
    Outcome::Undecodable(reason(&standard.readable, &refused))
}

/// One place is kept for the value beside them.
fn bounded(leaves: usize, data_bytes: usize) -> bool {
    leaves < LEAVES_MAX && leaves.saturating_mul(data_bytes) <= EXPANSION_BYTES_MAX
}

/// What a call is that no standard claims.
fn call_outcome(claims: &Claims<'_>, data: &[u8]) -> Outcome {
    let mut refused = None;
    for claim in claims.own.iter().chain(&claims.any) {
        match claim.read(data) {
            Ok(_) => return Outcome::Call,
            Err(error) => refused = refused.or_else(|| Some(reason(claim, &error.to_string()))),
        }
    }
    refused.map_or(Outcome::Call, Outcome::Undecodable)
}

fn reason(readable: &Readable, refused: &str) -> String {
    format!("not a canonical call of `{}`: {refused}", readable.function().signature())
}

/// Every distinct reading. The names that policies and the configuration gave come before the
/// standards' own.
fn readings(claims: &Claims<'_>, data: &[u8]) -> Vec<DecodedCall> {
    let standard = claims.standard.map(|standard| &standard.readable);
    let mut readings = Vec::new();
    for claim in claims.own.iter().chain(&claims.any).copied().chain(standard) {
        if let Ok(read) = claim.read(data)
            && !readings.contains(&read)
        {
            readings.push(read);
        }
    }
    readings
}

/// The word for what happens at a token, a collection or Permit2; the contract's own word elsewhere.
fn label(registry: &Registry, to: Address, effect: &Effect) -> String {
    match effect {
        Effect::Transfer { .. } | Effect::Approve { .. } | Effect::Revoke { .. }
            if registry.governs(to) =>
        {
            effect.kind()
        }
        Effect::Transfer { .. }
        | Effect::Approve { .. }
        | Effect::Revoke { .. }
        | Effect::Call
        | Effect::Deploy { .. }
        | Effect::Undecodable { .. }
        | Effect::Delegate { .. }
        | Effect::TypedData { .. }
        | Effect::Text { .. }
        | Effect::Opaque { .. } => registry.label(to),
    }
    .to_owned()
}

#[cfg(test)]
mod tests;
