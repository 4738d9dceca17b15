//! The operators' desk: a yes binds the digest that was seen, a no releases, and nobody approves for
//! an agent that their person owns.

use std::sync::Arc;

use countersign_core::{
    approval::{Vote, VoteSignature, signature::OfferedSignature},
    identity::{ApprovalDigest, OperationId},
    operation::{OperationRecord, OperationState},
    time::{Millis, Timestamp},
    trace::{TraceStatus, TraceUpdate},
};
use serde_json::{Value, json};

use crate::{
    ballot::{admit, counting, vote},
    engine::{DeskError, Engine},
    port::ledger::{Approve, ApproveAnswer, LedgerError, PasskeyCount, Reject, RejectAnswer},
    redeem::Standing,
    setup::{OperatorSetup, Role},
};

/// Where a person's no still counts: also after the yes, while a gate's delay runs.
const BEFORE_COMMIT: [OperationState; 2] = [OperationState::Parked, OperationState::Approved];

/// Why a passkey is not believed whose count did not go on.
pub const PASSKEY_BEHIND: &str = "the passkey has signed since, or there are two of it: sign again";

/// How often a vote is counted anew because another came in between.
const ROUNDS_MAX: u8 = 32;

/// An operator's yes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Yes {
    /// What they saw.
    pub digest: ApprovalDigest,
    /// A word for the record.
    pub note: Option<String>,
    /// What they signed it with besides their token.
    pub signature: Option<OfferedSignature>,
}

impl Engine {
    pub(crate) async fn approve_at_desk(
        self: &Arc<Self>,
        operator: &OperatorSetup,
        operation: OperationId,
        yes: Yes,
    ) -> Result<OperationRecord, DeskError> {
        for _ in 0..ROUNDS_MAX {
            let record = self.waiting(operation, &[OperationState::Parked]).await?;
            if !operator.roles.contains(&Role::Approve) {
                return Err(DeskError::NotInGate);
            }
            // nobody says yes to what nobody could show them
            if self.standing(&record).await != Standing::Recorded {
                let why = "its decision is not recorded; look again in a few seconds";
                return Err(DeskError::Unavailable(why.into()));
            }
            let at = self.ports().ledger.now().await.map_err(unavailable)?;
            let approve = self.ballot(&record, operator, yes.clone(), at)?;
            match self.ports().ledger.approve(&approve).await.map_err(unavailable)? {
                ApproveAnswer::Voted(record) => {
                    return Ok(self.voted(*record, &approve.vote).await);
                }
                ApproveAnswer::Raced => {}
                ApproveAnswer::PasskeyBehind => {
                    return Err(DeskError::Signature(PASSKEY_BEHIND.into()));
                }
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

    /// The person who owns the asking agent.
    fn owner_of(&self, record: &OperationRecord) -> Option<String> {
        self.setup().agents.get(record.agent()).and_then(|agent| agent.owner.clone())
    }

    /// The vote with what it would open, among those that still count. The requester's own person never counts.
    fn ballot(
        &self,
        record: &OperationRecord,
        operator: &OperatorSetup,
        yes: Yes,
        at: Timestamp,
    ) -> Result<Approve, DeskError> {
        let Yes { digest, note, signature } = yes;
        if record.digest != Some(digest) {
            return Err(DeskError::OtherDigest);
        }
        let setup = self.setup();
        let vote = vote((&setup, operator), record, (note, signature), at)?;
        let owner = self.owner_of(record);
        let owner = owner.as_deref();
        let mut votes = counting(&setup, record);
        // the same operator's word again is the same word
        votes.retain(|known| known.operator != vote.operator);
        admit(record, &vote, (&votes, owner))?;
        votes.push(vote.clone());
        let completes = record.gates.iter().all(|gate| gate.is_open(&votes, owner));
        let count = vote.signature.as_ref().and_then(VoteSignature::count);
        let passkey = count
            .map(|(credential, count)| PasskeyCount { credential: credential.to_owned(), count });
        let votes_seen = record.votes.len();
        Ok(Approve { operation: record.id, digest, vote, votes_seen, completes, passkey })
    }

    async fn voted(self: &Arc<Self>, record: OperationRecord, vote: &Vote) -> OperationRecord {
        let complete = record.state == OperationState::Approved;
        // one click too many says the same as the first, word for word, and is recorded once
        let vote = as_kept(&record, vote);
        let update = TraceUpdate {
            approval: Some(said("approved", vote, &record)),
            signature: vote.signature.as_ref().map(|signature| {
                json!({ "operator": vote.operator, "digest": record.digest, "signed": signature })
            }),
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
        let record = self.waiting(operation, &BEFORE_COMMIT).await?;
        let at = self.ports().ledger.now().await.map_err(unavailable)?;
        // a no moves nothing: a token is enough for it
        let vote = vote((&self.setup(), operator), &record, (Some(reason.clone()), None), at)?;
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
                let vote = as_kept(&record, &vote);
                let update = TraceUpdate {
                    approval: Some(said("rejected", vote, &record)),
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

/// The operator's newest vote as the books have it.
fn as_kept<'a>(record: &'a OperationRecord, vote: &'a Vote) -> &'a Vote {
    let of_same = |known: &&Vote| known.operator == vote.operator;
    record.votes.iter().rev().find(of_same).unwrap_or(vote)
}

/// One word, with what its signature is verified by.
fn said(word: &str, vote: &Vote, record: &OperationRecord) -> Value {
    json!({
        "decision": word,
        "operator": vote.operator,
        "person": vote.person,
        "groups": vote.groups,
        "note": vote.note,
        "at": vote.at,
        "digest": record.digest,
        "operation": record.id,
        "expires_at": record.expires_at,
        "signature": vote.signature,
    })
}

#[expect(clippy::needless_pass_by_value, reason = "the form that map_err takes")]
fn unavailable(error: LedgerError) -> DeskError {
    DeskError::Unavailable(error.to_string())
}
