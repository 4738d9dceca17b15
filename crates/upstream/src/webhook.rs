//! Webhooks: what happened, posted to a receiver and signed (Standard Webhooks, `v1`: HMAC-SHA256).
//!
//! One way only: nothing of an answer is read but its status, so no answer can do anything. A receiver is a name that
//! somebody else may point elsewhere, so every address is looked at after it was resolved and before it is connected
//! to, each time anew; no connection is kept, no redirect is followed, no proxy asked.

mod reach;
mod slack;

use std::{fmt, net::IpAddr, time::Duration};

use alloy_primitives::hex;
use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use countersign_core::time::Timestamp;
use countersign_engine::{
    notice::{Kind, Notice},
    port::{Courier, courier::Undelivered},
};
use hmac::{Hmac, Mac};
use http::{HeaderValue, Method, Request, header};
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use sha2::{Digest as _, Sha256};

pub use self::reach::Reach;
use self::reach::{CheckedResolver, admits, names_an_address};
use crate::{
    endpoint::{Endpoint, UrlFault},
    trust::{Authorities, trusting},
};

/// How long a delivery may take, from the name to the status.
const DEADLINE: Duration = Duration::from_secs(5);

/// Bytes of an answer's head at most. Its body is not read.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// Bytes of a key at least, and at most.
const KEY_BYTES: std::ops::RangeInclusive<usize> = 16..=128;

/// What a secret begins with whose rest is base64.
const PREFIX: &str = "whsec_";

/// How a body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `{type, timestamp, data}`.
    Standard,
    /// As Slack's incoming webhooks take it.
    Slack,
}

/// One receiver. Its `Debug` shows no path and no secret: a path may be one.
#[derive(Clone)]
pub struct WebhookOptions {
    /// Where it is. Secret.
    pub url: String,
    /// What bodies are signed with; see [`key_of`].
    pub key: Option<Vec<u8>>,
    /// What it wants to hear of.
    pub kinds: Vec<Kind>,
    /// How bodies are written.
    pub format: Format,
    /// Which addresses it may have.
    pub reach: Reach,
    /// Who vouches for it, and nobody else; without, whoever browsers believe.
    pub authorities: Option<Authorities>,
    /// The time, for what a body is signed with.
    pub wall: fn() -> Timestamp,
}

impl fmt::Debug for WebhookOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookOptions").field("format", &self.format).finish_non_exhaustive()
    }
}

/// Why there is no such receiver. No message holds the URL or a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WebhookError {
    /// Not a URL.
    #[error(transparent)]
    Url(#[from] UrlFault),
    /// What is said would be readable on the way.
    #[error("a webhook needs https://; http:// only to this machine, with `reach: loopback`")]
    Clear,
    /// An address that receivers may not have.
    #[error(
        "the address is not one of the internet: say `reach: private` or `reach: loopback` if it is meant"
    )]
    Address,
    /// User and password in the URL.
    #[error("a webhook's URL holds no user and no password")]
    User,
    /// A key that is too short or too long.
    #[error("a webhook's secret has 16 to 128 bytes: `whsec_` and base64, or plain text")]
    Key,
    /// TLS cannot be set up.
    #[error("TLS: {0}")]
    Tls(String),
}

/// The key in the text of a secret file: base64 behind `whsec_` (Standard Webhooks); base64 of 24 bytes or more also
/// without it; other text as it stands.
pub fn key_of(text: &str) -> Result<Vec<u8>, WebhookError> {
    let text = text.trim();
    let key = match text.strip_prefix(PREFIX) {
        Some(encoded) => STANDARD.decode(encoded).map_err(|_| WebhookError::Key)?,
        None => match STANDARD.decode(text) {
            Ok(key) if key.len() >= 24 => key,
            Ok(_) | Err(_) => text.as_bytes().to_vec(),
        },
    };
    if KEY_BYTES.contains(&key.len()) { Ok(key) } else { Err(WebhookError::Key) }
}

/// A receiver over HTTP.
pub struct Webhook {
    endpoint: Endpoint,
    receiver: String,
    key: Option<Vec<u8>>,
    kinds: Vec<Kind>,
    format: Format,
    wall: fn() -> Timestamp,
    client: Client<HttpsConnector<HttpConnector<CheckedResolver>>, Full<Bytes>>,
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Webhook({})", self.receiver)
    }
}

impl Webhook {
    /// Connects to nothing yet.
    pub fn new(options: WebhookOptions) -> Result<Self, WebhookError> {
        let WebhookOptions { url, key, kinds, format, reach, authorities, wall } = options;
        let endpoint = Endpoint::parse(&url)?;
        if endpoint.authorization().is_some() {
            return Err(WebhookError::User);
        }
        may_be_called(&endpoint, reach)?;
        Ok(Self {
            receiver: receiver(&endpoint, &url),
            client: client(reach, authorities.as_ref())?,
            endpoint,
            key,
            kinds,
            format,
            wall,
        })
    }

    fn request(&self, notice: &Notice) -> Result<Request<Full<Bytes>>, Undelivered> {
        let body = match self.format {
            Format::Standard => notice.body(),
            Format::Slack => slack::body(notice),
        };
        let body = body.to_string();
        let seconds = ((self.wall)().millis().checked_div(1000).unwrap_or_default()).to_string();
        let mut request = Request::new(Full::new(Bytes::from(body.clone())));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.endpoint.uri().clone();
        let headers = request.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::USER_AGENT, HeaderValue::from_static("countersign"));
        let value =
            |text: &str| HeaderValue::from_str(text).map_err(|e| Undelivered(e.to_string()));
        headers.insert("webhook-id", value(&notice.id)?);
        headers.insert("webhook-timestamp", value(&seconds)?);
        if let Some(key) = &self.key {
            headers.insert("webhook-signature", value(&sign(key, &notice.id, &seconds, &body)?)?);
        }
        Ok(request)
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<(), Undelivered> {
        // the body is dropped unread with its connection, however long it would go on
        let response = self.client.request(request).await;
        let response =
            response.map_err(|error| Undelivered(self.endpoint.scrub(&innermost(&error))))?;
        let status = response.status();
        match status.as_u16() {
            200..=299 => Ok(()),
            300..=399 => {
                Err(Undelivered(format!("HTTP {}: no redirect is followed", status.as_u16())))
            }
            other => Err(Undelivered(format!("HTTP {other}"))),
        }
    }
}

#[async_trait]
impl Courier for Webhook {
    fn receiver(&self) -> &str {
        &self.receiver
    }

    fn wants(&self, kind: Kind) -> bool {
        self.kinds.contains(&kind)
    }

    async fn deliver(&self, notice: &Notice) -> Result<(), Undelivered> {
        let exchange = Box::pin(self.exchange(self.request(notice)?));
        let late = || Undelivered(format!("no answer within {} s", DEADLINE.as_secs()));
        tokio::time::timeout(DEADLINE, exchange).await.unwrap_or_else(|_| Err(late()))
    }
}

/// `v1,` and the base64 of the HMAC-SHA256 over `id.timestamp.body`.
fn sign(key: &[u8], id: &str, seconds: &str, body: &str) -> Result<String, Undelivered> {
    let mac = Hmac::<Sha256>::new_from_slice(key);
    let mut mac = mac.map_err(|error| Undelivered(error.to_string()))?;
    mac.update(format!("{id}.{seconds}.{body}").as_bytes());
    Ok(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
}

/// The host and a mark of the whole URL: two receivers at one host are two, and neither shows its path.
fn receiver(endpoint: &Endpoint, url: &str) -> String {
    let mark = hex::encode(Sha256::digest(url));
    let host = endpoint.uri().host().unwrap_or_default();
    format!("{host} {}", mark.get(..12).unwrap_or_default())
}

/// What can be known before a name is resolved.
fn may_be_called(endpoint: &Endpoint, reach: Reach) -> Result<(), WebhookError> {
    let uri = endpoint.uri();
    let host = uri.host().unwrap_or_default();
    let address = names_an_address(host);
    let here =
        host == "localhost" || address.is_some_and(|ip| IpAddr::to_canonical(&ip).is_loopback());
    if uri.scheme_str() != Some("https") && !(reach == Reach::Loopback && here) {
        return Err(WebhookError::Clear);
    }
    match address {
        Some(address) if !admits(reach, address) => Err(WebhookError::Address),
        Some(_) | None => Ok(()),
    }
}

fn client(
    reach: Reach,
    authorities: Option<&Authorities>,
) -> Result<Client<HttpsConnector<HttpConnector<CheckedResolver>>, Full<Bytes>>, WebhookError> {
    let mut tcp = HttpConnector::new_with_resolver(CheckedResolver::new(reach));
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(DEADLINE));
    let tls = trusting(authorities).map_err(|error| WebhookError::Tls(error.to_string()))?;
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(tls.with_no_client_auth())
        .https_or_http()
        .enable_http1()
        .wrap_connector(tcp);
    Ok(Client::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .pool_max_idle_per_host(0)
        .http1_max_buf_size(HEAD_BYTES_MAX)
        .build(connector))
}

fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

#[cfg(test)]
mod tests;
