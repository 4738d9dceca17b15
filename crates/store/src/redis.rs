//! The Redis store: the ledger as scripts, for several gateways.
//!
//! Each function of the ports is one Lua script, so it is one atomic step under the store's clock, whichever
//! gateway calls it. What scripts look at are fields; what Rust owns are documents that they carry unread.
//! Nothing that holds money ever expires. A call that Redis did not answer is `Ambiguous` unless
//! nothing can have been written; nothing is sent twice by itself, unless a server proved that nothing was done.

mod address;
mod chronicle;
mod connections;
mod documents;
mod fault;
mod journal;
mod keys;
mod ledger;
mod link;
mod promises;
mod record;
mod reply;
mod scripts;
mod shelf;
mod told;
mod way;

use std::sync::Arc;

use countersign_core::{identity::AppId, time::Millis};
use countersign_engine::port::{Chronicle, Journal, Ledger, PolicyShelf, ledger::LedgerError};

pub use self::{
    address::{AddressError, ClientCertificate, RedisAddress, RedisTls, SentinelLogin, Topology},
    connections::WeakStore,
};
use self::{
    chronicle::RedisChronicle,
    connections::{ConnectionOptions, Connections},
    journal::RedisJournal,
    keys::Keys,
    ledger::RedisLedger,
    link::{Call, Link, LinkOptions, TestClock},
    scripts::Script,
    shelf::RedisShelf,
};
use crate::lineage::{Anchor, Witness};

/// The layout of what lies in Redis; another one is refused.
const FORMAT: &str = "9";

/// Which Redis, and how it is used.
#[derive(Debug, Clone)]
pub struct RedisOptions {
    /// Where it is.
    pub address: RedisAddress,
    /// The tenant: apps never see each other's books.
    pub app: AppId,
    /// This gateway's name: its chain of decision records.
    pub gateway: String,
    /// How many replicas must have a write before it counts.
    pub acknowledge_replicas: u32,
    /// What is done if the store may forget what it acknowledged.
    pub weak: WeakStore,
    /// How long one call may take, connecting included.
    pub deadline: Millis,
    /// What this gateway has seen of the ledger before, its clock, and whom it tells.
    pub witness: Witness,
}

/// The ledger and the journal of one app in Redis. It connects again by itself, at the next call.
#[derive(Debug)]
pub struct RedisStore {
    ledger: Arc<RedisLedger>,
    journal: Arc<RedisJournal>,
    chronicle: Arc<RedisChronicle>,
    shelf: Arc<RedisShelf>,
}

impl RedisStore {
    /// Connects, and refuses a Redis that may evict keys or holds another layout. Gives an empty store its ledger id,
    /// unless this gateway has seen a ledger there: then, and where it holds another one, nothing in it is written or
    /// believed until a person has made a new ledger.
    pub async fn connect(options: RedisOptions) -> Result<Self, OpenError> {
        Self::open(options, None).await
    }

    async fn open(options: RedisOptions, clock: Option<TestClock>) -> Result<Self, OpenError> {
        let RedisOptions { address, app, gateway, acknowledge_replicas: replicas, .. } = options;
        let RedisOptions { weak, deadline, witness, .. } = options;
        let (way, keys) = (address.way()?, Keys::new(&app));
        let (slot, bell) = (keys.slot(), Arc::clone(&witness.bell));
        let connections =
            Connections::new(ConnectionOptions { way, slot, deadline, replicas, weak, bell });
        let link = Arc::new(Link::new(LinkOptions { connections, keys, clock, witness }));
        can_keep_a_ledger(&link).await?;
        initialise(&link).await?;
        Ok(Self {
            ledger: Arc::new(RedisLedger::new(Arc::clone(&link), replicas, gateway.clone())),
            chronicle: Arc::new(RedisChronicle::new(Arc::clone(&link))),
            shelf: Arc::new(RedisShelf::new(Arc::clone(&link))),
            journal: Arc::new(RedisJournal::new(link, gateway, deadline)),
        })
    }

    /// The books.
    #[must_use]
    pub fn ledger(&self) -> Arc<dyn Ledger> {
        Arc::<RedisLedger>::clone(&self.ledger)
    }

    /// What this gateway has seen of the ledger: what it brings to the store next time.
    #[must_use]
    pub fn anchor(&self) -> Option<Anchor> {
        self.ledger.anchor()
    }

    /// What is done from now on if the store may forget what it acknowledged.
    pub fn demand(&self, weak: WeakStore) {
        self.ledger.demand(weak);
    }

    /// The server that holds the ledger, as it was found last.
    #[must_use]
    pub fn place(&self) -> Option<String> {
        self.ledger.place()
    }

    /// The log of the books, and what is counted beside them.
    #[must_use]
    pub fn chronicle(&self) -> Arc<dyn Chronicle> {
        Arc::<RedisChronicle>::clone(&self.chronicle)
    }

    /// The versions of agents' policies.
    #[must_use]
    pub fn shelf(&self) -> Arc<dyn PolicyShelf> {
        Arc::<RedisShelf>::clone(&self.shelf)
    }

    /// The decision records.
    #[must_use]
    pub fn journal(&self) -> Arc<dyn Journal> {
        Arc::<RedisJournal>::clone(&self.journal)
    }
}

/// Refuses a server that may lose keys, and one on which scripts would not run or would break off.
async fn can_keep_a_ledger(link: &Link) -> Result<(), OpenError> {
    let promises = link.promises().await?;
    if let Some(version) = promises.outdated() {
        return Err(OpenError::Outdated(version.into()));
    }
    if let Some(policy) = promises.eviction() {
        return Err(OpenError::Evicts(policy.into()));
    }
    let missing = link.missing_rights().await?;
    if missing.is_empty() { Ok(()) } else { Err(OpenError::Rights(missing.join(", "))) }
}

async fn initialise(link: &Link) -> Result<(), OpenError> {
    let call = Call::new().arg("id", fresh_id()?).arg("format", FORMAT);
    let mut answer = match link.run(Script::Open, call).await {
        // the store can be asked what is wrong with it, and a person can make a new ledger
        Err(LedgerError::Lost(_)) if link.lineage().anchor().is_some() => return Ok(()),
        answer => answer?,
    };
    match answer.tag()? {
        format if format == FORMAT => Ok(()),
        format => Err(OpenError::Format(format)),
    }
}

/// The id of a ledger that is new.
fn fresh_id() -> Result<String, LedgerError> {
    let mut id = [0_u8; 20];
    let none =
        |error| LedgerError::Unavailable(format!("the system gives no random bytes: {error}"));
    getrandom::fill(&mut id).map_err(none)?;
    Ok(hex::encode(id))
}

/// The store cannot be opened. No message holds the URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// An address that cannot lead anywhere.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// Too old for the scripts.
    #[error("Redis 7.0, Valkey 7.2 or newer is needed: this is {0}")]
    Outdated(String),
    /// Redis may throw keys away when memory is short.
    #[error(
        "Redis has maxmemory-policy `{0}`, under which it may drop parts of the ledger: set it to `noeviction`"
    )]
    Evicts(String),
    /// A script would break off in its middle.
    #[error(
        "this user of Redis may not use {0} on the store's keys: permit it, as the README says"
    )]
    Rights(String),
    /// Another version wrote this store.
    #[error("the store has layout `{0}`, which this version does not read")]
    Format(String),
    /// Redis cannot be reached, or refuses the login, or does not answer.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

#[cfg(test)]
mod tests;
