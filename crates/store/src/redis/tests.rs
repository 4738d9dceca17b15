//! The suites of the ports against a real Redis, and what only Redis can do wrong.

mod bench;
mod history;
mod journal;
mod outage;
mod proxy;
mod races;
mod replicas;
mod server;

use countersign_testkit::ledger_suite;

ledger_suite!(bench::RedisBench::make);
