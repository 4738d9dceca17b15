//! What an address is, and which functions are known there.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use alloy_primitives::Address;
use countersign_core::{
    abi::{AbiFunction, Selector},
    action::Effect,
    identity::ChainId,
};

use crate::{
    container::{self, Container, Layout, MULTICALL3},
    protocol::{self, Known},
    readable::Readable,
    standard::{PERMIT2, Standard, Standards},
};

/// What the decoder knows of one chain. It is built from the configuration and the policies; no
/// answer of a node ever enters it.
///
/// Adding the same thing twice changes nothing. Nothing can be taken out: build a new one.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    chain: Option<ChainId>,
    standards: Arc<Standards>,
    tokens: BTreeSet<Address>,
    collections: BTreeMap<Address, Collection>,
    contracts: BTreeMap<Address, Contract>,
    given: BTreeMap<Selector, Vec<Given>>,
}

/// Which standard a collection keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Collection {
    /// Each item is one of its kind.
    Erc721,
    /// There may be many of an item.
    Erc1155,
}

impl Collection {
    /// The words of a configuration.
    pub const NAMES: [(&'static str, Self); 2] =
        [("erc721", Self::Erc721), ("erc1155", Self::Erc1155)];
}

#[derive(Debug, Clone, Default)]
struct Contract {
    label: Option<String>,
    container: Option<Container>,
    functions: BTreeMap<Selector, Vec<Readable>>,
}

/// A function that somebody gave without claiming the contract.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Given {
    target: Option<Address>,
    readable: Readable,
}

/// Everything that may read a call.
#[derive(Debug, Default)]
pub(crate) struct Claims<'r> {
    /// Registered for exactly this target.
    pub(crate) own: Vec<&'r Readable>,
    /// Given for any target.
    pub(crate) any: Vec<&'r Readable>,
    /// The standard that applies.
    pub(crate) standard: Option<&'r Standard>,
    /// What the contract is registered to do.
    pub(crate) known: Option<&'static Known>,
    /// The container's layout that has the selector, and whether it is what happens here.
    pub(crate) layout: Option<(&'static Layout, bool)>,
}

impl Registry {
    /// Knows the standards and no address but Permit2's and Multicall3's.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same, for a chain that delegations are told to happen on.
    #[must_use]
    pub fn on(chain: ChainId) -> Self {
        Self { chain: Some(chain), ..Self::default() }
    }

    /// An ERC-20 token that the configuration names.
    pub fn add_token(&mut self, address: Address) {
        self.tokens.insert(address);
    }

    /// A collection that the configuration names. It wins over a token at the same address.
    pub fn add_collection(&mut self, address: Address, standard: Collection) {
        self.collections.insert(address, standard);
    }

    /// A contract that the configuration names, with the label of its calls (`call` without one) and
    /// its ABI. Its ABI takes a selector away from the standards unless the address is also a token,
    /// a collection, or registered as what it is. A function with a type that cannot be read claims its
    /// selector nevertheless.
    pub fn add_contract(
        &mut self,
        address: Address,
        label: Option<String>,
        functions: Vec<AbiFunction>,
    ) {
        let contract = self.contracts.entry(address).or_default();
        contract.label = label.or_else(|| contract.label.take());
        for function in functions {
            let known = contract.functions.entry(function.selector()).or_default();
            add_once(known, Readable::new(function));
        }
    }

    /// A contract whose layout is known. Its calls are no actions of their own where their parts are.
    pub fn add_container(&mut self, address: Address, container: Container) {
        self.contracts.entry(address).or_default().container = Some(container);
    }

    /// A function that a policy rule names, for one target or for any. It adds a reading, and where it
    /// does not fit makes the call undecodable; it never takes a call away from a standard.
    pub fn add_function(&mut self, target: Option<Address>, function: AbiFunction) {
        let known = self.given.entry(function.selector()).or_default();
        add_once(known, Given { target, readable: Readable::new(function) });
    }

    /// Which ABIs claim this selector at this address.
    pub(crate) fn claims(&self, target: Address, selector: Selector) -> Claims<'_> {
        let contract = self.contracts.get(&target);
        let abi = contract.and_then(|contract| contract.functions.get(&selector));
        let given = self.given.get(&selector).map_or(&[][..], Vec::as_slice);
        let at = |wanted| {
            given.iter().filter(move |given| given.target == wanted).map(|given| &given.readable)
        };
        let governed = self.governs(target);
        let here = self.container(target);
        let displaced = abi.is_some() && !governed && !here.is_some_and(Container::is_whole);
        Claims {
            own: abi.into_iter().flatten().chain(at(Some(target))).collect(),
            any: at(None).collect(),
            standard: self
                .standards
                .find(target, selector, self.collections.get(&target).copied())
                .filter(|_| !displaced),
            known: here.and_then(|container| protocol::known(container, selector)),
            layout: container::layout(selector).map(|layout| (layout, layout.is_certain(here))),
        }
    }

    /// What the contract is registered as. Multicall3 is what it is wherever nobody says otherwise.
    pub(crate) fn container(&self, address: Address) -> Option<Container> {
        let registered = self.contracts.get(&address).and_then(|contract| contract.container);
        registered.or_else(|| (address == MULTICALL3).then_some(Container::Multicall3))
    }

    /// Foreign code acts as an account of this chain.
    pub(crate) const fn delegation(&self, account: Address, delegate: Address) -> Effect {
        Effect::Delegate { account, delegate, chain: self.chain }
    }

    pub(crate) fn is_token(&self, address: Address) -> bool {
        self.tokens.contains(&address)
    }

    fn is_collection(&self, address: Address) -> bool {
        self.collections.contains_key(&address)
    }

    /// The standards decide alone here.
    pub(crate) fn governs(&self, address: Address) -> bool {
        self.is_token(address) || self.is_collection(address) || address == PERMIT2
    }

    /// What the configuration calls the contract's calls.
    pub(crate) fn label(&self, address: Address) -> &str {
        self.contracts
            .get(&address)
            .and_then(|contract| contract.label.as_deref())
            .unwrap_or("call")
    }
}

fn add_once<T: PartialEq>(known: &mut Vec<T>, new: T) {
    if !known.contains(&new) {
        known.push(new);
    }
}
