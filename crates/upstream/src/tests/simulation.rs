//! What a contract does, as a real node tells it.

use alloy_primitives::{Address, Bytes, U256, hex};
use countersign_core::{
    fact::{Change, Granted, Simulated},
    token::Asset,
    transaction::TransactionPlan,
};
use countersign_engine::port::Chain;
use serde_json::{Value, json};

use super::{
    anvil::{Anvil, RICH},
    data_fee,
    stub::{Act, Stub, options},
};
use crate::NodeChain;

const TAKER: Address = Address::repeat_byte(0x22);
const TOKEN: Address = Address::repeat_byte(0xdd);

/// Notes a transfer of 7 from its caller to [`TAKER`] and an approval of 9, gives 2 wei back, and tries to pay far more
/// than it has.
const TAKES: &[u8] = &hex!(
    "6007600052 73 2222222222222222222222222222222222222222 33
     7f ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef 60206000a3
     6009600052 73 2222222222222222222222222222222222222222 33
     7f 8c5be1e5ebec7d5bd14f71427d1e84f3dd0314c0f7b2291e5b200ac8c7c3b925 60206000a3
     6000600060006000 6002 335af150
     6000600060006000 67ffffffffffffffff 335af150 00"
);

const REVERTS: &[u8] = &hex!("60006000fd");

fn pays(wei: u64) -> TransactionPlan {
    let value = U256::from(wei);
    TransactionPlan {
        to: Some(TOKEN),
        value,
        data: Bytes::new(),
        gas: 200_000,
        ..data_fee::plan(0)
    }
}

fn chain_of(stub: &Stub) -> NodeChain {
    NodeChain::new(options(&[stub.url()])).unwrap()
}

async fn holding(code: &[u8]) -> Anvil {
    let anvil = Anvil::start().await;
    anvil.ask("anvil_setCode", json!([TOKEN, Bytes::copy_from_slice(code)])).await;
    anvil
}

fn taken() -> Simulated {
    let lost = |asset, lost: u64| Change { asset, lost: U256::from(lost), gained: U256::ZERO };
    let token = Asset::Token(TOKEN);
    let granted = Granted { asset: token.clone(), spender: TAKER, amount: U256::from(9) };
    Simulated {
        wallet: RICH,
        reverted: false,
        changes: vec![lost(Asset::Native, 3), lost(token, 7)],
        approvals: vec![granted],
    }
}

/// A node without `eth_simulateV1` that traces as the other does.
async fn tracing(anvil: &Anvil, plan: &TransactionPlan) -> Stub {
    let call = json!({ "from": RICH, "to": plan.to, "value": plan.value, "gas": "0x30d40" });
    let tracer = json!({ "tracer": "callTracer", "tracerConfig": { "withLog": true } });
    let trace = anvil.ask("debug_traceCall", json!([call, "latest", tracer])).await;
    Stub::new(move |seen| match seen.method.as_str() {
        "debug_traceCall" => Act::Result(trace.clone()),
        _ => Act::Error(json!({ "code": -32601, "message": "Method not found" })),
    })
    .await
}

#[tokio::test]
async fn a_node_says_what_a_call_takes_gives_and_allows() {
    let anvil = holding(TAKES).await;
    assert_eq!(anvil.chain.simulate(RICH, &pays(5)).await, Ok(taken()));
    let traced = tracing(&anvil, &pays(5)).await;
    assert_eq!(chain_of(&traced).simulate(RICH, &pays(5)).await, Ok(taken()));
}

#[tokio::test]
async fn what_would_fail_is_seen_to_fail() {
    let anvil = holding(REVERTS).await;
    let failed = Simulated { wallet: RICH, reverted: true, changes: vec![], approvals: vec![] };
    assert_eq!(anvil.chain.simulate(RICH, &pays(5)).await, Ok(failed.clone()));
    let traced = tracing(&anvil, &pays(5)).await;
    assert_eq!(chain_of(&traced).simulate(RICH, &pays(5)).await, Ok(failed));
}

#[tokio::test]
async fn a_node_that_knows_neither_method_tells_nothing() {
    let stub =
        Stub::new(|_| Act::Error(json!({ "code": -32601, "message": "Method not found" }))).await;
    let error = chain_of(&stub).simulate(RICH, &pays(5)).await.unwrap_err().to_string();
    assert!(error.contains("Method not found"), "{error}");
}

#[tokio::test]
async fn an_answer_to_something_else_tells_nothing() {
    let ok = json!({ "returnData": "0x", "status": "0x1", "logs": [] });
    let word = format!("{:#066x}", 5);
    let balance = json!({ "returnData": word, "status": "0x1" });
    let torn = json!({ "address": TOKEN, "topics": [
        "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"], "data": word });
    let noisy = json!({ "returnData": "0x", "status": "0x1", "logs": [torn] });
    let calls: [(Value, bool); 5] = [
        (json!([balance, ok, balance]), true),
        (json!([balance, ok]), false),
        (json!([ok, ok, balance]), false),
        (json!([balance, noisy, balance]), false),
        (json!(7), false),
    ];
    for (calls, expect) in calls {
        let answer = json!([{ "calls": calls }]);
        let stub = Stub::new(move |_| Act::Result(answer.clone())).await;
        let told = chain_of(&stub).simulate(RICH, &pays(5)).await;
        assert_eq!(told.is_ok(), expect, "{told:?}");
    }
}

/// Attack PR-3.
#[tokio::test]
async fn a_token_says_its_decimals_and_is_remembered() {
    let says_six = hex!("600660005260206000f3");
    let anvil = holding(&says_six).await;
    assert_eq!(anvil.chain.decimals(TOKEN).await, Ok(Some(U256::from(6))));
    assert_eq!(anvil.chain.decimals(TAKER).await, Ok(None), "nobody is there");
    anvil.ask("anvil_setCode", json!([TOKEN, Bytes::from_static(REVERTS)])).await;
    assert_eq!(anvil.chain.decimals(TOKEN).await, Ok(Some(U256::from(6))));
    let reverting = holding(REVERTS).await;
    assert_eq!(reverting.chain.decimals(TOKEN).await, Ok(None));
}
