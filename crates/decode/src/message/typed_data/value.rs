//! Values as clients write them, against the types that they claim.

use alloy_primitives::{B256, I256, Sign, U256};
use countersign_core::{abi::AbiValue, draft, json::Json};

use super::{
    fault::{Fault, Inside},
    schema::{Kind, Schema},
};

/// Reads every field of a struct, and finds nothing else.
pub(super) fn read_struct(schema: &Schema, name: &str, json: &Json) -> Result<AbiValue, Fault> {
    let fields = schema.fields(name);
    let members = json
        .as_object()
        .ok_or_else(|| Fault::at("", format!("is {}, not an object", json.kind())))?;
    if let Some((extra, _)) =
        members.iter().find(|(member, _)| fields.iter().all(|field| field.name != *member))
    {
        return Err(Fault::at(extra, "is not declared in the types"));
    }
    let read = |field: &super::schema::Field| {
        let json = json.get(&field.name).ok_or_else(|| Fault::at(&field.name, "is missing"))?;
        let value = read(schema, &field.kind, json).inside(&field.name)?;
        Ok((field.name.clone(), value))
    };
    fields.iter().map(read).collect::<Result<_, _>>().map(AbiValue::Tuple)
}

fn read(schema: &Schema, kind: &Kind, json: &Json) -> Result<AbiValue, Fault> {
    match kind {
        Kind::Struct(name) => read_struct(schema, name, json),
        Kind::List(item) => read_items(schema, item, json),
        Kind::Array(item, length) => match json.as_list() {
            Some(items) if items.len() != *length => {
                Err(Fault::at("", format!("must have {length} items")))
            }
            Some(_) | None => read_items(schema, item, json),
        },
        Kind::Address
        | Kind::Bool
        | Kind::Text
        | Kind::Bytes
        | Kind::FixedBytes(_)
        | Kind::Uint(_)
        | Kind::Int(_) => read_single(kind, json),
    }
}

fn read_items(schema: &Schema, item: &Kind, json: &Json) -> Result<AbiValue, Fault> {
    let items =
        json.as_list().ok_or_else(|| Fault::at("", format!("is {}, not an array", json.kind())))?;
    let read = |(index, json)| read(schema, item, json).inside(&format!("[{index}]"));
    items.iter().enumerate().map(read).collect::<Result<_, _>>().map(AbiValue::List)
}

/// Reads a value that is no struct and no array.
pub(super) fn read_single(kind: &Kind, json: &Json) -> Result<AbiValue, Fault> {
    let text = || json.as_text().ok_or_else(|| format!("is {}, not a string", json.kind()));
    let value = match kind {
        Kind::Address => text().and_then(draft::address).map(AbiValue::Address),
        Kind::Bool => match json {
            Json::Bool(flag) => Ok(AbiValue::Bool(*flag)),
            Json::Null | Json::Number(_) | Json::Text(_) | Json::List(_) | Json::Object(_) => {
                Err(format!("is {}, not true or false", json.kind()))
            }
        },
        Kind::Text => text().map(|text| AbiValue::Text(text.to_owned())),
        Kind::Bytes => text().and_then(draft::bytes).map(AbiValue::Bytes),
        Kind::FixedBytes(length) => fixed_bytes(text(), *length),
        Kind::Uint(bits) => uint(json, *bits).map(AbiValue::Uint),
        Kind::Int(bits) => int(json, *bits).map(AbiValue::Int),
        Kind::Struct(_) | Kind::List(_) | Kind::Array(..) => Err("is not a single value".into()),
    };
    value.map_err(|reason| Fault::at("", reason))
}

fn fixed_bytes(text: Result<&str, String>, length: usize) -> Result<AbiValue, String> {
    let bytes = draft::bytes(text?)?;
    if bytes.len() == length {
        Ok(AbiValue::Bytes(bytes))
    } else {
        Err(format!("has {} bytes, not {length}", bytes.len()))
    }
}

fn uint(json: &Json, bits: usize) -> Result<U256, String> {
    let (sign, number) = whole(json)?;
    match sign {
        Sign::Negative => Err("is negative".into()),
        Sign::Positive if number.bit_len() > bits => Err(format!("is above 2^{bits} - 1")),
        Sign::Positive => Ok(number),
    }
}

fn int(json: &Json, bits: usize) -> Result<I256, String> {
    let (sign, number) = whole(json)?;
    let outside = || format!("is outside of int{bits}");
    let value = I256::checked_from_sign_and_abs(sign, number).ok_or_else(outside)?;
    // the bits of a negative number, without its sign
    let magnitude = if value.is_negative() { !value.into_raw() } else { value.into_raw() };
    if magnitude.bit_len() < bits { Ok(value) } else { Err(outside()) }
}

/// A whole number: a decimal string, a `0x` hex string (never negative), or a JSON number without fraction and
/// exponent.
fn whole(json: &Json) -> Result<(Sign, U256), String> {
    match json {
        Json::Text(text) => match text.strip_prefix("0x") {
            Some(digits) => hexadecimal(digits).map(|number| (Sign::Positive, number)),
            None => decimal(text),
        },
        Json::Number(text) => decimal(text),
        Json::Null | Json::Bool(_) | Json::List(_) | Json::Object(_) => {
            Err(format!("is {}, not a number", json.kind()))
        }
    }
}

/// Leading zeros are allowed: libraries pad words.
fn hexadecimal(digits: &str) -> Result<U256, String> {
    let fits = (1..=64).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit());
    if !fits {
        return Err("must be 0x and 1 to 64 hex digits".into());
    }
    U256::from_str_radix(digits, 16).map_err(|_| "is not a number".into())
}

fn decimal(text: &str) -> Result<(Sign, U256), String> {
    let (sign, digits) =
        text.strip_prefix('-').map_or((Sign::Positive, text), |rest| (Sign::Negative, rest));
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    let canonical = digits == "0" || !digits.starts_with('0');
    if !plain || !canonical || (sign == Sign::Negative && digits == "0") {
        return Err("must be a whole number, in decimal digits or in 0x and hex digits".into());
    }
    if digits.len() > 78 {
        return Err("is above 2^256 - 1".into());
    }
    let number = U256::from_str_radix(digits, 10).map_err(|_| "is above 2^256 - 1")?;
    Ok((sign, number))
}

/// The one spelling that is stored and shown: numbers as decimal strings, bytes in lower-case hex, addresses
/// with their checksum.
pub(super) fn to_json(value: &AbiValue) -> Json {
    match value {
        AbiValue::Address(address) => Json::Text(address.to_checksum(None)),
        AbiValue::Uint(number) => Json::Text(number.to_string()),
        AbiValue::Int(number) => Json::Text(number.to_string()),
        AbiValue::Bool(flag) => Json::Bool(*flag),
        AbiValue::Bytes(bytes) => Json::Text(bytes.to_string()),
        AbiValue::Text(text) => Json::Text(text.clone()),
        AbiValue::List(items) => Json::List(items.iter().map(to_json).collect()),
        AbiValue::Tuple(members) => Json::Object(
            members.iter().map(|(name, value)| (name.clone(), to_json(value))).collect(),
        ),
    }
}

/// A value of one word, as it is hashed; `None` if it does not take just one.
pub(super) fn word(value: &AbiValue) -> Option<B256> {
    match value {
        AbiValue::Address(address) => Some(address.into_word()),
        AbiValue::Uint(number) => Some(B256::from(number.to_be_bytes::<32>())),
        AbiValue::Int(number) => Some(B256::from(number.to_be_bytes::<32>())),
        AbiValue::Bool(flag) => Some(B256::with_last_byte(u8::from(*flag))),
        AbiValue::Bytes(_) | AbiValue::Text(_) | AbiValue::List(_) | AbiValue::Tuple(_) => None,
    }
}
