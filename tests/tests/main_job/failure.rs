//! Parts that are down: nothing is signed, and everything comes back by itself.

use countersign_tests::{
    RpcError, Setup, StoreKind, World,
    config::PAYEE,
    money::{USD, usd},
    on_both_stores, wait,
};
use serde_json::json;

on_both_stores! {
    without_a_node_nothing_is_signed,
    an_answer_that_was_lost_on_the_way_from_the_node_is_no_failure,
}

fn assert_unavailable(error: &RpcError) {
    assert_eq!(error.code, -32010, "{error:?}");
    assert!(error.message.to_lowercase().contains("nothing was sent"), "{error:?}");
}

async fn without_a_node_nothing_is_signed(store: StoreKind) {
    let world = World::start(Setup::new(store)).await;
    let bot = world.bot();
    bot.send(PAYEE, &usd(10)).await.expect("before");
    world.tap.die();
    let refused = bot.send(PAYEE, &usd(20)).await.expect_err("no node");
    assert_unavailable(&refused);
    assert_eq!(bot.call("eth_chainId", json!([])).await, Ok(json!("0x7a69")), "answered here");
    assert_eq!(world.alice().signed().await, 1, "nothing was signed");
    world.tap.revive();
    let hash = wait::until("recovery", async || bot.send(PAYEE, &usd(20)).await.ok()).await;
    world.anvil.receipt(&hash).await;
    assert_eq!(world.anvil.balance(PAYEE).await, 30 * USD);
}

async fn an_answer_that_was_lost_on_the_way_from_the_node_is_no_failure(store: StoreKind) {
    let world = World::start(Setup::new(store)).await;
    let bot = world.bot();
    world.tap.lose_answers_to_sends(true);
    let hash = bot.send(PAYEE, &usd(20)).await.expect("signed: the hash is true already");
    world.tap.lose_answers_to_sends(false);
    world.anvil.receipt(&hash).await;
    let next = bot.send(PAYEE, &usd(21)).await.expect("allowed");
    world.anvil.receipt(&next).await;
    assert_eq!(world.anvil.balance(PAYEE).await, 41 * USD, "paid once");
    assert_eq!(world.anvil.nonce(&bot.wallet).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_store_the_gateway_signs_nothing() {
    let mut world = World::start(Setup::new(StoreKind::Redis)).await;
    let bot = world.bot();
    bot.send(PAYEE, &usd(10)).await.expect("before");
    let redis = world.redis.as_mut().expect("a Redis");
    redis.down();
    let refused = bot.send(PAYEE, &usd(20)).await.expect_err("no store");
    assert_unavailable(&refused);
    bot.call("eth_blockNumber", json!([])).await.expect("reads need no store");
    assert_eq!(world.tap.writes().len(), 1);
    redis.up().await;
    let hash = wait::until("recovery", async || bot.send(PAYEE, &usd(20)).await.ok()).await;
    world.anvil.receipt(&hash).await;
    assert_eq!(world.anvil.nonce(&bot.wallet).await, 2);
    assert_eq!(world.anvil.balance(PAYEE).await, 30 * USD);
}
