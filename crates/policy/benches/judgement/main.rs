//! What `decide` costs, against the rules, their sets and the leaves: `cargo bench -p countersign-policy`.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::print_stdout,
    reason = "a benchmark that cannot set its scene must fail"
)]
#![expect(dead_code, reason = "the scene is that of the tests, and not all of it is needed")]

#[path = "../../tests/judgement/scene.rs"]
mod scene;
#[path = "../../../decode/benches/reading/stopwatch.rs"]
mod stopwatch;

use alloy_primitives::Address;
use countersign_core::fact::Facts;
use countersign_policy::{Policies, Policy, decide, decision::Outcome};

use self::{
    scene::{FRIEND, alone, facts, grant, intent, pay},
    stopwatch::time,
};

fn main() {
    for rules in [1, 20, 100, 1000] {
        let policies = alone(grant(&text(rules, 1)));
        let facts = facts(vec![pay(FRIEND, 1)]);
        measure("decide: one payment, rules", rules, &facts, &policies);
    }
    for leaves in [1, 16, 256] {
        let policies = alone(grant(&text(20, 1)));
        let facts = facts(vec![pay(FRIEND, 1); leaves]);
        measure("decide: 20 rules, leaves", leaves, &facts, &policies);
    }
    for members in [1, 100, 1000] {
        let policies = alone(grant(&text(20, members)));
        let facts = facts(vec![pay(FRIEND, 1)]);
        measure("decide: 20 rules, members of each set", members, &facts, &policies);
    }
    for rules in [1, 20, 100, 1000] {
        let source = format!("policy: grant\nkind: grant\n{}", text(rules, 1));
        time("reading a policy, rules", rules, || Policy::parse(&source, "grant.yaml").unwrap());
    }
}

fn measure(what: &str, size: usize, facts: &Facts, policies: &Policies) {
    let intent = intent();
    let decision = decide(&intent, facts, policies);
    assert!(matches!(decision.outcome, Outcome::Allow(_)), "{:?}", decision.outcome);
    time(what, size, || decide(&intent, facts, policies));
}

/// Of the rules the last one allows. The others speak of other payees, tokens, functions and approvals in turn, as a grown
/// policy does.
fn text(rules: usize, members: usize) -> String {
    let payees = (1..members).map(|n| format!("\"{}\"", payee(n)));
    let payees: Vec<String> = payees.chain([format!("\"{FRIEND}\"")]).collect();
    let others = (1..rules).map(|n| {
        let when = match n % 4 {
            0 => format!("kind: transfer, to: \"{}\", usd: {{ lte: {n} }}", payee(n)),
            1 => format!("kind: transfer, token: usdc@31337, to: \"{}\"", payee(n)),
            2 => format!("kind: call, target: \"{}\", fn: \"f{n}(uint256 a, address b)\", args.a: {{ lt: {n} }}", payee(n)),
            _ => format!("kind: approve, spender: \"{}\", unlimited: false", payee(n)),
        };
        format!("  - {{ id: r{n}, when: {{ {when} }}, then: allow }}\n")
    });
    let others: String = others.collect();
    format!(
        "sets: {{ payees: [{}] }}\nrules:\n{others}  - {{ id: pay, when: {{ kind: transfer, to: {{ in: \"@payees\" }} }}, then: allow }}\nlimits:\n  - {{ id: tx, sum: usd, per: tx, max: 100000 }}\n  - {{ id: day, sum: usd, per: 24h, max: 1000000 }}\n",
        payees.join(", ")
    )
}

fn payee(n: usize) -> Address {
    let mut bytes = [0x77; 20];
    bytes[..8].copy_from_slice(&n.to_be_bytes());
    bytes.into()
}
