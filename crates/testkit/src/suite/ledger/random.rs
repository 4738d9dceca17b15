//! Random sequences of calls: the store's every answer must be the model's, and so must its counters,
//! which the model sums up over its operations (I2).

use std::{future::Future, sync::Arc};

use alloy_primitives::B256;
use countersign_core::{
    charge::{Charge, Over, Window},
    fact::Freeze,
    operation::{Delivery, OperationRecord, OperationState as S},
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
    prelude::{Just, Strategy, any, prop_oneof},
    test_runner::{Config, TestCaseError, TestRunner},
};

use crate::{
    fixture::{
        self, CHAIN, DAY, GATEWAY, HOUR, agent, asking, charge, daily, digest, intent, key,
        operation_id, parking, receipt, signed_bytes, trace_hash, vote, wallet,
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

/// Operations are numbered below this, so that calls meet.
const OPERATIONS: u64 = 8;

#[derive(Debug, Clone)]
enum Step {
    Reserve { n: u64, ask: Ask, charges: Vec<Spend>, parks: bool, lasts: Millis },
    Deny { n: u64, ask: Ask },
    Approve { n: u64, operator: u8, digest: u64, votes_seen: usize, completes: bool },
    Redeem { n: u64, charges: Vec<Spend>, parks: bool, lasts: Millis, other_gateway: bool },
    Reject { n: u64, parked_only: bool, void: bool },
    Expire { max: u32 },
    Commit { n: u64, floor: u64, in_flight_max: u32, shrinks_only: bool },
    Signed { n: u64, wrong: bool },
    Sent { n: u64, accepted: bool },
    Mined { n: u64, seen: bool },
    Settle { n: u64, succeeded: bool, percent: u64 },
    Unsettle { n: u64 },
    Release { n: u64, final_nonce: Option<u64> },
    Deliver { n: u64, from: Delivery, to: Delivery },
    Freeze { freeze: Freeze, on: bool },
    Seal { on: bool },
    Present { gateway: bool, ttl: Millis },
    Advance { by: Millis },
}

/// How a request asks: payload, key, batch, window, fixed nonce, gateway.
#[derive(Debug, Clone)]
struct Ask {
    payload: u64,
    key: Option<u64>,
    batch: Option<u64>,
    window: Millis,
    nonce: Option<u64>,
    other_gateway: bool,
}

/// A charge, of which the window is made when it is needed.
#[derive(Debug, Clone)]
struct Spend {
    counter: u8,
    value: u64,
    fee: u64,
    asks: Option<bool>,
    stale: bool,
}

fn step() -> impl Strategy<Value = Step> {
    let n = || 0..OPERATIONS;
    let charges = || vec(spend(), 0..4);
    let before = prop_oneof![
        4 => (n(), ask(), charges(), any::<bool>(), lasting()).prop_map(
            |(n, ask, charges, parks, lasts)| Step::Reserve { n, ask, charges, parks, lasts }
        ),
        1 => (n(), ask()).prop_map(|(n, ask)| Step::Deny { n, ask }),
        2 => (n(), 0_u8..3, n(), 0_usize..2, any::<bool>()).prop_map(
            |(n, operator, other, votes_seen, completes)| {
                // Mostly the digest that the operation was parked under.
                let digest = if other == 0 { other } else { n };
                Step::Approve { n, operator, digest, votes_seen, completes }
            }
        ),
        2 => (n(), charges(), any::<bool>(), lasting(), any::<bool>()).prop_map(
            |(n, charges, parks, lasts, other_gateway)| {
                Step::Redeem { n, charges, parks, lasts, other_gateway }
            }
        ),
        1 => (n(), any::<bool>(), any::<bool>())
            .prop_map(|(n, parked_only, void)| Step::Reject { n, parked_only, void }),
        1 => (0_u32..4).prop_map(|max| Step::Expire { max }),
    ];
    let after = prop_oneof![
        4 => (n(), 0_u64..6, 0_u32..6, any::<bool>()).prop_map(
            |(n, floor, in_flight_max, shrinks_only)| {
                Step::Commit { n, floor, in_flight_max, shrinks_only }
            }
        ),
        4 => (n(), 0_u8..8).prop_map(|(n, wrong)| Step::Signed { n, wrong: wrong == 0 }),
        2 => (n(), any::<bool>()).prop_map(|(n, accepted)| Step::Sent { n, accepted }),
        1 => (n(), any::<bool>()).prop_map(|(n, seen)| Step::Mined { n, seen }),
        4 => (n(), any::<bool>(), 0_u64..150)
            .prop_map(|(n, succeeded, percent)| Step::Settle { n, succeeded, percent }),
        1 => n().prop_map(|n| Step::Unsettle { n }),
        1 => (n(), proptest::option::of(0_u64..4))
            .prop_map(|(n, final_nonce)| Step::Release { n, final_nonce }),
        2 => (n(), delivery(), delivery())
            .prop_map(|(n, from, to)| Step::Deliver { n, from, to }),
    ];
    prop_oneof![5 => before, 6 => after, 2 => around()]
}

/// Single calls, and beginnings of ordinary lives.
fn phrase() -> impl Strategy<Value = Vec<Step>> {
    let life = (0..OPERATIONS, ask(), vec(spend(), 1..4), 0_u64..150, 1_usize..=5).prop_map(
        |(n, ask, charges, percent, length)| {
            let ask = Ask { nonce: None, ..ask };
            let mut life = vec![
                Step::Reserve { n, ask, charges, parks: false, lasts: HOUR },
                Step::Commit { n, floor: 1, in_flight_max: 9, shrinks_only: false },
                Step::Signed { n, wrong: false },
                Step::Sent { n, accepted: true },
                Step::Settle { n, succeeded: true, percent },
            ];
            life.truncate(length);
            life
        },
    );
    prop_oneof![4 => step().prop_map(|step| vec![step]), 2 => life, 1 => given_back(), 1 => asked()]
}

/// One operation is given back, and another asks the same.
fn given_back() -> impl Strategy<Value = Vec<Step>> {
    let two = (0..OPERATIONS, 0..OPERATIONS, any::<bool>());
    (two, ask(), vec(spend(), 0..3)).prop_map(|((n, other, void), ask, charges)| {
        let reserve = |n| {
            let (ask, charges) = (ask.clone(), charges.clone());
            Step::Reserve { n, ask, charges, parks: false, lasts: HOUR }
        };
        vec![reserve(n), Step::Reject { n, parked_only: false, void }, reserve(other)]
    })
}

/// People are asked, say yes, and the answer is carried out.
fn asked() -> impl Strategy<Value = Vec<Step>> {
    let both = (lasting(), lasting(), any::<bool>());
    (0..OPERATIONS, ask(), vec(spend(), 0..3), both, 1_usize..=4).prop_map(
        |(n, ask, charges, (parked, lasts, other_gateway), length)| {
            let ask = Ask { nonce: None, ..ask };
            let again = charges.clone();
            let mut life = vec![
                Step::Reserve { n, ask, charges, parks: true, lasts: parked },
                Step::Approve { n, operator: 0, digest: n, votes_seen: 0, completes: true },
                Step::Redeem { n, charges: again, parks: false, lasts, other_gateway },
                Step::Commit { n, floor: 1, in_flight_max: 9, shrinks_only: false },
            ];
            life.truncate(length);
            life
        },
    )
}

/// How long a question or a permission stands.
fn lasting() -> impl Strategy<Value = Millis> {
    prop_oneof![3 => Just(HOUR), 1 => duration()]
}

fn around() -> impl Strategy<Value = Step> {
    let freeze = prop_oneof![
        Just(Freeze::Global),
        Just(Freeze::All),
        Just(Freeze::Agent(agent("trader"))),
        Just(Freeze::Chain(fixture::CHAIN)),
    ];
    prop_oneof![
        2 => (freeze, 0_u8..6).prop_map(|(freeze, on)| Step::Freeze { freeze, on: on == 0 }),
        1 => (0_u8..8).prop_map(|on| Step::Seal { on: on == 0 }),
        1 => (any::<bool>(), duration()).prop_map(|(gateway, ttl)| Step::Present { gateway, ttl }),
        6 => duration().prop_map(|by| Step::Advance { by }),
    ]
}

fn ask() -> impl Strategy<Value = Ask> {
    let one_in_four = |range: std::ops::Range<u64>| proptest::option::weighted(0.25, range);
    let window = prop_oneof![Just(Millis::ZERO), Just(Millis(15_000)), Just(HOUR)];
    let parts = (0_u64..6, one_in_four(0..3), one_in_four(0..2), window, one_in_four(0..5));
    (parts, any::<bool>()).prop_map(|((payload, key, batch, window, nonce), other_gateway)| Ask {
        payload,
        key,
        batch,
        window,
        nonce,
        other_gateway,
    })
}

fn spend() -> impl Strategy<Value = Spend> {
    (0_u8..4, 0_u64..40, 0_u64..10, proptest::option::of(any::<bool>()), 0_u8..10).prop_map(
        |(counter, value, fee, asks, stale)| Spend { counter, value, fee, asks, stale: stale == 0 },
    )
}

fn delivery() -> impl Strategy<Value = Delivery> {
    prop_oneof![Just(Delivery::Waiting), Just(Delivery::Owed), Just(Delivery::Collected)]
}

fn duration() -> impl Strategy<Value = Millis> {
    prop_oneof![
        Just(Millis(1)),
        (0_u64..200_000).prop_map(Millis),
        Just(HOUR),
        Just(Millis(DAY.0 - 60_000)),
        Just(DAY),
    ]
}

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
                let cancel = ReleaseProof::CancelFinal(receipt(self.hash(), true));
                let proof = final_nonce
                    .map_or(cancel, |final_nonce| ReleaseProof::NonceUsedElsewhere { final_nonce });
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

impl Step {
    /// The operation that the step is about.
    fn subject(&self) -> Option<u64> {
        match self {
            Self::Reserve { n, .. }
            | Self::Deny { n, .. }
            | Self::Approve { n, .. }
            | Self::Redeem { n, .. }
            | Self::Reject { n, .. }
            | Self::Commit { n, .. }
            | Self::Signed { n, .. }
            | Self::Sent { n, .. }
            | Self::Mined { n, .. }
            | Self::Settle { n, .. }
            | Self::Unsettle { n }
            | Self::Release { n, .. }
            | Self::Deliver { n, .. } => Some(*n),
            Self::Expire { .. }
            | Self::Freeze { .. }
            | Self::Seal { .. }
            | Self::Present { .. }
            | Self::Advance { .. } => None,
        }
    }
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
