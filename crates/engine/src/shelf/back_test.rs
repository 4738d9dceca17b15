//! What a version would have said lately: recorded decisions, decided again from their frozen facts.

use std::collections::BTreeMap;

use countersign_core::{
    identity::{AgentId, PolicyId},
    shelf::{BackTest, Example, Flips, HIGH_RISK, Version},
    time::{Millis, Timestamp},
    trace::TraceRecord,
};
use countersign_policy::Policy;
use tokio::sync::{Mutex, MutexGuard, Semaphore, SemaphorePermit};

use super::ShelfError;
use crate::{
    engine::Engine,
    port::{journal::TraceQuery, shelf::VERSIONS_MAX},
    replay::{Compared, Ended, Instead, Library},
    setup::Setup,
};

/// How far back it goes.
pub(super) const DAYS: Millis = Millis(7 * 86_400_000);

/// How many decisions it takes; of more, the newest.
const DECISIONS_MAX: usize = 2000;

/// How many are read at once.
const PAGE: u32 = 200;

/// How many are decided before others have their turn.
pub(super) const TURN: usize = 32;

/// For how long it decides.
const PATIENCE: Millis = Millis(5000);

/// How many decisions that end otherwise are named.
const EXAMPLES_MAX: usize = 20;

/// How many may wait while another is at work; who comes later is told so.
const WAITING_MAX: usize = 8;

/// Back-tests come one after the other, whoever asks for them: whoever types asks often, and requests of agents come first.
#[derive(Debug)]
pub(crate) struct BackTests {
    places: Semaphore,
    turn: Mutex<()>,
}

/// While it is held, nobody else has the turn.
#[derive(Debug)]
#[must_use]
struct Turn<'a> {
    _turn: MutexGuard<'a, ()>,
    _place: SemaphorePermit<'a>,
}

impl Default for BackTests {
    fn default() -> Self {
        let places = Semaphore::new(WAITING_MAX.saturating_add(1));
        Self { places, turn: Mutex::default() }
    }
}

impl BackTests {
    /// Waits for a turn, in the order of arrival.
    async fn turn(&self) -> Result<Turn<'_>, ShelfError> {
        let full = |_| ShelfError::Unavailable("too many back-tests wait: ask again".into());
        let place = self.places.try_acquire().map_err(full)?;
        Ok(Turn { _turn: self.turn.lock().await, _place: place })
    }
}

impl Engine {
    /// What a shadow would have said since it is there: `None` of what is no shadow. It is worked out from what was
    /// recorded, and so it is never in the way of a request.
    pub async fn shadow_run(&self, version: &Version) -> Result<Option<BackTest>, ShelfError> {
        if !version.is_shadow() {
            return Ok(None);
        }
        let policy = self.policy_of(version).await?;
        let now = self.ports().ledger.now().await?;
        let since = (version.proposed_at.max(now.before(DAYS)), now);
        self.back_test(&self.setup(), (&version.agent, &policy), since).await.map(Some)
    }

    /// Decides an agent's recorded decisions of that time again with this grant.
    pub(super) async fn back_test(
        &self,
        setup: &Setup,
        (agent, policy): (&AgentId, &Policy),
        (from, to): (Timestamp, Timestamp),
    ) -> Result<BackTest, ShelfError> {
        let _turn = self.back_tests().turn().await?;
        let (traces, mut truncated) = self.decisions_of(agent, (from, to)).await?;
        let library = self.library(setup, agent, &traces).await?;
        let mut run = Run { instead: Instead::new(policy.clone()), found: empty(from, to) };
        let begun = self.ports().clock.monotonic();
        // windows fill up in the order in which they did
        let oldest_first: Vec<TraceRecord> = traces.into_iter().rev().collect();
        for turn in oldest_first.chunks(TURN) {
            if self.ports().clock.monotonic().0.saturating_sub(begun.0) > PATIENCE.0 {
                truncated = true;
                break;
            }
            for trace in turn {
                run.take(trace, &library);
            }
            self.ports().clock.sleep(Millis::ZERO).await;
        }
        run.found.truncated = truncated;
        run.found.examples.reverse();
        Ok(run.found)
    }

    /// Decisions of an agent, newest first, and whether there are more.
    pub(super) async fn decisions_of(
        &self,
        agent: &AgentId,
        (from, to): (Timestamp, Timestamp),
    ) -> Result<(Vec<TraceRecord>, bool), ShelfError> {
        let mut query = TraceQuery {
            agent: Some(agent.clone()),
            from: Some(from),
            to: Some(to),
            limit: PAGE,
            ..TraceQuery::default()
        };
        let mut traces: Vec<TraceRecord> = Vec::new();
        loop {
            let page = self.ports().journal.traces(&query).await;
            let page = page.map_err(|error| ShelfError::Unavailable(error.to_string()))?;
            traces.extend(page.items.into_iter().filter(|trace| !trace.attestation));
            match page.next_cursor {
                Some(cursor) if traces.len() < DECISIONS_MAX => query.cursor = Some(cursor),
                Some(_) => {
                    traces.truncate(DECISIONS_MAX);
                    return Ok((traces, true));
                }
                None => return Ok((traces, false)),
            }
        }
    }

    /// The policies that these decisions were made under, as far as they are here.
    pub(super) async fn library(
        &self,
        setup: &Setup,
        agent: &AgentId,
        traces: &[TraceRecord],
    ) -> Result<Library, ShelfError> {
        let mut library = Library::default();
        for (id, canonical) in &self.texts(setup, agent, traces).await? {
            // what is not read as itself is not there
            let _unread = library.pin(*id, canonical);
        }
        Ok(library)
    }

    /// Their texts: of those in force, and of the newest versions.
    async fn texts(
        &self,
        setup: &Setup,
        agent: &AgentId,
        traces: &[TraceRecord],
    ) -> Result<BTreeMap<PolicyId, String>, ShelfError> {
        let grants = setup.agents.get(agent).into_iter().flat_map(|a| [&a.grant, a.file()]);
        let known = grants.chain(&setup.guards);
        let mut texts: BTreeMap<PolicyId, String> =
            known.map(|policy| (policy.id(), policy.canonical_json())).collect();
        let asked = |id: PolicyId| traces.iter().any(|t| t.decision.policies().any(|p| p == id));
        for version in self.ports().shelf.versions(agent, None, VERSIONS_MAX).await? {
            if texts.contains_key(&version.policy) || !asked(version.policy) {
                continue;
            }
            if let Ok(policy) = self.policy_of(&version).await {
                texts.insert(policy.id(), policy.canonical_json());
            }
        }
        Ok(texts)
    }
}

fn empty(from: Timestamp, to: Timestamp) -> BackTest {
    BackTest {
        from,
        to,
        decisions: 0,
        skipped: 0,
        truncated: false,
        newly: Flips::default(),
        newly_allowed_at_risk: 0,
        examples: Vec::new(),
    }
}

struct Run {
    instead: Instead,
    found: BackTest,
}

impl Run {
    fn take(&mut self, trace: &TraceRecord, library: &Library) {
        let Self { instead, found } = self;
        let Ok(Some(Compared { before, after })) = instead.compare(&trace.decision, library) else {
            found.skipped = found.skipped.saturating_add(1);
            return;
        };
        found.decisions = found.decisions.saturating_add(1);
        if before.outcome == after.outcome {
            return;
        }
        let flips = match after.outcome {
            "allow" => &mut found.newly.allow,
            "park" => &mut found.newly.park,
            _ => &mut found.newly.deny,
        };
        *flips = flips.saturating_add(1);
        if after.outcome == "allow" && trace.decision.risk_score >= HIGH_RISK {
            found.newly_allowed_at_risk = found.newly_allowed_at_risk.saturating_add(1);
        }
        if found.examples.len() >= EXAMPLES_MAX {
            found.examples.remove(0);
        }
        let trace = trace.trace_hash;
        found.examples.push(Example { trace, before: said(&before), after: said(&after) });
    }
}

/// How it ends, with its code where it has one.
fn said(ended: &Ended) -> String {
    let Ended { outcome, code } = ended;
    if code.is_empty() { (*outcome).to_owned() } else { format!("{outcome} {code}") }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::future::join_all;

    use super::*;

    #[tokio::test]
    async fn one_has_the_turn_and_so_many_wait_for_it() {
        let queue = BackTests::default();
        let (at_once, most, done) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
        let ask = async || {
            let Ok(_turn) = queue.turn().await else { return false };
            most.fetch_max(at_once.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
            at_once.fetch_sub(1, Ordering::SeqCst);
            done.fetch_add(1, Ordering::SeqCst);
            true
        };
        let told = join_all((0..50).map(|_| ask())).await;
        let had = told.iter().filter(|had| **had).count();
        assert_eq!((had, done.load(Ordering::SeqCst)), (WAITING_MAX + 1, WAITING_MAX + 1));
        assert_eq!(most.load(Ordering::SeqCst), 1, "one after the other");
        assert!(ask().await, "who is done makes room");
        // who goes away while waiting makes room, too
        let held = queue.turn().await.unwrap();
        for _ in 0..100 {
            let mut waiting = Box::pin(queue.turn());
            assert!(futures_util::poll!(waiting.as_mut()).is_pending());
        }
        drop(held);
        assert!(queue.turn().await.is_ok());
    }
}
