//! `kill -9` at each state: the message at which the gateway dies is held on its line.

use countersign_tests::{
    config::PAYEE,
    load::{Fleet, Heard},
    money::USD,
    proxy::{
        Blow,
        End::Silence,
        Fault::{self, Held, NeverArrives},
        Line, Mark, node, store,
    },
    wait,
};
use tokio::time::Instant;

use crate::{TAKEOVER, each, fleet, paid_once, reaches};

/// Where a gateway dies.
#[derive(Debug, Clone, Copy)]
struct Cut {
    state: &'static str,
    on_node: bool,
    mark: Mark,
    fault: Fault,
    parked: bool,
}

const CUTS: &[Cut] = &[
    cut("ALLOWED", store::COMMIT, NeverArrives(Silence)),
    cut("PREPARED", store::COMMIT, Held),
    // a keystore's bytes are sent before they are stored: the books cannot tell these three apart
    Cut { on_node: true, ..cut("PREPARED", node::SEND, Held) },
    Cut { on_node: true, ..cut("PREPARED", node::SEND, NeverArrives(Silence)) },
    cut("PREPARED", store::SIGNED, NeverArrives(Silence)),
    cut("BROADCAST", store::SIGNED, Held),
    Cut { parked: true, ..cut("APPROVED", store::APPROVE, Held) },
    Cut { parked: true, ..cut("ALLOWED", store::REDEEM, Held) },
    Cut { parked: true, ..cut("PREPARED", store::COMMIT, Held) },
];

const fn cut(state: &'static str, mark: Mark, fault: Fault) -> Cut {
    Cut { state, on_node: false, mark, fault, parked: false }
}

#[test]
fn what_a_killed_gateway_left_in_any_state_another_finishes_within_seconds() {
    each(CUTS, finishes);
}

async fn finishes(cut: Cut) {
    let mut fleet = fleet(2).await;
    warm_up(&fleet).await;
    let wei = USD.saturating_mul(if cut.parked { 150 } else { 20 }).saturating_add(7);
    // while nothing is mined, what was sent is not further on than that
    fleet.anvil.call("evm_setAutomine", serde_json::json!([false])).await;
    let dying = fleet.client(0, "bot");
    if cut.parked {
        assert!(matches!(dying.send(Some("cut"), PAYEE, wei).await, Heard::Refused(_)));
    }
    let post = fleet.post(0);
    let line = if cut.on_node { post.node.clone() } else { post.store.clone().expect("a line") };
    line.arm(Blow { mark: cut.mark, nth: 1, fault: cut.fault, then: Line::Open });
    let call = if cut.parked {
        let (alice, id) = (fleet.alice(0), reaches(&fleet, 1, wei, &["PARKED"]).await.id);
        tokio::spawn(async move {
            let digest = alice.pending(&id).await.get("digest").cloned().unwrap_or_default();
            let path = format!("/pending-operations/{id}/approve");
            drop(alice.try_post(&path, &serde_json::json!({"digest": digest})).await);
        })
    } else {
        tokio::spawn(async move { drop(dying.send(Some("cut"), PAYEE, wei).await) })
    };
    wait::until("the message to be held", async || line.has_struck().then_some(())).await;
    let left = reaches(&fleet, 1, wei, &[cut.state]).await;
    fleet.post_mut(0).gateway.kill9();
    let killed = Instant::now();
    fleet.anvil.call("evm_setAutomine", serde_json::json!([true])).await;
    // what was in the pool before stays there until a block is made
    fleet.anvil.call("evm_mine", serde_json::json!([])).await;
    let done = reaches(&fleet, 1, wei, &["EXECUTED"]).await;
    let after = killed.elapsed();
    assert_eq!(done.id, left.id, "the same operation");
    assert!(after <= TAKEOVER, "{after:?}");
    println!("{after:>7.1?}  killed at {} ({:?})", cut.state, cut.mark.text());
    call.await.expect("no panic");
    let again = fleet.client(1, "bot").insist(Some("cut"), PAYEE, wei).await;
    assert!(done.hashes().any(|hash| hash == again), "a repetition finds the result");
    paid_once(&fleet, 1, wei).await;
}

/// Redis learns the scripts at their first use.
async fn warm_up(fleet: &Fleet) {
    let (client, alice) = (fleet.client(0, "bot"), fleet.alice(0));
    client.insist(Some("warm"), PAYEE, USD).await;
    let parked = USD.saturating_mul(111);
    let Heard::Refused(error) = client.send(Some("parked"), PAYEE, parked).await else {
        panic!("not parked");
    };
    assert_eq!(alice.approve(&error.operation()).await.status, 200);
    paid_once(fleet, 0, parked).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_on_one_gateway_releases_a_call_that_is_held_on_another() {
    let fleet = fleet(2).await;
    let (client, wei) = (fleet.client(0, "bot"), USD.saturating_mul(150));
    let held = tokio::spawn(async move {
        let headers = [("prefer", "wait=20"), ("idempotency-key", "held")];
        client.send_with(&headers, PAYEE, wei).await
    });
    let id = reaches(&fleet, 1, wei, &["PARKED"]).await.id;
    let said = Instant::now();
    assert_eq!(fleet.alice(1).approve(&id).await.status, 200);
    let heard = held.await.expect("no panic");
    println!("{:>7.1?}  until a call held elsewhere was answered", said.elapsed());
    let Heard::Hash(hash) = heard else { panic!("{heard:?}") };
    let books = paid_once(&fleet, 0, wei).await;
    assert!(books.operation(&id).is_some_and(|one| one.hashes().any(|known| known == hash)));
}
