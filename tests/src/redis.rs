//! A Redis of its own for each test: the real server, with every write synced to its file.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{binary::Running, place, wait};

/// A running `redis-server`, ended with the test.
#[derive(Debug)]
pub struct RedisServer {
    address: SocketAddr,
    process: Option<Running>,
    folder: TempDir,
}

impl RedisServer {
    /// Starts one on a free port, with an append-only file synced at each write.
    pub async fn start() -> Self {
        let folder = TempDir::new().expect("a folder for Redis");
        let mut server = Self { address: place::free_address(), process: None, folder };
        server.up().await;
        server
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL for the configuration.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// Where it keeps its file.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Cuts so many bytes off the end of its append-only file, while it is down.
    pub fn truncate(&self, bytes: u64) {
        let folder = self.folder.path().join("appendonlydir");
        let files =
            fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("a file").path());
        let file = files.into_iter().find(|file| file.to_string_lossy().ends_with(".incr.aof"));
        let file = fs::File::options().write(true).open(file.expect("an append-only file"));
        let file = file.expect("a file of ours");
        let length = file.metadata().expect("its length").len();
        file.set_len(length.saturating_sub(bytes)).expect("a shorter file");
    }

    /// Kills it; what it acknowledged is in its file.
    pub fn down(&mut self) {
        self.process = None;
    }

    /// Starts it again with the same file, on the same port.
    pub async fn up(&mut self) {
        let log = self.folder.path().join("redis.log");
        self.process = Some(Running::start(&mut self.command(), &log));
        let address = self.address;
        wait::until("Redis to answer", async || pong(address).await.ok()).await;
    }

    fn command(&self) -> Command {
        let port = self.address.port().to_string();
        let mut command = Command::new(program());
        command.args([
            "--port",
            &port,
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--loglevel",
            "warning",
        ]);
        command.args(["--appendonly", "yes", "--appendfsync", "always", "--dir"]);
        command.arg(self.folder.path());
        command
    }
}

/// One exchange; an error while it still reads its file.
async fn pong(address: SocketAddr) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(b"PING\r\n").await?;
    let mut reply = [0_u8; 7];
    stream.read_exact(&mut reply).await?;
    if &reply == b"+PONG\r\n" { Ok(()) } else { Err(std::io::ErrorKind::Other.into()) }
}

fn program() -> PathBuf {
    place::program("redis-server", "COUNTERSIGN_REDIS_SERVER", &[PathBuf::from("/usr/bin")])
}
