//! Limits: `per: tx` is judged here; every window becomes charges that the store checks when it reserves.

use std::collections::BTreeMap;

use countersign_core::{
    amount::{AMOUNT_MAX, MicroUsd},
    charge::{Charge, CounterId, LimitRef, Over, Window},
    identity::AgentId,
    time::{Period, Timestamp},
};

use crate::{
    decide::{Court, Reason, truth},
    decision::{Register, Says, Verdict},
    model::{By, Limit, Measure, Model, OverLimit, Per},
    scope::Kind,
    sentence,
    truth::Why,
    view::{self, View},
    worth::{self, Worth},
};

/// What a limit counts of a request: the payload's part and the fee's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Asked {
    value: u64,
    fee: u64,
}

/// Judges every limit of a policy.
pub(crate) fn judge(court: &mut Court<'_>, model: &Model) {
    for limit in &model.limits {
        let matched = matched(court, limit);
        let verdict = if matched.is_empty() {
            (Says::Pass, String::new(), String::new())
        } else if limit.per == Per::Transaction {
            transaction(court, limit, &matched)
        } else {
            window(court, model, limit, &matched)
        };
        let (says, code, detail) = verdict;
        let (policy, rule) = (model.name.clone(), limit.id.clone());
        court.verdicts.push(Verdict { policy, rule, says, code, detail });
    }
}

type Said = (Says, String, String);

/// The actions that a limit counts: those of which it is not certain that it does not speak.
fn matched(court: &Court<'_>, limit: &Limit) -> Vec<usize> {
    let request = court.request;
    let counts = |(index, (action, usd)): (usize, (&_, &Worth))| {
        let speaks = [false, true].into_iter().any(|declared| {
            let view = View { request, action, usd: *usd, declared };
            truth(limit.kinds, &limit.when, &view).is_possible()
        });
        speaks.then_some(index)
    };
    request.facts.actions.iter().zip(&court.usd).enumerate().filter_map(counts).collect()
}

fn transaction(court: &mut Court<'_>, limit: &Limit, matched: &[usize]) -> Said {
    let asked = match limit.measure {
        Measure::Usd => usd(court, matched).map(MicroUsd::micros),
        Measure::Fee => court.request.fee.map(MicroUsd::micros),
        Measure::Requests => Ok(1),
        Measure::Actions => Ok(count(matched.len())),
    };
    if asked.is_ok_and(|amount| amount <= limit.max) {
        return (Says::Within, String::new(), sentence::too_much(limit, asked));
    }
    exceeded(court, limit, asked)
}

fn window(court: &mut Court<'_>, model: &Model, limit: &Limit, matched: &[usize]) -> Said {
    let mut said = (Says::Within, String::new(), format!("at most {}", sentence::maximum(limit)));
    for (key, group) in groups(court, limit, matched) {
        let asked = asked(court, limit, &group);
        let total = asked.and_then(total);
        let fits = total.is_ok_and(|amount| amount <= limit.max);
        if !fits {
            said = exceeded(court, limit, total);
        }
        // an unknown amount is charged as the whole limit, for when people let it through
        let whole = Asked { value: limit.max, fee: 0 };
        let counted = if total.is_ok() { asked.unwrap_or(whole) } else { whole };
        let over = match &limit.over {
            OverLimit::Deny => Over::Deny,
            OverLimit::Approve(gate) => {
                Over::Park { gate: gate.clone(), waived: court.opens(gate, &limit.id) }
            }
        };
        if counted != (Asked { value: 0, fee: 0 }) {
            let (agent, at) = (&court.request.intent.agent, court.request.facts.at);
            let base = charge(model, limit, counter(model, limit, agent, &key), at);
            court.charges.push(Charge { value: counted.value, fee: counted.fee, over, ..base });
        }
    }
    said
}

/// A charge of nothing on a limit's counter.
pub(crate) fn charge(model: &Model, limit: &Limit, counter: CounterId, now: Timestamp) -> Charge {
    let window = match &limit.per {
        Per::Rolling(length, _) => Window::Rolling(*length),
        Per::Day(zone) => Window::Calendar(Period::day(now, zone)),
        Per::Month(zone) => Window::Calendar(Period::month(now, zone)),
        Per::Grant | Per::Transaction => Window::Grant,
    };
    let over = match &limit.over {
        OverLimit::Deny => Over::Deny,
        OverLimit::Approve(gate) => Over::Park { gate: gate.clone(), waived: false },
    };
    Charge {
        counter,
        window,
        unit: sentence::unit(limit.measure),
        value: 0,
        fee: 0,
        limit: limit.max,
        over,
        source: LimitRef {
            policy: model.name.clone(),
            limit: limit.id.clone(),
            code: limit.code.clone(),
            per: limit.per.word(),
        },
    }
}

/// A counter is (policy name, limit id, per, by with its values, when), and what is counted. A grant's counters
/// are its agent's own, also where two agents share a file.
pub(crate) fn counter(model: &Model, limit: &Limit, agent: &AgentId, key: &[String]) -> CounterId {
    let owner = match model.kind {
        Kind::Grant => agent.as_str(),
        Kind::Guard => "",
    };
    let by: Vec<&str> = limit.by.iter().map(|by| by.word()).collect();
    let (per, by, measure) = (limit.per.key(), by.join(","), limit.measure.word());
    let mut parts =
        vec![model.name.as_str(), owner, &limit.id, &per, measure, &limit.when_key, &by];
    parts.extend(key.iter().map(String::as_str));
    CounterId::from_parts(&parts)
}

/// A limit that this request exceeds by itself.
fn exceeded(court: &mut Court<'_>, limit: &Limit, asked: Result<u64, Why>) -> Said {
    let sentence = sentence::too_much(limit, asked);
    let reason = Reason {
        violation: sentence::over(limit, asked),
        sentence: sentence.clone(),
        register: Register::Constructive,
        owed: asked == Err(Why::Unavailable),
    };
    match &limit.over {
        OverLimit::Deny => {
            court.denials.push(reason);
            (Says::Deny, limit.code.clone(), sentence)
        }
        OverLimit::Approve(gate) if court.opens(gate, &limit.id) => {
            (Says::Approve, String::new(), format!("gate `{}` is open", gate.id))
        }
        OverLimit::Approve(gate) => {
            court.asks.push((gate.clone(), reason));
            (Says::Approve, limit.code.clone(), sentence)
        }
    }
}

fn asked(court: &Court<'_>, limit: &Limit, group: &[usize]) -> Result<Asked, Why> {
    Ok(match limit.measure {
        Measure::Usd => {
            let value = usd(court, group)?.micros();
            Asked { value, fee: court.request.fee?.micros() }
        }
        Measure::Fee => Asked { value: 0, fee: court.request.fee?.micros() },
        Measure::Requests => Asked { value: 1, fee: 0 },
        Measure::Actions => Asked { value: count(group.len()), fee: 0 },
    })
}

fn total(asked: Asked) -> Result<u64, Why> {
    let sum = asked.value.checked_add(asked.fee).filter(|sum| *sum <= AMOUNT_MAX);
    sum.ok_or(Why::Unknowable)
}

fn usd(court: &Court<'_>, group: &[usize]) -> Worth {
    let each =
        group.iter().map(|index| court.usd.get(*index).copied().unwrap_or(Err(Why::Unknowable)));
    each.fold(Ok(MicroUsd::ZERO), worth::sum)
}

fn count(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(AMOUNT_MAX)
}

/// The matched actions by the values that split the limit, in the order of those values.
fn groups(
    court: &Court<'_>,
    limit: &Limit,
    matched: &[usize],
) -> BTreeMap<Vec<String>, Vec<usize>> {
    let mut groups: BTreeMap<Vec<String>, Vec<usize>> = BTreeMap::new();
    for index in matched {
        let key = limit.by.iter().map(|by| value(court, *by, *index)).collect();
        groups.entry(key).or_default().push(*index);
    }
    groups
}

/// What splits a counter, as text; `-` where the action has none.
fn value(court: &Court<'_>, by: By, index: usize) -> String {
    let intent = court.request.intent;
    let none = || "-".to_owned();
    match by {
        By::Agent => return intent.agent.to_string(),
        By::Wallet => return intent.wallet.to_string(),
        By::Chain => return intent.chain().to_string(),
        By::Session => return intent.declared.session.clone().unwrap_or_else(none),
        By::To | By::Token | By::Target | By::Selector | By::Action | By::Kind => {}
    }
    let Some(action) = court.request.facts.actions.get(index) else { return none() };
    let shown = match by {
        By::To => view::counterparty(action).map(|address| address.to_string()),
        By::Target => action.target.map(|address| address.to_string()),
        By::Selector => action.selector.map(|selector| selector.to_string()),
        By::Action => Some(action.label.clone()),
        By::Kind => Some(action.effect.kind().to_owned()),
        By::Token => view::asset(action).map(|asset| {
            asset.contract().map_or_else(|| "native".to_owned(), |address| address.to_string())
        }),
        By::Agent | By::Wallet | By::Chain | By::Session => None,
    };
    shown.unwrap_or_else(none)
}
