//! The life of a pact: which state follows from what people did, what was spent and what time it is.

use std::{collections::BTreeMap, fmt};

use countersign_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{model::Per, policy::Policy};

/// Where a pact stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PactState {
    /// The agent proposed it, and its owner has not answered.
    PendingApproval,
    /// It is in force.
    Active,
    /// One of its conditions is met.
    Completed,
    /// Its time ran out before any was.
    Expired,
    /// Its owner ended it.
    Revoked,
    /// Its owner said no.
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

/// What became of a proposal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "answer", content = "at")]
pub enum Answer {
    /// Nobody has answered.
    #[default]
    Awaited,
    /// The owner said yes at this instant: the pact began.
    Yes(Timestamp),
    /// The owner said no.
    No(Timestamp),
}

/// Everything that the state of a pact depends on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PactLife {
    /// What its owner said to it.
    pub answer: Answer,
    /// When its owner ended it.
    pub revoked: Option<Timestamp>,
    /// What is settled on the counters of its limits over its lifetime, by the limits' ids.
    pub settled: BTreeMap<String, u64>,
}

/// The state of a pact at an instant. What ended it first stands: a pact that is completed is not revoked later.
#[must_use]
pub fn pact_state(pact: &Policy, life: &PactLife, now: Timestamp) -> PactState {
    let model = pact.model();
    let passed = |end: Option<Timestamp>| end.filter(|end| *end <= now);
    let begun = match life.answer {
        Answer::No(_) => return PactState::Rejected,
        Answer::Awaited if passed(model.expires).is_some() => return PactState::Expired,
        Answer::Awaited if passed(life.revoked).is_some() => return PactState::Revoked,
        Answer::Awaited => return PactState::PendingApproval,
        Answer::Yes(at) => model.starts.unwrap_or(at),
    };
    // counters stand still once a pact has ended, so that a full one was full before
    let full = model.limits.iter().any(|limit| {
        let settled = life.settled.get(&limit.id).copied().unwrap_or(0);
        limit.per == Per::Grant && limit.code == COMPLETED && settled >= limit.max
    });
    if full {
        return PactState::Completed;
    }
    let ends = [
        (passed(model.lasts.map(|lasts| begun.after(lasts))), PactState::Completed),
        (passed(model.expires), PactState::Expired),
        (passed(life.revoked), PactState::Revoked),
    ];
    let first = ends.into_iter().filter_map(|(end, state)| Some((end?, state)));
    first.min_by_key(|(end, _)| *end).map_or(PactState::Active, |(_, state)| state)
}

/// The code of a limit that completes its grant.
const COMPLETED: &str = "grant_completed";
