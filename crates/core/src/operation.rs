//! Operations: the life of an intent from decision to settlement, as the ledger records it.

use alloy_primitives::{B256, Bytes, U256};
use serde::{Deserialize, Serialize};

use crate::{
    approval::{Ask, Gate, Vote},
    charge::Charge,
    identity::{
        AgentId, ApprovalDigest, ChainId, Fingerprint, KeyHash, OperationId, TraceHash, WalletId,
    },
    intent::Intent,
    message::Message,
    time::Timestamp,
    transaction::{TransactionPlan, UnsignedTransaction},
};

/// The states of LEDGER §1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum OperationState {
    /// Terminal: the decision was no.
    Denied,
    /// Reserved, waits for people.
    Parked,
    /// Reserved, people said yes, to be decided again.
    Approved,
    /// Reserved, about to be committed.
    Allowed,
    /// Committed: nonce and payload are bound, a signature may exist.
    Prepared,
    /// Committed: raw bytes and hash are stored.
    Signed,
    /// Committed: a node took it.
    Broadcast,
    /// Committed: nobody knows whether a node took it.
    Unknown,
    /// Committed: a receipt was seen, not final yet.
    Mined,
    /// Terminal but for a reorg: settled, succeeded.
    Executed,
    /// Terminal but for a reorg: settled, reverted.
    Reverted,
    /// Terminal: released before commit by a person, or by the gateway with a code.
    Rejected,
    /// Terminal: released before commit because its time ran out.
    Expired,
    /// Committed: a recorded self-transfer competes for the nonce.
    Cancelling,
    /// Terminal but for a reorg: the self-transfer won; its fee is settled, the rest is released.
    Cancelled,
    /// The nonce was finalised under a hash that we do not know: released, with that as the proof.
    Conflict,
}

impl OperationState {
    /// Every state, in the order of LEDGER §1.
    pub const ALL: [Self; 16] = [
        Self::Denied,
        Self::Parked,
        Self::Approved,
        Self::Allowed,
        Self::Prepared,
        Self::Signed,
        Self::Broadcast,
        Self::Unknown,
        Self::Mined,
        Self::Executed,
        Self::Reverted,
        Self::Rejected,
        Self::Expired,
        Self::Cancelling,
        Self::Cancelled,
        Self::Conflict,
    ];

    /// The wire name: `PARKED`, `BROADCAST` ...
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Denied => "DENIED",
            Self::Parked => "PARKED",
            Self::Approved => "APPROVED",
            Self::Allowed => "ALLOWED",
            Self::Prepared => "PREPARED",
            Self::Signed => "SIGNED",
            Self::Broadcast => "BROADCAST",
            Self::Unknown => "UNKNOWN",
            Self::Mined => "MINED",
            Self::Executed => "EXECUTED",
            Self::Reverted => "REVERTED",
            Self::Rejected => "REJECTED",
            Self::Expired => "EXPIRED",
            Self::Cancelling => "CANCELLING",
            Self::Cancelled => "CANCELLED",
            Self::Conflict => "CONFLICT",
        }
    }

    /// Where its money is.
    #[must_use]
    pub const fn money(self) -> Money {
        match self {
            Self::Denied | Self::Rejected | Self::Expired | Self::Conflict => Money::None,
            Self::Parked | Self::Approved | Self::Allowed => Money::Reserved,
            Self::Prepared
            | Self::Signed
            | Self::Broadcast
            | Self::Unknown
            | Self::Mined
            | Self::Cancelling => Money::Committed,
            Self::Executed | Self::Reverted | Self::Cancelled => Money::Settled,
        }
    }

    /// Whether raw bytes exist for certain: from here on the agent gets a hash, never an error.
    #[must_use]
    pub const fn is_signed(self) -> bool {
        match self {
            Self::Signed
            | Self::Broadcast
            | Self::Unknown
            | Self::Mined
            | Self::Executed
            | Self::Reverted
            | Self::Cancelling
            | Self::Cancelled
            | Self::Conflict => true,
            Self::Denied
            | Self::Parked
            | Self::Approved
            | Self::Allowed
            | Self::Prepared
            | Self::Rejected
            | Self::Expired => false,
        }
    }

    /// Whether the asking agent's question is answered: signed or later, denied, rejected, expired.
    #[must_use]
    pub const fn is_finished_for_agent(self) -> bool {
        self.is_signed() || matches!(self, Self::Denied | Self::Rejected | Self::Expired)
    }
}

/// Where an operation's charges stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Money {
    /// Nowhere: never charged, or released.
    None,
    /// Held by the timer or a person.
    Reserved,
    /// Held by a possible signature; only proof moves it.
    Committed,
    /// Spent.
    Settled,
}

/// Whether the asking agent has its answer (CONTRACT §3, Repeating).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// Its caller still waits on an open connection.
    Waiting,
    /// It was answered "pending", or its caller went away before the result.
    Owed,
    /// The result, or a final no, was handed over.
    Collected,
}

/// What a transaction at an operation's nonce is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// The payload that was judged, at the first fee or a higher one.
    #[default]
    Payload,
    /// A transfer of nothing from the wallet to itself, so that the payload can never be mined.
    Cancel,
}

/// One set of signed bytes for an operation's nonce.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// 0 for the first; each fee bump or cancel is one more.
    pub number: u32,
    /// What it is for.
    pub purpose: Purpose,
    /// When it was bound, by the store's clock.
    pub made_at: Timestamp,
    /// Exactly what is signed.
    pub transaction: UnsignedTransaction,
    /// The raw bytes, once signed.
    pub raw: Option<Bytes>,
    /// Their Keccak-256.
    pub hash: Option<B256>,
    /// What the node said last, for people.
    pub outcome: Option<String>,
}

/// What the chain charged, from the receipt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actual {
    /// Which attempt was mined.
    pub hash: B256,
    /// The block.
    pub block_number: u64,
    /// Its hash, to notice a reorg.
    pub block_hash: B256,
    /// Whether the transaction succeeded.
    pub succeeded: bool,
    /// Gas used × effective price, plus the L1 data fee where the chain has one, in wei.
    pub fee_wei: U256,
}

/// Everything that the ledger keeps about one operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationRecord {
    /// Its id.
    pub id: OperationId,
    /// Where it stands.
    pub state: OperationState,
    /// The intent as it was judged last.
    pub intent: Intent,
    /// What makes it "the same payload".
    pub fingerprint: Fingerprint,
    /// The hash of the agent's idempotency key, if it gave one.
    pub key: Option<KeyHash>,
    /// Requests of one batch share this; they are never each other's duplicates.
    pub batch: Option<u64>,
    /// Whether the agent has its answer.
    pub delivery: Delivery,
    /// The code that decided: of the denial, the gate or the rejection; empty when allowed.
    pub code: String,
    /// One sentence for people and agents.
    pub reason: String,
    /// The trace of the decision.
    pub trace: TraceHash,
    /// What approvers must name; present from the moment it is parked.
    pub digest: Option<ApprovalDigest>,
    /// The gates it waits for or waited for.
    pub gates: Vec<Gate>,
    /// The rules and limits that asked for people: an approval answers these and no others.
    #[serde(default)]
    pub asks: Vec<Ask>,
    /// What people said.
    pub votes: Vec<Vote>,
    /// The charges as they stand in the counters.
    pub charges: Vec<Charge>,
    /// Nonce and payload of each attempt; the first is made by commit.
    pub attempts: Vec<Attempt>,
    /// A message's signature, once it is signed: 65 bytes, r ‖ s ‖ v with v 27 or 28.
    pub signature: Option<Bytes>,
    /// What the chain charged, once mined.
    pub actual: Option<Actual>,
    /// What each charge came to, in the order of `charges`; empty until settled.
    pub kept: Vec<u64>,
    /// When it was settled, by the store's clock: says which bucket of a rolling window holds it.
    pub settled_at: Option<Timestamp>,
    /// The gateway that took the request in.
    pub gateway: String,
    /// How often it was redeemed. A commit names the one that it was judged for, so that a gateway that was thought
    /// dead binds nothing of its own any more.
    pub fence: u32,
    /// When it was first reserved or denied, by the store's clock.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// When a parked or approved operation expires.
    pub expires_at: Option<Timestamp>,
    /// When the agent's question was answered (see [`OperationState::is_finished_for_agent`]).
    pub finished_at: Option<Timestamp>,
}

impl OperationRecord {
    /// The agent that asked.
    #[must_use]
    pub const fn agent(&self) -> &AgentId {
        &self.intent.agent
    }

    /// The wallet whose key signs.
    #[must_use]
    pub const fn wallet(&self) -> &WalletId {
        &self.intent.wallet
    }

    /// The chain.
    #[must_use]
    pub const fn chain(&self) -> ChainId {
        self.intent.chain()
    }

    /// Whether commit bound its payload, with a nonce unless it is a message.
    #[must_use]
    pub const fn is_bound(&self) -> bool {
        let committed = matches!(self.state.money(), Money::Committed | Money::Settled);
        !self.attempts.is_empty() || (self.message().is_some() && committed)
    }

    /// Whether it is a message that was signed and may still be used.
    #[must_use]
    pub const fn is_signed_message(&self) -> bool {
        self.message().is_some() && matches!(self.state, OperationState::Signed)
    }

    /// The nonce that commit bound.
    #[must_use]
    pub fn nonce(&self) -> Option<u64> {
        self.attempts.first().map(|attempt| attempt.transaction.nonce)
    }

    /// The hash to tell the agent: of the payload's attempt that was mined, else of its newest signed one. Never a
    /// cancel's: that is no answer to what was asked.
    #[must_use]
    pub fn hash(&self) -> Option<B256> {
        let payloads = || self.attempts.iter().rev().filter(|a| a.purpose == Purpose::Payload);
        let is_mined = |a: &&Attempt| a.hash.is_some() && a.hash == self.mined_hash();
        payloads().find(is_mined).or_else(|| payloads().find(|a| a.hash.is_some()))?.hash
    }

    fn mined_hash(&self) -> Option<B256> {
        self.actual.as_ref().map(|actual| actual.hash)
    }

    /// The most that the fee of any attempt can be, in wei, with what the chain adds outside of gas × price: what the charges stand for. `None` before commit, and on
    /// overflow of 256 bits.
    #[must_use]
    pub fn fee_wei_max(&self) -> Option<U256> {
        let gas =
            self.attempts.iter().map(|attempt| attempt.transaction.plan.fee_wei_max()).max()?;
        gas?.checked_add(self.intent.data_fee_max)
    }

    /// What the attempt with this hash is for; `None` if no attempt has it.
    #[must_use]
    pub fn purpose_of(&self, hash: B256) -> Option<Purpose> {
        self.attempts.iter().find(|a| a.hash == Some(hash)).map(|attempt| attempt.purpose)
    }

    /// The state that sent bytes are in while no receipt is known: `CANCELLING` once a cancel was bound.
    #[must_use]
    pub fn sent_state(&self) -> OperationState {
        let cancels = self.attempts.iter().any(|attempt| attempt.purpose == Purpose::Cancel);
        if cancels { OperationState::Cancelling } else { OperationState::Broadcast }
    }

    /// Whether its agent can be told how it ends; see [`OperationState::is_finished_for_agent`]. Of what is being cancelled
    /// and has no signature in the books nobody can say that yet: its bytes may have been sent before they were stored.
    #[must_use]
    pub fn is_finished_for_agent(&self) -> bool {
        let open = self.state.money() == Money::Committed && self.message().is_none();
        self.state.is_finished_for_agent() && (!open || self.hash().is_some())
    }

    /// The transaction as it was judged last; `None` for a message.
    #[must_use]
    pub const fn plan(&self) -> Option<&TransactionPlan> {
        self.intent.plan()
    }

    /// The message; `None` for a transaction.
    #[must_use]
    pub const fn message(&self) -> Option<&Message> {
        self.intent.message()
    }
}
