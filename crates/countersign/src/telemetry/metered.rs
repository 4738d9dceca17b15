//! The store's functions, each measured and recorded as a step.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use alloy_primitives::{Address, Bytes};
use async_trait::async_trait;
use countersign_core::{
    charge::{Charge, CounterId, Reading},
    fact::Freeze,
    identity::{ChainId, OperationId, PolicyId, TraceHash, WalletId},
    incident::{Incident, IncidentMove, Occurrence, Taken},
    operation::{Actual, Delivery, OperationRecord, OperationState},
    pact::{Pact, PactStanding},
    time::{Millis, Timestamp},
    trace::{TraceRecord, TraceUpdate},
};
use countersign_engine::port::{
    Chronicle, Journal, Ledger, Telemetry,
    chronicle::{Line, Strike, Struck, Turn},
    journal::{
        Chain, Chained, IncidentAnswer, IncidentQuery, JournalError, NewTrace, Page, TraceQuery,
    },
    ledger::{
        Adopt, AdoptAnswer, Approve, ApproveAnswer, Bump, BumpAnswer, Census, Commit, CommitAnswer,
        DenyAnswer, Found, InitAnswer, LedgerError, LedgerStatus, MessageEnd, NewOperation,
        OperationQuery, PactAnswer, PactWord, Redeem, RedeemAnswer, Reject, RejectAnswer,
        ReleaseProof, Repeat, Reserve, ReserveAnswer, SentOutcome, Settle, SignedBytes, Split,
        SplitAnswer,
    },
    telemetry::{Measured, Stopwatch},
};
use tracing::Instrument as _;

/// What stands behind a step of the store, by OpenTelemetry's names.
pub(crate) type System = &'static str;

/// A ledger that is watched.
#[derive(Debug)]
pub(crate) struct MeteredLedger {
    pub(crate) inner: Arc<dyn Ledger>,
    pub(crate) telemetry: Arc<dyn Telemetry>,
    pub(crate) system: System,
}

/// A journal that is watched.
#[derive(Debug)]
pub(crate) struct MeteredJournal {
    pub(crate) inner: Arc<dyn Journal>,
    pub(crate) telemetry: Arc<dyn Telemetry>,
    pub(crate) system: System,
}

/// A chronicle that is watched.
#[derive(Debug)]
pub(crate) struct MeteredChronicle {
    pub(crate) inner: Arc<dyn Chronicle>,
    pub(crate) telemetry: Arc<dyn Telemetry>,
    pub(crate) system: System,
}

macro_rules! metered {
    ($port:ident of $metered:ident, $error:ident: $($name:ident($($arg:ident: $type:ty),*) -> $answer:ty;)*) => {
        #[async_trait]
        impl $port for $metered {
            $(async fn $name(&self, $($arg: $type),*) -> Result<$answer, $error> {
                let watch = Stopwatch::start(&*self.telemetry);
                let call = self.inner.$name($($arg),*);
                let step = tracing::debug_span!(
                    "store",
                    otel.name = concat!(stringify!($port), ".", stringify!($name)),
                    otel.kind = "client",
                    db.system.name = self.system,
                    db.operation.name = stringify!($name),
                );
                let answer = call.instrument(step).await;
                watch.stop(Measured::Store(stringify!($name)));
                answer
            })*
        }
    };
}

metered! {
    Ledger of MeteredLedger, LedgerError:
    now() -> Timestamp;
    present(gateway: &str, ttl: Millis) -> ();
    find(repeat: &Repeat) -> Found;
    deny(denied: &NewOperation) -> DenyAnswer;
    reserve(reserve: &Reserve) -> ReserveAnswer;
    redeem(redeem: &Redeem) -> RedeemAnswer;
    split(split: &Split) -> SplitAnswer;
    approve(approve: &Approve) -> ApproveAnswer;
    reject(reject: &Reject) -> RejectAnswer;
    expire(max: u32) -> Vec<OperationRecord>;
    commit(commit: &Commit) -> CommitAnswer;
    bump(bump: &Bump) -> BumpAnswer;
    signed(operation: OperationId, attempt: u32, bytes: &SignedBytes) -> OperationRecord;
    signed_message(operation: OperationId, signature: &Bytes) -> OperationRecord;
    end_message(operation: OperationId, end: MessageEnd) -> OperationRecord;
    sent(operation: OperationId, attempt: u32, outcome: &SentOutcome) -> OperationRecord;
    mined(operation: OperationId, actual: Option<&Actual>) -> OperationRecord;
    settle(settle: &Settle) -> OperationRecord;
    unsettle(operation: OperationId) -> OperationRecord;
    release_committed(operation: OperationId, proof: &ReleaseProof) -> OperationRecord;
    deliver(operation: OperationId, from: Delivery, to: Delivery) -> bool;
    operation(id: OperationId) -> Option<OperationRecord>;
    operations(query: &OperationQuery) -> Page<OperationRecord>;
    open(states: &[OperationState], idle_since: Timestamp, max: u32) -> Vec<OperationRecord>;
    census(states: &[OperationState]) -> BTreeMap<OperationState, Census>;
    settled_in(chain: ChainId, block: u64) -> Vec<OperationRecord>;
    holder(chain: ChainId, wallet: &WalletId, nonce: u64) -> Option<OperationId>;
    next_nonce(chain: ChainId, wallet: &WalletId) -> Option<u64>;
    status(charges: &[Charge], without: Option<OperationId>) -> Vec<Reading>;
    adopted() -> BTreeSet<CounterId>;
    note_adopted(limits: &BTreeSet<CounterId>) -> ();
    adopt(adopt: &Adopt) -> AdoptAnswer;
    seen(chain: ChainId, wallet: &WalletId, addresses: &[Address]) -> BTreeSet<Address>;
    freeze(freeze: &Freeze) -> ();
    unfreeze(freeze: &Freeze) -> bool;
    freezes() -> Vec<Freeze>;
    say(word: &PactWord) -> PactAnswer;
    pact(pact: &Pact) -> Option<PactStanding>;
    seal(reason: &str) -> ();
    unseal() -> ();
    init() -> InitAnswer;
    audit() -> Option<String>;
    describe() -> LedgerStatus;
}

metered! {
    Journal of MeteredJournal, JournalError:
    pin(policy: PolicyId, canonical: &str) -> ();
    record(entry: &NewTrace) -> ();
    update(trace: TraceHash, update: &TraceUpdate) -> ();
    trace(trace: TraceHash) -> Option<TraceRecord>;
    traces(query: &TraceQuery) -> Page<TraceRecord>;
    raise(occurrence: &Occurrence) -> Taken;
    incident(id: &str) -> Option<Incident>;
    incidents(query: &IncidentQuery) -> Page<Incident>;
    change_incident(id: &str, step: &IncidentMove) -> IncidentAnswer;
    chains() -> Vec<Chain>;
    entries(gateway: &str, after: u64, limit: u32) -> Vec<Chained>;
}

metered! {
    Chronicle of MeteredChronicle, LedgerError:
    lines(after: u64, max: u32) -> Vec<Line>;
    turn(turn: &Turn) -> Option<u64>;
    note_policy(whose: &str, version: PolicyId) -> bool;
    strike(strike: &Strike) -> Struck;
}
