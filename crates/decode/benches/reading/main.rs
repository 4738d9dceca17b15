//! What it costs to read a request, against its bytes and its leaves: `cargo bench -p countersign-decode`.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::print_stdout,
    reason = "a benchmark that cannot set its scene must fail"
)]

mod stopwatch;

use alloy_dyn_abi::{DynSolType, DynSolValue as V};
use alloy_primitives::{Address, Bytes, U256};
use countersign_core::{
    abi::AbiFunction,
    identity::ChainId,
    json::{Json, Limits},
    transaction::TransactionDraft,
};
use countersign_decode::{
    Call, Container, Registry, TypedData, actions, text_actions, typed_data_authority,
};

use self::stopwatch::time;

const WALLET: Address = Address::repeat_byte(0x11);
const TOKEN: Address = Address::repeat_byte(0x22);
const MULTI: Address = Address::repeat_byte(0x44);
const STRANGER: Address = Address::repeat_byte(0x55);
const CHAIN: ChainId = ChainId(31337);

fn main() {
    bodies();
    calls();
    leaves();
    messages();
}

/// JSON-RPC: from bytes to a transaction.
fn bodies() {
    for size in [100, 1_000, 10_000, 100_000, 1_000_000] {
        let data = "ab".repeat(size / 2);
        let body = format!(r#"{{"from":"{WALLET}","to":"{TOKEN}","data":"0x{data}"}}"#);
        let read = || Json::parse(body.as_bytes(), Limits::REQUEST).unwrap();
        time("json: one long string, bytes", body.len(), read);
        let json = read();
        time("transaction of it, bytes", body.len(), || TransactionDraft::parse(&json));
    }
    for members in [10, 1_000, 60_000] {
        let body = format!("[{}]", vec!["{}"; members].join(","));
        time("json: many values", members, || Json::parse(body.as_bytes(), Limits::REQUEST));
    }
}

fn encoded(signature: &str, value: &V) -> Bytes {
    let function = AbiFunction::parse(signature).unwrap();
    let (_, types) = function.signature().split_once('(').unwrap();
    assert!(DynSolType::parse(&format!("({types}")).unwrap().matches(value));
    [function.selector().as_slice(), &value.abi_encode_params()].concat().into()
}

fn transfer() -> Bytes {
    let to = V::Address(STRANGER);
    encoded("transfer(address,uint256)", &V::Tuple(vec![to, V::Uint(U256::from(5), 256)]))
}

fn registry() -> Registry {
    let mut registry = Registry::on(CHAIN);
    registry.add_token(TOKEN);
    registry.add_container(MULTI, Container::Multicall3);
    registry.add_function(None, AbiFunction::parse("note(bytes note)").unwrap());
    registry
}

/// One call, against its bytes.
fn calls() {
    let registry = registry();
    let read = |to, data: &Bytes| {
        actions(&Call { wallet: WALLET, to: Some(to), value: U256::ZERO, data }, &registry)
    };
    let data = transfer();
    time("call: a token's transfer, bytes", data.len(), || read(TOKEN, &data));
    for size in [100, 1_000, 10_000, 100_000] {
        let data = encoded("note(bytes)", &V::Tuple(vec![V::Bytes(vec![7; size])]));
        time("call: one long argument, bytes", data.len(), || read(STRANGER, &data));
    }
}

/// Calls that hold calls, against the leaves.
fn leaves() {
    let registry = registry();
    for count in [1, 16, 256] {
        let inner =
            V::Tuple(vec![V::Address(TOKEN), V::Bool(false), V::Bytes(transfer().to_vec())]);
        let list = V::Tuple(vec![V::Array(vec![inner; count])]);
        let data = encoded("aggregate3((address,bool,bytes)[])", &list);
        let call = Call { wallet: WALLET, to: Some(MULTI), value: U256::ZERO, data: &data };
        assert_eq!(actions(&call, &registry).len(), count);
        time("call: a batch of transfers, leaves", count, || actions(&call, &registry));
    }
}

/// Typed data and texts.
fn messages() {
    let registry = registry();
    let permit = permit();
    let read = || TypedData::parse(&permit).unwrap();
    let data = read();
    time("typed data: a permit, bytes", permit.len(), read);
    time("its digest", "", || data.digest());
    time("its meaning", "", || typed_data_authority(WALLET, CHAIN, &data, &registry));
    for count in [10, 1_000, 10_000] {
        let list = vec!["1"; count].join(",");
        let text = format!(
            r#"{{"types":{{"EIP712Domain":[{{"name":"chainId","type":"uint256"}}],"L":[{{"name":"l","type":"uint256[]"}}]}},"primaryType":"L","domain":{{"chainId":31337}},"message":{{"l":[{list}]}}}}"#
        );
        time("typed data: a list, items", count, || TypedData::parse(&text).unwrap().digest());
    }
    let text = "I agree to the terms of use. ".repeat(100);
    time("a text, bytes", text.len(), || text_actions(text.as_bytes(), WALLET, CHAIN));
}

fn permit() -> String {
    let field = |name: &str, kind: &str| format!(r#"{{"name":"{name}","type":"{kind}"}}"#);
    let of = |fields: &[(&str, &str)]| {
        fields.iter().map(|(name, kind)| field(name, kind)).collect::<Vec<_>>().join(",")
    };
    let domain =
        of(&[("name", "string"), ("chainId", "uint256"), ("verifyingContract", "address")]);
    let permit = of(&[
        ("owner", "address"),
        ("spender", "address"),
        ("value", "uint256"),
        ("nonce", "uint256"),
        ("deadline", "uint256"),
    ]);
    format!(
        r#"{{"types":{{"EIP712Domain":[{domain}],"Permit":[{permit}]}},"primaryType":"Permit","domain":{{"name":"USD Coin","chainId":31337,"verifyingContract":"{TOKEN}"}},"message":{{"owner":"{WALLET}","spender":"{STRANGER}","value":"1000000","nonce":"0","deadline":"4102444800"}}}}"#
    )
}
