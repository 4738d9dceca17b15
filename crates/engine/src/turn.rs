//! Turns: how many requests of one agent are judged at once. One that floods waits for itself; nobody else waits for it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use countersign_core::identity::AgentId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The most requests of an agent that are judged at the same time. What waits for people or for the chain is not.
const AT_ONCE: usize = 16;

/// The agents' turns.
#[derive(Debug, Default)]
pub(crate) struct Turns(Mutex<HashMap<AgentId, Arc<Semaphore>>>);

/// The right to be judged now, until it is given back or dropped.
#[derive(Debug, Default)]
pub(crate) struct Turn(Mutex<Option<OwnedSemaphorePermit>>);

impl Turns {
    /// Waits for a turn of this agent, in the order of asking.
    pub(crate) async fn take(&self, agent: &AgentId, turn: &Turn) {
        if turn.is_taken() {
            return;
        }
        let own = Arc::clone(
            self.0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .entry(agent.clone())
                .or_insert_with(|| Arc::new(Semaphore::new(AT_ONCE))),
        );
        // never closed: an error cannot come
        *turn.slot() = own.acquire_owned().await.ok();
    }
}

impl Turn {
    /// Lets the agent's next request be judged.
    pub(crate) fn give_back(&self) {
        self.slot().take();
    }

    fn is_taken(&self) -> bool {
        self.slot().is_some()
    }

    fn slot(&self) -> std::sync::MutexGuard<'_, Option<OwnedSemaphorePermit>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::{FutureExt as _, future::join_all};

    use super::*;

    #[tokio::test]
    async fn a_flood_waits_for_itself_and_nobody_else_does() {
        let turns = Turns::default();
        let (loud, quiet) = (AgentId::parse("loud").unwrap(), AgentId::parse("quiet").unwrap());
        let held: Vec<Turn> = (0..AT_ONCE).map(|_| Turn::default()).collect();
        join_all(held.iter().map(|turn| turns.take(&loud, turn))).await;
        let (more, other) = (Turn::default(), Turn::default());
        let mut waits = pin!(turns.take(&loud, &more));
        assert!(waits.as_mut().now_or_never().is_none(), "all turns are taken");
        assert!(turns.take(&quiet, &other).now_or_never().is_some());
        held[3].give_back();
        waits.await;
        assert!(more.is_taken());
    }
}
