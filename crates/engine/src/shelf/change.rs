//! What operators say to versions, and what time does.

use alloy_primitives::{B256, keccak256};
use countersign_core::{
    identity::AgentId,
    incident::{Occurrence, Severity},
    shelf::{
        Asked, ChangeVote, DiffClass, Recompared, Shelf, ShelfChange, ShelfRefusal, Step, StepKind,
        Version, VersionState,
    },
    time::Timestamp,
};

use super::{Comparison, ROUNDS_MAX, ShelfError, back_test::Texts, compared, kept_changing};
use crate::{
    engine::Engine,
    setup::{OperatorSetup, Role, Setup},
};

/// What an operator says to a version.
#[derive(Debug, Clone)]
pub enum Verb {
    /// It shall come into force: at once where it only narrows, else it begins to wait.
    Activate {
        /// What they write beside it.
        note: Option<String>,
    },
    /// A yes to what has this digest.
    Approve {
        /// What they looked at.
        digest: B256,
        /// What they write beside it.
        note: Option<String>,
    },
    /// A no.
    Reject {
        /// Why.
        reason: String,
    },
    /// The proposer's own no.
    Withdraw {
        /// Why.
        reason: Option<String>,
    },
}

/// An agent's shelf with one version, and the one in force, as they were read.
struct Looked {
    shelf: Shelf,
    version: Version,
    outgoing: Version,
    now: Timestamp,
}

impl Engine {
    /// An operator's word on a version.
    pub async fn change_version(
        &self,
        operator: &OperatorSetup,
        (agent, number): (&AgentId, u64),
        verb: &Verb,
    ) -> Result<Version, ShelfError> {
        let setup = self.setup();
        if !setup.agents.contains_key(agent) {
            return Err(ShelfError::Missing);
        }
        for _ in 0..ROUNDS_MAX {
            let looked = self.look_at(agent, number).await?;
            if let Some(change) = self.recomparison(&setup, &looked).await? {
                self.put_shelf(&change).await?;
                continue;
            }
            let looked = match verb {
                Verb::Activate { .. } => self.tried_anew(&setup, looked).await?,
                Verb::Approve { .. } | Verb::Reject { .. } | Verb::Withdraw { .. } => looked,
            };
            if matches!(verb, Verb::Activate { .. } | Verb::Approve { .. }) {
                self.is_vouched_for(&setup, &looked.version).await?;
            }
            let Some(change) = self.said((&setup, operator), &looked, verb)? else {
                return Ok(looked.version);
            };
            if self.put_shelf(&change).await? {
                let version = change.versions.into_iter().next().ok_or_else(kept_changing)?;
                self.tell_of_step(&version, Some(operator)).await;
                return Ok(version);
            }
        }
        Err(kept_changing())
    }

    async fn look_at(&self, agent: &AgentId, number: u64) -> Result<Looked, ShelfError> {
        let found = self.ports().shelf.shelf(agent).await?.ok_or(ShelfError::Missing)?;
        let version = self.version_of(agent, number).await?;
        let outgoing = self.version_of(agent, found.active.version).await?;
        let now = self.ports().ledger.now().await?;
        Ok(Looked { shelf: found, version, outgoing, now })
    }

    /// A draft that loosens, or that may fall behind, with its back-test of now: since it was proposed others may have been
    /// refused whom it allows, and a shadow is there to find that out.
    async fn tried_anew(&self, setup: &Setup, looked: Looked) -> Result<Looked, ShelfError> {
        let Looked { version, outgoing, .. } = &looked;
        let is_bounded = !setup.changes.gate.may_fall.is_unbounded();
        let matters = version.class == DiffClass::Loosening || is_bounded;
        if !matters || version.state != VersionState::Draft {
            return Ok(looked);
        }
        let (active, policy) = (self.policy_of(outgoing).await?, self.policy_of(version).await?);
        let texts = Texts { active: &active, policy: &policy };
        let back_test = self.lately(setup, (&version.agent, texts)).await?;
        let version = Version { back_test: Some(back_test), ..version.clone() };
        Ok(Looked { version, ..looked })
    }

    /// An open version that was compared with another than the one in force is compared anew first, and where evaluators are
    /// bounded measured anew beside it.
    async fn recomparison(
        &self,
        setup: &Setup,
        looked: &Looked,
    ) -> Result<Option<ShelfChange>, ShelfError> {
        let Looked { shelf, version, outgoing, now } = looked;
        if !version.state.is_open() || version.base == shelf.active.policy {
            return Ok(None);
        }
        let (active, new) = (self.policy_of(outgoing).await?, self.policy_of(version).await?);
        let Comparison { class, changes } = compared(&active, &new);
        let gate = &setup.changes.gate;
        let back_test = if gate.may_fall.is_unbounded() {
            None
        } else {
            let texts = Texts { active: &active, policy: &new };
            Some(self.lately(setup, (&version.agent, texts)).await?)
        };
        let found = Recompared { base: active.id(), class, changes, back_test };
        Ok(Some(shelf.recomparing(version, found, (gate, *now), self.mark())))
    }

    /// What a word makes of a version; `None` where it was said before.
    fn said(
        &self,
        (setup, operator): (&Setup, &OperatorSetup),
        looked: &Looked,
        verb: &Verb,
    ) -> Result<Option<ShelfChange>, ShelfError> {
        let Looked { shelf, version, outgoing, now } = looked;
        let counting = counting(setup, version);
        let gate = &setup.changes.gate;
        let asked = Asked { version, outgoing, gate, counting: &counting, now: *now };
        let step = |what, note: &Option<String>| Step {
            what,
            at: *now,
            by: Some(operator.id.clone()),
            note: note.clone(),
        };
        match verb {
            Verb::Activate { note } => {
                let step = step(StepKind::Activated, note);
                Ok(Some(shelf.activating(asked, step, self.mark())?))
            }
            Verb::Approve { digest, note } => {
                may_approve(setup, version, operator)?;
                if version.digest() != *digest {
                    return Err(ShelfError::OtherDigest);
                }
                let vote = ChangeVote {
                    operator: operator.id.clone(),
                    person: operator.person.clone(),
                    groups: operator.groups.clone(),
                    at: *now,
                    note: note.clone(),
                };
                Ok(shelf.approving(asked, vote, self.mark())?)
            }
            Verb::Reject { reason } => {
                let step = step(StepKind::Rejected, &Some(reason.clone()));
                Ok(Some(shelf.ending(version, step, self.mark())?))
            }
            Verb::Withdraw { reason } => {
                let by = version.proposed_by.as_ref();
                if by.is_none_or(|proposer| proposer.person != operator.person) {
                    return Err(ShelfRefusal::NotProposer.into());
                }
                let step = step(StepKind::Withdrawn, reason);
                Ok(Some(shelf.ending(version, step, self.mark())?))
            }
        }
    }

    /// Puts a version in force whose time has come; whether it did something.
    pub(super) async fn come_due(&self, agent: &AgentId, number: u64) -> Result<bool, ShelfError> {
        let setup = self.setup();
        let looked = self.look_at(agent, number).await?;
        let Looked { shelf, version, outgoing, now } = &looked;
        let VersionState::Waiting(waits) = &version.state else { return Ok(false) };
        if waits.not_before.is_none_or(|at| at > *now) {
            return Ok(false);
        }
        self.is_vouched_for(&setup, version).await?;
        let change = if let Some(change) = self.recomparison(&setup, &looked).await? {
            change
        } else {
            let counting = counting(&setup, version);
            let gate = &setup.changes.gate;
            let asked = Asked { version, outgoing, gate, counting: &counting, now: *now };
            let by = Step::by_gateway(StepKind::Activated, *now);
            match shelf.activating(asked, by, self.mark()) {
                // somebody who said yes may not say it any more
                Err(ShelfRefusal::Waits) => {
                    let Some(change) = shelf.recounting(version, self.mark()) else {
                        return Ok(false);
                    };
                    change
                }
                change => change?,
            }
        };
        let done = self.put_shelf(&change).await?;
        if let Some(version) = change.versions.first().filter(|_| done) {
            self.tell_of_step(version, None).await;
        }
        Ok(done)
    }

    /// The journal gets what people must be able to find later: who proposed, who put in force, who refused.
    async fn tell_of_step(&self, version: &Version, operator: Option<&OperatorSetup>) {
        let severity = match version.class {
            DiffClass::Same | DiffClass::Tightening => Severity::Low,
            DiffClass::Loosening => Severity::Medium,
        };
        let (severity, code) = match &version.state {
            VersionState::Draft | VersionState::Waiting(_) | VersionState::Superseded => return,
            VersionState::Active => (severity, "policy_activated"),
            VersionState::Rejected => (Severity::Low, "policy_rejected"),
            VersionState::Withdrawn => (Severity::Low, "policy_withdrawn"),
        };
        self.tell_once_of((version, operator), (severity, code)).await;
    }

    pub(super) async fn tell_of_version(
        &self,
        version: &Version,
        of: (Severity, &str),
        operator: &OperatorSetup,
    ) {
        self.tell_once_of((version, Some(operator)), of).await;
    }

    /// Once, however often it is told.
    async fn tell_once_of(
        &self,
        (version, operator): (&Version, Option<&OperatorSetup>),
        (severity, code): (Severity, &str),
    ) {
        let Version { agent, number, policy, base, class, .. } = version;
        let by = operator.map_or_else(|| "its time".into(), |o| format!("`{}`", o.id));
        let done = code.trim_start_matches("policy_");
        let title = format!("version {number} of the policy of `{agent}` was {done} by {by}");
        let text = format!("{policy}, {class} compared with {base}");
        let about = keccak256(format!("{agent} {number} {code}"));
        let occurrence = Occurrence {
            id: format!("inc_{}", hex::encode(about.get(..16).unwrap_or_default())),
            agent: Some(agent.clone()),
            ..self.occurrence(severity, (code, &number.to_string()), (&title, text))
        };
        self.store(&occurrence).await;
    }
}

/// Whether this operator's yes would count.
fn may_approve(
    setup: &Setup,
    version: &Version,
    operator: &OperatorSetup,
) -> Result<(), ShelfError> {
    if is_of_the_asking(setup, version, &operator.person) {
        return Err(ShelfError::Requester);
    }
    match &version.state {
        VersionState::Waiting(waits) if !waits.gate.takes(&operator.groups) => {
            Err(ShelfError::NotInGate)
        }
        VersionState::Waiting(_)
        | VersionState::Draft
        | VersionState::Active
        | VersionState::Superseded
        | VersionState::Rejected
        | VersionState::Withdrawn => Ok(()),
    }
}

/// Nobody approves what they proposed, nor what is for an agent that they own.
fn is_of_the_asking(setup: &Setup, version: &Version, person: &str) -> bool {
    let owner = setup.agents.get(&version.agent).and_then(|agent| agent.owner.as_deref());
    let proposer = version.proposed_by.as_ref().map(|proposer| proposer.person.as_str());
    [owner, proposer].contains(&Some(person))
}

/// The votes that count now: of operators who are still there, still the same person, and may still say it.
fn counting(setup: &Setup, version: &Version) -> Vec<ChangeVote> {
    let VersionState::Waiting(waits) = &version.state else { return Vec::new() };
    let now = |vote: &ChangeVote| {
        let operator = setup.operators.get(&vote.operator)?;
        let is_same = operator.person == vote.person && operator.roles.contains(&Role::Policy);
        let counts = is_same && !is_of_the_asking(setup, version, &vote.person);
        counts.then(|| ChangeVote { groups: operator.groups.clone(), ..vote.clone() })
    };
    waits.votes.iter().filter_map(now).collect()
}
