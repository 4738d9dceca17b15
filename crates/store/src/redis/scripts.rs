//! The scripts: one for each function of the ports, behind the preludes that they share.

use std::collections::BTreeSet;

use countersign_engine::port::ledger::{CLOCKS_APART_MAX, NONCE_HELD_FOR, SETTLED_KEPT};

use super::keys;

const PRELUDE: &str = include_str!("scripts/prelude.lua");
const OPERATIONS: &str = include_str!("scripts/operation_prelude.lua");
const JOURNAL: &str = include_str!("scripts/journal_prelude.lua");
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
                    $(Self::$variant => [
                        $access, &constants, time.lua(), PRELUDE, preludes!($preludes),
                        "local function body()\n", include_str!(concat!("scripts/", $file, ".lua")), "end\n", CODA,
                    ].concat(),)+
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
    WRITES (journal) PinPolicy = "pin_policy";
    WRITES (journal) RecordTrace = "record_trace";
    WRITES (journal) UpdateTrace = "update_trace";
    WRITES (journal) PutIncident = "put_incident";
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
