//! What a request would do, read where it is made: the intent and the facts that a gateway would gather, as far as they
//! are known without a node, a store and a price source.

use std::collections::BTreeSet;

use alloy_primitives::{B256, Signature, U256};
use countersign_core::{
    action::Action,
    bundle::{Bundle, Call as BundledCall},
    draft::FieldError,
    fact::{CallFacts, Fact, Facts},
    intent::{Intent, Payload},
    message::{Content, Message},
    raw::RawTransaction,
    transaction::{TransactionDraft, TransactionPlan},
};
use countersign_decode::{
    Authority, Call, TypedData, actions, delegations, text_actions, text_digest,
    typed_data_authority,
};
use countersign_engine::{
    assumed,
    port::chain::Head,
    submission::{CallsDraft, Draft, Malformed},
};
use countersign_server::Asked;

use super::place::Place;
use crate::{clock, failure::Failure};

/// A node's state for what a request leaves open: gas costs 1 gwei.
const HEAD: Head = Head {
    number: 0,
    hash: B256::ZERO,
    gas_limit: u64::MAX,
    base_fee: Some(500_000_000),
    tip: 0,
    gas_price: 1_000_000_000,
};

/// A request, read.
pub(super) struct Reading {
    pub(super) intent: Intent,
    pub(super) facts: Facts,
}

/// What would be signed, with what it would do.
struct Contents {
    payload: Payload,
    /// Of each call of a bundle, in order; everything else is one.
    of_calls: Vec<Vec<Action>>,
    nonce: Option<u64>,
    signature: Option<Signature>,
    bundle: Option<Box<Bundle>>,
}

impl Contents {
    const fn alone(payload: Payload, of_calls: Vec<Vec<Action>>, nonce: Option<u64>) -> Self {
        Self { payload, of_calls, nonce, signature: None, bundle: None }
    }
}

impl Place<'_> {
    /// Reads a request that is made here.
    pub(super) fn read(&self, asked: Asked) -> Result<Reading, Failure> {
        let Asked { method, draft, declared, is_call: _ } = asked;
        let Contents { payload, of_calls, nonce, signature, bundle } = self.contents(draft)?;
        let intent = Intent {
            agent: self.agent.clone(),
            wallet: self.wallet.clone(),
            address: self.address,
            method,
            payload,
            data_fee_max: U256::ZERO,
            nonce,
            signature,
            declared,
            bundle,
        };
        let facts = Facts {
            at: clock::now(),
            role: self.role.clone(),
            owner: self.owner.clone(),
            calls: shares(&intent, &of_calls),
            actions: of_calls.concat(),
            tokens: self.token_facts(),
            gas: intent.gas(),
            fee_wei_max: intent.fee_wei_max().unwrap_or(U256::MAX),
            nonce,
            balance_wei: Fact::Unknown("nobody was asked: this is no running gateway".into()),
            seen: Fact::Known(BTreeSet::new()),
            simulated: None,
            simulation_required: false,
            oracles: Vec::new(),
            opinion: None,
            fee_ceiling_wei: Some(self.fee_ceiling),
            freezes: Vec::new(),
            pact: None,
            approvals: Vec::new(),
        };
        Ok(Reading { intent, facts })
    }

    fn contents(&self, draft: Draft) -> Result<Contents, Failure> {
        match draft {
            Draft::Transaction(draft) => {
                let payload = Payload::Transaction(self.plan(&draft)?);
                Ok(Contents::alone(payload, vec![self.does(&draft)], draft.nonce))
            }
            Draft::Raw(raw) => self.signed(*raw),
            Draft::Message { from: _, content } => self.message(content),
            Draft::Calls(bundle) => self.calls(*bundle),
        }
    }

    fn plan(&self, draft: &TransactionDraft) -> Result<TransactionPlan, Failure> {
        let wrong = |Malformed { field, reason }| unread(&FieldError::new(&field, reason));
        assumed(self.chain, draft, &HEAD).map_err(wrong)
    }

    fn does(&self, draft: &TransactionDraft) -> Vec<Action> {
        let (to, value, data) = (draft.to, draft.value, &draft.data);
        let mut all = actions(&Call { wallet: self.address, to, value, data }, &self.registry);
        all.extend(delegations(&draft.authorizations));
        all
    }

    /// Nothing is open of what is signed, and nothing is filled in.
    fn signed(&self, raw: RawTransaction) -> Result<Contents, Failure> {
        let (signature, plan) = (raw.signature(), raw.transaction().plan.clone());
        let draft = raw.into_draft();
        if self.plan(&draft)? != plan {
            let reason = "says something that no chain takes as it stands";
            return Err(unread(&FieldError::new("raw", reason)));
        }
        let contents =
            Contents::alone(Payload::Transaction(plan), vec![self.does(&draft)], draft.nonce);
        Ok(Contents { signature: Some(signature), ..contents })
    }

    fn message(&self, content: Content) -> Result<Contents, Failure> {
        let (message, actions) = match content {
            Content::Text(bytes) => {
                let actions = text_actions(&bytes, self.address, self.chain);
                let digest = text_digest(&bytes);
                let content = Content::Text(bytes);
                (Message { chain: self.chain, content, digest, lasting: None }, actions)
            }
            Content::TypedData(text) => {
                let data = TypedData::parse(&text).and_then(|data| data.for_chain(self.chain));
                let data = data.map_err(|error| unread(&error))?;
                let Authority { actions, lasting } =
                    typed_data_authority(self.address, self.chain, &data, &self.registry);
                let (digest, content) = (data.digest(), Content::TypedData(data.canonical_json()));
                (Message { chain: self.chain, content, digest, lasting }, actions)
            }
        };
        Ok(Contents::alone(Payload::Message(message), vec![actions], None))
    }

    fn calls(&self, bundle: CallsDraft) -> Result<Contents, Failure> {
        let CallsDraft { from: _, id, handle, calls } = bundle;
        let of_calls = calls.iter().map(|draft| self.does(draft)).collect();
        let plans = calls.iter().map(|draft| self.plan(draft)).collect::<Result<Vec<_>, _>>()?;
        let count = u32::try_from(plans.len()).unwrap_or(u32::MAX);
        let mut plans = plans.into_iter();
        let first = plans.next().ok_or_else(|| Failure::refused("`calls`: is empty"))?;
        let call = |plan| BundledCall { plan, data_fee_max: U256::ZERO };
        let rest = plans.map(call).collect();
        let contents = Contents::alone(Payload::Transaction(first), of_calls, None);
        Ok(Contents {
            bundle: Some(Box::new(Bundle { handle, id, index: 0, count, rest })),
            ..contents
        })
    }
}

/// What belongs to each call of a bundle of several: a single call is judged like any transaction.
fn shares(intent: &Intent, of_calls: &[Vec<Action>]) -> Vec<CallFacts> {
    if intent.rest().is_empty() {
        return Vec::new();
    }
    let share = |(call, actions): (Intent, &Vec<Action>)| CallFacts {
        actions: actions.len(),
        gas: call.gas(),
        fee_wei_max: call.fee_wei_max().unwrap_or(U256::MAX),
        simulated: None,
    };
    intent.calls().into_iter().zip(of_calls).map(share).collect()
}

fn unread(error: &FieldError) -> Failure {
    Failure::refused(error.to_string())
}
