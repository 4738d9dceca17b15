//! What is not answered by HTTP 200: requests that no client of ours sends.

use bytes::Bytes;
use countersign_core::json::Json;
use http::{HeaderValue, Response, StatusCode, header};

use crate::{
    answer::{self, Fault, REQUEST},
    host::Stray,
};

use super::{
    call::{BadCall, Envelope},
    parcel::Parcel,
    stranger, transport,
};

/// Why a request is turned away at the door.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// 400, 403 or 421: it does not belong here.
    Stray(Stray),
    /// 404: a path that is not of this door.
    NotFound,
    /// 405: only `POST`, or an upgrade.
    Method,
    /// 400: an upgrade that is not one to WebSocket, with what is wrong.
    Handshake(&'static str),
    /// 426: another version of WebSocket.
    Version,
    /// 429: this agent has as many connections as it may.
    Crowded,
    /// 415: only `application/json`, not compressed.
    MediaType,
    /// 413
    TooLarge,
    /// 408: the body did not arrive in time.
    TooSlow,
    /// 400: the body broke off.
    Broken,
    /// 401: no credential, or none that we know; with the body, so that a batch gets an array.
    Stranger(Bytes),
    /// 500: a fault of ours.
    Crash,
}

impl From<Stray> for Refusal {
    fn from(stray: Stray) -> Self {
        Self::Stray(stray)
    }
}

impl Refusal {
    const fn status(&self) -> StatusCode {
        match self {
            Self::Stray(Stray::Framing | Stray::NoHost) | Self::Broken | Self::Handshake(_) => {
                StatusCode::BAD_REQUEST
            }
            Self::Stray(Stray::OtherHost) => StatusCode::MISDIRECTED_REQUEST,
            Self::Stray(Stray::OtherOrigin) => StatusCode::FORBIDDEN,
            Self::Version => StatusCode::UPGRADE_REQUIRED,
            Self::Crowded => StatusCode::TOO_MANY_REQUESTS,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::MediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Stranger(_) => StatusCode::UNAUTHORIZED,
            Self::Crash => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    const fn sentence(&self) -> &'static str {
        match self {
            Self::Stray(Stray::Framing) => {
                "the head must have one length and lines that end in CR LF"
            }
            Self::Stray(Stray::NoHost) => "one `Host` is needed",
            Self::Stray(Stray::OtherHost) => {
                "this host name is not served here; use the address or add it to the listener's `hosts`"
            }
            Self::Stray(Stray::OtherOrigin) => "pages of other origins are not served",
            Self::NotFound => "no such path; use /, /{chain}, /k/{token} or /k/{token}/{chain}",
            Self::Method => "JSON-RPC is spoken by POST, or over WebSocket",
            Self::Handshake(reason) => reason,
            Self::Version => "version 13 of WebSocket is spoken here",
            Self::Crowded => "this agent has as many WebSocket connections as it may; close one",
            Self::MediaType => "the body must be application/json without an encoding",
            Self::TooLarge => "the body is longer than 1 MiB",
            Self::TooSlow => "the body did not arrive in time",
            Self::Broken => "the body broke off",
            Self::Stranger(_) => "no agent has this credential",
            Self::Crash => "the gateway failed",
        }
    }

    pub(crate) fn into_response(self) -> Response<Parcel> {
        let status = self.status();
        let text = match &self {
            Self::Stranger(body) => strangers(body),
            Self::Crash => alone(&Fault::unknown()),
            Self::Stray(_)
            | Self::NotFound
            | Self::Method
            | Self::Handshake(_)
            | Self::Version
            | Self::Crowded
            | Self::MediaType
            | Self::TooLarge
            | Self::TooSlow
            | Self::Broken => alone(&Fault::new(REQUEST, self.sentence())),
        };
        tracing::info!(
            status = status.as_u16(),
            reason = self.sentence(),
            "a request was turned away"
        );
        let mut response = transport::json(status, Parcel::new(text, Vec::new()));
        let extra = match &self {
            Self::Stranger(_) => Some((header::WWW_AUTHENTICATE, "Bearer realm=\"countersign\"")),
            Self::Method => Some((header::ALLOW, "POST")),
            Self::Version => Some((header::SEC_WEBSOCKET_VERSION, "13")),
            Self::Stray(_)
            | Self::TooSlow
            | Self::TooLarge
            | Self::Broken
            | Self::Handshake(_)
            | Self::Crowded => Some((header::CONNECTION, "close")),
            Self::NotFound | Self::MediaType | Self::Crash => None,
        };
        if let Some((name, value)) = extra {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

fn alone(fault: &Fault) -> String {
    answer::response(&Json::Null, Err(fault))
}

/// The same refusal under every id, so that clients can tell what was refused.
fn strangers(body: &[u8]) -> String {
    let fault = stranger();
    let refuse = |id: &Json| answer::response(id, Err(&fault));
    match Envelope::parse(body) {
        Envelope::Single(Ok(call)) => refuse(&call.id.unwrap_or(Json::Null)),
        Envelope::Single(Err(BadCall { id, .. })) => refuse(&id),
        Envelope::Batch(calls) => {
            let id = |call: Result<super::call::RpcCall, BadCall>| match call {
                Ok(call) => call.id.unwrap_or(Json::Null),
                Err(bad) => bad.id,
            };
            let all: Vec<String> = calls.into_iter().map(|call| refuse(&id(call))).collect();
            format!("[{}]", all.join(","))
        }
    }
}
