//! A Redis of its own for each test: the real server.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::Stdio,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    process::{Child, Command},
};

use crate::certificates::Authority;

/// Where the server's program lies, unless the environment names another one, such as Valkey's.
const PROGRAM: &str = "/usr/bin/redis-server";

/// How often something is looked at before a test gives up, and how long it rests between looks.
const LOOKS_MAX: u32 = 6_000;
const REST: Duration = Duration::from_millis(10);

/// A running `redis-server` on a free port with a folder of its own. It ends with this value.
#[derive(Debug)]
pub struct RedisServer {
    address: SocketAddr,
    encrypted: Option<SocketAddr>,
    process: Option<Child>,
    folder: TempDir,
    arguments: Vec<String>,
}

/// What makes a server keep what it acknowledged.
const DURABLE: [&str; 4] = ["--appendonly", "yes", "--appendfsync", "always"];

impl RedisServer {
    /// A server that syncs every write to its append-only file.
    pub async fn start() -> Self {
        Self::start_with(&DURABLE).await
    }

    /// A server with these arguments behind the port, the folder and `save ""`.
    pub async fn start_with(arguments: &[&str]) -> Self {
        let address = free_address();
        let port = address.port().to_string();
        let standing =
            ["--port", &port, "--bind", "127.0.0.1", "--save", "", "--loglevel", "warning"];
        let folder = TempDir::new().unwrap();
        let dir = ["--dir".to_owned(), folder.path().display().to_string()];
        let arguments = standing.iter().chain(arguments).map(ToString::to_string);
        let arguments = arguments.chain(dir).collect();
        Self::up_in(folder, address, arguments, None).await
    }

    /// As [`Self::start`], and on a further port over TLS, where it asks clients for a certificate of the same
    /// authority: `yes`, `no` or `optional`.
    pub async fn encrypted(authority: &Authority, clients: &str) -> Self {
        Self::encrypted_with(authority, &[&DURABLE[..], &["--tls-auth-clients", clients]].concat())
            .await
    }

    /// As [`Self::start_with`], and on a further port over TLS.
    pub async fn encrypted_with(authority: &Authority, arguments: &[&str]) -> Self {
        let folder = TempDir::new().unwrap();
        let (address, encrypted) = (free_address(), free_address());
        let port = address.port().to_string();
        let standing =
            ["--port", &port, "--bind", "127.0.0.1", "--save", "", "--loglevel", "warning"];
        let tls = tls(authority, &folder, encrypted).into_iter();
        let tls = tls.flat_map(|(name, value)| [format!("--{name}"), value]);
        let dir = ["--dir".to_owned(), folder.path().display().to_string()];
        let arguments = standing.iter().chain(arguments).map(ToString::to_string);
        let arguments = arguments.chain(tls).chain(dir).collect();
        Self::up_in(folder, address, arguments, Some(encrypted)).await
    }

    /// A sentinel that listens over TLS too, and alone decides about this master, which it knows as `localhost`.
    pub async fn encrypted_sentinel(authority: &Authority, master: &Self, name: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let (address, encrypted) = (free_address(), free_address());
        let tls = tls(authority, &folder, encrypted).into_iter();
        let tls = tls.map(|(name, value)| format!("{name} {value}")).collect::<Vec<_>>().join("\n");
        let port = master.encrypted_address().port();
        let configuration = format!(
            "port {}\nbind 127.0.0.1\ndir {}\n{tls}\ntls-replication yes\ntls-auth-clients no\n\
             sentinel resolve-hostnames yes\nsentinel announce-hostnames yes\n\
             sentinel monitor {name} localhost {port} 1\n",
            address.port(),
            folder.path().display(),
        );
        Self::sentinel_in(folder, address, &configuration, Some(encrypted)).await
    }

    /// A replica of this server that has caught up.
    pub async fn replica(&self) -> Self {
        self.tell(&["CONFIG", "SET", "repl-diskless-sync-delay", "0"]).await;
        let port = self.address.port().to_string();
        let replicaof = ["--replicaof", "127.0.0.1", &port];
        let before = self.online().await;
        let replica = Self::start_with(&[&DURABLE[..], &replicaof[..]].concat()).await;
        eventually("the replica to catch up", async || self.online().await > before).await;
        replica
    }

    /// A sentinel with this configuration behind its port and folder.
    pub(crate) async fn sentinel(address: SocketAddr, configuration: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let dir = folder.path().display();
        let standing = format!("port {}\nbind 127.0.0.1\ndir {dir}\n", address.port());
        Self::sentinel_in(folder, address, &(standing + configuration), None).await
    }

    async fn sentinel_in(
        folder: TempDir,
        address: SocketAddr,
        configuration: &str,
        encrypted: Option<SocketAddr>,
    ) -> Self {
        let file = folder.path().join("sentinel.conf");
        std::fs::write(&file, configuration).unwrap();
        let arguments = vec![file.display().to_string(), "--sentinel".to_owned()];
        Self::up_in(folder, address, arguments, encrypted).await
    }

    async fn up_in(
        folder: TempDir,
        address: SocketAddr,
        arguments: Vec<String>,
        encrypted: Option<SocketAddr>,
    ) -> Self {
        let mut server = Self { address, encrypted, process: None, folder, arguments };
        server.up().await;
        server
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its URL, without user and password.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// Where it listens over TLS.
    #[must_use]
    pub const fn encrypted_address(&self) -> SocketAddr {
        self.encrypted.unwrap()
    }

    /// Where it keeps what it synced.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// How many replicas follow it.
    pub async fn online(&self) -> usize {
        self.tell(&["INFO", "replication"]).await.matches("state=online").count()
    }

    /// Sends it one command, and answers what came back, as it came.
    pub async fn tell(&self, words: &[&str]) -> String {
        let parts = words.iter().map(|word| format!("${}\r\n{word}\r\n", word.len()));
        let command = format!("*{}\r\n{}", words.len(), parts.collect::<String>());
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(command.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Stops it as a machine stops that has lost its network: connections stay and say nothing.
    pub async fn freeze(&self) {
        self.signal("-STOP").await;
    }

    /// Lets it go on where it stopped.
    pub async fn thaw(&self) {
        self.signal("-CONT").await;
    }

    async fn signal(&self, signal: &str) {
        let id = self.process.as_ref().and_then(Child::id).unwrap().to_string();
        let sent = Command::new("kill").args([signal, &id]).status().await.unwrap();
        assert!(sent.success());
    }

    /// Kills it and waits for its end; what it synced is in its folder.
    pub async fn down(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().await.unwrap();
        }
    }

    /// Starts it with the same folder on the same port, and waits until it has loaded its data.
    pub async fn up(&mut self) {
        self.launch();
        for look in 0.. {
            if self.answers().await {
                return;
            }
            let ended = self.process.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "redis-server ended: {ended:?}");
            rest(look, "redis-server to listen").await;
        }
    }

    /// As [`Self::up`], with further arguments, which go before those of its start.
    pub async fn up_with(&mut self, arguments: &[&str]) {
        self.arguments.extend(arguments.iter().map(ToString::to_string));
        self.up().await;
    }

    /// Starts it and waits for nothing.
    pub fn launch(&mut self) {
        let process = Command::new(program())
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn();
        self.process = Some(process.unwrap());
    }

    /// Any answer but "loading" will do: a password may be missing.
    async fn answers(&self) -> bool {
        let Ok(stream) = TcpStream::connect(self.address).await else { return false };
        let mut answer = [0_u8; 8];
        stream.writable().await.unwrap();
        if stream.try_write(b"PING\r\n").is_err() {
            return false;
        }
        stream.readable().await.unwrap();
        matches!(stream.try_read(&mut answer), Ok(length) if length > 0)
            && !answer.starts_with(b"-LOADING")
    }
}

#[expect(clippy::disallowed_methods, reason = "who runs the tests chooses the server")]
fn program() -> PathBuf {
    std::env::var_os("COUNTERSIGN_REDIS_SERVER").map_or_else(|| PROGRAM.into(), PathBuf::from)
}

/// The settings of a server that listens over TLS, with files in its folder.
fn tls(
    authority: &Authority,
    folder: &TempDir,
    encrypted: SocketAddr,
) -> [(&'static str, String); 4] {
    authority.write(folder.path());
    let file = |name: &str| folder.path().join(name).display().to_string();
    [
        ("tls-port", encrypted.port().to_string()),
        ("tls-cert-file", file("server.pem")),
        ("tls-key-file", file("server.key")),
        ("tls-ca-cert-file", file("ca.pem")),
    ]
}

/// Polls until it is so: servers tell nobody that they are ready.
pub async fn eventually(what: &str, is_so: impl AsyncFn() -> bool) {
    for look in 0.. {
        if is_so().await {
            return;
        }
        rest(look, what).await;
    }
}

/// Between two looks at something. Gives up after many.
pub(crate) async fn rest(look: u32, what: &str) {
    assert!(look < LOOKS_MAX, "waited in vain for {what}");
    tokio::time::sleep(REST).await;
}

/// The ports that [`free_address`] gives out: below those that the system takes for connections, so that no connection
/// that is made meanwhile sits on one of them.
const PORTS: std::ops::Range<u16> = 10_000..32_000;

/// A port of this machine that nobody listens on, and that this process gives out once.
#[must_use]
pub fn free_address() -> SocketAddr {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    let count = u32::from(PORTS.end - PORTS.start);
    // test processes that run at the same time begin far from each other
    let first = std::process::id().wrapping_mul(499);
    for _ in 0..count {
        let offset = first.wrapping_add(GIVEN.fetch_add(1, Ordering::Relaxed)) % count;
        let port = PORTS.start + u16::try_from(offset).unwrap();
        if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            return listener.local_addr().unwrap();
        }
    }
    panic!("no port is free")
}
