//! YAML as a tree whose nodes know where they stand, so that every problem can be named with its place.

use serde_saphyr::granit_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span};

use super::problem::Place;

/// How deep a configuration may nest; ours needs five.
const DEPTH_MAX: usize = 16;

/// How large a file may be.
pub(crate) const BYTES_MAX: usize = 4 * 1024 * 1024;

/// A value with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) value: Value,
}

/// A YAML value, untyped: `1`, `"1"` and `on` are all text until a reader says otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    /// Nothing, `~` or `null`.
    Null,
    /// Anything else that is not a collection.
    Text(String),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping in its own order; no key appears twice.
    Map(Vec<(Key, Node)>),
}

/// A key of a mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) place: Place,
    pub(crate) text: String,
}

/// Why a text is no tree. The first problem is the only one: what follows would be guesses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Broken {
    pub(crate) place: Place,
    pub(crate) message: String,
}

/// Reads exactly one document.
pub(crate) fn parse(text: &str) -> Result<Node, Broken> {
    let mut events = Events { parser: Parser::new_from_str(text) };
    let root = match events.next()? {
        (Event::StreamEnd, span) => {
            return Ok(Node { place: place(span.start), value: Value::Null });
        }
        first => events.node(first, 0)?,
    };
    match events.next()? {
        (Event::StreamEnd, _) => Ok(root),
        (_, span) => Err(broken(span, "a second document begins here: keep one per file")),
    }
}

struct Events<'t> {
    parser: Parser<'t, serde_saphyr::granit_parser::StrInput<'t>>,
}

impl<'t> Events<'t> {
    /// The next event that carries content.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "another crate's events: all others carry content"
    )]
    fn next(&mut self) -> Result<(Event<'t>, Span), Broken> {
        loop {
            let next = self.parser.next();
            let (event, span) = next.ok_or_else(ended)?.map_err(|error| scan(&error))?;
            match event {
                Event::StreamStart
                | Event::DocumentStart(..)
                | Event::DocumentEnd
                | Event::Comment(..) => {}
                event => return Ok((event, span)),
            }
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "another crate's events: what is not named is refused"
    )]
    fn node(&mut self, (event, span): (Event<'t>, Span), depth: usize) -> Result<Node, Broken> {
        if depth > DEPTH_MAX {
            return Err(broken(span, "nested too deeply"));
        }
        let value = match event {
            Event::Scalar(text, style, _, None) => scalar(&text, style),
            Event::SequenceStart(_, _, None) => self.list(depth)?,
            Event::MappingStart(_, _, None) => self.map(depth)?,
            Event::Alias(_) => return Err(broken(span, "aliases are not supported: write it out")),
            _ => return Err(broken(span, "tags are not supported: write the plain value")),
        };
        Ok(Node { place: place(span.start), value })
    }

    fn list(&mut self, depth: usize) -> Result<Value, Broken> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Value::List(items)),
                next => items.push(self.node(next, depth.saturating_add(1))?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Value, Broken> {
        let mut entries: Vec<(Key, Node)> = Vec::new();
        loop {
            let key = match self.next()? {
                (Event::MappingEnd, _) => return Ok(Value::Map(entries)),
                (Event::Scalar(text, ..), span) => {
                    Key { place: place(span.start), text: text.into_owned() }
                }
                (_, span) => return Err(broken(span, "a key must be a plain word")),
            };
            if let Some((first, _)) = entries.iter().find(|(known, _)| known.text == key.text) {
                let message =
                    format!("`{}` stands here twice, first in line {}", key.text, first.place.line);
                return Err(Broken { place: key.place, message });
            }
            let next = self.next()?;
            entries.push((key, self.node(next, depth.saturating_add(1))?));
        }
    }
}

fn scalar(text: &str, style: ScalarStyle) -> Value {
    let plain = style == ScalarStyle::Plain;
    if plain && matches!(text, "" | "~" | "null") { Value::Null } else { Value::Text(text.into()) }
}

fn place(marker: Marker) -> Place {
    Place { line: marker.line(), column: marker.col().saturating_add(1) }
}

fn broken(span: Span, message: &str) -> Broken {
    Broken { place: place(span.start), message: message.into() }
}

fn scan(error: &ScanError) -> Broken {
    Broken { place: place(*error.marker()), message: format!("not YAML: {}", error.info()) }
}

fn ended() -> Broken {
    Broken { place: Place::default(), message: "not YAML: it ends in the middle".into() }
}
