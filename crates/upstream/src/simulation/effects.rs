//! What logs and payments come to for one wallet.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, U256, b256};
use countersign_core::{
    fact::{Change, Granted, Simulated},
    token::Asset,
};
use serde::Deserialize;

use crate::wire::Data;

/// More assets or spenders than this are no ordinary transaction.
pub(super) const ENTRIES_MAX: usize = 256;

/// `Transfer(address,address,uint256)`
const TRANSFER: B256 = b256!("ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef");
/// `TransferSingle(address,address,address,uint256,uint256)`
const SINGLE: B256 = b256!("c3d58168c5ae7397731d063d5bbf3d657854427343f4c083240f7aacaa2d0f62");
/// `TransferBatch(address,address,address,uint256[],uint256[])`
const BATCH: B256 = b256!("4a39dc06d4c0dbc64b70af90fd698a233a518aa5d07e595d983b8c0526c8f7fb");
/// `Deposit(address,uint256)`: wrapped currency tells no transfer.
const DEPOSIT: B256 = b256!("e1fffcc4923d04b559f4d29a8bfc6cda04eb5b0d3c460751c2402c5c5cc9109c");
/// `Withdrawal(address,uint256)`
const WITHDRAWAL: B256 = b256!("7fcf532c15f0a6db0bd6d0e038bea71d30d808c7d98cb3bf7268a95bf5081b65");
/// `Approval(address,address,uint256)`
const APPROVAL: B256 = b256!("8c5be1e5ebec7d5bd14f71427d1e84f3dd0314c0f7b2291e5b200ac8c7c3b925");
/// `ApprovalForAll(address,address,bool)`
const FOR_ALL: B256 = b256!("17307eab39ab6107e8899845ad3d59bd9653f200f220920489ca2b5937696c31");
/// `Approval(address,address,address,uint160,uint48)` of Permit2
const PERMIT2: B256 = b256!("da9fa7c1b00402c17d0161b249b1ab8bbec047c5a52207b9c112deffd817036b");
/// `Permit(address,address,address,uint160,uint48,uint48)` of Permit2
const PERMITTED: B256 = b256!("c6a377bfc4eb120024a8ac08eef205be16b817020812c73223e81d1bdb9708ec");

/// An event.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Log {
    address: Address,
    topics: Vec<B256>,
    data: Data,
}

/// Sums for one wallet.
#[derive(Debug)]
pub(super) struct Effects {
    wallet: Address,
    /// Out and in.
    moved: BTreeMap<Asset, (U256, U256)>,
    /// The last word on each.
    granted: BTreeMap<(Asset, Address), U256>,
}

impl Effects {
    pub(super) const fn new(wallet: Address) -> Self {
        Self { wallet, moved: BTreeMap::new(), granted: BTreeMap::new() }
    }

    /// It would fail.
    pub(super) const fn reverted(wallet: Address) -> Simulated {
        Simulated { wallet, reverted: true, changes: Vec::new(), approvals: Vec::new() }
    }

    /// So much less and so much more of the chain's own currency.
    pub(super) fn native(&mut self, lost: U256, gained: U256) {
        let (out, into) = self.moved.entry(Asset::Native).or_default();
        *out = out.saturating_add(lost);
        *into = into.saturating_add(gained);
    }

    /// The chain's own currency goes from one to another.
    pub(super) fn payment(&mut self, from: Address, to: Address, value: U256) {
        self.transfer(Asset::Native, (from, to), value);
    }

    /// An event; what only looks like a known one makes the whole unreadable.
    pub(super) fn log(&mut self, log: &Log) -> Result<(), String> {
        let Some((kind, _)) = log.topics.split_first() else { return Ok(()) };
        let words = Words::of(log);
        match *kind {
            TRANSFER => {
                let [from, to, amount] = words?.exactly()?;
                let (asset, amount) = one_of(log, amount);
                self.transfer(asset, (address(from), address(to)), amount);
            }
            SINGLE => {
                let [_, from, to, id, amount] = words?.exactly()?;
                let item = Asset::Item { collection: log.address, id };
                self.transfer(item, (address(from), address(to)), amount);
            }
            BATCH => self.batch(log, &words?)?,
            DEPOSIT | WITHDRAWAL => {
                let [who, amount] = words?.exactly()?;
                let (who, nobody) = (address(who), Address::ZERO);
                let way = if *kind == DEPOSIT { (nobody, who) } else { (who, nobody) };
                self.transfer(Asset::Token(log.address), way, amount);
            }
            APPROVAL => {
                let [owner, spender, amount] = words?.exactly()?;
                let (asset, amount) = one_of(log, amount);
                self.grant(asset, (owner, spender), amount);
            }
            FOR_ALL => {
                let [owner, operator, approved] = words?.exactly()?;
                let amount = if approved.is_zero() { U256::ZERO } else { U256::MAX };
                self.grant(Asset::Collection(log.address), (owner, operator), amount);
            }
            PERMIT2 => {
                let [owner, token, spender, amount, _] = words?.exactly()?;
                self.grant(Asset::Token(address(token)), (owner, spender), amount);
            }
            PERMITTED => {
                let [owner, token, spender, amount, _, _] = words?.exactly()?;
                self.grant(Asset::Token(address(token)), (owner, spender), amount);
            }
            _ => {}
        }
        Ok(())
    }

    fn batch(&mut self, log: &Log, words: &Words) -> Result<(), String> {
        let (from, to) = (words.at(1)?, words.at(2)?);
        let (ids, amounts) = (words.list(3)?, words.list(4)?);
        if ids.len() != amounts.len() {
            return Err(unreadable());
        }
        for (id, amount) in ids.iter().zip(amounts) {
            let item = Asset::Item { collection: log.address, id: *id };
            self.transfer(item, (address(from), address(to)), *amount);
        }
        Ok(())
    }

    fn transfer(&mut self, asset: Asset, (from, to): (Address, Address), amount: U256) {
        if from == to || (from != self.wallet && to != self.wallet) {
            return;
        }
        let (out, into) = self.moved.entry(asset).or_default();
        let sum = if from == self.wallet { out } else { into };
        *sum = sum.saturating_add(amount);
    }

    fn grant(&mut self, asset: Asset, (owner, spender): (U256, U256), amount: U256) {
        if address(owner) == self.wallet && !spender.is_zero() {
            self.granted.insert((asset, address(spender)), amount);
        }
    }

    /// The sums.
    pub(super) fn simulated(self) -> Result<Simulated, String> {
        let Self { wallet, moved, granted } = self;
        if moved.len().saturating_add(granted.len()) > ENTRIES_MAX {
            return Err("more assets than a simulation may move".to_owned());
        }
        let net = |(asset, (out, into)): (Asset, (U256, U256))| Change {
            asset,
            lost: out.saturating_sub(into),
            gained: into.saturating_sub(out),
        };
        let changes = moved.into_iter().map(net).filter(|c| c.lost != c.gained).collect();
        let approvals = granted.into_iter().filter(|(_, amount)| !amount.is_zero());
        let approvals = approvals
            .map(|((asset, spender), amount)| Granted { asset, spender, amount })
            .collect();
        Ok(Simulated { wallet, reverted: false, changes, approvals })
    }
}

/// A token's amount; or one item, where the last word is indexed as ERC-721 does.
fn one_of(log: &Log, word: U256) -> (Asset, U256) {
    if log.topics.len() == 4 {
        (Asset::Item { collection: log.address, id: word }, U256::ONE)
    } else {
        (Asset::Token(log.address), word)
    }
}

fn address(word: U256) -> Address {
    Address::from_word(word.into())
}

fn unreadable() -> String {
    "an event that cannot be read".to_owned()
}

/// An event's arguments, the indexed ones first.
struct Words {
    all: Vec<U256>,
    indexed: usize,
}

impl Words {
    fn of(log: &Log) -> Result<Self, String> {
        let topics = log.topics.iter().skip(1).map(|topic| U256::from_be_bytes(topic.0));
        let mut all: Vec<U256> = topics.collect();
        let indexed = all.len();
        let words = log.data.0.chunks_exact(32);
        if !words.remainder().is_empty() {
            return Err(unreadable());
        }
        all.extend(words.map(U256::from_be_slice));
        Ok(Self { all, indexed })
    }

    fn exactly<const N: usize>(&self) -> Result<[U256; N], String> {
        <[U256; N]>::try_from(self.all.as_slice()).map_err(|_| unreadable())
    }

    fn at(&self, place: usize) -> Result<U256, String> {
        self.all.get(place).copied().ok_or_else(unreadable)
    }

    /// The list whose offset stands at this place.
    fn list(&self, place: usize) -> Result<&[U256], String> {
        let size = |word: U256| usize::try_from(word).map_err(|_| unreadable());
        let offset = size(self.at(place)?)?.checked_div(32).unwrap_or(0);
        let start = offset.saturating_add(self.indexed);
        let first = start.saturating_add(1);
        let end = first.saturating_add(size(self.at(start)?)?);
        self.all.get(first..end).ok_or_else(unreadable)
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::keccak256;

    use super::*;

    #[test]
    fn topics_are_those_of_their_signatures() {
        for (topic, signature) in [
            (TRANSFER, "Transfer(address,address,uint256)"),
            (SINGLE, "TransferSingle(address,address,address,uint256,uint256)"),
            (BATCH, "TransferBatch(address,address,address,uint256[],uint256[])"),
            (DEPOSIT, "Deposit(address,uint256)"),
            (WITHDRAWAL, "Withdrawal(address,uint256)"),
            (APPROVAL, "Approval(address,address,uint256)"),
            (FOR_ALL, "ApprovalForAll(address,address,bool)"),
            (PERMIT2, "Approval(address,address,address,uint160,uint48)"),
            (PERMITTED, "Permit(address,address,address,uint160,uint48,uint48)"),
        ] {
            assert_eq!(keccak256(signature), topic, "{signature}");
        }
    }
}
