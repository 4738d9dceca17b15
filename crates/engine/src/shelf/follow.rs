//! Which version is in force at this gateway: the file that was edited last, or what operators activated since.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
};

use countersign_core::{
    identity::{AgentId, PolicyId},
    incident::Severity,
    shelf::{FileStanding, Origin, PolicyKey, PolicySignature, Shelf, Version},
    time::Timestamp,
};
use countersign_policy::Policy;

use super::{Pinned, ROUNDS_MAX, ShelfError, due, kept_changing, policy_in};
use crate::{engine::Engine, setup::OnShelf};

/// What is in force for one agent.
#[derive(Debug, Clone)]
pub struct InForce {
    /// The grant.
    pub grant: Policy,
    /// How it came into force.
    pub shelf: OnShelf,
}

/// Follows the shelves of all agents for one gateway. What it knew last stays in force while the store is away.
#[derive(Debug)]
pub struct Follower {
    engine: Arc<Engine>,
    /// The name that outlives a restart: what its files were is remembered under it.
    gateway: String,
    known: BTreeMap<AgentId, Known>,
    keys: Vec<PolicyKey>,
}

/// The configured files, by agent, with their signatures where they have any. Whether those are good is known already.
#[derive(Debug, Clone, Copy)]
pub struct Files<'a> {
    /// Policies.
    pub grants: &'a BTreeMap<AgentId, Policy>,
    /// Signatures.
    pub signed: &'a BTreeMap<AgentId, PolicySignature>,
    /// Whose count.
    pub pinned: Pinned<'a>,
}

/// One of them.
#[derive(Debug, Clone, Copy)]
struct File<'a> {
    policy: &'a Policy,
    signed: Option<&'a PolicySignature>,
}

impl<'a> Files<'a> {
    fn iter(self) -> impl Iterator<Item = (&'a AgentId, File<'a>)> {
        let file = move |(agent, policy)| (agent, File { policy, signed: self.signed.get(agent) });
        self.grants.iter().map(file)
    }
}

impl File<'_> {
    /// Signed anew it is another.
    fn mark(self) -> FileMark {
        (self.policy.id(), self.signed.map(|signed| signed.sequence))
    }
}

type FileMark = (PolicyId, Option<u64>);

/// What was found at a revision.
#[derive(Debug)]
struct Known {
    revision: u64,
    file: FileMark,
    due: Option<Timestamp>,
    in_force: InForce,
}

impl Follower {
    /// A follower that has seen nothing yet.
    #[must_use]
    pub fn new(engine: Arc<Engine>, gateway: &str) -> Self {
        engine.shelves().is_followed.store(true, Ordering::Release);
        Self { engine, gateway: gateway.to_owned(), known: BTreeMap::new(), keys: Vec::new() }
    }

    /// What is in force, as far as it is known.
    #[must_use]
    pub fn in_force(&self) -> BTreeMap<AgentId, InForce> {
        let known = self.known.iter();
        known.map(|(agent, known)| (agent.clone(), known.in_force.clone())).collect()
    }

    /// Looks what has changed on the shelves and in these files. Whether something else is in force than before.
    ///
    /// An error leaves in force what was, but for files that were edited and are not signed: they are in force at once, and
    /// the shelf hears of it when it is there again.
    pub async fn look(&mut self, files: Files<'_>) -> (bool, Result<(), ShelfError>) {
        let before = self.ids();
        if self.keys != files.pinned.keys {
            files.pinned.keys.clone_into(&mut self.keys);
            // what is in force may not be so any more
            self.known.values_mut().for_each(|known| known.revision = 0);
        }
        self.known.retain(|agent, _| files.grants.contains_key(agent));
        let mut found = Ok(());
        match self.engine.ports().shelf.revisions().await {
            Ok(revisions) => {
                for (agent, file) in files.iter() {
                    let revision = revisions.get(agent).copied().unwrap_or(0);
                    if let Err(error) = self.look_at((agent, file, files.pinned), revision).await {
                        self.keep(agent, file);
                        found = Err(error);
                    }
                }
            }
            Err(error) => {
                for (agent, file) in files.iter() {
                    self.keep(agent, file);
                }
                found = Err(error.into());
            }
        }
        (before != self.ids(), found)
    }

    fn ids(&self) -> BTreeMap<AgentId, (PolicyId, FileMark, Option<u64>)> {
        let ids = |known: &Known| {
            let InForce { grant, shelf } = &known.in_force;
            (grant.id(), known.file, shelf.version)
        };
        self.known.iter().map(|(agent, known)| (agent.clone(), ids(known))).collect()
    }

    /// Without the store: what was in force, or an edited file. Of a signed one only the shelf knows whether it is older than
    /// what was there, and so it waits.
    fn keep(&mut self, agent: &AgentId, file: File<'_>) {
        let known = self.known.get(agent);
        let takes_its_place = |known: &Known| known.file != file.mark() && file.signed.is_none();
        if known.is_none_or(takes_its_place) {
            self.known.insert(agent.clone(), Known::only_file(file));
        }
    }

    async fn look_at(
        &mut self,
        (agent, file, pinned): (&AgentId, File<'_>, Pinned<'_>),
        revision: u64,
    ) -> Result<(), ShelfError> {
        if revision == 0 && file.signed.is_none() {
            let Some(former) = self.known.get(agent).filter(|known| known.file != file.mark())
            else {
                self.known.insert(agent.clone(), Known::only_file(file));
                return Ok(());
            };
            // what was decided under it is to be decided again: the shelf begins with its text
            self.engine.shelf_begun(agent, (&former.in_force.grant, None)).await?;
        }
        if let Some(known) = self.known.get(agent) {
            let is_known = known.revision == revision && known.file == file.mark();
            let is_due = match known.due {
                Some(due) => due <= self.engine.ports().ledger.now().await?,
                None => false,
            };
            if is_known && !is_due {
                return Ok(());
            }
        }
        for _ in 0..ROUNDS_MAX {
            // what was signed once is remembered, so that nothing older comes back
            let kept = self.engine.shelf_begun(agent, (file.policy, file.signed)).await?;
            if self.takes_file(&kept, file).await? {
                continue;
            }
            let open = self.open(&kept).await?;
            if self.comes_due(&open).await? {
                continue;
            }
            let in_force = self.find(&kept, (file, pinned)).await?;
            let (revision, file) = (kept.revision, file.mark());
            let known = Known { revision, file, due: due(&open), in_force };
            self.known.insert(agent.clone(), known);
            return Ok(());
        }
        Err(kept_changing())
    }

    /// Tells the shelf what this gateway's file is. Whether the shelf is another now.
    async fn takes_file(&self, kept: &Shelf, file: File<'_>) -> Result<bool, ShelfError> {
        let File { policy, signed } = file;
        let (engine, mark) = (&self.engine, self.engine.mark());
        match kept.standing_of(&self.gateway, (policy.id(), signed)) {
            FileStanding::Known => Ok(false),
            FileStanding::Old => {
                self.tell_of_old(kept, file).await;
                Ok(false)
            }
            standing @ (FileStanding::Taken | FileStanding::Former) => {
                // what is in force does not depend on whether this is noted
                match engine.put_shelf(&kept.seen(&self.gateway, policy.id(), mark)).await {
                    Ok(true) if standing == FileStanding::Former => {
                        self.tell_of_former(kept, policy).await;
                        Ok(true)
                    }
                    Ok(_) => Ok(true),
                    Err(error) => {
                        tracing::warn!(%error, "the shelf does not hear which file is here");
                        Ok(false)
                    }
                }
            }
            FileStanding::Edited => {
                let outgoing = engine.version_of(&kept.agent, kept.active.version).await?;
                // what cannot be read any more is compared with nothing: the file is in force all the same
                let base = engine.policy_of(&outgoing).await.unwrap_or_else(|_| policy.clone());
                let now = engine.ports().ledger.now().await?;
                let new = engine.file_version(&kept.agent, ((policy, signed), &base), now);
                let change = kept.taking((new, &self.gateway), &outgoing, mark);
                if engine.put_shelf(&change).await? && !change.versions.is_empty() {
                    self.tell_of_file(&outgoing, policy).await;
                }
                Ok(true)
            }
        }
    }

    async fn open(&self, kept: &Shelf) -> Result<Vec<Version>, ShelfError> {
        let mut open = Vec::with_capacity(kept.open.len());
        for number in &kept.open {
            open.push(self.engine.version_of(&kept.agent, *number).await?);
        }
        Ok(open)
    }

    async fn comes_due(&self, open: &[Version]) -> Result<bool, ShelfError> {
        let Some(first) = due(open) else { return Ok(false) };
        if self.engine.ports().ledger.now().await? < first {
            return Ok(false);
        }
        let is_it = |version: &&Version| due(std::slice::from_ref(*version)) == Some(first);
        match open.iter().find(is_it) {
            Some(version) => {
                let done = self.engine.come_due(&version.agent, version.number).await;
                // one that cannot come into force does not stand in the way of others
                Ok(done.unwrap_or_else(|error| {
                    tracing::warn!(%error, "a version whose time has come is not put in force");
                    false
                }))
            }
            None => Ok(false),
        }
    }

    /// The active version's policy: the file itself where it says the same.
    async fn find(
        &self,
        kept: &Shelf,
        (File { policy: file, .. }, pinned): (File<'_>, Pinned<'_>),
    ) -> Result<InForce, ShelfError> {
        let version = Some(kept.active.version);
        if kept.active.policy == file.id() {
            return Ok(InForce { grant: file.clone(), shelf: OnShelf { version, file: None } });
        }
        let active = self.engine.version_of(&kept.agent, kept.active.version).await?;
        let read = async {
            let text = self.engine.text_of(&active).await?;
            pinned.vouch_for(&active, &text)?;
            policy_in(&active, &text)
        };
        match read.await {
            Ok(grant) => {
                Ok(InForce { grant, shelf: OnShelf { version, file: Some(file.clone()) } })
            }
            Err(error) => {
                self.tell_of_unread(&active, &error).await;
                Err(error)
            }
        }
    }

    async fn tell_of_file(&self, outgoing: &Version, file: &Policy) {
        let Version { agent, number, policy, origin, .. } = outgoing;
        let was = match origin {
            Origin::File { .. } => "a file",
            Origin::Api | Origin::Rollback { .. } => "what operators activated",
        };
        let title =
            format!("the file of `{agent}` was edited: it takes the place of version {number}");
        let text = format!(
            "{} from the file of {} is in force; {policy}, {was}, was until now",
            file.id(),
            self.gateway
        );
        let of = ("policy_file_edited", agent.as_str());
        self.engine.report(Severity::Medium, of, (&title, text), Some(agent)).await;
    }

    async fn tell_of_old(&self, kept: &Shelf, file: File<'_>) {
        let agent = &kept.agent;
        let title = format!("an older signed file of `{agent}` is not taken");
        let sequence = file.signed.map_or(0, |signed| signed.sequence);
        let text = format!(
            "{} in the file of {} is signed with the number {sequence}, and {} was accepted before; version {} ({}) is in force. To go back to it on purpose, sign it again",
            file.policy.id(),
            self.gateway,
            kept.sequence,
            kept.active.version,
            kept.active.policy
        );
        let of = ("policy_file_old", agent.as_str());
        self.engine.report(Severity::High, of, (&title, text), Some(agent)).await;
    }

    async fn tell_of_former(&self, kept: &Shelf, file: &Policy) {
        let agent = &kept.agent;
        let title = format!("{} has an old policy file for `{agent}`", self.gateway);
        let text = format!(
            "its file is {}, which others took the place of; version {} ({}) is in force",
            file.id(),
            kept.active.version,
            kept.active.policy
        );
        let of = ("policy_file_former", self.gateway.as_str());
        self.engine.report(Severity::Medium, of, (&title, text), Some(agent)).await;
    }

    async fn tell_of_unread(&self, active: &Version, error: &ShelfError) {
        let title = "a version of a policy cannot be put in force; what was in force here stays so";
        let of = ("policy_unread", self.gateway.as_str());
        let said = (title, error.to_string());
        self.engine.report(Severity::High, of, said, Some(&active.agent)).await;
    }
}

impl Known {
    fn only_file(file: File<'_>) -> Self {
        let in_force = InForce { grant: file.policy.clone(), shelf: OnShelf::default() };
        Self { revision: 0, file: file.mark(), due: None, in_force }
    }
}
