//! Rules: `{ id, when, then, code, spend }`.

use std::collections::BTreeSet;

use alloy_primitives::Address;
use countersign_core::abi::AbiFunction;

use super::{Reader, each, when::When};
use crate::{
    condition::Condition,
    field::{Field, Kinds, Path, Shape},
    matcher::Test,
    model::{Move, MoveToken, Part, Rule, Spend, Then},
    source::Node,
};

pub(crate) const KEYS: [&str; 7] = ["id", "when", "then", "code", "mode", "binding", "spend"];

impl Reader<'_> {
    pub(crate) fn rule(&mut self, node: &Node) -> Option<Rule> {
        self.keys(node, "a rule", &KEYS)?;
        let id = self.required(node, "id").and_then(|id| self.id(&id));
        let when = self.when(node.get("when"));
        let then_node = self.required(node, "then");
        let then = then_node.as_ref().and_then(|then| self.then(then));
        let code = node.get("code").and_then(|code| self.code(code));
        let mode = node.get("mode").and_then(|mode| self.parsed_with(mode, str::parse));
        let binding = node.get("binding").and_then(|binding| self.word(binding));
        let (id, when, then) = (id?, when?, then?);
        if let Some(code) = node.get("code").filter(|_| then == Then::Allow) {
            self.findings.error(code.place, "an allow has no code", "remove it");
        }
        self.warn_if_silent(&id, &when, &then, node);
        let spend = self.spend(node.get("spend"), &when, &then);
        let code = code.unwrap_or_else(|| default_code(&then).to_owned());
        let target = target(&when.condition);
        let functions = when.functions.into_iter().map(|function| (target, function)).collect();
        let (kinds, when) = (when.kinds, when.condition);
        let clauses = clauses(node.get("when"));
        let mode = mode.unwrap_or_default();
        let place = node.place;
        Some(Rule { id, place, kinds, when, clauses, then, code, mode, binding, spend, functions })
    }

    fn then(&mut self, node: &Node) -> Option<Then> {
        match node.text() {
            Some("allow") => return Some(Then::Allow),
            Some("deny") => return Some(Then::Deny),
            Some(_) | None => {}
        }
        let Some(gate) = node.get("approve") else {
            let message = "`then` must be allow, deny or { approve: GATE }";
            self.findings.error(node.place, message, "");
            return None;
        };
        self.keys(node, "`then`", &["approve"])?;
        self.gate_named(gate).map(Then::Approve)
    }

    /// A rule that stops things and does not name kinds may stop less than its author thinks.
    fn warn_if_silent(&mut self, id: &str, when: &When, then: &Then, node: &Node) {
        let silent = when.silent.and(Kinds::TRANSACTIONS);
        if *then == Then::Allow || silent.is_empty() {
            return;
        }
        self.findings.warning(
            node.place,
            format!("rule `{id}` says nothing about {}", silent.words()),
            format!("its fields are those of {}; name them with `kind`", when.kinds.words()),
        );
    }

    fn spend(&mut self, node: Option<&Node>, when: &When, then: &Then) -> Spend {
        let Some(node) = node else { return Spend::Unsaid };
        if *then != Then::Allow {
            self.findings.error(node.place, "only an allow says what a call spends", "");
        }
        match node.text() {
            Some("none") => self.spend_for(node, when, &MOVING, Spend::Nothing),
            Some("on_use") => self.spend_for(node, when, &["approve"], Spend::OnUse),
            Some(_) => {
                self.findings.error(
                    node.place,
                    "`spend` must be none, on_use or { token, amount }",
                    "as in { token: args.p.tokenIn, amount: args.p.amountIn }",
                );
                Spend::Unsaid
            }
            None => {
                let items = each(Some(node));
                let moves = items.iter().filter_map(|item| self.movement(item, when)).collect();
                self.spend_for(node, when, &MOVING, Spend::Moves(moves))
            }
        }
    }

    fn spend_for(&mut self, node: &Node, when: &When, kinds: &[&str], spend: Spend) -> Spend {
        let of = |kind: &&str| Kinds::of(kind).unwrap_or(Kinds::NONE);
        let fits = kinds.iter().map(of).fold(Kinds::NONE, Kinds::or);
        if !when.kinds.without(fits).is_empty() {
            let kinds = kinds.join("` or `");
            self.findings.error(
                node.place,
                format!("this `spend` is for rules about `{kinds}` only"),
                "say so with kind",
            );
        }
        spend
    }

    fn movement(&mut self, node: &Node, when: &When) -> Option<Move> {
        self.keys(node, "`spend`", &["token", "amount"])?;
        let (token, amount) = (self.required(node, "token")?, self.required(node, "amount")?);
        let is_part = |text: &str| text.starts_with("args.") || text.starts_with("message.");
        let token = if token.text().is_some_and(is_part) {
            MoveToken::Part(self.part(&token, when, &Shape::Address)?)
        } else {
            MoveToken::Named(self.operand(&token, &Shape::Token)?)
        };
        Some(Move { token, amount: self.part(&amount, when, &Shape::Number)? })
    }

    /// A part of what is signed: an argument of the call, or a field of the typed data.
    fn part(&mut self, node: &Node, when: &When, shape: &Shape) -> Option<Part> {
        match node.text().and_then(|text| text.strip_prefix("message.")) {
            Some(path) if when.functions.is_empty() => Some(Part::Message(Path(path.to_owned()))),
            Some(_) | None => self.argument(node, when, shape).map(Part::Argument),
        }
    }

    fn argument(&mut self, node: &Node, when: &When, shape: &Shape) -> Option<Path> {
        let text = self.word(node)?;
        let path = text.strip_prefix("args.").map(|path| Path(path.to_owned()));
        let typed =
            |path: &Path, f: &AbiFunction| Shape::of_argument(f, path).as_ref() == Some(shape);
        let found = path.filter(|path| {
            !when.functions.is_empty() && when.functions.iter().all(|f| typed(path, f))
        });
        if found.is_none() {
            self.findings.error(
                node.place,
                format!("`{text}` is not an argument of the rule's `fn` of this type"),
                format!("expected args.NAME, {}", shape.words()),
            );
        }
        found
    }
}

/// The kinds that may move more than they say by themselves.
const MOVING: [&str; 2] = ["call", "typed_data"];

fn clauses(when: Option<&Node>) -> BTreeSet<String> {
    let entries = when.and_then(Node::map).unwrap_or_default();
    entries.iter().map(|entry| format!("{}: {}", entry.key, entry.node.canonical())).collect()
}

const fn default_code(then: &Then) -> &'static str {
    match then {
        Then::Allow => "",
        Then::Deny => "rule_denied",
        Then::Approve(_) => "approval_required",
    }
}

/// The one contract that a condition insists on.
fn target(condition: &Condition) -> Option<Address> {
    match condition {
        Condition::All(inner) => inner.iter().find_map(target),
        Condition::Field(Field::Target, matcher) => match matcher.0.as_slice() {
            [Test::In(members)] => match members.as_slice() {
                [one] => one.operand.address(),
                _ => None,
            },
            _ => None,
        },
        Condition::Any(_) | Condition::Not(_) | Condition::Field(..) | Condition::Hours(_) => None,
    }
}
