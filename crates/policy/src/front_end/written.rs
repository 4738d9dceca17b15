//! Parts of a file in the core language, as a front end writes them. Each keeps the place of what it comes from, so
//! that an error in it points into the file that people wrote.

use crate::{
    diagnostic::{Findings, Place},
    read,
    source::{Entry, Node, Value},
};

/// The gate that is asked where a front end names none.
pub(super) const OWNER: &str = "owner";

/// What to do where the file's own name is none.
pub(super) const STATE_ONE: &str = "state one with `policy`, or call the file so";

/// A word, as if in quotes.
pub(super) fn word(text: &str, place: Place) -> Node {
    Node { place, value: Value::Scalar { text: text.to_owned(), quoted: true } }
}

/// A number exactly as it was written, as text: `0.5` is not read as a float. One with an exponent is refused.
pub(super) fn exact(node: &Node, findings: &mut Findings) -> Node {
    let Some(text) = node.text() else { return node.clone() };
    let is_exact =
        |text: &str| text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'-' | b'.'));
    if node.plain().is_some_and(read::is_float) && !is_exact(text) {
        let message = format!("`{text}` is a float, and floats are not exact");
        findings.error(node.place, message, read::in_digits(text));
    }
    word(text, node.place)
}

/// A plain `true` or `false`.
pub(super) fn truth(value: bool, place: Place) -> Node {
    Node { place, value: Value::Scalar { text: value.to_string(), quoted: false } }
}

pub(super) fn list(items: Vec<Node>, place: Place) -> Node {
    Node { place, value: Value::List(items) }
}

pub(super) fn entry(key: &str, node: Node) -> Entry {
    Entry { key: key.to_owned(), place: node.place, node }
}

pub(super) fn map(entries: Vec<Entry>, place: Place) -> Node {
    Node { place, value: Value::Map(entries) }
}

/// A mapping of one key.
pub(super) fn alone(key: &str, node: Node) -> Node {
    let place = node.place;
    map(vec![entry(key, node)], place)
}

/// All of these conditions, in one mapping where no key is named twice.
pub(super) fn conjunction(conditions: Vec<Node>, place: Place) -> Node {
    let entries: Vec<Entry> =
        conditions.iter().flat_map(|node| node.map().unwrap_or_default()).cloned().collect();
    let twice = |(index, entry): (usize, &Entry)| {
        entries.iter().take(index).any(|earlier| earlier.key == entry.key)
    };
    if !entries.iter().enumerate().any(twice) {
        return map(entries, place);
    }
    alone(
        "all",
        list(conditions.into_iter().filter(|node| node.map() != Some(&[])).collect(), place),
    )
}

/// Any of these conditions.
pub(super) fn disjunction(mut conditions: Vec<Node>, place: Place) -> Node {
    match conditions.len() {
        1 => conditions.remove(0),
        _ => alone("any", list(conditions, place)),
    }
}

/// `{ need: [{ any: 1, of: ["*"] }] }`: any one operator who may approve.
pub(super) fn anyone(place: Place) -> Node {
    let of = list(vec![word("*", place)], place);
    let clause = map(vec![entry("any", word("1", place)), entry("of", of)], place);
    alone("need", list(vec![clause], place))
}

/// `{ approve: GATE }`
pub(super) fn approve(gate: &str, place: Place) -> Node {
    alone("approve", word(gate, place))
}

/// Refuses keys that are not known.
pub(super) fn known_keys(node: &Node, what: &str, known: &[&str], findings: &mut Findings) {
    let Some(entries) = node.map() else {
        findings.error(
            node.place,
            format!("{what} must be a mapping"),
            format!("its keys are {}", known.join(", ")),
        );
        return;
    };
    for entry in entries.iter().filter(|entry| !known.contains(&entry.key.as_str())) {
        findings.error(
            entry.place,
            format!("{what} has no key `{}`", entry.key),
            format!("its keys are {}", known.join(", ")),
        );
    }
}

/// The name of a compiled policy: what the file states, else what the caller calls it.
pub(super) fn named(stated: Option<&Node>, name: &str, findings: &mut Findings) -> Node {
    let place = stated.map_or_else(Place::default, |node| node.place);
    let text = stated.and_then(Node::text).unwrap_or(name);
    if !read::is_id(text) {
        let hint = format!("{}: {}", read::ID_HINT, STATE_ONE);
        findings.error(place, format!("`{text}` is not a name"), hint);
    }
    word(text, place)
}

/// Entries of the file that are core language already, in the order of the core language's keys.
pub(super) fn kept<'a>(root: &'a Node, keys: &'a [&str]) -> impl Iterator<Item = Entry> + 'a {
    let entry = |key: &&str| root.map()?.iter().find(|entry| entry.key == *key).cloned();
    keys.iter().filter_map(entry)
}

/// The gates of the file, and those that are asked besides.
pub(super) fn gates(root: &Node, asked: &[(String, Place)]) -> Option<Entry> {
    let own = root.get("gates").and_then(Node::map).unwrap_or_default();
    let mut gates: Vec<Entry> = Vec::new();
    for (name, place) in asked {
        if !own.iter().chain(&gates).any(|gate| gate.key == *name) {
            gates.push(entry(name, anyone(*place)));
        }
    }
    gates.extend(own.iter().cloned());
    (!gates.is_empty()).then(|| entry("gates", map(gates, root.place)))
}

/// An id from a name that people chose, distinct from those before it.
pub(super) fn slug(name: &str, index: usize, taken: &[String]) -> String {
    const LENGTH_MAX: usize = 36;
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let spelled: String =
        name.chars().map(|c| if plain(c) { c } else { '-' }).take(LENGTH_MAX).collect();
    let trimmed = spelled.trim_matches('-');
    let id = if trimmed.is_empty() { format!("policy-{index}") } else { trimmed.to_owned() };
    if taken.contains(&id) { format!("{id}-{index}") } else { id }
}
