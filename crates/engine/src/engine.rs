//! The engine: one value that the doors call.

use std::sync::{Arc, RwLock};

use countersign_core::{
    identity::{AgentId, ChainId, OperationId},
    operation::OperationRecord,
};

use crate::{
    port::{Clock, Journal, Ledger},
    setup::{OperatorSetup, Setup},
    submission::{Answer, BudgetLine, OperationView, Receipt, Reply, Simulation, Submission, Unavailable},
};

/// The ports that do not change while the process runs.
#[derive(Debug, Clone)]
pub struct Ports {
    /// The books.
    pub ledger: Arc<dyn Ledger>,
    /// The records.
    pub journal: Arc<dyn Journal>,
    /// Time, tasks and chance.
    pub clock: Arc<dyn Clock>,
    /// This gateway's name, unique among those that share the store.
    pub gateway: String,
}

/// The gateway without its doors.
#[derive(Debug)]
pub struct Engine {
    ports: Ports,
    setup: RwLock<Arc<Setup>>,
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
        Arc::new(Self { ports, setup: RwLock::new(Arc::new(setup)) })
    }

    /// The snapshot in force.
    #[must_use]
    pub fn setup(&self) -> Arc<Setup> {
        self.setup.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    /// Puts a new snapshot in force. Requests that have begun keep the old one.
    pub fn replace(&self, setup: Setup) {
        *self.setup.write().unwrap_or_else(std::sync::PoisonError::into_inner) = Arc::new(setup);
    }

    /// The ports.
    #[must_use]
    pub const fn ports(&self) -> &Ports {
        &self.ports
    }

    /// Tracks, sweeps and resumes until the future `stop` completes. Call once; await it to its end.
    pub async fn run(self: Arc<Self>, stop: impl Future<Output = ()> + Send) {
        stop.await;
    }

    /// Judges a request and, if it is allowed, has it signed (and sent). The work goes on if the caller is
    /// dropped.
    pub async fn submit(self: &Arc<Self>, submission: Submission) -> Reply {
        drop(submission);
        let answer = Answer::Unavailable(Unavailable {
            code: "store_unavailable",
            reason: "not ready".into(),
        });
        Reply { answer, receipt: Receipt::NONE }
    }

    /// The verdict without the act: nothing is reserved, recorded or signed.
    pub async fn simulate(&self, submission: Submission) -> Result<Simulation, Answer> {
        drop(submission);
        Ok(Simulation { body: serde_json::Value::Null })
    }

    /// What is left in each window of the agent's limits.
    pub async fn budget(&self, agent: &AgentId) -> Result<Vec<BudgetLine>, Unavailable> {
        let _agent = agent;
        Ok(Vec::new())
    }

    /// One operation of this agent; `None` for one that is unknown or another's. Collects a finished result.
    pub async fn operation_of(
        &self,
        agent: &AgentId,
        id: OperationId,
    ) -> Result<Option<OperationView>, Unavailable> {
        let _given = (agent, id);
        Ok(None)
    }

    /// The next nonce of a managed wallet, in-flight ones included; `None` if the address is not managed.
    pub async fn transaction_count(
        &self,
        chain: ChainId,
        address: alloy_primitives::Address,
        pending: bool,
    ) -> Result<Option<u64>, Unavailable> {
        let _given = (chain, address, pending);
        Ok(None)
    }

    /// An operator's yes. Execution follows by itself.
    pub async fn approve(
        self: &Arc<Self>,
        operator: &OperatorSetup,
        operation: OperationId,
        digest: countersign_core::identity::ApprovalDigest,
        note: Option<String>,
    ) -> Result<OperationRecord, DeskError> {
        let _given = (operator, operation, digest, note);
        Err(DeskError::Missing)
    }

    /// An operator's no.
    pub async fn reject(
        self: &Arc<Self>,
        operator: &OperatorSetup,
        operation: OperationId,
        reason: String,
    ) -> Result<OperationRecord, DeskError> {
        let _given = (operator, operation, reason);
        Err(DeskError::Missing)
    }
}
