//! The judgement: text to policies, and `decide(intent, facts, policies, now)`.
//!
//! Pure, total and deterministic. Policy never reads a clock, a store, a node or an environment.

pub mod decision;
