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
