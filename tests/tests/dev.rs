//! `countersign dev`: the first five minutes, by what it prints and nothing else.
#![expect(clippy::expect_used, reason = "a failed test panics")]

use std::{cell::RefCell, net::SocketAddr, path::Path, process::Command};

use countersign_tests::{
    Agent,
    binary::{self, Running},
    http,
    money::usd,
    place, wait,
};
use serde_json::json;
use tempfile::TempDir;

/// One of anvil's accounts: the example policy pays them.
const FRIEND: &str = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";

/// A running `dev` and what it printed.
struct Dev {
    process: Running,
    agent: Agent,
    operators: String,
    token: String,
}

impl Dev {
    /// Starts it with free doors; anvil comes from the PATH, as it does for a newcomer.
    async fn start(folder: &Path, doors: [SocketAddr; 2]) -> Self {
        let path = place::environment("PATH").unwrap_or_default();
        let anvil = place::program("anvil", "COUNTERSIGN_ANVIL", &place::foundry_folders("anvil"));
        let anvil = anvil.parent().expect("a program in a folder").to_path_buf();
        let folders = [anvil].into_iter().chain(std::env::split_paths(&path));
        let mut command = Command::new(binary::countersign());
        let [rpc, admin] = doors.map(|door| door.to_string());
        command.args(["dev", "--rpc", &rpc, "--admin", &admin, "--data"]).arg(folder.join("data"));
        command.env("PATH", std::env::join_paths(folders).expect("a PATH"));
        let log =
            folder.join(format!("dev-{}.log", folder.read_dir().into_iter().flatten().count()));
        let process = Running::start(&mut command, &log);
        let process = RefCell::new(process);
        wait::until("dev to be ready", async || {
            let ended = process.borrow_mut().ended();
            assert!(ended.is_none(), "dev ended: {ended:?}");
            let head = http::request("GET", doors[1], "/readyz", &[]);
            let reply = http::try_send(doors[1], &head, "".into()).await;
            reply.is_ok_and(|reply| reply.status == 200).then_some(())
        })
        .await;
        let said = wait::until("dev to say so", async || printed(&process.borrow().log())).await;
        Self { process: process.into_inner(), agent: said.0, operators: said.1, token: said.2 }
    }

    /// The command line, as an operator would use it after copying what was printed.
    fn operator(&self, arguments: &[&str]) -> String {
        let output = Command::new(binary::countersign())
            .args(arguments)
            .env("COUNTERSIGN_ADMIN", &self.operators)
            .env("COUNTERSIGN_TOKEN", &self.token)
            .output()
            .expect("countersign runs");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {error}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

/// The agents' URL with its token and wallet, the operators' URL, and the operator's token.
fn printed(log: &str) -> Option<(Agent, String, String)> {
    let after = |label: &str| {
        let line = log.lines().find_map(|line| line.trim().strip_prefix(label));
        line.map(|rest| rest.trim().to_owned())
    };
    let url = after("agents ")?;
    let (token, address) = url.strip_suffix('/')?.split_once("://")?.1.split_once('@')?;
    let token = token.split_once(':')?.1.to_owned();
    let wallet = after("wallet ")?.split(' ').next()?.to_owned();
    let agent = Agent { address: address.parse().ok()?, token, wallet };
    Some((agent, after("operators ")?, after("token ")?))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_five_minutes_go_as_they_are_printed_and_survive_a_restart() {
    let folder = TempDir::new().expect("a folder");
    let doors = [place::free_address(), place::free_address()];
    let dev = Dev::start(folder.path(), doors).await;
    let agent = dev.agent.clone();
    let accounts = agent.call("eth_accounts", json!([])).await;
    assert_eq!(accounts, Ok(json!([agent.wallet.to_lowercase()])));
    agent.send(FRIEND, &usd(50)).await.expect("50 USD at once");
    let id = agent.send(FRIEND, &usd(200)).await.expect_err("200 USD wait").operation();
    let waiting = dev.operator(&["operation", "list", "--status", "PENDING_APPROVAL"]);
    assert!(waiting.contains(&id), "{waiting}");
    let denied = agent.send(FRIEND, &usd(501)).await.expect_err("never above 500");
    assert_eq!(denied.code, 4001, "{denied:?}");

    dev.process.terminate();
    let process = RefCell::new(dev.process);
    let end = wait::until("dev to end", async || process.borrow_mut().ended()).await;
    assert_eq!(end.code(), Some(0), "a clean end");
    let again = Dev::start(folder.path(), doors).await;
    assert_eq!(again.agent.token, agent.token, "the printed URL stays true");
    let found = agent.send(FRIEND, &usd(200)).await.expect_err("still waits").operation();
    assert_eq!(found, id);
    again.operator(&["operation", "approve", &id, "--yes"]);
    wait::until("the result", async || agent.send(FRIEND, &usd(200)).await.ok()).await;
    let traces = again.operator(&["trace", "list"]);
    assert!(traces.contains("blocked") || traces.contains("denied"), "{traces}");
}
