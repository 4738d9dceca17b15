//! A collector: takes OTLP over HTTP and gRPC, and keeps what it gets.

use std::{
    convert::Infallible,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use countersign_tests::wait;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::{
    Request, Response,
    body::{Frame, Incoming},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{AnyValue, KeyValue, any_value::Value as Any},
    trace::v1::Span,
};
use prost::Message as _;
use tokio::net::TcpListener;

const GRPC: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

type Body =
    StreamBody<futures_util::stream::Iter<std::vec::IntoIter<Result<Frame<Bytes>, Infallible>>>>;

/// A running collector.
#[derive(Debug, Clone)]
pub(crate) struct Collector {
    pub(crate) address: SocketAddr,
    got: Arc<Mutex<Got>>,
}

#[derive(Debug, Default)]
struct Got {
    spans: Vec<Span>,
    resources: Vec<Vec<KeyValue>>,
    bytes: Vec<u8>,
    ways: Vec<String>,
}

impl Collector {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("its address");
        let collector = Self { address, got: Arc::default() };
        let own = collector.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("the collector's listener");
                let own = own.clone();
                tokio::spawn(async move {
                    let service = service_fn(move |request| {
                        let own = own.clone();
                        async move { own.take(request).await }
                    });
                    let builder = auto::Builder::new(TokioExecutor::new());
                    let _ended = builder.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        collector
    }

    /// The lines of the configuration that name it.
    pub(crate) fn configured(&self, more: &str) -> (String, String) {
        let line = format!("telemetry: {{ otlp: \"http://{}\"{more} }}\nprices: {{", self.address);
        ("prices: {".to_owned(), line)
    }

    async fn take(&self, request: Request<Incoming>) -> Result<Response<Body>, &'static str> {
        let path = request.uri().path().to_owned();
        let kind =
            request.headers().get("content-type").map(|v| v.to_str().unwrap_or("").to_owned());
        let body = request.into_body().collect().await.map_err(|_| "cut")?.to_bytes();
        let message = match (path.as_str(), kind.as_deref()) {
            ("/v1/traces", Some("application/x-protobuf")) => body.clone(),
            (GRPC, Some("application/grpc")) => framed(&body),
            other => panic!("not a way to export traces: {other:?}"),
        };
        let export = ExportTraceServiceRequest::decode(message).expect("an export of traces");
        let mut got = self.got.lock().expect("nobody panicked here");
        got.bytes.extend(&body);
        got.ways.push(path.clone());
        for of_resource in export.resource_spans {
            got.resources.push(of_resource.resource.expect("a resource").attributes);
            got.spans.extend(of_resource.scope_spans.into_iter().flat_map(|scope| scope.spans));
        }
        Ok(if path == GRPC { over_grpc() } else { over_http() })
    }

    pub(crate) fn spans(&self) -> Vec<Span> {
        self.got.lock().expect("nobody panicked here").spans.clone()
    }

    /// Waits until the spans that came satisfy this.
    pub(crate) async fn until<T>(&self, what: &str, found: impl Fn(&[Span]) -> Option<T>) -> T {
        wait::until(what, async || found(&self.spans())).await
    }

    /// Everything that came, as it came.
    pub(crate) fn text(&self) -> String {
        let got = self.got.lock().expect("nobody panicked here");
        String::from_utf8_lossy(&got.bytes).into_owned()
    }

    pub(crate) fn ways(&self) -> Vec<String> {
        self.got.lock().expect("nobody panicked here").ways.clone()
    }

    /// An attribute of every resource that came.
    pub(crate) fn resources(&self, name: &str) -> Vec<String> {
        let got = self.got.lock().expect("nobody panicked here");
        got.resources.iter().map(|attributes| value(attributes, name)).collect()
    }
}

/// One message, not compressed, of the length that it says.
fn framed(body: &Bytes) -> Bytes {
    let (head, message) = body.split_at_checked(5).expect("a head of five bytes");
    let [0, length @ ..] = head else { panic!("compressed") };
    let length = u32::from_be_bytes(length.try_into().expect("four bytes"));
    assert_eq!(usize::try_from(length), Ok(message.len()));
    body.slice_ref(message)
}

fn over_http() -> Response<Body> {
    let frames = vec![Ok(Frame::data(Bytes::new()))];
    let body = StreamBody::new(futures_util::stream::iter(frames));
    Response::builder().header("content-type", "application/x-protobuf").body(body).expect("fits")
}

fn over_grpc() -> Response<Body> {
    let mut trailers = http::HeaderMap::new();
    trailers.insert("grpc-status", http::HeaderValue::from_static("0"));
    let frames = vec![Ok(Frame::data(Bytes::from_static(&[0; 5]))), Ok(Frame::trailers(trailers))];
    let body = StreamBody::new(futures_util::stream::iter(frames));
    Response::builder().header("content-type", "application/grpc").body(body).expect("fits")
}

/// An attribute's text; empty where there is none.
pub(crate) fn value(attributes: &[KeyValue], name: &str) -> String {
    let found = attributes.iter().find(|attribute| attribute.key == name);
    let text = |value: &AnyValue| match &value.value {
        Some(Any::StringValue(text)) => text.clone(),
        Some(Any::IntValue(number)) => number.to_string(),
        Some(Any::BoolValue(truth)) => truth.to_string(),
        other => panic!("an attribute of another type: {other:?}"),
    };
    found.and_then(|attribute| attribute.value.as_ref()).map(text).unwrap_or_default()
}
