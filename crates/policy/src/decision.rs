//! What `decide` returns, and the proof that it decided.

pub use countersign_core::charge::Overrun;

pub use crate::overrun::counter_verdicts;

use countersign_core::{
    amount::MicroUsd,
    approval::{Ask, Gate},
    charge::Charge,
    identity::PolicyId,
    intent::Intent,
    time::Millis,
};
use serde::{Deserialize, Serialize};

use crate::mode::ApprovalMode;

/// A verdict for every rule and limit, and one outcome.
#[derive(Debug)]
#[must_use]
pub struct Decision {
    /// One for every rule and limit that was asked, guards first.
    pub verdicts: Vec<Verdict>,
    /// USD of each action, in the order of the facts' actions; `None` is unknown.
    pub usd: Vec<Option<MicroUsd>>,
    /// The fee at most, in USD; `None` is unknown.
    pub fee_usd: Option<MicroUsd>,
    /// 0 to 100: how unusual the request looks. Shown to people.
    pub risk_score: u8,
    /// What the score consists of.
    pub risk_parts: Vec<RiskPart>,
    /// How far it reaches: at least as far as its actions do.
    pub approval_mode: ApprovalMode,
    /// The grant's version.
    pub policy: PolicyId,
    /// The guards' versions.
    pub guards: Vec<PolicyId>,
    /// What follows.
    pub outcome: Outcome,
}

/// The three outcomes. What cannot be judged for want of a fact that a source owes is a denial with
/// [`Ground::Unavailable`].
#[derive(Debug)]
pub enum Outcome {
    /// It may be signed as planned.
    Allow(Permit),
    /// People are asked first.
    Park(Hold),
    /// No.
    Deny(Denial),
}

/// One sign that a request is unusual.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RiskPart {
    /// Its name: `new_counterparty`, `unlimited_allowance` ...
    pub part: String,
    /// What it adds to the score.
    pub points: u8,
}

/// What one rule or limit said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The policy's name.
    pub policy: String,
    /// The rule's or limit's id.
    pub rule: String,
    /// What it said.
    pub says: Says,
    /// The code it would decide with; empty where it does not decide.
    pub code: String,
    /// One line for people: `100 of 1000 USD used, 50 asked`.
    pub detail: String,
}

/// The answers of a rule or limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Says {
    /// It allows what it matches.
    Allow,
    /// It asks people.
    Approve,
    /// It refuses.
    Deny,
    /// It does not apply to this request.
    Pass,
    /// A limit that this request fits, or that the store will check when it reserves.
    Within,
}

/// What may be signed: the intent's plan, exact in to, data, value and access list, with its gas
/// and fee as the ceiling. Only `decide` makes one; it cannot be copied or stored.
#[derive(Debug)]
#[must_use]
pub struct Permit {
    pub(crate) intent: Intent,
    pub(crate) charges: Vec<Charge>,
    pub(crate) shares: Vec<usize>,
    pub(crate) policy: PolicyId,
}

impl Permit {
    /// One permit for each call of a bundle, in order, with the charges that are its own: together those of the whole.
    /// What is no bundle stays one.
    pub fn split(self) -> Vec<Self> {
        let Self { intent, charges, shares, policy } = self;
        let mut charges = charges.into_iter();
        let intents = intent.calls();
        if shares.len() != intents.len() {
            return vec![Self { intent, charges: charges.collect(), shares: Vec::new(), policy }];
        }
        let of = |(intent, share): (Intent, usize)| {
            let charges = charges.by_ref().take(share).collect();
            Self { intent, charges, shares: Vec::new(), policy }
        };
        intents.into_iter().zip(shares).map(of).collect()
    }

    /// What it covers.
    #[must_use]
    pub const fn intent(&self) -> &Intent {
        &self.intent
    }

    /// What must be reserved before anything is signed, with the limits to re-check.
    #[must_use]
    pub fn charges(&self) -> &[Charge] {
        &self.charges
    }

    /// The grant's version.
    #[must_use]
    pub const fn policy(&self) -> PolicyId {
        self.policy
    }
}

/// A permit that waits for gates. It reserves too.
#[derive(Debug)]
#[must_use]
pub struct Hold {
    pub(crate) intent: Intent,
    pub(crate) charges: Vec<Charge>,
    pub(crate) policy: PolicyId,
    pub(crate) gates: Vec<Gate>,
    pub(crate) asks: Vec<Ask>,
    pub(crate) code: String,
    pub(crate) reason: String,
    pub(crate) triggers: Vec<Violation>,
}

impl Hold {
    /// What it covers.
    #[must_use]
    pub const fn intent(&self) -> &Intent {
        &self.intent
    }

    /// What must be reserved while it waits.
    #[must_use]
    pub fn charges(&self) -> &[Charge] {
        &self.charges
    }

    /// The grant's version.
    #[must_use]
    pub const fn policy(&self) -> PolicyId {
        self.policy
    }

    /// Every gate must open.
    #[must_use]
    pub fn gates(&self) -> &[Gate] {
        &self.gates
    }

    /// Every rule and limit that asks, with its gate: an approval answers these and no others.
    #[must_use]
    pub fn asks(&self) -> &[Ask] {
        &self.asks
    }

    /// The rules and limits that ask this gate.
    #[must_use]
    pub fn asks_at(&self, gate: &Gate) -> Vec<String> {
        self.asks.iter().filter(|ask| ask.is_at(gate)).map(|ask| ask.rule.clone()).collect()
    }

    /// How long it waits: the shortest of its gates.
    #[must_use]
    pub fn ttl(&self) -> Millis {
        self.gates.iter().map(|gate| gate.ttl).min().unwrap_or(Millis::ZERO)
    }

    /// The first code, in file order, of what asks for people.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.code
    }

    /// One sentence.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Every rule and limit that asks.
    #[must_use]
    pub fn triggers(&self) -> &[Violation] {
        &self.triggers
    }
}

/// Why not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Denial {
    /// The first code, in file order, guards before the grant.
    pub code: String,
    /// One sentence: numbers, limit, when capacity frees. Without a full stop at its end.
    pub reason: String,
    /// What the agent should do with it.
    pub register: Register,
    /// What the denial stands on.
    pub ground: Ground,
    /// Every reason.
    pub violations: Vec<Violation>,
}

/// What an agent should do with a denial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Register {
    /// Change what the violations name, then ask again.
    Constructive,
    /// Drop the instruction.
    Halt,
}

/// What a denial stands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ground {
    /// A rule or a limit.
    Policy,
    /// Only a fact that a source failed to give (-32010): safe to repeat.
    Unavailable,
}

/// One reason, as the wire shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// The rule's or limit's id.
    pub rule: String,
    /// Its code.
    pub code: String,
    /// The maximum, in USD or as a count.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub limit: Option<String>,
    /// The counter's value.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub current: Option<String>,
    /// What this request would add.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub requested: Option<String>,
    /// When capacity frees.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub frees_at: Option<String>,
}
