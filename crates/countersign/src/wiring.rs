//! From the configuration to the engine's parts.

use countersign_decode::Registry;
use countersign_engine::setup::TokenSetup;
use countersign_policy::Policy;

use crate::config::ChainEntry;

/// The chain's own currency, and the tokens that policies may name.
pub(crate) fn tokens(chain: &ChainEntry) -> (TokenSetup, Vec<TokenSetup>) {
    let named = |id: &str| format!("{id}@{}", chain.id);
    let native = TokenSetup {
        name: named(&chain.native.symbol.to_lowercase()),
        address: None,
        decimals: chain.native.decimals,
        symbol: chain.native.symbol.clone(),
    };
    let token = |token: &crate::config::TokenEntry| TokenSetup {
        name: named(&token.id),
        address: Some(token.address),
        decimals: token.decimals,
        symbol: token.price.clone(),
    };
    (native, chain.tokens.iter().map(token).collect())
}

/// What the decoder may know of a chain: tokens, contracts, and every function that a policy reads.
pub(crate) fn registry<'p>(
    chain: &ChainEntry,
    policies: impl IntoIterator<Item = &'p Policy>,
) -> Registry {
    let mut registry = Registry::new();
    chain.tokens.iter().for_each(|token| registry.add_token(token.address));
    for contract in &chain.contracts {
        registry.add_contract(contract.address, contract.action.clone(), contract.abi.clone());
    }
    let functions = policies.into_iter().flat_map(Policy::functions);
    functions.for_each(|(target, function)| registry.add_function(target, function));
    registry
}
