//! Decimal numbers of any size, compared exactly. They are never added up: money is in `amount`.

use std::{cmp::Ordering, fmt, str::FromStr};

use alloy_primitives::U256;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The longest number, in bytes: 2^256 has 78 digits.
const LENGTH_MAX: usize = 128;

/// A decimal number as JSON writes it, without an exponent: `-12.50`. Equal numbers are equal however they were written.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Decimal {
    negative: bool,
    /// Without leading zeros; empty for 0.
    whole: Box<str>,
    /// Without trailing zeros.
    fraction: Box<str>,
}

impl Decimal {
    /// So many units of which ten to this power are one; `None` where that has more digits than are kept.
    #[must_use]
    pub fn scaled(units: U256, decimals: u8) -> Option<Self> {
        let decimals = usize::from(decimals);
        let digits = format!("{units:0>width$}", width = decimals.checked_add(1)?);
        let (whole, fraction) = digits.split_at_checked(digits.len().checked_sub(decimals)?)?;
        let point = if fraction.is_empty() { "" } else { "." };
        format!("{whole}{point}{fraction}").parse().ok()
    }
}

impl FromStr for Decimal {
    type Err = DecimalError;

    fn from_str(text: &str) -> Result<Self, DecimalError> {
        let wrong = || DecimalError(text.chars().take(LENGTH_MAX).collect());
        let body = text.strip_prefix('-').unwrap_or(text);
        let (whole, fraction) = body.split_once('.').map_or((body, None), |(w, f)| (w, Some(f)));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        let padded = whole.len() > 1 && whole.starts_with('0');
        if text.len() > LENGTH_MAX || !digits(whole) || padded || !fraction.is_none_or(digits) {
            return Err(wrong());
        }
        let whole = whole.trim_start_matches('0');
        let fraction = fraction.unwrap_or_default().trim_end_matches('0');
        let negative = text.starts_with('-') && !(whole.is_empty() && fraction.is_empty());
        Ok(Self { negative, whole: whole.into(), fraction: fraction.into() })
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        let size =
            |number: &Self| (number.whole.len(), number.whole.clone(), number.fraction.clone());
        match (self.negative, other.negative) {
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
            (false, false) => size(self).cmp(&size(other)),
            (true, true) => size(other).cmp(&size(self)),
        }
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The shortest form.
impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.negative { "-" } else { "" };
        let whole = if self.whole.is_empty() { "0" } else { &self.whole };
        let point = if self.fraction.is_empty() { "" } else { "." };
        write!(f, "{sign}{whole}{point}{}", self.fraction)
    }
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A text that is no plain decimal number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a plain decimal number, as in -12.50")]
pub struct DecimalError(String);

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        text.parse().unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn base_units_become_whole_units_without_rounding() {
        for (units, decimals, expect) in [
            (U256::ZERO, 6, Some("0")),
            (U256::from(1), 6, Some("0.000001")),
            (U256::from(1_500_000), 6, Some("1.5")),
            (U256::from(10_000_000), 6, Some("10")),
            (U256::from(7), 0, Some("7")),
            (
                U256::MAX,
                77,
                Some(
                    "1.15792089237316195423570985008687907853269984665640564039457584007913129639935",
                ),
            ),
            (U256::from(1), 255, None),
        ] {
            assert_eq!(Decimal::scaled(units, decimals), expect.map(decimal), "{units} {decimals}");
        }
    }

    #[test]
    fn numbers_are_compared_digit_by_digit() {
        let most = "115792089237316195423570985008687907853269984665640564039457584007913129639935";
        let least =
            "115792089237316195423570985008687907853269984665640564039457584007913129639934";
        let sorted = [
            "-100",
            "-20",
            "-3.5",
            "-3.25",
            "0",
            "0.000001",
            "0.1",
            "0.11",
            "2",
            "9007199254740992",
            "9007199254740993",
            least,
            most,
        ];
        for (i, a) in sorted.iter().enumerate() {
            for (j, b) in sorted.iter().enumerate() {
                assert_eq!(decimal(a).cmp(&decimal(b)), i.cmp(&j), "{a} {b}");
            }
        }
    }

    #[test]
    fn one_number_has_one_form() {
        for (written, shown) in
            [("1.50", "1.5"), ("-0", "0"), ("-0.0", "0"), ("7.000", "7"), ("0.10", "0.1")]
        {
            assert_eq!(decimal(written).to_string(), shown);
            assert_eq!(decimal(written), decimal(shown));
        }
    }

    #[test]
    fn what_json_would_not_write_plainly_is_no_number() {
        let long = "1".repeat(129);
        for text in [
            "", "-", "1e3", "1.", ".5", "+1", "007", "00", "0x10", "1_000", "1,5", " 1", "NaN",
            &long,
        ] {
            assert!(text.parse::<Decimal>().is_err(), "{text}");
        }
    }
}
