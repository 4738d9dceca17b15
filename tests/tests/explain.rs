//! `policy explain` says of a request what the running gateway says of it.
#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a failed test panics")]

use countersign_tests::{
    Setup, StoreKind, World,
    anvil::ACCOUNTS,
    binary::{self, Said},
    config::{PAYEE, TOKEN},
    money::usd,
    place,
};
use serde_json::{Value, json};

/// It names neither agent nor wallet: whoever asks under it may pay, and let the payee take dollars.
const POLICY: &str = r#"
policy: bot
kind: grant
gates:
  desk: { need: [{ any: 1, of: [alice] }], ttl: 1h }
rules:
  - { id: pay, when: { kind: transfer, to: "PAYEE" }, then: allow }
  - { id: permit, when: { kind: approve, token: usdc@31337, spender: "PAYEE" }, then: allow }
limits:
  - { id: cap, sum: usd, per: tx, max: 500 }
  - { id: large, sum: usd, per: tx, max: 100, over: { approve: desk } }
"#;

const GUARD: &str = r"
policy: org
kind: guard
rules:
  - { id: no-dust, when: { kind: transfer, amount: { lt: 10 } }, then: deny, code: dust }
";

const STRANGER: &str = "0x9999999999999999999999999999999999999999";

fn setup() -> Setup {
    let mut setup = Setup::new(StoreKind::Embedded).with_owner_of(1);
    setup = setup.with(|bot| bot.policy = POLICY.replace("PAYEE", PAYEE));
    setup.files.push(("policies/org.yaml".into(), GUARD.into()));
    setup
        .changes
        .push(("app: default\n".into(), "app: default\nguards: [policies/org.yaml]\n".into()));
    setup
}

fn explain(world: &World, arguments: &[&str]) -> Said {
    let policy = ["policy", "explain", "policies/bot.yaml", "--output", "json"];
    binary::run(world.gateway.folder(), &[&policy, arguments].concat())
}

/// Outcome and code as `policy explain` has them.
fn explained(world: &World, arguments: &[&str]) -> [Value; 2] {
    let said = explain(world, &[&["--config", "countersign.yaml"], arguments].concat());
    assert_eq!(said.code, 0, "{arguments:?}: {}{}", said.out, said.err);
    let told: Value = serde_json::from_str(&said.out).expect("JSON");
    [told["outcome"].clone(), told["code"].clone()]
}

/// The same as the gateway has them.
async fn simulated(world: &World, request: &Value) -> [Value; 2] {
    let told = world.bot().call("countersign_simulate", json!([request])).await.expect("a verdict");
    let code = told["code"].as_str().unwrap_or_default();
    [told["outcome"].clone(), json!(code)]
}

#[tokio::test(flavor = "multi_thread")]
async fn it_says_of_each_call_what_the_gateway_says() {
    let world = World::start(setup()).await;
    let other = ACCOUNTS[1].1;
    let to = |to: &str, value: &str, from: &str| json!({"from": from, "to": to, "value": value});
    let own = world.bot().wallet;
    let transfer_from = |from: &str| {
        let padded =
            |address: &str| format!("{:0>64}", address.trim_start_matches("0x").to_lowercase());
        let data = format!("0x23b872dd{}{}{:064x}", padded(from), padded(PAYEE), 5);
        json!({"from": own, "to": TOKEN, "data": data})
    };
    for (request, outcome, code) in [
        (to(PAYEE, &usd(10), &own), "allow", ""),
        (to(PAYEE, &usd(10), other), "allow", ""),
        (to(PAYEE, "0x5", &own), "deny", "dust"),
        (to(PAYEE, &usd(200), &own), "park", "amount_above_threshold"),
        (to(PAYEE, &usd(600), other), "deny", "per_tx_limit_exceeded"),
        (to(STRANGER, &usd(10), &own), "deny", "no_rule_allows"),
        (transfer_from(&own), "deny", "dust"),
    ] {
        let ours = explained(&world, &["--tx", &request.to_string()]);
        assert_eq!(ours, simulated(&world, &request).await, "{request}");
        assert_eq!(ours, [json!(outcome), json!(code)], "{request}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_says_who_asks_and_who_signs() {
    let world = World::start(setup()).await;
    let other = ACCOUNTS[1].1;
    let payment = ["--to", PAYEE, "--value", "0.01"];
    let as_agent = [&["--agent", "bot"][..], &payment].concat();
    assert_eq!(explained(&world, &as_agent), ["allow", ""].map(Value::from));
    let as_wallet = [&["--wallet", other][..], &payment].concat();
    assert_eq!(explained(&world, &as_wallet), ["allow", ""].map(Value::from));
    for (arguments, words) in [
        (&["--config", "countersign.yaml", "--agent", "nobody"][..], "no agent `nobody`"),
        (&["--config", "countersign.yaml", "--wallet", STRANGER], "no wallet of the configuration"),
    ] {
        let said = explain(&world, &[arguments, &payment].concat());
        assert_eq!(said.code, 2, "{}", said.out);
        assert!(said.err.contains(words), "{}", said.err);
    }
    let shown = binary::run(
        world.gateway.folder(),
        &[
            &[
                "policy",
                "explain",
                "policies/bot.yaml",
                "--config",
                "countersign.yaml",
                "--wallet",
                other,
            ][..],
            &payment,
        ]
        .concat(),
    );
    assert!(
        shown.out.contains(&format!("Asked by bot, from ops-1 {other}, on chain 31337")),
        "{}",
        shown.out
    );
    let said = explain(&world, &[&["policies/org.yaml"][..], &payment].concat());
    assert_eq!(said.code, 2, "{}", said.out);
    assert!(said.err.contains("name one file"), "{}", said.err);
}

#[test]
fn a_pact_is_explained_as_if_it_were_approved() {
    let file = place::checkout().join("policies/weekly-payouts.pact.yaml");
    let file = file.to_string_lossy().into_owned();
    let folder = tempfile::tempdir().expect("a folder");
    let payment = ["policy", "explain", file.as_str(), "--output", "json", "--to", STRANGER];
    let codes = [&[][..], &["--approved"]].map(|more| {
        let said = binary::run(folder.path(), &[&payment[..], more].concat());
        let told: Value = serde_json::from_str(&said.out).expect("JSON");
        told["code"].clone()
    });
    assert_eq!(codes, ["grant_pending", "no_rule_allows"].map(Value::from));
}

#[test]
fn without_a_request_it_says_what_a_policy_says_in_the_core_language() {
    let policies = place::checkout().join("policies");
    let files = ["weekly-payouts.pact.yaml", "default-fields.yaml"].map(|name| policies.join(name));
    let files = files.map(|file| file.to_string_lossy().into_owned());
    let [pact, fields] = &files;
    let folder = tempfile::tempdir().expect("a folder");
    let said = binary::run(folder.path(), &["policy", "explain", pact, fields]);
    assert_eq!(said.code, 0, "{}", said.err);
    for part in ["weekly-payouts", "rules", "limits", "0x1111111111111111111111111111111111111111"]
    {
        assert!(said.out.contains(part), "{part} is not said in {}", said.out);
    }
    let said = binary::run(folder.path(), &["policy", "explain", fields, "--output", "json"]);
    let core: Value = serde_json::from_str(&said.out).expect("JSON");
    assert!(core["rules"].is_array(), "{core}");
}
