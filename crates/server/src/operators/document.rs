//! The API's own description, OpenAPI 3.1. It is written in one file a topic, each with its routes and their schemas,
//! and served as one document.

use std::sync::LazyLock;

use axum::{http::header, response::IntoResponse};
use serde_json::Value;

use super::Problem;

/// The head of the document, and its topics.
const PARTS: [&str; 9] = [
    include_str!("openapi/document.json"),
    include_str!("openapi/approvals.json"),
    include_str!("openapi/books.json"),
    include_str!("openapi/console.json"),
    include_str!("openapi/facts.json"),
    include_str!("openapi/incidents.json"),
    include_str!("openapi/operations.json"),
    include_str!("openapi/policies.json"),
    include_str!("openapi/traces.json"),
];

static DOCUMENT: LazyLock<Result<String, Flaw>> =
    LazyLock::new(|| whole(&PARTS).map(|document| document.to_string()));

/// Why there is no document. It is a mistake of ours, and a test finds it.
#[derive(Debug, thiserror::Error)]
enum Flaw {
    #[error("a part is no JSON: {0}")]
    Unreadable(#[from] serde_json::Error),
    #[error("two parts say something at {0}")]
    Twice(String),
}

/// `GET /openapi.json`
pub(crate) async fn show() -> Result<impl IntoResponse, Problem> {
    Ok(([(header::CONTENT_TYPE, "application/json")], text()?))
}

/// The document as it is served.
pub(crate) fn text() -> Result<&'static str, Problem> {
    DOCUMENT.as_deref().map_err(|flaw| {
        tracing::error!(%flaw, "the API's document cannot be put together");
        Problem::Crash
    })
}

fn whole(parts: &[&str]) -> Result<Value, Flaw> {
    let mut document = Value::Object(serde_json::Map::new());
    for part in parts {
        join(&mut document, serde_json::from_str(part)?, "#")?;
    }
    Ok(document)
}

/// Objects are put together member by member; anything else may be said once.
fn join(into: &mut Value, more: Value, at: &str) -> Result<(), Flaw> {
    match (into, more) {
        (Value::Object(members), Value::Object(more)) => {
            for (name, value) in more {
                match members.get_mut(&name) {
                    Some(known) => join(known, value, &format!("{at}/{name}"))?,
                    None => drop(members.insert(name, value)),
                }
            }
            Ok(())
        }
        _ => Err(Flaw::Twice(at.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn parts_add_up_and_contradict_nothing() {
        let both = whole(&[r#"{"a":{"b":1}}"#, r#"{"a":{"c":[2]}}"#]).unwrap();
        assert_eq!(both, json!({"a": {"b": 1, "c": [2]}}));
        for twice in [r#"{"a":{"b":1}}"#, r#"{"a":1}"#] {
            let flaw = whole(&[r#"{"a":{"b":1}}"#, twice]).unwrap_err();
            assert!(matches!(flaw, Flaw::Twice(_)), "{flaw}");
        }
        assert!(whole(&PARTS).is_ok());
    }
}
