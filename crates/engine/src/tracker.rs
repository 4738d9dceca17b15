//! Follows committed operations until the chain has the last word: receipts, finality, settlement,
//! and the same bytes again where nobody knows.

use std::{collections::BTreeMap, sync::Arc};

use alloy_primitives::{B256, U256};
use countersign_core::{
    charge::{Charge, Unit},
    identity::OperationId,
    intent::Method,
    operation::{Actual, Money, OperationRecord, OperationState, Purpose},
    time::Millis,
    trace::{Severity, TraceStatus, TraceUpdate},
};
use futures_util::future::join_all;
use tracing::Instrument as _;

use crate::{
    engine::Engine,
    execute::outcome_of,
    lane::LaneId,
    plan::outflow_max,
    port::{
        chain::{ChainError, Expected, Finality},
        ledger::{LedgerError, SentOutcome, Settle},
    },
    setup::ChainSetup,
};

/// The first wait before bytes are sent again; it doubles up to [`RESEND_MAX`].
const RESEND_FIRST: Millis = Millis(1000);

/// The longest that accepted bytes stay without being offered again: a pool may have dropped them.
const RESEND_MAX: Millis = Millis(45_000);

/// How many operations are settled at once. A block's receipts come all at once: what agents ask for in that moment is
/// not to wait behind all of them.
pub(crate) const SETTLING_MAX: usize = 2;

/// How many operations of one lane are asked about at once.
const AT_ONCE: usize = 32;

/// The pause after which an operation is looked at again although its chain has no other head; it doubles up to
/// [`LOOK_AGAIN_MAX`].
const LOOK_AGAIN_FIRST: Millis = Millis(500);

/// The longest of these pauses.
const LOOK_AGAIN_MAX: Millis = Millis(4000);

/// What is on its way, by lane.
pub(crate) type Tracks = BTreeMap<LaneId, BTreeMap<OperationId, Tracked>>;

/// A committed operation on its way. Cheap to clone: a look takes one along.
#[derive(Debug, Clone)]
pub(crate) struct Tracked {
    record: Arc<OperationRecord>,
    nonce: Option<u64>,
    outflow: U256,
    resend_at: Millis,
    resend_after: Millis,
    pub(crate) suspect_since: Option<Millis>,
    /// Not before, something is done again about its being stuck.
    unstick_at: Millis,
    /// A node has said that another transaction holds the nonce.
    contested: bool,
    /// The last look for its receipt, if it came to an end.
    looked: Option<Looked>,
}

/// A look that changed nothing.
#[derive(Debug, Clone, Copy)]
struct Looked {
    head: B256,
    /// Under the same head, not before this.
    again_at: Millis,
    pause: Millis,
}

impl Tracked {
    /// The operation as it was seen last.
    pub(crate) fn record(&self) -> &OperationRecord {
        &self.record
    }

    pub(crate) const fn nonce(&self) -> Option<u64> {
        self.nonce
    }

    fn is_mined(&self, mined: u64) -> bool {
        self.record.state == OperationState::Mined || self.nonce.is_some_and(|nonce| nonce < mined)
    }

    /// Whether a look could find anything: a receipt and its finality change with the chain's head, and a node may lag
    /// behind what it says of that; a transaction that waits is stuck only if it is the lane's next, or sent again when
    /// its time has come.
    fn is_due(&self, at: &At) -> bool {
        if self.is_mined(at.mined) {
            return self.looked.is_none_or(|l| l.head != at.head || l.again_at <= at.now);
        }
        self.nonce == Some(at.mined) || self.resend_at <= at.now
    }

    pub(crate) const fn unstick_at(&self) -> Millis {
        self.unstick_at
    }
}

/// What a look at a lane begins with.
#[derive(Debug, Clone, Copy)]
struct At {
    head: B256,
    /// How many transactions of the wallet are mined.
    mined: u64,
    now: Millis,
}

/// What became of a look at one operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// There is nothing more to be seen of it for now.
    Over,
    /// It changed, or somebody did not answer: the next look is at it again.
    Again,
    /// The node did not answer: the others of the lane wait for the next look.
    Unanswered,
}

impl Engine {
    /// Keeps an eye on a committed operation from now on.
    pub(crate) fn follow(&self, record: &OperationRecord) {
        if record.state.money() != Money::Committed || record.message().is_some() {
            self.unfollow(record);
            return;
        }
        let now = self.ports().clock.monotonic();
        let after = if is_accepted(record) { RESEND_MAX } else { RESEND_FIRST };
        let mut tracked = self.tracked();
        let lane = tracked.entry(lane_of(record)).or_default();
        let known = lane.get(&record.id);
        let fresh = Tracked {
            record: Arc::new(record.clone()),
            nonce: record.nonce(),
            outflow: outflow(record),
            resend_at: Millis(now.0.saturating_add(after.0)),
            resend_after: after,
            suspect_since: None,
            unstick_at: known.map_or(Millis::ZERO, |known| known.unstick_at),
            contested: known.is_some_and(|known| known.contested),
            looked: None,
        };
        lane.insert(record.id, fresh);
    }

    /// What is settled is no longer in flight: from now on a balance counts only if it shows that it happened.
    pub(crate) fn unfollow(&self, record: &OperationRecord) {
        let lane = lane_of(record);
        if let Some(nonce) = record.nonce() {
            let mut settled = self.settled();
            let to = settled.entry(lane.clone()).or_default();
            *to = nonce.saturating_add(1).max(*to);
        }
        let mut tracked = self.tracked();
        if let Some(open) = tracked.get_mut(&lane) {
            open.remove(&record.id);
            if open.is_empty() {
                tracked.remove(&lane);
            }
        }
    }

    /// How many transactions of a lane are known to be mined, as far as any of them was settled here.
    pub(crate) fn settled_to(&self, lane: &LaneId) -> u64 {
        self.settled().get(lane).copied().unwrap_or(0)
    }

    /// Changes what is known of an operation that is followed.
    pub(crate) fn change<T>(
        &self,
        record: &OperationRecord,
        change: impl FnOnce(&mut Tracked) -> T,
    ) -> Option<T> {
        self.tracked().get_mut(&lane_of(record))?.get_mut(&record.id).map(change)
    }

    /// Follows an operation whose bytes ought to be offered again without delay, and soon once more: a node that is busy
    /// with another branch may forget what it took meanwhile.
    pub(crate) fn follow_at_once(&self, record: &OperationRecord) {
        self.follow(record);
        self.change(record, |tracked| {
            (tracked.resend_at, tracked.resend_after) = (Millis::ZERO, RESEND_FIRST);
        });
    }

    /// Follows a record as the ledger has it now; what was seen of the chain meanwhile stays.
    pub(crate) fn follow_as_it_is(&self, record: &OperationRecord) {
        let suspect_since = self.change(record, |tracked| tracked.suspect_since).flatten();
        self.follow(record);
        self.change(record, |tracked| tracked.suspect_since = suspect_since);
    }

    /// Follows a record that is newer than the one that is followed, or the first. Of two of the same millisecond
    /// the one that was read last counts: the other may lack a signature.
    pub(crate) fn follow_newer(&self, record: &OperationRecord) {
        let is_newer = |known: &Tracked| {
            let (then, now) = (known.record.updated_at, record.updated_at);
            then < now || (then == now && *known.record != *record)
        };
        let follows = self.change(record, |known| is_newer(known)).unwrap_or(true);
        if follows {
            self.follow(record);
        }
    }

    /// What a lane's operations may still take out of the balance that the chain showed with
    /// `mined` transactions, in wei.
    pub(crate) fn in_flight(&self, lane: &LaneId, mined: u64) -> U256 {
        self.in_flight_but(lane, mined, None)
    }

    /// The same without one operation.
    pub(crate) fn in_flight_beside(&self, lane: &LaneId, mined: u64, id: OperationId) -> U256 {
        self.in_flight_but(lane, mined, Some(id))
    }

    fn in_flight_but(&self, lane: &LaneId, mined: u64, but: Option<OperationId>) -> U256 {
        let tracked = self.tracked();
        let open = tracked.get(lane).into_iter().flatten().filter(|(id, tracked)| {
            Some(**id) != but && tracked.nonce.is_some_and(|nonce| nonce >= mined)
        });
        open.fold(U256::ZERO, |sum, (_, tracked)| sum.saturating_add(tracked.outflow))
    }

    /// One look at every lane that has something on its way and is not being looked at: a chain that answers slowly
    /// holds up nobody else.
    pub(crate) fn track(self: &Arc<Self>) {
        let lanes: Vec<LaneId> = self.tracked().keys().cloned().collect();
        for lane in lanes {
            if !self.tracking().insert(lane.clone()) {
                continue;
            }
            let engine = Arc::clone(self);
            self.ports().clock.spawn(Box::pin(async move {
                engine.track_lane(&lane).await;
                engine.tracking().remove(&lane);
            }));
        }
    }

    async fn track_lane(self: &Arc<Self>, lane: &LaneId) {
        let setup = self.setup();
        let (Some(chain), Some(wallet)) = (setup.chains.get(&lane.0), setup.wallets.get(&lane.1))
        else {
            return;
        };
        // the head first: what is asked behind it is not older, and a newer head is looked at again
        let Ok(head) = chain.port.head().await else { return };
        let Ok(account) = chain.port.account(wallet.address).await else { return };
        let now = self.ports().clock.monotonic();
        let at = At { head: head.hash, mined: account.nonce, now };
        for some in self.due(lane, &at).chunks(AT_ONCE) {
            let looks = some.iter().map(|tracked| self.look(chain, tracked, &at));
            if join_all(looks).await.contains(&Look::Unanswered) {
                return;
            }
        }
    }

    /// What of a lane is worth a look now.
    fn due(&self, lane: &LaneId, at: &At) -> Vec<Tracked> {
        let tracked = self.tracked();
        let open = tracked.get(lane).into_iter().flat_map(BTreeMap::values);
        open.filter(|tracked| tracked.is_due(at)).cloned().collect()
    }

    async fn look(self: &Arc<Self>, chain: &ChainSetup, tracked: &Tracked, at: &At) -> Look {
        if tracked.is_mined(at.mined) {
            let look = self.look_for_receipt(chain, &tracked.record).await;
            if look == Look::Over {
                self.looked(tracked, at);
            }
            return look;
        }
        if self.unstick(chain, tracked, at.mined) {
            return Look::Over;
        }
        if tracked.resend_at <= self.ports().clock.monotonic() {
            self.resend(chain, tracked).await;
        }
        Look::Over
    }

    /// Nothing more is to be seen of it under this head, as far as nodes do not lag behind it.
    fn looked(&self, tracked: &Tracked, at: &At) {
        let before = tracked.looked.filter(|looked| looked.head == at.head);
        let pause = before.map_or(LOOK_AGAIN_FIRST, |before| {
            Millis(before.pause.0.saturating_mul(2).min(LOOK_AGAIN_MAX.0))
        });
        let again_at = Millis(self.ports().clock.monotonic().0.saturating_add(pause.0));
        let looked = Looked { head: at.head, again_at, pause };
        self.change(&tracked.record, |tracked| tracked.looked = Some(looked));
    }

    async fn look_for_receipt(
        self: &Arc<Self>,
        chain: &ChainSetup,
        record: &OperationRecord,
    ) -> Look {
        if let Some(actual) =
            record.actual.as_ref().filter(|_| record.state == OperationState::Mined)
        {
            // a block that stands has the receipt that was read from it: it is not asked for again
            let finality = chain.port.finality(actual).await;
            if finality != Ok(Finality::Gone) {
                return self.mined(record, actual, finality).await;
            }
        }
        match receipt(chain, record).await {
            Ok(Some(actual)) => {
                let finality = chain.port.finality(&actual).await;
                self.mined(record, &actual, finality).await
            }
            Ok(None) if record.state == OperationState::Mined => {
                self.note_mined(record, None).await;
                Look::Again
            }
            Ok(None) => {
                self.look_for_conflict(chain, record).await;
                Look::Over
            }
            Err(_) => Look::Unanswered,
        }
    }

    pub(crate) async fn mined(
        self: &Arc<Self>,
        record: &OperationRecord,
        actual: &Actual,
        finality: Result<Finality, ChainError>,
    ) -> Look {
        match finality {
            Ok(Finality::Final) => {
                let whole = self.later("settle", record);
                self.settle(record, actual).instrument(whole).await;
            }
            Ok(Finality::Pending) if record.actual.as_ref() != Some(actual) => {
                self.note_mined(record, Some(actual)).await;
            }
            Ok(Finality::Gone) if record.state == OperationState::Mined => {
                self.note_mined(record, None).await;
            }
            Ok(Finality::Pending | Finality::Gone) => return Look::Over,
            Err(_) => {}
        }
        Look::Again
    }

    async fn note_mined(self: &Arc<Self>, record: &OperationRecord, actual: Option<&Actual>) {
        match self.ports().ledger.mined(record.id, actual).await {
            Ok(record) if actual.is_none() => self.follow_at_once(&record),
            Ok(record) => self.follow(&record),
            Err(error) => {
                tracing::warn!(operation = %record.id, %error, "a receipt is not noted yet");
            }
        }
    }

    /// Settles what is known. The books refuse that where another gateway has raised the fee, or a new limit was charged
    /// with it: then it is reckoned again from what they have. Whatever else they refuse, they refuse again.
    async fn settle(self: &Arc<Self>, record: &OperationRecord, actual: &Actual) {
        let ledger = &self.ports().ledger;
        let Ok(_turn) = self.settling().acquire().await else { return };
        let mut settled = ledger.settle(&reckoned(record, actual)).await;
        if let Err(LedgerError::Refused(_)) = settled {
            let Ok(Some(record)) = ledger.operation(record.id).await else { return };
            settled = ledger.settle(&reckoned(&record, actual)).await;
        }
        match settled {
            Ok(settled) => {
                let over = actual.fee_wei > settled.fee_wei_max().unwrap_or(U256::MAX);
                self.unfollow(&settled);
                self.note_block(settled.chain(), actual);
                self.hub().wake(settled.id);
                let update = TraceUpdate {
                    status: Some(TraceStatus::Executed),
                    tx_hash: settled.hash(),
                    ..TraceUpdate::default()
                };
                self.note(&settled, &update).await;
                tracing::info!(operation = %settled.id, state = settled.state.name(), hash = settled.hash().map(tracing::field::display), "settled");
                if over {
                    self.raise_over(&settled).await;
                }
            }
            Err(error) => tracing::warn!(operation = %record.id, %error, "not settled yet"),
        }
    }

    async fn raise_over(&self, record: &OperationRecord) {
        let title = "the chain charged more than was reserved";
        self.raise(Severity::High, "actual_above_reserved", title, Some(record)).await;
    }

    pub(crate) fn not_stuck_before(&self, record: &OperationRecord, at: Millis) {
        self.change(record, |tracked| tracked.unstick_at = at);
    }

    /// Notes that a node spoke of another transaction at the nonce; whether one had done so before.
    pub(crate) fn was_contested(&self, record: &OperationRecord) -> bool {
        let before = self.change(record, |tracked| std::mem::replace(&mut tracked.contested, true));
        before.unwrap_or(false)
    }

    async fn resend(self: &Arc<Self>, chain: &ChainSetup, tracked: &Tracked) {
        let record = &tracked.record;
        let newest =
            record.attempts.iter().rev().find_map(|a| Some((a.number, a.raw.clone()?, a.hash?)));
        let Some((attempt, raw, hash)) = newest else { return };
        if is_unseen(record) {
            return;
        }
        let said = chain.port.broadcast(&raw, hash).await;
        self.look_at_words(record, &said).await;
        let outcome = outcome_of(said);
        match self.ports().ledger.sent(record.id, attempt, &outcome).await {
            Ok(record) => {
                self.follow(&record);
                self.send_later(&record, tracked.resend_after);
            }
            Err(error) => {
                tracing::warn!(operation = %record.id, %error, "a send is not noted");
                // also over a store that takes nothing, the node is not asked at every look
                self.send_later(record, tracked.resend_after);
            }
        }
    }

    fn send_later(&self, record: &OperationRecord, waited: Millis) {
        let after = Millis(waited.0.saturating_mul(2).min(RESEND_MAX.0));
        let now = self.ports().clock.monotonic();
        self.change(record, |tracked| {
            tracked.resend_after = after;
            tracked.resend_at = Millis(now.0.saturating_add(after.0));
        });
    }
}

/// The receipt of whichever attempt has one.
pub(crate) async fn receipt(
    chain: &ChainSetup,
    record: &OperationRecord,
) -> Result<Option<Actual>, ChainError> {
    for attempt in &record.attempts {
        let Some(hash) = attempt.hash else { continue };
        let plan = &attempt.transaction.plan;
        let (from, price_max) = (record.intent.address, plan.fee.ceiling());
        let expected = Expected { hash, from, gas: plan.gas, price_max };
        if let Some(actual) = chain.port.receipt_of(&expected).await? {
            return Ok(Some(actual));
        }
    }
    Ok(None)
}

pub(crate) fn lane_of(record: &OperationRecord) -> LaneId {
    (record.chain(), record.wallet().clone())
}

/// What an operation comes to.
fn reckoned(record: &OperationRecord, actual: &Actual) -> Settle {
    Settle {
        operation: record.id,
        actual: actual.clone(),
        attempts: record.attempts.len(),
        charges: record.charges.clone(),
        kept: record.charges.iter().map(|charge| kept(charge, record, actual)).collect(),
    }
}

/// The value as reserved unless it reverted or was cancelled, and the fee's actual share, rounded up. A count stays
/// unless it was cancelled: the transaction happened.
pub(crate) fn kept(charge: &Charge, record: &OperationRecord, actual: &Actual) -> u64 {
    let cancelled = record.purpose_of(actual.hash) == Some(Purpose::Cancel);
    match charge.unit {
        Unit::Count if cancelled => 0,
        Unit::Count => charge.value.saturating_add(charge.fee),
        Unit::Usd => {
            let value = if actual.succeeded && !cancelled { charge.value } else { 0 };
            value.saturating_add(share(charge.fee, actual.fee_wei, record.fee_wei_max()))
        }
    }
}

/// The most that its payload, or any of its attempts, can take out of the balance.
pub(crate) fn outflow(record: &OperationRecord) -> U256 {
    let plans = record.attempts.iter().map(|attempt| &attempt.transaction.plan);
    let most = plans.chain(record.plan()).map(|plan| outflow_max(plan, record.intent.data_fee_max));
    most.max().unwrap_or(U256::MAX)
}

/// Whether a node has the newest bytes, as far as it said.
fn is_accepted(record: &OperationRecord) -> bool {
    let newest = record.attempts.last().and_then(|attempt| attempt.outcome.as_deref());
    record.state == OperationState::Mined || newest == Some(SentOutcome::ACCEPTED)
}

/// Signed bytes that only the agent has: whether it will send them is its own matter.
pub(crate) fn is_unseen(record: &OperationRecord) -> bool {
    record.intent.method == Method::SignTransaction && record.state == OperationState::Signed
}

fn share(reserved: u64, fee_wei: U256, fee_wei_max: Option<U256>) -> u64 {
    let Some(most) = fee_wei_max.filter(|most| !most.is_zero()) else { return reserved };
    let exact = U256::from(reserved).checked_mul(fee_wei).map(|product| product.div_ceil(most));
    exact.and_then(|share| u64::try_from(share).ok()).unwrap_or(reserved)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fees_share_is_rounded_up_and_follows_the_actual_cost() {
        let cases = [(100, 50, 100, 50), (100, 1, 3, 34), (100, 0, 100, 0), (100, 200, 100, 200)];
        for (reserved, actual, most, expect) in cases {
            let got = share(reserved, U256::from(actual), Some(U256::from(most)));
            assert_eq!(got, expect);
        }
    }
}
