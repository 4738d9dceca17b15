//! The operators' door: HTTP and JSON, `Authorization: Bearer`. Everything that it lists comes from the
//! store; nothing is kept here.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Router,
    body::Body,
    extract::{MatchedPath, Request},
    http::{HeaderMap, HeaderValue, Method, Response, header, request::Parts},
    middleware,
    routing::{get, post},
};
use countersign_engine::{
    port::telemetry::{Origin, WHOLE},
    setup::Setup,
};
use hyper::body::Incoming;
use tokio::sync::watch;
use tower::ServiceExt as _;
use tracing::{Instrument as _, Span};

use crate::{
    Gatehouse,
    agents::trail,
    door::Bound,
    host::{Hosts, Stray},
    listener::caught,
};

use self::{
    challenges::Challenges, login::Pass, problem::Problem, seats::Seats, sessions::Sessions,
};

mod access;
mod approvals;
mod body;
mod books;
mod by_hash;
mod challenges;
mod console;
pub(crate) mod document;
mod evaluations;
mod events;
mod evidence;
mod explain;
mod gauges;
mod history;
mod incidents;
mod ledger;
mod login;
mod operations;
mod passkey;
mod people;
mod probes;
mod problem;
mod seats;
mod sessions;
mod spend;
mod traces;
mod versions;

/// The longest body.
const BODY_MAX: usize = 1 << 20;

/// Nothing may be loaded from elsewhere, framed, or sent elsewhere.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// Everything that the door needs to answer.
#[derive(Debug)]
pub(crate) struct Desk {
    gatehouse: Gatehouse,
    sessions: Sessions,
    challenges: Challenges,
    hosts: Hosts,
    /// Whether cookies travel under TLS only, and the port that is in their name.
    is_tls: bool,
    port: u16,
    closing: watch::Receiver<bool>,
    /// Seats of those who listen to events.
    listeners: Seats,
    /// Seats of those who take evidence away.
    exporters: Seats,
    gauges: gauges::Gauges,
}

impl Desk {
    /// `closing` turns true when the door stops: what would go on for ever ends then.
    pub(crate) fn new(
        gatehouse: Gatehouse,
        bound: &Bound,
        closing: watch::Receiver<bool>,
    ) -> Arc<Self> {
        Arc::new(Self {
            gatehouse,
            sessions: Sessions::default(),
            challenges: Challenges::new(),
            hosts: bound.hosts(),
            is_tls: bound.tls.is_some(),
            port: bound.local_addr().port(),
            closing,
            listeners: Seats::new(events::LISTENERS_MAX, events::LISTENERS_OF_ONE_MAX),
            exporters: Seats::new(evidence::EXPORTS_MAX, evidence::EXPORTS_OF_ONE_MAX),
            gauges: gauges::Gauges::default(),
        })
    }

    fn setup(&self) -> Arc<Setup> {
        self.gatehouse.engine.setup()
    }

    fn ports(&self) -> &countersign_engine::Ports {
        self.gatehouse.engine.ports()
    }
}

/// The door of a handler.
type Door = axum::extract::State<Arc<Desk>>;

/// Where the request came from.
#[derive(Debug, Clone, Copy)]
struct Peer(SocketAddr);

/// Every route of CONTRACT §4 that this version serves.
pub(crate) fn router(desk: Arc<Desk>) -> Router {
    let welcome = middleware::from_fn_with_state(desk.clone(), login::while_welcome);
    let events = get(events::stream).layer(welcome);
    let wanted = middleware::from_fn_with_state(desk.clone(), login::whole_while_welcome);
    let evidence = get(evidence::export).layer(wanted);
    Router::new()
        .route("/", get(console::page))
        .route("/console/{file}", get(console::file))
        .route("/session", get(login::show).post(login::open).delete(login::end))
        .route("/session/challenge", post(login::challenge))
        .route("/healthz", get(probes::health))
        .route("/readyz", get(probes::ready))
        .route("/metrics", get(probes::metrics))
        .route("/openapi.json", get(document::show))
        .route("/pending-operations", get(approvals::list))
        .route("/pending-operations/{id}", get(approvals::show))
        .route("/pending-operations/{id}/history", get(history::show))
        .route("/pending-operations/{id}/approve", post(approvals::approve))
        .route("/pending-operations/{id}/reject", post(approvals::reject))
        .route("/operations", get(operations::list))
        .route("/operations/{id}", get(operations::show))
        .route("/operations/{id}/bump", post(operations::bump))
        .route("/operations/{id}/cancel", post(operations::cancel))
        .route("/apps/{app}/traces", get(traces::list).post(traces::attest))
        .route("/apps/{app}/traces/{hash}", get(traces::show))
        .route("/evidence", evidence)
        .route("/incidents", get(incidents::list))
        .route("/incidents/{id}", get(incidents::show).patch(incidents::change))
        .route("/api/agents/{agent}/policies", get(versions::list).post(versions::propose))
        .route("/api/agents/{agent}/policies/check", post(versions::check))
        .route("/api/agents/{agent}/policies/explain", post(explain::explain))
        .route("/api/agents/{agent}/policies/{version}", get(versions::show))
        .route("/api/agents/{agent}/policies/{version}/activate", post(versions::activate))
        .route("/api/agents/{agent}/policies/{version}/approve", post(versions::approve))
        .route("/api/agents/{agent}/policies/{version}/reject", post(versions::reject))
        .route("/api/agents/{agent}/policies/{version}/revoke", post(versions::revoke))
        .route("/api/agents/{agent}/policies/{version}/rollback", post(versions::roll_back))
        .route("/api/agents/{agent}/policies/{version}/withdraw", post(versions::withdraw))
        .route("/api/agents/{agent}/policies/{version}/evaluation", get(evaluations::of_version))
        .route("/api/agents/{agent}/evaluations", get(evaluations::of_agent))
        .route("/apps/{app}/evaluations", get(evaluations::of_app))
        .route("/agents", get(people::agents))
        .route("/wallets", get(people::wallets))
        .route("/budget", get(people::budget))
        .route("/spend", get(spend::spend))
        .route("/overview", get(books::overview))
        .route("/freeze", post(books::freeze))
        .route("/unfreeze", post(books::unfreeze))
        .route("/ledger", get(ledger::show))
        .route("/ledger/init", post(ledger::init))
        .route("/ledger/seal", post(ledger::seal))
        .route("/ledger/unseal", post(ledger::unseal))
        .route("/events", events)
        .fallback(async || Problem::NotFound)
        .method_not_allowed_fallback(async || Problem::Method)
        .layer(axum::extract::DefaultBodyLimit::max(BODY_MAX))
        .layer(middleware::from_fn_with_state(desk.clone(), belongs))
        .with_state(desk)
}

/// Answers one HTTP request; every response carries the same strict headers.
pub(crate) async fn answer(
    router: Router,
    request: axum::http::Request<Incoming>,
    peer: SocketAddr,
) -> Response<Body> {
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(Peer(peer));
    let answered = async {
        match router.oneshot(request).await {
            Ok(response) => response,
            Err(impossible) => match impossible {},
        }
    };
    let mut response = caught(answered, || Problem::Crash.into()).await;
    secure(response.headers_mut());
    response
}

async fn belongs(
    axum::extract::State(desk): Door,
    request: Request,
    next: middleware::Next,
) -> Result<Response<Body>, Problem> {
    let (parts, body) = request.into_parts();
    fits(&parts)?;
    desk.hosts.admit(&parts).map_err(|stray| match stray {
        Stray::Framing => {
            Problem::Malformed("the head must have one length and lines that end in CR LF".into())
        }
        Stray::NoHost => Problem::Malformed("one `Host` is needed".into()),
        Stray::OtherHost => Problem::OtherHost,
        Stray::OtherOrigin => Problem::OtherOrigin,
    })?;
    let whole = whole(&desk, &parts);
    Ok(next.run(Request::from_parts(parts, body)).instrument(whole).await)
}

/// The longest target of a request, in bytes; beyond 64 KiB the connection answers by itself.
const TARGET_MAX: usize = 8 << 10;

/// The most bytes of a request's headers; beyond 96 KiB the connection answers by itself.
const HEADERS_BYTES_MAX: usize = 32 << 10;

fn fits(parts: &Parts) -> Result<(), Problem> {
    let bytes = |(name, value): (&header::HeaderName, &HeaderValue)| {
        name.as_str().len().saturating_add(value.len())
    };
    if parts.uri.path_and_query().map_or(0, |target| target.as_str().len()) > TARGET_MAX {
        return Err(Problem::TargetTooLong);
    }
    if parts.headers.iter().map(bytes).sum::<usize>() > HEADERS_BYTES_MAX {
        return Err(Problem::HeadersTooLong);
    }
    Ok(())
}

/// The span of what an operator's request causes, in the trail that they named. Whoever has no token of ours begins
/// none.
fn whole(desk: &Arc<Desk>, parts: &Parts) -> Span {
    // looking is no use of a session: what serves a file asks nobody who they are
    let pass = Pass::of(parts, desk).ok().flatten();
    let operator = pass.and_then(|pass| pass.seen(desk));
    let Some(operator) = operator.filter(|id| desk.setup().operators.contains_key(id)) else {
        return Span::none();
    };
    let method = match parts.method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        _ => "_OTHER",
    };
    let route = parts.extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let span = tracing::error_span!(
        target: WHOLE,
        parent: None,
        "request",
        otel.name = format_args!("{method} {route}"),
        otel.kind = "server",
        http.request.method = method,
        http.route = route,
        countersign.operator = %operator,
    );
    let caller = trail(&parts.headers);
    desk.ports().telemetry.begin(&span, Origin::Call(caller.as_ref()));
    span
}

fn secure(headers: &mut HeaderMap) {
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let no_store = HeaderValue::from_static("no-store");
    headers.entry(header::CACHE_CONTROL).or_insert(no_store);
}
