//! Webhooks: what is told, in which order, to whom, and whom it never delays.

use std::collections::BTreeSet;

use countersign_tests::{
    Gateway, Setup, StoreKind, World,
    config::{Addresses, PAYEE, STRANGER},
    money::usd,
    on_both_stores,
    receiver::{Receiver, SECRET, SILENCE},
    tls::Authority,
    wait,
};
use serde_json::json;
use tokio::time::{Duration, timeout};

on_both_stores! {
    people_are_told_in_order_and_signed,
    a_receiver_that_fails_delays_nobody_and_is_told_again,
    what_happened_while_nobody_told_it_is_told_after_a_crash,
}

fn setup(store: StoreKind, receiver: &Receiver, more: &str) -> Setup {
    let mut setup = Setup::new(store);
    let url = receiver.url();
    let entry =
        format!("{{ webhook: \"{url}\", secret_file: hook.secret, reach: loopback{more} }}");
    setup.files.push(("hook.secret".into(), format!("{SECRET}\n")));
    setup.changes.push(("app: default\n".into(), format!("app: default\nnotify: [ {entry} ]\n")));
    setup
}

/// A receiver inside, whose certificate is of an authority of its own: it is believed where that one is named, and of no
/// other, and for no other name.
#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_with_a_private_authority_is_believed_where_it_is_named() {
    let (own, other) = (Authority::new(), Authority::new());
    for (serves, named, believed) in [
        (own.server("localhost"), Some(&own), true),
        (own.server("localhost"), Some(&other), false),
        (own.server("localhost"), None, false),
        (own.server("elsewhere.test"), Some(&own), false),
    ] {
        let receiver = Receiver::start_tls(serves).await;
        let dropped = Receiver::start().await;
        let url = format!("https://localhost:{}/hook", receiver.port());
        let ca = named.map_or("", |_| ", ca_file: inside.pem");
        let mut setup = setup(StoreKind::Embedded, &dropped, "");
        let entry = format!("webhook: \"{}\"", dropped.url());
        let inside = format!(
            "webhook: \"{url}\", secret_file: hook.secret, reach: loopback{ca} }}, {{ {entry}"
        );
        setup.changes.push((entry, inside));
        let pem = named.map_or_else(String::new, Authority::pem);
        setup.files.push(("inside.pem".into(), pem));
        let world = World::start(setup).await;
        // the other receiver hears of it, however this one fares
        known(&world, &dropped).await;
        if believed {
            heard(&receiver, "freeze.set", 1).await;
            assert!(receiver.told().iter().all(countersign_tests::receiver::Told::is_signed));
        } else {
            let failed = async || {
                let log = world.gateway.log();
                let mut lines =
                    log.lines().filter(|line| line.contains("a notice is not delivered"));
                lines.any(|line| line.contains("invalid peer certificate")).then_some(())
            };
            wait::until("a failed delivery", failed).await;
            assert!(receiver.told().is_empty(), "{:?}", receiver.told());
        }
    }
}

/// Waits until so many notices of that type have come.
async fn heard(receiver: &Receiver, kind: &str, count: usize) {
    let what = format!("{count} of {kind}");
    wait::until(&what, async || (receiver.of(kind).len() >= count).then_some(())).await;
}

/// A receiver is new to a gateway until its place in the log is noted: what happened before that is not told.
async fn known(world: &World, receiver: &Receiver) {
    let alice = world.alice();
    wait::until("a first notice", async || {
        alice.post("/freeze", &json!({"wallet": "ops-0"})).await;
        alice.post("/unfreeze", &json!({"wallet": "ops-0"})).await;
        (!receiver.told().is_empty()).then_some(())
    })
    .await;
    // what was told so far is behind it: receivers are told in order
    let last = json!({"chain": 31337});
    assert_eq!(alice.post("/freeze", &last).await.status, 200);
    assert_eq!(alice.post("/unfreeze", &last).await.status, 200);
    wait::until("the last of them", async || {
        let lifted = receiver.of("freeze.lifted");
        let is_slack =
            receiver.told().iter().any(|told| told.text.contains("no longer frozen: chain"));
        (is_slack || lifted.iter().any(|told| told.fact("scope") == "chain:31337")).then_some(())
    })
    .await;
}

async fn people_are_told_in_order_and_signed(store: StoreKind) {
    let receiver = Receiver::start().await;
    let world = World::start(setup(store, &receiver, "")).await;
    known(&world, &receiver).await;
    let (bot, alice) = (world.bot(), world.alice());
    let reason = "pay%20%3C!channel%3E%E2%80%AE now";
    let headers = [("countersign-reason", reason.replace(' ', "%20"))];
    let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
    let parked = bot.send_with(&headers, PAYEE, &usd(200)).await.expect_err("parked").operation();
    assert_eq!(alice.approve(&parked).await.status, 200);
    let other = bot.send(PAYEE, &usd(201)).await.expect_err("parked").operation();
    assert_eq!(alice.reject(&other, "no").await.status, 200);
    let why = json!({"wallet": "ops-0", "reason": "<!channel> *who* is that?"});
    assert_eq!(alice.post("/freeze", &why).await.status, 200);
    assert_eq!(alice.post("/ledger/seal", &json!({"reason": "a test"})).await.status, 200);
    heard(&receiver, "ledger.sealed", 1).await;
    let frozen = receiver.of("freeze.set").pop().expect("a freeze").body();
    assert_eq!(frozen["data"]["by"], "operator", "{frozen}");
    assert_eq!(frozen["data"]["operator"], "alice", "{frozen}");
    assert_eq!(frozen["data"]["reason"], why["reason"], "{frozen}");
    let of_pending: Vec<(String, String, String)> = receiver
        .told()
        .iter()
        .filter(|told| told.kind().starts_with("pending."))
        .map(|told| (told.kind(), told.fact("operation"), told.fact("decision")))
        .collect();
    let row = |kind: &str, id: &str, decision: &str| (kind.into(), id.into(), decision.into());
    assert_eq!(
        of_pending,
        [
            row("pending.created", &parked, ""),
            row("pending.decided", &parked, "approved"),
            row("pending.created", &other, ""),
            row("pending.decided", &other, "rejected"),
        ]
    );
    let told = receiver.told();
    assert!(told.iter().all(countersign_tests::receiver::Told::is_signed), "{told:#?}");
    let ids: BTreeSet<String> = told.iter().map(|told| told.id.clone()).collect();
    assert_eq!(ids.len(), told.len(), "each once");
    let created = receiver.of("pending.created").remove(0).body();
    assert_eq!(created["data"]["untrusted"]["reasoning"], "pay <!channel> now");
    let text: String = told.iter().map(|told| told.text.as_str()).collect();
    for secret in [bot.token.as_str(), alice.token.as_str(), SECRET, "battery staple"] {
        assert!(!text.contains(secret), "{secret} is in a body");
    }
}

async fn a_receiver_that_fails_delays_nobody_and_is_told_again(store: StoreKind) {
    let receiver = Receiver::start().await;
    let world = World::start(setup(store, &receiver, ", events: [pending, freeze]")).await;
    known(&world, &receiver).await;
    let (bot, alice) = (world.bot(), world.alice());
    receiver.answer(SILENCE);
    let parked = bot.send(PAYEE, &usd(200)).await.expect_err("parked").operation();
    heard(&receiver, "pending.created", 1).await;
    let work = async {
        assert_eq!(alice.approve(&parked).await.status, 200);
        wait::until("the payment", async || bot.send(PAYEE, &usd(200)).await.ok()).await;
        bot.send(PAYEE, &usd(10)).await.expect("allowed");
        bot.send(STRANGER, &usd(1)).await.expect_err("denied");
    };
    timeout(Duration::from_secs(4), work).await.expect("nobody waits for a receiver");
    receiver.answer(503);
    heard(&receiver, "pending.created", 2).await;
    receiver.answer(200);
    heard(&receiver, "pending.decided", 1).await;
    let ids: BTreeSet<String> =
        receiver.of("pending.created").into_iter().map(|told| told.id).collect();
    assert_eq!(ids.len(), 1, "the same notice has the same id each time");
    assert!(receiver.of("incident.opened").is_empty(), "only what was asked for");
}

async fn what_happened_while_nobody_told_it_is_told_after_a_crash(store: StoreKind) {
    let receiver = Receiver::start().await;
    let mut world = World::start(setup(store, &receiver, ", events: [pending, freeze]")).await;
    known(&world, &receiver).await;
    receiver.answer(500);
    let parked = world.bot().send(PAYEE, &usd(200)).await.expect_err("parked").operation();
    world.gateway.kill9();
    receiver.answer(200);
    world.gateway.restart().await;
    wait::until("the notice", async || {
        // the dead process's turn lasts for a quarter of a minute
        receiver.of("pending.created").pop().filter(|told| told.fact("operation") == parked)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_gateways_tell_each_thing_once() {
    let receiver = Receiver::start().await;
    let setup = setup(StoreKind::Redis, &receiver, "");
    let world = World::start(setup.clone()).await;
    let url = world.redis.as_ref().map(countersign_tests::redis::RedisServer::url);
    let second = Gateway::start(&setup, Addresses::before(world.tap.address(), url)).await;
    known(&world, &receiver).await;
    let mut bot = world.bot();
    for n in 0..10 {
        let gateway = [world.gateway.addresses.rpc, second.addresses.rpc][n % 2];
        bot.address = gateway;
        let amount = usd(200 + u128::try_from(n).expect("small"));
        let parked = bot.send(PAYEE, &amount).await.expect_err("parked").operation();
        assert_eq!(world.alice().reject(&parked, "no").await.status, 200);
    }
    heard(&receiver, "pending.decided", 10).await;
    let told = receiver.told();
    let ids: BTreeSet<String> = told.iter().map(|told| told.id.clone()).collect();
    assert_eq!(ids.len(), told.len(), "each once");
    assert_eq!(receiver.of("pending.created").len(), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn slack_hears_plain_words() {
    let receiver = Receiver::start().await;
    let world = World::start(setup(StoreKind::Embedded, &receiver, ", format: slack")).await;
    known(&world, &receiver).await;
    let headers = [("countersign-reason", "%3C!here%3E%20%2Aapprove%2A")];
    world.bot().send_with(&headers, PAYEE, &usd(200)).await.expect_err("parked");
    let said = wait::until("the words", async || {
        receiver.told().into_iter().find(|told| told.text.contains("waits for approval"))
    });
    let body = said.await.body();
    assert_eq!(body["text"], "bot waits for approval");
    let last = body["blocks"].as_array().and_then(|blocks| blocks.last()).cloned();
    let said = last.expect("a block")["elements"][0].clone();
    assert_eq!(said["type"], "plain_text");
    assert_eq!(said["text"], "untrusted, reasoning as the agent says: <!here> *approve*");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_policy_is_told_with_its_version() {
    let receiver = Receiver::start().await;
    let world =
        World::start(setup(StoreKind::Embedded, &receiver, ", events: [policy, freeze]")).await;
    known(&world, &receiver).await;
    let file = countersign_tests::config::policy_file(world.gateway.folder(), "bot");
    let policy = std::fs::read_to_string(&file).expect("the policy");
    std::fs::write(&file, policy.replace("max: 1000", "max: 999")).expect("written");
    heard(&receiver, "policy.changed", 1).await;
    let told = receiver.of("policy.changed").remove(0);
    assert_eq!(told.fact("policy"), "grant of bot");
    assert!(told.fact("version").starts_with("sha256:"), "{}", told.text);
}
