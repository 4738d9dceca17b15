//! Slow and idle connections: a head must arrive within 5 s of its first byte, and a connection that
//! neither asks nor reads for 75 s is closed. Longer than any client keeps one, so that a reused connection
//! is not cut under a request.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, sleep},
};

use super::head::Head;

const HEAD_DEADLINE: Duration = Duration::from_secs(5);
const IDLE_DEADLINE: Duration = Duration::from_secs(75);
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How HTTP/2 begins. Its frames come and go between requests, so it has only the idle deadline.
const HTTP2: &[u8] = b"PRI * HTTP/2.0";

/// What a connection did last.
#[derive(Debug)]
pub(crate) struct Pulse {
    requests: AtomicUsize,
    beat: Mutex<Beat>,
}

#[derive(Debug)]
struct Beat {
    /// When the first byte of a head came that is not complete yet.
    head_since: Option<Instant>,
    /// When anything moved last.
    moved: Instant,
    /// `None` until enough bytes came to say.
    is_http2: Option<bool>,
    /// The head that is being read.
    head: Head,
}

impl Pulse {
    /// A connection that has just begun: its first head is already due.
    pub(crate) fn start() -> Self {
        let now = Instant::now();
        let beat =
            Beat { head_since: Some(now), moved: now, is_http2: None, head: Head::default() };
        Self { requests: AtomicUsize::new(0), beat: Mutex::new(beat) }
    }

    /// A request has its head, and is worked on until the value is dropped.
    pub(crate) fn at_work(self: &Arc<Self>) -> AtWork {
        self.requests.fetch_add(1, Ordering::SeqCst);
        let mut is_ambiguous = false;
        self.beat(|beat| {
            beat.head_since = None;
            is_ambiguous = std::mem::take(&mut beat.head).is_ambiguous();
        });
        AtWork { pulse: self.clone(), is_ambiguous }
    }

    /// Completes when the connection is too slow or idle for too long.
    pub(crate) async fn stopped(&self) {
        loop {
            sleep(LOOK_EVERY).await;
            if self.requests.load(Ordering::SeqCst) == 0 && self.is_over() {
                return;
            }
        }
    }

    fn is_over(&self) -> bool {
        let mut over = false;
        self.beat(|beat| {
            let late = beat.head_since.is_some_and(|since| since.elapsed() > HEAD_DEADLINE);
            let idle = beat.moved.elapsed() > IDLE_DEADLINE;
            over = idle || (late && beat.is_http2 != Some(true));
        });
        over
    }

    fn read(&self, bytes: &[u8]) {
        let busy = self.requests.load(Ordering::SeqCst) > 0;
        self.beat(|beat| {
            beat.moved = Instant::now();
            beat.is_http2 = beat.is_http2.or_else(|| Some(bytes.starts_with(HTTP2)));
            if !busy && beat.is_http2 == Some(false) {
                beat.head.read(bytes);
            }
            if !busy && beat.head_since.is_none() {
                beat.head_since = Some(beat.moved);
            }
        });
    }

    fn wrote(&self) {
        self.beat(|beat| beat.moved = Instant::now());
    }

    fn beat(&self, act: impl FnOnce(&mut Beat)) {
        act(&mut self.beat.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// A request that is worked on.
#[derive(Debug)]
pub(crate) struct AtWork {
    pulse: Arc<Pulse>,
    /// Two readers could read its head differently.
    pub(crate) is_ambiguous: bool,
}

impl Drop for AtWork {
    fn drop(&mut self) {
        self.pulse.wrote();
        self.pulse.requests.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A stream that tells the pulse what moves.
#[derive(Debug)]
pub(crate) struct Watched<S> {
    stream: S,
    pulse: Arc<Pulse>,
}

impl<S> Watched<S> {
    pub(crate) const fn new(stream: S, pulse: Arc<Pulse>) -> Self {
        Self { stream, pulse }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if let Some(bytes) = buffer.filled().get(before..).filter(|bytes| !bytes.is_empty()) {
            self.pulse.read(bytes);
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, bytes);
        if polled.is_ready() {
            self.pulse.wrote();
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        if polled.is_ready() {
            self.pulse.wrote();
        }
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn outlives(pulse: &Arc<Pulse>, span: Duration) -> bool {
        tokio::time::timeout(span, pulse.stopped()).await.is_err()
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_has_five_seconds_and_an_idle_connection_seventy_five() {
        let silent = Arc::new(Pulse::start());
        assert!(!outlives(&silent, Duration::from_secs(7)).await);

        let trickling = Arc::new(Pulse::start());
        trickling.read(b"P");
        assert!(!outlives(&trickling, Duration::from_secs(7)).await);

        let kept = Arc::new(Pulse::start());
        drop(kept.at_work());
        assert!(outlives(&kept, Duration::from_secs(70)).await);
        assert!(!outlives(&kept, Duration::from_secs(10)).await);

        let second = Arc::new(Pulse::start());
        drop(second.at_work());
        second.read(b"POST");
        assert!(!outlives(&second, Duration::from_secs(7)).await);
    }

    #[tokio::test(start_paused = true)]
    async fn work_is_never_cut_and_http2_has_the_idle_deadline_only() {
        let working = Arc::new(Pulse::start());
        let work = working.at_work();
        assert!(outlives(&working, Duration::from_mins(10)).await);
        drop(work);

        let http2 = Arc::new(Pulse::start());
        http2.read(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        assert!(outlives(&http2, Duration::from_mins(1)).await);
        assert!(!outlives(&http2, Duration::from_secs(20)).await);
    }
}
