//! `countersign serve`

use std::path::Path;

use tokio_util::sync::CancellationToken;

use crate::{
    cli::ServeArgs,
    config::Problem,
    failure::Failure,
    gateway::Gateway,
    policies::{self, Overrides},
    reload::Reload,
    screen::{Paint, complain, say},
};

/// Runs a gateway until it is asked to end.
pub(crate) async fn run(args: &ServeArgs) -> Result<(), Failure> {
    let loaded = policies::load(&args.config)?;
    warn(&loaded.warnings);
    let reload = Reload::new(&loaded, Overrides::default());
    let gateway = Gateway::open(loaded, reload, args.accept_durability).await?;
    banner(&gateway, &args.config);
    gateway.serve(until_asked()).await?;
    say("ended in order");
    Ok(())
}

/// Tells what works and surprises.
pub(super) fn warn(warnings: &[Problem]) {
    for warning in warnings {
        tracing::warn!("{warning}");
    }
}

/// Cancelled by SIGINT or SIGTERM; a second one ends the process at once.
pub(crate) fn until_asked() -> CancellationToken {
    let stop = CancellationToken::new();
    let asked = stop.clone();
    tokio::spawn(async move {
        signal().await;
        complain("ending after the requests in hand; once more to end now");
        asked.cancel();
        signal().await;
        std::process::abort();
    });
    stop
}

#[cfg(unix)]
async fn signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

#[cfg(not(unix))]
async fn signal() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending().await
    }
}

/// What runs where. Never a token.
fn banner(gateway: &Gateway, file: &Path) {
    let paint = Paint::stdout();
    let config = &gateway.loaded.config;
    let (rpc, admin) = gateway.addresses();
    let scheme = |door: &crate::config::Door| if door.tls.is_some() { "https" } else { "http" };
    say(paint.bold(&format!("countersign {}", env!("CARGO_PKG_VERSION"))));
    say(format!("  configuration  {}", file.display()));
    say(format!("  agents         {}://{rpc}/", scheme(&config.rpc)));
    say(format!("  operators      {}://{admin}/", scheme(&config.admin)));
    for chain in &config.chains {
        let nodes: Vec<String> = chain.upstream.iter().map(ToString::to_string).collect();
        say(format!("  chain          {} ({}) at {}", chain.id, chain.name, nodes.join(", ")));
    }
    for wallet in &config.wallets {
        say(format!("  wallet         {} {}", wallet.id, wallet.address));
    }
    for agent in &config.agents {
        say(format!("  agent          {} under {}", agent.id, agent.policy.value.display()));
    }
    let status = &gateway.status;
    let durability = format!("{} ({})", status.durability, status.durability_reason);
    say(format!("  durability     class {durability}, ledger {}", status.ledger_id));
    if let Some(reason) = &status.sealed {
        say(format!("  {}: {reason}", paint.red("sealed: nothing is signed")));
    }
}
