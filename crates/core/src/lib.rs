//! The vocabulary of Countersign: amounts, chains, identities, intents, actions, transactions, time
//! and traces.
//!
//! Everything here is pure. There is no async, no clock, no randomness, no environment and no
//! logging in this crate; time and random bytes are arguments.

pub mod abi;
pub mod action;
pub mod amount;
pub mod approval;
pub mod bundle;
mod canonical;
pub mod charge;
pub mod context;
pub mod decimal;
pub mod draft;
pub mod evidence;
pub mod fact;
pub mod freeze;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
pub mod identity;
pub mod incident;
pub mod intent;
pub mod journal;
pub mod json;
pub mod message;
pub mod operation;
pub mod opinion;
pub mod pact;
pub mod raw;
pub mod shelf;
pub mod text;
pub mod time;
pub mod token;
pub mod trace;
pub mod trail;
pub mod transaction;
