//! `eth_signTransaction`: the same judgement, and nothing is sent.

use countersign_tests::{
    Setup, StoreKind, World,
    config::{PAYEE, STRANGER},
    money::{USD, usd},
    on_both_stores,
};
use serde_json::json;

on_both_stores! { signing_is_judged_and_charged_like_sending }

async fn signing_is_judged_and_charged_like_sending(store: StoreKind) {
    let world = World::start(Setup::new(store)).await;
    let bot = world.bot();
    let sign = async |to: &str, amount| {
        bot.call("eth_signTransaction", json!([bot.transfer(to, &usd(amount))])).await
    };
    assert_eq!(sign(STRANGER, 1).await.expect_err("a stranger").text("code"), "no_rule_allows");
    assert_eq!(sign(PAYEE, 200).await.expect_err("above the threshold").code, -32002);
    let raw = sign(PAYEE, 20).await.expect("allowed");
    assert!(raw.as_str().is_some_and(|raw| raw.starts_with("0x02")), "raw bytes of type 2: {raw}");
    assert!(world.tap.writes().is_empty(), "signed, not sent");
    let hash = world.anvil.call("eth_sendRawTransaction", json!([raw])).await;
    world.anvil.receipt(hash.as_str().expect("a hash")).await;
    assert_eq!(world.anvil.balance(PAYEE).await, 20 * USD);
    let python = [("user-agent", "web3.py/7.16.0/web3.providers.rpc.rpc.HTTPProvider")];
    let params = json!([bot.transfer(PAYEE, &usd(21))]);
    let both = bot.call_with(&python, "eth_signTransaction", params).await.expect("allowed");
    assert!(both["raw"].is_string() && both["tx"].is_object(), "the shape web3.py needs: {both}");
    let next = bot.send(PAYEE, &usd(22)).await.expect("allowed");
    world.anvil.call("eth_sendRawTransaction", json!([both["raw"]])).await;
    world.anvil.receipt(&next).await;
    assert_eq!(world.anvil.balance(PAYEE).await, 63 * USD);
}
