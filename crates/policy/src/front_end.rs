//! Other ways to write a policy; each compiles to the core language.

pub(crate) mod fields;
pub(crate) mod jsonlogic;
pub(crate) mod pact;
mod written;

use std::{fmt, str::FromStr};

use crate::{diagnostic::Findings, source::Node};

/// How a policy file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// The core language.
    Core,
    /// Agent policy fields: `spend_limit_per_day_usd: 1000`.
    Fields,
    /// A pact: `policies` and `completion_conditions`.
    Pact,
    /// A bundle of JsonLogic rules.
    JsonLogic,
}

impl Format {
    /// Each format with its word.
    pub const ALL: [(&'static str, Self); 4] = [
        ("core", Self::Core),
        ("fields", Self::Fields),
        ("pact", Self::Pact),
        ("jsonlogic", Self::JsonLogic),
    ];

    /// The format of a file, by the keys that only it has.
    pub(crate) fn of(root: &Node) -> Self {
        if fields::is_fields(root) {
            Self::Fields
        } else if pact::is_pact(root) {
            Self::Pact
        } else if jsonlogic::is_bundle(root) {
            Self::JsonLogic
        } else {
            Self::Core
        }
    }

    /// The file in the core language; `None` if it has errors.
    pub(crate) fn compile(self, root: &Node, name: &str, findings: &mut Findings) -> Option<Node> {
        match self {
            Self::Core => Some(root.clone()),
            Self::Fields => fields::compile(root, name, findings),
            Self::Pact => pact::compile(root, name, findings),
            Self::JsonLogic => jsonlogic::compile(root, name, findings),
        }
    }

    /// What stands above a compiled rule or limit, for people.
    pub(crate) fn note(self, id: &str) -> Option<String> {
        match self {
            Self::Core => None,
            Self::Fields => fields::note(id),
            Self::Pact => pact::note(id),
            Self::JsonLogic => jsonlogic::note(id),
        }
        .map(str::to_owned)
    }

    /// What people call it.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Core => "the core language",
            Self::Fields => "agent policy fields",
            Self::Pact => "a pact",
            Self::JsonLogic => "a JsonLogic bundle",
        }
    }
}

/// Whether a file says who asks, who signs and where: no policy does.
pub(crate) fn is_configuration(root: &Node) -> bool {
    ["chains", "wallets", "agents"].iter().all(|key| root.get(key).is_some())
}

/// Its word.
impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = Self::ALL.iter().find(|(_, format)| format == self).map_or("", |(word, _)| word);
        f.write_str(word)
    }
}

impl FromStr for Format {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, FormatError> {
        let found = Self::ALL.iter().find(|(word, _)| *word == text).map(|(_, format)| *format);
        found.ok_or_else(|| FormatError(text.to_owned()))
    }
}

/// A word that is no format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a format: core, fields, pact or jsonlogic")]
pub struct FormatError(String);
