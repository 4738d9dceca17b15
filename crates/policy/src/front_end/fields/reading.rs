//! The fields themselves: typed, with their defaults.

use std::str::FromStr;

use alloy_primitives::Address;
use countersign_core::{abi::Selector, amount::MicroUsd};

use crate::{
    diagnostic::Findings,
    read::{in_digits, is_float, whole},
    source::Node,
};

/// Every field, in the order in which they are judged.
pub(crate) const KEYS: [&str; 16] = [
    "spend_limit_per_tx_usd",
    "spend_limit_per_day_usd",
    "spend_limit_per_month_usd",
    "allowed_addresses",
    "allowed_contracts",
    "blocked_actions",
    "blocked_selectors",
    "max_gas_limit",
    "max_value_wei",
    "schedule",
    "require_approval_above_usd",
    "require_approval_actions",
    "require_approval_selectors",
    "risk_scan_enabled",
    "guard_rules",
    "description",
];

/// A policy in fields. Numbers are decimal text.
#[derive(Debug)]
pub(super) struct Fields {
    pub(super) per_tx: Option<String>,
    pub(super) per_day: Option<String>,
    pub(super) per_month: Option<String>,
    pub(super) allowed_addresses: Option<Vec<String>>,
    pub(super) allowed_contracts: Option<Vec<String>>,
    pub(super) blocked_actions: Vec<String>,
    pub(super) blocked_selectors: Vec<String>,
    pub(super) max_gas_limit: Option<String>,
    pub(super) max_value_wei: Option<String>,
    pub(super) schedule: Option<Schedule>,
    pub(super) require_approval_above_usd: Option<String>,
    pub(super) require_approval_actions: Vec<String>,
    pub(super) require_approval_selectors: Vec<String>,
    pub(super) risk_scan_enabled: bool,
    pub(super) guard_rules: Option<String>,
}

/// ISO days and UTC hours, as text.
#[derive(Debug)]
pub(super) struct Schedule {
    pub(super) days: Vec<String>,
    pub(super) hours: Vec<String>,
}

impl Fields {
    /// Reads the fields of a mapping; absent ones have the seed's defaults, `null` is no limit.
    pub(super) fn read(node: &Node, findings: &mut Findings) -> Self {
        if node.map().is_none() {
            findings.error(node.place, "the fields must be a mapping", "");
        }
        for entry in node.map().unwrap_or_default() {
            if !KEYS.contains(&entry.key.as_str()) {
                findings.error(
                    entry.place,
                    format!("there is no field `{}`", entry.key),
                    format!("fields are {}", KEYS.join(", ")),
                );
            }
        }
        let mut source = Source { node, findings };
        Self {
            per_tx: source.usd("spend_limit_per_tx_usd", Some("100")),
            per_day: source.usd("spend_limit_per_day_usd", Some("1000")),
            per_month: source.usd("spend_limit_per_month_usd", None),
            allowed_addresses: source.addresses("allowed_addresses"),
            allowed_contracts: source.addresses("allowed_contracts"),
            blocked_actions: source.words("blocked_actions").unwrap_or_default(),
            blocked_selectors: source.selectors("blocked_selectors"),
            max_gas_limit: source.number("max_gas_limit"),
            max_value_wei: source.number("max_value_wei"),
            schedule: source.schedule(),
            require_approval_above_usd: source.usd("require_approval_above_usd", None),
            require_approval_actions: source.words("require_approval_actions").unwrap_or_default(),
            require_approval_selectors: source.selectors("require_approval_selectors"),
            risk_scan_enabled: source.truth("risk_scan_enabled"),
            guard_rules: source.text("guard_rules"),
        }
    }
}

struct Source<'a, 'f> {
    node: &'a Node,
    findings: &'f mut Findings,
}

impl<'a> Source<'a, '_> {
    fn get(&self, key: &str) -> Option<&'a Node> {
        self.node.get(key).filter(|node| !node.is_null())
    }

    fn wrong(&mut self, node: &Node, key: &str, expected: &str) {
        self.findings.error(node.place, format!("`{key}` is not {expected}"), "");
    }

    fn text(&mut self, key: &str) -> Option<String> {
        let node = self.get(key)?;
        let text = node.text().map(str::to_owned);
        if text.is_none() {
            self.wrong(node, key, "a text");
        }
        text
    }

    /// USD, exactly as it was written: `100.5` is read as decimal text, never as a float.
    fn usd(&mut self, key: &str, default: Option<&str>) -> Option<String> {
        if self.node.get(key).is_none() {
            return default.map(str::to_owned);
        }
        let node = self.get(key)?;
        let text = node.text().unwrap_or_default();
        match MicroUsd::from_str(text) {
            Ok(amount) => Some(amount.to_string()),
            Err(error) => {
                let hint =
                    "write plain decimal USD with at most six decimals, best in quotes: \"100.50\"";
                let exact = if is_float(text) { in_digits(text) + "; " } else { String::new() };
                let hint = format!("{exact}{hint}");
                self.findings.error(node.place, format!("`{key}`: {error}"), hint);
                None
            }
        }
    }

    fn number(&mut self, key: &str) -> Option<String> {
        let node = self.get(key)?;
        let number = node.text().and_then(whole);
        if number.is_none() {
            let float = node.text().filter(|text| is_float(text));
            let message = format!("`{key}` is not a whole number, in decimal or as 0x hex");
            self.findings.error(node.place, message, float.map(in_digits).unwrap_or_default());
        }
        number.map(|number| number.to_string())
    }

    fn truth(&mut self, key: &str) -> bool {
        let Some(node) = self.get(key) else { return true };
        match node.plain() {
            Some("true") => true,
            Some("false") => false,
            Some(_) | None => {
                self.wrong(node, key, "true or false");
                true
            }
        }
    }

    fn words(&mut self, key: &str) -> Option<Vec<String>> {
        let node = self.get(key)?;
        let items = node.list();
        if items.is_none() {
            self.wrong(node, key, "a list");
        }
        let mut words = Vec::new();
        for item in items.unwrap_or_default() {
            match item.text().filter(|text| !text.is_empty() && !text.starts_with('@')) {
                Some(text) => words.push(text.to_owned()),
                None => self.wrong(item, key, "a list of words"),
            }
        }
        Some(words)
    }

    fn addresses(&mut self, key: &str) -> Option<Vec<String>> {
        let node = self.get(key)?;
        for item in node.list().unwrap_or_default() {
            let text = item.text().unwrap_or_default();
            let right = Address::from_str(text).is_ok_and(|address| {
                let digits = text.trim_start_matches("0x");
                let one_case = digits == digits.to_lowercase() || digits == digits.to_uppercase();
                text.starts_with("0x") && (one_case || text == address.to_checksum(None))
            });
            if !right || item.plain().is_some() {
                self.findings.error(
                    item.place,
                    format!(
                        "`{key}`: `{text}` is not an address in quotes with the right checksum"
                    ),
                    "copy it again; all lower case is accepted too",
                );
            }
        }
        self.words(key)
    }

    fn selectors(&mut self, key: &str) -> Vec<String> {
        for item in self.get(key).and_then(Node::list).unwrap_or_default() {
            let text = item.text().unwrap_or_default();
            if !text.starts_with("0x") || text.parse::<Selector>().is_err() {
                self.wrong(item, key, "a list of selectors, as in \"0x095ea7b3\"");
            }
        }
        self.words(key).unwrap_or_default()
    }

    fn schedule(&mut self) -> Option<Schedule> {
        let node = self.get("schedule")?;
        let known = |entries: &[crate::source::Entry]| {
            entries.len() == 2 && node.get("days").is_some() && node.get("hours").is_some()
        };
        if !node.map().is_some_and(known) {
            self.findings.error(
                node.place,
                "`schedule` needs days and hours, and nothing else",
                "as in { days: [1, 2, 3, 4, 5], hours: [9, 10, 11] }",
            );
            return None;
        }
        let days = self.within(node, "days", 1, 7);
        let hours = self.within(node, "hours", 0, 23);
        Some(Schedule { days, hours })
    }

    fn within(&mut self, schedule: &Node, key: &str, min: u8, max: u8) -> Vec<String> {
        let Some(node) = schedule.get(key) else { return Vec::new() };
        let items = node.list().unwrap_or_default();
        if items.is_empty() {
            self.findings.error(
                node.place,
                format!("`{key}` of the schedule is empty"),
                "an agent that may never act needs no schedule: freeze it",
            );
        }
        let number = |item: &Node| {
            let digits = item.text().filter(|text| text.bytes().all(|b| b.is_ascii_digit()))?;
            let number = digits.parse::<u8>().ok().filter(|number| (min..=max).contains(number))?;
            Some(number.to_string())
        };
        let numbers: Vec<String> = items.iter().filter_map(number).collect();
        if numbers.len() < items.len() {
            self.wrong(node, key, &format!("a list of numbers from {min} to {max}"));
        }
        numbers
    }
}
