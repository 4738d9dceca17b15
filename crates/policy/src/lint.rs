//! What a policy says that it cannot mean.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    condition::Condition,
    diagnostic::{Findings, Place},
    field::Kinds,
    matcher::Test,
    model::{Limit, Model, OverLimit, Per, Rule, Spend, Then},
    scope::Kind,
};

/// Names that were defined, and those that something refers to.
#[derive(Debug)]
pub(crate) struct Unused {
    pub(crate) sets: BTreeMap<String, Place>,
    pub(crate) used_sets: BTreeSet<String>,
    pub(crate) used_gates: BTreeSet<String>,
}

/// Adds errors and warnings about a policy as a whole.
pub(crate) fn policy(model: &Model, names: &Unused, findings: &mut Findings) {
    match model.kind {
        Kind::Guard => guard(model, findings),
        Kind::Grant => grant(model, findings),
    }
    for (index, rule) in model.rules.iter().enumerate() {
        never(rule, findings);
        shadowed(rule, &model.rules, index, findings);
    }
    for limit in &model.limits {
        unreachable(limit, &model.limits, findings);
    }
    for (name, place) in &names.sets {
        if !names.used_sets.contains(name) {
            findings.warning(*place, format!("nothing uses the set `{name}`"), "remove it");
        }
    }
    for gate in model.gates.iter().filter(|gate| !names.used_gates.contains(&gate.id)) {
        findings.warning(
            Place::default(),
            format!("nothing asks the gate `{}`", gate.id),
            "remove it",
        );
    }
}

fn guard(model: &Model, findings: &mut Findings) {
    for rule in model.rules.iter().filter(|rule| rule.then == Then::Allow) {
        findings.error(
            rule.place,
            format!("rule `{}` allows, and a guard may only deny, ask and limit", rule.id),
            "move it to a grant",
        );
    }
    for limit in model.limits.iter().filter(|limit| limit.per == Per::Grant) {
        findings.error(
            limit.place,
            format!("limit `{}` is per grant, and a guard is none", limit.id),
            "",
        );
    }
    let starts = model.starts.is_some() || model.asks && model.lasts.is_none();
    for (key, said) in [("starts", starts), ("lasts", model.lasts.is_some())] {
        if said {
            let message =
                format!("the guard `{}` has `{key}`, and a guard always holds", model.name);
            findings.error(Place::default(), message, "remove it");
        }
    }
    if model.expires.is_some() {
        findings.error(
            Place::default(),
            format!("the guard `{}` expires", model.name),
            "a guard that ends would widen by itself; remove `expires`",
        );
    }
}

fn grant(model: &Model, findings: &mut Findings) {
    let allows = model.rules.iter().filter(|rule| rule.then == Then::Allow);
    let kinds = allows.fold(Kinds::NONE, |kinds, rule| kinds.or(rule.kinds));
    if kinds.is_empty() {
        findings.warning(
            Place::default(),
            format!("the grant `{}` allows nothing", model.name),
            "add a rule with `then: allow`",
        );
        return;
    }
    for limit in model.limits.iter().filter(|limit| !limit.kinds.meets(kinds)) {
        findings.warning(
            limit.place,
            format!("limit `{}` never counts: nothing allows {}", limit.id, limit.kinds.words()),
            "remove it, or allow what it is about",
        );
    }
}

/// A condition that no value can meet.
fn never(rule: &Rule, findings: &mut Findings) {
    if is_never(&rule.when) {
        findings.warning(
            rule.place,
            format!("rule `{}` never matches: a list in it is empty", rule.id),
            "fill the list, or remove the rule",
        );
    }
}

fn is_never(condition: &Condition) -> bool {
    match condition {
        Condition::All(inner) => inner.iter().any(is_never),
        Condition::Any(inner) => inner.iter().all(is_never),
        Condition::Field(_, matcher) => {
            matcher.0.iter().any(|test| matches!(test, Test::In(members) if members.is_empty()))
        }
        Condition::Not(_) | Condition::Hours(_) => false,
    }
}

/// An allow that a deny always beats, or that another allow makes superfluous.
fn shadowed(rule: &Rule, rules: &[Rule], index: usize, findings: &mut Findings) {
    if rule.then != Then::Allow {
        return;
    }
    for (other_index, other) in rules.iter().enumerate().filter(|(i, _)| *i != index) {
        let covers = other.clauses.is_subset(&rule.clauses);
        let twin = other.clauses == rule.clauses;
        match other.then {
            Then::Deny if covers => findings.warning(
                rule.place,
                format!("rule `{}` has no effect: `{}` denies all of it", rule.id, other.id),
                "no order among rules: a deny always wins",
            ),
            Then::Allow
                if covers
                    && rule.names_no_more_than(other)
                    && rule.spend == Spend::Unsaid
                    && (!twin || other_index < index) =>
            {
                findings.warning(
                    rule.place,
                    format!("rule `{}` adds nothing: `{}` allows all of it", rule.id, other.id),
                    "remove one of them",
                );
            }
            Then::Deny | Then::Allow | Then::Approve(_) => {}
        }
    }
}

/// A question that a harder limit answers first.
fn unreachable(limit: &Limit, limits: &[Limit], findings: &mut Findings) {
    if limit.over == OverLimit::Deny {
        return;
    }
    let harder = limits.iter().find(|other| {
        other.over == OverLimit::Deny
            && other.per.key() == limit.per.key()
            && other.measure == limit.measure
            && other.by == limit.by
            && other.when_key == limit.when_key
            && other.max <= limit.max
    });
    if let Some(harder) = harder {
        findings.warning(
            limit.place,
            format!("limit `{}` is never asked: `{}` denies first", limit.id, harder.id),
            "its maximum must lie below the denying one",
        );
    }
}
