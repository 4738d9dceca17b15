//! What somebody's server says that things cost.

#![expect(clippy::missing_panics_doc, reason = "a panic is a finding")]

use serde_json::Value;

use super::{
    document::{JsonPointer, instant_at, price_at},
    exact,
};

/// A pointer in the first line, a document behind it: what is read there is what another reading finds there.
pub fn price(bytes: &[u8]) {
    let Some((place, document)) =
        std::str::from_utf8(bytes).ok().and_then(|text| text.split_once('\n'))
    else {
        return;
    };
    let Ok(pointer) = place.parse::<JsonPointer>() else { return };
    assert_eq!(pointer.to_string().parse(), Ok(pointer.clone()));
    let instant = instant_at(document, &pointer);
    let found = price_at(document, &pointer);
    if let Ok(found) = found {
        assert_eq!(exact::price(&found.to_string()), Ok(found));
    }
    let Ok(theirs) = serde_json::from_str::<Value>(document) else {
        return;
    };
    match theirs.pointer(place) {
        Some(Value::String(text)) if found.is_ok() => {
            assert_eq!(exact::price(text).ok(), found.ok());
        }
        Some(Value::Number(number)) if found.is_ok() && number.is_u64() => {
            assert_eq!(exact::price(&number.to_string()).ok(), found.ok());
        }
        Some(Value::String(_) | Value::Number(_)) => {}
        Some(Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_)) | None => {
            assert!(found.is_err() && instant.is_err(), "{place}");
        }
    }
}
