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
    freeze::{FreezeOrder, StandingFreeze},
    identity::{AgentId, ChainId, OperationId, PolicyId, TraceHash, WalletId},
    incident::{Incident, IncidentMove, Occurrence, Taken},
    operation::{Actual, Delivery, OperationRecord, OperationState},
    pact::{Pact, PactStanding},
    time::{Millis, Timestamp},
    trace::{TraceRecord, TraceUpdate},
};
use countersign_engine::{
    journal_functions, ledger_functions,
    port::{
        Chronicle, Journal, Ledger, Telemetry,
        chronicle::{Line, Strike, Struck, Turn},
        journal::{
            Chain, Chained, IncidentAnswer, IncidentQuery, JournalError, NewTrace, Page, TraceQuery,
        },
        ledger::{
            Adopt, AdoptAnswer, Approve, ApproveAnswer, Bump, BumpAnswer, Census, Commit,
            CommitAnswer, DenyAnswer, Found, InitAnswer, LedgerError, LedgerStatus, MessageEnd,
            NewOperation, OperationQuery, PactAnswer, PactWord, PasskeyCount, Redeem, RedeemAnswer,
            Reject, RejectAnswer, ReleaseProof, Repeat, Reserve, ReserveAnswer, SentOutcome,
            Settle, SignedBytes, Split, SplitAnswer, Survey, Surveyed,
        },
        telemetry::{Measured, Stopwatch},
    },
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

ledger_functions! { metered Ledger of MeteredLedger, LedgerError: }

journal_functions! { metered Journal of MeteredJournal, JournalError: }

metered! {
    Chronicle of MeteredChronicle, LedgerError:
    lines(after: u64, max: u32) -> Vec<Line>;
    turn(turn: &Turn) -> Option<u64>;
    note_policy(whose: &str, version: PolicyId) -> bool;
    note_passkey(passkey: &PasskeyCount) -> bool;
    strike(strike: &Strike) -> Struck;
}
