//! Smart accounts: `execute` in its forms, ERC-7579's and ERC-7821's modes, and proxies that delegate.

use std::sync::LazyLock;

use alloy_primitives::{Address, B256, Bytes, U256};

use super::{Inside, Part, Table, command};
use crate::{readable::Readable, standard::Arguments};

type Parts = Result<Vec<Part>, &'static str>;

pub(super) const TABLE: &Table = &[
    ("execute(address target,uint256 value,bytes data)", one),
    ("execute_ncC(address target,uint256 value,bytes data)", one),
    ("execute(address target,uint256 value,bytes data,uint8 operation)", one_by_operation),
    ("execute((address target,uint256 value,bytes data) call)", wrapped),
    ("execute((address target,uint256 value,bytes data)[] calls)", list),
    ("executeBatch((address target,uint256 value,bytes data)[] calls)", list),
    ("executeBatch(address[] targets,bytes[] datas)", lists),
    ("executeBatch(address[] targets,uint256[] values,bytes[] datas)", paid_lists),
    ("executeBatch_y6U(address[] targets,uint256[] values,bytes[] datas)", paid_lists),
    ("execute(bytes32 mode,bytes executionCalldata)", by_mode),
    ("executeFromExecutor(bytes32 mode,bytes executionCalldata)", by_mode),
];

pub(super) const PROXY: &Table = &[
    ("execute(address target,bytes data)", delegated),
    ("execute(bytes code,bytes data)", unseen_code),
];

const UNEVEN: &str = "lists of different lengths";

/// Some accounts read the zero address as themselves, others do not.
fn call(inside: Inside<'_>, to: Address, value: U256, data: Bytes) -> Result<Part, &'static str> {
    if to.is_zero() {
        return Err("a call to the zero address, which some accounts read as themselves");
    }
    Ok(Part::Call { caller: inside.container, to, value, data })
}

fn of(inside: Inside<'_>, args: Arguments<'_>) -> Result<Part, &'static str> {
    call(inside, args.address("target")?, args.number("value")?, args.bytes("data")?)
}

fn one(inside: Inside<'_>, args: Arguments<'_>) -> Parts {
    Ok(vec![of(inside, args)?])
}

fn wrapped(inside: Inside<'_>, args: Arguments<'_>) -> Parts {
    one(inside, args.member("call")?)
}

fn one_by_operation(inside: Inside<'_>, args: Arguments<'_>) -> Parts {
    match u8::try_from(args.number("operation")?) {
        Ok(0) => one(inside, args),
        Ok(1) => delegated(inside, args),
        Ok(_) | Err(_) => Err("an operation that is neither a call nor a delegation"),
    }
}

fn list(inside: Inside<'_>, args: Arguments<'_>) -> Parts {
    args.list("calls")?.map(|call| of(inside, call)).collect()
}

fn lists(inside: Inside<'_>, args: Arguments<'_>) -> Parts {
    let (targets, datas) = (args.addresses("targets")?, args.blobs("datas")?);
    if targets.len() != datas.len() {
        return Err(UNEVEN);
    }
    let pairs = targets.into_iter().zip(datas);
    pairs.map(|(to, data)| call(inside, to, U256::ZERO, data)).collect()
}

/// No values at all are no wei for each.
fn paid_lists(inside: Inside<'_>, args: Arguments<'_>) -> Parts {
    let values = args.numbers("values")?;
    if values.is_empty() {
        return lists(inside, args);
    }
    let (targets, datas) = (args.addresses("targets")?, args.blobs("datas")?);
    if targets.len() != datas.len() || targets.len() != values.len() {
        return Err(UNEVEN);
    }
    let calls = targets.into_iter().zip(values).zip(datas);
    calls.map(|((to, value), data)| call(inside, to, value, data)).collect()
}

fn delegated(inside: Inside<'_>, args: Arguments<'_>) -> Parts {
    let effect = inside.registry.delegation(inside.container, args.address("target")?);
    Ok(vec![Part::does(effect)])
}

fn unseen_code(_: Inside<'_>, _: Arguments<'_>) -> Parts {
    Err("code that comes with the call would act as the proxy")
}

/// ERC-7579: how a mode says what the calldata holds.
const SINGLE: u8 = 0x00;
const BATCH: u8 = 0x01;
const STATIC: u8 = 0xfe;
const DELEGATE: u8 = 0xff;

/// ERC-7821: the modes' selectors for calls with data for the account, and for lists of such.
const WITH_DATA: [u8; 4] = [0x78, 0x21, 0x00, 0x01];
const NESTED: [u8; 4] = [0x78, 0x21, 0x00, 0x02];

fn by_mode(inside: Inside<'_>, args: Arguments<'_>) -> Parts {
    let mode = args.word("mode")?;
    let execution = args.bytes("executionCalldata")?;
    let kind = Mode::of(mode).ok_or("an execution mode that nobody knows")?;
    match kind {
        Mode::Single => Ok(vec![single(inside, &execution)?]),
        Mode::Static => Ok(vec![fixed(inside, &execution)?]),
        Mode::Delegate => {
            let (delegate, _) = target(&execution)?;
            Ok(vec![Part::does(inside.registry.delegation(inside.container, delegate))])
        }
        Mode::Batch => calls(inside, &execution, CALLS.as_ref()),
        Mode::BatchWithData => with_or_without_data(inside, &execution),
        Mode::Nested => nested(inside, &execution),
    }
}

/// What a mode's calldata holds.
enum Mode {
    Single,
    Batch,
    BatchWithData,
    Nested,
    Static,
    Delegate,
}

impl Mode {
    /// Call type, what happens on failure, four unused bytes, a selector; the rest is for the account.
    fn of(mode: B256) -> Option<Self> {
        let bytes = mode.as_slice();
        let (kind, on_failure) = (*bytes.first()?, *bytes.get(1)?);
        let selector: [u8; 4] = bytes.get(6..10)?.try_into().ok()?;
        let known = on_failure <= 1 && bytes.get(2..6)? == [0; 4];
        match (known, kind, selector) {
            (true, SINGLE, [0, 0, 0, 0]) => Some(Self::Single),
            (true, BATCH, [0, 0, 0, 0]) => Some(Self::Batch),
            (true, BATCH, WITH_DATA) => Some(Self::BatchWithData),
            (true, BATCH, NESTED) => Some(Self::Nested),
            (true, STATIC, [0, 0, 0, 0]) => Some(Self::Static),
            (true, DELEGATE, [0, 0, 0, 0]) => Some(Self::Delegate),
            _ => None,
        }
    }
}

fn target(execution: &Bytes) -> Result<(Address, Bytes), &'static str> {
    let short = "an execution that ends too early";
    let (address, _) = execution.split_at_checked(20).ok_or(short)?;
    Ok((Address::from_slice(address), execution.slice(20..)))
}

fn single(inside: Inside<'_>, execution: &Bytes) -> Result<Part, &'static str> {
    let (to, rest) = target(execution)?;
    let (value, _) = rest.split_at_checked(32).ok_or("an execution that ends too early")?;
    call(inside, to, U256::from_be_slice(value), rest.slice(32..))
}

/// It cannot change anything; that it happens is told all the same.
fn fixed(inside: Inside<'_>, execution: &Bytes) -> Result<Part, &'static str> {
    let (to, data) = target(execution)?;
    let (caller, value) = (inside.container, U256::ZERO);
    Ok(Part::Call { caller, to, value, data })
}

static CALLS: LazyLock<Option<Readable>> =
    LazyLock::new(|| command::readable("_((address target,uint256 value,bytes data)[] calls)"));

static CALLS_WITH_DATA: LazyLock<Option<Readable>> = LazyLock::new(|| {
    command::readable("_((address target,uint256 value,bytes data)[] calls,bytes opData)")
});

static EXECUTIONS: LazyLock<Option<Readable>> =
    LazyLock::new(|| command::readable("_(bytes[] executions)"));

/// Calls that lie in the calldata like arguments.
fn calls(inside: Inside<'_>, execution: &Bytes, layout: Option<&Readable>) -> Parts {
    let read = command::read(layout, execution)?;
    list(inside, Arguments(&read.args))
}

fn with_or_without_data(inside: Inside<'_>, execution: &Bytes) -> Parts {
    calls(inside, execution, CALLS.as_ref())
        .or_else(|_| calls(inside, execution, CALLS_WITH_DATA.as_ref()))
}

/// Several executions, each of them calls with or without data.
fn nested(inside: Inside<'_>, execution: &Bytes) -> Parts {
    let read = command::read(EXECUTIONS.as_ref(), execution)?;
    let plan = |execution| with_or_without_data(inside, &execution).map(Part::Plan);
    Arguments(&read.args).blobs("executions")?.into_iter().map(plan).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_in_an_execution_is_readable() {
        assert!(CALLS.is_some() && CALLS_WITH_DATA.is_some() && EXECUTIONS.is_some());
    }
}
