//! The standards: which selectors they claim, and what a call of theirs does.

mod allowance;
mod arguments;
pub(crate) mod permit2;
mod transfer;

use std::collections::BTreeMap;

use alloy_primitives::Address;
use countersign_core::{
    abi::{AbiFunction, Selector},
    action::{Effect, Via},
};

pub(crate) use self::{arguments::Arguments, permit2::PERMIT2};
use crate::{readable::Readable, registry::Collection};

/// Where a standard's call happens.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scene {
    /// Who calls.
    pub(crate) caller: Address,
    /// What is called.
    pub(crate) target: Address,
    /// The target is a registered token.
    pub(crate) token: bool,
}

/// One effect of a standard's call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Leaf {
    pub(crate) effect: Effect,
    pub(crate) via: Via,
}

impl Leaf {
    const fn call(effect: Effect) -> Self {
        Self { effect, via: Via::Call }
    }

    const fn signature(effect: Effect) -> Self {
        Self { effect, via: Via::Signature }
    }
}

/// What canonical arguments mean. An error says why they mean nothing.
type Meaning = fn(Scene, Arguments<'_>) -> Result<Vec<Leaf>, &'static str>;

/// Signatures with what they mean.
type Table = [(&'static str, Meaning)];

/// A function of a standard.
#[derive(Debug)]
pub(crate) struct Standard {
    pub(crate) readable: Readable,
    meaning: Meaning,
}

impl Standard {
    /// The effects of a call that [`Self::readable`] has read.
    pub(crate) fn leaves(
        &self,
        scene: Scene,
        args: &countersign_core::abi::AbiValue,
    ) -> Result<Vec<Leaf>, &'static str> {
        (self.meaning)(scene, Arguments(args))
    }
}

/// Every standard that is known.
#[derive(Debug)]
pub(crate) struct Standards {
    anywhere: BTreeMap<Selector, Standard>,
    /// What a number means at a collection.
    collections: BTreeMap<Selector, Standard>,
    permit2: BTreeMap<Selector, Standard>,
}

impl Default for Standards {
    fn default() -> Self {
        let anywhere = [transfer::ANYWHERE, allowance::ANYWHERE];
        let collections = [transfer::COLLECTIONS, allowance::COLLECTIONS];
        Self {
            anywhere: anywhere.into_iter().flat_map(known).collect(),
            collections: collections.into_iter().flat_map(known).collect(),
            permit2: known(permit2::TABLE).collect(),
        }
    }
}

impl Standards {
    /// The standard that a selector belongs to at an address.
    pub(crate) fn find(
        &self,
        target: Address,
        selector: Selector,
        collection: Option<Collection>,
    ) -> Option<&Standard> {
        let here = match (target == PERMIT2, collection) {
            (true, _) => self.permit2.get(&selector),
            (false, Some(Collection::Erc721)) => self.collections.get(&selector),
            // what it does with a number that is neither an amount nor an item of its own nobody says
            (false, Some(Collection::Erc1155)) if self.collections.contains_key(&selector) => {
                return None;
            }
            (false, Some(Collection::Erc1155) | None) => None,
        };
        here.or_else(|| self.anywhere.get(&selector))
    }
}

/// The tables are constants; a test parses every line of them.
fn known(table: &Table) -> impl Iterator<Item = (Selector, Standard)> + '_ {
    table.iter().filter_map(|(signature, meaning)| {
        let function = AbiFunction::parse(signature).ok()?;
        let standard = Standard { readable: Readable::new(function.clone()), meaning: *meaning };
        Some((function.selector(), standard))
    })
}

#[cfg(test)]
pub(crate) fn signatures() -> Vec<&'static str> {
    let tables = [
        transfer::ANYWHERE,
        allowance::ANYWHERE,
        transfer::COLLECTIONS,
        allowance::COLLECTIONS,
        permit2::TABLE,
    ];
    tables.iter().flat_map(|table| table.iter().map(|(signature, _)| *signature)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_tables_is_a_signature_of_its_own() {
        let standards = Standards::default();
        let lines = |tables: &[&Table]| tables.iter().map(|table| table.len()).sum::<usize>();
        assert_eq!(standards.anywhere.len(), lines(&[transfer::ANYWHERE, allowance::ANYWHERE]));
        assert_eq!(
            standards.collections.len(),
            lines(&[transfer::COLLECTIONS, allowance::COLLECTIONS])
        );
        assert_eq!(standards.permit2.len(), lines(&[permit2::TABLE]));
    }
}
