//! A judge that reads the mandate can only make a decision stricter.

use countersign_core::{
    action::Effect,
    context::ContextValue,
    fact::{Asked, Fact, Facts, OracleFact},
};
use countersign_policy::{
    Identity, Opinion, Policies, Policy, decide,
    decision::{Decision, Outcome, Register},
};
use proptest::prelude::*;

use crate::scene::*;

const RULES: &str = "
gates: { desk: { need: [{ any: 1, of: [alice] }] } }
rules:
  - { id: pay, when: { kind: transfer }, then: allow }
  - { id: more, when: { kind: transfer, usd: { gt: 100 } }, then: { approve: desk } }
  - { id: most, when: { kind: transfer, usd: { gt: 500 } }, then: deny }
";

fn decided(usd: u64) -> (Decision, Policies) {
    let policies = alone(grant(RULES));
    (decide(&intent(), &facts(vec![pay(FRIEND, usd * 1000)]), &policies), policies)
}

fn freedom(outcome: &Outcome) -> u8 {
    match outcome {
        Outcome::Deny(_) => 0,
        Outcome::Park(_) => 1,
        Outcome::Allow(_) => 2,
    }
}

#[test]
fn an_answer_is_exactly_what_was_asked_for_or_a_review() {
    let read = |text: &str| Opinion::read(text.as_bytes());
    assert_eq!(read(r#"{"verdict":"allow","reason":"fine"}"#), Opinion::Allow);
    assert_eq!(
        read(" {\"reason\": \"not\\nthis\", \"verdict\": \"deny\"} "),
        Opinion::Deny("not this".into())
    );
    assert_eq!(read(r#"{"verdict":"review","reason":"hm"}"#), Opinion::Review("hm".into()));
    let long = format!(r#"{{"verdict":"allow","reason":"{}"}}"#, "x".repeat(20_000));
    for unclear in [
        "",
        "allow",
        "{}",
        "null",
        "[]",
        r#""allow""#,
        r#"{"verdict":"allow"}"#,
        r#"{"verdict":"ALLOW","reason":""}"#,
        r#"{"verdict":"approve","reason":""}"#,
        r#"{"verdict":true,"reason":""}"#,
        r#"{"verdict":"allow","reason":null}"#,
        r#"{"verdict":"allow","reason":"","confidence":1}"#,
        r#"{"verdict":"deny","verdict":"allow","reason":""}"#,
        r#"{"verdict":"allow","reason":""} {"verdict":"deny","reason":""}"#,
        "```json\n{\"verdict\":\"allow\",\"reason\":\"\"}\n```",
        "\u{feff}{\"verdict\":\"allow\",\"reason\":\"\"}",
        &long,
    ] {
        assert!(matches!(read(unclear), Opinion::Review(_)), "{unclear}");
    }
    assert!(matches!(Opinion::read(&[0xff, 0xfe]), Opinion::Review(_)));
    assert!(
        matches!(Opinion::absent("no answer in 5s"), Opinion::Review(reason) if reason.contains("5s"))
    );
}

#[test]
fn a_review_asks_the_gate_and_a_denial_halts() {
    let gate = Policy::default_gate("grant");
    let (free, _) = decided(50);
    let Outcome::Park(hold) = free.heard(&Opinion::Review("odd".into()), &gate, false).outcome
    else {
        panic!("not parked");
    };
    assert_eq!((hold.code(), hold.gates()), ("reason_flagged", std::slice::from_ref(&gate)));
    assert!(hold.reason().ends_with("asks for people: odd"));

    let (parked, policies) = decided(200);
    let Outcome::Park(hold) = parked.heard(&Opinion::Review("odd".into()), &gate, false).outcome
    else {
        panic!("not parked");
    };
    // the first reason in file order stays the code; both gates are asked
    assert_eq!(hold.code(), "approval_required");
    assert_eq!(hold.gates(), [policies.grant.gates()[0].clone(), gate.clone()]);

    let (free, _) = decided(50);
    let heard = free.heard(&Opinion::Deny("against it".into()), &gate, true);
    assert_eq!(heard.verdicts.last().unwrap().code, "reason_blocked");
    let Outcome::Deny(denial) = heard.outcome else { panic!("not denied") };
    assert_eq!((denial.code.as_str(), denial.register), ("reason_blocked", Register::Halt));

    let (free, _) = decided(50);
    let heard = free.heard(&Opinion::Review("odd".into()), &gate, true);
    assert!(matches!(heard.outcome, Outcome::Allow(_)), "a gate that is open is not asked again");
}

proptest! {
    #[test]
    fn no_opinion_makes_a_decision_milder(usd in 0..1000_u64, answer in ".{0,60}", said in 0..4_u8, opened: bool) {
        let gate = Policy::default_gate("grant");
        let opinion = match said {
            0 => Opinion::Allow,
            1 => Opinion::Review(answer),
            2 => Opinion::Deny(answer),
            _ => Opinion::read(answer.as_bytes()),
        };
        let (before, _) = decided(usd);
        let (after, _) = decided(usd);
        let after = after.heard(&opinion, &gate, opened);
        prop_assert!(freedom(&after.outcome) <= freedom(&before.outcome));
        prop_assert_eq!(after.verdicts.len(), before.verdicts.len() + 1);
    }
}

/// What a grant says of a payment when an oracle said this of its recipient; `None` where it did not answer.
fn by_oracle(rules: &str, score: Option<&str>, asks: Asked) -> Decision {
    let says = match score {
        Some(score) => {
            Fact::Known([("score".to_owned(), ContextValue::of_text(score))].into_iter().collect())
        }
        None => Fact::Unknown("no answer within 2 s".into()),
    };
    let mut facts = facts(vec![pay(FRIEND, 1000)]);
    let oracle = "risk".to_owned();
    facts.oracles = vec![OracleFact { oracle, asks, address: FRIEND, says }];
    let stored = serde_json::to_string(&facts).unwrap();
    let again = serde_json::from_str(&stored).unwrap();
    let policies = alone(grant(rules));
    let (first, replayed) =
        (decide(&intent(), &facts, &policies), decide(&intent(), &again, &policies));
    assert_eq!(first.verdicts, replayed.verdicts, "a verdict follows from its record");
    first
}

#[test]
fn an_oracle_counts_for_the_address_that_it_spoke_of_and_its_silence_against_the_agent() {
    let allow = "rules: [{ id: pay, when: { kind: transfer, oracle.risk.score: { lt: 50 } }, then: allow }]";
    let deny = "rules: [{ id: pay, then: allow }, { id: bad, when: { oracle.risk.score: { gte: 50 } }, then: deny }]";
    for (score, asks, free) in [
        (Some("49.9"), Asked::Counterparty, true),
        (Some("49.9"), Asked::To, true),
        (Some("50"), Asked::To, false),
        (Some("low"), Asked::To, false),
        (None, Asked::To, false),
        // nobody may move anything later by a transfer: nothing was said of it
        (Some("49.9"), Asked::Spender, false),
    ] {
        for rules in [allow, deny] {
            let outcome = by_oracle(rules, score, asks).outcome;
            assert_eq!(freedom(&outcome) == 2, free, "{score:?} {asks:?} {rules}");
        }
    }
}

#[test]
fn an_opinion_in_the_facts_is_heard_and_gives_the_same_verdict_again() {
    for (opinion, usd, expected) in [
        (Opinion::Allow, 50, 2),
        (Opinion::Allow, 600, 0),
        (Opinion::Review("odd".into()), 50, 1),
        (Opinion::Deny("no".into()), 50, 0),
        (Opinion::Deny("no".into()), 200, 0),
    ] {
        let policies = alone(grant(RULES));
        let heard = Facts { opinion: Some(opinion), ..facts(vec![pay(FRIEND, usd * 1000)]) };
        let again: Facts = serde_json::from_str(&serde_json::to_string(&heard).unwrap()).unwrap();
        assert_eq!(again, heard);
        let decision = decide(&intent(), &again, &policies);
        assert_eq!(freedom(&decision.outcome), expected, "{:?} {usd}", heard.opinion);
        assert!(decision.verdicts.iter().any(|verdict| verdict.rule == "judge"));
    }
}

#[test]
fn an_oracle_is_needed_only_where_a_rule_that_may_speak_of_the_request_names_it() {
    let rules = "
rules:
  - { id: pay, when: { kind: transfer }, then: allow }
  - { id: call, when: { kind: call, not: { any: [{ oracle.code.audited: true }, { oracle.age: { gt: 9 } }] } }, then: deny }
";
    let (policies, intent) = (alone(grant(rules)), intent());
    let who = Identity { agent: &intent.agent, wallet: &intent.wallet, chain: intent.chain() };
    assert!(policies.oracles(who, &[pay(FRIEND, 1)]).is_empty());
    let call = action(Effect::Call, Some(FRIEND));
    assert_eq!(policies.oracles(who, &[call]).into_iter().collect::<Vec<_>>(), ["age", "code"]);
    let named: Vec<_> = policies.grant.oracles().into_iter().collect();
    let pair = |name: &str, field: &str| (name.to_owned(), field.to_owned());
    assert_eq!(named, [pair("age", ""), pair("code", "audited")]);
    assert_eq!(policies.mandate(who), None);
}
