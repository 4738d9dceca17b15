use super::*;

fn asks(gone: Gone) -> OnChainNonce {
    OnChainNonce { contract: Address::ZERO, call: Bytes::new(), gone }
}

fn words(numbers: &[u64]) -> Vec<u8> {
    numbers.iter().flat_map(|n| U256::from(*n).to_be_bytes::<32>()).collect()
}

#[test]
fn an_answer_tells_whether_the_nonce_is_gone() {
    let above = Gone::Above { word: 0, nonce: U256::from(3) };
    let third = Gone::Above { word: 2, nonce: U256::ZERO };
    let table = [
        (above.clone(), words(&[3]), Some(false)),
        (above.clone(), words(&[4]), Some(true)),
        (above.clone(), words(&[0]), Some(false)),
        (above.clone(), Vec::new(), None),
        (above, vec![0xff; 31], None),
        (third.clone(), words(&[9, 9, 0]), Some(false)),
        (third.clone(), words(&[0, 0, 1]), Some(true)),
        (third, words(&[1, 1]), None),
        (Gone::Bit(2), words(&[4]), Some(true)),
        (Gone::Bit(2), words(&[0xfb]), Some(false)),
        (Gone::Bit(255), vec![0x80; 32], Some(true)),
        (Gone::NonZero { first: 1, last: 2 }, words(&[1, 0, 0, 1]), Some(false)),
        (Gone::NonZero { first: 1, last: 2 }, words(&[0, 1, 0, 0]), Some(true)),
        (Gone::NonZero { first: 1, last: 2 }, words(&[0, 0, 1, 0]), Some(true)),
        (Gone::NonZero { first: 1, last: 2 }, words(&[0, 1]), None),
    ];
    for (gone, answer, expected) in table {
        assert_eq!(asks(gone.clone()).is_gone(&answer), expected, "{gone:?}");
    }
}

/// Selectors as the contracts publish them.
#[test]
fn questions_are_asked_of_the_functions_that_there_are() {
    let (a, n) = (Address::ZERO, U256::ZERO);
    let table = [
        (OnChainNonce::of_permit(a, a, n), [0x7e, 0xce, 0xbe, 0x00], 1),
        (OnChainNonce::of_allowance(a, [a, a, a], n), [0x92, 0x7d, 0xa1, 0x05], 3),
        (OnChainNonce::of_bitmap(a, a, n), [0x4f, 0xe0, 0x2b, 0x44], 2),
        (OnChainNonce::of_authorization(a, a, B256::ZERO), [0xe9, 0x4a, 0x01, 0x02], 2),
        (OnChainNonce::of_seaport(a, B256::ZERO), [0x46, 0x42, 0x3a, 0xa7], 1),
        (OnChainNonce::of_cow(a, B256::ZERO, a, 0), [0x24, 0x79, 0xfb, 0x6e], 4),
        (OnChainNonce::of_safe(a, n), [0xaf, 0xfe, 0xd0, 0xe0], 0),
        (OnChainNonce::of_operation(a, a, n), [0x35, 0x56, 0x7e, 0x1a], 2),
    ];
    for (nonce, selector, words) in table {
        assert_eq!(nonce.call.get(..4), Some(&selector[..]), "{nonce:?}");
        assert_eq!(nonce.call.len(), 4 + 32 * words, "{nonce:?}");
    }
}
