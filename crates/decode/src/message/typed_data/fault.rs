//! What is wrong, and where: the place is put together on the way out, so that reading costs nothing for it.

use std::fmt;

use countersign_core::draft::FieldError;

/// A field that cannot be read.
#[derive(Debug)]
pub(super) struct Fault {
    path: String,
    reason: String,
}

impl Fault {
    /// A fault at a member, at an index (`[0]`), or at the value itself (an empty name).
    pub(super) fn at(name: &str, reason: impl fmt::Display) -> Self {
        Self { path: name.to_owned(), reason: reason.to_string() }
    }

    pub(super) fn into_error(self) -> FieldError {
        let path = if self.path.is_empty() { "typedData" } else { &self.path };
        FieldError::new(path, self.reason)
    }
}

/// Says where a fault lies.
pub(super) trait Inside {
    fn inside(self, outer: &str) -> Self;
}

impl<T> Inside for Result<T, Fault> {
    fn inside(self, outer: &str) -> Self {
        self.map_err(|Fault { path, reason }| {
            let dot = if path.is_empty() || path.starts_with('[') { "" } else { "." };
            Fault { path: format!("{outer}{dot}{path}"), reason }
        })
    }
}
