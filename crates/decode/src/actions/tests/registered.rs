//! What the registry knows decides how a call is read.

use super::*;

const TRANSFER: &str = "transfer(address,uint256)";

fn with(add: impl Fn(&mut Registry), to: Address, calldata: Vec<u8>) -> Action {
    let mut registry = registry();
    add(&mut registry);
    let data = Bytes::from(calldata);
    let call = Call { wallet: SELF, to: Some(to), value: U256::ZERO, data: &data };
    let [action] = actions(&call, &registry).try_into().unwrap();
    action
}

fn transfer() -> Vec<u8> {
    data(TRANSFER, &[word(BOB), number(7)])
}

/// The names of the arguments in every reading: `to,amount`.
fn names(action: &Action) -> Vec<String> {
    let names = |call: &DecodedCall| {
        let AbiValue::Tuple(args) = &call.args else { panic!("arguments are a tuple") };
        args.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(",")
    };
    action.functions.iter().map(names).collect()
}

#[test]
fn labels_come_from_what_the_target_is() {
    let label = |to, calldata| with(|_| {}, to, calldata).label;
    let pair = |signature, number| data(signature, &[word(BOB), number]);
    assert_eq!(label(TOKEN, transfer()), "transfer");
    assert_eq!(label(TOKEN, pair("approve(address,uint256)", U256::ONE)), "approve");
    assert_eq!(label(TOKEN, pair("approve(address,uint256)", U256::ZERO)), "revoke");
    assert_eq!(label(ITEMS, pair("setApprovalForAll(address,bool)", U256::ONE)), "approve");
    assert_eq!(label(TOKEN, vec![1, 2, 3, 4]), "call");
    assert_eq!(label(STRANGER, transfer()), "call");
    assert_eq!(label(STRANGER, vec![1, 2, 3, 4]), "call");
    assert_eq!(label(ROUTER, vec![1, 2, 3, 4]), "swap");
    assert_eq!(label(ROUTER, pair("approve(address,uint256)", U256::ONE)), "swap");
    let unnamed = |registry: &mut Registry| registry.add_contract(STRANGER, None, vec![]);
    assert_eq!(with(unnamed, STRANGER, vec![1, 2, 3, 4]).label, "call");
}

#[test]
fn a_contracts_own_abi_takes_the_selector_from_the_standard() {
    let own = with(|_| {}, ROUTER, transfer());
    assert_eq!(own.effect, Effect::Call);
    assert_eq!(names(&own), ["ticket,seat"]);
    let token_too = with(|registry| registry.add_token(ROUTER), ROUTER, transfer());
    assert_eq!(token_too.effect, sent(Asset::Token(ROUTER), SELF, BOB, 7));
    assert_eq!(names(&token_too), ["ticket,seat", "to,amount"]);
    assert_eq!(token_too.label, "transfer");
}

#[test]
fn every_reading_is_told_and_given_names_come_first() {
    let plain = with(|_| {}, TOKEN, transfer());
    assert_eq!(names(&plain), ["to,amount"]);
    assert_eq!(plain.functions[0].signature, TRANSFER);
    let named = |registry: &mut Registry| {
        registry.add_function(None, function("transfer(address dst,uint256 wad)"));
        registry.add_function(Some(TOKEN), function(TRANSFER));
        registry.add_function(Some(TOKEN), function("transfer(address to,uint256 amount)"));
        registry.add_function(Some(STRANGER), function("transfer(address seat,uint256 ticket)"));
    };
    let all = with(named, TOKEN, transfer());
    assert_eq!(all.effect, plain.effect);
    assert_eq!(names(&all), ["0,1", "to,amount", "dst,wad"]);
    assert_eq!(names(&with(|_| {}, ITEMS, transfer())), ["to,tokenId"]);
}

#[test]
fn an_abi_is_a_claim_that_sloppy_calldata_fails() {
    let swap = data("swap(uint256,address)", &[number(5), word(BOB)]);
    let read = with(|_| {}, ROUTER, swap.clone());
    assert_eq!(read.effect, Effect::Call);
    assert_eq!(names(&read), ["amountIn,to"]);
    assert_eq!(read.functions[0].args.at("amountIn"), Some(&AbiValue::Uint(number(5))));
    let elsewhere = with(|_| {}, STRANGER, swap.clone());
    assert_eq!((&elsewhere.effect, elsewhere.functions.len()), (&Effect::Call, 0));
    let sloppy = [swap, vec![0]].concat();
    let reason = "not a canonical call of `swap(uint256,address)`: 1 bytes after the last argument";
    let undecodable = Effect::Undecodable { reason: reason.into() };
    assert_eq!(with(|_| {}, ROUTER, sloppy.clone()).effect, undecodable);
    assert_eq!(with(|_| {}, STRANGER, sloppy.clone()).effect, Effect::Call);
    let anywhere = |registry: &mut Registry| {
        registry.add_function(None, function("swap(uint256,address)"));
    };
    assert_eq!(with(anywhere, STRANGER, sloppy).effect, undecodable);
}

/// `many_msg_babbage(bytes1)` has the selector of `transfer(address,uint256)`.
#[test]
fn another_reading_of_a_standards_selector_counts_only_where_its_target_is_named() {
    let twin = || function("many_msg_babbage(bytes1 a)");
    assert_eq!(twin().selector(), function(TRANSFER).selector());
    let calldata = || data("many_msg_babbage(bytes1)", &[U256::ZERO]);
    let any = |registry: &mut Registry| registry.add_function(None, twin());
    let given = |registry: &mut Registry| {
        registry.add_function(Some(TOKEN), twin());
        registry.add_function(Some(STRANGER), twin());
    };
    let listed = |registry: &mut Registry| registry.add_contract(TOKEN, None, vec![twin()]);
    let undecodable = |action: Action| matches!(action.effect, Effect::Undecodable { .. });
    assert!(undecodable(with(any, STRANGER, calldata())));
    assert!(undecodable(with(given, TOKEN, calldata())));
    assert!(undecodable(with(listed, TOKEN, calldata())));
    assert_eq!(with(given, STRANGER, calldata()).effect, Effect::Call);
}

#[test]
fn adding_twice_changes_nothing() {
    let twice = |registry: &mut Registry| {
        let swap = || function("swap(uint256 amountIn,address to)");
        registry.add_contract(ROUTER, None, vec![swap()]);
        registry.add_function(Some(ROUTER), swap());
        registry.add_function(Some(ROUTER), swap());
    };
    let calldata = || data("swap(uint256,address)", &[number(5), word(BOB)]);
    assert_eq!(with(twice, ROUTER, calldata()), with(|_| {}, ROUTER, calldata()));
}
