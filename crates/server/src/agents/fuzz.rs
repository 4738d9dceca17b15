//! What holds whatever bytes come, one function per parser. libFuzzer calls them (`fuzz/` of the repository), and so do
//! the tests, over what it found worth keeping. Only tests and fuzzers see this module.

#![expect(
    clippy::missing_panics_doc,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a panic is a finding"
)]

mod door;
mod rpc;

#[cfg(test)]
#[path = "../../../../fuzz/replay.rs"]
mod replay;

pub use self::{
    door::{head, headers},
    rpc::request,
};

/// A name and what holds of any bytes.
pub type Target = (&'static str, fn(&[u8]));

/// Every target of this crate.
pub const TARGETS: [Target; 3] = [("request", request), ("headers", headers), ("head", head)];
