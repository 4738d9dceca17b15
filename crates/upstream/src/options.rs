//! How a chain is reached, as the configuration says it.

use std::{fmt, sync::Arc, time::Duration};

use countersign_core::{
    identity::ChainId,
    time::{Millis, Timestamp},
};
use countersign_engine::port::{Telemetry, telemetry::Silent};

use crate::endpoint::UrlFault;

/// Everything that a [`crate::NodeChain`] needs to know. Its `Debug` shows no URL.
#[derive(Clone)]
pub struct NodeOptions {
    /// The chain that every node has to serve.
    pub id: ChainId,
    /// `http://` or `https://` URLs, the preferred one first. Secret: they may hold credentials.
    pub urls: Vec<String>,
    /// When a receipt is final.
    pub finality: FinalityRule,
    /// How long one question may take over all nodes.
    pub deadline: Millis,
    /// How long one node may take before the next one is asked; the last one has all the time that
    /// is left. A node that is sent signed bytes never has more.
    pub attempt: Millis,
    /// How long a node that served the right chain is believed to serve it still, unless its
    /// connection breaks before.
    pub chain_id_ttl: Millis,
    /// How long head, accounts and code are kept.
    pub head_ttl: Millis,
    /// The largest answer that is read.
    pub answer_bytes_max: usize,
    /// By how many blocks a node's head may lie behind one that was seen before.
    pub head_lag_max: u64,
    /// How long the newest block may be the newest, or lie back by this machine's clock, before its
    /// node is no longer believed. `None` where blocks come only with transactions.
    pub stale_after: Option<Millis>,
    /// This machine's clock. Without it only a head that does not move is noticed, not an old one.
    pub wall: Option<fn() -> Timestamp>,
    /// What the chain adds to the fee outside of gas × price.
    pub data_fee: DataFee,
    /// Who watches.
    pub telemetry: Arc<dyn Telemetry>,
}

impl NodeOptions {
    /// Options with the defaults: 10 s a question, 4 s a node, 5 s between looks at its chain id,
    /// 250 ms of caching, 32 MiB an answer,
    /// 256 blocks behind, never stale, the data fee of the chain's own oracle.
    #[must_use]
    pub fn new(id: ChainId, urls: Vec<String>, finality: FinalityRule) -> Self {
        Self {
            id,
            urls,
            finality,
            deadline: Millis(10_000),
            attempt: Millis(4_000),
            // far shorter than the time for which the engine must see the same before it gives
            // money back
            chain_id_ttl: Millis(5_000),
            head_ttl: Millis(250),
            answer_bytes_max: 32 * 1024 * 1024,
            head_lag_max: 256,
            stale_after: None,
            wall: None,
            data_fee: DataFee::Oracle,
            telemetry: Arc::new(Silent),
        }
    }
}

impl fmt::Debug for NodeOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeOptions")
            .field("id", &self.id)
            .field("urls", &self.urls.len())
            .field("finality", &self.finality)
            .finish_non_exhaustive()
    }
}

/// When a receipt cannot go away any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FinalityRule {
    /// So many blocks, the receipt's own block counted as one; 0 is read as 1.
    Blocks(u64),
    /// The node's `finalized` block has reached it.
    Finalized,
}

/// What a chain adds to the fee outside of gas × price.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataFee {
    /// What the chain's oracle contract says, with headroom; nothing where the chain has none. A
    /// chain that charges for L1 data inside of the gas (Arbitrum) needs none.
    Oracle,
    /// Nothing. On a roll-up that charges for L1 data this leaves that part out of the reservation;
    /// its actual cost is still read from the receipt.
    None,
}

pub(crate) const fn duration(length: Millis) -> Duration {
    Duration::from_millis(length.0)
}

/// Why a chain cannot be set up. Nothing was asked of any node.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// There is no URL at all.
    #[error("chain {0} has no upstream: name at least one http:// or https:// URL")]
    NoUrls(ChainId),
    /// Every URL that cannot be used, at once.
    #[error("chain {chain}: {}", listed(problems))]
    Urls {
        /// The chain.
        chain: ChainId,
        /// What is wrong with which.
        problems: Vec<UrlProblem>,
    },
    /// A price source's URL cannot be used.
    #[error("the price source {place} {fault}")]
    PriceUrl {
        /// Its place in the list of sources, from 1.
        place: usize,
        /// What is wrong with it.
        fault: UrlFault,
    },
    /// The TLS library refused its own defaults.
    #[error("tls cannot be set up: {0}")]
    Tls(String),
}

/// One URL that cannot be used; named by its place, because it may hold credentials.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("upstream {place} {fault}")]
pub struct UrlProblem {
    /// Its place in the list, from 1.
    pub place: usize,
    /// What is wrong with it.
    pub fault: UrlFault,
}

fn listed(problems: &[UrlProblem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
