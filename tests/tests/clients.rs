//! Real clients, unmodified and with their defaults: each is allowed, denied, and parked, approved and
//! collected. CLIENTS: viem, ethers, web3.py, cast and alloy.
#![expect(clippy::expect_used, clippy::panic, reason = "a failed test panics")]

use std::{
    path::PathBuf,
    task::{Context, Poll},
};

use alloy_json_rpc::{RequestPacket, ResponsePacket};
use alloy_primitives::{Address, U256};
use alloy_provider::{Provider as _, ProviderBuilder};
use alloy_rpc_client::RpcClient;
use alloy_rpc_types_eth::TransactionRequest;
use alloy_transport::{TransportError, TransportErrorKind, TransportFut};
use countersign_tests::{
    Agent, Setup, StoreKind, World,
    config::{PAYEE, STRANGER},
    money::USD,
    place, wait,
};
use serde_json::Value;
use tokio::process::Command;
use tower::Service;

/// What a client shows its user: the hash, or everything it says about the refusal.
type Shown = Result<String, String>;

/// Lets one client send 50 USD to a payee, 1 to a stranger, and 200, which a person approves.
async fn check(client: impl AsyncFn(Agent, &str, u128) -> Shown) {
    let world = World::start(Setup::new(StoreKind::Embedded)).await;
    let send = async |to: &str, usd: u128| client(world.bot(), to, usd.saturating_mul(USD)).await;

    let hash = send(PAYEE, 50).await.expect("an allowed send");
    world.anvil.receipt(&hash).await;

    let refused = send(STRANGER, 1).await.expect_err("a stranger");
    assert!(refused.contains("User denied by policy [no_rule_allows]"), "{refused}");
    assert!(refused.contains("Nothing was sent."), "{refused}");

    let parked = send(PAYEE, 200).await.expect_err("above the threshold");
    assert!(
        parked.contains("Waiting for approval [amount_above_threshold], operation op_"),
        "{parked}"
    );
    let id = world.alice().list("/pending-operations").await;
    let id = id.first().and_then(|item| item.get("id")?.as_str()).expect("one operation waits");
    assert!(parked.contains(id), "the client names another operation than {id}: {parked}");
    assert_eq!(world.alice().approve(id).await.status, 200);
    wait::until("the approved operation to be paid", async || {
        (world.anvil.balance(PAYEE).await == 250 * USD).then_some(())
    })
    .await;
    let collected = send(PAYEE, 200).await.expect("the result of the approved call");
    world.anvil.receipt(&collected).await;
    assert_eq!(world.anvil.balance(PAYEE).await, 250 * USD, "paid once");
    assert_eq!(world.tap.writes(), ["eth_sendRawTransaction"; 2]);
}

/// Runs one of the programs in `tests/clients`.
async fn run(program: PathBuf, script: &[&str], agent: Agent, to: &str, wei: u128) -> Shown {
    let output = Command::new(program)
        .args(script)
        .args([&agent.url(), &agent.wallet, to, &wei.to_string()])
        .env("COUNTERSIGN_CAST", cast())
        .current_dir(place::clients())
        .kill_on_drop(true)
        .output();
    let output =
        tokio::time::timeout(wait::PATIENCE, output).await.expect("the client ends in time");
    let output = output.expect("the client starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let last = text.lines().last().and_then(|line| serde_json::from_str::<Value>(line).ok());
    let shown = last.unwrap_or_else(|| panic!("{text}{}", String::from_utf8_lossy(&output.stderr)));
    assert!(!shown.to_string().contains(&agent.token), "the client shows the token: {shown}");
    let field = |name: &str| shown.get(name).and_then(Value::as_str).map(str::to_owned);
    field("hash").ok_or_else(|| field("error").unwrap_or_default())
}

fn cast() -> PathBuf {
    place::program("cast", "COUNTERSIGN_CAST", &place::foundry_folders("cast"))
}

fn node() -> PathBuf {
    place::program("node", "COUNTERSIGN_NODE", &[])
}

#[tokio::test(flavor = "multi_thread")]
async fn viem() {
    check(async |agent, to: &str, wei| run(node(), &["viem.mjs"], agent, to, wei).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ethers() {
    check(async |agent, to: &str, wei| run(node(), &["ethers.mjs"], agent, to, wei).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn web3_py() {
    let python = place::program("python", "COUNTERSIGN_PYTHON", &place::web3py_folders());
    check(async |agent, to: &str, wei| run(python.clone(), &["web3py.py"], agent, to, wei).await)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cast_send() {
    let script = place::clients().join("cast.sh");
    check(async |agent, to: &str, wei| run(script.clone(), &[], agent, to, wei).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn alloy() {
    check(async |agent: Agent, to: &str, wei| {
        let transaction = TransactionRequest::default()
            .from(agent.wallet.parse::<Address>().expect("an address"))
            .to(to.parse::<Address>().expect("an address"))
            .value(U256::from(wei));
        let provider = ProviderBuilder::new().connect_client(RpcClient::new(Wire(agent), true));
        let pending = provider.send_transaction(transaction).await;
        pending.map(|pending| pending.tx_hash().to_string()).map_err(|error| error.to_string())
    })
    .await;
}

/// What carries alloy's requests: its HTTP transports bring a second TLS, so this one posts them over ours.
#[derive(Debug, Clone)]
struct Wire(Agent);

impl Service<RequestPacket> for Wire {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, packet: RequestPacket) -> Self::Future {
        let agent = self.0.clone();
        Box::pin(async move {
            let body = packet.serialize().map_err(TransportError::ser_err)?;
            let reply = agent.post(&[], body.get().to_owned()).await;
            serde_json::from_slice(&reply.body).map_err(|error| {
                TransportErrorKind::custom_str(&format!("{error}: {}", reply.text()))
            })
        })
    }
}
