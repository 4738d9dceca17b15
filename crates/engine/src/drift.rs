//! What is otherwise now than what people saw when they approved: shown to those who are asked again.

use std::collections::{BTreeMap, BTreeSet};

use countersign_core::{
    amount::MicroUsd,
    approval::{Ask, Gate, Vote},
    fact::Facts,
    identity::ApprovalDigest,
    operation::OperationRecord,
    trace::{DecisionRecord, TraceRecord},
};
use serde_json::{Value, json};

/// What people look at, by name.
pub(crate) type Glance = BTreeMap<String, Value>;

/// What a decision showed, and at which gates which rules and limits asked for people.
pub(crate) fn glance(
    decision: &DecisionRecord,
    usd: Option<MicroUsd>,
    (gates, asks): (&[Gate], &[Ask]),
) -> Glance {
    let asking: BTreeSet<String> =
        asks.iter().map(|ask| format!("{}/{}", ask.policy, ask.rule)).collect();
    let mut seen: Glance = [
        ("asked_by", json!(asking)),
        ("gates", json!(gates)),
        ("policy", json!(decision.policy)),
        ("guards", json!(decision.guards)),
        ("risk_score", json!(decision.risk_score)),
        ("usd", json!(usd)),
        ("gas", json!(decision.intent.as_ref().map(countersign_core::intent::Intent::gas))),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    seen.extend(decision.facts.iter().flat_map(of_facts));
    seen
}

fn of_facts(facts: &Facts) -> Glance {
    let prices = facts
        .tokens
        .iter()
        .map(|token| (format!("price {}", token.name), json!(token.price.known())));
    let rest = [
        ("fee_wei_max", json!(facts.fee_wei_max.to_string())),
        ("balance_wei", json!(facts.balance_wei.known().map(ToString::to_string))),
        ("actions", json!(facts.actions)),
        ("simulated", json!(facts.simulated)),
        ("oracles", json!(facts.oracles)),
        ("role", json!(facts.role)),
        ("owner", json!(facts.owner)),
    ];
    let rest = rest.map(|(name, value)| (name.to_owned(), value));
    prices.chain(rest).collect()
}

/// What differs, each with what people saw and what is so now; `null` where one side has none.
pub(crate) fn changes(from: &Glance, to: &Glance) -> Vec<Value> {
    let names: BTreeSet<&String> = from.keys().chain(to.keys()).collect();
    let differ = |name: &&String| from.get(*name) != to.get(*name);
    let change =
        |name: &String| json!({ "what": name, "from": from.get(name), "to": to.get(name) });
    names.into_iter().filter(differ).map(change).collect()
}

/// The votes that were given and count no more, as one more change.
pub(crate) fn lost_votes(record: &OperationRecord, counting: &[Vote]) -> Option<Value> {
    let names = |votes: &[Vote]| -> Vec<String> {
        votes.iter().map(|vote| vote.operator.to_string()).collect()
    };
    let (given, counts) = (names(&record.votes), names(counting));
    (given != counts).then(|| json!({ "what": "votes", "from": given, "to": counts }))
}

/// What an entry of a trace says where people were asked again.
pub(crate) const ASKED_AGAIN: &str = "asked_again";

/// The entry of the time when people were asked under this digest, if it was not the first time. An entry is written
/// before it is asked, so that one of another digest may stand there that never was.
#[must_use]
pub fn asked_again(trace: &TraceRecord, digest: Option<ApprovalDigest>) -> Option<&Value> {
    let digest = json!(digest?);
    let is_it =
        |entry: &&Value| entry.get(ASKED_AGAIN).is_some() && entry.get("digest") == Some(&digest);
    trace.approvals.iter().rev().find(is_it)
}

/// The decision that people are shown under this digest: the first one, or that of the time when they were asked again.
#[must_use]
pub fn shown(trace: &TraceRecord, digest: Option<ApprovalDigest>) -> DecisionRecord {
    let entry = asked_again(trace, digest).and_then(|entry| entry.get("decision"));
    let read = entry.and_then(|entry| serde_json::from_value(entry.clone()).ok());
    read.unwrap_or_else(|| trace.decision.clone())
}
