//! Bundles of JsonLogic rules (seed 004): `rule_id`, `applies_to`, `if`, `then`, `decision_binding`.
//!
//! `if` is read as an expression of known operators over known, typed values and becomes a condition of the core
//! language; nothing is evaluated with doubles. What is not known is an error. `request.context.*` is what the agent
//! says of itself, and `user.role` what the configuration says of the agent; what is missing is unknown.

mod expression;
mod rule;
mod variable;

use super::written::{entry, gates, kept, known_keys, list, map, named, word};
use crate::{
    diagnostic::{Findings, Place},
    source::Node,
};

const KEYS: [&str; 9] =
    ["policy", "rules", "for", "starts", "lasts", "expires", "mandate", "gates", "tests"];

/// Whether a file is a bundle: a rule, a list of rules, or `rules` of this kind.
pub(crate) fn is_bundle(root: &Node) -> bool {
    let is_rule = |node: &Node| node.get("rule_id").is_some();
    let any = |items: Option<&[Node]>| items.is_some_and(|items| items.iter().any(is_rule));
    is_rule(root) || any(root.list()) || any(root.get("rules").and_then(Node::list))
}

/// Compiles a bundle; `None` if it has errors.
pub(crate) fn compile(root: &Node, name: &str, findings: &mut Findings) -> Option<Node> {
    let place = root.place;
    let alone = [root.clone()];
    let rules = if root.list().is_some() {
        root.list()
    } else if root.get("rule_id").is_some() {
        Some(alone.as_slice())
    } else {
        known_keys(root, "a bundle", &KEYS, findings);
        root.get("rules").and_then(Node::list)
    };
    let Some(rules) = rules.filter(|rules| !rules.is_empty()) else {
        let hint = "list rules as { rule_id, applies_to, if, then }";
        findings.error(place, "a bundle needs `rules`", hint);
        return None;
    };
    let mut bundle = Bundle::default();
    for rule in rules {
        bundle.rule(rule, findings);
    }
    bundle.never(place);
    bundle.warn_of_gates(root, findings);
    let is_bundle = root.get("rules").is_some();
    let stated = root.get("policy").filter(|_| is_bundle);
    let mut entries =
        vec![entry("policy", named(stated, name, findings)), entry("kind", word("grant", place))];
    entries.extend(kept(root, &["for", "starts", "lasts", "expires", "mandate"]));
    entries.extend(gates(root, &bundle.asked));
    entries.push(entry("rules", list(bundle.rules, place)));
    entries.extend(kept(root, &["tests"]));
    (!findings.has_errors()).then(|| map(entries, place))
}

/// What a compiled rule is for.
pub(crate) fn note(id: &str) -> Option<&'static str> {
    match id {
        "unread" => Some("never signed, unless a rule names the kind under applies_to"),
        id if id.ends_with("-gate") => Some("requires_approval_gate"),
        _ => None,
    }
}

/// A bundle on its way into the core language.
#[derive(Debug, Default)]
struct Bundle {
    rules: Vec<Node>,
    /// Gates that rules name, with where they do so first.
    asked: Vec<(String, Place)>,
    /// Kinds of action that rules name.
    kinds: Vec<String>,
}

impl Bundle {
    /// Delegations and typed data that nobody reads are never signed, unless a rule speaks of them by their kind.
    fn never(&mut self, place: Place) {
        let unread = ["delegate", "typed_data"];
        let silent = unread.iter().filter(|kind| !self.kinds.iter().any(|known| known == *kind));
        let silent: Vec<Node> = silent.map(|kind| word(kind, place)).collect();
        if !silent.is_empty() {
            let when = super::written::alone("kind", list(silent, place));
            self.rules.push(map(
                vec![
                    entry("id", word("unread", place)),
                    entry("when", when),
                    entry("then", word("deny", place)),
                ],
                place,
            ));
        }
    }

    fn warn_of_gates(&self, root: &Node, findings: &mut Findings) {
        for (name, place) in &self.asked {
            if root.get("gates").and_then(|gates| gates.get(name)).is_none() {
                findings.warning(
                    *place,
                    format!("the gate `{name}` is not defined: any operator who may approve opens it"),
                    format!("say who under `gates`, as in {name}: {{ need: [{{ any: 1, of: [alice] }}] }}"),
                );
            }
        }
    }
}
