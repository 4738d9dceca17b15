//! Gates, what asks at them, and the votes that open them.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{
    amount::MicroUsd,
    identity::{OperatorId, PolicyId},
    time::{Millis, Timestamp},
};

pub mod passkey;
pub mod signature;
pub mod typed;

pub use signature::{Signing, VoteSignature};

/// A gate as one policy defines it. Two gates are the same only if all of this is equal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Gate {
    /// The policy's name (not its version: an approval outlives an unrelated edit).
    pub policy: String,
    /// The gate's id inside the policy.
    pub id: String,
    /// Every clause must be met.
    pub need: Vec<Quorum>,
    /// Whether each clause waits for those before it, and takes other persons than they did.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub in_order: bool,
    /// What a vote must be signed with, one of these; empty: the operator's token is enough.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sign: Vec<Signing>,
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
    /// What it was signed with besides the token; whoever makes a vote has verified it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<VoteSignature>,
}

/// A rule or a limit that asks people.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Ask {
    /// The policy's name, which is the gate's too.
    pub policy: String,
    /// The gate that it asks.
    pub gate: String,
    /// The rule's or limit's id.
    pub rule: String,
}

impl Ask {
    /// Whether it asks this gate.
    #[must_use]
    pub fn is_at(&self, gate: &Gate) -> bool {
        (&self.policy, &self.gate) == (&gate.policy, &gate.id)
    }
}

/// A gate with the votes that opened it: a fact, not a permission.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateApproval {
    /// The gate as it was defined when people voted.
    pub gate: Gate,
    /// The rules and limits that asked it then: it is open for no others.
    #[serde(default)]
    pub asked_by: Vec<String>,
    /// The votes.
    pub votes: Vec<Vote>,
    /// The plan's greatest fee in wei that people saw.
    pub fee_wei_max: alloy_primitives::U256,
    /// What its actions were worth together when people saw them; `None` was unknown then.
    pub usd: Option<MicroUsd>,
    /// The policy version under which it was parked.
    pub policy: PolicyId,
}

/// What one more vote would be to a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// The gate names no such operator.
    Stranger,
    /// It names them and takes no vote that is not signed as it asks.
    Unsigned,
    /// The clause that names them waits for those before it.
    Later,
    /// It counts, or the clause that names them has enough.
    Now,
}

impl Gate {
    /// Whether these votes open the gate: every clause has its number of distinct persons, and no
    /// person in `excluded` (the owner of the asking agent) counts.
    #[must_use]
    pub fn is_open(&self, votes: &[Vote], excluded: Option<&str>) -> bool {
        let counted = self.counted(votes, excluded);
        self.need.iter().zip(&counted).all(|(clause, persons)| clause.is_met_by(persons))
    }

    /// The persons who count for each clause. One person counts once for a clause; for several clauses only where they
    /// have no order.
    #[must_use]
    pub fn counted<'v>(&self, votes: &'v [Vote], excluded: Option<&str>) -> Vec<BTreeSet<&'v str>> {
        let mut counted = vec![BTreeSet::new(); self.need.len()];
        let counts = |vote: &&Vote| {
            Some(vote.person.as_str()) != excluded && self.is_signed(vote.signature.as_ref())
        };
        for vote in votes.iter().filter(counts) {
            let person = vote.person.as_str();
            if self.in_order && counted.iter().any(|persons| persons.contains(person)) {
                continue;
            }
            for (clause, persons) in self.need.iter().zip(&mut counted) {
                let waits = self.in_order && !clause.is_met_by(persons);
                if clause.admits(vote) && (waits || !self.in_order) {
                    persons.insert(person);
                }
                if waits {
                    break;
                }
            }
        }
        counted
    }

    /// What one more vote would be after these.
    #[must_use]
    pub fn turn(&self, vote: &Vote, votes: &[Vote], excluded: Option<&str>) -> Turn {
        if !self.need.iter().any(|clause| clause.admits(vote)) {
            return Turn::Stranger;
        }
        if !self.is_signed(vote.signature.as_ref()) {
            return Turn::Unsigned;
        }
        let counted = self.counted(votes, excluded);
        let met = |(clause, persons): &(&Quorum, &BTreeSet<&str>)| clause.is_met_by(persons);
        let mut open = self.need.iter().zip(&counted).skip_while(met).map(|(clause, _)| clause);
        let now = open.next().is_some_and(|clause| clause.admits(vote));
        let used = counted.iter().any(|persons| persons.contains(vote.person.as_str()));
        if self.in_order && !now && !used && open.any(|clause| clause.admits(vote)) {
            return Turn::Later;
        }
        Turn::Now
    }

    fn is_signed(&self, signature: Option<&VoteSignature>) -> bool {
        self.sign.is_empty() || signature.is_some_and(|s| self.sign.contains(&s.signing()))
    }
}

impl Quorum {
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

    fn is_met_by(&self, persons: &BTreeSet<&str>) -> bool {
        u32::try_from(persons.len()).is_ok_and(|count| count >= self.any)
    }
}

#[cfg(test)]
mod tests;
