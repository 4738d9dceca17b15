//! What a text would say to one request, before it is a version. Nothing is signed, reserved or written.

use axum::{Json, extract::State};
use countersign_core::{
    bundle::BundleHandle,
    identity::{AgentId, ChainId, TraceHash},
};
use countersign_engine::{
    setup::Setup,
    shelf::{ExplainError, Explained, Question, ShelfError},
    submission::Submission,
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    agents::Pasted,
    answer::{Fault, UNAVAILABLE, settle},
};

use super::{
    Desk, Door, Problem,
    access::{Named, Viewer},
    body::Given,
    versions::{invalid_view, known},
};

/// A text, and what it is asked about: a request or a recorded decision.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    text: String,
    format: Option<String>,
    request: Option<String>,
    chain: Option<String>,
    trace: Option<TraceHash>,
}

/// `POST /api/agents/{agentId}/policies/explain`: how a text would judge a request or a recorded decision, beside what the
/// version in force says. That it is no policy is an answer as well.
pub(crate) async fn explain(
    _: Viewer,
    State(desk): Door,
    Named(agent): Named<AgentId>,
    Given(Case { text, format, request, chain, trace }): Given<Case>,
) -> Result<Json<Value>, Problem> {
    let format = known(format)?;
    let setup = desk.setup();
    if !setup.agents.contains_key(&agent) {
        return Err(Problem::NotFound);
    }
    let question = match (request, trace) {
        (Some(request), None) => {
            let chain = chain_named(chain.as_deref(), &setup)?;
            let pasted = Pasted { text: &request, agent: &agent, chain };
            Question::Request(Box::new(submission(&desk, &setup, pasted)?))
        }
        (None, Some(trace)) => Question::Decision(trace),
        (Some(_), Some(_)) | (None, None) => {
            return Err(Problem::Malformed("name one of `request` and `trace`".into()));
        }
    };
    match desk.gatehouse.engine.explain(&agent, (&text, format), question).await {
        Ok(explained) => Ok(Json(view(&explained))),
        Err(ExplainError::Shelf(ShelfError::Invalid(errors))) => Ok(Json(invalid_view(&errors))),
        Err(ExplainError::Shelf(error)) => Err(error.into()),
        Err(error @ ExplainError::NotAgain) => Err(Problem::Malformed(format!("`trace`: {error}"))),
        Err(ExplainError::Answered(answer)) => match settle(*answer) {
            // a simulation signs nothing
            Ok(_) => Err(Problem::Crash),
            Err(fault) => Err(refused(fault)),
        },
    }
}

fn submission(desk: &Desk, setup: &Setup, pasted: Pasted<'_>) -> Result<Submission, Problem> {
    let clock = &desk.ports().clock;
    let handle = BundleHandle::from_random([clock.random(), clock.random()]);
    pasted.submission(setup, (handle, clock.monotonic())).map_err(refused)
}

/// What the agent would be told before anything is judged.
fn refused(fault: Fault) -> Problem {
    let Fault { code, message, data: _ } = fault;
    if code == UNAVAILABLE {
        Problem::Unavailable(message)
    } else if message.starts_with("`request`: ") {
        Problem::malformed(&message)
    } else {
        Problem::malformed(&format!("`request`: {message}"))
    }
}

/// The chain of an id or a name, or the only one.
fn chain_named(named: Option<&str>, setup: &Setup) -> Result<ChainId, Problem> {
    let mut chains = setup.chains.values();
    let found = match (named, chains.next(), chains.next()) {
        (None, Some(only), None) => Some(only),
        (None, _, _) => None,
        (Some(named), _, _) => {
            setup.chains.values().find(|chain| chain.name == named || chain.id.to_string() == named)
        }
    };
    let unserved = || Problem::Malformed("`chain`: name one that is served, by id or name".into());
    found.map(|chain| chain.id).ok_or_else(unserved)
}

fn view(explained: &Explained) -> Value {
    let Explained { version, in_force, as_approved, recorded } = explained;
    json!({
        "valid": true,
        "diagnostics": [],
        "version": version,
        "in_force": in_force,
        "as_approved": as_approved,
        "recorded": recorded,
    })
}
