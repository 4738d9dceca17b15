//! Calls that hold other calls.

use alloy_dyn_abi::{DynSolValue as V, JsonAbiExt};
use alloy_json_abi::Function;
use alloy_primitives::{FixedBytes, keccak256};
use countersign_core::identity::ChainId;

use super::*;
use crate::Container;

pub(super) const MULTICALL3: Address = crate::container::MULTICALL3;
pub(super) const MULTI: Address = address!("0000000000000000000000000000000000001111");
pub(super) const SAFE: Address = address!("0000000000000000000000000000000000005afe");
pub(super) const ACCOUNT: Address = address!("0000000000000000000000000000000000004337");
pub(super) const ENTRY: Address = address!("0000000071727De22E5E9d8BAf0edAc6f37da032");
pub(super) const PROXY: Address = address!("000000000000000000000000000000000000d500");
pub(super) const MULTI_SEND: Address = address!("9641d764fc13c8B624c04430C7356C1C7C8102e2");

/// A chain where every container has its address.
pub(super) fn world() -> Registry {
    let mut registry = Registry::on(ChainId(31337));
    registry.add_token(TOKEN);
    registry.add_collection(ITEMS, crate::Collection::Erc721);
    for (address, container) in [
        (MULTI, Container::Multicall),
        (SAFE, Container::Safe),
        (ACCOUNT, Container::SmartAccount),
        (ENTRY, Container::EntryPoint),
        (PROXY, Container::DsProxy),
    ] {
        registry.add_container(address, container);
    }
    registry
}

pub(super) fn encoded(signature: &str, args: &[V]) -> Vec<u8> {
    Function::parse(signature).unwrap().abi_encode_input(args).unwrap()
}

pub(super) fn at(to: Address, value: u64, data: Vec<u8>) -> Vec<Action> {
    let data = Bytes::from(data);
    actions(&Call { wallet: SELF, to: Some(to), value: number(value), data: &data }, &world())
}

pub(super) fn uint(n: u64) -> V {
    V::Uint(number(n), 256)
}

pub(super) fn blobs(items: &[Vec<u8>]) -> V {
    V::Array(items.iter().cloned().map(V::Bytes).collect())
}

pub(super) fn pay(to: Address, amount: u64) -> Vec<u8> {
    encoded("transfer(address,uint256)", &[V::Address(to), uint(amount)])
}

pub(super) fn paid(from: Address, to: Address, amount: u64) -> Effect {
    sent(TOKEN_ASSET, from, to, amount)
}

pub(super) fn aggregate(calls: &[(Address, u64, Vec<u8>)]) -> Vec<u8> {
    let call = |(to, value, data): &(Address, u64, Vec<u8>)| {
        V::Tuple(vec![V::Address(*to), V::Bool(true), uint(*value), V::Bytes(data.clone())])
    };
    let calls = V::Array(calls.iter().map(call).collect());
    encoded("aggregate3Value((address,bool,uint256,bytes)[])", &[calls])
}

pub(super) fn execute(to: Address, value: u64, data: Vec<u8>) -> Vec<u8> {
    let args = [V::Address(to), uint(value), V::Bytes(data)];
    encoded("execute(address,uint256,bytes)", &args)
}

pub(super) struct SafeCall {
    pub(super) to: Address,
    pub(super) value: u64,
    pub(super) data: Vec<u8>,
    pub(super) operation: u64,
    pub(super) gas_price: u64,
}

pub(super) fn safe(call: SafeCall) -> Vec<u8> {
    let SafeCall { to, value, data, operation, gas_price } = call;
    let signature = "execTransaction(address,uint256,bytes,uint8,uint256,uint256,uint256,address,address,bytes)";
    let operation = V::Uint(number(operation), 8);
    let args = [V::Address(to), uint(value), V::Bytes(data), operation, uint(0), uint(0)];
    let nobody = V::Address(Address::ZERO);
    let rest = [uint(gas_price), nobody.clone(), nobody, V::Bytes(vec![1; 65])];
    encoded(signature, &[&args[..], &rest].concat())
}

pub(super) fn packed(calls: &[(u8, Address, u64, Vec<u8>)]) -> Vec<u8> {
    let mut packed = Vec::new();
    for (operation, to, value, data) in calls {
        packed.push(*operation);
        packed.extend(to.as_slice());
        packed.extend(number(*value).to_be_bytes::<32>());
        packed.extend(U256::from(data.len()).to_be_bytes::<32>());
        packed.extend(data);
    }
    packed
}

pub(super) fn multi_send(packed: Vec<u8>) -> Vec<u8> {
    encoded("multiSend(bytes)", &[V::Bytes(packed)])
}

fn delegated(to: Address, data: Vec<u8>) -> Vec<u8> {
    safe(SafeCall { to, value: 0, data, operation: 1, gas_price: 0 })
}

/// Effects with the depth at which they lie.
fn levels(actions: &[Action]) -> Vec<(u8, Effect)> {
    actions.iter().map(|action| (action.depth, action.effect.clone())).collect()
}

fn undecodable(actions: &[Action]) -> &str {
    let [Action { effect: Effect::Undecodable { reason }, .. }] = actions else {
        panic!("{actions:?}")
    };
    reason
}

fn delegate(account: Address, delegate: Address) -> Effect {
    Effect::Delegate { account, delegate, chain: Some(ChainId(31337)) }
}

#[test]
fn each_form_of_multicall3_shows_its_calls_as_its_own() {
    let pair = V::Tuple(vec![V::Address(TOKEN), V::Bytes(pay(BOB, 7))]);
    let calls = V::Array(vec![pair]);
    let triple = V::Tuple(vec![V::Address(TOKEN), V::Bool(false), V::Bytes(pay(BOB, 7))]);
    let forms = [
        encoded("aggregate((address,bytes)[])", std::slice::from_ref(&calls)),
        encoded("blockAndAggregate((address,bytes)[])", std::slice::from_ref(&calls)),
        encoded("tryAggregate(bool,(address,bytes)[])", &[V::Bool(false), calls.clone()]),
        encoded("tryBlockAndAggregate(bool,(address,bytes)[])", &[V::Bool(true), calls]),
        encoded("aggregate3((address,bool,bytes)[])", &[V::Array(vec![triple])]),
        aggregate(&[(TOKEN, 0, pay(BOB, 7))]),
    ];
    for form in forms {
        let all = at(MULTICALL3, 0, form.clone());
        assert_eq!(levels(&all), [(1, paid(MULTICALL3, BOB, 7))]);
        assert_eq!((all[0].target, all[0].label.as_str()), (Some(TOKEN), "transfer"));
        let elsewhere = at(STRANGER, 0, form);
        assert_eq!(levels(&elsewhere), [(0, Effect::Call), (1, paid(STRANGER, BOB, 7))]);
    }
}

#[test]
fn multicall3_passes_on_what_comes_with_the_call_and_no_more() {
    let calls = [(BOB, 3, vec![]), (TOKEN, 2, pay(BOB, 7))];
    let native = |from, to, amount| sent(Asset::Native, from, to, amount);
    let all = at(MULTICALL3, 9, aggregate(&calls));
    let expect = [
        (0, native(SELF, MULTICALL3, 4)),
        (1, native(MULTICALL3, BOB, 3)),
        (1, paid(MULTICALL3, BOB, 7)),
        (1, native(MULTICALL3, TOKEN, 2)),
    ];
    assert_eq!(levels(&all), expect);
    assert!(undecodable(&at(MULTICALL3, 4, aggregate(&calls))).contains("more value"));
    let empty = at(MULTICALL3, 4, aggregate(&[]));
    assert_eq!((levels(&empty), empty[0].value_wei), (vec![(0, Effect::Call)], number(4)));
}

#[test]
fn a_contract_that_calls_itself_keeps_the_caller() {
    let inner = encoded("permit(address)", &[V::Address(BOB)]);
    let spend = pay(BOB, 7);
    let word = |byte| V::FixedBytes(FixedBytes::repeat_byte(byte), 32);
    let list = blobs(&[spend.clone(), inner]);
    for form in [
        encoded("multicall(bytes[])", std::slice::from_ref(&list)),
        encoded("multicall(uint256,bytes[])", &[uint(9), list.clone()]),
        encoded("multicall(bytes32,bytes[])", &[word(1), list]),
    ] {
        let sent_here = sent(Asset::Token(MULTI), SELF, BOB, 7);
        let all = at(MULTI, 0, form.clone());
        assert_eq!(levels(&all), [(1, sent_here.clone()), (1, Effect::Call)]);
        let paying = at(MULTI, 5, form);
        assert_eq!(levels(&paying), [(0, Effect::Call), (1, sent_here), (1, Effect::Call)]);
        assert_eq!(paying[0].value_wei, number(5));
        assert_eq!(paying[0].spends, Some(vec![]));
    }
}

#[test]
fn a_safe_calls_in_its_own_name_and_with_its_own_money() {
    let call =
        |value, data, gas_price| safe(SafeCall { to: TOKEN, value, data, operation: 0, gas_price });
    let all = at(SAFE, 0, call(0, pay(BOB, 7), 0));
    assert_eq!(levels(&all), [(1, paid(SAFE, BOB, 7))]);
    let all = at(SAFE, 2, call(3, vec![], 0));
    let expect =
        [(0, sent(Asset::Native, SELF, SAFE, 2)), (1, sent(Asset::Native, SAFE, TOKEN, 3))];
    assert_eq!(levels(&all), expect);
    assert_eq!(all[1].value_wei, number(3));
    let refunded = at(SAFE, 0, call(0, pay(BOB, 7), 1));
    let refund = Effect::Transfer { asset: Asset::Native, from: SAFE, to: SELF, amount: U256::MAX };
    assert_eq!(levels(&refunded), [(1, paid(SAFE, BOB, 7)), (1, refund)]);
    let elsewhere = at(STRANGER, 0, call(0, pay(BOB, 7), 0));
    assert_eq!(levels(&elsewhere), [(0, Effect::Call), (1, paid(STRANGER, BOB, 7))]);
}

#[test]
fn a_safe_delegates_to_its_library_only_without_losing_itself() {
    let foreign = at(SAFE, 0, delegated(STRANGER, pay(BOB, 7)));
    assert_eq!(levels(&foreign), [(1, delegate(SAFE, STRANGER))]);
    let batch = packed(&[(0, TOKEN, 0, pay(BOB, 7)), (0, BOB, 3, vec![])]);
    let all = at(SAFE, 0, delegated(MULTI_SEND, multi_send(batch)));
    let expect = [(2, paid(SAFE, BOB, 7)), (2, sent(Asset::Native, SAFE, BOB, 3))];
    assert_eq!(levels(&all), expect);
    let inner = packed(&[(0, TOKEN, 0, pay(BOB, 7)), (1, MULTI_SEND, 0, multi_send(vec![]))]);
    let all = at(SAFE, 0, delegated(MULTI_SEND, multi_send(inner)));
    assert_eq!(levels(&all)[1], (2, delegate(SAFE, MULTI_SEND)));
    let other = at(SAFE, 0, delegated(MULTI_SEND, pay(BOB, 7)));
    assert!(undecodable(&other).contains("no canonical"));
    let third =
        at(SAFE, 0, safe(SafeCall { to: BOB, value: 0, data: vec![], operation: 2, gas_price: 0 }));
    assert!(undecodable(&third).contains("neither a call nor a delegation"));
}

#[test]
fn packed_calls_with_anything_wrong_are_not_understood() {
    let good = packed(&[(0, TOKEN, 0, pay(BOB, 7))]);
    let mut long = good.clone();
    long[53..85].fill(0xff);
    let cut = [&good[..good.len() - 1], &good[..84], &good[..1], &long];
    let more = [&good[..], &[0]].concat();
    let zero = packed(&[(0, Address::ZERO, 0, vec![])]);
    let third = packed(&[(2, TOKEN, 0, vec![])]);
    for wrong in cut.into_iter().chain([&more[..], &zero, &third]) {
        undecodable(&at(SAFE, 0, delegated(MULTI_SEND, multi_send(wrong.to_vec()))));
        undecodable(&at(STRANGER, 0, multi_send(wrong.to_vec())));
    }
    let all = at(STRANGER, 0, multi_send(good));
    assert_eq!(levels(&all), [(0, Effect::Call), (1, paid(STRANGER, BOB, 7))]);
}

#[test]
fn control_of_a_safe_is_privileged_at_any_depth() {
    let enable = encoded("enableModule(address)", &[V::Address(BOB)]);
    let inner = |data| safe(SafeCall { to: SAFE, value: 0, data, operation: 0, gas_price: 0 });
    let all = at(SAFE, 0, inner(enable.clone()));
    assert_eq!((levels(&all), all[0].privileged), (vec![(1, Effect::Call)], true));
    let batch = packed(&[(0, SAFE, 0, enable.clone())]);
    let all = at(SAFE, 0, delegated(MULTI_SEND, multi_send(batch)));
    assert_eq!((all[0].depth, all[0].privileged), (2, true));
    let sloppy = [enable.clone(), vec![0]].concat();
    for calldata in [enable, sloppy] {
        assert!(at(STRANGER, 0, calldata)[0].privileged);
    }
    assert!(!at(TOKEN, 0, pay(BOB, 7))[0].privileged);
}

#[test]
fn accounts_execute_in_every_form() {
    let (to, data) = (V::Address(TOKEN), V::Bytes(pay(BOB, 7)));
    let call = V::Tuple(vec![to.clone(), uint(0), data.clone()]);
    let one = |v: &V| V::Array(vec![v.clone()]);
    let calls = V::Array(vec![call.clone()]);
    let operation = V::Uint(U256::ZERO, 8);
    let forms = [
        execute(TOKEN, 0, pay(BOB, 7)),
        encoded("execute_ncC(address,uint256,bytes)", &[to.clone(), uint(0), data.clone()]),
        encoded(
            "execute(address,uint256,bytes,uint8)",
            &[to.clone(), uint(0), data.clone(), operation],
        ),
        encoded("execute((address,uint256,bytes))", &[call]),
        encoded("execute((address,uint256,bytes)[])", std::slice::from_ref(&calls)),
        encoded("executeBatch((address,uint256,bytes)[])", std::slice::from_ref(&calls)),
        encoded("executeBatch(address[],bytes[])", &[one(&to), one(&data)]),
        encoded(
            "executeBatch(address[],uint256[],bytes[])",
            &[one(&to), V::Array(vec![]), one(&data)],
        ),
        encoded(
            "executeBatch(address[],uint256[],bytes[])",
            &[one(&to), one(&uint(0)), one(&data)],
        ),
    ];
    for form in forms {
        assert_eq!(levels(&at(ACCOUNT, 0, form.clone())), [(1, paid(ACCOUNT, BOB, 7))]);
        assert_eq!(levels(&at(STRANGER, 0, form))[1], (1, paid(STRANGER, BOB, 7)));
    }
    let uneven = encoded("executeBatch(address[],bytes[])", &[one(&to), V::Array(vec![])]);
    assert!(undecodable(&at(ACCOUNT, 0, uneven)).contains("different lengths"));
    undecodable(&at(ACCOUNT, 0, execute(Address::ZERO, 1, vec![])));
}

fn by_mode(mode: &[u8], execution: Vec<u8>) -> Vec<u8> {
    let mode = FixedBytes::right_padding_from(mode);
    encoded("execute(bytes32,bytes)", &[V::FixedBytes(mode, 32), V::Bytes(execution)])
}

#[test]
fn modes_say_how_an_execution_is_read() {
    let call = V::Tuple(vec![V::Address(TOKEN), uint(0), V::Bytes(pay(BOB, 7))]);
    let calls = V::Array(vec![call]);
    let batch = V::Tuple(vec![calls.clone()]).abi_encode_params();
    let with_data = V::Tuple(vec![calls, V::Bytes(vec![1, 2])]).abi_encode_params();
    let nested = V::Tuple(vec![blobs(&[batch.clone(), with_data.clone()])]).abi_encode_params();
    let single = [TOKEN.as_slice(), &[0; 32], &pay(BOB, 7)].concat();
    let bare = [TOKEN.as_slice(), &pay(BOB, 7)].concat();
    let opdata = hex!("01000000000078210001");
    let check = |mode: &[u8], execution: &[u8], expect: &[(u8, Effect)]| {
        assert_eq!(levels(&at(ACCOUNT, 0, by_mode(mode, execution.to_vec()))), expect, "{mode:?}");
    };
    let leaf = [(1, paid(ACCOUNT, BOB, 7))];
    check(&[0], &single, &leaf);
    check(&[0, 1], &single, &leaf);
    check(&[1], &batch, &leaf);
    check(&opdata, &batch, &leaf);
    check(&opdata, &with_data, &leaf);
    let deeper = (2, paid(ACCOUNT, BOB, 7));
    check(&hex!("01000000000078210002"), &nested, &[deeper.clone(), deeper]);
    check(&[0xfe], &bare, &leaf);
    check(&[0xff], &bare, &[(1, delegate(ACCOUNT, TOKEN))]);
    for (mode, execution) in [
        (&[2][..], &single),
        (&[1], &single),
        (&[0, 2], &single),
        (&[1], &with_data),
        (&[0], &vec![1; 51]),
    ] {
        undecodable(&at(ACCOUNT, 0, by_mode(mode, execution.clone())));
    }
}

pub(super) fn operation(sender: Address, call_data: Vec<u8>, fee: u64) -> V {
    let limits = FixedBytes::from(U256::from_limbs([100, 0, 100, 0]).to_be_bytes::<32>());
    let fees = FixedBytes::from(U256::from(fee).to_be_bytes::<32>());
    let empty = V::Bytes(vec![]);
    V::Tuple(vec![
        V::Address(sender),
        uint(1),
        empty.clone(),
        V::Bytes(call_data),
        V::FixedBytes(limits, 32),
        uint(50),
        V::FixedBytes(fees, 32),
        empty,
        V::Bytes(vec![1; 65]),
    ])
}

pub(super) fn handle_ops(ops: Vec<V>) -> Vec<u8> {
    let signature =
        "handleOps((address,uint256,bytes,bytes,bytes32,uint256,bytes32,bytes,bytes)[],address)";
    encoded(signature, &[V::Array(ops), V::Address(SELF)])
}

#[test]
fn an_operation_is_what_its_account_does_and_what_it_pays_for_gas() {
    let inner = execute(TOKEN, 0, pay(BOB, 7));
    let all = at(ENTRY, 0, handle_ops(vec![operation(ACCOUNT, inner.clone(), 3)]));
    let fee = sent(Asset::Native, ACCOUNT, SELF, 750);
    assert_eq!(levels(&all), [(2, paid(ACCOUNT, BOB, 7)), (1, fee)]);
    let other = at(ENTRY, 0, handle_ops(vec![operation(STRANGER, inner, 0)]));
    assert_eq!(levels(&other), [(1, Effect::Call), (2, paid(STRANGER, BOB, 7))]);
    let signature = "handleOps((address,uint256,bytes,bytes,uint256,uint256,uint256,uint256,uint256,bytes,bytes)[],address)";
    let factory = [STRANGER.as_slice(), &[1, 2, 3, 4]].concat();
    let op = V::Tuple(vec![
        V::Address(ACCOUNT),
        uint(0),
        V::Bytes(factory),
        V::Bytes(execute(TOKEN, 0, pay(BOB, 7))),
        uint(100),
        uint(100),
        uint(50),
        uint(3),
        uint(1),
        V::Bytes(BOB.to_vec()),
        V::Bytes(vec![]),
    ]);
    let all = at(ENTRY, 0, encoded(signature, &[V::Array(vec![op]), V::Address(SELF)]));
    let fee = sent(Asset::Native, BOB, SELF, 1350);
    assert_eq!(levels(&all), [(1, Effect::Call), (2, paid(ACCOUNT, BOB, 7)), (1, fee)]);
    assert_eq!(all[0].target, Some(STRANGER));
}

#[test]
fn a_proxy_lets_foreign_code_act() {
    let call = encoded("execute(address,bytes)", &[V::Address(STRANGER), V::Bytes(pay(BOB, 7))]);
    let all = at(PROXY, 4, call.clone());
    let funding = sent(Asset::Native, SELF, PROXY, 4);
    assert_eq!(levels(&all), [(0, funding), (1, delegate(PROXY, STRANGER))]);
    let elsewhere = at(STRANGER, 0, call);
    assert_eq!(levels(&elsewhere), [(0, Effect::Call), (1, delegate(STRANGER, STRANGER))]);
    let code = encoded("execute(bytes,bytes)", &[V::Bytes(vec![1]), V::Bytes(vec![])]);
    undecodable(&at(PROXY, 0, code));
}

#[test]
fn eight_containers_are_opened_and_nine_are_not() {
    let wrap = |depth: usize| {
        (0..depth).fold(pay(BOB, 7), |data, n| {
            aggregate(&[(if n == 0 { TOKEN } else { MULTICALL3 }, 0, data)])
        })
    };
    let all = at(MULTICALL3, 0, wrap(8));
    assert_eq!(levels(&all), [(8, paid(MULTICALL3, BOB, 7))]);
    assert!(undecodable(&at(MULTICALL3, 5, wrap(9))).contains("deeper"));
    assert_eq!(at(MULTICALL3, 5, wrap(9))[0].value_wei, number(5));
    let opaque =
        (0..7).fold(pay(BOB, 7), |data, n| execute(if n == 0 { TOKEN } else { STRANGER }, 0, data));
    assert_eq!(at(STRANGER, 0, opaque).len(), 8);
}

#[test]
fn so_many_effects_and_no_more() {
    let many = |n: usize| blobs(&vec![vec![1, 2, 3, 4]; n]);
    let all = |n| at(MULTI, 0, encoded("multicall(bytes[])", &[many(n)]));
    assert_eq!(all(LEAVES_MAX).len(), LEAVES_MAX);
    assert!(undecodable(&all(LEAVES_MAX + 1)).contains("more effects"));
    assert!(undecodable(&all(1200)).contains("more effects"));
}

#[test]
fn two_thousand_aliases_are_refused_at_containers_too() {
    let mut calldata = data("multicall(bytes[])", &[number(32), number(2_000)]);
    calldata.extend(vec![number(64_000); 2_000].iter().flat_map(U256::to_be_bytes::<32>));
    calldata.extend(number(30_016).to_be_bytes::<32>());
    calldata.extend(vec![0xab; 30_016]);
    for to in [MULTI, STRANGER] {
        assert!(undecodable(&at(to, 0, calldata.clone())).contains("offset"), "CD-5");
    }
}

#[test]
fn a_selector_hidden_in_a_container_is_still_seen() {
    let hidden = encoded("setApprovalForAll(address,bool)", &[V::Address(BOB), V::Bool(true)]);
    let selector = Selector::from_slice(&hidden[..4]);
    let list = blobs(std::slice::from_ref(&hidden));
    let pair = V::Tuple(vec![V::Address(ITEMS), V::Bytes(hidden.clone())]);
    for (to, calldata) in [
        (MULTI, encoded("multicall(bytes[])", std::slice::from_ref(&list))),
        (STRANGER, encoded("multicall(uint256,bytes[])", &[uint(9), list])),
        (MULTICALL3, aggregate(&[(ITEMS, 0, hidden.clone())])),
        (
            STRANGER,
            encoded(
                "tryAggregate(bool,(address,bytes)[])",
                &[V::Bool(false), V::Array(vec![pair])],
            ),
        ),
        (SAFE, delegated(MULTI_SEND, multi_send(packed(&[(0, ITEMS, 0, hidden)])))),
    ] {
        assert!(at(to, 0, calldata).iter().any(|a| a.selector == Some(selector)), "CD-6 {to}");
    }
}

#[test]
fn a_hash_of_the_signature_is_the_selector_of_multi_send() {
    let hash = keccak256("multiSend(bytes)");
    assert!(multi_send(vec![]).starts_with(&hash[..4]));
}
