//! The wrapped currency, and vaults of one token (ERC-4626).

use alloy_primitives::{Address, U256};
use countersign_core::{
    action::{Effect, Via},
    token::Asset,
};

use super::{Desk, Flow, Table};
use crate::standard::Arguments;

type Found = Result<Flow, &'static str>;

pub(super) const WETH: &Table = &[
    ("deposit()", nothing),
    ("withdraw(uint256 wad)", nothing),
    ("depositTo(address to)", deposit_to),
    ("withdrawTo(address to,uint256 wad)", withdraw_to),
];

pub(super) const ERC4626: &Table = &[
    ("deposit(uint256 assets,address receiver)", deposit),
    ("mint(uint256 shares,address receiver)", mint),
    ("withdraw(uint256 assets,address receiver,address owner)", withdraw),
    ("redeem(uint256 shares,address receiver,address owner)", redeem),
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
    let mut flow = Flow::nothing();
    if from != desk.caller || to != desk.caller {
        let asset = Asset::Token(desk.contract);
        flow.effects.push((Effect::Transfer { asset, from, to, amount: shares }, Via::Call));
    }
    Ok(flow)
}
