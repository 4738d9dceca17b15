//! Races as races: many tasks at two gateways live many operations at once, on the same counters and on each other's
//! operations. At the end the counters are what the operations say, and no limit was ever exceeded on the way.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use countersign_core::{
    charge::{Charge, Window},
    operation::{Money, OperationRecord, OperationState as S},
    time::Timestamp,
};
use countersign_engine::port::{
    Ledger,
    ledger::{
        BumpAnswer, Commit, CommitAnswer, LedgerError, OperationQuery, RedeemAnswer, ReserveAnswer,
        SentOutcome, Settle,
    },
};
use tokio::task::JoinSet;

use crate::{
    fixture::{
        self, DAY, approve, bump, cancel, charge, daily, operation_id, receipt, redeem, reject,
        signed_newest,
    },
    suite::{Desk, LedgerBench, dice::Dice},
};

const TASKS: u64 = 64;
const COUNTERS: u64 = 8;
const STEPS: u32 = 24;
const LIMIT: u64 = 2000;

/// Each task meets operations of this many others.
const NEIGHBOURS: u64 = 3;

/// The n-th counter; its kind of window is its own.
fn counter(n: u64, now: Timestamp) -> Charge {
    let name = format!("racing-{n}");
    match n % 3 {
        0 => charge(&name, Window::Rolling(DAY), 0, LIMIT),
        1 => charge(&name, Window::Grant, 0, LIMIT),
        _ => daily(&name, now, 0, LIMIT),
    }
}

/// Two to five charges on any of the counters, sometimes two on one.
fn charges(dice: &mut Dice, now: Timestamp) -> Vec<Charge> {
    let some = 2 + dice.below(4);
    let one = |dice: &mut Dice| {
        let at = counter(dice.below(COUNTERS), now);
        Charge { value: dice.below(80), fee: dice.below(20), ..at }
    };
    (0..some).map(|_| one(dice)).collect()
}

/// Only such a settlement is taken back here: it gives nothing back that others may have taken since.
const fn is_kept_in_full(n: u64) -> bool {
    n.is_multiple_of(2)
}

/// How many attempts an operation that is kept in full has, no fewer and no more, when it is settled. Who settles it
/// thereby knows its last charges: a bump that came between would raise them, and less than all were kept.
const ATTEMPTS: usize = 2;

/// What came of the steps, by name.
type Seen = BTreeMap<&'static str, u64>;

/// One task at one of the gateways.
struct Racer {
    ledger: Arc<dyn Ledger>,
    dice: Dice,
    now: Timestamp,
    seen: Seen,
}

/// Others may have been faster: then the step is not defined any more.
fn unless_refused<T>(answer: Result<T, LedgerError>) -> Option<T> {
    match answer {
        Ok(answer) => Some(answer),
        Err(LedgerError::Refused(_)) => None,
        Err(other) => panic!("{other}"),
    }
}

impl Racer {
    fn note(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
    }

    /// One more step in the life of the n-th operation, as it stands.
    async fn step(&mut self, n: u64) {
        let record = self.ledger.operation(operation_id(n)).await.unwrap();
        match record.as_ref().map(|record| (record, record.state)) {
            None => self.reserve(n).await,
            Some((record, S::Parked | S::Approved)) => self.ask(n, record).await,
            Some((record, S::Allowed)) => self.carry_out(n, record).await,
            Some((record, S::Prepared)) => self.sign(record).await,
            Some((record, S::Signed | S::Broadcast | S::Unknown | S::Mined | S::Cancelling)) => {
                self.go_on(n, record).await;
            }
            Some((_, S::Executed | S::Reverted | S::Cancelled)) => self.take_back(n).await,
            Some((_, S::Denied | S::Rejected | S::Expired | S::Conflict)) => self.note("over"),
        }
    }

    async fn reserve(&mut self, n: u64) {
        let charges = charges(&mut self.dice, self.now);
        let parks = self.dice.below(3) == 0;
        let until = self.now.after(DAY);
        let reserve =
            if parks { fixture::park(n, charges, until) } else { fixture::reserve(n, charges) };
        match self.ledger.reserve(&reserve).await.unwrap() {
            ReserveAnswer::Reserved(_) => self.note("reserved"),
            ReserveAnswer::Over(_) => self.note("refused"),
            other => panic!("{other:?}"),
        }
    }

    async fn ask(&mut self, n: u64, record: &OperationRecord) {
        match self.dice.below(4) {
            0 => self.reject(n).await,
            1 => {
                self.ledger.approve(&approve(n, "ann", self.now)).await.unwrap();
            }
            _ => self.redeem(n, record).await,
        }
    }

    async fn carry_out(&mut self, n: u64, record: &OperationRecord) {
        match self.dice.below(8) {
            0 => self.reject(n).await,
            1 => self.redeem(n, record).await,
            _ => {
                let wide =
                    Commit { in_flight_max: 10_000, fence: record.fence, ..fixture::commit(n) };
                match self.ledger.commit(&wide).await.unwrap() {
                    CommitAnswer::Bound(_) => self.note("bound"),
                    CommitAnswer::Elsewhere(_) => self.note("overtaken"),
                    other => panic!("{other:?}"),
                }
            }
        }
    }

    /// For what it holds, which mostly fits, or for something else.
    async fn redeem(&mut self, n: u64, record: &OperationRecord) {
        let other = self.dice.below(2) == 0;
        let charges =
            if other { charges(&mut self.dice, self.now) } else { record.charges.clone() };
        let again = redeem(n, charges);
        match self.ledger.redeem(&again).await.unwrap() {
            RedeemAnswer::Redeemed(_) => self.note("redeemed"),
            RedeemAnswer::Over(_) => self.note("refused"),
            RedeemAnswer::Elsewhere(_) => self.note("overtaken"),
            RedeemAnswer::PeriodMoved => panic!("time stands still"),
        }
    }

    async fn reject(&mut self, n: u64) {
        self.ledger.reject(&reject(n)).await.unwrap();
        self.note("rejected");
    }

    async fn sign(&mut self, record: &OperationRecord) {
        let number = record.attempts.last().unwrap().number;
        unless_refused(self.ledger.signed(record.id, number, &signed_newest(record), None).await);
    }

    async fn go_on(&mut self, n: u64, record: &OperationRecord) {
        let newest = record.attempts.last().unwrap();
        match self.dice.below(6) {
            _ if newest.hash.is_none() => self.sign(record).await,
            0 => {
                let sent = self.ledger.sent(record.id, newest.number, &SentOutcome::Accepted).await;
                unless_refused(sent);
            }
            1 | 2 if !is_kept_in_full(n) => self.bump(record).await,
            3 => {
                let actual = receipt(newest.hash.unwrap(), true);
                let seen = self.dice.below(2) == 0;
                unless_refused(self.ledger.mined(record.id, seen.then_some(&actual)).await);
            }
            _ if is_kept_in_full(n) && record.attempts.len() < ATTEMPTS => self.bump(record).await,
            _ => self.settle(n, record).await,
        }
    }

    /// A cancel's fee is no higher here: only what is checked is charged.
    async fn bump(&mut self, record: &OperationRecord) {
        let number = u32::try_from(record.attempts.len()).unwrap();
        let fees = record.charges.iter().map(|charge| charge.fee);
        let attempt = if self.dice.below(8) == 0 {
            cancel(record, number, fees.collect())
        } else {
            let more = self.dice.below(30);
            bump(record, number, fees.map(|fee| fee + more).collect())
        };
        match self.ledger.bump(&attempt).await.unwrap() {
            BumpAnswer::Bound(_) => self.note("bumped"),
            BumpAnswer::Over(_) => self.note("refused"),
            BumpAnswer::Elsewhere(_) => self.note("overtaken"),
            other => panic!("{other:?}"),
        }
    }

    /// Any attempt may be the mined one.
    async fn settle(&mut self, n: u64, record: &OperationRecord) {
        let signed: Vec<_> = record.attempts.iter().filter_map(|attempt| attempt.hash).collect();
        let any = self.dice.below(u64::try_from(signed.len()).unwrap());
        let actual = receipt(signed[usize::try_from(any).unwrap()], true);
        let percent = if is_kept_in_full(n) { 100 } else { self.dice.below(100) };
        let amounts = record.charges.iter().map(|charge| charge.amount().unwrap());
        let kept = amounts.map(|amount| amount * percent / 100).collect();
        let settle = Settle { actual, ..fixture::settle(record, kept) };
        if unless_refused(self.ledger.settle(&settle).await).is_some() {
            self.note("settled");
        }
    }

    async fn take_back(&mut self, n: u64) {
        if is_kept_in_full(n)
            && unless_refused(self.ledger.unsettle(operation_id(n)).await).is_some()
        {
            self.note("taken back");
        }
    }

    /// Lives operations of its own and some of its neighbours'.
    async fn run(mut self, task: u64) -> Seen {
        for _ in 0..STEPS {
            let neighbour = (task + self.dice.below(NEIGHBOURS)) % TASKS;
            let n = neighbour * 2 + self.dice.below(2);
            self.step(n).await;
        }
        self.seen
    }
}

/// Reads the counters again and again: whatever it sees is a state between two steps.
async fn watch(desk: Desk, now: Timestamp, ends: Arc<AtomicBool>) -> u64 {
    let all: Vec<Charge> = (0..COUNTERS).map(|n| counter(n, now)).collect();
    let mut looks = 0;
    while !ends.load(Ordering::Relaxed) {
        for (n, reading) in (0..).zip(desk.ledger.status(&all, None).await.unwrap()) {
            let used = reading.used();
            assert!(used <= LIMIT, "counter {n} shows {used}: {reading:?}");
        }
        looks += 1;
    }
    looks
}

/// What a counter has to show: the sum over all operations, as the model forms it.
fn sum(operations: &[OperationRecord], of: &Charge) -> [u64; 3] {
    let mut sums = [0; 3];
    let same = |charge: &Charge| (charge.counter, charge.window) == (of.counter, of.window);
    for record in operations {
        for (index, charge) in record.charges.iter().enumerate().filter(|(_, c)| same(c)) {
            let amount = charge.amount().unwrap();
            match record.state.money() {
                Money::None => {}
                Money::Reserved => sums[0] += amount,
                Money::Committed => sums[1] += amount,
                Money::Settled => sums[2] += record.kept[index],
            }
        }
    }
    sums
}

pub async fn sixty_four_tasks_at_two_gateways_keep_every_limit_and_exact_sums(
    bench: &mut dyn LedgerBench,
) {
    let desk = Desk::at(bench).await;
    let now = desk.now().await;
    let gateways = [bench.ledger(), bench.second().await];
    let ends = Arc::new(AtomicBool::new(false));
    let watching = tokio::spawn(watch(desk.clone(), now, Arc::clone(&ends)));
    let mut racing = JoinSet::new();
    for task in 0..TASKS {
        let ledger = Arc::clone(&gateways[usize::try_from(task % 2).unwrap()]);
        let racer = Racer { ledger, dice: Dice::new(task), now, seen: Seen::new() };
        racing.spawn(racer.run(task));
    }
    let mut seen = Seen::new();
    for some in racing.join_all().await {
        for (what, count) in some {
            *seen.entry(what).or_default() += count;
        }
    }
    ends.store(true, Ordering::Relaxed);
    let looks = watching.await.unwrap();
    for what in
        ["reserved", "refused", "redeemed", "rejected", "bound", "bumped", "settled", "taken back"]
    {
        assert!(seen.contains_key(what), "`{what}` is missing: {seen:?}");
    }
    assert!(looks > 10, "{looks}");

    let query = OperationQuery { limit: 1000, ..OperationQuery::default() };
    let all = desk.ledger.operations(&query).await.unwrap().items;
    for n in 0..COUNTERS {
        let charge = counter(n, now);
        assert_eq!(desk.counts(&charge).await, sum(&all, &charge), "counter {n}: {seen:?}");
    }
    let mut nonces: Vec<u64> = all.iter().filter_map(OperationRecord::nonce).collect();
    nonces.sort_unstable();
    assert!(nonces.iter().copied().eq(0..u64::try_from(nonces.len()).unwrap()), "{nonces:?}");
}
