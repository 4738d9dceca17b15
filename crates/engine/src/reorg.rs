//! Notices when a chain takes blocks back, and takes back what was settled in them.
//!
//! Receipts that are not final yet are the tracker's matter. This looks at what was settled by the chain's own rule
//! of finality and is gone all the same.

use std::{collections::BTreeMap, sync::Arc};

use alloy_primitives::B256;
use countersign_core::{
    identity::ChainId,
    operation::{Actual, OperationRecord},
    trace::Severity,
};

use crate::{
    engine::Engine,
    port::{
        chain::{ChainError, Finality},
        ledger::SETTLED_KEPT,
    },
    setup::ChainSetup,
};

/// How far above the head settlements are looked at when a gateway starts; below it as far as they are kept. What
/// happened meanwhile is not known, nor how many blocks came after it.
const START_ABOVE: u64 = 64;

/// For how many looks after a reorg the same blocks are looked at again: a settlement may have been on its way.
const LOOKS_AGAIN: u8 = 3;

/// The blocks of one chain as they were seen last.
#[derive(Debug, Default)]
pub(crate) struct SeenBlocks {
    hashes: BTreeMap<u64, B256>,
    again: Option<Suspect>,
    begun: bool,
}

/// A stretch of blocks in which settlements may be gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Suspect {
    from: u64,
    to: u64,
    looks: u8,
}

impl SeenBlocks {
    fn newest(&self) -> Option<(u64, B256)> {
        self.hashes.last_key_value().map(|(number, hash)| (*number, *hash))
    }

    /// The first hash that was seen at a height stays until it is found to be gone.
    fn note(&mut self, number: u64, hash: B256) {
        self.hashes.entry(number).or_insert(hash);
        let highest = self.newest().map_or(number, |(highest, _)| highest);
        let kept = self.hashes.split_off(&highest.saturating_sub(SETTLED_KEPT));
        self.hashes = kept;
    }

    /// Forgets what is above `fork`.
    fn cut(&mut self, fork: Option<u64>) {
        match fork {
            Some(fork) => drop(self.hashes.split_off(&fork.saturating_add(1))),
            None => self.hashes.clear(),
        }
    }

    /// Whether the stretch below and above the first head was looked at.
    fn has_begun(&mut self) -> bool {
        std::mem::replace(&mut self.begun, true)
    }

    /// What is to be looked at now, once more or for the first time.
    fn due(&mut self) -> Option<Suspect> {
        let due = self.again?;
        let left = due.looks.saturating_sub(1);
        self.again = (left > 0).then_some(Suspect { looks: left, ..due });
        Some(due)
    }

    fn suspect(&mut self, from: u64, to: u64) {
        let (from, to) = match self.again {
            Some(other) => (from.min(other.from), to.max(other.to)),
            None => (from, to),
        };
        self.again = Some(Suspect { from, to, looks: LOOKS_AGAIN });
    }
}

impl Engine {
    /// Remembers the block of a settlement: between two looks a chain may come and go.
    pub(crate) fn note_block(&self, chain: ChainId, actual: &Actual) {
        self.blocks_of(chain, |seen| seen.note(actual.block_number, actual.block_hash));
    }

    /// One look at every chain. Chains are looked at one after the other, each with its own deadlines.
    pub(crate) async fn watch_chains(self: &Arc<Self>) {
        for chain in self.setup().chains.values() {
            if let Err(error) = self.watch_chain(chain).await {
                tracing::debug!(chain = %chain.id, %error, "a chain cannot be watched for reorgs now");
            }
        }
    }

    async fn watch_chain(self: &Arc<Self>, chain: &ChainSetup) -> Result<(), ChainError> {
        let head = chain.port.head().await?;
        self.compare(chain, head.number).await?;
        // the head may come from a cache that is older than the reorg just found
        if let Some(hash) = chain.port.block_hash(head.number).await? {
            self.blocks_of(chain.id, |seen| seen.note(head.number, hash));
        }
        if let Some(suspect) = self.blocks_of(chain.id, SeenBlocks::due) {
            self.look_through(chain, suspect).await;
        }
        Ok(())
    }

    /// Compares the newest block that was seen with the chain as it is.
    async fn compare(&self, chain: &ChainSetup, head: u64) -> Result<(), ChainError> {
        if !self.blocks_of(chain.id, SeenBlocks::has_begun) {
            let (from, to) = (head.saturating_sub(SETTLED_KEPT), head.saturating_add(START_ABOVE));
            self.blocks_of(chain.id, |seen| seen.suspect(from, to));
        }
        let Some((top, hash)) = self.blocks_of(chain.id, |seen| seen.newest()) else {
            return Ok(());
        };
        if chain.port.block_hash(top).await? == Some(hash) {
            return Ok(());
        }
        let fork = self.fork(chain).await?;
        let from = fork.map_or(top.saturating_sub(SETTLED_KEPT), |fork| fork.saturating_add(1));
        tracing::warn!(chain = %chain.id, from, to = top, "the chain has taken blocks back");
        self.blocks_of(chain.id, |seen| {
            seen.cut(fork);
            seen.suspect(from, top);
        });
        Ok(())
    }

    /// The highest block that was seen and still stands.
    async fn fork(&self, chain: &ChainSetup) -> Result<Option<u64>, ChainError> {
        let seen: Vec<(u64, B256)> = self
            .blocks_of(chain.id, |seen| seen.hashes.iter().rev().map(|(n, h)| (*n, *h)).collect());
        for (number, hash) in seen {
            if chain.port.block_hash(number).await? == Some(hash) {
                return Ok(Some(number));
            }
        }
        Ok(None)
    }

    async fn look_through(self: &Arc<Self>, chain: &ChainSetup, suspect: Suspect) {
        let mut gone: u64 = 0;
        for block in suspect.from..=suspect.to {
            let settled = match self.ports().ledger.settled_in(chain.id, block).await {
                Ok(settled) => settled,
                Err(error) => {
                    tracing::warn!(chain = %chain.id, block, %error, "settlements cannot be looked at; again later");
                    self.blocks_of(chain.id, |seen| seen.suspect(block, suspect.to));
                    break;
                }
            };
            for record in settled {
                if self.take_back(chain, &record).await {
                    gone = gone.saturating_add(1);
                }
            }
        }
        if gone > 0 {
            let title = format!(
                "a reorg of chain {} took back blocks {} to {}, with {gone} settled transactions",
                chain.id, suspect.from, suspect.to
            );
            self.raise(Severity::High, "reorg", &title, None).await;
        }
    }

    /// Takes a settlement back if its block is gone; `true` if it did. The same bytes are sent again at once.
    async fn take_back(self: &Arc<Self>, chain: &ChainSetup, record: &OperationRecord) -> bool {
        let Some(actual) = &record.actual else { return false };
        match chain.port.finality(actual).await {
            Ok(Finality::Gone) => {}
            Ok(Finality::Final) => return false,
            // the chain is shorter than it was: the next block at this height tells
            Ok(Finality::Pending) => {
                let block = actual.block_number;
                self.blocks_of(chain.id, |seen| seen.suspect(block, block));
                return false;
            }
            Err(error) => {
                tracing::warn!(operation = %record.id, %error, "a settlement cannot be looked at; again later");
                let block = actual.block_number;
                self.blocks_of(chain.id, |seen| seen.suspect(block, block));
                return false;
            }
        }
        match self.ports().ledger.unsettle(record.id).await {
            Ok(record) => {
                tracing::warn!(operation = %record.id, hash = ?record.hash(), "a settlement was taken back");
                self.follow_at_once(&record);
                true
            }
            Err(error) => {
                tracing::error!(operation = %record.id, %error, "a settlement is gone and not taken back yet");
                let block = actual.block_number;
                self.blocks_of(chain.id, |seen| seen.suspect(block, block));
                false
            }
        }
    }

    fn blocks_of<T>(&self, chain: ChainId, look: impl FnOnce(&mut SeenBlocks) -> T) -> T {
        look(self.seen_blocks().entry(chain).or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_suspect_is_looked_at_three_times_and_then_forgotten() {
        let mut seen = SeenBlocks::default();
        seen.suspect(5, 7);
        assert_eq!(seen.due().map(|s| (s.from, s.to)), Some((5, 7)));
        seen.suspect(6, 9);
        let looks = std::iter::from_fn(|| seen.due()).map(|s| (s.from, s.to)).collect::<Vec<_>>();
        assert_eq!(looks, [(5, 9); 3]);
    }

    #[test]
    fn blocks_above_the_fork_are_forgotten_and_old_ones_too() {
        let mut seen = SeenBlocks::default();
        for number in 0..400 {
            seen.note(number, B256::repeat_byte(1));
        }
        assert_eq!(seen.hashes.len(), 257);
        seen.cut(Some(390));
        assert_eq!(seen.newest().map(|(number, _)| number), Some(390));
        seen.cut(None);
        assert_eq!(seen.newest(), None);
    }
}
