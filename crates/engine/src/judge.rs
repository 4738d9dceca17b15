//! The one place where a request is judged: at intake, at redemption and in a simulation alike.

use alloy_primitives::U256;
use countersign_core::{fact::Facts, intent::Intent};
use countersign_policy::{
    Policies, decide,
    decision::{Decision, Denial, Ground, Outcome, Register, Violation},
};

use crate::{
    admission::Parties,
    engine::Engine,
    gather::Gathered,
    port::telemetry::{Measured, Stopwatch},
    record::Judgement,
    setup::Setup,
};

impl Engine {
    /// The judgement, seen by those who watch.
    pub(crate) fn judge(
        &self,
        setup: &Setup,
        parties: Parties<'_>,
        gathered: &Gathered,
    ) -> (Judgement, Outcome) {
        let span = tracing::debug_span!(
            "decide",
            countersign.policy = tracing::field::Empty,
            countersign.outcome = tracing::field::Empty,
        );
        let _inside = span.enter();
        let watch = Stopwatch::start(&*self.ports().telemetry);
        let (judgement, outcome) =
            judge_by(&policies(setup, parties), &gathered.intent, &gathered.facts);
        watch.stop(Measured::Decision);
        if !span.is_disabled() {
            span.record("countersign.policy", tracing::field::display(&judgement.policy));
            span.record("countersign.outcome", outcome_word(&outcome));
        }
        (judgement, outcome)
    }
}

const fn outcome_word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Allow(_) => "allow",
        Outcome::Park(_) => "park",
        Outcome::Deny(_) => "deny",
    }
}

pub(crate) fn judge_by(
    policies: &Policies,
    intent: &Intent,
    facts: &Facts,
) -> (Judgement, Outcome) {
    Judgement::part(judged(policies, intent, facts))
}

/// What the policies say about these facts, under the chain's fee ceiling: nothing else goes into a decision.
pub fn judged(policies: &Policies, intent: &Intent, facts: &Facts) -> Decision {
    let mut decision = decide(intent, facts, policies);
    if let Some(refusal) = over_ceiling(intent, facts) {
        decision.outcome = denied_first(decision.outcome, refusal);
    }
    decision
}

/// The grant of the agent and every guard; each guard says for itself whom it covers.
pub(crate) fn policies(setup: &Setup, parties: Parties<'_>) -> Policies {
    Policies { grant: parties.agent.grant.clone(), guards: setup.guards.clone() }
}

/// The chain's fee ceiling stands above every policy. Where it is not known, no fee is below it.
fn over_ceiling(intent: &Intent, facts: &Facts) -> Option<Denial> {
    let ceiling = facts.fee_ceiling_wei.unwrap_or_default();
    let asked = U256::from(intent.plan()?.fee.ceiling());
    (asked > ceiling).then(|| {
        let code = "fee_ceiling_exceeded";
        let violation = Violation {
            rule: "fee_ceiling_gwei".into(),
            code: code.into(),
            limit: Some(format!("{ceiling} wei per gas")),
            current: None,
            requested: Some(format!("{asked} wei per gas")),
            frees_at: None,
        };
        Denial {
            code: code.into(),
            reason: format!("{asked} wei per gas offered, the chain's ceiling is {ceiling}"),
            register: Register::Constructive,
            ground: Ground::Policy,
            violations: vec![violation],
        }
    })
}

/// Nobody can judge what hides among so many; this too stands above every policy.
pub(crate) fn crowded(most: u32) -> Denial {
    let code = "too_many_pending";
    let violation = Violation {
        rule: "max_pending".into(),
        code: code.into(),
        limit: Some(most.to_string()),
        current: Some(most.to_string()),
        requested: Some("1".into()),
        frees_at: None,
    };
    Denial {
        code: code.into(),
        reason: format!("{most} of this agent's operations wait for people, and no more may"),
        register: Register::Constructive,
        ground: Ground::Policy,
        violations: vec![violation],
    }
}

/// A policy's own denial keeps the first word; otherwise the refusal decides.
fn denied_first(outcome: Outcome, refusal: Denial) -> Outcome {
    match outcome {
        Outcome::Deny(mut denial) if denial.ground == Ground::Policy => {
            denial.violations.extend(refusal.violations);
            Outcome::Deny(denial)
        }
        Outcome::Deny(_) | Outcome::Allow(_) | Outcome::Park(_) => Outcome::Deny(refusal),
    }
}
