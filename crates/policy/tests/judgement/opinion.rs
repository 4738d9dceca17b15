//! A judge that reads the mandate can only make a decision stricter.

use countersign_policy::{
    Opinion, Policies, Policy, decide,
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
