//! The operators' desk: a yes binds the digest that was seen, a no releases, and nobody approves for
//! an agent that their person owns.

use std::sync::Arc;

use countersign_core::{
    approval::Vote,
    identity::{ApprovalDigest, OperationId},
    operation::{OperationRecord, OperationState},
    time::Millis,
    trace::{TraceStatus, TraceUpdate},
};
use serde_json::{Value, json};

use crate::{
    engine::{DeskError, Engine},
    port::ledger::{Approve, ApproveAnswer, LedgerError, Reject, RejectAnswer},
    redeem::Standing,
    setup::{OperatorSetup, Role},
};

/// Where a person's no still counts: also after the yes, while a gate's delay runs.
const BEFORE_COMMIT: [OperationState; 2] = [OperationState::Parked, OperationState::Approved];

/// How often a vote is counted anew because another came in between.
const ROUNDS_MAX: u8 = 32;

impl Engine {
    pub(crate) async fn approve_at_desk(
        self: &Arc<Self>,
        operator: &OperatorSetup,
        operation: OperationId,
        digest: ApprovalDigest,
        note: Option<String>,
    ) -> Result<OperationRecord, DeskError> {
        for _ in 0..ROUNDS_MAX {
            let record = self.waiting(operation, &[OperationState::Parked]).await?;
            let vote = self.vote(operator, note.clone()).await?;
            if !operator.roles.contains(&Role::Approve) {
                return Err(DeskError::NotInGate);
            }
            // nobody says yes to what nobody could show them
            if self.standing(&record).await != Standing::Recorded {
                let why = "its decision is not recorded; look again in a few seconds";
                return Err(DeskError::Unavailable(why.into()));
            }
            let approve = self.ballot(&record, digest, vote)?;
            match self.ports().ledger.approve(&approve).await.map_err(unavailable)? {
                ApproveAnswer::Voted(record) => {
                    return Ok(self.voted(*record, &approve.vote).await);
                }
                ApproveAnswer::Raced => {}
                ApproveAnswer::OtherDigest => return Err(DeskError::OtherDigest),
                ApproveAnswer::Elsewhere(record) => return Err(DeskError::Decided(record)),
                ApproveAnswer::Expired => return Err(DeskError::Expired),
                ApproveAnswer::Missing => return Err(DeskError::Missing),
            }
        }
        Err(DeskError::Unavailable("too many votes at once; look again".into()))
    }

    /// An operation in one of these states, or why it takes no word any more.
    async fn waiting(
        &self,
        operation: OperationId,
        states: &[OperationState],
    ) -> Result<OperationRecord, DeskError> {
        let record = self.ports().ledger.operation(operation).await.map_err(unavailable)?;
        let record = record.ok_or(DeskError::Missing)?;
        if record.state == OperationState::Expired {
            return Err(DeskError::Expired);
        }
        if states.contains(&record.state) {
            Ok(record)
        } else {
            Err(DeskError::Decided(Box::new(record)))
        }
    }

    async fn vote(
        &self,
        operator: &OperatorSetup,
        note: Option<String>,
    ) -> Result<Vote, DeskError> {
        Ok(Vote {
            operator: operator.id.clone(),
            person: operator.person.clone(),
            groups: operator.groups.clone(),
            note,
            at: self.ports().ledger.now().await.map_err(unavailable)?,
        })
    }

    /// The person who owns the asking agent.
    fn owner_of(&self, record: &OperationRecord) -> Option<String> {
        self.setup().agents.get(record.agent()).and_then(|agent| agent.owner.clone())
    }

    /// The vote with what it would open. The requester's own person never counts.
    fn ballot(
        &self,
        record: &OperationRecord,
        digest: ApprovalDigest,
        vote: Vote,
    ) -> Result<Approve, DeskError> {
        if record.digest != Some(digest) {
            return Err(DeskError::OtherDigest);
        }
        let owner = self.owner_of(record);
        let owner = owner.as_deref();
        if owner == Some(vote.person.as_str()) {
            return Err(DeskError::Requester);
        }
        let admitted = record.gates.iter().flat_map(|gate| &gate.need).any(|q| q.admits(&vote));
        if !admitted {
            return Err(DeskError::NotInGate);
        }
        let mut votes = record.votes.clone();
        let votes_seen = votes.len();
        votes.push(vote.clone());
        let completes = record.gates.iter().all(|gate| gate.is_open(&votes, owner));
        Ok(Approve { operation: record.id, digest, vote, votes_seen, completes })
    }

    async fn voted(self: &Arc<Self>, record: OperationRecord, vote: &Vote) -> OperationRecord {
        let complete = record.state == OperationState::Approved;
        let update = TraceUpdate {
            approval: Some(said("approved", vote, record.digest)),
            status: complete.then_some(TraceStatus::Allowed),
            ..TraceUpdate::default()
        };
        self.note(&record, &update).await;
        tracing::info!(operation = %record.id, operator = %vote.operator, complete, "approved");
        if complete {
            let engine = Arc::clone(self);
            let approved = record.clone();
            let work = async move { engine.redeem(approved).await };
            self.ports().clock.spawn(Box::pin(work));
        }
        record
    }

    pub(crate) async fn reject_at_desk(
        self: &Arc<Self>,
        operator: &OperatorSetup,
        operation: OperationId,
        reason: String,
    ) -> Result<OperationRecord, DeskError> {
        let vote = self.vote(operator, Some(reason.clone())).await?;
        let record = self.waiting(operation, &BEFORE_COMMIT).await?;
        if self.owner_of(&record).as_deref() == Some(vote.person.as_str()) {
            return Err(DeskError::Requester);
        }
        // after the last yes only a gate's delay leaves time for a no
        let delays = record.gates.iter().any(|gate| gate.delay > Millis::ZERO);
        if record.state == OperationState::Approved && !delays {
            return Err(DeskError::Decided(Box::new(record)));
        }
        if !record.gates.iter().flat_map(|gate| &gate.need).any(|q| q.admits(&vote)) {
            return Err(DeskError::NotInGate);
        }
        let reject = Reject {
            operation,
            from: if delays { BEFORE_COMMIT.to_vec() } else { vec![OperationState::Parked] },
            code: "approval_rejected".into(),
            reason,
            vote: Some(vote.clone()),
            void: false,
        };
        match self.ports().ledger.reject(&reject).await.map_err(unavailable)? {
            RejectAnswer::Rejected(record) => {
                let update = TraceUpdate {
                    approval: Some(said("rejected", &vote, record.digest)),
                    status: Some(TraceStatus::Blocked),
                    blocked_by: Some(format!("operator {}", vote.operator)),
                    ..TraceUpdate::default()
                };
                self.note(&record, &update).await;
                self.hub().wake(operation);
                tracing::info!(%operation, operator = %vote.operator, "rejected");
                Ok(*record)
            }
            RejectAnswer::Elsewhere(record) if record.state == OperationState::Expired => {
                Err(DeskError::Expired)
            }
            RejectAnswer::Elsewhere(record) => Err(DeskError::Decided(record)),
            RejectAnswer::Missing => Err(DeskError::Missing),
        }
    }
}

fn said(word: &str, vote: &Vote, digest: Option<ApprovalDigest>) -> Value {
    json!({
        "decision": word,
        "operator": vote.operator,
        "person": vote.person,
        "groups": vote.groups,
        "note": vote.note,
        "at": vote.at,
        "digest": digest,
    })
}

#[expect(clippy::needless_pass_by_value, reason = "the form that map_err takes")]
fn unavailable(error: LedgerError) -> DeskError {
    DeskError::Unavailable(error.to_string())
}
