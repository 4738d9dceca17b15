//! The comparisons. Each starts its parts, warms them up, and measures one side after the other, several times over.

use std::{path::Path, pin::Pin, sync::Arc, time::Duration};

use alloy_primitives::Address;
use serde_json::json;
use tempfile::TempDir;

use crate::{
    agents::agents,
    chain::wallet,
    history::histories,
    load::{Body, Measured, Nth, Target, ask, drive},
    open::starts,
    parts::{self, Part, Programs, Store},
    report::{Bound, Row, median},
};

/// A scenario's rows.
type Rows<'a> = Pin<Box<dyn Future<Output = Vec<Row>> + 'a>>;

/// A name, and what it measures.
type Scenario = (&'static str, fn(&Bench) -> Rows<'_>);

/// All of them.
pub(crate) const ALL: [Scenario; 8] = [
    ("send", |bench| Box::pin(sends(bench))),
    ("read", |bench| Box::pin(reads(bench))),
    ("anvil", |bench| Box::pin(against_anvil(bench))),
    ("javascript", |bench| Box::pin(against_javascript(bench))),
    ("durable", |bench| Box::pin(durable(bench))),
    ("open", |bench| Box::pin(starts(bench))),
    ("history", |bench| Box::pin(histories(bench))),
    ("agents", |bench| Box::pin(agents(bench))),
];

/// What all scenarios share.
pub(crate) struct Bench {
    pub(crate) programs: Programs,
    folder: TempDir,
    pub(crate) rounds: usize,
    pub(crate) time: Duration,
    pub(crate) scale: Scale,
}

/// How much of what takes long to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Scale {
    /// Operations that are open at a start.
    pub(crate) open: u64,
    /// Sends that are over when another is measured.
    pub(crate) history: u64,
    /// Agents that are connected at the same time.
    pub(crate) agents: usize,
    /// How long they send.
    pub(crate) soak: Duration,
}

/// One side of a comparison, in one round.
pub(crate) struct Side {
    pub(crate) measured: Measured,
    /// Time on the processor for each answer, in microseconds.
    pub(crate) cpu: f64,
}

impl Bench {
    pub(crate) fn new((rounds, time): (usize, Duration), scale: Scale) -> Self {
        let folder = TempDir::with_prefix("countersign-bench").unwrap();
        Self { programs: Programs::of_environment(), folder, rounds, time, scale }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) async fn warm_up(&self, target: &Target, connections: usize, body: &Body) {
        drive(target, connections, self.time.min(Duration::from_secs(2)), body).await;
    }

    pub(crate) async fn measure(
        &self,
        part: &Part,
        target: &Target,
        connections: usize,
        body: &Body,
    ) -> Side {
        let before = part.process.cpu();
        let measured = drive(target, connections, self.time, body).await;
        let used = part.process.cpu().saturating_sub(before);
        let cpu = used.as_secs_f64() * 1e6 / measured.latencies.len().max(1) as f64;
        Side { measured, cpu }
    }
}

/// A payment of a few wei to one of the payees, different each time.
pub(crate) fn payments() -> Body {
    payments_of(vec![wallet()], 1)
}

/// The same, of so many wei at least.
pub(crate) fn payments_from(least: u64) -> Body {
    payments_of(vec![wallet()], least)
}

/// The same, from one of these accounts for each connection.
fn payments_of(accounts: Vec<Address>, least: u64) -> Body {
    Arc::new(move |Nth { request, connection }| {
        let params = json!([{
            "from": accounts[connection % accounts.len()],
            "to": "0x70997970c51812dc3a010c7d01b50e0d17dc79c8",
            "value": format!("{:#x}", request + least),
            "gas": "0x5208",
        }]);
        json!({"jsonrpc": "2.0", "id": request, "method": "eth_sendTransaction", "params": params})
            .to_string()
    })
}

/// Bytes that no node would take but the stub, different each time and as many as a payment has.
fn raw_payments() -> Body {
    Arc::new(|Nth { request, .. }| {
        let raw = format!("0x02f86f{request:0>216x}");
        json!({"jsonrpc": "2.0", "id": request, "method": "eth_sendRawTransaction", "params": [raw]})
            .to_string()
    })
}

/// The accounts whose keys the node has.
async fn unlocked(node: &Part) -> Vec<Address> {
    let asked = r#"{"jsonrpc":"2.0","id":1,"method":"eth_accounts","params":[]}"#;
    let answer = ask(&node.target(), asked.into()).await;
    let mut answer: serde_json::Value = serde_json::from_slice(&answer).unwrap();
    serde_json::from_value(answer["result"].take()).unwrap()
}

pub(crate) fn read() -> Body {
    Arc::new(|Nth { request, .. }| {
        format!(r#"{{"jsonrpc":"2.0","id":{request},"method":"eth_blockNumber","params":[]}}"#)
    })
}

fn rates(sides: &[Side]) -> Vec<f64> {
    sides.iter().map(|side| side.measured.rate()).collect()
}

fn cpus(sides: &[Side]) -> Vec<f64> {
    sides.iter().map(|side| side.cpu).collect()
}

fn ratios(ours: &[f64], theirs: &[f64]) -> Vec<f64> {
    ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs).collect()
}

/// Sends over the floor: time on the processor with 16 connections, and added latency with one.
async fn sends(bench: &Bench) -> Vec<Row> {
    let folder = bench.folder();
    // a node for each: the count of one side's transactions is none of the other's business
    let (stub, below, redis) =
        (parts::stub(folder), parts::stub(folder), parts::redis(&bench.programs, folder));
    let floor = parts::floor(folder, &below, &redis);
    let gateway = parts::gateway(&bench.programs, folder, &stub, Store::Redis(&redis));
    let (as_agent, payments) = (parts::as_agent(&gateway), payments());
    bench.warm_up(&as_agent, 16, &payments).await;
    bench.warm_up(&floor.target(), 16, &payments).await;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds {
        ours.push(bench.measure(&gateway, &as_agent, 16, &payments).await.cpu);
        theirs.push(bench.measure(&floor, &floor.target(), 16, &payments).await.cpu);
    }
    let cpu =
        Row::new("cpu of a send", "over the floor's", Bound::AtMost(1.5), ratios(&ours, &theirs))
            .sides(format!("{:.0} µs", median(&ours)), format!("{:.0} µs", median(&theirs)));
    let (mut added, mut floors, mut tails) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..bench.rounds {
        let direct = bench.measure(&below, &below.target(), 1, &raw_payments()).await.measured;
        let through = bench.measure(&gateway, &as_agent, 1, &payments).await.measured;
        let least = bench.measure(&floor, &floor.target(), 1, &payments).await.measured;
        added.push(through.percentile(50.0) - direct.percentile(50.0));
        floors.push(least.percentile(50.0) - direct.percentile(50.0));
        tails.push(through.percentile(99.0) / through.percentile(50.0));
    }
    let latency = Row::new(
        "latency of a send",
        "added p50 over the floor's",
        Bound::AtMost(1.6),
        ratios(&added, &floors),
    )
    .sides(format!("+{:.0} µs", median(&added)), format!("+{:.0} µs", median(&floors)));
    let tail = Row::new("tail of a send", "p99 over p50", Bound::AtMost(3.0), tails);
    vec![cpu, latency, tail]
}

/// Reads over nginx: answers a second, and time on the processor for one.
async fn reads(bench: &Bench) -> Vec<Row> {
    let folder = bench.folder();
    let (stub, redis) = (parts::stub(folder), parts::redis(&bench.programs, folder));
    let nginx = parts::nginx(&bench.programs, folder, &stub);
    let gateway = parts::gateway(&bench.programs, folder, &stub, Store::Redis(&redis));
    let (as_agent, read) = (parts::as_agent(&gateway), read());
    let mut rows = Vec::new();
    for (connections, rate, cpu) in [
        (1, "reads, 1 connection", "cpu of a read, 1"),
        (16, "reads, 16 connections", "cpu of a read, 16"),
        (64, "reads, 64 connections", "cpu of a read, 64"),
    ] {
        bench.warm_up(&as_agent, connections, &read).await;
        bench.warm_up(&nginx.target(), connections, &read).await;
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..bench.rounds {
            ours.push(bench.measure(&gateway, &as_agent, connections, &read).await);
            theirs.push(bench.measure(&nginx, &nginx.target(), connections, &read).await);
        }
        let (our_rates, their_rates) = (rates(&ours), rates(&theirs));
        let (our_cpus, their_cpus) = (cpus(&ours), cpus(&theirs));
        rows.push(
            Row::new(
                rate,
                "answers a second over nginx's",
                Bound::AtLeast(0.9),
                ratios(&our_rates, &their_rates),
            )
            .sides(
                format!("{:.0}/s", median(&our_rates)),
                format!("{:.0}/s", median(&their_rates)),
            ),
        );
        rows.push(
            Row::new(cpu, "over nginx's", Bound::AtMost(1.3), ratios(&our_cpus, &their_cpus))
                .sides(
                    format!("{:.1} µs", median(&our_cpus)),
                    format!("{:.1} µs", median(&their_cpus)),
                ),
        );
    }
    rows
}

/// Sends of one wallet over those of anvil's own accounts. Of these each connection has one of its own: anvil refuses two
/// sends of one account that come at once.
async fn against_anvil(bench: &Bench) -> Vec<Row> {
    let folder = bench.folder();
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds {
        let anvil = parts::anvil(&bench.programs, folder);
        let own = payments_of(unlocked(&anvil).await, 1);
        theirs.push(bench.measure(&anvil, &anvil.target(), 16, &own).await.measured.rate());
        drop(anvil);
        let anvil = parts::anvil(&bench.programs, folder);
        let gateway = parts::gateway(&bench.programs, folder, &anvil, Store::Embedded);
        let as_agent = parts::as_agent(&gateway);
        ours.push(bench.measure(&gateway, &as_agent, 16, &payments()).await.measured.rate());
        drop(gateway);
        std::fs::remove_dir_all(folder.join("gateway-embedded")).unwrap();
    }
    let row = Row::new(
        "sends on anvil",
        "a second, over its own accounts",
        Bound::AtLeast(1.3),
        ratios(&ours, &theirs),
    );
    vec![row.sides(format!("{:.0}/s", median(&ours)), format!("{:.0}/s", median(&theirs)))]
}

/// Sends over the gateway in JavaScript.
async fn against_javascript(bench: &Bench) -> Vec<Row> {
    let folder = bench.folder();
    let (stub, below, redis) =
        (parts::stub(folder), parts::stub(folder), parts::redis(&bench.programs, folder));
    let other = parts::node_gateway(&bench.programs, folder, &below);
    let gateway = parts::gateway(&bench.programs, folder, &stub, Store::Redis(&redis));
    let (as_agent, payments) = (parts::as_agent(&gateway), payments());
    bench.warm_up(&as_agent, 16, &payments).await;
    bench.warm_up(&other.target(), 16, &payments).await;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds {
        ours.push(bench.measure(&gateway, &as_agent, 16, &payments).await);
        theirs.push(bench.measure(&other, &other.target(), 16, &payments).await);
    }
    let (our_rates, their_rates) = (rates(&ours), rates(&theirs));
    let (our_cpus, their_cpus) = (cpus(&ours), cpus(&theirs));
    vec![
        Row::new(
            "sends, over Node",
            "a second, over fastify and viem",
            Bound::AtLeast(6.0),
            ratios(&our_rates, &their_rates),
        )
        .sides(format!("{:.0}/s", median(&our_rates)), format!("{:.0}/s", median(&their_rates))),
        Row::new(
            "cpu, over Node",
            "of a send",
            Bound::AtMost(0.125),
            ratios(&our_cpus, &their_cpus),
        )
        .sides(format!("{:.0} µs", median(&our_cpus)), format!("{:.0} µs", median(&their_cpus))),
    ]
}

/// The embedded store, which syncs each commit to the disk, over a Redis that does not.
async fn durable(bench: &Bench) -> Vec<Row> {
    let folder = bench.folder();
    let (stub, other) = (parts::stub(folder), parts::stub(folder));
    let redis = parts::redis(&bench.programs, folder);
    let embedded = parts::gateway(&bench.programs, folder, &stub, Store::Embedded);
    let on_redis = parts::gateway(&bench.programs, folder, &other, Store::Redis(&redis));
    let payments = payments();
    let (ours_at, theirs_at) = (parts::as_agent(&embedded), parts::as_agent(&on_redis));
    bench.warm_up(&ours_at, 64, &payments).await;
    bench.warm_up(&theirs_at, 64, &payments).await;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds {
        ours.push(bench.measure(&embedded, &ours_at, 64, &payments).await.measured.rate());
        theirs.push(bench.measure(&on_redis, &theirs_at, 64, &payments).await.measured.rate());
    }
    let row = Row::new(
        "durable sends",
        "a second, embedded and synced, over Redis that is not",
        Bound::AtLeast(0.8),
        ratios(&ours, &theirs),
    );
    vec![row.sides(format!("{:.0}/s", median(&ours)), format!("{:.0}/s", median(&theirs)))]
}
