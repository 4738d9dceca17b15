//! `countersign ledger`, `freeze` and `unfreeze`

use serde_json::{Value, json};

use super::{cell, pretty};
use crate::{
    admin::AdminClient,
    cli::{FreezeArgs, LedgerCommand, Output, ScopeArgs},
    failure::Failure,
    screen::say,
};

/// Looks at the ledger's own state, or changes it; either way shows how it stands then.
pub(crate) async fn run(command: LedgerCommand) -> Result<(), Failure> {
    let (admin, output, change) = match command {
        LedgerCommand::Status { admin, output } => (admin, output, None),
        LedgerCommand::Init { admin, output } => (admin, output, Some(("init", json!({})))),
        LedgerCommand::Seal { reason, admin, output } => {
            (admin, output, Some(("seal", json!({ "reason": reason }))))
        }
        LedgerCommand::Unseal { accept_differences, admin, output } => {
            let body = json!({ "accept_differences": accept_differences });
            (admin, output, Some(("unseal", body)))
        }
    };
    let client = AdminClient::new(&admin)?;
    let answer = match change {
        None => client.get("/ledger").await?,
        Some((verb, body)) => client.post(&format!("/ledger/{verb}"), &body).await?,
    };
    match output.output {
        Output::Table => table(&answer).into_iter().for_each(say),
        Output::Json => say(pretty(&answer)),
    }
    Ok(())
}

/// A line for each fact, then what does not fit. A list is its length where its items are shown elsewhere.
fn table(status: &Value) -> Vec<String> {
    let fact = |key: &str| format!("{key:<20} {}", cell(status, key));
    let mut lines: Vec<String> = [
        "ledger_id",
        "epoch",
        "sequence",
        "head",
        "durability",
        "durability_reason",
        "sealed",
        "lost",
        "missing",
        "clock_difference_ms",
    ]
    .map(fact)
    .into();
    let audit = status.get("audit").cloned().unwrap_or_default();
    let finding = ["finding", "error"].map(|key| cell(&audit, key)).into_iter().find(|t| t != "-");
    lines.push(format!("{:<20} {}", "audit", finding.unwrap_or_else(|| "nothing found".into())));
    let list = |key: &str| status.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    lines.push(format!("{:<20} {}", "freezes", list("freezes").len()));
    lines.extend(list("freezes").iter().map(frozen));
    lines.push(format!("{:<20} {}", "open operations", list("open").len()));
    for lane in list("wallets") {
        let transactions = lane.get("transactions").cloned().unwrap_or_default();
        lines.push(format!(
            "{:<20} next nonce {}, on chain {} (pending {}), in flight {}, unknown {}",
            format!("{} on {}", cell(&lane, "wallet"), cell(&lane, "chain")),
            cell(&lane, "next_nonce"),
            cell(&transactions, "latest"),
            cell(&transactions, "pending"),
            cell(&lane, "in_flight"),
            cell(&lane, "unknown"),
        ));
    }
    for journal in list("journals") {
        let gateway = cell(&journal, "gateway");
        // as `trace verify --anchor` takes it
        let anchored = journal
            .get("anchored")
            .filter(|head| !head.is_null())
            .map(|head| format!("{gateway}:{}:{}", cell(head, "sequence"), cell(head, "hash")));
        let anchored = anchored.unwrap_or_else(|| "-".into());
        lines.push(format!("{:<20} {anchored}", "journal, anchored"));
    }
    let differences = list("differences");
    lines.push(format!("{:<20} {}", "differences", differences.len()));
    let shown = differences.iter().filter_map(Value::as_str).map(crate::screen::plain);
    lines.extend(shown.map(|line| format!("  {line}")));
    lines
}

/// `  agent treasury-bot, by alice at 2026-…: why`
fn frozen(freeze: &Value) -> String {
    let part = |key: &str| freeze.get(key).map_or_else(String::new, |_| cell(freeze, key));
    let scope = format!("{} {}", part("scope"), part("id"));
    let by = if freeze.get("operator").is_some() { part("operator") } else { part("by") };
    let reason = freeze.get("reason").map_or_else(String::new, |_| format!(": {}", part("reason")));
    format!("  {}, by {by} at {}{reason}", scope.trim_end(), part("at"))
}

/// Freezes what the arguments name; everything if they name nothing.
pub(crate) async fn freeze(args: FreezeArgs) -> Result<(), Failure> {
    let FreezeArgs { scope: args, reason } = args;
    let (scope, mut body) = scope(&args);
    if let (Some(reason), Some(members)) = (reason, body.as_object_mut()) {
        members.insert("reason".into(), reason.into());
    }
    AdminClient::new(&args.admin)?.post("/freeze", &body).await?;
    say(format!("{scope} frozen"));
    Ok(())
}

/// Lifts the freeze of what the arguments name; that of everything if they name nothing.
pub(crate) async fn unfreeze(args: ScopeArgs) -> Result<(), Failure> {
    let (scope, body) = scope(&args);
    AdminClient::new(&args.admin)?.post("/unfreeze", &body).await?;
    say(format!("{scope} unfrozen"));
    Ok(())
}

fn scope(args: &ScopeArgs) -> (String, Value) {
    match (&args.agent, &args.wallet, &args.chain, args.all) {
        (Some(agent), ..) => (format!("agent {agent}"), json!({ "agent": agent })),
        (None, Some(wallet), ..) => (format!("wallet {wallet}"), json!({ "wallet": wallet })),
        (None, None, Some(chain), _) => (format!("chain {chain}"), json!({ "chain": chain })),
        (None, None, None, true) => ("everything, revocations too,".into(), json!({ "all": true })),
        (None, None, None, false) => ("everything".into(), json!({})),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_told_in_lines_and_differences_come_last() {
        let status = json!({
            "ledger_id": "one", "epoch": 0, "sequence": 7, "head": "ab", "durability": "A",
            "durability_reason": "one fsync per commit", "sealed": "history is lost", "lost": null,
            "missing": "line 9", "clock_difference_ms": -3, "freezes": [
                { "scope": "agent", "id": "bot", "by": "operator", "operator": "alice",
                    "at": "2026-01-01T00:00:00Z", "reason": "key out\u{1b}[2J" },
                { "scope": "all", "by": "breaker", "at": "2026-01-01T00:00:00Z" }],
            "audit": { "finding": null, "error": null }, "open": [{}],
            "wallets": [{ "chain": 1, "wallet": "hot", "next_nonce": null, "in_flight": 0,
                "unknown": 2, "transactions": { "latest": 2, "pending": 2 } }],
            "differences": ["hot has 2 transactions"],
        });
        let lines = table(&status);
        assert!(lines.contains(&"sealed               history is lost".to_owned()), "{lines:#?}");
        assert!(lines.contains(&"audit                nothing found".to_owned()), "{lines:#?}");
        assert!(lines.contains(&"clock_difference_ms  -3".to_owned()), "{lines:#?}");
        let frozen = "  agent bot, by alice at 2026-01-01T00:00:00Z: key out\u{fffd}[2J".to_owned();
        assert!(lines.contains(&frozen), "{lines:#?}");
        let all = "  all, by breaker at 2026-01-01T00:00:00Z".to_owned();
        assert!(lines.contains(&all), "{lines:#?}");
        let lane =
            "hot on 1             next nonce -, on chain 2 (pending 2), in flight 0, unknown 2";
        assert!(lines.contains(&lane.to_owned()), "{lines:#?}");
        assert_eq!(lines.last().unwrap(), "  hot has 2 transactions");
    }
}
