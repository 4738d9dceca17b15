//! The engine's clock on tokio, with a wall clock that a test sets.

use std::sync::atomic::{AtomicU64, Ordering};

use countersign_core::time::{Millis, Timestamp};
use countersign_engine::port::{Clock, clock::BoxFuture};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use crate::time::ManualTime;

/// Tasks and sleeping are tokio's (a test may pause its time); the wall clock stands still until it is
/// moved; chance is the same in every run. Nobody joins the tasks.
#[derive(Debug)]
pub struct FakeClock {
    wall: ManualTime,
    start: Instant,
    drawn: AtomicU64,
}

impl FakeClock {
    /// A clock with this wall clock. Give the ledger another one, or the same.
    #[must_use]
    pub fn new(wall: ManualTime) -> Self {
        Self { wall, start: Instant::now(), drawn: AtomicU64::new(0) }
    }
}

impl Clock for FakeClock {
    fn wall(&self) -> Timestamp {
        self.wall.now()
    }

    fn monotonic(&self) -> Millis {
        Millis(u64::try_from(self.start.elapsed().as_millis()).unwrap())
    }

    fn sleep(&self, duration: Millis) -> BoxFuture<()> {
        Box::pin(tokio::time::sleep(std::time::Duration::from_millis(duration.0)))
    }

    fn spawn(&self, task: BoxFuture<()>) {
        tokio::spawn(task);
    }

    fn random(&self) -> [u8; 16] {
        let n = self.drawn.fetch_add(1, Ordering::SeqCst);
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&Sha256::digest(n.to_be_bytes())[..16]);
        bytes
    }
}
