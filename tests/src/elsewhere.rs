//! Somebody else's server, as an oracle or a judge: it says what the test wants to whoever asks.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    task::{JoinHandle, JoinSet},
};

/// What it says: `None` keeps whoever asks waiting.
type Says = Arc<Mutex<Option<String>>>;

/// A server of one document.
#[derive(Debug)]
pub struct Elsewhere {
    address: SocketAddr,
    says: Says,
    asked: Arc<Mutex<Vec<(String, String)>>>,
    task: JoinHandle<()>,
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Elsewhere {
    /// A server that says this.
    pub async fn start(text: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let says: Says = Arc::new(Mutex::new(Some(text.to_owned())));
        let asked = Arc::default();
        let task = tokio::spawn(serve(listener, Arc::clone(&says), Arc::clone(&asked)));
        Self { address, says, asked, task }
    }

    /// Where it listens.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on it says this.
    pub fn says(&self, text: &str) {
        *self.says.lock().expect("no panic") = Some(text.to_owned());
    }

    /// From now on it says nothing.
    pub fn stalls(&self) {
        *self.says.lock().expect("no panic") = None;
    }

    /// Path and body of each request.
    #[must_use]
    pub fn asked(&self) -> Vec<(String, String)> {
        self.asked.lock().expect("no panic").clone()
    }
}

/// A chat completion of this content.
#[must_use]
pub fn completion(content: &Value) -> String {
    json!({ "choices": [{ "message": { "role": "assistant", "content": content.to_string() } }] })
        .to_string()
}

async fn serve(listener: TcpListener, says: Says, asked: Arc<Mutex<Vec<(String, String)>>>) {
    let mut connections = JoinSet::new();
    while let Ok((socket, _)) = listener.accept().await {
        let (says, asked) = (Arc::clone(&says), Arc::clone(&asked));
        connections.spawn(async move {
            let service = service_fn(|request: Request<Incoming>| {
                let (says, asked) = (Arc::clone(&says), Arc::clone(&asked));
                async move {
                    let path = request.uri().to_string();
                    let body = request.into_body().collect().await?.to_bytes();
                    let body = String::from_utf8_lossy(&body).into_owned();
                    asked.lock().expect("no panic").push((path, body));
                    let text = says.lock().expect("no panic").clone();
                    match text {
                        Some(text) => {
                            Ok::<_, hyper::Error>(Response::new(Full::new(Bytes::from(text))))
                        }
                        None => std::future::pending().await,
                    }
                }
            });
            let served = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(socket), service)
                .await;
            // a client that goes away is part of the play
            drop(served);
        });
    }
}
