//! 1inch's aggregation router, versions 5 and 6.
//!
//! Which token comes out of a row of pools only the pools know: what goes to somebody else then stands as the
//! token that goes in, without a bound.

use alloy_primitives::{Address, U256};
use countersign_core::token::Asset;

use super::{
    Desk, Flow, Table,
    swap::{taken, token},
};
use crate::standard::Arguments;

type Found = Result<Flow, &'static str>;

pub(super) const SWAPS: &Table = &[
    (
        "swap(address executor,(address srcToken,address dstToken,address srcReceiver,address dstReceiver,uint256 amount,uint256 minReturnAmount,uint256 flags) desc,bytes data)",
        swap,
    ),
    (
        "swap(address executor,(address srcToken,address dstToken,address srcReceiver,address dstReceiver,uint256 amount,uint256 minReturnAmount,uint256 flags) desc,bytes permit,bytes data)",
        swap,
    ),
    // version 5
    ("unoswap(address srcToken,uint256 amount,uint256 minReturn,uint256[] pools)", pools),
    (
        "unoswapTo(address recipient,address srcToken,uint256 amount,uint256 minReturn,uint256[] pools)",
        pools_to,
    ),
    ("uniswapV3Swap(uint256 amount,uint256 minReturn,uint256[] pools)", v3_pools),
    (
        "uniswapV3SwapTo(address recipient,uint256 amount,uint256 minReturn,uint256[] pools)",
        v3_pools_to,
    ),
    (
        "clipperSwap(address clipperExchange,address srcToken,address dstToken,uint256 inputAmount,uint256 outputAmount,uint256 goodUntil,bytes32 r,bytes32 vs)",
        clipper,
    ),
    (
        "clipperSwapTo(address clipperExchange,address recipient,address srcToken,address dstToken,uint256 inputAmount,uint256 outputAmount,uint256 goodUntil,bytes32 r,bytes32 vs)",
        clipper_to,
    ),
    // version 6, which writes addresses as numbers
    ("unoswap(uint256 token,uint256 amount,uint256 minReturn,uint256 dex)", packed),
    ("unoswap2(uint256 token,uint256 amount,uint256 minReturn,uint256 dex,uint256 dex2)", packed),
    (
        "unoswap3(uint256 token,uint256 amount,uint256 minReturn,uint256 dex,uint256 dex2,uint256 dex3)",
        packed,
    ),
    ("unoswapTo(uint256 to,uint256 token,uint256 amount,uint256 minReturn,uint256 dex)", packed_to),
    (
        "unoswapTo2(uint256 to,uint256 token,uint256 amount,uint256 minReturn,uint256 dex,uint256 dex2)",
        packed_to,
    ),
    (
        "unoswapTo3(uint256 to,uint256 token,uint256 amount,uint256 minReturn,uint256 dex,uint256 dex2,uint256 dex3)",
        packed_to,
    ),
    ("ethUnoswap(uint256 minReturn,uint256 dex)", value),
    ("ethUnoswap2(uint256 minReturn,uint256 dex,uint256 dex2)", value),
    ("ethUnoswap3(uint256 minReturn,uint256 dex,uint256 dex2,uint256 dex3)", value),
    ("ethUnoswapTo(uint256 to,uint256 minReturn,uint256 dex)", value_to),
    ("ethUnoswapTo2(uint256 to,uint256 minReturn,uint256 dex,uint256 dex2)", value_to),
    ("ethUnoswapTo3(uint256 to,uint256 minReturn,uint256 dex,uint256 dex2,uint256 dex3)", value_to),
    (
        "clipperSwap(address clipperExchange,uint256 srcToken,address dstToken,uint256 inputAmount,uint256 outputAmount,uint256 goodUntil,bytes32 r,bytes32 vs)",
        packed_clipper,
    ),
    (
        "clipperSwapTo(address clipperExchange,address recipient,uint256 srcToken,address dstToken,uint256 inputAmount,uint256 outputAmount,uint256 goodUntil,bytes32 r,bytes32 vs)",
        packed_clipper_to,
    ),
];

pub(super) const ORDERS: &Table = &[
    // version 5
    (
        "fillOrderRFQ((uint256 info,address makerAsset,address takerAsset,address maker,address allowedSender,uint256 makingAmount,uint256 takingAmount) order,bytes signature,uint256 flagsAndAmount)",
        fill_quote,
    ),
    (
        "fillOrderRFQTo((uint256 info,address makerAsset,address takerAsset,address maker,address allowedSender,uint256 makingAmount,uint256 takingAmount) order,bytes signature,uint256 flagsAndAmount,address target)",
        fill_quote_to,
    ),
    (
        "fillOrderRFQCompact((uint256 info,address makerAsset,address takerAsset,address maker,address allowedSender,uint256 makingAmount,uint256 takingAmount) order,bytes32 r,bytes32 vs,uint256 flagsAndAmount)",
        fill_quote,
    ),
    // version 6
    (
        "fillOrder((uint256 salt,uint256 maker,uint256 receiver,uint256 makerAsset,uint256 takerAsset,uint256 makingAmount,uint256 takingAmount,uint256 makerTraits) order,bytes32 r,bytes32 vs,uint256 amount,uint256 takerTraits)",
        fill,
    ),
    (
        "fillContractOrder((uint256 salt,uint256 maker,uint256 receiver,uint256 makerAsset,uint256 takerAsset,uint256 makingAmount,uint256 takingAmount,uint256 makerTraits) order,bytes signature,uint256 amount,uint256 takerTraits)",
        fill,
    ),
    (
        "fillOrderArgs((uint256 salt,uint256 maker,uint256 receiver,uint256 makerAsset,uint256 takerAsset,uint256 makingAmount,uint256 takingAmount,uint256 makerTraits) order,bytes32 r,bytes32 vs,uint256 amount,uint256 takerTraits,bytes args)",
        fill_with,
    ),
    (
        "fillContractOrderArgs((uint256 salt,uint256 maker,uint256 receiver,uint256 makerAsset,uint256 takerAsset,uint256 makingAmount,uint256 takingAmount,uint256 makerTraits) order,bytes signature,uint256 amount,uint256 takerTraits,bytes args)",
        fill_with,
    ),
    ("cancelOrder(uint256 makerTraits,bytes32 orderHash)", nothing),
    ("cancelOrders(uint256[] makerTraits,bytes32[] orderHashes)", nothing),
];

/// Bits of what a taker asks for: the amount is of what the maker gives, and somebody else gets it.
const AMOUNT_IS_MAKERS: usize = 255;
const ARGS_HAVE_TARGET: usize = 251;

/// Bits of the most that a taker gives where the amount is the maker's.
const THRESHOLD_BITS: usize = 185;

/// An address that is written as a number. What lies above it changes how it is used.
fn plain(args: Arguments<'_>, path: &str) -> Result<Address, &'static str> {
    let number = args.number(path)?;
    if number.bit_len() > 160 {
        return Err("an address with flags");
    }
    Ok(Address::from_word(number.into()))
}

#[expect(clippy::unnecessary_wraps, reason = "the form that the tables take")]
fn nothing(_: Desk, _: Arguments<'_>) -> Found {
    Ok(Flow::nothing())
}

/// A receiver of zero is who calls.
fn gives(flow: Flow, desk: Desk, asset: Asset, to: Address) -> Flow {
    let to = if to.is_zero() { desk.caller } else { to };
    flow.and_pays(desk, asset, to, U256::MAX)
}

fn swap(desk: Desk, args: Arguments<'_>) -> Found {
    let order = args.member("desc")?;
    let flow = taken(order.address("srcToken")?, order.number("amount")?);
    Ok(gives(flow, desk, token(order.address("dstToken")?), order.address("dstReceiver")?))
}

fn pools(_: Desk, args: Arguments<'_>) -> Found {
    Ok(taken(args.address("srcToken")?, args.number("amount")?))
}

fn pools_to(desk: Desk, args: Arguments<'_>) -> Found {
    let asset = token(args.address("srcToken")?);
    Ok(gives(pools(desk, args)?, desk, asset, args.address("recipient")?))
}

/// The pools say which token goes in, unless it is the value that comes with the call.
#[expect(clippy::unnecessary_wraps, reason = "the form that the tables take")]
fn v3_pools(desk: Desk, _: Arguments<'_>) -> Found {
    let known = !desk.value.is_zero();
    Ok(Flow { spends: known.then(Vec::new), ..Flow::nothing() })
}

fn v3_pools_to(desk: Desk, args: Arguments<'_>) -> Found {
    Ok(gives(v3_pools(desk, args)?, desk, Asset::Native, args.address("recipient")?))
}

fn clipper(_: Desk, args: Arguments<'_>) -> Found {
    Ok(taken(args.address("srcToken")?, args.number("inputAmount")?))
}

fn clipper_to(desk: Desk, args: Arguments<'_>) -> Found {
    let asset = token(args.address("dstToken")?);
    Ok(gives(clipper(desk, args)?, desk, asset, args.address("recipient")?))
}

fn packed(_: Desk, args: Arguments<'_>) -> Found {
    Ok(taken(plain(args, "token")?, args.number("amount")?))
}

fn packed_to(desk: Desk, args: Arguments<'_>) -> Found {
    let asset = token(plain(args, "token")?);
    Ok(gives(packed(desk, args)?, desk, asset, plain(args, "to")?))
}

#[expect(clippy::unnecessary_wraps, reason = "the form that the tables take")]
fn value(_: Desk, _: Arguments<'_>) -> Found {
    Ok(Flow::nothing())
}

fn value_to(desk: Desk, args: Arguments<'_>) -> Found {
    Ok(gives(Flow::nothing(), desk, Asset::Native, plain(args, "to")?))
}

fn packed_clipper(_: Desk, args: Arguments<'_>) -> Found {
    Ok(taken(plain(args, "srcToken")?, args.number("inputAmount")?))
}

fn packed_clipper_to(desk: Desk, args: Arguments<'_>) -> Found {
    let asset = token(args.address("dstToken")?);
    Ok(gives(packed_clipper(desk, args)?, desk, asset, args.address("recipient")?))
}

/// An order is taken at most once, whole.
fn fill_quote(_: Desk, args: Arguments<'_>) -> Found {
    let order = args.member("order")?;
    Ok(taken(order.address("takerAsset")?, order.number("takingAmount")?))
}

fn fill_quote_to(desk: Desk, args: Arguments<'_>) -> Found {
    let asset = token(args.address("order.makerAsset")?);
    Ok(gives(fill_quote(desk, args)?, desk, asset, args.address("target")?))
}

/// The taker gives what it says, or at most its threshold; none is no bound.
fn fill(_: Desk, args: Arguments<'_>) -> Found {
    let traits = args.number("takerTraits")?;
    let threshold = traits & U256::MAX.wrapping_shr(256_usize.saturating_sub(THRESHOLD_BITS));
    let most = match (traits.bit(AMOUNT_IS_MAKERS), threshold.is_zero()) {
        (false, _) => args.number("amount")?,
        (true, false) => threshold,
        (true, true) => U256::MAX,
    };
    Ok(taken(plain(args, "order.takerAsset")?, most))
}

/// Who gets what the maker gives stands before everything else.
fn fill_with(desk: Desk, args: Arguments<'_>) -> Found {
    let flow = fill(desk, args)?;
    if !args.number("takerTraits")?.bit(ARGS_HAVE_TARGET) {
        return Ok(flow);
    }
    let extra = args.bytes("args")?;
    let (target, _) = extra.split_at_checked(20).ok_or("a target that ends too early")?;
    let asset = token(plain(args, "order.makerAsset")?);
    Ok(gives(flow, desk, asset, Address::from_slice(target)))
}
