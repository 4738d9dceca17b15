//! The policies of the simulated house, and what they promise in numbers that can be checked against the chain.

use std::sync::OnceLock;

use alloy_primitives::{Address, address};
use countersign_core::{
    amount::MicroUsd,
    time::{Millis, Zone},
};
use countersign_policy::Policy;

use crate::fixture::HOUR;

/// Who may be paid.
pub(crate) const PAYEES: [Address; 3] = [
    address!("1111111111111111111111111111111111111111"),
    address!("2222222222222222222222222222222222222222"),
    REVERTER,
];

/// A payee that sometimes gives the value back.
pub(crate) const REVERTER: Address = address!("3333333333333333333333333333333333333333");

/// Nobody that a policy names.
pub(crate) const STRANGER: Address = address!("9999999999999999999999999999999999999999");

/// The agents.
pub(crate) const AGENTS: [&str; 2] = ["trader", "mallory"];

/// Who owns the first agent and never approves for it.
pub(crate) const OWNER: &str = "alice";

/// Those who approve.
pub(crate) const OPERATORS: [&str; 3] = ["alice", "bob", "carol"];

/// One table of limits, in whole USD and numbers of transactions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Level {
    /// What the limit of an hour is called: a limit with another name is another limit.
    pub(crate) name: &'static str,
    pub(crate) ask: u64,
    pub(crate) cap: u64,
    pub(crate) hour: u64,
    pub(crate) day: u64,
    pub(crate) burst: u64,
    pub(crate) everybody: u64,
    /// Beyond this in half an hour, people are asked.
    pub(crate) soft: u64,
    /// Seconds between the last vote on a large amount and its signature.
    pub(crate) delay: u64,
}

/// The tables that a run may have; it begins with one, and the weather may bring another.
pub(crate) const LEVELS: [Level; 5] = [
    Level {
        name: "hour",
        ask: 60,
        cap: 200,
        hour: 400,
        day: 900,
        burst: 12,
        everybody: 600,
        soft: 300,
        delay: 0,
    },
    Level {
        name: "hour",
        ask: 100,
        cap: 150,
        hour: 250,
        day: 500,
        burst: 30,
        everybody: 300,
        soft: 200,
        delay: 0,
    },
    Level {
        name: "hour",
        ask: 20,
        cap: 300,
        hour: 700,
        day: 800,
        burst: 6,
        everybody: 2000,
        soft: 150,
        delay: 3,
    },
    Level {
        name: "hour",
        ask: 100,
        cap: 400,
        hour: 900,
        day: 2000,
        burst: 40,
        everybody: 1500,
        soft: 900,
        delay: 0,
    },
    Level {
        name: "hourly",
        ask: 100,
        cap: 200,
        hour: 300,
        day: 900,
        burst: 30,
        everybody: 900,
        soft: 400,
        delay: 0,
    },
];

/// Tables from here on rename a limit. Gateways that judge by different names at the same time count apart: these are
/// for a gateway that is alone.
pub(crate) const RENAMES: usize = 4;

/// What the limit of an hour is called in these tables.
pub(crate) const HOURS: [&str; 2] = ["hour", "hourly"];

/// The calendar's zone.
pub(crate) fn zone() -> Zone {
    Zone::parse("Europe/Paris").unwrap()
}

/// The length of the rolling windows that deny.
pub(crate) const ROLLING: Millis = HOUR;

/// Policies that belong together.
#[derive(Debug, Clone)]
pub(crate) struct Papers {
    pub(crate) grants: Vec<Policy>,
    pub(crate) guard: Policy,
}

/// The policies of a level, parsed once per process.
pub(crate) fn papers(level: usize) -> Papers {
    static PARSED: OnceLock<Vec<Papers>> = OnceLock::new();
    PARSED.get_or_init(|| LEVELS.iter().map(parse).collect())[level].clone()
}

fn parse(level: &Level) -> Papers {
    let grants = AGENTS.iter().map(|agent| {
        Policy::parse(&grant(agent, level), "grant.yaml").unwrap_or_else(|e| panic!("{e:?}"))
    });
    let guard = Policy::parse(&guard(level), "guard.yaml").unwrap_or_else(|e| panic!("{e:?}"));
    Papers { grants: grants.collect(), guard }
}

fn grant(agent: &str, level: &Level) -> String {
    let Level { name, ask, cap, hour, day, burst, soft, delay, .. } = level;
    let payees: Vec<String> = PAYEES.iter().map(|payee| format!("\"{payee}\"")).collect();
    let payees = payees.join(", ");
    format!(
        r#"
policy: {agent}
kind: grant
for: {{ agent: {agent} }}
sets:
  payees: [{payees}]
gates:
  desk: {{ need: [{{ any: 1, of: [alice, bob, carol] }}], ttl: 40s, delay: {delay}s, drift: {{ fee: 25%, usd: 2% }} }}
  board: {{ need: [{{ any: 2, of: [alice, bob, carol] }}], ttl: 2h, drift: {{ fee: 50% }} }}
rules:
  - {{ id: pay, when: {{ kind: transfer, to: {{ in: "@payees" }} }}, then: allow }}
limits:
  - {{ id: ask, sum: usd, per: tx, max: {ask}, over: {{ approve: desk }}, code: amount_above_threshold }}
  - {{ id: cap, sum: usd, per: tx, max: {cap}, code: per_tx_limit_exceeded }}
  - {{ id: {name}, sum: usd, per: 1h, max: {hour}, code: rolling_limit_exceeded }}
  - {{ id: day, sum: usd, per: day, tz: Europe/Paris, max: {day}, code: daily_quota_exceeded }}
  - {{ id: soft, sum: usd, per: 30m, max: {soft}, over: {{ approve: board }}, code: rolling_limit_exceeded }}
  - {{ id: burst, count: tx, per: 1h, max: {burst}, code: count_limit_exceeded }}
"#
    )
}

fn guard(level: &Level) -> String {
    let Level { everybody, .. } = level;
    format!(
        r"
policy: org
kind: guard
limits:
  - {{ id: everybody, sum: usd, per: 1h, max: {everybody}, code: rolling_limit_exceeded }}
"
    )
}

/// Whole USD in micro-USD.
pub(crate) const fn micros(usd: u64) -> u64 {
    usd.saturating_mul(1_000_000)
}

/// Wei at 1000 USD for an ETH, in micro-USD, rounded up.
pub(crate) fn worth(wei: alloy_primitives::U256) -> u64 {
    u64::try_from(wei.div_ceil(alloy_primitives::U256::from(1_000_000_000_u64)))
        .unwrap_or(countersign_core::amount::AMOUNT_MAX)
}

/// Sums stay representable.
#[must_use]
pub(crate) fn shown(micros: u64) -> String {
    MicroUsd::from_micros(micros).map_or_else(|| micros.to_string(), |usd| usd.to_string())
}
