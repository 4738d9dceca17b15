//! Why a call has no answer, by what the failure proves.
//!
//! Money hangs on one question: can it have been done? Only what Redis is known to say before it runs anything is a
//! proof that it was not. Whatever else comes back, from Redis or from what stands before it, leaves the call open.

use countersign_engine::port::ledger::LedgerError;
use redis::RedisError;

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// The server does not know the script; nothing ran.
    NoScript,
    /// Nothing was sent, or the server refused before anything ran.
    NotSent(String),
    /// As `NotSent`, and another server holds the ledger: it may be looked for and asked at once.
    Moved(String),
    /// As `NotSent`, and this server, or this login, is of no use now: the next call looks again where the ledger is.
    Away(String),
    /// It may have been done.
    Lost(String),
    /// A script broke off: the store holds what it cannot read.
    Broken(String),
    /// The store does not hold the ledger that was meant; nothing was written.
    Foreign(String),
    /// The store's clock and ours disagree; nothing was written.
    Untimely(String),
}

/// What Redis adds to an error from inside a script, but not to a refusal to begin.
const INSIDE: &str = "user_script";

/// Errors that name the script and prove all the same that it wrote nothing: it did not compile, or it was killed,
/// which Redis does only to a script that has not written.
const NOTHING_WRITTEN: [&str; 2] = ["ERR Error compiling script", "ERR Script killed by user"];

/// What Redis says under its general code before it runs anything.
const NOT_BEGUN: [&str; 5] = [
    "ERR unknown command",
    "ERR wrong number of arguments",
    "ERR max number of clients",
    "ERR Unexpected engine in script shebang",
    "ERR Protocol error",
];

impl Fault {
    pub(super) fn read(error: &RedisError) -> Self {
        match error.code() {
            Some(code) => Self::said(code, words(error)),
            // the connection broke, or what came over it is not Redis's language
            None => Self::Lost(words(error)),
        }
    }

    /// Reads what a server said. A code that is not on this list proves nothing: a proxy may have made it up.
    fn said(code: &str, text: String) -> Self {
        if NOTHING_WRITTEN.iter().any(|known| text.starts_with(known)) {
            return Self::NotSent(text);
        }
        if text.contains(INSIDE) {
            return Self::Broken(text);
        }
        match code {
            "NOSCRIPT" => Self::NoScript,
            "LEDGER" => Self::Foreign(after_code(&text)),
            "CLOCK" => Self::Untimely(after_code(&text)),
            "MOVED" | "READONLY" => Self::Moved(text),
            "ASK" | "CLUSTERDOWN" | "MASTERDOWN" | "LOADING" | "NOREPLICAS" | "NOAUTH" => {
                Self::Away(text)
            }
            "BUSY" | "CROSSSLOT" | "EXECABORT" | "MISCONF" | "NOPERM" | "NOPROTO" | "OOM"
            | "TRYAGAIN" | "WRONGPASS" => Self::NotSent(text),
            "ERR" if NOT_BEGUN.iter().any(|known| text.starts_with(known)) => Self::NotSent(text),
            _ => Self::Lost(text),
        }
    }

    /// Whether this login, or what it may do, is what is wrong.
    pub(super) fn is_of_rights(&self) -> bool {
        let (Self::NotSent(text) | Self::Away(text) | Self::Broken(text)) = self else {
            return false;
        };
        ["NOAUTH ", "WRONGPASS ", "NOPERM ", "can't run this command", "can't access at least"]
            .iter()
            .any(|words| text.contains(words))
    }

    pub(super) fn text(self) -> String {
        match self {
            Self::NoScript => "the server forgets scripts".into(),
            Self::NotSent(text)
            | Self::Moved(text)
            | Self::Away(text)
            | Self::Lost(text)
            | Self::Broken(text)
            | Self::Foreign(text)
            | Self::Untimely(text) => text,
        }
    }

    /// The port's error, for a call that may write or for one that cannot.
    pub(super) fn named(self, writes: bool) -> LedgerError {
        match self {
            Self::Lost(text) if writes => LedgerError::Ambiguous(text),
            Self::Broken(text) => LedgerError::Damaged(text),
            Self::Foreign(text) => LedgerError::Lost(text),
            Self::Untimely(text) => LedgerError::Clock(text),
            Self::NoScript | Self::NotSent(_) | Self::Moved(_) | Self::Away(_) | Self::Lost(_) => {
                LedgerError::Unavailable(self.text())
            }
        }
    }
}

/// Our own errors' codes are for us alone.
fn after_code(text: &str) -> String {
    text.split_once(' ').map_or(text, |(_, words)| words).to_owned()
}

/// The error in the server's words, or in the client's, which name neither URL nor password.
pub(super) fn words(error: &RedisError) -> String {
    let text = match (error.code(), error.detail()) {
        (Some(code), Some(detail)) => format!("{code} {detail}"),
        (Some(code), None) => code.to_owned(),
        (None, _) => error.to_string(),
    };
    text.replace(['\r', '\n'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNAVAILABLE: &str = "unavailable";
    const AMBIGUOUS: &str = "ambiguous";
    const DAMAGED: &str = "damaged";
    const LOST: &str = "lost";
    const CLOCK: &str = "clock";

    /// What a server says, what it means for a call that may write, and whether the ledger is looked for again.
    #[rustfmt::skip]
    const SAID: [(&str, &str, bool); 37] = [
        ("NOSCRIPT No matching script. Please use EVAL.", UNAVAILABLE, false),
        ("MOVED 3999 127.0.0.1:6381", UNAVAILABLE, true),
        ("ASK 3999 127.0.0.1:6381", UNAVAILABLE, true),
        ("TRYAGAIN Multiple keys request during rehashing of slot", UNAVAILABLE, false),
        ("CROSSSLOT Keys in request don't hash to the same slot", UNAVAILABLE, false),
        ("CLUSTERDOWN The cluster is down", UNAVAILABLE, true),
        ("CLUSTERDOWN Hash slot not served", UNAVAILABLE, true),
        ("READONLY You can't write against a read only replica.", UNAVAILABLE, true),
        ("LOADING Redis is loading the dataset in memory", UNAVAILABLE, true),
        ("MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", UNAVAILABLE, true),
        ("NOREPLICAS Not enough good replicas to write.", UNAVAILABLE, true),
        ("OOM command not allowed when used memory > 'maxmemory'.", UNAVAILABLE, false),
        ("MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.", UNAVAILABLE, false),
        ("MISCONF Errors writing to the AOF file: No space left on device", UNAVAILABLE, false),
        ("BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.", UNAVAILABLE, false),
        ("EXECABORT Transaction discarded because of previous errors.", UNAVAILABLE, false),
        ("NOAUTH Authentication required.", UNAVAILABLE, true),
        ("WRONGPASS invalid username-password pair or user is disabled.", UNAVAILABLE, false),
        ("NOPERM User gateway has no permissions to run the 'evalsha' command", UNAVAILABLE, false),
        ("NOPERM No permissions to access a key", UNAVAILABLE, false),
        ("NOPROTO unsupported protocol version", UNAVAILABLE, false),
        ("LEDGER the store is empty", LOST, false),
        ("CLOCK the store's clock minus this gateway's is -3600000 ms", CLOCK, false),
        ("ERR unknown command 'EVALSHA', with args beginning with: ", UNAVAILABLE, false),
        ("ERR max number of clients reached", UNAVAILABLE, false),
        ("ERR Error compiling script (new function): user_script:1: unexpected symbol near '#'", UNAVAILABLE, false),
        ("ERR Script killed by user with SCRIPT KILL... script: 9fb2, on @user_script:2.", UNAVAILABLE, false),
        // a script that died inside, by whatever
        ("WRONGTYPE Operation against a key holding the wrong kind of value script: fb22, on @user_script:2.", DAMAGED, false),
        ("ERR The user executing the script can't run this command or subcommand script: 5a89, on @user_script:2.", DAMAGED, false),
        ("NOPERM ACL failure in script: User u has no permissions to run the 'hset' command script: 5a89, on @user_script:2.", DAMAGED, false),
        ("ERR user_script:7: attempt to index a nil value script: 5a89, on @user_script:7.", DAMAGED, false),
        ("OOM command not allowed when used memory > 'maxmemory'. script: 5a89, on @user_script:7.", DAMAGED, false),
        // what stands before Redis speaks its language, and forgets to say whether Redis was asked
        ("ERR upstream failure", AMBIGUOUS, false),
        ("ERR Server closed the connection", AMBIGUOUS, false),
        ("ERR", AMBIGUOUS, false),
        ("NOUPSTREAM no host", AMBIGUOUS, false),
        ("UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)", AMBIGUOUS, false),
    ];

    fn said(line: &str) -> Fault {
        let value = redis::parse_redis_value(format!("-{line}\r\n").as_bytes()).unwrap();
        Fault::read(&value.extract_error().unwrap_err())
    }

    fn named(error: &LedgerError) -> &'static str {
        match error {
            LedgerError::Unavailable(_) => UNAVAILABLE,
            LedgerError::Ambiguous(_) => AMBIGUOUS,
            LedgerError::Damaged(_) => DAMAGED,
            LedgerError::Lost(_) => LOST,
            LedgerError::Clock(_) => CLOCK,
            LedgerError::Refused(_) => "another",
        }
    }

    #[test]
    fn only_what_redis_says_before_it_runs_anything_proves_that_nothing_ran() {
        for (line, expected, looks_again) in SAID {
            let fault = said(line);
            let looked = matches!(fault, Fault::Moved(_) | Fault::Away(_));
            assert_eq!(looked, looks_again, "{line}");
            assert_eq!(named(&fault.clone().named(true)), expected, "{line}");
            // a call that cannot write is never ambiguous
            let reading = if expected == AMBIGUOUS { UNAVAILABLE } else { expected };
            assert_eq!(named(&fault.named(false)), reading, "{line}");
        }
    }

    #[test]
    fn a_connection_that_breaks_leaves_a_write_open() {
        let reset = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
        let fault = Fault::read(&RedisError::from(reset));
        assert_eq!(named(&fault.named(true)), AMBIGUOUS);
        for garbage in ["HTTP/1.1 400 Bad Request\r\n\r\n", ":x\r\n"] {
            let error = redis::parse_redis_value(garbage.as_bytes()).unwrap_err();
            assert_eq!(named(&Fault::read(&error).named(true)), AMBIGUOUS, "{garbage}");
        }
    }

    #[test]
    fn an_error_is_told_in_the_servers_own_words_on_one_line() {
        let fault = said("NOPERM User gateway has no permissions to run the 'wait' command");
        assert_eq!(
            fault.text(),
            "NOPERM User gateway has no permissions to run the 'wait' command"
        );
    }
}
