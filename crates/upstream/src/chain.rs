//! The engine's `Chain` over JSON-RPC nodes.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use alloy_primitives::{Address, B256, Bytes, U64, U128, U256};
use async_trait::async_trait;
use countersign_core::{
    fact::Simulated,
    identity::ChainId,
    message::Probe,
    operation::Actual,
    time::Millis,
    transaction::{TransactionDraft, TransactionPlan},
};
use countersign_engine::port::{
    Chain,
    chain::{
        Account, AtFinality, Broadcast, ChainError, Estimate, Expected, Finality, Head, ReadAnswer,
        ReadCall,
    },
};
use futures_util::future::{BoxFuture, join, join_all, try_join, try_join_all};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use tokio::time::Instant;

use crate::{
    flight::Flights,
    head::HeadWatch,
    node::{Node, Nodes, Visit},
    options::{DataFee, FinalityRule, NodeOptions, UpstreamError, duration},
    transport::Fault,
    wire::{Answer, Block, Data, NodeError, Number, Question, Word},
    words,
};

/// A contract that a chain does not have now is looked for again after so long.
const ORACLE_TTL: Duration = Duration::from_mins(10);

/// A token is asked for its decimals again after so long.
const DECIMALS_TTL: Duration = Duration::from_mins(10);

/// One chain through its configured nodes.
///
/// It promises that a node with another chain id is never used, that signed bytes go to a second
/// node only if the first cannot be reached or takes none, and that no error shows more of a URL than scheme,
/// host and port. Where several nodes are configured, nothing is final and no nonce used up that one
/// of them contradicts; where only one is, its word counts, as far as it agrees with itself and with
/// what was signed.
#[derive(Debug)]
pub struct NodeChain {
    pub(crate) id: ChainId,
    pub(crate) nodes: Nodes,
    pub(crate) finality: FinalityRule,
    pub(crate) watch: HeadWatch,
    data_fee: DataFee,
    /// Counts our broadcasts: each makes what was known of accounts old.
    sends: AtomicU64,
    heads: Flights<(), Head, ChainError>,
    accounts: Flights<(u64, B256, Address), Account, ChainError>,
    /// The same, whatever was sent since.
    standing: Flights<(B256, Address), Account, ChainError>,
    codes: Flights<(B256, Address), bool, ChainError>,
    /// Blocks and newest numbers by node, for the many receipts that one block settles.
    pub(crate) blocks: Flights<(usize, u64), Arc<Option<Block>>, Fault>,
    pub(crate) numbers: Flights<usize, u64, Fault>,
    /// Whether the chain has a contract that knows its data fee.
    pub(crate) oracles: Flights<(), bool, ChainError>,
    /// What tokens say of their decimals.
    pub(crate) scales: Flights<Address, Option<U256>, ChainError>,
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
        let NodeOptions { id, finality, head_ttl, data_fee, .. } = options;
        let (ttl, watch) = (duration(head_ttl), HeadWatch::new(&options));
        Ok(Self {
            id,
            nodes: Nodes::new(options)?,
            finality,
            watch,
            data_fee,
            sends: AtomicU64::new(0),
            heads: Flights::new(ttl),
            accounts: Flights::new(ttl),
            standing: Flights::new(ttl),
            codes: Flights::new(ttl),
            blocks: Flights::new(ttl),
            numbers: Flights::new(ttl),
            oracles: Flights::new(ORACLE_TTL),
            scales: Flights::new(DECIMALS_TTL),
        })
    }

    /// Asks every node who it is, at once. Nothing is remembered of the answers.
    pub async fn probe(&self) -> Vec<NodeReport> {
        join_all(self.nodes.all().iter().map(|node| self.report(node))).await
    }

    async fn report(&self, node: &Node) -> NodeReport {
        let started = Instant::now();
        let timed = async {
            let id = self.inquire::<Number>(node, "eth_chainId").await;
            (id, started.elapsed())
        };
        let version = self.inquire::<String>(node, "web3_clientVersion");
        let ((id, took), version) = join(timed, version).await;
        NodeReport {
            url: node.shown().to_owned(),
            chain_id: id.map(|Number(id)| ChainId(id)).map_err(|fault| fault.to_string()),
            latency: millis(took),
            client_version: version.ok(),
        }
    }

    async fn inquire<T: DeserializeOwned>(
        &self,
        node: &Node,
        method: &'static str,
    ) -> Result<T, Fault> {
        let question = Question::new(method, &[(); 0])?;
        self.nodes.inquire(node, &question, Answer::typed).await
    }

    /// What one node says, of which several things are asked that have to fit together.
    pub(crate) async fn consult<'s, T>(
        &'s self,
        ask: impl for<'v> Fn(&'v Visit<'s>) -> BoxFuture<'v, Result<T, Fault>> + Send,
    ) -> Result<T, ChainError> {
        let mut round = self.nodes.round();
        while let Some(visit) = round.next().await {
            match ask(&visit).await {
                Ok(value) => {
                    visit.went_well();
                    return Ok(value);
                }
                Err(fault) => round.blame(&visit, fault),
            }
        }
        Err(round.failed())
    }

    pub(crate) fn question(
        &self,
        method: &'static str,
        params: &impl Serialize,
    ) -> Result<Question, ChainError> {
        Question::new(method, params).map_err(|fault| self.unavailable(&fault.to_string()))
    }

    pub(crate) fn unavailable(&self, reason: &str) -> ChainError {
        ChainError::Unavailable { chain: self.id, reason: reason.to_owned() }
    }

    pub(crate) async fn fetch_has_code(&self, address: Address) -> Result<bool, ChainError> {
        let question = self.question("eth_getCode", &(address, "latest"))?;
        self.nodes.ask(&question, |answer| answer.typed().map(|Data(code)| !code.is_empty())).await
    }
}

async fn account_at(visit: &Visit<'_>, address: Address) -> Result<Account, Fault> {
    let params = (address, "latest");
    let balance = visit.fetch("eth_getBalance", &params);
    let nonce = visit.fetch("eth_getTransactionCount", &params);
    let (Word(balance), Number(nonce)) = try_join(balance, nonce).await?;
    Ok(Account { balance, nonce })
}

#[async_trait]
impl Chain for NodeChain {
    fn id(&self) -> ChainId {
        self.id
    }

    async fn read(&self, call: ReadCall) -> Result<ReadAnswer, ChainError> {
        let ReadCall { method, params } = call;
        let params = RawValue::from_string(params)
            .map_err(|_| self.unavailable("the parameters of the call are not JSON"))?;
        let question = Question { method, params };
        let answer = self.nodes.ask(&question, Ok).await?;
        Ok(match answer {
            Answer::Result(text) => ReadAnswer::Result(text.into()),
            Answer::Error(NodeError { code, message, data }) => {
                ReadAnswer::Error { code, message, data: data.map(text) }
            }
        })
    }

    async fn head(&self) -> Result<Head, ChainError> {
        let fetched = self.consult(|visit| Box::pin(self.head_at(visit)));
        self.heads.share((), fetched).await
    }

    async fn account(&self, address: Address) -> Result<Account, ChainError> {
        let head = self.head().await?;
        let sends = self.sends.load(Ordering::SeqCst);
        let fetched = self.consult(|visit| Box::pin(account_at(visit, address)));
        self.accounts.share((sends, head.hash, address), fetched).await
    }

    async fn account_with(&self, address: Address, mined: u64) -> Result<Account, ChainError> {
        let head = self.head().await?;
        let fetched = self.consult(|visit| Box::pin(account_at(visit, address)));
        let account = self.standing.share((head.hash, address), fetched).await?;
        if account.nonce >= mined { Ok(account) } else { self.account(address).await }
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
            Answer::Result(_) => answer.typed().map(|Number(gas)| Estimate::Gas(gas)),
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
        self.mined(hash, None).await
    }

    async fn receipt_of(&self, expected: &Expected) -> Result<Option<Actual>, ChainError> {
        self.mined(expected.hash, Some(expected)).await
    }

    async fn finality(&self, actual: &Actual) -> Result<Finality, ChainError> {
        self.finality_of(actual).await
    }

    async fn block_hash(&self, height: u64) -> Result<Option<B256>, ChainError> {
        self.canonical_hash(height).await
    }

    async fn final_nonce(&self, address: Address) -> Result<u64, ChainError> {
        self.lowest_final_nonce(address).await
    }

    async fn at_finality(&self, probes: &[Probe]) -> Result<AtFinality, ChainError> {
        self.said_at_finality(probes).await
    }

    async fn data_fee_max(&self, plan: &TransactionPlan) -> Result<U256, ChainError> {
        match self.data_fee {
            DataFee::Oracle => self.oracle_fee_max(plan).await,
            DataFee::None => Ok(U256::ZERO),
        }
    }

    async fn estimate_in_order(
        &self,
        from: Address,
        drafts: &[TransactionDraft],
    ) -> Result<Vec<Estimate>, ChainError> {
        if let Some(estimates) = self.estimated_in_order(from, drafts).await? {
            return Ok(estimates);
        }
        try_join_all(drafts.iter().map(|draft| self.estimate_gas(from, draft))).await
    }

    async fn simulate(
        &self,
        wallet: Address,
        plan: &TransactionPlan,
    ) -> Result<Simulated, ChainError> {
        self.simulated(wallet, plan).await
    }

    async fn decimals(&self, token: Address) -> Result<Option<U256>, ChainError> {
        self.scales.share(token, self.fetch_decimals(token)).await
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
pub(crate) struct Call<'a> {
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
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    authorization_list: &'a [countersign_core::transaction::Authorization],
}

impl<'a> Call<'a> {
    /// The same without a fee: what it needs does not depend on it, and balances do.
    pub(crate) fn unpriced(from: Address, draft: &'a TransactionDraft) -> Self {
        let call = Self::new(from, draft);
        Self { gas_price: None, max_fee_per_gas: None, max_priority_fee_per_gas: None, ..call }
    }

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
            authorization_list: &draft.authorizations,
        }
    }
}
