//! What happened, as evidence: exported, verified by the binary and by a program that knows only the description, decided
//! again, and tampered with.

use std::{fs, path::Path, process::Command};

use countersign_tests::{
    Operator, Setup, StoreKind, World,
    binary::{self, Said},
    config::PAYEE,
    money::usd,
    on_both_stores, place, wait,
};
use serde_json::{Value, json};

on_both_stores! {
    what_happened_is_proved_to_whoever_has_the_file,
    a_clients_word_is_never_a_decision,
}

/// The command line of an operator.
fn trace(folder: &Path, alice: &Operator, arguments: &[&str]) -> Said {
    let (admin, token) = (format!("http://{}", alice.address), alice.token.clone());
    let all = [&["trace"], arguments, &["--admin", &admin, "--token", &token]].concat();
    binary::run(folder, &all)
}

/// Without a gateway: no token, no address.
fn offline(folder: &Path, arguments: &[&str]) -> Said {
    binary::run(folder, &[&["trace"], arguments].concat())
}

/// The verifier that was written from docs/evidence.md.
fn independently(file: &Path, anchors: &[&str]) -> Said {
    let python = place::program("python3", "COUNTERSIGN_PYTHON", &place::web3py_folders());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/evidence/verify.py");
    let said = Command::new(python).arg(script).arg(file).args(anchors).output().expect("python");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Said {
        code: said.status.code().unwrap_or(-1),
        out: text(&said.stdout),
        err: text(&said.stderr),
    }
}

/// The console's own code, as a page of it runs it.
fn in_the_page(file: &Path, anchors: &[&str]) -> Said {
    let node = place::program("node", "COUNTERSIGN_NODE", &[]);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/evidence/verify_console.mjs");
    let said = Command::new(node).arg(script).arg(file).args(anchors).output().expect("node");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Said {
        code: said.status.code().unwrap_or(-1),
        out: text(&said.stdout),
        err: text(&said.stderr),
    }
}

fn done(said: Said) -> String {
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    said.out
}

/// The heads that a verification prints.
fn heads(out: &str) -> Vec<String> {
    let heads = out.lines().filter_map(|line| line.strip_prefix("head "));
    heads.filter_map(|line| Some(line.split_once(',')?.0.to_owned())).collect()
}

/// One payment, one denial, one approval, one rejection.
async fn traffic(world: &World) {
    let bot = world.bot();
    let hash = bot.send(PAYEE, &usd(10)).await.expect("allowed");
    world.anvil.receipt(&hash).await;
    bot.send(PAYEE, &usd(100_000)).await.expect_err("above every limit");
    let parked = bot.send(PAYEE, &usd(150)).await.expect_err("parked").operation();
    let alice = world.alice();
    assert_eq!(alice.approve(&parked).await.status, 200);
    wait::until("its execution", async || {
        let operation = alice.read(&format!("/operations/{parked}")).await;
        (operation["state"] == "EXECUTED").then_some(())
    })
    .await;
    let parked = bot.send(PAYEE, &usd(151)).await.expect_err("parked").operation();
    let reason = json!({"reason": "=1+1"});
    let path = format!("/pending-operations/{parked}/reject");
    assert_eq!(alice.post(&path, &reason).await.status, 200);
}

async fn what_happened_is_proved_to_whoever_has_the_file(store: StoreKind) {
    let world = World::start(Setup::new(store)).await;
    traffic(&world).await;
    let (alice, folder) = (world.alice(), world.gateway.folder());
    let file = folder.join("evidence.json");
    done(trace(folder, &alice, &["export", "--out", "evidence.json"]));
    let said = done(offline(folder, &["verify", "evidence.json"]));
    let heads = heads(&said);
    assert!(said.contains("4 of kind decision") && said.contains("1 of kind policy"), "{said}");
    assert!(said.contains("anchored in the ledger's log") && heads.len() == 1, "{said}");
    let anchored = ["verify", "evidence.json", "--anchor", &heads[0]];
    done(offline(folder, &anchored));
    let python = done(independently(&file, &[&heads[0]]));
    assert!(python.contains(&heads[0]) && python.contains("\"decision\": 4"), "{python}");
    let page = done(in_the_page(&file, &[&heads[0]]));
    assert!(page.contains(&heads[0]) && page.contains("\"decision\":4"), "{page}");
    let said = done(offline(folder, &["replay", "evidence.json"]));
    assert!(said.contains("5 decisions are decided again byte for byte, 0 differ"), "{said}");
    done(trace(folder, &alice, &["verify"]));
    let said = done(trace(folder, &alice, &["replay", "--output", "json"]));
    assert_eq!(serde_json::from_str::<Value>(&said).expect("JSON")["different"], 0, "{said}");

    // the journal goes on; its head of before stays one of its heads
    world.bot().send(PAYEE, &usd(1)).await.expect("allowed");
    done(trace(folder, &alice, &["verify", "--anchor", &heads[0]]));
    let (name, _) = heads[0].split_once(':').expect("a head");
    let other = format!("{name}:1:0x{}", "00".repeat(32));
    for (anchor, code) in [(other.as_str(), 1), ("nonsense", 2), ("nobody:1:0x00", 2)] {
        let refused = trace(folder, &alice, &["verify", "--anchor", anchor]);
        assert_eq!(refused.code, code, "{}", refused.err);
    }

    // what would have changed
    let policy = fs::read_to_string(countersign_tests::config::policy_file(folder, "bot"));
    let tighter = policy.expect("the policy");
    let tighter = tighter.replace("max: 100,", "max: 5,").replace("usd: 50", "usd: 4");
    fs::write(folder.join("tighter.yaml"), tighter).expect("written");
    let said = done(offline(folder, &["replay", "evidence.json", "--policy", "tighter.yaml"]));
    assert!(said.contains("allow -> park: 1"), "{said}");

    tampered(folder, &file, &heads[0]);
    let table = done(trace(folder, &alice, &["export", "--format", "csv"]));
    assert!(table.starts_with("\"gateway\"") && table.contains("redemption"), "{table}");
    assert!(!table.contains(",\"=") && !table.contains("\n="), "{table}");
}

/// Each line of the document in turn: changed, taken out, moved.
fn tampered(folder: &Path, file: &Path, head: &str) {
    let whole = fs::read_to_string(file).expect("the file");
    let lines: Vec<&str> = whole.lines().collect();
    let other = folder.join("tampered.json");
    let found = |text: String, what: &str| {
        fs::write(&other, text).expect("written");
        let said = offline(folder, &["verify", "tampered.json", "--anchor", head]);
        assert_eq!(said.code, 1, "{what}: {}{}", said.out, said.err);
        let said = independently(&other, &[head]);
        assert_eq!(said.code, 1, "{what}: {}{}", said.out, said.err);
    };
    for at in 0..lines.len() {
        let without: Vec<&str> =
            lines.iter().enumerate().filter(|(n, _)| *n != at).map(|(_, line)| *line).collect();
        found(without.join("\n"), "a line is missing");
        let mut changed = lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
        let middle = changed[at].len() / 2;
        let byte = changed[at].as_bytes()[middle];
        let swap = if byte == b'7' { "8" } else { "7" };
        changed[at].replace_range(middle..=middle, swap);
        found(changed.join("\n"), "a byte is changed");
        // what else may be done to a line is done in a browser
        let said = in_the_page(&other, &[head]);
        assert_eq!(said.code, 1, "a byte is changed: {}{}", said.out, said.err);
        let next = at.saturating_add(1);
        if next < lines.len() {
            let mut moved = lines.clone();
            moved.swap(at, next);
            found(moved.join("\n"), "two lines are swapped");
        }
    }
}

async fn a_clients_word_is_never_a_decision(store: StoreKind) {
    let world = World::start(Setup::new(store)).await;
    let (alice, folder) = (world.alice(), world.gateway.folder());
    let said = json!({
        "proposedAction": {"type": "transfer", "amount": "1000000000000000000000", "share": 0.1},
        "status": "executed", "reasoning": "=HYPERLINK(\"http://x\",\"y\")", "agentId": "bot",
        "validationResult": {"allowed": true}, "durationMs": 3, "signatures": ["0x00"],
    });
    let posted = alice.post("/apps/default/traces", &said).await;
    assert_eq!(posted.status, 201, "{}", posted.text());
    assert_eq!(posted.json()["attestation"], true);
    let deep = "[".repeat(60) + &"]".repeat(60);
    let deep: Value = serde_json::from_str(&deep).expect("JSON");
    let deep = json!({"proposedAction": deep, "status": "executed"});
    assert_eq!(alice.post("/apps/default/traces", &deep).await.status, 400);
    let file = folder.join("evidence.json");
    done(trace(folder, &alice, &["export", "--agent", "bot", "--out", "evidence.json"]));
    let said = done(offline(folder, &["verify", "evidence.json"]));
    assert!(said.contains("1 of kind attestation") && !said.contains("of kind decision"), "{said}");
    done(independently(&file, &[]));
    done(in_the_page(&file, &[]));
    let said = done(offline(folder, &["replay", "evidence.json"]));
    assert!(said.contains("0 decisions") && said.contains("1 are attestations"), "{said}");
    let table = done(trace(folder, &alice, &["export", "--format", "csv"]));
    assert!(table.contains("\"'=HYPERLINK"), "{table}");
    // a document for somebody else has them without their words
    done(trace(folder, &alice, &["export", "--agent", "nobody", "--out", "other.json"]));
    let said = done(offline(folder, &["verify", "other.json"]));
    assert!(
        said.contains("without their words") && !said.contains("of kind attestation"),
        "{said}"
    );
    done(independently(&folder.join("other.json"), &[]));
    done(in_the_page(&folder.join("other.json"), &[]));
}
