//! What an agent did before with those whom a parked operation would pay.

use std::collections::BTreeSet;

use alloy_primitives::Address;
use axum::{Json, extract::State};
use countersign_core::{
    fact::{Asked, Facts},
    identity::{AgentId, OperationId},
    trace::TraceRecord,
};
use countersign_engine::port::journal::TraceQuery;
use serde_json::{Value, json};

use super::{
    Desk, Door, Problem,
    access::{Named, Viewer},
    approvals::moved,
    operations,
};

/// How many of the agent's newest decisions are looked through.
const LOOKED_THROUGH: usize = 300;
/// How many traces are read at once, and how often: between decisions may stand what clients have said.
const PAGE: u32 = 300;
const PAGES_MAX: u8 = 10;
/// How many of them are named.
const NAMED_MAX: usize = 20;

/// `GET /pending-operations/{id}/history`: the agent's newest decisions that share a counterparty with this operation,
/// newest first; of the newest 300.
pub(crate) async fn show(
    _: Viewer,
    State(desk): Door,
    Named(id): Named<OperationId>,
) -> Result<Json<Value>, Problem> {
    let record = operations::record(&desk, id).await?;
    let journal = &desk.ports().journal;
    let own = journal.trace(record.trace).await?;
    let others = own.and_then(|trace| trace.decision.facts).map(|facts| counterparties(&facts));
    let others = others.unwrap_or_default();
    let traces = decisions(&desk, record.agent()).await?;
    let shares = |trace: &&TraceRecord| {
        trace.decision.operation_id != Some(id)
            && trace
                .decision
                .facts
                .as_ref()
                .is_some_and(|f| !counterparties(f).is_disjoint(&others))
    };
    let items: Vec<Value> = traces.iter().filter(shares).take(NAMED_MAX).map(line).collect();
    Ok(Json(json!({
        "counterparties": others.iter().map(|address| address.to_checksum(None)).collect::<Vec<_>>(),
        "looked_through": traces.len(),
        "items": items,
    })))
}

/// The agent's newest decisions.
async fn decisions(desk: &Desk, agent: &AgentId) -> Result<Vec<TraceRecord>, Problem> {
    let mut query = TraceQuery { agent: Some(agent.clone()), limit: PAGE, ..TraceQuery::default() };
    let mut found = Vec::new();
    for _ in 0..PAGES_MAX {
        let page = desk.ports().journal.traces(&query).await?;
        found.extend(page.items.into_iter().filter(|trace| !trace.attestation));
        query.cursor = page.next_cursor;
        if query.cursor.is_none() || found.len() >= LOOKED_THROUGH {
            break;
        }
    }
    found.truncate(LOOKED_THROUGH);
    Ok(found)
}

fn counterparties(facts: &Facts) -> BTreeSet<Address> {
    facts.actions.iter().filter_map(|action| Asked::Counterparty.of(action)).collect()
}

fn line(trace: &TraceRecord) -> Value {
    let moved = trace.decision.facts.as_ref().and_then(moved);
    json!({
        "operation": trace.decision.operation_id,
        "trace_hash": trace.trace_hash,
        "created_at": trace.decision.created_at,
        "status": trace.status,
        "hash": trace.tx_hash,
        "amount": moved.as_ref().map(|moved| &moved.amount),
        "amount_usd": moved.as_ref().and_then(|moved| moved.usd.as_ref()),
        "token": moved.as_ref().map(|moved| &moved.token),
        "to": moved.as_ref().map(|moved| &moved.to),
    })
}
