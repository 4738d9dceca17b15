//! `countersign policy explain`: one call in, everything that a policy says to it out; without a call, what it says at all.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use alloy_primitives::{
    Address, Bytes, U256,
    utils::{format_units, parse_units},
};
use countersign_core::{
    action::Action,
    draft,
    fact::{Fact, Facts, TokenFact},
    identity::{AgentId, ChainId, OperatorId, WalletId},
    intent::{Declared, Intent, Method, Payload},
    json::{Json, Limits},
    message::{Content, Message},
    pact::{PactStanding, Word},
    time::Timestamp,
    token::Asset,
    transaction::{FeeBid, TransactionDraft, TransactionPlan, TransactionType},
};
use countersign_decode::{
    Authority, Call, Registry, TypedData, actions, delegations, text_actions, text_digest,
    typed_data_authority,
};
use countersign_engine::setup::{CollectionSetup, TokenSetup};
use countersign_policy::{
    Kind, Policies, Policy, decide,
    decision::{Decision, Outcome, Says, Verdict},
};
use serde_json::json;

use super::{policy, pretty};
use crate::{
    cli::{ExplainArgs, Output},
    clock,
    config::{AgentEntry, Config, WalletEntry},
    failure::Failure,
    policies,
    screen::{Paint, plain, say},
    wiring,
};

/// Gas and price of a call that names neither: a plain transfer at 1 gwei.
const GAS: u64 = 21_000;
const WEI_PER_GAS: u128 = 1_000_000_000;

/// Shows what a policy would say now, with nothing spent yet; without a request, what it says at all.
pub(crate) fn run(args: &ExplainArgs) -> Result<(), Failure> {
    let file = match args.files.as_slice() {
        files if !names_a_request(args) => return outlines(files, args.output.output),
        [file] => file,
        _ => {
            return Err(Failure::refused("a request is explained under one policy: name one file"));
        }
    };
    let policy = policy::read(file)?;
    let loaded = args.config.as_deref().map(policies::load).transpose()?;
    let draft = args.tx.as_deref().map(transaction).transpose()?;
    let wallet = args.wallet.as_deref().map(draft::address).transpose();
    let wallet = wallet.map_err(|error| Failure::refused(format!("--wallet: {error}")))?;
    let from = wallet.or(draft.as_ref().and_then(|draft| draft.from));
    let place = match &loaded {
        Some(loaded) => Place::configured((args, file), from, &policy, &loaded.config)?,
        None => Place::invented(args, from, &policy)?,
    };
    let (intent, mut facts) = place.facts(place.asked(args, draft)?);
    if args.approved {
        facts.pact = Some(approved(facts.at)?);
    }
    let guards = loaded.map_or_else(Vec::new, |loaded| loaded.guards);
    let judged = judge(policy, guards, &intent, &facts)?;
    match args.output.output {
        Output::Json => say(pretty(&as_json((&intent, &facts), &judged))),
        Output::Table => show((&intent, &facts), &judged),
    }
    Ok(())
}

/// Whether anything is asked about, besides the policies themselves.
fn names_a_request(args: &ExplainArgs) -> bool {
    let ExplainArgs { tx, to, value, calldata, message, typed_data, .. } = args;
    typed_data.is_some() || [tx, to, value, calldata, message].into_iter().any(Option::is_some)
}

/// What policies say in the core language, whatever they were written in: all that can change a judgement.
fn outlines(files: &[PathBuf], output: Output) -> Result<(), Failure> {
    for file in files {
        let policy = policy::read(file)?;
        let core: serde_json::Value = serde_json::from_str(&policy.canonical_json())
            .map_err(|error| Failure::failed(error.to_string()))?;
        match output {
            Output::Json => say(pretty(&core)),
            Output::Table => outline(&policy, &core),
        }
    }
    Ok(())
}

fn outline(policy: &Policy, core: &serde_json::Value) {
    let paint = Paint::stdout();
    say(format!("{} {}", paint.bold(policy.name()), policy.id()));
    for (name, part) in core.as_object().into_iter().flatten() {
        say(paint.bold(name));
        let items = part.as_array().map_or(std::slice::from_ref(part), Vec::as_slice);
        for item in items {
            say(format!("  {}", plain(&item.to_string())));
        }
    }
}

/// A grant judges beside the guards of the configuration; a guard alone, beside a grant that allows everything it is asked.
fn judge(
    policy: Policy,
    guards: Vec<Policy>,
    intent: &Intent,
    facts: &Facts,
) -> Result<Decision, Failure> {
    let policies = match policy.kind() {
        Kind::Grant => Policies { grant: policy, guards },
        Kind::Guard => {
            let grant = Policy::parse(ALLOW_ALL, "the grant that explain puts beside a guard");
            let grant = grant.map_err(|errors| Failure::failed(errors.to_string()))?;
            Policies { grant, guards: vec![policy] }
        }
    };
    Ok(decide(intent, facts, &policies))
}

/// A pact to which somebody says yes now.
fn approved(at: Timestamp) -> Result<PactStanding, Failure> {
    let by = OperatorId::parse("somebody").map_err(|error| Failure::failed(error.to_string()))?;
    Ok(PactStanding::Approved { approved: Word { by, at, note: None } })
}

const ALLOW_ALL: &str = "policy: explain\nkind: grant\nrules:\n  - { id: everything, when: { kind: [transfer, approve, revoke, call, deploy, delegate, typed_data, text] }, then: allow }\n  - { id: of-others, when: { kind: transfer, from: { ne: self } }, then: allow }\n";

/// Where the call would happen.
struct Place {
    chain: ChainId,
    agent: AgentId,
    wallet: WalletId,
    address: Address,
    owner: Option<String>,
    role: Option<String>,
    native: TokenSetup,
    tokens: Vec<TokenSetup>,
    collections: Vec<CollectionSetup>,
    registry: Registry,
    prices: BTreeMap<String, countersign_core::amount::Price>,
}

impl Place {
    fn configured(
        (args, file): (&ExplainArgs, &Path),
        from: Option<Address>,
        policy: &Policy,
        config: &Config,
    ) -> Result<Self, Failure> {
        let asked = args.chain.map(ChainId).or_else(|| policy.scope().chains.first().copied());
        let mut chains = config.chains.iter();
        let chain = chains.find(|chain| asked.is_none_or(|id| id == chain.id));
        let chain = chain
            .ok_or_else(|| Failure::refused("the configuration has no such chain: see --chain"))?;
        let (agent, wallet) = names(policy)?;
        let entry = asker((args, file), from, policy, config)?;
        let signer = signer(from, policy, config, entry)?;
        let (native, tokens) = wiring::tokens(chain);
        Ok(Self {
            chain: chain.id,
            owner: entry.and_then(|entry| entry.owner.clone()),
            role: entry.and_then(|entry| entry.role.clone()),
            agent: entry.map_or(agent, |entry| entry.id.clone()),
            wallet: signer.map_or(wallet, |wallet| wallet.id.clone()),
            address: signer.map_or(SOMEBODY, |wallet| wallet.address),
            native,
            tokens,
            collections: wiring::collections(chain),
            registry: wiring::registry(chain, &config.abis.files, [policy]),
            prices: config.prices.fixed(),
        })
    }

    fn invented(
        args: &ExplainArgs,
        from: Option<Address>,
        policy: &Policy,
    ) -> Result<Self, Failure> {
        let chain = args.chain.map(ChainId).or_else(|| policy.scope().chains.first().copied());
        let chain = chain.unwrap_or(ChainId(31337));
        let price =
            args.price.parse().map_err(|error| Failure::refused(format!("--price: {error}")))?;
        let (agent, wallet) = names(policy)?;
        let mut registry = Registry::on(chain);
        policy.functions().into_iter().for_each(|(target, f)| registry.add_function(target, f));
        Ok(Self {
            chain,
            agent,
            wallet,
            address: from.unwrap_or(SOMEBODY),
            owner: None,
            role: None,
            native: TokenSetup {
                name: format!("eth@{chain}"),
                address: None,
                decimals: 18,
                symbol: "ETH".into(),
            },
            tokens: Vec::new(),
            collections: Vec::new(),
            registry,
            prices: BTreeMap::from([("ETH".to_owned(), price)]),
        })
    }

    /// The call, the typed data or the text, with what it would do here.
    fn asked(&self, args: &ExplainArgs, tx: Option<TransactionDraft>) -> Result<Asked, Failure> {
        if let Some(file) = &args.typed_data {
            let text = std::fs::read_to_string(file)
                .map_err(|error| Failure::refused(format!("{}: {error}", file.display())))?;
            let wrong =
                |error: draft::FieldError| Failure::refused(format!("{}: {error}", file.display()));
            let data = TypedData::parse(&text).and_then(|data| data.for_chain(self.chain));
            let data = data.map_err(wrong)?;
            let Authority { actions, lasting } =
                typed_data_authority(self.address, self.chain, &data, &self.registry);
            let (digest, content) = (data.digest(), Content::TypedData(data.canonical_json()));
            let message = Message { chain: self.chain, content, digest, lasting };
            let (method, payload) = (Method::SignTypedData, Payload::Message(message));
            return Ok(Asked { method, payload, actions, nonce: None });
        }
        if let Some(text) = &args.message {
            let hex = text.starts_with("0x").then(|| draft::bytes(text)).transpose();
            let hex = hex.map_err(|error| Failure::refused(format!("--message: {error}")))?;
            let bytes = hex.unwrap_or_else(|| Bytes::copy_from_slice(text.as_bytes()));
            let actions = text_actions(&bytes, self.address, self.chain);
            let (digest, content) = (text_digest(&bytes), Content::Text(bytes));
            let message = Message { chain: self.chain, content, digest, lasting: None };
            let (method, payload) = (Method::PersonalSign, Payload::Message(message));
            return Ok(Asked { method, payload, actions, nonce: None });
        }
        let draft = tx.map_or_else(|| draft(args, self.native.decimals), Ok)?;
        let call =
            Call { wallet: self.address, to: draft.to, value: draft.value, data: &draft.data };
        Ok(Asked {
            method: Method::SendTransaction,
            actions: {
                let mut all = actions(&call, &self.registry);
                all.extend(delegations(&draft.authorizations));
                all
            },
            payload: Payload::Transaction(self.plan(&draft)),
            nonce: draft.nonce,
        })
    }

    fn facts(&self, asked: Asked) -> (Intent, Facts) {
        let Asked { method, payload, actions, nonce } = asked;
        let intent = Intent {
            agent: self.agent.clone(),
            wallet: self.wallet.clone(),
            address: self.address,
            method,
            payload,
            data_fee_max: U256::ZERO,
            nonce,
            signature: None,
            declared: Declared::default(),
            bundle: None,
        };
        let facts = Facts {
            at: clock::now(),
            role: self.role.clone(),
            owner: self.owner.clone(),
            actions,
            tokens: std::iter::once(&self.native)
                .chain(&self.tokens)
                .map(|t| self.priced(t))
                .chain(self.collections.iter().map(|items| self.priced_items(items)))
                .collect(),
            gas: intent.gas(),
            fee_wei_max: intent.fee_wei_max().unwrap_or(U256::MAX),
            nonce,
            balance_wei: Fact::Unknown("nobody was asked: this is no running gateway".into()),
            seen: Fact::Known(BTreeSet::new()),
            simulated: None,
            simulation_required: false,
            oracles: Vec::new(),
            opinion: None,
            fee_ceiling_wei: None,
            freezes: Vec::new(),
            pact: None,
            approvals: Vec::new(),
            calls: Vec::new(),
        };
        (intent, facts)
    }

    fn plan(&self, draft: &TransactionDraft) -> TransactionPlan {
        let fee = draft.max_fee_per_gas.or(draft.gas_price).unwrap_or(WEI_PER_GAS);
        TransactionPlan {
            chain: self.chain,
            kind: if draft.authorizations.is_empty() {
                TransactionType::DynamicFee
            } else {
                TransactionType::SetCode
            },
            to: draft.to,
            value: draft.value,
            data: draft.data.clone(),
            gas: draft.gas.unwrap_or(GAS),
            fee: FeeBid::Dynamic { max_fee: fee, tip: draft.max_priority_fee_per_gas.unwrap_or(0) },
            access_list: draft.access_list.clone(),
            authorizations: draft.authorizations.clone(),
        }
    }

    fn priced_items(&self, items: &CollectionSetup) -> TokenFact {
        let CollectionSetup { name, address, symbol, held_max } = items.clone();
        let item = TokenSetup { name, address: Some(address), decimals: 0, symbol };
        TokenFact { asset: Asset::Collection(address), held_max, ..self.priced(&item) }
    }

    fn priced(&self, token: &TokenSetup) -> TokenFact {
        let price = self.prices.get(&token.symbol).copied();
        TokenFact {
            asset: token.address.map_or(Asset::Native, Asset::Token),
            name: token.name.clone(),
            decimals: token.decimals,
            never_priced: price.is_none(),
            decimals_said: None,
            held_max: None,
            price: price.map_or_else(
                || Fact::Unknown(format!("no price for {}", token.symbol)),
                Fact::Known,
            ),
        }
    }
}

/// What is asked about.
struct Asked {
    method: Method,
    payload: Payload,
    actions: Vec<Action>,
    nonce: Option<u64>,
}

/// The wallet of a call that nobody configured.
const SOMEBODY: Address = Address::repeat_byte(0xaa);

/// The agent and wallet that a policy is for, or stand-ins.
fn names(policy: &Policy) -> Result<(AgentId, WalletId), Failure> {
    let scope = policy.scope();
    let agent = scope.agent.clone().map_or_else(|| AgentId::parse("agent"), Ok);
    let wallet = scope.wallets.first().cloned().map_or_else(|| WalletId::parse("wallet"), Ok);
    let wrong =
        |error: countersign_core::identity::IdentityError| Failure::failed(error.to_string());
    Ok((agent.map_err(wrong)?, wallet.map_err(wrong)?))
}

/// The agent that would ask: who is named, or whose policy this is, or who uses the wallet.
fn asker<'a>(
    (args, file): (&ExplainArgs, &Path),
    from: Option<Address>,
    policy: &Policy,
    config: &'a Config,
) -> Result<Option<&'a AgentEntry>, Failure> {
    let agents = &config.agents;
    let named = args.agent.as_deref().or(policy.scope().agent.as_ref().map(AgentId::as_str));
    if let Some(name) = named {
        let found = agents.iter().find(|entry| entry.id.as_str() == name);
        let unknown =
            || Failure::refused(format!("--agent: the configuration has no agent `{name}`"));
        return if found.is_none() && args.agent.is_some() { Err(unknown()) } else { Ok(found) };
    }
    let file = file.canonicalize().ok();
    let is_its = |entry: &&AgentEntry| entry.policy.value.canonicalize().ok() == file;
    let mut may: Vec<&AgentEntry> = agents.iter().filter(is_its).collect();
    if may.is_empty() {
        may = agents.iter().collect();
    }
    if let Some(wallet) = from.and_then(|from| of_address(config, from)) {
        may.retain(|entry| entry.wallets.iter().any(|held| held.value == wallet.id));
    }
    Ok(may.first().copied())
}

/// The wallet that would sign; `None` where the agent has none.
fn signer<'a>(
    from: Option<Address>,
    policy: &Policy,
    config: &'a Config,
    agent: Option<&AgentEntry>,
) -> Result<Option<&'a WalletEntry>, Failure> {
    if let Some(from) = from {
        let unknown = || Failure::refused(format!("no wallet of the configuration is {from}"));
        return of_address(config, from).map(Some).ok_or_else(unknown);
    }
    let held = agent.map_or(&[][..], |entry| &entry.wallets).iter().map(|held| &held.value);
    let granted = &policy.scope().wallets;
    let first =
        held.clone().find(|wallet| granted.contains(wallet)).or_else(|| held.clone().next());
    Ok(first.and_then(|id| config.wallets.iter().find(|wallet| wallet.id == *id)))
}

fn of_address(config: &Config, address: Address) -> Option<&WalletEntry> {
    config.wallets.iter().find(|wallet| wallet.address == address)
}

fn transaction(text: &str) -> Result<TransactionDraft, Failure> {
    let wrong = |error: &dyn std::fmt::Display| Failure::refused(format!("--tx: {error}"));
    let json = Json::parse(text.as_bytes(), Limits::REQUEST).map_err(|error| wrong(&error))?;
    TransactionDraft::parse(&json).map_err(|error| wrong(&error))
}

fn draft(args: &ExplainArgs, decimals: u8) -> Result<TransactionDraft, Failure> {
    let to = args.to.as_deref().map(draft::address).transpose();
    let data = args.calldata.as_deref().map(draft::bytes).transpose();
    let value = args.value.as_deref().map(|text| amount(text, decimals)).transpose();
    let wrong =
        |option: &'static str| move |error: String| Failure::refused(format!("{option}: {error}"));
    Ok(TransactionDraft {
        from: None,
        to: to.map_err(wrong("--to"))?,
        value: value.map_err(wrong("--value"))?.unwrap_or_default(),
        data: data.map_err(wrong("--calldata"))?.unwrap_or(Bytes::new()),
        gas: None,
        gas_price: None,
        max_fee_per_gas: None,
        max_priority_fee_per_gas: None,
        nonce: None,
        kind: None,
        chain: None,
        access_list: Vec::new(),
        authorizations: Vec::new(),
    })
}

fn amount(text: &str, decimals: u8) -> Result<U256, String> {
    let wrong = || format!("`{text}` is not an amount: expected whole units, as in 0.2");
    let plain = text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let units = parse_units(text, decimals).ok().filter(|_| plain).ok_or_else(wrong)?;
    Ok(units.into())
}

fn as_json((intent, facts): (&Intent, &Facts), decision: &Decision) -> serde_json::Value {
    let (outcome, code, reason) = outcome(decision);
    json!({
        "agent": intent.agent, "wallet": intent.wallet, "address": intent.address, "chain": intent.chain(),
        "outcome": outcome, "code": code, "reason": reason, "actions": facts.actions,
        "usd": decision.usd, "fee_usd": decision.fee_usd, "verdicts": decision.verdicts,
        "policy": decision.policy, "risk_score": decision.risk_score, "risk_parts": decision.risk_parts, "approval_mode": decision.approval_mode,
    })
}

fn outcome(decision: &Decision) -> (&'static str, &str, &str) {
    match &decision.outcome {
        Outcome::Allow(_) => ("allow", "", ""),
        Outcome::Park(hold) => ("park", hold.code(), hold.reason()),
        Outcome::Deny(denial) => ("deny", &denial.code, &denial.reason),
    }
}

fn show((intent, facts): (&Intent, &Facts), decision: &Decision) {
    let paint = Paint::stdout();
    let Intent { agent, wallet, address, .. } = intent;
    let chain = intent.chain();
    say(format!("{} {agent}, from {wallet} {address}, on chain {chain}", paint.bold("Asked by")));
    say(paint.bold("What it does"));
    for (index, action) in facts.actions.iter().enumerate() {
        let usd = decision.usd.get(index).copied().flatten();
        let usd = usd.map_or_else(|| "unknown USD".to_owned(), |usd| format!("{usd} USD"));
        say(format!("  {}  ({usd})", described(action, &facts.tokens)));
    }
    say(paint.bold("Rules and limits"));
    let name = |verdict: &Verdict| format!("{}/{}", verdict.policy, verdict.rule);
    let width = decision.verdicts.iter().map(|verdict| name(verdict).len()).max().unwrap_or(0);
    for verdict in &decision.verdicts {
        let (name, detail) = (name(verdict), plain(&verdict.detail));
        say(format!("  {} {name:<width$}  {detail}", said(verdict.says, paint)));
    }
    let (word, code, reason) = outcome(decision);
    let word = match &decision.outcome {
        Outcome::Allow(_) => paint.green(word),
        Outcome::Park(_) => paint.yellow(word),
        Outcome::Deny(_) => paint.red(word),
    };
    let why = if code.is_empty() { String::new() } else { format!(" [{code}] {reason}") };
    say(format!("{} {word}{why}", paint.bold("Outcome")));
}

fn said(says: Says, paint: Paint) -> String {
    match says {
        Says::Allow => paint.green("allow  "),
        Says::Approve => paint.yellow("approve"),
        Says::Deny => paint.red("deny   "),
        Says::Pass => paint.dim("pass   "),
        Says::Within => paint.green("within "),
    }
}

/// An action in one line, amounts in whole units where the token is known.
fn described(action: &Action, tokens: &[TokenFact]) -> String {
    use countersign_core::action::Effect;
    let some = |asset: &Asset, amount: U256| some(asset, amount, tokens);
    match &action.effect {
        Effect::Transfer { asset, to, amount, .. } => {
            format!("transfer {} to {to}", some(asset, *amount))
        }
        Effect::Approve { asset, spender, unlimited: true, .. } => {
            format!("approve {spender} for everything of {}", named(asset, tokens))
        }
        Effect::Approve { asset, spender, amount, .. } => {
            format!("approve {spender} for {}", some(asset, *amount))
        }
        Effect::Revoke { asset, spender } => {
            format!("revoke {spender} on {}", named(asset, tokens))
        }
        Effect::Call => called(action),
        Effect::Deploy { init_code_hash } => format!("deploy {init_code_hash}"),
        Effect::Undecodable { reason } => format!("call that nobody can read: {}", plain(reason)),
        Effect::Delegate { account, delegate, chain } => {
            let place = chain.map_or_else(|| "every chain".to_owned(), |id| format!("chain {id}"));
            format!("let the code of {delegate} act as {account} on {place}")
        }
        Effect::TypedData { primary_type, .. } => {
            format!("typed data `{}` of unknown meaning", plain(primary_type))
        }
        Effect::Text { text, .. } => format!("text: {}", plain(text)),
        Effect::Opaque { reason } => format!("message that nobody can read: {}", plain(reason)),
    }
}

fn called(action: &Action) -> String {
    let target = action.target.map_or_else(|| "nobody".to_owned(), |target| target.to_string());
    let name = action.functions.first().map(|function| function.signature.clone());
    let name = name.or_else(|| action.selector.map(|selector| selector.to_string()));
    format!("call {} at {target}", name.unwrap_or_else(|| "without data".to_owned()))
}

fn some(asset: &Asset, amount: U256, tokens: &[TokenFact]) -> String {
    let known = tokens.iter().find(|token| token.asset == *asset);
    let units = known.and_then(|token| format_units(amount, token.decimals).ok());
    let units = units.as_deref().map(|units| units.trim_end_matches('0').trim_end_matches('.'));
    match units {
        Some(units) => format!("{units} {}", named(asset, tokens)),
        None => format!("{amount} of {}", named(asset, tokens)),
    }
}

fn named(asset: &Asset, tokens: &[TokenFact]) -> String {
    if let Some(token) = tokens.iter().find(|token| token.asset == *asset) {
        return token.name.clone();
    }
    match asset {
        Asset::Native => "the chain's own currency".to_owned(),
        Asset::Token(token) => format!("token {token}"),
        Asset::Item { collection, id } => format!("item {id} of {collection}"),
        Asset::Collection(collection) => format!("collection {collection}"),
    }
}
