//! What happened in a run: a hash that stands for all of it, counts for coverage, and lines for people.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::executor::Executor;

/// The events of one run.
#[derive(Debug)]
pub(crate) struct Log {
    executor: Executor,
    keeps_lines: bool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    hash: u64,
    events: u64,
    counts: BTreeMap<&'static str, u64>,
    lines: Vec<String>,
    violation: Option<Violation>,
}

/// A promise that did not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which one, as LEDGER §4 numbers it.
    pub invariant: &'static str,
    /// What was seen.
    pub text: String,
}

/// What is left of a log when the run is over.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) hash: u64,
    pub(crate) counts: BTreeMap<&'static str, u64>,
    pub(crate) lines: Vec<String>,
    pub(crate) violation: Option<Violation>,
}

impl Log {
    pub(crate) fn new(executor: Executor, keeps_lines: bool) -> Self {
        Self { executor, keeps_lines, state: Mutex::default() }
    }

    /// Something happened: it counts under its name, and `n` tells it apart.
    pub(crate) fn event(&self, what: &'static str, n: u64, text: impl FnOnce() -> String) {
        let now = self.executor.now().0;
        let mut state = self.state();
        state.events += 1;
        let words = [now, n].into_iter().chain(what.bytes().map(u64::from));
        state.hash = words.fold(state.hash, |hash, word| {
            (hash ^ word).wrapping_mul(0x0100_0000_01B3).rotate_left(23)
        });
        *state.counts.entry(what).or_default() += 1;
        if self.keeps_lines {
            let line = format!("{:>6}.{:03} {what} {}", now / 1000, now % 1000, text());
            state.lines.push(line);
        }
    }

    /// Something that only people who read the lines want to know.
    pub(crate) fn remark(&self, text: impl FnOnce() -> String) {
        if self.keeps_lines {
            let now = self.executor.now().0;
            let line = format!("{:>6}.{:03} . {}", now / 1000, now % 1000, text());
            self.state().lines.push(line);
        }
    }

    /// Something was reached; it is in no line and changes no hash.
    pub(crate) fn reach(&self, what: &'static str) {
        *self.state().counts.entry(what).or_default() += 1;
    }

    /// The first broken promise ends the run.
    pub(crate) fn violate(&self, invariant: &'static str, text: String) {
        self.event("violation", 0, || format!("{invariant}: {text}"));
        self.state().violation.get_or_insert(Violation { invariant, text });
    }

    pub(crate) fn is_violated(&self) -> bool {
        self.state().violation.is_some()
    }

    /// Takes everything out.
    pub(crate) fn close(&self) -> Record {
        let mut state = self.state();
        let State { hash, counts, lines, violation, .. } = std::mem::take(&mut *state);
        Record { hash, counts, lines, violation }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
