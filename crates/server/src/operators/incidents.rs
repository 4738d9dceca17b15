//! Incidents: what a person must know.

use axum::{Json, extract::State};
use countersign_core::trace::{Incident, IncidentStatus};
use countersign_engine::{port::journal::IncidentQuery, setup::Role};
use serde::Deserialize;

use super::{
    Door, Problem,
    access::{Asked, Named, Operator, Viewer},
    body::{Given, Listed, limit, listed},
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    status: Option<IncidentStatus>,
    limit: Option<u32>,
    cursor: Option<String>,
}

/// `GET /incidents`
pub(crate) async fn list(
    _: Viewer,
    State(desk): Door,
    Asked(Which { status, limit: most, cursor }): Asked<Which>,
) -> Listed<Incident> {
    let query = IncidentQuery { status, limit: limit(most)?, cursor };
    Ok(listed(desk.ports().journal.incidents(&query).await?))
}

/// Where an incident is moved to.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Move {
    status: IncidentStatus,
}

/// `PATCH /incidents/{id}`
pub(crate) async fn change(
    operator: Operator,
    State(desk): Door,
    Named(id): Named<String>,
    Given(Move { status }): Given<Move>,
) -> Result<Json<Incident>, Problem> {
    operator.may(Role::Approve)?;
    let now = desk.ports().ledger.now().await?;
    let changed = desk.ports().journal.change_incident(&id, status, now).await?;
    changed.map(Json).ok_or(Problem::NotFound)
}
