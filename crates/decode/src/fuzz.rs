//! What holds whatever bytes come, one function per parser. libFuzzer calls them (`fuzz/` of the repository), and so do
//! the tests, over what it found worth keeping. Only tests and fuzzers see this module.

#![expect(
    clippy::missing_panics_doc,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a panic is a finding"
)]

mod call;
mod encoding;
mod message;

#[cfg(test)]
#[path = "../../../fuzz/replay.rs"]
mod replay;

#[cfg(test)]
pub(crate) use self::encoding::{oracle, theirs};
pub use self::{
    call::calldata,
    encoding::canonical,
    message::{text, typed_data},
};

/// A name and what holds of any bytes.
pub type Target = (&'static str, fn(&[u8]));

/// Every target of this crate.
pub const TARGETS: [Target; 4] =
    [("calldata", calldata), ("canonical", canonical), ("typed_data", typed_data), ("text", text)];
