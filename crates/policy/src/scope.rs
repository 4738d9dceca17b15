//! What kind of file a policy is, and whom it is for.

use countersign_core::identity::{AgentId, ChainId, WalletId};

/// What a file may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// For one agent; may allow. What it does not allow is denied.
    Grant,
    /// May only deny, ask and limit. What it does not name passes.
    Guard,
}

/// Whom a policy is for; an empty list or `None` means any.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scope {
    /// The agent.
    pub agent: Option<AgentId>,
    /// The wallets.
    pub wallets: Vec<WalletId>,
    /// The chains.
    pub chains: Vec<ChainId>,
}

impl Scope {
    /// Whether a request of that agent, wallet and chain is covered.
    #[must_use]
    pub fn covers(&self, agent: &AgentId, wallet: &WalletId, chain: ChainId) -> bool {
        self.agent.as_ref().is_none_or(|named| named == agent)
            && (self.wallets.is_empty() || self.wallets.contains(wallet))
            && (self.chains.is_empty() || self.chains.contains(&chain))
    }
}
