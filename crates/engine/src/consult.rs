//! What others say of a request: oracles of its addresses, and a judge of its purpose. Asked once, frozen in the facts.

use std::collections::BTreeSet;

use alloy_primitives::Address;
use countersign_core::{
    action::Action,
    fact::{Asked, Fact, Facts, OracleFact},
    intent::Intent,
    opinion::Opinion,
    time::Timestamp,
};
use countersign_policy::{
    Policies, decide,
    decision::{Decision, Outcome},
};
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::{
    admission::Parties,
    port::{Oracles, judge::Case},
    record::{Judgement, actions_json},
    setup::Setup,
};

/// The most questions to oracles for one request; what is beyond is unknown.
pub(crate) const QUESTIONS_MAX: usize = 32;

const MINUTE_MS: u64 = 60_000;

/// Whether a judge is asked.
#[derive(Debug, Clone, Default)]
pub(crate) enum Hearing {
    /// Where there is a mandate, and somebody to read it.
    #[default]
    Ask,
    /// It was heard already: the same request is not judged twice.
    Heard(Opinion),
}

impl Hearing {
    /// Of an operation whose decision is recorded. One that nobody was asked about is heard now.
    pub(crate) fn of(recorded: Option<&Facts>) -> Self {
        let heard = recorded.and_then(|facts| facts.opinion.clone());
        heard.map_or(Self::Ask, Self::Heard)
    }
}

/// What oracles say of a request's addresses, where a rule that may speak of it names them.
pub(crate) async fn oracle_facts(
    setup: &Setup,
    (parties, policies): (Parties<'_>, &Policies),
    actions: &[Action],
) -> Vec<OracleFact> {
    let named = policies.oracles(parties.identity(), actions);
    let (Some(oracles), false) = (&setup.oracles, named.is_empty()) else { return Vec::new() };
    let asked = named.into_iter().filter_map(|name| Some((name, oracles.asks(name)?)));
    let questions = asked.flat_map(|(name, asks)| {
        let about: BTreeSet<Address> = actions.iter().filter_map(|a| asks.of(a)).collect();
        about.into_iter().map(move |address| (name, asks, address))
    });
    let questions: Vec<_> = questions.take(QUESTIONS_MAX).collect();
    join_all(questions.into_iter().map(|question| answered(&**oracles, parties, question))).await
}

async fn answered(
    oracles: &dyn Oracles,
    parties: Parties<'_>,
    (oracle, asks, address): (&str, Asked, Address),
) -> OracleFact {
    let says = oracles.say(oracle, parties.chain.id, address).await;
    if let Fact::Unknown(reason) = &says {
        tracing::warn!(oracle, %address, reason, "an oracle did not answer");
    }
    OracleFact { oracle: oracle.to_owned(), asks, address, says }
}

/// What a judge thinks of a request that the rules do not refuse, where a policy has a mandate.
pub(crate) async fn opinion(
    setup: &Setup,
    (parties, policies): (Parties<'_>, &Policies),
    (intent, facts): (&Intent, &Facts),
) -> Option<Opinion> {
    let judge = setup.judge.as_ref()?;
    let mandate = policies.mandate(parties.identity())?;
    let case = case(mandate, (intent, facts), policies)?;
    let opinion = judge.opinion(&case).await;
    tracing::info!(agent = %intent.agent, ?opinion, "a judge read the mandate");
    Some(opinion)
}

/// `None` where the rules refuse anyway.
fn case(mandate: String, (intent, facts): (&Intent, &Facts), policies: &Policies) -> Option<Case> {
    let decision = decide(intent, facts, policies);
    if matches!(decision.outcome, Outcome::Deny(_)) {
        return None;
    }
    let request = request(intent, facts, decision);
    let said = &intent.declared;
    let claims = json!({
        "reason": said.reason,
        "action": said.action,
        "session": said.session,
        "context": said.context,
    });
    Some(Case { mandate, request, claims })
}

fn request(intent: &Intent, facts: &Facts, decision: Decision) -> Value {
    let (judgement, outcome) = Judgement::part(decision);
    let seen = facts.seen.known();
    let now = facts.at.millis();
    let minute = now.saturating_sub(now.checked_rem(MINUTE_MS).unwrap_or(0));
    json!({
        "agent": intent.agent,
        "role": facts.role,
        "wallet": intent.wallet,
        "from": intent.address,
        "chainId": intent.chain(),
        "method": intent.method.name(),
        "actions": actions_json(facts, &judgement),
        "feeUsd": judgement.fee_usd,
        "riskScore": judgement.risk_score,
        "riskParts": judgement.risk_parts,
        "knownCounterparties": seen,
        "waitsForPeople": matches!(outcome, Outcome::Park(_)),
        // to the minute: what is judged again at once is the same question
        "at": Timestamp::from_millis(minute),
    })
}
