use std::collections::BTreeSet;

use alloy_primitives::Bytes;
use countersign_core::{approval::Vote, incident::Severity, time::Timestamp};
use countersign_engine::port::{
    Journal as _, Ledger as _,
    chain::ReadAnswer,
    journal::NewTrace,
    ledger::{LedgerError, ReserveAnswer},
};
use countersign_testkit::{fixture, suite::journal::decided};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::house::{AGENT, DESK, House, VIEWER, send};

async fn parked(house: &House, n: u64) -> String {
    let until = Timestamp::from_millis(1_767_225_600_000 + 3_600_000);
    let reserve = fixture::park(n, vec![fixture::rolling("day", 5, 100)], until);
    let answer = house.ledger.reserve(&reserve).await.unwrap();
    assert!(matches!(answer, ReserveAnswer::Reserved(_)), "{answer:?}");
    let trace = NewTrace { trace_hash: reserve.operation.trace, ..decided(n) };
    house.journal.record(&trace).await.unwrap();
    reserve.operation.id.to_string()
}

#[tokio::test]
async fn only_an_operators_token_opens_the_door_and_a_role_each_drawer() {
    let house = House::open().await;
    let agent = format!("Bearer {AGENT}");
    let basic = "Basic YWxpY2U6ZGVzay10b2tlbg==";
    for credential in [None, Some(agent.as_str()), Some("Bearer x"), Some(basic)] {
        let headers: Vec<_> = credential.map(|v| ("authorization", v)).into_iter().collect();
        let reply = send(house.operators, "GET", "/overview", &headers, "").await;
        assert_eq!((reply.status, &reply.json()["code"]), (401, &json!("unauthorised")));
        assert!(reply.head.contains("application/problem+json"), "{}", reply.head);
    }
    let viewer = format!("Bearer {VIEWER}");
    let own = [("authorization", viewer.as_str())];
    for (method, path, body, status) in [
        ("GET", "/overview", "", 200),
        ("POST", "/freeze", "{}", 403),
        ("POST", "/api/agents/trader/policies/x/approve", "{}", 403),
        ("POST", "/api/agents/trader/policies/x/reject", r#"{"reason":"no"}"#, 403),
        ("POST", "/api/agents/trader/policies/x/revoke", r#"{"reason":"no"}"#, 403),
        ("POST", "/ledger/unseal", "", 403),
        ("POST", "/ledger/init", "", 403),
        (
            "POST",
            "/pending-operations/op_00000000000000000000000000000000/approve",
            r#"{"digest":"0x"}"#,
            403,
        ),
        ("PATCH", "/incidents/x", r#"{"status":"Resolved"}"#, 403),
    ] {
        let reply = send(house.operators, method, path, &own, body).await;
        assert_eq!(reply.status, status, "{path}: {}", reply.body);
    }
    house.close().await;
}

#[tokio::test]
async fn every_response_is_strict_about_what_a_browser_may_do() {
    let house = House::open().await;
    let page = [("host", "localhost"), ("origin", "https://evil.example")];
    for (method, path, headers, status) in [
        ("GET", "/", &[][..], 200),
        ("GET", "/console/console.css", &[], 200),
        ("GET", "/session", &[], 401),
        ("GET", "/openapi.json", &[], 200),
        ("GET", "/healthz", &[], 200),
        ("GET", "/nothing", &[], 404),
        ("DELETE", "/freeze", &[], 405),
        ("OPTIONS", "/freeze", &[], 405),
        ("GET", "/overview", &[], 401),
        ("POST", "/freeze", &page, 403),
        ("GET", "/", &[("host", "evil.example")], 421),
    ] {
        let reply = send(house.operators, method, path, headers, "").await;
        assert_eq!(reply.status, status, "{method} {path}");
        for header in
            ["content-security-policy: default-src 'none'", "x-content-type-options: nosniff"]
        {
            assert!(reply.head.contains(header), "{method} {path}: {}", reply.head);
        }
        assert!(!reply.head.contains("access-control"), "{}", reply.head);
    }
    house.close().await;
}

#[tokio::test]
async fn the_document_names_every_route_and_no_other() {
    let house = House::open().await;
    let document = house.desk("GET", "/openapi.json", "").await.json();
    let source = include_str!("../operators.rs");
    let routed: BTreeSet<&str> =
        source.split(".route(\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    let paths = document["paths"].as_object().unwrap();
    assert_eq!(routed, paths.keys().map(String::as_str).collect());
    for (path, methods) in paths {
        let methods: BTreeSet<String> = methods.as_object().unwrap().keys().cloned().collect();
        for method in ["get", "post", "patch", "put", "delete"] {
            let path = path.replace(['{', '}'], "");
            if path == "/events" && method == "get" {
                continue;
            }
            let reply = house.desk(&method.to_uppercase(), &path, "").await;
            assert_eq!(reply.status != 405, methods.contains(method), "{method} {path}");
        }
    }
    house.close().await;
}

#[tokio::test]
async fn a_parked_operation_is_shown_and_takes_one_word() {
    let house = House::open().await;
    let id = parked(&house, 1).await;
    let list = house.desk("GET", "/pending-operations", "").await.json();
    assert_eq!(list["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(list["next_cursor"], Value::Null);
    let shown = house.desk("GET", &format!("/pending-operations/{id}"), "").await.json();
    assert_eq!(shown, list["items"][0]);
    for (field, value) in [
        ("id", json!(id)),
        ("pending_operation_id", json!(id)),
        ("status", json!("PENDING_APPROVAL")),
        ("agent", json!("trader")),
        ("chain", json!(31337)),
        ("chain_name", json!("anvil")),
        ("digest", json!(fixture::digest(1))),
        ("rule", json!("large")),
    ] {
        assert_eq!(shown[field], value, "{field}");
    }
    for field in [
        "action_type",
        "summary",
        "amount",
        "token",
        "risk_score",
        "policy",
        "session",
        "reasoning",
        "actions",
        "verdicts",
        "evidence",
        "expires_at",
        "created_at",
        "votes",
        "gates",
    ] {
        assert!(shown.get(field).is_some(), "{field}");
    }
    let approve = format!("/pending-operations/{id}/approve");
    let digest = fixture::digest(1);
    for (body, status, code) in [
        ("{}".to_owned(), 400, "malformed"),
        (format!(r#"{{"digest":"{digest}","all":true}}"#), 400, "malformed"),
        (format!(r#"{{"digest":"{digest}","digest":"{digest}"}}"#), 400, "malformed"),
        (format!(r#"{{"digest":"{}"}}"#, fixture::digest(2)), 409, "digest_mismatch"),
        (r#"{"digest":"0xdead"}"#.into(), 409, "digest_mismatch"),
    ] {
        let reply = house.desk("POST", &approve, &body).await;
        assert_eq!((reply.status, &reply.json()["code"]), (status, &json!(code)), "{body}");
    }
    let yes = house.desk("POST", &approve, &format!(r#"{{"digest":"{digest}"}}"#)).await;
    assert_eq!(yes.status, 200, "{}", yes.body);
    let votes: Vec<Vote> = serde_json::from_value(yes.json()["votes"].clone()).unwrap();
    assert_eq!(votes.first().map(|vote| vote.operator.as_str()), Some("alice"));
    let reject = format!("/pending-operations/{id}/reject");
    assert_eq!(house.desk("POST", &reject, r#"{"reason":"no"}"#).await.status, 409);
    house.close().await;
}

/// Records may be long, and a page is not: what does not fit is on the next one.
#[tokio::test]
async fn a_page_of_operations_ends_where_it_would_be_too_long() {
    let house = House::open().await;
    let until = Timestamp::from_millis(1_767_225_600_000 + 3_600_000);
    let mut all = BTreeSet::new();
    for n in 1..=7 {
        let mut reserve = fixture::park(n, vec![fixture::rolling("day", 5, 100)], until);
        // the fifth alone is longer than a page
        let bytes = if n == 5 { 5 << 20 } else { 700_000 };
        fixture::plan_mut(&mut reserve.operation.intent).data = vec![0xab; bytes].into();
        let answer = house.ledger.reserve(&reserve).await.unwrap();
        assert!(matches!(answer, ReserveAnswer::Reserved(_)), "{answer:?}");
        all.insert(reserve.operation.id.to_string());
    }
    for route in ["/operations", "/pending-operations"] {
        let (mut seen, mut pages, mut cursor) = (Vec::new(), 0, String::new());
        loop {
            let page = house.desk("GET", &format!("{route}?limit=1000{cursor}"), "").await;
            let shown = page.json();
            let items = shown["items"].as_array().unwrap();
            assert!(
                page.body.len() < (4 << 20) + 200 || items.len() == 1,
                "{} bytes",
                page.body.len()
            );
            seen.extend(items.iter().map(|item| item["id"].as_str().unwrap().to_owned()));
            pages += 1;
            let Some(next) = shown["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        assert_eq!(seen.len(), all.len(), "{route}: {seen:?}");
        assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), all, "{route}");
        assert!((4..=7).contains(&pages), "{route}: {pages} pages");
    }
    house.close().await;
}

#[tokio::test]
async fn a_rejected_operation_leaves_the_inbox() {
    let house = House::open().await;
    let id = parked(&house, 2).await;
    let reject = format!("/pending-operations/{id}/reject");
    let no = house.desk("POST", &reject, r#"{"reason":"no"}"#).await;
    assert_eq!((no.status, &no.json()["status"]), (200, &json!("REJECTED")));
    let inbox = house.desk("GET", "/pending-operations", "").await.json();
    assert_eq!(inbox["items"], json!([]));
    let once = house.desk("GET", "/pending-operations?status=rejected", "").await.json();
    assert_eq!(once["items"][0]["id"], json!(id));
    let all = house.desk("GET", "/operations?status=all&agent=trader&limit=1", "").await.json();
    assert_eq!(all["items"][0]["state"], "REJECTED");
    house.close().await;
}

#[tokio::test]
async fn unknown_things_are_404_and_unreadable_questions_400() {
    let house = House::open().await;
    let missing = "op_00000000000000000000000000000000";
    for (path, status) in [
        (format!("/operations/{missing}"), 404),
        ("/operations/nonsense".to_owned(), 404),
        (format!("/pending-operations/{missing}"), 404),
        (format!("/apps/default/traces/0x{}", "0".repeat(64)), 404),
        ("/apps/other/traces".into(), 404),
        ("/api/agents/nobody/policies".into(), 404),
        ("/budget?agent=nobody".into(), 404),
        ("/operations?status=nonsense".into(), 400),
        ("/operations?nonsense=1".into(), 400),
        ("/operations?limit=0".into(), 400),
        ("/operations?limit=1001".into(), 400),
        ("/apps/default/traces?status=nonsense".into(), 400),
        ("/apps/default/traces?from=yesterday".into(), 400),
    ] {
        let reply = house.desk("GET", &path, "").await;
        assert_eq!(reply.status, status, "{path}: {}", reply.body);
        assert!(reply.json()["code"].is_string());
    }
    house.close().await;
}

#[tokio::test]
async fn a_freeze_is_in_force_until_it_is_lifted() {
    let house = House::open().await;
    for body in [
        "{}",
        r#"{"all":true}"#,
        r#"{"agent":"trader"}"#,
        r#"{"wallet":"hot"}"#,
        r#"{"chain":31337}"#,
    ] {
        let reply = house.desk("POST", "/freeze", body).await;
        assert_eq!(reply.json()["freezes"].as_array().map(Vec::len), Some(1), "{body}");
        let lifted = house.desk("POST", "/unfreeze", body).await;
        assert_eq!(lifted.json()["freezes"], json!([]), "{body}");
        assert_eq!(house.desk("POST", "/unfreeze", body).await.status, 409, "{body}");
    }
    for (body, status) in [
        (r#"{"agent":"nobody"}"#, 404),
        (r#"{"agent":"trader","wallet":"hot"}"#, 400),
        (r#"{"agnet":"trader"}"#, 400),
        (r#"{"reason":""}"#, 400),
        (r#"{"reason":"two\nlines"}"#, 400),
        (r#"{"reason":"turned \u202e round"}"#, 400),
        (&format!(r#"{{"reason":"{}"}}"#, "x".repeat(501)), 400),
    ] {
        assert_eq!(house.desk("POST", "/freeze", body).await.status, status, "{body}");
    }
    let reply = house.desk("POST", "/unfreeze", r#"{"reason":"over"}"#).await;
    assert_eq!(reply.status, 400, "a lifted freeze keeps no words");
    house.close().await;
}

#[tokio::test]
async fn a_freeze_says_who_set_it_and_why_to_operators_and_not_to_agents() {
    let house = House::open().await;
    let secret = "somebody else signs with it: <b>call bob</b>";
    let words = json!({"agent": "trader", "reason": secret}).to_string();
    let reply = house.desk("POST", "/freeze", &words).await;
    let standing = reply.json()["freezes"][0].clone();
    assert_eq!(standing["reason"], secret);
    assert_eq!((&standing["by"], &standing["operator"]), (&json!("operator"), &json!("alice")));
    assert!(standing["at"].is_string(), "{standing}");
    let agents = house.desk("GET", "/agents", "").await.json();
    let freezes = |list: &Value| -> Vec<(Value, Value)> {
        let items = list["items"].as_array().unwrap().iter();
        items.map(|item| (item["id"].clone(), item["freezes"].clone())).collect()
    };
    let expected = [(json!("other"), json!([])), (json!("trader"), json!([standing]))];
    assert_eq!(freezes(&agents), expected);
    let wallets = house.desk("GET", "/wallets", "").await.json();
    let of_none = freezes(&wallets).into_iter().all(|(_, freezes)| freezes == json!([]));
    assert!(of_none, "it is not the wallet's: {wallets}");
    for page in ["/overview", "/ledger"] {
        let seen = house.desk("GET", page, "").await.json();
        assert_eq!(seen["freezes"], json!([standing]), "{page}");
    }
    // what says nothing new changes nothing
    let again = house.desk("POST", "/freeze", r#"{"agent":"trader"}"#).await;
    assert_eq!(again.json()["freezes"], json!([standing]));
    let lifted = house.desk("POST", "/unfreeze", r#"{"agent":"trader"}"#).await;
    assert_eq!(lifted.json()["freezes"], json!([]));
    let bare = house.desk("POST", "/freeze", r#"{"agent":"trader","reason":null}"#).await;
    assert_eq!(bare.json()["freezes"][0].get("reason"), None, "of the one before nothing is left");
    house.close().await;
}

#[tokio::test]
async fn a_seal_is_lifted_over_differences_only_if_they_are_accepted() {
    let house = House::open().await;
    let sealed = house.desk("POST", "/ledger/seal", r#"{"reason":"drill"}"#).await.json();
    assert_eq!(sealed["sealed"], "alice: drill");
    assert_eq!(sealed["wallets"][0]["transactions"], json!({"latest": 0, "pending": null}));
    let silent = house.desk("POST", "/ledger/unseal", "").await;
    assert_eq!(silent.status, 409, "what cannot be read is no agreement: {}", silent.body);
    assert_eq!(silent.json()["code"], "differences");
    let pool = |count| ReadAnswer::Result(Bytes::from(format!("\"{count}\"").into_bytes()));
    house.chain.answer_read("eth_getTransactionCount", pool("0x2"));
    let seen = house.desk("GET", "/ledger", "").await.json();
    assert_eq!(seen["wallets"][0]["unknown"], 2);
    assert_eq!(seen["journals"], json!([]), "nothing is written yet");
    let refused = house.desk("POST", "/ledger/unseal", r#"{"accept_differences":false}"#).await;
    let refused = refused.json();
    assert_eq!(refused["differences"], seen["differences"]);
    let shown: Vec<_> =
        refused["differences"].as_array().unwrap().iter().map(|d| d.as_str().unwrap()).collect();
    let words = "hot on chain 31337 has 2 transactions from nonce 0 on";
    assert!(shown.iter().any(|line| line.starts_with(words)), "{shown:#?}");
    let lifted = house.desk("POST", "/ledger/unseal", r#"{"accept_differences":true}"#).await;
    assert_eq!((lifted.status, &lifted.json()["sealed"]), (200, &Value::Null));
    assert_eq!(lifted.json()["epoch"], 1);
    let incidents = house.desk("GET", "/incidents", "").await.json();
    assert_eq!(incidents["items"][0]["code"], "differences_accepted");
    assert_eq!(incidents["items"][0]["description"], shown.join("\n"));
    let [chain] = house.journal.chains().await.unwrap().try_into().unwrap();
    let journal = json!({"gateway": chain.gateway, "head": chain.head, "anchored": null});
    let seen = house.desk("GET", "/ledger", "").await.json();
    assert_eq!(seen["journals"], json!([journal]), "an incident is an entry");

    house.desk("POST", "/ledger/seal", r#"{"reason":"again"}"#).await;
    house.chain.answer_read("eth_getTransactionCount", pool("0x0"));
    let agreed = house.desk("POST", "/ledger/unseal", "").await;
    assert_eq!((agreed.status, &agreed.json()["sealed"]), (200, &Value::Null), "{}", agreed.body);
    assert_eq!(
        house.desk("GET", "/incidents", "").await.json()["items"].as_array().unwrap().len(),
        1
    );
    assert_eq!(house.desk("POST", "/ledger/init", "").await.json()["code"], "not_empty");
    house.close().await;
}

#[tokio::test]
async fn a_ledger_that_is_lost_is_shown_and_nothing_else_of_it() {
    let house = House::open().await;
    house.ledger.break_with(Some(LedgerError::Lost("the store is empty".into())));
    let unsealed = house.desk("POST", "/ledger/seal", r#"{"reason":"drill"}"#).await;
    assert_eq!((unsealed.status, &unsealed.json()["code"]), (503, &json!("ledger_lost")));
    house.close().await;
}

#[tokio::test]
async fn what_a_client_records_is_marked_as_its_own_word() {
    let house = House::open().await;
    let body = r#"{"traceHash":"0xabc123","reasoning":"because","proposedAction":"{\"type\":\"transfer\"}",
        "validationResult":"{\"allowed\":true}","policyVerdicts":["spending_limits:passed"],"status":"executed",
        "riskScore":15,"durationMs":1250,"agentId":"trader"}"#;
    let posted = house.desk("POST", "/apps/default/traces", body).await;
    assert_eq!(posted.status, 201, "{}", posted.body);
    let posted = posted.json();
    assert_eq!((&posted["attestation"], &posted["durationMs"]), (&json!(true), &json!(1250)));
    assert_eq!(posted["attestedBy"], "alice");
    assert_eq!(posted["signatures"], json!([{"claimed_trace_hash": "0xabc123"}]));
    let hash = posted["traceHash"].as_str().unwrap();
    let shown = house.desk("GET", &format!("/apps/default/traces/{hash}"), "").await.json();
    assert_eq!(shown, posted);
    let listed = house.desk("GET", "/apps/default/traces?status=executed&agent=trader", "").await;
    assert_eq!(listed.json()["items"], json!([posted]));
    // whole or not at all: one entry, which says who
    let [chain] = house.journal.chains().await.unwrap().try_into().unwrap();
    let [entry] = house.journal.entries(&chain.gateway, 0, 10).await.unwrap().try_into().unwrap();
    assert!(entry.text.contains(r#""posted":{"by":"alice""#), "{}", entry.text);
    let viewer = [("authorization", &*format!("Bearer {VIEWER}"))];
    let refused = send(house.operators, "POST", "/apps/default/traces", &viewer, body).await;
    assert_eq!((refused.status, &refused.json()["code"]), (403, &json!("role_missing")));
    for field in [
        "signatures",
        "txHash",
        "blockedBy",
        "sessionKeyHash",
        "facts",
        "charges",
        "gates",
        "approvals",
        "previousHash",
    ] {
        assert!(shown.get(field).is_some(), "{field}");
    }
    house.close().await;
}

#[tokio::test]
async fn what_a_client_says_is_kept_as_it_was_said_or_refused() {
    let house = House::open().await;
    let post = async |body: &str| house.desk("POST", "/apps/default/traces", body).await;
    let with = |rest: &str| format!(r#"{{"proposedAction":{{}},"status":"executed"{rest}}}"#);
    for rest in [
        r#","signatures":[null]"#,
        r#","signatures":[[0.1]]"#,
        r#","validationResult":{"wei":100000000000000000001}"#,
        r#","policyVerdicts":[[1e20]]"#,
        r#","riskScore":101"#,
        &format!(r#","signatures":[{}]"#, vec!["\"0x\""; 65].join(",")),
        &format!(r#","reasoning":"{}""#, "x".repeat(65_536)),
    ] {
        let refused = post(&with(rest)).await;
        assert_eq!((refused.status, &refused.json()["code"]), (400, &json!("malformed")), "{rest}");
    }
    assert_eq!(post(r#"[null,null,{},null,[],[],null,"executed"]"#).await.status, 400);
    let (first, second) = (with(r#","txHash":null"#), with("").replace("executed", "blocked"));
    let same = [post(&first).await.json(), post(&first).await.json(), post(&second).await.json()];
    assert_ne!(same[0]["traceHash"], same[1]["traceHash"]);
    let stati: Vec<_> = same.iter().map(|posted| posted["status"].as_str().unwrap()).collect();
    assert_eq!(stati, ["executed", "executed", "blocked"]);
    let listed = house.desk("GET", "/apps/default/traces", "").await.json();
    assert_eq!(listed["items"].as_array().unwrap().len(), 3);
    house.close().await;
}

#[tokio::test]
async fn what_an_operator_gets_wrong_is_said_to_be_theirs() {
    let house = House::open().await;
    for route in ["/operations?cursor=x", "/pending-operations?cursor=..%2Fx"] {
        let refused = house.desk("GET", route, "").await;
        assert_eq!(
            (refused.status, &refused.json()["code"]),
            (400, &json!("malformed")),
            "{route}"
        );
    }
    let long = format!(r#"{{"reason":"{}"}}"#, "x".repeat(4097));
    assert_eq!(house.desk("POST", "/ledger/seal", &long).await.status, 400);
    assert_eq!(house.desk("GET", "/ledger", "").await.json()["sealed"], Value::Null);
    assert_eq!(house.desk("POST", "/freeze", r#"["trader",null,null,false]"#).await.status, 400);
    house.close().await;
}

#[tokio::test]
async fn the_configuration_in_force_can_be_read() {
    let house = House::open().await;
    let agents = house.desk("GET", "/agents", "").await.json();
    assert_eq!(agents["items"].as_array().map(Vec::len), Some(2));
    let wallets = house.desk("GET", "/wallets", "").await.json();
    assert_eq!(wallets["items"][1]["chains"][0]["balance_wei"], "10000000000000000000");
    let policies = house.desk("GET", "/api/agents/trader/policies", "").await.json();
    assert_eq!(policies["items"][0]["kind"], "grant");
    let overview = house.desk("GET", "/overview", "").await.json();
    assert_eq!(overview["pending"], 0);
    assert_eq!(house.desk("GET", "/budget?agent=trader", "").await.status, 200);
    assert!(house.desk("GET", "/ledger", "").await.json()["durability"].is_string());
    house.close().await;
}

#[tokio::test]
async fn a_pact_is_spoken_to_in_the_version_that_stands() {
    let house = House::open().await;
    let grant = house.desk("GET", "/api/agents/trader/policies", "").await.json();
    let id = grant["items"][0]["id"].as_str().unwrap().to_owned();
    let other = format!("sha256:{}", "11".repeat(32));
    let long = format!(r#"{{"reason":"{}"}}"#, "x".repeat(4097));
    let none = json!(null);
    for (path, body, status, code) in [
        (format!("trader/policies/{id}/approve"), "{}", 409, json!("pact_stands")),
        (format!("trader/policies/{id}/reject"), r#"{"reason":"no"}"#, 409, json!("pact_stands")),
        (format!("trader/policies/{id}/revoke"), "{}", 400, json!("malformed")),
        (format!("trader/policies/{id}/revoke"), "", 400, json!("malformed")),
        (format!("trader/policies/{id}/revoke"), &long, 400, json!("malformed")),
        (
            format!("trader/policies/{id}/revoke"),
            r#"{"reason":"x","y":1}"#,
            400,
            json!("malformed"),
        ),
        (
            format!("trader/policies/{other}/revoke"),
            r#"{"reason":"x"}"#,
            409,
            json!("pact_differs"),
        ),
        ("trader/policies/latest/revoke".into(), r#"{"reason":"x"}"#, 404, json!("not_found")),
        (format!("nobody/policies/{id}/revoke"), r#"{"reason":"x"}"#, 404, json!("not_found")),
        (format!("trader/policies/{id}/end"), r#"{"reason":"x"}"#, 404, json!("not_found")),
        // what nobody had to approve can be ended all the same, and once
        (format!("trader/policies/{id}/revoke"), r#"{"reason":"enough"}"#, 200, none.clone()),
        (format!("trader/policies/{id}/revoke"), r#"{"reason":"again"}"#, 200, none),
        (format!("trader/policies/{id}/approve"), "", 409, json!("pact_stands")),
    ] {
        let reply = house.desk("POST", &format!("/api/agents/{path}"), body).await;
        assert_eq!((reply.status, &reply.json()["code"]), (status, &code), "{path} {}", reply.body);
    }
    let ended = house.desk("GET", "/api/agents/trader/policies", "").await.json();
    let ended = &ended["items"][0];
    assert_eq!((&ended["state"], &ended["in_force"]), (&json!("revoked"), &json!(false)));
    assert_eq!(
        (&ended["revoked"]["by"], &ended["revoked"]["note"]),
        (&json!("alice"), &json!("enough"))
    );
    let other = house.desk("GET", "/api/agents/other/policies", "").await.json();
    assert_eq!(other["items"][0]["state"], "active", "the same words, and another agent");
    house.close().await;
}

#[tokio::test]
async fn events_tell_of_changes_and_end_with_the_door() {
    let house = House::open().await;
    let request =
        format!("GET /events HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {DESK}\r\n\r\n");
    let mut stream = TcpStream::connect(house.operators.0).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut heard = String::new();
    let mut part = [0_u8; 4096];
    while !heard.contains("event: overview") {
        let length = stream.read(&mut part).await.unwrap();
        assert!(length > 0, "{heard}");
        heard.push_str(&String::from_utf8_lossy(&part[..length]));
    }
    assert!(heard.contains("text/event-stream"), "{heard}");
    house.close().await;
    stream.read_to_string(&mut heard).await.unwrap();
}

/// Listens to events until `wanted` is heard.
async fn listen(house: &House, last: Option<&str>, wanted: &str) -> String {
    let last = last.map_or_else(String::new, |id| format!("last-event-id: {id}\r\n"));
    let request = format!(
        "GET /events HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {DESK}\r\n{last}\r\n"
    );
    let mut stream = TcpStream::connect(house.operators.0).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let (mut heard, mut part) = (String::new(), [0_u8; 4096]);
    while !heard.contains(wanted) {
        let length = stream.read(&mut part).await.unwrap();
        assert!(length > 0, "{heard}");
        heard.push_str(&String::from_utf8_lossy(&part[..length]));
    }
    heard
}

#[tokio::test]
async fn a_listener_that_comes_back_hears_what_it_missed() {
    let house = House::open().await;
    let heard = listen(&house, None, "event: overview").await;
    let id =
        heard.split("id: ").nth(1).and_then(|rest| rest.split('\n').next()).unwrap().to_owned();
    assert_eq!(house.desk("POST", "/freeze", r#"{"all":true}"#).await.status, 200);
    assert_eq!(house.desk("POST", "/unfreeze", r#"{"all":true}"#).await.status, 200);
    let heard = listen(&house, Some(id.trim()), "unfreeze").await;
    let freeze = heard.find(r#""what":"freeze""#).unwrap();
    assert!(freeze < heard.find(r#""what":"unfreeze""#).unwrap(), "{heard}");
    for other in ["9-1", "nonsense", "0-999999"] {
        let heard = listen(&house, Some(other), "event: overview").await;
        assert!(heard.contains("event: reset"), "{other}: {heard}");
    }
    house.close().await;
}

#[tokio::test]
async fn only_so_many_listen() {
    let house = House::open().await;
    let request =
        format!("GET /events HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {DESK}\r\n\r\n");
    let mut seated = Vec::new();
    for _ in 0..16 {
        let mut stream = TcpStream::connect(house.operators.0).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut status = [0_u8; 12];
        stream.read_exact(&mut status).await.unwrap();
        assert_eq!(&status, b"HTTP/1.1 200");
        seated.push(stream);
    }
    let refused = house.desk("GET", "/events", "").await;
    assert_eq!((refused.status, &refused.json()["code"]), (503, &json!("unavailable")));
    // one operator keeps no other out
    let mut other = TcpStream::connect(house.operators.0).await.unwrap();
    other.write_all(request.replace(DESK, VIEWER).as_bytes()).await.unwrap();
    let mut status = [0_u8; 12];
    other.read_exact(&mut status).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 200");
    drop(seated);
    house.close().await;
}

async fn patch(
    house: &House,
    id: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> super::house::Reply {
    let token = format!("Bearer {DESK}");
    let all: Vec<(&str, &str)> =
        [("authorization", token.as_str())].into_iter().chain(headers.iter().copied()).collect();
    send(house.operators, "PATCH", &format!("/incidents/{id}"), &all, body).await
}

#[tokio::test]
async fn an_incident_is_moved_by_whoever_saw_it_as_it_is() {
    let house = House::open().await;
    let told = ("the title", String::new());
    house.engine.report(Severity::High, ("a_test", ""), told, None).await;
    let listed = house.desk("GET", "/incidents?severity=High&status=Open", "").await.json();
    let id = listed["items"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(listed["items"][0]["version"], 1);
    let none = house.desk("GET", "/incidents?agent=trader", "").await.json();
    assert_eq!(none["items"], json!([]));
    let shown = house.desk("GET", &format!("/incidents/{id}"), "").await;
    assert_eq!((shown.status, &shown.json()["count"]), (200, &json!(1)));
    let take = r#"{"status":"Investigating","note":"mine"}"#;
    let stale = patch(&house, &id, &[("if-match", "\"7\"")], take).await;
    assert_eq!((stale.status, &stale.json()["version"]), (412, &json!(1)));
    let stale = patch(&house, &id, &[], r#"{"status":"Investigating","version":7}"#).await;
    assert_eq!((stale.status, &stale.json()["code"]), (409, &json!("other_version")));
    let taken = patch(&house, &id, &[("if-match", "\"1\"")], take).await;
    assert_eq!((taken.status, &taken.json()["status"]), (200, &json!("Investigating")));
    let step = taken.json()["history"][1].clone();
    assert_eq!((&step["by"], &step["note"]), (&json!("alice"), &json!("mine")));
    for others in ["\"x\"", "W/\"2\"", "\"1\", \"3\"", ""] {
        let stale = patch(&house, &id, &[("if-match", others)], take).await;
        assert_eq!((stale.status, &stale.json()["version"]), (412, &json!(2)), "{others}");
    }
    let among = [("if-match", "\"9\", W/\"1\""), ("if-match", "\"1\",\"2\"")];
    let noted = patch(&house, &id, &among, r#"{"note":"one of these"}"#).await;
    assert_eq!((noted.status, &noted.json()["version"]), (200, &json!(3)), "{}", noted.body);
    let resolved = patch(&house, &id, &[("if-match", "*")], r#"{"status":"Resolved"}"#).await;
    assert_eq!(resolved.status, 200);
    let illegal = patch(&house, &id, &[], r#"{"status":"Dismissed"}"#).await;
    assert_eq!((illegal.status, &illegal.json()["code"]), (409, &json!("illegal_move")));
    for (headers, body) in [
        (&[][..], "{}"),
        (&[], r#"{"status":"Open","by":"bob"}"#),
        (&[], r#"{"status":"Closed"}"#),
        (&[("if-match", "1")], take),
        (&[("if-match", "\"3\" \"2\"")], take),
    ] {
        assert_eq!(patch(&house, &id, headers, body).await.status, 400, "{body}");
    }
    let long = format!(r#"{{"note":"{}"}}"#, "x".repeat(4097));
    assert_eq!(patch(&house, &id, &[], &long).await.status, 400);
    assert_eq!(patch(&house, "inc_9", &[], take).await.status, 404);
    assert_eq!(house.desk("GET", "/incidents/inc_9", "").await.status, 404);
    house.close().await;
}

#[tokio::test]
async fn probes_answer_their_neighbours_without_a_credential() {
    let house = House::open().await;
    let probe = |path: &'static str| send(house.operators, "GET", path, &[], "");
    assert_eq!(probe("/healthz").await.status, 200);
    house.post("/", &super::house::call("eth_chainId", "[]")).await;
    let metrics = probe("/metrics").await.body;
    for line in [
        "countersign_requests_total{method=\"eth_chainId\",outcome=\"ok\"} 1",
        "countersign_operations{state=\"PARKED\"} 0",
        "countersign_incidents_total{severity=\"Critical\"} 0",
        "countersign_request_seconds_count{method=\"eth_chainId\"} 1",
        "# TYPE countersign_budget_used_ratio gauge",
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
    assert!(!metrics.contains(DESK) && !metrics.contains(AGENT));
    let ready = probe("/readyz").await;
    assert!(ready.json()["durability"].is_string(), "{}", ready.body);
    house.chain.set_down(true);
    let down = probe("/readyz").await;
    assert_eq!((down.status, &down.json()["chains"]["31337"]), (503, &json!("unavailable")));
    house.close().await;
}

#[tokio::test]
async fn what_nothing_can_mean_is_refused_by_every_list() {
    let house = House::open().await;
    for route in [
        "/overview?agent=trader",
        "/agents?limit=1",
        "/wallets?x",
        "/ledger?x=1",
        "/apps/default/traces?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z",
        "/incidents?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z",
        "/evidence?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z",
        "/apps/default/traces?from=0001-01-01T00:00:00Z",
        "/evidence?to=%2B010000-01-01T00:00:00Z",
    ] {
        let refused = house.desk("GET", route, "").await;
        let told = (refused.status, &refused.json()["code"]);
        assert_eq!(told, (400, &json!("malformed")), "{route}: {}", refused.body);
    }
    let early = house.desk("GET", "/incidents?from=0001-01-01T00:00:00Z", "").await.json();
    assert!(early["detail"].as_str().unwrap().contains("between 1970 and 9999"), "{early}");
    for route in [
        "/apps/default/traces?from=1970-01-01T00:00:00Z&to=9999-12-30T00:00:00Z",
        "/evidence?from=2026-01-01T00:00:00Z&to=2026-01-01T00:00:00Z",
        "/overview",
        "/ledger",
    ] {
        assert_eq!(house.desk("GET", route, "").await.status, 200, "{route}");
    }
    assert_eq!(house.desk("GET", "/spend?agent=nobody", "").await.status, 404);
    assert_eq!(house.desk("GET", "/spend?agent=trader", "").await.status, 200);
    house.close().await;
}

/// What a client posts has the hash of its session, and evidence finds it by the name: so does the list.
#[tokio::test]
async fn a_session_is_found_by_its_name_wherever_it_is_asked_for() {
    let house = House::open().await;
    let hash = countersign_core::journal::sha256("night run");
    let body = format!(
        r#"{{"proposedAction":{{}},"status":"executed","agentId":"trader","sessionKeyHash":"{hash}"}}"#
    );
    assert_eq!(house.desk("POST", "/apps/default/traces", &body).await.status, 201);
    for (session, count) in [("night%20run", 1), ("day%20run", 0)] {
        let route = format!("/apps/default/traces?session={session}");
        let listed = house.desk("GET", &route, "").await.json();
        assert_eq!(listed["items"].as_array().unwrap().len(), count, "{listed}");
        let evidence = house.desk("GET", &format!("/evidence?session={session}"), "").await;
        assert_eq!(evidence.body.matches(r#""attestation":{"#).count(), count);
    }
    house.close().await;
}

/// Reads until there is something, or nothing more.
async fn part(stream: &mut TcpStream) -> Vec<u8> {
    let mut part = vec![0_u8; 1 << 16];
    let length = stream.read(&mut part).await.unwrap_or(0);
    part.truncate(length);
    part
}

/// An export is long: whose token is taken back does not get the rest, and cannot take what came for the whole.
#[tokio::test]
async fn evidence_breaks_off_when_its_reader_is_no_operator_any_more() {
    let house = House::open().await;
    for n in 0..12 {
        let mut new = decided(n);
        new.decision.reasoning = Some("x".repeat(1 << 20));
        house.journal.record(&new).await.unwrap();
    }
    let get = |path: &str| {
        format!(
            "GET {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {DESK}\r\nconnection: close\r\n\r\n"
        )
    };
    for format in ["json", "csv"] {
        let credentials = crate::tests::house::credentials;
        house.keyring.replace(credentials());
        let mut export = TcpStream::connect(house.operators.0).await.unwrap();
        export.write_all(get(&format!("/evidence?format={format}")).as_bytes()).await.unwrap();
        let mut got = part(&mut export).await;
        assert!(got.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&got));
        // whoever looks at both looks at this one later: when it has ended, the export has been looked at, too
        let mut events = TcpStream::connect(house.operators.0).await.unwrap();
        events.write_all(get("/events").as_bytes()).await.unwrap();
        assert!(part(&mut events).await.starts_with(b"HTTP/1.1 200"));
        house.keyring.replace(crate::Credentials::default());
        while !part(&mut events).await.is_empty() {}
        loop {
            let more = part(&mut export).await;
            if more.is_empty() {
                break;
            }
            got.extend(more);
        }
        assert!(got.len() < 12 << 20, "{} bytes of {format}", got.len());
        assert!(!got.ends_with(b"0\r\n\r\n"), "an export that is cut has no end");
    }
    house.close().await;
}

#[tokio::test]
async fn only_so_many_exports_are_on_their_way() {
    let house = House::open().await;
    for n in 0..12 {
        let mut new = decided(n);
        new.decision.reasoning = Some("x".repeat(1 << 20));
        house.journal.record(&new).await.unwrap();
    }
    let request = format!(
        "GET /evidence HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {DESK}\r\n\r\n"
    );
    let mut going = Vec::new();
    for _ in 0..4 {
        let mut export = TcpStream::connect(house.operators.0).await.unwrap();
        export.write_all(request.as_bytes()).await.unwrap();
        assert!(part(&mut export).await.starts_with(b"HTTP/1.1 200"));
        going.push(export);
    }
    assert_eq!(house.desk("GET", "/evidence", "").await.status, 503);
    drop(going);
    house.close().await;
}

#[tokio::test]
async fn a_request_with_too_long_a_head_is_told_so_like_any_other() {
    let house = House::open().await;
    let long = format!("/operations?cursor={}", "x".repeat(9000));
    let refused = house.desk("GET", &long, "").await;
    assert_eq!((refused.status, &refused.json()["code"]), (414, &json!("target_too_long")));
    let wide = [("x-wide", &*"x".repeat(40_000))];
    let widely = send(house.operators, "GET", "/healthz", &wide, "").await;
    assert_eq!((widely.status, &widely.json()["code"]), (431, &json!("headers_too_long")));
    for reply in [refused, widely] {
        assert!(
            reply.head.contains("content-security-policy: default-src 'none'"),
            "{}",
            reply.head
        );
        assert!(reply.head.contains("application/problem+json"), "{}", reply.head);
    }
    house.close().await;
}

#[tokio::test]
async fn a_history_says_how_far_it_looked() {
    let house = House::open().await;
    let id = parked(&house, 1).await;
    let ask = async || house.desk("GET", &format!("/pending-operations/{id}/history"), "").await;
    let before = ask().await.json();
    assert_eq!((&before["looked_through"], &before["complete"]), (&json!(0), &json!(true)));
    for n in 10..1011 {
        let mut new = decided(n);
        new.decision.agent_id = Some(fixture::intent(1).agent);
        house.journal.record(&new).await.unwrap();
    }
    let history = ask().await.json();
    assert_eq!((&history["looked_through"], &history["complete"]), (&json!(1000), &json!(false)));
    assert!(history["since"].is_string(), "{history}");
    house.close().await;
}
