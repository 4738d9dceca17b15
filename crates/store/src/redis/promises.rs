//! What this Redis promises about durability, as it says itself.

use std::collections::BTreeMap;

use redis::{FromRedisValue, aio::MultiplexedConnection};

use super::told::{Told, permitted};

/// The server's settings; `None` where it does not tell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Promises {
    policy: Option<String>,
    append_only: Option<String>,
    fsync: Option<String>,
    replicas: Option<u32>,
    version: Option<String>,
}

impl Promises {
    /// Asks the server. Where it does not permit `CONFIG GET`, `INFO` may still tell the eviction policy.
    pub(super) async fn ask(
        connection: &mut MultiplexedConnection,
        told: &Told,
    ) -> Result<Self, String> {
        let mut command = redis::cmd("CONFIG");
        command.arg("GET").arg(&["maxmemory-policy", "appendonly", "appendfsync"]);
        // a server that does not say is no error here: it costs the class
        let answer = permitted(connection, &command).await?;
        let settings = answer.map(BTreeMap::<String, String>::from_redis_value);
        let mut settings = settings.and_then(Result::ok).unwrap_or_default();
        let field = |name| told.field(name).map(str::to_owned);
        Ok(Self {
            policy: settings.remove("maxmemory-policy").or_else(|| field("maxmemory_policy")),
            append_only: settings.remove("appendonly"),
            fsync: settings.remove("appendfsync"),
            replicas: field("connected_slaves").and_then(|count| count.parse().ok()),
            version: field("redis_version"),
        })
    }

    /// The version, if it is one that lacks what the scripts need: flags by which a script is refused as a whole.
    pub(super) fn outdated(&self) -> Option<&str> {
        let major = |version: &&str| version.split('.').next()?.parse().ok();
        self.version.as_deref().filter(|version| major(version).is_some_and(|n: u32| n < 7))
    }

    /// The eviction policy, if keys may be evicted under it.
    pub(super) fn eviction(&self) -> Option<&str> {
        self.policy.as_deref().filter(|policy| *policy != "noeviction")
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

#[cfg(test)]
mod tests {
    use super::*;

    fn check(settings: [Option<&str>; 3], replicas: Option<u32>, acknowledged: u32) -> char {
        let [policy, append_only, fsync] = settings.map(|s| s.map(str::to_owned));
        let promises = Promises { policy, append_only, fsync, replicas, ..Promises::default() };
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

    #[test]
    fn a_version_without_script_flags_is_outdated() {
        for (version, outdated) in [
            (Some("6.2.14"), true),
            (Some("5.0.7"), true),
            (Some("7.0.15"), false),
            (Some("8.2"), false),
            (Some("7.2.4"), false),
            (Some("?"), false),
            (None, false),
        ] {
            let version = version.map(str::to_owned);
            let promises = Promises { version: version.clone(), ..Promises::default() };
            assert_eq!(promises.outdated().is_some(), outdated, "{version:?}");
        }
    }
}
