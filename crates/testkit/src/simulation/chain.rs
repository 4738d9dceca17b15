//! A chain that evicts, reorders, mines late, reorgs, and whose nodes see different parts of it.

mod block;
mod node;
mod port;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use alloy_consensus::{SignableTransaction, Transaction, TxEnvelope};
use alloy_eips::eip2718::Decodable2718;
use alloy_primitives::{Address, B256, Bytes, U256};
use countersign_core::time::Timestamp;
use countersign_engine::port::chain::Account;

use self::{
    block::{Block, Bytecode, Known},
    node::Node,
};
use super::{chance::Chance, executor::Executor, log::Log, plan::Plan};

pub(crate) use self::port::{NodePort, OnSend};

const GWEI: u128 = 1_000_000_000;

/// One chain with its nodes.
#[derive(Debug)]
pub(crate) struct Chain {
    pub(crate) executor: Executor,
    pub(crate) log: Arc<Log>,
    pub(crate) chance: Chance,
    pub(crate) plan: Arc<Plan>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// The canonical chain, the newest block last.
    blocks: Vec<Arc<Block>>,
    nodes: Vec<Node>,
    base_fee: u128,
    forks: u64,
    /// Every transaction that ever reached a node: none can be called back.
    known: BTreeMap<B256, Arc<Known>>,
    /// Who made which signing hash.
    signers: BTreeMap<B256, Address>,
    first_mined: BTreeMap<B256, Timestamp>,
    /// Where a transaction is in the canonical chain.
    places: BTreeMap<B256, usize>,
    /// Blocks that were final at some time.
    finals: BTreeSet<B256>,
    bytecode: BTreeMap<Address, Bytecode>,
    heals: bool,
}

/// A transaction of a managed wallet in the canonical chain.
#[derive(Debug, Clone)]
pub(crate) struct Spend {
    pub(crate) transaction: Arc<Known>,
    pub(crate) succeeded: bool,
    pub(crate) fee_wei: U256,
    /// When it was in a block for the first time, on any fork, by the store's clock.
    pub(crate) first_at: Timestamp,
}

impl Chain {
    pub(crate) fn new(executor: Executor, log: Arc<Log>, plan: Arc<Plan>, seed: u64) -> Self {
        let genesis = Arc::new(Block::genesis());
        let nodes = vec![Node::new(&genesis); usize::try_from(plan.nodes).unwrap()];
        let state = State {
            blocks: vec![genesis],
            nodes,
            base_fee: GWEI,
            forks: 0,
            known: BTreeMap::new(),
            signers: BTreeMap::new(),
            first_mined: BTreeMap::new(),
            places: BTreeMap::new(),
            finals: BTreeSet::new(),
            bytecode: BTreeMap::new(),
            heals: false,
        };
        let chance = Chance::new(seed, 2);
        Self { executor, log, chance, plan, state: Mutex::new(state) }
    }

    /// Gives an account wei, in a block of its own.
    pub(crate) fn fund(&self, address: Address, balance: U256) {
        let mut state = self.state();
        let mut accounts = (*state.tip().accounts).clone();
        accounts.entry(address).or_insert(Account { balance: U256::ZERO, nonce: 0 }).balance =
            balance;
        let block = state.next_block(vec![], accounts);
        state.append(block, self.plan.confirmations);
        state.everybody_sees();
    }

    /// From now on value sent there may come back.
    pub(crate) fn may_revert(&self, address: Address) {
        self.state().bytecode.insert(address, Bytecode::MayRevert);
    }

    /// The key of `address` signed this.
    pub(crate) fn knows_signer(&self, signing_hash: B256, address: Address) {
        self.state().signers.insert(signing_hash, address);
    }

    /// From now on nodes and miners do their duty.
    pub(crate) fn heal(&self) {
        let mut state = self.state();
        state.heals = true;
        state.base_fee = GWEI;
        state.nodes.iter_mut().for_each(|node| node.is_up = true);
        state.everybody_sees();
    }

    /// Takes a node away, or brings it back.
    pub(crate) fn toggle_node(&self) {
        let mut state = self.state();
        let place = self.chance.index(state.nodes.len());
        let up = state.nodes[place].is_up;
        state.nodes[place].is_up = !up;
        self.log.event("chain.node_toggled", u64::from(up), || format!("node {place}: up {}", !up));
    }

    /// The next block, with what the miner likes; what was mined.
    pub(crate) fn mine(&self) -> Vec<Spend> {
        let mut state = self.state();
        state.move_base_fee(self);
        state.mine(self);
        state.some_see(self);
        state.tip().mined.iter().map(|mined| state.spend(mined)).collect()
    }

    /// The newest `depth` blocks never were; others take their place. What was mined in those.
    pub(crate) fn reorg(&self, depth: u64) -> Vec<Spend> {
        let mut state = self.state();
        let deepest = u64::try_from(state.blocks.len()).unwrap().saturating_sub(2);
        let depth = depth.min(deepest);
        if depth == 0 {
            return Vec::new();
        }
        let what = if depth > self.plan.confirmations { "chain.deep_reorg" } else { "chain.reorg" };
        self.log.event(what, depth, || format!("{depth} blocks from {}", state.tip().number));
        state.reorg(depth, self);
        state.some_see(self);
        let newest = state.blocks.iter().rev().take(usize::try_from(depth).unwrap());
        newest.flat_map(|block| &block.mined).map(|mined| state.spend(mined)).collect()
    }

    /// Pools forget, exchange and remember.
    pub(crate) fn stir_pools(&self) {
        let mut state = self.state();
        let kind = self.chance.below(4);
        match kind {
            0 => {
                let place = self.chance.index(state.nodes.len());
                if !state.nodes[place].pool.is_empty() {
                    state.nodes[place].pool.clear();
                    self.log.event("chain.evicted", 0, || format!("node {place}"));
                }
            }
            1 => state.remember_one(self),
            _ => state.gossip(),
        }
    }

    /// Somebody who has signed bytes sends them, past every gateway.
    pub(crate) fn send_past(&self, raw: &Bytes, hash: B256) {
        let mut state = self.state();
        if let Some(transaction) = Self::read(&mut state, raw, hash) {
            let place = self.chance.index(state.nodes.len());
            state.nodes[place].take(&transaction);
        }
    }

    /// The owner of a key uses it without us.
    pub(crate) fn use_key_elsewhere(&self, address: Address) {
        let mut state = self.state();
        let nonce = state.tip().account(address).nonce;
        let foreign = Arc::new(Known::foreign(address, nonce, self.chance.draw()));
        state.known.insert(foreign.hash, Arc::clone(&foreign));
        state.mine_first(vec![foreign], self);
        state.everybody_sees();
        self.log.event("chain.foreign", nonce, || format!("nonce {nonce} of {address}"));
    }

    /// An account, in truth.
    pub(crate) fn account(&self, address: Address) -> Account {
        self.state().tip().account(address)
    }

    /// What is in the canonical chain, in truth, oldest first.
    pub(crate) fn spends(&self) -> Vec<Spend> {
        let state = self.state();
        let mined = state.blocks.iter().flat_map(|block| &block.mined);
        mined.map(|mined| state.spend(mined)).collect()
    }

    /// The canonical receipt of a hash, in truth, and whether it is final.
    pub(crate) fn truth(&self, hash: B256) -> Option<(Spend, bool)> {
        let state = self.state();
        let block = &state.blocks[*state.places.get(&hash)?];
        let mined = block.mined.iter().find(|mined| mined.actual.hash == hash)?;
        let is_final = block.number <= state.last_final(self.plan.confirmations);
        Some((state.spend(mined), is_final))
    }

    /// Whether a block was final at some time, in truth.
    pub(crate) fn was_final(&self, block: B256) -> bool {
        self.state().finals.contains(&block)
    }

    /// Whether a block is in the chain now, in truth.
    pub(crate) fn is_canonical(&self, block: B256) -> bool {
        self.state().blocks.iter().any(|known| known.hash == block)
    }

    /// Whether this account's nonce is final, in truth.
    pub(crate) fn is_nonce_final(&self, address: Address, nonce: u64) -> bool {
        let state = self.state();
        let last_final = state.last_final(self.plan.confirmations);
        let block = state.blocks.iter().rev().find(|block| block.number <= last_final);
        block.is_some_and(|block| block.account(address).nonce > nonce)
    }

    /// Whether something that was signed for us could still be mined.
    pub(crate) fn waiting(&self) -> usize {
        self.state().nodes.iter().map(|node| node.pool.len()).max().unwrap_or(0)
    }

    /// Reads signed bytes; `None` if they are nothing that a node would take.
    fn read(state: &mut State, raw: &Bytes, hash: B256) -> Option<Arc<Known>> {
        if let Some(known) = state.known.get(&hash) {
            return Some(Arc::clone(known));
        }
        let envelope = TxEnvelope::decode_2718(&mut raw.as_ref()).ok()?;
        if *envelope.tx_hash() != hash {
            return None;
        }
        let from = *state.signers.get(&signing_hash(&envelope))?;
        let known = Arc::new(Known {
            hash,
            from,
            nonce: envelope.nonce(),
            to: envelope.to(),
            value: envelope.value(),
            gas: envelope.gas_limit(),
            max_fee: envelope.max_fee_per_gas(),
            tip: envelope.max_priority_fee_per_gas().unwrap_or(envelope.max_fee_per_gas()),
            is_foreign: false,
        });
        state.known.insert(hash, Arc::clone(&known));
        Some(known)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn signing_hash(envelope: &TxEnvelope) -> B256 {
    match envelope {
        TxEnvelope::Legacy(signed) => signed.tx().signature_hash(),
        TxEnvelope::Eip2930(signed) => signed.tx().signature_hash(),
        TxEnvelope::Eip1559(signed) => signed.tx().signature_hash(),
        _ => B256::ZERO,
    }
}

impl State {
    fn tip(&self) -> &Arc<Block> {
        self.blocks.last().unwrap()
    }

    fn append(&mut self, block: Block, confirmations: u64) {
        for mined in &block.mined {
            self.places.insert(mined.actual.hash, self.blocks.len());
        }
        self.blocks.push(Arc::new(block));
        let last_final = usize::try_from(self.last_final(confirmations)).unwrap();
        let became_final = self.blocks.get(last_final).map(|block| block.hash);
        self.finals.extend(became_final);
    }

    fn last_final(&self, confirmations: u64) -> u64 {
        (self.tip().number + 1).saturating_sub(confirmations)
    }

    fn spend(&self, mined: &block::Mined) -> Spend {
        Spend {
            transaction: Arc::clone(&mined.transaction),
            succeeded: mined.actual.succeeded,
            fee_wei: mined.actual.fee_wei,
            first_at: self.first_mined.get(&mined.actual.hash).copied().unwrap_or_default(),
        }
    }

    fn next_block(&self, mined: Vec<block::Mined>, accounts: BTreeMap<Address, Account>) -> Block {
        let number = self.tip().number + 1;
        let hash = Block::hash_of(number, self.forks);
        Block { number, hash, base_fee: self.base_fee, mined, accounts: Arc::new(accounts) }
    }

    /// At most an eighth per block, and sometimes a storm.
    fn move_base_fee(&mut self, chain: &Chain) {
        if self.heals {
            return;
        }
        let eighth = self.base_fee / 8;
        match chain.chance.below(10) {
            0..=2 => self.base_fee += eighth,
            3..=5 => self.base_fee -= eighth,
            _ => {}
        }
        if chain.chance.permille(chain.plan.storm) {
            self.base_fee *= 3;
            chain.log.event("chain.fee_storm", 0, String::new);
        }
        self.base_fee = self.base_fee.clamp(GWEI / 10, 400 * GWEI);
    }

    fn mine(&mut self, chain: &Chain) {
        self.mine_first(Vec::new(), chain);
    }

    /// A block that begins with these, and goes on with what the pools hold.
    fn mine_first(&mut self, first: Vec<Arc<Known>>, chain: &Chain) {
        let mut block = self.next_block(Vec::new(), (*self.tip().accounts).clone());
        let mut accounts = (*block.accounts).clone();
        for transaction in first {
            block.execute(transaction, &mut accounts, (&self.bytecode, &chain.chance));
        }
        let senders: BTreeSet<Address> =
            self.nodes.iter().flat_map(|node| node.pool.keys().map(|(from, _)| *from)).collect();
        for from in senders {
            while let Some(next) = self.candidate(from, &accounts, chain) {
                if !self.heals && chain.chance.permille(chain.plan.late_mining) {
                    chain.log.reach("chain.mined_late");
                    break;
                }
                let executed = block.execute(next, &mut accounts, (&self.bytecode, &chain.chance));
                if !executed {
                    break;
                }
            }
        }
        block.accounts = Arc::new(accounts);
        let now = chain.executor.store_time();
        for mined in &block.mined {
            self.first_mined.entry(mined.actual.hash).or_insert(now);
            chain.log.event("chain.mined", mined.transaction.nonce, || {
                let succeeded = mined.actual.succeeded;
                format!("{} in block {}: {succeeded}", mined.transaction, mined.actual.block_number)
            });
        }
        self.nodes.iter_mut().for_each(|node| node.forget_used(&block));
        self.append(block, chain.plan.confirmations);
    }

    /// What some pool offers for an account's next nonce, if the fee is enough.
    fn candidate(
        &self,
        from: Address,
        accounts: &BTreeMap<Address, Account>,
        chain: &Chain,
    ) -> Option<Arc<Known>> {
        let nonce = accounts.get(&from).map_or(0, |account| account.nonce);
        let offers = self.nodes.iter().filter_map(|node| node.pool.get(&(from, nonce)));
        let offers: Vec<&Arc<Known>> =
            offers.filter(|offer| offer.max_fee >= self.base_fee).collect();
        if offers.is_empty() {
            return None;
        }
        Some(Arc::clone(chain.chance.pick(&offers)))
    }

    fn reorg(&mut self, depth: u64, chain: &Chain) {
        let keep = self.blocks.len() - usize::try_from(depth).unwrap();
        let gone = self.blocks.split_off(keep);
        self.forks += 1;
        let mut first = Vec::new();
        let mut rest: Vec<Arc<Known>> = Vec::new();
        for mined in gone.iter().flat_map(|block| &block.mined) {
            self.places.remove(&mined.actual.hash);
            rest.push(Arc::clone(&mined.transaction));
            if mined.transaction.is_foreign {
                // what a stranger signed stays, and with it what it stands on
                first.append(&mut rest);
            }
        }
        for transaction in rest {
            if !self.heals && chain.chance.permille(chain.plan.reorg_drops) {
                chain
                    .log
                    .event("chain.dropped_by_reorg", transaction.nonce, || transaction.to_string());
                continue;
            }
            let place = chain.chance.index(self.nodes.len());
            self.nodes[place].pool.entry(transaction.slot()).or_insert(transaction);
        }
        self.mine_first(first, chain);
        for _ in 1..depth {
            self.mine(chain);
        }
    }

    fn everybody_sees(&mut self) {
        let Self { blocks, nodes, .. } = self;
        for node in nodes.iter_mut() {
            node.see(blocks);
        }
    }

    /// A node may be behind, but not for long.
    fn some_see(&mut self, chain: &Chain) {
        let tip = self.tip().number;
        for place in 0..self.nodes.len() {
            let behind = tip.saturating_sub(self.nodes[place].tip().number);
            let lags = !self.heals && chain.chance.permille(chain.plan.node_lag);
            if lags && behind < chain.plan.lag_max {
                chain.log.reach("chain.node_behind");
            } else {
                let Self { blocks, nodes, .. } = self;
                nodes[place].see(blocks);
            }
        }
    }

    /// Something that every pool forgot comes back: whoever saw it may send it again.
    fn remember_one(&mut self, chain: &Chain) {
        let tip = Arc::clone(self.tip());
        let alive: Vec<Arc<Known>> = self
            .known
            .values()
            .filter(|known| !known.is_foreign && known.nonce >= tip.account(known.from).nonce)
            .cloned()
            .collect();
        if alive.is_empty() {
            return;
        }
        let back = chain.chance.pick(&alive);
        let place = chain.chance.index(self.nodes.len());
        chain.log.event("chain.remembered", back.nonce, || back.to_string());
        self.nodes[place].pool.insert(back.slot(), back);
    }

    fn gossip(&mut self) {
        let all: Vec<Arc<Known>> =
            self.nodes.iter().flat_map(|node| node.pool.values().cloned()).collect();
        for transaction in all {
            for node in &mut self.nodes {
                let better = node
                    .pool
                    .get(&transaction.slot())
                    .is_none_or(|held| held.max_fee / 10 * 11 <= transaction.max_fee);
                if better {
                    node.pool.insert(transaction.slot(), Arc::clone(&transaction));
                }
            }
        }
    }
}
