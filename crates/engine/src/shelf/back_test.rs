//! What a version would have said lately: recorded decisions, decided again from their frozen facts.

use std::collections::{BTreeMap, BTreeSet};

use countersign_core::{
    identity::{AgentId, PolicyId},
    shelf::{BackTest, Evaluators, Example, Flips, HIGH_RISK, Measure, Version},
    time::{Millis, Timestamp},
    trace::{DecisionRecord, TraceRecord, TraceStatus},
};
use countersign_policy::Policy;
use tokio::sync::{Mutex, MutexGuard, Semaphore, SemaphorePermit};

use super::{ShelfError, evaluate::worth};
use crate::{
    engine::Engine,
    port::{journal::TraceQuery, shelf::VERSIONS_MAX},
    replay::{Ended, Instead, Library, Recorded},
    setup::Setup,
};

/// How far back it goes.
const DAYS: Millis = Millis(7 * 86_400_000);

/// How many decisions it takes; of more, the newest.
const DECISIONS_MAX: usize = 2000;

/// How many are read at once.
const PAGE: u32 = 200;

/// How many are decided before others have their turn.
const TURN: usize = 32;

/// Of how many agents versions are read whose policy was another than the one in force.
const SHELVES_MAX: usize = 64;

/// For how long it decides.
const PATIENCE: Millis = Millis(5000);

/// How many decisions that end otherwise are named.
const EXAMPLES_MAX: usize = 20;

/// How many may wait while another is at work; who comes later is told so.
const WAITING_MAX: usize = 8;

/// Back-tests come one after the other, whoever asks for them: whoever types asks often, and requests of agents come first.
/// So do evaluations and explanations, in a row of their own.
#[derive(Debug)]
pub(crate) struct BackTests {
    places: Semaphore,
    turn: Mutex<()>,
}

/// While it is held, nobody else has the turn.
#[derive(Debug)]
#[must_use]
pub(super) struct Turn<'a> {
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
    pub(super) async fn turn(&self) -> Result<Turn<'_>, ShelfError> {
        let full = |_| {
            ShelfError::Unavailable("too many back-tests and evaluations wait: ask again".into())
        };
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
        let setup = self.setup();
        let Some(configured) = setup.agents.get(&version.agent) else { return Ok(None) };
        let (active, policy) = (self.active_of(configured).await?, self.policy_of(version).await?);
        let now = self.ports().ledger.now().await?;
        let since = (version.proposed_at.max(now.before(DAYS)), now);
        let texts = Texts { active: &active, policy: &policy };
        self.back_test(&setup, (&version.agent, texts), since).await.map(Some)
    }

    /// The back-test of the last days.
    pub(super) async fn lately(
        &self,
        setup: &Setup,
        of: (&AgentId, Texts<'_>),
    ) -> Result<BackTest, ShelfError> {
        let now = self.ports().ledger.now().await?;
        self.back_test(setup, of, (now.before(DAYS), now)).await
    }

    /// Decides an agent's recorded decisions of that time again with this grant, and with the one in force.
    async fn back_test(
        &self,
        setup: &Setup,
        (agent, texts): (&AgentId, Texts<'_>),
        (from, to): (Timestamp, Timestamp),
    ) -> Result<BackTest, ShelfError> {
        let _turn = self.back_tests().turn().await?;
        let (traces, truncated) = self.decisions_of(Some(agent), (from, to)).await?;
        let library = self.library(setup, &traces).await?;
        let mut run = Run::new(texts, (from, to));
        // windows fill up in the order in which they did
        let oldest_first: Vec<TraceRecord> = traces.into_iter().rev().collect();
        let is_cut = self.in_turns(&oldest_first, |trace| run.take(trace, &library)).await;
        run.found.truncated = truncated || is_cut;
        run.found.examples.reverse();
        Ok(run.found)
    }

    /// Does something with each, so many before others have their turn; whether patience ended before they did.
    pub(super) async fn in_turns(
        &self,
        traces: &[TraceRecord],
        mut each: impl FnMut(&TraceRecord),
    ) -> bool {
        let begun = self.ports().clock.monotonic();
        for turn in traces.chunks(TURN) {
            if self.ports().clock.monotonic().0.saturating_sub(begun.0) > PATIENCE.0 {
                return true;
            }
            turn.iter().for_each(&mut each);
            self.ports().clock.sleep(Millis::ZERO).await;
        }
        false
    }

    /// Decisions of an agent, or of all, newest first, and whether there are more.
    pub(super) async fn decisions_of(
        &self,
        agent: Option<&AgentId>,
        (from, to): (Timestamp, Timestamp),
    ) -> Result<(Vec<TraceRecord>, bool), ShelfError> {
        let mut query = TraceQuery {
            agent: agent.cloned(),
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
        traces: &[TraceRecord],
    ) -> Result<Library, ShelfError> {
        let mut library = Library::default();
        for (id, canonical) in &self.texts(setup, traces).await? {
            // what is not read as itself is not there
            let _unread = library.pin(*id, canonical);
        }
        Ok(library)
    }

    /// Their texts: of those in force, of files, and of the newest versions of agents that had others.
    async fn texts(
        &self,
        setup: &Setup,
        traces: &[TraceRecord],
    ) -> Result<BTreeMap<PolicyId, String>, ShelfError> {
        let asked: BTreeSet<PolicyId> =
            traces.iter().flat_map(|trace| trace.decision.policies()).collect();
        let grants = setup.agents.values().flat_map(|agent| [&agent.grant, agent.file()]);
        let known = grants.chain(&setup.guards).filter(|policy| asked.contains(&policy.id()));
        let mut texts: BTreeMap<PolicyId, String> =
            known.map(|policy| (policy.id(), policy.canonical_json())).collect();
        let others = traces.iter().map(|trace| &trace.decision).filter_map(|decision| {
            let is_other = decision.policy.is_some_and(|policy| !texts.contains_key(&policy));
            decision.agent_id.clone().filter(|_| is_other)
        });
        let others: BTreeSet<AgentId> = others.collect();
        for agent in others.iter().take(SHELVES_MAX) {
            for version in self.ports().shelf.versions(agent, None, VERSIONS_MAX).await? {
                if texts.contains_key(&version.policy) || !asked.contains(&version.policy) {
                    continue;
                }
                if let Ok(policy) = self.policy_of(&version).await {
                    texts.insert(policy.id(), policy.canonical_json());
                }
            }
        }
        Ok(texts)
    }
}

/// What is held against each other.
#[derive(Debug, Clone, Copy)]
pub(super) struct Texts<'a> {
    /// What is in force.
    pub(super) active: &'a Policy,
    /// What may come into force.
    pub(super) policy: &'a Policy,
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
        evaluators: Evaluators::default(),
        examples: Vec::new(),
    }
}

struct Run {
    active: Instead,
    policy: Instead,
    found: BackTest,
}

impl Run {
    fn new(Texts { active, policy }: Texts<'_>, (from, to): (Timestamp, Timestamp)) -> Self {
        let instead = |policy: &Policy| Instead::new(policy.clone());
        Self { active: instead(active), policy: instead(policy), found: empty(from, to) }
    }

    fn take(&mut self, trace: &TraceRecord, library: &Library) {
        let Some((before, in_force, after)) = self.decide(trace, library) else {
            self.found.skipped = self.found.skipped.saturating_add(1);
            return;
        };
        let found = &mut self.found;
        found.decisions = found.decisions.saturating_add(1);
        let ends =
            Ends { recorded: before.outcome, is_done: trace.status == TraceStatus::Executed };
        ends.measure(&mut found.evaluators, &trace.decision, (in_force.outcome, after.outcome));
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

    /// How it ended, how it would under the version in force, and under the other.
    fn decide(&mut self, trace: &TraceRecord, library: &Library) -> Option<(Ended, Ended, Ended)> {
        let recorded = Recorded::read(&trace.decision, library).ok().flatten()?;
        let in_force = self.active.end(&recorded)?;
        let after = self.policy.end(&recorded)?;
        Some((recorded.ended, in_force, after))
    }
}

/// How a decision ended.
#[derive(Debug, Clone, Copy)]
struct Ends {
    recorded: &'static str,
    /// Whether what was asked for was done.
    is_done: bool,
}

impl Ends {
    /// Adds how it would end under the version in force, and under the other.
    fn measure(
        self,
        into: &mut Evaluators<Measure>,
        decision: &DecisionRecord,
        (in_force, version): (&str, &str),
    ) {
        let both = |is_good: &dyn Fn(&str) -> bool| (is_good(in_force), is_good(version));
        let useful = both(&|outcome| self.is_useful(outcome));
        into.compliance.add(1, both(&|outcome| outcome == self.recorded));
        into.utility.add(1, useful);
        into.latency.add(1, both(&|outcome| outcome != "park"));
        if decision.risk_score >= HIGH_RISK {
            into.safety.add(1, both(&|outcome| outcome != "allow"));
        }
        into.economics.add(worth(decision).0, useful);
    }

    /// What people let through once, they would let through again.
    fn is_useful(self, outcome: &str) -> bool {
        outcome == "allow" || (outcome == "park" && self.recorded == "park" && self.is_done)
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
