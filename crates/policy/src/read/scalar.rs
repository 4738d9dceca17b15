//! Scalars with their types: exact numbers, quoted addresses with right checksums, instants, names.

use std::{fmt::Display, str::FromStr};

use alloy_primitives::{Address, Bytes, I256, U256};
use countersign_core::{
    abi::AbiFunction,
    amount::MicroUsd,
    identity::{AgentId, ChainId},
    time::Timestamp,
};

use super::Reader;
use crate::{
    diagnostic::Findings,
    field::{Kinds, Shape},
    matcher::{NATIVE, Operand},
    source::{Node, Value},
};

pub(crate) const ID_HINT: &str = "use 1 to 63 of letters, digits, - and _";

pub(crate) fn is_id(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    (1..=63).contains(&text.len()) && text.bytes().all(plain)
}

/// Refuses floats and unquoted addresses wherever they stand.
pub(crate) fn refuse_inexact(node: &Node, findings: &mut Findings) {
    match &node.value {
        Value::List(items) => {
            for item in items {
                refuse_inexact(item, findings);
            }
        }
        Value::Map(entries) => {
            for entry in entries {
                refuse_inexact(&entry.node, findings);
            }
        }
        Value::Scalar { text, quoted: false } if is_float(text) => findings.error(
            node.place,
            format!("`{text}` is a float, and floats are not exact"),
            in_digits(text),
        ),
        Value::Scalar { text, quoted: false } if is_bare_address(text) => findings.error(
            node.place,
            format!("the address `{text}` is not quoted, so that YAML reads a number"),
            format!("write \"{text}\""),
        ),
        Value::Scalar { .. } => {}
    }
}

/// What YAML or JSON would read as a floating-point number.
pub(crate) fn is_float(text: &str) -> bool {
    let body = text.trim_start_matches(['-', '+']);
    let numeric =
        body.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'-' | b'+'));
    let begins = body.bytes().next().is_some_and(|b| b.is_ascii_digit() || b == b'.');
    let named = matches!(body.to_ascii_lowercase().as_str(), ".inf" | ".nan");
    let parts = body.split(['.', 'e', 'E']).count();
    named || (numeric && begins && (2..=3).contains(&parts) && body.matches('.').count() < 2)
}

/// What to write for a number that YAML or JSON would read as a float: the same number, every digit of it.
pub(crate) fn in_digits(text: &str) -> String {
    match spelled(text) {
        Some(digits) if digits.contains('.') => format!("quote it: \"{digits}\""),
        Some(digits) => format!("write it in digits: {digits}"),
        None => "write it in digits".to_owned(),
    }
}

/// The digits of a number with a fraction or an exponent; `None` for what is none, or longer than any amount.
fn spelled(text: &str) -> Option<String> {
    let sign = if text.starts_with('-') { "-" } else { "" };
    let body = text.trim_start_matches(['-', '+']).to_ascii_lowercase();
    let (mantissa, exponent) = body.split_once('e').unwrap_or((&body, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent: i16 = exponent.parse().ok()?;
    let digits = [whole, fraction].concat();
    let point = i16::try_from(whole.len()).ok()?.checked_add(exponent)?;
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    if !plain || digits.len() > DIGITS_MAX || usize::from(point.unsigned_abs()) > DIGITS_MAX {
        return None;
    }
    let before = usize::from(u16::try_from(point).unwrap_or(0));
    let zeros = usize::from(u16::try_from(point.checked_neg()?).unwrap_or(0));
    let digits = format!("{}{digits}", "0".repeat(zeros));
    let (whole, fraction) = digits.split_at_checked(before).unwrap_or((&digits, ""));
    let whole = format!("{whole:0<before$}");
    let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
    let whole = if whole.is_empty() { "0" } else { whole };
    let point = if fraction.is_empty() { "" } else { "." };
    Some(format!("{sign}{whole}{point}{fraction}"))
}

/// The most digits that are written out for people: 2^256 has 78.
const DIGITS_MAX: usize = 80;

fn is_bare_address(text: &str) -> bool {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    digits.is_some_and(|d| d.len() == 40 && d.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// A whole number, decimal or hex.
pub(crate) fn whole(text: &str) -> Option<U256> {
    let (digits, radix) = text.strip_prefix("0x").map_or((text, 10), |hex| (hex, 16));
    let fits = !digits.is_empty() && digits.bytes().all(|b| char::from(b).is_digit(radix));
    if !fits {
        return None;
    }
    U256::from_str_radix(digits, u64::from(radix)).ok()
}

impl Reader<'_> {
    /// The text of a scalar that is not null.
    pub(crate) fn word(&mut self, node: &Node) -> Option<String> {
        let text = node.text().filter(|_| !node.is_null()).map(str::to_owned);
        if text.is_none() {
            self.findings.error(node.place, "a word is expected here", "");
        }
        text
    }

    pub(crate) fn id(&mut self, node: &Node) -> Option<String> {
        let text = self.word(node)?;
        if is_id(&text) {
            return Some(text);
        }
        self.findings.error(node.place, format!("`{text}` is not a name"), ID_HINT);
        None
    }

    /// A code: lower snake case.
    pub(crate) fn code(&mut self, node: &Node) -> Option<String> {
        let text = self.word(node)?;
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        if (1..=63).contains(&text.len()) && text.bytes().all(plain) {
            return Some(text);
        }
        self.findings.error(
            node.place,
            format!("`{text}` is not a code"),
            "use lower_snake_case of at most 63 letters",
        );
        None
    }

    pub(crate) fn parsed<T>(&mut self, node: &Node) -> Option<T>
    where
        T: TryFromText,
    {
        self.parsed_with(node, T::from_text)
    }

    pub(crate) fn parsed_with<T, E: Display>(
        &mut self,
        node: &Node,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<T> {
        let text = self.word(node)?;
        match parse(&text) {
            Ok(value) => Some(value),
            Err(error) => {
                self.findings.error(node.place, error.to_string(), "");
                None
            }
        }
    }

    pub(crate) fn chain(&mut self, node: &Node) -> Option<ChainId> {
        let id = self.operand(node, &Shape::Number)?.number()?;
        u64::try_from(id).ok().map(ChainId)
    }

    /// A value of a type; a wrong one is an error.
    pub(crate) fn operand(&mut self, node: &Node, shape: &Shape) -> Option<Operand> {
        if node.plain().is_some_and(|text| is_float(text) || is_bare_address(text)) {
            return None; // told already, see `refuse_inexact`
        }
        let Some(text) = node.text().filter(|_| !node.is_null()) else {
            self.findings.error(node.place, format!("expected {}", shape.words()), "");
            return None;
        };
        match value(text, node.plain().is_none(), shape) {
            Ok(operand) => {
                if let Operand::Token(name) = &operand {
                    self.tokens.extend((name != NATIVE).then(|| name.clone()));
                }
                Some(operand)
            }
            Err(reason) => {
                let reason = reason.unwrap_or_else(|| format!("`{text}` is not what belongs here"));
                self.findings.error(node.place, reason, format!("expected {}", shape.words()));
                None
            }
        }
    }
}

/// Types that read themselves from a name.
pub(crate) trait TryFromText: Sized {
    fn from_text(text: &str) -> Result<Self, countersign_core::identity::IdentityError>;
}

impl TryFromText for AgentId {
    fn from_text(text: &str) -> Result<Self, countersign_core::identity::IdentityError> {
        Self::parse(text)
    }
}

/// A value from its text; the error says why where the type alone does not.
fn value(text: &str, quoted: bool, shape: &Shape) -> Result<Operand, Option<String>> {
    match shape {
        Shape::Number => whole(text).map(Operand::Number).ok_or(None),
        Shape::Int => I256::from_str(text).map(Operand::Int).map_err(|_| None),
        Shape::Decimal => text.parse().map(Operand::Decimal).map_err(|_| None),
        Shape::Usd => usd(text),
        Shape::Percent => percent(text).map(Operand::Number).ok_or(None),
        Shape::Instant => Timestamp::from_str(text)
            .map(|at| Operand::Number(U256::from(at.millis())))
            .map_err(|_| None),
        Shape::Address | Shape::Unread if text == "self" => Ok(Operand::Wallet),
        Shape::Address => address(text, quoted).map(Operand::Address),
        Shape::Token if text.starts_with("0x") => address(text, quoted).map(Operand::Address),
        Shape::Token => token(text).map(Operand::Token).ok_or(None),
        Shape::Kind if Kinds::of(text).is_none() => Err(None),
        Shape::Kind | Shape::Text => Ok(Operand::Text(text.to_owned())),
        Shape::Unread if text.len() == 42 && text.starts_with("0x") => {
            address(text, quoted).map(|_| Operand::Written(text.to_owned()))
        }
        Shape::Unread => Ok(Operand::Written(text.to_owned())),
        Shape::Selector => bytes(text).filter(|b| b.len() == 4).map(Operand::Bytes).ok_or(None),
        Shape::Declared => Ok(declared(text)),
        Shape::Bytes => bytes(text).map(Operand::Bytes).ok_or(None),
        Shape::Bool => match text {
            "true" => Ok(Operand::Bool(true)),
            "false" => Ok(Operand::Bool(false)),
            _ => Err(None),
        },
        Shape::Function => match AbiFunction::parse(text) {
            Ok(function) => Ok(Operand::Function {
                signature: function.signature().to_owned(),
                selector: function.selector(),
            }),
            Err(error) => Err(Some(error.to_string())),
        },
        Shape::List(_) | Shape::Tuple(_) => Err(None),
    }
}

/// What an agent may say of itself has the type that its text has.
fn declared(text: &str) -> Operand {
    match (text, text.parse()) {
        (_, Ok(number)) => Operand::Decimal(number),
        ("true", _) => Operand::Bool(true),
        ("false", _) => Operand::Bool(false),
        (text, Err(_)) => Operand::Text(text.to_owned()),
    }
}

fn usd(text: &str) -> Result<Operand, Option<String>> {
    let amount = MicroUsd::from_str(text).map_err(|error| Some(error.to_string()))?;
    Ok(Operand::Number(U256::from(amount.micros())))
}

/// `12.5%` in hundredths of a percent.
pub(crate) fn percent(text: &str) -> Option<U256> {
    let (whole, rest) = {
        let digits = text.strip_suffix('%')?;
        digits.split_once('.').unwrap_or((digits, ""))
    };
    let plain = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || whole.len() > 7 || rest.len() > 2 || !plain(whole) || !plain(rest) {
        return None;
    }
    format!("{whole}{rest:0<2}").parse::<u64>().ok().map(U256::from)
}

/// `usdc@8453`, in lower case.
fn token(text: &str) -> Option<String> {
    if text == NATIVE {
        return Some(text.to_owned());
    }
    let (symbol, chain) = text.split_once('@')?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    let fits = !symbol.is_empty() && symbol.len() <= 32 && symbol.bytes().all(plain);
    (fits && chain.parse::<u64>().is_ok()).then(|| text.to_ascii_lowercase())
}

fn bytes(text: &str) -> Option<Bytes> {
    text.strip_prefix("0x").and_then(|digits| hex::decode(digits).ok()).map(Bytes::from)
}

fn address(text: &str, quoted: bool) -> Result<Address, Option<String>> {
    let Ok(address) = Address::from_str(text) else {
        return Err(Some(format!("`{text}` is not an address")));
    };
    if !text.starts_with("0x") || !quoted {
        return Err(Some(format!("the address `{text}` must be quoted and begin with 0x")));
    }
    let digits = text.trim_start_matches("0x");
    let one_case = !digits.contains(|c: char| c.is_ascii_uppercase())
        || !digits.contains(|c: char| c.is_ascii_lowercase());
    if one_case || Address::parse_checksummed(text, None).is_ok() {
        return Ok(address);
    }
    Err(Some(format!(
        "the address `{text}` has a wrong checksum: a letter may be wrong (with the right one it is {})",
        address.to_checksum(None)
    )))
}
