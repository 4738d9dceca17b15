//! The order of things: ports, stages, executor, tracker and sweeper. Async, without sockets and
//! without a runtime.

#[cfg(feature = "whole")]
pub mod engine;
pub mod port;
#[cfg(feature = "whole")]
pub mod setup;
pub mod stage;
#[cfg(feature = "whole")]
pub mod submission;

#[cfg(feature = "whole")]
pub use engine::{DeskError, Engine, Ports};
