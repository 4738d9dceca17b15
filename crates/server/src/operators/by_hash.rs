//! Which operation a transaction belongs to.

use alloy_primitives::{Address, B256, U64};
use countersign_core::{identity::OperationId, operation::OperationRecord};
use countersign_engine::{
    port::{
        chain::{ReadAnswer, ReadCall},
        journal::Page,
        ledger::OperationQuery,
    },
    setup::ChainSetup,
};
use futures_util::future::join_all;
use serde::Deserialize;
use serde_json::json;

use super::{Desk, Problem};

/// How many of the newest operations are looked through where no node knows the transaction.
const LOOKED_THROUGH: usize = 10_000;
/// How many are asked for at a time.
const PAGE: u32 = 1000;

/// The operation with an attempt of this hash. A node names the sender and the nonce, and the ledger knows who holds
/// that; what no node knows is looked for among the newest operations.
pub(super) async fn find(desk: &Desk, hash: B256) -> Result<Option<OperationRecord>, Problem> {
    let setup = desk.setup();
    let asked = join_all(setup.chains.values().map(|chain| sender(chain, hash))).await;
    for (chain, sent) in setup.chains.values().zip(asked) {
        let Some(Sent { from, nonce }) = sent else { continue };
        let Some(wallet) = setup.wallet_at(from) else { continue };
        let held = desk.ports().ledger.holder(chain.id, &wallet.id, nonce.to()).await?;
        if let Some(record) = held_by(desk, held, hash).await? {
            return Ok(Some(record));
        }
    }
    look_through(desk, hash).await
}

async fn held_by(
    desk: &Desk,
    holder: Option<OperationId>,
    hash: B256,
) -> Result<Option<OperationRecord>, Problem> {
    let Some(id) = holder else { return Ok(None) };
    let record = desk.ports().ledger.operation(id).await?;
    Ok(record.filter(|record| has(record, hash)))
}

async fn look_through(desk: &Desk, hash: B256) -> Result<Option<OperationRecord>, Problem> {
    let mut query = OperationQuery { limit: PAGE, ..OperationQuery::default() };
    let mut left = LOOKED_THROUGH;
    loop {
        let Page { items, next_cursor } = desk.ports().ledger.operations(&query).await?;
        left = left.saturating_sub(items.len());
        if let Some(found) = items.into_iter().find(|record| has(record, hash)) {
            return Ok(Some(found));
        }
        match next_cursor {
            Some(cursor) if left > 0 => query.cursor = Some(cursor),
            Some(_) | None => return Ok(None),
        }
    }
}

fn has(record: &OperationRecord, hash: B256) -> bool {
    record.attempts.iter().any(|attempt| attempt.hash == Some(hash))
}

/// What a node says of a transaction, as far as it is needed.
#[derive(Debug, PartialEq, Eq, Deserialize)]
struct Sent {
    from: Address,
    nonce: U64,
}

/// `None` where the chain has no such transaction, or cannot be asked.
async fn sender(chain: &ChainSetup, hash: B256) -> Option<Sent> {
    let params = json!([hash]).to_string();
    let call = ReadCall { method: "eth_getTransactionByHash", params };
    match chain.port.read(call).await.ok()? {
        ReadAnswer::Result(text) => serde_json::from_slice(&text).ok()?,
        ReadAnswer::Error { .. } => None,
    }
}
