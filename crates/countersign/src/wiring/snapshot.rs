//! The engine's snapshot of a configuration.

use std::{collections::BTreeMap, sync::Arc};

use countersign_core::{identity::AgentId, time::Millis};
use countersign_decode::Registry;
use countersign_engine::{
    port::{Judge, Oracles, Prices},
    setup::{
        AgentSetup, Breaker, ChainSetup, CollectionSetup, OnShelf, OperatorSetup, Setup,
        TokenSetup, WalletSetup, WalletSigner,
    },
    shelf::InForce,
};
use countersign_policy::Policy;
use countersign_upstream::{HttpJudge, HttpOracles, NodeChain, PriceSources, StaticPrices};

use super::Parts;
use crate::{
    config::{
        AbiFile, AgentEntry, BreakerEntry, ChainEntry, CollectionEntry, OperatorEntry, SignerEntry,
        Subject, TokenEntry,
    },
    policies::Loaded,
};

/// How long a transaction waits for one with an earlier nonce: shorter than the shortest patience of a
/// client that fixes nonces (hardhat's 21 s).
const GAP_WAIT: Millis = Millis(20_000);

/// Everything that a request may be served with. A wallet or chain without its part is left out; `Parts::renew`
/// has refused such a configuration before. An agent's grant is what is in force, or its file where that is not known.
pub(super) fn setup(
    parts: &Parts,
    loaded: &Loaded,
    in_force: &BTreeMap<AgentId, InForce>,
) -> Setup {
    let config = &loaded.config;
    let granted = granted(loaded, in_force);
    let grants = granted.values().map(|in_force| &in_force.grant);
    let policies: Vec<&Policy> = grants.chain(&loaded.guards).collect();
    let chain = |entry: &ChainEntry| {
        let (_, port) = parts.chains.get(&entry.id)?;
        Some((entry.id, chain(entry, Arc::clone(port), (&config.abis.files, &policies))))
    };
    let wallet = |entry: &crate::config::WalletEntry| {
        let signer = match &entry.signer {
            SignerEntry::Keystore(_) => {
                let (_, key) = parts.keys.get(&entry.id)?;
                WalletSigner::from(Arc::clone(key))
            }
            SignerEntry::External => WalletSigner::External,
        };
        let id = entry.id.clone();
        let wallet =
            WalletSetup { id, address: entry.address, signer, in_flight_max: entry.in_flight_max };
        Some((entry.id.clone(), wallet))
    };
    let agent = |entry: &AgentEntry| {
        let granted = granted.get(&entry.id)?;
        Some((entry.id.clone(), agent(entry, granted.clone(), config.breaker)))
    };
    Setup {
        app: config.app.clone(),
        chains: config.chains.iter().filter_map(chain).collect(),
        wallets: config.wallets.iter().filter_map(wallet).collect(),
        agents: config.agents.iter().filter_map(agent).collect(),
        operators: config.operators.iter().map(|o| (o.id.clone(), operator(o))).collect(),
        guards: loaded.guards.clone(),
        prices: prices(parts),
        oracles: oracles(parts),
        passkeys: Some(config.passkeys.clone()),
        judge: judge(parts),
        couriers: parts.couriers(),
        changes: config.policy_changes.value.clone(),
    }
}

fn granted(loaded: &Loaded, in_force: &BTreeMap<AgentId, InForce>) -> BTreeMap<AgentId, InForce> {
    let granted = loaded.grants.iter().map(|(agent, file)| {
        let file = || InForce { grant: file.clone(), shelf: OnShelf::default() };
        (agent.clone(), in_force.get(agent).cloned().unwrap_or_else(file))
    });
    granted.collect()
}

fn oracles(parts: &Parts) -> Option<Arc<dyn Oracles>> {
    Some(Arc::<HttpOracles>::clone(parts.oracles()?))
}

fn judge(parts: &Parts) -> Option<Arc<dyn Judge>> {
    Some(Arc::<HttpJudge>::clone(parts.judge()?))
}

/// Sources that are not there price nothing.
fn prices(parts: &Parts) -> Arc<dyn Prices> {
    match parts.prices() {
        Some(sources) => Arc::<PriceSources>::clone(sources),
        None => Arc::new(StaticPrices::new(BTreeMap::new())),
    }
}

fn chain(
    entry: &ChainEntry,
    port: Arc<NodeChain>,
    (abis, policies): (&[AbiFile], &[&Policy]),
) -> ChainSetup {
    let (native, tokens) = tokens(entry);
    ChainSetup {
        id: entry.id,
        name: entry.name.clone(),
        port,
        fee_ceiling: entry.fee_ceiling,
        native,
        tokens,
        collections: collections(entry),
        registry: registry(entry, abis, policies.iter().copied()),
        gap_wait: GAP_WAIT,
        bump_after: entry.bump_after,
        simulation: entry.simulation,
        explorer: entry.explorer.clone(),
    }
}

fn agent(entry: &AgentEntry, granted: InForce, house: Option<BreakerEntry>) -> AgentSetup {
    let InForce { grant, shelf } = granted;
    AgentSetup {
        id: entry.id.clone(),
        wallets: entry.wallets.iter().map(|wallet| wallet.value.clone()).collect(),
        grant,
        owner: entry.owner.clone(),
        role: entry.role.clone(),
        duplicate_window: entry.duplicate_window,
        hold: entry.hold,
        parked_max: entry.parked_max,
        breaker: entry.breaker.or(house).filter(|breaker| breaker.denials > 0).map(breaker),
        shelf,
    }
}

const fn breaker(entry: BreakerEntry) -> Breaker {
    let BreakerEntry { denials, within } = entry;
    Breaker { denials, within }
}

fn operator(entry: &OperatorEntry) -> OperatorSetup {
    OperatorSetup {
        id: entry.id.clone(),
        roles: entry.roles.clone(),
        person: entry.person.clone(),
        groups: entry.groups.clone(),
        address: entry.address.as_ref().map(|address| address.value),
        passkeys: entry.passkeys.iter().map(|passkey| passkey.value.clone()).collect(),
    }
}

/// The chain's own currency, and the tokens that policies may name.
pub(crate) fn tokens(chain: &ChainEntry) -> (TokenSetup, Vec<TokenSetup>) {
    let named = |id: &str| format!("{id}@{}", chain.id);
    let native = TokenSetup {
        name: named(&chain.native.symbol.to_lowercase()),
        address: None,
        decimals: chain.native.decimals,
        symbol: chain.native.symbol.clone(),
    };
    let token = |token: &TokenEntry| TokenSetup {
        name: named(&token.id),
        address: Some(token.address),
        decimals: token.decimals,
        symbol: token.price.clone(),
    };
    (native, chain.tokens.iter().map(token).collect())
}

/// The collections that policies may name.
pub(crate) fn collections(chain: &ChainEntry) -> Vec<CollectionSetup> {
    let items = |items: &CollectionEntry| CollectionSetup {
        name: format!("{}@{}", items.id, chain.id),
        address: items.address,
        symbol: items.price.clone(),
        held_max: items.held_max,
    };
    chain.collections.iter().map(items).collect()
}

/// What the decoder may know of a chain: tokens, contracts, ABIs, and every function that a policy reads.
pub(crate) fn registry<'p>(
    chain: &ChainEntry,
    abis: &[AbiFile],
    policies: impl IntoIterator<Item = &'p Policy>,
) -> Registry {
    let mut registry = Registry::on(chain.id);
    chain.tokens.iter().for_each(|token| registry.add_token(token.address));
    for items in &chain.collections {
        registry.add_collection(items.address, items.standard);
    }
    for contract in &chain.contracts {
        registry.add_contract(contract.address, contract.action.clone(), contract.abi.clone());
        if let Some(container) = contract.container {
            registry.add_container(contract.address, container);
        }
    }
    for AbiFile { of, lines, .. } in abis {
        if let Subject::Address(address) = of {
            let functions = lines.iter().map(|line| line.function.clone()).collect();
            registry.add_contract(*address, None, functions);
        }
    }
    let functions = policies.into_iter().flat_map(Policy::functions);
    functions.for_each(|(target, function)| registry.add_function(target, function));
    registry
}
