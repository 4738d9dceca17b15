//! From commit on: nonces, signatures, receipts, settlement; and the switches that stop it.

use std::collections::BTreeSet;

use alloy_primitives::{Address, Bytes, U256};
use countersign_core::{
    amount::AMOUNT_MAX,
    charge::Charge,
    fact::Freeze,
    freeze::{FreezeOrder, StandingFreeze},
    identity::{ChainId, OperationId, WalletId},
    operation::{Actual, Attempt, Delivery, Money, OperationRecord, OperationState as S, Purpose},
    pact::{Pact, PactStanding, Word},
    time::Timestamp,
    transaction::UnsignedTransaction,
};
use countersign_engine::port::{
    chronicle::event,
    ledger::{
        Bump, BumpAnswer, Commit, CommitAnswer, LedgerError, MessageEnd, NONCE_HELD_FOR,
        PactAnswer, PactWord, ReleaseProof, SETTLED_KEPT, SentOutcome, Settle, SignedBytes,
    },
};

use super::{
    books::{Books, refused},
    chronicle::Subject,
};

/// Committed, not terminal: the operations that hold their lane open.
const IN_FLIGHT: [S; 6] =
    [S::Prepared, S::Signed, S::Broadcast, S::Unknown, S::Mined, S::Cancelling];

/// Signed, and not known to be final.
const SENDING: [S; 5] = [S::Signed, S::Broadcast, S::Unknown, S::Mined, S::Cancelling];

impl Books {
    pub(super) fn commit(&mut self, commit: &Commit) -> Result<CommitAnswer, LedgerError> {
        let mut record = self.known(commit.operation)?;
        if record.fence != commit.fence {
            return Ok(CommitAnswer::Elsewhere(Box::new(record)));
        }
        if record.is_bound() {
            return Ok(CommitAnswer::Bound(Box::new(record)));
        }
        if record.state != S::Allowed {
            return Ok(CommitAnswer::Elsewhere(Box::new(record)));
        }
        if self.is_over(&record) {
            return Ok(CommitAnswer::Lapsed);
        }
        if let Some(reason) = &self.seal {
            return Ok(CommitAnswer::Sealed(reason.clone()));
        }
        if let Some(freeze) = self.stopping(&record, commit.shrinks_only) {
            return Ok(CommitAnswer::Frozen(freeze));
        }
        if let Some(standing) = self.ended(&record, commit) {
            return Ok(CommitAnswer::Ended(standing));
        }
        let (chain, wallet) = (record.chain(), record.wallet().clone());
        let Some(plan) = record.plan().cloned() else {
            self.seen.extend(commit.counterparties.iter().map(|a| (chain, wallet.clone(), *a)));
            record.state = S::Prepared;
            return Ok(CommitAnswer::Bound(Box::new(self.replace(record))));
        };
        let in_flight = self.lane(chain, &wallet).filter(|o| IN_FLIGHT.contains(&o.state)).count();
        let highest = self.next_nonce(chain, &wallet).unwrap_or(0);
        let from_chain = in_flight == 0 || commit.shared_lane;
        let next = if from_chain { highest.max(commit.floor) } else { highest };
        let nonce = record.intent.nonce.unwrap_or(next);
        if nonce > next {
            return Ok(CommitAnswer::Gap { next });
        }
        if nonce < next {
            return Ok(CommitAnswer::NonceTaken { next });
        }
        if let Some(until) = self.held_until(&record, next) {
            return Ok(match record.intent.nonce {
                Some(_) => CommitAnswer::NonceTaken { next },
                None => CommitAnswer::Held { until },
            });
        }
        if in_flight >= usize::try_from(commit.in_flight_max).unwrap() {
            return Ok(CommitAnswer::LaneFull);
        }
        self.seen.extend(commit.counterparties.iter().map(|a| (chain, wallet.clone(), *a)));
        record.state = S::Prepared;
        record.attempts = vec![Attempt {
            number: 0,
            purpose: Purpose::Payload,
            made_at: self.now,
            transaction: plan.with_nonce(nonce),
            raw: None,
            hash: None,
            outcome: None,
        }];
        Ok(CommitAnswer::Bound(Box::new(self.replace(record))))
    }

    /// Until when the nonce is kept for an operation that waits for people.
    fn held_until(&self, asking: &OperationRecord, nonce: u64) -> Option<Timestamp> {
        let holds = |o: &&OperationRecord| {
            o.id != asking.id
                && [S::Parked, S::Approved].contains(&o.state)
                && (o.chain(), o.wallet()) == (asking.chain(), asking.wallet())
                && o.intent.nonce == Some(nonce)
        };
        let ends = |o: &OperationRecord| o.created_at.after(NONCE_HELD_FOR);
        self.operations.iter().filter(holds).map(ends).filter(|end| *end > self.now).max()
    }

    pub(super) fn bump(&mut self, bump: &Bump) -> Result<BumpAnswer, LedgerError> {
        let mut record = self.known(bump.operation)?;
        let Some(first) = record.attempts.first() else {
            return Ok(BumpAnswer::Elsewhere(Box::new(record)));
        };
        fits_nonce(first, record.intent.address, bump)?;
        let dearer = dearer(&record.charges, &bump.fees)?;
        let number = usize::try_from(bump.attempt).unwrap();
        if let Some(same) = record.attempts.get(number) {
            let is_same = same.transaction == bump.transaction && same.purpose == bump.purpose;
            let record = Box::new(record);
            return Ok(if is_same {
                BumpAnswer::Bound(record)
            } else {
                BumpAnswer::Elsewhere(record)
            });
        }
        if number != record.attempts.len() || !is_bumpable(&record, bump.purpose) {
            return Ok(BumpAnswer::Elsewhere(Box::new(record)));
        }
        if let Some(reason) = &self.seal {
            return Ok(BumpAnswer::Sealed(reason.clone()));
        }
        if let Some(freeze) = self.stopping(&record, bump.purpose == Purpose::Cancel) {
            return Ok(BumpAnswer::Frozen(freeze));
        }
        if bump.purpose == Purpose::Payload {
            let over = self.overruns_beside(&dearer, record.id);
            if !over.is_empty() {
                return Ok(BumpAnswer::Over(over));
            }
        } else {
            record.state = S::Cancelling;
        }
        record.charges = dearer;
        record.attempts.push(Attempt {
            number: bump.attempt,
            purpose: bump.purpose,
            made_at: self.now,
            transaction: bump.transaction.clone(),
            raw: None,
            hash: None,
            outcome: None,
        });
        Ok(BumpAnswer::Bound(Box::new(self.replace(record))))
    }

    pub(super) fn settled_in(&self, chain: ChainId, block: u64) -> Vec<OperationRecord> {
        let highest = self.settled_up_to.get(&chain).copied().unwrap_or(0);
        let is_here = |o: &&OperationRecord| {
            o.state.money() == Money::Settled
                && o.chain() == chain
                && o.actual.as_ref().is_some_and(|actual| actual.block_number == block)
        };
        let mut found: Vec<OperationRecord> =
            self.operations.iter().filter(is_here).cloned().collect();
        found.retain(|_| block + SETTLED_KEPT >= highest);
        found.sort_by_key(|o| o.id);
        found
    }

    /// What people said, if they ended the grant under which this is bound.
    fn ended(&self, record: &OperationRecord, commit: &Commit) -> Option<PactStanding> {
        let pact = Pact { agent: record.agent().clone(), grant: commit.grant };
        self.pacts.get(&pact).filter(|standing| standing.is_over()).cloned()
    }

    fn stopping(&self, record: &OperationRecord, shrinks_only: bool) -> Option<Freeze> {
        let covers = |f: &&Freeze| f.covers(record.agent(), record.wallet(), record.chain());
        self.freezes
            .iter()
            .filter(covers)
            .find(|freeze| !shrinks_only || **freeze == Freeze::All)
            .cloned()
    }

    /// Every operation that ever got a nonce of this wallet on this chain.
    fn lane(&self, chain: ChainId, wallet: &WalletId) -> impl Iterator<Item = &OperationRecord> {
        self.operations
            .iter()
            .filter(move |o| o.chain() == chain && o.wallet() == wallet && !o.attempts.is_empty())
    }

    pub(super) fn next_nonce(&self, chain: ChainId, wallet: &WalletId) -> Option<u64> {
        self.lane(chain, wallet).filter_map(OperationRecord::nonce).max().map(|n| n + 1)
    }

    pub(super) fn holder(
        &self,
        chain: ChainId,
        wallet: &WalletId,
        nonce: u64,
    ) -> Option<OperationId> {
        self.lane(chain, wallet).find(|o| o.nonce() == Some(nonce)).map(|o| o.id)
    }

    pub(super) fn signed(
        &mut self,
        id: OperationId,
        number: u32,
        (bytes, said): (&SignedBytes, Option<&SentOutcome>),
    ) -> Result<OperationRecord, LedgerError> {
        let mut record = self.known(id)?;
        let attempt = attempt(&mut record, number)?;
        if attempt.transaction != bytes.transaction {
            return Err(refused("the attempt is bound to another payload"));
        }
        let before = attempt.clone();
        attempt.raw = Some(bytes.raw.clone());
        attempt.hash = Some(bytes.hash);
        if before.hash.is_some() && before != *attempt {
            return Err(refused("the attempt has other bytes"));
        }
        if record.state == S::Prepared {
            record.state = S::Signed;
        }
        let is_told = said.is_some_and(|outcome| is_told(&mut record, number, outcome));
        let is_news = before.hash.is_none() || is_told;
        Ok(if is_news { self.replace(record) } else { record })
    }

    pub(super) fn signed_message(
        &mut self,
        id: OperationId,
        signature: &Bytes,
    ) -> Result<OperationRecord, LedgerError> {
        let mut record = self.known(id)?;
        if record.message().is_none() || !record.is_bound() {
            return Err(undefined("signed_message", &record));
        }
        if let Some(known) = &record.signature {
            let same = known == signature;
            return if same { Ok(record) } else { Err(refused("it has another signature")) };
        }
        record.signature = Some(signature.clone());
        record.state = S::Signed;
        Ok(self.replace(record))
    }

    pub(super) fn end_message(
        &mut self,
        id: OperationId,
        end: MessageEnd,
    ) -> Result<OperationRecord, LedgerError> {
        let mut record = self.known(id)?;
        let state = match end {
            MessageEnd::Spent => S::Executed,
            MessageEnd::Void => S::Cancelled,
        };
        if record.message().is_some() && record.state == state {
            return Ok(record);
        }
        if record.message().is_none() || record.state != S::Signed {
            return Err(undefined("end_message", &record));
        }
        let in_full = |charge: &Charge| match end {
            MessageEnd::Spent => charge.amount().unwrap(),
            MessageEnd::Void => 0,
        };
        record.kept = record.charges.iter().map(in_full).collect();
        record.settled_at = Some(self.now);
        record.state = state;
        Ok(self.replace(record))
    }

    pub(super) fn sent(
        &mut self,
        id: OperationId,
        number: u32,
        outcome: &SentOutcome,
    ) -> Result<OperationRecord, LedgerError> {
        let mut record = self.known(id)?;
        if attempt(&mut record, number)?.hash.is_none() {
            return Err(refused("the attempt is not signed"));
        }
        let is_told = is_told(&mut record, number, outcome);
        Ok(if is_told { self.replace(record) } else { record })
    }

    pub(super) fn mined(
        &mut self,
        id: OperationId,
        actual: Option<&Actual>,
    ) -> Result<OperationRecord, LedgerError> {
        let mut record = self.known(id)?;
        if record.message().is_some() {
            return Err(undefined("mined", &record));
        }
        match (record.state, actual) {
            (S::Executed | S::Reverted | S::Cancelled, Some(_)) => Ok(record),
            (S::Mined, None) => {
                record.state = record.sent_state();
                record.actual = None;
                Ok(self.replace(record))
            }
            (state, None) if SENDING.contains(&state) => Ok(record),
            (S::Mined, Some(actual)) if record.actual.as_ref() == Some(actual) => Ok(record),
            (state, Some(actual)) if SENDING.contains(&state) => {
                ours(&record, actual)?;
                record.state = S::Mined;
                record.actual = Some(actual.clone());
                Ok(self.replace(record))
            }
            _ => Err(undefined("mined", &record)),
        }
    }

    pub(super) fn settle(&mut self, settle: &Settle) -> Result<OperationRecord, LedgerError> {
        let mut record = self.known(settle.operation)?;
        if record.message().is_some() {
            return Err(undefined("settle", &record));
        }
        if [S::Executed, S::Reverted, S::Cancelled].contains(&record.state) {
            return Ok(record);
        }
        if !SENDING.contains(&record.state) {
            return Err(undefined("settle", &record));
        }
        ours(&record, &settle.actual)?;
        if settle.attempts != record.attempts.len() || settle.charges != record.charges {
            return Err(refused("it was reckoned from what the operation is no more"));
        }
        if settle.kept.len() != record.charges.len() {
            return Err(refused("there is not one kept amount for each charge"));
        }
        if settle.kept.iter().any(|kept| *kept > AMOUNT_MAX) {
            return Err(refused("more than a counter holds"));
        }
        let highest = self.settled_up_to.entry(record.chain()).or_default();
        *highest = settle.actual.block_number.max(*highest);
        record.state = match record.purpose_of(settle.actual.hash) {
            Some(Purpose::Cancel) => S::Cancelled,
            _ if settle.actual.succeeded => S::Executed,
            _ => S::Reverted,
        };
        record.actual = Some(settle.actual.clone());
        record.kept.clone_from(&settle.kept);
        record.settled_at = Some(self.now);
        Ok(self.replace(record))
    }

    pub(super) fn unsettle(&mut self, id: OperationId) -> Result<OperationRecord, LedgerError> {
        let mut record = self.known(id)?;
        if record.message().is_some() {
            return Err(undefined("unsettle", &record));
        }
        match record.state {
            S::Broadcast | S::Cancelling => Ok(record),
            S::Executed | S::Reverted | S::Cancelled => {
                record.state = record.sent_state();
                record.actual = None;
                record.kept.clear();
                record.settled_at = None;
                Ok(self.replace(record))
            }
            _ => Err(undefined("unsettle", &record)),
        }
    }

    pub(super) fn release_committed(
        &mut self,
        id: OperationId,
        proof: ReleaseProof,
    ) -> Result<OperationRecord, LedgerError> {
        let mut record = self.known(id)?;
        let ReleaseProof::NonceUsedElsewhere { final_nonce } = proof;
        if record.state == S::Conflict {
            return Ok(record);
        }
        if record.message().is_some() || !IN_FLIGHT.contains(&record.state) {
            return Err(undefined("release_committed", &record));
        }
        if Some(final_nonce) <= record.nonce() {
            return Err(refused("the nonce is not used up"));
        }
        record.state = S::Conflict;
        record.actual = None;
        Ok(self.replace(record))
    }

    pub(super) fn deliver(
        &mut self,
        id: OperationId,
        from: Delivery,
        to: Delivery,
    ) -> Result<bool, LedgerError> {
        let mut record = self.known(id)?;
        let debt =
            (record.delivery, from, to) == (Delivery::Waiting, Delivery::Waiting, Delivery::Owed);
        let changes = debt || self.delivery(&record) == from;
        if changes {
            record.delivery = to;
            self.replace(record);
        }
        Ok(changes)
    }

    pub(super) fn open(
        &self,
        states: &[S],
        idle_since: Timestamp,
        max: u32,
    ) -> Vec<OperationRecord> {
        let works = |o: &OperationRecord| {
            let at_work = IN_FLIGHT.contains(&o.state) && !o.is_signed_message();
            [S::Approved, S::Allowed].contains(&o.state) || at_work
        };
        let mut open: Vec<OperationRecord> = self
            .operations
            .iter()
            .filter(|o| works(o) && states.contains(&o.state) && o.updated_at <= idle_since)
            .cloned()
            .collect();
        open.sort_by_key(|o| (o.updated_at, o.id));
        open.truncate(usize::try_from(max).unwrap());
        open
    }

    pub(super) fn seen(
        &self,
        chain: ChainId,
        wallet: &WalletId,
        addresses: &[Address],
    ) -> BTreeSet<Address> {
        let known = |a: &&Address| self.seen.contains(&(chain, wallet.clone(), **a));
        addresses.iter().filter(known).copied().collect()
    }

    pub(super) fn freeze(&mut self, order: &FreezeOrder) {
        self.put_freeze(order, event::FREEZE);
    }

    pub(super) fn put_freeze(&mut self, order: &FreezeOrder, event: &'static str) {
        let standing = self.freezers.get(&order.freeze);
        if standing.is_some_and(|standing| order.adds_nothing_to(&standing.order)) {
            return;
        }
        let standing = StandingFreeze { order: order.clone(), at: self.now };
        self.freezes.insert(order.freeze.clone());
        self.freezers.insert(order.freeze.clone(), standing);
        self.forget_strikes(&order.freeze);
        self.log(event, Subject::Other(order.freeze.scope()));
    }

    pub(super) fn unfreeze(&mut self, freeze: &Freeze) -> bool {
        let lifted = self.freezes.remove(freeze);
        self.freezers.remove(freeze);
        if lifted {
            self.forget_strikes(freeze);
            self.log(event::UNFREEZE, Subject::Other(freeze.scope()));
        }
        lifted
    }

    pub(super) fn say(&mut self, word: &PactWord) -> PactAnswer {
        let PactWord { pact, verb, by, note } = word.clone();
        let before = self.pacts.get(&pact);
        let spoken = Word { by, at: self.now, note };
        let Some(after) = verb.applied(before, spoken) else {
            return PactAnswer::of(verb, before.unwrap().clone());
        };
        let subject = format!("{}:{}", pact.agent, pact.grant);
        self.pacts.insert(pact, after.clone());
        self.log("pact", Subject::Other(subject));
        PactAnswer::Said(after)
    }

    fn forget_strikes(&mut self, freeze: &Freeze) {
        if let Freeze::Agent(agent) = freeze {
            self.strikes.remove(agent);
        }
    }

    pub(super) fn seal(&mut self, reason: Option<String>) {
        if self.seal != reason {
            let event = if reason.is_some() { event::SEAL } else { event::UNSEAL };
            self.seal = reason;
            self.log(event, Subject::Other("-".into()));
        }
    }
}

fn attempt(record: &mut OperationRecord, number: u32) -> Result<&mut Attempt, LedgerError> {
    let known = record.attempts.iter_mut().find(|a| a.number == number);
    known.ok_or_else(|| refused(&format!("there is no attempt {number}")))
}

/// Notes what a node said to a signed attempt; whether it comes in time.
fn is_told(record: &mut OperationRecord, number: u32, outcome: &SentOutcome) -> bool {
    let (state, words) = match outcome {
        SentOutcome::Accepted => (S::Broadcast, "accepted"),
        SentOutcome::Unknown(words) => (S::Unknown, words.as_str()),
    };
    match record.state {
        S::Signed | S::Broadcast | S::Unknown => record.state = state,
        S::Cancelling => {}
        _ => return false,
    }
    let told = record.attempts.iter_mut().find(|attempt| attempt.number == number);
    told.map(|attempt| attempt.outcome = Some(words.into())).is_some()
}

/// Same nonce, and nothing but the fee may differ; or nothing at all is moved.
fn fits_nonce(first: &Attempt, own: Address, bump: &Bump) -> Result<(), LedgerError> {
    let UnsignedTransaction { plan, nonce } = &bump.transaction;
    let first = &first.transaction;
    let fits = match bump.purpose {
        Purpose::Payload => {
            let mut same = first.plan.clone();
            same.fee = plan.fee;
            same == *plan
        }
        Purpose::Cancel => {
            plan.to == Some(own)
                && plan.value == U256::ZERO
                && plan.data.is_empty()
                && plan.chain == first.plan.chain
        }
    };
    if fits && *nonce == first.nonce {
        Ok(())
    } else {
        Err(refused("the attempt is no bump or cancel of the operation's first"))
    }
}

fn is_bumpable(record: &OperationRecord, purpose: Purpose) -> bool {
    let is_signed = record.attempts.last().is_some_and(|attempt| attempt.hash.is_some());
    match purpose {
        Purpose::Payload => {
            is_signed && [S::Signed, S::Broadcast, S::Unknown].contains(&record.state)
        }
        Purpose::Cancel => [S::Prepared, S::Signed, S::Broadcast, S::Unknown, S::Cancelling]
            .contains(&record.state),
    }
}

fn dearer(charges: &[Charge], fees: &[u64]) -> Result<Vec<Charge>, LedgerError> {
    if charges.len() != fees.len() {
        return Err(refused("there is not one fee for each charge"));
    }
    let with_fee = |(charge, fee): (&Charge, &u64)| {
        let dearer = Charge { fee: charge.fee.max(*fee), ..charge.clone() };
        dearer.amount().map(|_| dearer).ok_or_else(|| refused("more than a counter holds"))
    };
    charges.iter().zip(fees).map(with_fee).collect()
}

/// A receipt counts only if it is of bytes that we stored.
fn ours(record: &OperationRecord, actual: &Actual) -> Result<(), LedgerError> {
    let known = record.attempts.iter().any(|a| a.hash == Some(actual.hash));
    if known { Ok(()) } else { Err(refused("the receipt is of bytes that we do not know")) }
}

fn undefined(step: &str, record: &OperationRecord) -> LedgerError {
    refused(&format!("`{step}` is not defined in {}", record.state.name()))
}
