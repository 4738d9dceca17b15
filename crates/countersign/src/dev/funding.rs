//! Play money for the wallet, from the first account of a development node.

use alloy_primitives::{Address, U256};
use countersign_engine::port::{
    Chain as _,
    chain::{ReadAnswer, ReadCall},
};
use countersign_upstream::NodeChain;
use serde_json::{Value, json};

use super::note;

/// 100 ETH, in wei.
const GIFT: &str = "0x56bc75e2d63100000";

/// Sends the wallet 100 ETH if it has less than one. Only says so where the node does not give any.
pub(super) async fn fund(chain: &NodeChain, wallet: Address) {
    let one = U256::from(1_000_000_000_000_000_000_u64);
    let rich = chain.account(wallet).await.is_ok_and(|account| account.balance >= one);
    if rich {
        return;
    }
    let given = give(chain, wallet).await;
    if given.is_none() {
        note(&format!("the node gives no play money: send some to {wallet}"));
    }
}

async fn give(chain: &NodeChain, wallet: Address) -> Option<()> {
    let accounts = ask(chain, "eth_accounts", &json!([])).await?;
    let richest = accounts.get(0)?.as_str()?;
    let transfer = json!([{ "from": richest, "to": wallet, "value": GIFT }]);
    ask(chain, "eth_sendTransaction", &transfer).await.map(drop)
}

async fn ask(chain: &NodeChain, method: &'static str, params: &Value) -> Option<Value> {
    let call = ReadCall { method, params: params.to_string() };
    match chain.read(call).await.ok()? {
        ReadAnswer::Result(result) => serde_json::from_slice(&result).ok(),
        ReadAnswer::Error { .. } => None,
    }
}
