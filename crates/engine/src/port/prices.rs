//! What a whole unit of something costs.

use std::fmt;

use async_trait::async_trait;
use countersign_core::{amount::Price, time::Timestamp};

/// Sources of USD prices by symbol (`ETH`, `USD`). A source never guesses: no price is an error.
#[async_trait]
pub trait Prices: fmt::Debug + Send + Sync {
    /// The price of one whole unit.
    async fn price(&self, symbol: &str) -> Result<Quote, PriceError>;
}

/// A price with its origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quote {
    /// USD for one whole unit.
    pub price: Price,
    /// When the source observed it; `None` for a source that never ages.
    pub at: Option<Timestamp>,
    /// Which source.
    pub source: String,
}

/// Why there is no price.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PriceError {
    /// No source names the symbol; asking again changes nothing.
    #[error("no price source names `{0}`")]
    NeverPriced(String),
    /// A source that names it failed or is stale; safe to ask again.
    #[error("the price of `{symbol}` is not available: {reason}")]
    Unavailable {
        /// The symbol.
        symbol: String,
        /// What went wrong, for operators.
        reason: String,
    },
}
