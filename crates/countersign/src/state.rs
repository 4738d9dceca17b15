//! What this gateway remembers of itself and of its ledger, beside the store: one small file per rpc address.
//!
//! It is the anchor by which a lost or exchanged store is noticed (LEDGER §3). Unknown members are kept, so that
//! an older version does not drop what a newer one wrote.

use std::{fs, io, io::Write as _, path::PathBuf};

use serde_json::{Map, Value};

use crate::{
    clock::fill,
    config::Config,
    failure::Failure,
    files::{private_folder, unusable},
};

/// The anchor file, read.
#[derive(Debug)]
pub(crate) struct Anchor {
    path: PathBuf,
    members: Map<String, Value>,
}

impl Anchor {
    /// Reads the anchor of a configuration; makes one with a fresh gateway name where there is none.
    pub(crate) fn open(config: &Config) -> Result<Self, Failure> {
        let name = config.rpc.address.to_string().replace([':', '[', ']'], "_");
        let path = config.state.join(format!("{name}.json"));
        private_folder(&config.state)?;
        match fs::read_to_string(&path) {
            Ok(text) => Self::parse(path, &text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::create(path),
            Err(error) => Err(unusable(&path, &error)),
        }
    }

    fn parse(path: PathBuf, text: &str) -> Result<Self, Failure> {
        let members: Option<Map<String, Value>> = serde_json::from_str(text).ok();
        let named = members.filter(|members| members.get("gateway").is_some_and(Value::is_string));
        let members = named.ok_or_else(|| {
            Failure::failed(format!("{} is damaged: restore it from a backup; do not delete it while its store is in use", path.display()))
        })?;
        Ok(Self { path, members })
    }

    fn create(path: PathBuf) -> Result<Self, Failure> {
        let mut random = [0_u8; 8];
        fill(&mut random);
        let mut members = Map::new();
        members.insert("version".into(), 1.into());
        members.insert("gateway".into(), format!("gw-{}", hex::encode(random)).into());
        let anchor = Self { path, members };
        anchor.write()?;
        Ok(anchor)
    }

    /// This gateway's name, the same for as long as the file lives.
    pub(crate) fn gateway(&self) -> &str {
        self.members.get("gateway").and_then(Value::as_str).unwrap_or_default()
    }

    /// Remembers the ledger at the first meeting; refuses another one later.
    pub(crate) fn hold(&mut self, ledger_id: &str) -> Result<(), Failure> {
        match self.members.get("ledger_id").and_then(Value::as_str) {
            Some(known) if known == ledger_id => Ok(()),
            Some(known) => Err(Failure::failed(format!(
                "the store holds the ledger {ledger_id}, but this gateway worked with {known}: what was spent there is not known here. \
                 Bring the old store back. If it was given up on purpose, remove {} and start again",
                self.path.display()
            ))),
            None => {
                self.members.insert("ledger_id".into(), ledger_id.into());
                self.write()
            }
        }
    }

    /// Replaces the file whole, or leaves the old one.
    fn write(&self) -> Result<(), Failure> {
        let draft = self.path.with_extension("json.new");
        let text = Value::Object(self.members.clone()).to_string();
        let written = fs::File::create(&draft).and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        });
        written
            .and_then(|()| fs::rename(&draft, &self.path))
            .map_err(|error| unusable(&self.path, &error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_keeps_its_name_and_refuses_another_ledger() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("127.0.0.1_8555.json");
        let mut first = Anchor::create(path.clone()).unwrap();
        first.hold("one").unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let mut again = Anchor::parse(path.clone(), &text).unwrap();
        assert_eq!(again.gateway(), first.gateway());
        again.hold("one").unwrap();
        let refused = again.hold("other").unwrap_err().to_string();
        assert!(
            refused.contains("holds the ledger other") && refused.contains("_8555.json"),
            "{refused}"
        );
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }

    #[test]
    fn a_damaged_anchor_is_not_replaced() {
        for text in ["", "{", "[]", "{}", "{\"gateway\": 1}"] {
            let damaged = Anchor::parse("a.json".into(), text).unwrap_err();
            assert!(damaged.to_string().contains("a.json is damaged"), "{damaged}");
        }
    }

    #[test]
    fn what_a_newer_version_wrote_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        let mut anchor =
            Anchor::parse(path.clone(), r#"{"gateway":"gw-1","lineage":[1]}"#).unwrap();
        anchor.hold("one").unwrap();
        assert!(fs::read_to_string(path).unwrap().contains(r#""lineage":[1]"#));
    }
}
