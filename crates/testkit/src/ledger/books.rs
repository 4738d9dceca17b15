//! The books before commit: repetition, reservation, approval; and what is asked of them.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::Address;
use countersign_core::{
    charge::{Charge, CounterId, Window},
    fact::Freeze,
    freeze::StandingFreeze,
    identity::{AgentId, ChainId, OperationId, PolicyId, TraceHash, WalletId},
    operation::{Delivery, OperationRecord, OperationState},
    pact::{Pact, PactStanding},
    time::{Millis, Timestamp},
};
use countersign_engine::port::{
    chronicle::event,
    journal::Page,
    ledger::{
        Approve, ApproveAnswer, COLLECT_WITHIN, Census, DenyAnswer, Disposition, Found,
        LedgerError, NewOperation, OperationQuery, PasskeyCount, Redeem, RedeemAnswer, Reject,
        RejectAnswer, Repeat, Reserve, ReserveAnswer, Split, SplitAnswer,
    },
};

use super::{
    chronicle::{Entry, Place, Subject, change},
    counters::Asking,
    flawed::Flaw,
};

/// Everything that the model knows.
#[derive(Debug, Clone, Default)]
pub(super) struct Books {
    pub(super) now: Timestamp,
    pub(super) epoch: u64,
    pub(super) sequence: u64,
    pub(super) log: Vec<Entry>,
    pub(super) turns: BTreeMap<String, Place>,
    pub(super) policies: BTreeMap<String, PolicyId>,
    pub(super) strikes: BTreeMap<AgentId, BTreeMap<TraceHash, Timestamp>>,
    pub(super) operations: Vec<OperationRecord>,
    pub(super) freezes: BTreeSet<Freeze>,
    pub(super) freezers: BTreeMap<Freeze, StandingFreeze>,
    pub(super) pacts: BTreeMap<Pact, PactStanding>,
    pub(super) seal: Option<String>,
    pub(super) seen: BTreeSet<(ChainId, WalletId, Address)>,
    /// The highest block of each chain in which anything was ever settled.
    pub(super) settled_up_to: BTreeMap<ChainId, u64>,
    pub(super) adopted: BTreeSet<CounterId>,
    /// How often each passkey has signed.
    passkeys: BTreeMap<String, u32>,
    pub(super) present: BTreeMap<String, Timestamp>,
    orphans: BTreeSet<OperationId>,
    /// What was given back: the key of such a record is not its own any more.
    pub(super) voided: BTreeSet<OperationId>,
    /// What was made or changed since somebody asked.
    pub(super) changed: BTreeSet<OperationId>,
    /// What this ledger does wrong.
    pub(super) flaw: Option<Flaw>,
}

impl Books {
    pub(super) fn tick(&mut self, wall: Timestamp) {
        let follows = self.flaw == Some(Flaw::ClockStepsBack);
        self.now = if follows { wall } else { self.now.max(wall) };
    }

    pub(super) fn restart(&mut self) {
        self.present.clear();
        self.orphans = self.operations.iter().map(|o| o.id).collect();
        for operation in &mut self.operations {
            if operation.delivery == Delivery::Waiting {
                operation.delivery = Delivery::Owed;
            }
        }
    }

    pub(super) fn present(&mut self, gateway: &str, ttl: Millis) {
        self.present.insert(gateway.into(), self.now.after(ttl));
    }

    /// Whether the gateway that took the operation in lives, and is still the same process.
    fn is_attended(&self, operation: &OperationRecord) -> bool {
        let until = self.present.get(&operation.gateway);
        !self.orphans.contains(&operation.id) && until.is_some_and(|until| *until > self.now)
    }

    /// `Waiting` of a dead gateway counts as `Owed`.
    pub(super) fn delivery(&self, operation: &OperationRecord) -> Delivery {
        match operation.delivery {
            Delivery::Waiting if !self.is_attended(operation) => Delivery::Owed,
            other => other,
        }
    }

    pub(super) fn find(&self, repeat: &Repeat) -> Found {
        match repeat.key {
            Some(key) => {
                let holds =
                    |o: &&OperationRecord| o.key == Some(key) && !self.voided.contains(&o.id);
                let Some(same) = self.operations.iter().find(holds) else {
                    return Found::Nothing;
                };
                let same = Box::new(same.clone());
                if same.fingerprint == repeat.fingerprint {
                    Found::Same(same)
                } else {
                    Found::KeyConflict(same)
                }
            }
            None => match self.owed(repeat).or_else(|| self.recent(repeat)) {
                Some(same) => Found::Same(Box::new(same.clone())),
                None => Found::Nothing,
            },
        }
    }

    pub(super) fn census(&self, state: OperationState) -> Census {
        let mut made: Vec<_> =
            self.operations.iter().filter(|o| o.state == state).map(|o| o.created_at).collect();
        made.sort_unstable();
        Census { count: made.len().try_into().unwrap(), oldest: made.first().copied() }
    }

    fn candidates(&self, repeat: &Repeat) -> impl Iterator<Item = &OperationRecord> {
        self.operations.iter().filter(|o| {
            let same_batch = o.batch.is_some() && o.batch == repeat.batch;
            o.key.is_none() && o.fingerprint == repeat.fingerprint && !same_batch
        })
    }

    fn owed(&self, repeat: &Repeat) -> Option<&OperationRecord> {
        self.candidates(repeat)
            .filter(|o| self.delivery(o) == Delivery::Owed)
            .filter(|o| o.finished_at.is_none_or(|at| self.now.since(at) <= COLLECT_WITHIN))
            .min_by_key(|o| (o.created_at, o.id))
    }

    fn recent(&self, repeat: &Repeat) -> Option<&OperationRecord> {
        use OperationState::{Denied, Expired, Rejected};
        if repeat.window == Millis::ZERO {
            return None;
        }
        let is_recent = |at| self.now.since(at) <= repeat.window;
        self.candidates(repeat)
            .filter(|o| ![Denied, Rejected, Expired].contains(&o.state))
            .filter(|o| match self.delivery(o) {
                Delivery::Waiting => o.finished_at.is_none_or(is_recent),
                Delivery::Owed => false,
                Delivery::Collected => o.finished_at.is_some_and(is_recent),
            })
            .max_by_key(|o| (o.created_at, o.id))
    }

    pub(super) fn deny(&mut self, denied: &NewOperation) -> Result<DenyAnswer, LedgerError> {
        if let Some(again) = self.operation(denied.id) {
            return match again.state {
                OperationState::Denied => Ok(DenyAnswer::Denied(Box::new(again.clone()))),
                _ => Err(refused("the operation was not denied")),
            };
        }
        Ok(match self.find(&denied.repeat) {
            Found::Same(same) => DenyAnswer::Same(same),
            Found::KeyConflict(other) => DenyAnswer::KeyConflict(other),
            Found::Nothing => {
                let mut record = self.record(denied, OperationState::Denied);
                record.finished_at = Some(self.now);
                DenyAnswer::Denied(Box::new(self.append(record)))
            }
        })
    }

    pub(super) fn reserve(&mut self, reserve: &Reserve) -> Result<ReserveAnswer, LedgerError> {
        if let Some(again) = self.operation(reserve.operation.id) {
            return match again.state {
                OperationState::Denied => Err(refused("the operation was denied")),
                _ => Ok(ReserveAnswer::Reserved(Box::new(again.clone()))),
            };
        }
        match self.find(&reserve.operation.repeat) {
            Found::Same(same) => return Ok(ReserveAnswer::Same(same)),
            Found::KeyConflict(other) => return Ok(ReserveAnswer::KeyConflict(other)),
            Found::Nothing => {}
        }
        if self.period_moved(&reserve.charges) {
            return Ok(ReserveAnswer::PeriodMoved);
        }
        let over = self.overruns(&Asking {
            charges: &reserve.charges,
            parks: reserve.disposition.parks(),
            without: None,
        });
        if !over.is_empty() {
            return Ok(ReserveAnswer::Over(over));
        }
        if self.is_crowded(reserve) {
            return Ok(ReserveAnswer::Crowded);
        }
        let mut record = self.record(&reserve.operation, OperationState::Allowed);
        record.charges.clone_from(&reserve.charges);
        record.delivery = reserve.delivery;
        dispose(&mut record, &reserve.disposition);
        Ok(ReserveAnswer::Reserved(Box::new(self.append(record))))
    }

    fn is_crowded(&self, reserve: &Reserve) -> bool {
        let parked = self.parked(&reserve.operation.intent.agent);
        parked >= reserve.parked_max && reserve.disposition.parks()
    }

    pub(super) fn parked(&self, agent: &AgentId) -> u32 {
        let waits = |o: &&OperationRecord| o.state == OperationState::Parked && o.agent() == agent;
        u32::try_from(self.operations.iter().filter(waits).count()).unwrap()
    }

    pub(super) fn redeem(&mut self, redeem: &Redeem) -> Result<RedeemAnswer, LedgerError> {
        let record = self.known(redeem.operation)?;
        let same = redeem.intent.rest().len() == record.intent.rest().len();
        if !same || !self.is_redeemable(&record, &redeem.gateway) || self.is_over(&record) {
            return Ok(RedeemAnswer::Elsewhere(Box::new(record)));
        }
        if self.period_moved(&redeem.charges) {
            return Ok(RedeemAnswer::PeriodMoved);
        }
        let over = self.overruns(&Asking {
            charges: &redeem.charges,
            parks: redeem.disposition.parks(),
            without: Some(redeem.operation),
        });
        if !over.is_empty() {
            return Ok(RedeemAnswer::Over(over));
        }
        let mut record = record;
        record.intent = redeem.intent.clone();
        record.charges.clone_from(&redeem.charges);
        record.trace = redeem.trace;
        record.fence += 1;
        record.state = OperationState::Allowed;
        dispose(&mut record, &redeem.disposition);
        Ok(RedeemAnswer::Redeemed(Box::new(self.replace(record))))
    }

    pub(super) fn split(&mut self, split: &Split) -> Result<SplitAnswer, LedgerError> {
        let mut record = self.known(split.operation)?;
        if record.fence == split.fence + 1 && record.intent.rest().is_empty() {
            let parts: Option<Vec<_>> =
                split.parts.iter().map(|part| self.operation(part.id).cloned()).collect();
            if let Some(parts) = parts {
                return Ok(SplitAnswer::Split(parts));
            }
        }
        let allowed = record.state == OperationState::Allowed && record.fence == split.fence;
        if !allowed || self.is_over(&record) {
            return Ok(SplitAnswer::Elsewhere(Box::new(record)));
        }
        let (first, further) = split.parts_of(&record)?;
        if further.iter().any(|part| self.operation(part.id).is_some()) {
            return Err(refused("a part is there already"));
        }
        record.intent = first.intent.clone();
        record.charges.clone_from(&first.charges);
        record.fence += 1;
        let mut parts = vec![self.replace(record.clone())];
        for part in further {
            parts.push(self.append(part.of(&record, self.now)));
        }
        Ok(SplitAnswer::Split(parts))
    }

    /// Approved; or allowed, and nobody but this gateway works on it.
    fn is_redeemable(&self, record: &OperationRecord, gateway: &str) -> bool {
        let free = record.gateway == gateway || !self.is_attended(record);
        record.state == OperationState::Approved
            || (record.state == OperationState::Allowed && free)
    }

    /// Whether the operation's time has come.
    pub(super) fn is_over(&self, record: &OperationRecord) -> bool {
        record.expires_at.is_some_and(|at| at <= self.now)
    }

    fn period_moved(&self, charges: &[Charge]) -> bool {
        charges.iter().any(|charge| match charge.window {
            Window::Calendar(period) => !period.contains(self.now),
            Window::Rolling(_) | Window::Grant => false,
        })
    }

    pub(super) fn approve(&mut self, approve: &Approve) -> ApproveAnswer {
        use OperationState as S;
        let Some(record) = self.operation(approve.operation).cloned() else {
            return ApproveAnswer::Missing;
        };
        let same_digest = record.digest == Some(approve.digest);
        let voted = record.votes.iter().any(|vote| vote.operator == approve.vote.operator);
        let released = [S::Denied, S::Rejected, S::Expired].contains(&record.state);
        if same_digest && voted && !released {
            return ApproveAnswer::Voted(Box::new(record));
        }
        if record.state != S::Parked {
            return ApproveAnswer::Elsewhere(Box::new(record));
        }
        if !same_digest {
            return ApproveAnswer::OtherDigest;
        }
        if self.is_over(&record) {
            return ApproveAnswer::Expired;
        }
        if record.votes.len() != approve.votes_seen {
            return ApproveAnswer::Raced;
        }
        if !approve.passkey.as_ref().is_none_or(|passkey| self.counts(passkey)) {
            return ApproveAnswer::PasskeyBehind;
        }
        let mut record = record;
        record.votes.push(approve.vote.clone());
        if approve.completes {
            record.state = S::Approved;
        }
        ApproveAnswer::Voted(Box::new(self.replace(record)))
    }

    /// Takes down what a passkey says of its signatures; `false` if it said as much before.
    pub(super) fn counts(&mut self, passkey: &PasskeyCount) -> bool {
        let PasskeyCount { credential, count } = passkey;
        let before = self.passkeys.get(credential).copied().unwrap_or(0);
        if (*count > 0 || before > 0) && *count <= before {
            return false;
        }
        self.passkeys.insert(credential.clone(), *count);
        true
    }

    pub(super) fn reject(&mut self, reject: &Reject) -> RejectAnswer {
        use OperationState as S;
        let Some(mut record) = self.operation(reject.operation).cloned() else {
            return RejectAnswer::Missing;
        };
        let again = record.state == S::Rejected
            && record.code == reject.code
            && record.reason == reject.reason;
        if again {
            return RejectAnswer::Rejected(Box::new(record));
        }
        let held = [S::Parked, S::Approved, S::Allowed].contains(&record.state);
        if !held || !reject.from.contains(&record.state) {
            return RejectAnswer::Elsewhere(Box::new(record));
        }
        record.state = S::Rejected;
        record.code.clone_from(&reject.code);
        record.reason.clone_from(&reject.reason);
        record.votes.extend(reject.vote.clone());
        if reject.void {
            record.delivery = Delivery::Collected;
            self.voided.insert(record.id);
        }
        RejectAnswer::Rejected(Box::new(self.replace(record)))
    }

    pub(super) fn expire(&mut self, max: u32) -> Vec<OperationRecord> {
        use OperationState::{Approved, Expired, Parked};
        let mut due: Vec<OperationRecord> = self
            .operations
            .iter()
            .filter(|o| [Parked, Approved].contains(&o.state))
            .filter(|o| self.is_over(o))
            .cloned()
            .collect();
        due.sort_by_key(|o| (o.expires_at, o.id));
        due.truncate(usize::try_from(max).unwrap());
        due.into_iter()
            .map(|record| self.replace(OperationRecord { state: Expired, ..record }))
            .collect()
    }

    pub(super) fn list(
        &self,
        query: &OperationQuery,
    ) -> Result<Page<OperationRecord>, LedgerError> {
        let mut all: Vec<&OperationRecord> = self
            .operations
            .iter()
            .filter(|o| query.states.is_empty() || query.states.contains(&o.state))
            .filter(|o| query.agent.as_ref().is_none_or(|agent| agent == o.agent()))
            .collect();
        all.sort_by_key(|o| std::cmp::Reverse((o.created_at, o.id)));
        if let Some(cursor) = &query.cursor {
            let id: OperationId = cursor
                .parse()
                .map_err(|_| refused(&format!("`{cursor}` is not a cursor of this list")))?;
            let last = self.known(id)?;
            all.retain(|o| (o.created_at, o.id) < (last.created_at, last.id));
        }
        let limit = usize::try_from(query.limit.min(1000)).unwrap();
        let more = all.len() > limit;
        let items: Vec<OperationRecord> = all.into_iter().take(limit).cloned().collect();
        let next_cursor = items.last().filter(|_| more).map(|last| last.id.to_string());
        Ok(Page { items, next_cursor })
    }

    pub(super) fn operation(&self, id: OperationId) -> Option<&OperationRecord> {
        self.operations.iter().find(|o| o.id == id)
    }

    pub(super) fn known(&self, id: OperationId) -> Result<OperationRecord, LedgerError> {
        self.operation(id).cloned().ok_or_else(|| refused(&format!("there is no operation {id}")))
    }

    fn record(&self, new: &NewOperation, state: OperationState) -> OperationRecord {
        OperationRecord {
            id: new.id,
            state,
            intent: new.intent.clone(),
            fingerprint: new.repeat.fingerprint,
            key: new.repeat.key,
            batch: new.repeat.batch,
            delivery: Delivery::Waiting,
            code: new.code.clone(),
            reason: new.reason.clone(),
            trace: new.trace,
            digest: None,
            gates: Vec::new(),
            asks: Vec::new(),
            votes: Vec::new(),
            charges: Vec::new(),
            attempts: Vec::new(),
            signature: None,
            actual: None,
            kept: Vec::new(),
            settled_at: None,
            gateway: new.gateway.clone(),
            fence: 0,
            created_at: self.now,
            updated_at: self.now,
            expires_at: None,
            finished_at: None,
        }
    }

    fn append(&mut self, record: OperationRecord) -> OperationRecord {
        let parks = record.state == OperationState::Parked;
        self.log(if parks { event::PARK } else { "new" }, Subject::Operation(record.id));
        self.changed.insert(record.id);
        self.operations.push(record.clone());
        record
    }

    /// Puts a changed record in the place of the old one.
    pub(super) fn replace(&mut self, mut record: OperationRecord) -> OperationRecord {
        record.updated_at = self.now;
        if record.is_finished_for_agent() && record.finished_at.is_none() {
            record.finished_at = Some(self.now);
        }
        let place = self.operations.iter_mut().find(|o| o.id == record.id).unwrap();
        let event = change(place, &record);
        place.clone_from(&record);
        self.log(event, Subject::Operation(record.id));
        self.changed.insert(record.id);
        record
    }
}

fn dispose(record: &mut OperationRecord, disposition: &Disposition) {
    match disposition {
        Disposition::Allow(until) => record.expires_at = Some(*until),
        Disposition::Park(parking) => {
            record.state = OperationState::Parked;
            record.gates.clone_from(&parking.gates);
            record.asks.clone_from(&parking.asks);
            record.digest = Some(parking.digest);
            record.expires_at = Some(parking.expires_at);
            record.votes.clear();
        }
    }
}

pub(super) fn refused(why: &str) -> LedgerError {
    LedgerError::Refused(why.into())
}
