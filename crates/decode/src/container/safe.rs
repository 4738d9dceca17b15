//! Safes, and the library that lets them make several calls at once.

use alloy_primitives::{Address, Bytes, U256, address};
use countersign_core::{action::Effect, token::Asset};

use super::{Container, Inside, Part, Table};
use crate::standard::Arguments;

type Parts = Result<Vec<Part>, &'static str>;

pub(super) const TRANSACTIONS: &Table = &[
    (
        "execTransaction(address to,uint256 value,bytes data,uint8 operation,uint256 safeTxGas,uint256 baseGas,uint256 gasPrice,address gasToken,address refundReceiver,bytes signatures)",
        transaction,
    ),
    (
        "execTransactionFromModule(address to,uint256 value,bytes data,uint8 operation)",
        by_operation,
    ),
    (
        "execTransactionFromModuleReturnData(address to,uint256 value,bytes data,uint8 operation)",
        by_operation,
    ),
    ("executeUserOp(address to,uint256 value,bytes data,uint8 operation)", by_operation),
    (
        "executeUserOpWithErrorString(address to,uint256 value,bytes data,uint8 operation)",
        by_operation,
    ),
];

pub(super) const MULTI_SEND: &Table = &[("multiSend(bytes transactions)", multi_send)];

/// Where Safe's own deployments lie, of `MultiSend` and of `MultiSendCallOnly`, versions 1.1.1 to 1.5.0.
const MULTI_SENDS: [Address; 9] = [
    address!("8D29bE29923b68abfDD21e541b9374737B49cdAD"),
    address!("A238CBeb142c10Ef7Ad8442C6D1f9E89e07e7761"),
    address!("998739BFdAAdde7C933B942a68053933098f9EDa"),
    address!("40A2aCCbd92BCA938b02010E17A5b8929b49130D"),
    address!("A1dabEF33b3B82c7814B6D82A79e50F4AC44102B"),
    address!("38869bf66a61cF6bDB996A6aE40D5853Fd43B526"),
    address!("9641d764fc13c8B624c04430C7356C1C7C8102e2"),
    address!("218543288004CD07832472D464648173c77D7eB7"),
    address!("A83c336B20401Af773B6219BA5027174338D1836"),
];

/// The first four bytes of `multiSend(bytes)`.
const MULTI_SEND_SELECTOR: [u8; 4] = [0x8d, 0x80, 0xff, 0x0a];

/// Bytes of a packed call before its data: operation, recipient, value, length.
const PACKED_HEAD: usize = 85;

fn transaction(inside: Inside<'_>, args: Arguments<'_>) -> Parts {
    let mut parts = by_operation(inside, args)?;
    parts.extend(refund(inside, args)?);
    Ok(parts)
}

/// A gas price makes the Safe pay for the gas, without a bound that the arguments name.
fn refund(inside: Inside<'_>, args: Arguments<'_>) -> Result<Option<Part>, &'static str> {
    let (token, receiver) = (args.address("gasToken")?, args.address("refundReceiver")?);
    let effect = Effect::Transfer {
        asset: if token.is_zero() { Asset::Native } else { Asset::Token(token) },
        from: inside.container,
        to: if receiver.is_zero() { inside.caller } else { receiver },
        amount: U256::MAX,
    };
    Ok((!args.number("gasPrice")?.is_zero()).then(|| Part::does(effect)))
}

fn by_operation(inside: Inside<'_>, args: Arguments<'_>) -> Parts {
    let (to, value, data) = (args.address("to")?, args.number("value")?, args.bytes("data")?);
    let call = Call { operation: args.number("operation")?, to, value, data };
    Ok(vec![call.by(inside)?])
}

/// A call in a Safe's words.
struct Call {
    operation: U256,
    to: Address,
    value: U256,
    data: Bytes,
}

impl Call {
    fn by(self, inside: Inside<'_>) -> Result<Part, &'static str> {
        let account = inside.container;
        let Self { operation, to, value, data } = self;
        if operation.is_zero() {
            return Ok(Part::Call { caller: account, to, value, data });
        }
        if operation != U256::ONE {
            return Err("an operation that is neither a call nor a delegation");
        }
        if !is_multi_send(inside, to) {
            return Ok(Part::does(inside.registry.delegation(account, to)));
        }
        packed(inside, &batch(&data)?).map(Part::Plan)
    }
}

fn is_multi_send(inside: Inside<'_>, to: Address) -> bool {
    MULTI_SENDS.contains(&to) || inside.registry.container(to) == Some(Container::MultiSend)
}

/// The packed calls in the data of a call of the library.
fn batch(data: &Bytes) -> Result<Bytes, &'static str> {
    let wrong = "a delegation to the library that is no canonical `multiSend`";
    let layout = super::layout(MULTI_SEND_SELECTOR.into()).ok_or(wrong)?;
    let read = layout.readable.read(data).map_err(|_| wrong)?;
    Arguments(&read.args).bytes("transactions")
}

/// Called by itself the library calls in its own name.
fn multi_send(inside: Inside<'_>, args: Arguments<'_>) -> Parts {
    packed(inside, &args.bytes("transactions")?)
}

/// Calls one behind the other, to the last byte.
fn packed(inside: Inside<'_>, batch: &Bytes) -> Parts {
    let mut parts = Vec::new();
    let mut rest = batch.clone();
    while !rest.is_empty() {
        let (call, after) = first(&rest).ok_or("packed calls that end too early")?;
        if call.to.is_zero() {
            return Err("a packed call to the zero address, which some versions read as the Safe");
        }
        // one that delegates to the library again is a delegation like any other
        let part = match u8::try_from(call.operation) {
            Ok(1) => Part::does(inside.registry.delegation(inside.container, call.to)),
            Ok(_) | Err(_) => call.by(inside)?,
        };
        parts.push(part);
        rest = after;
    }
    Ok(parts)
}

fn first(packed: &Bytes) -> Option<(Call, Bytes)> {
    let operation = U256::from(*packed.first()?);
    let to = Address::try_from(packed.get(1..21)?).ok()?;
    let value = U256::try_from_be_slice(packed.get(21..53)?)?;
    let len = U256::try_from_be_slice(packed.get(53..PACKED_HEAD)?)?;
    let end = PACKED_HEAD.checked_add(usize::try_from(len).ok()?)?;
    if end > packed.len() {
        return None;
    }
    let data = packed.slice(PACKED_HEAD..end);
    Some((Call { operation, to, value, data }, packed.slice(end..)))
}
