//! How agents do: all of an app, one, and one version of its policy. Each answer is worked out from recorded decisions; the
//! engine says how many it reads, and that one question waits for the other.

use axum::{Json, extract::State};
use countersign_core::{identity::AgentId, time::Timestamp};
use countersign_engine::shelf::{Evaluations, OfAgent, OfApp, OfVersion};
use serde::Deserialize;

use super::{
    Door, Problem,
    access::{Asked, Named, Viewer},
    body::span,
    traces::ours,
    versions::Which,
};

/// Over which time.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Span {
    from: Option<Timestamp>,
    to: Option<Timestamp>,
}

/// `GET /apps/{appId}/evaluations`: how all agents did, and each, over the last seven days where nothing else is asked.
pub(crate) async fn of_app(
    _: Viewer,
    State(desk): Door,
    Named(app): Named<String>,
    Asked(Span { from, to }): Asked<Span>,
) -> Result<Json<Evaluations<OfApp>>, Problem> {
    ours(&desk, &app)?;
    let found = desk.gatehouse.engine.evaluations_of_all(span(from, to)?).await?;
    Ok(Json(found))
}

/// `GET /api/agents/{agentId}/evaluations`: how the agent did under each policy, over the last seven days where nothing
/// else is asked.
pub(crate) async fn of_agent(
    _: Viewer,
    State(desk): Door,
    Named(agent): Named<AgentId>,
    Asked(Span { from, to }): Asked<Span>,
) -> Result<Json<Evaluations<OfAgent>>, Problem> {
    let found = desk.gatehouse.engine.evaluations(&agent, span(from, to)?).await?;
    Ok(Json(found))
}

/// `GET /api/agents/{agentId}/policies/{version}/evaluation`: how the agent did under one version, over the last seven
/// days that it was in force where nothing else is asked.
pub(crate) async fn of_version(
    _: Viewer,
    State(desk): Door,
    Named(which): Named<Which>,
    Asked(Span { from, to }): Asked<Span>,
) -> Result<Json<Evaluations<OfVersion>>, Problem> {
    let (agent, number) = which.numbered()?;
    let engine = &desk.gatehouse.engine;
    Ok(Json(engine.evaluation_of_version((&agent, number), span(from, to)?).await?))
}
