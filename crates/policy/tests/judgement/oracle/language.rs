//! The language as the oracle knows it: fields with the kinds that have them, values, and what may be asked of a value.

use alloy_primitives::{Address, U256};
use countersign_core::abi::{AbiFunction, AbiValue};

use super::draw::Draw;
use crate::scene::{DOLLAR, FRIEND, STRANGER, WALLET};

/// A token that nobody prices.
pub(super) const OTHER: Address = Address::repeat_byte(0xee);

pub(super) const KINDS: [&str; 8] =
    ["transfer", "approve", "revoke", "call", "deploy", "delegate", "typed_data", "text"];

/// What people say on a Monday at midnight, in milliseconds since the epoch: 2026-01-05T00:00:00Z.
pub(super) const MONDAY: u64 = 1_767_571_200_000;
pub(super) const HOUR: u64 = 3_600_000;
pub(super) const DAY: u64 = 24 * HOUR;

/// What a field's values are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Shape {
    Number,
    Signed,
    Decimal,
    Usd,
    Percent,
    Instant,
    Account,
    Token,
    Kind,
    Selector,
    Function,
    Bool,
    Text,
    Bytes,
    List(&'static Shape),
    Tuple(&'static [(&'static str, Shape)]),
    /// What somebody says of themselves: a number, a truth value or a text.
    Said,
    /// A field of something that is signed: its type comes with it.
    Written,
}

impl Shape {
    pub(super) const fn is_ordered(self) -> bool {
        matches!(
            self,
            Self::Number
                | Self::Signed
                | Self::Decimal
                | Self::Usd
                | Self::Percent
                | Self::Instant
                | Self::Said
                | Self::Written
        )
    }

    const fn is_text(self) -> bool {
        matches!(self, Self::Text | Self::Said | Self::Written)
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Number(u128),
    Signed(i64),
    /// In millionths.
    Decimal(i128),
    Text(&'static str),
    Bool(bool),
    Account(&'static str),
    /// A token, and whether it is called by the other of its two names.
    Token(&'static str, bool),
    Bytes(String),
    Function(usize),
    List(Vec<Value>),
    Tuple(Vec<(&'static str, Value)>),
    /// It is known that there is none.
    Nothing,
}

pub(super) type Parts = Vec<(&'static str, Value)>;

const CALLS: &[&str] = &["transfer", "approve", "revoke", "call"];
const TRANSACTIONS: &[&str] = &["transfer", "approve", "revoke", "call", "deploy"];
const SIMULATED: &[&str] = &["transfer", "approve", "revoke", "call", "deploy", "delegate"];
const TYPED: &[&str] = &["typed_data"];
/// What typed data can be, where a rule names the kind.
const SIGNED: &[&str] = &["transfer", "approve", "revoke", "call", "delegate", "typed_data"];
const PAIR: &[(&str, Shape)] = &[("who", Shape::Account), ("cut", Shape::Number)];

/// A field of the language: its word, the kinds that have it, what it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Field {
    pub(super) word: &'static str,
    kinds: &'static [&'static str],
    pub(super) shape: Shape,
}

const fn field(word: &'static str, kinds: &'static [&'static str], shape: Shape) -> Field {
    Field { word, kinds, shape }
}

pub(super) const FIELDS: &[Field] = &[
    field("chain", &KINDS, Shape::Number),
    field("agent", &KINDS, Shape::Text),
    field("wallet", &KINDS, Shape::Text),
    field("session", &KINDS, Shape::Text),
    field("role", &KINDS, Shape::Text),
    field("kind", &KINDS, Shape::Kind),
    field("token", &["transfer", "approve", "revoke"], Shape::Token),
    field("amount", &["transfer", "approve"], Shape::Number),
    field("units", &["transfer", "approve"], Shape::Decimal),
    field("currency", &["transfer", "approve", "revoke"], Shape::Text),
    field("usd", &KINDS, Shape::Usd),
    field("from", &["transfer"], Shape::Account),
    field("to", &["transfer"], Shape::Account),
    field("spender", &["approve", "revoke"], Shape::Account),
    field("target", &["transfer", "approve", "revoke", "call", "delegate"], Shape::Account),
    field("selector", CALLS, Shape::Selector),
    field("fn", CALLS, Shape::Function),
    field("value_wei", TRANSACTIONS, Shape::Number),
    field("gas", TRANSACTIONS, Shape::Number),
    field("fee_usd", TRANSACTIONS, Shape::Usd),
    field("nonce", TRANSACTIONS, Shape::Number),
    field("action", &KINDS, Shape::Text),
    field("unlimited", &["approve"], Shape::Bool),
    field("deadline", &["approve"], Shape::Number),
    field("via", &KINDS, Shape::Text),
    field("depth", &KINDS, Shape::Number),
    field("recipient.seen", &["transfer", "approve", "call"], Shape::Bool),
    field("balance_share", &["transfer", "call", "deploy"], Shape::Percent),
    field("now", &KINDS, Shape::Instant),
    field("risk", &KINDS, Shape::Number),
    field("privileged", &["call"], Shape::Bool),
    field("text", &["text"], Shape::Text),
    field("primary_type", TYPED, Shape::Text),
    field("sim.reverted", SIMULATED, Shape::Bool),
    field("sim.out.usd", SIMULATED, Shape::Usd),
    field("sim.in.usd", SIMULATED, Shape::Usd),
    field("sim.loss.usd", SIMULATED, Shape::Usd),
    field("sim.excess.usd", SIMULATED, Shape::Usd),
    field("sim.approvals", SIMULATED, Shape::Number),
    field("args.n", CALLS, Shape::Number),
    field("args.to", CALLS, Shape::Account),
    field("args.memo", CALLS, Shape::Text),
    field("args.dry", CALLS, Shape::Bool),
    field("args.level", CALLS, Shape::Signed),
    field("args.note", CALLS, Shape::Bytes),
    field("args.path", CALLS, Shape::List(&Shape::Account)),
    field("args.path.0", CALLS, Shape::Account),
    field("args.parts", CALLS, Shape::List(&Shape::Tuple(PAIR))),
    field("args.parts.0.cut", CALLS, Shape::Number),
    field("args.one", CALLS, Shape::Tuple(PAIR)),
    field("context.n", &KINDS, Shape::Said),
    field("context.s", &KINDS, Shape::Said),
    field("domain.name", TYPED, Shape::Written),
    field("domain.chainId", TYPED, Shape::Written),
    field("domain.verifyingContract", TYPED, Shape::Written),
    field("message.amount", TYPED, Shape::Written),
    field("message.to", TYPED, Shape::Written),
    field("message.delta", TYPED, Shape::Written),
    field("message.memo", TYPED, Shape::Written),
    field("message.flag", TYPED, Shape::Written),
    field("message.hops", TYPED, Shape::Written),
    field("message.hops.0", TYPED, Shape::Written),
    field("message.detail.cut", TYPED, Shape::Written),
    field("siwe.domain", &["text"], Shape::Written),
    field("siwe.uri", &["text"], Shape::Written),
    field("siwe.uri_host", &["text"], Shape::Written),
    field("siwe.nonce", &["text"], Shape::Written),
    field("oracle.risk.score", &KINDS, Shape::Said),
    field("oracle.risk.listed", &KINDS, Shape::Said),
    field("oracle.trust", &KINDS, Shape::Said),
];

impl Field {
    pub(super) fn of(word: &str) -> Self {
        *FIELDS.iter().find(|field| field.word == word).unwrap()
    }

    /// The kinds that a rule speaks of which names this field and no kind.
    pub(super) fn kinds(self) -> &'static [&'static str] {
        self.kinds
    }

    /// The kinds for which a rule may name this field: typed data keeps its fields, whatever it does.
    pub(super) fn kinds_named(self) -> &'static [&'static str] {
        if self.kinds == TYPED { SIGNED } else { self.kinds }
    }

    pub(super) fn is_argument(self) -> bool {
        self.word.starts_with("args.")
    }

    /// The last part of a path: `cut` of `args.one.cut`.
    fn tail(self) -> &'static str {
        self.word.rsplit('.').next().unwrap()
    }
}

/// Functions by which calls are read; the second has one of the arguments of the first.
pub(super) const FUNCTIONS: [&str; 2] = [
    "pay(uint256 n,address to,string memo,bool dry,int256 level,bytes note,address[] path,(address who,uint256 cut)[] parts,(address who,uint256 cut) one)",
    "ping(uint256 n)",
];

pub(super) fn function(index: usize) -> AbiFunction {
    AbiFunction::parse(FUNCTIONS[index]).unwrap()
}

pub(super) fn address(who: &str) -> Address {
    match who {
        "friend" => FRIEND,
        "stranger" => STRANGER,
        "dollar" => DOLLAR,
        "other" => OTHER,
        "zero" => Address::ZERO,
        _ => WALLET,
    }
}

impl Value {
    /// A value that a field of this shape may be compared with, near those that requests have.
    pub(super) fn draw(field: Field, shape: Shape, draw: &mut Draw) -> Self {
        match shape {
            Shape::Number => Self::Number(number(field, draw)),
            Shape::Usd => Self::Number(draw.below(30).into()),
            Shape::Percent => Self::Number(draw.of(&[0, 1, 2500, 5000, 9000, 10_000])),
            Shape::Instant => Self::Number(instant(draw).into()),
            Shape::Signed => Self::Signed(draw.of(&[-5, -1, 0, 3])),
            Shape::Decimal => Self::Decimal(i128::from(draw.below(30)) * draw.of(&[1, 1000])),
            Shape::Account => Self::Account(draw.of(&["friend", "stranger", "self", "dollar"])),
            Shape::Token => Self::Token(draw.of(&["native", "dollar", "other"]), draw.one_in(2)),
            Shape::Kind => Self::Text(draw.of(&KINDS)),
            Shape::Selector => {
                let known = function(draw.index(2)).selector().to_string();
                Self::Bytes(draw.of(&["0xaaaaaaaa", "0xbbbbbbbb", &known]).to_owned())
            }
            Shape::Function => Self::Function(draw.index(2)),
            Shape::Bool => Self::Bool(draw.one_in(2)),
            Shape::Text => Self::Text(draw.of(texts(field.word))),
            Shape::Bytes => Self::Bytes(draw.of(&["0x", "0x01", "0x0100"]).to_owned()),
            Shape::Said => said(field, draw),
            Shape::Written => written(field, draw),
            Shape::List(item) => Self::List(draw.many(0, 2, |draw| Self::draw(field, *item, draw))),
            Shape::Tuple(parts) => Self::Tuple(
                parts.iter().map(|(name, part)| (*name, Self::draw(field, *part, draw))).collect(),
            ),
        }
    }

    /// As a policy writes it. Amounts count thousandths of a USD, in the units of each field.
    pub(super) fn write(&self, shape: Shape) -> String {
        match self {
            Self::Number(n) if shape == Shape::Usd => format!("\"{}.{:03}\"", n / 1000, n % 1000),
            Self::Number(n) if shape == Shape::Percent => format!("{}.{:02}%", n / 100, n % 100),
            Self::Number(n) if shape == Shape::Instant => {
                timestamp(u64::try_from(*n).unwrap()).to_string()
            }
            Self::Number(n) => n.to_string(),
            Self::Signed(n) => n.to_string(),
            Self::Decimal(n) => {
                let sign = if *n < 0 { "-" } else { "" };
                let (whole, rest) = (n.abs() / 1_000_000, n.abs() % 1_000_000);
                format!("\"{sign}{whole}.{rest:06}\"")
            }
            Self::Text(text) => format!("\"{text}\""),
            Self::Bool(truth) => truth.to_string(),
            Self::Account("self") => "self".to_owned(),
            Self::Account(who) => format!("\"{}\"", address(who)),
            Self::Token("native", true) => "native".to_owned(),
            Self::Token("native", false) => "eth@31337".to_owned(),
            Self::Token("dollar", false) => "usdc@31337".to_owned(),
            Self::Token(token, _) => format!("\"{}\"", address(token)),
            Self::Bytes(bytes) => format!("\"{bytes}\""),
            Self::Function(index) => format!("\"{}\"", FUNCTIONS[*index]),
            Self::List(_) | Self::Tuple(_) | Self::Nothing => panic!("no policy writes {self:?}"),
        }
    }

    /// The letters that stand for it where only its own type can read them; `None` for what has none.
    pub(super) fn letters(&self) -> Option<String> {
        Some(match self {
            Self::Number(n) => n.to_string(),
            Self::Signed(n) => n.to_string(),
            Self::Text(text) => (*text).to_owned(),
            Self::Bool(truth) => truth.to_string(),
            Self::Account(who) => address(who).to_string(),
            Self::Bytes(bytes) => bytes.clone(),
            Self::Decimal(_)
            | Self::Token(..)
            | Self::Function(_)
            | Self::List(_)
            | Self::Tuple(_)
            | Self::Nothing => return None,
        })
    }

    /// What lies at a dotted path.
    pub(super) fn at(&self, path: &str) -> Option<Self> {
        let (head, rest) = path.split_once('.').map_or((path, None), |(h, r)| (h, Some(r)));
        let inner = match self {
            Self::Tuple(parts) => parts.iter().find(|(name, _)| *name == head).map(|(_, v)| v),
            Self::List(items) => head.parse::<usize>().ok().and_then(|index| items.get(index)),
            _ => None,
        }?;
        rest.map_or_else(|| Some(inner.clone()), |rest| inner.at(rest))
    }

    pub(super) fn to_core(&self) -> AbiValue {
        match self {
            Self::Number(n) => AbiValue::Uint(U256::from(*n)),
            Self::Signed(n) => AbiValue::Int(n.to_string().parse().unwrap()),
            Self::Text(text) => AbiValue::Text((*text).to_owned()),
            Self::Bool(truth) => AbiValue::Bool(*truth),
            Self::Account(who) => AbiValue::Address(address(who)),
            Self::Bytes(bytes) => AbiValue::Bytes(bytes.parse().unwrap()),
            Self::List(items) => AbiValue::List(items.iter().map(Self::to_core).collect()),
            Self::Tuple(parts) => AbiValue::Tuple(
                parts.iter().map(|(name, value)| ((*name).to_owned(), value.to_core())).collect(),
            ),
            Self::Decimal(_) | Self::Token(..) | Self::Function(_) | Self::Nothing => {
                panic!("{self:?} is in no call")
            }
        }
    }
}

pub(super) fn timestamp(ms: u64) -> countersign_core::time::Timestamp {
    countersign_core::time::Timestamp::from_millis(ms)
}

/// An hour of a week in January 2026, or of its last day.
pub(super) fn instant(draw: &mut Draw) -> u64 {
    MONDAY + draw.of(&[0, 1, 2, 3, 4, 5, 6, 26]) * DAY + draw.of(&[0, 7, 8, 12, 19, 20, 23]) * HOUR
}

fn number(field: Field, draw: &mut Draw) -> u128 {
    let small = u128::from(draw.below(30));
    match field.word {
        "chain" | "domain.chainId" => draw.of(&[1, 31337]),
        "gas" => draw.of(&[20_999, 21_000, 50_000]),
        "value_wei" => small * u128::from(crate::scene::MILLI_USD),
        "amount" => small * draw.of(&[1000, 1_000_000_000_000]),
        "depth" | "sim.approvals" => u128::from(draw.below(3)),
        "risk" => u128::from(draw.below(8)) * 15,
        _ if matches!(field.tail(), "n" | "amount") => small * 1000,
        _ => small,
    }
}

fn texts(word: &str) -> &'static [&'static str] {
    match word {
        "agent" => &["bot", "other"],
        "wallet" => &["ops-1", "ops-2"],
        "session" => &["one", "two"],
        "role" => &["trader", "desk"],
        "currency" => &["USDC", "ETH", "DAI"],
        "action" => &["swap", "bridge", "transfer", "call"],
        "via" => &["call", "signature"],
        "text" => &["hello", "hello you", "gm"],
        "primary_type" => &["Order", "Ping", "Vote"],
        "domain.name" => &["Shop", "Market"],
        "siwe.domain" => &["shop.example", "app.example"],
        "siwe.uri" => &["https://shop.example", "https://evil.example"],
        "siwe.uri_host" => &["shop.example", "api.shop.example", "evil.example"],
        _ => &["ok", "no", "ok then"],
    }
}

/// What somebody says of a thing, or what they are asked to say: not always of the same type.
fn said(field: Field, draw: &mut Draw) -> Value {
    let number = Value::Decimal(i128::from(draw.below(6)) * 500_000 - 1_000_000);
    let own = match field.tail() {
        "s" => Value::Text(draw.of(&["ok", "no", "ok then"])),
        "listed" => Value::Bool(draw.one_in(2)),
        _ => number.clone(),
    };
    let any = [Value::Text("ok"), Value::Bool(true), number];
    if draw.one_in(6) { any[draw.index(3)].clone() } else { own }
}

fn written(field: Field, draw: &mut Draw) -> Value {
    let own = match field.tail() {
        "amount" | "chainId" | "cut" => Value::Number(number(field, draw)),
        "to" | "verifyingContract" | "hops" | "0" => {
            Value::Account(draw.of(&["friend", "stranger", "self", "dollar"]))
        }
        "delta" => Value::Signed(draw.of(&[-5, -1, 0, 3])),
        "flag" => Value::Bool(draw.one_in(2)),
        _ => Value::Text(draw.of(texts(field.word))),
    };
    let any = [Value::Text("ok"), Value::Bool(true), Value::Number(draw.below(3).into())];
    if draw.one_in(6) { any[draw.index(3)].clone() } else { own }
}

/// A pattern, by what it means.
#[derive(Debug, Clone, Copy)]
pub(super) enum Pattern {
    Whole(&'static str),
    Begins(&'static str),
    Holds(&'static str),
}

impl Pattern {
    fn draw(field: Field, draw: &mut Draw) -> Self {
        let text = draw.of(texts(field.word));
        match draw.below(3) {
            0 => Self::Whole(text),
            1 => Self::Begins(draw.of(&[text, "ok", "s", "h"])),
            _ => Self::Holds(draw.of(&[text, "o", "e"])),
        }
    }

    fn write(self) -> String {
        let plain = |text: &str| text.replace('.', "[.]");
        match self {
            Self::Whole(text) => format!("\"^{}$\"", plain(text)),
            Self::Begins(text) => format!("\"^{}.*$\"", plain(text)),
            Self::Holds(text) => format!("\"{}\"", plain(text)),
        }
    }

    pub(super) fn fits(self, text: &str) -> bool {
        match self {
            Self::Whole(whole) => text == whole,
            Self::Begins(start) => text.starts_with(start),
            Self::Holds(part) => text.contains(part),
        }
    }
}

/// A member of a list; from an instant on nobody knows whether it still belongs.
#[derive(Debug, Clone)]
pub(super) struct Member {
    pub(super) value: Value,
    pub(super) until: Option<u64>,
}

/// The sets that every policy defines.
pub(super) const SETS: &str = "sets: { kin: [\"0x1111111111111111111111111111111111111111\", { is: \"0x9999999999999999999999999999999999999999\", until: 2026-01-08T00:00:00Z }], purse: [usdc@31337, native] }\n";

/// What a set holds.
fn set(name: &str) -> Vec<Member> {
    let member = |value, until| Member { value, until };
    match name {
        "kin" => vec![
            member(Value::Account("friend"), None),
            member(Value::Account("stranger"), Some(MONDAY + 3 * DAY)),
        ],
        _ => vec![
            member(Value::Token("dollar", false), None),
            member(Value::Token("native", true), None),
        ],
    }
}

/// How a list is written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Style {
    /// `eq: a`, `ne: a`
    One,
    /// `in: [a, b]`, `not_in: [a, b]`
    Many,
    /// `in: "@name"`, `not_in: "@name"`
    Set(&'static str),
}

#[derive(Debug)]
pub(super) enum Ask {
    In(Vec<Member>, Style),
    NotIn(Vec<Member>, Style),
    Below(Value),
    AtMost(Value),
    Above(Value),
    AtLeast(Value),
    Between(Value, Value),
    Matches(Pattern),
    Any(Matcher),
    Every(Matcher),
    None(Matcher),
    Count(Matcher),
    Part(&'static str, Matcher),
}

impl Ask {
    /// The word of the operator; that of a part is its own.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::In(_, Style::One) => "eq",
            Self::In(..) => "in",
            Self::NotIn(_, Style::One) => "ne",
            Self::NotIn(..) => "not_in",
            Self::Below(_) => "lt",
            Self::AtMost(_) => "lte",
            Self::Above(_) => "gt",
            Self::AtLeast(_) => "gte",
            Self::Between(..) => "between",
            Self::Matches(_) => "matches",
            Self::Any(_) => "any",
            Self::Every(_) => "every",
            Self::None(_) => "none",
            Self::Count(_) => "count",
            Self::Part(name, _) => name,
        }
    }

    fn draw(field: Field, shape: Shape, draw: &mut Draw) -> Self {
        if let Shape::Tuple(parts) = shape {
            let (name, part) = parts[draw.index(parts.len())];
            return Self::Part(name, Matcher::of_shape(field, part, draw));
        }
        let list = match shape {
            Shape::List(item) => Some(*item),
            Shape::Written if field.tail() == "hops" || draw.one_in(12) => Some(Shape::Written),
            _ => None,
        };
        if let Some(item) = list {
            let field = if field.tail() == "hops" { Field::of("message.hops.0") } else { field };
            return match draw.below(4) {
                0 => Self::Any(Matcher::of_shape(field, item, draw)),
                1 => Self::Every(Matcher::of_shape(field, item, draw)),
                2 => Self::None(Matcher::of_shape(field, item, draw)),
                _ => Self::Count(Matcher::of_shape(Field::of("depth"), Shape::Number, draw)),
            };
        }
        match draw.below(8) {
            0 | 1 if shape.is_text() && draw.one_in(2) => Self::Matches(Pattern::draw(field, draw)),
            2..=4 if shape.is_ordered() => Self::compare(field, shape, draw),
            5..=7 => {
                let (members, style) = members(field, shape, draw);
                Self::NotIn(members, style)
            }
            _ => {
                let (members, style) = members(field, shape, draw);
                Self::In(members, style)
            }
        }
    }

    fn compare(field: Field, shape: Shape, draw: &mut Draw) -> Self {
        let bound = |draw: &mut Draw| match (shape, Value::draw(field, shape, draw)) {
            // only numbers are bounds
            (Shape::Said, Value::Text(_) | Value::Bool(_)) => Value::Decimal(500_000),
            (Shape::Written, value) if !matches!(value, Value::Number(_)) => Value::Number(1),
            (_, value) => value,
        };
        let (a, b) = (bound(draw), bound(draw));
        match draw.below(5) {
            0 => Self::Below(a),
            1 => Self::AtMost(a),
            2 => Self::Above(a),
            3 => Self::AtLeast(a),
            _ if order(&a, &b).is_some_and(std::cmp::Ordering::is_gt) => Self::Between(b, a),
            _ => Self::Between(a, b),
        }
    }

    fn write(&self, shape: Shape) -> String {
        let list = |members: &[Member]| {
            let each = members.iter().map(|Member { value, until }| match until {
                None => value.write(shape),
                Some(ms) => format!("{{ is: {}, until: {} }}", value.write(shape), timestamp(*ms)),
            });
            format!("[{}]", each.collect::<Vec<_>>().join(", "))
        };
        let below = |matcher: &Matcher| {
            let item = match shape {
                Shape::List(item) => *item,
                other => other,
            };
            matcher.write(item)
        };
        let what = match self {
            Self::In(members, style) | Self::NotIn(members, style) => match style {
                Style::One => members[0].value.write(shape),
                Style::Many => list(members),
                Style::Set(name) => format!("\"@{name}\""),
            },
            Self::Below(value)
            | Self::AtMost(value)
            | Self::Above(value)
            | Self::AtLeast(value) => value.write(shape),
            Self::Between(low, high) => format!("[{}, {}]", low.write(shape), high.write(shape)),
            Self::Matches(pattern) => pattern.write(),
            Self::Any(matcher) | Self::Every(matcher) | Self::None(matcher) => below(matcher),
            Self::Count(matcher) => matcher.write(Shape::Number),
            Self::Part(name, matcher) => {
                let Shape::Tuple(parts) = shape else { panic!("{name} is part of no tuple") };
                let (_, part) = parts.iter().find(|(known, _)| known == name).unwrap();
                matcher.write(*part)
            }
        };
        format!("{}: {what}", self.word())
    }
}

/// How two values that can be compared lie.
pub(super) fn order(a: &Value, b: &Value) -> Option<std::cmp::Ordering> {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => Some(a.cmp(b)),
        (Value::Signed(a), Value::Signed(b)) => Some(a.cmp(b)),
        (Value::Signed(a), Value::Number(b)) => {
            Some(i128::from(*a).cmp(&i128::try_from(*b).unwrap()))
        }
        (Value::Decimal(a), Value::Decimal(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

fn members(field: Field, shape: Shape, draw: &mut Draw) -> (Vec<Member>, Style) {
    if draw.one_in(4) {
        match shape {
            Shape::Account => return (set("kin"), Style::Set("kin")),
            Shape::Token => return (set("purse"), Style::Set("purse")),
            _ => {}
        }
    }
    let style = if draw.one_in(3) { Style::One } else { Style::Many };
    let most = if style == Style::One { 1 } else { 2 };
    let member = |draw: &mut Draw| {
        let until = (style == Style::Many && draw.one_in(12)).then(|| instant(draw));
        Member { value: Value::draw(field, shape, draw), until }
    };
    (draw.many(1, most, member), style)
}

/// Everything that is asked of one value.
#[derive(Debug)]
pub(super) struct Matcher(pub(super) Vec<Ask>);

impl Matcher {
    pub(super) fn draw(field: Field, draw: &mut Draw) -> Self {
        Self::of_shape(field, field.shape, draw)
    }

    fn of_shape(field: Field, shape: Shape, draw: &mut Draw) -> Self {
        let mut asks = vec![Ask::draw(field, shape, draw)];
        if draw.one_in(4) {
            let another = Ask::draw(field, shape, draw);
            // two asks of one operator would be one key twice
            asks.extend((another.word() != asks[0].word()).then_some(another));
        }
        Self(asks)
    }

    /// One of these.
    pub(super) fn one_of(values: Vec<Value>) -> Self {
        let members = values.into_iter().map(|value| Member { value, until: None });
        Self(vec![Ask::In(members.collect(), Style::Many)])
    }

    pub(super) fn write(&self, shape: Shape) -> String {
        let parts = self.0.iter().map(|ask| ask.write(shape)).collect::<Vec<_>>();
        match self.0.as_slice() {
            // the short forms: a scalar, a list, a set
            [Ask::In(..)] => parts[0].split_once(": ").unwrap().1.to_owned(),
            _ => format!("{{ {} }}", parts.join(", ")),
        }
    }
}
