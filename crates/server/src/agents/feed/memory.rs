//! Which blocks of a chain were told, so that each is told once, and taken back if the chain takes it back.

use std::{collections::VecDeque, sync::Arc};

use alloy_primitives::B256;
use countersign_engine::port::{Chain, chain::ChainError};

use super::{Block, Log};

/// The most blocks that come with one look; beyond it, nobody can say what was missed.
const BLOCKS_MAX: usize = 128;
/// How many blocks can be taken back.
const BLOCKS_KEPT: usize = 128;
/// The most bytes of what is kept; the oldest blocks go first.
const BYTES_KEPT: usize = 32 * 1024 * 1024;

/// What one look has shown.
#[derive(Debug, Default)]
pub(crate) struct Look {
    /// What the chain took back, the newest first.
    gone: Vec<Arc<Block>>,
    /// What came, the oldest first.
    come: Vec<Arc<Block>>,
}

/// One thing that happened.
#[derive(Debug)]
pub(crate) enum Event<'l> {
    /// A block has come: its header as JSON.
    Head(&'l str),
    /// A log of a block that has come.
    Log(&'l Log),
    /// A log of a block that the chain took back.
    Removed(&'l Log),
}

impl Look {
    /// What happened, in order: first what was taken back, then each block with its logs.
    pub(crate) fn events(&self) -> impl Iterator<Item = Event<'_>> {
        let gone = self.gone.iter().flat_map(|block| block.logs.iter().rev().map(Event::Removed));
        let come = self.come.iter().flat_map(|block| {
            let head = std::iter::once(Event::Head(&block.header));
            head.chain(block.logs.iter().map(Event::Log))
        });
        gone.chain(come)
    }
}

/// Why a look has shown nothing.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unseen {
    /// The next one may.
    Later(String),
    /// More blocks came than can be told.
    Never,
}

/// The blocks that were told last, each the parent of the next.
#[derive(Debug, Default)]
pub(crate) struct Memory(VecDeque<Arc<Block>>);

impl Memory {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// From here on blocks are told.
    pub(crate) async fn begin(&mut self, port: &dyn Chain) -> Result<(), ChainError> {
        let head = port.head().await?;
        let (number, hash, parent) = (head.number, head.hash, B256::ZERO);
        let block = Block { number, hash, parent, header: String::new(), logs: Vec::new() };
        self.0 = [Arc::new(block)].into();
        Ok(())
    }

    /// Sees what has changed; `None` for nothing. Nothing is remembered of a look that broke off: the next one begins
    /// where this one did.
    pub(crate) async fn look(
        &mut self,
        port: &dyn Chain,
        logs: bool,
    ) -> Result<Option<Look>, Unseen> {
        let head = port.head().await.map_err(|error| Unseen::Later(error.to_string()))?;
        let mut come = Vec::new();
        let mut hash = head.hash;
        let fork = loop {
            let fork = self.place(hash);
            if fork.is_some() || self.is_below(come.last()) {
                break fork;
            }
            if come.len() >= BLOCKS_MAX {
                return Err(Unseen::Never);
            }
            let block = Block::fetch(port, hash, logs).await.map_err(Unseen::Later)?;
            hash = block.parent;
            come.push(Arc::new(block));
        };
        // a head that was told before is a node that lags behind, not a chain that shrank
        if come.is_empty() {
            return Ok(None);
        }
        come.reverse();
        Ok(Some(self.turn(fork, come)))
    }

    fn place(&self, hash: B256) -> Option<usize> {
        self.0.iter().rposition(|block| block.hash == hash)
    }

    /// Whether a block stands where the oldest does, or below: no block that is remembered is its ancestor.
    fn is_below(&self, block: Option<&Arc<Block>>) -> bool {
        let (oldest, block) = (self.0.front(), block.map(|block| block.number));
        oldest.is_some_and(|oldest| block.is_some_and(|number| number <= oldest.number))
    }

    /// Goes on from the block at `fork`; from below the oldest where it is `None`.
    fn turn(&mut self, fork: Option<usize>, come: Vec<Arc<Block>>) -> Look {
        let kept = fork.map_or(0, |fork| fork.saturating_add(1));
        let mut gone: Vec<_> = self.0.split_off(kept).into();
        gone.reverse();
        self.0.extend(come.iter().cloned());
        let mut bytes = self.0.iter().map(|block| block.bytes()).fold(0, usize::saturating_add);
        while self.0.len() > BLOCKS_KEPT || (bytes > BYTES_KEPT && self.0.len() > 1) {
            let oldest = self.0.pop_front();
            bytes = bytes.saturating_sub(oldest.map_or(0, |block| block.bytes()));
        }
        Look { gone, come }
    }
}

#[cfg(test)]
mod tests;
