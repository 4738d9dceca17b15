//! One chain, through one or several nodes that may lie, stall or disagree.

use std::fmt;

use alloy_primitives::{Address, B256, Bytes, U256};
use async_trait::async_trait;
use countersign_core::{
    fact::Simulated,
    identity::ChainId,
    message::Probe,
    operation::Actual,
    transaction::{TransactionDraft, TransactionPlan},
};

/// What the engine asks of a chain. Every call has a deadline of its own and never hangs.
#[async_trait]
pub trait Chain: fmt::Debug + Send + Sync {
    /// The chain id that the configuration names and the nodes were checked against.
    fn id(&self) -> ChainId;

    /// Forwards an allow-listed read, re-serialised, and returns the node's answer untouched.
    async fn read(&self, call: ReadCall) -> Result<ReadAnswer, ChainError>;

    /// The newest block's number and fees, cached until the next block can exist.
    async fn head(&self) -> Result<Head, ChainError>;

    /// Balance and transaction count of an account at the newest block; cached per block.
    async fn account(&self, address: Address) -> Result<Account, ChainError>;

    /// The same for whoever adds what is in flight: an answer from before our own latest sends will do, as long as it
    /// counts at least so many transactions as mined.
    async fn account_with(&self, address: Address, mined: u64) -> Result<Account, ChainError> {
        // an answer that counts fewer is the node's own
        let _ = mined;
        self.account(address).await
    }

    /// Whether an address has code; cached per block.
    async fn has_code(&self, address: Address) -> Result<bool, ChainError>;

    /// Estimates gas for exactly these fields, from the wallet's address.
    async fn estimate_gas(
        &self,
        from: Address,
        draft: &TransactionDraft,
    ) -> Result<Estimate, ChainError>;

    /// What each of these calls needs if they are made one after the other, from the wallet's address.
    async fn estimate_in_order(
        &self,
        from: Address,
        drafts: &[TransactionDraft],
    ) -> Result<Vec<Estimate>, ChainError> {
        let each = drafts.iter().map(|draft| self.estimate_gas(from, draft));
        futures_util::future::try_join_all(each).await
    }

    /// Sends signed bytes to a node and reports what it said, without interpreting state.
    async fn broadcast(&self, raw: &Bytes, hash: B256) -> Broadcast;

    /// The receipt of a hash, if a node has one.
    async fn receipt(&self, hash: B256) -> Result<Option<Actual>, ChainError>;

    /// As [`Chain::receipt`]; but what does not fit the signed transaction is not believed, and
    /// counts as no answer.
    async fn receipt_of(&self, expected: &Expected) -> Result<Option<Actual>, ChainError> {
        self.receipt(expected.hash).await
    }

    /// Whether a receipt in this block is final by the chain's configured rule, and still on the
    /// canonical chain.
    async fn finality(&self, actual: &Actual) -> Result<Finality, ChainError>;

    /// The hash of the canonical block at this height as it is now, never remembered; `None` where
    /// the chain is shorter.
    async fn block_hash(&self, number: u64) -> Result<Option<B256>, ChainError>;

    /// The account's transaction count at the newest final block.
    async fn final_nonce(&self, address: Address) -> Result<u64, ChainError>;

    /// What the newest final block says of these questions, and when it was made.
    async fn at_finality(&self, probes: &[Probe]) -> Result<AtFinality, ChainError>;

    /// The most that the chain adds to the fee outside of gas × price (an L2's L1 data fee), in wei,
    /// with headroom; zero where the chain has none.
    async fn data_fee_max(&self, plan: &TransactionPlan) -> Result<U256, ChainError>;

    /// What the transaction would do to this wallet, which sends it, if it were mined now: without its fee. No answer
    /// where no node can tell.
    async fn simulate(
        &self,
        wallet: Address,
        plan: &TransactionPlan,
    ) -> Result<Simulated, ChainError>;

    /// What a token's contract says of its decimals, remembered for a while; `None` where it says nothing readable.
    async fn decimals(&self, token: Address) -> Result<Option<U256>, ChainError>;
}

/// An allow-listed read with its parameters, already re-serialised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadCall {
    /// The JSON-RPC method, exactly as allow-listed.
    pub method: &'static str,
    /// The parameters as JSON text: always an array.
    pub params: String,
}

/// A node's answer to a read, as JSON text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadAnswer {
    /// The `result` member.
    Result(Bytes),
    /// The `error` member.
    Error {
        /// The node's code.
        code: i64,
        /// The node's words.
        message: String,
        /// The node's data, as JSON text.
        data: Option<Bytes>,
    },
}

/// The newest block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Its number.
    pub number: u64,
    /// Its hash.
    pub hash: B256,
    /// Its gas limit.
    pub gas_limit: u64,
    /// Wei per gas; `None` before EIP-1559.
    pub base_fee: Option<u128>,
    /// The node's suggestion for a tip, in wei per gas.
    pub tip: u128,
    /// The node's `eth_gasPrice`, in wei per gas.
    pub gas_price: u128,
}

/// An account at the newest block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account {
    /// Wei.
    pub balance: U256,
    /// Transactions mined.
    pub nonce: u64,
}

/// What a node thinks a call needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Estimate {
    /// Gas.
    Gas(u64),
    /// It would fail: the node's words and code. Nothing was sent.
    Fails {
        /// The node's code.
        code: i64,
        /// The node's words.
        message: String,
        /// The node's data, as JSON text.
        data: Option<Bytes>,
    },
}

/// What a node said to signed bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Broadcast {
    /// It took them, or knew them already; the hash it named is ours.
    Accepted,
    /// It says that the nonce is used up.
    NonceTooLow(String),
    /// It says that another transaction holds the nonce.
    Underpriced(String),
    /// It says that it will not take them as things stand (balance, gas, fee). The bytes exist all
    /// the same.
    Refused(String),
    /// Nobody knows what it took: it answered these bytes with the hash of others. As unknown as
    /// [`Broadcast::Unknown`], and worth an incident: the node is broken or lies.
    OtherHash {
        /// What it named.
        theirs: B256,
    },
    /// Nobody knows: time-out, reset, 5xx, not JSON, unknown words.
    Unknown(String),
}

/// What a receipt has to agree with: what was signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expected {
    /// The transaction.
    pub hash: B256,
    /// The wallet that signed it.
    pub from: Address,
    /// Its gas limit.
    pub gas: u64,
    /// The most that it pays per gas, in wei.
    pub price_max: u128,
}

/// The newest final block, asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AtFinality {
    /// Its time, in seconds since the epoch.
    pub time: u64,
    /// For each question, whether the signature is used up; `None` where no readable answer came.
    pub used_up: Vec<Option<bool>>,
}

/// Whether a mined transaction can still go away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finality {
    /// Not final yet.
    Pending,
    /// Final by the chain's rule.
    Final,
    /// Its block is not on the canonical chain any more.
    Gone,
}

/// The node cannot be asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// No node answered in time, or none made sense.
    #[error("no node of chain {chain} answers: {reason}")]
    Unavailable {
        /// The chain.
        chain: ChainId,
        /// What went wrong, for operators; no credentials of the upstream URL.
        reason: String,
    },
}
