//! Texts from elsewhere, where people read them.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Characters of a [`Remark`] at most.
pub const REMARK_MAX: usize = 500;

/// What somebody wrote beside an act: one line in which every character is seen.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Remark(String);

/// Why a text is no [`Remark`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RemarkError {
    /// There is nothing to read in it.
    #[error("is empty: leave it out instead")]
    Empty,
    /// It has more than [`REMARK_MAX`] characters.
    #[error("is longer than {REMARK_MAX} characters")]
    TooLong,
    /// It has a character that nobody sees.
    #[error("has a character that is not shown, U+{:04X}: write one line of plain text", u32::from(*.0))]
    Hidden(char),
}

impl Remark {
    /// Reads one; spaces around it count, but are not part of it.
    pub fn parse(text: &str) -> Result<Self, RemarkError> {
        if text.chars().nth(REMARK_MAX).is_some() {
            return Err(RemarkError::TooLong);
        }
        let text = text.trim_matches(' ');
        if text.is_empty() {
            return Err(RemarkError::Empty);
        }
        match text.chars().find(|c| is_hidden(*c)) {
            Some(hidden) => Err(RemarkError::Hidden(hidden)),
            None => Ok(Self(text.to_owned())),
        }
    }

    /// What is left of a text of ours as a remark: without what is not seen, and cut; `None` where nothing is left.
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        let seen: String = text.chars().filter(|c| !is_hidden(*c)).take(REMARK_MAX).collect();
        Self::parse(&seen).ok()
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Remark {
    type Error = RemarkError;

    fn try_from(text: String) -> Result<Self, RemarkError> {
        Self::parse(&text)
    }
}

impl From<Remark> for String {
    fn from(remark: Remark) -> Self {
        remark.0
    }
}

/// Whether a character is not what a reader sees: a control character, one that is not shown, or one that turns the order
/// of others (the bidirectional controls of UAX #9, Unicode's format characters and tags). Letters that look like others
/// are not among them.
#[must_use]
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{61c}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remark_is_one_line_that_is_seen() {
        for (text, expected) in [
            (" key stolen? \u{1f600} é ", Ok("key stolen? \u{1f600} é")),
            ("", Err(RemarkError::Empty)),
            ("   ", Err(RemarkError::Empty)),
            ("a\nb", Err(RemarkError::Hidden('\n'))),
            ("\n", Err(RemarkError::Hidden('\n'))),
            ("a\u{202e}b", Err(RemarkError::Hidden('\u{202e}'))),
            ("\u{1b}[31m", Err(RemarkError::Hidden('\u{1b}'))),
        ] {
            let parsed = Remark::parse(text);
            assert_eq!(parsed.as_ref().map(Remark::as_str).map_err(|e| *e), expected, "{text:?}");
        }
        let longest = "é".repeat(REMARK_MAX);
        assert!(Remark::parse(&longest).is_ok());
        assert_eq!(Remark::parse(&format!("{longest}é")), Err(RemarkError::TooLong));
        assert_eq!(Remark::of(&format!("\u{202e}{longest}é")).unwrap().as_str(), longest);
        assert_eq!(Remark::of("\n"), None);
        let read = |json: &str| serde_json::from_str::<Remark>(json).map_err(|e| e.to_string());
        assert!(read(r#""a\nb""#).unwrap_err().contains("U+000A"));
        assert_eq!(read(r#""a b""#).unwrap().to_string(), "a b");
    }

    #[test]
    fn what_steers_a_text_is_hidden_and_what_is_read_is_not() {
        for c in ['\n', '\u{1b}', '\u{85}', '\u{ad}', '\u{61c}', '\u{200b}', '\u{202e}', '\u{2066}']
        {
            assert!(is_hidden(c), "{c:?}");
        }
        for c in ['\u{feff}', '\u{fff9}', '\u{e0041}', '\u{2028}'] {
            assert!(is_hidden(c), "{c:?}");
        }
        for c in "a Ж 漢 ע é € 😀 …\u{301}".chars() {
            assert!(!is_hidden(c), "{c:?}");
        }
    }
}
