//! The breaker: so many denials within so much time freeze their agent, and nobody else.

use countersign_tests::{
    Gateway, Setup, StoreKind, World,
    config::{Addresses, PAYEE, STRANGER},
    money::usd,
    on_both_stores, wait,
};
use futures_util::future::join_all;
use serde_json::{Value, json};

on_both_stores! {
    too_many_denials_freeze_their_agent_until_somebody_lifts_it,
    what_is_not_the_agents_doing_does_not_count,
}

/// Five denials a minute are too many, for `bot` alone.
fn setup(store: StoreKind) -> Setup {
    let mut setup = Setup::new(store).with_another_agent();
    let own = "duplicate_window: 15s, hold: 0s }".to_owned();
    let with = "duplicate_window: 15s, hold: 0s, breaker: { denials: 5, within: 1m } }".to_owned();
    setup.changes.push((own, with));
    setup
}

async fn incidents(world: &World, code: &str) -> Vec<Value> {
    let all = world.alice().list("/incidents?limit=100").await;
    all.into_iter().filter(|incident| incident["code"] == code).collect()
}

async fn freezes(world: &World) -> Value {
    world.alice().read("/overview").await["freezes"].clone()
}

async fn too_many_denials_freeze_their_agent_until_somebody_lifts_it(store: StoreKind) {
    let mut world = World::start(setup(store)).await;
    let (bot, alice) = (world.bot(), world.alice());
    for n in 1..=4 {
        let denied = bot.send(STRANGER, &usd(n)).await.expect_err("a stranger");
        assert_eq!((denied.code, denied.text("code")), (4001, "no_rule_allows"));
    }
    bot.send(PAYEE, &usd(1)).await.expect("four are not too many");
    world.gateway.kill9();
    world.gateway.restart().await;
    bot.send(STRANGER, &usd(5)).await.expect_err("the fifth, counted over a crash");
    let frozen = bot.send(PAYEE, &usd(2)).await.expect_err("frozen at once");
    assert_eq!((frozen.code, frozen.text("code")), (4001, "frozen"));
    world.agent("other").send(PAYEE, &usd(3)).await.expect("nobody else is");
    let standing = freezes(&world).await;
    let why = &standing[0]["reason"];
    assert_eq!(why, "5 of its requests were denied within 1m", "{standing}");
    assert_eq!((&standing[0]["by"], &standing[0]["id"]), (&json!("breaker"), &json!("bot")));
    assert_eq!(standing.as_array().map(Vec::len), Some(1), "{standing}");
    assert!(!frozen.text("reason").contains("denied within"), "{frozen:?}");
    let told =
        wait::until("an incident", async || incidents(&world, "breaker_tripped").await.pop());
    let told = told.await;
    assert_eq!((&told["severity"], &told["agent"]), (&json!("High"), &json!("bot")));
    assert_eq!((&told["count"], &told["status"]), (&json!(1), &json!("Open")));
    world.gateway.kill9();
    world.gateway.restart().await;
    bot.send(PAYEE, &usd(4)).await.expect_err("still frozen");
    let lifted = alice.post("/unfreeze", &json!({"agent": "bot"})).await;
    assert_eq!(lifted.status, 200, "{}", lifted.text());
    for n in 11..=14 {
        bot.send(STRANGER, &usd(n)).await.expect_err("a stranger");
    }
    bot.send(PAYEE, &usd(5)).await.expect("the count began anew");
    bot.send(STRANGER, &usd(15)).await.expect_err("a stranger");
    bot.send(PAYEE, &usd(6)).await.expect_err("frozen again");
    let again = wait::until("the second time", async || {
        incidents(&world, "breaker_tripped").await.pop().filter(|told| told["count"] == 2)
    });
    assert_eq!(again.await["id"], told["id"], "one incident");
}

async fn what_is_not_the_agents_doing_does_not_count(store: StoreKind) {
    let world = World::start(setup(store)).await;
    let (bot, alice) = (world.bot(), world.alice());
    let parked = bot.send(PAYEE, &usd(200)).await.expect_err("parked").operation();
    for _ in 0..20 {
        let again = bot.send(PAYEE, &usd(200)).await.expect_err("parked");
        assert_eq!((again.code, again.operation()), (-32002, parked.clone()));
    }
    assert_eq!(alice.post("/freeze", &json!({"all": true})).await.status, 200);
    for n in 1..=20 {
        let frozen = bot.send(PAYEE, &usd(n)).await.expect_err("frozen");
        assert_eq!(frozen.text("code"), "frozen");
    }
    assert_eq!(alice.post("/unfreeze", &json!({"all": true})).await.status, 200);
    assert_eq!(freezes(&world).await, json!([]));
    bot.send(PAYEE, &usd(30)).await.expect("not frozen");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_at_two_gateways_trips_once() {
    let world = World::start(setup(StoreKind::Redis)).await;
    let url = world.redis.as_ref().map(countersign_tests::redis::RedisServer::url);
    let second =
        Gateway::start(&setup(StoreKind::Redis), Addresses::before(world.tap.address(), url)).await;
    let bots = [0, 1].map(|n| {
        let mut bot = world.bot();
        if n == 1 {
            bot.address = second.addresses.rpc;
        }
        bot
    });
    let sends = (1..=60).map(|n: u128| {
        let bot = bots[usize::from(n.is_multiple_of(2))].clone();
        tokio::spawn(async move { bot.send(STRANGER, &usd(n)).await.expect_err("denied") })
    });
    for denied in join_all(sends).await {
        assert_eq!(denied.expect("no panic").code, 4001);
    }
    for bot in &bots {
        let frozen = bot.send(PAYEE, &usd(1)).await.expect_err("frozen at both");
        assert_eq!(frozen.text("code"), "frozen");
    }
    let told =
        wait::until("an incident", async || incidents(&world, "breaker_tripped").await.pop());
    assert_eq!(told.await["count"], 1);
    assert_eq!(incidents(&world, "breaker_tripped").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attack_that_is_blocked_is_one_incident_however_often_it_is_tried() {
    let world = World::start(Setup::new(StoreKind::Embedded)).await;
    let bot = world.bot();
    let spender = STRANGER.trim_start_matches("0x");
    let data = format!("0x095ea7b3{spender:0>64}{}", "f".repeat(64));
    for _ in 0..30 {
        let approve =
            json!({"from": bot.wallet, "to": countersign_tests::config::TOKEN, "data": data});
        let denied = bot.call("eth_sendTransaction", json!([approve])).await;
        assert_eq!(denied.expect_err("denied").code, 4001);
    }
    let told = wait::until("all of them", async || {
        incidents(&world, "attack_blocked").await.pop().filter(|told| told["count"] == 30)
    });
    let told = told.await;
    assert_eq!(incidents(&world, "attack_blocked").await.len(), 1);
    assert_eq!(
        (&told["severity"], &told["cause"]),
        (&json!("High"), &json!("unlimited_allowance"))
    );
    let traces = told["traces"].as_array().map(Vec::len);
    assert_eq!(traces, Some(30), "each trace is named, up to a bound");
    let burst = incidents(&world, "denial_burst").await;
    assert_eq!(burst.len(), 1, "and that there are many, where no breaker is");
}
