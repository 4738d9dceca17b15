//! The state of the ledger, held against chains and journals; and the levers that stop and resume it.

use axum::{Json, extract::State};
use countersign_core::{operation::OperationRecord, trace::Severity};
use countersign_engine::{
    port::{
        journal::Chain,
        ledger::{Clocks, InitAnswer, LedgerStatus},
    },
    reconcile::{LaneCheck, Reconciliation, Unfounded},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Desk, Door, Problem,
    access::{Asked, Nothing, Stopper, Viewer},
    approvals::bounded,
    body::{Given, Perhaps},
};

/// How many differences one answer names.
const NAMED_MAX: usize = 100;

/// `GET /ledger`: what the store is and promises, an audit of samples, and what chains and journals say.
pub(crate) async fn show(
    _: Viewer,
    State(desk): Door,
    _: Asked<Nothing>,
) -> Result<Json<Value>, Problem> {
    status(&desk).await
}

async fn status(desk: &Desk) -> Result<Json<Value>, Problem> {
    let ledger = &desk.ports().ledger;
    // before the status, because a finding seals
    let audit = match ledger.audit().await {
        Ok(finding) => json!({"finding": finding, "error": null}),
        Err(error) => json!({"finding": null, "error": error.to_string()}),
    };
    let status = ledger.describe().await?;
    let reconciliation = desk.gatehouse.engine.reconcile().await?;
    let freezes = match &status.lost {
        Some(_) => Vec::new(),
        None => ledger.standing_freezes().await?,
    };
    // what cannot be read here hides nothing of the ledger
    let chains = match &status.lost {
        Some(_) => None,
        None => desk.ports().journal.chains().await.ok(),
    };
    let journals = chains.map(|chains| chains.iter().map(journal).collect::<Vec<_>>());
    let mut shown = view(&status, &reconciliation);
    if let Some(members) = shown.as_object_mut() {
        members.insert("audit".into(), audit);
        members.insert("journals".into(), json!(journals));
        members.insert("freezes".into(), json!(freezes));
    }
    Ok(Json(shown))
}

fn view(status: &LedgerStatus, reconciliation: &Reconciliation) -> Value {
    let LedgerStatus { ledger_id, durability, durability_reason, sealed, .. } = status;
    let LedgerStatus { epoch, sequence, head, missing, lost, clocks, .. } = status;
    let Reconciliation { lanes, open, unfounded } = reconciliation;
    json!({
        "ledger_id": ledger_id,
        "epoch": epoch,
        "sequence": sequence,
        "head": head,
        "durability": durability,
        "durability_reason": durability_reason,
        "sealed": sealed,
        "lost": lost,
        "missing": missing,
        "clock_difference_ms": clocks.map(difference),
        "wallets": lanes.iter().map(lane).collect::<Vec<_>>(),
        "open": open.iter().map(operation).collect::<Vec<_>>(),
        "unfounded": unfounded.iter().map(trace).collect::<Vec<_>>(),
        "differences": named(reconciliation.differences(status)),
    })
}

/// The store's clock minus this gateway's, in milliseconds.
fn difference(clocks: Clocks) -> i64 {
    let signed = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
    let (ahead, behind) = (clocks.store.since(clocks.here), clocks.here.since(clocks.store));
    signed(ahead.0).saturating_sub(signed(behind.0))
}

/// Where a journal stands, and the head of it that the ledger's log has.
fn journal(chain: &Chain) -> Value {
    let Chain { gateway, head, anchored } = chain;
    json!({ "gateway": gateway, "head": head, "anchored": anchored })
}

fn lane(lane: &LaneCheck) -> Value {
    let LaneCheck { chain, wallet, address, next, latest, pending, in_flight } = lane;
    json!({
        "chain": chain,
        "wallet": wallet,
        "address": address,
        "next_nonce": next,
        "transactions": {"latest": latest, "pending": pending},
        "in_flight": in_flight,
        "unknown": lane.unknown(),
    })
}

fn operation(record: &OperationRecord) -> Value {
    json!({
        "id": record.id,
        "state": record.state.name(),
        "chain": record.chain(),
        "wallet": record.wallet(),
        "nonce": record.nonce(),
        "hash": record.hash(),
    })
}

fn trace(unfounded: &Unfounded) -> Value {
    json!({"operation": unfounded.operation, "trace_hash": unfounded.trace})
}

fn named(mut differences: Vec<String>) -> Vec<String> {
    let more = differences.len().saturating_sub(NAMED_MAX);
    differences.truncate(NAMED_MAX);
    if more > 0 {
        differences.push(format!("and {more} more"));
    }
    differences
}

/// Why the ledger is sealed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Reason {
    reason: String,
}

/// `POST /ledger/seal`: in force when it returns.
pub(crate) async fn seal(
    Stopper(operator): Stopper,
    State(desk): Door,
    Given(Reason { reason }): Given<Reason>,
) -> Result<Json<Value>, Problem> {
    // every agent is told
    let reason = bounded("reason", reason)?;
    desk.ports().ledger.seal(&format!("{}: {reason}", operator.id)).await?;
    tracing::warn!(operator = %operator.id, "the ledger was sealed");
    status(&desk).await
}

/// What an operator says to the differences.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Acceptance {
    #[serde(default)]
    accept_differences: bool,
}

/// `POST /ledger/unseal`: not over differences, unless they are accepted; what was accepted is told.
pub(crate) async fn unseal(
    Stopper(operator): Stopper,
    State(desk): Door,
    Perhaps(Acceptance { accept_differences }): Perhaps<Acceptance>,
) -> Result<Json<Value>, Problem> {
    let ledger = &desk.ports().ledger;
    let described = ledger.describe().await?;
    if let Some(why) = described.lost {
        return Err(Problem::LedgerLost(why));
    }
    let engine = &desk.gatehouse.engine;
    let differences = named(engine.reconcile().await?.differences(&described));
    if !differences.is_empty() && !accept_differences {
        return Err(Problem::Differences(differences));
    }
    ledger.unseal().await?;
    tracing::warn!(operator = %operator.id, ?differences, "the ledger was unsealed");
    if !differences.is_empty() {
        let title = format!("{} lifted the seal over differences", operator.id);
        let text = differences.join("\n");
        // what was accepted is told each time: other differences are another cause
        let cause = text.clone();
        let of = ("differences_accepted", cause.as_str());
        engine.report(Severity::High, of, (&title, text), None).await;
    }
    status(&desk).await
}

/// `POST /ledger/init`: a new ledger in the place of one that is lost, sealed from birth.
pub(crate) async fn init(
    Stopper(operator): Stopper,
    State(desk): Door,
    _: Perhaps<Nothing>,
) -> Result<Json<Value>, Problem> {
    match desk.ports().ledger.init().await? {
        InitAnswer::NotEmpty => Err(Problem::NotEmpty),
        InitAnswer::Made => {
            tracing::warn!(operator = %operator.id, "a new ledger was made in the place of one that is lost");
            let title =
                format!("{} made a new ledger in the place of one that is lost", operator.id);
            let engine = &desk.gatehouse.engine;
            let made = desk.ports().ledger.describe().await?.ledger_id;
            let of = ("ledger_made_anew", made.as_str());
            engine.report(Severity::High, of, (&title, String::new()), None).await;
            status(&desk).await
        }
    }
}

#[cfg(test)]
mod tests {
    use countersign_core::time::Timestamp;

    use super::*;

    #[test]
    fn a_clock_that_is_ahead_has_a_difference_above_zero() {
        let at = Timestamp::from_millis;
        for (store, here, expected) in [(7, 7, 0), (9, 7, 2), (7, 9, -2)] {
            assert_eq!(difference(Clocks { store: at(store), here: at(here) }), expected);
        }
    }

    #[test]
    fn no_answer_names_more_differences_than_a_person_reads() {
        let many = named((0..=NAMED_MAX).map(|n| n.to_string()).collect());
        assert_eq!(many.last().map(String::as_str), Some("and 1 more"));
        assert_eq!(named(vec!["one".into()]), ["one"]);
    }
}
