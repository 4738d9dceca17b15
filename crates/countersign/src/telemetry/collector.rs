//! The collector's door: OTLP over HTTP (protobuf), or over gRPC, which is the same message in a frame.

use std::{
    fmt,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use bytes::{BufMut as _, Bytes, BytesMut};
use countersign_upstream::trusting;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message as _;

/// How long one answer may take.
const DEADLINE: Duration = Duration::from_secs(5);
/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(2);
/// How large an answer may be.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Where OTLP over HTTP takes traces, under whatever the URL names.
const HTTP_PATH: &str = "/v1/traces";
/// Where OTLP over gRPC takes them.
const GRPC_PATH: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
/// The port that collectors keep for gRPC.
const GRPC_PORT: u16 = 4317;
/// gRPC's words for "later, perhaps": cancelled, deadline exceeded, resource exhausted, aborted, out of range,
/// unavailable, data loss.
const LATER: [&str; 7] = ["1", "4", "8", "10", "11", "14", "15"];

/// How a collector is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// `http/protobuf`
    Http,
    /// `grpc`
    Grpc,
}

/// Why a batch was not taken.
#[derive(Debug)]
pub(super) enum Refusal {
    /// It may be taken later.
    Now(String),
    /// It never will be.
    Ever(String),
}

type Sender = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// One collector. Shown without its headers.
pub(crate) struct Collector {
    shown: String,
    http: (Uri, Sender),
    grpc: (Uri, Sender),
    headers: HeaderMap,
    speaks_grpc: AtomicBool,
    /// Nobody said what it speaks: what is not understood is said the other way.
    guessed: bool,
}

impl fmt::Display for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl Collector {
    /// Connects to nothing yet. Without a protocol, port 4317 means gRPC and every other HTTP.
    pub(crate) fn new(
        url: &Uri,
        protocol: Option<Protocol>,
        headers: HeaderMap,
    ) -> Result<Self, String> {
        let authority = url.authority().ok_or("the URL names no host")?;
        let scheme = url.scheme_str().unwrap_or("http");
        let shown = format!("{scheme}://{authority}");
        let path = url.path().trim_end_matches('/');
        let base = format!("{shown}{}", path.strip_suffix(HTTP_PATH).unwrap_or(path));
        let place =
            |path| format!("{base}{path}").parse::<Uri>().map_err(|error| error.to_string());
        let is_grpc = match protocol {
            Some(protocol) => protocol == Protocol::Grpc,
            None => authority.port_u16() == Some(GRPC_PORT),
        };
        Ok(Self {
            http: (place(HTTP_PATH)?, sender(Protocol::Http)?),
            grpc: (place(GRPC_PATH)?, sender(Protocol::Grpc)?),
            shown,
            headers,
            speaks_grpc: AtomicBool::new(is_grpc),
            guessed: protocol.is_none() && is_grpc,
        })
    }

    /// Sends one message; how many of its spans the collector took and threw away.
    pub(super) async fn post(&self, message: Bytes) -> Result<u64, Refusal> {
        let is_grpc = self.speaks_grpc.load(Ordering::Relaxed);
        let exchange = async {
            if is_grpc { self.over_grpc(&message).await } else { self.over_http(message).await }
        };
        let answer = tokio::time::timeout(DEADLINE, exchange).await;
        let answer = answer.unwrap_or_else(|_| Err(Refusal::Now("no answer in time".into())));
        if answer.is_err() && self.guessed {
            self.speaks_grpc.store(!is_grpc, Ordering::Relaxed);
        }
        answer
    }

    async fn over_http(&self, message: Bytes) -> Result<u64, Refusal> {
        let (place, client) = &self.http;
        let request = self.request(place, "application/x-protobuf", message);
        let response = client.request(request).await.map_err(|error| lost(&error))?;
        let (status, body, _) = read(response).await?;
        match status.as_u16() {
            200..=299 => Ok(rejected(&body)),
            429 | 502 | 503 | 504 => Err(Refusal::Now(format!("HTTP {status}"))),
            _ if self.guessed => Err(Refusal::Now(format!("HTTP {status}"))),
            _ => Err(Refusal::Ever(format!("HTTP {status}"))),
        }
    }

    async fn over_grpc(&self, message: &Bytes) -> Result<u64, Refusal> {
        let length = u32::try_from(message.len())
            .map_err(|_| Refusal::Ever("a batch of more than 4 GiB".into()))?;
        let mut framed = BytesMut::with_capacity(message.len().saturating_add(5));
        framed.put_u8(0);
        framed.put_u32(length);
        framed.put_slice(message);
        let (place, client) = &self.grpc;
        let mut request = self.request(place, "application/grpc", framed.freeze());
        request.headers_mut().insert(header::TE, HeaderValue::from_static("trailers"));
        let response = client.request(request).await.map_err(|error| lost(&error))?;
        let head = response.headers().get("grpc-status").cloned();
        let (status, body, trailers) = read(response).await?;
        let named = trailers.get("grpc-status").or(head.as_ref());
        match named.and_then(|value| value.to_str().ok()) {
            Some("0") => Ok(rejected(body.get(5..).unwrap_or_default())),
            Some(code) if LATER.contains(&code) || self.guessed => {
                Err(Refusal::Now(format!("gRPC status {}", clean(code))))
            }
            Some(code) => Err(Refusal::Ever(format!("gRPC status {}", clean(code)))),
            None => Err(Refusal::Now(format!("HTTP {status} and no gRPC status"))),
        }
    }

    fn request(&self, place: &Uri, kind: &'static str, body: Bytes) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = place.clone();
        request.headers_mut().extend(self.headers.clone());
        request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        request
    }
}

fn sender(protocol: Protocol) -> Result<Sender, String> {
    let tls = trusting(None).map_err(|error| error.to_string())?.with_no_client_auth();
    let builder = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http();
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_connect_timeout(Some(CONNECT));
    let connector = match protocol {
        Protocol::Http => builder.enable_http1().wrap_connector(tcp),
        Protocol::Grpc => builder.enable_http2().wrap_connector(tcp),
    };
    let mut client = Client::builder(TokioExecutor::new());
    client.pool_timer(TokioTimer::new()).pool_max_idle_per_host(1);
    Ok(client.http2_only(protocol == Protocol::Grpc).build(connector))
}

fn lost(error: &hyper_util::client::legacy::Error) -> Refusal {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    Refusal::Now(cause.to_string())
}

async fn read(response: Response<Incoming>) -> Result<(StatusCode, Bytes, HeaderMap), Refusal> {
    let status = response.status();
    let collected = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
    let collected = collected.map_err(|error| Refusal::Now(format!("the answer: {error}")))?;
    let trailers = collected.trailers().cloned().unwrap_or_default();
    Ok((status, collected.to_bytes(), trailers))
}

/// How many spans a collector took and threw away. What it says that is no such answer says nothing.
fn rejected(body: &[u8]) -> u64 {
    let answer = ExportTraceServiceResponse::decode(body).unwrap_or_default();
    let rejected = answer.partial_success.map_or(0, |partial| partial.rejected_spans);
    u64::try_from(rejected).unwrap_or(0)
}

fn clean(code: &str) -> &str {
    let plain = code.len() <= 3 && code.bytes().all(|b| b.is_ascii_digit());
    if plain { code } else { "of no meaning" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(url: &str, protocol: Option<Protocol>) -> (String, bool) {
        let uri: Uri = url.parse().unwrap();
        let collector = Collector::new(&uri, protocol, HeaderMap::new()).unwrap();
        (collector.http.0.to_string(), collector.speaks_grpc.load(Ordering::Relaxed))
    }

    #[test]
    fn a_url_names_a_collector_and_its_port_the_protocol() {
        for (url, place, grpc) in [
            ("http://127.0.0.1:4317", "http://127.0.0.1:4317/v1/traces", true),
            ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces", false),
            ("http://127.0.0.1:4318/", "http://127.0.0.1:4318/v1/traces", false),
            ("http://c:1/v1/traces", "http://c:1/v1/traces", false),
            ("https://c.example/otlp", "https://c.example/otlp/v1/traces", false),
        ] {
            assert_eq!(opened(url, None), (place.to_owned(), grpc), "{url}");
        }
        assert!(opened("http://c:1", Some(Protocol::Grpc)).1);
        assert!(!opened("http://c:4317", Some(Protocol::Http)).1);
    }
}
