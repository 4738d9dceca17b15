//! Bodies of requests, strictly, and of lists.

use axum::{
    Json as Answer,
    extract::{FromRequest, Request},
    http::{StatusCode, header},
};
use bytes::Bytes;
use countersign_core::json::{Json, Limits};
use countersign_engine::port::journal::Page;
use serde::{Serialize, de::DeserializeOwned};

use super::{BODY_MAX, Problem};

/// A JSON body, read strictly: no key twice, no unknown member where `T` says so.
#[derive(Debug)]
pub(crate) struct Given<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Sync + Send> FromRequest<S> for Given<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let wrong = |reason: &str| Problem::Malformed(reason.into());
        if !is_json(&request) {
            return Err(wrong("`content-type`: must be application/json"));
        }
        let bytes = Bytes::from_request(request, state).await;
        let bytes = bytes.map_err(|rejection| match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => wrong("the body is longer than 1 MiB"),
            _ => wrong("the body broke off"),
        })?;
        let limits = Limits { bytes: BODY_MAX, ..Limits::REQUEST };
        Json::parse(&bytes, limits).map_err(|e| Problem::Malformed(e.to_string()))?;
        let value = serde_json::from_slice(&bytes);
        value.map(Self).map_err(|e| Problem::Malformed(e.to_string()))
    }
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

/// A list that has no second page.
pub(crate) fn whole<T>(items: Vec<T>) -> Answer<Listing<T>> {
    Answer(Listing { items, next_cursor: None })
}

/// How many items a page has.
pub(crate) fn limit(asked: Option<u32>) -> Result<u32, Problem> {
    match asked {
        None => Ok(50),
        Some(limit @ 1..=1000) => Ok(limit),
        Some(_) => Err(Problem::Malformed("`limit`: must be from 1 to 1000".into())),
    }
}
