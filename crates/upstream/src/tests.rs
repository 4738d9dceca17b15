//! The adapter against a node that answers whatever the test wants.

mod answers;
mod anvil;
mod chain;
mod data_fee;
mod disagreement;
mod others;
mod parsers;
mod prices;
mod simulation;
mod stub;
