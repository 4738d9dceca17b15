//! How many connections of each agent stay open.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use countersign_core::identity::AgentId;

/// The most WebSocket connections of one agent: no agent takes the others' places at the door.
const CONNECTIONS_MAX: usize = 64;

/// Who is here.
#[derive(Debug, Clone, Default)]
pub(crate) struct Crowd(Arc<Mutex<BTreeMap<AgentId, usize>>>);

/// A connection that counts until it is dropped.
#[derive(Debug)]
pub(crate) struct Presence {
    crowd: Crowd,
    agent: AgentId,
}

impl Crowd {
    /// One more connection of an agent; `None` where it has enough.
    pub(crate) fn enter(&self, agent: &AgentId) -> Option<Presence> {
        let mut counts = self.counts();
        let count = counts.entry(agent.clone()).or_default();
        if *count >= CONNECTIONS_MAX {
            return None;
        }
        *count = count.saturating_add(1);
        Some(Presence { crowd: self.clone(), agent: agent.clone() })
    }

    fn counts(&self) -> MutexGuard<'_, BTreeMap<AgentId, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        let mut counts = self.crowd.counts();
        let Some(count) = counts.get_mut(&self.agent) else { return };
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(&self.agent);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_has_so_many_connections_and_takes_nobody_elses() {
        let [bot, other] = ["bot", "other"].map(|id| AgentId::parse(id).unwrap());
        let crowd = Crowd::default();
        let mut here: Vec<_> =
            std::iter::repeat_with(|| crowd.enter(&bot).unwrap()).take(CONNECTIONS_MAX).collect();
        assert!(crowd.enter(&bot).is_none());
        assert!(crowd.enter(&other).is_some());
        here.pop();
        assert!(crowd.enter(&bot).is_some());
        drop(here);
        assert!(crowd.counts().is_empty(), "who left is forgotten");
    }
}
