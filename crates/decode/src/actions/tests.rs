#![expect(clippy::arithmetic_side_effects, reason = "test arithmetic on small known numbers")]

mod accounts;
mod attacks;
mod containers;
mod cost;
mod foreign;
mod protocols;
mod registered;
mod trees;

use alloy_primitives::{B256, Bytes, I256, address, hex};
use countersign_core::abi::{AbiFunction, AbiValue};

use super::*;

const SELF: Address = address!("00000000000000000000000000000000000000aa");
const ALICE: Address = address!("00000000000000000000000000000000000000a1");
const BOB: Address = address!("00000000000000000000000000000000000000b0");
const TOKEN: Address = address!("0000000000000000000000000000000000007070");
const ITEMS: Address = address!("0000000000000000000000000000000000007721");
const ROUTER: Address = address!("0000000000000000000000000000000000009999");
const STRANGER: Address = address!("000000000000000000000000000000000000dead");
const PERMIT2: Address = crate::standard::PERMIT2;

fn registry() -> Registry {
    let mut registry = Registry::new();
    registry.add_token(TOKEN);
    registry.add_collection(ITEMS, crate::Collection::Erc721);
    let abi = ["swap(uint256 amountIn,address to)", "transfer(address ticket,uint256 seat)"];
    registry.add_contract(ROUTER, Some("swap".into()), abi.map(function).to_vec());
    registry
}

fn function(text: &str) -> AbiFunction {
    AbiFunction::parse(text).unwrap()
}

fn number(n: u64) -> U256 {
    U256::from(n)
}

/// Calldata from a signature and words.
fn data(signature: &str, words: &[U256]) -> Vec<u8> {
    let mut data = function(signature).selector().to_vec();
    for word in words {
        data.extend(word.to_be_bytes::<32>());
    }
    data
}

fn word(address: Address) -> U256 {
    address.into_word().into()
}

fn read(to: Option<Address>, value: u64, data: Vec<u8>) -> Vec<Action> {
    let data = Bytes::from(data);
    actions(&Call { wallet: SELF, to, value: number(value), data: &data }, &registry())
}

fn effects(to: Address, data: Vec<u8>) -> Vec<Effect> {
    read(Some(to), 0, data).into_iter().map(|action| action.effect).collect()
}

fn sent(asset: Asset, from: Address, to: Address, amount: u64) -> Effect {
    Effect::Transfer { asset, from, to, amount: number(amount) }
}

fn allowed(asset: Asset, owner: Address, amount: U256, unlimited: bool) -> Effect {
    Effect::Approve { asset, owner, spender: BOB, amount, unlimited, deadline: None }
}

fn revoked(asset: Asset) -> Effect {
    Effect::Revoke { asset, spender: BOB }
}

fn check(to: Address, signature: &str, words: &[U256], expect: &[Effect]) {
    assert_eq!(effects(to, data(signature, words)), expect, "{signature}");
}

const TOKEN_ASSET: Asset = Asset::Token(TOKEN);

fn item(id: u64) -> Asset {
    Asset::Item { collection: ITEMS, id: number(id) }
}

#[test]
fn tokens_move_from_whom_the_arguments_name() {
    let (a, b, n) = (word(ALICE), word(BOB), number(7));
    let from_alice = &[sent(TOKEN_ASSET, ALICE, BOB, 7)];
    check(TOKEN, "transfer(address,uint256)", &[b, n], &[sent(TOKEN_ASSET, SELF, BOB, 7)]);
    check(TOKEN, "transferFrom(address,address,uint256)", &[a, b, n], from_alice);
    let stranger = Asset::Token(STRANGER);
    check(STRANGER, "transfer(address,uint256)", &[b, n], &[sent(stranger, SELF, BOB, 7)]);
    let authorized = [a, b, n, number(0), number(9), number(1), number(27), number(1), number(2)];
    for verb in ["transfer", "receive"] {
        let types = "(address,address,uint256,uint256,uint256,bytes32,uint8,bytes32,bytes32)";
        check(TOKEN, &format!("{verb}WithAuthorization{types}"), &authorized, from_alice);
        let types = "(address,address,uint256,uint256,uint256,bytes32,bytes)";
        let words = [&authorized[..6], &[number(7 * 32), number(0)]].concat();
        check(TOKEN, &format!("{verb}WithAuthorization{types}"), &words, from_alice);
    }
}

#[test]
fn items_move_one_action_each() {
    let (a, b) = (word(ALICE), word(BOB));
    let seven = &[sent(item(7), ALICE, BOB, 1)];
    let [zero, two, seven_id, nine] = [0, 2, 7, 9].map(number);
    check(ITEMS, "transfer(address,uint256)", &[b, seven_id], &[sent(item(7), SELF, BOB, 1)]);
    check(ITEMS, "transferFrom(address,address,uint256)", &[a, b, seven_id], seven);
    check(ITEMS, "safeTransferFrom(address,address,uint256)", &[a, b, seven_id], seven);
    let with_data = "safeTransferFrom(address,address,uint256,bytes)";
    check(ITEMS, with_data, &[a, b, seven_id, number(128), zero], seven);
    let some = "safeTransferFrom(address,address,uint256,uint256,bytes)";
    check(ITEMS, some, &[a, b, seven_id, nine, number(160), zero], &[sent(item(7), ALICE, BOB, 9)]);
    let head = [a, b, number(160), number(256), number(352)];
    let tail = [two, seven_id, two, two, nine, zero, zero];
    check(
        ITEMS,
        "safeBatchTransferFrom(address,address,uint256[],uint256[],bytes)",
        &[&head[..], &tail].concat(),
        &[sent(item(7), ALICE, BOB, 9), sent(item(2), ALICE, BOB, 0)],
    );
}

#[test]
fn an_allowance_is_an_approval_or_a_revocation() {
    let (a, b) = (word(ALICE), word(BOB));
    let [zero, one, n] = [0, 1, 7].map(number);
    let set = |amount, unlimited| [allowed(TOKEN_ASSET, SELF, amount, unlimited)];
    check(TOKEN, "approve(address,uint256)", &[b, n], &set(n, false));
    check(TOKEN, "approve(address,uint256)", &[b, U256::MAX], &set(U256::MAX, true));
    check(TOKEN, "approve(address,uint256)", &[b, zero], &[revoked(TOKEN_ASSET)]);
    check(TOKEN, "increaseAllowance(address,uint256)", &[b, n], &set(n, false));
    check(TOKEN, "increaseAllowance(address,uint256)", &[b, zero], &set(zero, false));
    check(TOKEN, "decreaseAllowance(address,uint256)", &[b, n], &[revoked(TOKEN_ASSET)]);
    let all = Asset::Collection(ITEMS);
    let every = [allowed(all.clone(), SELF, U256::MAX, true)];
    check(ITEMS, "setApprovalForAll(address,bool)", &[b, one], &every);
    check(ITEMS, "setApprovalForAll(address,bool)", &[b, zero], &[revoked(all)]);
    let permit = "permit(address,address,uint256,uint256,uint8,bytes32,bytes32)";
    let signed = |value| [a, b, value, number(99), number(27), one, one];
    check(TOKEN, permit, &signed(n), &[allowed(TOKEN_ASSET, ALICE, n, false)]);
    check(TOKEN, permit, &signed(U256::MAX), &[allowed(TOKEN_ASSET, ALICE, U256::MAX, true)]);
    check(TOKEN, permit, &signed(zero), &[revoked(TOKEN_ASSET)]);
    let permit = "permit(address,address,uint256,uint256,bytes)";
    let signed = [a, b, n, number(99), number(160), zero];
    check(TOKEN, permit, &signed, &[allowed(TOKEN_ASSET, ALICE, n, false)]);
    let dai = "permit(address,address,uint256,uint256,bool,uint8,bytes32,bytes32)";
    let signed = |allowed| [a, b, one, zero, allowed, number(27), one, one];
    check(TOKEN, dai, &signed(one), &[allowed(TOKEN_ASSET, ALICE, U256::MAX, true)]);
    check(TOKEN, dai, &signed(zero), &[revoked(TOKEN_ASSET)]);
}

#[test]
fn younger_standards_move_and_allow_like_the_old_ones() {
    let (a, b) = (word(ALICE), word(BOB));
    let [zero, one, n, id] = [0, 1, 7, 9].map(number);
    let moved = |from| [sent(TOKEN_ASSET, from, BOB, 7)];
    let and_data = |words: &[U256], at: u64| [words, &[number(at), zero]].concat();
    check(TOKEN, "transferAndCall(address,uint256)", &[b, n], &moved(SELF));
    check(TOKEN, "transferAndCall(address,uint256,bytes)", &and_data(&[b, n], 96), &moved(SELF));
    check(TOKEN, "send(address,uint256,bytes)", &and_data(&[b, n], 96), &moved(SELF));
    check(TOKEN, "transferFromAndCall(address,address,uint256)", &[a, b, n], &moved(ALICE));
    check(ITEMS, "transfer(address,uint256,uint256)", &[b, id, n], &[sent(item(9), SELF, BOB, 7)]);
    let some = "transferFrom(address,address,uint256,uint256)";
    check(ITEMS, some, &[a, b, id, n], &[sent(item(9), ALICE, BOB, 7)]);
    let approve = "approve(address,uint256,uint256)";
    check(ITEMS, approve, &[b, id, n], &[allowed(item(9), SELF, n, false)]);
    check(ITEMS, approve, &[b, id, zero], &[revoked(item(9))]);
    let every = Asset::Collection(ITEMS);
    check(
        ITEMS,
        "setOperator(address,bool)",
        &[b, one],
        &[allowed(every.clone(), SELF, U256::MAX, true)],
    );
    check(ITEMS, "setOperator(address,bool)", &[b, zero], &[revoked(every)]);
    let all = [allowed(TOKEN_ASSET, SELF, U256::MAX, true)];
    check(TOKEN, "authorizeOperator(address)", &[b], &all);
    check(TOKEN, "revokeOperator(address)", &[b], &[revoked(TOKEN_ASSET)]);
    check(TOKEN, "approveDelegation(address,uint256)", &[b, U256::MAX], &all);
    check(
        TOKEN,
        "increaseApproval(address,uint256)",
        &[b, n],
        &[allowed(TOKEN_ASSET, SELF, n, false)],
    );
    check(TOKEN, "decreaseApproval(address,uint256)", &[b, n], &[revoked(TOKEN_ASSET)]);
    let called = "approveAndCall(address,uint256)";
    check(TOKEN, called, &[b, zero], &[allowed(TOKEN_ASSET, SELF, zero, false)]);
    let nobody = [Effect::Revoke { asset: TOKEN_ASSET, spender: Address::ZERO }];
    let cancel = "cancelAuthorization(address,bytes32,uint8,bytes32,bytes32)";
    check(TOKEN, cancel, &[a, one, number(27), one, one], &nobody);
    let signed = "delegationWithSig(address,address,uint256,uint256,uint8,bytes32,bytes32)";
    let words = [a, b, n, number(99), number(27), one, one];
    check(TOKEN, signed, &words, &[allowed(TOKEN_ASSET, ALICE, n, false)]);
}

#[test]
fn permits_and_authorizations_in_calldata_are_given_by_signature() {
    let via = |to, signature, words: &[U256]| read(Some(to), 0, data(signature, words))[0].via;
    let permit = "permit(address,address,uint256,uint256,uint8,bytes32,bytes32)";
    assert_eq!(via(TOKEN, permit, &[number(1); 7]), Via::Signature);
    let types = "(address,address,uint256,uint256,uint256,bytes32,uint8,bytes32,bytes32)";
    let transfer = format!("transferWithAuthorization{types}");
    assert_eq!(via(TOKEN, &transfer, &[number(1); 9]), Via::Signature);
    assert_eq!(via(TOKEN, "transfer(address,uint256)", &[number(1); 2]), Via::Call);
}

#[test]
fn permit2_names_its_token_in_the_arguments() {
    let (t, a, b) = (word(TOKEN), word(ALICE), word(BOB));
    let [zero, one, two, n, end] = [0, 1, 2, 7, 1_900_000_000].map(number);
    let most = (U256::ONE << 160) - U256::ONE;
    let until = |owner, amount, unlimited| Effect::Approve {
        asset: TOKEN_ASSET,
        owner,
        spender: BOB,
        amount,
        unlimited,
        deadline: Some(end),
    };
    let approve = "approve(address,address,uint160,uint48)";
    check(PERMIT2, approve, &[t, b, n, end], &[until(SELF, n, false)]);
    check(PERMIT2, approve, &[t, b, most, end], &[until(SELF, most, true)]);
    check(PERMIT2, approve, &[t, b, zero, end], &[revoked(TOKEN_ASSET)]);
    check(STRANGER, approve, &[t, b, n, end], &[Effect::Call]);
    let moved = sent(TOKEN_ASSET, ALICE, BOB, 7);
    let transfer = "transferFrom(address,address,uint160,address)";
    check(PERMIT2, transfer, &[a, b, n, t], std::slice::from_ref(&moved));
    let transfers = "transferFrom((address,address,uint160,address)[])";
    let words = [number(32), two, a, b, n, t, a, b, n, t];
    check(PERMIT2, transfers, &words, &[moved.clone(), moved.clone()]);
    check(
        PERMIT2,
        "lockdown((address,address)[])",
        &[number(32), one, t, b],
        &[revoked(TOKEN_ASSET)],
    );
    let permit = "permit(address,((address,uint160,uint48,uint48),address,uint256),bytes)";
    let words = [a, t, n, end, zero, b, one, number(256), zero];
    check(PERMIT2, permit, &words, &[until(ALICE, n, false)]);
    let batch = "permit(address,((address,uint160,uint48,uint48)[],address,uint256),bytes)";
    let head = [a, number(96), number(352), number(96), b, one];
    let words = [&head[..], &[one, t, n, end, zero], &[zero]].concat();
    check(PERMIT2, batch, &words, &[until(ALICE, n, false)]);
    let signed =
        "permitTransferFrom(((address,uint256),uint256,uint256),(address,uint256),address,bytes)";
    let words = [t, number(9), zero, end, b, n, a, number(256), zero];
    check(PERMIT2, signed, &words, std::slice::from_ref(&moved));
    let batch = "permitTransferFrom(((address,uint256)[],uint256,uint256),(address,uint256)[],address,bytes)";
    let head = [number(128), number(320), a, number(416)];
    let permit = [number(96), zero, end, one, t, number(9)];
    let words = [&head[..], &permit, &[one, b, n], &[zero]].concat();
    check(PERMIT2, batch, &words, &[moved]);
    let invalid = "invalidateNonces(address,address,uint48)";
    check(PERMIT2, invalid, &[t, b, one], &[revoked(TOKEN_ASSET)]);
    let nobody = Effect::Revoke { asset: Asset::Token(PERMIT2), spender: Address::ZERO };
    check(PERMIT2, "invalidateUnorderedNonces(uint256,uint256)", &[one, one], &[nobody]);
}

#[test]
fn the_chains_own_currency_moves_without_data() {
    let [action] = read(Some(ALICE), 5, vec![]).try_into().unwrap();
    assert_eq!(action.effect, sent(Asset::Native, SELF, ALICE, 5));
    assert_eq!((action.value_wei, action.selector), (number(5), None));
    assert_eq!((action.label.as_str(), action.target), ("transfer", Some(ALICE)));
    let nothing = read(Some(ROUTER), 0, vec![]);
    assert_eq!(nothing[0].effect, sent(Asset::Native, SELF, ROUTER, 0));
}

#[test]
fn value_beside_a_standards_effect_is_a_transfer_of_its_own() {
    for signature in ["transfer(address,uint256)", "setApprovalForAll(address,bool)"] {
        let all = read(Some(STRANGER), 5, data(signature, &[word(BOB), number(0)]));
        let [effect, value] = all.try_into().unwrap();
        assert_eq!(effect.value_wei, U256::ZERO);
        assert_eq!(value.effect, sent(Asset::Native, SELF, STRANGER, 5));
        assert_eq!(value.value_wei, number(5));
        assert_eq!(value.selector, effect.selector);
    }
    for calldata in [vec![1], vec![1, 2, 3, 4], data("transfer(address,uint256)", &[])] {
        let [action] = read(Some(TOKEN), 5, calldata).try_into().unwrap();
        assert_eq!(action.value_wei, number(5));
    }
}

#[test]
fn a_deployment_is_known_by_the_hash_of_its_init_code() {
    let [action] = read(None, 5, hex!("6001").to_vec()).try_into().unwrap();
    assert_eq!(action.effect, Effect::Deploy { init_code_hash: keccak256(hex!("6001")) });
    assert_ne!(action.effect, Effect::Deploy { init_code_hash: B256::ZERO });
    assert_eq!((action.value_wei, action.target), (number(5), None));
    assert_eq!(action.label, "deploy");
}
