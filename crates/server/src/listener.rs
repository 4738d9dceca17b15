//! Connections: accepting, TLS, HTTP/1.1 or HTTP/2, deadlines, draining.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::future::BoxFuture;
use http::{Request, Response};
use http_body::Body;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::{
        conn::auto,
        graceful::{GracefulShutdown, Watcher},
    },
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

use crate::door::Bound;

#[cfg(any(test, fuzzing))]
pub(crate) use self::head::Head;
use self::pulse::{Pulse, Watched};

mod head;
mod pulse;

/// Put beside a request whose head two readers could read differently.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ambiguous;

/// What a connection goes on with when it has left HTTP. The request that leaves puts it in; the connection itself runs
/// it, so that it keeps its place among the connections and is joined like any other.
#[derive(Clone, Default)]
pub(crate) struct Afterwards(Arc<Mutex<Option<BoxFuture<'static, ()>>>>);

impl Afterwards {
    pub(crate) fn put(&self, work: BoxFuture<'static, ()>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(work);
    }

    fn take(&self) -> Option<BoxFuture<'static, ()>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The most connections of one door; more wait in the system's queue. Ten thousand agents that keep theirs are promised.
const CONNECTIONS_MAX: usize = 16_384;
/// How long a TLS handshake may take.
const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(5);
/// How long to wait after the system refused to accept (no file descriptor left).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// The most bytes of one request's head: a reasoning of 16 KiB, percent-encoded, and the rest.
const HEAD_MAX: u32 = 96 * 1024;
/// The most headers of one request.
const HEADERS_MAX: usize = 64;
/// The most requests of one HTTP/2 connection at a time.
const STREAMS_MAX: u32 = 100;

/// Serves connections until `stop` completes, then drains.
pub(crate) async fn serve<H, F, B>(bound: Bound, handler: H, stop: impl Future<Output = ()> + Send)
where
    H: Fn(Request<Incoming>, SocketAddr) -> F + Clone + Send + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (local, drain) = (bound.local_addr(), Duration::from_millis(bound.drain.0));
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let acceptor = bound.tls.clone().map(TlsAcceptor::from);
    let mut connections = JoinSet::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let next = tokio::select! {
            () = &mut stop => break,
            Some(_ended) = connections.join_next() => continue,
            next = accept(&bound, &places) => next,
        };
        let Some((stream, peer, place)) = next else { continue };
        let handler = handler.clone();
        let line = Line { peer, acceptor: acceptor.clone(), watcher: graceful.watcher() };
        connections.spawn(async move {
            line.serve(stream, move |request| handler(request, peer)).await;
            drop(place);
        });
    }
    drop(bound.listener);
    let drained = timeout(drain, async {
        graceful.shutdown().await;
        while connections.join_next().await.is_some() {}
    })
    .await;
    if drained.is_err() {
        tracing::warn!(address = %local, "requests were cut off at the end of the drain");
    }
    connections.shutdown().await;
}

async fn accept(
    bound: &Bound,
    places: &Arc<Semaphore>,
) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let place = places.clone().acquire_owned().await.ok()?;
    match bound.listener.accept().await {
        Ok((stream, peer)) => Some((stream, peer, place)),
        Err(error) => {
            tracing::warn!(%error, "a connection could not be accepted");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

/// One connection before its protocol is known.
struct Line {
    peer: SocketAddr,
    acceptor: Option<TlsAcceptor>,
    watcher: Watcher,
}

impl Line {
    async fn serve<H, F, B>(self, stream: TcpStream, handler: H)
    where
        H: Fn(Request<Incoming>) -> F + Send + 'static,
        F: Future<Output = Response<B>> + Send + 'static,
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        // an answer is one write: waiting for more of it would only add latency
        drop(stream.set_nodelay(true));
        let Some(acceptor) = &self.acceptor else { return self.speak(stream, handler).await };
        match timeout(HANDSHAKE_DEADLINE, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => self.speak(stream, handler).await,
            Ok(Err(error)) => tracing::debug!(peer = %self.peer, %error, "a TLS handshake failed"),
            Err(_) => tracing::debug!(peer = %self.peer, "a TLS handshake took too long"),
        }
    }

    async fn speak<S, H, F, B>(self, stream: S, handler: H)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
        H: Fn(Request<Incoming>) -> F + Send + 'static,
        F: Future<Output = Response<B>> + Send + 'static,
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let pulse = Arc::new(Pulse::start());
        let stream = TokioIo::new(Watched::new(stream, pulse.clone()));
        let (beating, afterwards) = (pulse.clone(), Afterwards::default());
        let slot = afterwards.clone();
        let service = service_fn(move |mut request: Request<Incoming>| {
            let at_work = beating.at_work();
            if at_work.is_ambiguous {
                request.extensions_mut().insert(Ambiguous);
            }
            request.extensions_mut().insert(slot.clone());
            let answer = handler(request);
            async move {
                let response = answer.await;
                drop(at_work);
                Ok::<_, std::convert::Infallible>(response)
            }
        });
        let mut builder = auto::Builder::new(TokioExecutor::new());
        // the pulse does what hyper's own timer would: that one also cuts idle connections after 5 s
        builder.http1().header_read_timeout(None).max_headers(HEADERS_MAX);
        builder.http1().max_buf_size(usize::try_from(HEAD_MAX).unwrap_or(usize::MAX));
        builder.http2().max_concurrent_streams(STREAMS_MAX).max_header_list_size(HEAD_MAX);
        let connection = builder.serve_connection_with_upgrades(stream, service).into_owned();
        tokio::select! {
            outcome = self.watcher.watch(connection) => if let Err(error) = outcome {
                tracing::debug!(peer = %self.peer, %error, "a connection broke");
            },
            () = pulse.stopped() => tracing::debug!(peer = %self.peer, "a connection was too slow"),
        }
        if let Some(work) = afterwards.take() {
            let _other_deadlines = pulse.at_work();
            work.await;
        }
    }
}

/// An answer of a handler that panicked, in place of the connection's end.
pub(crate) async fn caught<T>(work: impl Future<Output = T>, crashed: impl FnOnce() -> T) -> T {
    use futures_util::FutureExt as _;
    std::panic::AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|_| {
        tracing::error!("a request made the gateway panic");
        crashed()
    })
}
