//! The parameters of the methods that sign messages, in every shape that clients send.

use alloy_primitives::{Address, Bytes};
use countersign_core::{
    draft::{self, FieldError},
    intent::Method,
    json::Json,
    message::Content,
};
use countersign_engine::submission::Draft;

/// The whole of it, with what the agent says beside it.
pub(super) fn parse(method: Method, params: &[Json]) -> Result<(Draft, Option<&Json>), FieldError> {
    let (first, second, beside) = match params {
        [first, second] => (first, second, None),
        [first, second, third] => (first, second, beside(third)?),
        _ => return Err(FieldError::new("params", "must be an account and a message")),
    };
    let account_last = match method {
        Method::PersonalSign => account(second).is_ok() || account(first).is_err(),
        Method::Sign | Method::SignTypedData => account(first).is_err() && account(second).is_ok(),
        Method::SendTransaction
        | Method::SignTransaction
        | Method::SendRawTransaction
        | Method::SendCalls => false,
    };
    let (from, content) = if account_last { (second, first) } else { (first, second) };
    let from = account(from).map_err(|reason| FieldError::new("from", reason))?;
    let content = match method {
        Method::SignTypedData => typed_data(content)?,
        Method::PersonalSign
        | Method::Sign
        | Method::SendTransaction
        | Method::SignTransaction
        | Method::SendRawTransaction
        | Method::SendCalls => Content::Text(text(content)?),
    };
    Ok((Draft::Message { from, content }, beside))
}

/// The message of a simulation: `{from, typedData}` or `{from, message}`; `None` if it is a transaction.
pub(super) fn in_object(json: &Json) -> Result<Option<(Method, Draft)>, FieldError> {
    let Some(members) = json.as_object() else { return Ok(None) };
    let (method, content) = match (json.get("typedData"), json.get("message")) {
        (None, None) => return Ok(None),
        (Some(data), None) => (Method::SignTypedData, typed_data(data)?),
        (None, Some(message)) => (Method::PersonalSign, Content::Text(text(message)?)),
        (Some(_), Some(_)) => {
            return Err(FieldError::new("message", "stands beside typedData; one of them"));
        }
    };
    let known = |name: &str| matches!(name, "from" | "typedData" | "message");
    if let Some((name, _)) = members.iter().find(|(name, _)| !known(name)) {
        return Err(FieldError::new(name, "is not a field of a message"));
    }
    let from = json.get("from").ok_or_else(|| FieldError::new("from", "is missing"))?;
    let from = account(from).map_err(|reason| FieldError::new("from", reason))?;
    Ok(Some((method, Draft::Message { from, content })))
}

fn account(json: &Json) -> Result<Address, String> {
    draft::address(json.as_text().ok_or("is not an address")?)
}

/// What a client says beside a message is an object; web3.js puts an empty password there.
fn beside(json: &Json) -> Result<Option<&Json>, FieldError> {
    match json {
        Json::Text(password) if password.is_empty() => Ok(None),
        Json::Text(_) => {
            Err(FieldError::new("params", "no password unlocks anything here; leave it out"))
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::List(_) | Json::Object(_) => {
            Ok(Some(json))
        }
    }
}

/// Bytes as hex, or a text as it stands.
fn text(json: &Json) -> Result<Bytes, FieldError> {
    let text = json.as_text().ok_or_else(|| FieldError::new("message", "is not a string"))?;
    if text.starts_with("0x") {
        draft::bytes(text).map_err(|reason| FieldError::new("message", reason))
    } else {
        Ok(Bytes::copy_from_slice(text.as_bytes()))
    }
}

/// As the client wrote it: an object, or a string that holds one. An array is the first draft of EIP-712, which hashes
/// less than it shows.
fn typed_data(json: &Json) -> Result<Content, FieldError> {
    let written = match json {
        Json::Text(text) => text.clone(),
        Json::Object(_) => json.to_string(),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::List(_) => {
            let reason = format!("is {}, not an object (eth_signTypedData_v4)", json.kind());
            return Err(FieldError::new("typedData", reason));
        }
    };
    Ok(Content::TypedData(written))
}

#[cfg(test)]
mod tests {
    use countersign_core::json::Limits;

    use super::*;

    const ME: &str = "0x1111111111111111111111111111111111111111";

    fn parsed(method: Method, params: &str) -> Result<(Draft, bool), String> {
        let params = Json::parse(params.as_bytes(), Limits::REQUEST).unwrap();
        let parsed = parse(method, params.as_list().unwrap());
        parsed.map(|(draft, beside)| (draft, beside.is_some())).map_err(|error| error.field)
    }

    fn text_of(bytes: &'static [u8]) -> Draft {
        let content = Content::Text(Bytes::from_static(bytes));
        Draft::Message { from: ME.parse().unwrap(), content }
    }

    #[test]
    fn every_order_and_form_of_a_text_is_the_same_message() {
        let plain = Ok((text_of(b"hi"), false));
        for (method, params) in [
            (Method::PersonalSign, format!(r#"["0x6869","{ME}"]"#)),
            (Method::PersonalSign, format!(r#"["{ME}","0x6869"]"#)),
            (Method::PersonalSign, format!(r#"["hi","{ME}",""]"#)),
            (Method::Sign, format!(r#"["{ME}","0x6869"]"#)),
            (Method::Sign, format!(r#"["0x6869","{ME}"]"#)),
            (Method::PersonalSign, format!(r#"["0x6869","{ME}",null]"#)),
        ] {
            let expect = plain.clone().map(|(draft, _)| (draft, params.contains("null")));
            assert_eq!(parsed(method, &params), expect, "{params}");
        }
    }

    #[test]
    fn twenty_bytes_are_a_message_where_the_method_puts_the_message() {
        let other = "0x2222222222222222222222222222222222222222";
        let draft = Ok((text_of(&[0x22; 20]), false));
        assert_eq!(parsed(Method::PersonalSign, &format!(r#"["{other}","{ME}"]"#)), draft);
        assert_eq!(parsed(Method::Sign, &format!(r#"["{ME}","{other}"]"#)), draft);
    }

    #[test]
    fn what_is_no_message_is_named() {
        for (method, params, field) in [
            (Method::PersonalSign, r#"["hi"]"#.to_owned(), "params"),
            (Method::PersonalSign, r#"["hi","there"]"#.to_owned(), "from"),
            (Method::PersonalSign, format!(r#"["0x686","{ME}"]"#), "message"),
            (Method::PersonalSign, format!(r#"[7,"{ME}"]"#), "message"),
            (Method::PersonalSign, format!(r#"["hi","{ME}","secret"]"#), "params"),
            (Method::SignTypedData, format!(r#"[[],"{ME}"]"#), "typedData"),
            (Method::SignTypedData, format!(r#"["{ME}",1]"#), "typedData"),
        ] {
            assert_eq!(parsed(method, &params), Err(field.to_owned()), "{params}");
        }
    }
}
