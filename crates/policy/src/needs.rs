//! What has to be gathered before a request can be judged: whatever the rules and limits name that may speak of it.

use std::collections::BTreeSet;

use alloy_primitives::Address;
use countersign_core::action::Action;

use crate::{
    condition::Condition,
    field::{Field, Kinds},
    matcher::Operand,
    model::{Model, MoveToken, Rule, Spend},
    policy::{Identity, Policies, Policy},
};

impl Policies {
    /// The oracles that a rule or limit names which may speak of these actions.
    #[must_use]
    pub fn oracles<'a>(&'a self, who: Identity<'a>, actions: &[Action]) -> BTreeSet<&'a str> {
        let named = covering(self, who).flat_map(|model| fields(model, actions));
        named.filter_map(oracle).map(|(name, _)| name).collect()
    }

    /// The tokens that `spend` of a rule names for a call which may be allowed: what is called need not name them itself.
    pub fn spent<'a>(&'a self, actions: &'a [Action]) -> impl Iterator<Item = Spent<'a>> {
        let speaks = |rule: &&Rule| {
            let kind = |action: &Action| Kinds::of(action.effect.kind()).unwrap_or(Kinds::NONE);
            actions.iter().any(|action| rule.kinds.meets(kind(action)))
        };
        let rules = self.grant.model().rules.iter().filter(speaks);
        rules
            .flat_map(|rule| match &rule.spend {
                Spend::Moves(moves) => moves.as_slice(),
                Spend::Unsaid | Spend::Nothing | Spend::OnUse => &[],
            })
            .filter_map(|movement| match &movement.token {
                MoveToken::Named(Operand::Address(token)) => Some(Spent::At(*token)),
                MoveToken::Named(Operand::Token(name)) => Some(Spent::Named(name)),
                MoveToken::Named(_) | MoveToken::Part(_) => None,
            })
    }

    /// The mandates of all policies that cover the request, the grant's first; `None` where there are none.
    #[must_use]
    pub fn mandate(&self, who: Identity<'_>) -> Option<String> {
        let texts: Vec<&str> =
            covering(self, who).filter_map(|model| model.guidance.as_deref()).collect();
        (!texts.is_empty()).then(|| texts.join("\n\n"))
    }
}

/// A token, as a rule names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spent<'a> {
    /// By its contract.
    At(Address),
    /// By its name in the configuration.
    Named(&'a str),
}

impl Policy {
    /// The oracles that it names, with their fields; an empty field is the one thing that an oracle says.
    #[must_use]
    pub fn oracles(&self) -> BTreeSet<(String, String)> {
        let model = self.model();
        let conditions = model.rules.iter().map(|rule| &rule.when);
        let conditions = conditions.chain(model.limits.iter().map(|limit| &limit.when));
        let named = conditions.flat_map(named).filter_map(oracle);
        named.map(|(name, field)| (name.to_owned(), field.to_owned())).collect()
    }
}

fn oracle(field: &Field) -> Option<(&str, &str)> {
    if let Field::Oracle { name, field } = field { Some((name, field)) } else { None }
}

/// The policies whose scope covers a request, the grant first.
pub(crate) fn covering<'a>(
    policies: &'a Policies,
    who: Identity<'a>,
) -> impl Iterator<Item = &'a Model> {
    let Identity { agent, wallet, chain } = who;
    let models = std::iter::once(&policies.grant).chain(&policies.guards).map(Policy::model);
    models.filter(move |model| model.scope.covers(agent, wallet, chain))
}

/// Every field that a rule or limit names which may speak of one of these actions.
pub(crate) fn fields<'a>(model: &'a Model, actions: &[Action]) -> impl Iterator<Item = &'a Field> {
    let kinds = actions.iter().fold(Kinds::NONE, |kinds, action| {
        kinds.or(Kinds::of(action.effect.kind()).unwrap_or(Kinds::NONE))
    });
    let rules = model.rules.iter().map(|rule| (rule.kinds, &rule.when));
    let limits = model.limits.iter().map(|limit| (limit.kinds, &limit.when));
    let speaking = rules.chain(limits).filter(move |(of, _)| of.meets(kinds));
    speaking.flat_map(|(_, when)| named(when))
}

fn named(condition: &Condition) -> Vec<&Field> {
    match condition {
        Condition::All(inner) | Condition::Any(inner) => inner.iter().flat_map(named).collect(),
        Condition::Not(inner) => named(inner),
        Condition::Field(field, _) => vec![field],
        Condition::Hours(_) => Vec::new(),
    }
}
