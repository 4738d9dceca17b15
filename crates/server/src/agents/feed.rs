//! What happens on a chain, for everybody who subscribed to it: one look at the node for all of them.
//!
//! A feed begins with the first subscription to its chain and ends with the last. Nobody waits for a slow listener: who
//! does not keep up loses its place, and is told.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use countersign_core::identity::ChainId;
use countersign_engine::{Engine, port::Chain, submission::Unavailable};
use tokio::{
    sync::{broadcast, mpsc, oneshot},
    time::{Instant, MissedTickBehavior, interval, timeout},
};

use self::memory::{Memory, Unseen};
pub(crate) use self::{
    block::{Block, Log},
    memory::{Event, Look},
};

mod block;
mod memory;

/// How often a chain is looked at. Asking for the head is shared with whoever else needs it.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How many looks a listener may be behind.
const LOOKS_KEPT: usize = 16;
/// The most subscriptions that wait to begin.
const JOINS_MAX: usize = 256;
/// How long a chain may not be seen before those who listen are told, by the end of their connections: silence looks
/// like a chain on which nothing happens.
const BLIND_MAX: Duration = Duration::from_mins(1);
/// How long the beginning may take.
const JOIN_DEADLINE: Duration = Duration::from_secs(15);

/// Where a connection hears what happens.
pub(crate) type News = broadcast::Receiver<Arc<Look>>;

/// The feeds that run, one for each chain.
#[derive(Debug, Clone, Default)]
pub(crate) struct Feeds(Arc<Mutex<BTreeMap<ChainId, mpsc::Sender<Join>>>>);

/// Somebody who wants to listen.
#[derive(Debug)]
struct Join {
    logs: bool,
    reply: oneshot::Sender<News>,
}

impl Feeds {
    /// Listens to a chain from now on: everything that comes after this answer is heard.
    pub(crate) async fn join(
        &self,
        engine: &Arc<Engine>,
        chain: ChainId,
        logs: bool,
    ) -> Result<News, Unavailable> {
        let (reply, news) = oneshot::channel();
        let sent = self.running(engine, chain).try_send(Join { logs, reply });
        let unavailable = || Unavailable {
            code: "upstream_unavailable",
            reason: format!("no node of chain {chain} answers"),
        };
        sent.map_err(|_| unavailable())?;
        let joined = timeout(JOIN_DEADLINE, news).await;
        joined.ok().and_then(Result::ok).ok_or_else(unavailable)
    }

    fn running(&self, engine: &Arc<Engine>, chain: ChainId) -> mpsc::Sender<Join> {
        let mut feeds = self.feeds();
        if let Some(feed) = feeds.get(&chain).filter(|feed| !feed.is_closed()) {
            return feed.clone();
        }
        let (sender, joins) = mpsc::channel(JOINS_MAX);
        feeds.insert(chain, sender.clone());
        let feed = Feed {
            engine: Arc::clone(engine),
            chain,
            joins,
            news: broadcast::Sender::new(LOOKS_KEPT),
            memory: Memory::default(),
            logs: false,
            seen: Instant::now(),
        };
        engine.ports().clock.spawn(Box::pin(feed.run()));
        sender
    }

    fn feeds(&self) -> MutexGuard<'_, BTreeMap<ChainId, mpsc::Sender<Join>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks at one chain for all who listen.
#[derive(Debug)]
struct Feed {
    engine: Arc<Engine>,
    chain: ChainId,
    joins: mpsc::Receiver<Join>,
    news: broadcast::Sender<Arc<Look>>,
    memory: Memory,
    /// Whether anybody has asked for logs since it began.
    logs: bool,
    /// When the chain was seen last.
    seen: Instant,
}

/// A feed ends: nobody listens, its chain is not served any more, or nobody can say what was missed.
struct Over;

impl Feed {
    async fn run(mut self) {
        let mut time = interval(LOOK_EVERY);
        time.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // the first one is now
        time.tick().await;
        loop {
            let gone_on = tokio::select! {
                Some(join) = self.joins.recv() => self.admit(join).await,
                _ = time.tick() => self.look().await,
            };
            if gone_on.is_err() {
                return;
            }
        }
    }

    /// Lets somebody listen, once it is known where the chain stands: between two looks, so that nothing falls
    /// between.
    async fn admit(&mut self, join: Join) -> Result<(), Over> {
        if self.memory.is_empty() {
            let port = self.port()?;
            let begun = self.memory.begin(&*port).await;
            // who waits is told by the end of the channel
            begun.map_err(|_| Over)?;
            self.seen = Instant::now();
        }
        self.logs |= join.logs;
        drop(join.reply.send(self.news.subscribe()));
        Ok(())
    }

    async fn look(&mut self) -> Result<(), Over> {
        if self.is_left() {
            return Err(Over);
        }
        let port = self.port()?;
        if self.memory.is_empty() {
            return Ok(());
        }
        match self.memory.look(&*port, self.logs).await {
            Ok(look) => {
                self.seen = Instant::now();
                // an error says that nobody listens, which the next look sees
                drop(look.map(|look| self.news.send(Arc::new(look))));
                Ok(())
            }
            Err(Unseen::Later(reason)) if self.seen.elapsed() < BLIND_MAX => {
                tracing::debug!(chain = %self.chain, reason, "a chain could not be looked at");
                Ok(())
            }
            Err(unseen) => {
                tracing::warn!(chain = %self.chain, ?unseen, "subscriptions end");
                Err(Over)
            }
        }
    }

    /// Whether nobody listens. Who comes from then on begins another feed; who came just before still gets in here.
    fn is_left(&mut self) -> bool {
        if self.news.receiver_count() > 0 {
            return false;
        }
        self.joins.close();
        self.joins.is_empty()
    }

    fn port(&self) -> Result<Arc<dyn Chain>, Over> {
        let setup = self.engine.setup();
        setup.chains.get(&self.chain).map(|chain| Arc::clone(&chain.port)).ok_or(Over)
    }
}
