//! `deny_if` and `review_if`: amounts in one transaction and in rolling windows, and where they hold.

use super::{
    super::written::{exact, known_keys},
    Kind, conditions,
};
use crate::{
    diagnostic::{Findings, Place},
    source::{Entry, Node, Value},
};

/// The rolling windows, as a pact calls them and as the core language does.
const WINDOWS: [(&str, &str); 4] =
    [("rolling_1h", "1h"), ("rolling_24h", "24h"), ("rolling_7d", "7d"), ("rolling_30d", "30d")];

/// A maximum.
#[derive(Debug)]
pub(super) struct Maximum {
    /// `sum` or `count`.
    pub(super) measure: &'static str,
    /// What is summed or counted.
    pub(super) unit: &'static str,
    pub(super) per: &'static str,
    pub(super) max: Node,
    pub(super) place: Place,
}

impl Maximum {
    /// What tells it from the others of its policy.
    pub(super) fn suffix(&self) -> String {
        format!("{}-{}", self.per, self.unit)
    }
}

/// Amounts, and the conditions beside them.
#[derive(Debug, Default)]
pub(super) struct Terms {
    pub(super) limits: Vec<Maximum>,
    pub(super) filters: Vec<Node>,
}

impl Terms {
    pub(super) fn read(node: &Node, kind: Kind, findings: &mut Findings) -> Self {
        let mut terms = Self::default();
        let mut filters: Vec<Entry> = Vec::new();
        if node.map().is_none() {
            findings.error(
                node.place,
                "a mapping is expected here",
                "as in { amount_usd_gt: \"100\" }",
            );
        }
        for entry in node.map().unwrap_or_default() {
            match entry.key.as_str() {
                "amount_usd_gt" => terms.limits.push(usd("tx", &entry.node, findings)),
                "amount_gt" => in_tokens(entry, findings),
                "usage_limits" => terms.usage(&entry.node, findings),
                _ => filters.push(entry.clone()),
            }
        }
        let rest = Node { place: node.place, value: Value::Map(filters) };
        terms.filters = conditions::read(&rest, kind, findings);
        terms
    }

    fn usage(&mut self, node: &Node, findings: &mut Findings) {
        known_keys(node, "`usage_limits`", &WINDOWS.map(|(key, _)| key), findings);
        for entry in node.map().unwrap_or_default() {
            let Some((_, per)) = WINDOWS.iter().find(|(key, _)| *key == entry.key) else {
                continue;
            };
            let known = ["amount_usd_gt", "amount_gt", "tx_count_gt", "request_count_gt"];
            known_keys(&entry.node, &format!("`{}`", entry.key), &known, findings);
            for limit in entry.node.map().unwrap_or_default() {
                match limit.key.as_str() {
                    "amount_usd_gt" => self.limits.push(usd(per, &limit.node, findings)),
                    "tx_count_gt" | "request_count_gt" => {
                        self.limits.push(count(per, &limit.node, findings));
                    }
                    "amount_gt" => in_tokens(limit, findings),
                    _ => {}
                }
            }
        }
    }
}

fn usd(per: &'static str, node: &Node, findings: &mut Findings) -> Maximum {
    Maximum { measure: "sum", unit: "usd", per, max: exact(node, findings), place: node.place }
}

fn count(per: &'static str, node: &Node, findings: &mut Findings) -> Maximum {
    Maximum { measure: "count", unit: "tx", per, max: exact(node, findings), place: node.place }
}

fn in_tokens(entry: &Entry, findings: &mut Findings) {
    findings.error(
        entry.place,
        format!("`{}` counts in units of a token, whose decimals a pact does not say", entry.key),
        "use amount_usd_gt, or amount: { gt: .. } in base units",
    );
}
