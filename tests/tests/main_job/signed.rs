//! Where keys are pinned, a policy comes into force only with a signature, and nothing older than what was there.

use std::{fs, path::Path};

use countersign_tests::{
    Operator, Setup, StoreKind, World, binary,
    config::{self, PAYEE},
    money::usd,
    on_both_stores, wait,
};
use serde_json::{Value, json};

on_both_stores! {
    nothing_unsigned_nor_older_comes_into_force,
    a_version_of_before_the_keys_is_not_put_in_force_again,
}

const PATH: &str = "/api/agents/bot/policies";

/// Above this nothing is allowed, whatever the agent's own policy says.
const GUARD: &str =
    "policy: ceiling\nkind: guard\nlimits:\n  - { id: ceiling, sum: usd, per: tx, max: 90 }\n";

fn setup(store: StoreKind) -> Setup {
    let mut setup = Setup::new(store).with(|bot| bot.duplicate_window = "0s");
    setup.files.push(("policies/ceiling.yaml".into(), GUARD.into()));
    let may = ("roles: [view, approve], person: bob", "roles: [view, policy], person: bob");
    setup.changes.push((may.0.into(), may.1.into()));
    let anew =
        "policy_changes: { approvals: 0, delay: 0s }\nguards: [policies/ceiling.yaml]\nprices:";
    setup.changes.push(("prices:".into(), anew.into()));
    setup
}

/// The policy of the fixture, with another cap per transaction.
fn cap(setup: &Setup, usd: u32) -> String {
    let policy = setup.agents[0].policy.replace("usd: 50", "usd: 5");
    policy.replace("max: 500", &format!("max: {usd}"))
}

/// Makes a key in this folder; its public half.
fn keygen(folder: &Path) -> String {
    let made = binary::run(folder, &["policy", "keygen", "--out", "policy-key.pem"]);
    assert_eq!(made.code, 0, "{}", made.err);
    let again = binary::run(folder, &["policy", "keygen", "--out", "policy-key.pem"]);
    assert_eq!(again.code, 1, "never over another: {}", again.out);
    made.out.trim().to_owned()
}

/// Signs a file that the configuration names.
fn sign(folder: &Path, file: &str, sequence: u64) {
    let sequence = sequence.to_string();
    let key = ["policy", "sign", "--key", "policy-key.pem", "--sequence", &sequence, file];
    let signed = binary::run(folder, &key);
    assert_eq!(signed.code, 0, "{}", signed.err);
}

/// Signs a text that is sent.
fn signed(folder: &Path, text: &str, sequence: u64) -> Value {
    fs::write(folder.join("draft.yaml"), text).expect("written");
    let sequence = sequence.to_string();
    let arguments = [
        "policy",
        "sign",
        "--key",
        "policy-key.pem",
        "--app",
        "default",
        "--for",
        "agent bot",
        "--sequence",
        &sequence,
        "draft.yaml",
    ];
    let signed = binary::run(folder, &arguments);
    assert_eq!(signed.code, 0, "{}", signed.err);
    let signature = fs::read_to_string(folder.join("draft.yaml.sig")).expect("a signature");
    serde_json::from_str(&signature).expect("JSON")
}

async fn propose(who: &Operator, text: &str, signed: &Value) -> (u16, Value) {
    let reply = who.post(PATH, &json!({"text": text, "signed": signed})).await;
    (reply.status, reply.json())
}

async fn in_force(who: &Operator) -> Value {
    who.read(PATH).await["items"][0].clone()
}

async fn told(who: &Operator, code: &str, part: &str) {
    wait::until(code, async || {
        let incidents = who.list("/incidents").await;
        let is_it = |incident: &Value| {
            let text = incident["description"].as_str().unwrap_or_default();
            incident["code"] == code && text.contains(part)
        };
        incidents.iter().any(is_it).then_some(())
    })
    .await;
}

/// Pins a key, and waits until it counts.
async fn pin(world: &World, who: &Operator, key: &str) {
    let pinned = format!("delay: 0s, keys: [\"{key}\"] }}");
    world.gateway.reconfigure("delay: 0s }", &pinned);
    wait::until("the key to count", async || {
        let (status, problem) = propose(who, "policy: x", &Value::Null).await;
        (status == 403 && problem["code"] == "policy_unsigned").then_some(())
    })
    .await;
}

async fn nothing_unsigned_nor_older_comes_into_force(store: StoreKind) {
    let setup = setup(store);
    let mut world = World::start(setup.clone()).await;
    let folder = world.gateway.folder().to_path_buf();
    let (alice, bot) = (world.alice(), world.bot());
    let refused = async |amount: u128| {
        bot.send(PAYEE, &usd(amount)).await.expect_err("not allowed").text("code").to_owned()
    };
    let key = keygen(&folder);
    sign(&folder, "policies/bot.yaml", 10);
    sign(&folder, "policies/ceiling.yaml", 10);
    pin(&world, &alice, &key).await;
    // over the API
    let tight = cap(&setup, 40);
    assert_eq!(propose(&alice, &tight, &Value::Null).await.1["code"], "policy_unsigned");
    let other = signed(&folder, &cap(&setup, 41), 11);
    assert_eq!(propose(&alice, &tight, &other).await.1["code"], "signature_invalid");
    let signature = signed(&folder, &tight, 11);
    let (status, version) = propose(&alice, &tight, &signature).await;
    assert_eq!((status, &version["signed"]["sequence"]), (201, &json!(11)), "{version}");
    let activate = format!("{PATH}/{}/activate", version["version"]);
    assert_eq!(alice.post(&activate, &json!({})).await.status, 200);
    assert_eq!(refused(50).await, "per_tx_limit_exceeded");
    assert_eq!(propose(&alice, &tight, &signature).await.1["code"], "sequence_old");
    // an edited file that nobody signed, then one that is signed with an old number, then a good one
    let file = config::policy_file(&folder, "bot");
    fs::write(&file, cap(&setup, 60)).expect("written");
    told(&alice, "configuration_invalid", "not of this text").await;
    assert_eq!(in_force(&alice).await["id"], version["id"]);
    sign(&folder, "policies/bot.yaml", 11);
    told(&alice, "policy_file_old", "signed with the number 11").await;
    assert_eq!(in_force(&alice).await["id"], version["id"]);
    assert_eq!(refused(50).await, "per_tx_limit_exceeded");
    sign(&folder, "policies/bot.yaml", 12);
    wait::until("the file", async || (in_force(&alice).await["from"] == "file").then_some(()))
        .await;
    bot.send(PAYEE, &usd(55)).await.expect("as the file says");
    // a guard of before: kept out while the gateway runs, and at the next start
    let guard = folder.join("policies/ceiling.yaml");
    fs::write(&guard, GUARD.replace("90", "9000")).expect("written");
    sign(&folder, "policies/ceiling.yaml", 9);
    told(&alice, "configuration_invalid", "10 was accepted before").await;
    world.gateway.terminate();
    world.gateway.ended().await;
    let said = binary::run(&folder, &["serve", "--config", "countersign.yaml"]);
    assert_eq!(said.code, 2, "{}", said.err);
    assert!(said.err.contains("10 was accepted before"), "{}", said.err);
    fs::write(&guard, GUARD).expect("written");
    sign(&folder, "policies/ceiling.yaml", 10);
    world.gateway.restart().await;
    assert_eq!(in_force(&alice).await["from"], "file");
}

async fn a_version_of_before_the_keys_is_not_put_in_force_again(store: StoreKind) {
    let setup = setup(store);
    let mut world = World::start(setup.clone()).await;
    let folder = world.gateway.folder().to_path_buf();
    let alice = world.alice();
    let (status, unsigned) = propose(&alice, &cap(&setup, 40), &Value::Null).await;
    assert_eq!(status, 201, "without keys none is needed");
    let activate = format!("{PATH}/{}/activate", unsigned["version"]);
    assert_eq!(alice.post(&activate, &json!({})).await.status, 200);
    let (_, draft) = propose(&alice, &cap(&setup, 30), &Value::Null).await;
    let key = keygen(&folder);
    // signing the file for the first time puts it in force: there is somebody who stands behind it
    sign(&folder, "policies/bot.yaml", 1);
    sign(&folder, "policies/ceiling.yaml", 1);
    pin(&world, &alice, &key).await;
    wait::until("the signed file", async || {
        let grant = in_force(&alice).await;
        (grant["from"] == "file" && grant["id"] != unsigned["id"]).then_some(())
    })
    .await;
    let activate = format!("{PATH}/{}/activate", draft["version"]);
    let reply = alice.post(&activate, &json!({})).await;
    assert_eq!((reply.status, &reply.json()["code"]), (403, &json!("policy_unsigned")));
    let back = format!("{PATH}/{}/rollback", unsigned["version"]);
    let reply = alice.post(&back, &json!({})).await;
    assert_eq!((reply.status, &reply.json()["code"]), (403, &json!("policy_unsigned")));
    let again = signed(&folder, &cap(&setup, 40), 2);
    let reply = alice.post(&back, &json!({"signed": again})).await;
    assert_eq!(reply.status, 201, "{}", reply.text());
    world.gateway.kill9();
    world.gateway.restart().await;
    assert_eq!(in_force(&alice).await["from"], "file");
}
