//! Bridges: what leaves this chain, and for whom on the other one.
//!
//! Money for the caller itself is taken; money for anybody else is a `Transfer` to them, as if they were
//! here. A recipient that is no address of an EVM chain is not understood.

use alloy_primitives::{Address, U256};
use countersign_core::token::Asset;

use super::{Desk, Flow, Table};
use crate::standard::Arguments;

type Found = Result<Flow, &'static str>;

pub(super) const CCTP: &Table = &[
    (
        "depositForBurn(uint256 amount,uint32 destinationDomain,bytes32 mintRecipient,address burnToken)",
        burn,
    ),
    (
        "depositForBurnWithCaller(uint256 amount,uint32 destinationDomain,bytes32 mintRecipient,address burnToken,bytes32 destinationCaller)",
        burn,
    ),
    (
        "depositForBurn(uint256 amount,uint32 destinationDomain,bytes32 mintRecipient,address burnToken,bytes32 destinationCaller,uint256 maxFee,uint32 minFinalityThreshold)",
        burn,
    ),
    (
        "depositForBurnWithHook(uint256 amount,uint32 destinationDomain,bytes32 mintRecipient,address burnToken,bytes32 destinationCaller,uint256 maxFee,uint32 minFinalityThreshold,bytes hookData)",
        burn,
    ),
];

pub(super) const OTHERS: &Table = &[
    (
        "depositV3(address depositor,address recipient,address inputToken,address outputToken,uint256 inputAmount,uint256 outputAmount,uint256 destinationChainId,address exclusiveRelayer,uint32 quoteTimestamp,uint32 fillDeadline,uint32 exclusivityDeadline,bytes message)",
        across,
    ),
    (
        "deposit(bytes32 depositor,bytes32 recipient,bytes32 inputToken,bytes32 outputToken,uint256 inputAmount,uint256 outputAmount,uint256 destinationChainId,bytes32 exclusiveRelayer,uint32 quoteTimestamp,uint32 fillDeadline,uint32 exclusivityParameter,bytes message)",
        across_words,
    ),
    (
        "send((uint32 dstEid,bytes32 to,uint256 amountLD,uint256 minAmountLD,bytes extraOptions,bytes composeMsg,bytes oftCmd) sendParam,(uint256 nativeFee,uint256 lzTokenFee) fee,address refundAddress)",
        send,
    ),
    (
        "transferTokens(address token,uint256 amount,uint16 recipientChain,bytes32 recipient,uint256 arbiterFee,uint32 nonce)",
        transfer_tokens,
    ),
    (
        "outboundTransfer(address token,address to,uint256 amount,uint256 maxGas,uint256 gasPriceBid,bytes data)",
        outbound,
    ),
    ("outboundTransfer(address token,address to,uint256 amount,bytes data)", outbound),
    (
        "outboundTransferCustomRefund(address token,address refundTo,address to,uint256 amount,uint256 maxGas,uint256 gasPriceBid,bytes data)",
        outbound_with_refund,
    ),
    ("depositEth()", own_value),
    ("withdrawEth(address destination)", withdraw_native),
];

/// OP's standard bridge, on both sides.
pub(super) const STANDARD: &Table = &[
    ("depositETH(uint32 minGasLimit,bytes extraData)", own_value),
    ("bridgeETH(uint32 minGasLimit,bytes extraData)", own_value),
    ("depositETHTo(address to,uint32 minGasLimit,bytes extraData)", value_to),
    ("bridgeETHTo(address to,uint32 minGasLimit,bytes extraData)", value_to),
    (
        "depositERC20(address localToken,address remoteToken,uint256 amount,uint32 minGasLimit,bytes extraData)",
        own_token,
    ),
    (
        "bridgeERC20(address localToken,address remoteToken,uint256 amount,uint32 minGasLimit,bytes extraData)",
        own_token,
    ),
    (
        "depositERC20To(address localToken,address remoteToken,address to,uint256 amount,uint32 minGasLimit,bytes extraData)",
        token_to,
    ),
    (
        "bridgeERC20To(address localToken,address remoteToken,address to,uint256 amount,uint32 minGasLimit,bytes extraData)",
        token_to,
    ),
    ("withdraw(address localToken,uint256 amount,uint32 minGasLimit,bytes extraData)", own_token),
    (
        "withdrawTo(address localToken,address to,uint256 amount,uint32 minGasLimit,bytes extraData)",
        token_to,
    ),
    (
        "depositTransaction(address to,uint256 value,uint64 gasLimit,bool isCreation,bytes data)",
        deposit_transaction,
    ),
];

/// An address in a word.
fn account(args: Arguments<'_>, path: &str) -> Result<Address, &'static str> {
    let word = args.word(path)?;
    let address = Address::from_word(word);
    if address.into_word() == word && !address.is_zero() {
        Ok(address)
    } else {
        Err("a recipient that is no address of an EVM chain")
    }
}

fn burn(desk: Desk, args: Arguments<'_>) -> Found {
    let asset = Asset::Token(args.address("burnToken")?);
    Ok(Flow::delivers(desk, asset, account(args, "mintRecipient")?, args.number("amount")?))
}

fn across(desk: Desk, args: Arguments<'_>) -> Found {
    let (depositor, to) = (args.address("depositor")?, args.address("recipient")?);
    let sent = (Asset::Token(args.address("inputToken")?), args.number("inputAmount")?);
    Ok(relayed(desk, sent, depositor, to))
}

fn across_words(desk: Desk, args: Arguments<'_>) -> Found {
    let (depositor, to) = (account(args, "depositor")?, account(args, "recipient")?);
    let sent = (Asset::Token(account(args, "inputToken")?), args.number("inputAmount")?);
    Ok(relayed(desk, sent, depositor, to))
}

/// Value that comes with the call is what is sent; what nobody relays goes back to the depositor.
fn relayed(desk: Desk, (asset, amount): (Asset, U256), depositor: Address, to: Address) -> Flow {
    let flow = if desk.value.is_zero() {
        Flow::delivers(desk, asset.clone(), to, amount)
    } else {
        Flow::delivers_value(desk, to)
    };
    flow.and_pays(desk, asset, depositor, amount)
}

/// The token is the contract itself; the value pays for the message, and comes back where it is too much.
fn send(desk: Desk, args: Arguments<'_>) -> Found {
    let (param, refund) = (args.member("sendParam")?, args.address("refundAddress")?);
    let (asset, amount) = (Asset::Token(desk.contract), param.number("amountLD")?);
    let flow = Flow::delivers(desk, asset, account(param, "to")?, amount);
    Ok(flow.and_pays(desk, Asset::Native, refund, desk.value))
}

fn transfer_tokens(desk: Desk, args: Arguments<'_>) -> Found {
    let asset = Asset::Token(args.address("token")?);
    Ok(Flow::delivers(desk, asset, account(args, "recipient")?, args.number("amount")?))
}

fn outbound(desk: Desk, args: Arguments<'_>) -> Found {
    let asset = Asset::Token(args.address("token")?);
    Ok(Flow::delivers(desk, asset, args.address("to")?, args.number("amount")?))
}

/// What of the value the other side does not need.
fn outbound_with_refund(desk: Desk, args: Arguments<'_>) -> Found {
    let to = args.address("refundTo")?;
    Ok(outbound(desk, args)?.and_pays(desk, Asset::Native, to, desk.value))
}

#[expect(clippy::unnecessary_wraps, reason = "the form that the tables take")]
fn own_value(_: Desk, _: Arguments<'_>) -> Found {
    Ok(Flow::nothing())
}

fn withdraw_native(desk: Desk, args: Arguments<'_>) -> Found {
    Ok(Flow::delivers_value(desk, args.address("destination")?))
}

fn value_to(desk: Desk, args: Arguments<'_>) -> Found {
    Ok(Flow::delivers_value(desk, args.address("to")?))
}

fn own_token(_: Desk, args: Arguments<'_>) -> Found {
    let asset = Asset::Token(args.address("localToken")?);
    Ok(Flow::takes(asset, args.number("amount")?))
}

fn token_to(desk: Desk, args: Arguments<'_>) -> Found {
    let asset = Asset::Token(args.address("localToken")?);
    Ok(Flow::delivers(desk, asset, args.address("to")?, args.number("amount")?))
}

/// On the other chain the call carries what was minted there before, too.
fn deposit_transaction(desk: Desk, args: Arguments<'_>) -> Found {
    if args.flag("isCreation")? || !args.bytes("data")?.is_empty() {
        return Err("a call on another chain");
    }
    if args.number("value")? > desk.value {
        return Err("more value than comes with the call");
    }
    Ok(Flow::delivers_value(desk, args.address("to")?))
}
