//! The engine in a simulated world (LEDGER §5): many seeds in which every promise holds, and wrong ledgers in which one
//! does not.

#![expect(clippy::unwrap_used, reason = "a panic here is a failed test")]

use countersign_core::operation::OperationState;
use countersign_testkit::{
    ledger::flawed::Flaw,
    simulation::{Found, many, run},
};

/// Every wrong variant that the simulation is known to find: its name, the first seed that shows it, and the promise
/// that does not hold there.
const VARIANTS: &str = include_str!("variants.tsv");

/// The seeds within which a wrong variant has to be found.
const VARIANT_SEEDS: u64 = 1000;

fn told(found: &Found) -> String {
    let line = |failed: &countersign_testkit::simulation::Outcome| {
        let violation = failed.violation.as_ref().unwrap();
        format!("seed {}: {} {}", failed.seed, violation.invariant, violation.text)
    };
    found.failures.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn every_promise_holds_in_ten_thousand_worlds() {
    let found = many(0..10_000, None, 256);
    assert!(found.failures.is_empty(), "`scripts/simulate --seed N --log`:\n{}", told(&found));
    assert_eq!(found.seeds, 10_000);
    for (name, times) in &found.coverage {
        println!("{times:>10}  {name}");
    }
    for state in OperationState::ALL {
        let name = state.name();
        let reached = found.coverage.iter().any(|(reached, _)| reached.contains(name));
        assert!(reached, "no world has reached {name}: {:?}", found.coverage.keys());
    }
}

#[test]
fn a_seed_is_one_run() {
    for seed in 0..200 {
        let (first, again) = (run(seed, None, false), run(seed, None, false));
        assert_eq!(first.trace, again.trace, "seed {seed}");
    }
}

#[test]
fn every_wrong_variant_is_found() {
    let rows: Vec<Vec<&str>> =
        VARIANTS.lines().skip(1).map(|line| line.split('\t').collect()).collect();
    assert!(rows.len() >= 20, "{}", rows.len());
    for row in rows {
        let [name, seed, invariant, ..] = row.as_slice() else { panic!("{row:?}") };
        let flaw = Flaw::ALL.iter().find(|flaw| flaw.name() == *name).unwrap();
        let seed: u64 = seed.parse().unwrap();
        assert!(seed < VARIANT_SEEDS, "{name}");
        let outcome = run(seed, Some(*flaw), false);
        let violation =
            outcome.violation.unwrap_or_else(|| panic!("{name} is not found at {seed}"));
        assert_eq!(violation.invariant, *invariant, "{name}: {}", violation.text);
        let before = many(0..seed, Some(*flaw), 1);
        assert!(before.failures.is_empty(), "{name} is found earlier:\n{}", told(&before));
    }
}
