//! One connection to Redis that is made again when it breaks; calls with a deadline; errors by cause.

use std::{
    fmt,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use countersign_core::time::{Millis, Timestamp};
use countersign_engine::port::ledger::LedgerError;
use redis::{
    AsyncConnectionConfig, Client, Cmd, FromRedisValue, PushInfo, PushKind, Value,
    aio::MultiplexedConnection,
};

use super::{
    fault::{Fault, words},
    keys::Keys,
    reply::Reply,
    scripts::{Script, Scripts, TimeSource},
};

/// How a test sets the time; see [`TimeSource`].
pub(super) type TestClock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The way to one Redis.
pub(super) struct Link {
    client: Client,
    keys: Keys,
    scripts: Scripts,
    deadline: Duration,
    replicas: u32,
    clock: Option<TestClock>,
    ledger: OnceLock<String>,
    live: Mutex<Option<Live>>,
    // so that a crowd makes one new connection, not one each
    connecting: tokio::sync::Mutex<()>,
}

/// A connection, and whether its end was noticed.
#[derive(Clone)]
struct Live {
    connection: MultiplexedConnection,
    ended: Arc<AtomicBool>,
}

/// What the server answered, and over which connection.
struct Answer {
    value: Value,
    carrier: Live,
}

/// What a link is made of.
pub(super) struct LinkOptions {
    pub(super) client: Client,
    pub(super) keys: Keys,
    pub(super) deadline: Millis,
    pub(super) replicas: u32,
    pub(super) clock: Option<TestClock>,
}

/// Never the client: it knows the password.
impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("keys", &self.keys).finish_non_exhaustive()
    }
}

impl Link {
    pub(super) fn new(options: LinkOptions) -> Self {
        let LinkOptions { client, keys, deadline: Millis(deadline), replicas, clock } = options;
        Self {
            client,
            keys,
            scripts: Scripts::new(time_source(clock.as_ref())),
            deadline: Duration::from_millis(deadline),
            replicas,
            clock,
            ledger: OnceLock::new(),
            live: Mutex::new(None),
            connecting: tokio::sync::Mutex::new(()),
        }
    }

    /// Runs a script. Where no answer comes, a script that cannot have begun is `Unavailable`.
    pub(super) async fn run(&self, script: Script, call: Call) -> Result<Reply, LedgerError> {
        let call = self.stamped(call);
        let (digest, text) = self.scripts.digest_and_text(script);
        let evalsha = call.command("EVALSHA", digest, &self.keys);
        let answer = match self.send(&evalsha).await {
            // nothing ran, so the text may be sent instead; Redis knows it from then on
            Err(Fault::NoScript) => self.send(&call.command("EVAL", text, &self.keys)).await,
            other => other,
        };
        let Answer { value, carrier } = answer.map_err(|fault| fault.named(script.writes()))?;
        if script.writes() && self.replicas > 0 {
            self.acknowledged(&carrier).await?;
        }
        Reply::parse(value)
    }

    /// Sends one command that changes nothing.
    pub(super) async fn ask(&self, command: &Cmd) -> Result<Value, LedgerError> {
        let answer = self.send(command).await.map_err(|fault| fault.named(false))?;
        Ok(answer.value)
    }

    /// Waits until every replica that the options name has what this connection wrote. No other connection can tell:
    /// the server counts for each what it wrote itself, and another may lead to another server.
    async fn acknowledged(&self, carrier: &Live) -> Result<(), LedgerError> {
        let within = self.deadline.as_millis().to_string();
        let mut wait = redis::cmd("WAIT");
        wait.arg(self.replicas).arg(within);
        let ambiguous = |why: String| LedgerError::Ambiguous(why);
        let answer = tokio::time::timeout(self.deadline, self.over(carrier, &wait)).await;
        let answer = answer.unwrap_or_else(|_| Err(self.silent(carrier)));
        let count = answer.map_err(|fault| ambiguous(fault.text()))?;
        let count = i64::from_redis_value(count).unwrap_or(0);
        if count >= i64::from(self.replicas) {
            return Ok(());
        }
        Err(ambiguous("not every replica has acknowledged the write".into()))
    }

    async fn send(&self, command: &Cmd) -> Result<Answer, Fault> {
        let mut carrier = None;
        let answer = tokio::time::timeout(self.deadline, self.attempt(command, &mut carrier)).await;
        match (answer, carrier) {
            (Ok(answer), _) => answer,
            (Err(_), Some(carrier)) => Err(self.silent(&carrier)),
            (Err(_), None) => Err(Fault::NotSent("no connection within the deadline".into())),
        }
    }

    async fn attempt(&self, command: &Cmd, carrier: &mut Option<Live>) -> Result<Answer, Fault> {
        let live = carrier.insert(self.live().await?);
        let value = self.over(live, command).await?;
        Ok(Answer { value, carrier: live.clone() })
    }

    /// Sends over this connection and no other.
    async fn over(&self, carrier: &Live, command: &Cmd) -> Result<Value, Fault> {
        let answer = carrier.connection.clone().send_packed_command(command).await;
        let answer = answer.and_then(Value::extract_error).map_err(|error| Fault::read(&error));
        if let Err(Fault::Lost(_) | Fault::Moved(_) | Fault::Away(_)) = answer {
            self.hang_up(carrier);
        }
        answer
    }

    fn silent(&self, carrier: &Live) -> Fault {
        self.hang_up(carrier);
        Fault::Lost("no answer within the deadline".into())
    }

    async fn live(&self) -> Result<Live, Fault> {
        if let Some(live) = self.connected() {
            return Ok(live);
        }
        let _turn = self.connecting.lock().await;
        if let Some(live) = self.connected() {
            return Ok(live);
        }
        let live = self.connect().await?;
        *self.slot() = Some(live.clone());
        Ok(live)
    }

    async fn connect(&self) -> Result<Live, Fault> {
        let ended = Arc::new(AtomicBool::new(false));
        let notice = Arc::clone(&ended);
        let sender = move |push: PushInfo| -> Result<(), redis::aio::SendError> {
            if push.kind == PushKind::Disconnection {
                notice.store(true, Ordering::Release);
            }
            Ok(())
        };
        // our own deadline holds for all of it
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(None)
            .set_push_sender(sender);
        let made = self.client.get_multiplexed_async_connection_with_config(&config).await;
        let mut connection = made.map_err(|error| Fault::NotSent(words(&error)))?;
        refuse_replica(&mut connection).await?;
        Ok(Live { connection, ended })
    }

    fn connected(&self) -> Option<Live> {
        let live = self.slot().clone()?;
        (!live.ended.load(Ordering::Acquire)).then_some(live)
    }

    /// Forgets this connection, not one that was made since: what is still to come on it answers calls that nobody
    /// waits for.
    fn hang_up(&self, carrier: &Live) {
        let mut slot = self.slot();
        if slot.as_ref().is_some_and(|live| Arc::ptr_eq(&live.ended, &carrier.ended)) {
            *slot = None;
        }
    }

    fn slot(&self) -> std::sync::MutexGuard<'_, Option<Live>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Which ledger every call from now on is meant for: a store that is another one by then, or empty, refuses it.
    pub(super) fn know(&self, ledger_id: String) {
        // the first ledger that this process opened stays the one that it knows
        self.ledger.get_or_init(|| ledger_id);
    }

    fn stamped(&self, call: Call) -> Call {
        let call = match self.ledger.get() {
            Some(ledger) => call.arg("ledger", ledger),
            None => call,
        };
        match &self.clock {
            Some(clock) => call.arg("clock", clock().millis()),
            None => call,
        }
    }
}

#[cfg(test)]
const fn time_source(clock: Option<&TestClock>) -> TimeSource {
    if clock.is_some() { TimeSource::Test } else { TimeSource::Store }
}

#[cfg(not(test))]
const fn time_source(_: Option<&TestClock>) -> TimeSource {
    TimeSource::Store
}

/// Money is never read from a replica: what it shows may be old.
async fn refuse_replica(connection: &mut MultiplexedConnection) -> Result<(), Fault> {
    let mut info = redis::cmd("INFO");
    info.arg("replication");
    // a server that does not say is found out by its first refused write
    let answer = connection.send_packed_command(&info).await.unwrap_or(Value::Nil);
    let text = String::from_redis_value(answer).unwrap_or_default();
    if text.lines().any(|line| line.trim_end() == "role:slave") {
        return Err(Fault::NotSent("this server is a replica".into()));
    }
    Ok(())
}

/// Named arguments of one script call, and the fields of the record that it makes.
#[derive(Debug, Default)]
pub(super) struct Call(Vec<Vec<u8>>);

impl Call {
    pub(super) fn new() -> Self {
        Self::default()
    }

    #[expect(
        clippy::needless_pass_by_value,
        reason = "callers give what they have, by value or not"
    )]
    pub(super) fn arg(mut self, name: &str, value: impl ToString) -> Self {
        self.0.push(name.into());
        self.0.push(value.to_string().into_bytes());
        self
    }

    /// An argument that scripts find absent where there is none.
    pub(super) fn maybe(self, name: &str, value: Option<impl ToString>) -> Self {
        match value {
            Some(value) => self.arg(name, value),
            None => self,
        }
    }

    /// A field of the record.
    pub(super) fn field(self, name: &str, value: impl ToString) -> Self {
        self.arg(&format!("={name}"), value)
    }

    /// A field of the record, absent where there is none.
    pub(super) fn maybe_field(self, name: &str, value: Option<impl ToString>) -> Self {
        self.maybe(&format!("={name}"), value)
    }

    fn command(&self, verb: &str, script: &str, keys: &Keys) -> Cmd {
        let mut command = redis::cmd(verb);
        command.arg(script).arg(1).arg(keys.meta());
        for part in &self.0 {
            command.arg(part);
        }
        command
    }
}
