//! The chain, through one or several nodes; what things cost; what others say: oracles and a judge; and what they are
//! told: webhooks.
//!
//! [`NodeChain`] is the engine's `Chain` over JSON-RPC: pooled connections, a deadline on every
//! call, failover for whatever is safe to ask twice, and answers shared between concurrent callers.
//! It reports what a node said and never decides what that means for an operation.
//!
//! What is absent on purpose: no URL of a node is ever printed beyond scheme, host and port; no
//! broadcast is repeated by itself after a byte of it may have been taken; no word of a node settles
//! anything.

mod chain;
mod data_fee;
mod endpoint;
mod flight;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod head;
mod in_order;
mod judge;
mod node;
mod options;
mod oracles;
mod prices;
mod settlement;
mod simulation;
mod transport;
mod trust;
mod webhook;
mod wire;
mod words;

#[cfg(test)]
mod tests;

pub use self::{
    chain::{NodeChain, NodeReport},
    endpoint::UrlFault,
    judge::{HttpJudge, JudgeError, JudgeOptions},
    options::{DataFee, FinalityRule, NodeOptions, UpstreamError, UrlProblem},
    oracles::{HttpOracles, OracleError, OracleOptions},
    prices::{
        BasisPoints, ChainlinkOptions, HttpOptions, JsonPointer, PriceOptions, PricePlace,
        PriceSources, SourceOptions, StaticPrices,
    },
    trust::{Authorities, AuthorityError, trusting},
    webhook::{Format, Reach, Webhook, WebhookError, WebhookOptions, key_of},
};
