//! Rolling windows that are nearly full: what they show is what the model shows, which sums up every settlement anew.

use std::{collections::BTreeSet, sync::Arc};

use countersign_core::{
    charge::{Charge, Window},
    operation::{Money, OperationState as S},
    time::Millis,
};
use countersign_engine::port::ledger::{Adopt, AdoptAnswer};

use crate::{
    fixture::{DAY, charge, operation_id, settle},
    ledger::ModelLedger,
    suite::{Desk, LedgerBench, dice::Dice},
};

/// Two windows of different lengths, so that one loses buckets while the other fills.
const LENGTHS: [Millis; 2] = [DAY, Millis(3 * 60_000)];
const SETTLEMENTS: u64 = 160;

/// A charge on the window of each length.
fn both(name: &str, amount: u64, limit: u64) -> Vec<Charge> {
    let one = |of: &Millis| charge(&format!("{name} {of}"), Window::Rolling(*of), amount, limit);
    LENGTHS.iter().map(one).collect()
}

/// Answers about room, for limits so close to each other that hardly a bucket lies between.
async fn shows(desk: &Desk) -> String {
    let mut asked = Vec::new();
    for name in ["for", "young, for"] {
        asked.extend((0..2400).step_by(11).flat_map(|limit| both(name, 1, limit)));
        asked.extend([0, 17, 300].into_iter().flat_map(|amount| both(name, amount, 200)));
    }
    let mut shown = Vec::new();
    for some in asked.chunks(100) {
        shown.extend(desk.ledger.status(some, None).await.unwrap());
    }
    format!("{shown:?}")
}

/// How far the clock goes on: mostly by some buckets of either window, seldom by a part of a day or a whole one.
fn step(dice: &mut Dice) -> Millis {
    match dice.below(12) {
        0..5 => Millis(dice.below(2000)),
        5..8 => Millis(dice.below(20) * 60_000),
        8..10 => Millis(dice.below(100_000)),
        10 => Millis(dice.below(DAY.0 / 2)),
        _ => Millis(dice.below(30) / 29 * DAY.0),
    }
}

/// A life in which windows fill and empty, on both stores alike.
struct Life {
    stores: [Desk; 2],
    dice: Dice,
    // what is taken back and not settled again yet
    reorged: BTreeSet<u64>,
}

impl Life {
    async fn settles(&mut self, n: u64) {
        let amount = 1 + self.dice.below(30);
        for desk in &self.stores {
            desk.settled(n, both("for", amount, u64::MAX)).await;
        }
    }

    async fn is_taken_back(&mut self, n: u64) {
        for desk in &self.stores {
            let state = desk.ledger.unsettle(operation_id(n)).await.unwrap().state;
            assert_eq!(state, S::Broadcast);
        }
        self.reorged.insert(n);
    }

    /// Later than it was, and for less.
    async fn settles_again(&mut self) {
        let Some(n) = self.reorged.pop_first() else { return };
        let percent = self.dice.below(101);
        for desk in &self.stores {
            let record = desk.record(n).await;
            let amounts = record.charges.iter().map(|charge| charge.amount().unwrap());
            let kept = amounts.map(|amount| amount * percent / 100).collect();
            desk.ledger.settle(&settle(&record, kept)).await.unwrap();
        }
    }

    /// A limit that is younger counts it, in the bucket of its own time.
    async fn is_adopted(&mut self, n: u64) {
        let amount = 1 + self.dice.below(30);
        for desk in &self.stores {
            let record = desk.record(n).await;
            let (money, attempts, fence) =
                (record.state.money(), record.attempts.len(), record.fence);
            let charges = both("young, for", amount, u64::MAX);
            let kept = if money == Money::Settled { vec![amount; 2] } else { vec![] };
            let adopt = Adopt { operation: record.id, money, attempts, fence, charges, kept };
            let answer = desk.ledger.adopt(&adopt).await.unwrap();
            assert!(matches!(answer, AdoptAnswer::Adopted(_)), "{answer:?}");
        }
    }
}

pub async fn a_window_shows_what_the_model_shows(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let model = Desk { ledger: Arc::new(ModelLedger::new(bench.time())), time: bench.time() };
    let mut life = Life { stores: [desk, model], dice: Dice::new(7), reorged: BTreeSet::new() };
    for n in 0..SETTLEMENTS {
        life.settles(n).await;
        bench.time().advance(step(&mut life.dice));
        let any = life.dice.below(n + 1);
        match life.dice.below(8) {
            0 | 1 => life.is_taken_back(any).await,
            2 | 3 => life.settles_again().await,
            4 | 5 => life.is_adopted(any).await,
            _ => {
                let [desk, model] = &life.stores;
                assert_eq!(shows(desk).await, shows(model).await, "after {n} settlements");
            }
        }
    }
}

/// A window in which nothing happened for as long as it lasts is empty, and is filled anew.
pub async fn a_window_that_has_passed_is_empty(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let day = both("for", 5, u64::MAX);
    for n in 0..30 {
        desk.settled(n, day.clone()).await;
        desk.time.advance(Millis(90_000));
    }
    assert_eq!(desk.counts(&day[0]).await, [0, 0, 150]);
    desk.reserved(99, day.clone()).await;
    desk.time.advance(Millis(2 * DAY.0));
    for charge in &day {
        assert_eq!(desk.counts(charge).await, [5, 0, 0]);
    }
    desk.settled(30, day.clone()).await;
    desk.ledger.unsettle(operation_id(3)).await.unwrap();
    for charge in &day {
        assert_eq!(desk.counts(charge).await, [5, 5, 5]);
        assert!(desk.frees_at(&Charge { limit: 15, ..charge.clone() }).await.is_some());
    }
}
