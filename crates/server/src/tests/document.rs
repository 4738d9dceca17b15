//! The API's document itself.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::conformance::{CONTRACT, Operation};

/// Every value of the document with its pointer.
fn each<'a>(value: &'a Value, at: &str, look: &mut dyn FnMut(&str, &'a Value)) {
    look(at, value);
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                each(member, &format!("{at}/{name}"), look);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                each(item, &format!("{at}/{index}"), look);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

#[test]
fn every_reference_leads_somewhere_and_every_component_is_referred_to() {
    let mut used = BTreeSet::new();
    each(&CONTRACT.document, "#", &mut |at, value| {
        if let Some(target) = value.get("$ref").and_then(Value::as_str) {
            let pointer = target.strip_prefix('#').unwrap();
            assert!(CONTRACT.document.pointer(pointer).is_some(), "{at}: {target}");
            used.insert(target);
        }
    });
    let components = CONTRACT.document["components"].as_object().unwrap();
    for (kind, named) in components.iter().filter(|(kind, _)| *kind != "securitySchemes") {
        for name in named.as_object().unwrap().keys() {
            let pointer = format!("#/components/{kind}/{name}");
            // the data of events: what it is, the description of the stream says
            let is_told = ["LogLine", "Reset"].contains(&name.as_str());
            assert!(is_told || used.contains(pointer.as_str()), "{pointer} is not used");
        }
    }
}

#[test]
fn every_operation_says_what_a_client_needs() {
    let document = &CONTRACT.document;
    assert_eq!(document["openapi"], "3.1.0");
    let tags: BTreeSet<&str> = document["tags"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|tag| tag["name"].as_str())
        .collect();
    let schemes = document["components"]["securitySchemes"].as_object().unwrap();
    let mut ids = BTreeMap::new();
    for operation in CONTRACT.operations() {
        let Operation { path, method } = &operation;
        let said = CONTRACT.operation(&operation);
        let id = said["operationId"].as_str().unwrap_or_else(|| panic!("{method} {path}"));
        assert_eq!(ids.insert(id, path.clone()), None, "{id} twice");
        assert!(said["summary"].is_string(), "{id}");
        assert!(texts(&said["tags"]).iter().all(|tag| tags.contains(tag)), "{id}");
        let security = said.get("security").unwrap_or(&document["security"]).as_array().unwrap();
        let named = security.iter().flat_map(|way| way.as_object().unwrap().keys());
        assert!(named.into_iter().all(|name| schemes.contains_key(name)), "{id}");
        let is_open = security.iter().any(|way| way == &serde_json::json!({}));
        assert!(is_open || said["responses"].get("401").is_some(), "{id}: who has no credential?");
        assert_eq!(said["x-role"].is_string(), roles_matter(&operation), "{id}");
        parameters_are_declared(&operation);
        responses_are_described(&operation);
    }
}

/// Whether a role decides: not at the routes that are open, nor at those of one's own session.
fn roles_matter(operation: &Operation) -> bool {
    let open = ["/", "/console/{file}", "/openapi.json", "/healthz", "/readyz", "/metrics"];
    !operation.path.starts_with("/session") && !open.contains(&operation.path.as_str())
}

fn parameters_are_declared(operation: &Operation) {
    let Operation { path, method } = operation;
    let parameters = CONTRACT.parameters(operation);
    let mut seen = BTreeSet::new();
    for parameter in &parameters {
        let (place, name) = (&parameter["in"], parameter["name"].as_str().unwrap());
        assert!(seen.insert((place.to_string(), name)), "{method} {path}: `{name}` twice");
        assert!(parameter["schema"].is_object(), "{method} {path}: `{name}`");
        assert_eq!(place == "path", parameter["required"] == true, "{method} {path}: `{name}`");
    }
    let declared: BTreeSet<&str> = parameters
        .iter()
        .filter(|parameter| parameter["in"] == "path")
        .filter_map(|parameter| parameter["name"].as_str())
        .collect();
    let named = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    assert_eq!(declared, named.collect(), "{method} {path}");
}

fn responses_are_described(operation: &Operation) {
    let Operation { path, method } = operation;
    let responses = CONTRACT.operation(operation)["responses"].as_object().unwrap();
    assert!(responses.keys().any(|status| status.starts_with('2')), "{method} {path}");
    for (status, response) in responses {
        let response = CONTRACT.followed(response);
        assert!(response["description"].is_string(), "{method} {path} {status}");
        for (kind, content) in
            response.get("content").and_then(Value::as_object).into_iter().flatten()
        {
            // compiles every schema
            let told = CONTRACT.flaw(&content["schema"], &Value::Null);
            assert!(told.is_some(), "{method} {path} {status} {kind}: null is an answer");
        }
    }
    if let Some((schema, _)) = CONTRACT.request(operation) {
        assert!(CONTRACT.flaw(schema, &Value::Null).is_some(), "{method} {path}: null is a body");
        let schema = CONTRACT.followed(schema);
        assert_eq!(schema["additionalProperties"], false, "{method} {path}: takes anything");
    }
}

/// What says nothing of an object's members lets everything pass.
#[test]
fn every_object_says_what_is_in_it() {
    let schemas = &CONTRACT.document["components"]["schemas"];
    let mut bare = Vec::new();
    each(schemas, "", &mut |at, value| {
        let says =
            ["properties", "additionalProperties"].iter().any(|word| value.get(word).is_some());
        if value.get("type").is_some_and(|kind| kind == "object") && !says {
            bare.push(at.to_owned());
        }
    });
    // entries of journals and of people's words, as docs/evidence.md describes them, and what others signed
    let known = [
        "/Evidence/properties/chains/items/properties/entries/items/properties/said",
        "/Intent/properties/signature",
        "/Trace/properties/approvals/items",
    ];
    assert_eq!(bare, known);
}
