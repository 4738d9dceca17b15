//! The embedded store: one SQLite file, durable per commit, for one process.
//!
//! One thread owns the file. It takes calls from a queue, runs all that wait in one transaction, each in a
//! savepoint of its own, writes them to the disk with one fsync and then answers all of them (group
//! commit). What a caller was told is on the disk.

mod adoption;
mod attempt;
mod audit;
mod buckets;
mod chronicle;
mod commit;
mod counters;
mod fault;
mod history;
mod incidents;
mod journal;
mod ledger;
mod log;
mod pact;
mod questions;
mod repeat;
mod reserve;
mod row;
mod schema;
mod settle;
mod shelf;
mod vote;
mod worker;

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use countersign_core::identity::AppId;
use countersign_engine::port::{Chronicle, Journal, Ledger, PolicyShelf, ledger::LedgerError};

pub use self::{
    chronicle::EmbeddedChronicle, journal::EmbeddedJournal, ledger::EmbeddedLedger,
    shelf::EmbeddedShelf,
};
use self::{
    history::History,
    schema::{FILE, Opened, open},
    worker::{Books, Worker},
};
use crate::lineage::{Anchor, Witness};

/// One app's ledger and journals in one file, open in this process and in no other.
pub struct EmbeddedStore {
    worker: Arc<Worker>,
    path: PathBuf,
}

impl EmbeddedStore {
    /// Opens `countersign.db` in this directory, or makes it where there is none (the directory must
    /// exist). Whoever waited for an answer of an earlier process is gone: what they wait for becomes
    /// `Owed`. The store's time is the witness's wall clock, but never earlier than any time the store has shown.
    ///
    /// Where the witness has seen a ledger and the file does not hold it, nothing in the file is written or believed
    /// until a person has made a new ledger; where it lacks a part of what was seen, it is sealed.
    ///
    /// Does not wait for another process to close the file: that is [`OpenError::InUse`].
    pub fn open(dir: &Path, app: &AppId, witness: impl Into<Witness>) -> Result<Self, OpenError> {
        let (path, witness) = (dir.join(FILE), witness.into());
        let Opened { connection, found, damage } = open(&path, app, witness.known.as_ref())?;
        let books = Books::new(connection, History::new(app.clone(), witness, found));
        let unusable = |reason| OpenError::Unusable { path: path.clone(), reason };
        let settled = books.begin_with(damage.as_deref()).map_err(LedgerError::from);
        settled.map_err(|error| unusable(error.to_string()))?;
        let worker = Worker::start(books).map_err(unusable)?;
        Ok(Self { worker: Arc::new(worker), path })
    }

    /// What was seen of the ledger so far: what is brought to the file next time.
    #[must_use]
    pub fn anchor(&self) -> Option<Anchor> {
        self.worker.lineage().anchor()
    }

    /// The ledger. It stops working when the store is closed.
    #[must_use]
    pub fn ledger(&self) -> Arc<dyn Ledger> {
        Arc::new(EmbeddedLedger::new(Arc::clone(&self.worker)))
    }

    /// The log of the ledger, and what is counted beside it.
    #[must_use]
    pub fn chronicle(&self) -> Arc<dyn Chronicle> {
        Arc::new(EmbeddedChronicle::new(Arc::clone(&self.worker)))
    }

    /// The journal of one gateway: its own hash chain, and the reading of all.
    #[must_use]
    pub fn journal(&self, gateway: &str) -> Arc<dyn Journal> {
        Arc::new(EmbeddedJournal::new(Arc::clone(&self.worker), gateway))
    }

    /// The versions of agents' policies.
    #[must_use]
    pub fn shelf(&self) -> Arc<dyn PolicyShelf> {
        Arc::new(EmbeddedShelf::new(Arc::clone(&self.worker)))
    }

    /// Finishes what waits in the queue, closes the file and gives up the lock. Ledgers and journals of
    /// this store answer "not available" from then on. Blocks for as long as the disk takes. The store
    /// closes by itself when it and all its ledgers and journals are dropped.
    pub fn close(&self) {
        self.worker.stop();
    }
}

impl fmt::Debug for EmbeddedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedStore").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Why the file cannot be opened. Nothing was changed in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error("`{}` is in use: another gateway runs on it; stop that one first, or use Redis for several", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// Another version of the program wrote it.
    #[error("`{}` has schema {found}, this program knows {known}: start the version that wrote it", path.display())]
    Schema {
        /// The file.
        path: PathBuf,
        /// The schema of the file.
        found: i64,
        /// The schema that this program knows.
        known: i64,
    },
    /// It belongs to another app.
    #[error("`{}` holds the books of app `{found}`, not of `{asked}`", path.display())]
    OtherApp {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        found: String,
        /// Who asked.
        asked: String,
    },
    /// It cannot be read or written.
    #[error("`{}` cannot be used: {reason}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        reason: String,
    },
}
