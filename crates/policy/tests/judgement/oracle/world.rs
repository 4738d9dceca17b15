//! A random request with its facts, as the oracle sees them and as the real judge does.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
};

use alloy_primitives::{B256, U256, keccak256};
use countersign_core::{
    abi::DecodedCall,
    action::{Action, Effect, Outflow, Via},
    context::{Context, ContextValue},
    fact::{Asked, Change, Fact, Facts, Freeze, Granted, OracleFact, Simulated},
    identity::ChainId,
    intent::{Declared, Intent, Payload},
    message::{Content, Message},
    token::Asset,
};
use countersign_policy::{Policies, Policy as Real};
use serde_json::json;

use super::{
    Truth,
    draw::Draw,
    language::{Field, KINDS, MONDAY, Parts, Shape, Value, address, function, instant, timestamp},
    text::Policy,
};
use crate::scene::{self, FRIEND, WALLET, action, approval, wei};

/// Typed data.
#[derive(Debug, Clone)]
pub(super) struct Document {
    pub(super) primary: &'static str,
    pub(super) domain: Parts,
    pub(super) message: Parts,
}

impl Document {
    fn draw(draw: &mut Draw) -> Self {
        let value = |word: &'static str, draw: &mut Draw| {
            let field = Field::of(word);
            let shape = match word {
                "message.to" | "domain.verifyingContract" => Shape::Account,
                "message.amount" | "domain.chainId" => Shape::Number,
                "message.delta" => Shape::Signed,
                "message.flag" => Shape::Bool,
                "message.hops" => Shape::List(&Shape::Account),
                _ => Shape::Text,
            };
            (word.split_once('.').unwrap().1, Value::draw(field, shape, draw))
        };
        let primary = draw.of(&["Order", "Order", "Ping"]);
        let mut domain = vec![value("domain.verifyingContract", draw)];
        domain.extend(draw.one_in(2).then(|| value("domain.name", draw)));
        domain.extend(draw.one_in(2).then(|| value("domain.chainId", draw)));
        let mut message = vec![value("message.amount", draw)];
        if primary == "Order" {
            let words =
                ["message.to", "message.delta", "message.memo", "message.flag", "message.hops"];
            message.extend(words.map(|word| value(word, draw)));
            let cut = Value::Number(draw.below(30).into());
            message.push(("detail", Value::Tuple(vec![("cut", cut)])));
        }
        Self { primary, domain, message }
    }

    /// As a client sends it.
    fn json(&self) -> String {
        let parts = |parts: &Parts| -> serde_json::Map<String, serde_json::Value> {
            parts.iter().map(|(name, value)| ((*name).to_owned(), plain(value))).collect()
        };
        let order = json!([
            {"name": "amount", "type": "uint256"}, {"name": "to", "type": "address"},
            {"name": "delta", "type": "int8"}, {"name": "memo", "type": "string"},
            {"name": "flag", "type": "bool"}, {"name": "hops", "type": "address[]"},
            {"name": "detail", "type": "Detail"},
        ]);
        let data = json!({
            "types": {
                "Order": order,
                "Ping": [{"name": "amount", "type": "uint256"}],
                "Detail": [{"name": "cut", "type": "uint256"}],
            },
            "primaryType": self.primary,
            "domain": parts(&self.domain),
            "message": parts(&self.message),
        });
        data.to_string()
    }
}

fn plain(value: &Value) -> serde_json::Value {
    match value {
        Value::Bool(truth) => json!(truth),
        Value::List(items) => items.iter().map(plain).collect(),
        Value::Tuple(parts) => {
            parts.iter().map(|(name, value)| ((*name).to_owned(), plain(value))).collect()
        }
        other => json!(other.letters().unwrap()),
    }
}

/// One action, in the oracle's words.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact that may hold or not")]
pub(super) struct Act {
    pub(super) kind: &'static str,
    pub(super) token: &'static str,
    /// In thousandths of a USD, were it priced.
    pub(super) amount: u64,
    pub(super) from: &'static str,
    /// Whose assets these are has let them be taken: it is no account that acts.
    pub(super) foreign: bool,
    pub(super) who: &'static str,
    pub(super) unlimited: bool,
    pub(super) label: &'static str,
    /// Thousandths of a USD sent along, at the native price.
    pub(super) value: u64,
    pub(super) via: &'static str,
    pub(super) depth: u64,
    pub(super) selector: String,
    pub(super) deadline: Option<u64>,
    /// Calldata or a text that nobody can read.
    pub(super) unreadable: bool,
    /// A call of a registered contract that its layout does not have.
    pub(super) unlisted: bool,
    /// A delegation for every chain: its code is on nobody's list.
    pub(super) everywhere: bool,
    /// A call that hands over control.
    pub(super) privileged: bool,
    /// The function by which the call is read, and its arguments.
    pub(super) read: Option<(usize, Value)>,
    /// Dollars that the registered layout of what is called says it takes.
    pub(super) takes: Option<u64>,
    pub(super) words: &'static str,
    /// The fields of a login.
    pub(super) login: Option<Parts>,
    pub(super) document: Document,
}

impl Act {
    fn draw(draw: &mut Draw) -> Self {
        let kind = if draw.one_in(3) { draw.of(&["transfer", "call"]) } else { draw.of(&KINDS) };
        let token = match kind {
            "transfer" => draw.of(&["native", "native", "dollar", "other"]),
            _ => draw.of(&["dollar", "dollar", "other"]),
        };
        let amount = draw.below(25);
        let carries = matches!(kind, "call" | "deploy") && draw.one_in(2);
        let value = match (kind, token) {
            ("transfer", "native") => amount,
            _ if carries => draw.below(25),
            _ => 0,
        };
        let from = draw.of(&["self", "self", "self", "friend", "stranger"]);
        let calls = matches!(kind, "transfer" | "approve" | "revoke" | "call");
        let read = (calls && draw.one_in(2)).then(|| arguments(draw));
        let known = function(draw.index(2)).selector().to_string();
        let selector = match &read {
            Some((index, _)) => function(*index).selector().to_string(),
            None => draw.of(&["", "0xaaaaaaaa", "0xbbbbbbbb", &known]).to_owned(),
        };
        Self {
            kind,
            token,
            amount,
            from,
            foreign: kind == "transfer" && from != "self" && !draw.one_in(3),
            who: draw.of(&[
                "friend", "friend", "friend", "stranger", "stranger", "self", "zero", "dollar",
            ]),
            unlimited: kind == "approve" && draw.one_in(3),
            label: draw.of(&[kind, kind, "swap", "bridge"]),
            value,
            via: draw.of(&["call", "call", "signature"]),
            depth: draw.below(3),
            selector,
            deadline: draw.one_in(2).then(|| draw.below(30)),
            unreadable: matches!(kind, "call" | "text") && draw.one_in(20),
            unlisted: kind == "call" && draw.one_in(4),
            everywhere: kind == "delegate" && draw.one_in(2),
            privileged: kind == "call" && draw.one_in(4),
            read,
            takes: (kind == "call" && draw.one_in(3)).then(|| draw.below(25)),
            words: draw.of(&["hello", "hello you", "gm"]),
            login: draw.one_in(2).then(|| login(draw)),
            document: Document::draw(draw),
        }
    }

    /// Base units: a dollar token has six decimals.
    pub(super) fn units(&self) -> u128 {
        let unit = if self.token == "native" { scene::MILLI_USD } else { 1000 };
        u128::from(self.amount) * u128::from(unit)
    }

    pub(super) fn value_wei(&self) -> u64 {
        self.value * scene::MILLI_USD
    }

    /// The contract or account that is called, or that a message is about.
    pub(super) fn target(&self) -> Option<&'static str> {
        Some(match (self.kind, self.token) {
            ("deploy" | "text", _) => return None,
            ("transfer", "native") | ("call" | "delegate" | "typed_data", _) => self.who,
            _ => self.token,
        })
    }

    pub(super) fn counterparty(&self) -> Option<&'static str> {
        // a message and a delegation are about the contract and the code that they name
        (!matches!(self.kind, "deploy" | "text")).then_some(self.who)
    }

    pub(super) fn names_an_asset(&self) -> bool {
        matches!(self.kind, "transfer" | "approve" | "revoke")
    }

    /// A login whose URI lies on another host than its domain, and not below it.
    pub(super) fn leads_elsewhere(&self) -> bool {
        let Some(login) = self.login.as_ref().filter(|_| self.kind == "text" && !self.unreadable)
        else {
            return false;
        };
        let part = |name| login.iter().find(|(known, _)| *known == name).map(|(_, v)| v.clone());
        match (part("domain"), part("uri_host")) {
            (Some(Value::Text(domain)), Some(Value::Text(host))) => {
                host != domain && !host.ends_with(&format!(".{domain}"))
            }
            _ => false,
        }
    }

    fn to_core(&self) -> Action {
        let asset = asset(self.token);
        let (who, amount) = (address(self.who), U256::from(self.units()));
        let tuple = |parts: &Parts| Value::Tuple(parts.clone()).to_core();
        let effect = match self.kind {
            "transfer" => Effect::Transfer { asset, from: address(self.from), to: who, amount },
            "approve" => Effect::Approve {
                asset,
                owner: WALLET,
                spender: who,
                amount,
                unlimited: self.unlimited,
                deadline: self.deadline.map(U256::from),
            },
            "revoke" => Effect::Revoke { asset, spender: who },
            "call" if self.unreadable => Effect::Undecodable { reason: "padding".into() },
            "call" => Effect::Call,
            "deploy" => Effect::Deploy { init_code_hash: keccak256(b"x") },
            "delegate" => Effect::Delegate {
                account: WALLET,
                delegate: who,
                chain: (!self.everywhere).then_some(ChainId(31337)),
            },
            "typed_data" => Effect::TypedData {
                primary_type: self.document.primary.to_owned(),
                domain: tuple(&self.document.domain),
                message: tuple(&self.document.message),
            },
            _ if self.unreadable => Effect::Opaque { reason: "controls".into() },
            _ => Effect::Text { text: self.words.to_owned(), siwe: self.login.as_ref().map(tuple) },
        };
        let outflow = |usd| Outflow { asset: Asset::Token(scene::DOLLAR), amount: dollars(usd) };
        Action {
            selector: (!self.selector.is_empty()).then(|| self.selector.parse().unwrap()),
            functions: self.read.iter().map(reading).collect(),
            value_wei: wei(self.value),
            label: self.label.to_owned(),
            via: if self.via == "call" { Via::Call } else { Via::Signature },
            depth: u8::try_from(self.depth).unwrap(),
            privileged: self.privileged,
            unlisted: self.unlisted,
            foreign: self.foreign,
            spends: self.takes.map(|usd| vec![outflow(usd)]),
            ..action(effect, self.target().map(address))
        }
    }
}

fn asset(token: &str) -> Asset {
    if token == "native" { Asset::Native } else { Asset::Token(address(token)) }
}

fn dollars(milli_usd: u64) -> U256 {
    U256::from(milli_usd) * U256::from(1000)
}

fn reading((index, args): &(usize, Value)) -> DecodedCall {
    DecodedCall { signature: function(*index).signature().to_owned(), args: args.to_core() }
}

fn arguments(draw: &mut Draw) -> (usize, Value) {
    let index = draw.of(&[0, 0, 1]);
    let part = |name: &'static str, draw: &mut Draw| {
        let field = Field::of(&format!("args.{name}"));
        (name, Value::draw(field, field.shape, draw))
    };
    let names: &[&'static str] = match index {
        0 => &["n", "to", "memo", "dry", "level", "note", "path", "parts", "one"],
        _ => &["n"],
    };
    (index, Value::Tuple(names.iter().map(|name| part(name, draw)).collect()))
}

fn login(draw: &mut Draw) -> Parts {
    let part = |word: &'static str, draw: &mut Draw| {
        let value = Value::draw(Field::of(word), Shape::Text, draw);
        (word.split_once('.').unwrap().1, value)
    };
    let mut login = vec![part("siwe.domain", draw), part("siwe.uri", draw)];
    login.extend((!draw.one_in(3)).then(|| part("siwe.uri_host", draw)));
    login.extend(draw.one_in(2).then(|| part("siwe.nonce", draw)));
    login
}

/// What a price source says of the chain's own currency.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Price {
    Known,
    /// Nobody ever names one.
    Never,
    /// It does not answer now.
    Owed,
}

/// What a node says that the transaction would do.
#[derive(Debug)]
pub(super) enum Simulation {
    Absent,
    Failed,
    Reverted,
    /// Of native currency, dollars and the other token: less and more, in thousandths of a USD; and how many may then take
    /// something.
    Done {
        less: [u64; 3],
        more: [u64; 3],
        approvals: u64,
    },
}

pub(super) const TOKENS: [&str; 3] = ["native", "dollar", "other"];

impl Simulation {
    fn draw(draw: &mut Draw) -> Self {
        let each = |draw: &mut Draw| if draw.one_in(3) { draw.below(40) } else { 0 };
        match draw.below(6) {
            0 | 1 => Self::Absent,
            2 => Self::Failed,
            3 if draw.one_in(2) => Self::Reverted,
            _ => {
                let (less, more) = ([(); 3].map(|()| each(draw)), [(); 3].map(|()| each(draw)));
                // nobody has both more and less of one thing
                let rest = |index: usize| if less[index] > 0 { 0 } else { more[index] };
                Self::Done { less, more: [rest(0), rest(1), rest(2)], approvals: draw.below(3) }
            }
        }
    }

    fn to_core(&self) -> Option<Fact<Simulated>> {
        let told = |reverted, changes, approvals| {
            Some(Fact::Known(Simulated { wallet: WALLET, reverted, changes, approvals }))
        };
        match self {
            Self::Absent => None,
            Self::Failed => Some(Fact::Unknown("no answer".into())),
            Self::Reverted => told(true, Vec::new(), Vec::new()),
            Self::Done { less, more, approvals } => {
                let units =
                    |token: &str, n: u64| if token == "native" { wei(n) } else { dollars(n) };
                let change = |(index, token): (usize, &&str)| Change {
                    asset: asset(token),
                    lost: units(token, less[index]),
                    gained: units(token, more[index]),
                };
                let moved = |index: &(usize, &&str)| less[index.0] + more[index.0] > 0;
                let changes = TOKENS.iter().enumerate().filter(moved).map(change).collect();
                let granted =
                    |_| Granted { asset: Asset::Native, spender: FRIEND, amount: U256::ONE };
                told(false, changes, (0..*approvals).map(granted).collect())
            }
        }
    }
}

/// What an oracle says of one account.
#[derive(Debug)]
pub(super) struct Word {
    pub(super) oracle: &'static str,
    pub(super) asks: &'static str,
    pub(super) about: &'static str,
    pub(super) says: Option<BTreeMap<&'static str, Value>>,
}

impl Word {
    fn draw(
        (oracle, about): (&'static str, &'static str),
        asks: &'static str,
        draw: &mut Draw,
    ) -> Self {
        let fields: &[&'static str] = if oracle == "risk" { &["score", "listed"] } else { &[""] };
        let value = |name: &&'static str| {
            let point = if name.is_empty() { "" } else { "." };
            let field = Field::of(&format!("oracle.{oracle}{point}{name}"));
            (!draw.one_in(4)).then(|| (*name, Value::draw(field, Shape::Said, draw)))
        };
        let says = fields.iter().filter_map(value).collect();
        Self { oracle, asks, about, says: (!draw.one_in(6)).then_some(says) }
    }

    fn to_core(&self) -> OracleFact {
        let said = |says: &BTreeMap<&'static str, Value>| {
            says.iter().map(|(name, value)| ((*name).to_owned(), context(value))).collect()
        };
        OracleFact {
            oracle: self.oracle.to_owned(),
            asks: match self.asks {
                "counterparty" => Asked::Counterparty,
                "to" => Asked::To,
                "spender" => Asked::Spender,
                _ => Asked::Target,
            },
            address: address(self.about),
            says: match &self.says {
                Some(says) => Fact::Known(said(says)),
                None => Fact::Unknown("no answer".into()),
            },
        }
    }
}

fn context(value: &Value) -> ContextValue {
    match value {
        Value::Bool(truth) => ContextValue::Bool(*truth),
        Value::Text(text) => ContextValue::Text((*text).to_owned()),
        number => ContextValue::of_text(number.write(Shape::Said).trim_matches('"')),
    }
}

/// A policy, a guard and a request with its facts.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact that may hold or not")]
pub(super) struct World {
    pub(super) grant: Policy,
    pub(super) guard: Policy,
    pub(super) acts: Vec<Act>,
    pub(super) chain: u64,
    pub(super) role: Option<&'static str>,
    pub(super) session: Option<&'static str>,
    /// What the agent says as `context.n` and `context.s`.
    pub(super) said: [Option<Value>; 2],
    pub(super) declared: Option<&'static str>,
    /// What is signed is this, and no transaction.
    pub(super) document: Option<Document>,
    pub(super) gas: u64,
    pub(super) nonce: Option<u64>,
    /// Thousandths of a USD, at the native price.
    pub(super) fee: u64,
    pub(super) native: Price,
    /// Thousandths of a USD of native currency.
    pub(super) balance: Option<u64>,
    pub(super) seen_known: bool,
    pub(super) simulation: Simulation,
    pub(super) oracles: Vec<Word>,
    /// Milliseconds since the epoch.
    pub(super) now: u64,
    pub(super) open: Vec<&'static str>,
    /// To whom: to rules and limits of even numbers, and of odd ones.
    pub(super) answered: [bool; 2],
    pub(super) expired: bool,
    pub(super) covered: bool,
    pub(super) frozen: bool,
    /// What came of asking: words of fields and operators.
    pub(super) heard: RefCell<BTreeSet<(&'static str, Truth)>>,
}

impl World {
    pub(super) fn draw(draw: &mut Draw) -> Self {
        let said = |word: &str, draw: &mut Draw| {
            (!draw.one_in(3)).then(|| Value::draw(Field::of(word), Shape::Said, draw))
        };
        let asks = ["counterparty", "to", "spender", "target"];
        let asks = [draw.of(&asks), draw.of(&asks)];
        let oracles = [("risk", "friend"), ("risk", "stranger"), ("trust", "friend")];
        Self {
            grant: Policy::draw("grant", draw),
            guard: if draw.one_in(2) {
                Policy::draw("guard", draw)
            } else {
                Policy { kind: "guard", rules: Vec::new(), limits: Vec::new() }
            },
            acts: draw.many(1, 3, Act::draw),
            chain: 31337,
            role: draw.of(&[None, Some("trader"), Some("desk")]),
            session: draw.of(&[None, Some("one")]),
            said: [said("context.n", draw), said("context.s", draw)],
            declared: draw.of(&[None, None, Some("swap"), Some("bridge")]),
            document: draw.one_in(3).then(|| Document::draw(draw)),
            gas: draw.of(&[21_000, 50_000]),
            nonce: draw.one_in(2).then(|| draw.below(30)),
            fee: draw.of(&[0, 0, 3, 20]),
            native: if draw.one_in(4) {
                draw.of(&[Price::Never, Price::Owed])
            } else {
                Price::Known
            },
            balance: (!draw.one_in(4)).then(|| draw.of(&[0, 20, 30, 1_000_000])),
            seen_known: !draw.one_in(4),
            simulation: Simulation::draw(draw),
            oracles: oracles
                .map(|who| Word::draw(who, asks[usize::from(who.0 == "trust")], draw))
                .into(),
            now: instant(draw),
            open: draw
                .of(&[
                    &[][..],
                    &["owner"],
                    &["desk"],
                    &["board", "owner"],
                    &["desk", "board", "owner"],
                ])
                .to_vec(),
            answered: [!draw.one_in(4), !draw.one_in(4)],
            expired: draw.one_in(40),
            covered: !draw.one_in(40),
            frozen: draw.one_in(30),
            heard: RefCell::default(),
        }
    }

    pub(super) fn source(&self) -> String {
        let expires = timestamp(if self.expired { self.now } else { MONDAY * 2 });
        let chains = if self.covered { "31337" } else { "1" };
        let grant =
            self.grant.write(&format!("for: {{ chains: [{chains}] }}\nexpires: {expires}\n"));
        format!("{grant}---\n{}", self.guard.write(""))
    }

    pub(super) fn policies(&self) -> Policies {
        let source = self.source();
        let (grant, guard) = source.split_once("---\n").unwrap();
        let read =
            |text: &str| Real::parse(text, "p.yaml").unwrap_or_else(|e| panic!("{e}\n{text}"));
        Policies { grant: read(grant), guards: vec![read(guard)] }
    }

    pub(super) fn intent(&self) -> Intent {
        let mut said = Context::default();
        for (name, value) in ["n", "s"].into_iter().zip(&self.said) {
            if let Some(value) = value {
                said.say(name, context(value)).unwrap();
            }
        }
        let declared = Declared {
            action: self.declared.map(str::to_owned),
            session: self.session.map(str::to_owned),
            context: said,
            ..Declared::default()
        };
        let mut intent = Intent { declared, ..scene::intent() };
        if let Some(document) = &self.document {
            intent.payload = Payload::Message(Message {
                chain: ChainId(self.chain),
                content: Content::TypedData(document.json()),
                digest: B256::ZERO,
                lasting: None,
            });
        }
        intent
    }

    pub(super) fn facts(&self, policies: &Policies) -> Facts {
        let mut facts = scene::facts(self.acts.iter().map(Act::to_core).collect());
        facts.at = timestamp(self.now);
        facts.role = self.role.map(str::to_owned);
        facts.gas = self.gas;
        facts.nonce = self.nonce;
        facts.fee_wei_max = wei(self.fee);
        if self.native != Price::Known {
            facts.tokens[0].price = Fact::Unknown("nobody has one".into());
            facts.tokens[0].never_priced = self.native == Price::Never;
        }
        facts.balance_wei = match self.balance {
            Some(balance) => Fact::Known(wei(balance)),
            None => Fact::Unknown("no answer".into()),
        };
        facts.seen = if self.seen_known {
            Fact::Known(BTreeSet::from([FRIEND]))
        } else {
            Fact::Unknown("nobody looked".into())
        };
        facts.simulated = self.simulation.to_core();
        facts.oracles = self.oracles.iter().map(Word::to_core).collect();
        facts.freezes = if self.frozen { vec![Freeze::Chain(ChainId(31337))] } else { Vec::new() };
        let owner = Real::default_gate("grant");
        let gates = policies.grant.gates().iter().chain([&owner]);
        for gate in gates.filter(|gate| self.open.contains(&gate.id.as_str())) {
            let asking = (0..64).filter(|number| self.answered[number % 2]);
            let mut asking: Vec<String> =
                asking.flat_map(|number| [format!("r{number}"), format!("l{number}")]).collect();
            asking.push("from".to_owned());
            let asking: Vec<&str> = asking.iter().map(String::as_str).collect();
            let mut opened = approval(gate, &asking, &["alice", "bob"]);
            opened.fee_wei_max = facts.fee_wei_max;
            facts.approvals.push(opened);
        }
        debug_assert_ne!(policies.grant.id().0, B256::ZERO);
        facts
    }
}

/// Two values that are the same thing.
impl Value {
    pub(super) fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Token(a, _), Self::Token(b, _)) => a == b,
            (a, b) => a == b,
        }
    }
}
