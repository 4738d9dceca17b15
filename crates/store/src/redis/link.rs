//! One connection to Redis that is made again when it breaks; calls with a deadline; errors by cause.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
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
    reply::{Reply, damaged},
    scripts::{Script, Scripts, TimeSource},
};
use crate::lineage::{Anchor, Lineage, Standing, WallClock, Witness};

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
    wall: WallClock,
    lineage: Lineage,
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
    pub(super) witness: Witness,
}

/// Never the client: it knows the password.
impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("keys", &self.keys).finish_non_exhaustive()
    }
}

impl Link {
    pub(super) fn new(options: LinkOptions) -> Self {
        let LinkOptions { client, keys, deadline: Millis(deadline), replicas, clock, witness } =
            options;
        let Witness { known, wall, steady: _, bell } = witness;
        Self {
            client,
            keys,
            scripts: Scripts::new(time_source(clock.as_ref())),
            deadline: Duration::from_millis(deadline),
            replicas,
            wall: clock.clone().unwrap_or(wall),
            clock,
            lineage: Lineage::new(known, bell),
            live: Mutex::new(None),
            connecting: tokio::sync::Mutex::new(()),
        }
    }

    /// Runs a script. Where no answer comes, a script that cannot have begun is `Unavailable`. Whatever the store's
    /// answer shows of its history, its books or its clock is noticed before the caller has it.
    pub(super) async fn run(&self, script: Script, call: Call) -> Result<Reply, LedgerError> {
        match self.proven(script, &call).await {
            Ok(reply) => Ok(reply),
            Err(error) => Err(self.noticed(error).await),
        }
    }

    async fn proven(&self, script: Script, call: &Call) -> Result<Reply, LedgerError> {
        let mut answer = self.call(script, call).await?;
        let is_news = answer.standing == Standing::Missing && self.lineage.gap().is_none();
        if is_news && !script.writes() {
            // what only reads cannot seal, and its answer shall show the seal
            self.call(Script::Prove, &Call::new()).await?;
            answer = self.call(script, call).await?;
        }
        let Proof { standing, anchor, reply } = answer;
        // where replicas acknowledge, history is what they have
        if script.writes() || self.replicas == 0 || standing == Standing::Missing {
            self.lineage.take(standing, anchor);
        }
        if script.writes() && !script.is_regardless() {
            self.lineage.clocks_agree();
        }
        Ok(reply)
    }

    async fn call(&self, script: Script, call: &Call) -> Result<Proof, LedgerError> {
        let stamp = self.stamp(script);
        let (digest, text) = self.scripts.digest_and_text(script);
        let command = |verb, body| call.command(&stamp, redis::cmd(verb).arg(body), &self.keys);
        let answer = match self.send(&command("EVALSHA", digest)).await {
            // nothing ran, so the text may be sent instead; Redis knows it from then on
            Err(Fault::NoScript) => self.send(&command("EVAL", text)).await,
            other => other,
        };
        let Answer { value, carrier } = answer.map_err(|fault| fault.named(script.writes()))?;
        if script.writes() && self.replicas > 0 {
            self.acknowledged(&carrier).await?;
        }
        Proof::read(Reply::parse(value)?)
    }

    async fn noticed(&self, error: LedgerError) -> LedgerError {
        match error {
            LedgerError::Lost(why) => {
                let known = self.lineage.anchor();
                let known = known.map_or_else(String::new, |anchor| format!("; known is {anchor}"));
                let text = format!("{why}{known}");
                self.lineage.missing(text.clone());
                LedgerError::Lost(text)
            }
            LedgerError::Clock(why) => {
                self.lineage.clocks_disagree(&why);
                LedgerError::Clock(why)
            }
            LedgerError::Damaged(why) => {
                if TAMPERED.iter().any(|words| why.starts_with(words)) {
                    self.distrust(&why).await;
                }
                LedgerError::Damaged(why)
            }
            LedgerError::Unavailable(_) | LedgerError::Ambiguous(_) | LedgerError::Refused(_) => {
                error
            }
        }
    }

    /// Another hand was in the books: tells it, and seals the ledger unless it is sealed already.
    pub(super) async fn distrust(&self, why: &str) {
        self.lineage.damaged(why);
        let reason = format!("the books are damaged: {why}");
        let seal = Call::new().arg("reason", reason).arg("first", "yes");
        if let Err(error) = self.call(Script::Seal, &seal).await {
            tracing::error!(%error, "damaged books are not sealed");
        }
    }

    /// What this gateway has seen of its ledger.
    pub(super) const fn lineage(&self) -> &Lineage {
        &self.lineage
    }

    /// The clock that the store's is held against.
    pub(super) fn wall(&self) -> Timestamp {
        (self.wall)()
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

    /// What every call says of this gateway: which ledger it means, what it saw of it last, and its own time.
    fn stamp(&self, script: Script) -> Call {
        let mut stamp = Call::new()
            .arg("wall", self.wall().millis())
            .maybe("regardless", script.is_regardless().then_some("yes"))
            .maybe("clock", self.clock.as_ref().map(|clock| clock().millis()));
        if let Some(Anchor { ledger_id, epoch, sequence, head }) = self.lineage.anchor() {
            stamp = stamp
                .arg("ledger", ledger_id)
                .arg("epoch", epoch)
                .arg("seen", sequence)
                .arg("head", head);
        }
        stamp
    }
}

/// How scripts begin that found what no function of ours would have left.
const TAMPERED: [&str; 3] = ["DAMAGED ", "WRONGTYPE ", "ERR user_script"];

/// What a script answered, and how the store stands to what this gateway has seen.
struct Proof {
    standing: Standing,
    anchor: Anchor,
    reply: Reply,
}

impl Proof {
    fn read(mut answer: Reply) -> Result<Self, LedgerError> {
        let mut stands = answer.list()?;
        let (ledger_id, epoch) = (stands.text()?, stands.number()?);
        let (sequence, head) = (stands.number()?, stands.text()?);
        let standing = match stands.text()?.as_str() {
            "proven" => Standing::Proven,
            "accepted" => Standing::Accepted,
            "replaced" => Standing::Replaced,
            "missing" => Standing::Missing,
            other => return Err(damaged(&format!("a history is `{other}`"))),
        };
        let anchor = Anchor { ledger_id, epoch, sequence, head };
        Ok(Self { standing, anchor, reply: answer.list()? })
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

    /// The command with its stamp and these arguments.
    fn command(&self, stamp: &Self, command: &mut Cmd, keys: &Keys) -> Cmd {
        command.arg(1).arg(keys.meta());
        for part in stamp.0.iter().chain(&self.0) {
            command.arg(part);
        }
        command.to_owned()
    }
}
