//! The judgement: text to policies, and `decide(intent, facts, policies)`.
//!
//! Pure, total and deterministic. Policy never reads a clock, a store, a node or an environment: now is a
//! fact.

mod approvals;
mod budget;
mod condition;
mod decide;
pub mod decision;
mod diagnostic;
mod diff;
mod field;
mod front_end;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod implication;
mod import;
mod inline_test;
mod judge;
mod limits;
mod lint;
mod login;
mod matcher;
mod mode;
mod model;
mod needs;
mod overrun;
mod pact;
mod policy;
mod read;
mod risk;
mod schema;
mod scope;
mod sentence;
mod signed;
mod simulation;
mod source;
mod together;
mod truth;
mod view;
mod window;
mod worth;
mod yaml;

pub use budget::{BudgetLine, budget};
pub use countersign_core::opinion::Opinion;
pub use decide::{charges, decide, part};
pub use decision::counter_verdicts;
pub use diagnostic::{Diagnostic, PolicyErrors};
pub use diff::{Change, Diff, DiffClass, diff};
pub use front_end::{Format, FormatError};
pub use import::import;
pub use mode::{ApprovalMode, ModeError};
pub use needs::Spent;
pub use pact::{PactLife, PactState, pact_state, spoken_against};
pub use policy::{Identity, LimitView, Policies, Policy, RuleView, TestOutcome};
pub use schema::schema;
pub use scope::{Kind, Scope};
pub use window::{LimitWindow, windows};
