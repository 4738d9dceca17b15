//! The judgement.

use countersign_core::{fact::Facts, intent::Intent};

use crate::{decision::{Decision, Denial, Ground, Outcome, Register}, policy::Policies};

/// Judges one request.
pub fn decide(intent: &Intent, facts: &Facts, policies: &Policies) -> Decision {
    let _given = (intent, facts);
    Decision { verdicts: Vec::new(), usd: Vec::new(), fee_usd: None, risk_score: 0, policy: policies.grant.id(), guards: Vec::new(),
        outcome: Outcome::Deny(Denial { code: "no_rule_allows".into(), reason: "no rule allows this".into(), register: Register::Halt, ground: Ground::Policy, violations: Vec::new() }) }
}
