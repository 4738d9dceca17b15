//! What an agent submits, and what it is told.

use alloy_primitives::{Address, B256, Bytes};
use countersign_core::{
    bundle::BundleHandle,
    charge::Unit,
    identity::{AgentId, ChainId, OperationId, PolicyId, TraceHash},
    intent::{Declared, Method},
    message::Content,
    operation::OperationState,
    raw::RawTransaction,
    time::{Millis, Timestamp},
    transaction::{TransactionDraft, UnsignedTransaction},
};
use countersign_policy::decision::{Register, Violation};
use serde_json::Value;

/// One signing request of an authenticated agent, strictly parsed.
#[derive(Debug, Clone, PartialEq)]
pub struct Submission {
    /// Who asks.
    pub agent: AgentId,
    /// The chain of the path.
    pub chain: ChainId,
    /// The method.
    pub method: Method,
    /// What to sign.
    pub draft: Draft,
    /// What the agent says about it.
    pub declared: Declared,
    /// The agent's idempotency key as it was given (for an entry of a batch already `key#index`).
    pub key: Option<String>,
    /// How long to hold a parked call open, over the agent's own `hold`; at most 60 s. Zero for an entry
    /// of a batch.
    pub wait: Option<Millis>,
    /// The batch that it came in; entries of one batch share a number.
    pub batch: Option<u64>,
    /// When the request's first byte was read, on the monotonic clock.
    pub received: Millis,
}

/// What to sign, as the client said it.
#[derive(Debug, Clone, PartialEq)]
pub enum Draft {
    /// A transaction; what it leaves open is filled in.
    Transaction(TransactionDraft),
    /// A transaction that its sender has signed already.
    Raw(Box<RawTransaction>),
    /// A message.
    Message {
        /// Whose key is to sign.
        from: Address,
        /// What it says; typed data as the client wrote it.
        content: Content,
    },
    /// Transactions, one after the other (EIP-5792).
    Calls(Box<CallsDraft>),
}

/// A bundle of calls.
#[derive(Debug, Clone, PartialEq)]
pub struct CallsDraft {
    /// Whose key is to sign.
    pub from: Address,
    /// The id that the caller chose: no other bundle of the agent ever has it.
    pub id: Option<String>,
    /// What the gateway calls it; fresh, from random bytes.
    pub handle: BundleHandle,
    /// The calls in their order; at least one, at most [`countersign_core::bundle::CALLS_MAX`].
    pub calls: Vec<TransactionDraft>,
}

impl Draft {
    /// Whose key is to sign, or has signed, where the client says.
    #[must_use]
    pub const fn from(&self) -> Option<Address> {
        match self {
            Self::Transaction(draft) => draft.from,
            Self::Raw(raw) => Some(raw.sender()),
            Self::Message { from, .. } => Some(*from),
            Self::Calls(bundle) => Some(bundle.from),
        }
    }
}

/// What the agent is told. Errors become codes in the server, in one function.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// The bytes exist: their hash, whatever the node said.
    Signed(Signed),
    /// A message's signature.
    SignedMessage(SignedMessage),
    /// 4001: a policy, an operator or the clock said no; final.
    Denied(Denied),
    /// -32002: it waits for people, or nobody can prove yet what became of it.
    Pending(Pending),
    /// -32602: the request cannot be meant.
    Malformed(Malformed),
    /// 4100: not this agent's account; the same for foreign and unknown ones.
    NotYours(Address),
    /// 4100: an account of this agent whose key is elsewhere.
    SignsItself(Address),
    /// 5720: the agent has another bundle of calls with this id, or has had its answer.
    DuplicateBundle,
    /// -32003: the node refused before anything was signed.
    NodeRefused(NodeRefused),
    /// -32010: something that is needed does not answer, and nothing was committed. Safe to repeat.
    Unavailable(Unavailable),
    /// A fault of ours broke the work off, and nobody can say how far it came. Repeating the request tells.
    Broken,
}

/// A signature exists.
#[derive(Debug, Clone, PartialEq)]
pub struct Signed {
    /// The operation.
    pub operation: OperationId,
    /// The hash of the raw bytes.
    pub hash: B256,
    /// The raw bytes.
    pub raw: Bytes,
    /// What was signed.
    pub transaction: Box<UnsignedTransaction>,
    /// What the agent knows the bundle by, if it is a call of one.
    pub bundle: Option<String>,
}

/// A signature over a message exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedMessage {
    /// The operation.
    pub operation: OperationId,
    /// 65 bytes, r ‖ s ‖ v with v 27 or 28.
    pub signature: Bytes,
}

/// A final no.
#[derive(Debug, Clone, PartialEq)]
pub struct Denied {
    /// Stable code.
    pub code: String,
    /// One sentence without a full stop.
    pub reason: String,
    /// What to do with it.
    pub register: Register,
    /// Every reason.
    pub violations: Vec<Violation>,
    /// The trace.
    pub trace: TraceHash,
    /// The grant's version.
    pub policy: Option<PolicyId>,
    /// The operation, where one was recorded.
    pub operation: Option<OperationId>,
}

/// Not yet.
#[derive(Debug, Clone, PartialEq)]
pub struct Pending {
    /// The operation.
    pub operation: OperationId,
    /// Where it stands: `PARKED` while it waits for people.
    pub state: OperationState,
    /// Why it waits.
    pub code: String,
    /// One sentence without a full stop.
    pub reason: String,
    /// The gates that it waits for, by id.
    pub gates: Vec<String>,
    /// When it lapses.
    pub expires_at: Option<Timestamp>,
    /// The trace.
    pub trace: TraceHash,
    /// The grant's version.
    pub policy: Option<PolicyId>,
}

/// A field that cannot be meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed {
    /// The field: `nonce`, `maxFeePerGas`, `idempotencyKey`.
    pub field: String,
    /// One sentence.
    pub reason: String,
}

impl Malformed {
    pub(crate) fn new(field: &str, reason: &str) -> Self {
        Self { field: field.into(), reason: reason.into() }
    }
}

impl From<Malformed> for Answer {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

/// The node's no.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct NodeRefused {
    /// The node's words, or ours where we read the chain's state ourselves.
    pub message: String,
    /// The node's code.
    pub upstream_code: Option<i64>,
    /// The node's data.
    pub upstream_data: Option<Value>,
}

impl From<crate::plan::Fails> for NodeRefused {
    fn from(fails: crate::plan::Fails) -> Self {
        Self { message: fails.message, upstream_code: fails.code, upstream_data: fails.data }
    }
}

/// Something does not answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unavailable {
    /// Stable code: `store_unavailable`, `upstream_unavailable`, `price_unavailable`, `sealed`.
    pub code: &'static str,
    /// One sentence; no secrets.
    pub reason: String,
}

/// An answer, with the duty to say whether it reached the agent.
#[derive(Debug)]
#[must_use]
pub struct Reply {
    /// What to say.
    pub answer: Answer,
    /// Call [`Receipt::handed_over`] once the bytes were given to the connection; dropping it says that
    /// they were not.
    pub receipt: Receipt,
}

/// Tells the engine whether the agent has its answer. Dropped without [`Receipt::handed_over`], the operation
/// stays owed to the agent, who finds it by repeating the request.
pub struct Receipt {
    on_end: Option<Box<dyn FnOnce(Handover) + Send>>,
}

/// Whether an answer reached the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handover {
    /// Its bytes were given to the connection.
    Given,
    /// The caller went away first.
    Lost,
}

impl Receipt {
    /// Nothing depends on whether the answer arrives.
    pub const NONE: Self = Self { on_end: None };

    /// Runs `on_end` once, with what became of the answer.
    pub fn new(on_end: impl FnOnce(Handover) + Send + 'static) -> Self {
        Self { on_end: Some(Box::new(on_end)) }
    }

    /// The answer's bytes were given to the connection.
    pub fn handed_over(mut self) {
        self.end(Handover::Given);
    }

    fn end(&mut self, handover: Handover) {
        if let Some(on_end) = self.on_end.take() {
            on_end(handover);
        }
    }
}

impl std::fmt::Debug for Receipt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Receipt(open: {})", self.on_end.is_some())
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        self.end(Handover::Lost);
    }
}

impl Reply {
    /// An answer that leaves nothing owed.
    pub const fn of(answer: Answer) -> Self {
        Self { answer, receipt: Receipt::NONE }
    }
}

/// `countersign_getOperation`
#[derive(Debug, Clone, PartialEq)]
pub struct OperationView {
    /// The operation.
    pub id: OperationId,
    /// `PENDING_APPROVAL` for a parked one, else the state's name.
    pub status: String,
    /// Why, where it was parked or refused.
    pub code: String,
    /// The transaction's hash, once signed.
    pub hash: Option<B256>,
    /// What the method would have answered, once it can: the hash, or the raw bytes.
    pub result: Option<String>,
    /// When it lapses.
    pub expires_at: Option<Timestamp>,
    /// The trace of its decision.
    pub trace: TraceHash,
}

/// `wallet_getCallsStatus`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallsView {
    /// As it was asked for.
    pub id: String,
    /// Where.
    pub chain: ChainId,
    /// What all calls came to.
    pub status: CallsStatus,
    /// Of those that were mined, in the order of the calls.
    pub receipts: Vec<CallReceipt>,
}

/// The states of a bundle that EIP-5792 numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallsStatus {
    /// 100: not all of it is decided.
    Pending,
    /// 200: all of it is on the chain, and nothing reverted.
    Confirmed,
    /// 400: none of it is on the chain, or ever will be.
    Failed,
    /// 500: what is on the chain reverted.
    Reverted,
    /// 600: some of it took effect.
    Partial,
}

impl CallsStatus {
    /// The number.
    #[must_use]
    pub const fn code(self) -> u16 {
        match self {
            Self::Pending => 100,
            Self::Confirmed => 200,
            Self::Failed => 400,
            Self::Reverted => 500,
            Self::Partial => 600,
        }
    }
}

/// The part of a receipt that EIP-5792 asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallReceipt {
    /// What contracts noted.
    pub logs: Vec<CallLog>,
    /// Whether it did not revert.
    pub succeeded: bool,
    /// Its block.
    pub block_hash: B256,
    /// Its block's number.
    pub block_number: u64,
    /// Gas.
    pub gas_used: u64,
    /// Its hash.
    pub transaction_hash: B256,
}

/// One log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallLog {
    /// The contract.
    pub address: Address,
    /// Its data.
    pub data: Bytes,
    /// Its topics.
    pub topics: Vec<B256>,
}

/// `countersign_simulate`: the verdict without the act. Fields as CONTRACT §3 shows them, as JSON.
#[derive(Debug, Clone, PartialEq)]
pub struct Simulation {
    /// `{outcome, code, violations, gates, actions, verdicts, charges, policy}`
    pub body: Value,
}

/// One line of `countersign_budget`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BudgetLine {
    /// The limit's id.
    pub limit: String,
    /// The policy that has it.
    pub policy: String,
    /// The window: `24h`, `day`.
    pub per: String,
    /// What is counted.
    pub unit: Unit,
    /// The maximum, in USD or as a count.
    pub max: String,
    /// Reserved, committed and settled.
    pub used: String,
    /// What is left.
    pub remaining: String,
    /// When something frees next.
    pub frees_at: Option<Timestamp>,
}
