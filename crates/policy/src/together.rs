//! Bundles of calls: each is judged by itself and all of them together, and the least permissive wins.
//!
//! What is one payment in a single transaction is no more allowed in twenty: rules, `per: tx` limits and gates see the
//! sum. What each call takes out of windows is kept apart, so that each can be settled or released by itself.

use countersign_core::{
    amount::AMOUNT_MAX,
    charge::{Charge, Over},
    fact::Facts,
    intent::Intent,
};

use crate::{
    decide::{Assumed, Court, Reason, hear},
    decision::{Says, Verdict},
    model::Model,
    policy::Policies,
    worth::{self, Worth},
};

/// Hears every call and the sum of them; what the court then holds is what all of them said.
pub(crate) fn hear_together<'a>(
    intent: &'a Intent,
    facts: &'a Facts,
    (policies, guards): (&Policies, &[&Model]),
) -> Court<'a> {
    let (intents, parts) = (intent.calls(), facts.of_calls());
    let each = intents.iter().zip(&parts);
    let alone: Vec<Court<'_>> = each
        .map(|(intent, facts)| hear(intent, facts, (&policies.grant, guards), &Assumed::default()))
        .collect();
    let usd: Vec<Option<Worth>> =
        alone.iter().flat_map(|call| &call.usd).map(|w| Some(*w)).collect();
    let fee = alone.iter().map(|call| call.request.fee).reduce(worth::sum);
    let complete = intents.len() == parts.len() && usd.len() == facts.actions.len();
    let mut court = hear(intent, facts, (&policies.grant, guards), &Assumed { usd, fee });
    if !complete {
        let text = "the calls of this bundle and what is known of them are not the same".to_owned();
        court.refuse(policies.grant.model(), "calls", "fact_unknown", text);
    }
    join(&mut court, alone);
    court
}

fn join(court: &mut Court<'_>, alone: Vec<Court<'_>>) {
    let mut shares = Vec::with_capacity(alone.len());
    for call in alone {
        let Court {
            request,
            usd: _,
            risk_parts,
            verdicts,
            denials,
            asks,
            charges,
            shares: _,
            mode,
        } = call;
        if request.risk > court.request.risk {
            (court.request.risk, court.risk_parts) = (request.risk, risk_parts);
        }
        court.mode = court.mode.max(mode);
        for verdict in verdicts.into_iter().filter(decides) {
            if !court.verdicts.contains(&verdict) {
                court.verdicts.push(verdict);
            }
        }
        for denial in denials {
            if !court.denials.iter().any(|known| is_same(known, &denial)) {
                court.denials.push(denial);
            }
        }
        for (gate, ask) in asks {
            if !court.asks.iter().any(|(known, reason)| *known == gate && is_same(reason, &ask)) {
                court.asks.push((gate, ask));
            }
        }
        shares.push(charges);
    }
    share_out(court, shares);
}

fn decides(verdict: &Verdict) -> bool {
    match verdict.says {
        Says::Deny | Says::Approve => true,
        Says::Allow | Says::Pass | Says::Within => false,
    }
}

/// The same rule or limit, for the same reason: the sum has said it already.
fn is_same(known: &Reason, other: &Reason) -> bool {
    (&known.violation.rule, &known.violation.code) == (&other.violation.rule, &other.violation.code)
}

/// Each call keeps its own charges. What only the sum is charged for, or more than its calls come to, the first call
/// bears, and it is kept in full.
fn share_out(court: &mut Court<'_>, mut shares: Vec<Vec<Charge>>) {
    for sum in std::mem::take(&mut court.charges) {
        let same = |charge: &&Charge| (charge.counter, charge.window) == (sum.counter, sum.window);
        let amounts = shares.iter().flatten().filter(same).map(amount);
        let missing = amount(&sum).saturating_sub(amounts.fold(0, u64::saturating_add));
        if let Some(first) = shares.first_mut().filter(|_| missing > 0) {
            first.push(Charge { value: missing, fee: 0, ..sum });
        }
    }
    for charge in shares.iter_mut().flatten() {
        if let Over::Park { gate, waived } = &mut charge.over {
            *waived = court.opens(gate, &charge.source.limit);
        }
    }
    court.shares = shares.iter().map(Vec::len).collect();
    court.charges = shares.concat();
}

fn amount(charge: &Charge) -> u64 {
    charge.amount().unwrap_or(AMOUNT_MAX)
}
