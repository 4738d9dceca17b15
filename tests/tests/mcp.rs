//! `countersign mcp`: what the official client of the Model Context Protocol sees, over standard input and output and over
//! HTTP; and what a page of a browser does not.
#![expect(clippy::expect_used, clippy::panic, reason = "a failed test panics")]

use std::{net::SocketAddr, process::Stdio, time::Duration};

use countersign_tests::{
    Agent, Setup, StoreKind, World, binary,
    config::{PAYEE, STRANGER},
    http,
    owner::Owner,
    place, wait,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    process::{Child, Command},
};

fn node() -> std::path::PathBuf {
    place::program("node", "COUNTERSIGN_NODE", &[])
}

/// Runs the official client; what it saw.
async fn client(arguments: &[&str], token: &str) -> Value {
    let mut command = Command::new(node());
    command.arg(place::clients().join("mcp.mjs")).args(arguments).env("COUNTERSIGN_TOKEN", token);
    let said = command.stderr(Stdio::inherit()).output().await.expect("the client runs");
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(!text.contains(token), "the token is told: {text}");
    let last = text.lines().last().unwrap_or_default();
    serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn url(agent: &Agent) -> String {
    format!("http://{}", agent.address)
}

/// A `countersign mcp --http`, ended with the test.
struct Served {
    address: SocketAddr,
    _process: Child,
}

async fn serve(agent: &Agent, token: Option<&str>) -> Served {
    let mut command = Command::new(binary::countersign());
    command.args(["mcp", "--http", "127.0.0.1:0", "--rpc", &url(agent)]).kill_on_drop(true);
    command.env_remove("COUNTERSIGN_TOKEN").envs(token.map(|token| ("COUNTERSIGN_TOKEN", token)));
    let mut process = command.stderr(Stdio::piped()).spawn().expect("the server runs");
    let mut lines = BufReader::new(process.stderr.take().expect("its words")).lines();
    let line = lines.next_line().await.expect("a line").expect("it says where");
    let place = line.split("http://").nth(1).and_then(|rest| rest.split('/').next());
    let address = place.and_then(|place| place.parse().ok());
    Served { address: address.unwrap_or_else(|| panic!("no address: {line}")), _process: process }
}

/// What the client has to see, whichever way it came.
fn check(seen: &Value, id: &str) {
    let at = |place: &str| seen.pointer(place).cloned().unwrap_or_default();
    assert_eq!(at("/error"), Value::Null, "{seen:#}");
    assert_eq!(at("/server/name"), json!("countersign"));
    let tools = ["budget", "simulate", "explain", "operation", "wait"];
    assert_eq!(at("/tools"), json!(tools.map(|tool| format!("countersign_{tool}"))));
    assert_eq!(at("/readOnly"), json!(true));
    assert_eq!(at("/budget/limits/0/max"), json!("1000"), "{seen:#}");
    assert_eq!(["/allow", "/park", "/deny"].map(at), ["allow", "park", "deny"].map(Value::from));
    let at = |place: &str| seen.pointer(place).cloned().unwrap_or_default();
    assert_eq!(at("/why/outcome"), json!("deny"));
    let words = at("/why/words").as_str().unwrap_or_default().to_owned();
    assert!(
        words.starts_with("It would be refused [no_rule_allows]. Nothing would be sent."),
        "{words}"
    );
    assert_eq!(at("/wrong/structuredContent/outcome"), json!("error"), "{seen:#}");
    assert_eq!(at("/operation/id"), json!(id));
    assert_eq!(at("/operation/status"), json!("PENDING_APPROVAL"));
    assert_eq!(at("/waited/finished"), json!(false));
    assert_eq!(at("/invalid/isError"), json!(true));
    assert_eq!(at("/unknown/code"), json!(-32602));
}

async fn world() -> (World, String) {
    let world = World::start(Setup::new(StoreKind::Embedded)).await;
    let parked = world.bot().send(PAYEE, "0x2c68af0bb140000").await.expect_err("it parks");
    (world, parked.operation())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_official_client_over_stdio() {
    let (world, id) = world().await;
    let bot = world.bot();
    let before = world.tap.writes();
    let program = binary::countersign().to_string_lossy().into_owned();
    let seen = client(&["stdio", &program, &url(&bot), PAYEE, STRANGER, &id], &bot.token).await;
    check(&seen, &id);
    assert_eq!(world.tap.writes(), before, "nothing is sent");
    let waiting = world.alice().list("/pending-operations").await;
    assert_eq!(waiting.len(), 1, "nothing is decided");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_official_client_over_http() {
    let (world, id) = world().await;
    let bot = world.bot();
    let own = serve(&bot, Some(&bot.token)).await;
    let place = format!("http://{}/mcp", own.address);
    let seen = client(&["http", &place, "-", PAYEE, STRANGER, &id], &bot.token).await;
    check(&seen, &id);
    let open = serve(&bot, None).await;
    let place = format!("http://{}/mcp", open.address);
    let seen = client(&["http", &place, &bot.token, PAYEE, STRANGER, &id], &bot.token).await;
    check(&seen, &id);
    let seen = client(&["http", &place, "-", PAYEE, STRANGER, &id], &bot.token).await;
    assert!(seen.get("error").is_some(), "nobody's token is used: {seen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn looking_collects_nothing_and_waiting_ends_with_the_operation() {
    let (world, id) = world().await;
    let bot = world.bot();
    let served = serve(&bot, Some(&bot.token)).await;
    let call = |name: &str, arguments: Value| {
        let params = json!({"name": name, "arguments": arguments});
        json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).to_string()
    };
    let wait = call("countersign_wait", json!({"id": id, "timeout_seconds": 30}));
    let (waited, approved) = tokio::join!(http::post(served.address, "/mcp", &[], wait), async {
        world.alice().approve(&id).await.status
    });
    assert_eq!(approved, 200);
    let finished = waited.json().pointer("/result/structuredContent/finished").cloned();
    assert_eq!(finished, Some(json!(true)), "{}", waited.text());
    // whatever was looked at: the same request again gets the result, and is not paid twice
    let look = call("countersign_operation", json!({"id": id}));
    let looked = http::post(served.address, "/mcp", &[], look).await.json();
    let hash = looked.pointer("/result/structuredContent/hash").cloned().unwrap_or_default();
    let collected = bot.send(PAYEE, "0x2c68af0bb140000").await.expect("the result");
    assert_eq!(hash, json!(collected));
    assert_eq!(world.tap.writes(), ["eth_sendRawTransaction"]);
    // another agent's token sees nothing of it
    let stranger = [("authorization", "Bearer wrong")];
    let look = call("countersign_operation", json!({"id": id}));
    let refused = http::post(served.address, "/mcp", &stranger, look).await;
    assert_eq!(refused.status, 401, "{}", refused.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_may_ask_about_any_call_that_signs() {
    let world = World::start(Setup::new(StoreKind::Embedded)).await;
    let bot = world.bot();
    let served = serve(&bot, Some(&bot.token)).await;
    let outcome = async |tool: &str, request: &Value| {
        let params = json!({"name": tool, "arguments": {"request": request}});
        let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
        let told = http::post(served.address, "/mcp", &[], call.to_string()).await.json();
        told.pointer("/result/structuredContent/outcome").cloned().unwrap_or(told)
    };
    let pay = |to: &str| json!({"to": to, "value": "0x2386f26fc10000"});
    let bundle = |to: &str| {
        json!({"method": "wallet_sendCalls", "params": [{"version": "2.0.0", "chainId": "0x7a69",
            "from": bot.wallet, "atomicRequired": false, "calls": [pay(PAYEE), pay(to)]}]})
    };
    let raw =
        json!({"method": "eth_sendRawTransaction", "params": [Owner::unknown().pays(PAYEE, 1, 0)]});
    for (request, expected) in [
        (bundle(PAYEE), "allow"),
        (bundle(STRANGER), "deny"),
        (json!({"calls": [pay(PAYEE), pay(STRANGER)]}), "deny"),
        (raw, "deny"),
    ] {
        for tool in ["countersign_simulate", "countersign_explain"] {
            assert_eq!(outcome(tool, &request).await, expected, "{tool} {request}");
        }
    }
    let read = json!({"method": "eth_call", "params": []});
    assert_eq!(outcome("countersign_explain", &read).await, "error");
    assert_eq!(world.tap.writes(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_and_strange_requests_are_turned_away() {
    let world = World::start(Setup::new(StoreKind::Embedded)).await;
    let bot = world.bot();
    let served = serve(&bot, Some(&bot.token)).await;
    let ping = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    let post = async |headers: &[(&str, &str)], body: &str| {
        http::post(served.address, "/mcp", headers, body.to_owned()).await.status
    };
    assert_eq!(post(&[], ping).await, 200);
    assert_eq!(post(&[("origin", "http://localhost:3000")], ping).await, 200);
    assert_eq!(post(&[("origin", "https://evil.example")], ping).await, 403);
    assert_eq!(post(&[("host", "evil.example")], ping).await, 421);
    assert_eq!(post(&[("mcp-protocol-version", "2025-06-18")], ping).await, 200);
    assert_eq!(post(&[("mcp-protocol-version", "1999-01-01")], ping).await, 400);
    assert_eq!(post(&[("accept", "text/html")], ping).await, 406);
    assert_eq!(post(&[], r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#).await, 202);
    // a token that nobody has is told so by every message, also where nothing is asked of the gateway
    let initialize = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25"}}"#;
    for message in [ping, initialize] {
        assert_eq!(post(&[("authorization", "Bearer nobody")], message).await, 401);
        let own = format!("Bearer {}", bot.token);
        assert_eq!(post(&[("authorization", &own)], message).await, 200);
    }
    let long = format!("\"{}\"", "a".repeat(1 << 20));
    assert_eq!(post(&[], &long).await, 413);
    assert_eq!(http::get(served.address, "/mcp", &[]).await.status, 405);
    assert_eq!(http::post(served.address, "/", &[], ping).await.status, 404);
    let text = [("content-type", "text/plain")];
    let head = http::request("POST", served.address, "/mcp", &text);
    assert_eq!(http::send(served.address, &head, ping.into()).await.status, 415);
}

/// Lines that are none, too long, or cut; a call that is taken back; and an end in the middle.
#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_is_no_message_ends_nothing() {
    let (world, id) = world().await;
    let bot = world.bot();
    let mut command = Command::new(binary::countersign());
    command.args(["mcp", "--rpc", &url(&bot)]).env("COUNTERSIGN_TOKEN", &bot.token);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut process = command.spawn().expect("the server runs");
    let mut input = process.stdin.take().expect("its input");
    let mut lines = BufReader::new(process.stdout.take().expect("its output")).lines();
    let params =
        json!({"name": "countersign_wait", "arguments": {"id": id, "timeout_seconds": 50}});
    let wait = json!({"jsonrpc": "2.0", "id": "w", "method": "tools/call", "params": params});
    let back = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "w"}});
    let ping = json!({"jsonrpc": "2.0", "id": 2, "method": "ping"});
    let text = format!("\n{{\"jsonrpc\":\n{wait}\n{back}\n{ping}\n");
    input.write_all(text.as_bytes()).await.expect("it reads");
    let mut heard = Vec::new();
    while heard.len() < 2 {
        let line = lines.next_line().await.expect("a line").expect("more lines");
        heard.push(serde_json::from_str::<Value>(&line).expect("JSON"));
    }
    assert_eq!(heard.first().and_then(|m| m.pointer("/error/code")), Some(&json!(-32700)));
    assert_eq!(heard.last(), Some(&json!({"jsonrpc": "2.0", "id": 2, "result": {}})));
    drop(input);
    let process = std::cell::RefCell::new(process);
    let ended = tokio::time::timeout(
        Duration::from_secs(20),
        wait::until("its end", async || process.borrow_mut().try_wait().expect("a state")),
    );
    assert!(ended.await.expect("what was taken back is not waited for").success());
    assert!(
        lines.next_line().await.expect("the end").is_none(),
        "what was taken back is not answered"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_finds_out_how_to_use_the_door() {
    let world = World::start(Setup::new(StoreKind::Embedded)).await;
    let rpc = world.gateway.addresses.rpc;
    let text = http::get(rpc, "/llms.txt", &[]).await;
    assert_eq!((text.status, text.header("content-type")), (200, "text/plain; charset=utf-8"));
    let kept = std::fs::read_to_string(place::checkout().join("docs/llms.txt")).expect("the page");
    assert_eq!(text.text(), kept);
    for word in ["-32002", "4001", "-32010", "countersign_simulate", "countersign_budget"] {
        assert!(kept.contains(word), "{word}");
    }
    assert_eq!(http::get(rpc, "/llms.txt", &[("host", "evil.example")]).await.status, 421);
    assert_eq!(http::get(rpc, "/", &[]).await.status, 405);
}
