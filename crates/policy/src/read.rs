//! The tree to the model: every word is known, every value typed, every reference resolved, or the file is
//! refused, with all findings at once.

mod asked;
mod gate;
mod hours;
mod kinds;
mod limit;
mod rule;
mod scalar;
mod when;

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::B256;
use countersign_core::{approval::Gate, identity::PolicyId, time::Timestamp};
use sha2::{Digest, Sha256};

use crate::{
    diagnostic::{Findings, Place},
    field::Shape,
    inline_test, lint,
    model::{Limit, Measure, Model, Rule},
    scope::{Kind, Scope},
    source::{Entry, Node},
};

/// The items of a list, or the one value in its place.
pub(crate) fn each(node: Option<&Node>) -> Vec<Node> {
    match node {
        None => Vec::new(),
        Some(node) => node.list().map_or_else(|| vec![node.clone()], <[Node]>::to_vec),
    }
}

pub(crate) use self::{
    asked::count,
    gate::{DRIFT_FEE_BPS, TTL},
    scalar::{ID_HINT, in_digits, is_float, is_id, whole},
};

const ITEMS_MAX: usize = 1000;

/// Reads a policy of the core language. `None` if there are errors; the findings say which.
pub(crate) fn policy(root: &Node, source: &str, findings: &mut Findings) -> Option<Model> {
    scalar::refuse_inexact(root, findings);
    let mut reader = Reader::new(findings);
    let model = reader.policy(root, source)?;
    let (used_sets, used_gates) = (reader.used_sets, reader.used_gates);
    let sets = reader.sets.into_iter().map(|(name, set)| (name, set.place)).collect();
    lint::policy(&model, &lint::Unused { sets, used_sets, used_gates }, findings);
    (!findings.has_errors()).then_some(model)
}

/// What is known while a file is read.
pub(crate) struct Reader<'f> {
    pub(crate) findings: &'f mut Findings,
    pub(crate) sets: BTreeMap<String, Set>,
    pub(crate) gates: Vec<Gate>,
    pub(crate) tokens: BTreeSet<String>,
    used_sets: BTreeSet<String>,
    used_gates: BTreeSet<String>,
    units: BTreeMap<String, Measure>,
    name: String,
}

/// A named list; its members get their type where they are used.
#[derive(Debug, Clone)]
pub(crate) struct Set {
    pub(crate) place: Place,
    pub(crate) items: Vec<Node>,
}

pub(crate) const KEYS: [&str; 13] = [
    "policy", "kind", "for", "starts", "lasts", "expires", "mandate", "sets", "gates", "order",
    "rules", "limits", "tests",
];

/// `starts: approved`: the grant begins when people say yes to it. One that lasts and does not say since when begins so,
/// too.
const STARTS_APPROVED: &str = "approved";

impl<'f> Reader<'f> {
    fn new(findings: &'f mut Findings) -> Self {
        Self {
            findings,
            sets: BTreeMap::new(),
            gates: Vec::new(),
            tokens: BTreeSet::new(),
            used_sets: BTreeSet::new(),
            used_gates: BTreeSet::new(),
            units: BTreeMap::new(),
            name: String::new(),
        }
    }

    fn policy(&mut self, root: &Node, source: &str) -> Option<Model> {
        self.keys(root, "a policy", &KEYS)?;
        self.name =
            self.required(root, "policy").and_then(|node| self.id(&node)).unwrap_or_default();
        let kind = self.kind(root);
        let scope = root.get("for").map(|node| self.scope(node)).unwrap_or_default();
        let expires = root.get("expires").and_then(|node| self.instant(node));
        let said = root.get("starts");
        let approved = said.is_some_and(|node| node.text() == Some(STARTS_APPROVED));
        let starts = said.filter(|_| !approved).and_then(|node| self.instant(node));
        let lasts = root.get("lasts").and_then(|node| self.duration(node));
        let asks = approved || said.is_none() && lasts.is_some();
        let guidance = root.get("mandate").and_then(|node| self.word(node));
        self.read_sets(root);
        self.read_gates(root);
        let rules = self.items(root, "rules", Self::rule);
        let limits = self.items(root, "limits", Self::limit);
        self.distinct_ids(&rules, &limits);
        self.units = limits.iter().map(|limit| (limit.id.clone(), limit.measure)).collect();
        // what only a test names is not what the policy depends on
        let tokens: Vec<String> = self.tokens.iter().cloned().collect();
        let (used_sets, used_gates) = (self.used_sets.clone(), self.used_gates.clone());
        let tests = inline_test::read(root, self);
        (self.used_sets, self.used_gates) = (used_sets, used_gates);
        let rules_first = self.rules_first(root);
        let (canonical, id) = identity(root, rules_first);
        Some(Model {
            name: self.name.clone(),
            kind,
            scope,
            expires,
            starts,
            asks,
            lasts,
            gates: self.gates.clone(),
            rules,
            limits,
            rules_first,
            tests,
            tokens,
            warnings: Vec::new(),
            canonical,
            id,
            source: source.to_owned(),
            guidance,
        })
    }

    fn kind(&mut self, root: &Node) -> Kind {
        let Some(node) = self.required(root, "kind") else { return Kind::Guard };
        match node.text() {
            Some("grant") => Kind::Grant,
            Some("guard") => Kind::Guard,
            Some(_) | None => {
                self.findings.error(
                    node.place,
                    "`kind` must be `grant` or `guard`",
                    "a grant may allow, a guard may only deny, ask and limit",
                );
                Kind::Guard
            }
        }
    }

    fn scope(&mut self, node: &Node) -> Scope {
        let mut scope = Scope::default();
        if self.keys(node, "`for`", &["agent", "wallets", "chains"]).is_none() {
            return scope;
        }
        scope.agent = node.get("agent").and_then(|node| self.parsed(node));
        for wallet in each(node.get("wallets")) {
            scope
                .wallets
                .extend(self.parsed_with(&wallet, countersign_core::identity::WalletId::parse));
        }
        for chain in each(node.get("chains")) {
            scope.chains.extend(self.chain(&chain));
        }
        scope
    }

    fn read_sets(&mut self, root: &Node) {
        for entry in self.entries(root.get("sets"), "`sets`") {
            let Some(items) = entry.node.list() else {
                self.findings.error(
                    entry.node.place,
                    format!("set `{}` is not a list", entry.key),
                    "",
                );
                continue;
            };
            let set = Set { place: entry.place, items: items.to_vec() };
            self.sets.insert(entry.key, set);
        }
    }

    fn read_gates(&mut self, root: &Node) {
        for entry in self.entries(root.get("gates"), "`gates`") {
            let gate = self.gate(&entry);
            self.gates.extend(gate);
        }
    }

    /// The gate of a name; an unknown one is an error.
    pub(crate) fn gate_named(&mut self, node: &Node) -> Option<Gate> {
        let name = self.word(node)?;
        self.used_gates.insert(name.clone());
        let found = self.gates.iter().find(|gate| gate.id == name).cloned();
        if found.is_none() {
            let known = self.gates.iter().map(|gate| gate.id.as_str()).collect::<Vec<_>>();
            let hint = if known.is_empty() {
                "define it under `gates:`".to_owned()
            } else {
                format!("gates are {}", known.join(", "))
            };
            self.findings.error(node.place, format!("there is no gate `{name}`"), hint);
        }
        found
    }

    /// The members of a set; an unknown one is an error.
    pub(crate) fn set_named(&mut self, name: &str, place: Place) -> Option<Vec<Node>> {
        self.used_sets.insert(name.to_owned());
        let found = self.sets.get(name).map(|set| set.items.clone());
        if found.is_none() {
            self.findings.error(
                place,
                format!("there is no set `@{name}`"),
                "define it under `sets:`",
            );
        }
        found
    }

    fn items<T>(
        &mut self,
        root: &Node,
        key: &str,
        read: impl Fn(&mut Self, &Node) -> Option<T>,
    ) -> Vec<T> {
        let Some(node) = root.get(key) else { return Vec::new() };
        let Some(items) = node.list() else {
            if !node.is_null() {
                self.findings.error(
                    node.place,
                    format!("`{key}` must be a list"),
                    "begin each entry with `-`",
                );
            }
            return Vec::new();
        };
        if items.len() > ITEMS_MAX {
            self.findings.error(
                node.place,
                format!("`{key}` has {} entries", items.len()),
                "at most 1000",
            );
        }
        items.iter().take(ITEMS_MAX).filter_map(|item| read(self, item)).collect()
    }

    fn distinct_ids(&mut self, rules: &[Rule], limits: &[Limit]) {
        let ids = rules.iter().map(|rule| (&rule.id, rule.place));
        let mut seen = BTreeSet::new();
        for (id, place) in ids.chain(limits.iter().map(|limit| (&limit.id, limit.place))) {
            if !seen.insert(id) {
                self.findings.error(
                    place,
                    format!("the id `{id}` is used twice"),
                    "rules and limits share one list of ids",
                );
            }
        }
    }

    /// Whether rules stand before limits: where `order` says so, else as in the file. The order decides which
    /// code a denial with several grounds has.
    fn rules_first(&mut self, root: &Node) -> bool {
        let place = |key: &str| root.get(key).map(|node| node.place);
        let Some(order) = root.get("order") else {
            return place("limits").is_none_or(|l| place("rules").is_none_or(|rules| rules < l));
        };
        let words: Vec<Option<&str>> =
            order.list().unwrap_or_default().iter().map(Node::text).collect();
        let limits_first = words == [Some("limits"), Some("rules")];
        if !limits_first && words != [Some("rules"), Some("limits")] {
            self.findings.error(
                order.place,
                "`order` must be [rules, limits] or [limits, rules]",
                "leave it out for the order of the file",
            );
        }
        !limits_first
    }

    /// The entries of a mapping whose keys the author chooses.
    fn entries(&mut self, node: Option<&Node>, what: &str) -> Vec<Entry> {
        let Some(node) = node else { return Vec::new() };
        if node.is_null() {
            return Vec::new();
        }
        let Some(entries) = node.map() else {
            self.findings.error(node.place, format!("{what} must be a mapping of names"), "");
            return Vec::new();
        };
        for entry in entries {
            if !scalar::is_id(&entry.key) {
                self.findings.error(
                    entry.place,
                    format!("`{}` is not a name", entry.key),
                    scalar::ID_HINT,
                );
            }
        }
        entries.to_vec()
    }

    /// Refuses a node that is not a mapping, and keys that are not known.
    pub(crate) fn keys(&mut self, node: &Node, what: &str, known: &[&str]) -> Option<()> {
        let Some(entries) = node.map() else {
            self.findings.error(
                node.place,
                format!("{what} must be a mapping"),
                format!("its keys are {}", known.join(", ")),
            );
            return None;
        };
        for entry in entries {
            if !known.contains(&entry.key.as_str()) {
                self.findings.error(
                    entry.place,
                    format!("{what} has no key `{}`", entry.key),
                    format!("its keys are {}", known.join(", ")),
                );
            }
        }
        Some(())
    }

    /// The value of a key that must be there.
    pub(crate) fn required(&mut self, node: &Node, key: &str) -> Option<Node> {
        let found = node.get(key).filter(|value| !value.is_null()).cloned();
        if found.is_none() {
            self.findings.error(node.place, format!("`{key}` is missing"), "");
        }
        found
    }

    pub(crate) fn instant(&mut self, node: &Node) -> Option<Timestamp> {
        self.parsed_with(node, str::parse)
    }

    /// How a limit's amounts are written.
    pub(crate) fn unit_of(&self, limit: &str) -> Option<Shape> {
        let measure = self.units.get(limit)?;
        Some(if measure.is_money() { Shape::Usd } else { Shape::Number })
    }

    /// A value, or an error at this place.
    pub(crate) fn told<T, E: std::fmt::Display>(
        &mut self,
        at: Place,
        result: Result<T, E>,
    ) -> Option<T> {
        result.map_err(|error| self.findings.error(at, error.to_string(), "")).ok()
    }

    pub(crate) fn policy_name(&self) -> &str {
        &self.name
    }
}

/// The canonical JSON of everything but the tests, and its SHA-256: what does not change a judgement does
/// not change the version.
fn identity(root: &Node, rules_first: bool) -> (String, PolicyId) {
    let mut json = root.canonical();
    if let Some(object) = json.as_object_mut() {
        object.remove("tests");
        object.remove("order");
        let order = if rules_first { ["rules", "limits"] } else { ["limits", "rules"] };
        object.insert("order".to_owned(), order.as_slice().into());
        object.sort_keys();
    }
    let canonical = json.to_string();
    let digest: [u8; 32] = Sha256::digest(canonical.as_bytes()).into();
    (canonical, PolicyId(B256::from(digest)))
}
