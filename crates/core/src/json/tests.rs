use proptest::prelude::*;
use serde_json::Value;

use super::*;

const LIMITS: Limits = Limits { depth: 32, bytes: 1 << 20, members: 1000 };

fn read(text: &str) -> Result<Json, JsonError> {
    Json::parse(text.as_bytes(), LIMITS)
}

#[test]
fn what_is_json_is_read_and_written_compactly() {
    for (text, written) in [
        ("null", "null"),
        (" [ 1 , true,false ] ", "[1,true,false]"),
        (r#"{"a":{"b":[]},"c":{}}"#, r#"{"a":{"b":[]},"c":{}}"#),
        (r#""\u0065th\ud83d\ude00\/""#, "\"eth😀/\""),
        (r#""\b\f\n\r\t\"\\""#, r#""\u0008\u000c\n\r\t\"\\""#),
        ("1e400", "1e400"),
        ("-0.5E+3", "-0.5E+3"),
        (
            "115792089237316195423570985008687907853269984665640564039457584007913129639935",
            "115792089237316195423570985008687907853269984665640564039457584007913129639935",
        ),
    ] {
        assert_eq!(read(text).unwrap().to_string(), written, "{text}");
    }
}

#[test]
fn what_two_readers_could_read_differently_is_refused() {
    for (text, error) in [
        (r#"{"a":1,"a":2}"#, JsonError::Duplicate),
        (r#"{"method":1,"b":2,"m\u0065thod":3}"#, JsonError::Duplicate),
        (r#""\ud800""#, JsonError::Surrogate),
        (r#""\ud800\u0041""#, JsonError::Surrogate),
        (r#""\udc00""#, JsonError::Surrogate),
    ] {
        assert_eq!(read(text), Err(error), "{text}");
    }
    for text in [
        "",
        " ",
        "nul",
        "[1,]",
        "[,1]",
        "{,}",
        r#"{"a":1,}"#,
        r#"{"a" 1}"#,
        "{a:1}",
        "'a'",
        "01",
        "-",
        "1.",
        ".5",
        "1e",
        "+1",
        "0x1",
        "NaN",
        "1 2",
        "{}{}",
        "[]x",
        "[]\0",
        "\u{feff}[]",
        "\"a\nb\"",
        "\"\\x41\"",
        "\"\\u00g0\"",
        "\"\\u+123\"",
        "\"open",
        "[",
        "// c\n1",
    ] {
        assert!(matches!(read(text), Err(JsonError::Unexpected { .. })), "{text}");
    }
}

#[test]
fn bytes_that_are_not_utf_8_are_refused() {
    let refused = |bytes: &[u8]| Json::parse(bytes, LIMITS).is_err();
    assert!(refused(b"\"\xff\""));
    assert!(refused(b"\"\xc0\xaf\""));
    assert!(refused(b"\"\xed\xa0\x80\""));
    assert!(refused(&[0xff, 0xfe, b'[', 0, b']', 0]));
}

#[test]
fn depth_length_and_number_of_values_are_bounded() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(read(&nested(32)).is_ok());
    for depth in [33, 127, 128, 100_000] {
        assert_eq!(read(&nested(depth)), Err(JsonError::TooDeep), "{depth}");
    }
    assert_eq!(read(&"{\"a\":".repeat(33)), Err(JsonError::TooDeep));
    assert_eq!(read(&format!("[{}1]", "1,".repeat(999))), Err(JsonError::TooMany));
    assert_eq!(read(&"1".repeat(100_000)), Err(JsonError::LongNumber));
    let tight = Limits { bytes: 4, ..LIMITS };
    assert_eq!(Json::parse(b"[1,2]", tight), Err(JsonError::TooLong(4)));
}

#[test]
fn debug_never_shows_the_content() {
    assert_eq!(format!("{:?}", read(r#"{"secret":1}"#).unwrap()), "Json(..)");
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 48, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn every_value_comes_back_as_serde_json_reads_it(value in value()) {
        let ours = read(&value.to_string()).unwrap();
        let theirs: Value = serde_json::from_str(&ours.to_string()).unwrap();
        prop_assert_eq!(&theirs, &value);
        prop_assert!(read(&ours.to_string()).unwrap() == ours);
    }

    #[test]
    fn whatever_is_accepted_is_accepted_by_serde_json_with_the_same_meaning(text in "[\\[\\]{},:\"a\\\\u0-9eE.+\\- tfnrulse]{0,24}") {
        if let Ok(ours) = read(&text) {
            let theirs: Result<Value, _> = serde_json::from_str(&text);
            // a number beyond f64 is the one thing that serde_json will not hold
            if let Ok(theirs) = theirs {
                let again: Value = serde_json::from_str(&ours.to_string()).unwrap();
                prop_assert_eq!(again, theirs);
            }
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
        let _result = Json::parse(&bytes, LIMITS);
    }
}
