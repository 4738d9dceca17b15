use proptest::prelude::*;

use super::*;
use crate::json::Limits;

const TO: &str = "0x70997970c51812dc3a010c7d01b50e0d17dc79c8";

fn read(text: &str) -> Result<TransactionDraft, FieldError> {
    TransactionDraft::parse(&Json::parse(text.as_bytes(), Limits::REQUEST).unwrap())
}

fn with(member: &str) -> Result<TransactionDraft, FieldError> {
    read(&format!(r#"{{"to":"{TO}",{member}}}"#))
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn shapes() -> Vec<(&'static str, String)> {
    let from = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
    vec![
        (
            "viem",
            format!(
                r#"{{"from":"{from}","to":"0x70997970C51812dc3A010C7d01b50e0d17dc79C8","value":"0x1","data":"0x"}}"#
            ),
        ),
        ("viem deployment", format!(r#"{{"from":"{from}","data":"0x6001"}}"#)),
        (
            "viem prepared",
            format!(
                r#"{{"from":"{from}","to":"{TO}","gas":"0x5208","nonce":"0x0","type":"0x2","gasPrice":"0x77359400","maxFeePerGas":"0x77359400","maxPriorityFeePerGas":"0x1","value":"0x0"}}"#
            ),
        ),
        (
            "ethers",
            format!(
                r#"{{"gas":"0x5208","value":"0x1","from":"{}","to":"{TO}","data":"0x"}}"#,
                from.to_lowercase()
            ),
        ),
        (
            "web3.js",
            format!(
                r#"{{"from":"{from}","to":"{TO}","value":"0x1","data":"0x","maxPriorityFeePerGas":"0x9502f900","maxFeePerGas":"0xb2d05e00"}}"#
            ),
        ),
        (
            "web3.py",
            format!(r#"{{"from":"{from}","to":"{TO}","value":"0x1","data":"0x","gas":"0x1d8a8"}}"#),
        ),
        (
            "cast",
            format!(
                r#"{{"from":"{from}","to":"{TO}","gas":"0x5208","nonce":"0x3","chainId":"0x7a69","type":"0x2","maxFeePerGas":"0x2","maxPriorityFeePerGas":"0x1","data":"0x","input":"0x","value":"0x0"}}"#
            ),
        ),
        (
            "cast --create",
            format!(
                r#"{{"from":"{from}","to":null,"gas":"0x1e8480","input":"0x6001","data":"0x6001","nonce":"0x3"}}"#
            ),
        ),
        (
            "forge",
            format!(
                r#"{{"from":"{from}","to":null,"gas":"0x1e8480","input":"0x6001","nonce":"0x3","chainId":"0x7a69","gasPrice":"0x1"}}"#
            ),
        ),
        (
            "alloy",
            format!(
                r#"{{"from":"{from}","to":"{TO}","value":"0x1","gas":"0x5208","nonce":"0x0","chainId":"0x7a69","type":"0x2","maxFeePerGas":"0x2","maxPriorityFeePerGas":"0x1"}}"#
            ),
        ),
        (
            "access list",
            format!(
                r#"{{"to":"{TO}","type":"0x1","gasPrice":"0x1","accessList":[{{"address":"{TO}","storageKeys":["0x{}"]}}]}}"#,
                "0".repeat(64)
            ),
        ),
        ("nulls", format!(r#"{{"to":"{TO}","nonce":null,"gasPrice":null,"accessList":null}}"#)),
    ]
}

#[test]
fn every_shape_of_the_known_clients_is_accepted() {
    for (client, text) in shapes() {
        assert!(read(&text).is_ok(), "{client}: {:?}", read(&text));
    }
}

#[test]
fn the_price_beside_type_2_is_dropped_and_the_rest_is_kept() {
    let draft = with(r#""type":"0x2","gasPrice":"0x9","maxFeePerGas":"0x8","maxPriorityFeePerGas":"0x8","value":"0x10","data":"0xAbCd""#).unwrap();
    assert_eq!((draft.gas_price, draft.max_fee_per_gas), (None, Some(8)));
    assert_eq!(draft.kind, Some(TransactionType::DynamicFee));
    assert_eq!(draft.value, U256::from(16));
    assert_eq!(draft.data.to_string(), "0xabcd");
}

#[test]
fn a_field_that_cannot_be_meant_is_named() {
    for (member, field) in [
        (r#""To":"0x1""#, "To"),
        (r#""VALUE":"0x1""#, "VALUE"),
        (r#""gaslimit":"0x1""#, "gaslimit"),
        (r#""gasLimit":"0x5208""#, "gasLimit"),
        (r#""gas":"0x5208","gasLimit":"0x5208""#, "gasLimit"),
        (r#""data":"0x01","input":"0x02""#, "input"),
        (r#""data":"0x","input":"0x02""#, "input"),
        (r#""gasPrice":"0x1","maxFeePerGas":"0x1""#, "gasPrice"),
        (r#""gasPrice":"0x1","maxPriorityFeePerGas":"0x1""#, "gasPrice"),
        (r#""gasPrice":"0x1","type":"0x2""#, "gasPrice"),
        (r#""type":"0x0","maxFeePerGas":"0x1""#, "type"),
        (r#""type":"0x1","maxFeePerGas":"0x1""#, "type"),
        (r#""type":"0x7f""#, "type"),
        (r#""type":"0x04""#, "type"),
        (r#""type":"0x3""#, "type"),
        (r#""type":2"#, "type"),
        (r#""blobVersionedHashes":[]"#, "blobVersionedHashes"),
        (r#""maxFeePerBlobGas":"0x1""#, "maxFeePerBlobGas"),
        (
            r#""type":"0x0","gasPrice":"0x1","accessList":[{"address":"0x70997970c51812dc3a010c7d01b50e0d17dc79c8","storageKeys":[]}]"#,
            "accessList",
        ),
        (r#""accessList":{}"#, "accessList"),
        (r#""accessList":[{"address":"0x00"}]"#, "accessList.address"),
        (
            r#""accessList":[{"address":"0x70997970c51812dc3a010c7d01b50e0d17dc79c8"}]"#,
            "accessList.storageKeys",
        ),
        (
            r#""accessList":[{"address":"0x70997970c51812dc3a010c7d01b50e0d17dc79c8","storageKeys":["0x0"]}]"#,
            "accessList.storageKeys",
        ),
        (r#""accessList":[{"x":1}]"#, "accessList.x"),
        (r#""maxFeePerGas":"0x1","maxPriorityFeePerGas":"0x2""#, "maxPriorityFeePerGas"),
        (r#""gas":"0x1000001""#, "gas"),
        (r#""gas":"0x5208","data":"0x01""#, "gas"),
        (r#""gas":"0x5207""#, "gas"),
        (r#""nonce":"0xffffffffffffffff""#, "nonce"),
        (r#""nonce":1"#, "nonce"),
        (r#""value":1"#, "value"),
        (r#""value":["0x1"]"#, "value"),
        (r#""data":["0x1"]"#, "data"),
        (r#""user denied":1"#, "(unprintable name)"),
        (r#""maxFeePerGas":"0x10000000000000000""#, "maxFeePerGas"),
        (r#""chainId":31337"#, "chainId"),
    ] {
        let error = with(member).unwrap_err();
        assert_eq!(error.field, field, "{member}: {error}");
    }
    assert!(with(r#""gasLimit":"0x1""#).unwrap_err().reason.contains("`gas`"));
    for text in ["[]", "null", "\"0x\"", "1"] {
        assert_eq!(read(text).unwrap_err().field, "transaction");
    }
}

#[test]
fn a_list_of_authorisations_that_cannot_be_meant_is_named() {
    for (member, field) in [
        (r#""type":"0x4""#, "authorizationList"),
        (r#""type":"0x2","authorizationList":[]"#, "authorizationList"),
        (r#""type":"0x4","authorizationList":[]"#, "authorizationList"),
        (r#""type":"0x4","authorizationList":null"#, "authorizationList"),
        (r#""authorizationList":[]"#, "authorizationList"),
        (r#""authorizationList":{}"#, "authorizationList"),
        (r#""authorizationList":[1]"#, "authorizationList.[]"),
        (r#""authorizationList":[{"delegate":"0x1"}]"#, "authorizationList.delegate"),
        (r#""authorizationList":[{"yParity":"0x2"}]"#, "authorizationList.yParity"),
        (r#""authorizationList":[{"yParity":"0x0","v":"0x1c"}]"#, "authorizationList.v"),
        (r#""authorizationList":[{"chainId":"0x1"}]"#, "authorizationList.address"),
    ] {
        let error = with(member).unwrap_err();
        assert_eq!(error.field, field, "{member}: {error}");
    }
}

#[test]
fn a_quantity_has_one_spelling() {
    for text in [
        "1000000000000000000",
        "0x",
        "",
        "0x00",
        "0x01",
        "0X1",
        "0b11",
        "0o17",
        "0x1_0",
        "1_000",
        " 0x1",
        "0x1 ",
        "0xA",
        "0x\u{ff11}",
        "0x\u{661}",
        "-0x1",
        "0x-1",
        "0x+1",
        "0xg",
    ] {
        assert!(with(&format!(r#""value":"{text}""#)).is_err(), "{text}");
    }
    assert!(with(&format!(r#""value":"0x1{}""#, "0".repeat(64))).is_err());
    assert_eq!(with(&format!(r#""value":"0x{}""#, "f".repeat(64))).unwrap().value, U256::MAX);
    assert_eq!(with(r#""value":"0x0""#).unwrap().value, U256::ZERO);
}

#[test]
fn value_and_fee_together_fit_256_bits() {
    let top = "f".repeat(64);
    let text = format!(r#""value":"0x{top}","gas":"0x5208","maxFeePerGas":"0x1""#);
    assert_eq!(with(&text).unwrap_err().field, "value");
}

#[test]
fn an_address_is_lower_upper_or_rightly_checksummed() {
    let good = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
    for text in [good, TO, &format!("0x{}", TO.trim_start_matches("0x").to_uppercase())] {
        assert_eq!(address(text).unwrap().to_checksum(None), good);
    }
    for text in [
        "0x70997970c51812dc3A010C7d01b50e0d17dc79C8",
        "70997970c51812dc3a010c7d01b50e0d17dc79c8",
        "0X70997970c51812dc3a010c7d01b50e0d17dc79c8",
        "0x70997970c51812dc3a010c7d01b50e0d17dc79c",
        "0x70997970c51812dc3a010c7d01b50e0d17dc79c80",
        "",
        "0x",
    ] {
        assert!(address(text).is_err(), "{text}");
        let member = format!(r#"{{"to":"{text}"}}"#);
        assert_eq!(read(&member).unwrap_err().field, "to", "{text}");
    }
}

#[test]
fn calldata_is_whole_bytes_of_hex() {
    for text in ["0x1", "01", "", "0x 01", "0x0g", "0X01"] {
        assert_eq!(with(&format!(r#""data":"{text}""#)).unwrap_err().field, "data", "{text}");
    }
}

#[test]
fn gas_of_zero_is_left_to_the_gateway() {
    assert_eq!(with(r#""gas":"0x0""#).unwrap().gas, None);
    assert_eq!(with(r#""gas":"0x5208""#).unwrap().gas, Some(21_000));
}

proptest! {
    #[test]
    fn every_number_has_exactly_one_accepted_spelling(number in any::<u128>(), noise in "[0-9a-fA-Fx_ ]{0,12}") {
        let number = U256::from(number);
        prop_assert_eq!(quantity(&format!("0x{number:x}")), Ok(number));
        if let Ok(read) = quantity(&noise) {
            prop_assert_eq!(format!("0x{read:x}"), noise);
        }
    }
}
