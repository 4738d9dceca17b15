//! What holds whatever bytes come, one function per parser. libFuzzer calls them (`fuzz/` of the repository), and so do
//! the tests, over what it found worth keeping. Only tests and fuzzers see this module.

#![expect(clippy::missing_panics_doc, reason = "a panic is a finding")]

use std::path::Path;

use crate::config::{self, Report};

#[cfg(test)]
#[path = "../../../fuzz/replay.rs"]
mod replay;

/// A name and what holds of any bytes.
pub type Target = (&'static str, fn(&[u8]));

/// Every target of this crate.
pub const TARGETS: [Target; 1] = [("configuration", configuration)];

/// A configuration is read, or refused with lines that say where and why and cannot move a terminal's cursor; read
/// again, it says the same.
pub fn configuration(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let read = || {
        let file = Path::new("/nowhere/countersign.yaml");
        let report = Report::new(file);
        let config = config::read_text(text, file, &report);
        report.finish(config).map(|(_, warnings)| warnings)
    };
    let first = read();
    if let Err(problems) = &first {
        assert!(!problems.0.is_empty(), "refused without a word");
        for problem in &problems.0 {
            let line = problem.to_string();
            assert!(!problem.message.is_empty() && !line.contains(char::is_control), "{line:?}");
            // YAML's lines also end with a carriage return alone
            let lines = text.split(['\n', '\r']).count();
            assert!(problem.place.line <= lines.saturating_add(1), "{line}");
        }
    }
    assert_eq!(first, read());
}
