use countersign_core::json::Limits;

use super::*;

fn parse(text: &str) -> Result<Interest, FieldError> {
    let Json::List(params) = Json::parse(text.as_bytes(), Limits::REQUEST).unwrap() else {
        panic!("not a list: {text}");
    };
    Interest::parse(&params)
}

#[test]
fn heads_and_logs_can_be_subscribed_to_and_nothing_else() {
    for text in [
        r#"["newHeads"]"#,
        r#"["newHeads",null]"#,
        r#"["logs"]"#,
        r#"["logs",{}]"#,
        r#"["logs",{"address":null,"topics":null,"fromBlock":"latest","toBlock":null}]"#,
        r#"["logs",{"address":"0x0000000000000000000000000000000000000001","topics":[]}]"#,
        r#"["logs",{"address":[],"topics":[null,[],["0x0707070707070707070707070707070707070707070707070707070707070707"]]}]"#,
    ] {
        assert!(parse(text).is_ok(), "{text}");
    }
    for text in [
        "[]",
        "[null]",
        "[1]",
        r#"["newPendingTransactions"]"#,
        r#"["newPendingTransactions",true]"#,
        r#"["syncing"]"#,
        r#"["newheads"]"#,
        r#"["newHeads",{"includeTransactions":true}]"#,
        r#"["logs",{},{}]"#,
        r#"["logs","0x1"]"#,
        r#"["logs",{"fromBlock":"0x0"}]"#,
        r#"["logs",{"toBlock":"earliest"}]"#,
        r#"["logs",{"blockHash":"0x0707070707070707070707070707070707070707070707070707070707070707"}]"#,
        r#"["logs",{"address":"0x1"}]"#,
        r#"["logs",{"address":7}]"#,
        r#"["logs",{"topics":["0x07"]}]"#,
        r#"["logs",{"topics":"0x0707070707070707070707070707070707070707070707070707070707070707"}]"#,
        r#"["logs",{"topics":[null,null,null,null,null]}]"#,
        r#"["logs",{"limit":1}]"#,
    ] {
        assert!(parse(text).is_err(), "{text}");
    }
}

#[test]
fn alternatives_are_bounded() {
    let of = |count: usize| {
        let one = "\"0x0000000000000000000000000000000000000001\"";
        parse(&format!(r#"["logs",{{"address":[{}]}}]"#, vec![one; count].join(",")))
    };
    assert!(of(ALTERNATIVES_MAX).is_ok());
    assert!(of(ALTERNATIVES_MAX + 1).is_err());
}
