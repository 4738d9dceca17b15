//! The ledger and the journal on disk: one SQLite file for one process, or Redis for many gateways.

mod adoption;
mod attempt;
pub mod embedded;
pub mod lineage;
pub mod redis;
