//! What people do to versions.

use super::{
    Active, BackTest, Change, ChangeGate, ChangeVote, DiffClass, Fall, NewVersion, OPEN_MAX, Shelf,
    ShelfChange, Step, StepKind, VOTES_MAX, Version, VersionState, Waiting,
};
use crate::{identity::PolicyId, time::Timestamp};

/// Why a step is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShelfRefusal {
    /// It stands where nothing leads on.
    #[error("the version is {0}: nothing leads on from there")]
    Stands(&'static str),
    /// The version in force is not the one that it was compared with.
    #[error("the version was compared with another than the one in force: look at it again")]
    OtherBase,
    /// It waits for people, or for its time.
    #[error("the version waits: `waiting` says for how many people, and until when")]
    Waits,
    /// It does not wait for people.
    #[error("the version waits for nobody: activate it")]
    NotAsked,
    /// Its back-test allows more than may be asked for.
    #[error(
        "the back-test newly allows more than `policy_changes` lets anybody ask for: narrow the version, or edit the file"
    )]
    AllowsTooMuch,
    /// Evaluators fall further behind the version in force than they may.
    #[error("{}: `policy_changes.may_fall` says so", listed(.0))]
    FallsBehind(Vec<Fall>),
    /// It is somebody else's.
    #[error("only whoever proposed a version withdraws it: reject it")]
    NotProposer,
    /// Keys are pinned, and there is no signature.
    #[error(
        "keys are pinned under `policy_changes`, and this is not signed: `countersign policy sign` does that"
    )]
    Unsigned,
    /// Too many wait already.
    #[error("{OPEN_MAX} versions are open already: reject or withdraw one of them")]
    TooMany,
    /// Its number is not higher than that of the signed version before.
    #[error("the signature's number is not higher than {0}, which was accepted before")]
    OldSequence(u64),
}

/// A version whose coming into force is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// Which.
    pub version: &'a Version,
    /// The one in force.
    pub outgoing: &'a Version,
    /// Whom it would wait for, if it is a draft that loosens.
    pub gate: &'a ChangeGate,
    /// The votes that count: of people who may still say it.
    pub counting: &'a [ChangeVote],
    /// The store's time.
    pub now: Timestamp,
}

/// What a version does to the one in force now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recompared {
    /// What it was compared with.
    pub base: PolicyId,
    /// What it does to that.
    pub class: DiffClass,
    /// Every change.
    pub changes: Vec<Change>,
    /// What it would have said lately, beside that.
    pub back_test: Option<BackTest>,
}

impl Shelf {
    /// A new version: a draft, or one that waits if it loosens, by no more than may be asked for, and shall not be a shadow
    /// only. One whose evaluators fall too far is none, unless it is a shadow.
    pub fn proposing(
        &self,
        new: NewVersion,
        gate: &ChangeGate,
        mark: String,
    ) -> Result<ShelfChange, ShelfRefusal> {
        if self.open.len() >= OPEN_MAX {
            return Err(ShelfRefusal::TooMany);
        }
        if new.base != self.active.policy {
            return Err(ShelfRefusal::OtherBase);
        }
        // what a shadow finds counts when it is activated
        if !new.shadow {
            is_abreast(gate, new.class, new.back_test.as_ref())?;
        }
        let mut next = self.next(mark);
        if let Some(signed) = &new.signed {
            if signed.sequence <= self.sequence {
                return Err(ShelfRefusal::OldSequence(self.sequence));
            }
            next.sequence = signed.sequence;
        }
        let (number, now) = (self.newest.saturating_add(1), new.proposed_at);
        let (mut version, text) = new.into_version(number);
        let is_asked_for = gate.bears(version.back_test.as_ref()) && !version.shadow;
        if version.class == DiffClass::Loosening && is_asked_for {
            version.state = waiting(gate, now);
        }
        next.newest = number;
        next.open.push(number);
        Ok(ShelfChange { shelf: next, versions: vec![version], text: Some(text) })
    }

    /// Puts a version in force, or lets it begin to wait. What waits comes into force when its gate is open and its time
    /// has come, by whomever it is asked.
    pub fn activating(
        &self,
        asked: Asked<'_>,
        by: Step,
        mark: String,
    ) -> Result<ShelfChange, ShelfRefusal> {
        let Asked { version, gate, counting, now, .. } = asked;
        self.is_comparable(version)?;
        if version.state == VersionState::Draft {
            is_abreast(gate, version.class, version.back_test.as_ref())?;
        }
        match (version.class, &version.state) {
            (DiffClass::Same | DiffClass::Tightening, _) => {
                Ok(self.activated(asked, version.clone(), by, mark))
            }
            (DiffClass::Loosening, VersionState::Waiting(waits)) => {
                let is_due = waits.not_before.is_some_and(|at| at <= now);
                if is_due && waits.gate.is_open(counting) {
                    Ok(self.activated(asked, version.clone(), by, mark))
                } else {
                    Err(ShelfRefusal::Waits)
                }
            }
            (DiffClass::Loosening, _) if !gate.bears(version.back_test.as_ref()) => {
                Err(ShelfRefusal::AllowsTooMuch)
            }
            (DiffClass::Loosening, _) => {
                let mut version = Version { state: waiting(gate, now), ..version.clone() };
                version.note(Step { what: StepKind::Asked, ..by });
                Ok(ShelfChange { shelf: self.next(mark), versions: vec![version], text: None })
            }
        }
    }

    /// One person's yes. The last that is needed starts the delay, and without a delay puts the version in force. A
    /// person's second yes changes nothing: `None`.
    pub fn approving(
        &self,
        asked: Asked<'_>,
        vote: ChangeVote,
        mark: String,
    ) -> Result<Option<ShelfChange>, ShelfRefusal> {
        let Asked { version, counting, now, .. } = asked;
        self.is_comparable(version)?;
        let VersionState::Waiting(waits) = &version.state else {
            return Err(ShelfRefusal::NotAsked);
        };
        if waits.votes.iter().any(|cast| cast.person == vote.person) {
            return Ok(None);
        }
        if waits.votes.len() >= VOTES_MAX {
            return Err(ShelfRefusal::TooMany);
        }
        let step = Step {
            what: StepKind::Approved,
            at: now,
            by: Some(vote.operator.clone()),
            note: vote.note.clone(),
        };
        let is_open = waits.gate.is_open(counting.iter().chain([&vote]));
        let mut waits = waits.clone();
        waits.votes.push(vote);
        waits.not_before =
            waits.not_before.or_else(|| is_open.then(|| now.after(waits.gate.delay)));
        let is_due = is_open && waits.not_before.is_some_and(|at| at <= now);
        let mut version = Version { state: VersionState::Waiting(waits), ..version.clone() };
        version.note(step.clone());
        Ok(Some(if is_due {
            self.activated(asked, version, step, mark)
        } else {
            ShelfChange { shelf: self.next(mark), versions: vec![version], text: None }
        }))
    }

    /// The delay begins, or begins anew, with the votes that count now: people who may not say it any more have left.
    #[must_use]
    pub fn recounting(&self, version: &Version, mark: String) -> Option<ShelfChange> {
        let VersionState::Waiting(waits) = &version.state else { return None };
        waits.not_before?;
        let waits = Waiting { not_before: None, ..waits.clone() };
        let version = Version { state: VersionState::Waiting(waits), ..version.clone() };
        Some(ShelfChange { shelf: self.next(mark), versions: vec![version], text: None })
    }

    /// Ends what has not come into force.
    pub fn ending(
        &self,
        version: &Version,
        step: Step,
        mark: String,
    ) -> Result<ShelfChange, ShelfRefusal> {
        if !version.state.is_open() {
            return Err(ShelfRefusal::Stands(version.state.name()));
        }
        let state = match step.what {
            StepKind::Rejected => VersionState::Rejected,
            StepKind::Proposed
            | StepKind::Asked
            | StepKind::Approved
            | StepKind::Recompared
            | StepKind::Activated
            | StepKind::Superseded
            | StepKind::Withdrawn => VersionState::Withdrawn,
        };
        let mut version = Version { state, ..version.clone() };
        version.note(step);
        let mut next = self.next(mark);
        next.open.retain(|open| *open != version.number);
        Ok(ShelfChange { shelf: next, versions: vec![version], text: None })
    }

    /// Compares an open version with the one in force now: whoever said yes said it of something else.
    #[must_use]
    pub fn recomparing(
        &self,
        version: &Version,
        found: Recompared,
        (gate, now): (&ChangeGate, Timestamp),
        mark: String,
    ) -> ShelfChange {
        let Recompared { base, class, mut changes, back_test } = found;
        changes.truncate(super::SHOWN_MAX);
        let back_test = back_test.or_else(|| version.back_test.clone());
        let tested = back_test.as_ref();
        let state = match (&version.state, class) {
            (VersionState::Waiting(_), DiffClass::Loosening)
                if gate.bears(tested) && gate.falls(class, tested).is_empty() =>
            {
                waiting(gate, now)
            }
            (_, DiffClass::Same | DiffClass::Tightening | DiffClass::Loosening) => {
                VersionState::Draft
            }
        };
        let mut version = Version { base, class, changes, back_test, state, ..version.clone() };
        version.note(Step::by_gateway(StepKind::Recompared, now));
        ShelfChange { shelf: self.next(mark), versions: vec![version], text: None }
    }

    fn is_comparable(&self, version: &Version) -> Result<(), ShelfRefusal> {
        if !version.state.is_open() {
            Err(ShelfRefusal::Stands(version.state.name()))
        } else if version.base != self.active.policy {
            Err(ShelfRefusal::OtherBase)
        } else {
            Ok(())
        }
    }

    fn activated(&self, asked: Asked<'_>, version: Version, by: Step, mark: String) -> ShelfChange {
        let Asked { outgoing, now, .. } = asked;
        let mut version = Version { state: VersionState::Active, ..version };
        version.note(Step { what: StepKind::Activated, at: now, ..by });
        let mut next = self.next(mark);
        next.open.retain(|open| *open != version.number);
        next.active = Active { version: version.number, policy: version.policy, since: now };
        let outgoing = outgoing.superseded(version.number, now);
        ShelfChange { shelf: next, versions: vec![version, outgoing], text: None }
    }
}

/// Whether no evaluator falls too far behind the version in force.
fn is_abreast(
    gate: &ChangeGate,
    class: DiffClass,
    back_test: Option<&BackTest>,
) -> Result<(), ShelfRefusal> {
    let falls = gate.falls(class, back_test);
    if falls.is_empty() { Ok(()) } else { Err(ShelfRefusal::FallsBehind(falls)) }
}

fn listed(falls: &[Fall]) -> String {
    falls.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// A gate that needs nobody is open at once.
fn waiting(gate: &ChangeGate, now: Timestamp) -> VersionState {
    let not_before = gate.is_open(&[]).then(|| now.after(gate.delay));
    VersionState::Waiting(Waiting { gate: gate.clone(), votes: Vec::new(), not_before })
}
