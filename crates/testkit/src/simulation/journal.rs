//! The journal, as one process reaches it.

use std::sync::{Arc, Weak};

use async_trait::async_trait;
use countersign_core::{
    identity::{PolicyId, TraceHash},
    incident::{Incident, IncidentMove, Occurrence, Taken},
    trace::{TraceRecord, TraceUpdate},
};
use countersign_engine::{
    journal_functions,
    port::{
        Journal,
        journal::{
            Chain, Chained, IncidentAnswer, IncidentQuery, JournalError, NewTrace, Page, TraceQuery,
        },
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

journal_functions! { papers }
