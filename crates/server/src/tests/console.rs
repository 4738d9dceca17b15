use std::{collections::BTreeSet, time::Duration};

use countersign_engine::port::{Ledger as _, chain::ReadAnswer};
use countersign_testkit::fixture;
use serde_json::json;

use super::house::{DESK, House, Reply, VIEWER, send};
use crate::Credentials;

/// What the console's own page sends along.
const OWN: [(&str, &str); 3] = [
    ("countersign-console", "1"),
    ("origin", "http://localhost"),
    ("sec-fetch-site", "same-origin"),
];

async fn log_in(house: &House, token: &str) -> Reply {
    let body = json!({"token": token}).to_string();
    send(house.operators, "POST", "/session", &[], &body).await
}

/// `name=value` of the cookie that an answer sets.
fn cookie(reply: &Reply) -> String {
    let line = reply.head.lines().find_map(|line| line.strip_prefix("set-cookie: "));
    line.unwrap_or_else(|| panic!("{}", reply.head)).split(';').next().unwrap().to_owned()
}

fn with<'h>(cookie: &'h str, more: &[(&'h str, &'h str)]) -> Vec<(&'h str, &'h str)> {
    std::iter::once(("cookie", cookie)).chain(more.iter().copied()).collect()
}

#[tokio::test]
async fn every_file_that_the_page_names_is_there_and_none_else() {
    let house = House::open().await;
    let page = send(house.operators, "GET", "/", &[], "").await;
    let sources = include_str!("../operators/console.rs");
    let listed: BTreeSet<&str> = sources
        .split("include_str!(\"../console/")
        .skip(1)
        .filter_map(|s| s.split('"').next())
        .collect();
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/console");
    let there = folder.read_dir().unwrap().map(|file| file.unwrap().file_name());
    let there: BTreeSet<String> = there.map(|name| name.into_string().unwrap()).collect();
    assert_eq!(listed, there.iter().map(String::as_str).collect(), "embedded, and in the folder");
    let mut named: Vec<String> = page.body.split('"').map(str::to_owned).collect();
    for file in listed.iter().filter(|file| **file != "index.html") {
        let reply = send(house.operators, "GET", &format!("/console/{file}"), &[], "").await;
        assert_eq!(reply.status, 200, "{file}");
        let kind = match file.rsplit('.').next() {
            Some("js") => "text/javascript; charset=utf-8",
            Some("css") => "text/css; charset=utf-8",
            Some("svg") => "image/svg+xml",
            other => panic!("{other:?}"),
        };
        assert!(reply.head.contains(&format!("content-type: {kind}")), "{file}: {}", reply.head);
        assert!(!reply.body.contains("innerHTML") && !reply.body.contains("://cdn"), "{file}");
        let imports =
            reply.body.split("from './").skip(1).filter_map(|rest| rest.split('\'').next());
        named.extend(imports.map(|name| format!("/console/{name}")));
    }
    for name in named.iter().filter_map(|name| name.strip_prefix("/console/")) {
        assert!(listed.contains(name), "{name} is named and not there");
    }
    for path in ["/console/", "/console/nothing.js", "/console/index.html", "/console/..%2Flib.rs"]
    {
        let reply = send(house.operators, "GET", path, &[], "").await;
        assert_eq!(reply.status, 404, "{path}");
    }
    house.close().await;
}

#[tokio::test]
async fn a_browser_asks_whether_a_file_changed_and_keeps_nothing_else() {
    let house = House::open().await;
    for path in ["/", "/console/main.js"] {
        let first = send(house.operators, "GET", path, &[], "").await;
        assert!(first.head.contains("cache-control: no-cache"), "{}", first.head);
        let tag = first.head.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap();
        let again = send(house.operators, "GET", path, &[("if-none-match", tag)], "").await;
        assert_eq!((again.status, again.body.as_str()), (304, ""), "{path}");
        for known in [format!("W/{tag}"), format!("\"x\", W/\"y\",{tag}"), "*".into()] {
            let again = send(house.operators, "GET", path, &[("if-none-match", &known)], "").await;
            assert_eq!((again.status, again.body.as_str()), (304, ""), "{known}");
        }
        let other = send(house.operators, "GET", path, &[("if-none-match", "\"x\"")], "").await;
        assert_eq!(other.status, 200, "{path}");
        assert!(first.head.contains("require-trusted-types-for 'script'"), "{}", first.head);
    }
    let data = house.desk("GET", "/overview", "").await;
    assert!(data.head.contains("cache-control: no-store"), "{}", data.head);
    house.close().await;
}

/// A page that is only left open loads its files again now and then; nobody is there for that.
#[tokio::test]
async fn a_session_lasts_longer_by_requests_of_the_api_only() {
    let house = House::open().await;
    let own = cookie(&log_in(&house, DESK).await);
    let ask = async |path: &str, minutes: u64| {
        // the clock stands again while sockets are used
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(60 * minutes)).await;
        tokio::time::resume();
        send(house.operators, "GET", path, &with(&own, &[]), "").await.status
    };
    for _ in 0..3 {
        assert_eq!(ask("/overview", 20).await, 200, "it is used");
    }
    for path in ["/console/main.js", "/", "/openapi.json", "/nothing"] {
        assert!(ask(path, 7).await < 500, "{path}");
    }
    assert_eq!(ask("/overview", 5).await, 401, "33 minutes without a request of the API");
    house.close().await;
}

#[tokio::test]
async fn a_token_opens_a_session_that_only_the_consoles_own_requests_may_use() {
    let house = House::open().await;
    let reply = log_in(&house, DESK).await;
    assert_eq!(reply.status, 201, "{}", reply.body);
    let port = house.operators.0.port();
    let attributes = "; path=/; httponly; samesite=strict; max-age=43200";
    assert!(reply.head.contains(&format!("set-cookie: countersign-{port}=")), "{}", reply.head);
    assert!(reply.head.contains(attributes) && !reply.head.contains("; secure"), "{}", reply.head);
    assert_eq!(reply.json()["operator"], "alice");
    assert!(!reply.body.contains(DESK) && !reply.body.contains(&cookie(&reply)), "{}", reply.body);

    let own = cookie(&reply);
    let who = send(house.operators, "GET", "/session", &with(&own, &[]), "").await.json();
    assert_eq!(who["roles"], json!(["view", "approve", "freeze", "policy"]));
    let [header, origin, site] = OWN;
    for (what, headers, status) in [
        ("nothing", &[][..], 403),
        ("no header", &[origin, site], 403),
        ("another header", &[("countersign-console", "yes"), origin, site], 403),
        ("the header alone", &[header], 403),
        ("another site", &[header, ("sec-fetch-site", "cross-site")], 403),
        ("another port", &[header, origin, ("sec-fetch-site", "same-site")], 403),
        ("another origin", &[header, ("origin", "http://localhost:1"), site], 403),
        ("nobody's page", &[header, ("origin", "null"), site], 403),
        ("an older browser", &[header, origin], 200),
        ("the page itself", &OWN, 200),
    ] {
        let headers = with(&own, headers);
        let reply =
            send(house.operators, "POST", "/freeze", &headers, r#"{"agent":"trader"}"#).await;
        assert_eq!(reply.status, status, "{what}: {}", reply.body);
    }
    for (what, headers, status) in [
        ("typed into the address", &[("sec-fetch-site", "none")][..], 200),
        ("another site", &[("sec-fetch-site", "cross-site")], 403),
        ("another port", &[("sec-fetch-site", "same-site")], 403),
    ] {
        let reply = send(house.operators, "GET", "/overview", &with(&own, headers), "").await;
        assert_eq!(reply.status, status, "{what}: {}", reply.body);
    }
    // a header outweighs what a browser sends unasked, and needs nothing beside it
    let bearer = format!("Bearer {VIEWER}");
    let both = with(&own, &[("authorization", &bearer)]);
    assert_eq!(send(house.operators, "POST", "/freeze", &both, "{}").await.status, 403);
    assert_eq!(
        send(house.operators, "GET", "/session", &both, "").await.json()["operator"],
        "victor"
    );
    let twice = format!("{own}; {own}");
    let two = send(house.operators, "GET", "/overview", &[("cookie", &twice)], "").await;
    assert_eq!(two.status, 401, "two cookies are none");
    house.close().await;
}

#[tokio::test]
async fn a_session_ends_with_a_word_or_with_its_credential() {
    let house = House::open().await;
    let [one, two] = [log_in(&house, DESK).await, log_in(&house, DESK).await].map(|r| cookie(&r));
    assert_ne!(one, two);
    let out = send(house.operators, "DELETE", "/session", &with(&one, &OWN), "").await;
    assert_eq!(out.status, 204);
    assert!(out.head.contains("max-age=0"), "{}", out.head);
    let status = async |cookie: &str| {
        send(house.operators, "GET", "/overview", &[("cookie", cookie)], "").await.status
    };
    assert_eq!((status(&one).await, status(&two).await), (401, 200));
    // an event stream is under way when the credential goes: it ends by itself
    let stream = tokio::spawn({
        let (address, two) = (house.operators, two.clone());
        async move { send(address, "GET", "/events", &[("cookie", &two)], "").await }
    });
    house.keyring.replace(Credentials::default());
    let stream = tokio::time::timeout(std::time::Duration::from_secs(30), stream).await;
    assert!([200, 401].contains(&stream.expect("the stream ends").unwrap().status));
    assert_eq!(status(&two).await, 401);
    house.close().await;
}

#[tokio::test]
async fn who_fails_too_often_waits() {
    let house = House::open().await;
    for body in ["", "{}", r#"{"token":1}"#, r#"{"token":"x","more":1}"#] {
        assert_eq!(
            send(house.operators, "POST", "/session", &[], body).await.status,
            400,
            "{body}"
        );
    }
    let form = [("content-type", "text/plain")];
    let body = json!({"token": DESK}).to_string();
    assert_eq!(send(house.operators, "POST", "/session", &form, &body).await.status, 400);
    for _ in 0..10 {
        assert_eq!(log_in(&house, "nonsense").await.status, 401);
    }
    let refused = log_in(&house, DESK).await;
    assert_eq!((refused.status, &refused.json()["code"]), (429, &json!("too_many_attempts")));
    assert!(refused.head.contains("retry-after: 60"), "{}", refused.head);
    assert_eq!(house.desk("GET", "/overview", "").await.status, 200, "a token itself still works");
    house.close().await;
}

#[tokio::test]
async fn a_transaction_is_found_by_its_hash_with_or_without_a_node_that_knows_it() {
    let house = House::open().await;
    house.ledger.reserve(&fixture::reserve(1, vec![])).await.unwrap();
    house.ledger.commit(&fixture::commit(1)).await.unwrap();
    let record = house.ledger.operation(fixture::operation_id(1)).await.unwrap().unwrap();
    let signed = fixture::signed_first(&record);
    house.ledger.signed(record.id, 0, &signed, None).await.unwrap();
    let of =
        async |query: String| house.desk("GET", &format!("/operations?{query}"), "").await.json();
    let hash = format!("hash={}", signed.hash);
    assert_eq!(of(hash.clone()).await["items"][0]["id"], json!(record.id));
    assert_eq!(of(format!("{hash}&status=executed")).await["items"], json!([]));
    assert_eq!(of(format!("{hash}&agent=other")).await["items"], json!([]));
    let unknown = format!("hash=0x{}", "ab".repeat(32));
    assert_eq!(of(unknown).await["items"], json!([]));
    // a node that names somebody else's sender, or nonsense, does not stand in the way
    for answer in [
        json!({"from": format!("0x{}", "11".repeat(20)), "nonce": "0x0"}),
        json!({"from": record.intent.address, "nonce": "0x7"}),
        json!({"from": record.intent.address, "nonce": "0x0"}),
        json!(null),
        json!([1]),
    ] {
        let answer = ReadAnswer::Result(answer.to_string().into_bytes().into());
        house.chain.answer_read("eth_getTransactionByHash", answer);
        assert_eq!(of(hash.clone()).await["items"][0]["id"], json!(record.id));
    }
    let wrong = house.desk("GET", "/operations?hash=0x12", "").await;
    assert_eq!(wrong.status, 400, "{}", wrong.body);
    house.close().await;
}

#[tokio::test]
async fn spend_has_a_line_for_each_day_and_no_more_than_a_quarter() {
    let house = House::open().await;
    house
        .ledger
        .reserve(&fixture::reserve(1, vec![fixture::rolling("day", 5, 100)]))
        .await
        .unwrap();
    let seen = house.desk("GET", "/spend?days=3", "").await.json();
    assert_eq!(seen["days"].as_array().map(Vec::len), Some(3));
    assert_eq!(seen["days"][2], "2026-01-01T00:00:00Z");
    assert_eq!(seen["agents"][0]["agent"], "trader");
    let today = json!({"settled": "0", "committed": "0", "reserved": "0.000005", "operations": 1});
    assert_eq!(seen["agents"][0]["days"][2], today);
    assert_eq!(house.desk("GET", "/spend?agent=other", "").await.json()["agents"], json!([]));
    for days in ["0", "93", "x", "-1"] {
        assert_eq!(
            house.desk("GET", &format!("/spend?days={days}"), "").await.status,
            400,
            "{days}"
        );
    }
    house.close().await;
}
