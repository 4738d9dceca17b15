//! What a simulation tells, and when one is needed (POLICY §5).

use alloy_primitives::{Address, U256};
use countersign_core::{
    action::{Action, Effect},
    amount::MicroUsd,
    fact::{Change, Facts, Simulated},
    token::Asset,
};

use crate::{
    field::{Field, Kinds, Sim},
    matcher::Known,
    model::{Model, Rule, Spend, Then},
    needs,
    policy::{Identity, Policies},
    truth::Why,
    worth::{self, Worth},
};

impl Policies {
    /// Whether the judgement of these actions of a transaction needs a simulation: a rule or a limit that speaks of
    /// their kinds names `sim.*`, or a call that may be allowed moves nobody knows what.
    #[must_use]
    pub fn need_simulation(&self, who: Identity<'_>, actions: &[Action]) -> bool {
        needs::covering(self, who).any(|model| names_simulation(model, actions))
            || actions.iter().any(|action| leaves_open(self.grant.model(), action))
    }
}

fn names_simulation(model: &Model, actions: &[Action]) -> bool {
    needs::fields(model, actions).any(|field| matches!(field, Field::Sim(_)))
}

/// A call that a rule may allow, and neither a layout nor a rule says what it moves.
fn leaves_open(grant: &Model, action: &Action) -> bool {
    let reads = |rule: &Rule| {
        let mut known = rule.functions.iter().map(|(_, function)| function.signature());
        known.any(|known| action.functions.iter().any(|call| call.signature == known))
    };
    let says = |rule: &Rule| match rule.spend {
        Spend::Nothing | Spend::Moves(_) => reads(rule),
        Spend::Unsaid | Spend::OnUse => false,
    };
    let mut allows = grant.rules.iter().filter(|rule| rule.then == Then::Allow);
    action.effect == Effect::Call
        && action.spends.is_none()
        && allows.clone().any(|rule| rule.kinds.meets(kind(action)))
        && !allows.any(says)
}

fn kind(action: &Action) -> Kinds {
    Kinds::of(action.effect.kind()).unwrap_or(Kinds::NONE)
}

/// A field of it. What would fail says nothing of what it would do when it does not.
pub(crate) fn said(facts: &Facts, what: Sim) -> Result<Known, Why> {
    let simulated = known(facts).ok_or(Why::Unknowable)?;
    if what == Sim::Reverted {
        return Ok(Known::Bool(simulated.reverted));
    }
    let simulated = done(facts).ok_or(Why::Unknowable)?;
    let lost = || total(facts, simulated, |change| change.lost);
    let gained = || total(facts, simulated, |change| change.gained);
    let usd = match what {
        Sim::Reverted | Sim::Approvals => {
            return Ok(Known::Number(U256::from(simulated.approvals.len())));
        }
        Sim::Out => lost(),
        Sim::In => gained(),
        Sim::Loss => less(lost(), gained()),
        Sim::Excess => total(facts, simulated, |change| {
            let told = facts.actions.iter().map(|action| takes(action, simulated, &change.asset));
            change.lost.saturating_sub(told.fold(U256::ZERO, U256::saturating_add))
        }),
    };
    usd.map(|usd| Known::Number(U256::from(usd.micros())))
}

/// What a call takes beside its value, as far as the other actions of the request do not account for it. Several calls
/// of which nothing else is known are each charged with all of it.
pub(crate) fn movements(action: &Action, facts: &Facts) -> Option<Worth> {
    let simulated = done(facts).filter(|_| action.effect == Effect::Call)?;
    Some(total(facts, simulated, |change| {
        let others = facts.actions.iter().filter(|other| !std::ptr::eq(*other, action));
        let told = others.map(|other| takes(other, simulated, &change.asset));
        let told = told.fold(value(action, &change.asset), U256::saturating_add);
        change.lost.saturating_sub(told)
    }))
}

/// What was simulated and did not fail.
fn done(facts: &Facts) -> Option<&Simulated> {
    known(facts).filter(|simulated| !simulated.reverted)
}

fn known(facts: &Facts) -> Option<&Simulated> {
    facts.simulated.as_ref()?.known()
}

/// So much of an asset an action takes from the wallet by its own words.
fn takes(action: &Action, simulated: &Simulated, asset: &Asset) -> U256 {
    let moved = match &action.effect {
        Effect::Transfer { asset: Asset::Native, amount, .. } if *asset == Asset::Native => {
            // the value is the amount
            return (*amount).max(action.value_wei);
        }
        Effect::Transfer { asset: what, from, amount, .. }
            if what == asset && is_wallet(*from, simulated) =>
        {
            *amount
        }
        Effect::Call => {
            let spends = action.spends.iter().flatten().filter(|outflow| outflow.asset == *asset);
            spends.map(|outflow| outflow.amount).fold(U256::ZERO, U256::saturating_add)
        }
        Effect::Transfer { .. }
        | Effect::Approve { .. }
        | Effect::Revoke { .. }
        | Effect::Deploy { .. }
        | Effect::Undecodable { .. }
        | Effect::Delegate { .. }
        | Effect::TypedData { .. }
        | Effect::Text { .. }
        | Effect::Opaque { .. } => U256::ZERO,
    };
    moved.saturating_add(value(action, asset))
}

fn is_wallet(address: Address, simulated: &Simulated) -> bool {
    address == simulated.wallet
}

fn value(action: &Action, asset: &Asset) -> U256 {
    if *asset == Asset::Native { action.value_wei } else { U256::ZERO }
}

fn total(facts: &Facts, simulated: &Simulated, of: impl Fn(&Change) -> U256) -> Worth {
    let each = simulated.changes.iter().map(|c| worth::amount(facts, &c.asset, of(c)));
    each.fold(Ok(MicroUsd::ZERO), worth::sum)
}

fn less(a: Worth, b: Worth) -> Worth {
    match (a, b) {
        (Ok(a), Ok(b)) => {
            let micros = a.micros().saturating_sub(b.micros());
            MicroUsd::from_micros(micros).ok_or(Why::Unknowable)
        }
        (Err(_), _) | (_, Err(_)) => worth::sum(a, b),
    }
}
