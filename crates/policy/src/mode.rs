//! Approval modes: how far an action reaches, in five steps. Each capability and each decision has one. It follows
//! from the actions; a rule may raise it, and nothing lowers it.

use std::{fmt, str::FromStr};

use countersign_core::action::{Action, Effect, Via};
use serde::{Deserialize, Serialize};

/// How far something reaches, from the least.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalMode {
    /// Nothing changes hands or can: a text that people read, as in a login.
    #[default]
    ReadOnly,
    /// The wallet's own affairs: authority is taken back.
    LocalWrite,
    /// Something happens on the chain: a transfer, a call, a deployment.
    Network,
    /// Somebody may act later: an allowance, a permit, a signed order, typed data that nobody reads.
    Delegated,
    /// What cannot be taken back or bounded: an allowance without end, control of a contract or of the account,
    /// what nobody can read.
    Destructive,
}

impl ApprovalMode {
    /// Each mode with its word, from the least.
    pub const ALL: [(&'static str, Self); 5] = [
        ("read_only", Self::ReadOnly),
        ("local_write", Self::LocalWrite),
        ("network", Self::Network),
        ("delegated", Self::Delegated),
        ("destructive", Self::Destructive),
    ];

    /// The mode of a request: that of its farthest action.
    #[must_use]
    pub fn of_actions(actions: &[Action]) -> Self {
        actions.iter().map(Self::of).max().unwrap_or_default()
    }

    /// The mode of one action.
    #[must_use]
    pub fn of(action: &Action) -> Self {
        if action.privileged {
            return Self::Destructive;
        }
        match &action.effect {
            Effect::Text { .. } => Self::ReadOnly,
            Effect::Revoke { .. } if action.value_wei.is_zero() => Self::LocalWrite,
            Effect::Approve { unlimited: true, .. }
            | Effect::Delegate { .. }
            | Effect::Undecodable { .. }
            | Effect::Opaque { .. } => Self::Destructive,
            Effect::Approve { .. } | Effect::TypedData { .. } => Self::Delegated,
            Effect::Revoke { .. }
            | Effect::Transfer { .. }
            | Effect::Call
            | Effect::Deploy { .. } => match action.via {
                Via::Call => Self::Network,
                Via::Signature => Self::Delegated,
            },
        }
    }
}

/// The word that policies use.
impl fmt::Display for ApprovalMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = Self::ALL.iter().find(|(_, mode)| mode == self).map_or("", |(word, _)| word);
        f.write_str(word)
    }
}

impl FromStr for ApprovalMode {
    type Err = ModeError;

    fn from_str(text: &str) -> Result<Self, ModeError> {
        let found = Self::ALL.iter().find(|(word, _)| *word == text).map(|(_, mode)| *mode);
        found.ok_or_else(|| ModeError(text.to_owned()))
    }
}

/// A word that is no approval mode.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an approval mode: read_only, local_write, network, delegated or destructive")]
pub struct ModeError(String);
