//! Exchanges: Uniswap V2 and V3, 0x.

use alloy_primitives::{Address, U256, address};
use countersign_core::{
    action::{Effect, Via},
    token::Asset,
};

use super::{Desk, Flow, Table};
use crate::{
    container::{list_ends, path_ends},
    standard::Arguments,
};

type Found = Result<Flow, &'static str>;

pub(super) const V2: &Table = &[
    (
        "swapExactTokensForTokens(uint256 amountIn,uint256 amountOutMin,address[] path,address to,uint256 deadline)",
        v2_in,
    ),
    (
        "swapExactTokensForTokensSupportingFeeOnTransferTokens(uint256 amountIn,uint256 amountOutMin,address[] path,address to,uint256 deadline)",
        v2_in,
    ),
    (
        "swapExactTokensForETH(uint256 amountIn,uint256 amountOutMin,address[] path,address to,uint256 deadline)",
        v2_in_for_native,
    ),
    (
        "swapExactTokensForETHSupportingFeeOnTransferTokens(uint256 amountIn,uint256 amountOutMin,address[] path,address to,uint256 deadline)",
        v2_in_for_native,
    ),
    (
        "swapTokensForExactTokens(uint256 amountOut,uint256 amountInMax,address[] path,address to,uint256 deadline)",
        v2_out,
    ),
    (
        "swapTokensForExactETH(uint256 amountOut,uint256 amountInMax,address[] path,address to,uint256 deadline)",
        v2_out_for_native,
    ),
    (
        "swapExactETHForTokens(uint256 amountOutMin,address[] path,address to,uint256 deadline)",
        v2_native_in,
    ),
    (
        "swapExactETHForTokensSupportingFeeOnTransferTokens(uint256 amountOutMin,address[] path,address to,uint256 deadline)",
        v2_native_in,
    ),
    (
        "swapETHForExactTokens(uint256 amountOut,address[] path,address to,uint256 deadline)",
        v2_native_in,
    ),
    (
        "addLiquidity(address tokenA,address tokenB,uint256 amountADesired,uint256 amountBDesired,uint256 amountAMin,uint256 amountBMin,address to,uint256 deadline)",
        add_liquidity,
    ),
    (
        "addLiquidityETH(address token,uint256 amountTokenDesired,uint256 amountTokenMin,uint256 amountETHMin,address to,uint256 deadline)",
        add_liquidity_native,
    ),
    (
        "removeLiquidity(address tokenA,address tokenB,uint256 liquidity,uint256 amountAMin,uint256 amountBMin,address to,uint256 deadline)",
        remove_liquidity,
    ),
    (
        "removeLiquidityETH(address token,uint256 liquidity,uint256 amountTokenMin,uint256 amountETHMin,address to,uint256 deadline)",
        remove_liquidity_native,
    ),
    (
        "removeLiquidityETHSupportingFeeOnTransferTokens(address token,uint256 liquidity,uint256 amountTokenMin,uint256 amountETHMin,address to,uint256 deadline)",
        remove_liquidity_native,
    ),
    (
        "removeLiquidityWithPermit(address tokenA,address tokenB,uint256 liquidity,uint256 amountAMin,uint256 amountBMin,address to,uint256 deadline,bool approveMax,uint8 v,bytes32 r,bytes32 s)",
        remove_liquidity,
    ),
    (
        "removeLiquidityETHWithPermit(address token,uint256 liquidity,uint256 amountTokenMin,uint256 amountETHMin,address to,uint256 deadline,bool approveMax,uint8 v,bytes32 r,bytes32 s)",
        remove_liquidity_native,
    ),
    (
        "removeLiquidityETHWithPermitSupportingFeeOnTransferTokens(address token,uint256 liquidity,uint256 amountTokenMin,uint256 amountETHMin,address to,uint256 deadline,bool approveMax,uint8 v,bytes32 r,bytes32 s)",
        remove_liquidity_native,
    ),
];

pub(super) const V3: &Table = &[
    (
        "exactInputSingle((address tokenIn,address tokenOut,uint24 fee,address recipient,uint256 deadline,uint256 amountIn,uint256 amountOutMinimum,uint160 sqrtPriceLimitX96) params)",
        exact_input_single,
    ),
    (
        "exactInputSingle((address tokenIn,address tokenOut,uint24 fee,address recipient,uint256 amountIn,uint256 amountOutMinimum,uint160 sqrtPriceLimitX96) params)",
        exact_input_single,
    ),
    (
        "exactOutputSingle((address tokenIn,address tokenOut,uint24 fee,address recipient,uint256 deadline,uint256 amountOut,uint256 amountInMaximum,uint160 sqrtPriceLimitX96) params)",
        exact_output_single,
    ),
    (
        "exactOutputSingle((address tokenIn,address tokenOut,uint24 fee,address recipient,uint256 amountOut,uint256 amountInMaximum,uint160 sqrtPriceLimitX96) params)",
        exact_output_single,
    ),
    (
        "exactInput((bytes path,address recipient,uint256 deadline,uint256 amountIn,uint256 amountOutMinimum) params)",
        exact_input,
    ),
    (
        "exactInput((bytes path,address recipient,uint256 amountIn,uint256 amountOutMinimum) params)",
        exact_input,
    ),
    (
        "exactOutput((bytes path,address recipient,uint256 deadline,uint256 amountOut,uint256 amountInMaximum) params)",
        exact_output,
    ),
    (
        "exactOutput((bytes path,address recipient,uint256 amountOut,uint256 amountInMaximum) params)",
        exact_output,
    ),
    (
        "swapExactTokensForTokens(uint256 amountIn,uint256 amountOutMin,address[] path,address to)",
        v2_in,
    ),
    (
        "swapTokensForExactTokens(uint256 amountOut,uint256 amountInMax,address[] path,address to)",
        v2_out,
    ),
    ("unwrapWETH9(uint256 amountMinimum)", nothing),
    ("sweepToken(address token,uint256 amountMinimum)", nothing),
    ("wrapETH(uint256 value)", nothing),
    ("pull(address token,uint256 value)", pull),
];

/// What the routers and the manager of positions have in common: paying out what lies with them, and permits.
pub(super) const PERIPHERY: &Table = &[
    ("unwrapWETH9(uint256 amountMinimum,address recipient)", unwrap),
    (
        "unwrapWETH9WithFee(uint256 amountMinimum,address recipient,uint256 feeBips,address feeRecipient)",
        unwrap_with_fee,
    ),
    ("sweepToken(address token,uint256 amountMinimum,address recipient)", sweep),
    (
        "sweepTokenWithFee(address token,uint256 amountMinimum,address recipient,uint256 feeBips,address feeRecipient)",
        sweep_with_fee,
    ),
    ("refundETH()", nothing),
    (
        "selfPermit(address token,uint256 value,uint256 deadline,uint8 v,bytes32 r,bytes32 s)",
        self_permit,
    ),
    (
        "selfPermitIfNecessary(address token,uint256 value,uint256 deadline,uint8 v,bytes32 r,bytes32 s)",
        self_permit,
    ),
    (
        "selfPermitAllowed(address token,uint256 nonce,uint256 expiry,uint8 v,bytes32 r,bytes32 s)",
        self_permit_all,
    ),
    (
        "selfPermitAllowedIfNecessary(address token,uint256 nonce,uint256 expiry,uint8 v,bytes32 r,bytes32 s)",
        self_permit_all,
    ),
];

/// The manager of positions. That somebody adds to a position is not among it: whose it is only the chain knows.
pub(super) const POSITIONS: &Table = &[
    (
        "mint((address token0,address token1,uint24 fee,int24 tickLower,int24 tickUpper,uint256 amount0Desired,uint256 amount1Desired,uint256 amount0Min,uint256 amount1Min,address recipient,uint256 deadline) params)",
        mint_position,
    ),
    (
        "decreaseLiquidity((uint256 tokenId,uint128 liquidity,uint256 amount0Min,uint256 amount1Min,uint256 deadline) params)",
        nothing,
    ),
    (
        "collect((uint256 tokenId,address recipient,uint128 amount0Max,uint128 amount1Max) params)",
        collect,
    ),
    ("burn(uint256 tokenId)", nothing),
    (
        "createAndInitializePoolIfNecessary(address token0,address token1,uint24 fee,uint160 sqrtPriceX96)",
        nothing,
    ),
    (
        "permit(address spender,uint256 tokenId,uint256 deadline,uint8 v,bytes32 r,bytes32 s)",
        permit_position,
    ),
];

pub(super) const ZERO_EX: &Table = &[
    (
        "transformERC20(address inputToken,address outputToken,uint256 inputTokenAmount,uint256 minOutputTokenAmount,(uint32 deploymentNonce,bytes data)[] transformations)",
        transform,
    ),
    ("sellToUniswap(address[] tokens,uint256 sellAmount,uint256 minBuyAmount,bool isSushi)", sell),
    (
        "sellEthForTokenToUniswapV3(bytes encodedPath,uint256 minBuyAmount,address recipient)",
        sell_native_by_path,
    ),
    (
        "sellTokenForEthToUniswapV3(bytes encodedPath,uint256 sellAmount,uint256 minBuyAmount,address recipient)",
        sell_by_path_for_native,
    ),
    (
        "sellTokenForTokenToUniswapV3(bytes encodedPath,uint256 sellAmount,uint256 minBuyAmount,address recipient)",
        sell_by_path,
    ),
    ("exec(address operator,address token,uint256 amount,address target,bytes data)", exec),
];

/// What aggregators write for the chain's own currency.
const NATIVE: Address = address!("EeeeeEeeeEeEeeEeEeEeeEEEeeeeEeeeeeeeEEeE");

/// Uniswap V3's words for whoever calls, and for the router.
const MSG_SENDER: Address = Address::with_last_byte(1);
const ADDRESS_THIS: Address = Address::with_last_byte(2);

pub(super) fn token(address: Address) -> Asset {
    if address == NATIVE || address.is_zero() { Asset::Native } else { Asset::Token(address) }
}

#[expect(clippy::unnecessary_wraps, reason = "the form that the tables take")]
fn nothing(_: Desk, _: Arguments<'_>) -> Found {
    Ok(Flow::nothing())
}

/// Pays out what a swap gives, unless it comes back to the caller or stays for the next step.
fn gives(flow: Flow, desk: Desk, asset: Asset, to: Address, amount: U256) -> Flow {
    if to == MSG_SENDER || to == ADDRESS_THIS || to == desk.contract {
        return flow;
    }
    flow.and_pays(desk, asset, to, amount)
}

fn v2_in(desk: Desk, args: Arguments<'_>) -> Found {
    let (from, to) = list_ends(&args.addresses("path")?)?;
    let flow = Flow::takes(Asset::Token(from), args.number("amountIn")?);
    Ok(gives(flow, desk, Asset::Token(to), args.address("to")?, U256::MAX))
}

fn v2_in_for_native(desk: Desk, args: Arguments<'_>) -> Found {
    let (from, _) = list_ends(&args.addresses("path")?)?;
    let flow = Flow::takes(Asset::Token(from), args.number("amountIn")?);
    Ok(gives(flow, desk, Asset::Native, args.address("to")?, U256::MAX))
}

fn v2_out(desk: Desk, args: Arguments<'_>) -> Found {
    let (from, to) = list_ends(&args.addresses("path")?)?;
    let flow = Flow::takes(Asset::Token(from), args.number("amountInMax")?);
    Ok(gives(flow, desk, Asset::Token(to), args.address("to")?, args.number("amountOut")?))
}

fn v2_out_for_native(desk: Desk, args: Arguments<'_>) -> Found {
    let (from, _) = list_ends(&args.addresses("path")?)?;
    let flow = Flow::takes(Asset::Token(from), args.number("amountInMax")?);
    Ok(gives(flow, desk, Asset::Native, args.address("to")?, args.number("amountOut")?))
}

fn v2_native_in(desk: Desk, args: Arguments<'_>) -> Found {
    let (_, to) = list_ends(&args.addresses("path")?)?;
    let amount = args.number("amountOut").unwrap_or(U256::MAX);
    Ok(gives(Flow::nothing(), desk, Asset::Token(to), args.address("to")?, amount))
}

/// The pool's own token goes to `to`; which that is only the chain knows.
fn add_liquidity(desk: Desk, args: Arguments<'_>) -> Found {
    let (a, b) = (args.address("tokenA")?, args.address("tokenB")?);
    let flow = Flow::takes(Asset::Token(a), args.number("amountADesired")?)
        .and_takes(Asset::Token(b), args.number("amountBDesired")?);
    Ok(flow.and_pays(desk, Asset::Token(a), args.address("to")?, U256::MAX))
}

fn add_liquidity_native(desk: Desk, args: Arguments<'_>) -> Found {
    let asset = Asset::Token(args.address("token")?);
    let flow = Flow::takes(asset.clone(), args.number("amountTokenDesired")?);
    Ok(flow.and_pays(desk, asset, args.address("to")?, U256::MAX))
}

/// What comes back is what the pool's token stood for.
fn remove_liquidity(desk: Desk, args: Arguments<'_>) -> Found {
    let (a, b, to) = (args.address("tokenA")?, args.address("tokenB")?, args.address("to")?);
    let flow = Flow::nothing().and_pays(desk, Asset::Token(a), to, U256::MAX);
    Ok(flow.and_pays(desk, Asset::Token(b), to, U256::MAX))
}

fn remove_liquidity_native(desk: Desk, args: Arguments<'_>) -> Found {
    let (token, to) = (Asset::Token(args.address("token")?), args.address("to")?);
    let flow = Flow::nothing().and_pays(desk, token, to, U256::MAX);
    Ok(flow.and_pays(desk, Asset::Native, to, U256::MAX))
}

/// The router wraps what it was sent before it takes from the caller. The older one, whose swaps carry a
/// deadline, keeps for itself what is for the zero address.
fn gives_v3(
    flow: Flow,
    desk: Desk,
    params: Arguments<'_>,
    (asset, amount): (Asset, U256),
) -> Found {
    let flow = Flow { wraps_value: true, ..flow };
    let to = params.address("recipient")?;
    if to.is_zero() && params.number("deadline").is_ok() {
        return Ok(flow);
    }
    Ok(gives(flow, desk, asset, to, amount))
}

fn exact_input_single(desk: Desk, args: Arguments<'_>) -> Found {
    let params = args.member("params")?;
    let flow = Flow::takes(Asset::Token(params.address("tokenIn")?), params.number("amountIn")?);
    gives_v3(flow, desk, params, (Asset::Token(params.address("tokenOut")?), U256::MAX))
}

fn exact_output_single(desk: Desk, args: Arguments<'_>) -> Found {
    let params = args.member("params")?;
    let taken = params.number("amountInMaximum")?;
    let flow = Flow::takes(Asset::Token(params.address("tokenIn")?), taken);
    let given = (Asset::Token(params.address("tokenOut")?), params.number("amountOut")?);
    gives_v3(flow, desk, params, given)
}

fn exact_input(desk: Desk, args: Arguments<'_>) -> Found {
    let params = args.member("params")?;
    let (from, to) = path_ends(&params.bytes("path")?)?;
    let flow = Flow::takes(Asset::Token(from), params.number("amountIn")?);
    gives_v3(flow, desk, params, (Asset::Token(to), U256::MAX))
}

/// The path of an exact output begins with what comes out.
fn exact_output(desk: Desk, args: Arguments<'_>) -> Found {
    let params = args.member("params")?;
    let (to, from) = path_ends(&params.bytes("path")?)?;
    let flow = Flow::takes(Asset::Token(from), params.number("amountInMaximum")?);
    gives_v3(flow, desk, params, (Asset::Token(to), params.number("amountOut")?))
}

fn unwrap(desk: Desk, args: Arguments<'_>) -> Found {
    let to = args.address("recipient")?;
    Ok(gives(Flow::nothing(), desk, Asset::Native, to, U256::MAX))
}

fn unwrap_with_fee(desk: Desk, args: Arguments<'_>) -> Found {
    let to = args.address("feeRecipient")?;
    Ok(unwrap(desk, args)?.and_pays(desk, Asset::Native, to, U256::MAX))
}

fn sweep(desk: Desk, args: Arguments<'_>) -> Found {
    let (token, to) = (args.address("token")?, args.address("recipient")?);
    Ok(gives(Flow::nothing(), desk, Asset::Token(token), to, U256::MAX))
}

fn sweep_with_fee(desk: Desk, args: Arguments<'_>) -> Found {
    let (token, to) = (Asset::Token(args.address("token")?), args.address("feeRecipient")?);
    Ok(sweep(desk, args)?.and_pays(desk, token, to, U256::MAX))
}

/// The position that is made is worth what goes into it.
fn mint_position(desk: Desk, args: Arguments<'_>) -> Found {
    let params = args.member("params")?;
    let (first, second) = (params.address("token0")?, params.address("token1")?);
    let flow = Flow::takes(Asset::Token(first), params.number("amount0Desired")?)
        .and_takes(Asset::Token(second), params.number("amount1Desired")?);
    let flow = flow.and_pays(desk, Asset::Token(first), params.address("recipient")?, U256::MAX);
    Ok(Flow { wraps_value: true, ..flow })
}

/// In which tokens only the chain knows; for the zero address it stays for the next step.
fn collect(desk: Desk, args: Arguments<'_>) -> Found {
    let params = args.member("params")?;
    let (id, to) = (params.number("tokenId")?, params.address("recipient")?);
    if to.is_zero() || to == desk.contract {
        return Ok(Flow::nothing());
    }
    let asset = Asset::Item { collection: desk.contract, id };
    Ok(Flow::nothing().and_pays(desk, asset, to, U256::MAX))
}

/// Whose signature it is only the chain knows; whoever it is, somebody may move the position afterwards.
fn permit_position(desk: Desk, args: Arguments<'_>) -> Found {
    let effect = Effect::Approve {
        asset: Asset::Item { collection: desk.contract, id: args.number("tokenId")? },
        owner: desk.caller,
        spender: args.address("spender")?,
        amount: U256::ONE,
        unlimited: false,
        deadline: None,
    };
    Ok(Flow { effects: vec![(effect, Via::Signature)], ..Flow::nothing() })
}

fn pull(_: Desk, args: Arguments<'_>) -> Found {
    Ok(Flow::takes(Asset::Token(args.address("token")?), args.number("value")?))
}

fn self_permit(desk: Desk, args: Arguments<'_>) -> Found {
    permitted(desk, args.address("token")?, args.number("value")?)
}

fn self_permit_all(desk: Desk, args: Arguments<'_>) -> Found {
    permitted(desk, args.address("token")?, U256::MAX)
}

/// The caller's signature lets the router pull; nobody else can use the call for another's.
#[expect(clippy::unnecessary_wraps, reason = "the form that the tables take")]
fn permitted(desk: Desk, token: Address, amount: U256) -> Found {
    let effect = Effect::Approve {
        asset: Asset::Token(token),
        owner: desk.caller,
        spender: desk.contract,
        amount,
        unlimited: amount == U256::MAX,
        deadline: None,
    };
    Ok(Flow { effects: vec![(effect, Via::Signature)], ..Flow::nothing() })
}

/// The chain's own currency comes with the call.
pub(super) fn taken(from: Address, amount: U256) -> Flow {
    let asset = token(from);
    if asset == Asset::Native { Flow::nothing() } else { Flow::takes(asset, amount) }
}

fn transform(_: Desk, args: Arguments<'_>) -> Found {
    Ok(taken(args.address("inputToken")?, args.number("inputTokenAmount")?))
}

fn sell(_: Desk, args: Arguments<'_>) -> Found {
    let (from, _) = list_ends(&args.addresses("tokens")?)?;
    Ok(taken(from, args.number("sellAmount")?))
}

/// A recipient of zero is who calls.
fn bought(flow: Flow, desk: Desk, args: Arguments<'_>, asset: Asset) -> Found {
    let to = args.address("recipient")?;
    let to = if to.is_zero() { desk.caller } else { to };
    Ok(flow.and_pays(desk, asset, to, U256::MAX))
}

fn sell_native_by_path(desk: Desk, args: Arguments<'_>) -> Found {
    let (_, to) = path_ends(&args.bytes("encodedPath")?)?;
    bought(Flow::nothing(), desk, args, Asset::Token(to))
}

fn sell_by_path_for_native(desk: Desk, args: Arguments<'_>) -> Found {
    let (from, _) = path_ends(&args.bytes("encodedPath")?)?;
    let flow = Flow::takes(Asset::Token(from), args.number("sellAmount")?);
    bought(flow, desk, args, Asset::Native)
}

fn sell_by_path(desk: Desk, args: Arguments<'_>) -> Found {
    let (from, to) = path_ends(&args.bytes("encodedPath")?)?;
    let flow = Flow::takes(Asset::Token(from), args.number("sellAmount")?);
    bought(flow, desk, args, Asset::Token(to))
}

/// The operator may take so much during the call, and does what `data` says: who gets what comes out
/// cannot be told from here, so that nothing is known of what is spent.
fn exec(desk: Desk, args: Arguments<'_>) -> Found {
    let (asset, amount) = (token(args.address("token")?), args.number("amount")?);
    if asset == Asset::Native {
        return Ok(Flow { spends: None, ..Flow::nothing() });
    }
    let effect = Effect::Approve {
        asset,
        owner: desk.caller,
        spender: args.address("operator")?,
        amount,
        unlimited: amount == U256::MAX,
        deadline: None,
    };
    Ok(Flow { spends: None, effects: vec![(effect, Via::Call)], ..Flow::nothing() })
}
