//! Opening the store that the configuration chooses.

use std::{fmt, sync::Arc};

use countersign_core::{identity::AppId, time::Millis};
use countersign_engine::port::{Chronicle, Journal, Ledger, PolicyShelf};
use countersign_store::{
    embedded::{EmbeddedStore, OpenError},
    lineage::Witness,
    redis::{RedisOptions, RedisStore, WeakStore},
};

use crate::{
    cli::DurabilityClass,
    clock,
    config::{Config, StoreChoice, is_mainnet},
    failure::Failure,
    files::private_folder,
    keeper::AnchorSource,
};

/// How long a call to Redis may take: an agent is told within seconds that nothing was done. What was done all the same is
/// found by asking again.
const DEADLINE: Millis = Millis(2_000);

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreFault {
    /// A gateway has it open: nothing is wrong with the store.
    #[error("{0}")]
    InUse(String),
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

impl From<OpenError> for StoreFault {
    fn from(error: OpenError) -> Self {
        match &error {
            OpenError::InUse { .. } => Self::InUse(error.to_string()),
            OpenError::Schema { .. } | OpenError::OtherApp { .. } | OpenError::Unusable { .. } => {
                Self::Other(error.to_string())
            }
        }
    }
}

impl From<StoreFault> for Failure {
    fn from(fault: StoreFault) -> Self {
        Self::failed(fault.to_string())
    }
}

/// An open store.
pub(crate) struct OpenStore {
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) chronicle: Arc<dyn Chronicle>,
    pub(crate) shelf: Arc<dyn PolicyShelf>,
    kind: Kind,
}

/// Which store it is.
#[derive(Debug, Clone)]
enum Kind {
    Embedded(Arc<EmbeddedStore>),
    Redis(Arc<RedisStore>),
}

/// What is done on a store that may forget what it acknowledged: it is no store for a mainnet, unless somebody says so.
pub(crate) fn weak_store(config: &Config, accepted: Option<DurabilityClass>) -> WeakStore {
    let mainnet = config.chains.iter().any(|chain| is_mainnet(chain.id));
    if mainnet && accepted.is_none() { WeakStore::Refused } else { WeakStore::Accepted }
}

/// Tells an open store what the configuration in force demands of it.
#[derive(Debug)]
pub(crate) struct Demand {
    kind: Kind,
    accepted: Option<DurabilityClass>,
}

impl Demand {
    pub(crate) fn follow(&self, config: &Config) {
        match &self.kind {
            // it forgets nothing that it acknowledged
            Kind::Embedded(_) => {}
            Kind::Redis(store) => store.demand(weak_store(config, self.accepted)),
        }
    }
}

impl fmt::Debug for OpenStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OpenStore")
    }
}

/// What this process brings to a store: its clocks, and nothing seen yet.
pub(crate) fn witness() -> Witness {
    Witness::new(Arc::new(clock::now)).holding(Arc::new(clock::steady))
}

impl OpenStore {
    /// Opens the store for a gateway that has seen this of it; makes one only where it has seen none.
    pub(crate) async fn open(
        choice: &StoreChoice,
        app: &AppId,
        (gateway, witness): (&str, Witness),
        weak: WeakStore,
    ) -> Result<Self, StoreFault> {
        match choice {
            StoreChoice::Embedded(folder) => {
                private_folder(folder).map_err(|error| StoreFault::Other(error.to_string()))?;
                let store = EmbeddedStore::open(folder, app, witness)?;
                let (ledger, journal) = (store.ledger(), store.journal(gateway));
                let (chronicle, shelf) = (store.chronicle(), store.shelf());
                let kind = Kind::Embedded(Arc::new(store));
                Ok(Self { ledger, journal, chronicle, shelf, kind })
            }
            StoreChoice::Redis(redis) => {
                let failed = |why: String| StoreFault::Other(format!("{}: {why}", redis.shown()));
                let options = RedisOptions {
                    address: redis.address().map_err(failed)?,
                    app: app.clone(),
                    gateway: gateway.to_owned(),
                    acknowledge_replicas: redis.acknowledge_replicas,
                    weak,
                    deadline: DEADLINE,
                    witness,
                };
                let store = RedisStore::connect(options).await;
                let store = store.map_err(|error| failed(error.to_string()))?;
                let (ledger, journal) = (store.ledger(), store.journal());
                let (chronicle, shelf) = (store.chronicle(), store.shelf());
                let kind = Kind::Redis(Arc::new(store));
                Ok(Self { ledger, journal, chronicle, shelf, kind })
            }
        }
    }

    /// For when another configuration comes into force.
    pub(crate) fn demand(&self, accepted: Option<DurabilityClass>) -> Demand {
        Demand { kind: self.kind.clone(), accepted }
    }

    /// Which server was found, where there are several that it could be.
    pub(crate) fn place(&self) -> Option<String> {
        match &self.kind {
            Kind::Embedded(_) => None,
            Kind::Redis(store) => store.place(),
        }
    }

    /// What was seen of the ledger so far.
    pub(crate) fn anchor(&self) -> AnchorSource {
        let kind = self.kind.clone();
        Arc::new(move || match &kind {
            Kind::Embedded(store) => store.anchor(),
            Kind::Redis(store) => store.anchor(),
        })
    }

    /// Writes what is in hand and lets go of the file.
    pub(crate) async fn close(self) {
        if let Kind::Embedded(store) = self.kind {
            let closed = tokio::task::spawn_blocking(move || store.close()).await;
            if closed.is_err() {
                tracing::error!("the store did not close in order");
            }
        }
    }
}
