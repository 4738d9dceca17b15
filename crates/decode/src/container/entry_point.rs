//! ERC-4337's entry point, versions 0.6 to 0.8: operations of smart accounts.

use alloy_primitives::{Address, B256, U256};
use countersign_core::{action::Effect, token::Asset};

use super::{Inside, Part, Table};
use crate::standard::Arguments;

type Parts = Result<Vec<Part>, &'static str>;

pub(super) const TABLE: &Table = &[
    (
        "handleOps((address sender,uint256 nonce,bytes initCode,bytes callData,uint256 callGasLimit,uint256 verificationGasLimit,uint256 preVerificationGas,uint256 maxFeePerGas,uint256 maxPriorityFeePerGas,bytes paymasterAndData,bytes signature)[] ops,address beneficiary)",
        unpacked,
    ),
    (
        "handleOps((address sender,uint256 nonce,bytes initCode,bytes callData,bytes32 accountGasLimits,uint256 preVerificationGas,bytes32 gasFees,bytes paymasterAndData,bytes signature)[] ops,address beneficiary)",
        packed,
    ),
    (
        "handleAggregatedOps(((address sender,uint256 nonce,bytes initCode,bytes callData,uint256 callGasLimit,uint256 verificationGasLimit,uint256 preVerificationGas,uint256 maxFeePerGas,uint256 maxPriorityFeePerGas,bytes paymasterAndData,bytes signature)[] userOps,address aggregator,bytes signature)[] opsPerAggregator,address beneficiary)",
        aggregated_unpacked,
    ),
    (
        "handleAggregatedOps(((address sender,uint256 nonce,bytes initCode,bytes callData,bytes32 accountGasLimits,uint256 preVerificationGas,bytes32 gasFees,bytes paymasterAndData,bytes signature)[] userOps,address aggregator,bytes signature)[] opsPerAggregator,address beneficiary)",
        aggregated_packed,
    ),
];

/// What an operation may cost: gas, and the price of it.
type Cost = fn(Arguments<'_>) -> Result<Option<U256>, &'static str>;

fn unpacked(inside: Inside<'_>, args: Arguments<'_>) -> Parts {
    operations(inside, args.list("ops")?, args.address("beneficiary")?, unpacked_cost)
}

fn packed(inside: Inside<'_>, args: Arguments<'_>) -> Parts {
    operations(inside, args.list("ops")?, args.address("beneficiary")?, packed_cost)
}

fn aggregated_unpacked(inside: Inside<'_>, args: Arguments<'_>) -> Parts {
    aggregated(inside, args, unpacked_cost)
}

fn aggregated_packed(inside: Inside<'_>, args: Arguments<'_>) -> Parts {
    aggregated(inside, args, packed_cost)
}

fn aggregated(inside: Inside<'_>, args: Arguments<'_>, cost: Cost) -> Parts {
    let beneficiary = args.address("beneficiary")?;
    let plan = |one: Arguments<'_>| operations(inside, one.list("userOps")?, beneficiary, cost);
    args.list("opsPerAggregator")?.map(|one| plan(one).map(Part::Plan)).collect()
}

fn operations<'a>(
    inside: Inside<'_>,
    ops: impl Iterator<Item = Arguments<'a>>,
    beneficiary: Address,
    cost: Cost,
) -> Parts {
    let mut parts = Vec::new();
    for op in ops {
        parts.extend(deployment(inside, op)?);
        let (to, data) = (op.address("sender")?, op.bytes("callData")?);
        parts.push(Part::Call { caller: inside.container, to, value: U256::ZERO, data });
        parts.extend(fee(op, beneficiary, cost)?);
    }
    Ok(parts)
}

/// The account is made by a factory first.
fn deployment(inside: Inside<'_>, op: Arguments<'_>) -> Result<Option<Part>, &'static str> {
    let code = op.bytes("initCode")?;
    if code.is_empty() {
        return Ok(None);
    }
    let (factory, _) = code.split_at_checked(20).ok_or("init code without a factory")?;
    let to = Address::from_slice(factory);
    let (caller, value) = (inside.container, U256::ZERO);
    Ok(Some(Part::Call { caller, to, value, data: code.slice(20..) }))
}

/// Whoever pays for the gas, the account or its paymaster, pays the beneficiary.
fn fee(op: Arguments<'_>, to: Address, cost: Cost) -> Result<Option<Part>, &'static str> {
    let paymaster = op.bytes("paymasterAndData")?;
    let account = op.address("sender")?;
    let from = match paymaster.split_at_checked(20) {
        Some((address, _)) => Address::from_slice(address),
        None if paymaster.is_empty() => account,
        None => return Err("a paymaster that is no address"),
    };
    let amount = cost(op)?.unwrap_or(U256::MAX);
    let effect = Effect::Transfer { asset: Asset::Native, from, to, amount };
    Ok((!amount.is_zero()).then_some(Part::Fee { effect, account }))
}

/// A paymaster's gas is counted with the account's verification, up to three times (version 0.6).
fn unpacked_cost(op: Arguments<'_>) -> Result<Option<U256>, &'static str> {
    let verification = op.number("verificationGasLimit")?.checked_mul(U256::from(3));
    let gas = [op.number("callGasLimit")?, op.number("preVerificationGas")?];
    let gas = gas.iter().try_fold(U256::ZERO, |sum, gas| sum.checked_add(*gas));
    let gas = gas.zip(verification).and_then(|(a, b)| a.checked_add(b));
    let price = op.number("maxFeePerGas")?;
    Ok(gas.and_then(|gas| gas.checked_mul(price)))
}

/// Two limits in each word, and the paymaster's own behind its address.
fn packed_cost(op: Arguments<'_>) -> Result<Option<U256>, &'static str> {
    let (verification, call) = halves(op.word("accountGasLimits")?);
    let (_, price) = halves(op.word("gasFees")?);
    let paymaster = op.bytes("paymasterAndData")?;
    let of_paymaster = match paymaster.get(20..52) {
        Some(limits) => [limits.get(..16), limits.get(16..)]
            .into_iter()
            .flatten()
            .fold(U256::ZERO, |sum, half| sum.saturating_add(U256::from_be_slice(half))),
        None => U256::ZERO,
    };
    let gas = [verification, call, op.number("preVerificationGas")?, of_paymaster];
    let gas = gas.iter().try_fold(U256::ZERO, |sum, gas| sum.checked_add(*gas));
    Ok(gas.and_then(|gas| gas.checked_mul(price)))
}

fn halves(word: B256) -> (U256, U256) {
    let (high, low) = word.split_at(16);
    (U256::from_be_slice(high), U256::from_be_slice(low))
}
