//! Many seeds, on every core.

use std::{
    collections::BTreeMap,
    ops::Range,
    panic,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use super::run::{Outcome, run};
use crate::ledger::flawed::Flaw;

/// What many seeds came to.
#[derive(Debug, Default)]
pub struct Found {
    /// How many were run.
    pub seeds: u64,
    /// How often what was reached, over all of them.
    pub coverage: BTreeMap<&'static str, u64>,
    /// Those in which a promise did not hold, by seed.
    pub failures: Vec<Outcome>,
}

/// Runs these seeds on every core, until so many have failed.
#[must_use]
pub fn many(seeds: Range<u64>, flaw: Option<Flaw>, failures_max: usize) -> Found {
    let next = AtomicU64::new(seeds.start);
    let found = Mutex::new(Found::default());
    let lock = || found.lock().unwrap_or_else(PoisonError::into_inner);
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end || lock().failures.len() >= failures_max {
                return;
            }
            let outcome = run(seed, flaw, false);
            let mut found = lock();
            found.seeds += 1;
            for (name, times) in &outcome.coverage {
                *found.coverage.entry(name).or_default() += times;
            }
            if outcome.violation.is_some() {
                found.failures.push(outcome);
            }
        }
    };
    // a panic of the engine is a finding like any other, and is told as one
    let before = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let cores = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(work);
        }
    });
    panic::set_hook(before);
    let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    found.failures.sort_by_key(|failed| failed.seed);
    found
}
