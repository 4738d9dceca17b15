//! Whether it lives, whether it can work, what it counted; and the API's document.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
};
use countersign_core::trace::Severity;
use countersign_engine::port::{journal::IncidentQuery, ledger::Clocks};
use futures_util::future::join_all;
use serde_json::{Value, json};

use super::{
    Desk, Door,
    access::Neighbour,
    books::{Open, open_operations},
};

/// The most incidents that are counted.
const INCIDENTS_MAX: u32 = 1000;

const SEVERITIES: [(Severity, &str); 4] = [
    (Severity::Low, "Low"),
    (Severity::Medium, "Medium"),
    (Severity::High, "High"),
    (Severity::Critical, "Critical"),
];

/// `GET /healthz`: the process answers. Says nothing about store or node.
pub(crate) async fn health(_: Neighbour) -> &'static str {
    "OK\n"
}

/// `GET /readyz`: whether a request could be served now, with the store's durability class.
pub(crate) async fn ready(_: Neighbour, State(desk): Door) -> (StatusCode, Json<Value>) {
    let ledger = desk.ports().ledger.describe().await.ok();
    let chains = chains(&desk).await;
    let resumed = desk.gatehouse.engine.has_resumed();
    let sealed = ledger.as_ref().and_then(|status| status.sealed.clone());
    let lost = ledger.as_ref().is_some_and(|status| status.lost.is_some());
    let clocks_agree =
        ledger.as_ref().is_some_and(|status| status.clocks.is_none_or(Clocks::agree));
    let is_ready = clocks_agree && sealed.is_none() && resumed && chains.values().all(|up| *up);
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let word = |up: bool| if up { "ok" } else { "unavailable" };
    let body = json!({
        "status": if is_ready { "ready" } else { "not_ready" },
        "store": if lost { "lost" } else { word(ledger.is_some()) },
        "clock": word(clocks_agree),
        "durability": ledger.as_ref().map(|status| status.durability),
        "durability_reason": ledger.as_ref().map(|status| status.durability_reason.clone()),
        "sealed": sealed,
        "resumed": resumed,
        "chains": chains.into_iter().map(|(id, up)| (id, word(up))).collect::<BTreeMap<_, _>>(),
    });
    (status, Json(body))
}

async fn chains(desk: &Arc<Desk>) -> BTreeMap<String, bool> {
    let setup = desk.setup();
    let heads = setup
        .chains
        .values()
        .map(|chain| async { (chain.id.to_string(), chain.port.head().await.is_ok()) });
    join_all(heads).await.into_iter().collect()
}

/// `GET /metrics`
pub(crate) async fn metrics(_: Neighbour, State(desk): Door) -> impl IntoResponse {
    let mut text = desk.gatehouse.metrics.render();
    if let Ok(Open { states, .. }) = open_operations(&desk).await {
        text.push_str("# TYPE countersign_operations gauge\n");
        for (state, count) in states {
            let labels = format!("state=\"{state}\"");
            text.push_str(&sample("countersign_operations", &labels, &count.to_string()));
        }
    }
    text.push_str(&incidents(&desk).await);
    text.push_str(&budgets(&desk).await);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
}

/// Of the store, so that every gateway counts the same; of the newest thousand.
async fn incidents(desk: &Arc<Desk>) -> String {
    let query = IncidentQuery { limit: INCIDENTS_MAX, ..IncidentQuery::default() };
    let found = desk.ports().journal.incidents(&query).await;
    let mut counts = BTreeMap::from(SEVERITIES.map(|(severity, _)| (severity, 0_u32)));
    for incident in found.map(|page| page.items).unwrap_or_default() {
        let count = counts.entry(incident.severity).or_default();
        *count = count.saturating_add(1);
    }
    let mut text = "# TYPE countersign_incidents_total counter\n".to_owned();
    for (severity, word) in SEVERITIES {
        let count = counts.get(&severity).copied().unwrap_or_default();
        let labels = format!("severity=\"{word}\"");
        text.push_str(&sample("countersign_incidents_total", &labels, &count.to_string()));
    }
    text
}

async fn budgets(desk: &Arc<Desk>) -> String {
    let mut text = "# TYPE countersign_budget_used_ratio gauge\n".to_owned();
    for agent in desk.setup().agents.keys() {
        let Ok(lines) = desk.gatehouse.engine.budget(agent).await else { continue };
        for line in lines {
            let Some(ratio) = ratio(&line.used, &line.max) else { continue };
            let limit = line.limit.replace(['"', '\\', '\n'], "_");
            let labels = format!("agent=\"{agent}\",limit=\"{limit}\"");
            text.push_str(&sample("countersign_budget_used_ratio", &labels, &ratio));
        }
    }
    text
}

fn sample(name: &str, labels: &str, value: &str) -> String {
    format!("{name}{{{labels}}} {value}\n")
}

/// Used over maximum to six places, without floats.
fn ratio(used: &str, max: &str) -> Option<String> {
    use countersign_core::amount::MicroUsd;
    let micros = |text: &str| text.parse::<MicroUsd>().ok().map(|usd| u128::from(usd.micros()));
    let millionths = micros(used)?.checked_mul(1_000_000)?.checked_div(micros(max)?)?;
    Some(format!("{}.{:06}", millionths / 1_000_000, millionths % 1_000_000))
}

/// `GET /openapi.json`
pub(crate) async fn openapi() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], include_str!("openapi.json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_exact_to_six_places() {
        for (used, max, expected) in [
            ("950", "1000", Some("0.950000")),
            ("0", "1000", Some("0.000000")),
            ("1500", "1000", Some("1.500000")),
            ("1", "3", Some("0.333333")),
            ("1", "0", None),
            ("x", "1", None),
        ] {
            assert_eq!(ratio(used, max).as_deref(), expected, "{used}/{max}");
        }
    }
}
