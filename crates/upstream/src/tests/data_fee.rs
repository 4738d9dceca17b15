//! What the chain takes beside the gas: attack TX-24.

use alloy_primitives::{Address, Bytes, U256, hex};
use countersign_core::{
    identity::ChainId,
    transaction::{FeeBid, TransactionPlan, TransactionType},
};
use countersign_engine::port::Chain;
use serde_json::{Value, json};

use super::stub::{Act, CHAIN, Seen, Stub, chain_of, options};
use crate::{DataFee, NodeChain};

/// A transaction with so many bytes of data and 50 000 gas.
pub(super) fn plan(data_len: usize) -> TransactionPlan {
    TransactionPlan {
        chain: CHAIN,
        kind: TransactionType::DynamicFee,
        to: Some(Address::repeat_byte(2)),
        value: U256::from(5),
        data: Bytes::from(vec![0xcd; data_len]),
        gas: 50_000,
        fee: FeeBid::Dynamic { max_fee: 100, tip: 1 },
        access_list: Vec::new(),
        authorizations: Vec::new(),
    }
}

fn word(value: u64) -> Act {
    Act::Result(json!(format!("{value:#066x}")))
}

fn reverts() -> Act {
    Act::Error(json!({"code": 3, "message": "execution reverted", "data": "0x"}))
}

/// The selector that a call asks for, and the number behind it.
fn called(seen: &Seen) -> (String, u64) {
    let data = seen.params[0]["data"].as_str().unwrap();
    let bytes = hex::decode(data).unwrap();
    let number = U256::from_be_slice(&bytes[4..36]);
    (hex::encode(&bytes[..4]), number.saturating_to())
}

const UPPER_BOUND: &str = "f1c7a58b";
const L1_FEE: &str = "49948e0e";
const OPERATOR: &str = "275aedd2";

/// What an oracle says to a selector and the number behind it.
type Answers = fn(&str, u64) -> Act;

/// A chain whose oracle answers so.
async fn oracle(answers: impl Fn(&str, u64) -> Act + Send + Sync + 'static) -> Stub {
    Stub::new(move |seen| match seen.method.as_str() {
        "eth_getCode" => Act::Result(json!("0x6001")),
        "eth_call" => {
            let (selector, number) = called(seen);
            answers(&selector, number)
        }
        other => panic!("not expected: {other}"),
    })
    .await
}

#[tokio::test]
async fn a_chain_without_an_oracle_takes_nothing_beside_the_gas() {
    let node = Stub::new(|_| Act::Result(json!("0x"))).await;
    let chain = chain_of(&[&node]);
    for _ in 0..3 {
        assert_eq!(chain.data_fee_max(&plan(0)).await, Ok(U256::ZERO));
    }
    assert_eq!(node.seen().len(), 1, "asked once");
    assert_eq!(
        node.seen()[0].params,
        json!(["0x420000000000000000000000000000000000000f", "latest"])
    );
}

#[tokio::test]
async fn the_oracles_upper_bound_is_set_aside_twice() {
    let node = oracle(|selector, number| match selector {
        UPPER_BOUND => word(number * 1000),
        OPERATOR => word(number * 3),
        other => panic!("not expected: {other}"),
    })
    .await;
    let chain = chain_of(&[&node]);
    for data_len in [0, 1, 100, 10_000] {
        let fee: u64 = chain.data_fee_max(&plan(data_len)).await.unwrap().to();
        let size = (fee / 2 - 50_000 * 3) / 1000;
        let least = u64::try_from(data_len).unwrap() + 100;
        assert!((least..least + 60).contains(&size), "{data_len} bytes of data: {size}");
    }
    assert_eq!(node.count("eth_getCode"), 1);
}

#[tokio::test]
async fn an_oracle_of_before_fjord_gets_the_whole_transaction() {
    let node = oracle(|selector, number| match selector {
        L1_FEE => {
            assert_eq!(number, 32, "where the bytes begin");
            word(7)
        }
        _ => reverts(),
    })
    .await;
    assert_eq!(chain_of(&[&node]).data_fee_max(&plan(50)).await, Ok(U256::from(14)));
    let seen = node.seen();
    let asked = seen.iter().find(|seen| seen.method == "eth_call" && called(seen).0 == L1_FEE);
    let data = hex::decode(asked.unwrap().params[0]["data"].as_str().unwrap()).unwrap();
    assert_eq!(data.len() % 32, 4);
    assert!(data.windows(50).any(|window| window == [0xcd; 50]));
}

/// Fail closed: a fee that is there and not known is no fee of zero.
#[tokio::test]
async fn an_oracle_that_does_not_answer_stops_everything() {
    let silent: [(&str, Answers); 6] = [
        ("reverts", |_, _| reverts()),
        ("halts", |_, _| Act::Error(json!({"code": -32603, "message": "EVM error InvalidFE"}))),
        ("returns nothing", |_, _| Act::Result(json!("0x"))),
        ("returns two words", |_, _| Act::Result(json!(format!("0x{}", "0".repeat(128))))),
        ("hides what its operator takes", |selector, _| match selector {
            OPERATOR => Act::Error(json!({"code": -32000, "message": "header not found"})),
            _ => word(1),
        }),
        ("has no bound", |selector, _| match selector {
            OPERATOR => word(1),
            _ => Act::Result(Value::Null),
        }),
    ];
    for (how, answers) in silent {
        let node = oracle(answers).await;
        let fee = chain_of(&[&node]).data_fee_max(&plan(0)).await;
        assert!(fee.is_err(), "{how}: {fee:?}");
    }
    let unsure = Stub::new(|_| Act::Drop).await;
    assert!(chain_of(&[&unsure]).data_fee_max(&plan(0)).await.is_err());
}

#[tokio::test]
async fn an_absurd_fee_stays_absurd() {
    let node = oracle(|_, _| Act::Result(json!(format!("{:#x}", U256::MAX)))).await;
    assert_eq!(chain_of(&[&node]).data_fee_max(&plan(0)).await, Ok(U256::MAX));
}

#[tokio::test]
async fn only_known_chains_have_their_oracle_elsewhere() {
    for (chain, address) in [
        (10, "0x420000000000000000000000000000000000000f"),
        (8453, "0x420000000000000000000000000000000000000f"),
        (534_352, "0x5300000000000000000000000000000000000002"),
        (2818, "0x530000000000000000000000000000000000000f"),
    ] {
        assert_eq!(crate::data_fee::oracle(ChainId(chain)), address.parse::<Address>().unwrap());
    }
}

#[tokio::test]
async fn it_can_be_left_out() {
    let node = oracle(|_, _| word(7)).await;
    let mut options = options(&[node.url()]);
    options.data_fee = DataFee::None;
    let chain = NodeChain::new(options).unwrap();
    assert_eq!(chain.data_fee_max(&plan(0)).await, Ok(U256::ZERO));
    assert!(node.seen().is_empty());
}
