//! The connections to the server that holds the ledger: made when they are needed, left when they lead nowhere.
//!
//! One is shared by all calls. A write that replicas must acknowledge has one for itself until they have: `WAIT` counts
//! what its own connection wrote, and holds up whatever comes behind it there.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use countersign_core::time::Millis;
use countersign_engine::port::alarm::{Alarm, Bell};
use redis::{Cmd, FromRedisValue, Value, aio::MultiplexedConnection};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::{
    fault::Fault,
    promises::Promises,
    scripts::Script,
    told::{Process, Told},
    way::Way,
};

/// How many writes may wait for replicas at the same time. Further ones wait in turn, within their deadlines.
const ACKNOWLEDGED_AT_ONCE: usize = 16;

/// How often the server is looked for within one call, where a server said that another one holds the ledger.
const SEARCHES_MAX: u32 = 3;

/// What is done where the store may forget what it acknowledged: durability class D.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WeakStore {
    /// Nothing new is reserved or bound for as long as it is one, after a failover too.
    Refused,
    /// It is used like any other.
    Accepted,
}

/// The connections of one app.
pub(super) struct Connections {
    way: Way,
    slot: u16,
    deadline: Duration,
    replicas: u32,
    weak: Mutex<WeakStore>,
    shared: Mutex<Option<Live>>,
    // so that a crowd makes one new connection, not one each
    connecting: tokio::sync::Mutex<()>,
    spare: Mutex<Vec<Live>>,
    turns: Semaphore,
    leads_to: Mutex<Destination>,
    bell: Bell,
    // so that it is told once, not with every call
    is_refused: AtomicBool,
}

/// What connections are made of.
pub(super) struct ConnectionOptions {
    pub(super) way: Way,
    pub(super) slot: u16,
    pub(super) deadline: Millis,
    pub(super) replicas: u32,
    pub(super) weak: WeakStore,
    pub(super) bell: Bell,
}

/// The one server that all connections lead to. Those of an earlier generation led to another one.
#[derive(Debug, Default)]
struct Destination {
    generation: u64,
    server: Option<(Process, Promises)>,
    // it is looked for again, and may be found to be the same
    left: bool,
}

impl Destination {
    fn is(&self, process: &Process) -> bool {
        self.server.as_ref().is_some_and(|(known, _)| known == process)
    }

    const fn next(&mut self) {
        self.generation = self.generation.wrapping_add(1);
    }
}

/// A connection, and whether its end was noticed.
#[derive(Clone)]
struct Live {
    connection: MultiplexedConnection,
    ended: Arc<AtomicBool>,
    generation: u64,
}

/// A connection for one call alone. It is closed unless it is given back.
struct Own<'c> {
    live: Live,
    _turn: SemaphorePermit<'c>,
}

/// A script to be run, by its digest and by its text.
pub(super) struct Asked<'a> {
    pub(super) script: Script,
    pub(super) by_digest: Cmd,
    pub(super) by_text: &'a (dyn Fn() -> Cmd + Sync),
}

impl Connections {
    pub(super) fn new(options: ConnectionOptions) -> Self {
        let ConnectionOptions { way, slot, deadline, replicas, weak, bell } = options;
        Self {
            way,
            slot,
            deadline: Duration::from_millis(deadline.0),
            replicas,
            weak: Mutex::new(weak),
            shared: Mutex::default(),
            connecting: tokio::sync::Mutex::default(),
            spare: Mutex::default(),
            turns: Semaphore::new(ACKNOWLEDGED_AT_ONCE),
            leads_to: Mutex::default(),
            bell,
            is_refused: AtomicBool::new(false),
        }
    }

    /// Runs a script, once. Where no answer comes, one that cannot have begun is not `Lost`.
    pub(super) async fn run(&self, asked: &Asked<'_>) -> Result<Value, Fault> {
        let mut sent = None;
        let answer = tokio::time::timeout(self.deadline, self.searched(asked, &mut sent)).await;
        self.in_time(answer.ok(), sent)
    }

    /// Sends one command that changes nothing.
    pub(super) async fn ask(&self, command: &Cmd) -> Result<Value, Fault> {
        let mut sent = None;
        let asked = async { self.over(sent.insert(self.shared().await?), command).await };
        let answer = tokio::time::timeout(self.deadline, asked).await;
        self.in_time(answer.ok(), sent)
    }

    /// What the server promises now.
    pub(super) async fn promises(&self) -> Result<Promises, Fault> {
        let mut sent = None;
        let answer = tokio::time::timeout(self.deadline, self.asked_again(&mut sent)).await;
        self.in_time(answer.ok(), sent)
    }

    /// What is done from now on if the store may forget what it acknowledged.
    pub(super) fn demand(&self, weak: WeakStore) {
        *locked(&self.weak) = weak;
    }

    /// How many replicas must acknowledge a write.
    pub(super) const fn replicas(&self) -> u32 {
        self.replicas
    }

    fn in_time<T>(&self, answer: Option<Result<T, Fault>>, sent: Option<Live>) -> Result<T, Fault> {
        let answer = match (answer, sent) {
            (Some(answer), _) => answer,
            (None, Some(live)) => {
                self.leave(&live);
                Err(Fault::Lost("no answer within the deadline".into()))
            }
            (None, None) => Err(Fault::NotSent("no connection within the deadline".into())),
        };
        match &answer {
            Ok(_) => self.is_refused.store(false, Ordering::Release),
            Err(fault) if fault.is_of_rights() => {
                if !self.is_refused.swap(true, Ordering::AcqRel) {
                    (self.bell)(Alarm::StoreRefuses(fault.clone().text()));
                }
            }
            Err(_) => {}
        }
        answer
    }

    /// The server that was found last.
    pub(super) fn place(&self) -> Option<String> {
        let leads_to = self.leads_to();
        leads_to.server.as_ref().map(|(process, _)| process.place.clone())
    }

    /// Where a server proves that nothing ran and that another one holds the ledger, that one is asked at once.
    async fn searched(&self, asked: &Asked<'_>, sent: &mut Option<Live>) -> Result<Value, Fault> {
        let mut elsewhere = String::new();
        for _ in 0..SEARCHES_MAX {
            match self.once(asked, sent).await {
                Err(Fault::Moved(text)) => (elsewhere, *sent) = (text, None),
                answer => return answer,
            }
        }
        Err(Fault::Moved(elsewhere))
    }

    async fn once(&self, asked: &Asked<'_>, sent: &mut Option<Live>) -> Result<Value, Fault> {
        if asked.script.writes() && self.replicas > 0 {
            let own = self.own().await?;
            self.permit(&own.live, asked.script)?;
            *sent = Some(own.live.clone());
            let answer = self.acknowledged(&own.live, asked).await;
            if !matches!(answer, Err(Fault::Lost(_))) {
                self.give_back(own);
            }
            return answer;
        }
        let live = self.shared().await?;
        self.permit(&live, asked.script)?;
        self.known_or_not(sent.insert(live), asked).await
    }

    async fn known_or_not(&self, live: &Live, asked: &Asked<'_>) -> Result<Value, Fault> {
        match self.over(live, &asked.by_digest).await {
            // nothing ran, so the text may be sent instead; Redis knows it from then on
            Err(Fault::NoScript) => self.over(live, &(asked.by_text)()).await,
            answer => answer,
        }
    }

    /// Nothing is asked of a server that may drop keys, and nothing is bound on one that may forget them.
    fn permit(&self, live: &Live, script: Script) -> Result<(), Fault> {
        let leads_to = self.leads_to();
        let promises = match &leads_to.server {
            Some((_, promises)) if leads_to.generation == live.generation => promises,
            Some(_) | None => return Err(Fault::Moved("the server changed meanwhile".into())),
        };
        if let Some(policy) = promises.eviction() {
            return Err(Fault::NotSent(format!(
                "the server has maxmemory-policy `{policy}`, under which it may drop parts of the ledger"
            )));
        }
        match promises.class(self.replicas) {
            ('D', why) if *locked(&self.weak) == WeakStore::Refused && script.binds() => {
                Err(Fault::NotSent(format!(
                    "the store's durability is class D ({why}): nothing new is signed on it"
                )))
            }
            _ => Ok(()),
        }
    }

    /// Writes, and waits until every replica that the options name has what this connection wrote.
    async fn acknowledged(&self, live: &Live, asked: &Asked<'_>) -> Result<Value, Fault> {
        let answer = self.known_or_not(live, asked).await?;
        // so that the server's own answer comes before the deadline
        let patience =
            self.deadline.saturating_sub(self.deadline.checked_div(8).unwrap_or_default());
        let mut wait = redis::cmd("WAIT");
        wait.arg(self.replicas).arg(patience.as_millis().to_string());
        let count = self.over(live, &wait).await.map_err(|fault| Fault::Lost(fault.text()))?;
        let count = i64::from_redis_value(count).unwrap_or(0);
        if count >= i64::from(self.replicas) {
            return Ok(answer);
        }
        // a server that its replicas have left may be the master no more
        self.leave(live);
        Err(Fault::Lost(format!(
            "{count} of {} replicas have acknowledged the write",
            self.replicas
        )))
    }

    /// Sends over this connection and no other.
    async fn over(&self, live: &Live, command: &Cmd) -> Result<Value, Fault> {
        let answer = live.connection.clone().send_packed_command(command).await;
        let answer = answer.and_then(Value::extract_error);
        self.judged(live, answer.map_err(|error| Fault::read(&error)))
    }

    fn judged(&self, live: &Live, answer: Result<Value, Fault>) -> Result<Value, Fault> {
        if let Err(Fault::Lost(_) | Fault::Moved(_) | Fault::Away(_)) = answer {
            self.leave(live);
        }
        answer
    }

    async fn asked_again(&self, sent: &mut Option<Live>) -> Result<Promises, Fault> {
        let live = sent.insert(self.shared().await?);
        let place = match &self.leads_to().server {
            Some((Process { place, .. }, _)) => place.clone(),
            None => String::new(),
        };
        let mut connection = live.connection.clone();
        let asked = async {
            let told = Told::ask(&mut connection, &place).await?;
            match told.role() {
                Some("master") => Promises::ask(&mut connection, &told).await,
                Some(_) | None => Err("the server is a master no more".to_owned()),
            }
        };
        let promises = asked.await.map_err(Fault::NotSent).inspect_err(|_| self.leave(live))?;
        let mut leads_to = self.leads_to();
        if leads_to.generation == live.generation
            && let Some((_, known)) = &mut leads_to.server
        {
            self.compare(known, &promises);
            known.clone_from(&promises);
        }
        drop(leads_to);
        Ok(promises)
    }

    async fn shared(&self) -> Result<Live, Fault> {
        if let Some(live) = self.usable(locked(&self.shared).clone()) {
            return Ok(live);
        }
        let _turn = self.connecting.lock().await;
        if let Some(live) = self.usable(locked(&self.shared).clone()) {
            return Ok(live);
        }
        let live = self.connect().await?;
        *locked(&self.shared) = Some(live.clone());
        Ok(live)
    }

    async fn own(&self) -> Result<Own<'_>, Fault> {
        let turn = self.turns.acquire().await.map_err(|error| Fault::NotSent(error.to_string()))?;
        let spare = std::iter::from_fn(|| locked(&self.spare).pop());
        let spare = spare.map(Some).find_map(|live| self.usable(live));
        let live = match spare {
            Some(live) => live,
            None => self.connect().await?,
        };
        Ok(Own { live, _turn: turn })
    }

    fn give_back(&self, own: Own<'_>) {
        locked(&self.spare).extend(self.usable(Some(own.live)));
    }

    fn usable(&self, live: Option<Live>) -> Option<Live> {
        let generation = self.leads_to().generation;
        live.filter(|live| live.generation == generation && !live.ended.load(Ordering::Acquire))
    }

    async fn connect(&self) -> Result<Live, Fault> {
        let found = self.way.find(self.slot, self.deadline).await.map_err(Fault::NotSent)?;
        let mut connection = found.connection;
        let process = found.told.process();
        if let Some(generation) = self.generation_at(&process) {
            return Ok(Live { connection, ended: found.ended, generation });
        }
        let promises = Promises::ask(&mut connection, &found.told).await;
        let generation = self.arrive(process, promises.map_err(Fault::NotSent)?);
        Ok(Live { connection, ended: found.ended, generation })
    }

    /// `None` where this server's promises are not known, or may have changed.
    fn generation_at(&self, process: &Process) -> Option<u64> {
        let leads_to = self.leads_to();
        (leads_to.is(process) && !leads_to.left).then_some(leads_to.generation)
    }

    /// What led to another server, or to this one before its restart, is not used any more.
    fn arrive(&self, process: Process, promises: Promises) -> u64 {
        let mut leads_to = self.leads_to();
        if !leads_to.is(&process) {
            leads_to.next();
            let (class, why) = promises.class(self.replicas);
            tracing::info!(server = process.place, %class, why, "the ledger is at this server");
        }
        if let Some((_, before)) = &leads_to.server {
            self.compare(before, &promises);
        }
        (leads_to.server, leads_to.left) = (Some((process, promises)), false);
        leads_to.generation
    }

    fn compare(&self, before: &Promises, now: &Promises) {
        let (class, why) = now.class(self.replicas);
        if class == 'D' && before.class(self.replicas).0 != class {
            (self.bell)(Alarm::StoreWeakened(format!(
                "its durability has fallen to class D: {why}"
            )));
        }
    }

    /// This server is of no use now: the next call looks again where the ledger is. What was connected since stays.
    fn leave(&self, live: &Live) {
        let mut leads_to = self.leads_to();
        if leads_to.generation == live.generation {
            leads_to.next();
            leads_to.left = true;
            self.way.doubt();
        }
    }

    fn leads_to(&self) -> MutexGuard<'_, Destination> {
        locked(&self.leads_to)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
