//! A random policy, a random guard and a random request, as the oracle sees them and as the real judge does.

use std::{collections::BTreeSet, fmt::Write};

use alloy_primitives::{Address, B256, U256, keccak256};
use countersign_core::{
    abi::{AbiValue, Selector},
    action::{Action, Effect, Via},
    context::{Context, ContextValue},
    fact::{Fact, Facts, Freeze},
    identity::ChainId,
    intent::Declared,
    token::Asset,
};
use countersign_policy::{Policies, Policy as Real};

use crate::scene::{self, DOLLAR, FRIEND, STRANGER, WALLET, action, approval, wei};

/// A token that nobody prices.
const OTHER: Address = Address::repeat_byte(0xee);

/// Numbers from a seed (splitmix64).
pub(super) struct Draw(u64);

impl Draw {
    /// Seeds beside each other share nothing: the first number of one is where another begins.
    pub(super) fn new(seed: u64) -> Self {
        let mut first = Self(!seed);
        Self(first.next())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, most: u64) -> u64 {
        self.next() % most
    }

    fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(u64::try_from(length).unwrap())).unwrap()
    }

    fn one_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    fn of<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.index(items.len())]
    }

    fn many<T>(&mut self, least: u64, most: u64, mut draw: impl FnMut(&mut Self) -> T) -> Vec<T> {
        let count = least + self.below(most - least + 1);
        (0..count).map(|_| draw(self)).collect()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Truth {
    No,
    Unknown,
    Yes,
}

impl Truth {
    pub(super) fn of(value: bool) -> Self {
        if value { Self::Yes } else { Self::No }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Number(u128),
    Text(String),
    Bool(bool),
}

pub(super) const KINDS: [&str; 8] =
    ["transfer", "approve", "revoke", "call", "deploy", "delegate", "typed_data", "text"];

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Field {
    Chain,
    Agent,
    Role,
    Session,
    ContextNumber,
    ContextText,
    Token,
    Amount,
    Usd,
    To,
    Spender,
    Target,
    Selector,
    ValueWei,
    Gas,
    FeeUsd,
    Nonce,
    Action,
    Unlimited,
    Deadline,
    Via,
    Depth,
    Seen,
}

/// Each field with its word and the kinds that have it, by their first letters in `KINDS`' order.
const FIELDS: [(Field, &str, usize); 23] = [
    (Field::Chain, "chain", 0xff),
    (Field::Agent, "agent", 0xff),
    (Field::Role, "role", 0xff),
    (Field::Session, "session", 0xff),
    (Field::ContextNumber, "context.n", 0xff),
    (Field::ContextText, "context.s", 0xff),
    (Field::Token, "token", 0b0000_0111),
    (Field::Amount, "amount", 0b0000_0011),
    (Field::Usd, "usd", 0xff),
    (Field::To, "to", 0b0000_0001),
    (Field::Spender, "spender", 0b0000_0110),
    (Field::Target, "target", 0b0010_1111),
    (Field::Selector, "selector", 0b0000_1111),
    (Field::ValueWei, "value_wei", 0b0001_1111),
    (Field::Gas, "gas", 0b0001_1111),
    (Field::FeeUsd, "fee_usd", 0b0001_1111),
    (Field::Nonce, "nonce", 0b0001_1111),
    (Field::Action, "action", 0xff),
    (Field::Unlimited, "unlimited", 0b0000_0010),
    (Field::Deadline, "deadline", 0b0000_0010),
    (Field::Via, "via", 0xff),
    (Field::Depth, "depth", 0xff),
    (Field::Seen, "recipient.seen", 0b0000_1011),
];

impl Field {
    fn word(self) -> &'static str {
        FIELDS.iter().find(|(field, ..)| *field == self).unwrap().1
    }

    fn has(self, kind: &str) -> bool {
        let index = KINDS.iter().position(|known| *known == kind).unwrap();
        FIELDS.iter().find(|(field, ..)| *field == self).unwrap().2 >> index & 1 == 1
    }

    const fn is_number(self) -> bool {
        matches!(
            self,
            Self::Chain
                | Self::ContextNumber
                | Self::Amount
                | Self::Usd
                | Self::ValueWei
                | Self::Gas
                | Self::FeeUsd
                | Self::Nonce
                | Self::Deadline
                | Self::Depth
        )
    }

    fn value(self, draw: &mut Draw) -> Value {
        let text = |t: &str| Value::Text(t.to_owned());
        match self {
            Self::Chain => Value::Number(draw.of(&[1, 31337])),
            Self::Gas => Value::Number(draw.of(&[20_999, 21_000, 50_000])),
            Self::ValueWei => {
                Value::Number(u128::from(draw.below(30)) * u128::from(scene::MILLI_USD))
            }
            Self::Amount => {
                Value::Number(u128::from(draw.below(30)) * draw.of(&[1000, 1_000_000_000_000]))
            }
            Self::Deadline => Value::Number(u128::from(draw.below(30))),
            Self::Depth => Value::Number(u128::from(draw.below(3))),
            _ if self.is_number() => Value::Number(u128::from(draw.below(30))),
            Self::Unlimited | Self::Seen => Value::Bool(draw.one_in(2)),
            Self::Agent => text(draw.of(&["bot", "other"])),
            Self::Role => text(draw.of(&["trader", "desk"])),
            Self::Session => text(draw.of(&["one", "two"])),
            Self::ContextText => text(draw.of(&["inr", "eur"])),
            Self::Token => text(draw.of(&["native", "dollar", "other"])),
            Self::Selector => text(draw.of(&["0xaaaaaaaa", "0xbbbbbbbb"])),
            Self::Action => text(draw.of(&["swap", "bridge", "transfer", "call"])),
            Self::Via => text(draw.of(&["call", "signature"])),
            _ => text(draw.of(&["friend", "stranger", "self"])),
        }
    }

    /// A value as a policy writes it. Amounts count thousandths of a USD, in the units of each field.
    fn write(self, value: &Value) -> String {
        match (self, value) {
            (Self::Usd | Self::FeeUsd, Value::Number(n)) => {
                format!("\"{}.{:03}\"", n / 1000, n % 1000)
            }
            (Self::To | Self::Spender | Self::Target, Value::Text(who)) => match address(who) {
                WALLET => "self".to_owned(),
                other => format!("\"{other}\""),
            },
            (Self::Token, Value::Text(token)) => match token.as_str() {
                "native" => "eth@31337".to_owned(),
                "dollar" => "usdc@31337".to_owned(),
                _ => format!("\"{OTHER}\""),
            },
            (Self::Selector, Value::Text(text)) => format!("\"{text}\""),
            (_, Value::Number(n)) => n.to_string(),
            (_, Value::Bool(truth)) => truth.to_string(),
            (_, Value::Text(text)) => text.clone(),
        }
    }
}

fn address(who: &str) -> Address {
    match who {
        "friend" => FRIEND,
        "stranger" => STRANGER,
        "dollar" => DOLLAR,
        "other" => OTHER,
        _ => WALLET,
    }
}

#[derive(Debug)]
pub(super) enum Ask {
    In(Vec<Value>),
    NotIn(Vec<Value>),
    Below(Value),
    AtMost(Value),
    Above(Value),
    AtLeast(Value),
    Between(Value, Value),
}

#[derive(Debug)]
pub(super) struct Matcher(pub(super) Vec<Ask>);

impl Matcher {
    fn draw(field: Field, draw: &mut Draw) -> Self {
        let one = |draw: &mut Draw| {
            let value = field.value(draw);
            match draw.below(if field.is_number() { 7 } else { 2 }) {
                0 => Ask::In(draw.many(1, 2, |draw| field.value(draw))),
                1 => Ask::NotIn(draw.many(1, 2, |draw| field.value(draw))),
                2 => Ask::Below(value),
                3 => Ask::AtMost(value),
                4 => Ask::Above(value),
                5 => Ask::AtLeast(value),
                _ => match (value, field.value(draw)) {
                    (Value::Number(a), Value::Number(b)) => {
                        Ask::Between(Value::Number(a.min(b)), Value::Number(a.max(b)))
                    }
                    (a, _) => Ask::In(vec![a]),
                },
            }
        };
        // two asks of one operator would be one key twice
        let mut asks = vec![one(draw)];
        if draw.one_in(4) {
            let another = one(draw);
            let same = std::mem::discriminant(&another) == std::mem::discriminant(&asks[0]);
            asks.extend((!same).then_some(another));
        }
        Self(asks)
    }

    fn write(&self, field: Field) -> String {
        let list = |values: &[Value]| {
            values.iter().map(|value| field.write(value)).collect::<Vec<_>>().join(", ")
        };
        let parts = self.0.iter().map(|ask| match ask {
            Ask::In(values) => format!("in: [{}]", list(values)),
            Ask::NotIn(values) => format!("not_in: [{}]", list(values)),
            Ask::Below(value) => format!("lt: {}", field.write(value)),
            Ask::AtMost(value) => format!("lte: {}", field.write(value)),
            Ask::Above(value) => format!("gt: {}", field.write(value)),
            Ask::AtLeast(value) => format!("gte: {}", field.write(value)),
            Ask::Between(low, high) => {
                format!("between: [{}, {}]", field.write(low), field.write(high))
            }
        });
        format!("{{ {} }}", parts.collect::<Vec<_>>().join(", "))
    }
}

#[derive(Debug)]
pub(super) enum Cond {
    All(Vec<Cond>),
    Any(Vec<Cond>),
    Not(Box<Cond>),
    Field(Field, Matcher),
    Hours,
}

impl Cond {
    fn draw(kinds: &[&str], depth: u8, draw: &mut Draw) -> Self {
        match draw.below(if depth == 0 { 6 } else { 10 }) {
            6 => Self::All(draw.many(1, 3, |draw| Self::draw(kinds, depth - 1, draw))),
            7 | 8 => Self::Any(draw.many(1, 3, |draw| Self::draw(kinds, depth - 1, draw))),
            9 => Self::Not(Box::new(Self::draw(kinds, depth - 1, draw))),
            0 if draw.one_in(4) => Self::Hours,
            _ => {
                let fields: Vec<Field> = FIELDS.iter().map(|(field, ..)| *field).collect();
                let fits: Vec<Field> =
                    fields.into_iter().filter(|f| kinds.iter().all(|kind| f.has(kind))).collect();
                let field = draw.of(&fits);
                Self::Field(field, Matcher::draw(field, draw))
            }
        }
    }

    fn write(&self) -> String {
        let list = |parts: &[Self]| parts.iter().map(Self::write).collect::<Vec<_>>().join(", ");
        match self {
            Self::All(parts) if parts.is_empty() => "{}".to_owned(),
            Self::All(parts) => format!("{{ all: [{}] }}", list(parts)),
            Self::Any(parts) => format!("{{ any: [{}] }}", list(parts)),
            Self::Not(inner) => format!("{{ not: {} }}", inner.write()),
            Self::Hours => {
                "{ hours: { days: mon-fri, from: \"08:00\", to: \"20:00\" } }".to_owned()
            }
            Self::Field(field, matcher) => {
                format!("{{ {}: {} }}", field.word(), matcher.write(*field))
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Then {
    Allow,
    Deny,
    Approve(&'static str),
}

impl Then {
    fn write(self) -> String {
        match self {
            Self::Allow => "allow".to_owned(),
            Self::Deny => "deny".to_owned(),
            Self::Approve(gate) => format!("{{ approve: {gate} }}"),
        }
    }
}

/// A rule, or the condition of a limit.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) kinds: Vec<&'static str>,
    pub(super) cond: Cond,
    pub(super) then: Then,
    pub(super) spend: &'static str,
}

impl Entry {
    fn draw(then: Then, draw: &mut Draw) -> Self {
        let mut kinds: Vec<&'static str> = draw.many(1, 3, |draw| draw.of(&KINDS[..6 + 2]));
        if then == Then::Allow && draw.one_in(2) {
            kinds = KINDS.to_vec();
        }
        kinds.sort_unstable();
        kinds.dedup();
        let plain = then == Then::Allow && draw.one_in(2);
        let cond = if plain { Cond::All(Vec::new()) } else { Cond::draw(&kinds, 2, draw) };
        let spend = match kinds.as_slice() {
            ["call"] if then == Then::Allow => draw.of(&["", "none"]),
            ["approve"] if then == Then::Allow => draw.of(&["", "on_use"]),
            _ => "",
        };
        Self { kinds, cond, then, spend }
    }

    fn when(&self) -> String {
        let kinds = self.kinds.join(", ");
        match &self.cond {
            Cond::All(parts) if parts.is_empty() => format!("{{ kind: [{kinds}] }}"),
            cond => format!("{{ kind: [{kinds}], all: [{}] }}", cond.write()),
        }
    }
}

#[derive(Debug)]
pub(super) struct Limit {
    pub(super) entry: Entry,
    pub(super) measure: &'static str,
    pub(super) window: bool,
    pub(super) by_counterparty: bool,
    pub(super) max: u64,
    pub(super) over: Then,
}

impl Limit {
    fn draw(draw: &mut Draw) -> Self {
        let over = draw.of(&[Then::Deny, Then::Approve("desk"), Then::Approve("board")]);
        let measure = draw.of(&["usd", "usd", "usd", "fee_usd", "tx", "action"]);
        let window = draw.one_in(2);
        let money = matches!(measure, "usd" | "fee_usd");
        let max = if money { draw.below(60) } else { draw.below(4) };
        let by_counterparty = window && draw.one_in(2);
        let mut entry = Entry::draw(Then::Deny, draw);
        if draw.one_in(2) {
            entry.kinds = KINDS.to_vec();
            entry.cond = Cond::All(Vec::new());
        }
        Self { entry, measure, window, by_counterparty, max, over }
    }

    fn write(&self, id: usize) -> String {
        let money = matches!(self.measure, "usd" | "fee_usd");
        let what = if money { "sum" } else { "count" };
        let max = if money {
            Field::Usd.write(&Value::Number(self.max.into()))
        } else {
            self.max.to_string()
        };
        let per = if self.window { "24h" } else { "tx" };
        let by = if self.by_counterparty { ", by: [to]" } else { "" };
        format!(
            "  - {{ id: l{id}, when: {}, {what}: {}, per: {per}{by}, max: {max}, over: {} }}",
            self.entry.when(),
            self.measure,
            self.over.write()
        )
    }
}

#[derive(Debug)]
pub(super) struct Policy {
    pub(super) kind: &'static str,
    pub(super) rules: Vec<Entry>,
    pub(super) limits: Vec<Limit>,
}

const GATES: &str = "gates: { desk: { need: [{ any: 1, of: [alice] }] }, board: { need: [{ any: 2, of: [alice, bob] }, { any: 1, of: [alice] }] } }\n";

impl Policy {
    fn draw(kind: &'static str, draw: &mut Draw) -> Self {
        let stops = [Then::Deny, Then::Approve("desk"), Then::Approve("board")];
        let mut rules = draw.many(0, 2, |draw| {
            let then = draw.of(&stops);
            Entry::draw(then, draw)
        });
        if kind == "grant" {
            rules.extend(draw.many(1, 4, |draw| Entry::draw(Then::Allow, draw)));
        }
        let limits = draw.many(0, 2, Limit::draw);
        Self { kind, rules, limits }
    }

    fn write(&self, head: &str) -> String {
        let mut text = format!("policy: {0}\nkind: {0}\n{head}{GATES}rules:\n", self.kind);
        for (id, rule) in self.rules.iter().enumerate() {
            let spend = if rule.spend.is_empty() {
                String::new()
            } else {
                format!(", spend: {}", rule.spend)
            };
            writeln!(
                text,
                "  - {{ id: r{id}, when: {}, then: {}{spend} }}",
                rule.when(),
                rule.then.write()
            )
            .unwrap();
        }
        text.push_str("limits:\n");
        for (id, limit) in self.limits.iter().enumerate() {
            writeln!(text, "{}", limit.write(id)).unwrap();
        }
        text
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
    pub(super) who: &'static str,
    pub(super) unlimited: bool,
    pub(super) label: &'static str,
    /// Thousandths of a USD sent along, at the native price.
    pub(super) value: u64,
    pub(super) via: &'static str,
    pub(super) depth: u64,
    pub(super) selector: &'static str,
    pub(super) deadline: Option<u64>,
    pub(super) unreadable: bool,
    /// A call of a registered contract that its layout does not have.
    pub(super) unlisted: bool,
    /// A delegation for every chain: its code is on nobody's list.
    pub(super) everywhere: bool,
}

impl Act {
    fn draw(draw: &mut Draw) -> Self {
        let kind = draw.of(&[
            "transfer",
            "transfer",
            "transfer",
            "approve",
            "revoke",
            "call",
            "call",
            "deploy",
            "delegate",
            "typed_data",
            "text",
        ]);
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
        Self {
            kind,
            token,
            amount,
            who: draw.of(&["friend", "friend", "stranger", "self"]),
            unlimited: kind == "approve" && draw.one_in(3),
            label: draw.of(&[kind, kind, "swap", "bridge"]),
            value,
            via: draw.of(&["call", "call", "signature"]),
            depth: draw.below(3),
            selector: draw.of(&["", "0xaaaaaaaa", "0xbbbbbbbb"]),
            deadline: draw.one_in(2).then(|| draw.below(30)),
            unreadable: kind == "call" && draw.one_in(20),
            unlisted: kind == "call" && draw.one_in(4),
            everywhere: kind == "delegate" && draw.one_in(2),
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

    /// The contract or account that is called.
    pub(super) fn target(&self) -> &'static str {
        match (self.kind, self.token) {
            ("transfer", "native") | ("call" | "delegate", _) => self.who,
            _ => self.token,
        }
    }

    pub(super) fn counterparty(&self) -> &'static str {
        match self.kind {
            "deploy" | "text" => "",
            // a message and a delegation are about the contract and the code that they name
            "typed_data" | "delegate" | "transfer" | "approve" | "revoke" | "call" => self.who,
            _ => panic!("no such kind"),
        }
    }

    fn to_core(&self) -> Action {
        let asset = match self.token {
            "native" => Asset::Native,
            token => Asset::Token(address(token)),
        };
        let (who, amount) = (address(self.who), U256::from(self.units()));
        let empty = || AbiValue::Tuple(Vec::new());
        let effect = match self.kind {
            "transfer" => Effect::Transfer { asset, from: WALLET, to: who, amount },
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
            "typed_data" => {
                Effect::TypedData { primary_type: "T".into(), domain: empty(), message: empty() }
            }
            _ => Effect::Text { text: "hello".into(), siwe: None },
        };
        let target = match self.kind {
            "deploy" | "text" => None,
            "typed_data" => Some(who),
            _ => Some(address(self.target())),
        };
        Action {
            selector: (!self.selector.is_empty())
                .then(|| self.selector.parse::<Selector>().unwrap()),
            value_wei: wei(self.value),
            label: self.label.to_owned(),
            via: if self.via == "call" { Via::Call } else { Via::Signature },
            depth: u8::try_from(self.depth).unwrap(),
            unlisted: self.unlisted,
            ..action(effect, target)
        }
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
    /// What the agent says as `context.n`.
    pub(super) said: Option<u64>,
    pub(super) declared: Option<&'static str>,
    pub(super) gas: u64,
    pub(super) nonce: Option<u64>,
    /// Thousandths of a USD, at the native price.
    pub(super) fee: u64,
    pub(super) native_priced: bool,
    pub(super) seen_known: bool,
    pub(super) day: u64,
    pub(super) hour: u64,
    pub(super) open: Vec<&'static str>,
    /// To whom: to rules and limits of even numbers, and of odd ones.
    pub(super) answered: [bool; 2],
    pub(super) expired: bool,
    pub(super) covered: bool,
    pub(super) frozen: bool,
}

impl World {
    pub(super) fn draw(draw: &mut Draw) -> Self {
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
            said: draw.one_in(2).then(|| draw.below(30)),
            declared: draw.of(&[None, None, Some("swap"), Some("bridge")]),
            gas: draw.of(&[21_000, 50_000]),
            nonce: draw.one_in(2).then(|| draw.below(30)),
            fee: draw.of(&[0, 0, 3, 20]),
            native_priced: !draw.one_in(6),
            seen_known: !draw.one_in(4),
            day: draw.below(7),
            hour: draw.of(&[7, 8, 12, 19, 20]),
            open: draw.of(&[&[][..], &["desk"], &["board"], &["desk", "board"]]).to_vec(),
            answered: [!draw.one_in(4), !draw.one_in(4)],
            expired: draw.one_in(40),
            covered: !draw.one_in(40),
            frozen: draw.one_in(30),
        }
    }

    /// Changes one thing in the grant.
    pub(super) fn change(&mut self, draw: &mut Draw) {
        let stops = [Then::Deny, Then::Approve("desk"), Then::Approve("board")];
        let rules = &mut self.grant.rules;
        let index = draw.index(rules.len());
        match draw.below(9) {
            0 => {
                rules.remove(index);
            }
            1 | 2 => {
                let then = draw.of(&stops);
                rules.push(Entry::draw(then, draw));
            }
            3 => rules.push(Entry::draw(Then::Allow, draw)),
            4 => {
                rules[index].then = draw.of(&stops);
                rules[index].spend = "";
            }
            5 | 6 => {
                let more = Cond::draw(&rules[index].kinds, 1, draw);
                let old = std::mem::replace(&mut rules[index].cond, Cond::Hours);
                let parts = vec![old, more];
                rules[index].cond =
                    if draw.one_in(2) { Cond::All(parts) } else { Cond::Any(parts) };
            }
            7 => self.grant.limits.push(Limit::draw(draw)),
            _ => {
                for limit in &mut self.grant.limits {
                    limit.max = if draw.one_in(3) { limit.max + 1 } else { limit.max / 2 };
                    limit.window = limit.window && draw.one_in(2);
                    limit.by_counterparty = limit.window && limit.by_counterparty;
                }
            }
        }
    }

    fn instant(&self) -> String {
        format!("2026-01-{:02}T{:02}:00:00Z", 5 + self.day, self.hour)
    }

    pub(super) fn source(&self) -> String {
        let expires = if self.expired { self.instant() } else { "2027-01-01T00:00:00Z".to_owned() };
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

    pub(super) fn declared_to_core(&self) -> Declared {
        let mut context = Context::default();
        if let Some(number) = self.said {
            context.say("n", ContextValue::of_text(&number.to_string())).unwrap();
            context.say("s", ContextValue::of_text("inr")).unwrap();
        }
        Declared {
            action: self.declared.map(str::to_owned),
            session: self.session.map(str::to_owned),
            context,
            ..Declared::default()
        }
    }

    pub(super) fn facts(&self, policies: &Policies) -> Facts {
        let mut facts = scene::facts(self.acts.iter().map(Act::to_core).collect());
        facts.at = self.instant().parse().unwrap();
        facts.role = self.role.map(str::to_owned);
        facts.gas = self.gas;
        facts.nonce = self.nonce;
        facts.fee_wei_max = wei(self.fee);
        if !self.native_priced {
            facts.tokens[0].price = Fact::Unknown("nobody has one".into());
            facts.tokens[0].never_priced = true;
        }
        facts.seen = if self.seen_known {
            Fact::Known(BTreeSet::from([FRIEND]))
        } else {
            Fact::Unknown("nobody looked".into())
        };
        facts.freezes = if self.frozen { vec![Freeze::Chain(ChainId(31337))] } else { Vec::new() };
        for gate in
            policies.grant.gates().iter().filter(|gate| self.open.contains(&gate.id.as_str()))
        {
            let asking = (0..64).filter(|number| self.answered[number % 2]);
            let asking: Vec<String> =
                asking.flat_map(|number| [format!("r{number}"), format!("l{number}")]).collect();
            let asking: Vec<&str> = asking.iter().map(String::as_str).collect();
            let mut opened = approval(gate, &asking, &["alice", "bob"]);
            opened.fee_wei_max = facts.fee_wei_max;
            facts.approvals.push(opened);
        }
        debug_assert_ne!(policies.grant.id().0, B256::ZERO);
        facts
    }
}
