//! Limits that come, go and change while money moves.

use std::sync::Arc;

use async_trait::async_trait;
use countersign_core::{charge::Charge, operation::OperationState as S, time::Millis};
use countersign_engine::{
    port::{
        Prices,
        prices::{PriceError, Quote},
    },
    submission::Answer,
};
use tokio::sync::{Semaphore, mpsc};

use crate::house::{House, PAYEE, POLICY, eth, operator, send, take};

const HOUR: Millis = Millis(3_600_000);

fn denied(answer: Answer) -> String {
    match answer {
        Answer::Denied(denied) => denied.code,
        other => panic!("not denied: {other:?}"),
    }
}

/// The charge of the newest operation on a limit.
fn charge(house: &House, limit: &str) -> Charge {
    let all = house.ledger.all();
    let mut charges = all.iter().rev().flat_map(|record| record.charges.iter().rev());
    charges.find(|charge| charge.source.limit == limit).unwrap().clone()
}

#[tokio::test(start_paused = true)]
async fn a_renamed_limit_starts_from_what_was_spent() {
    let house = House::new();
    let engine = house.gateway().await;
    for _ in 0..10 {
        take(engine.submit(send(&house, PAYEE, 99)).await);
    }
    house.settle_down(&engine).await;
    engine.replace(house.setup(&POLICY.replace("id: day,", "id: daily,")));
    let asked = denied(take(engine.submit(send(&house, PAYEE, 99)).await));
    assert_eq!(asked, "rolling_limit_exceeded");
    let spent = house.counts_of(charge(&house, "daily")).await;
    assert_eq!(spent, house.counts_of(charge(&house, "day")).await);
    assert!(spent[2] > 990_000_000, "{spent:?}");
}

#[tokio::test(start_paused = true)]
async fn what_a_reorg_brings_back_counts_under_a_limit_that_is_younger_than_its_settlement() {
    let house = House::new();
    let engine = house.gateway().await;
    take(engine.submit(send(&house, PAYEE, 99)).await);
    house.settle_down(&engine).await;
    house.time.advance(Millis(25 * HOUR.0));
    engine.replace(house.setup(&POLICY.replace("id: day,", "id: daily,")));
    take(engine.submit(send(&house, PAYEE, 1)).await);
    house.settle_down(&engine).await;
    let spent = async || house.counts_of(charge(&house, "daily")).await[2] / 1_000_000;
    assert_eq!(spent().await, 1, "the other is long ago");
    house.chain.reorg_dropping(200);
    house.pass(&engine, Millis(2500)).await;
    house.settle_down(&engine).await;
    house.settle_down(&engine).await;
    assert!(house.ledger.all().iter().all(|o| o.state == S::Executed));
    assert_eq!(spent().await, 100, "both are paid now");
}

#[tokio::test(start_paused = true)]
async fn a_new_limit_counts_what_waits_what_is_on_its_way_and_what_is_settled() {
    let house = House::new();
    let engine = house.gateway().await;
    take(engine.submit(send(&house, PAYEE, 10)).await);
    house.settle_down(&engine).await;
    take(engine.submit(send(&house, PAYEE, 20)).await);
    take(engine.submit(send(&house, PAYEE, 200)).await);
    let new = format!("{POLICY}  - {{ id: month, sum: usd, per: 30d, max: 300, code: monthly }}\n");
    engine.replace(house.setup(&new));
    assert_eq!(denied(take(engine.submit(send(&house, PAYEE, 80)).await)), "monthly");
    let [reserved, committed, settled] = house.counts_of(charge(&house, "month")).await;
    assert!((200_000_000..201_000_000).contains(&reserved), "{reserved}");
    assert!((20_000_000..21_000_000).contains(&committed), "{committed}");
    assert!((10_000_000..11_000_000).contains(&settled), "{settled}");
    take(engine.submit(send(&house, PAYEE, 60)).await);
    house.settle_down(&engine).await;
    let [_, committed, settled] = house.counts_of(charge(&house, "month")).await;
    assert_eq!(committed, 0);
    assert!((90_000_000..92_000_000).contains(&settled), "{settled}");
}

#[tokio::test(start_paused = true)]
async fn what_was_spent_while_a_limit_was_away_counts_when_it_comes_back() {
    let house = House::new();
    let engine = house.gateway().await;
    take(engine.submit(send(&house, PAYEE, 50)).await);
    house.settle_down(&engine).await;
    let day = "  - { id: day,  sum: usd, per: 24h, max: 1000, code: rolling_limit_exceeded }\n";
    engine.replace(house.setup(&POLICY.replace(day, "")));
    for _ in 0..10 {
        take(engine.submit(send(&house, PAYEE, 95)).await);
    }
    house.settle_down(&engine).await;
    assert_eq!(house.paid(), eth(1000));
    engine.replace(house.setup(POLICY));
    let asked = denied(take(engine.submit(send(&house, PAYEE, 5)).await));
    assert_eq!(asked, "rolling_limit_exceeded");
    house.time.advance(Millis(25 * HOUR.0));
    engine.announce().await.unwrap();
    take(engine.submit(send(&house, PAYEE, 5)).await);
    house.settle_down(&engine).await;
    assert_eq!(house.paid(), eth(1005));
}

#[tokio::test(start_paused = true)]
async fn a_limit_lowered_while_money_is_held_lets_nothing_new_through_until_it_is_below() {
    let house = House::new();
    let engine = house.gateway().await;
    take(engine.submit(send(&house, PAYEE, 200)).await);
    let parked = house.only();
    take(engine.submit(send(&house, PAYEE, 90)).await);
    let lower = POLICY.replace("max: 1000", "max: 100");
    engine.replace(house.setup(&lower));
    let asked = denied(take(engine.submit(send(&house, PAYEE, 5)).await));
    assert_eq!(asked, "rolling_limit_exceeded");
    engine.approve(&operator("bob"), parked.id, parked.digest.unwrap(), None).await.unwrap();
    house.settle_down(&engine).await;
    let states: Vec<S> = house.ledger.all().iter().map(|o| o.state).collect();
    assert_eq!(states, [S::Rejected, S::Executed, S::Denied], "decided again under the new limit");
    engine.replace(house.setup(POLICY));
    take(engine.submit(send(&house, PAYEE, 5)).await);
    engine.replace(house.setup(&lower));
    let asked = denied(take(engine.submit(send(&house, PAYEE, 6)).await));
    assert_eq!(asked, "rolling_limit_exceeded");
    house.settle_down(&engine).await;
    assert_eq!(house.paid(), eth(95));
}

/// Prices that take as long as the test says, and tell when they are asked.
#[derive(Debug)]
struct SlowPrices {
    prices: Arc<dyn Prices>,
    asked: mpsc::UnboundedSender<()>,
    answers: Semaphore,
}

#[async_trait]
impl Prices for SlowPrices {
    async fn price(&self, symbol: &str) -> Result<Quote, PriceError> {
        self.asked.send(()).unwrap();
        self.answers.acquire().await.unwrap().forget();
        self.prices.price(symbol).await
    }
}

#[tokio::test(start_paused = true)]
async fn limits_that_come_while_an_approved_operation_is_judged_again_keep_what_they_charged() {
    let house = House::new();
    let engine = house.gateway().await;
    take(engine.submit(send(&house, PAYEE, 200)).await);
    let parked = house.only();
    let (asked, mut is_asked) = mpsc::unbounded_channel();
    let prices =
        Arc::new(SlowPrices { prices: house.prices.clone(), asked, answers: Semaphore::new(0) });
    let mut slow = house.setup(POLICY);
    slow.prices = prices.clone();
    engine.replace(slow);
    engine.approve(&operator("bob"), parked.id, parked.digest.unwrap(), None).await.unwrap();
    let judged_again = async {
        is_asked.recv().await.unwrap();
        engine.replace(house.setup(&POLICY.replace("id: day,", "id: daily,")));
        take(engine.submit(send(&house, PAYEE, 1)).await);
        prices.answers.add_permits(100);
    };
    tokio::join!(judged_again, house.settle_down(&engine));
    house.settle_down(&engine).await;
    assert_eq!(house.paid(), eth(201));
    let spent = house.counts_of(charge(&house, "daily")).await;
    assert_eq!(spent.iter().sum::<u64>() / 1_000_000, 201, "{spent:?}");
}
