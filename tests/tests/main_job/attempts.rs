//! Higher fees, cancels and reorgs on a real chain.

use countersign_tests::{
    Setup, StoreKind, World,
    anvil::quantity,
    binary,
    config::PAYEE,
    money::{USD, usd},
    on_both_stores, wait,
};
use serde_json::{Value, json};

on_both_stores! {
    an_operator_raises_a_fee_and_the_dearer_bytes_are_mined,
    an_agent_raises_its_own_fee_with_the_same_nonce,
    a_cancel_takes_the_place_of_what_is_stuck,
    what_a_reorg_takes_back_is_paid_once_and_the_books_balance,
}

/// A world whose node mines only when it is told to.
async fn idle(store: StoreKind) -> World {
    let world = World::start(Setup::new(store)).await;
    world.anvil.call("evm_setAutomine", json!([false])).await;
    world
}

async fn mine(world: &World) {
    world.anvil.call("evm_mine", json!([])).await;
}

/// The newest operation, once it is in `state`; meanwhile blocks come.
async fn settled(world: &World, id: &str, state: &str) -> Value {
    wait::until(&format!("{id} to be {state}"), async || {
        mine(world).await;
        let operation = world.alice().read(&format!("/operations/{id}")).await;
        (operation["state"] == state).then_some(operation)
    })
    .await
}

async fn newest(world: &World) -> String {
    let operations = world.alice().list("/operations").await;
    operations[0]["id"].as_str().expect("an id").to_owned()
}

/// What is used of the day's limit, in micro-USD.
async fn used(world: &World) -> (String, String) {
    let budget = world.bot().call("countersign_budget", json!([])).await.expect("a budget");
    let lines = budget.as_array().expect("lines").clone();
    let day = lines.into_iter().find(|line| line["limit"] == "day").expect("the day's limit");
    let text = |name: &str| day[name].as_str().expect("an amount").to_owned();
    (text("used"), text("remaining"))
}

async fn an_operator_raises_a_fee_and_the_dearer_bytes_are_mined(store: StoreKind) {
    let world = idle(store).await;
    let first = world.bot().send(PAYEE, &usd(50)).await.expect("allowed");
    let id = newest(&world).await;
    let before = used(&world).await;
    let forbidden =
        world.operator("vera").post(&format!("/operations/{id}/bump"), &json!({})).await;
    assert_eq!(forbidden.status, 403, "{}", forbidden.text());
    let bumped = world.alice().post(&format!("/operations/{id}/bump"), &json!({})).await;
    assert_eq!(bumped.status, 200, "{}", bumped.text());
    let attempts = bumped.json()["attempts"].as_array().expect("attempts").clone();
    assert_eq!(attempts.len(), 2);
    assert_eq!(attempts[0]["hash"], first);
    let second = attempts[1]["hash"].as_str().expect("a hash").to_owned();
    assert_ne!(used(&world).await, before, "the difference is charged");
    let operation = settled(&world, &id, "EXECUTED").await;
    assert_eq!(operation["hash"], second.as_str());
    let receipt = world.anvil.receipt(&second).await;
    assert_eq!(receipt["status"], "0x1");
    let lost = world.anvil.call("eth_getTransactionReceipt", json!([first])).await;
    assert!(lost.is_null(), "the first is not mined: {lost}");
    assert_eq!(world.anvil.balance(PAYEE).await, 50 * USD);
    let late = world.alice().post(&format!("/operations/{id}/bump"), &json!({})).await;
    assert_eq!((late.status, &late.json()["code"]), (409, &json!("not_in_flight")));
}

async fn an_agent_raises_its_own_fee_with_the_same_nonce(store: StoreKind) {
    let world = idle(store).await;
    let bot = world.bot();
    let gwei = |amount: u64| json!(format!("{:#x}", amount.saturating_mul(1_000_000_000)));
    let send = |max_fee, tip| {
        let mut transaction = bot.transfer(PAYEE, &usd(20));
        transaction["nonce"] = json!("0x0");
        transaction["maxFeePerGas"] = gwei(max_fee);
        transaction["maxPriorityFeePerGas"] = gwei(tip);
        json!([transaction])
    };
    let first = bot.call("eth_sendTransaction", send(5, 1)).await.expect("allowed");
    let same = bot.call("eth_sendTransaction", send(5, 1)).await.expect("the same");
    assert_eq!(first, same);
    let more = bot.call("eth_sendTransaction", send(10, 2)).await.expect("a permitted bump");
    assert_ne!(first, more);
    let absurd =
        bot.call("eth_sendTransaction", send(900, 2)).await.expect_err("above the ceiling");
    assert_eq!(absurd.code, -32003, "{absurd:?}");
    let operation = settled(&world, &newest(&world).await, "EXECUTED").await;
    assert_eq!(operation["hash"], more);
    assert_eq!(world.anvil.balance(PAYEE).await, 20 * USD);
    assert_eq!(world.anvil.nonce(&bot.wallet).await, 1);
}

async fn a_cancel_takes_the_place_of_what_is_stuck(store: StoreKind) {
    let world = idle(store).await;
    let bot = world.bot();
    bot.send(PAYEE, &usd(50)).await.expect("allowed");
    let id = newest(&world).await;
    let (alice, admin) = (world.alice(), format!("http://{}", world.gateway.addresses.admin));
    let cancel = ["operation", "cancel", &id, "--admin", &admin, "--token", &alice.token];
    let said = binary::run(world.gateway.folder(), &cancel);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.out.contains("CANCELLING"), "{said:?}");
    let operation = settled(&world, &id, "CANCELLED").await;
    assert_eq!(operation["attempts"][1]["purpose"], "cancel");
    assert_eq!(world.anvil.balance(PAYEE).await, 0);
    let hash = operation["attempts"][1]["hash"].as_str().expect("a hash");
    let mined = world.anvil.call("eth_getTransactionByHash", json!([hash])).await;
    assert_eq!(
        (mined["to"].as_str(), quantity(&mined["value"])),
        (Some(bot.wallet.to_lowercase().as_str()), 0)
    );
    let (used, _) = used(&world).await;
    let used: f64 = used.parse().expect("an amount");
    assert!(used > 0.0 && used < 1.0, "only the cancel's fee is spent: {used}");
    bot.send(PAYEE, &usd(60)).await.expect("the lane goes on");
    settled(&world, &newest(&world).await, "EXECUTED").await;
    assert_eq!(world.anvil.balance(PAYEE).await, 60 * USD);
}

async fn what_a_reorg_takes_back_is_paid_once_and_the_books_balance(store: StoreKind) {
    for depth in [1_u64, 3, 64] {
        let world = idle(store).await;
        let bot = world.bot();
        for _ in 0..70 {
            mine(&world).await;
        }
        let mut ids = Vec::new();
        for amount in [10, 11, 12] {
            bot.send(PAYEE, &usd(amount)).await.expect("allowed");
            ids.push(newest(&world).await);
            settled(&world, &newest(&world).await, "EXECUTED").await;
        }
        let before = used(&world).await;
        world.anvil.call("anvil_reorg", json!([depth, []])).await;
        wait::until("an incident or the same receipts", async || {
            mine(&world).await;
            let open = world.alice().list("/operations?status=BROADCAST,UNKNOWN,MINED").await;
            let paid = world.anvil.balance(PAYEE).await == 33 * USD;
            (open.is_empty() && paid).then_some(())
        })
        .await;
        for id in &ids {
            let operation = settled(&world, id, "EXECUTED").await;
            let hash = operation["hash"].as_str().expect("a hash");
            let receipt = world.anvil.receipt(hash).await;
            assert_eq!(operation["receipt"]["block_hash"], receipt["blockHash"], "{depth}");
        }
        assert_eq!(world.anvil.nonce(&bot.wallet).await, 3, "each was signed once");
        let after = used(&world).await;
        assert_eq!(
            before.0.split('.').next(),
            after.0.split('.').next(),
            "{depth}: {before:?} {after:?}"
        );
    }
}
