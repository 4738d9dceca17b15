//! What people said to a grant: they let it begin, they refused it, they ended it. A fact, not a permission.

use serde::{Deserialize, Serialize};

use crate::{
    identity::{AgentId, OperatorId, PolicyId},
    time::Timestamp,
};

/// One version of a grant, for one agent.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Pact {
    /// Whose.
    pub agent: AgentId,
    /// The grant's version: other words are another pact.
    pub grant: PolicyId,
}

/// Who said something to a pact, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Word {
    /// The operator.
    pub by: OperatorId,
    /// When, by the store's clock.
    pub at: Timestamp,
    /// What they wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// What people made of a pact. Nothing leads out of `rejected` and `revoked`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum PactStanding {
    /// They said yes: it began then.
    Approved {
        /// Who, and when.
        approved: Word,
    },
    /// They said no.
    Rejected {
        /// Who, and when.
        rejected: Word,
    },
    /// They ended it.
    Revoked {
        /// Who had said yes before, where somebody had.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        approved: Option<Word>,
        /// Who, and when.
        revoked: Word,
    },
}

/// What a person says to a pact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PactVerb {
    /// It may begin. Only said to what nobody has spoken to yet.
    Approve,
    /// It never begins. Only said to what nobody has spoken to yet.
    Reject,
    /// It is over.
    Revoke,
}

impl PactVerb {
    /// The word of the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Reject => "reject",
            Self::Revoke => "revoke",
        }
    }

    /// What a pact becomes by it; `None` where it cannot be said any more.
    #[must_use]
    pub fn applied(self, before: Option<&PactStanding>, word: Word) -> Option<PactStanding> {
        match (self, before) {
            (Self::Approve, None) => Some(PactStanding::Approved { approved: word }),
            (Self::Reject, None) => Some(PactStanding::Rejected { rejected: word }),
            (Self::Revoke, None) => Some(PactStanding::Revoked { approved: None, revoked: word }),
            (Self::Revoke, Some(PactStanding::Approved { approved })) => {
                let approved = Some(approved.clone());
                Some(PactStanding::Revoked { approved, revoked: word })
            }
            (Self::Approve | Self::Reject, Some(_))
            | (Self::Revoke, Some(PactStanding::Rejected { .. } | PactStanding::Revoked { .. })) => {
                None
            }
        }
    }
}

impl PactStanding {
    /// What was said last.
    #[must_use]
    pub const fn last(&self) -> (PactVerb, &Word) {
        match self {
            Self::Approved { approved } => (PactVerb::Approve, approved),
            Self::Rejected { rejected } => (PactVerb::Reject, rejected),
            Self::Revoked { revoked, .. } => (PactVerb::Revoke, revoked),
        }
    }

    /// When people said yes, if they ever did.
    #[must_use]
    pub fn begun(&self) -> Option<Timestamp> {
        match self {
            Self::Approved { approved } => Some(approved.at),
            Self::Rejected { .. } => None,
            Self::Revoked { approved, .. } => approved.as_ref().map(|word| word.at),
        }
    }

    /// Whether nothing is signed under it any more.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        match self {
            Self::Approved { .. } => false,
            Self::Rejected { .. } | Self::Revoked { .. } => true,
        }
    }
}
