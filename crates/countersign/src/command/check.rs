//! `countersign check`

use crate::{cli::CheckArgs, failure::Failure, policies, screen, wiring};

/// Reads everything, opens what needs nobody else (keys, certificates, secrets), tells everything.
pub(crate) async fn run(args: &CheckArgs) -> Result<(), Failure> {
    let loaded = policies::load(&args.config)?;
    // a second per key, on purpose
    let work = tokio::task::spawn_blocking(move || {
        let warnings = wiring::rehearse(&loaded)?;
        Ok::<_, Failure>((loaded, warnings))
    });
    let opened = work.await.map_err(|_| Failure::failed("the keys could not be tried"))?;
    let (loaded, further) = opened?;
    for warning in loaded.warnings.iter().chain(&further) {
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
