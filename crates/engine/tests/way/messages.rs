//! Messages on their way: judged, parked, signed once, and settled.

use std::sync::Arc;

use alloy_primitives::{Bytes, Signature, eip191_hash_message};
use countersign_core::{
    fact::Freeze,
    intent::Method,
    message::Content,
    operation::{Delivery, OperationState as S},
    time::Millis,
    trace::TraceStatus,
};
use countersign_engine::{
    Engine,
    port::{Ledger as _, Signer as _},
    submission::{Answer, Draft, Submission},
};

use serde_json::json;

use crate::{
    crash::{Cut, Mortal},
    house::{House, PAYEE, operator, send, take},
};

const POLICY: &str = r#"
policy: trader
kind: grant
gates:
  desk: { need: [{ any: 1, of: [bob] }], ttl: 2h }
rules:
  - { id: texts, when: { kind: text }, then: allow }
  - { id: permits, when: { kind: approve, via: signature }, then: allow }
  - { id: asks, when: { kind: text, text: { matches: "^please" } }, then: { approve: desk } }
limits:
  - { id: many, count: tx, per: 1h, max: 3 }
"#;

fn says(house: &House, text: &str) -> Submission {
    let content = Content::Text(Bytes::copy_from_slice(text.as_bytes()));
    let draft = Draft::Message { from: house.signer_address(), content };
    Submission { method: Method::PersonalSign, draft, ..send(house, PAYEE, 0) }
}

async fn gateway(house: &House) -> Arc<Engine> {
    let engine = house.gateway().await;
    engine.replace(house.setup(POLICY));
    engine
}

fn signature(answer: &Answer) -> &Bytes {
    match answer {
        Answer::SignedMessage(signed) => &signed.signature,
        other => panic!("no signature: {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_text_is_signed_as_the_wallet_and_no_node_hears_of_it() {
    let house = House::new();
    let engine = gateway(&house).await;
    let answer = take(engine.submit(says(&house, "hello")).await);
    let bytes = signature(&answer);
    let made = Signature::try_from(&bytes[..]).unwrap();
    let signer = made.recover_address_from_prehash(&eip191_hash_message("hello")).unwrap();
    assert_eq!(signer, house.signer.address());
    assert!(matches!(bytes[64], 27 | 28));
    house.settle_down(&engine).await;
    let record = house.only();
    assert_eq!((record.state, record.delivery), (S::Executed, Delivery::Collected));
    assert_eq!((&record.kept[..], record.nonce()), (&[1][..], None));
    assert_eq!(house.chain.sent().len(), 0);
    let trace = house.journals.all().remove(0);
    assert_eq!(trace.status, TraceStatus::Executed);
}

#[tokio::test(start_paused = true)]
async fn a_count_holds_for_messages_too() {
    let house = House::new();
    let engine = gateway(&house).await;
    for n in 0..3 {
        signature(&take(engine.submit(says(&house, &format!("{n}"))).await));
    }
    let answer = take(engine.submit(says(&house, "one too many")).await);
    let Answer::Denied(denied) = answer else { panic!("{answer:?}") };
    assert_eq!(denied.code, "count_limit_exceeded");
    assert_eq!(house.signer.signatures(), 3);
}

#[tokio::test(start_paused = true)]
async fn what_people_are_asked_is_signed_after_their_yes_and_collected_by_a_repetition() {
    let house = House::new();
    let engine = gateway(&house).await;
    let asked = says(&house, "please sign");
    let Answer::Pending(pending) = take(engine.submit(asked.clone()).await) else { panic!() };
    let digest = house.only().digest.unwrap();
    engine.approve(&operator("bob"), pending.operation, digest, None).await.unwrap();
    house.settle_down(&engine).await;
    let answer = take(engine.submit(asked).await);
    signature(&answer);
    assert_eq!((house.only().state, house.signer.signatures()), (S::Executed, 1));
}

#[tokio::test(start_paused = true)]
async fn eth_sign_of_the_same_text_is_the_same_payload() {
    let house = House::new();
    let engine = gateway(&house).await;
    let first = Submission { key: Some("k".into()), ..says(&house, "hello") };
    let second = Submission { method: Method::Sign, ..first.clone() };
    let (first, second) = (take(engine.submit(first).await), take(engine.submit(second).await));
    assert_eq!(signature(&first), signature(&second));
    assert_eq!(house.signer.signatures(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_was_bound_before_a_freeze_or_a_seal_is_not_signed_under_it() {
    for stop in ["freeze", "seal"] {
        let house = House::new();
        let engine = gateway(&house).await;
        house.signer.set_broken(true);
        drop(engine.submit(says(&house, "hello")).await);
        assert_eq!(house.only().state, S::Prepared);
        match stop {
            "freeze" => house
                .ledger
                .freeze(&countersign_testkit::fixture::order(&Freeze::Global))
                .await
                .unwrap(),
            _ => house.ledger.seal("a person looks").await.unwrap(),
        }
        house.signer.set_broken(false);
        house.settle_down(&engine).await;
        assert_eq!((house.only().state, house.signer.signatures()), (S::Prepared, 0), "{stop}");
        house.ledger.unfreeze(&Freeze::Global).await.unwrap();
        house.ledger.unseal().await.unwrap();
        house.settle_down(&engine).await;
        assert_eq!((house.only().state, house.signer.signatures()), (S::Executed, 1), "{stop}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_nobody_can_read_is_denied_whatever_the_policy() {
    let house = House::new();
    let engine = gateway(&house).await;
    let content = Content::Text(Bytes::from_static(&[0xab; 32]));
    let draft = Draft::Message { from: house.signer_address(), content };
    let answer = take(engine.submit(Submission { draft, ..says(&house, "") }).await);
    let Answer::Denied(denied) = answer else { panic!("{answer:?}") };
    assert_eq!(denied.code, "undecodable_message");
    assert_eq!(house.signer.signatures(), 0);
}

/// An ERC-2612 permit that ends in the thousandth second of the epoch.
fn permits(house: &House) -> Submission {
    let field = |name: &str, kind: &str| json!({ "name": name, "type": kind });
    let data = json!({
        "types": {
            "EIP712Domain": [field("chainId", "uint256"), field("verifyingContract", "address")],
            "Permit": [
                field("owner", "address"), field("spender", "address"), field("value", "uint256"),
                field("nonce", "uint256"), field("deadline", "uint256"),
            ],
        },
        "primaryType": "Permit",
        "domain": { "chainId": 31337, "verifyingContract": PAYEE },
        "message": {
            "owner": house.signer_address(), "spender": PAYEE, "value": "5", "nonce": "0",
            "deadline": "1000",
        },
    });
    let content = Content::TypedData(data.to_string());
    let draft = Draft::Message { from: house.signer_address(), content };
    Submission { method: Method::SignTypedData, draft, ..send(house, PAYEE, 0) }
}

/// What is charged is held while the signature can be used; a final block says how it ends.
#[tokio::test(start_paused = true)]
async fn a_permit_is_held_until_the_chain_says_that_it_is_used_or_over() {
    let cases = [
        (999, Some(false), S::Signed, [0, 1, 0]),
        (1000, Some(false), S::Signed, [0, 1, 0]),
        (1001, Some(false), S::Cancelled, [0, 0, 0]),
        (999, Some(true), S::Executed, [0, 0, 1]),
        (1001, None, S::Executed, [0, 0, 1]),
    ];
    for (time, used_up, state, counts) in cases {
        let house = House::new();
        let engine = gateway(&house).await;
        signature(&take(engine.submit(permits(&house)).await));
        let record = house.only();
        assert_eq!(house.counts_of(record.charges[0].clone()).await, [0, 1, 0]);
        let lasting = record.message().unwrap().lasting.clone().unwrap();
        house.chain.set_final_time(time);
        if let Some(used_up) = used_up {
            house.chain.set_used_up(&lasting.used_up[0].call, used_up);
        }
        house.pass(&engine, Millis(20_000)).await;
        let ended = house.only();
        assert_eq!(ended.state, state, "{time} {used_up:?}");
        assert_eq!(house.counts_of(ended.charges[0].clone()).await, counts, "{time} {used_up:?}");
    }
}

/// Asks for one signature, with the process ending at `cut`; returns whether it came to the cut at all.
async fn signed_despite(cut: Cut) -> bool {
    let house = House::new();
    let mortal = Mortal::over(&house, cut);
    let engine = house.gateway_over(mortal.clone());
    engine.replace(house.setup(POLICY));
    drop(engine.announce().await);
    drop(engine.submit(says(&house, "hello")).await);
    house.settle_down(&engine).await;

    house.ledger.restart();
    let successor = gateway(&house).await;
    house.settle_down(&successor).await;
    let answer = take(successor.submit(says(&house, "hello")).await);
    signature(&answer);
    house.pass(&successor, Millis(20_000)).await;
    let states: Vec<S> = house.ledger.all().iter().map(|record| record.state).collect();
    assert!(states.iter().all(|state| [S::Executed, S::Rejected].contains(state)), "{cut:?}");
    assert_eq!(states.iter().filter(|state| **state == S::Executed).count(), 1, "{cut:?}");
    mortal.was_cut()
}

#[tokio::test(start_paused = true)]
async fn a_message_survives_the_end_of_the_process_at_every_call() {
    let mut n = 0;
    while signed_despite(Cut::Before(n)).await & signed_despite(Cut::After(n)).await {
        n += 1;
    }
    assert!(n > 5, "{n} calls");
}
