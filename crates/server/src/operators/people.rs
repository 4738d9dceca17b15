//! Agents, wallets, budgets and policies, as the configuration in force has them.

use std::sync::Arc;

use axum::{Json, extract::State};
use countersign_core::{
    fact::Freeze,
    identity::AgentId,
    pact::{PactStanding, PactVerb},
};
use countersign_engine::{
    GrantView,
    setup::{AgentSetup, Role, Setup, WalletSetup},
};
use countersign_policy::{PactState, Policy};
use futures_util::future::join_all;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::agents::budget_line;

use super::{
    Door, Problem,
    access::{Asked, Named, Nothing, Operator, Viewer},
    approvals::{No, bounded},
    body::{Given, Listed, Perhaps, whole},
};

/// `GET /agents`
pub(crate) async fn agents(_: Viewer, State(desk): Door, _: Asked<Nothing>) -> Listed<Value> {
    let setup = desk.setup();
    let freezes = desk.ports().ledger.freezes().await?;
    Ok(whole(setup.agents.values().map(|agent| agent_view(agent, &freezes)).collect()))
}

fn agent_view(agent: &AgentSetup, freezes: &[Freeze]) -> Value {
    let stops = |freeze: &Freeze| match freeze {
        Freeze::Global | Freeze::All => true,
        Freeze::Agent(frozen) => *frozen == agent.id,
        Freeze::Wallet(_) | Freeze::Chain(_) => false,
    };
    json!({
        "id": agent.id,
        "wallets": agent.wallets,
        "policy": policy_ref(&agent.grant),
        "owner": agent.owner,
        "role": agent.role,
        "duplicate_window": agent.duplicate_window,
        "hold": agent.hold,
        "max_pending": agent.parked_max,
        "frozen": freezes.iter().any(stops),
    })
}

fn policy_ref(policy: &Policy) -> Value {
    json!({"name": policy.name(), "id": policy.id()})
}

/// `GET /wallets`: with balance and count on each chain where its node answers.
pub(crate) async fn wallets(_: Viewer, State(desk): Door, _: Asked<Nothing>) -> Listed<Value> {
    let setup = desk.setup();
    let views = setup.wallets.values().map(|wallet| wallet_view(wallet, &setup));
    Ok(whole(join_all(views).await))
}

async fn wallet_view(wallet: &WalletSetup, setup: &Arc<Setup>) -> Value {
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

/// `GET /api/agents/{agentId}/policies`: the versions in force, the grant first, with where it stands.
pub(crate) async fn policies(
    _: Viewer,
    State(desk): Door,
    Named(agent): Named<AgentId>,
) -> Result<Json<super::body::Listing<Value>>, Problem> {
    let setup = desk.setup();
    let view = desk.gatehouse.engine.grant(&agent).await?.ok_or(Problem::NotFound)?;
    let grant = std::iter::once(grant_view(&view));
    let guards = setup.guards.iter().map(|guard| policy_view(guard, "guard"));
    Ok(whole(grant.chain(guards).collect()))
}

/// Which version of whose grant.
#[derive(Debug, Deserialize)]
pub(crate) struct Which {
    agent: AgentId,
    grant: String,
}

/// What an operator may write beside a word on a pact.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Remark {
    note: Option<String>,
}

/// `POST /api/agents/{agentId}/policies/{policyId}/approve`: the pact begins.
pub(crate) async fn approve(
    operator: Operator,
    desk: Door,
    Named(which): Named<Which>,
    Perhaps(Remark { note }): Perhaps<Remark>,
) -> Result<Json<Value>, Problem> {
    say(&operator, &desk, which, (PactVerb::Approve, note)).await
}

/// `POST /api/agents/{agentId}/policies/{policyId}/reject`: the pact never begins.
pub(crate) async fn reject(
    operator: Operator,
    desk: Door,
    Named(which): Named<Which>,
    Given(No { reason }): Given<No>,
) -> Result<Json<Value>, Problem> {
    say(&operator, &desk, which, (PactVerb::Reject, Some(reason))).await
}

/// `POST /api/agents/{agentId}/policies/{policyId}/revoke`: over when it returns, on every gateway.
pub(crate) async fn revoke(
    operator: Operator,
    desk: Door,
    Named(which): Named<Which>,
    Given(No { reason }): Given<No>,
) -> Result<Json<Value>, Problem> {
    say(&operator, &desk, which, (PactVerb::Revoke, Some(reason))).await
}

async fn say(
    operator: &Operator,
    State(desk): &Door,
    Which { agent, grant }: Which,
    (verb, text): (PactVerb, Option<String>),
) -> Result<Json<Value>, Problem> {
    let operator = operator.may(Role::Policy)?;
    let name = if verb == PactVerb::Approve { "note" } else { "reason" };
    let text = text.map(|text| bounded(name, text)).transpose()?;
    // what is no version is certainly not the agent's
    let grant = grant.parse().map_err(|_| Problem::NotFound)?;
    let engine = &desk.gatehouse.engine;
    let view = engine.say_to_grant(operator, (&agent, grant), (verb, text)).await?;
    tracing::warn!(operator = %operator.id, %agent, %grant, verb = verb.name(), state = %view.state, "a pact was spoken to");
    Ok(Json(grant_view(&view)))
}

fn grant_view(GrantView { grant, state, standing }: &GrantView) -> Value {
    let mut view = policy_view(grant, "grant");
    let words = match standing {
        None => json!({}),
        Some(PactStanding::Approved { approved }) => json!({"approved": approved}),
        Some(PactStanding::Rejected { rejected }) => json!({"rejected": rejected}),
        Some(PactStanding::Revoked { approved, revoked }) => {
            json!({"approved": approved, "revoked": revoked})
        }
    };
    if let Some(members) = view.as_object_mut() {
        members.insert("state".into(), json!(state));
        members.insert("in_force".into(), (*state == PactState::Active).into());
        for word in ["approved", "rejected", "revoked"] {
            members.insert(word.into(), words.get(word).cloned().unwrap_or_default());
        }
    }
    view
}

fn policy_view(policy: &Policy, kind: &str) -> Value {
    let warnings: Vec<String> = policy.warnings().iter().map(ToString::to_string).collect();
    json!({
        "name": policy.name(),
        "id": policy.id(),
        "kind": kind,
        "in_force": true,
        "source": policy.source(),
        "warnings": warnings,
    })
}
