//! Money under fire, by `kill -9`: the real binary, a real node, a real Redis, agents and a person at work, and again
//! and again somebody pulls the plug.
//!
//! After each cut nothing that was acknowledged is missing, and the counters are what their operations hold, at every
//! instant. In the end no wish was paid twice, none that was promised was not paid, no limit was exceeded, and operations,
//! counters, budgets and chain say the same.
//!
//! `COUNTERSIGN_KILLS=500` cuts so often, `COUNTERSIGN_SEED=7` with that chance; `scripts/torture kill 500 7` does both.
#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a failed test panics, and figures are printed"
)]

use std::{collections::BTreeSet, time::Duration};

use countersign_tests::{
    Setup, StoreKind,
    books::audit,
    config::{AgentSetup, wallet_id},
    load::{Fleet, Plan, Work},
    place,
    proxy::Chance,
    wait,
};
use tokio::time::{Instant, sleep};

const POLICY: &str = include_str!("policy.yaml");

/// Whose window is too small for the load, and whose is not.
const AGENTS: [(&str, u32); 2] = [("bot", 400), ("other", 1_000_000)];

/// How often the plug is pulled where nobody says otherwise.
const CUTS: u64 = 15;

/// How long it may take until every wish has its last word.
const LAST_WORDS: Duration = Duration::from_mins(1);

/// Who may be killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victims {
    Gateways,
    Redis,
}

impl Victims {
    /// How many clients of each agent are at work. Who was cut off by a Redis that died waits until what it left behind is
    /// taken up, so it takes more of them to keep the gateways busy.
    const fn clients(self) -> usize {
        match self {
            Self::Gateways => 4,
            Self::Redis => 12,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_is_killed_again_and_again_loses_nothing() {
    torture(StoreKind::Embedded, 1, Victims::Gateways).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gateways_on_one_redis_that_are_killed_in_turn_lose_nothing() {
    torture(StoreKind::Redis, 2, Victims::Gateways).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_is_killed_again_and_again_loses_nothing() {
    torture(StoreKind::Redis, 2, Victims::Redis).await;
}

async fn torture(store: StoreKind, gateways: usize, victims: Victims) {
    let (cuts, seed) = (number("COUNTERSIGN_KILLS", CUTS), number("COUNTERSIGN_SEED", 1));
    println!("{store:?}, {victims:?}: {cuts} cuts, seed {seed}");
    let mut chance = Chance::of(seed);
    let plan = Plan { gateways, anvil: vec!["--block-time", "1"], ..Plan::of(setup(store)) };
    let mut fleet = Fleet::start(plan).await;
    (0..gateways).for_each(|post| fleet.lighten_keys(post));
    let started = Instant::now();
    let mut work = Work::start(&fleet, &["bot", "other"], victims.clients(), &mut chance);
    let mut found = BTreeSet::new();
    for cut in 1..=cuts {
        sleep(Duration::from_millis(chance.below(700).saturating_add(100))).await;
        pull_the_plug(&mut fleet, victims, &mut chance).await;
        nothing_is_missing(&fleet, &work, &mut found, cut).await;
    }
    let in_time = work.finish(LAST_WORDS).await;
    println!("{cuts} cuts in {:.1?}: {}", started.elapsed(), work.tally.summary());
    assert!(in_time, "every wish has its last word: {}", work.tally.summary());
    compare(&fleet, &work).await;
}

/// Kills one, waits a moment, and starts it again.
async fn pull_the_plug(fleet: &mut Fleet, victims: Victims, chance: &mut Chance) {
    let pause = Duration::from_millis(chance.below(400));
    let count = u64::try_from(fleet.posts.len()).expect("a small number");
    match victims {
        Victims::Gateways => {
            let post = usize::try_from(chance.below(count)).expect("a small number");
            let gateway = &mut fleet.post_mut(post).gateway;
            gateway.kill9();
            sleep(pause).await;
            gateway.restart().await;
        }
        Victims::Redis => {
            let redis = fleet.redis.as_mut().expect("a Redis");
            redis.down();
            sleep(pause).await;
            redis.up().await;
        }
    }
}

/// Every operation that somebody was told to wait for is there, and every counter is what its operations hold.
async fn nothing_is_missing(fleet: &Fleet, work: &Work, found: &mut BTreeSet<String>, cut: u64) {
    let alice = fleet.alice(0);
    for id in work.tally.parked().difference(&found.clone()) {
        let path = format!("/operations/{id}");
        let status = wait::until("an operation to be shown", async || {
            let status = alice.try_get(&path).await.ok()?.status;
            [200, 404].contains(&status).then_some(status)
        })
        .await;
        assert_eq!(status, 200, "cut {cut}: {id} was acknowledged and is lost");
        found.insert(id.clone());
    }
    if fleet.redis.is_some() {
        let differences = audit::differences(&mut fleet.resp().await).await;
        assert!(differences.is_empty(), "cut {cut}: {differences:#?}");
    }
}

/// All books, when all is settled.
async fn compare(fleet: &Fleet, work: &Work) {
    let books = fleet.settled(0, Duration::from_secs(30)).await.expect("everything is settled");
    let mut faults = fleet.audit(0, &books).await;
    faults.extend(work.tally.lies(&books));
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    let ends = work.tally.ends();
    for word in ["paid", "no_rule_allows", "approval_rejected", "rolling_limit_exceeded"] {
        assert!(ends.contains_key(word), "the load was too light to show anything: {ends:?}");
    }
    println!(
        "{} operations, {} transactions on chain, all alike",
        books.operations.len(),
        books.mined.len()
    );
}

fn setup(store: StoreKind) -> Setup {
    let agents = AGENTS.iter().enumerate().map(|(account, (id, limit))| {
        let policy = POLICY
            .replace("{agent}", id)
            .replace("{wallet}", &wallet_id(account))
            .replace("{limit}", &limit.to_string());
        AgentSetup { policy, ..AgentSetup::new(id, account) }
    });
    Setup { agents: agents.collect(), ..Setup::new(store) }
}

/// A number of the environment.
fn number(name: &str, otherwise: u64) -> u64 {
    let text = place::environment(name);
    let text = text.as_ref().and_then(|text| text.to_str());
    text.map_or(otherwise, |text| text.parse().expect("a number"))
}
