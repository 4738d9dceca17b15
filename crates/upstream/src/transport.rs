//! One HTTP exchange with one node: pooled, bounded in bytes and in time, no redirects.

use std::{error::Error, time::Duration};

use bytes::Bytes;
use countersign_core::{time::Millis, trail::Trail};
use http::{HeaderMap, HeaderValue, Method, Request, Response, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};

use crate::{endpoint::Endpoint, options::UpstreamError, trust::trusting, wire::NodeError};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Below the idle time of common proxies, so that we rarely write into a closed connection.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);
const IDLE_CONNECTIONS_MAX: usize = 64;

/// The HTTP client that all nodes of a chain share.
#[derive(Debug)]
pub(crate) struct Transport {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    answer_bytes_max: usize,
}

/// What came back, whatever its status but 429 and 5xx.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Bytes,
}

impl Transport {
    /// A client with no connection yet.
    pub(crate) fn new(answer_bytes_max: usize) -> Result<Self, UpstreamError> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let tls = trusting(None).map_err(|error| UpstreamError::Tls(error.to_string()))?;
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls.with_no_client_auth())
            .https_or_http()
            .enable_all_versions()
            .wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
            .build(connector);
        Ok(Self { client, answer_bytes_max })
    }

    /// Posts one JSON body. Only [`Fault::Unsent`] proves that no byte reached the node.
    pub(crate) async fn post(
        &self,
        endpoint: &Endpoint,
        body: Bytes,
        trail: Option<&Trail>,
        within: Duration,
    ) -> Result<Reply, Fault> {
        // boxed: a client's future is large, and many may wait at once
        let exchange = Box::pin(self.exchange(request(endpoint, body, trail)?));
        tokio::time::timeout(within, exchange).await.unwrap_or(Err(Fault::Late(within)))
    }

    /// Posts one JSON body with headers of its own.
    pub(crate) async fn ask(
        &self,
        endpoint: &Endpoint,
        (headers, body): (&HeaderMap, Bytes),
        within: Duration,
    ) -> Result<Reply, Fault> {
        let mut request = request(endpoint, body, None)?;
        request.headers_mut().extend(headers.clone());
        let exchange = Box::pin(self.exchange(request));
        tokio::time::timeout(within, exchange).await.unwrap_or(Err(Fault::Late(within)))
    }

    /// Gets a document. Safe to ask twice; more than these headers is not sent.
    pub(crate) async fn get(
        &self,
        endpoint: &Endpoint,
        headers: &HeaderMap,
        within: Duration,
    ) -> Result<Reply, Fault> {
        let mut request = Request::new(Full::default());
        *request.uri_mut() = endpoint.uri().clone();
        request.headers_mut().insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(authorization) = endpoint.authorization() {
            request.headers_mut().insert(header::AUTHORIZATION, authorization.clone());
        }
        request.headers_mut().extend(headers.clone());
        let exchange = Box::pin(self.exchange(request));
        tokio::time::timeout(within, exchange).await.unwrap_or(Err(Fault::Late(within)))
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Reply, Fault> {
        let response = self.client.request(request).await.map_err(|error| lost(&error))?;
        let status = response.status().as_u16();
        match status {
            429 => return Err(Fault::Busy),
            300..=399 | 500..=599 => return Err(Fault::Status(status)),
            _ => {}
        }
        Ok(Reply { status, body: self.body(response).await? })
    }

    async fn body(&self, response: Response<Incoming>) -> Result<Bytes, Fault> {
        let limited = Limited::new(response.into_body(), self.answer_bytes_max);
        let collected = limited.collect().await.map_err(|error| {
            if error.is::<LengthLimitError>() {
                Fault::TooLarge(self.answer_bytes_max)
            } else {
                Fault::Lost(cause(error.as_ref()))
            }
        })?;
        Ok(collected.to_bytes())
    }
}

fn request(
    endpoint: &Endpoint,
    body: Bytes,
    trail: Option<&Trail>,
) -> Result<Request<Full<Bytes>>, Fault> {
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(endpoint.uri())
        .header(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))
        .header(header::ACCEPT, HeaderValue::from_static("application/json"))
        .body(Full::new(body))
        .map_err(|error| Fault::Unsent(error.to_string()))?;
    let headers = request.headers_mut();
    if let Some(authorization) = endpoint.authorization() {
        headers.insert(header::AUTHORIZATION, authorization.clone());
    }
    // a trail that is no header value is not worth a failed call
    if let Some(value) = trail.and_then(|trail| HeaderValue::try_from(trail.to_string()).ok()) {
        headers.insert("traceparent", value);
        let state = trail.and_then(Trail::state).map(HeaderValue::from_str);
        if let Some(Ok(state)) = state {
            headers.insert("tracestate", state);
        }
    }
    Ok(request)
}

fn lost(error: &hyper_util::client::legacy::Error) -> Fault {
    if error.is_connect() { Fault::Unsent(cause(error)) } else { Fault::Lost(cause(error)) }
}

/// The innermost cause: the outer ones only say "client error".
fn cause(error: &(dyn Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

/// Why a node gave no usable answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    /// Nothing was sent.
    #[error("cannot connect: {0}")]
    Unsent(String),
    /// The connection broke; the request may have arrived.
    #[error("the connection broke: {0}")]
    Lost(String),
    /// No answer in time; the request may have arrived.
    #[error("no answer within {} ms", .0.as_millis())]
    Late(Duration),
    /// Too many requests.
    #[error("HTTP 429, too many requests")]
    Busy,
    /// A redirect, a server error, or a refusal without JSON-RPC in it.
    #[error("HTTP {}{}", .0, advice(*.0))]
    Status(u16),
    /// More bytes than we read.
    #[error("an answer of more than {0} bytes")]
    TooLarge(usize),
    /// Not JSON-RPC, not our id, or not what the method returns.
    #[error("an answer that makes no sense: {0}")]
    Nonsense(String),
    /// Another chain than the configuration says.
    #[error("it serves chain {found}, not {expected}: change the URL or the chain's id")]
    WrongChain {
        /// What the node says.
        found: u64,
        /// What the configuration says.
        expected: u64,
    },
    /// Its newest block is far behind one that was seen.
    #[error("its newest block {head} is far behind block {seen}, which was seen before")]
    Behind {
        /// The node's head.
        head: u64,
        /// The highest head seen.
        seen: u64,
    },
    /// Its newest block is old, or has been its newest for too long.
    #[error("its newest block {head} is {} s old: it does not follow the chain, or the chain stands", .age.0 / 1000)]
    Stale {
        /// The node's head.
        head: u64,
        /// How old it is, or for how long nothing came after it.
        age: Millis,
    },
    /// Its newest block is from the future.
    #[error("its newest block {head} is {} s ahead of this machine's clock", .ahead.0 / 1000)]
    Early {
        /// The node's head.
        head: u64,
        /// By how much.
        ahead: Millis,
    },
    /// It takes no signed bytes, whatever they are.
    #[error("it takes no transactions: {0}")]
    Closed(NodeError),
    /// A JSON-RPC error where a result is needed.
    #[error("{0}")]
    Refused(NodeError),
}

impl Fault {
    /// What went wrong, in one word.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Unsent(_) => "connect",
            Self::Lost(_) => "connection_lost",
            Self::Late(_) => "timeout",
            Self::Busy => "429",
            Self::Status(_) => "http_status",
            Self::TooLarge(_) => "too_large",
            Self::Nonsense(_) => "nonsense",
            Self::WrongChain { .. } => "wrong_chain",
            Self::Behind { .. } => "behind",
            Self::Stale { .. } => "stale",
            Self::Early { .. } => "early",
            Self::Closed(_) => "closed",
            Self::Refused(_) => "refused",
        }
    }

    /// Whether the node itself is in trouble, rather than this one question.
    pub(crate) const fn is_of_node(&self) -> bool {
        match self {
            Self::Refused(_) | Self::TooLarge(_) => false,
            Self::Unsent(_)
            | Self::Lost(_)
            | Self::Late(_)
            | Self::Busy
            | Self::Status(_)
            | Self::Nonsense(_)
            | Self::WrongChain { .. }
            | Self::Behind { .. }
            | Self::Stale { .. }
            | Self::Early { .. }
            | Self::Closed(_) => true,
        }
    }
}

const fn advice(status: u16) -> &'static str {
    match status {
        300..=399 => ": a redirect is not followed, configure the final URL",
        401 | 403 => ": the node does not accept the credentials in its URL",
        404 => ": the node knows no such path",
        _ => "",
    }
}
