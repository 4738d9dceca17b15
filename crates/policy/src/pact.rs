//! The life of a pact: which state follows from what people did, what was spent and what time it is.

use std::{collections::BTreeMap, fmt};

use countersign_core::{pact::PactStanding, time::Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    model::{Per, Standing},
    policy::Policy,
};

/// Where a pact stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PactState {
    /// It asks for a yes, and nobody has answered.
    PendingApproval,
    /// It is in force.
    Active,
    /// One of its conditions is met.
    Completed,
    /// Its time ran out before any was.
    Expired,
    /// People ended it.
    Revoked,
    /// People said no.
    Rejected,
}

/// The word of the wire.
impl fmt::Display for PactState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PendingApproval => "pending_approval",
            Self::Active => "active",
            Self::Completed => "completed",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::Rejected => "rejected",
        })
    }
}

/// What is refused under a pact that waits for a yes.
pub(crate) const GRANT_PENDING: &str = "grant_pending";

/// What is refused under a pact to which people said no, and words for that.
pub(crate) const GRANT_REJECTED: (&str, &str) = ("grant_rejected", "was rejected");

/// What is refused under a pact that people ended, and words for that.
pub(crate) const GRANT_REVOKED: (&str, &str) = ("grant_revoked", "was revoked");

/// Code and words for what is refused because people ended its pact, or never let it begin.
#[must_use]
pub const fn spoken_against(standing: &PactStanding) -> (&'static str, &'static str) {
    match standing {
        PactStanding::Rejected { .. } => GRANT_REJECTED,
        PactStanding::Approved { .. } | PactStanding::Revoked { .. } => GRANT_REVOKED,
    }
}

/// Everything that the state of a pact depends on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PactLife {
    /// What people said to it.
    pub standing: Option<PactStanding>,
    /// What is settled on the counters of its limits over its lifetime, by the limits' ids.
    pub settled: BTreeMap<String, u64>,
}

/// The state of a pact at an instant. What ended it first stands: a pact that is completed is not revoked later.
#[must_use]
pub fn pact_state(pact: &Policy, life: &PactLife, now: Timestamp) -> PactState {
    let model = pact.model();
    let state = match model.standing(now, life.standing.as_ref()) {
        Standing::InForce | Standing::NotBegun => PactState::Active,
        Standing::Pending => return PactState::PendingApproval,
        Standing::Rejected => return PactState::Rejected,
        Standing::Revoked => PactState::Revoked,
        Standing::Expired => PactState::Expired,
        Standing::Completed => PactState::Completed,
    };
    // counters stand still once a pact has ended, so that a full one was full before
    let full = model.limits.iter().any(|limit| {
        let settled = life.settled.get(&limit.id).copied().unwrap_or(0);
        limit.per == Per::Grant && limit.code == COMPLETED && settled >= limit.max
    });
    if full { PactState::Completed } else { state }
}

/// The code of a limit that completes its grant.
const COMPLETED: &str = "grant_completed";
