//! What holds for every policy and request: more is never more allowed, order never matters, layers only narrow,
//! what is not known never helps.

use crate::scene::*;
use countersign_core::fact::Fact;
use countersign_policy::{Policies, Policy, decide, decision::Outcome};
use proptest::prelude::*;

/// How far a request gets: 0 denied, 1 parked, 2 allowed.
fn freedom(policies: &Policies, actions: &[(u8, u64)], known: bool) -> u8 {
    let to = |who: u8| if who == 0 { FRIEND } else { STRANGER };
    let actions = actions.iter().map(|(who, amount)| pay(to(*who), *amount)).collect();
    let mut facts = facts(actions);
    if !known {
        facts.tokens[0].price = Fact::Unknown("nobody has one".into());
        facts.tokens[0].never_priced = true;
    }
    match decide(&intent(), &facts, policies).outcome {
        Outcome::Deny(_) => 0,
        Outcome::Park(_) => 1,
        Outcome::Allow(_) => 2,
    }
}

const GATES: &str = "gates: { desk: { need: [{ any: 1, of: [alice] }] }, board: { need: [{ any: 2, of: [alice, bob] }] } }\n";

/// A bound on the amount from above, for an allow, so that larger amounts match less.
fn allow() -> impl Strategy<Value = String> {
    let when = prop_oneof![
        Just("{ kind: transfer }".to_owned()),
        (1..2000_u32).prop_map(|usd| format!("{{ kind: transfer, usd: {{ lte: {usd} }} }}")),
        (1..2000_u32).prop_map(|usd| format!("{{ not: {{ usd: {{ gt: {usd} }} }} }}")),
        Just("{ to: \"0x1111111111111111111111111111111111111111\" }".to_owned()),
        (1..2000_u32).prop_map(|usd| format!(
            "{{ any: [{{ usd: {{ lt: {usd} }} }}, {{ chain: 1 }}], chain: 31337 }}"
        )),
    ];
    when.prop_map(|when| format!("when: {when}, then: allow"))
}

/// A bound from below, for what stops things, so that larger amounts match more.
fn stop() -> impl Strategy<Value = String> {
    let when = prop_oneof![
        (1..2000_u32).prop_map(|usd| format!("{{ usd: {{ gt: {usd} }} }}")),
        (1..2000_u32).prop_map(|usd| format!("{{ not: {{ usd: {{ lte: {usd} }} }} }}")),
        Just("{ to: \"0x9999999999999999999999999999999999999999\" }".to_owned()),
        (1..2000_u32).prop_map(|usd| format!(
            "{{ all: [{{ kind: transfer }}, {{ usd: {{ gte: {usd} }} }}] }}"
        )),
    ];
    let then = prop_oneof![Just("deny"), Just("{ approve: desk }"), Just("{ approve: board }")];
    (when, then).prop_map(|(when, then)| format!("when: {when}, then: {then}"))
}

fn limit() -> impl Strategy<Value = String> {
    let per = prop_oneof![Just("tx"), Just("1h"), Just("day"), Just("grant")];
    let over = prop_oneof![Just("deny"), Just("{ approve: desk }")];
    (per, 1..2000_u32, over)
        .prop_map(|(per, max, over)| format!("sum: usd, per: {per}, max: {max}, over: {over}"))
}

fn list(key: &str, items: &[String]) -> String {
    let lines =
        items.iter().enumerate().map(|(i, item)| format!("  - {{ id: {key}-{i}, {item} }}\n"));
    if items.is_empty() { String::new() } else { format!("{key}:\n{}", lines.collect::<String>()) }
}

fn build(kind: &str, rules: &[String], limits: &[String]) -> Policy {
    let (rules, limits) = (list("rules", rules), list("limits", limits));
    let source = format!("policy: p\nkind: {kind}\n{GATES}{rules}{limits}");
    Policy::parse(&source, "p.yaml").unwrap_or_else(|errors| panic!("{errors}\n{source}"))
}

fn parts() -> impl Strategy<Value = (Vec<String>, Vec<String>, Vec<String>)> {
    let some = |strategy| prop::collection::vec(strategy, 0..4);
    (prop::collection::vec(allow(), 1..4), some(stop().boxed()), some(limit().boxed()))
}

fn request() -> impl Strategy<Value = Vec<(u8, u64)>> {
    prop::collection::vec((0..2_u8, 0..2_500_000_u64), 1..3)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_larger_amount_is_never_more_allowed(
        (allows, stops, limits) in parts(),
        small in request(),
        more in 1..1_000_000_u64,
    ) {
        let rules = [allows, stops].concat();
        let policies = alone(build("grant", &rules, &limits));
        let mut large = small.clone();
        large[0].1 += more;
        prop_assert!(freedom(&policies, &large, true) <= freedom(&policies, &small, true));
    }

    #[test]
    fn one_action_more_is_never_more_allowed(
        (allows, stops, limits) in parts(),
        request in request(),
        another in (0..2_u8, 0..2_500_000_u64),
    ) {
        let policies = alone(build("grant", &[allows, stops].concat(), &limits));
        let mut longer = request.clone();
        longer.push(another);
        prop_assert!(freedom(&policies, &longer, true) <= freedom(&policies, &request, true));
    }

    #[test]
    fn the_order_of_rules_and_limits_never_matters(
        (allows, stops, limits) in parts(),
        request in request(),
        turn in 0..8_usize,
    ) {
        let rules = [allows, stops].concat();
        let (mut turned, mut turned_limits) = (rules.clone(), limits.clone());
        let by = turn % turned.len();
        turned.rotate_left(by);
        turned_limits.reverse();
        let before = alone(build("grant", &rules, &limits));
        let after = alone(build("grant", &turned, &turned_limits));
        for known in [true, false] {
            prop_assert_eq!(freedom(&before, &request, known), freedom(&after, &request, known));
        }
    }

    #[test]
    fn a_guard_never_allows_more(
        (allows, stops, limits) in parts(),
        (_, guards, guard_limits) in parts(),
        request in request(),
    ) {
        let grant = build("grant", &[allows, stops].concat(), &limits);
        let guard_limits: Vec<String> =
            guard_limits.into_iter().filter(|limit| !limit.contains("per: grant")).collect();
        let guard = build("guard", &guards, &guard_limits);
        let without = alone(grant.clone());
        let with = Policies { grant, guards: vec![guard] };
        for known in [true, false] {
            prop_assert!(freedom(&with, &request, known) <= freedom(&without, &request, known));
        }
    }

    #[test]
    fn a_stop_or_limit_more_never_allows_more(
        (allows, stops, limits) in parts(),
        (_, more_stops, more_limits) in parts(),
        request in request(),
    ) {
        let before = alone(build("grant", &[allows.clone(), stops.clone()].concat(), &limits));
        let rules = [allows, stops, more_stops].concat();
        let after = alone(build("grant", &rules, &[limits, more_limits].concat()));
        prop_assert!(freedom(&after, &request, true) <= freedom(&before, &request, true));
    }

    #[test]
    fn what_is_not_known_never_helps(
        (allows, stops, limits) in parts(),
        request in prop::collection::vec((0..2_u8, 1..2_500_000_u64), 1..3),
    ) {
        let policies = alone(build("grant", &[allows, stops].concat(), &limits));
        prop_assert!(freedom(&policies, &request, false) <= freedom(&policies, &request, true));
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "[ -~\n]{0,200}") {
        if let Err(errors) = Policy::parse(&text, "p.yaml") {
            prop_assert!(!errors.items.is_empty());
        }
    }

    #[test]
    fn no_words_of_the_language_in_any_order_make_the_reader_panic(
        words in prop::collection::vec(prop::sample::select(vec![
            "policy: p\n", "kind: grant\n", "rules:\n", "limits:\n", "  - ", "{ ", "} ", "[ ", "] ", "id: a, ",
            "when: ", "kind: call, ", "fn: \"f(uint256[] a)\", ", "args.a: ", "any: ", "then: allow, ", "usd: ",
            "lt: 1, ", "\n", "not: ", "@x", "sets: ", "gates: ", "tests: ", "given: ", "spend: ", "fields: ",
        ]), 0..40),
    ) {
        if let Err(errors) = Policy::parse(&words.concat(), "p.yaml") {
            prop_assert!(!errors.items.is_empty());
        }
    }
}
