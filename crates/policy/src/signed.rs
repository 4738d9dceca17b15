//! Fields of typed data that is judged by what it moves: its primary type, its domain, what it says.

use countersign_core::{
    json::{Json, Limits},
    message::{Content, Message},
};

use crate::{field::Field, matcher::Known, read::whole};

/// The fields that a domain may have (EIP-712), with their types.
const DOMAIN: [(&str, &str); 5] = [
    ("name", "string"),
    ("version", "string"),
    ("chainId", "uint256"),
    ("verifyingContract", "address"),
    ("salt", "bytes32"),
];

/// What a message says in a field; `None` where it says nothing there that can be compared.
pub(crate) fn said(message: &Message, field: &Field) -> Option<Known> {
    let Content::TypedData(text) = &message.content else { return None };
    let data = Json::parse(text.as_bytes(), Limits::REQUEST).ok()?;
    let primary = data.get("primaryType")?.as_text()?;
    if let Field::Domain(path) = field {
        let Some(value) = data.get("domain")?.get(&path.0) else { return Some(Known::Nothing) };
        let (_, ty) = DOMAIN.iter().find(|(name, _)| *name == path.0)?;
        return known(value, ty);
    }
    if let Field::Message(path) = field {
        return at(data.get("types")?, primary, data.get("message")?, &path.0);
    }
    (*field == Field::PrimaryType).then(|| Known::Text(primary.to_owned()))
}

/// The value at a path of a struct.
fn at(types: &Json, name: &str, value: &Json, path: &str) -> Option<Known> {
    let (head, rest) = path.split_once('.').map_or((path, None), |(head, rest)| (head, Some(rest)));
    let members = types.get(name)?.as_list()?;
    let named = |member: &&Json| member.get("name").and_then(Json::as_text) == Some(head);
    let ty = members.iter().find(named)?.get("type")?.as_text()?;
    below(types, ty, value.get(head)?, rest)
}

/// The value itself, or what lies at a path below it.
fn below(types: &Json, ty: &str, value: &Json, path: Option<&str>) -> Option<Known> {
    let Some(path) = path else { return known(value, ty) };
    let Some((item, _)) = ty.strip_suffix(']').and_then(|ty| ty.rsplit_once('[')) else {
        return at(types, ty, value, path);
    };
    let (head, rest) = path.split_once('.').map_or((path, None), |(head, rest)| (head, Some(rest)));
    below(types, item, value.as_list()?.get(head.parse::<usize>().ok()?)?, rest)
}

fn known(value: &Json, ty: &str) -> Option<Known> {
    let text = match value {
        Json::Text(text) => text.as_str(),
        Json::Number(number) => number,
        Json::Bool(truth) => return (ty == "bool").then_some(Known::Bool(*truth)),
        Json::Null | Json::List(_) | Json::Object(_) => return None,
    };
    match ty {
        "address" => text.parse().ok().map(Known::Address),
        "string" => Some(Known::Text(text.to_owned())),
        _ if ty.starts_with("uint") => whole(text).map(Known::Number),
        _ if ty.starts_with("int") => text.parse().ok().map(Known::Int),
        _ if ty.starts_with("bytes") => text.parse().ok().map(Known::Bytes),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{B256, U256};
    use countersign_core::identity::ChainId;

    use super::*;

    const PERMIT: &str = r#"{"types":{"EIP712Domain":[{"name":"name","type":"string"}],
      "Batch":[{"name":"to","type":"address"},{"name":"details","type":"Detail[]"},{"name":"flag","type":"bool"}],
      "Detail":[{"name":"amount","type":"uint160"},{"name":"delta","type":"int8"},{"name":"memo","type":"string"}]},
      "primaryType":"Batch","domain":{"name":"Permit2","chainId":1},
      "message":{"to":"0x1111111111111111111111111111111111111111","details":[{"amount":"7","delta":-1,"memo":"8"}],"flag":true}}"#;

    #[test]
    fn a_field_has_the_type_that_its_message_gives_it() {
        let message =
            |content| Message { chain: ChainId(1), content, digest: B256::ZERO, lasting: None };
        let data = message(Content::TypedData(PERMIT.into()));
        for (word, expected) in [
            ("primary_type", Some(Known::Text("Batch".into()))),
            ("domain.name", Some(Known::Text("Permit2".into()))),
            ("domain.chainId", Some(Known::Number(U256::from(1)))),
            ("domain.salt", Some(Known::Nothing)),
            (
                "message.to",
                "0x1111111111111111111111111111111111111111".parse().ok().map(Known::Address),
            ),
            ("message.details.0.amount", Some(Known::Number(U256::from(7)))),
            ("message.details.0.delta", "-1".parse().ok().map(Known::Int)),
            ("message.details.0.memo", Some(Known::Text("8".into()))),
            ("message.flag", Some(Known::Bool(true))),
            ("message.details", None),
            ("message.details.1.amount", None),
            ("message.nothing", None),
            ("message.to.x", None),
        ] {
            let field = Field::parse(word, &[]).unwrap();
            assert_eq!(said(&data, &field), expected, "{word}");
        }
        let text = message(Content::Text(b"hello".as_slice().into()));
        assert_eq!(said(&text, &Field::PrimaryType), None);
    }
}
