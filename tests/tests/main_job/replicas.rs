//! Several gateways on one Redis: any of them serves any agent, and one limit holds for all.

use countersign_tests::{
    Agent, Gateway, Operator, Setup, StoreKind, World,
    config::{Addresses, PAYEE},
    money::{USD, usd},
    wait,
};
use serde_json::{Value, json};

fn setup() -> Setup {
    Setup::new(StoreKind::Redis).with_fees_raised_soon()
}

/// A second gateway beside the world's own, on the same store and node.
async fn second(world: &World) -> Gateway {
    let redis = world.redis.as_ref().expect("a Redis").url();
    let addresses = Addresses::before(world.tap.address(), Some(redis));
    Gateway::start(&setup(), addresses).await
}

/// The same agent, at the other gateway.
fn at(gateway: &Gateway, agent: Agent) -> Agent {
    Agent { address: gateway.addresses.rpc, ..agent }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_gateways_share_one_limit_and_one_row_of_nonces() {
    let world = World::start(setup()).await;
    let other = second(&world).await;
    let agents = [world.bot(), at(&other, world.bot())];
    let racers = (0..120_usize).map(|racer| {
        let agent = agents.iter().cycle().nth(racer).cloned().expect("one of two");
        tokio::spawn(async move {
            let key = format!("race-{racer}");
            agent.send_with(&[("idempotency-key", key.as_str())], PAYEE, &usd(10)).await
        })
    });
    let mut paid = 0_u128;
    for racer in racers.collect::<Vec<_>>() {
        match racer.await.expect("no racer panics") {
            Ok(_hash) => paid = paid.saturating_add(1),
            Err(error) => assert_eq!(error.text("code"), "rolling_limit_exceeded", "{error:?}"),
        }
    }
    assert_eq!(paid, 99, "as with one gateway");
    wait::until("all to be mined", async || {
        (world.anvil.balance(PAYEE).await == 990 * USD).then_some(())
    })
    .await;
    assert_eq!(world.anvil.nonce(&world.bot().wallet).await, 99);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_gateway_finishes_what_a_dead_one_parked() {
    let mut world = World::start(setup()).await;
    let other = second(&world).await;
    let id = world.bot().send(PAYEE, &usd(200)).await.expect_err("parked").operation();
    let elsewhere = at(&other, world.bot());
    assert_eq!(elsewhere.send(PAYEE, &usd(200)).await.expect_err("the same").operation(), id);
    world.gateway.kill9();
    let alice = Operator { address: other.addresses.admin, ..world.alice() };
    assert_eq!(alice.approve(&id).await.status, 200);
    let hash =
        wait::until("the result", async || elsewhere.send(PAYEE, &usd(200)).await.ok()).await;
    world.anvil.receipt(&hash).await;
    assert_eq!(world.anvil.balance(PAYEE).await, 200 * USD);
}

/// A bundle of three payments of 10 USD, with an id that the agent chose.
fn bundle(bot: &Agent, id: &str) -> Value {
    let call = json!({"to": PAYEE, "value": usd(10)});
    json!([{
        "version": "2.0.0",
        "id": id,
        "from": bot.wallet,
        "chainId": "0x7a69",
        "atomicRequired": false,
        "calls": [call, call, call],
    }])
}

/// The nonces of a bundle's transactions, in the order of its calls, when all of them are mined.
async fn nonces(world: &World, bot: &Agent, id: &str) -> Vec<u64> {
    let told = wait::until("a bundle to end", async || {
        let told = bot.call("wallet_getCallsStatus", json!([id])).await.ok()?;
        (told["status"] != json!(100)).then_some(told)
    })
    .await;
    assert_eq!(told["status"], json!(200), "{told}");
    let receipts = told["receipts"].as_array().expect("a list");
    assert_eq!(receipts.len(), 3, "{told}");
    let mut nonces = Vec::new();
    for receipt in receipts {
        let hash = receipt["transactionHash"].as_str().expect("a hash");
        let found = world.anvil.call("eth_getTransactionByHash", json!([hash])).await;
        let nonce = found["nonce"].as_str().and_then(|hex| hex.strip_prefix("0x"));
        nonces.push(u64::from_str_radix(nonce.expect("a nonce"), 16).expect("a number"));
    }
    nonces
}

#[tokio::test(flavor = "multi_thread")]
async fn bundles_at_two_gateways_share_one_limit_and_each_is_sent_whole_and_in_order() {
    let world = World::start(setup()).await;
    let other = second(&world).await;
    let agents = [world.bot(), at(&other, world.bot())];
    let racers = (0..40_usize).map(|racer| {
        let agent = agents.iter().cycle().nth(racer).cloned().expect("one of two");
        tokio::spawn(async move {
            let id = format!("bundle-{racer}");
            let sent = agent.call("wallet_sendCalls", bundle(&agent, &id)).await;
            (id, sent)
        })
    });
    let mut sent = Vec::new();
    for racer in racers.collect::<Vec<_>>() {
        match racer.await.expect("no racer panics") {
            (id, Ok(told)) => {
                assert_eq!(told, json!({"id": id}));
                sent.push(id);
            }
            (_, Err(error)) => {
                assert_eq!(error.text("code"), "rolling_limit_exceeded", "{error:?}");
            }
        }
    }
    assert_eq!(sent.len(), 33, "990 of 1000 USD: all calls of a bundle fit, or none is sent");
    let mut all = Vec::new();
    for id in &sent {
        // whichever gateway took it in, both tell what became of it
        let [here, there] =
            [nonces(&world, &agents[0], id).await, nonces(&world, &agents[1], id).await];
        assert_eq!(here, there);
        assert!(here.is_sorted(), "in the order of the calls: {here:?}");
        all.extend(here);
    }
    all.sort_unstable();
    assert!(all.iter().copied().eq(0..99), "no nonce twice and no gap: {all:?}");
    assert_eq!(world.anvil.balance(PAYEE).await, 990 * USD);
    let twice = agents[1].call("wallet_sendCalls", bundle(&agents[1], &sent[0])).await;
    assert_eq!(twice.expect_err("the same id").code, 5720);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_gateway_finishes_the_bundles_of_a_dead_one_once() {
    let mut world = World::start(setup()).await;
    let other = second(&world).await;
    let (bot, elsewhere) = (world.bot(), at(&other, world.bot()));
    let ids: Vec<String> = (0..8).map(|n| format!("bundle-{n}")).collect();
    let asks = ids.iter().cloned().map(|id| {
        let bot = bot.clone();
        // a connection that breaks says nothing
        tokio::spawn(async move { bot.call("wallet_sendCalls", bundle(&bot, &id)).await })
    });
    let asks: Vec<_> = asks.collect();
    wait::until("one to be sent", async || (!world.tap.writes().is_empty()).then_some(())).await;
    world.gateway.kill9();
    for ask in asks {
        drop(ask.await);
    }
    for id in &ids {
        let told = wait::until("a word on a bundle", async || {
            match elsewhere.call("wallet_sendCalls", bundle(&elsewhere, id)).await {
                Ok(told) => Some(Ok(told)),
                // what it took in and nobody has taken over yet
                Err(error) if error.code == -32010 => None,
                Err(error) => Some(Err(error.code)),
            }
        })
        .await;
        assert!(matches!(told, Ok(_) | Err(5720)), "{id}: {told:?}");
    }
    let mut all = Vec::new();
    for id in &ids {
        let bundle = nonces(&world, &elsewhere, id).await;
        assert!(bundle.is_sorted(), "in the order of the calls: {bundle:?}");
        all.extend(bundle);
    }
    all.sort_unstable();
    assert!(all.iter().copied().eq(0..24), "each call once: {all:?}");
    assert_eq!(world.anvil.balance(PAYEE).await, 240 * USD);
}
