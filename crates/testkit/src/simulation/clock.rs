//! The engine's clock in a simulated process.

use countersign_core::time::{Millis, Timestamp};
use countersign_engine::port::{Clock, clock::BoxFuture};

use super::{
    chance::Chance,
    executor::{Executor, Process},
};

/// Time and tasks of one process. They end with it.
#[derive(Debug)]
pub(crate) struct ProcessClock {
    executor: Executor,
    process: Process,
    chance: Chance,
    /// How far this machine's wall clock is ahead.
    ahead: Millis,
}

impl ProcessClock {
    pub(crate) fn new(executor: Executor, process: Process, seed: u64, ahead: Millis) -> Self {
        let chance = Chance::new(seed, 1000 + u64::from(process));
        Self { executor, process, chance, ahead }
    }
}

impl Clock for ProcessClock {
    fn wall(&self) -> Timestamp {
        self.executor.wall().after(self.ahead)
    }

    fn monotonic(&self) -> Millis {
        self.executor.now()
    }

    fn sleep(&self, duration: Millis) -> BoxFuture<()> {
        Box::pin(self.executor.sleep(duration))
    }

    fn spawn(&self, task: BoxFuture<()>) {
        self.executor.spawn(self.process, task);
    }

    fn random(&self) -> [u8; 16] {
        self.chance.bytes()
    }
}
