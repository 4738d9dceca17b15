//! The order of things: ports, stages, executor, tracker and sweeper. Async, without sockets and
//! without a runtime.

mod admission;
mod carry;
mod claim;
mod desk;
pub mod engine;
mod gather;
mod hub;
mod intake;
mod judge;
mod lane;
mod plan;
pub mod port;
mod record;
mod redeem;
mod reply;
pub mod setup;
pub mod stage;
pub mod submission;
mod sweeper;
mod tracker;
mod views;

pub use engine::{DeskError, Engine, Ports};
