//! The approval inbox: what waits for people, and what they say.

use std::sync::Arc;

use alloy_primitives::U256;
use axum::{Json, extract::State};
use countersign_core::{
    action::{Action, Effect},
    fact::{Facts, TokenFact},
    identity::{ApprovalDigest, OperationId},
    operation::{OperationRecord, OperationState},
    token::Asset,
    trace::{DecisionRecord, TraceRecord},
};
use countersign_engine::{
    port::journal::Page,
    setup::{Role, Setup},
};
use futures_util::future::try_join_all;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Desk, Door, Problem,
    access::{Asked, Named, Operator, Viewer},
    body::{Given, Listed, listed},
    operations::{self, Which, states, status},
};

/// The longest note or reason, in bytes.
const TEXT_MAX: usize = 4096;

/// `GET /pending-operations`: what waits, or with `status` what waited once.
pub(crate) async fn list(
    _: Viewer,
    State(desk): Door,
    Asked(which): Asked<Which>,
) -> Listed<Value> {
    let states = states(which.status.as_deref().unwrap_or("pending"))?;
    let query = which.query(states)?;
    let Page { items, next_cursor } = desk.ports().ledger.operations(&query).await?;
    let parked = items.iter().filter(|record| record.digest.is_some());
    let items = try_join_all(parked.map(|record| entry(&desk, record))).await?;
    Ok(listed(Page { items, next_cursor }))
}

/// `GET /pending-operations/{id}`
pub(crate) async fn show(
    _: Viewer,
    State(desk): Door,
    Named(id): Named<OperationId>,
) -> Result<Json<Value>, Problem> {
    let record = operations::record(&desk, id).await?;
    match record.digest {
        Some(_) => entry(&desk, &record).await.map(Json),
        None => Err(Problem::NotFound),
    }
}

/// What an operator says yes to: the digest that they saw.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Yes {
    digest: String,
    note: Option<String>,
}

/// `POST /pending-operations/{id}/approve`
pub(crate) async fn approve(
    operator: Operator,
    State(desk): Door,
    Named(id): Named<OperationId>,
    Given(Yes { digest, note }): Given<Yes>,
) -> Result<Json<Value>, Problem> {
    let operator = operator.may(Role::Approve)?;
    let Ok(digest) = digest.parse::<ApprovalDigest>() else {
        // what is no digest is certainly not the parked one
        operations::record(&desk, id).await?;
        return Err(Problem::OtherDigest);
    };
    let note = note.map(|note| bounded("note", note)).transpose()?;
    let record = desk.gatehouse.engine.approve(operator, id, digest, note).await?;
    tracing::info!(operator = %operator.id, operation = %id, "an operation was approved");
    entry(&desk, &record).await.map(Json)
}

/// Why an operator says no.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct No {
    pub(crate) reason: String,
}

/// `POST /pending-operations/{id}/reject`
pub(crate) async fn reject(
    operator: Operator,
    State(desk): Door,
    Named(id): Named<OperationId>,
    Given(No { reason }): Given<No>,
) -> Result<Json<Value>, Problem> {
    let operator = operator.may(Role::Approve)?;
    let reason = bounded("reason", reason)?;
    let record = desk.gatehouse.engine.reject(operator, id, reason).await?;
    tracing::info!(operator = %operator.id, operation = %id, "an operation was rejected");
    entry(&desk, &record).await.map(Json)
}

pub(crate) fn bounded(field: &str, text: String) -> Result<String, Problem> {
    if text.len() > TEXT_MAX {
        return Err(Problem::Malformed(format!("`{field}`: is longer than {TEXT_MAX} bytes")));
    }
    Ok(text)
}

async fn entry(desk: &Arc<Desk>, record: &OperationRecord) -> Result<Value, Problem> {
    let trace = desk.ports().journal.trace(record.trace).await?;
    Ok(view(record, trace.as_ref(), &desk.setup()))
}

/// What the score consists of; older records do not say.
fn risk_parts(decision: &DecisionRecord) -> Option<Value> {
    let said: Value = serde_json::from_str(decision.validation_result.as_str()?).ok()?;
    said.get("riskParts").cloned()
}

/// A parked operation with everything that a person needs to judge it: the facts are those that were
/// frozen when it was parked.
fn view(record: &OperationRecord, trace: Option<&TraceRecord>, setup: &Setup) -> Value {
    let decision = trace.map(|trace| &trace.decision);
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
struct Moved {
    amount: String,
    token: String,
    usd: Option<String>,
    to: String,
}

fn moved(facts: &Facts) -> Option<Moved> {
    facts.actions.iter().find_map(|action| amount_of(action, facts))
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
