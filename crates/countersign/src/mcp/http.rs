//! MCP over Streamable HTTP, without sessions: each POST is answered by JSON.
//!
//! A page of a browser cannot use it: requests with an `Origin` that is not this machine, or a `Host` that is neither
//! an address nor named, are refused (DNS rebinding).

use std::{
    convert::Infallible,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use secrecy::SecretString;
use serde_json::Value;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use super::{
    door::AgentDoor,
    protocol::{VERSIONS, answer, unreadable},
};
use crate::failure::Failure;

/// The only path.
const PATH: &str = "/mcp";
/// The longest body.
const BODY_MAX: usize = 1 << 20;
/// The most connections at a time; more wait in the system's queue.
const CONNECTIONS_MAX: usize = 64;
/// How long a head may take to arrive, and how long a body.
const ARRIVAL: Duration = Duration::from_secs(10);
/// How long to wait after the system refused to accept (no file descriptor left): it would refuse again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long one answer may take: a wait, and a little.
const DEADLINE: Duration = Duration::from_mins(1);

/// Who may come in, and for whom is asked.
#[derive(Debug)]
pub(crate) struct HttpDoor {
    pub(crate) address: SocketAddr,
    pub(crate) agent: AgentDoor,
    /// Origins of pages that may ask, besides those of this machine.
    pub(crate) origins: Vec<String>,
    /// Names that it answers to, besides `localhost` and addresses.
    pub(crate) hosts: Vec<String>,
}

/// Serves until `stop` is cancelled; `told` hears where.
pub(crate) async fn listen(
    door: HttpDoor,
    stop: CancellationToken,
    told: impl FnOnce(SocketAddr),
) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::failed(format!("{}: {error}", door.address));
    let listener = TcpListener::bind(door.address).await.map_err(failed)?;
    told(listener.local_addr().map_err(failed)?);
    let (door, places) = (Arc::new(door), Arc::new(Semaphore::new(CONNECTIONS_MAX)));
    let mut connections = JoinSet::new();
    loop {
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await.ok()?;
            Some((place, listener.accept().await))
        };
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = next => accepted,
        };
        while connections.try_join_next().is_some() {}
        let Some((place, accepted)) = accepted else { break };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let door = Arc::clone(&door);
        connections.spawn(async move {
            serve(door, stream).await;
            drop(place);
        });
    }
    connections.shutdown().await;
    Ok(())
}

async fn serve(door: Arc<HttpDoor>, stream: TcpStream) {
    let service = service_fn(move |request| {
        let door = Arc::clone(&door);
        async move { Ok::<_, Infallible>(door.answered(request).await) }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(ARRIVAL).max_buf_size(64 * 1024);
    if let Err(error) = builder.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(%error, "a connection broke");
    }
}

/// Why a request is turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Refused(StatusCode, &'static str);

const UNKNOWN: Refused =
    Refused(StatusCode::UNAUTHORIZED, "an agent's token is needed: Authorization: Bearer");

impl HttpDoor {
    async fn answered(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        match tokio::time::timeout(DEADLINE, self.exchange(request)).await {
            Ok(Ok(Some(answer))) => json(StatusCode::OK, answer.to_string()),
            Ok(Ok(None)) => json(StatusCode::ACCEPTED, String::new()),
            Ok(Err(refused)) => refusal(refused),
            Err(_) => refusal(Refused(StatusCode::GATEWAY_TIMEOUT, "no answer in time")),
        }
    }

    async fn exchange(&self, request: Request<Incoming>) -> Result<Option<Value>, Refused> {
        let (parts, body) = request.into_parts();
        self.belongs(&parts.headers)?;
        if parts.uri.path() != PATH {
            return Err(Refused(StatusCode::NOT_FOUND, "the path is /mcp"));
        }
        if parts.method != Method::POST {
            return Err(Refused(StatusCode::METHOD_NOT_ALLOWED, "only POST: there are no streams"));
        }
        speaks(&parts.headers)?;
        let door = self.whose(&parts.headers)?;
        // also where nothing is asked of the gateway: a client learns at once that its token is none
        if parts.headers.contains_key(header::AUTHORIZATION) && door.is_refused().await {
            return Err(UNKNOWN);
        }
        let body = tokio::time::timeout(ARRIVAL, Limited::new(body, BODY_MAX).collect()).await;
        let bytes = match body {
            Ok(Ok(collected)) => collected.to_bytes(),
            Ok(Err(_)) => {
                return Err(Refused(StatusCode::PAYLOAD_TOO_LARGE, "a body of more than 1 MiB"));
            }
            Err(_) => return Err(Refused(StatusCode::REQUEST_TIMEOUT, "the body did not arrive")),
        };
        Ok(match serde_json::from_slice::<Value>(&bytes) {
            Ok(message) => answer(&door, message).await,
            Err(_) => Some(unreadable()),
        })
    }

    /// Not sent by a page of elsewhere, under whatever name it reached us.
    fn belongs(&self, headers: &HeaderMap) -> Result<(), Refused> {
        let once = [header::HOST, header::ORIGIN, header::AUTHORIZATION];
        if once.iter().any(|name| headers.get_all(name).iter().nth(1).is_some()) {
            return Err(Refused(
                StatusCode::BAD_REQUEST,
                "a header stands twice that names one thing",
            ));
        }
        let text = |name| headers.get(name).map(|value: &HeaderValue| value.to_str().unwrap_or(""));
        let host = text(header::HOST).unwrap_or_default();
        if !self.hosts.iter().any(|known| known.eq_ignore_ascii_case(host)) && !is_here(host) {
            return Err(Refused(StatusCode::MISDIRECTED_REQUEST, "this host name is not served"));
        }
        let Some(origin) = text(header::ORIGIN) else { return Ok(()) };
        let of_here = origin.parse::<Uri>().is_ok_and(|origin| {
            origin.authority().is_some_and(|authority| is_loopback(authority.host()))
        });
        if of_here || self.origins.iter().any(|known| known == origin) {
            Ok(())
        } else {
            Err(Refused(StatusCode::FORBIDDEN, "pages of this origin are not served"))
        }
    }

    /// The agent whose token the client presents; else the one whose token this process has, for this machine only.
    fn whose(&self, headers: &HeaderMap) -> Result<AgentDoor, Refused> {
        let wrong = UNKNOWN;
        match headers.get(header::AUTHORIZATION) {
            Some(value) => {
                let (scheme, token) =
                    value.to_str().ok().and_then(|v| v.split_once(' ')).ok_or(wrong)?;
                let token = Some(token.trim()).filter(|t| !t.is_empty()).ok_or(wrong)?;
                let bearer = scheme.eq_ignore_ascii_case("bearer");
                bearer
                    .then(|| self.agent.with_token(SecretString::from(token.to_owned())))
                    .ok_or(wrong)
            }
            None if self.address.ip().is_loopback() && self.agent.has_token() => {
                Ok(self.agent.clone())
            }
            None => Err(wrong),
        }
    }
}

/// JSON, in a version that is spoken here.
fn speaks(headers: &HeaderMap) -> Result<(), Refused> {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or(""));
    let kind = text("content-type").unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/json") {
        let words = "the body must be application/json";
        return Err(Refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, words));
    }
    let accept = text("accept").unwrap_or("*/*").to_ascii_lowercase();
    if !["application/json", "application/*", "*/*"].iter().any(|kind| accept.contains(kind)) {
        return Err(Refused(StatusCode::NOT_ACCEPTABLE, "answers are application/json"));
    }
    match text("mcp-protocol-version") {
        Some(version) if !VERSIONS.contains(&version) => {
            Err(Refused(StatusCode::BAD_REQUEST, "this version of MCP is not spoken here"))
        }
        Some(_) | None => Ok(()),
    }
}

/// An address, or `localhost`, with or without a port.
fn is_here(host: &str) -> bool {
    let name = host.parse::<http::uri::Authority>().map(|authority| authority.host().to_owned());
    name.is_ok_and(|name| is_loopback(&name) || address(&name).is_some())
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || address(host).is_some_and(|ip| ip.is_loopback())
}

fn address(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

fn refusal(Refused(status, words): Refused) -> Response<Full<Bytes>> {
    let body = serde_json::json!({"jsonrpc": "2.0", "id": null, "error": {"code": -32600, "message": words}});
    let mut response = json(status, body.to_string());
    let extra = match status {
        StatusCode::METHOD_NOT_ALLOWED => Some((header::ALLOW, "POST")),
        StatusCode::UNAUTHORIZED => {
            Some((header::WWW_AUTHENTICATE, "Bearer realm=\"countersign\""))
        }
        _ => None,
    };
    if let Some((name, value)) = extra {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

fn json(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    for (name, value) in [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn door(address: &str, token: Option<&str>) -> HttpDoor {
        let token = token.map(|token| SecretString::from(token.to_owned()));
        HttpDoor {
            address: address.parse().unwrap(),
            agent: AgentDoor::new("http://127.0.0.1:9", token, None).unwrap(),
            origins: vec!["https://desk.example".into()],
            hosts: vec!["mcp.example:8557".into()],
        }
    }

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn only_this_machine_and_who_is_named_comes_in() {
        let door = door("127.0.0.1:0", None);
        for (host, origin, welcome) in [
            ("127.0.0.1:8557", None, true),
            ("localhost", Some("http://localhost:5173"), true),
            ("[::1]:8557", Some("http://[::1]:1"), true),
            ("mcp.example:8557", Some("https://desk.example"), true),
            ("evil.example:8557", None, false),
            ("localhost.evil.example", None, false),
            ("", None, false),
            ("127.0.0.1:8557", Some("https://evil.example"), false),
            ("127.0.0.1:8557", Some("http://localhost.evil.example"), false),
            ("127.0.0.1:8557", Some("null"), false),
        ] {
            let mut pairs = vec![("host", host)];
            pairs.extend(origin.map(|origin| ("origin", origin)));
            assert_eq!(door.belongs(&headers(&pairs)).is_ok(), welcome, "{host} {origin:?}");
        }
    }

    #[test]
    fn the_token_of_the_process_is_for_this_machine_only() {
        let bearer = headers(&[("authorization", "Bearer t")]);
        assert!(door("127.0.0.1:0", Some("own")).whose(&HeaderMap::new()).is_ok());
        assert!(door("127.0.0.1:0", None).whose(&HeaderMap::new()).is_err());
        assert!(door("0.0.0.0:0", Some("own")).whose(&HeaderMap::new()).is_err());
        assert!(door("0.0.0.0:0", None).whose(&bearer).is_ok());
        for bad in ["Basic t", "Bearer", "Bearer  "] {
            let bad = headers(&[("authorization", bad)]);
            assert!(door("127.0.0.1:0", Some("own")).whose(&bad).is_err());
        }
    }
}
