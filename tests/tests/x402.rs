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
  - { id: allow, when: { kind: approve, via: call, token: usdc@31337, spender: "{permit2}", unlimited: false }, spend: on_use, then: allow }
  - { id: pay, when: { kind: transfer, via: signature, token: usdc@31337, from: self, to: "{seller}" }, then: allow }
limits:
  - { id: call, sum: usd, per: tx, max: 1 }
  - { id: day, sum: usd, per: 24h, max: 20 }
"#;

/// What the wallet has: ten dollars.
const BALANCE: u128 = 10_000_000;

/// Where Permit2 lies.
const PERMIT2: &str = "0x000000000022D473030F116dDEE9F6B43aC78BA3";

/// The contracts of a payment: the token, Permit2, and x402's two that pull through it, where its client looks for them.
const CONTRACTS: [(&str, &str); 4] = [
    ("Dollar", TOKEN),
    ("Permit2", PERMIT2),
    ("X402Exact", "0x402085c248EeA27D92E8b30b2C58ed07f9E20001"),
    ("X402UpTo", "0x4020A4f3b7b90ccA423B9fabCc0CE57C6C240002"),
];

/// All contracts at their addresses, and ten dollars in the wallet.
async fn money(world: &World, seller: &str) {
    let file = place::checkout().join("tests/vectors/benign/contracts.json");
    let codes: Value =
        serde_json::from_str(&fs::read_to_string(file).expect("it is there")).expect("JSON");
    for (name, address) in CONTRACTS {
        let code = codes.pointer(&format!("/{name}/code")).expect("its code");
        world.anvil.call("anvil_setCode", json!([address, code])).await;
    }
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

/// The agent lets Permit2 move what the wallet has, as x402 asks of who pays with it.
async fn allow_permit2(world: &World) {
    let spender = PERMIT2.trim_start_matches("0x").to_lowercase();
    let data = format!("0x095ea7b3{spender:0>64}{BALANCE:064x}");
    let sent = json!([{"from": world.bot().wallet, "to": TOKEN, "data": data}]);
    let hash = world.bot().call("eth_sendTransaction", sent).await.expect("an allowed approval");
    world.anvil.receipt(hash.as_str().expect("a hash")).await;
    settled(world, 1).await;
}

/// Waits until so many operations are settled, after a few more blocks.
async fn settled(world: &World, count: usize) {
    world.anvil.call("anvil_mine", json!(["0x3"])).await;
    wait::until("all to be settled", async || {
        let operations = world.alice().list("/operations").await;
        let settled = operations.iter().filter(|it| it["state"] == "EXECUTED").count();
        (settled == count).then_some(())
    })
    .await;
}

/// What is used of the day's dollars, in millionths.
async fn used(world: &World) -> u128 {
    let budget = world.bot().call("countersign_budget", json!([])).await.expect("a budget");
    let limits = budget.as_array().expect("a list").clone();
    let day = limits.into_iter().find(|limit| limit["limit"] == "day").expect("the day");
    let used = day.get("used").and_then(Value::as_str).expect("an amount");
    let (whole, part) = used.split_once('.').unwrap_or((used, ""));
    format!("{whole}{part:0<6}").parse().expect("an amount")
}

/// What the client shows for each price, in base units.
async fn buy(world: &World, seller: &str, method: &str, prices: &[&str]) -> Vec<Value> {
    let bot = world.bot();
    let node = format!("http://{}", world.anvil.address());
    let client = Command::new(place::program("node", "COUNTERSIGN_NODE", &[]))
        .args(["x402.mjs", &bot.url(), &node, &bot.wallet, seller, TOKEN, method])
        .args(prices)
        .current_dir(place::clients())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(wait::PATIENCE, client).await.expect("it ends in time");
    let output = output.expect("the client starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("a list")
}

/// How a payment is made, and what is taken of 0.26 dollars that are asked for.
struct Method {
    name: &'static str,
    taken: u128,
}

const EIP3009: Method = Method { name: "eip3009", taken: 260_000 };
const OVER_PERMIT2: Method = Method { name: "permit2", taken: 260_000 };
const UP_TO: Method = Method { name: "upto", taken: 130_000 };

async fn an_agent_pays_for_what_it_reads(store: StoreKind, method: Method) {
    let (_, seller) = anvil::ACCOUNTS.get(2).expect("one of anvil's accounts");
    let policy = POLICY.replace("{seller}", seller).replace("{permit2}", PERMIT2);
    let world = World::start(Setup::new(store).with(|bot| bot.policy = policy)).await;
    money(&world, seller).await;
    if method.name != EIP3009.name {
        allow_permit2(&world).await;
    }
    let (sent, signed) = (world.tap.writes(), world.alice().signed().await);
    let before = used(&world).await;

    let said = buy(&world, seller, method.name, &["10000", "250000", "2000000"]).await;
    let [cheap, dear, refused] = said.as_slice() else { panic!("{said:?}") };
    for paid in [cheap, dear] {
        assert_eq!((&paid["status"], &paid["body"]), (&json!(200), &json!("the secret")), "{paid}");
    }
    let error = refused["error"].as_str().unwrap_or_else(|| panic!("{refused}"));
    assert!(error.contains("User denied by policy [per_tx_limit_exceeded]"), "{error}");
    assert_eq!(dollars(&world, seller).await, method.taken, "the seller has both prices");
    assert_eq!(dollars(&world, &world.bot().wallet).await, BALANCE.saturating_sub(method.taken));
    assert_eq!(world.tap.writes(), sent, "the seller brings the payments to the token");
    let signed = signed.saturating_add(2);
    assert_eq!(world.alice().signed().await, signed);

    let charged = before.saturating_add(260_000);
    assert_eq!(used(&world).await, charged);
    settled(&world, signed).await;
    assert_eq!(used(&world).await, charged, "what was spent stays spent");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_pays_for_what_it_reads_embedded() {
    an_agent_pays_for_what_it_reads(StoreKind::Embedded, EIP3009).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_pays_for_what_it_reads_redis() {
    an_agent_pays_for_what_it_reads(StoreKind::Redis, EIP3009).await;
}

/// As x402 pays in tokens that know nothing of ERC-3009.
#[tokio::test(flavor = "multi_thread")]
async fn an_agent_pays_over_permit2() {
    an_agent_pays_for_what_it_reads(StoreKind::Embedded, OVER_PERMIT2).await;
}

/// What is signed for is charged, though the seller takes less.
#[tokio::test(flavor = "multi_thread")]
async fn an_agent_pays_up_to_what_it_signed_for() {
    an_agent_pays_for_what_it_reads(StoreKind::Embedded, UP_TO).await;
}
