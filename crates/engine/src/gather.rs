//! Facts: everything that a rule may name, asked for at once and frozen.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{Address, U256};
use countersign_core::{
    abi::AbiValue,
    action::{Action, Effect},
    approval::GateApproval,
    fact::{Fact, Facts, TokenFact},
    intent::{Declared, Intent, Method},
    time::Timestamp,
    token::Asset,
    transaction::TransactionDraft,
};
use countersign_decode::{Call, actions};
use futures_util::future::{join_all, try_join3};

use crate::{
    admission::{Admitted, Parties},
    engine::Engine,
    plan::{Fails, Planned, needs_estimate, plan},
    port::{
        chain::{ChainError, Estimate, Head},
        ledger::LedgerError,
        prices::{PriceError, Prices},
    },
    reply::SEALED,
    setup::TokenSetup,
    submission::{Answer, Unavailable},
};

/// What a request asks for, with everything that is known about it.
#[derive(Debug)]
pub(crate) struct Gathered {
    /// The exact plan.
    pub(crate) intent: Intent,
    /// What is known.
    pub(crate) facts: Facts,
    /// Why the node says that it would fail, if it does.
    pub(crate) fails: Option<Fails>,
}

/// The request's side of a gathering.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request<'a> {
    pub(crate) parties: Parties<'a>,
    pub(crate) method: Method,
    pub(crate) draft: &'a TransactionDraft,
    pub(crate) declared: &'a Declared,
    pub(crate) approvals: &'a [GateApproval],
}

impl<'a> Request<'a> {
    /// What an agent asks for that nobody has approved yet.
    pub(crate) fn fresh(admitted: &'a Admitted) -> Result<Self, Answer> {
        Ok(Self {
            parties: admitted.parties()?,
            method: admitted.submission.method,
            draft: &admitted.submission.draft,
            declared: &admitted.submission.declared,
            approvals: &[],
        })
    }
}

impl Engine {
    /// Asks node, store and prices at once; nothing is decided here.
    pub(crate) async fn gather(
        &self,
        setup: &crate::setup::Setup,
        request: Request<'_>,
    ) -> Result<Gathered, Answer> {
        let Parties { wallet, chain, .. } = request.parties;
        let draft = request.draft;
        let actions = decoded(&request);
        let others = counterparties(&actions, wallet.address);
        let (from_chain, from_ledger, tokens) =
            try_join3(self.ask_chain(&request), self.ask_ledger(&request, &others), async {
                Ok(token_facts(&*setup.prices, chain, &actions).await)
            })
            .await?;
        let (head, estimate, balance) = from_chain;
        let Planned { plan, fails } = plan(chain.id, draft, &head, estimate)?;
        let data_fee = chain.port.data_fee_max(&plan).await.map_err(no_node)?;
        let fee_wei_max = plan.fee_wei_max().unwrap_or(U256::MAX).saturating_add(data_fee);
        let intent = Intent {
            agent: request.parties.agent.id.clone(),
            wallet: wallet.id.clone(),
            address: wallet.address,
            method: request.method,
            data_fee_max: data_fee,
            nonce: draft.nonce,
            declared: request.declared.clone(),
            plan,
        };
        let (at, seen, freezes) = from_ledger;
        let facts = Facts {
            at,
            role: request.parties.agent.role.clone(),
            owner: request.parties.agent.owner.clone(),
            actions,
            tokens,
            gas: intent.plan.gas,
            fee_wei_max,
            nonce: draft.nonce,
            balance_wei: Fact::Known(balance),
            seen: Fact::Known(seen),
            freezes,
            approvals: request.approvals.to_vec(),
        };
        Ok(Gathered { intent, facts, fails })
    }

    async fn ask_chain(
        &self,
        request: &Request<'_>,
    ) -> Result<(Head, Option<Estimate>, U256), Answer> {
        let Parties { wallet, chain, .. } = request.parties;
        let estimate = async {
            if needs_estimate(request.draft) {
                chain.port.estimate_gas(wallet.address, request.draft).await.map(Some)
            } else {
                Ok(None)
            }
        };
        let account = chain.port.account(wallet.address);
        let asked = try_join3(chain.port.head(), estimate, account).await;
        let (head, estimate, account) = asked.map_err(no_node)?;
        Ok((head, estimate, account.balance))
    }

    async fn ask_ledger(
        &self,
        request: &Request<'_>,
        others: &[Address],
    ) -> Result<(Timestamp, BTreeSet<Address>, Vec<countersign_core::fact::Freeze>), Answer> {
        let Parties { wallet, chain, .. } = request.parties;
        let ledger = &self.ports().ledger;
        try_join3(ledger.now(), ledger.seen(chain.id, &wallet.id, others), ledger.freezes())
            .await
            .map_err(|error| no_store(&error))
    }
}

/// What the call would do, by everything that the chain's registry knows.
pub(crate) fn decoded(request: &Request<'_>) -> Vec<Action> {
    let Parties { wallet, chain, .. } = request.parties;
    let draft = request.draft;
    let call = Call { wallet: wallet.address, to: draft.to, value: draft.value, data: &draft.data };
    actions(&call, &chain.registry)
}

/// Who gets value or authority: what `recipient.seen` asks about.
pub(crate) fn counterparties(actions: &[Action], wallet: Address) -> Vec<Address> {
    let of = |action: &Action| match &action.effect {
        Effect::Transfer { to, .. } => Some(*to),
        Effect::Approve { spender, .. } | Effect::Revoke { spender, .. } => Some(*spender),
        Effect::Call | Effect::Undecodable { .. } | Effect::TypedData { .. } => action.target,
        Effect::Delegate { delegate, .. } => Some(*delegate),
        Effect::Deploy { .. } | Effect::Text { .. } | Effect::Opaque { .. } => None,
    };
    let others = actions.iter().filter_map(of).filter(|address| *address != wallet);
    others.collect::<BTreeSet<_>>().into_iter().collect()
}

/// The chain's own currency, and each configured token that an action or an argument names, priced.
async fn token_facts(
    prices: &dyn Prices,
    chain: &crate::setup::ChainSetup,
    actions: &[Action],
) -> Vec<TokenFact> {
    let mut named = BTreeSet::new();
    for action in actions {
        name_addresses(action, &mut named);
    }
    let configured: BTreeMap<Address, &TokenSetup> =
        chain.tokens.iter().filter_map(|t| t.address.map(|a| (a, t))).collect();
    let tokens = named.iter().filter_map(|address| configured.get(address).copied());
    join_all(std::iter::once(&chain.native).chain(tokens).map(|t| token_fact(prices, t))).await
}

async fn token_fact(prices: &dyn Prices, token: &TokenSetup) -> TokenFact {
    let (price, never_priced) = match prices.price(&token.symbol).await {
        Ok(quote) => (Fact::Known(quote.price), false),
        Err(error @ PriceError::NeverPriced(_)) => (Fact::Unknown(error.to_string()), true),
        Err(error @ PriceError::Unavailable { .. }) => (Fact::Unknown(error.to_string()), false),
    };
    TokenFact {
        asset: token.address.map_or(Asset::Native, Asset::Token),
        name: token.name.clone(),
        decimals: token.decimals,
        price,
        never_priced,
    }
}

fn name_addresses(action: &Action, named: &mut BTreeSet<Address>) {
    let asset = match &action.effect {
        Effect::Transfer { asset, .. }
        | Effect::Approve { asset, .. }
        | Effect::Revoke { asset, .. } => asset.contract(),
        Effect::TypedData { domain, message, .. } => {
            name_in_value(domain, named);
            name_in_value(message, named);
            None
        }
        Effect::Call
        | Effect::Deploy { .. }
        | Effect::Undecodable { .. }
        | Effect::Delegate { .. }
        | Effect::Text { .. }
        | Effect::Opaque { .. } => None,
    };
    named.extend(asset);
    for function in &action.functions {
        name_in_value(&function.args, named);
    }
}

fn name_in_value(value: &AbiValue, named: &mut BTreeSet<Address>) {
    match value {
        AbiValue::Address(address) => {
            named.insert(*address);
        }
        AbiValue::List(items) => items.iter().for_each(|item| name_in_value(item, named)),
        AbiValue::Tuple(members) => members.iter().for_each(|(_, v)| name_in_value(v, named)),
        AbiValue::Uint(_)
        | AbiValue::Int(_)
        | AbiValue::Bool(_)
        | AbiValue::Bytes(_)
        | AbiValue::Text(_) => {}
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the form that map_err takes")]
pub(crate) fn no_node(error: ChainError) -> Answer {
    let ChainError::Unavailable { .. } = &error;
    Answer::Unavailable(Unavailable { code: "upstream_unavailable", reason: error.to_string() })
}

pub(crate) fn no_store(error: &LedgerError) -> Answer {
    let code = match error {
        LedgerError::Lost(_) => SEALED,
        LedgerError::Clock(_) => "clock_unavailable",
        LedgerError::Unavailable(_)
        | LedgerError::Ambiguous(_)
        | LedgerError::Refused(_)
        | LedgerError::Damaged(_) => "store_unavailable",
    };
    Answer::Unavailable(Unavailable { code, reason: error.to_string() })
}
