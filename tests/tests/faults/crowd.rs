//! Many callers at once when the line to Redis goes dark: one after another would be minutes.

use std::time::Duration;

use countersign_tests::{
    Setup, StoreKind,
    books::Books,
    config::PAYEE,
    load::{Fleet, Heard, Plan},
    money::USD,
    proxy::{
        Blow,
        End::Silence,
        Fault::NoAnswer,
        Line::Dark,
        Mark,
        store::{COMMIT, RECORD, RESERVE, SIGNED},
    },
};
use tokio::{task::JoinSet, time::Instant};

/// How many call at once.
const CALLERS: u128 = 24;

/// At whose first message of a kind the line goes dark, and by when the last of them has an answer, in seconds.
const CASES: [(Mark, u64); 4] = [(RESERVE, 8), (RECORD, 10), (COMMIT, 12), (SIGNED, 14)];

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_before_a_line_that_goes_dark_is_answered_within_seconds_and_paid_once_each() {
    let setup = Setup::new(StoreKind::Redis).with(|bot| super::POLICY.clone_into(&mut bot.policy));
    let fleet = Fleet::start(Plan::of(setup)).await;
    super::warm_up(&fleet).await;
    for (round, (mark, within)) in (1..).zip(CASES) {
        goes_dark(&fleet, mark, Duration::from_secs(within), round).await;
    }
}

async fn goes_dark(fleet: &Fleet, mark: Mark, within: Duration, round: u128) {
    let line = fleet.post(0).store.clone().expect("a line to the store");
    line.arm(Blow { mark, nth: 1, fault: NoAnswer(Silence), then: Dark });
    let amounts = (0..CALLERS).map(|caller| {
        let unique = round.saturating_mul(1000).saturating_add(caller);
        (format!("crowd-{unique}"), USD.saturating_mul(10).saturating_add(unique))
    });
    let amounts: Vec<(String, u128)> = amounts.collect();
    let mut callers = JoinSet::new();
    for (key, wei) in amounts.clone() {
        let client = fleet.client(0, "bot");
        callers.spawn(async move {
            let started = Instant::now();
            (client.send(Some(&key), PAYEE, wei).await, started.elapsed())
        });
    }
    let heard = callers.join_all().await;
    let longest = heard.iter().map(|(_, after)| *after).max().unwrap_or_default();
    println!("{longest:>8.1?}  the last of {CALLERS} callers, dark at {:?}", mark.text());
    assert!(line.has_struck(), "{:?} was never met", mark.text());
    line.heal();
    assert!(longest <= within, "dark at {:?}: the last answer after {longest:?}", mark.text());
    for (heard, _) in &heard {
        let known = match heard {
            Heard::Hash(_) => true,
            Heard::Refused(error) => [-32002, -32010].contains(&error.code),
            Heard::Nothing => false,
        };
        assert!(known, "dark at {:?}: {heard:?}", mark.text());
    }
    for (key, wei) in &amounts {
        fleet.client(0, "bot").insist(Some(key), PAYEE, *wei).await;
    }
    let books: Books = fleet.settled(0, Duration::from_secs(30)).await.expect("all is settled");
    let mut faults = fleet.audit(0, &books).await;
    let odd = amounts.iter().filter(|(_, wei)| books.payments_of(*wei) != 1);
    faults.extend(odd.map(|(key, wei)| format!("{key}: {} payments", books.payments_of(*wei))));
    assert!(faults.is_empty(), "dark at {:?}: {faults:#?}", mark.text());
}
