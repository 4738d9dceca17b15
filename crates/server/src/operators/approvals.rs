//! The approval inbox: what waits for people, and what they say.

use std::sync::Arc;

use alloy_primitives::{Bytes, U256};
use axum::{Json, extract::State};
use countersign_core::{
    action::{Action, Effect},
    amount::MicroUsd,
    approval::{Gate, Vote, passkey::challenge, signature::OfferedSignature},
    fact::{Facts, TokenFact},
    identity::{ApprovalDigest, OperationId},
    operation::{OperationRecord, OperationState},
    token::Asset,
    trace::{DecisionRecord, TraceRecord},
};
use countersign_engine::{
    Yes, asked_again,
    setup::{OperatorSetup, PasskeySetup, Setup},
    shown,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Desk, Door, Problem,
    access::{Approver, Asked, Named, Viewer},
    body::{Given, Listed, listed},
    operations::{self, Which, states, status},
    passkey::{PublicKeyCredential, SaidByPasskey},
};

/// The longest note or reason, in bytes.
const TEXT_MAX: usize = 4096;

/// `GET /pending-operations`: what waits, or with `status` what waited once.
pub(crate) async fn list(
    Viewer(operator): Viewer,
    State(desk): Door,
    Asked(which): Asked<Which>,
) -> Listed<Value> {
    let states = states(which.status.as_deref().unwrap_or("pending"))?;
    let (desk, operator) = (&desk, &operator);
    let show = |record: OperationRecord| async move {
        match record.digest {
            Some(_) => entry((desk, operator), &record).await.map(Some),
            None => Ok(None),
        }
    };
    Ok(listed(which.page(desk, states, show).await?))
}

/// `GET /pending-operations/{id}`
pub(crate) async fn show(
    Viewer(operator): Viewer,
    State(desk): Door,
    Named(id): Named<OperationId>,
) -> Result<Json<Value>, Problem> {
    let record = operations::record(&desk, id).await?;
    match record.digest {
        Some(_) => entry((&desk, &operator), &record).await.map(Json),
        None => Err(Problem::NotFound),
    }
}

/// What an operator says yes to: the digest that they saw, signed where the gate asks for that.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Said {
    digest: String,
    note: Option<String>,
    signature: Option<Signature>,
}

/// `POST /pending-operations/{id}/approve`
pub(crate) async fn approve(
    Approver(operator): Approver,
    State(desk): Door,
    Named(id): Named<OperationId>,
    Given(Said { digest, note, signature }): Given<Said>,
) -> Result<Json<Value>, Problem> {
    let Ok(digest) = digest.parse::<ApprovalDigest>() else {
        // what is no digest is certainly not the parked one
        operations::record(&desk, id).await?;
        return Err(Problem::OtherDigest);
    };
    let note = note.map(|note| bounded("note", note)).transpose()?;
    let signature = signature.map(Signature::offered).transpose()?;
    let yes = Yes { digest, note, signature };
    let record = desk.gatehouse.engine.approve_signed(&operator, id, yes).await?;
    tracing::info!(operator = %operator.id, operation = %id, "an operation was approved");
    entry((&desk, &operator), &record).await.map(Json)
}

/// Why an operator says no.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct No {
    pub(crate) reason: String,
}

/// `POST /pending-operations/{id}/reject`
pub(crate) async fn reject(
    Approver(operator): Approver,
    State(desk): Door,
    Named(id): Named<OperationId>,
    Given(No { reason }): Given<No>,
) -> Result<Json<Value>, Problem> {
    let reason = bounded("reason", reason)?;
    let record = desk.gatehouse.engine.reject(&operator, id, reason).await?;
    tracing::info!(operator = %operator.id, operation = %id, "an operation was rejected");
    entry((&desk, &operator), &record).await.map(Json)
}

pub(crate) fn bounded(field: &str, text: String) -> Result<String, Problem> {
    if text.len() > TEXT_MAX {
        return Err(Problem::Malformed(format!("`{field}`: is longer than {TEXT_MAX} bytes")));
    }
    Ok(text)
}

async fn entry(
    (desk, operator): (&Arc<Desk>, &OperatorSetup),
    record: &OperationRecord,
) -> Result<Value, Problem> {
    let trace = desk.ports().journal.trace(record.trace).await?;
    let mut shown = view(record, trace.as_ref(), &desk.setup());
    if let Some(members) = shown.as_object_mut() {
        let votes = desk.gatehouse.engine.counting_votes(record);
        members.insert("progress".into(), progress(record, &votes, &desk.setup()));
        members.insert("signing".into(), signing(desk, operator, record));
    }
    Ok(shown)
}

/// How far each gate is: who counts for which clause.
fn progress(record: &OperationRecord, votes: &[Vote], setup: &Setup) -> Value {
    let agent = setup.agents.get(record.agent());
    let owner = agent.and_then(|agent| agent.owner.as_deref());
    let gate = |gate: &Gate| {
        let clauses = gate.need.iter().zip(gate.counted(votes, owner));
        let clauses: Vec<Value> = clauses
            .map(|(clause, persons)| {
                json!({ "any": clause.any, "of": clause.of, "counted": persons })
            })
            .collect();
        json!({
            "policy": gate.policy,
            "gate": gate.id,
            "in_order": gate.in_order,
            "sign": gate.sign,
            "open": gate.is_open(votes, owner),
            "clauses": clauses,
        })
    };
    record.gates.iter().map(gate).collect()
}

/// What this operator would sign; `null` where nothing waits or no gate asks for a signature.
fn signing(desk: &Arc<Desk>, operator: &OperatorSetup, record: &OperationRecord) -> Value {
    let asks = record.gates.iter().any(|gate| !gate.sign.is_empty());
    let typed = desk.gatehouse.engine.typed_approval(record).filter(|_| asks);
    let (Some(typed), Some(digest)) = (typed, record.digest) else { return Value::Null };
    let credential = |passkey: &PasskeySetup| json!({ "type": "public-key", "id": passkey.id });
    let credentials: Vec<Value> = operator.passkeys.iter().map(credential).collect();
    let passkey = desk.setup().passkeys.as_ref().map(|party| {
        json!({
            "challenge": challenge(digest.0.as_slice()),
            "rpId": party.id,
            "userVerification": "required",
            "allowCredentials": credentials,
        })
    });
    json!({ "address": operator.address, "ethereum": typed, "passkey": passkey })
}

/// The signature of a yes: of an Ethereum key, or of a passkey as browsers give it (`credential.toJSON()`).
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Signature {
    Ethereum(Bytes),
    Passkey(Box<PublicKeyCredential>),
}

impl Signature {
    fn offered(self) -> Result<OfferedSignature, Problem> {
        let credential = match self {
            Self::Ethereum(bytes) => return Ok(OfferedSignature::Ethereum(bytes)),
            Self::Passkey(credential) => credential.read(),
        };
        let malformed = || Problem::Malformed("`signature.passkey`: is not of its form".into());
        let SaidByPasskey { credential, assertion, user: _ } = credential.ok_or_else(malformed)?;
        Ok(OfferedSignature::Passkey { credential, assertion })
    }
}

fn approval_mode(decision: &DecisionRecord) -> Option<Value> {
    let said: Value = serde_json::from_str(decision.validation_result.as_str()?).ok()?;
    said.get("approvalMode").cloned()
}

/// What the score consists of; older records do not say.
fn risk_parts(decision: &DecisionRecord) -> Option<Value> {
    let said: Value = serde_json::from_str(decision.validation_result.as_str()?).ok()?;
    said.get("riskParts").cloned()
}

/// A parked operation with everything that a person needs to judge it: the facts are those that were
/// frozen when it was parked.
fn view(record: &OperationRecord, trace: Option<&TraceRecord>, setup: &Setup) -> Value {
    let decision = trace.map(|trace| shown(trace, record.digest));
    let decision = decision.as_ref();
    let again = trace.and_then(|trace| asked_again(trace, record.digest));
    let facts = decision.and_then(|decision| decision.facts.as_ref());
    let moved = facts.and_then(moved);
    let kind = kind(facts);
    json!({
        "id": record.id,
        "pending_operation_id": record.id,
        "status": status(record.state),
        "action_type": kind,
        "summary": summary(record, &kind, moved.as_ref()),
        "amount": moved.as_ref().map(|moved| moved.amount.clone()),
        "amount_usd": moved.as_ref().and_then(|moved| moved.usd.clone()),
        "token": moved.as_ref().map(|moved| moved.token.clone()),
        "chain": record.chain(),
        "chain_name": setup.chains.get(&record.chain()).map(|chain| &chain.name),
        "risk_score": decision.map(|decision| decision.risk_score),
        "risk_parts": decision.and_then(risk_parts),
        "rule": decision.and_then(rule).or_else(|| record.gates.first().map(|gate| gate.id.clone())),
        "code": record.code,
        "reason": record.reason,
        "approval_mode": decision.and_then(approval_mode),
        "asked_again": again.and_then(|entry| entry.get("asked_again")),
        "changed": again.and_then(|entry| entry.get("changed")),
        "policy": decision.and_then(|decision| decision.policy),
        "guards": decision.map(|decision| &decision.guards),
        "agent": record.agent(),
        "session": record.intent.declared.session,
        "declared_action": record.intent.declared.action,
        "reasoning": record.intent.declared.reason,
        "actions": facts.map(|facts| &facts.actions),
        "verdicts": decision.map(|decision| &decision.policy_verdicts),
        "evidence": facts,
        "operation": operations::view(record),
        "wallet": record.wallet(),
        "address": record.intent.address,
        "to": record.plan().and_then(|plan| plan.to),
        "digest": record.digest,
        "gates": record.gates,
        "asks": record.asks,
        "votes": record.votes,
        "hash": record.hash(),
        "trace_hash": record.trace,
        "created_at": record.created_at,
        "updated_at": record.updated_at,
        "expires_at": record.expires_at,
        "decided": record.state != OperationState::Parked,
    })
}

/// The first rule or limit that asked for people.
fn rule(decision: &DecisionRecord) -> Option<String> {
    let result: Value = serde_json::from_str(decision.validation_result.as_str()?).ok()?;
    result.get("violations")?.as_array()?.first()?.get("rule")?.as_str().map(str::to_owned)
}

fn kind(facts: Option<&Facts>) -> String {
    let labels = facts.map_or(&[][..], |facts| &facts.actions).iter();
    let first = labels.map(|action| action.label.clone()).find(|label| !label.is_empty());
    first.unwrap_or_else(|| "transaction".into())
}

/// What moves first.
pub(super) struct Moved {
    pub(super) amount: String,
    pub(super) token: String,
    pub(super) usd: Option<String>,
    pub(super) to: String,
}

pub(super) fn moved(facts: &Facts) -> Option<Moved> {
    facts.actions.iter().find_map(|action| amount_of(action, facts))
}

/// What a transfer is worth at its own prices, rounded up; nothing of what is no transfer.
pub(super) fn worth(action: &Action, facts: &Facts) -> Option<MicroUsd> {
    let Effect::Transfer { asset, amount, .. } = &action.effect else { return None };
    let token = facts.tokens.iter().find(|token| token.asset == *asset)?;
    token.price.known()?.value(*amount, token.decimals)
}

fn amount_of(action: &Action, facts: &Facts) -> Option<Moved> {
    let (asset, amount, to) = match &action.effect {
        Effect::Transfer { asset, amount, to, .. } => (asset, *amount, *to),
        Effect::Approve { asset, amount, spender, .. } => (asset, *amount, *spender),
        Effect::Revoke { .. }
        | Effect::Call
        | Effect::Deploy { .. }
        | Effect::Undecodable { .. }
        | Effect::Delegate { .. }
        | Effect::TypedData { .. }
        | Effect::Text { .. }
        | Effect::Opaque { .. } => return None,
    };
    let token = facts.tokens.iter().find(|token| token.asset == *asset);
    let price = token.and_then(|token| token.price.known().map(|price| (price, token.decimals)));
    Some(Moved {
        amount: token.map_or_else(|| amount.to_string(), |token| units(amount, token)),
        token: token.map_or_else(|| unnamed(asset), |token| token.name.clone()),
        usd: price
            .and_then(|(price, decimals)| price.value(amount, decimals))
            .map(|v| v.to_string()),
        to: to.to_checksum(None),
    })
}

fn unnamed(asset: &Asset) -> String {
    match asset {
        Asset::Native => "native".into(),
        Asset::Token(address) | Asset::Collection(address) => address.to_checksum(None),
        Asset::Item { collection, id } => format!("{}#{id}", collection.to_checksum(None)),
    }
}

/// Base units as a plain decimal, without trailing zeros.
fn units(amount: U256, token: &TokenFact) -> String {
    let places = usize::from(token.decimals);
    let digits = format!("{amount:0>width$}", width = places.saturating_add(1));
    let (whole, fraction) =
        digits.split_at_checked(digits.len().saturating_sub(places)).unwrap_or((&digits, ""));
    match fraction.trim_end_matches('0') {
        "" => whole.to_owned(),
        fraction => format!("{whole}.{fraction}"),
    }
}

fn summary(record: &OperationRecord, kind: &str, moved: Option<&Moved>) -> String {
    let agent = record.agent();
    match (moved, record.plan().and_then(|plan| plan.to)) {
        (Some(Moved { amount, token, to, .. }), _) => {
            format!("{agent}: {kind} {amount} {token} to {to}")
        }
        (None, Some(to)) => format!("{agent}: {kind} on {}", to.to_checksum(None)),
        (None, None) => format!("{agent}: {kind}"),
    }
}

#[cfg(test)]
mod tests {
    use countersign_core::fact::Fact;

    use super::*;

    #[test]
    fn an_amount_is_shown_in_whole_units_exactly() {
        let token = |decimals| TokenFact {
            asset: Asset::Native,
            name: "eth@1".into(),
            decimals,
            price: Fact::Unknown(String::new()),
            never_priced: true,
            decimals_said: None,
            held_max: None,
        };
        for (amount, decimals, text) in [
            (200_000_000_000_000_000_u64, 18, "0.2"),
            (1_000_000_000_000_000_000, 18, "1"),
            (1, 18, "0.000000000000000001"),
            (0, 18, "0"),
            (1_500_000, 6, "1.5"),
            (42, 0, "42"),
        ] {
            assert_eq!(units(U256::from(amount), &token(decimals)), text);
        }
    }
}
