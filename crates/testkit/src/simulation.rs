//! The engine in a simulated world: one seed is one run, exactly the same each time.
//!
//! One to four real engines on the model ledger, in a world that loses calls and answers, kills and suspends
//! processes, takes blocks back, and is asked by an agent that wants more than it may have. After every step an
//! oracle with books of its own looks at what has changed (LEDGER §4). Wrong ledgers ([`crate::ledger::flawed`])
//! show that it would have noticed.

#![expect(
    clippy::similar_names,
    clippy::zero_sized_map_values,
    clippy::struct_field_names,
    clippy::unused_async,
    clippy::unused_self,
    clippy::match_same_arms,
    reason = "names of actors are alike, and each kind of weather and of check has the same form"
)]

mod agents;
mod chain;
mod chance;
mod clock;
mod executor;
mod history;
mod journal;
mod limits;
mod log;
mod many;
mod oracle;
mod people;
mod plan;
mod replay;
mod run;
mod signer;
mod store;
mod weather;
mod world;

pub use self::{
    log::Violation,
    many::{Found, many},
    run::{Outcome, run},
};
