//! Policies that do not fit the configuration that names them.

use std::{fs, path::Path};

use tempfile::TempDir;

use super::load;

const CONFIGURATION: &str = r#"chains:
  - { id: 31337, upstream: ["http://127.0.0.1:8545"], tokens: [ { id: usdc, address: "0x1111111111111111111111111111111111111111", decimals: 6, price: USD } ] }
wallets:
  - { id: ops-1, address: "0x3333333333333333333333333333333333333333", signer: { keystore: key, password_file: key } }
agents:
  - { id: bot, token_sha256: "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", wallets: [ops-1], policy: bot.yaml, owner: alice }
operators:
  - { id: alice, token_sha256: "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", roles: [view, approve] }
  - { id: bob, token_sha256: "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc", roles: [view, approve], groups: [desk] }
prices: { sources: [ { static: { ETH: "3000", USD: "1" } } ] }
"#;

const POLICY: &str = r"policy: bot
kind: grant
for: { agent: bot, wallets: [ops-1], chains: [31337] }
gates:
  ask: { need: [{ any: 1, of: [desk] }], ttl: 1h }
rules:
  - { id: pay, when: { kind: transfer, token: usdc@31337 }, then: allow }
limits:
  - { id: ask, sum: usd, per: tx, max: 100, over: { approve: ask } }
  - { id: day, sum: usd, per: 24h, max: 1000 }
";

/// Problems and warnings of a configuration with this policy.
fn said(configuration: &str, policy: &str) -> (Vec<String>, Vec<String>) {
    let folder = TempDir::new().unwrap();
    for (name, text) in [("countersign.yaml", configuration), ("bot.yaml", policy), ("key", "")] {
        let file = folder.path().join(name);
        fs::write(&file, text).unwrap();
        keep_private(&file);
    }
    let prefix = format!("{}/", folder.path().display());
    let shown = |problem: &crate::config::Problem| problem.to_string().replace(&prefix, "");
    match load(&folder.path().join("countersign.yaml")) {
        Ok(loaded) => (Vec::new(), loaded.warnings.iter().map(shown).collect()),
        Err(problems) => (problems.0.iter().map(shown).collect(), Vec::new()),
    }
}

fn keep_private(file: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn a_policy_that_fits_is_taken_without_a_word() {
    assert_eq!(said(CONFIGURATION, POLICY), (Vec::new(), Vec::new()));
}

#[test]
fn what_agents_have_in_common_is_read_once_and_told_once() {
    let another = "  - { id: bot-2, token_sha256: \"dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd\", wallets: [ops-1], policy: bot.yaml, owner: alice }\noperators:";
    let two = CONFIGURATION.replace("operators:", another);
    let shared = POLICY.replace("agent: bot, ", "");
    assert_eq!(said(&two, &shared), (Vec::new(), Vec::new()));
    let broken = shared.replace("kind: transfer", "kind: transfre");
    let (problems, _) = said(&two, &broken);
    assert!(!problems.is_empty());
    assert_eq!(problems, said(CONFIGURATION, &broken).0);
}

#[test]
fn where_keys_are_pinned_every_policy_is_signed() {
    let key = format!("ed25519:{}", "00".repeat(32));
    let pinned = format!("{CONFIGURATION}policy_changes: {{ keys: [\"{key}\"] }}\n");
    let (wrong, _) = said(&pinned, POLICY);
    let [one] = wrong.as_slice() else { panic!("{wrong:?}") };
    assert!(one.starts_with("countersign.yaml:6:124: `bot.yaml`"), "{one}");
    assert!(one.contains("is not signed") && one.contains("policy sign"), "{one}");
    let (wrong, _) = said(&pinned.replace("ed25519:", ""), POLICY);
    assert!(wrong.iter().any(|problem| problem.contains("64 hex digits")), "{wrong:?}");
}

#[test]
fn what_a_policy_names_must_be_in_the_configuration() {
    let wrong: Vec<String> = [
        ("agent: bot", "agent: bat", "countersign.yaml:6:124: `bot.yaml` is for the agent `bat`, not for `bot`"),
        ("wallets: [ops-1]", "wallets: [ops-2]", "bot.yaml:3:30: there is no wallet `ops-2` in the configuration; did you mean `ops-1`?"),
        ("chains: [31337]", "chains: [1]", "bot.yaml:3:47: there is no chain `1` in the configuration"),
        ("token: usdc@31337", "token: usdt@31337", "bot.yaml:7:47: there is no token `usdt@31337` in the configuration; did you mean `usdc@31337`?"),
        ("of: [desk]", "of: [desks]", "bot.yaml:5:32: there is no operator or group `desks` in the configuration; did you mean `desk`?"),
        ("max: 1000", "max: 1.5", "bot.yaml:10:"),
    ]
    .iter()
    .filter_map(|(from, to, expected)| {
        let (problems, _) = said(CONFIGURATION, &POLICY.replace(from, to));
        let hit = problems.iter().any(|problem| problem.starts_with(expected));
        (!hit).then(|| format!("`{from}` -> `{to}`: {problems:#?}"))
    })
    .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_token_that_only_a_test_names_need_not_exist() {
    let tests = "tests:\n  - { name: other, given: { kind: transfer, token: dai@1, usd: 1 }, expect: { deny: no_rule_allows } }\n";
    assert_eq!(said(CONFIGURATION, &format!("{POLICY}{tests}")).0, Vec::<String>::new());
}

#[test]
fn a_gate_that_nobody_can_open_is_a_warning() {
    let (_, warnings) = said(CONFIGURATION, &POLICY.replace("of: [desk]", "of: [alice]"));
    assert_eq!(warnings.len(), 1);
    assert!(
        warnings[0].starts_with("bot.yaml:5:3: nobody can open the gate `ask`"),
        "{warnings:?}"
    );
}

#[test]
fn a_guard_is_listed_as_a_guard() {
    let guards = format!("{CONFIGURATION}guards: [ bot.yaml ]\n");
    let (problems, _) = said(&guards, POLICY);
    assert_eq!(
        problems,
        ["countersign.yaml:11:11: `bot.yaml` is a grant: name it as an agent's `policy`"]
    );
}

#[test]
fn a_guard_is_no_agents_policy() {
    let guard =
        "policy: org\nkind: guard\nlimits:\n  - { id: day, sum: usd, per: 24h, max: 1000 }\n";
    let (problems, _) = said(CONFIGURATION, guard);
    assert_eq!(
        problems,
        [
            "countersign.yaml:6:124: `bot.yaml` is a guard: an agent needs a grant; list it under `guards`"
        ]
    );
}

#[test]
fn problems_of_the_configuration_and_of_its_policies_come_together() {
    let (problems, _) = said(
        &CONFIGURATION.replace("price: USD", "prize: USD"),
        &POLICY.replace("max: 100,", "max: x,"),
    );
    let files: Vec<&str> = problems.iter().map(|p| p.split(':').next().unwrap()).collect();
    assert_eq!(files, ["countersign.yaml", "bot.yaml"], "{problems:?}");
}
