//! Strict JSON: bounded depth, no duplicate keys, no leftovers, numbers kept as they were written.

use std::fmt::{self, Write};

/// A JSON value whose numbers keep every digit and whose objects keep their order.
#[derive(Clone, PartialEq, Eq)]
pub enum Json {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number, as it was written.
    Number(Box<str>),
    /// A string, unescaped.
    Text(String),
    /// An array.
    List(Vec<Json>),
    /// An object in the order of its keys' appearance; no key appears twice.
    Object(Vec<(String, Json)>),
}

/// What a text may be at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How many arrays and objects may lie inside each other.
    pub depth: u8,
    /// How many bytes.
    pub bytes: usize,
    /// How many values in all, counting every member of every array and object.
    pub members: usize,
}

impl Limits {
    /// For a request of the agents' door: 1 MiB, 32 levels, 65 536 values.
    pub const REQUEST: Self = Self { depth: 32, bytes: 1 << 20, members: 1 << 16 };
}

/// The longest number: 2^256 has 78 digits.
const NUMBER_LENGTH_MAX: usize = 128;

impl Json {
    /// Reads exactly one value. Refuses what two readers could read differently: a key that appears twice
    /// (after unescaping), a byte order mark, invalid UTF-8, half a surrogate pair, leftovers.
    pub fn parse(bytes: &[u8], limits: Limits) -> Result<Self, JsonError> {
        if bytes.len() > limits.bytes {
            return Err(JsonError::TooLong(limits.bytes));
        }
        let mut reader = Reader { rest: bytes, length: bytes.len(), left: limits.members };
        let value = reader.value(limits.depth)?;
        reader.blank();
        if reader.rest.is_empty() { Ok(value) } else { Err(reader.unexpected()) }
    }

    /// The string, if it is one.
    #[must_use]
    pub const fn as_text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text.as_str()) } else { None }
    }

    /// The items, if it is an array.
    #[must_use]
    pub const fn as_list(&self) -> Option<&[Self]> {
        if let Self::List(items) = self { Some(items.as_slice()) } else { None }
    }

    /// The members, if it is an object.
    #[must_use]
    pub const fn as_object(&self) -> Option<&[(String, Self)]> {
        if let Self::Object(members) = self { Some(members.as_slice()) } else { None }
    }

    /// The member of an object; `None` if there is none or it is no object.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.as_object()?.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// Whether it is `null`.
    #[must_use]
    pub const fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// What kind of value it is, for messages.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::Text(_) => "a string",
            Self::List(_) => "an array",
            Self::Object(_) => "an object",
        }
    }
}

/// Never the content: a request may carry what nobody should read in a log.
impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Json(..)")
    }
}

/// Compact JSON with the fewest escapes; reading it again gives the same value.
impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => value.fmt(f),
            Self::Number(text) => f.write_str(text),
            Self::Text(text) => write_text(f, text),
            Self::List(items) => write_all(f, ('[', ']'), items, |f, item| item.fmt(f)),
            Self::Object(members) => write_all(f, ('{', '}'), members, |f, (key, value)| {
                write_text(f, key)?;
                f.write_char(':')?;
                value.fmt(f)
            }),
        }
    }
}

fn write_all<T>(
    f: &mut fmt::Formatter<'_>,
    (open, close): (char, char),
    items: &[T],
    write: impl Fn(&mut fmt::Formatter<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    f.write_char(open)?;
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            f.write_char(',')?;
        }
        write(f, item)?;
    }
    f.write_char(close)
}

fn write_text(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_char('"')?;
    for c in text.chars() {
        match c {
            '"' => f.write_str("\\\"")?,
            '\\' => f.write_str("\\\\")?,
            '\n' => f.write_str("\\n")?,
            '\r' => f.write_str("\\r")?,
            '\t' => f.write_str("\\t")?,
            c if c < ' ' => write!(f, "\\u{:04x}", u32::from(c))?,
            c => f.write_char(c)?,
        }
    }
    f.write_char('"')
}

struct Reader<'a> {
    rest: &'a [u8],
    length: usize,
    left: usize,
}

impl<'a> Reader<'a> {
    fn value(&mut self, depth: u8) -> Result<Json, JsonError> {
        self.left = self.left.checked_sub(1).ok_or(JsonError::TooMany)?;
        self.blank();
        match self.rest.first() {
            Some(b'{') => self.object(deeper(depth)?),
            Some(b'[') => self.list(deeper(depth)?),
            Some(b'"') => self.text().map(Json::Text),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true", Json::Bool(true)),
            Some(b'f') => self.word("false", Json::Bool(false)),
            Some(b'n') => self.word("null", Json::Null),
            Some(_) | None => Err(self.unexpected()),
        }
    }

    fn object(&mut self, depth: u8) -> Result<Json, JsonError> {
        self.bump();
        let mut members = Vec::new();
        if self.closes(b'}') {
            return Ok(Json::Object(members));
        }
        loop {
            self.blank();
            let key = self.text()?;
            self.blank();
            self.expect(b':')?;
            members.push((key, self.value(depth)?));
            if !self.goes_on(b'}')? {
                return unique(members).map(Json::Object);
            }
        }
    }

    fn list(&mut self, depth: u8) -> Result<Json, JsonError> {
        self.bump();
        let mut items = Vec::new();
        if self.closes(b']') {
            return Ok(Json::List(items));
        }
        loop {
            items.push(self.value(depth)?);
            if !self.goes_on(b']')? {
                return Ok(Json::List(items));
            }
        }
    }

    fn text(&mut self) -> Result<String, JsonError> {
        self.expect(b'"')?;
        let mut text = String::new();
        loop {
            let special = |b: &u8| matches!(b, b'"' | b'\\' | 0..=0x1f);
            let plain = self.rest.iter().position(special).unwrap_or(self.rest.len());
            text.push_str(self.take(plain)?);
            match self.bump() {
                Some(b'"') => return Ok(text),
                Some(b'\\') => text.push(self.escape()?),
                Some(_) | None => return Err(self.unexpected()),
            }
        }
    }

    fn escape(&mut self) -> Result<char, JsonError> {
        match self.bump() {
            Some(c @ (b'"' | b'\\' | b'/')) => Ok(char::from(c)),
            Some(b'b') => Ok('\u{8}'),
            Some(b'f') => Ok('\u{c}'),
            Some(b'n') => Ok('\n'),
            Some(b'r') => Ok('\r'),
            Some(b't') => Ok('\t'),
            Some(b'u') => self.code_point(),
            Some(_) | None => Err(self.unexpected()),
        }
    }

    /// One `\uXXXX`, or the two that make a surrogate pair. Half of a pair is no character.
    fn code_point(&mut self) -> Result<char, JsonError> {
        let first = self.unit()?;
        if !matches!(first, 0xd800..=0xdbff) {
            return char::from_u32(first.into()).ok_or(JsonError::Surrogate);
        }
        if self.bump() != Some(b'\\') || self.bump() != Some(b'u') {
            return Err(JsonError::Surrogate);
        }
        let pair = [first, self.unit()?];
        match char::decode_utf16(pair).next() {
            Some(Ok(c)) => Ok(c),
            Some(Err(_)) | None => Err(JsonError::Surrogate),
        }
    }

    fn unit(&mut self) -> Result<u16, JsonError> {
        let digits = self.take(4)?;
        if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(self.unexpected());
        }
        u16::from_str_radix(digits, 16).map_err(|_| self.unexpected())
    }

    fn number(&mut self) -> Result<Json, JsonError> {
        let inside = |b: &u8| matches!(b, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
        let end = self.rest.iter().position(|b| !inside(b)).unwrap_or(self.rest.len());
        if end > NUMBER_LENGTH_MAX {
            return Err(JsonError::LongNumber);
        }
        let text = self.take(end)?;
        if is_number(text) { Ok(Json::Number(text.into())) } else { Err(self.unexpected()) }
    }

    fn word(&mut self, word: &str, value: Json) -> Result<Json, JsonError> {
        let rest = self.rest.strip_prefix(word.as_bytes()).ok_or_else(|| self.unexpected())?;
        self.rest = rest;
        Ok(value)
    }

    fn take(&mut self, count: usize) -> Result<&'a str, JsonError> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or_else(|| self.unexpected())?;
        let text = std::str::from_utf8(taken).map_err(|_| JsonError::Utf8)?;
        self.rest = rest;
        Ok(text)
    }

    fn blank(&mut self) {
        while let Some((b' ' | b'\t' | b'\n' | b'\r', rest)) = self.rest.split_first() {
            self.rest = rest;
        }
    }

    fn bump(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn expect(&mut self, byte: u8) -> Result<(), JsonError> {
        if self.bump() == Some(byte) { Ok(()) } else { Err(self.unexpected()) }
    }

    fn closes(&mut self, close: u8) -> bool {
        self.blank();
        self.rest.first() == Some(&close) && self.bump().is_some()
    }

    fn goes_on(&mut self, close: u8) -> Result<bool, JsonError> {
        self.blank();
        match self.bump() {
            Some(b',') => Ok(true),
            Some(byte) if byte == close => Ok(false),
            Some(_) | None => Err(self.unexpected()),
        }
    }

    fn unexpected(&self) -> JsonError {
        JsonError::Unexpected { at: self.length.saturating_sub(self.rest.len()) }
    }
}

fn deeper(depth: u8) -> Result<u8, JsonError> {
    depth.checked_sub(1).ok_or(JsonError::TooDeep)
}

/// `-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?`
fn is_number(text: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let text = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) =
        text.split_once(['e', 'E']).map_or((text, None), |(m, e)| (m, Some(e)));
    let (whole, fraction) =
        mantissa.split_once('.').map_or((mantissa, None), |(w, f)| (w, Some(f)));
    let exponent_fits = exponent.is_none_or(|e| digits(e.strip_prefix(['+', '-']).unwrap_or(e)));
    let canonical = whole == "0" || !whole.starts_with('0');
    digits(whole) && canonical && fraction.is_none_or(digits) && exponent_fits
}

fn unique(members: Vec<(String, Json)>) -> Result<Vec<(String, Json)>, JsonError> {
    let mut keys: Vec<&str> = members.iter().map(|(key, _)| key.as_str()).collect();
    keys.sort_unstable();
    match keys.windows(2).find(|pair| pair.first() == pair.last()) {
        Some(_) => Err(JsonError::Duplicate),
        None => Ok(members),
    }
}

/// A text that is not one strict JSON value. Messages never repeat the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// More bytes than the limit.
    #[error("longer than {0} bytes")]
    TooLong(usize),
    /// More nesting than the limit.
    #[error("nested too deeply")]
    TooDeep,
    /// More values than the limit.
    #[error("too many values")]
    TooMany,
    /// A number of more than 128 characters.
    #[error("a number is too long")]
    LongNumber,
    /// An object names a key twice.
    #[error("an object has the same key twice")]
    Duplicate,
    /// Not UTF-8.
    #[error("a string is not UTF-8")]
    Utf8,
    /// Half of a surrogate pair.
    #[error("a string has half of a surrogate pair")]
    Surrogate,
    /// Anything else.
    #[error("not JSON at byte {at}")]
    Unexpected {
        /// How many bytes were read.
        at: usize,
    },
}

#[cfg(test)]
mod tests;
