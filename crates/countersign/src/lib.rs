//! Countersign's binary: command line, configuration, wiring. It knows every crate and decides nothing. It is a library
//! only so that its parsers can be fuzzed.

mod admin;
mod cli;
mod clock;
mod command;
mod config;
mod dev;
mod failure;
mod files;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod gateway;
mod keeper;
mod logs;
mod mcp;
mod policies;
mod reload;
mod scaffold;
mod screen;
mod state;
mod store;
mod telemetry;
mod wiring;

use std::process::ExitCode;

use clap::Parser as _;

use crate::{cli::Cli, failure::Failure, screen::complain};

/// The whole program: what the command line says, and how it ended.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            complain(format!("{} {failure}", screen::Paint::stderr().red("error:")));
            failure.code()
        }
    }
}

fn run(cli: Cli) -> Result<(), Failure> {
    logs::start(cli.log_filter())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::failed(format!("cannot start: {error}")))?;
    runtime.block_on(command::run(cli))
}
