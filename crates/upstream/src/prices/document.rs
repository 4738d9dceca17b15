//! A JSON text of which a few places are read, and numbers as they are written.

use std::{borrow::Cow, fmt, str::FromStr};

use countersign_core::{amount::Price, context::ContextValue, time::Timestamp};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::exact::{self, NoPrice};

/// How deep a pointer may lead.
const STEPS_MAX: usize = 16;

/// The longest text that is a value, in bytes.
const TEXT_BYTES_MAX: usize = 256;

/// Later instants are milliseconds: as seconds they lie beyond the year 5000.
const SECONDS_MAX: u64 = 100_000_000_000;

/// A place in a JSON text, by RFC 6901: `/data/0/price`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonPointer(Vec<String>);

impl FromStr for JsonPointer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("`{text}` is not a JSON pointer, as in /ethereum/usd");
        let steps = text.strip_prefix('/').ok_or_else(wrong)?.split('/');
        let steps: Option<Vec<String>> = steps.map(unescaped).collect();
        match steps {
            Some(steps) if steps.len() <= STEPS_MAX => Ok(Self(steps)),
            Some(_) => Err(format!("`{text}` leads too deep: at most {STEPS_MAX} steps")),
            None => Err(wrong()),
        }
    }
}

impl fmt::Display for JsonPointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let escaped = |step: &String| step.replace('~', "~0").replace('/', "~1");
        self.0.iter().try_for_each(|step| write!(f, "/{}", escaped(step)))
    }
}

/// `~1` is a slash and `~0` a tilde; any other tilde is a mistake.
fn unescaped(step: &str) -> Option<String> {
    let mut parts = step.split('~');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_at_checked(1)? {
            ("0", rest) => plain.extend(["~", rest]),
            ("1", rest) => plain.extend(["/", rest]),
            _ => return None,
        }
    }
    Some(plain)
}

/// The price at a place: a number, or a text that holds one.
pub(super) fn price_at(document: &str, place: &JsonPointer) -> Result<Price, Misread> {
    let found = leaf(document, place)?;
    exact::price(&found).map_err(|reason| Misread::NoPrice { place: place.clone(), reason })
}

/// What stands at a place: a number, a text or a truth value; a text that writes a number is one.
pub(crate) fn value_at(document: &str, place: &JsonPointer) -> Result<ContextValue, Misread> {
    let absent = || Misread::Absent(place.clone());
    let found = raw(document, place)?.get();
    match found {
        "true" => Ok(ContextValue::Bool(true)),
        "false" => Ok(ContextValue::Bool(false)),
        _ if found.starts_with('"') => {
            let text: String = serde_json::from_str(found).map_err(|_| Misread::NotJson)?;
            let short = text.len() <= TEXT_BYTES_MAX;
            short.then(|| ContextValue::of_text(&text)).ok_or_else(absent)
        }
        _ => found.parse().map(ContextValue::Number).map_err(|_| absent()),
    }
}

/// The instant at a place: seconds or milliseconds since 1970, or RFC 3339.
pub(super) fn instant_at(document: &str, place: &JsonPointer) -> Result<Timestamp, Misread> {
    let found = leaf(document, place)?;
    let number = found.bytes().all(|b| b.is_ascii_digit()).then(|| found.parse::<u64>().ok());
    let instant = match number.flatten() {
        Some(seconds @ ..SECONDS_MAX) => Some(Timestamp::from_millis(seconds.saturating_mul(1000))),
        Some(millis) => Some(Timestamp::from_millis(millis)),
        None => found.parse().ok(),
    };
    instant.ok_or_else(|| Misread::NoInstant(place.clone()))
}

/// A number as it is written, or the content of a text.
fn leaf<'a>(document: &'a str, place: &JsonPointer) -> Result<Cow<'a, str>, Misread> {
    let here = raw(document, place)?;
    if here.get().starts_with('"') {
        return serde_json::from_str(here.get()).map(Cow::Owned).map_err(|_| Misread::NotJson);
    }
    Ok(Cow::Borrowed(here.get()))
}

fn raw<'a>(document: &'a str, place: &JsonPointer) -> Result<&'a RawValue, Misread> {
    let mut here: &RawValue = serde_json::from_str(document).map_err(|_| Misread::NotJson)?;
    for step in &place.0 {
        here = below(here.get(), step).ok_or_else(|| Misread::Absent(place.clone()))?;
    }
    Ok(here)
}

/// `None` where there is no such member, or more than one.
fn below<'a>(text: &'a str, step: &str) -> Option<&'a RawValue> {
    if text.starts_with('{') {
        let Members(members) = serde_json::from_str(text).ok()?;
        let mut found = members.into_iter().filter(|(name, _)| name == step);
        return match (found.next(), found.next()) {
            (Some((_, value)), None) => Some(value),
            (None | Some(_), _) => None,
        };
    }
    let digits = step == "0" || !step.starts_with('0') && step.bytes().all(|b| b.is_ascii_digit());
    let index: usize = step.parse().ok().filter(|_| digits)?;
    let items: Vec<&RawValue> = serde_json::from_str(text).ok()?;
    items.get(index).copied()
}

/// An object's members as they stand there, those that stand there twice too.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(members)
            }
        }
        from.deserialize_map(Reader).map(Self)
    }
}

/// Why a document does not say what it should. Names places, never what stands there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Misread {
    /// No JSON at all.
    #[error("what it says is not JSON")]
    NotJson,
    /// Nothing there, or two things.
    #[error("its answer has nothing at {0}, or has it twice")]
    Absent(JsonPointer),
    /// Something that can be no price.
    #[error("at {place}, {reason}")]
    NoPrice {
        /// Where.
        place: JsonPointer,
        /// Why.
        reason: NoPrice,
    },
    /// Something that is no time.
    #[error("at {0}, what it says is not a time")]
    NoInstant(JsonPointer),
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(document: &str, place: &str) -> Result<String, Misread> {
        price_at(document, &place.parse().unwrap()).map(|price| price.to_string())
    }

    #[test]
    fn a_pointer_leads_to_a_number_as_it_is_written() {
        let document =
            r#" {"a": {"b/c": [1, "2.50", {"~": 9007199254740993e-6}]}, "": 7, "é": 8.12e-06} "#;
        for (place, expected) in [
            ("/a/b~1c/0", "1"),
            ("/a/b~1c/1", "2.5"),
            ("/a/b~1c/2/~0", "9007199254740993e-6"),
            ("/", "7"),
            ("/é", "0.00000812"),
        ] {
            let found = read(document, place);
            assert_eq!(found, Ok(exact::price(expected).unwrap().to_string()), "{place}");
        }
    }

    #[test]
    fn a_place_that_is_not_there_or_there_twice_has_no_price() {
        let document =
            r#"{"a": [1], "b": 1, "b": 2, "n": null, "t": true, "s": "1,000", "m": -1, "o": {}}"#;
        let absent = |place: &str| Err(Misread::Absent(place.parse().unwrap()));
        for place in
            ["/x", "/b", "/a/1", "/a/00", "/a/-1", "/a/+0", "/a/", "/t/x", "/s/0", "/a/0/0"]
        {
            assert_eq!(read(document, place), absent(place), "{place}");
        }
        for place in ["/n", "/t", "/s", "/m", "/o", "/a"] {
            let no =
                Misread::NoPrice { place: place.parse().unwrap(), reason: NoPrice::NotANumber };
            assert_eq!(read(document, place), Err(no), "{place}");
        }
        for document in ["", "{", "{\"a\": NaN}", "<html>", "{\"a\":1} x", "\u{feff}{\"a\":1}"] {
            assert_eq!(read(document, "/a"), Err(Misread::NotJson), "{document}");
        }
    }

    #[test]
    fn a_pointer_that_is_none_is_refused() {
        let deep = "/a".repeat(STEPS_MAX + 1);
        for text in ["", "a", "a/b", "#/a", "/~", "/~2", "/a~", deep.as_str()] {
            assert!(text.parse::<JsonPointer>().is_err(), "{text}");
        }
        assert_eq!("/a~1b/~0/".parse::<JsonPointer>().unwrap().to_string(), "/a~1b/~0/");
    }

    #[test]
    fn a_time_is_seconds_milliseconds_or_a_date() {
        let at = |written: &str| {
            instant_at(&format!("{{\"at\": {written}}}"), &"/at".parse().unwrap())
                .map(Timestamp::millis)
        };
        assert_eq!(at("1700000000"), Ok(1_700_000_000_000));
        assert_eq!(at("1700000000123"), Ok(1_700_000_000_123));
        assert_eq!(at("\"2023-11-14T22:13:20Z\""), Ok(1_700_000_000_000));
        for written in
            ["-1", "1.5", "\"yesterday\"", "null", "\"\"", "1e9", "99999999999999999999999"]
        {
            assert_eq!(at(written), Err(Misread::NoInstant("/at".parse().unwrap())), "{written}");
        }
    }

    proptest! {
        #[test]
        fn no_document_makes_it_stumble(document in r#"[\[\]{}":,0-9a/e. -]{0,60}"#, place in "(/[a0-9~]{0,2}){1,3}") {
            if let Ok(place) = place.parse::<JsonPointer>() {
                drop((price_at(&document, &place), instant_at(&document, &place)));
            }
        }
    }
}
