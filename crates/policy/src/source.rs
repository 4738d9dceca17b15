//! YAML (and so JSON) to a tree that remembers where each word stands and whether it was quoted.
//!
//! Strict: one document, no anchors, aliases, tags or directives, no duplicate keys, no keys but text;
//! bounded in bytes, depth and nodes.

use granit_parser::{Event, Options, Parser, ScalarStyle, ScanError, Span};
use serde_json::{Map, Value as Json};

use crate::diagnostic::{Findings, Place};

/// The largest policy file.
pub(crate) const SOURCE_BYTES_MAX: usize = 256 * 1024;
const DEPTH_MAX: usize = 24;
const NODES_MAX: usize = 40_000;

/// One node of the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) value: Value,
}

/// What a node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    /// A scalar as it was written; a plain one may still mean a number, a truth value or null.
    Scalar { text: String, quoted: bool },
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, in the order of the file.
    Map(Vec<Entry>),
}

/// One key of a mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) place: Place,
    pub(crate) node: Node,
}

impl Node {
    /// The scalar's text, whether or not it was quoted.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, .. } => Some(text),
            Value::List(_) | Value::Map(_) => None,
        }
    }

    /// The text of a scalar that was not quoted.
    pub(crate) fn plain(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, quoted: false } => Some(text),
            Value::Scalar { quoted: true, .. } | Value::List(_) | Value::Map(_) => None,
        }
    }

    /// The keys of a mapping.
    pub(crate) fn map(&self) -> Option<&[Entry]> {
        match &self.value {
            Value::Map(entries) => Some(entries),
            Value::Scalar { .. } | Value::List(_) => None,
        }
    }

    /// The items of a sequence.
    pub(crate) fn list(&self) -> Option<&[Self]> {
        match &self.value {
            Value::List(items) => Some(items),
            Value::Scalar { .. } | Value::Map(_) => None,
        }
    }

    /// The value of a key of a mapping.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        self.map()?.iter().find(|entry| entry.key == key).map(|entry| &entry.node)
    }

    /// Whether it is a plain `null`, `~` or nothing.
    pub(crate) fn is_null(&self) -> bool {
        matches!(self.plain(), Some("" | "null" | "Null" | "NULL" | "~"))
    }

    /// The node as JSON with sorted keys: plain `null`, `true` and `false` keep their type, every other
    /// scalar is text, so that `500` and `"500"` are the same.
    pub(crate) fn canonical(&self) -> Json {
        match &self.value {
            Value::List(items) => Json::Array(items.iter().map(Self::canonical).collect()),
            Value::Map(entries) => {
                let mut sorted: Vec<&Entry> = entries.iter().collect();
                sorted.sort_by(|a, b| a.key.cmp(&b.key));
                let pairs = sorted.into_iter().map(|e| (e.key.clone(), e.node.canonical()));
                Json::Object(pairs.collect::<Map<_, _>>())
            }
            Value::Scalar { text, .. } => match self.plain() {
                _ if self.is_null() => Json::Null,
                Some("true") => Json::Bool(true),
                Some("false") => Json::Bool(false),
                Some(_) | None => Json::String(text.clone()),
            },
        }
    }
}

/// Reads one document. `None` if it cannot be read at all; the findings then say why.
pub(crate) fn read(source: &str, findings: &mut Findings) -> Option<Node> {
    if source.len() > SOURCE_BYTES_MAX {
        findings.error(
            Place::default(),
            format!("the file has {} bytes", source.len()),
            format!("a policy may have at most {SOURCE_BYTES_MAX}"),
        );
        return None;
    }
    let mut options = Options::default();
    options.disallow_directives = true;
    options.flow_nesting_limit = DEPTH_MAX;
    options.block_nesting_limit = DEPTH_MAX;
    options.simple_key_max_lookahead = 1024;
    options.set_emit_comments(false);
    let mut reader = Reader {
        events: Box::new(Parser::new_from_str_with_options(source, options)),
        nodes: 0,
        findings,
    };
    match reader.document() {
        Ok(node) => node,
        Err(Stop::Told) => None,
        Err(Stop::Scan(error)) => {
            let at = place(&Span::empty(*error.marker()));
            let said = error.info().replace('\n', " ");
            if said == "recursion limit exceeded" {
                let hint = format!("at most {DEPTH_MAX} levels lie inside each other");
                findings.error(at, "the file is nested too deep", hint);
            } else {
                findings.error(at, format!("this is not YAML: {said}"), "");
            }
            None
        }
    }
}

enum Stop {
    /// The finding is recorded already.
    Told,
    /// The text is not YAML.
    Scan(ScanError),
}

type Events<'a> = dyn Iterator<Item = Result<(Event<'a>, Span), ScanError>> + 'a;

struct Reader<'a, 'f> {
    events: Box<Events<'a>>,
    nodes: usize,
    findings: &'f mut Findings,
}

impl<'a> Reader<'a, '_> {
    fn next(&mut self) -> Result<(Event<'a>, Place), Stop> {
        match self.events.next() {
            Some(Ok((event, span))) => Ok((event, place(&span))),
            Some(Err(error)) => Err(Stop::Scan(error)),
            None => Ok((Event::StreamEnd, Place::default())),
        }
    }

    fn stop(&mut self, at: Place, message: &str, hint: &str) -> Stop {
        self.findings.error(at, message, hint);
        Stop::Told
    }

    fn document(&mut self) -> Result<Option<Node>, Stop> {
        let mut document = None;
        loop {
            let (event, at) = self.next()?;
            if event == Event::StreamEnd {
                if document.is_none() {
                    let hint = "a policy begins with `policy: NAME`";
                    return Err(self.stop(at, "the file is empty", hint));
                }
                return Ok(document);
            }
            let starts = matches!(event, Event::DocumentStart(..));
            if starts && document.is_some() {
                return Err(self.stop(at, "the file has a second document", "one policy per file"));
            }
            if !starts && !matches!(event, Event::StreamStart | Event::DocumentEnd) {
                document = Some(self.node(event, at)?);
            }
        }
    }

    fn node(&mut self, event: Event<'a>, at: Place) -> Result<Node, Stop> {
        self.nodes = self.nodes.saturating_add(1);
        if self.nodes > NODES_MAX {
            return Err(self.stop(at, "the file has too many parts", "split the policy"));
        }
        if has_extras(&event) {
            return Err(self.stop(
                at,
                "anchors, aliases and tags are not part of the policy language",
                "write the value out, or use `sets:`",
            ));
        }
        if let Event::Scalar(text, style, ..) = event {
            let quoted = style != ScalarStyle::Plain;
            return Ok(Node {
                place: at,
                value: Value::Scalar { text: text.into_owned(), quoted },
            });
        }
        if matches!(event, Event::SequenceStart(..)) {
            return self.list(at);
        }
        if matches!(event, Event::MappingStart(..)) {
            return self.map(at);
        }
        Err(self.stop(at, "this is not a value", ""))
    }

    fn list(&mut self, at: Place) -> Result<Node, Stop> {
        let mut items = Vec::new();
        loop {
            let (event, item_at) = self.next()?;
            if event == Event::SequenceEnd {
                return Ok(Node { place: at, value: Value::List(items) });
            }
            items.push(self.node(event, item_at)?);
        }
    }

    fn map(&mut self, at: Place) -> Result<Node, Stop> {
        let mut entries: Vec<Entry> = Vec::new();
        loop {
            let (event, key_at) = self.next()?;
            if event == Event::MappingEnd {
                return Ok(Node { place: at, value: Value::Map(entries) });
            }
            let key = self.key(event, key_at)?;
            let (value, value_at) = self.next()?;
            let node = self.node(value, value_at)?;
            if entries.iter().any(|entry| entry.key == key) {
                self.findings.error(key_at, format!("`{key}` appears twice"), "keep one of them");
            } else {
                entries.push(Entry { key, place: key_at, node });
            }
        }
    }

    fn key(&mut self, event: Event<'a>, at: Place) -> Result<String, Stop> {
        let node = self.node(event, at)?;
        match node.value {
            Value::Scalar { text, .. } if !text.is_empty() && text != "<<" => Ok(text),
            Value::Scalar { .. } | Value::List(_) | Value::Map(_) => {
                Err(self.stop(at, "a key must be a word", ""))
            }
        }
    }
}

/// Whether an event carries more than plain structure and text.
fn has_extras(event: &Event<'_>) -> bool {
    if let Event::Scalar(_, _, anchor, tag)
    | Event::SequenceStart(_, anchor, tag)
    | Event::MappingStart(_, anchor, tag) = event
    {
        return *anchor != 0 || tag.is_some();
    }
    matches!(event, Event::Alias(_) | Event::UnresolvedAlias(_) | Event::Anchor(..))
}

fn place(span: &Span) -> Place {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Place { line: number(span.start.line()), column: number(span.start.col().saturating_add(1)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(source: &str) -> String {
        let mut findings = Findings::new("p.yaml");
        read(source, &mut findings);
        if findings.has_errors() { findings.into_errors().to_string() } else { String::new() }
    }

    #[test]
    fn what_is_not_one_plain_document_is_refused_with_its_place() {
        let deep = "[".repeat(60);
        let table = [
            ("a: 1\na: 2", "p.yaml:2:1: `a` appears twice; keep one of them"),
            ("a: &x 1\nb: *x", "p.yaml:1:7: anchors, aliases and tags are not part"),
            ("a: !!str 1", "anchors, aliases and tags"),
            ("a: 1\n---\nb: 2", "p.yaml:2:1: the file has a second document"),
            ("", "the file is empty"),
            ("? [a]\n: 1", "a key must be a word"),
            ("a: [1", "this is not YAML"),
            ("%YAML 1.2\n---\na: 1", "this is not YAML"),
            ("<<: {a: 1}", "a key must be a word"),
            (deep.as_str(), "p.yaml:1:25: the file is nested too deep; at most 24 levels"),
        ];
        for (source, expected) in table {
            let told = errors(source);
            assert!(told.contains(expected), "{source}: {told}");
        }
        assert!(errors(&"x".repeat(SOURCE_BYTES_MAX + 1)).contains("at most 262144"));
    }

    #[test]
    fn json_and_yaml_give_the_same_canonical_json() {
        let canonical = |source: &str| {
            let mut findings = Findings::new("p");
            read(source, &mut findings).unwrap().canonical().to_string()
        };
        let yaml = canonical("b: [1, 'x', null]\na: {d: true, c: \"2\"}");
        assert_eq!(yaml, r#"{"a":{"c":"2","d":true},"b":["1","x",null]}"#);
        assert_eq!(yaml, canonical(r#"{"a": {"c": 2, "d": true}, "b": [1, "x", null]}"#));
    }
}
