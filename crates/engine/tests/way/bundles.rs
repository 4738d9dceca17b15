//! Bundles of calls: judged together, reserved together, carried out in order.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use alloy_primitives::{Address, B256, U256, keccak256};
use countersign_core::{
    bundle::BundleHandle,
    fact::Freeze,
    intent::Method,
    operation::{OperationRecord, OperationState as S},
    time::Millis,
    transaction::TransactionDraft,
};
use countersign_engine::{
    Engine,
    port::{
        Ledger,
        chain::{Estimate, ReadAnswer},
    },
    submission::{Answer, CallsDraft, CallsStatus, Draft, Submission},
};

use crate::{
    crash::{Cut, Mortal, books_balance, successor},
    house::{House, PAYEE, POLICY, STRANGER, draft, eth, operator, send, take},
};

/// What no other bundle of this process has.
fn fresh() -> B256 {
    static DRAWN: AtomicU64 = AtomicU64::new(1);
    keccak256(DRAWN.fetch_add(1, Ordering::SeqCst).to_be_bytes())
}

/// A bundle of sends of so many USD each.
fn calls(house: &House, calls: &[(Address, u64)], id: Option<&str>) -> Submission {
    let from = house.signer_address();
    let call = |(to, usd): &(Address, u64)| {
        let mut one = send(house, *to, *usd);
        let one = TransactionDraft { chain: None, ..draft(&mut one).clone() };
        TransactionDraft { from: Some(from), ..one }
    };
    let bundle = CallsDraft {
        from,
        id: id.map(str::to_owned),
        handle: BundleHandle(fresh()),
        calls: calls.iter().map(call).collect(),
    };
    let one = send(house, PAYEE, 0);
    Submission { method: Method::SendCalls, draft: Draft::Calls(Box::new(bundle)), ..one }
}

fn to_payee(house: &House, usd: &[u64]) -> Submission {
    calls(house, &usd.iter().map(|usd| (PAYEE, *usd)).collect::<Vec<_>>(), None)
}

fn name(answer: &Answer) -> String {
    let Answer::Signed(signed) = answer else { panic!("{answer:?}") };
    signed.bundle.clone().unwrap()
}

async fn status(engine: &Engine, submission: &Submission, id: &str) -> CallsStatus {
    engine.calls_status(&submission.agent, id).await.unwrap().unwrap().status
}

fn in_order(house: &House) -> Vec<OperationRecord> {
    let mut all = house.ledger.all();
    all.sort_by_key(|record| record.intent.bundle.as_ref().map(|bundle| bundle.index));
    all
}

#[tokio::test(start_paused = true)]
async fn calls_are_sent_in_their_order_and_each_is_settled() {
    let house = House::new();
    let engine = house.gateway().await;
    let submission = to_payee(&house, &[10, 20, 30]);
    let id = name(&take(engine.submit(submission.clone()).await));
    house.settle_down(&engine).await;
    let calls = in_order(&house);
    let values: Vec<U256> = calls.iter().map(|call| call.intent.value()).collect();
    assert_eq!(values, [eth(10), eth(20), eth(30)]);
    assert_eq!(calls.iter().map(OperationRecord::nonce).collect::<Vec<_>>(), [0, 1, 2].map(Some));
    assert!(calls.iter().all(|call| call.state == S::Executed), "{calls:#?}");
    assert_eq!(house.paid(), eth(60));
    let day = calls[0].charges.iter().find(|c| c.source.limit == "day").unwrap().clone();
    let [reserved, committed, settled] = house.counts_of(day).await;
    assert_eq!((reserved, committed), (0, 0));
    assert!((60_000_000..61_000_000).contains(&settled), "{settled}");
    assert_eq!(calls[1].trace, calls[0].trace, "one decision, one trace");
    assert_eq!(engine.calls_status(&submission.agent, "0x00").await, Ok(None));
    house.chain.answer_read("eth_getTransactionReceipt", ReadAnswer::Result("null".into()));
    let told = status(&engine, &submission, &id).await;
    assert_eq!(told, CallsStatus::Confirmed, "what is final is known without a node");
}

#[tokio::test(start_paused = true)]
async fn what_one_transaction_may_not_do_its_parts_may_not_either() {
    let house = House::new();
    let engine = house.gateway().await;
    let denied = take(engine.submit(to_payee(&house, &[90; 6])).await);
    let Answer::Denied(denied) = denied else { panic!("{denied:?}") };
    assert_eq!(denied.code, "per_tx_limit_exceeded", "540 of 500 USD");
    let mixed = calls(&house, &[(PAYEE, 1), (STRANGER, 1), (PAYEE, 1)], None);
    let denied = take(engine.submit(mixed).await);
    let Answer::Denied(denied) = denied else { panic!("{denied:?}") };
    assert_eq!(denied.code, "no_rule_allows");
    house.settle_down(&engine).await;
    assert_eq!((house.paid(), house.signer.signatures()), (eth(0), 0));
    assert!(house.ledger.all().iter().all(|record| record.state == S::Denied));
}

#[tokio::test(start_paused = true)]
async fn a_window_is_charged_with_all_calls_at_once_or_with_none() {
    let house = House::new();
    let engine = house.gateway().await;
    let policy = crate::house::POLICY.replace("max: 100,", "max: 5000,");
    engine.replace(house.setup(&policy.replace("max: 500,", "max: 5000,")));
    let over = take(engine.submit(to_payee(&house, &[400, 400, 400])).await);
    let Answer::Denied(denied) = over else { panic!("{over:?}") };
    assert_eq!(denied.code, "rolling_limit_exceeded");
    let asked = denied.violations[0].requested.clone().unwrap();
    assert!(asked.starts_with("1200"), "the sum is told: {asked}");
    // each fits alone; together, from many callers at once, no more than the limit does
    let bundles: Vec<_> = (1..=4).map(|n| to_payee(&house, &[150, 150 + n])).collect();
    let asked = bundles.into_iter().map(|bundle| engine.submit(bundle));
    let answers = futures_util::future::join_all(asked).await;
    let signed = answers.into_iter().map(take).filter(|a| matches!(a, Answer::Signed(_))).count();
    house.settle_down(&engine).await;
    assert_eq!(signed, 3, "900 of 1000 USD");
    assert_eq!(house.ledger.all().iter().filter(|r| r.state == S::Executed).count(), 6);
}

#[tokio::test(start_paused = true)]
async fn a_bundle_waits_for_people_as_a_whole_and_is_carried_out_by_one_approval() {
    let house = House::new();
    let engine = house.gateway().await;
    let submission = to_payee(&house, &[50, 60, 70]);
    let parked = take(engine.submit(submission.clone()).await);
    let Answer::Pending(pending) = &parked else { panic!("{parked:?}") };
    assert_eq!((pending.state, pending.code.as_str()), (S::Parked, "amount_above_threshold"));
    let head = house.only();
    let id = head.intent.bundle.as_ref().unwrap().name();
    assert_eq!(status(&engine, &submission, &id).await, CallsStatus::Pending);
    house.settle_down(&engine).await;
    assert_eq!(house.signer.signatures(), 0, "nothing is signed before all are approved");
    let digest = head.digest.unwrap();
    engine.approve(&operator("bob"), head.id, digest, None).await.unwrap();
    house.settle_down(&engine).await;
    assert_eq!(house.paid(), eth(180));
    let again = to_payee(&house, &[50, 60, 70]);
    assert_eq!(name(&take(engine.submit(again).await)), id, "the same request has the result");
    assert_eq!((house.ledger.all().len(), house.signer.signatures()), (3, 3));
}

#[tokio::test(start_paused = true)]
async fn a_rejected_bundle_sends_nothing_and_says_so() {
    let house = House::new();
    let engine = house.gateway().await;
    let submission = calls(&house, &[(PAYEE, 90), (PAYEE, 90)], Some("mine"));
    drop(take(engine.submit(submission.clone()).await));
    let head = house.only();
    engine.reject(&operator("bob"), head.id, "no".into()).await.unwrap();
    assert_eq!(status(&engine, &submission, "mine").await, CallsStatus::Failed);
    let [reserved, ..] = house.counts().await;
    assert_eq!((reserved, house.signer.signatures()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn an_id_is_one_bundle_for_ever_and_the_agents_own() {
    let house = House::new();
    let engine = house.gateway().await;
    let mine = calls(&house, &[(PAYEE, 10), (PAYEE, 20)], Some("mine"));
    assert_eq!(name(&take(engine.submit(mine.clone()).await)), "mine");
    house.settle_down(&engine).await;
    let again = take(engine.submit(mine.clone()).await);
    assert_eq!(again, Answer::DuplicateBundle, "it has its answer");
    let other = take(engine.submit(calls(&house, &[(PAYEE, 11)], Some("mine"))).await);
    assert_eq!(other, Answer::DuplicateBundle);
    let made = name(&take(engine.submit(to_payee(&house, &[5])).await));
    house.settle_down(&engine).await;
    let taken = take(engine.submit(calls(&house, &[(PAYEE, 6)], Some(&made))).await);
    assert_eq!(taken, Answer::DuplicateBundle, "the gateway gave this id away");
    assert_eq!(house.paid(), eth(35));
    house.chain.answer_read("eth_getTransactionReceipt", ReadAnswer::Result("null".into()));
    let stranger = countersign_core::identity::AgentId::parse("other").unwrap();
    for id in ["mine", made.as_str()] {
        assert!(engine.calls_status(&mine.agent, id).await.unwrap().is_some());
        assert_eq!(engine.calls_status(&stranger, id).await, Ok(None));
    }
}

#[tokio::test(start_paused = true)]
async fn calls_behind_one_that_is_not_committed_are_given_back() {
    let house = House::new();
    let engine = house.gateway().await;
    let mut setup = house.setup(crate::house::POLICY);
    setup.wallets.values_mut().for_each(|wallet| wallet.in_flight_max = 1);
    engine.replace(setup);
    let submission = to_payee(&house, &[10, 20, 30]);
    let id = name(&take(engine.submit(submission.clone()).await));
    // nothing is mined, so the second call finds no room until its time is over
    house.pass(&engine, Millis(70_000)).await;
    let states: Vec<S> = in_order(&house).iter().map(|call| call.state).collect();
    assert_eq!(states, [S::Broadcast, S::Rejected, S::Rejected]);
    house.settle_down(&engine).await;
    assert_eq!(house.paid(), eth(10));
    let calls = in_order(&house);
    let day = calls[0].charges.iter().find(|c| c.source.limit == "day").unwrap().clone();
    assert_eq!(house.counts_of(day).await[..2], [0, 0], "what was held for the others is free");
    house.chain.answer_read("eth_getTransactionReceipt", ReadAnswer::Result("null".into()));
    assert_eq!(status(&engine, &submission, &id).await, CallsStatus::Partial);
}

#[tokio::test(start_paused = true)]
async fn nothing_of_a_bundle_is_sent_whose_first_call_is_cancelled_before_it_is_signed() {
    let house = House::new();
    let engine = house.gateway().await;
    house.signer.set_broken(true);
    let submission = to_payee(&house, &[10, 20, 30]);
    let waits = take(engine.submit(submission.clone()).await);
    assert!(matches!(waits, Answer::Pending(_)), "{waits:?}");
    let first = in_order(&house)[0].clone();
    assert_eq!(first.state, S::Prepared);
    // its bytes cannot be made either, so nobody knows yet that the nonce is used up
    drop(engine.cancel_operation(&operator("bob"), first.id).await);
    house.pass(&engine, Millis(20_000)).await;
    let states: Vec<S> = in_order(&house).iter().map(|call| call.state).collect();
    assert_eq!(states, [S::Cancelling, S::Allowed, S::Allowed]);
    house.signer.set_broken(false);
    house.settle_down(&engine).await;
    let states: Vec<S> = in_order(&house).iter().map(|call| call.state).collect();
    assert_eq!(states, [S::Cancelled, S::Rejected, S::Rejected]);
    assert_eq!(house.paid(), eth(0));
    let told = take(engine.submit(submission).await);
    let Answer::Denied(denied) = told else { panic!("{told:?}") };
    assert_eq!(denied.code, "cancelled");
}

#[tokio::test(start_paused = true)]
async fn a_freeze_between_two_calls_stops_those_that_follow() {
    let house = House::new();
    let engine = house.gateway().await;
    let mut setup = house.setup(crate::house::POLICY);
    setup.wallets.values_mut().for_each(|wallet| wallet.in_flight_max = 1);
    engine.replace(setup);
    drop(take(engine.submit(to_payee(&house, &[10, 20, 30])).await));
    house.ledger.freeze(&countersign_testkit::fixture::order(&Freeze::Global)).await.unwrap();
    house.settle_down(&engine).await;
    let states: Vec<S> = in_order(&house).iter().map(|call| call.state).collect();
    assert_eq!(states, [S::Executed, S::Rejected, S::Rejected]);
    assert_eq!(house.paid(), eth(10));
}

#[tokio::test(start_paused = true)]
async fn a_bundle_that_cannot_be_paid_or_would_fail_is_refused_before_anything_is_held() {
    let house = House::new();
    let engine = house.gateway().await;
    house.chain.fund(house.signer_address(), eth(50));
    let poor = take(engine.submit(to_payee(&house, &[30, 30])).await);
    assert!(
        matches!(&poor, Answer::NodeRefused(why) if why.message.contains("balance")),
        "{poor:?}"
    );
    house.chain.fund(house.signer_address(), eth(1000));
    let message = "execution reverted".to_owned();
    house.chain.set_estimate(Some(Estimate::Fails { code: 3, message, data: None }));
    let failing = take(engine.submit(to_payee(&house, &[30, 30])).await);
    let Answer::NodeRefused(why) = failing else { panic!("{failing:?}") };
    assert!(why.message.starts_with("call 1: "), "{}", why.message);
    assert!(house.ledger.all().is_empty());
}

/// Three calls of 25 USD, with the process ending at `cut`; approved first, if people are asked.
async fn survives(cut: Cut, each: u64) -> bool {
    let house = House::new();
    let mortal = Mortal::over(&house, cut);
    let engine = house.gateway_over(mortal.clone());
    drop(engine.announce().await);
    let first = take(engine.submit(to_payee(&house, &[each; 3])).await);
    approve_parked(&house, &engine).await;
    house.settle_down(&engine).await;
    let was_cut = mortal.was_cut();

    let engine = successor(&house).await;
    house.settle_down(&engine).await;
    let again = take(engine.submit(to_payee(&house, &[each; 3])).await);
    approve_parked(&house, &engine).await;
    house.settle_down(&engine).await;
    books_balance(&house, cut);
    let had_answer = matches!(first, Answer::Signed(_));
    let (paid, all) = (house.paid(), eth(each * 3));
    let fine = paid == all || had_answer && paid == all * U256::from(2);
    assert!(fine, "{cut:?}: {paid} after {first:?} and {again:?}");
    was_cut
}

async fn approve_parked(house: &House, engine: &Arc<Engine>) {
    let parked = house.ledger.all().into_iter().find(|record| record.state == S::Parked);
    if let Some(record) = parked {
        let digest = record.digest.unwrap();
        drop(engine.approve(&operator("bob"), record.id, digest, None).await);
    }
}

#[tokio::test(start_paused = true)]
async fn a_bundle_survives_the_end_of_the_process_at_every_call() {
    for each in [25, 50] {
        let mut cuts = 0;
        while cuts < 60 && survives(Cut::Before(cuts), each).await {
            survives(Cut::After(cuts), each).await;
            cuts += 1;
        }
        assert!(cuts >= 15, "only {cuts} calls were cut: the test does not reach the pipeline");
    }
}

#[tokio::test(start_paused = true)]
async fn a_single_failed_call_to_the_store_strands_no_bundle() {
    let mut cuts = 0;
    while cuts < 40 && survives(Cut::OnlyBefore(cuts), 25).await {
        survives(Cut::OnlyAfter(cuts), 25).await;
        cuts += 1;
    }
    assert!(cuts >= 15, "only {cuts} calls were cut: the test does not reach the pipeline");
}

/// The fee of one call is less than that of all of them, also when it was raised.
#[tokio::test(start_paused = true)]
async fn a_renamed_limit_counts_the_raised_fee_of_one_call() {
    let house = House::new();
    let engine = house.gateway().await;
    take(engine.submit(to_payee(&house, &[10, 20, 30])).await);
    let id = in_order(&house)[0].id;
    engine.bump(&operator("bob"), id, None).await.unwrap();
    engine.replace(house.setup(&POLICY.replace("id: day,", "id: daily,")));
    take(engine.submit(send(&house, PAYEE, 1)).await);
    let all = house.ledger.all();
    let record = all.iter().find(|record| record.id == id).unwrap();
    let of = |limit: &str| record.charges.iter().find(|c| c.source.limit == limit).unwrap();
    assert_eq!(of("daily").value, of("day").value);
    assert!(of("daily").fee >= of("day").fee, "{} < {}", of("daily").fee, of("day").fee);
}
