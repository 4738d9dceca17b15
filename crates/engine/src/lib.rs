//! The order of things: ports, stages, executor, tracker and sweeper. Async, without sockets and
//! without a runtime.

mod admission;
mod adopt;
mod brought;
mod bump;
mod bundle;
mod calls;
mod carry;
mod claim;
mod consult;
mod delegated;
mod desk;
pub mod engine;
pub mod evidence;
mod execute;
mod gather;
mod hub;
mod intake;
mod journal;
mod judge;
mod lane;
mod message;
mod plan;
pub mod port;
mod proposal;
pub mod reconcile;
mod record;
mod redeem;
mod reorg;
pub mod replay;
mod reply;
pub mod setup;
pub mod stage;
mod stuck;
pub mod submission;
mod sweeper;
mod tracker;
mod turn;
mod views;

pub use bump::BumpError;
pub use engine::{DeskError, Engine, Ports};
