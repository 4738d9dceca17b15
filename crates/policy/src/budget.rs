//! Which window limits an identity has, as charges of nothing, to be read through the ledger.

use countersign_core::{
    charge::{Charge, Unit},
    time::Timestamp,
};

use crate::{
    limits::{charge, counter},
    model::{By, Limit, Model, Per},
    overrun::shown,
    policy::{Identity, Policies, Policy},
    sentence,
};

/// One window limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BudgetLine {
    /// The limit's id.
    pub limit: String,
    /// The policy that has it.
    pub policy: String,
    /// The window as the file writes it: `24h`, `day`.
    pub per: String,
    /// The maximum, in USD or as a count.
    pub max: String,
    /// What is counted.
    pub unit: Unit,
    /// A charge of nothing on the counter: its reading says what is used.
    pub charge: Charge,
}

/// The window limits of an identity, guards first. Limits that are split by what a request says (a recipient,
/// a token) have no one counter, and are left out.
#[must_use]
pub fn budget(policies: &Policies, identity: Identity<'_>, now: Timestamp) -> Vec<BudgetLine> {
    let Identity { agent, wallet, chain } = identity;
    let models = policies.guards.iter().chain([&policies.grant]).map(Policy::model);
    let covering = models.filter(|model| model.scope.covers(agent, wallet, chain));
    covering
        .flat_map(|model| {
            model.limits.iter().filter_map(move |limit| line(model, limit, identity, now))
        })
        .collect()
}

fn line(
    model: &Model,
    limit: &Limit,
    identity: Identity<'_>,
    now: Timestamp,
) -> Option<BudgetLine> {
    if limit.per == Per::Transaction {
        return None;
    }
    let key = limit.by.iter().map(|by| of_identity(*by, identity)).collect::<Option<Vec<_>>>()?;
    let counter = counter(model, limit, identity.agent, &key);
    let unit = sentence::unit(limit.measure);
    Some(BudgetLine {
        limit: limit.id.clone(),
        policy: model.name.clone(),
        per: limit.per.word(),
        max: shown(unit, limit.max),
        unit,
        charge: charge(model, limit, counter, now),
    })
}

fn of_identity(by: By, identity: Identity<'_>) -> Option<String> {
    match by {
        By::Agent => Some(identity.agent.to_string()),
        By::Wallet => Some(identity.wallet.to_string()),
        By::Chain => Some(identity.chain.to_string()),
        By::To | By::Token | By::Session | By::Target | By::Selector | By::Action | By::Kind => {
            None
        }
    }
}
