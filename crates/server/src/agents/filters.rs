//! Filters live in the node, which does not know agents: each belongs to the one that made it.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use countersign_core::{
    draft::FieldError,
    identity::{AgentId, ChainId},
};

/// The most filters that are remembered; the oldest are forgotten first, as nodes do.
const FILTERS_MAX: usize = 4096;

/// A filter of one agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Owned {
    pub(crate) chain: ChainId,
    pub(crate) id: String,
    pub(crate) agent: AgentId,
}

/// Every filter that went through this gateway.
#[derive(Debug, Default)]
pub(crate) struct Filters(Mutex<VecDeque<Owned>>);

impl Filters {
    pub(crate) fn remember(&self, filter: Owned) {
        let mut filters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        filters.retain(|known| (known.chain, &known.id) != (filter.chain, &filter.id));
        if filters.len() >= FILTERS_MAX {
            filters.pop_front();
        }
        filters.push_back(filter);
    }

    /// The same answer for one that is unknown and one that is another's.
    pub(crate) fn check(&self, filter: &Owned) -> Result<(), FieldError> {
        let filters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = filters.contains(filter);
        if known { Ok(()) } else { Err(FieldError::new("filter", "there is no such filter")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_answers_its_maker_only() {
        let of = |agent: &str, id: &str| Owned {
            chain: ChainId(1),
            id: id.into(),
            agent: AgentId::parse(agent).unwrap(),
        };
        let filters = Filters::default();
        filters.remember(of("a", "0x1"));
        assert!(filters.check(&of("a", "0x1")).is_ok());
        assert_eq!(filters.check(&of("b", "0x1")), filters.check(&of("a", "0x2")));
        filters.remember(of("b", "0x1"));
        assert!(filters.check(&of("a", "0x1")).is_err(), "the node gave the id away again");
        for id in 0..FILTERS_MAX {
            filters.remember(of("c", &id.to_string()));
        }
        assert!(filters.check(&of("b", "0x1")).is_err());
    }
}
