//! Money as integers: micro-USD, prices, and the rounding between them. There are no floats here.

use std::{fmt, str::FromStr};

use alloy_primitives::{U256, U512};
use serde::{Deserialize, Deserializer, Serialize};

/// The largest sum that a counter may hold: every store can represent it exactly.
pub const AMOUNT_MAX: u64 = (1 << 53) - 1;

const MICRO: u64 = 1_000_000;

/// An amount of USD in millionths, at most 2^53 − 1 (about 9 billion USD).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct MicroUsd(u64);

impl MicroUsd {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The largest amount that can be counted.
    pub const MAX: Self = Self(AMOUNT_MAX);

    /// An amount in millionths of a USD; `None` above 2^53 − 1.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Option<Self> {
        if micros <= AMOUNT_MAX { Some(Self(micros)) } else { None }
    }

    /// The amount in millionths of a USD.
    #[must_use]
    pub const fn micros(self) -> u64 {
        self.0
    }

    /// The sum; `None` above 2^53 − 1.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).and_then(Self::from_micros)
    }
}

/// Plain decimal USD without trailing zeros: `100`, `0.05`.
impl fmt::Display for MicroUsd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / MICRO, self.0 % MICRO);
        if rest == 0 {
            return write!(f, "{whole}");
        }
        let digits = format!("{rest:06}");
        write!(f, "{whole}.{}", digits.trim_end_matches('0'))
    }
}

impl fmt::Debug for MicroUsd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self} USD")
    }
}

/// Reads plain decimal USD (`100`, `0.05`); at most six decimals, no sign, no exponent.
impl FromStr for MicroUsd {
    type Err = AmountError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let scaled = parse_decimal(text, 6)?;
        let micros = u64::try_from(scaled).map_err(|_| AmountError::TooLarge(text.into()))?;
        Self::from_micros(micros).ok_or_else(|| AmountError::TooLarge(text.into()))
    }
}

impl Serialize for MicroUsd {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for MicroUsd {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The price of one whole unit of a token, in USD with 18 decimals.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Price(u128);

impl Price {
    /// A price in units of 10^-18 USD; `None` for zero, which would make everything free.
    #[must_use]
    pub const fn from_scaled(scaled: u128) -> Option<Self> {
        if scaled == 0 { None } else { Some(Self(scaled)) }
    }

    /// The price in units of 10^-18 USD.
    #[must_use]
    pub const fn scaled(self) -> u128 {
        self.0
    }

    /// What `amount` base units of a token with `decimals` decimals are worth, rounded up to the
    /// next micro-USD; `None` where that is above [`MicroUsd::MAX`].
    #[must_use]
    pub fn value(self, amount: U256, decimals: u8) -> Option<MicroUsd> {
        // base units × price(18 decimals) → micro-USD: divide by 10^(decimals + 18 − 6)
        let digits = u32::from(decimals).checked_add(12)?;
        let short = u128::try_from(amount).ok().zip(10_u128.checked_pow(digits));
        let rounded = if let Some((amount, scale)) = short {
            // two numbers of 128 bits: their product has 256 at most
            let product = U256::from(amount).checked_mul(U256::from(self.0))?;
            u64::try_from(product.div_ceil(U256::from(scale))).ok()
        } else {
            let product = U512::from(amount).checked_mul(U512::from(self.0))?;
            let scale = U512::from(10_u8).checked_pow(U512::from(digits))?;
            u64::try_from(product.div_ceil(scale)).ok()
        };
        rounded.and_then(MicroUsd::from_micros)
    }
}

impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const ONE: u128 = 1_000_000_000_000_000_000;
        let (whole, rest) = (self.0 / ONE, self.0 % ONE);
        if rest == 0 {
            return write!(f, "{whole}");
        }
        let digits = format!("{rest:018}");
        write!(f, "{whole}.{}", digits.trim_end_matches('0'))
    }
}

impl fmt::Debug for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Price({self})")
    }
}

/// Reads a positive decimal with at most 18 decimals. Zero is not a price.
impl FromStr for Price {
    type Err = AmountError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match parse_decimal(text, 18)? {
            0 => Err(AmountError::ZeroPrice),
            scaled => Ok(Self(scaled)),
        }
    }
}

impl Serialize for Price {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Price {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// `digits[.digits]` scaled by 10^`places`, exactly.
fn parse_decimal(text: &str, places: u8) -> Result<u128, AmountError> {
    let malformed = || AmountError::Malformed(text.into());
    let too_large = || AmountError::TooLarge(text.into());
    let (whole, rest) = text.split_once('.').map_or((text, None), |(w, r)| (w, Some(r)));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || rest.is_some_and(|r| !digits(r)) {
        return Err(malformed());
    }
    let rest = rest.unwrap_or("");
    if rest.len() > usize::from(places) {
        return Err(AmountError::TooFine { text: text.into(), places });
    }
    let padded = format!("{whole}{rest:0<width$}", width = usize::from(places));
    padded.parse().map_err(|_| too_large())
}

/// A decimal amount that cannot be read exactly.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// Not plain digits with an optional fraction.
    #[error("`{0}` is not a decimal amount: expected digits, as in 100 or 0.05")]
    Malformed(String),
    /// More decimals than the unit has.
    #[error("`{text}` has more than {places} decimals")]
    TooFine {
        /// What was given.
        text: String,
        /// How many decimals there may be.
        places: u8,
    },
    /// Above what can be counted exactly.
    #[error("`{0}` is too large to count exactly")]
    TooLarge(String),
    /// A price of zero would make everything free.
    #[error("a price must be above 0")]
    ZeroPrice,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usd_reads_and_prints_exactly() {
        for (text, micros) in [("100", 100_000_000), ("0.05", 50_000), ("0.000001", 1), ("0", 0)] {
            let usd: MicroUsd = text.parse().unwrap();
            assert_eq!((usd.micros(), usd.to_string().as_str()), (micros, text));
        }
        for text in
            ["", ".", "1.", ".5", "-1", "+1", "1e3", "0.0000001", "1_0", "9007199254.740992"]
        {
            assert!(text.parse::<MicroUsd>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_value_is_rounded_up_and_never_wraps() {
        let price: Price = "3000".parse().unwrap();
        let eth = U256::from(1_000_000_000_000_000_000_u64);
        assert_eq!(price.value(eth, 18).unwrap().to_string(), "3000");
        assert_eq!(price.value(U256::from(1), 18).unwrap().micros(), 1);
        assert_eq!(price.value(U256::ZERO, 18).unwrap().micros(), 0);
        assert_eq!(price.value(U256::MAX, 18), None);
        assert_eq!(price.value(U256::MAX, 0), None);
    }

    #[test]
    fn short_and_long_arithmetic_of_a_value_agree() {
        let in_full = |Price(price): Price, amount: U256, decimals: u8| {
            let scale = U512::from(10_u8).checked_pow(U512::from(u16::from(decimals) + 12))?;
            let rounded = (U512::from(amount) * U512::from(price)).div_ceil(scale);
            u64::try_from(rounded).ok().and_then(MicroUsd::from_micros)
        };
        let bound = U256::from(u128::MAX);
        let near = |n: U256| [n.saturating_sub(U256::from(1)), n, n.saturating_add(U256::from(1))];
        let amounts: Vec<U256> = (0..=77)
            .flat_map(|digits| near(U256::from(10).pow(U256::from(digits))))
            .chain(near(bound))
            .chain([U256::ZERO, U256::MAX])
            .collect();
        let dearest = Price(u128::MAX);
        for price in [Price(1), Price(999_999_999_999_999_999), "3000".parse().unwrap(), dearest] {
            for decimals in [0, 6, 18, 26, 27, 77, 255] {
                for amount in &amounts {
                    let (found, wanted) =
                        (price.value(*amount, decimals), in_full(price, *amount, decimals));
                    assert_eq!(found, wanted, "{amount} {decimals} {price}");
                }
            }
        }
    }
}
