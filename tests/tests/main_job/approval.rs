//! Parked calls and the people they wait for.

use std::time::Duration;

use countersign_tests::{
    RpcError, Setup, StoreKind, World,
    config::PAYEE,
    money::{USD, usd},
    on_both_stores, wait,
};
use serde_json::json;
use tokio::time::Instant;

on_both_stores! {
    a_call_that_prefers_to_wait_gets_the_result_itself,
    a_rejected_call_is_final_and_frees_its_budget,
    approvals_are_given_by_those_who_may,
    two_approvals_at_once_execute_once,
    an_approval_is_for_what_was_seen,
}

async fn park(world: &World, amount: u128) -> RpcError {
    world.bot().send(PAYEE, &usd(amount)).await.expect_err("above the threshold")
}

/// The id of the one operation that waits, as soon as there is one.
async fn waiting(world: &World) -> String {
    let alice = world.alice();
    wait::until("a pending operation", async || {
        let items = alice.list("/pending-operations").await;
        items.first().and_then(|item| item["id"].as_str()).map(str::to_owned)
    })
    .await
}

async fn a_call_that_prefers_to_wait_gets_the_result_itself(store: StoreKind) {
    let world = World::start(Setup::new(store).with(|bot| bot.hold = "1s")).await;
    let started = Instant::now();
    park(&world, 150).await;
    assert!(started.elapsed() >= Duration::from_secs(1), "the agent's hold");
    let at_once = Instant::now();
    let parked = world.bot().send_with(&[("prefer", "wait=0")], PAYEE, &usd(150)).await;
    let id = parked.expect_err("not waited for").operation();
    assert!(at_once.elapsed() < Duration::from_secs(1), "the caller's word over the agent's hold");
    let bot = world.bot();
    let held =
        tokio::spawn(
            async move { bot.send_with(&[("prefer", "wait=30")], PAYEE, &usd(200)).await },
        );
    let alice = world.alice();
    let second = wait::until("the second operation", async || {
        let items = alice.list("/pending-operations").await;
        let mut ids = items.into_iter().filter_map(|item| Some(item["id"].as_str()?.to_owned()));
        ids.find(|found| *found != id)
    })
    .await;
    assert_eq!(alice.approve(&second).await.status, 200);
    let hash = held.await.expect("no panic").expect("the held call gets the hash");
    world.anvil.receipt(&hash).await;
    assert_eq!(world.anvil.balance(PAYEE).await, 200 * USD);
}

async fn a_rejected_call_is_final_and_frees_its_budget(store: StoreKind) {
    let world = World::start(Setup::new(store)).await;
    let before = world.footprint().await;
    let ids = [park(&world, 300).await.operation(), park(&world, 301).await.operation()];
    let third = park(&world, 302).await;
    // Parked operations are charged, so that approving all of them cannot exceed the limit.
    let full = park(&world, 303).await;
    assert_eq!(full.code, 4001, "{full:?}");
    assert_eq!(full.text("code"), "rolling_limit_exceeded");
    for id in ids {
        assert_eq!(world.alice().reject(&id, "not today").await.status, 200);
    }
    let refused = park(&world, 300).await;
    assert_eq!(refused.code, 4001, "{refused:?}");
    assert_eq!(refused.text("code"), "approval_rejected");
    assert_eq!(refused.data["final"], true);
    assert_eq!(park(&world, 304).await.code, -32002, "rejected ones have freed their budget");
    assert_eq!(world.bot().operation(&third.operation()).await.expect("mine")["hash"], json!(null));
    assert_eq!(world.footprint().await, before);
}

async fn approvals_are_given_by_those_who_may(store: StoreKind) {
    let world = World::start(Setup::new(store)).await;
    park(&world, 200).await;
    let id = waiting(&world).await;
    let digest = world.alice().pending(&id).await["digest"].clone();
    for (who, why) in [("carol", "her own agent asked"), ("vera", "she may only look")] {
        let reply = world.operator(who).approve_digest(&id, &digest).await;
        assert_eq!(reply.status, 403, "{why}: {}", reply.text());
        assert_eq!(reply.header("content-type"), "application/problem+json");
        assert!(reply.json()["code"].is_string(), "a stable code: {}", reply.text());
    }
    let unknown =
        world.alice().approve_digest("op_00000000000000000000000000000000", &digest).await;
    assert_eq!(unknown.status, 404, "{}", unknown.text());
    assert!(world.tap.writes().is_empty());
    assert_eq!(world.operator("bob").approve_digest(&id, &digest).await.status, 200);
}

async fn two_approvals_at_once_execute_once(store: StoreKind) {
    let world = World::start(Setup::new(store)).await;
    park(&world, 200).await;
    let id = waiting(&world).await;
    let digest = world.alice().pending(&id).await["digest"].clone();
    let clicks = ["alice", "bob", "alice", "bob", "alice", "bob", "alice", "bob"].map(|who| {
        let (operator, id, digest) = (world.operator(who), id.clone(), digest.clone());
        tokio::spawn(async move { operator.approve_digest(&id, &digest).await.status })
    });
    let mut statuses = Vec::new();
    for click in clicks {
        statuses.push(click.await.expect("no panic"));
    }
    assert!(statuses.contains(&200), "{statuses:?}");
    assert!(statuses.iter().all(|status| [200, 409].contains(status)), "{statuses:?}");
    let hash =
        wait::until("the result", async || world.bot().send(PAYEE, &usd(200)).await.ok()).await;
    world.anvil.receipt(&hash).await;
    assert_eq!(world.anvil.nonce(&world.bot().wallet).await, 1);
    assert_eq!(world.tap.writes(), ["eth_sendRawTransaction"]);
}

/// An agent cannot put another payload under an operation that a person is about to approve.
async fn an_approval_is_for_what_was_seen(store: StoreKind) {
    let world = World::start(Setup::new(store)).await;
    let (bot, key) = (world.bot(), [("idempotency-key", "one")]);
    let id = bot.send_with(&key, PAYEE, &usd(200)).await.expect_err("parked").operation();
    let digest = world.alice().pending(&id).await["digest"].clone();
    let changed = bot.send_with(&key, PAYEE, &usd(499)).await.expect_err("another payload");
    assert_eq!(changed.code, -32602, "{changed:?}");
    assert_eq!(world.alice().pending(&id).await["digest"], digest);
    assert_eq!(world.alice().approve_digest(&id, &digest).await.status, 200);
    let hash = wait::until("the result", async || bot.send_with(&key, PAYEE, &usd(200)).await.ok());
    world.anvil.receipt(&hash.await).await;
    assert_eq!(world.anvil.balance(PAYEE).await, 200 * USD);
}
