//! Random types and values in random spellings: our digest is the other implementation's.

#![expect(clippy::arithmetic_side_effects, reason = "a failed test panics")]

use alloy_primitives::{Address, I256, U256, hex};
use proptest::{prelude::*, sample::select};

use super::*;

/// A type's name, and a value of it as a client could write it.
type Member = (String, String);

fn number() -> impl Strategy<Value = U256> {
    (any::<[u64; 4]>(), 0_usize..256).prop_map(|(limbs, shift)| U256::from_limbs(limbs) >> shift)
}

fn uint() -> impl Strategy<Value = Member> {
    (1_usize..=32, number(), 0_u8..4).prop_map(|(bytes, number, spelling)| {
        let bits = bytes * 8;
        let number = number & (U256::MAX >> (256 - bits));
        let value = match spelling {
            0 => number.to_string(),
            1 => format!("\"{number}\""),
            2 => format!("\"{number:#x}\""),
            _ => format!("\"0x{number:064x}\""),
        };
        (format!("uint{bits}"), value)
    })
}

fn int() -> impl Strategy<Value = Member> {
    (1_usize..=32, number(), any::<bool>()).prop_map(|(bytes, number, quoted)| {
        let bits = bytes * 8;
        // the number's low bits, sign-extended
        let number = I256::from_raw(number << (256 - bits)).asr(256 - bits);
        let value = if quoted { format!("\"{number}\"") } else { number.to_string() };
        (format!("int{bits}"), value)
    })
}

fn bytes() -> impl Strategy<Value = Member> {
    (prop::collection::vec(any::<u8>(), 0..70), any::<bool>()).prop_map(|(bytes, fixed)| {
        let kind = match bytes.len() {
            len @ 1..=32 if fixed => format!("bytes{len}"),
            _ => "bytes".to_owned(),
        };
        (kind, format!("\"0x{}\"", hex::encode(bytes)))
    })
}

fn single() -> impl Strategy<Value = Member> {
    let address = (any::<[u8; 20]>(), any::<bool>()).prop_map(|(bytes, checked)| {
        let address = Address::from(bytes);
        let text = if checked { address.to_checksum(None) } else { format!("{address:x}") };
        let text = if text.starts_with("0x") { text } else { format!("0x{text}") };
        ("address".to_owned(), format!("\"{text}\""))
    });
    let flag = any::<bool>().prop_map(|flag| ("bool".to_owned(), flag.to_string()));
    let text = any::<String>().prop_map(|text| ("string".to_owned(), Json::Text(text).to_string()));
    prop_oneof![uint(), int(), bytes(), address, flag, text]
}

/// A value, or the same value several times in an array of some shape.
fn member() -> impl Strategy<Value = Member> {
    (single(), select(vec!["", "[]", "[2]", "[][2]", "[2][]", "[0]"])).prop_map(
        |((kind, value), shape)| match shape {
            "[]" => (format!("{kind}[]"), format!("[{value},{value},{value}]")),
            "[2]" => (format!("{kind}[2]"), format!("[{value},{value}]")),
            "[][2]" => (format!("{kind}[][2]"), format!("[[{value}],[]]")),
            "[2][]" => (format!("{kind}[2][]"), format!("[[{value},{value}]]")),
            "[0]" => (format!("{kind}[]"), "[]".to_owned()),
            _ => (kind, value),
        },
    )
}

fn fields(members: &[Member]) -> (String, String) {
    let listed = members
        .iter()
        .enumerate()
        .map(|(n, (kind, _))| format!(r#"{{"name": "f{n}", "type": "{kind}"}}"#));
    let values = members.iter().enumerate().map(|(n, (_, value))| format!(r#""f{n}": {value}"#));
    let join = |parts: Vec<String>| parts.join(", ");
    (join(listed.collect()), join(values.collect()))
}

proptest! {
    #[test]
    fn our_digest_is_the_other_implementations(
        outer in prop::collection::vec(member(), 0..6),
        inner in prop::collection::vec(member(), 0..4),
        deepest in prop::collection::vec(member(), 0..3),
    ) {
        let (outer_types, outer_values) = fields(&outer);
        let (inner_types, inner_values) = fields(&inner);
        let (deep_types, deep_values) = fields(&deepest);
        let comma = |text: &str| if text.is_empty() { "" } else { ", " };
        let types = format!(
            r#""M": [{outer_types}{}{{"name": "i", "type": "N[]"}}, {{"name": "z", "type": "A"}}],
               "N": [{inner_types}{}{{"name": "d", "type": "A[1][]"}}], "A": [{deep_types}]"#,
            comma(&outer_types), comma(&inner_types),
        );
        let item = format!("{{{inner_values}{}\"d\": [[{{{deep_values}}}]]}}", comma(&inner_values));
        let message = format!(
            "{{{outer_values}{}\"i\": [{item}, {item}], \"z\": {{{deep_values}}}}}",
            comma(&outer_values),
        );
        let text = with(&types, &message);
        let ours = parse(&text).map_err(|e| TestCaseError::fail(format!("{e}: {text}")))?;
        let canonical = ours.canonical_json();
        prop_assert_eq!(&parse(&canonical).unwrap(), &ours);
        let theirs: alloy_dyn_abi::TypedData = serde_json::from_str(&canonical).unwrap();
        prop_assert_eq!(theirs.eip712_signing_hash().unwrap(), ours.digest(), "{}", text);
        prop_assert_eq!(theirs.encode_type().unwrap(), ours.encode_type());
    }

    #[test]
    fn any_text_is_refused(text in r#"[\{\}\[\]",:a-zA-Z0-9. -]{0,200}"#) {
        prop_assert!(parse(&text).is_err());
    }

    /// One member of a good message is replaced by any value, or taken away: whatever is accepted has a
    /// digest, and reads again as itself.
    #[test]
    fn what_is_accepted_reads_again_as_itself(
        case in 0_usize..15,
        cut in any::<prop::sample::Index>(),
        piece in select(vec!["", "0", "\"\"", "null", "{}", "[]", "-1", "\"0x\"", "1.5", "\"uint\"", ",", "\\"]),
    ) {
        let vectors = json(VECTORS);
        let good = vectors.get("typed_data").unwrap().as_list().unwrap()[case].get("data").unwrap().to_string();
        let tokens: Vec<&str> = good.split_inclusive([':', ',', '[', '{']).collect();
        let at = cut.index(tokens.len());
        let changed: String =
            tokens.iter().enumerate().map(|(n, token)| if n == at { piece } else { token }).collect();
        if let Ok(read) = parse(&changed) {
            prop_assert_eq!(&parse(&read.canonical_json()).unwrap(), &read);
        }
    }
}
