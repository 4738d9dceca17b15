//! A node, a store, and gateways before them.

use std::{fs, path::Path, process::Command, time::Duration};

use tempfile::TempDir;
use tokio::{sync::Semaphore, time::Instant};

use super::Client;
use crate::{
    Gateway, Operator, Setup, StoreKind,
    anvil::{ACCOUNTS, Anvil},
    books::{Books, Operation, Resp, audit},
    config::{Addresses, token, wallet_id},
    place,
    proxy::Proxy,
    redis::RedisServer,
};

/// How many gateways start at a time: unlocking its keys takes one a core for a while, slow on purpose.
static STARTS: Semaphore = Semaphore::const_new(2);

/// What to start.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What each gateway is configured with.
    pub setup: Setup,
    /// How many gateways; more than one need a Redis.
    pub gateways: usize,
    /// Further arguments of the node.
    pub anvil: Vec<&'static str>,
}

impl Plan {
    /// One gateway before a node that mines at once.
    #[must_use]
    pub const fn of(setup: Setup) -> Self {
        Self { setup, gateways: 1, anvil: Vec::new() }
    }
}

/// Everything that runs; it ends with the test.
#[derive(Debug)]
pub struct Fleet {
    /// The gateways.
    pub posts: Vec<Post>,
    /// The node.
    pub anvil: Anvil,
    /// The Redis, where the plan asks for one.
    pub redis: Option<RedisServer>,
    setup: Setup,
}

/// One gateway with its lines.
#[derive(Debug)]
pub struct Post {
    /// The gateway.
    pub gateway: Gateway,
    /// Its line to Redis, where it has one.
    pub store: Option<Proxy>,
    /// Its line to the node.
    pub node: Proxy,
}

impl Fleet {
    /// Starts all of it.
    pub async fn start(plan: Plan) -> Self {
        let anvil = Anvil::with(&plan.anvil).await;
        let redis = match plan.setup.store {
            StoreKind::Embedded => None,
            StoreKind::Redis => Some(RedisServer::start().await),
        };
        let mut fleet = Self { posts: Vec::new(), anvil, redis, setup: plan.setup };
        for _ in 0..plan.gateways {
            fleet.add().await;
        }
        fleet
    }

    /// One more gateway.
    pub async fn add(&mut self) {
        let node = Proxy::start(self.anvil.address()).await;
        let store = match &self.redis {
            None => None,
            Some(redis) => Some(Proxy::start(redis.address()).await),
        };
        let url = store.as_ref().map(Proxy::redis_url);
        let addresses = Addresses::before(node.address(), url);
        let turn = STARTS.acquire().await.expect("nobody closes it");
        let gateway = Gateway::start(&self.setup, addresses).await;
        drop(turn);
        self.posts.push(Post { gateway, store, node });
    }

    /// One of the gateways.
    #[must_use]
    pub fn post(&self, number: usize) -> &Post {
        self.posts.get(number).unwrap_or_else(|| panic!("no gateway {number}"))
    }

    /// One of the gateways, to kill it.
    pub fn post_mut(&mut self, number: usize) -> &mut Post {
        self.posts.get_mut(number).unwrap_or_else(|| panic!("no gateway {number}"))
    }

    /// An agent's client at one of the gateways.
    #[must_use]
    pub fn client(&self, number: usize, agent: &str) -> Client {
        let found = self.setup.agents.iter().find(|setup| setup.id == agent);
        let account = found.unwrap_or_else(|| panic!("no agent `{agent}`")).wallet;
        let (_, wallet) = ACCOUNTS.get(account).expect("one of anvil's accounts");
        let address = self.post(number).gateway.addresses.rpc;
        Client { address, token: token(agent), wallet: (*wallet).to_owned() }
    }

    /// The operator who may do everything, at one of the gateways.
    #[must_use]
    pub fn alice(&self, number: usize) -> Operator {
        let address = self.post(number).gateway.addresses.admin;
        Operator { address, token: token("alice") }
    }

    /// The books as one of the gateways shows them, if it can.
    pub async fn books(&self, number: usize) -> Option<Books> {
        Books::read(&self.alice(number), &self.anvil).await
    }

    /// A connection to Redis past all lines.
    pub async fn resp(&self) -> Resp {
        Resp::connect(&self.redis.as_ref().expect("a Redis").url()).await
    }

    /// Waits until nothing is on its way; nothing if that does not come in time.
    pub async fn settled(&self, number: usize, within: Duration) -> Option<Books> {
        let until = Instant::now().checked_add(within);
        loop {
            let quiet = self.books(number).await.is_some_and(|books| books.are_quiet());
            // once more: the chain was read before the operations, and may have moved in between
            if quiet && let Some(books) = self.books(number).await.filter(Books::are_quiet) {
                return Some(books);
            }
            if Some(Instant::now()) > until {
                return None;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Compares everything with everything when nothing is on its way: operations with the chain, counters with
    /// operations, what agents are told with both. All that differs.
    pub async fn audit(&self, number: usize, books: &Books) -> Vec<String> {
        let mut faults = books.differences();
        if self.redis.is_some() {
            faults.extend(self.leftovers(books).await);
        }
        for agent in &self.setup.agents {
            faults.extend(self.budgets(number, agent.id, books).await);
        }
        faults
    }

    /// With something parked, that much stays reserved.
    async fn leftovers(&self, books: &Books) -> Vec<String> {
        let mut redis = self.resp().await;
        if books.operations.iter().any(Operation::is_parked) {
            audit::differences(&mut redis).await
        } else {
            audit::leftovers(&mut redis).await
        }
    }

    /// What an agent is told that it used is what was kept of its windows, where nothing is held besides.
    async fn budgets(&self, number: usize, agent: &str, books: &Books) -> Vec<String> {
        let parked = books.operations.iter().any(|one| one.agent == agent && one.is_parked());
        let mut faults = Vec::new();
        for (limit, used) in self.client(number, agent).budget().await {
            let kept: u64 = books
                .kept()
                .iter()
                .filter(|(name, _)| name.starts_with(&format!("{limit} ")))
                .map(|(_, kept)| *kept)
                .sum();
            if used != kept && !parked {
                faults.push(format!("{limit}: {used} used, {kept} kept"));
            }
        }
        faults
    }

    /// Gives a gateway's wallets keystores that open in a moment: a gateway that is restarted again and again
    /// would else spend its life with the key derivation that `countersign key` makes slow on purpose. `cast`
    /// writes them.
    pub fn lighten_keys(&self, number: usize) {
        let keys = self.post(number).gateway.folder().join("keys");
        for agent in &self.setup.agents {
            light_key(&keys, agent.wallet);
        }
    }
}

impl Post {
    /// Sends a signal to its process: `STOP`, `CONT`.
    pub fn signal(&self, name: &str) {
        let id = self.process_id();
        let status = Command::new("kill").args([&format!("-{name}"), &id]).status();
        assert!(status.expect("kill runs").success(), "no process {id}");
    }

    /// The process that serves this gateway's configuration.
    fn process_id(&self) -> String {
        let file = self.gateway.file().to_str().expect("a plain path").to_owned();
        let serves = |folder: &Path| {
            let line = fs::read(folder.join("cmdline")).unwrap_or_default();
            line.split(|byte| *byte == 0).any(|argument| argument == file.as_bytes())
        };
        let folders = fs::read_dir("/proc").expect("a Linux").flatten().map(|entry| entry.path());
        let mut found = folders.filter(|folder| serves(folder));
        let found = found.find_map(|folder| Some(folder.file_name()?.to_str()?.to_owned()));
        found.unwrap_or_else(|| panic!("nobody serves {file}"))
    }
}

fn light_key(keys: &Path, account: usize) {
    let (key, _) = ACCOUNTS.get(account).expect("one of anvil's accounts");
    let (id, folder) = (wallet_id(account), TempDir::new().expect("a folder"));
    let cast = place::program("cast", "COUNTERSIGN_CAST", &place::foundry_folders("cast"));
    let password = fs::read_to_string(keys.join(format!("{id}.password"))).expect("a password");
    let mut command = Command::new(cast);
    command.args(["wallet", "import", &id, "--keystore-dir"]).arg(folder.path());
    command.args(["--private-key", key, "--unsafe-password", &password]);
    let said = command.output().expect("cast runs");
    assert!(said.status.success(), "cast: {}", String::from_utf8_lossy(&said.stderr));
    let file = keys.join(format!("{id}.json"));
    fs::copy(folder.path().join(&id), &file).expect("a keystore");
    crate::config::keep_private(&file);
}
