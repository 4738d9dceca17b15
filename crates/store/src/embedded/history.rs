//! The ledger's history as the thread sees it: whether it is the one that was known, whether its clock can be
//! believed, and what was noticed of other hands.

use std::{
    cell::{Cell, RefCell},
    sync::Arc,
};

use countersign_core::{
    identity::AppId,
    time::{Millis, Timestamp},
};
use countersign_engine::port::ledger::{Clocks, InitAnswer, LedgerStatus};

use super::{
    fault::Fault,
    schema::{self, Loss, meta, set_meta},
    worker::{Books, Step},
};
use crate::lineage::{Anchor, Lineage, Standing, SteadyClock, WallClock, Witness};

/// What the file promises: the class of LEDGER §3, and why.
const CLASS: (char, &str) = ('A', "embedded, synchronous=FULL: one fsync per commit");

/// What was seen of the ledger, and by which clocks.
pub(super) struct History {
    pub(super) lineage: Arc<Lineage>,
    app: AppId,
    wall: WallClock,
    steady: Option<Steady>,
    standing: Cell<Standing>,
    loss: RefCell<Option<Loss>>,
    // holds also where the file cannot be written any more
    distrust: RefCell<Option<String>>,
    // what lists left out since the last answer
    left_out: RefCell<Vec<String>>,
    // how far an audit has followed the log
    pub(super) audited: Cell<u64>,
}

/// A clock that nobody sets, and what both clocks showed when the file was opened.
struct Steady {
    clock: SteadyClock,
    wall: Timestamp,
    at: Millis,
}

impl History {
    pub(super) fn new(app: AppId, witness: Witness, found: Result<Standing, Loss>) -> Self {
        let Witness { known, wall, steady, bell } = witness;
        let steady = steady.map(|clock| Steady { at: clock(), wall: wall(), clock });
        let standing = Cell::new(*found.as_ref().unwrap_or(&Standing::Proven));
        Self {
            lineage: Arc::new(Lineage::new(known, bell)),
            app,
            wall,
            steady,
            standing,
            loss: RefCell::new(found.err()),
            distrust: RefCell::default(),
            left_out: RefCell::default(),
            audited: Cell::new(0),
        }
    }

    pub(super) fn wall(&self) -> Timestamp {
        (self.wall)()
    }

    /// The wall clock, and what it ought to show by the clock that nobody sets.
    pub(super) fn clocks(&self) -> Option<Clocks> {
        let Steady { clock, wall, at } = self.steady.as_ref()?;
        let passed = Millis(clock().0.saturating_sub(at.0));
        Some(Clocks { store: self.wall(), here: wall.after(passed) })
    }

    /// Notes what another hand did to a record that a list leaves out.
    pub(super) fn left_out(&self, why: String) {
        self.left_out.borrow_mut().push(why);
    }

    pub(super) fn distrusted(&self) -> Option<String> {
        self.distrust.borrow().clone()
    }
}

impl Books {
    /// Goes on only where the file holds the ledger that was known.
    pub(super) fn admit(&self) -> Result<(), Fault> {
        let Some(why) = self.lost() else { return Ok(()) };
        self.history.lineage.missing(why.clone());
        Err(Fault::Lost(why))
    }

    fn lost(&self) -> Option<String> {
        let loss = self.history.loss.borrow();
        let loss = loss.as_ref()?;
        let known = self.history.lineage.anchor();
        let known = known.map_or_else(String::new, |anchor| format!("; known is {anchor}"));
        Some(format!("{loss}{known}"))
    }

    /// Tells and seals, before anybody is answered, what does not go on from where it was seen last, and what was
    /// damaged when it was opened.
    pub(super) fn begin_with(&self, damage: Option<&str>) -> Result<(), Fault> {
        if self.lost().is_some() {
            // tells it
            return self.admit().or(Ok(()));
        }
        if self.history.standing.get() == Standing::Missing {
            self.begin()?;
            self.step().miss()?;
            self.end()?;
        }
        if let Some(why) = damage {
            self.distrust(why);
        }
        self.publish()
    }

    /// Shows outside how far the log is durable.
    pub(super) fn publish(&self) -> Result<(), Fault> {
        let anchor = self.step().anchor()?;
        let standing = self.history.standing.get();
        self.history.lineage.take(standing, anchor);
        if standing != Standing::Missing {
            self.history.standing.set(Standing::Proven);
        }
        Ok(())
    }

    /// Tells what an answer shows, on its way. Another hand in the books is a reason to seal them.
    pub(super) fn noticed<T>(&self, answer: Result<T, Fault>) -> Result<T, Fault> {
        self.history.left_out.take().iter().for_each(|why| self.distrust(why));
        match &answer {
            Err(Fault::Clock(why)) => self.history.lineage.clocks_disagree(why),
            Err(Fault::Damaged(why)) => self.distrust(why),
            Err(
                Fault::Unavailable(_)
                | Fault::Ambiguous(_)
                | Fault::Refused(_)
                | Fault::Unpinned
                | Fault::Cursor(_)
                | Fault::Lost(_),
            )
            | Ok(_) => {}
        }
        answer
    }

    fn distrust(&self, why: &str) {
        if self.lost().is_some() {
            return;
        }
        let reason = format!("the books are damaged: {why}");
        self.history.distrust.replace(Some(reason.clone()));
        self.history.lineage.damaged(why);
        let is_alone = self.connection.is_autocommit();
        let begun = if is_alone { self.begin() } else { Ok(()) };
        let sealed = begun.and_then(|()| self.step().seal_first(&reason));
        let ended = sealed.and_then(|()| if is_alone { self.end() } else { Ok(()) });
        if let Err(fault) = ended {
            tracing::error!(?fault, "damaged books are sealed in memory only");
            if is_alone {
                self.give_up();
            }
        }
    }

    /// A new ledger in a file that is empty although one was known.
    pub(super) fn init(&self) -> Result<InitAnswer, Fault> {
        if !matches!(*self.history.loss.borrow(), Some(Loss::Empty)) {
            return Ok(InitAnswer::NotEmpty);
        }
        let before = self.history.lineage.anchor().map(|anchor| anchor.ledger_id);
        self.begin()?;
        let made = self.make(&before.unwrap_or_default()).and_then(|()| {
            self.history.standing.set(Standing::Replaced);
            self.end()
        });
        match made {
            Ok(()) => {
                self.history.loss.replace(None);
                Ok(InitAnswer::Made)
            }
            Err(fault) => {
                self.give_up();
                Err(fault)
            }
        }
    }

    fn make(&self, before: &str) -> Result<(), Fault> {
        schema::create(&self.connection, &self.history.app)?;
        set_meta(&self.connection, "replaces", before)?;
        self.step().seal(&format!("made anew in the place of the ledger {before}"))
    }

    pub(super) fn describe(&self) -> Result<LedgerStatus, Fault> {
        let lost = self.lost();
        let (sealed, missing, anchor) = if let Some(why) = &lost {
            let known = self.history.lineage.anchor();
            let known = known.unwrap_or_else(|| Anchor::of(String::new()));
            (Some(format!("the ledger is lost: {why}")), None, known)
        } else {
            let step = self.step();
            (step.sealed()?, meta(&self.connection, "missing")?, step.anchor()?)
        };
        let Anchor { ledger_id, epoch, sequence, head } = anchor;
        Ok(LedgerStatus {
            ledger_id,
            durability: CLASS.0,
            durability_reason: CLASS.1.into(),
            sealed,
            epoch,
            sequence,
            head,
            missing,
            lost,
            clocks: self.history.clocks(),
        })
    }
}

impl Step<'_> {
    /// Goes on only while the clocks agree.
    pub(super) fn timely(&self) -> Result<(), Fault> {
        match self.history().clocks() {
            Some(clocks) if !clocks.agree() => {
                let Clocks { store, here } = clocks;
                let why = format!("this machine's clock shows {store} and ought to show {here}");
                Err(Fault::Clock(why))
            }
            Some(_) | None => {
                self.history().lineage.clocks_agree();
                Ok(())
            }
        }
    }

    /// Where the log ends.
    pub(super) fn anchor(&self) -> Result<Anchor, Fault> {
        let ledger: Option<String> = meta(self.connection(), "ledger")?;
        let ledger_id = ledger.ok_or_else(|| Fault::Damaged("the ledger has no id".into()))?;
        let (sequence, head) = self.head()?;
        let head = if sequence == 0 { String::new() } else { hex::encode(head) };
        Ok(Anchor { ledger_id, epoch: self.epoch()?, sequence, head })
    }

    fn miss(&self) -> Result<(), Fault> {
        let Some(known) = self.history().lineage.anchor() else { return Ok(()) };
        let (ends, _) = self.head()?;
        let Anchor { epoch, sequence, head, .. } = &known;
        if meta::<String>(self.connection(), "missing")?.is_none() {
            let text = format!("line {sequence} [{head}] of epoch {epoch}");
            set_meta(self.connection(), "missing", text)?;
        }
        self.seal_first(&format!(
            "history is lost: this gateway saw line {sequence} of the log, which ends at {ends} or went another way"
        ))
    }

    fn seal_first(&self, reason: &str) -> Result<(), Fault> {
        match meta::<String>(self.connection(), "seal")? {
            Some(_) => Ok(()),
            None => self.seal(reason),
        }
    }

    pub(super) fn sealed(&self) -> Result<Option<String>, Fault> {
        Ok(meta(self.connection(), "seal")?.or_else(|| self.history().distrusted()))
    }

    pub(super) fn seal(&self, reason: &str) -> Result<(), Fault> {
        if meta::<String>(self.connection(), "seal")?.as_deref() == Some(reason) {
            return Ok(());
        }
        set_meta(self.connection(), "seal", reason)?;
        self.log("seal", "-", reason)
    }

    /// Accepts the log as it stands: the epoch is higher than any that this gateway saw.
    pub(super) fn unseal(&self) -> Result<(), Fault> {
        let history = self.history();
        history.distrust.replace(None);
        let changed = self
            .connection()
            .prepare_cached("DELETE FROM meta WHERE name IN ('seal', 'missing')")?
            .execute([])?;
        if changed == 0 {
            return Ok(());
        }
        let mut epoch = self.epoch()?;
        if history.standing.get() == Standing::Missing {
            epoch = epoch.max(history.lineage.anchor().map_or(0, |anchor| anchor.epoch));
            history.standing.set(Standing::Accepted);
        }
        set_meta(self.connection(), "epoch", super::row::int(epoch.saturating_add(1)))?;
        self.log("unseal", "-", "")
    }

    /// How often a person has accepted the log as it stood.
    fn epoch(&self) -> Result<u64, Fault> {
        super::row::uint(meta(self.connection(), "epoch")?.unwrap_or(0))
    }
}
