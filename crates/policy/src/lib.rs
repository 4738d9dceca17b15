//! The judgement: text to policies, and `decide(intent, facts, policies)`.
//!
//! Pure, total and deterministic. Policy never reads a clock, a store, a node or an environment: now is a
//! fact.

mod budget;
mod decide;
pub mod decision;
mod diagnostic;
mod overrun;
mod policy;
mod scope;
mod source;

pub use budget::{BudgetLine, budget};
pub use decide::decide;
pub use decision::counter_verdicts;
pub use diagnostic::{Diagnostic, PolicyErrors};
pub use policy::{Identity, Policies, Policy, TestOutcome};
pub use scope::{Kind, Scope};
