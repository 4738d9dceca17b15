//! Who may: operators by their token or session and their role, anybody on this machine for the probes.

use std::sync::Arc;

use axum::{
    extract::{FromRequestParts, Path, Query},
    http::request::Parts,
};
use countersign_engine::setup::{OperatorSetup, Role};
use percent_encoding::percent_decode_str;
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

macro_rules! with_role {
    ($(#[$doc:meta])* $name:ident, $role:expr) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub(crate) struct $name(pub(crate) OperatorSetup);

        impl FromRequestParts<Arc<Desk>> for $name {
            type Rejection = Problem;

            async fn from_request_parts(
                parts: &mut Parts,
                desk: &Arc<Desk>,
            ) -> Result<Self, Problem> {
                Operator::from_request_parts(parts, desk).await?.may($role).cloned().map(Self)
            }
        }
    };
}

with_role!(
    /// An operator with the role `view`. As with the other roles, nobody else's body is read.
    Viewer,
    Role::View
);
with_role!(
    /// An operator with the role `approve`.
    Approver,
    Role::Approve
);
with_role!(
    /// An operator with the role `policy`.
    Editor,
    Role::Policy
);
with_role!(
    /// An operator with the role `freeze`.
    Stopper,
    Role::Freeze
);

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
        let text = parts.uri.query().unwrap_or_default();
        let mut pairs = text.split('&');
        if let Some(pair) = pairs.find(|pair| percent_decode_str(pair).decode_utf8().is_err()) {
            let name = pair.split('=').next().unwrap_or_default();
            return Err(Problem::malformed(&format!("`{name}`: is not UTF-8")));
        }
        let query = Query::try_from_uri(&parts.uri);
        query.map(|Query(asked)| Self(asked)).map_err(|e| {
            let text = e.body_text();
            // axum's own introduction says nothing to whoever asks
            Problem::malformed(text.strip_prefix(INTRODUCTION).unwrap_or(&text))
        })
    }
}

const INTRODUCTION: &str = "Failed to deserialize query string: ";

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
