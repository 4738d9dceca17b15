//! The record of one decision and of what came of it: field for field what the traces API shows.

use alloy_primitives::B256;
use serde::{Deserialize, Serialize};

use crate::{
    charge::Overrun,
    fact::Facts,
    identity::{AgentId, OperationId, OperatorId, PolicyId, TraceHash},
    intent::Intent,
    time::Timestamp,
};

pub use crate::incident::{Incident, IncidentStatus, Severity};

/// One row of the traces API. Everything above `tx_hash` is fixed at the decision and covered by
/// `trace_hash`; the rest follows from later entries of the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TraceRecord {
    /// The SHA-256 of the decision's canonical JSON.
    pub trace_hash: TraceHash,
    /// The decision.
    #[serde(flatten)]
    pub decision: DecisionRecord,
    /// The transaction's hash, once signed.
    pub tx_hash: Option<B256>,
    /// `executed`, `blocked` or `pending_approval`, as the seed names them; `failed` where an allowed or
    /// approved operation came to nothing.
    pub status: TraceStatus,
    /// The signatures made for it, and those of approvers.
    pub signatures: Vec<serde_json::Value>,
    /// What people said, in order.
    pub approvals: Vec<serde_json::Value>,
    /// From the request's first byte to the answer, in milliseconds.
    pub duration_ms: Option<u64>,
    /// The hash of the entry before this one in the gateway's chain.
    pub previous_hash: Option<B256>,
    /// `true` for a record that a client posted: it proves only that the client said so.
    pub attestation: bool,
    /// The operator with whose token it was posted.
    #[serde(default)]
    pub attested_by: Option<OperatorId>,
}

/// What came with a record that a client posted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Posted {
    /// With whose token.
    pub by: OperatorId,
    /// The transaction's hash, as they say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tx_hash: Option<B256>,
    /// Signatures, as they say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signatures: Vec<serde_json::Value>,
    /// How long it took, as they say, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
}

/// What was asked, what was known and what was decided.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DecisionRecord {
    /// The operation that this decision belongs to.
    pub operation_id: Option<OperationId>,
    /// When, by the store's clock.
    pub created_at: Timestamp,
    /// Who asked.
    pub agent_id: Option<AgentId>,
    /// The SHA-256 of the agent's session name, so that a trace can be shown without it.
    pub session_key_hash: Option<B256>,
    /// The agent's declared session, as text.
    pub session: Option<String>,
    /// The agent's reasoning, as text. Never trusted.
    pub reasoning: Option<String>,
    /// What the agent intended: the intent and its decoded actions, as JSON text.
    pub proposed_action: serde_json::Value,
    /// `{allowed, outcome, code, riskScore}`
    pub validation_result: serde_json::Value,
    /// One entry for each rule and limit.
    pub policy_verdicts: Vec<serde_json::Value>,
    /// 0 to 100.
    pub risk_score: u8,
    /// The rule or limit that said no.
    pub blocked_by: Option<String>,
    /// The version of the grant.
    pub policy: Option<PolicyId>,
    /// The versions of every guard that was asked.
    pub guards: Vec<PolicyId>,
    /// The snapshot that it was decided from.
    pub facts: Option<Facts>,
    /// The intent that it was decided for.
    pub intent: Option<Intent>,
    /// What it would take out of which counter.
    pub charges: Vec<serde_json::Value>,
    /// Gates that it waits for.
    pub gates: Vec<serde_json::Value>,
    /// What the store found not to fit, each time that it was asked to reserve: the counters are no fact, and their word
    /// changed the outcome.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overruns: Vec<Vec<Overrun>>,
    /// The store found this many of the agent's operations waiting for people, and no more of them may: that refused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crowded: Option<u32>,
}

/// Where the record stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TraceStatus {
    /// Signed, or signed and sent.
    Executed,
    /// Denied, rejected or expired.
    Blocked,
    /// Waits for people.
    PendingApproval,
    /// Allowed or approved, not yet signed.
    Allowed,
    /// Allowed or approved, then refused before anything was signed.
    Failed,
}

impl TraceStatus {
    /// The wire name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Executed => "executed",
            Self::Blocked => "blocked",
            Self::PendingApproval => "pending_approval",
            Self::Allowed => "allowed",
            Self::Failed => "failed",
        }
    }
}

/// A change to a trace after its decision; absent fields stay as they are.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TraceUpdate {
    /// Where it stands now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<TraceStatus>,
    /// The transaction's hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tx_hash: Option<B256>,
    /// One more signature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<serde_json::Value>,
    /// One more word of a person, or of the gateway in their place (expired).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<serde_json::Value>,
    /// From the request's first byte to the answer, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// The rule, limit or operator that said no.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked_by: Option<String>,
    /// A later decision on the same operation. It is an entry of the chain, and no part of the row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again: Option<Box<Again>>,
}

/// A decision on an operation that was decided before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Again {
    /// Why it was decided again.
    pub occasion: Occasion,
    /// The SHA-256 of the decision's canonical JSON.
    pub decision_hash: TraceHash,
    /// The decision, with the facts of its own instant.
    pub decision: DecisionRecord,
}

/// Why an operation was decided again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Occasion {
    /// It was approved, or left behind by a gateway that died before it committed.
    Redemption,
    /// It was to be sent with a higher fee.
    Bump,
}

impl Occasion {
    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Redemption => "redemption",
            Self::Bump => "bump",
        }
    }
}
