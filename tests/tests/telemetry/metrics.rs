use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    process::Stdio,
};

use countersign_tests::{
    Setup, StoreKind, World,
    config::{PAYEE, STRANGER, TOKEN},
    http, place, wait,
};
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt as _, process::Command};

/// What each sample is labelled with.
type Samples = BTreeMap<String, BTreeSet<String>>;

/// Labels that Prometheus itself adds.
const ADDED: [&str; 2] = ["instance", "job"];

/// A gateway that has done a little of everything.
async fn busy() -> World {
    let world = World::start(Setup::new(StoreKind::Embedded)).await;
    let bot = world.bot();
    bot.send(PAYEE, "0xb1a2bc2ec50000").await.expect("an allowed send");
    bot.send(STRANGER, "0x1").await.expect_err("a stranger");
    bot.send(PAYEE, "0x2c68af0bb140000").await.expect_err("it parks");
    bot.call("eth_blockNumber", json!([])).await.expect("a number");
    for name in ["evil_\"method\"}\n", "a".repeat(5000).as_str(), "eth_sendTransactionX"] {
        bot.call(name, json!([])).await.expect_err("no such method");
    }
    world
}

async fn scrape(world: &World) -> String {
    let reply = http::get(world.gateway.addresses.admin, "/metrics", &[]).await;
    assert_eq!(reply.status, 200);
    assert!(reply.header("content-type").starts_with("text/plain; version=0.0.4"));
    reply.text()
}

/// What Prometheus' own parser makes of it.
async fn parsed(text: &str) -> Value {
    let python = place::program("python", "COUNTERSIGN_PYTHON", &place::web3py_folders());
    let mut reader = Command::new(python)
        .arg(place::clients().join("metrics.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a Python");
    let mut input = reader.stdin.take().expect("its input");
    input.write_all(text.as_bytes()).await.expect("it reads");
    drop(input);
    let said = reader.wait_with_output().await.expect("it ends");
    let said: Value = serde_json::from_slice(&said.stdout).expect("JSON");
    said.get("samples").cloned().unwrap_or_else(|| panic!("{said}\n{text}"))
}

fn samples(parsed: &Value) -> Samples {
    let labels = |of: &Value| {
        let names = of.get("labels").and_then(Value::as_array).expect("labels");
        names.iter().map(|name| name.as_str().expect("a name").to_owned()).collect()
    };
    let all = parsed.as_object().expect("samples");
    all.iter().map(|(name, of)| (name.clone(), labels(of))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_metrics_of_the_contract_are_there_as_prometheus_reads_them() {
    let world = busy().await;
    let text = scrape(&world).await;
    let parsed = parsed(&text).await;
    let found = samples(&parsed);
    for (name, kind, labels) in [
        ("countersign_requests_total", "counter", vec!["method", "outcome"]),
        ("countersign_decision_seconds_bucket", "histogram", vec!["le"]),
        ("countersign_request_seconds_bucket", "histogram", vec!["le", "method"]),
        ("countersign_sign_seconds_bucket", "histogram", vec!["le"]),
        ("countersign_store_seconds_bucket", "histogram", vec!["function", "le"]),
        ("countersign_upstream_seconds_bucket", "histogram", vec!["le", "method"]),
        ("countersign_operations", "gauge", vec!["state"]),
        ("countersign_budget_used_ratio", "gauge", vec!["agent", "limit"]),
        ("countersign_incidents_total", "counter", vec!["severity"]),
    ] {
        let own: Vec<&str> = found.get(name).into_iter().flatten().map(String::as_str).collect();
        assert_eq!(own, labels, "{name}");
        let of = parsed.get(name).and_then(|of| of.get("type")).and_then(Value::as_str);
        assert_eq!(of, Some(kind), "{name}");
    }
    let value = |start: &str| -> String {
        let line = text.lines().find_map(|line| line.strip_prefix(start));
        line.unwrap_or_else(|| panic!("no `{start}`\n{text}")).trim().to_owned()
    };
    let count = |start: &str| -> u64 { value(start).parse().expect("a count") };
    let requests = |method: &str, outcome: &str| {
        let labels = format!("{{method=\"{method}\",outcome=\"{outcome}\"}}");
        count(&format!("countersign_requests_total{labels}"))
    };
    let sent = ["ok", "denied", "pending"].map(|of| requests("eth_sendTransaction", of));
    assert_eq!(sent, [1, 1, 1]);
    assert_eq!(requests("other", "method"), 3, "unknown methods are one");
    assert!(count("countersign_sign_seconds_count") >= 1);
    assert!(count("countersign_decision_seconds_count") >= 3);
    assert!(value("countersign_decision_seconds_sum").starts_with("0."), "not whole seconds");
    assert!(count("countersign_store_seconds_count{function=\"reserve\"}") >= 2);
    assert!(count("countersign_operations{state=\"PARKED\"}") >= 1);
    assert!(!value("countersign_oldest_operation_seconds{state=\"PARKED\"}").is_empty());
    // 50 spent and 200 reserved of 1000, and fees
    let used = value("countersign_budget_used_ratio{agent=\"bot\",limit=\"day\"}");
    assert!(used.starts_with("0.25"), "{used}");
    assert!(!text.contains("evil") && !text.contains("aaaa"), "an agent's text is in a label");
    assert!(!text.contains(&world.bot().token) && !text.contains(&world.alice().token));
}

#[tokio::test(flavor = "multi_thread")]
async fn gauges_are_asked_of_the_books_now_and_then_however_many_look() {
    let world = busy().await;
    let admin = world.gateway.addresses.admin;
    let count = |text: &str, function: &str| -> u64 {
        let start = format!("countersign_store_seconds_count{{function=\"{function}\"}} ");
        let line = text.lines().find_map(|line| line.strip_prefix(start.as_str()));
        line.map_or(0, |count| count.parse().expect("a number"))
    };
    let before = count(&scrape(&world).await, "census");
    let looks = (0..40).map(|_| http::get(admin, "/metrics", &[]));
    futures_util::future::join_all(looks).await;
    let after = count(&scrape(&world).await, "census");
    assert!(after <= before.saturating_add(1), "{before} questions became {after}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incident_is_counted_when_it_begins_and_not_each_time_that_it_happens() {
    let world = World::start(Setup::new(StoreKind::Embedded)).await;
    let bot = world.bot();
    // an allowance without bound for somebody unknown
    let spender = STRANGER.trim_start_matches("0x");
    let data = format!("0x095ea7b3{spender:0>64}{}", "f".repeat(64));
    let asked = json!([{ "from": bot.wallet, "to": TOKEN, "data": data }]);
    for _ in 0..3 {
        bot.call("eth_sendTransaction", asked.clone()).await.expect_err("it is denied");
    }
    let all = wait::until("three of them", async || {
        let all = world.alice().list("/incidents?limit=100").await;
        let count = |one: &Value| one.get("count").and_then(Value::as_u64).unwrap_or_default();
        (all.iter().map(count).sum::<u64>() >= 3).then_some(all)
    })
    .await;
    let text = scrape(&world).await;
    let told = |severity: &str| {
        let start = format!("countersign_incidents_total{{severity=\"{severity}\"}} ");
        let line = text.lines().find_map(|line| line.strip_prefix(start.as_str()));
        line.unwrap_or_else(|| panic!("no `{start}`")).parse::<usize>().expect("a number")
    };
    for severity in ["Low", "Medium", "High", "Critical"] {
        let of = |one: &&Value| one.get("severity").and_then(Value::as_str) == Some(severity);
        assert_eq!(told(severity), all.iter().filter(of).count(), "{severity}: {all:?}");
    }
}

/// Names of metrics with the labels that an expression of `PromQL` asks of each; `by` and `on` ask of all.
fn asked(expression: &str) -> Vec<(String, BTreeSet<String>)> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut found: Vec<(String, BTreeSet<String>)> = Vec::new();
    let mut everywhere = BTreeSet::new();
    let mut rest = expression;
    while let Some((_, from)) = rest.find(is_name).and_then(|start| rest.split_at_checked(start)) {
        let end = from.find(|c| !is_name(c)).unwrap_or(from.len());
        let (word, after) = from.split_at(end);
        let next = after.trim_start();
        rest = after;
        if word.starts_with("countersign_") {
            let labels = next.strip_prefix('{').map(|inside| {
                let (inside, behind) = inside.split_once('}').expect("a closed selector");
                rest = behind;
                inside.split(',').filter(|m| !m.trim().is_empty()).map(label).collect()
            });
            found.push((word.to_owned(), labels.unwrap_or_default()));
        } else if ["by", "without", "on", "ignoring"].contains(&word) {
            let inside = next.strip_prefix('(').and_then(|inside| inside.split_once(')'));
            let (inside, behind) = inside.expect("a list of labels");
            everywhere.extend(inside.split(',').map(|name| name.trim().to_owned()));
            rest = behind;
        } else if next.starts_with('"') {
            panic!("a text outside of a selector in {expression}");
        }
    }
    for (_, labels) in &mut found {
        labels.extend(everywhere.iter().cloned());
    }
    found
}

fn label(matcher: &str) -> String {
    let name =
        matcher.split(['=', '!']).next().map(str::trim).filter(|name| *name != matcher.trim());
    name.unwrap_or_else(|| panic!("`{matcher}` is no matcher")).to_owned()
}

#[test]
fn expressions_are_taken_apart() {
    let of = |expression: &str| {
        let all = asked(expression).into_iter();
        all.map(|(name, labels)| format!("{name}:{}", Vec::from_iter(labels).join("+")))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        of(
            "histogram_quantile(0.99, sum by (le, x) (rate(countersign_a_bucket{y=~\"a|b\",z!=\"1\"}[5m]))) > 2"
        ),
        ["countersign_a_bucket:le+x+y+z"]
    );
    assert_eq!(
        of("(changes(countersign_a[10m]) == 0) and on (i) (countersign_b == 1)"),
        ["countersign_a:i", "countersign_b:i"]
    );
}

/// Everything of `deploy/` that is asked of Prometheus.
fn expressions() -> Vec<String> {
    let file = |name: &str| {
        let path = place::checkout().join("deploy").join(name);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    let board: Value = serde_json::from_str(&file("grafana/countersign.json")).expect("JSON");
    let panels = board.get("panels").and_then(Value::as_array).expect("panels");
    let targets = panels.iter().filter_map(|panel| panel.get("targets")?.as_array()).flatten();
    let drawn = targets.map(|target| target.get("expr").and_then(Value::as_str).expect("an expr"));
    let choices = board.pointer("/templating/list").and_then(Value::as_array).expect("variables");
    let queries = choices.iter().filter_map(|choice| choice.get("definition")?.as_str());
    // label_values(metric, label) asks for a label of a metric
    let queries = queries.map(|query| {
        let inside = query.strip_prefix("label_values(").and_then(|q| q.strip_suffix(')'));
        let (metric, label) = inside.and_then(|q| q.split_once(", ")).expect("a query");
        format!("sum by ({label}) ({metric})")
    });
    let alerts = file("prometheus/alerts.yaml");
    let rules = alerts.lines().filter_map(|line| line.trim().strip_prefix("expr: "));
    let all: Vec<String> =
        drawn.map(str::to_owned).chain(queries).chain(rules.map(str::to_owned)).collect();
    assert!(all.len() > 40, "{} expressions", all.len());
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn dashboard_and_alerts_ask_only_for_what_a_gateway_tells() {
    let world = busy().await;
    let found = wait::until("a chain's head", async || {
        let text = scrape(&world).await;
        text.contains("countersign_chain_head_block{").then_some(text)
    })
    .await;
    let found = samples(&parsed(&found).await);
    let mut used = BTreeSet::new();
    for expression in expressions() {
        let all = asked(&expression);
        assert!(!all.is_empty(), "`{expression}` asks for nothing of ours");
        for (name, labels) in all {
            let known = found.get(&name).unwrap_or_else(|| panic!("no `{name}`: {expression}"));
            let strange: Vec<&String> = labels
                .iter()
                .filter(|l| !known.contains(*l) && !ADDED.contains(&l.as_str()))
                .collect();
            assert!(strange.is_empty(), "`{name}` has no {strange:?}: {expression}");
            used.insert(name.replace("_bucket", "").replace("_count", ""));
        }
    }
    // the other way round: what is told is shown
    let families = found.keys().map(|name| {
        let short = ["_bucket", "_count", "_sum"].iter().find_map(|end| name.strip_suffix(end));
        short.unwrap_or(name).to_owned()
    });
    let unused: BTreeSet<String> = families.filter(|name| !used.contains(name)).collect();
    assert!(unused.is_empty(), "{unused:?} are on no dashboard");
}
