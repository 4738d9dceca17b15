//! What a gateway tells of itself: traces, as a real collector reads them; metrics, as Prometheus reads them, with the
//! dashboard and the alerts that are made of them; and log lines. None of it holds a secret, and none of it is waited
//! for.
#![expect(clippy::expect_used, clippy::panic, reason = "a failed test panics")]

mod collector;
mod logs;
mod metrics;
mod traces;
