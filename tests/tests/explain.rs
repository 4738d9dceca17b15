//! `policy explain` says of a request what the running gateway says of it.
#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a failed test panics")]

use countersign_tests::{
    Setup, StoreKind, World,
    anvil::{ACCOUNTS, CHAIN},
    binary::{self, Said},
    config::{PAYEE, TOKEN},
    money::{USD, usd},
    owner::Owner,
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

/// What the gateway does with a call, in the words of a verdict; for what it cannot judge, its code.
async fn done(world: &World, call: &Value) -> [Value; 2] {
    let method = call["method"].as_str().expect("a method");
    match world.bot().call(method, call["params"].clone()).await {
        Ok(_) => ["allow", ""].map(Value::from),
        Err(refused) if refused.code == 4001 => [json!("deny"), refused.data["code"].clone()],
        Err(parked) if parked.code == -32002 => [json!("park"), parked.data["code"].clone()],
        Err(wrong) => [json!("error"), json!(wrong.message)],
    }
}

/// Asks all three of a call: `policy explain`, the simulation, and the door itself.
async fn is_judged(world: &World, call: Value, [outcome, code]: [&str; 2]) {
    let file = world.gateway.folder().join("request.json");
    std::fs::write(&file, call.to_string()).expect("a file");
    let expected = [json!(outcome), json!(code)];
    assert_eq!(explained(world, &["--request", "request.json"]), expected, "explain {call}");
    assert_eq!(simulated(world, &call).await, expected, "simulate {call}");
    assert_eq!(done(world, &call).await, expected, "{call}");
}

fn raw(bytes: &str) -> Value {
    json!({"method": "eth_sendRawTransaction", "params": [bytes]})
}

#[tokio::test(flavor = "multi_thread")]
async fn it_says_of_a_signed_transaction_what_its_door_says() {
    let world = World::start(setup()).await;
    let owner = Owner::of_account(1);
    let authorised = |key: &Owner| owner.delegates(PAYEE, 3, key.authorises(CHAIN, PAYEE, 0));
    for (bytes, expected) in [
        (owner.pays(PAYEE, 10 * USD, 0), ["allow", ""]),
        (owner.pays_by_price(false, PAYEE, 11 * USD, 1), ["allow", ""]),
        (owner.pays_by_price(true, PAYEE, 12 * USD, 2), ["allow", ""]),
        (owner.pays(PAYEE, 5, 3), ["deny", "dust"]),
        (owner.pays_by_price(false, STRANGER, 10 * USD, 3), ["deny", "no_rule_allows"]),
        (owner.pays_by_price(true, PAYEE, 600 * USD, 3), ["deny", "per_tx_limit_exceeded"]),
        (owner.pays(PAYEE, 200 * USD, 3), ["park", "amount_above_threshold"]),
        (authorised(&owner), ["deny", "dust"]),
        (authorised(&Owner::of_account(0)), ["deny", "externally_signed"]),
        (Owner::of_account(0).pays(PAYEE, 10 * USD, 0), ["deny", "externally_signed"]),
        (Owner::unknown().pays(PAYEE, 10 * USD, 0), ["deny", "externally_signed"]),
    ] {
        assert_eq!(explained(&world, &["--raw", &bytes]), expected.map(Value::from), "{bytes}");
        is_judged(&world, raw(&bytes), expected).await;
    }
}

fn bundle(from: &str, calls: &[(&str, u128)]) -> Value {
    let call = |(to, value): &(&str, u128)| json!({"to": to, "value": format!("{value:#x}")});
    let calls: Vec<Value> = calls.iter().map(call).collect();
    json!({"jsonrpc": "2.0", "id": 1, "method": "wallet_sendCalls", "params": [{
        "version": "2.0.0", "chainId": "0x7a69", "from": from, "atomicRequired": false, "calls": calls,
    }]})
}

#[tokio::test(flavor = "multi_thread")]
async fn it_says_of_each_call_of_a_bundle_and_of_all_together_what_the_gateway_says() {
    let world = World::start(setup()).await;
    let own = world.bot().wallet;
    for (calls, expected) in [
        (&[(PAYEE, 10 * USD)][..], ["allow", ""]),
        (&[(PAYEE, 10 * USD), (PAYEE, 20 * USD)], ["allow", ""]),
        (&[(PAYEE, 60 * USD), (PAYEE, 70 * USD)], ["park", "amount_above_threshold"]),
        (&[(PAYEE, 300 * USD), (PAYEE, 300 * USD)], ["deny", "per_tx_limit_exceeded"]),
        (&[(PAYEE, 10 * USD), (STRANGER, 10 * USD)], ["deny", "no_rule_allows"]),
        (&[(PAYEE, 10 * USD), (PAYEE, 5)], ["deny", "dust"]),
    ] {
        is_judged(&world, bundle(&own, calls), expected).await;
    }
    let calls = bundle(&own, &[(PAYEE, 60 * USD), (STRANGER, 70 * USD)]);
    std::fs::write(world.gateway.folder().join("request.json"), calls.to_string()).expect("a file");
    let asked = ["--config", "countersign.yaml", "--request", "request.json"];
    let told: Value = serde_json::from_str(&explain(&world, &asked).out).expect("JSON");
    let calls = told["calls"].as_array().expect("calls");
    let words: Vec<_> = calls.iter().map(|call| [&call["outcome"], &call["code"]]).collect();
    assert_eq!(words, [["allow", ""], ["deny", "no_rule_allows"]]);
    let command = ["policy", "explain", "policies/bot.yaml"];
    let shown = binary::run(world.gateway.folder(), &[&command, &asked[..]].concat()).out;
    for line in ["  call 2: transfer 0.07 ", "  call 1: allow\n", "  call 2: deny [no_rule_allows]"]
    {
        assert!(shown.contains(line), "{line} is not in {shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_reads_every_call_that_signs_and_refuses_in_the_words_of_the_door() {
    let world = World::start(setup()).await;
    let (own, other) = (world.bot().wallet, ACCOUNTS[1].1);
    let tx = |from: &str| json!([{"from": from, "to": PAYEE, "value": usd(10)}]);
    // another payment than that before it, which would be its repetition
    let dear =
        json!([{"from": own, "to": PAYEE, "value": usd(11), "maxFeePerGas": "0xba43b74000"}]);
    let typed = json!({"domain": {"chainId": CHAIN}, "primaryType": "A", "message": {"a": "1"},
        "types": {"EIP712Domain": [{"name": "chainId", "type": "uint256"}], "A": [{"name": "a", "type": "uint256"}]}});
    let call = |method: &str, params: Value| json!({"method": method, "params": params});
    for (call, expected) in [
        (call("eth_sendTransaction", tx(&own)), ["allow", ""]),
        (call("eth_sendTransaction", dear), ["deny", "fee_ceiling_exceeded"]),
        (call("eth_signTransaction", tx(&own)), ["allow", ""]),
        (call("personal_sign", json!(["hi", own])), ["deny", "no_rule_allows"]),
        (call("eth_sign", json!([own, "0x6869"])), ["deny", "no_rule_allows"]),
        (call("eth_signTypedData_v4", json!([own, typed])), ["deny", "no_rule_allows"]),
        (call("eth_signTypedData", json!([own, typed.to_string()])), ["deny", "no_rule_allows"]),
    ] {
        is_judged(&world, call, expected).await;
    }
    let blob = raw("0x03aa");
    let elsewhere = json!([{"from": own, "to": PAYEE, "value": "0x1", "chainId": "0x1"}]);
    for (call, words) in [
        (call("eth_sendTransaction", json!([{"to": PAYEE}])), "`from`: is missing"),
        (call("eth_sendTransaction", tx(other)), "signs for itself"),
        (call("personal_sign", json!(["hi", other])), "signs for itself"),
        (call("eth_sendTransaction", json!([])), "`params`: must be one transaction"),
        (call("eth_sendTransaction", elsewhere), "chain"),
        (call("wallet_sendCalls", json!([{"from": own, "calls": []}])), "`version`: is missing"),
        (blob, "`raw`: is a blob transaction (EIP-4844)"),
    ] {
        std::fs::write(world.gateway.folder().join("request.json"), call.to_string())
            .expect("a file");
        let said = explain(&world, &["--config", "countersign.yaml", "--request", "request.json"]);
        assert_eq!(said.code, 2, "{}", said.out);
        assert!(said.err.contains(words), "{call}: {}", said.err);
        let refused = world.bot().call("countersign_simulate", json!([call])).await;
        let refused = refused.expect_err("it cannot be judged");
        assert!(refused.message.contains(words), "{call}: {refused:?}");
        let refused = done(&world, &call).await;
        assert!(refused[1].as_str().is_some_and(|told| told.contains(words)), "{refused:?}");
    }
    for (request, words) in [
        ("[]", "explain one call at a time"),
        (r#"{"method":"eth_call","params":[]}"#, "`eth_call` signs nothing"),
        (r#"{"method":"wallet_sendTransaction"}"#, "`wallet_sendTransaction` is not a method"),
        (r#"{"method":"eth_sign","params":[],"extra":1}"#, "`extra`: is not a member of a call"),
        (r#"{"method":"eth_sign","params":[],"method":"eth_call"}"#, "the same key twice"),
        ("", "not JSON"),
    ] {
        std::fs::write(world.gateway.folder().join("request.json"), request).expect("a file");
        let said = explain(&world, &["--config", "countersign.yaml", "--request", "request.json"]);
        assert_eq!((said.code, said.out.as_str()), (2, ""), "{request}");
        assert!(said.err.contains(words), "{request}: {}", said.err);
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
