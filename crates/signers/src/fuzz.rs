//! What holds whatever bytes come, one function per parser. libFuzzer calls them (`fuzz/` of the repository), and so do
//! the tests, over what it found worth keeping. Only tests and fuzzers see this module.

#![expect(clippy::missing_panics_doc, clippy::unwrap_used, reason = "a panic is a finding")]

use crate::storage::Stored;

#[cfg(test)]
#[path = "../../../fuzz/replay.rs"]
mod replay;

/// A name and what holds of any bytes.
pub type Target = (&'static str, fn(&[u8]));

/// Every target of this crate.
pub const TARGETS: [Target; 1] = [("keystore", keystore)];

/// A key file: what is kept of it, stored and read again, is the same; and no parameters of it break what opens it.
pub fn keystore(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(stored) = Stored::parse(text) else { return };
    let written = serde_json::to_string(&stored).unwrap();
    let again = Stored::parse(&written).unwrap();
    assert_eq!(serde_json::to_string(&again).unwrap(), written);
    assert_eq!(again.weakness(), stored.weakness());
    assert_eq!(again.address(), stored.address());
    if stored.is_cheap() {
        let (one, other) = (stored.unseal(b"password"), again.unseal(b"password"));
        assert_eq!(one.map_err(|error| error.to_string()), other.map_err(|e| e.to_string()));
    }
}
