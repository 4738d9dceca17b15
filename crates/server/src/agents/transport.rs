//! What HTTP must look like before anybody reads the body, and the body within its bounds.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, header, request::Parts};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;

use super::{parcel::Parcel, refusal::Refusal};

/// The longest body.
pub(crate) const BODY_MAX: usize = 1 << 20;
/// The most that is read of somebody whom nobody knows, to tell a batch from a single call.
pub(crate) const STRANGERS_BODY_MAX: usize = 64 * 1024;
/// How long a body may take to arrive.
pub(crate) const BODY_DEADLINE: Duration = Duration::from_secs(10);

/// Only `POST`, only `application/json`, never compressed: what a page of a browser can send without
/// asking first is none of these.
pub(crate) fn is_post_of_json(parts: &Parts) -> Result<(), Refusal> {
    if parts.method != Method::POST {
        return Err(Refusal::Method);
    }
    if parts.headers.contains_key(header::CONTENT_ENCODING) || !is_json(parts) {
        return Err(Refusal::MediaType);
    }
    Ok(())
}

fn is_json(parts: &Parts) -> bool {
    let mut values = parts.headers.get_all(header::CONTENT_TYPE).iter();
    let essence = |value: &HeaderValue| {
        let text = value.to_str().unwrap_or_default();
        text.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json")
    };
    values.next().is_some_and(essence) && values.next().is_none()
}

/// Reads a body within its length and its time.
pub(crate) async fn read(parts: &Parts, body: Incoming, most: usize) -> Result<Bytes, Refusal> {
    let announced = parts.headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok());
    if announced.and_then(|text| text.parse::<usize>().ok()).is_some_and(|length| length > most) {
        return Err(Refusal::TooLarge);
    }
    let whole = tokio::time::timeout(BODY_DEADLINE, Limited::new(body, most).collect());
    match whole.await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Refusal::TooLarge),
        Ok(Err(_)) => Err(Refusal::Broken),
        Err(_) => Err(Refusal::TooSlow),
    }
}

/// What came of the calls of one request.
pub(crate) fn answered(parcel: Parcel) -> Response<Parcel> {
    if !parcel.is_empty() {
        return json(StatusCode::OK, parcel);
    }
    let mut response = Response::new(parcel);
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// Where a model finds out how to use this door.
pub(crate) const MODELS_PATH: &str = "/llms.txt";

/// `GET /llms.txt`: the same for everybody, so no credential is asked for.
pub(crate) fn for_models() -> Response<Parcel> {
    let text = include_str!("../../../../docs/llms.txt");
    let mut response = json(StatusCode::OK, Parcel::new(text.to_owned(), Vec::new()));
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// A JSON response that no cache keeps and no browser reinterprets.
pub(crate) fn json(status: StatusCode, parcel: Parcel) -> Response<Parcel> {
    let mut response = Response::new(parcel);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
