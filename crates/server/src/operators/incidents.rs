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
use countersign_engine::port::journal::{IncidentAnswer, IncidentQuery};
use serde::Deserialize;

use super::{
    Door, Problem,
    access::{Approver, Asked, Named, Viewer},
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
    Approver(operator): Approver,
    State(desk): Door,
    Named(id): Named<String>,
    headers: HeaderMap,
    Given(Move { status, note, version }): Given<Move>,
) -> Result<Response, Problem> {
    if status.is_none() && note.is_none() {
        return Err(Problem::Malformed("say `status`, `note` or both".into()));
    }
    if note.as_ref().is_some_and(|note| note.chars().count() > NOTE_MAX) {
        return Err(Problem::Malformed(format!("`note` is longer than {NOTE_MAX} characters")));
    }
    let matched = if_match(&headers)?;
    let is_conditional = matched.is_some();
    let seen = matched.or_else(|| version.map(|version| vec![version]));
    let at = desk.ports().ledger.now().await?;
    let step = IncidentMove { to: status, by: operator.id.to_string(), note, at, seen };
    match desk.ports().journal.change_incident(&id, &step).await? {
        IncidentAnswer::Changed(incident) => {
            tracing::info!(operator = %operator.id, incident = id, status = incident.status.name(), "an incident was looked at");
            Ok(tagged(&incident))
        }
        IncidentAnswer::Refused(MoveRefusal::Version(now)) if is_conditional => {
            Err(Problem::NotAsSeen(now))
        }
        IncidentAnswer::Refused(MoveRefusal::Version(now)) => Err(Problem::OtherVersion(now)),
        IncidentAnswer::Refused(refusal @ MoveRefusal::Illegal { .. }) => {
            Err(Problem::IllegalMove(refusal.to_string()))
        }
        IncidentAnswer::Missing => Err(Problem::NotFound),
    }
}

/// The most tags in one `If-Match`.
const TAGS_MAX: usize = 64;

/// The versions that `If-Match` names (RFC 9110 §13.1.1), as `ETag` showed them; `None` where there is none, or it is `*`:
/// whatever is now. Tags that are none of ours, and weak ones, match nothing.
fn if_match(headers: &HeaderMap) -> Result<Option<Vec<u64>>, Problem> {
    let wrong = || {
        let expected =
            "`If-Match`: expected `*`, or ETags as an incident shows them, with commas between";
        Problem::Malformed(expected.into())
    };
    if !headers.contains_key(header::IF_MATCH) {
        return Ok(None);
    }
    let mut tags = Vec::new();
    // several lines are one list (§5.3)
    for line in headers.get_all(header::IF_MATCH) {
        let line = line.to_str().map_err(|_| wrong())?;
        if line.trim() == "*" {
            return Ok(None);
        }
        tags.extend(strong_tags(line).ok_or_else(wrong)?);
    }
    if tags.len() > TAGS_MAX {
        return Err(wrong());
    }
    Ok(Some(tags.into_iter().filter_map(|tag| tag.parse().ok()).collect()))
}

/// The strong ones of a list of tags (§8.8.3); `None` of what is no list of tags.
fn strong_tags(line: &str) -> Option<Vec<&str>> {
    let mut rest = line;
    let mut strong = Vec::new();
    loop {
        // empty members of a list mean nothing (§5.6.1)
        rest = rest.trim_start_matches([' ', '\t', ',']);
        if rest.is_empty() {
            return Some(strong);
        }
        let (is_weak, quoted) = rest.strip_prefix("W/").map_or((false, rest), |rest| (true, rest));
        let (tag, after) = quoted.strip_prefix('"')?.split_once('"')?;
        if !is_weak {
            strong.push(tag);
        }
        rest = after.trim_start_matches([' ', '\t']);
        if !rest.is_empty() && !rest.starts_with(',') {
            return None;
        }
    }
}

fn tagged(incident: &Incident) -> Response {
    let mut response = Json(incident).into_response();
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{}\"", incident.version)) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_tags_is_read_as_rfc_9110_has_it() {
        let one_of = |versions: &[u64]| Some(Some(versions.to_vec()));
        for (lines, expected) in [
            (&[][..], Some(None)),
            (&["*"], Some(None)),
            (&[" * "], Some(None)),
            (&["\"1\""], one_of(&[1])),
            (&["\"1\", \"2\" ,,\t\"3\","], one_of(&[1, 2, 3])),
            (&["\"1\"", "\"2\""], one_of(&[1, 2])),
            // weak ones and those of others match nothing; a comma may be in a tag
            (&["W/\"1\""], one_of(&[])),
            (&["\"a,b\", W/\"2\", \"4\""], one_of(&[4])),
            (&[""], one_of(&[])),
            (&["1"], None),
            (&["\"1"], None),
            (&["\"1\" \"2\""], None),
            (&["w/\"1\""], None),
            (&["\"1\", *"], None),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(header::IF_MATCH, line.parse().unwrap());
            }
            assert_eq!(if_match(&headers).ok(), expected, "{lines:?}");
        }
        let mut many = HeaderMap::new();
        many.append(header::IF_MATCH, "\"1\",".repeat(TAGS_MAX + 1).parse().unwrap());
        assert!(if_match(&many).is_err());
    }
}
