//! Somebody who reads the mandate: a language model.

use std::fmt;

use async_trait::async_trait;
use countersign_core::opinion::Opinion;
use serde_json::Value;

/// Reads a mandate and a request. Late, garbled and no answers are opinions too: they ask for people.
#[async_trait]
pub trait Judge: fmt::Debug + Send + Sync {
    /// What it thinks, within its deadline.
    async fn opinion(&self, case: &Case) -> Opinion;
}

/// What is to be judged. Everything in it is data; only the mandate is the operator's own word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// What the operator wrote.
    pub mandate: String,
    /// What the request would do, as it was decoded.
    pub request: Value,
    /// What the agent says about it. Not to be believed.
    pub claims: Value,
}
