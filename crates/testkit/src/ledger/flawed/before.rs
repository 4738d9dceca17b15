//! Flaws before commit: repetition, reservation, approval, redemption, and commit itself.

use countersign_core::{
    amount::AMOUNT_MAX,
    charge::{Charge, Over},
    identity::OperationId,
    operation::{Delivery, OperationRecord, OperationState as S},
    time::{Millis, Timestamp},
};
use countersign_engine::port::{
    Ledger,
    journal::Page,
    ledger::{
        Adopt, AdoptAnswer, Approve, ApproveAnswer, Bump, BumpAnswer, Commit, CommitAnswer, Found,
        LedgerError, OperationQuery, Redeem, RedeemAnswer, Repeat, Reserve, ReserveAnswer, Survey,
        Surveyed,
    },
};

use super::{Flaw, FlawedLedger, lock};
use crate::{
    fixture::{FAR, HOUR},
    ledger::{books::Books, counters::Asking},
};

/// How old the counters are that a gateway checks.
const STALE_FOR: Millis = Millis(40);

impl FlawedLedger {
    pub(super) async fn present(&self, gateway: &str, ttl: Millis) -> Result<(), LedgerError> {
        if self.is(Flaw::ParkedLost) {
            let is_parked = |o: &OperationRecord| o.state == S::Parked;
            self.with(|books| {
                if !books.knows(gateway) {
                    books.operations.retain(|o| !is_parked(o));
                }
            })?;
        }
        self.model.present(gateway, ttl).await
    }

    pub(super) async fn find(&self, repeat: &Repeat) -> Result<Found, LedgerError> {
        self.with(|books| self.forget(books, repeat))?;
        if self.is(Flaw::OwedForgotten) {
            return self.with(|books| blind(books, |books| books.find(repeat)));
        }
        self.model.find(repeat).await
    }

    /// Whatever is wrong with what it finds is wrong here too.
    pub(super) async fn survey(&self, survey: &Survey) -> Result<Surveyed, LedgerError> {
        let found = self.find(&survey.repeat).await?;
        Ok(Surveyed { found, ..self.model.survey(survey).await? })
    }

    /// Forgets what the flaw makes a repetition not find.
    fn forget(&self, books: &mut Books, repeat: &Repeat) {
        let now = books.now;
        let forgets = |o: &OperationRecord| match self.flaw {
            Flaw::KeyFreedByRelease => [S::Rejected, S::Expired].contains(&o.state),
            Flaw::KeyForgotten => now.since(o.created_at) >= HOUR,
            Flaw::KeyTakesAnyBody => o.fingerprint != repeat.fingerprint,
            _ => false,
        };
        let holds = |o: &&OperationRecord| o.key.is_some() && o.key == repeat.key && forgets(o);
        let forgotten: Vec<_> = books.operations.iter().filter(holds).map(|o| o.id).collect();
        books.voided.extend(forgotten);
    }

    pub(super) async fn reserve(&self, reserve: &Reserve) -> Result<ReserveAnswer, LedgerError> {
        self.with(|books| self.forget(books, &reserve.operation.repeat))?;
        let mut asked = reserve.clone();
        match self.flaw {
            Flaw::FirstChargeOnly => asked.charges.iter_mut().skip(1).for_each(empty),
            Flaw::FeesUncharged => asked.charges.iter_mut().for_each(|charge| charge.fee = 0),
            Flaw::CheckedThenCounted => return self.reserve_by_stale(reserve),
            _ => {}
        }
        if self.is(Flaw::OwedForgotten) {
            return self.model.with(|books| blind(books, |books| books.reserve(&asked)));
        }
        self.model.reserve(&asked).await
    }

    /// Looks at counters of a moment ago, and charges those of now.
    fn reserve_by_stale(&self, reserve: &Reserve) -> Result<ReserveAnswer, LedgerError> {
        self.model.with(|books| {
            let mut stale = lock(&self.stale);
            let (_, old) = stale
                .take_if(|(at, _)| books.now.since(*at) > STALE_FOR)
                .or_else(|| stale.clone())
                .unwrap_or_else(|| (books.now, books.clone()));
            stale.get_or_insert_with(|| (books.now, books.clone()));
            let parks = reserve.disposition.parks();
            let over = old.overruns(&Asking { charges: &reserve.charges, parks, without: None });
            if !over.is_empty() {
                return Ok(ReserveAnswer::Over(over));
            }
            let mut unlimited = reserve.clone();
            unlimited.charges.iter_mut().for_each(lift);
            let answer = books.reserve(&unlimited)?;
            Ok(match answer {
                ReserveAnswer::Reserved(mut record)
                    if record.charges.len() == reserve.charges.len() =>
                {
                    record.charges.clone_from(&reserve.charges);
                    books.put(&record);
                    ReserveAnswer::Reserved(record)
                }
                other => other,
            })
        })
    }

    pub(super) async fn redeem(&self, redeem: &Redeem) -> Result<RedeemAnswer, LedgerError> {
        let before = self.model.operation(redeem.operation).await?;
        let mut asked = redeem.clone();
        match self.flaw {
            Flaw::FeesUncharged => asked.charges.iter_mut().for_each(|charge| charge.fee = 0),
            Flaw::RedeemedUnchecked => asked.charges.iter_mut().for_each(lift),
            Flaw::InItsOwnWay => {
                let parks = redeem.disposition.parks();
                let asking = Asking { charges: &redeem.charges, parks, without: None };
                let over = self.with(|books| books.overruns(&asking))?;
                if !over.is_empty() {
                    return Ok(RedeemAnswer::Over(over));
                }
            }
            _ => {}
        }
        let answer = self.model.redeem(&asked).await?;
        let RedeemAnswer::Redeemed(mut record) = answer else { return Ok(answer) };
        if self.is(Flaw::RedeemedUnchecked) {
            record.charges.clone_from(&redeem.charges);
        }
        if self.is(Flaw::VotesKept) && record.state == S::Parked {
            record.votes = before.map(|before| before.votes).unwrap_or_default();
            record.state = S::Approved;
        }
        self.with(|books| books.put(&record))?;
        Ok(RedeemAnswer::Redeemed(record))
    }

    pub(super) async fn approve(&self, approve: &Approve) -> Result<ApproveAnswer, LedgerError> {
        let mut asked = approve.clone();
        let known = self.model.operation(approve.operation).await?;
        let Some(mut record) = known.filter(|record| record.state == S::Parked) else {
            return self.model.approve(approve).await;
        };
        if self.is(Flaw::DigestIgnored) {
            asked.digest = record.digest.unwrap();
        }
        let expires_at = record.expires_at;
        if self.is(Flaw::ExpiredApprovable) {
            record.expires_at = Some(FAR);
            self.with(|books| books.put(&record))?;
        }
        let answer = self.model.approve(&asked).await;
        if self.is(Flaw::ExpiredApprovable)
            && let Some(now) = self.model.operation(approve.operation).await?
        {
            self.with(|books| books.put(&OperationRecord { expires_at, ..now }))?;
        }
        answer
    }

    pub(super) async fn expire(&self, max: u32) -> Result<Vec<OperationRecord>, LedgerError> {
        if self.is(Flaw::ReleasedOnATimer) {
            let signed = [S::Signed, S::Broadcast, S::Unknown];
            let due = |o: &&OperationRecord, now: Timestamp| {
                signed.contains(&o.state) && o.expires_at.is_some_and(|at| at <= now)
            };
            self.with(|books| {
                let now = books.now;
                let over: Vec<_> =
                    books.operations.iter().filter(|o| due(o, now)).cloned().collect();
                for record in over {
                    books.replace(OperationRecord { state: S::Expired, ..record });
                }
            })?;
        }
        self.model.expire(max).await
    }

    pub(super) async fn commit(&self, commit: &Commit) -> Result<CommitAnswer, LedgerError> {
        let mut asked = commit.clone();
        let Some(record) = self.model.operation(commit.operation).await? else {
            return self.model.commit(commit).await;
        };
        match self.flaw {
            Flaw::FenceIgnored => asked.fence = record.fence,
            Flaw::DeadlineIgnored => {
                let record = OperationRecord { expires_at: Some(FAR), ..record.clone() };
                self.with(|books| books.put(&record))?;
            }
            Flaw::SecondNonce if record.state == S::Prepared => {
                return self.bind_once_more(record);
            }
            Flaw::NonceFromTheChain => return self.bind(&asked, commit.floor),
            Flaw::NonceRecycled => {
                let free = self.with(|books| free_nonce(books, &record))?;
                if let Some(nonce) = free {
                    return self.bind(&asked, nonce);
                }
            }
            _ => {}
        }
        let answer = self.unstopped(|books| books.commit(&asked))?;
        if let CommitAnswer::Bound(bound) = &answer
            && self.is(Flaw::DeadlineIgnored)
            && bound.state == S::Prepared
        {
            let record = OperationRecord { expires_at: record.expires_at, ..(**bound).clone() };
            self.with(|books| books.put(&record))?;
        }
        Ok(answer)
    }

    pub(super) async fn bump(&self, bump: &Bump) -> Result<BumpAnswer, LedgerError> {
        let before = self.model.operation(bump.operation).await?;
        let mut asked = bump.clone();
        if let Some(record) = &before
            && self.is(Flaw::BumpUncharged)
        {
            asked.fees = record.charges.iter().map(|charge| charge.fee).collect();
        }
        if let Some(mut record) = before.clone()
            && self.is(Flaw::BumpUnchecked)
        {
            record.charges.iter_mut().for_each(lift);
            self.with(|books| books.put(&record))?;
        }
        let answer = self.unstopped(|books| books.bump(&asked));
        if let Some(before) = before
            && self.is(Flaw::BumpUnchecked)
        {
            self.with(|books| restore_limits(books, &before))?;
        }
        let answer = answer?;
        let BumpAnswer::Bound(_) = &answer else { return Ok(answer) };
        let Some(mut record) = self.model.operation(bump.operation).await? else {
            return Ok(answer);
        };
        let newest = record.attempts.len() - 1;
        if self.is(Flaw::BumpChangesValue) && record.attempts[newest].raw.is_none() {
            let plan = &mut record.attempts[newest].transaction.plan;
            plan.value = plan.value.saturating_add(alloy_primitives::U256::from(1));
        }
        if self.is(Flaw::BumpForgetsHash) {
            for attempt in &mut record.attempts[..newest] {
                (attempt.raw, attempt.hash) = (None, None);
            }
        }
        self.with(|books| books.put(&record))?;
        self.model
            .operation(bump.operation)
            .await
            .map(|now| BumpAnswer::Bound(Box::new(now.unwrap())))
    }

    pub(super) async fn adopt(&self, adopt: &Adopt) -> Result<AdoptAnswer, LedgerError> {
        let mut asked = adopt.clone();
        if self.is(Flaw::NewLimitForgets) {
            asked.charges.clear();
            asked.kept.clear();
        }
        self.model.adopt(&asked).await
    }

    /// A step that does not see the seal or the freezes, if that is the flaw.
    fn unstopped<T>(
        &self,
        step: impl FnOnce(&mut Books) -> Result<T, LedgerError>,
    ) -> Result<T, LedgerError> {
        self.model.with(|books| {
            let (seal, freezes) = (books.seal.clone(), books.freezes.clone());
            match self.flaw {
                Flaw::SealIgnored => books.seal = None,
                Flaw::FreezeIgnored => books.freezes.clear(),
                _ => {}
            }
            let answer = step(books);
            (books.seal, books.freezes) = (seal, freezes);
            answer
        })
    }

    /// Binds this nonce, whoever has it.
    fn bind(&self, commit: &Commit, nonce: u64) -> Result<CommitAnswer, LedgerError> {
        self.model.with(|books| {
            let answer = books.commit(commit)?;
            let CommitAnswer::Bound(mut record) = answer else { return Ok(answer) };
            if record.state == S::Prepared && record.intent.nonce.is_none() {
                record.attempts[0].transaction.nonce = nonce;
                books.put(&record);
            }
            Ok(CommitAnswer::Bound(record))
        })
    }

    fn bind_once_more(&self, record: OperationRecord) -> Result<CommitAnswer, LedgerError> {
        let mut record = record;
        self.with(|books| {
            let next = books.next_nonce(record.chain(), record.wallet());
            record.attempts[0].transaction.nonce = next.unwrap_or(0);
            books.put(&record);
            CommitAnswer::Bound(Box::new(record))
        })
    }

    pub(super) async fn operations(
        &self,
        query: &OperationQuery,
    ) -> Result<Page<OperationRecord>, LedgerError> {
        let mut page = self.model.operations(query).await?;
        self.without_prepared(&mut page.items);
        Ok(page)
    }

    pub(super) async fn open(
        &self,
        states: &[S],
        idle_since: Timestamp,
        max: u32,
    ) -> Result<Vec<OperationRecord>, LedgerError> {
        let mut open = self.model.open(states, idle_since, max).await?;
        self.without_prepared(&mut open);
        Ok(open)
    }

    fn without_prepared(&self, records: &mut Vec<OperationRecord>) {
        if self.is(Flaw::PreparedForgotten) {
            records.retain(|record| record.state != S::Prepared);
        }
    }
}

/// Looks for what a request repeats, blind to what is owed. The books themselves stay as they are.
fn blind<T>(books: &mut Books, step: impl FnOnce(&mut Books) -> T) -> T {
    let is_owed = |o: &&OperationRecord| o.key.is_none() && books.delivery(o) == Delivery::Owed;
    let owed: Vec<OperationRecord> = books.operations.iter().filter(is_owed).cloned().collect();
    let ids: Vec<OperationId> = owed.iter().map(|operation| operation.id).collect();
    for operation in books.operations.iter_mut().filter(|o| ids.contains(&o.id)) {
        operation.delivery = Delivery::Collected;
        operation.finished_at = Some(Timestamp::default());
    }
    let answer = step(books);
    for was in owed {
        if let Some(place) = books.operations.iter_mut().find(|o| o.id == was.id) {
            *place = was;
        }
    }
    answer
}

fn empty(charge: &mut Charge) {
    (charge.value, charge.fee) = (0, 0);
}

fn lift(charge: &mut Charge) {
    charge.limit = AMOUNT_MAX;
    charge.over = Over::Deny;
}

fn restore_limits(books: &mut Books, before: &OperationRecord) {
    let mut record = books.operation(before.id).unwrap().clone();
    for (charge, old) in record.charges.iter_mut().zip(&before.charges) {
        charge.limit = old.limit;
        charge.over = old.over.clone();
    }
    books.put(&record);
}

/// The nonce of bytes in this lane that a node did not take.
fn free_nonce(books: &Books, asking: &OperationRecord) -> Option<u64> {
    let same_lane =
        |o: &&OperationRecord| (o.chain(), o.wallet()) == (asking.chain(), asking.wallet());
    let refused = books.operations.iter().filter(same_lane).filter(|o| o.state == S::Unknown);
    refused.filter_map(OperationRecord::nonce).min()
}

impl Books {
    fn knows(&self, gateway: &str) -> bool {
        self.present.is_empty() || self.present.contains_key(gateway)
    }

    /// Puts a record where it was, without a word in the log.
    pub(super) fn put(&mut self, record: &OperationRecord) {
        if let Some(place) = self.operations.iter_mut().find(|o| o.id == record.id) {
            place.clone_from(record);
            self.changed.insert(record.id);
        }
    }
}
