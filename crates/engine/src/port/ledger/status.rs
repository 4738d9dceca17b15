//! What the store is, promises and holds against this gateway's clock.

use countersign_core::time::{Millis, Timestamp};

/// What the store is and promises.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerStatus {
    /// Drawn at initialisation.
    pub ledger_id: String,
    /// `A`, `B` or `D` (LEDGER §3).
    pub durability: char,
    /// What the class was read from, for people.
    pub durability_reason: String,
    /// Why the ledger is sealed, if it is. A lost one counts as sealed.
    pub sealed: Option<String>,
    /// How often a person has accepted the log as it stood.
    pub epoch: u64,
    /// How many entries its log has.
    pub sequence: u64,
    /// The digest at the end of its log; empty before the first entry.
    pub head: String,
    /// What a gateway saw of the log that is not in it any more, until a person accepts that.
    pub missing: Option<String>,
    /// Why nothing in the store is believed: it is empty, or holds another ledger.
    pub lost: Option<String>,
    /// The two clocks that must agree; `None` where there is only one.
    pub clocks: Option<Clocks>,
}

impl LedgerStatus {
    /// Whether the books hold what gateways saw of them, and nobody has sealed them.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.missing.is_none() && self.sealed.is_none()
    }
}

/// Two clocks, read at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clocks {
    /// The store's.
    pub store: Timestamp,
    /// What this gateway holds against it.
    pub here: Timestamp,
}

/// How far two clocks may be apart before nothing is written any more.
pub const CLOCKS_APART_MAX: Millis = Millis(5_000);

impl Clocks {
    /// How far they are apart, whichever is ahead.
    #[must_use]
    pub fn apart(self) -> Millis {
        self.store.since(self.here).max(self.here.since(self.store))
    }

    /// Whether they are near enough.
    #[must_use]
    pub fn agree(self) -> bool {
        self.apart() <= CLOCKS_APART_MAX
    }
}

/// What `Ledger::init` did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InitAnswer {
    /// There is a new ledger, and it is sealed.
    Made,
    /// The store holds something. Nothing was written.
    NotEmpty,
}
