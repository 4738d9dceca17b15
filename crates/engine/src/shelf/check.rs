//! What a text would be as the next version, without making it one.

use std::sync::Arc;

use countersign_core::{
    identity::{AgentId, PolicyId},
    shelf::{BackTest, Change, ChangeGate, DiffClass, Fall, SHOWN_MAX, TestRun},
};
use countersign_policy::{Diagnostic, Format, Policy};

use super::{
    Comparison, ShelfError,
    back_test::Texts,
    compared,
    propose::{load, tests},
};
use crate::{
    engine::Engine,
    setup::{AgentSetup, Setup},
};

/// A text that somebody thinks about.
#[derive(Debug, Clone)]
pub struct Trial {
    /// The text, in any format.
    pub text: Arc<str>,
    /// Its format; without, it is known by its keys.
    pub format: Option<Format>,
    /// Whether recorded decisions are decided again, which takes its time.
    pub back_test: bool,
}

/// What a text would do as the next version of an agent's policy.
#[derive(Debug, Clone)]
pub struct Checked {
    /// Which policy it is.
    pub policy: PolicyId,
    /// Its name.
    pub name: String,
    /// What it was compared with: the version in force.
    pub base: PolicyId,
    /// What it does to that.
    pub class: DiffClass,
    /// Every change; of very many the first.
    pub changes: Vec<Change>,
    /// What became of the tests in it; of very many the first.
    pub tests: Vec<TestRun>,
    /// What it would have said lately, where that was asked for.
    pub back_test: Option<BackTest>,
    /// What is not wrong, but hardly meant.
    pub warnings: Vec<Diagnostic>,
    /// Whom it would wait for; nobody where it only narrows.
    pub waits_for: Option<ChangeGate>,
    /// Whether its back-test, where there is one, newly allows more than may be asked for: then it stays a draft.
    pub allows_too_much: bool,
    /// Which evaluators of that back-test fall too far behind the version in force: then it would be refused.
    pub falls: Vec<Fall>,
    /// Whether a version needs a signature, which is not looked at here.
    pub needs_signature: bool,
}

impl Engine {
    /// Reads a text as a policy for this agent and compares it with the version in force. Nothing is written, and no
    /// number is given.
    pub async fn check(&self, agent: &AgentId, trial: &Trial) -> Result<Checked, ShelfError> {
        let setup = self.setup();
        let configured = setup.agents.get(agent).ok_or(ShelfError::Missing)?;
        let policy = load(&setup, configured, (&trial.text, trial.format))?;
        let active = self.active_of(configured).await?;
        let back_test = if trial.back_test {
            let texts = Texts { active: &active, policy: &policy };
            Some(self.lately(&setup, (agent, texts)).await?)
        } else {
            None
        };
        let checked = checked(&setup, &active, &policy);
        let gate = checked.waits_for.as_ref();
        let allows_too_much = gate.is_some_and(|gate| !gate.bears(back_test.as_ref()));
        let falls = setup.changes.gate.falls(checked.class, back_test.as_ref());
        Ok(Checked { back_test, allows_too_much, falls, ..checked })
    }

    /// The policy of the version in force; of an agent that has no shelf yet, its file.
    pub(super) async fn active_of(&self, agent: &AgentSetup) -> Result<Policy, ShelfError> {
        match self.ports().shelf.shelf(&agent.id).await? {
            Some(kept) => {
                let active = self.version_of(&agent.id, kept.active.version).await?;
                self.policy_of(&active).await
            }
            None => Ok(agent.file().clone()),
        }
    }
}

fn checked(setup: &Setup, active: &Policy, policy: &Policy) -> Checked {
    let Comparison { class, mut changes } = compared(active, policy);
    let mut tests = tests(policy);
    changes.truncate(SHOWN_MAX);
    tests.truncate(SHOWN_MAX);
    Checked {
        policy: policy.id(),
        name: policy.name().to_owned(),
        base: active.id(),
        class,
        changes,
        tests,
        back_test: None,
        warnings: policy.warnings().to_vec(),
        waits_for: match class {
            DiffClass::Same | DiffClass::Tightening => None,
            DiffClass::Loosening => Some(setup.changes.gate.clone()),
        },
        allows_too_much: false,
        falls: Vec::new(),
        needs_signature: !setup.changes.keys.is_empty(),
    }
}
