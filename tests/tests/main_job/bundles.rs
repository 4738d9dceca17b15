//! Bundles of calls (EIP-5792) on a real node: judged together, sent in order, told as the standard numbers it.

use countersign_tests::{
    Agent, Setup, StoreKind, World,
    config::{PAYEE, STRANGER},
    money::{USD, usd},
    on_both_stores, wait,
};
use serde_json::{Value, json};

on_both_stores! {
    calls_are_sent_in_order_and_their_receipts_are_told,
    a_bundle_waits_as_one_and_one_approval_sends_all_of_it,
}

fn bundle(bot: &Agent, calls: &[(&str, u128)]) -> Value {
    let calls: Vec<Value> =
        calls.iter().map(|(to, amount)| json!({"to": to, "value": usd(*amount)})).collect();
    json!({
        "version": "2.0.0",
        "from": bot.wallet,
        "chainId": "0x7a69",
        "atomicRequired": false,
        "calls": calls,
    })
}

async fn status(bot: &Agent, id: &Value) -> Value {
    bot.call("wallet_getCallsStatus", json!([id])).await.expect("a known bundle")
}

async fn ended(bot: &Agent, id: &Value) -> Value {
    wait::until("the bundle to end", async || {
        let status = status(bot, id).await;
        (status["status"] != json!(100)).then_some(status)
    })
    .await
}

async fn calls_are_sent_in_order_and_their_receipts_are_told(store: StoreKind) {
    let world = World::start(Setup::new(store).with_another_agent()).await;
    let bot = world.bot();
    let mut asked = bundle(&bot, &[(PAYEE, 10), (PAYEE, 20), (PAYEE, 30)]);
    asked["id"] = json!("mine");
    let sent = bot.call("wallet_sendCalls", json!([asked])).await.expect("allowed");
    assert_eq!(sent, json!({"id": "mine"}));
    let told = ended(&bot, &sent["id"]).await;
    let shape = (&told["version"], &told["id"], &told["chainId"], &told["status"], &told["atomic"]);
    let ok = (&json!("2.0.0"), &json!("mine"), &json!("0x7a69"), &json!(200), &json!(false));
    assert_eq!(shape, ok);
    let receipts = told["receipts"].as_array().expect("a list");
    for (nonce, receipt) in receipts.iter().enumerate() {
        let hash = receipt["transactionHash"].as_str().expect("a hash");
        let found = world.anvil.call("eth_getTransactionByHash", json!([hash])).await;
        assert_eq!(found["nonce"], json!(format!("{nonce:#x}")), "in the order of the calls");
        let real = world.anvil.call("eth_getTransactionReceipt", json!([hash])).await;
        for field in ["status", "blockHash", "blockNumber", "gasUsed", "transactionHash"] {
            assert_eq!(receipt[field], real[field], "{field}");
        }
        assert_eq!((&receipt["logs"], &receipt["status"]), (&json!([]), &json!("0x1")));
    }
    assert_eq!((receipts.len(), world.anvil.balance(PAYEE).await), (3, 60 * USD));
    let again = bot.call("wallet_sendCalls", json!([asked])).await.expect_err("the same id");
    assert_eq!(again.code, 5720);
    let unknown = json!([sent["id"]]);
    let other = world.agent("other").call("wallet_getCallsStatus", unknown).await;
    assert_eq!(other.expect_err("another agent's").code, 5730);
    let mixed = bundle(&bot, &[(PAYEE, 1), (STRANGER, 1)]);
    let denied = bot.call("wallet_sendCalls", json!([mixed])).await.expect_err("a stranger");
    assert_eq!((denied.code, denied.text("code")), (4001, "no_rule_allows"));
    assert_eq!(world.tap.writes(), ["eth_sendRawTransaction"; 3]);
}

async fn a_bundle_waits_as_one_and_one_approval_sends_all_of_it(store: StoreKind) {
    let world = World::start(Setup::new(store)).await;
    let bot = world.bot();
    let asked = json!([bundle(&bot, &[(PAYEE, 60), (PAYEE, 70)])]);
    let parked = bot.call("wallet_sendCalls", asked.clone()).await.expect_err("130 USD");
    let id = parked.operation();
    assert_eq!(parked.text("code"), "amount_above_threshold");
    assert!(world.tap.writes().is_empty(), "nothing is sent before all is approved");
    assert_eq!(world.alice().approve(&id).await.status, 200);
    wait::until("both calls to be paid", async || {
        (world.anvil.balance(PAYEE).await == 130 * USD).then_some(())
    })
    .await;
    let collected = bot.call("wallet_sendCalls", asked).await.expect("its result");
    let told = ended(&bot, &collected["id"]).await;
    assert_eq!(told["status"], json!(200), "{told}");
    assert_eq!(told["receipts"].as_array().map(Vec::len), Some(2));
    assert_eq!(world.anvil.nonce(&bot.wallet).await, 2, "paid once");
}
