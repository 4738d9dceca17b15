//! `when` and the conditions beside amounts: the pact's own words (`chain_in`, `token_in` ...), and any condition of
//! the core language.

use super::{
    super::written::{alone, conjunction, disjunction, entry, known_keys, list, map, word},
    Kind,
};
use crate::{
    diagnostic::{Findings, Place},
    source::{Entry, Node},
};

/// Chains that pacts call by name.
const CHAINS: [(&str, &str); 12] = [
    ("ETH", "1"),
    ("OPTIMISM_ETH", "10"),
    ("OP_ETH", "10"),
    ("BSC_BNB", "56"),
    ("MATIC", "137"),
    ("POLYGON_MATIC", "137"),
    ("BASE_ETH", "8453"),
    ("BASE", "8453"),
    ("ARBITRUM_ETH", "42161"),
    ("AVAXC", "43114"),
    ("SETH", "11155111"),
    ("TBASE_SETH", "84532"),
];

/// Operators of `params_match` and the like, as the core language calls them.
const OPERATORS: [(&str, &str); 8] = [
    ("eq", "eq"),
    ("neq", "ne"),
    ("in", "in"),
    ("not_in", "not_in"),
    ("lt", "lt"),
    ("lte", "lte"),
    ("gt", "gt"),
    ("gte", "gte"),
];

/// The pact's own words, with the types of policy that have them.
const WORDS: [(&str, &[Kind]); 8] = [
    ("chain_in", &[Kind::Transfer, Kind::ContractCall, Kind::MessageSign]),
    ("token_in", &[Kind::Transfer]),
    ("destination_address_in", &[Kind::Transfer]),
    ("target_in", &[Kind::ContractCall]),
    ("params_match", &[Kind::ContractCall]),
    ("primary_type_in", &[Kind::MessageSign]),
    ("domain_match", &[Kind::MessageSign]),
    ("message_match", &[Kind::MessageSign]),
];

/// Words of other systems that have no meaning here.
const FOREIGN: [&str; 4] = ["program_in", "program_all_in", "source_address_in", "function_abis"];

/// The conditions of a mapping, one for each of its entries.
pub(super) fn read(node: &Node, kind: Kind, findings: &mut Findings) -> Vec<Node> {
    if node.map().is_none() {
        findings.error(node.place, "a condition must be a mapping", "as in { chain_in: [8453] }");
    }
    let entries = node.map().unwrap_or_default();
    entries.iter().flat_map(|entry| condition(entry, kind, findings)).collect()
}

fn condition(entry: &Entry, kind: Kind, findings: &mut Findings) -> Vec<Node> {
    let Entry { key, place, node } = entry;
    let own = WORDS.iter().find(|(word, _)| word == key);
    if own.is_some_and(|(_, kinds)| !kinds.contains(&kind)) {
        let message = format!("`{key}` does not belong to a policy of type {}", kind.word());
        findings.error(*place, message, "split the policy");
        return Vec::new();
    }
    if FOREIGN.contains(&key.as_str()) {
        let hint = "name wallets under `for`, and functions with their arguments in `target_in`";
        findings.error(*place, format!("`{key}` cannot be asked here"), hint);
        return Vec::new();
    }
    match key.as_str() {
        "chain_in" => {
            let chains = items(node, findings).iter().filter_map(|n| chain(n, findings)).collect();
            vec![alone("chain", list(chains, *place))]
        }
        "token_in" => vec![listed(entry, findings, token)],
        "destination_address_in" => vec![listed(entry, findings, destination)],
        "target_in" => vec![listed(entry, findings, target)],
        "primary_type_in" => vec![alone("primary_type", list(items(node, findings), *place))],
        "params_match" => matches(node, "args.", findings),
        "domain_match" => matches(node, "domain.", findings),
        "message_match" => matches(node, "message.", findings),
        _ => vec![map(vec![entry.clone()], *place)],
    }
}

fn items(node: &Node, findings: &mut Findings) -> Vec<Node> {
    let items = node.list().filter(|items| !items.is_empty());
    if items.is_none() {
        let hint = "leave the key out where anything is meant";
        findings.error(node.place, "a list is expected here", hint);
    }
    items.unwrap_or_default().to_vec()
}

/// One condition for each member of a list, of which one must hold.
fn listed(
    entry: &Entry,
    findings: &mut Findings,
    read: impl Fn(&Node, &mut Findings) -> Option<Node>,
) -> Node {
    let members: Vec<Node> =
        items(&entry.node, findings).iter().filter_map(|node| read(node, findings)).collect();
    // members that ask one thing of one field are a list of values
    let single = |node: &Node| match node.map() {
        Some([one]) => Some((one.key.clone(), one.node.clone())),
        _ => None,
    };
    let pairs: Vec<_> = members.iter().filter_map(single).collect();
    match pairs.first() {
        Some((first, _))
            if pairs.len() == members.len() && pairs.iter().all(|(k, _)| k == first) =>
        {
            let values = pairs.iter().map(|(_, value)| value.clone()).collect();
            alone(first, list(values, entry.place))
        }
        _ => disjunction(members, entry.place),
    }
}

/// A chain's number, from a number or a name.
fn chain(node: &Node, findings: &mut Findings) -> Option<Node> {
    let text = node.text().unwrap_or_default();
    let named = CHAINS.iter().find(|(name, _)| *name == text).map(|(_, id)| *id);
    let number = (!text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())).then_some(text);
    let found = named.or(number).map(|id| word(id, node.place));
    if found.is_none() {
        let all = CHAINS.map(|(name, _)| name).join(", ");
        let hint = format!("write its chain id, as in 8453; known names are {all}");
        findings.error(node.place, format!("`{text}` is not a chain"), hint);
    }
    found
}

/// The chain and the first of these keys of a member; a plain member has no chain. A chain that cannot be read is
/// an error, and the member counts for nothing.
fn parts(node: &Node, keys: &[&str], findings: &mut Findings) -> Option<(Option<Node>, Node)> {
    if node.text().is_some() {
        return Some((None, node.clone()));
    }
    known_keys(node, "a member of this list", &[&["chain_id"], keys].concat(), findings);
    let value = keys.first().and_then(|key| node.get(key)).cloned();
    if value.is_none() {
        let missing = keys.first().copied().unwrap_or_default();
        findings.error(node.place, format!("`{missing}` is missing"), "");
    }
    match node.get("chain_id") {
        Some(id) => Some((Some(chain(id, findings)?), value?)),
        None => Some((None, value?)),
    }
}

fn on(chain_id: Option<Node>, condition: Node, place: Place) -> Node {
    let chain = chain_id.map(|id| alone("chain", id));
    conjunction(chain.into_iter().chain([condition]).collect(), place)
}

/// `usdc@8453`, an address, or `{ chain_id, token_id }` with either.
fn token(node: &Node, findings: &mut Findings) -> Option<Node> {
    let (chain_id, value) = parts(node, &["token_id"], findings)?;
    let text = value.text().unwrap_or_default();
    let named = !text.starts_with("0x") && !text.contains('@') && text != "native";
    match chain_id.as_ref().and_then(Node::text) {
        Some(id) if named => {
            Some(alone("token", word(&format!("{}@{id}", text.to_ascii_lowercase()), node.place)))
        }
        _ => Some(on(chain_id, alone("token", value), node.place)),
    }
}

/// An address, or `{ chain_id, address }`.
fn destination(node: &Node, findings: &mut Findings) -> Option<Node> {
    let (chain_id, address) = parts(node, &["address"], findings)?;
    Some(on(chain_id, alone("to", address), node.place))
}

/// An address, or `{ chain_id, contract_addr, function_id }`; a function is a selector or a signature.
fn target(node: &Node, findings: &mut Findings) -> Option<Node> {
    let (chain_id, address) = parts(node, &["contract_addr", "function_id"], findings)?;
    let function = node.get("function_id").map(|function| {
        let text = function.text().unwrap_or_default();
        alone(if text.starts_with("0x") { "selector" } else { "fn" }, function.clone())
    });
    let conditions = [alone("target", address)].into_iter().chain(function).collect();
    Some(on(chain_id, conjunction(conditions, node.place), node.place))
}

/// `[{ param_name, op, value }]` about arguments or fields.
fn matches(node: &Node, prefix: &str, findings: &mut Findings) -> Vec<Node> {
    let mut conditions = Vec::new();
    for item in items(node, findings) {
        known_keys(&item, "a member of this list", &["param_name", "op", "value"], findings);
        let text = |key: &str| item.get(key).and_then(Node::text);
        let operator = OPERATORS.iter().find(|(word, _)| text("op") == Some(word));
        let (Some(name), Some((_, operator)), Some(value)) =
            (text("param_name"), operator, item.get("value"))
        else {
            let words = OPERATORS.map(|(word, _)| word).join(", ");
            let hint = format!(
                "as in {{ param_name: amount, op: lte, value: 100 }}; `op` is one of {words}"
            );
            findings.error(item.place, "a name, an operator and a value are needed", hint);
            continue;
        };
        let asked = alone(operator, value.clone());
        conditions.push(map(vec![entry(&format!("{prefix}{name}"), asked)], item.place));
    }
    conditions
}
