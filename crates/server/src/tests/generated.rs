//! Requests that are made from the document: such as it allows, and such as it nearly allows. Whatever they are, the
//! answer is one that the document promises, and none of them breaks anything.

use std::collections::BTreeMap;

use countersign_core::{incident::Severity, time::Timestamp};
use countersign_engine::port::{Journal as _, Ledger as _, Signer as _, journal::NewTrace};
use countersign_testkit::{fixture, suite::journal::decided};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::{
    strategy::{Strategy as _, ValueTree as _},
    string::string_regex,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use serde_json::{Map, Value, json};

use super::{
    conformance::{CONTRACT, Operation, Sent},
    house::{DESK, GRANT, House, Reply, VIEWER, unjudged},
};

/// How many requests of each kind an operation gets from one seed.
const ROUNDS: usize = 12;

/// Texts that somebody did not think of.
const ODD: [&str; 12] = [
    "",
    " ",
    "\0",
    "\u{202e}txt.exe\u{2066}",
    "\u{feff}",
    "😀\u{0301}",
    "../../etc/passwd",
    "%00%2e%2e%2f",
    "' OR 1=1 --",
    "<script>alert(1)</script>",
    "{{7*7}}",
    "\r\nset-cookie: a=b",
];

/// What a request that the document allows is refused for all the same: it says so in words.
const SAID_IN_WORDS: [&str; 12] = [
    "say `status`, `note` or both",
    "is after `to`",
    "name one of `agent`, `wallet`, `chain` and `all`",
    "offer either `gas_price`",
    "is not one of this list",
    "is longer than",
    "the version's `digest` is needed",
    "is not of its form",
    "is not a state",
    "name one of `request` and `trace`",
    "`request`: ",
    "`chain`: name one that is served",
];

/// Draws from one seed.
struct Draw {
    runner: TestRunner,
    known: BTreeMap<&'static str, Vec<String>>,
}

/// One request, and what is wrong with it.
#[derive(Debug)]
struct Request {
    target: String,
    kind: &'static str,
    body: String,
    fault: Option<Fault>,
}

/// What the document does not allow.
#[derive(Debug)]
enum Fault {
    /// This member of the query or the body.
    Member(String),
    /// The body as a whole.
    Body,
}

impl Draw {
    fn new(seed: u8, known: BTreeMap<&'static str, Vec<String>>) -> Self {
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]);
        Self { runner: TestRunner::new_with_rng(Config::default(), rng), known }
    }

    fn below(&mut self, end: usize) -> usize {
        (0..end).new_tree(&mut self.runner).unwrap().current()
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        let index = self.below(from.len());
        &from[index]
    }

    fn one_in(&mut self, chances: usize) -> bool {
        self.below(chances) == 0
    }

    /// Something that a part of the document allows.
    fn allowed(&mut self, schema: &Value, name: &str) -> Value {
        for _ in 0..200 {
            let value = self.likely(schema, name);
            if CONTRACT.flaw(schema, &value).is_none() {
                return value;
            }
        }
        panic!("`{name}`: nothing fits {schema}")
    }

    fn likely(&mut self, schema: &Value, name: &str) -> Value {
        let of = schema["$ref"].as_str().and_then(|pointer| pointer.rsplit('/').next());
        let schema = CONTRACT.followed(schema);
        let known = self.known.get(name).or_else(|| self.known.get(of?)).cloned();
        if let Some(known) = known
            && !self.one_in(4)
        {
            return self.pick(&known).as_str().into();
        }
        for word in ["oneOf", "anyOf"] {
            if schema.get("properties").is_none()
                && let Some(ways) = schema[word].as_array()
            {
                let way = self.pick(ways);
                return self.likely(way, name);
            }
        }
        if let Some(value) = schema.get("const") {
            return value.clone();
        }
        if let Some(values) = schema["enum"].as_array() {
            return self.pick(values).clone();
        }
        self.of_type(schema)
    }

    fn of_type(&mut self, schema: &Value) -> Value {
        let kind = &schema["type"];
        let kind = kind.as_array().map_or_else(|| kind.clone(), |kinds| self.pick(kinds).clone());
        match kind.as_str() {
            Some("object") => self.object(schema),
            Some("array") => {
                let count = self.below(3);
                (0..count).map(|_| self.likely(&schema["items"], "")).collect()
            }
            Some("integer") => self.integer(schema),
            Some("boolean") => self.one_in(2).into(),
            Some("string") => self.text(schema).into(),
            Some(_) => Value::Null,
            None => self.anything(),
        }
    }

    fn object(&mut self, schema: &Value) -> Value {
        let required = schema["required"].as_array().cloned().unwrap_or_default();
        let mut made = Map::new();
        for (name, member) in schema["properties"].as_object().into_iter().flatten() {
            if required.contains(&name.as_str().into()) || self.one_in(2) {
                made.insert(name.clone(), self.likely(member, name));
            }
        }
        made.into()
    }

    fn integer(&mut self, schema: &Value) -> Value {
        let least = schema["minimum"].as_u64().unwrap_or(0);
        let most = schema["maximum"].as_u64().unwrap_or(u64::MAX);
        let middle = least.saturating_add(1).min(most);
        (*self.pick(&[least, middle, most])).into()
    }

    fn text(&mut self, schema: &Value) -> String {
        if let Some(pattern) = schema["pattern"].as_str() {
            let texts = string_regex(pattern.trim_start_matches('^').trim_end_matches('$'));
            return texts.unwrap().new_tree(&mut self.runner).unwrap().current();
        }
        if schema["format"] == "date-time" {
            let instants =
                ["1970-01-01T00:00:00Z", "2026-01-01T00:00:00.5+02:00", "9999-12-30T00:00:00Z"];
            return (*self.pick(&instants)).into();
        }
        (*self.pick(&ODD)).into()
    }

    fn anything(&mut self) -> Value {
        let deep = (0..40).fold(json!(1), |inner, _| json!([inner]));
        let text = self.pick(&ODD).to_owned();
        let all = [
            Value::Null,
            json!(true),
            json!(-1),
            json!(u64::MAX),
            json!(1.5e300),
            text.into(),
            json!([]),
            json!({}),
            json!({"\u{202e}": {"a": [null]}}),
            "x".repeat(70_000).into(),
            deep,
        ];
        self.pick(&all).clone()
    }

    /// A path with names in it, known ones and others.
    fn path(&mut self, operation: &Operation) -> String {
        let mut path = operation.path.clone();
        for parameter in CONTRACT.parameters(operation) {
            if parameter["in"] != "path" {
                continue;
            }
            let name = parameter["name"].as_str().unwrap();
            let place = format!("{{{name}}}");
            let known =
                if name == "id" && path.starts_with("/incidents") { "incident" } else { name };
            let value = self.allowed(&parameter["schema"], known);
            let value = value.as_str().filter(|text| !text.is_empty()).unwrap_or("x");
            path = path.replace(&place, &encoded(value));
        }
        path
    }

    /// A request that the document allows.
    fn good(&mut self, operation: &Operation) -> Request {
        let mut target = self.path(operation);
        let mut members = Vec::new();
        for parameter in CONTRACT.parameters(operation) {
            if parameter["in"] == "query" && self.one_in(3) {
                let name = parameter["name"].as_str().unwrap();
                let known = if name == "hash" { "hash" } else { name };
                let value = self.allowed(&parameter["schema"], known);
                members.push(format!("{name}={}", encoded(&shown(&value))));
            }
        }
        if !members.is_empty() {
            target = format!("{target}?{}", members.join("&"));
        }
        let body = match CONTRACT.request(operation) {
            Some((_, false)) if self.one_in(4) => String::new(),
            Some((schema, _)) => self.allowed(schema, "").to_string(),
            None => String::new(),
        };
        Request { target, kind: "application/json", body, fault: None }
    }

    /// A request with one fault.
    fn bad(&mut self, operation: &Operation) -> Option<Request> {
        let request = self.good(operation);
        let has_query =
            CONTRACT.parameters(operation).iter().any(|parameter| parameter["in"] == "query");
        match (CONTRACT.request(operation), has_query) {
            (Some((schema, is_required)), _) => self.bad_body(request, schema, is_required),
            (None, true) => self.bad_query(request, operation),
            (None, false) => None,
        }
    }

    fn bad_query(&mut self, mut request: Request, operation: &Operation) -> Option<Request> {
        let parameters = CONTRACT.parameters(operation);
        let all: Vec<&&Value> = parameters.iter().filter(|p| p["in"] == "query").collect();
        let parameter = **self.pick(&all);
        let name = parameter["name"].as_str().unwrap();
        let good = shown(&self.allowed(&parameter["schema"], name));
        let path = request.target.split('?').next().unwrap_or_default().to_owned();
        let (query, member) = match self.below(4) {
            0 => ("surplus=1".to_owned(), "surplus"),
            1 => (format!("{name}={0}&{name}={0}", encoded(&good)), name),
            2 => (format!("{name}=%FF%FE"), name),
            _ => {
                let odd = match self.below(4) {
                    0 => "18446744073709551616".into(),
                    1 => "-1".into(),
                    2 => "x".repeat(2000),
                    _ => self.pick(&ODD).to_string(),
                };
                CONTRACT.flaw(&parameter["schema"], &odd.as_str().into())?;
                if CONTRACT.followed(&parameter["schema"])["type"] == "integer"
                    && odd.parse::<u64>().is_ok()
                {
                    return None;
                }
                (format!("{name}={}", encoded(&odd)), name)
            }
        };
        request.target = format!("{path}?{query}");
        request.fault = Some(Fault::Member(member.into()));
        Some(request)
    }

    fn bad_body(
        &mut self,
        mut request: Request,
        schema: &Value,
        is_required: bool,
    ) -> Option<Request> {
        let good = self.allowed(schema, "");
        request.fault = Some(Fault::Body);
        request.body = match self.below(8) {
            0 => "[]".into(),
            1 => (*self.pick(&["null", "7", "\"x\"", "{", "{}}", "\u{feff}{}", "{\"a\":1e999}"]))
                .into(),
            2 if is_required => String::new(),
            3 => {
                let kinds = ["text/plain", "application/x-www-form-urlencoded", ""];
                request.kind = *self.pick(&kinds);
                good.to_string()
            }
            4 => {
                let (name, value) = good.as_object()?.iter().next()?;
                request.fault = Some(Fault::Member(name.clone()));
                let text = good.to_string();
                format!("{},{}:{value}}}", text.strip_suffix('}')?, json!(name))
            }
            5 => "[".repeat(100_000),
            _ => {
                let (body, member) = self.spoilt(&good, schema)?;
                CONTRACT.flaw(schema, &body)?;
                request.fault = Some(Fault::Member(member));
                body.to_string()
            }
        };
        Some(request)
    }

    /// An object with one member that it must not have, or lacks, or that is something else.
    fn spoilt(&mut self, good: &Value, schema: &Value) -> Option<(Value, String)> {
        let mut body = good.as_object()?.clone();
        let names: Vec<String> =
            CONTRACT.followed(schema)["properties"].as_object()?.keys().cloned().collect();
        if names.is_empty() || self.one_in(4) {
            let surplus = self.pick(&["surplus", "\u{202e}x", "__proto__"]).to_string();
            body.insert(surplus.clone(), json!(1));
            return Some((body.into(), surplus));
        }
        let name = self.pick(&names).clone();
        if self.one_in(3) {
            body.remove(&name)?;
        } else {
            let value = self.anything();
            body.insert(name.clone(), value);
        }
        Some((body.into(), name))
    }
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A house with something of everything in it, and its names.
async fn lived_in() -> (House, BTreeMap<&'static str, Vec<String>>) {
    let house = House::open().await;
    let until = Timestamp::from_millis(1_767_225_600_000 + 3_600_000);
    let (mut ids, mut hashes) = (Vec::new(), Vec::new());
    for n in 1..=3 {
        let reserve = fixture::park(n, vec![fixture::rolling("day", 5, 100)], until);
        house.ledger.reserve(&reserve).await.unwrap();
        let trace = NewTrace { trace_hash: reserve.operation.trace, ..decided(n) };
        house.journal.record(&trace).await.unwrap();
        ids.push(reserve.operation.id.to_string());
        hashes.push(trace.trace_hash.to_string());
    }
    for (wei, outcome) in [("0x2c68af0bb140000", "error"), ("0x38d7ea4c68000", "result")] {
        let call = format!(
            r#"[{{"from":"{}","to":"0x{}","value":"{wei}"}}]"#,
            house.signer.address(),
            "11".repeat(20)
        );
        let answer = house.call("eth_sendTransaction", &call).await;
        assert!(answer.get(outcome).is_some(), "{answer}");
    }
    let told = ("somebody must know \u{202e}", "of this".to_owned());
    house.engine.report(Severity::High, ("a_test", ""), told, None).await;
    let mut policies = Vec::new();
    for usd in [400, 900] {
        let text = GRANT.replace("max: 500", &format!("max: {usd}"));
        let body = json!({ "text": text }).to_string();
        let made = house.desk("POST", "/api/agents/trader/policies", &body).await.json();
        policies.push(made["id"].as_str().unwrap().to_owned());
    }
    let listed = house.desk("GET", "/operations", "").await.json();
    let every = |field: &str| -> Vec<String> {
        let items = listed["items"].as_array().unwrap();
        items.iter().filter_map(|item| item[field].as_str().map(str::to_owned)).collect()
    };
    ids.extend(every("id"));
    hashes.extend(every("trace_hash"));
    let incident = house.desk("GET", "/incidents", "").await.json()["items"][0]["id"].clone();
    let digests = (1..=3).map(|n| fixture::digest(n).to_string()).collect();
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let known = BTreeMap::from([
        ("OperationId", ids.clone()),
        ("operation", ids),
        ("Hash", hashes),
        ("hash", every("hash")),
        ("digest", digests),
        ("incident", vec![incident.as_str().unwrap().to_owned()]),
        ("PolicyId", policies.clone()),
        ("version", [texts(&["1", "2", "3", "4"]), policies].concat()),
        ("app", texts(&["default"])),
        ("agent", texts(&["trader", "other"])),
        ("wallet", texts(&["hot", "cold"])),
        ("file", texts(&["main.js", "console.css"])),
        ("token", texts(&[DESK])),
        ("text", vec![GRANT.into(), GRANT.replace("500", "300"), "rules: [".into()]),
        ("status", texts(&["pending", "all", "executed"])),
        ("signed", vec![String::new()]),
    ]);
    (house, known)
}

/// The reply, and what the document says against it.
async fn asked(
    house: &House,
    token: Option<&str>,
    of: &Operation,
    request: &Request,
) -> (Reply, Option<String>) {
    let bearer = token.map(|token| format!("Bearer {token}"));
    let own = bearer.as_deref().map(|bearer| ("authorization", bearer));
    let headers: Vec<(&str, &str)> =
        own.into_iter().chain([("content-type", request.kind)]).collect();
    let method = of.method.to_uppercase();
    let Request { target, body, .. } = request;
    let reply = unjudged(house.operators.0, &method, target, &headers, body).await;
    let sent = Sent { method: &method, target, headers: &headers, body };
    let violation = CONTRACT.violation(sent, &reply);
    (reply, violation)
}

/// What every refusal has, besides what the document says.
fn helps(reply: &Reply, fault: Option<&Fault>) -> Result<(), String> {
    let problem = reply.json();
    let detail = problem["detail"].as_str().unwrap_or_default();
    let whole = ["an object has the same key twice", "nested too deeply"];
    let named = match fault {
        _ if whole.contains(&detail) => None,
        Some(Fault::Member(name)) if problem["code"] == "malformed" => Some(name),
        _ => None,
    };
    let plain = |text: &str| text.replace(|c: char| !c.is_ascii_alphanumeric(), "");
    match named {
        Some(name) if !plain(detail).contains(&plain(name)) => {
            Err(format!("`{name}` is at fault, and not named: {detail}"))
        }
        _ if detail
            .chars()
            .any(|c| (c.is_control() && c != '\n') || "\u{202e}\u{2066}\u{feff}".contains(c)) =>
        {
            Err(format!("what somebody sent is shown as it is: {detail:?}"))
        }
        _ if detail.len() > 2000 => Err(format!("a detail of {} bytes", detail.len())),
        _ => Ok(()),
    }
}

fn judged(operation: &Operation, request: &Request, reply: &Reply) -> Result<(), String> {
    if reply.status >= 500 {
        // it says what is missing: the ledger may be sealed by now
        let is_told = operation.path == "/readyz";
        return if is_told { Ok(()) } else { Err("it broke".into()) };
    }
    if reply.status < 400 {
        return match &request.fault {
            Some(fault) => Err(format!("it was done in spite of {fault:?}")),
            None => Ok(()),
        };
    }
    helps(reply, request.fault.as_ref())?;
    let problem = reply.json();
    let detail = problem["detail"].as_str().unwrap_or_default();
    let is_in_words = SAID_IN_WORDS.iter().any(|words| detail.contains(words))
        || operation.path.ends_with("/traces");
    match &request.fault {
        None if reply.status == 400 && !is_in_words => {
            Err(format!("the document allows it: {detail}"))
        }
        _ => Ok(()),
    }
}

fn shown_wrong(operation: &Operation, request: &Request, reply: &Reply, why: &str) -> String {
    let (method, target, status) = (&operation.method, &request.target, reply.status);
    let short = |text: &str| text.chars().take(400).collect::<String>();
    let (sent, body) = (short(&request.body), short(&reply.body));
    format!("{why}\n  {method} {target}\n  {sent}\n  {status} {body}")
}

async fn seeded(seed: u8) -> Vec<String> {
    let (house, known) = lived_in().await;
    let mut draw = Draw::new(seed, known);
    let mut wrong = Vec::new();
    let endless = |operation: &Operation| operation.path == "/events";
    for operation in CONTRACT.operations().iter().filter(|operation| !endless(operation)) {
        let role = CONTRACT.operation(operation)["x-role"].as_str();
        for round in 0..ROUNDS * 2 {
            let request =
                if round % 2 == 0 { Some(draw.good(operation)) } else { draw.bad(operation) };
            let Some(request) = request else { continue };
            for (token, expected) in [(None, 401), (Some(VIEWER), 403), (Some(DESK), 0)] {
                let may = match token {
                    None => role.is_none(),
                    Some(VIEWER) => role.is_none_or(|role| role == "view"),
                    Some(_) => true,
                };
                if may && token != Some(DESK) {
                    continue;
                }
                let (reply, violation) = asked(&house, token, operation, &request).await;
                let told = match violation {
                    Some(violation) => Err(violation),
                    None if token == Some(DESK) => judged(operation, &request, &reply),
                    None if reply.status == expected => Ok(()),
                    None => Err(format!("{expected} is expected of {token:?}")),
                };
                if let Err(why) = told {
                    wrong.push(shown_wrong(operation, &request, &reply, &why));
                }
            }
        }
    }
    house.close().await;
    wrong
}

#[tokio::test]
async fn no_request_made_from_the_document_breaks_what_it_promises() {
    for seed in 1..=3 {
        let wrong = seeded(seed).await;
        assert!(wrong.is_empty(), "seed {seed}, {} times:\n{}", wrong.len(), wrong.join("\n"));
    }
}
