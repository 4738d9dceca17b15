//! What people say of an operation that waits for them.

use countersign_core::{
    approval::Vote,
    identity::{ApprovalDigest, OperationId},
    operation::{OperationRecord, OperationState},
};

/// A vote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approve {
    /// On which operation.
    pub operation: OperationId,
    /// What the operator saw.
    pub digest: ApprovalDigest,
    /// Who, and what they wrote.
    pub vote: Vote,
    /// How many votes there were when the caller looked.
    pub votes_seen: usize,
    /// Whether this vote opens every gate, as the caller computed from those votes.
    pub completes: bool,
    /// How often the passkey that signed it has signed, as it says.
    pub passkey: Option<PasskeyCount>,
}

/// How often an authenticator has signed. One that counts always says more than before; one that says less, or as much,
/// has a copy somewhere. Zero is said by those that do not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasskeyCount {
    /// The credential's id, in base64url.
    pub credential: String,
    /// What it said.
    pub count: u32,
}

/// What [`Ledger::approve`] did.
#[derive(Debug, Clone, PartialEq)]
pub enum ApproveAnswer {
    /// The vote is recorded. The same operator's repeated vote with the same digest answers this too.
    Voted(Box<OperationRecord>),
    /// Another vote came in between; look again.
    Raced,
    /// The passkey has said as much or more before: it is copied, or what it said comes late.
    PasskeyBehind,
    /// The digest is not the parked one.
    OtherDigest,
    /// It is not parked any more.
    Elsewhere(Box<OperationRecord>),
    /// Its time is over.
    Expired,
    /// There is no such operation.
    Missing,
}

/// A release before commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// Which.
    pub operation: OperationId,
    /// Only from these states.
    pub from: Vec<OperationState>,
    /// The code for the agent.
    pub code: String,
    /// One sentence for the agent.
    pub reason: String,
    /// Who said so, if a person did.
    pub vote: Option<Vote>,
    /// It is given back for reasons that say nothing about the request.
    pub void: bool,
}

/// What [`Ledger::reject`] did.
#[derive(Debug, Clone, PartialEq)]
pub enum RejectAnswer {
    /// `REJECTED`; its charges are released.
    Rejected(Box<OperationRecord>),
    /// It was in none of the states; nothing was written.
    Elsewhere(Box<OperationRecord>),
    /// There is no such operation.
    Missing,
}
