//! Transactions that agents bring signed, and authorisations that others signed: whose they are, before anything is
//! judged.
//!
//! What the owner of an external wallet signed is judged like any other request of the agent that may use it. What a
//! key that is here signed is lawful only where this gateway made those very bytes for that agent: then they are sent
//! again, and nothing is charged twice. Anything else of such a key was made by somebody who has it too. What anybody
//! else signed is refused, in the same words.

mod whose;

use std::sync::Arc;

use alloy_primitives::{Address, B256};
use countersign_core::{
    journal::sha256,
    operation::{OperationRecord, OperationState},
    raw::RawTransaction,
    trace::{DecisionRecord, Severity, TraceStatus},
};
use countersign_policy::decision::Register;
use serde_json::{Value, json};

use self::whose::{Brought, Made, Stray, Whose, carries, signs_itself};
use crate::{
    engine::{Engine, Told},
    execute::outcome_of,
    gather::no_store,
    intake::no_journal,
    port::journal::NewTrace,
    proposal::does,
    setup::{ChainSetup, Setup},
    submission::{Answer, Denied, Reply, Signed, Submission},
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

/// Whether a node may need these bytes: the newest ones, of what is not mined.
fn waits_for_a_block(record: &OperationRecord, hash: B256) -> bool {
    let newest = record.attempts.last().and_then(|attempt| attempt.hash);
    let on_its_way = [OperationState::Signed, OperationState::Broadcast, OperationState::Unknown];
    newest == Some(hash) && on_its_way.contains(&record.state)
}
