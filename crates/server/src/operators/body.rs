//! Bodies of requests, strictly, and of lists.

use axum::{
    Json as Answer,
    extract::{FromRequest, Request},
    http::{StatusCode, header},
};
use bytes::Bytes;
use countersign_core::{
    json::{Json, Limits},
    time::Timestamp,
};
use countersign_engine::port::journal::Page;
use serde::{Serialize, de::DeserializeOwned};

use super::{BODY_MAX, Problem};

/// A JSON body, read strictly: no key twice, no unknown member where `T` says so.
#[derive(Debug)]
pub(crate) struct Given<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Sync + Send> FromRequest<S> for Given<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let is_json = is_json(&request);
        let bytes = read(request, state).await?;
        strict(is_json, &bytes).map(Self)
    }
}

/// As [`Given`], or nothing at all.
#[derive(Debug)]
pub(crate) struct Perhaps<T>(pub(crate) T);

impl<T: DeserializeOwned + Default, S: Sync + Send> FromRequest<S> for Perhaps<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let is_json = is_json(&request);
        let bytes = read(request, state).await?;
        if bytes.is_empty() { Ok(Self(T::default())) } else { strict(is_json, &bytes).map(Self) }
    }
}

async fn read<S: Sync + Send>(request: Request, state: &S) -> Result<Bytes, Problem> {
    let wrong = |reason: &str| Problem::Malformed(reason.into());
    Bytes::from_request(request, state).await.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => wrong("the body is longer than 1 MiB"),
        _ => wrong("the body broke off"),
    })
}

fn strict<T: DeserializeOwned>(is_json: bool, bytes: &[u8]) -> Result<T, Problem> {
    if !is_json {
        return Err(Problem::Malformed("`content-type`: must be application/json".into()));
    }
    let limits = Limits { bytes: BODY_MAX, ..Limits::REQUEST };
    Json::parse(bytes, limits).map_err(|e| Problem::malformed(&e.to_string()))?;
    // a list of values would be taken by its order, which nobody has promised
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        return Err(Problem::Malformed("the body must be an object".into()));
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let at = error.path().to_string();
        let wrong = error.into_inner();
        Problem::malformed(&if at == "." { wrong.to_string() } else { format!("`{at}`: {wrong}") })
    })
}

fn is_json(request: &Request) -> bool {
    let value = request.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok());
    let essence = value.unwrap_or_default().split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("application/json")
}

/// `{"items": [..], "next_cursor": ..}`
#[derive(Debug, Serialize)]
pub(crate) struct Listing<T> {
    items: Vec<T>,
    next_cursor: Option<String>,
}

/// What a list route answers.
pub(crate) type Listed<T> = Result<Answer<Listing<T>>, Problem>;

pub(crate) fn listed<T>(page: Page<T>) -> Answer<Listing<T>> {
    let Page { items, next_cursor } = page;
    Answer(Listing { items, next_cursor })
}

/// A page of a list that is no store's.
pub(crate) fn listing<T>(items: Vec<T>, next_cursor: Option<String>) -> Answer<Listing<T>> {
    Answer(Listing { items, next_cursor })
}

/// A list that has no second page.
pub(crate) fn whole<T>(items: Vec<T>) -> Answer<Listing<T>> {
    Answer(Listing { items, next_cursor: None })
}

/// A span of time that is asked for: from one instant, up to another that is not before it.
pub(crate) type Span = (Option<Timestamp>, Option<Timestamp>);

pub(crate) fn span(from: Option<Timestamp>, to: Option<Timestamp>) -> Result<Span, Problem> {
    match (from, to) {
        (Some(from), Some(to)) if from > to => {
            Err(Problem::Malformed(format!("`from`: {from} is after `to`, {to}")))
        }
        span => Ok(span),
    }
}

/// How many items a page has.
pub(crate) fn limit(asked: Option<u32>) -> Result<u32, Problem> {
    match asked {
        None => Ok(50),
        Some(limit @ 1..=1000) => Ok(limit),
        Some(_) => Err(Problem::Malformed("`limit`: must be from 1 to 1000".into())),
    }
}
