//! `when`: the tree of conditions and the matchers in it.

use countersign_core::abi::AbiFunction;
use regex::{Regex, RegexBuilder};

use super::{Reader, each};
use crate::{
    condition::Condition,
    diagnostic::Place,
    field::{Field, Kinds, Shape},
    matcher::{Matcher, Member, Operand, Test},
    source::{Entry, Node},
};

const PATTERN_BYTES_MAX: usize = 512;
const PATTERN_PROGRAM_MAX: usize = 256 * 1024;

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
                if let Field::Absent(name) = &field {
                    self.findings.warning(
                        entry.place,
                        format!("nothing gives `{name}` yet, so that it is always unknown"),
                        "an allow with it never matches, a deny always",
                    );
                }
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

    /// What is asked of one value.
    pub(crate) fn matcher(&mut self, node: &Node, shape: &Shape) -> Option<Matcher> {
        if let Some(entries) = node.map() {
            if entries.is_empty() {
                self.findings.error(node.place, "nothing is asked here", "as in { lte: 100 }");
                return None;
            }
            let tests: Vec<_> = entries.iter().map(|entry| self.test(entry, shape)).collect();
            return tests.into_iter().collect::<Option<_>>().map(Matcher);
        }
        if matches!(shape, Shape::List(_) | Shape::Tuple(_)) {
            self.findings.error(node.place, format!("expected {}", shape.words()), "");
            return None;
        }
        self.members(node, shape).map(|members| Matcher(vec![Test::In(members)]))
    }

    fn test(&mut self, entry: &Entry, shape: &Shape) -> Option<Test> {
        let node = &entry.node;
        match (entry.key.as_str(), shape) {
            ("any", Shape::List(item)) => self.matcher(node, item).map(Test::Any),
            ("every", Shape::List(item)) => self.matcher(node, item).map(Test::Every),
            ("none", Shape::List(item)) => self.matcher(node, item).map(Test::None),
            ("count", Shape::List(_)) => self.matcher(node, &Shape::Number).map(Test::Count),
            (path, Shape::Tuple(_)) => match shape.at(path) {
                Some(part) => {
                    self.matcher(node, &part).map(|matcher| Test::Part(path.to_owned(), matcher))
                }
                None => self.no_operator(entry, shape),
            },
            ("eq", _) => self.operand(node, shape).map(|operand| Test::In(vec![alone(operand)])),
            ("ne", _) => self.operand(node, shape).map(|operand| Test::NotIn(vec![alone(operand)])),
            ("in", _) => self.members(node, shape).map(Test::In),
            ("not_in", _) => self.members(node, shape).map(Test::NotIn),
            ("matches", Shape::Text | Shape::Unread) => self.pattern(node).map(Test::Matches),
            (word, _) if shape.is_ordered() => self.comparison(word, entry, shape),
            _ => self.no_operator(entry, shape),
        }
    }

    fn comparison(&mut self, word: &str, entry: &Entry, shape: &Shape) -> Option<Test> {
        let node = &entry.node;
        match word {
            "lt" => self.operand(node, shape).map(Test::Below),
            "lte" => self.operand(node, shape).map(Test::AtMost),
            "gt" => self.operand(node, shape).map(Test::Above),
            "gte" => self.operand(node, shape).map(Test::AtLeast),
            "between" => self.between(node, shape),
            _ => self.no_operator(entry, shape),
        }
    }

    fn between(&mut self, node: &Node, shape: &Shape) -> Option<Test> {
        let Some([low, high]) = node.list() else {
            self.findings.error(node.place, "`between` takes two bounds", "as in between: [1, 10]");
            return None;
        };
        let (low, high) = (self.operand(low, shape)?, self.operand(high, shape)?);
        if is_above(&low, &high) {
            self.findings.error(
                node.place,
                "the first bound lies above the second",
                "nothing is between them",
            );
        }
        Some(Test::Between(low, high))
    }

    fn no_operator(&mut self, entry: &Entry, shape: &Shape) -> Option<Test> {
        let known = match shape {
            Shape::List(_) => "any, every, none, count".to_owned(),
            Shape::Tuple(members) => {
                members.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ")
            }
            Shape::Text => "eq, ne, in, not_in, matches".to_owned(),
            Shape::Number | Shape::Int | Shape::Usd | Shape::Percent | Shape::Instant => {
                "eq, ne, in, not_in, lt, lte, gt, gte, between".to_owned()
            }
            Shape::Address
            | Shape::Token
            | Shape::Kind
            | Shape::Selector
            | Shape::Function
            | Shape::Bool
            | Shape::Bytes
            | Shape::Unread => "eq, ne, in, not_in".to_owned(),
        };
        self.findings.error(
            entry.place,
            format!("`{}` cannot be asked of {}", entry.key, shape.words()),
            format!("here one may ask {known}"),
        );
        None
    }

    /// A scalar, a list, a set, or a list with sets in it.
    fn members(&mut self, node: &Node, shape: &Shape) -> Option<Vec<Member>> {
        let mut members = Vec::new();
        let mut complete = true;
        for item in each(Some(node)) {
            let set = item.text().and_then(|text| text.strip_prefix('@')).map(str::to_owned);
            let entries = match set {
                Some(name) => self.set_named(&name, item.place),
                None => Some(vec![item]),
            };
            complete &= entries.is_some();
            for entry in entries.unwrap_or_default() {
                let member = self.member(&entry, shape);
                complete &= member.is_some();
                members.extend(member);
            }
        }
        complete.then_some(members)
    }

    fn member(&mut self, node: &Node, shape: &Shape) -> Option<Member> {
        if node.map().is_none() {
            return self.operand(node, shape).map(alone);
        }
        self.keys(node, "a member of a set", &["is", "until"])?;
        let is = self.required(node, "is")?;
        let operand = self.operand(&is, shape)?;
        let until = self.required(node, "until")?;
        Some(Member { operand, until: Some(self.instant(&until)?) })
    }

    fn pattern(&mut self, node: &Node) -> Option<Regex> {
        let text = self.word(node)?;
        let built = RegexBuilder::new(&text).size_limit(PATTERN_PROGRAM_MAX).build();
        match built {
            Ok(pattern) if text.len() <= PATTERN_BYTES_MAX => {
                if !(text.starts_with('^') && text.ends_with('$')) {
                    self.findings.warning(
                        node.place,
                        format!("the pattern `{text}` matches anywhere in the text"),
                        "begin with ^ and end with $ to match the whole text",
                    );
                }
                Some(pattern)
            }
            Ok(_) | Err(_) => {
                self.findings.error(
                    node.place,
                    format!("`{text}` is not a pattern that can be used"),
                    "a regular expression of at most 512 bytes, without look-around and back-references",
                );
                None
            }
        }
    }

    /// Refuses a field that the named kinds lack, and finds the kinds that have all fields where none is
    /// named.
    fn fields_fit(
        &mut self,
        condition: &Condition,
        context: Kinds,
        inferred: &mut Kinds,
        at: Place,
    ) {
        match condition {
            Condition::All(inner) => {
                let context = context.and(possible(condition));
                for branch in inner {
                    self.fields_fit(branch, context, inferred, at);
                }
            }
            Condition::Any(inner) => {
                for branch in inner {
                    self.fields_fit(branch, context.and(possible(branch)), inferred, at);
                }
            }
            Condition::Not(inner) => self.fields_fit(inner, context, inferred, at),
            Condition::Hours(_) => {}
            Condition::Field(field, _) => {
                let lacking = context.without(field.kinds());
                if context == Kinds::ALL {
                    *inferred = inferred.and(field.kinds());
                } else if !lacking.is_empty() {
                    self.findings.error(
                        at,
                        format!("{} has no field {}", lacking.words(), field.word()),
                        format!("it is a field of {}; split the rule", field.kinds().words()),
                    );
                }
            }
        }
    }
}

/// The kinds for which a condition can hold.
pub(crate) fn possible(condition: &Condition) -> Kinds {
    match condition {
        Condition::All(inner) => inner.iter().fold(Kinds::ALL, |kinds, c| kinds.and(possible(c))),
        Condition::Any(inner) => inner.iter().fold(Kinds::NONE, |kinds, c| kinds.or(possible(c))),
        Condition::Not(inner) => match inner.as_ref() {
            Condition::Field(Field::Kind, _) => Kinds::ALL.without(possible(inner)),
            Condition::All(_)
            | Condition::Any(_)
            | Condition::Not(_)
            | Condition::Field(..)
            | Condition::Hours(_) => Kinds::ALL,
        },
        Condition::Field(Field::Kind, matcher) => {
            matcher.0.iter().fold(Kinds::ALL, |kinds, test| kinds.and(named(test)))
        }
        Condition::Field(..) | Condition::Hours(_) => Kinds::ALL,
    }
}

fn named(test: &Test) -> Kinds {
    let union = |members: &[Member]| {
        let kinds = members.iter().filter_map(|member| match &member.operand {
            Operand::Text(word) => Kinds::of(word),
            Operand::Number(_)
            | Operand::Int(_)
            | Operand::Address(_)
            | Operand::Wallet
            | Operand::Token(_)
            | Operand::Bool(_)
            | Operand::Bytes(_)
            | Operand::Function { .. } => None,
        });
        kinds.fold(Kinds::NONE, Kinds::or)
    };
    match test {
        Test::In(members) => union(members),
        Test::NotIn(members) => Kinds::ALL.without(union(members)),
        Test::Below(_)
        | Test::AtMost(_)
        | Test::Above(_)
        | Test::AtLeast(_)
        | Test::Between(..)
        | Test::Matches(_)
        | Test::Any(_)
        | Test::Every(_)
        | Test::None(_)
        | Test::Count(_)
        | Test::Part(..) => Kinds::ALL,
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

const fn alone(operand: Operand) -> Member {
    Member { operand, until: None }
}

fn is_above(low: &Operand, high: &Operand) -> bool {
    match (low, high) {
        (Operand::Number(a), Operand::Number(b)) => a > b,
        (Operand::Int(a), Operand::Int(b)) => a > b,
        _ => false,
    }
}

impl Shape {
    /// Whether its values can be compared.
    pub(crate) const fn is_ordered(&self) -> bool {
        matches!(self, Self::Number | Self::Int | Self::Usd | Self::Percent | Self::Instant)
    }
}

/// The largest value of a count, for operands that must be counts.
pub(crate) fn count(operand: &Operand) -> Option<u64> {
    let number = operand.number().and_then(|number| u64::try_from(number).ok());
    number.filter(|number| *number <= countersign_core::amount::AMOUNT_MAX)
}
