//! Versions of agents' policies: which is in force, and what operators and time make of the others.
//!
//! Every change is worked out from a revision of an agent's shelf and put only if that revision is still the last, so
//! that two operators, two gateways, or an operator and an edited file never lose one another's.

pub(crate) mod back_test;
mod change;
mod check;
mod evaluate;
mod explain;
mod follow;
mod propose;

use std::sync::atomic::{AtomicBool, Ordering};

use countersign_core::{
    identity::{AgentId, AppId, PolicyId},
    shelf::{
        Change, DiffClass, PolicyKey, PolicySignature, Shelf, ShelfChange, ShelfRefusal,
        SignatureFault, Version, VersionState, agent_use,
    },
    time::{Millis, Timestamp},
};
use countersign_policy::{Policy, PolicyErrors};
use futures_util::future::{Either, select};
use tokio::sync::{Notify, watch};

use crate::{
    engine::Engine,
    port::{ledger::LedgerError, shelf::PutAnswer},
    setup::Setup,
};

pub use self::{
    change::Verb,
    check::{Checked, Trial},
    evaluate::{Asked, ByAgent, Evaluation, Evaluations, OfAgent, OfApp, OfPolicy, OfVersion},
    explain::{ExplainError, Explained, Question, Recollection},
    follow::{Files, Follower, InForce},
    propose::Proposal,
};

/// How often a change that may have reached the store is put again.
const PUT_MAX: u8 = 3;

/// How often a change is worked out anew because another came in between.
const ROUNDS_MAX: u32 = 64;

/// How long an operator's request waits for a version to be in force at this gateway.
const APPLIED_WITHIN: Millis = Millis(3000);

/// Who follows the versions of policies, and who waits for that.
#[derive(Debug)]
pub(crate) struct Shelves {
    changed: Notify,
    replaced: watch::Sender<()>,
    is_followed: AtomicBool,
}

impl Default for Shelves {
    fn default() -> Self {
        let replaced = watch::Sender::new(());
        Self { changed: Notify::new(), replaced, is_followed: AtomicBool::new(false) }
    }
}

impl Shelves {
    pub(crate) fn replaced(&self) {
        self.replaced.send_replace(());
    }
}

/// Why nothing was done to a version.
#[derive(Debug, thiserror::Error)]
pub enum ShelfError {
    /// 404
    #[error("there is no such agent or version")]
    Missing,
    /// 422: the text is no policy for this agent.
    #[error("{0}")]
    Invalid(PolicyErrors),
    /// 409, or 403: no step leads on from where it stands, or not for this operator or this text.
    #[error("{0}")]
    Refused(#[from] ShelfRefusal),
    /// 409: what was looked at is not what is there.
    #[error("the digest is not that of the version as it stands: look at it again")]
    OtherDigest,
    /// 403: in none of the groups that may say it.
    #[error("this operator is in none of the groups that let a policy be loosened")]
    NotInGate,
    /// 403: of the people that do not count.
    #[error("whoever proposed a version, or owns the agent, does not approve it")]
    Requester,
    /// 403: the signature is worth nothing here.
    #[error("{0}")]
    Signature(#[from] SignatureFault),
    /// 503: the store does not hold what it held; nothing is signed until a person has looked.
    #[error("{0}")]
    Lost(String),
    /// 503: nothing is written, and nothing signed, until the clocks agree.
    #[error("{0}")]
    Clock(String),
    /// 503
    #[error("{0}")]
    Unavailable(String),
}

impl From<LedgerError> for ShelfError {
    fn from(error: LedgerError) -> Self {
        match error {
            LedgerError::Lost(why) => Self::Lost(why),
            LedgerError::Clock(_) => Self::Clock(error.to_string()),
            LedgerError::Unavailable(_)
            | LedgerError::Ambiguous(_)
            | LedgerError::Refused(_)
            | LedgerError::Damaged(_) => Self::Unavailable(error.to_string()),
        }
    }
}

impl Engine {
    /// An agent's shelf, its first version being the configured file.
    async fn shelf_of(&self, setup: &Setup, agent: &AgentId) -> Result<Shelf, ShelfError> {
        let configured = setup.agents.get(agent).ok_or(ShelfError::Missing)?;
        self.shelf_begun(agent, (configured.file(), None)).await
    }

    /// An agent's shelf, which begins with this file where there is none.
    async fn shelf_begun(
        &self,
        agent: &AgentId,
        (file, signed): (&Policy, Option<&PolicySignature>),
    ) -> Result<Shelf, ShelfError> {
        for _ in 0..ROUNDS_MAX {
            if let Some(shelf) = self.ports().shelf.shelf(agent).await? {
                return Ok(shelf);
            }
            let now = self.ports().ledger.now().await?;
            let file = self.file_version(agent, ((file, signed), file), now);
            self.put_shelf(&Shelf::begun(file, self.mark())).await?;
        }
        Err(kept_changing())
    }

    async fn version_of(&self, agent: &AgentId, number: u64) -> Result<Version, ShelfError> {
        self.ports().shelf.version(agent, number).await?.ok_or(ShelfError::Missing)
    }

    async fn text_of(&self, version: &Version) -> Result<String, ShelfError> {
        let text = self.ports().shelf.text(&version.agent, version.number).await?;
        text.ok_or(ShelfError::Missing)
    }

    /// A version's policy, read again from its text.
    async fn policy_of(&self, version: &Version) -> Result<Policy, ShelfError> {
        policy_in(version, &self.text_of(version).await?)
    }

    /// Whether a version may come into force, whoever put it on the shelf; see [`Pinned::vouch_for`].
    async fn is_vouched_for(&self, setup: &Setup, version: &Version) -> Result<(), ShelfError> {
        Pinned::of(setup).vouch_for(version, &self.text_of(version).await?)
    }

    /// Puts a change; whether it is made. One that may have reached the store is put again, which makes it once.
    async fn put_shelf(&self, change: &ShelfChange) -> Result<bool, LedgerError> {
        let mut asked: u8 = 1;
        let answer = loop {
            match self.ports().shelf.put(change).await {
                Err(LedgerError::Ambiguous(_)) if asked < PUT_MAX => {
                    asked = asked.saturating_add(1);
                }
                answer => break answer?,
            }
        };
        self.shelves().changed.notify_one();
        Ok(answer == PutAnswer::Done)
    }

    fn mark(&self) -> String {
        let ports = self.ports();
        format!("{} {}", ports.gateway, hex::encode(ports.clock.random()))
    }

    /// Completes when somebody here has changed a shelf.
    pub async fn shelf_changed(&self) {
        self.shelves().changed.notified().await;
    }

    /// Whether the version that is active on a shelf is in force here, which is waited for if somebody follows it.
    pub async fn is_applied(&self, agent: &AgentId, active: PolicyId) -> bool {
        let mut replaced = self.shelves().replaced.subscribe();
        let in_force = || {
            let setup = self.setup();
            setup.agents.get(agent).is_some_and(|agent| agent.grant.id() == active)
        };
        if !self.shelves().is_followed.load(Ordering::Acquire) {
            return in_force();
        }
        let waiting = async { while !in_force() && replaced.changed().await.is_ok() {} };
        let patience = self.ports().clock.sleep(APPLIED_WITHIN);
        match select(Box::pin(waiting), patience).await {
            Either::Left(_) | Either::Right(_) => in_force(),
        }
    }
}

/// Whose signatures count, and for which app.
#[derive(Debug, Clone, Copy)]
pub struct Pinned<'a> {
    /// The app.
    pub app: &'a AppId,
    /// The keys; of none, nothing needs a signature.
    pub keys: &'a [PolicyKey],
}

impl<'a> Pinned<'a> {
    fn of(setup: &'a Setup) -> Self {
        Self { app: &setup.app, keys: &setup.changes.keys }
    }

    /// Where keys are pinned, whether one of them signed a version with this text. Where none is, any more, nothing needs a
    /// signature, whatever it came with.
    fn vouch_for(self, version: &Version, text: &str) -> Result<(), ShelfError> {
        if self.keys.is_empty() {
            return Ok(());
        }
        self.vouch(&version.agent, (text, version.signed.as_ref()))
    }

    /// Whether a pinned key signed this text for this agent.
    fn vouch(
        self,
        agent: &AgentId,
        (text, signed): (&str, Option<&PolicySignature>),
    ) -> Result<(), ShelfError> {
        match signed {
            Some(signed) => {
                Ok(signed.check(text, (self.app.as_str(), &agent_use(agent)), self.keys)?)
            }
            None if self.keys.is_empty() => Ok(()),
            None => Err(ShelfRefusal::Unsigned.into()),
        }
    }
}

/// What a version's text says, if this program reads it as that version.
fn policy_in(version: &Version, text: &str) -> Result<Policy, ShelfError> {
    let unread = |why: &dyn std::fmt::Display| {
        let Version { agent, number, .. } = version;
        ShelfError::Unavailable(format!("version {number} of `{agent}` is not read: {why}"))
    };
    let policy = read(version, text).map_err(|errors| unread(&errors))?;
    if policy.id() == version.policy {
        Ok(policy)
    } else {
        Err(unread(&"this program reads its text as another policy"))
    }
}

/// Reads a version's text as it was read when it was proposed; its tests were run then.
fn read(version: &Version, text: &str) -> Result<Policy, PolicyErrors> {
    let format = version.format.as_deref().and_then(|format| format.parse().ok());
    match format {
        Some(format) => Policy::untested_from_format(format, &version.name, text, &version.name),
        None => Policy::parse_untested(text, &version.name),
    }
}

fn kept_changing() -> ShelfError {
    ShelfError::Unavailable("the versions of this agent's policy kept changing".into())
}

/// What a new version does to the one in force.
struct Comparison {
    class: DiffClass,
    changes: Vec<Change>,
}

fn compared(active: &Policy, new: &Policy) -> Comparison {
    let found = countersign_policy::diff(active, new);
    Comparison { class: found.class, changes: found.changes }
}

/// When something waits only for its time: the earliest.
fn due(versions: &[Version]) -> Option<Timestamp> {
    let times = versions.iter().filter_map(|version| match &version.state {
        VersionState::Waiting(waits) => waits.not_before,
        VersionState::Draft
        | VersionState::Active
        | VersionState::Superseded
        | VersionState::Rejected
        | VersionState::Withdrawn => None,
    });
    times.min()
}
