//! The engine: one value that the doors call.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak,
        atomic::{AtomicBool, Ordering},
    },
};

use alloy_primitives::{Address, B256};
use countersign_core::{
    approval::{Signing, Vote},
    identity::{AgentId, ApprovalDigest, ChainId, OperationId, PolicyId},
    operation::{OperationRecord, OperationState},
    pact::PactVerb,
    transaction::FeeBid,
};
use serde_json::Value;
use tokio::sync::{Semaphore, oneshot, watch};
use tracing::{Instrument as _, Span};

use crate::{
    alarm::Alarms,
    ballot::{counting, typed},
    breaker::Bursts,
    bump::{Asker, BumpError},
    claim::Claims,
    desk::Yes,
    hub::Hub,
    lane::{Lane, LaneId},
    pact::{GrantView, PactError},
    port::{
        Chronicle, Clock, Journal, Ledger, PolicyShelf, Telemetry,
        ledger::LedgerError,
        telemetry::{Origin, WHOLE},
    },
    post::PostOffice,
    reorg::SeenBlocks,
    reply::Caller,
    setup::{OperatorSetup, Setup},
    shelf::{Shelves, back_test::BackTests},
    submission::{
        Answer, BudgetLine, CallsView, OperationView, Reply, Simulation, Submission, Unavailable,
    },
    sweeper::PRESENT_FOR,
    tracker::{SETTLING_MAX, Tracks},
    turn::Turns,
    views,
};

/// The ports that do not change while the process runs.
#[derive(Debug, Clone)]
pub struct Ports {
    /// The books.
    pub ledger: Arc<dyn Ledger>,
    /// The records.
    pub journal: Arc<dyn Journal>,
    /// What the books' log says.
    pub chronicle: Arc<dyn Chronicle>,
    /// The versions of agents' policies.
    pub shelf: Arc<dyn PolicyShelf>,
    /// Time, tasks and chance.
    pub clock: Arc<dyn Clock>,
    /// This gateway's name, unique among those that share the store.
    pub gateway: String,
    /// Who watches.
    pub telemetry: Arc<dyn Telemetry>,
}

/// How many operations are remembered about which people were told.
const TOLD_MAX: usize = 65_536;

fn words(kinds: &[Signing]) -> String {
    kinds.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ")
}

/// What people are told once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Told {
    /// What is wrong with an attempt of an operation.
    Attempt(OperationId, usize),
    /// A signature of a key that is here, made elsewhere, over this.
    Leaked(B256),
    /// Code that acts as a wallet whose key is here.
    Delegated(ChainId, Address, Address),
}

/// The gateway without its doors.
#[derive(Debug)]
pub struct Engine {
    ports: Ports,
    setup: RwLock<Arc<Setup>>,
    hub: Hub,
    lanes: Mutex<HashMap<LaneId, Lane>>,
    tracked: Mutex<Tracks>,
    settled: Mutex<BTreeMap<LaneId, u64>>,
    claims: Claims,
    collecting: Claims,
    turns: Turns,
    tracking: Mutex<BTreeSet<LaneId>>,
    settling: Semaphore,
    told: Mutex<BTreeSet<Told>>,
    unnoted: Mutex<Weak<()>>,
    alarms: Alarms,
    bursts: Bursts,
    post: PostOffice,
    pinned: Mutex<BTreeSet<PolicyId>>,
    adopted: Mutex<Weak<Setup>>,
    adopting: tokio::sync::Mutex<()>,
    back_tests: BackTests,
    looks: BackTests,
    seen_blocks: Mutex<BTreeMap<ChainId, SeenBlocks>>,
    resumed: AtomicBool,
    closing: watch::Sender<bool>,
    shelves: Shelves,
}

/// Why an operator's word had no effect.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum DeskError {
    /// 404
    #[error("there is no such operation")]
    Missing,
    /// 409 `already_decided`
    #[error("the operation is not waiting any more")]
    Decided(Box<OperationRecord>),
    /// 409 `digest_mismatch`
    #[error("the digest is not that of the parked operation: look at it again before approving")]
    OtherDigest,
    /// 410 `expired`
    #[error("the operation has expired")]
    Expired,
    /// 403 `not_in_gate`
    #[error("this operator is in none of the gates that the operation waits for")]
    NotInGate,
    /// 403 `signature_required`: a token is not enough
    #[error("the gate takes only approvals that are signed: {}", words(.0))]
    Unsigned(Vec<Signing>),
    /// 403 `signature_invalid`
    #[error("{0}")]
    Signature(String),
    /// 409 `not_in_turn`
    #[error("it is not this operator's turn: the gate has an order, and others come first")]
    NotInTurn,
    /// 403 `requester`
    #[error("nobody approves for an agent that their person owns")]
    Requester,
    /// 503
    #[error("{0}")]
    Unavailable(String),
}

impl Engine {
    /// An engine that has not begun to work.
    #[must_use]
    pub fn new(ports: Ports, setup: Setup) -> Arc<Self> {
        Arc::new(Self {
            ports,
            setup: RwLock::new(Arc::new(setup)),
            hub: Hub::default(),
            lanes: Mutex::default(),
            tracked: Mutex::default(),
            settled: Mutex::default(),
            claims: Claims::default(),
            collecting: Claims::default(),
            turns: Turns::default(),
            tracking: Mutex::default(),
            settling: Semaphore::new(SETTLING_MAX),
            told: Mutex::default(),
            unnoted: Mutex::default(),
            alarms: Alarms::default(),
            bursts: Bursts::default(),
            post: PostOffice::default(),
            pinned: Mutex::default(),
            adopted: Mutex::default(),
            adopting: tokio::sync::Mutex::default(),
            back_tests: BackTests::default(),
            looks: BackTests::default(),
            seen_blocks: Mutex::default(),
            resumed: AtomicBool::new(false),
            closing: watch::Sender::new(false),
            shelves: Shelves::default(),
        })
    }

    /// The snapshot in force.
    #[must_use]
    pub fn setup(&self) -> Arc<Setup> {
        Arc::clone(&self.setup.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts a new snapshot in force. Requests that have begun keep the old one.
    pub fn replace(&self, setup: Setup) {
        *self.setup.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(setup);
        self.shelves.replaced();
    }

    /// The ports.
    #[must_use]
    pub const fn ports(&self) -> &Ports {
        &self.ports
    }

    /// Says that this gateway lives. Await it before the doors open: what a gateway takes in that nobody knows
    /// to be alive counts as left behind.
    pub async fn announce(&self) -> Result<(), LedgerError> {
        self.ports.ledger.present(&self.ports.gateway, PRESENT_FOR).await
    }

    /// Tracks, sweeps and resumes until the future `stop` completes. Call once; await it to its end. What is
    /// on its way then is taken up at the next start, or by another gateway.
    pub async fn run(self: Arc<Self>, stop: impl Future<Output = ()> + Send) {
        self.work(stop).await;
    }

    /// Judges a request and, if it is allowed, has it signed (and sent). The work goes on if the caller is
    /// dropped.
    pub async fn submit(self: &Arc<Self>, submission: Submission) -> Reply {
        let (sender, receiver) = oneshot::channel();
        let (_listening, caller) = Caller::new();
        let engine = Arc::clone(self);
        let work = async move {
            // a reply that nobody takes drops its receipt, and so stays owed
            drop(sender.send(engine.serve(submission, caller).await));
        };
        self.ports.clock.spawn(Box::pin(work.in_current_span()));
        receiver.await.unwrap_or_else(|_| Reply::of(Answer::Broken))
    }

    /// The verdict without the act: nothing is reserved, recorded or signed.
    pub async fn simulate(&self, submission: Submission) -> Result<Simulation, Answer> {
        self.simulated(submission).await
    }

    /// What is left in each window of the agent's limits.
    pub async fn budget(&self, agent: &AgentId) -> Result<Vec<BudgetLine>, Unavailable> {
        self.budget_lines(agent).await
    }

    /// The agent's grant and where it stands; `None` for an agent that is not configured.
    pub async fn grant(&self, agent: &AgentId) -> Result<Option<GrantView>, Unavailable> {
        self.state_of_grant(agent).await
    }

    /// An operator's word on the agent's grant in this version. An end is in force on every gateway when this returns.
    pub async fn say_to_grant(
        &self,
        operator: &OperatorSetup,
        (agent, grant): (&AgentId, PolicyId),
        (verb, note): (PactVerb, Option<String>),
    ) -> Result<GrantView, PactError> {
        self.say_to_pact(&operator.id, (agent, grant), (verb, note)).await
    }

    /// One operation of this agent; `None` for one that is unknown or another's. Collects a finished result.
    pub async fn operation_of(
        &self,
        agent: &AgentId,
        id: OperationId,
    ) -> Result<Option<OperationView>, Unavailable> {
        self.operation_view(agent, id).await
    }

    /// The same without collecting: what is owed to the agent stays owed.
    pub async fn look_at_operation(
        &self,
        agent: &AgentId,
        id: OperationId,
    ) -> Result<Option<OperationView>, Unavailable> {
        let record = self.own_operation(agent, id).await?;
        Ok(record.as_ref().map(views::view))
    }

    /// What became of a bundle of calls of this agent; `None` for one that is unknown or another's.
    pub async fn calls_status(
        &self,
        agent: &AgentId,
        id: &str,
    ) -> Result<Option<CallsView>, Unavailable> {
        self.calls_view(agent, id).await
    }

    /// The transaction count of a managed wallet, with in-flight ones if `pending`; `None` if the address is
    /// not managed or the chain not served.
    pub async fn transaction_count(
        &self,
        chain: ChainId,
        address: Address,
        pending: bool,
    ) -> Result<Option<u64>, Unavailable> {
        self.count_transactions(chain, address, pending).await
    }

    /// An operator's yes. Execution follows by itself.
    pub async fn approve(
        self: &Arc<Self>,
        operator: &OperatorSetup,
        operation: OperationId,
        digest: ApprovalDigest,
        note: Option<String>,
    ) -> Result<OperationRecord, DeskError> {
        let yes = Yes { digest, note, signature: None };
        self.approve_at_desk(operator, operation, yes).await
    }

    /// As [`Engine::approve`], with a signature besides the token.
    pub async fn approve_signed(
        self: &Arc<Self>,
        operator: &OperatorSetup,
        operation: OperationId,
        yes: Yes,
    ) -> Result<OperationRecord, DeskError> {
        self.approve_at_desk(operator, operation, yes).await
    }

    /// What a key signs to approve this operation as it waits; `None` if it waits for nobody.
    #[must_use]
    pub fn typed_approval(&self, record: &OperationRecord) -> Option<Value> {
        let waits = record.state == OperationState::Parked;
        typed(&self.setup(), record).filter(|_| waits).map(|typed| typed.document())
    }

    /// The votes on an operation that count under the configuration in force.
    #[must_use]
    pub fn counting_votes(&self, record: &OperationRecord) -> Vec<Vote> {
        counting(&self.setup(), record)
    }

    /// An operator's no.
    pub async fn reject(
        self: &Arc<Self>,
        operator: &OperatorSetup,
        operation: OperationId,
        reason: String,
    ) -> Result<OperationRecord, DeskError> {
        self.reject_at_desk(operator, operation, reason).await
    }

    /// An operator's wish for a higher fee: this bid, or what nodes and market ask. It is judged and charged like the
    /// request itself.
    pub async fn bump(
        self: &Arc<Self>,
        operator: &OperatorSetup,
        operation: OperationId,
        bid: Option<FeeBid>,
    ) -> Result<OperationRecord, BumpError> {
        self.raise_fee(operation, bid, Asker::Operator(operator)).await
    }

    /// An operator's wish that an operation on its way shall not happen. It may happen all the same, if its bytes are
    /// mined first.
    pub async fn cancel_operation(
        self: &Arc<Self>,
        operator: &OperatorSetup,
        operation: OperationId,
    ) -> Result<OperationRecord, BumpError> {
        self.cancel(operation, Asker::Operator(operator)).await
    }

    /// The whole of what is done for an operation after its call was answered.
    pub(crate) fn later(&self, step: &'static str, record: &OperationRecord) -> Span {
        let span = tracing::error_span!(
            target: WHOLE,
            parent: None,
            "later",
            otel.name = step,
            countersign.operation = %record.id,
        );
        let origin = record.intent.declared.trail.as_ref();
        self.ports.telemetry.begin(&span, Origin::Later(origin));
        span
    }

    /// Ends every held call with what is known: the gateway is about to stop. Calls that come later are not held.
    pub fn end_waits(&self) {
        self.closing.send_replace(true);
    }

    /// Completes when held calls are to end.
    pub(crate) async fn waits_end(&self) {
        // the sender lives as long as the engine, so an error cannot come first
        self.closing.subscribe().wait_for(|closing| *closing).await.ok();
    }

    pub(crate) fn is_closing(&self) -> bool {
        *self.closing.borrow()
    }

    /// Whether everything that was open at start has been taken up.
    #[must_use]
    pub fn has_resumed(&self) -> bool {
        self.resumed.load(Ordering::Acquire)
    }

    pub(crate) fn begins(&self) -> bool {
        !self.has_resumed()
    }

    pub(crate) fn begun(&self) {
        self.resumed.store(true, Ordering::Release);
    }

    /// Who follows the versions of policies, and who waits for that.
    pub(crate) const fn shelves(&self) -> &Shelves {
        &self.shelves
    }

    pub(crate) const fn hub(&self) -> &Hub {
        &self.hub
    }

    pub(crate) const fn claims(&self) -> &Claims {
        &self.claims
    }

    /// The results that are being handed over.
    pub(crate) const fn collecting(&self) -> &Claims {
        &self.collecting
    }

    /// How many requests of each agent are judged at once.
    pub(crate) const fn turns(&self) -> &Turns {
        &self.turns
    }

    /// What people were told lately.
    pub(crate) const fn alarms(&self) -> &Alarms {
        &self.alarms
    }

    /// How receivers outside stand.
    pub(crate) const fn post(&self) -> &PostOffice {
        &self.post
    }

    /// Denials of agents without a breaker.
    pub(crate) const fn bursts(&self) -> &Bursts {
        &self.bursts
    }

    /// Lanes that are being looked at right now.
    /// The right to settle one operation.
    pub(crate) const fn settling(&self) -> &Semaphore {
        &self.settling
    }

    pub(crate) fn tracking(&self) -> MutexGuard<'_, BTreeSet<LaneId>> {
        self.tracking.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether nobody was told yet, by this process, what is wrong with this attempt of an operation.
    pub(crate) fn tell_once(&self, operation: OperationId, attempt: usize) -> bool {
        self.tells(Told::Attempt(operation, attempt))
    }

    /// Whether nobody was told of this yet, by this process.
    pub(crate) fn tells(&self, what: Told) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() >= TOLD_MAX {
            told.clear();
        }
        told.insert(what)
    }

    /// Whether people were told of this, by this process.
    pub(crate) fn has_told(&self, what: &Told) -> bool {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).contains(what)
    }

    /// One more delivery that the books do not know of, until the guard is dropped.
    pub(crate) fn unnoted_delivery(&self) -> Arc<()> {
        let mut unnoted = self.unnoted.lock().unwrap_or_else(PoisonError::into_inner);
        let guard = unnoted.upgrade().unwrap_or_default();
        *unnoted = Arc::downgrade(&guard);
        guard
    }

    /// Whether there are any.
    pub(crate) fn has_unnoted(&self) -> bool {
        self.unnoted.lock().unwrap_or_else(PoisonError::into_inner).strong_count() > 0
    }

    /// The policies whose texts are in this gateway's chain.
    pub(crate) fn pinned(&self) -> MutexGuard<'_, BTreeSet<PolicyId>> {
        self.pinned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The setup whose limits are known to count everything.
    pub(crate) fn adopted(&self) -> MutexGuard<'_, Weak<Setup>> {
        self.adopted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One goes through the old operations at a time.
    pub(crate) const fn adopting(&self) -> &tokio::sync::Mutex<()> {
        &self.adopting
    }

    /// Of those who change a policy.
    pub(crate) const fn back_tests(&self) -> &BackTests {
        &self.back_tests
    }

    /// Of those who only look: they are never in the way of who changes a policy.
    pub(crate) const fn looks(&self) -> &BackTests {
        &self.looks
    }

    /// The blocks of each chain as they were seen last.
    pub(crate) fn seen_blocks(&self) -> MutexGuard<'_, BTreeMap<ChainId, SeenBlocks>> {
        self.seen_blocks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn lanes(&self) -> MutexGuard<'_, HashMap<LaneId, Lane>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many transactions of each lane are known to be mined; see [`Engine::settled_to`].
    pub(crate) fn settled(&self) -> MutexGuard<'_, BTreeMap<LaneId, u64>> {
        self.settled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn tracked(&self) -> MutexGuard<'_, Tracks> {
        self.tracked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
