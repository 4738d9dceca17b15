//! Many agents, each with a credential and a connection of its own, and few sends a second among all of them, for a while.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use tokio::{sync::Mutex as Turn, task::JoinSet};

use crate::{
    load::{Body, Line, Measured, Nth},
    parts::{self, House, Part, Store},
    process::files_max,
    report::{Bound, Row, median},
    scenario::{Bench, payments},
};

/// What a connection begins with.
const GREETING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":[]}"#;

/// Sends a second among all of them.
const PACE: u32 = 200;

/// Before anything is measured each agent has sent once: what is made for an agent at its first call is no growth. It
/// is done faster than what follows.
const WARMING_PACE: u32 = 400;

/// One row for the time of a send, one for memory.
pub(crate) async fn agents(bench: &Bench) -> Vec<Row> {
    let (agents, files) = (bench.scale.agents, files_max());
    assert!(files > agents as u64 + 1000, "{files} open files are too few: see `ulimit -n`");
    let folder = bench.folder();
    let (stub, redis) = (parts::stub(folder), parts::redis(&bench.programs, folder));
    let of = (&stub, Store::Redis(&redis));
    let gateway = House::build(&bench.programs, folder, ("gateway-agents", agents), of).start();
    let mut lines = Vec::with_capacity(agents);
    for number in 0..agents {
        let mut line = Line::open(parts::as_nth_agent(&gateway, number)).await;
        // a connection that says nothing at first is not kept
        line.ask(GREETING.into()).await;
        lines.push(Arc::new(Turn::new(line)));
    }
    let payments = payments();
    let whole_turn = Duration::from_secs(1) * agents as u32 / WARMING_PACE;
    paced(&lines, (WARMING_PACE, whole_turn), &payments, &gateway).await;
    let before = gateway.process.cpu();
    let (measured, memory) = paced(&lines, (PACE, bench.scale.soak), &payments, &gateway).await;
    let used = (gateway.process.cpu() - before).as_secs_f64() / measured.elapsed.as_secs_f64();
    let millis = |percent: f64| measured.percentile(percent) / 1000.0;
    let sends = measured.latencies.len();
    let tail = Row::new(
        "many agents",
        &format!("ms, p99 of {sends} sends of {agents} agents"),
        Bound::AtMost(15.0),
        vec![millis(99.0)],
    )
    .sides(
        format!("p50 {:.2} ms, p99.9 {:.2} ms", millis(50.0), millis(99.9)),
        format!("{:.0} % of a core in use", used * 100.0),
    );
    // both ends are the median of a tenth of the time
    let tenth = (memory.len() / 10).max(1);
    let (first, last) =
        (median(&memory[..tenth]), median(&memory[memory.len().saturating_sub(tenth)..]));
    let growth = Row::new(
        "memory of many agents",
        "growth after warm-up, in percent",
        Bound::AtMost(1.0),
        vec![(last / first - 1.0) * 100.0],
    )
    .sides(format!("{last:.1} MiB"), format!("{first:.1} MiB"));
    vec![tail, growth]
}

/// One connection after the other, at a pace that does not wait for answers. Latencies, and the gateway's memory in MiB at
/// each second.
async fn paced(
    lines: &[Arc<Turn<Line>>],
    (pace, time): (u32, Duration),
    body: &Body,
    gateway: &Part,
) -> (Measured, Vec<f64>) {
    let latencies = Arc::new(Mutex::new(Vec::new()));
    let (mut memory, mut asking) = (Vec::new(), JoinSet::new());
    let mut clock = tokio::time::interval(Duration::from_secs(1) / pace);
    let begun = Instant::now();
    for (request, (connection, line)) in (0..).zip(lines.iter().enumerate().cycle()) {
        clock.tick().await;
        if begun.elapsed() >= time {
            break;
        }
        let (line, latencies) = (Arc::clone(line), Arc::clone(&latencies));
        let body = body(Nth { request, connection });
        asking.spawn(async move {
            let took = line.lock().await.ask(body).await;
            latencies.lock().unwrap().push(u64::try_from(took.as_nanos()).unwrap());
        });
        if request % u64::from(pace) == 0 {
            memory.push(gateway.process.memory() as f64 / 1_048_576.0);
        }
        while let Some(asked) = asking.try_join_next() {
            asked.unwrap();
        }
    }
    let elapsed = begun.elapsed();
    while let Some(asked) = asking.join_next().await {
        asked.unwrap();
    }
    let latencies = std::mem::take(&mut *latencies.lock().unwrap());
    (Measured::of(elapsed, latencies), memory)
}
