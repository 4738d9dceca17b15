//! What a judgement says to people and agents: one sentence, no full stop, in words that clients do not
//! mistake for something else (CONTRACT §3).

use alloy_primitives::Address;
use countersign_core::{action::Action, charge::Unit, fact::Freeze};

use crate::{
    decision::{Register, Violation},
    login,
    model::{Limit, Measure, Per, Rule},
    overrun::shown,
    truth::{Truth, Why},
    view,
};

/// Codes that tell an agent what to change; every other rule's denial says to drop the instruction.
const CONSTRUCTIVE: [&str; 9] = [
    "per_tx_limit_exceeded",
    "daily_quota_exceeded",
    "monthly_quota_exceeded",
    "rolling_limit_exceeded",
    "count_limit_exceeded",
    "gas_limit_exceeded",
    "value_wei_exceeded",
    "outside_schedule",
    "price_unavailable",
];

/// What an agent should do with a rule's denial.
pub(crate) fn register(code: &str) -> Register {
    if CONSTRUCTIVE.contains(&code) { Register::Constructive } else { Register::Halt }
}

/// A violation without numbers.
pub(crate) fn bare(rule: &str, code: &str) -> Violation {
    Violation {
        rule: rule.to_owned(),
        code: code.to_owned(),
        limit: None,
        current: None,
        requested: None,
        frees_at: None,
    }
}

pub(crate) fn frozen(freeze: &Freeze) -> String {
    match freeze {
        Freeze::Global | Freeze::All => "signing is frozen by an operator".to_owned(),
        Freeze::Agent(agent) => format!("the agent `{agent}` is frozen by an operator"),
        Freeze::Wallet(wallet) => format!("the wallet `{wallet}` is frozen by an operator"),
        Freeze::Chain(chain) => format!("chain {chain} is frozen by an operator"),
    }
}

pub(crate) fn matched(rule: &Rule, found: Truth) -> String {
    match found {
        Truth::True | Truth::False => format!("rule `{}` applies", rule.id),
        Truth::Unknown(Why::Unavailable) => {
            format!("rule `{}` may apply: a price that it needs is not available", rule.id)
        }
        Truth::Unknown(Why::Unknowable) => {
            format!("rule `{}` may apply: a fact that it needs is not known", rule.id)
        }
    }
}

pub(crate) fn unallowed(policy: &str, action: Option<&Action>) -> String {
    let Some(action) = action else {
        return format!("the policy `{policy}` finds nothing to allow");
    };
    let kind = action.effect.kind();
    if action.unlisted {
        let target = action.target.unwrap_or_default();
        return format!(
            "no rule of the policy `{policy}` names this function of {target}, whose registered layout does not have it"
        );
    }
    if login::lies_elsewhere(action) {
        return format!(
            "no rule of the policy `{policy}` names where this login leads: its URI lies on another host than its domain"
        );
    }
    match view::counterparty(action) {
        Some(address) => {
            format!("no rule of the policy `{policy}` allows this {kind} to {address}")
        }
        None => format!("no rule of the policy `{policy}` allows this {kind}"),
    }
}

/// Assets of somebody else, which rules allow without saying whose they may be.
pub(crate) fn of_others(policy: &str, from: Address) -> String {
    format!(
        "the assets are those of {from}, and no rule of the policy `{policy}` that allows this names `from`"
    )
}

/// The unit of a limit.
pub(crate) const fn unit(measure: Measure) -> Unit {
    if measure.is_money() { Unit::Usd } else { Unit::Count }
}

/// `500 USD per transaction`
pub(crate) fn maximum(limit: &Limit) -> String {
    let usd = if limit.measure.is_money() { " USD" } else { "" };
    let per = match &limit.per {
        Per::Transaction => "transaction".to_owned(),
        Per::Grant => "lifetime of the grant".to_owned(),
        Per::Rolling(..) | Per::Day(_) | Per::Month(_) => limit.per.word(),
    };
    format!("{}{usd} per {per}", shown(unit(limit.measure), limit.max))
}

/// `600 USD asked, at most 500 USD per transaction`
pub(crate) fn too_much(limit: &Limit, asked: Result<u64, Why>) -> String {
    let maximum = maximum(limit);
    match asked {
        Ok(amount) => {
            let usd = if limit.measure.is_money() { " USD" } else { "" };
            format!("{}{usd} asked, at most {maximum}", shown(unit(limit.measure), amount))
        }
        Err(Why::Unavailable) => {
            format!("the worth in USD is not available now, and at most {maximum} may be spent")
        }
        Err(Why::Unknowable) => {
            format!("the worth in USD is not known, which counts as more than {maximum}")
        }
    }
}

/// The violation of a limit by an amount alone.
pub(crate) fn over(limit: &Limit, asked: Result<u64, Why>) -> Violation {
    let unit = unit(limit.measure);
    Violation {
        rule: limit.id.clone(),
        code: limit.code.clone(),
        limit: Some(shown(unit, limit.max)),
        current: None,
        requested: Some(asked.map_or_else(|_| "unknown".to_owned(), |value| shown(unit, value))),
        frees_at: None,
    }
}
