//! Where prices come from, as the configuration says it.

use std::{collections::BTreeMap, fmt, sync::Arc};

use alloy_primitives::Address;
use countersign_core::{
    amount::Price,
    time::{Millis, Timestamp},
};
use countersign_engine::port::prices::PriceBell;
use http::HeaderMap;

use super::{document::JsonPointer, judge::BasisPoints};
use crate::chain::NodeChain;

/// Everything that a [`super::PriceSources`] needs to know.
#[derive(Clone)]
pub struct PriceOptions {
    /// The preferred one first. A symbol may be named by several.
    pub sources: Vec<SourceOptions>,
    /// How far two sources may be apart and still agree.
    pub deviation: BasisPoints,
    /// How far a price may move in a minute.
    pub change_per_minute: BasisPoints,
    /// How often sources are asked. A price that nobody has looked at for three times as long is asked for by the
    /// request that needs it.
    pub refresh: Millis,
    /// This machine's clock.
    pub wall: fn() -> Timestamp,
    /// Who is told what a person must know.
    pub bell: PriceBell,
}

impl fmt::Debug for PriceOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PriceOptions").field("sources", &self.sources).finish_non_exhaustive()
    }
}

/// One source.
#[derive(Debug, Clone)]
pub enum SourceOptions {
    /// Prices that never age, by symbol.
    Static(BTreeMap<String, Price>),
    /// Chainlink's aggregators on a chain.
    Chainlink(ChainlinkOptions),
    /// A JSON document.
    Http(HttpOptions),
}

/// Chainlink's aggregators on one chain, asked through its nodes.
#[derive(Debug, Clone)]
pub struct ChainlinkOptions {
    /// The chain.
    pub chain: Arc<NodeChain>,
    /// The aggregator (its proxy) of each symbol in USD.
    pub feeds: BTreeMap<String, Address>,
    /// How old a round may be: longer than the feed's heartbeat.
    pub max_age: Millis,
    /// On a roll-up, the feed that tells whether its sequencer is up.
    pub sequencer_uptime_feed: Option<Address>,
}

/// A JSON document with prices. Its `Debug` shows no URL and no header.
#[derive(Clone)]
pub struct HttpOptions {
    /// `http://` or `https://`. Secret: it may hold credentials.
    pub url: String,
    /// Headers that it wants to see, beside those that the URL makes. Secret.
    pub headers: HeaderMap,
    /// Where each symbol's price stands.
    pub prices: BTreeMap<String, PricePlace>,
    /// How old a price may be.
    pub max_age: Millis,
    /// How long it may take to answer.
    pub deadline: Millis,
}

impl fmt::Debug for HttpOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpOptions").field("prices", &self.prices).finish_non_exhaustive()
    }
}

/// Where a price stands in a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PricePlace {
    /// The price: a number, or a text that holds one.
    pub price: JsonPointer,
    /// When it was so. Without it a price is as old as the answer that brought it.
    pub at: Option<JsonPointer>,
}
