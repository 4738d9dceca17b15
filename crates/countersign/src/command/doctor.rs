//! `countersign doctor`: tries everything that a running gateway needs, and changes nothing but an empty store.

use std::sync::Arc;

use countersign_core::{
    fact::Fact,
    opinion::Opinion,
    time::{Millis, Timestamp},
};
use countersign_engine::port::{Judge as _, Oracles as _, Prices as _, judge::Case, prices::Quote};
use countersign_store::redis::WeakStore;
use countersign_upstream::PriceSources;
use serde_json::{Value, json};

use super::{Column, cell, show_list};
use crate::{
    cli::DoctorArgs,
    clock,
    config::{Config, StoreChoice},
    failure::Failure,
    policies::{self, Loaded},
    screen::complain,
    state::StateFile,
    store::{OpenStore, StoreFault, witness},
    wiring::Parts,
};

/// A machine whose clock is further away from the store's stops signing.
const CLOCK_OFF_MAX: Millis = Millis(5_000);

/// One line of the table.
struct Finding {
    what: String,
    good: bool,
    detail: String,
}

impl Finding {
    fn new(what: impl Into<String>, good: bool, detail: impl Into<String>) -> Self {
        Self { what: what.into(), good, detail: detail.into() }
    }
}

/// Prints the table; exit 1 where a line of it is bad.
pub(crate) async fn run(args: &DoctorArgs) -> Result<(), Failure> {
    let loaded = Arc::new(policies::load(&args.config)?);
    loaded.warnings.iter().for_each(|warning| complain(format!("warning: {warning}")));
    let mut findings = vec![Finding::new("configuration", true, args.config.display().to_string())];
    findings.extend(keys_nodes_and_prices(&loaded).await?);
    findings.extend(store(&loaded.config).await);
    findings.extend(tests(&loaded));
    let items: Vec<Value> = findings
        .iter()
        .map(|f| json!({ "check": f.what, "result": if f.good { "ok" } else { "FAIL" }, "detail": f.detail }))
        .collect();
    let columns: [Column; 3] = [
        ("RESULT", |item| cell(item, "result")),
        ("CHECK", |item| cell(item, "check")),
        ("DETAIL", |item| cell(item, "detail")),
    ];
    show_list(&json!({ "items": items, "next_cursor": null }), args.output.output, &columns);
    match findings.iter().filter(|finding| !finding.good).count() {
        0 => Ok(()),
        bad => Err(Failure::failed(format!("{bad} of {} checks failed", findings.len()))),
    }
}

async fn keys_nodes_and_prices(loaded: &Arc<Loaded>) -> Result<Vec<Finding>, Failure> {
    let shared = Arc::clone(loaded);
    let renewed = tokio::task::spawn_blocking(move || Parts::default().renew(&shared)).await;
    let renewed = renewed.map_err(|_| Failure::failed("the keys could not be tried"))?;
    let (parts, warnings) = match renewed {
        Ok(renewed) => renewed,
        Err(problems) => {
            let bad = |problem: &crate::config::Problem| {
                Finding::new("key or chain", false, problem.to_string())
            };
            return Ok(problems.0.iter().map(bad).collect());
        }
    };
    for warning in warnings {
        complain(format!("warning: {warning}"));
    }
    let unlocked = parts.addresses();
    let key = |(id, address): (_, alloy_primitives::Address)| {
        Finding::new(format!("key {id}"), true, format!("unlocks, is the key of {address}"))
    };
    let mut findings: Vec<Finding> = unlocked.into_iter().map(key).collect();
    for (id, chain) in parts.chains() {
        for report in chain.probe().await {
            let version = report.client_version.unwrap_or_default();
            let (good, detail) = match report.chain_id {
                Ok(found) if found == id => {
                    (true, format!("chain {id}, {}, {version}", report.latency))
                }
                Ok(found) => (false, format!("serves chain {found}, not {id}")),
                Err(reason) => (false, reason),
            };
            findings.push(Finding::new(format!("node {}", report.url), good, detail));
        }
    }
    if let Some(sources) = parts.prices() {
        findings.extend(prices(sources).await);
    }
    findings.extend(outside(&parts, &loaded.config).await);
    Ok(findings)
}

/// An embedded store that a gateway has open is not touched.
async fn store(config: &Config) -> Vec<Finding> {
    if let StoreChoice::Embedded(folder) = &config.store
        && !folder.exists()
    {
        return vec![Finding::new(
            "store",
            true,
            format!("{} will be made at the first start", folder.display()),
        )];
    }
    let known = match StateFile::find(config) {
        Ok(state) => state.and_then(|state| state.anchor()),
        Err(damaged) => return vec![Finding::new("state", false, damaged.to_string())],
    };
    let witness = ("doctor", witness().knowing(known));
    // it reserves nothing
    let weak = WeakStore::Accepted;
    let store = match OpenStore::open(&config.store, &config.app, witness, weak).await {
        Ok(store) => store,
        Err(StoreFault::InUse(_)) => {
            return vec![Finding::new("store", true, "open in a running gateway: see its /readyz")];
        }
        Err(StoreFault::Other(error)) => return vec![Finding::new("store", false, error)],
    };
    let described = store.ledger.describe().await;
    let now = store.ledger.now().await;
    let place = store.place().map_or_else(String::new, |place| format!("at {place}, "));
    store.close().await;
    let described = match described {
        Ok(status) => {
            let sealed =
                status.sealed.map_or_else(String::new, |reason| format!(", sealed: {reason}"));
            let detail = format!(
                "{place}class {} ({}), ledger {}{sealed}",
                status.durability, status.durability_reason, status.ledger_id
            );
            Finding::new("store", sealed.is_empty(), detail)
        }
        Err(error) => Finding::new("store", false, error.to_string()),
    };
    let time = match now {
        Ok(now) => clock_off(now, clock::now()),
        Err(error) => Finding::new("clock", false, error.to_string()),
    };
    vec![described, time]
}

fn clock_off(store: Timestamp, here: Timestamp) -> Finding {
    let off = here.since(store).max(store.since(here));
    Finding::new("clock", off <= CLOCK_OFF_MAX, format!("{off} away from the store's"))
}

/// What counts for each symbol now.
async fn prices(sources: &PriceSources) -> Vec<Finding> {
    let mut findings = Vec::new();
    for symbol in sources.symbols() {
        let what = format!("price {symbol}");
        findings.push(match sources.price(symbol).await {
            Ok(Quote { price, at: None, source }) => {
                Finding::new(what, true, format!("{price} USD, {source}"))
            }
            Ok(Quote { price, at: Some(at), source }) => {
                let age = clock::now().since(at).0 / 1000;
                Finding::new(what, true, format!("{price} USD, {source}, {age} s old"))
            }
            Err(error) => Finding::new(what, false, error.to_string()),
        });
    }
    findings
}

/// Whether oracles answer about the first wallet, on the first chain, and whether a judge answers at all.
async fn outside(parts: &Parts, config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    let (chain, wallet) = (config.chains.first(), config.wallets.first());
    if let (Some(oracles), Some(chain), Some(wallet)) = (parts.oracles(), chain, wallet) {
        for name in oracles.names() {
            let said = oracles.say(name, chain.id, wallet.address).await;
            let (good, detail) = match said {
                Fact::Known(fields) => (true, format!("answers, {} fields", fields.len())),
                Fact::Unknown(reason) => (false, reason),
            };
            findings.push(Finding::new(format!("oracle {name}"), good, detail));
        }
    }
    if let Some(judge) = parts.judge() {
        let mandate = "This is a trial: answer allow.".to_owned();
        let case = Case { mandate, request: json!({}), claims: json!({}) };
        findings.push(match judge.opinion(&case).await {
            Opinion::Allow => Finding::new("judge", true, "answers as it is asked to"),
            Opinion::Review(reason) | Opinion::Deny(reason) => Finding::new("judge", false, reason),
        });
    }
    findings
}

fn tests(loaded: &Loaded) -> Vec<Finding> {
    let policies = loaded.grants.values().chain(&loaded.guards);
    let finding = |policy: &countersign_policy::Policy| {
        let outcomes = policy.run_tests();
        let failed = outcomes.iter().filter(|outcome| !outcome.passed).count();
        let detail = format!(
            "{} of its {} tests passed",
            outcomes.len().saturating_sub(failed),
            outcomes.len()
        );
        Finding::new(format!("policy {}", policy.name()), failed == 0, detail)
    };
    policies.map(finding).collect()
}
