//! `countersign init`

use std::path::Path;

use countersign_signers::Cost;

use crate::{
    cli::InitArgs,
    failure::Failure,
    scaffold::{Blueprint, POLICY},
    screen::{Paint, say},
};

/// Writes a configuration to start from.
pub(crate) fn run(args: &InitArgs) -> Result<(), Failure> {
    let folder = &args.folder;
    if !is_free(folder) {
        return Err(Failure::refused(format!(
            "{} is not empty: choose another folder",
            folder.display()
        )));
    }
    let blueprint = Blueprint {
        rpc: "127.0.0.1:8555".into(),
        admin: "127.0.0.1:8556".into(),
        chain: 31337,
        chain_name: "anvil",
        upstream: "http://127.0.0.1:8545".into(),
        wallet: "ops-1",
        agent: "agent-1",
        operator: "alice",
        eth: "3000",
        change_delay: "1h",
        cost: Cost::Standard,
        policy: POLICY,
    };
    let made = blueprint.build(folder)?;
    let paint = Paint::stdout();
    let file = made.configuration.display();
    say(format!("{} {file}", paint.bold("A configuration to start from:")));
    say(format!("  policy          {}", folder.join("policies/agent-1.yaml").display()));
    say(format!("  wallet ops-1    {}", made.address));
    say(format!("  agent-1's token {}", made.agent.expose()));
    say(format!("  alice's token   {}", made.operator.expose()));
    say(paint.yellow("The tokens are shown this once: only their hashes are kept."));
    say(paint.bold("Next:"));
    say(format!("  countersign check  --config {file}"));
    say(format!("  countersign doctor --config {file}"));
    say(format!("  countersign serve  --config {file}"));
    Ok(())
}

fn is_free(folder: &Path) -> bool {
    match std::fs::read_dir(folder) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    }
}
