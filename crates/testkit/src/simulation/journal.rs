//! The journal, as one process reaches it.

use std::sync::{Arc, Weak};

use async_trait::async_trait;
use countersign_core::{
    identity::{PolicyId, TraceHash},
    incident::{Incident, IncidentMove, Occurrence, Taken},
    trace::{TraceRecord, TraceUpdate},
};
use countersign_engine::port::{
    Journal,
    journal::{
        Chain, Chained, IncidentAnswer, IncidentQuery, JournalError, NewTrace, Page, TraceQuery,
    },
};

use super::{executor::Executor, world::World};
use crate::journal::ModelJournal;

/// One process's way to its journal.
#[derive(Debug)]
pub(crate) struct Papers {
    world: Weak<World>,
    journal: ModelJournal,
}

impl Papers {
    pub(crate) fn new(world: &Arc<World>, gateway: &str) -> Self {
        Self { world: Arc::downgrade(world), journal: world.journals.journal(gateway) }
    }

    fn is_away(&self) -> Option<JournalError> {
        let world = self.world.upgrade().unwrap();
        world.is_journal_away().then(|| {
            world.log.reach("journal.away");
            JournalError::Unavailable("connection refused".into())
        })
    }
}

macro_rules! papers {
    ($($name:ident($($arg:ident: $type:ty),*) -> $answer:ty;)*) => {
        #[async_trait]
        impl Journal for Papers {
            $(async fn $name(&self, $($arg: $type),*) -> Result<$answer, JournalError> {
                Executor::turn().await;
                if let Some(error) = self.is_away() {
                    return Err(error);
                }
                let answer = self.journal.$name($($arg),*).await;
                Executor::turn().await;
                answer
            })*
        }
    };
}

papers! {
    pin(policy: PolicyId, canonical: &str) -> ();
    record(entry: &NewTrace) -> ();
    update(trace: TraceHash, update: &TraceUpdate) -> ();
    trace(trace: TraceHash) -> Option<TraceRecord>;
    traces(query: &TraceQuery) -> Page<TraceRecord>;
    raise(occurrence: &Occurrence) -> Taken;
    incident(id: &str) -> Option<Incident>;
    incidents(query: &IncidentQuery) -> Page<Incident>;
    change_incident(id: &str, step: &IncidentMove) -> IncidentAnswer;
    chains() -> Vec<Chain>;
    entries(gateway: &str, after: u64, limit: u32) -> Vec<Chained>;
}
