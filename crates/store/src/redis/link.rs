//! The calls of scripts: their names, their arguments and what every call says besides.

use std::{
    fmt::{self, Write as _},
    iter,
    sync::Arc,
};

use countersign_core::time::Timestamp;
use countersign_engine::port::ledger::LedgerError;
use redis::{Cmd, FromRedisValue as _};

use super::{
    connections::{Asked, Connections, WeakStore},
    keys::Keys,
    promises::Promises,
    reply::{Reply, damaged},
    scripts::{RIGHTS, Script, Scripts, TimeSource},
};
use crate::lineage::{Anchor, Lineage, Standing, WallClock, Witness};

/// Room in a command for its verb and its key.
const BESIDES: usize = 128;

/// How a test sets the time; see [`TimeSource`].
pub(super) type TestClock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The scripts of one app, as they are called.
pub(super) struct Link {
    connections: Connections,
    keys: Keys,
    scripts: Scripts,
    clock: Option<TestClock>,
    wall: WallClock,
    lineage: Lineage,
}

/// What a link is made of.
pub(super) struct LinkOptions {
    pub(super) connections: Connections,
    pub(super) keys: Keys,
    pub(super) clock: Option<TestClock>,
    pub(super) witness: Witness,
}

/// Never the connections: they know the password.
impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("keys", &self.keys).finish_non_exhaustive()
    }
}

impl Link {
    pub(super) fn new(options: LinkOptions) -> Self {
        let LinkOptions { connections, keys, clock, witness } = options;
        let Witness { known, wall, steady: _, bell } = witness;
        Self {
            connections,
            keys,
            scripts: Scripts::new(time_source(clock.as_ref())),
            wall: clock.clone().unwrap_or(wall),
            clock,
            lineage: Lineage::new(known, bell),
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
        let Proof { standing, anchor, damage, reply } = answer;
        if !damage.is_empty() {
            self.distrust(plain(&damage)).await;
        }
        // where replicas acknowledge, history is what they have
        if script.writes() || self.connections.replicas() == 0 || standing == Standing::Missing {
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
        let command = |named| call.command(&stamp, named, &self.keys);
        let (by_digest, by_text) = (command(("EVALSHA", digest)), || command(("EVAL", text)));
        let asked = Asked { script, by_digest, by_text: &by_text };
        let value = self.connections.run(&asked).await;
        let value = value.map_err(|fault| fault.named(script.writes()))?;
        Proof::read(Reply::parse(value)?)
    }

    /// The error, where it shows that another hand was in the books or that this is not the ledger: told.
    pub(super) async fn noticed(&self, error: LedgerError) -> LedgerError {
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
                    self.distrust(plain(&why)).await;
                }
                LedgerError::Damaged(plain(&why).into())
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

    /// The commands of the scripts that this user may not use.
    pub(super) async fn missing_rights(&self) -> Result<Vec<String>, LedgerError> {
        let names = Vec::from_iter(self.scripts.commands()).join(" ");
        let mut ask = redis::cmd("EVAL");
        ask.arg(RIGHTS).arg(1).arg(self.keys.meta()).arg(names);
        let answer = self.connections.ask(&ask).await.map_err(|fault| fault.named(false))?;
        Vec::from_redis_value(answer).map_err(|_| damaged("rights are no list of texts"))
    }

    /// What is done from now on if the store may forget what it acknowledged.
    pub(super) fn demand(&self, weak: WeakStore) {
        self.connections.demand(weak);
    }

    /// The server that was found last.
    pub(super) fn place(&self) -> Option<String> {
        self.connections.place()
    }

    /// What the server promises now.
    pub(super) async fn promises(&self) -> Result<Promises, LedgerError> {
        self.connections.promises().await.map_err(|fault| fault.named(false))
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

/// What a script found, without what Redis says of the script.
fn plain(why: &str) -> &str {
    let why = why.split(" script: ").next().unwrap_or(why);
    why.strip_prefix("DAMAGED ").unwrap_or(why)
}

/// What a script answered, and how the store stands to what this gateway has seen.
struct Proof {
    standing: Standing,
    anchor: Anchor,
    // of what a list leaves out; empty where there is none
    damage: String,
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
        let damage = stands.text()?;
        Ok(Self { standing, anchor, damage, reply: answer.list()? })
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

/// Named arguments of one script call, and the fields of the record that it makes: names and values in turn.
#[derive(Debug, Default)]
pub(super) struct Call {
    text: String,
    /// Where each part ends.
    ends: Vec<usize>,
}

impl Call {
    pub(super) fn new() -> Self {
        Self::default()
    }

    pub(super) fn arg(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.push(format_args!("{name}"));
        self.push(format_args!("{value}"));
        self
    }

    /// An argument that scripts find absent where there is none.
    pub(super) fn maybe(self, name: &str, value: Option<impl fmt::Display>) -> Self {
        match value {
            Some(value) => self.arg(name, value),
            None => self,
        }
    }

    /// A field of the record.
    pub(super) fn field(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.push(format_args!("={name}"));
        self.push(format_args!("{value}"));
        self
    }

    /// A field of the record, absent where there is none.
    pub(super) fn maybe_field(self, name: &str, value: Option<impl fmt::Display>) -> Self {
        match value {
            Some(value) => self.field(name, value),
            None => self,
        }
    }

    /// One more step of a script that takes several, with its own arguments.
    pub(super) fn step(mut self, name: &str, arguments: [&Self; 2]) -> Self {
        self.push(format_args!("+"));
        self.push(format_args!("{name}"));
        for call in arguments {
            let behind = self.text.len();
            self.text.push_str(&call.text);
            self.ends.extend(call.ends.iter().map(|end| end.saturating_add(behind)));
        }
        self
    }

    /// How many bytes it has.
    pub(super) const fn len(&self) -> usize {
        self.text.len()
    }

    fn push(&mut self, part: fmt::Arguments<'_>) {
        // INVARIANT: writing into a string does not fail
        self.text.write_fmt(part).unwrap_or_default();
        self.ends.push(self.text.len());
    }

    fn parts(&self) -> impl Iterator<Item = &str> {
        let begins = iter::once(0).chain(self.ends.iter().copied());
        begins.zip(&self.ends).map(|(begin, end)| self.text.get(begin..*end).unwrap_or_default())
    }

    /// The fields of a record and nothing else, as names and values in turn.
    pub(super) fn into_fields(self) -> Vec<String> {
        let parts: Vec<&str> = self.parts().collect();
        let field = |pair: &[&str]| match pair {
            [name, value] => name.strip_prefix('=').map(|name| [name.to_owned(), (*value).into()]),
            _ => None,
        };
        parts.chunks(2).filter_map(field).flatten().collect()
    }

    /// A script's command by its digest or its text, with its stamp and these arguments.
    fn command(&self, stamp: &Self, (verb, body): (&str, &str), keys: &Keys) -> Cmd {
        let parts = [stamp, self].into_iter();
        let count = parts.clone().map(|call| call.ends.len()).fold(4, usize::saturating_add);
        let bytes = parts.map(|call| call.text.len()).fold(body.len(), usize::saturating_add);
        let mut command = Cmd::with_capacity(count, bytes.saturating_add(BESIDES));
        command.arg(verb).arg(body).arg(1).arg(keys.meta());
        for part in stamp.parts().chain(self.parts()) {
            command.arg(part);
        }
        command
    }
}
