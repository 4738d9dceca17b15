//! Facts: everything that a rule may name, asked for at once and frozen.

use std::collections::BTreeSet;

use alloy_primitives::{Address, U256};
use countersign_core::{
    abi::AbiValue,
    action::{Action, Effect},
    amount::Price,
    approval::GateApproval,
    bundle::{Bundle, Call},
    fact::{CallFacts, Fact, Facts, Freeze, Simulated, TokenFact},
    intent::{Declared, Intent, Method, Payload},
    message::Message,
    pact::PactStanding,
    time::Timestamp,
    token::Asset,
    transaction::{TransactionDraft, TransactionPlan},
};
use countersign_policy::{Policies, Spent};
use futures_util::future::{join, join_all, try_join3, try_join4};

use crate::{
    admission::{Admitted, Parties, malformed},
    consult::{Hearing, opinion, oracle_facts},
    engine::Engine,
    execute::shortfall,
    judge::policies,
    plan::{Fails, Planned, needs_estimate, outflow_max, plan},
    port::{
        chain::{ChainError, Estimate, Head},
        ledger::LedgerError,
        prices::{PriceError, Prices},
    },
    proposal::Proposal,
    reply::SEALED,
    setup::{ChainSetup, CollectionSetup, Setup, SimulationMode, TokenSetup},
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
#[derive(Debug, Clone)]
pub(crate) struct Request<'a> {
    pub(crate) parties: Parties<'a>,
    pub(crate) method: Method,
    pub(crate) proposal: &'a Proposal,
    pub(crate) declared: &'a Declared,
    pub(crate) approvals: &'a [GateApproval],
    pub(crate) hearing: Hearing,
    /// Its place in a bundle, where it was asked for in one.
    pub(crate) bundle: Option<&'a Bundle>,
}

impl<'a> Request<'a> {
    /// What an agent asks for that nobody has approved yet.
    pub(crate) fn fresh(admitted: &'a Admitted) -> Result<Self, Answer> {
        Ok(Self {
            parties: admitted.parties()?,
            method: admitted.submission.method,
            proposal: &admitted.proposal,
            declared: &admitted.submission.declared,
            approvals: &[],
            hearing: Hearing::Ask,
            bundle: None,
        })
    }
}

/// What a request would do, read from it alone.
#[derive(Debug)]
pub(crate) struct Read {
    of_calls: Vec<Vec<Action>>,
    actions: Vec<Action>,
    /// Who gets value or authority.
    pub(crate) others: Vec<Address>,
}

impl Request<'_> {
    /// Reads it.
    pub(crate) fn read(&self) -> Read {
        let Parties { wallet, chain, .. } = self.parties;
        let of_calls = tracing::debug_span!("decode")
            .in_scope(|| self.proposal.actions_of_calls(wallet.address, chain));
        let actions = of_calls.concat();
        let others = counterparties(&actions, wallet.address);
        Read { of_calls, actions, others }
    }
}

impl Engine {
    /// Asks node, store and prices at once; nothing is decided here.
    pub(crate) async fn gather(
        &self,
        setup: &Setup,
        request: Request<'_>,
    ) -> Result<Gathered, Answer> {
        let read = request.read();
        let kept = self.ask_ledger(request.parties, read.others.clone());
        self.gather_beside(setup, request, read, kept).await
    }

    /// The same with what the books say, who may be asked for more at once.
    pub(crate) async fn gather_beside(
        &self,
        setup: &Setup,
        request: Request<'_>,
        read: Read,
        kept: impl Future<Output = Result<Kept, Answer>>,
    ) -> Result<Gathered, Answer> {
        let Parties { wallet, chain, .. } = request.parties;
        let Read { of_calls, actions, others: _ } = read;
        let policies = policies(setup, request.parties);
        let mode = simulation(&policies, request.parties, &actions);
        let priced = priced(&policies, request.parties, &actions);
        let (complete, (at, seen, freezes, pact), mut tokens, oracles) = try_join4(
            self.complete(&request, mode),
            kept,
            async { Ok(token_facts(&*setup.prices, chain, &priced).await) },
            async { Ok(oracle_facts(setup, (request.parties, &policies), &actions).await) },
        )
        .await?;
        let Complete { payload, rest, shares, data_fee_max, fails, balance_wei, simulated } =
            complete;
        let unnamed = unnamed(simulated.as_ref(), &tokens);
        tokens.extend(tokens_of(&*setup.prices, chain, &unnamed).await);
        let intent = Intent {
            agent: request.parties.agent.id.clone(),
            wallet: wallet.id.clone(),
            address: wallet.address,
            method: request.method,
            data_fee_max,
            nonce: request.proposal.nonce(),
            signature: request.proposal.signature(),
            declared: request.declared.clone(),
            payload,
            bundle: request.proposal.bundle(rest).or_else(|| request.bundle.cloned().map(Box::new)),
        };
        let fee_wei_max = intent.fee_wei_max().unwrap_or(U256::MAX);
        let mut facts = Facts {
            at,
            role: request.parties.agent.role.clone(),
            owner: request.parties.agent.owner.clone(),
            actions,
            tokens,
            gas: intent.gas(),
            fee_wei_max,
            nonce: intent.nonce,
            balance_wei,
            seen: Fact::Known(seen),
            simulation_required: simulated.is_some() && mode == SimulationMode::Required,
            simulated,
            oracles,
            opinion: None,
            fee_ceiling_wei: Some(U256::from(chain.fee_ceiling)),
            freezes,
            pact,
            approvals: request.approvals.to_vec(),
            calls: shares_of(shares, &of_calls),
        };
        facts.opinion = match request.hearing {
            Hearing::Ask => opinion(setup, (request.parties, &policies), (&intent, &facts)).await,
            Hearing::Heard(heard) => Some(heard),
        };
        Ok(Gathered { intent, facts, fails })
    }

    /// The payload as it would be signed. A message is complete, and no node is asked about it.
    async fn complete(
        &self,
        request: &Request<'_>,
        mode: SimulationMode,
    ) -> Result<Complete, Answer> {
        let chain = request.parties.chain;
        let draft = match request.proposal {
            Proposal::Message(read) => return Ok(Complete::message(read.message.clone())),
            Proposal::Calls(bundle) => {
                return self.complete_calls(request, &bundle.calls, mode).await;
            }
            Proposal::Transaction(draft) => draft,
            Proposal::Signed(signed) => &signed.draft,
        };
        let (head, estimate, balance) = self.ask_chain(request, draft).await?;
        let Planned { plan, fails } = plan(chain.id, draft, &head, estimate)?;
        // INVARIANT: of what is signed, what is judged is what was signed
        if request.proposal.signed().is_some_and(|signed| *signed != plan) {
            return Err(malformed("raw", "says something that no chain takes as it stands"));
        }
        let simulated = simulated(request.parties, &plan, mode);
        let (data_fee_max, simulated) = join(chain.port.data_fee_max(&plan), simulated).await;
        let data_fee_max = data_fee_max.map_err(no_node)?;
        let payload = Payload::Transaction(plan);
        let balance_wei = Fact::Known(balance);
        let (rest, shares) = (Vec::new(), Vec::new());
        Ok(Complete { payload, rest, shares, data_fee_max, fails, balance_wei, simulated })
    }

    /// The same for the calls of a bundle, each after those before it.
    async fn complete_calls(
        &self,
        request: &Request<'_>,
        drafts: &[TransactionDraft],
        mode: SimulationMode,
    ) -> Result<Complete, Answer> {
        let Parties { wallet, chain, .. } = request.parties;
        let (port, address) = (&chain.port, wallet.address);
        let estimates = port.estimate_in_order(address, drafts);
        let account = port.account_with(address, self.settled_to(&request.parties.lane()));
        let asked = try_join3(port.head(), account, estimates).await;
        let (head, account, estimates) = asked.map_err(no_node)?;
        let mut planned = Vec::with_capacity(drafts.len());
        for (draft, estimate) in drafts.iter().zip(estimates) {
            planned.push(plan(chain.id, draft, &head, Some(estimate))?);
        }
        let each = planned.iter().map(|planned| async {
            let simulated = simulated(request.parties, &planned.plan, mode);
            join(port.data_fee_max(&planned.plan), simulated).await
        });
        let told = join_all(each).await;
        let mut shares = Vec::with_capacity(planned.len());
        for (planned, (data_fee_max, simulated)) in planned.into_iter().zip(told) {
            let data_fee_max = data_fee_max.map_err(no_node)?;
            shares.push(Share { planned, data_fee_max, simulated });
        }
        Complete::of_calls(shares, account.balance)
    }

    async fn ask_chain(
        &self,
        request: &Request<'_>,
        draft: &TransactionDraft,
    ) -> Result<(Head, Option<Estimate>, U256), Answer> {
        let Parties { wallet, chain, .. } = request.parties;
        let estimate = async {
            if needs_estimate(draft) {
                chain.port.estimate_gas(wallet.address, draft).await.map(Some)
            } else {
                Ok(None)
            }
        };
        let settled_to = self.settled_to(&request.parties.lane());
        let account = chain.port.account_with(wallet.address, settled_to);
        let asked = try_join3(chain.port.head(), estimate, account).await;
        let (head, estimate, account) = asked.map_err(no_node)?;
        Ok((head, estimate, account.balance))
    }

    async fn ask_ledger(&self, parties: Parties<'_>, others: Vec<Address>) -> Result<Kept, Answer> {
        let Parties { wallet, chain, .. } = parties;
        let ledger = &self.ports().ledger;
        let pact = parties.pact();
        let seen = ledger.seen(chain.id, &wallet.id, &others);
        try_join4(ledger.now(), seen, ledger.freezes(), ledger.pact(&pact))
            .await
            .map_err(|error| no_store(&error))
    }
}

/// What the books say besides the counters: the time, who was paid before, freezes, what became of the pact.
pub(crate) type Kept = (Timestamp, BTreeSet<Address>, Vec<Freeze>, Option<PactStanding>);

/// One call of a bundle with what the node said about it.
struct Share {
    planned: Planned,
    data_fee_max: U256,
    simulated: Option<Fact<Simulated>>,
}

/// A payload with what the node said about it.
struct Complete {
    payload: Payload,
    /// The further calls of a bundle.
    rest: Vec<Call>,
    /// What belongs to each call of a bundle of several, but for its actions.
    shares: Vec<CallFacts>,
    data_fee_max: U256,
    fails: Option<Fails>,
    balance_wei: Fact<U256>,
    simulated: Option<Fact<Simulated>>,
}

/// Why the bundle would fail: the first call of which the node says so, or the wallet cannot pay for all of them.
fn fails_together(shares: &[Share], balance: U256) -> Option<Fails> {
    let numbered = (1_usize..).zip(shares);
    let mut failing = numbered.filter_map(|(n, share)| Some((n, share.planned.fails.as_ref()?)));
    if let Some((n, fails)) = failing.next() {
        return Some(Fails { message: format!("call {n}: {}", fails.message), ..fails.clone() });
    }
    let outflows = shares.iter().map(|s| outflow_max(&s.planned.plan, s.data_fee_max));
    let needed = outflows.fold(U256::ZERO, U256::saturating_add);
    (needed > balance).then(|| Fails {
        code: None,
        message: shortfall(needed, balance),
        data: None,
    })
}

fn together(
    one: Option<Fact<Simulated>>,
    other: Option<Fact<Simulated>>,
) -> Option<Fact<Simulated>> {
    match (one?, other?) {
        (Fact::Known(one), Fact::Known(other)) => Some(Fact::Known(one.together(other))),
        (unknown @ Fact::Unknown(_), _) | (_, unknown @ Fact::Unknown(_)) => Some(unknown),
    }
}

/// Each call's share with the number of its actions.
fn shares_of(shares: Vec<CallFacts>, actions: &[Vec<Action>]) -> Vec<CallFacts> {
    let with =
        |(share, actions): (CallFacts, &Vec<Action>)| CallFacts { actions: actions.len(), ..share };
    shares.into_iter().zip(actions).map(with).collect()
}

/// How this request is simulated: not at all where nobody needs it (POLICY §5).
fn simulation(policies: &Policies, parties: Parties<'_>, actions: &[Action]) -> SimulationMode {
    let needed = policies.need_simulation(parties.identity(), actions);
    if needed { parties.chain.simulation } else { SimulationMode::Off }
}

async fn simulated(
    parties: Parties<'_>,
    plan: &TransactionPlan,
    mode: SimulationMode,
) -> Option<Fact<Simulated>> {
    if mode == SimulationMode::Off {
        return None;
    }
    let Parties { wallet, chain, .. } = parties;
    Some(match chain.port.simulate(wallet.address, plan).await {
        Ok(simulated) => Fact::Known(simulated),
        Err(error) => Fact::Unknown(error.to_string()),
    })
}

impl Complete {
    fn message(message: Message) -> Self {
        let balance_wei = Fact::Unknown("the balance is not asked for a message".into());
        let payload = Payload::Message(message);
        let (rest, shares, data_fee_max) = (Vec::new(), Vec::new(), U256::ZERO);
        Self { payload, rest, shares, data_fee_max, fails: None, balance_wei, simulated: None }
    }

    fn of_calls(shares: Vec<Share>, balance: U256) -> Result<Self, Answer> {
        let fails = fails_together(&shares, balance);
        let all = shares.iter().map(|share| share.simulated.clone());
        let simulated = all.reduce(together).flatten();
        let mut facts = Vec::with_capacity(shares.len());
        let mut calls = Vec::with_capacity(shares.len());
        for Share { planned, data_fee_max, simulated } in shares {
            let call = Call { plan: planned.plan, data_fee_max };
            let (gas, fee) = (call.plan.gas, call.fee_wei_max().unwrap_or(U256::MAX));
            facts.push(CallFacts { actions: 0, gas, fee_wei_max: fee, simulated });
            calls.push(call);
        }
        let mut calls = calls.into_iter();
        let first = calls.next().ok_or_else(|| malformed("calls", "there are none"))?;
        let rest: Vec<Call> = calls.collect();
        Ok(Self {
            payload: Payload::Transaction(first.plan),
            // a single call is judged like any transaction
            shares: if rest.is_empty() { Vec::new() } else { facts },
            rest,
            data_fee_max: first.data_fee_max,
            fails,
            balance_wei: Fact::Known(balance),
            simulated,
        })
    }
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

/// Every address that an action or an argument names.
fn named_by(actions: &[Action]) -> BTreeSet<Address> {
    let mut named = BTreeSet::new();
    for action in actions {
        name_addresses(action, &mut named);
    }
    named
}

/// Every token whose price a judgement may need: what actions name, and what a rule says that they move.
fn priced(policies: &Policies, parties: Parties<'_>, actions: &[Action]) -> BTreeSet<Address> {
    let tokens = &parties.chain.tokens;
    let contract = |spent: Spent<'_>| match spent {
        Spent::At(contract) => Some(contract),
        Spent::Named(name) => tokens.iter().find(|t| t.name.eq_ignore_ascii_case(name))?.address,
    };
    let mut named = named_by(actions);
    named.extend(policies.spent(actions).filter_map(contract));
    named
}

/// What a simulation names and no action does.
fn unnamed(simulated: Option<&Fact<Simulated>>, known: &[TokenFact]) -> BTreeSet<Address> {
    let changes = simulated.and_then(Fact::known).map(|s| s.changes.as_slice()).unwrap_or_default();
    let contracts = changes.iter().filter_map(|change| change.asset.contract());
    let known: BTreeSet<_> = known.iter().filter_map(|token| token.asset.contract()).collect();
    contracts.filter(|contract| !known.contains(contract)).collect()
}

/// The chain's own currency, and each configured token among these, priced.
async fn token_facts(
    prices: &dyn Prices,
    chain: &ChainSetup,
    named: &BTreeSet<Address>,
) -> Vec<TokenFact> {
    let (native, mut tokens) =
        join(token_fact(prices, chain, &chain.native), tokens_of(prices, chain, named)).await;
    tokens.insert(0, native);
    tokens
}

/// Each configured token and collection among these, priced.
async fn tokens_of(
    prices: &dyn Prices,
    chain: &ChainSetup,
    named: &BTreeSet<Address>,
) -> Vec<TokenFact> {
    let is_named = |address: Option<Address>| address.is_some_and(|at| named.contains(&at));
    let tokens = chain.tokens.iter().filter(|token| is_named(token.address));
    let collections = chain.collections.iter().filter(|items| is_named(Some(items.address)));
    let (mut facts, items) = join(
        join_all(tokens.map(|token| token_fact(prices, chain, token))),
        join_all(collections.map(|items| collection_fact(prices, items))),
    )
    .await;
    facts.extend(items);
    facts
}

/// What the contract says of its decimals, where it says another number than the configuration.
async fn decimals_said(chain: &ChainSetup, token: &TokenSetup) -> Option<U256> {
    // no answer is no mismatch
    let said = chain.port.decimals(token.address?).await.ok().flatten()?;
    Some(said).filter(|said| *said != U256::from(token.decimals))
}

async fn token_fact(prices: &dyn Prices, chain: &ChainSetup, token: &TokenSetup) -> TokenFact {
    let ((price, never_priced), decimals_said) =
        join(price(prices, &token.symbol), decimals_said(chain, token)).await;
    TokenFact {
        asset: token.address.map_or(Asset::Native, Asset::Token),
        name: token.name.clone(),
        decimals: token.decimals,
        price,
        never_priced,
        decimals_said,
        held_max: None,
    }
}

/// The price is that of one item.
async fn collection_fact(prices: &dyn Prices, items: &CollectionSetup) -> TokenFact {
    let (price, never_priced) = price(prices, &items.symbol).await;
    TokenFact {
        asset: Asset::Collection(items.address),
        name: items.name.clone(),
        decimals: 0,
        price,
        never_priced,
        decimals_said: None,
        held_max: items.held_max,
    }
}

/// A price, and whether no source ever names one.
async fn price(prices: &dyn Prices, symbol: &str) -> (Fact<Price>, bool) {
    match prices.price(symbol).await {
        Ok(quote) => (Fact::Known(quote.price), false),
        Err(error @ PriceError::NeverPriced(_)) => (Fact::Unknown(error.to_string()), true),
        Err(error @ PriceError::Unavailable { .. }) => (Fact::Unknown(error.to_string()), false),
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
    named.extend(action.spends.iter().flatten().filter_map(|outflow| outflow.asset.contract()));
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
