//! Who asks: so many connections, each with one request at a time, for so long.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// Where requests go, and with what credential.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) path: String,
    /// The whole value of `Authorization`.
    pub(crate) authorization: Option<String>,
}

/// Which request it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Nth {
    /// Over all connections.
    pub(crate) request: u64,
    pub(crate) connection: usize,
}

/// What each request says.
pub(crate) type Body = Arc<dyn Fn(Nth) -> String + Send + Sync>;

/// What a drive came to.
#[derive(Debug, Clone)]
pub(crate) struct Measured {
    pub(crate) elapsed: Duration,
    /// Sorted, in nanoseconds, one for each request that was answered with a result.
    pub(crate) latencies: Vec<u64>,
    /// The first answer without a result.
    pub(crate) refused: Option<String>,
}

impl Measured {
    /// Of latencies in any order.
    pub(crate) fn of(elapsed: Duration, mut latencies: Vec<u64>) -> Self {
        latencies.sort_unstable();
        Self { elapsed, latencies, refused: None }
    }

    /// Answers a second.
    pub(crate) fn rate(&self) -> f64 {
        self.latencies.len() as f64 / self.elapsed.as_secs_f64()
    }

    /// The latency that so many of a hundred stay below, in microseconds.
    pub(crate) fn percentile(&self, percent: f64) -> f64 {
        let last = self.latencies.len().saturating_sub(1) as f64;
        let index = (last * percent / 100.0).round() as usize;
        self.latencies.get(index).map_or(f64::NAN, |nanos| *nanos as f64 / 1000.0)
    }
}

/// Asks until the time is up. Panics where an answer carries no result: a gateway that refuses is fast, and not measured.
pub(crate) async fn drive(
    target: &Target,
    connections: usize,
    time: Duration,
    body: &Body,
) -> Measured {
    let next = Arc::new(AtomicU64::new(0));
    let begun = Instant::now();
    let tasks: Vec<_> = (0..connections)
        .map(|connection| {
            let (target, body, next) = (target.clone(), Arc::clone(body), Arc::clone(&next));
            let said = move || {
                let request = next.fetch_add(1, Ordering::Relaxed);
                body(Nth { request, connection })
            };
            tokio::spawn(async move { one(&target, begun + time, said).await })
        })
        .collect();
    let mut latencies = Vec::new();
    let mut refused = None;
    for task in tasks {
        let (of_one, why) = task.await.unwrap();
        latencies.extend(of_one);
        refused = refused.or(why);
    }
    let elapsed = begun.elapsed();
    latencies.sort_unstable();
    let measured = Measured { elapsed, latencies, refused };
    assert!(measured.refused.is_none(), "not answered with a result: {:?}", measured.refused);
    measured
}

/// Asks so many times in all, each connection as one of these, one after the other. Panics where an answer lacks the mark.
pub(crate) async fn fill(
    targets: &[Target],
    (connections, count): (usize, u64),
    body: &Body,
    mark: &'static str,
) {
    let next = Arc::new(AtomicU64::new(0));
    let tasks: Vec<_> = (0..connections)
        .map(|number| {
            let target = targets[number % targets.len()].clone();
            let (body, next) = (Arc::clone(body), Arc::clone(&next));
            tokio::spawn(async move {
                let mut connection = connect(&target).await;
                loop {
                    let request = next.fetch_add(1, Ordering::Relaxed);
                    if request >= count {
                        return;
                    }
                    let body = body(Nth { request, connection: number });
                    let answer = answer(&mut connection, &target, body).await;
                    let text = String::from_utf8_lossy(&answer);
                    assert!(text.contains(mark), "`{mark}` was expected: {text}");
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

/// A connection that stays, with one request at a time.
pub(crate) struct Line {
    target: Target,
    connection: http1::SendRequest<Full<Bytes>>,
}

impl Line {
    pub(crate) async fn open(target: Target) -> Self {
        let connection = connect(&target).await;
        Self { target, connection }
    }

    /// How long the answer took. Panics where it carries no result.
    pub(crate) async fn ask(&mut self, body: String) -> Duration {
        let asked = Instant::now();
        let answer = answer(&mut self.connection, &self.target, body).await;
        let took = asked.elapsed();
        let text = String::from_utf8_lossy(&answer);
        assert!(text.contains("\"result\":"), "not answered with a result: {text}");
        took
    }
}

/// Text by GET, without a credential.
pub(crate) async fn get(address: SocketAddr, path: &str) -> String {
    let target = Target { address, path: path.into(), authorization: None };
    let mut connection = connect(&target).await;
    let request = Request::get(path).header("host", address.to_string());
    let request = request.body(Full::default()).unwrap();
    let answer = connection.send_request(request).await.unwrap();
    let bytes = answer.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Asks once.
pub(crate) async fn ask(target: &Target, body: String) -> Bytes {
    let mut connection = connect(target).await;
    answer(&mut connection, target, body).await
}

async fn one(
    target: &Target,
    end: Instant,
    said: impl Fn() -> String,
) -> (Vec<u64>, Option<String>) {
    let mut connection = connect(target).await;
    let mut latencies = Vec::with_capacity(1 << 14);
    while Instant::now() < end {
        let body = said();
        let asked = Instant::now();
        let answer = answer(&mut connection, target, body).await;
        let took = asked.elapsed();
        if !answer.windows(9).any(|window| window == b"\"result\":") {
            return (latencies, Some(String::from_utf8_lossy(&answer).into_owned()));
        }
        latencies.push(u64::try_from(took.as_nanos()).unwrap());
    }
    (latencies, None)
}

async fn connect(target: &Target) -> http1::SendRequest<Full<Bytes>> {
    let stream = TcpStream::connect(target.address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

async fn answer(
    connection: &mut http1::SendRequest<Full<Bytes>>,
    target: &Target,
    body: String,
) -> Bytes {
    let mut request = Request::post(&target.path)
        .header("host", target.address.to_string())
        .header("content-type", "application/json");
    if let Some(authorization) = &target.authorization {
        request = request.header("authorization", authorization);
    }
    let request = request.body(Full::from(body)).unwrap();
    connection.ready().await.unwrap();
    let answer = connection.send_request(request).await.unwrap();
    answer.into_body().collect().await.unwrap().to_bytes()
}
