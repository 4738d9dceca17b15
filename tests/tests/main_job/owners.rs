//! `eth_sendRawTransaction`: wallets whose owners sign, keys that are here, and EIP-7702.

use countersign_tests::{
    Setup, StoreKind, World,
    anvil::{self, CHAIN},
    config::{PAYEE, STRANGER},
    money::{USD, usd},
    on_both_stores,
    owner::Owner,
    wait,
};
use serde_json::{Value, json};

/// The account whose owner signs.
const OWNED: usize = 2;

async fn world(store: StoreKind) -> (World, Owner) {
    (World::start(Setup::new(store).with_owner_of(OWNED)).await, Owner::of_account(OWNED))
}

async fn bring(world: &World, raw: &str) -> countersign_tests::rpc::Answer {
    world.bot().call("eth_sendRawTransaction", json!([raw])).await
}

async fn next_nonce(world: &World, owner: &Owner) -> Value {
    let params = json!([owner.address(), "pending"]);
    world.bot().call("eth_getTransactionCount", params).await.expect("a count")
}

on_both_stores! {
    what_an_owner_signed_is_judged_and_sent_as_it_was_signed,
    what_was_signed_here_can_be_sent_here,
    an_authorisation_lands_where_the_policy_lists_its_delegate,
}

async fn what_an_owner_signed_is_judged_and_sent_as_it_was_signed(store: StoreKind) {
    let (world, owner) = world(store).await;
    let paid = owner.pays(PAYEE, 50 * USD, 0);
    let hash = bring(&world, &paid).await.expect("allowed");
    assert_eq!(bring(&world, &paid).await, Ok(hash.clone()), "the same bytes, the same result");
    let receipt = world.anvil.receipt(hash.as_str().expect("a hash")).await;
    assert_eq!(receipt["from"], json!(owner.address().to_string().to_lowercase()));
    assert_eq!(world.anvil.balance(PAYEE).await, 50 * USD);
    assert_eq!(next_nonce(&world, &owner).await, "0x1");

    let stranger = owner.pays(STRANGER, USD, 1);
    let refused = bring(&world, &stranger).await.expect_err("a stranger");
    assert_eq!((refused.code, refused.text("code")), (4001, "no_rule_allows"));
    let large = bring(&world, &owner.pays(PAYEE, 200 * USD, 1)).await.expect_err("a large one");
    let id = large.operation();
    assert_eq!(world.anvil.balance(PAYEE).await, 50 * USD);
    assert_eq!(world.alice().approve(&id).await.status, 200);
    wait::until("the approved bytes to be mined", async || {
        (world.anvil.balance(PAYEE).await == 250 * USD).then_some(())
    })
    .await;
    assert_eq!(next_nonce(&world, &owner).await, "0x2");
    assert_eq!(world.tap.writes(), ["eth_sendRawTransaction"; 2]);
    let budget = world.bot().call("countersign_budget", json!([])).await.expect("a budget");
    let used = budget[0]["used"].as_str().and_then(|used| used.parse::<f64>().ok());
    assert!(used.is_some_and(|used| (250.0..251.0).contains(&used)), "{budget}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gateway_signs_nothing_for_a_wallet_whose_owner_does() {
    let (world, owner) = world(StoreKind::Embedded).await;
    let bot = world.bot();
    let accounts = bot.call("eth_accounts", json!([])).await.expect("accounts");
    assert_eq!(accounts, json!([bot.wallet.to_lowercase()]), "what clients may send from");
    let from = owner.address().to_string();
    let payment = json!([{"from": from, "to": PAYEE, "value": usd(1)}]);
    for (method, params) in [
        ("eth_sendTransaction", payment.clone()),
        ("eth_signTransaction", payment.clone()),
        ("personal_sign", json!(["0x6869", from])),
    ] {
        let refused = bot.call(method, params).await.expect_err("its key is elsewhere");
        assert_eq!(refused.code, 4100, "{refused:?}");
        assert!(refused.message.contains("eth_sendRawTransaction"), "{}", refused.message);
    }
    let verdict = bot.call("countersign_simulate", payment).await.expect("a verdict");
    assert_eq!(verdict["outcome"], "allow", "{verdict}");
    assert_eq!(world.tap.writes(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_here_signs_nothing_elsewhere_unnoticed() {
    let (world, _) = world(StoreKind::Embedded).await;
    let ours = bring(&world, &Owner::of_account(0).pays(PAYEE, USD, 0)).await;
    let ours = ours.expect_err("a key that is here");
    assert_eq!((ours.code, ours.text("code")), (4001, "externally_signed"));
    let incidents = world.alice().list("/incidents").await;
    assert_eq!(incidents.len(), 1, "{incidents:#?}");
    assert_eq!(incidents[0]["code"], "externally_signed");
    assert_eq!(incidents[0]["severity"], "Critical");
    assert_eq!(incidents[0]["traceHash"], ours.data["trace_hash"]);

    let foreign = bring(&world, &Owner::unknown().pays(PAYEE, USD, 0)).await;
    let foreign = foreign.expect_err("nobody's key");
    assert_eq!((foreign.code, foreign.text("reason")), (4001, ours.text("reason")));
    assert_eq!(world.alice().list("/incidents").await.len(), 1);
    let path = format!("/apps/default/traces/{}", foreign.text("trace_hash"));
    let trace = world.alice().read(&path).await;
    assert_eq!(trace["blockedBy"], "externally_signed", "{trace}");
    assert!(
        trace["proposedAction"].to_string().contains(PAYEE.trim_start_matches("0x")),
        "decoded: {trace}"
    );
    assert_eq!(world.tap.writes(), Vec::<String>::new());
}

async fn what_was_signed_here_can_be_sent_here(store: StoreKind) {
    let (world, _) = world(store).await;
    let bot = world.bot();
    let signed = bot.call("eth_signTransaction", json!([bot.transfer(PAYEE, &usd(50))])).await;
    let raw = signed.expect("signed");
    assert!(world.tap.writes().is_empty(), "signed, not sent");
    let hash = bring(&world, raw.as_str().expect("raw bytes")).await.expect("sent");
    world.anvil.receipt(hash.as_str().expect("a hash")).await;
    assert_eq!(bring(&world, raw.as_str().expect("raw bytes")).await, Ok(hash));
    assert_eq!(world.anvil.balance(PAYEE).await, 50 * USD);
    assert_eq!(world.alice().list("/incidents").await, Vec::<Value>::new());
    assert_eq!(world.alice().list("/operations").await.len(), 1, "one operation, charged once");
}

/// Lets agents send authorisations for the code at the payee's address, and nothing that a limit would count.
fn delegating(store: StoreKind) -> Setup {
    Setup::new(store).with_owner_of(OWNED).with(|bot| {
        let without = |text: &str, from: &str| text.split(from).next().unwrap_or_default().to_owned();
        let rule = "  - { id: code, when: { kind: delegate, target: { in: \"@payees\" } }, then: allow }\n";
        bot.policy = without(&bot.policy, "limits:") + rule;
    })
}

async fn an_authorisation_lands_where_the_policy_lists_its_delegate(store: StoreKind) {
    let world = World::start(delegating(store)).await;
    let bot = world.bot();
    let (somebody, owner) = (Owner::unknown(), Owner::of_account(OWNED));
    let acts =
        async || world.anvil.call("eth_getCode", json!([somebody.address(), "latest"])).await;
    let send = async |one: &Value| {
        let transaction =
            json!({"from": bot.wallet, "to": PAYEE, "value": "0x1", "authorizationList": [one]});
        bot.call("eth_sendTransaction", json!([transaction])).await
    };
    for (delegate, chain, code) in
        [(STRANGER, CHAIN, "no_rule_allows"), (PAYEE, 0, "delegation_everywhere")]
    {
        let one = shown(&somebody.authorises(chain, delegate, 0));
        let refused = send(&one).await.expect_err(code);
        assert_eq!((refused.code, refused.text("code")), (4001, code));
    }
    let elsewhere = send(&shown(&somebody.authorises(1, PAYEE, 0))).await.expect_err("chain 1");
    assert_eq!(elsewhere.code, -32602, "{elsewhere:?}");
    assert_eq!(acts().await, "0x");

    let hash = send(&shown(&somebody.authorises(CHAIN, PAYEE, 0))).await.expect("allowed");
    let receipt = world.anvil.receipt(hash.as_str().expect("a hash")).await;
    assert_eq!((&receipt["status"], &receipt["type"]), (&json!("0x1"), &json!("0x4")));
    assert_eq!(acts().await, format!("0xef0100{}", PAYEE.trim_start_matches("0x")));

    let back = "0x0000000000000000000000000000000000000000";
    let raw = owner.delegates(PAYEE, 0, somebody.authorises(CHAIN, back, 1));
    let refused = bring(&world, &raw).await.expect_err("it is on no list");
    assert_eq!(refused.text("code"), "no_rule_allows");
    let raw = owner.delegates(PAYEE, 0, somebody.authorises(CHAIN, PAYEE, 1));
    let hash = bring(&world, &raw).await.expect("allowed");
    world.anvil.receipt(hash.as_str().expect("a hash")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wallet_of_ours_that_code_acts_for_is_told_and_frozen() {
    let mut world = World::start(delegating(StoreKind::Embedded)).await;
    let ours = Owner::of_account(0);
    // past the gateway, by whoever has the key as well
    let raw = Owner::of_account(1).delegates(PAYEE, 0, ours.authorises(anvil::CHAIN, STRANGER, 0));
    let refused = bring(&world, &raw).await.expect_err("not through here");
    assert_eq!(refused.text("code"), "externally_signed");
    let hash = world.anvil.call("eth_sendRawTransaction", json!([raw])).await;
    world.anvil.receipt(hash.as_str().expect("a hash")).await;
    // it looks when it starts, and then once a minute
    for _ in 0..2 {
        world.gateway.kill9();
        world.gateway.restart().await;
        let told = wait::until("the incident", async || {
            let incidents = world.alice().list("/incidents").await;
            let told = incidents.iter().filter(|one| one["code"] == "wallet_delegated").count();
            (told > 0).then_some(told)
        })
        .await;
        assert_eq!(told, 1, "once, whatever is restarted");
    }
    let refused = world.bot().send(PAYEE, &usd(1)).await.expect_err("its limits hold nothing");
    assert_eq!(refused.text("code"), "frozen");
}

/// An authorisation as clients write it.
fn shown(one: &alloy_eips::eip7702::SignedAuthorization) -> Value {
    json!({
        "chainId": format!("{:#x}", one.chain_id),
        "address": one.address,
        "nonce": format!("{:#x}", one.nonce),
        "yParity": format!("{:#x}", one.y_parity()),
        "r": format!("{:#x}", one.r()),
        "s": format!("{:#x}", one.s()),
    })
}
