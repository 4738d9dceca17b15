//! A gateway's life: levers, changes while it runs, and its end.

use std::fs;

use countersign_tests::{
    Setup, StoreKind, World,
    config::{self, PAYEE, STRANGER},
    money::{USD, usd},
    on_both_stores, wait,
};
use serde_json::{Value, json};

on_both_stores! {
    a_freeze_stops_an_agent_until_it_is_lifted,
    a_shutdown_answers_whoever_waits,
}

async fn a_freeze_stops_an_agent_until_it_is_lifted(store: StoreKind) {
    let world = World::start(Setup::new(store).with_another_agent()).await;
    let (bot, alice) = (world.bot(), world.alice());
    let scope = json!({"agent": "bot"});
    let forbidden = world.operator("vera").post("/freeze", &scope).await;
    assert_eq!(forbidden.status, 403, "{}", forbidden.text());
    bot.send(PAYEE, &usd(10)).await.expect("not frozen");
    let words = json!({"agent": "bot", "reason": "its key lay open on a desk"});
    let frozen = alice.post("/freeze", &words).await;
    assert_eq!(frozen.status, 200, "{}", frozen.text());
    let refused = bot.send(PAYEE, &usd(11)).await.expect_err("frozen");
    assert_eq!((refused.code, refused.text("code")), (4001, "frozen"));
    assert!(!format!("{refused:?}").contains("desk"), "the agent is not told why: {refused:?}");
    let params = json!([bot.transfer(PAYEE, &usd(11))]);
    let simulated = bot.call("countersign_simulate", params).await.expect("a verdict");
    assert_eq!(simulated["code"], "frozen");
    assert!(!simulated.to_string().contains("desk"), "nor by a simulation: {simulated}");
    let agents = alice.list("/agents").await;
    let bots = agents.iter().find(|agent| agent["id"] == "bot").expect("the agent");
    assert_eq!(bots["freezes"][0]["reason"], "its key lay open on a desk");
    assert_eq!(bots["freezes"][0]["operator"], "alice");
    world.agent("other").send(PAYEE, &usd(12)).await.expect("another agent is not");
    let lifted = alice.post("/unfreeze", &scope).await;
    assert_eq!(lifted.status, 200, "{}", lifted.text());
    bot.send(PAYEE, &usd(13)).await.expect("no longer frozen");
    assert_eq!(world.anvil.balance(PAYEE).await, 35 * USD);
}

/// What a transfer would come to now.
async fn outcome(world: &World, to: &str) -> Value {
    let bot = world.bot();
    let params = json!([bot.transfer(to, &usd(10))]);
    bot.call("countersign_simulate", params).await.expect("a verdict")["outcome"].clone()
}

async fn incidents(world: &World) -> usize {
    world.alice().list("/incidents").await.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_changes_while_the_gateway_runs_and_a_broken_one_changes_nothing() {
    let world = World::start(Setup::new(StoreKind::Embedded)).await;
    let file = config::policy_file(world.gateway.folder(), "bot");
    let policy = fs::read_to_string(&file).expect("the policy");
    assert_eq!(outcome(&world, STRANGER).await, "deny");
    let wider = format!("payees: [\"{PAYEE}\", \"{STRANGER}\"]");
    let changed = policy.replace(&format!("payees: [\"{PAYEE}\"]"), &wider);
    let changed = changed.split("tests:").next().expect("a policy").to_owned();
    fs::write(&file, &changed).expect("written");
    wait::until("the new policy", async || {
        (outcome(&world, STRANGER).await == "allow").then_some(())
    })
    .await;
    let before = incidents(&world).await;
    fs::write(&file, changed.replace("then: allow", "then: perhaps")).expect("written");
    wait::until("an incident", async || (incidents(&world).await > before).then_some(())).await;
    assert_eq!(outcome(&world, STRANGER).await, "allow", "the last good one stays");
    world.bot().send(STRANGER, &usd(10)).await.expect("and is in force");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_is_lost_while_the_configuration_changes() {
    let world = World::start(Setup::new(StoreKind::Embedded)).await;
    let text = fs::read_to_string(world.gateway.file()).expect("the configuration");
    let bot = world.bot();
    let sends = tokio::spawn(async move {
        for amount in 1..=30 {
            bot.send(PAYEE, &usd(amount)).await.expect("allowed throughout");
        }
    });
    for age in ["2h", "3h", "4h"] {
        fs::write(world.gateway.file(), text.replace("max_age: 1h", &format!("max_age: {age}")))
            .expect("written");
        outcome(&world, PAYEE).await;
    }
    sends.await.expect("no send failed");
    assert_eq!(world.anvil.nonce(&world.bot().wallet).await, 30);
}

async fn a_shutdown_answers_whoever_waits(store: StoreKind) {
    let mut world = World::start(Setup::new(store)).await;
    let bot = world.bot();
    let held = tokio::spawn({
        let bot = bot.clone();
        async move { bot.send_with(&[("prefer", "wait=60")], PAYEE, &usd(200)).await }
    });
    let alice = world.alice();
    wait::until("the held call", async || alice.list("/pending-operations").await.pop()).await;
    world.gateway.terminate();
    let answer = held.await.expect("no panic").expect_err("not approved");
    let id = answer.operation();
    assert_eq!(world.gateway.ended().await, Some(0), "a clean end");
    world.gateway.restart().await;
    assert_eq!(bot.send(PAYEE, &usd(200)).await.expect_err("parked").operation(), id);
    assert_eq!(alice.approve(&id).await.status, 200);
    wait::until("the result", async || bot.send(PAYEE, &usd(200)).await.ok()).await;
}
