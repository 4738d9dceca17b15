//! Waiting and working beside the caller, without naming a runtime.

use std::{fmt, future::Future, pin::Pin};

use countersign_core::time::{Millis, Timestamp};

/// A boxed future that owns what it needs.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send + 'static>>;

/// Time, tasks and chance, as the runtime gives them. Money windows never use this clock: they use
/// the store's.
pub trait Clock: fmt::Debug + Send + Sync {
    /// This machine's wall clock.
    fn wall(&self) -> Timestamp;

    /// Monotonic milliseconds since some fixed point of this process, for durations.
    fn monotonic(&self) -> Millis;

    /// Completes after at least `duration`.
    fn sleep(&self, duration: Millis) -> BoxFuture<()>;

    /// Runs a task to its end even if the caller goes away. Shutdown waits for it.
    fn spawn(&self, task: BoxFuture<()>);

    /// 16 bytes from the operating system's generator.
    fn random(&self) -> [u8; 16];
}
