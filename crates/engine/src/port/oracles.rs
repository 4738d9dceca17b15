//! What somebody else says of an address: its risk, its reputation.

use std::{collections::BTreeMap, fmt};

use alloy_primitives::Address;
use async_trait::async_trait;
use countersign_core::{
    context::ContextValue,
    fact::{Asked, Fact},
    identity::ChainId,
};

/// Oracles by name. One that does not answer in its time has said nothing: unknown, with the reason.
#[async_trait]
pub trait Oracles: fmt::Debug + Send + Sync {
    /// Whom of an action an oracle is asked about; `None` where there is no such oracle.
    fn asks(&self, oracle: &str) -> Option<Asked>;

    /// What an oracle says of an address, by the names of its fields.
    async fn say(
        &self,
        oracle: &str,
        chain: ChainId,
        address: Address,
    ) -> Fact<BTreeMap<String, ContextValue>>;
}
