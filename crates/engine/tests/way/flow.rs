//! The way of a request over fakes of every port: what the agent is told, and what the books say.

use crate::house::{House, PAYEE, POLICY, STRANGER, eth, operator, send, take};
use countersign_core::{
    fact::Freeze,
    operation::{Delivery, OperationState},
    time::Millis,
    trace::TraceStatus,
};
use countersign_engine::{
    DeskError,
    port::Ledger as _,
    submission::{Answer, Pending},
};
use countersign_testkit::chain::Mood;

fn pending(answer: Answer) -> Pending {
    match answer {
        Answer::Pending(pending) => pending,
        other => panic!("not pending: {other:?}"),
    }
}

fn hash(answer: &Answer) -> alloy_primitives::B256 {
    match answer {
        Answer::Signed(signed) => signed.hash,
        other => panic!("not signed: {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn an_allowed_send_is_mined_and_settled() {
    let house = House::new();
    let engine = house.gateway().await;
    let answer = take(engine.submit(send(&house, PAYEE, 50)).await);
    hash(&answer);
    house.settle_down(&engine).await;
    let record = house.only();
    assert_eq!((record.state, record.delivery), (OperationState::Executed, Delivery::Collected));
    assert_eq!(house.paid(), eth(50));
    let trace = house.journals.all().remove(0);
    assert_eq!((trace.status, trace.tx_hash), (TraceStatus::Executed, record.hash()));
    assert!(trace.duration_ms.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_stranger_and_a_large_amount_are_denied_with_a_trace() {
    for (to, usd, code) in [(STRANGER, 50, "no_rule_allows"), (PAYEE, 600, "per_tx_limit_exceeded")]
    {
        let house = House::new();
        let answer = take(house.gateway().await.submit(send(&house, to, usd)).await);
        let Answer::Denied(denied) = answer else { panic!("{answer:?}") };
        assert_eq!(denied.code, code);
        let trace = house.journals.all().remove(0);
        assert_eq!((trace.trace_hash, trace.status), (denied.trace, TraceStatus::Blocked));
        assert_eq!(house.only().state, OperationState::Denied);
        assert_eq!((house.signer.signatures(), house.chain.sent().len()), (0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_parked_send_is_one_operation_until_it_is_collected() {
    let house = House::new();
    let engine = house.gateway().await;
    let first = pending(take(engine.submit(send(&house, PAYEE, 200)).await));
    let again = pending(take(engine.submit(send(&house, PAYEE, 200)).await));
    assert_eq!((first.operation, first.code.as_str()), (again.operation, "amount_above_threshold"));
    let digest = house.only().digest.unwrap();
    let other = countersign_testkit::fixture::digest(1);
    let bob = operator("bob");
    let wrong = engine.approve(&bob, first.operation, other, None).await;
    assert_eq!(wrong, Err(DeskError::OtherDigest));
    engine.approve(&bob, first.operation, digest, None).await.unwrap();
    house.settle_down(&engine).await;
    assert_eq!(house.only().state, OperationState::Executed);
    let collected = take(engine.submit(send(&house, PAYEE, 200)).await);
    assert_eq!(Some(hash(&collected)), house.only().hash());
    tokio::task::yield_now().await;
    let fresh = pending(take(engine.submit(send(&house, PAYEE, 200)).await));
    assert_ne!(fresh.operation, first.operation);
    assert_eq!(house.paid(), eth(200));
}

#[tokio::test(start_paused = true)]
async fn nobody_approves_their_own_agents_request_or_outside_of_their_gate() {
    let house = House::new();
    let engine = house.gateway().await;
    let parked = pending(take(engine.submit(send(&house, PAYEE, 200)).await));
    let digest = house.only().digest.unwrap();
    for (name, expect) in [("alice", DeskError::Requester), ("carol", DeskError::NotInGate)] {
        let refused = engine.approve(&operator(name), parked.operation, digest, None).await;
        assert_eq!(refused, Err(expect));
    }
    assert_eq!(house.only().state, OperationState::Parked);
}

#[tokio::test(start_paused = true)]
async fn a_rejection_is_final_and_frees_the_money() {
    let house = House::new();
    let engine = house.gateway().await;
    let parked = pending(take(engine.submit(send(&house, PAYEE, 200)).await));
    engine.reject(&operator("bob"), parked.operation, "not today".into()).await.unwrap();
    let answer = take(engine.submit(send(&house, PAYEE, 200)).await);
    let Answer::Denied(denied) = answer else { panic!("{answer:?}") };
    assert_eq!((denied.code.as_str(), denied.reason.as_str()), ("approval_rejected", "not today"));
    let budget = engine.budget(house.only().agent()).await.unwrap();
    assert_eq!((budget.len(), budget[0].used.as_str()), (1, "0"));
}

#[tokio::test(start_paused = true)]
async fn an_expired_question_is_a_denial_and_frees_the_money() {
    let house = House::new();
    let engine = house.gateway().await;
    pending(take(engine.submit(send(&house, PAYEE, 200)).await));
    house.time.advance("2h".parse::<Millis>().unwrap());
    house.settle_down(&engine).await;
    let answer = take(engine.submit(send(&house, PAYEE, 200)).await);
    let Answer::Denied(denied) = answer else { panic!("{answer:?}") };
    assert_eq!(denied.code, "approval_expired");
}

#[tokio::test(start_paused = true)]
async fn a_held_call_is_answered_by_the_approval() {
    let house = House::new();
    let engine = house.gateway().await;
    let mut held = send(&house, PAYEE, 200);
    held.wait = Some(Millis(30_000));
    let asking = tokio::spawn({
        let engine = engine.clone();
        async move { take(engine.submit(held).await) }
    });
    while house.ledger.all().is_empty() {
        tokio::task::yield_now().await;
    }
    let record = house.only();
    engine.approve(&operator("bob"), record.id, record.digest.unwrap(), None).await.unwrap();
    assert_eq!(Some(hash(&asking.await.unwrap())), house.only().hash());
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_goes_away_finds_its_result_by_repeating() {
    let house = House::new();
    let engine = house.gateway().await;
    let reply = engine.submit(send(&house, PAYEE, 50)).await;
    let first = hash(&reply.answer);
    drop(reply);
    tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    let second = hash(&take(engine.submit(send(&house, PAYEE, 50)).await));
    assert_eq!((first, house.signer.signatures()), (second, 1));
}

#[tokio::test(start_paused = true)]
async fn racing_sends_stop_exactly_at_the_limit() {
    let house = House::new();
    let engine = house.gateway().await;
    let asks = (0..120).map(|_| engine.submit(send(&house, PAYEE, 60)));
    let answers = futures_util::future::join_all(asks).await;
    let signed = answers.iter().filter(|r| matches!(r.answer, Answer::Signed(_))).count();
    let denied = answers
        .iter()
        .filter(|r| matches!(&r.answer, Answer::Denied(d) if d.code == "rolling_limit_exceeded"));
    // fees count in the window, so sixteen payments of 60 USD fit into 1000 USD and a seventeenth never
    assert_eq!((signed, denied.count()), (16, 104));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_signed_while_something_that_is_needed_is_down() {
    let house = House::new();
    let engine = house.gateway().await;
    house.chain.set_down(true);
    let answer = take(engine.submit(send(&house, PAYEE, 50)).await);
    assert!(matches!(answer, Answer::Unavailable(_)), "{answer:?}");
    house.chain.set_down(false);
    house.prices.set("ETH", None);
    let answer = take(engine.submit(send(&house, PAYEE, 50)).await);
    assert!(matches!(answer, Answer::Unavailable(_) | Answer::Denied(_)), "{answer:?}");
    assert_eq!((house.signer.signatures(), house.chain.sent().len()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_of_the_node_sends_only_the_same_bytes_again() {
    let house = House::new();
    let engine = house.gateway().await;
    house.chain.set_mood(Mood::LosesReplies);
    let first = hash(&take(engine.submit(send(&house, PAYEE, 50)).await));
    assert_eq!(house.only().state, OperationState::Unknown);
    house.chain.set_mood(Mood::Takes);
    house.settle_down(&engine).await;
    let sent = house.chain.sent();
    assert!(sent.windows(2).all(|pair| pair[0] == pair[1]), "other bytes were sent");
    assert_eq!((house.only().hash(), house.paid()), (Some(first), eth(50)));
    assert_eq!(house.only().state, OperationState::Executed);
}

#[tokio::test(start_paused = true)]
async fn bytes_that_never_arrived_are_sent_again() {
    let house = House::new();
    let engine = house.gateway().await;
    house.chain.set_mood(Mood::Drops);
    hash(&take(engine.submit(send(&house, PAYEE, 50)).await));
    house.chain.set_mood(Mood::Takes);
    house.settle_down(&engine).await;
    assert_eq!((house.only().state, house.paid()), (OperationState::Executed, eth(50)));
}

#[tokio::test(start_paused = true)]
async fn a_foreign_use_of_the_nonce_is_a_conflict_that_stops_the_wallet() {
    let house = House::new();
    let engine = house.gateway().await;
    house.chain.set_mood(Mood::Drops);
    hash(&take(engine.submit(send(&house, PAYEE, 50)).await));
    house.chain.use_nonce_elsewhere(house.only().intent.address);
    for _ in 0..4 {
        house.settle_down(&engine).await;
    }
    assert_eq!(house.only().state, OperationState::Conflict);
    assert_eq!(house.ledger.freezes().await.unwrap(), [Freeze::Wallet(crate::house::wallet())]);
}

#[tokio::test(start_paused = true)]
async fn a_freeze_stops_the_next_signature() {
    let house = House::new();
    let engine = house.gateway().await;
    house.ledger.freeze(&countersign_testkit::fixture::order(&Freeze::Global)).await.unwrap();
    let answer = take(engine.submit(send(&house, PAYEE, 50)).await);
    let Answer::Denied(denied) = answer else { panic!("{answer:?}") };
    assert_eq!((denied.code.as_str(), house.signer.signatures()), ("frozen", 0));
}

#[tokio::test(start_paused = true)]
async fn a_key_names_one_operation_for_ever() {
    let house = House::new();
    let engine = house.gateway().await;
    let keyed = |usd| {
        let mut submission = send(&house, PAYEE, usd);
        submission.key = Some("invoice-7".into());
        submission
    };
    let first = hash(&take(engine.submit(keyed(50)).await));
    assert_eq!(hash(&take(engine.submit(keyed(50)).await)), first);
    let other = take(engine.submit(keyed(51)).await);
    assert!(matches!(&other, Answer::Malformed(m) if m.field == "idempotencyKey"), "{other:?}");
    assert_eq!(house.signer.signatures(), 1);
}

#[tokio::test(start_paused = true)]
async fn client_fixed_nonces_may_come_out_of_order_but_not_twice() {
    let house = House::new();
    let engine = house.gateway().await;
    let fixed = |nonce, usd| {
        let mut submission = send(&house, PAYEE, usd);
        crate::house::draft(&mut submission).nonce = Some(nonce);
        engine.submit(submission)
    };
    let answers = futures_util::future::join3(fixed(2, 1), fixed(1, 2), fixed(0, 3)).await;
    for reply in [answers.0, answers.1, answers.2] {
        hash(&take(reply));
    }
    let nonces: Vec<_> = house.ledger.all().iter().map(|r| (r.intent.nonce, r.nonce())).collect();
    assert!(nonces.iter().all(|(asked, got)| asked == got), "{nonces:?}");
    let taken = take(fixed(1, 9).await);
    assert!(
        matches!(&taken, Answer::NodeRefused(no) if no.message.contains("next is 3")),
        "{taken:?}"
    );
    let early = take(fixed(9, 9).await);
    assert!(
        matches!(&early, Answer::NodeRefused(no) if no.message.contains("next is 3")),
        "{early:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_wallet_that_cannot_pay_binds_no_nonce() {
    let house = House::new();
    let engine = house.gateway().await;
    house.chain.fund(house.signer_address(), eth(40));
    let answer = take(engine.submit(send(&house, PAYEE, 50)).await);
    assert!(matches!(answer, Answer::NodeRefused(_)), "{answer:?}");
    house.chain.fund(house.signer_address(), eth(4000));
    hash(&take(engine.submit(send(&house, PAYEE, 50)).await));
    assert_eq!(house.ledger.all().last().unwrap().nonce(), Some(0));
}

#[tokio::test(start_paused = true)]
async fn an_approval_that_people_gave_for_a_lower_fee_is_asked_again() {
    let house = House::new();
    let engine = house.gateway().await;
    let parked = pending(take(engine.submit(send(&house, PAYEE, 200)).await));
    let digest = house.only().digest.unwrap();
    house.chain.set_base_fee(50_000_000_000);
    engine.approve(&operator("bob"), parked.operation, digest, None).await.unwrap();
    house.settle_down(&engine).await;
    let again = house.only();
    assert_eq!((again.state, again.votes.len()), (OperationState::Parked, 0));
    assert_ne!(again.digest, Some(digest));
}

#[tokio::test(start_paused = true)]
async fn an_operation_without_a_signature_is_never_in_conflict() {
    let house = House::new();
    let engine = house.gateway().await;
    house.signer.set_broken(true);
    pending(take(engine.submit(send(&house, PAYEE, 50)).await));
    house.chain.use_nonce_elsewhere(house.signer_address());
    house.settle_down(&engine).await;
    assert_eq!(house.only().state, OperationState::Prepared);
    assert_eq!(house.ledger.freezes().await.unwrap(), []);
    house.signer.set_broken(false);
    let engine = house.gateway().await;
    for _ in 0..4 {
        house.settle_down(&engine).await;
    }
    assert_eq!(house.only().state, OperationState::Conflict);
}

#[tokio::test(start_paused = true)]
async fn a_gates_delay_lies_between_the_last_vote_and_the_signature() {
    let house = House::new();
    let engine = house.gateway().await;
    engine.replace(house.setup(&POLICY.replace("ttl: 2h,", "ttl: 2h, delay: 10m,")));
    let parked = pending(take(engine.submit(send(&house, PAYEE, 200)).await));
    let digest = house.only().digest.unwrap();
    engine.approve(&operator("bob"), parked.operation, digest, None).await.unwrap();
    house.settle_down(&engine).await;
    assert_eq!((house.only().state, house.signer.signatures()), (OperationState::Approved, 0));
    house.time.advance("10m".parse::<Millis>().unwrap());
    let engine = house.gateway().await;
    engine.replace(house.setup(&POLICY.replace("ttl: 2h,", "ttl: 2h, delay: 10m,")));
    house.settle_down(&engine).await;
    assert_eq!(house.only().state, OperationState::Executed);
}

#[tokio::test(start_paused = true)]
async fn an_approval_that_people_gave_for_another_worth_is_asked_again_once() {
    let house = House::new();
    let engine = house.gateway().await;
    let parked = pending(take(engine.submit(send(&house, PAYEE, 200)).await));
    for (price, state) in [("1100", OperationState::Parked), ("1100", OperationState::Executed)] {
        house.prices.set("ETH", Some(price));
        let digest = house.only().digest.unwrap();
        engine.approve(&operator("bob"), parked.operation, digest, None).await.unwrap();
        house.settle_down(&engine).await;
        assert_eq!(house.only().state, state);
    }
}

#[tokio::test(start_paused = true)]
async fn a_held_call_is_answered_when_the_gateway_stops() {
    let house = House::new();
    let engine = house.gateway().await;
    let mut held = send(&house, PAYEE, 200);
    held.wait = Some(Millis(60_000));
    let asking = tokio::spawn({
        let engine = engine.clone();
        async move { take(engine.submit(held).await) }
    });
    while house.ledger.all().is_empty() {
        tokio::task::yield_now().await;
    }
    let begun = tokio::time::Instant::now();
    engine.end_waits();
    pending(asking.await.unwrap());
    assert!(begun.elapsed() < std::time::Duration::from_secs(2), "the hold went on");
}

#[tokio::test(start_paused = true)]
async fn gates_that_would_take_turns_are_asked_together() {
    let house = House::new();
    let engine = house.gateway().await;
    let rules = POLICY
        .replace(
            "rules:",
            "rules:\n  - { id: always, when: { kind: transfer }, then: { approve: desk } }",
        )
        .replace("gates:", "gates:\n  board: { need: [{ any: 1, of: [bob] }] }")
        .replace("max: 1000, code", "max: 300, over: { approve: board }, code");
    engine.replace(house.setup(&rules));
    for _ in 0..2 {
        let parked = pending(take(engine.submit(send(&house, PAYEE, 200)).await));
        for _ in 0..2 {
            let record = house.ledger.operation(parked.operation).await.unwrap().unwrap();
            if record.state == OperationState::Parked {
                let digest = record.digest.unwrap();
                engine.approve(&operator("bob"), record.id, digest, None).await.unwrap();
                house.settle_down(&engine).await;
            }
        }
        let record = house.ledger.operation(parked.operation).await.unwrap().unwrap();
        assert_eq!(record.state, OperationState::Executed, "{:?}", record.gates);
        hash(&take(engine.submit(send(&house, PAYEE, 200)).await));
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    assert_eq!(house.paid(), eth(400));
}

#[tokio::test(start_paused = true)]
async fn the_fee_ceiling_stands_at_redemption_too() {
    let house = House::new();
    let engine = house.gateway().await;
    let parked = pending(take(engine.submit(send(&house, PAYEE, 200)).await));
    let digest = house.only().digest.unwrap();
    house.chain.set_base_fee(400_000_000_000);
    engine.approve(&operator("bob"), parked.operation, digest, None).await.unwrap();
    house.settle_down(&engine).await;
    let record = house.only();
    assert_eq!(
        (record.state, record.code.as_str()),
        (OperationState::Rejected, "fee_ceiling_exceeded")
    );
    assert_eq!(house.signer.signatures(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_seal_stops_what_is_committed_but_not_signed() {
    let house = House::new();
    let engine = house.gateway().await;
    house.signer.set_broken(true);
    pending(take(engine.submit(send(&house, PAYEE, 50)).await));
    house.ledger.seal("a test").await.unwrap();
    house.signer.set_broken(false);
    house.settle_down(&engine).await;
    assert_eq!((house.only().state, house.signer.signatures()), (OperationState::Prepared, 0));
    house.ledger.unseal().await.unwrap();
    house.settle_down(&house.gateway().await).await;
    assert_eq!(house.only().state, OperationState::Executed);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_was_never_noted_ages_like_any_other() {
    let house = House::new();
    let engine = house.gateway().await;
    let mut setup = house.setup(POLICY);
    for agent in setup.agents.values_mut() {
        agent.duplicate_window = Millis(15_000);
    }
    engine.replace(setup);
    let reply = engine.submit(send(&house, PAYEE, 50)).await;
    let first = hash(&reply.answer);
    std::mem::drop(reply.answer);
    // the connection took the bytes, and noting that fails for as long as the engine asks
    house.ledger.break_with(Some(countersign_engine::port::ledger::LedgerError::Unavailable(
        "test".into(),
    )));
    reply.receipt.handed_over();
    tokio::time::sleep(std::time::Duration::from_secs(30)).await;
    house.ledger.break_with(None);
    engine.announce().await.unwrap();
    assert_eq!(house.only().delivery, Delivery::Waiting);
    assert_eq!(hash(&take(engine.submit(send(&house, PAYEE, 50)).await)), first);
    house.time.advance(Millis(16_000));
    engine.announce().await.unwrap();
    assert_ne!(hash(&take(engine.submit(send(&house, PAYEE, 50)).await)), first);
}

#[tokio::test(start_paused = true)]
async fn a_ledger_that_is_sealed_or_lost_and_clocks_that_disagree_have_codes_of_their_own() {
    use countersign_engine::port::ledger::LedgerError;
    let house = House::new();
    let engine = house.gateway().await;
    for (error, expected) in [
        (LedgerError::Lost("the store is empty".into()), "sealed"),
        (LedgerError::Clock("an hour apart".into()), "clock_unavailable"),
        (LedgerError::Unavailable("gone".into()), "store_unavailable"),
    ] {
        house.ledger.break_with(Some(error.clone()));
        let answer = take(engine.submit(send(&house, PAYEE, 50)).await);
        let Answer::Unavailable(unavailable) = answer else { panic!("{error:?}: {answer:?}") };
        assert_eq!(unavailable.code, expected, "{error:?}");
    }
    house.ledger.break_with(None);
    house.ledger.seal("a test").await.unwrap();
    let answer = take(engine.submit(send(&house, PAYEE, 50)).await);
    let Answer::Unavailable(unavailable) = answer else { panic!("sealed: {answer:?}") };
    assert_eq!(unavailable.code, "sealed");
    assert_eq!(house.signer.signatures(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_wallet_that_was_taken_away_is_not_used_by_an_old_approval() {
    let house = House::new();
    let engine = house.gateway().await;
    let parked = pending(take(engine.submit(send(&house, PAYEE, 200)).await));
    let digest = house.only().digest.unwrap();
    let mut setup = house.setup(POLICY);
    for agent in setup.agents.values_mut() {
        agent.wallets.clear();
    }
    engine.replace(setup);
    engine.approve(&operator("bob"), parked.operation, digest, None).await.unwrap();
    house.settle_down(&engine).await;
    assert_eq!((house.only().state, house.signer.signatures()), (OperationState::Rejected, 0));
}

#[tokio::test(start_paused = true)]
async fn the_requesters_person_may_not_reject_and_a_yes_without_delay_is_decided() {
    let house = House::new();
    let engine = house.gateway().await;
    let parked = pending(take(engine.submit(send(&house, PAYEE, 200)).await));
    let own = engine.reject(&operator("alice"), parked.operation, "no".into()).await;
    assert_eq!(own, Err(DeskError::Requester));
    house.chain.set_down(true);
    let digest = house.only().digest.unwrap();
    engine.approve(&operator("bob"), parked.operation, digest, None).await.unwrap();
    let late = engine.reject(&operator("bob"), parked.operation, "no".into()).await;
    assert!(matches!(late, Err(DeskError::Decided(_))), "{late:?}");
}

#[tokio::test(start_paused = true)]
async fn a_budget_says_when_something_frees() {
    let house = House::new();
    let engine = house.gateway().await;
    let agent = send(&house, PAYEE, 50).agent;
    assert_eq!(engine.budget(&agent).await.unwrap()[0].frees_at, None);
    hash(&take(engine.submit(send(&house, PAYEE, 50)).await));
    house.settle_down(&engine).await;
    assert!(engine.budget(&agent).await.unwrap()[0].frees_at > Some(house.time.now()));
}
