//! Policies are changed while gateways run: narrowed at once, loosened by others and later, and every gateway follows. A
//! file that is edited wins.

use countersign_tests::{
    Agent, Gateway, Operator, Setup, StoreKind, World,
    config::{self, Addresses, PAYEE},
    money::usd,
    on_both_stores, wait,
};
use serde_json::{Value, json};

on_both_stores! {
    a_policy_is_narrowed_at_once_and_loosened_by_two_people,
    an_edited_file_takes_the_place_of_what_operators_activated,
    what_was_decided_before_an_edit_and_since_a_proposal_bounds_what_is_newly_allowed,
    a_version_that_falls_behind_is_refused_and_explained,
}

const PATH: &str = "/api/agents/bot/policies";

fn setup(store: StoreKind) -> Setup {
    let mut setup = Setup::new(store).with(|bot| bot.duplicate_window = "0s");
    let (bob, may) = ("roles: [view, approve], person: bob", "roles: [view, policy], person: bob");
    setup.changes.push((bob.into(), may.into()));
    setup.changes.push(("prices:".into(), "policy_changes: { delay: 1s }\nprices:".into()));
    setup
}

/// The policy of the fixture, with another cap per transaction.
fn cap(setup: &Setup, usd: u32) -> String {
    let policy = setup.agents[0].policy.replace("usd: 50", "usd: 5");
    policy.replace("max: 500", &format!("max: {usd}"))
}

async fn propose(who: &Operator, text: &str) -> Value {
    let reply = who.post(PATH, &json!({"text": text})).await;
    assert_eq!(reply.status, 201, "{}", reply.text());
    reply.json()
}

async fn say(who: &Operator, version: &Value, verb: &str, body: &Value) -> (u16, Value) {
    let number = &version["version"];
    let reply = who.post(&format!("{PATH}/{number}/{verb}"), body).await;
    (reply.status, reply.json())
}

async fn in_force(who: &Operator) -> Value {
    who.read(PATH).await["items"][0].clone()
}

async fn until_in_force(who: &Operator, id: &Value) {
    wait::until("the version", async || (in_force(who).await["id"] == *id).then_some(())).await;
}

async fn refused(bot: &Agent, amount: u128) -> String {
    bot.send(PAYEE, &usd(amount)).await.expect_err("not allowed").text("code").to_owned()
}

async fn a_policy_is_narrowed_at_once_and_loosened_by_two_people(store: StoreKind) {
    let setup = setup(store);
    let mut world = World::start(setup.clone()).await;
    let (alice, bob, bot) = (world.alice(), world.operator("bob"), world.bot());
    bot.send(PAYEE, &usd(50)).await.expect("within the policy");
    let tight = propose(&alice, &cap(&setup, 40)).await;
    assert_eq!((&tight["class"], &tight["state"]), (&json!("tightening"), &json!("draft")));
    let (status, active) = say(&alice, &tight, "activate", &json!({})).await;
    assert_eq!((status, &active["in_force"]), (200, &json!(true)), "when it is answered");
    assert_eq!(refused(&bot, 50).await, "per_tx_limit_exceeded");
    let loose = propose(&alice, &cap(&setup, 60)).await;
    assert_eq!((&loose["class"], &loose["state"]), (&json!("loosening"), &json!("waiting")));
    let digest = json!({"digest": loose["digest"]});
    let (status, problem) = say(&alice, &loose, "approve", &digest).await;
    assert_eq!((status, &problem["code"]), (403, &json!("requester")));
    let token = bot.token.clone();
    let agent = Operator { token, ..alice.clone() };
    assert_eq!(say(&agent, &loose, "approve", &digest).await.0, 401);
    let (status, _) = say(&bob, &loose, "approve", &digest).await;
    assert_eq!(status, 202);
    assert_eq!(refused(&bot, 50).await, "per_tx_limit_exceeded", "not before its time");
    until_in_force(&alice, &loose["id"]).await;
    bot.send(PAYEE, &usd(51)).await.expect("by two people's word");
    world.gateway.kill9();
    world.gateway.restart().await;
    let grant = in_force(&alice).await;
    assert_eq!(
        (&grant["id"], &grant["version"], &grant["from"]),
        (&loose["id"], &json!(3), &json!("api"))
    );
    assert_eq!(refused(&world.bot(), 61).await, "per_tx_limit_exceeded");
    let codes: Vec<Value> =
        alice.list("/incidents").await.iter().map(|i| i["code"].clone()).collect();
    let activated = codes.iter().filter(|code| **code == "policy_activated").count();
    assert_eq!(activated, 2, "{codes:?}");
}

async fn an_edited_file_takes_the_place_of_what_operators_activated(store: StoreKind) {
    let setup = setup(store);
    let mut world = World::start(setup.clone()).await;
    let alice = world.alice();
    let tight = propose(&alice, &cap(&setup, 40)).await;
    say(&alice, &tight, "activate", &json!({})).await;
    let file = config::policy_file(world.gateway.folder(), "bot");
    std::fs::write(&file, cap(&setup, 70)).expect("written");
    wait::until("the file", async || {
        let grant = in_force(&alice).await;
        (grant["from"] == "file" && grant["version"] == 3).then_some(())
    })
    .await;
    assert_eq!(refused(&world.bot(), 71).await, "per_tx_limit_exceeded");
    world.bot().send(PAYEE, &usd(60)).await.expect("as the file says");
    let told = wait::until("the incident", async || {
        let incidents = alice.list("/incidents").await;
        incidents.into_iter().find(|incident| incident["code"] == "policy_file_edited")
    })
    .await;
    assert_eq!(told["severity"], "Medium");
    let text = told["description"].as_str().expect("a text");
    assert!(text.contains(tight["id"].as_str().expect("an id")), "it names both: {text}");
    // edited while nobody looked: it wins as well
    world.gateway.terminate();
    world.gateway.ended().await;
    std::fs::write(&file, cap(&setup, 80)).expect("written");
    world.gateway.restart().await;
    let grant = in_force(&alice).await;
    assert_eq!((&grant["from"], &grant["version"]), (&json!("file"), &json!(4)));
    assert_eq!(refused(&world.bot(), 81).await, "per_tx_limit_exceeded");
}

/// The policy of the fixture, and one more may be paid.
fn paying(setup: &Setup, payee: &str) -> String {
    let policy = cap(setup, 500).replace(r#"payees: [""#, &format!(r#"payees: ["{payee}", ""#));
    let of_nobody = |line: &&str| !line.contains("a stranger is not");
    policy.split_inclusive('\n').filter(of_nobody).collect()
}

async fn what_was_decided_before_an_edit_and_since_a_proposal_bounds_what_is_newly_allowed(
    store: StoreKind,
) {
    let (stranger, another) = (format!("0x{}", "99".repeat(20)), format!("0x{}", "77".repeat(20)));
    let mut setup = setup(store);
    setup.changes.push(("delay: 1s }".into(), "delay: 1s, newly_allowed: 5% }".into()));
    let world = World::start(setup.clone()).await;
    let (alice, bot) = (world.alice(), world.bot());
    let denied = async |payee: &str| {
        let error = bot.send(payee, &usd(1)).await.expect_err("to a stranger");
        assert_eq!(error.text("code"), "no_rule_allows");
    };
    bot.send(PAYEE, &usd(50)).await.expect("within the policy");
    denied(&stranger).await;
    denied(&stranger).await;
    // edited before anybody proposed anything: what was decided under the text of before is decided again all the same
    let before = in_force(&alice).await["id"].clone();
    let file = config::policy_file(world.gateway.folder(), "bot");
    std::fs::write(&file, cap(&setup, 499)).expect("written");
    wait::until("the file", async || (in_force(&alice).await["id"] != before).then_some(())).await;
    let wide = propose(&alice, &paying(&setup, &stranger)).await;
    let found = &wide["back_test"];
    let counts = (&found["decisions"], &found["skipped"], &found["newly"]["allow"]);
    assert_eq!(counts, (&json!(3), &json!(0), &json!(2)), "{found}");
    assert_eq!(wide["state"], "draft", "it is not asked for");
    let (status, problem) = say(&alice, &wide, "activate", &json!({})).await;
    assert_eq!((status, &problem["code"]), (409, &json!("allows_too_much")));
    // nothing speaks against this one yet
    let shadow = json!({"text": paying(&setup, &another), "shadow": true});
    let shadow = alice.post(PATH, &shadow).await.json();
    assert_eq!(shadow["back_test"]["newly"]["allow"], 0, "{shadow}");
    denied(&another).await;
    let (status, problem) = say(&alice, &shadow, "activate", &json!({})).await;
    assert_eq!((status, &problem["code"]), (409, &json!("allows_too_much")), "by what it found");
}

async fn a_version_that_falls_behind_is_refused_and_explained(store: StoreKind) {
    let mut setup = setup(store);
    let bounds = "delay: 1s, may_fall: { utility: 33.32%, economics: 100% } }";
    setup.changes.push(("delay: 1s }".into(), bounds.into()));
    let world = World::start(setup.clone()).await;
    let (alice, bot) = (world.alice(), world.bot());
    for amount in [20, 30, 45] {
        bot.send(PAYEE, &usd(amount)).await.expect("within the policy");
    }
    // one of three is a hundredth more than may be lost
    let reply = alice.post(PATH, &json!({"text": cap(&setup, 40)})).await;
    let problem = reply.json();
    assert_eq!((reply.status, &problem["code"]), (409, &json!("falls_behind")), "{problem}");
    let fall =
        json!({"evaluator": "utility", "in_force_bp": 10_000, "version_bp": 6666, "most_bp": 3332});
    assert_eq!(problem["falls"], json!([fall]));
    let detail = problem["detail"].as_str().expect("a text");
    assert!(detail.contains("utility would fall from 100.00% to 66.66%"), "{detail}");
    assert_eq!(alice.list(PATH).await.len(), 1, "it is no version");
    // its editor asks why, of a decision and of what might be asked
    let traces = alice.list("/apps/default/traces?agent=bot").await;
    let largest = traces.first().expect("decisions");
    let explained = async |question: Value| {
        let mut body = json!({"text": cap(&setup, 40)});
        body.as_object_mut().expect("an object").extend(question.as_object().expect("one").clone());
        let reply = alice.post(&format!("{PATH}/explain"), &body).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        let found = reply.json();
        let of = |side: &str| (found[side]["outcome"].clone(), found[side]["code"].clone());
        (of("version"), of("in_force"))
    };
    let denied = (json!("deny"), json!("per_tx_limit_exceeded"));
    let allowed = (json!("allow"), json!(""));
    let of_decision = explained(json!({"trace": largest["traceHash"]})).await;
    assert_eq!(of_decision, (denied.clone(), allowed.clone()));
    let request = json!({"to": PAYEE, "value": usd(45)}).to_string();
    let operations = alice.list("/operations").await.len();
    assert_eq!(explained(json!({"request": request})).await, (denied, allowed));
    assert_eq!(alice.list("/operations").await.len(), operations, "nothing was asked for");
    assert_eq!(alice.list("/apps/default/traces?agent=bot").await.len(), traces.len());
    // a shadow is a version, and is not activated either
    let shadow = json!({"text": cap(&setup, 40), "shadow": true});
    let shadow = alice.post(PATH, &shadow).await.json();
    assert_eq!(shadow["state"], "shadow", "{shadow}");
    let (status, problem) = say(&alice, &shadow, "activate", &json!({})).await;
    assert_eq!((status, &problem["code"]), (409, &json!("falls_behind")));
    // as soon as it is one of four, it may
    bot.send(PAYEE, &usd(10)).await.expect("within the policy");
    let (status, active) = say(&alice, &shadow, "activate", &json!({})).await;
    assert_eq!((status, &active["state"]), (200, &json!("active")));
    let of = async |path: &str| alice.read(path).await;
    let before = of(&format!("{PATH}/1/evaluation")).await;
    assert_eq!((&before["decisions"], &before["allowed"]), (&json!(4), &json!(4)), "{before}");
    assert_eq!(refused(&bot, 45).await, "per_tx_limit_exceeded");
    let after = of(&format!("{PATH}/{}/evaluation", shadow["version"])).await;
    assert_eq!((&after["decisions"], &after["denied"]), (&json!(1), &json!(1)), "{after}");
    let all = of("/apps/default/evaluations").await;
    assert_eq!((&all["all"]["decisions"], &all["items"][0]["agent"]), (&json!(5), &json!("bot")));
    assert_eq!(all["all"]["compliance_bp"], 10_000, "{all}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_gateways_follow_each_others_changes_and_lose_no_request() {
    let setup = setup(StoreKind::Redis);
    let world = World::start(setup.clone()).await;
    let redis = world.redis.as_ref().expect("a Redis").url();
    let other = Gateway::start(&setup, Addresses::before(world.tap.address(), Some(redis))).await;
    let there = |who: &Operator| Operator { address: other.addresses.admin, ..who.clone() };
    let (alice, bob) = (world.alice(), world.operator("bob"));
    let agents = [world.bot(), Agent { address: other.addresses.rpc, ..world.bot() }];
    // both are asked all the while: every request is answered
    let asked: Vec<_> = agents
        .iter()
        .cloned()
        .map(|agent| {
            tokio::spawn(async move {
                for _ in 0..40 {
                    let error = agent.send(PAYEE, &usd(5000)).await.expect_err("never allowed");
                    assert_eq!(error.code, 4001, "{error:?}");
                }
            })
        })
        .collect();
    let tight = propose(&alice, &cap(&setup, 40)).await;
    say(&there(&bob), &tight, "activate", &json!({})).await;
    until_in_force(&alice, &tight["id"]).await;
    assert_eq!(refused(&agents[0], 50).await, "per_tx_limit_exceeded");
    // activated at both at once, of two versions: one is in force, and the same one at both
    let (one, two) =
        (propose(&alice, &cap(&setup, 30)).await, propose(&bob, &cap(&setup, 20)).await);
    let (here, away) = (alice.clone(), there(&bob));
    let empty = json!({});
    let (first, second) =
        tokio::join!(say(&here, &one, "activate", &empty), say(&away, &two, "activate", &empty));
    // 30 after 20 would loosen: then it waits
    assert!([200, 202].contains(&first.0) && second.0 == 200, "{first:?} {second:?}");
    until_in_force(&here, &two["id"]).await;
    until_in_force(&away, &two["id"]).await;
    // the file of one is edited while the other's operator activates: whichever comes last is in force, at both
    let three = propose(&alice, &cap(&setup, 10)).await;
    let file = config::policy_file(other.folder(), "bot");
    let write = async { std::fs::write(&file, cap(&setup, 45)).expect("written") };
    let (activated, ()) = tokio::join!(say(&here, &three, "activate", &empty), write);
    assert!([200, 202].contains(&activated.0), "{activated:?}");
    let last = wait::until("the same at both", async || {
        let listed = here.list(PATH).await;
        let taken = |version: &Value| version["note"].is_null() && version["from"]["is"] == "file";
        let newest = listed.iter().filter(|version| version["version"].is_u64());
        let newest = newest.filter_map(|version| version["version"].as_u64()).max();
        let edited = listed.iter().any(taken) || listed[0]["from"] == "file";
        let (one, two) = (in_force(&here).await, in_force(&away).await);
        let same = one["id"] == two["id"] && one["id"] != tight["id"];
        (edited && same && newest > three["version"].as_u64()).then_some(one)
    })
    .await;
    let shown = here.read(&format!("{PATH}/{}", three["version"])).await;
    let expected = if shown["state"] == "active" { cap(&setup, 10) } else { cap(&setup, 45) };
    assert_eq!(last["source"], expected);
    assert_eq!(refused(&agents[1], 46).await, "per_tx_limit_exceeded");
    agents[0].send(PAYEE, &usd(9)).await.expect("within both");
    for task in asked {
        task.await.expect("every request was answered");
    }
}
