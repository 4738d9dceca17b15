//! Watching the configuration and its policies, and putting a valid change in force without a restart.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use countersign_core::{
    identity::{AgentId, PolicyId},
    incident::Severity,
};
use countersign_engine::shelf::{Files, Follower, InForce, Pinned};
use countersign_policy::Policy;
use countersign_server::Gatehouse;
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    config::Problems,
    policies::{self, Loaded, Overrides},
    state::StateFile,
    store::Demand,
    wiring::{self, Parts},
};

/// Editors write in several steps: so long must be quiet before a file is read.
const QUIET: Duration = Duration::from_millis(150);

/// Some file systems tell nobody about changes: then this often.
const LOOK: Duration = Duration::from_secs(3);

/// How often the versions of policies are looked at that operators change.
const FOLLOW: Duration = Duration::from_secs(1);

/// What is watched, and what it looked like.
#[derive(Debug)]
pub(crate) struct Reload {
    file: PathBuf,
    overrides: Overrides,
    files: Vec<PathBuf>,
    seen: Fingerprint,
    policies: BTreeMap<String, PolicyId>,
    fixed: Fixed,
    demand: Option<Demand>,
    state: Option<Arc<StateFile>>,
}

/// What only a restart can change.
#[derive(Debug, PartialEq, Eq)]
struct Fixed(String);

type Fingerprint = [u8; 32];

impl Reload {
    /// From the configuration that is about to be in force.
    pub(crate) fn new(loaded: &Loaded, overrides: Overrides) -> Self {
        let files = loaded.files();
        Self {
            file: loaded.config.file.clone(),
            overrides,
            seen: fingerprint(&files),
            files,
            policies: versions(&loaded.grants, &loaded.guards),
            fixed: Fixed::of(loaded),
            demand: None,
            state: None,
        }
    }

    /// The store that a new configuration may demand more of.
    pub(crate) fn demanding(self, demand: Demand) -> Self {
        Self { demand: Some(demand), ..self }
    }

    /// Where it is remembered which guards were signed last.
    pub(crate) fn remembering(self, state: Arc<StateFile>) -> Self {
        Self { state: Some(state), ..self }
    }
}

impl Fixed {
    fn of(loaded: &Loaded) -> Self {
        let config = &loaded.config;
        let parts = (&config.app, &config.rpc, &config.admin, &config.state, &config.store);
        Self(format!("{parts:?} {:?}", config.telemetry))
    }
}

/// Reloads until it is told to stop.
#[derive(Debug)]
pub(crate) struct Reloader {
    reload: Reload,
    loaded: Loaded,
    parts: Parts,
    follower: Follower,
    house: Gatehouse,
}

impl Reloader {
    /// A reloader of a running gateway.
    pub(crate) fn new(
        (reload, loaded): (Reload, Loaded),
        (parts, follower): (Parts, Follower),
        house: Gatehouse,
    ) -> Self {
        Self { reload, loaded, parts, follower, house }
    }

    /// Reloads when a file changes and when a SIGHUP comes, and puts in force what operators activate.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let (sender, mut changes) = mpsc::channel(1);
        let mut watched = Watched::new(sender);
        watched.extend(&self.reload.files);
        let mut hangup = Hangup::new();
        let (mut look, mut follow) = (every(LOOK), every(FOLLOW));
        let engine = Arc::clone(&self.house.engine);
        loop {
            let asked = tokio::select! {
                () = stop.cancelled() => return,
                () = hangup.recv() => Some(true),
                _ = changes.recv() => Some(false),
                _ = look.tick() => Some(false),
                _ = follow.tick() => None,
                () = engine.shelf_changed() => None,
            };
            let Some(asked) = asked else {
                self.follow().await;
                continue;
            };
            tokio::time::sleep(QUIET).await;
            while changes.try_recv().is_ok() {}
            if self.look(asked).await {
                watched.extend(&self.reload.files);
            }
        }
    }

    /// Reads everything again if anything is different. Whether it was.
    async fn look(&mut self, asked: bool) -> bool {
        let now = fingerprint(&self.reload.files);
        if now == self.reload.seen && !asked {
            return false;
        }
        self.reload.seen = now;
        let (file, overrides, parts) =
            (self.reload.file.clone(), self.reload.overrides.clone(), self.parts.clone());
        let read = tokio::task::spawn_blocking(move || read(&file, &overrides, &parts)).await;
        match read {
            Ok(Ok((loaded, parts))) => self.apply(loaded, parts).await,
            Ok(Err(problems)) => self.keep(&problems).await,
            Err(_) => tracing::error!(
                "the configuration could not be read again; the old one stays in force"
            ),
        }
        true
    }

    async fn apply(&mut self, loaded: Loaded, parts: Parts) {
        if let Some(Err(problems)) = self.reload.state.as_ref().map(|s| s.accept_guards(&loaded)) {
            return self.keep(&problems).await;
        }
        loaded.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
        if Fixed::of(&loaded) != self.reload.fixed {
            tracing::warn!(
                "`app`, `listen`, `state`, `store` and `telemetry` take effect at the next start"
            );
        }
        if let Some(demand) = &self.reload.demand {
            demand.follow(&loaded.config);
        }
        // a file that was edited is in force at once, whatever the shelf has
        let (_, followed) = self.follower.look(files(&loaded)).await;
        if let Err(error) = followed {
            tracing::warn!(%error, "the versions of policies cannot be followed; what was in force stays in force");
        }
        let credentials = wiring::credentials(&loaded.config);
        let policies = versions(&loaded.grants, &loaded.guards);
        let changed = changed(&self.reload.policies, &policies);
        self.reload.files = loaded.files();
        self.reload.seen = fingerprint(&self.reload.files);
        self.reload.policies = policies;
        (self.loaded, self.parts) = (loaded, parts);
        self.put_in_force();
        self.house.keyring.replace(credentials);
        tracing::info!(
            policies_changed = changed.len(),
            "the configuration was read again and is in force"
        );
        if !changed.is_empty() {
            let title = format!("policies changed on disk: {}", changed.join(", "));
            let text = "a file that was edited is in force".to_owned();
            let of = ("policy_changed_on_disk", title.as_str());
            self.house.engine.report(Severity::Medium, of, (&title, text), None).await;
        }
        self.note_policies().await;
    }

    /// Puts in force what operators have activated since, here or at another gateway, and what came due.
    async fn follow(&mut self) {
        let (is_other, followed) = self.follower.look(files(&self.loaded)).await;
        if let Err(error) = followed {
            tracing::warn!(%error, "the versions of policies cannot be followed; what was in force stays in force");
        }
        if is_other {
            self.put_in_force();
            tracing::info!("other versions of policies are in force");
            self.note_policies().await;
        }
    }

    fn put_in_force(&self) {
        let mut setup = self.parts.setup(&self.loaded, &self.follower.in_force());
        setup.app = self.house.engine.setup().app.clone();
        self.house.engine.replace(setup);
    }

    /// Says in the books which versions are in force: the log tells each change once, whichever gateways share it.
    pub(crate) async fn note_policies(&self) {
        let in_force = self.follower.in_force();
        let grants = self.loaded.grants.iter().map(|(agent, file)| {
            let grant = in_force.get(agent).map_or(file, |InForce { grant, .. }| grant);
            (agent.clone(), grant.clone())
        });
        for (whose, version) in versions(&grants.collect(), &self.loaded.guards) {
            let noted = self.house.engine.ports().chronicle.note_policy(&whose, version).await;
            if let Err(error) = noted {
                tracing::warn!(whose, %error, "a policy's version is not noted");
            }
        }
    }

    async fn keep(&self, problems: &Problems) {
        for problem in &problems.0 {
            tracing::error!("{problem}");
        }
        tracing::error!("the configuration on disk is invalid; the old one stays in force");
        let title = "the configuration on disk is invalid; the old one stays in force";
        let text = problems.to_string();
        // other problems are another incident
        let (cause, engine) = (text.clone(), &self.house.engine);
        let of = ("configuration_invalid", cause.as_str());
        engine.report(Severity::Medium, of, (title, text), None).await;
    }
}

/// What the shelves are held against.
pub(crate) fn files(loaded: &Loaded) -> Files<'_> {
    let config = &loaded.config;
    Files {
        grants: &loaded.grants,
        signed: &loaded.signed.grants,
        pinned: Pinned { app: &config.app, keys: &config.policy_changes.value.keys },
    }
}

/// Skips what was missed.
fn every(pause: Duration) -> tokio::time::Interval {
    let mut interval = tokio::time::interval(pause);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    interval
}

fn read(file: &Path, overrides: &Overrides, parts: &Parts) -> Result<(Loaded, Parts), Problems> {
    let mut loaded = policies::load_with(file, overrides)?;
    let (parts, warnings) = parts.renew(&loaded)?;
    loaded.warnings.extend(warnings);
    Ok((loaded, parts))
}

/// The content of all files, and which of them cannot be read.
fn fingerprint(files: &[PathBuf]) -> Fingerprint {
    let mut hasher = Sha256::new();
    for file in files {
        let content = if file.is_dir() { Ok(names_in(file)) } else { std::fs::read(file) };
        let content = content.map_or([0; 32], |bytes| Sha256::digest(bytes).into());
        hasher.update(Sha256::digest(file.to_string_lossy().as_bytes()));
        hasher.update(content);
    }
    hasher.finalize().into()
}

/// What a folder has, by name.
fn names_in(folder: &Path) -> Vec<u8> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries.map(|e| e.file_name().into_encoded_bytes()).collect();
    names.sort();
    names.join(&b'/')
}

/// The version of each policy in force, by who it is for.
fn versions(grants: &BTreeMap<AgentId, Policy>, guards: &[Policy]) -> BTreeMap<String, PolicyId> {
    let grants = grants.iter().map(|(agent, policy)| (format!("grant of {agent}"), policy.id()));
    let guards = guards.iter().map(|policy| (format!("guard {}", policy.name()), policy.id()));
    grants.chain(guards).collect()
}

/// Whose policy differs, is new or is gone.
fn changed(old: &BTreeMap<String, PolicyId>, new: &BTreeMap<String, PolicyId>) -> Vec<String> {
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    names.into_iter().filter(|name| old.get(*name) != new.get(*name)).cloned().collect()
}

/// Folders that tell when something in them changes. The folder and not the file: an editor or a config map
/// renames a new file over the old one.
struct Watched {
    watcher: Option<RecommendedWatcher>,
    folders: BTreeSet<PathBuf>,
}

impl Watched {
    fn new(sender: mpsc::Sender<()>) -> Self {
        let tell = move |event: notify::Result<notify::Event>| {
            if event.is_ok_and(|event| !event.kind.is_access()) {
                // full means that somebody has been told already
                let _told_already = sender.try_send(());
            }
        };
        let watcher = notify::recommended_watcher(tell);
        let watcher = watcher.inspect_err(|error| {
            tracing::warn!("changes are noticed every few seconds only: {error}");
        });
        Self { watcher: watcher.ok(), folders: BTreeSet::new() }
    }

    fn extend(&mut self, files: &[PathBuf]) {
        let Some(watcher) = &mut self.watcher else { return };
        for file in files {
            let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
            let folder = folder.unwrap_or_else(|| Path::new("."));
            if self.folders.insert(folder.to_path_buf()) {
                let watching = watcher.watch(folder, RecursiveMode::NonRecursive);
                if let Err(error) = watching {
                    tracing::warn!(folder = %folder.display(), "changes are noticed every few seconds only: {error}");
                }
            }
        }
    }
}

/// SIGHUP where there is one.
struct Hangup {
    #[cfg(unix)]
    signal: Option<tokio::signal::unix::Signal>,
}

impl Hangup {
    #[cfg(unix)]
    fn new() -> Self {
        Self { signal: tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()).ok() }
    }

    #[cfg(unix)]
    async fn recv(&mut self) {
        match &mut self.signal {
            Some(signal) => drop(signal.recv().await),
            None => std::future::pending().await,
        }
    }

    #[cfg(not(unix))]
    const fn new() -> Self {
        Self {}
    }

    #[cfg(not(unix))]
    async fn recv(&mut self) {
        std::future::pending().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_that_differs_is_new_or_gone_has_changed() {
        let version = |byte| PolicyId(alloy_primitives::B256::repeat_byte(byte));
        let old = BTreeMap::from([
            ("a".into(), version(1)),
            ("b".into(), version(1)),
            ("c".into(), version(1)),
        ]);
        let new = BTreeMap::from([
            ("a".into(), version(1)),
            ("b".into(), version(2)),
            ("d".into(), version(1)),
        ]);
        assert_eq!(changed(&old, &new), ["b", "c", "d"]);
        assert!(changed(&new, &new).is_empty());
    }

    #[test]
    fn a_fingerprint_sees_what_comes_into_a_folder_and_goes_from_it() {
        let folder = tempfile::tempdir().unwrap();
        let files = [folder.path().to_path_buf()];
        let empty = fingerprint(&files);
        std::fs::write(folder.path().join("router.json"), "[]").unwrap();
        assert_ne!(fingerprint(&files), empty);
        std::fs::remove_file(folder.path().join("router.json")).unwrap();
        assert_eq!(fingerprint(&files), empty);
    }

    #[test]
    fn a_fingerprint_sees_content_and_absence_but_not_when_a_file_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.yaml");
        let files = [file.clone()];
        let absent = fingerprint(&files);
        std::fs::write(&file, "one").unwrap();
        let one = fingerprint(&files);
        std::fs::write(&file, "two").unwrap();
        let two = fingerprint(&files);
        std::fs::write(&file, "one").unwrap();
        assert!(absent != one && one != two);
        assert_eq!(fingerprint(&files), one);
    }
}
