//! Other hands in the books.

use countersign_tests::{Setup, StoreKind, World, books::Resp, config::PAYEE, money::usd};
use serde_json::{Value, json};

use super::{assert_sealed, incidents, ledger, pay, status};

async fn start() -> (World, Resp) {
    let world = World::start(Setup::new(StoreKind::Redis)).await;
    pay(&world, 10).await;
    let redis = Resp::connect(&world.redis.as_ref().expect("a Redis").url()).await;
    (world, redis)
}

async fn keys(redis: &mut Resp, family: &str) -> Vec<String> {
    let pattern = format!("countersign:{{default}}:{family}:*");
    let found = redis.run(&["KEYS", &pattern]).await;
    let texts = found.as_array().expect("a list").iter();
    texts.map(|key| key.as_str().expect("a key").to_owned()).collect()
}

/// The finding seals the ledger and is told; nothing was signed since.
async fn is_found(world: &World) {
    let told = incidents(&world.alice(), "books_damaged").await;
    assert_eq!(told.len(), 1, "{told:#?}");
    assert_eq!(told[0]["severity"], "Critical");
    let sealed = status(&world.gateway)["sealed"].to_string();
    assert!(sealed.contains("the books are damaged"), "{sealed}");
    assert_eq!(world.anvil.nonce(&world.bot().wallet).await, 1, "0 signatures");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_counter_that_was_set_back_by_hand_is_found_by_the_next_payment() {
    let (world, mut redis) = start().await;
    for counter in keys(&mut redis, "counter").await {
        let taken = redis.run(&["HINCRBY", &counter, "committed", "-1"]).await;
        assert!(taken.is_number(), "{taken}");
        redis.run(&["HINCRBY", &counter, "settled", "-1"]).await;
    }
    let refused = world.bot().send(PAYEE, &usd(20)).await.expect_err("nothing is signed");
    assert_eq!(refused.code, -32010, "{refused:?}");
    is_found(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_was_changed_by_hand_is_found_before_it_is_used() {
    let (world, mut redis) = start().await;
    let id = world.bot().send(PAYEE, &usd(200)).await.expect_err("parked").operation();
    let key = format!("countersign:{{default}}:operation:{id}");
    redis.run(&["HSET", &key, "state", "APPROVED"]).await;
    let answer = world.alice().get(&format!("/pending-operations/{id}")).await;
    assert_eq!(answer.status, 503, "{}", answer.text());
    is_found(&world).await;
    let differences = status(&world.gateway)["differences"].to_string();
    assert!(differences.contains(&format!("no sound record of {id}")), "{differences}");
    assert!(ledger(&world.gateway, &["unseal"]).err.contains("409 [differences]"));
    // it does not hide the other one
    assert_eq!(world.alice().list("/operations").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_of_the_log_that_was_removed_is_found_by_an_audit() {
    let (world, mut redis) = start().await;
    let log = "countersign:{default}:log";
    let second = redis.run(&["LINDEX", log, "1"]).await;
    redis.run(&["LREM", log, "1", second.as_str().expect("a line")]).await;
    let found = status(&world.gateway)["audit"]["finding"].clone();
    assert!(found.as_str().is_some_and(|text| text.contains("the log has")), "{found}");
    assert_sealed(&world.bot().send(PAYEE, &usd(20)).await.expect_err("nothing is signed"));
    is_found(&world).await;
    // looking again finds it again, also after somebody lifted the seal
    assert_eq!(ledger(&world.gateway, &["unseal"]).code, 0);
    assert_ne!(status(&world.gateway)["audit"]["finding"], Value::Null);
    assert_ne!(status(&world.gateway)["sealed"], json!(null));
}
