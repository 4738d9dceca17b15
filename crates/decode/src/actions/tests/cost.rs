//! The largest and the worst calls: how much comes of them is bounded. How long they take is for a benchmark.

use alloy_dyn_abi::DynSolValue as V;

use super::{
    containers::{
        MULTI, MULTI_SEND, MULTICALL3, SAFE, SafeCall, aggregate, blobs, encoded, execute,
        multi_send, packed, pay, safe, uint, world,
    },
    *,
};
use crate::Container;

const UNIVERSAL: Address = address!("0000000000000000000000000000000000006666");

/// Calls of nearly the largest size, each of another shape.
fn largest() -> Vec<(&'static str, Address, Vec<u8>)> {
    let blob = vec![0xab; 120_000];
    let deep = (0..8).fold(blob.clone(), |data, _| aggregate(&[(MULTICALL3, 0, data)]));
    let many = vec![vec![1, 2, 3, 4]; 1_300];
    let entries: Vec<_> = (0..1_500).map(|_| (0, BOB, 0, vec![])).collect();
    let library = multi_send(packed(&entries));
    let batch =
        safe(SafeCall { to: MULTI_SEND, value: 0, data: library, operation: 1, gas_price: 0 });
    let sweep = V::Tuple(vec![V::Address(TOKEN), V::Address(SELF), uint(1)]).abi_encode_params();
    let commands = [V::Bytes(vec![4; 700]), blobs(&vec![sweep; 700])];
    let plan = |inner: Vec<u8>| V::Tuple(vec![V::Bytes(vec![0x21]), blobs(&[inner])]);
    let plans = (0..150).fold(vec![0xab; 32], |data, _| plan(data).abi_encode_params());
    let plans = [V::Bytes(vec![0x21]), blobs(&[plans])];
    let list =
        V::Array(vec![V::Tuple(vec![V::Address(TOKEN), uint(0), V::Bytes(pay(BOB, 1))]); 400]);
    let batches = (0..7).fold(blob, |data, _| execute(STRANGER, 0, data));
    vec![
        ("eight deep around a large blob", MULTICALL3, deep),
        ("the same where nobody knows the contracts", STRANGER, batches),
        ("thousands of small calls", MULTI, encoded("multicall(bytes[])", &[blobs(&many)])),
        ("thousands of packed calls", SAFE, batch),
        ("hundreds of commands", UNIVERSAL, encoded("execute(bytes,bytes[])", &commands)),
        ("plans inside plans", UNIVERSAL, encoded("execute(bytes,bytes[])", &plans)),
        (
            "hundreds of payments",
            STRANGER,
            encoded("executeBatch((address,uint256,bytes)[])", &[list]),
        ),
    ]
}

#[test]
fn the_largest_calls_end_within_the_bounds() {
    let mut registry = world();
    registry.add_container(UNIVERSAL, Container::UniversalRouter);
    for (what, to, data) in largest() {
        assert!(data.len() <= CALLDATA_BYTES_MAX + 8_000, "{what}: {}", data.len());
        let data = Bytes::from(data);
        let call = Call { wallet: SELF, to: Some(to), value: U256::ZERO, data: &data };
        let read = actions(&call, &registry);
        assert!((1..=LEAVES_MAX).contains(&read.len()), "{what}");
    }
}
