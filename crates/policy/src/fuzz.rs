//! What holds whatever bytes come, one function per parser. libFuzzer calls them (`fuzz/` of the repository), and so do
//! the tests, over what it found worth keeping. Only tests and fuzzers see this module.

#![expect(clippy::panic, reason = "a panic is a finding")]

use crate::{DiffClass, Format, Policy, PolicyErrors, diff, import};

#[cfg(test)]
#[path = "../../../fuzz/replay.rs"]
mod replay;

/// A name and what holds of any bytes.
pub type Target = (&'static str, fn(&[u8]));

/// Every target of this crate.
pub const TARGETS: [Target; 4] =
    [("policy", policy), ("fields", fields), ("pact", pact), ("jsonlogic", jsonlogic)];

/// A file in whatever format it seems to be.
pub fn policy(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    reads_as_itself(Policy::parse(text, "fuzz.yaml"));
}

/// Agent policy fields.
pub fn fields(bytes: &[u8]) {
    compiles(Format::Fields, bytes);
}

/// A pact.
pub fn pact(bytes: &[u8]) {
    compiles(Format::Pact, bytes);
}

/// A bundle of `JsonLogic` rules.
pub fn jsonlogic(bytes: &[u8]) {
    compiles(Format::JsonLogic, bytes);
}

/// What a front end accepts is the same version when it is written down in the core language.
fn compiles(format: Format, bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let read = Policy::from_format(format, "fuzz", text, "fuzz.yaml");
    let Some(policy) = reads_as_itself(read) else { return };
    let imported = import(format, "fuzz", text, "fuzz.yaml");
    let imported = imported.unwrap_or_else(|errors| panic!("{errors}"));
    let again = Policy::parse_untested(&imported, "imported.yaml");
    let again = again.unwrap_or_else(|errors| panic!("{errors}\n{imported}"));
    assert_eq!(again.id(), policy.id(), "{imported}");
}

/// A policy that is accepted is the same version when its canonical form is read; what is refused is told in lines.
fn reads_as_itself(read: Result<Policy, PolicyErrors>) -> Option<Policy> {
    match read {
        Ok(policy) => {
            let canonical = policy.canonical_json();
            let again = Policy::parse_untested(&canonical, "canonical.json");
            let again = again.unwrap_or_else(|errors| panic!("{errors}\n{canonical}"));
            assert_eq!((again.id(), again.name()), (policy.id(), policy.name()), "{canonical}");
            assert_eq!(again.canonical_json(), canonical);
            assert_eq!(diff(&policy, &policy).class, DiffClass::Same, "{canonical}");
            assert!(policy.run_tests().iter().all(|outcome| outcome.passed));
            Some(policy)
        }
        Err(errors) => {
            assert!(!errors.items.is_empty());
            for item in &errors.items {
                assert!(
                    !item.message.is_empty() && !item.to_string().contains(char::is_control),
                    "{item}"
                );
            }
            None
        }
    }
}
