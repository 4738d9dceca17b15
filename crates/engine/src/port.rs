//! The engine's view of the world: few, small ports, each with one fake in testkit.

pub mod alarm;
pub mod chain;
pub mod chronicle;
pub mod clock;
pub mod courier;
mod functions;
pub mod journal;
pub mod judge;
pub mod ledger;
pub mod oracles;
pub mod prices;
pub mod shelf;
pub mod signer;
pub mod telemetry;

pub use self::{
    chain::Chain, chronicle::Chronicle, clock::Clock, courier::Courier, journal::Journal,
    judge::Judge, ledger::Ledger, oracles::Oracles, prices::Prices, shelf::PolicyShelf,
    signer::Signer, telemetry::Telemetry,
};
