//! Gates and the votes that open them.

use serde::{Deserialize, Serialize};

use crate::{
    amount::MicroUsd,
    identity::{OperatorId, PolicyId},
    time::{Millis, Timestamp},
};

/// A gate as one policy defines it. Two gates are the same only if all of this is equal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Gate {
    /// The policy's name (not its version: an approval outlives an unrelated edit).
    pub policy: String,
    /// The gate's id inside the policy.
    pub id: String,
    /// Every clause must be met.
    pub need: Vec<Quorum>,
    /// How long the request may wait.
    pub ttl: Millis,
    /// How long after the last needed vote it is executed at the earliest.
    pub delay: Millis,
    /// How far the fee may drift between approval and execution, in hundredths of a percent.
    pub drift_fee_bps: Option<u32>,
    /// How far the USD value may drift, in hundredths of a percent.
    pub drift_usd_bps: Option<u32>,
}

/// So many of these people.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Quorum {
    /// How many distinct persons.
    pub any: u32,
    /// Operators by id, groups by name, or [`Quorum::ANYONE`].
    pub of: Vec<String>,
}

/// One operator's word on a parked operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vote {
    /// Who.
    pub operator: OperatorId,
    /// The person behind the operator account; one person counts once.
    pub person: String,
    /// The groups of the operator at the time.
    pub groups: Vec<String>,
    /// What they wrote.
    pub note: Option<String>,
    /// When.
    pub at: Timestamp,
}

/// A gate with the votes that opened it: a fact, not a permission.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateApproval {
    /// The gate as it was defined when people voted.
    pub gate: Gate,
    /// The votes.
    pub votes: Vec<Vote>,
    /// The plan's greatest fee in wei that people saw.
    pub fee_wei_max: alloy_primitives::U256,
    /// What its actions were worth together when people saw them; `None` was unknown then.
    pub usd: Option<MicroUsd>,
    /// The policy version under which it was parked.
    pub policy: PolicyId,
}

impl Gate {
    /// Whether these votes open the gate: every clause has its number of distinct persons, and no
    /// person in `excluded` (the owner of the asking agent) counts.
    #[must_use]
    pub fn is_open(&self, votes: &[Vote], excluded: Option<&str>) -> bool {
        self.need.iter().all(|quorum| quorum.is_met(votes, excluded))
    }
}

impl Quorum {
    fn is_met(&self, votes: &[Vote], excluded: Option<&str>) -> bool {
        let mut persons: Vec<&str> = votes
            .iter()
            .filter(|vote| self.admits(vote) && Some(vote.person.as_str()) != excluded)
            .map(|vote| vote.person.as_str())
            .collect();
        persons.sort_unstable();
        persons.dedup();
        u32::try_from(persons.len()).is_ok_and(|count| count >= self.any)
    }

    /// The name that stands for every operator with the role `approve`.
    pub const ANYONE: &'static str = "*";

    /// Whether this operator may vote under this clause.
    #[must_use]
    pub fn admits(&self, vote: &Vote) -> bool {
        let named = |name: &String| {
            name == Self::ANYONE || name == vote.operator.as_str() || vote.groups.contains(name)
        };
        self.of.iter().any(named)
    }
}
