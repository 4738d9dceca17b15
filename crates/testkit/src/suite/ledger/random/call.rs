//! One call with its arguments, and its answer as text.

use alloy_primitives::{B256, Bytes};
use countersign_core::{
    charge::{Charge, Over, Window},
    freeze::FreezeOrder,
    identity::OperatorId,
    operation::{Actual, Attempt, Delivery, Money, OperationRecord, OperationState as S, Purpose},
    pact::Pact,
    text::Remark,
    time::{Millis, Timestamp},
};
use countersign_engine::port::{
    Ledger,
    ledger::{
        Adopt, Approve, Bump, Commit, Disposition, LedgerError, MessageEnd, NewOperation, PactWord,
        Part, PasskeyCount, Redeem, Reject, ReleaseProof, Repeat, Reserve, SentOutcome, Settle,
        Split,
    },
};

use super::phrase::{Ask, GRANTS, MESSAGES, Spend, Step, Which};
use crate::{
    fixture::{
        self, DAY, GATEWAY, asking, bump, cancel, charge, counter, daily, digest, grant, intent,
        key, message, operation_id, order, parking, receipt, signed_bytes, trace_hash, vote,
    },
    time::ManualTime,
};

impl Spend {
    pub(super) fn charge(&self, now: Timestamp) -> Charge {
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
pub(super) struct Call<'a> {
    pub(super) step: &'a Step,
    pub(super) now: Timestamp,
    pub(super) record: Option<OperationRecord>,
}

impl Call<'_> {
    fn charges(&self, spends: &[Spend]) -> Vec<Charge> {
        spends.iter().map(|spend| spend.charge(self.now)).collect()
    }

    fn disposition(&self, n: u64, parks: bool, lasts: Millis) -> Disposition {
        let until = self.now.after(lasts);
        if parks { Disposition::Park(parking(n, until)) } else { Disposition::Allow(until) }
    }

    fn attempts(&self) -> &[Attempt] {
        self.record.as_ref().map(|record| record.attempts.as_slice()).unwrap_or_default()
    }

    /// The number of an attempt.
    fn number(&self, which: Which) -> u32 {
        let next = u32::try_from(self.attempts().len()).unwrap();
        match which {
            Which::Next => next,
            Which::Newest => next.saturating_sub(1),
            Which::First => 0,
            Which::Far => next + 1,
        }
    }

    fn attempt(&self, which: Which) -> Option<&Attempt> {
        self.attempts().get(usize::try_from(self.number(which)).unwrap())
    }

    /// What the chain says of an attempt, or of a stranger where there is none.
    fn receipt(&self, which: Which, block: u64, succeeded: bool) -> Actual {
        let hash = self.attempt(which).and_then(|attempt| attempt.hash);
        let actual = receipt(hash.unwrap_or(B256::repeat_byte(7)), succeeded);
        Actual { block_number: block, ..actual }
    }

    fn charged(&self) -> &[Charge] {
        self.record.as_ref().map(|record| record.charges.as_slice()).unwrap_or_default()
    }

    /// Calls, and tells the answer.
    pub(super) async fn on(&self, ledger: &dyn Ledger, time: &ManualTime) -> String {
        match self.step {
            Step::Reserve { .. }
            | Step::Deny { .. }
            | Step::Approve { .. }
            | Step::Redeem { .. }
            | Step::Split { .. }
            | Step::Reject { .. }
            | Step::Expire { .. } => self.before(ledger).await,
            Step::Commit { .. } | Step::Bump { .. } | Step::Signed { .. } | Step::Sent { .. } => {
                self.bound(ledger).await
            }
            Step::SignedMessage { n, wrong } => {
                let signature = Bytes::from(vec![u8::from(*wrong); 65]);
                told(ledger.signed_message(operation_id(*n), &signature).await)
            }
            Step::EndMessage { n, spent } => {
                let end = if *spent { MessageEnd::Spent } else { MessageEnd::Void };
                told(ledger.end_message(operation_id(*n), end).await)
            }
            Step::Mined { .. }
            | Step::Settle { .. }
            | Step::Unsettle { .. }
            | Step::Release { .. }
            | Step::Deliver { .. } => self.after(ledger).await,
            Step::Adopt { .. } => told(ledger.adopt(&self.adopt()).await),
            Step::NoteAdopted { limits } => {
                let limit = |n: &u8| counter(&format!("limit-{n}"));
                told(ledger.note_adopted(&limits.iter().map(limit).collect()).await)
            }
            Step::Freeze { freeze, on: true, said } => {
                let reason = (*said > 0).then(|| Remark::parse(&format!("reason {said}")).unwrap());
                told(ledger.freeze(&FreezeOrder { reason, ..order(freeze) }).await)
            }
            Step::Freeze { freeze, on: false, .. } => told(ledger.unfreeze(freeze).await),
            Step::Say { version, verb, by } => {
                let word = PactWord {
                    pact: Pact { agent: fixture::agent("trader"), grant: grant(*version) },
                    verb: *verb,
                    by: OperatorId::parse(&format!("operator-{by}")).unwrap(),
                    note: (*by > 0).then(|| format!("note {by}")),
                };
                told(ledger.say(&word).await)
            }
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
                // every other one meets a crowd
                let parked_max = if n.is_multiple_of(2) { 2 } else { u32::MAX };
                // and the caller of every third one is not held
                let delivery = if n.is_multiple_of(3) { Delivery::Owed } else { Delivery::Waiting };
                let reserve = Reserve { operation, charges, disposition, parked_max, delivery };
                found + &told(ledger.reserve(&reserve).await)
            }
            Step::Deny { n, ask } => told(ledger.deny(&ask.operation(*n)).await),
            Step::Approve { n, operator, digest: of, votes_seen, completes } => {
                let approve = Approve {
                    operation: operation_id(*n),
                    digest: digest(*of),
                    vote: vote(&format!("operator-{operator}"), self.now),
                    votes_seen: *votes_seen,
                    completes: *completes,
                    passkey: (*operator == 1).then(|| PasskeyCount {
                        credential: "key".into(),
                        count: u32::try_from(*of % 4).unwrap(),
                    }),
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
            Step::Split { .. } => told(ledger.split(&self.split()).await),
            Step::Reject { n, parked_only, void } => {
                let from = if *parked_only { vec![S::Parked] } else { S::ALL.to_vec() };
                told(ledger.reject(&Reject { from, void: *void, ..fixture::reject(*n) }).await)
            }
            Step::Expire { max } => told(ledger.expire(*max).await),
            other => panic!("{other:?} comes later"),
        }
    }

    async fn bound(&self, ledger: &dyn Ledger) -> String {
        match self.step {
            Step::Commit { n, floor, in_flight_max, shrinks_only, stale } => {
                let fence = self.record.as_ref().map_or(0, |record| record.fence);
                let commit = Commit {
                    fence: if *stale { fence.wrapping_sub(1) } else { fence },
                    floor: *floor,
                    in_flight_max: *in_flight_max,
                    shrinks_only: *shrinks_only,
                    shared_lane: floor % 2 == 1,
                    grant: grant(u8::try_from(*n).unwrap() % GRANTS),
                    ..fixture::commit(*n)
                };
                told(ledger.commit(&commit).await)
            }
            Step::Bump { which, cancels, fees, wrong, .. } => {
                let fees = fees.iter().take(self.charged().len()).copied().collect();
                told(ledger.bump(&self.bump((*which, *cancels), fees, *wrong)).await)
            }
            Step::Signed { n, which, wrong, accepted } => {
                let plain = crate::fixture::plan(&intent(*n)).clone().with_nonce(99);
                let bound = self.attempt(*which);
                let mut bytes = signed_bytes(bound.map_or(&plain, |a| &a.transaction));
                if *wrong {
                    bytes.hash = B256::repeat_byte(1);
                    bytes.transaction.nonce += 1;
                }
                let said = accepted.map(outcome);
                let number = self.number(*which);
                told(ledger.signed(operation_id(*n), number, &bytes, said.as_ref()).await)
            }
            Step::Sent { n, which, accepted } => {
                let said = outcome(*accepted);
                told(ledger.sent(operation_id(*n), self.number(*which), &said).await)
            }
            other => panic!("{other:?} binds nothing"),
        }
    }

    fn bump(&self, (which, cancels): (Which, bool), fees: Vec<u64>, wrong: bool) -> Bump {
        let n = self.step.subject().unwrap();
        let attempt = self.number(which);
        let mut bump = match &self.record {
            Some(record) if !record.attempts.is_empty() && cancels => cancel(record, attempt, fees),
            Some(record) if !record.attempts.is_empty() => bump(record, attempt, fees),
            _ => Bump {
                operation: operation_id(n),
                attempt,
                purpose: if cancels { Purpose::Cancel } else { Purpose::Payload },
                transaction: crate::fixture::plan(&intent(n)).clone().with_nonce(0),
                fees,
            },
        };
        match wrong {
            true if cancels => bump.fees.push(1),
            true => bump.transaction.plan.gas += 1,
            false => {}
        }
        bump
    }

    /// What is shared out is what the operation has; wrong is one charge less, or one that it has not.
    fn split(&self) -> Split {
        let Step::Split { n, first_part, shares, stale, wrong } = self.step else {
            panic!("{:?} splits nothing", self.step)
        };
        let mut charges = self.charged().to_vec();
        if *wrong && charges.pop().is_none() {
            charges.push(charge("minutes", Window::Grant, 1, 90));
        }
        let mut left = charges.into_iter();
        let own = self.record.as_ref().map_or(intent(*n), |record| record.intent.clone());
        let further = (*first_part..).zip(shares).map(|(n, _)| (n, intent(n)));
        let mut whole = vec![(*n, own)];
        whole.extend(further);
        let of = |(index, (n, intent)): (usize, _)| {
            let share = shares.get(index).copied().unwrap_or(usize::MAX);
            Part { id: operation_id(n), intent, charges: left.by_ref().take(share).collect() }
        };
        let parts = whole.into_iter().enumerate().map(of).collect();
        let fence = self.record.as_ref().map_or(0, |record| record.fence);
        let fence = if *stale { fence.saturating_sub(1) } else { fence };
        Split { operation: operation_id(*n), fence, parts }
    }

    fn adopt(&self) -> Adopt {
        let Step::Adopt { n, charges, percent, elsewhere } = self.step else {
            panic!("{:?} adopts nothing", self.step)
        };
        let here = self.record.as_ref().map_or(Money::None, |record| record.state.money());
        let money = if *elsewhere { Money::Committed } else { here };
        let charges = self.charges(charges);
        let amounts = charges.iter().map(|charge| charge.amount().unwrap() * percent / 100);
        let kept = if money == Money::Settled { amounts.collect() } else { Vec::new() };
        let record = self.record.as_ref();
        let attempts = record.map_or(0, |record| record.attempts.len());
        let fence = record.map_or(0, |record| record.fence);
        Adopt { operation: operation_id(*n), money, attempts, fence, charges, kept }
    }

    async fn after(&self, ledger: &dyn Ledger) -> String {
        match self.step {
            Step::Mined { n, seen, which, block } => {
                let actual = self.receipt(*which, *block, true);
                told(ledger.mined(operation_id(*n), seen.then_some(&actual)).await)
            }
            Step::Settle { n, which, block, succeeded, percent } => {
                let kept = self.charged().iter().map(|c| c.amount().unwrap() * percent / 100);
                let settle = Settle {
                    operation: operation_id(*n),
                    actual: self.receipt(*which, *block, *succeeded),
                    attempts: self.attempts().len(),
                    charges: self.charged().to_vec(),
                    kept: kept.collect(),
                };
                told(ledger.settle(&settle).await)
            }
            Step::Unsettle { n } => told(ledger.unsettle(operation_id(*n)).await),
            Step::Release { n, final_nonce } => {
                let proof = ReleaseProof::NonceUsedElsewhere { final_nonce: *final_nonce };
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
        let is_message = n >= MESSAGES;
        let mut intent =
            if is_message { message(self.payload, Some(9)) } else { intent(self.payload) };
        intent.nonce = self.nonce.filter(|_| !is_message);
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

fn outcome(accepted: bool) -> SentOutcome {
    if accepted { SentOutcome::Accepted } else { SentOutcome::Unknown("reset".into()) }
}

/// An answer as text. Of a refusal only that it is one: each store has its own words.
pub(super) fn told<T: std::fmt::Debug>(answer: Result<T, LedgerError>) -> String {
    match answer {
        Ok(answer) => format!("{answer:?}"),
        Err(LedgerError::Refused(_)) => "refused".into(),
        Err(other) => panic!("{other}"),
    }
}
