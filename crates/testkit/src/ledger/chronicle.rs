//! The model's log, and what it counts of agents.

use async_trait::async_trait;
use countersign_core::{
    identity::{OperationId, PolicyId},
    operation::{OperationRecord, OperationState},
    time::Timestamp,
};
use countersign_engine::port::{
    Chronicle,
    chronicle::{LINES_MAX, Line, Strike, Struck, Turn, event},
    ledger::{LedgerError, PasskeyCount},
};

use super::{ModelLedger, books::Books};

/// A line of the log.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    sequence: u64,
    at: Timestamp,
    event: &'static str,
    subject: Subject,
}

/// What a line is about.
#[derive(Debug, Clone)]
pub(super) enum Subject {
    Operation(OperationId),
    Other(String),
}

/// Whose turn it is to tell a receiver.
#[derive(Debug, Clone)]
pub(super) struct Place {
    told: u64,
    until: Timestamp,
    holder: String,
}

impl Books {
    pub(super) fn log(&mut self, event: &'static str, subject: Subject) {
        self.sequence += 1;
        self.log.push(Entry { sequence: self.sequence, at: self.now, event, subject });
    }

    fn lines(&self, after: u64, max: u32) -> Vec<Line> {
        let max = usize::try_from(max.min(LINES_MAX)).unwrap();
        let line = |entry: &Entry| Line {
            sequence: entry.sequence,
            at: entry.at,
            event: entry.event.into(),
            subject: match &entry.subject {
                Subject::Operation(id) => id.to_string(),
                Subject::Other(text) => text.clone(),
            },
        };
        self.log.iter().filter(|entry| entry.sequence > after).take(max).map(line).collect()
    }

    fn turn(&mut self, turn: &Turn) -> Option<u64> {
        let known = self.turns.get(&turn.receiver);
        let of_another = known.filter(|place| place.holder != turn.gateway);
        if of_another.is_some_and(|place| place.until > self.now) {
            return None;
        }
        let mut told = known.map_or(self.sequence, |place| place.told);
        if of_another.is_none() {
            told = told.max(turn.told.unwrap_or(0));
        }
        told = told.min(self.sequence);
        let (until, holder) = (self.now.after(turn.lease), turn.gateway.clone());
        self.turns.insert(turn.receiver.clone(), Place { told, until, holder });
        Some(told)
    }

    fn note_policy(&mut self, whose: &str, version: PolicyId) -> bool {
        if self.policies.insert(whose.into(), version) == Some(version) {
            return false;
        }
        self.log(event::POLICY, Subject::Other(format!("{whose}={version}")));
        true
    }

    fn note_passkey(&mut self, passkey: &PasskeyCount) -> bool {
        let counts = self.counts(passkey);
        if counts && passkey.count > 0 {
            self.log(event::PASSKEY, Subject::Other(format!("passkey:{}", passkey.credential)));
        }
        counts
    }

    fn strike(&mut self, strike: &Strike) -> Struck {
        let Strike { agent, trace, denials, within } = strike;
        let order = strike.order();
        if self.freezes.contains(&order.freeze) {
            return Struck::Frozen;
        }
        let now = self.now;
        let strikes = self.strikes.entry(agent.clone()).or_default();
        strikes.retain(|_, at| now.millis() - at.millis() < within.0);
        strikes.entry(*trace).or_insert(now);
        let count = u32::try_from(strikes.len()).unwrap();
        if count < *denials {
            return Struck::Counted(count);
        }
        self.put_freeze(&order, event::TRIP);
        Struck::Tripped
    }
}

/// What a change is called in the log, where people care.
pub(super) fn change(before: &OperationRecord, after: &OperationRecord) -> &'static str {
    let became = |state| after.state == state && before.state != state;
    if became(OperationState::Parked) {
        event::PARK
    } else if became(OperationState::Rejected) {
        event::REJECT
    } else if became(OperationState::Expired) {
        event::EXPIRE
    } else if became(OperationState::Approved) {
        event::APPROVE
    } else if after.votes.len() > before.votes.len() {
        event::VOTE
    } else {
        "change"
    }
}

#[async_trait]
impl Chronicle for ModelLedger {
    async fn lines(&self, after: u64, max: u32) -> Result<Vec<Line>, LedgerError> {
        self.with(|books| Ok(books.lines(after, max)))
    }

    async fn turn(&self, turn: &Turn) -> Result<Option<u64>, LedgerError> {
        self.with(|books| Ok(books.turn(turn)))
    }

    async fn note_policy(&self, whose: &str, version: PolicyId) -> Result<bool, LedgerError> {
        self.with(|books| Ok(books.note_policy(whose, version)))
    }

    async fn note_passkey(&self, passkey: &PasskeyCount) -> Result<bool, LedgerError> {
        self.with(|books| Ok(books.note_passkey(passkey)))
    }

    async fn strike(&self, strike: &Strike) -> Result<Struck, LedgerError> {
        self.with(|books| Ok(books.strike(strike)))
    }
}
