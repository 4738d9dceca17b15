//! Pacts: what people say reaches what is in flight, and outlives every end of a process.

use std::sync::Arc;

use countersign_core::{
    identity::{AgentId, PolicyId},
    operation::OperationState as S,
    pact::{Pact, PactVerb},
    time::Millis,
    trace::Incident,
};
use countersign_engine::{
    Engine, GrantView, PactError,
    port::{
        Journal, Ledger,
        journal::IncidentQuery,
        ledger::{LedgerError, PactWord},
    },
    submission::Answer,
};
use countersign_policy::PactState;

use crate::{
    crash::{Cut, Mortal, successor},
    house::{House, PAYEE, POLICY, eth, operator, send, take},
};

fn asking() -> String {
    POLICY.replace("for: { agent: trader }", "for: { agent: trader }\nstarts: approved")
}

fn trader() -> AgentId {
    AgentId::parse("trader").unwrap()
}

fn version(engine: &Engine) -> PolicyId {
    engine.setup().agents.get(&trader()).unwrap().grant.id()
}

async fn say(engine: &Engine, verb: PactVerb) -> Result<GrantView, PactError> {
    let (agent, note) = (trader(), Some("because".to_owned()));
    engine.say_to_grant(&operator("bob"), (&agent, version(engine)), (verb, note)).await
}

fn code(answer: &Answer) -> &str {
    match answer {
        Answer::Denied(denied) => &denied.code,
        other => panic!("not denied: {other:?}"),
    }
}

async fn incidents(house: &House) -> Vec<Incident> {
    let query = IncidentQuery { limit: 100, ..IncidentQuery::default() };
    house.journals.journal("reader").incidents(&query).await.unwrap().items
}

fn gateway_over(house: &House, ledger: Arc<dyn Ledger>, policy: &str) -> Arc<Engine> {
    let engine = house.gateway_over(ledger);
    engine.replace(house.setup(policy));
    engine
}

/// Nothing, then a yes and what follows, then an end, with the process ending at `cut`; whether it came to it at all.
async fn spoken(cut: Cut, verb: PactVerb) -> bool {
    let house = House::new();
    let mortal = Mortal::over(&house, cut);
    let engine = gateway_over(&house, mortal.clone(), &asking());
    let told = say(&engine, verb).await;
    let was_cut = mortal.was_cut();
    house.ledger.restart();
    let engine = gateway_over(&house, house.ledger.clone(), &asking());
    engine.announce().await.unwrap();
    let pact = Pact { agent: trader(), grant: version(&engine) };
    let kept = house.ledger.pact(&pact).await.unwrap();
    assert!(told.is_err() || kept.is_some(), "{cut:?}: what was answered is kept");
    let view = say(&engine, verb).await.unwrap();
    let first = kept.or(view.standing.clone());
    assert_eq!(view.standing, first, "{cut:?}: what was said first stands");
    let sent = take(engine.submit(send(&house, PAYEE, 50)).await);
    match verb {
        PactVerb::Approve => assert!(matches!(sent, Answer::Signed(_)), "{cut:?}: {sent:?}"),
        PactVerb::Reject => assert_eq!(code(&sent), "grant_rejected"),
        PactVerb::Revoke => assert_eq!(code(&sent), "grant_revoked"),
    }
    let told: Vec<_> = incidents(&house).await.into_iter().map(|incident| incident.code).collect();
    assert_eq!(
        told.iter().filter(|code| code.starts_with("pact_")).count(),
        1,
        "{cut:?}: {told:?}"
    );
    was_cut
}

#[tokio::test(start_paused = true)]
async fn a_word_survives_the_end_of_the_process_at_every_call() {
    for verb in [PactVerb::Approve, PactVerb::Reject, PactVerb::Revoke] {
        let mut cuts = 0;
        while cuts < 20 && spoken(Cut::Before(cuts), verb).await {
            spoken(Cut::After(cuts), verb).await;
            spoken(Cut::OnlyAfter(cuts), verb).await;
            cuts += 1;
        }
        assert!(cuts >= 5, "only {cuts} calls were cut");
    }
}

/// Whoever judged before the end and binds after it binds nothing: the end is looked at in the step that binds.
#[tokio::test(start_paused = true)]
async fn what_was_judged_before_a_revocation_is_not_signed_after_it() {
    for after in ["survey", "reserve"] {
        let house = House::new();
        let pact = Pact {
            agent: trader(),
            grant: house.setup(POLICY).agents.get(&trader()).unwrap().grant.id(),
        };
        let word = PactWord { pact, verb: PactVerb::Revoke, by: operator("bob").id, note: None };
        let engine = house.gateway_over(Mortal::spoken_to(&house, after, word));
        engine.announce().await.unwrap();
        let answer = take(engine.submit(send(&house, PAYEE, 50)).await);
        assert_eq!(code(&answer), "grant_revoked", "after {after}");
        let record = house.only();
        assert_eq!((record.state, record.nonce()), (S::Rejected, None));
        assert!(house.chain.sent().is_empty());
        let charge = record.charges.iter().find(|c| c.source.limit == "day").unwrap().clone();
        assert_eq!(house.counts_of(charge).await, [0, 0, 0], "what was held is given back");
    }
}

#[tokio::test(start_paused = true)]
async fn what_waited_for_people_is_refused_when_its_pact_was_revoked_meanwhile() {
    let house = House::new();
    let engine = house.gateway().await;
    take(engine.submit(send(&house, PAYEE, 200)).await);
    let parked = house.only();
    say(&engine, PactVerb::Revoke).await.unwrap();
    engine.approve(&operator("bob"), parked.id, parked.digest.unwrap(), None).await.unwrap();
    house.settle_down(&engine).await;
    let record = house.only();
    assert_eq!((record.state, record.code.as_str()), (S::Rejected, "grant_revoked"));
    let again = take(engine.submit(send(&house, PAYEE, 200)).await);
    assert_eq!(code(&again), "grant_revoked");
    assert_eq!(house.paid(), eth(0));
}

#[tokio::test(start_paused = true)]
async fn what_is_on_its_way_when_its_pact_is_revoked_may_be_cancelled_and_not_bumped() {
    let house = House::new();
    let engine = house.gateway().await;
    take(engine.submit(send(&house, PAYEE, 50)).await);
    say(&engine, PactVerb::Revoke).await.unwrap();
    let id = house.only().id;
    let bumped = engine.bump(&operator("bob"), id, None).await.unwrap_err();
    assert!(bumped.to_string().contains("was revoked"), "{bumped}");
    engine.cancel_operation(&operator("bob"), id).await.unwrap();
    assert_eq!(house.only().state, S::Cancelling);
}

#[tokio::test(start_paused = true)]
async fn a_pact_that_asks_lets_nothing_through_before_a_yes_and_counts_from_it() {
    let house = House::new();
    let lasting = asking().replace("starts: approved", "lasts: 1h");
    for policy in [asking(), lasting] {
        let engine = gateway_over(&house, house.ledger.clone(), &policy);
        engine.announce().await.unwrap();
        let state = async || engine.grant(&trader()).await.unwrap().unwrap().state;
        assert_eq!(state().await, PactState::PendingApproval);
        let answer = take(engine.submit(send(&house, PAYEE, 50)).await);
        assert_eq!(code(&answer), "grant_pending");
        house.time.advance(Millis(2 * 3_600_000));
        engine.announce().await.unwrap();
        assert_eq!(say(&engine, PactVerb::Approve).await.unwrap().state, PactState::Active);
        let answer = take(engine.submit(send(&house, PAYEE, 50)).await);
        assert!(matches!(answer, Answer::Signed(_)), "{answer:?}");
        house.settle_down(&engine).await;
        house.time.advance(Millis(3_600_000));
        engine.announce().await.unwrap();
        let lasts = policy.contains("lasts: 1h");
        let expected = if lasts { PactState::Completed } else { PactState::Active };
        assert_eq!(state().await, expected);
        if lasts {
            let late = say(&engine, PactVerb::Revoke).await.unwrap_err();
            assert_eq!(late, PactError::Stands(PactState::Completed), "what is over is over");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_says_nothing_of_a_pact_lets_nothing_through() {
    let house = House::new();
    let engine = house.gateway_over(Mortal::over(&house, Cut::AnswersOf("survey")));
    engine.announce().await.unwrap();
    let answer = take(engine.submit(send(&house, PAYEE, 50)).await);
    assert!(matches!(answer, Answer::Unavailable(_)), "{answer:?}");
    let engine = house.gateway_over(Mortal::over(&house, Cut::AnswersOf("pact")));
    engine.announce().await.unwrap();
    let told = say(&engine, PactVerb::Revoke).await.unwrap_err();
    assert!(matches!(told, PactError::Unavailable(_)), "{told:?}");
    let lost = LedgerError::Ambiguous(String::new()).to_string();
    assert!(told.to_string().contains(lost.trim_end()), "{told}");
    assert!(house.ledger.all().is_empty() && house.chain.sent().is_empty());
    drop(successor(&house).await);
}
