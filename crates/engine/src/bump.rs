//! A further transaction at an operation's nonce: the payload at a higher fee, or a cancel.
//!
//! A bump is judged like the request itself, with its new fee, and the difference is charged before anything is
//! signed. A cancel moves nothing but its fee: neither a policy nor the fee ceiling stands in its way.

use std::sync::Arc;

use alloy_primitives::{Bytes, U256};
use countersign_core::{
    approval::{GateApproval, Vote},
    charge::{Charge, Unit},
    identity::OperationId,
    operation::{Attempt, OperationRecord, OperationState as S, Purpose},
    trace::{Occasion, TraceUpdate},
    transaction::{
        FeeBid, TransactionDraft, TransactionPlan, TransactionType, UnsignedTransaction,
    },
};
use countersign_policy::decision::{Outcome as Decided, Permit};

use crate::{
    admission::{Admitted, Parties},
    brought::EXTERNALLY_SIGNED,
    claim::Claim,
    consult::Hearing,
    engine::Engine,
    gather::Request,
    intake::pending,
    journal::Later,
    lane::{Outcome, Task},
    plan::outflow_max,
    port::{
        chain::{Estimate, Head},
        ledger::{Bump, BumpAnswer, LedgerError},
    },
    proposal::Proposal,
    record::Ending,
    redeem::{opened_gates, parties},
    setup::{OperatorSetup, Setup},
    stage::{Commitment, Reservation},
    submission::{Answer, NodeRefused},
    tracker::lane_of,
};

/// Attempts that one operation may have.
const ATTEMPTS_MAX: u32 = 32;

/// How often a step is repeated that may have reached the store.
const ASK_MAX: u8 = 3;

/// The gas of a transfer of nothing, where the node does not say.
const GAS_TRANSFER: u64 = 21_000;

/// Who asks for a further attempt.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Asker<'a> {
    /// A person. Their word opens the gates of a fee that nobody has approved yet, as far as it alone can.
    Operator(&'a OperatorSetup),
    /// The agent, by its nonce and payload with a higher fee.
    Agent,
    /// Nobody: it has waited for too long.
    Timer,
}

/// Why there is no further attempt. Nothing was signed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum BumpError {
    /// 404
    #[error("there is no such operation")]
    Missing,
    /// 409 `not_in_flight`
    #[error("the operation is in {}, where nothing can take its place any more or yet", .0.state.name())]
    Elsewhere(Box<OperationRecord>),
    /// 409 `busy`
    #[error("its last attempt is being signed or sent; look again in a moment")]
    Busy,
    /// 409
    #[error("{reason}")]
    Refused {
        /// Stable code: of the limit or rule, or `fee_ceiling_exceeded`, `fee_too_low`, `balance_too_low`, `attempts`,
        /// `frozen`, `sealed`, `externally_signed`.
        code: String,
        /// One sentence without a full stop.
        reason: String,
    },
    /// 503
    #[error("{0}")]
    Unavailable(String),
}

impl BumpError {
    fn refused(code: &str, reason: impl Into<String>) -> Self {
        Self::Refused { code: code.into(), reason: reason.into() }
    }

    fn no_store(error: &LedgerError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

/// One operation on its way, with what a further attempt needs.
struct Way<'a> {
    setup: &'a Arc<Setup>,
    parties: Parties<'a>,
    record: &'a OperationRecord,
    head: Head,
}

impl Engine {
    /// Raises the fee of an operation that is on its way: to `bid`, or as far as nodes and market ask.
    pub(crate) async fn raise_fee(
        self: &Arc<Self>,
        id: OperationId,
        bid: Option<FeeBid>,
        asker: Asker<'_>,
    ) -> Result<OperationRecord, BumpError> {
        let claim = self.claims().take(id).ok_or(BumpError::Busy)?;
        let setup = self.setup();
        let record = self.on_its_way(id).await?;
        let way = self.way(&setup, &record).await?;
        let Some(newest) = record.attempts.last().filter(|a| a.purpose == Purpose::Payload) else {
            return Err(BumpError::Elsewhere(Box::new(record)));
        };
        if newest.hash.is_none() {
            return Err(BumpError::Busy);
        }
        let fee =
            higher(newest.transaction.plan.fee, &way.head, bid, way.parties.chain.fee_ceiling)?;
        let plan = TransactionPlan { fee, ..newest.transaction.plan.clone() };
        let permit = self.permit_fee(&way, &plan, asker).await?;
        self.is_covered(&way, &plan).await?;
        let transaction = plan.with_nonce(newest.transaction.nonce);
        let bound = self.bind(&way, Purpose::Payload, transaction).await?;
        match Reservation::bumped(&permit, bound) {
            Commitment::Made(committed) => {
                self.finish_attempt(&setup, Task::Sign(committed), claim).await
            }
            Commitment::Refused(..) => Err(BumpError::Busy),
            Commitment::Elsewhere(record) => Err(BumpError::Elsewhere(record)),
        }
    }

    /// Puts a transfer of nothing at the operation's nonce. Whichever of the two is mined decides how it ends.
    pub(crate) async fn cancel(
        self: &Arc<Self>,
        id: OperationId,
        asker: Asker<'_>,
    ) -> Result<OperationRecord, BumpError> {
        let claim = self.claims().take(id).ok_or(BumpError::Busy)?;
        let setup = self.setup();
        let record = self.on_its_way(id).await?;
        let way = self.way(&setup, &record).await?;
        if let Asker::Operator(operator) = asker {
            tracing::info!(operation = %id, operator = %operator.id, "cancel asked for");
        }
        let Some(newest) = record.attempts.last() else {
            return Err(BumpError::Elsewhere(Box::new(record)));
        };
        if newest.purpose == Purpose::Cancel && newest.hash.is_none() {
            let committed =
                Reservation::committed(Box::new(record)).map_err(BumpError::Elsewhere)?;
            return self.finish_attempt(&setup, Task::Sign(committed), claim).await;
        }
        let transaction = self.nothing_at_its_nonce(&way, newest).await?;
        let bound = self.bind(&way, Purpose::Cancel, transaction).await?;
        let committed = Reservation::committed(bound).map_err(BumpError::Elsewhere)?;
        self.finish_attempt(&setup, Task::Sign(committed), claim).await
    }

    /// What a request with the nonce and payload of an operation on its way asks for besides: a higher fee, if it does.
    pub(crate) fn asks_for_more(admitted: &Admitted, record: &OperationRecord) -> Option<FeeBid> {
        let Proposal::Transaction(draft) = &admitted.proposal else { return None };
        let fixed = draft.nonce.filter(|nonce| Some(*nonce) == record.nonce());
        let newest = record.attempts.iter().rev().find(|a| a.purpose == Purpose::Payload)?;
        let now = newest.transaction.plan.fee;
        let asked = match now {
            FeeBid::Price(_) => FeeBid::Price(draft.gas_price?),
            FeeBid::Dynamic { tip, .. } => {
                let max_fee = draft.max_fee_per_gas?;
                let tip = draft.max_priority_fee_per_gas.unwrap_or_else(|| step_up(tip));
                FeeBid::Dynamic { max_fee, tip: tip.min(max_fee) }
            }
        };
        fixed.map(|_| asked).filter(|asked| asked.ceiling() > now.ceiling())
    }

    /// Answers an agent that offers more for what is on its way.
    pub(crate) async fn raised_by_agent(
        self: &Arc<Self>,
        record: OperationRecord,
        bid: FeeBid,
    ) -> Answer {
        match self.raise_fee(record.id, Some(bid), Asker::Agent).await {
            Ok(record) => self.answer(&record).await,
            Err(BumpError::Elsewhere(record)) => self.answer(&record).await,
            Err(BumpError::Refused { code, reason }) => {
                let hash = record.hash().map_or_else(String::new, |hash| format!(" {hash}"));
                let message = format!(
                    "the fee is not raised [{code}]: {reason}; the earlier transaction{hash} is still on its way"
                );
                Answer::NodeRefused(NodeRefused { message, ..NodeRefused::default() })
            }
            Err(BumpError::Missing | BumpError::Busy | BumpError::Unavailable(_)) => {
                Answer::Pending(pending(&record, None))
            }
        }
    }

    async fn on_its_way(&self, id: OperationId) -> Result<OperationRecord, BumpError> {
        let record = self.ports().ledger.operation(id).await;
        let record = record.map_err(|e| BumpError::no_store(&e))?.ok_or(BumpError::Missing)?;
        if record.intent.signature.is_some() {
            let reason = "its wallet signs for itself: only whoever has the key can put another transaction in its place";
            return Err(BumpError::refused(EXTERNALLY_SIGNED, reason));
        }
        let sent = [S::Prepared, S::Signed, S::Broadcast, S::Unknown, S::Cancelling];
        if sent.contains(&record.state) {
            Ok(record)
        } else {
            Err(BumpError::Elsewhere(Box::new(record)))
        }
    }

    async fn way<'a>(
        &self,
        setup: &'a Arc<Setup>,
        record: &'a OperationRecord,
    ) -> Result<Way<'a>, BumpError> {
        let parties = parties(setup, record).ok_or_else(|| {
            let reason = "its agent, its wallet or its chain is not configured for it any more";
            BumpError::refused("configuration_changed", reason)
        })?;
        let head = parties.chain.port.head().await;
        let head = head.map_err(|error| BumpError::Unavailable(error.to_string()))?;
        Ok(Way { setup, parties, record, head })
    }

    /// Judges the payload with its new fee. What people approved covers it as far as their gates let it drift.
    async fn permit_fee(
        &self,
        way: &Way<'_>,
        plan: &TransactionPlan,
        asker: Asker<'_>,
    ) -> Result<Permit, BumpError> {
        let Way { setup, parties, record, .. } = way;
        let evidence = self.ports().journal.trace(record.trace).await;
        let evidence = evidence.map_err(|error| BumpError::Unavailable(error.to_string()))?;
        let approvals = evidence.as_ref().map(|e| opened_gates(setup, *parties, record, e));
        let approvals = approvals.unwrap_or_default();
        let facts = evidence.as_ref().and_then(|evidence| evidence.decision.facts.as_ref());
        let proposal = Proposal::Transaction(draft(record, plan));
        let request = Request {
            parties: *parties,
            method: record.intent.method,
            proposal: &proposal,
            declared: &record.intent.declared,
            approvals: &approvals,
            hearing: Hearing::of(facts),
            bundle: record.intent.bundle.as_deref(),
        };
        let mut gathered = match self.gather(setup, request).await {
            Ok(gathered) => gathered,
            Err(Answer::Unavailable(why)) => return Err(BumpError::Unavailable(why.reason)),
            Err(_) => {
                return Err(BumpError::refused("not_permitted", "it cannot be built any more"));
            }
        };
        let (mut judgement, mut outcome) = self.judge(setup, *parties, &gathered);
        if let (Decided::Park(hold), Asker::Operator(operator)) = (&outcome, asker) {
            let vote = self.word_of(operator).await?;
            let opens = |gate: &&_| is_opened_by(gate, &vote, parties.agent.owner.as_deref());
            let opened = hold.gates().iter().filter(opens).map(|gate| GateApproval {
                gate: gate.clone(),
                asked_by: hold.asks_at(gate),
                votes: vec![vote.clone()],
                fee_wei_max: gathered.facts.fee_wei_max,
                usd: None,
                policy: judgement.policy,
            });
            let opened: Vec<GateApproval> = opened.collect();
            gathered.facts.approvals.extend(opened);
            (judgement, outcome) = self.judge(setup, *parties, &gathered);
        }
        // a timer comes back: what it was refused is not recorded each time
        if matches!(outcome, Decided::Allow(_)) || !matches!(asker, Asker::Timer) {
            let occasion = Occasion::Bump;
            let later =
                Later { setup, record, occasion, gathered: &gathered, judgement: &judgement };
            let ending = Ending::of(&outcome);
            let noted = self.journalled_again(later, ending, TraceUpdate::default()).await;
            noted.map_err(|error| BumpError::Unavailable(error.to_string()))?;
        }
        permitted(outcome)
    }

    async fn word_of(&self, operator: &OperatorSetup) -> Result<Vote, BumpError> {
        Ok(Vote {
            operator: operator.id.clone(),
            person: operator.person.clone(),
            groups: operator.groups.clone(),
            note: Some("a higher fee".into()),
            at: self.ports().ledger.now().await.map_err(|e| BumpError::no_store(&e))?,
            // a token alone: it opens no gate that asks for more
            signature: None,
        })
    }

    /// Whether the balance covers the dearer transaction beside everything else that is in flight.
    async fn is_covered(&self, way: &Way<'_>, plan: &TransactionPlan) -> Result<(), BumpError> {
        let record = way.record;
        let settled_to = self.settled_to(&lane_of(record));
        let port = &way.parties.chain.port;
        let account = port.account_with(record.intent.address, settled_to).await;
        let account = account.map_err(|error| BumpError::Unavailable(error.to_string()))?;
        let others = self.in_flight_beside(&lane_of(record), account.nonce, record.id);
        let needed = outflow_max(plan, record.intent.data_fee_max).saturating_add(others);
        if needed <= account.balance {
            return Ok(());
        }
        let balance = account.balance;
        let reason = format!(
            "the wallet's balance of {balance} wei does not cover value, higher fee and what is in flight: {needed} wei"
        );
        Err(BumpError::refused("balance_too_low", reason))
    }

    async fn nothing_at_its_nonce(
        &self,
        way: &Way<'_>,
        newest: &Attempt,
    ) -> Result<UnsignedTransaction, BumpError> {
        let UnsignedTransaction { plan, nonce } = &newest.transaction;
        let wallet = way.record.intent.address;
        let kind = match plan.kind {
            TransactionType::DynamicFee | TransactionType::SetCode => TransactionType::DynamicFee,
            TransactionType::Legacy | TransactionType::AccessList => TransactionType::Legacy,
        };
        let mut nothing = TransactionPlan {
            chain: plan.chain,
            kind,
            to: Some(wallet),
            value: U256::ZERO,
            data: Bytes::new(),
            gas: GAS_TRANSFER,
            fee: at_market(raised(plan.fee), &way.head),
            access_list: Vec::new(),
            authorizations: Vec::new(),
        };
        let asked = TransactionDraft { gas: None, nonce: None, ..draft(way.record, &nothing) };
        // a chain may want more for it than Ethereum does; one that does not say gets Ethereum's
        if let Ok(Estimate::Gas(gas)) = way.parties.chain.port.estimate_gas(wallet, &asked).await {
            nothing.gas = gas.max(GAS_TRANSFER);
        }
        Ok(nothing.with_nonce(*nonce))
    }

    async fn bind(
        &self,
        way: &Way<'_>,
        purpose: Purpose,
        transaction: UnsignedTransaction,
    ) -> Result<Box<OperationRecord>, BumpError> {
        let record = way.record;
        let attempt = u32::try_from(record.attempts.len()).unwrap_or(u32::MAX);
        if attempt >= ATTEMPTS_MAX {
            let reason = format!("it has had {ATTEMPTS_MAX} attempts");
            return Err(BumpError::refused("attempts", reason));
        }
        let fees = dearer_fees(record, &transaction.plan);
        let bump = Bump { operation: record.id, attempt, purpose, transaction, fees };
        match self.ask_to_bump(&bump).await.map_err(|e| BumpError::no_store(&e))? {
            BumpAnswer::Bound(record) => Ok(record),
            BumpAnswer::Elsewhere(record) => Err(BumpError::Elsewhere(record)),
            BumpAnswer::Frozen(_) => {
                Err(BumpError::refused("frozen", "an operator has frozen signing"))
            }
            BumpAnswer::Sealed(reason) => {
                Err(BumpError::refused("sealed", format!("the ledger is sealed: {reason}")))
            }
            BumpAnswer::Over(overruns) => {
                let source = overruns
                    .first()
                    .and_then(|overrun| record.charges.get(overrun.index))
                    .map(|charge| &charge.source);
                let code = source.map_or("limit_exceeded", |source| source.code.as_str());
                let limit = source.map_or("?", |source| source.limit.as_str());
                let reason = format!("the higher fee does not fit into the limit `{limit}`");
                Err(BumpError::refused(code, reason))
            }
        }
    }

    async fn ask_to_bump(&self, bump: &Bump) -> Result<BumpAnswer, LedgerError> {
        let mut asked: u8 = 1;
        loop {
            match self.ports().ledger.bump(bump).await {
                Err(LedgerError::Ambiguous(_)) if asked < ASK_MAX => {
                    asked = asked.saturating_add(1);
                }
                answer => return answer,
            }
        }
    }

    /// Signs and sends a bound attempt in its lane. What breaks off here is taken up by a sweep.
    async fn finish_attempt(
        self: &Arc<Self>,
        setup: &Arc<Setup>,
        task: Task,
        claim: Claim,
    ) -> Result<OperationRecord, BumpError> {
        match self.carry_on_alone(Arc::clone(setup), vec![task], claim).await {
            Outcome::Finished(record) => Ok(*record),
            Outcome::Open => Err(BumpError::Busy),
        }
    }
}

/// Whether this one vote opens the gate.
fn is_opened_by(gate: &countersign_core::approval::Gate, vote: &Vote, owner: Option<&str>) -> bool {
    gate.is_open(std::slice::from_ref(vote), owner)
}

fn permitted(outcome: Decided) -> Result<Permit, BumpError> {
    match outcome {
        Decided::Allow(permit) => Ok(permit),
        Decided::Deny(denial) => Err(BumpError::refused(&denial.code, denial.reason)),
        Decided::Park(hold) => {
            let gates: Vec<&str> = hold.gates().iter().map(|gate| gate.id.as_str()).collect();
            let reason = format!("the higher fee needs an approval by {}", gates.join(", "));
            Err(BumpError::refused(hold.code(), reason))
        }
    }
}

fn draft(record: &OperationRecord, plan: &TransactionPlan) -> TransactionDraft {
    plan.clone().into_draft(record.intent.address, record.intent.nonce)
}

/// What the fee of each charge comes to: in proportion, rounded up, from the dearest attempt so far.
fn dearer_fees(record: &OperationRecord, plan: &TransactionPlan) -> Vec<u64> {
    let before = record.fee_wei_max().filter(|fee| !fee.is_zero());
    let gas = plan.fee_wei_max().unwrap_or(U256::MAX);
    let now = gas.saturating_add(record.intent.data_fee_max);
    let dearer = |charge: &Charge| match (charge.unit, before) {
        (Unit::Usd, Some(before)) => {
            let exact = U256::from(charge.fee).checked_mul(now).map(|all| all.div_ceil(before));
            exact.and_then(|fee| u64::try_from(fee).ok()).unwrap_or(u64::MAX).max(charge.fee)
        }
        (Unit::Usd, None) | (Unit::Count, _) => charge.fee,
    };
    record.charges.iter().map(dearer).collect()
}

/// The least that nodes take in the place of a bid: an eighth more (geth, reth, Erigon, Besu and Nethermind ask for a
/// tenth), and never the same.
const fn step_up(price: u128) -> u128 {
    let eighth = match price.checked_div(8) {
        Some(eighth) => eighth,
        None => 0,
    };
    price.saturating_add(eighth).saturating_add(1)
}

const fn raised(fee: FeeBid) -> FeeBid {
    match fee {
        FeeBid::Price(price) => FeeBid::Price(step_up(price)),
        FeeBid::Dynamic { max_fee, tip } => {
            FeeBid::Dynamic { max_fee: step_up(max_fee), tip: step_up(tip) }
        }
    }
}

/// At least what a fresh transaction would offer now.
fn at_market(fee: FeeBid, head: &Head) -> FeeBid {
    match fee {
        FeeBid::Price(price) => FeeBid::Price(price.max(head.gas_price)),
        FeeBid::Dynamic { max_fee, tip } => {
            let tip = tip.max(head.tip);
            let base = head.base_fee.unwrap_or(head.gas_price);
            let fresh = base.saturating_mul(2).saturating_add(tip);
            FeeBid::Dynamic { max_fee: max_fee.max(fresh), tip }
        }
    }
}

/// The bid of the next attempt: what was asked for, else at least what nodes take, up to the market's price, under
/// the ceiling.
fn higher(
    now: FeeBid,
    head: &Head,
    asked: Option<FeeBid>,
    ceiling: u128,
) -> Result<FeeBid, BumpError> {
    let least = raised(now);
    let fee = match asked {
        Some(asked) if is_at_least(asked, least) => asked,
        Some(_) => {
            let reason = format!("a node takes it only with at least {}", words(least));
            return Err(BumpError::refused("fee_too_low", reason));
        }
        None => under(at_market(least, head), ceiling),
    };
    if fee.ceiling() > ceiling || !is_at_least(fee, least) {
        let reason = format!(
            "another attempt needs at least {}, the chain's ceiling is {ceiling} wei per gas",
            words(least)
        );
        return Err(BumpError::refused("fee_ceiling_exceeded", reason));
    }
    Ok(fee)
}

fn under(fee: FeeBid, ceiling: u128) -> FeeBid {
    match fee {
        FeeBid::Price(price) => FeeBid::Price(price.min(ceiling)),
        FeeBid::Dynamic { max_fee, tip } => {
            FeeBid::Dynamic { max_fee: max_fee.min(ceiling), tip: tip.min(ceiling) }
        }
    }
}

const fn is_at_least(fee: FeeBid, least: FeeBid) -> bool {
    match (fee, least) {
        (FeeBid::Price(price), FeeBid::Price(least)) => price >= least,
        (
            FeeBid::Dynamic { max_fee, tip },
            FeeBid::Dynamic { max_fee: least_fee, tip: least_tip },
        ) => max_fee >= least_fee && tip >= least_tip && tip <= max_fee,
        (FeeBid::Price(_), FeeBid::Dynamic { .. }) | (FeeBid::Dynamic { .. }, FeeBid::Price(_)) => {
            false
        }
    }
}

fn words(fee: FeeBid) -> String {
    match fee {
        FeeBid::Price(price) => format!("{price} wei per gas"),
        FeeBid::Dynamic { max_fee, tip } => {
            format!("{max_fee} wei per gas, of which {tip} as a tip")
        }
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::B256;

    use super::*;

    const CEILING: u128 = 1000;

    fn head(base_fee: u128, tip: u128) -> Head {
        Head {
            number: 1,
            hash: B256::ZERO,
            gas_limit: 30_000_000,
            base_fee: Some(base_fee),
            tip,
            gas_price: base_fee.saturating_add(tip),
        }
    }

    const fn bid(max_fee: u128, tip: u128) -> FeeBid {
        FeeBid::Dynamic { max_fee, tip }
    }

    fn code_of(error: BumpError) -> String {
        let BumpError::Refused { code, .. } = error else { panic!("{error}") };
        code
    }

    #[test]
    fn a_bid_is_raised_by_an_eighth_to_the_market_and_under_the_ceiling() {
        let table = [
            (bid(80, 8), head(1, 1), None, Ok(bid(91, 10))),
            (bid(80, 8), head(200, 1), None, Ok(bid(410, 10))),
            (bid(80, 8), head(200, 50), None, Ok(bid(450, 50))),
            (bid(80, 8), head(900, 50), None, Ok(bid(CEILING, 50))),
            (bid(888, 8), head(1, 1), None, Ok(bid(CEILING, 10))),
            (bid(889, 8), head(1, 1), None, Err("fee_ceiling_exceeded")),
            (bid(80, 8), head(1, 1), Some(bid(91, 10)), Ok(bid(91, 10))),
            (bid(80, 8), head(1, 1), Some(bid(90, 10)), Err("fee_too_low")),
            (bid(80, 8), head(1, 1), Some(bid(91, 9)), Err("fee_too_low")),
            (bid(80, 8), head(1, 1), Some(bid(1001, 10)), Err("fee_ceiling_exceeded")),
            (bid(80, 8), head(1, 1), Some(FeeBid::Price(500)), Err("fee_too_low")),
            (FeeBid::Price(80), head(1, 1), None, Ok(FeeBid::Price(91))),
            (FeeBid::Price(80), head(200, 1), None, Ok(FeeBid::Price(201))),
            (bid(0, 0), head(0, 0), None, Ok(bid(1, 1))),
        ];
        for (now, head, asked, expect) in table {
            let got = higher(now, &head, asked, CEILING).map_err(code_of);
            assert_eq!(got, expect.map_err(str::to_owned), "{now:?} {asked:?}");
        }
    }

    #[test]
    fn the_tip_never_passes_the_fee() {
        let table = [(bid(990, 900), 1), (bid(10, 10), 1)];
        for (now, base) in table {
            match higher(now, &head(base, 5000), None, CEILING).map_err(code_of) {
                Ok(FeeBid::Dynamic { max_fee, tip }) => {
                    assert!(tip <= max_fee && max_fee <= CEILING);
                }
                other => assert_eq!(other, Err("fee_ceiling_exceeded".into())),
            }
        }
    }
}
