//! Every name in Redis, in one place.
//!
//! All keys of one app begin with `countersign:{app}:`. The braces are a hash tag: on a cluster all of them
//! lie in one slot, so that one script may touch them together. What agents choose is hashed before it
//! becomes part of a name; what the configuration chooses has been parsed as a name.

use std::fmt::Write;

use countersign_core::identity::AppId;

/// The families of keys: how scripts call them, and how their names go on behind the app's prefix. A name
/// that ends in `:` is followed by what the comment says.
const FAMILIES: [(&str, &str); 48] = [
    // hash: format, ledger id, sequence and head of the log, seal
    ("meta", "meta"),
    // string: the highest time that a writing script saw
    ("clock", "clock"),
    // list: one line for each write, chained by SHA-1
    ("log", "log"),
    // hash: gateway -> alive until
    ("gateways", "gateways"),
    // hash: freeze -> its JSON
    ("freezes", "freezes"),
    // hash: freeze -> since when, and the JSON of who put it in force and why
    ("freezers", "freezers"),
    // hash: version, agent; what people said to that grant
    ("pact", "pact:"),
    // sorted set by when: agent; traces of denials that count towards its freeze
    ("strikes", "strikes:"),
    // hash: receiver of notices -> what it was told last, whose turn it is and until when
    ("turns", "turns"),
    // hash: whose policy -> the version in force
    ("policies", "policies"),
    // hash: agent -> revision and mark of its shelf of policies
    ("shelves", "shelves"),
    // hash: agent; the shelf, its versions, and their texts
    ("shelf", "shelf:"),
    // hash: hash of an idempotency key -> operation
    ("idempotency", "idempotency"),
    // hash: operation id
    ("operation", "operation:"),
    // sorted set by creation: every operation
    ("operations", "operations"),
    // sorted set by creation: state
    ("in_state", "operations:state:"),
    // sorted set by creation: agent
    ("of_agent", "operations:agent:"),
    // sorted set by creation: agent, then state
    ("of_agent_in_state", "operations:agent-state:"),
    // sorted set by expiry: what a timer may release
    ("expiry", "operations:expiry"),
    // sorted set by the end of its keeping: chain, wallet, nonce; operations whose client fixed it and that wait for people
    ("kept_nonce", "operations:kept-nonce:"),
    // sorted set by block: chain; operations that were settled lately
    ("settled", "operations:settled:"),
    // hash: chain -> the highest block in which anything was settled
    ("heights", "operations:heights"),
    // sorted set by last change: state; what the gateway has to work on
    ("work", "operations:work:"),
    // sorted set by creation: fingerprint; operations without a key that are not collected
    ("uncollected", "repeat:uncollected:"),
    // sorted set by end: fingerprint; operations without a key that are collected
    ("collected", "repeat:collected:"),
    // hash: counter and period; reserved, committed, settled, and the buckets of a rolling window with their sums
    ("counter", "counter:"),
    // sorted set by the instant at which it leaves: counter and period; numbers of buckets
    ("buckets", "buckets:"),
    // hash: chain, wallet; nonce -> operation, and the next nonce
    ("lane", "lane:"),
    // set: chain, wallet; operations that are committed and not terminal
    ("in_flight", "in-flight:"),
    // set: chain, wallet; counterparties
    ("seen", "seen:"),
    // hash: a passkey's credential -> how often it has signed
    ("passkeys", "passkeys"),
    // set: limits that count everything
    ("adopted", "adopted"),
    // hash: gateway -> number and head of its chain of decision records
    ("heads", "journal:heads"),
    // hash: gateway -> the head of its chain that was written into the log last
    ("anchored", "journal:anchored"),
    // list: SHA-256 of the gateway's name; the entries of that chain
    ("journal", "journal:entries:"),
    // set: SHA-256 of the gateway's name; the policies whose texts that chain has
    ("pinned", "journal:pinned:"),
    // hash: trace hash
    ("trace", "trace:"),
    // sorted set by creation: every trace
    ("traces", "traces"),
    // sorted set by creation: status
    ("traces_in_status", "traces:status:"),
    // sorted set by creation: agent
    ("traces_of_agent", "traces:agent:"),
    // sorted set by creation: SHA-256 of the session's name
    ("traces_of_session", "traces:session:"),
    // sorted set by creation: operation id
    ("traces_of_operation", "traces:operation:"),
    // hash: SHA-256 of an incident's id
    ("incident", "incident:"),
    // sorted set by creation: every incident
    ("incidents", "incidents"),
    // sorted set by creation: status
    ("incidents_in_status", "incidents:status:"),
    // hash: SHA-256 of what incidents have in common -> SHA-256 of the id of the one of now
    ("incident_groups", "incidents:groups"),
    // string: counts traces and incidents, to order those of one millisecond
    ("count", "journal:count"),
    // nothing: where it cannot be looked for, the slot is moving to another node
    ("never", "never"),
];

/// The names of one app.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    prefix: String,
    slot: u16,
}

impl Keys {
    pub(super) fn new(app: &AppId) -> Self {
        Self { prefix: format!("countersign:{{{app}}}:"), slot: slot(app.as_str().as_bytes()) }
    }

    /// In a cluster, where all of them lie.
    pub(super) const fn slot(&self) -> u16 {
        self.slot
    }

    /// The key that every script gets: it routes the call on a cluster, and scripts read the prefix off it.
    pub(super) fn meta(&self) -> String {
        format!("{}meta", self.prefix)
    }
}

/// Redis's hash of a tag: CRC-16/XMODEM, modulo 16384.
fn slot(tag: &[u8]) -> u16 {
    let bit = |crc: u16, _| if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 };
    let byte = |crc: u16, byte: &u8| (0..8).fold(crc ^ (u16::from(*byte) << 8), bit);
    tag.iter().fold(0, byte) & 0x3fff
}

/// A script's text with each family's name in the place of `KEY.family`.
pub(super) fn named(text: &str) -> String {
    let (mut named, mut rest) = (String::with_capacity(text.len()), text);
    while let Some((before, behind)) = rest.split_once("KEY.") {
        let end = behind.find(|c: char| !c.is_ascii_lowercase() && c != '_');
        let (family, after) = behind.split_at(end.unwrap_or(behind.len()));
        let name = FAMILIES.iter().find(|(known, _)| *known == family).map(|(_, name)| *name);
        named.push_str(before);
        match name {
            // INVARIANT: writing into a string does not fail
            Some(name) => write!(named, "'{name}'").unwrap_or_default(),
            // a comment, or nothing that runs: Lua says so
            None => named.extend(["KEY.", family]),
        }
        rest = after;
    }
    named.push_str(rest);
    named
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_these() {
        let keys = Keys::new(&AppId::parse("main").unwrap());
        assert_eq!(keys.meta(), "countersign:{main}:meta");
        let names: Vec<&str> = FAMILIES.iter().map(|(_, name)| *name).collect();
        let golden = "meta clock log gateways freezes freezers pact: strikes: turns policies shelves shelf: idempotency operation: operations \
                      operations:state: operations:agent: operations:agent-state: operations:expiry \
                      operations:kept-nonce: operations:settled: operations:heights operations:work: repeat:uncollected: repeat:collected: counter: buckets: lane: \
                      in-flight: seen: passkeys adopted journal:heads journal:anchored journal:entries: journal:pinned: trace: traces traces:status: \
                      traces:agent: traces:session: traces:operation: incident: incidents \
                      incidents:status: incidents:groups journal:count never";
        assert_eq!(names.join(" "), golden);
    }

    #[test]
    fn scripts_say_names_and_not_families() {
        let text = "P .. KEY.traces_in_status .. A.status, KEY.log, #KEY.meta -- KEY.nothing KEY.";
        let named = named(text);
        assert_eq!(named, "P .. 'traces:status:' .. A.status, 'log', #'meta' -- KEY.nothing KEY.");
    }

    #[test]
    fn an_apps_slot_is_the_one_that_redis_computes() {
        for (tag, expected) in [("123456789", 0x31c3), ("default", 5718), ("foo", 12182)] {
            assert_eq!(slot(tag.as_bytes()), expected, "{tag}");
        }
    }

    #[test]
    fn no_app_can_write_a_brace_of_its_own() {
        for name in ["}:x", "a{b", "", "A", "a b"] {
            assert!(AppId::parse(name).is_err(), "{name}");
        }
    }
}
