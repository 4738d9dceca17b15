//! Troubles of Redis itself, real ones.

use countersign_tests::{books::Resp, load::Fleet};
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

/// What Redis suffers from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Server {
    /// `maxmemory` is reached: OOM.
    Full,
    /// It has become a replica: READONLY.
    ReadOnly,
    /// Too few replicas: NOREPLICAS.
    NoReplicas,
    /// A script of somebody else does not end: BUSY.
    Busy,
    /// It has forgotten the scripts: NOSCRIPT.
    Forgets,
    /// The gateway's rights were taken away: NOPERM.
    Forbids,
    /// It stands still for a second.
    Paused,
    /// It has closed every connection.
    HungUp,
    /// It was killed.
    Down,
}

impl Server {
    /// Begins.
    pub(crate) async fn strike(self, fleet: &mut Fleet) {
        let mut redis = fleet.resp().await;
        let commands: &[&[&str]] = match self {
            Self::Full => &[&["CONFIG", "SET", "maxmemory", "1"]],
            Self::ReadOnly => &[&["REPLICAOF", "127.0.0.1", "1"]],
            Self::NoReplicas => &[&["CONFIG", "SET", "min-replicas-to-write", "1"]],
            Self::Busy => &[&["CONFIG", "SET", "busy-reply-threshold", "10"]],
            Self::Forgets => &[&["SCRIPT", "FLUSH"]],
            Self::Forbids => &[&["ACL", "SETUSER", "default", "-@scripting"]],
            Self::Paused => &[&["CLIENT", "PAUSE", "1000", "ALL"]],
            Self::HungUp => &[&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]],
            Self::Down => return fleet.redis.as_mut().expect("a Redis").down(),
        };
        run(&mut redis, commands).await;
        if self == Self::Busy {
            occupy(fleet).await;
        }
    }

    /// Ends.
    pub(crate) async fn heal(self, fleet: &mut Fleet) {
        if self == Self::Down {
            return fleet.redis.as_mut().expect("a Redis").up().await;
        }
        let commands: &[&[&str]] = match self {
            Self::Full => &[&["CONFIG", "SET", "maxmemory", "0"]],
            Self::ReadOnly => &[&["REPLICAOF", "NO", "ONE"]],
            Self::NoReplicas => &[&["CONFIG", "SET", "min-replicas-to-write", "0"]],
            Self::Busy => &[&["SCRIPT", "KILL"]],
            Self::Forbids => &[&["ACL", "SETUSER", "default", "+@scripting"]],
            Self::Forgets | Self::Paused | Self::HungUp | Self::Down => &[],
        };
        run(&mut fleet.resp().await, commands).await;
    }
}

async fn run(redis: &mut Resp, commands: &[&[&str]]) {
    for command in commands {
        redis.run(command).await;
    }
}

/// A script that never ends; nobody waits for its answer.
async fn occupy(fleet: &Fleet) {
    let address = fleet.redis.as_ref().expect("a Redis").address();
    let mut stream = TcpStream::connect(address).await.expect("a Redis");
    stream.write_all(b"EVAL \"while true do end\" 0\r\n").await.expect("a command");
    // it must have begun before anybody else asks
    let mut probe = fleet.resp().await;
    let busy = probe.ask(&["GET", "anything"]).await;
    assert!(busy.is_err_and(|error| error.starts_with("BUSY")), "a script occupies Redis");
    tokio::spawn(async move { stream.readable().await });
}
