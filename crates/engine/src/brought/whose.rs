//! Whose the account is, and whose the signatures that a request carries: what is found out before anything is done.

use std::borrow::Cow;

use alloy_primitives::{Address, B256};
use countersign_core::{
    fact::Freeze,
    intent::Method,
    operation::{OperationRecord, OperationState, Purpose},
    raw::RawTransaction,
    transaction::{Authorization, TransactionDraft},
};
use countersign_policy::decision::Register;
use serde_json::{Value, json};

use super::EXTERNALLY_SIGNED;
use crate::{
    engine::Engine,
    gather::no_store,
    proposal::{does, for_chain},
    setup::{AgentSetup, ChainSetup, Setup},
    submission::{Answer, Denied, Draft, NodeRefused, Simulation, Submission},
    tracker::is_unseen,
};

/// The code of what an operator has stopped.
const FROZEN: &str = "frozen";

/// What a simulation says of bytes that were made here.
const SENT_AGAIN: &str =
    "these bytes were signed here: they are sent again, and nothing is charged twice";

/// A request that carries signatures, with what it concerns.
#[derive(Clone, Copy)]
pub(super) struct Brought<'a> {
    pub(super) setup: &'a Setup,
    pub(super) agent: &'a AgentSetup,
    pub(super) chain: &'a ChainSetup,
    pub(super) submission: &'a Submission,
    pub(super) draft: &'a TransactionDraft,
    /// Its bytes, where it is signed as a whole.
    pub(super) raw: Option<&'a RawTransaction>,
}

impl<'a> Brought<'a> {
    /// `None` where the agent or the chain is not configured.
    pub(super) fn of(
        setup: &'a Setup,
        submission: &'a Submission,
        draft: &'a TransactionDraft,
    ) -> Option<Self> {
        let agent = setup.agents.get(&submission.agent)?;
        let chain = setup.chains.get(&submission.chain)?;
        let raw = match &submission.draft {
            Draft::Raw(raw) => Some(&**raw),
            Draft::Transaction(_) | Draft::Message { .. } | Draft::Calls(_) => None,
        };
        Some(Self { setup, agent, chain, submission, draft, raw })
    }

    /// What its agent is told where a signature has no business here.
    pub(super) const fn foreign(&self) -> &'static str {
        if self.raw.is_some() {
            "it is signed with a key that is not that of an external wallet of this agent"
        } else {
            "an authorisation in it is signed with a key that signs none"
        }
    }
}

/// Whose the signatures are that a request carries.
pub(super) enum Whose {
    /// Of somebody who may sign: it is judged, like what carries none.
    Lawful,
    /// Its bytes were made here for this agent.
    MadeHere(Box<Made>),
    /// Of somebody who has no business here; with what people are told of.
    Foreign(Option<Stray>),
}

/// Bytes that were made here, and the operation that they belong to.
pub(super) struct Made {
    pub(super) record: OperationRecord,
    pub(super) raw: RawTransaction,
}

/// A signature of a key that is here, made elsewhere.
pub(super) enum Stray {
    Transaction(Box<RawTransaction>),
    Authorisation { of: B256, ours: Address },
}

impl Engine {
    /// What would be answered that is not judged at all; `None` goes on. Nothing is recorded, sent or told to people.
    pub(crate) async fn would_be_elsewhere(
        &self,
        setup: &Setup,
        submission: &Submission,
    ) -> Result<Option<Simulation>, Answer> {
        if let Some(answer) = signs_itself(setup, submission) {
            return Err(answer);
        }
        let draft = carries(&submission.draft);
        let brought = draft.as_ref().and_then(|draft| Brought::of(setup, submission, draft));
        let Some(brought) = brought else { return Ok(None) };
        let told = match self.whose(brought).await? {
            Whose::Lawful => return Ok(None),
            Whose::MadeHere(made) => match self.withheld(&made).await {
                None => ("allow", "", SENT_AGAIN.to_owned()),
                Some(Answer::Denied(Denied { code, reason, .. })) if code == FROZEN => {
                    ("deny", FROZEN, reason)
                }
                Some(answer) => return Err(answer),
            },
            Whose::Foreign(_) => ("deny", EXTERNALLY_SIGNED, brought.foreign().to_owned()),
        };
        Ok(Some(Simulation { body: unjudged(brought, told) }))
    }

    /// Whose signatures a request carries, and whether they are lawful.
    pub(super) async fn whose(&self, brought: Brought<'_>) -> Result<Whose, Answer> {
        let Brought { setup, agent, chain, draft, raw, .. } = brought;
        let Some(raw) = raw else { return Ok(authorised(setup, draft)) };
        for_chain(draft, chain.id)?;
        let own = setup.wallet_of(agent, raw.sender());
        if own.is_some_and(|wallet| wallet.signer.is_external()) {
            return Ok(authorised(setup, draft));
        }
        Ok(match self.made_here(brought, raw).await? {
            Some(record) if own.is_some() && *record.agent() == agent.id => {
                Whose::MadeHere(Box::new(Made { record, raw: raw.clone() }))
            }
            None if setup.holds_key_of(raw.sender()) => {
                Whose::Foreign(Some(Stray::Transaction(Box::new(raw.clone()))))
            }
            // of another agent's request: the key is safe. Of a key that nobody knows: nobody's alarm
            Some(_) | None => Whose::Foreign(None),
        })
    }

    /// The operation whose bytes these are.
    async fn made_here(
        &self,
        brought: Brought<'_>,
        raw: &RawTransaction,
    ) -> Result<Option<OperationRecord>, Answer> {
        let Some(wallet) = brought.setup.wallet_at(raw.sender()) else { return Ok(None) };
        let ledger = &self.ports().ledger;
        let nonce = raw.transaction().nonce;
        let holder = ledger.holder(brought.chain.id, &wallet.id, nonce).await;
        let Some(holder) = holder.map_err(|error| no_store(&error))? else { return Ok(None) };
        let record = ledger.operation(holder).await.map_err(|error| no_store(&error))?;
        Ok(record.filter(|record| record.purpose_of(raw.hash()).is_some()))
    }

    /// Why bytes that were made here are not sent now. Under a freeze nothing goes out that no node has seen.
    pub(super) async fn withheld(&self, Made { record, raw }: &Made) -> Option<Answer> {
        if let Some(refusal) = replaced(record, raw) {
            return Some(refusal);
        }
        if !is_unseen(record) {
            return None;
        }
        match self.ports().ledger.freezes().await {
            Ok(freezes) if freezes.iter().any(|freeze| covers(freeze, record)) => {
                Some(frozen(record))
            }
            Ok(_) => None,
            Err(error) => Some(no_store(&error)),
        }
    }
}

/// The key is elsewhere: nothing can be signed for it here.
pub(super) fn signs_itself(setup: &Setup, submission: &Submission) -> Option<Answer> {
    match submission.method {
        Method::SendRawTransaction => return None,
        Method::SendTransaction
        | Method::SignTransaction
        | Method::PersonalSign
        | Method::Sign
        | Method::SignTypedData
        | Method::SendCalls => {}
    }
    let from = submission.draft.from()?;
    let wallet = setup.wallet_of(setup.agents.get(&submission.agent)?, from)?;
    wallet.signer.is_external().then_some(Answer::SignsItself(from))
}

/// The transaction of a request that may carry signatures.
pub(super) fn carries(draft: &Draft) -> Option<Cow<'_, TransactionDraft>> {
    match draft {
        Draft::Raw(raw) => Some(Cow::Owned(RawTransaction::clone(raw).into_draft())),
        Draft::Transaction(draft) => Some(Cow::Borrowed(draft)),
        Draft::Message { .. } | Draft::Calls(_) => None,
    }
}

/// An authorisation (EIP-7702) by a key that is here was made elsewhere: no method here signs one.
fn authorised(setup: &Setup, draft: &TransactionDraft) -> Whose {
    let authority = |one: &Authorization| Some((one.signing_hash(), one.authority()?));
    let mut signed = draft.authorizations.iter().filter_map(authority);
    match signed.find(|(_, authority)| setup.holds_key_of(*authority)) {
        Some((of, ours)) => Whose::Foreign(Some(Stray::Authorisation { of, ours })),
        None => Whose::Lawful,
    }
}

/// A verdict on what no policy judges, with the members of one that they do.
fn unjudged(brought: Brought<'_>, (outcome, code, reason): (&str, &str, String)) -> Value {
    let Brought { agent, chain, draft, .. } = brought;
    json!({
        "outcome": outcome,
        "code": code,
        "reason": reason,
        "violations": [],
        "gates": [],
        "actions": does(draft, draft.from.unwrap_or(Address::ZERO), chain),
        "verdicts": [],
        "charges": [],
        "policy": agent.grant.id(),
        "approval_mode": null,
        "risk_score": null,
        "risk_parts": [],
        "simulated": null,
        "would_fail": null,
    })
}

/// A cancel has taken the place of these bytes, or may.
fn replaced(record: &OperationRecord, raw: &RawTransaction) -> Option<Answer> {
    let cancelled = match record.state {
        OperationState::Cancelling | OperationState::Cancelled => {
            record.purpose_of(raw.hash()) == Some(Purpose::Payload)
        }
        // its nonce went to a transaction that nobody here knows
        OperationState::Conflict => true,
        OperationState::Denied
        | OperationState::Parked
        | OperationState::Approved
        | OperationState::Allowed
        | OperationState::Prepared
        | OperationState::Signed
        | OperationState::Broadcast
        | OperationState::Unknown
        | OperationState::Mined
        | OperationState::Executed
        | OperationState::Reverted
        | OperationState::Rejected
        | OperationState::Expired => false,
    };
    let nonce = raw.transaction().nonce;
    let message = format!("it was cancelled: another transaction has its nonce {nonce}");
    cancelled.then(|| Answer::NodeRefused(NodeRefused { message, ..NodeRefused::default() }))
}

fn covers(freeze: &Freeze, record: &OperationRecord) -> bool {
    freeze.covers(record.agent(), record.wallet(), record.chain())
}

fn frozen(record: &OperationRecord) -> Answer {
    Answer::Denied(Denied {
        code: FROZEN.into(),
        reason: "an operator has frozen signing, and what was signed before is not sent meanwhile"
            .into(),
        register: Register::Constructive,
        violations: Vec::new(),
        trace: record.trace,
        policy: None,
        operation: Some(record.id),
    })
}
