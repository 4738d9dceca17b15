//! What an agent did before with those whom a parked operation would pay.

use std::collections::BTreeSet;

use alloy_primitives::Address;
use axum::{Json, extract::State};
use countersign_core::{
    action::{Action, Effect},
    amount::MicroUsd,
    fact::{Asked, Facts},
    identity::OperationId,
    time::Timestamp,
    trace::{TraceRecord, TraceStatus},
};
use countersign_engine::port::journal::TraceQuery;
use serde_json::{Value, json};

use super::{
    Door, Problem,
    access::{Named, Viewer},
    approvals::{moved, worth},
    operations,
};

/// How many of the agent's newest decisions are looked through.
const LOOKED_THROUGH: usize = 1000;
/// How many traces are read at once, and how often: between decisions may stand what clients have said.
const PAGE: u32 = 250;
const PAGES_MAX: u8 = 12;
/// How many of them are named.
const NAMED_MAX: usize = 20;

/// `GET /pending-operations/{id}/history`: the agent's newest decisions that share a counterparty with this operation,
/// newest first, and what all of them together come to; of the newest 1 000. Many small payments hide nothing: they are
/// counted, and added up.
pub(crate) async fn show(
    _: Viewer,
    State(desk): Door,
    Named(id): Named<OperationId>,
) -> Result<Json<Value>, Problem> {
    let record = operations::record(&desk, id).await?;
    let own = desk.ports().journal.trace(record.trace).await?;
    let others = own.and_then(|trace| trace.decision.facts).map(|facts| counterparties(&facts));
    let mut found = Found::new(id, others.unwrap_or_default());
    let agent = Some(record.agent().clone());
    let mut query = TraceQuery { agent, limit: PAGE, ..TraceQuery::default() };
    for _ in 0..PAGES_MAX {
        let page = desk.ports().journal.traces(&query).await?;
        query.cursor = page.next_cursor;
        found.is_whole = query.cursor.is_none();
        page.items.iter().filter(|trace| !trace.attestation).for_each(|trace| found.take(trace));
        if query.cursor.is_none() || found.looked_through >= LOOKED_THROUGH {
            break;
        }
    }
    Ok(Json(found.view()))
}

/// What was found among the agent's decisions so far, newest first.
#[derive(Debug)]
struct Found {
    /// The operation that it is asked for.
    own: OperationId,
    others: BTreeSet<Address>,
    looked_through: usize,
    /// Whether these are all decisions of the agent.
    is_whole: bool,
    /// Of the oldest that was looked at.
    since: Option<Timestamp>,
    items: Vec<Value>,
    shared: u64,
    /// First and last of those that share a counterparty.
    times: Option<(Timestamp, Timestamp)>,
    paid: u64,
    /// What transfers to them came to; `None` where it is more than can be said.
    paid_usd: Option<MicroUsd>,
    largest_usd: Option<MicroUsd>,
    /// How many of those that were paid have a transfer whose worth nobody knew.
    unpriced: u64,
}

impl Found {
    fn new(own: OperationId, others: BTreeSet<Address>) -> Self {
        Self {
            own,
            others,
            looked_through: 0,
            is_whole: true,
            since: None,
            items: Vec::new(),
            shared: 0,
            times: None,
            paid: 0,
            paid_usd: Some(MicroUsd::ZERO),
            largest_usd: None,
            unpriced: 0,
        }
    }

    fn take(&mut self, trace: &TraceRecord) {
        if self.looked_through >= LOOKED_THROUGH {
            self.is_whole = false;
            return;
        }
        self.looked_through = self.looked_through.saturating_add(1);
        self.since = Some(trace.decision.created_at);
        let Some(facts) = &trace.decision.facts else { return };
        let is_own = trace.decision.operation_id == Some(self.own);
        if is_own || counterparties(facts).is_disjoint(&self.others) {
            return;
        }
        let at = trace.decision.created_at;
        self.shared = self.shared.saturating_add(1);
        self.times = Some((at, self.times.map_or(at, |(_, last)| last)));
        if self.items.len() < NAMED_MAX {
            self.items.push(line(trace));
        }
        self.add_up(facts, trace.status);
    }

    /// Adds what was signed, whether it is on the chain yet or not.
    fn add_up(&mut self, facts: &Facts, status: TraceStatus) {
        let is_signed = match status {
            TraceStatus::Executed | TraceStatus::Allowed => true,
            TraceStatus::Blocked | TraceStatus::PendingApproval | TraceStatus::Failed => false,
        };
        let to_them = |action: &&Action| {
            let to = Asked::Counterparty.of(action);
            let is_transfer = matches!(action.effect, Effect::Transfer { .. });
            is_transfer && to.is_some_and(|to| self.others.contains(&to))
        };
        let transfers: Vec<&Action> = facts.actions.iter().filter(to_them).collect();
        if !is_signed || transfers.is_empty() {
            return;
        }
        self.paid = self.paid.saturating_add(1);
        let known: Vec<MicroUsd> = transfers.iter().filter_map(|a| worth(a, facts)).collect();
        if known.len() < transfers.len() {
            self.unpriced = self.unpriced.saturating_add(1);
        }
        let sum = |sum: Option<MicroUsd>, usd: &MicroUsd| sum?.checked_add(*usd);
        let together = known.iter().fold(Some(MicroUsd::ZERO), sum);
        self.paid_usd = self.paid_usd.zip(together).and_then(|(sum, usd)| sum.checked_add(usd));
        if !known.is_empty() {
            self.largest_usd = self.largest_usd.max(together);
        }
    }

    fn view(&self) -> Value {
        json!({
            "counterparties": self.others.iter().map(|address| address.to_checksum(None)).collect::<Vec<_>>(),
            "looked_through": self.looked_through,
            "complete": self.is_whole,
            "since": self.since,
            "decisions": self.shared,
            "first_at": self.times.map(|(first, _)| first),
            "last_at": self.times.map(|(_, last)| last),
            "paid": self.paid,
            "paid_usd": self.paid_usd,
            "largest_usd": self.largest_usd,
            "unpriced": self.unpriced,
            "items": self.items,
        })
    }
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
