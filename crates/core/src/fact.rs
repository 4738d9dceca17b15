//! Facts: everything that a rule may name, frozen at one instant.

use std::collections::BTreeSet;

use alloy_primitives::{Address, U256};
use serde::{Deserialize, Serialize};

use crate::{
    action::Action,
    amount::Price,
    approval::GateApproval,
    identity::{AgentId, ChainId, WalletId},
    time::Timestamp,
    token::Asset,
};

/// A fact that was looked for: known, or unknown with the reason. Unknown goes against the agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fact<T> {
    /// It is known.
    Known(T),
    /// It could not be had; the text says why, for people.
    Unknown(String),
}

impl<T> Fact<T> {
    /// The value, where it is known.
    pub const fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Unknown(_) => None,
        }
    }
}

/// A token or the chain's own currency, as the configuration and the price sources know it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenFact {
    /// What it is.
    pub asset: Asset,
    /// The name that policies use: `usdc@31337`, `eth@31337`.
    pub name: String,
    /// Base units per whole unit, as a power of ten.
    pub decimals: u8,
    /// USD for one whole unit.
    pub price: Fact<Price>,
    /// `true` where no source ever names a price for it: the limit's code then stands, instead of
    /// `price_unavailable`.
    pub never_priced: bool,
}

/// A switch that stops signing (POLICY §1: a freeze is a guard).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "scope", content = "id", rename_all = "snake_case")]
pub enum Freeze {
    /// Everything but `revoke` and recorded cancels.
    Global,
    /// Everything without exception.
    All,
    /// One agent.
    Agent(AgentId),
    /// One wallet.
    Wallet(WalletId),
    /// One chain.
    Chain(ChainId),
}

impl Freeze {
    /// Whether this freeze stops a request of that agent, wallet and chain.
    #[must_use]
    pub fn covers(&self, agent: &AgentId, wallet: &WalletId, chain: ChainId) -> bool {
        match self {
            Self::Global | Self::All => true,
            Self::Agent(frozen) => frozen == agent,
            Self::Wallet(frozen) => frozen == wallet,
            Self::Chain(frozen) => *frozen == chain,
        }
    }
}

/// The snapshot that a decision is made from. It never contains the operation's own charges.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// When they were gathered, by the store's clock.
    pub at: Timestamp,
    /// The agent's configured role, if it has one.
    pub role: Option<String>,
    /// The person who owns the agent and therefore never approves for it.
    pub owner: Option<String>,
    /// The leaf effects, in order.
    pub actions: Vec<Action>,
    /// Every token that an action or a decoded argument names, and the chain's own currency.
    pub tokens: Vec<TokenFact>,
    /// Gas limit of the planned transaction.
    pub gas: u64,
    /// The most that the fee can be, in wei.
    pub fee_wei_max: U256,
    /// The nonce that the client fixed.
    pub nonce: Option<u64>,
    /// The wallet's balance of the chain's own currency, in wei.
    pub balance_wei: Fact<U256>,
    /// Recipients and spenders that this wallet has paid before.
    pub seen: Fact<BTreeSet<Address>>,
    /// Freezes in force.
    pub freezes: Vec<Freeze>,
    /// Gates that people have opened for this operation, with what they opened.
    pub approvals: Vec<GateApproval>,
}
