//! JsonLogic expressions to conditions, over a typed whitelist of operators.
//!
//! An expression compares a value with literals of its type, exactly. Two literals are compared here and now.

use std::cmp::Ordering;

use countersign_core::{abi::AbiFunction, decimal::Decimal};

use super::{
    super::written::{alone, conjunction, disjunction, list, truth, word},
    variable,
};
use crate::{
    diagnostic::{Findings, Place},
    field::{Path, Shape},
    read::{in_digits, is_float},
    source::{Entry, Node},
};

/// What an expression comes to.
#[derive(Debug, Clone)]
pub(super) enum Outcome {
    /// The same for every request.
    Always(bool),
    /// A condition of the core language.
    When(Node),
}

const OPERATORS: &str = "var, ==, ===, !=, !==, <, <=, >, >=, and, or, !, !!, if, in";
const DEPTH_MAX: u8 = 16;

/// Reads an expression as a condition; `None` if it has errors.
pub(super) fn condition(
    node: &Node,
    function: Option<&AbiFunction>,
    findings: &mut Findings,
) -> Option<Outcome> {
    Reader { function, findings }.condition(node, DEPTH_MAX)
}

struct Reader<'a, 'f> {
    function: Option<&'a AbiFunction>,
    findings: &'f mut Findings,
}

/// One side of a comparison.
#[derive(Debug, Clone)]
enum Operand {
    Variable { field: String, shape: Shape },
    Literal(Literal, Node),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Literal {
    Number(Decimal),
    Text(String),
    Truth(bool),
}

impl Literal {
    fn of(node: &Node) -> Option<Self> {
        match (node.plain(), node.text()) {
            (Some("true"), _) => Some(Self::Truth(true)),
            (Some("false"), _) => Some(Self::Truth(false)),
            (Some(text), _)
                if text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c)) =>
            {
                text.parse().ok().map(Self::Number)
            }
            // YAML needs no quotes around a word
            (_, Some(text)) if !node.is_null() => Some(Self::Text(text.to_owned())),
            _ => None,
        }
    }
}

impl Reader<'_, '_> {
    fn wrong<T>(
        &mut self,
        at: Place,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Option<T> {
        self.findings.error(at, message, hint);
        None
    }

    fn condition(&mut self, node: &Node, depth: u8) -> Option<Outcome> {
        if let Some(truth @ ("true" | "false")) = node.plain() {
            return Some(Outcome::Always(truth == "true"));
        }
        let Some([Entry { key, place, node: inner }]) = node.map() else {
            let hint = format!(
                "as in {{ \"==\": [{{ \"var\": \"user.role\" }}, \"trader\"] }}; operators are {OPERATORS}"
            );
            return self.wrong(node.place, "a condition with one operator is expected here", hint);
        };
        let Some(depth) = depth.checked_sub(1) else {
            return self.wrong(*place, "the expression is too deep", "split the rule");
        };
        match key.as_str() {
            "and" => self.each(inner, depth).map(|parts| all(parts, *place)),
            "or" => self.each(inner, depth).map(|parts| any(parts, *place)),
            "!" => self.one(inner, depth).map(|part| not(part, *place)),
            "!!" => self.one(inner, depth),
            "if" | "?:" => self.choice(inner, depth),
            "==" | "===" | "!=" | "!==" => self.equality(key, inner),
            "<" | "<=" | ">" | ">=" => self.order(key, inner),
            "in" => self.membership(inner),
            "var" => self.flag(node),
            "missing" | "missing_some" => self.wrong(
                *place,
                format!("`{key}` cannot be asked: what is missing is unknown, and unknown goes against the agent"),
                "leave it out: an allow that needs a missing value does not match, a denial does",
            ),
            "+" | "-" | "*" | "/" | "%" | "min" | "max" => self.wrong(
                *place,
                format!("`{key}` calculates, and amounts are only compared"),
                "write the result into the rule, or a limit in the core language",
            ),
            _ => self.wrong(
                *place,
                format!("the operator `{key}` is not known"),
                format!("operators are {OPERATORS}"),
            ),
        }
    }

    fn each(&mut self, node: &Node, depth: u8) -> Option<Vec<Outcome>> {
        let items = node.list().filter(|items| !items.is_empty());
        let Some(items) = items else {
            return self.wrong(node.place, "a list of conditions is expected here", "");
        };
        let read: Vec<_> = items.iter().map(|item| self.condition(item, depth)).collect();
        read.into_iter().collect()
    }

    fn one(&mut self, node: &Node, depth: u8) -> Option<Outcome> {
        match node.list() {
            Some([item]) => self.condition(item, depth),
            Some(_) => self.wrong(node.place, "one condition is expected here", ""),
            None => self.condition(node, depth),
        }
    }

    /// `if`: [condition, then, condition, then, .., else]; without an else it is false.
    fn choice(&mut self, node: &Node, depth: u8) -> Option<Outcome> {
        let parts = self.each(node, depth)?;
        let mut result = Outcome::Always(false);
        let mut rest = parts.as_slice();
        if rest.len() % 2 == 1
            && let Some((last, before)) = rest.split_last()
        {
            (result, rest) = (last.clone(), before);
        }
        for pair in rest.chunks(2).rev() {
            let [asked, then] = pair else { continue };
            let met = all(vec![asked.clone(), then.clone()], node.place);
            let unmet = all(vec![not(asked.clone(), node.place), result], node.place);
            result = any(vec![met, unmet], node.place);
        }
        Some(result)
    }

    /// A value that is true or false by itself.
    fn flag(&mut self, node: &Node) -> Option<Outcome> {
        let Operand::Variable { field, shape } = self.operand(node)? else { return None };
        if !matches!(shape, Shape::Bool | Shape::Declared) {
            let message = format!("`{field}` is {}, and neither true nor false", shape.words());
            return self.wrong(node.place, message, "compare it with something");
        }
        Some(Outcome::When(alone(&field, truth(true, node.place))))
    }

    fn operand(&mut self, node: &Node) -> Option<Operand> {
        if let Some([Entry { key, node: name, .. }]) = node.map()
            && key == "var"
        {
            return self.variable(name);
        }
        if node.map().is_some() || node.list().is_some() {
            let hint =
                "a value is { \"var\": NAME } or a literal; results of operators are not compared";
            return self.wrong(node.place, "a value is expected here", hint);
        }
        match Literal::of(node) {
            Some(literal) => Some(Operand::Literal(literal, node.clone())),
            None if node.is_null() => self.wrong(
                node.place,
                "`null` is no value to compare with: what is missing is unknown",
                "remove the comparison",
            ),
            None => {
                let text = node.text().unwrap_or_default();
                let hint =
                    if is_float(text) { in_digits(text) } else { "write it in digits".into() };
                let hint = format!("{hint}; a text stands in quotes");
                self.wrong(node.place, format!("`{text}` is not a plain decimal number"), hint)
            }
        }
    }

    fn variable(&mut self, name: &Node) -> Option<Operand> {
        let single = match name.list() {
            Some([one]) => one,
            Some([_, default, ..]) => {
                let hint = "what is missing is unknown; remove the default";
                return self.wrong(
                    default.place,
                    "a default would make a missing value known",
                    hint,
                );
            }
            Some([]) => return self.wrong(name.place, "`var` needs a name", ""),
            None => name,
        };
        let text = single.text().unwrap_or_default();
        let Some(field) = variable::field(text) else {
            let hint = variable::suggestion(text);
            return self.wrong(single.place, format!("there is no value `{text}`"), hint);
        };
        let shape = match field.strip_prefix("args.") {
            Some(path) => self.function.and_then(|f| Shape::of_argument(f, &Path(path.to_owned()))),
            None => variable::shape(&field),
        };
        match shape {
            Some(Shape::List(_) | Shape::Tuple(_)) | None => self.wrong(
                single.place,
                format!("`{text}` is no value that can be compared"),
                "arguments need `fn` in applies_to, with the names of its parameters",
            ),
            Some(shape) => Some(Operand::Variable { field, shape }),
        }
    }

    fn operands(&mut self, node: &Node, most: usize) -> Option<Vec<Operand>> {
        let items = node.list().filter(|items| (2..=most).contains(&items.len()));
        let Some(items) = items else {
            let count = if most == 2 { "two values are" } else { "two or three values are" };
            return self.wrong(node.place, format!("{count} expected here"), "");
        };
        let read: Vec<_> = items.iter().map(|item| self.operand(item)).collect();
        read.into_iter().collect()
    }

    fn equality(&mut self, operator: &str, node: &Node) -> Option<Outcome> {
        let operands = self.operands(node, 2)?;
        let equal = match operands.as_slice() {
            [Operand::Literal(a, _), Operand::Literal(b, at)] => {
                self.same_type(a, b, at.place)?;
                Outcome::Always(a == b)
            }
            [Operand::Variable { field, shape }, Operand::Literal(literal, at)]
            | [Operand::Literal(literal, at), Operand::Variable { field, shape }] => {
                let strict = operator.len() == 3;
                let value = self.typed(shape, literal, at, strict)?;
                Outcome::When(alone(field, value))
            }
            _ => return self.two_variables(node),
        };
        Some(if operator.starts_with('!') { not(equal, node.place) } else { equal })
    }

    fn two_variables<T>(&mut self, node: &Node) -> Option<T> {
        let hint = "a rule compares a value with a literal";
        self.wrong(node.place, "two values that are not known beforehand cannot be compared", hint)
    }

    fn same_type(&mut self, a: &Literal, b: &Literal, at: Place) -> Option<()> {
        if std::mem::discriminant(a) == std::mem::discriminant(b) {
            return Some(());
        }
        self.wrong(
            at,
            "values of different types are compared",
            "write both as numbers, or both as texts",
        )
    }

    /// The literal as the core language writes a value of this type.
    fn typed(&mut self, shape: &Shape, literal: &Literal, at: &Node, strict: bool) -> Option<Node> {
        let fits = match (shape, literal) {
            (Shape::Declared, _)
            | (Shape::Bool, Literal::Truth(_))
            | (Shape::Number | Shape::Int | Shape::Usd, Literal::Number(_)) => true,
            (Shape::Number | Shape::Int | Shape::Usd, Literal::Text(text)) => {
                !strict && text.parse::<Decimal>().is_ok()
            }
            (Shape::Bool, _) | (_, Literal::Number(_) | Literal::Truth(_)) => false,
            (_, Literal::Text(text)) => !text.starts_with('@'),
        };
        if !fits {
            let message = "values of different types are compared".to_owned();
            return self.wrong(at.place, message, format!("here belongs {}", shape.words()));
        }
        Some(match literal {
            Literal::Number(number) => word(&number.to_string(), at.place),
            Literal::Text(text) => word(text, at.place),
            Literal::Truth(value) => truth(*value, at.place),
        })
    }

    fn order(&mut self, operator: &str, node: &Node) -> Option<Outcome> {
        // as published: only < and <= take three
        let most = if operator.starts_with('<') { 3 } else { 2 };
        let operands = self.operands(node, most)?;
        let pairs: Vec<Option<Outcome>> = operands
            .windows(2)
            .map(|pair| match pair {
                [left, right] => self.compared(operator, (left, right), node),
                _ => None,
            })
            .collect();
        Some(all(pairs.into_iter().collect::<Option<_>>()?, node.place))
    }

    fn compared(
        &mut self,
        operator: &str,
        (left, right): (&Operand, &Operand),
        node: &Node,
    ) -> Option<Outcome> {
        match (left, right) {
            (Operand::Literal(a, _), Operand::Literal(b, at)) => match (a, b) {
                (Literal::Number(a), Literal::Number(b)) => {
                    Some(Outcome::Always(is(operator, a.cmp(b))))
                }
                _ => self.wrong(at.place, "only numbers are ordered", ""),
            },
            (Operand::Variable { field, shape }, Operand::Literal(literal, at)) => {
                self.bound(operator, field, shape, (literal, at))
            }
            (Operand::Literal(literal, at), Operand::Variable { field, shape }) => {
                self.bound(turned(operator), field, shape, (literal, at))
            }
            (Operand::Variable { .. }, Operand::Variable { .. }) => self.two_variables(node),
        }
    }

    fn bound(
        &mut self,
        operator: &str,
        field: &str,
        shape: &Shape,
        (literal, at): (&Literal, &Node),
    ) -> Option<Outcome> {
        if !shape.is_ordered() {
            let message = format!("`{field}` is {}, which has no order", shape.words());
            return self.wrong(at.place, message, "compare it with == or in");
        }
        let value = self.typed(shape, literal, at, false)?;
        let word = match operator {
            "<" => "lt",
            "<=" => "lte",
            ">" => "gt",
            _ => "gte",
        };
        Some(Outcome::When(alone(field, alone(word, value))))
    }

    /// `in`: a value in a list of literals, or a literal text within a text.
    fn membership(&mut self, node: &Node) -> Option<Outcome> {
        let Some([needle, hay]) = node.list() else {
            return self.wrong(
                node.place,
                "two values are expected here",
                "as in [value, [one, two]]",
            );
        };
        let wanted = self.operand(needle)?;
        if let Some(items) = hay.list() {
            return self.listed(&wanted, items, hay.place);
        }
        match (wanted, self.operand(hay)?) {
            (
                Operand::Literal(Literal::Text(part), _),
                Operand::Literal(Literal::Text(whole), _),
            ) => Some(Outcome::Always(whole.contains(&part))),
            (
                Operand::Literal(Literal::Text(part), _),
                Operand::Variable { field, shape: Shape::Text | Shape::Declared | Shape::Unread },
            ) => {
                let pattern = format!("^[\\s\\S]*{}[\\s\\S]*$", regex::escape(&part));
                Some(Outcome::When(alone(&field, alone("matches", word(&pattern, node.place)))))
            }
            _ => self.wrong(
                node.place,
                "`in` looks for a value in a list of literals, or for a literal text in a text",
                "as in { \"in\": [{ \"var\": \"user.role\" }, [\"trader\", \"desk\"]] }",
            ),
        }
    }

    fn listed(&mut self, wanted: &Operand, items: &[Node], place: Place) -> Option<Outcome> {
        let mut values = Vec::new();
        let mut found = false;
        for item in items {
            let Operand::Literal(literal, at) = self.operand(item)? else {
                return self.wrong(item.place, "a list of literals is expected here", "");
            };
            match wanted {
                Operand::Literal(wanted, _) => {
                    self.same_type(wanted, &literal, at.place)?;
                    found |= *wanted == literal;
                }
                Operand::Variable { shape, .. } => {
                    values.push(self.typed(shape, &literal, &at, true)?);
                }
            }
        }
        match wanted {
            Operand::Variable { field, .. } if !values.is_empty() => {
                Some(Outcome::When(alone(field, list(values, place))))
            }
            Operand::Variable { .. } => Some(Outcome::Always(false)),
            Operand::Literal(..) => Some(Outcome::Always(found)),
        }
    }
}

fn is(operator: &str, ordering: Ordering) -> bool {
    match operator {
        "<" => ordering.is_lt(),
        "<=" => ordering.is_le(),
        ">" => ordering.is_gt(),
        _ => ordering.is_ge(),
    }
}

/// The operator with its sides exchanged.
fn turned(operator: &str) -> &str {
    match operator {
        "<" => ">",
        "<=" => ">=",
        ">" => "<",
        _ => "<=",
    }
}

fn all(parts: Vec<Outcome>, place: Place) -> Outcome {
    let mut open = Vec::new();
    for part in parts {
        match part {
            Outcome::Always(false) => return Outcome::Always(false),
            Outcome::Always(true) => {}
            Outcome::When(node) => open.push(node),
        }
    }
    if open.is_empty() { Outcome::Always(true) } else { Outcome::When(conjunction(open, place)) }
}

fn any(parts: Vec<Outcome>, place: Place) -> Outcome {
    let mut open = Vec::new();
    for part in parts {
        match part {
            Outcome::Always(true) => return Outcome::Always(true),
            Outcome::Always(false) => {}
            Outcome::When(node) => open.push(node),
        }
    }
    if open.is_empty() { Outcome::Always(false) } else { Outcome::When(disjunction(open, place)) }
}

fn not(part: Outcome, place: Place) -> Outcome {
    match part {
        Outcome::Always(value) => Outcome::Always(!value),
        Outcome::When(node) => {
            // what is negated twice is itself
            match node.get("not").filter(|_| node.map().is_some_and(|entries| entries.len() == 1)) {
                Some(inner) => Outcome::When(inner.clone()),
                None => Outcome::When(alone("not", Node { place, ..node })),
            }
        }
    }
}
