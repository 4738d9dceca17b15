//! The tests of a port that every adapter of it must pass.

pub mod desk;
mod dice;
pub mod journal;
pub mod ledger;
pub mod shelf;

pub use self::{
    desk::{Desk, LedgerBench, SharedBench},
    journal::JournalBench,
    shelf::ShelfBench,
};
