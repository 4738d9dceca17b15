//! What `decide` promises, case by case and for all cases.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::wildcard_enum_match_arm,
    reason = "a test that cannot set its scene must fail"
)]

mod decide;
mod opinion;
mod oracle;
mod properties;
mod scene;
mod simulated;
mod spends;
mod together;
