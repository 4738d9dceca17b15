//! What is wrong with a policy file: where, what, and what to do.

use std::fmt;

/// One finding in a policy file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// The file, as the caller named it.
    pub file: String,
    /// The line, from 1.
    pub line: Option<u32>,
    /// The column, from 1.
    pub column: Option<u32>,
    /// What is wrong: lower case, no full stop.
    pub message: String,
    /// What to do, where that is not obvious; empty otherwise.
    pub hint: String,
}

/// `file:line:col: message; hint`
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}:{}", self.column.unwrap_or(1))?;
        }
        write!(f, ": {}", self.message)?;
        if self.hint.is_empty() { Ok(()) } else { write!(f, "; {}", self.hint) }
    }
}

/// Everything that is wrong with a policy file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyErrors {
    /// In the order of the file; never empty.
    pub items: Vec<Diagnostic>,
}

/// One finding per line.
impl fmt::Display for PolicyErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, item) in self.items.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            item.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for PolicyErrors {}

/// A place in a file, from 1; line 0 stands for "nowhere in particular".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Place {
    pub(crate) line: u32,
    pub(crate) column: u32,
}

/// Collects findings while a file is read, so that all are told at once.
#[derive(Debug)]
pub(crate) struct Findings {
    file: String,
    errors: Vec<(Place, Diagnostic)>,
    warnings: Vec<(Place, Diagnostic)>,
}

impl Findings {
    pub(crate) fn new(file: &str) -> Self {
        Self { file: file.to_owned(), errors: Vec::new(), warnings: Vec::new() }
    }

    pub(crate) fn error(
        &mut self,
        place: Place,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        let found = self.diagnostic(place, message.into(), hint.into());
        if !self.errors.iter().any(|(_, known)| *known == found) {
            self.errors.push((place, found));
        }
    }

    pub(crate) fn warning(
        &mut self,
        place: Place,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        let found = self.diagnostic(place, message.into(), hint.into());
        if !self.warnings.iter().any(|(_, known)| *known == found) {
            self.warnings.push((place, found));
        }
    }

    fn diagnostic(&self, place: Place, message: String, hint: String) -> Diagnostic {
        let known = place.line > 0;
        Diagnostic {
            file: one_line(self.file.clone()),
            line: known.then_some(place.line),
            column: known.then_some(place.column),
            message: one_line(message),
            hint: one_line(hint),
        }
    }

    pub(crate) const fn has_errors(&self) -> bool {
        !self.errors.is_empty()
    }

    /// The errors in the order of the file.
    pub(crate) fn into_errors(mut self) -> PolicyErrors {
        self.errors.sort_by_key(|(place, _)| *place);
        PolicyErrors { items: self.errors.into_iter().map(|(_, found)| found).collect() }
    }

    /// The warnings in the order of the file.
    pub(crate) fn take_warnings(&mut self) -> Vec<Diagnostic> {
        let mut warnings = std::mem::take(&mut self.warnings);
        warnings.sort_by_key(|(place, _)| *place);
        warnings.into_iter().map(|(_, found)| found).collect()
    }
}

/// Without controls: a message quotes the file, and neither a list of messages nor a terminal must take that for its own.
fn one_line(text: String) -> String {
    if !text.contains(char::is_control) {
        return text;
    }
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_says_is_quoted_in_one_line() {
        let mut findings = Findings::new("p.yaml");
        findings.error(Place::default(), "`a\r\nb\u{1b}[2Jc` is no address", "write\tone");
        let told = findings.into_errors().to_string();
        assert_eq!(told, "p.yaml: `a  b [2Jc` is no address; write one");
    }
}
