//! Operations as the API shows them.

use alloy_primitives::B256;
use axum::{Json, extract::State};
use countersign_core::{
    identity::{AgentId, OperationId},
    operation::{Attempt, OperationRecord, OperationState},
    transaction::{FeeBid, TransactionPlan},
};
use countersign_engine::port::{
    journal::Page,
    ledger::{LedgerError, OperationQuery},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Desk, Door, Problem,
    access::{Approver, Asked, Named, Nothing, Viewer},
    body::{Listed, Perhaps, limit, listed},
    by_hash,
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    pub(crate) status: Option<String>,
    agent: Option<AgentId>,
    hash: Option<B256>,
    limit: Option<u32>,
    cursor: Option<String>,
}

/// The most bytes of items that a page has, where a single one is not longer.
const PAGE_BYTES_MAX: usize = 4 << 20;

/// How many operations are read at once: each may be long.
const SLICE: u32 = 32;

impl Which {
    /// One page, each operation as `show` has it; left out where it has none. With `hash` the one operation of that
    /// transaction, if it is of these.
    pub(crate) async fn page<F>(
        self,
        desk: &Desk,
        states: Vec<OperationState>,
        show: impl Fn(OperationRecord) -> F,
    ) -> Result<Page<Value>, Problem>
    where
        F: Future<Output = Result<Option<Value>, Problem>>,
    {
        let Self { status: _, agent, hash, limit: most, cursor } = self;
        let most = limit(most)?;
        let mut query = OperationQuery { states, agent, limit: most, cursor };
        if let Some(hash) = hash {
            let fits = |record: &OperationRecord| {
                (query.states.is_empty() || query.states.contains(&record.state))
                    && query.agent.as_ref().is_none_or(|agent| agent == record.agent())
            };
            let found = by_hash::find(desk, hash).await?.filter(fits);
            let shown = match found {
                Some(record) => show(record).await?,
                None => None,
            };
            return Ok(Page { items: shown.into_iter().collect(), next_cursor: None });
        }
        let (mut items, mut bytes, mut left) = (Vec::new(), 0_usize, most);
        loop {
            query.limit = left.min(SLICE);
            let slice = slice(desk, &query).await?;
            left = left.saturating_sub(query.limit);
            for record in slice.items {
                let id = record.id.to_string();
                if let Some(shown) = show(record).await? {
                    bytes = bytes.saturating_add(shown.to_string().len());
                    if bytes > PAGE_BYTES_MAX && !items.is_empty() {
                        return Ok(Page { items, next_cursor: query.cursor });
                    }
                    items.push(shown);
                }
                query.cursor = Some(id);
            }
            if slice.next_cursor.is_none() || left == 0 {
                return Ok(Page { items, next_cursor: slice.next_cursor });
            }
            query.cursor = slice.next_cursor;
        }
    }
}

async fn slice(desk: &Desk, query: &OperationQuery) -> Result<Page<OperationRecord>, Problem> {
    match desk.ports().ledger.operations(query).await {
        Err(LedgerError::Refused(_)) if query.cursor.is_some() => Err(Problem::cursor()),
        page => Ok(page?),
    }
}

/// `GET /operations`
pub(crate) async fn list(
    _: Viewer,
    State(desk): Door,
    Asked(which): Asked<Which>,
) -> Listed<Value> {
    let states = which.status.as_deref().map(states).transpose()?.unwrap_or_default();
    let show = |record: OperationRecord| std::future::ready(Ok(Some(view(&record))));
    Ok(listed(which.page(&desk, states, show).await?))
}

/// `GET /operations/{id}`
pub(crate) async fn show(
    _: Viewer,
    State(desk): Door,
    Named(id): Named<OperationId>,
) -> Result<Json<Value>, Problem> {
    record(&desk, id).await.map(|record| Json(view(&record)))
}

/// What an operator offers; absent members are left to the gateway.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Offer {
    max_fee_per_gas: Option<String>,
    max_priority_fee_per_gas: Option<String>,
    gas_price: Option<String>,
}

impl Offer {
    /// The bid in wei per gas, if there is one.
    fn bid(self) -> Result<Option<FeeBid>, Problem> {
        let Self { max_fee_per_gas, max_priority_fee_per_gas, gas_price } = self;
        let price = wei("gas_price", gas_price)?;
        let max_fee = wei("max_fee_per_gas", max_fee_per_gas)?;
        let tip = wei("max_priority_fee_per_gas", max_priority_fee_per_gas)?;
        match (price, max_fee, tip) {
            (None, None, None) => Ok(None),
            (Some(price), None, None) => Ok(Some(FeeBid::Price(price))),
            (None, Some(max_fee), Some(tip)) if tip <= max_fee => {
                Ok(Some(FeeBid::Dynamic { max_fee, tip }))
            }
            _ => Err(Problem::Malformed(
                "offer either `gas_price`, or `max_fee_per_gas` with a `max_priority_fee_per_gas` that is not above it".into(),
            )),
        }
    }
}

/// A hex quantity, as everywhere in JSON-RPC.
fn wei(field: &str, text: Option<String>) -> Result<Option<u128>, Problem> {
    let parse = |text: String| {
        let digits = text.strip_prefix("0x").filter(|digits| !digits.starts_with('+'));
        let wei = digits.and_then(|digits| u128::from_str_radix(digits, 16).ok());
        let wrong =
            || format!("`{field}`: expected wei per gas as a hex quantity, as in 0x3b9aca00");
        wei.ok_or_else(|| Problem::Malformed(wrong()))
    };
    text.map(parse).transpose()
}

/// `POST /operations/{id}/bump`: the same payload at the same nonce with a higher fee.
pub(crate) async fn bump(
    Approver(operator): Approver,
    State(desk): Door,
    Named(id): Named<OperationId>,
    Perhaps(offer): Perhaps<Offer>,
) -> Result<Json<Value>, Problem> {
    let bumped = desk.gatehouse.engine.bump(&operator, id, offer.bid()?).await?;
    tracing::info!(operator = %operator.id, operation = %id, "a fee was raised");
    Ok(Json(view(&bumped)))
}

/// `POST /operations/{id}/cancel`: a transfer of nothing competes for its nonce.
pub(crate) async fn cancel(
    Approver(operator): Approver,
    State(desk): Door,
    Named(id): Named<OperationId>,
    Perhaps(Nothing {}): Perhaps<Nothing>,
) -> Result<Json<Value>, Problem> {
    let cancelling = desk.gatehouse.engine.cancel_operation(&operator, id).await?;
    tracing::info!(operator = %operator.id, operation = %id, "a cancel was sent");
    Ok(Json(view(&cancelling)))
}

pub(crate) async fn record(desk: &Desk, id: OperationId) -> Result<OperationRecord, Problem> {
    desk.ports().ledger.operation(id).await?.ok_or(Problem::NotFound)
}

/// States by name, in either case, or `all`.
pub(crate) fn states(text: &str) -> Result<Vec<OperationState>, Problem> {
    let state = |name: &str| {
        OperationState::ALL.into_iter().find(|state| state.name().eq_ignore_ascii_case(name))
    };
    match text {
        "all" => Ok(Vec::new()),
        "pending" | "PENDING_APPROVAL" | "pending_approval" => Ok(vec![OperationState::Parked]),
        names => {
            names.split(',').map(|name| state(name).ok_or_else(|| unknown_status(name))).collect()
        }
    }
}

fn unknown_status(name: &str) -> Problem {
    let name = countersign_core::draft::harmless(name);
    Problem::Malformed(format!("`status`: `{name}` is not a state"))
}

/// What an operation's state is called outside.
pub(crate) const fn status(state: OperationState) -> &'static str {
    match state {
        OperationState::Parked => "PENDING_APPROVAL",
        OperationState::Denied
        | OperationState::Approved
        | OperationState::Allowed
        | OperationState::Prepared
        | OperationState::Signed
        | OperationState::Broadcast
        | OperationState::Unknown
        | OperationState::Mined
        | OperationState::Executed
        | OperationState::Reverted
        | OperationState::Rejected
        | OperationState::Expired
        | OperationState::Cancelling
        | OperationState::Cancelled
        | OperationState::Conflict => state.name(),
    }
}

/// The whole life of an operation.
pub(crate) fn view(record: &OperationRecord) -> Value {
    json!({
        "id": record.id,
        "status": status(record.state),
        "state": record.state.name(),
        "agent": record.agent(),
        "wallet": record.wallet(),
        "address": record.intent.address,
        "chain": record.chain(),
        "method": record.intent.method,
        "session": record.intent.declared.session,
        "transaction": record.plan().map(plan),
        "message": record.message(),
        "signature": record.signature,
        "nonce": record.nonce(),
        "hash": record.hash(),
        "code": record.code,
        "reason": record.reason,
        "trace_hash": record.trace,
        "digest": record.digest,
        "gates": record.gates,
        "votes": record.votes,
        "charges": record.charges,
        "kept": record.kept,
        "attempts": record.attempts.iter().map(attempt).collect::<Vec<_>>(),
        "receipt": record.actual,
        "delivery": record.delivery,
        "gateway": record.gateway,
        "created_at": record.created_at,
        "updated_at": record.updated_at,
        "expires_at": record.expires_at,
        "finished_at": record.finished_at,
        "settled_at": record.settled_at,
    })
}

fn attempt(attempt: &Attempt) -> Value {
    let Attempt { number, purpose, made_at, transaction, raw, hash, outcome } = attempt;
    json!({
        "number": number,
        "purpose": purpose,
        "made_at": made_at,
        "nonce": transaction.nonce,
        "transaction": plan(&transaction.plan),
        "raw": raw,
        "hash": hash,
        "outcome": outcome,
    })
}

/// A planned transaction; numbers that JavaScript cannot hold are hex quantities.
fn plan(plan: &TransactionPlan) -> Value {
    let TransactionPlan { chain, kind, to, value, data, gas, fee, access_list, authorizations } =
        plan;
    let fee = match fee {
        FeeBid::Price(price) => json!({"gas_price": format!("{price:#x}")}),
        FeeBid::Dynamic { max_fee, tip } => json!({
            "max_fee_per_gas": format!("{max_fee:#x}"),
            "max_priority_fee_per_gas": format!("{tip:#x}"),
        }),
    };
    json!({
        "chain": chain,
        "type": kind,
        "to": to,
        "value": value,
        "data": data,
        "gas": gas,
        "fee": fee,
        "access_list": access_list,
        "authorizations": authorizations,
    })
}
