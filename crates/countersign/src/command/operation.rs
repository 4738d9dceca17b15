//! `countersign operation`

use alloy_primitives::{U256, utils::parse_units};
use serde_json::{Value, json};

use super::{Column, cell, pretty, query, segment, show_list};
use crate::{
    admin::AdminClient,
    cli::OperationCommand,
    failure::Failure,
    screen::{ask, complain, say},
};

/// Looks at operations and decides them, through the operators' door.
pub(crate) async fn run(command: OperationCommand) -> Result<(), Failure> {
    match command {
        OperationCommand::List { status, agent, limit, admin, output } => {
            let client = AdminClient::new(&admin)?;
            let limit = Some(limit.to_string());
            let query = query(&[("status", status), ("agent", agent), ("limit", limit)]);
            let answer = client.get(&format!("/operations{query}")).await?;
            show_list(&answer, output.output, &COLUMNS);
            Ok(())
        }
        OperationCommand::Show { id, admin } => {
            let answer =
                AdminClient::new(&admin)?.get(&format!("/operations/{}", segment(&id)?)).await?;
            say(pretty(&answer));
            Ok(())
        }
        OperationCommand::Approve { id, digest, note, yes, admin } => {
            let approval = Approval { id: segment(&id)?, digest, note, yes };
            approval.send(&AdminClient::new(&admin)?).await
        }
        OperationCommand::Reject { id, reason, admin } => {
            let path = format!("/pending-operations/{}/reject", segment(&id)?);
            let answer =
                AdminClient::new(&admin)?.post(&path, &json!({ "reason": reason })).await?;
            say(format!("{id} {}", status(&answer)));
            Ok(())
        }
        OperationCommand::Bump { id, max_fee_gwei, tip_gwei, gas_price_gwei, admin } => {
            let figures = [
                ("max_fee_per_gas", max_fee_gwei),
                ("max_priority_fee_per_gas", tip_gwei),
                ("gas_price", gas_price_gwei),
            ];
            let mut offer = serde_json::Map::new();
            for (name, gwei) in figures {
                if let Some(gwei) = gwei {
                    offer.insert(name.into(), wei(&gwei)?.into());
                }
            }
            replace(&id, "bump", &Value::Object(offer), &AdminClient::new(&admin)?).await
        }
        OperationCommand::Cancel { id, admin } => {
            replace(&id, "cancel", &json!({}), &AdminClient::new(&admin)?).await
        }
    }
}

/// Asks for a further attempt and says which bytes compete now.
async fn replace(id: &str, verb: &str, body: &Value, client: &AdminClient) -> Result<(), Failure> {
    let answer = client.post(&format!("/operations/{}/{verb}", segment(id)?), body).await?;
    let attempts = answer.get("attempts").and_then(Value::as_array);
    let newest = attempts.and_then(|all| all.last()).map_or_else(String::new, |a| cell(a, "hash"));
    say(format!("{id} {} {newest}", status(&answer)));
    Ok(())
}

/// Gwei, with a fraction if need be, as a hex quantity in wei.
fn wei(gwei: &str) -> Result<String, Failure> {
    let plain = gwei.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let parsed = parse_units(gwei, "gwei").ok().filter(|_| plain);
    let wei: Option<U256> = parsed.map(Into::into);
    let wrong = || {
        Failure::refused(format!(
            "`{gwei}` is not a fee in gwei: expected a number, as in 80 or 0.5"
        ))
    };
    wei.map(|wei| format!("{wei:#x}")).ok_or_else(wrong)
}

const COLUMNS: [Column; 7] = [
    ("ID", |item| cell(item, "id")),
    ("STATUS", status),
    ("AGENT", |item| cell(item, "agent")),
    ("CHAIN", |item| cell(item, "chain")),
    ("CODE", |item| cell(item, "code")),
    ("HASH", |item| cell(item, "hash")),
    ("CREATED", |item| cell(item, "created_at")),
];

fn status(item: &Value) -> String {
    match cell(item, "status").as_str() {
        "-" => cell(item, "state"),
        status => status.to_owned(),
    }
}

/// One yes.
struct Approval<'a> {
    id: &'a str,
    digest: Option<String>,
    note: Option<String>,
    yes: bool,
}

impl Approval<'_> {
    /// Shows what is approved, asks where somebody can be asked, and binds the digest that was shown.
    async fn send(self, client: &AdminClient) -> Result<(), Failure> {
        let pending = client.get(&format!("/pending-operations/{}", self.id)).await?;
        complain(summary(&pending));
        if !self.yes && self.digest.is_none() && ask("approve this?") == Some(false) {
            return Err(Failure::failed("not approved"));
        }
        let shown = pending.get("digest").and_then(Value::as_str).map(str::to_owned);
        let digest = self.digest.or(shown);
        let digest =
            digest.ok_or_else(|| Failure::failed(format!("{} waits for nobody", self.id)))?;
        let mut body = json!({ "digest": digest });
        if let (Some(note), Some(members)) = (self.note, body.as_object_mut()) {
            members.insert("note".into(), note.into());
        }
        let path = format!("/pending-operations/{}/approve", self.id);
        let answer = client.post(&path, &body).await?;
        say(format!("{} {}", self.id, status(&answer)));
        Ok(())
    }
}

/// What an approver must have seen, one fact per line.
fn summary(pending: &Value) -> String {
    let facts = [
        "summary",
        "action",
        "action_type",
        "agent",
        "wallet",
        "chain",
        "amount",
        "amount_usd",
        "usd",
        "token",
        "to",
        "code",
        "reason",
        "rule",
        "policy",
        "reasoning",
        "risk_score",
        "digest",
        "expires_at",
    ];
    let line = |key: &&str| match cell(pending, key).as_str() {
        "-" => None,
        text => Some(format!("  {key:<12} {text}")),
    };
    facts.iter().filter_map(line).collect::<Vec<_>>().join("\n")
}
