//! Telling people. The first occurrence of a cause is stored at once; what follows within a second is stored with the
//! next, so that a flood costs the journal one entry a second and not one for each.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use countersign_core::{
    identity::AgentId,
    incident::{Occurrence, Severity},
    journal::sha256,
    operation::OperationRecord,
    time::Millis,
};
use tracing::Instrument as _;

use crate::{engine::Engine, port::journal::NewTrace};

/// For how long occurrences of one cause are told in one.
const JOINED_FOR: Millis = Millis(1000);

/// How many causes are joined at the same time. What is beyond is told one by one.
const CAUSES_MAX: usize = 1024;

/// Bytes of a cause as it stands; of a longer one, its SHA-256 stands for it.
const CAUSE_MAX: usize = 200;

/// What people were told lately, and what they are still to be told of the same.
#[derive(Debug, Default)]
pub(crate) struct Alarms(Mutex<BTreeMap<String, Heard>>);

#[derive(Debug)]
struct Heard {
    told_at: Millis,
    waiting: Option<Occurrence>,
}

impl Alarms {
    /// The occurrence back, if it is to be told now.
    fn hear(&self, occurrence: Occurrence, now: Millis) -> Option<Occurrence> {
        let mut heard = self.lock();
        match heard.get_mut(&occurrence.group()) {
            Some(Heard { waiting: Some(waiting), .. }) => {
                waiting.join(&occurrence);
                None
            }
            Some(heard) if !is_over(heard.told_at, now) => {
                heard.waiting = Some(occurrence);
                None
            }
            known => {
                let is_known = known.is_some();
                if is_known || heard.len() < CAUSES_MAX {
                    let told = Heard { told_at: now, waiting: None };
                    heard.insert(occurrence.group(), told);
                }
                Some(occurrence)
            }
        }
    }

    /// What has waited long enough; `all` that waits where nothing comes after.
    fn due(&self, now: Millis, all: bool) -> Vec<Occurrence> {
        let mut heard = self.lock();
        let mut due = Vec::new();
        heard.retain(|_, heard| {
            if !all && !is_over(heard.told_at, now) {
                return true;
            }
            heard.told_at = now;
            let told = heard.waiting.take();
            let was_waiting = told.is_some();
            due.extend(told);
            was_waiting
        });
        due
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Heard>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const fn is_over(told_at: Millis, now: Millis) -> bool {
    now.0.saturating_sub(told_at.0) >= JOINED_FOR.0
}

impl Engine {
    /// Tells people. An incident that cannot be stored is at least in the log.
    pub async fn raise(
        &self,
        severity: Severity,
        code: &str,
        title: &str,
        about: Option<&OperationRecord>,
    ) {
        let description = about.map_or_else(String::new, |r| format!("operation {}", r.id));
        let lane = |r: &OperationRecord| format!("{}@{}", r.wallet(), r.chain());
        let cause = about.map_or_else(String::new, lane);
        let mut occurrence = self.occurrence(severity, (code, &cause), (title, description));
        occurrence.agent = about.map(|record| record.agent().clone());
        occurrence.session = about.and_then(|record| record.intent.declared.session.clone());
        occurrence.traces = about.map(|record| record.trace).into_iter().collect();
        self.hear(occurrence).await;
    }

    /// Tells people what a decision says.
    pub(crate) async fn raise_about(
        &self,
        severity: Severity,
        of: (&str, &str),
        (title, text): (&str, String),
        about: &NewTrace,
    ) {
        let mut occurrence = self.occurrence(severity, of, (title, text));
        occurrence.agent.clone_from(&about.decision.agent_id);
        occurrence.session.clone_from(&about.decision.session);
        occurrence.traces = vec![about.trace_hash];
        self.hear(occurrence).await;
    }

    /// Tells people what is about no operation, in more than a line. Those of one code and one cause are the same.
    pub async fn report(
        &self,
        severity: Severity,
        of: (&str, &str),
        said: (&str, String),
        agent: Option<&AgentId>,
    ) {
        let mut occurrence = self.occurrence(severity, of, said);
        occurrence.agent = agent.cloned();
        self.hear(occurrence).await;
    }

    pub(crate) fn occurrence(
        &self,
        severity: Severity,
        (code, cause): (&str, &str),
        (title, description): (&str, String),
    ) -> Occurrence {
        Occurrence {
            id: format!("inc_{}", hex::encode(self.ports().clock.random())),
            code: code.into(),
            cause: if cause.len() > CAUSE_MAX { sha256(cause).to_string() } else { cause.into() },
            severity,
            title: title.into(),
            description,
            agent: None,
            session: None,
            traces: Vec::new(),
            count: 1,
            at: self.ports().clock.wall(),
        }
    }

    async fn hear(&self, occurrence: Occurrence) {
        let now = self.ports().clock.monotonic();
        if let Some(occurrence) = self.alarms().hear(occurrence, now) {
            self.store(&occurrence).await;
        }
    }

    /// Tells what was joined and is due.
    pub(crate) async fn tell_joined(&self) {
        for occurrence in self.alarms().due(self.ports().clock.monotonic(), false) {
            self.store(&occurrence).await;
        }
    }

    /// Tells whatever is left to be told.
    pub(crate) async fn tell_rest(&self) {
        for occurrence in self.alarms().due(self.ports().clock.monotonic(), true) {
            self.store(&occurrence).await;
        }
    }

    pub(crate) async fn store(&self, occurrence: &Occurrence) {
        let Occurrence { id, code, title, count, .. } = occurrence;
        tracing::error!(code, title, incident = id, count, "incident");
        if let Err(error) = self.ports().journal.raise(occurrence).await {
            tracing::error!(%error, code, "an incident could not be stored");
        }
    }

    /// As `raise_about`, beside the way of the request.
    pub(crate) fn raise_beside(
        self: &Arc<Self>,
        severity: Severity,
        (code, cause): (&'static str, String),
        (title, text): (String, String),
        about: NewTrace,
    ) {
        let engine = Arc::clone(self);
        let work = async move {
            engine.raise_about(severity, (code, &cause), (&title, text), &about).await;
        };
        self.ports().clock.spawn(Box::pin(work.in_current_span()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn occurrence(cause: &str) -> Occurrence {
        Occurrence {
            id: String::new(),
            code: "code".into(),
            cause: cause.into(),
            severity: Severity::Low,
            title: String::new(),
            description: String::new(),
            agent: None,
            session: None,
            traces: Vec::new(),
            count: 1,
            at: countersign_core::time::Timestamp::default(),
        }
    }

    #[test]
    fn a_flood_is_told_once_a_second() {
        let alarms = Alarms::default();
        let (mut told, mut counted) = (0, 0);
        for ms in 0..10_000 {
            let now = alarms.hear(occurrence("a"), Millis(ms));
            let due = alarms.due(Millis(ms), false);
            for occurrence in now.into_iter().chain(due) {
                told += 1;
                counted += occurrence.count;
            }
        }
        counted += alarms.due(Millis(10_000), true).iter().map(|o| o.count).sum::<u64>();
        assert_eq!((told, counted), (10, 10_000), "none is lost");
        assert!(alarms.due(Millis(20_000), false).is_empty());
        assert!(alarms.lock().is_empty(), "what is over is forgotten");
    }

    #[test]
    fn causes_do_not_wait_for_each_other_and_are_bounded() {
        let alarms = Alarms::default();
        for n in 0..2 * CAUSES_MAX {
            assert!(alarms.hear(occurrence(&n.to_string()), Millis(0)).is_some(), "{n}");
        }
        assert_eq!(alarms.lock().len(), CAUSES_MAX);
        assert!(alarms.hear(occurrence("0"), Millis(1)).is_none());
        assert!(alarms.hear(occurrence("2000"), Millis(1)).is_some(), "beyond, one by one");
    }
}
