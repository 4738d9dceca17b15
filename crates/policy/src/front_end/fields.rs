//! Agent policy fields (seed 002): `spend_limit_per_day_usd: 1000` and the like.
//!
//! A file holds the fields bare, or under `fields:` beside `policy`, `for`, `expires`, `gates` and `tests` of the
//! core language. Each field keeps its documented code, and the fields are judged in their documented order.
//!
//! What is allowed: transfers, bounded approvals, revocations, calls, deployments. Calls that hand over control
//! of a contract are asked. Everything else is never allowed.

pub(crate) mod reading;

use serde_json::{Value as Json, json};

use self::reading::{Fields, Schedule};
use super::written::STATE_ONE;
use crate::{
    diagnostic::{Findings, Place},
    matcher::NATIVE,
    read,
    source::{Entry, Node, Value},
};

/// From this risk on a request is refused.
const RISK_BLOCKED: u8 = 80;
/// From this risk on people are asked.
const RISK_HIGH: u8 = 60;

/// Selectors of calls that hand over control: ownership, upgrades, modules, roles.
const PRIVILEGED: [&str; 14] = [
    "0xf2fde38b", // transferOwnership(address)
    "0x715018a6", // renounceOwnership()
    "0x3659cfe6", // upgradeTo(address)
    "0x4f1ef286", // upgradeToAndCall(address,bytes)
    "0x2f2ff15d", // grantRole(bytes32,address)
    "0x8f283970", // changeAdmin(address)
    "0x704b6c02", // setAdmin(address)
    "0x13af4035", // setOwner(address)
    "0x610b5925", // enableModule(address)
    "0xe19a9dd9", // setGuard(address)
    "0xe318b52b", // swapOwner(address,address,address)
    "0x694e80c3", // changeThreshold(uint256)
    "0xf08a0323", // setFallbackHandler(address)
    "0x1f931c1c", // diamondCut((address,uint8,bytes4[])[],address,bytes)
];

/// Whether a file is written in fields.
pub(crate) fn is_fields(root: &Node) -> bool {
    let bare = |entry: &Entry| reading::KEYS.contains(&entry.key.as_str());
    let core = root.get("rules").is_some() || root.get("kind").is_some();
    root.get("fields").is_some()
        || (!core && root.map().is_some_and(|entries| entries.iter().any(bare)))
}

/// Compiles a field file; `None` if it has errors.
pub(crate) fn compile(root: &Node, name: &str, findings: &mut Findings) -> Option<Node> {
    let node = root.get("fields");
    if node.is_some() {
        known_keys(root, &["policy", "fields", "for", "expires", "gates", "tests"], findings);
    }
    let fields = Fields::read(node.unwrap_or(root), findings);
    let stated = node.and(root.get("policy")).and_then(Node::text);
    let name = stated.unwrap_or(name);
    if !read::is_id(name) {
        let hint = format!("{}: {STATE_ONE}", read::ID_HINT);
        findings.error(root.place, format!("`{name}` is not a name"), hint);
    }
    if findings.has_errors() {
        return None;
    }
    let mut core = to_node(&core(name, &fields), root.place);
    if node.is_some() {
        for key in ["for", "expires", "gates", "tests"] {
            splice(&mut core, root, key);
        }
    }
    Some(core)
}

/// What a compiled rule or limit is for.
pub(crate) fn note(id: &str) -> Option<&'static str> {
    let notes = [
        ("spend_limit_per_tx_usd", "one transaction, without its fee"),
        ("spend_limit_per_day_usd", "from midnight UTC, with fees"),
        ("spend_limit_per_month_usd", "from the 1st, UTC, with fees"),
        ("require_approval_above_usd", "above it people are asked"),
        ("allowed_addresses", "who ends up with the money, however it is sent"),
        ("allowed_contracts-token", "contracts: those of tokens, and those that are called"),
        ("blocked_actions", "what the configuration or the agent calls the action"),
        ("blocked_selectors", "on every inner call"),
        ("schedule", "UTC"),
        ("risk_scan", "the risk score is 0 to 100"),
        ("privileged", "calls that hand over control of a contract"),
        ("text", "texts are signed only with somebody's yes"),
        ("transfer", "what may be done at all"),
    ];
    notes.iter().find(|(known, _)| *known == id).map(|(_, note)| *note)
}

fn known_keys(node: &Node, known: &[&str], findings: &mut Findings) {
    for entry in node.map().unwrap_or_default() {
        if !known.contains(&entry.key.as_str()) {
            findings.error(
                entry.place,
                format!("there is no key `{}` beside `fields`", entry.key),
                format!("there may be {}", known.join(", ")),
            );
        }
    }
}

/// Puts an entry of the file into the compiled tree; its own gates come beside `owner`.
fn splice(core: &mut Node, root: &Node, key: &str) {
    let Some(entry) = root.map().and_then(|e| e.iter().find(|entry| entry.key == key)) else {
        return;
    };
    let Value::Map(entries) = &mut core.value else { return };
    match entries.iter_mut().find(|known| known.key == key) {
        None => entries.push(entry.clone()),
        Some(known) => {
            if let (Value::Map(own), Value::Map(given)) = (&mut known.node.value, &entry.node.value)
            {
                own.retain(|gate| given.iter().all(|other| other.key != gate.key));
                own.extend(given.iter().cloned());
            }
        }
    }
}

/// The policy in the core language.
fn core(name: &str, fields: &Fields) -> Json {
    let mut rules = denials(fields);
    rules.extend(questions(fields));
    rules.extend(allows(fields));
    let mut core = json!({
        "policy": name,
        "kind": "grant",
        "gates": { "owner": { "need": [{ "any": "1", "of": ["*"] }] } },
        // limits are the first fields
        "order": ["limits", "rules"],
        "limits": limits(fields),
        "rules": rules,
    });
    if let (Some(object), Some(text)) = (core.as_object_mut(), &fields.guard_rules) {
        object.insert("mandate".to_owned(), text.as_str().into());
    }
    core
}

fn limits(fields: &Fields) -> Vec<Json> {
    let deny = |id: &str, per: &str, max: &Option<String>, code: &str| {
        max.as_ref()
            .map(|max| json!({ "id": id, "sum": "usd", "per": per, "max": max, "code": code }))
    };
    let ask = fields.require_approval_above_usd.as_ref().map(|max| {
        json!({
            "id": "require_approval_above_usd", "sum": "usd", "per": "tx", "max": max,
            "over": { "approve": "owner" }, "code": "amount_above_threshold",
        })
    });
    [
        deny("spend_limit_per_tx_usd", "tx", &fields.per_tx, "per_tx_limit_exceeded"),
        deny("spend_limit_per_day_usd", "day", &fields.per_day, "daily_quota_exceeded"),
        deny("spend_limit_per_month_usd", "month", &fields.per_month, "monthly_quota_exceeded"),
        ask,
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn denials(fields: &Fields) -> Vec<Json> {
    let deny = |id: &str, code: &str, when: Json| json!({ "id": id, "when": when, "then": "deny", "code": code });
    let mut rules = addresses(fields);
    if !fields.blocked_actions.is_empty() {
        let when = json!({ "action": { "in": fields.blocked_actions } });
        rules.push(deny("blocked_actions", "action_blocked", when));
    }
    if !fields.blocked_selectors.is_empty() {
        let when = json!({ "selector": { "in": fields.blocked_selectors } });
        rules.push(deny("blocked_selectors", "selector_blocked", when));
    }
    if let Some(gas) = &fields.max_gas_limit {
        rules.push(deny("max_gas_limit", "gas_limit_exceeded", json!({ "gas": { "gt": gas } })));
    }
    if let Some(wei) = &fields.max_value_wei {
        let when = json!({ "value_wei": { "gt": wei } });
        rules.push(deny("max_value_wei", "value_wei_exceeded", when));
    }
    if let Some(Schedule { days, hours }) = &fields.schedule {
        let when = json!({ "not": { "hours": { "days": days, "hours": hours } } });
        rules.push(deny("schedule", "outside_schedule", when));
    }
    if fields.risk_scan_enabled {
        let when = json!({ "risk": { "gte": RISK_BLOCKED.to_string() } });
        rules.push(deny("risk_scan", "risk_blocked", when));
    }
    rules
}

/// Both lists. `allowed_addresses` is about who ends up with the money, so it looks at the decoded recipient;
/// what may move money later or elsewhere (spenders, contracts that are called) must be on either list.
fn addresses(fields: &Fields) -> Vec<Json> {
    let mut rules = Vec::new();
    let mut deny = |id: &str, code: &str, when: Json| {
        rules.push(json!({ "id": id, "when": when, "then": "deny", "code": code }));
    };
    let (people, contracts) = (&fields.allowed_addresses, &fields.allowed_contracts);
    let mut either = people.clone().unwrap_or_default();
    either.extend(contracts.clone().unwrap_or_default());
    if let Some(people) = people {
        let code = "address_not_allowed";
        deny("allowed_addresses", code, json!({ "kind": "transfer", "to": { "not_in": people } }));
        deny(
            "allowed_addresses-spender",
            code,
            json!({ "kind": "approve", "spender": { "not_in": either } }),
        );
        deny(
            "allowed_addresses-call",
            code,
            json!({ "kind": "call", "target": { "not_in": either } }),
        );
        deny("allowed_addresses-deploy", code, json!({ "kind": "deploy" }));
    }
    if let Some(contracts) = contracts {
        let code = "contract_not_allowed";
        // a transfer of the chain's own currency calls no contract
        let mut tokens = contracts.clone();
        tokens.push(NATIVE.to_owned());
        let token = json!({ "kind": "transfer", "token": { "not_in": tokens } });
        deny("allowed_contracts-token", code, token);
        let calls = json!({ "kind": ["approve", "call"], "target": { "not_in": contracts } });
        deny("allowed_contracts", code, calls);
        deny(
            "allowed_contracts-spender",
            code,
            json!({ "kind": "approve", "spender": { "not_in": either } }),
        );
        deny("allowed_contracts-deploy", code, json!({ "kind": "deploy" }));
    }
    rules
}

fn questions(fields: &Fields) -> Vec<Json> {
    let ask = |id: &str, code: &str, when: Json| json!({ "id": id, "when": when, "then": { "approve": "owner" }, "code": code });
    let mut rules = Vec::new();
    if !fields.require_approval_actions.is_empty() {
        let when = json!({ "action": { "in": fields.require_approval_actions } });
        rules.push(ask("require_approval_actions", "action_requires_approval", when));
    }
    if !fields.require_approval_selectors.is_empty() {
        let when = json!({ "selector": { "in": fields.require_approval_selectors } });
        rules.push(ask("require_approval_selectors", "selector_requires_approval", when));
    }
    if fields.risk_scan_enabled {
        let when = json!({ "risk": { "gte": RISK_HIGH.to_string() } });
        rules.push(ask("risk_scan-high", "high_risk", when));
    }
    let named = json!({ "selector": { "in": PRIVILEGED } });
    let when = json!({ "kind": "call", "any": [{ "privileged": "true" }, named] });
    rules.push(ask("privileged", "high_risk", when));
    rules.push(ask("text", "action_requires_approval", json!({ "kind": "text" })));
    rules
}

fn allows(fields: &Fields) -> Vec<Json> {
    let allow = |id: &str, when: Json| json!({ "id": id, "when": when, "then": "allow" });
    let mut rules = vec![
        allow("transfer", json!({ "kind": "transfer" })),
        allow("approve", json!({ "kind": "approve", "unlimited": false })),
        allow("revoke", json!({ "kind": "revoke" })),
        allow("call", json!({ "kind": "call" })),
        allow("sign-text", json!({ "kind": "text" })),
    ];
    // either list denies what goes nowhere that is listed
    if fields.allowed_addresses.is_none() && fields.allowed_contracts.is_none() {
        rules.push(allow("deploy", json!({ "kind": "deploy" })));
    }
    rules
}

/// A tree whose every part stands at one place.
fn to_node(json: &Json, place: Place) -> Node {
    let value = match json {
        Json::Object(object) => Value::Map(
            object
                .iter()
                .map(|(key, value)| Entry { key: key.clone(), place, node: to_node(value, place) })
                .collect(),
        ),
        Json::Array(items) => Value::List(items.iter().map(|item| to_node(item, place)).collect()),
        Json::String(text) => Value::Scalar { text: text.clone(), quoted: true },
        Json::Null | Json::Bool(_) | Json::Number(_) => {
            Value::Scalar { text: json.to_string(), quoted: false }
        }
    };
    Node { place, value }
}
