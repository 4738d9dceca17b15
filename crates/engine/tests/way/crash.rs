//! A gateway dies at every single call to its ledger, before or after the call takes effect. Another takes
//! over, the agent repeats its request, and the books and the chain must agree: paid once, nothing lost.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::house::{House, PAYEE, eth, operator, send, take};
use alloy_primitives::{Address, Bytes, keccak256};
use async_trait::async_trait;
use countersign_core::{
    charge::{Charge, CounterId, Reading},
    fact::Freeze,
    freeze::{FreezeOrder, StandingFreeze},
    identity::{AgentId, ChainId, OperationId, WalletId},
    operation::{Actual, Delivery, OperationRecord, OperationState},
    pact::{Pact, PactStanding},
    time::{Millis, Timestamp},
};
use countersign_engine::{
    Engine, ledger_functions,
    port::{
        Ledger,
        journal::Page,
        ledger::{
            Adopt, AdoptAnswer, Approve, ApproveAnswer, Bump, BumpAnswer, Census, Commit,
            CommitAnswer, DenyAnswer, Found, InitAnswer, LedgerError, LedgerStatus, MessageEnd,
            NewOperation, OperationQuery, PactAnswer, PactWord, Redeem, RedeemAnswer, Reject,
            RejectAnswer, ReleaseProof, Repeat, Reserve, ReserveAnswer, SentOutcome, Settle,
            SignedBytes, Split, SplitAnswer, Survey, Surveyed,
        },
    },
    submission::Answer,
};
use countersign_testkit::ModelLedger;

/// Where the process ends: at the n-th call, before or after it takes effect. No call works after that. Or only
/// the n-th call fails, before or after it takes effect, or every n-th, and the process lives on.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Cut {
    Before(u64),
    After(u64),
    OnlyBefore(u64),
    OnlyAfter(u64),
    Every(u64),
    /// Every answer of one function is lost; what it does happens.
    AnswersOf(&'static str),
    /// No call of one function arrives.
    Without(&'static str),
}

#[derive(Debug)]
pub(crate) struct Mortal {
    inner: Arc<ModelLedger>,
    calls: AtomicU64,
    cut: Cut,
    /// What somebody says to a pact, and the function after which they do.
    said: Option<(&'static str, PactWord)>,
}

impl Mortal {
    /// Over a house's ledger.
    pub(crate) fn over(house: &House, cut: Cut) -> Arc<Self> {
        Arc::new(Self { inner: house.ledger.clone(), calls: AtomicU64::new(0), cut, said: None })
    }

    /// Over a house's ledger; somebody speaks to a pact after each call of this function.
    pub(crate) fn spoken_to(house: &House, after: &'static str, word: PactWord) -> Arc<Self> {
        let said = Some((after, word));
        let (calls, cut) = (AtomicU64::new(0), Cut::AnswersOf("nothing"));
        Arc::new(Self { inner: house.ledger.clone(), calls, cut, said })
    }

    async fn speak(&self, after: &str) {
        if let Some((_, word)) = self.said.as_ref().filter(|(name, _)| *name == after) {
            self.inner.say(word).await.unwrap();
        }
    }

    /// Counts the call; says whether it takes effect, and whether its answer arrives.
    fn step(&self, called: &str) -> (bool, bool) {
        let n = self.calls.fetch_add(1, Ordering::SeqCst);
        match self.cut {
            Cut::Before(cut) => (n < cut, n < cut),
            Cut::After(cut) => (n <= cut, n < cut),
            Cut::OnlyBefore(cut) => (n != cut, n != cut),
            Cut::OnlyAfter(cut) => (true, n != cut),
            Cut::Every(cut) => (!n.is_multiple_of(cut), !n.is_multiple_of(cut)),
            Cut::AnswersOf(name) => (true, called != name),
            Cut::Without(name) => (called != name, called != name),
        }
    }

    pub(crate) fn was_cut(&self) -> bool {
        let calls = self.calls.load(Ordering::SeqCst);
        match self.cut {
            Cut::Before(cut)
            | Cut::After(cut)
            | Cut::OnlyBefore(cut)
            | Cut::OnlyAfter(cut)
            | Cut::Every(cut) => calls > cut,
            Cut::AnswersOf(_) | Cut::Without(_) => calls > 0,
        }
    }
}

macro_rules! mortal {
    ($($name:ident($($arg:ident: $type:ty),*) -> $answer:ty;)*) => {
        #[async_trait]
        impl Ledger for Mortal {
            $(async fn $name(&self, $($arg: $type),*) -> Result<$answer, LedgerError> {
                let (happens, arrives) = self.step(stringify!($name));
                if !happens {
                    return Err(LedgerError::Unavailable("the process has ended".into()));
                }
                let answer = self.inner.$name($($arg),*).await;
                self.speak(stringify!($name)).await;
                if arrives { answer } else { Err(LedgerError::Ambiguous("the process has ended".into())) }
            })*
        }
    };
}

ledger_functions! { mortal }

/// No operation has two payloads, no nonce two operations, and when all is quiet nothing is held.
pub(crate) fn books_balance(house: &House, cut: Cut) {
    let all = house.ledger.all();
    let mut nonces = BTreeMap::new();
    for record in &all {
        if let Some(nonce) = record.nonce() {
            let other = nonces.insert(nonce, record.id);
            assert_eq!(other, None, "{cut:?}: a nonce has two operations");
        }
        let state = record.state;
        let quiet = !matches!(
            state,
            OperationState::Allowed | OperationState::Approved | OperationState::Prepared
        );
        assert!(quiet, "{cut:?}: {state:?} is left over");
    }
    let known: BTreeSet<_> = all.iter().filter_map(OperationRecord::hash).collect();
    let sent: BTreeSet<_> = house.chain.sent().iter().map(keccak256).collect();
    assert!(sent.is_subset(&known), "{cut:?}: bytes were sent that no record knows");
}

/// Stored and not known to be: all of it within one millisecond of the store's clock.
#[tokio::test(start_paused = true)]
async fn what_is_signed_without_an_answer_is_sent_by_a_later_look() {
    let house = House::new();
    // nobody could make the same bytes again, so they are stored first
    house.signer.set_varying();
    let engine = house.gateway_over(Mortal::over(&house, Cut::AnswersOf("signed")));
    drop(engine.announce().await);
    take(engine.submit(send(&house, PAYEE, 50)).await);
    assert_eq!(house.chain.sent().len(), 0);
    house.settle_down(&engine).await;
    assert_eq!((house.paid(), house.only().state), (eth(50), OperationState::Executed));
}

/// What the key makes of a payload is the same each time, so it is sent before it is stored. Its sender never comes to
/// that, and somebody wants it cancelled before anybody has signed it again.
#[tokio::test(start_paused = true)]
async fn what_was_sent_and_never_stored_is_known_on_the_chain() {
    let house = House::new();
    let engine = house.gateway_over(Mortal::over(&house, Cut::Without("signed")));
    drop(engine.announce().await);
    let answer = take(engine.submit(send(&house, PAYEE, 50)).await);
    let Answer::Signed(signed) = answer else { panic!("the hash is true: {answer:?}") };
    let record = house.only();
    assert_eq!((record.state, record.hash()), (OperationState::Prepared, None));
    assert_eq!(house.chain.sent(), [signed.raw]);
    house.chain.mine();
    assert_eq!(house.paid(), eth(50));
    // the cancel is bound; what it was signed to is not stored either
    drop(engine.cancel_operation(&operator("bob"), record.id).await);
    assert_eq!(house.only().state, OperationState::Cancelling);

    let engine = successor(&house).await;
    for _ in 0..4 {
        house.settle_down(&engine).await;
    }
    let record = house.only();
    assert_eq!((record.state, record.attempts.len()), (OperationState::Executed, 2));
    assert_eq!(record.hash(), Some(signed.hash));
    assert_eq!((house.paid(), house.ledger.freezes().await.unwrap()), (eth(50), vec![]));
}

pub(crate) async fn successor(house: &House) -> Arc<Engine> {
    house.ledger.restart();
    let engine = house.gateway().await;
    house.settle_down(&engine).await;
    engine
}

/// Sends 50 USD once, with the process ending at `cut`; returns whether it came to the cut at all.
async fn allowed(cut: Cut) -> bool {
    let house = House::new();
    let mortal = Mortal::over(&house, cut);
    let engine = house.gateway_over(mortal.clone());
    drop(engine.announce().await);
    let first = take(engine.submit(send(&house, PAYEE, 50)).await);
    house.settle_down(&engine).await;
    let was_cut = mortal.was_cut();

    let engine = successor(&house).await;
    let again = take(engine.submit(send(&house, PAYEE, 50)).await);
    house.settle_down(&engine).await;
    assert!(matches!(again, Answer::Signed(_)), "{cut:?}: {first:?} then {again:?}");
    books_balance(&house, cut);
    // an agent that had its hash and asks again pays again; one that had none has paid once
    let had_hash = matches!(first, Answer::Signed(_));
    let paid = house.paid();
    assert!(paid == eth(50) || had_hash && paid == eth(100), "{cut:?}: {paid} after {first:?}");
    was_cut
}

/// Sends 50 USD with one call that fails; the same process goes on. Returns whether it came to that call at all.
async fn troubled(cut: Cut) -> bool {
    let house = House::new();
    let mortal = Mortal::over(&house, cut);
    let engine = house.gateway_over(mortal.clone());
    drop(engine.announce().await);
    let first = take(engine.submit(send(&house, PAYEE, 50)).await);
    house.settle_down(&engine).await;
    let mut again = take(engine.submit(send(&house, PAYEE, 50)).await);
    for _ in 0..3 {
        if matches!(again, Answer::Signed(_)) {
            break;
        }
        house.settle_down(&engine).await;
        again = take(engine.submit(send(&house, PAYEE, 50)).await);
    }
    house.settle_down(&engine).await;
    assert!(matches!(again, Answer::Signed(_)), "{cut:?}: {first:?} then {again:?}");
    books_balance(&house, cut);
    let had_hash = matches!(first, Answer::Signed(_));
    let paid = house.paid();
    assert!(paid == eth(50) || had_hash && paid == eth(100), "{cut:?}: {paid} after {first:?}");
    mortal.was_cut()
}

#[tokio::test(start_paused = true)]
async fn a_single_failed_call_strands_nothing() {
    let mut cuts = 0;
    while cuts < 30 && troubled(Cut::OnlyBefore(cuts)).await {
        troubled(Cut::OnlyAfter(cuts)).await;
        cuts += 1;
    }
    assert!(cuts >= 10, "only {cuts} calls were cut: the test does not reach the pipeline");
}

/// Parks 200 USD, approves it, with the process ending at `cut`.
async fn approved(cut: Cut) -> bool {
    let house = House::new();
    let mortal = Mortal::over(&house, cut);
    let engine = house.gateway_over(mortal.clone());
    drop(engine.announce().await);
    drop(take(engine.submit(send(&house, PAYEE, 200)).await));
    if let Some(record) = house.ledger.all().first()
        && let Some(digest) = record.digest
    {
        drop(engine.approve(&operator("bob"), record.id, digest, None).await);
    }
    house.settle_down(&engine).await;
    let was_cut = mortal.was_cut();

    let engine = successor(&house).await;
    let again = take(engine.submit(send(&house, PAYEE, 200)).await);
    let parked = house.ledger.all().iter().find(|r| r.state == OperationState::Parked).cloned();
    if let (Answer::Pending(pending), Some(record)) = (&again, parked) {
        assert_eq!(pending.operation, record.id, "{cut:?}");
        let digest = record.digest.unwrap();
        engine.approve(&operator("bob"), record.id, digest, None).await.unwrap();
        house.settle_down(&engine).await;
    }
    house.settle_down(&engine).await;
    books_balance(&house, cut);
    assert_eq!(house.paid(), eth(200), "{cut:?}: {again:?}");
    was_cut
}

#[tokio::test(start_paused = true)]
async fn a_send_survives_the_end_of_the_process_at_every_call() {
    let mut cuts = 0;
    while allowed(Cut::Before(cuts)).await {
        allowed(Cut::After(cuts)).await;
        cuts += 1;
        if cuts > 40 {
            break;
        }
    }
    assert!(cuts >= 10, "only {cuts} calls were cut: the test does not reach the pipeline");
}

#[tokio::test(start_paused = true)]
async fn an_approval_survives_the_end_of_the_process_at_every_call() {
    let mut cuts = 0;
    while approved(Cut::Before(cuts)).await {
        approved(Cut::After(cuts)).await;
        cuts += 1;
        if cuts > 40 {
            break;
        }
    }
    assert!(cuts >= 14, "only {cuts} calls were cut: the test does not reach the pipeline");
}
