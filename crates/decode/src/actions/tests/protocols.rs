//! Contracts that the configuration registers as what they are.

use alloy_dyn_abi::DynSolValue as V;
use alloy_primitives::FixedBytes;
use countersign_core::action::Outflow;

use super::{
    containers::{blobs, encoded, uint},
    *,
};
use crate::Container;

const HERE: Address = address!("000000000000000000000000000000000000c0de");
const OTHER: Address = address!("0000000000000000000000000000000000008080");
const OTHER_ASSET: Asset = Asset::Token(OTHER);

fn at(container: Container, value: u64, data: Vec<u8>) -> Vec<Action> {
    let mut registry = Registry::new();
    registry.add_token(TOKEN);
    registry.add_container(HERE, container);
    let data = Bytes::from(data);
    let call = Call { wallet: SELF, to: Some(HERE), value: number(value), data: &data };
    let all = actions(&call, &registry);
    let sum = all.iter().fold(U256::ZERO, |sum, action| sum + action.value_wei);
    assert_eq!(sum, number(value), "every wei is somewhere once");
    all
}

/// What the calls take from the caller; a call of which nobody knows is `None`.
fn spent(all: &[Action]) -> Option<Vec<Outflow>> {
    let calls = all.iter().filter(|action| action.effect == Effect::Call);
    calls.map(|action| action.spends.clone()).collect::<Option<Vec<_>>>().map(|all| all.concat())
}

/// What happens besides calls.
fn besides(all: &[Action]) -> Vec<Effect> {
    let effects = all.iter().map(|action| action.effect.clone());
    effects.filter(|effect| *effect != Effect::Call).collect()
}

fn out(asset: Asset, amount: u64) -> Outflow {
    Outflow { asset, amount: number(amount) }
}

fn given(asset: Asset, amount: U256) -> Effect {
    Effect::Transfer { asset, from: HERE, to: BOB, amount }
}

fn addresses(items: &[Address]) -> V {
    V::Array(items.iter().copied().map(V::Address).collect())
}

fn path() -> Vec<u8> {
    [TOKEN.as_slice(), &[0, 11, 184], OTHER.as_slice()].concat()
}

fn small(n: u64, bits: usize) -> V {
    V::Uint(number(n), bits)
}

fn word_of(address: Address) -> V {
    V::FixedBytes(address.into_word(), 32)
}

fn exact_input_single(recipient: Address) -> Vec<u8> {
    let swap = [V::Address(TOKEN), V::Address(OTHER), small(3000, 24), V::Address(recipient)];
    let rest = [uint(7), uint(5), V::Uint(U256::ZERO, 160)];
    let params = V::Tuple([&swap[..], &rest].concat());
    let types = "(address,address,uint24,address,uint256,uint256,uint160)";
    encoded(&format!("exactInputSingle({types})"), &[params])
}

#[test]
fn a_swap_tells_what_it_takes_and_who_else_gets_something() {
    let v3 = Container::UniswapV3Router;
    let own = at(v3, 0, exact_input_single(SELF));
    assert_eq!(spent(&own), Some(vec![out(TOKEN_ASSET, 7)]));
    assert_eq!(besides(&own), []);
    assert_eq!(own[0].functions[0].args.at("params.amountIn"), Some(&AbiValue::Uint(number(7))));
    let theirs = at(v3, 0, exact_input_single(BOB));
    assert_eq!(besides(&theirs), [given(OTHER_ASSET, U256::MAX)], "CD-8");
    let elsewhere = read(Some(STRANGER), 0, exact_input_single(BOB));
    assert_eq!((elsewhere[0].effect.clone(), elsewhere[0].spends.clone()), (Effect::Call, None));
    let sloppy = [exact_input_single(SELF), vec![0]].concat();
    assert!(matches!(at(v3, 0, sloppy)[0].effect, Effect::Undecodable { .. }));
}

#[test]
fn steps_of_a_multicall_on_a_router_are_judged_one_by_one() {
    let sweep = |to| {
        let args = [V::Address(OTHER), uint(5), V::Address(to)];
        encoded("sweepToken(address,uint256,address)", &args)
    };
    let router = Address::with_last_byte(2);
    let call = |to| {
        let steps = blobs(&[exact_input_single(router), sweep(to)]);
        encoded("multicall(uint256,bytes[])", &[uint(9), steps])
    };
    let own = at(Container::UniswapV3Router, 0, call(SELF));
    assert_eq!((spent(&own), besides(&own)), (Some(vec![out(TOKEN_ASSET, 7)]), vec![]));
    assert_eq!(own.len(), 2);
    let theirs = at(Container::UniswapV3Router, 0, call(BOB));
    assert_eq!(besides(&theirs), [given(OTHER_ASSET, U256::MAX)]);
}

/// The most usual of all swaps: ether in, through wrapped ether that the router pays for.
#[test]
fn what_a_router_pays_out_of_the_calls_value_is_counted_once() {
    let mut registry = Registry::new();
    registry.add_container(HERE, Container::UniswapV3Router);
    registry.add_container(TOKEN, Container::Weth);
    let run = |value, data: Vec<u8>| {
        let data = Bytes::from(data);
        let call = Call { wallet: SELF, to: Some(HERE), value: number(value), data: &data };
        let all = actions(&call, &registry);
        (spent(&all), all.iter().fold(U256::ZERO, |sum, action| sum + action.value_wei))
    };
    let swap = exact_input_single(SELF);
    let steps = |n| encoded("multicall(bytes[])", &[blobs(&vec![exact_input_single(SELF); n])]);
    assert_eq!(run(7, swap.clone()), (Some(vec![]), number(7)));
    assert_eq!(run(6, swap.clone()), (Some(vec![out(TOKEN_ASSET, 7)]), number(6)));
    assert_eq!(run(0, swap), (Some(vec![out(TOKEN_ASSET, 7)]), number(0)));
    assert_eq!(run(7, steps(1)), (Some(vec![]), number(7)));
    assert_eq!(run(14, steps(2)), (Some(vec![]), number(14)));
    assert_eq!(run(7, steps(2)), (Some(vec![out(TOKEN_ASSET, 7)]), number(7)));
    let first =
        |step: Vec<u8>| encoded("multicall(bytes[])", &[blobs(&[step, exact_input_single(SELF)])]);
    let wrap = first(encoded("wrapETH(uint256)", &[uint(7)]));
    assert_eq!(run(7, wrap), (Some(vec![out(TOKEN_ASSET, 7)]), number(7)));
    let pull = first(encoded("pull(address,uint256)", &[V::Address(TOKEN), uint(7)]));
    assert_eq!(run(7, pull).0, Some(vec![out(TOKEN_ASSET, 7); 2]));
    let unread = first(vec![1, 2, 3, 4]);
    assert_eq!(run(7, unread).0, None);
}

#[test]
fn v2_swaps_and_v3_paths_name_their_ends() {
    let v2 = Container::UniswapV2Router;
    let (tokens, to, end) = (addresses(&[TOKEN, OTHER]), V::Address(BOB), uint(99));
    let swap = "swapExactTokensForTokens(uint256,uint256,address[],address,uint256)";
    let args = [uint(7), uint(5), tokens.clone(), to.clone(), end.clone()];
    let all = at(v2, 0, encoded(swap, &args));
    assert_eq!(spent(&all), Some(vec![out(TOKEN_ASSET, 7)]));
    assert_eq!(besides(&all), [given(OTHER_ASSET, U256::MAX)]);
    let swap = "swapTokensForExactETH(uint256,uint256,address[],address,uint256)";
    let all =
        at(v2, 0, encoded(swap, &[uint(5), uint(7), tokens.clone(), to.clone(), end.clone()]));
    assert_eq!(spent(&all), Some(vec![out(TOKEN_ASSET, 7)]));
    assert_eq!(besides(&all), [given(Asset::Native, number(5))]);
    let swap = "swapETHForExactTokens(uint256,address[],address,uint256)";
    let all = at(v2, 3, encoded(swap, &[uint(5), tokens, to.clone(), end.clone()]));
    assert_eq!((spent(&all), all[0].value_wei), (Some(vec![]), number(3)));
    let args = [uint(7), uint(5), addresses(&[TOKEN]), to, end];
    let short =
        encoded("swapExactTokensForTokens(uint256,uint256,address[],address,uint256)", &args);
    assert!(matches!(at(v2, 0, short)[0].effect, Effect::Undecodable { .. }));
    let params = V::Tuple(vec![V::Bytes(path()), V::Address(SELF), uint(5), uint(7)]);
    let swap = "exactOutput((bytes,address,uint256,uint256))";
    let all = at(Container::UniswapV3Router, 0, encoded(swap, &[params]));
    assert_eq!(spent(&all), Some(vec![out(OTHER_ASSET, 7)]));
}

#[test]
fn aggregators_tell_what_they_take() {
    let order = |from, to| {
        let own = [V::Address(from), V::Address(OTHER), V::Address(STRANGER), V::Address(to)];
        V::Tuple([&own[..], &[uint(7), uint(5), uint(0)]].concat())
    };
    let types = "swap(address,(address,address,address,address,uint256,uint256,uint256),bytes)";
    let swap = |from, to| {
        encoded(types, &[V::Address(STRANGER), order(from, to), V::Bytes(vec![1, 2, 3])])
    };
    let one_inch = Container::OneInchRouter;
    let own = at(one_inch, 0, swap(TOKEN, Address::ZERO));
    assert_eq!((spent(&own), besides(&own)), (Some(vec![out(TOKEN_ASSET, 7)]), vec![]));
    let native = address!("EeeeeEeeeEeEeeEeEeEeeEEEeeeeEeeeeeeeEEeE");
    let theirs = at(one_inch, 7, swap(native, BOB));
    assert_eq!(spent(&theirs), Some(vec![]));
    assert_eq!(besides(&theirs), [given(OTHER_ASSET, U256::MAX)]);
    let sell = encoded(
        "sellToUniswap(address[],uint256,uint256,bool)",
        &[addresses(&[TOKEN, OTHER]), uint(7), uint(5), V::Bool(false)],
    );
    assert_eq!(spent(&at(Container::ZeroEx, 0, sell)), Some(vec![out(TOKEN_ASSET, 7)]));
    let exec = [V::Address(BOB), V::Address(TOKEN), uint(7), V::Address(BOB), V::Bytes(vec![1])];
    let exec =
        at(Container::ZeroEx, 0, encoded("exec(address,address,uint256,address,bytes)", &exec));
    assert_eq!(
        (spent(&exec), besides(&exec)),
        (None, vec![allowed(TOKEN_ASSET, SELF, number(7), false)])
    );
}

#[test]
fn lending_gives_to_the_caller_or_pays_somebody_else() {
    let aave = Container::AavePool;
    let supply = |to| {
        let args = [V::Address(TOKEN), uint(7), V::Address(to), small(0, 16)];
        encoded("supply(address,uint256,address,uint16)", &args)
    };
    let own = at(aave, 0, supply(SELF));
    assert_eq!((spent(&own), besides(&own)), (Some(vec![out(TOKEN_ASSET, 7)]), vec![]));
    let theirs = at(aave, 0, supply(BOB));
    assert_eq!(spent(&theirs), Some(vec![]));
    assert_eq!(besides(&theirs), [sent(TOKEN_ASSET, SELF, BOB, 7)]);
    let withdraw = |to| {
        encoded("withdraw(address,uint256,address)", &[V::Address(TOKEN), uint(7), V::Address(to)])
    };
    assert_eq!(besides(&at(aave, 0, withdraw(SELF))), []);
    assert_eq!(besides(&at(aave, 0, withdraw(BOB))), [given(TOKEN_ASSET, number(7))]);
    let allow = |yes| encoded("allow(address,bool)", &[V::Address(BOB), V::Bool(yes)]);
    let all = Asset::Collection(HERE);
    let comet = Container::Comet;
    assert_eq!(besides(&at(comet, 0, allow(true))), [allowed(all.clone(), SELF, U256::MAX, true)]);
    assert_eq!(besides(&at(comet, 0, allow(false))), [revoked(all)]);
}

#[test]
fn a_debt_is_paid_back_whole_borrowed_for_somebody_or_lent_for_an_instant() {
    let aave = Container::AavePool;
    let repay = |amount, of| {
        let args = [V::Address(TOKEN), V::Uint(amount, 256), uint(2), V::Address(of)];
        at(aave, 0, encoded("repay(address,uint256,uint256,address)", &args))
    };
    assert_eq!(spent(&repay(number(7), SELF)), Some(vec![out(TOKEN_ASSET, 7)]));
    assert_eq!(spent(&repay(U256::MAX, SELF)), None, "how much that is only the chain knows");
    let all_of_theirs =
        Effect::Transfer { asset: TOKEN_ASSET, from: SELF, to: BOB, amount: U256::MAX };
    assert_eq!(besides(&repay(U256::MAX, BOB)), [all_of_theirs]);
    let borrow = |of| {
        let args = [V::Address(TOKEN), uint(7), uint(2), small(0, 16), V::Address(of)];
        at(aave, 0, encoded("borrow(address,uint256,uint256,uint16,address)", &args))
    };
    assert_eq!((spent(&borrow(SELF)), besides(&borrow(SELF))), (Some(vec![]), vec![]));
    assert_eq!(besides(&borrow(BOB)), [sent(TOKEN_ASSET, BOB, SELF, 7)]);
    let flash = [V::Address(BOB), V::Address(TOKEN), uint(7), V::Bytes(vec![]), small(0, 16)];
    let flash =
        at(aave, 0, encoded("flashLoanSimple(address,address,uint256,bytes,uint16)", &flash));
    assert_eq!((spent(&flash), besides(&flash)), (None, vec![given(TOKEN_ASSET, number(7))]));
    let word = |n| V::FixedBytes(FixedBytes::repeat_byte(n), 32);
    let supply = [V::Address(TOKEN), uint(7), V::Address(SELF), small(0, 16), uint(9)];
    let signed = [&supply[..], &[small(27, 8), word(1), word(2)]].concat();
    let types = "supplyWithPermit(address,uint256,address,uint16,uint256,uint8,bytes32,bytes32)";
    let signed = at(aave, 0, encoded(types, &signed));
    assert_eq!(spent(&signed), Some(vec![out(TOKEN_ASSET, 7)]));
    let asset = TOKEN_ASSET;
    let (owner, spender, amount) = (SELF, HERE, number(7));
    let pulls = Effect::Approve { asset, owner, spender, amount, unlimited: false, deadline: None };
    assert_eq!(besides(&signed), [pulls]);
}

#[test]
fn an_order_that_is_taken_costs_what_the_taker_says_at_most() {
    let order = |taker_asset: U256| {
        let words = [U256::ZERO, word(BOB), U256::ZERO, word(OTHER), taker_asset];
        let rest = [number(50), number(70), U256::ZERO];
        V::Tuple(words.into_iter().chain(rest).map(|word| V::Uint(word, 256)).collect())
    };
    let types = "fillOrderArgs((uint256,uint256,uint256,uint256,uint256,uint256,uint256,uint256),bytes32,bytes32,uint256,uint256,bytes)";
    let fill = |asset: U256, traits: U256, args: Vec<u8>| {
        let zero = V::FixedBytes(FixedBytes::ZERO, 32);
        let args =
            [order(asset), zero.clone(), zero, uint(7), V::Uint(traits, 256), V::Bytes(args)];
        at(Container::OneInchRouter, 0, encoded(types, &args))
    };
    let bit = |n: usize| U256::ONE.wrapping_shl(n);
    let token = word(TOKEN);
    assert_eq!(spent(&fill(token, number(3), vec![])), Some(vec![out(TOKEN_ASSET, 7)]));
    assert_eq!(spent(&fill(token, bit(255) | number(9), vec![])), Some(vec![out(TOKEN_ASSET, 9)]));
    let unbound = Outflow { asset: TOKEN_ASSET, amount: U256::MAX };
    assert_eq!(spent(&fill(token, bit(255), vec![])), Some(vec![unbound]));
    let theirs = fill(token, bit(251), BOB.to_vec());
    assert_eq!(besides(&theirs), [given(OTHER_ASSET, U256::MAX)]);
    for unread in [fill(token | bit(160), U256::ZERO, vec![]), fill(token, bit(251), vec![1; 19])] {
        assert!(matches!(unread[0].effect, Effect::Undecodable { .. }));
    }
}

#[test]
fn vaults_and_the_wrapped_currency_keep_track_of_whose_money_it_is() {
    let weth = Container::Weth;
    let all = at(weth, 5, encoded("deposit()", &[]));
    assert_eq!((spent(&all), all[0].value_wei, all.len()), (Some(vec![]), number(5), 1));
    assert_eq!(spent(&at(weth, 0, encoded("withdraw(uint256)", &[uint(5)]))), Some(vec![]));
    let theirs = at(weth, 5, encoded("depositTo(address)", &[V::Address(BOB)]));
    assert_eq!(besides(&theirs), [sent(Asset::Native, SELF, BOB, 5)]);
    let vault = Container::Erc4626;
    let shares = Asset::Token(HERE);
    let deposit = |to| encoded("deposit(uint256,address)", &[uint(7), V::Address(to)]);
    assert_eq!(spent(&at(vault, 0, deposit(SELF))), None);
    assert_eq!(besides(&at(vault, 0, deposit(BOB))), [given(shares.clone(), U256::MAX)]);
    let redeem = |to, owner| {
        let args = [uint(7), V::Address(to), V::Address(owner)];
        at(vault, 0, encoded("redeem(uint256,address,address)", &args))
    };
    assert_eq!((spent(&redeem(SELF, SELF)), redeem(SELF, SELF).len()), (Some(vec![]), 1));
    assert_eq!(besides(&redeem(BOB, SELF)), [sent(shares.clone(), SELF, BOB, 7)]);
    assert_eq!(besides(&redeem(SELF, ALICE)), [sent(shares, ALICE, SELF, 7)]);
}

#[test]
fn bridges_tell_for_whom() {
    let bridge =
        |value, signature: &str, args: &[V]| at(Container::Bridge, value, encoded(signature, args));
    let burn = |to| {
        let args = [uint(7), small(6, 32), to, V::Address(TOKEN)];
        bridge(0, "depositForBurn(uint256,uint32,bytes32,address)", &args)
    };
    assert_eq!(spent(&burn(word_of(SELF))), Some(vec![out(TOKEN_ASSET, 7)]));
    assert_eq!(besides(&burn(word_of(SELF))), []);
    assert_eq!(besides(&burn(word_of(BOB))), [sent(TOKEN_ASSET, SELF, BOB, 7)], "CD-23");
    let foreign = burn(V::FixedBytes(FixedBytes::repeat_byte(7), 32));
    assert!(matches!(foreign[0].effect, Effect::Undecodable { .. }), "CD-23");
    let to = [V::Address(BOB), small(9, 32), V::Bytes(vec![])];
    let ether = bridge(5, "bridgeETHTo(address,uint32,bytes)", &to);
    assert_eq!(besides(&ether), [sent(Asset::Native, SELF, BOB, 5)]);
    assert_eq!(ether[0].value_wei, U256::ZERO);
    let deposit = [V::Address(BOB), uint(5), small(9, 64), V::Bool(false), V::Bytes(vec![1])];
    let called = bridge(5, "depositTransaction(address,uint256,uint64,bool,bytes)", &deposit);
    assert!(matches!(called[0].effect, Effect::Undecodable { .. }));
}

fn router(commands: &[u8], inputs: &[Vec<u8>]) -> Vec<u8> {
    let args = [V::Bytes(commands.to_vec()), blobs(inputs), uint(9)];
    encoded("execute(bytes,bytes[],uint256)", &args)
}

fn input(values: &[V]) -> Vec<u8> {
    V::Tuple(values.to_vec()).abi_encode_params()
}

const ME: Address = Address::with_last_byte(1);
const ROUTER_ITSELF: Address = Address::with_last_byte(2);

fn v3_in(to: Address) -> Vec<u8> {
    input(&[V::Address(to), uint(7), uint(5), V::Bytes(path()), V::Bool(true)])
}

fn payment(to: Address) -> Vec<u8> {
    input(&[V::Address(OTHER), V::Address(to), uint(5)])
}

#[test]
fn a_universal_router_is_read_command_by_command() {
    let universal = Container::UniversalRouter;
    let swap = router(&[0, 4], &[v3_in(ROUTER_ITSELF), payment(ME)]);
    let own = at(universal, 0, swap);
    assert_eq!((spent(&own), besides(&own)), (Some(vec![out(TOKEN_ASSET, 7)]), vec![]));
    let recipient = |action: &Action| action.functions[0].args.at("recipient").cloned();
    assert_eq!(recipient(&own[0]), Some(AbiValue::Address(HERE)));
    assert_eq!(recipient(&own[1]), Some(AbiValue::Address(SELF)));
    let signature = "V3_SWAP_EXACT_IN(address,uint256,uint256,bytes,bool)";
    assert_eq!(own[0].functions[0].signature, signature);
    for command in [4, 5, 6] {
        let theirs = at(universal, 0, router(&[command], &[payment(BOB)]));
        let Effect::Transfer { to, .. } = besides(&theirs)[0] else { panic!("CD-7") };
        assert_eq!(to, BOB, "CD-7");
    }
    assert_eq!(
        besides(&at(universal, 0, router(&[0], &[v3_in(BOB)]))),
        [given(OTHER_ASSET, U256::MAX)]
    );
    let plan = input(&[V::Bytes(vec![5]), blobs(&[payment(BOB)])]);
    let deep = at(universal, 0, router(&[0x21], &[plan]));
    assert_eq!((deep[0].depth, besides(&deep)), (2, vec![given(OTHER_ASSET, number(5))]));
    let paying = at(universal, 3, router(&[0x0b], &[input(&[V::Address(ME), uint(3)])]));
    assert_eq!((paying[0].value_wei, paying.len()), (number(3), 2));
}

#[test]
fn a_command_that_may_fail_or_that_nobody_knows_is_not_understood() {
    let universal = Container::UniversalRouter;
    for (commands, inputs) in [
        (vec![0x80], vec![v3_in(ME)]),
        (vec![0x40], vec![v3_in(ME)]),
        (vec![0x07], vec![vec![]]),
        (vec![0x3f], vec![vec![]]),
        (vec![0x00], vec![]),
        (vec![0x00], vec![payment(ME)]),
        (vec![0x00], vec![[v3_in(ME), vec![0; 32]].concat()]),
    ] {
        for to in [HERE, STRANGER] {
            let mut registry = Registry::new();
            registry.add_container(HERE, universal);
            let data = Bytes::from(router(&commands, &inputs));
            let call = Call { wallet: SELF, to: Some(to), value: U256::ZERO, data: &data };
            let [action] = actions(&call, &registry).try_into().unwrap();
            assert!(matches!(action.effect, Effect::Undecodable { .. }), "CD-7 {commands:?}");
        }
    }
}

#[test]
fn what_a_router_may_take_by_permit2_is_an_allowance_or_a_transfer_of_the_callers() {
    let universal = Container::UniversalRouter;
    let details = [V::Address(TOKEN), V::Uint(number(7), 160), small(99, 48), small(0, 48)];
    let permit = V::Tuple(vec![V::Tuple(details.to_vec()), V::Address(BOB), uint(99)]);
    let all = at(universal, 0, router(&[0x0a], &[input(&[permit, V::Bytes(vec![1; 65])])]));
    let expect = Effect::Approve {
        asset: TOKEN_ASSET,
        owner: SELF,
        spender: BOB,
        amount: number(7),
        unlimited: false,
        deadline: Some(number(99)),
    };
    assert_eq!((all[0].effect.clone(), all[0].via, all.len()), (expect, Via::Signature, 1));
    let pull = |to| input(&[V::Address(TOKEN), V::Address(to), V::Uint(number(7), 160)]);
    let all = at(universal, 0, router(&[0x02], &[pull(BOB)]));
    assert_eq!(besides(&all), [sent(TOKEN_ASSET, SELF, BOB, 7)]);
    let all = at(universal, 0, router(&[0x02], &[pull(ROUTER_ITSELF)]));
    assert_eq!(spent(&all), Some(vec![out(TOKEN_ASSET, 7)]));
}

#[test]
fn a_v4_swap_settles_at_most_what_it_swaps() {
    let key = V::Tuple(vec![
        V::Address(TOKEN),
        V::Address(OTHER),
        small(3000, 24),
        V::Int(I256::try_from(60).unwrap(), 24),
        V::Address(Address::ZERO),
    ]);
    let swap = input(&[V::Tuple(vec![
        key,
        V::Bool(true),
        small(7, 128),
        small(5, 128),
        V::Bytes(vec![]),
    ])]);
    let settle = |amount| input(&[V::Address(TOKEN), uint(amount), V::Bool(true)]);
    let all_in = input(&[V::Address(TOKEN), uint(8)]);
    let take = |to| input(&[V::Address(OTHER), V::Address(to), uint(0)]);
    let run = |actions: &[u8], params: &[Vec<u8>]| {
        let v4 = input(&[V::Bytes(actions.to_vec()), blobs(params)]);
        at(Container::UniversalRouter, 0, router(&[0x10], &[v4]))
    };
    let all = run(&[6, 0x0b, 0x0e], &[swap.clone(), settle(0), take(ME)]);
    assert_eq!((spent(&all), besides(&all)), (Some(vec![out(TOKEN_ASSET, 7)]), vec![]));
    let all = run(&[6, 0x0c, 0x0e], &[swap.clone(), all_in, take(BOB)]);
    assert_eq!(spent(&all), Some(vec![out(TOKEN_ASSET, 8)]));
    assert_eq!(besides(&all), [given(OTHER_ASSET, U256::MAX)]);
    let open = run(&[0x0b], &[settle(0)]);
    assert_eq!(spent(&open), Some(vec![Outflow { asset: TOKEN_ASSET, amount: U256::MAX }]));
    assert!(matches!(run(&[0x12], &[vec![]])[0].effect, Effect::Undecodable { .. }));
}
