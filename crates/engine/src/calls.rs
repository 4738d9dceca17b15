//! What became of a bundle of calls (EIP-5792), for the agent that asked for it.

use alloy_primitives::{Address, B256, Bytes, U64};
use countersign_core::{
    bundle::BundleHandle,
    identity::{AgentId, Fingerprint, OperationId},
    operation::{Actual, OperationRecord, OperationState},
    time::Millis,
};
use futures_util::future::{join_all, try_join_all};
use serde::Deserialize;

use crate::{
    admission::bundle_key,
    engine::Engine,
    port::{
        chain::{ReadAnswer, ReadCall},
        ledger::{Found, LedgerError, Repeat},
    },
    submission::{CallLog, CallReceipt, CallsStatus, CallsView, Unavailable},
};

/// What one call came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Came {
    /// Nothing is known yet.
    Open,
    /// It was included.
    Through,
    /// It was included, and reverted.
    Reverted,
    /// It will not be included.
    Nothing,
}

impl Engine {
    /// A bundle of this agent, by the id that it or the gateway chose; `None` for one that is unknown or another's.
    pub(crate) async fn calls_view(
        &self,
        agent: &AgentId,
        id: &str,
    ) -> Result<Option<CallsView>, Unavailable> {
        let Some(head) = self.bundle_of(agent, id).await.map_err(|e| unavailable(&e))? else {
            return Ok(None);
        };
        let Some(bundle) = head.intent.bundle.clone() else { return Ok(None) };
        let chain = head.chain();
        let count = if bundle.is_whole() { 1 } else { bundle.count };
        let further = (1..count).map(|index| {
            let id = bundle.handle.operation(index);
            async move { self.ports().ledger.operation(id).await }
        });
        let further = try_join_all(further).await.map_err(|e| unavailable(&e))?;
        let calls: Vec<OperationRecord> =
            std::iter::once(head).chain(further.into_iter().flatten()).collect();
        let receipts = join_all(calls.iter().map(|call| self.call_receipt(call))).await;
        let receipts = receipts.into_iter().collect::<Result<Vec<_>, _>>()?;
        let came = calls.iter().zip(&receipts).map(|(call, receipt)| came(call, receipt.as_ref()));
        let status = status(&came.collect::<Vec<_>>());
        let receipts = receipts.into_iter().flatten().collect();
        Ok(Some(CallsView { id: id.to_owned(), chain, status, receipts }))
    }

    /// The operation that stands for a bundle, or for its first call.
    pub(crate) async fn bundle_of(
        &self,
        agent: &AgentId,
        id: &str,
    ) -> Result<Option<OperationRecord>, LedgerError> {
        let repeat = Repeat {
            fingerprint: Fingerprint(B256::ZERO),
            key: Some(bundle_key(agent, id)),
            window: Millis::ZERO,
            batch: None,
        };
        let found = match self.ports().ledger.find(&repeat).await? {
            Found::Same(record) | Found::KeyConflict(record) => Some(*record),
            Found::Nothing => return self.bundle_by_handle(agent, id).await,
        };
        Ok(found.filter(|record| is_bundle_of(record, agent)))
    }

    /// The same, where the gateway made the id.
    pub(crate) async fn bundle_by_handle(
        &self,
        agent: &AgentId,
        id: &str,
    ) -> Result<Option<OperationRecord>, LedgerError> {
        let Some(operation) = named(id) else { return Ok(None) };
        let found = self.ports().ledger.operation(operation).await?;
        Ok(found.filter(|record| is_bundle_of(record, agent)))
    }

    /// The receipt of a mined call, as a node has it; nothing where the node has not the one that the books know.
    async fn call_receipt(
        &self,
        call: &OperationRecord,
    ) -> Result<Option<CallReceipt>, Unavailable> {
        let Some(actual) = call.actual.as_ref() else { return Ok(None) };
        let setup = self.setup();
        let Some(chain) = setup.chains.get(&call.chain()) else { return Ok(None) };
        let asked = ReadCall {
            method: "eth_getTransactionReceipt",
            params: format!(r#"["{:#x}"]"#, actual.hash),
        };
        let no_node = |reason: String| Unavailable { code: "upstream_unavailable", reason };
        match chain.port.read(asked).await.map_err(|error| no_node(error.to_string()))? {
            ReadAnswer::Result(text) => {
                let told: Option<Told> = serde_json::from_slice(&text)
                    .map_err(|_| no_node("a receipt that cannot be read".into()))?;
                Ok(told.and_then(|told| told.receipt(actual)))
            }
            ReadAnswer::Error { message, .. } => Err(no_node(message)),
        }
    }
}

fn is_bundle_of(record: &OperationRecord, agent: &AgentId) -> bool {
    record.agent() == agent && record.intent.bundle.is_some()
}

/// The first operation of a bundle whose id the gateway made.
pub(crate) fn named(id: &str) -> Option<OperationId> {
    let handle: B256 = Some(id).filter(|id| id.starts_with("0x"))?.parse().ok()?;
    Some(BundleHandle(handle).operation(0))
}

fn came(call: &OperationRecord, receipt: Option<&CallReceipt>) -> Came {
    match call.state {
        OperationState::Denied
        | OperationState::Rejected
        | OperationState::Expired
        | OperationState::Cancelled
        | OperationState::Conflict => Came::Nothing,
        // it was final, and the books have the proof: a node may have forgotten the receipt
        OperationState::Executed => Came::Through,
        OperationState::Reverted => Came::Reverted,
        OperationState::Mined => match receipt {
            Some(receipt) if receipt.succeeded => Came::Through,
            Some(_) => Came::Reverted,
            None => Came::Open,
        },
        OperationState::Parked
        | OperationState::Approved
        | OperationState::Allowed
        | OperationState::Prepared
        | OperationState::Signed
        | OperationState::Broadcast
        | OperationState::Unknown
        | OperationState::Cancelling => Came::Open,
    }
}

fn status(calls: &[Came]) -> CallsStatus {
    let any = |what: Came| calls.contains(&what);
    match (any(Came::Open), any(Came::Through)) {
        (true, _) => CallsStatus::Pending,
        (false, true) if any(Came::Reverted) || any(Came::Nothing) => CallsStatus::Partial,
        (false, true) => CallsStatus::Confirmed,
        (false, false) if any(Came::Reverted) => CallsStatus::Reverted,
        (false, false) => CallsStatus::Failed,
    }
}

/// A receipt as nodes write it; what else they say is not looked at.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    transaction_hash: B256,
    block_hash: B256,
    block_number: U64,
    gas_used: U64,
    status: U64,
    logs: Vec<ToldLog>,
}

#[derive(Debug, Deserialize)]
struct ToldLog {
    address: Address,
    data: Bytes,
    topics: Vec<B256>,
}

impl Told {
    /// As the books know it: another block's is not the one that they speak of.
    fn receipt(self, actual: &Actual) -> Option<CallReceipt> {
        let Self { transaction_hash, block_hash, block_number, gas_used, status, logs } = self;
        let same = (transaction_hash, block_hash) == (actual.hash, actual.block_hash);
        let succeeded = status == U64::from(1);
        let log = |ToldLog { address, data, topics }| CallLog { address, data, topics };
        (same && succeeded == actual.succeeded).then(|| CallReceipt {
            logs: logs.into_iter().map(log).collect(),
            succeeded,
            block_hash,
            block_number: block_number.to(),
            gas_used: gas_used.to(),
            transaction_hash,
        })
    }
}

fn unavailable(error: &LedgerError) -> Unavailable {
    Unavailable { code: "store_unavailable", reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_says_what_all_calls_came_to() {
        use Came::{Nothing, Open, Reverted, Through};
        for (calls, expected) in [
            (&[Open][..], CallsStatus::Pending),
            (&[Through, Open], CallsStatus::Pending),
            (&[Nothing, Open], CallsStatus::Pending),
            (&[Through, Through], CallsStatus::Confirmed),
            (&[Through, Nothing], CallsStatus::Partial),
            (&[Reverted, Through], CallsStatus::Partial),
            (&[Reverted, Reverted], CallsStatus::Reverted),
            (&[Reverted, Nothing], CallsStatus::Reverted),
            (&[Nothing, Nothing], CallsStatus::Failed),
        ] {
            assert_eq!(status(calls), expected, "{calls:?}");
        }
    }

    #[test]
    fn only_32_bytes_name_a_bundle_of_the_gateways_own() {
        let handle = format!("{:#x}", B256::repeat_byte(7));
        assert_eq!(named(&handle), Some(BundleHandle(B256::repeat_byte(7)).operation(0)));
        let [short, bare] = [handle.trim_end_matches('7'), handle.trim_start_matches("0x")];
        for other in [short, bare, "", "0x", "mine"] {
            assert_eq!(named(other), None, "{other}");
        }
    }
}
