//! Denying, reserving and redeeming: where money is held.

use countersign_core::{
    charge::{Charge, Window},
    identity::AgentId,
    operation::{Delivery, OperationRecord, OperationState},
};
use countersign_engine::port::{
    chronicle::event,
    ledger::{
        DenyAnswer, Disposition, Found, LedgerError, NewOperation, Part, Redeem, RedeemAnswer,
        Reserve, ReserveAnswer, Split, SplitAnswer,
    },
};
use rusqlite::params;

use super::{counters::Move, fault::Fault, worker::Step};

impl Step<'_> {
    pub(super) fn deny(&self, denied: &NewOperation) -> Result<DenyAnswer, Fault> {
        if let Some(again) = self.operation(denied.id)? {
            let denied = again.state == OperationState::Denied;
            let other = || Fault::Refused(format!("operation {} was not denied", again.id));
            return denied.then(|| DenyAnswer::Denied(Box::new(again.clone()))).ok_or_else(other);
        }
        Ok(match self.find(&denied.repeat)? {
            Found::Same(same) => DenyAnswer::Same(same),
            Found::KeyConflict(other) => DenyAnswer::KeyConflict(other),
            Found::Nothing => {
                let mut record = self.record(denied, OperationState::Denied);
                record.finished_at = Some(self.now);
                self.insert(&record, "deny")?;
                DenyAnswer::Denied(Box::new(record))
            }
        })
    }

    pub(super) fn reserve(&self, reserve: &Reserve) -> Result<ReserveAnswer, Fault> {
        let Reserve { operation, charges, disposition, parked_max, delivery } = reserve;
        if let Some(again) = self.operation(operation.id)? {
            let denied = again.state == OperationState::Denied;
            let other = || Fault::Refused(format!("operation {} was denied", again.id));
            return (!denied)
                .then(|| ReserveAnswer::Reserved(Box::new(again.clone())))
                .ok_or_else(other);
        }
        match self.find(&operation.repeat)? {
            Found::Same(same) => return Ok(ReserveAnswer::Same(same)),
            Found::KeyConflict(other) => return Ok(ReserveAnswer::KeyConflict(other)),
            Found::Nothing => {}
        }
        if self.has_moved(charges) {
            return Ok(ReserveAnswer::PeriodMoved);
        }
        let over = self.overruns(charges, &[], disposition.parks())?;
        if !over.is_empty() {
            return Ok(ReserveAnswer::Over(over));
        }
        if disposition.parks() && self.parked(&operation.intent.agent, *parked_max)? >= *parked_max
        {
            return Ok(ReserveAnswer::Crowded);
        }
        self.charge(charges)?;
        let mut record = self.record(operation, OperationState::Allowed);
        record.charges.clone_from(charges);
        record.delivery = *delivery;
        disposition.apply(&mut record);
        let event = if disposition.parks() { event::PARK } else { "reserve" };
        self.insert(&record, event)?;
        Ok(ReserveAnswer::Reserved(Box::new(record)))
    }

    pub(super) fn redeem(&self, redeem: &Redeem) -> Result<RedeemAnswer, Fault> {
        let Redeem { operation, intent, charges, disposition, trace, gateway } = redeem;
        let mut record = self.known(*operation)?;
        let same = intent.rest().len() == record.intent.rest().len();
        if !same || self.is_over(&record) || !self.is_redeemable(&record, gateway)? {
            return Ok(RedeemAnswer::Elsewhere(Box::new(record)));
        }
        if self.has_moved(charges) {
            return Ok(RedeemAnswer::PeriodMoved);
        }
        let over = self.overruns(charges, &record.charges, disposition.parks())?;
        if !over.is_empty() {
            return Ok(RedeemAnswer::Over(over));
        }
        self.shift(&record.charges, Move::Release)?;
        self.charge(charges)?;
        record.intent = intent.clone();
        record.charges.clone_from(charges);
        record.trace = *trace;
        record.fence = record.fence.saturating_add(1);
        record.state = OperationState::Allowed;
        disposition.apply(&mut record);
        let event = if disposition.parks() { event::PARK } else { "redeem" };
        Ok(RedeemAnswer::Redeemed(Box::new(self.update(record, event)?)))
    }

    pub(super) fn split(&self, split: &Split) -> Result<SplitAnswer, Fault> {
        let mut record = self.known(split.operation)?;
        if record.fence == split.fence.saturating_add(1)
            && record.intent.rest().is_empty()
            && let Some(again) = self.parts_again(&split.parts)?
        {
            return Ok(SplitAnswer::Split(again));
        }
        let allowed = record.state == OperationState::Allowed && record.fence == split.fence;
        if !allowed || self.is_over(&record) {
            return Ok(SplitAnswer::Elsewhere(Box::new(record)));
        }
        let (first, further) = split.parts_of(&record).map_err(refused)?;
        for part in further {
            if self.operation(part.id)?.is_some() {
                return Err(Fault::Refused(format!("{} is there already", part.id)));
            }
        }
        record.intent = first.intent.clone();
        record.charges.clone_from(&first.charges);
        record.fence = record.fence.saturating_add(1);
        let record = self.update(record, "split")?;
        let new = further.iter().map(|part| part.of(&record, self.now));
        let new: Vec<OperationRecord> = new.collect();
        for part in &new {
            self.insert(part, "split")?;
        }
        Ok(SplitAnswer::Split([vec![record], new].concat()))
    }

    /// Every part, if it was split into them before.
    fn parts_again(&self, parts: &[Part]) -> Result<Option<Vec<OperationRecord>>, Fault> {
        parts.iter().map(|part| self.operation(part.id)).collect()
    }

    /// How many of the agent's operations wait for people; nobody needs to know beyond `most`.
    pub(super) fn parked(&self, agent: &AgentId, most: u32) -> Result<u32, Fault> {
        const SQL: &str = "SELECT COUNT(*) FROM
            (SELECT 1 FROM operations WHERE state = 'PARKED' AND agent = ?1 LIMIT ?2)";
        let mut statement = self.connection().prepare_cached(SQL)?;
        Ok(statement.query_row(params![agent.as_str(), most], |row| row.get(0))?)
    }

    /// Approved; or allowed, and nobody but this gateway works on it.
    fn is_redeemable(&self, record: &OperationRecord, gateway: &str) -> Result<bool, Fault> {
        if record.state == OperationState::Allowed {
            return Ok(record.gateway == gateway || !self.is_attended(record.id)?);
        }
        Ok(record.state == OperationState::Approved)
    }

    /// Whether a calendar window does not contain now.
    fn has_moved(&self, charges: &[Charge]) -> bool {
        charges.iter().any(|charge| match charge.window {
            Window::Calendar(period) => !period.contains(self.now),
            Window::Rolling(_) | Window::Grant => false,
        })
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
}

fn refused(error: LedgerError) -> Fault {
    Fault::Refused(match error {
        LedgerError::Refused(why) => why,
        other @ (LedgerError::Unavailable(_)
        | LedgerError::Ambiguous(_)
        | LedgerError::Damaged(_)
        | LedgerError::Lost(_)
        | LedgerError::Clock(_)) => other.to_string(),
    })
}

/// What a disposition makes of a record.
trait Dispose {
    fn apply(&self, record: &mut OperationRecord);
}

impl Dispose for Disposition {
    fn apply(&self, record: &mut OperationRecord) {
        match self {
            Self::Allow(until) => record.expires_at = Some(*until),
            Self::Park(parking) => {
                record.state = OperationState::Parked;
                record.gates.clone_from(&parking.gates);
                record.asks.clone_from(&parking.asks);
                record.digest = Some(parking.digest);
                record.expires_at = Some(parking.expires_at);
                record.votes.clear();
            }
        }
    }
}
