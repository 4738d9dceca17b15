//! The tests of a port that every adapter of it must pass.

pub mod desk;
pub mod journal;
pub mod ledger;

pub use self::{
    desk::{Desk, LedgerBench, SharedBench},
    journal::JournalBench,
};
