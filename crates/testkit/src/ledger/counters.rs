//! What counters show: sums over operations, computed anew each time.

use countersign_core::{
    amount::AMOUNT_MAX,
    charge::{Charge, Over, Reading, Window},
    identity::OperationId,
    operation::{OperationRecord, OperationState},
    time::{Millis, Timestamp},
};
use countersign_engine::port::ledger::Overrun;

use super::{books::Books, flawed::Flaw};

/// What a charge asks for and whether it may be refused.
pub(super) struct Asking<'a> {
    /// The charges of one reservation.
    pub(super) charges: &'a [Charge],
    /// Whether the reservation parks.
    pub(super) parks: bool,
    /// The operation whose reserved charges do not count.
    pub(super) without: Option<OperationId>,
}

impl Books {
    /// The counters of these charges, each asked for the charge's own amount.
    pub(super) fn status(&self, charges: &[Charge], without: Option<OperationId>) -> Vec<Reading> {
        let own = |o: &OperationRecord| reserved_by(o, without);
        charges.iter().map(|charge| self.reading(charge, asked(charge), own)).collect()
    }

    /// The charges of a committed operation that do not fit with what their fee has risen to. Charges on one counter
    /// add up, so one that does not rise itself may be over for an earlier one that does.
    pub(super) fn overruns_beside(&self, dearer: &[Charge], id: OperationId) -> Vec<Overrun> {
        let record = self.operation(id).unwrap();
        let rises = |index: usize| {
            let mut charges = dearer.iter().zip(&record.charges).take(index + 1);
            charges.any(|(new, old)| new.fee > old.fee && same_counter(new, &dearer[index]))
        };
        let asking = Asking { charges: dearer, parks: false, without: None };
        let over = self.overruns_but(&asking, |o| o.id == id);
        over.into_iter().filter(|overrun| rises(overrun.index)).collect()
    }

    /// The charges that do not fit, if any.
    pub(super) fn overruns(&self, asking: &Asking<'_>) -> Vec<Overrun> {
        self.overruns_but(asking, |o| reserved_by(o, asking.without))
    }

    fn overruns_but(
        &self,
        asking: &Asking<'_>,
        skips: impl Fn(&OperationRecord) -> bool + Copy,
    ) -> Vec<Overrun> {
        let mut over = Vec::new();
        for (index, charge) in asking.charges.iter().enumerate() {
            let earlier = asking.charges.iter().take(index).filter(|c| same_counter(c, charge));
            let own = earlier.map(asked).fold(asked(charge), u64::saturating_add);
            let reading = self.reading(charge, own, skips);
            let total = reading.used().saturating_add(own);
            let bound = match &charge.over {
                Over::Park { waived, .. } if *waived || asking.parks => AMOUNT_MAX,
                Over::Deny | Over::Park { .. } => charge.limit,
            };
            if total > bound.min(AMOUNT_MAX) {
                over.push(Overrun { index, reading });
            }
        }
        over
    }

    fn reading(
        &self,
        charge: &Charge,
        asked: u64,
        skips: impl Fn(&OperationRecord) -> bool,
    ) -> Reading {
        let mut reading = Reading::default();
        let mut leaving = Vec::new();
        for operation in self.operations.iter().filter(|o| !skips(o)) {
            for (index, held) in operation.charges.iter().enumerate() {
                if !same_counter(held, charge) {
                    continue;
                }
                let amount = held.amount().unwrap();
                match money(operation.state) {
                    Money::Reserved => reading.reserved += amount,
                    Money::Committed => reading.committed += amount,
                    Money::Settled => {
                        leaving.push((operation, operation.kept[index]));
                        if self.flaw == Some(Flaw::SettledTwice) {
                            reading.committed += amount;
                        }
                    }
                    Money::None => {}
                }
            }
        }
        let mut leaving: Vec<(Option<Timestamp>, u64)> = leaving
            .into_iter()
            .map(|(operation, kept)| (self.leaves_at(charge.window, operation), kept))
            .filter(|(leaves, _)| leaves.is_none_or(|leaves| leaves > self.now))
            .collect();
        leaving.sort_unstable();
        reading.settled = leaving.iter().map(|(_, kept)| kept).sum();
        reading.frees_at = frees_at(charge, asked, &reading, &leaving);
        reading
    }

    /// When a settled operation's bucket has left a rolling window; `None` for the other windows.
    fn leaves_at(&self, window: Window, operation: &OperationRecord) -> Option<Timestamp> {
        let Window::Rolling(length) = window else { return None };
        let Millis(width) = window.bucket();
        let bucket = operation.settled_at.unwrap().millis() / width;
        let end = if self.flaw == Some(Flaw::BucketLeavesByItsStart) { bucket } else { bucket + 1 };
        Some(Timestamp::from_millis(end * width).after(length))
    }
}

fn reserved_by(operation: &OperationRecord, id: Option<OperationId>) -> bool {
    Some(operation.id) == id && matches!(money(operation.state), Money::Reserved)
}

fn frees_at(
    charge: &Charge,
    asked: u64,
    reading: &Reading,
    leaving: &[(Option<Timestamp>, u64)],
) -> Option<Timestamp> {
    let limit = charge.limit.min(AMOUNT_MAX);
    let fits = |used: u64| used.saturating_add(asked) <= limit;
    if fits(reading.used()) {
        return None;
    }
    match charge.window {
        Window::Grant => None,
        Window::Calendar(period) => fits(0).then_some(period.end),
        Window::Rolling(_) => {
            let mut used = reading.used();
            leaving.iter().find_map(|(leaves, kept)| {
                used -= kept;
                fits(used).then_some((*leaves)?)
            })
        }
    }
}

fn asked(charge: &Charge) -> u64 {
    charge.amount().unwrap_or(u64::MAX)
}

pub(super) fn same_counter(a: &Charge, b: &Charge) -> bool {
    a.counter == b.counter && a.window.period_key() == b.window.period_key()
}

enum Money {
    None,
    Reserved,
    Committed,
    Settled,
}

/// Where the charges are. After a conflict they are released: the nonce is gone, so nothing of ours can
/// be mined any more.
fn money(state: OperationState) -> Money {
    use OperationState as S;
    match state {
        S::Denied | S::Rejected | S::Expired | S::Conflict => Money::None,
        S::Parked | S::Approved | S::Allowed => Money::Reserved,
        S::Prepared | S::Signed | S::Broadcast | S::Unknown | S::Mined | S::Cancelling => {
            Money::Committed
        }
        S::Executed | S::Reverted | S::Cancelled => Money::Settled,
    }
}
