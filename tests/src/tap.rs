//! A tap between the gateway and its node: hands everything on, remembers every method that reached the
//! node, and can play dead.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};

use crate::http;

/// A running tap.
#[derive(Debug, Clone)]
pub struct Tap {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    node: SocketAddr,
    dead: AtomicBool,
    deaf_after_send: AtomicBool,
    calls: Mutex<Vec<Value>>,
    trails: Mutex<Vec<(String, String)>>,
}

impl Tap {
    /// Listens in front of `node`.
    pub async fn start(node: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("its address");
        let shared = Shared {
            node,
            dead: AtomicBool::new(false),
            deaf_after_send: AtomicBool::new(false),
            calls: Mutex::default(),
            trails: Mutex::default(),
        };
        let tap = Self { address, shared: Arc::new(shared) };
        tokio::spawn(accept(listener, Arc::clone(&tap.shared)));
        tap
    }

    /// Where the gateway should look for its node.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on every connection is dropped without an answer.
    pub fn die(&self) {
        self.shared.dead.store(true, Ordering::SeqCst);
    }

    /// From now on the node answers again.
    pub fn revive(&self) {
        self.shared.dead.store(false, Ordering::SeqCst);
    }

    /// The node takes what is sent, and the answer to it is lost, until told otherwise.
    pub fn lose_answers_to_sends(&self, lose: bool) {
        self.shared.deaf_after_send.store(lose, Ordering::SeqCst);
    }

    /// Every call that reached the node, in order.
    #[must_use]
    pub fn calls(&self) -> Vec<Value> {
        self.shared.calls.lock().expect("nobody panicked here").clone()
    }

    /// The `traceparent` and `tracestate` of every request that reached the node; empty where there was none.
    #[must_use]
    pub fn trails(&self) -> Vec<(String, String)> {
        self.shared.trails.lock().expect("nobody panicked here").clone()
    }

    /// How many calls reached the node that are not reads on the published list.
    #[must_use]
    pub fn writes(&self) -> Vec<String> {
        let methods = self.calls();
        let methods = methods.iter().filter_map(|call| call.get("method").and_then(Value::as_str));
        methods.filter(|method| could_write(method)).map(str::to_owned).collect()
    }
}

/// Whether a method could move money, sign, or administer a node.
fn could_write(method: &str) -> bool {
    let namespace = method.split('_').next().unwrap_or_default();
    let reads = ["eth", "net", "web3"].contains(&namespace);
    let acts = ["send", "sign", "resend", "submit", "fill"].iter().any(|verb| {
        method.to_lowercase().split('_').nth(1).is_some_and(|name| name.starts_with(verb))
    });
    !reads || acts
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let (stream, _peer) = listener.accept().await.expect("the tap's listener");
        tokio::spawn(serve(stream, Arc::clone(&shared)));
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    let service = service_fn(|request| pass_on(request, Arc::clone(&shared)));
    // A dropped connection is what a dead node looks like.
    let _ended = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn pass_on(
    request: Request<Incoming>,
    shared: Arc<Shared>,
) -> Result<Response<Full<Bytes>>, &'static str> {
    if shared.dead.load(Ordering::SeqCst) {
        return Err("dead");
    }
    let header = |name: &str| {
        let value = request.headers().get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    let trail = (header("traceparent"), header("tracestate"));
    shared.trails.lock().expect("nobody panicked here").push(trail);
    let body = request.into_body().collect().await.map_err(|_| "cut")?.to_bytes();
    let sends = remember(&shared, &body);
    let reply = http::post(shared.node, "/", &[], body).await;
    if sends && shared.deaf_after_send.load(Ordering::SeqCst) {
        return Err("lost");
    }
    let answer = Response::builder().header("content-type", "application/json");
    answer.body(Full::new(reply.body)).map_err(|_| "never")
}

/// Remembers the calls of one body; whether one of them sends.
fn remember(shared: &Shared, body: &[u8]) -> bool {
    let calls = match serde_json::from_slice(body) {
        Ok(Value::Array(calls)) => calls,
        Ok(call) => vec![call],
        Err(error) => panic!("the gateway sent no JSON to its node: {error}"),
    };
    let sends =
        calls.iter().any(|call| call.get("method") == Some(&"eth_sendRawTransaction".into()));
    shared.calls.lock().expect("nobody panicked here").extend(calls);
    sends
}
