//! Everybody at once.

use std::collections::BTreeMap;

use countersign_tests::{
    Setup, StoreKind,
    config::PAYEE,
    load::{Fleet, Heard, Plan},
    money::USD,
};
use tokio::task::JoinSet;

use crate::TAKEOVER;

/// How many ask at once.
const TASKS: usize = 64;

/// How many of them the limits hold.
const FIT: usize = 17;

/// What everybody at once heard, each at the next gateway, each for an amount of its own.
async fn race(fleet: &Fleet, usd: u128) -> Vec<Heard> {
    let mut racers = JoinSet::new();
    for number in 0..TASKS {
        let post = number.checked_rem(fleet.posts.len()).expect("gateways");
        let client = fleet.client(post, "bot");
        let wei = USD.saturating_mul(usd).saturating_add(u128::try_from(number).expect("small"));
        racers.spawn(async move { client.send(Some(&format!("race-{number}")), PAYEE, wei).await });
    }
    racers.join_all().await
}

#[tokio::test(flavor = "multi_thread")]
async fn two_gateways_that_send_from_one_wallet_share_its_nonces_without_a_gap() {
    let setup = Setup::new(StoreKind::Redis).with_fees_raised_soon();
    let fleet = Fleet::start(Plan { gateways: 2, ..Plan::of(setup) }).await;
    let heard = race(&fleet, 10).await;
    let hashes: std::collections::BTreeSet<_> = heard
        .into_iter()
        .map(|heard| match heard {
            Heard::Hash(hash) => hash,
            other @ (Heard::Refused(_) | Heard::Nothing) => panic!("{other:?}"),
        })
        .collect();
    let books = fleet.settled(0, TAKEOVER).await.expect("everything is settled");
    let faults = fleet.audit(0, &books).await;
    assert!(faults.is_empty(), "{faults:#?}");
    assert_eq!((hashes.len(), books.mined.len()), (TASKS, TASKS), "each was paid once");
    let nonces: Vec<_> = books.mined.iter().map(|mined| mined.nonce).collect();
    assert!(nonces.iter().copied().eq(0..64), "{nonces:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn three_gateways_and_eight_counters_let_through_exactly_what_fits() {
    let setup = Setup::new(StoreKind::Redis).with_fees_raised_soon();
    let setup = setup.with(|bot| bot.policy = eight_limits());
    let fleet = Fleet::start(Plan { gateways: 3, ..Plan::of(setup) }).await;
    let mut ends: BTreeMap<String, usize> = BTreeMap::new();
    for heard in race(&fleet, 10).await {
        let end = match heard {
            Heard::Hash(_) => "paid".to_owned(),
            Heard::Refused(error) => error.text("code").to_owned(),
            Heard::Nothing => "no answer".to_owned(),
        };
        let count = ends.entry(end).or_default();
        *count = count.saturating_add(1);
    }
    let refused: usize = ends
        .iter()
        .filter(|(end, _)| end.ends_with("limit_exceeded"))
        .map(|(_, count)| count)
        .sum();
    assert_eq!(ends.get("paid"), Some(&FIT), "{ends:?}");
    assert_eq!(refused, TASKS.saturating_sub(FIT), "{ends:?}");
    let books = fleet.settled(0, TAKEOVER).await.expect("everything is settled");
    let faults = fleet.audit(0, &books).await;
    assert!(faults.is_empty(), "{faults:#?}");
    assert_eq!((books.mined.len(), books.kept().len()), (FIT, 8));
}

/// Four sums and four counts that hold exactly [`FIT`] payments of 10 USD: with their fees they stay below the next
/// 9 USD.
fn eight_limits() -> String {
    let usd = FIT.saturating_mul(10).saturating_add(9);
    let windows = ["1h", "6h", "24h", "30d"];
    let sums = windows.iter().map(|per| {
        format!("  - {{ id: sum-{per}, sum: usd, per: {per}, max: {usd}, code: rolling_limit_exceeded }}\n")
    });
    let counts = windows.iter().map(|per| {
        format!("  - {{ id: count-{per}, count: tx, per: {per}, max: {FIT}, code: count_limit_exceeded }}\n")
    });
    let limits: Vec<String> = sums.chain(counts).collect();
    format!(
        "policy: bot\nkind: grant\nfor: {{ agent: bot, wallets: [ops-0] }}\nrules:\n  - {{ id: pay, when: {{ kind: \
         transfer, to: \"{PAYEE}\" }}, then: allow }}\nlimits:\n{}",
        limits.concat()
    )
}
