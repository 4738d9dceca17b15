//! The agents' door: JSON-RPC 2.0 over HTTP and WebSocket.
//!
//! Every request that can be parsed gets HTTP 200: several clients drop the body of anything else, and
//! some repeat a payment on 429 or 503.

use std::sync::Arc;

use bytes::Bytes;
use countersign_core::{
    draft::FieldError,
    identity::{AgentId, ChainId},
    json::Json,
    time::Millis,
    trail::Trail,
};
use countersign_engine::{
    Engine,
    port::telemetry::{Origin, WHOLE},
    setup::{AgentSetup, Setup},
    submission::Receipt,
};
use futures_util::{StreamExt, stream};
use http::{HeaderMap, Method, Request, Response, header, request::Parts};
use hyper::body::Incoming;
use tokio::sync::{oneshot, watch};
use tracing::{Instrument as _, Span};

use crate::{
    Gatehouse,
    answer::{self, Fault, METHOD, REQUEST, UNAUTHORISED},
    credential::{Keyring, Presented, TokenDigest},
    host::Hosts,
    listener::caught,
    metrics::Metrics,
};

pub use self::asked::{AskError, Asked};
use self::{
    call::{BadCall, Envelope, RpcCall},
    crowd::Crowd,
    feed::Feeds,
    filters::Filters,
    parcel::Parcel,
    place::Place,
    refusal::Refusal,
    route::Route,
    said::Said,
    subscription::Subscriptions,
};
pub(crate) use self::{local::budget_line, pasted::Pasted, said::trail};

mod asked;
mod call;
mod calls;
mod crowd;
mod feed;
mod filters;
mod forward;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod handshake;
mod judged;
mod local;
mod message;
mod parcel;
mod pasted;
mod place;
mod refusal;
mod route;
mod said;
mod socket;
mod subscription;
mod transport;

/// How many reads of one batch are asked at the same time.
const READS_AT_ONCE: usize = 8;

/// Everything that the door needs to answer.
#[derive(Debug)]
pub(crate) struct AgentsDoor {
    pub(crate) engine: Arc<Engine>,
    pub(crate) keyring: Arc<Keyring>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) hosts: Hosts,
    filters: Filters,
    feeds: Feeds,
    crowd: Crowd,
    /// Turns true when the door stops: what would go on for ever ends then.
    closing: watch::Receiver<bool>,
}

/// What is the same for every call of one request.
struct Visit {
    setup: Arc<Setup>,
    agent: AgentId,
    chain: Result<ChainId, Fault>,
    said: Result<Said, FieldError>,
    wait: Option<Millis>,
    /// `web3.py` wants `{raw, tx}` of `eth_signTransaction`.
    wants_raw_and_tx: bool,
    received: Millis,
    /// The same instant, to measure from.
    began_us: u64,
    /// What its connection subscribed to, where it is one that stays.
    subscriptions: Option<Arc<Subscriptions>>,
}

/// Where a call stands in its request.
#[derive(Debug, Clone, Copy)]
struct Seat {
    /// The batch's number and the call's index in it.
    batch: Option<(u64, usize)>,
}

/// A result as JSON text, with the duty to say whether it was delivered.
struct Outcome {
    result: Result<String, Fault>,
    receipt: Option<Receipt>,
}

impl From<Result<String, Fault>> for Outcome {
    fn from(result: Result<String, Fault>) -> Self {
        Self { result, receipt: None }
    }
}

impl Visit {
    fn agent(&self) -> Result<&AgentSetup, Fault> {
        self.setup.agents.get(&self.agent).ok_or_else(stranger)
    }

    fn chain(&self) -> Result<ChainId, Fault> {
        self.chain.clone()
    }
}

fn stranger() -> Fault {
    Fault::new(UNAUTHORISED, "No agent has this credential")
}

impl AgentsDoor {
    pub(crate) fn new(gatehouse: Gatehouse, hosts: Hosts, closing: watch::Receiver<bool>) -> Self {
        let Gatehouse { engine, keyring, metrics } = gatehouse;
        Self {
            engine,
            keyring,
            metrics,
            hosts,
            filters: Filters::default(),
            feeds: Feeds::default(),
            crowd: Crowd::default(),
            closing,
        }
    }

    /// Answers one HTTP request.
    pub(crate) async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Response<Parcel> {
        let received = self.now();
        let answered = async {
            let answer = if handshake::is_asked(&request) {
                self.upgrade(request)
            } else {
                self.exchange(request, received).await
            };
            answer.unwrap_or_else(Refusal::into_response)
        };
        caught(answered, || Refusal::Crash.into_response()).await
    }

    async fn exchange(
        self: &Arc<Self>,
        request: Request<Incoming>,
        received: Millis,
    ) -> Result<Response<Parcel>, Refusal> {
        let (parts, body) = request.into_parts();
        if parts.method == Method::GET && parts.uri.path() == transport::MODELS_PATH {
            self.hosts.admit(&parts)?;
            return Ok(transport::for_models());
        }
        let (visit, bytes) = self.admit(&parts, body, received).await?;
        let whole = self.whole(("POST", "http"), &visit, said::trail(&parts.headers).as_ref());
        let work = async {
            let envelope = tracing::debug_span!("parse").in_scope(|| Envelope::parse(&bytes));
            self.converse(visit, envelope).await.map(transport::answered)
        };
        work.instrument(whole).await
    }

    /// The span of everything that one request or message causes, in the trail that its caller named.
    fn whole(
        &self,
        (name, protocol): (&'static str, &'static str),
        visit: &Visit,
        caller: Option<&Trail>,
    ) -> Span {
        let span = tracing::error_span!(
            target: WHOLE,
            parent: None,
            "request",
            otel.name = name,
            otel.kind = "server",
            network.protocol.name = protocol,
            countersign.agent = visit.agent.as_str(),
        );
        self.engine.ports().telemetry.begin(&span, Origin::Call(caller));
        span
    }

    async fn admit(
        &self,
        parts: &Parts,
        body: Incoming,
        received: Millis,
    ) -> Result<(Visit, Bytes), Refusal> {
        self.hosts.admit(parts)?;
        transport::is_post_of_json(parts)?;
        let place = Place::parse(parts.uri.path()).ok_or(Refusal::NotFound)?;
        let began_us = self.engine.ports().telemetry.micros();
        let setup = self.engine.setup();
        let Some((agent, _)) = self.known(&place, &parts.headers, &setup) else {
            let bytes = transport::read(parts, body, transport::STRANGERS_BODY_MAX).await;
            return Err(Refusal::Stranger(bytes.unwrap_or_default()));
        };
        let bytes = transport::read(parts, body, transport::BODY_MAX).await?;
        let visit = Visit {
            chain: place.chain(&setup),
            setup,
            agent,
            said: Said::in_headers(&parts.headers),
            wait: said::wait(&parts.headers),
            wants_raw_and_tx: is_web3_py(&parts.headers),
            received,
            began_us,
            subscriptions: None,
        };
        Ok((visit, bytes))
    }

    /// The agent whose token a request presents, in its path or in a header.
    fn known(
        &self,
        place: &Place<'_>,
        headers: &HeaderMap,
        setup: &Setup,
    ) -> Option<(AgentId, TokenDigest)> {
        let token = place.presented.and(Presented::bearer_or_basic(headers)).token()?;
        let agent = self.keyring.agent(token)?;
        setup.agents.contains_key(&agent).then_some((agent, token))
    }

    fn now(&self) -> Millis {
        self.engine.ports().clock.monotonic()
    }

    async fn converse(
        self: &Arc<Self>,
        visit: Visit,
        envelope: Envelope,
    ) -> Result<Parcel, Refusal> {
        match envelope {
            Envelope::Single(call) => {
                let (text, receipt) = self.entry(&visit, call, Seat { batch: None }).await;
                Ok(Parcel::of(text, receipt.into_iter().collect()))
            }
            Envelope::Batch(calls) => self.whole_batch(visit, calls).await,
        }
    }

    /// A batch that has begun goes on to its end although its caller goes away: what comes of each entry stays owed to
    /// the agent, and the same batch again collects it.
    async fn whole_batch(
        self: &Arc<Self>,
        visit: Visit,
        calls: Vec<Result<RpcCall, BadCall>>,
    ) -> Result<Parcel, Refusal> {
        let (sender, answer) = oneshot::channel();
        let door = Arc::clone(self);
        let work = async move { drop(sender.send(door.batch(&visit, calls).await)) };
        self.engine.ports().clock.spawn(Box::pin(work.in_current_span()));
        answer.await.map_err(|_| Refusal::Crash)
    }

    /// In order, one after another; reads among themselves may overlap.
    async fn batch(&self, visit: &Visit, calls: Vec<Result<RpcCall, BadCall>>) -> Parcel {
        let number = batch_number(self.engine.ports().clock.random());
        let forwards = |call: &Result<RpcCall, BadCall>| match call {
            Ok(call) => matches!(route::route(&call.method).1, Route::Forward(_) | Route::Refuse),
            Err(_) => true,
        };
        let at_once = if calls.iter().all(forwards) { READS_AT_ONCE } else { 1 };
        let seated = calls.into_iter().enumerate();
        let answers = seated
            .map(|(index, call)| self.entry(visit, call, Seat { batch: Some((number, index)) }));
        let answers: Vec<_> = stream::iter(answers).buffered(at_once).collect().await;
        let (texts, receipts): (Vec<_>, Vec<_>) = answers.into_iter().unzip();
        let texts: Vec<String> = texts.into_iter().flatten().collect();
        let body = (!texts.is_empty()).then(|| format!("[{}]", texts.join(",")));
        Parcel::of(body, receipts.into_iter().flatten().collect())
    }

    /// One call's response; none for a notification.
    async fn entry(
        &self,
        visit: &Visit,
        call: Result<RpcCall, BadCall>,
        seat: Seat,
    ) -> (Option<String>, Option<Receipt>) {
        let call = match call {
            Ok(call) => call,
            Err(BadCall { id, fault }) => {
                self.metrics.counted(route::UNKNOWN, fault.outcome());
                return (Some(answer::response(&id, Err(&fault))), None);
            }
        };
        let (name, route) = route::route(&call.method);
        let step = tracing::debug_span!(
            "call",
            otel.name = name,
            rpc.system.name = "jsonrpc",
            rpc.method = name,
            countersign.outcome = tracing::field::Empty,
            rpc.response.status_code = tracing::field::Empty,
        );
        self.answered(visit, (call, name, route), seat).instrument(step).await
    }

    async fn answered(
        &self,
        visit: &Visit,
        (call, name, route): (RpcCall, &'static str, Route),
        seat: Seat,
    ) -> (Option<String>, Option<Receipt>) {
        let (id, outcome) = match (&call.id, route) {
            (Some(id), route) => (id.clone(), self.dispatch(visit, &call, route, seat).await),
            (None, Route::Judge(_)) => (Json::Null, unnamed().into()),
            (
                None,
                Route::Answer(_) | Route::Forward(_) | Route::Subscription(_) | Route::Refuse,
            ) => return (None, None),
        };
        self.record(visit, name, &outcome.result);
        let text = answer::response(&id, outcome.result.as_deref());
        (Some(text), outcome.receipt)
    }

    async fn dispatch(&self, visit: &Visit, call: &RpcCall, route: Route, seat: Seat) -> Outcome {
        match route {
            Route::Judge(method) => self.judge(visit, method, &call.params, seat).await,
            // a simulation gathers what a decision needs: large, and rare
            Route::Answer(local) => Box::pin(self.local(visit, local, &call.params)).await.into(),
            Route::Forward(read) => self.forward(visit, read, &call.params).await.into(),
            Route::Subscription(act) => self.subscription(visit, act, &call.params).await,
            Route::Refuse => {
                let name = countersign_core::draft::harmless(&call.method);
                Err(Fault::new(METHOD, &format!("`{name}` is not a method of this gateway"))).into()
            }
        }
    }

    fn record(&self, visit: &Visit, method: &'static str, result: &Result<String, Fault>) {
        let outcome = result.as_ref().map_or_else(Fault::outcome, |_| "ok");
        let now_us = self.engine.ports().telemetry.micros();
        let took_us = now_us.saturating_sub(visit.began_us);
        self.metrics.request(method, outcome, took_us);
        let step = Span::current();
        step.record("countersign.outcome", outcome);
        if let Err(fault) = result {
            step.record("rpc.response.status_code", fault.code);
        }
        tracing::info!(agent = %visit.agent, method, outcome, took_us, "a call was answered");
    }
}

/// A signing method without an id: nobody could be told what became of it.
fn unnamed() -> Result<String, Fault> {
    Err(Fault::new(REQUEST, "`id`: a call that signs needs one"))
}

/// What tells one batch from another.
fn batch_number(random: [u8; 16]) -> u64 {
    u64::try_from(u128::from_le_bytes(random) >> 64).unwrap_or_default()
}

fn is_web3_py(headers: &HeaderMap) -> bool {
    let agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
    agent.is_some_and(|agent| agent.starts_with("web3.py/"))
}
