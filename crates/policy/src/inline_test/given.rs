//! `given`: the words of a test to an intent and facts. What is not said is ordinary: a known recipient, no
//! fee, a Monday at noon, nothing spent.

mod acting;
mod simulating;

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{Address, Bytes, U256, keccak256};
use countersign_core::{
    action::Action,
    amount::MicroUsd,
    approval::{
        Gate, GateApproval, Signing, Vote, VoteSignature,
        passkey::{Assertion, PasskeyKey},
    },
    context::{Context, ContextValue},
    fact::{Asked, Fact, Facts, OracleFact, TokenFact},
    identity::{AgentId, ChainId, OperatorId, PolicyId, WalletId},
    intent::{Declared, Intent, Method, Payload},
    pact::{PactStanding, Word},
    time::Timestamp,
    token::Asset,
    transaction::{FeeBid, TransactionPlan, TransactionType},
};

use super::Given;
use crate::{
    decide::Assumed,
    field::Shape,
    matcher::Operand,
    read::{Reader, each},
    source::{Entry, Node},
    truth::Why,
    worth::Worth,
};

/// The wallet of every test: `self`.
const WALLET: Address = Address::repeat_byte(0x5e);
/// Monday, 2026-01-05T12:00:00Z.
const NOW: Timestamp = Timestamp::from_millis(1_767_614_400_000);

const REQUEST_KEYS: [&str; 18] = [
    "sim",
    "context",
    "chain",
    "agent",
    "wallet",
    "session",
    "role",
    "now",
    "gas",
    "fee_usd",
    "nonce",
    "declared",
    "approved",
    "used",
    "tokens",
    "balance_wei",
    "owner",
    "actions",
];
const ACTION_KEYS: [&str; 26] = [
    "text",
    "siwe",
    "primary_type",
    "domain",
    "message",
    "privileged",
    "unlisted",
    "foreign",
    "kind",
    "token",
    "amount",
    "usd",
    "from",
    "to",
    "spender",
    "target",
    "selector",
    "fn",
    "args",
    "value_wei",
    "action",
    "unlimited",
    "deadline",
    "via",
    "depth",
    "recipient.seen",
];

pub(super) fn read(node: &Node, scope: Option<&Node>, reader: &mut Reader<'_>) -> Option<Given> {
    let mut stage = Stage { reader, chain: ChainId(1), tokens: Vec::new(), seen: BTreeSet::new() };
    stage.known_keys(node, true)?;
    stage.chain = stage.chain_of(node, scope);
    stage.read_tokens(node);
    let nodes = match node.get("actions") {
        Some(actions) => each(Some(actions)),
        None => vec![node.clone()],
    };
    let (mut actions, mut usd) = (Vec::new(), Vec::new());
    for item in &nodes {
        stage.known_keys(item, node.get("actions").is_none())?;
        usd.push(stage.worth(item, "usd"));
        actions.push(stage.action(item)?);
    }
    let fee = Some(stage.worth(node, "fee_usd").unwrap_or(Ok(MicroUsd::ZERO)));
    let spent = stage.used(node);
    let intent = stage.intent(node, scope, &actions)?;
    // not asked for where it is left out
    let simulated = match node.get("sim") {
        Some(sim) => Some(stage.simulated(sim)?),
        None => None,
    };
    let oracles = asked(node, &actions);
    let facts = Facts { simulated, oracles, ..stage.facts(node, &intent, actions)? };
    Some(Given { intent, facts, assumed: Assumed { usd, fee }, used: spent })
}

struct Stage<'r, 'f> {
    reader: &'r mut Reader<'f>,
    chain: ChainId,
    tokens: Vec<TokenFact>,
    seen: BTreeSet<Address>,
}

impl Stage<'_, '_> {
    fn known_keys(&mut self, node: &Node, request: bool) -> Option<()> {
        let mut known: Vec<&str> = ACTION_KEYS.to_vec();
        if request {
            known.extend(REQUEST_KEYS);
        }
        let args = node.map().unwrap_or_default().iter().map(|entry| entry.key.as_str());
        let families = ["args.", "oracle."];
        known.extend(args.filter(|key| families.iter().any(|family| key.starts_with(family))));
        self.reader.keys(node, "`given`", &known)
    }

    fn operand(&mut self, node: &Node, key: &str, shape: &Shape) -> Option<Operand> {
        let value = node.get(key)?;
        self.member(value, shape)
    }

    /// A value, or the first member of a set.
    fn member(&mut self, value: &Node, shape: &Shape) -> Option<Operand> {
        let set = value.text().and_then(|text| text.strip_prefix('@')).map(str::to_owned);
        let Some(set) = set else { return self.reader.operand(value, shape) };
        let first = self.reader.set_named(&set, value.place)?.first().cloned();
        let first = first.map(|node| node.get("is").cloned().unwrap_or(node));
        if first.is_none() {
            self.reader.findings.error(value.place, format!("the set `@{set}` is empty"), "");
        }
        self.reader.operand(&first?, shape)
    }

    fn number(&mut self, node: &Node, key: &str) -> Option<U256> {
        self.operand(node, key, &Shape::Number)?.number()
    }

    fn small(&mut self, node: &Node, key: &str) -> Option<u64> {
        self.number(node, key).and_then(|number| u64::try_from(number).ok())
    }

    fn address(&mut self, node: &Node, key: &str) -> Option<Address> {
        self.operand(node, key, &Shape::Address).map(|operand| address_of(&operand))
    }

    fn truth(&mut self, node: &Node, key: &str) -> Option<bool> {
        Some(self.operand(node, key, &Shape::Bool)? == Operand::Bool(true))
    }

    fn text(&mut self, node: &Node, key: &str) -> Option<String> {
        node.get(key).and_then(|value| self.reader.word(value))
    }

    fn worth(&mut self, node: &Node, key: &str) -> Option<Worth> {
        let value = node.get(key)?;
        match value.text() {
            Some("unknown") => return Some(Err(Why::Unknowable)),
            Some("unavailable") => return Some(Err(Why::Unavailable)),
            Some(_) | None => {}
        }
        let micros = self.reader.operand(value, &Shape::Usd)?.number()?;
        let usd = u64::try_from(micros).ok().and_then(MicroUsd::from_micros);
        Some(usd.ok_or(Why::Unknowable))
    }

    /// The chain that is given, else that of the token, else the first of the policy's own.
    fn chain_of(&mut self, node: &Node, scope: Option<&Node>) -> ChainId {
        if let Some(chain) = self.small(node, "chain") {
            return ChainId(chain);
        }
        let tokens: Vec<Node> = node.get("token").cloned().into_iter().collect();
        for token in &tokens {
            if let Some(Operand::Token(name)) = self.member(token, &Shape::Token) {
                let id = name.split_once('@').and_then(|(_, id)| id.parse().ok());
                if let Some(id) = id {
                    return ChainId(id);
                }
            }
        }
        let chains = scope.and_then(|scope| scope.get("chains"));
        let first = each(chains).first().cloned();
        first.and_then(|node| self.reader.chain(&node)).unwrap_or(ChainId(1))
    }

    fn read_tokens(&mut self, node: &Node) {
        let symbol = format!("eth@{}", self.chain);
        self.know(&symbol);
        let entries: Vec<Entry> =
            node.get("tokens").and_then(Node::map).unwrap_or_default().to_vec();
        for entry in entries {
            if self.reader.keys(&entry.node, "a token", &["price", "decimals"]).is_none() {
                continue;
            }
            let name = entry.key.to_ascii_lowercase();
            self.know(&name);
            let decimals = self.small(&entry.node, "decimals").and_then(|d| u8::try_from(d).ok());
            let price = entry.node.get("price").cloned();
            let price = price.and_then(|price| self.reader.parsed_with(&price, str::parse));
            for fact in self.tokens.iter_mut().filter(|fact| fact.name == name) {
                fact.decimals = decimals.unwrap_or(18);
                fact.price = price.map_or_else(|| Fact::Unknown("not given".into()), Fact::Known);
            }
        }
    }

    /// The asset of a token's name; `eth` is the chain's own currency.
    fn know(&mut self, name: &str) -> Asset {
        let asset = if name.starts_with("eth@") {
            Asset::Native
        } else {
            Asset::Token(Address::from_word(keccak256(name.as_bytes())))
        };
        if !self.tokens.iter().any(|fact| fact.name == name) {
            self.tokens.push(TokenFact {
                asset: asset.clone(),
                name: name.to_owned(),
                decimals: 18,
                price: Fact::Unknown("not given".into()),
                never_priced: true,
                decimals_said: None,
                held_max: None,
            });
        }
        asset
    }

    fn used(&mut self, node: &Node) -> std::collections::BTreeMap<String, u64> {
        let entries: Vec<Entry> = node.get("used").and_then(Node::map).unwrap_or_default().to_vec();
        let mut used = std::collections::BTreeMap::new();
        for entry in entries {
            match self.reader.unit_of(&entry.key) {
                Some(shape) => {
                    let operand = self.reader.operand(&entry.node, &shape);
                    let amount = operand.and_then(|operand| crate::read::count(&operand));
                    used.insert(entry.key, amount.unwrap_or(0));
                }
                None => self.reader.findings.error(
                    entry.place,
                    format!("there is no limit `{}`", entry.key),
                    "",
                ),
            }
        }
        used
    }

    /// What the agent says: a mapping of scalars and mappings.
    fn context(&mut self, node: &Node) -> Context {
        let mut context = Context::default();
        if let Some(said) = node.get("context") {
            self.say(said, "", &mut context);
        }
        context
    }

    fn say(&mut self, node: &Node, path: &str, context: &mut Context) {
        for entry in node.map().unwrap_or_default() {
            let name =
                if path.is_empty() { entry.key.clone() } else { format!("{path}.{}", entry.key) };
            let value = match (entry.node.plain(), entry.node.text()) {
                (Some("true"), _) => ContextValue::Bool(true),
                (Some("false"), _) => ContextValue::Bool(false),
                (_, Some(text)) => ContextValue::of_text(text),
                (_, None) => {
                    self.say(&entry.node, &name, context);
                    continue;
                }
            };
            if !entry.node.is_null() {
                let said = context.say(&name, value);
                let _ = self.reader.told(entry.place, said);
            }
        }
    }

    fn intent(&mut self, node: &Node, scope: Option<&Node>, actions: &[Action]) -> Option<Intent> {
        let agent = node.get("agent").or_else(|| scope.and_then(|scope| scope.get("agent")));
        let agent = agent.and_then(Node::text).unwrap_or("agent").to_owned();
        let wallets = scope.and_then(|scope| scope.get("wallets"));
        let wallet = node.get("wallet").cloned().or_else(|| each(wallets).first().cloned());
        let wallet = wallet.as_ref().and_then(Node::text).unwrap_or("wallet").to_owned();
        let first = actions.first();
        let to = first.and_then(|action| action.target);
        Some(Intent {
            agent: self.reader.told(node.place, AgentId::parse(&agent))?,
            wallet: self.reader.told(node.place, WalletId::parse(&wallet))?,
            address: WALLET,
            method: Method::SendTransaction,
            payload: Payload::Transaction(TransactionPlan {
                chain: self.chain,
                kind: TransactionType::DynamicFee,
                to,
                value: first.map_or(U256::ZERO, |action| action.value_wei),
                data: Bytes::from_static(&[0]),
                gas: self.small(node, "gas").unwrap_or(21_000),
                fee: FeeBid::Dynamic { max_fee: 0, tip: 0 },
                access_list: Vec::new(),
                authorizations: Vec::new(),
            }),
            data_fee_max: alloy_primitives::U256::ZERO,
            nonce: self.small(node, "nonce"),
            signature: None,
            declared: Declared {
                reason: None,
                action: self.text(node, "declared"),
                session: self.text(node, "session"),
                context: self.context(node),
                trail: None,
            },
            bundle: None,
        })
    }

    fn facts(&mut self, node: &Node, intent: &Intent, actions: Vec<Action>) -> Option<Facts> {
        let at = match node.get("now") {
            Some(now) => self.reader.instant(&now.clone())?,
            None => NOW,
        };
        let owner = self.text(node, "owner");
        let mut approvals = Vec::new();
        for name in each(node.get("approved")) {
            let gate = self.reader.gate_named(&name)?;
            approvals.push(opened(gate, at));
        }
        // a grant that asks has been approved when its tests begin
        let by = OperatorId::parse("owner").ok()?;
        let pact = PactStanding::Approved { approved: Word { by, at: NOW, note: None } };
        let balance = self.number(node, "balance_wei").unwrap_or(U256::from(u128::MAX));
        Some(Facts {
            at,
            role: self.text(node, "role"),
            owner,
            actions,
            tokens: std::mem::take(&mut self.tokens),
            gas: intent.gas(),
            fee_wei_max: U256::ZERO,
            nonce: intent.nonce,
            balance_wei: Fact::Known(balance),
            seen: Fact::Known(std::mem::take(&mut self.seen)),
            simulated: None,
            simulation_required: false,
            oracles: Vec::new(),
            opinion: None,
            fee_ceiling_wei: None,
            freezes: Vec::new(),
            pact: Some(pact),
            approvals,
            calls: Vec::new(),
        })
    }
}

/// `oracle.NAME.FIELD: VALUE`: what oracles are imagined to say, of whoever stands at the other end.
fn asked(node: &Node, actions: &[Action]) -> Vec<OracleFact> {
    let mut oracles: Vec<OracleFact> = Vec::new();
    for entry in node.map().unwrap_or_default() {
        let Some(word) = entry.key.strip_prefix("oracle.") else { continue };
        let (oracle, field) = word.split_once('.').unwrap_or((word, ""));
        let Some(value) = entry.node.text().filter(|text| *text != "unknown") else { continue };
        for address in actions.iter().filter_map(|action| Asked::Counterparty.of(action)) {
            let says = BTreeMap::from([(field.to_owned(), value_of(entry.node.plain(), value))]);
            let known = oracles.iter_mut().find(|f| f.oracle == oracle && f.address == address);
            match known.map(|fact| &mut fact.says) {
                Some(Fact::Known(known)) => known.extend(says),
                Some(Fact::Unknown(_)) | None => oracles.push(OracleFact {
                    oracle: oracle.to_owned(),
                    asks: Asked::Counterparty,
                    address,
                    says: Fact::Known(says),
                }),
            }
        }
    }
    oracles
}

/// What JSON would say with this.
fn value_of(plain: Option<&str>, text: &str) -> ContextValue {
    match plain {
        Some("true") => ContextValue::Bool(true),
        Some("false") => ContextValue::Bool(false),
        Some(_) | None => ContextValue::of_text(text),
    }
}

/// A gate with as many votes as it needs, signed if it asks for that. What may ask it is said when the test runs.
fn opened(gate: Gate, at: Timestamp) -> GateApproval {
    let groups: Vec<String> = gate.need.iter().flat_map(|quorum| quorum.of.clone()).collect();
    let most = gate.need.iter().map(|quorum| quorum.any).fold(0, u32::saturating_add);
    let signature = gate.sign.first().map(|signing| signed(*signing));
    let vote = |number: u32| {
        Some(Vote {
            operator: OperatorId::parse(&format!("voter-{number}")).ok()?,
            person: format!("voter-{number}"),
            groups: groups.clone(),
            note: None,
            at,
            signature: signature.clone(),
        })
    };
    let votes = (0..most.min(100)).filter_map(vote).collect();
    let policy = PolicyId(alloy_primitives::B256::ZERO);
    GateApproval { gate, asked_by: Vec::new(), votes, fee_wei_max: U256::ZERO, usd: None, policy }
}

/// A signature of this kind that is over nothing: judging looks at its kind alone.
fn signed(signing: Signing) -> VoteSignature {
    match signing {
        Signing::Ethereum => {
            VoteSignature::Ethereum { address: WALLET, signature: Bytes::from_static(&[0]) }
        }
        Signing::Passkey => VoteSignature::Passkey {
            credential: String::new(),
            public_key: PasskeyKey::EdDsa([0; 32]),
            assertion: Assertion {
                client_data: Vec::new(),
                authenticator_data: Vec::new(),
                signature: Vec::new(),
            },
        },
    }
}

const fn address_of(operand: &Operand) -> Address {
    if let Operand::Address(address) = operand { *address } else { WALLET }
}
