//! The console in a real browser: Debian's chromium, driven by the programs in `tests/console`. Each ends with a line of
//! JSON; what a page complains about (an exception, a violation of its policy) ends it badly.
//!
//! Pictures of the pages are kept in `tmp/console` of the target directory, to be looked at.
#![expect(clippy::expect_used, clippy::panic, reason = "a failed test panics")]

use std::{path::PathBuf, process::Stdio};

use countersign_tests::{
    Agent, Setup, StoreKind, World, binary, config, config::PAYEE, place, wait,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader},
    process::{Child, Command},
};

/// How long a program may take: it visits every page several times.
const PATIENCE: std::time::Duration = std::time::Duration::from_mins(8);

/// One person above 100 USD; two from 400; from 300 to 400 one who is quick.
const POLICY: &str = r#"# One person above 100 USD, two from 400.
policy: bot
kind: grant
for: { agent: bot, wallets: [ops-0] }
sets:
  payees: ["0x1111111111111111111111111111111111111111"]
gates:
  desk: { need: [{ any: 1, of: [desk] }], ttl: 1h }
  officers: { need: [{ any: 2, of: [alice, bob, carol] }], ttl: 1h }
  brief: { need: [{ any: 1, of: [desk] }], ttl: 10s }
rules:
  - { id: pay, when: { kind: transfer, to: { in: "@payees" } }, then: allow }
  - { id: twice, when: { kind: transfer, usd: { gte: 400 } }, then: { approve: officers }, code: second_person }
  - { id: quick, when: { kind: transfer, usd: { gte: 300, lt: 400 } }, then: { approve: brief }, code: be_quick }
limits:
  - { id: cap,   sum: usd, per: tx,  max: 500,  code: per_tx_limit_exceeded }
  - { id: large, sum: usd, per: tx,  max: 100,  code: amount_above_threshold, over: { approve: desk } }
  - { id: day,   sum: usd, per: 24h, max: 5000, code: rolling_limit_exceeded }
  - { id: calls, count: tx, per: 24h, max: 500, code: count_limit_exceeded }
"#;

async fn world() -> World {
    let setup = Setup::new(StoreKind::Embedded).with_another_agent();
    World::start(setup.with(|bot| bot.policy = POLICY.into())).await
}

fn agent(agent: &Agent) -> Value {
    json!({"token": agent.token, "wallet": agent.wallet})
}

/// A program of `tests/console` that is under way.
struct Driver {
    child: Child,
    lines: tokio::io::Lines<BufReader<tokio::process::ChildStdout>>,
}

impl Driver {
    fn start(world: &World, script: &[&str]) -> Self {
        let screens = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("console");
        std::fs::create_dir_all(&screens).expect("a folder for pictures");
        let tokens = ["alice", "bob", "carol", "vera"].map(|id| (id.to_owned(), config::token(id)));
        let told = json!({
            "admin": format!("http://{}", world.gateway.addresses.admin),
            "rpc": format!("http://{}/", world.gateway.addresses.rpc),
            "agent": agent(&world.bot()),
            "other": agent(&world.agent("other")),
            "payee": PAYEE,
            "bin": binary::countersign(),
            "folder": world.gateway.folder(),
            "tokens": std::collections::BTreeMap::from(tokens),
            "screens": screens,
        });
        let mut child = Command::new(place::program("node", "COUNTERSIGN_NODE", &[]))
            .args(script)
            .env("COUNTERSIGN_WORLD", told.to_string())
            .env("COUNTERSIGN_CHROMIUM", place::program("chromium", "COUNTERSIGN_CHROMIUM", &[]))
            .current_dir(place::checkout().join("tests/console"))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the program starts");
        let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        Self { child, lines }
    }

    /// Its next line; what it complained about where there is none.
    async fn next(&mut self) -> Value {
        let line = tokio::time::timeout(PATIENCE, self.lines.next_line());
        let line = line.await.expect("the program goes on in time").expect("its output");
        let Some(line) = line else { panic!("{}", self.complaint().await) };
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    async fn complaint(&mut self) -> String {
        let mut text = String::new();
        if let Some(mut errors) = self.child.stderr.take() {
            let _all = errors.read_to_string(&mut text).await;
        }
        text
    }

    /// Its last line, when it has ended well.
    async fn end(mut self) -> Value {
        let last = self.next().await;
        let ended = tokio::time::timeout(wait::PATIENCE, self.child.wait()).await;
        let status = ended.expect("the program ends").expect("its end");
        assert!(status.success(), "{}", self.complaint().await);
        last
    }
}

/// As [`world`], where alice and bob may change policies, and what loosens one waits a second for its time.
async fn world_of_two() -> World {
    let mut setup = Setup::new(StoreKind::Embedded).with_another_agent();
    let (bob, may) =
        ("roles: [view, approve], person: bob", "roles: [view, approve, policy], person: bob");
    setup.changes.push((bob.into(), may.into()));
    setup.changes.push(("prices:".into(), "policy_changes: { delay: 1s }\nprices:".into()));
    World::start(setup.with(|bot| (bot.policy, bot.duplicate_window) = (POLICY.into(), "0s"))).await
}

async fn drive_two(script: &[&str]) -> Value {
    let world = world_of_two().await;
    Driver::start(&world, script).end().await
}

async fn drive(script: &[&str]) -> Value {
    let world = world().await;
    Driver::start(&world, script).end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn people_decide_together_against_each_other_and_too_late() {
    drive(&["decide.mjs"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_works_from_the_keyboard() {
    drive(&["keyboard.mjs"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_accessible_in_the_light() {
    drive(&["pages.mjs", "light"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_accessible_in_the_dark() {
    drive(&["pages.mjs", "dark"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_fits_a_phone_and_a_thumb_decides() {
    drive(&["pages.mjs", "phone"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_is_narrowed_loosened_rejected_and_rolled_back() {
    drive_two(&["policies.mjs", "way"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_is_changed_from_the_keyboard() {
    drive_two(&["policies.mjs", "keys"]).await;
}

/// As [`world_of_two`], where a key is pinned, and nobody may loosen by more than a tenth.
async fn world_of_signed() -> World {
    let mut setup = Setup::new(StoreKind::Embedded).with_another_agent();
    let changes = "policy_changes: { delay: 1s, newly_allowed: 10% }\nprices:";
    setup.changes.push(("prices:".into(), changes.into()));
    let world =
        World::start(setup.with(|bot| (bot.policy, bot.duplicate_window) = (POLICY.into(), "0s")));
    let world = world.await;
    let run = |arguments: &[&str]| {
        let said = binary::run(world.gateway.folder(), arguments);
        assert_eq!(said.code, 0, "{}", said.err);
        said.out.trim().to_owned()
    };
    let key = run(&["policy", "keygen", "--out", "policy-key.pem"]);
    for file in ["policies/bot.yaml", "policies/other.yaml"] {
        run(&["policy", "sign", "--key", "policy-key.pem", "--sequence", "1", file]);
    }
    let pinned = format!("newly_allowed: 10%, keys: [\"{key}\"] }}");
    world.gateway.reconfigure("newly_allowed: 10% }", &pinned);
    wait::until("the key to count", async || {
        let path = "/api/agents/bot/policies";
        let reply = world.alice().post(path, &json!({"text": "policy: x"})).await;
        (reply.json().get("code") == Some(&json!("policy_unsigned"))).then_some(())
    })
    .await;
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn where_keys_are_pinned_a_policy_is_changed_and_rolled_back_with_a_signature() {
    let world = world_of_signed().await;
    Driver::start(&world, &["signed.mjs"]).end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn evidence_is_verified_in_the_page_and_what_was_tampered_with_is_found() {
    drive(&["evidence.mjs"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_of_a_policy_is_accessible_in_the_light() {
    drive_two(&["policies.mjs", "light"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_of_a_policy_is_accessible_in_the_dark() {
    drive_two(&["policies.mjs", "dark"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_is_changed_on_a_phone() {
    drive_two(&["policies.mjs", "phone"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_agent_writes_stays_text() {
    drive(&["hostile.mjs"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_authorised_a_transaction_is_found_in_three_steps() {
    let told = drive(&["authority.mjs"]).await;
    let steps = told.get("steps").and_then(Value::as_u64);
    assert!(steps.is_some_and(|steps| steps <= 3), "{told}");
    // the promise is two minutes for a person; a browser that needs a part of it leaves the person the rest
    let took = told.get("took_ms").and_then(Value::as_u64);
    assert!(took.is_some_and(|ms| ms < 30_000), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_other_page_acts_for_an_operator_and_a_session_ends() {
    let world = world().await;
    let mut driver = Driver::start(&world, &["intruder.mjs"]);
    assert_eq!(driver.next().await, json!({"rotate": "vera"}));
    let digest = |token: &str| hex::encode(<sha2::Sha256 as sha2::Digest>::digest(token));
    world.gateway.reconfigure(&digest(&config::token("vera")), &digest("another token of hers"));
    driver.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passkey_logs_in_until_the_configuration_has_it_no_more() {
    let world = world().await;
    let mut driver = Driver::start(&world, &["login.mjs"]);
    let made = driver.next().await;
    let without = "person: bob, groups: [desk]";
    let has = format!("person: bob, groups: [desk, keyed], passkeys: [{}]", made["passkey"]);
    world.gateway.reconfigure(without, &has);
    assert_eq!(driver.next().await, json!({"revoke": "bob"}));
    world.gateway.reconfigure(&has, without);
    driver.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_switches_work_and_a_gateway_that_is_away_is_noticed() {
    let mut world = world().await;
    let mut driver = Driver::start(&world, &["levers.mjs"]);
    assert_eq!(driver.next().await, json!({"stop": true}));
    world.gateway.kill9();
    driver.end().await;
}
