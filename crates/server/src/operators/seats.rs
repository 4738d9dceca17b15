//! Seats of those whose answers go on for long: so many in all, and so many of one operator.

use std::{
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use countersign_core::identity::OperatorId;

/// How long somebody may take nothing before the seat goes to somebody else.
const READS_WITHIN: Duration = Duration::from_mins(1);

/// Those who sit.
#[derive(Debug)]
pub(super) struct Seats {
    taken: Mutex<Vec<Weak<Seat>>>,
    most: usize,
    each: usize,
}

/// A place among those who sit, until it is dropped or lost.
#[derive(Debug)]
pub(super) struct Seat {
    whose: OperatorId,
    took_at: Mutex<Instant>,
    is_lost: AtomicBool,
}

impl Seats {
    /// `most` in all, and `each` of one operator: nobody keeps the others out.
    pub(super) const fn new(most: usize, each: usize) -> Self {
        Self { taken: Mutex::new(Vec::new()), most, each }
    }

    /// A seat, if there is one: free, or of somebody who does not read.
    pub(super) fn take(&self, whose: &OperatorId) -> Option<Arc<Seat>> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let mut own = 0_usize;
        taken.retain(|seat| {
            let held = seat.upgrade().filter(|seat| !seat.is_idle());
            own = own.saturating_add(usize::from(held.as_ref().is_some_and(|s| s.whose == *whose)));
            held.is_some()
        });
        if taken.len() >= self.most || own >= self.each {
            return None;
        }
        let (took_at, is_lost) = (Mutex::new(now()), AtomicBool::new(false));
        let seat = Arc::new(Seat { whose: whose.clone(), took_at, is_lost });
        taken.push(Arc::downgrade(&seat));
        Some(seat)
    }
}

impl Seat {
    /// Who takes nothing loses the seat, and hears so when taking again.
    fn is_idle(&self) -> bool {
        let took_at = *self.took_at.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = took_at.elapsed() >= READS_WITHIN;
        if idle {
            self.is_lost.store(true, Ordering::Release);
        }
        idle
    }

    /// Whether the seat is still held. Only a connection that takes bytes asks.
    pub(super) fn hold(&self) -> bool {
        *self.took_at.lock().unwrap_or_else(PoisonError::into_inner) = now();
        !self.is_lost.load(Ordering::Acquire)
    }
}

#[expect(clippy::disallowed_methods, reason = "only pauses are measured with it")]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_takes_more_than_their_share() {
        let seats = Seats::new(3, 2);
        let id = |name: &str| OperatorId::parse(name).unwrap();
        let (ann, bob) = (id("ann"), id("bob"));
        let held = [seats.take(&ann), seats.take(&ann)];
        assert!(held.iter().all(Option::is_some) && seats.take(&ann).is_none());
        let other = seats.take(&bob);
        assert!(other.is_some() && seats.take(&bob).is_none());
        drop(held);
        assert!(seats.take(&ann).is_some() && other.is_some_and(|seat| seat.hold()));
    }
}
