//! Lending: Aave's pool and Compound's market.

use alloy_primitives::{Address, U256};
use countersign_core::{
    action::{Effect, Via},
    token::Asset,
};

use super::{Desk, Flow, Table};
use crate::standard::Arguments;

type Found = Result<Flow, &'static str>;

pub(super) const AAVE: &Table = &[
    ("supply(address asset,uint256 amount,address onBehalfOf,uint16 referralCode)", supply),
    ("deposit(address asset,uint256 amount,address onBehalfOf,uint16 referralCode)", supply),
    ("withdraw(address asset,uint256 amount,address to)", withdraw),
    (
        "borrow(address asset,uint256 amount,uint256 interestRateMode,uint16 referralCode,address onBehalfOf)",
        borrow,
    ),
    ("repay(address asset,uint256 amount,uint256 interestRateMode,address onBehalfOf)", supply),
    ("setUserUseReserveAsCollateral(address asset,bool useAsCollateral)", borrow),
];

pub(super) const COMET: &Table = &[
    ("supply(address asset,uint256 amount)", own_supply),
    ("supplyTo(address dst,address asset,uint256 amount)", supply_to),
    ("withdraw(address asset,uint256 amount)", borrow),
    ("withdrawTo(address to,address asset,uint256 amount)", withdraw),
    ("withdrawFrom(address src,address to,address asset,uint256 amount)", withdraw_from),
    ("supplyFrom(address from,address dst,address asset,uint256 amount)", supply_from),
    ("allow(address manager,bool isAllowed)", allow),
];

/// Somebody else gets the claim, or is freed of a debt.
fn supply(desk: Desk, args: Arguments<'_>) -> Found {
    let (asset, amount) = (Asset::Token(args.address("asset")?), args.number("amount")?);
    Ok(Flow::delivers(desk, asset, args.address("onBehalfOf")?, amount))
}

fn own_supply(_: Desk, args: Arguments<'_>) -> Found {
    Ok(Flow::takes(Asset::Token(args.address("asset")?), args.number("amount")?))
}

fn supply_to(desk: Desk, args: Arguments<'_>) -> Found {
    let (asset, amount) = (Asset::Token(args.address("asset")?), args.number("amount")?);
    Ok(Flow::delivers(desk, asset, args.address("dst")?, amount))
}

/// What was supplied comes back to the caller, or is paid to somebody else.
fn withdraw(desk: Desk, args: Arguments<'_>) -> Found {
    let (asset, to) = (Asset::Token(args.address("asset")?), args.address("to")?);
    Ok(Flow::nothing().and_pays(desk, asset, to, args.number("amount")?))
}

/// Nothing leaves the caller; what is borrowed counts when it is spent.
#[expect(clippy::unnecessary_wraps, reason = "the form that the tables take")]
fn borrow(_: Desk, _: Arguments<'_>) -> Found {
    Ok(Flow::nothing())
}

fn moved(args: Arguments<'_>, from: Address, to: Address) -> Found {
    let (asset, amount) = (Asset::Token(args.address("asset")?), args.number("amount")?);
    let effect = Effect::Transfer { asset, from, to, amount };
    Ok(Flow { effects: vec![(effect, Via::Call)], ..Flow::nothing() })
}

fn withdraw_from(_: Desk, args: Arguments<'_>) -> Found {
    moved(args, args.address("src")?, args.address("to")?)
}

fn supply_from(_: Desk, args: Arguments<'_>) -> Found {
    moved(args, args.address("from")?, args.address("dst")?)
}

/// A manager may move everything that the account has in the market.
fn allow(desk: Desk, args: Arguments<'_>) -> Found {
    let (asset, spender) = (Asset::Collection(desk.contract), args.address("manager")?);
    let effect = if args.flag("isAllowed")? {
        Effect::Approve {
            asset,
            owner: desk.caller,
            spender,
            amount: U256::MAX,
            unlimited: true,
            deadline: None,
        }
    } else {
        Effect::Revoke { asset, spender }
    };
    Ok(Flow { effects: vec![(effect, Via::Call)], ..Flow::nothing() })
}
