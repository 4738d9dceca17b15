//! `countersign ledger`, `freeze` and `unfreeze`

use serde_json::{Value, json};

use super::{cell, pretty};
use crate::{
    admin::AdminClient,
    cli::{FreezeArgs, LedgerCommand, Output},
    failure::Failure,
    screen::say,
};

/// Looks at the ledger's own state.
pub(crate) async fn run(command: LedgerCommand) -> Result<(), Failure> {
    let LedgerCommand::Status { admin, output } = command;
    let answer = AdminClient::new(&admin)?.get("/ledger").await?;
    match (output.output, answer.as_object()) {
        (Output::Table, Some(members)) => {
            members.keys().for_each(|key| say(format!("{key:<20} {}", cell(&answer, key))));
        }
        (Output::Json, _) | (_, None) => say(pretty(&answer)),
    }
    Ok(())
}

/// Freezes or unfreezes what the arguments name; everything if they name nothing.
pub(crate) async fn freeze(args: FreezeArgs, verb: &str) -> Result<(), Failure> {
    let (scope, body) = scope(&args);
    let answer = AdminClient::new(&args.admin)?.post(&format!("/{verb}"), &body).await?;
    let done = if verb == "freeze" { "frozen" } else { "unfrozen" };
    let nothing = answer.get("changed") == Some(&Value::Bool(false));
    say(if nothing { format!("{scope} was not frozen") } else { format!("{scope} {done}") });
    Ok(())
}

fn scope(args: &FreezeArgs) -> (String, Value) {
    match (&args.agent, &args.wallet, &args.chain, args.all) {
        (Some(agent), ..) => (format!("agent {agent}"), json!({ "agent": agent })),
        (None, Some(wallet), ..) => (format!("wallet {wallet}"), json!({ "wallet": wallet })),
        (None, None, Some(chain), _) => (format!("chain {chain}"), json!({ "chain": chain })),
        (None, None, None, true) => ("everything, revocations too,".into(), json!({ "all": true })),
        (None, None, None, false) => ("everything".into(), json!({})),
    }
}
