//! Multicall3, and contracts that call themselves for their caller.

use alloy_primitives::{Address, U256, address};

use super::{Inside, Part, Table};
use crate::standard::Arguments;

type Parts = Result<Vec<Part>, &'static str>;

/// The same on most chains.
pub(crate) const MULTICALL3: Address = address!("cA11bde05977b3631167028862bE2a173976CA11");

pub(super) const AGGREGATES: &Table = &[
    ("aggregate((address target,bytes callData)[] calls)", calls),
    ("tryAggregate(bool requireSuccess,(address target,bytes callData)[] calls)", calls),
    ("blockAndAggregate((address target,bytes callData)[] calls)", calls),
    ("tryBlockAndAggregate(bool requireSuccess,(address target,bytes callData)[] calls)", calls),
    ("aggregate3((address target,bool allowFailure,bytes callData)[] calls)", calls),
    (
        "aggregate3Value((address target,bool allowFailure,uint256 value,bytes callData)[] calls)",
        paid_calls,
    ),
];

/// The calls keep the caller, because the contract delegates to itself.
pub(super) const SELF_CALLS: &Table = &[
    ("multicall(bytes[] data)", self_calls),
    ("multicall(uint256 deadline,bytes[] data)", self_calls),
    ("multicall(bytes32 previousBlockhash,bytes[] data)", self_calls),
];

fn calls(inside: Inside<'_>, args: Arguments<'_>) -> Parts {
    args.list("calls")?.map(|call| from_container(inside, call, U256::ZERO)).collect()
}

fn paid_calls(inside: Inside<'_>, args: Arguments<'_>) -> Parts {
    args.list("calls")?.map(|call| from_container(inside, call, call.number("value")?)).collect()
}

fn from_container(
    inside: Inside<'_>,
    call: Arguments<'_>,
    value: U256,
) -> Result<Part, &'static str> {
    let (to, data) = (call.address("target")?, call.bytes("callData")?);
    Ok(Part::Call { caller: inside.container, to, value, data })
}

fn self_calls(inside: Inside<'_>, args: Arguments<'_>) -> Parts {
    let call =
        |data| Part::Call { caller: inside.caller, to: inside.container, value: U256::ZERO, data };
    Ok(args.blobs("data")?.into_iter().map(call).collect())
}
