//! Inputs that must not get through, and what becomes of them.

use proptest::{collection::vec, prelude::*};

use super::*;

const TRANSFER: &str = "transfer(address,uint256)";

/// Calls of the token, with the reason for which they are refused.
fn refused() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let transfer = data(TRANSFER, &[word(BOB), number(7)]);
    let sloppy = |more: usize| [transfer.clone(), vec![0; more]].concat();
    let short = |len: usize| transfer[..len].to_vec();
    let dirty = word(BOB) | (U256::ONE << 160);
    let dai = "permit(address,address,uint256,uint256,bool,uint8,bytes32,bytes32)";
    let batch = "safeBatchTransferFrom(address,address,uint256[],uint256[],bytes)";
    let shared = [1, 1, 160, 160, 224, 1, 5, 0].map(number);
    let uneven = [1, 1, 160, 256, 320, 2, 5, 6, 1, 9, 0].map(number);
    let safe = "safeTransferFrom(address,address,uint256,bytes)";
    let offset = |offset| [number(1), number(1), number(1), offset, U256::ZERO];
    vec![
        ("CD-1 one byte", short(1), "too short for a selector"),
        ("CD-1 three bytes", short(3), "too short for a selector"),
        ("CD-1 selector only", short(4), "end too early"),
        ("CD-1 67 of 68 bytes", short(67), "end too early"),
        ("CD-2 one byte more", sloppy(1), "1 bytes after the last argument"),
        ("CD-2 a word more", sloppy(32), "32 bytes after the last argument"),
        ("CD-4 dirty padding", data(TRANSFER, &[dirty, number(7)]), "dirty padding"),
        ("CD-4 a bool of 2", data(dai, &[number(2); 8]), "dirty padding"),
        ("CD-4 tails that overlap", data(batch, &shared), "offset that is not canonical"),
        ("CD-4 an offset into the head", data(safe, &offset(number(0))), "not canonical"),
        ("CD-4 a shifted tail", data(safe, &offset(number(160))), "not canonical"),
        ("CD-4 an offset of 2^256-1", data(safe, &offset(U256::MAX)), "not canonical"),
        ("uneven lists", data(batch, &uneven), "as many amounts as ids"),
        ("over the limit", vec![0; CALLDATA_BYTES_MAX + 1], "more than 131072 bytes"),
    ]
}

#[test]
fn sloppy_calldata_is_undecodable_with_a_reason() {
    for (row, calldata, expect) in refused() {
        for to in [TOKEN, STRANGER, ITEMS] {
            let [action] = read(Some(to), 0, calldata.clone()).try_into().unwrap();
            let Effect::Undecodable { reason } = &action.effect else {
                panic!("{row}: {action:?}")
            };
            assert!(reason.contains(expect), "{row}: {reason}");
            assert_eq!((action.functions.len(), action.label.as_str()), (0, "call"), "{row}");
        }
    }
}

#[test]
fn two_thousand_aliases_of_one_blob_are_undecodable() {
    let mut registry = registry();
    registry.add_function(None, function("multicall(bytes[] data)"));
    let aliases = vec![number(64_000); 2_000];
    let head = [number(32), number(2_000)];
    let words = [&head[..], &aliases, &[number(30_016)]].concat();
    let mut calldata = data("multicall(bytes[])", &words);
    calldata.extend(vec![0xab; 30_016]);
    let calldata = Bytes::from(calldata);
    let call = Call { wallet: SELF, to: Some(STRANGER), value: U256::ZERO, data: &calldata };
    let [action] = actions(&call, &registry).try_into().unwrap();
    assert!(matches!(action.effect, Effect::Undecodable { .. }), "CD-5");
}

#[test]
fn an_empty_deployment_is_undecodable() {
    for value in [0, 5] {
        let [action] = read(None, value, vec![]).try_into().unwrap();
        assert!(matches!(action.effect, Effect::Undecodable { .. }), "TX-3");
        assert_eq!(action.value_wei, number(value));
    }
}

#[test]
fn zero_is_a_revocation_only_where_it_cannot_be_an_item() {
    let approve = "approve(address,uint256)";
    let zero = &[word(BOB), U256::ZERO];
    check(TOKEN, approve, zero, &[revoked(TOKEN_ASSET)]);
    check(ITEMS, approve, zero, &[allowed(item(0), SELF, U256::ONE, false)]);
    let unknown = allowed(Asset::Token(STRANGER), SELF, U256::ZERO, false);
    check(STRANGER, approve, zero, &[unknown]);
    let nobody = |asset| Effect::Revoke { asset, spender: Address::ZERO };
    check(ITEMS, approve, &[U256::ZERO, number(3)], &[nobody(item(3))]);
    check(STRANGER, approve, &[U256::ZERO; 2], &[nobody(Asset::Token(STRANGER))]);
    let most = Asset::Item { collection: ITEMS, id: U256::MAX };
    check(ITEMS, approve, &[word(BOB), U256::MAX], &[allowed(most, SELF, U256::ONE, false)]);
}

fn size(n: usize) -> U256 {
    U256::from(n)
}

/// A batch of so many items, with so many bytes of data.
fn batch(items: usize, bytes: usize) -> Vec<u8> {
    let list = [vec![size(items)], vec![U256::ONE; items]].concat();
    let list_bytes = 32 + 32 * items;
    let offsets = [160, 160 + list_bytes, 160 + 2 * list_bytes].map(size);
    let blob = [vec![size(bytes)], vec![U256::MAX; bytes / 32]].concat();
    let words = [&[word(ALICE), word(BOB)][..], &offsets, &list, &list, &blob].concat();
    data("safeBatchTransferFrom(address,address,uint256[],uint256[],bytes)", &words)
}

#[test]
fn a_batch_has_at_least_one_action_and_at_most_so_many() {
    assert_eq!(effects(ITEMS, batch(0, 0)), [Effect::Call]);
    assert_eq!(effects(ITEMS, batch(1, 0)).len(), 1);
    assert_eq!(read(Some(ITEMS), 5, batch(100, 0)).len(), 101);
    let [action] = read(Some(ITEMS), 5, batch(200, 0)).try_into().unwrap();
    assert!(matches!(action.effect, Effect::Undecodable { .. }));
    assert_eq!(action.value_wei, number(5));
}

#[test]
fn items_times_bytes_are_bounded() {
    assert_eq!(effects(ITEMS, batch(32, 16 * 1024)).len(), 32);
    assert!(matches!(effects(ITEMS, batch(64, 32 * 1024))[..], [Effect::Undecodable { .. }]));
}

fn calldata() -> impl Strategy<Value = Vec<u8>> {
    let rows = refused().into_iter().map(|(_, calldata, _)| calldata);
    let selectors: Vec<_> = rows.filter_map(|row| row.get(..4).map(<[u8]>::to_vec)).collect();
    let words = vec(prop_oneof![Just(0u64), Just(32), Just(160), any::<u64>()], 0..10);
    let plausible = (prop::sample::select(selectors), words).prop_map(|(mut calldata, words)| {
        calldata.extend(words.iter().flat_map(|n| number(*n).to_be_bytes::<32>()));
        calldata
    });
    prop_oneof![plausible, vec(any::<u8>(), 0..100)]
}

fn targets() -> impl Strategy<Value = Option<Address>> {
    let known = [TOKEN, ITEMS, ROUTER, STRANGER, PERMIT2].map(Some);
    prop::sample::select([&known[..], &[None]].concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_call_has_actions_that_carry_exactly_its_value(
        to in targets(),
        value in any::<u64>(),
        calldata in calldata(),
    ) {
        let all = read(to, value, calldata);
        prop_assert!((1..=LEAVES_MAX).contains(&all.len()));
        let sum = all.iter().fold(U256::ZERO, |sum, action| sum + action.value_wei);
        prop_assert_eq!(sum, number(value));
        prop_assert!(all.iter().all(|action| action.target == to && action.depth == 0));
        let free = all.iter().filter(|action| matches!(action.effect, Effect::Revoke { .. }));
        prop_assert!(free.map(|action| action.value_wei).all(|wei| wei.is_zero()));
    }
}
