//! Agents, wallets and budgets, as the configuration in force has them.

use std::sync::Arc;

use axum::extract::State;
use countersign_core::{fact::Freeze, freeze::StandingFreeze, identity::AgentId};
use countersign_engine::setup::{AgentSetup, Setup, WalletSetup};
use countersign_policy::Policy;
use futures_util::future::join_all;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::agents::budget_line;

use super::{
    Door, Problem,
    access::{Asked, Nothing, Viewer},
    body::{Listed, whole},
};

/// `GET /agents`
pub(crate) async fn agents(_: Viewer, State(desk): Door, _: Asked<Nothing>) -> Listed<Value> {
    let setup = desk.setup();
    let freezes = desk.ports().ledger.standing_freezes().await?;
    Ok(whole(setup.agents.values().map(|agent| agent_view(agent, &freezes)).collect()))
}

fn agent_view(agent: &AgentSetup, freezes: &[StandingFreeze]) -> Value {
    let stops = |freeze: &&StandingFreeze| match &freeze.order.freeze {
        Freeze::Global | Freeze::All => true,
        Freeze::Agent(frozen) => *frozen == agent.id,
        Freeze::Wallet(_) | Freeze::Chain(_) => false,
    };
    let stopping: Vec<&StandingFreeze> = freezes.iter().filter(stops).collect();
    json!({
        "id": agent.id,
        "wallets": agent.wallets,
        "policy": policy_ref(&agent.grant),
        "owner": agent.owner,
        "role": agent.role,
        "duplicate_window": agent.duplicate_window,
        "hold": agent.hold,
        "max_pending": agent.parked_max,
        "frozen": !stopping.is_empty(),
        "freezes": stopping,
    })
}

fn policy_ref(policy: &Policy) -> Value {
    json!({"name": policy.name(), "id": policy.id()})
}

/// `GET /wallets`: with balance and count on each chain where its node answers.
pub(crate) async fn wallets(_: Viewer, State(desk): Door, _: Asked<Nothing>) -> Listed<Value> {
    let setup = desk.setup();
    let freezes = desk.ports().ledger.standing_freezes().await?;
    let views = setup.wallets.values().map(|wallet| wallet_view(wallet, &setup, &freezes));
    Ok(whole(join_all(views).await))
}

async fn wallet_view(
    wallet: &WalletSetup,
    setup: &Arc<Setup>,
    freezes: &[StandingFreeze],
) -> Value {
    let stops = |freeze: &&StandingFreeze| match &freeze.order.freeze {
        Freeze::Global | Freeze::All => true,
        Freeze::Wallet(frozen) => *frozen == wallet.id,
        Freeze::Agent(_) | Freeze::Chain(_) => false,
    };
    let accounts = setup.chains.values().map(|chain| async {
        let account = chain.port.account(wallet.address).await.ok();
        json!({
            "chain": chain.id,
            "name": chain.name,
            "balance_wei": account.map(|account| account.balance.to_string()),
            "transactions": account.map(|account| account.nonce),
        })
    });
    let holds = |agent: &&AgentSetup| agent.wallets.contains(&wallet.id);
    json!({
        "id": wallet.id,
        "address": wallet.address,
        "external": wallet.signer.is_external(),
        "max_in_flight": wallet.in_flight_max,
        "agents": setup.agents.values().filter(holds).map(|agent| &agent.id).collect::<Vec<_>>(),
        "chains": join_all(accounts).await,
        "freezes": freezes.iter().filter(stops).collect::<Vec<_>>(),
    })
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Whose {
    agent: Option<AgentId>,
}

/// `GET /budget?agent=`: of one agent, or of all.
pub(crate) async fn budget(
    _: Viewer,
    State(desk): Door,
    Asked(Whose { agent }): Asked<Whose>,
) -> Listed<Value> {
    let setup = desk.setup();
    let agents: Vec<AgentId> = match agent {
        Some(agent) if setup.agents.contains_key(&agent) => vec![agent],
        Some(_) => return Err(Problem::NotFound),
        None => setup.agents.keys().cloned().collect(),
    };
    let mut items = Vec::new();
    for agent in agents {
        for line in desk.gatehouse.engine.budget(&agent).await? {
            items.push(of_agent(budget_line(line), &agent));
        }
    }
    Ok(whole(items))
}

fn of_agent(mut line: Value, agent: &AgentId) -> Value {
    if let Some(members) = line.as_object_mut() {
        members.insert("agent".into(), agent.as_str().into());
    }
    line
}
