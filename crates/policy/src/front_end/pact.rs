//! Pacts (seed 003): what an agent may do, until when, as `policies` and `completion_conditions`.
//!
//! `when` allows, `deny_if` denies and limits, `review_if` and `always_review` ask. What no policy of the pact matches
//! is denied. A pact begins when its owner says yes to it, and ends when one of its conditions is met.

mod conditions;
mod terms;

use self::terms::Terms;
use super::written::{
    OWNER, alone, approve, conjunction, entry, exact, gates, kept, known_keys, list, map, named,
    slug, word,
};
use crate::{
    diagnostic::{Findings, Place},
    read,
    source::{Entry, Node},
};

const KEYS: [&str; 13] = [
    "policy",
    "name",
    "intent",
    "execution_plan",
    "policies",
    "completion_conditions",
    "for",
    "starts",
    "expires",
    "sets",
    "gates",
    "tests",
    "expires_at",
];
const POLICY_KEYS: [&str; 3] = ["name", "type", "rules"];
const RULE_KEYS: [&str; 5] = ["effect", "when", "deny_if", "review_if", "always_review"];

/// Whether a file is a pact.
pub(crate) fn is_pact(root: &Node) -> bool {
    root.get("policies").is_some() || root.get("completion_conditions").is_some()
}

/// Compiles a pact; `None` if it has errors.
pub(crate) fn compile(root: &Node, name: &str, findings: &mut Findings) -> Option<Node> {
    known_keys(root, "a pact", &KEYS, findings);
    let mut pact = Pact {
        findings,
        rules: Vec::new(),
        limits: Vec::new(),
        lasts: None,
        ids: Vec::new(),
        asks: None,
    };
    pact.policies(root);
    pact.completion(root);
    let Pact { rules, limits, lasts, asks, .. } = pact;
    let place = root.place;
    let stated = root.get("policy").or_else(|| root.get("name"));
    let mut entries =
        vec![entry("policy", named(stated, name, findings)), entry("kind", word("grant", place))];
    entries.extend(kept(root, &["for", "starts"]));
    entries.extend(lasts.map(|lasts| entry("lasts", lasts)));
    let expires =
        root.get("expires").or_else(|| root.get("expires_at")).filter(|node| !node.is_null());
    entries.extend(expires.map(|node| entry("expires", node.clone())));
    entries.extend(mandate(root));
    entries.extend(kept(root, &["sets"]));
    let asked: Vec<(String, Place)> =
        asks.map(|place| (OWNER.to_owned(), place)).into_iter().collect();
    entries.extend(gates(root, &asked));
    // a limit says more than the rule beside it
    let order = vec![word("limits", place), word("rules", place)];
    entries.push(entry("order", list(order, place)));
    entries.push(entry("limits", list(limits, place)));
    entries.push(entry("rules", list(rules, place)));
    entries.extend(kept(root, &["tests"]));
    (!findings.has_errors()).then(|| map(entries, place))
}

/// What a compiled rule or limit is for.
pub(crate) fn note(id: &str) -> Option<&'static str> {
    if id.starts_with("completion-") {
        return Some("when it is reached, the pact is completed");
    }
    [("-always", "always_review"), ("-deny", "deny_if"), ("-review", "review_if")]
        .into_iter()
        .find_map(|(suffix, note)| id.ends_with(suffix).then_some(note))
}

/// What the owner said yes to, in words.
fn mandate(root: &Node) -> Option<Entry> {
    let text = |key: &str| root.get(key).filter(|node| !node.is_null()).and_then(Node::text);
    let parts: Vec<&str> = [text("intent"), text("execution_plan")].into_iter().flatten().collect();
    (!parts.is_empty()).then(|| entry("mandate", word(&parts.join("\n\n"), root.place)))
}

/// A pact on its way into the core language.
struct Pact<'f> {
    findings: &'f mut Findings,
    rules: Vec<Node>,
    limits: Vec<Node>,
    lasts: Option<Node>,
    ids: Vec<String>,
    /// Where people are asked first.
    asks: Option<Place>,
}

/// One policy of a pact: its id, and what all its rules are about.
struct Subject {
    id: String,
    kind: Kind,
    filters: Vec<Node>,
    place: Place,
}

impl Subject {
    fn when(&self, more: &[Node]) -> Node {
        let filters = [self.filters.as_slice(), more].concat();
        let kinds = self.kind.conditions(&filters, self.place);
        conjunction([kinds, filters].concat(), self.place)
    }
}

impl Pact<'_> {
    fn policies(&mut self, root: &Node) {
        let node = root.get("policies").filter(|node| !node.is_null());
        let items = node.and_then(Node::list).filter(|items| !items.is_empty());
        let Some(items) = items else {
            let place = node.map_or(root.place, |node| node.place);
            let hint =
                "list at least one as { name, type, rules }: without one the pact allows nothing";
            self.findings.error(place, "`policies` is missing", hint);
            return;
        };
        for (index, item) in items.iter().enumerate() {
            self.policy(item, index.saturating_add(1));
        }
    }

    fn policy(&mut self, node: &Node, index: usize) {
        known_keys(node, "a policy of a pact", &POLICY_KEYS, self.findings);
        let name = node.get("name").and_then(Node::text).unwrap_or_default();
        let id = slug(name, index, &self.ids);
        self.ids.push(id.clone());
        let empty = map(Vec::new(), node.place);
        let rules = node.get("rules").filter(|rules| !rules.is_null()).unwrap_or(&empty);
        known_keys(rules, "`rules`", &RULE_KEYS, self.findings);
        let when = rules.get("when").filter(|when| !when.is_null()).unwrap_or(&empty);
        let Some(kind) = self.kind(node) else { return };
        let filters = conditions::read(when, kind, self.findings);
        let subject = Subject { id, kind, filters, place: when.place };
        let denies = match rules.get("effect").map(|effect| (effect, effect.text())) {
            None | Some((_, Some("allow"))) => false,
            Some((_, Some("deny"))) => true,
            Some((effect, _)) => {
                self.findings.error(effect.place, "`effect` must be allow or deny", "");
                false
            }
        };
        if denies {
            self.denied(&subject, rules);
        } else {
            self.allowed(&subject, rules, kind);
        }
    }

    fn kind(&mut self, node: &Node) -> Option<Kind> {
        let told = node.get("type").and_then(Node::text);
        let kind = match told {
            Some("transfer") => Some(Kind::Transfer),
            Some("contract_call") => Some(Kind::ContractCall),
            Some("message_sign") => Some(Kind::MessageSign),
            Some(_) | None => None,
        };
        if kind.is_none() {
            let place = node.get("type").map_or(node.place, |node| node.place);
            let hint = "it is transfer, contract_call or message_sign";
            self.findings.error(place, "a policy of a pact needs a `type`", hint);
        }
        kind
    }

    /// A policy that only forbids.
    fn denied(&mut self, subject: &Subject, rules: &Node) {
        for key in ["deny_if", "review_if", "always_review"] {
            if let Some(node) = rules.get(key) {
                let message = format!("`{key}` means nothing beside `effect: deny`");
                self.findings.error(node.place, message, "the policy denies all that it matches");
            }
        }
        self.rule(&subject.id, subject.when(&[]), word("deny", subject.place));
    }

    fn allowed(&mut self, subject: &Subject, rules: &Node, kind: Kind) {
        self.rule(&subject.id, subject.when(&[]), word("allow", subject.place));
        if let Some(node) = rules.get("deny_if").filter(|node| !node.is_null()) {
            let terms = Terms::read(node, kind, self.findings);
            self.terms(subject, &terms, ("deny", &word("deny", node.place)));
        }
        if let Some(node) = rules.get("review_if").filter(|node| !node.is_null()) {
            let terms = Terms::read(node, kind, self.findings);
            self.ask(node.place);
            self.terms(subject, &terms, ("review", &approve(OWNER, node.place)));
        }
        match rules.get("always_review").map(|node| (node, node.plain())) {
            None | Some((_, Some("false" | "null"))) => {}
            Some((node, Some("true"))) => {
                self.ask(node.place);
                let id = format!("{}-always", subject.id);
                self.rule(&id, subject.when(&[]), approve(OWNER, node.place));
            }
            Some((node, _)) => {
                self.findings.error(node.place, "`always_review` must be true or false", "");
            }
        }
    }

    fn ask(&mut self, place: Place) {
        self.asks = self.asks.or(Some(place));
    }

    /// Amounts become limits. Where there are none, what remains is a rule; beside amounts it says where they hold.
    fn terms(&mut self, subject: &Subject, terms: &Terms, (word_of_it, then): (&str, &Node)) {
        let id = format!("{}-{word_of_it}", subject.id);
        if terms.limits.is_empty() {
            self.rule(&id, subject.when(&terms.filters), then.clone());
        }
        for limit in &terms.limits {
            let mut entries = vec![
                entry("id", word(&format!("{id}-{}", limit.suffix()), limit.place)),
                entry("when", subject.when(&terms.filters)),
                entry(limit.measure, word(limit.unit, limit.place)),
                entry("per", word(limit.per, limit.place)),
                entry("max", limit.max.clone()),
            ];
            if word_of_it == "review" {
                entries.push(entry("over", then.clone()));
            }
            self.limits.push(map(entries, limit.place));
        }
    }

    fn rule(&mut self, id: &str, when: Node, then: Node) {
        let place = when.place;
        let entries = vec![entry("id", word(id, place)), entry("when", when), entry("then", then)];
        self.rules.push(map(entries, place));
    }

    fn completion(&mut self, root: &Node) {
        let Some(node) = root.get("completion_conditions").filter(|node| !node.is_null()) else {
            return;
        };
        let Some(items) = node.list() else {
            let hint = "each entry is { type, threshold }";
            self.findings.error(node.place, "`completion_conditions` must be a list", hint);
            return;
        };
        let mut seen: Vec<&str> = Vec::new();
        for item in items {
            let Some((kind, threshold)) = condition(item) else {
                let hint = "as in { type: tx_count, threshold: \"5\" }";
                self.findings.error(
                    item.place,
                    "a completion condition needs a type and a threshold",
                    hint,
                );
                continue;
            };
            if seen.contains(&kind) {
                self.findings.error(item.place, format!("`{kind}` is said twice"), "say it once");
            }
            seen.push(kind);
            self.completed(kind, threshold);
        }
    }

    fn completed(&mut self, kind: &str, threshold: &Node) {
        let place = threshold.place;
        let (measure, unit) = match kind {
            "tx_count" => ("count", "tx"),
            "amount_spent_usd" => ("sum", "usd"),
            "time_elapsed" => {
                let text = threshold.text().unwrap_or_default();
                let is_count = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
                if threshold.plain().is_some_and(read::is_float) {
                    let message = format!("`{text}` is no whole number of seconds");
                    self.findings.error(place, message, "as in 3600, or with a unit as in 1h");
                }
                let lasts = is_count.then(|| word(&format!("{text}s"), place));
                self.lasts = Some(lasts.unwrap_or_else(|| threshold.clone()));
                return;
            }
            _ => {
                let hint = "conditions are tx_count, amount_spent_usd (in USD) and time_elapsed (in seconds)";
                self.findings.error(
                    place,
                    format!("there is no completion condition `{kind}`"),
                    hint,
                );
                return;
            }
        };
        let whole =
            threshold.text().is_some_and(|text| text.trim_start_matches(['0', '.']).is_empty());
        if whole {
            let message = format!(
                "a threshold of nothing for `{kind}`: the pact would be completed before it begins"
            );
            self.findings.error(place, message, "");
        }
        let max = exact(threshold, self.findings);
        self.limits.push(map(
            vec![
                entry("id", word(&format!("completion-{kind}"), place)),
                entry(measure, word(unit, place)),
                entry("per", word("grant", place)),
                entry("max", max),
                entry("code", word("grant_completed", place)),
            ],
            place,
        ));
    }
}

/// `{ type: tx_count, threshold: 5 }`, or `{ tx_count: 5 }`.
fn condition(node: &Node) -> Option<(&str, &Node)> {
    match node.map()? {
        [Entry { key, node, .. }] if key != "type" => Some((key, node)),
        [_, _] => node.get("type")?.text().zip(node.get("threshold").or_else(|| node.get("value"))),
        _ => None,
    }
}

/// What a policy of a pact is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Transfer,
    ContractCall,
    MessageSign,
}

impl Kind {
    /// The kinds of action that belong to it, and have what is asked of them. A transfer that is signed off-chain is a
    /// message.
    fn conditions(self, filters: &[Node], place: Place) -> Vec<Node> {
        let via = |how: &str| alone("via", word(how, place));
        let kinds = |words: &[&str]| {
            alone("kind", list(words.iter().map(|kind| word(kind, place)).collect(), place))
        };
        match self {
            Self::Transfer => vec![alone("kind", word("transfer", place)), via("call")],
            Self::ContractCall => vec![kinds(&["call", "approve", "revoke"]), via("call")],
            Self::MessageSign if any_named(filters, &is_of_text) => {
                vec![kinds(&["text"]), via("signature")]
            }
            Self::MessageSign if any_named(filters, &is_of_typed_data) => {
                vec![kinds(&["typed_data", "transfer", "approve", "revoke"]), via("signature")]
            }
            Self::MessageSign => {
                let moving = kinds(&["transfer", "approve", "revoke"]);
                let moving = conjunction(vec![moving, via("signature")], place);
                let plain = kinds(&["text", "typed_data"]);
                vec![alone("any", list(vec![plain, moving], place))]
            }
        }
    }

    /// The word of the file.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Transfer => "transfer",
            Self::ContractCall => "contract_call",
            Self::MessageSign => "message_sign",
        }
    }
}

fn is_of_text(field: &str) -> bool {
    field == "text" || field.starts_with("siwe.")
}

fn is_of_typed_data(field: &str) -> bool {
    field == "primary_type" || field.starts_with("domain.") || field.starts_with("message.")
}

/// Whether conditions name such a field.
fn any_named(conditions: &[Node], is: &impl Fn(&str) -> bool) -> bool {
    conditions.iter().any(|node| {
        let inner = |node: &Node| any_named(node.list().unwrap_or(std::slice::from_ref(node)), is);
        let entries = node.map().unwrap_or_default();
        entries.iter().any(|entry| is(&entry.key) || inner(&entry.node))
    })
}
