//! The real binary, serving.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use bytes::Bytes;
use tempfile::TempDir;

use crate::{
    binary::{self, Running},
    config::{self, Addresses, Setup},
    http::{self, Version},
    tls::{self, Authority},
    wait,
};

/// A running gateway with a configuration directory of its own. Ended with the test.
#[derive(Debug)]
pub struct Gateway {
    /// Where it listens.
    pub addresses: Addresses,
    process: Running,
    authority: Option<Authority>,
    file: PathBuf,
    folder: TempDir,
    log: Option<&'static str>,
}

impl Gateway {
    /// Writes the directory, starts `countersign serve` and waits until it says that it is ready.
    pub async fn start(setup: &Setup, addresses: Addresses) -> Self {
        let folder = TempDir::new().expect("a folder for the gateway");
        let file = config::write(folder.path(), setup, &addresses);
        let authority = setup.tls.then(|| {
            let authority = Authority::new();
            authority.write(folder.path());
            authority
        });
        let process = serve(&file, setup.log);
        let log = setup.log;
        let mut gateway = Self { addresses, process, authority, file, folder, log };
        gateway.wait_until_ready().await;
        gateway
    }

    /// Its directory.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its configuration file.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The authority that signed its certificate.
    #[must_use]
    pub fn authority(&self) -> &Authority {
        self.authority.as_ref().expect("a gateway with TLS")
    }

    /// What it wrote to its log.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Ends it as a power cut would.
    pub fn kill9(&mut self) {
        self.process.kill9();
    }

    /// Starts it again in the same directory.
    pub async fn restart(&mut self) {
        self.process = serve(&self.file, self.log);
        self.wait_until_ready().await;
    }

    /// Starts it again although it may not become ready: waits until its doors are open.
    pub async fn open_again(&mut self) {
        self.process = serve(&self.file, self.log);
        let address = self.addresses.admin;
        wait::until("the gateway's doors", async || {
            let head = http::request("GET", address, "/healthz", &[]);
            let reply = http::try_send(address, &head, Bytes::new()).await;
            reply.is_ok_and(|reply| reply.status == 200).then_some(())
        })
        .await;
    }

    /// Writes another text in the place of one in the configuration.
    pub fn reconfigure(&self, from: &str, to: &str) {
        let text = fs::read_to_string(&self.file).expect("a configuration");
        assert!(text.contains(from), "`{from}` is not in the configuration");
        fs::write(&self.file, text.replace(from, to)).expect("a configuration");
    }

    /// Asks it to end.
    pub fn terminate(&self) {
        self.process.terminate();
    }

    /// Waits for its end; its exit code.
    pub async fn ended(&mut self) -> Option<i32> {
        let process = std::cell::RefCell::new(&mut self.process);
        let end = wait::until("the gateway to end", async || process.borrow_mut().ended()).await;
        end.code()
    }

    async fn wait_until_ready(&mut self) {
        let (addresses, authority) = (self.addresses.clone(), self.authority.as_ref());
        let process = std::cell::RefCell::new(&mut self.process);
        wait::until("the gateway to be ready", async || {
            let ended = process.borrow_mut().ended();
            assert!(ended.is_none(), "the gateway ended: {ended:?}");
            is_ready(&addresses, authority).await.then_some(())
        })
        .await;
    }
}

fn serve(file: &Path, log: Option<&str>) -> Running {
    let folder = file.parent().expect("a file in a folder");
    let mut command = Command::new(binary::countersign());
    command.args(["serve", "--config"]).arg(file).current_dir(folder);
    command.envs(log.map(|log| ("COUNTERSIGN_LOG", log)));
    Running::start(&mut command, &folder.join("countersign.log"))
}

async fn is_ready(addresses: &Addresses, authority: Option<&Authority>) -> bool {
    let head = http::request("GET", addresses.admin, "/readyz", &[]);
    let reply = match authority {
        None => http::try_send(addresses.admin, &head, Bytes::new()).await,
        Some(authority) => {
            let me = authority.sign("probe");
            let config = authority.client(Some(&me), Version::One);
            tls::send(config, Version::One, addresses.admin, &head, Bytes::new()).await
        }
    };
    reply.is_ok_and(|reply| reply.status == 200)
}
