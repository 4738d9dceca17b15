//! The configuration file: strict, and every problem at once, each with its place.

mod abi;
mod chain;
mod cross;
mod environment;
mod model;
mod network;
mod notify;
mod outside;
mod people;
mod price;
mod problem;
mod read;
mod reader;
mod relying;
mod store;
mod telemetry;
#[cfg(test)]
mod tests;
mod yaml;

use std::path::Path;

pub(crate) use self::{
    abi::{AbiFile, Subject},
    environment::variable,
    model::{
        AgentEntry, BreakerEntry, ChainEntry, CollectionEntry, Config, Door, FinalityRule,
        KeystoreEntry, OperatorEntry, Placed, SecretUrl, SignerEntry, StoreChoice, TokenEntry,
        WalletEntry,
    },
    network::{is_development, is_mainnet},
    notify::NotifyEntry,
    outside::{JudgeEntry, OracleEntry},
    price::{PriceBook, SourceEntry},
    problem::{Place, Problem, Problems, Report},
    reader::did_you_mean,
    telemetry::TelemetryEntry,
};

/// Reads a configuration without the policies that it names.
pub(crate) fn read(file: &Path, report: &Report) -> Option<Config> {
    match text_of(file) {
        Ok(text) => read_text(&text, file, report),
        Err(message) => {
            report.refuse(Place::default(), message);
            None
        }
    }
}

/// Reads the text of a configuration that stands in `file`.
pub(crate) fn read_text(text: &str, file: &Path, report: &Report) -> Option<Config> {
    match yaml::parse(text) {
        Ok(root) => {
            let mut config = read::config(report, &root, file)?;
            let contracts = config.chains.iter_mut().flat_map(|chain| &mut chain.contracts);
            abi::settle(report, &config.abis.files, contracts);
            cross::check(report, &config);
            Some(config)
        }
        Err(broken) => {
            report.refuse(broken.place, broken.message);
            None
        }
    }
}

/// The text of a configuration or policy file, bounded.
pub(crate) fn text_of(file: &Path) -> Result<String, String> {
    crate::files::text_of(file, yaml::BYTES_MAX)
}
