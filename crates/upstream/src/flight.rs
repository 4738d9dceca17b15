//! Answers that concurrent callers share, for a short time.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::OnceCell, time::Instant};

/// How many answers are kept at once; the stale ones go first.
const ANSWERS_MAX: usize = 4096;

type Slot<V, E> = OnceCell<(Instant, Result<V, E>)>;

/// One question per key at a time. Whoever comes while it is asked shares its answer, good or bad;
/// whoever comes later shares a good one until it is too old. If the caller that asks goes away,
/// the next one in line asks again.
#[derive(Debug)]
pub(crate) struct Flights<K, V, E> {
    ttl: Duration,
    slots: Mutex<HashMap<K, Arc<Slot<V, E>>>>,
}

impl<K: Eq + Hash, V: Clone, E: Clone> Flights<K, V, E> {
    /// Keeps good answers for `ttl`.
    pub(crate) fn new(ttl: Duration) -> Self {
        Self { ttl, slots: Mutex::new(HashMap::new()) }
    }

    /// The answer to `key`: a shared one, or that of `ask`.
    pub(crate) async fn share<A>(&self, key: K, ask: A) -> Result<V, E>
    where
        A: Future<Output = Result<V, E>> + Send,
    {
        let slot = self.slot(key);
        let timed = Box::pin(async {
            let answer = ask.await;
            (Instant::now(), answer)
        });
        slot.get_or_init(|| timed).await.1.clone()
    }

    /// The next caller asks anew.
    pub(crate) fn forget(&self, key: &K) {
        self.slots().remove(key);
    }

    fn slot(&self, key: K) -> Arc<Slot<V, E>> {
        let now = Instant::now();
        let mut slots = self.slots();
        if let Some(slot) = slots.get(&key).filter(|slot| self.is_usable(slot, now)) {
            return Arc::clone(slot);
        }
        if slots.len() >= ANSWERS_MAX {
            slots.retain(|_, slot| self.is_usable(slot, now));
        }
        if slots.len() >= ANSWERS_MAX {
            slots.clear();
        }
        let slot = Arc::new(OnceCell::new());
        slots.insert(key, Arc::clone(&slot));
        slot
    }

    fn is_usable(&self, slot: &Slot<V, E>, now: Instant) -> bool {
        match slot.get() {
            None => true,
            Some((at, Ok(_))) => now.duration_since(*at) < self.ttl,
            Some((_, Err(_))) => false,
        }
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<K, Arc<Slot<V, E>>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use futures_util::future::join_all;

    use super::*;

    async fn asked(count: &AtomicU32, answer: Result<u8, u8>) -> Result<u8, u8> {
        count.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
        answer
    }

    #[tokio::test]
    async fn callers_at_the_same_time_share_one_question() {
        let (flights, count) = (Flights::new(Duration::from_mins(1)), AtomicU32::new(0));
        let callers = (0..20).map(|_| flights.share((), asked(&count, Ok(7))));
        assert_eq!(join_all(callers).await, vec![Ok(7); 20]);
        assert_eq!(flights.share((), asked(&count, Ok(8))).await, Ok(7));
        assert_eq!(count.load(Ordering::SeqCst), 1);
        flights.forget(&());
        assert_eq!(flights.share((), asked(&count, Ok(8))).await, Ok(8));
    }

    #[tokio::test]
    async fn a_failure_is_shared_by_those_who_wait_and_by_nobody_else() {
        let (flights, count) = (Flights::new(Duration::from_mins(1)), AtomicU32::new(0));
        let callers = (0..20).map(|_| flights.share((), asked(&count, Err(1))));
        assert_eq!(join_all(callers).await, vec![Err(1); 20]);
        assert_eq!(count.load(Ordering::SeqCst), 1);
        assert_eq!(flights.share((), asked(&count, Ok(2))).await, Ok(2));
    }

    #[tokio::test]
    async fn a_stale_answer_is_asked_for_again() {
        let (flights, count) = (Flights::new(Duration::ZERO), AtomicU32::new(0));
        for value in [1, 2, 3] {
            assert_eq!(flights.share((), asked(&count, Ok(value))).await, Ok(value));
        }
    }

    #[tokio::test]
    async fn a_caller_that_goes_away_leaves_its_question_to_the_next() {
        let flights: Flights<(), u8, u8> = Flights::new(Duration::from_mins(1));
        let gone = flights.share((), std::future::pending());
        assert!(tokio::time::timeout(Duration::from_millis(1), gone).await.is_err());
        assert_eq!(flights.share((), async { Ok(5) }).await, Ok(5));
    }

    #[tokio::test]
    async fn the_number_of_answers_is_bounded() {
        let flights: Flights<usize, u8, u8> = Flights::new(Duration::from_mins(1));
        for key in 0..=ANSWERS_MAX {
            flights.share(key, async { Ok(0) }).await.unwrap();
        }
        assert!(flights.slots().len() <= ANSWERS_MAX);
    }
}
