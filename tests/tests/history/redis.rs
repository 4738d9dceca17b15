//! On Redis.

use countersign_tests::{
    Agent, Gateway, Operator, Setup, StoreKind, World,
    anvil::Anvil,
    books::Resp,
    config::{Addresses, PAYEE},
    money::{USD, usd},
    proxy::{Blow, End, Fault, Line, Proxy, node},
    redis::RedisServer,
    switch::Switch,
    tap::Tap,
    wait,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    accepts_differences, assert_sealed, copy, incidents, ledger, pay, put_back, refuses_at_once,
    settled, status,
};

async fn redis(world: &World) -> Resp {
    Resp::connect(&world.redis.as_ref().expect("a Redis").url()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flushed_store_signs_nothing_until_a_person_made_a_new_ledger_and_accepted_it() {
    let mut world = World::start(Setup::new(StoreKind::Redis)).await;
    pay(&world, 10).await;
    pay(&world, 20).await;
    let before = status(&world.gateway);
    let mut redis = redis(&world).await;
    redis.run(&["FLUSHALL"]).await;
    let refused = world.bot().send(PAYEE, &usd(7)).await.expect_err("nothing is signed");
    assert_sealed(&refused);
    assert_eq!(incidents(&world.alice(), "history_lost").await.len(), 1, "on that call");
    let ready = world.alice().get("/readyz").await;
    assert_eq!((ready.status, &ready.json()["store"]), (503, &json!("lost")));
    let shown = status(&world.gateway);
    assert!(shown["lost"].as_str().expect("a reason").contains("the store is empty"), "{shown}");
    assert_eq!(shown["ledger_id"], before["ledger_id"], "what was known");
    assert_eq!(shown["wallets"][0]["transactions"]["latest"], 2);

    // a restart does not make it forget
    world.gateway.terminate();
    assert_eq!(world.gateway.ended().await, Some(0));
    world.gateway.open_again().await;
    assert_sealed(&world.bot().send(PAYEE, &usd(7)).await.expect_err("nothing is signed"));
    assert_eq!(incidents(&world.alice(), "history_lost").await.len(), 1, "kept, and the same");
    let doctor = ["doctor", "--config", "countersign.yaml"];
    assert_eq!(countersign_tests::binary::run(world.gateway.folder(), &doctor).code, 1);
    assert_eq!(redis.run(&["DBSIZE"]).await, 0, "the empty store was written");
    assert!(ledger(&world.gateway, &["unseal"]).err.contains("[ledger_lost]"));

    let made = ledger(&world.gateway, &["init"]);
    assert_eq!(made.code, 0, "{}", made.err);
    assert!(ledger(&world.gateway, &["init"]).err.contains("409 [not_empty]"));
    assert_ne!(status(&world.gateway)["ledger_id"], before["ledger_id"]);
    wait::until("the new journal to take it", async || {
        let mut redis = self::redis(&world).await;
        (redis.run(&["EXISTS", "countersign:{default}:incidents"]).await == 1).then_some(())
    })
    .await;
    assert_eq!(incidents(&world.alice(), "history_lost").await.len(), 1);
    accepts_differences(&world, &["ops-0 on chain 31337 has 2 transactions from nonce 0"]).await;
    assert_eq!(world.anvil.nonce(&world.bot().wallet).await, 3);
    assert_eq!(world.anvil.balance(PAYEE).await, 39 * USD);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seal_without_differences_is_lifted_without_a_word() {
    let world = World::start(Setup::new(StoreKind::Redis)).await;
    let parked = world.bot().send(PAYEE, &usd(200)).await.expect_err("parked");
    assert_eq!(parked.text("status"), "PENDING_APPROVAL", "{parked:?}");
    redis(&world).await.run(&["FLUSHALL"]).await;
    assert_sealed(&world.bot().send(PAYEE, &usd(7)).await.expect_err("nothing is signed"));
    assert_eq!(ledger(&world.gateway, &["init"]).code, 0);
    assert_sealed(&world.bot().send(PAYEE, &usd(7)).await.expect_err("sealed from birth"));
    assert_eq!(status(&world.gateway)["differences"], json!([]), "nothing was ever sent");
    let lifted = ledger(&world.gateway, &["unseal"]);
    assert_eq!(lifted.code, 0, "{}", lifted.err);
    pay(&world, 10).await;
    assert_eq!(ledger(&world.gateway, &["seal", "--reason", "drill"]).code, 0);
    assert_eq!(status(&world.gateway)["sealed"], "alice: drill");
    assert_sealed(&world.bot().send(PAYEE, &usd(7)).await.expect_err("a drill"));
    assert_eq!(ledger(&world.gateway, &["unseal"]).code, 0, "the chain has what the ledger has");
    pay(&world, 20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn yesterdays_dump_signs_nothing_and_shows_what_the_chain_knows_better() {
    let mut world = World::start(Setup::new(StoreKind::Redis)).await;
    let yesterday = TempDir::new().expect("a folder");
    pay(&world, 10).await;
    let server = world.redis.as_mut().expect("a Redis");
    server.down();
    copy(server.folder(), yesterday.path());
    server.up().await;
    pay(&world, 20).await;
    pay(&world, 30).await;
    let server = world.redis.as_mut().expect("a Redis");
    server.down();
    put_back(yesterday.path(), server.folder());
    server.up().await;
    refuses_at_once(&world).await;
    let about =
        ["of the log, which was seen, is not in the store", "has 2 transactions from nonce 1"];
    accepts_differences(&world, &about).await;
    assert_eq!(world.anvil.nonce(&world.bot().wallet).await, 4);
    assert_eq!(world.anvil.balance(PAYEE).await, 69 * USD);

    // the same again, while nobody runs
    world.gateway.terminate();
    assert_eq!(world.gateway.ended().await, Some(0));
    let server = world.redis.as_mut().expect("a Redis");
    server.down();
    put_back(yesterday.path(), server.folder());
    server.up().await;
    world.gateway.open_again().await;
    refuses_at_once(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_signed_is_sent_again_and_settled_under_the_seal() {
    let anvil = Anvil::start().await;
    let line = Proxy::start(anvil.address()).await;
    let mut server = RedisServer::start().await;
    let addresses = Addresses::before(line.address(), Some(server.url()));
    let gateway = Gateway::start(&Setup::new(StoreKind::Redis), addresses).await;
    let (bot, alice) = (agent(&gateway), alice(&gateway));
    let never = Fault::NeverArrives(End::Close);
    line.arm(Blow { mark: node::SEND, nth: 1, fault: never, then: Line::Refused });
    let hash = bot.send(PAYEE, &usd(10)).await.expect("signed: the hash is true already");
    let yesterday = TempDir::new().expect("a folder");
    server.down();
    copy(server.folder(), yesterday.path());
    server.up().await;
    for verb in ["/freeze", "/unfreeze"] {
        assert_eq!(alice.post(verb, &json!({"chain": 31337})).await.status, 200, "{verb}");
    }
    server.down();
    put_back(yesterday.path(), server.folder());
    server.up().await;
    assert_eq!(anvil.nonce(&bot.wallet).await, 0, "the node has seen nothing");
    line.heal();
    anvil.receipt(&hash).await;
    settled(&alice, &hash).await;
    assert!(status(&gateway)["sealed"].is_string());
    assert_sealed(&bot.send(PAYEE, &usd(20)).await.expect_err("nothing new"));
    assert_eq!(anvil.nonce(&bot.wallet).await, 1);
    assert_eq!(incidents(&alice, "history_lost").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_truncated_log_file_signs_nothing() {
    let mut world = World::start(Setup::new(StoreKind::Redis)).await;
    pay(&world, 10).await;
    let server = world.redis.as_mut().expect("a Redis");
    server.down();
    server.truncate(3000);
    server.up().await;
    refuses_at_once(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_database_signs_nothing() {
    let mut world = World::start(Setup::new(StoreKind::Redis)).await;
    pay(&world, 10).await;
    let mut redis = redis(&world).await;
    world.gateway.terminate();
    assert_eq!(world.gateway.ended().await, Some(0));
    let url = world.redis.as_ref().expect("a Redis").url();
    world.gateway.reconfigure(&url, &format!("{url}/1"));
    world.gateway.open_again().await;
    assert_sealed(&world.bot().send(PAYEE, &usd(7)).await.expect_err("nothing is signed"));
    redis.run(&["SELECT", "1"]).await;
    assert_eq!(redis.run(&["DBSIZE"]).await, 0, "the other one was written");
    // back to the right one: nothing was lost
    world.gateway.terminate();
    assert_eq!(world.gateway.ended().await, Some(0));
    world.gateway.reconfigure(&format!("{url}/1"), &url);
    world.gateway.restart().await;
    pay(&world, 20).await;
}

fn agent(gateway: &Gateway) -> Agent {
    Agent {
        address: gateway.addresses.rpc,
        token: countersign_tests::config::token("bot"),
        wallet: countersign_tests::anvil::ACCOUNTS[0].1.to_owned(),
    }
}

fn alice(gateway: &Gateway) -> Operator {
    Operator { address: gateway.addresses.admin, token: countersign_tests::config::token("alice") }
}

/// Makes a server the replica of another, and waits until it follows.
async fn follow(replica: &RedisServer, primary: &RedisServer) {
    let mut primary_line = Resp::connect(&primary.url()).await;
    primary_line.run(&["CONFIG", "SET", "repl-diskless-sync-delay", "0"]).await;
    let mut line = Resp::connect(&replica.url()).await;
    let (host, port) = (primary.address().ip().to_string(), primary.address().port().to_string());
    line.run(&["REPLICAOF", &host, &port]).await;
    wait::until("the replica to follow", async || {
        let mut line = Resp::connect(&replica.url()).await;
        let info = line.run(&["INFO", "replication"]).await;
        info.as_str().is_some_and(|info| info.contains("master_link_status:up")).then_some(())
    })
    .await;
}

/// Cut off from its primary, or nobody's replica any more.
async fn detach(replica: &RedisServer, words: [&str; 2]) {
    Resp::connect(&replica.url()).await.run(&["REPLICAOF", words[0], words[1]]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_stood_still_and_was_promoted_signs_nothing() {
    let (anvil, primary, replica) =
        (Anvil::start().await, RedisServer::start().await, RedisServer::start().await);
    let tap = Tap::start(anvil.address()).await;
    let switch = Switch::to(primary.address()).await;
    let addresses = Addresses::before(tap.address(), Some(switch.redis_url()));
    let gateway = Gateway::start(&Setup::new(StoreKind::Redis), addresses).await;
    let (bot, alice) = (agent(&gateway), alice(&gateway));
    let hash = bot.send(PAYEE, &usd(10)).await.expect("allowed");
    anvil.receipt(&hash).await;
    follow(&replica, &primary).await;
    detach(&replica, ["127.0.0.1", "1"]).await;
    let hash = bot.send(PAYEE, &usd(20)).await.expect("allowed");
    anvil.receipt(&hash).await;
    detach(&replica, ["NO", "ONE"]).await;
    switch.lead_to(replica.address());
    let refused = wait::until("the switch", async || {
        let refused = bot.send(PAYEE, &usd(30)).await.expect_err("nothing is signed");
        (refused.text("code") != "store_unavailable").then_some(refused)
    });
    assert_sealed(&refused.await);
    assert_eq!(incidents(&alice, "history_lost").await.len(), 1);
    assert_eq!(anvil.nonce(&bot.wallet).await, 2, "0 signatures");
    let shown = status(&gateway);
    assert!(shown["missing"].is_string() && shown["sealed"].is_string(), "{shown}");
    // the old primary is back where it was: nothing is missing there
    switch.lead_to(primary.address());
    let hash = wait::until("the old primary", async || bot.send(PAYEE, &usd(40)).await.ok()).await;
    anvil.receipt(&hash).await;
    assert_eq!(status(&gateway)["sealed"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_primary_to_which_one_gateway_still_talks_signs_nothing() {
    let anvil = Anvil::start().await;
    let tap = Tap::start(anvil.address()).await;
    let [primary, replica, second] =
        [RedisServer::start().await, RedisServer::start().await, RedisServer::start().await];
    follow(&replica, &primary).await;
    follow(&second, &replica).await;
    let switch = Switch::to(primary.address()).await;
    let mut setup = Setup::new(StoreKind::Redis);
    let acknowledged = ["acknowledge_replicas: 0", "acknowledge_replicas: 1"].map(str::to_owned);
    setup.changes.push(acknowledged.into());
    let at = |url| Addresses::before(tap.address(), Some(url));
    let moved = Gateway::start(&setup, at(switch.redis_url())).await;
    let left = Gateway::start(&setup, at(primary.url())).await;
    let hash = agent(&left).send(PAYEE, &usd(10)).await.expect("allowed");
    anvil.receipt(&hash).await;

    // the replica is promoted, with a replica of its own; one gateway follows, the other does not
    detach(&replica, ["NO", "ONE"]).await;
    switch.lead_to(replica.address());
    let hash =
        wait::until("the new primary", async || agent(&moved).send(PAYEE, &usd(20)).await.ok());
    anvil.receipt(&hash.await).await;
    let refused = agent(&left).send(PAYEE, &usd(30)).await.expect_err("nobody acknowledges it");
    assert!([-32010, -32002].contains(&refused.code), "{refused:?}");
    let nonce = anvil.nonce(&agent(&left).wallet).await;
    assert_eq!(nonce, 2, "0 signatures on the old primary");
    assert_eq!(status(&moved)["sealed"], Value::Null);

    // the old primary comes back as a replica of the new one, and is promoted again
    follow(&primary, &replica).await;
    let refused = agent(&left).send(PAYEE, &usd(30)).await.expect_err("a replica is not asked");
    assert_eq!(refused.code, -32010, "{refused:?}");
    assert_eq!(anvil.nonce(&agent(&left).wallet).await, 2);
    assert_eq!(anvil.balance(PAYEE).await, 30 * USD);
}
