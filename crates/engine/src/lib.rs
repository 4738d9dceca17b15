//! The order of things: ports, stages, executor, tracker and sweeper. Async, without sockets and
//! without a runtime.

#[cfg(feature = "whole")]
mod admission;
#[cfg(feature = "whole")]
mod carry;
#[cfg(feature = "whole")]
mod desk;
#[cfg(feature = "whole")]
pub mod engine;
#[cfg(feature = "whole")]
mod gather;
#[cfg(feature = "whole")]
mod hub;
#[cfg(feature = "whole")]
mod intake;
#[cfg(feature = "whole")]
mod lane;
#[cfg(feature = "whole")]
mod plan;
pub mod port;
#[cfg(feature = "whole")]
mod record;
#[cfg(feature = "whole")]
mod redeem;
#[cfg(feature = "whole")]
mod reply;
#[cfg(feature = "whole")]
pub mod setup;
pub mod stage;
#[cfg(feature = "whole")]
pub mod submission;
#[cfg(feature = "whole")]
mod sweeper;
#[cfg(feature = "whole")]
mod tracker;
#[cfg(feature = "whole")]
mod views;

#[cfg(feature = "whole")]
pub use engine::{DeskError, Engine, Ports};
