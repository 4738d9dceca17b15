//! Functions of contracts that the configuration registers as what they are: swaps, lending, vaults,
//! bridges. They stay a `Call`, and tell what it takes from the caller and who else gets something.
//!
//! Elsewhere nothing is concluded from their selectors: a contract that nobody registered may do anything.

mod bridge;
mod lending;
mod one_inch;
mod swap;
mod vault;

use std::{collections::BTreeMap, sync::LazyLock};

use alloy_primitives::{Address, U256};
use countersign_core::{
    abi::{AbiFunction, DecodedCall, Selector},
    action::{Effect, Outflow, Via},
    token::Asset,
};

use crate::{container::Container, readable::Readable, standard::Arguments};

/// Where a call of a known contract happens.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Desk {
    /// Who calls.
    pub(crate) caller: Address,
    /// The contract.
    pub(crate) contract: Address,
    /// Wei that come with the call.
    pub(crate) value: U256,
}

/// What a call of a known contract comes to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Flow {
    /// What is taken from the caller besides the call's value; `None` if that depends on more than the
    /// arguments.
    pub(crate) spends: Option<Vec<Outflow>>,
    /// What others get, and who may move what.
    pub(crate) effects: Vec<(Effect, Via)>,
    /// The call's value goes to this account, and to nobody else.
    pub(crate) value_to: Option<Address>,
    /// Wrapped currency is taken out of the value at hand, as far as that reaches, instead of the caller.
    pub(crate) wraps_value: bool,
}

impl Flow {
    /// Nothing is taken and nobody gets anything.
    pub(crate) const fn nothing() -> Self {
        Self { spends: Some(Vec::new()), effects: Vec::new(), value_to: None, wraps_value: false }
    }

    /// So much is taken from the caller.
    fn takes(asset: Asset, amount: U256) -> Self {
        Self { spends: Some(vec![Outflow { asset, amount }]), ..Self::nothing() }
    }

    fn and_takes(mut self, asset: Asset, amount: U256) -> Self {
        self.spends.get_or_insert_default().push(Outflow { asset, amount });
        self
    }

    /// So much goes from the contract to somebody, unless that is who calls.
    fn and_pays(mut self, desk: Desk, asset: Asset, to: Address, amount: U256) -> Self {
        if to != desk.caller {
            let effect = Effect::Transfer { asset, from: desk.contract, to, amount };
            self.effects.push((effect, Via::Call));
        }
        self
    }

    /// So much of the contract's own token goes from one to the other, unless both are who calls.
    fn and_moves(mut self, desk: Desk, (from, to): (Address, Address), amount: U256) -> Self {
        if from != desk.caller || to != desk.caller {
            let asset = Asset::Token(desk.contract);
            self.effects.push((Effect::Transfer { asset, from, to, amount }, Via::Call));
        }
        self
    }

    /// So much of the caller's ends up with `to`: taken, if that is the caller's own, else transferred.
    fn delivers(desk: Desk, asset: Asset, to: Address, amount: U256) -> Self {
        if to == desk.caller {
            return Self::takes(asset, amount);
        }
        let effect = Effect::Transfer { asset, from: desk.caller, to, amount };
        Self { effects: vec![(effect, Via::Call)], ..Self::nothing() }
    }

    /// The call's value ends up with `to`.
    fn delivers_value(desk: Desk, to: Address) -> Self {
        Self { value_to: Some(to).filter(|to| *to != desk.caller), ..Self::nothing() }
    }
}

/// What canonical arguments mean. An error says why they mean nothing.
type Meaning = fn(Desk, Arguments<'_>) -> Result<Flow, &'static str>;

/// Signatures with what they mean.
type Table = [(&'static str, Meaning)];

/// A function of a known contract.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) readable: Readable,
    meaning: Meaning,
}

impl Known {
    pub(crate) fn flow(&self, desk: Desk, read: &DecodedCall) -> Result<Flow, &'static str> {
        (self.meaning)(desk, Arguments(&read.args))
    }
}

const TABLES: [(Container, &[&Table]); 11] = [
    (Container::UniswapV2Router, &[swap::V2]),
    (Container::UniswapV3Router, &[swap::V3, swap::PERIPHERY]),
    (Container::UniswapV3Positions, &[swap::POSITIONS, swap::PERIPHERY]),
    (Container::OneInchRouter, &[one_inch::SWAPS, one_inch::ORDERS]),
    (Container::ZeroEx, &[swap::ZERO_EX]),
    (Container::Weth, &[vault::WETH]),
    (Container::Erc4626, &[vault::ERC4626]),
    (Container::AavePool, &[lending::AAVE]),
    (Container::Comet, &[lending::COMET]),
    (Container::EntryPoint, &[vault::DEPOSITS]),
    (Container::Bridge, &[bridge::CCTP, bridge::OTHERS, bridge::STANDARD]),
];

static KNOWN: LazyLock<BTreeMap<(Container, Selector), Known>> = LazyLock::new(|| {
    let lines = TABLES.iter().flat_map(|(container, tables)| {
        tables.iter().flat_map(|table| table.iter()).map(|line| (*container, line))
    });
    let known = lines.filter_map(|(container, (signature, meaning))| {
        let function = AbiFunction::parse(signature).ok()?;
        let (selector, readable) = (function.selector(), Readable::new(function));
        Some(((container, selector), Known { readable, meaning: *meaning }))
    });
    known.collect()
});

/// The function that a selector belongs to at a contract of that kind.
pub(crate) fn known(container: Container, selector: Selector) -> Option<&'static Known> {
    KNOWN.get(&(container, selector))
}

/// Tokens with pools between them, as Uniswap V3 writes a path.
#[cfg(test)]
pub(crate) fn path_of(tokens: &[Address]) -> Vec<u8> {
    tokens.iter().map(|token| token.as_slice()).collect::<Vec<_>>().join(&[0, 11, 184][..])
}

#[cfg(test)]
pub(crate) fn signatures() -> Vec<(Container, &'static str)> {
    let tables = TABLES.iter().flat_map(|(container, tables)| {
        tables.iter().flat_map(|table| table.iter()).map(|(line, _)| (*container, *line))
    });
    tables.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_a_function_of_its_own_at_its_contract() {
        assert_eq!(KNOWN.len(), signatures().len());
    }
}
