//! Reading a tree into types, collecting every problem instead of stopping at the first.

use std::{fmt::Display, path::PathBuf, str::FromStr};

use super::{
    environment::expand,
    problem::{Place, Report},
    yaml::{Key, Node, Value},
};

/// Scalars and lists.
impl Report {
    /// Text, with `${NAME}` replaced by the environment's value.
    pub(crate) fn text(&self, node: &Node) -> Option<String> {
        let Value::Text(raw) = &node.value else {
            self.refuse(node.place, format!("expected text, found {}", kind(&node.value)));
            return None;
        };
        expand(raw).map_err(|message| self.refuse(node.place, message)).ok()
    }

    /// Text in the form that `T` reads. A message never shows what came out of the environment.
    pub(crate) fn parsed<T: FromStr<Err: Display>>(&self, node: &Node) -> Option<T> {
        self.read_as(node, str::parse)
    }

    /// Text in the form that `read` reads. A message never shows what came out of the environment.
    pub(crate) fn read_as<T, E: Display>(
        &self,
        node: &Node,
        read: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let text = self.text(node)?;
        let hide = |error: E| match &node.value {
            Value::Text(raw) if *raw != text => error.to_string().replace(&text, raw),
            Value::Text(_) | Value::Null | Value::List(_) | Value::Map(_) => error.to_string(),
        };
        read(&text).map_err(|error| self.refuse(node.place, hide(error))).ok()
    }

    /// A whole number.
    pub(crate) fn number<T: FromStr>(&self, node: &Node) -> Option<T> {
        self.read_as(node, |text| {
            text.parse().map_err(|_| format!("`{text}` is not a whole number that fits here"))
        })
    }

    /// One of these words.
    pub(crate) fn word<T: Copy>(&self, node: &Node, words: &[(&str, T)]) -> Option<T> {
        self.read_as(node, |text| {
            let found = words.iter().find(|(word, _)| *word == text);
            found.map(|(_, value)| *value).ok_or_else(|| {
                let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
                format!("`{text}` is not one of {}{}", known.join(", "), did_you_mean(text, &known))
            })
        })
    }

    /// Every item that can be read. `null` is an empty list.
    pub(crate) fn list<T>(
        &self,
        node: &Node,
        mut read: impl FnMut(&Node) -> Option<T>,
    ) -> Option<Vec<T>> {
        match &node.value {
            Value::Null => Some(Vec::new()),
            Value::List(items) => Some(items.iter().filter_map(&mut read).collect()),
            Value::Text(_) | Value::Map(_) => {
                self.refuse(node.place, format!("expected a list, found {}", kind(&node.value)));
                None
            }
        }
    }

    /// A mapping, read by `read`; keys that it did not ask for are refused.
    pub(crate) fn section<'r, T>(
        &'r self,
        node: &'r Node,
        what: &'static str,
        read: impl FnOnce(&mut Section<'r>) -> T,
    ) -> Option<T> {
        let entries = match &node.value {
            Value::Map(entries) => entries.as_slice(),
            Value::Null => &[],
            Value::Text(_) | Value::List(_) => {
                let found = kind(&node.value);
                self.refuse(node.place, format!("expected {what} as `key: value`, found {found}"));
                return None;
            }
        };
        let mut section =
            Section { report: self, what, place: node.place, entries, known: Vec::new() };
        let value = read(&mut section);
        section.refuse_unknown();
        Some(value)
    }
}

/// A mapping that is being read.
#[derive(Debug)]
pub(crate) struct Section<'r> {
    report: &'r Report,
    what: &'static str,
    place: Place,
    entries: &'r [(Key, Node)],
    known: Vec<&'static str>,
}

impl<'r> Section<'r> {
    /// Where the section begins.
    pub(crate) const fn place(&self) -> Place {
        self.place
    }

    /// A key that may be absent.
    pub(crate) fn optional(&mut self, key: &'static str) -> Option<&'r Node> {
        self.known.push(key);
        self.entries.iter().find(|(found, _)| found.text == key).map(|(_, node)| node)
    }

    /// A key that must be there.
    pub(crate) fn required(&mut self, key: &'static str) -> Option<&'r Node> {
        let found = self.optional(key);
        if found.is_none() {
            self.report.refuse(self.place, format!("{} lacks `{key}`", self.what));
        }
        found
    }

    /// The value of an optional key, or a default where it is absent. `None` where it is wrong.
    pub(crate) fn or<T>(
        &mut self,
        key: &'static str,
        default: T,
        read: impl FnOnce(&'r Report, &'r Node) -> Option<T>,
    ) -> Option<T> {
        let report = self.report;
        match self.optional(key) {
            Some(node) => read(report, node),
            None => Some(default),
        }
    }

    fn refuse_unknown(&self) {
        for (key, _) in self.entries {
            if self.known.contains(&key.text.as_str()) {
                continue;
            }
            let hint = did_you_mean(&key.text, &self.known);
            let known = self.known.join(", ");
            let hint = if hint.is_empty() { format!(" (known: {known})") } else { hint };
            let message = format!("unknown key `{}` in {}{hint}", key.text, self.what);
            self.report.refuse(key.place, message);
        }
    }
}

/// `; did you mean ..?`, or nothing where nothing is near.
pub(crate) fn did_you_mean(text: &str, known: &[&str]) -> String {
    let near = known
        .iter()
        .map(|word| (strsim::damerau_levenshtein(text, word), word))
        .filter(|(distance, word)| *distance <= word.len().min(text.len()).div_ceil(3))
        .min();
    near.map_or_else(String::new, |(_, word)| format!("; did you mean `{word}`?"))
}

const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Text(_) => "text",
        Value::List(_) => "a list",
        Value::Map(_) => "a mapping",
    }
}

/// A path, from the folder of the configuration file.
pub(crate) fn path_from(folder: &std::path::Path, text: &str) -> PathBuf {
    folder.join(text)
}
