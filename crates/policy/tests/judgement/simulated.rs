//! What a simulation says of a call, and when it is needed.

use alloy_primitives::{Address, U256};
use countersign_core::{
    abi::{AbiFunction, AbiValue, DecodedCall},
    action::{Action, Effect, Outflow},
    fact::{Change, Fact, Facts, Simulated},
    identity::ChainId,
    token::Asset,
};
use countersign_policy::{Identity, Policies, decide, decision::Outcome};

use crate::scene::*;

const RULE: &str =
    "rules:\n  - { id: any, when: { kind: [call, transfer, revoke] }, then: allow }\n";

fn dollars(usd: u64) -> U256 {
    U256::from(usd * 1_000_000)
}

fn lost(asset: Asset, lost: U256) -> Change {
    Change { asset, lost, gained: U256::ZERO }
}

fn simulated(changes: Vec<Change>) -> Fact<Simulated> {
    Fact::Known(Simulated { wallet: WALLET, reverted: false, changes, approvals: vec![] })
}

fn call(takes: Option<u64>) -> Action {
    let outflow = |usd| Outflow { asset: Asset::Token(DOLLAR), amount: dollars(usd) };
    let spends = takes.map(|usd| vec![outflow(usd)]);
    Action { spends, ..action(Effect::Call, Some(STRANGER)) }
}

fn token_to(from: Address, usd: u64) -> Action {
    let asset = Asset::Token(DOLLAR);
    action(Effect::Transfer { asset, from, to: FRIEND, amount: dollars(usd) }, Some(DOLLAR))
}

fn worths(actions: Vec<Action>, simulated: Option<Fact<Simulated>>) -> Vec<Option<String>> {
    let facts = Facts { simulated, ..facts(actions) };
    let decision = decide(&intent(), &facts, &alone(grant(RULE)));
    decision.usd.iter().map(|usd| usd.map(|usd| usd.to_string())).collect()
}

#[test]
fn a_call_moves_what_is_simulated_or_what_is_decoded_whichever_is_more() {
    let out = |usd| Some(simulated(vec![lost(Asset::Token(DOLLAR), dollars(usd))]));
    for (takes, simulated, expect) in [
        (None, None, None),
        (None, Some(Fact::Unknown("no node".into())), None),
        (None, out(400), Some("400")),
        (None, out(0), Some("0")),
        (None, Some(simulated(vec![])), Some("0")),
        (Some(300), out(400), Some("400")),
        (Some(500), out(400), Some("500")),
        (Some(500), Some(Fact::Unknown("no node".into())), Some("500")),
        // nobody knows what that is worth
        (Some(500), Some(simulated(vec![lost(Asset::Token(FRIEND), U256::ONE)])), None),
    ] {
        let found = worths(vec![call(takes)], simulated.clone());
        assert_eq!(found[0].as_deref(), expect, "{takes:?} {simulated:?}");
    }
}

#[test]
fn what_would_fail_says_nothing_of_what_it_would_move() {
    let reverted = Simulated { wallet: WALLET, reverted: true, changes: vec![], approvals: vec![] };
    assert_eq!(worths(vec![call(None)], Some(Fact::Known(reverted.clone()))), [None]);
    let told = worths(vec![call(Some(5))], Some(Fact::Known(reverted)));
    assert_eq!(told, [Some("5".to_owned())]);
}

#[test]
fn value_and_what_other_actions_move_count_once() {
    let value = Action { value_wei: wei(2_000), ..call(None) };
    let out =
        simulated(vec![lost(Asset::Native, wei(2_000)), lost(Asset::Token(DOLLAR), dollars(3))]);
    assert_eq!(worths(vec![value], Some(out)), [Some("5".to_owned())]);
    let all = simulated(vec![lost(Asset::Token(DOLLAR), dollars(800))]);
    let told = worths(vec![token_to(WALLET, 300), call(None)], Some(all.clone()));
    assert_eq!(told, [Some("300".to_owned()), Some("500".to_owned())]);
    // what is moved from somebody else explains nothing
    let told = worths(vec![token_to(FRIEND, 300), call(None)], Some(all));
    assert_eq!(told, [Some("300".to_owned()), Some("800".to_owned())]);
}

fn code(facts: &Facts) -> Option<String> {
    match decide(&intent(), facts, &alone(grant(RULE))).outcome {
        Outcome::Deny(denial) => Some(denial.code),
        Outcome::Allow(_) | Outcome::Park(_) => None,
    }
}

#[test]
fn a_chain_that_requires_a_simulation_refuses_without_one() {
    let required = |simulated| {
        let facts = facts(vec![call(None)]);
        code(&Facts { simulated, simulation_required: true, ..facts })
    };
    let refused = Some("simulation_failed".to_owned());
    assert_eq!(required(None), refused);
    assert_eq!(required(Some(Fact::Unknown("no node".into()))), refused);
    assert_eq!(required(Some(simulated(vec![]))), None);
}

/// Attack PR-3.
#[test]
fn a_token_that_says_other_decimals_is_not_signed_for() {
    for (said, expect) in [(None, None), (Some(77_u64), Some("token_decimals_differ"))] {
        let mut facts = facts(vec![token_to(WALLET, 1)]);
        let token = facts.tokens.iter_mut().find(|t| t.asset == Asset::Token(DOLLAR)).unwrap();
        token.decimals_said = said.map(U256::from);
        assert_eq!(code(&facts).as_deref(), expect);
        facts.actions = vec![revoke()];
        assert_eq!(code(&facts), None, "authority that only shrinks needs no decimals");
    }
}

fn needs(policy: &str, action: Action) -> bool {
    let policies: Policies = alone(grant(policy));
    let intent = intent();
    let who = Identity { agent: &intent.agent, wallet: &intent.wallet, chain: ChainId(31337) };
    policies.need_simulation(who, &[action])
}

#[test]
fn a_simulation_is_needed_for_open_calls_and_for_rules_that_name_it() {
    let ping = AbiFunction::parse("ping(uint256 n)").unwrap();
    let args = AbiValue::Tuple(vec![("n".into(), AbiValue::Uint(U256::ONE))]);
    let read = DecodedCall { signature: ping.signature().to_owned(), args };
    let named = || Action { functions: vec![read.clone()], ..call(None) };
    let vouched = "rules:\n  - { id: a, spend: none, when: { kind: call, fn: \"ping(uint256 n)\" }, then: allow }\n";
    let pays = "rules:\n  - { id: a, when: { kind: transfer }, then: allow }\n";
    let asks = "rules:\n  - { id: a, when: { kind: transfer, sim.excess.usd: 0 }, then: allow }\n";
    let nested = "rules:\n  - { id: a, then: allow }\n  - { id: b, when: { kind: revoke, not: { any: [{ sim.reverted: false }] } }, then: deny }\n";
    for (policy, action, expect) in [
        (RULE, call(None), true),
        (RULE, call(Some(1)), false),
        (RULE, pay(FRIEND, 1), false),
        (RULE, named(), true),
        (vouched, named(), false),
        (vouched, call(None), true),
        (pays, call(None), false),
        (asks, pay(FRIEND, 1), true),
        (asks, revoke(), false),
        (nested, revoke(), true),
        (nested, pay(FRIEND, 1), false),
    ] {
        assert_eq!(needs(policy, action.clone()), expect, "{policy} {action:?}");
    }
}
