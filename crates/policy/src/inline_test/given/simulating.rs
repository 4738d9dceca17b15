//! `sim`: what a simulation is imagined to say.

use alloy_primitives::{Address, U256};
use countersign_core::{
    fact::{Change, Fact, Granted, Simulated, TokenFact},
    token::Asset,
};

use super::{Stage, WALLET};
use crate::{field::Shape, source::Node, truth::Why};

/// More spenders than this are not imagined.
const APPROVALS_MAX: u8 = 100;

impl Stage<'_, '_> {
    /// `unknown`, or `{ reverted, out, in, approvals }`.
    pub(super) fn simulated(&mut self, sim: &Node) -> Option<Fact<Simulated>> {
        if sim.text() == Some("unknown") {
            return Some(Fact::Unknown("not given".into()));
        }
        self.reader.keys(sim, "`sim`", &["reverted", "out", "in", "approvals"])?;
        let mut changes = Vec::new();
        for (key, out) in [("out", true), ("in", false)] {
            for (asset, amount) in self.flows(sim.get(key), key)? {
                let (lost, gained) = if out { (amount, U256::ZERO) } else { (U256::ZERO, amount) };
                changes.push(Change { asset, lost, gained });
            }
        }
        let reverted = self.truth(sim, "reverted").unwrap_or(false);
        let many = self.small(sim, "approvals").and_then(|many| u8::try_from(many).ok());
        let granted = |number: u8| Granted {
            asset: Asset::Native,
            spender: Address::repeat_byte(number),
            amount: U256::ONE,
        };
        let approvals = (1..=many.unwrap_or(0).min(APPROVALS_MAX)).map(granted).collect();
        Some(Fact::Known(Simulated { wallet: WALLET, reverted, changes, approvals }))
    }

    /// `{ usd: 12, usdc@1: 500 }`: an amount of USD, or base units of tokens.
    fn flows(&mut self, node: Option<&Node>, of: &str) -> Option<Vec<(Asset, U256)>> {
        let entries = node.and_then(Node::map).unwrap_or_default().to_vec();
        let mut flows = Vec::new();
        for entry in entries {
            if entry.key == "usd" {
                flows.push(self.dollars(&entry.node, of)?);
            } else {
                let amount = self.reader.operand(&entry.node, &Shape::Number)?.number()?;
                flows.push((self.know(&entry.key.to_ascii_lowercase()), amount));
            }
        }
        Some(flows)
    }

    /// Something that is worth so much: of a token that nobody else has.
    fn dollars(&mut self, node: &Node, of: &str) -> Option<(Asset, U256)> {
        let name = format!("simulated-{of}@{}", self.chain);
        let asset = self.know(&name);
        let holder = Node::clone(node);
        let price = match holder.text() {
            Some("unknown") => Err(Why::Unknowable),
            Some("unavailable") => Err(Why::Unavailable),
            Some(_) | None => Ok(self.reader.operand(&holder, &Shape::Usd)?.number()?),
        };
        let one = "1".parse().ok();
        let known = |fact: &mut TokenFact| {
            fact.decimals = 6;
            fact.never_priced = price != Err(Why::Unavailable);
            if let (Ok(_), Some(one)) = (price, one) {
                fact.price = Fact::Known(one);
            }
        };
        self.tokens.iter_mut().filter(|fact| fact.name == name).for_each(known);
        Some((asset, price.unwrap_or(U256::ONE)))
    }
}
