//! For tests only: one fake for each port, fixtures, and the suites that every adapter of a port runs.
//!
//! Nothing here is meant to be fast or to survive a process. What the models do is the meaning of the
//! port in its most obvious form: the real stores are compared with them.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::missing_panics_doc,
    clippy::wildcard_enum_match_arm,
    reason = "this crate is linked into tests only, where a panic is a failed test"
)]

pub mod certificates;
pub mod chain;
pub mod clock;
pub mod fixture;
pub mod journal;
pub mod ledger;
pub mod prices;
pub mod redis_cluster;
pub mod redis_sentinel;
pub mod redis_server;
pub mod replay;
pub mod shelf;
pub mod signer;
pub mod simulation;
pub mod suite;
pub mod time;

pub use self::{
    chain::FakeChain,
    clock::FakeClock,
    journal::{ModelJournal, ModelJournals},
    ledger::ModelLedger,
    prices::FixedPrices,
    shelf::ModelShelf,
    signer::FakeSigner,
    time::ManualTime,
};
