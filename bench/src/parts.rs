//! The programs that are compared, each set up as somebody would who wants it to be fast.

use std::{
    fs,
    net::SocketAddr,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use sha2::{Digest as _, Sha256};

use crate::{
    chain::{CHAIN, key_hex, wallet},
    load::Target,
    process::{Process, free_address},
};

/// How the credential of each agent begins.
const TOKEN: &str = "bench-agent-token-that-nobody-else-has";

/// The credential of the operator, whom no send of the bench needs.
const OPERATOR: &str = "bench-operator-token-that-nobody-else-has";

/// Programs that the script has found or installed.
#[derive(Debug, Clone)]
pub(crate) struct Programs {
    pub(crate) countersign: PathBuf,
    pub(crate) anvil: PathBuf,
    pub(crate) redis: PathBuf,
    pub(crate) nginx: PathBuf,
    pub(crate) node: PathBuf,
    /// The folder of the gateway in JavaScript.
    pub(crate) node_gateway: PathBuf,
}

impl Programs {
    /// As the environment names them.
    pub(crate) fn of_environment() -> Self {
        let named = |name: &str| {
            let value = std::env::var_os(name);
            PathBuf::from(value.unwrap_or_else(|| panic!("{name} is not set: run scripts/bench")))
        };
        Self {
            countersign: named("COUNTERSIGN_BIN"),
            anvil: named("COUNTERSIGN_ANVIL"),
            redis: named("COUNTERSIGN_REDIS_SERVER"),
            nginx: named("COUNTERSIGN_NGINX"),
            node: named("COUNTERSIGN_NODE"),
            node_gateway: named("COUNTERSIGN_NODE_GATEWAY"),
        }
    }
}

/// A part that listens.
pub(crate) struct Part {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
}

impl Part {
    fn start(name: &str, command: &mut Command, address: SocketAddr, folder: &Path) -> Self {
        Self { process: Process::start(name, command, folder).listening_at(address), address }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Asked without a credential.
    pub(crate) fn target(&self) -> Target {
        Target { address: self.address, path: "/".into(), authorization: None }
    }
}

/// Where the gateway keeps its books.
#[derive(Clone, Copy)]
pub(crate) enum Store<'a> {
    Redis(&'a Part),
    Embedded,
}

/// This program again, as another part of the play.
fn ourselves() -> Command {
    Command::new(std::env::current_exe().unwrap())
}

/// The node of few words; it mines each second.
pub(crate) fn stub(folder: &Path) -> Part {
    stub_mining_each(folder, Duration::from_secs(1))
}

/// The same with another pace.
pub(crate) fn stub_mining_each(folder: &Path, pause: Duration) -> Part {
    let address = free_address();
    let mut command = ourselves();
    let command = command.args(["stub", &address.to_string(), &pause.as_millis().to_string()]);
    Part::start("stub", command, address, folder)
}

/// The floor, between a Redis and a node.
pub(crate) fn floor(folder: &Path, node: &Part, redis: &Part) -> Part {
    let address = free_address();
    let mut command = ourselves();
    let command = command.args(["floor", &address.to_string(), &node.url()]);
    let command = command.arg(format!("redis://{}", redis.address));
    Part::start("floor", command, address, folder)
}

/// A Redis that keeps nothing over its end, or everything.
pub(crate) fn redis(programs: &Programs, folder: &Path) -> Part {
    let address = free_address();
    let mut command = Command::new(&programs.redis);
    command.args(["--port", &address.port().to_string(), "--bind", "127.0.0.1", "--save", ""]);
    command.args(["--appendonly", "no", "--maxmemory-policy", "noeviction", "--dir"]).arg(folder);
    Part::start("redis", &mut command, address, folder)
}

/// anvil with a block each second.
pub(crate) fn anvil(programs: &Programs, folder: &Path) -> Part {
    let address = free_address();
    let mut command = Command::new(&programs.anvil);
    command.args(["--port", &address.port().to_string(), "--chain-id", &CHAIN.to_string()]);
    command.args(["--block-time", "1", "--silent", "--prune-history", "--gas-limit", "1000000000"]);
    command.args(["--balance", "1000000000", "--accounts", "16"]);
    Part::start("anvil", &mut command, address, folder)
}

/// nginx with one `proxy_pass` and connections that stay.
pub(crate) fn nginx(programs: &Programs, folder: &Path, node: &Part) -> Part {
    let address = free_address();
    let configuration = format!(
        "daemon off; worker_processes 2; pid {folder}/nginx.pid; error_log {folder}/nginx-error.log;\n\
         events {{ worker_connections 4096; }}\n\
         http {{ access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;\n\
         fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;\n\
         upstream node {{ server {node}; keepalive 256; keepalive_requests 100000000; }}\n\
         server {{ listen {address}; keepalive_requests 100000000;\n\
         location / {{ proxy_pass http://node; proxy_http_version 1.1; proxy_set_header Connection \"\"; }} }} }}\n",
        folder = folder.display(),
        node = node.address,
    );
    let file = folder.join("nginx.conf");
    fs::write(&file, configuration).unwrap();
    let mut command = Command::new(&programs.nginx);
    Part::start("nginx", command.arg("-c").arg(&file).arg("-p").arg(folder), address, folder)
}

/// The gateway in JavaScript: fastify, viem, and a policy in memory.
pub(crate) fn node_gateway(programs: &Programs, folder: &Path, node: &Part) -> Part {
    let address = free_address();
    let mut command = Command::new(&programs.node);
    command.arg(programs.node_gateway.join("gateway.mjs"));
    command.env("PORT", address.port().to_string()).env("UPSTREAM", node.url());
    command.env("KEY", format!("0x{}", key_hex())).env("NODE_ENV", "production");
    Part::start("node-gateway", &mut command, address, folder)
}

/// Countersign, with a real policy and everything on, for one agent.
pub(crate) fn gateway(programs: &Programs, folder: &Path, node: &Part, store: Store<'_>) -> Part {
    let name = match store {
        Store::Redis(_) => "gateway-redis",
        Store::Embedded => "gateway-embedded",
    };
    House::build(programs, folder, (name, 1), (node, store)).start()
}

/// What a gateway starts from: its folder, with configuration, policy and key. It can be started again.
pub(crate) struct House {
    pub(crate) name: String,
    program: PathBuf,
    folder: PathBuf,
    address: SocketAddr,
    /// The operators' door.
    pub(crate) admin: SocketAddr,
}

impl House {
    /// For so many agents, each with a credential of its own, all under one policy.
    pub(crate) fn build(
        programs: &Programs,
        folder: &Path,
        (name, agents): (&str, usize),
        (node, store): (&Part, Store<'_>),
    ) -> Self {
        let folder = folder.join(name);
        fs::create_dir_all(&folder).unwrap();
        let (address, admin) = (free_address(), free_address());
        secret(&folder.join("key.hex"), &key_hex());
        secret(&folder.join("key.password"), "bench");
        let made = Command::new(&programs.countersign)
            .args(["key", "import", "--private-key-file"])
            .arg(folder.join("key.hex"))
            .arg("--password-file")
            .arg(folder.join("key.password"))
            .arg("--out")
            .arg(folder.join("key.json"))
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        secret(&folder.join("policy.yaml"), include_str!("../policy.yaml"));
        let configuration = configuration((address, admin), agents, node, store);
        secret(&folder.join("countersign.yaml"), &configuration);
        let program = programs.countersign.clone();
        Self { name: name.into(), program, folder, address, admin }
    }

    /// Starts it, and waits until both doors are open.
    pub(crate) fn start(&self) -> Part {
        let mut part = self.spawn();
        part.process = part.process.listening_at(self.address).listening_at(self.admin);
        part
    }

    /// Starts it, and waits for nothing.
    pub(crate) fn spawn(&self) -> Part {
        let mut command = Command::new(&self.program);
        command.args(["--log", "warn", "serve", "--config"]);
        command.arg(self.folder.join("countersign.yaml")).args(["--accept-durability", "D"]);
        let process = Process::start(&self.name, &mut command, &self.folder);
        Part { process, address: self.address }
    }
}

/// The first agent's target.
pub(crate) fn as_agent(gateway: &Part) -> Target {
    as_nth_agent(gateway, 0)
}

/// The target of the agent of this number.
pub(crate) fn as_nth_agent(gateway: &Part, number: usize) -> Target {
    Target { authorization: Some(format!("Bearer {}", token(number))), ..gateway.target() }
}

fn token(number: usize) -> String {
    format!("{TOKEN}-{number}")
}

fn configuration(
    (rpc, admin): (SocketAddr, SocketAddr),
    agents: usize,
    node: &Part,
    store: Store<'_>,
) -> String {
    let digest = |token: &str| hex::encode(Sha256::digest(token));
    let store = match store {
        Store::Redis(redis) => format!("{{ redis: \"redis://{}\" }}", redis.address),
        Store::Embedded => "{ embedded: ./data }".into(),
    };
    let agent = |number: usize| {
        format!(
            "  - {{ id: bench-{number}, token_sha256: \"{}\", wallets: [bench], policy: policy.yaml, owner: nobody, duplicate_window: 0s, max_pending: 10000 }}\n",
            digest(&token(number)),
        )
    };
    format!(
        "listen: {{ rpc: {{ address: \"{rpc}\" }}, admin: {{ address: \"{admin}\" }} }}\n\
         state: ./state\n\
         store: {store}\n\
         chains:\n  - id: {CHAIN}\n    name: bench\n    upstream: [\"{node}\"]\n    finality: 1\n    fee_ceiling_gwei: 500\n    native: {{ symbol: ETH, decimals: 18 }}\n\
         wallets:\n  - {{ id: bench, address: \"{wallet}\", signer: {{ keystore: key.json, password_file: key.password }}, max_in_flight: 1000000 }}\n\
         agents:\n{agents}\
         operators:\n  - {{ id: operator, token_sha256: \"{operator}\", roles: [view, approve, policy, freeze], person: operator, groups: [desk] }}\n\
         prices: {{ sources: [ {{ static: {{ ETH: \"3000\", USD: \"1\" }} }} ] }}\n",
        node = node.url(),
        wallet = wallet().to_checksum(None),
        agents = (0..agents).map(agent).collect::<String>(),
        operator = digest(OPERATOR),
    )
}

fn secret(file: &Path, text: &str) {
    fs::write(file, text).unwrap();
    fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
}
