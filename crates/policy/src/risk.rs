//! How unusual a request looks: a plain sum from 0 to 100, shown to people and named by rules as `risk`.
//!
//! | sign | points |
//! |---|---|
//! | an allowance without bound | 50 |
//! | code gets to act as the account | 90 |
//! | somebody else's tokens are moved | 60 |
//! | a call hands over control of a contract | 60 |
//! | the recipient is the zero address, a precompile, or the contract of a known token | 60 |
//! | calldata or a message that cannot be read | 40 |
//! | typed data whose meaning nobody registered | 30 |
//! | a call that no known function reads | 20 |
//! | the counterparty was never paid before, or nobody knows | 15 |
//! | its worth in USD is unknown | 20 |
//! | it takes 90 % of the wallet's own currency or more | 30 |
//! | it takes half or more | 15 |
//!
//! The score of a request is that of its worst action.

use alloy_primitives::{Address, U256};
use countersign_core::{
    action::{Action, Effect},
    fact::Facts,
    intent::Intent,
    token::Asset,
};

use crate::{
    view::{counterparty, share_bps},
    worth,
};

/// The score of a request.
pub(crate) fn score(intent: &Intent, facts: &Facts) -> u8 {
    facts.actions.iter().map(|action| of_action(action, intent, facts)).max().unwrap_or(0)
}

fn of_action(action: &Action, intent: &Intent, facts: &Facts) -> u8 {
    let points = [
        of_effect(action, intent, facts),
        if is_unseen(action, facts) { 15 } else { 0 },
        if worth::of_action(action, facts, &[]).is_err() { 20 } else { 0 },
        of_share(action, facts),
    ];
    points.into_iter().fold(0_u8, u8::saturating_add).min(100)
}

fn of_effect(action: &Action, intent: &Intent, facts: &Facts) -> u8 {
    match &action.effect {
        Effect::Transfer { from, .. } if *from != intent.address => 60,
        Effect::Transfer { to, .. } if is_sink(*to, facts) => 60,
        Effect::Approve { unlimited: true, .. } => 50,
        Effect::Delegate { .. } => 90,
        Effect::Undecodable { .. } | Effect::Opaque { .. } => 40,
        Effect::Call if action.privileged => 60,
        Effect::TypedData { .. } => 30,
        Effect::Call if action.functions.is_empty() => 20,
        Effect::Transfer { .. }
        | Effect::Approve { .. }
        | Effect::Revoke { .. }
        | Effect::Call
        | Effect::Deploy { .. }
        | Effect::Text { .. } => 0,
    }
}

/// Whether what is sent there is lost: nobody holds a key to it.
fn is_sink(to: Address, facts: &Facts) -> bool {
    let small = U256::from_be_slice(to.as_slice()) <= U256::from(0x1ff);
    small || facts.tokens.iter().any(|token| token.asset == Asset::Token(to))
}

fn is_unseen(action: &Action, facts: &Facts) -> bool {
    if matches!(
        action.effect,
        Effect::Revoke { .. } | Effect::Deploy { .. } | Effect::Text { .. } | Effect::Opaque { .. }
    ) {
        return false;
    }
    let known = facts.seen.known().zip(counterparty(action));
    known.is_none_or(|(seen, address)| !seen.contains(&address))
}

fn of_share(action: &Action, facts: &Facts) -> u8 {
    let wei = match &action.effect {
        Effect::Transfer { asset: Asset::Native, amount, .. } => *amount,
        Effect::Transfer { .. }
        | Effect::Approve { .. }
        | Effect::Revoke { .. }
        | Effect::Call
        | Effect::Deploy { .. }
        | Effect::Undecodable { .. }
        | Effect::Delegate { .. }
        | Effect::TypedData { .. }
        | Effect::Text { .. }
        | Effect::Opaque { .. } => action.value_wei,
    };
    let share = facts.balance_wei.known().and_then(|balance| share_bps(wei, *balance));
    match share {
        Some(share) if share >= U256::from(9000) => 30,
        Some(share) if share >= U256::from(5000) => 15,
        Some(_) | None => 0,
    }
}
