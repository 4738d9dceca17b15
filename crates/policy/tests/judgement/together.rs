//! Bundles of calls: each call and the sum are judged, and the least permissive wins.

use alloy_primitives::{Address, B256};
use countersign_core::{
    bundle::{Bundle, BundleHandle, Call},
    charge::Charge,
    fact::{CallFacts, Facts},
    intent::{Intent, Method},
};
use countersign_policy::{charges, decide, decision::Outcome};

use crate::scene::*;

const RULE: &str = "rules:\n  - { id: pay, when: { kind: transfer, to: { in: [\"0x1111111111111111111111111111111111111111\"] } }, then: allow }\n";

/// Sends of so many thousandths of a USD each, with a fee of one such thousandth.
fn bundle(calls: &[(Address, u64)]) -> (Intent, Facts) {
    let one = intent();
    let plan = one.plan().unwrap().clone();
    let call = Call { plan, data_fee_max: wei(1) };
    let count = u32::try_from(calls.len()).unwrap();
    let rest = vec![call; calls.len() - 1];
    let handle = BundleHandle(B256::repeat_byte(1));
    let bundle = Box::new(Bundle { handle, id: None, index: 0, count, rest });
    let share = CallFacts { actions: 1, gas: 21_000, fee_wei_max: wei(1), simulated: None };
    let facts = Facts {
        fee_wei_max: wei(u64::from(count)),
        calls: vec![share; calls.len()],
        ..facts(calls.iter().map(|(to, usd)| pay(*to, *usd)).collect())
    };
    let whole = Intent { method: Method::SendCalls, data_fee_max: wei(1), ..one };
    (Intent { bundle: Some(bundle), ..whole }, facts)
}

fn amounts(charges: &[Charge]) -> Vec<u64> {
    charges.iter().map(|charge| charge.amount().unwrap()).collect()
}

fn says(limits: &str, calls: &[(Address, u64)]) -> String {
    let (intent, facts) = bundle(calls);
    let decision = decide(&intent, &facts, &alone(grant(&format!("{RULE}limits:\n{limits}"))));
    match decision.outcome {
        Outcome::Allow(_) => "allow".into(),
        Outcome::Park(hold) => format!("park {} {}", hold.code(), hold.gates().len()),
        Outcome::Deny(denial) => format!("deny {}", denial.code),
    }
}

#[test]
fn limits_and_gates_see_the_sum_and_rules_see_every_call() {
    let cap = "  - { id: cap, sum: usd, per: tx, max: 100, code: too_much }\n";
    let day = "  - { id: day, sum: usd, per: 24h, max: 100, code: day_over }\n";
    let fees = "  - { id: fees, sum: fee_usd, per: tx, max: \"0.0025\", code: fee_over }\n";
    let many = "  - { id: many, count: action, per: tx, max: 2, code: too_many }\n";
    let usd = 1000;
    for (limits, calls, expected) in [
        (cap, &[(FRIEND, 50 * usd), (FRIEND, 50 * usd)][..], "allow"),
        (cap, &[(FRIEND, 50 * usd), (FRIEND, 50 * usd + 1)], "deny too_much"),
        (cap, &[(FRIEND, 1), (STRANGER, 1), (FRIEND, 1)], "deny no_rule_allows"),
        // each fits the window, and all of them do not
        (day, &[(FRIEND, 60 * usd), (FRIEND, 60 * usd)], "deny day_over"),
        (fees, &[(FRIEND, 1), (FRIEND, 1)], "allow"),
        (fees, &[(FRIEND, 1), (FRIEND, 1), (FRIEND, 1)], "deny fee_over"),
        (many, &[(FRIEND, 1), (FRIEND, 1), (FRIEND, 1)], "deny too_many"),
    ] {
        assert_eq!(says(limits, calls), expected, "{limits} {calls:?}");
    }
}

#[test]
fn a_permit_is_split_into_what_each_call_takes_and_nothing_is_lost() {
    let limits = "limits:\n  - { id: day, sum: usd, per: 24h, max: 100 }\n  - { id: n, count: tx, per: 24h, max: 9 }\n";
    let policies = alone(grant(&format!("{RULE}{limits}")));
    let (intent, facts) = bundle(&[(FRIEND, 10_000), (FRIEND, 20_000), (FRIEND, 30_000)]);
    let Outcome::Allow(permit) = decide(&intent, &facts, &policies).outcome else {
        panic!("allowed")
    };
    let whole = permit.charges().to_vec();
    assert_eq!(charges(&intent, &facts, &policies), whole);
    let parts = permit.split();
    assert_eq!(parts.len(), 3);
    for (index, (part, usd)) in parts.iter().zip([10, 20, 30]).enumerate() {
        let mine = part.intent().bundle.as_ref().unwrap();
        assert_eq!((mine.index, mine.is_whole()), (u32::try_from(index).unwrap(), false));
        assert_eq!(amounts(part.charges()), [usd * 1_000_000 + 1000, 1]);
        // what was split is judged by its own part of the bundle's facts
        assert_eq!(charges(part.intent(), &facts, &policies), part.charges());
    }
    let shared: Vec<Charge> = parts.iter().flat_map(|part| part.charges().to_vec()).collect();
    assert_eq!(shared, whole);
}

#[test]
fn facts_that_are_not_of_these_calls_allow_nothing() {
    let policies = alone(grant(RULE));
    let (intent, facts) = bundle(&[(FRIEND, 1), (FRIEND, 1), (FRIEND, 1)]);
    let with = |calls: Vec<CallFacts>| Facts { calls, ..facts.clone() };
    let share = facts.calls[0].clone();
    let greedy = CallFacts { actions: 3, ..share.clone() };
    let empty = CallFacts { actions: 0, ..share.clone() };
    for facts in [
        with(vec![share.clone(); 2]),
        with(vec![share.clone(); 4]),
        with(vec![share.clone(), share, empty.clone()]),
        with(vec![greedy, empty.clone(), empty]),
    ] {
        let outcome = decide(&intent, &facts, &policies).outcome;
        assert!(matches!(outcome, Outcome::Deny(_)), "{:?}", facts.calls);
    }
}
