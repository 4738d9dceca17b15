//! What holds whatever bytes come, one function per parser. libFuzzer calls them (`fuzz/` of the repository), and so do
//! the tests, over what it found worth keeping. Only tests and fuzzers see this module.

#![expect(
    clippy::missing_panics_doc,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a panic is a finding"
)]

use std::{
    fmt::{Debug, Display},
    str::FromStr,
};

use alloy_consensus::{Transaction as _, TxEnvelope, transaction::SignerRecoverable as _};
use alloy_eips::eip2718::Decodable2718 as _;
use alloy_json_abi::Function;
use alloy_primitives::{Bytes, Signature, U256, keccak256};
use serde_json::{Number, Value, json};

use crate::{
    abi::AbiFunction,
    amount::{MicroUsd, Price},
    approval::passkey::{Assertion, PasskeyKey, RelyingParty},
    context::Context,
    decimal::Decimal,
    draft::{FieldError, GAS_MAX},
    evidence::verify,
    identity::ChainId,
    json::{Json, JsonError, Limits},
    raw::RawTransaction,
    time::{Millis, Timestamp},
    transaction::{FeeBid, TransactionDraft, TransactionPlan, TransactionType},
};

#[cfg(test)]
#[path = "../../../fuzz/replay.rs"]
mod replay;

/// A name and what holds of any bytes.
pub type Target = (&'static str, fn(&[u8]));

/// Every target of this crate.
pub const TARGETS: [Target; 8] = [
    ("json", json),
    ("transaction", transaction),
    ("raw", raw),
    ("context", context),
    ("scalars", scalars),
    ("signature", signature),
    ("passkey", passkey),
    ("evidence", evidence),
];

/// A document that proves itself does so without its white space too, and not with anything behind it.
pub fn evidence(bytes: &[u8]) {
    let look = |bytes: &[u8]| verify(bytes, &[], &mut |_| Ok(()));
    let Ok(summary) = look(bytes) else { return };
    let mut spaced = b"\t ".to_vec();
    spaced.extend_from_slice(bytes);
    spaced.push(b'\n');
    assert_eq!(look(&spaced).unwrap(), summary);
    spaced.push(b'}');
    assert!(look(&spaced).is_err());
    let end = bytes.iter().rposition(|byte| *byte == b'}').unwrap_or_default();
    assert!(look(bytes.split_at(end).0).is_err());
}

/// JSON beside `serde_json`: what is accepted means the same there, and what is called malformed is refused there too.
pub fn json(bytes: &[u8]) {
    let theirs = serde_json::from_slice::<Value>(bytes);
    match Json::parse(bytes, Limits::REQUEST) {
        Ok(ours) => {
            let unbounded = Limits { bytes: usize::MAX, ..Limits::REQUEST };
            assert!(Json::parse(ours.to_string().as_bytes(), unbounded) == Ok(ours.clone()));
            assert!(size(&ours) <= Limits::REQUEST.members);
            assert!(depth(&ours) <= Limits::REQUEST.depth);
            match theirs {
                Ok(theirs) => assert!(is_same(&ours, &theirs)),
                Err(error) => assert!(has_vast_number(&ours), "{error}"),
            }
        }
        // limits, and what they forgive
        Err(
            JsonError::TooLong(_)
            | JsonError::TooDeep
            | JsonError::TooMany
            | JsonError::LongNumber
            | JsonError::Duplicate,
        ) => {}
        Err(error @ (JsonError::Utf8 | JsonError::Surrogate | JsonError::Unexpected { .. })) => {
            assert!(theirs.is_err(), "they read it: {error}");
        }
    }
}

fn is_same(ours: &Json, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Json::Null, Value::Null) => true,
        (Json::Bool(a), Value::Bool(b)) => a == b,
        (Json::Number(a), Value::Number(b)) => number(a).as_ref() == Some(b),
        (Json::Text(a), Value::String(b)) => a == b,
        (Json::List(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_same(a, b))
        }
        (Json::Object(a), Value::Object(b)) => {
            let there = |(key, a): &(String, Json)| b.get(key).is_some_and(|b| is_same(a, b));
            a.len() == b.len() && a.iter().all(there)
        }
        _ => false,
    }
}

/// As they read it; `None` where a float has no room for it.
fn number(text: &str) -> Option<Number> {
    serde_json::from_str(text).ok()
}

fn has_vast_number(json: &Json) -> bool {
    match json {
        Json::Number(text) => number(text).is_none(),
        Json::List(items) => items.iter().any(has_vast_number),
        Json::Object(members) => members.iter().any(|(_, value)| has_vast_number(value)),
        Json::Null | Json::Bool(_) | Json::Text(_) => false,
    }
}

fn inside(json: &Json) -> Vec<&Json> {
    match json {
        Json::List(items) => items.iter().collect(),
        Json::Object(members) => members.iter().map(|(_, value)| value).collect(),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::Text(_) => Vec::new(),
    }
}

fn size(json: &Json) -> usize {
    inside(json).into_iter().map(size).fold(1, usize::saturating_add)
}

fn depth(json: &Json) -> u8 {
    match json {
        Json::List(_) | Json::Object(_) => {
            inside(json).into_iter().map(depth).max().unwrap_or(0).saturating_add(1)
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::Text(_) => 0,
    }
}

/// A transaction that is accepted, written in its one canonical form, is the same transaction; and the bytes that would
/// be signed say what it says, by another implementation's reading.
pub fn transaction(bytes: &[u8]) {
    let Ok(json) = Json::parse(bytes, Limits::REQUEST) else { return };
    match TransactionDraft::parse(&json) {
        Err(error) => is_presentable(&error),
        Ok(draft) => {
            assert!(draft.gas.is_none_or(|gas| (1..=GAS_MAX).contains(&gas)));
            assert!(draft.nonce != Some(u64::MAX));
            let again = Json::parse(written(&draft).to_string().as_bytes(), Limits::REQUEST);
            assert_eq!(TransactionDraft::parse(&again.unwrap()), Ok(draft.clone()));
            is_signed_as_it_is(draft);
        }
    }
}

/// A message about a request repeats nothing of it that a terminal or a log would act on.
fn is_presentable(error: &FieldError) {
    let harmless = |b: u8| b.is_ascii_alphanumeric() || b"_.-[]() ".contains(&b);
    assert!(error.field.len() <= 80 && error.field.bytes().all(harmless), "{:?}", error.field);
    assert!(!error.reason.contains(char::is_control), "{:?}", error.reason);
}

fn written(draft: &TransactionDraft) -> Value {
    let quantity = |number: Option<u128>| number.map(|number| format!("{number:#x}"));
    let kind = draft.kind.map(|kind| match kind {
        TransactionType::Legacy => "0x0",
        TransactionType::AccessList => "0x1",
        TransactionType::DynamicFee => "0x2",
        TransactionType::SetCode => "0x4",
    });
    let mut shown = json!({
        "from": draft.from, "to": draft.to, "value": draft.value, "data": draft.data, "type": kind,
        "gas": quantity(draft.gas.map(u128::from)), "nonce": quantity(draft.nonce.map(u128::from)),
        "gasPrice": quantity(draft.gas_price), "maxFeePerGas": quantity(draft.max_fee_per_gas),
        "maxPriorityFeePerGas": quantity(draft.max_priority_fee_per_gas),
        "chainId": quantity(draft.chain.map(|chain| chain.0.into())), "accessList": draft.access_list,
    });
    if let Some(members) = shown.as_object_mut().filter(|_| !draft.authorizations.is_empty()) {
        members.insert("authorizationList".into(), json!(draft.authorizations));
    }
    shown
}

fn is_signed_as_it_is(draft: TransactionDraft) {
    let plan = planned(draft);
    let nonce = 7;
    let signature = Signature::new(U256::from(1), U256::from(2), true);
    let (raw, hash) = plan.clone().with_nonce(nonce).encode_signed(signature);
    let mut rest = raw.as_ref();
    let read = TxEnvelope::decode_2718(&mut rest).unwrap();
    assert!(rest.is_empty() && *read.tx_hash() == hash && *read.signature() == signature);
    assert_eq!((read.chain_id(), read.nonce()), (Some(plan.chain.0), nonce));
    assert_eq!((read.to(), read.value(), read.input()), (plan.to, plan.value, &plan.data));
    assert_eq!((read.gas_limit(), read.max_fee_per_gas()), (plan.gas, plan.fee.ceiling()));
    let listed = read.access_list().map_or(0, |list| list.0.len());
    assert_eq!(listed, plan.access_list.len());
}

/// A signed transaction that is read gives back its bytes, and another implementation reads the same signer from them.
pub fn raw(bytes: &[u8]) {
    let bytes = Bytes::copy_from_slice(bytes);
    match RawTransaction::parse(&bytes) {
        Err(error) => is_presentable(&error),
        Ok(read) => {
            assert_eq!(read.encoded(), bytes);
            assert_eq!(read.hash(), keccak256(&bytes));
            let theirs = TxEnvelope::decode_2718(&mut bytes.as_ref()).unwrap();
            assert_eq!(theirs.recover_signer().unwrap(), read.sender());
            assert_eq!(theirs.chain_id(), Some(read.transaction().plan.chain.0));
        }
    }
}

/// What the gateway would fill in, roughly.
fn planned(draft: TransactionDraft) -> TransactionPlan {
    let priced = draft.gas_price.is_some();
    let delegates = !draft.authorizations.is_empty();
    let kind = match draft.kind {
        Some(kind) => kind,
        None if delegates => TransactionType::SetCode,
        None if priced && draft.access_list.is_empty() => TransactionType::Legacy,
        None if priced => TransactionType::AccessList,
        None => TransactionType::DynamicFee,
    };
    let ceiling = draft.max_fee_per_gas.or(draft.gas_price).unwrap_or(1);
    let fee = match kind {
        TransactionType::DynamicFee | TransactionType::SetCode => {
            FeeBid::Dynamic { max_fee: ceiling, tip: 0 }
        }
        TransactionType::Legacy | TransactionType::AccessList => FeeBid::Price(ceiling),
    };
    // EIP-155 has no room for larger ones, and none is served
    let chain = draft.chain.filter(|chain| chain.0 < 1 << 62).unwrap_or(ChainId(1));
    let (to, value, data) = (draft.to, draft.value, draft.data);
    let (gas, access_list) = (draft.gas.unwrap_or(GAS_MAX), draft.access_list);
    let authorizations = draft.authorizations;
    TransactionPlan { chain, kind, to, value, data, gas, fee, access_list, authorizations }
}

/// What an agent says of its own: stored and read again, it is the same.
pub fn context(bytes: &[u8]) {
    let Ok(json) = Json::parse(bytes, Limits::REQUEST) else { return };
    match Context::parse(&json) {
        Err(error) => is_presentable(&error),
        Ok(context) => {
            let stored = serde_json::to_string(&context).unwrap();
            assert_eq!(serde_json::from_str::<Context>(&stored).unwrap(), context);
            assert!(stored.len() <= 64 * 8 * 1024, "64 values of 1 KiB, escaped");
        }
    }
}

/// Numbers, instants and durations as people write them: what is shown reads as the same.
pub fn scalars(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    shows_as_itself::<Decimal>(text);
    shows_as_itself::<MicroUsd>(text);
    shows_as_itself::<Price>(text);
    shows_as_itself::<Timestamp>(text);
    shows_as_itself::<Millis>(text);
    if let Some((one, other)) = text.split_once(' ')
        && let (Ok(one), Ok(other)) = (one.parse::<Decimal>(), other.parse::<Decimal>())
    {
        assert_eq!(one.cmp(&other), other.cmp(&one).reverse());
        assert_eq!(one == other, one.cmp(&other).is_eq());
    }
}

fn shows_as_itself<T: FromStr + Display + PartialEq + Debug>(text: &str) {
    if let Ok(read) = text.parse::<T>() {
        let shown = read.to_string();
        let Ok(again) = shown.parse::<T>() else { panic!("{text:?} is shown as {shown:?}") };
        assert_eq!(again, read, "{text:?} is shown as {shown:?}");
    }
}

/// Functions as people write them: the canonical form is the same function, there and by another implementation.
pub fn signature(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(function) = AbiFunction::parse(text) else { return };
    let canonical = function.signature();
    assert!(keccak256(canonical).starts_with(function.selector().as_slice()));
    let again = AbiFunction::parse(canonical).unwrap();
    assert_eq!((again.signature(), again.selector()), (canonical, function.selector()));
    let theirs = Function::parse(canonical).unwrap();
    // a function may be called `int`, and there it is written out as if it were a type
    let is_called_as_a_type = ["int(", "uint("].iter().any(|name| canonical.starts_with(name));
    if !is_called_as_a_type {
        assert_eq!(theirs.selector(), function.selector(), "{canonical}");
    }
}

/// What a browser and an authenticator say, cut at lines: nobody has signed it, so nothing of it is believed; a key is
/// read in one form.
pub fn passkey(bytes: &[u8]) {
    if let Some(key) = PasskeyKey::parse(bytes) {
        assert_eq!(key.spki(), bytes);
    }
    let mut lines = bytes.splitn(3, |byte| *byte == b'\n').map(<[u8]>::to_vec);
    let mut line = || lines.next().unwrap_or_default();
    let said = Assertion { client_data: line(), authenticator_data: line(), signature: line() };
    let party =
        RelyingParty { id: "localhost".into(), origins: vec!["http://localhost:8556".into()] };
    for key in [PasskeyKey::Es256([4; 65]), PasskeyKey::EdDsa([7; 32])] {
        assert!(said.verify(&[0; 32], &party, &key).is_err());
    }
    let kept = serde_json::to_string(&said).unwrap();
    assert_eq!(serde_json::from_str::<Assertion>(&kept).unwrap(), said);
}
