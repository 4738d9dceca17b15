#![expect(clippy::arithmetic_side_effects, reason = "test arithmetic on small known numbers")]

mod property;

use std::time::Duration;

use alloy_primitives::{U256, hex};

use super::*;

fn function(text: &str) -> AbiFunction {
    AbiFunction::parse(text).unwrap()
}

fn word(number: u64) -> [u8; 32] {
    U256::from(number).to_be_bytes()
}

/// A call from words of hex without leading zeros; `_` stands for a word of 32 bytes as it is.
fn calldata(function: &AbiFunction, words: &[&str]) -> Vec<u8> {
    let mut data = function.selector().to_vec();
    for word in words {
        data.extend(match word.strip_prefix('_') {
            Some(whole) => hex::decode(format!("{whole:0<64}")).unwrap(),
            None => hex::decode(format!("{word:0>64}")).unwrap(),
        });
    }
    data
}

fn check(signature: &str, words: &[&str], expect: Result<AbiValue, DecodeError>) {
    let function = function(signature);
    let found = decode_call(&function, &calldata(&function, words));
    assert_eq!(found, expect.map(|v| AbiValue::Tuple(vec![("0".into(), v)])), "{signature}");
}

const MAX: &str = "_ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff";

#[test]
fn each_type_is_read_from_its_canonical_encoding() {
    let one = AbiValue::Uint(U256::ONE);
    let list = |items: &[AbiValue]| AbiValue::List(items.to_vec());
    let pair = |a: AbiValue, b: AbiValue| AbiValue::Tuple(vec![("0".into(), a), ("b".into(), b)]);
    let text = AbiValue::Text("hé".into());
    check("f(uint8)", &["ff"], Ok(AbiValue::Uint(U256::from(255))));
    check("f(int8)", &[MAX], Ok(AbiValue::Int(I256::MINUS_ONE)));
    check("f(int256)", &[MAX], Ok(AbiValue::Int(I256::MINUS_ONE)));
    check("f(bool)", &["1"], Ok(AbiValue::Bool(true)));
    check("f(bytes3)", &["_abcdef"], Ok(AbiValue::Bytes(hex!("abcdef").into())));
    check("f(address)", &["11"], Ok(AbiValue::Address(Address::with_last_byte(0x11))));
    check("f(bytes)", &["20", "0"], Ok(AbiValue::Bytes(Bytes::new())));
    check("f(string)", &["20", "3", "_68c3a9"], Ok(text.clone()));
    check("f(uint256[2])", &["1", "1"], Ok(list(&[one.clone(), one.clone()])));
    check("f(uint256[])", &["20", "1", "1"], Ok(list(std::slice::from_ref(&one))));
    check("f(uint256[])", &["20", "0"], Ok(list(&[])));
    check("f((uint256,bool b))", &["1", "0"], Ok(pair(one.clone(), AbiValue::Bool(false))));
    check(
        "f((uint256,string b)[])",
        &["20", "1", "20", "1", "40", "3", "_68c3a9"],
        Ok(list(&[pair(one, text)])),
    );
}

#[test]
fn what_is_not_canonical_is_refused() {
    use DecodeError::{Offset, Padding, Short, Text, Trailing};
    let long = "1000000000000000000000000000000000000000000000000000000000000000";
    check("f(uint8)", &["100"], Err(Padding(0)));
    check("f(int8)", &["80"], Err(Padding(0)));
    check(
        "f(int16)",
        &["_8000000000000000000000000000000000000000000000000000000000000000"],
        Err(Padding(0)),
    );
    check("f(bool)", &["2"], Err(Padding(0)));
    check("f(address)", &["10000000000000000000000000000000000000000"], Err(Padding(0)));
    check("f(bytes3)", &["_abcdef01"], Err(Padding(0)));
    check("f(uint256)", &[], Err(Short));
    check("f(uint256)", &["1", "0"], Err(Trailing(32)));
    check("f(bytes)", &["0"], Err(Offset(0)));
    check("f(bytes)", &["40", "0", "0"], Err(Offset(0)));
    check("f(bytes)", &[MAX, "0"], Err(Offset(0)));
    check("f(bytes)", &["20", MAX], Err(Short));
    check("f(bytes)", &["20", "21", "0"], Err(Short));
    check("f(bytes)", &["20", "1", "_ab01"], Err(Padding(65)));
    check("f(string)", &["20", "2", "_c328"], Err(Text(32)));
    check("f(uint256[])", &["20", MAX], Err(Short));
    check("f(uint256[])", &["20", long], Err(Short));
    check("f(uint256[])", &["20", "2", "1"], Err(Short));
    check("f(bytes[])", &["20", "2", "40", "40", "1", "_aa"], Err(Offset(96)));
    check("f(bytes[])", &["20", "2", "60", "40", "0", "0"], Err(Offset(64)));
    check("f((bytes))", &["20", "0", "0"], Err(Offset(32)));
}

#[test]
fn another_selector_and_too_many_bytes_are_refused() {
    let f = function("f(bytes)");
    assert_eq!(decode_call(&f, &[]), Err(DecodeError::Selector));
    assert_eq!(decode_call(&f, &f.selector()[..3]), Err(DecodeError::Selector));
    assert_eq!(decode_call(&f, &vec![0; CALLDATA_BYTES_MAX]), Err(DecodeError::Selector));
    assert_eq!(decode_call(&f, &vec![0; CALLDATA_BYTES_MAX + 1]), Err(DecodeError::TooLong));
}

#[test]
fn a_type_that_no_calldata_can_hold_reads_nothing() {
    let deep = format!("f(uint256{})", "[]".repeat(crate::TYPE_DEPTH_MAX));
    for text in ["f(uint256[4097])", "f(uint256[100000][100000][100000][100000])", deep.as_str()] {
        let f = function(text);
        assert_eq!(decode_call(&f, f.selector().as_slice()), Err(DecodeError::Type), "{text}");
    }
    let fits = format!("f(uint256{})", "[]".repeat(crate::TYPE_DEPTH_MAX - 1));
    let f = function(&fits);
    assert!(decode_call(&f, &calldata(&f, &["20", "0"])).is_ok());
}

/// The fastest of some runs, so that a busy machine does not fail the test.
fn fastest(run: impl Fn()) -> Duration {
    #[expect(clippy::disallowed_methods, reason = "the bound that is tested is one of time")]
    let time = || {
        let start = std::time::Instant::now();
        run();
        start.elapsed()
    };
    (0..20).map(|_| time()).min().unwrap()
}

#[test]
fn two_thousand_aliases_of_one_blob_are_refused_within_a_millisecond() {
    let f = function("multicall(bytes[] data)");
    let (aliases, blob) = (2_000u64, 30_016u64);
    let mut data = f.selector().to_vec();
    data.extend(word(32));
    data.extend(word(aliases));
    for _ in 0..aliases {
        data.extend(word(aliases * 32));
    }
    data.extend(word(blob));
    data.extend(vec![0xab; 30_016]);
    assert_eq!(decode_call(&f, &data), Err(DecodeError::Offset(96)));
    let took = fastest(|| drop(decode_call(&f, &data)));
    assert!(took < Duration::from_millis(1), "{took:?}");
}

#[test]
fn a_count_of_items_is_checked_against_the_calldata_before_room_is_made() {
    let f = function("f(uint256[][] x)");
    let mut data = f.selector().to_vec();
    data.extend(word(32));
    data.extend(word(131_072));
    data.extend(vec![0; 120_000]);
    assert_eq!(decode_call(&f, &data), Err(DecodeError::Short));
    assert!(fastest(|| drop(decode_call(&f, &data))) < Duration::from_millis(5));
}
