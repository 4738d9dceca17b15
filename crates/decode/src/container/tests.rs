//! The tables, against each other.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::{protocol, standard};

fn selector(signature: &str) -> Selector {
    AbiFunction::parse(signature).unwrap().selector()
}

fn layouts() -> Vec<(Kind, &'static str)> {
    let lines = TABLES
        .iter()
        .flat_map(|(kind, _, table)| table.iter().map(|(signature, _)| (*kind, *signature)));
    lines.collect()
}

#[test]
fn every_layout_has_a_selector_of_its_own() {
    assert_eq!(LAYOUTS.len(), layouts().len());
    assert!(layouts().iter().all(|(_, line)| layout(selector(line)).is_some()));
}

/// CD-24: whichever table reads a call, no other one could.
#[test]
fn no_two_tables_claim_the_same_selector_at_the_same_contract() {
    let standards: BTreeSet<_> = standard::signatures().into_iter().map(selector).collect();
    for (kind, line) in layouts() {
        assert!(!standards.contains(&selector(line)), "{line}");
        let meets = |(container, known): &(Container, &str)| {
            container.opens(kind) && selector(known) == selector(line)
        };
        assert!(!protocol::signatures().iter().any(meets), "{line}");
    }
    for (_, line) in protocol::signatures() {
        assert!(!standards.contains(&selector(line)), "{line}");
    }
}

/// CD-24: the same four bytes never stand for two signatures anywhere in our tables.
#[test]
fn a_selector_stands_for_one_signature() {
    let mut known: BTreeMap<Selector, String> = BTreeMap::new();
    let all = standard::signatures().into_iter().chain(layouts().into_iter().map(|(_, line)| line));
    let all = all.chain(protocol::signatures().into_iter().map(|(_, line)| line));
    for line in all {
        let function = AbiFunction::parse(line).unwrap();
        let first = known.entry(function.selector()).or_insert_with(|| function.signature().into());
        assert_eq!(first, function.signature());
    }
}

#[test]
fn a_container_is_known_by_its_name() {
    for (name, container) in Container::NAMES {
        assert_eq!(Container::parse(name), Some(container));
    }
    let names: BTreeSet<_> = Container::NAMES.iter().map(|(name, _)| name).collect();
    let containers: BTreeSet<_> = Container::NAMES.iter().map(|(_, known)| known).collect();
    assert_eq!((names.len(), containers.len()), (18, 18));
    assert_eq!(Container::parse("router"), None);
}
