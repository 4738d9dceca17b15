//! One WebSocket connection of an agent: the same calls as over HTTP, several at a time, and subscriptions.
//!
//! Whatever a client does is bounded: the length of a message, its frames and its time; calls at a time, beyond which
//! nothing more is read; pings; and what is written, because a client that does not take it is not waited for.

use std::{pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;
use countersign_core::{draft::FieldError, identity::AgentId, time::Millis, trail::Trail};
use countersign_engine::submission::Receipt;
use futures_util::{SinkExt as _, StreamExt as _};
use http::{HeaderMap, Request, Response, header, request::Parts};
use hyper::{body::Incoming, upgrade::Upgraded};
use hyper_util::rt::TokioIo;
use tokio::{
    io::AsyncReadExt as _,
    sync::broadcast::error::RecvError,
    task::{JoinError, JoinSet},
    time::{Instant, MissedTickBehavior, interval, timeout},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Error as SocketError, Message, Utf8Bytes,
        error::ProtocolError,
        protocol::{CloseFrame, Role, WebSocketConfig, frame::coding::CloseCode},
    },
};
use tracing::Instrument as _;

use crate::{
    answer::{self, Fault},
    credential::TokenDigest,
    listener::{Afterwards, caught},
};

use self::frames::Counted;
use super::{
    AgentsDoor, Visit,
    call::Envelope,
    crowd::Presence,
    feed::{Look, News},
    handshake,
    parcel::Parcel,
    place::{self, Place},
    refusal::Refusal,
    said::{self, Said},
    subscription::Subscriptions,
    transport::{BODY_DEADLINE, BODY_MAX},
};

mod frames;

/// The most messages of one connection that are worked on at a time; more wait in the system's buffers.
const CALLS_MAX: usize = 32;
/// The most pings and pongs within [`CONTROLS_WITHIN`].
const CONTROLS_MAX: u32 = 100;
const CONTROLS_WITHIN: Duration = Duration::from_secs(10);
/// A client that says nothing is asked whether it is there after so long.
const PING_AFTER: Duration = Duration::from_secs(30);
/// A client that says nothing at all is gone after so long, as over HTTP.
const IDLE_DEADLINE: Duration = Duration::from_secs(75);
/// How long a client may take to take one message.
const WRITE_DEADLINE: Duration = Duration::from_secs(20);
/// How long the end may take.
const CLOSE_DEADLINE: Duration = Duration::from_secs(2);
/// How often it is seen whether time is up.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// What one connection reads at a time: there are many, and most are idle.
const READ_BUFFER: usize = 16 * 1024;

type Socket = WebSocketStream<Counted<TokioIo<Upgraded>>>;

/// What the upgrade said, which holds for every call of the connection.
#[derive(Debug)]
struct Standing {
    token: TokenDigest,
    agent: AgentId,
    chain: Option<String>,
    said: Result<Said, FieldError>,
    wait: Option<Millis>,
    trail: Option<Trail>,
    wants_raw_and_tx: bool,
}

impl Standing {
    fn new(place: &Place<'_>, parts: &Parts, (agent, token): (AgentId, TokenDigest)) -> Self {
        let headers = &parts.headers;
        Self {
            token,
            agent,
            chain: place.chain.map(str::to_owned),
            said: Said::in_headers(headers).map(Said::of_connection),
            wait: said::wait(headers),
            trail: said::trail(headers),
            wants_raw_and_tx: super::is_web3_py(headers) || is_beneath_web3_py(headers),
        }
    }

    /// Whether the token is still this agent's.
    fn holds(&self, door: &AgentsDoor) -> bool {
        door.keyring.agent(self.token).as_ref() == Some(&self.agent)
            && door.engine.setup().agents.contains_key(&self.agent)
    }
}

/// Over WebSocket web3.py does not name itself; the library does that it speaks through.
fn is_beneath_web3_py(headers: &HeaderMap) -> bool {
    let agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
    agent.is_some_and(|agent| agent.starts_with("Python/") && agent.contains(" websockets/"))
}

impl AgentsDoor {
    /// Takes a connection out of HTTP, if it is an agent's. Nothing of it is read before.
    pub(super) fn upgrade(
        self: &Arc<Self>,
        mut request: Request<Incoming>,
    ) -> Result<Response<Parcel>, Refusal> {
        let upgrade = hyper::upgrade::on(&mut request);
        let (parts, _nothing) = request.into_parts();
        self.hosts.admit(&parts)?;
        let place = Place::parse(parts.uri.path()).ok_or(Refusal::NotFound)?;
        let known = self.known(&place, &parts.headers, &self.engine.setup());
        let known = known.ok_or_else(|| Refusal::Stranger(Bytes::new()))?;
        let response = handshake::accept(&parts)?;
        let presence = self.crowd.enter(&known.0).ok_or(Refusal::Crowded)?;
        let afterwards = parts.extensions.get::<Afterwards>().ok_or(Refusal::Crash)?;
        let talk = Talk::new(self, Standing::new(&place, &parts, known), presence);
        afterwards.put(Box::pin(async move {
            match upgrade.await {
                Ok(upgraded) => talk.run(upgraded).await,
                Err(error) => {
                    tracing::debug!(%error, "a connection broke before it spoke WebSocket");
                }
            }
        }));
        Ok(response)
    }

    /// The answer to one message.
    async fn spoken(self: Arc<Self>, visit: Visit, bytes: Bytes) -> Parcel {
        let envelope = tracing::debug_span!("parse").in_scope(|| Envelope::parse(&bytes));
        let id = envelope.id();
        let crashed = || Err(Refusal::Crash);
        let answer = caught(self.converse(visit, envelope), crashed).await;
        answer.unwrap_or_else(|_| {
            Parcel::new(answer::response(&id, Err(&Fault::unknown())), Vec::new())
        })
    }
}

/// Why a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// The client went away, or said that it will.
    Left,
    /// The client does not take what is written to it: it cannot be told anything either.
    Deaf,
    /// The door stops.
    Stopping,
    /// The credential is worth nothing any more.
    Revoked,
    TooLong,
    TooManyFrames,
    TooManyControls,
    Late,
    Silent,
    /// Not WebSocket as RFC 6455 has it.
    Violation,
    NotUtf8,
    /// The client takes subscriptions' news more slowly than they come.
    Behind,
    /// Nobody can say any more what a subscription missed.
    Lost,
}

impl End {
    fn of(error: &SocketError, socket: &Socket) -> Self {
        match error {
            SocketError::Io(_) if socket.get_ref().is_over() => Self::TooManyFrames,
            SocketError::Protocol(ProtocolError::ResetWithoutClosingHandshake)
            | SocketError::Io(_)
            | SocketError::ConnectionClosed
            | SocketError::AlreadyClosed
            | SocketError::Tls(_)
            | SocketError::WriteBufferFull(_)
            | SocketError::Url(_)
            | SocketError::Http(_)
            | SocketError::HttpFormat(_) => Self::Left,
            SocketError::Capacity(_) => Self::TooLong,
            SocketError::Protocol(_) | SocketError::AttackAttempt => Self::Violation,
            SocketError::Utf8(_) => Self::NotUtf8,
        }
    }

    /// The code of RFC 6455 §7.4.1 and one sentence; `None` where nobody listens.
    const fn told(self) -> Option<(CloseCode, &'static str)> {
        match self {
            Self::Left | Self::Deaf => None,
            Self::Stopping => Some((CloseCode::Away, "the gateway stops")),
            Self::Revoked => Some((CloseCode::Policy, "this credential is not valid any more")),
            Self::TooLong => Some((CloseCode::Size, "a message is longer than 1 MiB")),
            Self::TooManyFrames => Some((CloseCode::Policy, "a message has too many frames")),
            Self::TooManyControls => Some((CloseCode::Policy, "too many pings")),
            Self::Late => Some((CloseCode::Policy, "a message did not arrive in time")),
            Self::Silent => Some((CloseCode::Policy, "nothing was heard for too long")),
            Self::Violation => Some((CloseCode::Protocol, "this is not how WebSocket is spoken")),
            Self::NotUtf8 => Some((CloseCode::Invalid, "a text is not UTF-8")),
            Self::Behind => {
                Some((CloseCode::Policy, "news were not taken in time; subscribe again"))
            }
            Self::Lost => {
                Some((CloseCode::Error, "news of the chain were missed; subscribe again"))
            }
        }
    }

    /// Whether the stream of frames can still be followed.
    const fn is_in_order(self) -> bool {
        match self {
            Self::Left
            | Self::Stopping
            | Self::Revoked
            | Self::TooManyControls
            | Self::Silent
            | Self::Behind
            | Self::Lost => true,
            Self::Deaf
            | Self::TooLong
            | Self::TooManyFrames
            | Self::Late
            | Self::Violation
            | Self::NotUtf8 => false,
        }
    }
}

/// A connection that is being served.
struct Talk {
    door: Arc<AgentsDoor>,
    standing: Standing,
    subscriptions: Arc<Subscriptions>,
    /// Ended with the connection: what they would have answered is not delivered.
    calls: JoinSet<Parcel>,
    news: Option<News>,
    heard: Instant,
    is_asked: bool,
    controls: u32,
    controls_since: Instant,
    _presence: Presence,
}

/// What happens next on a connection.
enum Next {
    Answered(Result<Parcel, JoinError>),
    News(Result<Arc<Look>, RecvError>),
    Read(Option<Result<Message, SocketError>>),
    OtherCredentials,
    Stop,
    Time,
}

impl Talk {
    fn new(door: &Arc<AgentsDoor>, standing: Standing, presence: Presence) -> Self {
        let now = Instant::now();
        Self {
            door: Arc::clone(door),
            standing,
            subscriptions: Arc::default(),
            calls: JoinSet::new(),
            news: None,
            heard: now,
            is_asked: false,
            controls: 0,
            controls_since: now,
            _presence: presence,
        }
    }

    async fn run(mut self, upgraded: Upgraded) {
        let config = WebSocketConfig::default()
            .max_message_size(Some(BODY_MAX))
            .max_frame_size(Some(BODY_MAX))
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(READ_BUFFER);
        let io = Counted::new(TokioIo::new(upgraded));
        let mut socket = WebSocketStream::from_raw_socket(io, Role::Server, Some(config)).await;
        let end = match self.go_on(&mut socket).await {
            Ok(never) => match never {},
            Err(end) => end,
        };
        tracing::info!(agent = %self.standing.agent, ?end, "a WebSocket connection ended");
        self.calls.abort_all();
        // whoever does not hear it is gone anyway
        let _in_time = timeout(CLOSE_DEADLINE, close(&mut socket, end)).await;
    }

    async fn go_on(&mut self, socket: &mut Socket) -> Result<std::convert::Infallible, End> {
        let mut credentials = self.door.keyring.changes();
        let mut closing = self.door.closing.clone();
        let mut time = interval(LOOK_EVERY);
        time.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let stops = *closing.borrow();
            if stops && self.calls.is_empty() {
                return Err(End::Stopping);
            }
            let may_read = !stops && self.calls.len() < CALLS_MAX;
            let next = tokio::select! {
                Some(done) = self.calls.join_next() => Next::Answered(done),
                look = heard(&mut self.news) => Next::News(look),
                read = socket.next(), if may_read => Next::Read(read),
                _ = credentials.changed() => Next::OtherCredentials,
                _ = closing.changed(), if !stops => Next::Stop,
                _ = time.tick() => Next::Time,
            };
            match next {
                Next::Answered(done) => self.hand_over(socket, done).await?,
                Next::News(look) => self.tell(socket, look).await?,
                Next::Read(read) => self.take(socket, read)?,
                Next::OtherCredentials if !self.standing.holds(&self.door) => {
                    return Err(End::Revoked);
                }
                Next::OtherCredentials | Next::Stop => {}
                Next::Time => self.look(socket, may_read).await?,
            }
        }
    }

    /// Writes an answer; what was given to the connection counts as delivered.
    async fn hand_over(
        &mut self,
        socket: &mut Socket,
        done: Result<Parcel, JoinError>,
    ) -> Result<(), End> {
        let Ok(parcel) = done else { return Ok(()) };
        let (text, receipts) = parcel.open();
        if let Some(text) = text {
            write(socket, text).await?;
        }
        receipts.into_iter().for_each(Receipt::handed_over);
        self.news = self.subscriptions.news(self.news.take());
        Ok(())
    }

    /// Writes what the subscriptions are to be told.
    async fn tell(
        &mut self,
        socket: &mut Socket,
        look: Result<Arc<Look>, RecvError>,
    ) -> Result<(), End> {
        let look = look.map_err(|error| match error {
            RecvError::Lagged(_) => End::Behind,
            RecvError::Closed => End::Lost,
        })?;
        for event in look.events() {
            for text in self.subscriptions.told(&event) {
                in_time(socket.feed(Message::text(text))).await?;
            }
        }
        in_time(socket.flush()).await
    }

    fn take(
        &mut self,
        socket: &Socket,
        read: Option<Result<Message, SocketError>>,
    ) -> Result<(), End> {
        (self.heard, self.is_asked) = (Instant::now(), false);
        match read {
            None | Some(Ok(Message::Close(_))) => Err(End::Left),
            Some(Err(error)) => Err(End::of(&error, socket)),
            // some clients send their JSON as bytes
            Some(Ok(Message::Binary(bytes))) => self.begin(bytes),
            Some(Ok(Message::Text(text))) => self.begin(text.into()),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => self.count_control(),
            Some(Ok(Message::Frame(_))) => Ok(()),
        }
    }

    fn begin(&mut self, bytes: Bytes) -> Result<(), End> {
        if !self.standing.holds(&self.door) {
            return Err(End::Revoked);
        }
        let visit = self.visit();
        let whole = self.door.whole(("message", "websocket"), &visit, self.standing.trail.as_ref());
        self.calls.spawn(Arc::clone(&self.door).spoken(visit, bytes).instrument(whole));
        Ok(())
    }

    fn visit(&self) -> Visit {
        let setup = self.door.engine.setup();
        let Standing { token: _, agent, chain, said, wait, trail: _, wants_raw_and_tx } =
            &self.standing;
        Visit {
            chain: place::chain_named(chain.as_deref(), &setup),
            setup,
            agent: agent.clone(),
            said: said.clone(),
            wait: *wait,
            wants_raw_and_tx: *wants_raw_and_tx,
            received: self.door.now(),
            began_us: self.door.engine.ports().telemetry.micros(),
            subscriptions: Some(Arc::clone(&self.subscriptions)),
        }
    }

    fn count_control(&mut self) -> Result<(), End> {
        if self.controls_since.elapsed() > CONTROLS_WITHIN {
            (self.controls, self.controls_since) = (0, Instant::now());
        }
        self.controls = self.controls.saturating_add(1);
        if self.controls > CONTROLS_MAX { Err(End::TooManyControls) } else { Ok(()) }
    }

    /// Sees whether time is up.
    async fn look(&mut self, socket: &mut Socket, may_read: bool) -> Result<(), End> {
        if !may_read {
            self.heard = Instant::now();
            socket.get_mut().excuse();
            return Ok(());
        }
        if socket.get_ref().is_late(BODY_DEADLINE) {
            return Err(End::Late);
        }
        let silent_for = self.heard.elapsed();
        if silent_for > IDLE_DEADLINE {
            return Err(End::Silent);
        }
        if silent_for > PING_AFTER && !self.is_asked {
            self.is_asked = true;
            return in_time(socket.send(Message::Ping(Bytes::new()))).await;
        }
        Ok(())
    }
}

/// The next news, where there is a subscription.
async fn heard(news: &mut Option<News>) -> Result<Arc<Look>, RecvError> {
    match news {
        Some(news) => news.recv().await,
        None => std::future::pending().await,
    }
}

async fn write(socket: &mut Socket, text: Bytes) -> Result<(), End> {
    let text = Utf8Bytes::try_from(text).map_err(|_| End::Lost)?;
    in_time(socket.send(Message::Text(text))).await
}

async fn in_time(written: impl Future<Output = Result<(), SocketError>>) -> Result<(), End> {
    match timeout(WRITE_DEADLINE, written).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(End::Left),
        Err(_) => Err(End::Deaf),
    }
}

/// Says why, and waits until the client has heard it: a connection that is dropped with bytes unread is reset, and the
/// client would not learn anything.
async fn close(socket: &mut Socket, end: End) {
    if let Some((code, reason)) = end.told() {
        let frame = CloseFrame { code, reason: reason.into() };
        // an answer to a ping that waits must not come behind it
        if socket.flush().await.is_err() || socket.close(Some(frame)).await.is_err() {
            return;
        }
    }
    if end == End::Deaf {
        return;
    }
    if end.is_in_order() {
        while let Some(Ok(_)) = socket.next().await {}
        return;
    }
    let stream = &mut socket.get_mut().stream;
    let mut sink = [0_u8; 4096];
    while Pin::new(&mut *stream).read(&mut sink).await.is_ok_and(|count| count > 0) {}
}
