//! The strict decoder beside the field's own encoder and decoder.

use alloy_dyn_abi::{DynSolType, DynSolValue};
use alloy_primitives::{B256, I256};
use countersign_core::abi::{AbiFunction, AbiValue};

use crate::decode_call;

/// The oracle makes room for a fixed array before it looks whether the bytes are there.
const ORACLE_ITEMS_MAX: usize = 1024;

/// A function in the first line, arguments behind it: they are read exactly if encoding gives the same bytes again.
pub fn canonical(bytes: &[u8]) {
    let mut parts = bytes.splitn(2, |b| *b == b'\n');
    let (Some(line), Some(body)) = (parts.next(), parts.next()) else { return };
    let Some(function) = std::str::from_utf8(line).ok().and_then(|l| AbiFunction::parse(l).ok())
    else {
        return;
    };
    let data = [function.selector().as_slice(), body].concat();
    let read = decode_call(&function, &data).ok();
    let types = function.signature().split_once('(').map(|(_, types)| format!("({types}"));
    let Some(ty) = types.and_then(|types| DynSolType::parse(&types).ok()) else { return };
    if room(&ty).is_some_and(|room| room <= ORACLE_ITEMS_MAX) {
        let read = read.map(|read| theirs(&ty, &read));
        assert_eq!(read, oracle(&ty, body), "{}", function.signature());
    }
}

/// How many values a type has at least; `None` where there is no saying, or where it is not among ours.
#[expect(clippy::wildcard_enum_match_arm, reason = "a feature gives the enum another variant")]
fn room(ty: &DynSolType) -> Option<usize> {
    match ty {
        DynSolType::Function => None,
        DynSolType::Array(item) => room(item),
        DynSolType::FixedArray(item, len) => room(item)?.checked_mul(*len),
        DynSolType::Tuple(types) => {
            types.iter().map(room).try_fold(0_usize, |sum, room| sum.checked_add(room?))
        }
        _ => Some(1),
    }
}

/// Ours as theirs.
pub(crate) fn theirs(ty: &DynSolType, value: &AbiValue) -> DynSolValue {
    match (ty, value) {
        (DynSolType::Address, AbiValue::Address(a)) => DynSolValue::Address(*a),
        (DynSolType::Bool, AbiValue::Bool(b)) => DynSolValue::Bool(*b),
        (DynSolType::Uint(bits), AbiValue::Uint(n)) => DynSolValue::Uint(*n, *bits),
        (DynSolType::Int(bits), AbiValue::Int(n)) => DynSolValue::Int(*n, *bits),
        (DynSolType::FixedBytes(len), AbiValue::Bytes(b)) => {
            DynSolValue::FixedBytes(B256::right_padding_from(b), *len)
        }
        (DynSolType::Bytes, AbiValue::Bytes(b)) => DynSolValue::Bytes(b.to_vec()),
        (DynSolType::String, AbiValue::Text(t)) => DynSolValue::String(t.clone()),
        (DynSolType::Array(item), AbiValue::List(v)) => {
            DynSolValue::Array(v.iter().map(|v| theirs(item, v)).collect())
        }
        (DynSolType::FixedArray(item, _), AbiValue::List(v)) => {
            DynSolValue::FixedArray(v.iter().map(|v| theirs(item, v)).collect())
        }
        (DynSolType::Tuple(types), AbiValue::Tuple(members)) => DynSolValue::Tuple(
            types.iter().zip(members).map(|(ty, (_, value))| theirs(ty, value)).collect(),
        ),
        (ty, value) => panic!("{value:?} is no {ty:?}"),
    }
}

/// What the field's decoder makes of it, if encoding gives the same bytes again. Theirs keeps bits
/// that the type does not have, and writes them again, so the oracle asks for that too.
pub(crate) fn oracle(ty: &DynSolType, body: &[u8]) -> Option<DynSolValue> {
    let canonical = |value: &DynSolValue| value.abi_encode_params() == body && fits(value);
    ty.abi_decode_params(body).ok().filter(canonical)
}

#[expect(clippy::wildcard_enum_match_arm, reason = "a feature gives the enum another variant")]
fn fits(value: &DynSolValue) -> bool {
    match value {
        DynSolValue::Uint(number, bits) => number.bit_len() <= *bits,
        DynSolValue::Int(number, bits) => {
            [I256::ZERO, I256::MINUS_ONE].contains(&number.asr(bits - 1))
        }
        DynSolValue::FixedBytes(word, len) => word[*len..].iter().all(|byte| *byte == 0),
        DynSolValue::Array(items) | DynSolValue::FixedArray(items) | DynSolValue::Tuple(items) => {
            items.iter().all(fits)
        }
        _ => true,
    }
}
