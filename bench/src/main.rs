//! `scripts/bench`: what the gateway costs, as ratios within one run on one machine.

#![expect(clippy::print_stdout, reason = "a table is what it is for")]

mod agents;
mod chain;
mod floor;
mod history;
mod load;
mod metrics;
mod open;
mod parts;
mod picture;
mod process;
mod report;
mod scenario;
mod stub;
mod svg;

use std::{fs, path::PathBuf, time::Duration};

use crate::scenario::{Bench, Scale};

/// More than so much of the machine in use by others, and nothing is measured.
const BUSY_MAX: f64 = 0.1;

const USAGE: &str = "usage: countersign-bench [--only ROW] [--rounds N] [--seconds S] [--json FILE] [--anyway]\n\
    \x20      [--svg FOLDER] [--open N] [--history N] [--agents N] [--soak SECONDS]";

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

#[derive(Debug, Clone, PartialEq, Eq)]
struct Options {
    only: Option<String>,
    rounds: usize,
    seconds: u64,
    json: Option<PathBuf>,
    svg: Option<PathBuf>,
    anyway: bool,
    scale: Scale,
}

impl Default for Options {
    /// What a cup of coffee lasts; the whole numbers of the promises are asked for by name.
    fn default() -> Self {
        let scale =
            Scale { open: 100_000, history: 20_000, agents: 10_000, soak: Duration::from_secs(60) };
        Self { only: None, rounds: 5, seconds: 4, json: None, svg: None, anyway: false, scale }
    }
}

impl Options {
    fn of(words: &[&str]) -> Self {
        let mut options = Self::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut value =
                || words.next().unwrap_or_else(|| panic!("{word} needs a value\n{USAGE}"));
            match *word {
                "--only" => options.only = Some((*value()).to_owned()),
                "--rounds" => options.rounds = value().parse().expect(USAGE),
                "--seconds" => options.seconds = value().parse().expect(USAGE),
                "--json" => options.json = Some(value().into()),
                "--svg" => options.svg = Some(value().into()),
                "--anyway" => options.anyway = true,
                "--open" => options.scale.open = value().parse().expect(USAGE),
                "--history" => options.scale.history = value().parse().expect(USAGE),
                "--agents" => options.scale.agents = value().parse().expect(USAGE),
                "--soak" => {
                    options.scale.soak = Duration::from_secs(value().parse().expect(USAGE));
                }
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
    let bench = Bench::new((options.rounds, Duration::from_secs(options.seconds)), options.scale);
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
    if let Some(folder) = &options.svg {
        println!("measuring for the plots ..");
        runtime.block_on(picture::draw(&bench, folder));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_taken_by_their_names_and_the_rest_stays() {
        let all = ["--only", "history", "--history", "1000000", "--soak", "600", "--svg", "plots"];
        let expect = Options {
            only: Some("history".into()),
            svg: Some("plots".into()),
            scale: Scale {
                history: 1_000_000,
                soak: Duration::from_secs(600),
                ..Options::default().scale
            },
            ..Options::default()
        };
        assert_eq!(Options::of(&all), expect);
        assert_eq!(Options::of(&[]), Options::default());
    }

    #[test]
    #[should_panic(expected = "`--fast` is not an option")]
    fn what_is_no_option_is_refused() {
        Options::of(&["--fast"]);
    }

    #[test]
    #[should_panic(expected = "--open needs a value")]
    fn an_option_without_its_value_is_refused() {
        Options::of(&["--open"]);
    }
}
