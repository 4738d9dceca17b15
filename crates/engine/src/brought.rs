//! Transactions that agents bring signed, and authorisations that others signed: whose they are, before anything is
//! judged.
//!
//! What the owner of an external wallet signed is judged like any other request of the agent that may use it. What a
//! key that is here signed is lawful only where this gateway made those very bytes for that agent: then they are sent
//! again, and nothing is charged twice. Anything else of such a key was made by somebody who has it too. What anybody
//! else signed is refused, in the same words.

use std::sync::Arc;

use alloy_primitives::{Address, B256};
use countersign_core::{
    fact::Freeze,
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
    submission::{Answer, Denied, Draft, NodeRefused, Reply, Signed, Submission},
    tracker::is_unseen,
    turn::Turn,
};

/// The code of what was signed by a key that has no business here, and of what only such a key could sign.
pub(crate) const EXTERNALLY_SIGNED: &str = "externally_signed";

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
    /// The hash of its bytes, where it is signed as a whole.
    hash: Option<B256>,
    turn: &'a Turn,
}

impl Engine {
    /// Answers what is not to be judged at all; `None` goes on.
    pub(crate) async fn signed_elsewhere(
        self: &Arc<Self>,
        setup: &Setup,
        submission: &Submission,
        turn: &Turn,
    ) -> Option<Reply> {
        let agent = setup.agents.get(&submission.agent)?;
        let chain = setup.chains.get(&submission.chain)?;
        let of = |draft, hash| Brought { setup, agent, chain, submission, draft, hash, turn };
        let answer = match &submission.draft {
            Draft::Raw(raw) => {
                let draft = RawTransaction::clone(raw).into_draft();
                self.brought(of(&draft, Some(raw.hash())), raw).await
            }
            Draft::Transaction(draft) => match signs_itself(setup, agent, submission) {
                Some(answer) => Some(answer),
                None => self.authorised_elsewhere(of(draft, None)).await,
            },
            Draft::Message { .. } | Draft::Calls(_) => signs_itself(setup, agent, submission),
        };
        answer.map(Reply::of)
    }

    async fn brought(
        self: &Arc<Self>,
        brought: Brought<'_>,
        raw: &RawTransaction,
    ) -> Option<Answer> {
        let Brought { setup, agent, chain, draft, .. } = brought;
        if let Err(answer) = for_chain(draft, chain.id) {
            return Some(answer);
        }
        let own = setup.wallet_of(agent, raw.sender());
        if own.is_some_and(|wallet| wallet.signer.is_external()) {
            return self.authorised_elsewhere(brought).await;
        }
        let made = match self.made_here(brought, raw).await {
            Ok(made) => made,
            Err(answer) => return Some(answer),
        };
        let alarm = match made {
            Some(record) if own.is_some() && *record.agent() == agent.id => {
                return Some(self.send_again(brought, record, raw).await);
            }
            None if setup.holds_key_of(raw.sender()) => Some(self.leak(chain, raw).await),
            // of another agent's request: the key is safe. Of a key that nobody knows: nobody's alarm
            Some(_) | None => None,
        };
        Some(self.refuse_foreign(brought, alarm).await)
    }

    /// An authorisation (EIP-7702) by a key that is here was made elsewhere: no method here signs one.
    async fn authorised_elsewhere(self: &Arc<Self>, brought: Brought<'_>) -> Option<Answer> {
        let authority = |one: &Authorization| Some((one.signing_hash(), one.authority()?));
        let mut signed = brought.draft.authorizations.iter().filter_map(authority);
        let (of, ours) = signed.find(|(_, authority)| brought.setup.holds_key_of(*authority))?;
        let title = format!(
            "an authorisation is signed by {ours}, whose key is here: it gives the account away"
        );
        let alarm = Alarm { severity: Severity::Critical, title, of };
        Some(self.refuse_foreign(brought, Some(alarm)).await)
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

    /// Sends bytes that the agent had signed here: `eth_signTransaction` leaves that to it. Under a freeze nothing goes
    /// out that no node has seen.
    async fn send_again(
        &self,
        brought: Brought<'_>,
        record: OperationRecord,
        raw: &RawTransaction,
    ) -> Answer {
        if let Some(refusal) = replaced(&record, raw) {
            return refusal;
        }
        if is_unseen(&record) {
            match self.ports().ledger.freezes().await {
                Ok(freezes) if freezes.iter().any(|freeze| covers(freeze, &record)) => {
                    return frozen(&record);
                }
                Ok(_) => {}
                Err(error) => return no_store(&error),
            }
        }
        let (operation, transaction) = (record.id, Box::new(raw.transaction().clone()));
        let (hash, raw) = (raw.hash(), raw.encoded());
        if waits_for_a_block(&record, hash) {
            // as for any other request, others are judged meanwhile
            brought.turn.give_back();
            let said = outcome_of(brought.chain.port.broadcast(&raw, hash).await);
            let newest = record.attempts.last().map_or(0, |attempt| attempt.number);
            match self.ports().ledger.sent(operation, newest, &said).await {
                Ok(record) => self.follow(&record),
                Err(error) => tracing::warn!(%operation, %error, "a send is not noted"),
            }
        }
        Answer::Signed(Signed { operation, hash, raw, transaction, bundle: None })
    }

    /// What a stray signature says. One whose nonce is used up can have been read from the chain, and does nothing.
    async fn leak(&self, chain: &ChainSetup, raw: &RawTransaction) -> Alarm {
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
        let reason = if brought.hash.is_some() {
            "it is signed with a key that is not that of an external wallet of this agent"
        } else {
            "an authorisation in it is signed with a key that signs none"
        };
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
fn signs_itself(setup: &Setup, agent: &AgentSetup, submission: &Submission) -> Option<Answer> {
    let from = submission.draft.from()?;
    let wallet = setup.wallet_of(agent, from)?;
    wallet.signer.is_external().then_some(Answer::SignsItself(from))
}

/// Everything that was asked for, decoded, as for a decision.
fn proposed(brought: Brought<'_>) -> Value {
    let Brought { chain, submission, draft, hash, .. } = brought;
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
        code: "frozen".into(),
        reason: "an operator has frozen signing, and what was signed before is not sent meanwhile"
            .into(),
        register: Register::Constructive,
        violations: Vec::new(),
        trace: record.trace,
        policy: None,
        operation: Some(record.id),
    })
}
