//! Layouts of calls that hold other calls, and where they are known to be what they look like.
//!
//! A layout is a function of a contract that makes calls of its own: its arguments say which. The same
//! table serves every address. Where the configuration registers the contract ([`Container`]), the
//! layout is what happens, and the call that carries it disappears behind its parts. Elsewhere it is only
//! what the call reads as, and the call stays beside them.

mod account;
mod command;
mod entry_point;
mod multicall;
mod router;
mod safe;

use std::{collections::BTreeMap, sync::LazyLock};

use alloy_primitives::{Address, Bytes, U256};
use countersign_core::{
    abi::{AbiFunction, DecodedCall, Selector},
    action::{Effect, Outflow, Via},
};

pub(crate) use self::{
    multicall::MULTICALL3,
    router::{list_ends, path_ends},
};
use crate::{readable::Readable, registry::Registry, standard::Arguments};

/// What the configuration may say of a contract: its layout is known, and it does what the layout says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Container {
    /// Multicall3, as deployed at the same address on most chains.
    Multicall3,
    /// A contract that calls itself with the caller's authority: `multicall(bytes[])` and its forms.
    Multicall,
    /// A Safe.
    Safe,
    /// The library through which a Safe makes several calls at once.
    MultiSend,
    /// ERC-4337: runs operations of smart accounts.
    EntryPoint,
    /// An account with `execute`, `executeBatch`, or ERC-7579's `execute(mode, calldata)`.
    SmartAccount,
    /// A proxy that lets foreign code act as itself.
    DsProxy,
    /// Uniswap's Universal Router, version 2.
    UniversalRouter,
    /// Uniswap V2's router, or one that is like it.
    UniswapV2Router,
    /// Uniswap V3's `SwapRouter` or `SwapRouter02`.
    UniswapV3Router,
    /// Uniswap V3's manager of positions, which is also a collection of them.
    UniswapV3Positions,
    /// 1inch's aggregation router, versions 5 and 6.
    OneInchRouter,
    /// 0x's exchange proxy and allowance holder.
    ZeroEx,
    /// The chain's own currency as a token.
    Weth,
    /// A vault of one token.
    Erc4626,
    /// Aave's pool, versions 2 and 3.
    AavePool,
    /// Compound's market, version 3.
    Comet,
    /// CCTP, Across, the standard bridges of OP and Arbitrum, `LayerZero`'s OFT, Wormhole.
    Bridge,
}

impl Container {
    /// Every name that the configuration may use, with what it means.
    pub const NAMES: [(&'static str, Self); 18] = [
        ("multicall3", Self::Multicall3),
        ("multicall", Self::Multicall),
        ("safe", Self::Safe),
        ("multi_send", Self::MultiSend),
        ("entry_point", Self::EntryPoint),
        ("smart_account", Self::SmartAccount),
        ("ds_proxy", Self::DsProxy),
        ("universal_router", Self::UniversalRouter),
        ("uniswap_v2_router", Self::UniswapV2Router),
        ("uniswap_v3_router", Self::UniswapV3Router),
        ("uniswap_v3_positions", Self::UniswapV3Positions),
        ("one_inch_router", Self::OneInchRouter),
        ("zero_ex", Self::ZeroEx),
        ("weth", Self::Weth),
        ("erc4626", Self::Erc4626),
        ("aave_pool", Self::AavePool),
        ("comet", Self::Comet),
        ("bridge", Self::Bridge),
    ];

    /// The container of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, container)| *container)
    }

    /// Whether it says what the contract is. [`Self::Multicall`] is a form that any contract may have, which
    /// says nothing of its other functions.
    pub(crate) const fn is_whole(self) -> bool {
        !matches!(self, Self::Multicall)
    }

    /// Whether it opens what this kind of layout holds.
    const fn opens(self, kind: Kind) -> bool {
        match kind {
            Kind::Multicall3 => matches!(self, Self::Multicall3),
            Kind::Multicall => matches!(
                self,
                Self::Multicall
                    | Self::UniswapV3Router
                    | Self::UniswapV3Positions
                    | Self::Erc4626
                    | Self::AavePool
                    | Self::Bridge
            ),
            Kind::Safe => matches!(self, Self::Safe),
            Kind::MultiSend => matches!(self, Self::MultiSend),
            Kind::EntryPoint => matches!(self, Self::EntryPoint),
            Kind::Account => matches!(self, Self::SmartAccount | Self::Safe),
            Kind::Proxy => matches!(self, Self::DsProxy),
            Kind::Router => matches!(self, Self::UniversalRouter),
        }
    }
}

/// Layouts that come together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Multicall3,
    Multicall,
    Safe,
    MultiSend,
    EntryPoint,
    Account,
    Proxy,
    Router,
}

/// Where a layout is opened.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Inside<'r> {
    /// Who calls the container.
    pub(crate) caller: Address,
    /// The container.
    pub(crate) container: Address,
    pub(crate) registry: &'r Registry,
}

/// One thing that a container does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    /// It calls.
    Call { caller: Address, to: Address, value: U256, data: Bytes },
    /// It does something that is no call of its own.
    Effect { effect: Effect, via: Via },
    /// An operation of an account pays for its gas, or its paymaster does.
    Fee { effect: Effect, account: Address },
    /// It takes a step that has a name and arguments, but no calldata.
    Step { selector: Selector, read: DecodedCall, spends: Vec<Outflow> },
    /// It goes through a list of its own.
    Plan(Vec<Part>),
}

impl Part {
    const fn does(effect: Effect) -> Self {
        Self::Effect { effect, via: Via::Call }
    }

    /// Wei that the calls in it send on; `None` beyond 2^256 − 1.
    pub(crate) fn value(&self) -> Option<U256> {
        match self {
            Self::Call { value, .. } => Some(*value),
            Self::Effect { .. } | Self::Fee { .. } | Self::Step { .. } => Some(U256::ZERO),
            Self::Plan(parts) => total(parts),
        }
    }
}

/// Wei that parts send on together; `None` beyond 2^256 − 1.
pub(crate) fn total(parts: &[Part]) -> Option<U256> {
    parts.iter().try_fold(U256::ZERO, |sum, part| sum.checked_add(part.value()?))
}

/// What becomes of the wei that a container is called with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purse {
    /// The calls share it; what they leave stays with the container, which is nobody's account.
    Shared,
    /// It is added to what the account has, and the calls spend from there.
    Own,
    /// It stays at hand for whatever the parts do with it: the container's own call carries it.
    Kept,
}

/// What canonical arguments hold, or why they hold nothing that can be known.
type Open = fn(Inside<'_>, Arguments<'_>) -> Result<Vec<Part>, &'static str>;

/// Signatures with what they hold.
type Table = [(&'static str, Open)];

/// A function that makes calls of its own.
#[derive(Debug)]
pub(crate) struct Layout {
    pub(crate) readable: Readable,
    pub(crate) purse: Purse,
    kind: Kind,
    open: Open,
}

impl Layout {
    pub(crate) fn open(
        &self,
        inside: Inside<'_>,
        read: &DecodedCall,
    ) -> Result<Vec<Part>, &'static str> {
        (self.open)(inside, Arguments(&read.args))
    }

    /// Whether it is what happens at an address where these are registered.
    pub(crate) fn is_certain(&self, here: Option<Container>) -> bool {
        here.is_some_and(|container| container.opens(self.kind))
    }
}

/// Every layout, by selector.
static LAYOUTS: LazyLock<BTreeMap<Selector, Layout>> = LazyLock::new(|| {
    let known = TABLES.iter().flat_map(|(kind, purse, table)| {
        table.iter().filter_map(|(signature, open)| {
            let function = AbiFunction::parse(signature).ok()?;
            let (selector, readable) = (function.selector(), Readable::new(function));
            Some((selector, Layout { readable, purse: *purse, kind: *kind, open: *open }))
        })
    });
    known.collect()
});

const TABLES: [(Kind, Purse, &Table); 8] = [
    (Kind::Multicall3, Purse::Shared, multicall::AGGREGATES),
    (Kind::Multicall, Purse::Kept, multicall::SELF_CALLS),
    (Kind::Safe, Purse::Own, safe::TRANSACTIONS),
    (Kind::MultiSend, Purse::Shared, safe::MULTI_SEND),
    (Kind::EntryPoint, Purse::Own, entry_point::TABLE),
    (Kind::Account, Purse::Own, account::TABLE),
    (Kind::Proxy, Purse::Own, account::PROXY),
    (Kind::Router, Purse::Kept, router::TABLE),
];

/// The layout that a selector belongs to.
pub(crate) fn layout(selector: Selector) -> Option<&'static Layout> {
    LAYOUTS.get(&selector)
}

#[cfg(test)]
mod tests;
