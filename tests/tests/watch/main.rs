//! What people are told, and what stops an agent that is denied too often: on a real node, on both stores.
#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a failed test panics")]

mod breaker;
mod notices;
