//! Wakes those who wait for an operation in this process. Nobody relies on it alone: what another
//! gateway did is found by looking again.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use countersign_core::identity::OperationId;
use tokio::sync::oneshot;

/// Who waits for which operation.
#[derive(Debug, Default)]
pub(crate) struct Hub {
    waiting: Mutex<HashMap<OperationId, Vec<oneshot::Sender<()>>>>,
}

impl Hub {
    /// A receiver that completes at the operation's next change in this process.
    pub(crate) fn subscribe(&self, operation: OperationId) -> oneshot::Receiver<()> {
        let (sender, receiver) = oneshot::channel();
        let mut waiting = self.lock();
        let queue = waiting.entry(operation).or_default();
        queue.retain(|other| !other.is_closed());
        queue.push(sender);
        receiver
    }

    /// Tells everybody who waits for the operation to look again.
    pub(crate) fn wake(&self, operation: OperationId) {
        for waiter in self.lock().remove(&operation).unwrap_or_default() {
            // a waiter that has gone needs no waking
            waiter.send(()).ok();
        }
    }

    /// Forgets waiters that have gone.
    pub(crate) fn sweep(&self) {
        self.lock().retain(|_, queue| {
            queue.retain(|waiter| !waiter.is_closed());
            !queue.is_empty()
        });
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<OperationId, Vec<oneshot::Sender<()>>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
