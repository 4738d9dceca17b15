//! The money protocol (LEDGER.md) as a port. The model, the embedded store and the Redis store keep
//! these promises under one suite of tests.
//!
//! Every function is idempotent: the same call twice gives the same answer. Each is one atomic step:
//! all checks first, then all writes. Time is the store's own clock and never steps back.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use alloy_primitives::{Address, Bytes};
use async_trait::async_trait;
use countersign_core::{
    approval::{Ask, Gate},
    charge::{Charge, CounterId, Reading},
    fact::Freeze,
    freeze::{FreezeOrder, StandingFreeze},
    identity::{
        AgentId, ApprovalDigest, ChainId, Fingerprint, KeyHash, OperationId, TraceHash, WalletId,
    },
    intent::Intent,
    operation::{Actual, Delivery, Money, OperationRecord, OperationState},
    pact::{Pact, PactStanding},
    time::{Millis, Timestamp},
};

mod pact;
mod people;
mod sending;
mod split;
mod status;

use super::journal::Page;

pub use self::{
    pact::{PactAnswer, PactWord},
    people::{Approve, ApproveAnswer, PasskeyCount, Reject, RejectAnswer},
    sending::{
        Bump, BumpAnswer, Commit, CommitAnswer, MessageEnd, ReleaseProof, SentOutcome, Settle,
        SignedBytes,
    },
    split::{Part, Split, SplitAnswer},
    status::{CLOCKS_APART_MAX, Clocks, InitAnswer, LedgerStatus},
};
pub use countersign_core::charge::Overrun;

/// How long a finished result waits for its agent to collect it.
pub const COLLECT_WITHIN: Millis = Millis(24 * 3_600_000);

/// How many blocks of settled operations can be asked for: no reorg that a chain survives is deeper.
pub const SETTLED_KEPT: u64 = 256;

/// How long the nonce that a client fixed on an operation that parks is kept from others.
pub const NONCE_HELD_FOR: Millis = Millis(60_000);

/// The books: counters, operations, nonces, freezes, pacts.
#[async_trait]
pub trait Ledger: fmt::Debug + Send + Sync {
    /// The store's clock.
    async fn now(&self) -> Result<Timestamp, LedgerError>;

    /// Says that a gateway lives and will for `ttl`. An operation whose gateway is dead counts as
    /// `Owed` wherever it says `Waiting`.
    async fn present(&self, gateway: &str, ttl: Millis) -> Result<(), LedgerError>;

    /// Looks for the operation that a request repeats; see [`Repeat`].
    async fn find(&self, repeat: &Repeat) -> Result<Found, LedgerError>;

    /// What a judgement asks of the books before it begins, as of one moment: [`Ledger::find`], [`Ledger::now`],
    /// [`Ledger::seen`], [`Ledger::freezes`] and [`Ledger::pact`] in one step.
    async fn survey(&self, survey: &Survey) -> Result<Surveyed, LedgerError>;

    /// Records a denied operation (state `DENIED`, nothing charged), unless the request repeats one.
    async fn deny(&self, denied: &NewOperation) -> Result<DenyAnswer, LedgerError>;

    /// Re-checks every limit and charges all of them, or writes nothing; see [`Reserve`].
    async fn reserve(&self, reserve: &Reserve) -> Result<ReserveAnswer, LedgerError>;

    /// Decides an `APPROVED` operation's charges anew, or those of an `ALLOWED` one that the asking gateway took in
    /// itself or whose gateway is dead: takes the old ones out, checks the new ones,
    /// puts them in, and moves to `ALLOWED` (or back to `PARKED` with new gates, digest and expiry and
    /// no votes). Where a charge does not fit, nothing is written.
    async fn redeem(&self, redeem: &Redeem) -> Result<RedeemAnswer, LedgerError>;

    /// Splits a bundle's operation into one for each of its calls; see [`Split`]. No counter changes.
    async fn split(&self, split: &Split) -> Result<SplitAnswer, LedgerError>;

    /// Records one vote, if the digest is the parked one, the operation has not expired, and nobody
    /// voted since the caller looked. With `completes` it moves `PARKED` to `APPROVED`.
    async fn approve(&self, approve: &Approve) -> Result<ApproveAnswer, LedgerError>;

    /// Releases a `PARKED`, `APPROVED` or `ALLOWED` operation and moves it to `REJECTED`. Never one that
    /// is committed. A void one is as if it had never been: its idempotency key is free for another operation,
    /// and no repetition finds it (its delivery becomes `Collected`).
    async fn reject(&self, reject: &Reject) -> Result<RejectAnswer, LedgerError>;

    /// Releases up to `max` `PARKED` or `APPROVED` operations whose time is over (`expires_at` ≤ now) and moves
    /// them to `EXPIRED`. Returns the ones that it moved.
    async fn expire(&self, max: u32) -> Result<Vec<OperationRecord>, LedgerError>;

    /// Binds nonce and payload to an `ALLOWED` operation and moves its charges from reserved to
    /// committed. Checks fence, deadline, freeze, seal and the lane inside; see [`Commit`]. A message has no nonce: no
    /// lane is looked at for it.
    async fn commit(&self, commit: &Commit) -> Result<CommitAnswer, LedgerError>;

    /// Binds a further transaction to the nonce of a committed operation, and charges what its fee is more; see
    /// [`Bump`].
    async fn bump(&self, bump: &Bump) -> Result<BumpAnswer, LedgerError>;

    /// Stores raw bytes and hash of an attempt; `PREPARED` becomes `SIGNED`. Where a node was offered them already, what
    /// it said is recorded in the same step, as [`Ledger::sent`] does.
    async fn signed(
        &self,
        operation: OperationId,
        attempt: u32,
        bytes: &SignedBytes,
        said: Option<&SentOutcome>,
    ) -> Result<OperationRecord, LedgerError>;

    /// Stores the signature of a message; `PREPARED` becomes `SIGNED`. `Refused` for a transaction.
    async fn signed_message(
        &self,
        operation: OperationId,
        signature: &Bytes,
    ) -> Result<OperationRecord, LedgerError>;

    /// Ends the life of a signed message: its charges are settled in full, in the buckets of now, and it is
    /// `EXECUTED`; or they are released, and it is `CANCELLED`. `Refused` for a transaction, and for the other end
    /// than the one that it has.
    async fn end_message(
        &self,
        operation: OperationId,
        end: MessageEnd,
    ) -> Result<OperationRecord, LedgerError>;

    /// Records what a node said to an attempt; `SIGNED`, `BROADCAST` and `UNKNOWN` become what it says, `CANCELLING`
    /// stays. In other states it is a late word, and nothing is written.
    async fn sent(
        &self,
        operation: OperationId,
        attempt: u32,
        outcome: &SentOutcome,
    ) -> Result<OperationRecord, LedgerError>;

    /// Records a receipt that is not final yet (`MINED`), or with `None` that it is gone (`BROADCAST`, or `CANCELLING`
    /// where a cancel was bound).
    async fn mined(
        &self,
        operation: OperationId,
        actual: Option<&Actual>,
    ) -> Result<OperationRecord, LedgerError>;

    /// Takes the charges out of committed and puts what is kept of each into settled: a rolling
    /// window's bucket of now, a calendar window's own period. Moves to `EXECUTED` or `REVERTED`, or to `CANCELLED`
    /// where the receipt is a cancel's. What no counter can hold is `Refused`, and so is what was reckoned from other
    /// attempts or charges than the operation has.
    async fn settle(&self, settle: &Settle) -> Result<OperationRecord, LedgerError>;

    /// Takes a settled operation back to committed and `BROADCAST` (`CANCELLING` where a cancel was bound), after a reorg.
    async fn unsettle(&self, operation: OperationId) -> Result<OperationRecord, LedgerError>;

    /// Releases a committed operation, with proof that it can never take effect, and moves it to `CONFLICT`.
    async fn release_committed(
        &self,
        operation: OperationId,
        proof: &ReleaseProof,
    ) -> Result<OperationRecord, LedgerError>;

    /// Changes `delivery` from one value to another; `false` if it was not `from`. `Waiting` of a dead
    /// gateway counts as `Owed`; from `Waiting` to `Owed` it changes all the same, because a gateway that looked dead may
    /// come back.
    async fn deliver(
        &self,
        operation: OperationId,
        from: Delivery,
        to: Delivery,
    ) -> Result<bool, LedgerError>;

    /// One operation.
    async fn operation(&self, id: OperationId) -> Result<Option<OperationRecord>, LedgerError>;

    /// Operations, newest first.
    async fn operations(
        &self,
        query: &OperationQuery,
    ) -> Result<Page<OperationRecord>, LedgerError>;

    /// Up to `max` operations in these states that have not changed since `idle_since`; oldest change first. The
    /// states are among those that need the gateway's work: `APPROVED`, `ALLOWED`, `PREPARED`, `SIGNED`,
    /// `BROADCAST`, `UNKNOWN`, `MINED`, `CANCELLING`. A message that is signed needs no more of it.
    async fn open(
        &self,
        states: &[OperationState],
        idle_since: Timestamp,
        max: u32,
    ) -> Result<Vec<OperationRecord>, LedgerError>;

    /// How many operations are in each of these states, whether or not there are any, and since when the oldest of
    /// them exists. Reads no record.
    async fn census(
        &self,
        states: &[OperationState],
    ) -> Result<BTreeMap<OperationState, Census>, LedgerError>;

    /// The settled operations whose receipt lies in this block of this chain, for a look after a reorg; in the order
    /// of their ids. Blocks that are more than [`SETTLED_KEPT`] below the highest in which anything was ever settled
    /// are forgotten.
    async fn settled_in(
        &self,
        chain: ChainId,
        block: u64,
    ) -> Result<Vec<OperationRecord>, LedgerError>;

    /// The operation that holds a nonce.
    async fn holder(
        &self,
        chain: ChainId,
        wallet: &WalletId,
        nonce: u64,
    ) -> Result<Option<OperationId>, LedgerError>;

    /// One more than the highest nonce ever bound for this wallet; `None` if none was.
    async fn next_nonce(
        &self,
        chain: ChainId,
        wallet: &WalletId,
    ) -> Result<Option<u64>, LedgerError>;

    /// What the counters of these charges show now; `frees_at` for the charge's own amount. `without` takes out
    /// what that operation itself has reserved.
    async fn status(
        &self,
        charges: &[Charge],
        without: Option<OperationId>,
    ) -> Result<Vec<Reading>, LedgerError>;

    /// The limits that count everything: what was spent before they came, and all since; see [`Ledger::adopt`].
    async fn adopted(&self) -> Result<BTreeSet<CounterId>, LedgerError>;

    /// Notes the limits that count everything, in the place of those that were noted before: what is spent while a
    /// limit is not in force is not charged to it.
    async fn note_adopted(&self, limits: &BTreeSet<CounterId>) -> Result<(), LedgerError>;

    /// Adds charges to an operation that is older than the limits that make them, without a check; see [`Adopt`].
    async fn adopt(&self, adopt: &Adopt) -> Result<AdoptAnswer, LedgerError>;

    /// Which of these addresses the wallet has committed a payment or approval to before.
    async fn seen(
        &self,
        chain: ChainId,
        wallet: &WalletId,
        addresses: &[Address],
    ) -> Result<BTreeSet<Address>, LedgerError>;

    /// Puts a freeze in force: no commit under it after this returns. Where it is in force already, the words of who
    /// says why last stand; an order that says nothing new changes nothing.
    async fn freeze(&self, order: &FreezeOrder) -> Result<(), LedgerError>;

    /// Lifts a freeze; `false` if it was not in force.
    async fn unfreeze(&self, freeze: &Freeze) -> Result<bool, LedgerError>;

    /// How many of an agent's operations are `PARKED`, counted up to `most`.
    async fn parked(&self, agent: &AgentId, most: u32) -> Result<u32, LedgerError>;

    /// Freezes in force.
    async fn freezes(&self) -> Result<Vec<Freeze>, LedgerError>;

    /// Freezes in force, in the same order, with who put them there, when and why: for people. No decision knows of it.
    async fn standing_freezes(&self) -> Result<Vec<StandingFreeze>, LedgerError>;

    /// Records a person's word on a pact: yes or no where nobody has spoken, an end where it has none yet. No commit under
    /// a pact that is rejected or revoked after this returns.
    async fn say(&self, word: &PactWord) -> Result<PactAnswer, LedgerError>;

    /// What people made of a pact; `None` where nobody has spoken.
    async fn pact(&self, pact: &Pact) -> Result<Option<PactStanding>, LedgerError>;

    /// Stops every commit until [`Ledger::unseal`]; the reason is shown to operators.
    async fn seal(&self, reason: &str) -> Result<(), LedgerError>;

    /// Lifts the seal, and accepts the log as it stands: its epoch goes up, so that every gateway takes it for the
    /// history from now on.
    async fn unseal(&self) -> Result<(), LedgerError>;

    /// Makes a ledger in a store that is empty although this gateway knew one: with an id of its own, sealed from
    /// birth.
    async fn init(&self) -> Result<InitAnswer, LedgerError>;

    /// Looks at samples of the books for what no function of theirs would have left. What is found seals the ledger.
    /// Anchors the heads of the journals in the log.
    async fn audit(&self) -> Result<Option<String>, LedgerError>;

    /// What the store is and promises. Answers also for a ledger that is lost.
    async fn describe(&self) -> Result<LedgerStatus, LedgerError>;
}

/// What [`Ledger::census`] counted in one state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Census {
    /// How many.
    pub count: u64,
    /// When the oldest of them was made.
    pub oldest: Option<Timestamp>,
}

/// What makes a request a repetition (CONTRACT §3, Repeating).
///
/// With a key: the operation of that key, for ever; `KeyConflict` if its fingerprint differs.
///
/// Without: among the operations of this fingerprint that have no key and are not of the same batch,
/// first the oldest that is `Owed` and not finished for more than [`COLLECT_WITHIN`]; else, if `window`
/// is not zero, the newest that is not `DENIED`, `REJECTED` or `EXPIRED` and is unfinished and `Waiting`, or is
/// `Waiting` or `Collected` and was finished at most `window` ago.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repeat {
    /// What is asked.
    pub fingerprint: Fingerprint,
    /// The hash of the agent's idempotency key.
    pub key: Option<KeyHash>,
    /// The agent's duplicate window; zero turns that rule off.
    pub window: Millis,
    /// The batch that the request came in.
    pub batch: Option<u64>,
}

/// What [`Ledger::find`] found.
#[derive(Debug, Clone, PartialEq)]
pub enum Found {
    /// The request is new.
    Nothing,
    /// It repeats this one.
    Same(Box<OperationRecord>),
    /// Its key belongs to this one, which has another payload.
    KeyConflict(Box<OperationRecord>),
}

/// What [`Ledger::survey`] is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survey {
    /// What the request may repeat.
    pub repeat: Repeat,
    /// Its chain.
    pub chain: ChainId,
    /// Its wallet.
    pub wallet: WalletId,
    /// Who gets value or authority.
    pub addresses: Vec<Address>,
    /// Under which agreement.
    pub pact: Pact,
}

/// What [`Ledger::survey`] found.
#[derive(Debug, Clone, PartialEq)]
pub struct Surveyed {
    /// Whether the request repeats another.
    pub found: Found,
    /// The store's clock.
    pub now: Timestamp,
    /// Which of the addresses the wallet has committed a payment or approval to before.
    pub seen: BTreeSet<Address>,
    /// Freezes in force.
    pub freezes: Vec<Freeze>,
    /// What people made of the pact.
    pub pact: Option<PactStanding>,
}

/// What is common to every new operation.
#[derive(Debug, Clone, PartialEq)]
pub struct NewOperation {
    /// A fresh random id.
    pub id: OperationId,
    /// The gateway that took it in.
    pub gateway: String,
    /// The intent as it was judged.
    pub intent: Intent,
    /// What it may repeat.
    pub repeat: Repeat,
    /// The trace of its decision.
    pub trace: TraceHash,
    /// The code that decided; empty when allowed.
    pub code: String,
    /// One sentence.
    pub reason: String,
}

/// What [`Ledger::deny`] did.
#[derive(Debug, Clone, PartialEq)]
pub enum DenyAnswer {
    /// It is recorded, delivery `Waiting`.
    Denied(Box<OperationRecord>),
    /// The request repeats another operation; nothing was written.
    Same(Box<OperationRecord>),
    /// The key belongs to another payload; nothing was written.
    KeyConflict(Box<OperationRecord>),
}

/// A reservation to be made. Checks, in this order: the same operation id again (same answer), then
/// [`Repeat`], then that every calendar window contains the store's now, then the charges:
/// `used + amount ≤ limit` for each `Over::Deny`, and for each `Over::Park` that is not waived unless the
/// disposition is `Park`. Several charges on one counter in one reservation add up. Then, where it parks, how many of
/// the agent's operations are `PARKED`. Then all are charged.
#[derive(Debug, Clone, PartialEq)]
pub struct Reserve {
    /// Who and what.
    pub operation: NewOperation,
    /// What it takes out.
    pub charges: Vec<Charge>,
    /// Go on, or wait for people.
    pub disposition: Disposition,
    /// The most operations of the agent that may be `PARKED`; asked only where this one parks. What parks again at its
    /// redemption was among them, and is not refused.
    pub parked_max: u32,
    /// How its result stands to its caller from now on: `Waiting` for one that is held until it is there, `Owed` for one
    /// that is answered at once.
    pub delivery: Delivery,
}

/// Where a reservation leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Disposition {
    /// `ALLOWED`, to be committed before this instant (the record's `expires_at`).
    Allow(Timestamp),
    /// `PARKED`
    Park(Parking),
}

impl Disposition {
    /// Whether people are asked first.
    #[must_use]
    pub const fn parks(&self) -> bool {
        matches!(self, Self::Park(_))
    }
}

/// What people are asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parking {
    /// The gates.
    pub gates: Vec<Gate>,
    /// What asks at them.
    pub asks: Vec<Ask>,
    /// What they must name.
    pub digest: ApprovalDigest,
    /// When the question lapses.
    pub expires_at: Timestamp,
}

/// What [`Ledger::reserve`] did.
#[derive(Debug, Clone, PartialEq)]
pub enum ReserveAnswer {
    /// Charged.
    Reserved(Box<OperationRecord>),
    /// The request repeats another operation; nothing was written.
    Same(Box<OperationRecord>),
    /// The key belongs to another payload; nothing was written.
    KeyConflict(Box<OperationRecord>),
    /// These charges do not fit; nothing was written.
    Over(Vec<Overrun>),
    /// `parked_max` of the agent's operations wait for people; nothing was written.
    Crowded,
    /// A calendar window has ended since the decision; decide again. Nothing was written.
    PeriodMoved,
}

/// An approved operation, decided again.
#[derive(Debug, Clone, PartialEq)]
pub struct Redeem {
    /// Which.
    pub operation: OperationId,
    /// The intent as it was judged now (fees may differ from what was parked).
    pub intent: Intent,
    /// What it takes out now.
    pub charges: Vec<Charge>,
    /// Go on, or ask people again.
    pub disposition: Disposition,
    /// The trace of the new decision, or the old one.
    pub trace: TraceHash,
    /// The gateway that asks.
    pub gateway: String,
}

/// What [`Ledger::redeem`] did.
#[derive(Debug, Clone, PartialEq)]
pub enum RedeemAnswer {
    /// `ALLOWED` now, or `PARKED` again.
    Redeemed(Box<OperationRecord>),
    /// It is in another state, in the hands of another living gateway, or past its `expires_at`; or it stood for a whole
    /// bundle when it was judged, and is one of its calls now. Nothing was written.
    Elsewhere(Box<OperationRecord>),
    /// These charges do not fit; nothing was written.
    Over(Vec<Overrun>),
    /// A calendar window has ended since the decision; decide again. Nothing was written.
    PeriodMoved,
}

/// Charges of limits that came after an operation was decided: what it spends counts under them too.
///
/// The operation gets each charge on whose counter and period it had none before, behind those that it has; a bundle
/// has one for each of its calls, and gets them all. Its amount goes where the operation's money is; `kept` of it goes where the operation's settlement is, in the bucket of
/// its `settled_at`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adopt {
    /// Which operation.
    pub operation: OperationId,
    /// Where its money was when the caller looked; elsewhere now answers [`AdoptAnswer::Elsewhere`].
    pub money: Money,
    /// How many attempts it had then, and its `fence`: others now answer that too, because its fee may be another.
    pub attempts: usize,
    /// See `attempts`.
    pub fence: u32,
    /// What the limits count of it.
    pub charges: Vec<Charge>,
    /// What each charge came to, where it is settled; else empty.
    pub kept: Vec<u64>,
}

/// What [`Ledger::adopt`] did.
#[derive(Debug, Clone, PartialEq)]
pub enum AdoptAnswer {
    /// It has the charges. The same call again answers this too.
    Adopted(Box<OperationRecord>),
    /// Its money is elsewhere now, or its fee another, as the record shows; nothing was written.
    Elsewhere(Box<OperationRecord>),
}

/// Which operations.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OperationQuery {
    /// Only in these states; empty means any.
    pub states: Vec<OperationState>,
    /// Only of this agent.
    pub agent: Option<AgentId>,
    /// At most so many; stores never return more than 1 000.
    pub limit: u32,
    /// Where the last page ended: the id of an operation that the list went by, written out.
    pub cursor: Option<String>,
}

/// The ledger cannot be used. Refusals are answers, not errors.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// The call did not reach the store: nothing was written.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// The call may have reached the store; ask again with the same arguments.
    #[error("the store did not answer: {0}")]
    Ambiguous(String),
    /// There is no such operation, or it is in a state from which the step is not defined.
    #[error("the ledger refuses the step: {0}")]
    Refused(String),
    /// The store holds something that cannot be read. Nothing is guessed from it.
    #[error("the store is damaged: {0}")]
    Damaged(String),
    /// The store does not hold the ledger that this gateway knew. Nothing was written, and nothing in it is believed.
    #[error("the ledger is lost: {0}")]
    Lost(String),
    /// The store's clock and this gateway's are too far apart. Nothing was written.
    #[error("the clocks disagree: {0}")]
    Clock(String),
}
