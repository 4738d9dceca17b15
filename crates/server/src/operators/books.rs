//! The operator's levers on the books, and the state of the whole.

use std::{collections::BTreeMap, sync::Arc};

use axum::{Json, extract::State};
use countersign_core::{
    fact::Freeze,
    freeze::{FreezeOrder, Freezer},
    identity::{AgentId, ChainId, WalletId},
    operation::OperationState,
    text::Remark,
    trace::IncidentStatus,
};
use countersign_engine::port::journal::IncidentQuery;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Desk, Door, Problem,
    access::{Asked, Nothing, Stopper, Viewer},
    body::Given,
};

/// The most open operations that are counted.
const COUNT_MAX: u32 = 1000;

/// Which switch: of an agent, a wallet or a chain, everything but revocations (nothing named), or
/// everything without exception (`all`).
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Switch {
    agent: Option<AgentId>,
    wallet: Option<WalletId>,
    chain: Option<ChainId>,
    #[serde(default)]
    all: bool,
}

impl Switch {
    /// Only what exists can be frozen: a typing error must not look like a stop.
    fn freeze(self, desk: &Desk) -> Result<Freeze, Problem> {
        let setup = desk.setup();
        let known = |is: bool, freeze| if is { Ok(freeze) } else { Err(Problem::NotFound) };
        match self {
            Self { agent: None, wallet: None, chain: None, all: true } => Ok(Freeze::All),
            Self { agent: None, wallet: None, chain: None, all: false } => Ok(Freeze::Global),
            Self { agent: Some(id), wallet: None, chain: None, all: false } => {
                known(setup.agents.contains_key(&id), Freeze::Agent(id))
            }
            Self { agent: None, wallet: Some(id), chain: None, all: false } => {
                known(setup.wallets.contains_key(&id), Freeze::Wallet(id))
            }
            Self { agent: None, wallet: None, chain: Some(id), all: false } => {
                known(setup.chains.contains_key(&id), Freeze::Chain(id))
            }
            Self { .. } => Err(Problem::Malformed(
                "name one of `agent`, `wallet`, `chain` and `all`, or none".into(),
            )),
        }
    }
}

/// A switch that is pressed, and why.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pressed {
    agent: Option<AgentId>,
    wallet: Option<WalletId>,
    chain: Option<ChainId>,
    #[serde(default)]
    all: bool,
    reason: Option<String>,
}

/// `POST /freeze`: in force when it returns.
pub(crate) async fn freeze(
    Stopper(operator): Stopper,
    State(desk): Door,
    Given(Pressed { agent, wallet, chain, all, reason }): Given<Pressed>,
) -> Result<Json<Value>, Problem> {
    let freeze = Switch { agent, wallet, chain, all }.freeze(&desk)?;
    let reason = reason.map(|text| Remark::parse(&text)).transpose();
    let reason = reason.map_err(|error| Problem::Malformed(format!("`reason` {error}")))?;
    let by = Freezer::Operator(operator.id.clone());
    let order = FreezeOrder { freeze, by, reason };
    desk.ports().ledger.freeze(&order).await?;
    tracing::warn!(operator = %operator.id, freeze = ?order.freeze, "a freeze is in force");
    freezes(&desk).await
}

/// `POST /unfreeze`
pub(crate) async fn unfreeze(
    Stopper(operator): Stopper,
    State(desk): Door,
    Given(switch): Given<Switch>,
) -> Result<Json<Value>, Problem> {
    let freeze = switch.freeze(&desk)?;
    if !desk.ports().ledger.unfreeze(&freeze).await? {
        return Err(Problem::NotInForce);
    }
    tracing::warn!(operator = %operator.id, ?freeze, "a freeze was lifted");
    freezes(&desk).await
}

async fn freezes(desk: &Desk) -> Result<Json<Value>, Problem> {
    Ok(Json(json!({"freezes": desk.ports().ledger.standing_freezes().await?})))
}

/// `GET /overview`
pub(crate) async fn overview(
    _: Viewer,
    State(desk): Door,
    _: Asked<Nothing>,
) -> Result<Json<Value>, Problem> {
    overview_of(&desk).await.map(Json)
}

pub(crate) async fn overview_of(desk: &Arc<Desk>) -> Result<Value, Problem> {
    let setup = desk.setup();
    let ports = desk.ports();
    let open = IncidentQuery {
        status: Some(IncidentStatus::Open),
        limit: COUNT_MAX,
        ..IncidentQuery::default()
    };
    let incidents = ports.journal.incidents(&open).await?.items;
    let census = ports.ledger.census(&unfinished()).await?;
    let parked = census.get(&OperationState::Parked).copied().unwrap_or_default();
    let operations: BTreeMap<_, _> =
        census.iter().map(|(state, of)| (state.name(), of.count)).collect();
    let status = ports.ledger.describe().await?;
    Ok(json!({
        "app": setup.app,
        "gateway": ports.gateway,
        "pending": parked.count,
        "pending_oldest_at": parked.oldest,
        "operations": operations,
        "incidents_open": incidents.len(),
        "agents": setup.agents.len(),
        "wallets": setup.wallets.len(),
        "chains": setup.chains.values().map(|chain| json!({"id": chain.id, "name": chain.name, "native": chain.native.symbol, "explorer": chain.explorer})).collect::<Vec<_>>(),
        "freezes": ports.ledger.standing_freezes().await?,
        "durability": status.durability,
        "sealed": status.sealed,
    }))
}

/// The states in which something is still to happen.
pub(crate) fn unfinished() -> Vec<OperationState> {
    let open = |state: &OperationState| match state {
        OperationState::Parked
        | OperationState::Approved
        | OperationState::Allowed
        | OperationState::Prepared
        | OperationState::Signed
        | OperationState::Broadcast
        | OperationState::Unknown
        | OperationState::Mined
        | OperationState::Cancelling
        | OperationState::Conflict => true,
        OperationState::Denied
        | OperationState::Executed
        | OperationState::Reverted
        | OperationState::Rejected
        | OperationState::Expired
        | OperationState::Cancelled => false,
    };
    OperationState::ALL.into_iter().filter(open).collect()
}
