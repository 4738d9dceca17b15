//! An action in words.

use alloy_primitives::{U256, utils::format_units};
use countersign_core::{
    action::{Action, Effect},
    fact::TokenFact,
    token::Asset,
};

use crate::screen::plain;

/// An action in one line, amounts in whole units where the token is known.
pub(super) fn described(action: &Action, tokens: &[TokenFact]) -> String {
    let some = |asset: &Asset, amount: U256| some(asset, amount, tokens);
    match &action.effect {
        Effect::Transfer { asset, to, amount, .. } => {
            format!("transfer {} to {to}", some(asset, *amount))
        }
        Effect::Approve { asset, spender, unlimited: true, .. } => {
            format!("approve {spender} for everything of {}", named(asset, tokens))
        }
        Effect::Approve { asset, spender, amount, .. } => {
            format!("approve {spender} for {}", some(asset, *amount))
        }
        Effect::Revoke { asset, spender } => {
            format!("revoke {spender} on {}", named(asset, tokens))
        }
        Effect::Call => called(action),
        Effect::Deploy { init_code_hash } => format!("deploy {init_code_hash}"),
        Effect::Undecodable { reason } => format!("call that nobody can read: {}", plain(reason)),
        Effect::Delegate { account, delegate, chain } => {
            let place = chain.map_or_else(|| "every chain".to_owned(), |id| format!("chain {id}"));
            format!("let the code of {delegate} act as {account} on {place}")
        }
        Effect::TypedData { primary_type, .. } => {
            format!("typed data `{}` of unknown meaning", plain(primary_type))
        }
        Effect::Text { text, .. } => format!("text: {}", plain(text)),
        Effect::Opaque { reason } => format!("message that nobody can read: {}", plain(reason)),
    }
}

fn called(action: &Action) -> String {
    let target = action.target.map_or_else(|| "nobody".to_owned(), |target| target.to_string());
    let name = action.functions.first().map(|function| function.signature.clone());
    let name = name.or_else(|| action.selector.map(|selector| selector.to_string()));
    format!("call {} at {target}", name.unwrap_or_else(|| "without data".to_owned()))
}

fn some(asset: &Asset, amount: U256, tokens: &[TokenFact]) -> String {
    let known = tokens.iter().find(|token| token.asset == *asset);
    let units = known.and_then(|token| format_units(amount, token.decimals).ok());
    let units = units.as_deref().map(|units| units.trim_end_matches('0').trim_end_matches('.'));
    match units {
        Some(units) => format!("{units} {}", named(asset, tokens)),
        None => format!("{amount} of {}", named(asset, tokens)),
    }
}

fn named(asset: &Asset, tokens: &[TokenFact]) -> String {
    if let Some(token) = tokens.iter().find(|token| token.asset == *asset) {
        return token.name.clone();
    }
    match asset {
        Asset::Native => "the chain's own currency".to_owned(),
        Asset::Token(token) => format!("token {token}"),
        Asset::Item { collection, id } => format!("item {id} of {collection}"),
        Asset::Collection(collection) => format!("collection {collection}"),
    }
}
