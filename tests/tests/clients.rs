//! Real clients, unmodified and with their defaults: each is allowed, denied, and parked, approved and
//! collected. CLIENTS: viem, ethers, web3.py, cast and alloy.
#![expect(clippy::expect_used, clippy::panic, reason = "a failed test panics")]

use std::{
    path::PathBuf,
    task::{Context, Poll},
    time::Duration,
};

use alloy_json_rpc::{RequestPacket, ResponsePacket};
use alloy_primitives::{Address, U256};
use alloy_provider::{Provider as _, ProviderBuilder};
use alloy_rpc_client::RpcClient;
use alloy_rpc_types_eth::TransactionRequest;
use alloy_transport::{TransportError, TransportErrorKind, TransportFut};
use countersign_tests::{
    Agent, Setup, StoreKind, World, anvil, binary,
    config::{self, PAYEE, STRANGER},
    money::{USD, usd},
    place, wait,
};
use serde_json::{Value, json};
use tokio::process::Command;
use tower::Service;

/// The account whose owner signs.
const OWNED: usize = 2;

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

/// The same for a client that has the key of its account: what it signs is judged before it is sent.
async fn check_owner(client: impl AsyncFn(Agent, &str, u128) -> Shown) {
    let world = World::start(Setup::new(StoreKind::Embedded).with_owner_of(OWNED)).await;
    let (_, wallet) = anvil::ACCOUNTS.get(OWNED).expect("one of anvil's accounts");
    let owner = Agent { wallet: (*wallet).to_owned(), ..world.bot() };
    let send = async |to: &str, usd: u128| client(owner.clone(), to, usd.saturating_mul(USD)).await;

    let hash = send(PAYEE, 50).await.expect("an allowed send");
    let receipt = world.anvil.receipt(&hash).await;
    assert_eq!(receipt.get("from").and_then(Value::as_str), Some(wallet.to_lowercase().as_str()));

    let refused = send(STRANGER, 1).await.expect_err("a stranger");
    assert!(refused.contains("User denied by policy [no_rule_allows]"), "{refused}");
    let parked = send(PAYEE, 200).await.expect_err("above the threshold");
    assert!(parked.contains("Waiting for approval [amount_above_threshold]"), "{parked}");
    let id = world.alice().list("/pending-operations").await;
    let id = id.first().and_then(|item| item.get("id")?.as_str()).expect("one operation waits");
    assert_eq!(world.alice().approve(id).await.status, 200);
    wait::until("the approved operation to be paid", async || {
        (world.anvil.balance(PAYEE).await == 250 * USD).then_some(())
    })
    .await;
    assert_eq!(world.tap.writes(), ["eth_sendRawTransaction"; 2]);
    assert_eq!(world.alice().list("/incidents").await, Vec::<Value>::new());
}

/// Runs one of the programs in `tests/clients` with a key of its own.
async fn run_owner(program: PathBuf, script: &[&str], agent: Agent, to: &str, wei: u128) -> Shown {
    let (key, _) = anvil::ACCOUNTS.get(OWNED).expect("one of anvil's accounts");
    let arguments = [&agent.url(), &agent.wallet, to, &wei.to_string()];
    let shown = last_line(program, script, &arguments, &[("OWN_KEY", key)]).await;
    assert!(!shown.to_string().contains(&agent.token), "the client shows the token: {shown}");
    told(&shown)
}

/// Runs one of the programs in `tests/clients`.
async fn run(program: PathBuf, script: &[&str], agent: Agent, to: &str, wei: u128) -> Shown {
    let arguments = [&agent.url(), &agent.wallet, to, &wei.to_string()];
    let shown = last_line(program, script, &arguments, &[]).await;
    assert!(!shown.to_string().contains(&agent.token), "the client shows the token: {shown}");
    told(&shown)
}

/// Runs one of those that speak WebSocket.
async fn run_socket(program: PathBuf, script: &str, agent: Agent, to: &str, wei: u128) -> Shown {
    let arguments = [&agent.socket_url(), &agent.wallet, to, &wei.to_string()];
    told(&last_line(program, &[script], &arguments, &[]).await)
}

fn told(shown: &Value) -> Shown {
    let field = |name: &str| shown.get(name).and_then(Value::as_str).map(str::to_owned);
    field("hash").ok_or_else(|| field("error").unwrap_or_default())
}

async fn last_line(
    program: PathBuf,
    script: &[&str],
    arguments: &[&str],
    environment: &[(&str, &str)],
) -> Value {
    let output = Command::new(program)
        .args(script)
        .args(arguments)
        .env("COUNTERSIGN_CAST", cast())
        .envs(environment.iter().copied())
        .current_dir(place::clients())
        .kill_on_drop(true)
        .output();
    let output =
        tokio::time::timeout(wait::PATIENCE, output).await.expect("the client ends in time");
    let output = output.expect("the client starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let last = text.lines().last().and_then(|line| serde_json::from_str::<Value>(line).ok());
    last.unwrap_or_else(|| panic!("{text}{}", String::from_utf8_lossy(&output.stderr)))
}

/// A contract that logs one topic, whatever it is called with.
const TALKATIVE: (&str, &str) =
    ("0x4444444444444444444444444444444444444444", "0x600760006000a100");

/// Pays, and signs texts.
const POLICY: &str = "
policy: bot
kind: grant
rules:
  - { id: all, when: { kind: [transfer, text] }, then: allow }
";

/// Lets a client hear of a head and of a log, sign, and send, all over one connection.
async fn hears(program: PathBuf, script: &str) {
    let setup = Setup::new(StoreKind::Embedded).with(|bot| bot.policy = POLICY.into());
    let world = World::start(setup).await;
    let (address, code) = TALKATIVE;
    world.anvil.call("anvil_setCode", json!([address, code])).await;
    let bot = world.bot();
    let url = bot.socket_url();
    let (script, arguments) = ([script], [&url, &bot.wallet, PAYEE, "1000", address]);
    let client = last_line(program, &script, &arguments, &[]);
    // something happens until the client has heard it
    let happening = async {
        let [.., (_, from)] = anvil::ACCOUNTS;
        let call = json!([{"from": from, "to": address}]);
        loop {
            world.anvil.call("eth_sendTransaction", call.clone()).await;
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    let shown = tokio::select! {
        shown = client => shown,
        () = happening => Value::Null,
    };
    world.anvil.receipt(&told(&shown).expect("a hash")).await;
    let field = |name: &str| shown.get(name).cloned().unwrap_or_default();
    assert!(field("head").as_u64().is_some_and(|number| number > 0), "{shown}");
    assert_eq!(field("log"), format!("0x{:064x}", 7), "{shown}");
    let signer = field("signer");
    assert!(signer.as_str().is_some_and(|it| it.eq_ignore_ascii_case(&bot.wallet)), "{shown}");
    assert_eq!(world.tap.writes(), ["eth_sendRawTransaction"], "no node hears of subscriptions");
}

#[tokio::test(flavor = "multi_thread")]
async fn viem_over_websocket() {
    check(async |agent, to: &str, wei| run_socket(node(), "ws_viem.mjs", agent, to, wei).await)
        .await;
    hears(node(), "ws_viem.mjs").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ethers_over_websocket() {
    check(async |agent, to: &str, wei| run_socket(node(), "ws_ethers.mjs", agent, to, wei).await)
        .await;
    hears(node(), "ws_ethers.mjs").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn web3_py_over_websocket() {
    let script = "ws_web3py.py";
    check(async |agent, to: &str, wei| run_socket(python(), script, agent, to, wei).await).await;
    hears(python(), script).await;
}

fn python() -> PathBuf {
    place::program("python", "COUNTERSIGN_PYTHON", &place::web3py_folders())
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

/// `getCapabilities`, `sendCalls`, `getCallsStatus` and `waitForCallsStatus`, as they are.
#[tokio::test(flavor = "multi_thread")]
async fn viem_calls() {
    let world = World::start(Setup::new(StoreKind::Embedded)).await;
    let send = async |to: &str, usd: u128| {
        run(node(), &["viem_calls.mjs"], world.bot(), to, usd.saturating_mul(USD)).await
    };
    let last = send(PAYEE, 51).await.expect("an allowed bundle");
    world.anvil.receipt(&last).await;
    assert_eq!(world.anvil.balance(PAYEE).await, 51 * USD);
    let refused = send(STRANGER, 2).await.expect_err("a stranger");
    assert!(refused.contains("User denied by policy [no_rule_allows]"), "{refused}");
    let parked = send(PAYEE, 200).await.expect_err("above the threshold, as a sum");
    assert!(parked.contains("Waiting for approval [amount_above_threshold]"), "{parked}");
    let id = world.alice().list("/pending-operations").await;
    let id = id.first().and_then(|item| item.get("id")?.as_str()).expect("one operation waits");
    assert_eq!(world.alice().approve(id).await.status, 200);
    wait::until("the approved bundle to be paid", async || {
        (world.anvil.balance(PAYEE).await == 251 * USD).then_some(())
    })
    .await;
    let collected = send(PAYEE, 200).await.expect("the result of the approved bundle");
    world.anvil.receipt(&collected).await;
    assert_eq!(world.anvil.balance(PAYEE).await, 251 * USD, "paid once");
    assert_eq!(world.tap.writes(), ["eth_sendRawTransaction"; 4]);
}

#[tokio::test(flavor = "multi_thread")]
async fn ethers() {
    check(async |agent, to: &str, wei| run(node(), &["ethers.mjs"], agent, to, wei).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn web3_py() {
    check(async |agent, to: &str, wei| run(python(), &["web3py.py"], agent, to, wei).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cast_send() {
    let script = place::clients().join("cast.sh");
    check(async |agent, to: &str, wei| run(script.clone(), &[], agent, to, wei).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn viem_with_its_own_key() {
    check_owner(async |agent, to: &str, wei| {
        run_owner(node(), &["viem.mjs"], agent, to, wei).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ethers_with_its_own_key() {
    let client =
        async |agent, to: &str, wei| run_owner(node(), &["ethers.mjs"], agent, to, wei).await;
    check_owner(client).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn web3_py_with_its_own_key() {
    let python = place::program("python", "COUNTERSIGN_PYTHON", &place::web3py_folders());
    let client = async |agent, to: &str, wei| {
        run_owner(python.clone(), &["web3py.py"], agent, to, wei).await
    };
    check_owner(client).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cast_send_with_its_own_key() {
    let script = place::clients().join("cast.sh");
    check_owner(async |agent, to: &str, wei| run_owner(script.clone(), &[], agent, to, wei).await)
        .await;
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

/// The account whose key bob approves with: no wallet of the gateway.
const APPROVER: usize = 2;

/// The gate of the one policy asks for this, and bob has what it asks for.
fn signed(sign: &str, has: &str) -> Setup {
    let mut setup = Setup::new(StoreKind::Embedded).with(|bot| {
        let gate = "{ need: [{ any: 1, of: [alice, bob, carol] }], ttl: 1h }";
        assert!(bot.policy.contains(gate), "the gate is written otherwise now");
        let signed =
            format!("{{ need: [{{ any: 1, of: [alice, bob, carol] }}], sign: {sign}, ttl: 1h }}");
        bot.policy = bot.policy.replace(gate, &signed);
    });
    let bob = "roles: [view, approve], person: bob, groups: [desk]";
    setup.changes.push((bob.into(), format!("{bob}, {has}")));
    setup
}

/// Parks 200 USD and says which operation waits.
async fn parked(world: &World) -> String {
    let parked = world.bot().send(PAYEE, &usd(200)).await;
    parked.expect_err("above the threshold").operation()
}

/// Lets somebody approve with a key of their own; a token alone, and the same key for another, are worth nothing.
async fn check_approver(script: &str) {
    let (key, address) = anvil::ACCOUNTS.get(APPROVER).expect("one of anvil's accounts");
    let world = World::start(signed("ethereum", &format!("address: \"{address}\""))).await;
    let id = parked(&world).await;
    let refused = world.operator("bob").approve(&id).await;
    assert_eq!(refused.status, 403, "{}", refused.text());
    let refused = refused.json();
    assert_eq!(refused.get("code"), Some(&json!("signature_required")));
    assert_eq!(refused.get("accepts"), Some(&json!(["ethereum"])));
    let admin = format!("http://{}", world.gateway.addresses.admin);
    let token = config::token("bob");
    let shown = last_line(node(), &[script], &[&admin, &token, &id, key], &[]).await;
    assert_eq!(shown.get("kept"), Some(&json!(true)), "{shown}");
    let signer = shown.get("signer").and_then(Value::as_str).unwrap_or_default();
    assert!(signer.eq_ignore_ascii_case(address), "{shown}");
    wait::until("the approved operation to be paid", async || {
        (world.anvil.balance(PAYEE).await == 200 * USD).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn viem_approves_with_a_key_of_its_own() {
    check_approver("approve_viem.mjs").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ethers_approves_with_a_key_of_its_own() {
    check_approver("approve_ethers.mjs").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_approves_with_a_key_file() {
    let (key, address) = anvil::ACCOUNTS.get(APPROVER).expect("one of anvil's accounts");
    let world = World::start(signed("ethereum", &format!("address: \"{address}\""))).await;
    let id = parked(&world).await;
    let folder = world.gateway.folder();
    for (name, text) in [("plain.key", *key), ("me.password", "correct horse battery staple")] {
        std::fs::write(folder.join(name), text).expect("written");
    }
    let (password, out) = ("me.password", "me.json");
    let import = ["key", "import", "--private-key-file", "plain.key", "--password-file", password];
    assert_eq!(binary::run(folder, &[&import[..], &["--out", out]].concat()).code, 0);
    let admin = format!("http://{}", world.gateway.addresses.admin);
    let token = config::token("bob");
    let approve = |more: &[&str]| {
        let command = ["operation", "approve", &id, "--yes", "--admin", &admin, "--token", &token];
        binary::run(folder, &[&command[..], more].concat())
    };
    let refused = approve(&[]);
    assert_eq!(refused.code, 1, "{}{}", refused.out, refused.err);
    assert!(refused.err.contains("signature_required"), "{}", refused.err);
    let other = ["--key-file", "keys/ops-0.json", "--password-file", "keys/ops-0.password"];
    let refused = approve(&other);
    assert!(refused.err.contains("signature_invalid"), "{}{}", refused.out, refused.err);
    let said = approve(&["--key-file", out, "--password-file", password]);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    assert!(said.err.contains(address), "it says whose key signed: {}", said.err);
    wait::until("the approved operation to be paid", async || {
        (world.anvil.balance(PAYEE).await == 200 * USD).then_some(())
    })
    .await;
}

/// A passkey of either kind approves; what its authenticator or its browser does wrong approves nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_passkey_approves() {
    for kind in ["p256", "ed25519"] {
        let script = "approve_passkey.mjs";
        let credential = last_line(node(), &[script], &["make", kind], &[]).await;
        let (id, public_key) = (&credential["id"], &credential["public_key"]);
        let has = format!("passkeys: [{{ id: {id}, public_key: {public_key} }}]");
        let world = World::start(signed("[ethereum, passkey]", &has)).await;
        let admin = format!("http://{}", world.gateway.addresses.admin);
        let token = config::token("bob");
        let approve = async |operation: &str, credential: &Value, word: &str| {
            let credential = credential.to_string();
            let arguments = ["approve", &admin, &token, operation, &credential, word];
            last_line(node(), &[script], &arguments, &[]).await
        };
        let first = parked(&world).await;
        let other = last_line(node(), &[script], &["make", kind], &[]).await;
        let forged =
            json!({"id": id, "public_key": public_key, "private_key": other["private_key"]});
        for (credential, word) in [
            (&credential, "origin"),
            (&credential, "party"),
            (&credential, "challenge"),
            (&credential, "flags"),
            (&credential, "absent"),
            (&credential, "ceremony"),
            (&other, "1"),
            (&forged, "1"),
        ] {
            let said = approve(&first, credential, word).await;
            assert_eq!(said["http"], json!(403), "{word}: {said}");
            assert_eq!(said["code"], json!("signature_invalid"), "{word}: {said}");
        }
        let said = approve(&first, &credential, "7").await;
        assert_eq!(said["http"], json!(200), "{said}");
        assert_eq!((&said["listed"], &said["holds"]), (&json!(true), &json!(true)), "{said}");
        wait::until("the approved operation to be paid", async || {
            (world.anvil.balance(PAYEE).await == 200 * USD).then_some(())
        })
        .await;
        // a copy of the authenticator stands where it was copied
        let (bot, key) = (world.bot(), [("idempotency-key", "next")]);
        let next = bot.send_with(&key, PAYEE, &usd(200)).await;
        let second = next.expect_err("above the threshold").operation();
        let copied = approve(&second, &credential, "7").await;
        assert_eq!(copied["code"], json!("signature_invalid"), "{copied}");
        assert_eq!(approve(&second, &credential, "8").await["http"], json!(200));
    }
}

/// What each row of `login_passkey.mjs` is answered.
fn answered_alike(told: &Value) {
    let answers = |http: u16, code: &str| json!({"http": http, "code": code});
    let invalid = answers(403, "signature_invalid");
    let over = answers(410, "challenge_over");
    for (row, expected) in [
        ("first", answers(201, "in")),
        ("replayed", over.clone()),
        ("the same count", invalid.clone()),
        ("a lower count", invalid.clone()),
        ("no count any more", invalid.clone()),
        ("another origin", invalid.clone()),
        ("another port", invalid.clone()),
        ("another party", invalid.clone()),
        ("not verified", invalid.clone()),
        ("not present", invalid.clone()),
        ("another ceremony", invalid.clone()),
        ("an own challenge", over.clone()),
        ("a bent challenge", over.clone()),
        ("an approval's digest", over.clone()),
        ("no challenge", over),
        ("unknown", answers(401, "unauthorised")),
        ("forged", answers(401, "unauthorised")),
        ("unknown, another origin", invalid.clone()),
        ("unknown, not verified", invalid),
        ("that challenge from elsewhere", answers(201, "in")),
    ] {
        let found = told.get("rows").and_then(|rows| rows.get(row));
        assert_eq!(found, Some(&expected), "{row}: {told}");
    }
}

/// A passkey opens a session of the console, and nothing that only looks like one does.
#[tokio::test(flavor = "multi_thread")]
async fn a_passkey_opens_a_session() {
    let make = async |kind| last_line(node(), &["approve_passkey.mjs"], &["make", kind], &[]).await;
    for kind in ["p256", "ed25519"] {
        let (credential, other) = (make(kind).await, make(kind).await);
        let (id, public_key) = (&credential["id"], &credential["public_key"]);
        let has = format!("passkeys: [{{ id: {id}, public_key: {public_key} }}]");
        let world = World::start(signed("passkey", &has)).await;
        let waiting = parked(&world).await;
        let shown =
            world.operator("bob").get(&format!("/pending-operations/{waiting}")).await.json();
        let digest = shown["digest"].as_str().unwrap_or_default();
        let admin = format!("http://{}", world.gateway.addresses.admin);
        let (credential, other) = (credential.to_string(), other.to_string());
        let arguments = [admin.as_str(), &credential, &other, digest];
        let told = last_line(node(), &["login_passkey.mjs"], &arguments, &[]).await;
        answered_alike(&told);
        assert_eq!(told["who"]["operator"], json!("bob"), "{told}");
        assert_eq!(told["asked"]["allowCredentials"], json!([]), "{told}");
        assert_eq!(
            told["asked"]["challenge"],
            json!(56),
            "no approval has one of that length: {told}"
        );
        assert_eq!(told["told_alike"], json!(true), "{told}");
        assert_eq!(told["both"], json!([201, 410]), "{told}");
        assert_eq!(told["malformed"], json!(vec![400; 6]), "{told}");
        assert_eq!(told["failed"], json!(vec![401; 10]), "{told}");
        let waits = json!({"http": 429, "code": "too_many_attempts"});
        assert_eq!(told["waits"], json!([waits, waits]), "{told}");
        // it was a login: what waits for a signature waits still
        let shown =
            world.operator("bob").get(&format!("/pending-operations/{waiting}")).await.json();
        assert_eq!(
            (&shown["status"], &shown["votes"]),
            (&json!("PENDING_APPROVAL"), &json!([])),
            "{shown}"
        );
    }
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
