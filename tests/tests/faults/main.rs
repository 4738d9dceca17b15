//! Money under fire, on the line: a proxy between gateway and Redis, and between gateway and node, breaks one
//! message or all of them, as the tables say. The real binary, a real Redis, a real node.
//!
//! Whatever breaks: at most one payment for each request. After a signature no error but -32002, and a repetition
//! finds the hash. -32010 only where nothing was committed, and then a repetition pays once. Afterwards everything is
//! settled, and operations, counters, budgets and chain say the same.
//!
//! `COUNTERSIGN_SCENARIO=word` runs the rows whose name has that word in it.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a failed test panics, and the table is printed"
)]

mod before_node;
mod before_redis;
mod crowd;
mod marks;
mod run;
mod scenario;
mod server;

use std::{
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use countersign_tests::{
    Setup, StoreKind,
    load::{Fleet, Plan},
    place,
};
use futures_util::FutureExt as _;
use tokio::time::timeout;

use crate::{run::Report, scenario::Scenario};

/// A row and its number, which makes its payment one that no other row makes.
type Numbered = (u128, Scenario);

/// A payee is paid, a person is asked above 100 USD, and no window is in the way of many rows.
const POLICY: &str = include_str!("policy.yaml");

/// How many worlds at once, for each line. Rows wait most of the time.
const WORLDS: usize = 6;

#[test]
fn every_fault_before_redis_has_the_outcome_that_its_row_says() {
    run_all(StoreKind::Redis, before_redis::ROWS);
}

#[test]
fn every_fault_before_the_node_has_the_outcome_that_its_row_says() {
    run_all(StoreKind::Embedded, before_node::ROWS);
}

#[test]
fn there_are_enough_rows_and_each_has_a_name_of_its_own() {
    let rows = before_redis::ROWS.iter().chain(before_node::ROWS);
    let names: std::collections::BTreeSet<&str> = rows.map(|row| row.name).collect();
    assert_eq!(names.len(), before_redis::ROWS.len() + before_node::ROWS.len());
    assert!(names.len() >= 30);
}

fn run_all(store: StoreKind, rows: &[Scenario]) {
    let wanted = place::environment("COUNTERSIGN_SCENARIO").unwrap_or_default();
    let wanted = wanted.to_str().unwrap_or_default();
    let rows = (1..).zip(rows.iter().copied()).filter(|(_, row)| row.name.contains(wanted));
    let mut rows: Vec<Numbered> = rows.collect();
    // taken from the end: the longest first
    rows.sort_by_key(|(_, row)| row.outlasts.saturating_add(row.settles));
    let worlds = WORLDS.min(rows.len());
    let left = Arc::new(Mutex::new(rows));
    let worlds = (0..worlds).map(|_| {
        let left = Arc::clone(&left);
        thread::spawn(move || runtime().block_on(run_some(store, &left)))
    });
    let failures = worlds.collect::<Vec<_>>().into_iter();
    let failures: Vec<_> = failures.flat_map(|world| world.join().expect("a world")).collect();
    assert!(failures.is_empty(), "{} rows:\n{}", failures.len(), failures.join("\n"));
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// In one world one row after another, while some are left: what a row leaves behind is there for the next one.
async fn run_some(store: StoreKind, left: &Mutex<Vec<Numbered>>) -> Vec<String> {
    let setup = Setup::new(store).with(|bot| {
        POLICY.clone_into(&mut bot.policy);
        bot.duplicate_window = "1s";
    });
    let mut fleet = Fleet::start(Plan::of(setup)).await;
    warm_up(&fleet).await;
    let mut failures = Vec::new();
    while let Some((number, row)) = next(left) {
        let from = fleet.post(0).gateway.log().len();
        let Err(why) = run_row(&mut fleet, row, number).await else { continue };
        run::mend(&mut fleet, row).await;
        let log = fleet.post(0).gateway.log();
        failures.push(format!("{}: {why}\n{}", row.name, log.get(from..).unwrap_or_default()));
    }
    failures
}

fn next(left: &Mutex<Vec<Numbered>>) -> Option<Numbered> {
    left.lock().expect("nobody panics here").pop()
}

async fn run_row(fleet: &mut Fleet, row: Scenario, number: u128) -> Result<(), String> {
    let run = AssertUnwindSafe(run::run(fleet, row, number)).catch_unwind();
    match timeout(Duration::from_mins(2), run).await {
        Err(_) => Err("does not end".into()),
        Ok(Err(panic)) => {
            let text = panic.downcast_ref::<String>().cloned();
            Err(text.unwrap_or_else(|| "it panicked".into()))
        }
        Ok(Ok(Err(why))) => Err(why),
        Ok(Ok(Ok(Report { said, after, settled }))) => {
            let said = format!("{said:?}");
            println!("{after:>8.1?}  {said:<12} settled {settled:>8.1?}  {}", row.name);
            Ok(())
        }
    }
}

/// Redis learns the scripts at their first use: a row is about the second.
async fn warm_up(fleet: &Fleet) {
    use countersign_tests::{config::PAYEE, load::Heard, money::USD};
    let (client, alice) = (fleet.client(0, "bot"), fleet.alice(0));
    client.insist(None, PAYEE, USD).await;
    for (amount, yes) in [(111, true), (112, false)] {
        let amount = USD.saturating_mul(amount);
        let Heard::Refused(parked) = client.send(None, PAYEE, amount).await else {
            panic!("not parked");
        };
        let id = parked.operation();
        let reply = if yes { alice.approve(&id).await } else { alice.reject(&id, "no").await };
        assert_eq!(reply.status, 200, "{}", reply.text());
    }
    let books = fleet.settled(0, Duration::from_secs(20)).await.expect("a settled payment");
    let faults = fleet.audit(0, &books).await;
    assert!(faults.is_empty(), "before anything broke: {faults:?}");
}
