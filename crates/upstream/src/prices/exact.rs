//! A number as a price: exactly, without floats, or not at all.

use alloy_primitives::U256;
use countersign_core::amount::Price;

/// A longer number is no price, however many of its digits are zeros.
const LEN_MAX: usize = 64;

/// Decimals of [`Price`].
const PLACES: i32 = 18;

/// 10^-15 USD: what is cheaper cannot be told from a mistake.
const SCALED_MIN: u128 = 1_000;

/// 10^12 USD for one whole unit.
const SCALED_MAX: u128 = 1_000_000_000_000_000_000_000_000_000_000;

/// Reads what JSON calls a number: `3000`, `0.05`, `8.1e-6`. What is finer than a price can be is rounded
/// up. No sign, no separators, no words.
pub(super) fn price(text: &str) -> Result<Price, NoPrice> {
    if text.len() > LEN_MAX {
        return Err(NoPrice::TooLong);
    }
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, power(exponent)?),
        None => (text, 0),
    };
    let (whole, fraction) =
        mantissa.split_once('.').map_or((mantissa, None), |(w, f)| (w, Some(f)));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let padded = whole.len() > 1 && whole.starts_with('0');
    if !digits(whole) || padded || fraction.is_some_and(|part| !digits(part)) {
        return Err(NoPrice::NotANumber);
    }
    let fraction = fraction.unwrap_or("");
    let decimals = i32::try_from(fraction.len()).map_err(|_| NoPrice::TooLong)?;
    let number = U256::from_str_radix(&format!("{whole}{fraction}"), 10);
    units(number.map_err(|_| NoPrice::TooLong)?, exponent.saturating_sub(decimals))
}

/// `number` × 10^`exponent` USD.
pub(super) fn units(number: U256, exponent: i32) -> Result<Price, NoPrice> {
    let places = exponent.saturating_add(PLACES);
    let power = U256::from(10).checked_pow(U256::from(places.unsigned_abs()));
    let scaled = match power {
        _ if number.is_zero() => return Err(NoPrice::Zero),
        Some(power) if places >= 0 => number.checked_mul(power).ok_or(NoPrice::TooLarge)?,
        Some(power) => number.div_ceil(power),
        None if places >= 0 => return Err(NoPrice::TooLarge),
        None => return Err(NoPrice::TooSmall),
    };
    match u128::try_from(scaled) {
        Ok(..SCALED_MIN) => Err(NoPrice::TooSmall),
        Ok(scaled @ ..=SCALED_MAX) => Price::from_scaled(scaled).ok_or(NoPrice::Zero),
        Ok(_) | Err(_) => Err(NoPrice::TooLarge),
    }
}

fn power(text: &str) -> Result<i32, NoPrice> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if !(1..=3).contains(&digits.len()) || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(NoPrice::NotANumber);
    }
    text.parse().map_err(|_| NoPrice::NotANumber)
}

/// Why a number is no price. The number itself is not repeated: it may be anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoPrice {
    /// Not plain digits.
    #[error("what it says is not a number without a sign")]
    NotANumber,
    /// Too many digits.
    #[error("its number has more than {LEN_MAX} digits")]
    TooLong,
    /// Everything would be free.
    #[error("its price is 0")]
    Zero,
    /// Almost everything would be free.
    #[error("its price is below 10^-15 USD")]
    TooSmall,
    /// Nothing would be allowed.
    #[error("its price is above 10^12 USD")]
    TooLarge,
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, clippy::string_slice, reason = "a failed test panics")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_no_price_is_refused() {
        let long = "1".repeat(1000);
        let fine = format!("0.{}1", "0".repeat(1000));
        for (text, why) in [
            ("-1", NoPrice::NotANumber),
            ("+1", NoPrice::NotANumber),
            ("NaN", NoPrice::NotANumber),
            ("inf", NoPrice::NotANumber),
            ("Infinity", NoPrice::NotANumber),
            ("0", NoPrice::Zero),
            ("0.000", NoPrice::Zero),
            ("0e99", NoPrice::Zero),
            ("1e-30", NoPrice::TooSmall),
            ("1e-999", NoPrice::TooSmall),
            ("0.0000000000000009", NoPrice::TooSmall),
            ("1e30", NoPrice::TooLarge),
            ("1e999", NoPrice::TooLarge),
            ("1000000000000.1", NoPrice::TooLarge),
            ("1,000", NoPrice::NotANumber),
            ("1_000", NoPrice::NotANumber),
            ("1 000", NoPrice::NotANumber),
            (" 1", NoPrice::NotANumber),
            ("1 ", NoPrice::NotANumber),
            ("0x10", NoPrice::NotANumber),
            ("007", NoPrice::NotANumber),
            ("1.", NoPrice::NotANumber),
            (".5", NoPrice::NotANumber),
            ("1.2.3", NoPrice::NotANumber),
            ("1e", NoPrice::NotANumber),
            ("e5", NoPrice::NotANumber),
            ("1e5e5", NoPrice::NotANumber),
            ("1e+-5", NoPrice::NotANumber),
            ("1e1000", NoPrice::NotANumber),
            ("1e0.5", NoPrice::NotANumber),
            ("", NoPrice::NotANumber),
            ("٣", NoPrice::NotANumber),
            (&long, NoPrice::TooLong),
            (&fine, NoPrice::TooLong),
        ] {
            assert_eq!(price(text), Err(why), "{text}");
        }
    }

    #[test]
    fn what_is_a_price_is_read_to_the_last_digit() {
        for (text, expected) in [
            ("3000", "3000"),
            ("1.0", "1"),
            ("0.05", "0.05"),
            ("9007199254740993e-6", "9007199254.740993"),
            ("8.12e-06", "0.00000812"),
            ("1E3", "1000"),
            ("1e+3", "1000"),
            ("1e-15", "0.000000000000001"),
            ("1000000000000", "1000000000000"),
            ("0.0000081234567890123456789", "0.000008123456789013"),
            ("1.0000000000000000001", "1.000000000000000001"),
        ] {
            assert_eq!(price(text).map(|p| p.to_string()).as_deref(), Ok(expected), "{text}");
        }
        assert_eq!(
            units(U256::from(317_412_345_678_u64), -8).unwrap().to_string(),
            "3174.12345678"
        );
        assert_eq!(units(U256::MAX, 0), Err(NoPrice::TooLarge));
        assert_eq!(units(U256::MAX, 300), Err(NoPrice::TooLarge));
        assert_eq!(units(U256::MAX, -300), Err(NoPrice::TooSmall));
    }

    proptest! {
        #[test]
        fn a_price_that_is_printed_is_read_again(scaled in SCALED_MIN..=SCALED_MAX) {
            let written = Price::from_scaled(scaled).unwrap();
            prop_assert_eq!(price(&written.to_string()), Ok(written));
            prop_assert_eq!(price(&format!("{scaled}e-18")), Ok(written));
            prop_assert_eq!(units(U256::from(scaled), -18), Ok(written));
        }

        /// Beside the slow and obvious reading: the digits moved by hand.
        #[test]
        fn an_exponent_only_moves_the_point(whole in 1_u64..1_000_000, fraction in "[0-9]{0,6}", power in -12_i32..6) {
            let tail = if fraction.is_empty() { String::new() } else { format!(".{fraction}") };
            let scientific = format!("{whole}{tail}e{power}");
            let digits = format!("{whole}{fraction}");
            let point = i32::try_from(digits.len()).unwrap() - i32::try_from(fraction.len()).unwrap() + power;
            let plain = match usize::try_from(point) {
                Ok(0) | Err(_) => format!("0.{}{digits}", "0".repeat(usize::try_from(-point).unwrap())),
                Ok(point) if point >= digits.len() => format!("{digits:0<point$}"),
                Ok(point) => format!("{}.{}", &digits[..point], &digits[point..]),
            };
            prop_assert_eq!(price(&scientific), price(&plain), "{} {}", scientific, plain);
        }

        #[test]
        fn no_text_makes_it_stumble(text in ".{0,80}") {
            let found = price(&text);
            prop_assert!(found.is_err() || text.len() <= LEN_MAX);
        }

        #[test]
        fn nothing_but_digits_a_point_and_an_exponent_is_a_price(text in "[0-9eE+.,_ -]{0,20}") {
            let plain = text.bytes().all(|b| b.is_ascii_digit() || b".eE+-".contains(&b));
            prop_assert!(price(&text).is_err() || plain && text.starts_with(|c: char| c.is_ascii_digit()));
        }
    }
}
