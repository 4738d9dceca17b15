//! How long a store takes over full rolling windows: eight charges on eight counters, each with all of its 1 440
//! buckets. Run by hand: `cargo bench -p countersign-store --bench windows -- redis`, or `-- embedded`. For Redis it
//! prints what the server says of its scripts; for the embedded store what a caller waits, in a folder where nothing is
//! synced if `TMPDIR` is one.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "run by hand: it measures, and a panic ends it"
)]

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use countersign_core::{
    charge::{Charge, Window},
    identity::AppId,
    time::{Millis, Timestamp},
};
use countersign_engine::port::{Ledger, ledger::ReserveAnswer};
use countersign_store::{
    embedded::EmbeddedStore,
    lineage::Witness,
    redis::{RedisAddress, RedisOptions, RedisStore, WeakStore},
};
use countersign_testkit::{
    ManualTime,
    fixture::{DAY, charge, operation_id, reject, reserve},
    redis_server::RedisServer,
    suite::Desk,
};
use secrecy::SecretString;
use tempfile::TempDir;

const SCOPES: u64 = 8;
const BUCKETS: u64 = 1440;
/// While the real clock runs, buckets leave: no more calls than buckets can be spared.
const CALLS: u64 = 500;
const WIDTH_REAL: Millis = Millis(100);

/// What is measured, on one store.
struct Bench {
    desk: Desk,
    window: Window,
    server: Option<RedisServer>,
    next: u64,
}

impl Bench {
    fn charges(&self, amount: u64, limit: u64) -> Vec<Charge> {
        let name = |n: u64| format!("scope-{n}");
        (0..SCOPES).map(|n| charge(&name(n), self.window, amount, limit)).collect()
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// One settlement in each bucket of each window.
    async fn fill(&mut self, buckets: u64) {
        for _ in 0..buckets {
            let begun = Instant::now();
            let n = self.number();
            self.desk.settled(n, self.charges(1, u64::MAX)).await;
            if self.server.is_some() {
                let spent = begun.elapsed();
                tokio::time::sleep(Duration::from_millis(WIDTH_REAL.0).saturating_sub(spent)).await;
            } else {
                self.desk.time.advance(self.window.bucket());
            }
        }
    }

    /// Calls so often, and prints how long each took.
    async fn measure(&mut self, name: &str, call: impl AsyncFn(&Self, u64)) {
        self.reset().await;
        let mut took = Vec::new();
        for _ in 0..CALLS {
            let n = self.number();
            let begun = Instant::now();
            call(self, n).await;
            took.push(begun.elapsed());
        }
        took.sort_unstable();
        let at = |percent: usize| Micros(took[(took.len() - 1) * percent / 100]);
        println!("{name}: caller p50 {} p99 {} max {}", at(50), at(99), at(100));
        self.scripts().await;
    }

    async fn connection(&self) -> Option<redis::aio::MultiplexedConnection> {
        let client = redis::Client::open(self.server.as_ref()?.url()).unwrap();
        Some(client.get_multiplexed_async_connection().await.unwrap())
    }

    async fn reset(&self) {
        let Some(mut connection) = self.connection().await else { return };
        redis::cmd("CONFIG").arg("RESETSTAT").query_async::<()>(&mut connection).await.unwrap();
    }

    async fn scripts(&self) {
        let Some(mut connection) = self.connection().await else { return };
        let told: String =
            redis::cmd("INFO").arg("latencystats").query_async(&mut connection).await.unwrap();
        for line in told.lines().filter(|line| line.contains("evalsha")) {
            println!("  server: {line}");
        }
    }

    async fn run(&mut self) {
        self.fill(BUCKETS + 5).await;
        let shown = self.desk.counts(&self.charges(0, 0)[0]).await;
        println!("settled in {} buckets", shown[2]);
        self.measure("reserve and reject, eight charges that fit", async |bench, n| {
            bench.desk.reserved(n, bench.charges(1, u64::MAX)).await;
            bench.desk.ledger.reject(&reject(n)).await.unwrap();
        })
        .await;
        self.refusals().await;
        self.fill(50).await;
        self.measure("all the way, settled", async |bench, n| {
            bench.desk.settled(n, bench.charges(1, u64::MAX)).await;
        })
        .await;
        self.idle().await;
    }

    /// What is asked for is as much as is used, so that some of it has to leave first.
    async fn refusals(&mut self) {
        for (name, stays) in [("nearly all", 1), ("half", 7), ("little", 13)] {
            self.fill(50).await;
            let used = self.desk.counts(&self.charges(0, 0)[0]).await[2];
            let asks = self.charges(used, used + used * stays / 14);
            let name = format!("{name} has to leave, eight times");
            self.measure(&format!("refused: {name}"), async |bench, n| {
                let over = bench.desk.ledger.reserve(&reserve(n, asks.clone())).await.unwrap();
                assert!(matches!(&over, ReserveAnswer::Over(over) if over.len() == 8), "{over:?}");
            })
            .await;
            self.measure(&format!("status: {name}"), async |bench, _| {
                bench.desk.ledger.status(&asks, None).await.unwrap();
            })
            .await;
        }
    }

    /// A whole window passes, and all of it leaves at once.
    async fn idle(&mut self) {
        let Window::Rolling(length) = self.window else { panic!("no rolling window") };
        if self.server.is_some() {
            tokio::time::sleep(Duration::from_millis(length.0 + 100)).await;
        } else {
            self.desk.time.advance(Millis(length.0 + self.window.bucket().0));
        }
        self.reset().await;
        for name in ["a first settlement after a day", "the next"] {
            let n = self.number();
            let begun = Instant::now();
            self.desk.settled(n, self.charges(1, u64::MAX)).await;
            println!("{name}: {}", Micros(begun.elapsed()));
        }
        self.scripts().await;
        assert_eq!(self.desk.counts(&self.charges(0, 0)[0]).await, [0, 0, 2]);
        assert!(self.desk.ledger.operation(operation_id(1)).await.unwrap().is_some());
    }
}

struct Micros(Duration);

impl fmt::Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} µs", self.0.as_micros())
    }
}

fn wall() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap())
}

async fn desk(ledger: Arc<dyn Ledger>) -> Desk {
    let desk = Desk { ledger, time: ManualTime::default() };
    desk.ledger.present("gateway-1", Millis(100 * DAY.0)).await.unwrap();
    desk
}

#[tokio::main]
async fn main() {
    let asked: Vec<String> = std::env::args().collect();
    let is = |word: &str| asked.iter().any(|argument| argument == word);
    if !is("--bench") {
        println!("measured by `cargo bench` only");
        return;
    }
    let app = AppId::parse("windows").unwrap();
    if is("redis") {
        let server = RedisServer::start_with(&["--appendonly", "no"]).await;
        let options = RedisOptions {
            address: RedisAddress::one(SecretString::from(server.url())),
            app,
            gateway: "gateway-1".into(),
            acknowledge_replicas: 0,
            weak: WeakStore::Accepted,
            deadline: Millis(10_000),
            witness: Witness::new(Arc::new(wall)),
        };
        let store = RedisStore::connect(options).await.unwrap();
        let window = Window::Rolling(Millis(WIDTH_REAL.0 * BUCKETS));
        let desk = desk(store.ledger()).await;
        Bench { desk, window, server: Some(server), next: 0 }.run().await;
    } else {
        let (dir, time) = (TempDir::new().unwrap(), ManualTime::default());
        let store = EmbeddedStore::open(dir.path(), &app, time.source()).unwrap();
        let desk = Desk { time, ..desk(store.ledger()).await };
        Bench { desk, window: Window::Rolling(DAY), server: None, next: 0 }.run().await;
    }
}
