//! Every policy that we show loads, without a warning, and its own tests pass.

use std::{fs, path::Path};

use countersign_policy::{Kind, Policy};

/// POLICY §2, word for word.
const SHOWN: &str = include_str!("examples/shown.yaml");

#[test]
fn every_example_loads_without_a_warning_and_has_a_denying_case() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies");
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let source = fs::read_to_string(&path).unwrap();
        let policy = Policy::parse(&source, &name).unwrap_or_else(|errors| panic!("{errors}"));
        let warnings: Vec<String> = policy.warnings().iter().map(ToString::to_string).collect();
        assert_eq!(warnings, Vec::<String>::new(), "{name}");
        let outcomes = policy.run_tests();
        assert!(outcomes.iter().any(|outcome| outcome.got.starts_with("deny")), "{name}");
        assert!(outcomes.iter().any(|outcome| outcome.got == "allow"), "{name}");
        found.push(name);
    }
    found.sort();
    let expected = [
        "default-fields.yaml",
        "dev.yaml",
        "dex-trader.yaml",
        "gallery-bot.yaml",
        "gas-capped-deployer.yaml",
        "org-guard.yaml",
        "payee-bot.yaml",
        "refund-desk.jsonlogic.yaml",
        "trading-fields.yaml",
        "treasury-board.yaml",
        "weekly-payouts.pact.yaml",
        "x402-payer.yaml",
    ];
    assert_eq!(found, expected);
}

#[test]
fn the_example_of_the_language_loads_as_it_is_printed() {
    let policy = Policy::parse(SHOWN, "shown.yaml").unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!((policy.name(), policy.kind()), ("treasury-bot", Kind::Grant));
    assert_eq!(policy.scope().agent.as_ref().unwrap().as_str(), "treasury-bot");
    assert_eq!(policy.expires().unwrap().to_string(), "2027-01-31T00:00:00Z");
    assert_eq!(
        policy.gates().iter().map(|gate| gate.id.as_str()).collect::<Vec<_>>(),
        ["desk", "board"]
    );
    assert_eq!(policy.operators(), ["alice", "bob", "carol", "risk"]);
    assert_eq!(policy.tokens(), ["usdc@8453"]);
    let rules: Vec<String> =
        policy.rules().map(|rule| format!("{} {}", rule.id, rule.then)).collect();
    assert_eq!(rules, ["pay allow", "swap allow", "revoke allow", "hours approve: desk"]);
    let functions = policy.functions();
    assert_eq!(functions.len(), 1);
    assert_eq!(functions[0].0.unwrap().to_string(), "0x2626664c2603336E57B271c5C0b26F421741e481");
    assert_eq!(functions[0].1.selector().to_string(), "0x04e45aaf");
    assert!(policy.run_tests().iter().all(|outcome| outcome.passed));
}

#[test]
fn a_token_that_only_a_test_names_is_no_dependency() {
    let source = "policy: p\nkind: grant\nrules: [{ id: r, when: { token: usdc@1 }, then: allow }]\ntests: [{ name: t, given: { token: dai@1 }, expect: deny }]";
    assert_eq!(Policy::parse(source, "p.yaml").unwrap().tokens(), ["usdc@1"]);
}

#[test]
fn what_is_the_same_judgement_is_the_same_version() {
    let policy = Policy::parse(SHOWN, "shown.yaml").unwrap();
    let again = Policy::parse(&policy.canonical_json(), "canonical.json").unwrap();
    assert_eq!(again.id(), policy.id());
    assert_eq!(again.canonical_json(), policy.canonical_json());
    let (with_tests, _) = SHOWN.split_once("tests:").unwrap();
    assert_eq!(Policy::parse(with_tests, "no-tests.yaml").unwrap().id(), policy.id());
    let other = Policy::parse(&SHOWN.replace("max: 500,", "max: 501,"), "shown.yaml").unwrap();
    assert_ne!(other.id(), policy.id());
}
