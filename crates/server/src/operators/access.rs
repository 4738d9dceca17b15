//! Who may: operators by their token or session and their role, anybody on this machine for the probes.

use std::sync::Arc;

use axum::{
    extract::{FromRequestParts, Path, Query},
    http::request::Parts,
};
use countersign_engine::setup::{OperatorSetup, Role};
use serde::{Deserialize, de::DeserializeOwned};

use super::{Desk, Peer, Problem, login::Pass};

/// An operator whose token or session was presented. Found once a request: whoever asks again is given the same.
#[derive(Debug, Clone)]
pub(crate) struct Operator(pub(crate) OperatorSetup);

impl Operator {
    /// Goes on only with the role.
    pub(crate) fn may(&self, role: Role) -> Result<&OperatorSetup, Problem> {
        let missing = Problem::Role(role_name(role));
        if self.0.roles.contains(&role) { Ok(&self.0) } else { Err(missing) }
    }
}

pub(crate) const fn role_name(role: Role) -> &'static str {
    match role {
        Role::View => "view",
        Role::Approve => "approve",
        Role::Policy => "policy",
        Role::Freeze => "freeze",
    }
}

impl FromRequestParts<Arc<Desk>> for Operator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, desk: &Arc<Desk>) -> Result<Self, Problem> {
        if let Some(found) = parts.extensions.get::<Self>() {
            return Ok(found.clone());
        }
        let id = Pass::of(parts, desk)?.and_then(|pass| pass.used(desk));
        let setup = desk.setup();
        let operator = id.and_then(|id| setup.operators.get(&id).cloned());
        let found = operator.map(Self).ok_or(Problem::Unauthorised)?;
        parts.extensions.insert(found.clone());
        Ok(found)
    }
}

/// An operator with the role `view`.
#[derive(Debug)]
pub(crate) struct Viewer(pub(crate) OperatorSetup);

impl FromRequestParts<Arc<Desk>> for Viewer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, desk: &Arc<Desk>) -> Result<Self, Problem> {
        Operator::from_request_parts(parts, desk).await?.may(Role::View).cloned().map(Self)
    }
}

/// Somebody on this machine, or an operator.
#[derive(Debug)]
pub(crate) struct Neighbour;

impl FromRequestParts<Arc<Desk>> for Neighbour {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, desk: &Arc<Desk>) -> Result<Self, Problem> {
        let peer = parts.extensions.get::<Peer>();
        if peer.is_some_and(|Peer(address)| address.ip().to_canonical().is_loopback()) {
            return Ok(Self);
        }
        Operator::from_request_parts(parts, desk).await.map(|_| Self)
    }
}

/// The query of a request, without unknown members.
#[derive(Debug)]
pub(crate) struct Asked<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = Query::try_from_uri(&parts.uri);
        query.map(|Query(asked)| Self(asked)).map_err(|e| Problem::Malformed(e.body_text()))
    }
}

/// What is asked of a route that answers one thing only.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nothing {}

/// The names in a path; what does not have its form names nothing.
#[derive(Debug)]
pub(crate) struct Named<T>(pub(crate) T);

impl<T: DeserializeOwned + Send, S: Sync + Send> FromRequestParts<S> for Named<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::from_request_parts(parts, state).await;
        path.map(|Path(named)| Self(named)).map_err(|_| Problem::NotFound)
    }
}
