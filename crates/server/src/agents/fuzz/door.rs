//! What stands before a body.

use countersign_core::{
    json::{Json, Limits},
    time::Millis,
};
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use serde_json::json;

use crate::{
    agents::{
        place::Place,
        said::{Said, trail, wait},
    },
    credential::Presented,
    host::Hosts,
    listener::Head,
};

/// A path in the first line, headers in the others: what they say is bounded, says the same as a parameter, and only a
/// name of ours is admitted.
pub fn headers(bytes: &[u8]) {
    let mut lines = bytes.split(|b| *b == b'\n');
    let path = lines.next().unwrap_or_default();
    let headers: HeaderMap = lines.filter_map(header).collect();
    let _credential = Presented::bearer_or_basic(&headers);
    assert!(wait(&headers).is_none_or(|wait| wait <= Millis(60_000)));
    if let Some(trail) = trail(&headers) {
        assert_eq!(trail.to_string().parse(), Ok(trail.clone().with_state("")));
        assert!(trail.state().is_none_or(|state| state.len() <= 512 && state.is_ascii()));
    }
    match Said::in_headers(&headers) {
        Err(error) => assert!(!error.to_string().contains(char::is_control), "{error}"),
        Ok(said) => is_the_same_beside_a_call(&said),
    }
    let Ok(path) = std::str::from_utf8(path) else { return };
    let _place = Place::parse(path);
    let Ok(request) = Request::builder().uri(path).body(()) else { return };
    let (mut parts, ()) = request.into_parts();
    parts.headers = headers;
    if Hosts::new(&["gateway.internal".to_owned()]).admit(&parts).is_ok() {
        let named = parts.headers.get("host").and_then(|host| host.to_str().ok());
        let named = named.or(parts.uri.authority().map(http::uri::Authority::as_str)).unwrap();
        assert!(is_ours(&named.to_ascii_lowercase()), "{named}");
    }
}

fn header(line: &[u8]) -> Option<(HeaderName, HeaderValue)> {
    let mut parts = line.splitn(2, |b| *b == b':');
    let name = HeaderName::from_bytes(parts.next()?).ok()?;
    Some((name, HeaderValue::from_bytes(parts.next()?.trim_ascii()).ok()?))
}

fn is_the_same_beside_a_call(said: &Said) {
    let Said { declared, key, scope: _ } = said;
    if !declared.context.is_empty() {
        return;
    }
    let written = json!({
        "reason": declared.reason, "action": declared.action, "session": declared.session,
        "idempotencyKey": key,
    });
    let written = Json::parse(written.to_string().as_bytes(), Limits::REQUEST).unwrap();
    assert_eq!(Said::in_parameter(Some(&written)).as_ref(), Ok(said));
    assert_eq!(said.clone().and(said.clone(), None).as_ref(), Ok(said));
}

/// Said once more, and otherwise.
fn is_ours(authority: &str) -> bool {
    let is_port = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let name = match authority.rfind(':') {
        Some(at) => {
            let (name, port) = authority.split_at(at);
            if is_port(port.trim_start_matches(':')) { name } else { authority }
        }
        None => authority,
    };
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    let own = ["localhost", "gateway.internal"].contains(&name) || name.ends_with(".localhost");
    own || bare.parse::<std::net::IpAddr>().is_ok()
}

/// The first bytes of a connection: a head is ambiguous or not however it is cut, and by a slower reading, too.
pub fn head(bytes: &[u8]) {
    let (mut whole, mut cut) = (Head::default(), Head::default());
    whole.read(bytes);
    bytes.chunks(1).for_each(|byte| cut.read(byte));
    assert_eq!(whole.is_ambiguous(), cut.is_ambiguous());
    assert_eq!(whole.is_ambiguous(), is_ambiguous(bytes));
}

/// Line by line.
fn is_ambiguous(bytes: &[u8]) -> bool {
    let (mut begun, mut bare, mut length, mut coding) = (false, false, false, false);
    for line in bytes.split_inclusive(|b| *b == b'\n') {
        bare |= line.ends_with(b"\n") && !line.ends_with(b"\r\n");
        let plain = line.iter().filter(|b| !b"\r\n".contains(b)).map(u8::to_ascii_lowercase);
        let plain: Vec<u8> = plain.collect();
        if plain.is_empty() && begun && line.ends_with(b"\n") {
            break;
        }
        begun |= !plain.is_empty();
        length |= plain.starts_with(b"content-length:");
        coding |= plain.starts_with(b"transfer-encoding:");
    }
    bare || (length && coding)
}
