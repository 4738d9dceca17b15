//! Where a request would be made: of which agent, from which wallet, on which chain, at which prices.

use std::{collections::BTreeMap, path::Path};

use alloy_primitives::{Address, U256};
use countersign_core::{
    amount::Price,
    fact::{Fact, TokenFact},
    identity::{AgentId, ChainId, IdentityError, WalletId},
    token::Asset,
};
use countersign_decode::Registry;
use countersign_engine::{
    setup::{CollectionSetup, TokenSetup},
    submission::Draft,
};
use countersign_policy::Policy;

use crate::{
    cli::ExplainArgs,
    config::{AgentEntry, Config, WalletEntry},
    failure::Failure,
    policies::Loaded,
    wiring,
};

/// What the command line says of where a request would be made.
pub(super) struct Spot<'a> {
    pub(super) args: &'a ExplainArgs,
    /// The policy's file, by which its agent is found.
    pub(super) file: &'a Path,
    pub(super) policy: &'a Policy,
    pub(super) loaded: Option<&'a Loaded>,
    /// The chain that the request names.
    pub(super) chain: Option<ChainId>,
}

impl Spot<'_> {
    fn chain(&self) -> Option<ChainId> {
        let scope = || self.policy.scope().chains.first().copied();
        self.args.chain.map(ChainId).or(self.chain).or_else(scope)
    }
}

/// Where a request would be made, and by whom.
pub(super) struct Place<'a> {
    pub(super) chain: ChainId,
    pub(super) agent: AgentId,
    pub(super) wallet: WalletId,
    pub(super) address: Address,
    pub(super) owner: Option<String>,
    pub(super) role: Option<String>,
    pub(super) native: TokenSetup,
    pub(super) registry: Registry,
    /// The most that may be offered for gas, in wei.
    pub(super) fee_ceiling: U256,
    /// Who asks, and who signs for whom, where that is configured.
    pub(super) house: Option<House<'a>>,
    tokens: Vec<TokenSetup>,
    collections: Vec<CollectionSetup>,
    prices: BTreeMap<String, Price>,
}

/// A configuration, and the agent of it that asks.
#[derive(Clone, Copy)]
pub(super) struct House<'a> {
    pub(super) config: &'a Config,
    pub(super) agent: Option<&'a AgentEntry>,
}

impl<'a> Place<'a> {
    /// The place of a wallet; without one, of that which would sign.
    pub(super) fn of(spot: &Spot<'a>, wallet: Option<Address>) -> Result<Self, Failure> {
        match spot.loaded {
            Some(loaded) => Self::configured(spot, wallet, loaded),
            None => Self::invented(spot, wallet),
        }
    }

    fn configured(
        spot: &Spot<'a>,
        from: Option<Address>,
        loaded: &'a Loaded,
    ) -> Result<Self, Failure> {
        let (asked, policy, config) = (spot.chain(), spot.policy, &loaded.config);
        let mut chains = config.chains.iter();
        let chain = chains.find(|chain| asked.is_none_or(|id| id == chain.id));
        let chain = chain
            .ok_or_else(|| Failure::refused("the configuration has no such chain: see --chain"))?;
        let (agent, wallet) = names(policy)?;
        let entry = asker((spot.args, spot.file), from, policy, config)?;
        let signer = signer(from, policy, config, entry)?;
        let (native, tokens) = wiring::tokens(chain);
        // of the agent that asks, this policy stands in the place of its own
        let others =
            loaded.grants.iter().filter(|(id, _)| entry.is_none_or(|asks| asks.id != **id));
        let others = others.map(|(_, grant)| grant).chain(&loaded.guards);
        Ok(Self {
            chain: chain.id,
            owner: entry.and_then(|entry| entry.owner.clone()),
            role: entry.and_then(|entry| entry.role.clone()),
            agent: entry.map_or(agent, |entry| entry.id.clone()),
            wallet: signer.map_or(wallet, |wallet| wallet.id.clone()),
            address: signer.map_or(SOMEBODY, |wallet| wallet.address),
            native,
            tokens,
            collections: wiring::collections(chain),
            registry: wiring::registry(chain, &config.abis.files, others.chain([policy])),
            prices: config.prices.fixed(),
            fee_ceiling: U256::from(chain.fee_ceiling),
            house: Some(House { config, agent: entry }),
        })
    }

    fn invented(spot: &Spot<'a>, from: Option<Address>) -> Result<Self, Failure> {
        let Spot { args, policy, .. } = spot;
        let chain = spot.chain().unwrap_or(ChainId(31337));
        let price =
            args.price.parse().map_err(|error| Failure::refused(format!("--price: {error}")))?;
        let (agent, wallet) = names(policy)?;
        let mut registry = Registry::on(chain);
        policy.functions().into_iter().for_each(|(target, f)| registry.add_function(target, f));
        Ok(Self {
            chain,
            agent,
            wallet,
            address: from.unwrap_or(SOMEBODY),
            owner: None,
            role: None,
            native: TokenSetup {
                name: format!("eth@{chain}"),
                address: None,
                decimals: 18,
                symbol: "ETH".into(),
            },
            tokens: Vec::new(),
            collections: Vec::new(),
            registry,
            prices: BTreeMap::from([("ETH".to_owned(), price)]),
            fee_ceiling: U256::MAX,
            house: None,
        })
    }

    /// The place of the account that a request says. A signature may be of an account that nobody knows.
    pub(super) fn moved(self, spot: &Spot<'a>, draft: &Draft) -> Result<Self, Failure> {
        let Some(from) = draft.from().filter(|from| *from != self.address) else {
            return Ok(self);
        };
        let is_known = |house: House<'_>| of_address(house.config, from).is_some();
        match (draft, self.house) {
            (Draft::Raw(_), Some(house)) if !is_known(house) => Ok(Self { address: from, ..self }),
            _ => Self::of(spot, Some(from)),
        }
    }

    /// Everything that has a name here, with its price.
    pub(super) fn token_facts(&self) -> Vec<TokenFact> {
        let tokens = std::iter::once(&self.native).chain(&self.tokens);
        let items = self.collections.iter().map(|items| self.priced_items(items));
        tokens.map(|token| self.priced(token)).chain(items).collect()
    }

    fn priced_items(&self, items: &CollectionSetup) -> TokenFact {
        let CollectionSetup { name, address, symbol, held_max } = items.clone();
        let item = TokenSetup { name, address: Some(address), decimals: 0, symbol };
        TokenFact { asset: Asset::Collection(address), held_max, ..self.priced(&item) }
    }

    fn priced(&self, token: &TokenSetup) -> TokenFact {
        let price = self.prices.get(&token.symbol).copied();
        TokenFact {
            asset: token.address.map_or(Asset::Native, Asset::Token),
            name: token.name.clone(),
            decimals: token.decimals,
            never_priced: price.is_none(),
            decimals_said: None,
            held_max: None,
            price: price.map_or_else(
                || Fact::Unknown(format!("no price for {}", token.symbol)),
                Fact::Known,
            ),
        }
    }
}

/// The wallet of a call that nobody configured.
const SOMEBODY: Address = Address::repeat_byte(0xaa);

/// The agent and wallet that a policy is for, or stand-ins.
fn names(policy: &Policy) -> Result<(AgentId, WalletId), Failure> {
    let scope = policy.scope();
    let agent = scope.agent.clone().map_or_else(|| AgentId::parse("agent"), Ok);
    let wallet = scope.wallets.first().cloned().map_or_else(|| WalletId::parse("wallet"), Ok);
    let wrong = |error: IdentityError| Failure::failed(error.to_string());
    Ok((agent.map_err(wrong)?, wallet.map_err(wrong)?))
}

/// The agent that would ask: who is named, or whose policy this is, or who uses the wallet.
fn asker<'a>(
    (args, file): (&ExplainArgs, &Path),
    from: Option<Address>,
    policy: &Policy,
    config: &'a Config,
) -> Result<Option<&'a AgentEntry>, Failure> {
    let agents = &config.agents;
    let named = args.agent.as_deref().or(policy.scope().agent.as_ref().map(AgentId::as_str));
    if let Some(name) = named {
        let found = agents.iter().find(|entry| entry.id.as_str() == name);
        let unknown =
            || Failure::refused(format!("--agent: the configuration has no agent `{name}`"));
        return if found.is_none() && args.agent.is_some() { Err(unknown()) } else { Ok(found) };
    }
    let file = file.canonicalize().ok();
    let is_its = |entry: &&AgentEntry| entry.policy.value.canonicalize().ok() == file;
    let mut may: Vec<&AgentEntry> = agents.iter().filter(is_its).collect();
    if may.is_empty() {
        may = agents.iter().collect();
    }
    if let Some(wallet) = from.and_then(|from| of_address(config, from)) {
        may.retain(|entry| entry.wallets.iter().any(|held| held.value == wallet.id));
    }
    Ok(may.first().copied())
}

/// The wallet that would sign; `None` where the agent has none.
fn signer<'a>(
    from: Option<Address>,
    policy: &Policy,
    config: &'a Config,
    agent: Option<&AgentEntry>,
) -> Result<Option<&'a WalletEntry>, Failure> {
    if let Some(from) = from {
        let unknown = || Failure::refused(format!("no wallet of the configuration is {from}"));
        return of_address(config, from).map(Some).ok_or_else(unknown);
    }
    let held = agent.map_or(&[][..], |entry| &entry.wallets).iter().map(|held| &held.value);
    let granted = &policy.scope().wallets;
    let first =
        held.clone().find(|wallet| granted.contains(wallet)).or_else(|| held.clone().next());
    Ok(first.and_then(|id| config.wallets.iter().find(|wallet| wallet.id == *id)))
}

/// The wallet of an address.
pub(super) fn of_address(config: &Config, address: Address) -> Option<&WalletEntry> {
    config.wallets.iter().find(|wallet| wallet.address == address)
}
