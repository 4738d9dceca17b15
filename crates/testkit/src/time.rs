//! A store's clock that stands still until a test moves it.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use countersign_core::time::{Millis, Timestamp};

/// A clock that stands still until it is moved. Clones show the same time. It may be set back, as a
/// broken machine's clock may: a store must not follow it.
#[derive(Debug, Clone)]
pub struct ManualTime(Arc<AtomicU64>);

impl ManualTime {
    /// A clock that shows this instant.
    #[must_use]
    pub fn at(instant: Timestamp) -> Self {
        Self(Arc::new(AtomicU64::new(instant.millis())))
    }

    /// What it shows.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }

    /// Shows another instant from now on, earlier ones too.
    pub fn set(&self, instant: Timestamp) {
        self.0.store(instant.millis(), Ordering::SeqCst);
    }

    /// Moves forward.
    pub fn advance(&self, by: Millis) {
        self.set(self.now().after(by));
    }

    /// The clock as the function that stores take.
    #[must_use]
    pub fn source(&self) -> Arc<dyn Fn() -> Timestamp + Send + Sync> {
        let time = self.clone();
        Arc::new(move || time.now())
    }
}

impl Default for ManualTime {
    /// Noon on 15 June 2026, UTC.
    fn default() -> Self {
        Self::at(Timestamp::from_millis(1_781_524_800_000))
    }
}
