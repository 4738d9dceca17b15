//! How a store that goes on with an older copy of its books is noticed: every call proves the last entry that its
//! gateway saw.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::log::Log;
use crate::ledger::{ModelLedger, history::BooksCopy};

/// Sequence and head of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    sequence: u64,
    head: u64,
}

/// The heads of the store's log, what each gateway saw of it, and what was lost.
#[derive(Debug)]
pub(crate) struct History {
    log: Arc<Log>,
    model: Arc<ModelLedger>,
    /// Whether a store that lacks what a gateway saw is believed all the same.
    believes: bool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// By place: the head of the log at each sequence. A number that never comes again stands for a digest.
    heads: BTreeMap<u64, u64>,
    last_head: u64,
    seen: BTreeMap<usize, Entry>,
    stale: Option<BooksCopy>,
    lost: Option<BooksCopy>,
}

impl History {
    pub(crate) fn new(log: Arc<Log>, model: Arc<ModelLedger>, believes: bool) -> Self {
        Self { log, model, believes, state: Mutex::default() }
    }

    /// A call of a gateway arrives: the store must have what that gateway saw last, else it is sealed.
    pub(crate) fn prove(&self, slot: usize) {
        let sequence = self.model.sequence();
        let mut state = self.state();
        state.extend(sequence);
        let missing = state.seen.get(&slot).is_some_and(|seen| {
            state.heads.get(&seen.sequence).is_none_or(|head| *head != seen.head)
        });
        if missing && !self.believes && !self.model.is_sealed() {
            self.log.event("history.noticed", sequence, || format!("by gateway {slot}"));
            self.model.seal_now("the store lacks history that a gateway saw");
            state.extend(sequence + 1);
        }
    }

    /// The answer of a call arrives: this is what its gateway will prove next.
    pub(crate) fn saw(&self, slot: usize) {
        let sequence = self.model.sequence();
        let mut state = self.state();
        state.extend(sequence);
        let entry = Entry { sequence, head: state.last_head };
        let newer = state.seen.get(&slot).is_none_or(|seen| {
            seen.sequence <= sequence
                && state.heads.get(&seen.sequence).is_some_and(|head| *head == seen.head)
        });
        if newer {
            state.seen.insert(slot, entry);
        }
    }

    /// Whether each of so many gateways has seen something that this copy lacks.
    pub(crate) fn is_behind_all(&self, copy: &BooksCopy, gateways: u64) -> bool {
        let state = self.state();
        let ahead = state.seen.values().filter(|seen| seen.sequence > copy.sequence());
        u64::try_from(ahead.count()) == Ok(gateways)
    }

    /// The store goes on with an older copy.
    pub(crate) fn fail_over(&self, copy: BooksCopy) {
        let mut state = self.state();
        state.extend(self.model.sequence());
        state.lost = Some(self.model.copy());
        self.model.put_back(&copy);
        state.heads.split_off(&(copy.sequence() + 1));
        self.log.event("history.lost", copy.sequence(), String::new);
        state.stale = Some(copy);
    }

    /// Whether history was lost and is not put right yet.
    pub(crate) fn is_lost(&self) -> bool {
        self.state().lost.is_some()
    }

    /// A person puts the books right: every gateway takes them for the history from now on.
    pub(crate) fn reconcile(&self) {
        let mut state = self.state();
        let (Some(stale), Some(lost)) = (state.stale.take(), state.lost.take()) else { return };
        self.model.reconcile(&stale, &lost);
        state.heads.clear();
        state.seen.clear();
        state.extend(self.model.sequence());
        self.log.event("history.found", 0, String::new);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn extend(&mut self, sequence: u64) {
        let known = self.heads.last_key_value().map(|(sequence, _)| *sequence);
        if known.is_none_or(|known| known < sequence) {
            // entries in between belong to the same call: nobody saw them as a head
            self.last_head += 1;
            self.heads.insert(sequence, self.last_head);
        } else if let Some((_, head)) = self.heads.last_key_value() {
            self.last_head = self.last_head.max(*head);
        }
    }
}
