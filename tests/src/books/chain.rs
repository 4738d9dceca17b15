//! What the chain says, block by block: everything that our accounts ever sent.

use serde_json::{Value, json};

use super::operation::Payload;
use crate::anvil::{self, Anvil, quantity};

/// A transaction of one of our accounts, mined.
#[derive(Debug, Clone)]
pub struct Mined {
    /// Its hash.
    pub hash: String,
    /// Who paid.
    pub from: String,
    /// Its nonce.
    pub nonce: u64,
    /// What it moved.
    pub payload: Payload,
    /// Whether it did.
    pub succeeded: bool,
    /// What it cost besides, in wei.
    pub fee: u128,
}

/// Everything that our accounts sent, in the chain's order.
pub(super) async fn mined(anvil: &Anvil) -> Vec<Mined> {
    let head = anvil.quantity("eth_blockNumber", json!([])).await;
    let mut all = Vec::new();
    for number in 1..=head {
        all.extend(of_block(anvil, number).await);
    }
    all
}

async fn of_block(anvil: &Anvil, number: u128) -> Vec<Mined> {
    let number = format!("{number:#x}");
    let block = anvil.call("eth_getBlockByNumber", json!([number, true])).await;
    let sent = list(&block, "transactions");
    if sent.is_empty() {
        return Vec::new();
    }
    let receipts = anvil.call("eth_getBlockReceipts", json!([number])).await;
    let receipts = receipts.as_array().cloned().expect("the receipts of a block");
    let read = sent.iter().zip(&receipts).map(|(sent, receipt)| Mined::read(sent, receipt));
    read.filter(|mined| is_ours(&mined.from)).collect()
}

impl Mined {
    fn read(sent: &Value, receipt: &Value) -> Self {
        let text = |field: &str| sent.get(field).and_then(Value::as_str).unwrap_or_default();
        let number = |value: &Value, field: &str| quantity(value.get(field).unwrap_or_default());
        let gas = number(receipt, "gasUsed");
        Self {
            hash: text("hash").to_owned(),
            from: text("from").to_lowercase(),
            nonce: u64::try_from(number(sent, "nonce")).expect("a nonce"),
            payload: Payload::of_transaction(sent),
            succeeded: number(receipt, "status") == 1,
            fee: gas.saturating_mul(number(receipt, "effectiveGasPrice")),
        }
    }
}

fn is_ours(account: &str) -> bool {
    anvil::ACCOUNTS.iter().any(|(_, ours)| ours.eq_ignore_ascii_case(account))
}

fn list(value: &Value, field: &str) -> Vec<Value> {
    value.get(field).and_then(Value::as_array).cloned().unwrap_or_default()
}
