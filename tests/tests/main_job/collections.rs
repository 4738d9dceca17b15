//! Items of collections count at what the configuration says that one is worth: transfers, approvals and orders, on real
//! contracts.

use std::fs;

use alloy_primitives::{Address, U256, hex, keccak256};
use countersign_tests::{
    Setup, StoreKind, World, anvil,
    config::{PAYEE, TOKEN},
    place,
    rpc::RpcError,
};
use serde_json::{Value, json};

/// Who deploys and mints.
const MAKER: usize = 2;

/// Seaport 1.6, where it is deployed on every chain.
const SEAPORT: &str = "0x0000000000000068F116a894984e2DB1123eB395";

const POLICY: &str = r"policy: bot
kind: grant
for: { agent: bot }
rules:
  - { id: give, when: { kind: transfer, token: [apes@31337, editions@31337, relics@31337] }, then: allow }
  - { id: list, when: { kind: approve, token: [apes@31337, editions@31337] }, then: allow }
  - { id: back, when: { kind: revoke }, then: allow }
  - { id: order, when: { kind: typed_data, primary_type: OrderComponents }, then: allow }
limits:
  - { id: tx,  sum: usd, per: tx,  max: 400,  code: per_tx_limit_exceeded }
  - { id: day, sum: usd, per: 24h, max: 1250, code: rolling_limit_exceeded }
";

/// What the maker's n-th contract is called by.
fn contract(nonce: u64) -> String {
    let (_, maker) = anvil::ACCOUNTS.get(MAKER).expect("one of anvil's accounts");
    maker.parse::<Address>().expect("an address").create(nonce).to_checksum(None)
}

fn setup() -> Setup {
    let mut setup = Setup::new(StoreKind::Embedded).with(|bot| {
        bot.policy = POLICY.into();
        bot.duplicate_window = "0s";
    });
    let tokens =
        format!("    tokens: [ {{ id: usdc, address: \"{TOKEN}\", decimals: 6, price: USD }} ]");
    let collections = format!(
        "{tokens}\n    collections:\n      - {{ id: apes, address: \"{}\", standard: erc721, held_max: 2 }}\n      \
         - {{ id: editions, address: \"{}\", standard: erc1155, price: PRINT }}\n      \
         - {{ id: relics, address: \"{}\", standard: erc721, held_max: 1 }}",
        contract(0),
        contract(1),
        contract(2),
    );
    setup.changes.push((tokens, collections));
    setup
        .changes
        .push(("ETH: \"1000\",".into(), "ETH: \"1000\", APES: \"150\", PRINT: \"20\",".into()));
    setup
}

fn word(value: u64) -> String {
    hex::encode(U256::from(value).to_be_bytes::<32>())
}

fn account(address: &str) -> String {
    format!("{:0>64}", address.trim_start_matches("0x").to_lowercase())
}

fn calldata(signature: &str, words: &[String]) -> String {
    let selector: String = hex::encode(keccak256(signature)).chars().take(8).collect();
    format!("0x{selector}{}", words.concat())
}

async fn made(world: &World, transaction: &Value) {
    let (_, maker) = anvil::ACCOUNTS.get(MAKER).expect("one of anvil's accounts");
    let mut transaction = transaction.clone();
    transaction["from"] = json!(maker);
    let hash = world.anvil.call("eth_sendTransaction", json!([transaction])).await;
    let receipt = world.anvil.receipt(hash.as_str().expect("a hash")).await;
    assert_eq!(receipt["status"], "0x1", "{transaction}");
}

/// Three collections, with items of each in the bot's wallet.
async fn mint(world: &World) {
    let file = place::checkout().join("tests/vectors/benign/contracts.json");
    let code: Value =
        serde_json::from_str(&fs::read_to_string(file).expect("a file")).expect("JSON");
    for name in ["Items721", "Items1155", "Items721"] {
        made(world, &json!({"data": code[name]["init"]})).await;
    }
    let wallet = account(&world.bot().wallet);
    for (nonce, ids) in [(0, 1..=9), (2, 1..=2)] {
        for id in ids {
            let data = calldata("mint(address,uint256)", &[wallet.clone(), word(id)]);
            made(world, &json!({"to": contract(nonce), "data": data})).await;
        }
    }
    let words = [wallet, word(1), word(100)];
    let data = calldata("mint(address,uint256,uint256)", &words);
    made(world, &json!({"to": contract(1), "data": data})).await;
}

/// Sends a call; nothing, or the code of the refusal.
async fn call(world: &World, nonce: u64, data: String) -> Option<String> {
    let bot = world.bot();
    let call = json!([{"from": bot.wallet, "to": contract(nonce), "data": data}]);
    match bot.call("eth_sendTransaction", call).await {
        Ok(hash) => {
            let receipt = world.anvil.receipt(hash.as_str().expect("a hash")).await;
            assert_eq!(receipt["status"], "0x1", "{receipt}");
            None
        }
        Err(error) => Some(error.text("code").to_owned()),
    }
}

fn gift(world: &World, id: u64) -> String {
    let words = [account(&world.bot().wallet), account(PAYEE), word(id)];
    calldata("safeTransferFrom(address,address,uint256)", &words)
}

fn prints(world: &World, amount: u64) -> String {
    let from = account(&world.bot().wallet);
    let words = [from, account(PAYEE), word(1), word(amount), word(160), word(0)];
    calldata("safeTransferFrom(address,address,uint256,uint256,bytes)", &words)
}

fn operator(approved: u64) -> String {
    calldata("setApprovalForAll(address,bool)", &[account(PAYEE), word(approved)])
}

/// The day's limit shows so many USD, and less than three for fees.
async fn counts(world: &World, usd: u64) {
    let shown = spent(world).await;
    assert!((usd..usd.saturating_add(3)).contains(&shown), "{shown} instead of {usd}");
}

/// Whole USD that the day's limit shows.
async fn spent(world: &World) -> u64 {
    let lines = world.bot().call("countersign_budget", json!([])).await.expect("a budget");
    let day = lines.as_array().expect("a list").iter().find(|line| line["limit"] == "day");
    let used = day.expect("the day's limit")["used"].as_str().expect("an amount").to_owned();
    used.split('.').next().expect("whole USD").parse().expect("a number")
}

#[tokio::test(flavor = "multi_thread")]
async fn items_count_at_the_price_of_their_collection() {
    let world = World::start(setup()).await;
    mint(&world).await;
    let refused = |code: &str| Some(code.to_owned());
    assert_eq!(call(&world, 0, gift(&world, 1)).await, None, "one for 150");
    counts(&world, 150).await;
    let approve = calldata("approve(address,uint256)", &[account(PAYEE), word(2)]);
    assert_eq!(call(&world, 0, approve).await, None, "an approval counts as much");
    counts(&world, 300).await;
    assert_eq!(call(&world, 0, operator(1)).await, None, "all that the wallet holds: two");
    counts(&world, 600).await;
    assert_eq!(call(&world, 1, prints(&world, 21)).await, refused("per_tx_limit_exceeded"));
    assert_eq!(call(&world, 1, prints(&world, 20)).await, None, "twenty of one for 20 each");
    counts(&world, 1000).await;
    assert_eq!(
        call(&world, 1, operator(1)).await,
        refused("per_tx_limit_exceeded"),
        "nobody says how many the wallet holds"
    );
    assert_eq!(
        call(&world, 2, gift(&world, 1)).await,
        refused("per_tx_limit_exceeded"),
        "nobody says what one is worth"
    );
    assert_eq!(call(&world, 0, operator(0)).await, None, "what is taken back costs its fee");
    let words = [account(&world.bot().wallet), account(PAYEE), word(1)];
    let unknown = calldata("transferFrom(address,address,uint256)", &words);
    assert_eq!(
        call(&world, 1, unknown).await,
        refused("no_rule_allows"),
        "ERC-1155 has no such function: what the number means nobody knows"
    );
    sell(&world, 3, 1).await.expect("an order for one is within the limits");
    counts(&world, 1150).await;
    let refusal =
        sell(&world, 4, 2).await.expect_err("two by what they are made of, and 100 USD left");
    assert_eq!(refusal.text("code"), "rolling_limit_exceeded");
    assert_eq!(call(&world, 0, gift(&world, 4)).await, refused("rolling_limit_exceeded"));
}

/// Signs such an order.
async fn sell(world: &World, id: u64, items: u64) -> Result<Value, RpcError> {
    let bot = world.bot();
    bot.call("eth_signTypedData_v4", json!([bot.wallet, order(world, id, items)])).await
}

/// An order that sells so many items: one by its number, more by what it is made of.
fn order(world: &World, id: u64, items: u64) -> Value {
    let member = |name: &str, kind: &str| json!({"name": name, "type": kind});
    let item = [
        member("itemType", "uint8"),
        member("token", "address"),
        member("identifierOrCriteria", "uint256"),
        member("startAmount", "uint256"),
        member("endAmount", "uint256"),
    ];
    let mut consideration = item.to_vec();
    consideration.push(member("recipient", "address"));
    let zero = format!("0x{}", "0".repeat(64));
    let wallet = &world.bot().wallet;
    let kind = if items == 1 { 2 } else { 4 };
    json!({
        "types": {
            "EIP712Domain": [
                member("name", "string"), member("version", "string"), member("chainId", "uint256"),
                member("verifyingContract", "address"),
            ],
            "OrderComponents": [
                member("offerer", "address"), member("zone", "address"), member("offer", "OfferItem[]"),
                member("consideration", "ConsiderationItem[]"), member("orderType", "uint8"),
                member("startTime", "uint256"), member("endTime", "uint256"), member("zoneHash", "bytes32"),
                member("salt", "uint256"), member("conduitKey", "bytes32"), member("counter", "uint256"),
            ],
            "OfferItem": item,
            "ConsiderationItem": consideration,
        },
        "primaryType": "OrderComponents",
        "domain": {"name": "Seaport", "version": "1.6", "chainId": 31337, "verifyingContract": SEAPORT},
        "message": {
            "offerer": wallet, "zone": "0x0000000000000000000000000000000000000000",
            "offer": [{
                "itemType": kind, "token": contract(0), "identifierOrCriteria": id.to_string(),
                "startAmount": items.to_string(), "endAmount": items.to_string(),
            }],
            "consideration": [{
                "itemType": 0, "token": "0x0000000000000000000000000000000000000000", "identifierOrCriteria": "0",
                "startAmount": "200000000000000000", "endAmount": "200000000000000000", "recipient": wallet,
            }],
            "orderType": 0, "startTime": "0", "endTime": "4102444800", "zoneHash": zero,
            "salt": "1", "conduitKey": zero, "counter": "0",
        },
    })
}
