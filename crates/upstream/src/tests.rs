//! The adapter against a node that answers whatever the test wants.

mod answers;
mod chain;
mod stub;
