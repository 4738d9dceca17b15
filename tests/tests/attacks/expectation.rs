//! Whether an answer is the expected one.

use std::collections::BTreeSet;

use countersign_tests::rpc::{self, Answer};
use serde_json::Value;

use crate::{
    request::Got,
    vector::{Expect, Hash},
};

/// The transaction hashes of one row, in order of their first appearance.
#[derive(Debug, Default)]
pub(crate) struct Hashes {
    seen: BTreeSet<String>,
    pub(crate) last: Option<String>,
}

impl Hashes {
    pub(crate) fn count(&self) -> usize {
        self.seen.len()
    }

    fn take(&mut self, wanted: Hash, answer: &Answer) -> Result<(), String> {
        let hash = answer.as_ref().map_err(|error| format!("{error:?}"))?.as_str();
        let hash = hash.filter(|hash| hash.len() == 66 && hash.starts_with("0x"));
        let hash = hash.ok_or("not a hash")?.to_owned();
        let fits = match wanted {
            Hash::New => self.seen.insert(hash.clone()),
            Hash::Same => self.last.as_ref() == Some(&hash),
        };
        let unfit = format!("{hash} is not {wanted:?}, after {:?}", self.seen);
        self.last = Some(hash);
        if fits { Ok(()) } else { Err(unfit) }
    }
}

impl Got {
    fn status(&self) -> Option<u16> {
        match self {
            Self::Answer(reply) => Some(reply.status),
            Self::Socket(raw) => raw.status(),
            Self::Nothing(_) | Self::Node(_) => None,
        }
    }

    pub(crate) fn text(&self) -> String {
        match self {
            Self::Answer(reply) => reply.text(),
            Self::Socket(raw) => raw.text.clone(),
            Self::Nothing(why) => why.clone(),
            Self::Node(answer) => answer.to_string(),
        }
    }

    pub(crate) fn json(&self) -> Option<Value> {
        match self {
            Self::Answer(reply) => serde_json::from_slice(&reply.body).ok(),
            Self::Socket(raw) => serde_json::from_str(raw.text.split("\r\n\r\n").nth(1)?).ok(),
            Self::Nothing(_) | Self::Node(_) => None,
        }
    }

    fn is_closed(&self) -> bool {
        match self {
            Self::Answer(_) | Self::Node(_) => false,
            Self::Socket(raw) => raw.closed && [None, Some(400)].contains(&raw.status()),
            Self::Nothing(_) => true,
        }
    }
}

impl Expect {
    /// Whether `got` is it; the error says what is missing.
    pub(crate) fn check(&self, got: &Got, hashes: &mut Hashes) -> Result<(), String> {
        self.check_transport(got)?;
        self.check_text(&got.text())?;
        if !self.any.is_empty() {
            return self.check_any(got, hashes);
        }
        if !self.speaks_of_json() {
            return Ok(());
        }
        let json = got.json().ok_or("no JSON")?;
        match json.as_array().filter(|entries| !entries.is_empty()) {
            Some(entries) if !self.each.is_empty() => self.check_each(entries, hashes),
            Some(entries) => entries.iter().try_for_each(|entry| self.check_one(entry, hashes)),
            None if self.each.is_empty() => self.check_one(&json, hashes),
            None => Err("no array".to_owned()),
        }
    }

    fn check_any(&self, got: &Got, hashes: &mut Hashes) -> Result<(), String> {
        let mut tried = Vec::new();
        for one in &self.any {
            match one.check(got, hashes) {
                Ok(()) => return Ok(()),
                Err(why) => tried.push(why),
            }
        }
        Err(tried.join("; nor "))
    }

    fn speaks_of_json(&self) -> bool {
        let error = !self.error.is_empty() || self.code.is_some() || self.says.is_some();
        let result = self.result.is_some() || self.answered || self.hash.is_some();
        error || result || !self.each.is_empty()
    }

    fn check_transport(&self, got: &Got) -> Result<(), String> {
        let status = got.status();
        if !self.http.is_empty() && !status.is_some_and(|status| self.http.contains(&status)) {
            return Err(format!("HTTP {status:?}, not {:?}", self.http));
        }
        if self.closed && !got.is_closed() { Err("not closed".to_owned()) } else { Ok(()) }
    }

    fn check_text(&self, text: &str) -> Result<(), String> {
        if let Some(part) = self.contains.as_ref().filter(|part| !text.contains(*part)) {
            return Err(format!("does not contain {part}"));
        }
        match self.lacks.as_ref().filter(|part| text.contains(*part)) {
            Some(part) => Err(format!("contains {part}")),
            None => Ok(()),
        }
    }

    fn check_each(&self, entries: &[Value], hashes: &mut Hashes) -> Result<(), String> {
        let wanted: Vec<_> =
            self.each.iter().flat_map(|one| std::iter::repeat_n(one, one.times)).collect();
        if wanted.len() != entries.len() {
            return Err(format!("{} entries, not {}", entries.len(), wanted.len()));
        }
        let mut pairs = wanted.iter().zip(entries);
        pairs.try_for_each(|(one, entry)| one.check_one(entry, hashes))
    }

    fn check_one(&self, response: &Value, hashes: &mut Hashes) -> Result<(), String> {
        let answer = rpc::answer(response);
        if let Some(wanted) = self.hash {
            return hashes.take(wanted, &answer);
        }
        match &answer {
            Ok(result) => self.check_result(result),
            Err(error) => self.check_error(error),
        }
    }

    fn check_result(&self, result: &Value) -> Result<(), String> {
        let right = self.answered || self.result.as_ref() == Some(result);
        if right { Ok(()) } else { Err(format!("result {result}")) }
    }

    fn check_error(&self, error: &rpc::RpcError) -> Result<(), String> {
        let message = error.message.to_lowercase();
        let says = self.says.as_ref().is_none_or(|part| message.contains(&part.to_lowercase()));
        let code = self.code.as_ref().is_none_or(|code| error.text("code") == code);
        let right = self.error.contains(&error.code) && says && code;
        if right { Ok(()) } else { Err(format!("{error:?}")) }
    }
}
