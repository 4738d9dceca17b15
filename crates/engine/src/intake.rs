//! The way of a signing request, arrow by arrow: find, gather, decide, reserve, record, act.

use std::{pin::pin, sync::Arc};

use alloy_primitives::Address;
use countersign_core::{
    charge::Overrun,
    identity::{OperationId, PolicyId},
    operation::{Delivery, OperationRecord},
    time::Millis,
    trace::{TraceStatus, TraceUpdate},
};
use countersign_policy::decision::{Denial, Ground, Hold, Outcome, Permit};
use futures_util::future::{Either, join, ready, select};
use tokio::sync::oneshot;
use tracing::Instrument as _;

use crate::{
    admission::{Admitted, Parties, chosen_id, malformed},
    engine::Engine,
    gather::{Gathered, Kept, Request, no_store},
    judge::crowded,
    port::{
        journal::NewTrace,
        ledger::{
            DenyAnswer, Disposition, Found, LedgerError, NewOperation, Parking, Reserve,
            ReserveAnswer, Survey, Surveyed,
        },
    },
    record::{Ending, Judgement, approval_digest, trace},
    reply::Caller,
    setup::Setup,
    submission::{Answer, Denied, NodeRefused, Pending, Reply, Submission, Unavailable},
    turn::Turn,
};

/// How often a request is begun again because the world moved between two of its steps.
const ROUNDS_MAX: u8 = 6;

/// How long what is allowed may wait for its commit. A decision does not keep for longer.
pub(crate) const ALLOW_FOR: Millis = Millis(60_000);

/// What a round of the request came to.
enum Round {
    /// Say this.
    Done(Reply),
    /// The world moved; look again from the start.
    Again,
}

/// What acting on an outcome came to.
enum Next {
    Done(Round),
    /// The store found this not to fit, and so this follows.
    Over(Box<Outcome>, Vec<Overrun>),
    /// The store found that so many of the agent's operations wait for people already, and no more may.
    Crowded(u32),
}

/// One decision on its way to becoming an operation.
struct Case<'a> {
    id: OperationId,
    admitted: &'a Admitted,
    gathered: Gathered,
    judgement: Judgement,
}

impl Engine {
    /// A request from its submission to its reply.
    pub(crate) async fn serve(self: &Arc<Self>, submission: Submission, caller: Caller) -> Reply {
        let setup = self.setup();
        let turn = Turn::default();
        self.turns().take(&submission.agent, &turn).await;
        if let Some(reply) = self.signed_elsewhere(&setup, &submission, &turn).await {
            return reply;
        }
        let admitted = match Admitted::admit(setup, submission, (caller, turn)) {
            Ok(admitted) => admitted,
            Err(answer) => return Reply::of(answer),
        };
        for _ in 0..ROUNDS_MAX {
            match Box::pin(self.round(&admitted)).await {
                Ok(Round::Done(reply)) => return reply,
                Ok(Round::Again) => {}
                Err(answer) => return Reply::of(answer),
            }
        }
        Reply::of(Answer::Unavailable(Unavailable {
            code: "contention",
            reason: "the books kept changing while this request was judged".into(),
        }))
    }

    async fn round(self: &Arc<Self>, admitted: &Admitted) -> Result<Round, Answer> {
        self.turns().take(&admitted.submission.agent, &admitted.turn).await;
        let request = Request::fresh(admitted)?;
        let read = request.read();
        let (tell, told) = oneshot::channel();
        let found = self.find(admitted, read.others.clone(), tell);
        let found = found.instrument(tracing::debug_span!("find"));
        // a repetition is the rare case: the facts are gathered meanwhile
        let kept = async { told.await.map_err(|_| Answer::Broken) };
        let gathering = self.gather_beside(admitted.setup(), request, read, kept);
        let gathering = Box::pin(gathering.instrument(tracing::debug_span!("facts")));
        let (found, gathering) = match select(pin!(found), gathering).await {
            Either::Left((found, gathering)) => (found?, Either::Left(gathering)),
            Either::Right((gathered, found)) => (found.await?, Either::Right(ready(gathered))),
        };
        if !matches!(found, Found::Nothing) {
            // others may share what it has asked: nothing that is not polled may stay in their way
            drop(gathering);
            return self.known(admitted, found).await;
        }
        Box::pin(self.judged(admitted, gathering.await?)).await
    }

    /// What is already known of the request's operation.
    async fn known(self: &Arc<Self>, admitted: &Admitted, found: Found) -> Result<Round, Answer> {
        match found {
            Found::KeyConflict(_) if chosen_id(&admitted.submission).is_some() => {
                Err(Answer::DuplicateBundle)
            }
            Found::Same(record) if is_answered(admitted, &record) => Err(Answer::DuplicateBundle),
            Found::KeyConflict(_) => {
                Err(malformed("idempotencyKey", "this key belongs to another payload"))
            }
            Found::Same(record) => match Self::asks_for_more(admitted, &record) {
                Some(bid) => Ok(Round::Done(Reply::of(self.raised_by_agent(*record, bid).await))),
                None => Ok(self.repeated(admitted, *record).await?.into()),
            },
            Found::Nothing => Ok(Round::Again),
        }
    }

    /// By key or repetition, or by the nonce that the client fixed. Whatever else the books are asked before a
    /// judgement is asked with it, and told.
    async fn find(
        &self,
        admitted: &Admitted,
        addresses: Vec<Address>,
        tell: oneshot::Sender<Kept>,
    ) -> Result<Found, Answer> {
        let ledger = &self.ports().ledger;
        let Parties { wallet, chain, .. } = admitted.parties()?;
        let (repeat, pact) = (admitted.repeat.clone(), admitted.parties()?.pact());
        let survey = Survey { repeat, chain: chain.id, wallet: wallet.id.clone(), addresses, pact };
        let surveyed = ledger.survey(&survey).await.map_err(|e| no_store(&e))?;
        let Surveyed { found, now, seen, freezes, pact } = surveyed;
        // a gathering that failed meanwhile takes nothing
        drop(tell.send((now, seen, freezes, pact)));
        if found == Found::Nothing
            && let Some(id) = chosen_id(&admitted.submission)
        {
            // as a key it was just asked for; as a handle it would be another bundle's
            let other = self.bundle_by_handle(&admitted.submission.agent, id).await;
            let other = other.map_err(|e| no_store(&e))?;
            return other.map_or(Ok(found), |_| Err(Answer::DuplicateBundle));
        }
        let Some(nonce) = admitted.proposal.nonce().filter(|_| found == Found::Nothing) else {
            return Ok(found);
        };
        let parties = admitted.parties()?;
        let (chain, wallet) = (parties.chain.id, &parties.wallet.id);
        let holder = ledger.holder(chain, wallet, nonce).await.map_err(|e| no_store(&e))?;
        let Some(holder) = holder else { return Ok(found) };
        match ledger.operation(holder).await.map_err(|e| no_store(&e))? {
            Some(record) if record.fingerprint == admitted.fingerprint => {
                Ok(Found::Same(Box::new(record)))
            }
            _ => Err(self.nonce_taken(parties, nonce).await),
        }
    }

    pub(crate) async fn nonce_taken(&self, parties: Parties<'_>, nonce: u64) -> Answer {
        let next = self.ports().ledger.next_nonce(parties.chain.id, &parties.wallet.id).await;
        let next = next.ok().flatten().map_or_else(String::new, |n| format!("; the next is {n}"));
        Answer::NodeRefused(NodeRefused {
            message: format!("nonce {nonce} is taken by another payload{next}"),
            upstream_code: None,
            upstream_data: None,
        })
    }

    async fn judged(
        self: &Arc<Self>,
        admitted: &Admitted,
        gathered: Gathered,
    ) -> Result<Round, Answer> {
        let (judgement, outcome) = self.judge(admitted.setup(), admitted.parties()?, &gathered);
        let id = match &gathered.intent.bundle {
            Some(bundle) => bundle.handle.operation(0),
            None => OperationId::from_random(self.ports().clock.random()),
        };
        let case = Case { id, admitted, gathered, judgement };
        Box::pin(self.act(case, outcome)).await
    }

    /// Reserves or refuses; where the store finds a limit overrun, its word replaces the outcome.
    async fn act(self: &Arc<Self>, case: Case<'_>, outcome: Outcome) -> Result<Round, Answer> {
        let (mut case, mut outcome) = (case, outcome);
        for _ in 0..ROUNDS_MAX {
            if case.gathered.fails.is_none() {
                let full = self.full_windows(&outcome, None).await;
                outcome = case.judgement.asked_besides(outcome, full);
            }
            let next = match outcome {
                Outcome::Deny(denial) => return self.deny(&case, denial).await,
                Outcome::Allow(_) | Outcome::Park(_) if case.gathered.fails.is_some() => {
                    return self.refused_by_node(&case, &outcome).await;
                }
                Outcome::Allow(permit) => self.allow(&case, permit).await?,
                Outcome::Park(hold) => self.park(&case, hold).await?,
            };
            match next {
                Next::Done(round) => return Ok(round),
                Next::Over(changed, overruns) => {
                    case.judgement.overruns.push(overruns);
                    outcome = *changed;
                }
                Next::Crowded(most) => {
                    case.judgement.crowded = Some(most);
                    outcome = Outcome::Deny(crowded(most));
                }
            }
        }
        Ok(Round::Again)
    }

    async fn deny(self: &Arc<Self>, case: &Case<'_>, denial: Denial) -> Result<Round, Answer> {
        let entry = case.trace(Ending::Denied(&denial));
        if denial.ground == Ground::Unavailable {
            self.journalled(case.admitted.setup(), &entry).await.map_err(no_journal)?;
            let code = "price_unavailable";
            return Err(Answer::Unavailable(Unavailable { code, reason: denial.reason }));
        }
        let new = case.operation(&entry, (&denial.code, &denial.reason), &self.ports().gateway);
        match self.ports().ledger.deny(&new).await.map_err(|e| no_store(&e))? {
            DenyAnswer::Denied(record) => {
                let parties = case.admitted.parties()?;
                let told = (&entry, case.judgement.risk_parts.as_slice());
                let counting = self.denied(parties.agent, &denial, told);
                let recording = self.journalled(case.admitted.setup(), &entry);
                let (recorded, ()) = join(recording, counting).await;
                recorded.map_err(no_journal)?;
                self.note_duration(case.admitted, entry.trace_hash);
                Self::tell(&entry);
                let answer = denied_answer(&record, denial, &case.judgement);
                Ok(Round::Done(self.reply(answer, record.id, Delivery::Waiting)))
            }
            DenyAnswer::Same(_) | DenyAnswer::KeyConflict(_) => Ok(Round::Again),
        }
    }

    async fn refused_by_node(&self, case: &Case<'_>, outcome: &Outcome) -> Result<Round, Answer> {
        let mut entry = case.trace(Ending::of(outcome));
        entry.status = TraceStatus::Failed;
        self.journalled(case.admitted.setup(), &entry).await.map_err(no_journal)?;
        let fails = case.gathered.fails.clone();
        Err(Answer::NodeRefused(fails.map_or_else(NodeRefused::default, NodeRefused::from)))
    }

    async fn allow(self: &Arc<Self>, case: &Case<'_>, permit: Permit) -> Result<Next, Answer> {
        let entry = case.trace(Ending::Allowed(permit.charges()));
        let parked_max = case.admitted.parties()?.agent.parked_max;
        let reserve = Reserve {
            operation: case.operation(&entry, ("", ""), &self.ports().gateway),
            charges: permit.charges().to_vec(),
            disposition: Disposition::Allow(case.gathered.facts.at.after(ALLOW_FOR)),
            parked_max,
            delivery: Delivery::Waiting,
        };
        let claim = self.claims().take(case.id);
        match self.reserve(case.admitted.setup(), &reserve).await? {
            ReserveAnswer::Reserved(record) => {
                self.recorded(case.admitted.setup(), &entry, &record).await?;
                let reserved = OperationRecord::clone(&record);
                let tasks = self.tasks(permit, record, &case.gathered.facts).await;
                Ok(Next::Done(Round::Done(
                    self.carry_out(case.admitted, (reserved, tasks), claim).await,
                )))
            }
            ReserveAnswer::Over(overruns) => {
                Ok(Next::Over(Box::new(permit.overrun(&overruns)), overruns))
            }
            ReserveAnswer::Same(_)
            | ReserveAnswer::KeyConflict(_)
            | ReserveAnswer::Crowded
            | ReserveAnswer::PeriodMoved => Ok(Next::Done(Round::Again)),
        }
    }

    async fn park(self: &Arc<Self>, case: &Case<'_>, hold: Hold) -> Result<Next, Answer> {
        let (entry, parking) = case.parking(&hold);
        let parked_max = case.admitted.parties()?.agent.parked_max;
        // whoever is answered at once has no result until it asks again, whatever becomes of this gateway or its store
        let is_held = case.admitted.hold != Millis::ZERO;
        let reserve = Reserve {
            operation: case.operation(&entry, (hold.code(), hold.reason()), &self.ports().gateway),
            charges: hold.charges().to_vec(),
            disposition: Disposition::Park(parking),
            parked_max,
            delivery: if is_held { Delivery::Waiting } else { Delivery::Owed },
        };
        match self.reserve(case.admitted.setup(), &reserve).await? {
            ReserveAnswer::Reserved(record) => {
                self.recorded(case.admitted.setup(), &entry, &record).await?;
                self.note_duration(case.admitted, entry.trace_hash);
                Ok(Next::Done(Round::Done(self.wait_for_people(case.admitted, *record).await)))
            }
            ReserveAnswer::Over(overruns) => {
                Ok(Next::Over(Box::new(hold.overrun(&overruns)), overruns))
            }
            ReserveAnswer::Crowded => Ok(Next::Crowded(parked_max)),
            ReserveAnswer::Same(_) | ReserveAnswer::KeyConflict(_) | ReserveAnswer::PeriodMoved => {
                Ok(Next::Done(Round::Again))
            }
        }
    }

    /// Asks again with the same arguments where the first answer was lost: the ledger is idempotent.
    async fn reserve(
        self: &Arc<Self>,
        setup: &Arc<Setup>,
        reserve: &Reserve,
    ) -> Result<ReserveAnswer, Answer> {
        let work = async {
            self.wait_for_limits(setup).await?;
            let ledger = &self.ports().ledger;
            let answer = match ledger.reserve(reserve).await {
                Err(LedgerError::Ambiguous(_)) => ledger.reserve(reserve).await,
                answer => answer,
            };
            answer.map_err(|error| no_store(&error))
        };
        work.instrument(tracing::debug_span!("reserve")).await
    }

    /// The decision is durable before its effect; without a record the reservation is given back. Only what
    /// was certainly given back may be repeated safely.
    async fn recorded(
        self: &Arc<Self>,
        setup: &Setup,
        entry: &NewTrace,
        record: &OperationRecord,
    ) -> Result<(), Answer> {
        let Err(error) = self.journalled(setup, entry).await else {
            Self::tell(entry);
            return Ok(());
        };
        if self.give_back(record, "store_unavailable", &error.to_string()).await.is_some() {
            return Err(no_journal(error));
        }
        if record.delivery == Delivery::Waiting {
            self.owe(record.id);
        }
        Err(Answer::Pending(pending(record, entry.decision.policy)))
    }

    /// One event per decision, for those who watch; the trace is the record.
    fn tell(entry: &NewTrace) {
        let decision = &entry.decision;
        tracing::info!(
            trace_hash = %entry.trace_hash,
            operation = decision.operation_id.map(tracing::field::display),
            agent = decision.agent_id.as_ref().map(tracing::field::display),
            status = entry.status.name(),
            blocked_by = decision.blocked_by.as_deref(),
            "decided"
        );
    }
}

impl Case<'_> {
    fn trace(&self, ending: Ending<'_>) -> NewTrace {
        trace(self.id, &self.gathered, &self.judgement, ending)
    }

    fn parking(&self, hold: &Hold) -> (NewTrace, Parking) {
        let entry = self.trace(Ending::parked(hold));
        let expires_at = self.gathered.facts.at.after(hold.ttl());
        let (gates, asks) = (hold.gates().to_vec(), hold.asks().to_vec());
        let question = (gates.as_slice(), asks.as_slice());
        let digest =
            approval_digest(self.id, &self.gathered, question, expires_at, entry.trace_hash);
        (entry, Parking { gates, asks, digest, expires_at })
    }

    fn operation(
        &self,
        entry: &NewTrace,
        (code, reason): (&str, &str),
        gateway: &str,
    ) -> NewOperation {
        NewOperation {
            id: self.id,
            gateway: gateway.into(),
            intent: self.gathered.intent.clone(),
            repeat: self.admitted.repeat.clone(),
            trace: entry.trace_hash,
            code: code.into(),
            reason: reason.into(),
        }
    }
}

/// Whether the caller knows of a bundle with the id that it chose: then the id cannot be meant for another.
fn is_answered(admitted: &Admitted, record: &OperationRecord) -> bool {
    let signed = record.state.is_signed() && record.delivery == Delivery::Collected;
    signed && chosen_id(&admitted.submission).is_some()
}

impl From<Option<Reply>> for Round {
    fn from(reply: Option<Reply>) -> Self {
        reply.map_or(Self::Again, Self::Done)
    }
}

fn denied_answer(record: &OperationRecord, denial: Denial, judgement: &Judgement) -> Answer {
    Answer::Denied(Denied {
        code: denial.code,
        reason: denial.reason,
        register: denial.register,
        violations: denial.violations,
        trace: record.trace,
        policy: Some(judgement.policy),
        operation: Some(record.id),
    })
}

#[expect(clippy::needless_pass_by_value, reason = "the form that map_err takes")]
pub(crate) fn no_journal(error: crate::port::journal::JournalError) -> Answer {
    Answer::Unavailable(Unavailable { code: "store_unavailable", reason: error.to_string() })
}

/// What an unfinished operation tells its agent.
pub(crate) fn pending(record: &OperationRecord, policy: Option<PolicyId>) -> Pending {
    Pending {
        operation: record.id,
        state: record.state,
        code: if record.code.is_empty() { "in_flight".into() } else { record.code.clone() },
        reason: record.reason.clone(),
        gates: record.gates.iter().map(|gate| gate.id.clone()).collect(),
        expires_at: record.expires_at,
        trace: record.trace,
        policy,
    }
}

/// The change of a trace whose operation came to nothing.
pub(crate) fn failed_update(code: &str) -> TraceUpdate {
    TraceUpdate {
        status: Some(TraceStatus::Failed),
        blocked_by: Some(code.into()),
        ..TraceUpdate::default()
    }
}
