//! A pact begins with a yes where it asks for one, and has an end: its count, its time, or somebody's word. Both are in
//! the books, not in a process.

use countersign_tests::{
    Agent, Gateway, Operator, Setup, StoreKind, World,
    config::{self, Addresses, PAYEE},
    money::{USD, usd},
    on_both_stores, wait,
};
use serde_json::{Value, json};

on_both_stores! {
    a_pact_is_completed_by_its_count_and_stays_so_over_a_crash,
    a_pact_waits_for_a_yes_and_is_over_with_a_word_and_both_outlive_a_crash,
    a_pact_that_was_rejected_never_begins,
}

fn pact(conditions: &str) -> String {
    format!(
        "policy: bot-pact
intent: Pay one contractor.
for: {{ agent: bot }}
policies:
  - name: pay
    type: transfer
    rules: {{ when: {{ destination_address_in: [\"{PAYEE}\"] }}, deny_if: {{ amount_usd_gt: \"400\" }} }}
{conditions}
"
    )
}

async fn state(world: &World) -> Value {
    let policies = world.alice().list("/api/agents/bot/policies").await;
    policies[0]["state"].clone()
}

async fn a_pact_is_completed_by_its_count_and_stays_so_over_a_crash(store: StoreKind) {
    let text = pact("completion_conditions: [{ type: tx_count, threshold: \"2\" }]");
    let mut world = World::start(Setup::new(store).with(|bot| bot.policy = text)).await;
    let bot = world.bot();
    // another kind of operation is not in the pact at all
    let call = json!([{"from": bot.wallet, "to": PAYEE, "data": "0x12345678", "gas": "0x186a0"}]);
    let outside = bot.call("eth_sendTransaction", call).await.expect_err("no call is in it");
    assert_eq!(outside.text("code"), "no_rule_allows");
    assert_eq!(state(&world).await, "active");
    for amount in [10, 11] {
        bot.send(PAYEE, &usd(amount)).await.expect("within the pact");
    }
    wait::until("completion", async || (state(&world).await == "completed").then_some(())).await;
    for _ in 0..2 {
        let over = world.bot().send(PAYEE, &usd(12)).await.expect_err("the pact is completed");
        assert_eq!((over.code, over.text("code")), (4001, "grant_completed"));
        let trace = world.alice().traces("status=blocked&limit=1").await.remove(0);
        assert_eq!(trace["blockedBy"], "completion-tx_count");
        let verdicts = trace["policyVerdicts"].to_string();
        assert!(verdicts.contains("bot-pact"), "the pact is named: {verdicts}");
        world.gateway.kill9();
        world.gateway.restart().await;
    }
    assert_eq!(state(&world).await, "completed");
    assert_eq!(world.anvil.balance(PAYEE).await, 21 * USD);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_ends_a_pact_while_the_gateway_runs() {
    let text = pact("expires_at: 2099-01-01T00:00:00Z");
    let world = World::start(Setup::new(StoreKind::Embedded).with(|bot| bot.policy = text)).await;
    world.bot().send(PAYEE, &usd(10)).await.expect("within the pact");
    let file = config::policy_file(world.gateway.folder(), "bot");
    std::fs::write(&file, pact("expires_at: 2026-01-01T00:00:00Z")).expect("written");
    wait::until("the end", async || (state(&world).await == "expired").then_some(())).await;
    let over = world.bot().send(PAYEE, &usd(11)).await.expect_err("the pact is over");
    assert_eq!((over.code, over.text("code")), (4001, "grant_expired"));
    // what began nobody knows when is not in force
    let conditions = "completion_conditions: [{ type: time_elapsed, threshold: \"3600\" }]";
    std::fs::write(&file, pact(conditions)).expect("written");
    let waits = async || (state(&world).await == "pending_approval").then_some(());
    wait::until("a pact without a beginning", waits).await;
    let not_yet = world.bot().send(PAYEE, &usd(12)).await.expect_err("it has not begun");
    assert_eq!((not_yet.code, not_yet.text("code")), (4001, "grant_pending"));
    // the owner says since when
    std::fs::write(&file, pact(&format!("{conditions}\nstarts: 2026-01-01T00:00:00Z")))
        .expect("written");
    wait::until("its time", async || (state(&world).await == "completed").then_some(())).await;
    let over = world.bot().send(PAYEE, &usd(13)).await.expect_err("its hour is over");
    assert_eq!((over.code, over.text("code")), (4001, "grant_completed"));
}

/// A pact that asks for a yes and lasts an hour from then.
fn asking() -> String {
    pact("completion_conditions: [{ type: time_elapsed, threshold: \"3600\" }]")
}

async fn say(who: &Operator, verb: &str, body: &Value) -> (u16, Value) {
    let grant = who.list("/api/agents/bot/policies").await.remove(0);
    let id = grant["id"].as_str().expect("an id");
    let reply = who.post(&format!("/api/agents/bot/policies/{id}/{verb}"), body).await;
    (reply.status, reply.json())
}

async fn refused(world: &World, amount: u128) -> String {
    let error = world.bot().send(PAYEE, &usd(amount)).await.expect_err("not in force");
    assert_eq!(error.code, 4001, "{error:?}");
    error.text("code").to_owned()
}

async fn a_pact_waits_for_a_yes_and_is_over_with_a_word_and_both_outlive_a_crash(store: StoreKind) {
    let setup = Setup::new(store).with(|bot| {
        bot.policy = asking();
        bot.owner = "alice";
    });
    let mut world = World::start(setup).await;
    assert_eq!(refused(&world, 10).await, "grant_pending");
    let (status, problem) = say(&world.operator("vera"), "approve", &json!({})).await;
    assert_eq!((status, &problem["code"]), (403, &json!("role_missing")));
    // the owner of the agent says yes: it is their own mandate
    let (status, grant) = say(&world.alice(), "approve", &json!({"note": "go on"})).await;
    let approved = &grant["approved"];
    assert_eq!(
        (status, &grant["state"], &grant["in_force"]),
        (200, &json!("active"), &json!(true))
    );
    assert_eq!((&approved["by"], &approved["note"]), (&json!("alice"), &json!("go on")));
    world.gateway.kill9();
    world.gateway.restart().await;
    world.bot().send(PAYEE, &usd(11)).await.expect("within the pact");
    let again = say(&world.alice(), "approve", &json!({})).await;
    assert_eq!((again.0, &again.1["approved"]), (200, approved), "the first yes stands");
    let trace = world.alice().traces("limit=1").await.remove(0);
    assert_eq!(trace["facts"]["pact"]["approved"]["by"], "alice", "each decision says who");
    let (status, grant) = say(&world.alice(), "revoke", &json!({"reason": "done"})).await;
    assert_eq!(
        (status, &grant["state"], &grant["in_force"]),
        (200, &json!("revoked"), &json!(false))
    );
    assert_eq!((&grant["approved"], &grant["revoked"]["note"]), (approved, &json!("done")));
    for amount in [12, 13] {
        assert_eq!(refused(&world, amount).await, "grant_revoked");
        world.gateway.kill9();
        world.gateway.restart().await;
    }
    let (status, problem) = say(&world.alice(), "approve", &json!({})).await;
    let told = (status, &problem["code"], &problem["state"]);
    assert_eq!(told, (409, &json!("pact_stands"), &json!("revoked")));
    let incidents = world.alice().list("/incidents").await;
    let codes: Vec<_> = incidents.iter().rev().map(|incident| &incident["code"]).collect();
    let told: Vec<_> = codes.iter().filter(|code| code.to_string().contains("pact_")).collect();
    assert_eq!(told, [&&json!("pact_approved"), &&json!("pact_revoked")], "each once: {codes:?}");
    assert_eq!(world.anvil.balance(PAYEE).await, 11 * USD);
}

async fn a_pact_that_was_rejected_never_begins(store: StoreKind) {
    let world = World::start(Setup::new(store).with(|bot| bot.policy = asking())).await;
    let (status, _) = say(&world.alice(), "reject", &json!({})).await;
    assert_eq!(status, 400, "a no has a reason");
    let (status, grant) = say(&world.alice(), "reject", &json!({"reason": "too wide"})).await;
    assert_eq!((status, &grant["rejected"]["note"]), (200, &json!("too wide")));
    assert_eq!(state(&world).await, "rejected");
    assert_eq!(refused(&world, 10).await, "grant_rejected");
    for verb in ["approve", "revoke"] {
        let (status, problem) = say(&world.alice(), verb, &json!({"reason": "x"})).await;
        let malformed = verb == "approve";
        assert_eq!(status, if malformed { 400 } else { 409 }, "{problem}");
    }
    assert_eq!(say(&world.alice(), "approve", &json!({})).await.0, 409);
    // other words are another pact
    let file = config::policy_file(world.gateway.folder(), "bot");
    std::fs::write(&file, asking().replace("400", "300")).expect("written");
    let waits = async || (state(&world).await == "pending_approval").then_some(());
    wait::until("the other pact", waits).await;
    assert_eq!(say(&world.alice(), "approve", &json!({})).await.0, 200);
    world.bot().send(PAYEE, &usd(10)).await.expect("within the pact");
    assert_eq!(world.anvil.balance(PAYEE).await, 10 * USD);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_against_sixty_four_sends_at_two_gateways() {
    let setup = Setup::new(StoreKind::Redis).with(|bot| bot.policy = pact(""));
    let world = World::start(setup.clone()).await;
    let redis = world.redis.as_ref().expect("a Redis").url();
    let other = Gateway::start(&setup, Addresses::before(world.tap.address(), Some(redis))).await;
    let agents = [world.bot(), Agent { address: other.addresses.rpc, ..world.bot() }];
    let at = |number: usize| agents.iter().cycle().nth(number).cloned().expect("one of two");
    let send = |number: usize| {
        let agent = at(number);
        tokio::spawn(async move {
            let key = format!("race-{number}");
            agent.send_with(&[("idempotency-key", key.as_str())], PAYEE, &usd(1)).await
        })
    };
    let early: Vec<_> = (0..64).map(send).collect();
    let first = wait::until("one to be paid", async || {
        (world.anvil.balance(PAYEE).await > 0).then_some(())
    });
    first.await;
    let (status, _) = say(&world.alice(), "revoke", &json!({"reason": "enough"})).await;
    assert_eq!(status, 200);
    // asked at the other gateway when the one has said that it is over
    let late: Vec<_> = (64..96).map(send).collect();
    for answer in late {
        let error = answer.await.expect("no racer panics").expect_err("after the end");
        assert_eq!((error.code, error.text("code")), (4001, "grant_revoked"));
    }
    let mut paid = 0_u128;
    for answer in early {
        match answer.await.expect("no racer panics") {
            Ok(_hash) => paid = paid.saturating_add(1),
            Err(error) => assert_eq!(error.text("code"), "grant_revoked", "{error:?}"),
        }
    }
    assert!(paid > 0, "some were before it");
    wait::until("all to be mined", async || {
        (world.anvil.balance(PAYEE).await == paid * USD).then_some(())
    })
    .await;
    assert_eq!(world.anvil.nonce(&world.bot().wallet).await, paid, "nothing else was signed");
    for gateway in [&world.gateway, &other] {
        let alice = Operator { address: gateway.addresses.admin, ..world.alice() };
        let signed = alice.signed().await;
        assert_eq!(u128::try_from(signed).expect("small"), paid);
        let used = alice.list("/operations?limit=200").await;
        let held = used.iter().filter(|operation| operation["status"] == "ALLOWED").count();
        assert_eq!(held, 0, "what was refused is given back");
    }
}
