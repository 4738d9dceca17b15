//! The main job on real input: an agent's call is read, judged, reserved, signed and forwarded, on a real
//! node, on both stores.
#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a failed test panics")]

mod approval;
mod attempts;
mod bundles;
mod collections;
mod door;
mod evidence;
mod failure;
mod life;
mod nonces;
mod others;
mod outside;
mod owners;
mod pacts;
mod repeating;
mod replicas;
mod signed;
mod signing;
mod tenancy;
mod versions;
