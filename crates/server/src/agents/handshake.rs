//! From HTTP to WebSocket (RFC 6455 §4.2): what a request must look like before a connection leaves HTTP.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version, header,
    request::Parts,
};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::{parcel::Parcel, refusal::Refusal};

/// The version of RFC 6455.
const VERSION: &str = "13";
/// How many bytes a client's nonce has.
const NONCE_LEN: usize = 16;

/// Whether a request asks to speak WebSocket from now on. HTTP/2 knows no upgrade.
pub(crate) fn is_asked<B>(request: &Request<B>) -> bool {
    request.method() == Method::GET
        && request.version() == Version::HTTP_11
        && names(request.headers(), header::UPGRADE, "websocket")
}

/// The response that a well-formed request gets. Neither a protocol nor an extension is agreed on: nothing is ever
/// compressed.
pub(crate) fn accept(parts: &Parts) -> Result<Response<Parcel>, Refusal> {
    let headers = &parts.headers;
    if !names(headers, header::CONNECTION, "upgrade") {
        return Err(Refusal::Handshake("`Connection` must name the upgrade"));
    }
    if one(headers, header::SEC_WEBSOCKET_VERSION) != Some(VERSION) {
        return Err(Refusal::Version);
    }
    if headers.contains_key(header::CONTENT_LENGTH)
        || headers.contains_key(header::TRANSFER_ENCODING)
    {
        return Err(Refusal::Handshake("an upgrade has no body"));
    }
    // one key for all calls of a connection would make the second payment a repetition of the first, or a mistake
    if headers.contains_key("idempotency-key") {
        return Err(Refusal::Handshake(
            "`Idempotency-Key` belongs to one call: send it as `idempotencyKey` in the second parameter",
        ));
    }
    let key = one(headers, header::SEC_WEBSOCKET_KEY).filter(|key| is_nonce(key));
    let key = key.ok_or(Refusal::Handshake("`Sec-WebSocket-Key` must be 16 bytes in base64"))?;
    let accept = HeaderValue::from_str(&derive_accept_key(key.as_bytes()));
    switching(accept.map_err(|_| Refusal::Crash)?)
}

fn switching(accept: HeaderValue) -> Result<Response<Parcel>, Refusal> {
    Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(header::CONNECTION, "upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_ACCEPT, accept)
        .body(Parcel::of(None, Vec::new()))
        .map_err(|_| Refusal::Crash)
}

/// Whether a list of names has this one.
fn names(headers: &HeaderMap, header: HeaderName, name: &str) -> bool {
    let values = headers.get_all(header).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|item| item.trim().eq_ignore_ascii_case(name))
}

fn one(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(first.trim())
}

fn is_nonce(key: &str) -> bool {
    STANDARD.decode(key).is_ok_and(|nonce| nonce.len() == NONCE_LEN)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: [(&str, &str); 4] = [
        ("connection", "keep-alive, Upgrade"),
        ("upgrade", "WebSocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];

    fn request(headers: &[(&str, &str)]) -> Request<()> {
        let request =
            headers.iter().fold(Request::get("/"), |r, (name, value)| r.header(*name, *value));
        request.body(()).unwrap()
    }

    fn answer(headers: &[(&str, &str)]) -> u16 {
        let (parts, ()) = request(headers).into_parts();
        let response = accept(&parts).unwrap_or_else(Refusal::into_response);
        response.status().as_u16()
    }

    #[test]
    fn the_example_of_the_rfc_is_answered_as_it_says() {
        let (parts, ()) = request(&GOOD).into_parts();
        let response = accept(&parts).unwrap();
        assert_eq!(response.status(), 101);
        assert_eq!(response.headers()["sec-websocket-accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert!(!response.headers().contains_key("sec-websocket-extensions"));
    }

    #[test]
    fn what_is_no_handshake_stays_http() {
        let with = |name: &'static str, value: &'static str| {
            let mut headers: Vec<_> = GOOD.into_iter().filter(|(own, _)| *own != name).collect();
            headers.push((name, value));
            headers
        };
        for (headers, status) in [
            (with("connection", "close"), 400),
            (with("sec-websocket-version", "12"), 426),
            (with("sec-websocket-key", "short"), 400),
            (with("sec-websocket-key", ""), 400),
            (with("content-length", "5"), 400),
            (with("transfer-encoding", "chunked"), 400),
            (with("idempotency-key", "k"), 400),
            (with("sec-websocket-extensions", "permessage-deflate"), 101),
        ] {
            assert_eq!(answer(&headers), status, "{headers:?}");
        }
        let twice =
            [GOOD.as_slice(), &[("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")]].concat();
        assert_eq!(answer(&twice), 400);
        assert!(is_asked(&request(&GOOD)));
        assert!(!is_asked(&request(&[("upgrade", "h2c")])));
    }
}
