//! A local chain: anvil's native binary as a child process, with its state in a file.

use std::{
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use countersign_core::identity::ChainId;
use tokio::process::{Child, Command};

use super::{note, reports};
use crate::{config::variable, failure::Failure};

const CHAIN: ChainId = ChainId(31337);

/// How long it may take to listen.
const START: Duration = Duration::from_secs(30);

/// How long it may take to write its state and end.
const END: Duration = Duration::from_secs(10);

/// A running anvil. [`Anvil::end`] lets it write its state; dropped, it is killed.
#[derive(Debug)]
pub(super) struct Anvil {
    port: u16,
    process: Process,
}

#[derive(Debug)]
enum Process {
    /// Ours.
    Child(Child),
    /// Left by a run that was killed.
    Adopted(String),
}

impl Anvil {
    /// Starts it on a free port, or takes over the one that a killed run in this folder left behind.
    pub(super) async fn start(folder: &Path) -> Result<Self, Failure> {
        if let Some(left) = Self::adopt(folder).await {
            note("took over the anvil of a run that was killed");
            return Ok(left);
        }
        let port = free_port()?;
        let child = spawn(folder, port)?;
        let id = child.id().unwrap_or_default();
        let mark = std::fs::write(folder.join("anvil.run"), format!("{id} {port}"));
        mark.map_err(|error| Failure::failed(format!("{}: {error}", folder.display())))?;
        let mut anvil = Self { port, process: Process::Child(child) };
        anvil.until_it_answers(folder).await?;
        Ok(anvil)
    }

    /// Where it answers.
    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    async fn adopt(folder: &Path) -> Option<Self> {
        let mark = std::fs::read_to_string(folder.join("anvil.run")).ok()?;
        let (id, port) = mark.split_once(' ')?;
        let port = port.trim().parse().ok()?;
        let anvil = Self { port, process: Process::Adopted(id.to_owned()) };
        let answer = reports(&anvil.url(), CHAIN).await.ok()?;
        (answer == Ok(CHAIN)).then_some(anvil)
    }

    async fn until_it_answers(&mut self, folder: &Path) -> Result<(), Failure> {
        let log = folder.join("anvil.log");
        let (url, child) = (self.url(), &mut self.process);
        let answers = async {
            loop {
                if let Process::Child(child) = child
                    && let Ok(Some(status)) = child.try_wait()
                {
                    return Err(Failure::failed(format!(
                        "anvil ended ({status}): see {}",
                        log.display()
                    )));
                }
                if reports(&url, CHAIN).await? == Ok(CHAIN) {
                    return Ok(());
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let late =
            || Failure::failed(format!("anvil does not answer at {url}: see {}", log.display()));
        tokio::time::timeout(START, answers).await.map_err(|_| late())?
    }

    /// Asks it to write its state and end, and waits for that.
    pub(super) async fn end(self) {
        let id = match &self.process {
            Process::Child(child) => child.id().map(|id| id.to_string()),
            Process::Adopted(id) => Some(id.clone()),
        };
        if let Some(id) = id {
            let asked = Command::new("kill").args(["-TERM", &id]).status().await;
            if !asked.is_ok_and(|status| status.success()) {
                note("anvil could not be asked to end");
            }
        }
        if let Process::Child(mut child) = self.process {
            let ended = tokio::time::timeout(END, child.wait()).await;
            if ended.is_err() {
                note("anvil does not end; it is killed, and its newest blocks may be lost");
            }
        }
    }
}

fn spawn(folder: &Path, port: u16) -> Result<Child, Failure> {
    let cannot = |error: std::io::Error| Failure::failed(format!("{}: {error}", folder.display()));
    let log = std::fs::File::create(folder.join("anvil.log")).map_err(cannot)?;
    let errors = log.try_clone().map_err(cannot)?;
    let mut command = Command::new(program()?);
    command
        .args(["--host", "127.0.0.1", "--chain-id", "31337", "--state-interval", "5", "--port"])
        .arg(port.to_string())
        .arg("--state")
        .arg(folder.join("anvil-state.json"))
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors)
        .kill_on_drop(true);
    // a Ctrl-C in the terminal is for us: anvil ends after the gateway
    #[cfg(unix)]
    command.process_group(0);
    command.spawn().map_err(|error| Failure::failed(format!("anvil does not start: {error}")))
}

/// The program that the environment names, or the first on the PATH.
fn program() -> Result<PathBuf, Failure> {
    if let Some(named) = variable("COUNTERSIGN_ANVIL").filter(|named| !named.is_empty()) {
        return Ok(named.into());
    }
    let path = variable("PATH").unwrap_or_default();
    let found =
        std::env::split_paths(&path).map(|folder| folder.join("anvil")).find(|file| file.is_file());
    found.ok_or_else(|| {
        Failure::failed(
            "anvil is not on the PATH. Get it with `npm install -g @foundry-rs/anvil` or from https://getfoundry.sh, \
             name it in COUNTERSIGN_ANVIL, or use a node of yours with --upstream URL",
        )
    })
}

fn free_port() -> Result<u16, Failure> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let address = listener.and_then(|listener| listener.local_addr());
    address
        .map(|address| address.port())
        .map_err(|error| Failure::failed(format!("no free port: {error}")))
}
