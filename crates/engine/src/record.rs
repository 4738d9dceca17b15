//! Decisions as records: what is written before anything happens, and the digests over it.

use alloy_primitives::B256;
use countersign_core::{
    approval::{Ask, Gate},
    charge::{Charge, Overrun, Unit},
    fact::Facts,
    identity::{ApprovalDigest, OperationId, PolicyId, TraceHash},
    intent::Intent,
    journal::sha256,
    time::Timestamp,
    trace::{DecisionRecord, TraceStatus},
};
use countersign_policy::{
    ApprovalMode,
    decision::{Decision, Denial, Hold, Outcome, RiskPart, Says, Verdict, Violation},
};
use serde_json::{Value, json};

use crate::{gather::Gathered, port::journal::NewTrace};

/// What a decision said, apart from the permit that it may carry.
#[derive(Debug, Clone)]
pub(crate) struct Judgement {
    pub(crate) verdicts: Vec<Verdict>,
    pub(crate) usd: Vec<Option<countersign_core::amount::MicroUsd>>,
    pub(crate) fee_usd: Option<countersign_core::amount::MicroUsd>,
    pub(crate) risk_score: u8,
    pub(crate) risk_parts: Vec<RiskPart>,
    pub(crate) approval_mode: ApprovalMode,
    pub(crate) policy: PolicyId,
    pub(crate) guards: Vec<PolicyId>,
    /// What the store found not to fit, each time that it was asked.
    pub(crate) overruns: Vec<Vec<Overrun>>,
    /// Where the store found so many of the agent's operations parked that this one is refused.
    pub(crate) crowded: Option<u32>,
}

impl Judgement {
    /// Parts a decision into what is recorded and what is acted on.
    pub(crate) fn part(decision: Decision) -> (Self, Outcome) {
        let Decision {
            verdicts,
            usd,
            fee_usd,
            risk_score,
            risk_parts,
            approval_mode,
            policy,
            guards,
            outcome,
        } = decision;
        let judgement = Self {
            verdicts,
            usd,
            fee_usd,
            risk_score,
            risk_parts,
            approval_mode,
            policy,
            guards,
            overruns: Vec::new(),
            crowded: None,
        };
        (judgement, outcome)
    }

    /// Adds what the store found too full before it was asked to reserve: people are asked for that too.
    pub(crate) fn asked_besides(&mut self, outcome: Outcome, full: Vec<Overrun>) -> Outcome {
        match outcome {
            Outcome::Park(hold) if !full.is_empty() => {
                let asking = hold.asked_besides(&full);
                self.overruns.push(full);
                Outcome::Park(asking)
            }
            outcome @ (Outcome::Park(_) | Outcome::Allow(_) | Outcome::Deny(_)) => outcome,
        }
    }
}

/// How a decision ended, for its record.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Ending<'a> {
    Allowed(&'a [Charge]),
    Parked { charges: &'a [Charge], gates: &'a [Gate], code: &'a str, triggers: &'a [Violation] },
    Denied(&'a Denial),
}

impl<'a> Ending<'a> {
    pub(crate) fn of(outcome: &'a Outcome) -> Self {
        match outcome {
            Outcome::Allow(permit) => Self::Allowed(permit.charges()),
            Outcome::Park(hold) => Self::parked(hold),
            Outcome::Deny(denial) => Self::Denied(denial),
        }
    }

    pub(crate) fn parked(hold: &'a Hold) -> Self {
        Self::Parked {
            charges: hold.charges(),
            gates: hold.gates(),
            code: hold.code(),
            triggers: hold.triggers(),
        }
    }

    const fn status(self) -> TraceStatus {
        match self {
            Self::Allowed(_) => TraceStatus::Allowed,
            Self::Parked { .. } => TraceStatus::PendingApproval,
            Self::Denied(_) => TraceStatus::Blocked,
        }
    }

    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Allowed(_) => "allow",
            Self::Parked { .. } => "park",
            Self::Denied(_) => "deny",
        }
    }

    pub(crate) fn code(self) -> &'a str {
        match self {
            Self::Allowed(_) => "",
            Self::Parked { code, .. } => code,
            Self::Denied(denial) => &denial.code,
        }
    }

    const fn violations(self) -> &'a [Violation] {
        match self {
            Self::Allowed(_) => &[],
            Self::Parked { triggers, .. } => triggers,
            Self::Denied(denial) => denial.violations.as_slice(),
        }
    }
}

/// The record of one decision, hashed.
pub(crate) fn trace(
    operation: OperationId,
    gathered: &Gathered,
    judgement: &Judgement,
    ending: Ending<'_>,
) -> NewTrace {
    let Gathered { intent, facts, .. } = gathered;
    let decision = decision(operation, (intent, facts), judgement, ending);
    let canonical = decision.canonical_json();
    NewTrace {
        trace_hash: TraceHash(sha256(&canonical)),
        decision,
        status: ending.status(),
        posted: None,
        canonical: Some(canonical),
    }
}

/// What is recorded of a decision: made of what it was decided from, and of nothing else.
pub(crate) fn decision(
    operation: OperationId,
    (intent, facts): (&Intent, &Facts),
    judgement: &Judgement,
    ending: Ending<'_>,
) -> DecisionRecord {
    let (charges, gates) = match ending {
        Ending::Allowed(charges) => (charges, &[][..]),
        Ending::Parked { charges, gates, .. } => (charges, gates),
        Ending::Denied(_) => (&[][..], &[][..]),
    };
    let validation = json!({
        "allowed": matches!(ending, Ending::Allowed(_)),
        "outcome": ending.word(),
        "code": ending.code(),
        "riskScore": judgement.risk_score,
        "riskParts": judgement.risk_parts,
        "approvalMode": judgement.approval_mode,
        "violations": ending.violations(),
    });
    DecisionRecord {
        operation_id: Some(operation),
        created_at: facts.at,
        agent_id: Some(intent.agent.clone()),
        session_key_hash: intent.declared.session.as_deref().map(sha256),
        session: intent.declared.session.clone(),
        reasoning: intent.declared.reason.clone(),
        proposed_action: Value::String(proposed(intent, facts, judgement).to_string()),
        validation_result: Value::String(validation.to_string()),
        policy_verdicts: judgement.verdicts.iter().map(verdict_json).collect(),
        risk_score: judgement.risk_score,
        blocked_by: blocked_by(ending),
        policy: Some(judgement.policy),
        guards: judgement.guards.clone(),
        facts: Some(facts.clone()),
        intent: Some(intent.clone()),
        charges: charges.iter().map(charge_json).collect(),
        gates: gates.iter().map(|gate| json!(gate)).collect(),
        overruns: judgement.overruns.clone(),
        crowded: judgement.crowded,
    }
}

fn blocked_by(ending: Ending<'_>) -> Option<String> {
    match ending {
        Ending::Denied(denial) => {
            Some(denial.violations.first().map_or(&denial.code, |v| &v.rule).clone())
        }
        Ending::Allowed(_) | Ending::Parked { .. } => None,
    }
}

/// What the agent intended, as one object: the seed's `proposedAction`.
fn proposed(intent: &Intent, facts: &Facts, judgement: &Judgement) -> Value {
    let plan = intent.plan();
    json!({
        "type": facts.actions.first().map_or("call", |action| action.effect.kind()),
        "method": intent.method.name(),
        "wallet": intent.wallet,
        "from": intent.address,
        "chainId": intent.chain(),
        "calls": calls_json(intent),
        "to": plan.and_then(|plan| plan.to),
        "valueWei": intent.value().to_string(),
        "data": plan.map(|plan| &plan.data),
        "message": intent.message().map(|message| &message.content),
        "digest": intent.message().map(|message| message.digest),
        "gas": intent.gas(),
        "feeWeiMax": facts.fee_wei_max.to_string(),
        "feeUsd": judgement.fee_usd,
        "declaredAction": intent.declared.action,
        "declaredContext": intent.declared.context,
        "actions": actions_json(facts, judgement),
    })
}

/// Every call of a bundle as it would be signed; `null` for what is none.
fn calls_json(intent: &Intent) -> Option<Vec<Value>> {
    let call = |call: Intent| {
        let plan = call.plan();
        json!({
            "to": plan.and_then(|plan| plan.to),
            "valueWei": call.value().to_string(),
            "data": plan.map(|plan| &plan.data),
            "gas": call.gas(),
        })
    };
    intent.bundle.is_some().then(|| intent.calls().into_iter().map(call).collect())
}

/// Each action with its USD value; `null` is unknown.
pub(crate) fn actions_json(facts: &Facts, judgement: &Judgement) -> Vec<Value> {
    let with_usd = |(index, action)| {
        let mut shown = json!(action);
        if let Some(object) = shown.as_object_mut() {
            object.insert("usd".into(), json!(judgement.usd.get(index).copied().flatten()));
        }
        shown
    };
    facts.actions.iter().enumerate().map(with_usd).collect()
}

/// A verdict with the seed's word beside ours.
pub(crate) fn verdict_json(verdict: &Verdict) -> Value {
    let passed = match verdict.says {
        Says::Allow | Says::Pass | Says::Within => true,
        Says::Approve | Says::Deny => false,
    };
    let mut shown = json!(verdict);
    if let Some(object) = shown.as_object_mut() {
        object.insert("passed".into(), json!(passed));
    }
    shown
}

/// A charge as people read it.
pub(crate) fn charge_json(charge: &Charge) -> Value {
    json!({
        "policy": charge.source.policy,
        "limit": charge.source.limit,
        "per": charge.source.per,
        "unit": charge.unit,
        "value": in_unit(charge.unit, charge.value),
        "fee": in_unit(charge.unit, charge.fee),
        "max": in_unit(charge.unit, charge.limit),
        "counter": charge.counter.hex(),
        "window": charge.window,
    })
}

/// USD with decimals, or a bare count.
pub(crate) fn in_unit(unit: Unit, amount: u64) -> String {
    match unit {
        Unit::Usd => countersign_core::amount::MicroUsd::from_micros(amount)
            .map_or_else(|| amount.to_string(), |usd| usd.to_string()),
        Unit::Count => amount.to_string(),
    }
}

/// What an approver binds: operation, payload, gas, fee ceiling, gates with the rules that ask them, expiry and evidence.
pub(crate) fn approval_digest(
    operation: OperationId,
    gathered: &Gathered,
    (gates, asks): (&[Gate], &[Ask]),
    expires_at: Timestamp,
    evidence: TraceHash,
) -> ApprovalDigest {
    ApprovalDigest(hash_of(&json!({
        "operation": operation,
        "payload": gathered.intent.fingerprint(),
        "nonce": gathered.intent.nonce,
        "gas": gathered.intent.gas(),
        "feeWeiMax": gathered.facts.fee_wei_max.to_string(),
        "gates": gates,
        "asks": asks,
        "expiresAt": expires_at,
        "evidence": evidence,
    })))
}

/// SHA-256 of canonical JSON: keys sorted, no spaces.
fn hash_of(value: &Value) -> B256 {
    sha256(&value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_json_sorts_its_keys() {
        let value: Value = serde_json::from_str(r#"{"b":1,"a":{"d":2,"c":3}}"#).unwrap();
        assert_eq!(value.to_string(), r#"{"a":{"c":3,"d":2},"b":1}"#);
    }
}
