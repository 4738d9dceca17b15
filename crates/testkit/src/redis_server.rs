//! A Redis of its own for each test: the real server.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::Path,
    process::Stdio,
};

use tempfile::TempDir;
use tokio::{
    net::TcpStream,
    process::{Child, Command},
};

/// Where the server's program lies.
const PROGRAM: &str = "/usr/bin/redis-server";

/// A running `redis-server` on a free port with a folder of its own. It ends with this value.
#[derive(Debug)]
pub struct RedisServer {
    address: SocketAddr,
    process: Option<Child>,
    folder: TempDir,
    arguments: Vec<String>,
}

impl RedisServer {
    /// A server that syncs every write to its append-only file.
    pub async fn start() -> Self {
        Self::start_with(&["--appendonly", "yes", "--appendfsync", "always"]).await
    }

    /// A server with these arguments behind the port, the folder and `save ""`.
    pub async fn start_with(arguments: &[&str]) -> Self {
        let folder = TempDir::new().unwrap();
        let arguments = arguments.iter().map(ToString::to_string).collect();
        let mut server = Self { address: free_address(), process: None, folder, arguments };
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

    /// Where it keeps what it synced.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Kills it and waits for its end; what it synced is in its folder.
    pub async fn down(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().await.unwrap();
        }
    }

    /// Starts it with the same folder on the same port, and waits until it has loaded its data.
    pub async fn up(&mut self) {
        let port = self.address.port().to_string();
        let process = Command::new(PROGRAM)
            .args(["--port", &port, "--bind", "127.0.0.1", "--save", "", "--loglevel", "warning"])
            .arg("--dir")
            .arg(self.folder.path())
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn();
        self.process = Some(process.unwrap());
        self.listens().await;
    }

    /// Polls until the server answers: it tells nobody that it is ready.
    async fn listens(&mut self) {
        for _ in 0..1000_u32 {
            if self.answers().await {
                return;
            }
            let ended = self.process.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "redis-server ended: {ended:?}");
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("redis-server does not listen at {}", self.address);
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

fn free_address() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}
