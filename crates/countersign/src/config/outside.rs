//! `oracles:` and `judge:`: whom the gateway asks besides nodes and prices.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use countersign_core::{fact::Asked, time::Millis};
use countersign_upstream::JsonPointer;

use super::{
    model::{Placed, SecretUrl},
    people::within,
    problem::{Place, Report},
    read::{file, url},
    yaml::{Node, Value},
};

/// How long an answer of an oracle holds, and the longest that may be configured.
const MAX_AGE: Millis = Millis(300_000);
const MAX_AGE_MAX: Millis = Millis(24 * 3_600_000);

/// How long an oracle may take, and the longest that may be configured.
const ORACLE_DEADLINE: Millis = Millis(2_000);
const ORACLE_DEADLINE_MAX: Millis = Millis(5_000);

/// How long a judge may take, and the longest that may be configured: clients give up after 10 s to 45 s.
const JUDGE_DEADLINE: Millis = Millis(6_000);
const JUDGE_DEADLINE_MAX: Millis = Millis(30_000);

/// The longest name of an oracle or of one of its fields.
const NAME_MAX: usize = 63;

/// Whom of an action an oracle may be asked about.
const ASKED: [(&str, Asked); 4] = [
    ("counterparty", Asked::Counterparty),
    ("to", Asked::To),
    ("spender", Asked::Spender),
    ("target", Asked::Target),
];

/// One oracle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OracleEntry {
    pub(crate) place: Place,
    pub(crate) name: String,
    pub(crate) url: Placed<SecretUrl>,
    pub(crate) asks: Asked,
    /// Where each field stands; the only one may have no name.
    pub(crate) fields: BTreeMap<String, JsonPointer>,
    pub(crate) secrets: SecretFiles,
    pub(crate) max_age: Millis,
    pub(crate) deadline: Millis,
}

/// The judge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JudgeEntry {
    pub(crate) place: Place,
    pub(crate) url: Placed<SecretUrl>,
    pub(crate) model: String,
    pub(crate) secrets: SecretFiles,
    pub(crate) deadline: Millis,
}

/// Files with what a server wants to see before it answers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct SecretFiles {
    /// A file with a token in its first line.
    pub(crate) bearer: Option<Placed<PathBuf>>,
    /// A file with a header in each line.
    pub(crate) headers: Option<Placed<PathBuf>>,
}

impl SecretFiles {
    /// Files that nobody else may read.
    pub(crate) fn all(&self) -> impl Iterator<Item = (Place, &Path)> {
        let files = [self.bearer.as_ref(), self.headers.as_ref()];
        files.into_iter().flatten().map(|file| (file.place, file.value.as_path()))
    }
}

/// One oracle.
pub(crate) fn oracle(report: &Report, node: &Node, folder: &Path) -> Option<OracleEntry> {
    report.section(node, "an oracle", |s| {
        let name = s.required("name").and_then(|n| report.read_as(n, name));
        let url = s.required("url").and_then(|n| {
            let url = placed_url(report, n)?;
            if url.value.expose().contains("{address}") {
                return Some(url);
            }
            report.refuse(
                n.place,
                "an oracle is asked about an address: write {address} into its URL",
            );
            None
        });
        let asks = s.or("ask", Asked::Counterparty, |r, n| r.word(n, &ASKED));
        let field = s.or("field", None, |r, n| r.parsed::<JsonPointer>(n).map(Some));
        let fields = s.or("fields", BTreeMap::new(), fields);
        let bearer = s.or("bearer_file", None, |r, n| placed(r, n, folder));
        let headers = s.or("headers_file", None, |r, n| placed(r, n, folder));
        let max_age = s.or("max_age", MAX_AGE, |r, n| within(r, n, MAX_AGE_MAX));
        let deadline = s.or("deadline", ORACLE_DEADLINE, |r, n| within(r, n, ORACLE_DEADLINE_MAX));
        let fields = one_or_several(report, s.place(), field?, fields?)?;
        Some(OracleEntry {
            place: s.place(),
            name: name?,
            url: url?,
            asks: asks?,
            fields,
            secrets: SecretFiles { bearer: bearer?, headers: headers? },
            max_age: max_age?,
            deadline: deadline?,
        })
    })?
}

/// The judge.
pub(crate) fn judge(report: &Report, node: &Node, folder: &Path) -> Option<JudgeEntry> {
    report.section(node, "`judge`", |s| {
        let url = s.required("url").and_then(|n| placed_url(report, n));
        let model = s.required("model").and_then(|n| report.text(n));
        let bearer = s.or("key_file", None, |r, n| placed(r, n, folder));
        let headers = s.or("headers_file", None, |r, n| placed(r, n, folder));
        let deadline = s.or("deadline", JUDGE_DEADLINE, |r, n| within(r, n, JUDGE_DEADLINE_MAX));
        Some(JudgeEntry {
            place: s.place(),
            url: url?,
            model: model?,
            secrets: SecretFiles { bearer: bearer?, headers: headers? },
            deadline: deadline?,
        })
    })?
}

fn placed_url(report: &Report, node: &Node) -> Option<Placed<SecretUrl>> {
    Some(Placed { value: url(report, node, &["https", "http"])?, place: node.place })
}

#[expect(clippy::option_option, reason = "what an optional key reads as")]
fn placed(report: &Report, node: &Node, folder: &Path) -> Option<Option<Placed<PathBuf>>> {
    Some(Some(Placed { value: file(report, node, folder)?, place: node.place }))
}

fn one_or_several(
    report: &Report,
    place: Place,
    field: Option<JsonPointer>,
    fields: BTreeMap<String, JsonPointer>,
) -> Option<BTreeMap<String, JsonPointer>> {
    match (field, fields.is_empty()) {
        (Some(field), true) => Some(BTreeMap::from([(String::new(), field)])),
        (None, false) => Some(fields),
        (Some(_), false) | (None, true) => {
            let message = "an oracle has one `field: /json/pointer`, or several `fields: { NAME: /json/pointer }`";
            report.refuse(place, message);
            None
        }
    }
}

fn fields(report: &Report, node: &Node) -> Option<BTreeMap<String, JsonPointer>> {
    let Value::Map(entries) = &node.value else {
        report.refuse(node.place, "expected places as `NAME: /json/pointer`");
        return None;
    };
    let read = |key: &str| name(key).map_err(|message| report.refuse(node.place, message)).ok();
    let field = |(key, node): &(super::yaml::Key, Node)| {
        Some((read(&key.text)?, report.parsed::<JsonPointer>(node)?))
    };
    entries.iter().map(field).collect()
}

/// Letters, digits and `_-`: what may stand in `oracle.NAME.FIELD`.
fn name(text: &str) -> Result<String, String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    if (1..=NAME_MAX).contains(&text.len()) && text.bytes().all(plain) {
        return Ok(text.to_owned());
    }
    Err(format!("`{text}` is not a name: use 1 to {NAME_MAX} of letters, digits, - and _"))
}
