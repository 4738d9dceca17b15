//! The order of things: ports, stages, executor, tracker and sweeper. Async, without sockets and
//! without a runtime.

pub mod port;
pub mod stage;
