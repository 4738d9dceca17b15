//! Who is told outside what happened.

use std::path::{Path, PathBuf};

use countersign_engine::notice::Kind;
use countersign_upstream::{Format, Reach};

use super::{
    model::{Placed, SecretUrl},
    problem::{Place, Report},
    read::{file, url},
    yaml::{Node, Value},
};

/// One receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NotifyEntry {
    pub(crate) place: Place,
    pub(crate) url: SecretUrl,
    /// A file with what bodies are signed with in its first line.
    pub(crate) secret: Option<Placed<PathBuf>>,
    pub(crate) kinds: Vec<Kind>,
    pub(crate) format: Format,
    pub(crate) reach: Reach,
    /// A file with who vouches for it, in PEM; without, whoever browsers believe.
    pub(crate) ca: Option<PathBuf>,
}

const FORMATS: [(&str, Format); 2] = [("standard", Format::Standard), ("slack", Format::Slack)];

const REACHES: [(&str, Reach); 3] =
    [("public", Reach::Public), ("private", Reach::Private), ("loopback", Reach::Loopback)];

/// One receiver.
pub(crate) fn entry(report: &Report, node: &Node, folder: &Path) -> Option<NotifyEntry> {
    report.section(node, "a receiver of notices", |s| {
        let url = s.required("webhook").and_then(|n| url(report, n, &["https", "http"]));
        let secret = s.or("secret_file", None, |r, n| secret(r, n, folder).map(Some));
        let kinds = s.or("events", Kind::ALL.to_vec(), kinds);
        let format = s.or("format", Format::Standard, |r, n| r.word(n, &FORMATS));
        let reach = s.or("reach", Reach::Public, |r, n| r.word(n, &REACHES));
        let ca = s.or("ca_file", None, |r, n| file(r, n, folder).map(Some));
        let (secret, format) = (secret?, format?);
        if secret.is_none() && format == Format::Standard {
            let message =
                "a webhook lacks `secret_file`: nobody could tell its notices from forged ones";
            report.refuse(s.place(), message);
        }
        Some(NotifyEntry {
            place: s.place(),
            url: url?,
            secret,
            kinds: kinds?,
            format,
            reach: reach?,
            ca: ca?,
        })
    })?
}

fn secret(report: &Report, node: &Node, folder: &Path) -> Option<Placed<PathBuf>> {
    Some(Placed { value: file(report, node, folder)?, place: node.place })
}

/// Kinds by name, or by the word for several: `pending`, `incident`, `freeze`, `seal`, `policy`.
fn kinds(report: &Report, node: &Node) -> Option<Vec<Kind>> {
    let of = |name: &str| {
        let named = |kind: &&Kind| kind.name() == name || kind.group() == name;
        let found: Vec<Kind> = Kind::ALL.iter().filter(named).copied().collect();
        if found.is_empty() { Err(unknown(name)) } else { Ok(found) }
    };
    let kinds = report.list(node, |n| report.read_as(n, of))?;
    if matches!(&node.value, Value::List(items) if items.is_empty()) {
        report.refuse(node.place, "`events` is empty: leave it out for all of them");
    }
    Some(kinds.into_iter().flatten().collect())
}

fn unknown(name: &str) -> String {
    let mut known: Vec<&str> = Kind::ALL.iter().map(|kind| kind.group()).collect();
    known.dedup();
    known.extend(Kind::ALL.iter().map(|kind| kind.name()));
    format!("`{name}` is not an event: use {}", known.join(", "))
}
