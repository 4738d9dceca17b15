//! In one file.

use std::fs;

use countersign_tests::{
    Setup, StoreKind, World, binary,
    config::PAYEE,
    money::{USD, usd},
};
use serde_json::json;
use tempfile::TempDir;

use super::{
    accepts_differences, assert_sealed, copy, incidents, ledger, pay, put_back, refuses_at_once,
    status,
};

async fn stop(world: &mut World) {
    world.gateway.terminate();
    assert_eq!(world.gateway.ended().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn yesterdays_copy_of_the_folder_signs_nothing() {
    let mut world = World::start(Setup::new(StoreKind::Embedded)).await;
    let yesterday = TempDir::new().expect("a folder");
    pay(&world, 10).await;
    stop(&mut world).await;
    let data = world.gateway.folder().join("data");
    copy(&data, yesterday.path());
    world.gateway.restart().await;
    pay(&world, 20).await;
    stop(&mut world).await;
    put_back(yesterday.path(), &data);
    world.gateway.open_again().await;
    refuses_at_once(&world).await;
    let about =
        ["of the log, which was seen, is not in the store", "has 1 transactions from nonce 1"];
    accepts_differences(&world, &about).await;
    assert_eq!(world.anvil.balance(PAYEE).await, 39 * USD);
    // what was accepted is the history from now on
    stop(&mut world).await;
    world.gateway.restart().await;
    pay(&world, 11).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_power_cut_is_no_loss_of_history() {
    let mut world = World::start(Setup::new(StoreKind::Embedded)).await;
    for amount in 1..=5 {
        pay(&world, amount).await;
        world.gateway.kill9();
        world.gateway.restart().await;
    }
    assert_eq!(incidents(&world.alice(), "history_lost").await, [json!(null); 0]);
    assert_eq!(status(&world.gateway)["audit"], json!({"finding": null, "error": null}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_is_gone_signs_nothing_and_is_not_made_anew_by_itself() {
    let mut world = World::start(Setup::new(StoreKind::Embedded)).await;
    pay(&world, 10).await;
    stop(&mut world).await;
    let data = world.gateway.folder().join("data");
    fs::remove_dir_all(&data).expect("a folder");
    world.gateway.open_again().await;
    assert_sealed(&world.bot().send(PAYEE, &usd(7)).await.expect_err("nothing is signed"));
    assert_eq!(incidents(&world.alice(), "history_lost").await.len(), 1);
    assert!(status(&world.gateway)["lost"].is_string());
    stop(&mut world).await;
    let doctor = ["doctor", "--config", "countersign.yaml"];
    let said = binary::run(world.gateway.folder(), &doctor);
    assert_eq!(said.code, 1, "{}", said.out);
    assert!(said.out.contains("the store is empty"), "{}", said.out);
    world.gateway.open_again().await;
    assert_sealed(&world.bot().send(PAYEE, &usd(7)).await.expect_err("nothing is signed"));
    assert_eq!(ledger(&world.gateway, &["init"]).code, 0);
    // a restart between the two changes nothing
    stop(&mut world).await;
    world.gateway.open_again().await;
    assert_sealed(&world.bot().send(PAYEE, &usd(7)).await.expect_err("sealed from birth"));
    accepts_differences(&world, &["has 1 transactions from nonce 0"]).await;
    assert_eq!(world.anvil.nonce(&world.bot().wallet).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_gateways_file_or_a_broken_one_signs_nothing() {
    let mut world = World::start(Setup::new(StoreKind::Embedded)).await;
    let mut other = World::start(Setup::new(StoreKind::Embedded)).await;
    pay(&world, 10).await;
    stop(&mut world).await;
    stop(&mut other).await;
    let (data, kept) = (world.gateway.folder().join("data"), TempDir::new().expect("a folder"));
    copy(&data, kept.path());
    put_back(&other.gateway.folder().join("data"), &data);
    world.gateway.open_again().await;
    assert_sealed(&world.bot().send(PAYEE, &usd(7)).await.expect_err("nothing is signed"));
    let lost = status(&world.gateway)["lost"].to_string();
    assert!(lost.contains("holds the ledger"), "{lost}");
    assert!(ledger(&world.gateway, &["init"]).err.contains("409 [not_empty]"));
    stop(&mut world).await;

    fs::write(data.join("countersign.db"), vec![7; 8192]).expect("a file");
    world.gateway.open_again().await;
    assert_sealed(&world.bot().send(PAYEE, &usd(7)).await.expect_err("nothing is signed"));
    assert!(ledger(&world.gateway, &["init"]).err.contains("409 [not_empty]"));
    stop(&mut world).await;

    put_back(kept.path(), &data);
    world.gateway.restart().await;
    pay(&world, 20).await;
    assert_eq!(world.anvil.nonce(&world.bot().wallet).await, 2);
}
