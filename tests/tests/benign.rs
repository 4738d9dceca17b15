//! What honest agents do, as data: each row of `tests/vectors/benign` goes through the real door of the real binary, under a policy
//! that an operator would write for it, and has to happen. Not one may be refused.
#![expect(clippy::expect_used, clippy::panic, reason = "a failed test panics")]

use std::{collections::BTreeSet, fs, path::Path, time::Duration};

use countersign_tests::{Setup, StoreKind, World, anvil, config::TOKEN, place};
use serde_json::Value;
use tokio::process::Command;

/// All rows of a file together: each waits for a block, or for a signature.
const ROWS_TIME: Duration = Duration::from_mins(4);

/// Somebody else on the chain: makes what the rows find, and brings signatures to contracts.
const OTHER_ACCOUNT: usize = 2;

/// The file that stands beside the rows.
fn vector(name: &str) -> String {
    let file = place::checkout().join("tests/vectors/benign").join(name);
    fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// A gateway whose configuration names the contracts of the rows.
async fn world() -> World {
    let mut setup = Setup::new(StoreKind::Embedded).with(|bot| {
        bot.policy = vector("policy.yaml");
        bot.duplicate_window = "0s";
    });
    let one_token =
        format!("    tokens: [ {{ id: usdc, address: \"{TOKEN}\", decimals: 6, price: USD }} ]");
    setup.changes.push((one_token, vector("chain.yaml").trim_end().to_owned()));
    setup.changes.push(("USD: \"1\"".into(), "USD: \"1\", ITEM: \"20\"".into()));
    World::start(setup).await
}

async fn program(script: &str, arguments: &[&str]) -> Value {
    let run = Command::new(place::program("node", "COUNTERSIGN_NODE", &[]))
        .arg(script)
        .args(arguments)
        .current_dir(place::clients())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(ROWS_TIME, run).await.expect("it ends in time");
    let output = output.expect("it starts");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    serde_json::from_slice(&output.stdout).expect("it says JSON")
}

/// Every row of a file happens; what may be signed for is signed for once.
async fn happens(file: &str, rows_min: usize) {
    let world = world().await;
    let bot = world.bot();
    let node = format!("http://{}", world.anvil.address());
    let (_, other) = anvil::ACCOUNTS.get(OTHER_ACCOUNT).expect("one of anvil's accounts");
    let arguments = [bot.url().as_str(), &node, &bot.wallet, other, file].map(str::to_owned);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let said = program("benign.mjs", &arguments).await;
    let failures = said.get("failures").and_then(Value::as_array).expect("a list");
    let failures: Vec<&str> = failures.iter().filter_map(Value::as_str).collect();
    assert!(failures.is_empty(), "{} refused:\n{}", failures.len(), failures.join("\n"));
    let rows = said.get("rows").and_then(Value::as_u64).expect("how many");
    assert!(usize::try_from(rows).is_ok_and(|rows| rows >= rows_min), "only {rows} rows ran");
    assert!(world.alice().signed().await >= rows_min, "each leaves a signature");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_honest_agents_send_is_mined() {
    happens("transactions.json", 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_honest_agents_sign_is_theirs_and_works() {
    happens("signatures.json", 61).await;
}

/// The code that lies beside the rows is what their source compiles to.
#[tokio::test(flavor = "multi_thread")]
async fn the_contracts_of_the_rows_are_what_their_source_says() {
    let committed: Value = serde_json::from_str(&vector("contracts.json")).expect("JSON");
    assert!(program("contracts.mjs", &[]).await == committed, "run contracts.mjs again");
}

/// The rows of a file of vectors.
fn rows(file: &Path) -> Vec<Value> {
    let text =
        fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let read: Value = serde_json::from_str(&text).expect("JSON");
    read.get("rows").and_then(Value::as_array).cloned().unwrap_or_default()
}

/// What a row does, whatever the amounts: rows that differ only in numbers, in which token, in which payee, or in which contract is
/// allowed something are one deed; so are texts of the same letters and signs.
fn deed(value: &Value, name: &str) -> Value {
    const UNSAID: [&str; 5] = ["id", "title", "effect", "used", "makes"];
    match value {
        Value::Object(members) => members
            .iter()
            .filter(|(name, _)| !UNSAID.contains(&name.as_str()))
            .map(|(name, value)| (name.clone(), deed(value, name)))
            .collect(),
        Value::Array(items) => items.iter().map(|item| deed(item, name)).collect(),
        Value::String(text) => deed_of_text(text, name).into(),
        Value::Number(_) => "number".into(),
        Value::Bool(_) | Value::Null => value.clone(),
    }
}

fn deed_of_text(text: &str, name: &str) -> String {
    let number = text.strip_prefix("0x").unwrap_or(text).chars().all(|it| it.is_ascii_hexdigit());
    match (name, text) {
        ("fn" | "primaryType" | "name" | "type" | "types" | "kind", _) => text.to_owned(),
        ("deploy", _) => "contract".into(),
        ("text", _) => {
            let plain = |it: char| it.is_ascii_alphanumeric() || [' ', '.', ','].contains(&it);
            let pieces = text.split(plain).filter(|piece| !piece.is_empty());
            pieces.collect::<Vec<_>>().join(" ")
        }
        (_, "$usdc" | "$eurc" | "$weth" | "$dai") => "token".into(),
        (_, "$payee" | "$friend") => "payee".into(),
        ("to", _) | (_, "$self" | "$none" | "$soon") => text.to_owned(),
        _ if text.starts_with('$') => "contract".into(),
        _ if number => "number".into(),
        _ => text.to_owned(),
    }
}

/// Nothing is safe here only because it refuses: what has to happen is as much as what must not.
#[test]
fn there_are_as_many_honest_deeds_as_attacks() {
    let folder = place::checkout().join("tests/vectors");
    let listed = fs::read_to_string(folder.join("judgement.ids")).expect("the list of ids");
    let listed: BTreeSet<&str> = listed.split_whitespace().collect();
    let files = folder.read_dir().expect("the vectors").flatten().map(|entry| entry.path());
    let tables = files.filter(|file| file.extension().is_some_and(|it| it == "json"));
    let attacks: Vec<Value> = tables.flat_map(|file| rows(&file)).collect();
    let id = |row: &Value| row.get("id").and_then(Value::as_str).map(str::to_owned);
    let is_listed = |row: &&Value| id(row).is_some_and(|id| listed.contains(id.as_str()));
    let attacks = attacks.iter().filter(is_listed).count();
    let honest = ["transactions.json", "signatures.json"];
    let honest: Vec<Value> =
        honest.iter().flat_map(|name| rows(&folder.join("benign").join(name))).collect();
    let ids: BTreeSet<_> = honest.iter().map(id).collect();
    assert_eq!(ids.len(), honest.len(), "each row has an id of its own");
    let deeds: BTreeSet<String> = honest.iter().map(|row| deed(row, "").to_string()).collect();
    println!(
        "{attacks} rows of {} attacks; {} honest rows, {} of them different deeds",
        listed.len(),
        honest.len(),
        deeds.len()
    );
    assert!(attacks >= listed.len(), "the attacks are not found");
    assert!(deeds.len() >= attacks, "{} honest deeds for {attacks} rows", deeds.len());
}
