//! One version of an agent's policy.

use std::fmt;

use alloy_primitives::B256;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{Evaluators, Fall, HISTORY_MAX, MayFall, Measure, PolicySignature, SHOWN_MAX};
use crate::{
    identity::{AgentId, OperatorId, PolicyId, TraceHash},
    time::{Millis, Timestamp},
};

/// Whether a change can only narrow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DiffClass {
    /// Nothing that is allowed changes.
    Same,
    /// Nothing more is allowed: any policy operator, at once.
    Tightening,
    /// It cannot be proved that nothing more is allowed: a gate and a delay.
    Loosening,
}

/// The word of it.
impl fmt::Display for DiffClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Same => "same",
            Self::Tightening => "tightening",
            Self::Loosening => "loosening",
        })
    }
}

/// One change from one version to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// What it does.
    pub class: DiffClass,
    /// The part of the file: `rule pay`, `limit day`, `expires`.
    pub what: String,
    /// What changes, in one line.
    pub text: String,
}

/// One version, without its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Version {
    /// Whose.
    pub agent: AgentId,
    /// Its number; the first is 1, and there is no gap.
    pub number: u64,
    /// Which policy it is.
    pub policy: PolicyId,
    /// The policy's name, and what it is called where its text does not say.
    pub name: String,
    /// The format that its text was read in, where that was said.
    pub format: Option<String>,
    /// Where it came from.
    pub origin: Origin,
    /// The operator; `None` where it was a file.
    pub proposed_by: Option<Proposer>,
    /// When, by the store's clock.
    pub proposed_at: Timestamp,
    /// What the operator wrote beside it.
    pub note: Option<String>,
    /// Whether it is judged beside the one in force while it is open.
    pub shadow: bool,
    /// What it was compared with.
    pub base: PolicyId,
    /// What it does to that.
    pub class: DiffClass,
    /// Every change; of very many the first.
    pub changes: Vec<Change>,
    /// What became of the tests in it; of very many the first.
    pub tests: Vec<TestRun>,
    /// What it would have said lately.
    pub back_test: Option<BackTest>,
    /// Where it stands.
    pub state: VersionState,
    /// The signature, where policies are signed.
    pub signed: Option<PolicySignature>,
    /// What was done to it, oldest first.
    pub history: Vec<Step>,
}

/// Where a version came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case", deny_unknown_fields)]
pub enum Origin {
    /// An operator sent it.
    Api,
    /// An operator wants an older version again.
    Rollback {
        /// Its number.
        of: u64,
    },
    /// The file that a gateway is configured with.
    File {
        /// Which gateway had it first.
        gateway: String,
    },
}

/// Who proposed a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proposer {
    /// The operator.
    pub operator: OperatorId,
    /// The person behind it.
    pub person: String,
}

/// Where a version stands. Nothing leads out of the last three but a new version of the same text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case", deny_unknown_fields)]
pub enum VersionState {
    /// Nobody has asked for it to come into force.
    Draft,
    /// It waits for people, or for its time.
    Waiting(Waiting),
    /// It is in force.
    Active,
    /// Another took its place.
    Superseded,
    /// Somebody said no.
    Rejected,
    /// Whoever proposed it does not want it any more.
    Withdrawn,
}

impl VersionState {
    /// Its word.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Waiting(_) => "waiting",
            Self::Active => "active",
            Self::Superseded => "superseded",
            Self::Rejected => "rejected",
            Self::Withdrawn => "withdrawn",
        }
    }

    /// Whether it may still come into force.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        match self {
            Self::Draft | Self::Waiting(_) => true,
            Self::Active | Self::Superseded | Self::Rejected | Self::Withdrawn => false,
        }
    }
}

/// What a loosening waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Waiting {
    /// Who must say yes, and how long it takes then.
    pub gate: ChangeGate,
    /// Who said yes.
    pub votes: Vec<ChangeVote>,
    /// When it comes into force; `None` while the gate is shut.
    pub not_before: Option<Timestamp>,
}

/// Who lets a policy be loosened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangeGate {
    /// How many people, besides whoever proposed it and whoever owns the agent.
    pub approvals: u32,
    /// Of one of these groups; of any, where there is none.
    pub groups: Vec<String>,
    /// How long after the last of them it comes into force.
    pub delay: Millis,
    /// Of the decisions in its back-test, how many may be newly allowed, in hundredths of a percent. Whoever says yes, more
    /// than that is not asked for.
    pub newly_allowed_bp: Option<u32>,
    /// How many of those with a risk score of [`HIGH_RISK`] or more.
    pub newly_allowed_at_risk: Option<u64>,
    /// How far each evaluator may fall behind the version in force: whatever falls further is not asked for, also where it
    /// only narrows.
    #[serde(default)]
    pub may_fall: MayFall,
}

/// From this risk score on a decision is one at high risk.
pub const HIGH_RISK: u8 = 60;

impl Default for ChangeGate {
    /// One other person, and an hour to object.
    fn default() -> Self {
        Self {
            approvals: 1,
            groups: Vec::new(),
            delay: Millis::from_secs(3600),
            newly_allowed_bp: None,
            newly_allowed_at_risk: None,
            may_fall: MayFall::default(),
        }
    }
}

impl ChangeGate {
    /// Whether enough people said yes, of those who count.
    #[must_use]
    pub fn is_open<'a>(&self, votes: impl IntoIterator<Item = &'a ChangeVote>) -> bool {
        let mut people: Vec<&str> = votes
            .into_iter()
            .filter(|vote| self.takes(&vote.groups))
            .map(|vote| vote.person.as_str())
            .collect();
        people.sort_unstable();
        people.dedup();
        u32::try_from(people.len()).unwrap_or(u32::MAX) >= self.approvals
    }

    /// Whether a version with this back-test may be asked for. Without decisions there is nothing to hold it against; what
    /// could not be decided again may be allowed by it, at whatever risk.
    #[must_use]
    pub fn bears(&self, back_test: Option<&BackTest>) -> bool {
        let Some(BackTest { decisions, skipped, newly, newly_allowed_at_risk, .. }) = back_test
        else {
            return true;
        };
        let all = u128::from(decisions.saturating_add(*skipped));
        let allowed = u128::from(newly.allow.saturating_add(*skipped));
        let at_risk = newly_allowed_at_risk.saturating_add(*skipped);
        let most = |bp: u32| u128::from(bp).saturating_mul(all);
        self.newly_allowed_bp.is_none_or(|bp| allowed.saturating_mul(10_000) <= most(bp))
            && self.newly_allowed_at_risk.is_none_or(|most| at_risk <= most)
    }

    /// Which evaluators of a version with this back-test fall too far behind the version in force.
    #[must_use]
    pub fn falls(&self, class: DiffClass, back_test: Option<&BackTest>) -> Vec<Fall> {
        self.may_fall.falls(class, back_test)
    }

    /// Whether somebody of these groups may say yes.
    #[must_use]
    pub fn takes(&self, groups: &[String]) -> bool {
        self.groups.is_empty() || self.groups.iter().any(|group| groups.contains(group))
    }
}

/// One person's yes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangeVote {
    /// The operator.
    pub operator: OperatorId,
    /// The person behind it.
    pub person: String,
    /// The operator's groups then.
    pub groups: Vec<String>,
    /// When.
    pub at: Timestamp,
    /// What they wrote.
    pub note: Option<String>,
}

/// One step of a version's life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// What was done.
    pub what: StepKind,
    /// When, by the store's clock.
    pub at: Timestamp,
    /// The operator; `None` where it was a gateway.
    pub by: Option<OperatorId>,
    /// What they wrote, or why.
    pub note: Option<String>,
}

impl Step {
    /// A step that nobody asked for just then.
    #[must_use]
    pub const fn by_gateway(what: StepKind, at: Timestamp) -> Self {
        Self { what, at, by: None, note: None }
    }
}

/// What was done to a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepKind {
    /// It was put on the shelf.
    Proposed,
    /// It was asked for, and waits for people.
    Asked,
    /// Somebody said yes.
    Approved,
    /// The version in force is another: it was compared anew, and who had said yes has to look again.
    Recompared,
    /// It came into force.
    Activated,
    /// Another took its place.
    Superseded,
    /// Somebody said no.
    Rejected,
    /// It is not wanted any more.
    Withdrawn,
}

/// What became of one test in a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TestRun {
    /// Its name.
    pub name: String,
    /// Where it stands in the text, from 1.
    pub line: u32,
    /// Whether it passed.
    pub passed: bool,
}

/// Recorded decisions, decided again under a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackTest {
    /// Not before.
    pub from: Timestamp,
    /// Before.
    pub to: Timestamp,
    /// How many decisions were decided again.
    pub decisions: u64,
    /// How many could not be: they were made under a policy whose text is not here, or before anything was judged.
    pub skipped: u64,
    /// Whether there were more than were looked at: then the newest were.
    pub truncated: bool,
    /// What would have ended otherwise.
    pub newly: Flips,
    /// Of those that would be newly allowed, how many had a risk score of [`HIGH_RISK`] or more.
    pub newly_allowed_at_risk: u64,
    /// What it is measured by, beside the version in force then.
    #[serde(default)]
    pub evaluators: Evaluators<Measure>,
    /// The newest of those that would have ended otherwise.
    pub examples: Vec<Example>,
}

/// How many decisions end otherwise, by how they end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flips {
    /// Denied, and was not.
    pub deny: u64,
    /// Allowed, and was not.
    pub allow: u64,
    /// Parked, and was not.
    pub park: u64,
}

/// A decision that ends otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Example {
    /// Which.
    pub trace: TraceHash,
    /// `allow`, `park` or `deny`, with the code behind a space where there is one.
    pub before: String,
    /// The same under the version.
    pub after: String,
}

/// A version before it has a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewVersion {
    /// Whose.
    pub agent: AgentId,
    /// Which policy it is.
    pub policy: PolicyId,
    /// The policy's name.
    pub name: String,
    /// The format, where it was said.
    pub format: Option<String>,
    /// Where it came from.
    pub origin: Origin,
    /// Who proposed it.
    pub proposed_by: Option<Proposer>,
    /// When.
    pub proposed_at: Timestamp,
    /// What they wrote.
    pub note: Option<String>,
    /// Whether it is judged beside the one in force.
    pub shadow: bool,
    /// What it was compared with.
    pub base: PolicyId,
    /// What it does to that.
    pub class: DiffClass,
    /// Every change.
    pub changes: Vec<Change>,
    /// What became of its tests.
    pub tests: Vec<TestRun>,
    /// What it would have said lately.
    pub back_test: Option<BackTest>,
    /// The signature, where policies are signed.
    pub signed: Option<PolicySignature>,
    /// The text.
    pub text: String,
}

impl NewVersion {
    /// A draft of this number, and its text.
    pub(super) fn into_version(self, number: u64) -> (Version, String) {
        let Self { agent, policy, name, format, origin, proposed_by, proposed_at, note, .. } = self;
        let Self { shadow, base, class, mut changes, mut tests, back_test, signed, text, .. } =
            self;
        changes.truncate(SHOWN_MAX);
        tests.truncate(SHOWN_MAX);
        let by = proposed_by.as_ref().map(|proposer| proposer.operator.clone());
        let proposed = Step { what: StepKind::Proposed, at: proposed_at, by, note: note.clone() };
        let version = Version {
            agent,
            number,
            policy,
            name,
            format,
            origin,
            proposed_by,
            proposed_at,
            note,
            shadow,
            base,
            class,
            changes,
            tests,
            back_test,
            state: VersionState::Draft,
            signed,
            history: vec![proposed],
        };
        (version, text)
    }
}

impl Version {
    /// What people say yes to: this text for this agent, compared with that version. Another base is another question.
    #[must_use]
    pub fn digest(&self) -> B256 {
        digest(&self.agent, self.number, self.policy, self.base)
    }

    /// `shadow` for a draft that is judged beside the one in force, else its state's word.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        if self.shadow && matches!(self.state, VersionState::Draft) {
            "shadow"
        } else {
            self.state.name()
        }
    }

    /// When it came into force last, and who did that.
    #[must_use]
    pub fn activated(&self) -> Option<&Step> {
        self.history.iter().rev().find(|step| step.what == StepKind::Activated)
    }

    /// Whether it is judged beside the one in force.
    #[must_use]
    pub const fn is_shadow(&self) -> bool {
        self.shadow && self.state.is_open()
    }

    pub(super) fn superseded(&self, by: u64, at: Timestamp) -> Self {
        let mut version = Self { state: VersionState::Superseded, ..self.clone() };
        let note = Some(format!("by version {by}"));
        version.note(Step { note, ..Step::by_gateway(StepKind::Superseded, at) });
        version
    }

    /// One more step; of too many, those behind the first go.
    pub(super) fn note(&mut self, step: Step) {
        if self.history.len() >= HISTORY_MAX {
            self.history.remove(1);
        }
        self.history.push(step);
    }
}

/// What people say yes to.
#[must_use]
pub fn digest(agent: &AgentId, number: u64, policy: PolicyId, base: PolicyId) -> B256 {
    let text = format!("countersign policy change\n{agent}\n{number}\n{policy}\n{base}");
    B256::from_slice(&Sha256::digest(text))
}
