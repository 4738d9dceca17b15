//! Policies of agents: what is in force, the versions that there were, and what operators make of them.
//!
//! A version is named by its number. A pact is spoken to by its policy id.

use axum::{Json, extract::State, http::StatusCode};
use countersign_core::{
    identity::AgentId,
    pact::{PactStanding, PactVerb},
    shelf::{PolicySignature, Version, VersionState},
};
use countersign_engine::{
    GrantView,
    port::shelf::VERSIONS_MAX,
    setup::OperatorSetup,
    shelf::{Checked, Proposal, ShelfError, Trial, Verb},
};
use countersign_policy::{Format, PactState, Policy, PolicyErrors};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Desk, Door, Problem,
    access::{Asked, Editor, Named, Viewer},
    approvals::{No, bounded},
    body::{Given, Listing, Perhaps, listing},
    problem::diagnostic,
};

/// How many versions a page has where nothing else is asked.
const PAGE: u32 = 20;

/// Which page of versions.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Page {
    limit: Option<u32>,
    cursor: Option<String>,
}

/// `GET /api/agents/{agentId}/policies`: on the first page the policies in force, the grant first, with where it stands;
/// then the other versions of the grant, newest first.
pub(crate) async fn list(
    _: Viewer,
    State(desk): Door,
    Named(agent): Named<AgentId>,
    Asked(Page { limit, cursor }): Asked<Page>,
) -> Result<Json<Listing<Value>>, Problem> {
    let limit = match limit {
        None => PAGE,
        Some(limit) if (1..=VERSIONS_MAX).contains(&limit) => limit,
        Some(_) => {
            return Err(Problem::Malformed(format!("`limit`: must be from 1 to {VERSIONS_MAX}")));
        }
    };
    let wrong = |_| Problem::Malformed("`cursor`: is not one of this list".into());
    let below = cursor.map(|cursor| cursor.parse::<u64>().map_err(wrong)).transpose()?;
    let in_force = match below {
        None => in_force(&desk, &agent).await?,
        Some(_) if desk.setup().agents.contains_key(&agent) => Vec::new(),
        Some(_) => return Err(Problem::NotFound),
    };
    let versions = desk.ports().shelf.versions(&agent, below, limit).await?;
    let is_full = versions.len() >= usize::try_from(limit).unwrap_or(usize::MAX);
    let last = versions.last().map(|version| version.number);
    let next = last.filter(|number| is_full && *number > 1).map(|number| number.to_string());
    let others = versions.iter().filter(|version| version.state != VersionState::Active);
    Ok(listing(in_force.into_iter().chain(others.map(version_view)).collect(), next))
}

/// The grant, and the guards.
async fn in_force(desk: &Desk, agent: &AgentId) -> Result<Vec<Value>, Problem> {
    let setup = desk.setup();
    let view = desk.gatehouse.engine.grant(agent).await?.ok_or(Problem::NotFound)?;
    let mut grant = grant_view(&view);
    let shelf = setup.agents.get(agent).map(|agent| &agent.shelf);
    if let (Some(members), Some(shelf)) = (grant.as_object_mut(), shelf) {
        let file = shelf.file.as_ref().map_or_else(|| view.grant.id(), Policy::id);
        members.insert("version".into(), json!(shelf.version));
        members.insert("file".into(), json!(file));
        members.insert("from".into(), json!(if file == view.grant.id() { "file" } else { "api" }));
    }
    let guards = setup.guards.iter().map(|guard| policy_view(guard, "guard"));
    Ok(std::iter::once(grant).chain(guards).collect())
}

/// Which version of whose policy: its number; of a pact, its policy id.
#[derive(Debug, Deserialize)]
pub(crate) struct Which {
    agent: AgentId,
    version: String,
}

impl Which {
    fn number(&self) -> Option<u64> {
        self.version.parse().ok()
    }

    pub(super) fn numbered(self) -> Result<(AgentId, u64), Problem> {
        let number = self.number().ok_or(Problem::NotFound)?;
        Ok((self.agent, number))
    }
}

/// `GET /api/agents/{agentId}/policies/{version}`: with its text, and what a shadow would have said since it is there.
pub(crate) async fn show(
    _: Viewer,
    State(desk): Door,
    Named(which): Named<Which>,
) -> Result<Json<Value>, Problem> {
    let (agent, number) = which.numbered()?;
    let shelf = &desk.ports().shelf;
    let version = shelf.version(&agent, number).await?.ok_or(Problem::NotFound)?;
    let mut view = whole_view(&desk, &version).await?;
    let run = desk.gatehouse.engine.shadow_run(&version).await?;
    if let Some(members) = view.as_object_mut() {
        members.insert("shadow_run".into(), json!(run));
    }
    Ok(Json(view))
}

/// A new version, as an operator sends it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Draft {
    text: String,
    format: Option<String>,
    note: Option<String>,
    #[serde(default)]
    shadow: bool,
    signed: Option<PolicySignature>,
}

/// `POST /api/agents/{agentId}/policies`
pub(crate) async fn propose(
    Editor(operator): Editor,
    State(desk): Door,
    Named(agent): Named<AgentId>,
    Given(Draft { text, format, note, shadow, signed }): Given<Draft>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let format = known(format)?;
    let note = note.map(|note| bounded("note", note)).transpose()?;
    let proposal = Proposal { text: text.into(), format, note, shadow, signed };
    let version = desk.gatehouse.engine.propose(&operator, &agent, &proposal).await?;
    proposed(&desk, &operator, &version).await
}

pub(super) fn known(format: Option<String>) -> Result<Option<Format>, Problem> {
    let format = format.map(|format| format.parse::<Format>());
    format.transpose().map_err(|e| Problem::malformed(&format!("`format`: {e}")))
}

/// A text that is only looked at.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Attempt {
    text: String,
    format: Option<String>,
    #[serde(default)]
    back_test: bool,
}

/// `POST /api/agents/{agentId}/policies/check`: what a text would be and do as the next version. That it is none is an
/// answer as well, and not the caller's mistake: it is asked while somebody types.
pub(crate) async fn check(
    _: Editor,
    State(desk): Door,
    Named(agent): Named<AgentId>,
    Given(Attempt { text, format, back_test }): Given<Attempt>,
) -> Result<Json<Value>, Problem> {
    let trial = Trial { text: text.into(), format: known(format)?, back_test };
    match desk.gatehouse.engine.check(&agent, &trial).await {
        Ok(checked) => Ok(Json(checked_view(&checked))),
        Err(ShelfError::Invalid(errors)) => Ok(Json(invalid_view(&errors))),
        Err(error) => Err(error.into()),
    }
}

/// What is said of a text that is no policy.
pub(super) fn invalid_view(errors: &PolicyErrors) -> Value {
    let diagnostics: Vec<Value> = errors.items.iter().map(diagnostic).collect();
    json!({"valid": false, "diagnostics": diagnostics})
}

fn checked_view(checked: &Checked) -> Value {
    let Checked { policy, name, base, class, changes, tests, back_test, warnings, .. } = checked;
    let Checked { waits_for, allows_too_much, falls, needs_signature, .. } = checked;
    let warnings: Vec<Value> = warnings.iter().map(diagnostic).collect();
    json!({
        "valid": true,
        "diagnostics": [],
        "warnings": warnings,
        "id": policy,
        "name": name,
        "base": base,
        "class": class,
        "changes": changes,
        "tests": tests,
        "back_test": back_test,
        "waits_for": waits_for,
        "allows_too_much": allows_too_much,
        "falls": falls,
        "needs_signature": needs_signature,
    })
}

/// `POST /api/agents/{agentId}/policies/{version}/rollback`: the same text again, as a new version.
pub(crate) async fn roll_back(
    Editor(operator): Editor,
    State(desk): Door,
    Named(which): Named<Which>,
    Perhaps(Again { note, signed }): Perhaps<Again>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let note = note.map(|note| bounded("note", note)).transpose()?;
    let (agent, number) = which.numbered()?;
    let engine = &desk.gatehouse.engine;
    let version = engine.roll_back(&operator, (&agent, number), (note, signed)).await?;
    proposed(&desk, &operator, &version).await
}

async fn proposed(
    desk: &Desk,
    operator: &OperatorSetup,
    version: &Version,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let Version { agent, number, class, .. } = version;
    tracing::info!(operator = %operator.id, %agent, number, %class, "a version of a policy was proposed");
    Ok((StatusCode::CREATED, Json(whole_view(desk, version).await?)))
}

/// What comes with an older text; where keys are pinned it is signed again.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Again {
    note: Option<String>,
    signed: Option<PolicySignature>,
}

/// What an operator may write beside a word.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Remark {
    note: Option<String>,
}

/// `POST /api/agents/{agentId}/policies/{version}/activate`: in force at once where it only narrows, else it waits.
pub(crate) async fn activate(
    Editor(operator): Editor,
    State(desk): Door,
    Named(which): Named<Which>,
    Perhaps(Remark { note }): Perhaps<Remark>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let note = note.map(|note| bounded("note", note)).transpose()?;
    change(&operator, &desk, (which, Verb::Activate { note })).await
}

/// A yes: to a version with the digest that was looked at, to a pact without.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Yes {
    digest: Option<String>,
    note: Option<String>,
}

/// `POST /api/agents/{agentId}/policies/{version}/approve`: a version may be loosened, or a pact begins.
pub(crate) async fn approve(
    Editor(operator): Editor,
    desk: Door,
    Named(which): Named<Which>,
    Perhaps(Yes { digest, note }): Perhaps<Yes>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let note = note.map(|note| bounded("note", note)).transpose()?;
    if which.number().is_none() {
        return say(&operator, &desk, which, (PactVerb::Approve, note)).await;
    }
    let digest = digest.and_then(|digest| digest.parse().ok());
    let wrong = || Problem::Malformed("`digest`: the version's `digest` is needed".into());
    let digest = digest.ok_or_else(wrong)?;
    change(&operator, &desk, (which, Verb::Approve { digest, note })).await
}

/// `POST /api/agents/{agentId}/policies/{version}/reject`: a version never comes into force, or a pact never begins.
pub(crate) async fn reject(
    Editor(operator): Editor,
    desk: Door,
    Named(which): Named<Which>,
    Given(No { reason }): Given<No>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let reason = bounded("reason", reason)?;
    if which.number().is_none() {
        return say(&operator, &desk, which, (PactVerb::Reject, Some(reason))).await;
    }
    change(&operator, &desk, (which, Verb::Reject { reason })).await
}

/// `POST /api/agents/{agentId}/policies/{version}/withdraw`: the proposer's own no.
pub(crate) async fn withdraw(
    Editor(operator): Editor,
    State(desk): Door,
    Named(which): Named<Which>,
    Perhaps(Remark { note }): Perhaps<Remark>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let reason = note.map(|note| bounded("note", note)).transpose()?;
    change(&operator, &desk, (which, Verb::Withdraw { reason })).await
}

/// `POST /api/agents/{agentId}/policies/{policyId}/revoke`: the pact is over when it returns, on every gateway.
pub(crate) async fn revoke(
    Editor(operator): Editor,
    desk: Door,
    Named(which): Named<Which>,
    Given(No { reason }): Given<No>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let reason = bounded("reason", reason)?;
    say(&operator, &desk, which, (PactVerb::Revoke, Some(reason))).await
}

async fn change(
    operator: &OperatorSetup,
    desk: &Desk,
    (which, verb): (Which, Verb),
) -> Result<(StatusCode, Json<Value>), Problem> {
    let (agent, number) = which.numbered()?;
    let engine = &desk.gatehouse.engine;
    let version = engine.change_version(operator, (&agent, number), &verb).await?;
    tracing::warn!(operator = %operator.id, %agent, number, state = version.word(), "a version of a policy was changed");
    let status = match &version.state {
        VersionState::Active => {
            engine.is_applied(&agent, version.policy).await;
            StatusCode::OK
        }
        VersionState::Waiting(_) => StatusCode::ACCEPTED,
        VersionState::Draft
        | VersionState::Superseded
        | VersionState::Rejected
        | VersionState::Withdrawn => StatusCode::OK,
    };
    Ok((status, Json(whole_view(desk, &version).await?)))
}

async fn whole_view(desk: &Desk, version: &Version) -> Result<Value, Problem> {
    let text = desk.ports().shelf.text(&version.agent, version.number).await?;
    let setup = desk.setup();
    let grant = setup.agents.get(&version.agent).map(|agent| agent.grant.id());
    let is_in_force = version.state == VersionState::Active && grant == Some(version.policy);
    let mut view = version_view(version);
    if let Some(members) = view.as_object_mut() {
        members.insert("source".into(), json!(text));
        members.insert("in_force".into(), is_in_force.into());
    }
    Ok(view)
}

fn version_view(version: &Version) -> Value {
    let waiting = match &version.state {
        VersionState::Waiting(waits) => json!({
            "approvals": waits.gate.approvals,
            "groups": waits.gate.groups,
            "delay": waits.gate.delay,
            "votes": waits.votes,
            "not_before": waits.not_before,
        }),
        VersionState::Draft
        | VersionState::Active
        | VersionState::Superseded
        | VersionState::Rejected
        | VersionState::Withdrawn => Value::Null,
    };
    json!({
        "version": version.number,
        "name": version.name,
        "id": version.policy,
        "kind": "grant",
        "state": version.word(),
        "in_force": false,
        "digest": version.digest(),
        "format": version.format,
        "from": version.origin,
        "proposed_by": version.proposed_by,
        "proposed_at": version.proposed_at,
        "note": version.note,
        "shadow": version.shadow,
        "base": version.base,
        "class": version.class,
        "changes": version.changes,
        "tests": version.tests,
        "back_test": version.back_test,
        "waiting": waiting,
        "signed": version.signed,
        "activated": version.activated(),
        "history": version.history,
    })
}

async fn say(
    operator: &OperatorSetup,
    State(desk): &Door,
    Which { agent, version: grant }: Which,
    (verb, text): (PactVerb, Option<String>),
) -> Result<(StatusCode, Json<Value>), Problem> {
    // what is no version is certainly not the agent's
    let grant = grant.parse().map_err(|_| Problem::NotFound)?;
    let engine = &desk.gatehouse.engine;
    let view = engine.say_to_grant(operator, (&agent, grant), (verb, text)).await?;
    tracing::warn!(operator = %operator.id, %agent, %grant, verb = verb.name(), state = %view.state, "a pact was spoken to");
    Ok((StatusCode::OK, Json(grant_view(&view))))
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
