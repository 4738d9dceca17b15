//! A chain in memory: accounts, a mempool, and blocks that a test mines.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use alloy_consensus::{Transaction, TxEnvelope, transaction::SignerRecoverable};
use alloy_eips::eip2718::Decodable2718;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use async_trait::async_trait;
use countersign_core::{
    fact::Simulated,
    identity::ChainId,
    message::Probe,
    operation::Actual,
    transaction::{TransactionDraft, TransactionPlan},
};
use countersign_engine::port::{
    Chain,
    chain::{
        Account, AtFinality, Broadcast, ChainError, Estimate, Finality, Head, ReadAnswer, ReadCall,
    },
};
use serde_json::{Value, json};

/// One chain with one node. Nothing is mined before [`FakeChain::mine`]; values move and fees are
/// paid, code is not run.
#[derive(Debug)]
pub struct FakeChain {
    id: ChainId,
    state: Mutex<State>,
}

/// What the node does with signed bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Mood {
    /// Takes what is valid.
    #[default]
    Takes,
    /// Says no, with these words, and forgets the bytes.
    Refuses(String),
    /// Takes the bytes, but its answer is lost.
    LosesReplies,
    /// Never sees the bytes; the caller gets no answer.
    Drops,
}

#[derive(Debug, Default)]
struct State {
    accounts: BTreeMap<Address, Account>,
    code: BTreeSet<Address>,
    reverting: BTreeSet<Address>,
    base_fee: u128,
    data_fee: U256,
    final_time: u64,
    used_up: BTreeMap<Bytes, bool>,
    fork: u64,
    confirmations: u64,
    pool: Vec<Pending>,
    blocks: Vec<Block>,
    sent: Vec<Bytes>,
    mood: Mood,
    estimate: Option<Estimate>,
    reads: BTreeMap<String, ReadAnswer>,
    down: bool,
    simulated: Option<Simulated>,
    simulations: u64,
    decimals: BTreeMap<Address, U256>,
    /// Logs that wait for the next block.
    logs: Vec<(Address, Vec<B256>)>,
}

#[derive(Debug, Clone)]
struct Pending {
    from: Address,
    transaction: TxEnvelope,
}

#[derive(Debug, Clone)]
struct Block {
    hash: B256,
    before: BTreeMap<Address, Account>,
    mined: Vec<Mined>,
    logs: Vec<(Address, Vec<B256>)>,
}

#[derive(Debug, Clone)]
struct Mined {
    pending: Pending,
    actual: Actual,
}

const GWEI: u128 = 1_000_000_000;

impl FakeChain {
    /// An empty chain: base fee and tip 1 gwei, a block is final with its first confirmation.
    #[must_use]
    pub fn new(id: ChainId) -> Self {
        let state = State { base_fee: GWEI, confirmations: 1, ..State::default() };
        Self { id, state: Mutex::new(state) }
    }

    /// Gives an account so much wei.
    pub fn fund(&self, address: Address, balance: U256) {
        self.state().account(address).balance = balance;
    }

    /// Says that an address has code.
    pub fn deploy(&self, address: Address) {
        self.state().code.insert(address);
    }

    /// From now on transactions to this address revert when they are mined.
    pub fn revert_calls_to(&self, address: Address) {
        self.state().reverting.insert(address);
    }

    /// Sets the base fee, in wei per gas.
    pub fn set_base_fee(&self, base_fee: u128) {
        self.state().base_fee = base_fee;
    }

    /// The time of the newest final block, in seconds since the epoch.
    pub fn set_final_time(&self, seconds: u64) {
        self.state().final_time = seconds;
    }

    /// What a contract answers, at the newest final block, to the question whether a signature is used up. A question
    /// that has no answer cannot be read.
    pub fn set_used_up(&self, call: &Bytes, is_used_up: bool) {
        self.state().used_up.insert(call.clone(), is_used_up);
    }

    /// What the chain adds to each fee, in wei; twice that is said to be the most.
    pub fn set_data_fee(&self, data_fee: U256) {
        self.state().data_fee = data_fee;
    }

    /// How many blocks, the receipt's own included, make a receipt final.
    pub fn set_confirmations(&self, confirmations: u64) {
        self.state().confirmations = confirmations;
    }

    /// What the node does with signed bytes from now on.
    pub fn set_mood(&self, mood: Mood) {
        self.state().mood = mood;
    }

    /// What gas estimates say from now on; `None`: 21 000, or 60 000 with data.
    pub fn set_estimate(&self, estimate: Option<Estimate>) {
        self.state().estimate = estimate;
    }

    /// What a read is answered.
    pub fn answer_read(&self, method: &str, answer: ReadAnswer) {
        self.state().reads.insert(method.into(), answer);
    }

    /// Whether no node can be reached.
    pub fn set_down(&self, down: bool) {
        self.state().down = down;
    }

    /// What every transaction would do; `None`: no node can tell.
    pub fn set_simulated(&self, simulated: Option<Simulated>) {
        self.state().simulated = simulated;
    }

    /// How often it was asked what a transaction would do.
    #[must_use]
    pub fn simulations(&self) -> u64 {
        self.state().simulations
    }

    /// What a token says of its decimals; others say nothing.
    pub fn set_decimals(&self, token: Address, decimals: U256) {
        self.state().decimals.insert(token, decimals);
    }

    /// Forgets everything that is not mined.
    pub fn evict(&self) {
        self.state().pool.clear();
    }

    /// Every signed transaction that reached the node, in order, repetitions too.
    #[must_use]
    pub fn sent(&self) -> Vec<Bytes> {
        self.state().sent.clone()
    }

    /// An account as it is.
    #[must_use]
    pub fn peek(&self, address: Address) -> Account {
        *self.state().account(address)
    }

    /// The next block that is mined has this log.
    pub fn log(&self, address: Address, topics: &[B256]) {
        self.state().logs.push((address, topics.to_vec()));
    }

    /// Mines one block with everything whose turn it is.
    pub fn mine(&self) {
        self.state().mine();
    }

    /// Takes the newest `depth` blocks back; their transactions wait again, but for those whose
    /// nonce is taken in the pool.
    pub fn reorg(&self, depth: usize) {
        let mut state = self.state();
        let orphans = state.unwind(depth);
        for orphan in orphans {
            if !state.pool.iter().any(|waiting| waiting.has_nonce_of(&orphan)) {
                state.pool.push(orphan);
            }
        }
    }

    /// Takes the newest `depth` blocks back; nobody remembers their transactions.
    pub fn reorg_dropping(&self, depth: usize) {
        self.state().unwind(depth);
    }

    /// A transaction of the key's owner that never went through the gateway uses up a nonce.
    pub fn use_nonce_elsewhere(&self, address: Address) {
        self.state().account(address).nonce += 1;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn up(&self) -> Result<MutexGuard<'_, State>, ChainError> {
        let state = self.state();
        if state.down {
            let reason = "the test says so".into();
            return Err(ChainError::Unavailable { chain: self.id, reason });
        }
        Ok(state)
    }
}

impl State {
    fn account(&mut self, address: Address) -> &mut Account {
        self.accounts.entry(address).or_insert(Account { balance: U256::ZERO, nonce: 0 })
    }

    fn number(&self) -> u64 {
        u64::try_from(self.blocks.len()).unwrap()
    }

    /// The hash that the next block will have: a height has another one on each fork.
    fn next_hash(&self) -> B256 {
        keccak256(format!("block {} of fork {}", self.number() + 1, self.fork))
    }

    /// The canonical hash at this height; that of the block before the first is fixed.
    fn block_hash(&self, number: u64) -> Option<B256> {
        match usize::try_from(number).unwrap().checked_sub(1) {
            None => Some(keccak256("genesis")),
            Some(place) => self.blocks.get(place).map(|block| block.hash),
        }
    }

    fn take(&mut self, raw: &Bytes) -> Broadcast {
        let transaction = TxEnvelope::decode_2718(&mut raw.as_ref()).unwrap();
        let from = transaction.recover_signer().unwrap();
        let pending = Pending { from, transaction };
        let account = *self.account(from);
        let hash = *pending.transaction.tx_hash();
        if self.pool.iter().any(|other| *other.transaction.tx_hash() == hash) {
            return Broadcast::Accepted;
        }
        if pending.transaction.nonce() < account.nonce {
            return Broadcast::NonceTooLow("nonce too low".into());
        }
        if pending.cost() > account.balance {
            return Broadcast::Refused("insufficient funds for gas * price + value".into());
        }
        if let Some(place) = self.pool.iter().position(|other| other.has_nonce_of(&pending)) {
            let needed = self.pool[place].transaction.max_fee_per_gas() / 10 * 11;
            if pending.transaction.max_fee_per_gas() < needed {
                return Broadcast::Underpriced("replacement transaction underpriced".into());
            }
            self.pool.remove(place);
        }
        self.pool.push(pending);
        Broadcast::Accepted
    }

    fn mine(&mut self) {
        let (hash, before) = (self.next_hash(), self.accounts.clone());
        let mut mined = Vec::new();
        self.pool.sort_by_key(|pending| (pending.from, pending.transaction.nonce()));
        for pending in std::mem::take(&mut self.pool) {
            if pending.transaction.nonce() == self.account(pending.from).nonce {
                mined.push(self.execute(pending));
            } else {
                self.pool.push(pending);
            }
        }
        let logs = std::mem::take(&mut self.logs);
        self.blocks.push(Block { hash, before, mined, logs });
    }

    /// What a node says of a block, or of its logs, by its hash; `null` and no logs for one that is gone.
    fn read_block(&self, call: &ReadCall) -> Option<Value> {
        let params: Value = serde_json::from_str(&call.params).ok()?;
        let hash: B256 = match call.method {
            "eth_getBlockByHash" => serde_json::from_value(params[0].clone()).ok()?,
            "eth_getLogs" => serde_json::from_value(params[0]["blockHash"].clone()).ok()?,
            _ => return None,
        };
        let Some(place) = self.blocks.iter().position(|block| block.hash == hash) else {
            return Some(if call.method == "eth_getLogs" { json!([]) } else { Value::Null });
        };
        let number = u64::try_from(place).unwrap() + 1;
        if call.method == "eth_getBlockByHash" {
            return Some(json!({
                "number": format!("{number:#x}"),
                "hash": hash,
                "parentHash": self.block_hash(number - 1),
                "transactions": [],
            }));
        }
        let log = |(index, (address, topics)): (usize, &(Address, Vec<B256>))| {
            json!({
                "address": address,
                "topics": topics,
                "data": "0x",
                "blockNumber": format!("{number:#x}"),
                "blockHash": hash,
                "logIndex": format!("{index:#x}"),
                "removed": false,
            })
        };
        Some(self.blocks[place].logs.iter().enumerate().map(log).collect())
    }

    fn execute(&mut self, pending: Pending) -> Mined {
        let transaction = &pending.transaction;
        let to = transaction.to();
        let succeeded = to.is_none_or(|to| !self.reverting.contains(&to));
        let price = transaction.effective_gas_price(u64::try_from(self.base_fee).ok());
        let fee_wei = U256::from(transaction.gas_limit()) * U256::from(price) + self.data_fee;
        let value = if succeeded { transaction.value() } else { U256::ZERO };
        let sender = self.account(pending.from);
        sender.nonce += 1;
        sender.balance -= fee_wei + value;
        if let Some(to) = to {
            self.account(to).balance += value;
        }
        let block_number = self.number() + 1;
        let actual = Actual {
            hash: *transaction.tx_hash(),
            block_number,
            block_hash: self.next_hash(),
            succeeded,
            fee_wei,
        };
        Mined { pending, actual }
    }

    /// Everything that happened since those blocks were mined is undone; returns what they held.
    fn unwind(&mut self, depth: usize) -> Vec<Pending> {
        let keep = self.blocks.len().saturating_sub(depth);
        let gone = self.blocks.split_off(keep);
        if let Some(oldest) = gone.first() {
            self.accounts.clone_from(&oldest.before);
        }
        self.fork += 1;
        gone.into_iter().flat_map(|block| block.mined).map(|mined| mined.pending).collect()
    }

    fn mined(&self) -> impl Iterator<Item = &Mined> {
        self.blocks.iter().flat_map(|block| &block.mined)
    }

    fn is_final(&self, block: u64) -> bool {
        self.number() + 1 >= block + self.confirmations
    }
}

impl Pending {
    fn has_nonce_of(&self, other: &Self) -> bool {
        (self.from, self.transaction.nonce()) == (other.from, other.transaction.nonce())
    }

    fn cost(&self) -> U256 {
        let fee = U256::from(self.transaction.max_fee_per_gas());
        self.transaction.value() + fee * U256::from(self.transaction.gas_limit())
    }
}

#[async_trait]
impl Chain for FakeChain {
    fn id(&self) -> ChainId {
        self.id
    }

    async fn read(&self, call: ReadCall) -> Result<ReadAnswer, ChainError> {
        let state = self.up()?;
        let of_block = || {
            state
                .read_block(&call)
                .map(|block| ReadAnswer::Result(block.to_string().into_bytes().into()))
        };
        let unknown = || ReadAnswer::Error {
            code: -32601,
            message: format!("the fake chain has no answer to {}", call.method),
            data: None,
        };
        Ok(state.reads.get(call.method).cloned().or_else(of_block).unwrap_or_else(unknown))
    }

    async fn head(&self) -> Result<Head, ChainError> {
        let state = self.up()?;
        Ok(Head {
            number: state.number(),
            hash: state.block_hash(state.number()).unwrap(),
            gas_limit: 30_000_000,
            base_fee: Some(state.base_fee),
            tip: GWEI,
            gas_price: state.base_fee + GWEI,
        })
    }

    async fn account(&self, address: Address) -> Result<Account, ChainError> {
        Ok(*self.up()?.account(address))
    }

    async fn has_code(&self, address: Address) -> Result<bool, ChainError> {
        Ok(self.up()?.code.contains(&address))
    }

    async fn estimate_gas(
        &self,
        _from: Address,
        draft: &TransactionDraft,
    ) -> Result<Estimate, ChainError> {
        let plain = Estimate::Gas(if draft.data.is_empty() { 21_000 } else { 60_000 });
        Ok(self.up()?.estimate.clone().unwrap_or(plain))
    }

    async fn broadcast(&self, raw: &Bytes, _hash: B256) -> Broadcast {
        let Ok(mut state) = self.up() else {
            return Broadcast::Unknown("connection refused".into());
        };
        if state.mood == Mood::Drops {
            return Broadcast::Unknown("timed out".into());
        }
        state.sent.push(raw.clone());
        match state.mood.clone() {
            Mood::Refuses(words) => Broadcast::Refused(words),
            Mood::LosesReplies => {
                state.take(raw);
                Broadcast::Unknown("timed out".into())
            }
            Mood::Takes | Mood::Drops => state.take(raw),
        }
    }

    async fn receipt(&self, hash: B256) -> Result<Option<Actual>, ChainError> {
        let state = self.up()?;
        Ok(state.mined().map(|mined| mined.actual.clone()).find(|actual| actual.hash == hash))
    }

    async fn finality(&self, actual: &Actual) -> Result<Finality, ChainError> {
        let state = self.up()?;
        Ok(match state.block_hash(actual.block_number) {
            Some(hash) if hash != actual.block_hash => Finality::Gone,
            Some(_) if state.is_final(actual.block_number) => Finality::Final,
            Some(_) | None => Finality::Pending,
        })
    }

    async fn block_hash(&self, number: u64) -> Result<Option<B256>, ChainError> {
        Ok(self.up()?.block_hash(number))
    }

    async fn final_nonce(&self, address: Address) -> Result<u64, ChainError> {
        let mut state = self.up()?;
        let newer = state
            .mined()
            .filter(|m| m.pending.from == address && !state.is_final(m.actual.block_number))
            .count();
        Ok(state.account(address).nonce - u64::try_from(newer).unwrap())
    }

    async fn at_finality(&self, probes: &[Probe]) -> Result<AtFinality, ChainError> {
        let state = self.up()?;
        let used_up = probes.iter().map(|probe| state.used_up.get(&probe.call).copied());
        Ok(AtFinality { time: state.final_time, used_up: used_up.collect() })
    }

    async fn data_fee_max(&self, _plan: &TransactionPlan) -> Result<U256, ChainError> {
        self.up().map(|state| state.data_fee.saturating_mul(U256::from(2)))
    }

    async fn simulate(
        &self,
        _wallet: Address,
        _plan: &TransactionPlan,
    ) -> Result<Simulated, ChainError> {
        let mut state = self.up()?;
        state.simulations += 1;
        let reason = "the fake chain runs no code".into();
        state.simulated.clone().ok_or(ChainError::Unavailable { chain: self.id, reason })
    }

    async fn decimals(&self, token: Address) -> Result<Option<U256>, ChainError> {
        Ok(self.up()?.decimals.get(&token).copied())
    }
}
