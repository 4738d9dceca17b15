//! From a bound transaction to what became of it.

use alloy_primitives::{Address, B256, Bytes};
use countersign_core::{
    charge::{Charge, Overrun},
    fact::Freeze,
    identity::{OperationId, PolicyId},
    operation::{Actual, OperationRecord, OperationState, Purpose},
    pact::PactStanding,
    time::Timestamp,
    transaction::UnsignedTransaction,
};

/// A nonce to be bound. A second call for the same operation returns the same nonce.
///
/// The lane's next nonce is one more than its highest; where no entry is open (all operations of
/// this wallet and chain are terminal, or there are none) or the lane is shared it is at least `floor`. It is kept for
/// [`NONCE_HELD_FOR`] after its creation for an operation of the lane that is `PARKED` or `APPROVED` and whose client
/// fixed it.
///
/// Checks, in this order: the fence, the same call again, the state, the deadline, the seal, freezes, the pact, the
/// nonce, the number in flight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Which operation; must be `ALLOWED`.
    pub operation: OperationId,
    /// The record's `fence` when it was judged; another one now answers `Elsewhere`.
    pub fence: u32,
    /// The account's transaction count on the chain.
    pub floor: u64,
    /// The most operations of this wallet and chain that may be committed and not terminal.
    pub in_flight_max: u32,
    /// The version of the agent's grant that allows it.
    pub grant: PolicyId,
    /// `true` if only authority shrinks: then a freeze does not stop it, unless it is [`Freeze::All`].
    pub shrinks_only: bool,
    /// `true` if somebody else may use nonces of this wallet: then `floor` counts on a lane that is not empty, too.
    pub shared_lane: bool,
    /// Counterparties to remember as seen.
    pub counterparties: Vec<Address>,
}

/// What [`Ledger::commit`] did.
#[derive(Debug, Clone, PartialEq)]
pub enum CommitAnswer {
    /// Nonce and payload are bound as attempt 0. Later states answer this too, with the record as it is.
    Bound(Box<OperationRecord>),
    /// The client fixed a nonce above the next one; wait for the ones between. Nothing was written.
    Gap {
        /// The next nonce of the lane.
        next: u64,
    },
    /// The client fixed a nonce that is already taken, or kept for another. Nothing was written.
    NonceTaken {
        /// The next nonce of the lane.
        next: u64,
    },
    /// The next nonce is kept for an operation that waits for people; wait. Nothing was written.
    Held {
        /// Until when, unless it is decided before.
        until: Timestamp,
    },
    /// Too many are in flight. Nothing was written.
    LaneFull,
    /// Its `expires_at` has come. Nothing was written.
    Lapsed,
    /// A freeze is in force. Nothing was written.
    Frozen(Freeze),
    /// People rejected or revoked its grant. Nothing was written.
    Ended(PactStanding),
    /// The ledger is sealed. Nothing was written.
    Sealed(String),
    /// It is in a state that cannot be committed. Nothing was written.
    Elsewhere(Box<OperationRecord>),
}

/// A further transaction at an operation's nonce.
///
/// Defined in `SIGNED`, `BROADCAST`, `UNKNOWN` and `CANCELLING`, a cancel also in `PREPARED`; a payload's only until a
/// cancel is bound, and only where the newest attempt is signed. A cancel moves to `CANCELLING`.
///
/// `Refused` where it can be no attempt of this operation: another nonce, a payload that differs from the first in
/// more than its fee, a cancel that is no transfer of nothing from the wallet to itself, not one fee for each charge,
/// more than a counter holds.
///
/// `fees` takes the place of the charges' fees where it is higher. For a payload every charge has to fit with it
/// (`used + difference ≤ limit`, as in [`Reserve`] with `Disposition::Allow`), all or nothing; but a counter that it
/// takes no more out of is not asked. A cancel is charged without a check: it is the way out.
///
/// Checks, in this order: that the operation has an attempt, what is `Refused`, the same attempt again (its fees do
/// not matter), state and number, the seal, freezes (a cancel only under [`Freeze::All`]), the charges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bump {
    /// Which operation.
    pub operation: OperationId,
    /// The attempt's number: one more than the newest that the caller saw.
    pub attempt: u32,
    /// What it is for.
    pub purpose: Purpose,
    /// What is to be signed.
    pub transaction: UnsignedTransaction,
    /// What the fee comes to now, for each of the record's charges in their order, in its unit.
    pub fees: Vec<u64>,
}

/// What [`Ledger::bump`] did.
#[derive(Debug, Clone, PartialEq)]
pub enum BumpAnswer {
    /// The attempt is bound and may be signed. The same call again answers this too, with the record as it is.
    Bound(Box<OperationRecord>),
    /// These charges do not fit with the higher fee; nothing was written.
    Over(Vec<Overrun>),
    /// It has no first attempt, is in a state that has no further one, or another attempt has this number; nothing was
    /// written.
    Elsewhere(Box<OperationRecord>),
    /// A freeze is in force. Nothing was written.
    Frozen(Freeze),
    /// The ledger is sealed. Nothing was written.
    Sealed(String),
}

/// Signed bytes with their hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedBytes {
    /// What was signed.
    pub transaction: UnsignedTransaction,
    /// The raw bytes.
    pub raw: Bytes,
    /// Their Keccak-256.
    pub hash: B256,
}

/// What a node said, as the ledger records it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SentOutcome {
    /// `BROADCAST`
    Accepted,
    /// `UNKNOWN`, with the node's words or the fault.
    Unknown(String),
}

impl SentOutcome {
    /// What the ledger stores of a node that took the bytes.
    pub const ACCEPTED: &str = "accepted";

    /// The state of signed bytes after this word.
    #[must_use]
    pub const fn state(&self) -> OperationState {
        match self {
            Self::Accepted => OperationState::Broadcast,
            Self::Unknown(_) => OperationState::Unknown,
        }
    }

    /// What the ledger stores of it with the attempt.
    #[must_use]
    pub const fn words(&self) -> &str {
        match self {
            Self::Accepted => Self::ACCEPTED,
            Self::Unknown(words) => words.as_str(),
        }
    }

    /// The state that follows from this word; `None` where it comes too late, or too early.
    #[must_use]
    pub const fn after(&self, before: OperationState) -> Option<OperationState> {
        use OperationState as S;
        match before {
            S::Signed | S::Broadcast | S::Unknown => Some(self.state()),
            S::Cancelling => Some(before),
            S::Denied
            | S::Parked
            | S::Approved
            | S::Allowed
            | S::Prepared
            | S::Mined
            | S::Executed
            | S::Reverted
            | S::Rejected
            | S::Expired
            | S::Cancelled
            | S::Conflict => None,
        }
    }
}

/// What the chain kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settle {
    /// Which operation.
    pub operation: OperationId,
    /// The final receipt.
    pub actual: Actual,
    /// How many attempts the operation has, as far as is known.
    pub attempts: usize,
    /// Its charges, as far as is known.
    pub charges: Vec<Charge>,
    /// What each of them came to.
    pub kept: Vec<u64>,
}

/// What became of a message that was signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageEnd {
    /// It was used, or nobody can say, or it moves nothing: what it could move is spent.
    Spent,
    /// It was not used, and no contract takes it any more.
    Void,
}

/// Proof that a committed operation can never take effect. A cancel of ours that is final is settled instead: its fee
/// is spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReleaseProof {
    /// A transaction that we do not know is final at the nonce: `CONFLICT`.
    NonceUsedElsewhere {
        /// The account's final transaction count.
        final_nonce: u64,
    },
}
