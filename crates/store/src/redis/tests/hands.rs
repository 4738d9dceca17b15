//! Other hands in the books.

use std::sync::{Arc, Mutex};

use countersign_core::{fact::Freeze, time::Millis, trace::TraceUpdate};
use countersign_engine::port::{
    alarm::Alarm,
    ledger::{CommitAnswer, LedgerError, OperationQuery},
};
use countersign_testkit::{
    fixture::{DAY, approve, operation_id, order, reserve, rolling, trace_hash},
    suite::{
        Desk, LedgerBench,
        journal::{decided, told as tell, verified},
    },
};
use sha2::{Digest, Sha256};

use super::bench::{RedisBench, options};
use crate::redis::RedisStore;

/// A bench whose store tells what it notices: operations of every kind, and decisions on record.
async fn bench() -> (RedisBench, Arc<Mutex<Vec<Alarm>>>) {
    let mut bench = RedisBench::make().await;
    let told = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&told);
    let mut telling = options(&bench.server.url());
    let bell = Arc::new(move |alarm| heard.lock().unwrap().push(alarm));
    telling.witness = telling.witness.telling(bell);
    bench.store = RedisStore::open(telling, Some(bench.time.source())).await.unwrap();
    let desk = Desk::at(&bench).await;
    let day = || vec![rolling("day", 10, 100)];
    desk.settled(1, day()).await;
    desk.committed(2, day()).await;
    desk.parked(3, day()).await;
    for n in 1..=3 {
        bench.store.journal().record(&decided(n)).await.unwrap();
    }
    (bench, told)
}

async fn raw<T: redis::FromRedisValue>(bench: &RedisBench, command: &[&str]) -> T {
    let mut built = redis::cmd(command[0]);
    built.arg(&command[1..]).query_async(&mut bench.raw().await).await.unwrap()
}

fn key(name: &str) -> String {
    format!("countersign:{{main}}:{name}")
}

fn record(n: u64) -> String {
    key(&format!("operation:{}", operation_id(n)))
}

async fn counter(bench: &RedisBench) -> String {
    let found: Vec<String> = raw(bench, &["KEYS", &key("counter:*")]).await;
    found.into_iter().next().unwrap()
}

/// It is told once and the ledger is sealed.
async fn is_noticed(bench: &RedisBench, told: &Mutex<Vec<Alarm>>) {
    let codes: Vec<_> = told.lock().unwrap().drain(..).map(|alarm| alarm.code()).collect();
    assert_eq!(codes, ["books_damaged"]);
    let status = bench.ledger().describe().await.unwrap();
    assert!(status.sealed.unwrap().contains("the books are damaged"));
}

#[tokio::test]
async fn what_functions_leave_is_never_found_by_an_audit() {
    let (bench, told) = bench().await;
    let ledger = bench.ledger();
    assert_eq!(ledger.audit().await, Ok(None));
    let after = ledger.describe().await.unwrap().sequence;
    assert_eq!(ledger.audit().await, Ok(None));
    assert_eq!(ledger.describe().await.unwrap().sequence, after, "anchored once");
    let desk = Desk::at(&bench).await;
    for n in 10..400 {
        desk.reserved(n, vec![rolling("many", 1, 1000)]).await;
        bench.time.advance(Millis(1000));
    }
    ledger.unsettle(operation_id(1)).await.unwrap();
    assert_eq!(ledger.audit().await, Ok(None), "more operations than are looked at");
    assert!(told.lock().unwrap().is_empty());
    assert_eq!(ledger.describe().await.unwrap().sealed, None);
}

#[tokio::test]
async fn sums_beyond_what_lua_holds_exactly_fit_their_check() {
    let bench = RedisBench::make().await;
    let desk = Desk::at(&bench).await;
    let most = countersign_core::amount::AMOUNT_MAX;
    desk.settled(1, vec![rolling("whales", most - 7, most)]).await;
    desk.reserved(2, vec![rolling("whales", 7, most)]).await;
    assert_eq!(desk.counts(&rolling("whales", 0, most)).await, [7, 0, most - 7]);
    assert_eq!(bench.ledger().audit().await, Ok(None));
}

#[tokio::test]
async fn counters_that_were_set_back_alike_are_found_too() {
    let (bench, told) = bench().await;
    for field in ["committed", "settled"] {
        raw::<i64>(&bench, &["HINCRBY", &counter(&bench).await, field, "-5"]).await;
    }
    let answer = bench.ledger().status(&[rolling("day", 0, 100)], None).await;
    assert!(matches!(answer, Err(LedgerError::Damaged(_))), "{answer:?}");
    is_noticed(&bench, &told).await;
}

#[tokio::test]
async fn a_counter_that_was_set_back_is_found_before_it_is_charged() {
    let (bench, told) = bench().await;
    raw::<i64>(&bench, &["HINCRBY", &counter(&bench).await, "settled", "-5"]).await;
    let answer = bench.ledger().reserve(&reserve(9, vec![rolling("day", 50, 100)])).await;
    assert!(
        matches!(&answer, Err(LedgerError::Damaged(why)) if why.contains("the counter")),
        "{answer:?}"
    );
    is_noticed(&bench, &told).await;
    assert_eq!(bench.ledger().operation(operation_id(9)).await.unwrap(), None);
}

#[tokio::test]
async fn a_record_that_was_changed_is_found_before_anything_follows_from_it() {
    let (bench, told) = bench().await;
    raw::<i64>(&bench, &["HSET", &record(3), "state", "APPROVED"]).await;
    let vote = approve(3, "ann", bench.ledger().now().await.unwrap());
    let answer = bench.ledger().approve(&vote).await;
    assert!(matches!(answer, Err(LedgerError::Damaged(_))), "{answer:?}");
    is_noticed(&bench, &told).await;
    let read = bench.ledger().operation(operation_id(3)).await;
    assert!(matches!(read, Err(LedgerError::Damaged(_))), "{read:?}");
    let all = OperationQuery { limit: 10, ..OperationQuery::default() };
    let listed = bench.ledger().operations(&all).await.unwrap().items;
    assert_eq!(listed.len(), 2, "it does not hide the others");
    bench.time.advance(DAY);
    assert_eq!(bench.ledger().expire(10).await, Ok(Vec::new()));
    assert!(told.lock().unwrap().is_empty(), "the same finding");
    // others go on, but nothing new is signed
    let desk = Desk::at(&bench).await;
    desk.reserved(9, vec![]).await;
    let answer = bench.ledger().commit(&countersign_testkit::fixture::commit(9)).await.unwrap();
    assert!(matches!(answer, CommitAnswer::Sealed(_)), "{answer:?}");
}

#[tokio::test]
async fn a_key_of_another_kind_is_damage_and_a_seal() {
    let (bench, told) = bench().await;
    raw::<i64>(&bench, &["DEL", &record(3)]).await;
    raw::<String>(&bench, &["SET", &record(3), "text"]).await;
    let answer = bench.ledger().operation(operation_id(3)).await;
    assert!(matches!(answer, Err(LedgerError::Damaged(_))), "{answer:?}");
    is_noticed(&bench, &told).await;
}

#[tokio::test]
async fn an_audit_finds_what_no_function_would_have_left() {
    let (log, parked) = (key("log"), key("operations:state:PARKED"));
    let executed = operation_id(1).to_string();
    let entries = key(&format!("journal:entries:{}", hex::encode(Sha256::digest("gateway-1"))));
    let counter = counter(&bench().await.0).await;
    let buckets = counter.replace("counter:", "buckets:");
    for (commands, says) in [
        (vec![vec!["LPOP", &log]], "the log has"),
        (vec![vec!["LSET", &log, "1", "0 2 7 reserve x y"]], "line 2 of the log"),
        (vec![vec!["LSET", &log, "-1", "0 2 7 reserve x y"]], "of the log"),
        (
            vec![
                vec!["HINCRBY", &counter, "reserved", "1"],
                vec!["HINCRBY", &counter, "check", "1"],
            ],
            "reserved",
        ),
        (
            vec![
                vec!["HINCRBY", &counter, "committed", "-1"],
                vec!["HINCRBY", &counter, "check", "-2"],
            ],
            "committed",
        ),
        (vec![vec!["DEL", &buckets]], "its buckets"),
        (vec![vec!["HSET", &counter, "s:1", "5"]], "at s:1 not the sum"),
        (vec![vec!["HSET", &counter, "r:1", "0", "r:2", "-1"]], "at r:2 not the sum"),
        (vec![vec!["ZADD", &parked, "7", &executed]], "is not PARKED"),
        (vec![vec!["LTRIM", &entries, "0", "1"]], "the journal of gateway-1"),
        (vec![vec!["LSET", &entries, "2", "3 0xab entry"]], "the journal of gateway-1"),
    ] {
        let (bench, told) = self::bench().await;
        assert_eq!(bench.ledger().audit().await, Ok(None), "{commands:?}");
        for command in &commands {
            raw::<redis::Value>(&bench, command).await;
        }
        let found = bench.ledger().audit().await.unwrap();
        assert!(found.as_ref().is_some_and(|f| f.contains(says)), "{commands:?}: {found:?}");
        is_noticed(&bench, &told).await;
    }
}

#[tokio::test]
async fn documents_that_were_changed_are_found_when_they_are_read_or_sampled() {
    for (field, value) in [
        ("intent", "{}"),
        ("charges", "[]"),
        ("agent", "nobody"),
        ("plan_digest", "00"),
        ("gates", "7"),
    ] {
        let (bench, told) = bench().await;
        raw::<i64>(&bench, &["HSET", &record(3), field, value]).await;
        let read = bench.ledger().operation(operation_id(3)).await;
        assert!(matches!(read, Err(LedgerError::Damaged(_))), "{field}: {read:?}");
        for (limit, sound) in [(1, 0), (2, 1), (10, 2)] {
            let query = OperationQuery { limit, ..OperationQuery::default() };
            let page = bench.ledger().operations(&query).await.unwrap();
            assert_eq!(page.items.len(), sound, "{field}: it does not hide the others");
            assert_eq!(page.next_cursor.is_some(), limit < 3, "{field}: a page of {limit}");
        }
        // there are three operations, and a sample takes up to eight
        let found = bench.ledger().audit().await.unwrap();
        assert!(found.is_some(), "{field}");
        is_noticed(&bench, &told).await;
    }
}

#[tokio::test]
async fn whatever_is_done_to_an_entry_of_a_journal_is_found() {
    let bench = RedisBench::make().await;
    let journal = bench.store.journal();
    tell(journal.as_ref()).await;
    assert_eq!(bench.ledger().audit().await, Ok(None));
    let summary = verified(bench.store.journal()).await.unwrap();
    assert_eq!(summary.chains[0].anchored, Some(summary.chains[0].head));
    let gateway = super::super::journal::gateway_hash(&summary.chains[0].gateway);
    let list = key(&format!("journal:entries:{gateway}"));
    let lines: Vec<String> = raw(&bench, &["LRANGE", &list, "0", "-1"]).await;
    let restore = async |lines: &[String]| {
        raw::<i64>(&bench, &["DEL", &list]).await;
        for line in lines {
            raw::<i64>(&bench, &["RPUSH", &list, line]).await;
        }
    };
    for at in 0..lines.len() {
        let mut cases = vec![("cut off", lines[..at].to_vec())];
        let mut other = lines.clone();
        other.remove(at);
        cases.push(("deleted", other));
        for place in [lines[at].len() / 2, 1, lines[at].find('{').unwrap() - 2] {
            let mut bytes = lines[at].clone().into_bytes();
            bytes[place] ^= 1;
            let mut other = lines.clone();
            other[at] = String::from_utf8(bytes).unwrap();
            cases.push(("a bit", other));
        }
        if at > 0 {
            let mut other = lines.clone();
            other.swap(at, at - 1);
            cases.push(("swapped", other));
        }
        for (what, other) in cases {
            restore(&other).await;
            let answer = verified(bench.store.journal()).await;
            assert!(answer.is_err(), "{what}, entry {at}: {answer:?}");
        }
    }
    restore(&lines).await;
    assert_eq!(verified(bench.store.journal()).await, Ok(summary));
    // the journal rests, and the log's last lines pass over it
    for _ in 0..60 {
        bench.ledger().freeze(&order(&Freeze::Global)).await.unwrap();
        bench.ledger().unfreeze(&Freeze::Global).await.unwrap();
    }
    assert_eq!(bench.ledger().audit().await, Ok(None));
    raw::<i64>(&bench, &["DEL", &list, &key("journal:heads")]).await;
    let gone = verified(bench.store.journal()).await;
    assert!(gone.is_err(), "the chain as a whole: {gone:?}");
    raw::<i64>(&bench, &["DEL", &key("journal:anchored")]).await;
    let found = bench.ledger().audit().await.unwrap();
    assert!(found.unwrap().contains("is anchored otherwise than in the log"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_hand_changed_keeps_no_other_entry_out_of_the_journal() {
    let (bench, told) = bench().await;
    let broken = key(&format!("trace:{}", trace_hash(2)));
    let () = raw(&bench, &["DEL", &broken]).await;
    let () = raw(&bench, &["SET", &broken, "no hash"]).await;
    let journal = bench.store.journal();
    let update = |n: u64| {
        let journal = Arc::clone(&journal);
        let signature = Some(n.into());
        let update = TraceUpdate { signature, ..TraceUpdate::default() };
        tokio::spawn(async move { journal.update(trace_hash(n % 3 + 1), &update).await })
    };
    let begun: Vec<_> = (0..60).map(update).collect();
    for (n, update) in begun.into_iter().enumerate() {
        assert_eq!(update.await.unwrap().is_err(), n % 3 == 1, "{n}");
    }
    for n in [1, 3] {
        let trace = journal.trace(trace_hash(n)).await.unwrap().unwrap();
        assert_eq!(trace.signatures.len(), 20);
    }
    is_noticed(&bench, &told).await;
    assert_eq!(journal.chains().await.unwrap()[0].head.sequence, 43);
}
