//! The words that a vector may use instead of values: `$wallet`, `$payee`, `$usd(50)` …

use std::collections::BTreeMap;

use countersign_tests::{
    config::{PAYEE, STRANGER, TOKEN},
    money::{USD, wei},
    rpc::Agent,
};
use serde_json::Value;

use crate::scene::Scene;

/// Wei in one gwei.
const GWEI: u128 = 1_000_000_000;

/// Words and what they stand for.
#[derive(Debug, Clone)]
pub(crate) struct Words(BTreeMap<String, String>);

impl Words {
    /// Those of a world.
    pub(crate) fn of(scene: &Scene) -> Self {
        let (bot, other) = (scene.agent("bot", 0), scene.agent("other", 0));
        let words = [
            ("$wallet", bot.wallet.clone()),
            ("$lower_wallet", bot.wallet.to_lowercase()),
            ("$other_wallet", other.wallet),
            ("$payee", PAYEE.to_owned()),
            ("$stranger", STRANGER.to_owned()),
            ("$token", TOKEN.to_owned()),
            ("$word_payee", word(PAYEE)),
            ("$word_stranger", word(STRANGER)),
            ("$word_token", word(TOKEN)),
            ("$word_wallet", word(&bot.wallet.to_lowercase())),
            ("$basic", bot.basic()),
            ("$secret", bot.token.clone()),
            ("$operators_secret", scene.operator("alice", 0).token),
            ("$host", bot.address.to_string()),
            ("$upgrade", format!("{}Authorization: {}\r\n\r\n", upgrade(&bot), bot.basic())),
            ("$stranger_upgrade", format!("{}\r\n", upgrade(&bot))),
        ];
        Self(words.map(|(word, value)| (word.to_owned(), value)).into())
    }

    pub(crate) fn learn(&mut self, word: &str, value: String) {
        self.0.insert(word.to_owned(), value);
    }

    pub(crate) fn with(&self, word: &str, value: String) -> Self {
        let mut words = self.clone();
        words.learn(word, value);
        words
    }

    /// Replaces the words, longer ones first, and then what is computed: a sum of USD in wei of the chain's coin, of
    /// gwei in wei, a number as a word of calldata or as an address.
    pub(crate) fn spell(&self, text: &str) -> String {
        let text = self
            .0
            .iter()
            .rev()
            .fold(text.to_owned(), |text, (word, value)| text.replace(word.as_str(), value));
        let text = compute(text, "$usd(", |sum| wei(scaled(sum, USD)));
        let text = compute(text, "$gwei(", |sum| wei(scaled(sum, GWEI)));
        let text = compute(text, "$address(", |number| format!("{:#042x}", scaled(number, 1)));
        compute(text, "$word(", |number| format!("{:064x}", scaled(number, 1)))
    }

    pub(crate) fn spell_json(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.spell(text)),
            Value::Array(items) => items.iter().map(|item| self.spell_json(item)).collect(),
            Value::Object(fields) => fields
                .iter()
                .map(|(name, value)| (self.spell(name), self.spell_json(value)))
                .collect(),
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        }
    }
}

/// A request to speak WebSocket, without a credential and without its end.
fn upgrade(agent: &Agent) -> String {
    let key = "dGhlIHNhbXBsZSBub25jZQ==";
    format!(
        "GET / HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n",
        agent.address
    )
}

/// An address as a word of calldata.
fn word(address: &str) -> String {
    format!("{}{}", "0".repeat(24), address.trim_start_matches("0x"))
}

fn compute(text: String, name: &str, value: impl Fn(&str) -> String) -> String {
    let Some((before, rest)) = text.split_once(name) else { return text };
    let (number, after) = rest.split_once(')').expect("a closed bracket");
    compute(format!("{before}{}{after}", value(number)), name, value)
}

/// A decimal number of units.
fn scaled(number: &str, unit: u128) -> u128 {
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let digits: u128 = format!("{whole}{part}").parse().expect("a decimal number");
    let places = u32::try_from(part.len()).expect("a few places");
    let product = digits.checked_mul(unit).expect("an amount");
    product.checked_div(10_u128.pow(places)).expect("a number of places")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_spelled_as_quantities() {
        let words = Words(BTreeMap::from([("$x".into(), "1".into()), ("$xy".into(), "2".into())]));
        let cases = [
            ("$xy $x", "2 1"),
            ("$usd(50)", "0xb1a2bc2ec50000"),
            ("$usd(0.5) $usd(0.5)", "0x1c6bf52634000 0x1c6bf52634000"),
            ("$gwei(1.5)", "0x59682f00"),
            ("$address(4096)", "0x0000000000000000000000000000000000001000"),
            ("$word(10)", "000000000000000000000000000000000000000000000000000000000000000a"),
        ];
        for (text, spelled) in cases {
            assert_eq!(words.spell(text), spelled);
        }
    }
}
