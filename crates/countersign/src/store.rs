//! Opening the store that the configuration chooses.

use std::{fmt, sync::Arc};

use countersign_core::{identity::AppId, time::Millis};
use countersign_engine::port::{Journal, Ledger};
use countersign_store::{
    embedded::{EmbeddedStore, OpenError},
    lineage::Witness,
    redis::{RedisAddress, RedisOptions, RedisStore, WeakStore},
};
use secrecy::SecretString;

use crate::{clock, config::StoreChoice, failure::Failure, files::private_folder};

/// How long a call to Redis may take.
const DEADLINE: Millis = Millis(5_000);

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
    embedded: Option<EmbeddedStore>,
}

impl fmt::Debug for OpenStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OpenStore")
    }
}

impl OpenStore {
    /// Opens or makes the store.
    pub(crate) async fn open(
        choice: &StoreChoice,
        app: &AppId,
        gateway: &str,
    ) -> Result<Self, StoreFault> {
        match choice {
            StoreChoice::Embedded(folder) => {
                private_folder(folder).map_err(|error| StoreFault::Other(error.to_string()))?;
                let store = EmbeddedStore::open(folder, app, Witness::new(Arc::new(clock::now)))?;
                let (ledger, journal) = (store.ledger(), store.journal(gateway));
                Ok(Self { ledger, journal, embedded: Some(store) })
            }
            StoreChoice::Redis { url, acknowledge_replicas } => {
                let options = RedisOptions {
                    address: RedisAddress::one(SecretString::from(url.expose().to_owned())),
                    app: app.clone(),
                    gateway: gateway.to_owned(),
                    acknowledge_replicas: *acknowledge_replicas,
                    weak: WeakStore::Accepted,
                    deadline: DEADLINE,
                    witness: Witness::new(Arc::new(clock::now)),
                };
                let store = RedisStore::connect(options).await;
                let store = store.map_err(|error| StoreFault::Other(format!("{url}: {error}")))?;
                Ok(Self { ledger: store.ledger(), journal: store.journal(), embedded: None })
            }
        }
    }

    /// Writes what is in hand and lets go of the file.
    pub(crate) async fn close(self) {
        if let Some(store) = self.embedded {
            let closed = tokio::task::spawn_blocking(move || store.close()).await;
            if closed.is_err() {
                tracing::error!("the store did not close in order");
            }
        }
    }
}
