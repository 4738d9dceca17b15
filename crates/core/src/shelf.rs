//! Versions of an agent's policy, and what people and gateways make of them.
//!
//! A shelf is a list that only grows: a version's text never changes, only where it stands. Every step makes the next
//! revision of the whole shelf from the one that was read, and a store keeps it only if nobody else was faster. All of
//! this is pure.

mod evaluator;
mod signature;
mod step;
mod version;

use serde::{Deserialize, Serialize};

use crate::{
    identity::{AgentId, PolicyId},
    time::Timestamp,
};

pub use self::{
    evaluator::{Evaluator, Evaluators, Fall, MayFall, Measure, share},
    signature::{NoPolicyKey, PolicyKey, PolicySignature, SignatureFault, agent_use, guard_use},
    step::{Asked, Recompared, ShelfRefusal},
    version::{
        BackTest, Change, ChangeGate, ChangeVote, DiffClass, Example, Flips, HIGH_RISK, NewVersion,
        Origin, Proposer, Step, StepKind, TestRun, Version, VersionState, Waiting, digest,
    },
};

/// How many versions of one agent may be drafts or wait for people at the same time.
pub const OPEN_MAX: usize = 16;

/// How many gateways' files are remembered; of more, those that were seen last.
pub const FILES_MAX: usize = 64;

/// How many files are remembered that others took the place of.
pub const FORMER_MAX: usize = 64;

/// How many steps of a version's history are kept: the first, and the newest.
pub const HISTORY_MAX: usize = 64;

/// How many changes, tests and examples a version itself shows.
pub const SHOWN_MAX: usize = 128;

/// The most votes that one version takes.
pub const VOTES_MAX: usize = 64;

/// Where an agent's versions stand as a whole: what each change is compared with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shelf {
    /// Whose.
    pub agent: AgentId,
    /// One higher with each change; 1 at first.
    pub revision: u64,
    /// What made this revision: no two changes have the same.
    pub mark: String,
    /// The highest number of a version.
    pub newest: u64,
    /// The version in force.
    pub active: Active,
    /// The configured file that was taken last.
    pub file: PolicyId,
    /// What each gateway's file was when it looked last, the latest at the end.
    pub files: Vec<SeenFile>,
    /// Files that others took the place of, the latest at the end.
    pub former: Vec<PolicyId>,
    /// Versions that may still come into force, oldest first.
    pub open: Vec<u64>,
    /// The number of the signed version that was accepted last; 0 before the first.
    pub sequence: u64,
}

/// The version in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Active {
    /// Its number.
    pub version: u64,
    /// Which policy it is.
    pub policy: PolicyId,
    /// Since when, by the store's clock.
    pub since: Timestamp,
}

/// The file that a gateway has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeenFile {
    /// Which gateway.
    pub gateway: String,
    /// Which policy the file is.
    pub file: PolicyId,
}

/// How the file of a gateway stands to the shelf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileStanding {
    /// It is what this gateway had before.
    Known,
    /// This gateway did not have it before, and the shelf has taken it already.
    Taken,
    /// It was edited: it comes into force.
    Edited,
    /// A gateway that is new here brings a file that another took the place of.
    Former,
    /// It is signed, and its number is not higher than one that was accepted before: it is not taken.
    Old,
}

/// The next revision of a shelf, with the versions that it changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShelfChange {
    /// The shelf from now on; the revision before it must be the one in the store.
    pub shelf: Shelf,
    /// Versions that are new or stand elsewhere.
    pub versions: Vec<Version>,
    /// The text of the newest version, where that is new.
    pub text: Option<String>,
}

impl Shelf {
    /// A shelf whose first version is the file that is in force.
    #[must_use]
    pub fn begun(file: NewVersion, mark: String) -> ShelfChange {
        let (mut version, text) = file.into_version(1);
        version.state = VersionState::Active;
        let shelf = Self {
            agent: version.agent.clone(),
            revision: 1,
            mark,
            newest: 1,
            active: Active { version: 1, policy: version.policy, since: version.proposed_at },
            file: version.policy,
            files: Vec::new(),
            former: Vec::new(),
            open: Vec::new(),
            sequence: version.signed.as_ref().map_or(0, |signed| signed.sequence),
        };
        ShelfChange { shelf, versions: vec![version], text: Some(text) }
    }

    /// How this gateway's file stands. What was edited is known by the gateway's own memory of it: that another gateway
    /// has another file is no edit.
    #[must_use]
    pub fn standing_of(
        &self,
        gateway: &str,
        (file, signed): (PolicyId, Option<&PolicySignature>),
    ) -> FileStanding {
        let sequence = signed.map(|signed| signed.sequence);
        let before = self.files.iter().rev().find(|seen| seen.gateway == gateway);
        match before {
            // signed anew is said anew, whatever was said of it before
            _ if sequence > Some(self.sequence) => FileStanding::Edited,
            Some(seen) if seen.file == file => FileStanding::Known,
            Some(_) | None if file == self.file => FileStanding::Taken,
            None if self.former.contains(&file) => FileStanding::Former,
            _ if sequence.is_some() && file != self.active.policy => FileStanding::Old,
            Some(_) | None => FileStanding::Edited,
        }
    }

    /// Remembers what file this gateway has, and nothing else.
    #[must_use]
    pub fn seen(&self, gateway: &str, file: PolicyId, mark: String) -> ShelfChange {
        let mut next = self.next(mark);
        next.note(gateway, file);
        ShelfChange { shelf: next, versions: Vec::new(), text: None }
    }

    /// Puts an edited file in force. Where it says what is in force already, no version is new, unless it is the first that
    /// is signed.
    #[must_use]
    pub fn taking(
        &self,
        (file, gateway): (NewVersion, &str),
        outgoing: &Version,
        mark: String,
    ) -> ShelfChange {
        let mut next = self.next(mark);
        next.note(gateway, file.policy);
        next.former.retain(|former| *former != self.file && *former != file.policy);
        if file.policy != self.file {
            next.former.push(self.file);
        }
        keep_last(&mut next.former, FORMER_MAX);
        next.file = file.policy;
        if let Some(signed) = &file.signed {
            next.sequence = next.sequence.max(signed.sequence);
        }
        let is_newly_signed = file.signed.is_some() && outgoing.signed.is_none();
        if file.policy == self.active.policy && !is_newly_signed {
            return ShelfChange { shelf: next, versions: Vec::new(), text: None };
        }
        let (number, at) = (self.newest.saturating_add(1), file.proposed_at);
        let (mut version, text) = file.into_version(number);
        version.state = VersionState::Active;
        version.note(Step::by_gateway(StepKind::Activated, at));
        next.newest = number;
        next.active = Active { version: number, policy: version.policy, since: at };
        let outgoing = outgoing.superseded(number, at);
        ShelfChange { shelf: next, versions: vec![version, outgoing], text: Some(text) }
    }

    /// The shelf as its next revision begins.
    fn next(&self, mark: String) -> Self {
        Self { revision: self.revision.saturating_add(1), mark, ..self.clone() }
    }

    fn note(&mut self, gateway: &str, file: PolicyId) {
        self.files.retain(|seen| seen.gateway != gateway);
        self.files.push(SeenFile { gateway: gateway.to_owned(), file });
        keep_last(&mut self.files, FILES_MAX);
    }
}

fn keep_last<T>(items: &mut Vec<T>, most: usize) {
    let beyond = items.len().saturating_sub(most);
    items.drain(..beyond);
}

#[cfg(test)]
mod tests;
