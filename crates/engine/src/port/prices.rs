//! What a whole unit of something costs.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use countersign_core::{amount::Price, time::Timestamp, trace::Severity};

/// Sources of USD prices by symbol (`ETH`, `USD`). A source never guesses: no price is an error.
#[async_trait]
pub trait Prices: fmt::Debug + Send + Sync {
    /// The price of one whole unit.
    async fn price(&self, symbol: &str) -> Result<Quote, PriceError>;

    /// Looks again at every source that is due, so that no request has to wait for one. To be called
    /// now and then, by one caller; a source without age has nothing to look at.
    async fn refresh(&self) {}
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

/// Told at once, by whoever looks at a price. Must not block.
pub type PriceBell = Arc<dyn Fn(PriceAlarm) + Send + Sync>;

/// What is wrong with a price and a person must know. Each text says it to an operator in one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PriceAlarm {
    /// A source said something that can be no price. It counts as no answer.
    Refused(String),
    /// Two sources differ by more than is configured. The higher one counts.
    Disagree(String),
    /// A price moved further than is configured in that time. A rise counts at once, a fall step by step.
    Jumped(String),
    /// No source that names a symbol has a price for it. What needs it is refused.
    Unavailable(String),
}

impl PriceAlarm {
    /// The incident's code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Refused(_) => "price_refused",
            Self::Disagree(_) => "prices_disagree",
            Self::Jumped(_) => "price_jumped",
            Self::Unavailable(_) => "price_unavailable",
        }
    }

    /// How bad it is.
    #[must_use]
    pub const fn severity(&self) -> Severity {
        match self {
            Self::Refused(_) | Self::Disagree(_) | Self::Jumped(_) => Severity::High,
            Self::Unavailable(_) => Severity::Medium,
        }
    }

    /// The incident's title.
    #[must_use]
    pub const fn title(&self) -> &'static str {
        match self {
            Self::Refused(_) => "a price source says what can be no price",
            Self::Disagree(_) => "price sources disagree: the higher price counts",
            Self::Jumped(_) => "a price moves faster than is configured",
            Self::Unavailable(_) => "no source has a price: what needs it is refused",
        }
    }

    /// What exactly was noticed.
    #[must_use]
    pub fn text(&self) -> &str {
        let (Self::Refused(text)
        | Self::Disagree(text)
        | Self::Jumped(text)
        | Self::Unavailable(text)) = self;
        text
    }
}
