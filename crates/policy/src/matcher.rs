//! Matchers: what a rule asks of one value.

use std::cmp::Ordering;

use alloy_primitives::{Address, Bytes, I256, U256};
use countersign_core::{
    abi::{AbiValue, Selector},
    context::ContextValue,
    decimal::Decimal,
    time::Timestamp,
};
use regex::Regex;

use crate::{
    read::whole,
    truth::{Truth, Why},
};

/// The word for the chain's own currency, whatever its symbol.
pub(crate) const NATIVE: &str = "native";

/// A value that a policy writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Operand {
    Number(U256),
    Int(I256),
    Decimal(Decimal),
    Address(Address),
    /// `self`: the wallet's address.
    Wallet,
    /// `usdc@8453`, in lower case, or [`NATIVE`].
    Token(String),
    Text(String),
    Bool(bool),
    Bytes(Bytes),
    Function {
        signature: String,
        selector: Selector,
    },
    /// What only the value's own type can read: a request brings the types of its typed data.
    Written(String),
}

impl Operand {
    /// The number, if it is one.
    pub(crate) const fn number(&self) -> Option<U256> {
        if let Self::Number(number) = self { Some(*number) } else { None }
    }

    /// The address, if it is one that the file names.
    pub(crate) const fn address(&self) -> Option<Address> {
        if let Self::Address(address) = self { Some(*address) } else { None }
    }
}

/// One member of a list or set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) operand: Operand,
    /// From this instant on, nobody knows whether it still belongs.
    pub(crate) until: Option<Timestamp>,
}

/// Everything that is asked of one value; all of it must hold.
#[derive(Debug, Clone)]
pub(crate) struct Matcher(pub(crate) Vec<Test>);

/// One thing that is asked.
#[derive(Debug, Clone)]
pub(crate) enum Test {
    In(Vec<Member>),
    NotIn(Vec<Member>),
    Below(Operand),
    AtMost(Operand),
    Above(Operand),
    AtLeast(Operand),
    /// Both bounds belong.
    Between(Operand, Operand),
    Matches(Regex),
    Any(Matcher),
    Every(Matcher),
    None(Matcher),
    Count(Matcher),
    /// A member of a tuple, by its path.
    Part(String, Matcher),
}

/// A value of a fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Known {
    Number(U256),
    Int(I256),
    Decimal(Decimal),
    Address(Address),
    /// The name if the configuration has one, and the contract if there is one.
    Token(Option<String>, Option<Address>),
    Text(String),
    Bool(bool),
    Bytes(Bytes),
    /// Every signature that reads the call, and its selector.
    Call(Vec<String>, Option<Selector>),
    /// There is none, and that is known.
    Nothing,
    List(Vec<Known>),
    Tuple(Vec<(String, Known)>),
}

/// What comparisons depend on besides the two values.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setting {
    pub(crate) wallet: Address,
    pub(crate) now: Timestamp,
}

impl Matcher {
    /// Whether it names every value that passes.
    pub(crate) fn lists(&self) -> bool {
        self.0.iter().any(|test| matches!(test, Test::In(_)))
    }

    /// Whether only the wallet's own address can pass.
    pub(crate) fn is_wallet(&self) -> bool {
        let wallet = |members: &[Member]| members.iter().all(|m| m.operand == Operand::Wallet);
        self.0.iter().any(|test| matches!(test, Test::In(members) if wallet(members)))
    }

    /// Whether a value is what the policy asks for.
    pub(crate) fn test(&self, value: &Result<Known, Why>, setting: Setting) -> Truth {
        match value {
            Err(why) => Truth::Unknown(*why),
            Ok(known) => Truth::all(self.0.iter().map(|test| test.holds(known, setting))),
        }
    }
}

impl Test {
    fn holds(&self, value: &Known, setting: Setting) -> Truth {
        let order = |operand| value.compare(operand);
        let ordered = |ordering: Option<Ordering>, wanted: &[Ordering]| {
            ordering.map_or(Truth::Unknown(Why::Unknowable), |o| Truth::of(wanted.contains(&o)))
        };
        match self {
            Self::In(members) => contains(members, value, setting),
            Self::NotIn(members) => contains(members, value, setting).not(),
            Self::Below(operand) => ordered(order(operand), &[Ordering::Less]),
            Self::AtMost(operand) => ordered(order(operand), &[Ordering::Less, Ordering::Equal]),
            Self::Above(operand) => ordered(order(operand), &[Ordering::Greater]),
            Self::AtLeast(operand) => {
                ordered(order(operand), &[Ordering::Greater, Ordering::Equal])
            }
            Self::Between(low, high) => Truth::all([
                ordered(order(low), &[Ordering::Greater, Ordering::Equal]),
                ordered(order(high), &[Ordering::Less, Ordering::Equal]),
            ]),
            Self::Matches(pattern) => {
                let Known::Text(text) = value else { return Truth::Unknown(Why::Unknowable) };
                Truth::of(pattern.is_match(text))
            }
            Self::Any(inner) => value.items(|items| Truth::any(inner.each(items, setting))),
            Self::None(inner) => value.items(|items| Truth::any(inner.each(items, setting)).not()),
            Self::Every(inner) => value.items(|items| match items {
                [] => Truth::False,
                items => Truth::all(inner.each(items, setting)),
            }),
            Self::Count(inner) => value
                .items(|items| inner.test(&Ok(Known::Number(U256::from(items.len()))), setting)),
            Self::Part(path, inner) => {
                inner.test(&value.at(path).cloned().ok_or(Why::Unknowable), setting)
            }
        }
    }
}

impl Matcher {
    fn each<'a>(
        &'a self,
        items: &'a [Known],
        setting: Setting,
    ) -> impl Iterator<Item = Truth> + 'a {
        items
            .iter()
            .map(move |item| Truth::all(self.0.iter().map(|test| test.holds(item, setting))))
    }
}

fn contains(members: &[Member], value: &Known, setting: Setting) -> Truth {
    Truth::any(members.iter().map(|member| {
        let equal = value.equals(&member.operand, setting.wallet);
        let lapsed = member.until.is_some_and(|until| until <= setting.now);
        if lapsed && equal.is_possible() { Truth::Unknown(Why::Unknowable) } else { equal }
    }))
}

impl Known {
    fn equals(&self, operand: &Operand, wallet: Address) -> Truth {
        Truth::of(match (self, operand) {
            (Self::Number(a), Operand::Number(b)) => a == b,
            (Self::Int(a), Operand::Int(b)) => a == b,
            (Self::Decimal(a), Operand::Decimal(b)) => a == b,
            (Self::Address(a), Operand::Address(b)) => a == b,
            (Self::Address(a), Operand::Wallet) => *a == wallet,
            (Self::Token(_, contract), Operand::Token(b)) if b == NATIVE => contract.is_none(),
            (Self::Token(Some(name), _), Operand::Token(b)) => name == b,
            (Self::Token(_, Some(contract)), Operand::Address(b)) => contract == b,
            (Self::Text(a), Operand::Text(b)) => a == b,
            (Self::Bool(a), Operand::Bool(b)) => a == b,
            (Self::Bytes(a), Operand::Bytes(b)) => a == b,
            (known, Operand::Written(text)) => known.is_written(text),
            (
                Self::Call(signatures, selector),
                Operand::Function { signature, selector: asked },
            ) => {
                let read = signatures.contains(signature);
                if !read && *selector == Some(*asked) {
                    return Truth::Unknown(Why::Unknowable);
                }
                read
            }
            // what an agent says in another type than the policy asks is no answer
            (Self::Decimal(_), _)
            | (Self::Text(_), Operand::Decimal(_) | Operand::Bool(_))
            | (Self::Bool(_), Operand::Decimal(_) | Operand::Text(_)) => {
                return Truth::Unknown(Why::Unknowable);
            }
            _ => false,
        })
    }

    /// Whether a policy writes this value, read as the value's own type.
    fn is_written(&self, text: &str) -> bool {
        match self {
            Self::Number(a) => whole(text) == Some(*a),
            Self::Int(a) => text.parse() == Ok(*a),
            Self::Address(a) => text.parse() == Ok(*a),
            Self::Text(a) => a == text,
            Self::Bool(a) => text.parse() == Ok(*a),
            Self::Bytes(a) => text.parse() == Ok(a.clone()),
            Self::Token(..)
            | Self::Call(..)
            | Self::Decimal(_)
            | Self::Nothing
            | Self::List(_)
            | Self::Tuple(_) => false,
        }
    }

    fn compare(&self, operand: &Operand) -> Option<Ordering> {
        match (self, operand) {
            (Self::Number(a), Operand::Number(b)) => Some(a.cmp(b)),
            (Self::Int(a), Operand::Int(b)) => Some(a.cmp(b)),
            (Self::Number(a), Operand::Written(text)) => Some(a.cmp(&whole(text)?)),
            (Self::Int(a), Operand::Written(text)) => Some(a.cmp(&text.parse().ok()?)),
            (Self::Decimal(a), Operand::Decimal(b)) => Some(a.cmp(b)),
            _ => None,
        }
    }

    fn items(&self, test: impl FnOnce(&[Self]) -> Truth) -> Truth {
        let Self::List(items) = self else { return Truth::Unknown(Why::Unknowable) };
        test(items)
    }

    fn at(&self, path: &str) -> Option<&Self> {
        let (head, rest) = path.split_once('.').map_or((path, None), |(h, r)| (h, Some(r)));
        let inner = match self {
            Self::Tuple(members) => members.iter().find(|(name, _)| name == head).map(|(_, v)| v),
            Self::List(items) => head.parse::<usize>().ok().and_then(|i| items.get(i)),
            Self::Number(_)
            | Self::Int(_)
            | Self::Decimal(_)
            | Self::Address(_)
            | Self::Token(..)
            | Self::Text(_)
            | Self::Bool(_)
            | Self::Bytes(_)
            | Self::Call(..)
            | Self::Nothing => None,
        }?;
        rest.map_or(Some(inner), |rest| inner.at(rest))
    }
}

impl From<&ContextValue> for Known {
    fn from(value: &ContextValue) -> Self {
        match value {
            ContextValue::Number(number) => Self::Decimal(number.clone()),
            ContextValue::Text(text) => Self::Text(text.clone()),
            ContextValue::Bool(truth) => Self::Bool(*truth),
        }
    }
}

impl From<&AbiValue> for Known {
    fn from(value: &AbiValue) -> Self {
        match value {
            AbiValue::Address(address) => Self::Address(*address),
            AbiValue::Uint(number) => Self::Number(*number),
            AbiValue::Int(number) => Self::Int(*number),
            AbiValue::Bool(truth) => Self::Bool(*truth),
            AbiValue::Bytes(bytes) => Self::Bytes(bytes.clone()),
            AbiValue::Text(text) => Self::Text(text.clone()),
            AbiValue::List(items) => Self::List(items.iter().map(Self::from).collect()),
            AbiValue::Tuple(members) => Self::Tuple(
                members.iter().map(|(name, value)| (name.clone(), Self::from(value))).collect(),
            ),
        }
    }
}
