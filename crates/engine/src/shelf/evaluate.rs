//! How an agent did under each version of its policy, worked out from its recorded decisions.

use std::collections::BTreeMap;

use countersign_core::{
    amount::MicroUsd,
    identity::{AgentId, PolicyId},
    shelf::HIGH_RISK,
    time::{Millis, Timestamp},
    trace::{DecisionRecord, TraceRecord, TraceStatus},
};
use serde::Serialize;
use serde_json::Value;

use super::{ShelfError, back_test::TURN};
use crate::{
    engine::Engine,
    replay::{Library, Replayed, outcome, replay},
};

/// How many durations of one version are ordered.
const DURATIONS_MAX: usize = 2000;

/// The evaluations of one agent over some time.
#[derive(Debug, Serialize)]
pub struct Evaluations {
    /// Not before.
    pub from: Timestamp,
    /// Before.
    pub to: Timestamp,
    /// Whether there were more decisions than were looked at: then the newest were.
    pub truncated: bool,
    /// By the policy that decided, the newest first.
    pub items: Vec<Evaluation>,
}

/// What decisions under one policy came to. Shares are in hundredths of a percent; `None` of nothing.
#[derive(Debug, Serialize)]
pub struct Evaluation {
    /// Which policy.
    pub policy: PolicyId,
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

impl Engine {
    /// How an agent did, by policy.
    pub async fn evaluations(
        &self,
        agent: &AgentId,
        (from, to): (Timestamp, Timestamp),
    ) -> Result<Evaluations, ShelfError> {
        let setup = self.setup();
        if !setup.agents.contains_key(agent) {
            return Err(ShelfError::Missing);
        }
        let (traces, truncated) = self.decisions_of(agent, (from, to)).await?;
        let library = self.library(&setup, agent, &traces).await?;
        let mut tallies: Vec<(PolicyId, Tally)> = Vec::new();
        let mut places: BTreeMap<PolicyId, usize> = BTreeMap::new();
        for turn in traces.chunks(TURN) {
            for trace in turn {
                let Some(policy) = trace.decision.policy else { continue };
                let place = *places.entry(policy).or_insert_with(|| {
                    tallies.push((policy, Tally::default()));
                    tallies.len().saturating_sub(1)
                });
                if let Some((_, tally)) = tallies.get_mut(place) {
                    tally.take(trace, &library);
                }
            }
            self.ports().clock.sleep(Millis::ZERO).await;
        }
        let items = tallies.into_iter().map(|(policy, tally)| tally.evaluation(policy)).collect();
        Ok(Evaluations { from, to, truncated, items })
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
        if self.durations.len() < DURATIONS_MAX {
            self.durations.extend(trace.duration_ms);
        }
        if is_done {
            let (usd, fee) = worth(decision);
            self.usd_moved = self.usd_moved.saturating_add(usd);
            self.fees = self.fees.saturating_add(fee);
        }
    }

    fn evaluation(mut self, policy: PolicyId) -> Evaluation {
        self.durations.sort_unstable();
        let usd = |micros: u64| MicroUsd::from_micros(micros).unwrap_or(MicroUsd::MAX);
        Evaluation {
            policy,
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

/// In hundredths of a percent, rounded down.
fn share(part: u64, of: u64) -> Option<u64> {
    part.saturating_mul(10_000).checked_div(of)
}

/// The smallest value that so many of a hundred do not exceed.
fn percentile(sorted: &[u64], percent: usize) -> Option<u64> {
    let rank = sorted.len().saturating_mul(percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied()
}

/// Micro-USD of what a decision's actions are worth, and of its fee. What has no price counts as nothing.
fn worth(decision: &DecisionRecord) -> (u64, u64) {
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
