//! The engine's `Chain`, as a process sees it through the nodes: late, partly, or not at all.

use std::sync::Arc;

use alloy_primitives::{Address, B256, Bytes, U256};
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
    Chain as ChainPort,
    chain::{
        Account, AtFinality, Broadcast, ChainError, Estimate, Finality, Head, ReadAnswer, ReadCall,
    },
};

use super::{Chain, GWEI, State, node::Node};
use crate::{
    fixture::CHAIN,
    ledger::flawed::Flaw,
    simulation::executor::{Executor, WORLD},
};

/// One process's way to the nodes.
#[derive(Debug)]
pub(crate) struct NodePort {
    chain: Arc<Chain>,
    /// Told of every byte that leaves.
    on_send: Box<dyn OnSend>,
}

/// Looks at signed bytes before they leave.
pub(crate) trait OnSend: std::fmt::Debug + Send + Sync {
    fn leaves(&self, hash: B256);
}

/// What becomes of signed bytes on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Arrives,
    RequestLost,
    ReplyLost,
    ArrivesLate,
    RefusedWithWords,
    TakenAndForgotten,
    TakenAndDenied,
}

impl NodePort {
    pub(crate) fn new(chain: Arc<Chain>, on_send: Box<dyn OnSend>) -> Self {
        Self { chain, on_send }
    }

    /// Asks some node that is up. Every call takes a while, and some never get an answer.
    async fn ask<T>(
        &self,
        question: &'static str,
        answer: impl FnOnce(&State, &Node) -> T,
    ) -> Result<T, ChainError> {
        self.pause().await;
        let chain = &self.chain;
        let fails = chain.chance.permille(chain.plan.node_fails) && !chain.state().heals;
        let answer = {
            let state = chain.state();
            let up: Vec<&Node> = state.nodes.iter().filter(|node| node.is_up).collect();
            if fails || up.is_empty() { None } else { Some(answer(&state, chain.chance.pick(&up))) }
        };
        Executor::turn().await;
        answer.ok_or_else(|| {
            chain.log.event("chain.no_answer", 0, || question.into());
            ChainError::Unavailable { chain: CHAIN, reason: "timed out".into() }
        })
    }

    async fn pause(&self) {
        Executor::turn().await;
        let chain = &self.chain;
        if chain.chance.permille(chain.plan.slow_node) {
            let long = chain.chance.between(1, chain.plan.slow_node_max);
            chain.executor.sleep(Millis(long)).await;
        }
    }

    fn fate(&self) -> Fate {
        let chain = &self.chain;
        if chain.state().heals || !chain.chance.permille(chain.plan.send_trouble) {
            return Fate::Arrives;
        }
        chain.chance.pick(&[
            Fate::RequestLost,
            Fate::ReplyLost,
            Fate::ArrivesLate,
            Fate::RefusedWithWords,
            Fate::TakenAndForgotten,
            Fate::TakenAndDenied,
        ])
    }

    fn arrive(chain: &Chain, raw: &Bytes, hash: B256) -> Broadcast {
        let mut state = chain.state();
        let Some(transaction) = Chain::read(&mut state, raw, hash) else {
            return Broadcast::Refused("invalid sender".into());
        };
        let up: Vec<usize> =
            (0..state.nodes.len()).filter(|place| state.nodes[*place].is_up).collect();
        if up.is_empty() {
            return Broadcast::Unknown("connection refused".into());
        }
        let place = chain.chance.pick(&up);
        state.nodes[place].take(&transaction)
    }

    fn arrive_late(&self, raw: Bytes, hash: B256) {
        let chain = Arc::clone(&self.chain);
        let later = Millis(chain.chance.between(500, 20_000));
        let executor = chain.executor.clone();
        let arrival = async move {
            chain.executor.sleep(later).await;
            Self::arrive(&chain, &raw, hash);
            chain.log.event("chain.arrived_late", 0, || hash.to_string());
        };
        executor.spawn(WORLD, Box::pin(arrival));
    }

    fn words(&self) -> Broadcast {
        let no = [
            Broadcast::NonceTooLow("nonce too low".into()),
            Broadcast::Underpriced("replacement transaction underpriced".into()),
            Broadcast::Refused("insufficient funds for gas * price + value".into()),
            Broadcast::Refused("max fee per gas less than block base fee".into()),
            Broadcast::OtherHash { theirs: B256::repeat_byte(7) },
            Broadcast::Unknown("internal error".into()),
        ];
        self.chain.chance.pick(&no)
    }
}

#[async_trait]
impl ChainPort for NodePort {
    fn id(&self) -> ChainId {
        CHAIN
    }

    async fn read(&self, _call: ReadCall) -> Result<ReadAnswer, ChainError> {
        self.ask("read", |_, _| ReadAnswer::Result(Bytes::from_static(b"null"))).await
    }

    async fn head(&self) -> Result<Head, ChainError> {
        let head = |_: &State, node: &Node| {
            let block = node.tip();
            Head {
                number: block.number,
                hash: block.hash,
                gas_limit: 30_000_000,
                base_fee: Some(block.base_fee),
                tip: GWEI,
                gas_price: block.base_fee + GWEI,
            }
        };
        self.ask("head", head).await
    }

    async fn account(&self, address: Address) -> Result<Account, ChainError> {
        self.ask("account", |_, node| node.tip().account(address)).await
    }

    async fn has_code(&self, address: Address) -> Result<bool, ChainError> {
        self.ask("has_code", |state, _| state.bytecode.contains_key(&address)).await
    }

    async fn estimate_gas(
        &self,
        _from: Address,
        draft: &TransactionDraft,
    ) -> Result<Estimate, ChainError> {
        let calls = self
            .ask("estimate", |state, _| draft.to.is_some_and(|to| state.bytecode.contains_key(&to)))
            .await?;
        let fails = calls && self.chain.chance.percent(10);
        Ok(match (fails, calls) {
            (true, _) => {
                let message = "execution reverted".into();
                Estimate::Fails { code: 3, message, data: None }
            }
            (false, true) => Estimate::Gas(60_000),
            (false, false) => Estimate::Gas(21_000),
        })
    }

    async fn broadcast(&self, raw: &Bytes, hash: B256) -> Broadcast {
        self.on_send.leaves(hash);
        self.pause().await;
        let fate = self.fate();
        let said = match fate {
            Fate::Arrives => Self::arrive(&self.chain, raw, hash),
            Fate::RequestLost => Broadcast::Unknown("connection reset".into()),
            Fate::ReplyLost => {
                Self::arrive(&self.chain, raw, hash);
                Broadcast::Unknown("timed out".into())
            }
            Fate::ArrivesLate => {
                self.arrive_late(raw.clone(), hash);
                Broadcast::Unknown("timed out".into())
            }
            Fate::RefusedWithWords => self.words(),
            Fate::TakenAndForgotten => {
                Chain::read(&mut self.chain.state(), raw, hash);
                Broadcast::Accepted
            }
            Fate::TakenAndDenied => {
                Self::arrive(&self.chain, raw, hash);
                self.words()
            }
        };
        let name = match fate {
            Fate::Arrives => "send.arrives",
            Fate::RequestLost => "send.request_lost",
            Fate::ReplyLost => "send.reply_lost",
            Fate::ArrivesLate => "send.arrives_late",
            Fate::RefusedWithWords => "send.refused_with_words",
            Fate::TakenAndForgotten => "send.taken_and_forgotten",
            Fate::TakenAndDenied => "send.taken_and_denied",
        };
        self.chain.log.event(name, 0, || format!("{:.8}: {said:?}", hash.to_string()));
        Executor::turn().await;
        said
    }

    async fn receipt(&self, hash: B256) -> Result<Option<Actual>, ChainError> {
        let chain = Arc::clone(&self.chain);
        let hides = chain.chance.permille(chain.plan.receipt_lag) && !chain.state().heals;
        let hidden = if hides { chain.chance.index(4) } else { 0 };
        // who has none asks the next, as the adapter does
        let found = |state: &State, first: &Node| {
            let others = state.nodes.iter().filter(|node| node.is_up);
            let mut nodes = std::iter::once(first).chain(others);
            nodes.find_map(|node| node.receipt(hash, hidden).map(|mined| mined.actual.clone()))
        };
        self.ask("receipt", found).await
    }

    async fn finality(&self, actual: &Actual) -> Result<Finality, ChainError> {
        let confirmations = self.chain.plan.confirmations;
        if self.chain.plan.has(Flaw::EverythingIsFinal) {
            return Ok(Finality::Final);
        }
        let finality = |_: &State, node: &Node| {
            let height = node.tip().number;
            match node.block(actual.block_number) {
                Some(block) if block.hash != actual.block_hash => Finality::Gone,
                Some(_) if height + 1 >= actual.block_number + confirmations => Finality::Final,
                Some(_) | None => Finality::Pending,
            }
        };
        self.ask("finality", finality).await
    }

    async fn block_hash(&self, number: u64) -> Result<Option<B256>, ChainError> {
        self.ask("block_hash", |_, node| node.block(number).map(|block| block.hash)).await
    }

    async fn final_nonce(&self, address: Address) -> Result<u64, ChainError> {
        let confirmations = self.chain.plan.confirmations;
        let unfinal = self.chain.plan.has(Flaw::EverythingIsFinal);
        let count = |_: &State, node: &Node| {
            let last_final = (node.tip().number + 1).saturating_sub(confirmations);
            let block = if unfinal { Some(node.tip()) } else { node.block(last_final) };
            block.map_or(0, |block| block.account(address).nonce)
        };
        self.ask("final_nonce", count).await
    }

    async fn at_finality(&self, _probes: &[Probe]) -> Result<AtFinality, ChainError> {
        let reason = "no message is asked for in this world".into();
        Err(ChainError::Unavailable { chain: CHAIN, reason })
    }

    async fn data_fee_max(&self, _plan: &TransactionPlan) -> Result<U256, ChainError> {
        Ok(U256::ZERO)
    }

    async fn simulate(
        &self,
        _wallet: Address,
        _plan: &TransactionPlan,
    ) -> Result<Simulated, ChainError> {
        let reason = "no code is run in this world".into();
        Err(ChainError::Unavailable { chain: CHAIN, reason })
    }

    async fn decimals(&self, _token: Address) -> Result<Option<U256>, ChainError> {
        Ok(None)
    }
}
