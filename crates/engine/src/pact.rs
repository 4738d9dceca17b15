//! What operators say to pacts: yes, no, and that one is over.
//!
//! The person who owns an agent may say yes to its pact: it is their own mandate, bounded by what the files allow. Nobody
//! approves an operation of their own agent all the same.

use alloy_primitives::keccak256;
use countersign_core::{
    identity::{AgentId, OperatorId, PolicyId},
    incident::{Occurrence, Severity},
    pact::{Pact, PactStanding, PactVerb},
};
use countersign_policy::{PactState, Policy};

use crate::{
    engine::Engine,
    port::ledger::{LedgerError, PactAnswer, PactWord},
};

/// How often a word is said again that may have reached the store.
const ASK_MAX: u8 = 3;

/// An agent's grant, and where it stands.
#[derive(Debug, Clone)]
pub struct GrantView {
    /// The grant that is in force for the agent, or waits to be.
    pub grant: Policy,
    /// Where it stands.
    pub state: PactState,
    /// What people said to it.
    pub standing: Option<PactStanding>,
}

/// Why an operator's word on a pact had no effect.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PactError {
    /// 404
    #[error("there is no such agent")]
    Missing,
    /// 409 `pact_differs`
    #[error("the agent's grant is another version by now: look at it again")]
    Differs,
    /// 409 `pact_stands`
    #[error("the pact is {0}")]
    Stands(PactState),
    /// 503
    #[error("{0}")]
    Unavailable(String),
}

impl Engine {
    pub(crate) async fn say_to_pact(
        &self,
        operator: &OperatorId,
        pact: (&AgentId, PolicyId),
        said: (PactVerb, Option<String>),
    ) -> Result<GrantView, PactError> {
        let (agent, grant) = pact;
        let (verb, note) = said;
        let before = self.grant_of(agent).await?;
        if before.grant.id() != grant {
            return Err(PactError::Differs);
        }
        let speaks = match verb {
            PactVerb::Approve | PactVerb::Reject => {
                before.standing.is_some() || before.state == PactState::PendingApproval
            }
            PactVerb::Revoke => !matches!(before.state, PactState::Completed | PactState::Expired),
        };
        if !speaks {
            return Err(PactError::Stands(before.state));
        }
        let word = PactWord {
            pact: Pact { agent: agent.clone(), grant },
            verb,
            by: operator.clone(),
            note: note.filter(|note| !note.is_empty()),
        };
        match self.say(&word).await? {
            PactAnswer::Said(standing) => {
                self.tell_of_pact(&word, &standing, before.grant.name()).await;
                self.grant_of(agent).await
            }
            PactAnswer::Stands(_) => Err(PactError::Stands(self.grant_of(agent).await?.state)),
        }
    }

    async fn grant_of(&self, agent: &AgentId) -> Result<GrantView, PactError> {
        let view = self.state_of_grant(agent).await;
        view.map_err(|error| PactError::Unavailable(error.reason))?.ok_or(PactError::Missing)
    }

    async fn say(&self, word: &PactWord) -> Result<PactAnswer, PactError> {
        let mut asked: u8 = 1;
        loop {
            match self.ports().ledger.say(word).await {
                Err(LedgerError::Ambiguous(_)) if asked < ASK_MAX => {
                    asked = asked.saturating_add(1);
                }
                answer => return answer.map_err(|e| PactError::Unavailable(e.to_string())),
            }
        }
    }

    /// The books have who and when; the journal gets it as an entry of its chain, once, however often it is said.
    async fn tell_of_pact(&self, word: &PactWord, standing: &PactStanding, name: &str) {
        let (verb, spoken) = standing.last();
        let (severity, code, done) = match verb {
            PactVerb::Approve => (Severity::Low, "pact_approved", "approved"),
            PactVerb::Reject => (Severity::Low, "pact_rejected", "rejected"),
            PactVerb::Revoke => (Severity::Medium, "pact_revoked", "revoked"),
        };
        let Pact { agent, grant } = &word.pact;
        let title = format!("the pact `{name}` of `{agent}` was {done} by `{}`", spoken.by);
        let note = spoken.note.as_deref().map(|note| format!(": {note}")).unwrap_or_default();
        let text = format!("{grant} at {}{note}", spoken.at);
        let about = keccak256(format!("{agent} {grant} {code}"));
        let occurrence = Occurrence {
            id: format!("inc_{}", hex::encode(about.get(..16).unwrap_or_default())),
            agent: Some(agent.clone()),
            ..self.occurrence(severity, (code, &grant.to_string()), (&title, text))
        };
        self.store(&occurrence).await;
    }
}
