//! Transactions that agents bring signed, and authorisations that others signed: whose they are, before anything is
//! judged.
//!
//! What the owner of an external wallet signed is judged like any other request of the agent that may use it. What a
//! key that is here signed is lawful only where this gateway made those very bytes for that agent: then they are sent
//! again, and nothing is charged twice. Anything else of such a key was made by somebody who has it too. What anybody
//! else signed is refused, in the same words.

use std::{borrow::Cow, sync::Arc};

use alloy_primitives::{Address, B256};
use countersign_core::{
    fact::Freeze,
    intent::Method,
    journal::sha256,
    operation::{OperationRecord, OperationState, Purpose},
    raw::RawTransaction,
    trace::{DecisionRecord, Severity, TraceStatus},
    transaction::{Authorization, TransactionDraft},
};
use countersign_policy::decision::Register;
use serde_json::{Value, json};

use crate::{
    engine::{Engine, Told},
    execute::outcome_of,
    gather::no_store,
    intake::no_journal,
    port::journal::NewTrace,
    proposal::{does, for_chain},
    setup::{AgentSetup, ChainSetup, Setup},
    submission::{Answer, Denied, Draft, NodeRefused, Reply, Signed, Simulation, Submission},
    tracker::is_unseen,
    turn::Turn,
};

/// The code of what was signed by a key that has no business here, and of what only such a key could sign.
pub(crate) const EXTERNALLY_SIGNED: &str = "externally_signed";

/// The code of what an operator has stopped.
const FROZEN: &str = "frozen";

/// What a simulation says of bytes that were made here.
const SENT_AGAIN: &str = "these bytes were signed here: they are sent again, and nothing is charged twice";

/// What a decision about a foreign signature is recorded with: the worst.
const RISK: u8 = 100;

/// What people are told of a signature, once.
struct Alarm {
    severity: Severity,
    title: String,
    /// What was signed.
    of: B256,
}

/// A request that carries signatures, with what it concerns.
#[derive(Clone, Copy)]
struct Brought<'a> {
    setup: &'a Setup,
    agent: &'a AgentSetup,
    chain: &'a ChainSetup,
    submission: &'a Submission,
    draft: &'a TransactionDraft,
    /// Its bytes, where it is signed as a whole.
    raw: Option<&'a RawTransaction>,
}

impl<'a> Brought<'a> {
    /// `None` where the agent or the chain is not configured.
    fn of(
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
    const fn foreign(&self) -> &'static str {
        if self.raw.is_some() {
            "it is signed with a key that is not that of an external wallet of this agent"
        } else {
            "an authorisation in it is signed with a key that signs none"
        }
    }
}

/// Whose the signatures are that a request carries.
enum Whose {
    /// Of somebody who may sign: it is judged, like what carries none.
    Lawful,
    /// Its bytes were made here for this agent.
    MadeHere(Box<Made>),
    /// Of somebody who has no business here; with what people are told of.
    Foreign(Option<Stray>),
}

/// Bytes that were made here, and the operation that they belong to.
struct Made {
    record: OperationRecord,
    raw: RawTransaction,
}

/// A signature of a key that is here, made elsewhere.
enum Stray {
    Transaction(Box<RawTransaction>),
    Authorisation { of: B256, ours: Address },
}

impl Engine {
    /// Answers what is not to be judged at all; `None` goes on.
    pub(crate) async fn signed_elsewhere(
        self: &Arc<Self>,
        setup: &Setup,
        submission: &Submission,
        turn: &Turn,
    ) -> Option<Reply> {
        if let Some(answer) = signs_itself(setup, submission) {
            return Some(Reply::of(answer));
        }
        let draft = carries(&submission.draft)?;
        let brought = Brought::of(setup, submission, &draft)?;
        let answer = match self.whose(brought).await {
            Ok(Whose::Lawful) => return None,
            Ok(Whose::MadeHere(made)) => self.send_again(brought, *made, turn).await,
            Ok(Whose::Foreign(stray)) => {
                let alarm = match stray {
                    None => None,
                    Some(stray) => Some(self.alarm(brought.chain, stray).await),
                };
                self.refuse_foreign(brought, alarm).await
            }
            Err(answer) => answer,
        };
        Some(Reply::of(answer))
    }

    /// The same without the act: nothing is recorded, sent or told to people.
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
    async fn whose(&self, brought: Brought<'_>) -> Result<Whose, Answer> {
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

    /// Sends bytes that the agent had signed here: `eth_signTransaction` leaves that to it.
    async fn send_again(&self, brought: Brought<'_>, made: Made, turn: &Turn) -> Answer {
        if let Some(refusal) = self.withheld(&made).await {
            return refusal;
        }
        let Made { record, raw } = made;
        let (operation, transaction) = (record.id, Box::new(raw.transaction().clone()));
        let (hash, raw) = (raw.hash(), raw.encoded());
        if waits_for_a_block(&record, hash) {
            // as for any other request, others are judged meanwhile
            turn.give_back();
            let said = outcome_of(brought.chain.port.broadcast(&raw, hash).await);
            let newest = record.attempts.last().map_or(0, |attempt| attempt.number);
            match self.ports().ledger.sent(operation, newest, &said).await {
                Ok(record) => self.follow(&record),
                Err(error) => tracing::warn!(%operation, %error, "a send is not noted"),
            }
        }
        Answer::Signed(Signed { operation, hash, raw, transaction, bundle: None })
    }

    /// Why bytes that were made here are not sent now. Under a freeze nothing goes out that no node has seen.
    async fn withheld(&self, Made { record, raw }: &Made) -> Option<Answer> {
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

    /// What a stray signature says. One whose nonce is used up can have been read from the chain, and does nothing.
    async fn alarm(&self, chain: &ChainSetup, stray: Stray) -> Alarm {
        let raw = match stray {
            Stray::Transaction(raw) => raw,
            Stray::Authorisation { of, ours } => {
                let title = format!(
                    "an authorisation is signed by {ours}, whose key is here: it gives the account away"
                );
                return Alarm { severity: Severity::Critical, title, of };
            }
        };
        let sender = raw.sender();
        let severity = match chain.port.account(sender).await {
            Ok(account) if account.nonce > raw.transaction().nonce => Severity::Medium,
            Ok(_) | Err(_) => Severity::Critical,
        };
        let title = format!(
            "a transaction is signed by {sender}, whose key is here, and was not made here"
        );
        Alarm { severity, title, of: raw.hash() }
    }

    /// A recorded no. To the agent all foreign signatures are the same; people learn which key it is.
    async fn refuse_foreign(
        self: &Arc<Self>,
        brought: Brought<'_>,
        alarm: Option<Alarm>,
    ) -> Answer {
        let reason = brought.foreign();
        let entry = match self.foreign_trace(brought, reason).await {
            Ok(entry) => entry,
            Err(answer) => return answer,
        };
        if let Err(error) = self.journalled(brought.setup, &entry).await {
            return no_journal(error);
        }
        tracing::info!(trace_hash = %entry.trace_hash, agent = %brought.agent.id, "refused a foreign signature");
        if let Some(Alarm { severity, title, of }) = alarm
            && self.tells(Told::Leaked(of))
        {
            // the title names the key
            self.raise_about(
                severity,
                (EXTERNALLY_SIGNED, &title),
                (&title, String::new()),
                &entry,
            )
            .await;
        }
        self.hold_against(brought.agent, &entry).await;
        Answer::Denied(Denied {
            code: EXTERNALLY_SIGNED.into(),
            reason: reason.into(),
            register: Register::Halt,
            violations: Vec::new(),
            trace: entry.trace_hash,
            policy: Some(brought.agent.grant.id()),
            operation: None,
        })
    }

    async fn foreign_trace(&self, brought: Brought<'_>, reason: &str) -> Result<NewTrace, Answer> {
        let at = self.ports().ledger.now().await.map_err(|error| no_store(&error))?;
        let Brought { agent, submission, .. } = brought;
        let declared = &submission.declared;
        let validation = json!({
            "allowed": false,
            "outcome": "deny",
            "code": EXTERNALLY_SIGNED,
            "reason": reason,
            "riskScore": RISK,
            "violations": [],
        });
        let decision = DecisionRecord {
            operation_id: None,
            created_at: at,
            agent_id: Some(agent.id.clone()),
            session_key_hash: declared.session.as_deref().map(sha256),
            session: declared.session.clone(),
            reasoning: declared.reason.clone(),
            proposed_action: Value::String(proposed(brought).to_string()),
            validation_result: Value::String(validation.to_string()),
            policy_verdicts: Vec::new(),
            risk_score: RISK,
            blocked_by: Some(EXTERNALLY_SIGNED.into()),
            policy: Some(agent.grant.id()),
            guards: Vec::new(),
            facts: None,
            intent: None,
            charges: Vec::new(),
            gates: Vec::new(),
            overruns: Vec::new(),
            crowded: None,
        };
        let trace_hash = decision.hash();
        let (status, posted, canonical) = (TraceStatus::Blocked, None, None);
        Ok(NewTrace { trace_hash, decision, status, posted, canonical })
    }
}

/// The key is elsewhere: nothing can be signed for it here.
fn signs_itself(setup: &Setup, submission: &Submission) -> Option<Answer> {
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
fn carries(draft: &Draft) -> Option<Cow<'_, TransactionDraft>> {
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

/// Everything that was asked for, decoded, as for a decision.
fn proposed(brought: Brought<'_>) -> Value {
    let Brought { chain, submission, draft, raw, .. } = brought;
    let hash = raw.map(RawTransaction::hash);
    let sender = draft.from.unwrap_or(Address::ZERO);
    json!({
        "type": "transaction",
        "method": submission.method.name(),
        "from": sender,
        "chainId": chain.id,
        "to": draft.to,
        "valueWei": draft.value.to_string(),
        "data": draft.data,
        "gas": draft.gas,
        "nonce": draft.nonce,
        "hash": hash,
        "authorizations": draft.authorizations,
        "declaredAction": submission.declared.action,
        "actions": does(draft, sender, chain),
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

/// Whether a node may need these bytes: the newest ones, of what is not mined.
fn waits_for_a_block(record: &OperationRecord, hash: B256) -> bool {
    let newest = record.attempts.last().and_then(|attempt| attempt.hash);
    let on_its_way = [OperationState::Signed, OperationState::Broadcast, OperationState::Unknown];
    newest == Some(hash) && on_its_way.contains(&record.state)
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
