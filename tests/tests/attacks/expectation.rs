//! Whether an answer is the expected one.

use std::collections::BTreeSet;

use countersign_tests::rpc::{self, Answer};
use serde_json::Value;

use crate::{
    request::Got,
    vector::{Expect, Hash},
    words::Words,
};

/// The transaction hashes of one row, in order of their first appearance.
#[derive(Debug, Default)]
pub(crate) struct Hashes {
    seen: BTreeSet<String>,
    raised: usize,
    pub(crate) last: Option<String>,
}

impl Hashes {
    /// How many transactions they name.
    pub(crate) fn count(&self) -> usize {
        self.seen.len().saturating_sub(self.raised)
    }

    fn take(&mut self, wanted: Hash, answer: &Answer) -> Result<(), String> {
        let hash = answer.as_ref().map_err(|error| format!("{error:?}"))?.as_str();
        let hash = hash.filter(|hash| hash.len() == 66 && hash.starts_with("0x"));
        let hash = hash.ok_or("not a hash")?.to_owned();
        let is_new = !self.seen.contains(&hash);
        let fits = match wanted {
            Hash::New | Hash::Raised => is_new,
            Hash::Same => self.last.as_ref() == Some(&hash),
            Hash::Known => !is_new,
        };
        if !fits {
            return Err(format!("{hash} is not {wanted:?}, after {:?}", self.seen));
        }
        if wanted == Hash::Raised {
            self.raised = self.raised.saturating_add(1);
        }
        self.seen.insert(hash.clone());
        self.last = Some(hash);
        Ok(())
    }
}

impl Got {
    fn status(&self) -> Option<u16> {
        match self {
            Self::Answer(reply) => Some(reply.status),
            Self::Socket(raw) => raw.status(),
            Self::Nothing(_) | Self::Fact(_) | Self::Refused(_) | Self::Said(_) => None,
        }
    }

    pub(crate) fn text(&self) -> String {
        match self {
            Self::Answer(reply) => reply.text(),
            Self::Socket(raw) => raw.text.clone(),
            Self::Nothing(why) | Self::Refused(why) => why.clone(),
            Self::Fact(answer) => answer.to_string(),
            Self::Said(said) => format!("exit {}: {}{}", said.code, said.out, said.err),
        }
    }

    pub(crate) fn json(&self) -> Option<Value> {
        match self {
            Self::Answer(reply) => serde_json::from_slice(&reply.body).ok(),
            Self::Socket(raw) => serde_json::from_str(raw.text.split("\r\n\r\n").nth(1)?).ok(),
            Self::Said(said) => serde_json::from_str(&said.out).ok(),
            Self::Fact(fact) => Some(fact.clone()),
            Self::Nothing(_) | Self::Refused(_) => None,
        }
    }

    fn is_closed(&self) -> bool {
        match self {
            Self::Answer(_) | Self::Fact(_) | Self::Refused(_) | Self::Said(_) => false,
            Self::Socket(raw) => raw.closed && [None, Some(400)].contains(&raw.status()),
            Self::Nothing(_) => true,
        }
    }

    const fn close(&self) -> Option<u16> {
        match self {
            Self::Socket(raw) => raw.close,
            Self::Answer(_)
            | Self::Fact(_)
            | Self::Refused(_)
            | Self::Said(_)
            | Self::Nothing(_) => None,
        }
    }

    fn exit(&self) -> Option<i32> {
        match self {
            Self::Said(said) => Some(said.code),
            Self::Answer(_)
            | Self::Socket(_)
            | Self::Nothing(_)
            | Self::Fact(_)
            | Self::Refused(_) => None,
        }
    }
}

impl Expect {
    /// The same with its words replaced.
    pub(crate) fn spelled(&self, words: &Words) -> Self {
        let text = |text: &Option<String>| text.as_deref().map(|text| words.spell(text));
        Self {
            says: text(&self.says),
            contains: text(&self.contains),
            lacks: text(&self.lacks),
            result: self.result.as_ref().map(|result| words.spell_json(result)),
            shows: self.shows.as_ref().map(|shows| words.spell_json(shows)),
            each: self.each.iter().map(|one| one.spelled(words)).collect(),
            any: self.any.iter().map(|one| one.spelled(words)).collect(),
            ..self.clone()
        }
    }

    /// Whether `got` is it; the error says what is missing.
    pub(crate) fn check(&self, got: &Got, hashes: &mut Hashes) -> Result<(), String> {
        self.check_transport(got)?;
        self.check_text(&got.text())?;
        self.check_shown(got)?;
        if !self.any.is_empty() {
            return self.check_any(got, hashes);
        }
        if !self.speaks_of_json() {
            return Ok(());
        }
        if let Got::Fact(fact) = got {
            return self.check_result(fact);
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
        if self.exit.is_some() && got.exit() != self.exit {
            return Err(format!("exit {:?}, not {:?}", got.exit(), self.exit));
        }
        if !self.close.is_empty() && !got.close().is_some_and(|code| self.close.contains(&code)) {
            return Err(format!("closed with {:?}, not {:?}", got.close(), self.close));
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

    fn check_shown(&self, got: &Got) -> Result<(), String> {
        let Some(wanted) = &self.shows else { return Ok(()) };
        let json = got.json().ok_or("no JSON")?;
        if shows(wanted, &json) { Ok(()) } else { Err(format!("does not show {wanted}")) }
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

/// Whether `wanted` is a part of what is there: each member, each item somewhere in its list. What is empty is meant
/// empty.
fn shows(wanted: &Value, there: &Value) -> bool {
    match (wanted, there) {
        (Value::Object(wanted), Value::Object(there)) if !wanted.is_empty() => wanted
            .iter()
            .all(|(name, wanted)| there.get(name).is_some_and(|there| shows(wanted, there))),
        (Value::Array(wanted), Value::Array(there)) if !wanted.is_empty() => {
            wanted.iter().all(|wanted| there.iter().any(|there| shows(wanted, there)))
        }
        (wanted, there) => wanted == there,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_part_is_shown_and_what_is_empty_is_meant_empty() {
        let there = json!({"a": 1, "b": [{"c": 2, "d": 3}, {"c": 4}], "e": []});
        for part in
            [json!({"a": 1}), json!({"b": [{"c": 4}, {"d": 3}]}), json!({"e": []}), there.clone()]
        {
            assert!(shows(&part, &there), "{part}");
        }
        for other in [
            json!({"a": 2}),
            json!({"b": []}),
            json!({"b": [{"c": 4, "d": 3}]}),
            json!({"e": [1]}),
            json!({}),
            json!({"f": null}),
        ] {
            assert!(!shows(&other, &there), "{other}");
        }
    }
}
