//! History that is lost: a flushed store, yesterday's dump, a replica that stood still, a file that is gone. The
//! next call notices it; nothing new is signed until a person has looked; what is signed goes on.
#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a failed test panics")]

mod embedded;
mod hands;
mod redis;

use std::{fs, path::Path};

use countersign_tests::{
    Gateway, Operator, RpcError, World, binary,
    config::{self, PAYEE},
    money::usd,
    wait,
};
use serde_json::Value;

/// Pays and waits until it is mined and settled.
async fn pay(world: &World, amount: u128) {
    let hash = world.bot().send(PAYEE, &usd(amount)).await.expect("allowed");
    world.anvil.receipt(&hash).await;
    settled(&world.alice(), &hash).await;
}

async fn settled(operator: &Operator, hash: &str) {
    wait::until("its settlement", async || {
        let operations = operator.list("/operations?status=EXECUTED").await;
        operations.iter().any(|operation| operation["hash"] == hash).then_some(())
    })
    .await;
}

/// What an agent is told while nothing is signed.
fn assert_sealed(error: &RpcError) {
    assert_eq!((error.code, error.text("code")), (-32010, "sealed"), "{error:?}");
    assert!(error.message.to_lowercase().contains("nothing was sent"), "{error:?}");
}

/// The open incidents with that code.
async fn incidents(operator: &Operator, code: &str) -> Vec<Value> {
    let all = operator.list("/incidents?status=Open").await;
    all.into_iter().filter(|incident| incident["code"] == code).collect()
}

/// The next call finds history missing: it is refused, people are told with it, and nothing was signed.
async fn refuses_at_once(world: &World) {
    let before = world.footprint().await.nonce;
    let refused = world.bot().send(PAYEE, &usd(7)).await.expect_err("nothing is signed");
    assert_sealed(&refused);
    let told = incidents(&world.alice(), "history_lost").await;
    assert_eq!(told.len(), 1, "{told:#?}");
    assert_eq!(told[0]["severity"], "Critical");
    assert_eq!(world.anvil.nonce(&world.bot().wallet).await, before, "0 signatures");
    let ready = world.alice().get("/readyz").await;
    assert_eq!((ready.status, ready.json()["sealed"].is_string()), (503, true), "{}", ready.text());
}

/// A command of the ledger's, as an operator types it.
fn ledger(gateway: &Gateway, arguments: &[&str]) -> binary::Said {
    let admin = format!("http://{}", gateway.addresses.admin);
    let token = config::token("alice");
    let whole = [&["ledger"], arguments, &["--admin", &admin, "--token", &token]].concat();
    binary::run(gateway.folder(), &whole)
}

/// `ledger status --output json`
fn status(gateway: &Gateway) -> Value {
    let said = ledger(gateway, &["status", "--output", "json"]);
    assert_eq!(said.code, 0, "{}", said.err);
    serde_json::from_str(&said.out).expect("JSON")
}

/// A person looks at the differences, is refused without a word about them, accepts them, and work goes on.
async fn accepts_differences(world: &World, about: &[&str]) {
    let shown = status(&world.gateway);
    let differences = shown["differences"].to_string();
    for words in about {
        assert!(differences.contains(words), "`{words}` is not in {differences}");
    }
    let refused = ledger(&world.gateway, &["unseal"]);
    assert_eq!(refused.code, 1, "{}", refused.out);
    assert!(refused.err.contains("409 [differences]"), "{}", refused.err);
    assert_sealed(&world.bot().send(PAYEE, &usd(8)).await.expect_err("still sealed"));
    let lifted = ledger(&world.gateway, &["unseal", "--accept-differences"]);
    assert_eq!(lifted.code, 0, "{}", lifted.err);
    let told = incidents(&world.alice(), "differences_accepted").await;
    assert_eq!(told.len(), 1, "{told:#?}");
    for words in about {
        assert!(told[0]["description"].to_string().contains(words), "{told:#?}");
    }
    // work goes on
    pay(world, 9).await;
}

/// Copies a folder whole.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder").map(|entry| entry.expect("an entry")) {
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("a copy");
        }
    }
}

/// Puts a copy in the place of a folder.
fn put_back(from: &Path, to: &Path) {
    fs::remove_dir_all(to).expect("a folder");
    copy(from, to);
}
