//! Nonces: the gateway's own, and those that a client fixed.

use countersign_tests::{
    Setup, StoreKind, World,
    config::PAYEE,
    money::{USD, usd},
    on_both_stores,
};
use serde_json::{Value, json};

on_both_stores! {
    nonces_that_a_client_fixed_may_arrive_out_of_order,
    the_count_includes_what_is_in_flight,
}

fn with_nonce(world: &World, amount: u128, nonce: u64) -> Value {
    let mut transaction = world.bot().transfer(PAYEE, &usd(amount));
    transaction["nonce"] = json!(format!("{nonce:#x}"));
    json!([transaction])
}

async fn nonces_that_a_client_fixed_may_arrive_out_of_order(store: StoreKind) {
    let world = World::start(Setup::new(store)).await;
    let bot = world.bot();
    let sends = [2_u64, 1, 0].map(|nonce| {
        let (bot, params) = (bot.clone(), with_nonce(&world, 10 + u128::from(nonce), nonce));
        tokio::spawn(async move { bot.call("eth_sendTransaction", params).await })
    });
    let mut hashes = Vec::new();
    for send in sends {
        hashes.push(send.await.expect("no panic").expect("allowed"));
    }
    for (hash, nonce) in hashes.iter().zip([2_u64, 1, 0]) {
        let hash = hash.as_str().expect("a hash");
        world.anvil.receipt(hash).await;
        let sent = world.anvil.call("eth_getTransactionByHash", json!([hash])).await;
        assert_eq!(sent["nonce"], format!("{nonce:#x}"));
    }
    assert_eq!(world.anvil.balance(PAYEE).await, 33 * USD);
    let same = bot.call("eth_sendTransaction", with_nonce(&world, 11, 1)).await;
    assert_eq!(same.as_ref().ok(), hashes.get(1), "the same nonce and payload: the same operation");
    let other = bot.call("eth_sendTransaction", with_nonce(&world, 20, 1)).await;
    let other = other.expect_err("another payload at a used nonce");
    assert_eq!(other.code, -32003, "{other:?}");
    assert!(other.message.contains('3'), "the next nonce is named: {}", other.message);
    assert_eq!(world.anvil.nonce(&bot.wallet).await, 3);
}

async fn the_count_includes_what_is_in_flight(store: StoreKind) {
    let world = World::start(Setup::new(store)).await;
    let bot = world.bot();
    world.anvil.call("evm_setAutomine", json!([false])).await;
    for amount in [10, 11, 12] {
        bot.send(PAYEE, &usd(amount)).await.expect("allowed");
    }
    let count = bot.call("eth_getTransactionCount", json!([bot.wallet, "pending"])).await;
    assert_eq!(count, Ok(json!("0x3")), "not the node's business alone");
    let latest = bot.call("eth_getTransactionCount", json!([bot.wallet, "latest"])).await;
    assert_eq!(latest, Ok(json!("0x0")), "none is mined yet");
    world.anvil.call("evm_mine", json!([])).await;
    assert_eq!(world.anvil.balance(PAYEE).await, 33 * USD);
}
