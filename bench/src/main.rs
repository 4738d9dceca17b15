//! `scripts/bench`: what the gateway costs, as ratios within one run on one machine.

#![expect(clippy::print_stdout, reason = "a table is what it is for")]

mod chain;
mod floor;
mod load;
mod parts;
mod process;
mod report;
mod scenario;
mod stub;

use std::{fs, path::PathBuf, time::Duration};

use crate::scenario::Bench;

/// More than so much of the machine in use by others, and nothing is measured.
const BUSY_MAX: f64 = 0.1;

const USAGE: &str =
    "usage: countersign-bench [--only ROW] [--rounds N] [--seconds S] [--json FILE] [--anyway]";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    match words.as_slice() {
        ["stub", address, millis] => {
            let block_time = Duration::from_millis(millis.parse().unwrap());
            runtime.block_on(stub::serve(address.parse().unwrap(), block_time));
        }
        ["floor", address, upstream, redis] => {
            let (address, upstream) = (address.parse().unwrap(), upstream.parse().unwrap());
            runtime.block_on(floor::serve(address, upstream, redis));
        }
        options => run(&runtime, &Options::of(options)),
    }
}

struct Options {
    only: Option<String>,
    rounds: usize,
    seconds: u64,
    json: Option<PathBuf>,
    anyway: bool,
}

impl Options {
    fn of(words: &[&str]) -> Self {
        let mut options = Self { only: None, rounds: 5, seconds: 4, json: None, anyway: false };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut value =
                || words.next().unwrap_or_else(|| panic!("{word} needs a value\n{USAGE}"));
            match *word {
                "--only" => options.only = Some((*value()).to_owned()),
                "--rounds" => options.rounds = value().parse().expect(USAGE),
                "--seconds" => options.seconds = value().parse().expect(USAGE),
                "--json" => options.json = Some(value().into()),
                "--anyway" => options.anyway = true,
                other => panic!("`{other}` is not an option\n{USAGE}"),
            }
        }
        options
    }
}

fn run(runtime: &tokio::runtime::Runtime, options: &Options) {
    let busy = process::busy();
    if busy > BUSY_MAX && !options.anyway {
        println!(
            "the machine is {:.0} % busy with something else: what is measured now says nothing (--anyway measures it all the same)",
            busy * 100.0
        );
        std::process::exit(1);
    }
    let bench = Bench::new(options.rounds, Duration::from_secs(options.seconds));
    let mut rows = Vec::new();
    for (name, scenario) in scenario::ALL {
        if options.only.as_ref().is_some_and(|only| !name.contains(only.as_str())) {
            continue;
        }
        println!("measuring {name} ..");
        rows.extend(runtime.block_on(scenario(&bench)));
    }
    println!("{}", report::table(&rows));
    if let Some(file) = &options.json {
        fs::write(file, serde_json::to_vec_pretty(&rows).unwrap()).unwrap();
    }
}
