//! A pact has an end: its count, its time, or its owner's word. The end is in the books, not in a process.

use countersign_tests::{
    Setup, StoreKind, World,
    config::{self, PAYEE},
    money::{USD, usd},
    on_both_stores, wait,
};
use serde_json::{Value, json};

on_both_stores! {
    a_pact_is_completed_by_its_count_and_stays_so_over_a_crash,
}

fn pact(conditions: &str) -> String {
    format!(
        "policy: bot-pact
intent: Pay one contractor.
for: {{ agent: bot }}
policies:
  - name: pay
    type: transfer
    rules: {{ when: {{ destination_address_in: [\"{PAYEE}\"] }}, deny_if: {{ amount_usd_gt: \"400\" }} }}
{conditions}
"
    )
}

async fn state(world: &World) -> Value {
    let policies = world.alice().list("/api/agents/bot/policies").await;
    policies[0]["state"].clone()
}

async fn a_pact_is_completed_by_its_count_and_stays_so_over_a_crash(store: StoreKind) {
    let text = pact("completion_conditions: [{ type: tx_count, threshold: \"2\" }]");
    let mut world = World::start(Setup::new(store).with(|bot| bot.policy = text)).await;
    let bot = world.bot();
    // another kind of operation is not in the pact at all
    let call = json!([{"from": bot.wallet, "to": PAYEE, "data": "0x12345678", "gas": "0x186a0"}]);
    let outside = bot.call("eth_sendTransaction", call).await.expect_err("no call is in it");
    assert_eq!(outside.text("code"), "no_rule_allows");
    assert_eq!(state(&world).await, "active");
    for amount in [10, 11] {
        bot.send(PAYEE, &usd(amount)).await.expect("within the pact");
    }
    wait::until("completion", async || (state(&world).await == "completed").then_some(())).await;
    for _ in 0..2 {
        let over = world.bot().send(PAYEE, &usd(12)).await.expect_err("the pact is completed");
        assert_eq!((over.code, over.text("code")), (4001, "grant_completed"));
        let trace = world.alice().traces("status=blocked&limit=1").await.remove(0);
        assert_eq!(trace["blockedBy"], "completion-tx_count");
        let verdicts = trace["policyVerdicts"].to_string();
        assert!(verdicts.contains("bot-pact"), "the pact is named: {verdicts}");
        world.gateway.kill9();
        world.gateway.restart().await;
    }
    assert_eq!(state(&world).await, "completed");
    assert_eq!(world.anvil.balance(PAYEE).await, 21 * USD);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_ends_a_pact_while_the_gateway_runs() {
    let text = pact("expires_at: 2099-01-01T00:00:00Z");
    let world = World::start(Setup::new(StoreKind::Embedded).with(|bot| bot.policy = text)).await;
    world.bot().send(PAYEE, &usd(10)).await.expect("within the pact");
    let file = config::policy_file(world.gateway.folder(), "bot");
    std::fs::write(&file, pact("expires_at: 2026-01-01T00:00:00Z")).expect("written");
    wait::until("the end", async || (state(&world).await == "expired").then_some(())).await;
    let over = world.bot().send(PAYEE, &usd(11)).await.expect_err("the pact is over");
    assert_eq!((over.code, over.text("code")), (4001, "grant_expired"));
    // what began nobody knows when is not in force
    let conditions = "completion_conditions: [{ type: time_elapsed, threshold: \"3600\" }]";
    std::fs::write(&file, pact(conditions)).expect("written");
    let waits = async || (state(&world).await == "pending_approval").then_some(());
    wait::until("a pact without a beginning", waits).await;
    let not_yet = world.bot().send(PAYEE, &usd(12)).await.expect_err("it has not begun");
    assert_eq!((not_yet.code, not_yet.text("code")), (4001, "fact_unknown"));
    // the owner says since when
    std::fs::write(&file, pact(&format!("{conditions}\nstarts: 2026-01-01T00:00:00Z")))
        .expect("written");
    wait::until("its time", async || (state(&world).await == "completed").then_some(())).await;
    let over = world.bot().send(PAYEE, &usd(13)).await.expect_err("its hour is over");
    assert_eq!((over.code, over.text("code")), (4001, "grant_completed"));
}
