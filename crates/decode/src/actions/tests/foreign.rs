//! Whether what is moved belongs to who asks or acts, or to somebody else.

use alloy_dyn_abi::DynSolValue as V;

use super::{
    containers::{
        ACCOUNT, ENTRY, MULTICALL3, SAFE, SafeCall, aggregate, at, encoded, execute, handle_ops,
        operation, pay, safe, uint, world,
    },
    *,
};
use crate::Container;

/// Of each transfer, in order, whether it is of somebody else's.
fn foreign(actions: &[Action]) -> Vec<bool> {
    let transfers = actions.iter().filter(|action| action.effect.kind() == "transfer");
    transfers.map(|action| action.foreign).collect()
}

fn pulled(from: Address) -> Vec<u8> {
    let args = [V::Address(from), V::Address(BOB), uint(7)];
    encoded("transferFrom(address,address,uint256)", &args)
}

#[test]
fn a_standard_moves_what_its_caller_or_the_wallet_has_or_what_is_somebody_elses() {
    let items = |from| {
        let [from, to, seven] = [V::Address(from), V::Address(BOB), uint(7)];
        encoded("safeTransferFrom(address,address,uint256)", &[from, to, seven])
    };
    let signed = |from: Address| {
        let words = [word(from), word(BOB), number(7), number(0), number(9), number(1)];
        let words = [&words[..], &[number(27), number(1), number(2)]].concat();
        data(
            "transferWithAuthorization(address,address,uint256,uint256,uint256,bytes32,uint8,bytes32,bytes32)",
            &words,
        )
    };
    let by_permit2 = |from: Address| {
        let words = [word(from), word(BOB), number(7), word(TOKEN)];
        data("transferFrom(address,address,uint160,address)", &words)
    };
    for (to, calldata, expect) in [
        (TOKEN, pay(BOB, 7), false),
        (TOKEN, pulled(SELF), false),
        (TOKEN, pulled(ALICE), true),
        (TOKEN, pulled(TOKEN), true),
        (ITEMS, items(SELF), false),
        (ITEMS, items(ALICE), true),
        (TOKEN, signed(SELF), false),
        (TOKEN, signed(ALICE), true),
        (PERMIT2, by_permit2(SELF), false),
        (PERMIT2, by_permit2(ALICE), true),
        // an account that does not act in this request is somebody else
        (TOKEN, pulled(SAFE), true),
    ] {
        assert_eq!(foreign(&at(to, 0, calldata.clone())), [expect], "{to} {calldata:02x?}");
    }
}

#[test]
fn an_account_that_acts_moves_its_own() {
    let by_safe = |data| safe(SafeCall { to: TOKEN, value: 0, data, operation: 0, gas_price: 0 });
    for (to, calldata, expect) in [
        (MULTICALL3, aggregate(&[(TOKEN, 0, pay(BOB, 7))]), false),
        (MULTICALL3, aggregate(&[(TOKEN, 0, pulled(SELF))]), false),
        (MULTICALL3, aggregate(&[(TOKEN, 0, pulled(ALICE))]), true),
        (SAFE, by_safe(pay(BOB, 7)), false),
        (SAFE, by_safe(pulled(SAFE)), false),
        (SAFE, by_safe(pulled(ALICE)), true),
        (ACCOUNT, execute(TOKEN, 0, pay(BOB, 7)), false),
        (ACCOUNT, execute(TOKEN, 0, pulled(SAFE)), true),
    ] {
        assert_eq!(foreign(&at(to, 0, calldata.clone())), [expect], "{to} {calldata:02x?}");
    }
    let value = at(MULTICALL3, 5, aggregate(&[(BOB, 5, Vec::new())]));
    assert_eq!(foreign(&value), [false], "{value:?}");
    let operations = handle_ops(vec![operation(ACCOUNT, execute(TOKEN, 0, pay(BOB, 7)), 3)]);
    assert_eq!(foreign(&at(ENTRY, 0, operations)), [false, false], "the payment, and its gas");
}

#[test]
fn what_a_registered_contract_holds_for_somebody_else_is_theirs() {
    let withdraw = |owner| {
        let args = [uint(7), V::Address(BOB), V::Address(owner)];
        encoded("withdraw(uint256,address,address)", &args)
    };
    for (owner, expect) in [(SELF, false), (ALICE, true)] {
        let mut registry = world();
        registry.add_container(ROUTER, Container::Erc4626);
        let data = Bytes::from(withdraw(owner));
        let call = Call { wallet: SELF, to: Some(ROUTER), value: U256::ZERO, data: &data };
        assert_eq!(foreign(&actions(&call, &registry)), [expect], "{owner}");
    }
}

#[test]
fn gas_that_a_paymaster_pays_is_the_paymasters() {
    let V::Tuple(mut fields) = operation(ACCOUNT, Vec::new(), 3) else {
        panic!("an operation is a tuple");
    };
    fields[7] = V::Bytes([BOB.as_slice(), &[0; 32]].concat());
    let all = at(ENTRY, 0, handle_ops(vec![V::Tuple(fields)]));
    assert_eq!(foreign(&all).last(), Some(&true), "{all:?}");
}
