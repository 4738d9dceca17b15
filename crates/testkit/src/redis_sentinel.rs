//! Three sentinels that watch one master.

use crate::redis_server::{RedisServer, eventually, free_address};

/// What the sentinels call the master.
pub const MASTER: &str = "main";

/// Three sentinels, two of which must agree. They act sooner than sentinels usually do.
#[derive(Debug)]
pub struct Sentinels(Vec<RedisServer>);

impl Sentinels {
    /// Watches a master whose replicas are online, and waits until all know each other and the replicas.
    pub async fn of(master: &RedisServer) -> Self {
        let seats: Vec<_> = ["1", "2", "3"].map(|n| (free_address(), n.repeat(40))).into();
        let mut sentinels = Vec::new();
        for (address, id) in &seats {
            let others = seats.iter().filter(|(_, other)| other != id).map(|(address, id)| {
                format!("sentinel known-sentinel {MASTER} 127.0.0.1 {} {id}\n", address.port())
            });
            let configuration = format!(
                "sentinel myid {id}\n\
                 sentinel monitor {MASTER} 127.0.0.1 {} 2\n\
                 sentinel down-after-milliseconds {MASTER} 500\n\
                 sentinel failover-timeout {MASTER} 5000\n{}",
                master.address().port(),
                others.collect::<String>(),
            );
            sentinels.push(RedisServer::sentinel(*address, &configuration).await);
        }
        let replicas = master.online().await;
        for sentinel in &sentinels {
            // they ask each other sooner; and under load they do not think that their clock was set, which would stop
            // them for half a minute
            let fast = ["ASK-PERIOD", "100", "INFO-PERIOD", "500", "PUBLISH-PERIOD", "200"];
            let fast = [&fast[..], &["TILT-TRIGGER", "60000"]].concat();
            let fast = [&["SENTINEL", "DEBUG"][..], &fast].concat();
            assert_eq!(sentinel.tell(&fast).await, "+OK\r\n");
            eventually("the sentinels to agree", async || {
                let quorum = sentinel.tell(&["SENTINEL", "CKQUORUM", MASTER]).await;
                let known = sentinel.tell(&["SENTINEL", "REPLICAS", MASTER]).await;
                quorum.starts_with("+OK 3 ") && known.matches("runid").count() == replicas
            })
            .await;
        }
        Self(sentinels)
    }

    /// Where they listen.
    #[must_use]
    pub fn urls(&self) -> Vec<String> {
        self.0.iter().map(RedisServer::url).collect()
    }

    /// The sentinels themselves.
    pub fn each(&mut self) -> &mut [RedisServer] {
        &mut self.0
    }

    /// Waits until all of them name this server.
    pub async fn agree_on(&self, master: &RedisServer) {
        let port = master.address().port().to_string();
        for sentinel in &self.0 {
            eventually("the sentinels to name another master", async || {
                let named = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER];
                sentinel.tell(&named).await.contains(&port)
            })
            .await;
        }
    }
}
