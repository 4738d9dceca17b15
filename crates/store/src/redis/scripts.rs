//! The scripts: one for each function of the ports, behind the preludes that they share.

use std::collections::BTreeSet;

use countersign_engine::port::ledger::{CLOCKS_APART_MAX, NONCE_HELD_FOR, SETTLED_KEPT};

use super::keys;

const PRELUDE: &str = include_str!("scripts/prelude.lua");
const OPERATIONS: &str = include_str!("scripts/operation_prelude.lua");
const JOURNAL: &str = include_str!("scripts/journal_prelude.lua");
const ENTRIES: &str = include_str!("scripts/entry_prelude.lua");
const PASSKEYS: &str = include_str!("scripts/passkey_prelude.lua");
const COUNTERS: &str = include_str!("scripts/counter_prelude.lua");
const BEGINNING: &str = include_str!("scripts/beginning_prelude.lua");
const CODA: &str = include_str!("scripts/coda.lua");

/// Asks which of the commands that its argument names the user may not use.
pub(super) const RIGHTS: &str = include_str!("scripts/rights.lua");

/// Without flags, Redis refuses a script as a whole before it begins when memory or disk is full, or on a replica.
const WRITES: &str = "#!lua\n";
/// A script that only reads goes on where writing is refused.
const READS: &str = "#!lua flags=no-writes\n";

const STORE_CLOCK: &str = "local function wall()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end
";

/// Whose clock the scripts read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TimeSource {
    /// Redis's own: there is no other in production.
    Store,
    /// The test's, sent with each call.
    #[cfg(test)]
    Test,
}

impl TimeSource {
    const fn lua(self) -> &'static str {
        match self {
            Self::Store => STORE_CLOCK,
            #[cfg(test)]
            Self::Test => "local function wall(A) return tonumber(A.clock) end\n",
        }
    }
}

macro_rules! scripts {
    ($($access:ident $preludes:tt $variant:ident = $file:literal;)+) => {
        /// One function of a port, as Redis runs it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Script { $($variant,)+ }

        impl Script {
            pub(super) const ALL: &[Self] = &[$(Self::$variant,)+];

            fn text(self, time: TimeSource) -> String {
                let constants = self.constants();
                let text = match self {
                    $(Self::$variant => {
                        let body = include_str!(concat!("scripts/", $file, ".lua"));
                        let shared = needed(preludes!($preludes), body);
                        [
                            $access, &constants, time.lua(), PRELUDE, &shared,
                            "local function body()\n", body, "end\n", CODA,
                        ].concat()
                    })+
                };
                keys::named(&text)
            }

            /// Whether it may have written when no answer comes.
            pub(super) fn writes(self) -> bool {
                match self { $(Self::$variant => $access == WRITES,)+ }
            }
        }
    };
}

macro_rules! preludes {
    (()) => {
        ""
    };
    ((operations)) => {
        OPERATIONS
    };
    ((journal)) => {
        JOURNAL
    };
    ((entries)) => {
        &[JOURNAL, ENTRIES].concat()
    };
    ((beginning)) => {
        BEGINNING
    };
    ((passkeys)) => {
        PASSKEYS
    };
    ((votes)) => {
        &[OPERATIONS, PASSKEYS].concat()
    };
    ((money)) => {
        &[OPERATIONS, COUNTERS].concat()
    };
}

/// Of the shared definitions those that a script uses, itself or through others: what stands in its text is made anew at
/// each of its calls.
fn needed(shared: &str, body: &str) -> String {
    let body = code(body);
    let mut kept: Vec<String> = Vec::new();
    // what is used stands before its use
    for definition in definitions(shared).into_iter().rev() {
        let is_used = |name| kept.iter().chain([&body]).any(|text| mentions(text, name));
        if names(&definition).any(is_used) {
            kept.push(definition);
        }
    }
    kept.reverse();
    kept.concat()
}

/// Each from its `local` in the first column to the next one's.
fn definitions(shared: &str) -> Vec<String> {
    let mut definitions: Vec<String> = Vec::new();
    for line in code(shared).split_inclusive('\n') {
        if line.starts_with("local ") {
            definitions.push(line.to_owned());
        } else if let Some(last) = definitions.last_mut() {
            last.push_str(line);
        }
    }
    definitions
}

/// A text without the lines that are comments.
fn code(text: &str) -> String {
    text.split_inclusive('\n').filter(|line| !line.trim_start().starts_with("--")).collect()
}

/// What a definition is called by.
fn names(definition: &str) -> impl Iterator<Item = &str> {
    let head = definition.strip_prefix("local ").unwrap_or(definition);
    let head = head.strip_prefix("function ").unwrap_or(head);
    let head = head.split(['=', '(', '\n']).next().unwrap_or_default();
    head.split(',').map(str::trim)
}

/// Whether a text has this name in it, and not as a part of another.
fn mentions(text: &str, name: &str) -> bool {
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.match_indices(name).any(|(at, _)| {
        let before = text.get(..at).and_then(|before| before.chars().next_back());
        let behind = text.get(at..).and_then(|rest| rest.chars().nth(name.chars().count()));
        !before.is_some_and(is_of_name) && !behind.is_some_and(is_of_name)
    })
}

scripts! {
    WRITES (beginning) Open = "open";
    WRITES (beginning) Init = "init";
    WRITES () Prove = "prove";
    WRITES (money) Audit = "audit";
    WRITES () Now = "now";
    WRITES () Present = "present";
    READS (operations) Find = "find";
    WRITES (operations) Survey = "survey";
    WRITES (operations) Deny = "deny";
    WRITES (money) Reserve = "reserve";
    WRITES (money) Redeem = "redeem";
    WRITES (operations) Split = "split";
    WRITES (votes) Approve = "approve";
    WRITES (money) Reject = "reject";
    WRITES (money) Expire = "expire";
    WRITES (money) Commit = "commit";
    WRITES (money) Bump = "bump";
    WRITES (operations) Signed = "signed";
    WRITES (operations) SignedMessage = "signed_message";
    WRITES (money) EndMessage = "end_message";
    WRITES (operations) Sent = "sent";
    WRITES (operations) Mined = "mined";
    WRITES (money) Settle = "settle";
    WRITES (money) Unsettle = "unsettle";
    WRITES (money) ReleaseCommitted = "release_committed";
    WRITES (operations) Deliver = "deliver";
    READS (operations) Operation = "operation";
    READS (operations) Operations = "operations";
    READS (operations) Work = "work";
    READS () Census = "census";
    READS () Parked = "parked";
    READS (operations) SettledIn = "settled_in";
    READS () Lane = "lane";
    READS (money) Status = "status";
    READS () Seen = "seen";
    READS () Adopted = "adopted";
    WRITES () NoteAdopted = "note_adopted";
    WRITES (money) Adopt = "adopt";
    WRITES () Freeze = "freeze";
    WRITES () Unfreeze = "unfreeze";
    READS () Freezes = "freezes";
    READS () StandingFreezes = "standing_freezes";
    WRITES () Say = "say";
    READS () Pact = "pact";
    READS () Lines = "lines";
    WRITES () Turn = "turn";
    WRITES () NotePolicy = "note_policy";
    WRITES (passkeys) NotePasskey = "note_passkey";
    WRITES () Strike = "strike";
    READS () Shelves = "shelves";
    READS () Shelf = "shelf";
    WRITES () PutShelf = "put_shelf";
    WRITES () Seal = "seal";
    WRITES () Unseal = "unseal";
    READS () Describe = "describe";
    READS (journal) JournalHead = "journal_head";
    READS () Chains = "chains";
    READS () Entries = "entries";
    WRITES (entries) Append = "append";
    READS () Incident = "incident";
    READS () IncidentOf = "incident_of";
    READS () Trace = "trace";
    READS (journal) Traces = "traces";
    READS (journal) Incidents = "incidents";
}

impl Script {
    /// What stops signing, or begins, is done whatever the clocks say.
    pub(super) const fn is_regardless(self) -> bool {
        matches!(self, Self::Open | Self::Prove | Self::Seal | Self::Freeze)
    }

    fn constants(self) -> String {
        let (writes, apart, held) = (self.writes(), CLOCKS_APART_MAX.0, NONCE_HELD_FOR.0);
        let names = "WRITES, APART_MAX, NONCE_HELD_FOR, SETTLED_KEPT";
        format!("local {names} = {writes}, {apart}, {held}, {SETTLED_KEPT}\n")
    }

    /// Whether it is a step towards a signature.
    pub(super) const fn binds(self) -> bool {
        matches!(self, Self::Reserve | Self::Redeem | Self::Split | Self::Commit | Self::Bump)
    }
}

/// The texts with their digests, by which Redis knows them.
#[derive(Debug)]
pub(super) struct Scripts(Vec<(Script, redis::Script, String)>);

impl Scripts {
    pub(super) fn new(time: TimeSource) -> Self {
        let load = |script: &Script| {
            let text = script.text(time);
            (*script, redis::Script::new(&text), text)
        };
        Self(Script::ALL.iter().map(load).collect())
    }

    /// Every command that any of them calls.
    pub(super) fn commands(&self) -> BTreeSet<&str> {
        let calls = self.0.iter().flat_map(|(_, _, text)| text.split("call('").skip(1));
        calls.filter_map(|call| call.split('\'').next()).collect()
    }

    /// The digest and the text of a script.
    pub(super) fn digest_and_text(&self, script: Script) -> (&str, &str) {
        // INVARIANT: `new` loads every script; the empty text would be refused by Redis
        let found = self.0.iter().find(|(name, ..)| *name == script);
        found.map_or(("", ""), |(_, loaded, text)| (loaded.get_hash(), text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHARED: &str = "-- About it all.\nlocal LIMIT = 3\n\nlocal a, b = 1, 2\n\n-- Of one.\nlocal function one(x)\n  local limit = LIMIT\n  return limit\nend\n\nlocal function two() return one(2) end\n\nlocal function three() return two() end\n";

    #[test]
    fn a_script_has_the_definitions_that_it_uses_in_their_order() {
        let text = needed(SHARED, "return two()\n");
        let place = |words: &str| text.find(words);
        assert!(place("local LIMIT").is_some_and(|at| Some(at) < place("function one")));
        assert!(place("function one") < place("function two"));
        assert_eq!([place("local a, b"), place("function three")], [None, None]);
        assert!(needed(SHARED, "return b").contains("local a, b = 1, 2"));
        assert_eq!(needed(SHARED, "return lim.oner, a_b, 'onetwo'"), "");
    }

    #[test]
    fn the_shared_texts_are_definitions_and_comments_alone() {
        for shared in [OPERATIONS, JOURNAL, ENTRIES, PASSKEYS, COUNTERS, BEGINNING] {
            for line in shared.lines() {
                let stands_first = line.starts_with(|c: char| !c.is_whitespace());
                let known = ["local ", "--", "end", "}"];
                assert!(
                    !stands_first || known.iter().any(|begin| line.starts_with(begin)),
                    "{line}"
                );
            }
        }
    }
}
