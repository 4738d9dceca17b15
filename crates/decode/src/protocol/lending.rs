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
    ("repay(address asset,uint256 amount,uint256 interestRateMode,address onBehalfOf)", repay),
    (
        "supplyWithPermit(address asset,uint256 amount,address onBehalfOf,uint16 referralCode,uint256 deadline,uint8 v,bytes32 r,bytes32 s)",
        supply_with_permit,
    ),
    (
        "repayWithPermit(address asset,uint256 amount,uint256 interestRateMode,address onBehalfOf,uint256 deadline,uint8 v,bytes32 r,bytes32 s)",
        repay_with_permit,
    ),
    ("repayWithATokens(address asset,uint256 amount,uint256 interestRateMode)", nothing),
    ("setUserUseReserveAsCollateral(address asset,bool useAsCollateral)", nothing),
    ("setUserEMode(uint8 categoryId)", nothing),
    ("swapBorrowRateMode(address asset,uint256 interestRateMode)", nothing),
    (
        "flashLoan(address receiverAddress,address[] assets,uint256[] amounts,uint256[] interestRateModes,address onBehalfOf,bytes params,uint16 referralCode)",
        flash_loan,
    ),
    (
        "flashLoanSimple(address receiverAddress,address asset,uint256 amount,bytes params,uint16 referralCode)",
        flash_loan_simple,
    ),
    (
        "liquidationCall(address collateralAsset,address debtAsset,address user,uint256 debtToCover,bool receiveAToken)",
        liquidation,
    ),
];

pub(super) const COMET: &Table = &[
    ("supply(address asset,uint256 amount)", own_supply),
    ("supplyTo(address dst,address asset,uint256 amount)", supply_to),
    ("withdraw(address asset,uint256 amount)", nothing),
    ("withdrawTo(address to,address asset,uint256 amount)", withdraw),
    ("withdrawFrom(address src,address to,address asset,uint256 amount)", withdraw_from),
    ("supplyFrom(address from,address dst,address asset,uint256 amount)", supply_from),
    ("transferAsset(address dst,address asset,uint256 amount)", transfer_asset),
    (
        "transferAssetFrom(address src,address dst,address asset,uint256 amount)",
        transfer_asset_from,
    ),
    ("allow(address manager,bool isAllowed)", allow),
    (
        "allowBySig(address owner,address manager,bool isAllowed,uint256 nonce,uint256 expiry,uint8 v,bytes32 r,bytes32 s)",
        allow_by_signature,
    ),
    (
        "buyCollateral(address asset,uint256 minAmount,uint256 baseAmount,address recipient)",
        buy_collateral,
    ),
];

/// Somebody else gets the claim, or is freed of a debt.
fn supply(desk: Desk, args: Arguments<'_>) -> Found {
    let (asset, amount) = (Asset::Token(args.address("asset")?), args.number("amount")?);
    Ok(Flow::delivers(desk, asset, args.address("onBehalfOf")?, amount))
}

/// As much as is asked for, or all of the debt: how much that is only the chain knows.
fn repay(desk: Desk, args: Arguments<'_>) -> Found {
    let own = args.address("onBehalfOf")? == desk.caller;
    if own && args.number("amount")? == U256::MAX {
        return Ok(Flow { spends: None, ..Flow::nothing() });
    }
    supply(desk, args)
}

/// The caller's signature lets the pool pull so much, in this very call.
fn permitted(desk: Desk, args: Arguments<'_>, mut flow: Flow) -> Found {
    let (asset, amount) = (Asset::Token(args.address("asset")?), args.number("amount")?);
    let effect = Effect::Approve {
        asset,
        owner: desk.caller,
        spender: desk.contract,
        amount,
        unlimited: amount == U256::MAX,
        deadline: None,
    };
    flow.effects.push((effect, Via::Signature));
    Ok(flow)
}

fn supply_with_permit(desk: Desk, args: Arguments<'_>) -> Found {
    permitted(desk, args, supply(desk, args)?)
}

fn repay_with_permit(desk: Desk, args: Arguments<'_>) -> Found {
    permitted(desk, args, repay(desk, args)?)
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

/// Nothing leaves the caller.
#[expect(clippy::unnecessary_wraps, reason = "the form that the tables take")]
fn nothing(_: Desk, _: Arguments<'_>) -> Found {
    Ok(Flow::nothing())
}

/// Nothing leaves the caller; what is borrowed counts when it is spent. On somebody else's account it is as if
/// their money were pulled.
fn borrow(desk: Desk, args: Arguments<'_>) -> Found {
    match args.address("onBehalfOf")? {
        own if own == desk.caller => Ok(Flow::nothing()),
        other => moved(args, other, desk.caller),
    }
}

/// The receiver has the money while its code runs; whether it is paid back is up to that code, or the debt
/// is the caller's.
fn lent(mut flow: Flow, lent: (Address, U256), from: Address, to: Address) -> Flow {
    let (asset, amount) = (Asset::Token(lent.0), lent.1);
    flow.effects.push((Effect::Transfer { asset, from, to, amount }, Via::Call));
    flow
}

fn flash_loan(desk: Desk, args: Arguments<'_>) -> Found {
    let (assets, amounts) = (args.addresses("assets")?, args.numbers("amounts")?);
    if assets.len() != amounts.len() {
        return Err("as many amounts as assets are needed");
    }
    let (debtor, to) = (args.address("onBehalfOf")?, args.address("receiverAddress")?);
    let from = if debtor == desk.caller { desk.contract } else { debtor };
    let flow = Flow { spends: None, ..Flow::nothing() };
    Ok(assets.into_iter().zip(amounts).fold(flow, |flow, one| lent(flow, one, from, to)))
}

fn flash_loan_simple(desk: Desk, args: Arguments<'_>) -> Found {
    let one = (args.address("asset")?, args.number("amount")?);
    let flow = Flow { spends: None, ..Flow::nothing() };
    Ok(lent(flow, one, desk.contract, args.address("receiverAddress")?))
}

/// The caller pays somebody's debt and gets their collateral.
fn liquidation(_: Desk, args: Arguments<'_>) -> Found {
    Ok(Flow::takes(Asset::Token(args.address("debtAsset")?), args.number("debtToCover")?))
}

fn moved(args: Arguments<'_>, from: Address, to: Address) -> Found {
    let (asset, amount) = (Asset::Token(args.address("asset")?), args.number("amount")?);
    let effect = Effect::Transfer { asset, from, to, amount };
    Ok(Flow { effects: vec![(effect, Via::Call)], ..Flow::nothing() })
}

/// A manager moves what another account has in the market; with the caller's own it is a withdrawal.
fn withdraw_from(desk: Desk, args: Arguments<'_>) -> Found {
    match args.address("src")? {
        own if own == desk.caller => withdraw(desk, args),
        other => moved(args, other, args.address("to")?),
    }
}

fn supply_from(desk: Desk, args: Arguments<'_>) -> Found {
    match args.address("from")? {
        own if own == desk.caller => supply_to(desk, args),
        other => moved(args, other, args.address("dst")?),
    }
}

/// What is moved lies in the market, in the name of the first and then of the second.
fn transfer_asset(desk: Desk, args: Arguments<'_>) -> Found {
    moved(args, desk.caller, args.address("dst")?)
}

fn transfer_asset_from(_: Desk, args: Arguments<'_>) -> Found {
    moved(args, args.address("src")?, args.address("dst")?)
}

/// In which token it is paid only the market knows.
fn buy_collateral(desk: Desk, args: Arguments<'_>) -> Found {
    let (asset, to) = (Asset::Token(args.address("asset")?), args.address("recipient")?);
    let flow = Flow { spends: None, ..Flow::nothing() };
    Ok(flow.and_pays(desk, asset, to, U256::MAX))
}

fn allow(desk: Desk, args: Arguments<'_>) -> Found {
    managed(desk, args, (desk.caller, Via::Call))
}

fn allow_by_signature(desk: Desk, args: Arguments<'_>) -> Found {
    managed(desk, args, (args.address("owner")?, Via::Signature))
}

/// A manager may move everything that the account has in the market.
fn managed(desk: Desk, args: Arguments<'_>, (owner, via): (Address, Via)) -> Found {
    let (asset, spender) = (Asset::Collection(desk.contract), args.address("manager")?);
    let effect = if args.flag("isAllowed")? {
        Effect::Approve {
            asset,
            owner,
            spender,
            amount: U256::MAX,
            unlimited: true,
            deadline: None,
        }
    } else {
        Effect::Revoke { asset, spender }
    };
    Ok(Flow { effects: vec![(effect, via)], ..Flow::nothing() })
}
