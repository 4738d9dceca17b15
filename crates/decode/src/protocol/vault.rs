//! The wrapped currency, and vaults of one token (ERC-4626).

use alloy_primitives::{Address, U256};
use countersign_core::token::Asset;

use super::{Desk, Flow, Table};
use crate::standard::Arguments;

type Found = Result<Flow, &'static str>;

pub(super) const WETH: &Table = &[
    ("deposit()", nothing),
    ("withdraw(uint256 wad)", nothing),
    ("depositTo(address to)", deposit_to),
    ("withdrawTo(address to,uint256 wad)", withdraw_to),
    ("withdrawFrom(address from,address to,uint256 wad)", withdraw_from),
];

/// What accounts leave with ERC-4337's entry point for their gas.
pub(super) const DEPOSITS: &Table = &[
    ("depositTo(address account)", deposit_for),
    ("withdrawTo(address withdrawAddress,uint256 withdrawAmount)", withdraw_deposit),
    ("addStake(uint32 unstakeDelaySec)", nothing),
    ("unlockStake()", nothing),
    ("withdrawStake(address withdrawAddress)", withdraw_stake),
    ("incrementNonce(uint192 key)", nothing),
];

/// ERC-4626, with bounds for slippage or losses (ERC-5143), and in two steps (ERC-7540).
pub(super) const ERC4626: &Table = &[
    ("deposit(uint256 assets,address receiver)", deposit),
    ("mint(uint256 shares,address receiver)", mint),
    ("withdraw(uint256 assets,address receiver,address owner)", withdraw),
    ("redeem(uint256 shares,address receiver,address owner)", redeem),
    ("deposit(uint256 assets,address receiver,uint256 minShares)", deposit),
    ("mint(uint256 shares,address receiver,uint256 maxAssets)", mint),
    ("withdraw(uint256 assets,address receiver,address owner,uint256 limit)", withdraw),
    ("redeem(uint256 shares,address receiver,address owner,uint256 limit)", redeem),
    ("deposit(uint256 assets,address receiver,address controller)", claim),
    ("mint(uint256 shares,address receiver,address controller)", claim_shares),
    ("requestDeposit(uint256 assets,address controller,address owner)", request_deposit),
    ("requestRedeem(uint256 shares,address controller,address owner)", request_redeem),
];

#[expect(clippy::unnecessary_wraps, reason = "the form that the tables take")]
fn nothing(_: Desk, _: Arguments<'_>) -> Found {
    Ok(Flow::nothing())
}

fn deposit_to(desk: Desk, args: Arguments<'_>) -> Found {
    Ok(Flow::delivers_value(desk, args.address("to")?))
}

fn withdraw_to(desk: Desk, args: Arguments<'_>) -> Found {
    let (to, amount) = (args.address("to")?, args.number("wad")?);
    Ok(Flow::nothing().and_pays(desk, Asset::Native, to, amount))
}

fn deposit_for(desk: Desk, args: Arguments<'_>) -> Found {
    Ok(Flow::delivers_value(desk, args.address("account")?))
}

fn withdraw_deposit(desk: Desk, args: Arguments<'_>) -> Found {
    let (to, amount) = (args.address("withdrawAddress")?, args.number("withdrawAmount")?);
    Ok(Flow::nothing().and_pays(desk, Asset::Native, to, amount))
}

fn withdraw_stake(desk: Desk, args: Arguments<'_>) -> Found {
    let to = args.address("withdrawAddress")?;
    Ok(Flow::nothing().and_pays(desk, Asset::Native, to, U256::MAX))
}

fn withdraw_from(desk: Desk, args: Arguments<'_>) -> Found {
    let from = args.address("from")?;
    if from == desk.caller {
        return withdraw_to(desk, args);
    }
    Ok(Flow::nothing().and_moves(desk, (from, args.address("to")?), args.number("wad")?))
}

/// Which token the vault takes only the chain knows, so that what is spent is unknown here; who gets
/// the shares is not.
fn deposit(desk: Desk, args: Arguments<'_>) -> Found {
    let flow = Flow { spends: None, ..Flow::nothing() };
    let shares = Asset::Token(desk.contract);
    Ok(flow.and_pays(desk, shares, args.address("receiver")?, U256::MAX))
}

fn mint(desk: Desk, args: Arguments<'_>) -> Found {
    let flow = Flow { spends: None, ..Flow::nothing() };
    let shares = Asset::Token(desk.contract);
    Ok(flow.and_pays(desk, shares, args.address("receiver")?, args.number("shares")?))
}

fn withdraw(desk: Desk, args: Arguments<'_>) -> Found {
    returned(desk, args, U256::MAX)
}

fn redeem(desk: Desk, args: Arguments<'_>) -> Found {
    returned(desk, args, args.number("shares")?)
}

/// The caller's own money comes back; anything else is as if the shares were transferred.
fn returned(desk: Desk, args: Arguments<'_>, shares: U256) -> Found {
    let (from, to): (Address, Address) = (args.address("owner")?, args.address("receiver")?);
    Ok(Flow::nothing().and_moves(desk, (from, to), shares))
}

/// What was asked for before is collected, by who controls the request.
fn claim(desk: Desk, args: Arguments<'_>) -> Found {
    let between = (args.address("controller")?, args.address("receiver")?);
    Ok(Flow::nothing().and_moves(desk, between, U256::MAX))
}

fn claim_shares(desk: Desk, args: Arguments<'_>) -> Found {
    let between = (args.address("controller")?, args.address("receiver")?);
    Ok(Flow::nothing().and_moves(desk, between, args.number("shares")?))
}

/// The owner's money is taken, and whoever controls the request gets what comes of it.
fn request_deposit(desk: Desk, args: Arguments<'_>) -> Found {
    let between = (args.address("owner")?, args.address("controller")?);
    let flow = Flow { spends: None, ..Flow::nothing() };
    Ok(flow.and_moves(desk, between, U256::MAX))
}

fn request_redeem(desk: Desk, args: Arguments<'_>) -> Found {
    let between = (args.address("owner")?, args.address("controller")?);
    Ok(Flow::nothing().and_moves(desk, between, args.number("shares")?))
}
