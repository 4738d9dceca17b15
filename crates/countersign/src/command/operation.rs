//! `countersign operation`

use alloy_primitives::{Bytes, U256, utils::parse_units};
use countersign_core::{approval::typed::TypedApproval, identity::AppId};
use countersign_signers::ApproverKey;
use serde_json::{Value, json};

use super::{Column, cell, pretty, query, segment, show_list};
use crate::{
    admin::AdminClient,
    cli::{ApproverKeyArgs, OperationCommand},
    failure::Failure,
    screen::{ask, complain, plain, say},
    wiring::password,
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
        OperationCommand::Approve { id, digest, note, yes, key, admin } => {
            let approval = Approval { id: segment(&id)?, digest, note, yes, key };
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
    key: ApproverKeyArgs,
}

impl Approval<'_> {
    /// Shows what is approved, asks where somebody can be asked, and binds the digest that was shown.
    async fn send(self, client: &AdminClient) -> Result<(), Failure> {
        let pending = client.get(&format!("/pending-operations/{}", self.id)).await?;
        complain(summary(&pending));
        changes(&pending).into_iter().for_each(complain);
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
        if let (Some(signature), Some(members)) =
            (signed(self.id, &digest, &pending, &self.key).await?, body.as_object_mut())
        {
            members.insert("signature".into(), json!({ "ethereum": signature }));
        }
        let path = format!("/pending-operations/{}/approve", self.id);
        let answer = client.post(&path, &body).await?;
        say(format!("{} {}", self.id, status(&answer)));
        Ok(())
    }
}

/// The signature of the key that was named, over what is shown here and not over what the gateway says is to be signed.
async fn signed(
    id: &str,
    digest: &str,
    pending: &Value,
    key: &ApproverKeyArgs,
) -> Result<Option<Bytes>, Failure> {
    let (Some(keystore), Some(password_file)) = (&key.key_file, &key.password_file) else {
        return Ok(None);
    };
    let text = |pointer: &str| pending.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let asked = pending.pointer("/signing/ethereum").filter(|asked| asked.is_object());
    let asked = asked.ok_or_else(|| Failure::failed(format!("{id} asks for no signature")))?;
    let broken = || Failure::failed("the gateway's answer cannot be understood");
    let app: AppId = AppId::parse(text("/signing/ethereum/message/app")).map_err(|_| broken())?;
    let approval = TypedApproval {
        app: &app,
        operation: id.parse().map_err(|_| broken())?,
        digest: digest.parse().map_err(|_| {
            Failure::refused(format!("`{digest}` is not a digest: expected 0x and 64 digits"))
        })?,
        expires_at: text("/expires_at").parse().map_err(|_| broken())?,
    };
    if *asked != approval.document() {
        let why = "the gateway asks to sign something else than the approval of this digest";
        return Err(Failure::failed(why));
    }
    let password = password(password_file).map_err(Failure::refused)?;
    let file = keystore.clone();
    let opened = tokio::task::spawn_blocking(move || ApproverKey::open(&file, &password)).await;
    let opened = opened.map_err(|_| Failure::failed("the key cannot be unlocked"))?;
    let key = opened.map_err(|error| Failure::failed(error.to_string()))?;
    let signature = key.sign(&approval).map_err(|error| Failure::failed(error.to_string()))?;
    complain(format!("  signed by     {}", key.address()));
    Ok(Some(signature))
}

/// The longest value of a change that is shown here; the whole of it stands in the pending operation.
const CHANGE_CHARS_MAX: usize = 160;

/// What is otherwise than when people said yes before.
fn changes(pending: &Value) -> Vec<String> {
    let side = |change: &Value, name: &str| {
        let value = change.get(name).unwrap_or(&Value::Null).to_string();
        plain(&value).chars().take(CHANGE_CHARS_MAX).collect::<String>()
    };
    let line = |change: &Value| {
        let what = cell(change, "what");
        format!("  changed       {what}: {} → {}", side(change, "from"), side(change, "to"))
    };
    let changed = pending.get("changed").and_then(Value::as_array);
    changed.into_iter().flatten().map(line).collect()
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
        "approval_mode",
        "asked_again",
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
