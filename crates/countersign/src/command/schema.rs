//! `countersign policy schema`: JSON Schemas, for editors.

use std::path::Path;

use countersign_engine::notice::Kind;
use countersign_policy::{Format, schema};
use serde_json::{Value, json};

use super::pretty;
use crate::{cli::SchemaArgs, failure::Failure, screen::say};

/// The names of schemas; that of a file in a folder is `NAME.schema.json`.
pub(crate) const NAMES: [&str; 5] = ["policy", "fields", "pact", "jsonlogic", "configuration"];

/// Prints one schema, or writes all of them.
pub(crate) fn run(args: &SchemaArgs) -> Result<(), Failure> {
    match (&args.name, &args.out) {
        (_, Some(folder)) => write(folder),
        (Some(name), None) => {
            say(pretty(&of(name)));
            Ok(())
        }
        (None, None) => Err(Failure::refused(format!(
            "which schema? One of {}, or --out DIR for all",
            NAMES.join(", ")
        ))),
    }
}

fn write(folder: &Path) -> Result<(), Failure> {
    let failed = |path: &Path, error: std::io::Error| {
        Failure::failed(format!("{}: {error}", path.display()))
    };
    if folder.is_file() {
        return Err(Failure::refused(format!("{}: is a file; name a folder", folder.display())));
    }
    std::fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
    for name in NAMES {
        let path = folder.join(format!("{name}.schema.json"));
        std::fs::write(&path, pretty(&of(name)) + "\n").map_err(|error| failed(&path, error))?;
        say(path.display().to_string());
    }
    Ok(())
}

/// The schema of a name.
fn of(name: &str) -> Value {
    match name {
        "fields" => schema(Format::Fields),
        "pact" => schema(Format::Pact),
        "jsonlogic" => schema(Format::JsonLogic),
        "configuration" => configuration(),
        _ => schema(Format::Core),
    }
}

/// An object of these keys and no others.
fn object(properties: &Value, required: &[&str]) -> Value {
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}

fn list(item: &Value) -> Value {
    json!({ "type": ["array", "null"], "items": item })
}

fn text() -> Value {
    json!({ "type": "string" })
}

fn number() -> Value {
    json!({ "type": ["integer", "string"] })
}

fn duration() -> Value {
    json!({ "type": "string", "pattern": "^([0-9]+(ms|s|m|h|d)|[$][{].*)$", "examples": ["15s", "1h"] })
}

fn configuration() -> Value {
    let tls = object(
        &json!({ "certificate": text(), "key": text(), "client_ca": text() }),
        &["certificate", "key"],
    );
    let door =
        object(&json!({ "address": text(), "hosts": list(&text()), "tls": tls }), &["address"]);
    let passkeys =
        object(&json!({ "rp_id": text(), "origins": list(&text()) }), &["rp_id", "origins"]);
    let admin = object(
        &json!({ "address": text(), "hosts": list(&text()), "tls": tls, "passkeys": passkeys }),
        &["address"],
    );
    let mut schema = object(
        &json!({
            "app": text(),
            "abis": text(),
            "listen": object(&json!({ "rpc": door, "admin": admin }), &[]),
            "state": text(),
            "store": store(),
            "chains": { "type": "array", "items": chain(), "minItems": 1 },
            "wallets": list(&wallet()),
            "agents": list(&agent()),
            "operators": list(&operator()),
            "guards": list(&text()),
            "prices": prices(),
            "oracles": list(&oracle()),
            "judge": object(
                &json!({
                    "url": text(), "model": text(), "key_file": text(), "headers_file": text(),
                    "deadline": duration(),
                }),
                &["url", "model"],
            ),
            "breaker": breaker(),
            "policy_changes": object(
                &json!({ "approvals": number(), "groups": list(&text()), "delay": duration(), "keys": list(&text()),
                    "newly_allowed": text(), "newly_allowed_at_risk": number(), "may_fall": object(
                        &json!({ "compliance": text(), "utility": text(), "latency": text(), "safety": text(),
                            "economics": text() }),
                        &[],
                    ) }),
                &[],
            ),
            "notify": list(&notify()),
            "telemetry": object(
                &json!({
                    "otlp": text(), "protocol": { "enum": ["grpc", "http/protobuf"] },
                    "sample": text(), "bearer_file": text(), "headers_file": text(),
                }),
                &[],
            ),
        }),
        &["chains", "wallets", "agents"],
    );
    if let Some(object) = schema.as_object_mut() {
        object.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
        object.insert("title".to_owned(), json!("The configuration of Countersign"));
    }
    schema
}

fn prices() -> Value {
    let by_symbol = |of: &Value| json!({ "type": "object", "additionalProperties": of });
    let place = object(&json!({ "price": text(), "at": text() }), &["price"]);
    let chainlink = object(
        &json!({
            "chain": number(), "feeds": by_symbol(&text()), "max_age": duration(),
            "sequencer_uptime_feed": text(),
        }),
        &["chain", "feeds"],
    );
    let http = object(
        &json!({
            "url": text(), "prices": by_symbol(&json!({ "anyOf": [text(), place] })),
            "bearer_file": text(), "headers_file": text(), "max_age": duration(), "deadline": duration(),
        }),
        &["url", "prices"],
    );
    let source =
        object(&json!({ "static": by_symbol(&text()), "chainlink": chainlink, "http": http }), &[]);
    object(
        &json!({
            "max_age": duration(), "deviation": text(), "change_per_minute": text(),
            "refresh": duration(), "sources": list(&source),
        }),
        &[],
    )
}

fn oracle() -> Value {
    object(
        &json!({
            "name": text(), "url": text(), "field": text(),
            "fields": { "type": "object", "additionalProperties": text() },
            "ask": { "enum": ["counterparty", "to", "spender", "target"] },
            "bearer_file": text(), "headers_file": text(),
            "max_age": duration(), "deadline": duration(),
        }),
        &["name", "url"],
    )
}

fn store() -> Value {
    let credentials = json!({ "master": text(), "user": text(), "password_file": text() });
    object(
        &json!({
            "embedded": text(),
            "redis": { "anyOf": [text(), { "type": "array", "items": text() }] },
            "acknowledge_replicas": number(),
            "password_file": text(), "ca": text(), "certificate": text(), "key": text(),
            "cluster": { "type": "boolean" },
            "sentinel": { "anyOf": [text(), object(&credentials, &["master"])] },
        }),
        &[],
    )
}

fn chain() -> Value {
    let token = object(
        &json!({ "id": text(), "address": text(), "decimals": number(), "price": text() }),
        &["id", "address", "decimals"],
    );
    let collection = object(
        &json!({ "id": text(), "address": text(), "standard": { "enum": ["erc721", "erc1155"] }, "price": text(), "held_max": number() }),
        &["id", "address", "standard"],
    );
    let contract = object(
        &json!({ "id": text(), "address": text(), "abi": list(&text()), "action": text(), "container": text() }),
        &["id", "address"],
    );
    object(
        &json!({
            "id": number(),
            "name": text(),
            "upstream": { "anyOf": [text(), { "type": "array", "items": text() }] },
            "finality": number(),
            "fee_ceiling_gwei": { "type": ["number", "string"] },
            "bump_after": duration(),
            "stale_after": duration(),
            "explorer": text(),
            "simulate": { "enum": ["required", "when_available", "off"] },
            "native": object(&json!({ "symbol": text(), "decimals": number() }), &["symbol"]),
            "tokens": list(&token),
            "collections": list(&collection),
            "contracts": list(&contract),
        }),
        &["id", "upstream"],
    )
}

fn wallet() -> Value {
    object(
        &json!({ "id": text(), "address": text(), "signer": { "anyOf": [{ "const": "external" }, object(&json!({ "keystore": text(), "password_file": text() }), &["keystore", "password_file"])] }, "max_in_flight": number() }),
        &["id", "address", "signer"],
    )
}

fn agent() -> Value {
    object(
        &json!({
            "id": text(), "token_sha256": text(), "wallets": { "type": "array", "items": text(), "minItems": 1 },
            "policy": text(), "owner": text(), "role": text(), "duplicate_window": duration(), "hold": duration(),
            "max_pending": number(),
            "breaker": breaker(),
        }),
        &["id", "token_sha256", "wallets", "policy"],
    )
}

fn breaker() -> Value {
    object(&json!({ "denials": number(), "within": duration() }), &["denials", "within"])
}

fn notify() -> Value {
    let mut events: Vec<&str> =
        Kind::ALL.iter().flat_map(|kind| [kind.group(), kind.name()]).collect();
    events.sort_unstable();
    events.dedup();
    object(
        &json!({
            "webhook": text(), "secret_file": text(),
            "events": { "type": "array", "items": { "enum": events }, "minItems": 1 },
            "format": { "enum": ["standard", "slack"] },
            "reach": { "enum": ["public", "private", "loopback"] },
            "ca_file": text(),
        }),
        &["webhook"],
    )
}

fn operator() -> Value {
    object(
        &json!({
            "id": text(), "token_sha256": text(),
            "roles": { "type": "array", "items": { "enum": ["view", "approve", "policy", "freeze"] } },
            "person": text(), "groups": list(&text()), "address": text(),
            "passkeys": list(&object(
                &json!({ "id": text(), "public_key": text() }),
                &["id", "public_key"],
            )),
        }),
        &["id", "token_sha256", "roles"],
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_schemas_in_the_repository_are_those_of_this_program() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas");
        for name in NAMES {
            let written = std::fs::read_to_string(folder.join(format!("{name}.schema.json")));
            let fresh = written.is_ok_and(|text| text == pretty(&of(name)) + "\n");
            assert!(
                fresh,
                "schemas/{name}.schema.json: run `countersign policy schema --out schemas`"
            );
        }
    }

    /// The keys that the reader asks for, from its text.
    fn asked() -> BTreeSet<String> {
        let sources = [
            include_str!("../config/read.rs"),
            include_str!("../config/chain.rs"),
            include_str!("../config/people.rs"),
            include_str!("../config/notify.rs"),
            include_str!("../config/relying.rs"),
            include_str!("../config/outside.rs"),
            include_str!("../config/price.rs"),
            include_str!("../config/store.rs"),
        ];
        let calls = ["s.or(\"", "s.required(\"", "s.optional(\""];
        let mut found = BTreeSet::new();
        for source in sources {
            for call in calls {
                found.extend(source.split(call).skip(1).filter_map(|rest| rest.split('"').next()));
            }
        }
        found.into_iter().map(str::to_owned).collect()
    }

    #[test]
    fn every_key_of_the_configuration_stands_in_its_schema() {
        let schema = configuration().to_string();
        let missing: Vec<String> =
            asked().into_iter().filter(|key| !schema.contains(&format!("\"{key}\":"))).collect();
        assert_eq!(missing, Vec::<String>::new());
        assert!(asked().len() > 30);
    }
}
