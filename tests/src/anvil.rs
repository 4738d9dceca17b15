//! A node of its own for each test: anvil's native binary.

use std::{net::SocketAddr, process::Command};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{binary::Running, http, place, rpc, wait};

/// The chain id of every anvil here.
pub const CHAIN: u64 = 31337;

/// Anvil's published development keys and their addresses. They hold 10 000 ETH each.
pub const ACCOUNTS: [(&str, &str); 3] = [
    (
        "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80",
        "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
    ),
    (
        "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d",
        "0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
    ),
    (
        "0x5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a",
        "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC",
    ),
];

/// A running anvil, ended with the test.
#[derive(Debug)]
pub struct Anvil {
    address: SocketAddr,
    _process: Running,
    _folder: TempDir,
}

impl Anvil {
    /// Starts one that mines each transaction at once.
    pub async fn start() -> Self {
        Self::with(&[]).await
    }

    /// Starts one with further arguments.
    pub async fn with(arguments: &[&str]) -> Self {
        let folder = TempDir::new().expect("a folder for anvil");
        let program =
            place::program("anvil", "COUNTERSIGN_ANVIL", &place::foundry_folders("anvil"));
        let mut command = Command::new(program);
        command.args(["--port", "0", "--cache-path"]).arg(folder.path()).args(arguments);
        command.current_dir(folder.path());
        let process = Running::start(&mut command, &folder.path().join("anvil.log"));
        let address = wait::until("anvil to listen", async || listening(&process.log())).await;
        Self { address, _process: process, _folder: folder }
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Asks it something, past the gateway.
    pub async fn call(&self, method: &str, params: Value) -> Value {
        let body = rpc::envelope(method, &params).to_string();
        let reply = http::post(self.address, "/", &[], body).await;
        let mut answer = reply.json();
        answer.get_mut("result").map_or_else(|| panic!("{method}: no result"), Value::take)
    }

    /// A quantity it answers with.
    pub async fn quantity(&self, method: &str, params: Value) -> u128 {
        quantity(&self.call(method, params).await)
    }

    /// How many transactions of `wallet` it has seen, pending ones too.
    pub async fn nonce(&self, wallet: &str) -> u128 {
        self.quantity("eth_getTransactionCount", json!([wallet, "pending"])).await
    }

    /// What `account` holds, in wei.
    pub async fn balance(&self, account: &str) -> u128 {
        self.quantity("eth_getBalance", json!([account, "latest"])).await
    }

    /// The receipt of a transaction, once it is mined.
    pub async fn receipt(&self, hash: &str) -> Value {
        wait::until(&format!("the receipt of {hash}"), async || {
            let receipt = self.call("eth_getTransactionReceipt", json!([hash])).await;
            (!receipt.is_null()).then_some(receipt)
        })
        .await
    }
}

/// Reads a `0x` quantity.
#[must_use]
pub fn quantity(value: &Value) -> u128 {
    let digits = value.as_str().and_then(|text| text.strip_prefix("0x"));
    digits
        .and_then(|digits| u128::from_str_radix(digits, 16).ok())
        .unwrap_or_else(|| panic!("not a quantity: {value}"))
}

/// The address that anvil printed, once it has.
fn listening(log: &str) -> Option<SocketAddr> {
    let line = log.lines().find_map(|line| line.strip_prefix("Listening on "))?;
    line.trim().parse().ok()
}
