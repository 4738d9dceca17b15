//! Random sequences of calls: the store's every answer must be the model's, and so must its counters,
//! which the model sums up over its operations (I2).

mod call;
mod phrase;
mod reach;

use std::{future::Future, sync::Arc};

use countersign_core::{
    charge::Charge,
    operation::OperationState as S,
    pact::Pact,
    time::{Millis, Timestamp},
};
use countersign_engine::port::{
    Ledger,
    ledger::{OperationQuery, Survey},
};
use proptest::{
    collection::vec,
    test_runner::{Config, TestCaseError, TestRunner},
};

pub use self::reach::the_phrases_reach_every_answer;
use self::{
    call::{Call, told},
    phrase::{BLOCKS, GRANTS, PARTS, Spend, Step, phrase},
};
use crate::{
    fixture::{
        self, CHAIN, DAY, GATEWAY, HOUR, address, agent, daily, grant, operation_id, wallet,
    },
    ledger::ModelLedger,
    suite::{LedgerBench, ledger::questions::WORK},
};

/// How many sequences, of how many phrases at most; a phrase is one call, or up to five in the life of one
/// operation.
const CASES: u32 = 128;
const PHRASES_MAX: usize = 40;

/// After so many calls everything that can be asked is compared, besides the answers.
const VIEW_EVERY: usize = 8;

/// Everything that can be asked.
async fn view(ledger: &dyn Ledger, now: Timestamp) -> String {
    let (hot, parties) = (wallet("hot"), [address(2), address(3)]);
    let mut view = told(ledger.now().await) + &counters(ledger, now).await;
    for n in 0..PARTS {
        view += &told(ledger.holder(CHAIN, &hot, n).await);
        view += &told(ledger.operation(operation_id(n)).await);
    }
    view += &two_pages(ledger, OperationQuery::default()).await;
    let states = vec![S::Parked, S::Executed, S::Cancelling];
    let of = OperationQuery { states, agent: Some(agent("trader")), ..OperationQuery::default() };
    view += &two_pages(ledger, of).await;
    view += &told(ledger.open(&WORK, now, 100).await);
    view += &told(ledger.open(&[S::Signed, S::Allowed], now.before(HOUR), 2).await);
    for block in BLOCKS {
        view += &told(ledger.settled_in(CHAIN, block).await);
    }
    view += &told(ledger.seen(CHAIN, &hot, &parties).await);
    view += &told(ledger.freezes().await);
    view += &told(ledger.standing_freezes().await);
    view += &told(ledger.adopted().await);
    for version in 0..GRANTS {
        let pact = Pact { agent: agent("trader"), grant: grant(version) };
        view += &told(ledger.pact(&pact).await);
        let repeat = fixture::operation(u64::from(version)).repeat;
        let (wallet, addresses) = (hot.clone(), parties.to_vec());
        let survey = Survey { repeat, chain: CHAIN, wallet, addresses, pact };
        view += &told(ledger.survey(&survey).await);
    }
    view += &told(ledger.describe().await.map(|status| status.sealed));
    view + &told(ledger.next_nonce(CHAIN, &hot).await)
}

async fn counters(ledger: &dyn Ledger, now: Timestamp) -> String {
    let spend = |counter, value| Spend { counter, value, fee: 0, asks: None, stale: false };
    let spends = (0..4).flat_map(|c| [0, 30, 90, 250].map(|value| spend(c, value)));
    let mut charges: Vec<Charge> = spends.map(|spend| spend.charge(now)).collect();
    charges.push(daily("civil", now.before(DAY), 0, 100));
    let mut told_all = told(ledger.status(&charges, None).await);
    charges.retain(|charge| charge.value == 30);
    for n in 0..PARTS {
        told_all += &told(ledger.status(&charges, Some(operation_id(n))).await);
    }
    told_all
}

async fn two_pages(ledger: &dyn Ledger, query: OperationQuery) -> String {
    let query = OperationQuery { limit: 5, ..query };
    let first = ledger.operations(&query).await.unwrap();
    let second = OperationQuery { cursor: first.next_cursor.clone(), ..query };
    let second = if second.cursor.is_some() {
        told(ledger.operations(&second).await)
    } else {
        String::new()
    };
    format!("{first:?}{second}")
}

/// Whether a call has written: a repeated one does not, any other adds to the log.
async fn length(ledger: &dyn Ledger) -> u64 {
    ledger.describe().await.unwrap().sequence
}

async fn compare(bench: &dyn LedgerBench, steps: &[Step]) -> Result<(), TestCaseError> {
    let (store, time) = (bench.ledger(), bench.time());
    let model: Arc<dyn Ledger> = Arc::new(ModelLedger::new(time.clone()));
    for ledger in [&store, &model] {
        ledger.present(GATEWAY, Millis(100 * DAY.0)).await.unwrap();
    }
    for (place, step) in steps.iter().enumerate() {
        let looks = place % VIEW_EVERY == 0 || place + 1 == steps.len();
        let now = model.now().await.unwrap();
        let record = match step.subject() {
            Some(n) => model.operation(operation_id(n)).await.unwrap(),
            None => None,
        };
        let call = Call { step, now, record };
        let mut wrote = Vec::new();
        let mut answers = Vec::new();
        for ledger in [model.as_ref(), store.as_ref()] {
            let before = if looks { length(ledger).await } else { 0 };
            answers.push(call.on(ledger, &time).await);
            wrote.push(looks && length(ledger).await > before);
        }
        proptest::prop_assert_eq!(&answers[1], &answers[0], "step {}: {:?}", place, step);
        if !looks {
            continue;
        }
        proptest::prop_assert_eq!(wrote[1], wrote[0], "step {}: {:?}", place, step);
        let now = model.now().await.unwrap();
        let (seen, expected) = (view(store.as_ref(), now).await, view(model.as_ref(), now).await);
        proptest::prop_assert_eq!(seen, expected, "after step {}: {:?}", place, step);
    }
    // a sample is drawn each time: some looks see more than one
    for _ in 0..4 {
        proptest::prop_assert_eq!(store.audit().await, Ok(None), "what functions leave is sound");
    }
    Ok(())
}

/// Runs random sequences, each on a fresh bench; fails with the shortest one that it finds.
pub fn every_answer_is_the_models<B, F>(make: impl Fn() -> F)
where
    B: LedgerBench,
    F: Future<Output = B>,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&vec(phrase(), 1..PHRASES_MAX), |phrases| {
        runtime.block_on(async { compare(&make().await, &phrases.concat()).await })
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}
