//! Every decision of the journals, decided again from what the journals alone say.

use countersign_core::{
    identity::TraceHash,
    journal::{ChainHead, Entry, Written},
    trace::DecisionRecord,
};
use countersign_engine::{
    port::journal::Chained,
    replay::{Library, Replayed, replay, stands},
};

use crate::ModelJournals;

/// What came of deciding everything again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Replays {
    /// Decisions that are decided as they were, byte for byte.
    pub equal: u64,
    /// Decisions without facts: what was refused before it was judged.
    pub unjudged: u64,
    /// What is wrong.
    pub faults: Vec<String>,
}

impl Replays {
    /// Follows every chain from its beginning.
    #[must_use]
    pub fn of(journals: &ModelJournals) -> Self {
        let mut replays = Self::default();
        for (gateway, entries) in journals.chains() {
            let mut library = Library::default();
            let mut head = ChainHead::START;
            for Chained { head: stored, text } in entries {
                if head.behind(&text) != Some(stored) {
                    replays
                        .faults
                        .push(format!("{gateway}: entry {} does not follow", stored.sequence));
                }
                head = stored;
                match Written::parse(&text).map(|written| serde_json::from_str(written.said())) {
                    Some(Ok(entry)) => replays.entry(&mut library, entry),
                    other => replays.faults.push(format!("{gateway}: {text}: {other:?}")),
                }
            }
        }
        replays
    }

    fn entry(&mut self, library: &mut Library, entry: Entry) {
        match entry {
            Entry::Policy { policy, canonical } => {
                self.faults.extend(library.pin(policy, &canonical).err().map(|e| e.to_string()));
            }
            Entry::Decision { trace_hash, decision, status } => {
                if !stands(&decision, status) {
                    self.faults.push(format!("{trace_hash} never stood as {status:?}"));
                }
                self.decision(library, trace_hash, &decision);
            }
            Entry::Update { update, .. } => {
                if let Some(again) = update.again {
                    self.decision(library, again.decision_hash, &again.decision);
                }
            }
            Entry::Attestation { .. } | Entry::Incident(_) => {}
        }
    }

    fn decision(&mut self, library: &Library, hash: TraceHash, decision: &DecisionRecord) {
        if decision.hash() != hash {
            self.faults.push(format!("{hash} is not the hash of its record"));
        }
        match replay(decision, library) {
            Ok(Replayed::Equal) => self.equal += 1,
            Ok(Replayed::Unjudged) => self.unjudged += 1,
            Ok(Replayed::Unfounded) => {
                self.faults.push(format!("{hash} has nothing that its outcome follows from"));
            }
            Ok(Replayed::Differs { recorded, decided }) => {
                self.faults.push(format!("recorded {recorded}\ndecided {decided}"));
            }
            Err(error) => self.faults.push(error.to_string()),
        }
    }
}
