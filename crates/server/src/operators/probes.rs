//! Whether it lives, whether it can work, what it counted.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
};
use countersign_engine::port::ledger::Clocks;
use futures_util::future::join_all;
use serde_json::{Value, json};

use super::{Desk, Door, access::Neighbour};

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
    text.push_str(&desk.gauges.read(&desk).await);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
}
