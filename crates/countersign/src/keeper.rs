//! What must outlive the store: the anchor and the incidents that no journal takes, kept in the state file.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use countersign_core::{
    identity::{PolicyId, TraceHash},
    incident::{Incident, IncidentMove, Occurrence, Severity, Taken},
    time::Timestamp,
    trace::{TraceRecord, TraceUpdate},
};
use countersign_engine::port::{
    Journal,
    alarm::{Alarm, Bell},
    journal::{
        Chain, Chained, IncidentAnswer, IncidentQuery, JournalError, NewTrace, Page, TraceQuery,
    },
    prices::{PriceAlarm, PriceBell},
};
use countersign_server::Metrics;
use countersign_store::lineage::Anchor;
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;

use crate::{clock, state::StateFile};

/// How often the state is written at most.
const WRITE_EVERY: Duration = Duration::from_millis(250);

/// After how many of those pauses incidents are offered to the journal again.
const OFFER_EVERY: u8 = 4;

/// Turns what a store notices into incidents, which are kept before the call that noticed it is answered.
pub(crate) fn bell(state: &Arc<StateFile>) -> Bell {
    let state = Arc::clone(state);
    Arc::new(move |alarm: Alarm| {
        let (code, title, text) = (alarm.code(), alarm.title(), alarm.text());
        tracing::error!(code, title, "{text}");
        state.remember(occurrence(state.gateway(), &alarm, clock::now()));
    })
}

/// Turns what is wrong with a price into incidents. Sources tell each occurrence once.
pub(crate) fn price_bell(state: &Arc<StateFile>) -> PriceBell {
    let state = Arc::clone(state);
    Arc::new(move |alarm: PriceAlarm| {
        let (code, title, text) = (alarm.code(), alarm.title(), alarm.text());
        tracing::error!(code, title, "{text}");
        let now = clock::now();
        // each text begins with the symbol
        let cause = text.split([':', ',']).next().unwrap_or_default();
        let told = Told { code, title, text, cause, severity: alarm.severity() };
        state.remember(told.occurrence(state.gateway(), &format!("{text} {now}"), now));
    })
}

/// The same occurrence is the same incident, also for the next process.
fn occurrence(gateway: &str, alarm: &Alarm, now: Timestamp) -> Occurrence {
    let (occurrence, cause) = match alarm {
        Alarm::HistoryLost(text) | Alarm::BooksDamaged(text) => (text.clone(), text.as_str()),
        Alarm::ClocksDisagree(text) | Alarm::StoreRefuses(text) | Alarm::StoreWeakened(text) => {
            (format!("{text} {now}"), "")
        }
    };
    let (code, title, text) = (alarm.code(), alarm.title(), alarm.text());
    let told = Told { code, title, text, cause, severity: alarm.severity() };
    told.occurrence(gateway, &occurrence, now)
}

/// What is told.
struct Told<'a> {
    code: &'static str,
    title: &'static str,
    text: &'a str,
    cause: &'a str,
    severity: Severity,
}

impl Told<'_> {
    fn occurrence(self, gateway: &str, occurrence: &str, now: Timestamp) -> Occurrence {
        let digest = Sha256::digest(format!("{gateway}\n{}\n{occurrence}", self.code));
        let id = hex::encode(digest.get(..16).unwrap_or_default());
        Occurrence {
            id: format!("inc_{id}"),
            code: self.code.into(),
            cause: if self.cause.is_empty() {
                String::new()
            } else {
                format!("{gateway} {}", self.cause)
            },
            severity: self.severity,
            title: self.title.into(),
            description: self.text.into(),
            agent: None,
            session: None,
            traces: Vec::new(),
            count: 1,
            at: now,
        }
    }
}

/// A journal whose incidents are kept aside while it cannot take them, and shown meanwhile.
#[derive(Debug)]
pub(crate) struct RememberingJournal {
    inner: Arc<dyn Journal>,
    state: Arc<StateFile>,
    metrics: Arc<Metrics>,
}

impl RememberingJournal {
    pub(crate) fn new(
        inner: Arc<dyn Journal>,
        state: Arc<StateFile>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self { inner, state, metrics }
    }

    /// What no journal has, as it will be once one does. Several of one cause are shown apart until then.
    fn kept(&self) -> Vec<Incident> {
        let opened = |occurrence: &Occurrence| match Taken::of(occurrence, None) {
            Taken::New(incident) | Taken::More(incident, _) => Some(*incident),
            Taken::Before => None,
        };
        self.state.unsent().iter().filter_map(opened).collect()
    }

    /// Counts an incident that is new, open again or worse; one more occurrence of a known one is none.
    fn count(&self, taken: &Taken) {
        match taken {
            Taken::New(incident) | Taken::More(incident, Some(_)) => {
                self.metrics.incident(incident.severity);
            }
            Taken::More(_, None) | Taken::Before => {}
        }
    }

    /// Offers the journal what it has not taken yet.
    async fn offer(&self) {
        for occurrence in self.state.unsent() {
            match self.inner.raise(&occurrence).await {
                Ok(taken) => {
                    self.count(&taken);
                    self.state.sent(&occurrence);
                }
                Err(error) => {
                    tracing::debug!(%error, "the journal takes no incidents yet");
                    return;
                }
            }
        }
    }
}

#[async_trait]
impl Journal for RememberingJournal {
    async fn pin(&self, policy: PolicyId, canonical: &str) -> Result<(), JournalError> {
        self.inner.pin(policy, canonical).await
    }

    async fn record(&self, entry: &NewTrace) -> Result<bool, JournalError> {
        self.inner.record(entry).await
    }

    async fn update(&self, trace: TraceHash, update: &TraceUpdate) -> Result<(), JournalError> {
        self.inner.update(trace, update).await
    }

    async fn trace(&self, trace: TraceHash) -> Result<Option<TraceRecord>, JournalError> {
        self.inner.trace(trace).await
    }

    async fn traces(&self, query: &TraceQuery) -> Result<Page<TraceRecord>, JournalError> {
        self.inner.traces(query).await
    }

    async fn raise(&self, occurrence: &Occurrence) -> Result<Taken, JournalError> {
        match self.inner.raise(occurrence).await {
            Ok(taken) => {
                self.count(&taken);
                Ok(taken)
            }
            Err(error) => {
                let id = &occurrence.id;
                tracing::warn!(%error, incident = id, "an incident waits in the state file");
                self.state.remember(occurrence.clone());
                Ok(Taken::of(occurrence, None))
            }
        }
    }

    async fn incident(&self, id: &str) -> Result<Option<Incident>, JournalError> {
        let kept = || self.kept().into_iter().find(|incident| incident.id == id);
        match self.inner.incident(id).await {
            Ok(found) => Ok(found.or_else(kept)),
            Err(error) => kept().map(Some).ok_or(error),
        }
    }

    async fn incidents(&self, query: &IncidentQuery) -> Result<Page<Incident>, JournalError> {
        let mut kept = self.kept();
        kept.retain(|incident| query.asks_for(incident));
        let listed = match self.inner.incidents(query).await {
            Err(JournalError::Unavailable(_)) if !kept.is_empty() => {
                Page { items: Vec::new(), next_cursor: None }
            }
            listed => listed?,
        };
        if query.cursor.is_some() {
            return Ok(listed);
        }
        let Page { items, next_cursor } = listed;
        kept.retain(|incident| items.iter().all(|listed| listed.id != incident.id));
        kept.reverse();
        kept.extend(items);
        Ok(Page { items: kept, next_cursor })
    }

    /// What a person says of an incident is in the journal or is not said.
    async fn change_incident(
        &self,
        id: &str,
        step: &IncidentMove,
    ) -> Result<IncidentAnswer, JournalError> {
        self.offer().await;
        match self.inner.change_incident(id, step).await? {
            IncidentAnswer::Missing if self.kept().iter().any(|incident| incident.id == id) => {
                let why = "no journal has taken this incident yet: look again in a few seconds";
                Err(JournalError::Unavailable(why.into()))
            }
            answer @ (IncidentAnswer::Changed(_)
            | IncidentAnswer::Refused(_)
            | IncidentAnswer::Missing) => Ok(answer),
        }
    }

    async fn chains(&self) -> Result<Vec<Chain>, JournalError> {
        self.inner.chains().await
    }

    async fn entries(
        &self,
        gateway: &str,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Chained>, JournalError> {
        self.inner.entries(gateway, after, limit).await
    }
}

/// Where the anchor is read.
pub(crate) type AnchorSource = Arc<dyn Fn() -> Option<Anchor> + Send + Sync>;

/// Keeps the state file.
pub(crate) struct Keeper {
    pub(crate) state: Arc<StateFile>,
    pub(crate) anchor: AnchorSource,
    pub(crate) journal: Arc<RememberingJournal>,
}

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keeper").field("state", &self.state).finish_non_exhaustive()
    }
}

impl Keeper {
    /// Writes what is new, a few times a second at most, until `stop` is cancelled; then once more.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut pauses: u8 = 0;
        loop {
            let ended = tokio::select! {
                () = tokio::time::sleep(WRITE_EVERY) => false,
                () = stop.cancelled() => true,
            };
            pauses = pauses.wrapping_add(1);
            if ended || pauses.is_multiple_of(OFFER_EVERY) {
                self.journal.offer().await;
            }
            self.write().await;
            if ended {
                return;
            }
        }
    }

    async fn write(&self) {
        self.state.note((self.anchor)());
        let state = Arc::clone(&self.state);
        match tokio::task::spawn_blocking(move || state.write()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "the state is not written"),
            Err(error) => tracing::error!(%error, "the state is not written"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_occurrence_is_the_same_incident_also_after_a_restart() {
        let at = Timestamp::from_millis;
        let lost = |text: &str| Alarm::HistoryLost(text.into());
        let id = |gateway, alarm: &Alarm, now| occurrence(gateway, alarm, at(now)).id;
        let first = id("gw-1", &lost("line 5"), 1);
        assert_eq!(first, id("gw-1", &lost("line 5"), 2));
        assert_ne!(first, id("gw-1", &lost("line 6"), 1));
        assert_ne!(first, id("gw-2", &lost("line 5"), 1));
        assert_ne!(first, id("gw-1", &Alarm::BooksDamaged("line 5".into()), 1));
        let clocks = Alarm::ClocksDisagree("apart".into());
        assert_ne!(id("gw-1", &clocks, 1), id("gw-1", &clocks, 2), "each time it is another");
        assert!(first.starts_with("inc_") && first.len() == 36, "{first}");
    }
}
