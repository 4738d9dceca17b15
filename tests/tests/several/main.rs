//! Several gateways on one Redis: what one leaves behind another finishes, once and within seconds; one that stood still
//! finds that it was overtaken; they share nonces and limits to the last unit.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a failed test panics, and figures are printed"
)]

mod overtaken;
mod races;
mod takeover;

use std::time::Duration;

use countersign_tests::{
    Setup, StoreKind,
    books::{Books, Operation},
    load::{Fleet, Plan},
};
use tokio::time::{Instant, sleep};

/// How long another gateway may take to finish what one left behind.
const TAKEOVER: Duration = Duration::from_secs(15);

/// So many gateways on one Redis, before a node that mines at once.
async fn fleet(gateways: usize) -> Fleet {
    Fleet::start(Plan { gateways, ..Plan::of(Setup::new(StoreKind::Redis)) }).await
}

/// Waits until the payment of that amount is in one of these states, as one gateway shows it.
async fn reaches(fleet: &Fleet, post: usize, wei: u128, states: &[&str]) -> Operation {
    let until = Instant::now().checked_add(TAKEOVER);
    loop {
        let books = fleet.books(post).await;
        let found = books
            .and_then(|books| books.operations.into_iter().find(|one| one.payload.value == wei));
        match found {
            Some(found) if states.contains(&found.state.as_str()) => return found,
            found => assert!(
                Some(Instant::now()) < until,
                "not {states:?} within {TAKEOVER:?}: {found:?}"
            ),
        }
        sleep(Duration::from_millis(20)).await;
    }
}

/// All books agree, and the payment of that amount is on chain once.
async fn paid_once(fleet: &Fleet, post: usize, wei: u128) -> Books {
    let books = fleet.settled(post, TAKEOVER).await.expect("everything is settled");
    let faults = fleet.audit(post, &books).await;
    assert!(faults.is_empty(), "{faults:#?}");
    assert_eq!(books.payments_of(wei), 1);
    books
}

/// Each case in a world of its own, all at once: they wait most of the time.
fn each<T, F>(cases: &[T], run: fn(T) -> F)
where
    T: Copy + Send + 'static,
    F: Future<Output = ()> + 'static,
{
    let worlds = cases.iter().copied().map(|case| {
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(run(case));
        })
    });
    let worlds: Vec<_> = worlds.collect();
    let failed = worlds.into_iter().filter_map(|world| world.join().err()).count();
    assert_eq!(failed, 0, "worlds failed");
}
