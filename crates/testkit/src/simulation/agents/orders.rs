//! What was asked for and what was said, to be compared with what was paid.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use alloy_primitives::U256;
use countersign_engine::submission::Answer;

use super::{Heard, Wish};
use crate::simulation::{chain::Spend, log::Log};

/// Values differ in their last digits, which are worth nothing.
const TAGS: u64 = 1_000_000_000;

/// Every order of a run.
#[derive(Debug, Default)]
pub(crate) struct Orders(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    last: u64,
    orders: BTreeMap<u64, Order>,
}

#[derive(Debug, Default)]
struct Order {
    asked: u64,
    refused: u64,
    is_keyed: bool,
    is_honest: bool,
}

impl Orders {
    /// A number that no other order has.
    pub(super) fn tag(&self) -> u64 {
        let mut state = self.state();
        state.last += 1;
        state.last
    }

    /// It is asked for again only by somebody who was not served.
    pub(super) fn is_honest(&self, wish: &Wish) {
        self.each(wish, |order| order.is_honest = true);
    }

    /// It was asked for again after what was owed is kept no more: then it is a new order.
    pub(super) fn is_too_late(&self, wish: &Wish) {
        self.each(wish, |order| order.is_honest = false);
    }

    pub(super) fn asked(&self, wish: &Wish) {
        self.each(wish, |order| {
            order.asked += 1;
            order.is_keyed |= wish.key.is_some();
        });
    }

    pub(super) fn heard(&self, wish: &Wish, heard: &Heard) {
        let refused = matches!(
            heard,
            Heard::Said(
                Answer::Denied(_)
                    | Answer::Malformed(_)
                    | Answer::NotYours(_)
                    | Answer::SignsItself(_)
                    | Answer::NodeRefused(_)
                    | Answer::Unavailable(_)
            )
        );
        // of a bundle nothing is sent where its first call is not
        self.each(wish, |order| order.refused += u64::from(refused));
    }

    /// Every payment of a wish is an order of its own.
    fn each(&self, wish: &Wish, change: impl Fn(&mut Order)) {
        let mut state = self.state();
        for tag in wish.tags() {
            change(state.orders.entry(tag).or_default());
        }
    }

    /// Compares what was said with what was paid.
    pub(crate) fn end(&self, spends: &[Spend], log: &Log) {
        let mut paid: BTreeMap<u64, u64> = BTreeMap::new();
        let ours = spends.iter().map(|spend| &spend.transaction);
        for payment in ours.filter(|t| !t.is_foreign && !t.value.is_zero()) {
            let tag: u64 = (payment.value % U256::from(TAGS)).to();
            *paid.entry(tag).or_default() += 1;
        }
        for (tag, order) in &self.state().orders {
            let times = paid.get(tag).copied().unwrap_or(0);
            let Order { asked, refused, is_keyed, is_honest } = *order;
            let most = if is_keyed || is_honest { asked.min(1) } else { asked - refused };
            let fail = |why: &str| {
                log.violate("I3", format!("order {tag} was paid {times} times: {why}"));
            };
            if refused == asked && times > 0 {
                fail("every answer said that nothing was sent");
            }
            if times > most {
                fail(&format!("asked {asked} times, refused {refused} times, key: {is_keyed}"));
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
