//! A node: the chain as it saw it last, and its pool.

use std::{collections::BTreeMap, sync::Arc};

use alloy_primitives::{Address, B256};
use countersign_engine::port::chain::Broadcast;

use super::block::{Block, Known, Mined};

#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) blocks: Vec<Arc<Block>>,
    pub(super) pool: BTreeMap<(Address, u64), Arc<Known>>,
    pub(super) is_up: bool,
}

impl Node {
    pub(super) fn new(genesis: &Arc<Block>) -> Self {
        Self { blocks: vec![Arc::clone(genesis)], pool: BTreeMap::new(), is_up: true }
    }

    pub(super) fn tip(&self) -> &Arc<Block> {
        self.blocks.last().unwrap()
    }

    pub(super) fn block(&self, number: u64) -> Option<&Arc<Block>> {
        self.blocks.get(usize::try_from(number).unwrap())
    }

    /// Sees the canonical chain as it is now.
    pub(super) fn see(&mut self, truth: &[Arc<Block>]) {
        self.blocks.truncate(truth.len());
        while let Some(last) = self.blocks.last() {
            if Arc::ptr_eq(last, &truth[self.blocks.len() - 1]) {
                break;
            }
            self.blocks.pop();
        }
        self.blocks.extend_from_slice(&truth[self.blocks.len()..]);
    }

    /// The receipt, unless its block is among the newest `hidden` ones: counts come before receipts.
    pub(super) fn receipt(&self, hash: B256, hidden: usize) -> Option<&Mined> {
        let blocks = self.blocks.iter().rev().skip(hidden);
        blocks.flat_map(|block| &block.mined).find(|mined| mined.actual.hash == hash)
    }

    /// Looks at a transaction as a node does, with its own view, and keeps it if it likes it.
    pub(super) fn take(&mut self, transaction: &Arc<Known>) -> Broadcast {
        let account = self.tip().account(transaction.from);
        let held = self.pool.get(&transaction.slot());
        if held.is_some_and(|held| held.hash == transaction.hash) {
            return Broadcast::Accepted;
        }
        if transaction.nonce < account.nonce {
            return Broadcast::NonceTooLow("nonce too low".into());
        }
        if transaction.cost_max() > account.balance {
            return Broadcast::Refused("insufficient funds for gas * price + value".into());
        }
        if held.is_some_and(|held| transaction.max_fee < held.max_fee / 10 * 11) {
            return Broadcast::Underpriced("replacement transaction underpriced".into());
        }
        self.pool.insert(transaction.slot(), Arc::clone(transaction));
        Broadcast::Accepted
    }

    /// Drops what a block has made impossible.
    pub(super) fn forget_used(&mut self, block: &Block) {
        self.pool.retain(|(from, nonce), _| *nonce >= block.account(*from).nonce);
    }
}
