//! forge, unmodified and with its defaults, at an account that the gateway holds: it deploys with `forge create`, deploys and calls with
//! `forge script`, and what is refused it says so that its user can read it.
#![expect(clippy::expect_used, reason = "a failed test panics")]

use countersign_tests::{Setup, StoreKind, World, place, wait};
use serde_json::{Value, json};
use tokio::process::Command;

/// Who may deploy, with one ether at most, and what may be called of what was deployed.
const POLICY: &str = r#"
policy: bot
kind: grant
rules:
  - { id: deploy, when: { kind: deploy, value_wei: { lte: 1000000000000000000 } }, then: allow }
  - { id: count,  when: { kind: call, fn: "add(uint256 amount)", value_wei: 0 }, spend: none, then: allow }
limits:
  - { id: day,  sum: usd, per: 24h, max: 2000 }
  - { id: many, count: tx, per: 1h, max: 6 }
"#;

/// What forge says, and whether it did what it was told to.
struct Said {
    done: bool,
    out: String,
    err: String,
}

impl Said {
    /// The same; it did.
    #[track_caller]
    fn done(self) -> Self {
        assert!(self.done, "{}{}", self.out, self.err);
        self
    }

    /// All that it says; it did not.
    #[track_caller]
    fn refused(self) -> String {
        assert!(!self.done, "{}{}", self.out, self.err);
        self.out + &self.err
    }
}

/// A project of forge's before a gateway.
struct Project {
    world: World,
    folder: tempfile::TempDir,
}

impl Project {
    async fn new() -> Self {
        // a script that is run again means it
        let setup = Setup::new(StoreKind::Embedded).with(|bot| {
            bot.policy = POLICY.into();
            bot.duplicate_window = "0s";
        });
        let folder = tempfile::tempdir().expect("a folder");
        Self { world: World::start(setup).await, folder }
    }

    /// Runs forge in the project; what it writes lies in a folder of the test's.
    async fn forge(&self, command: &[&str], sender: &str, more: &[&str]) -> Said {
        let bot = self.world.bot();
        let home = self.folder.path();
        let forge = place::program("forge", "COUNTERSIGN_FORGE", &place::foundry_folders("forge"));
        let run = Command::new(forge)
            .args(command)
            .args(["--rpc-url", &bot.url(), "--broadcast", "--unlocked", sender, &bot.wallet])
            .args(more)
            .env("HOME", home)
            .env("FOUNDRY_SOLC", place::clients().join("solc.mjs"))
            .env("FOUNDRY_OUT", home.join("out"))
            .env("FOUNDRY_CACHE_PATH", home.join("cache"))
            .env("FOUNDRY_BROADCAST", home.join("broadcast"))
            .current_dir(place::clients().join("forge"))
            .kill_on_drop(true)
            .output();
        let output = tokio::time::timeout(wait::PATIENCE, run).await.expect("forge ends in time");
        let output = output.expect("forge starts");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert!(!format!("{out}{err}").contains(&bot.token), "forge shows the token: {out}{err}");
        Said { done: output.status.success(), out, err }
    }

    async fn create(&self, value: &str) -> Said {
        let create = ["create", "src/Counter.sol:Counter", "--json"];
        self.forge(&create, "--from", &["--value", value, "--constructor-args", "7"]).await
    }

    async fn script(&self, name: &str) -> Said {
        self.forge(&["script", &format!("script/Launch.s.sol:{name}")], "--sender", &[]).await
    }

    /// What a contract counted.
    async fn count(&self, address: &Value) -> Value {
        self.world
            .anvil
            .call("eth_call", json!([{"to": address, "data": "0x06661abd"}, "latest"]))
            .await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn forge_create_deploys() {
    let project = Project::new().await;
    let said = project.create("1ether").await.done();
    let said: Value = serde_json::from_str(&said.out).expect("JSON");
    let receipt =
        project.world.anvil.receipt(said["transactionHash"].as_str().expect("a hash")).await;
    assert_eq!(receipt["status"], "0x1", "{receipt}");
    let address = &said["deployedTo"];
    assert_eq!(project.count(address).await, json!(format!("0x{:064x}", 7)));
    let balance = project.world.anvil.call("eth_getBalance", json!([address, "latest"])).await;
    assert_eq!(balance, "0xde0b6b3a7640000");

    let refused = project.create("1.1ether").await.refused();
    assert!(refused.contains("User denied by policy [no_rule_allows]"), "{refused}");
    assert!(refused.contains("Nothing was sent."), "{refused}");
    assert_eq!(project.world.tap.writes(), ["eth_sendRawTransaction"]);
}

/// forge sends a refused call four times, and then says why.
#[tokio::test(flavor = "multi_thread")]
async fn forge_script_deploys_and_calls() {
    let project = Project::new().await;
    project.script("Launch").await.done();
    let run = project.folder.path().join("broadcast/Launch.s.sol/31337/run-latest.json");
    let run = std::fs::read_to_string(run).expect("what was broadcast");
    let run: Value = serde_json::from_str(&run).expect("JSON");
    let address = &run["transactions"][0]["contractAddress"];
    assert_eq!(project.count(address).await, json!(format!("0x{:064x}", 42)));
    let receipts = run["receipts"].as_array().expect("a list");
    assert!(receipts.len() == 3 && receipts.iter().all(|it| it["status"] == "0x1"), "{run}");
    assert_eq!(project.world.tap.writes(), ["eth_sendRawTransaction"; 3]);

    let refused = project.script("Undo").await.refused();
    assert!(refused.contains("User denied by policy [no_rule_allows]"), "{refused}");
    assert!(refused.contains("no rule of the policy `bot` allows this call to 0x"), "{refused}");
    assert_eq!(project.world.alice().signed().await, 4, "what came before the call, and no more");
}
