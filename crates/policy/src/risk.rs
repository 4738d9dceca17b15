//! How unusual a request looks: a plain sum from 0 to 100, shown to people and named by rules as `risk`.
//!
//! | part | sign | points |
//! |---|---|---|
//! | `unlimited_allowance` | an allowance without bound | 50 |
//! | `acts_as_the_account` | code gets to act as the account | 90 |
//! | `moves_tokens_of_others` | somebody else's tokens are moved | 60 |
//! | `hands_over_control` | a call hands over control of a contract | 60 |
//! | `lost_recipient` | the recipient is the zero address, a precompile, or the contract of a known token | 60 |
//! | `unreadable` | calldata or a message that cannot be read | 40 |
//! | `unknown_typed_data` | typed data whose meaning nobody registered | 30 |
//! | `unknown_function` | a call that no known function reads | 20 |
//! | `new_counterparty` | the counterparty was never paid before, or nobody knows | 15 |
//! | `unknown_worth` | its worth in USD is unknown | 20 |
//! | `most_of_the_balance` | it takes 90 % of the wallet's own currency or more | 30 |
//! | `half_of_the_balance` | it takes half or more | 15 |
//!
//! Of the first eight, which are about what an action does, the first that fits counts. The score of a request is that of
//! its worst action.

use alloy_primitives::{Address, U256};
use countersign_core::{
    action::{Action, Effect},
    fact::Facts,
    intent::Intent,
    token::Asset,
};

use crate::{
    decision::RiskPart,
    view::{counterparty, share_bps},
    worth,
};

/// What the score of a request consists of: the parts of its worst action, the first of several.
pub(crate) fn parts(intent: &Intent, facts: &Facts) -> Vec<RiskPart> {
    let mut worst: Vec<RiskPart> = Vec::new();
    for action in &facts.actions {
        let parts = of_action(action, intent, facts);
        if score(&parts) > score(&worst) {
            worst = parts;
        }
    }
    worst
}

/// The sum of the parts, at most 100.
pub(crate) fn score(parts: &[RiskPart]) -> u8 {
    parts.iter().fold(0_u8, |sum, part| sum.saturating_add(part.points)).min(100)
}

fn of_action(action: &Action, intent: &Intent, facts: &Facts) -> Vec<RiskPart> {
    let unseen = is_unseen(action, facts).then_some(("new_counterparty", 15));
    let unpriced = worth::of_action(action, facts, &[]).is_err();
    let parts = [
        of_effect(action, intent, facts),
        unseen,
        unpriced.then_some(("unknown_worth", 20)),
        of_share(action, facts),
    ];
    let named = |(part, points): (&str, u8)| RiskPart { part: part.to_owned(), points };
    parts.into_iter().flatten().map(named).collect()
}

fn of_effect(action: &Action, intent: &Intent, facts: &Facts) -> Option<(&'static str, u8)> {
    Some(match &action.effect {
        Effect::Transfer { from, .. } if *from != intent.address => ("moves_tokens_of_others", 60),
        Effect::Transfer { to, .. } if is_sink(*to, facts) => ("lost_recipient", 60),
        Effect::Approve { unlimited: true, .. } => ("unlimited_allowance", 50),
        Effect::Delegate { .. } => ("acts_as_the_account", 90),
        Effect::Undecodable { .. } | Effect::Opaque { .. } => ("unreadable", 40),
        Effect::Call if action.privileged => ("hands_over_control", 60),
        Effect::TypedData { .. } => ("unknown_typed_data", 30),
        Effect::Call if action.functions.is_empty() => ("unknown_function", 20),
        Effect::Transfer { .. }
        | Effect::Approve { .. }
        | Effect::Revoke { .. }
        | Effect::Call
        | Effect::Deploy { .. }
        | Effect::Text { .. } => return None,
    })
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

fn of_share(action: &Action, facts: &Facts) -> Option<(&'static str, u8)> {
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
        Some(share) if share >= U256::from(9000) => Some(("most_of_the_balance", 30)),
        Some(share) if share >= U256::from(5000) => Some(("half_of_the_balance", 15)),
        Some(_) | None => None,
    }
}
