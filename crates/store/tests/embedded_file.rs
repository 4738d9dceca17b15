//! The embedded store's file: who may open it, what it survives, and the chains inside.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a panic is a failed test, and the child process is told its part by its environment and answers on its output"
)]

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
};

use countersign_core::identity::AppId;
use countersign_engine::port::ledger::{LedgerError, ReserveAnswer};
use countersign_store::embedded::{EmbeddedStore, OpenError};
use countersign_testkit::{
    ManualTime,
    fixture::{operation_id, reserve, rolling},
};
use rusqlite::Connection;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

fn open(dir: &Path, app: &str) -> Result<EmbeddedStore, OpenError> {
    let app = AppId::parse(app).unwrap();
    EmbeddedStore::open(dir, &app, ManualTime::default().source())
}

#[tokio::test]
async fn a_second_opener_is_refused_until_the_first_closes() {
    let dir = TempDir::new().unwrap();
    let first = open(dir.path(), "shop").unwrap();
    let path = dir.path().join("countersign.db");
    let refusal = open(dir.path(), "shop").unwrap_err();
    assert_eq!(refusal, OpenError::InUse { path });
    assert!(refusal.to_string().contains("in use"), "{refusal}");
    let ledger = first.ledger();
    first.close();
    let answer = ledger.describe().await;
    assert!(matches!(answer, Err(LedgerError::Unavailable(_))), "{answer:?}");
    open(dir.path(), "shop").unwrap();
}

#[test]
fn dropping_the_last_handle_closes_the_file() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path(), "shop").unwrap();
    let ledger = store.ledger();
    drop(store);
    assert!(matches!(open(dir.path(), "shop"), Err(OpenError::InUse { .. })));
    drop(ledger);
    open(dir.path(), "shop").unwrap();
}

#[test]
fn books_of_another_app_or_a_newer_program_or_no_books_at_all_are_refused() {
    let dir = TempDir::new().unwrap();
    drop(open(dir.path(), "shop").unwrap());
    let path = dir.path().join("countersign.db");
    let (found, asked) = ("shop".into(), "bank".into());
    let refusal = open(dir.path(), "bank").unwrap_err();
    assert_eq!(refusal, OpenError::OtherApp { path: path.clone(), found, asked });
    for found in [9, 11] {
        Connection::open(&path).unwrap().pragma_update(None, "user_version", found).unwrap();
        let refusal = open(dir.path(), "shop").unwrap_err();
        assert_eq!(refusal, OpenError::Schema { path: path.clone(), found, known: 10 });
    }
    std::fs::write(&path, vec![7; 8192]).unwrap();
    assert!(matches!(open(dir.path(), "shop"), Err(OpenError::Unusable { .. })));
    let nowhere = dir.path().join("nowhere");
    assert!(matches!(open(&nowhere, "shop"), Err(OpenError::Unusable { .. })));
}

/// I9: each entry's head is the hash of the head before it and the entry.
#[tokio::test]
async fn the_logs_chain_can_be_followed_from_its_beginning() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path(), "shop").unwrap();
    for n in 0..5 {
        store.ledger().reserve(&reserve(n, vec![])).await.unwrap();
    }
    store.close();
    let file = Connection::open(dir.path().join("countersign.db")).unwrap();
    let mut entries =
        file.prepare("SELECT sequence, at, event, subject, digest, head FROM log").unwrap();
    let mut rows = entries.query([]).unwrap();
    let (mut sequence, mut head) = (0_i64, vec![0_u8; 32]);
    while let Some(row) = rows.next().unwrap() {
        let (at, event, subject): (i64, String, String) =
            (row.get(1).unwrap(), row.get(2).unwrap(), row.get(3).unwrap());
        let digest: Vec<u8> = row.get(4).unwrap();
        sequence += 1;
        assert_eq!(row.get::<_, i64>(0).unwrap(), sequence);
        let entry = format!("{sequence} {at} {event} {subject} {}", hex::encode(digest));
        head = Sha256::new().chain_update(&head).chain_update(entry).finalize().to_vec();
        assert_eq!(row.get::<_, Vec<u8>>(5).unwrap(), head, "entry {sequence}");
    }
    assert_eq!(sequence, 5);
}

/// The part of the child: reserves one operation after another and names each when it is acknowledged.
async fn write_until_killed(dir: &Path) {
    let store = open(dir, "shop").unwrap();
    println!("ready");
    for n in 0.. {
        let charges = vec![rolling("day", 1, 1_000_000)];
        store.ledger().reserve(&reserve(n, charges)).await.unwrap();
        println!("done {n}");
    }
}

#[tokio::test]
async fn what_was_acknowledged_survives_kill_9() {
    const NAME: &str = "what_was_acknowledged_survives_kill_9";
    const ROLE: &str = "COUNTERSIGN_TEST_CHILD_DIR";
    if let Some(dir) = std::env::var_os(ROLE) {
        write_until_killed(Path::new(&dir)).await;
    }
    let dir = TempDir::new().unwrap();
    let mut acknowledged = 0;
    for round in 1..=3 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", NAME, "--nocapture"])
            .env(ROLE, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        for line in lines {
            let line = line.unwrap();
            if let Some(n) = line.strip_prefix("done ") {
                acknowledged = n.parse::<u64>().unwrap() + 1;
            }
            if acknowledged >= round * 20 {
                break;
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(acknowledged >= round * 20, "the child died by itself");
        let store = open(dir.path(), "shop").expect("the dead give up their lock");
        for n in 0..acknowledged {
            assert!(store.ledger().operation(operation_id(n)).await.unwrap().is_some(), "{n}");
        }
        let counter = rolling("day", 0, 1_000_000);
        let readings = store.ledger().status(&[counter], None).await.unwrap();
        let mut stored = acknowledged;
        while store.ledger().operation(operation_id(stored)).await.unwrap().is_some() {
            stored += 1;
        }
        let reserved = readings.first().unwrap().reserved;
        assert_eq!(reserved, stored, "each is there with its charge, or not at all");
        let again = store.ledger().reserve(&reserve(0, vec![])).await.unwrap();
        assert!(matches!(again, ReserveAnswer::Reserved(_)));
        store.close();
    }
}
