//! What this gateway remembers of itself and of its ledger, beside the store: one small file per rpc address.
//!
//! It is the anchor by which a lost or exchanged store is noticed (LEDGER §3), and it keeps the incidents that no
//! journal has taken yet. It may lag behind: an older anchor is a point of the same history. Unknown members are kept,
//! so that an older version does not drop what a newer one wrote.

use std::{
    collections::BTreeMap,
    fs, io,
    io::Write as _,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use countersign_core::{identity::PolicyId, incident::Occurrence};
use countersign_store::lineage::Anchor;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{
    clock::fill,
    config::{Config, Problem, Problems},
    failure::Failure,
    files::{private_folder, unusable},
    policies::Loaded,
};

/// How many incidents wait for a journal at most. Later ones are in the log only.
const UNSENT_MAX: usize = 256;

/// The state file, and what it will hold when it is written next.
#[derive(Debug)]
pub(crate) struct StateFile {
    path: PathBuf,
    gateway: String,
    kept: Mutex<Kept>,
}

#[derive(Debug)]
struct Kept {
    members: Map<String, Value>,
    anchor: Option<Anchor>,
    unsent: Vec<Occurrence>,
    guards: BTreeMap<String, SignedGuard>,
    is_written: bool,
}

/// The signed guard that was in force last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct SignedGuard {
    sequence: u64,
    policy: PolicyId,
}

impl StateFile {
    /// Reads the state of a configuration's gateway; begins one with a fresh gateway name where there is none.
    pub(crate) fn open(config: &Config) -> Result<Self, Failure> {
        private_folder(&config.state)?;
        match Self::find(config)? {
            Some(found) => Ok(found),
            None => Self::create(path(config)),
        }
    }

    /// Reads the state, if there is one. Makes nothing.
    pub(crate) fn find(config: &Config) -> Result<Option<Self>, Failure> {
        let path = path(config);
        match fs::read_to_string(&path) {
            Ok(text) => Self::parse(path, &text).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(unusable(&path, &error)),
        }
    }

    fn parse(path: PathBuf, text: &str) -> Result<Self, Failure> {
        let damaged = || {
            Failure::failed(format!(
                "{} is damaged: restore it from a backup; do not delete it while its store is in use",
                path.display()
            ))
        };
        let members: Option<Map<String, Value>> = serde_json::from_str(text).ok();
        let read = |members: Map<String, Value>| {
            let gateway = members.get("gateway")?.as_str()?.to_owned();
            let (anchor, unsent) = (read_anchor(&members).ok()?, read_unsent(&members)?);
            let guards = read_guards(&members)?;
            Some((gateway, Kept { members, anchor, unsent, guards, is_written: true }))
        };
        let (gateway, kept) = members.and_then(read).ok_or_else(damaged)?;
        Ok(Self { path, gateway, kept: Mutex::new(kept) })
    }

    fn create(path: PathBuf) -> Result<Self, Failure> {
        let mut random = [0_u8; 8];
        fill(&mut random);
        let gateway = format!("gw-{}", hex::encode(random));
        let mut members = Map::new();
        members.insert("version".into(), 1.into());
        members.insert("gateway".into(), gateway.clone().into());
        let kept = Kept {
            members,
            anchor: None,
            unsent: Vec::new(),
            guards: BTreeMap::new(),
            is_written: false,
        };
        let state = Self { path, gateway, kept: Mutex::new(kept) };
        state.write()?;
        Ok(state)
    }

    /// This gateway's name, the same for as long as the file lives.
    pub(crate) fn gateway(&self) -> &str {
        &self.gateway
    }

    /// What was seen of the ledger last.
    pub(crate) fn anchor(&self) -> Option<Anchor> {
        self.kept().anchor.clone()
    }

    /// Notes what was seen of the ledger. Written later.
    pub(crate) fn note(&self, anchor: Option<Anchor>) {
        let mut kept = self.kept();
        if anchor.is_some() && kept.anchor != anchor {
            kept.anchor = anchor;
            kept.is_written = false;
        }
    }

    /// Takes these guards for the newest, unless one of them is signed with a number that another had, or with a lower one.
    /// Written later. Agents' own policies are remembered in the store.
    pub(crate) fn accept_guards(&self, loaded: &Loaded) -> Result<(), Problems> {
        let mut kept = self.kept();
        let mut old = Vec::new();
        let mut guards = kept.guards.clone();
        for (entry, guard) in loaded.config.guards.iter().zip(&loaded.guards) {
            let Some(signature) = loaded.signed.guards.get(guard.name()) else { continue };
            let found = SignedGuard { sequence: signature.sequence, policy: guard.id() };
            match kept.guards.get(guard.name()) {
                Some(last)
                    if found.sequence < last.sequence
                        || (found.sequence == last.sequence && found.policy != last.policy) =>
                {
                    let message = format!(
                        "`{}` is signed with the number {}, and {} was accepted before; to go back to it on purpose, sign it again",
                        entry.value.display(),
                        found.sequence,
                        last.sequence
                    );
                    let file = loaded.config.file.clone();
                    old.push(Problem { file, place: entry.place, message });
                }
                Some(_) | None => drop(guards.insert(guard.name().to_owned(), found)),
            }
        }
        if !old.is_empty() {
            return Err(Problems(old));
        }
        if kept.guards != guards {
            kept.guards = guards;
            kept.is_written = false;
        }
        Ok(())
    }

    /// Keeps an incident until a journal has it. Written later.
    pub(crate) fn remember(&self, occurrence: Occurrence) {
        let mut kept = self.kept();
        let is_known = kept.unsent.iter().any(|known| known.id == occurrence.id);
        if !is_known && kept.unsent.len() < UNSENT_MAX {
            kept.unsent.push(occurrence);
            kept.is_written = false;
        }
    }

    /// The incidents that no journal has, oldest first.
    pub(crate) fn unsent(&self) -> Vec<Occurrence> {
        self.kept().unsent.clone()
    }

    /// A journal has it.
    pub(crate) fn sent(&self, occurrence: &Occurrence) {
        let mut kept = self.kept();
        kept.unsent.retain(|known| known.id != occurrence.id);
        kept.is_written = false;
    }

    /// Writes the file if there is something new: replaces it whole, or leaves the old one. Blocks; for one caller at
    /// a time.
    pub(crate) fn write(&self) -> Result<(), Failure> {
        let Some(text) = self.news() else { return Ok(()) };
        let written = replace(&self.path, &text);
        if written.is_err() {
            self.kept().is_written = false;
        }
        written.map_err(|error| unusable(&self.path, &error))
    }

    fn news(&self) -> Option<String> {
        let mut kept = self.kept();
        if kept.is_written {
            return None;
        }
        kept.is_written = true;
        let mut members = kept.members.clone();
        if let Some(Anchor { ledger_id, epoch, sequence, head }) = &kept.anchor {
            members.insert("ledger_id".into(), json!(ledger_id));
            members.insert("epoch".into(), json!(epoch));
            members.insert("sequence".into(), json!(sequence));
            members.insert("head".into(), json!(head));
        }
        members.insert("unsent".into(), json!(kept.unsent));
        if !kept.guards.is_empty() {
            members.insert("guards".into(), json!(kept.guards));
        }
        Some(Value::Object(members).to_string())
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn path(config: &Config) -> PathBuf {
    let name = config.rpc.address.to_string().replace([':', '[', ']'], "_");
    config.state.join(format!("{name}.json"))
}

fn replace(path: &Path, text: &str) -> io::Result<()> {
    let draft = path.with_extension("json.new");
    let mut file = fs::File::create(&draft)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&draft, path)
}

/// `Err` is damage; an older version wrote the ledger's name alone.
fn read_anchor(members: &Map<String, Value>) -> Result<Option<Anchor>, ()> {
    let Some(ledger_id) = members.get("ledger_id") else { return Ok(None) };
    let number = |name| members.get(name).and_then(Value::as_u64).ok_or(());
    let word = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned).ok_or(());
    let mut anchor = Anchor::of(word(Some(ledger_id))?);
    if members.contains_key("sequence") {
        (anchor.sequence, anchor.epoch) = (number("sequence")?, number("epoch")?);
        anchor.head = word(members.get("head"))?;
    }
    Ok(Some(anchor))
}

fn read_unsent(members: &Map<String, Value>) -> Option<Vec<Occurrence>> {
    let unsent = members.get("unsent").cloned().unwrap_or_else(|| json!([]));
    serde_json::from_value(unsent).ok()
}

fn read_guards(members: &Map<String, Value>) -> Option<BTreeMap<String, SignedGuard>> {
    let guards = members.get("guards").cloned().unwrap_or_else(|| json!({}));
    serde_json::from_value(guards).ok()
}

#[cfg(test)]
mod tests {
    use countersign_core::{incident::Severity, time::Timestamp};

    use super::*;

    fn anchor(sequence: u64) -> Anchor {
        Anchor { epoch: 1, sequence, head: format!("head-{sequence}"), ..Anchor::of("one".into()) }
    }

    fn incident(id: &str) -> Occurrence {
        Occurrence {
            id: id.into(),
            code: "history_lost".into(),
            cause: String::new(),
            severity: Severity::Critical,
            title: "a test".into(),
            description: String::new(),
            agent: None,
            session: None,
            traces: Vec::new(),
            count: 1,
            at: Timestamp::from_millis(7),
        }
    }

    fn read(path: &Path) -> StateFile {
        StateFile::parse(path.into(), &fs::read_to_string(path).unwrap()).unwrap()
    }

    #[test]
    fn a_gateway_keeps_its_name_its_anchor_and_what_no_journal_took() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("127.0.0.1_8555.json");
        let first = StateFile::create(path.clone()).unwrap();
        assert_eq!(read(&path).anchor(), None);
        first.note(Some(anchor(5)));
        first.note(None);
        first.remember(incident("a"));
        first.remember(incident("b"));
        first.remember(incident("a"));
        assert_eq!(read(&path).anchor(), None, "written later");
        first.write().unwrap();
        let again = read(&path);
        assert_eq!(again.gateway(), first.gateway());
        assert_eq!(again.anchor(), Some(anchor(5)));
        assert_eq!(again.unsent(), [incident("a"), incident("b")]);
        again.sent(&incident("a"));
        again.write().unwrap();
        assert_eq!(read(&path).unsent(), [incident("b")]);
    }

    #[test]
    fn what_is_not_new_is_not_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        let state = StateFile::create(path.clone()).unwrap();
        state.note(Some(anchor(5)));
        state.write().unwrap();
        fs::remove_file(&path).unwrap();
        state.note(Some(anchor(5)));
        state.write().unwrap();
        assert!(!path.exists());
        state.note(Some(anchor(6)));
        state.write().unwrap();
        assert_eq!(read(&path).anchor(), Some(anchor(6)));
    }

    #[test]
    fn no_more_incidents_are_kept_than_a_person_can_read() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateFile::create(folder.path().join("a.json")).unwrap();
        (0..=UNSENT_MAX).for_each(|n| state.remember(incident(&n.to_string())));
        assert_eq!(state.unsent().len(), UNSENT_MAX);
    }

    #[test]
    fn a_damaged_state_is_not_replaced() {
        for text in [
            "",
            "{",
            "[]",
            "{}",
            r#"{"gateway": 1}"#,
            r#"{"gateway":"gw-1","ledger_id":7}"#,
            r#"{"gateway":"gw-1","ledger_id":"one","sequence":7}"#,
            r#"{"gateway":"gw-1","ledger_id":"one","sequence":-7,"epoch":0,"head":""}"#,
            r#"{"gateway":"gw-1","unsent":[{}]}"#,
        ] {
            let damaged = StateFile::parse("a.json".into(), text).unwrap_err();
            assert!(damaged.to_string().contains("a.json is damaged"), "{text}: {damaged}");
        }
    }

    #[test]
    fn what_an_older_or_newer_version_wrote_is_understood_and_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        let text = r#"{"gateway":"gw-1","ledger_id":"one","lineage":[1]}"#;
        let state = StateFile::parse(path.clone(), text).unwrap();
        assert_eq!(state.anchor(), Some(Anchor::of("one".into())));
        state.note(Some(anchor(3)));
        state.write().unwrap();
        assert!(fs::read_to_string(path).unwrap().contains(r#""lineage":[1]"#));
    }
}
