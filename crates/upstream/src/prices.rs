//! What things cost in USD: stated, asked of Chainlink's aggregators, and asked over HTTP.
//!
//! Every source that names a symbol is asked. Where they agree the first one counts; where they do not, the highest.
//! A source that does not answer, is too old, or says what can be no price, has said nothing; where none has said
//! anything there is no price. A price falls no faster than is configured.

mod chainlink;
pub(crate) mod document;
mod exact;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
pub(crate) mod http;
mod judge;
mod options;
mod sources;
mod stated;

pub use self::{
    document::JsonPointer,
    judge::BasisPoints,
    options::{ChainlinkOptions, HttpOptions, PriceOptions, PricePlace, SourceOptions},
    sources::PriceSources,
    stated::StaticPrices,
};

use countersign_core::{
    amount::Price,
    time::{Millis, Timestamp},
};

/// Clocks that are apart by less are not worth a refused price.
const SKEW_MAX: Millis = Millis(60_000);

/// What one source says of one symbol.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Sample {
    price: Price,
    /// When it was so; `None` for what never ages.
    at: Option<Timestamp>,
    /// From when on it is too old.
    good_until: Option<Timestamp>,
}

/// Why a source says nothing of a symbol that it names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum Silence {
    /// It does not answer, or what it has is too old.
    #[error("{0}")]
    Failed(String),
    /// It says what can be no price.
    #[error("{0}")]
    Nonsense(String),
}

/// A price of some time, if that time is neither too long ago nor still to come.
fn aged(price: Price, at: Timestamp, now: Timestamp, max_age: Millis) -> Result<Sample, Silence> {
    let ahead = at.since(now);
    if ahead > SKEW_MAX {
        let seconds = ahead.0 / 1000;
        return Err(Silence::Nonsense(format!("its price is from {seconds} s in the future")));
    }
    let age = now.since(at);
    if age > max_age {
        let seconds = age.0 / 1000;
        return Err(Silence::Failed(format!(
            "its price is {seconds} s old, more than the {max_age} that are configured"
        )));
    }
    Ok(Sample { price, at: Some(at), good_until: Some(at.after(max_age)) })
}
