//! When all is healed, mined and quiet: what must be true of the whole run.

use std::collections::BTreeMap;

use countersign_core::{
    operation::{Money, OperationRecord, OperationState as S, Purpose},
    time::{Period, Timestamp},
};

use super::{Oracle, State};
use crate::simulation::{
    chain::Spend,
    limits::{AGENTS, Level, ROLLING, micros, shown, worth, zone},
};

/// One of our transactions in the final chain, with whose it is.
struct Payment {
    agent: String,
    at: Timestamp,
    decided_at: Timestamp,
    took: u64,
    is_cancel: bool,
}

/// What a limit is about.
struct Promise {
    name: String,
    max: u64,
    agent: Option<&'static str>,
}

impl Oracle {
    /// Nothing is held that nothing can happen to any more.
    pub(crate) fn is_quiet(&self) -> bool {
        let held = |record: &OperationRecord| {
            matches!(record.state.money(), Money::Reserved | Money::Committed)
        };
        !self.model.look(|all| all.iter().any(held))
    }

    /// What is held still, for people.
    pub(crate) fn unquiet(&self) -> String {
        let held = |record: &&OperationRecord| {
            matches!(record.state.money(), Money::Reserved | Money::Committed)
        };
        let all = self.model.all();
        let names = all.iter().filter(held).map(|r| format!("{} {}", r.id, r.state.name()));
        names.collect::<Vec<_>>().join(", ")
    }

    /// The last look.
    pub(crate) fn end(&self, levels: &[Level]) {
        let state = self.state();
        for record in self.model.all() {
            if state.records.get(&record.id) != Some(&record) {
                let text = format!("{} changed outside of every call", record.id);
                self.log.violate("I9", text);
            }
        }
        for id in &state.acknowledged {
            if !self.model.all().iter().any(|record| record.id == *id) {
                self.log.violate("I13", format!("{id} was promised and is in no list"));
            }
        }
        for record in state.records.values() {
            self.ended(record);
        }
        for spend in self.chain.spends().into_iter().filter(|spend| !spend.transaction.is_foreign) {
            let hash = spend.transaction.hash;
            if !state.hashes.contains_key(&hash) {
                self.log.violate("I6", format!("{hash} is mined and was never stored"));
            }
        }
        let payments = self.payments(&state);
        for promise in promises(levels) {
            self.rolling(&payments, &promise);
        }
        self.calendar(&payments, levels);
    }

    /// The books say of each operation what the chain says.
    fn ended(&self, record: &OperationRecord) {
        let hashes = record.attempts.iter().filter_map(|attempt| attempt.hash);
        let mined = hashes.into_iter().find_map(|hash| self.chain.truth(hash));
        let said = match record.state {
            S::Executed | S::Reverted | S::Cancelled => {
                mined.as_ref().map(|(spend, _)| match record.purpose_of(spend.transaction.hash) {
                    Some(Purpose::Cancel) => S::Cancelled,
                    _ if spend.succeeded => S::Executed,
                    _ => S::Reverted,
                })
            }
            _ if mined.is_some() => None,
            state => Some(state),
        };
        if said != Some(record.state) {
            let state = record.state.name();
            let text = format!("{} ends as {state}, the chain says {said:?}", record.id);
            self.log.violate("I10", text);
        }
        if let Some((spend, _)) = mined {
            self.is_covered(record, &spend);
        }
    }

    fn payments(&self, state: &State) -> Vec<Payment> {
        let ours = self.chain.spends().into_iter().filter(|spend| !spend.transaction.is_foreign);
        let payment = |spend: Spend| {
            let id = state.hashes.get(&spend.transaction.hash)?;
            let record = state.records.get(id)?;
            let is_cancel = record.purpose_of(spend.transaction.hash) == Some(Purpose::Cancel);
            // what a reorg below finality brings back was free for others meanwhile: nobody could have refused it
            let counts = spend.succeeded && !state.revived.contains(id);
            let value = if counts { worth(spend.transaction.value) } else { 0 };
            Some(Payment {
                agent: record.agent().as_str().into(),
                at: spend.first_at,
                decided_at: state.checked_at.get(id).copied().unwrap_or_default(),
                took: value + worth(spend.fee_wei),
                is_cancel,
            })
        };
        ours.filter_map(payment).collect()
    }

    /// No window of the rolling length holds more than was ever allowed.
    fn rolling(&self, payments: &[Payment], promise: &Promise) {
        let counts = |p: &&Payment| promise.agent.is_none_or(|agent| agent == p.agent);
        let mut counted: Vec<&Payment> = payments.iter().filter(counts).collect();
        counted.sort_by_key(|payment| payment.at);
        for (index, first) in counted.iter().enumerate() {
            let inside = counted[index..].iter().filter(|p| p.at.since(first.at) < ROLLING);
            // a cancel's fee is spent whatever the limits say: it is the way out
            let sum: u64 = inside.filter(|p| !p.is_cancel).map(|p| p.took).sum();
            if sum > promise.max {
                let (sum, max) = (shown(sum), shown(promise.max));
                let text =
                    format!("the chain took {sum} in one window of `{}`: {max}", promise.name);
                self.log.violate("I10", text);
            }
        }
    }

    /// No day holds more than was ever allowed, each payment on the day for which it was decided.
    fn calendar(&self, payments: &[Payment], levels: &[Level]) {
        let max = levels.iter().map(|level| micros(level.day)).max().unwrap_or(0);
        let mut days: BTreeMap<(&str, Timestamp), u64> = BTreeMap::new();
        for payment in payments.iter().filter(|payment| !payment.is_cancel) {
            let day = Period::day(payment.decided_at, &zone());
            *days.entry((&payment.agent, day.start)).or_default() += payment.took;
        }
        for ((agent, day), sum) in days.into_iter().filter(|(_, sum)| *sum > max) {
            let (sum, max) = (shown(sum), shown(max));
            self.log.violate("I10", format!("{agent} spent {sum} on {day}, at most {max}"));
        }
    }
}

fn promises(levels: &[Level]) -> Vec<Promise> {
    let most = |of: fn(&Level) -> u64| micros(levels.iter().map(of).max().unwrap_or(0));
    let hour = |agent| Promise {
        name: format!("hour of {agent}"),
        max: most(|level| level.hour),
        agent: Some(agent),
    };
    let everybody =
        Promise { name: "everybody".into(), max: most(|level| level.everybody), agent: None };
    AGENTS.into_iter().map(hour).chain([everybody]).collect()
}
