//! `countersign check`

use crate::{cli::CheckArgs, failure::Failure, policies, screen};

/// Reads everything, tells everything.
pub(crate) fn run(args: &CheckArgs) -> Result<(), Failure> {
    let loaded = policies::load(&args.config)?;
    for warning in &loaded.warnings {
        screen::complain(format!("warning: {warning}"));
    }
    let config = &loaded.config;
    screen::say(format!(
        "{} is in order: {} chains, {} wallets, {} agents, {} operators, {} policies",
        config.file.display(),
        config.chains.len(),
        config.wallets.len(),
        config.agents.len(),
        config.operators.len(),
        loaded.grants.len().saturating_add(loaded.guards.len()),
    ));
    Ok(())
}
