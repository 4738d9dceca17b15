//! How agents did, all of them, each, and under each version of their policies, worked out from recorded decisions.
//!
//! One question reads at most as many decisions as a back-test, comes after the others that only look, and ends with a back-test's patience.

use std::collections::BTreeMap;

use countersign_core::{
    amount::MicroUsd,
    identity::{AgentId, PolicyId},
    shelf::{HIGH_RISK, StepKind, Version, share},
    time::{Millis, Timestamp},
    trace::{DecisionRecord, TraceRecord, TraceStatus},
};
use serde::Serialize;
use serde_json::Value;

use super::ShelfError;
use crate::{
    engine::Engine,
    replay::{Library, Replayed, outcome, replay},
};

/// Over which time evaluations go where nothing else is asked.
const WEEK: Millis = Millis(7 * 86_400_000);

/// Evaluations over some time.
#[derive(Debug, Serialize)]
pub struct Evaluations<T> {
    /// Not before.
    pub from: Timestamp,
    /// Before.
    pub to: Timestamp,
    /// Whether there were more decisions than were looked at: then the newest were.
    pub truncated: bool,
    /// What was asked for.
    #[serde(flatten)]
    pub found: T,
}

/// How one agent did.
#[derive(Debug, Serialize)]
pub struct OfAgent {
    /// By the policy that decided, the newest first.
    pub items: Vec<OfPolicy>,
}

/// What decisions under one policy came to.
#[derive(Debug, Serialize)]
pub struct OfPolicy {
    /// Which.
    pub policy: PolicyId,
    /// What they came to.
    #[serde(flatten)]
    pub evaluation: Evaluation,
}

/// How all agents did.
#[derive(Debug, Serialize)]
pub struct OfApp {
    /// All decisions.
    pub all: Evaluation,
    /// By the agent that asked.
    pub items: Vec<ByAgent>,
}

/// What decisions of one agent came to.
#[derive(Debug, Serialize)]
pub struct ByAgent {
    /// Which.
    pub agent: AgentId,
    /// What they came to.
    #[serde(flatten)]
    pub evaluation: Evaluation,
}

/// What decisions under one version came to.
#[derive(Debug, Serialize)]
pub struct OfVersion {
    /// Its number.
    pub version: u64,
    /// Which policy it is. Another version with the same text is the same one.
    pub policy: PolicyId,
    /// What they came to.
    #[serde(flatten)]
    pub evaluation: Evaluation,
}

/// What decisions came to. Shares are in hundredths of a percent; `None` of nothing.
#[derive(Debug, Serialize)]
pub struct Evaluation {
    /// How many decisions.
    pub decisions: u64,
    /// Of those, how many were allowed, without people.
    pub allowed: u64,
    /// How many waited for people.
    pub parked: u64,
    /// How many were denied.
    pub denied: u64,
    /// Compliance: the share that is decided again as it was recorded, of those whose policies are here.
    pub compliance_bp: Option<u64>,
    /// Utility: the share that was allowed or, in the end, done.
    pub utility_bp: Option<u64>,
    /// Safety: of decisions at high risk, the share that was denied or parked.
    pub safety_bp: Option<u64>,
    /// How many were allowed and then not signed.
    pub failed: u64,
    /// Latency: half took no longer than this, in milliseconds.
    pub latency_p50_ms: Option<u64>,
    /// And 99 of a hundred no longer than this.
    pub latency_p99_ms: Option<u64>,
    /// Economics: what the signed ones were worth.
    pub usd_moved: MicroUsd,
    /// And their fees, at most.
    pub fees_usd: MicroUsd,
}

/// From when until when, where that is said.
pub type Asked = (Option<Timestamp>, Option<Timestamp>);

impl Engine {
    /// How an agent did, by policy; over the last seven days where nothing else is asked.
    pub async fn evaluations(
        &self,
        agent: &AgentId,
        asked: Asked,
    ) -> Result<Evaluations<OfAgent>, ShelfError> {
        if !self.setup().agents.contains_key(agent) {
            return Err(ShelfError::Missing);
        }
        let span = self.span(asked, None).await?;
        let tallied = self.tallied(Some(agent), span, |trace| trace.decision.policy).await?;
        Ok(tallied.told(span, |by| {
            let of = |(policy, tally): (_, Tally)| OfPolicy { policy, evaluation: tally.told() };
            OfAgent { items: by.into_iter().map(of).collect() }
        }))
    }

    /// How all agents did, together and each for itself.
    pub async fn evaluations_of_all(&self, asked: Asked) -> Result<Evaluations<OfApp>, ShelfError> {
        let span = self.span(asked, None).await?;
        let tallied = self.tallied(None, span, |trace| trace.decision.agent_id.clone()).await?;
        Ok(tallied.told(span, |mut by| {
            by.sort_by(|(one, _), (other, _)| one.cmp(other));
            let mut all = Tally::default();
            for (_, tally) in &by {
                all.join(tally);
            }
            let of = |(agent, tally): (_, Tally)| ByAgent { agent, evaluation: tally.told() };
            OfApp { items: by.into_iter().map(of).collect(), all: all.told() }
        }))
    }

    /// How an agent did under one version; where nothing else is asked, over the last seven days that it was in force.
    pub async fn evaluation_of_version(
        &self,
        (agent, number): (&AgentId, u64),
        asked: Asked,
    ) -> Result<Evaluations<OfVersion>, ShelfError> {
        if !self.setup().agents.contains_key(agent) {
            return Err(ShelfError::Missing);
        }
        let Version { policy, history, .. } = self.version_of(agent, number).await?;
        let ended = history.iter().rev().find(|step| step.what == StepKind::Superseded);
        let span = self.span(asked, ended.map(|step| step.at)).await?;
        let of = |trace: &TraceRecord| trace.decision.policy.filter(|decided| *decided == policy);
        let tallied = self.tallied(Some(agent), span, of).await?;
        Ok(tallied.told(span, |by| {
            let tally = by.into_iter().next().map_or_else(Tally::default, |(_, tally)| tally);
            OfVersion { version: number, policy, evaluation: tally.told() }
        }))
    }

    /// What is asked for: the last seven days before its end, which is now where nobody says.
    async fn span(
        &self,
        (from, to): Asked,
        ended: Option<Timestamp>,
    ) -> Result<(Timestamp, Timestamp), ShelfError> {
        let to = match to.or(ended) {
            Some(to) => to,
            None => self.ports().ledger.now().await?,
        };
        Ok((from.unwrap_or_else(|| to.before(WEEK)), to))
    }

    /// Reads decisions, decides them again, and adds them up by what they are asked by; in the order in which that is met.
    async fn tallied<K: Ord + Clone>(
        &self,
        agent: Option<&AgentId>,
        span: (Timestamp, Timestamp),
        by: impl Fn(&TraceRecord) -> Option<K>,
    ) -> Result<Tallied<K>, ShelfError> {
        let _turn = self.looks().turn().await?;
        let (mut traces, truncated) = self.decisions_of(agent, span).await?;
        traces.retain(|trace| trace.decision.policy.is_some() && by(trace).is_some());
        let library = self.library(&self.setup(), &traces).await?;
        let mut tallies: Vec<(K, Tally)> = Vec::new();
        let mut places: BTreeMap<K, usize> = BTreeMap::new();
        let take = |trace: &TraceRecord| {
            let Some(key) = by(trace) else { return };
            let place = *places.entry(key).or_insert_with_key(|key| {
                tallies.push((key.clone(), Tally::default()));
                tallies.len().saturating_sub(1)
            });
            if let Some((_, tally)) = tallies.get_mut(place) {
                tally.take(trace, &library);
            }
        };
        let is_cut = self.in_turns(&traces, take).await;
        Ok(Tallied { truncated: truncated || is_cut, tallies })
    }
}

/// What was added up, by what was asked.
struct Tallied<K> {
    truncated: bool,
    tallies: Vec<(K, Tally)>,
}

impl<K> Tallied<K> {
    fn told<T>(
        self,
        (from, to): (Timestamp, Timestamp),
        of: impl FnOnce(Vec<(K, Tally)>) -> T,
    ) -> Evaluations<T> {
        Evaluations { from, to, truncated: self.truncated, found: of(self.tallies) }
    }
}

#[derive(Debug, Default)]
struct Tally {
    decisions: u64,
    allowed: u64,
    parked: u64,
    denied: u64,
    useful: u64,
    replayed: u64,
    equal: u64,
    risky: u64,
    stopped: u64,
    failed: u64,
    durations: Vec<u64>,
    usd_moved: u64,
    fees: u64,
}

impl Tally {
    fn take(&mut self, trace: &TraceRecord, library: &Library) {
        let decision = &trace.decision;
        add(&mut self.decisions, true);
        let outcome = outcome(decision).unwrap_or_default();
        add(&mut self.allowed, outcome == "allow");
        add(&mut self.parked, outcome == "park");
        add(&mut self.denied, outcome == "deny");
        let is_done = trace.status == TraceStatus::Executed;
        add(&mut self.useful, is_done || outcome == "allow");
        add(&mut self.failed, trace.status == TraceStatus::Failed);
        let is_risky = decision.risk_score >= HIGH_RISK;
        add(&mut self.risky, is_risky);
        add(&mut self.stopped, is_risky && outcome != "allow");
        match replay(decision, library) {
            Ok(Replayed::Equal) => {
                add(&mut self.replayed, true);
                add(&mut self.equal, true);
            }
            Ok(Replayed::Differs { .. } | Replayed::Unfounded) => add(&mut self.replayed, true),
            Ok(Replayed::Unjudged) | Err(_) => {}
        }
        self.durations.extend(trace.duration_ms);
        if is_done {
            let (usd, fee) = worth(decision);
            self.usd_moved = self.usd_moved.saturating_add(usd);
            self.fees = self.fees.saturating_add(fee);
        }
    }

    fn join(&mut self, other: &Self) {
        let Self { decisions, allowed, parked, denied, useful, replayed, equal, .. } = other;
        let Self { risky, stopped, failed, durations, usd_moved, fees, .. } = other;
        for (own, more) in [
            (&mut self.decisions, decisions),
            (&mut self.allowed, allowed),
            (&mut self.parked, parked),
            (&mut self.denied, denied),
            (&mut self.useful, useful),
            (&mut self.replayed, replayed),
            (&mut self.equal, equal),
            (&mut self.risky, risky),
            (&mut self.stopped, stopped),
            (&mut self.failed, failed),
            (&mut self.usd_moved, usd_moved),
            (&mut self.fees, fees),
        ] {
            *own = own.saturating_add(*more);
        }
        self.durations.extend(durations);
    }

    fn told(mut self) -> Evaluation {
        self.durations.sort_unstable();
        let usd = |micros: u64| MicroUsd::from_micros(micros).unwrap_or(MicroUsd::MAX);
        Evaluation {
            decisions: self.decisions,
            allowed: self.allowed,
            parked: self.parked,
            denied: self.denied,
            compliance_bp: share(self.equal, self.replayed),
            utility_bp: share(self.useful, self.decisions),
            safety_bp: share(self.stopped, self.risky),
            failed: self.failed,
            latency_p50_ms: percentile(&self.durations, 50),
            latency_p99_ms: percentile(&self.durations, 99),
            usd_moved: usd(self.usd_moved),
            fees_usd: usd(self.fees),
        }
    }
}

fn add(count: &mut u64, when: bool) {
    *count = count.saturating_add(u64::from(when));
}

/// The smallest value that so many of a hundred do not exceed.
fn percentile(sorted: &[u64], percent: usize) -> Option<u64> {
    let rank = sorted.len().saturating_mul(percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied()
}

/// Micro-USD of what a decision's actions are worth, and of its fee. What has no price counts as nothing.
pub(super) fn worth(decision: &DecisionRecord) -> (u64, u64) {
    let proposed = parsed(&decision.proposed_action);
    let usd = |value: Option<&Value>| {
        let amount = value.and_then(Value::as_str).and_then(|text| text.parse::<MicroUsd>().ok());
        amount.map_or(0, MicroUsd::micros)
    };
    let actions = proposed.get("actions").and_then(Value::as_array);
    let worth = actions.into_iter().flatten().map(|action| usd(action.get("usd")));
    (worth.fold(0, u64::saturating_add), usd(proposed.get("feeUsd")))
}

/// A record's part: JSON within a text.
fn parsed(value: &Value) -> Value {
    value.as_str().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_and_percentiles_are_exact_and_of_nothing_there_are_none() {
        assert_eq!(
            (share(1, 3), share(3, 3), share(0, 7), share(0, 0)),
            (Some(3333), Some(10_000), Some(0), None)
        );
        let hundred: Vec<u64> = (1..=100).collect();
        assert_eq!((percentile(&hundred, 50), percentile(&hundred, 99)), (Some(50), Some(99)));
        assert_eq!((percentile(&[7], 50), percentile(&[7], 99)), (Some(7), Some(7)));
        assert_eq!(percentile(&[1, 9], 99), Some(9));
        assert_eq!(percentile(&[], 50), None);
    }
}
