//! An approval is a fact, not a permission: an approved operation is decided again before it is
//! carried out. So is one that was allowed by a gateway that died before commit.

use std::sync::Arc;

use countersign_core::{
    amount::MicroUsd,
    approval::{Gate, GateApproval},
    charge::Overrun,
    intent::Payload,
    operation::{Money, OperationRecord, OperationState},
    time::Millis,
    trace::{DecisionRecord, Occasion, TraceRecord, TraceStatus, TraceUpdate},
    transaction::{TransactionDraft, TransactionPlan},
};
use countersign_policy::{
    decide,
    decision::{Denial, Ground, Hold, Outcome, Permit},
};
use serde_json::{Value, json};
use tracing::Instrument as _;

use crate::{
    admission::{Parties, malformed},
    ballot::counting,
    bundle::CallTurn,
    consult::Hearing,
    drift::{ASKED_AGAIN, asked_again, changes, glance, lost_votes, shown},
    engine::Engine,
    gather::{Gathered, Request, no_node},
    intake::ALLOW_FOR,
    journal::Later,
    judge::policies,
    lane::Task,
    port::{
        chain::Head,
        journal::NewTrace,
        ledger::{Disposition, Parking, Redeem, RedeemAnswer},
    },
    proposal::{Presigned, Proposal},
    record::{Ending, Judgement, approval_digest, trace},
    reply::{EVIDENCE_MISSING, NODE_REFUSED},
    setup::Setup,
    submission::{Answer, CallsDraft},
};

/// How often a redemption is judged anew because the books moved.
const ROUNDS_MAX: u8 = 6;

/// A redemption's next step.
enum Next {
    /// Nothing more to do now; a sweep comes back to what is still open.
    Rest,
    /// Judge again.
    Again,
    /// It is allowed and reserved anew.
    CarryOut(Arc<Setup>, Vec<Task>),
}

/// What follows where the store found charges not to fit, and which.
type Over = (Outcome, Vec<Overrun>);

/// Whether the decision behind a reservation is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It is, or nobody can say at this moment.
    Recorded,
    /// Not yet: its gateway is at it, or has lost the store in between.
    Unrecorded,
    /// It never was; the reservation is gone.
    GivenBack,
}

impl Engine {
    /// Decides an `APPROVED` (or orphaned `ALLOWED`) operation again and carries out what follows. Whatever
    /// cannot be had now is tried again by a later sweep, until the operation expires.
    pub(crate) async fn redeem(self: &Arc<Self>, record: OperationRecord) {
        let Some(claim) = self.claims().take(record.id) else { return };
        let whole = self.later("redeem", &record);
        let work = async {
            let Some(record) = self.as_found(&record).await else { return };
            for _ in 0..ROUNDS_MAX {
                match self.redeem_once(&record).await {
                    Next::Rest => return,
                    Next::Again => {}
                    Next::CarryOut(setup, tasks) => {
                        self.carry_on_alone(setup, tasks, claim).await;
                        return;
                    }
                }
            }
        };
        work.instrument(whole).await;
    }

    /// The operation, if nobody decided it between the look at it and the claim on it.
    async fn as_found(&self, found: &OperationRecord) -> Option<OperationRecord> {
        let now = self.ports().ledger.operation(found.id).await.ok()??;
        ((now.state, now.fence) == (found.state, found.fence)).then_some(now)
    }

    async fn redeem_once(self: &Arc<Self>, record: &OperationRecord) -> Next {
        let setup = self.setup();
        let Some(parties) = parties(&setup, record) else {
            let reason = "its agent, its wallet or its chain is not configured for it any more";
            self.give_back(record, "configuration_changed", reason).await;
            return Next::Rest;
        };
        if !self.delay_is_over(record).await || self.call_turn(record).await != CallTurn::Now {
            return Next::Rest;
        }
        let Some(evidence) = self.evidence(record).await else { return Next::Rest };
        let approvals = opened_gates(&setup, parties, record, &evidence);
        let proposal = match proposed_again(parties, record).await {
            Ok(proposal) => proposal,
            Err(Answer::Unavailable(_)) => return Next::Rest,
            Err(answer) => return self.unbuildable(record, &answer).await,
        };
        let request = Request {
            parties,
            method: record.intent.method,
            proposal: &proposal,
            declared: &record.intent.declared,
            approvals: &approvals,
            hearing: Hearing::of(evidence.decision.facts.as_ref()),
            bundle: record.intent.bundle.as_deref(),
        };
        let gathering = self.gather(&setup, request);
        match gathering.instrument(tracing::debug_span!("facts")).await {
            Ok(gathered) if record.expires_at.is_some_and(|end| end <= gathered.facts.at) => {
                self.lapse(record).await;
                Next::Rest
            }
            Ok(gathered) => self.decide_again(&setup, parties, (record, &evidence), gathered).await,
            Err(Answer::Unavailable(_)) => Next::Rest,
            Err(answer) => self.unbuildable(record, &answer).await,
        }
    }

    async fn unbuildable(&self, record: &OperationRecord, answer: &Answer) -> Next {
        tracing::warn!(operation = %record.id, ?answer, "an approved operation cannot be built");
        self.give_back(record, "evidence_changed", "it cannot be built any more").await;
        Next::Rest
    }

    /// Whether every gate's delay after the last vote has passed; a later sweep looks again.
    async fn delay_is_over(&self, record: &OperationRecord) -> bool {
        let Some(last) = record.votes.iter().map(|vote| vote.at).max() else { return true };
        let delay = record.gates.iter().map(|gate| gate.delay).max().unwrap_or(Millis::ZERO);
        delay == Millis::ZERO
            || self.ports().ledger.now().await.is_ok_and(|now| now >= last.after(delay))
    }

    /// Whether an operation may be spoken of: what was reserved and not recorded is given back, once its own gateway
    /// has had time to record it.
    pub(crate) async fn standing(&self, record: &OperationRecord) -> Standing {
        if record.state.money() != Money::Reserved
            || self.ports().journal.trace(record.trace).await != Ok(None)
        {
            return Standing::Recorded;
        }
        let Ok(now) = self.ports().ledger.now().await else { return Standing::Unrecorded };
        let idle = now.since(record.updated_at) >= TAKEOVER_AFTER;
        if idle && self.give_back_unrecorded(record).await {
            Standing::GivenBack
        } else {
            Standing::Unrecorded
        }
    }

    /// Gives back what was reserved by a gateway that died before it recorded the decision.
    pub(crate) async fn reap(&self, record: &OperationRecord) -> bool {
        self.standing(record).await == Standing::GivenBack
    }

    /// Nobody could be shown what they approve, or answer later for what was decided.
    async fn give_back_unrecorded(&self, record: &OperationRecord) -> bool {
        let reason = "its decision was not recorded before the gateway stopped";
        self.give_back(record, EVIDENCE_MISSING, reason).await.is_some()
    }

    /// The frozen record that people saw.
    async fn evidence(&self, record: &OperationRecord) -> Option<TraceRecord> {
        match self.ports().journal.trace(record.trace).await {
            Ok(Some(trace)) => Some(trace),
            Ok(None) => {
                self.give_back_unrecorded(record).await;
                None
            }
            Err(_) => None,
        }
    }

    /// The time that people gave is over. A sweep expires what is still `APPROVED`; what a dead gateway left as
    /// `ALLOWED` is given back here.
    async fn lapse(&self, record: &OperationRecord) {
        if record.state == OperationState::Allowed {
            let code =
                if record.votes.is_empty() { "lane_unavailable" } else { "approval_expired" };
            self.give_back(record, code, "it was not carried out in time").await;
        }
    }

    async fn decide_again(
        self: &Arc<Self>,
        setup: &Arc<Setup>,
        parties: Parties<'_>,
        (record, evidence): (&OperationRecord, &TraceRecord),
        gathered: Gathered,
    ) -> Next {
        let (mut judgement, mut outcome) = self.judge(setup, parties, &gathered);
        for _ in 0..ROUNDS_MAX {
            if gathered.fails.is_none() {
                let full = self.full_windows(&outcome, Some(record.id)).await;
                outcome = judgement.asked_besides(outcome, full);
            }
            let usd = total(&judgement.usd);
            let gateway = self.ports().gateway.as_str();
            let (judged, gathered) = (&judgement, &gathered);
            let case = Again {
                setup,
                record,
                parties,
                evidence,
                gathered,
                judgement: judged,
                usd,
                gateway,
            };
            let step = match outcome {
                Outcome::Deny(denial) => {
                    self.denied_again(&case, denial).await;
                    return Next::Rest;
                }
                Outcome::Allow(_) | Outcome::Park(_) if gathered.fails.is_some() => {
                    let fails = gathered.fails.as_ref();
                    let words = fails.map(|fails| fails.message.clone()).unwrap_or_default();
                    let noted = (Ending::of(&outcome), TraceUpdate::default());
                    if self.noted_again(&case, noted).await {
                        self.give_back(record, NODE_REFUSED, &words).await;
                    }
                    return Next::Rest;
                }
                Outcome::Allow(permit) => self.allowed_again(&case, permit).await,
                Outcome::Park(hold) => self.parked_again(&case, hold).await,
            };
            match step {
                Ok(next) => return next,
                Err((changed, overruns)) => {
                    judgement.overruns.push(overruns);
                    outcome = changed;
                }
            }
        }
        Next::Again
    }

    /// What follows where limits came while facts were gathered: they may have charged this operation already, and the
    /// charges of older ones would take their place.
    async fn limits_moved(self: &Arc<Self>, setup: &Arc<Setup>) -> Option<Next> {
        if !Arc::ptr_eq(setup, &self.setup()) {
            return Some(Next::Again);
        }
        self.wait_for_limits(setup).await.is_err().then_some(Next::Rest)
    }

    async fn denied_again(self: &Arc<Self>, case: &Again<'_>, denial: Denial) {
        let noted = (Ending::Denied(&denial), TraceUpdate::default());
        if denial.ground == Ground::Policy && self.noted_again(case, noted).await {
            self.give_back(case.record, &denial.code, &denial.reason).await;
        }
    }

    /// Whether the decision is in the journal: without it nothing follows from it, and a later sweep decides anew.
    async fn noted_again(
        &self,
        case: &Again<'_>,
        (ending, update): (Ending<'_>, TraceUpdate),
    ) -> bool {
        match self.journalled_again(case.later(), ending, update).await {
            Ok(()) => true,
            Err(error) => {
                let trace = case.record.trace;
                tracing::warn!(trace_hash = %trace, %error, "a decision at redemption is not recorded");
                false
            }
        }
    }

    async fn allowed_again(
        self: &Arc<Self>,
        case: &Again<'_>,
        permit: Permit,
    ) -> Result<Next, Over> {
        let until =
            case.record.expires_at.unwrap_or_else(|| case.gathered.facts.at.after(ALLOW_FOR));
        let redeem = case.redeem(permit.charges().to_vec(), Disposition::Allow(until));
        if let Some(next) = self.limits_moved(case.setup).await {
            return Ok(next);
        }
        match self.ports().ledger.redeem(&redeem).await {
            Ok(RedeemAnswer::Redeemed(record)) => {
                // a sweep takes up what is reserved and not recorded
                let noted = (Ending::Allowed(permit.charges()), TraceUpdate::default());
                if !self.noted_again(case, noted).await {
                    return Ok(Next::Rest);
                }
                let tasks = self.tasks(permit, record, &case.gathered.facts).await;
                Ok(Next::CarryOut(Arc::clone(case.setup), tasks))
            }
            Ok(RedeemAnswer::Over(overruns)) => Err((permit.overrun(&overruns), overruns)),
            Ok(RedeemAnswer::PeriodMoved) => Ok(Next::Again),
            Ok(RedeemAnswer::Elsewhere(_)) | Err(_) => Ok(Next::Rest),
        }
    }

    /// The facts have drifted beyond what people agreed to: they are asked again, with what is new.
    async fn parked_again(self: &Arc<Self>, case: &Again<'_>, hold: Hold) -> Result<Next, Over> {
        let (shown, parking) = case.parking(&hold);
        let asked = TraceUpdate {
            approval: Some(json!({
                ASKED_AGAIN: hold.reason(),
                SEEN_USD: case.usd,
                "code": "evidence_changed",
                "changed": case.changed(&shown, &parking),
                "evidence": shown.hash(),
                "decision": shown,
                "digest": parking.digest,
                "expires_at": parking.expires_at,
            })),
            ..TraceUpdate::default()
        };
        let redeem = case.redeem(hold.charges().to_vec(), Disposition::Park(parking));
        if let Some(next) = self.limits_moved(case.setup).await {
            return Ok(next);
        }
        // nobody is asked what nobody could show them
        if !self.noted_again(case, (Ending::parked(&hold), asked)).await {
            return Ok(Next::Rest);
        }
        match self.ports().ledger.redeem(&redeem).await {
            Ok(RedeemAnswer::Redeemed(record)) => {
                let status = Some(TraceStatus::PendingApproval);
                self.note(&record, &TraceUpdate { status, ..TraceUpdate::default() }).await;
                self.hub().wake(record.id);
                Ok(Next::Rest)
            }
            Ok(RedeemAnswer::Over(overruns)) => Err((hold.overrun(&overruns), overruns)),
            Ok(RedeemAnswer::PeriodMoved) => Ok(Next::Again),
            Ok(RedeemAnswer::Elsewhere(_)) | Err(_) => Ok(Next::Rest),
        }
    }
}

/// One operation, judged again.
struct Again<'a> {
    setup: &'a Arc<Setup>,
    record: &'a OperationRecord,
    parties: Parties<'a>,
    evidence: &'a TraceRecord,
    gathered: &'a Gathered,
    judgement: &'a Judgement,
    usd: Option<MicroUsd>,
    gateway: &'a str,
}

impl Again<'_> {
    fn later(&self) -> Later<'_> {
        Later {
            setup: self.setup,
            record: self.record,
            occasion: Occasion::Redemption,
            gathered: self.gathered,
            judgement: self.judgement,
        }
    }

    fn redeem(
        &self,
        charges: Vec<countersign_core::charge::Charge>,
        disposition: Disposition,
    ) -> Redeem {
        tracing::debug!(operation = %self.record.id, policy = %self.judgement.policy, "decided again");
        Redeem {
            operation: self.record.id,
            intent: self.gathered.intent.clone(),
            charges,
            disposition,
            trace: self.record.trace,
            gateway: self.gateway.into(),
        }
    }

    /// Asks for what is asked now and for what was asked before: a vote counts for one state of the facts, and gates
    /// that took turns would never all be open.
    ///
    /// Besides, what they are shown: the decision of now, which takes the place of the frozen one.
    fn parking(&self, hold: &Hold) -> (DecisionRecord, Parking) {
        let mut gates = hold.gates().to_vec();
        gates.extend(self.record.gates.iter().filter(|g| !hold.gates().contains(g)).cloned());
        let mut asks = hold.asks().to_vec();
        asks.extend(self.record.asks.iter().filter(|a| !hold.asks().contains(a)).cloned());
        let expires_at = self.gathered.facts.at.after(hold.ttl());
        let ending = Ending::parked(hold);
        let NewTrace { trace_hash: evidence, decision: shown, .. } =
            trace(self.record.id, self.gathered, self.judgement, ending);
        let question = (gates.as_slice(), asks.as_slice());
        let digest = approval_digest(self.record.id, self.gathered, question, expires_at, evidence);
        (shown, Parking { gates, asks, digest, expires_at })
    }

    /// What is otherwise than people saw.
    fn changed(&self, now: &DecisionRecord, parking: &Parking) -> Vec<Value> {
        let seen = worth_seen(self.setup, self.parties, self.record, self.evidence);
        let question = (self.record.gates.as_slice(), self.record.asks.as_slice());
        let seen = glance(&shown(self.evidence, self.record.digest), seen, question);
        let votes = lost_votes(self.record, &counting(self.setup, self.record));
        let question = (parking.gates.as_slice(), parking.asks.as_slice());
        let changes = changes(&seen, &glance(now, self.usd, question));
        votes.into_iter().chain(changes).collect()
    }
}

/// Whom an operation concerns, if it still may be carried out for them.
pub(crate) fn parties<'a>(setup: &'a Setup, record: &OperationRecord) -> Option<Parties<'a>> {
    let agent = setup.agents.get(record.agent())?;
    // the rights are those in force now, as for a fresh request
    let may_use = agent.wallets.contains(record.wallet());
    let wallet = setup.wallets.get(record.wallet())?;
    let same_signer = wallet.signer.is_external() == record.intent.signature.is_some();
    Some(Parties {
        agent: Some(agent).filter(|_| may_use)?,
        wallet: Some(wallet).filter(|_| same_signer)?,
        chain: setup.chains.get(&record.chain())?,
    })
}

/// Where a trace's later entries say what the request was worth when people were asked again.
const SEEN_USD: &str = "usd";

/// What the request was worth when people saw it last: as an entry of its trace says, else by its frozen facts.
fn worth_seen(
    setup: &Setup,
    parties: Parties<'_>,
    record: &OperationRecord,
    evidence: &TraceRecord,
) -> Option<MicroUsd> {
    if let Some(entry) = asked_again(evidence, record.digest) {
        return entry.get(SEEN_USD)?.as_str()?.parse().ok();
    }
    let facts = evidence.decision.facts.as_ref()?;
    let decision = decide(&record.intent, facts, &policies(setup, parties));
    total(&decision.usd)
}

fn total(usd: &[Option<MicroUsd>]) -> Option<MicroUsd> {
    usd.iter().try_fold(MicroUsd::ZERO, |sum, usd| sum.checked_add((*usd)?))
}

/// The gates that people opened, with what they saw when they did.
pub(crate) fn opened_gates(
    setup: &Setup,
    parties: Parties<'_>,
    record: &OperationRecord,
    evidence: &TraceRecord,
) -> Vec<GateApproval> {
    let usd = worth_seen(setup, parties, record, evidence);
    let decision = &evidence.decision;
    // without the frozen facts nobody can say what people saw: then no gate is open
    let (Some(fee_wei_max), Some(policy), Some(_)) =
        (record.intent.fee_wei_max(), decision.policy, &decision.facts)
    else {
        return Vec::new();
    };
    let votes = counting(setup, record);
    let opened = |gate: &Gate| GateApproval {
        gate: gate.clone(),
        asked_by: record
            .asks
            .iter()
            .filter(|ask| ask.is_at(gate))
            .map(|ask| ask.rule.clone())
            .collect(),
        votes: votes.clone(),
        fee_wei_max,
        usd,
        policy,
    };
    record.gates.iter().map(opened).collect()
}

/// What people saw, to be judged again: a message is read again, by what is known of the chain now.
async fn proposed_again(
    parties: Parties<'_>,
    record: &OperationRecord,
) -> Result<Proposal, Answer> {
    if record.intent.signature.is_some() {
        let raw = record.intent.raw().ok_or_else(|| malformed("raw", "is not signed any more"))?;
        return Ok(Proposal::Signed(Box::new(Presigned::new(raw))));
    }
    match &record.intent.payload {
        Payload::Transaction(plan) => {
            let head = parties.chain.port.head().await.map_err(no_node)?;
            let first = draft_again(record, plan, &head);
            let Some(bundle) = record.intent.bundle.as_deref().filter(|b| b.is_whole()) else {
                return Ok(Proposal::Transaction(first));
            };
            let rest = bundle.rest.iter().map(|call| draft_again(record, &call.plan, &head));
            Ok(Proposal::Calls(Box::new(CallsDraft {
                from: record.intent.address,
                id: bundle.id.clone(),
                handle: bundle.handle,
                calls: std::iter::once(first).chain(rest).collect(),
            })))
        }
        Payload::Message(message) => {
            Proposal::of_message(&message.content, record.intent.address, parties.chain)
                .map_err(|error| malformed(&error.field, &error.reason))
        }
    }
}

/// The plan that people saw, unless the chain would not take its fee any more: then a fresh one, which
/// the gate's drift has to allow.
fn draft_again(record: &OperationRecord, plan: &TransactionPlan, head: &Head) -> TransactionDraft {
    let rising = |base: u128| base.saturating_add(base.checked_div(8).unwrap_or(0));
    let holds = head.base_fee.is_none_or(|base| plan.fee.ceiling() >= rising(base));
    let draft = plan.clone().into_draft(record.intent.address, record.intent.nonce);
    if holds {
        return draft;
    }
    TransactionDraft {
        gas_price: None,
        max_fee_per_gas: None,
        max_priority_fee_per_gas: None,
        ..draft
    }
}

/// How long an operation may rest before a sweep takes it up: its own gateway is at work till then.
pub(crate) const TAKEOVER_AFTER: Millis = Millis(5000);

/// Whether an operation waits for a decision rather than for the chain.
pub(crate) const fn is_undecided(state: OperationState) -> bool {
    matches!(state, OperationState::Approved | OperationState::Allowed)
}
