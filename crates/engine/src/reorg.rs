//! Notices when a chain takes blocks back, and takes back what was settled in them.
//!
//! Receipts that are not final yet are the tracker's matter. This looks at what was settled by the chain's own rule
//! of finality and is gone all the same.

use std::{collections::BTreeMap, ops::RangeInclusive, sync::Arc};

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
        ledger::{LedgerError, LedgerStatus, SETTLED_KEPT},
    },
    setup::ChainSetup,
};

/// How far above the head settlements are looked at when a gateway starts, or a person has accepted the books; below it
/// as far as they are kept. What happened meanwhile is not known, nor how many blocks came after it.
const START_ABOVE: u64 = 64;

/// For how many looks after a reorg the same blocks are looked at again: a settlement may have been on its way. For as
/// many a block is compared that was noted, or was the newest until then: nodes may disagree, and a reorg may come
/// between two questions of one look.
const LOOKS_AGAIN: u8 = 3;

/// How often a look asks the same question before it breaks off.
const ASK_MAX: u8 = 3;

/// The blocks of one chain as they were seen last.
#[derive(Debug, Default)]
pub(crate) struct SeenBlocks {
    hashes: BTreeMap<u64, B256>,
    /// The blocks that are compared besides the newest, for so many looks more.
    fresh: BTreeMap<u64, u8>,
    /// The blocks in which settlements may be gone, for so many looks more.
    suspects: BTreeMap<u64, u8>,
    /// The ledger's epoch in which the stretch below and above a head was looked at.
    begun: Option<u64>,
    /// The books were not whole when they were asked last.
    doubted: bool,
}

impl SeenBlocks {
    fn newest(&self) -> Option<(u64, B256)> {
        self.hashes.last_key_value().map(|(number, hash)| (*number, *hash))
    }

    /// The first hash that was seen at a height stays until it is found to be gone.
    fn note(&mut self, number: u64, hash: B256) {
        let newest = self.newest().map(|(newest, _)| newest);
        self.fresh.extend(newest.filter(|newest| *newest != number).map(|n| (n, LOOKS_AGAIN)));
        self.fresh.insert(number, LOOKS_AGAIN);
        self.hashes.entry(number).or_insert(hash);
        let lowest =
            newest.map_or(number, |newest| newest.max(number)).saturating_sub(SETTLED_KEPT);
        self.hashes = self.hashes.split_off(&lowest);
        self.fresh = self.fresh.split_off(&lowest);
    }

    /// What a look compares with the chain, the newest first.
    fn compared(&self) -> Vec<(u64, B256)> {
        let newest = self.newest();
        let is_compared = |number: u64| {
            newest.is_some_and(|(n, _)| n == number) || self.fresh.contains_key(&number)
        };
        let seen = self.hashes.iter().rev().map(|(number, hash)| (*number, *hash));
        seen.filter(|(number, _)| is_compared(*number)).collect()
    }

    /// All that was compared stands.
    fn stands(&mut self, compared: &[(u64, B256)]) {
        for (number, _) in compared {
            count_down(&mut self.fresh, *number);
        }
    }

    /// What an earlier look found standing below `gone`, the highest first. A block that was noted since may belong to
    /// the new chain: that it stands says nothing of what was seen below it.
    fn stood_below(&self, gone: u64) -> Vec<(u64, B256)> {
        let stood = |number: u64| self.fresh.get(&number) != Some(&LOOKS_AGAIN);
        let seen = self.hashes.range(..gone).rev().map(|(number, hash)| (*number, *hash));
        seen.filter(|(number, _)| stood(*number)).collect()
    }

    /// Forgets what was seen above `fork` up to `top`. What was noted above that meanwhile is compared at the next look.
    fn cut(&mut self, fork: Option<u64>, top: u64) {
        let gone = |number: u64| fork.is_none_or(|fork| number > fork) && number <= top;
        self.hashes.retain(|number, _| !gone(*number));
        self.fresh.retain(|number, _| !gone(*number));
    }

    /// Whether the stretch below and above a head was looked at since a person has accepted the books: those that they
    /// accept may be others than those that were looked at.
    fn has_begun(&mut self, epoch: Option<u64>) -> bool {
        let before = self.begun;
        self.begun = epoch.or(before);
        before.is_some() && before == self.begun
    }

    /// Books that lack history are sealed and do not say what was settled: once they are whole again, everything is
    /// looked at anew.
    const fn trust(&mut self, whole: Option<bool>) {
        match whole {
            Some(false) => self.doubted = true,
            Some(true) if self.doubted => (self.doubted, self.begun) = (false, None),
            Some(true) | None => {}
        }
    }

    /// The blocks to be looked at now: first those that were looked at least often, so that whatever breaks a look off,
    /// the next goes on behind it.
    fn due(&self) -> Vec<u64> {
        let mut due: Vec<(u8, u64)> = self.suspects.iter().map(|(n, looks)| (*looks, *n)).collect();
        due.sort_by_key(|(looks, number)| (std::cmp::Reverse(*looks), *number));
        due.into_iter().map(|(_, number)| number).collect()
    }

    /// A block was looked at.
    fn looked_at(&mut self, number: u64) {
        count_down(&mut self.suspects, number);
    }

    fn suspect(&mut self, blocks: RangeInclusive<u64>) {
        self.suspects.extend(blocks.map(|number| (number, LOOKS_AGAIN)));
    }
}

/// One look less; none left is forgotten.
fn count_down(looks: &mut BTreeMap<u64, u8>, number: u64) {
    let Some(left) = looks.get_mut(&number) else { return };
    *left = left.saturating_sub(1);
    if *left == 0 {
        looks.remove(&number);
    }
}

impl Engine {
    /// Remembers the block of a settlement: between two looks a chain may come and go.
    pub(crate) fn note_block(&self, chain: ChainId, actual: &Actual) {
        self.blocks_of(chain, |seen| seen.note(actual.block_number, actual.block_hash));
    }

    /// One look at every chain. Chains are looked at one after the other, each with its own deadlines.
    pub(crate) async fn watch_chains(self: &Arc<Self>) {
        let books = self.ports().ledger.describe().await.ok();
        let whole = books.as_ref().map(LedgerStatus::is_whole);
        if whole != Some(true) {
            self.forget_adoption();
        }
        let epoch = books.map(|books| books.epoch);
        for chain in self.setup().chains.values() {
            self.blocks_of(chain.id, |seen| seen.trust(whole));
            if let Err(error) = self.watch_chain(chain, epoch).await {
                tracing::debug!(chain = %chain.id, %error, "a chain cannot be watched for reorgs now");
            }
        }
    }

    async fn watch_chain(
        self: &Arc<Self>,
        chain: &ChainSetup,
        epoch: Option<u64>,
    ) -> Result<(), ChainError> {
        let head = chain.port.head().await?;
        if !self.blocks_of(chain.id, |seen| seen.has_begun(epoch)) {
            let from = head.number.saturating_sub(SETTLED_KEPT);
            let to = head.number.saturating_add(START_ABOVE);
            self.blocks_of(chain.id, |seen| seen.suspect(from..=to));
        }
        self.compare(chain).await?;
        // the head may come from a cache that is older than the reorg just found
        if let Some(hash) = chain.port.block_hash(head.number).await? {
            self.blocks_of(chain.id, |seen| seen.note(head.number, hash));
        }
        let due = self.blocks_of(chain.id, |seen| seen.due());
        self.look_through(chain, &due).await;
        Ok(())
    }

    /// Compares the blocks that were seen last with the chain as it is.
    async fn compare(&self, chain: &ChainSetup) -> Result<(), ChainError> {
        let compared = self.blocks_of(chain.id, |seen| seen.compared());
        let Some((top, _)) = compared.first().copied() else { return Ok(()) };
        let Some(lowest) = lowest_gone(chain, &compared).await? else {
            self.blocks_of(chain.id, |seen| seen.stands(&compared));
            return Ok(());
        };
        let fork = self.fork(chain, lowest).await?;
        let from = fork.map_or(top.saturating_sub(SETTLED_KEPT), |fork| fork.saturating_add(1));
        tracing::warn!(chain = %chain.id, from, to = top, "the chain has taken blocks back");
        self.blocks_of(chain.id, |seen| {
            seen.cut(fork, top);
            seen.suspect(from..=top);
        });
        Ok(())
    }

    /// The highest block below `gone` that stood at an earlier look and still stands.
    async fn fork(&self, chain: &ChainSetup, gone: u64) -> Result<Option<u64>, ChainError> {
        for (number, hash) in self.blocks_of(chain.id, |seen| seen.stood_below(gone)) {
            if chain.port.block_hash(number).await? == Some(hash) {
                return Ok(Some(number));
            }
        }
        Ok(None)
    }

    async fn look_through(self: &Arc<Self>, chain: &ChainSetup, due: &[u64]) {
        let mut gone: Vec<u64> = Vec::new();
        for block in due.iter().copied() {
            let settled = match self.settled_in(chain.id, block).await {
                Ok(settled) => settled,
                Err(error) => {
                    tracing::warn!(chain = %chain.id, block, %error, "settlements cannot be looked at; again later");
                    break;
                }
            };
            self.blocks_of(chain.id, |seen| seen.looked_at(block));
            for record in settled {
                if self.take_back(chain, &record).await {
                    gone.push(block);
                }
            }
        }
        if let (Some(from), Some(to)) = (gone.iter().min(), gone.iter().max()) {
            let title = format!(
                "a reorg of chain {} took back {} settled transactions in blocks {from} to {to}",
                chain.id,
                gone.len()
            );
            let of = ("reorg", &*chain.id.to_string());
            self.report(Severity::High, of, (&title, String::new()), None).await;
        }
    }

    /// Asks again at once: a look has many questions, and must come to its end before the blocks are forgotten.
    async fn settled_in(
        &self,
        chain: ChainId,
        block: u64,
    ) -> Result<Vec<OperationRecord>, LedgerError> {
        let mut asked: u8 = 1;
        loop {
            match self.ports().ledger.settled_in(chain, block).await {
                Err(_) if asked < ASK_MAX => asked = asked.saturating_add(1),
                answer => return answer,
            }
        }
    }

    /// Takes a settlement back if its block is gone; `true` if it did. The same bytes are sent again at once.
    async fn take_back(self: &Arc<Self>, chain: &ChainSetup, record: &OperationRecord) -> bool {
        let Some(actual) = &record.actual else { return false };
        let look_again = || {
            let block = actual.block_number;
            self.blocks_of(chain.id, |seen| seen.suspect(block..=block));
            false
        };
        match chain.port.finality(actual).await {
            Ok(Finality::Gone) => {}
            Ok(Finality::Final) => return false,
            // the chain is shorter than it was: the next block at this height tells
            Ok(Finality::Pending) => return look_again(),
            Err(error) => {
                tracing::warn!(operation = %record.id, %error, "a settlement cannot be looked at; again later");
                return look_again();
            }
        }
        if !Box::pin(self.charge_again(record.clone())).await {
            return look_again();
        }
        match self.ports().ledger.unsettle(record.id).await {
            Ok(record) => {
                tracing::warn!(operation = %record.id, hash = ?record.hash(), "a settlement was taken back");
                self.follow_at_once(&record);
                true
            }
            Err(error) => {
                tracing::error!(operation = %record.id, %error, "a settlement is gone and not taken back yet");
                look_again()
            }
        }
    }

    fn blocks_of<T>(&self, chain: ChainId, look: impl FnOnce(&mut SeenBlocks) -> T) -> T {
        look(self.seen_blocks().entry(chain).or_default())
    }
}

/// The lowest of these blocks that is not in the chain as it is.
async fn lowest_gone(
    chain: &ChainSetup,
    compared: &[(u64, B256)],
) -> Result<Option<u64>, ChainError> {
    let mut lowest = None;
    for (number, hash) in compared {
        if chain.port.block_hash(*number).await? != Some(*hash) {
            lowest = Some(*number);
        }
    }
    Ok(lowest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_suspect_is_looked_at_three_times_and_then_forgotten() {
        let mut seen = SeenBlocks::default();
        let look = |seen: &mut SeenBlocks| {
            let due = seen.due();
            for number in &due {
                seen.looked_at(*number);
            }
            due
        };
        seen.suspect(5..=7);
        assert_eq!(look(&mut seen), [5, 6, 7]);
        seen.suspect(7..=9);
        let looks: Vec<Vec<u64>> = (0..4).map(|_| look(&mut seen)).collect();
        assert_eq!(looks, [vec![7, 8, 9, 5, 6], vec![7, 8, 9, 5, 6], vec![7, 8, 9], vec![]]);
    }

    #[test]
    fn the_books_are_looked_through_once_for_each_time_that_a_person_accepts_them() {
        let mut seen = SeenBlocks::default();
        let looks = [None, Some(3), Some(3), None, Some(3), Some(4), None, Some(4)];
        let begun = looks.map(|epoch| seen.has_begun(epoch));
        assert_eq!(begun, [false, false, true, true, true, false, true, true]);
    }

    #[test]
    fn a_look_that_breaks_off_goes_on_where_it_was() {
        let mut seen = SeenBlocks::default();
        seen.suspect(1..=5);
        let first_two = |seen: &mut SeenBlocks| {
            let due: Vec<u64> = seen.due().into_iter().take(2).collect();
            for number in &due {
                seen.looked_at(*number);
            }
            due
        };
        let looks: Vec<Vec<u64>> = (0..3).map(|_| first_two(&mut seen)).collect();
        assert_eq!(looks, [[1, 2], [3, 4], [5, 1]]);
    }

    #[test]
    fn the_block_that_was_newest_is_compared_for_three_looks_more() {
        let mut seen = SeenBlocks::default();
        let look = |seen: &mut SeenBlocks, head: u64| {
            let compared = seen.compared();
            seen.stands(&compared);
            seen.note(head, B256::repeat_byte(1));
            compared.into_iter().map(|(number, _)| number).collect::<Vec<_>>()
        };
        let looks = [5, 5, 9, 9, 9, 9, 9].map(|head| look(&mut seen, head));
        let both = || vec![9, 5];
        assert_eq!(looks, [vec![], vec![5], vec![5], both(), both(), both(), vec![9]]);
    }

    #[test]
    fn blocks_above_the_fork_are_forgotten_and_old_ones_too() {
        let mut seen = SeenBlocks::default();
        for number in 0..400 {
            seen.note(number, B256::repeat_byte(1));
        }
        assert_eq!(seen.hashes.len(), 257);
        seen.cut(Some(390), 399);
        assert_eq!(seen.newest().map(|(number, _)| number), Some(390));
        seen.cut(None, 390);
        assert_eq!(seen.newest(), None);
    }

    #[test]
    fn what_was_noted_while_a_look_compared_is_compared_by_the_next() {
        let mut seen = SeenBlocks::default();
        seen.note(315, B256::repeat_byte(1));
        let compared = seen.compared();
        seen.note(318, B256::repeat_byte(2));
        seen.cut(Some(300), compared[0].0);
        seen.note(315, B256::repeat_byte(3));
        let next = [(318, B256::repeat_byte(2)), (315, B256::repeat_byte(3))];
        assert_eq!(seen.compared(), next);
    }

    #[test]
    fn a_block_that_was_noted_since_the_last_look_is_no_fork() {
        let mut seen = SeenBlocks::default();
        seen.note(263, B256::repeat_byte(1));
        seen.note(318, B256::repeat_byte(1));
        let compared = seen.compared();
        seen.stands(&compared);
        // a receipt of the new chain, before anybody has noticed that there is one
        seen.note(265, B256::repeat_byte(2));
        assert_eq!(seen.stood_below(318), [(263, B256::repeat_byte(1))]);
    }
}
