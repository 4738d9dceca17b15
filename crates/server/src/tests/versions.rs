//! Versions of policies at the operators' door. Nobody follows the shelf here: what is in force is another matter.

use std::collections::BTreeMap;

use countersign_core::{
    identity::AgentId,
    shelf::{MayFall, PolicyKey, PolicySignature},
    time::Millis,
};
use countersign_engine::{
    port::{
        Journal as _, PolicyShelf as _, Signer as _, journal::IncidentQuery, ledger::LedgerError,
    },
    setup::Setup,
    shelf::{Files, Follower, Pinned},
};
use countersign_policy::Policy;
use futures_util::future::join_all;
use serde_json::{Value, json};

use super::house::{AGENT, BEA, DESK, GRANT, House, OLGA, Reply, VIEWER};

const PATH: &str = "/api/agents/trader/policies";

/// The grant with another cap: of 500 USD it is.
fn cap(usd: u32) -> String {
    GRANT.replace("max: 500", &format!("max: {usd}"))
}

async fn propose(house: &House, token: &str, text: &str) -> Reply {
    house.of(token, "POST", PATH, &json!({"text": text, "note": "why"}).to_string()).await
}

async fn say(house: &House, token: &str, to: &str, body: &Value) -> Reply {
    house.of(token, "POST", &format!("{PATH}/{to}"), &body.to_string()).await
}

fn told(reply: &Reply) -> (u16, Value) {
    let document = reply.json();
    let word = if reply.status < 300 { &document["state"] } else { &document["code"] };
    (reply.status, word.clone())
}

async fn approve(house: &House, token: &str, number: u64) -> Reply {
    let shown = house.desk("GET", &format!("{PATH}/{number}"), "").await.json();
    say(house, token, &format!("{number}/approve"), &json!({"digest": shown["digest"]})).await
}

#[tokio::test]
async fn a_tightening_is_a_draft_until_anyone_activates_it() {
    let house = House::open().await;
    let reply = propose(&house, DESK, &cap(400)).await;
    assert_eq!(told(&reply), (201, json!("draft")));
    let version = reply.json();
    assert_eq!(version["class"], "tightening");
    assert_eq!(version["changes"][0]["what"], "limit cap");
    assert_eq!((&version["version"], &version["source"]), (&json!(2), &json!(cap(400))));
    assert_eq!(version["proposed_by"], json!({"operator": "alice", "person": "alice"}));
    let asked = approve(&house, BEA, 2).await;
    assert_eq!(told(&asked), (409, json!("version_not_asked")));
    let done = say(&house, BEA, "2/activate", &json!({"note": "now"})).await;
    assert_eq!(told(&done), (200, json!("active")));
    assert_eq!(done.json()["activated"]["by"], "bea");
    let again = say(&house, BEA, "2/activate", &json!({})).await;
    assert_eq!(told(&again), (409, json!("version_stands")));
    let first = house.desk("GET", &format!("{PATH}/1"), "").await.json();
    assert_eq!((&first["state"], &first["from"]["is"]), (&json!("superseded"), &json!("file")));
    house.close().await;
}

#[tokio::test]
async fn a_loosening_needs_another_person_and_an_hour() {
    let house = House::open().await;
    let reply = propose(&house, DESK, &cap(900)).await;
    assert_eq!(told(&reply), (201, json!("waiting")));
    let version = reply.json();
    assert_eq!(
        (&version["class"], &version["waiting"]["approvals"]),
        (&json!("loosening"), &json!(1))
    );
    assert_eq!(
        told(&say(&house, BEA, "2/activate", &json!({})).await),
        (409, json!("version_waits"))
    );
    assert_eq!(told(&approve(&house, DESK, 2).await), (403, json!("requester")), "the proposer");
    assert_eq!(told(&approve(&house, OLGA, 2).await), (403, json!("requester")), "the owner");
    assert_eq!(told(&approve(&house, VIEWER, 2).await), (403, json!("role_missing")));
    let other = json!({"digest": format!("0x{}", "1".repeat(64))});
    assert_eq!(told(&say(&house, BEA, "2/approve", &other).await), (409, json!("digest_mismatch")));
    assert_eq!(told(&say(&house, BEA, "2/approve", &json!({})).await), (400, json!("malformed")));
    assert_eq!(told(&approve(&house, BEA, 2).await), (202, json!("waiting")));
    assert_eq!(told(&approve(&house, BEA, 2).await), (202, json!("waiting")), "once more is once");
    let waiting = house.desk("GET", &format!("{PATH}/2"), "").await.json()["waiting"].clone();
    assert_eq!(waiting["votes"].as_array().map(Vec::len), Some(1));
    assert!(waiting["not_before"].is_string(), "{waiting}");
    assert_eq!(
        told(&say(&house, BEA, "2/activate", &json!({})).await),
        (409, json!("version_waits"))
    );
    // a gateway that follows puts it in force by itself, when its time has come
    let file = BTreeMap::from([(
        AgentId::parse("trader").unwrap(),
        Policy::parse(GRANT, "trader.yaml").unwrap(),
    )]);
    let mut follower = Follower::new(house.engine.clone(), "gateway-1");
    let cap_in_force = async |follower: &mut Follower| {
        let (signed, app) = (BTreeMap::new(), house.engine.setup().app.clone());
        let pinned = Pinned { app: &app, keys: &[] };
        let files = Files { grants: &file, signed: &signed, pinned };
        let (_, found) = follower.look(files).await;
        found.unwrap();
        let in_force = follower.in_force().into_values().next().unwrap();
        in_force.grant.limits().find(|limit| limit.id == "cap").unwrap().max
    };
    house.time.advance(Millis(3_599_999));
    assert!(cap_in_force(&mut follower).await.starts_with("500"));
    house.time.advance(Millis(1));
    assert!(cap_in_force(&mut follower).await.starts_with("900"));
    let codes = incidents(&house).await;
    assert_eq!(codes, ["policy_activated", "policy_proposed"]);
    house.close().await;
}

async fn incidents(house: &House) -> Vec<String> {
    let all = IncidentQuery { limit: 100, ..IncidentQuery::default() };
    let found = house.journal.incidents(&all).await.unwrap().items;
    let mut codes: Vec<String> = found.into_iter().map(|incident| incident.code).collect();
    codes.sort();
    codes
}

#[tokio::test]
async fn a_text_that_is_no_policy_is_refused_where_it_is_wrong() {
    let house = House::open().await;
    for (text, line, word) in [
        ("policy: x\nkind: grant\nrulez: []\n".to_owned(), json!(3), "rulez"),
        (GRANT.replace("agent: trader", "agent: other"), Value::Null, "for the agent `other`"),
        (GRANT.replace("wallets: [hot]", "wallets: [warm]"), Value::Null, "no wallet `warm`"),
        (GRANT.replace("[treasury]", "[nobody]"), Value::Null, "no operator or group `nobody`"),
        (GRANT.replace("kind: transfer", "kind: transfer, token: x@1"), Value::Null, "x@1"),
        (
            format!(
                "{GRANT}tests:\n  - {{ name: t, given: {{ kind: transfer, usd: 1 }}, expect: {{ deny: x }} }}\n"
            ),
            Value::Null,
            "test `t` fails",
        ),
        ("x".repeat(300_000), Value::Null, "300000 bytes"),
        (String::new(), Value::Null, "empty"),
    ] {
        let reply = propose(&house, DESK, &text).await;
        assert_eq!(told(&reply), (422, json!("policy_invalid")), "{}", reply.body);
        let found = reply.json()["diagnostics"].clone();
        let says = |one: &&Value| one["message"].as_str().unwrap().contains(word);
        let one = found.as_array().unwrap().iter().find(says);
        let one = one.unwrap_or_else(|| panic!("{word}: {found}"));
        assert!(line.is_null() || one["line"] == line, "{found}");
    }
    let malformed = json!({"text": "x", "format": "cobol"}).to_string();
    assert_eq!(told(&house.desk("POST", PATH, &malformed).await), (400, json!("malformed")));
    let elsewhere = house.desk("POST", "/api/agents/nobody/policies", r#"{"text":"x"}"#).await;
    assert_eq!(told(&elsewhere), (404, json!("not_found")));
    for (token, status) in [(AGENT, 401), (VIEWER, 403)] {
        assert_eq!(propose(&house, token, &cap(1)).await.status, status, "{token}");
    }
    assert_eq!(house.desk("GET", PATH, "").await.json()["items"].as_array().map(Vec::len), Some(1));
    house.close().await;
}

async fn check(house: &House, token: &str, body: &Value) -> Reply {
    house.of(token, "POST", &format!("{PATH}/check"), &body.to_string()).await
}

#[tokio::test]
async fn a_text_is_checked_without_becoming_a_version() {
    let house = House::open().await;
    pay(&house, 60).await;
    for (text, class, approvals) in [
        (GRANT.to_owned(), "same", Value::Null),
        (cap(400), "tightening", Value::Null),
        (cap(900), "loosening", json!(1)),
    ] {
        let reply = check(&house, DESK, &json!({"text": text})).await;
        let found = reply.json();
        assert_eq!((reply.status, &found["valid"]), (200, &json!(true)), "{found}");
        assert_eq!(
            (&found["class"], &found["waits_for"]["approvals"]),
            (&json!(class), &approvals)
        );
        assert_eq!((&found["diagnostics"], &found["back_test"]), (&json!([]), &Value::Null));
        assert_eq!(found["changes"].as_array().map(Vec::is_empty), Some(class == "same"));
    }
    let tight = check(&house, DESK, &json!({"text": cap(55), "back_test": true})).await.json();
    assert_eq!(tight["back_test"]["newly"], json!({"deny": 1, "allow": 0, "park": 0}), "{tight}");
    let tested = "tests:\n  - { name: t, given: { kind: transfer, usd: 1 }, expect: allow }\n";
    let tested = check(&house, DESK, &json!({"text": format!("{GRANT}{tested}")})).await.json();
    assert_eq!(
        (&tested["tests"][0]["name"], &tested["tests"][0]["passed"]),
        (&json!("t"), &json!(true))
    );
    // nothing of it is there: neither a version nor a shelf
    assert_eq!(house.desk("GET", PATH, "").await.json()["items"].as_array().map(Vec::len), Some(1));
    assert!(house.shelf.shelf(&AgentId::parse("trader").unwrap()).await.unwrap().is_none());
    assert_eq!(incidents(&house).await, [""; 0]);
    // once there is one, it is compared with what is in force there
    propose(&house, DESK, &cap(300)).await;
    say(&house, DESK, "2/activate", &json!({})).await;
    let again = check(&house, DESK, &json!({"text": cap(400)})).await.json();
    assert_eq!(again["class"], "loosening");
    house.close().await;
}

#[tokio::test]
async fn a_text_that_is_no_policy_is_an_answer_and_no_mistake_of_who_types() {
    let house = House::open().await;
    let body = json!({"text": "policy: x\nkind: grant\nrulez: []\n", "back_test": true});
    let reply = check(&house, DESK, &body).await;
    let found = reply.json();
    assert_eq!((reply.status, &found["valid"]), (200, &json!(false)), "{found}");
    let one = &found["diagnostics"][0];
    assert_eq!((&one["line"], &one["column"]), (&json!(3), &json!(1)), "{found}");
    assert!(one["message"].as_str().unwrap().contains("rulez"), "{found}");
    for text in [String::new(), "x".repeat(300_000), GRANT.replace("agent: trader", "agent: other")]
    {
        let found = check(&house, DESK, &json!({"text": text})).await.json();
        assert_eq!(found["valid"], false, "{found}");
    }
    for (token, status) in [(AGENT, 401), (VIEWER, 403)] {
        assert_eq!(check(&house, token, &json!({"text": GRANT})).await.status, status, "{token}");
    }
    for body in [
        json!({}),
        json!({"text": 1}),
        json!({"text": "x", "shadow": true}),
        json!({"text": "x", "format": "cobol"}),
    ] {
        assert_eq!(told(&check(&house, DESK, &body).await), (400, json!("malformed")));
    }
    let other = r#"{"text":"x"}"#;
    let elsewhere = house.desk("POST", "/api/agents/nobody/policies/check", other).await;
    assert_eq!(told(&elsewhere), (404, json!("not_found")));
    house.shelf.break_with(Some(LedgerError::Unavailable("away".into())));
    let away = check(&house, DESK, &json!({"text": GRANT})).await;
    assert_eq!(told(&away), (503, json!("unavailable")));
    house.close().await;
}

#[tokio::test]
async fn a_change_beneath_it_makes_a_version_another_question() {
    let house = House::open().await;
    propose(&house, DESK, &cap(450)).await;
    propose(&house, DESK, &cap(300)).await;
    let looked = house.desk("GET", &format!("{PATH}/2"), "").await.json();
    say(&house, BEA, "3/activate", &json!({})).await;
    // what narrowed 500 loosens 300
    let reply = say(&house, BEA, "2/activate", &json!({})).await;
    assert_eq!(told(&reply), (202, json!("waiting")));
    assert_eq!(reply.json()["class"], "loosening");
    let stale = say(&house, BEA, "2/approve", &json!({"digest": looked["digest"]})).await;
    assert_eq!(told(&stale), (409, json!("digest_mismatch")));
    assert_eq!(told(&approve(&house, BEA, 2).await), (202, json!("waiting")));
    // and a no ends it
    let no = say(&house, DESK, "2/reject", &json!({"reason": "too much"})).await;
    assert_eq!(told(&no), (200, json!("rejected")));
    assert_eq!(told(&approve(&house, BEA, 2).await), (409, json!("version_stands")));
    house.close().await;
}

#[tokio::test]
async fn back_to_an_older_version_is_one_more_version_judged_like_any() {
    let house = House::open().await;
    propose(&house, DESK, &cap(300)).await;
    say(&house, DESK, "2/activate", &json!({})).await;
    let back = say(&house, DESK, "1/rollback", &json!({"note": "it hurts"})).await;
    assert_eq!(told(&back), (201, json!("waiting")));
    let version = back.json();
    assert_eq!(
        (&version["class"], &version["from"]),
        (&json!("loosening"), &json!({"is": "rollback", "of": 1}))
    );
    assert_eq!(version["source"], GRANT);
    assert_eq!(
        told(&say(&house, BEA, "3/withdraw", &json!({})).await),
        (403, json!("not_proposer"))
    );
    assert_eq!(told(&say(&house, DESK, "3/withdraw", &json!({})).await), (200, json!("withdrawn")));
    assert_eq!(told(&say(&house, DESK, "9/rollback", &json!({})).await), (404, json!("not_found")));
    let listed = house.desk("GET", &format!("{PATH}?limit=1"), "").await.json();
    assert_eq!(listed["items"][1]["version"], 3);
    let next = house.desk("GET", &format!("{PATH}?limit=2&cursor=3"), "").await.json();
    let numbers: Vec<&Value> =
        next["items"].as_array().unwrap().iter().map(|item| &item["version"]).collect();
    assert_eq!(numbers, [1], "the active one is not listed twice: {next}");
    house.close().await;
}

#[tokio::test]
async fn many_open_versions_are_too_many() {
    let house = House::open().await;
    for usd in 101..117 {
        assert_eq!(propose(&house, DESK, &cap(usd)).await.status, 201);
    }
    assert_eq!(told(&propose(&house, DESK, &cap(99)).await), (409, json!("too_many_versions")));
    say(&house, DESK, "2/withdraw", &json!({})).await;
    assert_eq!(propose(&house, DESK, &cap(99)).await.status, 201);
    house.close().await;
}

#[tokio::test]
async fn twelve_proposals_and_two_words_at_once_are_all_heard() {
    let house = House::open().await;
    let texts: Vec<String> = (0..12).map(|n| cap(200 + n)).collect();
    let replies = join_all(texts.iter().map(|text| propose(&house, DESK, text))).await;
    let mut numbers: Vec<u64> =
        replies.iter().map(|reply| reply.json()["version"].as_u64().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (2..14).collect::<Vec<u64>>());
    // two people at once: a yes and a no. Whichever comes first, a rejected version never comes into force
    let loose = propose(&house, DESK, &cap(900)).await.json()["version"].as_u64().unwrap();
    let no = json!({"reason": "no"});
    let to = format!("{loose}/reject");
    let (yes, no) = tokio::join!(approve(&house, BEA, loose), say(&house, OLGA, &to, &no));
    assert!([202, 409].contains(&yes.status), "{}", yes.body);
    assert_eq!(told(&no), (200, json!("rejected")));
    // ten activate the same tightening: one does
    let activate = format!("{}/activate", numbers[0]);
    let empty = json!({});
    let replies = join_all((0..10).map(|_| say(&house, BEA, &activate, &empty))).await;
    assert_eq!(replies.iter().filter(|reply| reply.status == 200).count(), 1);
    house.close().await;
}

#[tokio::test]
async fn without_the_store_nothing_is_said_to_be_done() {
    let house = House::open().await;
    propose(&house, DESK, &cap(400)).await;
    house.shelf.break_with(Some(LedgerError::Unavailable("away".into())));
    assert_eq!(told(&propose(&house, DESK, &cap(300)).await), (503, json!("unavailable")));
    assert_eq!(
        told(&say(&house, DESK, "2/activate", &json!({})).await),
        (503, json!("unavailable"))
    );
    house.shelf.break_with(None);
    let version = house.desk("GET", &format!("{PATH}/2"), "").await.json();
    assert_eq!(version["state"], "draft");
    house.close().await;
}

#[tokio::test]
async fn without_the_store_an_older_signed_file_does_not_come_into_force() {
    let house = House::open().await;
    let app = house.engine.setup().app.clone();
    let trader = AgentId::parse("trader").unwrap();
    // whether signatures are good is known before files come here
    let signed = |sequence| PolicySignature {
        app: app.to_string(),
        uses: vec!["agent trader".into()],
        sequence,
        key: PolicyKey([7; 32]),
        signature: String::new(),
    };
    let mut follower = Follower::new(house.engine.clone(), "gateway-1");
    let look = async |follower: &mut Follower, usd: u32, sequence: u64| {
        let grants = [(trader.clone(), Policy::parse(&cap(usd), "trader.yaml").unwrap())].into();
        let signed = [(trader.clone(), signed(sequence))].into();
        let pinned = Pinned { app: &app, keys: &[] };
        let (_, found) = follower.look(Files { grants: &grants, signed: &signed, pinned }).await;
        let grant = follower.in_force().into_values().next().unwrap().grant;
        let cap = grant.limits().find(|limit| limit.id == "cap").unwrap().max;
        (found.is_ok(), cap.split_whitespace().next().unwrap().to_owned())
    };
    assert_eq!(look(&mut follower, 300, 5).await, (true, "300".into()));
    house.shelf.break_with(Some(LedgerError::Unavailable("away".into())));
    for (usd, sequence) in [(500, 4), (400, 6)] {
        let kept = look(&mut follower, usd, sequence).await;
        assert_eq!(kept, (false, "300".into()), "only the shelf knows which numbers were seen");
    }
    house.shelf.break_with(None);
    assert_eq!(look(&mut follower, 500, 4).await, (true, "300".into()));
    assert_eq!(incidents(&house).await, ["policy_file_old"]);
    assert_eq!(look(&mut follower, 400, 6).await, (true, "400".into()));
    house.close().await;
}

/// One payment of so many USD, at 1000 USD for one ETH.
async fn pay(house: &House, usd: u64) -> Value {
    let from = house.signer.address();
    let to = "0x1111111111111111111111111111111111111111";
    let send = json!([{"from": from, "to": to, "value": format!("{:#x}", usd.saturating_mul(1_000_000_000_000_000))}]);
    let answer = house.call("eth_sendTransaction", &send.to_string()).await;
    house.time.advance(Millis(1000));
    answer
}

/// The same four decisions, told of the whole app and of the version that made them.
async fn of_all_and_of_a_version(house: &House) {
    let app = house.engine.setup().app.clone();
    let all = house.desk("GET", &format!("/apps/{app}/evaluations"), "").await.json();
    assert_eq!((&all["all"]["decisions"], &all["all"]["usd_moved"]), (&json!(4), &json!("110")));
    let [one] = all["items"].as_array().unwrap().as_slice() else { panic!("{all}") };
    assert_eq!((&one["agent"], &one["denied"]), (&json!("trader"), &json!(1)), "{one}");
    let other = house.desk("GET", "/apps/another/evaluations", "").await;
    assert_eq!(told(&other), (404, json!("not_found")));
    // the shelf begins when somebody asks for something of it
    let tight = propose(house, DESK, &cap(450)).await;
    assert_eq!(told(&tight), (201, json!("draft")));
    let of = async |path: &str| house.desk("GET", &format!("{PATH}/{path}"), "").await;
    let first = of("1/evaluation").await.json();
    assert_eq!((&first["version"], &first["decisions"]), (&json!(1), &json!(4)), "{first}");
    assert_eq!((&first["compliance_bp"], &first["utility_bp"]), (&json!(10_000), &json!(5000)));
    let draft = of("2/evaluation").await.json();
    assert_eq!((&draft["decisions"], &draft["utility_bp"]), (&json!(0), &Value::Null));
    assert_eq!(told(&of("9/evaluation").await), (404, json!("not_found")));
    assert_eq!(told(&of("x/evaluation").await), (404, json!("not_found")));
    let none = of("1/evaluation?from=2020-01-01T00:00:00Z&to=2020-01-02T00:00:00Z").await.json();
    assert_eq!(none["decisions"], 0, "{none}");
    say(house, DESK, "2/withdraw", &json!({})).await;
}

#[tokio::test]
async fn what_it_would_have_said_lately_comes_with_a_version_and_goes_on_for_a_shadow() {
    let house = House::open().await;
    for usd in [50, 60, 200, 600] {
        pay(&house, usd).await;
    }
    let evaluated = house.desk("GET", "/api/agents/trader/evaluations", "").await.json();
    let [one] = evaluated["items"].as_array().unwrap().as_slice() else { panic!("{evaluated}") };
    let counts = ["decisions", "allowed", "parked", "denied"].map(|name| one[name].clone());
    assert_eq!(counts, [json!(4), json!(2), json!(1), json!(1)]);
    assert_eq!(
        (&one["compliance_bp"], &one["utility_bp"]),
        (&json!(10_000), &json!(5000)),
        "{one}"
    );
    assert_eq!((&one["usd_moved"], &one["failed"]), (&json!("110"), &json!(0)), "{one}");
    let backwards =
        "/api/agents/trader/evaluations?from=2026-02-02T00:00:00Z&to=2026-02-01T00:00:00Z";
    let backwards = house.desk("GET", backwards, "").await;
    assert_eq!(told(&backwards), (400, json!("malformed")));
    let nobody = house.desk("GET", "/api/agents/nobody/evaluations", "").await;
    assert_eq!(told(&nobody), (404, json!("not_found")));
    of_all_and_of_a_version(&house).await;
    let tight = propose(&house, DESK, &cap(55)).await.json();
    let found = &tight["back_test"];
    assert_eq!((&found["decisions"], &found["skipped"]), (&json!(4), &json!(0)), "{found}");
    // 60 was allowed and 200 parked; 600 was denied before
    assert_eq!(found["newly"], json!({"deny": 2, "allow": 0, "park": 0}));
    let measured = |name: &str| {
        let found = &found["evaluators"][name];
        [&found["of"], &found["in_force"], &found["version"]].map(|count| count.as_u64().unwrap())
    };
    assert_eq!(measured("compliance"), [4, 4, 2]);
    assert_eq!(measured("utility"), [4, 2, 1]);
    assert_eq!(measured("latency"), [4, 3, 4]);
    assert_eq!(measured("safety"), [0, 0, 0]);
    assert_eq!(measured("economics"), [910_000_000, 110_000_000, 50_000_000]);
    let [newest, other] = found["examples"].as_array().unwrap().as_slice() else {
        panic!("{found}")
    };
    assert_eq!(other["before"], "allow");
    assert_eq!(newest["before"], "park amount_above_threshold");
    assert_eq!(newest["after"], "deny per_tx_limit_exceeded");
    let shadow = json!({"text": cap(900), "shadow": true}).to_string();
    let shadow = house.desk("POST", PATH, &shadow).await;
    assert_eq!(told(&shadow), (201, json!("shadow")));
    assert_eq!(shadow.json()["back_test"]["newly"], json!({"deny": 0, "allow": 0, "park": 1}));
    let run =
        async || house.desk("GET", &format!("{PATH}/4"), "").await.json()["shadow_run"].clone();
    assert_eq!(run().await["decisions"], 0, "nothing was asked since");
    let before = house.signer.signatures();
    assert!(pay(&house, 700).await["error"]["code"] == 4001, "the one in force decides");
    assert_eq!(house.signer.signatures(), before);
    let since = run().await;
    assert_eq!((&since["decisions"], &since["newly"]["park"]), (&json!(1), &json!(1)), "{since}");
    let asked = say(&house, DESK, "4/activate", &json!({})).await;
    assert_eq!(told(&asked), (202, json!("waiting")), "a shadow that loosens waits like any");
    house.close().await;
}

/// The gateway with bounds on what a version may lose.
fn bound(house: &House, may_fall: MayFall) {
    let mut setup = Setup::clone(&house.engine.setup());
    setup.changes.gate.may_fall = may_fall;
    house.engine.replace(setup);
}

#[tokio::test]
async fn a_version_that_falls_too_far_behind_is_refused_with_both_values_and_the_bound() {
    let house = House::open().await;
    for usd in [50, 60, 70, 80] {
        pay(&house, usd).await;
    }
    bound(&house, MayFall { utility: Some(2500), ..MayFall::default() });
    let checked = json!({"text": cap(65), "back_test": true}).to_string();
    let checked = house.desk("POST", &format!("{PATH}/check"), &checked).await.json();
    let fall = json!([{"evaluator": "utility", "in_force_bp": 10_000, "version_bp": 5000, "most_bp": 2500}]);
    assert_eq!(checked["falls"], fall, "{checked}");
    let refused = propose(&house, DESK, &cap(65)).await;
    assert_eq!(told(&refused), (409, json!("falls_behind")));
    let document = refused.json();
    assert_eq!(document["falls"], fall);
    let detail = document["detail"].as_str().unwrap();
    for part in ["utility", "100.00%", "50.00%", "25.00%"] {
        assert!(detail.contains(part), "{part}: {detail}");
    }
    let listed = house.desk("GET", PATH, "").await.json();
    assert_eq!(listed["items"].as_array().unwrap().len(), 1, "it is no version: {listed}");
    // as far as it may
    let near = propose(&house, DESK, &cap(75)).await;
    assert_eq!(told(&near), (201, json!("draft")));
    // and what was asked for since counts when it is activated
    pay(&house, 85).await;
    pay(&house, 86).await;
    assert_eq!(
        told(&say(&house, DESK, "2/activate", &json!({})).await),
        (409, json!("falls_behind"))
    );
    bound(&house, MayFall { utility: Some(5000), ..MayFall::default() });
    assert_eq!(told(&say(&house, DESK, "2/activate", &json!({})).await), (200, json!("active")));
    house.close().await;
}
