use countersign_core::json::Limits;

use super::*;

mod random;

const VECTORS: &str = include_str!("../vectors/digests.json");

fn json(text: &str) -> Json {
    Json::parse(text.as_bytes(), Limits::REQUEST).unwrap()
}

fn parse(text: &str) -> Result<TypedData, FieldError> {
    TypedData::parse(text)
}

/// A message of one type `M` with these fields, in a domain that names a chain and a contract.
fn with(types: &str, message: &str) -> String {
    format!(
        r#"{{"types": {{"EIP712Domain": [{{"name": "chainId", "type": "uint256"}}, {{"name": "verifyingContract", "type": "address"}}], {types}}},
            "primaryType": "M", "domain": {{"chainId": 31337, "verifyingContract": "0x5FbDB2315678afecb367f032d93F642f64180aa3"}}, "message": {message}}}"#
    )
}

fn one(kind: &str, value: &str) -> String {
    with(&format!(r#""M": [{{"name": "x", "type": "{kind}"}}]"#), &format!(r#"{{"x": {value}}}"#))
}

#[test]
fn digests_are_those_of_viem_and_ethers() {
    let vectors = json(VECTORS);
    let cases = vectors.get("typed_data").unwrap().as_list().unwrap();
    assert_eq!(cases.len(), 15);
    for case in cases {
        let title = case.get("title").unwrap().as_text().unwrap();
        let data = case.get("data").unwrap();
        let read = parse(&data.to_string()).unwrap_or_else(|error| panic!("{title}: {error}"));
        let digest = read.digest().to_string();
        assert_eq!(digest, case.get("digest").unwrap().as_text().unwrap(), "{title}");
        assert_eq!(parse(&read.canonical_json()).unwrap(), read, "{title}");
        let theirs: alloy_dyn_abi::TypedData =
            serde_json::from_str(&read.canonical_json()).unwrap();
        assert_eq!(theirs.eip712_signing_hash().unwrap(), read.digest(), "{title}");
    }
}

/// All spellings of one value are one message.
#[test]
fn values_are_read_as_clients_write_them() {
    let max = "115792089237316195423570985008687907853269984665640564039457584007913129639935";
    let hex_max = format!("\"0x{}\"", "f".repeat(64));
    let padded = format!("\"0x{}1\"", "0".repeat(63));
    let address = "\"0x5fbdb2315678afecb367f032d93f642f64180aa3\"";
    let table: &[(&str, &[&str])] = &[
        (
            "uint256",
            &[max, &format!("\"{max}\""), &hex_max, &hex_max.to_uppercase().replace("0X", "0x")],
        ),
        ("uint256", &["1", "\"1\"", "\"0x1\"", "\"0x01\"", &padded]),
        ("uint8", &["0", "\"0\"", "\"0x0\"", "\"0x00\""]),
        ("int8", &["-128", "\"-128\""]),
        ("int8", &["127", "\"127\"", "\"0x7f\"", "\"0x7F\""]),
        ("bytes4", &["\"0xdeadbeef\"", "\"0xDEADBEEF\"", "\"0xDeadBeef\""]),
        ("bytes", &["\"0xab\"", "\"0xAB\""]),
        (
            "address",
            &[
                address,
                "\"0x5FbDB2315678afecb367f032d93F642f64180aa3\"",
                "\"0x5FBDB2315678AFECB367F032D93F642F64180AA3\"",
            ],
        ),
        ("string", &["\"a\"", "\"\\u0061\""]),
    ];
    for (kind, spellings) in table {
        let read = spellings.iter().map(|value| {
            parse(&one(kind, value)).unwrap_or_else(|error| panic!("{kind} {value}: {error}"))
        });
        let read: Vec<TypedData> = read.collect();
        assert!(read.windows(2).all(|pair| pair[0] == pair[1]), "{kind} {spellings:?}");
    }
}

/// 2^256.
const ABOVE: &str =
    "115792089237316195423570985008687907853269984665640564039457584007913129639936";

/// Values that their types do not have.
const MISFITS: &[(&str, &[&str])] = &[
    (
        "uint256",
        &[
            ABOVE,
            "-1",
            "\"-1\"",
            "1.0",
            "1e3",
            "5e0",
            "\"\"",
            "\"0x\"",
            "\"1_0\"",
            "\" 1\"",
            "\"1 \"",
            "\"+1\"",
            "\"01\"",
            "\"1.0\"",
            "\"1e3\"",
            "\"0X1\"",
            "\"0b1\"",
            "\"0o7\"",
            "\"ff\"",
            "\"0x1_0\"",
            "\"-0\"",
            "-0",
            "null",
            "true",
            "[]",
            "{}",
            "\"\u{661}\"",
        ],
    ),
    ("uint8", &["256", "\"256\"", "\"0x100\"", "\"0x0ff0\""]),
    ("int8", &["128", "-129", "\"0x80\"", "\"-0x1\""]),
    (
        "int256",
        &[
            ABOVE,
            "\"-57896044618658097711785492504343953926634992332820282019728792003956564819969\"",
        ],
    ),
    ("bool", &["\"true\"", "\"false\"", "0", "1", "null", "\"0x1\""]),
    (
        "address",
        &[
            "\"0x5FBDB2315678afecb367f032d93F642f64180aa3\"",
            "\"\"",
            "\"0x\"",
            "\"0x00\"",
            "0",
            "\"5fbdb2315678afecb367f032d93f642f64180aa3\"",
            "\"vitalik.eth\"",
            "null",
            "\"0x0000000000000000000000005fbdb2315678afecb367f032d93f642f64180aa3\"",
        ],
    ),
    ("bytes4", &["\"0xdeadbe\"", "\"0xdeadbeef00\"", "\"0x\"", "\"deadbeef\"", "1", "[1,2,3,4]"]),
    ("bytes", &["\"0xa\"", "\"ab\"", "\"\"", "\"hello\"", "[0]", "{\"0\": 1}", "null"]),
    ("string", &["1", "null", "true", "[]"]),
    ("uint8[2]", &["[1]", "[1,2,3]", "[]", "\"12\"", "{\"0\": 1, \"1\": 2}"]),
    ("uint8[]", &["1", "null", "{}", "[null]", "[1,[2]]", "[256]"]),
    ("uint8[][2]", &["[[1]]", "[1,2]"]),
];

#[test]
fn a_value_that_does_not_fit_its_type_is_refused() {
    for (kind, values) in MISFITS {
        for value in *values {
            let error = parse(&one(kind, value)).expect_err(&format!("{kind} {value}"));
            assert!(error.field.starts_with("message.x"), "{kind} {value}: {error}");
        }
    }
}

#[test]
fn a_message_that_does_not_fit_its_types_is_refused() {
    let inner = r#""M": [{"name": "a", "type": "N[]"}], "N": [{"name": "b", "type": "uint8"}]"#;
    let table = [
        ("{}", "message.a"),
        (r#"{"a": [], "c": 1}"#, "message.c"),
        (r#"{"a": [{}]}"#, "message.a[0].b"),
        (r#"{"a": [{"b": 1}, {"b": 1, "extra": 2}]}"#, "message.a[1].extra"),
        (r#"{"a": [{"b": 1}, {"b": 256}]}"#, "message.a[1].b"),
        (r#"{"a": [null]}"#, "message.a[0]"),
        ("[]", "message"),
    ];
    for (message, field) in table {
        let error = parse(&with(inner, message)).expect_err(message);
        assert_eq!(error.field, field, "{error}");
    }
}

#[test]
fn a_type_that_readers_could_read_differently_is_refused() {
    let kinds = [
        "uint",
        "int",
        "uint7",
        "uint0",
        "uint264",
        "uint08",
        "uint256 ",
        " uint256",
        "int1",
        "bytes0",
        "bytes33",
        "byte",
        "Nowhere",
        "M",
        "M[]",
        "EIP712Domain",
        "function",
        "fixed",
        "",
        "[]",
        "uint8[",
        "uint8[]]",
        "uint8[0]",
        "uint8[01]",
        "uint8[-1]",
        "uint8[9999999999999999]",
        "uint8[1][][][][]",
        "(uint8)",
        "address payable",
        "N,uint8 y",
        "tuple",
    ];
    for kind in kinds {
        let error = parse(&one(kind, "{}")).expect_err(kind);
        assert!(error.field.starts_with("types."), "{kind}: {error}");
    }
}

#[test]
fn types_that_are_not_plain_lists_of_fields_are_refused() {
    let types = [
        r#""M": [{"name": "x", "type": "N"}], "N": [{"name": "y", "type": "O"}], "O": [{"name": "z", "type": "N[]"}]"#,
        r#""M": [], "uint8": []"#,
        r#""M": [], "bytes77": []"#,
        r#""M": [], "string": []"#,
        r#""M": [], "A B": []"#,
        r#""M": [], "": []"#,
        r#""M": [], "A(uint8 b)": []"#,
        r#""M": [], "A:": []"#,
        r#""M": [], "N[]": []"#,
        r#""M": {}"#,
        r#""M": [1]"#,
        r#""M": [{"name": "x"}]"#,
        r#""M": [{"name": "x", "type": "uint8", "indexed": true}]"#,
        r#""M": [{"name": "", "type": "uint8"}]"#,
        r#""M": [{"name": "a b", "type": "uint8"}]"#,
        r#""M": [{"name": "x", "type": "uint8"}, {"name": "x", "type": "uint8"}]"#,
        r#""N": []"#,
    ];
    for types in types {
        assert!(parse(&with(types, "{}")).is_err(), "{types}");
    }
}

#[test]
fn a_domain_on_which_readers_disagree_is_refused() {
    let name = r#"{"name": "name", "type": "string"}"#;
    let chain = r#"{"name": "chainId", "type": "uint256"}"#;
    let contract = r#"{"name": "verifyingContract", "type": "address"}"#;
    let at = r#""verifyingContract": "0x5FbDB2315678afecb367f032d93F642f64180aa3""#;
    let text = |listed: &str, domain: &str| {
        format!(
            r#"{{"types": {{"EIP712Domain": [{listed}], "M": []}}, "primaryType": "M", "domain": {{{domain}}}, "message": {{}}}}"#
        )
    };
    let good = format!("{name}, {chain}, {contract}");
    for id in ["1", "\"1\"", "\"0x1\""] {
        let domain = format!(r#"{at}, "chainId": {id}, "name": "a""#);
        assert_eq!(parse(&text(&good, &domain)).unwrap().chain(), Some(ChainId(1)));
    }
    assert_eq!(parse(&text("", "")).unwrap().chain(), None);
    let table = [
        (good.clone(), format!(r#"{at}, "chainId": 1"#)),
        (good.clone(), format!(r#"{at}, "chainId": 1, "name": "a", "version": "1""#)),
        (good.clone(), format!(r#"{at}, "chainId": 1, "name": null"#)),
        (good.clone(), format!(r#"{at}, "chainId": 1, "name": "a", "extra": "1""#)),
        (good.clone(), format!(r#"{at}, "chainId": 1.0, "name": "a""#)),
        (good.clone(), format!(r#"{at}, "chainId": "1 ", "name": "a""#)),
        (good.clone(), format!(r#"{at}, "chainId": 18446744073709551616, "name": "a""#)),
        (format!("{chain}, {name}, {contract}"), format!(r#"{at}, "chainId": 1, "name": "a""#)),
        (chain.replace("uint256", "int256"), r#""chainId": 1"#.to_owned()),
        (chain.replace("uint256", "uint64"), r#""chainId": 1"#.to_owned()),
        (name.replace("\"name\", \"type", "\"title\", \"type"), r#""title": "a""#.to_owned()),
        (format!("{name}, {name}"), r#""name": "a""#.to_owned()),
        (String::new(), r#""chainId": 1"#.to_owned()),
    ];
    for (listed, domain) in table {
        let error = parse(&text(&listed, &domain)).expect_err(&domain);
        assert!(error.field.contains("omain"), "{listed} {domain}: {error}");
    }
    let undeclared = r#"{"types": {"M": []}, "primaryType": "M", "domain": {}, "message": {}}"#;
    assert_eq!(parse(undeclared).unwrap_err().field, "types.EIP712Domain");
}

#[test]
fn the_outer_object_is_read_to_the_end() {
    let good = with(r#""M": []"#, "{}");
    assert!(parse(&good).is_ok());
    let table = [
        (
            good.replace("\"primaryType\": \"M\"", "\"primaryType\": \"EIP712Domain\""),
            "primaryType",
        ),
        (good.replace("\"primaryType\": \"M\"", "\"primaryType\": \"N\""), "primaryType"),
        (good.replace("\"primaryType\": \"M\"", "\"primaryType\": 1"), "primaryType"),
        (good.replace("\"primaryType\": \"M\",", ""), "primaryType"),
        (good.replace("\"message\": {}", "\"message\": {}, \"other\": 1"), "other"),
        (good.replace(", \"message\": {}", ""), "message"),
        ("[]".to_owned(), "typedData"),
        ("{".to_owned(), "typedData"),
        (good.replace("\"message\": {}", "\"message\": {}, \"message\": {}"), "typedData"),
        (Json::Text(good.clone()).to_string(), "typedData"),
        (format!("{good} {{}}"), "typedData"),
        ("null".to_owned(), "typedData"),
    ];
    for (text, field) in table {
        assert_eq!(parse(&text).expect_err(&text).field, field, "{text}");
    }
}

#[test]
fn another_chain_than_the_requests_is_refused() {
    let data = parse(&with(r#""M": []"#, "{}")).unwrap();
    assert!(data.clone().for_chain(ChainId(31337)).is_ok());
    let error = data.for_chain(ChainId(1)).unwrap_err();
    assert_eq!(error.to_string(), "`domain.chainId`: is not the chain of this request");
}

#[test]
fn types_have_bounds() {
    let fields = |types: usize, count: usize| {
        let fields = (0..count).map(|n| format!(r#"{{"name": "f{n}", "type": "uint8"}}"#));
        let fields = fields.collect::<Vec<_>>().join(",");
        let types = (0..types).map(|n| format!(r#""N{n}": [{fields}]"#));
        format!(r#""M": [], {}"#, types.collect::<Vec<_>>().join(","))
    };
    assert!(parse(&with(&fields(7, 64), "{}")).is_ok());
    assert!(parse(&with(&fields(8, 64), "{}")).is_err());
    assert!(parse(&with(&fields(1, 65), "{}")).is_err());
    assert!(parse(&with(&fields(1, 10_000), "{}")).is_err());
    let many = (0..64).map(|n| format!(r#""T{n}": []"#)).collect::<Vec<_>>().join(",");
    assert!(parse(&with(&format!(r#""M": [], {many}"#), "{}")).is_err());
    // each type has the next one many times: read once, not once per path
    let chain = |depth: usize| {
        let names = |n: usize| {
            let field = |f: usize| format!(r#"{{"name": "f{f}", "type": "T{}[]"}}"#, n + 1);
            (0..8).map(field).collect::<Vec<_>>().join(",")
        };
        let last = format!(r#""T{depth}": []"#);
        let types = (0..depth).map(|n| format!(r#""T{n}": [{}]"#, names(n))).collect::<Vec<_>>();
        format!(r#""M": [], {}, {last}"#, types.join(","))
    };
    assert!(parse(&with(&chain(15), "{}")).is_ok());
    assert!(parse(&with(&chain(16), "{}")).is_err());
    let long = "N".repeat(65);
    assert!(parse(&with(&format!(r#""M": [], "{long}": []"#), "{}")).is_err());
}

#[test]
fn what_the_message_does_not_reach_is_forgotten() {
    let small = parse(&with(r#""M": [{"name": "x", "type": "uint8"}]"#, r#"{"x": 1}"#)).unwrap();
    let more = r#""A": [{"name": "b", "type": "uint8"}], "M": [{"name": "x", "type": "uint8"}]"#;
    assert_eq!(parse(&with(more, r#"{"x": "0x1"}"#)).unwrap(), small);
}
