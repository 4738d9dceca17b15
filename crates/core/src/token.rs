//! Tokens that the configuration names, and the assets that actions move.

use alloy_primitives::{Address, U256};
use serde::{Deserialize, Serialize};

/// What an action moves.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Asset {
    /// The chain's own currency.
    Native,
    /// A fungible token: ERC-20, or one that behaves like it.
    Token(Address),
    /// One item of a collection: ERC-721 (amount 1) or ERC-1155.
    Item {
        /// The collection's contract.
        collection: Address,
        /// The item.
        id: U256,
    },
    /// A whole collection: `setApprovalForAll`.
    Collection(Address),
}

impl Asset {
    /// The contract that keeps the asset; `None` for the chain's own currency.
    #[must_use]
    pub const fn contract(&self) -> Option<Address> {
        match self {
            Self::Native => None,
            Self::Token(address) | Self::Collection(address) => Some(*address),
            Self::Item { collection, .. } => Some(*collection),
        }
    }
}

/// A token as a policy names it: `usdc@31337`; the chain's own currency is `eth@31337` by its symbol.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TokenName(pub String);
