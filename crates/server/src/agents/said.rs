//! What an agent says beside the transaction: in headers, or in a second parameter. None of it can make
//! a verdict milder.

use countersign_core::{
    context::Context,
    draft::FieldError,
    intent::Declared,
    json::{Json, Limits},
    time::Millis,
    trail::Trail,
};
use http::{HeaderMap, HeaderName};
use percent_encoding::percent_decode;

/// The longest reasoning, in bytes of UTF-8.
const REASON_MAX: usize = 16 * 1024;
/// The longest idempotency key, in bytes; the store sees only its hash.
const KEY_MAX: usize = 16 * 1024;
/// The longest name of an action or a session, in bytes.
const NAME_MAX: usize = 256;
/// What a header and a parameter must not do.
const DIFFERS: &str = "differs between the header and the parameter";
/// The longest wait that `Prefer` can ask for.
const WAIT_MAX: Millis = Millis(60_000);

/// A key with where it came from: that of a header belongs to all entries of a batch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) declared: Declared,
    pub(crate) key: Option<String>,
    pub(crate) scope: Scope,
}

/// What headers are said of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Scope {
    /// One request: a parameter must not contradict them.
    #[default]
    Request,
    /// Every call of a connection, unless a parameter says otherwise.
    Connection,
}

impl Said {
    /// Reads the headers.
    pub(crate) fn in_headers(headers: &HeaderMap) -> Result<Self, FieldError> {
        let text = |name: &'static str, max| header(headers, name, max);
        Ok(Self {
            declared: Declared {
                reason: reason(headers)?,
                action: text("countersign-action", NAME_MAX)?,
                session: text("countersign-session", NAME_MAX)?,
                context: context(headers)?,
                trail: None,
            },
            key: text("idempotency-key", KEY_MAX)?,
            scope: Scope::Request,
        })
    }

    /// The same, said of every call that comes over a connection.
    pub(crate) const fn of_connection(mut self) -> Self {
        self.scope = Scope::Connection;
        self
    }

    /// Reads the second parameter: an object of known members, or nothing.
    pub(crate) fn in_parameter(json: Option<&Json>) -> Result<Self, FieldError> {
        let members = match json {
            None | Some(Json::Null) => return Ok(Self::default()),
            Some(Json::Object(members)) => members,
            Some(other) => {
                let reason = format!("the second parameter is {}, not an object", other.kind());
                return Err(FieldError::new("params", reason));
            }
        };
        let mut said = Self::default();
        for (name, value) in members {
            if name == "context" {
                said.declared.context = Context::parse(value)?;
                continue;
            }
            let (slot, max) = match name.as_str() {
                "idempotencyKey" => (&mut said.key, KEY_MAX),
                "reason" => (&mut said.declared.reason, REASON_MAX),
                "action" => (&mut said.declared.action, NAME_MAX),
                "session" => (&mut said.declared.session, NAME_MAX),
                _ => return Err(FieldError::new(name, "is not a member of the second parameter")),
            };
            *slot = member(name, value, max)?;
        }
        Ok(said)
    }

    /// What a header and a parameter say together. They must not contradict each other, except that the
    /// parameter's key stands over the header's inside a batch.
    pub(crate) fn and(self, parameter: Self, index: Option<usize>) -> Result<Self, FieldError> {
        let key = match (index, parameter.key, self.key) {
            (Some(_), Some(own), _) => Some(own),
            (Some(index), None, Some(shared)) => Some(format!("{shared}#{index}")),
            (_, own, shared) => self.scope.either("idempotencyKey", own, shared)?,
        };
        let (mine, header, scope) = (parameter.declared, self.declared, self.scope);
        Ok(Self {
            declared: Declared {
                reason: scope.either("reason", mine.reason, header.reason)?,
                action: scope.either("action", mine.action, header.action)?,
                session: scope.either("session", mine.session, header.session)?,
                context: match (mine.context.is_empty(), header.context.is_empty()) {
                    (false, false) if scope == Scope::Request && mine.context != header.context => {
                        return Err(FieldError::new("context", DIFFERS));
                    }
                    (true, _) => header.context,
                    (false, _) => mine.context,
                },
                trail: None,
            },
            key,
            scope,
        })
    }
}

/// `Countersign-Context`: a JSON object, in ASCII or percent-encoded.
fn context(headers: &HeaderMap) -> Result<Context, FieldError> {
    const NAME: &str = "countersign-context";
    let Some(encoded) = only(headers, NAME)? else { return Ok(Context::default()) };
    let decoded: Vec<u8> = percent_decode(encoded.as_bytes()).collect();
    let limits = Limits { bytes: REASON_MAX, ..Limits::REQUEST };
    let json = Json::parse(&decoded, limits).map_err(|error| FieldError::new(NAME, error))?;
    Context::parse(&json)
}

impl Scope {
    fn either(
        self,
        field: &str,
        parameter: Option<String>,
        header: Option<String>,
    ) -> Result<Option<String>, FieldError> {
        match (self, parameter, header) {
            (Self::Request, Some(one), Some(other)) if one != other => {
                Err(FieldError::new(field, DIFFERS))
            }
            (_, parameter, header) => Ok(parameter.or(header)),
        }
    }
}

fn member(name: &str, json: &Json, max: usize) -> Result<Option<String>, FieldError> {
    match json {
        Json::Null => Ok(None),
        Json::Text(text) => bounded(name, text.clone(), max).map(Some),
        Json::Bool(_) | Json::Number(_) | Json::List(_) | Json::Object(_) => {
            Err(FieldError::new(name, format!("is {}, not a string", json.kind())))
        }
    }
}

fn bounded(name: &str, text: String, max: usize) -> Result<String, FieldError> {
    match text.len() {
        0 => Err(FieldError::new(name, "is empty")),
        length if length > max => Err(FieldError::new(name, format!("is longer than {max} bytes"))),
        _ => Ok(text),
    }
}

fn only(headers: &HeaderMap, name: &'static str) -> Result<Option<String>, FieldError> {
    let mut values = headers.get_all(HeaderName::from_static(name)).iter();
    let first = values.next();
    if values.next().is_some() {
        return Err(FieldError::new(name, "is given twice"));
    }
    let text = |value: &http::HeaderValue| String::from_utf8(value.as_bytes().to_vec());
    first.map(text).transpose().map_err(|_| FieldError::new(name, "is not UTF-8"))
}

fn header(
    headers: &HeaderMap,
    name: &'static str,
    max: usize,
) -> Result<Option<String>, FieldError> {
    only(headers, name)?.map(|text| bounded(name, text, max)).transpose()
}

fn reason(headers: &HeaderMap) -> Result<Option<String>, FieldError> {
    const NAME: &str = "countersign-reason";
    let Some(encoded) = only(headers, NAME)? else { return Ok(None) };
    let decoded = percent_decode(encoded.as_bytes()).decode_utf8();
    let text = decoded.map_err(|_| FieldError::new(NAME, "is not percent-encoded UTF-8"))?;
    bounded(NAME, text.into_owned(), REASON_MAX).map(Some)
}

/// `Prefer: wait=N` (RFC 7240): the first that can be read stands; others are ignored, as the RFC says.
pub(crate) fn wait(headers: &HeaderMap) -> Option<Millis> {
    let values = headers.get_all(HeaderName::from_static("prefer")).iter();
    let mut preferences = values.filter_map(|v| v.to_str().ok()).flat_map(|v| v.split(','));
    let seconds = preferences.find_map(wait_seconds)?;
    Some(Millis(seconds.saturating_mul(1000).min(WAIT_MAX.0)))
}

fn wait_seconds(preference: &str) -> Option<u64> {
    let (name, value) = preference.split(';').next()?.split_once('=')?;
    let digits = value.trim().trim_matches('"');
    let numeric = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    if !name.trim().eq_ignore_ascii_case("wait") || !numeric {
        return None;
    }
    Some(digits.parse().unwrap_or(u64::MAX))
}

/// The trail that the headers name. What is malformed, or said twice, is none.
pub(crate) fn trail(headers: &HeaderMap) -> Option<Trail> {
    let parent = only(headers, "traceparent").ok()??;
    let states = headers.get_all("tracestate").iter().map(|value| value.to_str().ok());
    // several of this header are one list
    let state = states.collect::<Option<Vec<_>>>().map(|states| states.join(","));
    Trail::of_headers(&parent, state.as_deref())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &str)| {
            (
                HeaderName::from_static(name),
                http::HeaderValue::from_bytes(value.as_bytes()).unwrap(),
            )
        };
        pairs.iter().map(pair).collect()
    }

    fn parameter(text: &str) -> Result<Said, FieldError> {
        Said::in_parameter(Some(&Json::parse(text.as_bytes(), Limits::REQUEST).unwrap()))
    }

    #[test]
    fn headers_and_parameter_say_the_same_things() {
        let header = Said::in_headers(&headers(&[
            ("idempotency-key", "k 1"),
            ("countersign-reason", "pay%20Zo%C3%AB%0A%E2%80%AE"),
            ("countersign-action", "swap"),
            ("countersign-session", "run-7"),
            (
                "countersign-context",
                "{%22order%22:{%22id%22:%22Zo%C3%AB%22},\"n\":\"9007199254740993\"}",
            ),
        ]));
        let text = "{\"idempotencyKey\":\"k 1\",\"reason\":\"pay Zoë\\n\u{202e}\",\"action\":\"swap\",\"session\":\"run-7\",\"context\":{\"n\":9007199254740993,\"order\":{\"id\":\"Zoë\"}}}";
        assert_eq!(header, parameter(text));
        let said = header.unwrap();
        assert_eq!(said.clone().and(said.clone(), None), Ok(said));
    }

    #[test]
    fn what_cannot_be_meant_is_named() {
        let long = "x".repeat(REASON_MAX + 1);
        for (result, field) in [
            (parameter("\"latest\""), "params"),
            (parameter("[]"), "params"),
            (parameter(r#"{"idempotencykey":"a"}"#), "idempotencykey"),
            (parameter(r#"{"reason":1}"#), "reason"),
            (parameter(r#"{"session":""}"#), "session"),
            (parameter(&format!(r#"{{"reason":"{long}"}}"#)), "reason"),
            (parameter(r#"{"context":[1]}"#), "context"),
            (Said::in_headers(&headers(&[("countersign-context", "{")])), "countersign-context"),
            (Said::in_headers(&headers(&[("countersign-reason", &long)])), "countersign-reason"),
            (Said::in_headers(&headers(&[("countersign-reason", "%ff")])), "countersign-reason"),
            (Said::in_headers(&headers(&[("idempotency-key", "")])), "idempotency-key"),
            (
                Said::in_headers(&headers(&[("idempotency-key", "a"), ("idempotency-key", "b")])),
                "idempotency-key",
            ),
        ] {
            assert_eq!(result.unwrap_err().field, field);
        }
        let (one, two) =
            (parameter(r#"{"action":"a"}"#).unwrap(), parameter(r#"{"action":"b"}"#).unwrap());
        assert_eq!(one.and(two, None).unwrap_err().field, "action");
    }

    #[test]
    fn the_key_of_a_header_is_shared_by_a_batch_and_that_of_an_entry_is_its_own() {
        let header = parameter(r#"{"idempotencyKey":"k"}"#).unwrap();
        let key =
            |own: &str, index| header.clone().and(parameter(own).unwrap(), index).unwrap().key;
        assert_eq!(key("{}", Some(3)).as_deref(), Some("k#3"));
        assert_eq!(key(r#"{"idempotencyKey":"own"}"#, Some(3)).as_deref(), Some("own"));
        assert_eq!(key("{}", None).as_deref(), Some("k"));
    }

    #[test]
    fn what_a_connection_says_holds_until_a_call_says_otherwise() {
        let said = [("countersign-session", "run-7"), ("countersign-reason", "rent")];
        let header = Said::in_headers(&headers(&said)).unwrap();
        let own = || parameter(r#"{"session":"run-8","idempotencyKey":"k"}"#).unwrap();
        assert!(header.clone().and(own(), None).is_err(), "of one request it would contradict");
        let both = header.of_connection().and(own(), None).unwrap();
        let declared = &both.declared;
        assert_eq!(
            (declared.session.as_deref(), declared.reason.as_deref(), both.key.as_deref()),
            (Some("run-8"), Some("rent"), Some("k"))
        );
    }

    #[test]
    fn prefer_is_read_as_rfc_7240_says() {
        for (value, expected) in [
            ("wait=10", Some(10_000)),
            ("respond-async, WAIT = \"5\" ; x=1", Some(5_000)),
            ("wait=3600", Some(60_000)),
            ("wait=99999999999999999999999", Some(60_000)),
            ("wait=0", Some(0)),
            ("wait=-1", None),
            ("wait=1.5", None),
            ("wait", None),
            ("await=3", None),
        ] {
            assert_eq!(wait(&headers(&[("prefer", value)])), expected.map(Millis), "{value}");
        }
        assert_eq!(wait(&HeaderMap::new()), None);
    }

    #[test]
    fn a_trail_is_what_one_header_says() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let read = |pairs: &[(&'static str, &str)]| trail(&headers(pairs));
        assert_eq!(read(&[("traceparent", good)]).unwrap().to_string(), good);
        assert_eq!(read(&[("traceparent", "x")]), None);
        assert_eq!(read(&[]), None);
        let with = read(&[("traceparent", good), ("tracestate", "a=1")]).unwrap();
        assert_eq!(with.state(), Some("a=1"));
        let mut twice = headers(&[("traceparent", good), ("tracestate", "a=1")]);
        twice.append("tracestate", "b=2".parse().unwrap());
        assert_eq!(trail(&twice).unwrap().state(), Some("a=1,b=2"));
        twice.append("traceparent", good.parse().unwrap());
        assert_eq!(trail(&twice), None);
    }
}
