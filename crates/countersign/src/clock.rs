//! Time, tasks and chance as this machine gives them.

use std::{
    fmt,
    time::{Duration, Instant, SystemTime},
};

use countersign_core::time::{Millis, Timestamp};
use countersign_engine::port::{Clock, clock::BoxFuture};
use tokio_util::task::TaskTracker;

/// The runtime's clock. Tasks that it spawns are waited for by [`SystemClock::join`].
pub(crate) struct SystemClock {
    start: Instant,
    tasks: TaskTracker,
}

impl fmt::Debug for SystemClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SystemClock({} tasks)", self.tasks.len())
    }
}

impl SystemClock {
    /// A clock whose monotonic time starts at zero now.
    pub(crate) fn new() -> Self {
        #[expect(clippy::disallowed_methods, reason = "the clock adapter is time's one source")]
        let start = Instant::now();
        Self { start, tasks: TaskTracker::new() }
    }

    /// Waits until every task has ended, at most so long. `false` if some have not.
    pub(crate) async fn join(&self, at_most: Duration) -> bool {
        self.tasks.close();
        tokio::time::timeout(at_most, self.tasks.wait()).await.is_ok()
    }
}

impl Clock for SystemClock {
    fn wall(&self) -> Timestamp {
        now()
    }

    fn monotonic(&self) -> Millis {
        Millis(u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    fn sleep(&self, duration: Millis) -> BoxFuture<()> {
        Box::pin(tokio::time::sleep(Duration::from_millis(duration.0)))
    }

    fn spawn(&self, task: BoxFuture<()>) {
        self.tasks.spawn(task);
    }

    fn random(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        fill(&mut bytes);
        bytes
    }
}

/// This machine's wall clock; the epoch where it is set before it.
pub(crate) fn now() -> Timestamp {
    #[expect(clippy::disallowed_methods, reason = "the clock adapter is time's one source")]
    let wall = SystemTime::now();
    let since = wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Time on a clock that nobody sets, and that runs on while the machine sleeps.
#[cfg(target_os = "linux")]
pub(crate) fn steady() -> Millis {
    let rustix::time::Timespec { tv_sec, tv_nsec } =
        rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let (seconds, nanos) = (tv_sec.unsigned_abs(), tv_nsec.unsigned_abs());
    Millis(seconds.saturating_mul(1000).saturating_add(nanos / 1_000_000))
}

/// Time on a clock that nobody sets.
#[cfg(not(target_os = "linux"))]
pub(crate) fn steady() -> Millis {
    static START: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(|| {
        #[expect(clippy::disallowed_methods, reason = "the clock adapter is time's one source")]
        Instant::now()
    });
    Millis(u64::try_from(START.elapsed().as_millis()).unwrap_or(u64::MAX))
}

/// Bytes from the operating system's generator. Without them nothing that must be secret can be made.
#[expect(
    clippy::panic,
    reason = "a system without randomness must not go on and make guessable secrets"
)]
pub(crate) fn fill(bytes: &mut [u8]) {
    if let Err(error) = getrandom::fill(bytes) {
        panic!("the operating system gives no random bytes: {error}");
    }
}
