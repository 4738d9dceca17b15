//! Where the money is: counters against operations, operations against the chain.

use countersign_core::{
    charge::{Charge, Over, Unit, Window},
    identity::OperationId,
    operation::{Money, OperationRecord, OperationState as S, Purpose},
    time::{Millis, Timestamp},
};

use super::{Change, Oracle, State, head_of, is_split};
use crate::simulation::{
    chain::Spend,
    limits::{HOURS, shown, worth},
};

impl Oracle {
    /// Everything about a change that is an amount.
    pub(super) fn money(&self, state: &mut State, change: &Change<'_>) {
        let Change { old, new, glance } = change;
        let charged = old.is_none_or(|old| old.charges != new.charges);
        let split = is_split(*old, new);
        if split {
            self.shared_out(state, change);
        }
        if charged && !split && new.state.money() != Money::Settled {
            self.charged(state, change);
        }
        if new.state.money() == Money::Settled && old.is_none_or(|old| old.state != new.state) {
            self.settled(change);
        }
        self.sums_agree(state, new, glance.now);
        for hash in new.attempts.iter().filter_map(|attempt| attempt.hash) {
            if let Some((spend, _)) = self.chain.truth(hash) {
                self.is_covered(new, &spend);
            }
        }
    }

    /// A bundle became its calls: together they hold what it held, and they were checked when it was.
    fn shared_out(&self, state: &mut State, change: &Change<'_>) {
        let Change { old, new, glance } = change;
        let checked = state.checked_at.get(&head_of(new)).copied().unwrap_or(glance.now);
        state.checked_at.entry(new.id).or_insert(checked);
        let Some((old, bundle)) = old.zip(new.intent.bundle.as_deref()) else { return };
        self.log.reach("split");
        let parts = (0..bundle.count).map(|index| bundle.handle.operation(index));
        let parts = parts.filter_map(|id| state.records.get(&id));
        if !parts.flat_map(|part| &part.charges).eq(&old.charges) {
            self.log
                .violate("I2", format!("the calls of {} hold other charges than it did", new.id));
        }
    }

    /// Charges were put in, or put in the place of others.
    fn charged(&self, state: &mut State, change: &Change<'_>) {
        let Change { old, new, glance } = change;
        let is_raised = old.is_some_and(|old| old.attempts.len() < new.attempts.len());
        if let Some(old) = old
            && !old.attempts.is_empty()
        {
            self.only_fees_rise(old, new);
        }
        state.checked_at.entry(new.id).or_insert(glance.now);
        let cancels = new.attempts.last().is_some_and(|a| a.purpose == Purpose::Cancel);
        if cancels || new.state.money() == Money::None || is_adopted(*old, new) {
            return;
        }
        if !is_raised {
            state.checked_at.insert(new.id, glance.now);
            self.hour_holds(state, new, glance.now);
        }
        let parks = new.state == S::Parked;
        for (index, charge) in new.charges.iter().enumerate() {
            let was = old.and_then(|old| old.charges.get(index));
            let rose = was.is_none_or(|was| was.fee < charge.fee);
            let denies = match &charge.over {
                Over::Deny => true,
                Over::Park { waived, .. } => !waived && !parks && !is_raised,
            };
            let used = used(state, charge, glance.now, None);
            if denies && used > charge.limit && (!is_raised || rose) {
                let (used, limit) = (shown(used), shown(charge.limit));
                let name = &charge.source.limit;
                let text = format!("{} brings `{name}` to {used} of {limit}", new.id);
                self.log.violate("I1", text);
            }
        }
    }

    /// Whatever the limit of an hour is called, it counts all that its agent spent.
    fn hour_holds(&self, state: &State, new: &OperationRecord, now: Timestamp) {
        let Some(charge) = hour_of(new).next() else { return };
        let same_agent = state.records.values().filter(|record| record.agent() == new.agent());
        let spent: u64 = same_agent
            .map(|record| hour_of(record).map(|of| held(record, of, now)).max().unwrap_or(0))
            .sum();
        if spent > charge.limit {
            let (spent, limit) = (shown(spent), shown(charge.limit));
            let text = format!("{} brings its agent's hour to {spent} of {limit}", new.id);
            self.log.violate("I1", text);
        }
    }

    /// After commit a charge keeps its counter, its window and its value.
    fn only_fees_rise(&self, old: &OperationRecord, new: &OperationRecord) {
        let keeps = |(a, b): (&Charge, &Charge)| {
            let mut same = a.clone();
            same.fee = b.fee;
            same == *b && a.fee <= b.fee
        };
        // a limit that came later may have added its own
        let shorter = new.charges.len() < old.charges.len();
        if shorter || !old.charges.iter().zip(&new.charges).all(keeps) {
            self.log.violate("I2", format!("the charges of {} changed after commit", new.id));
        }
    }

    fn settled(&self, change: &Change<'_>) {
        let Change { old, new, glance } = change;
        let Some(actual) = &new.actual else {
            return self.log.violate("I10", format!("{} is settled without a receipt", new.id));
        };
        if !self.chain.was_final(actual.block_hash) {
            let text = format!("{} is settled by a block that was never final", new.id);
            self.log.violate("I10", text);
        }
        if new.settled_at != Some(glance.now) {
            self.log.violate("I2", format!("{} is settled at another time than now", new.id));
        }
        if let Some(old) = old {
            self.only_fees_rise(old, new);
        }
    }

    /// The ledger's counters show what the operations say.
    fn sums_agree(&self, state: &State, new: &OperationRecord, now: Timestamp) {
        for (charge, reading) in new.charges.iter().zip(self.model.readings(&new.charges)) {
            let used = used(state, charge, now, None);
            if used != reading.used() {
                let (sum, counter) = (shown(used), shown(reading.used()));
                let name = &charge.source.limit;
                let text = format!("`{name}` shows {counter}, its operations sum up to {sum}");
                self.log.violate("I2", text);
            }
        }
    }

    /// What the chain took is in the books, in full.
    pub(crate) fn is_covered(&self, record: &OperationRecord, spend: &Spend) {
        let cancels = record.purpose_of(spend.transaction.hash) == Some(Purpose::Cancel);
        let value = if spend.succeeded && !cancels { worth(spend.transaction.value) } else { 0 };
        let took = value + worth(spend.fee_wei);
        let fail = |why: &str| {
            let (id, state) = (record.id, record.state.name());
            let text = format!("the chain took {} for {id}, {state}, {why}", shown(took));
            self.log.violate("I10", text);
        };
        match record.state.money() {
            Money::None | Money::Reserved => fail("and the books hold nothing for it"),
            Money::Committed => {
                let short = |c: &&Charge| c.unit == Unit::Usd && c.value + c.fee < took;
                if let Some(charge) = record.charges.iter().find(short) {
                    fail(&format!("`{}` holds less", charge.source.limit));
                }
            }
            Money::Settled => {
                let other = record.actual.as_ref().is_none_or(|actual| {
                    actual.hash != spend.transaction.hash
                        || !self.chain.is_canonical(actual.block_hash)
                });
                // a deep reorg took the receipt's block away: the engine has yet to notice
                if other {
                    return;
                }
                let kept = record.charges.iter().zip(&record.kept);
                let mut short =
                    kept.filter(|(charge, kept)| charge.unit == Unit::Usd && **kept < took);
                if let Some((charge, _)) = short.next() {
                    fail(&format!("`{}` kept less", charge.source.limit));
                }
            }
        }
    }

    /// A block was mined: what is in it was held.
    pub(crate) fn mined(&self, spends: &[Spend]) {
        let state = self.state();
        if state.is_lost {
            return;
        }
        for spend in spends.iter().filter(|spend| !spend.transaction.is_foreign) {
            let hash = spend.transaction.hash;
            let Some(record) = state.operation_of(hash).and_then(|id| state.records.get(&id))
            else {
                self.log.violate("I6", format!("{hash} is mined and stored nowhere"));
                continue;
            };
            self.is_covered(record, spend);
        }
    }

    /// Whether these charges would have fitted.
    pub(super) fn fits(
        &self,
        state: &State,
        charges: &[Charge],
        parks: bool,
        own: Option<OperationId>,
    ) -> bool {
        charges.iter().enumerate().all(|(index, charge)| {
            let same = |other: &&Charge| is_same_counter(other, charge);
            let earlier: u64 = charges[..=index].iter().filter(same).map(|c| c.value + c.fee).sum();
            let bounds = match &charge.over {
                Over::Deny => true,
                Over::Park { waived, .. } => !waived && !parks,
            };
            !bounds || used(state, charge, state.now, own) + earlier <= charge.limit
        })
    }
}

/// A limit that came later adds its charge without a check: it was spent already.
fn is_adopted(old: Option<&OperationRecord>, new: &OperationRecord) -> bool {
    old.is_some_and(|old| old.state == new.state && new.charges.starts_with(&old.charges))
}

/// The charges on the limit of an hour, by any of its names.
fn hour_of(record: &OperationRecord) -> impl Iterator<Item = &Charge> {
    record.charges.iter().filter(|charge| HOURS.contains(&charge.source.limit.as_str()))
}

/// What the operations hold of a counter, but for what one of them has reserved.
fn used(state: &State, charge: &Charge, now: Timestamp, but: Option<OperationId>) -> u64 {
    let others = state
        .records
        .values()
        .filter(|record| Some(record.id) != but || record.state.money() != Money::Reserved);
    others.map(|record| held(record, charge, now)).sum()
}

fn held(record: &OperationRecord, counter: &Charge, now: Timestamp) -> u64 {
    let of_counter = record.charges.iter().enumerate().filter(|(_, c)| is_same_counter(c, counter));
    let amounts = of_counter.map(|(index, charge)| match record.state.money() {
        Money::None => 0,
        Money::Reserved | Money::Committed => charge.value + charge.fee,
        Money::Settled if counts_still(record, charge, now) => {
            record.kept.get(index).copied().unwrap_or(0)
        }
        Money::Settled => 0,
    });
    amounts.sum()
}

/// A bucket counts until its end is a window's length ago.
fn counts_still(record: &OperationRecord, charge: &Charge, now: Timestamp) -> bool {
    let Window::Rolling(Millis(length)) = charge.window else { return true };
    let width = length.div_ceil(1440);
    let settled = record.settled_at.map_or(0, Timestamp::millis);
    let end = settled - settled % width + width;
    end + length > now.millis()
}

fn is_same_counter(a: &Charge, b: &Charge) -> bool {
    a.counter == b.counter
        && match (a.window, b.window) {
            (Window::Calendar(a), Window::Calendar(b)) => (a.start, a.end) == (b.start, b.end),
            _ => true,
        }
}
