//! A new version: read, checked against the configuration, tested, compared, and put on the shelf.

use std::sync::Arc;

use countersign_core::{
    identity::{AgentId, PolicyId},
    incident::Severity,
    shelf::{
        BackTest, NewVersion, Origin, PolicySignature, Proposer, ShelfRefusal, TestRun, Version,
    },
    time::Timestamp,
};
use countersign_policy::{Diagnostic, Format, Kind, Policy, PolicyErrors};

use super::{
    Comparison, Pinned, ROUNDS_MAX, ShelfError, back_test::Texts, compared, kept_changing,
};
use crate::{
    engine::Engine,
    setup::{AgentSetup, OperatorSetup, Setup},
};

/// What an operator proposes.
#[derive(Debug, Clone)]
pub struct Proposal {
    /// The text, in any format.
    pub text: Arc<str>,
    /// Its format; without, it is known by its keys.
    pub format: Option<Format>,
    /// Why.
    pub note: Option<String>,
    /// Whether it is only judged beside the one in force, until it is activated.
    pub shadow: bool,
    /// Needed where keys are pinned.
    pub signed: Option<PolicySignature>,
}

impl Engine {
    /// Puts a new version on an agent's shelf.
    pub async fn propose(
        &self,
        operator: &OperatorSetup,
        agent: &AgentId,
        proposal: &Proposal,
    ) -> Result<Version, ShelfError> {
        self.proposing(operator, agent, (proposal, Origin::Api)).await
    }

    /// Proposes an older version again.
    pub async fn roll_back(
        &self,
        operator: &OperatorSetup,
        (agent, number): (&AgentId, u64),
        (note, signed): (Option<String>, Option<PolicySignature>),
    ) -> Result<Version, ShelfError> {
        let version = self.version_of(agent, number).await?;
        let text = self.text_of(&version).await?;
        let proposal = Proposal {
            text: text.into(),
            format: version.format.as_deref().and_then(|format| format.parse().ok()),
            note,
            shadow: false,
            signed,
        };
        self.proposing(operator, agent, (&proposal, Origin::Rollback { of: number })).await
    }

    async fn proposing(
        &self,
        operator: &OperatorSetup,
        agent: &AgentId,
        (proposal, origin): (&Proposal, Origin),
    ) -> Result<Version, ShelfError> {
        let setup = self.setup();
        let configured = setup.agents.get(agent).ok_or(ShelfError::Missing)?;
        Pinned::of(&setup).vouch(agent, (&proposal.text, proposal.signed.as_ref()))?;
        let policy = load(&setup, configured, (&proposal.text, proposal.format))?;
        let mut tested: Option<(PolicyId, BackTest)> = None;
        for _ in 0..ROUNDS_MAX {
            let kept = self.shelf_of(&setup, agent).await?;
            let active = self.version_of(agent, kept.active.version).await?;
            let active = self.policy_of(&active).await?;
            let Comparison { class, changes } = compared(&active, &policy);
            let kept_test = tested.take().filter(|(base, _)| *base == active.id());
            let back_test = if let Some((_, back_test)) = kept_test {
                back_test
            } else {
                let texts = Texts { active: &active, policy: &policy };
                self.lately(&setup, (agent, texts)).await?
            };
            tested = Some((active.id(), back_test.clone()));
            let new = NewVersion {
                agent: agent.clone(),
                policy: policy.id(),
                name: policy.name().to_owned(),
                format: proposal.format.map(|format| format.to_string()),
                origin: origin.clone(),
                proposed_by: Some(proposer(operator)),
                proposed_at: self.ports().ledger.now().await?,
                note: proposal.note.clone(),
                shadow: proposal.shadow,
                base: active.id(),
                class,
                changes,
                tests: tests(&policy),
                back_test: Some(back_test),
                signed: proposal.signed.clone(),
                text: proposal.text.to_string(),
            };
            let change = match kept.proposing(new, &setup.changes.gate, self.mark()) {
                Err(ShelfRefusal::OtherBase) => continue,
                change => change?,
            };
            if self.put_shelf(&change).await? {
                let version = change.versions.into_iter().next().ok_or_else(kept_changing)?;
                self.tell_of_version(&version, (Severity::Low, "policy_proposed"), operator).await;
                return Ok(version);
            }
        }
        Err(kept_changing())
    }

    /// The configured file as a version.
    pub(super) fn file_version(
        &self,
        agent: &AgentId,
        ((file, signed), base): ((&Policy, Option<&PolicySignature>), &Policy),
        now: Timestamp,
    ) -> NewVersion {
        let Comparison { class, changes } = compared(base, file);
        NewVersion {
            agent: agent.clone(),
            policy: file.id(),
            name: file.name().to_owned(),
            format: None,
            origin: Origin::File { gateway: self.ports().gateway.clone() },
            proposed_by: None,
            proposed_at: now,
            note: None,
            shadow: false,
            base: base.id(),
            class,
            changes,
            tests: tests(file),
            back_test: None,
            signed: signed.cloned(),
            text: file.source().to_owned(),
        }
    }
}

/// Reads a text as a policy for this agent: its form, its words, its own tests, and what it names.
pub(super) fn load(
    setup: &Setup,
    agent: &AgentSetup,
    (text, format): (&str, Option<Format>),
) -> Result<Policy, ShelfError> {
    let name = agent.grant.name();
    let read = match format {
        Some(format) => Policy::from_format(format, name, text, name),
        None => Policy::parse(text, name),
    };
    let policy = read.map_err(ShelfError::Invalid)?;
    let items = foreign(setup, agent, &policy);
    if items.is_empty() { Ok(policy) } else { Err(ShelfError::Invalid(PolicyErrors { items })) }
}

fn proposer(operator: &OperatorSetup) -> Proposer {
    Proposer { operator: operator.id.clone(), person: operator.person.clone() }
}

pub(super) fn tests(policy: &Policy) -> Vec<TestRun> {
    let run = |outcome: countersign_policy::TestOutcome| TestRun {
        name: outcome.name,
        line: outcome.line,
        passed: outcome.passed,
    };
    policy.run_tests().into_iter().map(run).collect()
}

/// What a policy says that this agent or this configuration does not have.
fn foreign(setup: &Setup, agent: &AgentSetup, policy: &Policy) -> Vec<Diagnostic> {
    let mut found = Foreign { policy, items: Vec::new() };
    if policy.kind() != Kind::Grant {
        found.add("kind", "this is a guard: an agent needs a grant".into());
    }
    let scope = policy.scope();
    if let Some(other) = scope.agent.as_ref().filter(|named| **named != agent.id) {
        found.add(other.as_str(), format!("it is for the agent `{other}`, not for `{}`", agent.id));
    }
    for wallet in scope.wallets.iter().filter(|id| !setup.wallets.contains_key(*id)) {
        found.missing("wallet", wallet.as_str());
    }
    for chain in scope.chains.iter().filter(|id| !setup.chains.contains_key(*id)) {
        found.missing("chain", &chain.to_string());
    }
    for token in policy.tokens().iter().filter(|token| !is_token(setup, token)) {
        found.missing("token", token);
    }
    for name in policy.operators().iter().filter(|name| !is_approver(setup, name)) {
        found.missing("operator or group", name);
    }
    let asked = |name: &str| setup.oracles.as_ref().is_some_and(|o| o.asks(name).is_some());
    for (name, _) in policy.oracles().iter().filter(|(name, _)| !asked(name)) {
        found.missing("oracle", name);
    }
    found.items
}

fn is_token(setup: &Setup, token: &str) -> bool {
    setup.chains.values().any(|chain| {
        let tokens = chain.tokens.iter().chain([&chain.native]).map(|token| &token.name);
        let items = chain.collections.iter().map(|items| &items.name);
        tokens.chain(items).any(|name| name == token)
    })
}

fn is_approver(setup: &Setup, name: &str) -> bool {
    let mut operators = setup.operators.values();
    operators.any(|operator| {
        operator.id.as_str() == name || operator.groups.iter().any(|group| group == name)
    })
}

struct Foreign<'a> {
    policy: &'a Policy,
    items: Vec<Diagnostic>,
}

impl Foreign<'_> {
    fn missing(&mut self, what: &str, name: &str) {
        self.add(name, format!("there is no {what} `{name}` in the configuration"));
    }

    /// Says it where the text says the word first.
    fn add(&mut self, word: &str, message: String) {
        let number = |n: usize| u32::try_from(n.saturating_add(1)).unwrap_or(u32::MAX);
        let mut lines = self.policy.source().lines().enumerate();
        let place = lines.find_map(|(line, text)| Some((line, text.find(word)?)));
        self.items.push(Diagnostic {
            file: self.policy.name().to_owned(),
            line: place.map(|(line, _)| number(line)),
            column: place.map(|(_, column)| number(column)),
            message,
            hint: String::new(),
        });
    }
}
