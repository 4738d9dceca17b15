//! The engine's `Chain` over JSON-RPC nodes.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use alloy_primitives::{Address, B256, Bytes, U64, U128, U256};
use async_trait::async_trait;
use countersign_core::{
    identity::ChainId,
    operation::Actual,
    time::Millis,
    transaction::{TransactionDraft, TransactionPlan},
};
use countersign_engine::port::{
    Chain,
    chain::{Account, Broadcast, ChainError, Estimate, Finality, Head, ReadAnswer, ReadCall},
};
use futures_util::future::{join, join_all, try_join, try_join3};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use tokio::time::Instant;

use crate::{
    flight::Flights,
    node::{Node, Nodes, number},
    options::{DataFee, FinalityRule, NodeOptions, UpstreamError, duration},
    transport::Fault,
    wire::{Answer, Block, NodeError, Question, Receipt, quantity},
    words,
};

/// One chain through its configured nodes.
///
/// It promises that a node with another chain id is never used, that signed bytes go to a second
/// node only if none of them reached the first, and that no error shows more of a URL than scheme,
/// host and port. It does not compare nodes with each other: where only one is configured, its word
/// counts.
#[derive(Debug)]
pub struct NodeChain {
    id: ChainId,
    nodes: Nodes,
    finality: FinalityRule,
    data_fee: DataFee,
    head_lag_max: u64,
    head_seen: AtomicU64,
    /// Counts our broadcasts: each makes what was known of accounts old.
    sends: AtomicU64,
    heads: Flights<(), Head, ChainError>,
    accounts: Flights<(u64, B256, Address), Account, ChainError>,
    codes: Flights<(B256, Address), bool, ChainError>,
}

/// How one node answers, for `doctor`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeReport {
    /// `scheme://host:port`.
    pub url: String,
    /// The chain that it serves, or why it does not answer.
    pub chain_id: Result<ChainId, String>,
    /// How long that answer took.
    pub latency: Millis,
    /// What `web3_clientVersion` says, where it says anything.
    pub client_version: Option<String>,
}

impl NodeChain {
    /// Sets a chain up. Connects to nothing: nodes are checked when they are first used.
    pub fn new(options: NodeOptions) -> Result<Self, UpstreamError> {
        let NodeOptions { id, finality, head_ttl, head_lag_max, data_fee, .. } = options;
        let (ttl, nodes) = (duration(head_ttl), Nodes::new(options)?);
        Ok(Self {
            id,
            nodes,
            finality,
            data_fee,
            head_lag_max,
            head_seen: AtomicU64::new(0),
            sends: AtomicU64::new(0),
            heads: Flights::new(ttl),
            accounts: Flights::new(ttl),
            codes: Flights::new(ttl),
        })
    }

    /// Asks every node who it is, at once. Nothing is remembered of the answers.
    pub async fn probe(&self) -> Vec<NodeReport> {
        join_all(self.nodes.all().iter().map(|node| self.report(node))).await
    }

    async fn report(&self, node: &Node) -> NodeReport {
        let started = Instant::now();
        let timed = async {
            let id = self.inquire::<U64>(node, "eth_chainId").await;
            (id, started.elapsed())
        };
        let version = self.inquire::<String>(node, "web3_clientVersion");
        let ((id, took), version) = join(timed, version).await;
        NodeReport {
            url: node.shown().to_owned(),
            chain_id: id.map(|id| ChainId(number(id))).map_err(|fault| fault.to_string()),
            latency: millis(took),
            client_version: version.ok(),
        }
    }

    async fn inquire<T: DeserializeOwned>(&self, node: &Node, method: &str) -> Result<T, Fault> {
        let question = Question::new(method, &[(); 0])?;
        self.nodes.inquire(node, &question, Answer::typed).await
    }

    async fn fetch<T: DeserializeOwned>(
        &self,
        method: &str,
        params: &(impl Serialize + Sync),
    ) -> Result<T, ChainError> {
        let question = self.question(method, params)?;
        self.nodes.ask(&question, Answer::typed).await
    }

    fn question<'a>(
        &self,
        method: &'a str,
        params: &impl Serialize,
    ) -> Result<Question<'a>, ChainError> {
        Question::new(method, params).map_err(|fault| self.unavailable(&fault.to_string()))
    }

    fn unavailable(&self, reason: &str) -> ChainError {
        ChainError::Unavailable { chain: self.id, reason: reason.to_owned() }
    }

    async fn fetch_head(&self) -> Result<Head, ChainError> {
        let question = self.question("eth_getBlockByNumber", &("latest", false))?;
        let newest = self.nodes.ask(&question, |answer| self.newest(answer));
        let price = self.fetch::<U128>("eth_gasPrice", &[(); 0]);
        let (block, price, tip) = try_join3(newest, price, self.fetch_tip()).await?;
        let price: u128 = price.saturating_to();
        let base_fee = block.base_fee_per_gas.map(|fee| fee.saturating_to::<u128>());
        // what a node without the method would suggest: all of its price that is not base fee
        let suggested = base_fee.map_or(0, |base| price.saturating_sub(base));
        Ok(Head {
            number: number(block.number),
            hash: block.hash,
            gas_limit: number(block.gas_limit),
            base_fee,
            tip: tip.unwrap_or(suggested),
            gas_price: price,
        })
    }

    /// Refuses the head of a node that was set back or has fallen far behind.
    fn newest(&self, answer: Answer) -> Result<Block, Fault> {
        let block: Block = answer.typed()?;
        let head = number(block.number);
        let seen = self.head_seen.fetch_max(head, Ordering::Relaxed);
        if seen.saturating_sub(head) > self.head_lag_max {
            return Err(Fault::Behind { head, seen });
        }
        Ok(block)
    }

    /// `None` where the chain has no such method.
    async fn fetch_tip(&self) -> Result<Option<u128>, ChainError> {
        let question = self.question("eth_maxPriorityFeePerGas", &[(); 0])?;
        let read = |answer| match answer {
            Answer::Error(_) => Ok(None),
            Answer::Result(_) => answer.typed::<U128>().map(|tip| Some(tip.saturating_to())),
        };
        self.nodes.ask(&question, read).await
    }

    async fn fetch_account(&self, address: Address) -> Result<Account, ChainError> {
        let params = (address, "latest");
        let balance = self.fetch::<U256>("eth_getBalance", &params);
        let nonce = self.fetch::<U64>("eth_getTransactionCount", &params);
        let (balance, nonce) = try_join(balance, nonce).await?;
        Ok(Account { balance, nonce: number(nonce) })
    }

    async fn fetch_has_code(&self, address: Address) -> Result<bool, ChainError> {
        let code: Bytes = self.fetch("eth_getCode", &(address, "latest")).await?;
        Ok(!code.is_empty())
    }

    /// `None` is worth asking another node, who may be ahead.
    async fn fetch_receipt(&self, hash: B256) -> Result<Option<Receipt>, ChainError> {
        let question = self.question("eth_getTransactionReceipt", &[hash])?;
        let ours = |receipt: Option<Receipt>| match receipt {
            Some(other) if other.transaction_hash != hash => {
                Err(Fault::Nonsense("the receipt of another transaction".into()))
            }
            receipt => Ok(receipt),
        };
        let found = |answer: Answer| match ours(answer.typed()?)? {
            None => Err(Fault::Refused(no_receipt())),
            receipt => Ok(receipt),
        };
        if self.nodes.are_several()
            && let Ok(receipt) = self.nodes.ask(&question, found).await
        {
            return Ok(receipt);
        }
        self.nodes.ask(&question, |answer| ours(answer.typed()?)).await
    }

    /// The number of the newest block that is final by the chain's rule.
    async fn final_number(&self) -> Result<Option<u64>, ChainError> {
        match self.finality {
            FinalityRule::Finalized => {
                let params = ("finalized", false);
                let block: Option<Block> = self.fetch("eth_getBlockByNumber", &params).await?;
                Ok(block.map(|block| number(block.number)))
            }
            FinalityRule::Blocks(count) => {
                let head = self.head().await?.number;
                Ok(head.checked_sub(count.saturating_sub(1)))
            }
        }
    }
}

#[async_trait]
impl Chain for NodeChain {
    fn id(&self) -> ChainId {
        self.id
    }

    async fn read(&self, call: ReadCall) -> Result<ReadAnswer, ChainError> {
        let ReadCall { method, params, traceparent } = call;
        let params = RawValue::from_string(params)
            .map_err(|_| self.unavailable("the parameters of the call are not JSON"))?;
        let question = Question { method, params, traceparent: traceparent.as_deref() };
        let answer = self.nodes.ask(&question, Ok).await?;
        Ok(match answer {
            Answer::Result(text) => ReadAnswer::Result(text.into()),
            Answer::Error(NodeError { code, message, data }) => {
                ReadAnswer::Error { code, message, data: data.map(text) }
            }
        })
    }

    async fn head(&self) -> Result<Head, ChainError> {
        self.heads.share((), self.fetch_head()).await
    }

    async fn account(&self, address: Address) -> Result<Account, ChainError> {
        let head = self.head().await?;
        let sends = self.sends.load(Ordering::SeqCst);
        self.accounts.share((sends, head.hash, address), self.fetch_account(address)).await
    }

    async fn has_code(&self, address: Address) -> Result<bool, ChainError> {
        let head = self.head().await?;
        self.codes.share((head.hash, address), self.fetch_has_code(address)).await
    }

    async fn estimate_gas(
        &self,
        from: Address,
        draft: &TransactionDraft,
    ) -> Result<Estimate, ChainError> {
        let question = self.question("eth_estimateGas", &[Call::new(from, draft)])?;
        let read = |answer| match answer {
            Answer::Error(error) if words::is_trouble(&error) => Err(Fault::Refused(error)),
            Answer::Error(NodeError { code, message, data }) => {
                Ok(Estimate::Fails { code, message, data: data.map(text) })
            }
            Answer::Result(_) => answer.typed().map(|gas| Estimate::Gas(number(gas))),
        };
        self.nodes.ask(&question, read).await
    }

    async fn broadcast(&self, raw: &Bytes, hash: B256) -> Broadcast {
        // before and after: whoever asked meanwhile may have read the state of before
        self.sends.fetch_add(1, Ordering::SeqCst);
        let sent = match self.question("eth_sendRawTransaction", &[raw]) {
            Ok(question) => self.nodes.send(&question).await,
            Err(error) => Err(error),
        };
        self.sends.fetch_add(1, Ordering::SeqCst);
        match sent {
            Ok(answer) => said(answer, hash),
            Err(ChainError::Unavailable { reason, .. }) => Broadcast::Unknown(reason),
        }
    }

    async fn receipt(&self, hash: B256) -> Result<Option<Actual>, ChainError> {
        let Some(receipt) = self.fetch_receipt(hash).await? else { return Ok(None) };
        // a receipt without a block is one of a pending transaction
        let (Some(block), Some(block_hash)) = (receipt.block_number, receipt.block_hash) else {
            return Ok(None);
        };
        let fee_wei = fee_wei(&receipt).ok_or_else(|| self.unavailable("a fee above 256 bits"))?;
        Ok(Some(Actual {
            hash,
            block_number: number(block),
            block_hash,
            succeeded: receipt.status == U64::from(1),
            fee_wei,
        }))
    }

    async fn finality(&self, actual: &Actual) -> Result<Finality, ChainError> {
        let params = (quantity(actual.block_number), false);
        let canonical = self.fetch::<Option<Block>>("eth_getBlockByNumber", &params);
        let (canonical, newest_final) = try_join(canonical, self.final_number()).await?;
        Ok(match canonical {
            Some(block) if block.hash != actual.block_hash => Finality::Gone,
            Some(_) if newest_final >= Some(actual.block_number) => Finality::Final,
            // none: a node that is behind, or a chain that has just become shorter; time will tell
            Some(_) | None => Finality::Pending,
        })
    }

    async fn block_hash(&self, height: u64) -> Result<Option<B256>, ChainError> {
        let question = self.question("eth_getBlockByNumber", &(quantity(height), false))?;
        let canonical = |answer: Answer| match answer.typed::<Option<Block>>()? {
            Some(block) if number(block.number) != height => {
                Err(Fault::Nonsense("a block of another height".into()))
            }
            block => Ok(block.map(|block| block.hash)),
        };
        self.nodes.ask(&question, canonical).await
    }

    async fn final_nonce(&self, address: Address) -> Result<u64, ChainError> {
        // before the first final block nothing is final: the count of the genesis block
        let block = self.final_number().await?.unwrap_or(0);
        let nonce: U64 = self.fetch("eth_getTransactionCount", &(address, quantity(block))).await?;
        Ok(number(nonce))
    }

    async fn data_fee_max(&self, _plan: &TransactionPlan) -> Result<U256, ChainError> {
        match self.data_fee {
            DataFee::None => Ok(U256::ZERO),
        }
    }
}

fn said(answer: Answer, hash: B256) -> Broadcast {
    match answer {
        Answer::Error(error) => words::sent(&error, hash),
        Answer::Result(_) => match answer.typed::<B256>() {
            Ok(named) if named == hash => Broadcast::Accepted,
            Ok(theirs) => Broadcast::OtherHash { theirs },
            Err(fault) => Broadcast::Unknown(fault.to_string()),
        },
    }
}

fn fee_wei(receipt: &Receipt) -> Option<U256> {
    let gas = receipt.gas_used.checked_mul(receipt.effective_gas_price)?;
    gas.checked_add(receipt.l1_fee.unwrap_or_default())
}

fn no_receipt() -> NodeError {
    NodeError { code: 0, message: "it has no receipt yet".into(), data: None }
}

fn text(text: String) -> Bytes {
    text.into_bytes().into()
}

fn millis(length: Duration) -> Millis {
    Millis(u64::try_from(length.as_millis()).unwrap_or(u64::MAX))
}

/// The call object of `eth_estimateGas`: what the draft says and nothing else. No nonce: nodes
/// estimate at the newest state, whatever waits before.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Call<'a> {
    from: Address,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<Address>,
    value: U256,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a Bytes>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gas: Option<U64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gas_price: Option<U128>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_fee_per_gas: Option<U128>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_priority_fee_per_gas: Option<U128>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    access_list: &'a [countersign_core::transaction::AccessEntry],
}

impl<'a> Call<'a> {
    fn new(from: Address, draft: &'a TransactionDraft) -> Self {
        Self {
            from,
            to: draft.to,
            value: draft.value,
            data: Some(&draft.data).filter(|data| !data.is_empty()),
            gas: draft.gas.map(U64::from),
            gas_price: draft.gas_price.map(U128::from),
            max_fee_per_gas: draft.max_fee_per_gas.map(U128::from),
            max_priority_fee_per_gas: draft.max_priority_fee_per_gas.map(U128::from),
            access_list: &draft.access_list,
        }
    }
}
