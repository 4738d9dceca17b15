//! The check from outside, word for word: 1 000 USD in 24 hours, a person above 100, never above 500, with ETH
//! at 1 000.

use std::collections::BTreeSet;

use countersign_tests::{
    RpcError, Setup, StoreKind, World,
    anvil::quantity,
    config::{PAYEE, STRANGER},
    money::{USD, usd},
    on_both_stores, wait,
};
use serde_json::{Value, json};

on_both_stores! {
    an_allowed_send_is_mined,
    a_refusal_says_why_and_leaves_a_trace,
    a_parked_send_is_executed_once_by_its_approval,
    racing_sends_stop_exactly_at_the_limit,
    a_power_cut_forgets_neither_the_budget_nor_a_parked_operation,
}

async fn an_allowed_send_is_mined(store: StoreKind) {
    let world = World::start(Setup::new(store)).await;
    let hash = world.bot().send(PAYEE, &usd(50)).await.expect("allowed");
    let receipt = world.anvil.receipt(&hash).await;
    assert_eq!(quantity(&receipt["status"]), 1);
    assert_eq!(world.anvil.balance(PAYEE).await, 50 * USD);
    let sent = world.anvil.call("eth_getTransactionByHash", json!([hash])).await;
    assert_eq!(sent["type"], "0x2", "EIP-1559 where the chain has it");
    assert_eq!(sent["value"], usd(50));
    let trace = wait_for_trace(&world, "executed").await;
    assert_eq!(trace["txHash"], json!(hash));
    assert_eq!(trace["blockedBy"], Value::Null);
}

async fn a_refusal_says_why_and_leaves_a_trace(store: StoreKind) {
    let world = World::start(Setup::new(store)).await;
    let before = world.footprint().await;
    let stranger = world.bot().send(STRANGER, &usd(1)).await.expect_err("a stranger");
    let large = world.bot().send(PAYEE, &usd(600)).await.expect_err("above the cap");
    assert_denied(&world, &stranger, "no_rule_allows").await;
    assert_denied(&world, &large, "per_tx_limit_exceeded").await;
    let violation = large.data["violations"].as_array().and_then(|all| all.first());
    let violation = violation.expect("the limit that was exceeded");
    assert_eq!(violation["rule"], "cap");
    assert_eq!(violation["code"], "per_tx_limit_exceeded");
    assert_eq!(violation["limit"], "500");
    assert_eq!(violation["requested"], "600");
    assert_eq!(world.footprint().await, before);
}

/// The shape of CONTRACT §3, and the record of seed 001 field for field.
async fn assert_denied(world: &World, error: &RpcError, code: &str) {
    assert_eq!(error.code, 4001, "{error:?}");
    assert_eq!(error.text("status"), "denied");
    assert_eq!(error.text("code"), code);
    assert_eq!(error.data["final"], true);
    assert!(["constructive", "halt"].contains(&error.text("register")), "{error:?}");
    assert!(!error.text("reason").is_empty());
    assert!(error.text("policy").starts_with("sha256:"), "{error:?}");
    assert!(error.message.starts_with(&format!("User denied by policy [{code}]")), "{error:?}");
    assert!(error.message.contains("Nothing was sent."), "{error:?}");
    let hash = error.text("trace_hash");
    assert!(error.message.ends_with(&format!("(trace {hash})")), "{error:?}");
    let trace = world.alice().read(&format!("/apps/default/traces/{hash}")).await;
    assert_record(&trace);
    assert_eq!(trace["traceHash"], hash);
    assert_eq!(trace["status"], "blocked");
    assert_eq!(trace["agentId"], "bot");
    assert!(!trace["blockedBy"].is_null(), "{trace}");
}

/// Every field of the record is there, null where it is empty.
fn assert_record(trace: &Value) {
    let fields = trace.as_object().expect("a record");
    let named = [
        "traceHash",
        "reasoning",
        "proposedAction",
        "validationResult",
        "policyVerdicts",
        "signatures",
        "txHash",
        "status",
        "riskScore",
        "blockedBy",
        "durationMs",
        "agentId",
        "sessionKeyHash",
    ];
    let absent: Vec<_> = named.iter().filter(|name| !fields.contains_key(**name)).collect();
    assert!(absent.is_empty(), "no {absent:?} in {trace}");
    let verdicts = trace["policyVerdicts"].as_array().expect("a list of verdicts");
    assert!(verdicts.len() >= 4, "one for each rule and limit: {trace}");
}

async fn a_parked_send_is_executed_once_by_its_approval(store: StoreKind) {
    let world = World::start(Setup::new(store)).await;
    let (bot, alice) = (world.bot(), world.alice());
    let parked = bot.send(PAYEE, &usd(200)).await.expect_err("above the threshold");
    assert_parked(&parked);
    let id = parked.operation();
    let again = bot.send(PAYEE, &usd(200)).await.expect_err("still parked");
    assert_eq!(again.operation(), id, "the same call is the same operation");
    let wrong = alice.approve_digest(&id, &json!(format!("0x{}", "00".repeat(32)))).await;
    assert_eq!(wrong.status, 409, "{}", wrong.text());
    assert!(world.tap.writes().is_empty());
    let approved = alice.approve(&id).await;
    assert_eq!(approved.status, 200, "{}", approved.text());
    let bot_wallet = bot.wallet.clone();
    wait::until("the approved operation to be sent", async || {
        (world.anvil.nonce(&bot_wallet).await == 1).then_some(())
    })
    .await;
    let hash = bot.send(PAYEE, &usd(200)).await.expect("the result");
    assert_eq!(quantity(&world.anvil.receipt(&hash).await["status"]), 1);
    assert_eq!(world.anvil.balance(PAYEE).await, 200 * USD);
    assert_eq!(world.anvil.nonce(&bot.wallet).await, 1, "executed once");
    let late = alice.approve_digest(&id, &json!("0x00")).await;
    assert_eq!(late.status, 409, "decided already: {}", late.text());
}

fn assert_parked(error: &RpcError) {
    assert_eq!(error.code, -32002, "{error:?}");
    assert_eq!(error.text("status"), "PENDING_APPROVAL");
    assert_eq!(error.text("code"), "amount_above_threshold");
    assert_eq!(error.data["gates"], json!(["desk"]));
    assert_eq!(error.data["sent"], false);
    assert!(error.data["retry_after_ms"].is_u64(), "{error:?}");
    assert!(!error.text("expires_at").is_empty(), "{error:?}");
    assert!(error.text("trace_hash").starts_with("0x"), "{error:?}");
    let id = error.text("pending_operation_id");
    assert!(id.starts_with("op_"), "{error:?}");
    let start = format!("Waiting for approval [amount_above_threshold], operation {id}.");
    assert!(error.message.starts_with(&start), "{error:?}");
}

async fn racing_sends_stop_exactly_at_the_limit(store: StoreKind) {
    let world = World::start(Setup::new(store).with_fees_raised_soon()).await;
    let racers = (0..120).map(|racer| {
        let bot = world.bot();
        tokio::spawn(async move {
            let key = format!("race-{racer}");
            bot.send_with(&[("idempotency-key", key.as_str())], PAYEE, &usd(10)).await
        })
    });
    let mut hashes = BTreeSet::new();
    for racer in racers.collect::<Vec<_>>() {
        match racer.await.expect("no racer panics") {
            Ok(hash) => assert!(hashes.insert(hash), "one hash for two payments"),
            Err(error) => assert_eq!(error.text("code"), "rolling_limit_exceeded", "{error:?}"),
        }
    }
    // 99 of 10 USD and their fees fit into 1 000 USD; 100 do not.
    assert_eq!(hashes.len(), 99);
    for hash in &hashes {
        world.anvil.receipt(hash).await;
    }
    assert_eq!(world.anvil.balance(PAYEE).await, 990 * USD);
    assert_eq!(world.anvil.nonce(&world.bot().wallet).await, 99, "no gap, none twice");
}

async fn a_power_cut_forgets_neither_the_budget_nor_a_parked_operation(store: StoreKind) {
    let mut world = World::start(Setup::new(store)).await;
    let bot = world.bot();
    let headers = [("idempotency-key", "before")];
    let hash = bot.send_with(&headers, PAYEE, &usd(90)).await.expect("allowed");
    let parked = bot.send(PAYEE, &usd(400)).await.expect_err("parked").operation();
    let used = day(&bot.call("countersign_budget", json!([])).await.expect("a budget"));
    assert!((490.0..490.5).contains(&used), "both are charged: {used}");
    world.gateway.kill9();
    world.gateway.restart().await;
    let after = day(&bot.call("countersign_budget", json!([])).await.expect("a budget"));
    assert!((490.0..=used).contains(&after), "spent {used} before, {after} after");
    let again = bot.send_with(&headers, PAYEE, &usd(90)).await;
    assert_eq!(again.as_ref(), Ok(&hash), "the same key is the same operation");
    let found = bot.send(PAYEE, &usd(400)).await.expect_err("still parked");
    assert_eq!(found.operation(), parked);
    assert_eq!(world.alice().approve(&parked).await.status, 200);
    wait::until("both to be mined", async || {
        (world.anvil.balance(PAYEE).await == 490 * USD).then_some(())
    })
    .await;
}

/// What is used of the limit over a day.
fn day(budget: &Value) -> f64 {
    let limits = budget.as_array().expect("a list of limits");
    let day = limits.iter().find(|limit| limit["limit"] == "day").expect("the limit `day`");
    assert_eq!(day["max"], "1000");
    day["used"].as_str().and_then(|used| used.parse().ok()).expect("a decimal")
}

async fn wait_for_trace(world: &World, status: &str) -> Value {
    let query = format!("status={status}");
    wait::until("a trace", async || world.alice().traces(&query).await.into_iter().next()).await
}
