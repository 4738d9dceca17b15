//! The suites of the ports against a real Redis, and what only Redis can do wrong.

mod bench;
mod journal;
mod outage;
mod races;
mod server;

use countersign_testkit::ledger_suite;

ledger_suite!(bench::RedisBench::make);
