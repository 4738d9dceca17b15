//! How people come in with a browser: a token once, a cookie from then on.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{
    Extension, Json,
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, Method, Response, StatusCode, header, request::Parts},
    middleware::Next,
    response::IntoResponse,
};
use countersign_core::identity::OperatorId;
use countersign_engine::setup::{OperatorSetup, Role};
use futures_util::{StreamExt as _, stream};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::credential::{Presented, TokenDigest};

use super::{
    Desk, Door, Peer, Problem,
    access::{Operator, role_name},
    body::Given,
    sessions::{AGE_MAX, Credential, IDLE_MAX, SessionName},
};

/// The console's own requests carry it: no other page can, without asking first.
const CONSOLE_HEADER: &str = "countersign-console";

/// How often it is looked whether whoever listens may still.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// What opens a door for one request.
#[derive(Debug, Clone, Copy)]
pub(super) enum Pass {
    Token(TokenDigest),
    Session(SessionName),
}

impl Pass {
    /// What a request carries. A header outweighs a cookie, which a browser sends unasked; a request that would change
    /// something must then be the console's own.
    pub(super) fn of(parts: &Parts, desk: &Desk) -> Result<Option<Self>, Problem> {
        match Presented::bearer(&parts.headers) {
            Presented::Token(digest) => Ok(Some(Self::Token(digest))),
            Presented::Unusable => Ok(None),
            Presented::Nothing => match cookie(&parts.headers, &desk.cookie_name()) {
                Some(name) => own_page(parts).map(|()| Some(Self::Session(name))),
                None => Ok(None),
            },
        }
    }

    /// Whose it is; a session lasts longer by it.
    pub(super) fn used(self, desk: &Desk) -> Option<OperatorId> {
        match self {
            Self::Token(digest) => desk.gatehouse.keyring.operator(digest),
            Self::Session(name) => desk.sessions.used(name, &desk.gatehouse.keyring),
        }
    }

    fn is_good(self, desk: &Desk) -> bool {
        let keyring = &desk.gatehouse.keyring;
        let id = match self {
            Self::Token(digest) => keyring.operator(digest),
            Self::Session(name) => desk.sessions.seen(name, keyring),
        };
        let setup = desk.setup();
        let operator = id.and_then(|id| setup.operators.get(&id));
        operator.is_some_and(|operator| operator.roles.contains(&Role::View))
    }
}

/// The one session that the cookies name. Two are none: somebody else put one of them there.
fn cookie(headers: &HeaderMap, name: &str) -> Option<SessionName> {
    let texts = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = texts.flat_map(|text| text.split(';')).filter_map(|pair| pair.split_once('='));
    let mut values = pairs.filter(|(key, _)| key.trim() == name).map(|(_, value)| value.trim());
    match (values.next(), values.next()) {
        (Some(value), None) => SessionName::parse(value),
        (None | Some(_), _) => None,
    }
}

/// Goes on only for a page of ours. An `Origin` that is not ours was refused before.
fn own_page(parts: &Parts) -> Result<(), Problem> {
    let of = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let site = of("sec-fetch-site");
    if !matches!(site, None | Some("same-origin" | "none")) {
        return Err(Problem::OtherSite);
    }
    if matches!(parts.method, Method::GET | Method::HEAD) {
        return Ok(());
    }
    let is_ours = site == Some("same-origin") || parts.headers.contains_key(header::ORIGIN);
    if is_ours && of(CONSOLE_HEADER) == Some("1") { Ok(()) } else { Err(Problem::OtherSite) }
}

impl Desk {
    /// Cookies know no ports, so the name does: two gateways of one machine keep theirs apart.
    fn cookie_name(&self) -> String {
        let prefix = if self.is_tls { "__Host-" } else { "" };
        format!("{prefix}countersign-{}", self.port)
    }

    /// `value` for as long as a session lasts; nothing ends it.
    fn set_cookie(&self, value: &str) -> String {
        let secure = if self.is_tls { "; Secure" } else { "" };
        let age = if value.is_empty() { 0 } else { AGE_MAX.as_secs() };
        let name = self.cookie_name();
        format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={age}{secure}")
    }
}

/// What is typed once.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Typed {
    token: String,
}

impl std::fmt::Debug for Typed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Typed(..)")
    }
}

/// `POST /session`: an operator's token opens a session.
pub(crate) async fn open(
    State(desk): Door,
    Extension(Peer(peer)): Extension<Peer>,
    Given(Typed { token }): Given<Typed>,
) -> Result<impl IntoResponse, Problem> {
    if !desk.sessions.may_try(peer.ip()) {
        return Err(Problem::TooManyAttempts);
    }
    let credential = Credential::Token(TokenDigest::of(token.trim().as_bytes()));
    let operator = credential.holder(&desk.gatehouse.keyring);
    let setup = desk.setup();
    let Some(operator) = operator.and_then(|id| setup.operators.get(&id)) else {
        desk.sessions.failed(peer.ip());
        tracing::warn!(peer = %peer.ip(), "a login failed");
        return Err(Problem::Unauthorised);
    };
    let name = SessionName::draw();
    let name = name.ok_or_else(|| Problem::Unavailable("the system has no randomness".into()))?;
    desk.sessions.open(name, operator.id.clone(), credential);
    tracing::info!(operator = %operator.id, peer = %peer.ip(), "an operator logged in");
    let headers = [(header::SET_COOKIE, desk.set_cookie(&name.hex()))];
    Ok((StatusCode::CREATED, headers, Json(view(operator, &desk))))
}

/// `GET /session`: who is asking, and what they may do.
pub(crate) async fn show(Operator(operator): Operator, State(desk): Door) -> Json<Value> {
    Json(view(&operator, &desk))
}

fn view(operator: &OperatorSetup, desk: &Desk) -> Value {
    let setup = desk.setup();
    json!({
        "operator": operator.id,
        "person": operator.person,
        "roles": operator.roles.iter().map(|role| role_name(*role)).collect::<Vec<_>>(),
        "groups": operator.groups,
        "app": setup.app,
        "gateway": desk.ports().gateway,
        "idle_seconds": IDLE_MAX.as_secs(),
    })
}

/// `DELETE /session`: ends the session that the cookie names.
pub(crate) async fn end(
    Operator(operator): Operator,
    State(desk): Door,
    headers: HeaderMap,
) -> impl IntoResponse {
    if let Some(name) = cookie(&headers, &desk.cookie_name()) {
        desk.sessions.end(name);
        tracing::info!(operator = %operator.id, "an operator logged out");
    }
    (StatusCode::NO_CONTENT, [(header::SET_COOKIE, desk.set_cookie(""))])
}

/// Ends an answer that would go on for ever when whoever asked may not look any more.
pub(crate) async fn while_welcome(
    State(desk): Door,
    request: Request,
    next: Next,
) -> Result<Response<Body>, Problem> {
    let (response, pass) = answered(&desk, request, next).await?;
    let Some(pass) = pass else { return Ok(response) };
    let ended = Box::pin(unwelcome(desk, pass));
    Ok(response.map(|body| Body::from_stream(body.into_data_stream().take_until(ended))))
}

/// As [`while_welcome`], for what has an end of its own: what ends before it breaks off, so that nobody takes it for the
/// whole.
pub(crate) async fn whole_while_welcome(
    State(desk): Door,
    request: Request,
    next: Next,
) -> Result<Response<Body>, Problem> {
    let (response, pass) = answered(&desk, request, next).await?;
    let Some(pass) = pass else { return Ok(response) };
    let is_cut = Arc::new(AtomicBool::new(false));
    let cut = Arc::clone(&is_cut);
    let ended = Box::pin(async move {
        unwelcome(desk, pass).await;
        cut.store(true, Ordering::Release);
    });
    let rest = stream::iter([()]).filter_map(move |()| {
        let broken = is_cut.load(Ordering::Acquire).then(|| Err(axum::Error::new(NotWelcome)));
        std::future::ready(broken)
    });
    Ok(response
        .map(|body| Body::from_stream(body.into_data_stream().take_until(ended).chain(rest))))
}

/// The answer, and what let its reader in; nothing of an answer that is over.
async fn answered(
    desk: &Arc<Desk>,
    request: Request,
    next: Next,
) -> Result<(Response<Body>, Option<Pass>), Problem> {
    let (parts, body) = request.into_parts();
    let pass = Pass::of(&parts, desk)?;
    let response = next.run(Request::from_parts(parts, body)).await;
    let pass = pass.filter(|_| response.status().is_success());
    Ok((response, pass))
}

/// Why an answer breaks off.
#[derive(Debug, thiserror::Error)]
#[error("whoever asked may not look any more")]
struct NotWelcome;

async fn unwelcome(desk: Arc<Desk>, pass: Pass) {
    while pass.is_good(&desk) {
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
