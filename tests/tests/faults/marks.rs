//! The tables know messages by their bytes: each mark is met when it should be, and as often.

use countersign_tests::{
    Setup, StoreKind,
    config::PAYEE,
    load::{Fleet, Heard, Plan},
    money::USD,
    proxy::{Blow, Fault::Passes, Line::Open, Mark, Proxy, node, store},
};

/// What one payment that is allowed meets once.
const PAYMENT: &[Mark] = &[
    store::SEEN,
    store::RESERVE,
    store::RECORD,
    store::COMMIT,
    store::SIGNED,
    store::SENT,
    store::SETTLE,
    store::DELIVER,
];

/// What one payment that a person allows meets once.
const APPROVAL: &[Mark] = &[store::APPROVE, store::REDEEM, store::COMMIT];

#[tokio::test(flavor = "multi_thread")]
async fn every_mark_is_met_once_where_it_should_be() {
    let setup = Setup::new(StoreKind::Redis).with(|bot| super::POLICY.clone_into(&mut bot.policy));
    let fleet = Fleet::start(Plan::of(setup)).await;
    super::warm_up(&fleet).await;
    let (line, node) = (fleet.post(0).store.clone().expect("a line"), fleet.post(0).node.clone());
    for (number, mark) in (1..).zip(PAYMENT) {
        assert_eq!(hits(&line, *mark, pays(&fleet, number)).await, 1, "{:?}", mark.text());
    }
    assert_eq!(hits(&node, node::SEND, pays(&fleet, 100)).await, 1);
    assert!(hits(&node, node::RECEIPT, pays(&fleet, 101)).await >= 1);
    assert_eq!(hits(&node, node::ESTIMATE, pays(&fleet, 102)).await, 1);
    for (number, mark) in (1..).zip(APPROVAL) {
        assert_eq!(hits(&line, *mark, decides(&fleet, number, true)).await, 1, "{:?}", mark.text());
    }
    assert_eq!(hits(&line, store::REJECT, decides(&fleet, 50, false)).await, 1);
}

/// How often a mark comes by meanwhile, and until all is settled.
async fn hits(line: &Proxy, mark: Mark, work: impl Future<Output = ()>) -> usize {
    line.arm(Blow { mark, nth: usize::MAX, fault: Passes, then: Open });
    work.await;
    line.hits()
}

async fn pays(fleet: &Fleet, number: u128) {
    let wei = USD.saturating_mul(20).saturating_add(number);
    assert!(matches!(fleet.client(0, "bot").send(None, PAYEE, wei).await, Heard::Hash(_)));
    settled(fleet).await;
}

async fn decides(fleet: &Fleet, number: u128, yes: bool) {
    let wei = USD.saturating_mul(150).saturating_add(number);
    let heard = fleet.client(0, "bot").send(None, PAYEE, wei).await;
    let Heard::Refused(parked) = heard else { panic!("not parked: {heard:?}") };
    let (alice, id) = (fleet.alice(0), parked.operation());
    let reply = if yes { alice.approve(&id).await } else { alice.reject(&id, "no").await };
    assert_eq!(reply.status, 200, "{}", reply.text());
    settled(fleet).await;
}

async fn settled(fleet: &Fleet) {
    fleet.settled(0, std::time::Duration::from_secs(20)).await.expect("all is settled");
}
