//! The same request again: never paid twice, never mistaken for another.

use countersign_tests::{
    Setup, StoreKind, World,
    config::PAYEE,
    money::{USD, usd},
    on_both_stores,
};
use serde_json::json;

on_both_stores! {
    a_key_is_one_operation_for_ever,
    a_lost_reply_is_not_paid_twice,
    entries_of_a_batch_are_operations_of_their_own,
}

async fn a_key_is_one_operation_for_ever(store: StoreKind) {
    let world = World::start(Setup::new(store)).await;
    let bot = world.bot();
    let (one, two) = ([("idempotency-key", "one")], [("idempotency-key", "two")]);
    let first = bot.send_with(&one, PAYEE, &usd(10)).await.expect("allowed");
    assert_eq!(bot.send_with(&one, PAYEE, &usd(10)).await.as_ref(), Ok(&first));
    let other = bot.send_with(&one, PAYEE, &usd(11)).await.expect_err("another payload");
    assert_eq!(other.code, -32602, "{other:?}");
    let second = bot.send_with(&two, PAYEE, &usd(10)).await.expect("another key");
    assert_ne!(first, second);
    let bare = bot.send(PAYEE, &usd(10)).await.expect("no key");
    assert!(bare != first && bare != second, "an operation with a key is reachable only by it");
    let params = json!([bot.transfer(PAYEE, &usd(10)), {"idempotencyKey": "two"}]);
    let by_parameter = bot.call("eth_sendTransaction", params).await;
    assert_eq!(by_parameter, Ok(json!(second)), "the same key, as a second parameter");
    assert_eq!(world.anvil.nonce(&bot.wallet).await, 3);
}

async fn a_lost_reply_is_not_paid_twice(store: StoreKind) {
    let setup = Setup::new(store).with_another_agent();
    let world = World::start(setup.with(|bot| bot.duplicate_window = "60s")).await;
    let bot = world.bot();
    let first = bot.send(PAYEE, &usd(10)).await.expect("allowed");
    assert_eq!(bot.send(PAYEE, &usd(10)).await.as_ref(), Ok(&first), "sent again at once");
    let mut dearer = bot.transfer(PAYEE, &usd(10));
    dearer["maxFeePerGas"] = json!("0x77359400");
    dearer["maxPriorityFeePerGas"] = json!("0x3b9aca00");
    dearer["gas"] = json!("0x7530");
    let fees = bot.call("eth_sendTransaction", json!([dearer])).await;
    assert_eq!(fees, Ok(json!(first)), "gas and fees do not make another payload");
    let more = bot.send(PAYEE, &usd(11)).await.expect("another value");
    assert_ne!(more, first);
    let other = world.agent("other").send(PAYEE, &usd(10)).await.expect("another agent");
    assert_ne!(other, first);
    assert_eq!(world.anvil.nonce(&bot.wallet).await, 2);
    let value = usd(12);
    let (left, right) = tokio::join!(bot.send(PAYEE, &value), bot.send(PAYEE, &value));
    assert_eq!(left, right, "at the same time");
    assert_eq!(world.anvil.balance(PAYEE).await, 43 * USD);
}

async fn entries_of_a_batch_are_operations_of_their_own(store: StoreKind) {
    let world = World::start(Setup::new(store).with(|bot| bot.duplicate_window = "0s")).await;
    let bot = world.bot();
    let send = |amount| ("eth_sendTransaction", json!([bot.transfer(PAYEE, &usd(amount))]));
    let calls = [send(10), ("eth_chainId", json!([])), send(10), send(200), send(600)];
    let key = [("idempotency-key", "batch")];
    let first = bot.batch(&key, &calls).await;
    let codes: Vec<_> =
        first.iter().map(|one| one.as_ref().map_or_else(|e| e.code, |_| 0)).collect();
    assert_eq!(codes, [0, 0, 0, -32002, 4001]);
    assert_ne!(first.first(), first.get(2), "equal entries are two payments");
    let again = bot.batch(&key, &calls).await;
    assert_eq!(again.get(..3), first.get(..3), "the same batch under the same key");
    assert_eq!(world.anvil.nonce(&bot.wallet).await, 2);
    let bare = bot.batch(&[], &[send(10), send(10)]).await;
    assert_ne!(bare.first(), bare.get(1), "without a key too");
    let one = bot.send(PAYEE, &usd(10)).await.expect("a window of 0s");
    assert_ne!(Ok(json!(one)), bare.first().cloned().expect("an answer"));
    assert_eq!(world.anvil.nonce(&bot.wallet).await, 5);
}
