//! One rule of a bundle.

use countersign_core::abi::AbiFunction;

use super::{
    super::written::{
        OWNER, alone, approve, conjunction, disjunction, entry, exact, known_keys, list, map, word,
    },
    Bundle,
    expression::{self, Outcome},
    variable::{self, Meaning},
};
use crate::{
    diagnostic::{Findings, Place},
    field::{Kinds, Path, Shape},
    mode::ApprovalMode,
    read,
    source::{Entry, Node},
};

const KEYS: [&str; 6] = ["rule_id", "description", "applies_to", "if", "then", "decision_binding"];
const THEN_KEYS: [&str; 4] =
    ["allow", "approval_mode", "requires_approval_gate", "arg_constraints"];
const CONSTRAINT_KEYS: [&str; 3] = ["max", "enum", "unless_approved"];

/// A rule whose condition is read.
struct Subject<'a> {
    id: &'a str,
    place: Place,
    conditions: Vec<Node>,
    /// The function that `applies_to` names.
    function: Option<AbiFunction>,
    mode: Option<Node>,
    binding: Option<Node>,
    gate: Option<&'a Node>,
    /// Whether `applies_to` says kinds of action.
    names_kinds: bool,
    /// Whether the currency is constrained.
    bounds_currency: bool,
}

/// A field that a constraint looks at.
struct Reading {
    field: String,
    /// The kinds that have it, where the rule does not say kinds itself and not all have it.
    only: Option<Kinds>,
    /// Whether other kinds break the constraint: something else looks at them.
    others_break: bool,
}

impl Reading {
    /// What breaks a constraint, as far as this field tells.
    fn broken(&self, asked: &[(&str, Node)], place: Place) -> Vec<Node> {
        let kinds = |kinds: Kinds| {
            let words = kinds.words();
            list(words.split(", ").map(|kind| word(kind, place)).collect(), place)
        };
        let test = |(operator, value): &(&str, Node)| {
            let test = entry(&self.field, alone(operator, value.clone()));
            let kind = self.only.map(|only| entry("kind", kinds(only)));
            map(kind.into_iter().chain([test]).collect(), place)
        };
        let others = self.only.filter(|_| self.others_break);
        let others = others.map(|only| alone("kind", alone("not_in", kinds(only))));
        asked.iter().map(test).chain(others).collect()
    }
}

/// What may not be, as tests of the core language.
fn asked(node: &Node, findings: &mut Findings) -> Vec<(&'static str, Node)> {
    let mut asked = Vec::new();
    if let Some(max) = node.get("max") {
        asked.push(("gt", exact(max, findings)));
    }
    if let Some(values) = node.get("enum") {
        let value = |value: &Node| match value.plain() {
            Some("true" | "false") | None => value.clone(),
            Some(_) => exact(value, findings),
        };
        let values = read::each(Some(values)).iter().map(value).collect();
        asked.push(("not_in", list(values, node.place)));
    }
    asked
}

impl Subject<'_> {
    /// Where the facts have an argument; `None` where they have none of this name. Of money in a currency that the rule
    /// names, both its worth and its amount count, and what the agent says too where the rule asks for it.
    fn readings(&self, name: &str) -> Option<Vec<Reading>> {
        let whole =
            |field: &str| Reading { field: field.to_owned(), only: None, others_break: false };
        let fits = |f: &AbiFunction| Shape::of_argument(f, &Path(name.to_owned())).is_some();
        if self.function.as_ref().is_some_and(fits) {
            return Some(vec![whole(&format!("args.{name}"))]);
        }
        let mut readings = match variable::meaning(name)? {
            Meaning::Field(field) => {
                let only = variable::kinds(&field).filter(|_| !self.names_kinds);
                return Some(vec![Reading { field, only, others_break: true }]);
            }
            Meaning::Money if self.bounds_currency => {
                let units = Reading { only: variable::kinds("units"), ..whole("units") };
                vec![whole("usd"), units]
            }
            Meaning::Usd | Meaning::Money => vec![whole("usd")],
        };
        let declared = format!("context.{name}");
        readings.extend(
            any_field(&self.conditions, &|field| field == declared).then(|| whole(&declared)),
        );
        Some(readings)
    }
}

impl Bundle {
    pub(super) fn rule(&mut self, node: &Node, findings: &mut Findings) {
        known_keys(node, "a rule", &KEYS, findings);
        let empty = map(Vec::new(), node.place);
        let then = node.get("then").unwrap_or(&empty);
        known_keys(then, "`then`", &THEN_KEYS, findings);
        let Some(subject) = self.subject(node, then, findings) else { return };
        let allow = flag(then, "allow", findings);
        let asks = subject.gate.is_some();
        let constraints = then.get("arg_constraints").filter(|node| !node.is_null());
        match allow {
            Some(true) => self.add(&subject, "", &[], word("allow", subject.place)),
            Some(false) => self.add(&subject, "", &[], word("deny", subject.place)),
            None if asks || constraints.is_some() => {}
            None => {
                let hint = "say allow: true, allow: false, a gate or constraints";
                findings.error(then.place, "`then` says nothing", hint);
            }
        }
        if allow == Some(false) && (asks || constraints.is_some()) {
            let hint = "remove the gate and the constraints, or allow";
            findings.error(
                then.place,
                "what is never allowed cannot be approved or constrained",
                hint,
            );
        }
        if let Some(gate) = subject.gate.and_then(Node::text) {
            self.ask(gate, subject.place);
            self.add(&subject, "gate", &[], approve(gate, subject.place));
        }
        for constraint in constraints.and_then(Node::map).unwrap_or_default() {
            self.constraint(&subject, (&constraint.key, &constraint.node), findings);
        }
        if constraints.is_some_and(|node| node.map().is_none()) {
            let hint = "as in { refund_amount: { max: 3000 } }";
            findings.error(then.place, "`arg_constraints` must be a mapping", hint);
        }
    }

    fn subject<'a>(
        &mut self,
        node: &'a Node,
        then: &'a Node,
        findings: &mut Findings,
    ) -> Option<Subject<'a>> {
        let id = node.get("rule_id").and_then(Node::text).unwrap_or_default();
        if !read::is_id(id) {
            let hint = "use 1 to 63 of letters, digits, - and _";
            findings.error(node.place, format!("the `rule_id` `{id}` is not a name"), hint);
        }
        let (mut conditions, function) = self.applies_to(node.get("applies_to"), findings);
        match node.get("if").map(|node| expression::condition(node, function.as_ref(), findings)) {
            None | Some(Some(Outcome::Always(true))) => {}
            Some(Some(Outcome::When(condition))) => conditions.push(condition),
            Some(Some(Outcome::Always(false))) => {
                findings.warning(node.place, format!("the rule `{id}` never applies"), "remove it");
                return None;
            }
            Some(None) => return None,
        }
        warn_of_words(id, &conditions, then, findings);
        let mode = then.get("approval_mode").filter(|node| !node.is_null()).cloned();
        if let Some(mode) = &mode
            && let Err(error) = mode.text().unwrap_or_default().parse::<ApprovalMode>()
        {
            findings.error(mode.place, error.to_string(), "");
        }
        let gate = then.get("requires_approval_gate").filter(|node| !node.is_null());
        let binding = node.get("decision_binding").filter(|node| !node.is_null()).cloned();
        let applies_to = node.get("applies_to");
        let names_kinds = applies_to.is_some_and(|to| to.get("kind").is_some());
        let constraints = then.get("arg_constraints");
        let bounds_currency = constraints.is_some_and(|of| of.get("currency").is_some());
        let place = node.place;
        Some(Subject {
            id,
            place,
            conditions,
            function,
            mode,
            binding,
            gate,
            names_kinds,
            bounds_currency,
        })
    }

    /// `{ intent, kind, target, fn }`: the intent is what the configuration or the agent calls the action.
    fn applies_to(
        &mut self,
        node: Option<&Node>,
        findings: &mut Findings,
    ) -> (Vec<Node>, Option<AbiFunction>) {
        let Some(node) = node.filter(|node| !node.is_null()) else { return (Vec::new(), None) };
        known_keys(node, "`applies_to`", &["intent", "kind", "target", "fn"], findings);
        let mut conditions = Vec::new();
        if let Some(intent) = node.get("intent").filter(|intent| intent.text() != Some("*")) {
            conditions.push(alone("action", intent.clone()));
        }
        for key in ["kind", "target"] {
            conditions.extend(node.get(key).map(|value| alone(key, value.clone())));
        }
        let kinds = read::each(node.get("kind"));
        self.kinds.extend(kinds.iter().filter_map(Node::text).map(str::to_owned));
        let function = node.get("fn").map(|function| {
            conditions.push(alone("fn", function.clone()));
            AbiFunction::parse(function.text().unwrap_or_default())
                .map_err(|error| findings.error(function.place, error.to_string(), ""))
        });
        (conditions, function.and_then(Result::ok))
    }

    /// What an argument may be. One that is not known is none that may be.
    fn constraint(
        &mut self,
        subject: &Subject<'_>,
        (name, node): (&str, &Node),
        findings: &mut Findings,
    ) {
        known_keys(node, &format!("the constraint on `{name}`"), &CONSTRAINT_KEYS, findings);
        let Some(readings) = subject.readings(name) else {
            let hint = format!(
                "name a fact (usd, units, currency, token, to, args.NAME with `fn` ..), or write `request.context.{name}` if what the agent says is meant"
            );
            findings.error(node.place, format!("no fact is called `{name}`"), hint);
            return;
        };
        let asked = asked(node, findings);
        if asked.is_empty() {
            let hint = "as in { max: 3000 } or { enum: [INR] }";
            findings.error(node.place, format!("nothing constrains `{name}`"), hint);
            return;
        }
        let broken: Vec<Node> =
            readings.iter().flat_map(|reading| reading.broken(&asked, node.place)).collect();
        let then = if flag(node, "unless_approved", findings) == Some(true) {
            let gate = subject.gate.and_then(Node::text).unwrap_or(OWNER);
            self.ask(gate, node.place);
            approve(gate, node.place)
        } else {
            word("deny", node.place)
        };
        let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' };
        let suffix: String = name.chars().map(plain).collect();
        self.add(subject, &suffix, &[disjunction(broken, node.place)], then);
    }

    fn ask(&mut self, gate: &str, place: Place) {
        if !self.asked.iter().any(|(known, _)| known == gate) {
            self.asked.push((gate.to_owned(), place));
        }
    }

    fn add(&mut self, subject: &Subject<'_>, suffix: &str, more: &[Node], then: Node) {
        let Subject { id, place, conditions, mode, binding, .. } = subject;
        let id = if suffix.is_empty() { (*id).to_owned() } else { format!("{id}-{suffix}") };
        let mut entries = vec![entry("id", word(&id, *place))];
        let when = conjunction([conditions.as_slice(), more].concat(), *place);
        if when.map() != Some(&[]) {
            entries.push(entry("when", when));
        }
        entries.push(entry("then", then));
        entries.extend(mode.clone().map(|mode| entry("mode", mode)));
        entries.extend(binding.clone().map(|binding| entry("binding", binding)));
        self.rules.push(map(entries, *place));
    }
}

fn flag(node: &Node, key: &str, findings: &mut Findings) -> Option<bool> {
    let value = node.get(key).filter(|node| !node.is_null())?;
    match value.plain() {
        Some("true") => Some(true),
        Some("false") => Some(false),
        Some(_) | None => {
            findings.error(value.place, format!("`{key}` must be true or false"), "");
            None
        }
    }
}

/// An agent can say what it likes.
fn warn_of_words(id: &str, conditions: &[Node], then: &Node, findings: &mut Findings) {
    let place = then.place;
    let says = |key: &str| key.starts_with("context.");
    if then.get("allow").and_then(Node::plain) == Some("true") && any_field(conditions, &says) {
        findings.warning(
            place,
            format!("the rule `{id}` allows by what the agent says of itself"),
            "an agent can say what it likes: bound the action itself too, or ask people",
        );
    } else if any_field(conditions, &says)
        && !any_field(conditions, &|key| key != "action" && !says(key))
    {
        findings.warning(
            place,
            format!("the rule `{id}` stops by nothing but what the agent says of itself"),
            "an agent that says something else is not stopped: ask for a fact (usd, to ..) too",
        );
    }
}

/// Whether a condition names such a field.
fn any_field(conditions: &[Node], is: &impl Fn(&str) -> bool) -> bool {
    let named = |entry: &Entry| match entry.key.as_str() {
        "all" | "any" => any_field(entry.node.list().unwrap_or_default(), is),
        "not" => any_field(std::slice::from_ref(&entry.node), is),
        field => is(field),
    };
    conditions.iter().any(|node| node.map().unwrap_or_default().iter().any(named))
}
