//! An agent that pays for what it reads (x402), with the real client: a payment is charged like any other when it is signed, settled when
//! the token says that it was used, and refused above the limit.
#![expect(clippy::expect_used, clippy::panic, reason = "a failed test panics")]

use std::fs;

use countersign_tests::{Setup, StoreKind, World, anvil, config::TOKEN, place, wait};
use serde_json::{Value, json};
use tokio::process::Command;

/// A seller may be paid up to one dollar at a time and twenty a day.
const POLICY: &str = r#"
policy: bot
kind: grant
rules:
  - { id: pay, when: { kind: transfer, via: signature, token: usdc@31337, from: self, to: "{seller}" }, then: allow }
limits:
  - { id: call, sum: usd, per: tx, max: 1 }
  - { id: day, sum: usd, per: 24h, max: 20 }
"#;

/// What the wallet has: ten dollars.
const BALANCE: u128 = 10_000_000;

/// A dollar at its address, and ten of them in the wallet.
async fn money(world: &World, seller: &str) {
    let file = place::checkout().join("tests/vectors/benign/contracts.json");
    let codes: Value =
        serde_json::from_str(&fs::read_to_string(file).expect("it is there")).expect("JSON");
    let code = codes.pointer("/Dollar/code").expect("a dollar");
    world.anvil.call("anvil_setCode", json!([TOKEN, code])).await;
    let wallet = world.bot().wallet.trim_start_matches("0x").to_lowercase();
    let mint = format!("0x40c10f19{wallet:0>64}{BALANCE:064x}");
    let sent = json!([{"from": seller, "to": TOKEN, "data": mint}]);
    let hash = world.anvil.call("eth_sendTransaction", sent).await;
    world.anvil.receipt(hash.as_str().expect("a hash")).await;
}

async fn dollars(world: &World, account: &str) -> u128 {
    let account = account.trim_start_matches("0x").to_lowercase();
    let data = format!("0x70a08231{account:0>64}");
    let said = world.anvil.call("eth_call", json!([{"to": TOKEN, "data": data}, "latest"])).await;
    let digits = said.as_str().expect("a word").trim_start_matches("0x");
    u128::from_str_radix(digits, 16).expect("a balance")
}

/// What the client shows for each price, in base units.
async fn buy(world: &World, seller: &str, prices: &[&str]) -> Vec<Value> {
    let bot = world.bot();
    let node = format!("http://{}", world.anvil.address());
    let client = Command::new(place::program("node", "COUNTERSIGN_NODE", &[]))
        .args(["x402.mjs", &bot.url(), &node, &bot.wallet, seller, TOKEN])
        .args(prices)
        .current_dir(place::clients())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(wait::PATIENCE, client).await.expect("it ends in time");
    let output = output.expect("the client starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("a list")
}

async fn an_agent_pays_for_what_it_reads(store: StoreKind) {
    let (_, seller) = anvil::ACCOUNTS.get(2).expect("one of anvil's accounts");
    let policy = POLICY.replace("{seller}", seller);
    let world = World::start(Setup::new(store).with(|bot| bot.policy = policy)).await;
    money(&world, seller).await;

    let said = buy(&world, seller, &["10000", "250000", "2000000"]).await;
    let [cheap, dear, refused] = said.as_slice() else { panic!("{said:?}") };
    for paid in [cheap, dear] {
        assert_eq!((&paid["status"], &paid["body"]), (&json!(200), &json!("the secret")), "{paid}");
    }
    let error = refused["error"].as_str().unwrap_or_else(|| panic!("{refused}"));
    assert!(error.contains("User denied by policy [per_tx_limit_exceeded]"), "{error}");
    assert_eq!(dollars(&world, seller).await, 260_000, "the seller has both prices");
    assert_eq!(dollars(&world, &world.bot().wallet).await, 9_740_000);
    assert!(world.tap.writes().is_empty(), "the seller brings the payments to the token");
    assert_eq!(world.alice().signed().await, 2);

    let used = async || {
        let budget = world.bot().call("countersign_budget", json!([])).await.expect("a budget");
        let limits = budget.as_array().expect("a list").clone();
        let day = limits.into_iter().find(|limit| limit["limit"] == "day").expect("the day");
        day.get("used").cloned().expect("what is used")
    };
    assert_eq!(used().await, "0.26");
    world.anvil.call("anvil_mine", json!(["0x3"])).await;
    wait::until("both payments to be settled", async || {
        let operations = world.alice().list("/operations").await;
        let settled =
            operations.iter().filter(|operation| operation["state"] == "EXECUTED").count();
        (settled == 2).then_some(())
    })
    .await;
    assert_eq!(used().await, "0.26", "what was spent stays spent");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_pays_for_what_it_reads_embedded() {
    an_agent_pays_for_what_it_reads(StoreKind::Embedded).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_pays_for_what_it_reads_redis() {
    an_agent_pays_for_what_it_reads(StoreKind::Redis).await;
}
