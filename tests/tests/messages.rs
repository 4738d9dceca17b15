//! Messages through the real door: real clients agree with every digest, what a signature could move is charged before
//! it is made, and people are asked as for a payment.
#![expect(clippy::expect_used, reason = "a failed test panics")]

use std::{collections::BTreeMap, path::PathBuf};

use countersign_tests::{
    Setup, StoreKind, World,
    config::{PAYEE, STRANGER, TOKEN},
    place, wait,
};
use serde_json::{Value, json};
use tokio::process::Command;

/// Signs whatever can be read.
const EVERYTHING: &str = "
policy: bot
kind: grant
rules:
  - { id: all, when: { kind: [text, typed_data, approve, transfer, revoke, call, delegate] }, then: allow }
";

/// Allowances for a payee, up to 1 000 USD in any 24 hours; logins at one site; a person for what begins with `please`.
const CAREFUL: &str = r#"
policy: bot
kind: grant
sets:
  payees: ["0x1111111111111111111111111111111111111111"]
gates:
  desk: { need: [{ any: 1, of: [alice] }], ttl: 1h }
rules:
  - { id: permit, when: { kind: approve, via: signature, spender: { in: "@payees" } }, then: allow }
  - { id: login, when: { kind: text, siwe.domain: shop.example }, then: allow }
  - { id: words, when: { kind: text, text: { matches: "^please .*$" } }, then: allow }
  - { id: asks, when: { kind: text, text: { matches: "^please .*$" } }, then: { approve: desk } }
limits:
  - { id: day, sum: usd, per: 24h, max: 1000 }
"#;

async fn world(store: StoreKind, policy: &str) -> World {
    World::start(Setup::new(store).with(|bot| bot.policy = policy.into())).await
}

/// What a client reads from each signature as its signer is the wallet.
async fn signs_everything(program: PathBuf, script: &str) {
    let world = world(StoreKind::Embedded, EVERYTHING).await;
    let bot = world.bot();
    let client = Command::new(program)
        .args([script, &bot.url(), &bot.wallet])
        .current_dir(place::clients())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(wait::PATIENCE, client).await.expect("it ends in time");
    let output = output.expect("the client starts");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    let text = String::from_utf8_lossy(&output.stdout);
    let signers: BTreeMap<String, String> = serde_json::from_str(&text).expect("a JSON object");
    assert!(signers.len() >= 17, "{signers:?}");
    for (message, signer) in &signers {
        assert!(signer.eq_ignore_ascii_case(&bot.wallet), "{message}: {signer}");
    }
    assert_eq!(world.alice().signed().await, signers.len());
    assert!(world.tap.writes().is_empty(), "no node hears of a message");
}

#[tokio::test(flavor = "multi_thread")]
async fn viem() {
    signs_everything(place::program("node", "COUNTERSIGN_NODE", &[]), "sign_viem.mjs").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ethers() {
    signs_everything(place::program("node", "COUNTERSIGN_NODE", &[]), "sign_ethers.mjs").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn web3_py() {
    let python = place::program("python", "COUNTERSIGN_PYTHON", &place::web3py_folders());
    signs_everything(python, "sign_web3py.py").await;
}

/// An ERC-2612 permit over so many whole tokens of one USD each.
fn permit(owner: &str, spender: &str, tokens: u64, nonce: u64) -> Value {
    let field = |name: &str, kind: &str| json!({"name": name, "type": kind});
    json!({
        "types": {
            "EIP712Domain": [
                field("name", "string"), field("version", "string"),
                field("chainId", "uint256"), field("verifyingContract", "address"),
            ],
            "Permit": [
                field("owner", "address"), field("spender", "address"), field("value", "uint256"),
                field("nonce", "uint256"), field("deadline", "uint256"),
            ],
        },
        "primaryType": "Permit",
        "domain": {"name": "USD Coin", "version": "2", "chainId": 31337, "verifyingContract": TOKEN},
        "message": {
            "owner": owner, "spender": spender, "value": tokens.saturating_mul(1_000_000).to_string(),
            "nonce": nonce, "deadline": "1900000000",
        },
    })
}

async fn a_permit_is_charged_like_a_payment(store: StoreKind) {
    let world = world(store, CAREFUL).await;
    let bot = world.bot();
    let sign = async |spender: &str, tokens, nonce| {
        let data = permit(&bot.wallet, spender, tokens, nonce);
        bot.call("eth_signTypedData_v4", json!([bot.wallet, data.to_string()])).await
    };
    let signature = sign(PAYEE, 600, 0).await.expect("an allowed permit");
    assert_eq!(signature.as_str().map(str::len), Some(132));
    let over = sign(PAYEE, 600, 1).await.expect_err("more than is left");
    assert_eq!((over.code, over.text("code")), (4001, "rolling_limit_exceeded"));
    let budget = bot.call("countersign_budget", json!([])).await.expect("a budget");
    assert_eq!(budget.pointer("/0/used"), Some(&json!("600")), "{budget}");
    let stranger = sign(STRANGER, 1, 1).await.expect_err("a stranger");
    assert_eq!(stranger.text("code"), "no_rule_allows");
    let others = permit(STRANGER, PAYEE, 1, 1);
    let others = bot.call("eth_signTypedData_v4", json!([bot.wallet, others])).await;
    assert_eq!(others.expect_err("another owner's").code, 4001);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_permit_is_charged_like_a_payment_embedded() {
    a_permit_is_charged_like_a_payment(StoreKind::Embedded).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_permit_is_charged_like_a_payment_redis() {
    a_permit_is_charged_like_a_payment(StoreKind::Redis).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn people_see_what_they_sign_and_the_agent_collects_it() {
    let world = world(StoreKind::Redis, CAREFUL).await;
    let bot = world.bot();
    let params = json!(["please sign this", bot.wallet]);
    let parked = bot.call("personal_sign", params.clone()).await.expect_err("people are asked");
    let id = parked.operation();
    let shown = world.alice().pending(&id).await.to_string();
    assert!(shown.contains("please sign this"), "{shown}");
    assert_eq!(world.alice().approve(&id).await.status, 200);
    let signed = wait::until("the approved message to be signed", async || {
        let operation = bot.operation(&id).await.expect("an operation");
        operation.get("result").filter(|result| result.is_string()).cloned()
    })
    .await;
    assert_eq!(signed.as_str().map(str::len), Some(132));
    assert_eq!(world.tap.writes(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_is_for_the_site_that_the_policy_names() {
    let world = world(StoreKind::Embedded, CAREFUL).await;
    let bot = world.bot();
    let account = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
    assert!(account.eq_ignore_ascii_case(&bot.wallet), "a login has the checksum of EIP-55");
    let login = |domain: &str, chain: u64| {
        format!(
            "{domain} wants you to sign in with your Ethereum account:\n{account}\n\nHello.\n\nURI: https://{domain}/login\nVersion: 1\nChain ID: {chain}\nNonce: 32891756\nIssued At: 2026-01-01T00:00:00Z"
        )
    };
    let sign = async |text: String| bot.call("personal_sign", json!([text, bot.wallet])).await;
    sign(login("shop.example", 31337)).await.expect("the shop");
    for (text, code) in [
        (login("evil.example", 31337), "no_rule_allows"),
        (login("shop.example", 1), "undecodable_message"),
        (format!("   \n{}", login("shop.example", 31337)), "undecodable_message"),
    ] {
        assert_eq!(sign(text.clone()).await.expect_err(&text).text("code"), code, "{text}");
    }
}
