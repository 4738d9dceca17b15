//! The way of a request, over a fake of every port.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    clippy::wildcard_enum_match_arm,
    reason = "a panic here is a failed test"
)]

mod approvals;
mod attempts;
mod brought;
mod bundles;
mod crash;
mod evidence;
mod flow;
mod house;
mod limits;
mod messages;
mod pacts;
mod reorgs;
mod simulated;
