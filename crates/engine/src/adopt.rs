//! A limit that is new, or another one than before, starts from what was spent and not from zero (LEDGER §2).
//!
//! What was spent is known from the ledger's operations and the frozen facts of their decisions. Each operation that a
//! new limit would still count gets the charge that the limit makes of it; then the limit is noted, for ever.

use std::{
    collections::{BTreeMap, BTreeSet},
    pin::pin,
    sync::{Arc, Weak},
};

use alloy_primitives::U256;
use countersign_core::{
    amount::AMOUNT_MAX,
    charge::{Charge, CounterId, Unit},
    identity::AgentId,
    operation::{Money, OperationRecord, OperationState as S},
    time::{Millis, Timestamp},
};
use countersign_policy::{Policies, charges, part, windows};
use futures_util::future::{Either, select};
use tokio::sync::oneshot;

use crate::{
    engine::Engine,
    port::{
        journal::JournalError,
        ledger::{Adopt, AdoptAnswer, LedgerError, OperationQuery},
    },
    setup::{AgentSetup, Setup},
    submission::{Answer, Unavailable},
    tracker::kept,
};

/// How long a request waits for limits that are being charged.
const WAIT: Millis = Millis(5000);

/// The longest that people may be asked before an operation is settled: an operation counts from its settlement, and
/// lists are in the order of creation.
const LIFE_MAX: Millis = Millis(31 * 24 * 3_600_000);

/// How many operations are looked at at once.
const PAGE: u32 = 500;

/// How often one operation is looked at anew because it moved meanwhile.
const ROUNDS_MAX: u8 = 8;

/// States of operations that hold money and are not settled.
const OPEN: [S; 9] = [
    S::Parked,
    S::Approved,
    S::Allowed,
    S::Prepared,
    S::Signed,
    S::Broadcast,
    S::Unknown,
    S::Mined,
    S::Cancelling,
];

/// Why a limit could not be charged yet.
#[derive(Debug, thiserror::Error)]
enum AdoptError {
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// Limits that do not count everything yet.
struct Young {
    /// What each agent is judged under, with the names of its young limits.
    agents: BTreeMap<AgentId, (Policies, BTreeSet<(String, String)>)>,
    /// The earliest instant that any of them counts.
    since: Timestamp,
}

impl Engine {
    /// Completes when every limit of this setup counts what was spent before it came.
    pub(crate) async fn wait_for_limits(
        self: &Arc<Self>,
        setup: &Arc<Setup>,
    ) -> Result<(), Answer> {
        if self.has_adopted(setup) {
            return Ok(());
        }
        let begun = pin!(self.begin_adoption(setup));
        match select(begun, self.ports().clock.sleep(WAIT)).await {
            Either::Left((Ok(true), _)) => Ok(()),
            Either::Left((Ok(false) | Err(_), _)) | Either::Right(_) => {
                Err(Answer::Unavailable(Unavailable {
                    code: "limits_not_ready",
                    reason: "a new limit is still being charged with what was spent before it"
                        .into(),
                }))
            }
        }
    }

    /// Charges young limits beside the caller; the receiver says whether that came to its end.
    pub(crate) fn begin_adoption(self: &Arc<Self>, setup: &Arc<Setup>) -> oneshot::Receiver<bool> {
        let (done, receiver) = oneshot::channel();
        let (engine, setup) = (Arc::clone(self), Arc::clone(setup));
        self.ports().clock.spawn(Box::pin(async move {
            let adopted = engine.adopt_in_turn(&setup).await;
            if let Err(error) = &adopted {
                tracing::warn!(%error, "new limits are not charged with what was spent yet");
            }
            // nobody may wait for it
            done.send(adopted.is_ok()).ok();
        }));
        receiver
    }

    /// Whether this setup's limits are known to count everything.
    pub(crate) fn has_adopted(&self, setup: &Arc<Setup>) -> bool {
        self.adopted().ptr_eq(&Arc::downgrade(setup))
    }

    async fn adopt_in_turn(&self, setup: &Arc<Setup>) -> Result<(), AdoptError> {
        let _turn = self.adopting().lock().await;
        if self.has_adopted(setup) {
            return Ok(());
        }
        let now = self.ports().ledger.now().await?;
        let limits = limits(setup, now);
        let known = self.ports().ledger.adopted().await?;
        if let Some(young) = young(setup, &limits, &known) {
            let operations = self.charge_old(&young).await?;
            tracing::info!(operations, "new limits count what was spent before they came");
        }
        let in_force: BTreeSet<CounterId> = limits.into_keys().collect();
        if in_force != known {
            self.ports().ledger.note_adopted(&in_force).await?;
        }
        // what is written into books that lack history may go as it came
        if self.ports().ledger.describe().await?.is_whole() {
            *self.adopted() = Arc::downgrade(setup);
        }
        Ok(())
    }

    /// The books may not be those any more in which these limits count everything.
    pub(crate) fn forget_adoption(&self) {
        *self.adopted() = Weak::new();
    }

    /// Charges an operation that comes back to every limit that it lacks: what it pays, it pays now, and some limits may
    /// be younger than its settlement.
    pub(crate) async fn charge_again(&self, record: OperationRecord) -> bool {
        let Ok(now) = self.ports().ledger.now().await else { return false };
        let setup = self.setup();
        let young = young(&setup, &limits(&setup, now), &BTreeSet::new());
        let Some(all) = young.map(|young| Young { since: Timestamp::default(), ..young }) else {
            return true;
        };
        match self.charge_one(&all, record).await {
            Ok(_) => true,
            Err(error) => {
                tracing::warn!(%error, "what comes back is not charged to newer limits");
                // what no counter takes must not keep it from coming back
                matches!(error, AdoptError::Ledger(LedgerError::Refused(_)))
            }
        }
    }

    /// Goes through everything that a young limit may still count; returns how many operations got a charge.
    async fn charge_old(&self, young: &Young) -> Result<usize, AdoptError> {
        let recent = OperationQuery { limit: PAGE, ..OperationQuery::default() };
        let open = OperationQuery { states: OPEN.to_vec(), ..recent.clone() };
        let oldest = young.since.before(LIFE_MAX);
        let settled = self.charge_listed(young, recent, Some(oldest)).await?;
        Ok(settled.saturating_add(self.charge_listed(young, open, None).await?))
    }

    async fn charge_listed(
        &self,
        young: &Young,
        mut query: OperationQuery,
        oldest: Option<Timestamp>,
    ) -> Result<usize, AdoptError> {
        let mut charged: usize = 0;
        loop {
            let page = self.ports().ledger.operations(&query).await?;
            for record in page.items {
                if oldest.is_some_and(|oldest| record.created_at < oldest) {
                    return Ok(charged);
                }
                if self.charge_one(young, record).await? {
                    charged = charged.saturating_add(1);
                }
            }
            match page.next_cursor {
                Some(cursor) => query.cursor = Some(cursor),
                None => return Ok(charged),
            }
        }
    }

    async fn charge_one(&self, young: &Young, record: OperationRecord) -> Result<bool, AdoptError> {
        let Some((policies, names)) = young.agents.get(record.agent()) else { return Ok(false) };
        let mut record = record;
        for _ in 0..ROUNDS_MAX {
            if !may_count(&record, young.since) {
                return Ok(false);
            }
            let Some(trace) = self.ports().journal.trace(record.trace).await? else {
                return Ok(false);
            };
            let Some(facts) = trace.decision.facts else { return Ok(false) };
            let new = charges(&record.intent, &facts, policies).into_iter().filter(|charge| {
                names.contains(&(charge.source.policy.clone(), charge.source.limit.clone()))
            });
            let decided = part(&record.intent, &facts).fee_wei_max;
            let new: Vec<Charge> =
                new.map(|charge| with_dearest_fee(charge, &record, decided)).collect();
            if new.is_empty() {
                return Ok(false);
            }
            match self.adopt(&record, new).await? {
                AdoptAnswer::Adopted(_) => return Ok(true),
                AdoptAnswer::Elsewhere(moved) => record = *moved,
            }
        }
        let why = "an operation moved while it was charged to a new limit";
        Err(LedgerError::Unavailable(why.into()).into())
    }

    async fn adopt(
        &self,
        record: &OperationRecord,
        charges: Vec<Charge>,
    ) -> Result<AdoptAnswer, LedgerError> {
        let money = record.state.money();
        let came_to = |charge: &Charge| {
            record.actual.as_ref().map_or_else(
                || charge.value.saturating_add(charge.fee),
                |actual| kept(charge, record, actual),
            )
        };
        let kept = if money == Money::Settled {
            charges.iter().map(came_to).collect()
        } else {
            Vec::new()
        };
        let (attempts, fence) = (record.attempts.len(), record.fence);
        let adopt = Adopt { operation: record.id, money, attempts, fence, charges, kept };
        match self.ports().ledger.adopt(&adopt).await {
            Err(LedgerError::Ambiguous(_)) => self.ports().ledger.adopt(&adopt).await,
            answer => answer,
        }
    }
}

/// The frozen facts know the fee of the first decision; since then it may have been raised.
fn with_dearest_fee(charge: Charge, record: &OperationRecord, decided: U256) -> Charge {
    let dearest = record.fee_wei_max().or_else(|| record.intent.fee_wei_max());
    let Some(dearest) = dearest.filter(|fee| *fee > decided && charge.unit == Unit::Usd) else {
        return charge;
    };
    let all = U256::from(charge.fee).checked_mul(dearest).filter(|_| !decided.is_zero());
    let exact = all.map(|all| all.div_ceil(decided));
    let fee = exact.and_then(|fee| u64::try_from(fee).ok()).unwrap_or(AMOUNT_MAX);
    Charge { fee, ..charge }
}

/// One limit: from when on it counts, and what it is called by whom it speaks of.
type Holders = (Timestamp, Vec<(AgentId, String, String)>);

fn limits(setup: &Setup, now: Timestamp) -> BTreeMap<CounterId, Holders> {
    let mut all: BTreeMap<CounterId, Holders> = BTreeMap::new();
    for agent in setup.agents.values() {
        for window in windows(&judged_under(setup, agent), &agent.id, now) {
            let (_, holders) = all.entry(window.identity).or_insert((window.since, Vec::new()));
            holders.push((agent.id.clone(), window.policy, window.limit));
        }
    }
    all
}

fn judged_under(setup: &Setup, agent: &AgentSetup) -> Policies {
    Policies { grant: agent.grant.clone(), guards: setup.guards.clone() }
}

fn young(
    setup: &Setup,
    limits: &BTreeMap<CounterId, Holders>,
    known: &BTreeSet<CounterId>,
) -> Option<Young> {
    let unknown = || limits.iter().filter(|(identity, _)| !known.contains(identity));
    let since = unknown().map(|(_, (since, _))| *since).min()?;
    let mut agents = BTreeMap::new();
    for (agent, policy, limit) in unknown().flat_map(|(_, (_, holders))| holders) {
        let Some(agent) = setup.agents.get(agent) else { continue };
        let (_, names) = agents
            .entry(agent.id.clone())
            .or_insert_with(|| (judged_under(setup, agent), BTreeSet::new()));
        names.insert((policy.clone(), limit.clone()));
    }
    Some(Young { agents, since })
}

/// Whether a limit that counts from `since` on may count this operation.
fn may_count(record: &OperationRecord, since: Timestamp) -> bool {
    match record.state.money() {
        Money::None => false,
        Money::Reserved | Money::Committed => true,
        Money::Settled => record.settled_at.is_none_or(|at| at >= since),
    }
}
