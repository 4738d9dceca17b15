//! Further attempts: higher fees, cancels, and what the chain takes back.

use alloy_consensus::{Transaction as _, TxEnvelope};
use alloy_eips::eip2718::Decodable2718 as _;
use countersign_core::{
    fact::Freeze,
    intent::Method,
    operation::{OperationRecord, OperationState as S, Purpose},
    time::Millis,
    trace::Severity,
    transaction::FeeBid,
};
use countersign_engine::{
    BumpError,
    port::{Ledger as _, journal::IncidentQuery},
    submission::Answer,
};
use countersign_testkit::chain::Mood;

use crate::house::{House, PAYEE, POLICY, eth, operator, send, take, wallet};

const GWEI: u128 = 1_000_000_000;

fn refusal<T: std::fmt::Debug>(answer: Result<T, BumpError>) -> String {
    match answer {
        Err(BumpError::Refused { code, .. }) => code,
        other => panic!("not refused: {other:?}"),
    }
}

/// Nonce, recipient, value, data: all that must never change.
fn payload(
    raw: &[u8],
) -> (u64, Option<alloy_primitives::Address>, alloy_primitives::U256, Vec<u8>) {
    let transaction = TxEnvelope::decode_2718(&mut &*raw).unwrap();
    let (to, input) = (transaction.to(), transaction.input().to_vec());
    (transaction.nonce(), to, transaction.value(), input)
}

async fn incidents(engine: &countersign_engine::Engine) -> Vec<(String, Severity)> {
    let query = IncidentQuery { limit: 100, ..IncidentQuery::default() };
    let page = engine.ports().journal.incidents(&query).await.unwrap();
    page.items.into_iter().map(|incident| (incident.code, incident.severity)).collect()
}

fn purposes(record: &OperationRecord) -> Vec<Purpose> {
    record.attempts.iter().map(|attempt| attempt.purpose).collect()
}

#[tokio::test(start_paused = true)]
async fn an_operator_raises_the_fee_and_the_difference_is_charged_first() {
    let house = House::new();
    let engine = house.gateway().await;
    take(engine.submit(send(&house, PAYEE, 50)).await);
    let [_, before, _] = house.counts().await;
    let record = engine.bump(&operator("bob"), house.only().id, None).await.unwrap();
    assert_eq!((record.state, record.attempts.len()), (S::Broadcast, 2));
    let [_, after, _] = house.counts().await;
    assert!(after > before, "{after} {before}");
    let sent = house.chain.sent();
    assert_eq!((sent.len(), house.signer.signatures()), (2, 2));
    assert_eq!(payload(&sent[0]), payload(&sent[1]));
    house.settle_down(&engine).await;
    let record = house.only();
    assert_eq!((record.state, house.paid()), (S::Executed, eth(50)));
    assert_eq!(record.actual.as_ref().map(|actual| actual.hash), record.attempts[1].hash);
    let [reserved, committed, settled] = house.counts().await;
    assert_eq!((reserved, committed), (0, 0));
    assert!(settled >= 50_000_000 && settled < after, "{settled}");
}

#[tokio::test(start_paused = true)]
async fn a_bump_that_no_limit_policy_or_ceiling_lets_through_signs_nothing() {
    let house = House::new();
    let engine = house.gateway().await;
    take(engine.submit(send(&house, PAYEE, 99)).await);
    let id = house.only().id;
    let bid = |max_fee| Some(FeeBid::Dynamic { max_fee, tip: 2 * GWEI });
    let bob = operator("bob");
    for (bid, code) in [
        (bid(501 * GWEI), "fee_ceiling_exceeded"),
        (bid(3 * GWEI), "fee_too_low"),
        (Some(FeeBid::Price(100 * GWEI)), "fee_too_low"),
    ] {
        assert_eq!(refusal(engine.bump(&bob, id, bid).await), code, "{bid:?}");
    }
    // 99 USD is the payment; nine others take the rest of the day's limit
    for n in 0..9 {
        take(engine.submit(send(&house, PAYEE, 99 + n % 2)).await);
    }
    let dear = refusal(engine.bump(&bob, id, bid(500 * GWEI)).await);
    assert_eq!(dear, "rolling_limit_exceeded");
    house.ledger.freeze(&countersign_testkit::fixture::order(&Freeze::Global)).await.unwrap();
    assert_eq!(refusal(engine.bump(&bob, id, None).await), "frozen");
    house.ledger.unfreeze(&Freeze::Global).await.unwrap();
    house.ledger.seal("test").await.unwrap();
    assert_eq!(refusal(engine.bump(&bob, id, None).await), "sealed");
    let signatures = house.signer.signatures();
    assert_eq!(u64::try_from(house.chain.sent().len()).unwrap(), signatures);
    house.ledger.unseal().await.unwrap();
    engine.replace(house.setup(&POLICY.replace("then: allow", "then: deny, code: closed")));
    assert_eq!(refusal(engine.bump(&bob, id, None).await), "closed");
    assert_eq!(house.signer.signatures(), signatures);
    assert_eq!(house.ledger.operation(id).await.unwrap().unwrap().attempts.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_fee_beyond_what_was_approved_needs_somebody_who_could_approve_it() {
    let house = House::new();
    let engine = house.impatient().await;
    take(engine.submit(send(&house, PAYEE, 200)).await);
    let parked = house.only();
    engine.approve(&operator("bob"), parked.id, parked.digest.unwrap(), None).await.unwrap();
    house.pass(&engine, Millis(2000)).await;
    assert_eq!(house.only().state, S::Broadcast);
    let dear = Some(FeeBid::Dynamic { max_fee: 400 * GWEI, tip: 40 * GWEI });
    let by = |name: &str| operator(name);
    // alice owns the agent, carol is in no gate
    for name in ["alice", "carol"] {
        let code = refusal(engine.bump(&by(name), parked.id, dear).await);
        assert_eq!(code, "amount_above_threshold", "{name}");
    }
    house.chain.set_base_fee(100 * GWEI);
    house.pass(&engine, Millis(70_000)).await;
    assert_eq!(house.only().attempts.len(), 1, "the timer may not pass what was approved");
    assert_eq!(incidents(&engine).await, [("operation_stuck".into(), Severity::Medium)]);
    let record = engine.bump(&by("bob"), parked.id, dear).await.unwrap();
    assert_eq!(record.attempts.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_agent_raises_its_own_fee_with_the_same_nonce_and_payload() {
    let house = House::new();
    let engine = house.gateway().await;
    let fixed = |max_fee: u128, tip: u128| {
        let mut submission = send(&house, PAYEE, 50);
        crate::house::draft(&mut submission).nonce = Some(0);
        crate::house::draft(&mut submission).max_fee_per_gas = Some(max_fee);
        crate::house::draft(&mut submission).max_priority_fee_per_gas = Some(tip);
        submission
    };
    let first = take(engine.submit(fixed(4 * GWEI, GWEI)).await);
    let again = take(engine.submit(fixed(4 * GWEI, GWEI)).await);
    assert_eq!(first, again, "the same fee is the same request");
    let little = take(engine.submit(fixed(4 * GWEI + 1, GWEI)).await);
    let Answer::NodeRefused(refused) = little else { panic!("{little:?}") };
    assert!(refused.message.contains("still on its way"), "{}", refused.message);
    let more = take(engine.submit(fixed(8 * GWEI, 2 * GWEI)).await);
    let Answer::Signed(more) = more else { panic!("{more:?}") };
    assert_eq!(Some(more.hash), house.only().attempts[1].hash);
    house.settle_down(&engine).await;
    assert_eq!((house.only().state, house.paid()), (S::Executed, eth(50)));
    assert_eq!(house.only().hash(), Some(more.hash));
}

#[tokio::test(start_paused = true)]
async fn what_is_stuck_is_raised_by_itself_and_only_the_lanes_next() {
    let house = House::new();
    let engine = house.impatient().await;
    for usd in [10, 11, 12] {
        take(engine.submit(send(&house, PAYEE, usd)).await);
    }
    house.chain.set_base_fee(20 * GWEI);
    house.pass(&engine, Millis(61_000)).await;
    let attempts = |house: &House| house.ledger.all().iter().map(|o| o.attempts.len()).collect();
    let now: Vec<usize> = attempts(&house);
    assert_eq!(now, [2, 1, 1]);
    house.pass(&engine, Millis(61_000)).await;
    let now: Vec<usize> = attempts(&house);
    assert_eq!(now, [3, 1, 1]);
    house.settle_down(&engine).await;
    assert!(house.ledger.all().iter().all(|o| o.state == S::Executed));
    assert_eq!((house.paid(), incidents(&engine).await), (eth(33), vec![]));
}

#[tokio::test(start_paused = true)]
async fn a_cancel_wins_its_fee_is_spent_and_the_rest_is_free() {
    let house = House::new();
    let engine = house.gateway().await;
    house.chain.set_mood(Mood::Drops);
    let Answer::Signed(told) = take(engine.submit(send(&house, PAYEE, 50)).await) else { panic!() };
    house.chain.set_mood(Mood::Takes);
    let id = house.only().id;
    let record = engine.cancel_operation(&operator("bob"), id).await.unwrap();
    assert_eq!(
        (record.state, purposes(&record)),
        (S::Cancelling, vec![Purpose::Payload, Purpose::Cancel])
    );
    let (nonce, to, value, data) = payload(&house.chain.sent()[0]);
    assert_eq!((nonce, to, data), (0, Some(house.signer_address()), vec![]));
    assert!(value.is_zero());
    house.settle_down(&engine).await;
    let record = house.only();
    assert_eq!((record.state, house.paid()), (S::Cancelled, eth(0)));
    assert_eq!(record.hash(), Some(told.hash), "the agent's answer stays what it was");
    let [reserved, committed, settled] = house.counts().await;
    assert_eq!((reserved, committed), (0, 0));
    assert!(settled > 0 && settled < 1_000_000, "the cancel's own fee: {settled}");
    take(engine.submit(send(&house, PAYEE, 50)).await);
    house.settle_down(&engine).await;
    assert_eq!(house.paid(), eth(50), "the lane goes on");
}

#[tokio::test(start_paused = true)]
async fn a_cancel_that_comes_too_late_changes_nothing() {
    let house = House::new();
    let engine = house.gateway().await;
    take(engine.submit(send(&house, PAYEE, 50)).await);
    let id = house.only().id;
    house.chain.mine();
    engine.cancel_operation(&operator("bob"), id).await.unwrap();
    house.settle_down(&engine).await;
    let record = house.only();
    assert_eq!((record.state, house.paid()), (S::Executed, eth(50)));
    let late = engine.cancel_operation(&operator("bob"), id).await;
    assert!(matches!(late, Err(BumpError::Elsewhere(_))), "{late:?}");
    assert_eq!(house.counts().await[1], 0);
}

#[tokio::test(start_paused = true)]
async fn neither_ceiling_nor_policy_nor_freeze_stops_a_cancel() {
    let house = House::new();
    let engine = house.gateway().await;
    take(engine.submit(send(&house, PAYEE, 50)).await);
    house.chain.set_base_fee(400 * GWEI);
    engine.replace(house.setup(&POLICY.replace("then: allow", "then: deny, code: closed")));
    house.ledger.freeze(&countersign_testkit::fixture::order(&Freeze::Global)).await.unwrap();
    let record = engine.cancel_operation(&operator("bob"), house.only().id).await.unwrap();
    let cancel = &record.attempts[1].transaction.plan;
    assert!(cancel.fee.ceiling() > 500 * GWEI, "{cancel:?}");
    house.settle_down(&engine).await;
    assert_eq!(house.only().state, S::Cancelled);
}

#[tokio::test(start_paused = true)]
async fn a_cancel_without_a_signature_waits_for_a_seal_and_not_for_a_freeze_of_its_wallet() {
    let house = House::new();
    let engine = house.gateway().await;
    house.signer.set_broken(true);
    take(engine.submit(send(&house, PAYEE, 50)).await);
    let id = house.only().id;
    let cancel = || async { engine.cancel_operation(&operator("bob"), id).await };
    assert_eq!(cancel().await, Err(BumpError::Busy));
    house.signer.set_broken(false);
    house.ledger.seal("a test").await.unwrap();
    assert_eq!(cancel().await, Err(BumpError::Busy));
    assert_eq!((house.only().state, house.signer.signatures()), (S::Cancelling, 0));
    house.ledger.unseal().await.unwrap();
    house.ledger.freeze(&countersign_testkit::fixture::order(&Freeze::All)).await.unwrap();
    house.settle_down(&engine).await;
    assert_eq!(house.signer.signatures(), 0);
    house.ledger.unfreeze(&Freeze::All).await.unwrap();
    house
        .ledger
        .freeze(&countersign_testkit::fixture::order(&Freeze::Wallet(wallet())))
        .await
        .unwrap();
    house.settle_down(&engine).await;
    house.settle_down(&engine).await;
    assert_eq!((house.only().state, house.paid()), (S::Cancelled, eth(0)));
}

#[tokio::test(start_paused = true)]
async fn a_receipt_of_an_attempt_that_another_gateway_bound_at_the_same_instant_is_found() {
    let house = House::new();
    let (first, other) = (house.gateway().await, house.gateway().await);
    house.chain.set_mood(Mood::Drops);
    take(first.submit(send(&house, PAYEE, 50)).await);
    house.chain.set_mood(Mood::Takes);
    let record = other.bump(&operator("bob"), house.only().id, None).await.unwrap();
    house.settle_down(&first).await;
    assert_eq!((house.only().state, house.paid()), (S::Executed, eth(50)));
    assert_eq!(house.only().actual.unwrap().hash, record.attempts[1].hash.unwrap());
}

#[tokio::test(start_paused = true)]
async fn bytes_that_an_agent_keeps_to_itself_are_cancelled_when_others_wait() {
    let house = House::new();
    let engine = house.gateway().await;
    let mut kept = send(&house, PAYEE, 10);
    kept.method = Method::SignTransaction;
    take(engine.submit(kept).await);
    house.pass(&engine, Millis(11 * 60_000)).await;
    assert_eq!(house.only().state, S::Signed, "nobody waits");
    take(engine.submit(send(&house, PAYEE, 20)).await);
    house.pass(&engine, Millis(2000)).await;
    house.settle_down(&engine).await;
    let states: Vec<S> = house.ledger.all().iter().map(|o| o.state).collect();
    assert_eq!(states, [S::Cancelled, S::Executed]);
    assert_eq!(house.paid(), eth(20));
}

#[tokio::test(start_paused = true)]
async fn a_reorg_takes_settlements_back_and_the_same_bytes_are_mined_again() {
    for dropping in [false, true] {
        for depth in [1, 2, 7, 64] {
            let house = House::new();
            let engine = house.gateway().await;
            for usd in [10, 11, 12] {
                take(engine.submit(send(&house, PAYEE, usd)).await);
            }
            house.settle_down(&engine).await;
            for _ in 0..depth - 1 {
                house.chain.mine();
            }
            assert_eq!(house.counts().await[1], 0);
            let blocks = house.ledger.all()[0].actual.clone().unwrap().block_number;
            assert!(blocks > 0);
            let deep = depth + 40;
            if dropping {
                house.chain.reorg_dropping(deep);
            } else {
                house.chain.reorg(deep);
            }
            house.pass(&engine, Millis(2500)).await;
            house.settle_down(&engine).await;
            house.settle_down(&engine).await;
            assert!(house.ledger.all().iter().all(|o| o.state == S::Executed), "{depth}");
            assert_eq!((house.paid(), house.signer.signatures()), (eth(33), 3), "{depth}");
            let [reserved, committed, _] = house.counts().await;
            assert_eq!((reserved, committed), (0, 0));
            assert!(incidents(&engine).await.contains(&("reorg".into(), Severity::High)));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_reorg_while_no_gateway_ran_is_found_at_start() {
    let house = House::new();
    let engine = house.gateway().await;
    take(engine.submit(send(&house, PAYEE, 10)).await);
    house.settle_down(&engine).await;
    house.chain.reorg_dropping(45);
    let other = house.gateway().await;
    house.settle_down(&other).await;
    house.settle_down(&other).await;
    assert_eq!((house.only().state, house.paid()), (S::Executed, eth(10)));
    assert!(house.chain.sent().len() > 1, "the bytes were offered again");
}

#[tokio::test(start_paused = true)]
async fn what_finds_no_room_in_its_lane_waits_for_it() {
    let house = House::new();
    let engine = house.gateway().await;
    let mut setup = house.setup(POLICY);
    setup.wallets.values_mut().for_each(|wallet| wallet.in_flight_max = 1);
    engine.replace(setup);
    let sends = [10, 11, 12].map(|usd| {
        let (engine, submission) = (engine.clone(), send(&house, PAYEE, usd));
        tokio::spawn(async move { take(engine.submit(submission).await) })
    });
    house.settle_down(&engine).await;
    for send in sends {
        assert!(matches!(send.await.unwrap(), Answer::Signed(_)));
    }
    house.settle_down(&engine).await;
    assert_eq!(house.paid(), eth(33));
    let most = house.ledger.all().iter().filter(|o| o.nonce().is_some()).count();
    assert_eq!(most, 3);
}

#[tokio::test(start_paused = true)]
async fn a_nonce_that_a_parked_client_fixed_is_kept_for_a_minute() {
    let house = House::new();
    let engine = house.gateway().await;
    let mut fixed = send(&house, PAYEE, 200);
    crate::house::draft(&mut fixed).nonce = Some(0);
    take(engine.submit(fixed).await);
    let parked = house.only();
    let mut thief = send(&house, PAYEE, 20);
    crate::house::draft(&mut thief).nonce = Some(0);
    let refused = take(engine.submit(thief).await);
    assert!(matches!(refused, Answer::NodeRefused(_)), "{refused:?}");
    let other = {
        let (engine, submission) = (engine.clone(), send(&house, PAYEE, 30));
        tokio::spawn(async move { take(engine.submit(submission).await) })
    };
    house.pass(&engine, Millis(3000)).await;
    assert_eq!(house.chain.sent().len(), 0, "it waits for the one that is kept");
    engine.approve(&operator("bob"), parked.id, parked.digest.unwrap(), None).await.unwrap();
    house.settle_down(&engine).await;
    assert!(matches!(other.await.unwrap(), Answer::Signed(_)));
    house.settle_down(&engine).await;
    let nonces: Vec<(S, Option<u64>)> =
        house.ledger.all().iter().map(|o| (o.state, o.nonce())).collect();
    assert_eq!(nonces, [(S::Executed, Some(0)), (S::Rejected, None), (S::Executed, Some(1))]);
    assert_eq!(house.paid(), eth(230));
}

#[tokio::test(start_paused = true)]
async fn what_a_chain_adds_to_the_fee_is_reserved_and_counted_as_it_was() {
    let house = House::new();
    let engine = house.gateway().await;
    // 2 USD a transaction, of which at most 4 are expected; gas is cents beside it
    house.chain.set_data_fee(eth(2));
    take(engine.submit(send(&house, PAYEE, 50)).await);
    let [_, committed, _] = house.counts().await;
    assert!((54_000_000..54_100_000).contains(&committed), "{committed}");
    engine.bump(&operator("bob"), house.only().id, None).await.unwrap();
    house.settle_down(&engine).await;
    let [_, committed, settled] = house.counts().await;
    assert_eq!(committed, 0);
    assert!((52_000_000..52_100_000).contains(&settled), "{settled}");
    assert_eq!(incidents(&engine).await, vec![], "nothing came to more than was reserved");
}
