use super::*;

/// Selectors as the contracts publish them.
#[test]
fn questions_are_asked_of_the_functions_that_there_are() {
    let (a, n) = (Address::ZERO, U256::ZERO);
    let table = [
        (permit(a, a, n), [0x7e, 0xce, 0xbe, 0x00], 1),
        (allowance(a, [a, a, a], n), [0x92, 0x7d, 0xa1, 0x05], 3),
        (bitmap(a, a, n), [0x4f, 0xe0, 0x2b, 0x44], 2),
        (authorization(a, a, B256::ZERO), [0xe9, 0x4a, 0x01, 0x02], 2),
        (seaport_order(a, B256::ZERO), [0x46, 0x42, 0x3a, 0xa7], 1),
        (cow_order(a, B256::ZERO, a, 0), [0x24, 0x79, 0xfb, 0x6e], 4),
        (safe(a, n), [0xaf, 0xfe, 0xd0, 0xe0], 0),
        (operation(a, a, n), [0x35, 0x56, 0x7e, 0x1a], 2),
    ];
    for (probe, selector, words) in table {
        assert_eq!(probe.call.get(..4), Some(&selector[..]), "{probe:?}");
        assert_eq!(probe.call.len(), 4 + 32 * words, "{probe:?}");
    }
}

#[test]
fn a_bit_of_the_map_is_the_nonces() {
    let nonce = U256::from(0x1_ff03);
    let probe = bitmap(Address::ZERO, Address::ZERO, nonce);
    assert_eq!(probe.call[36..], word(U256::from(0x1ff))[..]);
    let mut answer = [0xff_u8; 32];
    assert_eq!(probe.read(&answer), Some(true));
    answer[31] = 0xf7;
    assert_eq!(probe.read(&answer), Some(false));
    let last = bitmap(Address::ZERO, Address::ZERO, U256::from(255));
    assert_eq!(last.says, Says::AnyOf(U256::ONE.wrapping_shl(255)));
}
