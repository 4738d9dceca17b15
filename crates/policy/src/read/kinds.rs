//! Which kinds a condition speaks of, and whether they have the fields that it names.

use super::Reader;
use crate::{
    condition::Condition,
    diagnostic::Place,
    field::{Field, Kinds},
    matcher::{Member, Operand, Test},
};

impl Reader<'_> {
    /// Refuses a field that the named kinds lack, and finds the kinds that have all fields where none is
    /// named.
    pub(super) fn fields_fit(
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
                let lacking = context.without(field.kinds_named());
                if context == Kinds::ALL {
                    *inferred = inferred.and(field.kinds());
                } else if !lacking.is_empty() {
                    self.findings.error(
                        at,
                        format!("{} has no field {}", lacking.words(), field.word()),
                        format!("it is a field of {}; split the rule", field.kinds_named().words()),
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
            | Operand::Decimal(_)
            | Operand::Address(_)
            | Operand::Wallet
            | Operand::Token(_)
            | Operand::Bool(_)
            | Operand::Bytes(_)
            | Operand::Function { .. }
            | Operand::Written(_) => None,
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
