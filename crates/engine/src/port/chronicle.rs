//! What the books' log says, in order, for those who tell people; and what is counted of agents beside their money.
//!
//! The log has a line for every change, written in the step that makes the change: what is told from it was not made up,
//! is not forgotten when a process dies, and is told in order.

use std::fmt;

use async_trait::async_trait;
use countersign_core::{
    fact::Freeze,
    freeze::{FreezeOrder, Freezer},
    identity::{AgentId, PolicyId, TraceHash},
    text::Remark,
    time::{Millis, Timestamp},
};

use super::ledger::{LedgerError, PasskeyCount};

/// The most lines that one call returns.
pub const LINES_MAX: u32 = 1000;

/// Events of the log that mean something to people. There are others.
pub mod event {
    /// An operation waits for people; the subject is its id.
    pub const PARK: &str = "park";
    /// A person said yes to an operation, and others have to.
    pub const VOTE: &str = "vote";
    /// The last person that was needed said yes to an operation.
    pub const APPROVE: &str = "approve";
    /// An operation was rejected, by a person or by the gateway.
    pub const REJECT: &str = "reject";
    /// Nobody decided an operation in time.
    pub const EXPIRE: &str = "expire";
    /// An operator or the gateway has frozen something, or said why anew; the subject is its scope: `agent:bot`, `all`.
    pub const FREEZE: &str = "freeze";
    /// The breaker has frozen an agent; the subject as above.
    pub const TRIP: &str = "trip";
    /// A freeze was lifted; the subject as above.
    pub const UNFREEZE: &str = "unfreeze";
    /// Nothing new is signed.
    pub const SEAL: &str = "seal";
    /// The seal was lifted.
    pub const UNSEAL: &str = "unseal";
    /// Another version of a policy is in force; the subject is whose it is, `=`, and the version.
    pub const POLICY: &str = "policy";
    /// Something was done to the versions of an agent's policy; the subject is the agent, `:`, and the shelf's revision.
    pub const SHELF: &str = "shelf";
    /// A passkey that counts has signed what is no vote: a login. The subject is `passkey:` and its credential.
    pub const PASSKEY: &str = "passkey";
}

/// The log of the books, and counts beside them.
#[async_trait]
pub trait Chronicle: fmt::Debug + Send + Sync {
    /// The lines behind this number, in order; fewer than `max` (and [`LINES_MAX`]) only at the end.
    async fn lines(&self, after: u64, max: u32) -> Result<Vec<Line>, LedgerError>;

    /// Takes or keeps the turn to tell a receiver what happened; see [`Turn`]. Returns the number of the last line that
    /// it has been told; `None` while it is another gateway's turn. A receiver that is new begins at the log's end.
    async fn turn(&self, turn: &Turn) -> Result<Option<u64>, LedgerError>;

    /// Notes which version of a policy is in force, under whose it is. Another one than before is a line of the log, and
    /// `true`.
    async fn note_policy(&self, whose: &str, version: PolicyId) -> Result<bool, LedgerError>;

    /// Takes down how often a passkey says it has signed, where it signed something that is no vote; `false` if it said as
    /// much or more before: it is copied, or what it said comes late. A second call with the same count is late, too.
    async fn note_passkey(&self, passkey: &PasskeyCount) -> Result<bool, LedgerError>;

    /// Counts one denial of an agent, and freezes the agent when there have been too many; see [`Strike`].
    async fn strike(&self, strike: &Strike) -> Result<Struck, LedgerError>;
}

/// A line of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its number; the first is 1, and there is no gap.
    pub sequence: u64,
    /// When, by the store's clock.
    pub at: Timestamp,
    /// What; see [`event`].
    pub event: String,
    /// What it was done to.
    pub subject: String,
}

/// The turn of one gateway to tell one receiver: it lasts for `lease` after each call, and with `told` the receiver's
/// place moves on, but never back and only if the turn was not another's meanwhile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// Who is told; a name of the configuration's, or a hash.
    pub receiver: String,
    /// Who tells.
    pub gateway: String,
    /// For how long nobody else does.
    pub lease: Millis,
    /// The line up to which everything is told.
    pub told: Option<u64>,
}

/// One denial that counts against its agent.
///
/// Denials of the last `within` are counted, each trace once; at `denials` of them the agent is frozen in the same
/// step and the count begins anew, as it does when the agent's freeze is lifted. While the agent is frozen nothing is
/// counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Strike {
    /// Whose.
    pub agent: AgentId,
    /// The trace of the denial.
    pub trace: TraceHash,
    /// How many are too many.
    pub denials: u32,
    /// In which time.
    pub within: Millis,
}

impl Strike {
    /// The freeze that follows when there have been too many, with the breaker's word for it.
    #[must_use]
    pub fn order(&self) -> FreezeOrder {
        let Self { agent, trace: _, denials, within } = self;
        let reason = Remark::of(&format!("{denials} of its requests were denied within {within}"));
        FreezeOrder { freeze: Freeze::Agent(agent.clone()), by: Freezer::Breaker, reason }
    }
}

/// What [`Chronicle::strike`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Struck {
    /// So many there are now.
    Counted(u32),
    /// The agent is frozen from now on.
    Tripped,
    /// The agent was frozen before.
    Frozen,
}
