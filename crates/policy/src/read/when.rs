//! `when`: the tree of conditions and the matchers in it.

use countersign_core::abi::AbiFunction;

use super::{Reader, kinds::possible};
use crate::{
    condition::Condition,
    diagnostic::Place,
    field::{Field, Kinds, Shape},
    source::{Entry, Node},
};

/// A condition with the kinds that it speaks of.
pub(crate) struct When {
    pub(crate) condition: Condition,
    pub(crate) kinds: Kinds,
    /// Kinds of transactions that it leaves out although it does not name kinds.
    pub(crate) silent: Kinds,
    pub(crate) functions: Vec<AbiFunction>,
}

impl Reader<'_> {
    /// The condition of a rule or limit; none means always.
    pub(crate) fn when(&mut self, node: Option<&Node>) -> Option<When> {
        let always = || When {
            condition: Condition::ALWAYS,
            kinds: Kinds::ALL,
            silent: Kinds::NONE,
            functions: Vec::new(),
        };
        let Some(node) = node.filter(|node| !node.is_null()) else { return Some(always()) };
        let mut functions = Vec::new();
        collect_functions(node, &mut functions);
        let condition = self.condition(node, &functions)?;
        let possible = possible(&condition);
        let mut inferred = possible;
        self.fields_fit(&condition, possible, &mut inferred, node.place);
        if inferred.is_empty() && !self.findings.has_errors() {
            self.findings.error(
                node.place,
                "no kind has all of these fields, so that this can never match",
                "split it, or name a `kind` in each branch",
            );
        }
        Some(When { condition, kinds: inferred, silent: possible.without(inferred), functions })
    }

    fn condition(&mut self, node: &Node, functions: &[AbiFunction]) -> Option<Condition> {
        let Some(entries) = node.map() else {
            self.findings.error(
                node.place,
                "a condition must be a mapping",
                "as in { kind: transfer }",
            );
            return None;
        };
        let read = |entry: &Entry| self.clause(entry, functions);
        let clauses: Vec<Option<Condition>> = entries.iter().map(read).collect();
        let mut clauses: Vec<Condition> = clauses.into_iter().collect::<Option<_>>()?;
        if clauses.len() == 1 { clauses.pop() } else { Some(Condition::All(clauses)) }
    }

    fn clause(&mut self, entry: &Entry, functions: &[AbiFunction]) -> Option<Condition> {
        let node = &entry.node;
        match entry.key.as_str() {
            "all" => self.branches(node, functions).map(Condition::All),
            "any" => self.branches(node, functions).map(Condition::Any),
            "not" => self.condition(node, functions).map(|inner| Condition::Not(Box::new(inner))),
            "hours" => self.hours(node).map(Condition::Hours),
            word => {
                let Some(field) = Field::parse(word, functions) else {
                    let hint = Field::suggestion(word);
                    self.findings.error(entry.place, format!("there is no field `{word}`"), hint);
                    return None;
                };
                let shape = self.shape(&field, functions, entry.place)?;
                self.matcher(node, &shape).map(|matcher| Condition::Field(field, matcher))
            }
        }
    }

    fn branches(&mut self, node: &Node, functions: &[AbiFunction]) -> Option<Vec<Condition>> {
        let items = node.list().filter(|items| !items.is_empty());
        let Some(items) = items else {
            self.findings.error(node.place, "a list of conditions is expected here", "");
            return None;
        };
        let read: Vec<_> = items.iter().map(|item| self.condition(item, functions)).collect();
        read.into_iter().collect()
    }

    fn shape(&mut self, field: &Field, functions: &[AbiFunction], at: Place) -> Option<Shape> {
        let Field::Argument { path, .. } = field else { return field.shape() };
        let Some(first) = functions.first() else {
            self.findings.error(
                at,
                format!("`args.{}` needs `fn`, which says what the arguments are", path.0),
                "as in fn: \"transfer(address to,uint256 amount)\"",
            );
            return None;
        };
        let shape = Shape::of_argument(first, path);
        if functions.iter().any(|f| Shape::of_argument(f, path) != shape) {
            self.findings.error(
                at,
                format!("the functions of this rule do not agree about `args.{}`", path.0),
                "split the rule",
            );
            return None;
        }
        if shape.is_none() {
            self.findings.error(
                at,
                format!("`{}` has no argument `{}`", first.signature(), path.0),
                "arguments are called by the names in `fn`, or by their index",
            );
        }
        shape
    }
}

/// Every function that a condition names; unreadable ones are told where they are read.
fn collect_functions(node: &Node, found: &mut Vec<AbiFunction>) {
    for entry in node.map().unwrap_or_default() {
        if entry.key == "fn" {
            texts(&entry.node, &mut |text| found.extend(AbiFunction::parse(text)));
        } else if matches!(entry.key.as_str(), "all" | "any") {
            entry.node.list().unwrap_or_default().iter().for_each(|n| collect_functions(n, found));
        } else if entry.key == "not" {
            collect_functions(&entry.node, found);
        }
    }
}

fn texts(node: &Node, each: &mut impl FnMut(&str)) {
    node.text().into_iter().for_each(&mut *each);
    node.list().unwrap_or_default().iter().for_each(|item| texts(item, each));
    node.map().unwrap_or_default().iter().for_each(|entry| texts(&entry.node, each));
}
