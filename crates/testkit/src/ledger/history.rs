//! Copies of the books: what a stale replica holds, and what a person makes of it and of the lost one.

use countersign_core::{
    identity::OperationId,
    operation::{Delivery, Money, OperationRecord, OperationState},
};

use super::{ModelLedger, books::Books, lock};

/// The books as they were at one instant.
#[derive(Debug, Clone)]
pub struct BooksCopy(Box<Books>);

impl BooksCopy {
    /// The length of the log.
    #[must_use]
    pub const fn sequence(&self) -> u64 {
        self.0.sequence
    }

    fn operation(&self, id: OperationId) -> Option<&OperationRecord> {
        self.0.operation(id)
    }
}

impl ModelLedger {
    /// The books as they are now, as a replica holds them.
    #[must_use]
    pub fn copy(&self) -> BooksCopy {
        BooksCopy(Box::new(lock(&self.books).clone()))
    }

    /// Goes on with a copy: what was written since it was made is lost.
    pub fn put_back(&self, copy: &BooksCopy) {
        let mut books = lock(&self.books);
        let (now, flaw) = (books.now, books.flaw);
        *books = (*copy.0).clone();
        (books.now, books.flaw) = (now, flaw);
    }

    /// What a person does who has found the lost books again: they count, and beside them what was said since the
    /// stale copy took their place. What was reserved on the stale copy is given back, as nobody knew the counters.
    /// Where both went on, the lost books count, but for three things: what somebody was told to be over stays over as
    /// long as nothing is bound for it, so does what became several operations, and bytes that are out are kept.
    pub fn reconcile(&self, stale: &BooksCopy, lost: &BooksCopy) {
        let mut books = lock(&self.books);
        let mut whole = (*lost.0).clone();
        for since in books.operations.clone() {
            let then = stale.operation(since.id);
            if then == Some(&since) {
                continue;
            }
            let known = lost.operation(since.id);
            let is_charged =
                then.is_none_or(|then| then.charges != since.charges || then.state != since.state);
            let was_told_over = since.state.money() == Money::None;
            let since = if is_charged { given_back(since) } else { since };
            if known.is_none() {
                whole.operations.push(since);
            } else if let Some(place) = whole.operations.iter_mut().find(|o| o.id == since.id) {
                // its calls are told of by now, so it cannot stand for them again
                let is_split = since.intent.rest().len() < place.intent.rest().len();
                let is_over = (was_told_over || is_split) && place.state.money() == Money::Reserved;
                if known == then || is_over {
                    *place = since;
                } else {
                    keep_bytes(place, &since);
                    // what an agent was told is owed to it, whichever books knew of it; a void operation was told to nobody
                    let is_told = then.is_none_or(|then| then.delivery != since.delivery);
                    if is_told && !books.voided.contains(&since.id) {
                        place.delivery = since.delivery;
                    }
                }
            }
        }
        // who waited for an answer from the lost books has another by now, or asks again
        for record in &mut whole.operations {
            let is_known_since = books.operation(record.id).is_some();
            if record.delivery == Delivery::Waiting && !is_known_since {
                record.delivery = Delivery::Owed;
            }
        }
        whole.changed = whole.operations.iter().map(|o| o.id).collect();
        // what was given back on the stale copy only, and stands again, has its key again
        let given_back = |id: &&OperationId| {
            whole.operation(**id).is_some_and(|o| o.state == OperationState::Rejected)
        };
        let voided: Vec<OperationId> = books.voided.iter().filter(given_back).copied().collect();
        whole.voided.extend(voided);
        whole.freezes.extend(books.freezes.iter().cloned());
        whole.freezers.extend(books.freezers.clone());
        // what people ended on either copy is over
        for (pact, standing) in &books.pacts {
            if standing.is_over() || !whole.pacts.contains_key(pact) {
                whole.pacts.insert(pact.clone(), standing.clone());
            }
        }
        whole.present.clone_from(&books.present);
        whole.sequence = lost.0.sequence.max(books.sequence) + 1;
        (whole.now, whole.flaw) = (books.now, books.flaw);
        *books = whole;
    }
}

/// A signature that was stored on the stale copy for an attempt that has none in the lost books.
fn keep_bytes(record: &mut OperationRecord, since: &OperationRecord) {
    for (attempt, signed) in record.attempts.iter_mut().zip(&since.attempts) {
        if attempt.hash.is_none() && attempt.transaction == signed.transaction {
            (attempt.raw, attempt.hash) = (signed.raw.clone(), signed.hash);
        }
    }
    if record.state == OperationState::Prepared && record.attempts.iter().any(|a| a.hash.is_some())
    {
        record.state = OperationState::Signed;
    }
}

fn given_back(record: OperationRecord) -> OperationRecord {
    if record.state.money() == Money::Reserved {
        OperationRecord { state: OperationState::Rejected, ..record }
    } else {
        record
    }
}
