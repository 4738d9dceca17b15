//! What an action is worth in USD (POLICY §5), or why nobody knows.

use alloy_primitives::U256;
use countersign_core::{
    abi::AbiValue,
    action::{Action, Effect},
    amount::MicroUsd,
    fact::{Fact, Facts, TokenFact},
    token::Asset,
};

use crate::{
    matcher::{NATIVE, Operand},
    model::{Move, MoveToken, Part, Rule, Spend},
    simulation,
    truth::Why,
};

/// USD, or why it is unknown.
pub(crate) type Worth = Result<MicroUsd, Why>;

/// What an action moves at most, under the allow rules that match it.
///
/// A call's movements beside its value are what those rules say, the layout of what is called, or a simulation; where
/// several say, the largest counts, and where none says, they are unknown.
pub(crate) fn of_action(action: &Action, facts: &Facts, allows: &[&Rule]) -> Worth {
    let native = amount(facts, &Asset::Native, action.value_wei);
    match &action.effect {
        Effect::Transfer { asset: Asset::Native, amount: wei, .. } => {
            amount(facts, &Asset::Native, (*wei).max(action.value_wei))
        }
        Effect::Approve { .. } if allows.iter().any(|rule| rule.spend == Spend::OnUse) => native,
        Effect::Approve { asset: whole @ Asset::Collection(_), .. } => {
            sum(native, holding(facts, whole))
        }
        Effect::Approve { unlimited: true, .. }
        | Effect::Undecodable { .. }
        | Effect::Delegate { .. }
        | Effect::Opaque { .. } => Err(Why::Unknowable),
        Effect::Transfer { asset, amount: units, .. }
        | Effect::Approve { asset, amount: units, .. } => sum(native, amount(facts, asset, *units)),
        Effect::Revoke { .. } | Effect::Deploy { .. } | Effect::Text { .. } => native,
        Effect::Call | Effect::TypedData { .. } => sum(native, movements(action, facts, allows)),
    }
}

/// The fee at most.
pub(crate) fn of_fee(facts: &Facts) -> Worth {
    amount(facts, &Asset::Native, facts.fee_wei_max)
}

/// Both; unknown if one is.
pub(crate) fn sum(a: Worth, b: Worth) -> Worth {
    match (a, b) {
        (Ok(a), Ok(b)) => a.checked_add(b).ok_or(Why::Unknowable),
        (Err(why), Ok(_)) | (Ok(_), Err(why)) => Err(why),
        (Err(a), Err(b)) => Err(a.max(b)),
    }
}

fn larger(a: Worth, b: Worth) -> Worth {
    match (a, b) {
        (Ok(a), Ok(b)) => Ok(a.max(b)),
        (Err(_), _) | (_, Err(_)) => sum(a, b),
    }
}

fn movements(action: &Action, facts: &Facts, allows: &[&Rule]) -> Worth {
    let said = allows.iter().filter_map(|rule| match &rule.spend {
        Spend::Unsaid | Spend::OnUse => None,
        Spend::Nothing => Some(Ok(MicroUsd::ZERO)),
        Spend::Moves(moves) => {
            let each = moves.iter().map(|movement| of_move(movement, rule, action, facts));
            Some(each.fold(Ok(MicroUsd::ZERO), sum))
        }
    });
    let laid_out = action.spends.iter().map(|spends| {
        let each = spends.iter().map(|outflow| amount(facts, &outflow.asset, outflow.amount));
        each.fold(Ok(MicroUsd::ZERO), sum)
    });
    let simulated = simulation::movements(action, facts);
    said.chain(laid_out).chain(simulated).reduce(larger).unwrap_or(Err(Why::Unknowable))
}

fn of_move(movement: &Move, rule: &Rule, action: &Action, facts: &Facts) -> Worth {
    let units = match found(&movement.amount, rule, action) {
        Some(AbiValue::Uint(units)) => *units,
        _ => return Err(Why::Unknowable),
    };
    let fact = match &movement.token {
        MoveToken::Part(part) => match found(part, rule, action) {
            Some(AbiValue::Address(token)) => {
                return amount(facts, &Asset::Token(*token), units);
            }
            _ => None,
        },
        MoveToken::Named(Operand::Address(token)) => {
            return amount(facts, &Asset::Token(*token), units);
        }
        MoveToken::Named(Operand::Token(name)) => {
            facts.tokens.iter().find(|fact| match name.as_str() {
                NATIVE => fact.asset == Asset::Native,
                name => fact.name.eq_ignore_ascii_case(name),
            })
        }
        MoveToken::Named(_) => None,
    };
    priced(fact, units)
}

/// The value of a part of an action, as a rule reads it.
fn found<'a>(part: &Part, rule: &Rule, action: &'a Action) -> Option<&'a AbiValue> {
    match part {
        Part::Argument(path) => {
            let reads =
                |signature: &str| rule.functions.iter().any(|(_, f)| f.signature() == signature);
            let call = action.functions.iter().find(|call| reads(&call.signature))?;
            call.args.at(&path.0)
        }
        Part::Message(path) => {
            let Effect::TypedData { message, .. } = &action.effect else { return None };
            message.at(&path.0)
        }
    }
}

/// What so many base units of an asset are worth. Nothing of anything is worth nothing.
pub(crate) fn amount(facts: &Facts, asset: &Asset, units: U256) -> Worth {
    priced(token(facts, asset), units)
}

/// What everything of a collection that a wallet holds is worth at most: as many items as the configuration says.
fn holding(facts: &Facts, collection: &Asset) -> Worth {
    let fact = token(facts, collection);
    let items = fact.and_then(|fact| fact.held_max).ok_or(Why::Unknowable)?;
    priced(fact, U256::from(items))
}

fn priced(fact: Option<&TokenFact>, units: U256) -> Worth {
    if units.is_zero() {
        return Ok(MicroUsd::ZERO);
    }
    let fact = fact.ok_or(Why::Unknowable)?;
    match &fact.price {
        Fact::Known(price) => price.value(units, fact.decimals).ok_or(Why::Unknowable),
        Fact::Unknown(_) if fact.never_priced => Err(Why::Unknowable),
        Fact::Unknown(_) => Err(Why::Unavailable),
    }
}

/// What the configuration knows about an asset; an item is priced by its collection.
pub(crate) fn token<'a>(facts: &'a Facts, asset: &Asset) -> Option<&'a TokenFact> {
    let whole = match asset {
        Asset::Item { collection, .. } => Some(Asset::Collection(*collection)),
        Asset::Native | Asset::Token(_) | Asset::Collection(_) => None,
    };
    let named = |asset: &Asset| facts.tokens.iter().find(|fact| fact.asset == *asset);
    named(asset).or_else(|| whole.as_ref().and_then(named))
}
