//! The suites of the ports against a real Redis, and what only Redis can do wrong.

mod bench;
mod cluster;
mod encrypted;
mod hands;
mod history;
mod journal;
mod outage;
mod proxy;
mod refusals;
mod replicas;
mod sentinel;
mod server;
mod shared;

use countersign_testkit::{ledger_suite, shelf_suite};

ledger_suite!(bench::RedisBench::make);
shelf_suite!(bench::RedisBench::make);
