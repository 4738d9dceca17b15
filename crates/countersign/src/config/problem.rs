//! What is wrong with a configuration: file, line, what, and what to do. All of it at once.

use std::{
    cell::RefCell,
    fmt,
    path::{Path, PathBuf},
};

/// A place in a file; both count from 1. Line 0 means the file as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Place {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

/// One thing to tell the person who wrote the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) file: PathBuf,
    pub(crate) place: Place,
    pub(crate) message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { line, column } = self.place;
        match line {
            0 => write!(f, "{}: {}", self.file.display(), self.message),
            _ => write!(f, "{}:{line}:{column}: {}", self.file.display(), self.message),
        }
    }
}

/// Everything that is refused, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", lines(.0))]
pub(crate) struct Problems(pub(crate) Vec<Problem>);

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n")
}

/// Collects problems and warnings while a file is read.
#[derive(Debug)]
pub(crate) struct Report {
    file: PathBuf,
    problems: RefCell<Vec<Problem>>,
    warnings: RefCell<Vec<Problem>>,
}

impl Report {
    pub(crate) fn new(file: &Path) -> Self {
        let (problems, warnings) = (RefCell::default(), RefCell::default());
        Self { file: file.to_path_buf(), problems, warnings }
    }

    /// Something that is refused.
    pub(crate) fn refuse(&self, place: Place, message: impl Into<String>) {
        let problem = Problem { file: self.file.clone(), place, message: message.into() };
        self.problems.borrow_mut().push(problem);
    }

    /// Something that works and that the operator should know.
    pub(crate) fn warn(&self, place: Place, message: impl Into<String>) {
        let problem = Problem { file: self.file.clone(), place, message: message.into() };
        self.warnings.borrow_mut().push(problem);
    }

    /// Problems and warnings of another file.
    pub(crate) fn refuse_all(&self, problems: impl IntoIterator<Item = Problem>) {
        self.problems.borrow_mut().extend(problems);
    }

    /// Warnings of another file.
    pub(crate) fn warn_all(&self, warnings: impl IntoIterator<Item = Problem>) {
        self.warnings.borrow_mut().extend(warnings);
    }

    /// The value with its warnings, if nothing was refused.
    pub(crate) fn finish<T>(self, value: Option<T>) -> Result<(T, Vec<Problem>), Problems> {
        let mut problems = self.problems.into_inner();
        problems.sort_by_key(|problem| problem.place);
        problems.sort_by_key(|problem| problem.file != self.file);
        match value {
            Some(value) if problems.is_empty() => Ok((value, self.warnings.into_inner())),
            _ => Err(Problems(problems)),
        }
    }
}
