//! What is asked of one value: scalars, lists, sets and operators, each fitting the value's type.

use regex::{Regex, RegexBuilder};

use super::{Reader, each, whole};
use crate::{
    field::Shape,
    matcher::{Matcher, Member, Operand, Test},
    source::{Entry, Node},
};

const PATTERN_BYTES_MAX: usize = 512;
const PATTERN_PROGRAM_MAX: usize = 256 * 1024;

impl Reader<'_> {
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
            ("any", Shape::Unread) => self.matcher(node, shape).map(Test::Any),
            ("every", Shape::Unread) => self.matcher(node, shape).map(Test::Every),
            ("none", Shape::Unread) => self.matcher(node, shape).map(Test::None),
            ("any", Shape::List(item)) => self.matcher(node, item).map(Test::Any),
            ("every", Shape::List(item)) => self.matcher(node, item).map(Test::Every),
            ("none", Shape::List(item)) => self.matcher(node, item).map(Test::None),
            ("count", Shape::List(_) | Shape::Unread) => {
                self.matcher(node, &Shape::Number).map(Test::Count)
            }
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
            ("matches", Shape::Text | Shape::Declared | Shape::Unread) => {
                self.pattern(node).map(Test::Matches)
            }
            (word, _) if shape.is_ordered() => self.comparison(word, entry, shape),
            _ => self.no_operator(entry, shape),
        }
    }

    fn comparison(&mut self, word: &str, entry: &Entry, shape: &Shape) -> Option<Test> {
        let node = &entry.node;
        let numbers = if word == "between" { each(Some(node)) } else { vec![node.clone()] };
        let is_number = |node: &Node| node.text().is_some_and(|text| whole(text).is_some());
        if *shape == Shape::Unread && !numbers.iter().all(is_number) {
            self.findings.error(node.place, "only whole numbers are compared", "as in gt: 100");
            return None;
        }
        match word {
            "lt" => self.bound(node, shape).map(Test::Below),
            "lte" => self.bound(node, shape).map(Test::AtMost),
            "gt" => self.bound(node, shape).map(Test::Above),
            "gte" => self.bound(node, shape).map(Test::AtLeast),
            "between" => self.between(node, shape),
            _ => self.no_operator(entry, shape),
        }
    }

    /// A value that others can be compared with: of what an agent says, only a number.
    fn bound(&mut self, node: &Node, shape: &Shape) -> Option<Operand> {
        let operand = self.operand(node, shape)?;
        if *shape == Shape::Declared && !matches!(operand, Operand::Decimal(_)) {
            self.findings.error(
                node.place,
                format!("`{}` is not a number to compare with", node.text().unwrap_or_default()),
                "expected a plain decimal number, as in 3000 or \"0.5\"",
            );
            return None;
        }
        Some(operand)
    }

    fn between(&mut self, node: &Node, shape: &Shape) -> Option<Test> {
        let Some([low, high]) = node.list() else {
            self.findings.error(node.place, "`between` takes two bounds", "as in between: [1, 10]");
            return None;
        };
        let (low, high) = (self.bound(low, shape)?, self.bound(high, shape)?);
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
            Shape::Declared => "eq, ne, in, not_in, lt, lte, gt, gte, between, matches".to_owned(),
            Shape::Number
            | Shape::Int
            | Shape::Decimal
            | Shape::Usd
            | Shape::Percent
            | Shape::Instant => "eq, ne, in, not_in, lt, lte, gt, gte, between".to_owned(),
            Shape::Address
            | Shape::Token
            | Shape::Kind
            | Shape::Selector
            | Shape::Function
            | Shape::Bool
            | Shape::Bytes => "eq, ne, in, not_in".to_owned(),
            Shape::Unread => {
                "eq, ne, in, not_in, matches, lt, lte, gt, gte, between, any, every, none, count"
                    .to_owned()
            }
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
}

const fn alone(operand: Operand) -> Member {
    Member { operand, until: None }
}

fn is_above(low: &Operand, high: &Operand) -> bool {
    match (low, high) {
        (Operand::Number(a), Operand::Number(b)) => a > b,
        (Operand::Int(a), Operand::Int(b)) => a > b,
        (Operand::Decimal(a), Operand::Decimal(b)) => a > b,
        _ => false,
    }
}

impl Shape {
    /// Whether its values can be compared.
    pub(crate) const fn is_ordered(&self) -> bool {
        matches!(
            self,
            Self::Number
                | Self::Int
                | Self::Decimal
                | Self::Usd
                | Self::Percent
                | Self::Instant
                | Self::Declared
                | Self::Unread
        )
    }
}

/// The largest value of a count, for operands that must be counts.
pub(crate) fn count(operand: &Operand) -> Option<u64> {
    let number = operand.number().and_then(|number| u64::try_from(number).ok());
    number.filter(|number| *number <= countersign_core::amount::AMOUNT_MAX)
}
