//! What scripts answer, read strictly: what does not fit is damage, never a guess.

use std::str::FromStr;

use countersign_engine::port::ledger::LedgerError;
use redis::Value;
use serde::de::DeserializeOwned;

/// A list of texts and lists.
#[derive(Debug)]
pub(super) struct Reply(std::vec::IntoIter<Value>);

impl Reply {
    pub(super) fn parse(value: Value) -> Result<Self, LedgerError> {
        let Value::Array(items) = value else { return Err(damaged("an answer is no list")) };
        Ok(Self(items.into_iter()))
    }

    /// The tag that says what the answer is; a refusal becomes its error.
    pub(super) fn tag(&mut self) -> Result<String, LedgerError> {
        let tag = self.text()?;
        if tag == "refused" { Err(LedgerError::Refused(self.text()?)) } else { Ok(tag) }
    }

    pub(super) fn text(&mut self) -> Result<String, LedgerError> {
        text(self.0.next().ok_or_else(|| damaged("an answer is too short"))?)
    }

    pub(super) fn number<T: FromStr>(&mut self) -> Result<T, LedgerError> {
        let text = self.text()?;
        text.parse().map_err(|_| damaged(&format!("`{text}` is no number")))
    }

    pub(super) fn list(&mut self) -> Result<Self, LedgerError> {
        Self::parse(self.0.next().ok_or_else(|| damaged("an answer is too short"))?)
    }

    /// The lists that are left.
    pub(super) fn lists(self) -> impl Iterator<Item = Result<Self, LedgerError>> {
        self.0.map(Self::parse)
    }

    /// The texts that are left.
    pub(super) fn texts(self) -> impl Iterator<Item = Result<String, LedgerError>> {
        self.0.map(text)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.as_slice().is_empty()
    }

    /// The rest as a hash: names and values in turn.
    pub(super) fn fields(mut self) -> Result<Fields, LedgerError> {
        let mut fields = Vec::with_capacity(self.0.len().div_ceil(2));
        while !self.is_empty() {
            fields.push((self.text()?, self.text()?));
        }
        Ok(Fields(fields))
    }
}

fn text(value: Value) -> Result<String, LedgerError> {
    let wrong = || damaged("an answer is no text");
    let Value::BulkString(bytes) = value else { return Err(wrong()) };
    String::from_utf8(bytes).map_err(|_| wrong())
}

/// One hash: each name once. There are few of them.
#[derive(Debug)]
pub(super) struct Fields(Vec<(String, String)>);

impl Fields {
    pub(super) fn take(&mut self, name: &str) -> Option<String> {
        let place = self.0.iter().position(|(known, _)| known == name)?;
        Some(self.0.swap_remove(place).1)
    }

    pub(super) fn text(&mut self, name: &str) -> Result<String, LedgerError> {
        self.take(name).ok_or_else(|| damaged(&format!("a record lacks `{name}`")))
    }

    pub(super) fn parsed<T: FromStr>(&mut self, name: &str) -> Result<T, LedgerError> {
        read(name, &self.text(name)?)
    }

    pub(super) fn maybe<T: FromStr>(&mut self, name: &str) -> Result<Option<T>, LedgerError> {
        self.take(name).map(|text| read(name, &text)).transpose()
    }

    pub(super) fn json<T: DeserializeOwned>(&mut self, name: &str) -> Result<T, LedgerError> {
        let text = self.text(name)?;
        from_json(name, &text)
    }

    pub(super) fn maybe_json<T: DeserializeOwned>(
        &mut self,
        name: &str,
    ) -> Result<Option<T>, LedgerError> {
        self.take(name).map(|text| from_json(name, &text)).transpose()
    }

    /// JSON values with commas between, as scripts append them.
    pub(super) fn json_list<T: DeserializeOwned>(
        &mut self,
        name: &str,
    ) -> Result<Vec<T>, LedgerError> {
        let text = self.take(name).unwrap_or_default();
        from_json(name, &format!("[{text}]"))
    }
}

pub(super) fn read<T: FromStr>(name: &str, text: &str) -> Result<T, LedgerError> {
    text.parse().map_err(|_| damaged(&format!("the field `{name}` cannot be read")))
}

pub(super) fn from_json<T: DeserializeOwned>(name: &str, text: &str) -> Result<T, LedgerError> {
    serde_json::from_str(text).map_err(|error| damaged(&format!("the field `{name}`: {error}")))
}

pub(super) fn damaged(why: &str) -> LedgerError {
    LedgerError::Damaged(why.into())
}
