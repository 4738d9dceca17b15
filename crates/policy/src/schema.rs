//! JSON Schemas of the formats, so that editors complete and check them while people write. The reader is stricter: a
//! schema does not know which field belongs to which kind, or what a name refers to.

use countersign_core::approval::Signing;
use serde_json::{Map, Value as Json, json};

use crate::{
    field::{FAMILIES, WORDS},
    front_end::Format,
    mode::ApprovalMode,
    model::By,
};

const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";
const ID: &str = "^[A-Za-z0-9_-]{1,63}$";
const DURATION: &str = "^[0-9]+(ms|s|m|h|d)$";
const CODE: &str = "^[a-z0-9_]{1,63}$";

/// The JSON Schema (2020-12) of files in a format.
#[must_use]
pub fn schema(format: Format) -> Json {
    let (title, mut body) = match format {
        Format::Core => ("A policy of Countersign", core()),
        Format::Fields => ("Agent policy fields of Countersign", fields()),
        Format::Pact => ("A pact of Countersign", pact()),
        Format::JsonLogic => ("A JsonLogic bundle of Countersign", jsonlogic()),
    };
    if let Some(object) = body.as_object_mut() {
        object.insert("$schema".to_owned(), json!(DRAFT));
        object.insert("title".to_owned(), json!(title));
        object.insert("$defs".to_owned(), definitions());
    }
    body
}

fn with(description: &str, mut schema: Json) -> Json {
    if let Some(object) = schema.as_object_mut() {
        object.insert("description".to_owned(), json!(description));
    }
    schema
}

fn reference(name: &str) -> Json {
    json!({ "$ref": format!("#/$defs/{name}") })
}

/// An object of these keys and no others.
fn object(properties: &Json, required: &[&str]) -> Json {
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}

fn one_or_more(item: &Json) -> Json {
    json!({ "anyOf": [item, { "type": "array", "items": item }] })
}

fn list(item: &Json) -> Json {
    json!({ "type": "array", "items": item })
}

/// What several formats share.
fn definitions() -> Json {
    json!({
        "id": { "type": "string", "pattern": ID },
        "code": { "type": "string", "pattern": CODE },
        "duration": { "type": "string", "pattern": DURATION, "examples": ["15s", "2h", "7d"] },
        "scalar": { "type": ["string", "number", "boolean"] },
        "amount": { "type": ["string", "number"], "description": "Decimals in quotes: \"0.05\"." },
        "instant": { "type": "string", "examples": ["2027-01-31T00:00:00Z"] },
        "starts": {
            "type": "string", "examples": ["approved", "2027-01-31T00:00:00Z"],
            "description": "An instant; or `approved`: when people say yes to it.",
        },
        "for": object(
            &json!({
                "agent": { "type": "string" },
                "wallets": one_or_more(&json!({ "type": "string" })),
                "chains": one_or_more(&json!({ "type": ["integer", "string"] })),
            }),
            &[],
        ),
        "gates": { "type": "object", "propertyNames": reference("id"), "additionalProperties": reference("gate") },
        "gate": gate(),
        "sets": {
            "type": "object",
            "propertyNames": reference("id"),
            "additionalProperties": list(&reference("member")),
        },
        "member": {
            "anyOf": [
                reference("scalar"),
                object(&json!({ "is": reference("scalar"), "until": reference("instant") }), &["is", "until"]),
            ],
        },
        "then": {
            "anyOf": [
                { "enum": ["allow", "deny"] },
                object(&json!({ "approve": reference("id") }), &["approve"]),
            ],
        },
        "matcher": matcher(),
        "condition": condition(),
        "test": test(),
    })
}

fn gate() -> Json {
    let clause = object(
        &json!({ "any": { "type": ["integer", "string"] }, "of": one_or_more(&json!({ "type": "string" })) }),
        &["any", "of"],
    );
    let percent = json!({ "type": "string", "pattern": "^[0-9]{1,7}([.][0-9]{1,2})?%$" });
    object(
        &json!({
            "need": with("Every clause must be met: so many persons of these names and groups.", one_or_more(&clause)),
            "in_order": with("Whether each clause waits for those before it, and takes other persons.", json!({ "type": "boolean" })),
            "sign": with("What an approval must be signed with; without, a token is enough.", one_or_more(&json!({ "enum": Signing::ALL.map(|(word, _)| word) }))),
            "ttl": with("How long it waits.", reference("duration")),
            "delay": with("How long it waits after the last yes.", reference("duration")),
            "drift": with("How far fee and worth may rise meanwhile.", object(&json!({ "fee": percent, "usd": percent }), &[])),
        }),
        &["need"],
    )
}

/// What is asked of one value. Members of tuples are asked by their names.
fn matcher() -> Json {
    let value = reference("scalar");
    json!({
        "anyOf": [
            value,
            list(&reference("member")),
            {
                "type": "object",
                "minProperties": 1,
                "properties": {
                    "eq": value, "ne": value,
                    "in": one_or_more(&reference("member")), "not_in": one_or_more(&reference("member")),
                    "lt": reference("amount"), "lte": reference("amount"),
                    "gt": reference("amount"), "gte": reference("amount"),
                    "between": { "type": "array", "items": reference("amount"), "minItems": 2, "maxItems": 2 },
                    "matches": with("A regular expression of linear time.", json!({ "type": "string" })),
                    "any": reference("matcher"), "every": reference("matcher"),
                    "none": reference("matcher"), "count": reference("matcher"),
                },
                "additionalProperties": reference("matcher"),
            },
        ],
    })
}

fn condition() -> Json {
    let mut properties: Map<String, Json> =
        WORDS.iter().map(|(word, _)| ((*word).to_owned(), reference("matcher"))).collect();
    let more = json!({
        "primary_type": reference("matcher"),
        "all": { "type": "array", "items": reference("condition"), "minItems": 1 },
        "any": { "type": "array", "items": reference("condition"), "minItems": 1 },
        "not": reference("condition"),
        "hours": object(
            &json!({
                "tz": { "type": "string" },
                "days": one_or_more(&json!({ "type": ["string", "integer"] })),
                "from": { "type": "string" },
                "to": { "type": "string" },
                "hours": one_or_more(&json!({ "type": ["string", "integer"] })),
            }),
            &[],
        ),
    });
    properties.extend(more.as_object().cloned().unwrap_or_default());
    let families = FAMILIES.map(|family| family.trim_end_matches('.')).join("|");
    json!({
        "type": "object",
        "properties": properties,
        "patternProperties": { format!("^({families})[.]."): reference("matcher") },
        "additionalProperties": false,
    })
}

fn test() -> Json {
    let expect = json!({
        "anyOf": [
            { "enum": ["allow", "deny", "park", "approve"] },
            object(&json!({ "deny": reference("code") }), &["deny"]),
            object(&json!({ "park": reference("code"), "approve": reference("id") }), &[]),
        ],
    });
    object(
        &json!({
            "name": { "type": "string" },
            "given": with("An imagined request.", json!({ "type": "object" })),
            "expect": expect,
        }),
        &["name", "given", "expect"],
    )
}

fn modes() -> Json {
    json!({ "enum": ApprovalMode::ALL.map(|(word, _)| word) })
}

fn core() -> Json {
    let rule = object(
        &json!({
            "id": reference("id"),
            "when": with("None means always.", reference("condition")),
            "then": reference("then"),
            "code": reference("code"),
            "mode": with("Raises the approval mode where the rule matches.", modes()),
            "binding": with("The decision elsewhere that it is bound to, for the record.", json!({ "type": "string" })),
            "spend": with("What a call moves besides its value.", spend()),
        }),
        &["id", "then"],
    );
    object(
        &json!({
            "policy": with("Its name; it stays the same from version to version.", reference("id")),
            "kind": with("A grant may allow, for one agent. A guard may only deny, ask and limit.", json!({ "enum": ["grant", "guard"] })),
            "for": reference("for"),
            "starts": reference("starts"),
            "lasts": with("How long after its beginning it is completed.", reference("duration")),
            "expires": reference("instant"),
            "mandate": with("Free text for approvers, and for the judge if there is one.", json!({ "type": "string" })),
            "sets": reference("sets"),
            "gates": reference("gates"),
            "order": { "enum": [["rules", "limits"], ["limits", "rules"]] },
            "rules": list(&rule),
            "limits": list(&limit()),
            "tests": list(&reference("test")),
        }),
        &["policy", "kind"],
    )
}

fn spend() -> Json {
    let movement = object(
        &json!({ "token": { "type": "string" }, "amount": { "type": "string" } }),
        &["token", "amount"],
    );
    json!({ "anyOf": [{ "enum": ["none", "on_use"] }, movement, list(&movement)] })
}

fn limit() -> Json {
    let per =
        json!({ "anyOf": [{ "enum": ["tx", "day", "month", "grant"] }, reference("duration")] });
    let over = json!({ "anyOf": [{ "const": "deny" }, object(&json!({ "approve": reference("id") }), &["approve"])] });
    let mut limit = object(
        &json!({
            "id": reference("id"),
            "when": reference("condition"),
            "sum": { "enum": ["usd", "fee_usd"] },
            "count": { "enum": ["tx", "action"] },
            "per": per,
            "tz": { "type": "string" },
            "by": one_or_more(&json!({ "enum": By::ALL.map(|(word, _)| word) })),
            "max": reference("amount"),
            "over": over,
            "code": reference("code"),
        }),
        &["id", "per", "max"],
    );
    if let Some(object) = limit.as_object_mut() {
        let one = json!([{ "required": ["sum"] }, { "required": ["count"] }]);
        object.insert("oneOf".to_owned(), one);
    }
    limit
}

fn nullable(kind: &str) -> Json {
    json!({ "type": [kind, "null"] })
}

/// The fields themselves, bare or under `fields`.
fn fields() -> Json {
    let amount = json!({ "type": ["string", "number", "null"] });
    let whole = json!({ "type": ["string", "integer", "null"], "description": "Decimal, or hex in quotes." });
    let addresses = json!({ "type": ["array", "null"], "items": { "type": "string", "pattern": "^0x[0-9A-Fa-f]{40}$" } });
    let words = json!({ "type": ["array", "null"], "items": { "type": "string" } });
    let selectors = json!({ "type": ["array", "null"], "items": { "type": "string", "pattern": "^0x[0-9A-Fa-f]{8}$" } });
    let days = json!({ "type": "array", "minItems": 1, "items": { "type": "integer", "minimum": 1, "maximum": 7 } });
    let hours = json!({ "type": "array", "minItems": 1, "items": { "type": "integer", "minimum": 0, "maximum": 23 } });
    let schedule = json!({ "anyOf": [{ "type": "null" }, object(&json!({ "days": days, "hours": hours }), &["days", "hours"])] });
    let own = json!({
        "spend_limit_per_tx_usd": with("One transaction. Default 100; null is no limit.", amount.clone()),
        "spend_limit_per_day_usd": with("From midnight UTC. Default 1000.", amount.clone()),
        "spend_limit_per_month_usd": with("From the 1st.", amount.clone()),
        "allowed_addresses": with("Who may end up with money; null is anybody.", addresses.clone()),
        "allowed_contracts": with("Contracts that may be called; null is any.", addresses),
        "blocked_actions": words,
        "blocked_selectors": selectors,
        "max_gas_limit": whole,
        "max_value_wei": whole,
        "schedule": with("ISO days and UTC hours.", schedule),
        "require_approval_above_usd": amount,
        "require_approval_actions": words,
        "require_approval_selectors": selectors,
        "risk_scan_enabled": nullable("boolean"),
        "guard_rules": with("MANDATE.md: free text for approvers, and for the judge if there is one.", nullable("string")),
        "description": nullable("string"),
    });
    let bare = object(&own, &[]);
    let under = object(
        &json!({
            "policy": reference("id"), "fields": bare, "for": reference("for"), "expires": reference("instant"),
            "gates": reference("gates"), "tests": list(&reference("test")),
        }),
        &["fields"],
    );
    json!({ "anyOf": [under, bare] })
}

fn pact() -> Json {
    let ended = |kind: &str, description: &str| {
        with(
            description,
            object(
                &json!({ "type": { "const": kind }, "threshold": reference("amount"), "value": reference("amount") }),
                &["type"],
            ),
        )
    };
    let short = object(
        &json!({ "tx_count": reference("amount"), "amount_spent_usd": reference("amount"), "time_elapsed": reference("amount") }),
        &[],
    );
    let policy = object(
        &json!({
            "name": { "type": "string" },
            "type": { "enum": ["transfer", "contract_call", "message_sign"] },
            "rules": object(
                &json!({
                    "effect": { "enum": ["allow", "deny"] },
                    "when": with("What is allowed: these conditions, or any of the core language.", filters()),
                    "deny_if": with("Denies, and limits.", terms()),
                    "review_if": with("Asks the owner.", terms()),
                    "always_review": { "type": "boolean" },
                }),
                &[],
            ),
        }),
        &["type"],
    );
    let text = json!({ "type": "string" });
    object(
        &json!({
            "policy": reference("id"), "name": reference("id"), "intent": text, "execution_plan": text,
            "policies": { "type": "array", "items": policy, "minItems": 1 },
            "completion_conditions": list(&json!({ "anyOf": [
                ended("tx_count", "So many transactions."),
                ended("amount_spent_usd", "So much spent, fees with it."),
                ended("time_elapsed", "So many seconds after its beginning."),
                short,
            ] })),
            "for": reference("for"), "starts": reference("starts"), "expires": reference("instant"),
            "expires_at": reference("instant"), "sets": reference("sets"), "gates": reference("gates"),
            "tests": list(&reference("test")),
        }),
        &["policies"],
    )
}

/// The pact's own conditions; those of the core language may stand beside them.
fn filters() -> Json {
    let chain = json!({ "type": ["integer", "string"] });
    let on_chain = |key: &str| {
        let whole = object(&json!({ "chain_id": chain, key: { "type": "string" } }), &[key]);
        json!({ "anyOf": [{ "type": "string" }, whole] })
    };
    let function = json!({ "chain_id": chain, "contract_addr": { "type": "string" }, "function_id": { "type": "string" } });
    let matches = list(&object(
        &json!({
            "param_name": { "type": "string" },
            "op": { "enum": ["eq", "neq", "in", "not_in", "lt", "lte", "gt", "gte"] },
            "value": {},
        }),
        &["param_name", "op", "value"],
    ));
    json!({
        "type": "object",
        "properties": {
            "chain_in": list(&chain),
            "token_in": list(&on_chain("token_id")),
            "destination_address_in": list(&on_chain("address")),
            "target_in": list(&json!({ "anyOf": [{ "type": "string" }, object(&function, &["contract_addr"])] })),
            "params_match": matches,
            "primary_type_in": list(&json!({ "type": "string" })),
            "domain_match": matches,
            "message_match": matches,
        },
    })
}

fn terms() -> Json {
    let count = json!({ "type": ["integer", "string"] });
    let window = object(
        &json!({ "amount_usd_gt": reference("amount"), "tx_count_gt": count, "request_count_gt": count }),
        &[],
    );
    let usage = object(
        &json!({ "rolling_1h": window, "rolling_24h": window, "rolling_7d": window, "rolling_30d": window }),
        &[],
    );
    let mut terms = filters();
    if let Some(properties) = terms.get_mut("properties").and_then(Json::as_object_mut) {
        properties.insert("amount_usd_gt".to_owned(), reference("amount"));
        properties.insert("usage_limits".to_owned(), usage);
    }
    terms
}

fn jsonlogic() -> Json {
    let constraint = object(
        &json!({
            "max": reference("amount"),
            "enum": list(&reference("scalar")),
            "unless_approved": with("Ask the gate instead of denying.", json!({ "type": "boolean" })),
        }),
        &[],
    );
    let then = object(
        &json!({
            "allow": { "type": "boolean" },
            "approval_mode": modes(),
            "requires_approval_gate": { "type": "string" },
            "arg_constraints": { "type": "object", "additionalProperties": constraint },
        }),
        &[],
    );
    let rule = object(
        &json!({
            "rule_id": reference("id"),
            "description": { "type": "string" },
            "applies_to": object(
                &json!({
                    "intent": with("What the configuration or the agent calls the action; * is any.", one_or_more(&json!({ "type": "string" }))),
                    "kind": one_or_more(&json!({ "type": "string" })),
                    "target": one_or_more(&json!({ "type": "string" })),
                    "fn": with("A function with the names of its parameters.", json!({ "type": "string" })),
                }),
                &[],
            ),
            "if": expression(),
            "then": then,
            "decision_binding": { "type": "string" },
        }),
        &["rule_id", "then"],
    );
    let bundle = object(
        &json!({
            "policy": reference("id"), "rules": { "type": "array", "items": rule, "minItems": 1 },
            "for": reference("for"), "starts": reference("starts"), "lasts": reference("duration"),
            "expires": reference("instant"), "mandate": { "type": "string" }, "gates": reference("gates"),
            "tests": list(&reference("test")),
        }),
        &["rules"],
    );
    json!({ "anyOf": [bundle, rule, { "type": "array", "items": rule, "minItems": 1 }] })
}

/// One operator with its operands; the operands of operands are left to the reader.
fn expression() -> Json {
    let operators = [
        "var", "==", "===", "!=", "!==", "<", "<=", ">", ">=", "and", "or", "!", "!!", "if", "?:",
        "in",
    ];
    let properties: Map<String, Json> =
        operators.iter().map(|operator| ((*operator).to_owned(), json!({}))).collect();
    json!({
        "anyOf": [
            { "type": "boolean" },
            {
                "type": "object", "properties": properties, "additionalProperties": false,
                "minProperties": 1, "maxProperties": 1,
            },
        ],
    })
}
