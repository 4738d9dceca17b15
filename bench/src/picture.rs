//! What the plots show, measured: where a send's time goes, and how many answers a second so many connections get.

use std::{fs, path::Path};

use crate::{
    load::Body,
    metrics::{Metrics, Spent},
    parts::{self, House, Part, Store},
    report::median,
    scenario::{Bench, payments, read},
    svg::{Bar, Panel, bars, lines},
};

/// The whole of a send, in the gateway's own count.
const WHOLE: &str = "countersign_request_seconds";
const DECISION: &str = "countersign_decision_seconds";
const SIGN: &str = "countersign_sign_seconds";
const STORE: &str = "countersign_store_seconds";
const NODE: &str = "countersign_upstream_seconds";

/// What an answer waits for, in the order of the way. Whatever else the store and the node are asked is done beside it or
/// behind it.
const ON_THE_WAY: [(&str, &str, &str); 9] = [
    (STORE, "survey", "store: survey"),
    (DECISION, "", "decision"),
    (STORE, "reserve", "store: reserve"),
    (STORE, "record", "store: record"),
    (STORE, "commit", "store: commit"),
    (SIGN, "", "signature"),
    (STORE, "signed", "store: signed"),
    (NODE, "eth_sendRawTransaction", "node: send"),
    (STORE, "sent", "store: sent"),
];

const CONNECTIONS: [usize; 4] = [1, 4, 16, 64];

/// Writes `stages.svg` and `throughput.svg`.
pub(crate) async fn draw(bench: &Bench, folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    let stages = stages(bench).await;
    fs::write(folder.join("stages.svg"), stages).unwrap();
    let throughput = throughput(bench).await;
    fs::write(folder.join("throughput.svg"), throughput).unwrap();
}

async fn stages(bench: &Bench) -> String {
    let (stub, redis) =
        (parts::stub(bench.folder()), parts::redis(&bench.programs, bench.folder()));
    let of = (&stub, Store::Redis(&redis));
    let house = House::build(&bench.programs, bench.folder(), ("gateway-stages", 1), of);
    let gateway = house.start();
    let (agent, payments) = (parts::as_agent(&gateway), payments());
    bench.warm_up(&agent, 1, &payments).await;
    let before = Metrics::of(house.admin).await;
    bench.measure(&gateway, &agent, 1, &payments).await;
    let after = Metrics::of(house.admin).await;
    let whole = after.since(&before, WHOLE).remove("eth_sendTransaction").expect("sends");
    let title = format!(
        "A send of {:.0} µs, one connection, Redis: where it waits",
        whole.seconds / whole.count * 1e6
    );
    let all = [DECISION, SIGN, STORE, NODE].map(|family| (family, after.since(&before, family)));
    let spent = all.iter().flat_map(|(family, spent)| {
        spent.iter().map(move |(label, spent)| ((*family, label.as_str()), *spent))
    });
    bars(&title, &split(whole, spent), "Means, by the gateway's own metrics.")
}

/// The stages of the way, and what else there is of it.
fn split<'a>(whole: Spent, spent: impl Iterator<Item = ((&'a str, &'a str), Spent)>) -> Vec<Bar> {
    let mut waits: Vec<Option<f64>> = vec![None; ON_THE_WAY.len()];
    for (label, spent) in spent {
        if let Some(at) = ON_THE_WAY.iter().position(|of| (of.0, of.1) == label) {
            waits[at] = Some(spent.seconds / whole.count * 1e6);
        }
    }
    let own = whole.seconds / whole.count * 1e6 - waits.iter().flatten().sum::<f64>();
    let bar = |name: &str, micros| Bar { name: name.into(), micros };
    let stages = ON_THE_WAY.iter().zip(&waits);
    let stages = stages.filter_map(|((_, _, name), waits)| Some(bar(name, (*waits)?)));
    stages.chain([bar("everything else", own.max(0.0))]).collect()
}

async fn throughput(bench: &Bench) -> String {
    let folder = bench.folder();
    let (stub, below, redis) =
        (parts::stub(folder), parts::stub(folder), parts::redis(&bench.programs, folder));
    let nginx = parts::nginx(&bench.programs, folder, &below);
    let floor = parts::floor(folder, &below, &redis);
    let gateway = parts::gateway(&bench.programs, folder, &stub, Store::Redis(&redis));
    let reads = panel(bench, "reads a second", (&gateway, (&nginx, "nginx")), &read()).await;
    let sends =
        panel(bench, "sends a second", (&gateway, (&floor, "the floor")), &payments()).await;
    let below = "By connections, each with one request at a time. The floor judges nothing and keeps no record.";
    lines("Answers a second", &[reads, sends], below)
}

async fn panel(
    bench: &Bench,
    title: &str,
    (gateway, (other, name)): (&Part, (&Part, &str)),
    body: &Body,
) -> Panel {
    let agent = parts::as_agent(gateway);
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for connections in CONNECTIONS {
        bench.warm_up(&agent, connections, body).await;
        bench.warm_up(&other.target(), connections, body).await;
        let (mut of_ours, mut of_theirs) = (Vec::new(), Vec::new());
        for _ in 0..bench.rounds {
            of_ours.push(bench.measure(gateway, &agent, connections, body).await.measured.rate());
            let side = bench.measure(other, &other.target(), connections, body).await;
            of_theirs.push(side.measured.rate());
        }
        ours.push((connections, median(&of_ours)));
        theirs.push((connections, median(&of_theirs)));
    }
    Panel { title: title.into(), ours: ("Countersign".into(), ours), theirs: (name.into(), theirs) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_stage_names_is_the_rest_and_what_is_done_behind_the_answer_is_left_out() {
        let of = |count, micros: f64| Spent { count, seconds: micros * count / 1e6 };
        let spent = [
            ((STORE, "survey"), of(10.0, 100.0)),
            ((STORE, "settle"), of(10.0, 70.0)),
            ((NODE, "eth_sendRawTransaction"), of(10.0, 50.0)),
        ];
        let bars = split(of(10.0, 400.0), spent.into_iter());
        let said: Vec<_> = bars.iter().map(|b| (b.name.as_str(), b.micros.round())).collect();
        let expect = [("store: survey", 100.0), ("node: send", 50.0), ("everything else", 250.0)];
        assert_eq!(said, expect);
    }
}
