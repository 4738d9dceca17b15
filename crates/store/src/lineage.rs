//! The history of a ledger as one gateway has seen it, and what it says when a store does not have it any more.
//!
//! A store is believed because it can prove that it goes on from where this gateway saw it last: each entry of its
//! log carries the digest of everything before it. So one number and one digest stand for all of the history.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use countersign_core::time::{Millis, Timestamp};
use countersign_engine::port::alarm::{Alarm, Bell};

/// Where a clock is read.
pub type WallClock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Where the time since some fixed point is read, on a clock that nobody sets and that runs on while the machine
/// sleeps.
pub type SteadyClock = Arc<dyn Fn() -> Millis + Send + Sync>;

/// One point of a ledger's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchor {
    /// Which ledger.
    pub ledger_id: String,
    /// How often a person had accepted its log as it stood.
    pub epoch: u64,
    /// How many entries its log had.
    pub sequence: u64,
    /// The digest at the end of its log; empty before the first entry.
    pub head: String,
}

impl Anchor {
    /// A ledger of which nothing is known but that it existed.
    #[must_use]
    pub const fn of(ledger_id: String) -> Self {
        Self { ledger_id, epoch: 0, sequence: 0, head: String::new() }
    }

    const fn point(&self) -> (u64, u64) {
        (self.epoch, self.sequence)
    }
}

/// For people: what was seen.
impl fmt::Display for Anchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ledger_id, epoch, sequence, head } = self;
        write!(f, "line {sequence} [{head}] of epoch {epoch} of the ledger {ledger_id}")
    }
}

/// What a gateway brings to a store that it opens: what it has seen, its clocks, and whom it tells.
#[derive(Clone)]
pub struct Witness {
    pub(crate) known: Option<Anchor>,
    pub(crate) wall: WallClock,
    pub(crate) steady: Option<SteadyClock>,
    pub(crate) bell: Bell,
}

impl Witness {
    /// One that has seen nothing, reads this clock and tells nobody.
    #[must_use]
    pub fn new(wall: WallClock) -> Self {
        Self { known: None, wall, steady: None, bell: Arc::new(|_| ()) }
    }

    /// The same, holding the wall clock of a store in its own process against this one.
    #[must_use]
    pub fn holding(mut self, steady: SteadyClock) -> Self {
        self.steady = Some(steady);
        self
    }

    /// The same, having seen this.
    #[must_use]
    pub fn knowing(mut self, known: Option<Anchor>) -> Self {
        self.known = known;
        self
    }

    /// The same, telling here what is noticed.
    #[must_use]
    pub fn telling(mut self, bell: Bell) -> Self {
        self.bell = bell;
        self
    }
}

impl From<WallClock> for Witness {
    fn from(wall: WallClock) -> Self {
        Self::new(wall)
    }
}

impl fmt::Debug for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Witness").field("known", &self.known).finish_non_exhaustive()
    }
}

/// How a store's history stands to what this gateway saw of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It goes on from there.
    Proven,
    /// It does not, and a person has accepted that since.
    Accepted,
    /// It is a new ledger, which a person made in the place of the one that was seen.
    Replaced,
    /// It does not.
    Missing,
}

/// What this process has seen of its ledger, and what it has told of what it noticed: each occurrence once.
pub(crate) struct Lineage {
    seen: Mutex<Seen>,
    bell: Bell,
}

#[derive(Default)]
struct Seen {
    anchor: Option<Anchor>,
    history: Option<String>,
    damage: Option<String>,
    clocks_apart: bool,
}

impl fmt::Debug for Lineage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lineage").field("anchor", &self.anchor()).finish_non_exhaustive()
    }
}

impl Lineage {
    pub(crate) fn new(known: Option<Anchor>, bell: Bell) -> Self {
        Self { seen: Mutex::new(Seen { anchor: known, ..Seen::default() }), bell }
    }

    /// What was seen last; `None` before the first meeting.
    pub(crate) fn anchor(&self) -> Option<Anchor> {
        self.seen().anchor.clone()
    }

    /// Takes in what a store says of itself. An anchor moves forward only: answers may come out of order. One that the
    /// store does not prove is kept until a person has looked.
    pub(crate) fn take(&self, standing: Standing, found: Anchor) {
        let mut seen = self.seen();
        match standing {
            Standing::Missing => {
                let known = seen.anchor.as_ref().map_or_else(String::new, Anchor::to_string);
                let text = format!("{known} is not in the store");
                drop(seen);
                self.missing(text);
            }
            Standing::Proven | Standing::Accepted => {
                seen.history = None;
                let later = |known: &Anchor| {
                    known.ledger_id == found.ledger_id && known.point() < found.point()
                };
                if seen.anchor.as_ref().is_none_or(later) {
                    seen.anchor = Some(found);
                }
            }
            Standing::Replaced => {
                seen.history = None;
                seen.anchor = Some(found);
            }
        }
    }

    /// History is missing. An occurrence lasts until the store proves what was seen.
    pub(crate) fn missing(&self, text: String) {
        let mut seen = self.seen();
        let told = seen.history.is_some();
        seen.history = Some(text.clone());
        drop(seen);
        if !told {
            (self.bell)(Alarm::HistoryLost(text));
        }
    }

    /// What is missing, if anything is.
    pub(crate) fn gap(&self) -> Option<String> {
        self.seen().history.clone()
    }

    /// Another hand was in the books. The same finding is told once.
    pub(crate) fn damaged(&self, text: &str) {
        let before = self.seen().damage.replace(text.into());
        if before.as_deref() != Some(text) {
            (self.bell)(Alarm::BooksDamaged(text.into()));
        }
    }

    /// The clocks disagree. An occurrence lasts until they agree.
    pub(crate) fn clocks_disagree(&self, text: &str) {
        let told = std::mem::replace(&mut self.seen().clocks_apart, true);
        if !told {
            (self.bell)(Alarm::ClocksDisagree(text.into()));
        }
    }

    pub(crate) fn clocks_agree(&self) {
        self.seen().clocks_apart = false;
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn anchor(epoch: u64, sequence: u64) -> Anchor {
        Anchor { epoch, sequence, head: format!("{epoch}-{sequence}"), ..Anchor::of("one".into()) }
    }

    fn lineage() -> (Lineage, Arc<Mutex<Vec<Alarm>>>) {
        let told = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&told);
        let bell: Bell = Arc::new(move |alarm| heard.lock().unwrap().push(alarm));
        (Lineage::new(None, bell), told)
    }

    #[test]
    fn an_anchor_moves_forward_only_and_epochs_count_before_numbers() {
        let (lineage, told) = lineage();
        for (found, expected) in [
            (anchor(0, 5), anchor(0, 5)),
            (anchor(0, 3), anchor(0, 5)),
            (anchor(0, 9), anchor(0, 9)),
            (anchor(1, 2), anchor(1, 2)),
            (anchor(0, 99), anchor(1, 2)),
            (Anchor { ledger_id: "two".into(), ..anchor(9, 9) }, anchor(1, 2)),
        ] {
            lineage.take(Standing::Proven, found);
            assert_eq!(lineage.anchor(), Some(expected));
        }
        lineage.take(Standing::Replaced, Anchor::of("two".into()));
        assert_eq!(lineage.anchor(), Some(Anchor::of("two".into())));
        assert!(told.lock().unwrap().is_empty());
    }

    #[test]
    fn what_is_missing_is_kept_and_told_once_until_it_is_proven() {
        let (lineage, told) = lineage();
        lineage.take(Standing::Proven, anchor(0, 5));
        for _ in 0..3 {
            lineage.take(Standing::Missing, anchor(0, 4));
        }
        assert_eq!(lineage.anchor(), Some(anchor(0, 5)));
        assert_eq!(told.lock().unwrap().len(), 1);
        let told_text = lineage.gap().unwrap();
        assert!(told_text.contains("line 5 [0-5]"), "{told_text}");
        lineage.take(Standing::Accepted, anchor(1, 5));
        assert_eq!(lineage.gap(), None);
        lineage.take(Standing::Missing, anchor(1, 4));
        assert_eq!(told.lock().unwrap().len(), 2, "another occurrence");
    }

    #[test]
    fn clocks_and_damage_are_told_once_each_time() {
        let (lineage, told) = lineage();
        for _ in 0..2 {
            lineage.clocks_disagree("apart");
            lineage.clocks_disagree("further apart");
            lineage.clocks_agree();
        }
        lineage.damaged("one");
        lineage.damaged("one");
        lineage.damaged("two");
        let codes: Vec<_> = told.lock().unwrap().iter().map(Alarm::code).collect();
        assert_eq!(codes, ["clocks_disagree", "clocks_disagree", "books_damaged", "books_damaged"]);
    }
}
