//! Why a call came to nothing, before it becomes a port's error.

use countersign_engine::port::{journal::JournalError, ledger::LedgerError};

/// Why a call came to nothing.
#[derive(Debug, Clone)]
pub(super) enum Fault {
    /// Nothing was written.
    Unavailable(String),
    /// It may have been written.
    Ambiguous(String),
    /// The step is not defined.
    Refused(String),
    /// The file holds what cannot be read.
    Damaged(String),
    /// The file does not hold the ledger that was known.
    Lost(String),
    /// The machine's clock was set.
    Clock(String),
    /// A policy of the decision is not in the chain.
    Unpinned,
    /// Not a cursor of the list.
    Cursor(String),
}

impl Fault {
    pub(super) fn closed() -> Self {
        Self::Unavailable("the store is closed".into())
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode as Code;
        match error.sqlite_error_code() {
            Some(Code::ConstraintViolation | Code::DatabaseCorrupt | Code::NotADatabase) => {
                Self::Damaged(error.to_string())
            }
            _ => Self::Unavailable(error.to_string()),
        }
    }
}

impl From<serde_json::Error> for Fault {
    fn from(error: serde_json::Error) -> Self {
        Self::Damaged(error.to_string())
    }
}

impl From<Fault> for LedgerError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Unavailable(reason) => Self::Unavailable(reason),
            Fault::Ambiguous(reason) => Self::Ambiguous(reason),
            Fault::Refused(reason) => Self::Refused(reason),
            Fault::Damaged(reason) => Self::Damaged(reason),
            Fault::Lost(reason) => Self::Lost(reason),
            Fault::Clock(reason) => Self::Clock(reason),
            Fault::Unpinned => Self::Refused("a policy is not pinned".into()),
            Fault::Cursor(text) => Self::Refused(format!("`{text}` is not a cursor of this list")),
        }
    }
}

impl From<Fault> for JournalError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Cursor(text) => Self::Cursor(text),
            Fault::Unpinned => Self::Unpinned,
            Fault::Unavailable(reason)
            | Fault::Ambiguous(reason)
            | Fault::Refused(reason)
            | Fault::Damaged(reason)
            | Fault::Lost(reason)
            | Fault::Clock(reason) => Self::Unavailable(reason),
        }
    }
}
