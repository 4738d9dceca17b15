//! What a registered layout says that a call takes, beside what a rule says of it.

use alloy_primitives::U256;
use countersign_core::{
    abi::{AbiFunction, AbiValue, DecodedCall},
    action::{Action, Effect, Outflow},
    token::Asset,
};
use countersign_policy::decide;

use crate::scene::*;

/// A call that takes so many dollars by its layout, and names so many in its argument.
fn call(takes: Option<&[u64]>, named: u64) -> Action {
    let dollars = |usd: &u64| U256::from(usd * 1_000_000);
    let outflow = |usd| Outflow { asset: Asset::Token(DOLLAR), amount: dollars(usd) };
    let swap = AbiFunction::parse("swap(uint256 n)").unwrap();
    Action {
        selector: Some(swap.selector()),
        functions: vec![DecodedCall {
            signature: swap.signature().to_owned(),
            args: AbiValue::Tuple(vec![("n".into(), AbiValue::Uint(dollars(&named)))]),
        }],
        spends: takes.map(|takes| takes.iter().map(outflow).collect()),
        ..action(Effect::Call, Some(STRANGER))
    }
}

fn worth(spend: &str, action: Action) -> Option<String> {
    let rule = format!(
        "rules:\n  - {{ id: swap, {spend} when: {{ kind: call, target: \"{STRANGER}\", fn: \"swap(uint256 n)\" }}, then: allow }}\n"
    );
    let decision = decide(&intent(), &facts(vec![action]), &alone(grant(&rule)));
    decision.usd[0].map(|usd| usd.to_string())
}

#[test]
fn a_layouts_word_is_enough_and_is_never_added_to_a_rules() {
    let said = "spend: { token: usdc@31337, amount: args.n },";
    let none = "spend: none,";
    for (spend, takes, named, expect) in [
        ("", None, 0, None),
        ("", Some(&[][..]), 0, Some("0")),
        ("", Some(&[400, 30]), 0, Some("430")),
        (none, None, 0, Some("0")),
        (none, Some(&[400]), 0, Some("400")),
        (said, None, 400, Some("400")),
        (said, Some(&[400]), 400, Some("400")),
        (said, Some(&[300]), 400, Some("400")),
        (said, Some(&[500]), 400, Some("500")),
    ] {
        let found = worth(spend, call(takes, named));
        assert_eq!(found.as_deref(), expect, "{spend} {takes:?} {named}");
    }
    let mut unbounded = call(Some(&[1]), 0);
    unbounded.spends.as_mut().unwrap()[0].amount = U256::MAX;
    assert_eq!(worth(none, unbounded), None);
}
