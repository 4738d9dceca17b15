//! Incidents: what a person must know.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse as _, Response},
};
use countersign_core::{
    identity::AgentId,
    incident::{Incident, IncidentMove, IncidentStatus, MoveRefusal, Severity},
    time::Timestamp,
};
use countersign_engine::{
    port::journal::{IncidentAnswer, IncidentQuery},
    setup::Role,
};
use serde::Deserialize;

use super::{
    Door, Problem,
    access::{Asked, Named, Operator, Viewer},
    body::{Given, Listed, limit, listed, span},
};

/// Characters of a note at most.
const NOTE_MAX: usize = 4096;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    status: Option<IncidentStatus>,
    severity: Option<Severity>,
    agent: Option<AgentId>,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    limit: Option<u32>,
    cursor: Option<String>,
}

/// `GET /incidents`
pub(crate) async fn list(
    _: Viewer,
    State(desk): Door,
    Asked(which): Asked<Which>,
) -> Listed<Incident> {
    let Which { status, severity, agent, from, to, limit: most, cursor } = which;
    let (limit, (from, to)) = (limit(most)?, span(from, to)?);
    let query = IncidentQuery { status, severity, agent, from, to, limit, cursor };
    Ok(listed(desk.ports().journal.incidents(&query).await?))
}

/// `GET /incidents/{id}`
pub(crate) async fn show(
    _: Viewer,
    State(desk): Door,
    Named(id): Named<String>,
) -> Result<Response, Problem> {
    let found = desk.ports().journal.incident(&id).await?;
    found.map(|incident| tagged(&incident)).ok_or(Problem::NotFound)
}

/// What is done with an incident: at least one of `status` and `note`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Move {
    status: Option<IncidentStatus>,
    note: Option<String>,
    version: Option<u64>,
}

/// `PATCH /incidents/{id}`: with `If-Match`, only if it is still as it was seen.
pub(crate) async fn change(
    operator: Operator,
    State(desk): Door,
    Named(id): Named<String>,
    headers: HeaderMap,
    Given(Move { status, note, version }): Given<Move>,
) -> Result<Response, Problem> {
    let operator = operator.may(Role::Approve)?;
    if status.is_none() && note.is_none() {
        return Err(Problem::Malformed("say `status`, `note` or both".into()));
    }
    if note.as_ref().is_some_and(|note| note.chars().count() > NOTE_MAX) {
        return Err(Problem::Malformed(format!("`note` is longer than {NOTE_MAX} characters")));
    }
    let matched = if_match(&headers)?;
    let at = desk.ports().ledger.now().await?;
    let seen = matched.or(version);
    let step = IncidentMove { to: status, by: operator.id.to_string(), note, at, seen };
    match desk.ports().journal.change_incident(&id, &step).await? {
        IncidentAnswer::Changed(incident) => {
            tracing::info!(operator = %operator.id, incident = id, status = incident.status.name(), "an incident was looked at");
            Ok(tagged(&incident))
        }
        IncidentAnswer::Refused(MoveRefusal::Version(now)) if matched.is_some() => {
            Err(Problem::NotAsSeen(now))
        }
        IncidentAnswer::Refused(MoveRefusal::Version(now)) => Err(Problem::OtherVersion(now)),
        IncidentAnswer::Refused(refusal @ MoveRefusal::Illegal { .. }) => {
            Err(Problem::IllegalMove(refusal.to_string()))
        }
        IncidentAnswer::Missing => Err(Problem::NotFound),
    }
}

/// The version in `If-Match`, as `ETag` showed it; `*` is any.
fn if_match(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let mut values = headers.get_all(header::IF_MATCH).iter();
    let (value, None) = (values.next(), values.next()) else {
        return Err(Problem::Malformed("one `If-Match` is enough".into()));
    };
    let Some(value) = value else { return Ok(None) };
    let text = value.to_str().map(str::trim).unwrap_or_default();
    if text == "*" {
        return Ok(None);
    }
    let number = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    let wrong = || Problem::Malformed("`If-Match`: expected an `ETag` of an incident".into());
    number.and_then(|text| text.parse().ok()).map(Some).ok_or_else(wrong)
}

fn tagged(incident: &Incident) -> Response {
    let mut response = Json(incident).into_response();
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{}\"", incident.version)) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}
