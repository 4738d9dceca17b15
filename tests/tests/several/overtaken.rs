//! A gateway that stands still in the middle of a send, is taken for dead and overtaken, and goes on.

use std::time::Duration;

use countersign_tests::{
    config::PAYEE,
    load::Heard,
    money::USD,
    proxy::{Blow, Fault::Late, Line, Mark, store},
    wait,
};
use tokio::time::{Instant, sleep_until};

use crate::{each, fleet, paid_once, reaches};

/// Longer than a gateway counts as alive.
const STANDSTILL: Duration = Duration::from_millis(6500);

/// The message whose answer it meets when it goes on.
const STOPS: &[Mark] = &[store::RECORD, store::COMMIT, store::SIGNED, store::SENT];

#[test]
fn a_gateway_that_stood_still_and_was_overtaken_pays_nothing_again() {
    each(STOPS, stands_still);
}

async fn stands_still(mark: Mark) {
    let fleet = fleet(2).await;
    let (client, wei) = (fleet.client(0, "bot"), USD.saturating_mul(20).saturating_add(9));
    client.insist(Some("warm"), PAYEE, USD).await;
    let line = fleet.post(0).store.clone().expect("a line");
    line.arm(Blow { mark, nth: 1, fault: Late(6000), then: Line::Open });
    let call = tokio::spawn(async move { client.send(Some("stop"), PAYEE, wei).await });
    wait::until("the message to be on its way", async || line.has_struck().then_some(())).await;
    let stopped = Instant::now();
    fleet.post(0).signal("STOP");
    let done = reaches(&fleet, 1, wei, &["EXECUTED"]).await;
    let after = stopped.elapsed();
    sleep_until(stopped.checked_add(STANDSTILL).expect("an instant")).await;
    fleet.post(0).signal("CONT");
    println!("{after:>7.1?}  overtaken at {:?}", mark.text());
    // whatever it says, it is no other hash
    if let Heard::Hash(hash) = call.await.expect("no panic") {
        assert!(done.hashes().any(|known| known == hash), "{hash} is not of {done:?}");
    }
    let again = fleet.client(0, "bot").insist(Some("stop"), PAYEE, wei).await;
    assert!(done.hashes().any(|hash| hash == again), "a repetition finds the result");
    let next = wei.saturating_add(1);
    fleet.client(0, "bot").insist(Some("next"), PAYEE, next).await;
    paid_once(&fleet, 0, next).await;
    paid_once(&fleet, 1, wei).await;
}
