//! How a text would judge one request as the next version, beside what the version in force says. Nothing is signed,
//! reserved or written.

use std::sync::Arc;

use countersign_core::{
    fact::Facts,
    identity::{AgentId, OperatorId, TraceHash},
    pact::{PactStanding, Word},
    trace::TraceRecord,
};
use countersign_policy::{Format, PactLife, PactState, Policy, pact_state};
use serde::Serialize;
use serde_json::{Value, json};

use super::{ShelfError, propose::load};
use crate::{
    engine::Engine,
    gather::Gathered,
    replay::{Ended, Instead, Judged, Recorded},
    setup::{AgentSetup, Setup},
    submission::{Answer, Submission},
    views::Seen,
};

/// What is asked about.
#[derive(Debug, Clone)]
pub enum Question {
    /// What the agent might ask for now.
    Request(Box<Submission>),
    /// What was decided, on its frozen facts.
    Decision(TraceHash),
}

/// Two judgements of the same.
#[derive(Debug, Serialize)]
pub struct Explained {
    /// By the text.
    pub version: Value,
    /// By the version in force.
    pub in_force: Value,
    /// Whether the text is a pact that nobody has said yes to: it is judged as if somebody had.
    pub as_approved: bool,
    /// How it was decided, where it was.
    pub recorded: Option<Recollection>,
}

/// How something was decided.
#[derive(Debug, Serialize)]
pub struct Recollection {
    /// `allow`, `park` or `deny`.
    pub outcome: &'static str,
    /// Empty for `allow`.
    pub code: String,
}

/// Why nothing is explained.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    /// Of the text, the agent or the store.
    #[error(transparent)]
    Shelf(#[from] ShelfError),
    /// What the agent would be told before anything is judged.
    #[error("the request is answered before anything is judged")]
    Answered(Box<Answer>),
    /// It cannot be decided again.
    #[error(
        "it cannot be decided again: it was refused before anything was judged, or under policies that are not here any more, or by a policy of another name"
    )]
    NotAgain,
}

impl Engine {
    /// How a text would judge as the agent's next version, beside what is in force.
    pub async fn explain(
        &self,
        agent: &AgentId,
        text: (&str, Option<Format>),
        question: Question,
    ) -> Result<Explained, ExplainError> {
        let setup = self.setup();
        let configured = setup.agents.get(agent).ok_or(ShelfError::Missing)?;
        let policy = load(&setup, configured, text)?;
        // one at a time: whoever asks may ask nodes and oracles, and requests of agents come first
        let _turn = self.looks().turn().await?;
        match question {
            Question::Request(submission) => {
                self.explain_request(&setup, &policy, *submission).await
            }
            Question::Decision(hash) => {
                let trace = self.ports().journal.trace(hash).await;
                let trace = trace.map_err(|error| ShelfError::Unavailable(error.to_string()))?;
                let is_own = |trace: &TraceRecord| {
                    !trace.attestation && trace.decision.agent_id.as_ref() == Some(agent)
                };
                let trace = trace.filter(is_own).ok_or(ShelfError::Missing)?;
                self.explain_decision(&setup, (configured, &policy), trace).await
            }
        }
    }

    /// As `countersign_simulate` would answer, under either.
    async fn explain_request(
        &self,
        setup: &Arc<Setup>,
        policy: &Policy,
        submission: Submission,
    ) -> Result<Explained, ExplainError> {
        let with = Arc::new(setup.with_grant(&submission.agent, policy));
        let mut as_approved = false;
        let version = self.simulated_in(with, submission.clone(), |_, facts| {
            as_approved = approve(policy, facts);
        });
        let version = version.await.map_err(answered)?;
        let in_force = self.simulated_in(setup.clone(), submission, |_, _| {});
        let in_force = in_force.await.map_err(answered)?;
        Ok(Explained {
            version: shown(&version),
            in_force: shown(&in_force),
            as_approved,
            recorded: None,
        })
    }

    /// As a back-test decides it again; windows of limits that the store was not asked about count as empty.
    async fn explain_decision(
        &self,
        setup: &Setup,
        (agent, policy): (&AgentSetup, &Policy),
        trace: TraceRecord,
    ) -> Result<Explained, ExplainError> {
        let library = self.library(setup, std::slice::from_ref(&trace)).await?;
        let recorded = Recorded::read(&trace.decision, &library).ok().flatten();
        let recorded = recorded.ok_or(ExplainError::NotAgain)?;
        let judge = |policy: &Policy, facts: Facts| {
            let judged = Instead::new(policy.clone()).judge(&recorded, &facts)?;
            Some(shown(&seen(judged, &recorded, facts)))
        };
        let mut facts = recorded.facts.clone();
        let as_approved = approve(policy, &mut facts);
        let version = judge(policy, facts).ok_or(ExplainError::NotAgain)?;
        let in_force = judge(&agent.grant, recorded.facts.clone());
        let Ended { outcome, code } = recorded.ended.clone();
        Ok(Explained {
            version,
            in_force: in_force.ok_or(ExplainError::NotAgain)?,
            as_approved,
            recorded: Some(Recollection { outcome, code }),
        })
    }
}

fn answered(answer: Answer) -> ExplainError {
    ExplainError::Answered(Box::new(answer))
}

fn seen(judged: Judged, recorded: &Recorded<'_>, facts: Facts) -> Seen {
    let Judged { judgement, outcome, charges, counted } = judged;
    let gathered = Gathered { intent: recorded.intent.clone(), facts, fails: None };
    Seen { gathered, judgement, outcome, charges, counted }
}

/// As a simulation shows it: the actions as facts have them, what each is worth beside them, and the tokens that they are
/// of.
fn shown(seen: &Seen) -> Value {
    let mut body = seen.body();
    if let Some(members) = body.as_object_mut() {
        members.insert("actions".into(), json!(seen.gathered.facts.actions));
        members.insert("usd".into(), json!(seen.judgement.usd));
        members.insert("tokens".into(), json!(seen.gathered.facts.tokens));
    }
    body
}

/// A pact that nobody has said yes to says nothing of what is asked: what it will say is what its editor wants to know.
fn approve(policy: &Policy, facts: &mut Facts) -> bool {
    let standing = facts.pact.clone();
    let life = PactLife { standing, ..PactLife::default() };
    if pact_state(policy, &life, facts.at) != PactState::PendingApproval {
        return false;
    }
    let Ok(by) = OperatorId::parse("somebody") else { return false };
    facts.pact = Some(PactStanding::Approved { approved: Word { by, at: facts.at, note: None } });
    true
}
