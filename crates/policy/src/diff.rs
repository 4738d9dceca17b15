//! What changes from one version of a policy to the next, and whether that can only narrow (POLICY §6).
//!
//! A change is a tightening where its shape proves it; everything else is a loosening. Order, codes and tests change
//! what is said, and not what is allowed.

mod limits;
mod rules;

use std::{collections::BTreeSet, fmt};

use countersign_core::approval::{Gate, Quorum};
pub use countersign_core::shelf::{Change, DiffClass};
use serde::Serialize;
use serde_json::Value as Json;

use crate::{
    model::Model,
    policy::Policy,
    scope::{Kind, Scope},
};

/// Every change from one version to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diff {
    /// The loosest of the changes.
    pub class: DiffClass,
    /// In the order of the file.
    pub changes: Vec<Change>,
}

/// Compares two versions of a policy.
#[must_use]
pub fn diff(old: &Policy, new: &Policy) -> Diff {
    let mut changes = Changes(Vec::new());
    let (old, new) = (old.model(), new.model());
    head(&mut changes, old, new);
    sets(&mut changes, old, new);
    rules::compare(&mut changes, old, new);
    limits::compare(&mut changes, old, new);
    if changes.0.is_empty() && old.canonical != new.canonical {
        changes.add(DiffClass::Same, "file", "only order, spelling or codes differ".to_owned());
    }
    let class = changes.0.iter().map(|change| change.class).max().unwrap_or(DiffClass::Same);
    Diff { class, changes: changes.0 }
}

struct Changes(Vec<Change>);

impl Changes {
    fn add(&mut self, class: DiffClass, what: &str, text: String) {
        self.0.push(Change { class, what: what.to_owned(), text });
    }

    /// A change of a value that is there or not; `narrows` says whether it can only narrow.
    fn value<T: PartialEq + fmt::Display>(
        &mut self,
        what: &str,
        (old, new): (Option<&T>, Option<&T>),
        narrows: bool,
    ) {
        if old != new {
            let shown = |value: Option<&T>| value.map_or_else(|| "none".to_owned(), T::to_string);
            self.add(if_narrows(narrows), what, format!("{} -> {}", shown(old), shown(new)));
        }
    }
}

const fn if_narrows(narrows: bool) -> DiffClass {
    if narrows { DiffClass::Tightening } else { DiffClass::Loosening }
}

/// Whether an end moves nearer, or there is one at last.
fn is_sooner<T: PartialOrd>(old: Option<&T>, new: Option<&T>) -> bool {
    match (old, new) {
        (None, Some(_)) => true,
        (Some(old), Some(new)) => new < old,
        (_, None) => false,
    }
}

/// When a grant begins, in words; one that lasts and does not say since when begins when it is approved.
fn starts(model: &Model) -> Option<String> {
    let asks = || model.asks.then(|| "approved".to_owned());
    model.starts.map(|starts| starts.to_string()).or_else(asks)
}

fn head(changes: &mut Changes, old: &Model, new: &Model) {
    let kind = |kind: Kind| if kind == Kind::Grant { "grant" } else { "guard" };
    changes.value("policy", (Some(&old.name), Some(&new.name)), false);
    changes.value("kind", (Some(&kind(old.kind)), Some(&kind(new.kind))), false);
    if old.scope != new.scope {
        let (inner, outer) = match new.kind {
            Kind::Grant => (&new.scope, &old.scope),
            Kind::Guard => (&old.scope, &new.scope),
        };
        let text = format!("{} -> {}", scope_words(&old.scope), scope_words(&new.scope));
        changes.add(if_narrows(is_within(inner, outer)), "for", text);
    }
    let (before, after) = (starts(old), starts(new));
    let later = new.asks || after.is_some() && new.lasts.is_none();
    changes.value("starts", (before.as_ref(), after.as_ref()), before.is_none() && later);
    let sooner = is_sooner(old.lasts.as_ref(), new.lasts.as_ref());
    changes.value("lasts", (old.lasts.as_ref(), new.lasts.as_ref()), sooner);
    let sooner = is_sooner(old.expires.as_ref(), new.expires.as_ref());
    changes.value("expires", (old.expires.as_ref(), new.expires.as_ref()), sooner);
    match (&old.guidance, &new.guidance) {
        (None, Some(_)) => {
            changes.add(
                DiffClass::Tightening,
                "mandate",
                "a text for approvers and the judge".into(),
            );
        }
        (Some(_), None) => changes.add(DiffClass::Loosening, "mandate", "it is gone".into()),
        (Some(before), Some(after)) if before != after => {
            let text = "the text is another, and a judge may read it otherwise";
            changes.add(DiffClass::Loosening, "mandate", text.into());
        }
        _ => {}
    }
}

fn scope_words(scope: &Scope) -> String {
    let list = |what: &str, items: Vec<String>| {
        if items.is_empty() {
            format!("any {what}")
        } else {
            format!("{what} {}", items.join(", "))
        }
    };
    let agent = scope.agent.iter().map(ToString::to_string).collect();
    let wallets = scope.wallets.iter().map(ToString::to_string).collect();
    let chains = scope.chains.iter().map(ToString::to_string).collect();
    [list("agent", agent), list("wallet", wallets), list("chain", chains)].join("; ")
}

fn is_within(inner: &Scope, outer: &Scope) -> bool {
    fn part<T: PartialEq>(inner: &[T], outer: &[T]) -> bool {
        outer.is_empty() || (!inner.is_empty() && inner.iter().all(|one| outer.contains(one)))
    }
    (outer.agent.is_none() || inner.agent == outer.agent)
        && part(&inner.wallets, &outer.wallets)
        && part(&inner.chains, &outer.chains)
}

/// What a set gained and lost. What that means is told of the rules that name it.
fn sets(changes: &mut Changes, old: &Model, new: &Model) {
    let parse = |model: &Model| serde_json::from_str::<Json>(&model.canonical).unwrap_or_default();
    let (old, new) = (parse(old), parse(new));
    let of = |root: &Json, name: &str| -> BTreeSet<String> {
        let items = root.get("sets").and_then(|sets| sets.get(name)).and_then(Json::as_array);
        items.into_iter().flatten().map(ToString::to_string).collect()
    };
    let names = [&old, &new].into_iter().filter_map(|root| root.get("sets")?.as_object());
    let names: BTreeSet<&String> = names.flat_map(|sets| sets.keys()).collect();
    for name in names {
        let (before, after) = (of(&old, name), of(&new, name));
        let gained = after.difference(&before).map(|item| format!("+{item}"));
        let lost = before.difference(&after).map(|item| format!("-{item}"));
        let text = gained.chain(lost).collect::<Vec<_>>().join(" ");
        if !text.is_empty() {
            changes.add(DiffClass::Same, &format!("set {name}"), text);
        }
    }
}

/// Whether whoever opens the new gate would have opened the old one, and no later.
fn is_as_strict(new: &Gate, old: &Gate) -> bool {
    let covers = |old: &Quorum, new: &Quorum| {
        let anyone = old.of.iter().any(|name| name == Quorum::ANYONE);
        new.any >= old.any && (anyone || new.of.iter().all(|name| old.of.contains(name)))
    };
    let drifts = |new: Option<u32>, old: Option<u32>| match (new, old) {
        (_, None) => true,
        (Some(new), Some(old)) => new <= old,
        (None, Some(_)) => false,
    };
    let signs = |new: &Gate, old: &Gate| {
        old.sign.is_empty()
            || (!new.sign.is_empty() && new.sign.iter().all(|sign| old.sign.contains(sign)))
    };
    // what opens in one order need not open in another
    let ordered = |new: &Gate, old: &Gate| !old.in_order || (new.in_order && new.need == old.need);
    old.need.iter().all(|old| new.need.iter().any(|new| covers(old, new)))
        && ordered(new, old)
        && signs(new, old)
        && new.ttl <= old.ttl
        && new.delay >= old.delay
        && drifts(new.drift_fee_bps, old.drift_fee_bps)
        && drifts(new.drift_usd_bps, old.drift_usd_bps)
}

/// A gate in words.
fn gate_words(gate: &Gate) -> String {
    let clause = |quorum: &Quorum| format!("{} of {}", quorum.any, quorum.of.join("/"));
    let need: Vec<String> = gate.need.iter().map(clause).collect();
    let joined = need.join(if gate.in_order { " then " } else { " and " });
    let sign: Vec<String> = gate.sign.iter().map(ToString::to_string).collect();
    let signed =
        if sign.is_empty() { String::new() } else { format!(", signed: {}", sign.join("/")) };
    format!("gate `{}` ({joined}, {}{signed})", gate.id, gate.ttl)
}
