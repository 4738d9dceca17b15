//! What a send costs where much has been sent before, over what it costs where nothing has: two gateways with two stores,
//! measured in turn.

use std::time::{Duration, Instant};

use crate::{
    load::{Body, drive, fill},
    metrics::Metrics,
    parts::{self, House, Part, Store},
    report::{Bound, Row, median},
    scenario::{Bench, payments},
};

/// With so many connections history is made.
const FILLING: usize = 64;

/// With so many connections a send is measured.
const CONNECTIONS: usize = 16;

/// How often a gateway is asked whether all is settled: seldom, because answering is counted as its cost.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How long the last of many sends may take until it is settled.
const PATIENCE: Duration = Duration::from_secs(600);

/// A gateway, and the store where that is another process.
struct Side {
    house: House,
    gateway: Part,
    redis: Option<Part>,
    /// What both have used for one send, in microseconds, in each round.
    cpu: Vec<f64>,
    store_cpu: Vec<f64>,
}

/// Rows for both stores.
pub(crate) async fn histories(bench: &Bench) -> Vec<Row> {
    let mut rows =
        history(bench, ("history, Redis", "Redis's cpu of it", "memory of it, Redis"), true).await;
    rows.extend(history(bench, ("history, embedded", "", "memory of it, embedded"), false).await);
    rows
}

/// The past is made of sends at the agents' door, each signed, mined and settled.
async fn history(
    bench: &Bench,
    (name, of_store, of_memory): (&'static str, &'static str, &'static str),
    on_redis: bool,
) -> Vec<Row> {
    let (stub, other) = (parts::stub(bench.folder()), parts::stub(bench.folder()));
    let mut young = Side::start(bench, "young", &stub, on_redis);
    let mut old = Side::start(bench, "old", &other, on_redis);
    let payments = payments();
    let agent = parts::as_agent(&old.gateway);
    fill(&[agent], (FILLING, bench.scale.history), &payments, "\"result\":").await;
    for side in [&young, &old] {
        bench.warm_up(&parts::as_agent(&side.gateway), CONNECTIONS, &payments).await;
        side.rest().await;
    }
    for _ in 0..bench.rounds {
        young.measure(bench.time, &payments).await;
        old.measure(bench.time, &payments).await;
    }
    let sends = bench.scale.history;
    let over = |ours: &[f64], theirs: &[f64]| {
        ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs).collect::<Vec<_>>()
    };
    let mut rows = Vec::new();
    for (name, old, young) in
        [(name, &old.cpu, &young.cpu), (of_store, &old.store_cpu, &young.store_cpu)]
    {
        if !old.is_empty() {
            let what = format!("cpu of a send after {sends}, over one after none");
            let row = Row::new(name, &what, Bound::AtMost(1.1), over(old, young));
            let words = |side: &[f64]| format!("{:.0} µs", median(side));
            rows.push(row.sides(words(old), words(young)));
        }
    }
    let mib = |side: &Side| side.gateway.process.memory() as f64 / 1_048_576.0;
    let (ours, theirs) = (mib(&old), mib(&young));
    let what = format!("MiB more after {sends} sends");
    let row = Row::new(of_memory, &what, Bound::AtMost(100.0), vec![ours - theirs]);
    rows.push(row.sides(format!("{ours:.0} MiB"), format!("{theirs:.0} MiB")));
    rows
}

impl Side {
    fn start(bench: &Bench, name: &str, node: &Part, on_redis: bool) -> Self {
        let redis = on_redis.then(|| parts::redis(&bench.programs, bench.folder()));
        let store = redis.as_ref().map_or(Store::Embedded, Store::Redis);
        let folder = format!("{name}-{}", if on_redis { "redis" } else { "embedded" });
        let house = House::build(&bench.programs, bench.folder(), (&folder, 1), (node, store));
        let gateway = house.start();
        Self { house, gateway, redis, cpu: Vec::new(), store_cpu: Vec::new() }
    }

    /// A round of sends, until the last of them is settled: what is done behind an answer belongs to its cost.
    async fn measure(&mut self, time: Duration, payments: &Body) {
        let agent = parts::as_agent(&self.gateway);
        let of_store = |side: &Self| side.redis.as_ref().map(|redis| redis.process.cpu());
        let (before, store_before) = (self.gateway.process.cpu(), of_store(self));
        let sent = drive(&agent, CONNECTIONS, time, payments).await.latencies.len() as f64;
        self.rest().await;
        let micros = |used: Duration| used.as_secs_f64() * 1e6 / sent;
        self.cpu.push(micros(self.gateway.process.cpu() - before));
        if let (Some(before), Some(after)) = (store_before, of_store(self)) {
            self.store_cpu.push(micros(after - before));
        }
    }

    /// Waits until nothing is on its way: a gateway says so when it is asked, and by no other means to a stranger.
    async fn rest(&self) {
        let mut looks = tokio::time::interval(LOOK_EVERY);
        let on_its_way =
            async || Metrics::of(self.house.admin).await.total("countersign_operations") > 0.0;
        let begun = Instant::now();
        while on_its_way().await {
            assert!(begun.elapsed() < PATIENCE, "{} does not settle", self.house.name);
            looks.tick().await;
        }
    }
}
