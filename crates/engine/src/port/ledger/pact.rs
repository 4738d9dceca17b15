//! What people say to pacts, as the books keep it.

use countersign_core::{
    identity::OperatorId,
    pact::{Pact, PactStanding, PactVerb},
};

/// A person's word on a pact. Its time is the store's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PactWord {
    /// On which.
    pub pact: Pact,
    /// What they say.
    pub verb: PactVerb,
    /// Who.
    pub by: OperatorId,
    /// What they wrote; never empty.
    pub note: Option<String>,
}

/// What [`Ledger::say`](super::Ledger::say) did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PactAnswer {
    /// It is said. Where it had been said already, whoever said it first stands, and nothing was written.
    Said(PactStanding),
    /// It cannot be said any more; nothing was written.
    Stands(PactStanding),
}

impl PactAnswer {
    /// The answer to a word that changes nothing: it was the last one already, or another one was.
    #[must_use]
    pub fn of(verb: PactVerb, standing: PactStanding) -> Self {
        if standing.last().0 == verb { Self::Said(standing) } else { Self::Stands(standing) }
    }
}
