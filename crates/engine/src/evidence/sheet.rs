//! The same for people: a table with one row for each entry that was asked for.

use countersign_core::{
    journal::{Entry, Written},
    text::is_hidden,
    trace::{DecisionRecord, Incident, Posted, TraceUpdate},
};
use serde_json::Value;

use super::{Step, Walk, unreadable};
use crate::port::journal::{Chained, JournalError};

/// The columns.
const COLUMNS: [&str; 25] = [
    "gateway",
    "sequence",
    "hash",
    "kind",
    "at",
    "trace_hash",
    "operation",
    "agent",
    "session",
    "status",
    "outcome",
    "code",
    "blocked_by",
    "risk_score",
    "action",
    "wallet",
    "chain",
    "to",
    "value_wei",
    "fee_usd",
    "policy",
    "tx_hash",
    "who",
    "title",
    "text",
];

/// A table that is being written.
#[derive(Debug)]
pub struct Sheet {
    walk: Walk,
    gateway: Option<String>,
    is_begun: bool,
}

impl Sheet {
    /// A table that has not begun.
    #[must_use]
    pub const fn new(walk: Walk) -> Self {
        Self { walk, gateway: None, is_begun: false }
    }

    /// The next rows; `None` behind the last.
    pub async fn next(&mut self) -> Result<Option<String>, JournalError> {
        if !std::mem::replace(&mut self.is_begun, true) {
            return Ok(Some(line(COLUMNS.iter().map(|column| (*column).to_owned()))));
        }
        let Some(step) = self.walk.step(self.gateway.is_some()).await? else { return Ok(None) };
        let mut rows = String::new();
        match step {
            Step::Chain(chain) => self.gateway = Some(chain.gateway),
            Step::End(_) => self.gateway = None,
            Step::Entries(entries) => {
                let gateway = self.gateway.clone().unwrap_or_default();
                for (entry, _) in entries.into_iter().filter(|(_, asked)| *asked) {
                    rows.push_str(&row(&gateway, &entry)?);
                }
            }
        }
        Ok(Some(rows))
    }
}

/// What people look for in an entry; empty where it says nothing of the kind.
#[derive(Default)]
struct Cells {
    at: String,
    trace: String,
    operation: String,
    agent: String,
    session: String,
    status: String,
    outcome: String,
    code: String,
    blocked_by: String,
    risk: String,
    action: String,
    wallet: String,
    chain: String,
    to: String,
    value: String,
    fee: String,
    policy: String,
    tx_hash: String,
    who: String,
    title: String,
    text: String,
}

fn row(gateway: &str, Chained { head, text }: &Chained) -> Result<String, JournalError> {
    let said = Written::parse(text).and_then(|written| serde_json::from_str(written.said()).ok());
    let entry: Entry = said.ok_or_else(|| unreadable(*head))?;
    let kind = entry.about().kind.name();
    let Cells {
        at,
        trace,
        operation,
        agent,
        session,
        status,
        outcome,
        code,
        blocked_by,
        risk,
        action,
        wallet,
        chain,
        to,
        value,
        fee,
        policy,
        tx_hash,
        who,
        title,
        text,
    } = cells(entry);
    let front = [gateway.to_owned(), head.sequence.to_string(), head.hash.to_string(), kind.into()];
    let rest = [
        at, trace, operation, agent, session, status, outcome, code, blocked_by, risk, action,
        wallet, chain, to, value, fee, policy, tx_hash, who, title, text,
    ];
    Ok(line(front.into_iter().chain(rest)))
}

fn cells(entry: Entry) -> Cells {
    match entry {
        Entry::Policy { policy, canonical } => {
            Cells { policy: policy.to_string(), text: canonical, ..Cells::default() }
        }
        Entry::Decision { trace_hash, decision, status } => Cells {
            trace: trace_hash.to_string(),
            status: status.name().into(),
            ..of_decision(*decision)
        },
        Entry::Attestation { trace_hash, decision, status, posted } => Cells {
            trace: trace_hash.to_string(),
            status: status.name().into(),
            ..of_posted(of_decision(*decision), posted.map(|posted| *posted))
        },
        Entry::Update { trace_hash, update } => {
            Cells { trace: trace_hash.to_string(), ..of_update(update) }
        }
        Entry::Incident(incident) => of_incident(*incident),
    }
}

fn of_decision(decision: DecisionRecord) -> Cells {
    // the seed has these as JSON text; an attestation may have anything
    let read = |value: &Value| match value {
        Value::String(text) => serde_json::from_str(text).unwrap_or_default(),
        other @ (Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::Array(_)
        | Value::Object(_)) => other.clone(),
    };
    let (proposed, validation) =
        (read(&decision.proposed_action), read(&decision.validation_result));
    let said = |value: &Value, key: &str| value.get(key).map(plain).unwrap_or_default();
    Cells {
        at: decision.created_at.to_string(),
        operation: decision.operation_id.map(|id| id.to_string()).unwrap_or_default(),
        agent: decision.agent_id.map(|agent| agent.to_string()).unwrap_or_default(),
        session: decision.session.unwrap_or_default(),
        outcome: said(&validation, "outcome"),
        code: said(&validation, "code"),
        blocked_by: decision.blocked_by.unwrap_or_default(),
        risk: decision.risk_score.to_string(),
        action: said(&proposed, "type"),
        wallet: said(&proposed, "wallet"),
        chain: said(&proposed, "chainId"),
        to: said(&proposed, "to"),
        value: said(&proposed, "valueWei"),
        fee: said(&proposed, "feeUsd"),
        policy: decision.policy.map(|policy| policy.to_string()).unwrap_or_default(),
        text: decision.reasoning.unwrap_or_default(),
        ..Cells::default()
    }
}

/// What a client posted, with who did.
fn of_posted(cells: Cells, posted: Option<Posted>) -> Cells {
    let Some(Posted { by, tx_hash, signatures, duration_ms: _ }) = posted else { return cells };
    let words: Vec<String> =
        std::iter::once(cells.text).chain(signatures.iter().map(plain)).collect();
    Cells {
        who: by.to_string(),
        tx_hash: tx_hash.map(|hash| hash.to_string()).unwrap_or_default(),
        text: words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" "),
        ..cells
    }
}

fn of_update(update: TraceUpdate) -> Cells {
    let TraceUpdate { status, tx_hash, signature, approval, duration_ms, blocked_by, again } =
        update;
    let (occasion, decided) = match again {
        Some(again) => (again.occasion.name(), of_decision(again.decision)),
        None => ("", Cells::default()),
    };
    let said = approval.as_ref().and_then(|said| said.get("operator")).map(plain);
    let words = [approval.as_ref().map(plain), signature.as_ref().map(plain)];
    let mut words: Vec<String> = words.into_iter().flatten().collect();
    words.extend(duration_ms.map(|ms| format!("{ms} ms")));
    Cells {
        status: status.map(|status| status.name().to_owned()).unwrap_or_default(),
        tx_hash: tx_hash.map(|hash| hash.to_string()).unwrap_or_default(),
        blocked_by: blocked_by.unwrap_or(decided.blocked_by),
        who: said.unwrap_or_default(),
        title: occasion.to_owned(),
        text: words.join(" "),
        ..decided
    }
}

/// A version of an incident, as its last change made it.
fn of_incident(incident: Incident) -> Cells {
    let step = incident.last_step().filter(|step| step.at == incident.updated_at).cloned();
    let (who, note) = step.map_or((None, None), |step| (step.by, step.note));
    Cells {
        at: incident.updated_at.to_string(),
        trace: incident.trace_hash.map(|trace| trace.to_string()).unwrap_or_default(),
        agent: incident.agent.map(|agent| agent.to_string()).unwrap_or_default(),
        session: incident.session.unwrap_or_default(),
        status: format!("{} {}", incident.severity.name(), incident.status.name()),
        code: incident.code,
        who: who.unwrap_or_default(),
        title: format!("{}: {}", incident.id, incident.title),
        text: note.unwrap_or(incident.description),
        ..Cells::default()
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

/// One row (RFC 4180).
fn line(cells: impl Iterator<Item = String>) -> String {
    let cells: Vec<String> = cells.map(|cell| quoted(&cell)).collect();
    format!("{}\r\n", cells.join(","))
}

/// A cell that no spreadsheet takes for a formula: what begins like one gets an apostrophe before it, and what a terminal
/// or a reader would not show is a space.
fn quoted(cell: &str) -> String {
    let shown: String = cell.chars().map(|c| if is_hidden(c) { ' ' } else { c }).collect();
    let looks = shown.trim_start();
    let is_formula = looks.starts_with(['=', '+', '-', '@', '|', '%', '＝', '＋', '－', '＠']);
    let mark = if is_formula { "'" } else { "" };
    format!("\"{mark}{}\"", shown.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula() {
        for (cell, expected) in [
            ("plain", "\"plain\""),
            ("=HYPERLINK(\"http://x\")", "\"'=HYPERLINK(\"\"http://x\"\")\""),
            ("+cmd|' /C calc'!A0", "\"'+cmd|' /C calc'!A0\""),
            ("@SUM(1)", "\"'@SUM(1)\""),
            ("-1+1", "\"'-1+1\""),
            ("\t=1", "\"' =1\""),
            ("\r\n=1", "\"'  =1\""),
            ("a,b\"c\nd", "\"a,b\"\"c d\""),
            ("＝1", "\"'＝1\""),
        ] {
            assert_eq!(quoted(cell), expected);
        }
    }
}
