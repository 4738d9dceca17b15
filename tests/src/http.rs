//! HTTP as the tests need it: one exchange on one connection, over TCP or TLS, HTTP/1.1 or HTTP/2, and a
//! raw socket for what no HTTP library would send.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, client::conn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

/// How long one exchange may take; longer than any hold of the gateway.
const DEADLINE: Duration = Duration::from_mins(1);

/// An answer.
#[derive(Debug, Clone)]
pub struct Reply {
    /// Its status.
    pub status: u16,
    /// Its headers.
    pub headers: http::HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl Reply {
    /// The body as JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("HTTP {} {error}: {}", self.status, self.text()))
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header's text; empty where it is absent.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// A version of HTTP, named before the first byte (no upgrade, no ALPN).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.1
    One,
    /// HTTP/2 with prior knowledge
    Two,
}

/// Header lines.
pub type Headers<'h> = &'h [(&'h str, &'h str)];

/// Posts JSON over a fresh connection.
pub async fn post(
    to: SocketAddr,
    path: &str,
    headers: Headers<'_>,
    body: impl Into<Bytes>,
) -> Reply {
    let mut lines = vec![("content-type", "application/json")];
    lines.extend_from_slice(headers);
    send(to, &request("POST", to, path, &lines), body.into()).await
}

/// Gets a resource over a fresh connection.
pub async fn get(from: SocketAddr, path: &str, headers: Headers<'_>) -> Reply {
    send(from, &request("GET", from, path, headers), Bytes::new()).await
}

/// The head of a request, with a `Host` unless `headers` names one.
#[must_use]
pub fn request(method: &str, host: SocketAddr, path: &str, headers: Headers<'_>) -> Request<()> {
    let mut builder = Request::builder().method(method).uri(format!("http://{host}{path}"));
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        builder = builder.header("host", host.to_string());
    }
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    builder.body(()).expect("a well-formed request")
}

/// Sends over a fresh TCP connection.
pub async fn send(to: SocketAddr, head: &Request<()>, body: Bytes) -> Reply {
    try_send(to, head, body).await.unwrap_or_else(|error| panic!("no answer from {to}: {error}"))
}

/// Sends over a fresh TCP connection; the error is for those who expect one.
pub async fn try_send(to: SocketAddr, head: &Request<()>, body: Bytes) -> Result<Reply, String> {
    let stream = TcpStream::connect(to).await.map_err(|error| error.to_string())?;
    exchange(stream, Version::One, head, body).await
}

/// One exchange over an open stream.
pub async fn exchange<S>(
    stream: S,
    version: Version,
    head: &Request<()>,
    body: Bytes,
) -> Result<Reply, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let talk = async {
        match version {
            Version::One => over_http1(stream, origin_form(head, body)).await,
            Version::Two => over_http2(stream, head.clone().map(|()| Full::new(body))).await,
        }
    };
    let answer = timeout(DEADLINE, talk).await.map_err(|_| "no answer in time".to_owned())?;
    answer.map_err(|error| error.to_string())
}

/// HTTP/1.1 clients send the path alone.
fn origin_form(head: &Request<()>, body: Bytes) -> Request<Full<Bytes>> {
    let mut request = head.clone().map(|()| Full::new(body));
    let path = head.uri().path_and_query().map_or("/", |path| path.as_str());
    *request.uri_mut() = path.parse().expect("a path");
    request
}

async fn over_http1<S>(stream: S, request: Request<Full<Bytes>>) -> Result<Reply, hyper::Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    read(sender.send_request(request).await?).await
}

async fn over_http2<S>(stream: S, request: Request<Full<Bytes>>) -> Result<Reply, hyper::Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let io = TokioIo::new(stream);
    let (mut sender, connection) = conn::http2::handshake(TokioExecutor::new(), io).await?;
    tokio::spawn(connection);
    read(sender.send_request(request).await?).await
}

async fn read(response: hyper::Response<hyper::body::Incoming>) -> Result<Reply, hyper::Error> {
    let (parts, body) = response.into_parts();
    let body = body.collect().await?.to_bytes();
    Ok(Reply { status: parts.status.as_u16(), headers: parts.headers, body })
}

/// What came back on a raw socket.
#[derive(Debug, Clone)]
pub struct Raw {
    /// Everything that was read.
    pub text: String,
    /// With how a WebSocket connection was ended: the last frame, if it is one that closes.
    pub close: Option<u16>,
    /// Whether the server closed the connection.
    pub closed: bool,
}

impl Raw {
    /// The status of the first answer, if one came.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.text.split(' ').nth(1).and_then(|status| status.parse().ok())
    }
}

/// Writes bytes as they are and reads until the server closes or says nothing for `quiet`.
pub async fn raw(to: SocketAddr, bytes: &[u8], quiet: Duration) -> Raw {
    let mut stream = TcpStream::connect(to).await.expect("a connection");
    let _reset_while_writing = stream.write_all(bytes).await;
    let (mut text, mut buffer) = (Vec::new(), [0_u8; 4096]);
    let closed = loop {
        match timeout(quiet, stream.read(&mut buffer)).await {
            Ok(Ok(read @ 1..)) => text.extend(buffer.iter().take(read)),
            Ok(Ok(0) | Err(_)) => break true,
            Err(_silence) => break false,
        }
    };
    Raw { text: String::from_utf8_lossy(&text).into_owned(), close: close_code(&text), closed }
}

/// The code of a close frame that nothing follows; behind a head that leaves HTTP.
fn close_code(read: &[u8]) -> Option<u16> {
    let end = read.windows(4).position(|four| four == b"\r\n\r\n")?;
    let (head, frames) = read.split_at(end.checked_add(4)?);
    let mut frames = Some(frames).filter(|_| head.starts_with(b"HTTP/1.1 101 "))?;
    loop {
        let (first, second) = (frames.first()?, frames.get(1)?);
        let (length, payload) = match second {
            126 => (u64::from(u16::from_be_bytes(frames.get(2..4)?.try_into().ok()?)), 4),
            127 => (u64::from_be_bytes(frames.get(2..10)?.try_into().ok()?), 10),
            short => (u64::from(*short), 2_usize),
        };
        let next = payload.checked_add(usize::try_from(length).ok()?)?;
        if *first == 0x88 {
            let code = frames.get(payload..payload.checked_add(2)?)?;
            return (next == frames.len()).then_some(u16::from_be_bytes(code.try_into().ok()?));
        }
        frames = frames.get(next..)?;
    }
}
