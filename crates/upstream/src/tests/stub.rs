//! A node of few words: HTTP/1.1 on a free port, answered by a function of the test.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use countersign_core::identity::ChainId;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    task::{JoinHandle, JoinSet},
};

use crate::{FinalityRule, NodeChain, NodeOptions};

pub(super) const CHAIN: ChainId = ChainId(31337);

/// What the stub does with one request.
#[derive(Debug, Clone)]
pub(super) enum Act {
    /// A JSON-RPC result under the request's id.
    Result(Value),
    /// A JSON-RPC error under the request's id.
    Error(Value),
    /// These bytes with this status.
    Raw(u16, String),
    /// Closes the connection without an answer.
    Drop,
    /// A JSON-RPC result after a while.
    Slow(Duration, Value),
    /// Never answers.
    Stall,
}

/// One request that the stub has seen.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) method: String,
    pub(super) params: Value,
    pub(super) path: String,
    pub(super) headers: HeaderMap,
}

type Answers = dyn Fn(&Seen) -> Act + Send + Sync;

#[derive(Debug)]
pub(super) struct Stub {
    pub(super) port: u16,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: JoinHandle<()>,
}

impl Stub {
    /// A node of the right chain that answers everything else by `answers`.
    pub(super) async fn new(answers: impl Fn(&Seen) -> Act + Send + Sync + 'static) -> Self {
        Self::bare(move |seen| match seen.method.as_str() {
            "eth_chainId" => Act::Result(json!("0x7a69")),
            _ => answers(seen),
        })
        .await
    }

    /// A node that says nothing of its own.
    pub(super) async fn bare(answers: impl Fn(&Seen) -> Act + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let task = tokio::spawn(serve(listener, Arc::new(answers), Arc::clone(&seen)));
        Self { port, seen, task }
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What was asked, but for the chain id.
    pub(super) fn seen(&self) -> Vec<Seen> {
        let seen = self.seen.lock().unwrap();
        seen.iter().filter(|seen| seen.method != "eth_chainId").cloned().collect()
    }

    pub(super) fn count(&self, method: &str) -> usize {
        self.seen.lock().unwrap().iter().filter(|seen| seen.method == method).count()
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, answers: Arc<Answers>, seen: Arc<Mutex<Vec<Seen>>>) {
    // they end with the stub
    let mut connections = JoinSet::new();
    while let Ok((socket, _)) = listener.accept().await {
        let (answers, seen) = (Arc::clone(&answers), Arc::clone(&seen));
        connections.spawn(async move {
            let service = service_fn(|request| answer(request, &*answers, &seen));
            let served = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(socket), service)
                .await;
            // a dropped connection is part of the play
            drop(served);
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    answers: &Answers,
    seen: &Mutex<Vec<Seen>>,
) -> Result<Response<Full<Bytes>>, &'static str> {
    let (head, body) = request.into_parts();
    let body: Value = serde_json::from_slice(&body.collect().await.unwrap().to_bytes()).unwrap();
    assert_eq!(body["jsonrpc"], "2.0");
    let asked = Seen {
        method: body["method"].as_str().unwrap().to_owned(),
        params: body["params"].clone(),
        path: head.uri.to_string(),
        headers: head.headers,
    };
    seen.lock().unwrap().push(asked.clone());
    let (status, text) = match answers(&asked) {
        Act::Result(value) => (200, json!({"jsonrpc": "2.0", "id": body["id"], "result": value})),
        Act::Slow(length, value) => {
            tokio::time::sleep(length).await;
            (200, json!({"jsonrpc": "2.0", "id": body["id"], "result": value}))
        }
        Act::Error(value) => (200, json!({"jsonrpc": "2.0", "id": body["id"], "error": value})),
        Act::Raw(status, text) => return Ok(response(status, text)),
        Act::Drop => return Err("dropped"),
        Act::Stall => std::future::pending().await,
    };
    Ok(response(status, text.to_string()))
}

fn response(status: u16, text: String) -> Response<Full<Bytes>> {
    let builder = Response::builder().status(status).header("location", "http://127.0.0.1:9/");
    builder.body(Full::new(text.into())).unwrap()
}

pub(super) fn options(urls: &[String]) -> NodeOptions {
    let mut options = NodeOptions::new(CHAIN, urls.to_vec(), FinalityRule::Blocks(1));
    options.attempt = "500ms".parse().unwrap();
    options.deadline = "3s".parse().unwrap();
    options
}

pub(super) fn chain_of(stubs: &[&Stub]) -> NodeChain {
    let urls: Vec<_> = stubs.iter().map(|stub| stub.url()).collect();
    NodeChain::new(options(&urls)).unwrap()
}

/// A URL where nobody listens.
pub(super) async fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://127.0.0.1:{}", listener.local_addr().unwrap().port())
}

/// A block of the year 2001 that holds the transaction 0xabab…
pub(super) fn block(number: u64, hash: u8) -> Value {
    json!({
        "number": format!("{number:#x}"),
        "hash": alloy_primitives::B256::repeat_byte(hash),
        "gasLimit": "0x1c9c380",
        "baseFeePerGas": "0x3b9aca00",
        "timestamp": "0x3b9aca00",
        "transactions": [alloy_primitives::B256::repeat_byte(0xab)],
    })
}
