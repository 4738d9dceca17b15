//! The core language as people write it: one rule a line where it fits, with comments.

use crate::{
    read::is_float,
    source::{Entry, Node, Value},
};

const WIDTH: usize = 118;

/// Writes a policy. `note` says what stands above a rule or limit of an id.
pub(crate) fn write(root: &Node, note: impl Fn(&str) -> Option<String>) -> String {
    let entries = ordered(root.map().unwrap_or_default());
    let parts = entries.iter().map(|entry| part(entry, &note));
    parts.flatten().map(|line| line + "\n").collect()
}

/// The order in which people read a file and an item of it. Rules and limits stay as they are: their order says which
/// code comes first.
const ORDER: [&[&str]; 20] = [
    &["policy"],
    &["kind"],
    &["for"],
    &["starts", "lasts", "expires"],
    &["mandate"],
    &["sets"],
    &["gates"],
    &["order"],
    &["rules", "limits"],
    &["tests"],
    &["id", "name"],
    &["when", "given"],
    &["sum", "count"],
    &["per", "tz"],
    &["by"],
    &["max"],
    &["over"],
    &["then", "expect"],
    &["code"],
    &["mode", "binding", "spend"],
];

fn ordered(entries: &[Entry]) -> Vec<Entry> {
    let rank = |entry: &Entry| {
        let found = ORDER.iter().position(|keys| keys.contains(&entry.key.as_str()));
        found.unwrap_or(ORDER.len())
    };
    let mut sorted = entries.to_vec();
    sorted.sort_by_key(rank);
    sorted
}

/// The lines of one part of the file.
fn part(entry: &Entry, note: &impl Fn(&str) -> Option<String>) -> Vec<String> {
    let Entry { key, node, .. } = entry;
    let head = |rest: &str| vec![format!("{key}:{rest}")];
    match (&node.value, key.as_str()) {
        (Value::List(items), "rules" | "limits" | "tests") if !items.is_empty() => {
            let item = |item: &Node| {
                let id = item.get("id").and_then(Node::text).unwrap_or_default();
                let note = note(id).map(|note| format!("  # {note}"));
                note.into_iter().chain(item_lines(item)).collect::<Vec<_>>()
            };
            [head(""), items.iter().flat_map(item).collect()].concat()
        }
        (Value::Map(entries), "gates" | "sets") if !entries.is_empty() => {
            let lines =
                entries.iter().map(|e| format!("  {}: {}", word(&e.key, true), flow(&e.node)));
            [head(""), lines.collect()].concat()
        }
        (Value::Scalar { text, .. }, _) if is_block(text) => {
            let block = if text.ends_with('\n') { " |" } else { " |-" };
            [head(block), text.lines().map(|line| format!("  {line}")).collect()].concat()
        }
        _ => head(&format!(" {}", flow(node))),
    }
}

/// An item of a list, in one line where it fits.
fn item_lines(item: &Node) -> Vec<String> {
    let entries = ordered(item.map().unwrap_or_default());
    let sorted = Node { place: item.place, value: Value::Map(entries.clone()) };
    let item = if item.map().is_some() { &sorted } else { item };
    let flat = format!("  - {}", flow(item));
    if flat.len() <= WIDTH || entries.len() < 2 {
        return vec![flat];
    }
    let leads = std::iter::once("- ").chain(std::iter::repeat("  "));
    let line = |(lead, entry): (&str, &Entry)| {
        format!("  {lead}{}: {}", word(&entry.key, true), flow(&entry.node))
    };
    leads.zip(&entries).map(line).collect()
}

fn flow(node: &Node) -> String {
    match &node.value {
        Value::Scalar { text, quoted } => word(text, *quoted),
        Value::List(items) => {
            format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", "))
        }
        Value::Map(entries) if entries.is_empty() => "{}".to_owned(),
        Value::Map(entries) => {
            let pair = |entry: &Entry| format!("{}: {}", word(&entry.key, true), flow(&entry.node));
            format!("{{ {} }}", entries.iter().map(pair).collect::<Vec<_>>().join(", "))
        }
    }
}

/// A scalar, in quotes only where it would be read otherwise without.
fn word(text: &str, quoted: bool) -> String {
    let plain =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '@' | '%' | '*');
    let begins = text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    let typed = matches!(text.to_ascii_lowercase().as_str(), "true" | "false" | "null" | "~" | "");
    let address = text.len() == 42 && text.starts_with("0x");
    let bare = begins && text.chars().all(plain) && !is_float(text) && !address;
    if (typed && !quoted) || (bare && !typed) {
        text.to_owned()
    } else {
        serde_json::Value::from(text).to_string()
    }
}

/// Whether a text can stand as a block of lines and be read as it is.
fn is_block(text: &str) -> bool {
    let clean = |line: &str| !line.starts_with([' ', '\t']) && !line.ends_with([' ', '\t', '\r']);
    text.contains('\n')
        && !text.ends_with("\n\n")
        && !text.starts_with('\n')
        && text.lines().all(clean)
        && !text.chars().any(|c| c.is_control() && c != '\n')
}
