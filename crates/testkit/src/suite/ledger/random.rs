//! Random sequences of calls: the store's every answer must be the model's, and so must its counters,
//! which the model sums up over its operations (I2).

mod phrase;

use std::{future::Future, sync::Arc};

use alloy_primitives::B256;
use countersign_core::{
    charge::{Charge, Over, Window},
    operation::{OperationRecord, OperationState as S},
    time::{Millis, Timestamp},
};
use countersign_engine::port::{
    Ledger,
    ledger::{
        Approve, Commit, Disposition, LedgerError, NewOperation, OperationQuery, Redeem, Reject,
        ReleaseProof, Repeat, Reserve, SentOutcome, Settle,
    },
};
use proptest::{
    collection::vec,
    test_runner::{Config, TestCaseError, TestRunner},
};

use self::phrase::{Ask, OPERATIONS, Spend, Step, phrase};
use crate::{
    fixture::{
        self, CHAIN, DAY, GATEWAY, HOUR, asking, charge, daily, digest, intent, key, operation_id,
        parking, receipt, signed_bytes, trace_hash, vote, wallet,
    },
    ledger::ModelLedger,
    suite::{LedgerBench, ledger::questions::WORK},
    time::ManualTime,
};

/// How many sequences, of how many phrases at most; a phrase is one call, or up to five in the life of one
/// operation.
const CASES: u32 = 128;
const PHRASES_MAX: usize = 40;

/// After so many calls everything that can be asked is compared, besides the answers.
const VIEW_EVERY: usize = 4;

impl Spend {
    fn charge(&self, now: Timestamp) -> Charge {
        let base = match self.counter {
            0 => charge("minutes", Window::Rolling(Millis(3 * 60_000)), 0, 90),
            1 => charge("day", Window::Rolling(DAY), 0, 200),
            2 => charge("ever", Window::Grant, 0, 300),
            _ if self.stale => daily("civil", now.before(DAY), 0, 100),
            _ => daily("civil", now, 0, 100),
        };
        let charge = Charge { value: self.value, fee: self.fee, over: Over::Deny, ..base };
        self.asks.map_or(charge.clone(), |waived| asking(charge, waived))
    }
}

/// One call, with every argument made from what the model shows, so that both get the same.
struct Call<'a> {
    step: &'a Step,
    now: Timestamp,
    record: Option<OperationRecord>,
}

impl Call<'_> {
    fn charges(&self, spends: &[Spend]) -> Vec<Charge> {
        spends.iter().map(|spend| spend.charge(self.now)).collect()
    }

    fn disposition(&self, n: u64, parks: bool, lasts: Millis) -> Disposition {
        let until = self.now.after(lasts);
        if parks { Disposition::Park(parking(n, until)) } else { Disposition::Allow(until) }
    }

    fn hash(&self) -> B256 {
        self.record.as_ref().and_then(OperationRecord::hash).unwrap_or(B256::repeat_byte(7))
    }

    async fn on(&self, ledger: &dyn Ledger, time: &ManualTime) -> String {
        match self.step {
            Step::Reserve { .. }
            | Step::Deny { .. }
            | Step::Approve { .. }
            | Step::Redeem { .. }
            | Step::Reject { .. }
            | Step::Expire { .. } => self.before(ledger).await,
            Step::Commit { .. }
            | Step::Signed { .. }
            | Step::Sent { .. }
            | Step::Mined { .. }
            | Step::Settle { .. }
            | Step::Unsettle { .. }
            | Step::Release { .. }
            | Step::Deliver { .. } => self.after(ledger).await,
            Step::Freeze { freeze, on: true } => told(ledger.freeze(freeze).await),
            Step::Freeze { freeze, on: false } => told(ledger.unfreeze(freeze).await),
            Step::Seal { on: true } => told(ledger.seal("random").await),
            Step::Seal { on: false } => told(ledger.unseal().await),
            Step::Present { gateway, ttl } => told(ledger.present(name(*gateway), *ttl).await),
            Step::Advance { by } => {
                time.set(self.now.after(*by));
                String::new()
            }
        }
    }

    async fn before(&self, ledger: &dyn Ledger) -> String {
        match self.step {
            Step::Reserve { n, ask, charges, parks, lasts } => {
                let (operation, charges) = (ask.operation(*n), self.charges(charges));
                let found = told(ledger.find(&operation.repeat).await);
                let disposition = self.disposition(*n, *parks, *lasts);
                found + &told(ledger.reserve(&Reserve { operation, charges, disposition }).await)
            }
            Step::Deny { n, ask } => told(ledger.deny(&ask.operation(*n)).await),
            Step::Approve { n, operator, digest: of, votes_seen, completes } => {
                let approve = Approve {
                    operation: operation_id(*n),
                    digest: digest(*of),
                    vote: vote(&format!("operator-{operator}"), self.now),
                    votes_seen: *votes_seen,
                    completes: *completes,
                };
                told(ledger.approve(&approve).await)
            }
            Step::Redeem { n, charges, parks, lasts, other_gateway } => {
                let redeem = Redeem {
                    operation: operation_id(*n),
                    intent: self.record.as_ref().map_or(intent(*n), |r| r.intent.clone()),
                    charges: self.charges(charges),
                    disposition: self.disposition(*n, *parks, *lasts),
                    trace: trace_hash(*n),
                    gateway: name(*other_gateway).into(),
                };
                told(ledger.redeem(&redeem).await)
            }
            Step::Reject { n, parked_only, void } => {
                let from = if *parked_only { vec![S::Parked] } else { S::ALL.to_vec() };
                told(ledger.reject(&Reject { from, void: *void, ..fixture::reject(*n) }).await)
            }
            Step::Expire { max } => told(ledger.expire(*max).await),
            other => panic!("{other:?} comes later"),
        }
    }

    async fn after(&self, ledger: &dyn Ledger) -> String {
        match self.step {
            Step::Commit { n, floor, in_flight_max, shrinks_only } => {
                let commit = Commit {
                    floor: *floor,
                    in_flight_max: *in_flight_max,
                    shrinks_only: *shrinks_only,
                    ..fixture::commit(*n)
                };
                told(ledger.commit(&commit).await)
            }
            Step::Signed { n, wrong } => {
                let bound = self.record.as_ref().and_then(|r| r.attempts.first());
                let plain = intent(*n).plan.with_nonce(99);
                let mut bytes = signed_bytes(bound.map_or(&plain, |a| &a.transaction));
                if *wrong {
                    bytes.hash = B256::repeat_byte(1);
                    bytes.transaction.nonce += 1;
                }
                told(ledger.signed(operation_id(*n), 0, &bytes).await)
            }
            Step::Sent { n, accepted } => {
                let unknown = SentOutcome::Unknown("reset".into());
                let outcome = if *accepted { SentOutcome::Accepted } else { unknown };
                told(ledger.sent(operation_id(*n), 0, &outcome).await)
            }
            Step::Mined { n, seen } => {
                let actual = receipt(self.hash(), true);
                told(ledger.mined(operation_id(*n), seen.then_some(&actual)).await)
            }
            Step::Settle { n, succeeded, percent } => {
                let charges =
                    self.record.as_ref().map(|r| r.charges.as_slice()).unwrap_or_default();
                let kept = charges.iter().map(|c| c.amount().unwrap() * percent / 100).collect();
                let actual = receipt(self.hash(), *succeeded);
                let settle = Settle { operation: operation_id(*n), actual, kept };
                told(ledger.settle(&settle).await)
            }
            Step::Unsettle { n } => told(ledger.unsettle(operation_id(*n)).await),
            Step::Release { n, final_nonce } => {
                let proof = ReleaseProof::NonceUsedElsewhere { final_nonce: *final_nonce };
                told(ledger.release_committed(operation_id(*n), &proof).await)
            }
            Step::Deliver { n, from, to } => {
                told(ledger.deliver(operation_id(*n), *from, *to).await)
            }
            other => panic!("{other:?} comes earlier"),
        }
    }
}

impl Ask {
    fn operation(&self, n: u64) -> NewOperation {
        let mut intent = intent(self.payload);
        intent.nonce = self.nonce;
        let operation = fixture::operation_of(n, intent);
        let repeat = Repeat {
            key: self.key.map(key),
            batch: self.batch,
            window: self.window,
            ..operation.repeat
        };
        NewOperation { repeat, gateway: name(self.other_gateway).into(), ..operation }
    }
}

fn name(other: bool) -> &'static str {
    if other { "gateway-2" } else { GATEWAY }
}

/// An answer as text. Of a refusal only that it is one: each store has its own words.
fn told<T: std::fmt::Debug>(answer: Result<T, LedgerError>) -> String {
    match answer {
        Ok(answer) => format!("{answer:?}"),
        Err(LedgerError::Refused(_)) => "refused".into(),
        Err(other) => panic!("{other}"),
    }
}

/// Everything that can be asked.
async fn view(ledger: &dyn Ledger, now: Timestamp) -> String {
    let spend = |counter, value| Spend { counter, value, fee: 0, asks: None, stale: false };
    let counters = (0..4).flat_map(|c| [0, 30, 90, 250].map(|value| spend(c, value)));
    let mut charges: Vec<Charge> = counters.map(|spend| spend.charge(now)).collect();
    charges.push(daily("civil", now.before(DAY), 0, 100));
    let mut view = told(ledger.status(&charges, None).await);
    for n in 0..OPERATIONS {
        view += &told(ledger.status(&charges, Some(operation_id(n))).await);
        view += &told(ledger.holder(CHAIN, &wallet("hot"), n).await);
    }
    let query = OperationQuery { limit: 100, ..OperationQuery::default() };
    view += &told(ledger.operations(&query).await.map(|page| page.items));
    view += &told(ledger.open(&WORK, now, 100).await);
    view += &told(ledger.open(&[S::Signed, S::Allowed], now.before(HOUR), 2).await);
    view + &told(ledger.next_nonce(CHAIN, &wallet("hot")).await)
}

async fn compare(bench: &dyn LedgerBench, steps: &[Step]) -> Result<(), TestCaseError> {
    let (store, time) = (bench.ledger(), bench.time());
    let model: Arc<dyn Ledger> = Arc::new(ModelLedger::new(time.clone()));
    for ledger in [&store, &model] {
        ledger.present(GATEWAY, Millis(100 * DAY.0)).await.unwrap();
    }
    for (place, step) in steps.iter().enumerate() {
        let now = model.now().await.unwrap();
        let record = match step.subject() {
            Some(n) => model.operation(operation_id(n)).await.unwrap(),
            None => None,
        };
        let call = Call { step, now, record };
        let expected = call.on(model.as_ref(), &time).await;
        let answer = call.on(store.as_ref(), &time).await;
        proptest::prop_assert_eq!(answer, expected, "step {}: {:?}", place, step);
        if place % VIEW_EVERY > 0 && place + 1 < steps.len() {
            continue;
        }
        let now = model.now().await.unwrap();
        let (seen, expected) = (view(store.as_ref(), now).await, view(model.as_ref(), now).await);
        proptest::prop_assert_eq!(seen, expected, "after step {}: {:?}", place, step);
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
