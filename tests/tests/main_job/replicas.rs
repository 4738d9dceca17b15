//! Several gateways on one Redis: any of them serves any agent, and one limit holds for all.

use countersign_tests::{
    Agent, Gateway, Operator, Setup, StoreKind, World,
    config::{Addresses, PAYEE},
    money::{USD, usd},
    wait,
};

/// A second gateway beside the world's own, on the same store and node.
async fn second(world: &World) -> Gateway {
    let redis = world.redis.as_ref().expect("a Redis").url();
    let addresses = Addresses::before(world.tap.address(), Some(redis));
    Gateway::start(&Setup::new(StoreKind::Redis), addresses).await
}

/// The same agent, at the other gateway.
fn at(gateway: &Gateway, agent: Agent) -> Agent {
    Agent { address: gateway.addresses.rpc, ..agent }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_gateways_share_one_limit_and_one_row_of_nonces() {
    let world = World::start(Setup::new(StoreKind::Redis)).await;
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
    let mut world = World::start(Setup::new(StoreKind::Redis)).await;
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
