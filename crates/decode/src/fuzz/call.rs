//! Calls at every kind of address that a configuration can name.

use std::sync::LazyLock;

use alloy_dyn_abi::DynSolType;
use alloy_primitives::{Address, Bytes, U256};
use countersign_core::{
    abi::{AbiFunction, AbiValue, DecodedCall},
    action::{Action, Effect},
    identity::ChainId,
};

use super::encoding::theirs;
use crate::{
    Call, Container, DEPTH_MAX, EXPANSION_BYTES_MAX, LEAVES_MAX, Registry, actions,
    container::MULTICALL3, standard::PERMIT2,
};

/// Who signs.
const WALLET: Address = Address::repeat_byte(0x11);
const TOKEN: Address = Address::repeat_byte(0x22);
const COLLECTION: Address = Address::repeat_byte(0x33);
const ROUTER: Address = Address::repeat_byte(0x44);
/// Nobody knows it.
const STRANGER: Address = Address::repeat_byte(0x55);
/// The first container; the others follow.
const CONTAINERS: u8 = 0x80;

/// What the first byte of an input chooses from.
static PLACES: LazyLock<Vec<Address>> = LazyLock::new(|| {
    let named = [TOKEN, COLLECTION, ROUTER, STRANGER, PERMIT2, MULTICALL3, WALLET];
    named.into_iter().chain(containers().map(|(address, _)| address)).collect()
});

static REGISTRY: LazyLock<Registry> = LazyLock::new(|| {
    let mut registry = Registry::on(ChainId(1));
    registry.add_token(TOKEN);
    registry.add_collection(COLLECTION, crate::Collection::Erc721);
    let abi = ["swap(uint256 amountIn,address to)", "transfer(address ticket,uint256 seat)"];
    let abi = abi.map(|text| AbiFunction::parse(text).unwrap()).to_vec();
    registry.add_contract(ROUTER, Some("swap".into()), abi);
    registry.add_function(None, AbiFunction::parse("stake((address,uint8[2])[] pools)").unwrap());
    for (address, container) in containers() {
        registry.add_container(address, container);
    }
    registry
});

fn containers() -> impl Iterator<Item = (Address, Container)> {
    let names = (CONTAINERS..).zip(Container::NAMES);
    names.map(|(byte, (_, container))| (Address::repeat_byte(byte), container))
}

/// A place, a value, calldata: leaves within bounds, no wei lost from sight, and where the call is read by an ABI, the
/// arguments encode to what was sent.
pub fn calldata(bytes: &[u8]) {
    let [place, value, data @ ..] = bytes else { return };
    let Some(to) = PLACES.get(usize::from(*place)) else { return };
    let (value, data) = (U256::from(*value), Bytes::copy_from_slice(data));
    let call = Call { wallet: WALLET, to: Some(*to), value, data: &data };
    let read = actions(&call, &REGISTRY);
    assert_eq!(read, actions(&call, &REGISTRY));
    assert!((1..=LEAVES_MAX).contains(&read.len()));
    assert!(read.iter().map(held).sum::<usize>() <= EXPANSION_BYTES_MAX);
    let sent = read.iter().map(|action| action.value_wei).fold(U256::ZERO, U256::saturating_add);
    assert!(sent >= value, "{read:?}");
    for action in &read {
        is_sound(action);
        let whole = action.depth == 0 && action.target == call.to;
        if whole && action.selector.is_some_and(|selector| data.starts_with(&selector[..])) {
            action.functions.iter().for_each(|function| assert_eq!(encoded(function), data));
        }
    }
}

fn is_sound(action: &Action) {
    assert!(usize::from(action.depth) <= DEPTH_MAX && !action.label.is_empty());
    match &action.effect {
        Effect::Undecodable { reason } => assert!(!reason.is_empty()),
        Effect::Approve { amount, unlimited, .. } => assert!(*unlimited || *amount < U256::MAX),
        Effect::Transfer { .. }
        | Effect::Revoke { .. }
        | Effect::Call
        | Effect::Deploy { .. }
        | Effect::Delegate { .. } => {}
        Effect::TypedData { .. } | Effect::Text { .. } | Effect::Opaque { .. } => {
            panic!("a call is no message: {action:?}")
        }
    }
}

/// How many values its readings hold.
fn held(action: &Action) -> usize {
    action.functions.iter().map(|function| values(&function.args)).sum()
}

fn values(value: &AbiValue) -> usize {
    match value {
        AbiValue::Tuple(members) => 1 + members.iter().map(|(_, v)| values(v)).sum::<usize>(),
        AbiValue::List(items) => 1 + items.iter().map(values).sum::<usize>(),
        AbiValue::Address(_)
        | AbiValue::Uint(_)
        | AbiValue::Int(_)
        | AbiValue::Bool(_)
        | AbiValue::Bytes(_)
        | AbiValue::Text(_) => 1,
    }
}

/// What a reading says, written by the field's encoder.
fn encoded(call: &DecodedCall) -> Vec<u8> {
    let function = AbiFunction::parse(&call.signature).unwrap();
    let (_, types) = call.signature.split_once('(').unwrap();
    let ty = DynSolType::parse(&format!("({types}")).unwrap();
    [function.selector().as_slice(), &theirs(&ty, &call.args).abi_encode_params()].concat()
}
