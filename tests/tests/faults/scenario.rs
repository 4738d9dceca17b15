//! One row of the tables: where it breaks, how, and what must come of it.

use countersign_tests::proxy::{Blow, Fault, Line, Mark};

use crate::server::Server;

/// One scenario.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scenario {
    /// What happens, as a sentence.
    pub(crate) name: &'static str,
    /// What breaks.
    pub(crate) trouble: Trouble,
    /// What is done meanwhile.
    pub(crate) act: Act,
    /// What may be answered.
    pub(crate) answers: &'static [Said],
    /// By when, in seconds.
    pub(crate) within: u64,
    /// How long it may take after that until everything is settled, in seconds.
    pub(crate) settles: u64,
    /// How long it stays broken after the answer, in seconds.
    pub(crate) outlasts: u64,
}

/// What breaks.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Trouble {
    /// One message to the store.
    Store(Blow),
    /// One message to the node.
    Node(Blow),
    /// The whole line to the store, from before the request on.
    StoreLine(Line),
    /// The whole line to the node, from before the request on.
    NodeLine(Line),
    /// The store itself.
    Server(Server),
}

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    /// A payment under an idempotency key.
    Keyed,
    /// A payment without one.
    Bare,
    /// A payment that a person has to allow.
    Parked,
    /// A person's yes.
    Approve,
    /// A person's no.
    Reject,
    /// A call that is held open while it waits for a person.
    Held,
    /// The collection of a result that was owed: without a key, after a person's yes.
    Collect,
}

/// What is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Said {
    /// The hash.
    Hash,
    /// -32002: it goes on by itself.
    Pending,
    /// -32010: nothing was committed.
    Unavailable,
    /// An operator's answer.
    Status(u16),
}

/// A row that pays under a key; to be told what breaks.
pub(crate) const fn row(name: &'static str) -> Scenario {
    let trouble = Trouble::StoreLine(Line::Open);
    Scenario {
        name,
        trouble,
        act: Act::Keyed,
        answers: &[Said::Hash],
        within: 4,
        settles: 20,
        outlasts: 0,
    }
}

impl Scenario {
    /// One message to the store.
    pub(crate) const fn store(mut self, mark: Mark, fault: Fault) -> Self {
        self.trouble = Trouble::Store(Blow { mark, nth: 1, fault, then: Line::Open });
        self
    }

    /// One message to the node.
    pub(crate) const fn node(mut self, mark: Mark, fault: Fault) -> Self {
        self.trouble = Trouble::Node(Blow { mark, nth: 1, fault, then: Line::Open });
        self
    }

    /// The line from then on, until it is healed after the answer.
    pub(crate) const fn then(mut self, line: Line) -> Self {
        match &mut self.trouble {
            Trouble::Store(blow) | Trouble::Node(blow) => blow.then = line,
            Trouble::StoreLine(_) | Trouble::NodeLine(_) | Trouble::Server(_) => {}
        }
        self
    }

    /// The whole line to the store.
    pub(crate) const fn store_line(mut self, line: Line) -> Self {
        self.trouble = Trouble::StoreLine(line);
        self
    }

    /// The whole line to the node.
    pub(crate) const fn node_line(mut self, line: Line) -> Self {
        self.trouble = Trouble::NodeLine(line);
        self
    }

    /// The store itself.
    pub(crate) const fn server(mut self, server: Server) -> Self {
        self.trouble = Trouble::Server(server);
        self
    }

    /// What is done.
    pub(crate) const fn act(mut self, act: Act) -> Self {
        self.act = act;
        self
    }

    /// How long it may take until everything is settled, in seconds.
    pub(crate) const fn settles(mut self, settles: u64) -> Self {
        self.settles = settles;
        self
    }

    /// How long it stays broken after the answer, in seconds.
    pub(crate) const fn outlasts(mut self, outlasts: u64) -> Self {
        self.outlasts = outlasts;
        self
    }

    /// What may be answered, and by when, in seconds.
    pub(crate) const fn says(mut self, answers: &'static [Said], within: u64) -> Self {
        self.answers = answers;
        self.within = within;
        self
    }
}
