//! How people come in with a browser: a token or a passkey once, a cookie from then on.

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
use countersign_core::{
    approval::{passkey, signature::SignatureFault},
    identity::OperatorId,
};
use countersign_engine::{
    PASSKEY_BEHIND,
    port::ledger::PasskeyCount,
    setup::{OperatorSetup, PasskeySetup, Role},
};
use futures_util::{StreamExt as _, stream};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::credential::{Presented, TokenDigest};

use super::{
    Desk, Door, Peer, Problem,
    access::{Nothing, Operator, role_name},
    body::{Given, Perhaps},
    challenges::CHALLENGE_AGE_MAX,
    passkey::{PublicKeyCredential, SaidByPasskey},
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

    /// Whose it is; a session lasts no longer by it.
    pub(super) fn seen(self, desk: &Desk) -> Option<OperatorId> {
        let keyring = &desk.gatehouse.keyring;
        match self {
            Self::Token(digest) => keyring.operator(digest),
            Self::Session(name) => desk.sessions.seen(name, keyring),
        }
    }

    fn is_good(self, desk: &Desk) -> bool {
        let id = self.seen(desk);
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

/// With what somebody comes in: a token, typed once, or a passkey that signed a challenge of ours.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Shown {
    token: Option<String>,
    passkey: Option<Box<PublicKeyCredential>>,
}

impl std::fmt::Debug for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shown(..)")
    }
}

/// `POST /session`: an operator's token or passkey opens a session.
pub(crate) async fn open(
    State(desk): Door,
    Extension(Peer(peer)): Extension<Peer>,
    Given(shown): Given<Shown>,
) -> Result<impl IntoResponse, Problem> {
    if !desk.sessions.may_try(peer.ip()) {
        return Err(Problem::TooManyAttempts);
    }
    let known = match (shown.token, shown.passkey) {
        (Some(token), None) => desk.of_token(&token),
        (None, Some(credential)) => desk.of_passkey(*credential).await,
        (None, None) | (Some(_), Some(_)) => {
            Err(Problem::Malformed("`token` or `passkey`: give one of them".into()))
        }
    };
    let (operator, credential) = known.inspect_err(|problem| {
        if problem.is_refused_login() {
            desk.sessions.failed(peer.ip());
            tracing::warn!(peer = %peer.ip(), "a login failed");
        }
    })?;
    let name = SessionName::draw().ok_or_else(no_randomness)?;
    let by = credential.kind();
    desk.sessions.open(name, operator.id.clone(), credential);
    tracing::info!(operator = %operator.id, peer = %peer.ip(), by, "an operator logged in");
    let headers = [(header::SET_COOKIE, desk.set_cookie(&name.hex()))];
    Ok((StatusCode::CREATED, headers, Json(view(&operator, &desk))))
}

/// `POST /session/challenge`: what a passkey signs to open a session, in the form that browsers take. Whose, the
/// authenticator knows: nobody is told here who has one.
pub(crate) async fn challenge(
    State(desk): Door,
    Extension(Peer(peer)): Extension<Peer>,
    _: Perhaps<Nothing>,
) -> Result<Json<Value>, Problem> {
    if !desk.sessions.may_try(peer.ip()) {
        return Err(Problem::TooManyAttempts);
    }
    let setup = desk.setup();
    let party = setup.passkeys.as_ref().ok_or_else(no_passkeys)?;
    let asked = desk.challenges.make().ok_or_else(no_randomness)?;
    Ok(Json(json!({
        "challenge": passkey::challenge(&asked),
        "rpId": party.id,
        "userVerification": "required",
        "timeout": u64::try_from(CHALLENGE_AGE_MAX.as_millis()).unwrap_or(u64::MAX),
        "allowCredentials": [],
    })))
}

fn no_randomness() -> Problem {
    Problem::Unavailable("the system has no randomness".into())
}

fn no_passkeys() -> Problem {
    Problem::Signature(SignatureFault::NoRelyingParty.to_string())
}

impl Desk {
    fn of_token(&self, token: &str) -> Result<(OperatorSetup, Credential), Problem> {
        let digest = TokenDigest::of(token.trim().as_bytes());
        let operator = self.gatehouse.keyring.operator(digest);
        Ok((self.operator(operator)?, Credential::Token(digest)))
    }

    /// Whoever's passkey signed a challenge of ours, here, with its user present and verified. What everybody can see
    /// for themselves is said; whether a passkey is known is told only to whoever has it.
    async fn of_passkey(
        &self,
        shown: PublicKeyCredential,
    ) -> Result<(OperatorSetup, Credential), Problem> {
        let malformed = || Problem::Malformed("`passkey`: is not of its form".into());
        let SaidByPasskey { credential, assertion, user } = shown.read().ok_or_else(malformed)?;
        let setup = self.setup();
        let party = setup.passkeys.as_ref().ok_or_else(no_passkeys)?;
        let asked = assertion.asked().unwrap_or_default();
        let fresh = self.challenges.fresh(&asked).ok_or(Problem::ChallengeOver)?;
        let fault = |fault: SignatureFault| Problem::Signature(fault.to_string());
        assertion.answers(&asked, party).map_err(fault)?;
        let mut known = self.gatehouse.keyring.passkeys(&credential);
        known.retain(|(passkey, _)| assertion.verify(&asked, party, &passkey.public_key).is_ok());
        let (passkey, operator) = one_of(known, user.as_deref())?;
        let operator = self.operator(Some(operator))?;
        if !self.challenges.spend(&fresh) {
            return Err(Problem::ChallengeOver);
        }
        let count = PasskeyCount { credential, count: assertion.count().unwrap_or_default() };
        if !self.ports().chronicle.note_passkey(&count).await? {
            tracing::warn!(operator = %operator.id, "a passkey signed a login with an old count");
            return Err(Problem::Signature(PASSKEY_BEHIND.into()));
        }
        Ok((operator, Credential::Passkey(passkey)))
    }

    fn operator(&self, id: Option<OperatorId>) -> Result<OperatorSetup, Problem> {
        let setup = self.setup();
        let operator = id.and_then(|id| setup.operators.get(&id).cloned());
        operator.ok_or(Problem::Unauthorised)
    }
}

/// The account that a passkey opens. Where several of one person have it, that whose id it was made for
/// (`user.id`).
fn one_of(
    mut known: Vec<(PasskeySetup, OperatorId)>,
    user: Option<&str>,
) -> Result<(PasskeySetup, OperatorId), Problem> {
    if known.len() > 1 {
        let is_user =
            |id: &OperatorId| user == Some(passkey::challenge(id.as_str().as_bytes()).as_str());
        known.retain(|(_, id)| is_user(id));
        let several = "`passkey`: several accounts have it, and it was made for none of them by its `user.id`: log in with a token";
        return known.pop().ok_or_else(|| Problem::Malformed(several.into()));
    }
    known.pop().ok_or(Problem::Unauthorised)
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
