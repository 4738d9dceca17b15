//! A line between the gateway and a server that it needs, which breaks where a scenario says: a reply that is
//! lost, a connection that is reset, one that stays open and says nothing, one that is slow.
//!
//! It carries bytes. It knows borders of messages only where it must: a message is the piece of bytes in which
//! a [`Mark`] is found, its answer is the next piece that comes back, and one kind of HTTP answer is read whole
//! so that another can be put in its place.

mod accept;
mod answer;
mod chance;
mod mark;
mod wire;

pub use self::{
    answer::Garble,
    chance::Chance,
    mark::{Mark, node, store},
};

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::watch;

/// A running proxy; it ends with the test's runtime.
#[derive(Debug, Clone)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

/// One blow against one message.
#[derive(Debug, Clone, Copy)]
pub struct Blow {
    /// Which message.
    pub mark: Mark,
    /// The how-manieth of them since the blow was armed, from 1.
    pub nth: usize,
    /// What happens to it.
    pub fault: Fault,
    /// How the line is from then on, until it is healed.
    pub then: Line,
}

/// What happens to one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing: it only counts, and the line changes.
    Passes,
    /// It does not reach the server, and the connection ends so.
    NeverArrives(End),
    /// It reaches the server, its answer does not come back, and the connection ends so.
    NoAnswer(End),
    /// It reaches the server, half of its answer comes back, and the connection ends so.
    HalfAnswer(End),
    /// Its answer comes so many milliseconds late, and what follows on the connection behind it.
    Late(u64),
    /// Its answer comes in drops of a few bytes, with so many milliseconds between two.
    Dripped(u64),
    /// It reaches the node, and another answer comes back. HTTP only.
    Answered(Garble),
    /// It does not reach the node, and this answer comes back. HTTP only.
    Instead(Garble),
    /// It reaches the server; nothing comes back on this connection until [`Proxy::heal`].
    Held,
}

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// In order: FIN.
    Close,
    /// At once: RST.
    Reset,
    /// Not at all: it stays open, and nothing more comes back on it.
    Silence,
}

/// How the whole line is, every connection of it, also those that are made later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Line {
    /// Everything passes.
    #[default]
    Open,
    /// Connections are made, nothing passes: half-open.
    Dark,
    /// What is asked passes, no answer comes back.
    Deaf,
    /// Nobody listens; connections that were open are reset.
    Refused,
    /// Each piece comes back late by a time between nothing and so many milliseconds, in order.
    Slow {
        /// What the times follow from.
        seed: u64,
        /// The longest, in milliseconds.
        most: u64,
    },
    /// Answers come in drops of a few bytes, with so many milliseconds between two.
    Drip(u64),
}

impl Proxy {
    /// Listens in front of `server`.
    pub async fn start(server: SocketAddr) -> Self {
        let (orders, _) = watch::channel(Orders::default());
        let shared = Arc::new(Shared { server, orders, plan: Mutex::default() });
        let address = accept::start(Arc::clone(&shared)).await;
        Self { address, shared }
    }

    /// Where the gateway should look for its server.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// As a Redis URL.
    #[must_use]
    pub fn redis_url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// Plans a blow. One at a time: it takes the place of the one before.
    pub fn arm(&self, blow: Blow) {
        *self.shared.plan() = Plan { blow: Some(blow), hits: 0, struck: false };
    }

    /// Changes the whole line now.
    pub fn set(&self, line: Line) {
        self.shared.orders.send_modify(|orders| orders.line = line);
    }

    /// No blow is planned any more, the line is open, and connections on which something was held back end.
    pub fn heal(&self) {
        *self.shared.plan() = Plan::default();
        self.shared.orders.send_modify(|orders| {
            orders.line = Line::Open;
            orders.healed = orders.healed.saturating_add(1);
        });
    }

    /// Whether the blow has struck.
    #[must_use]
    pub fn has_struck(&self) -> bool {
        self.shared.plan().struck
    }

    /// How many marked messages came by since the blow was armed.
    #[must_use]
    pub fn hits(&self) -> usize {
        self.shared.plan().hits
    }
}

/// What all connections share.
#[derive(Debug)]
struct Shared {
    server: SocketAddr,
    orders: watch::Sender<Orders>,
    plan: Mutex<Plan>,
}

/// What holds for every connection.
#[derive(Debug, Clone, Copy, Default)]
struct Orders {
    line: Line,
    healed: u64,
}

#[derive(Debug, Default)]
struct Plan {
    blow: Option<Blow>,
    hits: usize,
    struck: bool,
}

impl Shared {
    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts the marks in a piece of bytes that goes to the server; the fault, if this is the message.
    fn judge(&self, piece: &mark::Piece<'_>) -> Option<Fault> {
        let mut plan = self.plan();
        let blow = plan.blow?;
        plan.hits = plan.hits.saturating_add(piece.count(blow.mark));
        if plan.struck || plan.hits < blow.nth {
            return None;
        }
        plan.struck = true;
        drop(plan);
        if blow.then != Line::Open {
            self.orders.send_modify(|orders| orders.line = blow.then);
        }
        Some(blow.fault)
    }
}

/// Longer than any server here takes for an answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
