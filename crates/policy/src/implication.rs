//! Whether one condition can be proved to hold at most where another does, from its shape alone.
//!
//! Truth is ordered: false, unknown, true. `a` implies `b` where `b` is never lower than `a`, for every request. What
//! cannot be proved is `false`, not an error.

use std::cmp::Ordering;

use crate::{
    condition::Condition,
    field::Kinds,
    matcher::{Matcher, Member, Operand, Test},
};

/// Whether `b` holds, or may hold, wherever `a` does.
pub(crate) fn implies((of_a, a): (Kinds, &Condition), (of_b, b): (Kinds, &Condition)) -> bool {
    of_a.without(of_b).is_empty() && condition(a, b)
}

fn condition(a: &Condition, b: &Condition) -> bool {
    match (a, b) {
        (_, Condition::All(parts)) => parts.iter().all(|b| condition(a, b)),
        (Condition::Any(parts), _) => parts.iter().all(|a| condition(a, b)),
        (Condition::All(parts), Condition::Any(others)) => {
            others.iter().any(|b| condition(a, b)) || parts.iter().any(|a| condition(a, b))
        }
        (_, Condition::Any(others)) => others.iter().any(|b| condition(a, b)),
        (Condition::All(parts), _) => parts.iter().any(|a| condition(a, b)),
        (Condition::Not(a), Condition::Not(b)) => condition(b, a),
        (Condition::Field(field, a), Condition::Field(other, b)) => field == other && matcher(a, b),
        (Condition::Hours(a), Condition::Hours(b)) => a == b,
        (Condition::Not(_) | Condition::Field(..) | Condition::Hours(_), _) => false,
    }
}

fn matcher(a: &Matcher, b: &Matcher) -> bool {
    b.0.iter().all(|b| a.0.iter().any(|a| test(a, b)))
}

fn test(a: &Test, b: &Test) -> bool {
    match (a, b) {
        (Test::In(a), Test::In(b)) => subset(a, b),
        (Test::NotIn(a), Test::NotIn(b)) => subset(b, a),
        (Test::Matches(a), Test::Matches(b)) => a.as_str() == b.as_str(),
        (Test::Any(a), Test::Any(b))
        | (Test::Every(a), Test::Every(b))
        | (Test::Count(a), Test::Count(b)) => matcher(a, b),
        (Test::None(a), Test::None(b)) => matcher(b, a),
        (Test::Part(path, a), Test::Part(other, b)) => path == other && matcher(a, b),
        // the same bound, also where only the request knows the type of what it bounds
        (Test::Below(a), Test::Below(b))
        | (Test::AtMost(a), Test::AtMost(b))
        | (Test::Above(a), Test::Above(b))
        | (Test::AtLeast(a), Test::AtLeast(b))
            if a == b =>
        {
            true
        }
        (Test::Between(a, b), Test::Between(low, high)) if a == low && b == high => true,
        (a, b) => match (Bounds::of(a), Bounds::of(b)) {
            (Some(a), Some(b)) => a.lie_within(&b),
            _ => false,
        },
    }
}

/// Every member of one list is in the other, for as long.
fn subset(a: &[Member], b: &[Member]) -> bool {
    let lasts = |a: &Member, b: &Member| match (a.until, b.until) {
        (_, None) => true,
        (Some(a), Some(b)) => a <= b,
        (None, Some(_)) => false,
    };
    a.iter().all(|a| b.iter().any(|b| a.operand == b.operand && lasts(a, b)))
}

/// The numbers that pass: bounds with whether they belong.
struct Bounds<'a> {
    low: Option<(&'a Operand, bool)>,
    high: Option<(&'a Operand, bool)>,
}

impl<'a> Bounds<'a> {
    fn of(test: &'a Test) -> Option<Self> {
        let (low, high) = match test {
            Test::Below(high) => (None, Some((high, false))),
            Test::AtMost(high) => (None, Some((high, true))),
            Test::Above(low) => (Some((low, false)), None),
            Test::AtLeast(low) => (Some((low, true)), None),
            Test::Between(low, high) => (Some((low, true)), Some((high, true))),
            Test::In(members) => match members.as_slice() {
                [one] => (Some((&one.operand, true)), Some((&one.operand, true))),
                _ => return None,
            },
            Test::NotIn(_)
            | Test::Matches(_)
            | Test::Any(_)
            | Test::Every(_)
            | Test::None(_)
            | Test::Count(_)
            | Test::Part(..) => return None,
        };
        Some(Self { low, high })
    }

    fn lie_within(&self, outer: &Self) -> bool {
        inside(self.low, outer.low, Ordering::Greater)
            && inside(self.high, outer.high, Ordering::Less)
    }
}

/// Whether a bound keeps to an outer one, which lies in the other direction.
fn inside(
    inner: Option<(&Operand, bool)>,
    outer: Option<(&Operand, bool)>,
    direction: Ordering,
) -> bool {
    let Some((outer, outer_belongs)) = outer else { return true };
    let Some((inner, belongs)) = inner else { return false };
    match compare(inner, outer) {
        Some(Ordering::Equal) => outer_belongs || !belongs,
        Some(found) => found == direction,
        None => false,
    }
}

fn compare(a: &Operand, b: &Operand) -> Option<Ordering> {
    match (a, b) {
        (Operand::Number(a), Operand::Number(b)) => Some(a.cmp(b)),
        (Operand::Int(a), Operand::Int(b)) => Some(a.cmp(b)),
        (Operand::Decimal(a), Operand::Decimal(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::{DiffClass, Policy, diff};

    #[test]
    fn a_bound_of_a_message_implies_itself() {
        for bound in ["lt: 50", "lte: 50", "gt: 50", "gte: 50", "between: [1, 50]"] {
            let rule = format!("when: {{ primary_type: Order, message.total: {{ {bound} }} }}");
            let source =
                format!("policy: p\nkind: grant\nrules:\n  - {{ id: r, {rule}, then: allow }}\n");
            let policy = Policy::parse_untested(&source, "p.yaml").unwrap();
            assert_eq!(diff(&policy, &policy).class, DiffClass::Same, "{bound}");
        }
    }
}
