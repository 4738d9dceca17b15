//! A cluster of three masters.

use crate::redis_server::{RedisServer, eventually, free_address, rest};

/// The slots of each master.
const SLOTS: [(u16, u16); 3] = [(0, 5460), (5461, 10922), (10923, 16383)];

/// Three masters that serve all slots, and replicas where a test adds them.
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<RedisServer>,
}

impl RedisCluster {
    /// Starts it and waits until every node knows that all is well.
    pub async fn start() -> Self {
        let mut nodes = Vec::new();
        for (place, (first, last)) in SLOTS.into_iter().enumerate() {
            let node = node().await;
            let epoch = (place + 1).to_string();
            said_ok(&node, &["CLUSTER", "SET-CONFIG-EPOCH", &epoch]).await;
            let slots = [first, last].map(|slot| slot.to_string());
            said_ok(&node, &["CLUSTER", "ADDSLOTSRANGE", &slots[0], &slots[1]]).await;
            nodes.push(node);
        }
        let cluster = Self { nodes };
        for node in &cluster.nodes[1..] {
            meet(&cluster.nodes[0], node).await;
        }
        cluster.is_well().await;
        cluster
    }

    /// The URLs of the nodes, replicas too.
    #[must_use]
    pub fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(RedisServer::url).collect()
    }

    /// The n-th node.
    pub fn node(&mut self, n: usize) -> &mut RedisServer {
        &mut self.nodes[n]
    }

    /// Which of the first three nodes serves this slot at the start.
    #[must_use]
    pub fn owner(slot: u16) -> usize {
        SLOTS.iter().position(|(first, last)| (*first..=*last).contains(&slot)).unwrap()
    }

    /// Adds a replica of the n-th node, and answers its own number.
    pub async fn add_replica(&mut self, n: usize) -> usize {
        let replica = node().await;
        meet(&self.nodes[n], &replica).await;
        let id = id(&self.nodes[n]).await;
        eventually("the nodes to meet", async || {
            replica.tell(&["CLUSTER", "NODES"]).await.contains(&id)
        })
        .await;
        self.nodes[n].tell(&["CONFIG", "SET", "repl-diskless-sync-delay", "0"]).await;
        said_ok(&replica, &["CLUSTER", "REPLICATE", &id]).await;
        self.nodes.push(replica);
        eventually("the replica to catch up", async || self.nodes[n].online().await > 0).await;
        self.is_well().await;
        self.nodes.len() - 1
    }

    /// Begins to move a slot: from now on some of its keys are here and some are there.
    pub async fn begin_move(&self, slot: u16, from: usize, to: usize) {
        let slot = slot.to_string();
        let (source, target) = (id(&self.nodes[from]).await, id(&self.nodes[to]).await);
        said_ok(&self.nodes[to], &["CLUSTER", "SETSLOT", &slot, "IMPORTING", &source]).await;
        said_ok(&self.nodes[from], &["CLUSTER", "SETSLOT", &slot, "MIGRATING", &target]).await;
    }

    /// The keys of a slot that this node has.
    pub async fn keys_of(&self, slot: u16, node: usize) -> Vec<String> {
        let ask = ["CLUSTER", "GETKEYSINSLOT", &slot.to_string(), "1000"];
        let answer = self.nodes[node].tell(&ask).await;
        answer.lines().filter(|line| !line.starts_with(['*', '$'])).map(str::to_owned).collect()
    }

    /// Moves these keys of a slot that is being moved.
    pub async fn move_keys(&self, keys: &[String], from: usize, to: usize) {
        let port = self.nodes[to].address().port().to_string();
        let mut migrate = vec!["MIGRATE", "127.0.0.1", &port, "", "0", "5000", "KEYS"];
        migrate.extend(keys.iter().map(String::as_str));
        said_ok(&self.nodes[from], &migrate).await;
    }

    /// The slot is the other's now.
    pub async fn end_move(&self, slot: u16, to: usize) {
        let (slot, target) = (slot.to_string(), id(&self.nodes[to]).await);
        for node in [to, 0, 1, 2] {
            said_ok(&self.nodes[node], &["CLUSTER", "SETSLOT", &slot, "NODE", &target]).await;
        }
    }

    /// Kills all nodes and starts them again.
    pub async fn restart(&mut self) {
        for node in &mut self.nodes {
            node.down().await;
        }
        for node in &mut self.nodes {
            node.up().await;
        }
        self.is_well().await;
    }

    async fn is_well(&self) {
        let all = format!("cluster_known_nodes:{}\r\n", self.nodes.len());
        for node in &self.nodes {
            for look in 0.. {
                let info = node.tell(&["CLUSTER", "INFO"]).await;
                if info.contains("cluster_state:ok") && info.contains(&all) {
                    break;
                }
                rest(look, "the cluster to be well").await;
            }
        }
    }
}

async fn node() -> RedisServer {
    // the usual port of the bus is too high for many free ports
    let bus = free_address().port().to_string();
    let timeout = ["--cluster-node-timeout", "1000"];
    let cluster = [&["--cluster-enabled", "yes", "--cluster-port", &bus][..], &timeout].concat();
    let durable = ["--appendonly", "yes", "--appendfsync", "always"];
    RedisServer::start_with(&[&durable[..], &cluster[..]].concat()).await
}

async fn meet(one: &RedisServer, other: &RedisServer) {
    let bus = other.tell(&["CONFIG", "GET", "cluster-port"]).await;
    let bus = bus.lines().last().unwrap().to_owned();
    let port = other.address().port().to_string();
    said_ok(one, &["CLUSTER", "MEET", "127.0.0.1", &port, &bus]).await;
}

async fn id(node: &RedisServer) -> String {
    let answer = node.tell(&["CLUSTER", "MYID"]).await;
    answer.lines().last().unwrap().to_owned()
}

async fn said_ok(node: &RedisServer, words: &[&str]) {
    let answer = node.tell(words).await;
    assert_eq!(answer, "+OK\r\n", "{words:?}");
}
