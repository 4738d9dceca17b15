//! What this Redis promises about durability, as it says itself.

use std::collections::BTreeMap;

use countersign_engine::port::ledger::LedgerError;
use redis::{FromRedisValue, Value};

use super::link::Link;

/// The server's settings; `None` where it does not tell.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Promises {
    policy: Option<String>,
    append_only: Option<String>,
    fsync: Option<String>,
    replicas: Option<u32>,
    run_id: Option<String>,
}

impl Promises {
    /// Asks the server. Where it does not permit `CONFIG GET`, `INFO` may still tell the eviction policy.
    pub(super) async fn ask(link: &Link) -> Result<Self, LedgerError> {
        let info = text(info(link).await?);
        let policy = setting(link, "maxmemory-policy").await;
        Ok(Self {
            policy: policy.or_else(|| field(&info, "maxmemory_policy")),
            append_only: setting(link, "appendonly").await,
            fsync: setting(link, "appendfsync").await,
            replicas: field(&info, "connected_slaves").and_then(|count| count.parse().ok()),
            run_id: field(&info, "run_id"),
        })
    }

    /// The eviction policy, if keys may be evicted under it.
    pub(super) fn eviction(&self) -> Option<&str> {
        self.policy.as_deref().filter(|policy| *policy != "noeviction")
    }

    /// Random text that the server drew at its start.
    pub(super) fn run_id(&self) -> &str {
        self.run_id.as_deref().unwrap_or_default()
    }

    /// `B` or `D`, and why.
    pub(super) fn class(&self, acknowledged: u32) -> (char, String) {
        match self.weakness(acknowledged) {
            Some(why) => ('D', why),
            None if acknowledged == 0 => {
                ('B', "appendfsync always, and no replica is connected".into())
            }
            None => ('B', format!("appendfsync always, acknowledged by {acknowledged} replicas")),
        }
    }

    fn weakness(&self, acknowledged: u32) -> Option<String> {
        if let Some(policy) = self.eviction() {
            return Some(format!("maxmemory-policy is `{policy}`: keys may be evicted"));
        }
        let untold =
            |name| format!("the server does not tell its `{name}`: CONFIG GET is not permitted");
        match (self.policy.as_deref(), self.append_only.as_deref(), self.fsync.as_deref()) {
            (None, ..) => Some(untold("maxmemory-policy")),
            (_, None, _) => Some(untold("appendonly")),
            (_, _, None) => Some(untold("appendfsync")),
            (_, Some("yes"), Some("always")) => self.unacknowledged(acknowledged),
            (_, Some("yes"), Some(fsync)) => {
                Some(format!("appendfsync is `{fsync}`: what was acknowledged last may be lost"))
            }
            _ => Some("appendonly is off: what was acknowledged may be lost".into()),
        }
    }

    fn unacknowledged(&self, acknowledged: u32) -> Option<String> {
        match self.replicas {
            None => Some("the server does not tell its replicas: INFO is not permitted".into()),
            Some(count) => (count > acknowledged).then(|| {
                format!("{count} replicas are connected and {acknowledged} acknowledge each write")
            }),
        }
    }
}

/// Everything in one answer; nothing where it is not permitted.
async fn info(link: &Link) -> Result<Value, LedgerError> {
    match link.ask(&redis::cmd("INFO")).await {
        Err(LedgerError::Unavailable(why)) if is_not_permitted(&why) => Ok(Value::Nil),
        other => other,
    }
}

async fn setting(link: &Link, name: &str) -> Option<String> {
    let mut command = redis::cmd("CONFIG");
    command.arg("GET").arg(name);
    // a server that does not say is no error here: it costs the class
    let answer = link.ask(&command).await.ok()?;
    BTreeMap::<String, String>::from_redis_value(answer).ok()?.remove(name)
}

fn is_not_permitted(why: &str) -> bool {
    why.contains("NOPERM") || why.contains("unknown command")
}

fn text(value: Value) -> String {
    String::from_redis_value(value).unwrap_or_default()
}

fn field(info: &str, name: &str) -> Option<String> {
    let value = |line: &str| line.strip_prefix(name)?.strip_prefix(':').map(str::to_owned);
    info.lines().find_map(|line| value(line.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(settings: [Option<&str>; 3], replicas: Option<u32>, acknowledged: u32) -> char {
        let [policy, append_only, fsync] = settings.map(|s| s.map(str::to_owned));
        let promises = Promises { policy, append_only, fsync, replicas, run_id: None };
        promises.class(acknowledged).0
    }

    #[test]
    fn only_a_synced_and_acknowledged_store_is_class_b() {
        let good = [Some("noeviction"), Some("yes"), Some("always")];
        assert_eq!(check(good, Some(0), 0), 'B');
        assert_eq!(check(good, Some(2), 2), 'B');
        assert_eq!(check(good, Some(2), 1), 'D', "a replica that is not asked");
        assert_eq!(check(good, None, 0), 'D', "replicas not told");
        for settings in [
            [Some("noeviction"), Some("no"), Some("always")],
            [Some("noeviction"), Some("yes"), Some("everysec")],
            [Some("allkeys-lru"), Some("yes"), Some("always")],
            [None, Some("yes"), Some("always")],
            [Some("noeviction"), None, Some("always")],
            [Some("noeviction"), Some("yes"), None],
        ] {
            assert_eq!(check(settings, Some(0), 0), 'D', "{settings:?}");
        }
    }
}
