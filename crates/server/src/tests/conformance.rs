//! Every reply of the operators' door against the API's own document: status, headers, content type and body; and that
//! nothing was done for a request that the document does not allow.
//!
//! The document leaves answers open, so that clients bear members of later versions. Here they are closed: nothing is
//! answered that the document does not say.

use std::{
    collections::BTreeMap,
    sync::{LazyLock, Mutex},
};

use boon::{Compiler, Draft, SchemaIndex, Schemas};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use super::house::Reply;

const NAME: &str = "https://countersign.test/openapi.json";

/// The methods that an item of the document may have.
pub(crate) const METHODS: [&str; 5] = ["get", "post", "patch", "put", "delete"];

/// What was sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sent<'a> {
    pub(crate) method: &'a str,
    pub(crate) target: &'a str,
    #[expect(dead_code, reason = "shown where something is wrong")]
    pub(crate) headers: &'a [(&'a str, &'a str)],
    pub(crate) body: &'a str,
}

/// The document, to hold things against.
pub(crate) struct Contract {
    pub(crate) document: Value,
    checks: Mutex<Checks>,
}

/// Schemas by their pointer in the document.
#[derive(Default)]
struct Checks {
    compiled: Schemas,
    known: BTreeMap<String, SchemaIndex>,
}

pub(crate) static CONTRACT: LazyLock<Contract> = LazyLock::new(|| {
    let text = crate::operators::document::text().expect("the document is whole");
    let document = serde_json::from_str(text).unwrap();
    Contract { document, checks: Mutex::default() }
});

/// One operation of the document.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    pub(crate) path: String,
    pub(crate) method: String,
}

impl Contract {
    /// All of them, in order.
    pub(crate) fn operations(&self) -> Vec<Operation> {
        let items = self.document["paths"].as_object().unwrap();
        let of = |(path, item): (&String, &Value)| {
            let methods = METHODS.into_iter().filter(|method| item.get(method).is_some());
            let path = path.clone();
            methods
                .map(move |method| Operation { path: path.clone(), method: method.into() })
                .collect::<Vec<_>>()
        };
        items.iter().flat_map(of).collect()
    }

    /// Where a `$ref` leads, or the value itself.
    pub(crate) fn followed<'a>(&'a self, value: &'a Value) -> &'a Value {
        let Some(pointer) = value.get("$ref").and_then(Value::as_str) else { return value };
        let found = pointer.strip_prefix('#').and_then(|pointer| self.document.pointer(pointer));
        self.followed(found.unwrap_or_else(|| panic!("{pointer} leads nowhere")))
    }

    pub(crate) fn operation(&self, operation: &Operation) -> &Value {
        &self.document["paths"][&operation.path][&operation.method]
    }

    /// The parameters of an operation and of its path.
    pub(crate) fn parameters(&self, operation: &Operation) -> Vec<&Value> {
        let item = &self.document["paths"][&operation.path];
        let all = [&item["parameters"], &item[&operation.method]["parameters"]];
        let all = all.into_iter().filter_map(Value::as_array).flatten();
        all.map(|parameter| self.followed(parameter)).collect()
    }

    /// The schema of a request's body, and whether there must be one.
    pub(crate) fn request(&self, operation: &Operation) -> Option<(&Value, bool)> {
        let request = self.operation(operation).get("requestBody")?;
        let schema = &request["content"]["application/json"]["schema"];
        Some((schema, request["required"] == Value::Bool(true)))
    }

    /// What is wrong with a value, if anything is. `schema` is a part of the document.
    pub(crate) fn flaw(&self, schema: &Value, value: &Value) -> Option<String> {
        let pointer = self.pointer_of(schema);
        let mut checks = self.checks.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let index = if let Some(index) = checks.known.get(&pointer) {
            *index
        } else {
            let mut compiler = Compiler::new();
            compiler.set_default_draft(Draft::V2020_12);
            compiler.enable_format_assertions();
            let mut closed = self.document.clone();
            close(&mut closed, false);
            compiler.add_resource(NAME, closed).unwrap();
            let index = compiler.compile(&format!("{NAME}#{pointer}"), &mut checks.compiled);
            let index = index.unwrap_or_else(|e| panic!("{pointer}: {e:#}"));
            checks.known.insert(pointer.clone(), index);
            index
        };
        let found = checks.compiled.validate(value, index).err();
        found.map(|error| format!("{pointer}: {error:#}"))
    }

    /// Where in the document a part of it stands.
    fn pointer_of(&self, part: &Value) -> String {
        pointer(&self.document, part, String::new()).expect("a part of the document")
    }

    /// The operation that a target means.
    fn meant(&self, method: &str, path: &str) -> Option<Operation> {
        let fits = |template: &&String| {
            let (wanted, given): (Vec<_>, Vec<_>) =
                (template.split('/').collect(), path.split('/').collect());
            let is_one = |(wanted, given): (&&str, &&str)| {
                (wanted.starts_with('{') && !given.is_empty()) || wanted == given
            };
            wanted.len() == given.len() && wanted.iter().zip(&given).all(is_one)
        };
        let paths = self.document["paths"].as_object().unwrap();
        // a path without names comes before one with
        let path = paths.keys().filter(fits).min_by_key(|path| path.matches('{').count())?;
        let method = method.to_lowercase();
        let method = if method == "head" { "get".to_owned() } else { method };
        paths[path].get(&method)?;
        Some(Operation { path: path.clone(), method })
    }

    /// Why a reply is none that the document promises, or was given to a request that it does not allow.
    pub(crate) fn violation(&self, sent: Sent<'_>, reply: &Reply) -> Option<String> {
        let path = sent.target.split('?').next().unwrap_or_default();
        let Some(operation) = self.meant(sent.method, path) else {
            let problem = &self.document["components"]["schemas"]["Problem"];
            let is_refusal = (400..500).contains(&reply.status);
            return match serde_json::from_str(&reply.body) {
                _ if !is_refusal => Some(format!("no such route, and {}", reply.status)),
                Ok(body) => self.flaw(problem, &body),
                Err(_) if sent.method == "HEAD" && reply.body.is_empty() => None,
                Err(e) => Some(format!("no problem details: {e}")),
            };
        };
        if (200..300).contains(&reply.status)
            && let Some(flaw) = self.unallowed(&operation, sent)
        {
            return Some(format!("it was done, and the document does not allow it: {flaw}"));
        }
        self.unpromised(&operation, sent, reply)
    }

    /// Why the document does not allow a request.
    fn unallowed(&self, operation: &Operation, sent: Sent<'_>) -> Option<String> {
        let parameters = self.parameters(operation);
        let members = query(sent.target);
        let declared: Vec<&Value> =
            parameters.into_iter().filter(|parameter| parameter["in"] == "query").collect();
        let find = |name: &str| declared.iter().find(|parameter| parameter["name"] == name);
        for (name, text) in members.iter().filter(|_| !declared.is_empty()) {
            let Some(parameter) = find(name) else { return Some(format!("`{name}` is unknown")) };
            let schema = &parameter["schema"];
            let is_number = self.followed(schema)["type"] == "integer";
            let value = match text.parse::<u64>() {
                Ok(number) if is_number => number.into(),
                _ => Value::from(text.as_str()),
            };
            if let Some(flaw) = self.flaw(schema, &value) {
                return Some(format!("`{name}`: {flaw}"));
            }
        }
        let (schema, is_required) = self.request(operation)?;
        if sent.body.is_empty() {
            return is_required.then(|| "a body is needed".into());
        }
        match serde_json::from_str(sent.body) {
            Ok(body) => self.flaw(schema, &body),
            Err(e) => Some(e.to_string()),
        }
    }

    fn unpromised(&self, operation: &Operation, sent: Sent<'_>, reply: &Reply) -> Option<String> {
        let responses = &self.operation(operation)["responses"];
        let named = responses.get(reply.status.to_string());
        let Some(response) = named.or_else(|| responses.get("default")) else {
            return Some(format!("{} is not among its statuses", reply.status));
        };
        let response = self.followed(response);
        let headers = response.get("headers").and_then(Value::as_object);
        for (name, header) in headers.into_iter().flatten() {
            let header = self.followed(header);
            match reply.header(name) {
                Some(text) => {
                    let value = text.parse::<u64>().map_or_else(|_| text.into(), Value::from);
                    if let Some(flaw) = self.flaw(&header["schema"], &value) {
                        return Some(format!("{name}: {flaw}"));
                    }
                }
                None if header["required"] == true => return Some(format!("{name} is missing")),
                None => {}
            }
        }
        let Some(contents) = response.get("content").and_then(Value::as_object) else {
            return (!reply.body.is_empty()).then(|| "a body where none is".into());
        };
        let kind = reply.header("content-type").unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default();
        let Some(content) = contents.get(kind) else {
            return Some(format!("`{kind}` is none of its content types: {}", reply.status));
        };
        if sent.method == "HEAD" {
            return None;
        }
        self.misworded(kind, content, reply)
    }

    fn misworded(&self, kind: &str, content: &Value, reply: &Reply) -> Option<String> {
        let body = reply.content()?;
        match kind {
            "text/event-stream" => self.misheard(&body),
            kind if kind.ends_with("json") => match serde_json::from_str(&body) {
                Ok(body) => self.flaw(&content["schema"], &body),
                Err(e) => Some(format!("{e}: {body}")),
            },
            _ => None,
        }
    }

    /// Why what was heard is no event that the document promises. The last one may be cut.
    pub(crate) fn misheard(&self, heard: &str) -> Option<String> {
        let schemas = &self.document["components"]["schemas"];
        let whole = heard.rsplit_once("\n\n").map_or("", |(whole, _)| whole);
        for event in whole.split("\n\n").filter(|event| !event.starts_with(':')) {
            let field = |name: &str| {
                event.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
            };
            let (Some(_), Some(name), Some(data)) = (field("id"), field("event"), field("data"))
            else {
                return Some(format!("not id, event and data: {event}"));
            };
            let schema = match name {
                "overview" => &schemas["Overview"],
                "reset" => &schemas["Reset"],
                "operation" | "incident" | "freeze" | "seal" | "policy" => &schemas["LogLine"],
                _ => return Some(format!("`{name}` is no event")),
            };
            let data = serde_json::from_str(data).unwrap();
            if let Some(flaw) = self.flaw(schema, &data) {
                return Some(flaw);
            }
        }
        None
    }
}

/// The members of a query, decoded.
fn query(target: &str) -> Vec<(String, String)> {
    let query = target.split_once('?').map_or("", |(_, query)| query);
    let decoded =
        |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decoded(name), decoded(value)))
        .collect()
}

/// The same object, not an equal one.
fn pointer(within: &Value, part: &Value, at: String) -> Option<String> {
    if std::ptr::eq(within, part) {
        return Some(at);
    }
    let child = |name: &str| format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
    match within {
        Value::Object(members) => {
            members.iter().find_map(|(name, value)| pointer(value, part, child(name)))
        }
        Value::Array(items) => items
            .iter()
            .enumerate()
            .find_map(|(index, value)| pointer(value, part, child(&index.to_string()))),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

/// Closes every object that has members of its own. What is one of several conditions on the same object stays open.
fn close(schema: &mut Value, is_condition: bool) {
    match schema {
        Value::Object(members) => {
            let is_object = members.get("type").is_some_and(is_object);
            if is_object && !is_condition && members.contains_key("properties") {
                members.entry("additionalProperties").or_insert(Value::Bool(false));
            }
            close_members(members);
        }
        Value::Array(items) => {
            for item in items {
                close(item, false);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn close_members(members: &mut Map<String, Value>) {
    for (name, member) in members {
        let is_condition = matches!(name.as_str(), "allOf" | "if" | "then" | "else" | "not");
        if let Some(items) = member.as_array_mut().filter(|_| is_condition) {
            for item in items {
                close(item, true);
            }
        } else {
            close(member, is_condition);
        }
    }
}

fn is_object(kind: &Value) -> bool {
    kind == "object" || kind.as_array().is_some_and(|kinds| kinds.contains(&"object".into()))
}
