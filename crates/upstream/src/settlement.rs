//! What money moves on: receipts, whether they are final, and how far an account has come.
//!
//! A node may lie, lag, or follow a fork. So a receipt has to agree with what was signed; whether it
//! is final is asked of one node about its own chain; and where several nodes are configured, none of
//! the others may contradict it.

use std::sync::Arc;

use alloy_primitives::{Address, B256, Bytes, U256};
use countersign_core::{message::Probe, operation::Actual};
use countersign_engine::port::chain::{AtFinality, ChainError, Expected, Finality};
use futures_util::future::{try_join, try_join_all};
use serde::Serialize;

use crate::{
    chain::NodeChain,
    node::{Round, Visit},
    options::FinalityRule,
    transport::Fault,
    wire::{Answer, Block, Data, NodeError, Number, Receipt, Wei, Word, quantity},
    words,
};

/// What the operator's scalar is divided by on OP-stack chains between Isthmus and Jovian.
const OPERATOR_SCALE: u64 = 1_000_000;
/// What it is multiplied by since.
const OPERATOR_FACTOR: u64 = 100;

impl NodeChain {
    /// The receipt of `hash`, if a node has one for a mined transaction.
    pub(crate) async fn mined(
        &self,
        hash: B256,
        expected: Option<&Expected>,
    ) -> Result<Option<Actual>, ChainError> {
        let question = self.question("eth_getTransactionReceipt", &[hash])?;
        let read = |answer: Answer| match answer.typed::<Option<Receipt>>()? {
            Some(receipt) => actual(&receipt, hash, expected),
            None => Ok(None),
        };
        // `None` is worth asking another node, who may be ahead
        let found = |answer| match read(answer)? {
            None => Err(Fault::Refused(no_receipt())),
            found => Ok(found),
        };
        if self.nodes.are_several()
            && let Ok(found) = self.nodes.ask(&question, found).await
        {
            return Ok(found);
        }
        self.nodes.ask(&question, read).await
    }

    /// What the first node that answers says, unless another one contradicts it.
    pub(crate) async fn finality_of(&self, actual: &Actual) -> Result<Finality, ChainError> {
        let mut round = self.nodes.round();
        let verdict = loop {
            let Some(visit) = round.next().await else { return Err(round.failed()) };
            match self.finality_at(&visit, actual).await {
                Ok(verdict) => {
                    visit.went_well();
                    break verdict;
                }
                Err(fault) => round.blame(&visit, fault),
            }
        };
        match verdict {
            Finality::Pending => Ok(Finality::Pending),
            // another node still holds it: time will tell who is right
            Finality::Gone if self.finds(&mut round, actual, |ours| ours).await => {
                Ok(Finality::Pending)
            }
            Finality::Gone => Ok(Finality::Gone),
            Finality::Final if self.finds(&mut round, actual, |ours| !ours).await => {
                let height = actual.block_number;
                Err(self.unavailable(&format!("its nodes disagree about block {height}")))
            }
            Finality::Final => Ok(Finality::Final),
        }
    }

    /// Whether one of the nodes that are left, and fit, has a block at the receipt's height of which
    /// `wanted` holds; it is told whether that is the receipt's block.
    async fn finds(
        &self,
        round: &mut Round<'_>,
        actual: &Actual,
        wanted: fn(bool) -> bool,
    ) -> bool {
        while let Some(visit) = round.next_fit().await {
            match self.recent_block(&visit, actual.block_number).await.as_deref() {
                Ok(Some(block)) if wanted(block.hash == actual.block_hash) => return true,
                Ok(_) => {}
                Err(fault) => round.blame(&visit, fault.clone()),
            }
        }
        false
    }

    async fn finality_at(&self, visit: &Visit<'_>, actual: &Actual) -> Result<Finality, Fault> {
        let canonical = self.recent_block(visit, actual.block_number);
        let (canonical, newest_final) = try_join(canonical, self.final_number(visit)).await?;
        match &*canonical {
            Some(block) if block.hash != actual.block_hash => Ok(Finality::Gone),
            Some(block) if !block.transactions.contains(&actual.hash) => {
                Err(Fault::Nonsense("a block without the transaction of its receipt".into()))
            }
            Some(_) if newest_final >= Some(actual.block_number) => Ok(Finality::Final),
            // none: a node that is behind, or a chain that has just become shorter; time will tell
            Some(_) | None => Ok(Finality::Pending),
        }
    }

    /// The number of the newest block that is final by the chain's rule, as this node sees it.
    async fn final_number(&self, visit: &Visit<'_>) -> Result<Option<u64>, Fault> {
        match self.finality {
            FinalityRule::Finalized => {
                let params = ("finalized", false);
                let finalized = visit.fetch::<Option<Block>>("eth_getBlockByNumber", &params);
                let (finalized, newest) = try_join(finalized, self.newest_number(visit)).await?;
                match finalized {
                    Some(block) if block.number.0 > newest => {
                        Err(Fault::Nonsense("a finalized block above the newest".into()))
                    }
                    finalized => Ok(finalized.map(|block| block.number.0)),
                }
            }
            FinalityRule::Blocks(count) => {
                let newest = self.newest_number(visit).await?;
                Ok(newest.checked_sub(count.saturating_sub(1)))
            }
        }
    }

    /// A block of a node's chain: one question for all receipts in it.
    async fn recent_block(
        &self,
        visit: &Visit<'_>,
        height: u64,
    ) -> Result<Arc<Option<Block>>, Fault> {
        let fetched = async { block_at(visit, height).await.map(Arc::new) };
        self.blocks.share((visit.index(), height), fetched).await
    }

    async fn newest_number(&self, visit: &Visit<'_>) -> Result<u64, Fault> {
        let fetched = async { Ok(self.newest(visit).await?.number.0) };
        self.numbers.share(visit.index(), fetched).await
    }

    /// The lowest count of all nodes that answer: one that lies or is ahead proves nothing alone.
    pub(crate) async fn lowest_final_nonce(&self, address: Address) -> Result<u64, ChainError> {
        let mut round = self.nodes.round();
        let mut lowest: Option<u64> = None;
        loop {
            let next = if lowest.is_some() { round.next_fit().await } else { round.next().await };
            let Some(visit) = next else { break };
            match self.final_nonce_at(&visit, address).await {
                Ok(nonce) => lowest = Some(lowest.map_or(nonce, |lowest| lowest.min(nonce))),
                Err(fault) => round.blame(&visit, fault),
            }
        }
        lowest.ok_or_else(|| round.failed())
    }

    async fn final_nonce_at(&self, visit: &Visit<'_>, address: Address) -> Result<u64, Fault> {
        // before the first final block nothing is final: the count of the genesis block
        let block = self.final_number(visit).await?.unwrap_or(0);
        let params = (address, quantity(block));
        let Number(nonce) = visit.fetch("eth_getTransactionCount", &params).await?;
        Ok(nonce)
    }

    /// What every node that answers says alike: one that lies or is ahead proves nothing alone.
    pub(crate) async fn said_at_finality(
        &self,
        probes: &[Probe],
    ) -> Result<AtFinality, ChainError> {
        let mut round = self.nodes.round();
        let mut agreed: Option<AtFinality> = None;
        loop {
            let next = if agreed.is_some() { round.next_fit().await } else { round.next().await };
            let Some(visit) = next else { break };
            match self.probe_at(&visit, probes).await {
                Ok(said) => {
                    agreed = Some(agreed.map_or_else(|| said.clone(), |a| alike(&a, &said)));
                }
                Err(fault) => round.blame(&visit, fault),
            }
        }
        agreed.ok_or_else(|| round.failed())
    }

    async fn probe_at(&self, visit: &Visit<'_>, probes: &[Probe]) -> Result<AtFinality, Fault> {
        let height = self.final_number(visit).await?.unwrap_or(0);
        let block = self.recent_block(visit, height).await?;
        let Some(block) = &*block else {
            return Err(Fault::Nonsense("a final block that it does not have".into()));
        };
        let answers = probes.iter().map(|probe| ask(visit, probe, height));
        let used_up = try_join_all(answers).await?;
        Ok(AtFinality { time: block.timestamp.0, used_up })
    }

    /// The canonical hash at a height as the first node that answers sees it now.
    pub(crate) async fn canonical_hash(&self, height: u64) -> Result<Option<B256>, ChainError> {
        let hash = self.consult(|visit| Box::pin(block_at(visit, height))).await?;
        Ok(hash.map(|block| block.hash))
    }
}

/// A contract's answer; `None` where it has none that can be read.
async fn ask(visit: &Visit<'_>, probe: &Probe, height: u64) -> Result<Option<bool>, Fault> {
    let call = View { to: probe.contract, data: &probe.call };
    match visit.fetch::<Data>("eth_call", &(call, quantity(height))).await {
        Ok(Data(answer)) => Ok(probe.read(&answer)),
        Err(Fault::Refused(error)) if !words::is_trouble(&error) => Ok(None),
        Err(fault) => Err(fault),
    }
}

/// The call object of a view function.
#[derive(Serialize)]
struct View<'a> {
    to: Address,
    data: &'a Bytes,
}

/// The earlier of two times, and the answers that are the same.
fn alike(a: &AtFinality, b: &AtFinality) -> AtFinality {
    let both = a.used_up.iter().zip(&b.used_up);
    let used_up = both.map(|(a, b)| a.filter(|a| Some(*a) == *b)).collect();
    AtFinality { time: a.time.min(b.time), used_up }
}

async fn block_at(visit: &Visit<'_>, height: u64) -> Result<Option<Block>, Fault> {
    let params = (quantity(height), false);
    match visit.fetch::<Option<Block>>("eth_getBlockByNumber", &params).await? {
        Some(block) if block.number.0 != height => {
            Err(Fault::Nonsense("a block of another height".into()))
        }
        block => Ok(block),
    }
}

/// `None` for a transaction that is not mined. What does not fit is not believed.
pub(crate) fn actual(
    receipt: &Receipt,
    hash: B256,
    expected: Option<&Expected>,
) -> Result<Option<Actual>, Fault> {
    let fits = |expected: &Expected| {
        let Expected { hash: _, from, gas, price_max } = *expected;
        let Wei(price) = receipt.effective_gas_price;
        receipt.from == from && receipt.gas_used.0 <= gas && price <= price_max
    };
    if receipt.transaction_hash != hash {
        return Err(Fault::Nonsense("the receipt of another transaction".into()));
    }
    if !expected.is_none_or(fits) {
        return Err(Fault::Nonsense("a receipt that does not fit what was signed".into()));
    }
    let succeeded = match receipt.status {
        Number(0) => false,
        Number(1) => true,
        Number(_) => return Err(Fault::Nonsense("a receipt with no such status".into())),
    };
    let (block_number, block_hash) = match (receipt.block_number, receipt.block_hash) {
        (Some(Number(number)), Some(hash)) => (number, hash),
        (None, None) => return Ok(None),
        _ => return Err(Fault::Nonsense("a receipt with half a block".into())),
    };
    let fee_wei = fee_wei(receipt).ok_or_else(|| Fault::Nonsense("an endless fee".into()))?;
    Ok(Some(Actual { hash, block_number, block_hash, succeeded, fee_wei }))
}

/// Everything that the chain took for it; `None` beyond 256 bits.
fn fee_wei(receipt: &Receipt) -> Option<U256> {
    let (Number(gas), Wei(price)) = (receipt.gas_used, receipt.effective_gas_price);
    let execution = U256::from(gas).checked_mul(U256::from(price))?;
    let data = receipt.l1_fee.map_or(U256::ZERO, |Word(fee)| fee);
    execution.checked_add(data)?.checked_add(operator_fee(receipt)?)
}

fn operator_fee(receipt: &Receipt) -> Option<U256> {
    let of = |number: Option<Number>| U256::from(number.map_or(0, |Number(number)| number));
    let scaled = U256::from(receipt.gas_used.0).checked_mul(of(receipt.operator_fee_scalar))?;
    let variable = match receipt.da_footprint_gas_scalar {
        Some(_) => scaled.checked_mul(U256::from(OPERATOR_FACTOR))?,
        None => scaled.div_ceil(U256::from(OPERATOR_SCALE)),
    };
    variable.checked_add(of(receipt.operator_fee_constant))
}

fn no_receipt() -> NodeError {
    NodeError { code: 0, message: "it has no receipt yet".into(), data: None }
}
