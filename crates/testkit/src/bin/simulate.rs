//! `simulate [N] [--from SEED] [--seed SEED] [--variant NAME] [--log]`: runs seeds and says what it found.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    reason = "a command for people"
)]

use std::{collections::BTreeMap, process::ExitCode, time::Instant};

use countersign_testkit::{
    ledger::flawed::Flaw,
    simulation::{Outcome, many, run},
};

struct Asked {
    from: u64,
    count: u64,
    flaw: Option<Flaw>,
    logs: bool,
}

fn main() -> ExitCode {
    let Some(asked) = read() else {
        println!("simulate [N] [--from SEED] [--seed SEED] [--variant NAME] [--log]");
        for flaw in Flaw::ALL {
            println!("  {:28} {}", flaw.name(), flaw.what());
        }
        return ExitCode::from(2);
    };
    if asked.logs {
        return show(&run(asked.from, asked.flaw, true));
    }
    #[expect(clippy::disallowed_methods, reason = "how fast it is, for people")]
    let begun = Instant::now();
    let found = many(asked.from..asked.from + asked.count, asked.flaw, 64);
    let seconds = begun.elapsed().as_secs_f64();
    for (name, times) in &found.coverage {
        println!("{times:>10}  {name}");
    }
    for failed in &found.failures {
        let violation = failed.violation.as_ref().unwrap();
        println!("seed {}: {} {}", failed.seed, violation.invariant, violation.text);
    }
    println!("{} seeds in {seconds:.1} s, {} failed", found.seeds, found.failures.len());
    if found.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn read() -> Option<Asked> {
    let mut asked = Asked { from: 0, count: 1000, flaw: None, logs: false };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--from" => asked.from = words.next()?.parse().ok()?,
            "--seed" => (asked.from, asked.count) = (words.next()?.parse().ok()?, 1),
            "--variant" => {
                let name = words.next()?;
                asked.flaw = Some(*Flaw::ALL.iter().find(|flaw| flaw.name() == name)?);
            }
            "--log" => asked.logs = true,
            count => asked.count = count.parse().ok()?,
        }
    }
    Some(asked)
}

fn show(outcome: &Outcome) -> ExitCode {
    for line in &outcome.lines {
        println!("{line}");
    }
    let _: &BTreeMap<&str, u64> = &outcome.coverage;
    println!("trace {:016x}", outcome.trace);
    if outcome.violation.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
