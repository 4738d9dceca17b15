//! Ledgers that are wrong on purpose, each in one known way: a simulation that does not find them proves nothing.

mod after;
mod before;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
};

use alloy_primitives::{Address, Bytes};
use async_trait::async_trait;
use countersign_core::{
    charge::{Charge, CounterId, Reading},
    fact::Freeze,
    freeze::{FreezeOrder, StandingFreeze},
    identity::{AgentId, ChainId, OperationId, WalletId},
    operation::{Actual, Delivery, OperationRecord, OperationState},
    pact::{Pact, PactStanding},
    time::{Millis, Timestamp},
};
use countersign_engine::{
    ledger_functions,
    port::{
        Ledger,
        journal::Page,
        ledger::{
            Adopt, AdoptAnswer, Approve, ApproveAnswer, Bump, BumpAnswer, Census, Commit,
            CommitAnswer, DenyAnswer, Found, InitAnswer, LedgerError, LedgerStatus, MessageEnd,
            NewOperation, OperationQuery, PactAnswer, PactWord, Redeem, RedeemAnswer, Reject,
            RejectAnswer, ReleaseProof, Repeat, Reserve, ReserveAnswer, SentOutcome, Settle,
            SignedBytes, Split, SplitAnswer, Survey, Surveyed,
        },
    },
};

use super::{ModelLedger, books::Books};

macro_rules! flaws {
    ($($(#[doc = $doc:literal])+ $name:ident = $slug:literal;)*) => {
        /// What is wrong, and nothing else.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Flaw {
            $($(#[doc = $doc])+ $name,)*
        }

        impl Flaw {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The name on the command line and in the table.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $slug,)* }
            }

            /// What it does wrong.
            #[must_use]
            pub fn what(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),+).trim(),)* }
            }
        }
    };
}

flaws! {
    /// a signed operation is released when its time is over
    ReleasedOnATimer = "released-on-a-timer";
    /// a send without an answer makes the operation `ALLOWED` again, to be signed anew
    SignedAgain = "signed-again";
    /// limits are checked against what the counters showed a moment ago
    CheckedThenCounted = "checked-then-counted";
    /// what is settled counts in the calendar window of the settlement
    TodaysWindow = "todays-window";
    /// the nonce of bytes that a node did not take is given to the next operation
    NonceRecycled = "nonce-recycled";
    /// the next nonce is read from the chain while entries are open
    NonceFromTheChain = "nonce-from-the-chain";
    /// only the first charge of a reservation is charged
    FirstChargeOnly = "first-charge-only";
    /// what is settled stays committed too
    SettledTwice = "settled-twice";
    /// a reverted transaction releases its fee with its value
    RevertIsFree = "revert-is-free";
    /// commit does not look at the deadline
    DeadlineIgnored = "deadline-ignored";
    /// commit and bump do not look at the seal
    SealIgnored = "seal-ignored";
    /// commit and bump do not look at freezes
    FreezeIgnored = "freeze-ignored";
    /// a vote counts whatever digest it names
    DigestIgnored = "digest-ignored";
    /// a redemption charges without looking at the limits
    RedeemedUnchecked = "redeemed-unchecked";
    /// a redemption stands in its own way
    InItsOwnWay = "in-its-own-way";
    /// a released operation gives its idempotency key back
    KeyFreedByRelease = "key-freed-by-release";
    /// an idempotency key is forgotten after an hour
    KeyForgotten = "key-forgotten";
    /// a key takes another body
    KeyTakesAnyBody = "key-takes-any-body";
    /// a repetition does not find what is owed to it
    OwedForgotten = "owed-forgotten";
    /// a second commit of the same operation binds a second nonce
    SecondNonce = "second-nonce";
    /// stored bytes are overwritten by others
    BytesOverwritten = "bytes-overwritten";
    /// after a reorg the state goes back, the money does not
    UnsettledByName = "unsettled-by-name";
    /// a bump charges nothing more
    BumpUncharged = "bump-uncharged";
    /// a bump does not look at the limits
    BumpUnchecked = "bump-unchecked";
    /// a bump binds another value
    BumpChangesValue = "bump-changes-value";
    /// a bump forgets the bytes that are out already
    BumpForgetsHash = "bump-forgets-hash";
    /// a rolling window lets a bucket go by its start
    BucketLeavesByItsStart = "bucket-leaves-by-its-start";
    /// the store's clock follows the machine's back
    ClockStepsBack = "clock-steps-back";
    /// a receipt that is gone counts as proof that nothing will happen
    ReleasedWithoutProof = "released-without-proof";
    /// whoever starts does not see what is `PREPARED`
    PreparedForgotten = "prepared-forgotten";
    /// parked operations do not survive the start of a gateway
    ParkedLost = "parked-lost";
    /// what has expired can be approved
    ExpiredApprovable = "expired-approvable";
    /// a store that has lost history is believed
    HistoryBelieved = "history-believed";
    /// every receipt counts as final
    EverythingIsFinal = "everything-is-final";
    /// the words `nonce too low` are taken for a conflict
    ConflictFromWords = "conflict-from-words";
    /// the node's refusal releases what is signed
    ReleasedOnRefusal = "released-on-refusal";
    /// a result counts as collected before it is handed over
    CollectedTooEarly = "collected-too-early";
    /// fees are not charged
    FeesUncharged = "fees-uncharged";
    /// a gateway that was thought dead binds what another has judged anew
    FenceIgnored = "fence-ignored";
    /// votes for what was asked before count for what is asked now
    VotesKept = "votes-kept";
    /// a cancel that is mined costs nothing
    CancelIsFree = "cancel-is-free";
    /// a limit with another name starts from nothing
    NewLimitForgets = "new-limit-forgets";
    /// bytes that the signer would not make again are sent before they are stored
    SaidDetermined = "said-determined";
}

/// The model with one flaw.
#[derive(Debug)]
pub struct FlawedLedger {
    model: Arc<ModelLedger>,
    flaw: Flaw,
    /// The books as they were a moment ago, and when that was.
    stale: Mutex<Option<(Timestamp, Books)>>,
}

impl FlawedLedger {
    /// The model with this flaw from now on.
    #[must_use]
    pub fn new(model: Arc<ModelLedger>, flaw: Flaw) -> Self {
        super::lock(&model.books).flaw = Some(flaw);
        Self { model, flaw, stale: Mutex::default() }
    }

    fn is(&self, flaw: Flaw) -> bool {
        self.flaw == flaw
    }

    /// Does a step on the model's books.
    fn with<T>(&self, step: impl FnOnce(&mut Books) -> T) -> Result<T, LedgerError> {
        self.model.with(|books| Ok(step(books)))
    }
}

/// Functions that a flaw may change, before the model does its part, after it, or both.
macro_rules! flawed {
    ($($name:ident($($arg:ident: $type:ty),*) -> $answer:ty;)*) => {
        #[async_trait]
        impl Ledger for FlawedLedger {
            $(async fn $name(&self, $($arg: $type),*) -> Result<$answer, LedgerError> {
                self.$name($($arg),*).await
            })*
        }
    };
}

/// Functions that the model does as they are.
macro_rules! as_they_are {
    ($($name:ident($($arg:ident: $type:ty),*) -> $answer:ty;)*) => {
        impl FlawedLedger {
            $(async fn $name(&self, $($arg: $type),*) -> Result<$answer, LedgerError> {
                self.model.$name($($arg),*).await
            })*
        }
    };
}

ledger_functions! { flawed }

as_they_are! {
    now() -> Timestamp;
    deny(denied: &NewOperation) -> DenyAnswer;
    split(split: &Split) -> SplitAnswer;
    reject(reject: &Reject) -> RejectAnswer;
    release_committed(operation: OperationId, proof: &ReleaseProof) -> OperationRecord;
    signed_message(operation: OperationId, signature: &Bytes) -> OperationRecord;
    end_message(operation: OperationId, end: MessageEnd) -> OperationRecord;
    deliver(operation: OperationId, from: Delivery, to: Delivery) -> bool;
    operation(id: OperationId) -> Option<OperationRecord>;
    parked(agent: &AgentId, most: u32) -> u32;
    census(states: &[OperationState]) -> BTreeMap<OperationState, Census>;
    settled_in(chain: ChainId, block: u64) -> Vec<OperationRecord>;
    adopted() -> BTreeSet<CounterId>;
    note_adopted(limits: &BTreeSet<CounterId>) -> ();
    holder(chain: ChainId, wallet: &WalletId, nonce: u64) -> Option<OperationId>;
    next_nonce(chain: ChainId, wallet: &WalletId) -> Option<u64>;
    status(charges: &[Charge], without: Option<OperationId>) -> Vec<Reading>;
    seen(chain: ChainId, wallet: &WalletId, addresses: &[Address]) -> BTreeSet<Address>;
    freeze(order: &FreezeOrder) -> ();
    unfreeze(freeze: &Freeze) -> bool;
    freezes() -> Vec<Freeze>;
    standing_freezes() -> Vec<StandingFreeze>;
    say(word: &PactWord) -> PactAnswer;
    pact(pact: &Pact) -> Option<PactStanding>;
    seal(reason: &str) -> ();
    unseal() -> ();
    init() -> InitAnswer;
    audit() -> Option<String>;
    describe() -> LedgerStatus;
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
