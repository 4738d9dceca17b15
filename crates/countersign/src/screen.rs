//! The one place that writes to the terminal.

use std::{
    fmt::Write as _,
    io::{IsTerminal as _, Write as _, stderr, stdin, stdout},
};

use countersign_core::text::is_hidden;

/// A line of a result, on the standard output. A reader that went away is no error.
pub(crate) fn say(line: impl AsRef<str>) {
    let _reader_gone = writeln!(stdout().lock(), "{}", line.as_ref());
}

/// A line about the work itself, on the standard error.
pub(crate) fn complain(line: impl AsRef<str>) {
    let _reader_gone = writeln!(stderr().lock(), "{}", line.as_ref());
}

/// Asks on the standard error and takes `y` for a yes. `None` where nobody can be asked.
pub(crate) fn ask(question: &str) -> Option<bool> {
    if !stdin().is_terminal() {
        return None;
    }
    let _reader_gone = write!(stderr().lock(), "{question} [y/N] ");
    let _reader_gone = stderr().flush();
    let mut answer = String::new();
    stdin().read_line(&mut answer).ok()?;
    Some(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// Colours where a person looks, none where a program reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Paint(bool);

impl Paint {
    /// No colours.
    #[cfg(test)]
    pub(crate) const NONE: Self = Self(false);

    /// For the standard output. `NO_COLOR` is honoured by whoever sets it.
    pub(crate) fn stdout() -> Self {
        Self(stdout().is_terminal() && crate::config::variable("NO_COLOR").is_none())
    }

    /// For the standard error.
    pub(crate) fn stderr() -> Self {
        Self(stderr().is_terminal() && crate::config::variable("NO_COLOR").is_none())
    }

    fn wrap(self, code: &str, text: &str) -> String {
        if self.0 { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    pub(crate) fn bold(self, text: &str) -> String {
        self.wrap("1", text)
    }

    pub(crate) fn dim(self, text: &str) -> String {
        self.wrap("2", text)
    }

    pub(crate) fn green(self, text: &str) -> String {
        self.wrap("32", text)
    }

    pub(crate) fn yellow(self, text: &str) -> String {
        self.wrap("33", text)
    }

    pub(crate) fn red(self, text: &str) -> String {
        self.wrap("31", text)
    }

    pub(crate) fn cyan(self, text: &str) -> String {
        self.wrap("36", text)
    }
}

/// Aligned columns under their names.
pub(crate) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let head: Vec<String> = head.iter().map(|name| (*name).to_owned()).collect();
    let all = || std::iter::once(&head).chain(rows);
    let width = |column: usize| {
        all().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    all().map(line).collect::<Vec<_>>().join("\n")
}

/// Text from elsewhere, made safe for a terminal: no control characters, no reordering of what is read.
pub(crate) fn plain(text: &str) -> String {
    text.chars().map(|c| if is_hidden(c) { '\u{fffd}' } else { c }).collect()
}

/// JSON made safe for a terminal in the same way, and still the same JSON: what would steer is written as `\u` and a number.
pub(crate) fn escaped(json: &str) -> String {
    let mut safe = String::with_capacity(json.len());
    for c in json.chars() {
        // below, JSON has escaped what stands in texts, and what stands between them is meant
        if c < '\u{7f}' || !is_hidden(c) {
            safe.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            // INVARIANT: writing into a string does not fail
            write!(safe, "\\u{unit:04x}").unwrap_or_default();
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [vec!["a".to_owned(), "long".to_owned()], vec!["bbb".to_owned(), String::new()]];
        assert_eq!(table(&["x", "y"], &rows), "x    y\na    long\nbbb");
    }

    #[test]
    fn json_with_text_of_an_agent_cannot_either_and_says_the_same() {
        let said = "a\u{1b}[2J\u{202e}b\u{7f}\u{9b}\u{2066}\u{200b}\u{e0041}\u{1f511}é\n";
        let value = serde_json::json!({ "reason": said });
        let text = serde_json::to_string_pretty(&value).unwrap();
        let safe = escaped(&text);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&safe).unwrap(), value);
        assert!(safe.contains(r"\u202eb\u007f\u009b\u2066\u200b\udb40\udc41"), "{safe}");
        assert!(safe.contains("\u{1f511}é") && safe.lines().count() == 3, "{safe}");
    }

    #[test]
    fn text_of_an_agent_cannot_steer_a_terminal() {
        assert_eq!(plain("a\u{1b}[2Jb\u{202e}c\n"), "a\u{fffd}[2Jb\u{fffd}c\u{fffd}");
    }
}
