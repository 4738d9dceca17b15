//! Looks at every step of the books with eyes of its own.
//!
//! It keeps its own copy of every operation and compares what was with what is. Nothing here uses the model's sums.

mod end;
mod life;
mod money;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use alloy_primitives::B256;
use countersign_core::{
    charge::Charge,
    fact::Freeze,
    identity::{ApprovalDigest, KeyHash, OperationId, WalletId},
    operation::{Money, OperationRecord, OperationState as S},
    time::Timestamp,
    transaction::{TransactionPlan, UnsignedTransaction},
};
use countersign_engine::port::ledger::{Approve, ApproveAnswer, Commit, CommitAnswer, Reject};

use super::{chain::Chain, log::Log};
use crate::ledger::{Glance, ModelLedger};

/// How long after a seal a signature may still be made for what was bound before: it was on its way.
const ON_ITS_WAY: u64 = 15_000;

/// Watches one run.
#[derive(Debug)]
pub(crate) struct Oracle {
    log: Arc<Log>,
    chain: Arc<Chain>,
    model: Arc<ModelLedger>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    records: BTreeMap<OperationId, OperationRecord>,
    nonces: BTreeMap<(WalletId, u64), OperationId>,
    keys: BTreeMap<KeyHash, OperationId>,
    voided: BTreeSet<OperationId>,
    asked: BTreeMap<OperationId, Asked>,
    /// When an operation's charges were last checked against the limits.
    checked_at: BTreeMap<OperationId, Timestamp>,
    acknowledged: BTreeSet<OperationId>,
    hashes: BTreeMap<B256, OperationId>,
    /// Bytes that what is bound makes again whoever signs it, and whose operation it is.
    determined: BTreeMap<B256, OperationId>,
    /// Whose value was free by the chain's rule of finality, reverted or cancelled, until a reorg below it.
    revived: BTreeSet<OperationId>,
    now: Timestamp,
    sequence: u64,
    /// Since when the ledger is sealed.
    sealed_at: Option<Timestamp>,
    freezes: Vec<Freeze>,
    /// The store has lost history, and nobody has put it right yet.
    is_lost: bool,
}

/// What people were asked.
#[derive(Debug, Clone)]
struct Asked {
    digest: Option<ApprovalDigest>,
    /// What is to be signed, in order: one transaction, or the calls of a bundle.
    plans: Vec<TransactionPlan>,
}

impl Asked {
    fn of(record: &OperationRecord) -> Self {
        let first = crate::fixture::plan(&record.intent).clone();
        let further = record.intent.rest().iter().map(|call| call.plan.clone());
        Self { digest: record.digest, plans: std::iter::once(first).chain(further).collect() }
    }
}

/// The operation that stood for all the calls of this one's bundle; itself where it came alone.
fn head_of(record: &OperationRecord) -> OperationId {
    let bundle = record.intent.bundle.as_deref();
    bundle.map_or(record.id, |bundle| bundle.handle.operation(0))
}

/// Its place in its bundle.
fn place_of(record: &OperationRecord) -> usize {
    let bundle = record.intent.bundle.as_deref();
    bundle.map_or(0, |bundle| usize::try_from(bundle.index).unwrap())
}

/// Whether a change is that a bundle became its calls: nothing was judged or charged anew.
fn is_split(old: Option<&OperationRecord>, new: &OperationRecord) -> bool {
    match old {
        Some(old) => !old.intent.rest().is_empty() && new.intent.rest().is_empty(),
        None => place_of(new) > 0,
    }
}

impl State {
    /// Whose bytes these are: stored, or made again of what is.
    fn operation_of(&self, hash: B256) -> Option<OperationId> {
        self.hashes.get(&hash).or_else(|| self.determined.get(&hash)).copied()
    }

    /// Notes an operation that comes back from what had freed its value. Others may have spent that meanwhile.
    fn note_revived(&mut self, was: Option<S>, new: &OperationRecord) {
        let was_free = was.is_some_and(|was| [S::Reverted, S::Cancelled].contains(&was));
        if was_free && new.state.money() == Money::Committed {
            self.revived.insert(new.id);
        }
    }
}

/// One change of one operation.
struct Change<'a> {
    old: Option<&'a OperationRecord>,
    new: &'a OperationRecord,
    glance: &'a Glance,
}

impl Oracle {
    pub(crate) fn new(log: Arc<Log>, chain: Arc<Chain>, model: Arc<ModelLedger>) -> Self {
        Self { log, chain, model, state: Mutex::default() }
    }

    /// Looks at what a call has changed.
    pub(crate) fn step(&self) {
        let glance = self.model.glance();
        let changed = self.model.take_changed();
        let mut state = self.state();
        self.time_goes_on(&mut state, &glance);
        let count = self.model.look(<[OperationRecord]>::len);
        if count < state.records.len() && !state.is_lost {
            let text =
                format!("{} operations are in no list any more", state.records.len() - count);
            self.log.violate("I13", text);
        }
        let mut pairs = Vec::new();
        for new in changed {
            let old = state.records.get(&new.id).cloned();
            if old.as_ref() == Some(&new) {
                continue;
            }
            self.tell(old.as_ref(), &new);
            if !state.is_lost {
                state.records.insert(new.id, new.clone());
            }
            pairs.push((old, new));
        }
        for (old, new) in &pairs {
            let change = Change { old: old.as_ref(), new, glance: &glance };
            self.life(&mut state, &change);
            if !state.is_lost {
                self.money(&mut state, &change);
            }
        }
    }

    fn tell(&self, old: Option<&OperationRecord>, new: &OperationRecord) {
        self.log.event("operation", u64::from(new.fence), || {
            let was = old.map_or("-", |old| old.state.name());
            let nonce = new.nonce().map_or_else(String::new, |n| format!(" nonce {n}"));
            format!("{}: {was} -> {}{nonce} {:?}", new.id, new.state.name(), new.delivery)
        });
        if old.map(|old| old.state) != Some(new.state) {
            self.log.reach(new.state.name());
        }
    }

    fn time_goes_on(&self, state: &mut State, glance: &Glance) {
        if glance.now < state.now {
            self.log.violate("I15", format!("the clock went from {} to {}", state.now, glance.now));
        }
        if glance.sequence < state.sequence && !state.is_lost {
            self.log.violate("I9", format!("the log shrank to {}", glance.sequence));
        }
        state.now = glance.now;
        state.sequence = glance.sequence;
        state.freezes.clone_from(&glance.freezes);
        match (&glance.sealed, state.sealed_at) {
            (Some(_), None) => state.sealed_at = Some(glance.now),
            (None, Some(_)) => state.sealed_at = None,
            _ => {}
        }
    }

    /// A signer is about to sign.
    pub(crate) fn signs(&self, id: OperationId, number: u32, payload: &UnsignedTransaction) {
        let state = self.state();
        let Some(record) = state.records.get(&id) else {
            return self.log.violate("I5", format!("{id} is signed and in no book"));
        };
        let bound = record.attempts.iter().find(|attempt| attempt.number == number);
        let Some(bound) = bound.filter(|bound| bound.transaction == *payload) else {
            return self.log.violate("I5", format!("{id}: what is signed is not what is bound"));
        };
        if let Some(since) = state.sealed_at
            && (bound.made_at > since || state.now.since(since).0 > ON_ITS_WAY)
        {
            self.log.violate("I12", format!("{id} is signed although the ledger is sealed"));
        }
    }

    /// A deterministic signer has made these bytes of what is bound.
    pub(crate) fn determines(&self, id: OperationId, hash: B256) {
        self.state().determined.insert(hash, id);
    }

    /// Bytes leave for a node: they are stored, or what is stored makes them again. While history is lost, they are
    /// stored in the copy that took the place of the books.
    pub(crate) fn leaves(&self, hash: B256) {
        let state = self.state();
        let has = |record: &OperationRecord| record.attempts.iter().any(|a| a.hash == Some(hash));
        let in_copy = state.is_lost && self.model.look(|all| all.iter().any(has));
        if !in_copy && state.operation_of(hash).is_none() {
            self.log.violate("I6", format!("{hash} is sent and stored nowhere"));
        }
    }

    /// A vote was counted.
    pub(crate) fn approved(&self, approve: &Approve, answer: &ApproveAnswer) {
        let ApproveAnswer::Voted(record) = answer else { return };
        let state = self.state();
        let asked = state.asked.get(&approve.operation).and_then(|asked| asked.digest);
        if asked != Some(approve.digest) && !state.is_lost {
            let text = format!("a vote for another digest counts for {}", record.id);
            self.log.violate("I11", text);
        }
    }

    /// A reservation was given back for reasons of ours.
    pub(crate) fn rejected(&self, reject: &Reject) {
        let is_it = |o: &OperationRecord| o.id == reject.operation && o.state == S::Rejected;
        if reject.void && self.model.look(|all| all.iter().any(is_it)) {
            self.state().voided.insert(reject.operation);
        }
    }

    /// A commit was answered.
    pub(crate) fn committed(&self, commit: &Commit, answer: &CommitAnswer) {
        if let CommitAnswer::Bound(record) = answer
            && record.fence != commit.fence
        {
            let text = format!("{} is bound by a gateway that judged it before another", record.id);
            self.log.violate("I15", text);
        }
    }

    /// A reservation was refused for want of room.
    pub(crate) fn refused(&self, charges: &[Charge], parks: bool, own: Option<OperationId>) {
        self.reach_refusal();
        let state = self.state();
        if !state.is_lost && self.fits(&state, charges, parks, own) {
            let text = format!("charges that fit were refused, operation {own:?}");
            self.log.violate("I2", text);
        }
    }

    fn reach_refusal(&self) {
        self.log.reach("over");
    }

    /// An agent was told that it has to wait for this.
    pub(crate) fn acknowledged(&self, id: OperationId) {
        self.state().acknowledged.insert(id);
    }

    /// The store goes on with an older copy.
    pub(crate) fn history_is_lost(&self) {
        self.state().is_lost = true;
    }

    /// A person has put it right: what the books say now is where it goes on from.
    pub(crate) fn history_is_found(&self) {
        let glance = self.model.glance();
        let mut state = self.state();
        state.is_lost = false;
        (state.sequence, state.now) = (glance.sequence, glance.now);
        drop(self.model.take_changed());
        for record in self.model.all() {
            let known = state.asked.get(&record.id).and_then(|asked| asked.digest);
            if record.digest.is_some() && record.digest != known {
                state.asked.insert(record.id, Asked::of(&record));
            }
            let hashes = record.attempts.iter().filter_map(|attempt| attempt.hash);
            state.hashes.extend(hashes.map(|hash| (hash, record.id)));
            let was = state.records.get(&record.id).map(|record| record.state);
            state.note_revived(was, &record);
            state.checked_at.entry(record.id).or_insert(glance.now);
            state.records.insert(record.id, record);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
