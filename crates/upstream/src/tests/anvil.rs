//! Against a real node: anvil, as `scripts/test` installs it.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use alloy_primitives::{Address, B256, Bytes, U256, hex};
use countersign_core::{
    message::{Probe, Says},
    operation::Actual,
    time::Millis,
};
use countersign_engine::port::{
    Chain,
    chain::{AtFinality, Broadcast, Expected, Finality, ReadAnswer, ReadCall},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

use super::{data_fee::plan, stub::options};
use crate::{FinalityRule, NodeChain};

/// One of anvil's own accounts, which signs by itself, and one that will own nothing.
pub(super) const RICH: Address = Address::new(hex!("f39Fd6e51aad88F6F4ce6aB8827279cffFb92266"));
const POOR: Address = Address::new(hex!("70997970C51812dc3A010C7d01b50e0d17dc79C8"));
const OTHER: Address = Address::repeat_byte(0x22);
const ORACLE: Address = Address::new(hex!("420000000000000000000000000000000000000f"));

/// A node that mines when it is told. It ends with this value.
pub(super) struct Anvil {
    _process: Child,
    pub(super) url: String,
    pub(super) chain: NodeChain,
}

impl Anvil {
    pub(super) async fn start() -> Self {
        let mut process = Command::new(program())
            .args(["--port", "0", "--no-mining"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let url = loop {
            let line = lines.next_line().await.unwrap().expect("anvil ended");
            if let Some(address) = line.strip_prefix("Listening on ") {
                break format!("http://{address}");
            }
        };
        // it must be able to go on writing
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let chain = at(&url, FinalityRule::Blocks(1));
        Self { _process: process, url, chain }
    }

    pub(super) async fn ask(&self, method: &'static str, params: Value) -> Value {
        let call = ReadCall { method, params: params.to_string() };
        match self.chain.read(call).await.unwrap() {
            ReadAnswer::Result(text) => serde_json::from_slice(&text).unwrap(),
            ReadAnswer::Error { message, .. } => panic!("{method}: {message}"),
        }
    }

    /// Signed bytes of a payment of 1 wei, but for `changes`.
    async fn signed(&self, nonce: u64, changes: &[(&str, Value)]) -> (Bytes, B256) {
        let mut transaction = json!({
            "from": RICH, "to": OTHER, "value": "0x1", "nonce": format!("{nonce:#x}"), "chainId": "0x7a69",
            "gas": "0x5208", "maxFeePerGas": "0xee6b2800", "maxPriorityFeePerGas": "0x3b9aca00",
        });
        for (name, value) in changes {
            transaction[*name] = value.clone();
        }
        let raw = self.ask("eth_signTransaction", json!([transaction])).await;
        let raw: Bytes = serde_json::from_value(raw).unwrap();
        let hash = alloy_primitives::keccak256(&raw);
        (raw, hash)
    }

    async fn send(&self, nonce: u64, changes: &[(&str, Value)]) -> Broadcast {
        let (raw, hash) = self.signed(nonce, changes).await;
        self.chain.broadcast(&raw, hash).await
    }

    async fn mine(&self, blocks: u64) {
        self.ask("anvil_mine", json!([format!("{blocks:#x}")])).await;
    }

    /// Takes the newest blocks back and mines as many empty ones.
    async fn reorg(&self, depth: u64) {
        self.ask("anvil_reorg", json!([depth, []])).await;
    }

    fn by(&self, rule: FinalityRule) -> NodeChain {
        at(&self.url, rule)
    }
}

fn at(url: &str, rule: FinalityRule) -> NodeChain {
    let mut options = options(&[url.to_owned()]);
    (options.finality, options.head_ttl) = (rule, Millis::ZERO);
    // a busy machine
    options.deadline = "30s".parse().unwrap();
    NodeChain::new(options).unwrap()
}

/// Named by `COUNTERSIGN_ANVIL`, or where npm puts it.
fn program() -> PathBuf {
    #[expect(clippy::disallowed_methods, reason = "the tests' own setting, not the gateway's")]
    let named = std::env::var_os("COUNTERSIGN_ANVIL").map(PathBuf::from);
    let scope =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/clients/node_modules/@foundry-rs");
    let platforms = ["linux-amd64", "linux-arm64", "darwin-arm64", "darwin-amd64"];
    let installed = platforms.map(|platform| scope.join(format!("anvil-{platform}/bin/anvil")));
    let found = named.into_iter().chain(installed).find(|file| file.is_file());
    found.expect("no anvil: run ./scripts/test once, or set COUNTERSIGN_ANVIL")
}

/// The rows of `words/nodes.tsv` that claim to be seen here.
fn claimed() -> BTreeSet<String> {
    let rows = include_str!("../words/nodes.tsv").lines().map(|line| line.split('\t').collect());
    let rows = rows.filter(|cells: &Vec<_>| cells[0] == "anvil" && cells[4] == "run");
    rows.map(|cells| format!("error {}: {}", cells[2], cells[3])).collect()
}

fn words(sent: Broadcast) -> String {
    match sent {
        Broadcast::NonceTooLow(words)
        | Broadcast::Underpriced(words)
        | Broadcast::Refused(words)
        | Broadcast::Unknown(words) => words,
        Broadcast::Accepted | Broadcast::OtherHash { .. } => panic!("{sent:?}"),
    }
}

/// Attack NO-6: anvil says what the table says that it says, and is understood.
#[tokio::test]
async fn anvils_own_words_are_in_the_table() {
    let anvil = Anvil::start().await;
    assert_eq!(anvil.send(0, &[]).await, Broadcast::Accepted);
    // known already: accepted again, so its words are read past the adapter
    assert_eq!(anvil.send(0, &[]).await, Broadcast::Accepted);
    let (raw, _) = anvil.signed(0, &[]).await;
    let again = ReadCall { method: "eth_sendRawTransaction", params: json!([raw]).to_string() };
    let ReadAnswer::Error { code, message, .. } = anvil.chain.read(again).await.unwrap() else {
        panic!("taken twice")
    };
    let mut seen = BTreeSet::from([format!("error {code}: {message}")]);

    let lower = ("maxFeePerGas", json!("0xd09dc300"));
    let replacement = anvil.send(0, &[lower, ("value", json!("0x2"))]).await;
    assert!(matches!(replacement, Broadcast::Underpriced(_)), "{replacement:?}");
    seen.insert(words(replacement));

    anvil.ask("anvil_setBalance", json!([POOR, "0x0"])).await;
    let init_code = json!(format!("0x{}", "60".repeat(50_000)));
    let refusals: [&[(&str, Value)]; 5] = [
        &[("from", json!(POOR)), ("nonce", json!("0x0"))],
        &[("gas", json!("0x4e20"))],
        &[("maxFeePerGas", json!("0x1")), ("maxPriorityFeePerGas", json!("0x1"))],
        &[("gas", json!("0x2625a00"))],
        &[("to", Value::Null), ("data", init_code), ("gas", json!("0x989680"))],
    ];
    for changes in refusals {
        let refused = anvil.send(1, changes).await;
        assert!(matches!(refused, Broadcast::Refused(_)), "{changes:?}: {refused:?}");
        seen.insert(words(refused));
    }
    anvil.mine(1).await;
    let late = anvil.send(0, &[("value", json!("0x3"))]).await;
    assert!(matches!(late, Broadcast::NonceTooLow(_)), "{late:?}");
    seen.insert(words(late));
    for garbage in [&[2, 0xc0][..], &[]] {
        let raw = Bytes::copy_from_slice(garbage);
        let sent = anvil.chain.broadcast(&raw, B256::ZERO).await;
        assert!(matches!(sent, Broadcast::Unknown(_)), "{sent:?}");
        seen.insert(words(sent));
    }
    assert_eq!(seen, claimed());
}

/// A mined payment: its receipt agrees with what was signed.
async fn paid(anvil: &Anvil) -> Actual {
    let (raw, hash) = anvil.signed(0, &[]).await;
    assert_eq!(anvil.chain.broadcast(&raw, hash).await, Broadcast::Accepted);
    assert_eq!(anvil.chain.receipt(hash).await, Ok(None), "not mined yet");
    anvil.mine(1).await;
    let expected = Expected { hash, from: RICH, gas: 21_000, price_max: 4_000_000_000 };
    let actual = anvil.chain.receipt_of(&expected).await.unwrap().unwrap();
    assert_eq!(anvil.chain.receipt(hash).await, Ok(Some(actual.clone())));
    for wrong in [
        Expected { from: OTHER, ..expected },
        Expected { gas: 20_999, ..expected },
        Expected { price_max: 1_999_999_999, ..expected },
    ] {
        assert!(anvil.chain.receipt_of(&wrong).await.is_err(), "{wrong:?}");
    }
    actual
}

#[tokio::test]
async fn a_receipts_own_block_counts_as_one() {
    let anvil = Anvil::start().await;
    let actual = paid(&anvil).await;
    for mined in 1..=3 {
        for blocks in 0..=5 {
            let expected = if blocks <= mined { Finality::Final } else { Finality::Pending };
            let chain = anvil.by(FinalityRule::Blocks(blocks));
            assert_eq!(chain.finality(&actual).await, Ok(expected), "{blocks} of {mined}");
            let nonce = u64::from(blocks <= mined);
            assert_eq!(chain.final_nonce(RICH).await, Ok(nonce), "{blocks} of {mined}");
        }
        anvil.mine(1).await;
    }
}

/// Anvil calls a block finalized when two epochs of 32 slots lie on it.
#[tokio::test]
async fn the_nodes_finalized_block_is_believed_where_that_is_the_rule() {
    let anvil = Anvil::start().await;
    let chain = anvil.by(FinalityRule::Finalized);
    let actual = paid(&anvil).await;
    let mut blocks: u64 = 1;
    while chain.finality(&actual).await == Ok(Finality::Pending) {
        assert_eq!(chain.final_nonce(RICH).await, Ok(0));
        assert!(blocks < 1000, "nothing becomes final");
        anvil.mine(1).await;
        blocks += 1;
    }
    assert_eq!(chain.finality(&actual).await, Ok(Finality::Final), "after {blocks} blocks");
    assert!(blocks > 32, "final after {blocks} blocks");
    assert_eq!(chain.final_nonce(RICH).await, Ok(1));
}

/// Attack NO-13: whatever was settled, the chain says that it is gone.
#[tokio::test]
async fn a_reorg_of_any_depth_is_seen() {
    for depth in [1, 2, 7, 64] {
        let anvil = Anvil::start().await;
        let actual = paid(&anvil).await;
        anvil.mine(depth - 1).await;
        let rule = FinalityRule::Blocks(depth);
        let chain = anvil.by(rule);
        assert_eq!(chain.finality(&actual).await, Ok(Finality::Final), "{depth}");
        let height = actual.block_number;
        assert_eq!(chain.block_hash(height).await, Ok(Some(actual.block_hash)));
        let below = chain.block_hash(height - 1).await;
        anvil.reorg(depth).await;
        let now = chain.block_hash(height).await.unwrap().unwrap();
        assert_ne!(now, actual.block_hash, "{depth}");
        assert_eq!(chain.block_hash(height - 1).await, below);
        assert_eq!(chain.block_hash(height + depth).await, Ok(None));
        assert_eq!(chain.finality(&actual).await, Ok(Finality::Gone), "{depth}");
        assert_eq!(chain.receipt(actual.hash).await, Ok(None), "{depth}");
        assert_eq!(chain.final_nonce(RICH).await, Ok(0), "{depth}");
        // the same bytes once more, in another block
        let (raw, hash) = anvil.signed(0, &[]).await;
        assert_eq!(hash, actual.hash);
        assert_eq!(chain.broadcast(&raw, hash).await, Broadcast::Accepted, "{depth}");
        anvil.mine(depth).await;
        let again = chain.receipt(hash).await.unwrap().unwrap();
        assert!(again.block_number > height);
        assert_eq!(chain.finality(&again).await, Ok(Finality::Final), "{depth}");
        assert_eq!(chain.finality(&actual).await, Ok(Finality::Gone), "{depth}");
    }
}

/// A contract that answers `getL1FeeUpperBound(n)` with 1000 n, `getOperatorFee(n)` with 3 n, and
/// nothing else.
const ANSWERS: &str = "60003560e01c8063f1c7a58b14601e5763275aedd214602e5760006000fd\
                       5b6004356103e80260005260206000f35b60043560030260005260206000f3";

/// Attack TX-24.
#[tokio::test]
async fn a_contract_on_the_chain_says_what_data_costs() {
    let anvil = Anvil::start().await;
    assert_eq!(anvil.chain.data_fee_max(&plan(0)).await, Ok(U256::ZERO));
    anvil.ask("anvil_setCode", json!([ORACLE, format!("0x{ANSWERS}")])).await;
    assert_eq!(anvil.chain.data_fee_max(&plan(0)).await, Ok(U256::ZERO), "remembered");
    let chain = anvil.by(FinalityRule::Blocks(1));
    let fee: u64 = chain.data_fee_max(&plan(100)).await.unwrap().to();
    let size = (fee / 2 - 150_000) / 1000;
    assert!((200..260).contains(&size), "{size} bytes");
    // there, and not answering: reverts, halts, returns nothing
    for code in ["0x60006000fd", "0xfe", "0x00"] {
        anvil.ask("anvil_setCode", json!([ORACLE, code])).await;
        let fee = chain.data_fee_max(&plan(100)).await;
        assert!(fee.is_err(), "{code}: {fee:?}");
    }
}

#[tokio::test]
async fn a_node_that_is_started_anew_is_looked_at_anew() {
    let anvil = Anvil::start().await;
    let watchful = |stale_after: u64| {
        let mut options = options(std::slice::from_ref(&anvil.url));
        (options.stale_after, options.head_ttl) = (Some(Millis(stale_after)), Millis::ZERO);
        NodeChain::new(options).unwrap()
    };
    let (patient, strict) = (watchful(3_600_000), watchful(1));
    patient.account(RICH).await.unwrap();
    // it mines only when it is told, so it seems to stand still
    let stands_still = async { while strict.account(RICH).await.is_ok() {} };
    tokio::time::timeout(Duration::from_mins(1), stands_still).await.unwrap();
    anvil.mine(1).await;
    strict.account(RICH).await.unwrap();
    // another network under the same address
    anvil.ask("anvil_setChainId", json!([1])).await;
    let mut options = options(std::slice::from_ref(&anvil.url));
    options.chain_id_ttl = Millis::ZERO;
    let error = NodeChain::new(options).unwrap().account(RICH).await.unwrap_err().to_string();
    assert!(error.contains("it serves chain 1, not 31337"), "{error}");
}

/// What decides whether a permit still holds money: the newest final block's time, and what contracts say there.
#[tokio::test]
async fn contracts_are_asked_at_the_newest_final_block() {
    let anvil = Anvil::start().await;
    let (counter, refuser, nobody) = (OTHER, ORACLE, POOR);
    // the number of the block as one word; a revert
    anvil.ask("anvil_setCode", json!([counter, "0x4360005260206000f3"])).await;
    anvil.ask("anvil_setCode", json!([refuser, "0x60006000fd"])).await;
    let probes = [counter, refuser, nobody].map(|contract| {
        let says = Says::Above(U256::ONE);
        Probe { contract, call: Bytes::new(), word: 0, says }
    });
    let start = 4_000_000_000;
    let mine_at = async |time: u64| {
        anvil.ask("evm_setNextBlockTimestamp", json!([time])).await;
        anvil.mine(1).await;
    };
    let said = |time, used_up| Ok(AtFinality { time, used_up: vec![Some(used_up), None, None] });
    let behind = anvil.by(FinalityRule::Blocks(2));
    mine_at(start).await;
    assert_eq!(anvil.chain.at_finality(&probes).await, said(start, false));
    mine_at(start + 1).await;
    assert_eq!(anvil.chain.at_finality(&probes).await, said(start + 1, true));
    assert_eq!(behind.at_finality(&probes).await, said(start, false), "not final yet");
    mine_at(start + 2).await;
    assert_eq!(behind.at_finality(&probes).await, said(start + 1, true));
}
