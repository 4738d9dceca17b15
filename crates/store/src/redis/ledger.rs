//! The books: each function packs its arguments, runs its script and reads the answer.

mod packing;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use alloy_primitives::{Address, Bytes};
use async_trait::async_trait;
use countersign_core::{
    amount::AMOUNT_MAX,
    charge::{Charge, CounterId, Reading},
    fact::Freeze,
    freeze::{FreezeOrder, StandingFreeze},
    identity::{AgentId, ChainId, OperationId, WalletId},
    operation::{Actual, Delivery, OperationRecord, OperationState},
    pact::{Pact, PactStanding},
    time::{Millis, Timestamp},
};
use countersign_engine::port::{
    Ledger,
    journal::Page,
    ledger::{
        Adopt, AdoptAnswer, Approve, ApproveAnswer, Bump, BumpAnswer, Census, Clocks, Commit,
        CommitAnswer, DenyAnswer, Found, InitAnswer, LedgerError, LedgerStatus, MessageEnd,
        NewOperation, OperationQuery, PactAnswer, PactWord, Redeem, RedeemAnswer, Reject,
        RejectAnswer, ReleaseProof, Repeat, Reserve, ReserveAnswer, SentOutcome, Settle,
        SignedBytes, Split, SplitAnswer, Survey, Surveyed,
    },
};

use self::packing::{
    addresses, adoption, asked_before, attempt, becomes, changed, charged, counterparties,
    cursor_from, found, freeze_call, freeze_from, freezes, limit, new_operation, overruns, parting,
    reading, said, spoken, standing, standing_freezes, unknown, words,
};
use super::{
    FORMAT,
    connections::WeakStore,
    documents::Documents,
    fresh_id,
    journal::gateway_hash,
    link::{Call, Link},
    record::{charge_lines, delivery_name, intent_fields, json, plan_digest},
    reply::{Reply, damaged},
    scripts::Script,
};
use crate::{adoption::lacking, attempt::raised, lineage::Anchor};

/// How often an adoption is asked for anew because the operation changed meanwhile.
const ROUNDS_MAX: u8 = 8;

/// The most that one page holds.
const PAGE_MAX: u32 = 1000;

/// The ledger of one app in Redis.
#[derive(Debug)]
pub(super) struct RedisLedger {
    link: Arc<Link>,
    replicas: u32,
    gateway: String,
    documents: Documents,
    // what this gateway was told last: Redis keeps to the second what was only looked at
    highest: AtomicU64,
}

impl RedisLedger {
    pub(super) fn new(link: Arc<Link>, replicas: u32, gateway: String) -> Self {
        let documents = Documents::default();
        Self { link, replicas, gateway, documents, highest: AtomicU64::new(0) }
    }

    pub(super) fn demand(&self, weak: WeakStore) {
        self.link.demand(weak);
    }

    pub(super) fn place(&self) -> Option<String> {
        self.link.place()
    }

    pub(super) fn anchor(&self) -> Option<Anchor> {
        self.link.lineage().anchor()
    }

    /// What can be said of a ledger that is lost: what was known of it.
    fn lost(&self, why: String, class: (char, String)) -> LedgerStatus {
        let known = self.anchor().unwrap_or_else(|| Anchor::of(String::new()));
        let Anchor { ledger_id, epoch, sequence, head } = known;
        LedgerStatus {
            ledger_id,
            durability: class.0,
            durability_reason: class.1,
            sealed: Some(format!("the ledger is lost: {why}")),
            epoch,
            sequence,
            head,
            missing: None,
            lost: Some(why),
            clocks: None,
        }
    }

    fn never_back(&self, now: u64) -> Timestamp {
        let before = self.highest.fetch_max(now, Ordering::AcqRel);
        Timestamp::from_millis(now.max(before))
    }

    /// A step that answers the record as it stands now.
    async fn step(&self, script: Script, call: Call) -> Result<OperationRecord, LedgerError> {
        let mut answer = self.link.run(script, call).await?;
        match answer.tag()?.as_str() {
            "done" => self.documents.read(&answer.list()?),
            other => Err(unknown(other)),
        }
    }

    /// The records of a list. One whose documents another hand changed, which scripts carry unread, is left out and the
    /// first of them told: it must not hide the others.
    async fn sound(&self, answer: Reply) -> Result<Vec<OperationRecord>, LedgerError> {
        let (mut sound, mut damage) = (Vec::new(), None);
        for fields in answer.lists() {
            match fields.and_then(|fields| self.documents.read(&fields)) {
                Err(LedgerError::Damaged(why)) => damage = damage.or(Some(why)),
                record => sound.push(record?),
            }
        }
        if let Some(why) = damage {
            self.link.distrust(&why).await;
        }
        Ok(sound)
    }

    async fn lane(
        &self,
        chain: ChainId,
        wallet: &WalletId,
        field: &str,
    ) -> Result<Option<String>, LedgerError> {
        let call = Call::new().arg("chain", chain).arg("wallet", wallet).arg("field", field);
        let text = self.link.run(Script::Lane, call).await?.text()?;
        Ok(Some(text).filter(|text| !text.is_empty()))
    }
}

#[async_trait]
impl Ledger for RedisLedger {
    async fn now(&self) -> Result<Timestamp, LedgerError> {
        let now = self.link.run(Script::Now, Call::new()).await?.number()?;
        Ok(self.never_back(now))
    }

    async fn present(&self, gateway: &str, Millis(ttl): Millis) -> Result<(), LedgerError> {
        let call = Call::new().arg("gateway", gateway).arg("ttl", ttl);
        self.link.run(Script::Present, call).await.map(drop)
    }

    async fn find(&self, repeat: &Repeat) -> Result<Found, LedgerError> {
        found(
            self.link.run(Script::Find, asked_before(Call::new(), repeat)).await?,
            &self.documents,
        )
    }

    async fn survey(&self, survey: &Survey) -> Result<Surveyed, LedgerError> {
        let Survey { repeat, chain, wallet, addresses: asked, pact } = survey;
        let call = asked_before(Call::new(), repeat)
            .arg("chain", chain)
            .arg("wallet", wallet)
            .arg("addresses", addresses(asked))
            .arg("agent", &pact.agent)
            .arg("version", pact.grant);
        let mut answer = self.link.run(Script::Survey, call).await?;
        Ok(Surveyed {
            found: found(answer.list()?, &self.documents)?,
            now: self.never_back(answer.number()?),
            seen: counterparties(answer.list()?)?,
            freezes: freezes(answer.list()?)?,
            pact: standing(&answer.list()?)?,
        })
    }

    async fn deny(&self, denied: &NewOperation) -> Result<DenyAnswer, LedgerError> {
        let call =
            new_operation(denied, Delivery::Waiting)?.field("state", OperationState::Denied.name());
        let mut answer = self.link.run(Script::Deny, call).await?;
        Ok(match answer.tag()?.as_str() {
            "denied" => DenyAnswer::Denied(self.documents.next(&mut answer)?),
            "same" => DenyAnswer::Same(self.documents.next(&mut answer)?),
            "key_conflict" => DenyAnswer::KeyConflict(self.documents.next(&mut answer)?),
            other => return Err(unknown(other)),
        })
    }

    async fn reserve(&self, reserve: &Reserve) -> Result<ReserveAnswer, LedgerError> {
        let Reserve { operation, charges, disposition, parked_max, delivery } = reserve;
        let call = charged(new_operation(operation, *delivery)?, charges, disposition)?
            .arg("agent", operation.intent.agent.as_str())
            .maybe("parked_max", disposition.parks().then_some(parked_max));
        let mut answer = self.link.run(Script::Reserve, call).await?;
        Ok(match answer.tag()?.as_str() {
            "reserved" => ReserveAnswer::Reserved(self.documents.next(&mut answer)?),
            "same" => ReserveAnswer::Same(self.documents.next(&mut answer)?),
            "key_conflict" => ReserveAnswer::KeyConflict(self.documents.next(&mut answer)?),
            "over" => ReserveAnswer::Over(overruns(&mut answer)?),
            "crowded" => ReserveAnswer::Crowded,
            "period_moved" => ReserveAnswer::PeriodMoved,
            other => return Err(unknown(other)),
        })
    }

    async fn redeem(&self, redeem: &Redeem) -> Result<RedeemAnswer, LedgerError> {
        let Redeem { operation, intent, charges, disposition, trace, gateway } = redeem;
        let call =
            Call::new().arg("operation", operation).arg("gateway", gateway).field("trace", trace);
        let call = call.arg("rest", intent.rest().len());
        let call = charged(intent_fields(call, intent)?, charges, disposition)?;
        let mut answer = self.link.run(Script::Redeem, call).await?;
        Ok(match answer.tag()?.as_str() {
            "redeemed" => RedeemAnswer::Redeemed(self.documents.next(&mut answer)?),
            "elsewhere" => RedeemAnswer::Elsewhere(self.documents.next(&mut answer)?),
            "over" => RedeemAnswer::Over(overruns(&mut answer)?),
            "period_moved" => RedeemAnswer::PeriodMoved,
            other => return Err(unknown(other)),
        })
    }

    async fn split(&self, split: &Split) -> Result<SplitAnswer, LedgerError> {
        let missing = || LedgerError::Refused(format!("there is no operation {}", split.operation));
        let record = self.operation(split.operation).await?.ok_or_else(missing)?;
        let mut answer = self.link.run(Script::Split, parting(split, &record)?).await?;
        Ok(match answer.tag()?.as_str() {
            "split" => SplitAnswer::Split(self.documents.all(answer.list()?)?),
            "elsewhere" => SplitAnswer::Elsewhere(self.documents.next(&mut answer)?),
            other => return Err(unknown(other)),
        })
    }

    async fn approve(&self, approve: &Approve) -> Result<ApproveAnswer, LedgerError> {
        let Approve { operation, digest, vote, votes_seen, completes, passkey } = approve;
        let call = Call::new()
            .arg("operation", operation)
            .arg("digest", digest)
            .arg("vote", json(vote)?)
            .arg("operator", &vote.operator)
            .arg("votes_seen", votes_seen)
            .maybe("completes", completes.then_some("yes"))
            .maybe("passkey", passkey.as_ref().map(|passkey| &passkey.credential))
            .maybe("passkey_count", passkey.as_ref().map(|passkey| passkey.count));
        let mut answer = self.link.run(Script::Approve, call).await?;
        Ok(match answer.tag()?.as_str() {
            "voted" => ApproveAnswer::Voted(self.documents.next(&mut answer)?),
            "elsewhere" => ApproveAnswer::Elsewhere(self.documents.next(&mut answer)?),
            "raced" => ApproveAnswer::Raced,
            "passkey_behind" => ApproveAnswer::PasskeyBehind,
            "other_digest" => ApproveAnswer::OtherDigest,
            "expired" => ApproveAnswer::Expired,
            "missing" => ApproveAnswer::Missing,
            other => return Err(unknown(other)),
        })
    }

    async fn reject(&self, reject: &Reject) -> Result<RejectAnswer, LedgerError> {
        let Reject { operation, from, code, reason, vote, void } = reject;
        let operator = vote.as_ref().map(|vote| &vote.operator);
        let call = Call::new()
            .arg("operation", operation)
            .arg("from", words(from.iter().map(|state| state.name())))
            .arg("code", code)
            .arg("reason", reason)
            .maybe("vote", vote.as_ref().map(json).transpose()?)
            .maybe("operator", operator)
            .maybe("void", void.then_some("yes"));
        let mut answer = self.link.run(Script::Reject, call).await?;
        Ok(match answer.tag()?.as_str() {
            "rejected" => RejectAnswer::Rejected(self.documents.next(&mut answer)?),
            "elsewhere" => RejectAnswer::Elsewhere(self.documents.next(&mut answer)?),
            "missing" => RejectAnswer::Missing,
            other => return Err(unknown(other)),
        })
    }

    async fn expire(&self, max: u32) -> Result<Vec<OperationRecord>, LedgerError> {
        let call = Call::new().arg("max", max.min(PAGE_MAX));
        self.sound(self.link.run(Script::Expire, call).await?).await
    }

    async fn commit(&self, commit: &Commit) -> Result<CommitAnswer, LedgerError> {
        let Commit {
            operation,
            fence,
            floor,
            in_flight_max,
            grant,
            shrinks_only,
            shared_lane,
            counterparties,
        } = commit;
        if *floor > AMOUNT_MAX {
            return Err(LedgerError::Refused(format!("`{floor}` is no transaction count")));
        }
        let call = Call::new()
            .arg("operation", operation)
            .arg("fence", fence)
            .arg("floor", floor)
            .arg("in_flight_max", in_flight_max)
            .arg("grant", grant)
            .maybe("shrinks_only", shrinks_only.then_some("yes"))
            .maybe("shared_lane", shared_lane.then_some("yes"))
            .arg("counterparties", addresses(counterparties));
        let mut answer = self.link.run(Script::Commit, call).await?;
        Ok(match answer.tag()?.as_str() {
            "bound" => CommitAnswer::Bound(self.documents.next(&mut answer)?),
            "gap" => CommitAnswer::Gap { next: answer.number()? },
            "nonce_taken" => CommitAnswer::NonceTaken { next: answer.number()? },
            "held" => CommitAnswer::Held { until: Timestamp::from_millis(answer.number()?) },
            "lane_full" => CommitAnswer::LaneFull,
            "lapsed" => CommitAnswer::Lapsed,
            "frozen" => CommitAnswer::Frozen(freeze_from(&answer.text()?)?),
            "ended" => CommitAnswer::Ended(spoken(answer.list()?.fields()?)?),
            "sealed" => CommitAnswer::Sealed(answer.text()?),
            "elsewhere" => CommitAnswer::Elsewhere(self.documents.next(&mut answer)?),
            other => return Err(unknown(other)),
        })
    }

    async fn bump(&self, bump: &Bump) -> Result<BumpAnswer, LedgerError> {
        let missing = || LedgerError::Refused(format!("there is no operation {}", bump.operation));
        let record = self.operation(bump.operation).await?.ok_or_else(missing)?;
        let Some(dearer) = raised(&record, bump).map_err(LedgerError::Refused)? else {
            return Ok(BumpAnswer::Elsewhere(Box::new(record)));
        };
        let mut answer = self.link.run(Script::Bump, attempt(bump, &record, &dearer)?).await?;
        Ok(match answer.tag()?.as_str() {
            "bound" => BumpAnswer::Bound(self.documents.next(&mut answer)?),
            "over" => BumpAnswer::Over(overruns(&mut answer)?),
            "frozen" => BumpAnswer::Frozen(freeze_from(&answer.text()?)?),
            "sealed" => BumpAnswer::Sealed(answer.text()?),
            "elsewhere" => BumpAnswer::Elsewhere(self.documents.next(&mut answer)?),
            other => return Err(unknown(other)),
        })
    }

    async fn signed(
        &self,
        operation: OperationId,
        attempt: u32,
        bytes: &SignedBytes,
        outcome: Option<&SentOutcome>,
    ) -> Result<OperationRecord, LedgerError> {
        let SignedBytes { transaction, raw, hash } = bytes;
        let call = outcome.map_or_else(Call::new, |outcome| said(Call::new(), outcome));
        let call = call
            .arg("operation", operation)
            .arg("attempt", attempt)
            .arg("nonce", transaction.nonce)
            .arg("plan_digest", plan_digest(&transaction.plan)?)
            .arg("raw", raw)
            .arg("hash", hash);
        self.step(Script::Signed, call).await
    }

    async fn signed_message(
        &self,
        operation: OperationId,
        signature: &Bytes,
    ) -> Result<OperationRecord, LedgerError> {
        let call = Call::new().arg("operation", operation).arg("signature", signature);
        self.step(Script::SignedMessage, call).await
    }

    async fn end_message(
        &self,
        operation: OperationId,
        end: MessageEnd,
    ) -> Result<OperationRecord, LedgerError> {
        let state = match end {
            MessageEnd::Spent => OperationState::Executed,
            MessageEnd::Void => OperationState::Cancelled,
        };
        let call = Call::new().arg("operation", operation).arg("state", state.name());
        self.step(Script::EndMessage, call).await
    }

    async fn sent(
        &self,
        operation: OperationId,
        attempt: u32,
        outcome: &SentOutcome,
    ) -> Result<OperationRecord, LedgerError> {
        let call = said(Call::new(), outcome);
        let call = call.arg("operation", operation).arg("attempt", attempt);
        self.step(Script::Sent, call).await
    }

    async fn mined(
        &self,
        operation: OperationId,
        actual: Option<&Actual>,
    ) -> Result<OperationRecord, LedgerError> {
        let call = Call::new()
            .arg("operation", operation)
            .maybe("actual", actual.map(json).transpose()?)
            .maybe("hash", actual.map(|actual| actual.hash));
        self.step(Script::Mined, call).await
    }

    async fn settle(&self, settle: &Settle) -> Result<OperationRecord, LedgerError> {
        let Settle { operation, actual, attempts, charges, kept } = settle;
        if let Some(amount) = kept.iter().find(|amount| **amount > AMOUNT_MAX) {
            return Err(LedgerError::Refused(format!("`{amount}` is more than a counter holds")));
        }
        let executed = OperationState::Executed.name();
        let state = if actual.succeeded { executed } else { OperationState::Reverted.name() };
        let kept: Vec<String> = kept.iter().map(u64::to_string).collect();
        let call = Call::new()
            .arg("operation", operation)
            .arg("actual", json(actual)?)
            .arg("hash", actual.hash)
            .arg("block", actual.block_number)
            .arg("state", state)
            .arg("attempts", attempts)
            .arg("held", charge_lines(charges, true))
            .arg("kept", kept.join(","));
        self.step(Script::Settle, call).await
    }

    async fn unsettle(&self, operation: OperationId) -> Result<OperationRecord, LedgerError> {
        self.step(Script::Unsettle, Call::new().arg("operation", operation)).await
    }

    async fn release_committed(
        &self,
        operation: OperationId,
        proof: &ReleaseProof,
    ) -> Result<OperationRecord, LedgerError> {
        let call = Call::new().arg("operation", operation);
        let ReleaseProof::NonceUsedElsewhere { final_nonce } = proof;
        let call =
            call.arg("state", OperationState::Conflict.name()).arg("final_nonce", final_nonce);
        self.step(Script::ReleaseCommitted, call).await
    }

    async fn deliver(
        &self,
        operation: OperationId,
        from: Delivery,
        to: Delivery,
    ) -> Result<bool, LedgerError> {
        let call = Call::new()
            .arg("operation", operation)
            .arg("from", delivery_name(from))
            .arg("to", delivery_name(to));
        changed(&mut self.link.run(Script::Deliver, call).await?)
    }

    async fn operation(&self, id: OperationId) -> Result<Option<OperationRecord>, LedgerError> {
        let answer = self.link.run(Script::Operation, Call::new().arg("operation", id)).await?;
        if answer.is_empty() { Ok(None) } else { self.documents.read(&answer).map(Some) }
    }

    async fn operations(
        &self,
        query: &OperationQuery,
    ) -> Result<Page<OperationRecord>, LedgerError> {
        let OperationQuery { states, agent, limit, cursor } = query;
        let states: BTreeSet<OperationState> = states.iter().copied().collect();
        let cursor = cursor.as_deref().map(cursor_from).transpose()?;
        let call = Call::new()
            .arg("states", words(states.iter().map(|state| state.name())))
            .maybe("agent", agent.as_ref())
            .arg("limit", (*limit).min(PAGE_MAX))
            .maybe("cursor", cursor);
        let mut answer = self.link.run(Script::Operations, call).await?;
        let next_cursor = Some(answer.tag()?).filter(|cursor| !cursor.is_empty());
        Ok(Page { items: self.sound(answer).await?, next_cursor })
    }

    async fn open(
        &self,
        states: &[OperationState],
        idle_since: Timestamp,
        max: u32,
    ) -> Result<Vec<OperationRecord>, LedgerError> {
        let states: BTreeSet<OperationState> = states.iter().copied().collect();
        let call = Call::new()
            .arg("states", words(states.iter().map(|state| state.name())))
            .arg("idle_since", idle_since.millis())
            .arg("max", max.min(PAGE_MAX));
        self.sound(self.link.run(Script::Work, call).await?).await
    }

    async fn settled_in(
        &self,
        chain: ChainId,
        block: u64,
    ) -> Result<Vec<OperationRecord>, LedgerError> {
        let call = Call::new().arg("chain", chain).arg("block", block);
        self.sound(self.link.run(Script::SettledIn, call).await?).await
    }

    async fn parked(&self, agent: &AgentId, most: u32) -> Result<u32, LedgerError> {
        let call = Call::new().arg("agent", agent);
        let parked: u32 = self.link.run(Script::Parked, call).await?.number()?;
        Ok(parked.min(most))
    }

    async fn holder(
        &self,
        chain: ChainId,
        wallet: &WalletId,
        nonce: u64,
    ) -> Result<Option<OperationId>, LedgerError> {
        let id = self.lane(chain, wallet, &nonce.to_string()).await?;
        id.map(|id| id.parse().map_err(|_| damaged("a nonce belongs to no operation"))).transpose()
    }

    async fn next_nonce(
        &self,
        chain: ChainId,
        wallet: &WalletId,
    ) -> Result<Option<u64>, LedgerError> {
        let next = self.lane(chain, wallet, "next").await?;
        next.map(|next| next.parse().map_err(|_| damaged("a nonce is no number"))).transpose()
    }

    async fn status(
        &self,
        charges: &[Charge],
        without: Option<OperationId>,
    ) -> Result<Vec<Reading>, LedgerError> {
        let call =
            Call::new().arg("charges", charge_lines(charges, false)).maybe("without", without);
        self.link.run(Script::Status, call).await?.lists().map(|list| reading(list?)).collect()
    }

    async fn adopted(&self) -> Result<BTreeSet<CounterId>, LedgerError> {
        let answer = self.link.run(Script::Adopted, Call::new()).await?;
        answer.texts().map(|hex| limit(&hex?)).collect()
    }

    async fn note_adopted(&self, limits: &BTreeSet<CounterId>) -> Result<(), LedgerError> {
        let limits = limits.iter().map(CounterId::hex).collect::<Vec<_>>().join(" ");
        self.link.run(Script::NoteAdopted, Call::new().arg("limits", limits)).await.map(drop)
    }

    async fn adopt(&self, adopt: &Adopt) -> Result<AdoptAnswer, LedgerError> {
        let id = adopt.operation;
        let missing = || LedgerError::Refused(format!("there is no operation {id}"));
        let mut record = self.operation(id).await?.ok_or_else(missing)?;
        for _ in 0..ROUNDS_MAX {
            let Some(lacking) = lacking(&record, adopt).map_err(LedgerError::Refused)? else {
                return Ok(AdoptAnswer::Elsewhere(Box::new(record)));
            };
            if lacking.charges.is_empty() {
                return Ok(AdoptAnswer::Adopted(Box::new(record)));
            }
            let mut answer = self.link.run(Script::Adopt, adoption(&record, &lacking)?).await?;
            match answer.tag()?.as_str() {
                "adopted" => return Ok(AdoptAnswer::Adopted(self.documents.next(&mut answer)?)),
                "changed" => record = *self.documents.next(&mut answer)?,
                other => return Err(unknown(other)),
            }
        }
        Ok(AdoptAnswer::Elsewhere(Box::new(record)))
    }

    async fn seen(
        &self,
        chain: ChainId,
        wallet: &WalletId,
        asked: &[Address],
    ) -> Result<BTreeSet<Address>, LedgerError> {
        let call = Call::new()
            .arg("chain", chain)
            .arg("wallet", wallet)
            .arg("addresses", addresses(asked));
        counterparties(self.link.run(Script::Seen, call).await?)
    }

    async fn freeze(&self, order: &FreezeOrder) -> Result<(), LedgerError> {
        let call = freeze_call(&order.freeze)
            .arg("freeze", json(&order.freeze)?)
            .arg("order", json(order)?)
            .maybe("says_why", order.reason.as_ref().map(|_| "yes"));
        self.link.run(Script::Freeze, call).await.map(drop)
    }

    async fn unfreeze(&self, freeze: &Freeze) -> Result<bool, LedgerError> {
        let call = freeze_call(freeze);
        changed(&mut self.link.run(Script::Unfreeze, call).await?)
    }

    async fn census(
        &self,
        states: &[OperationState],
    ) -> Result<BTreeMap<OperationState, Census>, LedgerError> {
        let names: Vec<&str> = states.iter().map(|state| state.name()).collect();
        let call = Call::new().arg("states", names.join(" "));
        let answer = self.link.run(Script::Census, call).await?;
        let counted = answer.lists().zip(states).map(|(of_state, state)| {
            let mut of_state = of_state?;
            let count = of_state.number()?;
            let oldest = (!of_state.is_empty()).then(|| of_state.number()).transpose()?;
            Ok((*state, Census { count, oldest: oldest.map(Timestamp::from_millis) }))
        });
        let counted: BTreeMap<_, _> = counted.collect::<Result<_, LedgerError>>()?;
        if counted.len() == states.len() {
            Ok(counted)
        } else {
            Err(damaged("a census is too short"))
        }
    }

    async fn freezes(&self) -> Result<Vec<Freeze>, LedgerError> {
        freezes(self.link.run(Script::Freezes, Call::new()).await?)
    }

    async fn standing_freezes(&self) -> Result<Vec<StandingFreeze>, LedgerError> {
        standing_freezes(self.link.run(Script::StandingFreezes, Call::new()).await?)
    }

    async fn say(&self, word: &PactWord) -> Result<PactAnswer, LedgerError> {
        let PactWord { pact, verb, by, note } = word;
        let call = Call::new()
            .arg("agent", &pact.agent)
            .arg("version", pact.grant)
            .arg("becomes", becomes(*verb))
            .arg("by", by)
            .arg("note", note.as_deref().unwrap_or_default());
        let mut answer = self.link.run(Script::Say, call).await?;
        match answer.tag()?.as_str() {
            "said" => Ok(PactAnswer::Said(spoken(answer.list()?.fields()?)?)),
            "stands" => Ok(PactAnswer::Stands(spoken(answer.list()?.fields()?)?)),
            other => Err(unknown(other)),
        }
    }

    async fn pact(&self, pact: &Pact) -> Result<Option<PactStanding>, LedgerError> {
        let call = Call::new().arg("agent", &pact.agent).arg("version", pact.grant);
        standing(&self.link.run(Script::Pact, call).await?)
    }

    async fn seal(&self, reason: &str) -> Result<(), LedgerError> {
        self.link.run(Script::Seal, Call::new().arg("reason", reason)).await.map(drop)
    }

    async fn unseal(&self) -> Result<(), LedgerError> {
        self.link.run(Script::Unseal, Call::new()).await.map(drop)
    }

    async fn init(&self) -> Result<InitAnswer, LedgerError> {
        let call = Call::new().arg("id", fresh_id()?).arg("format", FORMAT).arg("anew", "yes");
        match self.link.run(Script::Init, call).await?.tag()?.as_str() {
            "made" => Ok(InitAnswer::Made),
            "not_empty" => Ok(InitAnswer::NotEmpty),
            other => Err(unknown(other)),
        }
    }

    async fn audit(&self) -> Result<Option<String>, LedgerError> {
        let call = Call::new()
            .arg("gateway", &self.gateway)
            .arg("gateway_hash", gateway_hash(&self.gateway));
        let mut answer = match self.link.run(Script::Audit, call).await {
            Err(LedgerError::Damaged(why)) => return Ok(Some(why)),
            answer => answer?,
        };
        if answer.tag()? == "found" {
            let why = answer.text()?;
            self.link.lineage().damaged(&why);
            return Ok(Some(why));
        }
        // scripts carry documents unread
        match self.documents.all(answer) {
            Err(LedgerError::Damaged(why)) => {
                self.link.distrust(&why).await;
                Ok(Some(why))
            }
            sampled => sampled.map(|_| None),
        }
    }

    async fn describe(&self) -> Result<LedgerStatus, LedgerError> {
        let answer = self.link.run(Script::Describe, Call::new()).await;
        let here = self.link.wall();
        let promises = self.link.promises().await?;
        let (durability, durability_reason) = promises.class(self.replicas);
        let mut answer = match answer {
            Err(LedgerError::Lost(why)) => {
                return Ok(self.lost(why, (durability, durability_reason)));
            }
            answer => answer?,
        };
        let (ledger_id, epoch) = (answer.text()?, answer.number()?);
        let (sequence, head) = (answer.number()?, answer.text()?);
        let sealed = answer.list()?.texts().next().transpose()?;
        let missing = answer.list()?.texts().next().transpose()?;
        let store = Timestamp::from_millis(answer.number()?);
        Ok(LedgerStatus {
            ledger_id,
            durability,
            durability_reason,
            sealed,
            epoch,
            sequence,
            head,
            missing,
            lost: None,
            clocks: Some(Clocks { store, here }),
        })
    }
}
