//! The embedded store's history: a file that does not go on from where it was seen last, a clock that was set, and
//! other hands in the books.
#![expect(clippy::unwrap_used, reason = "a panic is a failed test")]

use std::{
    fs,
    path::Path,
    sync::{Arc, Mutex},
};

use countersign_core::{fact::Freeze, identity::AppId, time::Millis};
use countersign_engine::port::{
    Ledger,
    alarm::{Alarm, Bell},
    ledger::{CommitAnswer, InitAnswer, LedgerError, LedgerStatus, OperationQuery, SentOutcome},
};
use countersign_store::{
    embedded::EmbeddedStore,
    lineage::{Anchor, Witness},
};
use countersign_testkit::{
    ManualTime,
    fixture::{HOUR, commit, operation_id, order, reserve, rolling, settle},
    suite::{
        Desk,
        journal::{decided, told, verified},
    },
};
use rusqlite::Connection;
use tempfile::TempDir;

/// A gateway on a folder, and what its store told it.
struct Gateway {
    store: EmbeddedStore,
    told: Arc<Mutex<Vec<Alarm>>>,
    wall: ManualTime,
    steady: ManualTime,
}

impl Gateway {
    fn open(dir: &Path, known: Option<Anchor>) -> Self {
        let told = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&told);
        let bell: Bell = Arc::new(move |alarm| heard.lock().unwrap().push(alarm));
        let (wall, steady) = (ManualTime::default(), ManualTime::default());
        let passing = steady.clone();
        let witness = Witness::new(wall.source())
            .holding(Arc::new(move || Millis(passing.now().millis())))
            .knowing(known)
            .telling(bell);
        let store = EmbeddedStore::open(dir, &AppId::parse("shop").unwrap(), witness).unwrap();
        Self { store, told, wall, steady }
    }

    fn desk(&self) -> Desk {
        Desk { ledger: self.store.ledger(), time: self.wall.clone() }
    }

    fn ledger(&self) -> Arc<dyn Ledger> {
        self.store.ledger()
    }

    /// What was told since the last time.
    fn told(&self) -> Vec<&'static str> {
        self.told.lock().unwrap().drain(..).map(|alarm| alarm.code()).collect()
    }

    async fn status(&self) -> LedgerStatus {
        self.ledger().describe().await.unwrap()
    }

    fn close(self) -> Option<Anchor> {
        let seen = self.store.anchor();
        self.store.close();
        seen
    }
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

fn put_back(from: &Path, to: &Path) {
    fs::remove_dir_all(to).unwrap();
    fs::create_dir(to).unwrap();
    copy(from, to);
}

fn file(dir: &Path) -> Connection {
    Connection::open(dir.join("countersign.db")).unwrap()
}

const QUIET: [&str; 0] = [];

#[tokio::test]
async fn a_file_that_goes_on_where_it_was_seen_says_nothing() {
    let dir = TempDir::new().unwrap();
    let first = Gateway::open(dir.path(), None);
    first.desk().settled(1, vec![rolling("day", 10, 100)]).await;
    let early = first.store.anchor();
    first.desk().settled(2, vec![rolling("day", 10, 100)]).await;
    let seen = first.close();
    assert_ne!(early, seen);
    let name_only = seen.as_ref().map(|seen| Anchor::of(seen.ledger_id.clone()));
    for known in [seen.clone(), early, name_only, None] {
        let again = Gateway::open(dir.path(), known);
        assert_eq!(again.told(), QUIET);
        assert_eq!(again.status().await.sealed, None);
        assert_eq!(again.close(), seen);
    }
}

#[tokio::test]
async fn yesterdays_copy_is_sealed_and_a_person_may_accept_it() {
    let (dir, yesterday) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let gateway = Gateway::open(dir.path(), None);
    gateway.desk().signed(1, vec![]).await;
    gateway.close();
    copy(dir.path(), yesterday.path());
    let gateway = Gateway::open(dir.path(), None);
    gateway.desk().settled(2, vec![rolling("day", 100, 100)]).await;
    let seen = gateway.close();
    put_back(yesterday.path(), dir.path());

    for _ in 0..2 {
        let gateway = Gateway::open(dir.path(), seen.clone());
        assert_eq!(gateway.told(), ["history_lost"], "at once");
        let status = gateway.status().await;
        assert!(status.sealed.unwrap().contains("history is lost"));
        assert!(status.missing.is_some() && status.lost.is_none());
        assert_eq!(gateway.close(), seen, "what was seen stays seen");
    }
    let gateway = Gateway::open(dir.path(), seen.clone());
    gateway.desk().reserved(3, vec![]).await;
    let answer = gateway.ledger().commit(&commit(3)).await.unwrap();
    assert!(matches!(answer, CommitAnswer::Sealed(_)), "{answer:?}");
    let id = operation_id(1);
    let sent = gateway.ledger().sent(id, 0, &SentOutcome::Accepted).await.unwrap();
    gateway.ledger().settle(&settle(&sent, vec![])).await.unwrap();
    gateway.ledger().unseal().await.unwrap();
    let status = gateway.status().await;
    assert_eq!((status.sealed, status.missing, status.epoch), (None, None, 1));
    gateway.desk().committed(4, vec![]).await;
    let accepted = gateway.close();
    assert_eq!(accepted.as_ref().unwrap().epoch, 1);
    for known in [seen, accepted] {
        let again = Gateway::open(dir.path(), known);
        assert_eq!(again.told(), ["history_lost"; 1][..0], "accepted is accepted");
        assert_eq!(again.status().await.sealed, None);
        again.close();
    }
}

#[tokio::test]
async fn a_file_that_is_gone_is_neither_made_nor_believed_until_a_person_says_so() {
    let dir = TempDir::new().unwrap();
    let gateway = Gateway::open(dir.path(), None);
    gateway.desk().settled(1, vec![]).await;
    assert_eq!(gateway.ledger().init().await, Ok(InitAnswer::NotEmpty));
    let seen = gateway.close();
    fs::remove_dir_all(dir.path()).unwrap();
    fs::create_dir(dir.path()).unwrap();
    for _ in 0..2 {
        let gateway = Gateway::open(dir.path(), seen.clone());
        assert_eq!(gateway.told(), ["history_lost"]);
        let answer = gateway.ledger().reserve(&reserve(2, vec![])).await;
        assert!(
            matches!(&answer, Err(LedgerError::Lost(why)) if why.contains("the store is empty")),
            "{answer:?}"
        );
        assert!(matches!(gateway.ledger().now().await, Err(LedgerError::Lost(_))));
        assert!(matches!(gateway.ledger().seal("test").await, Err(LedgerError::Lost(_))));
        let status = gateway.status().await;
        assert!(status.lost.is_some() && status.sealed.is_some());
        assert_eq!(status.sequence, seen.as_ref().unwrap().sequence, "what was known");
        assert_eq!(gateway.told(), QUIET, "once");
        assert_eq!(gateway.close(), seen);
    }
    let gateway = Gateway::open(dir.path(), seen.clone());
    assert_eq!(gateway.ledger().init().await, Ok(InitAnswer::Made));
    assert_eq!(gateway.ledger().init().await, Ok(InitAnswer::NotEmpty));
    let status = gateway.status().await;
    let before = seen.clone().unwrap().ledger_id;
    assert!(status.sealed.unwrap().contains(&before) && status.ledger_id != before);
    let made = gateway.close();
    assert_eq!(made.as_ref().unwrap().ledger_id, status.ledger_id);
    // also for who died before it could note the new one
    for known in [seen, made] {
        let again = Gateway::open(dir.path(), known);
        assert_eq!(again.told(), QUIET);
        again.desk().reserved(2, vec![]).await;
        let answer = again.ledger().commit(&commit(2)).await.unwrap();
        assert!(matches!(answer, CommitAnswer::Sealed(_)), "{answer:?}");
        again.close();
    }
}

#[tokio::test]
async fn another_ledger_or_a_broken_file_is_not_the_one_that_was_seen() {
    let (dir, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let gateway = Gateway::open(dir.path(), None);
    gateway.desk().settled(1, vec![]).await;
    let seen = gateway.close();
    Gateway::open(other.path(), None).close();
    put_back(other.path(), dir.path());
    let check = async |says: &str| {
        let gateway = Gateway::open(dir.path(), seen.clone());
        assert_eq!(gateway.told(), ["history_lost"]);
        let lost = gateway.status().await.lost.unwrap();
        assert!(lost.contains(says), "{lost}");
        assert!(matches!(gateway.ledger().now().await, Err(LedgerError::Lost(_))));
        assert_eq!(gateway.ledger().init().await, Ok(InitAnswer::NotEmpty));
        assert_eq!(gateway.close(), seen);
    };
    check("holds the ledger").await;
    fs::write(dir.path().join("countersign.db"), vec![7; 8192]).unwrap();
    check("not a database").await;
}

#[tokio::test]
async fn a_clock_that_is_set_stops_every_write_but_a_stop_and_frees_no_window() {
    let dir = TempDir::new().unwrap();
    let gateway = Gateway::open(dir.path(), None);
    let (ledger, start) = (gateway.ledger(), gateway.wall.now());
    let hour = rolling("hour", 60, 100);
    ledger.reserve(&reserve(1, vec![hour.clone()])).await.unwrap();
    // a machine that slept: both clocks went on
    for clock in [&gateway.wall, &gateway.steady] {
        clock.advance(HOUR);
    }
    let before = ledger.now().await.unwrap();
    assert_eq!(before, start.after(HOUR));
    for set in [before.before(HOUR), before.after(HOUR), before.after(Millis(6_000))] {
        gateway.wall.set(set);
        for n in 2..4 {
            let answer = ledger.reserve(&reserve(n, vec![])).await;
            assert!(matches!(answer, Err(LedgerError::Clock(_))), "{answer:?}");
        }
        assert!(matches!(ledger.commit(&commit(1)).await, Err(LedgerError::Clock(_))));
        assert!(matches!(ledger.now().await, Err(LedgerError::Clock(_))));
        assert_eq!(gateway.told(), ["clocks_disagree"], "once");
        let status = gateway.status().await;
        assert!(!status.clocks.unwrap().agree());
        let reading = ledger.status(std::slice::from_ref(&hour), None).await.unwrap();
        assert_eq!(reading.first().unwrap().reserved, 60);
        ledger.seal(&format!("the clock shows {set}")).await.unwrap();
        gateway.wall.set(before);
        assert_eq!(ledger.now().await.unwrap(), before, "no time has passed");
        ledger.unseal().await.unwrap();
        assert_eq!(gateway.told(), QUIET, "it heals by itself");
    }
    gateway.wall.set(before.after(Millis(4_000)));
    ledger.reserve(&reserve(9, vec![])).await.unwrap();
}

/// Closes, has another hand change the file, and opens again.
fn changed_by(dir: &Path, gateway: Gateway, sql: &str) -> Gateway {
    let seen = gateway.close();
    assert_ne!(file(dir).execute(sql, []).unwrap(), 0, "{sql}");
    Gateway::open(dir, seen)
}

#[tokio::test]
async fn a_record_that_was_changed_by_hand_is_damage_and_a_seal() {
    let dir = TempDir::new().unwrap();
    let gateway = Gateway::open(dir.path(), None);
    gateway.desk().parked(1, vec![]).await;
    let sql = "UPDATE operations SET record = json_set(record, '$.state', 'APPROVED')";
    let gateway = changed_by(dir.path(), gateway, sql);
    // its caller is gone, so it was looked at
    assert_eq!(gateway.told(), ["books_damaged"]);
    let answer = gateway.ledger().operation(operation_id(1)).await;
    assert!(matches!(answer, Err(LedgerError::Damaged(_))), "{answer:?}");
    assert_eq!(gateway.told(), QUIET, "the same finding");
    let desk = gateway.desk();
    desk.reserved(2, vec![]).await;
    let all = OperationQuery { limit: 10, ..OperationQuery::default() };
    let listed = gateway.ledger().operations(&all).await.unwrap().items;
    assert_eq!(listed.len(), 1, "it does not hide the others");
    desk.time.advance(HOUR);
    gateway.steady.advance(HOUR);
    assert_eq!(gateway.ledger().expire(10).await, Ok(Vec::new()));
    assert!(gateway.status().await.sealed.unwrap().contains("the books are damaged"));
    let seen = gateway.close();
    let again = Gateway::open(dir.path(), seen);
    assert!(again.status().await.sealed.is_some(), "it is in the file");
}

#[tokio::test]
async fn a_counter_that_was_set_back_by_hand_is_found_before_it_is_charged() {
    let dir = TempDir::new().unwrap();
    let gateway = Gateway::open(dir.path(), None);
    gateway.desk().settled(1, vec![rolling("day", 100, 100)]).await;
    let sql = "UPDATE counters SET settled = settled - 50";
    let gateway = changed_by(dir.path(), gateway, sql);
    let answer = gateway.ledger().reserve(&reserve(2, vec![rolling("day", 50, 100)])).await;
    assert!(matches!(answer, Err(LedgerError::Damaged(_))), "{answer:?}");
    assert_eq!(gateway.told(), ["books_damaged"]);
    assert!(gateway.status().await.sealed.is_some());
    assert_eq!(gateway.ledger().operation(operation_id(2)).await.unwrap(), None);
}

#[tokio::test]
async fn an_audit_finds_what_no_step_would_have_left() {
    for (sql, says) in [
        ("DELETE FROM log WHERE sequence = 3", "line 3 of the log"),
        ("UPDATE log SET event = 'commit' WHERE sequence = 1", "line 1 of the log"),
        ("DELETE FROM journal WHERE sequence = 1", "entry 1 of the journal"),
        ("UPDATE journal SET entry = '{}' WHERE sequence = 2", "entry 2 of the journal"),
        ("UPDATE counters SET reserved = reserved + 1, parity = parity + 1", "reserved"),
        ("UPDATE counters SET committed = 0, parity = parity - 2 * committed", "committed"),
        ("UPDATE buckets SET amount = amount - 1", "buckets"),
        ("UPDATE spans SET amount = amount + 1", "spans"),
        ("UPDATE operations SET state = 'EXECUTED' WHERE state = 'PARKED'", "reserved"),
        ("UPDATE operations SET agent = 'nobody'", "is listed as"),
    ] {
        let dir = TempDir::new().unwrap();
        let gateway = Gateway::open(dir.path(), None);
        let day = || vec![rolling("day", 10, 100)];
        gateway.desk().settled(1, day()).await;
        gateway.desk().committed(2, day()).await;
        gateway.desk().parked(3, day()).await;
        let journal = gateway.store.journal("gateway-1");
        for n in 0..3 {
            journal.record(&decided(n)).await.unwrap();
        }
        assert_eq!(gateway.ledger().audit().await, Ok(None), "{sql}");
        let gateway = changed_by(dir.path(), gateway, sql);
        let mut found = gateway.ledger().audit().await.unwrap();
        while found.is_none() {
            // of some things an audit takes samples
            found = gateway.ledger().audit().await.unwrap();
        }
        assert!(found.as_ref().unwrap().contains(says), "{sql}: {found:?}");
        assert_eq!(gateway.told(), ["books_damaged"], "{sql}");
        assert!(gateway.status().await.sealed.is_some(), "{sql}");
    }
}

#[tokio::test]
async fn the_heads_of_journals_are_anchored_in_the_log() {
    let dir = TempDir::new().unwrap();
    let gateway = Gateway::open(dir.path(), None);
    let journal = gateway.store.journal("gateway-1");
    journal.record(&decided(1)).await.unwrap();
    let before = gateway.status().await.sequence;
    for _ in 0..2 {
        assert_eq!(gateway.ledger().audit().await, Ok(None));
    }
    assert_eq!(gateway.status().await.sequence, before + 1, "what is not new is not anchored");
    // a journal that lost its last entries, and goes on
    let seen = gateway.close();
    file(dir.path()).execute("DELETE FROM journal", []).unwrap();
    let gateway = Gateway::open(dir.path(), seen);
    let journal = gateway.store.journal("gateway-1");
    journal.record(&decided(2)).await.unwrap();
    let found = gateway.ledger().audit().await.unwrap();
    assert!(found.unwrap().contains("lacks its anchored entry 1"));
}

#[tokio::test]
async fn an_anchor_that_was_changed_or_taken_away_is_found() {
    for sql in [
        "DELETE FROM anchored",
        "DELETE FROM anchored; DELETE FROM journal",
        "UPDATE anchored SET sequence = 1, head = (SELECT head FROM journal WHERE sequence = 1);
         DELETE FROM journal WHERE sequence > 1",
    ] {
        let dir = TempDir::new().unwrap();
        let gateway = Gateway::open(dir.path(), None);
        let journal = gateway.store.journal("gateway-1");
        for n in 1..=2 {
            journal.record(&decided(n)).await.unwrap();
            assert_eq!(gateway.ledger().audit().await, Ok(None));
        }
        // the journal rests, and the log's last lines pass over it
        for _ in 0..60 {
            gateway.ledger().freeze(&order(&Freeze::Global)).await.unwrap();
            gateway.ledger().unfreeze(&Freeze::Global).await.unwrap();
        }
        assert_eq!(gateway.ledger().audit().await, Ok(None));
        let seen = gateway.close();
        file(dir.path()).execute_batch(sql).unwrap();
        let gateway = Gateway::open(dir.path(), seen);
        let found = gateway.ledger().audit().await.unwrap();
        assert!(found.unwrap().contains("is anchored otherwise than in the log"), "{sql}");
    }
}

#[tokio::test]
async fn whatever_is_done_to_an_entry_of_a_journal_is_found() {
    let (dir, pristine) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let gateway = Gateway::open(dir.path(), None);
    told(gateway.store.journal("gateway-1").as_ref()).await;
    assert_eq!(gateway.ledger().audit().await, Ok(None));
    let summary = verified(gateway.store.journal("gateway-1")).await.unwrap();
    let head = summary.chains[0].head;
    assert_eq!(summary.chains[0].anchored, Some(head));
    let seen = gateway.close();
    copy(dir.path(), pristine.path());
    let bit = "UPDATE journal SET entry = substr(entry, 1, length(entry) / 2) ||
                 char(unicode(substr(entry, length(entry) / 2 + 1)) + 1) ||
                 substr(entry, length(entry) / 2 + 2) WHERE sequence = ?1";
    let swap = "UPDATE journal SET entry = (SELECT entry FROM journal AS other
                 WHERE other.sequence = ?1 % (SELECT max(sequence) FROM journal) + 1) WHERE sequence = ?1";
    let close_up = "UPDATE journal SET sequence = sequence - 1 WHERE sequence > ?1";
    for number in 1..=head.sequence {
        for (what, steps) in [
            ("a bit", &[bit][..]),
            ("a hash", &["UPDATE journal SET head = zeroblob(32) WHERE sequence = ?1"]),
            ("deleted", &["DELETE FROM journal WHERE sequence = ?1"]),
            ("deleted and closed up", &["DELETE FROM journal WHERE sequence = ?1", close_up]),
            ("another's words", &[swap]),
            ("cut off", &["DELETE FROM journal WHERE sequence >= ?1"]),
        ] {
            put_back(pristine.path(), dir.path());
            for step in steps {
                file(dir.path()).execute(step, [i64::try_from(number).unwrap()]).unwrap();
            }
            let gateway = Gateway::open(dir.path(), seen.clone());
            let answer = verified(gateway.store.journal("gateway-1")).await;
            assert!(answer.is_err(), "{what}, entry {number}: {answer:?}");
            let found = gateway.ledger().audit().await;
            assert!(found.unwrap().is_some(), "{what}, entry {number}");
            gateway.close();
        }
    }
}
