//! From the start to the first verdict while much is open: most of it waits for people, a tenth is on its way to a chain
//! that does not mine.

use std::time::{Duration, Instant};

use crate::{
    load::{Body, ask, fill},
    metrics::Metrics,
    parts::{self, House, Store},
    report::{Bound, Row, median},
    scenario::{Bench, payments, payments_from},
};

/// What the gateway says of a call that it parks.
const PARKED: &str = "\"code\":-32002";

/// Each agent has at most 10 000 that wait.
const AGENTS: usize = 16;

/// With so many connections they are made.
const FILLING: usize = 4 * AGENTS;

/// A chain that mines nothing while the bench runs.
const NEVER: Duration = Duration::from_secs(1_000_000);

/// Rows for both stores.
pub(crate) async fn starts(bench: &Bench) -> Vec<Row> {
    let redis = parts::redis(&bench.programs, bench.folder());
    let on_redis = start(bench, "start, Redis", Store::Redis(&redis)).await;
    drop(redis);
    vec![on_redis, start(bench, "start, embedded", Store::Embedded).await]
}

/// They come in at the agents' door like any other: nothing is written by another hand.
async fn start(bench: &Bench, name: &'static str, store: Store<'_>) -> Row {
    let stub = parts::stub_mining_each(bench.folder(), NEVER);
    let folder = name.replace(", ", "-");
    let house = House::build(&bench.programs, bench.folder(), (&folder, AGENTS), (&stub, store));
    let gateway = house.start();
    let before = first_verdict(&house, gateway, bench.rounds).await;
    let gateway = house.start();
    let (sent, parked) = (bench.scale.open / 10, bench.scale.open - bench.scale.open / 10);
    let agents: Vec<_> = (0..AGENTS).map(|number| parts::as_nth_agent(&gateway, number)).collect();
    fill(&agents, (FILLING, parked), &above_the_gate(), PARKED).await;
    fill(&agents, (FILLING, sent), &payments(), "\"result\":").await;
    let open = Metrics::of(house.admin).await.total("countersign_operations");
    assert!(open >= bench.scale.open as f64, "only {open} are open");
    let after = first_verdict(&house, gateway, bench.rounds).await;
    Row::new(name, &format!("seconds to the first verdict, {open} open"), Bound::AtMost(3.0), after)
        .sides(String::new(), format!("{:.2} s with none", median(&before)))
}

/// Ends a gateway as a crash would, and starts it again: seconds until it has answered a send, once for each round.
async fn first_verdict(house: &House, mut gateway: parts::Part, rounds: usize) -> Vec<f64> {
    let mut took = Vec::new();
    for round in 0..rounds {
        drop(gateway);
        let begun = Instant::now();
        gateway = house.start();
        let answer = ask(&parts::as_agent(&gateway), one_payment(round)).await;
        took.push(begun.elapsed().as_secs_f64());
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.contains("\"result\":"), "no verdict: {answer}");
    }
    took
}

fn one_payment(number: usize) -> String {
    payments()(crate::load::Nth { request: number as u64, connection: 0 })
}

/// Payments that the policy asks people about: more than half an ether each.
fn above_the_gate() -> Body {
    payments_from(600_000_000_000_000_000)
}
